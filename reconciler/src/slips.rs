//! The slip that everybody makes once: `.id`, or another of its attributes, where the whole object is
//! wanted.
//!
//! The core's own message for it, "object required", names neither the cause nor the cure, and no
//! provider can word it. So `nhi doctor --hcl DIR` looks for it in the text.

use std::{
    collections::{BTreeMap, BTreeSet},
    ops::Range,
    path::{Path, PathBuf},
};

use hcl_edit::{
    Span,
    expr::{Expression, FuncCall, Traversal, TraversalOperator},
    structure::{Body, Structure},
    template::{Element, Template},
    visit::{Visit, visit_func_call},
};
use serde_json::Value;

/// Attributes that take a whole resource, by the kind of block and its type, with the type that they
/// take.
const REFERENCES: &[(&str, &str, &str, &str)] = &[
    ("resource", "nhi_integration", "business_owner", "nhi_owner"),
    ("resource", "nhi_integration", "technical_owner", "nhi_owner"),
    ("resource", "nhi_scope", "integration", "nhi_integration"),
    ("resource", "nhi_credential", "integration", "nhi_integration"),
    ("resource", "nhi_credential", "schedule", "nhi_rotation_schedule"),
    ("ephemeral", "nhi_access_token", "integration", "nhi_integration"),
    ("ephemeral", "nhi_access_token", "credential", "nhi_credential"),
    ("ephemeral", "nhi_credential_secret", "credential", "nhi_credential"),
];

/// What a holder takes of an object that it is given whole, by the type that it takes. What a
/// variable's type leaves out, the core drops without a word.
const TAKEN: &[(&str, &str, &[&str])] = &[
    ("nhi_integration", "nhi_owner", &["id", "email", "status"]),
    ("nhi_scope", "nhi_integration", &["id", "vendor_id", "environment", "ceiling", "adoption"]),
    (
        "nhi_credential",
        "nhi_integration",
        &[
            "id",
            "vendor_id",
            "environment",
            "technical_owner",
            "expires_on",
            "state",
            "adoption",
            "incident",
        ],
    ),
];

/// The function whose first argument is a whole resource, with the type that it takes.
const FUNCTION: (&str, &str) = ("next_rotation", "nhi_credential");

/// What stands in the text of each local value that has one line.
type Locals = BTreeMap<String, String>;

/// A part of a text, and what is to stand there instead.
type Cut = (Range<usize>, String);

/// One slip.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Slip {
    /// The file.
    pub(crate) file: PathBuf,
    /// The line, from one.
    pub(crate) line: usize,
    /// The block's address in its module, or the function that is called.
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
    let mut read_ones = Vec::new();
    for file in files {
        match read(&file).map_err(|error| error.to_string()).and_then(|text| parse(&file, text)) {
            Ok(one) => read_ones.push((file, one)),
            Err(why) => looked.unread.push(format!("{}: {why}", file.display())),
        }
    }
    let locals = locals(&read_ones);
    for (file, one) in &read_ones {
        match one {
            Parsed::Native(text, body) => {
                slips_of(file, text, body, &locals, &mut looked.slips);
            }
            Parsed::Json(text, all) => {
                in_json(file, text, all, &locals, &mut looked.slips);
                calls_in_json(file, text, all, &locals, &mut looked.slips);
            }
        }
    }
    looked.slips.extend(narrow_types(&read_ones));
    Ok(looked)
}

/// A file, with its text.
enum Parsed {
    Native(String, Body),
    Json(String, Value),
}

fn parse(file: &Path, text: String) -> Result<Parsed, String> {
    if file.extension().is_some_and(|ending| ending == "json") {
        let all = serde_json::from_str(&text).map_err(|error| error.to_string())?;
        return Ok(Parsed::Json(text, all));
    }
    match text.parse::<Body>() {
        Ok(body) => Ok(Parsed::Native(text, body)),
        Err(error) => Err(error.to_string()),
    }
}

/// The local values of all files: each may be used in any other.
fn locals(files: &[(PathBuf, Parsed)]) -> Locals {
    let mut found = Locals::new();
    for (_, one) in files {
        match one {
            Parsed::Native(text, body) => {
                let blocks = body.blocks().filter(|block| block.ident.as_str() == "locals");
                for attribute in blocks.flat_map(|block| block.body.attributes()) {
                    let value = attribute.value.span().and_then(|span| text.get(span));
                    let name = attribute.key.as_str().to_owned();
                    found.extend(value.map(|value| (name, value.to_owned())));
                }
            }
            Parsed::Json(_, all) => {
                let blocks = match &all["locals"] {
                    Value::Array(blocks) => blocks.as_slice(),
                    block => std::slice::from_ref(block),
                };
                for (name, value) in blocks.iter().filter_map(Value::as_object).flatten() {
                    let value = value.as_str().and_then(whole_template);
                    found.extend(value.map(|value| (name.clone(), value.to_owned())));
                }
            }
        }
    }
    // What has several lines cannot stand in the place of its name.
    found.retain(|_, value| !value.contains('\n'));
    found
}

/// What stands in a template that is nothing but one expression.
fn whole_template(template: &str) -> Option<&str> {
    template.strip_prefix("${")?.strip_suffix('}')
}

/// Variables that are handed on whole to what takes more of them than their type has.
fn narrow_types(files: &[(PathBuf, Parsed)]) -> Vec<Slip> {
    // By name: what is taken, and who takes it.
    let mut taken: BTreeMap<&str, (BTreeSet<&str>, &str)> = BTreeMap::new();
    let natives = || {
        files.iter().filter_map(|(file, one)| match one {
            Parsed::Native(text, body) => Some((file, text, body)),
            Parsed::Json(..) => None,
        })
    };
    for block in natives().flat_map(|(_, _, body)| body.blocks()) {
        let kind = block.labels.first().map(|label| label.as_str()).unwrap_or_default();
        if block.ident.as_str() != "resource" {
            continue;
        }
        for (_, holder, attribute, wanted) in REFERENCES.iter().filter(|one| one.1 == kind) {
            let all = TAKEN.iter().find(|(by, of, _)| (by, of) == (holder, wanted));
            let name = block.body.get_attribute(attribute).and_then(|one| variable(&one.value));
            if let (Some((_, _, all)), Some(name)) = (all, name) {
                let (attributes, by) = taken.entry(name).or_default();
                attributes.extend(*all);
                *by = holder;
            }
        }
    }
    let mut slips = Vec::new();
    for (file, text, body) in natives() {
        for block in body.blocks().filter(|block| block.ident.as_str() == "variable") {
            let Some(name) = block.labels.first().map(|label| label.as_str()) else { continue };
            let declared = block.body.get_attribute("type").map(|one| &one.value);
            let (Some((wanted, by)), Some(Expression::FuncCall(object))) =
                (taken.get(name), declared)
            else {
                continue;
            };
            let Some(Expression::Object(has)) = object.args.iter().next() else { continue };
            let named = has.iter().filter_map(|(key, _)| key.as_ident()).map(|one| one.as_str());
            let named: BTreeSet<&str> = named.collect();
            let lacks: Vec<&str> = wanted.difference(&named).copied().collect();
            let Some(span) = object.span().filter(|_| object.name.name.as_str() == "object") else {
                continue;
            };
            if lacks.is_empty() {
                continue;
            }
            let instead = format!("any /* {by} takes {} too */", lacks.join(", "));
            let address = format!("var.{name}");
            let end = text[span.start..].find('\n').map_or(text.len(), |at| span.start + at);
            // A type of several lines is told at its first one.
            let cut = span.start..span.end.min(end);
            line_by_line(file, text, vec![(cut, instead)], &address, &mut slips);
        }
    }
    slips
}

/// The variable that is handed on whole.
fn variable(expression: &Expression) -> Option<&str> {
    let Expression::Traversal(traversal) = expression else { return None };
    let (Expression::Variable(root), [only]) = (&traversal.expr, traversal.operators.as_slice())
    else {
        return None;
    };
    match only.value() {
        TraversalOperator::GetAttr(name) if root.as_str() == "var" => Some(name.as_str()),
        _ => None,
    }
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

fn slips_of(file: &Path, text: &str, body: &Body, locals: &Locals, slips: &mut Vec<Slip>) {
    for structure in body {
        let Structure::Block(block) = structure else { continue };
        let labels: Vec<&str> = block.labels.iter().map(|label| label.as_str()).collect();
        let [kind, name] = labels[..] else { continue };
        let of_it =
            |one: &&(&str, &str, &str, &str)| one.0 == block.ident.as_str() && one.1 == kind;
        for (block_kind, _, attribute, wanted) in REFERENCES.iter().filter(of_it) {
            let Some(found) = block.body.get_attribute(attribute) else { continue };
            let mut cuts = Vec::new();
            cuts_of(&found.value, wanted, text, locals, &mut cuts);
            let address = match *block_kind {
                "resource" => format!("{kind}.{name}"),
                other => format!("{other}.{kind}.{name}"),
            };
            line_by_line(file, text, cuts, &address, slips);
        }
    }
    let mut calls = Calls { text, locals, cuts: Vec::new() };
    calls.visit_body(body);
    let address = format!("provider::nhi::{}", FUNCTION.0);
    line_by_line(file, text, calls.cuts, &address, slips);
}

/// A line each: what is around is kept, so the correction can be pasted.
fn line_by_line(file: &Path, text: &str, cuts: Vec<Cut>, address: &str, slips: &mut Vec<Slip>) {
    let mut lines: BTreeMap<usize, Vec<Cut>> = BTreeMap::new();
    for cut in cuts {
        let begin = text[..cut.0.start].rfind('\n').map_or(0, |at| at + 1);
        lines.entry(begin).or_default().push(cut);
    }
    for (begin, mut cuts) in lines {
        let end = text[begin..].find('\n').map_or(text.len(), |at| begin + at);
        let mut corrected = text[begin..end].to_owned();
        cuts.sort_by_key(|(cut, _)| std::cmp::Reverse(cut.start));
        for (cut, instead) in cuts.into_iter().filter(|(cut, _)| cut.end <= end) {
            corrected.replace_range(cut.start - begin..cut.end - begin, &instead);
        }
        slips.push(Slip {
            file: file.to_owned(),
            line: text[..begin].matches('\n').count() + 1,
            address: address.to_owned(),
            found: text[begin..end].trim().to_owned(),
            corrected: corrected.trim().to_owned(),
        });
    }
}

/// Calls of [`FUNCTION`], wherever they stand.
struct Calls<'a> {
    text: &'a str,
    locals: &'a Locals,
    cuts: Vec<Cut>,
}

impl Visit for Calls<'_> {
    fn visit_func_call(&mut self, call: &FuncCall) {
        let is_ours = call.name.namespace.first().is_some_and(|one| one.as_str() == "provider")
            && call.name.name.as_str() == FUNCTION.0;
        if let Some(argument) = call.args.iter().next().filter(|_| is_ours) {
            cuts_of(argument, FUNCTION.1, self.text, self.locals, &mut self.cuts);
        }
        visit_func_call(self, call);
    }
}

/// The same in the JSON form, where every expression stands in a text: `"${…}"`.
fn in_json(file: &Path, text: &str, all: &Value, locals: &Locals, slips: &mut Vec<Slip>) {
    for (block, kind, attribute, wanted) in REFERENCES {
        let named = all[block][kind].as_object().into_iter().flatten();
        for (name, body) in named {
            let bodies = body.as_array().map_or(std::slice::from_ref(body), Vec::as_slice);
            for value in bodies.iter().filter_map(|body| body[attribute].as_str()) {
                let corrected =
                    whole_template(value).and_then(|one| corrected(one, wanted, locals));
                let Some(corrected) = corrected.map(|one| format!("${{{one}}}")) else { continue };
                let address = match *block {
                    "resource" => format!("{kind}.{name}"),
                    other => format!("{other}.{kind}.{name}"),
                };
                slips.push(json_slip(file, text, value, &corrected, address));
            }
        }
    }
}

/// Calls of [`FUNCTION`] in the JSON form, in whatever text they stand.
fn calls_in_json(file: &Path, text: &str, all: &Value, locals: &Locals, slips: &mut Vec<Slip>) {
    match all {
        Value::String(value) if value.contains(FUNCTION.0) => {
            let Ok(template) = value.parse::<Template>() else { return };
            let mut calls = Calls { text: value, locals, cuts: Vec::new() };
            calls.visit_template(&template);
            if !calls.cuts.is_empty() {
                let corrected = cut(value, calls.cuts);
                let address = format!("provider::nhi::{}", FUNCTION.0);
                slips.push(json_slip(file, text, value, &corrected, address));
            }
        }
        Value::Array(all) => {
            all.iter().for_each(|one| calls_in_json(file, text, one, locals, slips));
        }
        Value::Object(all) => {
            all.values().for_each(|one| calls_in_json(file, text, one, locals, slips));
        }
        _ => {}
    }
}

/// A slip in a text of the JSON form, with the line that the text stands in.
fn json_slip(file: &Path, text: &str, value: &str, corrected: &str, address: String) -> Slip {
    // As it stands in the file, escapes and all.
    let stands = Value::from(value).to_string();
    let line = text.lines().position(|line| line.contains(&stands));
    let found = line.and_then(|at| text.lines().nth(at)).unwrap_or(&stands).trim();
    Slip {
        file: file.to_owned(),
        line: line.map_or(1, |at| at + 1),
        address,
        found: found.to_owned(),
        corrected: found.replace(&stands, &Value::from(corrected).to_string()),
    }
}

/// A text with its cuts made.
fn cut(text: &str, mut cuts: Vec<Cut>) -> String {
    let mut corrected = text.to_owned();
    cuts.sort_by_key(|(cut, _)| std::cmp::Reverse(cut.start));
    for (cut, instead) in &cuts {
        corrected.replace_range(cut.clone(), instead);
    }
    corrected
}

/// An expression so that it gives the object; nothing where it does, or where nobody can tell.
fn corrected(expression: &str, wanted: &str, locals: &Locals) -> Option<String> {
    let text = format!("it = {expression}\n");
    let body = text.parse::<Body>().ok()?;
    let mut cuts = Vec::new();
    cuts_of(&body.get_attribute("it")?.value, wanted, &text, locals, &mut cuts);
    let is_right = cuts.is_empty();
    let corrected = cut(&text, cuts);
    let whole = corrected.trim_start_matches("it = ").trim_end();
    (!is_right).then(|| whole.to_owned())
}

/// What of the text is to be another, so that an expression gives the object: `.id` behind
/// `<wanted>.<name>…` or what holds it is left out, in either branch of a condition, in what `try` may
/// give, and the quotes where it stands in them; and what a local value holds stands in its place.
fn cuts_of(
    expression: &Expression,
    wanted: &str,
    text: &str,
    locals: &Locals,
    cuts: &mut Vec<Cut>,
) {
    match expression {
        Expression::Traversal(traversal) => {
            let cut = attribute_at_the_end(traversal, wanted, text).map(|cut| (cut, String::new()));
            cuts.extend(cut.or_else(|| in_place_of_a_local(traversal, wanted, locals)));
        }
        Expression::Parenthesis(inner) => cuts_of(inner.inner(), wanted, text, locals, cuts),
        Expression::Conditional(condition) => {
            cuts_of(&condition.true_expr, wanted, text, locals, cuts);
            cuts_of(&condition.false_expr, wanted, text, locals, cuts);
        }
        // What these give is one of what they are given.
        Expression::FuncCall(call) if matches!(call.name.name.as_str(), "try" | "coalesce") => {
            for argument in call.args.iter() {
                cuts_of(argument, wanted, text, locals, cuts);
            }
        }
        Expression::StringTemplate(template) => {
            let mut elements = template.iter();
            let (Some(Element::Interpolation(inner)), None) = (elements.next(), elements.next())
            else {
                return;
            };
            let before = cuts.len();
            cuts_of(&inner.expr, wanted, text, locals, cuts);
            if cuts.len() > before
                && let (Some(whole), Some(inner)) = (template.span(), inner.expr.span())
            {
                let quotes = [whole.start..inner.start, inner.end..whole.end];
                cuts.extend(quotes.map(|cut| (cut, String::new())));
            }
        }
        _ => {}
    }
}

/// Where `.id` stands behind what is an object, or holds one: `<wanted>.<name>….id`, `each.value.id`,
/// `local.<name>.id`, `module.<name>.<output>.id`, and behind a call that is given `<wanted>.<name>`.
/// Of an object that is surely the wanted one, `.name` and `.vendor_id` are no object either.
fn attribute_at_the_end(traversal: &Traversal, wanted: &str, text: &str) -> Option<Range<usize>> {
    // How many names there are before one that may be cut: an output may itself be called `id`.
    let (before, surely) = match &traversal.expr {
        Expression::Variable(root) => match root.as_str() {
            root if root == wanted => (1, true),
            "each" | "local" | "var" => (1, false),
            "module" => (2, false),
            _ => return None,
        },
        Expression::FuncCall(call) => {
            let named = format!("{wanted}.");
            if !text.get(call.span()?)?.contains(&named) {
                return None;
            }
            (0, false)
        }
        _ => return None,
    };
    let last = traversal.operators.last().filter(|_| traversal.operators.len() > before)?;
    let TraversalOperator::GetAttr(name) = last.value() else { return None };
    if !(name.as_str() == "id" || surely && matches!(name.as_str(), "name" | "vendor_id")) {
        return None;
    }
    let span = name.span()?;
    let dot = text[..span.start].rfind('.')?;
    Some(dot..span.end)
}

/// What stands in the place of `local.<name>` where that holds an id.
fn in_place_of_a_local(traversal: &Traversal, wanted: &str, locals: &Locals) -> Option<Cut> {
    let Expression::Variable(root) = &traversal.expr else { return None };
    let [only] = traversal.operators.as_slice() else { return None };
    let TraversalOperator::GetAttr(name) = only.value() else { return None };
    if root.as_str() != "local" {
        return None;
    }
    // One that holds another is followed, and none twice: two may hold each other.
    let mut others = locals.clone();
    let held = others.remove(name.as_str())?;
    let object = corrected(&held, wanted, &others)?;
    Some((traversal.span()?, object))
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
            ("nhi_integration.x.vendor_id", "nhi_integration.x"),
            ("nhi_integration.x[\"a\"].name", "nhi_integration.x[\"a\"]"),
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
            "nhi_integration.name",
            "each.value.name",
            "local.of.vendor_id",
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
    fn it_is_found_where_a_local_value_holds_an_id() {
        let folder = tempfile::tempdir().unwrap();
        let locals = "locals {\n  app = nhi_integration.x.id\n  whole = nhi_integration.x\n\
                      other = nhi_owner.x.id\n  circle = local.circle\n  ring = local.gnir\n  gnir = local.ring\n\
                      way = local.app\n  far = try(local.way, null)\n}\n";
        std::fs::write(folder.path().join("locals.tf"), locals).unwrap();
        let json = r#"{"locals": {"of_json": "${nhi_integration.y.id}"}}"#;
        std::fs::write(folder.path().join("locals.tf.json"), json).unwrap();
        for (expression, expected) in [
            ("local.app", Some("nhi_integration.x")),
            ("\"${local.app}\" # app", Some("nhi_integration.x # app")),
            ("local.of_json", Some("nhi_integration.y")),
            ("local.whole", None),
            ("local.other", None),
            ("local.circle", None),
            ("local.ring", None),
            ("local.way", Some("nhi_integration.x")),
            ("local.far", Some("try(nhi_integration.x, null)")),
            ("local.none", None),
        ] {
            let text =
                format!("resource \"nhi_scope\" \"x\" {{\n  integration = {expression}\n}}\n");
            std::fs::write(folder.path().join("main.tf"), text).unwrap();
            let found = find(folder.path()).unwrap().slips;
            let found: Vec<String> = found.into_iter().map(|slip| slip.corrected).collect();
            let expected: Vec<String> =
                expected.into_iter().map(|one| format!("integration = {one}")).collect();
            assert_eq!(found, expected, "{expression}");
        }
    }

    /// Each slip with its line, corrected. All could be read.
    fn told(looked: &Looked) -> Vec<(&str, usize, &str)> {
        assert!(looked.unread.is_empty(), "{:?}", looked.unread);
        let slips = looked.slips.iter();
        slips.map(|slip| (slip.address.as_str(), slip.line, slip.corrected.as_str())).collect()
    }

    #[test]
    fn it_is_found_in_ephemeral_blocks_and_in_calls_of_our_function() {
        let folder = tempfile::tempdir().unwrap();
        let text = "ephemeral \"nhi_access_token\" \"t\" {\n  integration = nhi_integration.y.id\n\
                    credential = nhi_credential.y.id\n}\n\
                    ephemeral \"nhi_credential_secret\" \"t\" {\n  credential = nhi_credential.y\n}\n\
                    output \"o\" {\n  value = upper(provider::nhi::next_rotation(nhi_credential.y.id))\n}\n\
                    output \"right\" {\n  value = provider::nhi::next_rotation({ id = nhi_credential.y.id })\n}\n\
                    output \"other\" {\n  value = provider::other::of(nhi_credential.y.id)\n}\n";
        std::fs::write(folder.path().join("main.tf"), text).unwrap();
        let json = r#"{"ephemeral": {"nhi_credential_secret": {"j": {"credential": "${nhi_credential.y.id}"}}}}"#;
        std::fs::write(folder.path().join("other.tf.json"), json).unwrap();
        let looked = find(folder.path()).unwrap();
        let found = told(&looked);
        let token = "ephemeral.nhi_access_token.t";
        let all = r#"{"ephemeral": {"nhi_credential_secret": {"j": {"credential": "${nhi_credential.y}"}}}}"#;
        let expected = [
            (token, 2, "integration = nhi_integration.y"),
            (token, 3, "credential = nhi_credential.y"),
            (
                "provider::nhi::next_rotation",
                9,
                "value = upper(provider::nhi::next_rotation(nhi_credential.y))",
            ),
            ("ephemeral.nhi_credential_secret.j", 1, all),
        ];
        assert_eq!(found, expected);
    }

    #[test]
    fn it_is_found_in_calls_in_the_json_form_in_whatever_text_they_stand() {
        let folder = tempfile::tempdir().unwrap();
        let text = r#"{"output": {"o": {
"value": "at ${upper(provider::nhi::next_rotation(nhi_credential.y[\"a\"].id))} or later"},
"right": {"value": "${provider::nhi::next_rotation(nhi_credential.y)}"}},
"locals": [{"all": ["${provider::nhi::next_rotation(local.key)}"], "key": "${nhi_credential.z.id}"}]}"#;
        std::fs::write(folder.path().join("main.tf.json"), text).unwrap();
        let looked = find(folder.path()).unwrap();
        let mut found: Vec<(usize, String)> =
            looked.slips.into_iter().map(|slip| (slip.line, slip.corrected)).collect();
        found.sort();
        let first = r#""value": "at ${upper(provider::nhi::next_rotation(nhi_credential.y[\"a\"]))} or later"},"#;
        let second = r#""locals": [{"all": ["${provider::nhi::next_rotation(nhi_credential.z)}"], "key": "${nhi_credential.z.id}"}]}"#;
        assert_eq!(found, [(2, first.to_owned()), (4, second.to_owned())]);
    }

    #[test]
    fn a_variable_whose_type_leaves_out_what_is_taken_of_it_is_found() {
        let folder = tempfile::tempdir().unwrap();
        let text = "resource \"nhi_integration\" \"x\" {\n  business_owner = var.owner\n  technical_owner = var.whole\n}\n\
                    resource \"nhi_scope\" \"x\" {\n  integration = var.app\n}\n\
                    resource \"other\" \"x\" {\n  integration = var.others\n}\n";
        std::fs::write(folder.path().join("main.tf"), text).unwrap();
        let narrow = "variable \"owner\" { type = object({ id = string }) }\n\
                      variable \"whole\" {\n  type = object({ id = string, email = optional(string), status = optional(string) })\n}\n\
                      variable \"app\" {\n  type = object({\n    id = string\n    ceiling = any\n  })\n}\n\
                      variable \"others\" {\n  type = object({ id = string })\n}\n\
                      variable \"unused\" {\n  type = object({ id = string })\n}\n";
        std::fs::write(folder.path().join("variables.tf"), narrow).unwrap();
        let looked = find(folder.path()).unwrap();
        let found = told(&looked);
        let expected = [
            (
                "var.owner",
                1,
                "variable \"owner\" { type = any /* nhi_integration takes email, status too */ }",
            ),
            ("var.app", 6, "type = any /* nhi_scope takes adoption, environment, vendor_id too */"),
        ];
        assert_eq!(found, expected);
    }

    #[test]
    fn what_is_taken_of_an_object_is_what_the_pages_of_the_provider_say() {
        for (holder, wanted, attributes) in TAKEN {
            let name = holder.trim_start_matches("nhi_");
            let page = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/resources/");
            let page = std::fs::read_to_string(format!("{page}{name}.md")).unwrap();
            let attribute = REFERENCES.iter().find(|one| (one.1, one.3) == (*holder, *wanted));
            let heading = format!("### Nested Schema for `{}`\n", attribute.unwrap().2);
            let nested = page.split(&heading).nth(1).expect(&heading);
            let nested = nested.split("\n### ").next().unwrap();
            let named =
                nested.lines().filter_map(|line| line.strip_prefix("- `")?.split('`').next());
            let (named, ours): (BTreeSet<&str>, _) =
                (named.collect(), attributes.iter().copied().collect());
            assert_eq!(named, ours, "{holder}");
        }
    }

    #[test]
    fn each_line_of_a_condition_is_corrected_by_itself() {
        let lines = "var.old ? (\n    nhi_integration.x.id\n  ) : nhi_integration.y.id";
        assert_eq!(corrected(lines), ["nhi_integration.x", ") : nhi_integration.y"]);
    }
}
