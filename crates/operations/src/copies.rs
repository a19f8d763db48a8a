//! Copies of a secret in other places of a store: fields that are, by their fingerprint, what was delivered
//! elsewhere.

use crate::{Context, KnownSecret, Problem, Wishes, places::in_custody};

/// A field that has the secret of a slot which is not delivered there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SecretCopy {
    /// Which of the secrets that are known.
    pub which: usize,
    /// Where it stands: `<connection>:<path>#<field>`.
    pub place: String,
}

/// What a folder of a store has of the secrets that are known, and how many documents were read. Where a
/// secret is delivered to it is as it should be, and custody is not looked into.
///
/// # Errors
///
/// The folder, or a document in it, cannot be read.
pub async fn copies_in(
    context: &Context,
    wishes: &Wishes,
    known: &[KnownSecret],
    connection: &str,
    folder: &str,
) -> Result<(Vec<SecretCopy>, u64), Problem> {
    let sink = context.sink(connection).await?;
    let (_, key) = context.realm_key()?;
    let folder = folder.trim_matches('/');
    let home = sink.home(folder).await.ok();
    if in_custody(context, connection, folder, home.as_ref()).await {
        return Err(Problem::new("E-LEAKS-CUSTODY", "Custody is not looked into")
            .detail(format!("{connection}:{folder} is where secrets wait to be delivered."))
            .next("name the folders that applications and people use"));
    }
    let names = sink.names(folder).await?;
    let (mut copies, mut read) = (Vec::new(), 0);
    for name in names {
        let path = format!("{folder}/{name}");
        let Some(stored) = sink.read(&path).await? else { continue };
        read += 1;
        let place = format!("{connection}:{path}");
        let is_delivered = |slot: &str| {
            let of = |id: &str, name: &str| format!("{id}/credential/{name}") == slot;
            wishes.integrations.values().any(|wish| {
                let mut slots = wish.slots.iter().filter(|one| of(&wish.id, &one.name));
                slots.any(|one| one.deliveries.iter().any(|to| to.place() == place))
            })
        };
        let document = stored.document.unwrap_or_default();
        for (field, value) in &document.0 {
            let print = key.fingerprint(value).to_string();
            let same = known.iter().enumerate().filter(|(_, one)| one.print == print);
            let others = same.filter(|(_, one)| !is_delivered(&one.slot));
            copies.extend(others.map(|(which, _)| {
                let place = format!("{place}#{field}");
                SecretCopy { which, place }
            }));
        }
    }
    Ok((copies, read))
}
