//! What is known offline fits together.

use std::collections::BTreeSet;

use domain::{Direction, Scope, Span};

use crate::{Default, Field, FieldType};

use super::{Fixture, Held, claims, ensure, kind};

pub(super) async fn every_kind_is_named_after_its_platform(fixture: &dyn Fixture) -> Held {
    let platform = fixture.platform();
    for kind in platform.kinds() {
        let prefix = format!("{}_", platform.name());
        ensure(kind.name.starts_with(&prefix), || format!("{} is not {prefix}…", kind.name))?;
        ensure(!kind.doc.is_empty(), || format!("{} is not described", kind.name))?;
        ensure((kind.refuse_name)("").is_some(), || format!("{} takes an empty name", kind.name))?;
        ensure((kind.refuse_name)("t-plain").is_none(), || {
            format!("{} refuses a plain name", kind.name)
        })?;
        for one in kind.credential_types {
            ensure(one.name.starts_with(&prefix), || format!("{} is not {prefix}…", one.name))?;
            ensure(!one.profiles.is_empty() && !one.main.is_empty(), || {
                format!("{} has no way of issuing, or nothing to deliver", one.name)
            })?;
        }
    }
    Ok(())
}

pub(super) async fn every_field_has_a_default_that_fits_its_type(fixture: &dyn Fixture) -> Held {
    let platform = fixture.platform();
    let kinds = platform.kinds().iter();
    let credential_types = kinds.clone().flat_map(|kind| kind.credential_types.iter());
    let tables = kinds
        .map(|kind| kind.fields)
        .chain(credential_types.map(|one| one.fields))
        .chain([platform.connection_fields()]);
    for fields in tables {
        let names: BTreeSet<&str> = fields.iter().map(|field| field.name).collect();
        ensure(names.len() == fields.len(), || "two fields have one name".into())?;
        for field in fields {
            fits(field)?;
        }
    }
    Ok(())
}

fn fits(field: &Field) -> Held {
    ensure(!field.doc.is_empty() && !field.name.is_empty(), || {
        format!("{field:?} is not described")
    })?;
    ensure(!field.required || matches!(field.default, Default::None), || {
        format!("{} must be set and has a default", field.name)
    })?;
    let good = match (field.default, field.field_type) {
        (Default::None | Default::Vendor, _) => true,
        (Default::Ours(text), FieldType::Span) => text.parse::<Span>().is_ok(),
        (Default::Ours(text), FieldType::Flag) => text.parse::<bool>().is_ok(),
        (Default::Ours(text), FieldType::Count) => text.parse::<i64>().is_ok(),
        (Default::Ours(text), FieldType::Word(words)) => words.contains(&text),
        (Default::Ours(_), FieldType::Text | FieldType::Date) => true,
        (Default::OursTexts(_), FieldType::Texts | FieldType::Cidrs | FieldType::Uris) => true,
        _ => false,
    };
    ensure(good, || format!("{}: {:?} is no {:?}", field.name, field.default, field.field_type))
}

pub(super) async fn a_scope_is_parsed_into_itself(fixture: &dyn Fixture) -> Held {
    let platform = fixture.platform();
    for scope in fixture.scopes() {
        let parsed = platform.parse_scope(fixture.kind(), scope.as_str());
        ensure(parsed.as_deref() == Ok(std::slice::from_ref(&scope)), || {
            format!("{scope}: {parsed:?}")
        })?;
        ensure(platform.implies(fixture.kind(), &scope, &scope), || {
            format!("{scope} does not imply itself")
        })?;
        let _ = platform.action(fixture.kind(), &scope);
    }
    Ok(())
}

pub(super) async fn a_change_of_scopes_has_a_direction_and_its_reverse_the_other(
    fixture: &dyn Fixture,
) -> Held {
    claims(kind(fixture)?.capabilities.changes_scopes, "scopes cannot be changed")?;
    let platform = fixture.platform();
    let scopes = fixture.scopes();
    ensure(scopes.len() >= 3, || "the fixture has fewer than three scopes".into())?;
    let set = |scopes: &[Scope]| scopes.iter().cloned().collect::<BTreeSet<_>>();
    let goes = |before: &[Scope], after: &[Scope]| {
        platform.direction(fixture.kind(), &set(before), &set(after))
    };
    let [none, one, two] = [&scopes[..0], &scopes[..1], &scopes[..2]];
    for (before, after, expected) in [
        (none, none, Direction::None),
        (two, two, Direction::None),
        (none, one, Direction::Widens),
        (one, none, Direction::Narrows),
        (&scopes[..1], &scopes[1..2], Direction::Mixed),
    ] {
        let found = goes(before, after);
        ensure(found == expected, || format!("{before:?} -> {after:?}: {found:?}"))?;
    }
    ensure(goes(one, two).may_widen(), || "adding a scope does not widen".into())
}

pub(super) async fn no_text_makes_the_scope_parser_panic(fixture: &dyn Fixture) -> Held {
    let platform = fixture.platform();
    let odd = [
        "",
        " ",
        ":",
        "/",
        "a:",
        ":a",
        "\u{0}",
        "ä",
        "*",
        "a b",
        "{{x}}",
        "a\nb",
        "\u{202e}x",
        "#",
        "%",
    ];
    let long = "x".repeat(100_000);
    for text in odd.iter().copied().chain([long.as_str()]) {
        if let Ok(scopes) = platform.parse_scope(fixture.kind(), text) {
            ensure(!scopes.is_empty(), || format!("{text:?} is parsed into nothing"))?;
            for scope in scopes {
                let _ = platform.action(fixture.kind(), &scope);
            }
        }
    }
    Ok(())
}
