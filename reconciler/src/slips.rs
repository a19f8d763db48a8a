//! The slip that everybody makes once: `.id` where the whole object is wanted.
//!
//! The core's own message for it, "object required", names neither the cause nor the cure, and no
//! provider can word it. So `nhi doctor --hcl DIR` looks for it in the text.

use std::{
    collections::BTreeMap,
    ops::Range,
    path::{Path, PathBuf},
};

use hcl_edit::{
    Span,
    expr::{Expression, Traversal, TraversalOperator},
    structure::{Body, Structure},
    template::Element,
};
use serde_json::Value;

/// Attributes that take a whole resource, by resource type, with the type that they take.
const REFERENCES: &[(&str, &str, &str)] = &[
    ("nhi_integration", "business_owner", "nhi_owner"),
    ("nhi_integration", "technical_owner", "nhi_owner"),
    ("nhi_scope", "integration", "nhi_integration"),
    ("nhi_credential", "integration", "nhi_integration"),
    ("nhi_credential", "schedule", "nhi_rotation_schedule"),
];

/// One slip.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Slip {
    /// The file.
    pub(crate) file: PathBuf,
    /// The line, from one.
    pub(crate) line: usize,
    /// The resource's address in its module.
    pub(crate) address: String,
    /// The line as it stands.
    pub(crate) found: String,
    /// The line as it should stand.
    pub(crate) corrected: String,
}

/// What a look through a folder came to.
#[derive(Debug, Default)]
pub(crate) struct Looked {
    /// How many `.tf` and `.tofu` files there are, in either form.
    pub(crate) files: usize,
    /// What was found in them.
    pub(crate) slips: Vec<Slip>,
    /// Files that could not be read, and why.
    pub(crate) unread: Vec<String>,
}

/// The largest file that is read.
const LARGEST: u64 = 16 << 20;

/// Looks through all `.tf` and `.tofu` files of a folder, in either form. One that cannot be read hides no other.
pub(crate) fn find(folder: &Path) -> std::io::Result<Looked> {
    let mut files: Vec<PathBuf> = std::fs::read_dir(folder)?
        .filter_map(|entry| entry.ok().map(|entry| entry.path()))
        .filter(|path| {
            let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
            [".tf", ".tofu", ".tf.json", ".tofu.json"].iter().any(|ending| name.ends_with(ending))
        })
        .collect();
    files.sort();
    let mut looked = Looked { files: files.len(), ..Looked::default() };
    for file in files {
        let read = read(&file).map_err(|error| error.to_string());
        if file.extension().is_some_and(|ending| ending == "json") {
            let found = read.and_then(|text| in_json(&file, &text, &mut looked.slips));
            looked.unread.extend(found.err().map(|why| format!("{}: {why}", file.display())));
            continue;
        }
        let parsed = read.and_then(|text| match text.parse::<Body>() {
            Ok(body) => Ok((text, body)),
            Err(error) => Err(error.to_string()),
        });
        match parsed {
            Ok((text, body)) => slips_of(&file, &text, &body, &mut looked.slips),
            Err(error) => looked.unread.push(format!("{}: {error}", file.display())),
        }
    }
    Ok(looked)
}

/// Reads what people write by hand: a file, and no device or pipe, which may have no end.
fn read(file: &Path) -> std::io::Result<String> {
    let refused = |why: &str| std::io::Error::new(std::io::ErrorKind::InvalidInput, why.to_owned());
    let found = std::fs::metadata(file)?;
    if !found.is_file() {
        return Err(refused("this is no file"));
    }
    if found.len() > LARGEST {
        return Err(refused("larger than any configuration that people write (16 MiB)"));
    }
    std::fs::read_to_string(file)
}

fn slips_of(file: &Path, text: &str, body: &Body, slips: &mut Vec<Slip>) {
    for structure in body {
        let Structure::Block(block) = structure else { continue };
        let labels: Vec<&str> = block.labels.iter().map(|label| label.as_str()).collect();
        let [kind, name] = labels[..] else { continue };
        if block.ident.as_str() != "resource" {
            continue;
        }
        for (resource, attribute, wanted) in REFERENCES {
            if *resource != kind {
                continue;
            }
            let Some(found) = block.body.get_attribute(attribute) else { continue };
            let mut cuts = Vec::new();
            cuts_of(&found.value, wanted, text, &mut cuts);
            // A line each: what is around is kept, so the correction can be pasted.
            let mut lines: BTreeMap<usize, Vec<Range<usize>>> = BTreeMap::new();
            for cut in cuts {
                let begin = text[..cut.start].rfind('\n').map_or(0, |at| at + 1);
                lines.entry(begin).or_default().push(cut);
            }
            for (begin, mut cuts) in lines {
                let end = text[begin..].find('\n').map_or(text.len(), |at| begin + at);
                let mut corrected = text[begin..end].to_owned();
                cuts.sort_by_key(|cut| std::cmp::Reverse(cut.start));
                for cut in cuts.into_iter().filter(|cut| cut.end <= end) {
                    corrected.replace_range(cut.start - begin..cut.end - begin, "");
                }
                slips.push(Slip {
                    file: file.to_owned(),
                    line: text[..begin].matches('\n').count() + 1,
                    address: format!("{kind}.{name}"),
                    found: text[begin..end].trim().to_owned(),
                    corrected: corrected.trim().to_owned(),
                });
            }
        }
    }
}

/// The same in the JSON form, where every expression stands in a text: `"${…}"`.
fn in_json(file: &Path, text: &str, slips: &mut Vec<Slip>) -> Result<(), String> {
    let all: Value = serde_json::from_str(text).map_err(|error| error.to_string())?;
    for (resource, attribute, wanted) in REFERENCES {
        let named = all["resource"][resource].as_object().into_iter().flatten();
        for (name, body) in named {
            let bodies = body.as_array().map_or(std::slice::from_ref(body), Vec::as_slice);
            for value in bodies.iter().filter_map(|body| body[attribute].as_str()) {
                let Some(corrected) = corrected_template(value, wanted) else { continue };
                // As it stands in the file, escapes and all.
                let stands = Value::from(value).to_string();
                let line = text.lines().position(|line| line.contains(&stands));
                let found = line.and_then(|at| text.lines().nth(at)).unwrap_or(&stands).trim();
                slips.push(Slip {
                    file: file.to_owned(),
                    line: line.map_or(1, |at| at + 1),
                    address: format!("{resource}.{name}"),
                    found: found.to_owned(),
                    corrected: found.replace(&stands, &Value::from(corrected).to_string()),
                });
            }
        }
    }
    Ok(())
}

/// A text that is one expression, without what is to be left out of it; nothing where nothing is.
fn corrected_template(template: &str, wanted: &str) -> Option<String> {
    let inner = template.strip_prefix("${")?.strip_suffix('}')?;
    let text = format!("it = {inner}\n");
    let body = text.parse::<Body>().ok()?;
    let mut cuts = Vec::new();
    cuts_of(&body.get_attribute("it")?.value, wanted, &text, &mut cuts);
    cuts.sort_by_key(|cut| std::cmp::Reverse(cut.start));
    let mut corrected = text.clone();
    for cut in &cuts {
        corrected.replace_range(cut.clone(), "");
    }
    let whole = corrected.trim_start_matches("it = ").trim_end();
    (!cuts.is_empty()).then(|| format!("${{{whole}}}"))
}

/// The parts of the text to leave out, so that an expression gives the object: `.id` behind
/// `<wanted>.<name>…` or what holds it, in either branch of a condition, in what `try` may give, and the
/// quotes where it stands in them.
fn cuts_of(expression: &Expression, wanted: &str, text: &str, cuts: &mut Vec<Range<usize>>) {
    match expression {
        Expression::Traversal(traversal) => cuts.extend(id_at_the_end(traversal, wanted, text)),
        Expression::Parenthesis(inner) => cuts_of(inner.inner(), wanted, text, cuts),
        Expression::Conditional(condition) => {
            cuts_of(&condition.true_expr, wanted, text, cuts);
            cuts_of(&condition.false_expr, wanted, text, cuts);
        }
        // What these give is one of what they are given.
        Expression::FuncCall(call) if matches!(call.name.name.as_str(), "try" | "coalesce") => {
            for argument in call.args.iter() {
                cuts_of(argument, wanted, text, cuts);
            }
        }
        Expression::StringTemplate(template) => {
            let mut elements = template.iter();
            let (Some(Element::Interpolation(inner)), None) = (elements.next(), elements.next())
            else {
                return;
            };
            let before = cuts.len();
            cuts_of(&inner.expr, wanted, text, cuts);
            if cuts.len() > before
                && let (Some(whole), Some(inner)) = (template.span(), inner.expr.span())
            {
                cuts.extend([whole.start..inner.start, inner.end..whole.end]);
            }
        }
        _ => {}
    }
}

/// Where `.id` stands behind what is an object, or holds one: `<wanted>.<name>….id`, `each.value.id`,
/// `local.<name>.id`, `module.<name>.<output>.id`, and behind a call that is given `<wanted>.<name>`.
fn id_at_the_end(traversal: &Traversal, wanted: &str, text: &str) -> Option<Range<usize>> {
    // How many names there are before one that may be cut: an output may itself be called `id`.
    let before = match &traversal.expr {
        Expression::Variable(root) => match root.as_str() {
            root if root == wanted => 1,
            "each" | "local" | "var" => 1,
            "module" => 2,
            _ => return None,
        },
        Expression::FuncCall(call) => {
            let named = format!("{wanted}.");
            if !text.get(call.span()?)?.contains(&named) {
                return None;
            }
            0
        }
        _ => return None,
    };
    let last = traversal.operators.last().filter(|_| traversal.operators.len() > before)?;
    let TraversalOperator::GetAttr(name) = last.value() else { return None };
    if name.as_str() != "id" {
        return None;
    }
    let span = name.span()?;
    let dot = text[..span.start].rfind('.')?;
    Some(dot..span.end)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_in_place_of_the_object_is_found_and_corrected() {
        let folder = tempfile::tempdir().unwrap();
        let text = "resource \"nhi_scope\" \"x\" {\n  scopes = []\n  integration = nhi_integration.x[\"a\"].id # why not\n}\n\
                    resource \"nhi_credential\" \"x\" {\n  integration = nhi_integration.x\n}\n";
        std::fs::write(folder.path().join("main.tf"), text).unwrap();
        std::fs::write(folder.path().join("broken.tf"), "resource {").unwrap();
        std::fs::write(folder.path().join("latin.tf"), b"# caf\xe9\n").unwrap();
        let Looked { files, slips, unread } = find(folder.path()).unwrap();
        assert_eq!((files, unread.len()), (3, 2), "{unread:?}");
        std::os::unix::fs::symlink("/dev/zero", folder.path().join("zero.tf")).unwrap();
        std::os::unix::fs::symlink("self.tf", folder.path().join("self.tf")).unwrap();
        std::fs::File::create(folder.path().join("huge.tf")).unwrap().set_len(1 << 40).unwrap();
        let looked = find(folder.path()).unwrap();
        assert_eq!((looked.slips.len(), looked.unread.len()), (1, 5), "{:?}", looked.unread);
        let [slip] = &slips[..] else { panic!("{slips:?}") };
        assert_eq!((slip.line, slip.address.as_str()), (3, "nhi_scope.x"));
        assert_eq!(slip.corrected, "integration = nhi_integration.x[\"a\"] # why not");
    }
    fn corrected(expression: &str) -> Vec<String> {
        let folder = tempfile::tempdir().unwrap();
        let text = format!("resource \"nhi_scope\" \"x\" {{\n  integration = {expression}\n}}\n");
        std::fs::write(folder.path().join("main.tofu"), text).unwrap();
        let Looked { slips, unread, .. } = find(folder.path()).unwrap();
        assert!(unread.is_empty(), "{unread:?}");
        slips.into_iter().map(|slip| slip.corrected.replace("integration = ", "")).collect()
    }

    #[test]
    fn it_is_found_in_quotes_and_in_conditions_and_comments_are_left_alone() {
        for (expression, expected) in [
            ("nhi_integration.x.id # as in b.id", "nhi_integration.x # as in b.id"),
            ("nhi_integration.x.id // .id", "nhi_integration.x // .id"),
            ("\"${nhi_integration.x.id}\"", "nhi_integration.x"),
            ("\"${ nhi_integration.x.id }\" # .id", "nhi_integration.x # .id"),
            (
                "var.id != \"\" ? nhi_integration.x.id : nhi_integration.y[0].id",
                "var.id != \"\" ? nhi_integration.x : nhi_integration.y[0]",
            ),
            ("(nhi_integration.x.id)", "(nhi_integration.x)"),
            ("each.value.id", "each.value"),
            ("local.of[\"a\"].id", "local.of[\"a\"]"),
            ("module.app.integration.id", "module.app.integration"),
            ("one(values(nhi_integration.x)).id", "one(values(nhi_integration.x))"),
            ("try(nhi_integration.x.id, null)", "try(nhi_integration.x, null)"),
        ] {
            assert_eq!(corrected(expression), [expected], "{expression}");
        }
        for right in [
            "nhi_integration.x",
            "{ id = nhi_integration.x.id }",
            "\"a-${nhi_integration.x.id}\"",
            "nhi_owner.x.id",
            "module.x.id",
            "local.id",
            "each.value",
            "one(data.other.x).id",
        ] {
            assert_eq!(corrected(right), Vec::<String>::new(), "{right}");
        }
    }

    #[test]
    fn it_is_found_in_the_json_form() {
        let folder = tempfile::tempdir().unwrap();
        let text = "{ \"resource\": { \"nhi_scope\": { \"x\": {\n\"integration\": \"${nhi_integration.x[\\\"a\\\"].id}\",\n\
                    \"scopes\": [] } }, \"nhi_credential\": { \"y\": [{ \"integration\": \"${nhi_integration.x}\" }] } } }";
        std::fs::write(folder.path().join("main.tf.json"), text).unwrap();
        std::fs::write(folder.path().join("broken.tf.json"), "{").unwrap();
        let Looked { files, slips, unread } = find(folder.path()).unwrap();
        assert_eq!((files, unread.len()), (2, 1), "{unread:?}");
        let [slip] = &slips[..] else { panic!("{slips:?}") };
        assert_eq!((slip.line, slip.address.as_str()), (2, "nhi_scope.x"));
        assert_eq!(slip.corrected, "\"integration\": \"${nhi_integration.x[\\\"a\\\"]}\",");
    }

    #[test]
    fn each_line_of_a_condition_is_corrected_by_itself() {
        let lines = "var.old ? (\n    nhi_integration.x.id\n  ) : nhi_integration.y.id";
        assert_eq!(corrected(lines), ["nhi_integration.x", ") : nhi_integration.y"]);
    }
}
