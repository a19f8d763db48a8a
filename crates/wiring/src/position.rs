//! Where in a text something stands that an error names by its members.

use std::ops::Range;

use hcl_edit::{
    Span as _,
    expr::{Expression, ObjectKey},
    structure::Body,
};

use crate::tree::Place;

/// Line and column, counted from 1, of what stands at a place in a text; where it is not there, of what
/// it would stand in. Nothing where the text cannot be read or the place is all of it.
pub fn position(text: &str, place: &Place) -> Option<(usize, usize)> {
    let read = text.strip_prefix('\u{feff}').unwrap_or(text);
    let body: Body = read.parse().ok()?;
    let mut steps = place.steps().iter();
    let attribute = body.get_attribute(steps.next()?)?;
    let mut found = attribute.key.span();
    let mut value = &attribute.value;
    for step in steps {
        let Some((span, inner)) = inner(value, step) else { break };
        (found, value) = (span.or(found), inner);
    }
    let start = found?.start;
    let before = read.get(..start)?;
    let line = before.matches('\n').count() + 1;
    let column = before.rsplit('\n').next().map_or(0, |last| last.chars().count()) + 1;
    Some((line, column))
}

fn inner<'a>(value: &'a Expression, step: &str) -> Option<(Option<Range<usize>>, &'a Expression)> {
    match value {
        Expression::Parenthesis(inside) => inner(inside.inner(), step),
        Expression::Array(all) => {
            let one = all.get(step.parse().ok()?)?;
            Some((one.span(), one))
        }
        Expression::Object(all) => all.iter().find_map(|(key, value)| {
            let (name, span) = match key {
                ObjectKey::Ident(name) => (name.as_str(), name.span()),
                ObjectKey::Expression(Expression::String(name)) => (name.as_str(), name.span()),
                ObjectKey::Expression(Expression::Variable(name)) => (name.as_str(), name.span()),
                ObjectKey::Expression(_) => return None,
            };
            (name == step).then(|| (span, value.expr()))
        }),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "\u{feff}# ours\nreview = {\n  quorum = {\n    high = { people = 2 }\n  }\n  \
                        impact = [\n    { level = \"low\" },\n    { \"when\" = {}, é = 1 },\n  ]\n}\n";

    fn at(steps: &[&str]) -> Option<(usize, usize)> {
        position(TEXT, &steps.iter().fold(Place::default(), |place, step| place.join(step)))
    }

    #[test]
    fn a_member_is_found_where_it_stands_and_one_that_is_missing_where_it_would_be() {
        assert_eq!(at(&["review"]), Some((2, 1)));
        assert_eq!(at(&["review", "quorum", "high", "people"]), Some((4, 14)));
        assert_eq!(at(&["review", "impact", "1", "when"]), Some((8, 7)));
        assert_eq!(at(&["review", "impact", "0"]), Some((7, 5)));
        assert_eq!(at(&["review", "quorum", "low"]), Some((3, 3)));
        assert_eq!(at(&["review", "impact", "7", "when"]), Some((6, 3)));
        assert_eq!(at(&[]), None);
        assert_eq!(at(&["other"]), None);
        assert_eq!(position("a = ", &Place::default().join("a")), None);
    }
}
