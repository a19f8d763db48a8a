//! What platforms and custody say is declared here, and the ledger never heard of: an older one was
//! lost. What is not compared for that is not in sync.

use std::collections::{BTreeMap, BTreeSet};

use connector::Freshness;
use domain::{CredentialId, GapExtent, IntegrationId, ObservedIntegration};

use crate::{
    Context, Problem, Wish,
    claim::{ClaimMirror, ClaimStore},
    inventory::take_inventory,
    observe_integration,
};

/// The way to compare with all that is declared.
const NEXT: &str = "terraform show -json | nhi drift --state -";

/// The parts of an integration that are declared, and of which no entry says how.
pub(crate) async fn unheard_parts(
    context: &Context,
    wish: &Wish,
    tenant: &str,
    live: &ObservedIntegration,
) -> Option<Problem> {
    let mut missing = Vec::new();
    if wish.settings.is_none() || wish.record.is_none() {
        missing.push("its settings and record".to_owned());
    }
    let governed = live.record.as_ref().is_some_and(|record| record.scopes_governed);
    if wish.scopes.is_none() && governed {
        missing.push("its scopes".to_owned());
    }
    if context.custody.is_some() && context.realm.is_some() {
        let claims =
            ClaimStore::mirrors_of(context, tenant, &live.vendor_id, Freshness::Shared).await;
        // Who cannot read them is told so where what was left open is looked for.
        let claims = claims.unwrap_or_default();
        let held = claims.iter().filter(|claim| !claim.is_open() && claim.current.is_some());
        let held = held.filter_map(ClaimMirror::slot_name);
        let wished: BTreeSet<&str> = wish.slots.iter().map(|slot| slot.name.as_str()).collect();
        let unheard: BTreeSet<&str> = held.filter(|name| !wished.contains(name)).collect();
        missing.extend(unheard.into_iter().map(|name| format!("its credential {name:?}")));
    }
    (!missing.is_empty()).then(|| {
        Problem::new("E-DRIFT-HALF", "The ledger says only a part of what is declared")
            .detail(format!(
                "{}: there is no entry about {}, as after the loss of an older ledger, or where \
                 another one has them; not compared.",
                wish.id,
                missing.join(", nor about "),
            ))
            .next(NEXT)
    })
}

/// The slots that custody has a credential of, declared or not. What it says of an integration that is
/// gone is history: its credentials went with it.
///
/// # Errors
///
/// Custody cannot be read.
pub async fn held_in_custody(context: &Context) -> Result<BTreeSet<String>, Problem> {
    if context.custody.is_none() || context.realm.is_none() {
        return Ok(BTreeSet::new());
    }
    let mut held = BTreeSet::new();
    for claim in ClaimStore::all(context).await? {
        if !claim.is_ended() && !is_gone(context, &claim).await {
            held.insert(claim.slot);
        }
    }
    Ok(held)
}

/// Whether the integration that a claim is about is gone, or another stands in its place. What cannot be
/// read is there.
async fn is_gone(context: &Context, claim: &ClaimMirror) -> bool {
    let Ok(slot) = claim.slot.parse::<CredentialId>() else { return false };
    match observe_integration(context, &slot.integration, None, None).await {
        Ok(seen) => seen.is_none_or(|seen| seen.observed.vendor_id != claim.vendor_id),
        Err(_) => false,
    }
}

/// The integrations that bear this installation's mark, and of which the ledger has no row, each with
/// why it was not compared; connections that cannot tell, or not all, are among them. `heard_of`: the
/// ids that it has.
///
/// # Errors
///
/// A connection's platform is not known.
pub async fn never_heard_of(
    context: &Context,
    heard_of: &BTreeSet<String>,
) -> Result<Vec<(String, Problem)>, Problem> {
    let Some(realm) = context.realm.as_deref() else { return Ok(Vec::new()) };
    let inventory = take_inventory(context, &[]).await?;
    let heard_of: Vec<IntegrationId> = heard_of.iter().filter_map(|id| id.parse().ok()).collect();
    // Several connections may lead to one tenant.
    let named = heard_of.iter().map(|id| &id.connection).chain(inventory.observations.keys());
    let named: BTreeSet<String> = named.cloned().collect();
    let mut gaps = inventory.unreadable;
    let mut tenants = BTreeMap::new();
    for connection in named {
        match context.tenant(&connection).await {
            Ok(tenant) => drop(tenants.insert(connection, tenant)),
            Err(problem) => drop(gaps.entry(connection).or_insert(problem)),
        }
    }
    let mut gaps: Vec<(String, Problem)> = gaps.into_iter().collect();
    let at = |id: IntegrationId| Some((tenants.get(&id.connection)?.clone(), id.kind, id.key));
    let mut known: BTreeSet<_> = heard_of.into_iter().filter_map(at).collect();
    for (connection, observation) in inventory.observations {
        let Some(tenant) = tenants.get(&connection) else { continue };
        for gap in &observation.gaps {
            // What lists nothing by its nature is no fault of today, and no look of another day mends it.
            if gap.extent == GapExtent::Unlistable {
                continue;
            }
            let problem =
                Problem::new("E-DRIFT-HALF", "A part of what is there could not be listed")
                    .detail(format!("{connection}: {}: {}.", gap.extent, gap.cause))
                    .next("nhi doctor");
            gaps.push((connection.clone(), problem));
        }
        for one in observation.integrations {
            let of = one.record.as_ref().and_then(|record| record.realm.as_ref());
            if of == Some(&realm.id)
                && known.insert((tenant.clone(), one.kind.clone(), one.key.clone()))
            {
                let id = IntegrationId::new(connection.clone(), one.kind, one.key).to_string();
                let problem =
                    Problem::new("E-DRIFT-HALF", "The ledger has no entry of this integration")
                        .detail(format!(
                            "{id}: it bears the mark of this installation, and no entry says how it is \
                             declared, as where another ledger has it, an older one was lost, or its making \
                             was interrupted; not compared."
                        ))
                        .next(NEXT);
                gaps.push((id, problem));
            }
        }
    }
    Ok(gaps)
}
