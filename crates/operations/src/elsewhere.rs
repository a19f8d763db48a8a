//! What another installation governs: it is seen here and told, and never touched.

use std::collections::BTreeSet;

use domain::{IntegrationId, Realm, Record};

use crate::{Context, Problem, realm_key};

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

/// That no other installation governs it: two would undo each other's work. Slots of ours whose
/// credentials live on it show that it was this one's. And that what this one wrote there was written
/// with the key that is here.
pub(crate) async fn governed_here(
    context: &Context,
    id: &IntegrationId,
    record: Option<&Record>,
    slots: impl IntoIterator<Item = &String>,
) -> Result<(), Problem> {
    let realm = context.realm.as_deref();
    let Some(of) = governed_elsewhere(realm, record) else {
        return realm_key::wrote_record(context, &id.to_string(), record);
    };
    let here = realm.map_or_else(
        || "no realm is configured".to_owned(),
        |realm| format!("this one is {:?}", realm.id),
    );
    let slots: BTreeSet<&str> = slots.into_iter().map(String::as_str).collect();
    let was_ours = match slots.is_empty() {
        true => String::new(),
        false => format!(
            "\nCredentials of this installation live on it all the same ({}): it was handed over, or \
             somebody wrote over its record.",
            Vec::from_iter(slots).join(", ")
        ),
    };
    let command = match realm {
        Some(realm) => context.connector(&id.connection).await?.hand_over(&id.key, &realm.id),
        None => None,
    };
    let take = match command {
        Some(command) => format!("put its record under this one:\n      {command}\n      and"),
        None => "clear its record at the platform, and".to_owned(),
    };
    Err(Problem::new("E-FOREIGN-REALM", "Another installation governs this integration")
        .detail(format!(
            "{id}: its record names installation {of:?}{}, and here {here}. Two that govern one \
             integration would undo each other's work, so nothing was changed.{was_ours}",
            owner_words(record)
        ))
        .next(format!(
            "change it in the configuration whose nhi.hcl says realm = {{ id = {of:?} }}. Where \
             somebody wrote over the record, or that installation gives it up (terraform state rm \
             there), {take} plan again, with an import where it is in no state here"
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

/// Who may have what a create finds taken. Where the very run that asks has made it, it is known.
pub(crate) fn who_has_it(in_this_run: bool) -> &'static str {
    match in_this_run {
        true => "another resource of this configuration, which this run made before,",
        false => {
            "another resource of this configuration (the old half of a create_before_destroy is \
             one), another state, or one that was lost"
        }
    }
}

/// The command that takes what is there into the state of a resource that found it taken.
pub(crate) fn import_of(resource: &str, id: &str) -> String {
    format!(
        "where no other state has it: terraform import <ADDRESS> '{id}', with the address of this \
         {resource}."
    )
}
