//! What the provider's configuration came to, shared by its resources.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap, HashSet},
    fmt,
    hash::{DefaultHasher, Hash, Hasher},
    sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock},
};

use operations::{Context, Problem};
use policy::Rules;
use tfplugin::{Attr, Diagnostics, Model, resource::Plan};

/// The configured provider, as far as it is.
#[derive(Debug, Clone, Default)]
pub(crate) struct Shared {
    state: Arc<RwLock<State>>,
    walk: Arc<Mutex<Walk>>,
}

/// What a core asked for since it last configured us, as it does at the beginning of each of its walks.
#[derive(Debug, Default)]
struct Walk {
    /// The ids that were imported.
    imported: BTreeSet<String>,
    /// The ids that were planned, each with what was asked for: digests of both, since a walk may have
    /// thousands.
    planned: HashMap<u64, u64>,
    /// The integrations of which this walk plans the end of all that is in no slot.
    revoking: BTreeSet<String>,
    /// The type of the first credential that was planned on an integration where types exclude each
    /// other.
    types: BTreeMap<String, &'static str>,
    /// Which slot an import took a key into, by the integration's id and the key's.
    taken: BTreeMap<(String, String), String>,
    /// The names of the credentials that were planned on an integration where few may live.
    slots: BTreeMap<String, BTreeSet<String>>,
    /// What is to be made, and what is to be ended: digests of ids.
    coming: HashSet<u64>,
    going: HashSet<u64>,
    /// Which slot delivers to a place, by the place's digest.
    places: HashMap<u64, String>,
    /// The places that a slot takes and those that it gives up, by digest.
    moving: BTreeMap<String, Moving>,
    /// It was told that nobody reviews changes here.
    told_unreviewed: bool,
    /// The names of integrations whose ids become known during apply, by what these begin with.
    unnamed: BTreeMap<String, BTreeSet<String>>,
}

/// A place that one slot gives up and another takes.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct HandsOn {
    pub(crate) from: String,
    pub(crate) to: String,
}

#[derive(Debug, Default)]
struct Moving {
    takes: HashSet<u64>,
    gives: HashSet<u64>,
}

#[derive(Debug, Clone, Default)]
enum State {
    /// The core has not configured us: validation, and state that is only read or moved.
    #[default]
    Unconfigured,
    /// There is something in the way, which matters only to what needs it.
    Missing(Problem),
    /// Ready.
    Ready(Box<Context>),
}

fn digest(text: &str) -> u64 {
    let mut hasher = DefaultHasher::new();
    text.hash(&mut hasher);
    hasher.finish()
}

fn digests(all: &[impl fmt::Debug]) -> impl Iterator<Item = u64> {
    all.iter().map(|one| digest(&format!("{one:?}")))
}

impl Shared {
    /// A walk begins: what was asked for in an earlier one is no part of it.
    pub(crate) fn begin(&self) {
        *self.walk() = Walk::default();
    }

    fn walk(&self) -> MutexGuard<'_, Walk> {
        self.walk.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Notes an import; `false` where the same walk had it already. An import is asked for once an
    /// address, so two addresses ask for one object then.
    pub(crate) fn is_first_import(&self, id: &str) -> bool {
        self.walk().imported.insert(id.to_owned())
    }

    /// Says where two resources of one configuration bear one id. A core says for which address it
    /// asks of no plan, and may ask for one more than once (a replacement has two halves): what tells
    /// two resources apart is that they are configured otherwise. Two that are not are refused by
    /// what apply finds. No planned value hangs on this.
    pub(crate) fn tell_twice(
        &self,
        id: &Attr<String>,
        config: &impl fmt::Debug,
        told: &mut Diagnostics,
    ) {
        let Some(id) = id.as_deref() else { return };
        let asked = digest(&format!("{config:?}"));
        if *self.walk().planned.entry(digest(id)).or_insert(asked) != asked {
            told.warning(
                "Two resources of this configuration are one",
                format!(
                    "{id}: another resource, with other attributes, bears this id too. What one changes \
                     the other undoes, and removing either one ends what both stand for.\nNext: keep one \
                     of them and name that one wherever the other is named; or give one of them another \
                     name.\n(E-GOVERNED-TWICE)"
                ),
            );
        }
    }

    /// Notes the slot that an import takes a key into; the slot that has it already, where that is
    /// another.
    pub(crate) fn take_key(&self, integration: &str, key_id: &str, slot: &str) -> Option<String> {
        let mut walk = self.walk();
        let at = (integration.to_owned(), key_id.to_owned());
        let has = walk.taken.entry(at).or_insert_with(|| slot.to_owned());
        (has != slot).then(|| has.clone())
    }

    /// Says where one object is ended and made in one plan: its block was renamed, or has another key.
    /// Which of the two is asked for first is the core's to choose; a replacement is neither.
    pub(crate) fn tell_remade<M: Model>(
        &self,
        plan: &mut Plan<M>,
        id: impl Fn(&M) -> &Attr<String>,
    ) {
        let remade = match (&plan.prior, &plan.planned) {
            (Some(one), None) => id(one).as_deref().filter(|id| {
                let (mut walk, id) = (self.walk(), digest(id));
                walk.going.insert(id);
                walk.coming.contains(&id)
            }),
            (None, Some(one)) => id(one).as_deref().filter(|id| {
                let (mut walk, id) = (self.walk(), digest(id));
                walk.coming.insert(id);
                walk.going.contains(&id)
            }),
            _ => None,
        };
        let Some(remade) = remade else { return };
        let told = format!(
            "{remade} is ended and made again by this plan, under another address: what uses it stops, and \
             the making may be refused while the old one is there.\nNext: where only the block's name or key \
             changed, say so, and nothing is ended: moved {{ from = <OLD ADDRESS>, to = <NEW ADDRESS> }}."
        );
        plan.diagnostics.warning("One object goes and comes", told);
    }

    /// Notes that a slot delivers to a place; the answer is another slot that does so too.
    pub(crate) fn another_there(&self, place: &impl fmt::Debug, slot: &str) -> Option<String> {
        let place = digest(&format!("{place:?}"));
        let mut walk = self.walk();
        let first = walk.places.entry(place).or_insert_with(|| slot.to_owned());
        (first != slot).then(|| first.clone())
    }

    /// Notes which places a slot takes and which it gives up; the answer is a slot that gives up one of
    /// the first, or takes one of the latter, in this same walk.
    pub(crate) fn hands_on(
        &self,
        slot: &str,
        takes: &[impl fmt::Debug],
        gives: &[impl fmt::Debug],
    ) -> Option<HandsOn> {
        let mut walk = self.walk();
        let moving = walk.moving.entry(slot.to_owned()).or_default();
        // A replacement is planned in two halves.
        moving.takes.extend(digests(takes));
        moving.gives.extend(digests(gives));
        let this = &walk.moving[slot];
        walk.moving.iter().filter(|(other, _)| *other != slot).find_map(|(other, that)| {
            let (from, to) = match () {
                () if !that.gives.is_disjoint(&this.takes) => (other.as_str(), slot),
                () if !this.gives.is_disjoint(&that.takes) => (slot, other.as_str()),
                () => return None,
            };
            Some(HandsOn { from: from.to_owned(), to: to.to_owned() })
        })
    }

    /// Notes that what a slot gives up is free now.
    pub(crate) fn gave_up(&self, slot: &str) {
        if let Some(moving) = self.walk().moving.get_mut(slot) {
            moving.gives.clear();
        }
    }

    /// Notes whether the end of what is in no slot of an integration is planned.
    pub(crate) fn note_revoking(&self, integration: &str, revokes: bool) {
        if revokes {
            self.walk().revoking.insert(integration.to_owned());
        }
    }

    /// Whether it is, as far as this walk knows: an integration is planned before what hangs on it.
    pub(crate) fn is_revoking(&self, integration: &str) -> bool {
        self.walk().revoking.contains(integration)
    }

    /// Whether it was said already that nobody reviews changes.
    pub(crate) fn has_said_unreviewed(&self) -> bool {
        self.walk().told_unreviewed
    }

    /// Notes that it is said; whether this is the first time.
    pub(crate) fn say_unreviewed(&self) -> bool {
        !std::mem::replace(&mut self.walk().told_unreviewed, true)
    }

    /// Notes an integration whose id becomes known during apply.
    pub(crate) fn note_unnamed(&self, id: &Attr<String>, name: &str) {
        if let Some(prefix) = prefix(id) {
            self.walk().unnamed.entry(prefix.to_owned()).or_default().insert(name.to_owned());
        }
    }

    /// Its name, where only one id that begins so is not known yet: an integration is planned before
    /// what hangs on it, so that is the one that is meant.
    pub(crate) fn only_unnamed(&self, id: &Attr<String>) -> Option<String> {
        let walk = self.walk();
        let mut names = walk.unnamed.get(prefix(id)?)?.iter();
        names.next().filter(|_| names.next().is_none()).cloned()
    }

    /// Notes the type of a credential on an integration; the answer is that of the first one there.
    pub(crate) fn first_type(&self, integration: &str, wanted: &'static str) -> &'static str {
        self.walk().types.entry(integration.to_owned()).or_insert(wanted)
    }

    /// Notes a credential on an integration where few may live; the answer is all that are planned there.
    pub(crate) fn note_slot(&self, integration: &str, name: &str) -> BTreeSet<String> {
        let mut walk = self.walk();
        let planned = walk.slots.entry(integration.to_owned()).or_default();
        planned.insert(name.to_owned());
        planned.clone()
    }

    /// Takes what the configuration came to; may be called again.
    pub(crate) fn configure(&self, made: Result<Context, Problem>) {
        let state = match made {
            Ok(context) => State::Ready(Box::new(context)),
            Err(problem) => State::Missing(problem),
        };
        *self.state.write().unwrap_or_else(PoisonError::into_inner) = state;
    }

    fn state(&self) -> State {
        self.state.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// What deeds need.
    ///
    /// # Errors
    ///
    /// What is in the way.
    pub(crate) fn context(&self) -> Result<Context, Problem> {
        match self.state() {
            State::Ready(context) => Ok(*context),
            State::Missing(problem) => Err(problem),
            State::Unconfigured => Err(Problem::new("E-CONFIG", "The provider is not configured")
                .detail("The core asked for something that needs a connection before it configured one.")
                .next("report it, with the plan: this is a fault of the core or the provider")),
        }
    }

    /// What a plan judges by; nothing where the configuration becomes known only during apply.
    ///
    /// # Errors
    ///
    /// There is no configuration, which no apply will change.
    pub(crate) fn context_for_plan(&self) -> Result<Option<Context>, Problem> {
        match self.state() {
            State::Ready(context) => Ok(Some(*context)),
            State::Missing(problem) if problem.code == "E-CONFIG-MISSING" => Err(problem),
            _ => Ok(None),
        }
    }

    /// What deeds need, where it is there: a plan judges by it and plans no value by it.
    pub(crate) fn context_if_ready(&self) -> Option<Context> {
        match self.state() {
            State::Ready(context) => Some(*context),
            _ => None,
        }
    }

    /// Why nothing that gives power is planned, and nothing concluded from rules: they cannot be read.
    /// What takes power away goes on, and before a destruction a core plans everything as it is declared.
    pub(crate) fn closed(&self) -> Option<Problem> {
        let mut problem = self.context_if_ready()?.gate.closed()?.clone();
        let next = problem.next.take().unwrap_or_default();
        let all_the_same =
            "; if all is to be destroyed all the same: terraform destroy -refresh=false";
        Some(problem.next(format!("{next}{all_the_same}")))
    }

    /// The rules, as far as they are known.
    pub(crate) fn rules(&self) -> Arc<Rules> {
        self.context_if_ready().map(|context| context.rules).unwrap_or_default()
    }
}

/// What an id that is not known yet begins with.
fn prefix(id: &Attr<String>) -> Option<&str> {
    match id {
        Attr::Unknown(Some(promise)) => promise.prefix.as_deref(),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_integration_without_an_id_is_known_by_its_name_while_it_is_the_only_one() {
        let (shared, id) = (Shared::default(), Attr::unknown_with_prefix("login/oauth_client/"));
        assert_eq!(shared.only_unnamed(&id), None);
        // A walk may ask for a plan twice.
        for _ in 0..2 {
            shared.note_unnamed(&id, "ticket-sync");
            assert_eq!(shared.only_unnamed(&id).as_deref(), Some("ticket-sync"));
        }
        let other = Attr::unknown_with_prefix("other/oauth_client/");
        shared.note_unnamed(&other, "report-sync");
        assert_eq!(shared.only_unnamed(&id).as_deref(), Some("ticket-sync"));
        shared.note_unnamed(&id, "report-sync");
        assert_eq!(shared.only_unnamed(&id), None, "which of them is meant nobody can tell");
        shared.begin();
        assert_eq!(shared.only_unnamed(&other), None);
    }
}
