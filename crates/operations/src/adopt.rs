//! What an import takes in: whether a resource of ours governs it already, and the key that the import
//! of a slot means, where no book of ours names one.

use connector::Freshness;
use domain::{CredentialId, IntegrationId, Marker};
use ledger::Selection;

use crate::{
    Context, Problem, SeenIntegration, claim::ClaimStore, elsewhere::owner_words, is_managed,
    ourselves::not_our_key,
};

/// What of an integration a resource is about.
#[derive(Debug, Clone, Copy)]
pub enum Part<'a> {
    /// The integration itself.
    Integration,
    /// Its scopes.
    Scopes,
    /// One slot of it.
    Slot(&'a CredentialId),
}

/// Why an import may make a second owner of what a resource of this installation governs already:
/// which one that is, is in a state that nobody here is shown. `None` where nothing says so.
pub async fn governed_already(
    context: &Context,
    id: &IntegrationId,
    seen: &SeenIntegration,
    part: Part<'_>,
) -> Option<Problem> {
    let record = seen.observed.record.as_ref();
    let (what, ends) = match part {
        Part::Integration => (id.to_string(), "removing either one ends it for both"),
        Part::Scopes => (format!("{id}/scope"), "removing either one takes all scopes away"),
        Part::Slot(slot) => (slot.to_string(), "removing either one ends the credential of both"),
    };
    let by = match part {
        Part::Integration if is_managed(context.realm.as_deref(), &seen.observed) => "its record",
        Part::Scopes if record.is_some_and(|record| record.scopes_governed) => "the record on it",
        Part::Slot(_) if seen.slots.values().any(|of| *of == what) => "the books in custody",
        // A platform may have no room for a record, and a loss may have taken the others.
        _ if in_ledger(context, id, part).await => "the ledger",
        _ => return None,
    };
    let since = record.and_then(|record| record.governed_since.as_deref());
    let since = since.map(|day| format!(" since {day}")).unwrap_or_default();
    Some(
        Problem::new("E-GOVERNED-TWICE", "This is governed already")
            .detail(format!(
                "{what}: {by} says that a resource of this installation has it{since}{}. Where another \
                 address or another state has it still, both would govern it: what one changes the \
                 other undoes, and {ends}.",
                owner_words(record)
            ))
            .next(
                "where this state has it under another address, take this import back and write moved \
                 { from = <OLD ADDRESS>, to = <ADDRESS> }. Where another state has it, run terraform \
                 state rm <OLD ADDRESS> there first. Where that state is lost, apply",
            ),
    )
}

/// Whether the ledger has it as declared. One that cannot be read says nothing, and stops no import.
async fn in_ledger(context: &Context, id: &IntegrationId, part: Part<'_>) -> bool {
    let of_it = Selection { declared: true, ..Selection::of(id.to_string()) };
    if let Part::Slot(slot) = part {
        let rows = context.ledger.slots(&of_it).await.unwrap_or_default();
        return rows.iter().any(|row| row.name == slot.name);
    }
    let rows = context.ledger.integrations(&of_it).await.unwrap_or_default();
    rows.iter().filter_map(|row| row.declared.as_ref()).any(|declared| {
        let has = |facet: &str| declared.value.get(facet).is_some();
        match part {
            Part::Scopes => has("scopes"),
            _ => has("settings") || has("record"),
        }
    })
}

/// The name of the slot that a key is taken into which somebody made by hand: what people go by of its
/// id, and the whole of it where `others` of the integration would be called the same. Empty where two
/// cannot be told apart.
pub fn slot_name_of<'a>(key_id: &str, others: impl IntoIterator<Item = &'a str>) -> String {
    let others: Vec<&str> = others.into_iter().filter(|other| *other != key_id).collect();
    [SHORT, 63]
        .map(|most| named(key_id, most))
        .into_iter()
        .find(|name| {
            others.iter().all(|other| ![SHORT, 63].map(|most| named(other, most)).contains(name))
        })
        .unwrap_or_default()
}

/// The first characters of what is too long to be read.
const SHORT: usize = 8;

/// A key's id as a slot may be called: what is no longer than an AWS key's stays whole.
fn named(key_id: &str, most: usize) -> String {
    const READABLE: usize = 20;
    let fits = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    let mut name: String = key_id.chars().map(|c| if fits(c) { c } else { '_' }).collect();
    if !name.starts_with(|c: char| c.is_ascii_alphanumeric()) {
        name.insert(0, 'k');
    }
    if name.len() > READABLE {
        name.truncate(most);
    }
    name
}

/// The live key of an integration that bears no mark, is in no book, and is meant by a slot that is
/// imported: the only one, or of several the one that the slot is called after
/// ([`slot_name_of`]). Where the slot had a book that is lost, it is the key that the ledger names.
/// `None` where there is none, or where the slot has a book already.
///
/// # Errors
///
/// `E-SEVERAL-KEYS`: there are several, and the slot is called after none of them; `E-OURSELVES`; or
/// custody cannot be read.
pub async fn unmarked_key(
    context: &Context,
    slot: &CredentialId,
    seen: &SeenIntegration,
) -> Result<Option<String>, Problem> {
    // A mark of another realm, or one that was copied, says that it is somebody's.
    let unmarked = |key_id: &&String| {
        let known = seen.known.get(*key_id);
        known.is_some_and(|one| one.marker.as_deref().and_then(Marker::parse).is_none())
    };
    let of_slot = |(key_id, of): (_, &String)| (*of == slot.to_string()).then_some(key_id);
    let named: Vec<&String> = seen.slots.iter().filter_map(of_slot).filter(unmarked).collect();
    let nobodys = || seen.unmanaged.iter().filter(unmarked).collect();
    let keys: Vec<&String> = if named.is_empty() { nobodys() } else { named };
    if keys.is_empty() {
        // What we sign in with is not taken in: the slot's next rotation would end it.
        if let Some(own) = seen.own.first() {
            not_our_key(context, &slot.integration, own).await?;
        }
        return Ok(None);
    }
    let store = ClaimStore::open(context, &seen.tenant, &seen.observed.vendor_id, slot).await?;
    if store.mirror(context, Freshness::Shared).await?.is_some() {
        return Ok(None);
    }
    match &keys[..] {
        [one] => Ok(Some((*one).clone())),
        several => {
            let all = || seen.known.keys().chain(seen.slots.keys()).map(String::as_str);
            let meant = |key_id: &&&String| slot_name_of(key_id, all()) == slot.name;
            if let Some(meant) = several.iter().find(meant) {
                return Ok(Some((*meant).clone()));
            }
            let names: Vec<String> =
                several.iter().map(|key_id| slot_name_of(key_id, all())).collect();
            let told: Vec<String> = several.iter().map(|key_id| seen.tell(key_id)).collect();
            Err(Problem::new("E-SEVERAL-KEYS", "It is not known which credential is meant")
                .detail(format!(
                    "{slot}: {} live credentials bear no mark of anybody: {}. An import takes in the \
                     only one; of several the one that the slot is called after, and this is called \
                     after none.",
                    several.len(),
                    told.join(", ")
                ))
                .next(format!(
                    "import each under a name of its own ({}); or declare a new nhi_credential and no \
                     import of it, move what uses the old ones to it, then set revoke_unmanaged = true \
                     on the nhi_integration",
                    names.join(", ")
                ))
                .at(&["name"]))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slot_is_called_after_what_people_go_by_of_its_key_and_no_two_alike() {
        let (a, b) =
            ("1d5be74d-0ec0-7c30-f9b2-ff4e992e6b4d", "1d5be74d-33ec-c9e1-7486-25400bb707fa");
        assert_eq!(slot_name_of(a, []), "1d5be74d");
        assert_eq!(slot_name_of(a, [a, "ceead19d-33ec-c9e1-7486-25400bb707fa"]), "1d5be74d");
        assert_eq!(slot_name_of(a, [b]), a);
        assert_eq!(
            slot_name_of("AKIAIOSFODNN7EXAMPLE", ["AKIAIOSFODNN7EXAMPLF"]),
            "AKIAIOSFODNN7EXAMPLE"
        );
        assert_eq!(slot_name_of("-a/b\"${c}", []), "k-a_b___c_");
        assert_eq!(slot_name_of("a/b", ["a_b"]), "", "nobody could tell which one is meant");
    }
}
