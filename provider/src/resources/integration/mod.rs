//! `nhi_integration`: one object on a platform, its owners, its purpose and its end.

mod adoption;
mod direction;
mod model;
mod plan;
mod record;
mod settings;
mod standing;
mod taking_in;
mod ties;

use connector::{Kind, Obstacle};
use domain::{IntegrationId, Record, Settings};
use operations::{
    Decommissioned, Part, Problem, UNKNOWN_CONNECTION, WishedThirdParty, create_integration,
    delete_integration, find_connection, governed_already, look_around, note_third_party,
    observe_integration, revoke_everything, revoke_unmanaged, update_integration,
};
use policy::{settings::spelled_as, standing::standing};
use tfplugin::{
    Attr, Diagnostic, Diagnostics, Path, Set,
    erased::Call,
    resource::{Create, Delete, Done, Failure, Plan, Read, Resource, Update},
};

use self::{
    adoption::require_all,
    plan::{ends_first, left},
    record::{declared, take_record},
    settings::{applied, applied_now, fill_vendor_defaults},
    standing::{in_words, run_elsewhere, tell_standing, third_party_standing},
    ties::{check_ties, keep_unread, ties_of},
};
pub(crate) use self::{direction::direction, model::IntegrationModel};
use super::{
    applied::Applied,
    platform_objects::{kind, kinds, settings_of},
    references::OwnerReference,
    replacement::is_half,
};
pub(super) use crate::diagnostics::incomplete;
use crate::{
    diagnostics::{Unseen, about, about_planned, errors, notices, observed, warning},
    shared::Shared,
};

/// `nhi_integration`.
#[derive(Debug)]
pub(crate) struct Integration {
    shared: Shared,
}

/// The connection's place in ids of integrations without one.
pub(crate) const NO_CONNECTION: &str = "none";

impl Integration {
    pub(crate) fn new(shared: Shared) -> Integration {
        Integration { shared }
    }
}

/// What the platform refuses of settings together, though it takes each alone. What is not known yet is
/// judged when it is.
fn check_settings(config: &IntegrationModel, found: &mut Diagnostics) {
    let Some((kind, value)) = config.platform.chosen().filter(|(_, value)| value.is_wholly_known())
    else {
        return;
    };
    let platform = self::kind(kind.name).and_then(|(platform, _)| platform);
    let settings = settings_of(kind.fields, value);
    if let Some((at, Obstacle { why, next })) =
        platform.and_then(|platform| platform.contradiction(kind.name, &settings))
    {
        found.error_at(
            Path::attribute(kind.name).then(at),
            "These settings cannot stand together",
            format!("{why}.\nNext: {next}.\n(E-VALUE)"),
        );
    }
}

fn is_third_party(kind: &Kind) -> bool {
    kind.name == third_party_name()
}

fn third_party_name() -> &'static str {
    wiring::third_party().name
}

impl Integration {
    /// Notes what is declared of what its vendor runs. It works without any connection, and so without
    /// a ledger.
    async fn note(&self, id: &str, declared: Option<&WishedThirdParty>) -> Diagnostics {
        let Ok(context) = self.shared.context() else { return Diagnostics::new() };
        note_third_party(&context, id, declared).await;
        notices(&context)
    }

    /// Whether it is judged by rules: by those that cannot be read nothing is, and what was known stays.
    fn is_judged(&self, model: &IntegrationModel) -> bool {
        !model.standing.is_value() || self.shared.closed().is_none()
    }

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
                .map(|context| third_party_standing(&model, &rules, context.time()))
                .unwrap_or_default();
            if self.is_judged(&model) {
                tell_standing(&id, &standing, &mut told);
                model.standing = Attr::Value(in_words(&standing));
            }
            return Ok(Some(Done::new(model).tell(told)));
        }
        let context = self.shared.context()?;
        // What was moved here from another provider has a name at least.
        let imported = model.name.is_null();
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
        seen.governed_here(&context, &id).await?;
        seen.whole(&id)?;
        let mut told = Diagnostics::new();
        if imported {
            let already = governed_already(&context, &id, &seen, Part::Integration).await;
            told.extend(already.as_ref().map(warning));
        }
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
        let live = spelled_as(kind.fields, &seen.observed.settings, &before);
        model.platform.set(kind, &live);
        if let Some(record) = &seen.observed.record {
            take_record(&mut model, record);
        } else {
            // Somebody wiped it: apply writes it anew.
            take_record(&mut model, &Record::default());
        }
        if let Some(shown) = &seen.observed.contacts {
            let shown = shown.iter().map(String::as_str).collect::<Vec<_>>().join(", ");
            told.warning_at(
                "business_owner",
                "Its contacts at the platform are not its owners'",
                format!(
                    "{id}: it shows {shown} as whom to ask, and the addresses of both owners are to stand \
                     there.\nNext: find out who changed that; apply writes them again."
                ),
            );
            // So that the plan has it, as a change of an address.
            let owners = [&mut model.business_owner, &mut model.technical_owner];
            let other = |owner: &&mut OwnerReference| owner.email != shown.as_str();
            if let Some(owner) = owners.into_iter().filter_map(Attr::value_mut).find(other) {
                owner.email = Attr::Value(shown);
            }
        }
        if model.on_destroy.is_null() {
            model.on_destroy = "delete".into();
        }
        model.reviewed_on = Attr::from(seen.reviewed_on.map(|day| day.to_string()));
        let record = seen.observed.record.as_ref();
        let quarantined = record.and_then(|record| record.quarantined.clone());
        let retired = record.and_then(|record| record.decommission.clone());
        let has_switch = kind.capabilities.disables;
        model.state = seen.state(model.state == "revoked", has_switch).into();
        let until = model.adoption.value().and_then(|one| one.complete_by.as_deref());
        let facts = seen.facts(model.expires_on.as_deref(), model.review_every.as_deref(), until);
        let ties = ties_of(&model);
        let around = look_around(&context, &id.to_string(), &ties).await;
        let unread = around.unread.clone();
        let facts = around.into_facts(facts, &ties, &seen.observed, &rules, context.time());
        let mut standing = standing(&facts, &rules, context.time());
        keep_unread(&model, &unread, &mut standing, &mut told);
        let judged = self.is_judged(&model);
        if judged {
            model.standing = Attr::Value(in_words(&standing));
        }
        model.unmanaged_credentials = Attr::Value(seen.unmanaged.clone());
        model.foreign_credentials = Attr::Value(seen.foreign.keys().cloned().collect());
        let out_of_service = Decommissioned::of(seen.observed.record.as_ref());
        if let (Some(how), Some(says)) = (out_of_service, &retired) {
            let id = id.to_string();
            let next = match how {
                Decommissioned::Partly => {
                    format!("nhi decommission {id}, which goes on; then remove")
                }
                Decommissioned::Wholly => "remove".to_owned(),
            };
            told.warning_at(
                "state",
                "This integration is out of service",
                format!(
                    "{id}: its record says: {says}. What is still declared of it is not given back: no scope, \
                     no credential, and it stays off.\nNext: {next} this nhi_integration, with its nhi_scope \
                     and its nhi_credential, from the configuration, and apply. If it is to live again, give \
                     it a new name."
                ),
            );
        } else if let Some(why) = quarantined {
            let broken = if model.state == "active" {
                " Somebody switched it on all the same; apply switches it off again."
            } else {
                ""
            };
            told.warning_at(
                "state",
                "This integration is quarantined",
                format!(
                    "{id}: {why}. Only lifting it ends that, and no apply does.{broken}\nNext: when the \
                     incident is over, nhi lift {id}"
                ),
            );
        }
        if !seen.unmanaged.is_empty() {
            let keys: Vec<String> = seen.unmanaged.iter().map(|key| seen.tell(key)).collect();
            let ends = if model.revoke_unmanaged == true {
                "as revoke_unmanaged = true is set, the next apply ends what is left"
            } else {
                "revoke_unmanaged = true ends what is left"
            };
            told.warning_at(
                "unmanaged_credentials",
                "Credentials that nobody declared",
                format!(
                    "{id} has {} live credential(s) that are in no slot of ours: {}. Somebody may be \
                     using them. One that this very plan imports is named here too, for an integration is \
                     looked at before its credentials: it is nobody's only if a later plan says so \
                     again.\nNext: find out who. An import block for a nhi_credential adopts one; \
                     {ends}.",
                    keys.len(),
                    keys.join(", ")
                ),
            );
        }
        if !seen.foreign.is_empty() {
            let keys = seen.foreign.iter().map(|(key, of)| format!("{} of {of:?}", seen.tell(key)));
            told.warning_at(
                "foreign_credentials",
                "Credentials of another installation",
                format!(
                    "{id} has {} live credential(s) that carry another installation's mark: {}. Such a \
                     mark cannot be checked here, and none of them is ended by an apply.\nNext: ask that \
                     installation to give them up; where nobody knows them, end them at the platform.",
                    seen.foreign.len(),
                    keys.collect::<Vec<_>>().join(", ")
                ),
            );
        }
        if !seen.own.is_empty() {
            let keys: Vec<String> = seen.own.iter().map(|key| seen.tell(key)).collect();
            told.warning_at(
                "unmanaged_credentials",
                "nhi itself signs in as this integration",
                format!(
                    "{id}: connection {:?} signs in with {} of it: {}. No apply ends that, not even \
                     with revoke_unmanaged = true, nor this integration.\nNext: give the connection a \
                     credential of an integration that is not managed here, and this one is like any \
                     other.",
                    id.connection,
                    if keys.len() == 1 { "a credential" } else { "one of the credentials" },
                    keys.join(", ")
                ),
            );
        }
        if !seen.forged.is_empty() {
            let keys: Vec<String> = seen.forged.iter().map(|key| seen.tell(key)).collect();
            told.warning_at(
                "unmanaged_credentials",
                "A credential carries a copied or forged mark",
                format!(
                    "{id}: the mark of {} was not made here for this integration. It is never taken for \
                     ours.\nNext: find out who made it, and end it.",
                    keys.join(", ")
                ),
            );
        }
        if judged {
            tell_standing(&id, &standing, &mut told);
        }
        if seen.recreated {
            told.warning_at(
                "vendor_id",
                "Somebody recreated this integration",
                format!("{id}: it is another object of the same name. Its scopes and credentials are made anew.\nNext: find out who did, before you apply."),
            );
        }
        let told = about(told, &model.id);
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
                check_settings(config, &mut found);
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
        check_ties(config, &mut found);
        require_all(config, &mut found);
        found
    }

    async fn plan(&self, plan: &mut Plan<IntegrationModel>) {
        self.plan_change(plan);
        self.refuse_unfit(plan).await;
        self.refuse_ending_ourselves(plan).await;
        self.shared.tell_remade(plan, |model| &model.id);
        about_planned(plan, |model| &model.id);
    }

    async fn create(
        &self,
        request: Create<IntegrationModel>,
    ) -> Result<Done<IntegrationModel>, Failure<IntegrationModel>> {
        let mut model = request.planned;
        if model.platform.chosen().is_some_and(|(kind, _)| is_third_party(kind)) {
            let told = self.note(model.id.text(), Some(&run_elsewhere(&model))).await;
            return Ok(Done::new(model).tell(told));
        }
        let context = self.shared.context().map_err(errors)?;
        if let Some(name) = left(&model).next() {
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
            let told = self.note(model.id.text(), Some(&run_elsewhere(&model))).await;
            return Ok(Done::new(model).tell(told));
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
            partly.foreign_credentials = prior.foreign_credentials.clone();
            partly.standing = prior.standing.clone();
            if revoking {
                let off = declared.kind.capabilities.disables;
                partly.state = if off { "disabled" } else { "active" }.into();
            }
            Failure::keeping(partly, errors(problem)).private(applied.clone())
        })?;
        for one in graded {
            told.warning(
                "A credential was revoked",
                format!(
                    "{id}: {} is ended, proven to grade {}. What was minted from it: {}.",
                    one.key_id,
                    one.grade_words(),
                    one.children_words()
                ),
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
            return Ok(self.note(model.id.text(), None).await);
        }
        let context = self.shared.context().map_err(errors)?;
        let keep = model.on_destroy == "disable";
        delete_integration(&context, &id, model.vendor_id.text(), model.name.text(), keep)
            .await
            .map_err(errors)?;
        let mut told = Diagnostics::new();
        if is_half(&request.planned_private) {
            told.warning(
                "An integration was replaced",
                format!(
                    "{id}: {}. What used it stopped.\nNext: where its successor is not made by this \
                     apply, apply again; then restart what reads its credentials.",
                    ends_first(&model)
                ),
            );
        }
        told.extend(notices(&context));
        Ok(told)
    }
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
                Some(meant) => format!("write {meant:?}, if that is meant"),
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
