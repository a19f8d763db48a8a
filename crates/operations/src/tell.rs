//! What owners are to be told of what is theirs: that it ends, and what is found of it. Whom was told what
//! stands in the ledger, so that each is told once, whichever run does it.

use std::collections::{BTreeMap, BTreeSet};

use data_encoding::HEXLOWER;
use domain::{Now, Span};
use jiff::Timestamp;
use ledger::{Change, Durability, Obligation, Selection};
use policy::{
    findings::Finding,
    standing::end_of,
    telling::{Ending, Telling, mark, next},
};
use serde_json::json;

use crate::{Context, Problem, Wish, Wishes};

/// The deed of its rows.
const TELL: &str = "tell_owner";

/// What one owner is to be told of one thing.
#[derive(Debug, Clone, PartialEq)]
pub struct OwnerNotice {
    /// The owner, `owner/<name>`.
    pub owner: String,
    /// What it is about.
    pub subject: String,
    /// `ends`, `opened` or `closed`.
    pub event: &'static str,
    /// What is told, in a sentence.
    pub text: String,
    /// What helps.
    pub next: String,
    row: Obligation,
}

/// What looks know beside what is declared.
#[derive(Debug, Clone, Default)]
pub struct LookedUp {
    /// Where owners are reached, by id.
    pub contacts: BTreeMap<String, String>,
    /// When the next review of an integration is due, by id.
    pub reviews: BTreeMap<String, Timestamp>,
}

/// Everything of one thing that ends, with the moment.
fn ends_of(wish: &Wish, reviews: &BTreeMap<String, Timestamp>) -> Vec<(Ending, Timestamp)> {
    let day = |name: &str| {
        let text = wish.record.as_ref()?.get(name)?;
        Some(end_of(text.parse().ok()?))
    };
    let mut ends = Vec::new();
    ends.extend(day("expires_on").map(|at| (Ending::LastDay, at)));
    ends.extend(day("adoption.complete_by").map(|at| (Ending::Adoption, at)));
    ends.extend(reviews.get(&wish.id).map(|at| (Ending::Review, *at)));
    let scopes = wish.scopes.iter().flat_map(|scopes| &scopes.temporary);
    ends.extend(
        scopes.filter_map(|(scope, until)| Some((Ending::Scope(scope.clone()), (*until)?))),
    );
    ends
}

/// The owners of each thing.
fn owners_of(wishes: &Wishes) -> BTreeMap<String, BTreeSet<String>> {
    let mut of: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for (owner, ids) in wishes.owned() {
        for id in ids {
            of.entry(id).or_default().insert(owner.clone());
        }
    }
    of
}

/// What was told before, by the rows' ids.
async fn told_before(context: &Context) -> Result<BTreeMap<String, Obligation>, Problem> {
    let open = context.ledger.open_obligations().await?;
    let of = open.into_iter().filter(|row| row.deed == TELL);
    Ok(of.map(|row| (row.id.clone(), row)).collect())
}

fn row_id(subject: &str, what: &str, owner: &str) -> String {
    format!("{subject}#tell/{what}#{owner}")
}

/// Which owners are to be told now that something of theirs ends.
///
/// # Errors
///
/// The ledger cannot be read.
pub async fn ends_to_tell(
    context: &Context,
    wishes: &Wishes,
    known: &LookedUp,
) -> Result<Vec<OwnerNotice>, Problem> {
    let telling = &context.rules.telling;
    // What rules would say is not known; and without memory it would be told again and again.
    if telling.before.is_empty() || context.gate.closed().is_some() || !context.ledger.keeps() {
        return Ok(Vec::new());
    }
    let mut ends: Vec<(String, Ending, Timestamp)> = Vec::new();
    for (id, wish) in &wishes.integrations {
        let all = ends_of(wish, &known.reviews).into_iter();
        ends.extend(all.map(|(what, at)| (id.clone(), what, at)));
    }
    for one in &wishes.third_parties {
        let days = [
            (Ending::LastDay, one.dates.expires_on),
            (Ending::Contract, one.dates.contract_ends_on),
        ];
        let all = days.into_iter().filter_map(|(what, day)| Some((what, end_of(day?))));
        ends.extend(all.map(|(what, at)| (one.id.clone(), what, at)));
    }
    ends.extend(credentials_that_end(context, wishes).await?);
    let (of, told) = (owners_of(wishes), told_before(context).await?);
    let none = BTreeSet::new();
    let mut notices = Vec::new();
    for (id, what, at) in &ends {
        for owner in of.get(id).unwrap_or(&none) {
            let row = told.get(&row_id(id, &what.key(), owner));
            notices.extend(end_to_tell(telling, context.time(), (id, what, *at), owner, row));
        }
    }
    Ok(notices)
}

/// What ends by itself and nothing replaces: the current ones of slots without a schedule.
async fn credentials_that_end(
    context: &Context,
    wishes: &Wishes,
) -> Result<Vec<(String, Ending, Timestamp)>, Problem> {
    let rotates: BTreeSet<(&str, &str)> = wishes
        .integrations
        .values()
        .flat_map(|wish| wish.slots.iter().map(|slot| (wish.id.as_str(), slot)))
        .filter(|(_, slot)| slot.schedule.is_some())
        .map(|(id, slot)| (id, slot.name.as_str()))
        .collect();
    let slots = context.ledger.slots(&Selection::all()).await?;
    let current: BTreeMap<(&str, &str), &str> = slots
        .iter()
        .filter(|slot| !rotates.contains(&(slot.integration.as_str(), slot.name.as_str())))
        .filter_map(|slot| {
            Some(((slot.integration.as_str(), slot.current.as_deref()?), slot.name.as_str()))
        })
        .collect();
    if current.is_empty() {
        return Ok(Vec::new());
    }
    let keys = context.ledger.credentials(&Selection::all()).await?;
    let ends = keys.iter().filter_map(|key| {
        let slot = current.get(&(key.integration.as_str(), key.vendor_id.as_str()))?;
        let at = Timestamp::from_millisecond(key.expires_at?).ok()?;
        Some((key.integration.clone(), Ending::Credential((*slot).to_owned()), at))
    });
    Ok(ends.collect())
}

fn end_to_tell(
    telling: &Telling,
    now: Now,
    (id, what, at): (&str, &Ending, Timestamp),
    owner: &str,
    row: Option<&Obligation>,
) -> Option<OwnerNotice> {
    let detail = row.and_then(|row| row.detail.as_ref());
    // Where the end was moved, it is told anew.
    let same = detail.is_some_and(|detail| detail["ends_at"] == at.to_string());
    let told: Option<Span> =
        detail.filter(|_| same).and_then(|detail| detail["told"].as_str()?.parse().ok());
    let mark = mark(&telling.before, at, told, now)?;
    let again = next(&telling.before, at, mark).unwrap_or(at);
    let day = at.strftime("%Y-%m-%d %H:%M UTC");
    Some(OwnerNotice {
        owner: owner.to_owned(),
        subject: id.to_owned(),
        event: "ends",
        text: format!("{id}: {} ends at {day}, in less than {mark}.", what.words()),
        next: what.remedy().to_owned(),
        row: Obligation {
            id: row_id(id, &what.key(), owner),
            subject: id.to_owned(),
            deed: TELL.to_owned(),
            not_before: again.as_millisecond(),
            due_by: at.as_millisecond(),
            on_overdue: "finding".to_owned(),
            state: "open".to_owned(),
            attempts: 0,
            next_try_at: None,
            detail: Some(json!({ "ends_at": at.to_string(), "told": mark.to_string() })),
        },
    })
}

/// Which owners are to be told what was found of what is theirs, and what is over. `unread`: what could
/// not be looked at, of which nobody says that anything is over.
///
/// # Errors
///
/// The ledger cannot be read.
pub async fn findings_to_tell(
    context: &Context,
    wishes: &Wishes,
    found: &[([u8; 16], Finding)],
    unread: &BTreeSet<String>,
) -> Result<Vec<OwnerNotice>, Problem> {
    let Some(least) = context.rules.telling.findings else { return Ok(Vec::new()) };
    if context.gate.closed().is_some() || !context.ledger.keeps() {
        return Ok(Vec::new());
    }
    let (of, told) = (owners_of(wishes), told_before(context).await?);
    let mut notices = Vec::new();
    let mut open = BTreeSet::new();
    for (print, one) in found.iter().filter(|(_, one)| one.severity >= least) {
        let Some((id, owners)) = of.iter().find(|(id, _)| is_of(&one.subject, id)) else {
            continue;
        };
        let print = HEXLOWER.encode(print);
        for owner in owners {
            let row = row_id(id, &format!("finding/{print}"), owner);
            open.insert(row.clone());
            if !told.contains_key(&row) {
                notices.push(opened(context, row, owner, &print, one));
            }
        }
    }
    for (id, row) in told {
        let is_finding = row.detail.as_ref().is_some_and(|detail| detail["finding"].is_string());
        let covered = unread.iter().any(|gap| is_of(&row.subject, gap));
        if !is_finding || open.contains(&id) || covered {
            continue;
        }
        notices.extend(closed(row));
    }
    Ok(notices)
}

/// Whether a subject is that thing, or hangs on it.
fn is_of(subject: &str, id: &str) -> bool {
    let rest = subject.strip_prefix(id);
    rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

fn opened(context: &Context, id: String, owner: &str, print: &str, one: &Finding) -> OwnerNotice {
    let now = context.now().as_millisecond();
    let facet = if one.facet.is_empty() { String::new() } else { format!(" ({})", one.facet) };
    OwnerNotice {
        owner: owner.to_owned(),
        subject: one.subject.clone(),
        event: "opened",
        text: format!("{}: {}{facet}, {}.", one.subject, one.rule, one.severity.as_str()),
        next: format!("nhi explain {}", one.rule),
        row: Obligation {
            id,
            subject: one.subject.clone(),
            deed: TELL.to_owned(),
            not_before: now,
            due_by: 0,
            on_overdue: "finding".to_owned(),
            state: "open".to_owned(),
            attempts: 0,
            next_try_at: None,
            detail: Some(json!({ "finding": print, "rule": one.rule, "owner": owner })),
        },
    }
}

fn closed(row: Obligation) -> Option<OwnerNotice> {
    let detail = row.detail.as_ref()?;
    let (owner, rule) = (detail["owner"].as_str()?, detail["rule"].as_str()?);
    Some(OwnerNotice {
        owner: owner.to_owned(),
        subject: row.subject.clone(),
        event: "closed",
        text: format!("{}: {rule} is over.", row.subject),
        next: String::new(),
        row: Obligation { state: "met".to_owned(), ..row },
    })
}

/// Writes down that these were told.
///
/// # Errors
///
/// It could not be: they are told once more by whoever runs next.
pub async fn note_told(context: &Context, notices: &[&OwnerNotice]) -> Result<(), Problem> {
    if context.read_only || notices.is_empty() {
        return Ok(());
    }
    let entries = notices.iter().map(|one| {
        let entry = context.entry("owner.told", &one.subject);
        let entry = entry.detail("owner", one.owner.clone()).detail("event", one.event);
        entry.change(Change::Obligation(one.row.clone()))
    });
    context.ledger.append(entries.collect(), Durability::Durable).await?;
    Ok(())
}

/// Closes the rows of ends that are over, or are none any more: nobody is told of them again.
pub async fn forget_ends(context: &Context, wishes: &Wishes, known: &LookedUp) {
    if context.read_only || !context.ledger.keeps() {
        return;
    }
    let Ok(told) = told_before(context).await else { return };
    let now = context.time();
    let entries = told.into_values().filter_map(|row| {
        let detail = row.detail.as_ref()?;
        let at: Timestamp = detail["ends_at"].as_str()?.parse().ok()?;
        let declared = wishes.integrations.contains_key(&row.subject)
            || wishes.third_parties.iter().any(|one| one.id == row.subject);
        // What one state does not declare another may; what the ledger saw end, nobody does.
        let gone = !declared && wishes.heard_of.contains(&row.subject);
        // A review that was held is due again later; that is another end.
        let moved = row.id.contains("#tell/review#")
            && known.reviews.get(&row.subject).is_some_and(|due| *due != at);
        (now.is_past(at) || gone || moved).then(|| {
            let row = Obligation { state: "met".to_owned(), ..row };
            context.entry("obligation.met", &row.subject).change(Change::Obligation(row.clone()))
        })
    });
    let entries: Vec<_> = entries.collect();
    if entries.is_empty() {
        return;
    }
    if let Err(error) = context.ledger.append(entries, Durability::Durable).await {
        tracing::warn!(%error, "that something is over was not written down");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_end_is_told_once_for_each_mark_and_anew_where_it_was_moved() {
        let telling = Telling {
            before: ["30d", "7d"].map(|text| text.parse().unwrap()).into(),
            findings: None,
        };
        let at: Timestamp = "2027-02-01T00:00:00Z".parse().unwrap();
        let tell = |now: &str, at: Timestamp, row: Option<&Obligation>| {
            let now: Timestamp = now.parse().unwrap();
            end_to_tell(&telling, now.into(), ("bao/a/b", &Ending::LastDay, at), "owner/ana", row)
        };
        let first = tell("2027-01-10T00:00:00Z", at, None).unwrap();
        assert_eq!(first.row.detail.as_ref().unwrap()["told"], "30d");
        assert!(first.text.contains("2027-02-01 00:00 UTC"), "{}", first.text);
        assert_eq!(tell("2027-01-11T00:00:00Z", at, Some(&first.row)), None, "once");
        let second = tell("2027-01-26T00:00:00Z", at, Some(&first.row)).unwrap();
        assert_eq!((&second.row.id, second.row.due_by), (&first.row.id, at.as_millisecond()));
        assert_eq!(tell("2027-01-27T00:00:00Z", at, Some(&second.row)), None);
        let later: Timestamp = "2027-02-20T00:00:00Z".parse().unwrap();
        assert!(tell("2027-01-27T00:00:00Z", later, Some(&second.row)).is_some(), "it was moved");
    }

    #[test]
    fn what_hangs_on_a_thing_is_its_owners_and_what_begins_with_the_same_letters_is_not() {
        assert!(is_of("bao/a/b/credential/default", "bao/a/b") && is_of("bao/a/b", "bao/a/b"));
        assert!(!is_of("bao/a/bc", "bao/a/b") && !is_of("bao/a", "bao/a/b"));
    }
}
