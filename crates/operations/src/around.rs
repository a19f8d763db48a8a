//! What an integration has to do with, looked at: its workflows and the one that it took the place of.

use connector::Want;
use domain::{IntegrationId, ObservedIntegration, Span, Ties};
use ledger::{Filter, Ledger};
use policy::{
    Rules,
    standing::{Around, Facts, conditions_met},
    usage::Usage,
};

use crate::{
    Context, Problem, decommission::Decommissioned, observe::object_of, usage::read_usage_of,
};

/// What was seen, and what could not be looked at.
#[derive(Debug, Clone, Default)]
pub struct SeenAround {
    around: Around,
    /// What logs tell of the use of its credentials; `None`: that is not known, or nobody asked.
    usage: Option<Usage>,
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
        // Of what a log shows in use its platform may tell nothing, or less. Where no log could be read,
        // nothing is concluded.
        let used: Vec<_> = match (&self.usage, rules.findings.dormant_after) {
            (Some(usage), Some(after)) => {
                let live = live.credentials.iter().flatten().filter(|one| one.live);
                live.map(|one| usage.last_used(&one.key_id, one.last_used, after)).collect()
            }
            _ => Vec::new(),
        };
        let met = conditions_met(&ties.expires_when, ends, &used, rules, now);
        Facts { around: Around { met, ..self.around }, ..facts }
    }

    /// What could not be looked at, as a gap of the integration that has to do with it: with what was read
    /// of that one nothing is whole. Whether the other's connection answers is another matter.
    pub(crate) fn gaps_of(&self, id: &str) -> Vec<(String, Problem)> {
        let gap = |(what, problem): &(String, Problem)| {
            let detail = format!("{what}, with which it has to do: {}", problem.detail);
            (id.to_owned(), Problem { unheard: false, detail, ..problem.clone() })
        };
        self.unread.iter().map(gap).collect()
    }
}

/// What there is at a place: not there, switched off, or at work.
enum There {
    Gone,
    Off,
    Works,
}

/// Looks at what an integration has to do with. What is of no connection is not looked at.
pub async fn look_around(context: &Context, id: &str, ties: &Ties) -> SeenAround {
    let mut seen = SeenAround::default();
    if ties.expires_when.contains("dormant") {
        match read_usage_of(context, id).await {
            Ok(usage) => seen.usage = Some(usage),
            Err(problem) => seen.unread.push((id.to_owned(), problem)),
        }
    }
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
    use domain::{LastUsed, ObservedCredential, Settings};
    use jiff::Timestamp;
    use ledger::{Durability, MemoryLedger, NewEntry};
    use policy::usage::Log;

    use super::*;

    #[test]
    fn what_a_log_shows_in_use_is_not_dormant_whatever_its_platform_tells() {
        let at = |text: &str| text.parse::<Timestamp>().unwrap();
        let (long_ago, now) = (at("2026-01-01T00:00:00Z"), at("2026-12-01T00:00:00Z"));
        let key = ObservedCredential {
            key_id: "k1".into(),
            credential_type: "key".into(),
            marker: None,
            issued_at: None,
            expires_at: None,
            last_used: LastUsed::At(long_ago),
            live: true,
            disabled: false,
            settings: Settings::default(),
        };
        let live = ObservedIntegration {
            kind: "role".into(),
            key: "x".into(),
            vendor_id: "v".into(),
            name: "x".into(),
            settings: Settings::default(),
            record: None,
            contacts: None,
            scopes: [].into(),
            enabled: true,
            parked: false,
            builtin: false,
            credentials: Some(vec![key]),
            gaps: Vec::new(),
        };
        let ties = Ties { expires_when: ["dormant".to_owned()].into(), ..Ties::default() };
        let met = |usage: Option<Usage>| {
            let seen = SeenAround { usage, ..SeenAround::default() };
            let facts = Facts::default();
            seen.into_facts(facts, &ties, &live, &Rules::default(), now.into()).around.met
        };
        let keys = [("k1".to_owned(), at("2026-11-30T00:00:00Z"))].into();
        let log = Log { from: long_ago, to: now, keys, scopes: [].into() };
        let usage = Usage { logs: [("access".to_owned(), log)].into() };
        assert_eq!(met(Some(Usage::default())), ["dormant"]);
        assert_eq!(met(Some(usage)), [""; 0]);
        assert_eq!(met(None), [""; 0], "what could not be read ends nothing");
    }

    #[test]
    fn what_could_not_be_looked_at_is_a_gap_of_whoever_has_to_do_with_it() {
        let problem = Problem { unheard: true, ..Problem::new("E-X", "Nobody answered") };
        let seen = SeenAround {
            unread: vec![("hub/service/w".to_owned(), problem.detail("it is silent"))],
            ..SeenAround::default()
        };
        let gaps = seen.gaps_of("bao/role/x");
        let [(of, problem)] = &gaps[..] else { panic!("{gaps:?}") };
        assert_eq!(of, "bao/role/x");
        assert!(problem.detail.contains("hub/service/w") && !problem.unheard, "{problem:?}");
    }

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
