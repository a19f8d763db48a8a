//! A plan as it is read: a card for each change of each object, and what is left open.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use approval::statement;
use domain::Direction;
use jiff::Timestamp;
use operations::{
    Context, Problem,
    review::{Asked, Judged, ReviewBoard, Surroundings, surroundings, used},
};
use plan::{Call, Does, Plan, Planned, What};
use policy::change::{self, Digest, Value as Record, projection::Unprojectable};
use provider::review::{Reviewed, from_json, reviewed};
use serde_json::Value;
use wiring::Loaded;

use super::{
    blast::{Blast, World},
    words,
};
use crate::exit::Exit;

/// A plan, read.
#[derive(Debug)]
pub(crate) struct Reading {
    /// Where the plan is from.
    pub(crate) from: String,
    pub(crate) at: Timestamp,
    /// The version of the core that made it.
    pub(crate) core: Option<String>,
    /// The policy, where it has changes reviewed: version and digest.
    pub(crate) policy: Option<(u64, String)>,
    pub(crate) cards: Vec<Card>,
    pub(crate) open: Vec<Open>,
    /// Changes of what is not ours.
    pub(crate) others: usize,
    /// Objects of ours of which nothing governed changes.
    pub(crate) unchanged: usize,
}

/// One change of one object.
#[derive(Debug, Clone)]
pub(crate) struct Card {
    pub(crate) address: String,
    pub(crate) previous_address: Option<String>,
    /// Why, as the core says.
    pub(crate) reason: Option<String>,
    pub(crate) imports: bool,
    pub(crate) asked: Asked,
    pub(crate) digest: Digest,
    /// The hash of the words that it is shown in.
    pub(crate) shown: String,
    /// What the board says of it, where there is one.
    pub(crate) judged: Option<Judged>,
    /// What its level needs, in a line.
    pub(crate) needs: Option<String>,
    /// What to do next, where anything is missing.
    pub(crate) next: Option<String>,
    /// What surrounds it could not be read.
    pub(crate) unseen: Option<Problem>,
    /// What holds it back whoever signs it: a policy that may not be used, or a freeze.
    pub(crate) held: Option<Problem>,
    pub(crate) blast: Option<Arc<Blast>>,
}

/// What nobody can review, or what the plan leaves ungoverned.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Open {
    pub(crate) address: String,
    pub(crate) code: &'static str,
    pub(crate) why: String,
    pub(crate) next: String,
    /// Whether it is held against the plan. What is forgotten has a card of its own.
    pub(crate) counts: bool,
}

impl Card {
    /// Whether it may be done as it stands.
    pub(crate) fn may(&self) -> bool {
        let may = |one: &Judged| one.tally.is_enough() || one.tally.may_break();
        let is_in_the_way = self.unseen.is_some() || self.held.is_some();
        !is_in_the_way && self.judged.as_ref().is_some_and(may)
    }

    /// Whether somebody must sign it.
    pub(crate) fn needs_somebody(&self) -> bool {
        self.judged.as_ref().is_some_and(Judged::needs_somebody)
    }

    /// The word of its level; nothing where nobody judges it.
    pub(crate) fn level(&self) -> &'static str {
        self.judged.as_ref().map_or("", |one| one.impact.level.as_str())
    }

    /// The code of what is missing.
    pub(crate) fn code(&self) -> Option<&'static str> {
        match (self.unseen.as_ref().or(self.held.as_ref()), &self.judged) {
            (Some(problem), _) => Some(problem.code),
            (None, Some(judged)) => judged.tally.code(),
            (None, None) => Some("E-REVIEW"),
        }
    }

    /// Why it is as important as it is, and why it goes the way it goes.
    pub(crate) fn reasons(&self) -> Vec<String> {
        let levels = self.judged.iter().flat_map(|one| one.impact.reasons.iter().cloned());
        levels.collect()
    }

    /// What the most is that a scope lets do, where a difference is about one.
    pub(crate) fn action_of(&self, one: &change::Difference) -> Option<domain::Action> {
        let change = &self.asked.change;
        if change.kind != "nhi_scope" {
            return None;
        }
        let scope = words::scope_of(one)?;
        let side = if one.after.is_some() { &change.after } else { &change.before };
        let classified = side.member("classify").member(scope).as_text();
        let kind = change.object.split('/').next().unwrap_or_default();
        Some(super::blast::action_of(kind, scope, classified))
    }
}

impl Reading {
    /// Whether all of it may be done as it stands.
    pub(crate) fn may(&self) -> bool {
        self.policy.is_some()
            && self.cards.iter().all(Card::may)
            && !self.open.iter().any(|one| one.counts)
    }

    /// What a pipeline concludes from it.
    pub(crate) fn verdict(&self) -> Exit {
        if self.may() { Exit::Clean } else { Exit::Policy }
    }

    /// The hash of the words of all changes that need somebody, as who signs all of them is shown them.
    pub(crate) fn shown(&self) -> Option<String> {
        let needed = self.cards.iter().filter(|one| one.needs_somebody());
        let all: BTreeMap<Digest, &change::Change> =
            needed.map(|one| (one.digest, &one.asked.change)).collect();
        let all: Vec<change::Change> = all.into_values().cloned().collect();
        (!all.is_empty()).then(|| statement::shown(&words::shown_all(&all)))
    }

    /// In a line.
    pub(crate) fn headline(&self) -> String {
        if self.cards.is_empty() && self.open.is_empty() {
            return "no governed change".to_owned();
        }
        let missing = self.cards.iter().filter(|one| !one.may()).count();
        let open = self.open.iter().filter(|one| one.counts).count();
        let mut parts =
            vec![format!("{} {}", self.cards.len(), plural(self.cards.len(), "change"))];
        if self.policy.is_none() {
            parts.push("nobody reviews".to_owned());
        } else if missing > 0 {
            parts.push(format!("{missing} not approved"));
        } else {
            parts.push("all approved or open".to_owned());
        }
        if open > 0 {
            parts.push(format!("{open} that nobody can review"));
        }
        parts.join(", ")
    }
}

/// A word for one or several.
pub(crate) fn plural(count: usize, word: &str) -> String {
    if count == 1 { word.to_owned() } else { format!("{word}s") }
}

/// Looks up, once each, what no plan says.
struct Desk<'a> {
    context: &'a Context,
    has_ledger: bool,
    /// Why the policy may not be used.
    closed: Option<Problem>,
    tenants: BTreeMap<String, Result<String, Problem>>,
    around: BTreeMap<String, Result<Surroundings, Problem>>,
    /// What the plan says of integrations, by their ids.
    planned: BTreeMap<String, Surroundings>,
}

impl Desk<'_> {
    async fn tenant(&mut self, connection: Option<&str>) -> Result<String, Problem> {
        let Some(name) = connection else {
            // What no platform has is the installation's own.
            let realm = self.context.realm.as_ref();
            return Ok(realm.map(|one| one.id.clone()).unwrap_or_default());
        };
        if let Some(known) = self.tenants.get(name) {
            return known.clone();
        }
        // A pin says it without a look; who applies holds the tenant against it.
        let found = match self.context.connections.pinned_tenant(name) {
            Some(tenant) => Ok(tenant),
            None => self.context.tenant(name).await,
        };
        self.tenants.insert(name.to_owned(), found.clone());
        found
    }

    async fn around(&mut self, one: &Reviewed, ends: bool) -> Result<Surroundings, Problem> {
        let Some(id) = &one.integration else { return Ok(Surroundings::default()) };
        let name = id.to_string();
        // How many credentials work is known by the platform alone.
        let counts = ends && one.kind() == "nhi_credential";
        if let Some(planned) = self.planned.get(&name).filter(|_| !counts) {
            return Ok(planned.clone());
        }
        if let Some(known) = self.around.get(&name) {
            return known.clone();
        }
        let found = surroundings(self.context, id).await;
        self.around.insert(name, found.clone());
        found
    }
}

/// What a plan says of its integrations: as they are, or, where they are new, as they will be.
fn surroundings_of(plan: &Plan) -> BTreeMap<String, Surroundings> {
    let mut all = BTreeMap::new();
    for object in plan.objects.iter().filter(|one| one.kind == "nhi_integration") {
        let (values, marks) = match object.before.is_null() {
            true => (&object.after, &object.hidden_after),
            false => (&object.before, &object.hidden_before),
        };
        let values = marks.masked(values);
        let text = |value: &Value| value.as_str().map(str::to_owned);
        let Some(id) = text(&values["id"]) else { continue };
        let owners = ["business_owner", "technical_owner"];
        all.insert(
            id,
            Surroundings {
                owners: owners.iter().filter_map(|who| text(&values[*who]["id"])).collect(),
                environment: text(&values["environment"]),
                execution_mode: text(&values["execution_mode"]),
                credentials: None,
            },
        );
    }
    all
}

/// Reads a plan: judges each call that a core will make, and counts who has signed it.
///
/// # Errors
///
/// What was signed, or the ledger, cannot be read.
pub(crate) async fn read(
    plan: Plan,
    from: &str,
    believed: &BTreeSet<String>,
    loaded: &Loaded,
    context: &Context,
) -> Result<Reading, Problem> {
    let board = context.gate.board().cloned();
    let mut world = World::of(&plan);
    // Where there is no ledger yet nothing was ever done, and no policy was used.
    let has_ledger = loaded.missing_ledger().is_none();
    if has_ledger {
        context.settle_policy().await;
    }
    let mut desk = Desk {
        context,
        has_ledger,
        closed: context.gate.closed().cloned(),
        tenants: BTreeMap::new(),
        around: BTreeMap::new(),
        planned: surroundings_of(&plan),
    };
    let mut reading = Reading {
        from: from.to_owned(),
        at: context.now(),
        core: plan.core.clone(),
        policy: board.as_ref().map(|one| (one.terms.version, one.policy_digest.clone())),
        cards: Vec::new(),
        open: plan.loose.iter().filter_map(|one| open_of(one, believed)).collect(),
        others: plan.others,
        unchanged: 0,
    };
    // Each is let go when it was judged: there may be many.
    for object in plan.objects {
        let calls = object.calls();
        if calls.is_empty() {
            reading.unchanged += 1;
        }
        for call in calls {
            match judged(&object, &call) {
                Ok(Some(one)) => {
                    let card =
                        card(&object, &call, &one, board.as_deref(), &mut desk, &mut world).await?;
                    match card {
                        Ok(card) => reading.cards.push(card),
                        Err(problem) => reading.open.push(unreviewable(&object, &problem)),
                    }
                }
                Ok(None) => reading.unchanged += 1,
                Err(problem) => reading.open.push(unreviewable(&object, &problem)),
            }
        }
    }
    if let Some(problem) = &desk.closed {
        // What takes power away goes on under any policy.
        let counts = reading.cards.iter().any(|one| one.held.is_some());
        reading.open.insert(0, Open { counts, ..of_problem("the policy", problem) });
    }
    // What matters most first, and what is missing before what is not.
    let rank = |card: &Card| {
        let level = card.judged.as_ref().map(|one| one.impact.level);
        (card.may(), std::cmp::Reverse(level))
    };
    reading.cards.sort_by(|a, b| rank(a).cmp(&rank(b)).then_with(|| a.address.cmp(&b.address)));
    Ok(reading)
}

fn open_of(loose: &plan::Loose, believed: &BTreeSet<String>) -> Option<Open> {
    if matches!(&loose.what, What::Provider(from) if believed.contains(from)) {
        return None;
    }
    Some(Open {
        address: loose.address.clone(),
        code: match loose.what {
            What::Forgotten => "E-UNGOVERNED",
            What::Deferred(_) | What::Incomplete | What::Errored => "E-PLAN-HALF",
            What::Provider(_) | What::Unknown(_) | What::Operation(_) => "E-UNGOVERNED",
        },
        why: loose.what.words(),
        next: loose.what.next().to_owned(),
        counts: loose.what != What::Forgotten,
    })
}

fn unreviewable(object: &Planned, problem: &Problem) -> Open {
    of_problem(&object.address, problem)
}

fn of_problem(address: &str, problem: &Problem) -> Open {
    let next = problem.next.clone();
    Open {
        address: address.to_owned(),
        code: problem.code,
        why: problem.detail.split_whitespace().collect::<Vec<_>>().join(" "),
        next: next.unwrap_or_else(|| "correct it, and plan once more".to_owned()),
        counts: true,
    }
}

/// Judges a call by its attributes; nothing where none that is governed differs.
fn judged(object: &Planned, call: &Call<'_>) -> Result<Option<Reviewed>, Problem> {
    let of = |before: &Value, after: &Value| -> Result<Option<Reviewed>, Problem> {
        let misfit = |error: provider::review::Misfit| {
            Problem::new("E-PLAN", "The plan cannot be read")
                .detail(format!("It does not fit {}: {error}.", object.kind))
                .next("plan with the provider that is of one version with nhi")
        };
        let before = from_json(&object.kind, before, &Value::Null).map_err(misfit)?;
        let after = from_json(&object.kind, after, call.unknown).map_err(misfit)?;
        reviewed(&object.kind, &before, &after).map_err(|error| unprojectable(&error))
    };
    let [before, after] = call.hidden;
    let mut paths = before.paths(call.before);
    paths.extend(after.paths(call.after));
    if paths.is_empty() {
        return of(call.before, call.after);
    }
    // What is marked and governed would be shown to everybody who is to sign.
    paths.sort();
    paths.dedup();
    let masked = of(&before.masked(call.before), &after.masked(call.after));
    match (of(call.before, call.after), masked) {
        (Ok(whole), Ok(masked)) if whole == masked => Ok(whole),
        // Nothing of the error is repeated: it may say what is marked.
        _ => Err(Problem::new("E-SENSITIVE-GOVERNED", "A governed value is marked as sensitive")
            .detail(format!(
                "{}: a review shows every governed value to all who are to sign it, and what is \
                 marked as sensitive is shown to nobody.",
                paths.join(", ")
            ))
            .next("take the mark away where it is no secret, with nonsensitive(…)")),
    }
}

fn unprojectable(error: &Unprojectable) -> Problem {
    match error {
        Unprojectable::Unknown { .. } => {
            Problem::new("E-UNKNOWN-GOVERNED", "A governed value is not known at plan")
                .detail(format!("{error}."))
                .next("give the value where it is known before the plan, or apply in two steps")
        }
        _ => Problem::new("E-PLAN", "The plan cannot be read").detail(format!("{error}.")),
    }
}

/// The card of a change, or why nobody can review it.
async fn card(
    object: &Planned,
    call: &Call<'_>,
    one: &Reviewed,
    board: Option<&ReviewBoard>,
    desk: &mut Desk<'_>,
    world: &mut World,
) -> Result<Result<Card, Problem>, Problem> {
    let tenant = match desk.tenant(one.connection.as_deref()).await {
        Ok(tenant) => tenant,
        // Which change it is cannot be told without it.
        Err(problem) => return Ok(Err(problem)),
    };
    let ends = call.after.is_null();
    let (around, unseen) = match desk.around(one, ends).await {
        Ok(around) => (around, None),
        Err(problem) => (Surroundings::default(), Some(problem)),
    };
    let mut asked = one.asked(&tenant, &around);
    if call.does == Does::Forget {
        asked.change.action = change::Action::Forget;
        asked.change.after = Record::Null;
        asked.facts.direction = Direction::None;
        asked.facts.takes_last_credential = false;
        asked.why = Vec::new();
    }
    let digest = asked.change.digest();
    let now = desk.context.time();
    let mut judged = board.map(|board| board.judge(&asked, None, now)).transpose()?;
    if let (Some(board), Some(first)) = (board, &judged)
        && first.needs_somebody()
        && (first.tally.is_enough() || first.tally.may_break())
        && desk.has_ledger
    {
        let used = used(desk.context, digest).await?;
        judged = Some(board.judge(&asked, used, now)?);
    }
    let held = held(&asked, board, judged.as_ref(), desk);
    let needs = board.zip(judged.as_ref()).map(|(board, judged)| board.needs(judged));
    let missing = |judged: &&Judged| !judged.tally.is_enough() && !judged.tally.may_break();
    let next = board.zip(judged.as_ref().filter(missing));
    let next = next.and_then(|(board, judged)| board.refusal(&asked, judged).next);
    let next = next.or_else(|| held.as_ref()?.next.clone());
    let blast = integration_of(&asked).map(|id| world.blast(id));
    Ok(Ok(Card {
        address: object.address.clone(),
        previous_address: object.previous_address.clone(),
        reason: object.reason.clone(),
        imports: object.imports,
        shown: statement::shown(&words::shown(&asked.change)),
        asked,
        digest,
        judged,
        needs,
        next,
        unseen,
        held,
        blast,
    }))
}

/// What holds a change back whoever signs it, as whoever makes it asks.
fn held(
    asked: &Asked,
    board: Option<&ReviewBoard>,
    judged: Option<&Judged>,
    desk: &Desk<'_>,
) -> Option<Problem> {
    let needs_somebody = judged.is_some_and(Judged::needs_somebody);
    if let Some(closed) = &desk.closed
        && (asked.facts.direction.may_widen() || needs_somebody)
    {
        return Some(closed.clone());
    }
    let (board, judged) = board.zip(judged)?;
    // In an emergency a freeze is in nobody's way, as little as a quorum is.
    let frozen = board.frozen(asked, judged.impact.level, desk.context.time());
    frozen.filter(|_| !judged.tally.may_break())
}

/// The integration that a change is about.
pub(crate) fn integration_of(asked: &Asked) -> Option<&str> {
    let object = asked.object.as_str();
    match asked.change.kind.as_str() {
        "nhi_integration" => Some(object),
        "nhi_scope" => object.strip_suffix("/scope"),
        "nhi_credential" => object.split_once("/credential/").map(|(id, _)| id),
        _ => None,
    }
}
