//! Which way a change of a resource goes, by the models that plan it.

use domain::{Action, Direction};
use tfplugin::{Attr, Value};

use super::model;
use crate::resources::{
    credential::{self, CredentialModel},
    integration::{self, IntegrationModel},
    owner::OwnerModel,
    references::OwnerReference,
    scope::{self, ScopeModel},
};

/// Which way, and what makes it so.
pub(super) struct Directed {
    pub(super) direction: Direction,
    pub(super) why: Vec<String>,
    pub(super) action_before: Option<Action>,
    pub(super) action_after: Option<Action>,
}

impl Directed {
    /// What moves no power of its own.
    fn of(direction: Direction, why: Vec<String>) -> Directed {
        let none = Some(Action::None);
        Directed { direction, why, action_before: none, action_after: none }
    }
}

/// The direction of a change of this type.
///
/// # Errors
///
/// The path of what is not known, or what cannot be read.
pub(super) fn of(kind: &str, before: &Value, after: &Value) -> Result<Directed, String> {
    Ok(match kind {
        "nhi_integration" => integrations(model(before)?, model(after)?),
        "nhi_scope" => scopes(model(before)?, model(after)?),
        "nhi_credential" => credentials(model(before)?, model(after)?),
        "nhi_owner" => owners(model(before)?, model(after)?),
        // A schedule has nothing on any platform: what it changes shows in each credential.
        _ => Directed::of(Direction::None, Vec::new()),
    })
}

fn integrations(prior: Option<IntegrationModel>, planned: Option<IntegrationModel>) -> Directed {
    let ceiling = |model: &Option<IntegrationModel>| match model.as_ref()?.ceiling.value() {
        Some(ceiling) => ceiling.highest_action.as_deref()?.parse::<Action>().ok(),
        None => None,
    };
    let (was, is) = (ceiling(&prior), ceiling(&planned));
    match (&prior, &planned) {
        // It is born parked: it has no scope, and nothing gets a token for it.
        (None, Some(_)) => Directed {
            action_after: is.or(Some(Action::None)),
            ..Directed::of(Direction::Widens, vec!["a new integration".to_owned()])
        },
        (Some(_), None) => {
            Directed::of(Direction::Narrows, vec!["the integration ends".to_owned()])
        }
        (Some(prior), Some(planned)) => {
            let (mut direction, mut why) = integration::direction(prior, planned);
            // Whoever owns it speaks for it from then on.
            let owners = [
                ("business_owner", &prior.business_owner, &planned.business_owner),
                ("technical_owner", &prior.technical_owner, &planned.technical_owner),
            ];
            for (name, was, is) in owners {
                let of = |one: &Attr<OwnerReference>| {
                    one.value().and_then(|one| one.id.value().cloned())
                };
                if of(was).is_some() && of(was) != of(is) {
                    direction = direction.and(Direction::Mixed);
                    why.push(name.to_owned());
                }
            }
            let limited = prior.ceiling != planned.ceiling;
            // Without a limit it may be given anything.
            let of = |one: Option<Action>| if limited { one } else { Some(Action::None) };
            Directed { direction, why, action_before: of(was), action_after: of(is) }
        }
        (None, None) => Directed::of(Direction::None, Vec::new()),
    }
}

fn scopes(prior: Option<ScopeModel>, planned: Option<ScopeModel>) -> Directed {
    let action = |model: &Option<ScopeModel>| match model {
        Some(model) => model.highest_action.as_deref()?.parse::<Action>().ok(),
        None => Some(Action::None),
    };
    let with_asked = |one: Option<Action>, of: &Option<ScopeModel>| {
        Some(one?.max(scope::asked_for(prior.as_ref(), planned.as_ref(), of.as_ref())))
    };
    let action_before = with_asked(action(&prior), &prior);
    let action_after = with_asked(action(&planned), &planned)
        .zip(planned.as_ref().map(|planned| scope::unspoken(prior.as_ref(), planned)))
        .map(|(said, unspoken)| said.max(unspoken))
        .or_else(|| planned.is_none().then_some(Action::None));
    let (direction, why) = scope::direction(prior.as_ref(), planned.as_ref());
    Directed { direction, why, action_before, action_after }
}

fn credentials(prior: Option<CredentialModel>, planned: Option<CredentialModel>) -> Directed {
    let (direction, why) = match (&prior, &planned) {
        (None, Some(planned)) => {
            let to: Vec<String> = planned
                .deliver_to
                .value()
                .into_iter()
                .flatten()
                .map(|(_, one)| format!("{}:{}", one.connection.text(), one.path.text()))
                .collect();
            let to = if to.is_empty() { String::new() } else { format!(" in {}", to.join(", ")) };
            (Direction::Widens, vec![format!("a new credential{to}")])
        }
        (Some(_), None) => (Direction::Narrows, vec!["the credential ends".to_owned()]),
        (Some(prior), Some(planned)) => credential::direction(prior, planned),
        (None, None) => (Direction::None, Vec::new()),
    };
    // What it may do is its integration's, and approved with that one's scopes.
    Directed::of(direction, why)
}

/// Another entry in the directory, or another address, is another person.
fn owners(prior: Option<OwnerModel>, planned: Option<OwnerModel>) -> Directed {
    let (Some(prior), Some(planned)) = (prior, planned) else {
        return Directed::of(Direction::None, Vec::new());
    };
    let other = |name: &str, before: &Attr<String>, after: &Attr<String>| {
        (before != after).then(|| format!("{name} {} -> {}", before.text(), after.text()))
    };
    let mut why: Vec<String> = other("email", &prior.email, &planned.email).into_iter().collect();
    if prior.directory != planned.directory {
        why.push("directory".to_owned());
    }
    let direction = if why.is_empty() { Direction::None } else { Direction::Mixed };
    Directed::of(direction, why)
}
