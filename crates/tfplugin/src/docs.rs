//! Documentation in the layout of the Terraform and OpenTofu registries, made of schemas and
//! examples. The same input gives the same text, so stale pages can fail a test.
//!
//! Examples are looked up where other generators look for them:
//!
//! | file | page |
//! |---|---|
//! | `provider/provider.tf` | `index.md` |
//! | `resources/TYPE/resource.tf`, `import.sh`, `import-by-string-id.tf`, `import-by-identity.tf` | `resources/NAME.md` |
//! | `data-sources/TYPE/data-source.tf` | `data-sources/NAME.md` |
//! | `ephemeral-resources/TYPE/ephemeral-resource.tf` | `ephemeral-resources/NAME.md` |
//! | `functions/NAME/function.tf` | `functions/NAME.md` |
//! | `list-resources/TYPE/list-resource.tfquery.hcl` | `list-resources/NAME.md` |
//! | `actions/TYPE/action.tf` | `actions/NAME.md` |

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io;
use std::path::Path as FilePath;

use crate::erased::{AnyProvider, AnyResource, Parameter, Signature};
use crate::{Attribute, Kind, Nesting, Schema, Type, Value};

/// Files by their path below a folder, with `/` between the parts.
pub type Files = BTreeMap<String, String>;

/// All pages of a provider, by their path below the folder of the documentation.
pub fn generate(provider: &dyn AnyProvider, examples: &Files) -> Files {
    let mut pages = Files::new();
    let site = Site { provider: provider.name(), examples };
    pages.insert("index.md".to_owned(), site.index(provider.schema()));
    for (name, resource) in provider.resources() {
        let page = site.resource(name, resource.as_ref());
        pages.insert(site.path("resources", name), page);
    }
    for (name, source) in provider.data_sources() {
        let page =
            site.page("Data Source", name, source.schema(), "data-sources", "data-source.tf");
        pages.insert(site.path("data-sources", name), page);
    }
    for (name, ephemeral) in provider.ephemerals() {
        let page = site.page(
            "Ephemeral Resource",
            name,
            ephemeral.schema(),
            "ephemeral-resources",
            "ephemeral-resource.tf",
        );
        pages.insert(site.path("ephemeral-resources", name), page);
    }
    for (name, list) in provider.lists() {
        let page = site.page(
            "List Resource",
            name,
            list.schema(),
            "list-resources",
            "list-resource.tfquery.hcl",
        );
        pages.insert(site.path("list-resources", name), page);
    }
    for (name, action) in provider.actions() {
        let page = site.page("Action", name, action.schema(), "actions", "action.tf");
        pages.insert(site.path("actions", name), page);
    }
    for (name, function) in provider.functions() {
        pages.insert(format!("functions/{name}.md"), site.function(name, function.signature()));
    }
    pages
}

/// Reads every text file below a folder; what is no text is passed over, and a folder that is not
/// there has none.
///
/// # Errors
/// A file cannot be read.
pub fn read_files(folder: &FilePath) -> io::Result<Files> {
    fn walk(folder: &FilePath, at: &str, files: &mut Files) -> io::Result<()> {
        for entry in std::fs::read_dir(folder)? {
            let entry = entry?;
            let name = entry.file_name().to_string_lossy().into_owned();
            if name.starts_with('.') {
                continue;
            }
            let at = if at.is_empty() { name } else { format!("{at}/{name}") };
            if entry.file_type()?.is_dir() {
                walk(&entry.path(), &at, files)?;
            } else {
                match std::fs::read_to_string(entry.path()) {
                    Ok(text) => drop(files.insert(at, text)),
                    Err(error) if error.kind() == io::ErrorKind::InvalidData => {}
                    Err(error) => return Err(error),
                }
            }
        }
        Ok(())
    }
    let mut files = Files::new();
    if folder.is_dir() {
        walk(folder, "", &mut files)?;
    }
    Ok(files)
}

/// The paths whose text is not what it should be: stale, missing, or a page of nothing that
/// exists. Other folders, such as guides, are left alone.
pub fn stale(there: &Files, generated: &Files) -> Vec<String> {
    const OURS: &[&str] = &[
        "index.md",
        "resources/",
        "data-sources/",
        "ephemeral-resources/",
        "list-resources/",
        "actions/",
        "functions/",
    ];
    let mut stale: Vec<String> = generated
        .iter()
        .filter(|(path, text)| there.get(*path) != Some(text))
        .map(|(path, _)| path.clone())
        .collect();
    stale.extend(
        there
            .keys()
            .filter(|path| OURS.iter().any(|ours| path.starts_with(ours)))
            .filter(|path| !generated.contains_key(*path))
            .cloned(),
    );
    stale.sort();
    stale
}

struct Site<'a> {
    provider: &'a str,
    examples: &'a Files,
}

impl Site<'_> {
    /// The registries leave the provider's name out of the file's.
    fn path(&self, folder: &str, name: &str) -> String {
        let prefix = format!("{}_", self.provider);
        format!("{folder}/{}.md", name.strip_prefix(&prefix).unwrap_or(name))
    }

    fn head(&self, title: &str, description: &str) -> String {
        let mut page = format!("---\npage_title: \"{title}\"\nsubcategory: \"\"\n");
        page.push_str("description: |-\n");
        let first = description.split("\n\n").next().unwrap_or_default();
        if first.is_empty() {
            page.push_str("  \n");
        }
        for line in first.lines() {
            let _ = writeln!(page, "  {line}");
        }
        page.push_str("---\n\n");
        page
    }

    fn example(&self, page: &mut String, heading: &str, language: &str, path: &str) -> bool {
        let Some(text) = self.examples.get(path) else { return false };
        if !heading.is_empty() {
            let _ = write!(page, "{heading}\n\n");
        }
        let _ = write!(page, "```{language}\n{}\n```\n\n", text.trim_end());
        true
    }

    fn index(&self, schema: &Schema) -> String {
        let title = format!("{} Provider", self.provider);
        let mut page = self.head(&title, &schema.description);
        let _ = write!(page, "# {title}\n\n");
        paragraph(&mut page, &schema.description);
        self.example(&mut page, "## Example Usage", "terraform", "provider/provider.tf");
        schema_section(&mut page, &schema.attributes);
        finish(page)
    }

    fn page(&self, what: &str, name: &str, schema: &Schema, folder: &str, example: &str) -> String {
        let mut page = self.top(what, name, schema);
        let path = format!("{folder}/{name}/{example}");
        self.example(&mut page, "## Example Usage", "terraform", &path);
        schema_section(&mut page, &schema.attributes);
        finish(page)
    }

    fn top(&self, what: &str, name: &str, schema: &Schema) -> String {
        let title = format!("{name} {what} - {}", self.provider);
        let mut page = self.head(&title, &schema.description);
        let _ = write!(page, "# {name} ({what})\n\n");
        if let Some(instead) = &schema.deprecation {
            let _ = write!(page, "~> **Deprecated** {instead}\n\n");
        }
        paragraph(&mut page, &schema.description);
        page
    }

    fn resource(&self, name: &str, resource: &dyn AnyResource) -> String {
        let schema = resource.schema();
        let mut page = self.top("Resource", name, schema);
        let folder = format!("resources/{name}");
        let file = |file: &str| format!("{folder}/{file}");
        self.example(&mut page, "## Example Usage", "terraform", &file("resource.tf"));
        schema_section(&mut page, &schema.attributes);
        if resource.can_import() {
            page.push_str("## Import\n\nImport is supported using the following syntax:\n\n");
            if self.examples.contains_key(&file("import-by-string-id.tf")) {
                page.push_str(
                    "In Terraform v1.5.0 and later, and in OpenTofu, the `import` block takes an \
                     `id`:\n\n",
                );
                self.example(&mut page, "", "terraform", &file("import-by-string-id.tf"));
            }
            if let Some(identity) = resource.identity_schema() {
                page.push_str(
                    "In Terraform v1.12.0 and later, the `import` block takes an `identity`:\n\n",
                );
                self.example(&mut page, "", "terraform", &file("import-by-identity.tf"));
                page.push_str("### Identity Schema\n\n");
                modes(&mut page, &identity.attributes, "", "#### ");
            }
            if self.examples.contains_key(&file("import.sh")) {
                page.push_str("The `import` command takes an id:\n\n");
                self.example(&mut page, "", "shell", &file("import.sh"));
            }
        }
        finish(page)
    }

    fn function(&self, name: &str, signature: &Signature) -> String {
        let title = format!("{name} function - {}", self.provider);
        let mut page = self.head(&title, &signature.summary);
        let _ = write!(page, "# function: {name}\n\n");
        if let Some(instead) = &signature.deprecation {
            let _ = write!(page, "~> **Deprecated** {instead}\n\n");
        }
        paragraph(&mut page, &signature.description);
        let path = format!("functions/{name}/function.tf");
        self.example(&mut page, "## Example Usage", "terraform", &path);
        let parameters: Vec<String> = signature
            .parameters
            .iter()
            .map(|parameter| format!("{} {}", parameter.name, parameter.ty))
            .chain(signature.variadic.iter().map(|last| format!("{} {}...", last.name, last.ty)))
            .collect();
        let _ = write!(
            page,
            "## Signature\n\n```text\n{name}({}) {}\n```\n\n",
            parameters.join(", "),
            signature.returns
        );
        if !parameters.is_empty() {
            page.push_str("## Arguments\n\n");
            let mut line = |number: usize, kind: &str, parameter: &Parameter| {
                let null = if parameter.allow_null { ", Nullable" } else { "" };
                let _ = writeln!(
                    page,
                    "{number}. `{}` ({kind}{}{null}) {}",
                    parameter.name,
                    noun(&parameter.ty),
                    indented(&parameter.description, "   ")
                );
            };
            for (index, parameter) in signature.parameters.iter().enumerate() {
                line(index + 1, "", parameter);
            }
            if let Some(last) = &signature.variadic {
                line(signature.parameters.len() + 1, "Variadic, ", last);
            }
        }
        finish(page)
    }
}

/// One newline at the end of a page.
fn finish(page: String) -> String {
    format!("{}\n", page.trim_end())
}

fn paragraph(page: &mut String, text: &str) {
    if !text.is_empty() {
        let _ = write!(page, "{text}\n\n");
    }
}

/// A text inside a list: its further lines stand under the first.
fn indented(text: &str, by: &str) -> String {
    let mut out = String::new();
    for (index, line) in text.lines().enumerate() {
        match (index, line.is_empty()) {
            (0, _) => out.push_str(line),
            (_, true) => out.push('\n'),
            (_, false) => {
                let _ = write!(out, "\n{by}{line}");
            }
        }
    }
    out
}

fn schema_section(page: &mut String, attributes: &[Attribute]) {
    page.push_str("## Schema\n\n");
    if attributes.is_empty() {
        page.push_str("There are no arguments.\n\n");
        return;
    }
    modes(page, attributes, "", "### ");
    nested(page, attributes, "");
}

/// What has a place on the page, in the order of the alphabet.
fn listed(attributes: &[Attribute]) -> Vec<&Attribute> {
    let mut sorted: Vec<&Attribute> = attributes.iter().filter(|one| !one.unlisted).collect();
    sorted.sort_by(|a, b| a.name.cmp(&b.name));
    sorted
}

/// The attributes by who sets them, each group in the order of the alphabet.
fn modes(page: &mut String, attributes: &[Attribute], prefix: &str, heading: &str) {
    let sorted = listed(attributes);
    for (title, wanted) in [("Required", 0), ("Optional", 1), ("Read-Only", 2)] {
        let group: Vec<&&Attribute> = sorted
            .iter()
            .filter(|a| {
                let mode = if a.required {
                    0
                } else if a.optional {
                    1
                } else {
                    2
                };
                mode == wanted
            })
            .collect();
        if group.is_empty() {
            continue;
        }
        if heading.is_empty() {
            let _ = write!(page, "{title}:\n\n");
        } else {
            let _ = write!(page, "{heading}{title}\n\n");
        }
        for attribute in group {
            line(page, attribute, prefix);
        }
        page.push('\n');
    }
}

fn line(page: &mut String, attribute: &Attribute, prefix: &str) {
    let mut words = kind_noun(&attribute.kind);
    for (word, on) in [
        ("Sensitive", attribute.sensitive),
        ("Write-only", attribute.write_only),
        ("Deprecated", attribute.deprecation.is_some()),
    ] {
        if on {
            words = format!("{words}, {word}");
        }
    }
    let mut text = attribute.description.clone();
    let mut add = |sentence: String| {
        if !text.is_empty() {
            text.push(' ');
        }
        text.push_str(&sentence);
    };
    if let Some(default) = attribute.default.as_ref().and_then(literal) {
        add(format!("Default: `{default}`."));
    }
    if attribute.requires_replace {
        add("A change makes a new object.".to_owned());
    }
    if let Some(instead) = &attribute.deprecation {
        add(format!("Deprecated: {instead}"));
    }
    if matches!(attribute.kind, Kind::Nested { .. }) {
        let anchor = anchor(prefix, &attribute.name);
        add(format!("(see [below for nested schema](#{anchor}))"));
    }
    let entry = format!("- `{}` ({words}) {}", attribute.name, indented(&text, "  "));
    page.push_str(entry.trim_end());
    page.push('\n');
}

fn anchor(prefix: &str, name: &str) -> String {
    let path = format!("{prefix}{name}").replace('.', "--");
    format!("nestedatt--{path}")
}

fn nested(page: &mut String, attributes: &[Attribute], prefix: &str) {
    let sorted = listed(attributes);
    for attribute in sorted {
        let Kind::Nested { attributes, .. } = &attribute.kind else { continue };
        let path = format!("{prefix}{}", attribute.name);
        let _ = write!(
            page,
            "<a id=\"{}\"></a>\n### Nested Schema for `{path}`\n\n",
            anchor(prefix, &attribute.name)
        );
        let below = format!("{path}.");
        if attributes.is_empty() {
            page.push_str("There are no arguments.\n\n");
        }
        modes(page, attributes, &below, "");
        nested(page, attributes, &below);
    }
}

fn kind_noun(kind: &Kind) -> String {
    match kind {
        Kind::Type(ty) => noun(ty),
        Kind::Nested { nesting, .. } => match nesting {
            Nesting::Single => "Attributes".to_owned(),
            Nesting::List => "Attributes List".to_owned(),
            Nesting::Set => "Attributes Set".to_owned(),
            Nesting::Map => "Attributes Map".to_owned(),
        },
    }
}

fn noun(ty: &Type) -> String {
    match ty {
        Type::String => "String".to_owned(),
        Type::Bool => "Boolean".to_owned(),
        Type::Number => "Number".to_owned(),
        Type::Dynamic => "Dynamic".to_owned(),
        Type::List(of) => format!("List of {}", noun(of)),
        Type::Set(of) => format!("Set of {}", noun(of)),
        Type::Map(of) => format!("Map of {}", noun(of)),
        Type::Object(_) => "Object".to_owned(),
        Type::Tuple(_) => "Tuple".to_owned(),
    }
}

/// A default as people write it; none for what is long.
fn literal(value: &Value) -> Option<String> {
    match value {
        Value::Bool(value) => Some(value.to_string()),
        Value::Number(number) => Some(number.to_string()),
        Value::String(text) if text.is_empty() => Some("\"\"".to_owned()),
        Value::String(text) => Some(text.clone()),
        Value::List(all) | Value::Set(all) => {
            let all: Option<Vec<String>> = all
                .iter()
                .map(|element| match element {
                    Value::String(text) => Some(format!("{text:?}")),
                    other => literal(other),
                })
                .collect();
            Some(format!("[{}]", all?.join(", ")))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::erased::Call;
    use crate::provider::{Configure, Provider, Server};
    use crate::resource::{
        Create, Delete, Done, Failure, Import, ImportState, Read, Register, Resource, Update,
    };
    use crate::{Diagnostics, Object, model};

    /// A model by hand, so that this crate's own tests need no derive.
    #[derive(Clone, PartialEq)]
    struct Thing(Object);

    impl crate::Model for Thing {
        fn attributes() -> Vec<Attribute> {
            let inner = vec![
                Attribute::new("path", Type::String).required().describe("Where."),
                Attribute::nested(
                    "more",
                    Nesting::List,
                    vec![Attribute::new("x", Type::Bool).optional()],
                )
                .optional(),
                Attribute::nested(
                    "elsewhere",
                    Nesting::Single,
                    vec![Attribute::new("hidden", Type::Bool).optional()],
                )
                .optional()
                .unlisted(),
            ];
            vec![
                Attribute::new("name", Type::String).required().replace().describe("The name."),
                Attribute::new("kind", Type::String).default_to("team").describe("The kind."),
                Attribute::new("id", Type::String).computed(),
                Attribute::new("secret", Type::String).optional().sensitive().write_only(),
                Attribute::nested("sinks", Nesting::Map, inner)
                    .optional()
                    .describe("Copies.\nSeveral."),
            ]
        }

        fn description() -> &'static str {
            "A thing.\n\nIt is there."
        }

        fn read(from: &Object) -> Result<Self, model::Misread> {
            Ok(Self(from.clone()))
        }

        fn write(&self, into: &mut Object) {
            into.extend(self.0.clone());
        }
    }

    struct Things;

    impl Resource for Things {
        type Model = Thing;
        const TYPE_NAME: &'static str = "sample_thing";

        async fn create(&self, request: Create<Thing>) -> Result<Done<Thing>, Failure<Thing>> {
            Ok(request.planned.into())
        }

        async fn read(&self, request: Read<Thing>) -> Result<Option<Done<Thing>>, Diagnostics> {
            Ok(Some(request.state.into()))
        }

        async fn update(&self, request: Update<Thing>) -> Result<Done<Thing>, Failure<Thing>> {
            Ok(request.planned.into())
        }

        async fn delete(&self, _: Delete<Thing>) -> Result<Diagnostics, Failure<Thing>> {
            Ok(Diagnostics::new())
        }
    }

    impl ImportState for Things {
        async fn import(&self, _: Import) -> Result<Done<Thing>, Diagnostics> {
            Ok(model::empty::<Thing>()?.into())
        }
    }

    struct Sample;

    impl Provider for Sample {
        type Model = ();
        const NAME: &'static str = "sample";

        async fn validate(&self, _: &(), _: &Call) -> Diagnostics {
            Diagnostics::new()
        }

        async fn configure(&self, _: (), _: Configure) -> Diagnostics {
            Diagnostics::new()
        }
    }

    fn pages() -> Files {
        let examples = Files::from([
            ("provider/provider.tf".to_owned(), "provider \"sample\" {}\n".to_owned()),
            ("resources/sample_thing/import.sh".to_owned(), "terraform import …\n".to_owned()),
        ]);
        generate(&Server::new(Sample).resource(Things.with_import()), &examples)
    }

    #[test]
    fn what_is_there_only_to_be_refused_is_on_no_page() {
        let named = |page: &String| page.contains("elsewhere") || page.contains("hidden");
        assert!(!pages().values().any(named));
    }

    #[test]
    fn a_page_says_all_that_the_schema_says() {
        let expected = r#"---
page_title: "sample_thing Resource - sample"
subcategory: ""
description: |-
  A thing.
---

# sample_thing (Resource)

A thing.

It is there.

## Schema

### Required

- `name` (String) The name. A change makes a new object.

### Optional

- `kind` (String) The kind. Default: `team`.
- `secret` (String, Sensitive, Write-only)
- `sinks` (Attributes Map) Copies.
  Several. (see [below for nested schema](#nestedatt--sinks))

### Read-Only

- `id` (String)

<a id="nestedatt--sinks"></a>
### Nested Schema for `sinks`

Required:

- `path` (String) Where.

Optional:

- `more` (Attributes List) (see [below for nested schema](#nestedatt--sinks--more))

<a id="nestedatt--sinks--more"></a>
### Nested Schema for `sinks.more`

Optional:

- `x` (Boolean)

## Import

Import is supported using the following syntax:

The `import` command takes an id:

```shell
terraform import …
```
"#;
        assert_eq!(pages()["resources/thing.md"], expected);
        assert!(pages()["index.md"].contains("provider \"sample\" {}"));
    }

    #[cfg(unix)]
    #[test]
    fn a_file_that_is_no_text_is_passed_over_and_one_that_cannot_be_read_is_told() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("a.tf"), "text").unwrap();
        std::fs::write(folder.path().join("b.png"), [0xff, 0xfe]).unwrap();
        let read = read_files(folder.path()).unwrap();
        assert_eq!(read, Files::from([("a.tf".to_owned(), "text".to_owned())]));
        std::os::unix::fs::symlink("nowhere", folder.path().join("c.tf")).unwrap();
        assert!(read_files(folder.path()).is_err());
    }

    #[test]
    fn a_page_that_is_old_missing_or_of_nothing_is_stale() {
        let generated = pages();
        assert!(stale(&generated, &generated).is_empty());
        let mut there = generated.clone();
        there.remove("index.md");
        there.insert("resources/thing.md".to_owned(), "old".to_owned());
        there.insert("resources/gone.md".to_owned(), "x".to_owned());
        there.insert("guides/mine.md".to_owned(), "x".to_owned());
        assert_eq!(
            stale(&there, &generated),
            ["index.md", "resources/gone.md", "resources/thing.md"]
        );
    }
}
