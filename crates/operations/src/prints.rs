//! The secrets that are known, each by its fingerprint: those that are delivered now, and those of earlier
//! generations, as far as the ledger has them.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use domain::CredentialId;
use ledger::Filter;
use tokio::{sync::Semaphore, task::JoinSet};

use crate::{Context, Problem, SeenSlot, Wish, Wishes, observe_slot, slot_to_end};

/// How many slots are looked at at once; the connection's own budget limits requests.
const AT_ONCE: usize = 16;
/// The members of an entry that name what was delivered.
pub(crate) const PRINT: &str = "print";
/// The platform's id of it.
pub(crate) const KEY: &str = "key";

/// A secret that is known.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct KnownSecret {
    /// Its slot.
    pub slot: String,
    /// Which generation of it.
    pub generation: u64,
    /// The platform's id of the credential.
    pub key_id: String,
    /// Its fingerprint.
    pub print: String,
    /// Its platform shows that it works; of one that could not be looked at, nobody knows better.
    pub works: bool,
}

/// The secrets of all slots that are declared, and what could not be looked at.
pub async fn known_secrets(
    context: &Context,
    wishes: &Wishes,
) -> (Vec<KnownSecret>, Vec<(String, Problem)>) {
    let mut gaps = Vec::new();
    let earlier = match delivered_before(context).await {
        Ok(earlier) => earlier,
        Err(problem) => {
            gaps.push(("ledger".to_owned(), problem));
            BTreeMap::new()
        }
    };
    let gate = Arc::new(Semaphore::new(AT_ONCE));
    let mut running = JoinSet::new();
    for wish in wishes.integrations.values() {
        for slot in &wish.slots {
            let (context, gate) = (context.clone(), gate.clone());
            let (wish, name) = (wish.clone(), slot.name.clone());
            running.spawn(async move {
                let _turn = gate.acquire().await;
                let seen = look(&context, &wish, &name).await;
                (format!("{}/credential/{name}", wish.id), seen)
            });
        }
    }
    let mut all = BTreeSet::new();
    while let Some(ended) = running.join_next().await {
        let Ok((slot, seen)) = ended else { continue };
        let before = earlier.get(&slot).into_iter().flatten();
        match seen {
            Ok(seen) => {
                if let Some(seen) = &seen {
                    let printed = |key_id: &String| {
                        before.clone().any(|(of, _, print)| of == key_id && !print.is_empty())
                    };
                    gaps.extend(unprinted(seen, printed).map(|problem| (slot.clone(), problem)));
                }
                let works = |key_id: &str| seen.as_ref().is_some_and(|seen| works(seen, key_id));
                all.extend(before.map(|(key_id, generation, print)| KnownSecret {
                    slot: slot.clone(),
                    generation: *generation,
                    key_id: key_id.clone(),
                    print: print.clone(),
                    works: works(key_id),
                }));
                all.extend(seen.as_ref().and_then(|seen| {
                    let (key_id, print) = (seen.key_id.clone()?, seen.fingerprint.clone()?);
                    let works = works(&key_id);
                    let (slot, generation) = (slot.clone(), seen.generation);
                    Some(KnownSecret { slot, generation, key_id, print, works })
                }));
            }
            Err(problem) => {
                all.extend(before.map(|(key_id, generation, print)| KnownSecret {
                    slot: slot.clone(),
                    generation: *generation,
                    key_id: key_id.clone(),
                    print: print.clone(),
                    works: true,
                }));
                gaps.push((slot, problem));
            }
        }
    }
    gaps.sort_by(|(a, _), (b, _)| a.cmp(b));
    (all.into_iter().filter(|one| !one.print.is_empty()).collect(), gaps)
}

fn works(seen: &SeenSlot, key_id: &str) -> bool {
    let current = seen.listed && seen.key_id.as_deref() == Some(key_id);
    let earlier = seen.previous.iter().map(|one| &one.key_id);
    current || earlier.chain(&seen.returned).any(|one| one == key_id)
}

/// What works and has no fingerprint: nobody would know it where it stands.
fn unprinted(seen: &SeenSlot, printed: impl Fn(&String) -> bool) -> Option<Problem> {
    let current = seen.key_id.iter().filter(|_| seen.listed && seen.fingerprint.is_none());
    let all = current.chain(seen.previous.iter().map(|one| &one.key_id)).chain(&seen.returned);
    let without: BTreeSet<&str> = all.filter(|one| !printed(one)).map(String::as_str).collect();
    if without.is_empty() {
        return None;
    }
    let names: Vec<&str> = without.into_iter().collect();
    Some(
        Problem::new("E-LEAKS-PRINT", "A credential that works cannot be looked for")
            .detail(format!("{}: no fingerprint of its secret is known.", names.join(", ")))
            .next("nhi rotate ID: what is delivered next has one"),
    )
}

async fn look(context: &Context, wish: &Wish, name: &str) -> Result<Option<SeenSlot>, Problem> {
    observe_slot(context, &slot_to_end(context, wish, name).await?).await
}

/// What was delivered, by slot: the platform's id of each, its generation and its fingerprint.
pub(crate) async fn delivered_before(
    context: &Context,
) -> Result<BTreeMap<String, BTreeSet<(String, u64, String)>>, Problem> {
    let mut all: BTreeMap<String, BTreeSet<(String, u64, String)>> = BTreeMap::new();
    let mut next = Some(Filter { kinds: vec!["rotation.promoted".to_owned()], ..Filter::all() });
    while let Some(filter) = next {
        let page = context.ledger.entries(&filter).await?;
        for entry in page.entries {
            let text = |name: &str| entry.detail.get(name)?.as_str().map(str::to_owned);
            let known = text(KEY).zip(text(PRINT)).zip(entry.generation);
            if let Some(((key_id, print), generation)) = known
                && entry.subject.parse::<CredentialId>().is_ok()
            {
                let of = all.entry(entry.subject.clone()).or_default();
                of.insert((key_id, generation, print));
            }
        }
        next = page.next;
    }
    Ok(all)
}
