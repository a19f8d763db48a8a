//! `data "nhi_integrations"`: the inventory, managed or not.

use std::collections::{BTreeMap, BTreeSet};

use domain::{Action, IntegrationId, LastUsed, ObservedCredential, ObservedIntegration};
use operations::{
    Context, KindLattice, SeenIntegration, governed_elsewhere, is_managed, judge_listed,
    take_inventory,
};
use policy::{
    scopes::Lattice,
    standing::{Facts, standing},
};
use tfplugin::{
    Attr, Diagnostic, Diagnostics, Model, Set,
    data_source::{DataSource, Found},
    erased::{Call, Deferred},
};

use super::{waits, within};
use crate::{
    diagnostics::errors,
    resources::platform_objects::kind,
    rules,
    shared::Shared,
    values::{moment, optional},
};

/// The inventory: every integration that connections can see, managed or not.
///
/// For checks over all of them: who owns nothing, what ends soon, what may do too much. An inventory
/// with gaps is an error unless `allow_incomplete` is set: a check over half of it would be a lie.
#[derive(Debug, Clone, PartialEq, Default, Model)]
pub(crate) struct IntegrationsModel {
    /// Only these connections; all of them unless set.
    #[tf(optional)]
    pub connections: Attr<Set<String>>,
    /// Only of this environment.
    #[tf(optional, validate = rules::said)]
    pub environment: Attr<String>,
    /// Only those that this owner answers for: `owner/<name>`.
    #[tf(optional, validate = rules::said)]
    pub owner: Attr<String>,
    /// Only those that may do at least this.
    #[tf(optional, validate = rules::action)]
    pub action_at_least: Attr<String>,
    /// Only those that somebody declared here, or only those that nobody did anywhere. What another
    /// installation governs is neither: it is listed without this, as `foreign`.
    #[tf(optional)]
    pub managed: Attr<bool>,
    /// Only those with this problem, such as `expired`.
    #[tf(optional, validate = rules::said)]
    pub standing: Attr<String>,
    /// At most so many; more is an error, since all of it goes into state.
    #[tf(default = 1000_i64)]
    pub limit: Attr<i64>,
    /// Last use too, where the platform tells. It changes every day, and so does the output then.
    #[tf(default = false)]
    pub include_usage: Attr<bool>,
    /// An inventory with gaps is accepted.
    #[tf(default = false)]
    pub allow_incomplete: Attr<bool>,
    /// What was found, by id.
    #[tf(computed)]
    pub integrations: Attr<Vec<Entry>>,
    /// How many there are, by connection that could be read, and `managed`, `unmanaged` and
    /// `foreign`.
    #[tf(computed)]
    pub counts: Attr<BTreeMap<String, i64>>,
    /// Whether everything could be read.
    #[tf(computed)]
    pub complete: Attr<bool>,
    /// What could not.
    #[tf(computed)]
    pub gaps: Attr<Vec<SeenGap>>,
}

/// One integration.
#[derive(Debug, Clone, PartialEq, Default, Model)]
pub(crate) struct Entry {
    /// `<connection>/<kind>/<vendor key>`.
    #[tf(computed)]
    pub id: Attr<String>,
    /// This incarnation at the platform.
    #[tf(computed)]
    pub vendor_id: Attr<String>,
    /// The platform object's name.
    #[tf(computed)]
    pub kind: Attr<String>,
    /// Its name there.
    #[tf(computed)]
    pub name: Attr<String>,
    /// Whether it is declared in a configuration of ours.
    #[tf(computed)]
    pub managed: Attr<bool>,
    /// Whether another installation governs it, as its record tells.
    #[tf(computed)]
    pub foreign: Attr<bool>,
    /// Whether its vendor made it.
    #[tf(computed)]
    pub builtin: Attr<bool>,
    /// Which environment it belongs to.
    #[tf(computed)]
    pub environment: Attr<String>,
    /// Who is accountable for the business.
    #[tf(computed)]
    pub business_owner: Attr<String>,
    /// Who is accountable for the technology.
    #[tf(computed)]
    pub technical_owner: Attr<String>,
    /// `active`, `disabled` or `quarantined`.
    #[tf(computed)]
    pub state: Attr<String>,
    /// Problem to what follows.
    #[tf(computed)]
    pub standing: Attr<BTreeMap<String, String>>,
    /// What it may do.
    #[tf(computed)]
    pub scopes: Attr<Set<String>>,
    /// The highest action among them.
    #[tf(computed)]
    pub highest_action: Attr<String>,
    /// The last day it may live.
    #[tf(computed)]
    pub expires_on: Attr<String>,
    /// The day of the newest valid review; null until there is one.
    #[tf(computed)]
    pub reviewed_on: Attr<String>,
    /// Its credentials; null where they could not be read.
    #[tf(computed)]
    pub credentials: Attr<Vec<SeenCredential>>,
}

/// One credential.
#[derive(Debug, Clone, PartialEq, Default, Model)]
pub(crate) struct SeenCredential {
    /// `<integration>/credential/<name>`; null where custody's books do not name it, as they never do
    /// what nobody declared.
    #[tf(computed)]
    pub id: Attr<String>,
    /// The vendor's id.
    #[tf(computed)]
    pub key_id: Attr<String>,
    /// Its type.
    #[tf(computed, name = "type")]
    pub credential_type: Attr<String>,
    /// Whether it carries a mark of ours.
    #[tf(computed)]
    pub managed: Attr<bool>,
    /// Whether it carries the mark of another installation.
    #[tf(computed)]
    pub foreign: Attr<bool>,
    /// When it was issued.
    #[tf(computed)]
    pub issued_at: Attr<String>,
    /// When it ends.
    #[tf(computed)]
    pub expires_at: Attr<String>,
    /// The day of its last use; null is unknown, never unused.
    #[tf(computed)]
    pub last_used_on: Attr<String>,
}

/// Something that could not be read.
#[derive(Debug, Clone, PartialEq, Default, Model)]
pub(crate) struct SeenGap {
    /// The connection.
    #[tf(computed)]
    pub connection: Attr<String>,
    /// What.
    #[tf(computed)]
    pub what: Attr<String>,
    /// Why.
    #[tf(computed)]
    pub why: Attr<String>,
}

/// `data "nhi_integrations"`.
#[derive(Debug)]
pub(crate) struct Integrations {
    shared: Shared,
}

impl Integrations {
    pub(crate) fn new(shared: Shared) -> Integrations {
        Integrations { shared }
    }
}

impl DataSource for Integrations {
    type Model = IntegrationsModel;
    const TYPE_NAME: &'static str = "nhi_integrations";

    async fn read(
        &self,
        config: IntegrationsModel,
        call: &Call,
    ) -> Result<Found<IntegrationsModel>, Diagnostics> {
        let mut model = config;
        let context = match self.shared.context() {
            Ok(context) => context,
            Err(problem) => {
                waits(Some(&problem), call)?;
                return Ok(Found::from(model).defer(Deferred::ProviderConfigUnknown));
            }
        };
        let names: Vec<String> = model.connections.value().into_iter().flatten().cloned().collect();
        let inventory = take_inventory(&context, &names)
            .await
            .map_err(|problem| errors(problem.at(&["connections"])))?;
        let unknown = inventory.unreadable.values().find(|one| one.code == "E-NOT-YET-KNOWN");
        if waits(unknown, call)? {
            return Ok(Found::from(model).defer(Deferred::ProviderConfigUnknown));
        }
        let mut gaps: Vec<SeenGap> = Vec::new();
        let gap = |connection: &str, what: String, why: &str| SeenGap {
            connection: connection.into(),
            what: Attr::Value(what),
            why: why.into(),
        };
        for (name, problem) in &inventory.unreadable {
            gaps.push(gap(name, "everything".into(), &problem.detail));
        }
        for (name, observation) in &inventory.observations {
            let own = observation.gaps.iter();
            let inner = observation.integrations.iter().flat_map(|one| &one.gaps);
            gaps.extend(own.chain(inner).map(|one| gap(name, one.extent.to_string(), &one.cause)));
        }
        let partly = model.allow_incomplete == true;
        let mut entries: Vec<Entry> = Vec::new();
        for (name, observation) in &inventory.observations {
            for one in &observation.integrations {
                let id = IntegrationId::new(name.clone(), one.kind.clone(), one.key.clone());
                let seen = match judge_listed(&context, &id, &observation.tenant, one).await {
                    Err(problem) if partly => {
                        let what = format!("credentials of {}", one.key);
                        gaps.push(gap(name, what, &problem.detail));
                        let bare = ObservedIntegration { credentials: None, ..one.clone() };
                        judge_listed(&context, &id, &observation.tenant, &bare).await
                    }
                    seen => seen,
                };
                let entry = entry(&context, &id, &seen.map_err(errors)?, &model);
                if wanted(&entry, &model) {
                    entries.push(entry);
                }
            }
        }
        if !gaps.is_empty() && !partly {
            let listed: Vec<String> = gaps
                .iter()
                .map(|gap| {
                    format!("{}: {} ({})", gap.connection.text(), gap.what.text(), gap.why.text())
                })
                .collect();
            return Err(Diagnostic::error(
                "The inventory is not complete",
                format!(
                    "{}\nA check over half an inventory would be a lie.\nNext: nhi doctor, or set allow_incomplete = true and look at gaps.\n(E-INCOMPLETE)",
                    listed.join("\n")
                ),
            )
            .into());
        }
        entries.sort_by(|a, b| a.id.cmp(&b.id));
        within(&model.limit, "integrations", entries.len())?;
        // What there is none of is counted too: a check must not fail for want of a key.
        let named = inventory.observations.keys().map(String::as_str);
        let mut counts: BTreeMap<String, i64> = ["managed", "unmanaged", "foreign"]
            .into_iter()
            .chain(named)
            .map(|of| (of.to_owned(), 0))
            .collect();
        for entry in &entries {
            let connection = entry.id.text().split('/').next().unwrap_or_default().to_owned();
            *counts.entry(connection).or_default() += 1;
            *counts.entry(side(entry).to_owned()).or_default() += 1;
        }
        model.complete = Attr::Value(gaps.is_empty());
        model.gaps = Attr::Value(gaps);
        model.counts = Attr::Value(counts);
        model.integrations = Attr::Value(entries);
        Ok(model.into())
    }
}

/// Who declares an integration, as it is counted.
fn side(entry: &Entry) -> &'static str {
    match (entry.managed == true, entry.foreign == true) {
        (true, _) => "managed",
        (false, true) => "foreign",
        (false, false) => "unmanaged",
    }
}

fn entry(
    context: &Context,
    id: &IntegrationId,
    seen: &SeenIntegration,
    model: &IntegrationsModel,
) -> Entry {
    let one = &seen.observed;
    let record = one.record.clone().unwrap_or_default();
    let managed = is_managed(context.realm.as_deref(), one);
    let listed = |credential: &ObservedCredential| SeenCredential {
        id: optional(seen.slots.get(&credential.key_id).cloned()),
        key_id: Attr::Value(credential.key_id.clone()),
        credential_type: Attr::Value(credential.credential_type.clone()),
        managed: Attr::Value(
            credential.live
                && !seen.unmanaged.contains(&credential.key_id)
                && !seen.foreign.contains_key(&credential.key_id),
        ),
        foreign: Attr::Value(seen.foreign.contains_key(&credential.key_id)),
        issued_at: optional(credential.issued_at.map(moment)),
        expires_at: optional(credential.expires_at.map(moment)),
        last_used_on: match (model.include_usage == true, credential.last_used) {
            (true, LastUsed::At(at)) => Attr::Value(at.strftime("%Y-%m-%d").to_string()),
            _ => Attr::Null,
        },
    };
    let credentials: Option<Vec<SeenCredential>> =
        one.credentials.as_ref().map(|all| all.iter().map(listed).collect());
    let facts = seen.facts(
        record.expires_on.as_deref(),
        record.review_every.as_deref(),
        record.adoption.as_ref().map(|one| one.complete_by.as_str()),
    );
    // Of what nobody declared here nothing is expected; a mark that is not genuine is always wrong.
    let facts = if managed {
        facts
    } else {
        Facts { marker_forged: facts.marker_forged, ..Facts::default() }
    };
    let standing = standing(&facts, &context.rules, context.time());
    let scopes: BTreeSet<String> =
        one.scopes.iter().map(|granted| granted.scope.as_str().to_owned()).collect();
    let highest = kind(&one.kind)
        .and_then(|(platform, kind)| Some(KindLattice { platform: platform?, kind: kind.name }))
        .map_or(Action::Unknown, |lattice| {
            one.scopes
                .iter()
                .map(|granted| lattice.action(&granted.scope))
                .max()
                .unwrap_or(Action::None)
        });
    Entry {
        id: Attr::Value(id.to_string()),
        vendor_id: Attr::Value(one.vendor_id.clone()),
        kind: Attr::Value(one.kind.clone()),
        name: Attr::Value(one.name.clone()),
        managed: Attr::Value(managed),
        foreign: Attr::Value(
            governed_elsewhere(context.realm.as_deref(), one.record.as_ref()).is_some(),
        ),
        builtin: Attr::Value(one.builtin),
        environment: optional(record.environment),
        business_owner: optional(record.business_owner.map(|owner| owner.id)),
        technical_owner: optional(record.technical_owner.map(|owner| owner.id)),
        state: seen.state(false, true).into(),
        standing: Attr::Value(
            standing
                .into_iter()
                .map(|(name, verdict)| (name.to_owned(), verdict.as_str().to_owned()))
                .collect(),
        ),
        scopes: Attr::Value(scopes),
        highest_action: highest.as_str().into(),
        expires_on: optional(record.expires_on),
        reviewed_on: Attr::from(seen.reviewed_on.map(|day| day.to_string())),
        credentials: Attr::from(credentials),
    }
}

fn wanted(entry: &Entry, model: &IntegrationsModel) -> bool {
    let same = |wish: &Attr<String>, have: &Attr<String>| wish.is_null() || wish == have;
    let owner = model.owner.is_null()
        || model.owner == entry.business_owner
        || model.owner == entry.technical_owner;
    let action = |text: &Attr<String>| text.as_deref().and_then(|text| text.parse::<Action>().ok());
    let high = action(&model.action_at_least)
        .is_none_or(|least| action(&entry.highest_action).is_some_and(|have| have >= least));
    let standing = model.standing.as_deref().is_none_or(|name| {
        entry.standing.value().is_some_and(|standing| standing.contains_key(name))
    });
    same(&model.environment, &entry.environment)
        && owner
        && high
        && standing
        && model
            .managed
            .value()
            .is_none_or(|wish| side(entry) == if *wish { "managed" } else { "unmanaged" })
}
