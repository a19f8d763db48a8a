//! What can be known of the places of a secret before there is one.

use domain::path::is_within;
use secrets::{Home, Sink, SinkError};

use crate::{Context, Custody, Problem, document::Meta};

/// Why a document cannot be where a delivery names it.
#[derive(Debug)]
pub enum Misplaced {
    /// It never can.
    Never(Problem),
    /// It could not as things are now: somebody may change them before it is written.
    Now(Problem),
}

/// Where a document is in truth, whatever its connection is called; `None` where its sink cannot be
/// asked now.
pub async fn home_of(context: &Context, connection: &str, path: &str) -> Option<Home> {
    context.sink(connection).await.ok()?.home(path).await.ok()
}

/// Custody's place, as delivered documents name it; `None` where its sink does not say who it is.
pub(crate) async fn custody_place(context: &Context) -> Option<String> {
    let custody = context.custody.as_ref()?;
    let home = home_of(context, &custody.connection, &custody.path).await?;
    Some(format!("{}:{}", home.store, home.path))
}

/// Two runs with their claims in two places would know nothing of one another. Where the claim that is
/// here is as new as what was delivered, it was brought here, and counts.
pub(crate) fn claim_is_elsewhere(
    context: &Context,
    what: &str,
    here: Option<&str>,
    meta: &Meta,
    epoch: u64,
) -> Option<Problem> {
    let custody = context.custody.as_ref().filter(|custody| !custody.other_is_lost)?;
    let there = meta.custody.as_deref().filter(|there| Some(*there) != here && here.is_some())?;
    if epoch >= meta.epoch {
        return None;
    }
    Some(
        Problem::new("E-CLAIM-PLACE", "Its custody is another one")
            .detail(format!(
                "{what}: what was delivered names {there} as custody, where runs say what they are at, and \
                 custody is {} here ({}:{}), which says nothing of it. Two that do not see each other would \
                 cut off each other's consumers. Nothing was changed.",
                here.unwrap_or("unknown"),
                custody.connection,
                custody.path
            ))
            .next(format!(
                "name the former place in custody again; to move custody, copy all documents of the \
                 folder to the new one first. Where the former one is lost: nhi rotate {what} \
                 --custody-is-lost, when no run uses it any more"
            ))
            .at(&["integration"]),
    )
}

/// Whether a document would be in custody's folder: by what the sinks say of themselves, since one
/// store may be reached through several connections, and by the names where they cannot be asked.
pub async fn in_custody(
    context: &Context,
    connection: &str,
    path: &str,
    home: Option<&Home>,
) -> bool {
    let Some(custody) = &context.custody else { return false };
    match (home, home_of(context, &custody.connection, &custody.path).await) {
        (Some(home), Some(folder)) => home.is_within(&folder),
        _ => custody.connection == *connection && is_within(path, &custody.path),
    }
}

/// What follows where custody is no folder but all of a store, as a whole mount is: nothing can be
/// delivered anywhere in it. A store for custody alone is right, so nobody is stopped.
pub async fn custody_is_all_of_a_store(sink: &dyn Sink, custody: &Custody) -> Option<Problem> {
    // Where no document can ever be, by its path, is no folder in something.
    let Err(SinkError::Refused { .. }) = sink.check(&custody.path).await else { return None };
    let Custody { connection, path, .. } = custody;
    Some(
        Problem::new("E-SINK-CUSTODY", "Custody is all of a store")
            .detail(format!(
                "{connection}:{path} is all of a store, and every deliver_to in it will be refused: an \
                 application that may read in custody could read what is on its way to others."
            ))
            .next(format!(
                "unless it is kept for custody alone, name a folder in it ({}/nhi) before a credential \
                 is issued",
                path.trim_matches('/')
            )),
    )
}

/// Why a sink could not hold a document at a path, as far as it tells; `None` where nothing speaks
/// against it. It is asked before the first credential is issued for that place: what is refused after
/// that is a key that nobody holds.
pub async fn misplaced(context: &Context, connection: &str, path: &str) -> Option<Misplaced> {
    let place = |code, summary| Problem::new(code, summary);
    let told = match context.sink(connection).await {
        Ok(sink) => sink.check(path).await,
        // What a connection hangs on becomes known in apply, and there it is asked again.
        Err(problem) if problem.code == "E-NOT-YET-KNOWN" => return None,
        Err(problem) => return Some(Misplaced::Now(problem)),
    };
    match told {
        Ok(None) => None,
        Ok(Some(why)) => Some(Misplaced::Now(
            place("E-SINK-PLACE", "The sink shows no place for this document")
                .detail(format!("{connection}:{path}: {why}. Then apply cannot deliver the secret."))
                .next(format!("correct the path, or make that place before the apply (nhi doctor {connection})")),
        )),
        Err(SinkError::Refused { place: at, reason }) => Some(Misplaced::Never(
            place("E-SINK-PLACE", "The sink can hold no document there")
                .detail(format!("{connection}: {at}: {reason}."))
                .next("name a path that this sink can hold a document at"),
        )),
        Err(SinkError::Unfit { place: at, reason, next }) => Some(Misplaced::Never(
            place("E-SINK-PLACE", "The sink can hold no document there")
                .detail(format!("{connection}: {at}: {reason}."))
                .next(next),
        )),
        Err(error) => Some(Misplaced::Now(Problem::from(error))),
    }
}
