//! `nhi_integration`: one object on a platform, its owners, its purpose and its end.

use std::collections::BTreeMap;

use connector::Kind;
use domain::{Action, Direction, IntegrationId, OwnerRef, Record, Settings, Span};
use operations::{
    DeclaredIntegration, Problem, SeenIntegration, UNKNOWN_CONNECTION, create_integration,
    delete_integration, find_connection, observe_integration, revoke_everything, revoke_unmanaged,
    update_integration,
};
use policy::{
    Rules,
    rules::Verdict,
    settings,
    standing::{ThirdParty, standing, third_party, wanted_state},
};
use tfplugin::{
    Attr, Diagnostic, Diagnostics, Model, Path, Set, Value,
    erased::Call,
    resource::{
        By, Create, Delete, Done, Failure, Identity, Import, ImportState, MoveState, Plan, Read,
        Resource, Source, Update,
    },
};

use super::{
    applied::Applied,
    moved,
    platform_objects::{PlatformObjects, kind, kinds, object_of, settings_of},
    references::{Ceiling, OwnerReference},
};
use crate::{
    diagnostics::{Unseen, error, errors, notices, observed, unknown_governed},
    rules,
    shared::Shared,
};

/// An integration: an OAuth client, a role, a bot, a service account, seen as a privileged
/// non-human identity.
///
/// It is born without any power: `nhi_scope` gives it what it may do and `nhi_credential` the means
/// to sign in. Owners are handed over as whole objects: `technical_owner = nhi_owner.payments`.
#[derive(Debug, Clone, PartialEq, Default, Model)]
pub(crate) struct IntegrationModel {
    /// `<connection>/<kind>/<vendor key>`.
    #[tf(computed, not_null)]
    pub id: Attr<String>,

    /// The name of the platform object that is set, such as `openbao_approle`.
    #[tf(computed, not_null)]
    pub kind: Attr<String>,

    /// This incarnation at the platform (role id, client id). Another one means that somebody
    /// deleted and recreated the object; scopes and credentials below are then made anew.
    #[tf(computed, not_null)]
    pub vendor_id: Attr<String>,

    /// The connection's name in `nhi.hcl`. Unset only with `third_party`.
    #[tf(optional, replace)]
    pub connection_name: Attr<String>,

    /// Its name at the platform.
    #[tf(required)]
    pub name: Attr<String>,

    /// Why it exists, in at least 20 characters.
    #[tf(required, validate = rules::reason)]
    pub purpose: Attr<String>,

    /// Which environment it belongs to, such as `production`. Another one rotates its credentials.
    #[tf(required)]
    pub environment: Attr<String>,

    /// Who is accountable for the business: a whole `nhi_owner`.
    #[tf(required)]
    pub business_owner: Attr<OwnerReference>,

    /// Who is accountable for the technology: a whole `nhi_owner`. Another one rotates its
    /// credentials.
    #[tf(required)]
    pub technical_owner: Attr<OwnerReference>,

    /// How it runs: `batch`, `human_in_the_loop`, `autonomous` or `agent`. Unset is judged as
    /// `agent`.
    #[tf(optional, validate = rules::execution_mode)]
    pub execution_mode: Attr<String>,

    /// What sort of thing it is: `ipaas`, `etl_job`, `workflow_engine`, `ci_cd`, `low_code`,
    /// `rpa_bot`, `scheduled_job`, `saas_app`, `api`, `service_account`, `automation_tool` or
    /// `partner`.
    #[tf(optional, validate = rules::category)]
    pub category: Attr<String>,

    /// The last day it may live, `YYYY-MM-DD`, through the end of that day in UTC.
    #[tf(optional, validate = rules::date)]
    pub expires_on: Attr<String>,

    /// How often somebody must confirm that it is still needed, such as `90d`.
    #[tf(optional, validate = rules::span)]
    pub review_every: Attr<String>,

    /// The day of the newest valid review; null until there is one.
    #[tf(computed)]
    pub reviewed_on: Attr<String>,

    /// The limit on what `nhi_scope` may give it. Raising it is a widening.
    #[tf(optional)]
    pub ceiling: Attr<Ceiling>,

    /// Whether it may act at all; unset means true.
    #[tf(optional)]
    pub enabled: Attr<bool>,

    /// An incident that exposed all its credentials. A new value rotates them at once, without
    /// overlap.
    #[tf(optional)]
    pub incident: Attr<String>,

    /// Whether apply revokes live credentials that nobody declared. Without it they are only
    /// reported: somebody may be using them.
    #[tf(optional)]
    pub revoke_unmanaged: Attr<bool>,

    /// Where its logs are: a URL, or `<connection>/<path>`.
    #[tf(optional, validate = rules::place)]
    pub logs: Attr<String>,

    /// What destroying it does at the platform: `delete` or `disable`.
    #[tf(default = "delete", validate = rules::on_destroy)]
    pub on_destroy: Attr<String>,

    /// Free labels.
    #[tf(optional)]
    pub labels: Attr<BTreeMap<String, String>>,

    /// `active`, `disabled`, `quarantined` or `revoked`.
    #[tf(computed, not_null)]
    pub state: Attr<String>,

    /// What is wrong with it by the policy, and what follows: problem to `warn`, `disable` or
    /// `revoke`.
    #[tf(computed)]
    pub standing: Attr<BTreeMap<String, String>>,

    /// Ids of live credentials that nobody declared.
    #[tf(computed)]
    pub unmanaged_credentials: Attr<Set<String>>,

    /// The platform object: exactly one.
    #[tf(flatten)]
    pub platform: PlatformObjects,
}

/// The identity: where and what.
#[derive(Debug, Clone, PartialEq, Model)]
pub(crate) struct IntegrationIdentity {
    /// The connection's name.
    #[tf(required)]
    pub connection: Attr<String>,
    /// The platform object's name.
    #[tf(required)]
    pub kind: Attr<String>,
    /// The vendor's key.
    #[tf(required)]
    pub key: Attr<String>,
}

/// `nhi_integration`.
#[derive(Debug)]
pub(crate) struct Integration {
    shared: Shared,
}

/// The connection's place in ids of integrations without one.
const NO_CONNECTION: &str = "none";

impl Integration {
    pub(crate) fn new(shared: Shared) -> Integration {
        Integration { shared }
    }
}

fn owner_ref(owner: &Attr<OwnerReference>) -> Option<OwnerRef> {
    let owner = owner.value()?;
    Some(OwnerRef {
        id: owner.id.as_deref()?.to_owned(),
        email: owner.email.as_deref().map(str::to_owned),
    })
}

fn record_of(model: &IntegrationModel) -> Record {
    let text = |attr: &Attr<String>| attr.as_deref().map(str::to_owned);
    let ceiling = model.ceiling.value();
    Record {
        purpose: text(&model.purpose),
        environment: text(&model.environment),
        business_owner: owner_ref(&model.business_owner),
        technical_owner: owner_ref(&model.technical_owner),
        execution_mode: text(&model.execution_mode),
        category: text(&model.category),
        expires_on: text(&model.expires_on),
        review_every: text(&model.review_every),
        ceiling_action: ceiling.and_then(|one| text(&one.highest_action)),
        ceiling_scopes: ceiling.and_then(|one| one.scopes.value().cloned()),
        labels: model.labels.value().cloned().unwrap_or_default(),
        ..Record::default()
    }
}

fn is_third_party(kind: &Kind) -> bool {
    kind.name == third_party_name()
}

fn third_party_name() -> &'static str {
    wiring::third_party().name
}

fn declared(model: &IntegrationModel) -> Option<DeclaredIntegration> {
    let (kind, value) = model.platform.chosen()?;
    Some(DeclaredIntegration {
        connection: model.connection_name.as_deref()?.to_owned(),
        kind,
        name: model.name.as_deref()?.to_owned(),
        settings: settings_of(kind.fields, value),
        record: record_of(model),
        enabled: model.state == "active",
    })
}

/// Settings in words, as they are kept in private state.
fn applied(kind: &Kind, settings: &Settings) -> Applied {
    let words = settings.0.iter().map(|(name, value)| (format!("{}.{name}", kind.name), value));
    Applied(words.map(|(name, value)| (name, value.to_string())).collect())
}

/// Whether an owner of the object has left, by what the references say.
fn left(model: &IntegrationModel) -> Option<&'static str> {
    [("business_owner", &model.business_owner), ("technical_owner", &model.technical_owner)]
        .into_iter()
        .find(|(_, owner)| owner.value().is_some_and(|owner| owner.status == "left"))
        .map(|(name, _)| name)
}

/// The live settings where they differ in meaning, the known spelling where they do not.
fn keep_spelling(kind: &'static Kind, planned: &Value, prior: &Value) -> Value {
    let (Value::Object(object), Value::Object(before)) = (planned, prior) else {
        return planned.clone();
    };
    let (after, known) = (settings_of(kind.fields, planned), settings_of(kind.fields, prior));
    let mut object = object.clone();
    for field in kind.fields {
        let (a, b) = (after.0.get(field.name), known.0.get(field.name));
        if a.is_some()
            && b.is_some()
            && settings::same(field, a, b)
            && let Some(value) = before.get(field.name)
        {
            object.insert(field.name.to_owned(), value.clone());
        }
    }
    Value::Object(object)
}

/// Which way a planned change goes, with what makes it so.
fn direction(prior: &IntegrationModel, planned: &IntegrationModel) -> (Direction, Vec<String>) {
    let mut total = Direction::None;
    let mut why = Vec::new();
    let mut add = |direction: Direction, text: String| {
        if direction.may_widen() {
            why.push(text);
        }
        total = total.and(direction);
    };
    if let (Some((kind, after)), Some((_, before))) =
        (planned.platform.chosen(), prior.platform.chosen())
    {
        let (before, after) = (settings_of(kind.fields, before), settings_of(kind.fields, after));
        for field in settings::changed(kind.fields, &before, &after) {
            let one = std::slice::from_ref(field);
            add(settings::direction(one, &before, &after), format!("{}.{}", kind.name, field.name));
        }
    }
    let grows = |name: &str, before: &Attr<String>, after: &Attr<String>| {
        // An absent end or limit is the widest.
        let way = match (before.as_deref(), after.as_deref()) {
            (a, b) if a == b => Direction::None,
            (Some(_), None) => Direction::Widens,
            (None, Some(_)) => Direction::Narrows,
            (Some(a), Some(b)) => {
                let longer = match (a.parse::<Span>(), b.parse::<Span>()) {
                    (Ok(a), Ok(b)) => b > a,
                    _ => b > a,
                };
                if longer { Direction::Widens } else { Direction::Narrows }
            }
            (None, None) => Direction::None,
        };
        (way, name.to_owned())
    };
    for (way, name) in [
        grows("expires_on", &prior.expires_on, &planned.expires_on),
        grows("review_every", &prior.review_every, &planned.review_every),
    ] {
        add(way, name);
    }
    // Another environment, another way of running: what the same power means is another thing.
    let other = |before: &Attr<String>, after: &Attr<String>| {
        if before.is_value() && before != after { Direction::Mixed } else { Direction::None }
    };
    for (way, name) in [
        (other(&prior.environment, &planned.environment), "environment"),
        (other(&prior.execution_mode, &planned.execution_mode), "execution_mode"),
        (
            // Power that nobody can watch any more.
            match (&prior.logs, &planned.logs) {
                (Attr::Value(_), Attr::Null) => Direction::Widens,
                _ => Direction::None,
            },
            "logs",
        ),
    ] {
        add(way, name.to_owned());
    }
    if prior.state.is_value() && prior.state != planned.state {
        let opens = planned.state == "active";
        add(if opens { Direction::Widens } else { Direction::Narrows }, "state".to_owned());
    }
    if prior.ceiling != planned.ceiling {
        let action = |model: &IntegrationModel| {
            let ceiling = model.ceiling.value()?;
            ceiling.highest_action.as_deref()?.parse::<Action>().ok()
        };
        let way = match (action(prior), action(planned)) {
            (Some(a), Some(b))
                if b <= a
                    && prior.ceiling.value().map(|one| &one.scopes)
                        == planned.ceiling.value().map(|one| &one.scopes) =>
            {
                Direction::Narrows
            }
            (None, Some(_)) if prior.ceiling.is_null() => Direction::Narrows,
            _ => Direction::Widens,
        };
        add(way, "ceiling".to_owned());
    }
    (total, why)
}

impl Integration {
    /// Looks at the world and says what state should hold.
    async fn observe(
        &self,
        request: Read<IntegrationModel>,
    ) -> Result<Option<Done<IntegrationModel>>, Unseen> {
        let mut model = request.state;
        let id: IntegrationId = match model.id.as_deref().map(str::parse) {
            Some(Ok(id)) => id,
            _ => {
                return Err(Diagnostic::error(
                    "The id in state is not one of ours",
                    format!("{:?}.\nNext: take it out of state with terraform state rm, and import it.\n(E-STATE)", model.id.text()),
                )
                .into());
            }
        };
        let rules = self.shared.rules();
        if id.connection == NO_CONNECTION {
            // It needs no connection; the clock is the configuration's, where there is one.
            let mut told = Diagnostics::new();
            let standing = self
                .shared
                .context_if_ready()
                .map(|context| third_party_standing(&model, &rules, context.now()))
                .unwrap_or_default();
            tell_standing(&id, &standing, &mut told);
            model.standing = Attr::Value(in_words(&standing));
            return Ok(Some(Done::new(model).tell(told)));
        }
        let context = self.shared.context()?;
        let id = match id.connection.as_str() {
            UNKNOWN_CONNECTION => {
                find_connection(&context, &id, model.vendor_id.as_deref()).await?
            }
            _ => id,
        };
        model.id = Attr::Value(id.to_string());
        let known = model.vendor_id.as_deref().map(str::to_owned);
        let seen =
            observe_integration(&context, &id, model.name.as_deref(), known.as_deref()).await?;
        let Some(seen) = seen else { return Ok(None) };
        seen.whole(&id)?;
        let mut told = Diagnostics::new();
        let now = applied_now(&id, &seen);
        if let Some(before) = Applied::from_bytes(&request.private)
            && let Some(now) = &now
        {
            let moved = before.differs_from(now);
            if !moved.is_empty() {
                told.warning(
                    "Changed outside of Terraform",
                    format!("{id}: {}, by somebody else than the last apply.", moved.join("; ")),
                );
            }
        }
        let Some((_, kind)) = kind(&id.kind) else {
            return Err(Diagnostic::error(
                "Unknown kind",
                format!("{}: this version has no {:?}.\nNext: use the version of the provider that made it.\n(E-KIND)", id, id.kind),
            )
            .into());
        };
        model.kind = kind.name.into();
        model.connection_name = Attr::Value(id.connection.clone());
        model.name = Attr::Value(seen.observed.name.clone());
        model.vendor_id = Attr::Value(seen.observed.vendor_id.clone());
        let before = match model.platform.chosen() {
            Some((_, value)) => settings_of(kind.fields, value),
            None => Settings::default(),
        };
        let live = settings::spelled_as(kind.fields, &seen.observed.settings, &before);
        model.platform.set(kind, &live);
        if let Some(record) = &seen.observed.record {
            take_record(&mut model, record);
        } else {
            // Somebody wiped it: apply writes it anew.
            take_record(&mut model, &Record::default());
        }
        if model.on_destroy.is_null() {
            model.on_destroy = "delete".into();
        }
        model.reviewed_on = Attr::Null;
        let quarantined =
            seen.observed.record.as_ref().and_then(|record| record.quarantined.clone());
        model.state = seen.state(model.state == "revoked").into();
        let facts = seen.facts(model.expires_on.as_deref(), model.review_every.as_deref());
        let standing = standing(&facts, &rules, context.now());
        model.standing = Attr::Value(in_words(&standing));
        model.unmanaged_credentials = Attr::Value(seen.unmanaged.clone());
        if let Some(why) = quarantined {
            let broken = if model.state == "active" {
                " Somebody switched it on all the same; apply switches it off again."
            } else {
                ""
            };
            told.warning_at(
                "state",
                "This integration is quarantined",
                format!("{id}: {why}. Only lifting it ends that.{broken}"),
            );
        }
        if !seen.unmanaged.is_empty() {
            let keys: Vec<String> = seen.unmanaged.iter().map(|key| seen.tell(key)).collect();
            told.warning_at(
                "unmanaged_credentials",
                "Credentials that nobody declared",
                format!(
                    "{id} has {} live credential(s) that are in no slot of ours: {}. Somebody may be \
                     using them.\nNext: find out who; then set revoke_unmanaged = true, or adopt them.",
                    keys.len(),
                    keys.join(", ")
                ),
            );
        }
        if seen.marker_forged {
            told.warning_at(
                "unmanaged_credentials",
                "A credential carries a copied or forged mark",
                format!("{id}: its mark was not made here for this integration. It is never taken for ours."),
            );
        }
        tell_standing(&id, &standing, &mut told);
        if seen.recreated {
            told.warning_at(
                "vendor_id",
                "Somebody recreated this integration",
                format!("{id}: it is another object of the same name. Its scopes and credentials are made anew."),
            );
        }
        Ok(Some(Done::new(model).tell(told)))
    }
}

impl Resource for Integration {
    type Model = IntegrationModel;
    const TYPE_NAME: &'static str = "nhi_integration";

    async fn validate(&self, config: &IntegrationModel, _call: &Call) -> Diagnostics {
        let mut found = Diagnostics::new();
        let names = || kinds().map(|(_, kind)| kind.name).collect::<Vec<_>>().join(", ");
        match config.platform.present()[..] {
            [name] => {
                let third = name == third_party_name();
                if !third && config.connection_name.is_null() {
                    found.error_at(
                        "connection_name",
                        "A connection is needed",
                        format!("{name} stands on a platform.\nNext: name the connection in nhi.hcl that reaches it.\n(E-CONNECTION-NEEDED)"),
                    );
                }
                if third && config.connection_name.is_value() {
                    found.error_at(
                        "connection_name",
                        "A third party's integration has no connection",
                        "Its vendor runs it.\nNext: remove connection_name.\n(E-KIND)",
                    );
                }
                if let Some((kind, text)) =
                    kind(name).map(|(_, kind)| kind).zip(config.name.as_deref())
                    && let Some(why) = (kind.refuse_name)(text)
                {
                    found.error_at(
                        "name",
                        "This name is not usable there",
                        format!("{text:?}: {why}.\nNext: choose another name.\n(E-NAME)"),
                    );
                }
            }
            [] => found.error(
                "A platform object is needed",
                format!(
                    "Set exactly one of: {}.\nNext: for example {} = {{}}.\n(E-KIND)",
                    names(),
                    kinds().next().map_or("third_party", |(_, kind)| kind.name)
                ),
            ),
            [_, second, ..] => found.error_at(
                second,
                "More than one platform object",
                format!(
                    "Each is another integration.\nNext: set exactly one of: {}.\n(E-KIND)",
                    names()
                ),
            ),
        }
        if config.name.as_deref().is_some_and(str::is_empty) {
            found.error_at("name", "A name is needed", "It is empty.\nNext: set it.\n(E-NAME)");
        }
        check_ceiling(config, &mut found);
        found
    }

    async fn plan(&self, plan: &mut Plan<IntegrationModel>) {
        let rules = self.shared.rules();
        if plan.planned.is_none() {
            if let Some(prior) = &plan.prior {
                plan.diagnostics.warning(
                    "This ends an integration",
                    format!(
                        "{}: every credential of it is revoked, those that nobody declared too, and \
                         the object is {}d.",
                        prior.id.text(),
                        prior.on_destroy.text()
                    ),
                );
            }
            return;
        }
        let mut told = Diagnostics::new();
        let context = match self.shared.context_for_plan() {
            Ok(context) => context,
            Err(problem) => {
                // What needs no connection needs no configuration either.
                if plan.config.as_ref().is_some_and(|one| !one.connection_name.is_null()) {
                    told.push(error(&problem.at(&["connection_name"])));
                }
                None
            }
        };
        let mut replace = Vec::new();
        if plan.prior.is_none() && Applied::is_in(&plan.prior_private) {
            // No plan is asked for the delete half of a replacement, so this half speaks for both.
            told.warning(
                "This replaces an integration",
                "The old one ends first: every credential of it is revoked, those that nobody \
                 declared too. The new one is another object, with new credentials.",
            );
        }
        if let Some((config, prior, planned)) = plan.changing() {
            let chosen = config.platform.chosen();
            if let Some((kind, _)) = chosen {
                planned.kind = kind.name.into();
                if prior.is_some_and(|prior| prior.kind.is_value() && prior.kind != kind.name) {
                    replace.push("kind");
                }
                let connection = if is_third_party(kind) {
                    Attr::from(NO_CONNECTION)
                } else {
                    config.connection_name.clone()
                };
                // An object that stays keeps its id: one on another mount is known by that too.
                let stays = prior.filter(|prior| {
                    prior.id.is_value()
                        && prior.kind == kind.name
                        && prior.name == planned.name
                        && prior.connection_name == planned.connection_name
                });
                planned.id = match (&connection, &config.name, kind.capabilities.key_is_ours) {
                    _ if stays.is_some() => stays.map(|one| one.id.clone()).unwrap_or_default(),
                    (Attr::Value(connection), Attr::Value(name), true) => Attr::Value(
                        IntegrationId::new(connection.clone(), kind.name, name.clone()).to_string(),
                    ),
                    (Attr::Value(connection), ..) if prior.is_none() => {
                        Attr::unknown_with_prefix(IntegrationId::prefix(connection, kind.name))
                    }
                    (_, _, false) if prior.is_some() => {
                        prior.map(|prior| prior.id.clone()).unwrap_or_default()
                    }
                    _ => Attr::unknown_not_null(),
                };
                if kind.capabilities.key_is_ours
                    && prior
                        .is_some_and(|prior| prior.name.is_value() && prior.name != planned.name)
                {
                    replace.push("name");
                }
                if let Some((_, planned_value)) = planned.platform.chosen() {
                    let before = prior.and_then(|prior| prior.platform.chosen());
                    if let Some((_, before)) = before.filter(|(before, _)| before.name == kind.name)
                    {
                        let kept = keep_spelling(kind, planned_value, before);
                        planned.platform.set_value(kind, kept);
                    }
                }
            }
            match prior {
                None => {
                    planned.vendor_id = match chosen {
                        Some((kind, _)) if is_third_party(kind) => planned.id.clone(),
                        _ => Attr::unknown_not_null(),
                    };
                    planned.standing = Attr::Value(BTreeMap::new());
                    planned.unmanaged_credentials = Attr::Value(Set::new());
                    planned.reviewed_on = Attr::Null;
                }
                Some(prior) => {
                    // Equal to prior in every update, else everything below is replaced.
                    planned.vendor_id = prior.vendor_id.clone();
                    let mut standing = prior.standing.value().cloned().unwrap_or_default();
                    let later = match (prior.expires_on.as_deref(), config.expires_on.as_deref()) {
                        (Some(before), Some(after)) => after > before,
                        (Some(_), None) => true,
                        _ => false,
                    };
                    if later {
                        standing.remove("expired");
                    }
                    if config.revoke_unmanaged == true
                        && prior.unmanaged_credentials.value().is_some_and(|keys| !keys.is_empty())
                    {
                        planned.unmanaged_credentials = Attr::Value(Set::new());
                        standing.remove("unmanaged_credentials");
                    }
                    if prior.standing.is_value() || !standing.is_empty() {
                        planned.standing = Attr::Value(standing);
                    }
                }
            }
            for at in hidden(prior.is_some(), planned) {
                told.push(unknown_governed(at));
            }
            // What is unknown cannot be reviewed; what the platform fills in is null here.
            if let Some((kind, value)) = chosen
                && !value.is_wholly_known()
            {
                told.error_at(
                    kind.name,
                    "Settings must be known to be reviewed",
                    "A part of them becomes known during apply, so this plan cannot say what it would give.\nNext: write it out, or apply what it comes from first.\n(E-UNKNOWN-GOVERNED)",
                );
            }
            let owners = [
                ("business_owner", &planned.business_owner),
                ("technical_owner", &planned.technical_owner),
            ];
            for (name, owner) in owners {
                let unknown =
                    owner.is_unknown() || owner.value().is_some_and(|one| one.id.is_unknown());
                if prior.is_some() && unknown {
                    told.error_at(
                        name,
                        "An owner must be known to be reviewed",
                        "Who it is becomes known during apply.\nNext: apply what it comes from first, with -target.\n(E-UNKNOWN-GOVERNED)",
                    );
                }
            }
            let newly = |name: &str| {
                let of = |model: &IntegrationModel| match name {
                    "business_owner" => model.business_owner.value().map(|one| one.id.clone()),
                    _ => model.technical_owner.value().map(|one| one.id.clone()),
                };
                prior.and_then(of) != of(planned)
            };
            if let Some(name) = left(planned)
                && newly(name)
            {
                told.error_at(
                    name,
                    "This owner is not there any more",
                    "Somebody who has left cannot be made responsible.\nNext: name somebody else.\n(E-OWNER-LEFT)",
                );
            }
            tell_absent_owners(planned, &rules, &mut told);
            if config.enabled == false && chosen.is_some_and(|(kind, _)| is_third_party(kind)) {
                told.warning_at(
                    "enabled",
                    "Nothing is switched off here",
                    format!("{}: its vendor runs it and none of its switches is ours. Only the declaration changes.\nNext: stop it by its disable_path.", planned.id.text()),
                );
            }
            let verdicts: Vec<Verdict> = planned
                .standing
                .value()
                .into_iter()
                .flat_map(|standing| standing.values())
                .filter_map(|word| Verdict::from_word(word))
                .collect();
            // A hand on the platform's switch does not end it.
            let broken = planned
                .standing
                .value_mut()
                .is_some_and(|standing| standing.remove("quarantine_broken").is_some());
            let quarantined = broken || prior.is_some_and(|prior| prior.state == "quarantined");
            let enabled = config.enabled.value().copied().unwrap_or(true);
            let state = wanted_state(quarantined, enabled, left(planned).is_some(), &verdicts);
            planned.state = state.into();
            if state == "revoked" {
                // Every credential ends with it.
                planned.unmanaged_credentials = Attr::Value(Set::new());
                if let Some(standing) = planned.standing.value_mut() {
                    standing.remove("unmanaged_credentials");
                }
                if prior.is_some_and(|prior| prior.state != "revoked") {
                    told.warning_at(
                        "state",
                        "This revokes an integration",
                        format!(
                            "{}: the policy has every credential of it ended, and it is switched off.",
                            planned.id.text()
                        ),
                    );
                }
            }
            if let Some(purpose) = config.purpose.as_deref()
                && policy::purpose::says_nothing(purpose, config.name.as_deref().unwrap_or(""))
            {
                told.warning_at(
                    "purpose",
                    "This purpose says nothing",
                    format!("{purpose:?}: a reviewer cannot tell from it whether the integration is still needed.\nNext: say what it does, for whom, and how often."),
                );
            }

            // What the rules ask of the declaration itself.
            let missing = |attr: &Attr<String>, asked: bool| asked && attr.is_null();
            for (name, bad) in [
                ("expires_on", missing(&config.expires_on, rules.require_expires_on)),
                ("review_every", missing(&config.review_every, rules.require_review_every)),
                ("logs", missing(&config.logs, rules.require_logs)),
            ] {
                if bad {
                    told.error_at(
                        name,
                        "The policy asks for more",
                        format!("{name} is required here.\nNext: set it.\n(E-POLICY-REQUIRED)"),
                    );
                }
            }
            if let Some(environment) = config.environment.as_deref()
                && !rules.environments.is_empty()
                && !rules.environments.contains(environment)
            {
                let known: Vec<&str> = rules.environments.iter().map(String::as_str).collect();
                told.error_at(
                    "environment",
                    "There is no such environment",
                    format!(
                        "{environment:?}.\nNext: name one that the policy knows: {}.\n(E-ENVIRONMENT)",
                        known.join(", ")
                    ),
                );
            }
            let same_owner =
                config.business_owner.value().map(|one| &one.id).filter(|id| id.is_value())
                    == config.technical_owner.value().map(|one| &one.id).filter(|id| id.is_value());
            let high = config
                .ceiling
                .value()
                .and_then(|one| one.highest_action.as_deref()?.parse::<Action>().ok())
                .unwrap_or(Action::Unknown);
            if same_owner && rules.two_owners_from.is_some_and(|from| high >= from) {
                told.error_at(
                    "technical_owner",
                    "Two owners are needed",
                    "From this ceiling on the policy asks for two different owners.\nNext: name another technical_owner, or a lower ceiling.highest_action.\n(E-TWO-OWNERS)",
                );
            }
            if let Some(context) = &context
                && let Some((kind, _)) = chosen
                && let Some(name) = config.connection_name.as_deref()
            {
                match context.connections.platform(name) {
                    Err(problem) => told.push(error(&problem)),
                    Ok(platform) if !platform.kinds().iter().any(|one| one.name == kind.name) => {
                        let can: Vec<&str> = platform.kinds().iter().map(|one| one.name).collect();
                        let can = if can.is_empty() {
                            "no integrations".to_owned()
                        } else {
                            can.join(", ")
                        };
                        told.push(error(
                            &Problem::new("E-KIND", "This connection cannot hold it")
                                .detail(format!(
                                    "{} cannot be made on connection {name:?}, which is {}. It can hold: {can}.",
                                    kind.name,
                                    platform.name()
                                ))
                                .next("name a connection that fits")
                                .at(&["connection_name"]),
                        ));
                    }
                    Ok(_) => {}
                }
            }
            if let Some(prior) = prior {
                let (way, why) = direction(prior, planned);
                if way.may_widen() {
                    told.warning(
                        "This change gives power",
                        format!("{} {way}: {}.", planned.id.text(), why.join(", ")),
                    );
                }
            }
        }
        plan.diagnostics.extend(told);
        for name in replace {
            plan.require_replace(name);
        }
    }

    async fn create(
        &self,
        request: Create<IntegrationModel>,
    ) -> Result<Done<IntegrationModel>, Failure<IntegrationModel>> {
        let mut model = request.planned;
        if model.platform.chosen().is_some_and(|(kind, _)| is_third_party(kind)) {
            return Ok(model.into());
        }
        let context = self.shared.context().map_err(errors)?;
        if let Some(name) = left(&model) {
            return Err(Diagnostic::error(
                "This owner is not there any more",
                "Somebody who has left cannot be made responsible.\nNext: name somebody else.\n(E-OWNER-LEFT)",
            )
            .at(name)
            .into());
        }
        let declared = declared(&model).ok_or_else(incomplete)?;
        let made = create_integration(&context, &declared).await.map_err(errors)?;
        let id = IntegrationId::new(declared.connection, declared.kind.name, made.key);
        model.id = Attr::Value(id.to_string());
        model.vendor_id = Attr::Value(made.vendor_id);
        fill_vendor_defaults(&mut model, declared.kind, &made.settings);
        let applied = applied(declared.kind, &made.settings);
        Ok(Done::new(model).private(applied.to_bytes()).tell(notices(&context)))
    }

    async fn read(
        &self,
        request: Read<IntegrationModel>,
    ) -> Result<Option<Done<IntegrationModel>>, Diagnostics> {
        let (state, call) = (request.state.clone(), request.call.clone());
        observed(self.observe(request).await, state, &call)
    }

    async fn update(
        &self,
        request: Update<IntegrationModel>,
    ) -> Result<Done<IntegrationModel>, Failure<IntegrationModel>> {
        let (prior, mut model) = (request.prior, request.planned);
        if model.platform.chosen().is_some_and(|(kind, _)| is_third_party(kind)) {
            return Ok(model.into());
        }
        let context = self.shared.context().map_err(errors)?;
        let id: IntegrationId = model.id.text().parse().map_err(|_| Failure::from(incomplete()))?;
        let declared = declared(&model).ok_or_else(incomplete)?;
        let (way, _) = direction(&prior, &model);
        let now = update_integration(&context, &id, model.vendor_id.text(), &declared, way)
            .await
            .map_err(errors)?;
        fill_vendor_defaults(&mut model, declared.kind, &now.settings);
        let applied = applied(declared.kind, &now.settings).to_bytes();
        let revoking = model.state == "revoked" && prior.state != "revoked";
        let emptied = model.unmanaged_credentials.value().is_some_and(Set::is_empty);
        let mut told = Diagnostics::new();
        let unmanaged =
            prior.unmanaged_credentials.value().filter(|keys| emptied && !keys.is_empty());
        let (vendor_id, name) = (model.vendor_id.text(), declared.name.as_str());
        let ended = if revoking {
            revoke_everything(&context, &id, vendor_id, name).await
        } else if let Some(keys) = unmanaged {
            revoke_unmanaged(&context, &id, vendor_id, name, keys).await
        } else {
            Ok(Vec::new())
        };
        let graded = ended.map_err(|problem| {
            // What is true: the rest is done, these are still there.
            let mut partly = model.clone();
            partly.unmanaged_credentials = prior.unmanaged_credentials.clone();
            partly.standing = prior.standing.clone();
            if revoking {
                partly.state = "disabled".into();
            }
            Failure::keeping(partly, errors(problem))
        })?;
        for (key, grade) in graded {
            told.warning(
                "A credential was revoked",
                format!("{id}: {key} is ended, proven to grade {}.", grade.as_str()),
            );
        }
        told.extend(notices(&context));
        Ok(Done::new(model).private(applied).tell(told))
    }

    async fn delete(
        &self,
        request: Delete<IntegrationModel>,
    ) -> Result<Diagnostics, Failure<IntegrationModel>> {
        let model = request.prior;
        // Dropped from state it would work on, known to nobody.
        let id = model.id.text().parse::<IntegrationId>().map_err(|error| {
            errors(
                Problem::new("E-STATE", "This integration cannot be ended from here")
                    .detail(format!(
                        "The id in state, {:?}, cannot be read: {error}. Nothing was revoked, and it \
                         stays in state.",
                        model.id.text()
                    ))
                    .next("end it at its platform and then: terraform state rm"),
            )
        })?;
        if id.connection == NO_CONNECTION {
            return Ok(Diagnostics::new());
        }
        let context = self.shared.context().map_err(errors)?;
        let keep = model.on_destroy == "disable";
        delete_integration(&context, &id, model.vendor_id.text(), model.name.text(), keep)
            .await
            .map_err(errors)?;
        Ok(notices(&context))
    }
}

/// An owner who is away and has not left yet: nothing is planned for that, so it is said.
fn tell_absent_owners(planned: &IntegrationModel, rules: &Rules, told: &mut Diagnostics) {
    let owners = [
        ("business_owner", &planned.business_owner),
        ("technical_owner", &planned.technical_owner),
    ];
    for (name, owner) in owners {
        let Some(owner) = owner.value().filter(|owner| owner.status == "inactive") else {
            continue;
        };
        let follows = if rules.owner_left > Verdict::Warn {
            format!(
                "The directory says since when (see {0}); {1} after that day this plan switches it off",
                owner.id.text(),
                rules.owner_grace
            )
        } else {
            "The policy has nothing follow".to_owned()
        };
        told.warning_at(
            name,
            "An owner of this integration is not there",
            format!(
                "{} of {}: {} is inactive. {follows}.\nNext: name another {name}.",
                name.replace('_', " "),
                planned.id.text(),
                owner.id.text()
            ),
        );
    }
}

/// What decides over power here and is not known yet, beside owners and settings.
fn hidden(exists: bool, planned: &IntegrationModel) -> Vec<Path> {
    let mut hidden = Vec::new();
    let mut say = |unknown: bool, at: Path| {
        if unknown {
            hidden.push(at);
        }
    };
    say(planned.ceiling.is_unknown(), Path::attribute("ceiling"));
    if let Some(ceiling) = planned.ceiling.value() {
        say(ceiling.highest_action.is_unknown(), Path::attribute("ceiling").then("highest_action"));
        say(ceiling.scopes.is_unknown(), Path::attribute("ceiling").then("scopes"));
    }
    say(planned.expires_on.is_unknown(), Path::attribute("expires_on"));
    // State and what is revoked are planned from these.
    say(planned.enabled.is_unknown(), Path::attribute("enabled"));
    say(planned.revoke_unmanaged.is_unknown(), Path::attribute("revoke_unmanaged"));
    // Another one rotates every credential below.
    say(exists && planned.environment.is_unknown(), Path::attribute("environment"));
    hidden
}

/// A limit that is outside the platform's grammar would cover nothing that anybody means.
fn check_ceiling(config: &IntegrationModel, found: &mut Diagnostics) {
    let ([name], Some(ceiling)) = (&config.platform.present()[..], config.ceiling.value()) else {
        return;
    };
    let Some((Some(platform), kind)) = kind(name) else { return };
    for scope in ceiling.scopes.value().into_iter().flatten() {
        if let Err(error) = platform.parse_scope(kind.name, scope) {
            let next = match &error.suggestion {
                Some(meant) => format!("did you mean {meant:?}?"),
                None => "write it as it would stand in nhi_scope".to_owned(),
            };
            found.error_at(
                Path::attribute("ceiling").then("scopes"),
                "This is no scope of this platform",
                format!("{}\nNext: {next}\n(E-SCOPE-GRAMMAR)", error.message),
            );
        }
    }
}

fn in_words(standing: &BTreeMap<&'static str, Verdict>) -> BTreeMap<String, String> {
    let words =
        standing.iter().map(|(name, verdict)| ((*name).to_owned(), verdict.as_str().to_owned()));
    words.collect()
}

/// Problems that only people can answer: without a word from us the plan would look clean until the
/// day on which something follows.
fn tell_standing(
    id: &IntegrationId,
    standing: &BTreeMap<&'static str, Verdict>,
    told: &mut Diagnostics,
) {
    for (name, verdict) in standing {
        let (attribute, summary, next) = match *name {
            "expired" => (
                "expires_on",
                "This integration has outlived its day",
                "destroy it, or set a later expires_on",
            ),
            "contract_ended" => (
                "expires_on",
                "The contract of this integration has ended",
                "destroy it, or write the new contract's end",
            ),
            "drill_overdue" => (
                third_party_name(),
                "Stopping this integration was not tried for too long",
                "try its disable_path, and write the day into disable_tested_on",
            ),
            "review_overdue" => (
                "review_every",
                "A review is overdue",
                "review whether it is still needed, and as what",
            ),
            // The others have words of their own.
            _ => continue,
        };
        let follows = match verdict {
            Verdict::Warn => "Nothing follows yet",
            Verdict::Disable => "The policy has it switched off",
            Verdict::Revoke => "The policy has everything that it holds revoked",
        };
        told.warning_at(attribute, summary, format!("{id}: {follows}.\nNext: {next}."));
    }
}

/// What the world shows of the parts that [`applied`] keeps.
fn applied_now(id: &IntegrationId, seen: &SeenIntegration) -> Option<Applied> {
    kind(&id.kind).map(|(_, kind)| applied(kind, &seen.observed.settings))
}

/// What is wrong with an integration that its vendor runs. We hold none of its switches, so nothing
/// follows by itself but a warning.
fn third_party_standing(
    model: &IntegrationModel,
    rules: &Rules,
    now: jiff::Timestamp,
) -> BTreeMap<&'static str, Verdict> {
    let day = |text: Option<&str>| text.and_then(|day| day.parse().ok());
    let settings = match model.platform.chosen() {
        Some((kind, value)) => settings_of(kind.fields, value),
        None => Settings::default(),
    };
    let dates = ThirdParty {
        expires_on: day(model.expires_on.as_deref()),
        contract_ends_on: day(settings.text("contract_ends_on")),
        tested_on: day(settings.text("disable_tested_on")),
        test_every: settings.text("admin_review_every").and_then(|every| every.parse().ok()),
    };
    third_party(&dates, rules, now)
}

/// A plan that reached apply with a part unknown.
pub(super) fn incomplete() -> Diagnostics {
    Diagnostic::error(
        "The plan is not complete",
        "Something that must be known by now is not. This is a fault of the provider.\nNext: report it, with the plan.\n(E-INTERNAL)",
    )
    .into()
}

/// What the platform chose where nothing was said.
fn fill_vendor_defaults(model: &mut IntegrationModel, kind: &'static Kind, live: &Settings) {
    let Some((_, Value::Object(object))) = model.platform.chosen() else { return };
    let mut object = object.clone();
    let Value::Object(live) = object_of(kind.fields, live) else { return };
    for (name, value) in &mut object {
        if value.is_unknown() {
            *value = live.get(name).cloned().unwrap_or(Value::Null);
        }
    }
    model.platform.set_value(kind, Value::Object(object));
}

/// Governance fields as the record on the platform has them now.
fn take_record(model: &mut IntegrationModel, record: &Record) {
    let owner = |known: &Attr<OwnerReference>, live: &Option<OwnerRef>| match live {
        None => Attr::Null,
        Some(live) => match known.value() {
            // The reference is configuration; its status came with it.
            Some(known)
                if known.id == live.id && known.email.as_deref() == live.email.as_deref() =>
            {
                Attr::Value(known.clone())
            }
            _ => Attr::Value(OwnerReference {
                id: Attr::Value(live.id.clone()),
                email: Attr::from(live.email.clone()),
                status: Attr::Null,
            }),
        },
    };
    model.purpose = Attr::from(record.purpose.clone());
    model.environment = Attr::from(record.environment.clone());
    model.business_owner = owner(&model.business_owner, &record.business_owner);
    model.technical_owner = owner(&model.technical_owner, &record.technical_owner);
    model.execution_mode = Attr::from(record.execution_mode.clone());
    model.category = Attr::from(record.category.clone());
    model.expires_on = Attr::from(record.expires_on.clone());
    model.review_every = Attr::from(record.review_every.clone());
    let known = model.ceiling.value().cloned().unwrap_or_default();
    let ceiling = Ceiling {
        highest_action: Attr::from(record.ceiling_action.clone()),
        scopes: Attr::from(record.ceiling_scopes.clone()),
    };
    let empty = ceiling == Ceiling::default();
    model.ceiling = if empty && (model.ceiling.is_null() || known != Ceiling::default()) {
        Attr::Null
    } else {
        Attr::Value(ceiling)
    };
    let keeps_empty = model.labels.value().is_some_and(BTreeMap::is_empty);
    model.labels = if record.labels.is_empty() && !keeps_empty {
        Attr::Null
    } else {
        Attr::Value(record.labels.clone())
    };
}

impl Identity for Integration {
    type Identity = IntegrationIdentity;

    fn identity(&self, state: &IntegrationModel) -> IntegrationIdentity {
        let id = state.id.as_deref().and_then(|id| id.parse::<IntegrationId>().ok());
        match id.filter(moved::is_found) {
            Some(id) => IntegrationIdentity {
                connection: id.connection.into(),
                kind: id.kind.into(),
                key: id.key.into(),
            },
            None => IntegrationIdentity {
                connection: Attr::unknown(),
                kind: Attr::unknown(),
                key: Attr::unknown(),
            },
        }
    }
}

impl ImportState for Integration {
    async fn import(&self, request: Import) -> Result<Done<IntegrationModel>, Diagnostics> {
        let id = match (&request.by, request.by.identity::<IntegrationIdentity>()?) {
            (By::Id(id), _) => id.parse::<IntegrationId>().map_err(|error| {
                Diagnostic::error(
                    "This is no integration's id",
                    format!("{error}.\nNext: nhi scan prints them.\n(E-ID)"),
                )
            })?,
            (_, Some(identity)) => IntegrationId::new(
                identity.connection.need("connection")?.clone(),
                identity.kind.need("kind")?.clone(),
                identity.key.need("key")?.clone(),
            ),
            (_, None) => {
                return Err(Diagnostic::error(
                    "No id",
                    "Nothing says what to import.\nNext: give an id or an identity.\n(E-ID)",
                )
                .into());
            }
        };
        if kind(&id.kind).is_none() {
            let known: Vec<&str> = kinds().map(|(_, kind)| kind.name).collect();
            return Err(Diagnostic::error(
                "This is no kind of integration",
                format!("{:?}.\nNext: import one of: {}.\n(E-KIND)", id.kind, known.join(", ")),
            )
            .into());
        }
        Ok(IntegrationModel { id: Attr::Value(id.to_string()), ..IntegrationModel::default() }
            .into())
    }
}

impl MoveState for Integration {
    /// Takes over a `vault_approle_auth_backend_role`: Read finds the connection that has it.
    async fn move_state(
        &self,
        source: Source,
    ) -> Result<Option<Done<IntegrationModel>>, Diagnostics> {
        let Some(role) = moved::role(&source, "vault_approle_auth_backend_role", "role_name")?
        else {
            return Ok(None);
        };
        let vendor_id = source.state.get("role_id").and_then(serde_json::Value::as_str);
        Ok(Some(
            IntegrationModel {
                id: Attr::Value(role.to_string()),
                name: Attr::Value(role.key.rsplit(':').next().unwrap_or_default().to_owned()),
                vendor_id: Attr::from(vendor_id.map(str::to_owned)),
                ..IntegrationModel::default()
            }
            .into(),
        ))
    }
}
