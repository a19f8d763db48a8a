//! What an integration has to do with, looked at: its workflows and the one that it took the place of.

use connector::Want;
use domain::{IntegrationId, ObservedIntegration, Span, Ties};
use ledger::{Filter, Ledger};
use policy::{
    Rules,
    standing::{Around, Facts, conditions_met},
};

use crate::{Context, Problem, decommission::Decommissioned, observe::object_of};

/// What was seen, and what could not be looked at.
#[derive(Debug, Clone, Default)]
pub struct SeenAround {
    around: Around,
    /// What could not be looked at: its id, and why. Nothing is concluded of it.
    pub unread: Vec<(String, Problem)>,
}

impl SeenAround {
    /// The facts of an integration, with what was seen around it. `live`: the integration itself.
    #[must_use]
    pub fn into_facts(
        self,
        facts: Facts,
        ties: &Ties,
        live: &ObservedIntegration,
        rules: &Rules,
        now: domain::Now,
    ) -> Facts {
        let ends =
            ties.runs_on.as_ref().and_then(|host| host.contract_ends_on.as_deref()?.parse().ok());
        let used = live.credentials.iter().flatten().filter(|one| one.live);
        let used: Vec<_> = used.map(|one| one.last_used).collect();
        let met = conditions_met(&ties.expires_when, ends, &used, rules, now);
        Facts { around: Around { met, ..self.around }, ..facts }
    }
}

/// What there is at a place: not there, switched off, or at work.
enum There {
    Gone,
    Off,
    Works,
}

/// Looks at what an integration has to do with. What is of no connection is not looked at.
pub async fn look_around(context: &Context, ties: &Ties) -> SeenAround {
    let mut seen = SeenAround::default();
    seen.around.workflows = ties.workflows.len();
    seen.around.ends_with_any_workflow = ties.expires_when.contains("workflow_retired");
    for (name, workflow) in &ties.workflows {
        let Some(id) = &workflow.id else { continue };
        match there(context, id).await {
            Ok(Some(There::Gone | There::Off)) => seen.around.gone.push(name.clone()),
            Ok(_) => {}
            Err(problem) => seen.unread.push((id.clone(), problem)),
        }
    }
    if let Some(id) = &ties.replaces {
        match there(context, id).await {
            Ok(found) => seen.around.predecessor_alive = matches!(found, Some(There::Works)),
            Err(problem) => seen.unread.push((id.clone(), problem)),
        }
    }
    seen
}

/// `None` where nothing of it can be seen: its vendor runs it.
async fn there(context: &Context, id: &str) -> Result<Option<There>, Problem> {
    let parsed: IntegrationId = id.parse().map_err(|error: domain::id::IdError| {
        Problem::new("E-ID", "This is no id of an integration")
            .detail(error.to_string())
            .next("take it from nhi scan")
    })?;
    if parsed.connection == "none" {
        return Ok(None);
    }
    let platform = context.connections.platform(&parsed.connection)?;
    if platform.kinds().iter().all(|kind| kind.name != parsed.kind) {
        return Err(Problem::new("E-KIND", "This connection cannot hold it")
            .detail(format!(
                "{id}: connection {:?} is {}, which has no {}.",
                parsed.connection,
                platform.name(),
                parsed.kind
            ))
            .next("take the id from nhi scan"));
    }
    context.tenant(&parsed.connection).await?;
    let connector = context.connector(&parsed.connection).await?;
    let want = Want { credentials: false, ..Want::LEAN };
    let found = connector
        .read(&object_of(&parsed, None, None), want)
        .await
        .map_err(|error| Problem::unreadable(id, &error))?;
    Ok(Some(match found {
        None => There::Gone,
        Some(one) if !one.enabled || Decommissioned::of(one.record.as_ref()).is_some() => {
            There::Off
        }
        Some(_) => There::Works,
    }))
}

/// How long it took when a credential of an integration was last ended, from the word to the first
/// refusal, as the ledger has it.
///
/// # Errors
///
/// The ledger cannot be read.
pub(crate) async fn time_to_stop(ledger: &dyn Ledger, id: &str) -> Result<Option<Span>, Problem> {
    let filter = Filter {
        kinds: vec!["rotation.proven".to_owned(), "drill.ended".to_owned()],
        newest_first: true,
        limit: 50,
        ..Filter::under(id)
    };
    let page = ledger.entries(&filter).await?;
    let told = page.entries.iter().find_map(|entry| entry.detail.get("time_to_stop"));
    Ok(told.and_then(|words| words.as_str()?.parse().ok()))
}

#[cfg(test)]
mod tests {
    use ledger::{Durability, MemoryLedger, NewEntry};

    use super::*;

    #[tokio::test]
    async fn the_last_end_that_was_timed_is_the_one_that_counts() {
        let ledger = MemoryLedger::new();
        let of = |kind: &str, subject: &str, took: Option<&str>| {
            let entry = NewEntry::new(1, kind, subject);
            took.into_iter().fold(entry, |entry, took| entry.detail("time_to_stop", took))
        };
        let slot = "bao/role/x/credential/default";
        let entries = vec![
            of("rotation.proven", slot, Some("9s")),
            of("drill.ended", slot, Some("1m30s")),
            of("rotation.proven", slot, None),
            of("rotation.promoted", slot, Some("5s")),
            of("drill.ended", "bao/role/x2/credential/default", Some("7s")),
        ];
        assert_eq!(time_to_stop(&ledger, "bao/role/x").await.unwrap(), None);
        ledger.append(entries, Durability::Durable).await.unwrap();
        let took = time_to_stop(&ledger, "bao/role/x").await.unwrap();
        assert_eq!(took, "1m30s".parse().ok());
    }
}
