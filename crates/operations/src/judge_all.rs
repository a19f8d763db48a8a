//! Everything that is declared, looked at several at once: for `nhi drift`, and for what a data source
//! tells of it.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use domain::Ties;
use ledger::{Ledger, Range};
use policy::{
    Rules,
    findings::{self, Finding, chain_broken, clocks_apart},
    reach::{Graph, Holder},
    rules::Verdict,
};
use tokio::{sync::Semaphore, task::JoinSet};

use crate::{
    Context, Held, Judged, Problem, Wish, WishedSlot, Wishes, break_glass::unreviewed, failing,
    judge_heard, judge_integration, judge_left_behind, judge_owner, judge_third_party,
    never_heard_of, shut_out, tasks,
};

/// How many things are looked at at once; the connection's own budget limits requests.
const AT_ONCE: usize = 16;

/// What all looks came to.
#[derive(Debug, Clone, Default)]
pub struct AllJudged {
    /// What was found, each with its fingerprint, by what it is about.
    pub findings: Vec<([u8; 16], Finding)>,
    /// What could not be read, and why.
    pub gaps: Vec<(String, Problem)>,
}

/// Looks at each thing that is declared, several at once, and gives what each look came to. `owns`: the
/// integrations of each owner; `all`: where each integration gets to is judged by all that are declared,
/// also by those that are not looked at. Returns what that comes to.
pub async fn judge_each(
    context: &Context,
    wishes: Wishes,
    mut owns: BTreeMap<String, Vec<String>>,
    mut all: BTreeMap<String, Reaching>,
    mut each: impl FnMut(&str, Result<Judged, Problem>),
) -> Vec<([u8; 16], Finding)> {
    let theirs: BTreeSet<String> =
        wishes.third_parties.iter().map(|wish| wish.id.clone()).collect();
    for wish in &wishes.third_parties {
        each(&wish.id, Ok(judge_third_party(context, wish)));
    }
    let gate = Arc::new(Semaphore::new(AT_ONCE));
    let mut running: JoinSet<(String, Result<Judged, Problem>)> = JoinSet::new();
    let mut waited_for: BTreeSet<String> = BTreeSet::new();
    // What ends with an owner is judged when all owners were looked at.
    let mut by_owners: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for (id, wish) in &wishes.integrations {
        if wish.ties.expires_when.contains("owner_left") {
            by_owners.insert(id.clone(), owners_of(wish));
        }
    }
    let (mut waiting, mut away) = (Vec::new(), Away::new());
    let is_owner: BTreeSet<String> = wishes.owners.keys().cloned().collect();
    for (id, wish) in wishes.integrations {
        let (context, gate) = (context.clone(), gate.clone());
        waited_for.insert(id.clone());
        running.spawn(async move {
            let _turn = gate.acquire().await;
            (id, judge_integration(&context, &wish).await)
        });
    }
    for (id, wish) in wishes.owners {
        let (context, gate) = (context.clone(), gate.clone());
        let owns = owns.remove(&id).unwrap_or_default();
        waited_for.insert(id.clone());
        running.spawn(async move {
            let _turn = gate.acquire().await;
            (id, judge_owner(&context, &wish, &owns).await)
        });
    }
    while let Some(ended) = running.join_next().await {
        let Ok((id, judged)) = ended else { continue };
        waited_for.remove(&id);
        if let (Some(one), Ok(judged)) = (all.get_mut(&id), &judged) {
            one.held = judged.held.clone();
        }
        if is_owner.contains(&id) {
            away.insert(id.clone(), judged.as_ref().ok().map(is_away));
        }
        match (by_owners.get(&id), judged) {
            (Some(owners), Ok(judged)) => waiting.push((id, owners, judged)),
            (_, judged) => each(&id, judged),
        }
    }
    for id in waited_for.intersection(&is_owner) {
        away.insert(id.clone(), None);
    }
    for (id, owners, judged) in waiting {
        each(&id, Ok(with_owners(&context.rules, &id, judged, owners, &away)));
    }
    for id in waited_for {
        let problem = Problem::new("E-UNREADABLE", "A look did not come to its end")
            .detail(format!("{id}: it was cut off by a fault of this program."))
            .next("report it, with what was asked for");
        each(&id, Err(problem));
    }
    reaching(context, &all, &theirs)
}

/// Owners with a directory: whether they are away; `None` where it could not be asked.
type Away = BTreeMap<String, Option<bool>>;

/// Who answers for an integration.
fn owners_of(wish: &Wish) -> Vec<String> {
    let record = wish.record.as_ref();
    let named = ["business_owner.id", "technical_owner.id"].into_iter();
    named.filter_map(|member| record?.get(member).cloned()).collect()
}

/// Whether a directory says of an owner that they are not there.
fn is_away(judged: &Judged) -> bool {
    let rules = ["owner-inactive", "owner-left"];
    judged.findings.iter().any(|(_, one)| rules.contains(&one.rule))
}

/// With what follows for an integration that ends with an owner, as a plan has it: without any grace.
fn with_owners(
    rules: &Rules,
    id: &str,
    mut judged: Judged,
    owners: &[String],
    away: &Away,
) -> Judged {
    // Of what is not there, or not ours, nothing else is told either; what was not read is a gap already.
    let Some(held) = &judged.held else { return judged };
    let at = held.at.clone();
    if let Some(owner) = owners.iter().find(|owner| away.get(*owner) == Some(&Some(true))) {
        let met = format!("owner_left ({owner})");
        let known = judged.findings.iter_mut().find(|(_, one)| one.rule == "condition-met");
        if let Some((_, one)) = known {
            one.actual = format!("{}, {met}", one.actual);
            return judged;
        }
        let follows = BTreeMap::from([("condition_met", Verdict::Disable)]);
        for one in findings::standing(id, &follows) {
            let one = rules.findings.weighed(Finding { actual: met.clone(), ..one });
            judged.findings.push((one.fingerprint(&at.0, &at.1), one));
        }
    } else if let Some(owner) = owners.iter().find(|owner| away.get(*owner) == Some(&None)) {
        let problem =
            Problem::new("E-UNREADABLE", "Whether a condition that ends it is met is not known")
                .detail(format!("{id} ends with {owner}, and their directory could not be asked."))
                .next("nhi doctor");
        judged.gaps.push((id.to_owned(), problem));
    }
    judged
}

/// An integration, with what it is known to hold.
#[derive(Debug, Clone)]
pub struct Reaching {
    /// Its id.
    pub id: String,
    /// What it has to do with.
    pub ties: Ties,
    /// The ids of its slots.
    pub slots: Vec<String>,
    /// What it was seen to hold; `None`: nobody could look.
    pub held: Option<Held>,
}

impl Reaching {
    /// For the graph of all.
    pub fn holder(&self) -> Holder<'_> {
        Holder {
            id: &self.id,
            ties: Some(&self.ties),
            scopes: self.held.as_ref().map(|held| held.scopes.as_slice()),
            slots: self.slots.clone(),
        }
    }
}

/// All integrations that are declared, before anybody has looked at what they hold.
pub fn reach_of(wishes: &Wishes) -> BTreeMap<String, Reaching> {
    let slots = |wish: &Wish| {
        let of = |slot: &WishedSlot| format!("{}/credential/{}", wish.id, slot.name);
        wish.slots.iter().map(of).collect()
    };
    let ours = wishes.integrations.values().map(|wish| Reaching {
        id: wish.id.clone(),
        ties: wish.ties.clone(),
        slots: slots(wish),
        held: None,
    });
    let theirs = wishes.third_parties.iter().map(|wish| Reaching {
        id: wish.id.clone(),
        ties: wish.ties.clone(),
        slots: Vec::new(),
        held: None,
    });
    ours.chain(theirs).map(|one| (one.id.clone(), one)).collect()
}

/// What is to be said of where each gets to. Of what could not be read it is said already.
fn reaching(
    context: &Context,
    all: &BTreeMap<String, Reaching>,
    theirs: &BTreeSet<String>,
) -> Vec<([u8; 16], Finding)> {
    let graph = Graph::of(&all.values().map(Reaching::holder).collect::<Vec<_>>());
    let mut told = Vec::new();
    for one in all.values() {
        let (at, ceiling) = match &one.held {
            Some(held) => (held.at.clone(), held.ceiling),
            None if theirs.contains(&one.id) => (("none".to_owned(), one.id.clone()), None),
            None => continue,
        };
        for finding in findings::reach(&one.id, &graph, ceiling, &context.rules) {
            let finding = context.rules.findings.weighed(finding);
            told.push((finding.fingerprint(&at.0, &at.1), finding));
        }
    }
    told
}

/// Whether the ledger is what it was: what somebody rewrote is no ground to judge from.
///
/// # Errors
///
/// It cannot be read.
pub async fn ledger_changed(ledger: &dyn Ledger) -> Result<Option<([u8; 16], Finding)>, Problem> {
    let found = ledger.verify(Range::ALL).await?;
    let bad = found.first_bad.map(|bad| format!("entry {}: {}", bad.seq, bad.what));
    let Some(what) = bad.or(found.problems.into_iter().next()) else { return Ok(None) };
    let one = chain_broken(&what);
    let id = ledger.head().await.map(|head| head.ledger).unwrap_or_default();
    Ok(Some((one.fingerprint("", &id), one)))
}

/// Whether the clocks by which anything ends agree.
pub async fn clocks_disagree(context: &Context) -> Option<([u8; 16], Finding)> {
    let one = clocks_apart(&context.clocks_that_disagree().await?);
    Some((one.fingerprint("", "clock"), one))
}

/// Looks at everything that is declared, and at what was left open beside it.
pub async fn judge_all(context: &Context, wishes: Wishes) -> AllJudged {
    let mut all = AllJudged::default();
    let mut looked_at: BTreeMap<String, Option<String>> = BTreeMap::new();
    let (slots, owns, heard_of) = (wishes.slots(), wishes.owned(), wishes.heard_of.clone());
    let reach = reach_of(&wishes);
    match ledger_changed(&*context.ledger).await {
        Ok(found) => all.findings.extend(found),
        Err(problem) => all.gaps.push(("ledger".to_owned(), problem)),
    }
    match tasks(context, &wishes).await {
        Ok(tasks) => all.findings.extend(tasks.iter().filter_map(|one| one.finding(context))),
        Err(problem) => all.gaps.push(("ledger".to_owned(), problem)),
    }
    match unreviewed(context).await {
        Ok(found) => all.findings.extend(found),
        Err(problem) => all.gaps.push(("break-glass".to_owned(), problem)),
    }
    let further = judge_each(context, wishes, owns, reach, |id, judged| match judged {
        Ok(judged) => {
            let vendor_id = judged.vendor_id.clone();
            looked_at.extend(vendor_id.map(|vendor_id| (id.to_owned(), Some(vendor_id))));
            all.take(judged);
        }
        Err(problem) => {
            looked_at.insert(id.to_owned(), None);
            all.gaps.push((id.to_owned(), problem));
        }
    })
    .await;
    all.findings.extend(further);
    match judge_left_behind(context, &looked_at, &slots, true).await {
        Ok(judged) => all.take(judged),
        Err(problem) => all.gaps.push(("custody".to_owned(), problem)),
    }
    match never_heard_of(context, &heard_of).await {
        Ok(gaps) => all.gaps.extend(gaps),
        Err(problem) => all.gaps.push(("platforms".to_owned(), problem)),
    }
    all.take(judge_heard(context, |_| true).await);
    all.findings.extend(shut_out(context, &all.gaps).await);
    match failing(context).await {
        Ok(found) => all.findings.extend(found),
        Err(problem) => all.gaps.push(("ledger".to_owned(), problem)),
    }
    all.findings.extend(clocks_disagree(context).await);
    let told = |one: &Finding| {
        let sides = (one.verdict, one.actual.clone(), one.expected.clone());
        (one.subject.clone(), one.facet.clone(), one.rule, sides)
    };
    all.findings.sort_by_cached_key(|(_, one)| told(one));
    all.gaps.sort_by(|(a, _), (b, _)| a.cmp(b));
    all
}

impl AllJudged {
    fn take(&mut self, judged: Judged) {
        self.findings.extend(judged.findings);
        self.gaps.extend(judged.gaps);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_ends_with_an_owner_is_told_when_they_are_away_and_a_gap_where_nobody_knows() {
        let owners = ["owner/ana".to_owned(), "owner/bob".to_owned()];
        let told = |ana: Option<bool>, held: bool| {
            let away = Away::from([(owners[0].clone(), ana), (owners[1].clone(), Some(false))]);
            let judged = Judged { held: held.then(Held::default), ..Judged::default() };
            let judged = with_owners(&Rules::default(), "bao/role/a", judged, &owners, &away);
            let found: Vec<_> =
                judged.findings.into_iter().map(|(_, one)| (one.rule, one.actual)).collect();
            (found, judged.gaps.len())
        };
        let met = ("condition-met", "owner_left (owner/ana)".to_owned());
        assert_eq!(told(Some(true), true), (vec![met], 0));
        assert_eq!(told(Some(false), true), (vec![], 0));
        assert_eq!(told(None, true), (vec![], 1));
        assert_eq!(told(Some(true), false), (vec![], 0));
    }
}
