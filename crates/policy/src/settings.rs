//! Settings compared: the same, narrower, or wider, by what the connector's table declares.

use std::{collections::BTreeSet, net::IpAddr};

use domain::{
    Direction, Setting, Settings, Span,
    field::{Absent, Default, Field, FieldType, Grows, OnChange},
};

/// A value that sets no limit is the same as none, where nothing is the widest of all.
fn limit<'a>(field: &Field, setting: Option<&'a Setting>) -> Option<&'a Setting> {
    let limits = |setting: &Setting| match setting {
        Setting::Count(count) => *count != 0,
        Setting::Flag(flag) => *flag != (field.grows == Grows::True),
        Setting::Texts(texts) => !texts.is_empty(),
        Setting::Text(text) if field.field_type == FieldType::Span => {
            text.parse() != Ok(Span::ZERO)
        }
        Setting::Text(_) => true,
    };
    setting.filter(|setting| field.absent != Absent::Widest || limits(setting))
}

/// Whether two values of a field mean the same.
pub fn same(field: &Field, a: Option<&Setting>, b: Option<&Setting>) -> bool {
    match (field.field_type, limit(field, a), limit(field, b)) {
        (FieldType::Span, Some(Setting::Text(a)), Some(Setting::Text(b))) => {
            a == b || matches!((a.parse::<Span>(), b.parse::<Span>()), (Ok(a), Ok(b)) if a == b)
        }
        (FieldType::Cidrs, Some(Setting::Texts(a)), Some(Setting::Texts(b))) => {
            a.iter().map(block).collect::<BTreeSet<_>>() == b.iter().map(block).collect()
        }
        (_, a, b) => a == b,
    }
}

/// An address block, however it is spelled: where the address is none, its text.
fn block(text: &String) -> Result<(IpAddr, &str), &String> {
    let (address, length) = text.split_once('/').ok_or(text)?;
    address.parse().map(|address| (address, length)).map_err(|_| text)
}

/// Live settings in the spelling of known ones wherever they mean the same.
pub fn spelled_as(fields: &[Field], live: &Settings, known: &Settings) -> Settings {
    let mut out = live.clone();
    for field in fields {
        let (a, b) = (live.0.get(field.name), known.0.get(field.name));
        if let Some(b) = b
            && same(field, a, Some(b))
        {
            out.0.insert(field.name.to_owned(), b.clone());
        }
    }
    out
}

/// Settings with our defaults for what is absent: what nobody wrote means the same as what it
/// stands for.
pub fn with_defaults(fields: &[Field], settings: &Settings) -> Settings {
    let mut whole = settings.clone();
    for field in fields {
        let default = match (field.default, field.field_type) {
            (Default::Ours(text), FieldType::Flag) => Some(Setting::Flag(text == "true")),
            (Default::Ours(text), FieldType::Count) => text.parse().ok().map(Setting::Count),
            (Default::Ours(text), _) => Some(Setting::Text(text.to_owned())),
            (Default::OursTexts(all), _) => {
                Some(Setting::Texts(all.iter().map(|one| (*one).to_owned()).collect()))
            }
            (Default::None | Default::Vendor, _) => None,
        };
        if let Some(default) = default {
            whole.0.entry(field.name.to_owned()).or_insert(default);
        }
    }
    whole
}

/// The fields that differ.
pub fn changed<'a>(fields: &'a [Field], before: &Settings, after: &Settings) -> Vec<&'a Field> {
    fields
        .iter()
        .filter(|field| !same(field, before.0.get(field.name), after.0.get(field.name)))
        .collect()
}

/// Whether a change of settings that are fixed at issue needs another credential.
pub fn needs_rotation(fields: &[Field], before: &Settings, after: &Settings) -> bool {
    changed(fields, before, after).iter().any(|field| field.on_change == OnChange::Rotate)
}

/// Whether a change of settings is made on the credential that is there.
pub fn needs_adjusting(fields: &[Field], before: &Settings, after: &Settings) -> bool {
    changed(fields, before, after).iter().any(|field| field.on_change == OnChange::InPlace)
}

/// Which way a change of settings goes.
pub fn direction(fields: &[Field], before: &Settings, after: &Settings) -> Direction {
    changed(fields, before, after).into_iter().fold(Direction::None, |so_far, field| {
        so_far.and(of_field(field, before.0.get(field.name), after.0.get(field.name)))
    })
}

fn of_field(field: &Field, before: Option<&Setting>, after: Option<&Setting>) -> Direction {
    if field.grows == Grows::Never {
        return Direction::None;
    }
    if field.grows == Grows::Any {
        return Direction::Unknown;
    }
    let (before, after) = (limit(field, before), limit(field, after));
    let (Some(before), Some(after)) = (before, after) else {
        let appears = after.is_some();
        return match (field.absent, appears) {
            (Absent::Widest, true) | (Absent::Narrowest, false) => Direction::Narrows,
            (Absent::Widest, false) | (Absent::Narrowest, true) => Direction::Widens,
            (Absent::Neutral, _) => Direction::Unknown,
        };
    };
    let (grows, shrinks) = match (before, after) {
        (Setting::Flag(_), Setting::Flag(after)) => (*after, !*after),
        (Setting::Count(before), Setting::Count(after)) => (after > before, after < before),
        (Setting::Texts(before), Setting::Texts(after)) => {
            let more =
                |a: &BTreeSet<String>, b: &BTreeSet<String>| a.difference(b).next().is_some();
            (more(after, before), more(before, after))
        }
        (Setting::Text(before), Setting::Text(after)) => {
            match (before.parse::<Span>(), after.parse::<Span>()) {
                (Ok(before), Ok(after)) if field.field_type == FieldType::Span => {
                    (after > before, after < before)
                }
                _ if field.field_type == FieldType::Date => (after > before, after < before),
                _ => return Direction::Unknown,
            }
        }
        _ => return Direction::Unknown,
    };
    let (widens, narrows) = match field.grows {
        Grows::More | Grows::True => (grows, shrinks),
        Grows::Less | Grows::False => (shrinks, grows),
        Grows::Never | Grows::Any => (false, false),
    };
    match (widens, narrows) {
        (true, true) => Direction::Mixed,
        (true, false) => Direction::Widens,
        (false, true) => Direction::Narrows,
        (false, false) => Direction::None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn field(
        name: &'static str,
        field_type: FieldType,
        grows: Grows,
        absent: Absent,
    ) -> Field {
        Field {
            name,
            field_type,
            required: false,
            default: Default::None,
            on_change: OnChange::InPlace,
            grows,
            absent,
            doc: "",
        }
    }

    const FIELDS: &[Field] = &[
        field("ttl", FieldType::Span, Grows::More, Absent::Widest),
        field("cidrs", FieldType::Cidrs, Grows::More, Absent::Widest),
        field("no_default", FieldType::Flag, Grows::False, Absent::Neutral),
    ];

    fn ttl(text: &str) -> Settings {
        Settings::default().with("ttl", Setting::Text(text.into()))
    }

    #[test]
    fn the_same_length_in_another_spelling_is_no_change() {
        assert_eq!(direction(FIELDS, &ttl("1h"), &ttl("60m")), Direction::None);
        assert_eq!(spelled_as(FIELDS, &ttl("3600s"), &ttl("1h")), ttl("1h"));
    }

    #[test]
    fn a_missing_restriction_is_the_widest_of_all() {
        let none = Settings::default();
        let some =
            none.clone().with("cidrs", Setting::Texts(BTreeSet::from(["127.0.0.1/32".into()])));
        assert_eq!(direction(FIELDS, &some, &none), Direction::Widens);
        assert_eq!(direction(FIELDS, &none, &some), Direction::Narrows);
        assert_eq!(direction(FIELDS, &ttl("1h"), &ttl("24h")), Direction::Widens);
        let flag = |on| none.clone().with("no_default", Setting::Flag(on));
        assert_eq!(direction(FIELDS, &flag(true), &flag(false)), Direction::Widens);
    }

    #[test]
    fn what_sets_no_limit_is_the_same_as_nothing() {
        let none = Settings::default();
        let uses = [field("uses", FieldType::Count, Grows::More, Absent::Widest)];
        let strict = [field("strict", FieldType::Flag, Grows::False, Absent::Widest)];
        let no_cidrs = none.clone().with("cidrs", Setting::Texts(BTreeSet::new()));
        for (fields, limitless) in [
            (FIELDS, ttl("0s")),
            (FIELDS, no_cidrs),
            (&uses[..], none.clone().with("uses", Setting::Count(0))),
            (&strict[..], none.clone().with("strict", Setting::Flag(false))),
        ] {
            assert!(changed(fields, &none, &limitless).is_empty(), "{limitless:?}");
            assert_eq!(spelled_as(fields, &none, &limitless), limitless);
        }
        assert_eq!(direction(FIELDS, &ttl("0s"), &ttl("1h")), Direction::Narrows);
        assert_eq!(direction(FIELDS, &ttl("1h"), &ttl("0")), Direction::Widens);
    }

    #[test]
    fn the_same_addresses_in_another_spelling_are_no_change() {
        let cidrs = |text: &str| {
            Settings::default().with("cidrs", Setting::Texts(BTreeSet::from([text.into()])))
        };
        let direction = |a, b| direction(FIELDS, &cidrs(a), &cidrs(b));
        assert_eq!(direction("2001:DB8::/32", "2001:db8::/32"), Direction::None);
        assert_ne!(direction("2001:db8::/32", "2001:db8::/33"), Direction::None);
    }

    #[test]
    fn what_nobody_wrote_is_what_it_stands_for() {
        let algorithm = Field {
            default: Default::Ours("ES256"),
            on_change: OnChange::Rotate,
            ..field("algorithm", FieldType::Text, Grows::Never, Absent::Neutral)
        };
        let with = |text: &str| Settings::default().with("algorithm", Setting::Text(text.into()));
        let whole = |settings: &Settings| with_defaults(&[algorithm], settings);
        assert_eq!(whole(&Settings::default()), with("ES256"));
        assert_eq!(whole(&with("EdDSA")), with("EdDSA"));
        assert!(!needs_rotation(&[algorithm], &whole(&Settings::default()), &with("ES256")));
        assert!(needs_rotation(&[algorithm], &whole(&Settings::default()), &with("EdDSA")));
    }
}
