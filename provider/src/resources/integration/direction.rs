//! Which way a change of an integration goes.

use domain::{Action, Direction, Span};
use policy::settings;
use tfplugin::Attr;

use super::IntegrationModel;
use crate::resources::platform_objects::settings_of;

/// Which way a planned change goes, with what makes it so, and which way that goes where it is another
/// than that of the whole.
pub(super) fn direction(
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
    if prior.state.is_value() && prior.state != planned.state {
        let opens = planned.state == "active";
        let text = format!("state {} -> {}", prior.state.text(), planned.state.text());
        add(if opens { Direction::Widens } else { Direction::Narrows }, text);
    }
    if prior.ceiling != planned.ceiling {
        let action = |model: &IntegrationModel| {
            let ceiling = model.ceiling.value()?;
            ceiling.highest_action.as_deref()?.parse::<Action>().ok()
        };
        let way = match (action(prior), action(planned)) {
            (Some(a), Some(b))
                if b <= a
                    && prior.ceiling.value().map(|one| &one.scopes)
                        == planned.ceiling.value().map(|one| &one.scopes) =>
            {
                Direction::Narrows
            }
            (None, Some(_)) if prior.ceiling.is_null() => Direction::Narrows,
            _ => Direction::Widens,
        };
        add(way, "ceiling".to_owned());
    }
    let told = |(way, text): (Direction, String)| match way == total {
        true => text,
        false => format!("{text} ({way})"),
    };
    (total, why.into_iter().map(told).collect())
}
