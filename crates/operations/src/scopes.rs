//! Giving and taking what an integration may do.

use std::collections::{BTreeMap, BTreeSet};

use connector::{Change, Platform};
use domain::{Action, Direction, GrantedScope, IntegrationId, ObservedIntegration, Record, Scope};
use ledger::{Change as Row, Work};
use policy::{
    elevation::with_given,
    scopes::{Above, Declared, Enforcement, Lattice, above_ceiling, canonical_set, limit, wanted},
};

use crate::{
    Context, Deed, Problem, WishedScopes,
    decommission::not_in_service,
    drift::scopes_json,
    elevate::{forget_over, running_or_over},
    elsewhere::{governed_here, import_of, who_has_it},
    integration::{finish_record, work},
    observe::object_of,
};

/// A platform's scopes of one kind, as the judgments need them.
#[derive(Debug, Clone, Copy)]
pub struct KindLattice {
    /// The platform.
    pub platform: &'static dyn Platform,
    /// The kind's name.
    pub kind: &'static str,
}

impl Lattice for KindLattice {
    fn parse(&self, text: &str) -> Option<Vec<Scope>> {
        self.platform.parse_scope(self.kind, text).ok()
    }

    fn implies(&self, a: &Scope, b: &Scope) -> bool {
        self.platform.implies(self.kind, a, b)
    }

    fn covers(&self, ceiling: &BTreeSet<Scope>, scope: &Scope, beside: &BTreeSet<Scope>) -> bool {
        self.platform.covers(self.kind, ceiling, scope, beside)
    }

    fn action(&self, scope: &Scope) -> Action {
        self.platform.action(self.kind, scope)
    }

    fn direction(&self, before: &BTreeSet<Scope>, after: &BTreeSet<Scope>) -> Direction {
        self.platform.direction(self.kind, before, after)
    }
}

/// Scopes as they are declared.
#[derive(Debug, Clone)]
pub struct DeclaredScopes {
    /// Standing and temporary ones.
    pub declared: Declared,
    /// Which differences are drift.
    pub enforcement: Enforcement,
    /// What single scopes really let their holder do, as a person said.
    pub classify: BTreeMap<String, Action>,
    /// Why it needs them.
    pub justification: Option<String>,
    /// This is the first declaration: another one's must not be there.
    pub first: bool,
}

/// An integration, its scopes and its credentials are changed at once, and each writes a part of its
/// record. Whoever writes it writes all of it, so whoever reads it to write it takes turns.
pub(crate) fn record_turn(id: &IntegrationId) -> String {
    format!("{id}/record")
}

/// Brings an integration's scopes to what is declared, and reads back what is then in force.
///
/// # Errors
///
/// `E-SLOT-EXISTS` if somebody else governs them, or what the platform said.
pub async fn set_scopes(
    context: &Context,
    id: &IntegrationId,
    vendor_id: Option<&str>,
    lattice: KindLattice,
    wish: &DeclaredScopes,
) -> Result<ObservedIntegration, Problem> {
    let tenant = context.tenant(&id.connection).await?;
    let connector = context.connector(&id.connection).await?;
    let what = format!("{id}/scope");
    let object = object_of(id, None, vendor_id);
    let _turn = context.turns.take(&record_turn(id)).await;
    let found = connector
        .read(&object, connector::Want { credentials: false, ..connector::Want::DEED })
        .await
        .map_err(|error| Problem::unreadable(&what, &error))?
        .ok_or_else(|| gone(&what))?;
    governed_here(context, id, found.record.as_ref(), [])
        .await
        .map_err(|problem| problem.at(&["integration"]))?;
    let have = found.record.clone().unwrap_or_default();
    // Finished by a run that died before anybody heard of it, they are in no state.
    let orphaned = wish.first
        && have.scopes_governed
        && context
            .died_finishing(&[&what], have.finished_by.as_deref())
            .await
            .takes_up(&what, "integration")?;
    if wish.first && have.scopes_governed && !orphaned {
        let in_this_run = have.finished_by.as_deref() == Some(&context.run.id);
        let one = "one nhi_scope holds all scopes of an integration: write them into one of the two \
                   (setunion adds up those of several modules), and remove the other";
        return Err(Problem::new("E-SLOT-EXISTS", "Its scopes are governed already")
            .detail(format!(
                "The record on {id} says that an nhi_scope governs its scopes: {} has it. Two would \
                 undo each other's work.",
                who_has_it(in_this_run)
            ))
            .next(match in_this_run {
                true => one.to_owned(),
                false => format!(
                    "{}\n      Where a resource of this configuration has it: {one}.",
                    import_of("nhi_scope", &what)
                ),
            })
            .at(&["integration"]));
    }
    // The ceiling in the record has a review of its own; the plan may have been made under another.
    let most = limit(have.ceiling_action.as_deref()).map_err(|word| {
        Problem::new("E-CEILING", "This ceiling cannot be read")
            .detail(format!(
                "{what}: the record on {id} says {word:?}, which is no action. What cannot be read \
                 limits nothing, so nothing is given under it."
            ))
            .next("apply the nhi_integration first; that writes its record anew")
            .at(&["integration"])
    })?;
    let Declared { scopes, temporary, on_request } = &wish.declared;
    let texts: BTreeSet<String> =
        scopes.iter().chain(temporary.keys()).chain(on_request.keys()).cloned().collect();
    let (standing, covering) = (&wish.declared.scopes, have.ceiling_scopes.as_ref());
    let over = above_ceiling(&lattice, &texts, standing, &wish.classify, most, covering);
    if let Some(one) = over.first() {
        return Err(above(&what, one));
    }
    let live: BTreeSet<Scope> = found.scopes.iter().map(|granted| granted.scope.clone()).collect();
    // A temporary scope begins and ends when every clock says so.
    let now = context.time().lo;
    for (scope, one) in &wish.declared.temporary {
        let longest = context.rules.temporary_longest;
        if one.from.is_none() && one.until > policy::schedule::later(now, longest) {
            return Err(Problem::new("E-TOO-LONG", "This is too long to be temporary")
                .detail(format!("{scope:?}: the policy allows {longest} at most, from now on."))
                .next("choose an earlier until")
                .at(&["temporary", scope, "until"]));
        }
    }
    // What was given by asking is neither given here nor taken away, while it runs.
    let given = running_or_over(context, &found, lattice, &wish.declared);
    let with_given = with_given(&wish.declared, &given);
    let wanted = wanted(&lattice, &with_given, &live, wish.enforcement, now);
    let after: BTreeSet<Scope> = wanted.keys().cloned().collect();
    let direction = lattice.direction(&live, &after);
    let join = |set: &BTreeSet<Scope>| set.iter().map(Scope::as_str).collect::<Vec<_>>().join("\n");
    let deed = Deed {
        object: what.clone(),
        tenant,
        action: if direction.may_widen() { "widen" } else { "narrow" },
        before: join(&live),
        after: join(&after),
        direction,
    };
    if direction.may_widen() {
        not_in_service(&what, found.record.as_ref())?;
    }
    context.ready(work(direction)).await?;
    let leave = context.gate.authorize(&deed)?;
    let ends = match kind_of(lattice) {
        Some(kind) => {
            let able = connector.capabilities(kind).await;
            able.map_err(|error| Problem::unreadable(&what, &error))?.ends_scopes
        }
        None => false,
    };
    let granted: BTreeSet<GrantedScope> = wanted
        .into_iter()
        .map(|(scope, until)| {
            let ends = ends && lattice.platform.ends_scope(lattice.kind, &scope);
            GrantedScope { scope, until: until.filter(|_| ends) }
        })
        .collect();
    // A create that fails after this write has no owner in any state: that they are governed is
    // written last, so that it can be done again.
    let record =
        Record { scopes_governed: !wish.first, justification: wish.justification.clone(), ..have };
    let change = Change { scopes: Some(granted), record: Some(record), ..Change::default() };
    let read_back = context
        .attempt(&what, deed.action, leave.auth(), async {
            connector
                .modify(&object, &change)
                .await
                .map_err(|error| Problem::not_done(&what, deed.action, &error))
        })
        .await?;
    let in_force: BTreeSet<Scope> =
        read_back.scopes.iter().map(|granted| granted.scope.clone()).collect();
    let missing = after.iter().any(|scope| !in_force.contains(scope));
    let more = in_force
        .iter()
        .any(|scope| !after.iter().any(|held| held == scope || lattice.implies(held, scope)));
    if missing || more {
        return Err(Problem::new(
            "E-SCOPES-NOT-ENFORCED",
            "The platform took the scopes otherwise",
        )
        .detail(format!("{what}: asked for {after:?}, in force are {in_force:?}."))
        .next("nhi scan, and compare what the platform says"));
    }
    let read_back = match read_back.record.clone().filter(|_| wish.first) {
        Some(record) => {
            let finished_by = Some(context.run.id.clone());
            let record = Record { scopes_governed: true, finished_by, ..record };
            finish_record(context, &*connector, &object, &what, leave.auth(), record).await?
        }
        None => read_back,
    };
    let mut entry = context.entry("scopes.set", &what);
    entry.digest_after = Some(deed.digest());
    entry.auth = Some(leave.auth().to_owned());
    let document = scopes_json(&wish.declared, wish.enforcement);
    let integration = id.to_string();
    let facet = "scopes".to_owned();
    entry = entry
        .detail("direction", direction.to_string())
        .change(Row::Declared {
            integration: integration.clone(),
            facet: facet.clone(),
            document: Some(document.clone()),
        })
        .change(Row::Applied { integration, facet, document: Some(document) });
    context.note(entry).await;
    Ok(read_back)
}

/// The temporary scopes that are live and over by every clock: what is declared for good, or for a while
/// still, is none of them.
pub(crate) fn over(
    lattice: KindLattice,
    wish: &WishedScopes,
    live: &BTreeSet<Scope>,
    now: jiff::Timestamp,
) -> BTreeSet<Scope> {
    let is_over = |until: &Option<jiff::Timestamp>| until.is_some_and(|until| now >= until);
    let lasting = wish.temporary.iter().filter(|(_, until)| !is_over(until)).map(|(text, _)| text);
    let kept = canonical_set(&lattice, wish.standing.iter().chain(lasting));
    let ended = wish.temporary.iter().filter(|(_, until)| is_over(until)).map(|(text, _)| text);
    let ended = canonical_set(&lattice, ended);
    ended.into_iter().filter(|scope| live.contains(scope) && !kept.contains(scope)).collect()
}

/// Takes away the temporary scopes that are over, and nothing else.
///
/// # Errors
///
/// What the platform said, or that it is another integration by now.
pub async fn remove_over(
    context: &Context,
    id: &IntegrationId,
    vendor_id: &str,
    lattice: KindLattice,
    wish: &WishedScopes,
) -> Result<BTreeSet<Scope>, Problem> {
    context.ready(Work::Ends).await?;
    let tenant = context.tenant(&id.connection).await?;
    let connector = context.connector(&id.connection).await?;
    let what = format!("{id}/scope");
    let object = object_of(id, None, Some(vendor_id));
    let _turn = context.turns.take(&record_turn(id)).await;
    let found = connector
        .read(&object, connector::Want { credentials: false, ..connector::Want::DEED })
        .await
        .map_err(|error| Problem::unreadable(&what, &error))?
        .ok_or_else(|| gone(&what))?;
    governed_here(context, id, found.record.as_ref(), []).await?;
    let live: BTreeSet<Scope> = found.scopes.iter().map(|granted| granted.scope.clone()).collect();
    let wish = wish.with_elevations(context, &found, lattice);
    let over = over(lattice, &wish, &live, context.time().lo);
    if over.is_empty() {
        return Ok(over);
    }
    let granted: BTreeSet<GrantedScope> =
        found.scopes.iter().filter(|granted| !over.contains(&granted.scope)).cloned().collect();
    let join = |set: &BTreeSet<Scope>| set.iter().map(Scope::as_str).collect::<Vec<_>>().join("\n");
    let deed = Deed::ending(&what, &tenant, "narrow", join(&over));
    let leave = context.gate.authorize(&deed)?;
    let change = Change { scopes: Some(granted), ..Change::default() };
    let read_back = context
        .attempt(&what, "narrow", leave.auth(), async {
            connector
                .modify(&object, &change)
                .await
                .map_err(|error| Problem::not_done(&what, "narrow", &error))
        })
        .await?;
    if let Some(left) = read_back.scopes.iter().find(|granted| over.contains(&granted.scope)) {
        return Err(Problem::new("E-SCOPES-NOT-ENFORCED", "The platform kept a scope")
            .detail(format!("{what}: {} is over, and still in force.", left.scope))
            .next("nhi scan, and compare what the platform says"));
    }
    let mut entry = context.entry("scopes.narrowed", &what);
    entry.digest_after = Some(deed.digest());
    entry.auth = Some(leave.auth().to_owned());
    let taken: Vec<&str> = over.iter().map(Scope::as_str).collect();
    context.note(entry.detail("taken", taken.join(" "))).await;
    forget_over(context, &*connector, &object, id, &found, leave.auth()).await?;
    Ok(over)
}

pub(crate) fn kind_of(lattice: KindLattice) -> Option<&'static connector::Kind> {
    lattice.platform.kinds().iter().find(|kind| kind.name == lattice.kind)
}

pub(crate) fn above(what: &str, one: &Above) -> Problem {
    Problem::new("E-CEILING", "Scope above this integration's ceiling")
        .detail(format!(
            "{what}: {}.\nThe ceiling is set on the nhi_integration, so that scopes and their limit have \
             separate reviews.",
            one.why()
        ))
        .next(one.remedy())
        .at(&["scopes"])
}

pub(crate) fn gone(what: &str) -> Problem {
    Problem::new("E-GONE", "The integration is not there")
        .detail(format!("{what}: somebody deleted the integration."))
        .next("plan again; the new plan makes it anew")
        .at(&["integration"])
}

/// Takes every scope away. What cannot hold "none" is parked, never left open.
///
/// Another incarnation of the integration is somebody else's and is left alone, unless this is half
/// of a replacement: the record outlives the object that it was written for, and the other half is
/// about to govern what is there now.
///
/// # Errors
///
/// What the platform said. Gone already is success.
pub async fn park_scopes(
    context: &Context,
    id: &IntegrationId,
    vendor_id: Option<&str>,
    replaced: bool,
) -> Result<(), Problem> {
    context.ready(Work::Ends).await?;
    let tenant = context.tenant(&id.connection).await?;
    let connector = context.connector(&id.connection).await?;
    let what = format!("{id}/scope");
    let object = object_of(id, None, vendor_id.filter(|_| !replaced));
    let _turn = context.turns.take(&record_turn(id)).await;
    let found = connector
        .read(&object, connector::Want { credentials: false, ..connector::Want::DEED })
        .await
        .or_else(|error| match error {
            connector::Error::Recreated { .. } => Ok(None),
            other => Err(Problem::unreadable(&what, &other)),
        })?;
    let Some(found) = found else { return Ok(()) };
    governed_here(context, id, found.record.as_ref(), [])
        .await
        .map_err(|problem| problem.at(&["integration"]))?;
    let record = found.record.map(|record| Record {
        scopes_governed: false,
        justification: None,
        elevated: BTreeMap::new(),
        ..record
    });
    let change = Change { scopes: Some(BTreeSet::new()), record, ..Change::default() };
    let live: Vec<&str> = found.scopes.iter().map(|granted| granted.scope.as_str()).collect();
    let deed = Deed::ending(&what, &tenant, "narrow", live.join("\n"));
    let leave = context.gate.authorize(&deed)?;
    context
        .attempt(&what, "narrow", leave.auth(), async {
            connector
                .modify(&object, &change)
                .await
                .map_err(|error| Problem::not_done(&what, "remove all scopes", &error))
        })
        .await?;
    let facet = "scopes".to_owned();
    let integration = id.to_string();
    let entry = context
        .entry("scopes.removed", &what)
        .change(Row::Declared {
            integration: integration.clone(),
            facet: facet.clone(),
            document: None,
        })
        .change(Row::Applied { integration, facet, document: None });
    context.note(entry).await;
    Ok(())
}
