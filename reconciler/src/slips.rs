//! The slip that everybody makes once: `.id` where the whole object is wanted.
//!
//! The core's own message for it, "object required", names neither the cause nor the cure, and no
//! provider can word it. So `nhi doctor --hcl DIR` looks for it in the text.

use std::path::{Path, PathBuf};

use hcl_edit::{
    expr::{Expression, TraversalOperator},
    structure::{Body, Structure},
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

/// Looks through all `.tf` files of a folder, and reports files that could not be read as text.
pub(crate) fn find(folder: &Path) -> std::io::Result<(Vec<Slip>, Vec<String>)> {
    let mut files: Vec<PathBuf> = std::fs::read_dir(folder)?
        .filter_map(|entry| entry.ok().map(|entry| entry.path()))
        .filter(|path| path.extension().is_some_and(|ending| ending == "tf"))
        .collect();
    files.sort();
    let (mut slips, mut unread) = (Vec::new(), Vec::new());
    for file in files {
        let text = std::fs::read_to_string(&file)?;
        match text.parse::<Body>() {
            Ok(body) => slips_of(&file, &text, &body, &mut slips),
            Err(error) => unread.push(format!("{}: {error}", file.display())),
        }
    }
    Ok((slips, unread))
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
            if !ends_in_id(&found.value, wanted) {
                continue;
            }
            // The text around is kept, so the correction can be pasted.
            let Some(span) = hcl_edit::Span::span(found) else { continue };
            let begin = text[..span.start].rfind('\n').map_or(0, |at| at + 1);
            let end = text[span.start..].find('\n').map_or(text.len(), |at| span.start + at);
            let line = &text[begin..end];
            let Some(at) = line.rfind(".id") else { continue };
            slips.push(Slip {
                file: file.to_owned(),
                line: text[..begin].matches('\n').count() + 1,
                address: format!("{kind}.{name}"),
                found: line.trim().to_owned(),
                corrected: format!("{}{}", &line[..at], &line[at + 3..]).trim().to_owned(),
            });
        }
    }
}

/// Whether an expression is `<wanted>.<name>….id`.
fn ends_in_id(expression: &Expression, wanted: &str) -> bool {
    let Expression::Traversal(traversal) = expression else { return false };
    let root = matches!(&traversal.expr, Expression::Variable(name) if name.as_str() == wanted);
    let last = traversal.operators.last().map(|operator| operator.value());
    root && matches!(last, Some(TraversalOperator::GetAttr(name)) if name.as_str() == "id")
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
        let (slips, unread) = find(folder.path()).unwrap();
        assert_eq!(unread.len(), 1);
        let [slip] = &slips[..] else { panic!("{slips:?}") };
        assert_eq!((slip.line, slip.address.as_str()), (3, "nhi_scope.x"));
        assert_eq!(slip.corrected, "integration = nhi_integration.x[\"a\"] # why not");
    }
}
