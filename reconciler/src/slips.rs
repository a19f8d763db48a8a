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
    /// How many `.tf` and `.tofu` files there are.
    pub(crate) files: usize,
    /// What was found in them.
    pub(crate) slips: Vec<Slip>,
    /// Files that could not be read, and why.
    pub(crate) unread: Vec<String>,
}

/// The largest file that is read.
const LARGEST: u64 = 16 << 20;

/// Looks through all `.tf` and `.tofu` files of a folder. One that cannot be read hides no other.
pub(crate) fn find(folder: &Path) -> std::io::Result<Looked> {
    let mut files: Vec<PathBuf> = std::fs::read_dir(folder)?
        .filter_map(|entry| entry.ok().map(|entry| entry.path()))
        .filter(|path| path.extension().is_some_and(|ending| ending == "tf" || ending == "tofu"))
        .collect();
    files.sort();
    let mut looked = Looked { files: files.len(), ..Looked::default() };
    for file in files {
        let read = read(&file).map_err(|error| error.to_string());
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

/// The parts of the text to leave out, so that an expression gives the object: `.id` behind
/// `<wanted>.<name>…`, in either branch of a condition, and the quotes where it stands in them.
fn cuts_of(expression: &Expression, wanted: &str, text: &str, cuts: &mut Vec<Range<usize>>) {
    match expression {
        Expression::Traversal(traversal) => cuts.extend(id_at_the_end(traversal, wanted, text)),
        Expression::Parenthesis(inner) => cuts_of(inner.inner(), wanted, text, cuts),
        Expression::Conditional(condition) => {
            cuts_of(&condition.true_expr, wanted, text, cuts);
            cuts_of(&condition.false_expr, wanted, text, cuts);
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

/// Where `.id` stands in `<wanted>.<name>….id`.
fn id_at_the_end(traversal: &Traversal, wanted: &str, text: &str) -> Option<Range<usize>> {
    let root = matches!(&traversal.expr, Expression::Variable(name) if name.as_str() == wanted);
    let last = traversal.operators.last().filter(|_| root)?;
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
        ] {
            assert_eq!(corrected(expression), [expected], "{expression}");
        }
        for right in [
            "nhi_integration.x",
            "{ id = nhi_integration.x.id }",
            "\"a-${nhi_integration.x.id}\"",
            "nhi_owner.x.id",
            "module.x.id",
        ] {
            assert_eq!(corrected(right), Vec::<String>::new(), "{right}");
        }
    }

    #[test]
    fn each_line_of_a_condition_is_corrected_by_itself() {
        let lines = "var.old ? (\n    nhi_integration.x.id\n  ) : nhi_integration.y.id";
        assert_eq!(corrected(lines), ["nhi_integration.x", ") : nhi_integration.y"]);
    }
}
