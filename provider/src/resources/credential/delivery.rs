//! What is asked of the places where a secret is delivered.

use std::{collections::BTreeMap, fmt};

use connector::{CredentialType, MainField};
use domain::path::segments;
use operations::{
    Context, Misplaced, Problem, home_of, in_custody, keeps_earlier, misplaced, observe_slot,
};
use tfplugin::{Diagnostic, Diagnostics, Path};

use super::{
    model::{CredentialModel, Delivery},
    slot::{found, spec_of},
    work::{is_taken_in, new_places},
};
use crate::{
    diagnostics::{error, warning},
    shared::{HandsOn, Shared},
};

fn at(name: &str) -> Path {
    Path::attribute("deliver_to").key(name)
}

/// What shows offline.
pub(super) fn written_well(config: &CredentialModel) -> Diagnostics {
    let mut found = Diagnostics::new();
    let mut before: Vec<(&String, &Delivery)> = Vec::new();
    for (name, one) in config.deliver_to.value().into_iter().flatten() {
        if let Some((first, _)) = before.iter().find(|(_, other)| same_place(one, other)) {
            found.push(twice(name, first, one));
        }
        before.push((name, one));
        let path = one.path.as_deref().filter(|path| segments(path).is_none());
        if let Some(path) = path {
            found.error_at(
                at(name).then("path"),
                "This is no path of a document",
                format!(
                    "{path:?}: a path is names with single slashes between, without \".\" and \"..\".\nNext: \
                     write it so, from the sink's root or mount on.\n(E-DELIVERY-PATH)"
                ),
            );
        }
        if one.fields.value().is_some_and(|fields| fields.contains_key("_nhi")) {
            found.error_at(
                at(name).then("fields"),
                "This field is taken",
                "_nhi holds what nhi itself must find again.\nNext: name the field otherwise.\n(E-FIELDS)",
            );
        }
        let has_secret =
            one.fields.value().is_none_or(|all| all.values().any(|what| what == "secret"));
        if !has_secret {
            found.error_at(
                at(name).then("fields"),
                "The document would not hold the secret",
                "No field is \"secret\".\nNext: let one field be \"secret\", or leave fields unset.\n(E-FIELDS)",
            );
        }
    }
    found
}

/// Whether the secret that works now can be read when it ends, to be tried then: it is in the place that
/// is written last, the first by name, and that keeps it beside the next one.
pub(super) async fn stays_at_hand(
    context: Option<&Context>,
    prior: &CredentialModel,
    planned: &CredentialModel,
) -> bool {
    let anchor = planned.deliver_to.value().and_then(|all| all.values().next());
    let Some(anchor) = anchor.filter(|_| prior.status != "unheld") else { return false };
    // An import does not know where it went.
    let there =
        prior.deliver_to.value().is_none_or(|all| all.values().any(|one| same_place(one, anchor)));
    match (context, anchor.connection.as_deref()) {
        (Some(context), Some(connection)) if there => keeps_earlier(context, connection).await,
        _ => there,
    }
}

/// What the configured connections cannot hold. What stands already was found by the look before this.
pub(super) async fn held_by_sinks(
    shared: &Shared,
    context: &Context,
    prior: Option<&CredentialModel>,
    planned: &CredentialModel,
) -> Diagnostics {
    let mut found = Diagnostics::new();
    let sinks: Vec<&str> = wiring::platforms()
        .into_iter()
        .filter(|platform| platform.is_sink())
        .map(|platform| platform.name())
        .collect();
    if let Some(prior) = prior {
        found.extend(cannot_forget(context, prior, planned).await);
    }
    let mut homes = Vec::new();
    let (mut takes, mut first) = (Vec::new(), None);
    for (name, one) in planned.deliver_to.value().into_iter().flatten() {
        let Some(connection) = one.connection.as_deref() else { continue };
        match context.connections.platform(connection) {
            Ok(platform) if platform.is_sink() => {}
            Ok(platform) => {
                found.push(error(
                    &Problem::new("E-SINK-KIND", "This connection is no sink")
                        .detail(format!(
                            "{connection:?} is {}, which cannot hold secrets.",
                            platform.name()
                        ))
                        .next(format!(
                            "name a connection of a platform that can: {}",
                            sinks.join(", ")
                        ))
                        .at(&["deliver_to", name, "connection"]),
                ));
                continue;
            }
            Err(problem) => {
                found.push(error(&problem.at(&["deliver_to", name, "connection"])));
                continue;
            }
        }
        let Some(path) = one.path.as_deref().filter(|path| segments(path).is_some()) else {
            continue;
        };
        let home = home_of(context, connection, path).await;
        if in_custody(context, connection, path, home.as_ref()).await {
            found.push(error(
                &Problem::new("E-SINK-CUSTODY", "This is where nhi keeps what it must find again")
                    .detail(format!(
                        "{connection}:{path} is in the folder that custody names in nhi.hcl. An \
                         application that may read there could read what is on its way to others."
                    ))
                    .next("name a path outside of it")
                    .at(&["deliver_to", name, "path"]),
            ));
        }
        if let (Some(home), Some(slot)) = (&home, planned.id.as_deref())
            && let Some(other) = shared.another_there(home, slot)
        {
            found.push(error(
                &Problem::new("E-SINK-OCCUPIED", "Two credentials go to one place")
                    .detail(format!(
                        "{connection}:{path} is where {other} is delivered, and each would write over \
                         the other's document."
                    ))
                    .next("give one of the two another path")
                    .at(&["deliver_to", name, "path"]),
            ));
        }
        if let Some(home) = home {
            let twin = homes.iter().find(|(_, other)| *other == home);
            // Of the same names it was said offline.
            if let Some((first, _)) = twin
                && !planned.deliver_to.value().is_some_and(|all| same_place(&all[*first], one))
            {
                found.push(twice(name, first, one));
            }
            homes.push((name, home));
        }
        if prior.is_some_and(|prior| delivers_to(prior, one)) {
            continue;
        }
        if let Some((_, home)) = homes.last().filter(|(known, _)| *known == name) {
            takes.push(home.clone());
            first = first.or(Some(name));
        }
        let told = misplaced(context, connection, path).await;
        let at = ["deliver_to", name, "path"];
        found.extend(told.map(|told| match told {
            Misplaced::Never(problem) => error(&problem.at(&at)),
            Misplaced::Now(problem) => warning(&problem.at(&at)),
        }));
    }
    if let Some(slot) = planned.id.as_deref() {
        let given = prior.into_iter().flat_map(|prior| given_up(prior, planned));
        let gives = homes_of(context, given).await;
        let at = first.map_or("", String::as_str);
        found.extend(handed_on(shared, slot, &takes, &gives).map(|problem| match at {
            "" => error(&problem.at(&["deliver_to"])),
            at => error(&problem.at(&["deliver_to", at, "path"])),
        }));
    }
    found
}

/// The same of a slot that ends with its resource.
pub(super) async fn leaves_its_places(
    shared: &Shared,
    context: &Context,
    prior: &CredentialModel,
) -> Option<Diagnostic> {
    let all = prior.deliver_to.value().into_iter().flat_map(BTreeMap::values);
    let gives = homes_of(context, all).await;
    handed_on(shared, prior.id.as_deref()?, &[(); 0], &gives).map(|problem| error(&problem))
}

async fn homes_of<'a>(
    context: &Context,
    places: impl Iterator<Item = &'a Delivery>,
) -> Vec<impl fmt::Debug> {
    let mut homes = Vec::new();
    for one in places {
        if let (Some(connection), Some(path)) = (one.connection.as_deref(), one.path.as_deref()) {
            homes.extend(home_of(context, connection, path).await);
        }
    }
    homes
}

/// What is refused of a place that goes from one slot to another in one apply: a core writes either first,
/// and the taker's document has no room beside the giver's.
fn handed_on(
    shared: &Shared,
    slot: &str,
    takes: &[impl fmt::Debug],
    gives: &[impl fmt::Debug],
) -> Option<Problem> {
    let HandsOn { from, to } = shared.hands_on(slot, takes, gives)?;
    Some(
        Problem::new("E-SINK-OCCUPIED", "A place is handed on in one apply")
            .detail(format!(
                "{to} is to be delivered where {from} is until then. Which of them is written first nobody \
                 can say, and neither can be written while the other's document is there."
            ))
            .next(format!(
                "in two applies: first take that place from {from} alone (give it a path where nothing is, \
                 if its next one is not free), and then give it to {to}"
            )),
    )
}

/// What the places of a slot that was just taken in hold of it. Its import could not ask them, since only
/// the configuration names them: a document that was delivered there is known by its mark.
pub(super) async fn only_written_down(
    context: Option<&Context>,
    prior: &CredentialModel,
    planned: &CredentialModel,
) -> Option<Diagnostic> {
    if !is_taken_in(prior) || prior.status != "unheld" || !new_places(prior, planned) {
        return None;
    }
    let without = match context {
        Some(context) => places_without(context, prior, planned).await,
        None => None,
    };
    let (what, next) = match &without {
        Some((places, _)) if places.is_empty() => return None,
        Some((places, true)) => (
            format!(
                "its secret is not at {}. The plan after it copies it there from where it is",
                places.join(", ")
            ),
            "plan again after this apply",
        ),
        Some((places, false)) => (
            format!(
                "its secret is in no sink of ours (no document of it is at {}). The plan after it \
                 rotates, with overlap, to bring one there",
                places.join(", ")
            ),
            "where it is not to rotate yet, set secret_source now and deliver_to later",
        ),
        None => (
            "whether its secret is in a sink cannot be seen now. Unless a document of ours is there, the \
             plan after it rotates, with overlap, to bring one there"
                .to_owned(),
            "where it is not to rotate yet, set secret_source now and deliver_to later",
        ),
    };
    Some(
        Diagnostic::warning(
            "Its places are only written down",
            format!(
                "{}: this apply keeps the credential that was taken in, and {what}.\nNext: {next}.",
                prior.id.text()
            ),
        )
        .at(Path::attribute("deliver_to")),
    )
}

/// The places that hold no document of a slot, and whether another one does; `None` where they cannot be
/// asked now.
async fn places_without(
    context: &Context,
    prior: &CredentialModel,
    planned: &CredentialModel,
) -> Option<(Vec<String>, bool)> {
    let spec = found(context, spec_of(planned, Some(prior))?).await.ok()??;
    let seen = observe_slot(context, &spec).await.ok()??;
    let holds = |name: &str| seen.deliveries.get(name).is_some_and(|one| one.status == "delivered");
    let without = spec.deliveries.iter().filter(|one| !holds(&one.name));
    Some((without.map(|one| one.place()).collect(), seen.secret_held))
}

/// What consumers of a place that is given up are left with.
pub(super) fn tell_taken_out(
    prior: &CredentialModel,
    planned: &CredentialModel,
    told: &mut Diagnostics,
) {
    let gone: Vec<String> = given_up(prior, planned)
        .map(|one| format!("{}:{}", one.connection.text(), one.path.text()))
        .collect();
    if gone.is_empty() || planned.deliver_to.is_unknown() {
        return;
    }
    told.warning_at(
        "deliver_to",
        "The secret is taken out of where it was",
        format!(
            "{}: this apply leaves no secret there; whoever reads that document finds none from then on, also \
             within an overlap.\nNext: to move consumers one by one, \
             deliver to both places first, and remove this one when nobody reads it any more.",
            gone.join(", ")
        ),
    );
}

/// The deliveries to places that a slot gives up.
fn given_up<'a>(
    prior: &'a CredentialModel,
    planned: &'a CredentialModel,
) -> impl Iterator<Item = &'a Delivery> {
    let before = prior.deliver_to.value().into_iter().flat_map(BTreeMap::values);
    before.filter(|one| !delivers_to(planned, one))
}

/// Which places that are given up cannot forget.
async fn cannot_forget(
    context: &Context,
    prior: &CredentialModel,
    planned: &CredentialModel,
) -> Option<Diagnostic> {
    let mut places = Vec::new();
    for one in given_up(prior, planned) {
        let Some(connection) = one.connection.as_deref() else { continue };
        let opened = context.connections.get(connection).await.ok();
        let sink = opened.and_then(|opened| opened.sink);
        if sink.is_some_and(|sink| !sink.capabilities().destroys_versions) {
            places.push(format!("{connection}:{}", one.path.text()));
        }
    }
    (!places.is_empty()).then(|| {
        Diagnostic::warning(
            "The secret stays readable where it was",
            format!(
                "{} is delivered to no longer, and no version can be destroyed there: the document is \
                 written without the secret, and who may read earlier versions finds it.\nNext: change a \
                 value in triggers as well, which ends that secret after its overlap.",
                places.join(", ")
            ),
        )
        .at(Path::attribute("deliver_to"))
    })
}

fn twice(name: &str, first: &str, one: &Delivery) -> Diagnostic {
    Diagnostic::error(
        "Two deliveries go to one place",
        format!(
            "{}:{} is deliver_to.{first}'s already, and each would write over the other's \
             document.\nNext: give it another path, or remove one of the two.\n(E-DELIVERY-TWICE)",
            one.connection.text(),
            one.path.text(),
        ),
    )
    .at(at(name).then("path"))
}

/// A document that is there is found again by its fields: the secret in it is compared, repaired and
/// taken out by them.
pub(super) fn fields_are_kept(
    prior: &CredentialModel,
    planned: &CredentialModel,
    wanted: &CredentialType,
) -> Diagnostics {
    let mut found = Diagnostics::new();
    for (name, one) in planned.deliver_to.value().into_iter().flatten() {
        let mut before = prior.deliver_to.value().into_iter().flat_map(BTreeMap::values);
        let Some(known) = before.find(|known| same_place(known, one)) else { continue };
        if one.fields.is_unknown() || fields(known, wanted) == fields(one, wanted) {
            continue;
        }
        found.error_at(
            at(name).then("fields"),
            "The fields of a document stay",
            format!(
                "{}:{} is written with other fields, and the secret in it is known by them.\nNext: give \
                 this delivery another path (and change a value in triggers, where no other sink \
                 holds the secret); the document at the old one is then taken out.\n(E-FIELDS)",
                one.connection.text(),
                one.path.text(),
            ),
        );
    }
    found
}

/// Whether a slot delivers to a place already.
fn delivers_to(prior: &CredentialModel, one: &Delivery) -> bool {
    let known = prior.deliver_to.value().into_iter().flatten();
    known.into_iter().any(|(_, known)| same_place(known, one))
}

/// Whether two deliveries are to one document.
pub(super) fn same_place(one: &Delivery, other: &Delivery) -> bool {
    let place = |one: &Delivery| {
        let path = one.path.as_deref()?.trim_matches('/').to_owned();
        Some((one.connection.as_deref()?.to_owned(), path))
    };
    place(one).is_some_and(|place_of_one| Some(place_of_one) == place(other))
}

/// The fields of a document, written out where they are the type's own.
fn fields(one: &Delivery, wanted: &CredentialType) -> BTreeMap<String, String> {
    match one.fields.value() {
        Some(fields) if !fields.is_empty() => fields.clone(),
        _ => wanted
            .main
            .iter()
            .map(|(name, field)| {
                let what = match field {
                    MainField::VendorId => "id",
                    MainField::Secret => "secret",
                    MainField::User => "user",
                    MainField::KeyId => "key_id",
                };
                ((*name).to_owned(), what.to_owned())
            })
            .collect(),
    }
}
