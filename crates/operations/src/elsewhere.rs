//! What another installation governs: it is seen here and told, and never touched.

use domain::{Realm, Record};

use crate::{Context, Problem};

/// Whether what bears this id is another installation's. One that has no id of its own is never the
/// one that a record or a mark names.
pub fn is_elsewhere(realm: Option<&Realm>, of: &str) -> bool {
    realm.is_none_or(|realm| realm.id != of)
}

/// The other installation that governs an integration, as its record tells.
pub fn governed_elsewhere<'a>(
    realm: Option<&Realm>,
    record: Option<&'a Record>,
) -> Option<&'a str> {
    record?.realm.as_deref().filter(|of| is_elsewhere(realm, of))
}

/// That no other installation governs it: two would undo each other's work.
pub(crate) fn governed_here(
    context: &Context,
    what: &str,
    record: Option<&Record>,
) -> Result<(), Problem> {
    let realm = context.realm.as_deref();
    let Some(of) = governed_elsewhere(realm, record) else { return Ok(()) };
    let here = realm.map_or_else(
        || "no realm is configured".to_owned(),
        |realm| format!("this one is {:?}", realm.id),
    );
    Err(Problem::new("E-FOREIGN-REALM", "Another installation governs this integration")
        .detail(format!(
            "{what}: its record names installation {of:?}{}, and here {here}. Two that govern one \
             integration would undo each other's work, so nothing was changed.",
            owner_words(record)
        ))
        .next(format!(
            "change it in the configuration whose nhi.hcl says realm = {{ id = {of:?} }}. To take it \
             over for good, give it up there (terraform state rm), clear its record at the platform, \
             and import it here"
        ))
        .at(&["connection_name"]))
}

/// Whom a record names, for people who must ask them.
pub(crate) fn owner_words(record: Option<&Record>) -> String {
    let owner = record
        .and_then(|record| record.technical_owner.as_ref().or(record.business_owner.as_ref()));
    owner.map_or_else(String::new, |owner| match &owner.email {
        Some(email) => format!(" (ask {}, {email})", owner.id),
        None => format!(" (ask {})", owner.id),
    })
}
