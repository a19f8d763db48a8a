//! What is taken over already: by the files of a folder, by a state, by the ledger.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::{Path, PathBuf},
};

use domain::IntegrationId;
use hcl_edit::{
    expr::{Expression, TraversalOperator},
    structure::{Block, Body},
};
use operations::{Problem, Wishes};
use serde_json::Value;

/// What is imported or declared somewhere.
#[derive(Debug, Default)]
pub(crate) struct Known {
    /// Ids of integrations, of scopes and of slots.
    ids: BTreeSet<String>,
    /// In these files: the names of `nhi_integration` blocks by the id that they import.
    names: BTreeMap<String, String>,
    /// The same of those that no import names, by connection, kind and name.
    named: BTreeMap<(String, String, String), String>,
    /// All names of our resources in these files.
    pub(crate) taken: BTreeSet<String>,
}

/// The largest file that is read.
const LARGEST: u64 = 16 << 20;

impl Known {
    /// Whether something of this id is taken over already.
    pub(crate) fn has(&self, id: &str) -> bool {
        self.ids.contains(id)
    }

    /// Whether an integration is, and the name of its block where these files have it.
    pub(crate) fn integration(&self, id: &IntegrationId, name: &str) -> Option<Option<&str>> {
        let key = (id.connection.clone(), id.kind.clone(), name.to_owned());
        let id = id.to_string();
        // Two may have one name: a block that is given to another one is not this one's.
        let elsewhere = |block: &&String| self.names.values().any(|one| one == *block);
        let named = || self.named.get(&key).filter(|block| !elsewhere(block));
        let named = self.names.get(&id).or_else(named).map(String::as_str);
        (named.is_some() || self.has(&id)).then_some(named)
    }

    /// Adds what a state or the ledger declares.
    pub(crate) fn add_declared(&mut self, wishes: &Wishes) {
        for (id, wish) in &wishes.integrations {
            self.ids.insert(id.clone());
            if wish.scopes.is_some() {
                self.ids.insert(format!("{id}/scope"));
            }
            self.ids.extend(wish.slots.iter().map(|slot| format!("{id}/credential/{}", slot.name)));
        }
    }

    /// Adds what the files of a folder import or declare. Where there is no folder, nothing does.
    ///
    /// # Errors
    ///
    /// One of them cannot be read: what it has would be written a second time.
    pub(crate) fn add_folder(&mut self, folder: &Path) -> Result<(), Problem> {
        for file in files(folder).map_err(|error| unread(folder, &error.to_string()))? {
            let text = read(&file).map_err(|error| unread(&file, &error.to_string()))?;
            if file.extension().is_some_and(|ending| ending == "json") {
                let all: Value = serde_json::from_str(&text)
                    .map_err(|error| unread(&file, &error.to_string()))?;
                self.add_json(&all);
            } else {
                let body: Body =
                    text.parse().map_err(|_| unread(&file, "it is not HCL that can be read"))?;
                self.add_body(&body);
            }
        }
        Ok(())
    }

    fn add_body(&mut self, body: &Body) {
        for block in body.blocks() {
            match block.ident.as_str() {
                "import" => self.add_import(block),
                "resource" => self.add_resource(block),
                _ => {}
            }
        }
    }

    fn add_import(&mut self, block: &Block) {
        let (Some(to), Some(id)) = (block.body.get_attribute("to"), text_of(block, "id")) else {
            return;
        };
        let Expression::Traversal(to) = &to.value else { return };
        let Expression::Variable(kind) = &to.expr else { return };
        let name = to.operators.first().and_then(|one| match one.value() {
            TraversalOperator::GetAttr(name) => Some(name.as_str()),
            _ => None,
        });
        self.add(kind.as_str(), name, &id, to.operators.len() == 1);
    }

    /// `whole`: the address is a name and no more, so others may be told of it.
    fn add(&mut self, kind: &str, name: Option<&str>, id: &str, whole: bool) {
        if !kind.starts_with("nhi_") {
            return;
        }
        self.ids.insert(id.to_owned());
        let Some(name) = name else { return };
        self.taken.insert(name.to_owned());
        if kind == "nhi_integration" && whole {
            self.names.insert(id.to_owned(), name.to_owned());
        }
    }

    fn add_resource(&mut self, block: &Block) {
        let [kind, name] = &block.labels[..] else { return };
        let (kind, name) = (kind.as_str(), name.as_str());
        if !kind.starts_with("nhi_") {
            return;
        }
        self.taken.insert(name.to_owned());
        let repeated = ["count", "for_each"].iter().any(|one| block.body.has_attribute(one));
        if kind != "nhi_integration" || repeated {
            return;
        }
        let object = block.body.attributes().map(|one| one.key.as_str());
        let object = object.filter_map(wiring::kind).next();
        if let (Some(connection), Some(known_as), Some((_, object))) =
            (text_of(block, "connection_name"), text_of(block, "name"), object)
        {
            self.named.insert((connection, object.name.to_owned(), known_as), name.to_owned());
        }
    }

    fn add_json(&mut self, all: &Value) {
        let imports = match &all["import"] {
            Value::Array(imports) => imports.as_slice(),
            one => std::slice::from_ref(one),
        };
        for import in imports {
            if let (Some(to), Some(id)) = (import["to"].as_str(), import["id"].as_str()) {
                let to = to.trim_start_matches("${").trim_end_matches('}');
                let (kind, name) = to.split_once('.').unwrap_or((to, ""));
                let whole = !name.contains(['.', '[']);
                let name = name.split(['.', '[']).next().filter(|name| !name.is_empty());
                self.add(kind, name, id, whole);
            }
        }
        for (kind, resources) in all["resource"].as_object().into_iter().flatten() {
            if kind.starts_with("nhi_") {
                self.taken.extend(
                    resources.as_object().into_iter().flatten().map(|(name, _)| name.clone()),
                );
            }
        }
    }
}

fn text_of(block: &Block, name: &str) -> Option<String> {
    match &block.body.get_attribute(name)?.value {
        Expression::String(text) => Some(text.value().clone()),
        // What was escaped is a template to the parser, of nothing but literal parts.
        Expression::StringTemplate(template) => {
            let part = |element: &hcl_edit::template::Element| match element {
                hcl_edit::template::Element::Literal(text) => Some(text.value().clone()),
                _ => None,
            };
            template.iter().map(part).collect()
        }
        _ => None,
    }
}

fn files(folder: &Path) -> std::io::Result<Vec<PathBuf>> {
    let entries = match std::fs::read_dir(folder) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        other => other?,
    };
    let mut files = Vec::new();
    for entry in entries {
        let path = entry?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let ours = [".tf", ".tofu", ".tf.json", ".tofu.json"];
        // Cores read no hidden ones.
        if !name.starts_with('.') && ours.iter().any(|ending| name.ends_with(ending)) {
            files.push(path);
        }
    }
    files.sort();
    Ok(files)
}

fn read(file: &Path) -> std::io::Result<String> {
    use std::io::Read;
    let mut text = String::new();
    let length = std::fs::File::open(file)?.take(LARGEST + 1).read_to_string(&mut text)?;
    if length as u64 > LARGEST {
        return Err(std::io::Error::other("it is longer than 16 MiB"));
    }
    Ok(text)
}

fn unread(place: &Path, why: &str) -> Problem {
    Problem::new("E-HCL", "What is taken over already cannot be read")
        .detail(format!("{}: {why}. What it has would be written a second time.", place.display()))
        .next("mend it, or name another folder with --out")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_files_import_or_declare_is_known_with_its_name() {
        let folder = tempfile::tempdir().unwrap();
        let native = "import {\n  to = nhi_integration.a\n  id = \"bao/openbao_approle/a$${x}\"\n}\n\
             import {\n  to = nhi_credential.a[\"x\"]\n  id = \"bao/openbao_approle/a/credential/x\"\n}\n\
             resource \"nhi_integration\" \"b\" {\n  connection_name = \"bao\"\n  name = \"b-b\"\n  openbao_approle = {}\n}\n\
             resource \"nhi_integration\" \"c\" {\n  for_each = {}\n  connection_name = \"bao\"\n  name = \"c\"\n  openbao_approle = {}\n}\n\
             resource \"null_resource\" \"d\" {}\n";
        std::fs::write(folder.path().join("a.tf"), native).unwrap();
        std::fs::write(
            folder.path().join("b.tf.json"),
            r#"{ "import": [{ "to": "nhi_scope.e", "id": "bao/openbao_approle/e/scope" }] }"#,
        )
        .unwrap();
        std::fs::write(folder.path().join("README.md"), "no HCL {").unwrap();
        let mut known = Known::default();
        known.add_folder(folder.path()).unwrap();
        let id = |text: &str| text.parse::<IntegrationId>().unwrap();
        let a = IntegrationId::new("bao", "openbao_approle", "a${x}");
        assert_eq!(known.integration(&a, "a${x}"), Some(Some("a")));
        assert_eq!(known.integration(&id("bao/openbao_approle/b-b"), "b-b"), Some(Some("b")));
        assert_eq!(known.integration(&id("bao/openbao_approle/c"), "c"), None);
        assert!(known.has("bao/openbao_approle/a/credential/x"));
        assert!(known.has("bao/openbao_approle/e/scope"));
        let taken: Vec<&str> = known.taken.iter().map(String::as_str).collect();
        assert_eq!(taken, ["a", "b", "c", "e"]);
        // What cannot be read hides nothing: it stops everything.
        std::fs::write(folder.path().join("c.tf"), "resource {").unwrap();
        let said = Known::default().add_folder(folder.path()).unwrap_err();
        assert_eq!(said.code, "E-HCL");
        assert!(Known::default().add_folder(&folder.path().join("none")).is_ok());
    }
}
