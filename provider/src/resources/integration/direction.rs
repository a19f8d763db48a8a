//! Which way a change of an integration goes.

use std::cmp::Ordering;

use domain::{Action, Direction, Span};
use operations::KindLattice;
use policy::{scopes::canonical_set, settings};
use tfplugin::Attr;

use super::{IntegrationModel, ties::ways};
use crate::resources::{
    platform_objects::{kind, settings_of},
    references::Ceiling,
};

/// Which way a planned change goes, with what makes it so, and which way that goes where it is another
/// than that of the whole.
pub(crate) fn direction(
    prior: &IntegrationModel,
    planned: &IntegrationModel,
) -> (Direction, Vec<String>) {
    let mut total = Direction::None;
    let mut why = Vec::new();
    let mut add = |direction: Direction, text: String| {
        if direction != Direction::None {
            why.push((direction, text));
        }
        total = total.and(direction);
    };
    if let (Some((kind, after)), Some((_, before))) =
        (planned.platform.chosen(), prior.platform.chosen())
    {
        let (before, after) = (settings_of(kind.fields, before), settings_of(kind.fields, after));
        for field in settings::changed(kind.fields, &before, &after) {
            let one = std::slice::from_ref(field);
            add(settings::direction(one, &before, &after), format!("{}.{}", kind.name, field.name));
        }
    }
    let grows = |name: &str, before: &Attr<String>, after: &Attr<String>| {
        // An absent end or limit is the widest.
        let way = match (before.as_deref(), after.as_deref()) {
            (a, b) if a == b => Direction::None,
            (Some(_), None) => Direction::Widens,
            (None, Some(_)) => Direction::Narrows,
            (Some(a), Some(b)) => {
                let longer = match (a.parse::<Span>(), b.parse::<Span>()) {
                    (Ok(a), Ok(b)) => b > a,
                    _ => b > a,
                };
                if longer { Direction::Widens } else { Direction::Narrows }
            }
            (None, None) => Direction::None,
        };
        (way, name.to_owned())
    };
    for (way, name) in [
        grows("expires_on", &prior.expires_on, &planned.expires_on),
        grows("review_every", &prior.review_every, &planned.review_every),
        grows("stop_within", &prior.stop_within, &planned.stop_within),
    ] {
        add(way, name);
    }
    // Another environment, another way of running: what the same power means is another thing.
    let other = |before: &Attr<String>, after: &Attr<String>| {
        if before.is_value() && before != after { Direction::Mixed } else { Direction::None }
    };
    for (way, name) in [
        (other(&prior.environment, &planned.environment), "environment"),
        (other(&prior.execution_mode, &planned.execution_mode), "execution_mode"),
        (
            // Power that nobody can watch any more.
            match (&prior.logs, &planned.logs) {
                (Attr::Value(_), Attr::Null) => Direction::Widens,
                _ => Direction::None,
            },
            "logs",
        ),
    ] {
        add(way, name.to_owned());
    }
    for (way, name) in ways(prior, planned) {
        add(way, name.to_owned());
    }
    if prior.state.is_value() && prior.state != planned.state {
        let opens = planned.state == "active";
        let text = format!("state {} -> {}", prior.state.text(), planned.state.text());
        add(if opens { Direction::Widens } else { Direction::Narrows }, text);
    }
    if prior.ceiling != planned.ceiling {
        add(ceiling(planned.kind.text(), &prior.ceiling, &planned.ceiling), "ceiling".to_owned());
    }
    let told = |(way, text): (Direction, String)| match way == total {
        true => text,
        false => format!("{text} ({way})"),
    };
    (total, why.into_iter().map(told).collect())
}

/// Which way a limit goes: none at all is the widest, and its two halves hold together.
fn ceiling(of_kind: &str, before: &Attr<Ceiling>, after: &Attr<Ceiling>) -> Direction {
    if before.is_unknown() || after.is_unknown() {
        return Direction::Unknown;
    }
    let half = |ceiling: &Attr<Ceiling>| ceiling.value().cloned().unwrap_or_default();
    let (before, after) = (half(before), half(after));
    if after.highest_action.is_unknown() || after.scopes.is_unknown() {
        return Direction::Unknown;
    }
    let limit = |one: &Ceiling| one.highest_action.as_deref().map(str::parse::<Action>);
    let actions = match (limit(&before), limit(&after)) {
        (None, None) => Direction::None,
        (None, Some(_)) => Direction::Narrows,
        (Some(_), None) => Direction::Widens,
        (Some(Ok(was)), Some(Ok(is))) => match is.cmp(&was) {
            Ordering::Less => Direction::Narrows,
            Ordering::Equal => Direction::None,
            Ordering::Greater => Direction::Widens,
        },
        _ => Direction::Unknown,
    };
    let scopes = match (before.scopes.value(), after.scopes.value()) {
        (None, None) => Direction::None,
        (None, Some(_)) => Direction::Narrows,
        (Some(_), None) => Direction::Widens,
        (Some(was), Some(is)) if was == is => Direction::None,
        (Some(was), Some(is)) => match kind(of_kind) {
            Some((Some(platform), kind)) => {
                let lattice = KindLattice { platform, kind: kind.name };
                let (was, is) = (canonical_set(&lattice, was), canonical_set(&lattice, is));
                platform.direction(kind.name, &was, &is)
            }
            _ => Direction::Unknown,
        },
    };
    actions.and(scopes)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(highest: Option<&str>, scopes: Option<&[&str]>) -> Attr<Ceiling> {
        Attr::Value(Ceiling {
            highest_action: highest.map_or(Attr::Null, Attr::from),
            scopes: scopes.map_or(Attr::Null, |all| {
                Attr::Value(all.iter().map(|one| (*one).to_owned()).collect())
            }),
        })
    }

    #[test]
    fn a_ceiling_that_is_lower_or_covers_less_narrows() {
        const ALL: &[&str] = &["secret/data/*:read", "secret/data/x:list"];
        const SOME: &[&str] = &["secret/data/x/*:read"];
        let (read, secret) = (Some("read"), Some("secret"));
        use Direction::{Mixed, Narrows, None as Same, Unknown, Widens};
        for (before, after, way) in [
            (Attr::Null, of(read, None), Narrows),
            (of(read, None), Attr::Null, Widens),
            (Attr::Null, of(None, None), Same),
            (of(secret, None), of(read, None), Narrows),
            (of(read, None), of(secret, None), Widens),
            (of(secret, None), of(secret, Some(ALL)), Narrows),
            (of(None, Some(ALL)), of(read, Some(ALL)), Narrows),
            (of(secret, Some(ALL)), of(read, Some(SOME)), Narrows),
            (of(secret, Some(ALL)), of(secret, Some(&[])), Narrows),
            (of(secret, Some(SOME)), of(secret, Some(ALL)), Widens),
            (of(read, Some(ALL)), of(secret, Some(SOME)), Mixed),
            (of(read, Some(SOME)), of(read, None), Widens),
            (of(secret, Some(&["sys/health:read"])), of(secret, Some(SOME)), Mixed),
            (of(read, None), of(Some("nonsense"), None), Unknown),
            (of(read, None), Attr::unknown(), Unknown),
        ] {
            assert_eq!(ceiling("openbao_approle", &before, &after), way, "{before:?} {after:?}");
        }
    }
}
