//! `nhi_credential`: one slot of one integration, whose credential changes inside it.

mod carried;
mod delivery;
mod model;
mod planned;
mod slot;
mod taking_in;
mod told;
mod types;
mod window;
mod work;

use std::collections::BTreeMap;

use connector::Profile;
use domain::{CredentialId, IntegrationId};
use operations::{
    Context, Part, Problem, SlotSpec, StopSign, UNKNOWN_CONNECTION, adjust, carry_out, create_slot,
    crowded, declare_slot, end_slot, ends_by_itself_after, find_connection, goal_of_resume,
    governed_already, no_place, no_room, no_room_beside, observe_integration, observe_slot,
    park_for_replacement, revoke_first, set_ends, take_over, unmarked_key, withdraw,
};
use policy::{proof::Grade, rotation::Goal};
use tfplugin::{
    Attr, Diagnostic, Diagnostics, Path,
    erased::Call,
    resource::{Create, Delete, Done, Failure, Plan, Read, Resource, Update},
};

use self::{
    carried::{beside, finishes_at, is_carried_out, note, note_left},
    delivery::{
        fields_are_kept, held_by_sinks, leaves_its_places, only_written_down, stays_at_hand,
        tell_taken_out, written_well,
    },
    model::{Schedules, consumers_of, parts},
    planned::{hidden, moved_ends, plan_create, plan_update},
    slot::{
        as_replaced, found, kind_of, no_longer_delivered, previous_of, revocation_of, spec_of,
        take_outcome, take_seen, type_of, what_stands,
    },
    told::{
        cannot_rotate, carried_out, cuts_off, never_another, no_copy, not_ended, not_there,
        not_whole, of_its_kind, possible, tell, tell_direction, tell_end, tell_limits,
        tell_refresh, tell_replacement, tell_status, way_of,
    },
    window::window_is_open,
    work::{
        Work, adjusts, asked, cannot_copy, ends_first, has_no_place, is_active, is_taken_in,
        work_of,
    },
};
pub(crate) use self::{
    model::{CredentialModel, ScheduleReference, schedule_of},
    told::direction,
};
use super::{
    platform_objects::{connection_in, unknown_below},
    references::CredentialedIntegration,
    replacement::is_half,
    rotation_schedule::contradictions,
};
use crate::{
    diagnostics::{
        Unseen, about, about_planned, error, errors, errors_at, notices, observed, of_integration,
        on_integration, tell_unknown_connection, unknown_governed, warning,
    },
    shared::Shared,
};

/// `nhi_credential`.
#[derive(Debug)]
pub(crate) struct Credential {
    shared: Shared,
}

impl Credential {
    pub(crate) fn new(shared: Shared) -> Credential {
        Credential { shared }
    }
}

impl Credential {
    /// Looks at the world and says what state should hold.
    async fn observe(
        &self,
        request: Read<CredentialModel>,
    ) -> Result<Option<Done<CredentialModel>>, Unseen> {
        let (mut model, private) = (request.state, request.private);
        let context = self.shared.context()?;
        let Some(id) = model.id.as_deref().and_then(|id| id.parse::<CredentialId>().ok()) else {
            return Err(Diagnostic::error(
                "The id in state is not one of ours",
                format!("{:?}.\nNext: take it out of state with terraform state rm, and import it.\n(E-STATE)", model.id.text()),
            )
            .into());
        };
        let id = match id.integration.connection.as_str() {
            UNKNOWN_CONNECTION => CredentialId {
                integration: find_connection(&context, &id.integration, None).await?,
                ..id
            },
            _ => id,
        };
        model.id = Attr::Value(id.to_string());
        // Where no book names a key of a slot that is imported, it is the one that nobody made ours.
        let mut imported = None;
        let mut told = Diagnostics::new();
        if model.integration.is_null() {
            let seen = observe_integration(&context, &id.integration, None, None).await?;
            let Some(seen) = seen else { return Ok(None) };
            seen.governed_here(&context, &id.integration)
                .await
                .map_err(|problem| problem.at(&["integration"]))?;
            let part = Part::Slot(&id);
            let already = governed_already(&context, &id.integration, &seen, part).await;
            told.extend(already.as_ref().map(warning));
            model.integration = Attr::Value(CredentialedIntegration {
                id: Attr::Value(id.integration.to_string()),
                vendor_id: Attr::Value(seen.observed.vendor_id.clone()),
                ..CredentialedIntegration::default()
            });
            imported = Some(seen);
            model.name = Attr::Value(id.name.clone());
            model.on_incident = "issue_first".into();
        }
        let Some(spec) = spec_of(&model, None) else {
            return Err(Diagnostic::error(
                "This version does not know that kind of integration",
                format!("{id}.\nNext: use the version of the provider that made it; where the id was mistyped, import it by the right one.\n(E-KIND)"),
            )
            .at("integration")
            .into());
        };
        let Some(spec) = found(&context, spec).await? else { return Ok(None) };
        let Some(mut seen) = observe_slot(&context, &spec).await? else { return Ok(None) };
        if seen.key_id.is_none() && model.key_id.is_null() {
            let unmarked = match &imported {
                Some(integration) => unmarked_key(&context, &id, integration).await?,
                None => None,
            };
            // An import of a slot that never was.
            let Some(key_id) = unmarked else { return Ok(None) };
            let (integration, slot) = (id.integration.to_string(), id.to_string());
            if let Some(other) = self.shared.take_key(&integration, &key_id, &slot) {
                return Err(Problem::new("E-SLOT-EXISTS", "Two imports take in one credential")
                    .detail(format!("{slot}: {key_id} is the only one there is for {other}, too."))
                    .next(
                        "remove the one of the two imports whose credential is not there any more",
                    )
                    .at(&["name"])
                    .into());
            }
            let spec = SlotSpec { known: Some((key_id, 0, None, None)), ..spec };
            match observe_slot(&context, &spec).await? {
                Some(taken) if taken.listed => seen = taken,
                // It was ended between the two looks.
                _ => return Ok(None),
            }
        }
        let had = model.generation.value().copied();
        take_seen(&mut model, &seen);
        // One that this state never heard of may be the answer to what it is asked for next.
        let news = had.is_some() && had < model.generation.value().copied();
        let begun = seen.asked.as_deref().filter(|_| news);
        if model.confirm.is_null() {
            model.confirm = "timer".into();
        }
        tell_status(&id, &seen, !is_taken_in(&model), &mut told);
        let mut told = about(told, &model.id);
        // What was learned by looking is about no resource: which clocks disagree.
        told.extend(notices(&context));
        let done = Done::new(model).tell(told);
        let noted = begun.map(|begun| note(begun, seen.generation)).unwrap_or(private);
        let left = seen.left.filter(|_| seen.status == "unfinished");
        Ok(Some(done.private(note_left(left, noted))))
    }
}

impl Credential {
    /// What keeps the one that is to be issued from living where it is to. What is there is asked for
    /// only where a kind has types that may exclude each other.
    async fn no_room(
        &self,
        config: &CredentialModel,
        reference: &CredentialedIntegration,
    ) -> Option<Diagnostic> {
        let kind = kind_of(&reference.id).filter(|kind| kind.credential_types.len() > 1)?;
        let (context, wanted) = (self.shared.context_if_ready()?, type_of(config, kind)?.name);
        let id = match &reference.id {
            Attr::Value(id) => id.parse::<IntegrationId>().ok()?,
            // Until it has a key it goes by its name.
            unknown => {
                let name = self.shared.only_unnamed(unknown)?;
                IntegrationId::new(connection_in(unknown)?, kind.name, name)
            }
        };
        let planned = self.shared.first_type(&id.to_string(), wanted);
        if let Some(problem) = no_room_beside(&context, &id, wanted, planned, None) {
            return Some(error(&problem));
        }
        // What has no incarnation yet has no credentials.
        reference.vendor_id.as_deref()?;
        let revoking = self.shared.is_revoking(&id.to_string());
        no_room(&context, &id, wanted, revoking).await.as_ref().map(error)
    }
}

impl Credential {
    /// That this credential leaves no place in which one of the integration's could rotate.
    async fn crowded(
        &self,
        context: Option<&Context>,
        planned: &CredentialModel,
        reference: &CredentialedIntegration,
        profile: Option<&'static Profile>,
    ) -> Option<Diagnostic> {
        let effect = profile?.effect;
        effect.most()?;
        let id: CredentialId = planned.id.as_deref()?.parse().ok()?;
        let others = self.shared.note_slot(&id.integration.to_string(), &id.name);
        crowded(context?, &id, reference.vendor_id.as_deref(), effect, &others)
            .await
            .as_ref()
            .map(warning)
    }
}

impl Credential {
    /// What a change comes to.
    async fn plan_change(&self, plan: &mut Plan<CredentialModel>) {
        let rules = self.shared.rules();
        let context = self.shared.context_if_ready();
        if plan.planned.is_none() {
            // A delete that is not half of a replacement finds nothing of one here.
            plan.planned_private = Vec::new();
            if let Some(prior) = &plan.prior {
                plan.diagnostics.warning(
                    "This ends a credential",
                    format!(
                        "{}: whoever still uses it can no longer sign in.\nNext: look at who does first \
                         (nhi ledger show {0}); nothing brings it back.",
                        prior.id.text()
                    ),
                );
                if let Some(context) = &context {
                    let handed_on = leaves_its_places(&self.shared, context, prior).await;
                    plan.diagnostics.extend(handed_on);
                }
            }
            return;
        }
        let mut told = Diagnostics::new();
        let mut replace = false;
        let mut other_type = None;
        let mut private = None;
        let prior_private = plan.prior_private.clone();
        if let Some((config, prior, planned)) = plan.changing() {
            let reference = planned.integration.value().cloned().unwrap_or_default();
            let schedules = Schedules::of(prior, planned);
            planned.id = match (&reference.id, planned.name.as_deref()) {
                (Attr::Value(id), Some(name)) => Attr::Value(match id.parse::<IntegrationId>() {
                    Ok(integration) => {
                        CredentialId { integration, name: name.to_owned() }.to_string()
                    }
                    Err(_) => format!("{id}/credential/{name}"),
                }),
                (id, _) => unknown_below(id),
            };
            self.shared.tell_twice(&planned.id, config, &mut told);
            if config.confirm.is_null() && prior.is_none_or(|prior| prior.confirm.is_null()) {
                planned.confirm = "timer".into();
            }
            let missing: Vec<&str> = [
                ("vendor_id, a recreated integration", reference.vendor_id.is_null()),
                ("technical_owner, another owner", reference.technical_owner.is_null()),
            ]
            .into_iter()
            .filter_map(|(name, missing)| missing.then_some(name))
            .collect();
            if !missing.is_empty() {
                told.warning_at(
                    "integration",
                    "The integration was passed without some of its facts",
                    format!(
                        "Without {} does not rotate this credential.\nNext: write `integration = \
                         nhi_integration.NAME`, with the name of its block, in place of the parts \
                         (a generated configuration has those).",
                        missing.join(" does not, and without ")
                    ),
                );
            }
            if rules.require_schedule && config.schedule.is_null() {
                let summary = "The policy asks for more";
                let detail =
                    "A schedule is required here.\nNext: set schedule.\n(E-POLICY-REQUIRED)";
                // What never had one may still be rotated and ended.
                match prior.is_some_and(|prior| prior.schedule.is_null()) {
                    true => told.warning_at("schedule", summary, detail),
                    false => told.error_at("schedule", summary, detail),
                }
            }
            if let Some(schedule) = planned.schedule.value() {
                let at = Path::attribute("schedule");
                contradictions(&parts(schedule), rules.every_floor, &at, &mut told);
            }

            let nowhere = planned
                .deliver_to
                .value()
                .map_or_else(|| planned.deliver_to.is_null(), BTreeMap::is_empty);
            if prior.is_some() && has_no_place(planned) {
                told.push(no_place_said());
            }
            if prior.is_none() && nowhere {
                let next = "name a sink in deliver_to, or import the one that exists";
                told.push(error(&no_place(None).next(next)));
            }
            tell_unknown_connection(context.as_ref(), &reference.id, &mut told);
            if let Some(context) = &context {
                if prior.is_none() {
                    told.extend(context.lacks_for_credentials().iter().map(error));
                }
                told.extend(held_by_sinks(&self.shared, context, prior, planned).await);
            }
            told.extend(of_its_kind(config, &reference.id));
            let issued_as = match (&context, kind_of(&reference.id)) {
                (Some(context), Some(kind)) => way_of(context, &reference.id, config, kind).await,
                _ => None,
            };
            if let Some(Err(none)) = &issued_as {
                told.extend(none.clone());
            }
            let way = issued_as.and_then(Result::ok);
            let profile = way.map(|way| way.profile);
            let wanted = kind_of(&reference.id).and_then(|kind| type_of(config, kind));
            let schedules = match wanted {
                Some(wanted) => {
                    told.extend(cannot_rotate(wanted, way.as_ref(), config, &schedules));
                    let schedules = schedules.issued_in(&possible(wanted, way.as_ref()));
                    if prior.is_none() {
                        told.extend(cuts_off(wanted, way.as_ref(), config, (&schedules, None)));
                    }
                    tell_refresh(config, &schedules, &mut told);
                    schedules
                }
                None => schedules,
            };
            if let Some(prior) = prior {
                for at in hidden(prior, config, planned) {
                    told.push(unknown_governed(at));
                }
            }
            // What falls due by itself is planned all the same, and refused when it is to be done.
            let gives = prior.is_none_or(|prior| {
                asked(prior, planned).is_some() && !is_carried_out(&prior_private, prior, planned)
            });
            if let Some(closed) = self.shared.closed().filter(|_| gives) {
                told.push(error(&closed));
            }
            let crowded = self.crowded(context.as_ref(), planned, &reference, profile).await;
            match prior {
                None => {
                    tell_limits(profile, &mut told);
                    told.extend(crowded);
                    plan_create(planned);
                    let this = as_replaced(planned);
                    // Its successor cannot be made while it lives, nor after its end.
                    if let Some(wanted) = wanted.filter(|_| this.succeeds(&prior_private)) {
                        told.extend(never_another(wanted, way.as_ref()));
                    }
                    // In a replacement what is there ends first.
                    if prior_private.is_empty() {
                        told.extend(self.no_room(config, &reference).await);
                    }
                    private = planned.id.is_value().then(|| this.of_create());
                }
                Some(prior) => {
                    let before = prior.integration.value().cloned().unwrap_or_default();
                    replace = before.id.is_value() && before.id != reference.id
                        || before.vendor_id.is_value()
                            && !reference.vendor_id.is_null()
                            && before.vendor_id != reference.vendor_id;
                    let done = is_carried_out(&prior_private, prior, planned);
                    let (work, reason) = work_of(prior, planned, done);
                    if done && asked(prior, planned).is_some() {
                        told.push(warning(&carried_out(prior)));
                    }
                    other_type = kind_of(&reference.id).and_then(|kind| {
                        // What an import could not tell is null, and replaces nothing.
                        let (before, _) = prior.credential_type.chosen()?;
                        let after = type_of(config, kind)?;
                        (before.name != after.name).then_some([before.name, after.name])
                    });
                    let renamed = prior.name.is_value() && prior.name != planned.name;
                    if replace || renamed || other_type.is_some() {
                        tell_replacement(prior.id.text(), &mut told);
                    } else {
                        if let Some(wanted) = wanted {
                            told.extend(fields_are_kept(prior, planned, wanted));
                        }
                        if let (Work::Rotate { .. }, Some(wanted)) = (work, wanted)
                            && prior.status != "missing"
                        {
                            told.extend(never_another(wanted, way.as_ref()));
                        }
                        if let Some(wanted) = wanted {
                            // What works no longer cuts nobody off.
                            let gone = matches!(prior.status.text(), "missing" | "expired");
                            let work = Some((work, reason)).filter(|_| !gone);
                            let terms = (&schedules, work);
                            told.extend(cuts_off(wanted, way.as_ref(), config, terms));
                        }
                        if matches!(work, Work::Rotate { .. }) {
                            told.extend(self.no_room(config, &reference).await);
                            if nowhere {
                                let next = "name a sink in deliver_to, or remove what asks for the \
                                            rotation, such as schedule; where the one that there was \
                                            is ended, remove the nhi_credential";
                                told.push(error(&no_place(None).next(next)));
                            }
                        }
                        let active = is_active(planned);
                        if work == Work::Nothing && active && cannot_copy(prior, planned) {
                            told.push(error(&no_copy()));
                        }
                        let is_asked = !done && asked(prior, planned).is_some();
                        let finish = finishes_at(&prior_private, prior, is_asked);
                        plan_update(prior, planned, work, &schedules, finish);
                        tell(prior, planned, (work, reason), profile, done, &mut told);
                        if let (Work::Rotate { at_once: false }, Some(profile)) = (work, profile) {
                            let off = context.as_ref().map(|one| one.rules.soft_cut_for);
                            let off = off.filter(|_| profile.disables).unwrap_or_default();
                            let at_hand = stays_at_hand(context.as_ref(), prior, planned).await;
                            let kept = schedules.after.as_ref().map(|one| one.overlap);
                            let of = wanted.map(|one| one.name);
                            let connection = connection_in(&reference.id);
                            let alone = match (&context, connection, of.zip(kept)) {
                                (Some(context), Some(connection), Some((of, kept))) => {
                                    let kept = profile.effect.kept(kept);
                                    let refresh = consumers_of(planned).refresh;
                                    ends_by_itself_after(context, &connection, of, kept, refresh)
                                        .await
                                }
                                _ => None,
                            };
                            tell_end(
                                prior,
                                planned,
                                &schedules,
                                (profile, at_hand, off, alone),
                                &mut told,
                            );
                        }
                        tell_direction(prior, planned, &schedules, &mut told);
                        tell_taken_out(prior, planned, &mut told);
                        if work == Work::Nothing {
                            told.extend(only_written_down(context.as_ref(), prior, planned).await);
                        }
                    }
                    // The second half of a replacement finds it.
                    private = Some(beside(as_replaced(prior).of_prior(), &prior_private));
                }
            }
        }
        plan.diagnostics.extend(told);
        if replace {
            plan.require_replace(Path::attribute("integration"));
        }
        for name in other_type.into_iter().flatten() {
            plan.require_replace(Path::attribute(name));
        }
        if let Some(private) = private {
            plan.planned_private = private;
        }
    }
}

impl Resource for Credential {
    type Model = CredentialModel;
    const TYPE_NAME: &'static str = "nhi_credential";

    async fn validate(&self, config: &CredentialModel, _call: &Call) -> Diagnostics {
        let mut found = Diagnostics::new();
        if has_no_place(config) {
            found.push(no_place_said());
        }
        if let [_, second, ..] = config.credential_type.present()[..] {
            found.error_at(
                second,
                "More than one type of credential",
                "A slot holds one.\nNext: set at most one.\n(E-KIND)",
            );
        }
        // What is no id at all a mocked integration has: its plan is not asked of us, and every other
        // one refuses it.
        let id = config.integration.value().map(|one| one.id.clone()).unwrap_or_default();
        if id.as_deref().is_none_or(|id| id.parse::<IntegrationId>().is_ok()) {
            found.extend(of_its_kind(config, &id));
        }
        found.extend(written_well(config));
        if let Some(wanted) = kind_of(&id).and_then(|kind| type_of(config, kind)) {
            let schedules = Schedules::of(None, config);
            found.extend(cuts_off(wanted, None, config, (&schedules, None)));
        }
        if let Some(schedule) = config.schedule.value() {
            let at = Path::attribute("schedule");
            contradictions(&parts(schedule), domain::Span::ZERO, &at, &mut found);
        }
        found
    }

    async fn plan(&self, plan: &mut Plan<CredentialModel>) {
        self.plan_change(plan).await;
        self.shared.tell_remade(plan, |model| &model.id);
        about_planned(plan, |model| &model.id);
    }

    async fn create(
        &self,
        request: Create<CredentialModel>,
    ) -> Result<Done<CredentialModel>, Failure<CredentialModel>> {
        let mut model = request.planned;
        let context = stopping(self.shared.context().map_err(errors)?, &request.call);
        let spec = spec_of(&model, None).ok_or_else(not_whole)?;
        let spec = found(&context, spec).await.map_err(not_made)?.ok_or_else(not_there)?;
        if spec.deliveries.is_empty() {
            return Err(errors(no_place(None)).into());
        }
        let spec = SlotSpec { known: None, ..spec };
        let outcome = create_slot(&context, &spec).await.map_err(not_made)?;
        let mut told = take_outcome(None, &mut model, &spec, &outcome);
        told.extend(notices(&context));
        Ok(Done::new(model).private(Vec::new()).tell(told))
    }

    async fn read(
        &self,
        request: Read<CredentialModel>,
    ) -> Result<Option<Done<CredentialModel>>, Diagnostics> {
        let (state, call) = (request.state.clone(), request.call.clone());
        observed(self.observe(request).await.map_err(on_integration), state, &call)
    }

    async fn update(
        &self,
        request: Update<CredentialModel>,
    ) -> Result<Done<CredentialModel>, Failure<CredentialModel>> {
        let (prior, mut model) = (request.prior, request.planned);
        let context = stopping(self.shared.context().map_err(errors)?, &request.call);
        let spec = spec_of(&model, Some(&prior)).ok_or_else(not_whole)?;
        let spec = found(&context, spec).await.map_err(not_done)?.ok_or_else(not_there)?;
        let done = is_carried_out(&request.planned_private, &prior, &model);
        let (work, reason) = work_of(&prior, &model, done);
        let schedules = Schedules::of(Some(&prior), &model);
        let at = u64::try_from(prior.generation.value().copied().unwrap_or(0)).unwrap_or(0);
        let goal = match work {
            Work::Nothing => None,
            Work::Rotate { at_once } => {
                window_is_open(&prior, &spec, reason, at_once, context.now())?;
                let none_kept = schedules.nothing_kept(&prior, at_once);
                Some(Goal::Rotate { to: at + 1, at_once: none_kept })
            }
            Work::Cut => Some(Goal::Cut { at, again: false }),
            Work::Retire | Work::Prove => Some(Goal::Retire { at }),
            Work::End => Some(Goal::Revoke),
            Work::Open => return Err(super::integration::incomplete().into()),
            Work::Copy => Some(Goal::Rotate { to: at, at_once: false }),
            Work::Resume => {
                let asked = !done && asked(&prior, &model).is_some();
                let (goal, begins) =
                    goal_of_resume(&context, &spec, at, asked).await.map_err(not_done)?;
                // What was begun is finished at any time; what follows it for the asking is a rotation.
                if begins {
                    window_is_open(&prior, &spec, reason, false, context.now())?;
                }
                Some(goal)
            }
        };
        let mut told = Diagnostics::new();
        match goal {
            Some(goal) => {
                let first = if ends_first(work, reason, &model) {
                    revoke_first(&context, &spec, reason).await.map_err(not_done)?
                } else {
                    Vec::new()
                };
                let mut outcome = match carry_out(&context, &spec, goal, reason).await {
                    Ok(outcome) => outcome,
                    Err(problem) => {
                        return Err(
                            match what_stands(&context, &spec, goal, &prior, model).await {
                                Some(stands) => Failure::keeping(stands, not_done(problem)),
                                None => not_done(problem).into(),
                            },
                        );
                    }
                };
                outcome.revoked.splice(0..0, first);
                if work == Work::Retire && !outcome.previous.is_empty() {
                    let previous = Attr::Value(previous_of(&outcome.previous));
                    let last_revocation = revocation_of(Some(&prior), &outcome);
                    let stands = CredentialModel { previous, last_revocation, ..prior };
                    return Err(Failure::keeping(stands, not_ended(&spec, &outcome)));
                }
                if goal == Goal::Revoke
                    && let Some(seen) = observe_slot(&context, &spec).await.map_err(not_done)?
                {
                    outcome.deliveries = seen.deliveries;
                }
                told = take_outcome(Some(&prior), &mut model, &spec, &outcome);
            }
            // A key that was imported or moved here is in no claim of ours yet.
            None => take_over(&context, &spec).await.map_err(not_done)?,
        }
        if !matches!(work, Work::Rotate { .. } | Work::End) && adjusts(&prior, &model) {
            // What was done before it is done; only this is tried again.
            adjust(&context, &spec).await.map_err(|problem| {
                let mut partly = model.clone();
                partly.credential_type = prior.credential_type.clone();
                Failure::keeping(partly, not_done(problem))
            })?;
        }
        if matches!(work, Work::Nothing | Work::Copy)
            && let Some(ends) = moved_ends(&prior, &schedules)
        {
            set_ends(&context, &spec, &ends).await.map_err(not_done)?;
        }
        // The next deed writes it if the ledger cannot be read now.
        let _ = declare_slot(&context, &spec).await;
        let gone = no_longer_delivered(&prior, &spec);
        if !gone.is_empty() {
            let left = withdraw(&context, &spec, &gone).await.map_err(|problem| {
                // The rest is done; the next apply takes it out again.
                let mut partly = model.clone();
                partly.deliver_to = prior.deliver_to.clone();
                Failure::keeping(partly, not_done(problem))
            })?;
            if !left.written_over.is_empty() {
                told.warning_at(
                    "deliver_to",
                    "A document was left where it is",
                    format!(
                        "{}: somebody wrote over what was delivered to {}; it is not ours to remove.\nNext: \
                         remove it by hand if nobody needs it.",
                        spec.id,
                        left.written_over.join(", ")
                    ),
                );
            }
            if !left.in_earlier_versions.is_empty() {
                told.warning_at(
                    "deliver_to",
                    "The secret can still be read where it was",
                    format!(
                        "{}: taken out of {}, where no version can be destroyed: who may read earlier ones \
                         finds the secret there.\nNext: change a value in triggers, which ends that secret \
                         when the overlap is over, or delete the document there for good.",
                        spec.id,
                        left.in_earlier_versions.join(", ")
                    ),
                );
            }
        }
        self.shared.gave_up(model.id.text());
        told.extend(notices(&context));
        Ok(Done::new(model).private(Vec::new()).tell(told))
    }

    async fn delete(
        &self,
        request: Delete<CredentialModel>,
    ) -> Result<Diagnostics, Failure<CredentialModel>> {
        let model = request.prior;
        let context = self.shared.context().map_err(errors)?;
        // Dropped from state it would work on, known to nobody.
        let spec = spec_of(&model, None).ok_or_else(|| {
            errors(
                Problem::new("E-STATE", "This credential cannot be ended from here")
                    .detail(format!(
                        "{:?}: its state does not say of which integration, in a kind that this \
                         version knows, it is. Nothing was revoked, and it stays in state.",
                        model.id.text()
                    ))
                    .next(
                        "use the version of the provider that made it, or end it at its platform \
                         and then: terraform state rm",
                    ),
            )
        })?;
        if as_replaced(&model).is_succeeded(&request.planned_private) {
            park_for_replacement(&context, &spec).await.map_err(not_done)?;
            let mut told = Diagnostics::new();
            told.warning(
                "Kept alive until its replacement works",
                format!(
                    "{}: a replacement of a credential is a rotation without overlap.\nNext: if its \
                     replacement fails, apply again; until then the old one works.",
                    spec.id
                ),
            );
            return Ok(told);
        }
        let Some(spec) = found(&context, spec).await.map_err(not_done)? else {
            return Ok(Diagnostics::new());
        };
        let outcome = end_slot(&context, &spec, "destroyed").await.map_err(not_done)?;
        self.shared.gave_up(model.id.text());
        let mut told = Diagnostics::new();
        if is_half(&request.planned_private) {
            told.warning(
                "The old credential ended before there was another",
                format!(
                    "{}: what uses it stopped.\nNext: where the new one is not delivered by this apply, apply \
                     again; then restart what reads it.",
                    spec.id
                ),
            );
        }
        for one in outcome.revoked.iter().filter(|one| one.grade < Grade::B) {
            told.warning(
                "A revocation could not be proven",
                format!(
                    "{}: {} to grade {}.\nNext: look for it at its platform.",
                    spec.id,
                    one.key_id,
                    one.grade.as_str()
                ),
            );
        }
        told.extend(notices(&context));
        Ok(told)
    }
}

/// Nothing says where the secret is.
fn no_place_said() -> Diagnostic {
    let next = "name at least one sink, or say in secret_source where a secret is that we never hold. Both may \
                be missing while the nhi_integration has an adoption, which comes with the whole object: \
                integration = nhi_integration.NAME";
    error(&no_place(None).next(next))
}

/// A deed that the core asks to stop does so when nothing is half done.
fn stopping(context: Context, call: &Call) -> Context {
    let stop = call.stop.clone();
    Context { stop: StopSign::of(move || stop.is_cancelled()), ..context }
}

/// What kept a slot from being made.
fn not_made(problem: Problem) -> Diagnostics {
    errors_at(of_integration(problem), &["name"])
}

/// What kept something from being done in a slot.
fn not_done(problem: Problem) -> Diagnostics {
    errors_at(of_integration(problem), &["status"])
}
