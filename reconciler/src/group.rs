//! Several integrations at once, named by what they share: an owner, a connection, or something that is
//! found of them now.

use std::collections::{BTreeMap, BTreeSet};

use clap::Args;
use data_encoding::HEXLOWER;
use operations::{Context, Problem, Wish, Wishes, failing, judge_each, judge_heard, reach_of};
use policy::findings::named;

/// What they share. Of several, what has any of them.
#[derive(Debug, Clone, Default, Args)]
pub(crate) struct Group {
    /// All for which this owner answers, by the name of its nhi_owner.
    #[arg(long, value_name = "NAME")]
    pub(crate) owner: Option<String>,

    /// All that are declared on this connection.
    #[arg(long, value_name = "NAME")]
    pub(crate) connection: Option<String>,

    /// All of which this is found now, as nhi drift finds it: a rule, or one finding by its fingerprint.
    #[arg(long, value_name = "RULE")]
    pub(crate) finding: Option<String>,
}

/// The names of its members, for whoever must have one of them or an id.
pub(crate) const MEMBERS: [&str; 3] = ["owner", "connection", "finding"];

/// What is meant: integrations, each with the slots that are meant; none named: all of it.
#[derive(Debug, Default)]
pub(crate) struct Meant {
    pub(crate) all: BTreeMap<String, BTreeSet<String>>,
    /// What could not be looked at, so that nobody knows whether it is meant.
    pub(crate) unread: Vec<(String, Problem)>,
}

impl Group {
    /// Nothing is shared.
    pub(crate) fn is_none(&self) -> bool {
        self.owner.is_none() && self.connection.is_none() && self.finding.is_none()
    }

    /// Those that are meant.
    ///
    /// # Errors
    ///
    /// No such finding, or none of what is declared is meant and all could be looked at.
    pub(crate) async fn meant(&self, context: &Context, wishes: &Wishes) -> Result<Meant, Problem> {
        let mut meant = Meant::default();
        for (id, wish) in &wishes.integrations {
            let connection = self.connection.as_deref();
            let on = connection.is_some_and(|name| id.split('/').next() == Some(name));
            if on || self.owner.as_deref().is_some_and(|owner| answers(wish, owner)) {
                meant.all.insert(id.clone(), BTreeSet::new());
            }
        }
        if let Some(what) = &self.finding {
            found(context, wishes, what, &mut meant).await?;
        }
        if meant.all.is_empty() && meant.unread.is_empty() {
            return Err(Problem::new("E-UNDECLARED", "No such integration is declared")
                .detail(
                    "Nothing that is declared is on that connection, has that owner, or is found to be so.",
                )
                .next("nhi scan lists what is there; name integrations by their ids"));
        }
        Ok(meant)
    }
}

/// Whether a word names this finding.
fn names(what: &str, rules: &BTreeSet<&str>, rule: &str, print: [u8; 16]) -> bool {
    rules.contains(rule) || HEXLOWER.encode(&print) == what.to_ascii_lowercase()
}

async fn found(
    context: &Context,
    wishes: &Wishes,
    what: &str,
    meant: &mut Meant,
) -> Result<(), Problem> {
    let rules: BTreeSet<&str> = named(what).iter().map(|rule| rule.alias).collect();
    let is_print = what.len() == 32 && what.bytes().all(|byte| byte.is_ascii_hexdigit());
    if rules.is_empty() && !is_print {
        return Err(Problem::new("E-RULE", "No finding has this name")
            .detail(format!("{what:?} is no rule, no check, and no fingerprint of 32 digits."))
            .next("nhi explain lists the rules; nhi drift --format json has the fingerprints"));
    }
    // What is said of owners is said by a directory, which is not asked about anything else.
    let of_owners = is_print || rules.iter().any(|rule| rule.starts_with("owner-"));
    let looked_at = Wishes {
        integrations: wishes.integrations.clone(),
        owners: if of_owners { wishes.owners.clone() } else { BTreeMap::new() },
        ..Wishes::default()
    };
    let (owns, reach) = (wishes.owned(), reach_of(wishes));
    let mut all = Vec::new();
    let further = judge_each(context, looked_at, owns, reach, |id, judged| match judged {
        Err(problem) => meant.unread.push((id.to_owned(), problem)),
        Ok(judged) => {
            meant.unread.extend(judged.gaps);
            all.extend(judged.findings);
        }
    })
    .await;
    all.extend(further);
    all.extend(judge_heard(context, |_| true).await.findings);
    match failing(context).await {
        Ok(found) => all.extend(found),
        Err(problem) => meant.unread.push(("ledger".to_owned(), problem)),
    }
    let owned = wishes.owned();
    for (_, one) in all.iter().filter(|(print, one)| names(what, &rules, one.rule, *print)) {
        means(&one.subject, wishes, &owned, &mut meant.all);
    }
    Ok(())
}

/// Means what a finding is about: a slot, an integration, all on a connection, or all of an owner.
fn means(
    subject: &str,
    wishes: &Wishes,
    owned: &BTreeMap<String, Vec<String>>,
    meant: &mut BTreeMap<String, BTreeSet<String>>,
) {
    for id in wishes.integrations.keys() {
        let below = subject.strip_prefix(id.as_str()).and_then(|rest| rest.strip_prefix('/'));
        let slot = below.and_then(|rest| rest.strip_prefix("credential/"));
        let whole = subject == id
            || id.split('/').next() == Some(subject)
            || owned.get(subject).is_some_and(|ids| ids.contains(id))
            || below.is_some() && slot.is_none();
        match (meant.get_mut(id), slot) {
            _ if whole => drop(meant.insert(id.clone(), BTreeSet::new())),
            // What is meant whole stays so.
            (Some(slots), Some(slot)) if !slots.is_empty() => drop(slots.insert(slot.to_owned())),
            (Some(_), _) | (None, None) => {}
            (None, Some(slot)) => {
                meant.insert(id.clone(), BTreeSet::from([slot.to_owned()]));
            }
        }
    }
}

/// Whether an owner answers for it.
pub(crate) fn answers(wish: &Wish, owner: &str) -> bool {
    let record = wish.record.as_ref();
    ["business_owner.id", "technical_owner.id"].into_iter().any(|member| {
        let named = record.and_then(|record| record.get(member));
        named.is_some_and(|id| id == owner || id.strip_prefix("owner/") == Some(owner))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_owner_answers_for_what_names_them_in_either_place() {
        let wish = |member: &str, id: &str| Wish {
            record: Some(BTreeMap::from([(member.to_owned(), id.to_owned())])),
            ..Wish::default()
        };
        for member in ["business_owner.id", "technical_owner.id"] {
            assert!(answers(&wish(member, "owner/ana"), "ana"));
            assert!(answers(&wish(member, "owner/ana"), "owner/ana"));
            assert!(!answers(&wish(member, "owner/anabel"), "ana"));
        }
        assert!(
            !answers(&wish("purpose", "owner/ana"), "ana") && !answers(&Wish::default(), "ana")
        );
    }

    #[test]
    fn a_finding_means_all_that_it_is_about_and_nothing_beside_it() {
        let ids = ["bao/role/a", "bao/role/ab", "git/bot/c"];
        let wish = |id: &str| (id.to_owned(), Wish { id: id.to_owned(), ..Wish::default() });
        let wishes = Wishes { integrations: ids.map(wish).into(), ..Wishes::default() };
        let owned =
            BTreeMap::from([("owner/ana".to_owned(), vec![ids[0].to_owned(), ids[2].to_owned()])]);
        let all = |subjects: &[&str]| {
            let mut meant = BTreeMap::new();
            for subject in subjects {
                means(subject, &wishes, &owned, &mut meant);
            }
            let words = meant.into_iter().map(|(id, slots)| {
                let slots: Vec<String> = slots.into_iter().collect();
                format!("{id} {}", slots.join(","))
            });
            words.collect::<Vec<_>>()
        };
        assert_eq!(all(&["bao/role/a"]), ["bao/role/a "]);
        assert_eq!(all(&["owner/ana"]), ["bao/role/a ", "git/bot/c "]);
        assert_eq!(all(&["bao"]), ["bao/role/a ", "bao/role/ab "]);
        let slots = ["bao/role/a/credential/x", "bao/role/a/credential/y"];
        assert_eq!(all(&slots), ["bao/role/a x,y"]);
        assert_eq!(all(&[slots[0], "bao/role/a", slots[1]]), ["bao/role/a "]);
        assert!(all(&["owner/bob", "git/bot/d", "custody"]).is_empty());
    }

    #[test]
    fn a_finding_is_named_by_its_rule_or_by_its_fingerprint() {
        let rules = BTreeSet::from(["overdue"]);
        let print = [0xab; 16];
        assert!(names("overdue", &rules, "overdue", print));
        assert!(!names("overdue", &rules, "due", print));
        let none = BTreeSet::new();
        assert!(names(&"AB".repeat(16), &none, "due", print));
        assert!(!names(&"cd".repeat(16), &none, "due", print));
    }
}
