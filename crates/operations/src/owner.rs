//! Asking a directory whether an owner is still there.

use ledger::inventory::Change;
use policy::owner::Seen;
use serde_json::{Value, json};

use crate::{Context, Problem, WishedOwner};

/// Looks an owner up.
///
/// # Errors
///
/// The directory could not be read. That is no reason to think that somebody left.
pub async fn look_up_owner(
    context: &Context,
    connection: &str,
    id: &str,
) -> Result<(Seen, Option<connector::Member>), Problem> {
    let directory = context.directory(connection).await?;
    let member = directory
        .member(id)
        .await
        .map_err(|error| Problem::unreadable(&format!("{connection}/{id}"), &error))?;
    let seen = match &member {
        None => Seen::Gone,
        Some(member) => Seen::There {
            active: member.active,
            department: member.department.clone(),
            changed_at: member.changed_at,
        },
    };
    Ok((seen, member))
}

/// Where an owner is looked up, as the ledger keeps it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OwnerEntry<'a> {
    /// The connection that is the directory.
    pub connection: &'a str,
    /// The entry in it.
    pub id: &'a str,
    /// The department that is declared.
    pub department: Option<&'a str>,
}

/// Notes where an owner is looked up, or that they are not any more, so that drift can ask the
/// directory without a state.
pub async fn note_owner(context: &Context, owner: &str, entry: Option<OwnerEntry<'_>>) {
    let document = entry.map(
        |one| json!({ "connection": one.connection, "id": one.id, "department": one.department }),
    );
    let change =
        Change::Declared { integration: owner.to_owned(), facet: DIRECTORY.to_owned(), document };
    context.note(context.entry("declared", owner).change(change)).await;
}

/// The facet of an owner's row.
const DIRECTORY: &str = "directory";

/// Reads what [`note_owner`] wrote.
pub(crate) fn noted_owner(id: &str, declared: &Value) -> Option<WishedOwner> {
    let entry = declared.get(DIRECTORY)?;
    let word = |name: &str| entry.get(name).and_then(Value::as_str).map(str::to_owned);
    Some(WishedOwner {
        id: id.to_owned(),
        entry: (word("connection")?, word("id")?),
        department: word("department"),
        inactive_since: None,
    })
}
