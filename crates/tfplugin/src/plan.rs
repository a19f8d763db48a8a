//! The plan pipeline: defaults, what stays, what becomes unknown, the hook, what needs a new
//! object, identity.

use crate::erased::{Deferred, PlanRequest, PlanResponse};
use crate::resource::{Plan, Registration, Resource};
use crate::value::{all_null, complete, entry, get, without_write_only};
use crate::{
    Attribute, Diagnostic, Diagnostics, Kind, Model, Nesting, Object, Path, Stability, Value, laws,
    model,
};

/// Fills in the defaults of a configuration where it is null, nested attributes included.
pub fn with_defaults(config: Value, attributes: &[Attribute]) -> Value {
    match config {
        Value::Object(mut object) => {
            fill_defaults(&mut object, attributes);
            Value::Object(object)
        }
        other => other,
    }
}

fn fill_defaults(object: &mut Object, attributes: &[Attribute]) {
    for attribute in attributes {
        let Some(value) = entry(object, &attribute.name) else { continue };
        if let (true, Some(default)) = (value.is_null(), &attribute.default) {
            *value = default.clone();
        } else if let Kind::Nested { nesting, attributes } = &attribute.kind {
            fill_nested_defaults(value, *nesting, attributes);
        }
    }
}

/// The same for the objects of a nested attribute.
pub(crate) fn fill_nested_defaults(value: &mut Value, nesting: Nesting, attributes: &[Attribute]) {
    crate::value::for_each_object(value, nesting, &Path::root(), &mut |inner, _| {
        fill_defaults(inner, attributes);
    });
}

/// What the engine plans by itself, before the hook: `planned` is the core's merge of configuration and
/// prior, and is changed where it is otherwise. Nothing volatile is marked yet.
pub fn settle(
    attributes: &[Attribute],
    config: &Object,
    prior: Option<&Object>,
    planned: &mut Object,
) {
    complete(planned, attributes);
    for attribute in attributes {
        let prior = prior.map(|prior| get(prior, attribute));
        let config = get(config, attribute);
        if let Some(planned) = planned.get_mut(&attribute.name) {
            settle_one(attribute, config, prior, planned);
        }
    }
}

fn settle_one(attribute: &Attribute, config: &Value, prior: Option<&Value>, planned: &mut Value) {
    if attribute.write_only {
        *planned = Value::Null;
        return;
    }
    if config.is_null() {
        match (&attribute.default, prior) {
            (Some(default), _) => planned.clone_from(default),
            _ if !attribute.computed => *planned = Value::Null,
            (None, None) => *planned = attribute.unknown(),
            // Cores propose null for a nested one that holds what only a configuration can have
            // put there. Stable is stable: else it would come and go with every plan.
            (None, Some(prior)) if planned.is_null() => planned.clone_from(prior),
            (None, Some(_)) => {}
        }
        return;
    }
    match &attribute.kind {
        Kind::Nested { nesting, attributes } => {
            settle_nested(*nesting, attributes, config, prior, planned);
        }
        Kind::Type(_) if planned != config => planned.clone_from(config),
        Kind::Type(_) => {}
    }
}

fn settle_nested(
    nesting: Nesting,
    attributes: &[Attribute],
    config: &Value,
    prior: Option<&Value>,
    planned: &mut Value,
) {
    let element = |config: &Value, prior: Option<&Value>, mut planned: Value| {
        settle_object(attributes, config, prior, &mut planned);
        planned
    };
    let below = |config: &Value, step: &crate::Step, planned: &Value| {
        let proposed = planned.step(step).cloned().unwrap_or_default();
        element(config, prior.and_then(|prior| prior.step(step)), proposed)
    };
    let settled = match (nesting, config) {
        (Nesting::List, Value::List(all)) => Value::List(
            all.iter()
                .enumerate()
                .map(|(index, config)| {
                    let step = crate::Step::Index(i64::try_from(index).unwrap_or(i64::MAX));
                    below(config, &step, planned)
                })
                .collect(),
        ),
        (Nesting::Map, Value::Map(all)) => Value::map(all.iter().map(|(key, config)| {
            (key.clone(), below(config, &crate::Step::Key(key.clone()), planned))
        })),
        (Nesting::Set, Value::Set(all)) => {
            // Each planned element is built once from its configured one: to look elements up by
            // their value while their values change is how other SDKs lose them.
            let priors = match prior {
                Some(Value::Set(all)) => all.as_slice(),
                _ => &[],
            };
            let twins = pair(attributes, all, priors);
            Value::set(all.iter().zip(twins).map(|(config, twin)| {
                let prior = twin.map(|at| &priors[at]);
                element(config, prior, prior.cloned().unwrap_or_default())
            }))
        }
        (_, config) => return settle_object(attributes, config, prior, planned),
    };
    *planned = settled;
}

/// One object of a nested attribute. What is proposed as none begins as it is configured.
fn settle_object(
    attributes: &[Attribute],
    config: &Value,
    prior: Option<&Value>,
    planned: &mut Value,
) {
    let Value::Object(configured) = config else {
        planned.clone_from(config);
        return;
    };
    if planned.as_object().is_none() {
        planned.clone_from(config);
    }
    if let Value::Object(planned) = planned {
        settle(attributes, configured, prior.and_then(Value::as_object), planned);
    }
}

/// Which prior element of a set each configured one is: as many pairs as there can be, none twice.
pub(crate) fn pair(
    attributes: &[Attribute],
    configs: &[Value],
    priors: &[Value],
) -> Vec<Option<usize>> {
    let kin: Vec<Vec<usize>> = configs
        .iter()
        .map(|config| {
            (0..priors.len()).filter(|p| agrees(attributes, config, &priors[*p])).collect()
        })
        .collect();
    matching(&kin, priors.len())
}

/// For each of the first its partner among the second, of those that it may have: as many pairs as
/// there can be. Where one is taken its owner moves on to another of its own, and so on; the way
/// there can be as long as the set is large, so it is kept on the heap.
fn matching(kin: &[Vec<usize>], seconds: usize) -> Vec<Option<usize>> {
    let mut owner: Vec<Option<usize>> = vec![None; seconds];
    // In which round a second was last looked at.
    let mut seen = vec![usize::MAX; seconds];
    for round in 0..kin.len() {
        // Each on the way wants the one before its next.
        let mut way = vec![(round, 0)];
        while let Some((first, next)) = way.last_mut() {
            let Some(&second) = kin[*first].get(*next) else {
                way.pop();
                continue;
            };
            *next += 1;
            if std::mem::replace(&mut seen[second], round) == round {
                continue;
            }
            match owner[second] {
                Some(other) => way.push((other, 0)),
                None => {
                    for (first, next) in way {
                        owner[kin[first][next - 1]] = Some(first);
                    }
                    break;
                }
            }
        }
    }
    let mut partners = vec![None; kin.len()];
    for (second, first) in owner.into_iter().enumerate() {
        if let Some(first) = first {
            partners[first] = Some(second);
        }
    }
    partners
}

/// All that the engine plans by itself for a create or update: defaults, what stays, what is
/// unknown, nothing write-only.
pub fn engine(
    attributes: &[Attribute],
    config: &Object,
    prior: Option<&Object>,
    proposed: Object,
) -> Object {
    let mut planned = proposed;
    settle(attributes, config, prior, &mut planned);
    if let Some(prior) = prior
        && !same(prior, &planned)
    {
        mark_volatile(attributes, config, prior, &mut planned);
    }
    planned
}

/// Whether a prior element of a set says all that a configured one says.
fn agrees(attributes: &[Attribute], config: &Value, prior: &Value) -> bool {
    let (Some(config), Some(prior)) = (config.as_object(), prior.as_object()) else {
        return false;
    };
    attributes.iter().all(|attribute| {
        let (config, prior) = (get(config, attribute), get(prior, attribute));
        if attribute.write_only {
            return true;
        }
        match (&attribute.kind, config.is_null()) {
            (_, true) => attribute.computed || prior.is_null(),
            (Kind::Type(_), false) => config.same(prior),
            (Kind::Nested { nesting, attributes }, false) => match (nesting, config, prior) {
                (Nesting::Single, config, prior) => agrees(attributes, config, prior),
                (Nesting::List, Value::List(a), Value::List(b)) => {
                    a.len() == b.len() && a.iter().zip(b).all(|(a, b)| agrees(attributes, a, b))
                }
                (Nesting::Map, Value::Map(a), Value::Map(b)) => {
                    a.len() == b.len()
                        && a.iter()
                            .zip(b)
                            .all(|((ka, a), (kb, b))| ka == kb && agrees(attributes, a, b))
                }
                (Nesting::Set, Value::Set(a), Value::Set(b)) => {
                    a.len() == b.len()
                        && a.iter().all(|a| b.iter().any(|b| agrees(attributes, a, b)))
                }
                _ => false,
            },
        }
    })
}

/// Makes what is volatile unknown, where it still is as before and nobody configured it.
fn mark_volatile(attributes: &[Attribute], config: &Object, prior: &Object, planned: &mut Object) {
    for attribute in attributes {
        let config = get(config, attribute);
        let Some(prior) = prior.get(&attribute.name) else { continue };
        let Some(value) = planned.get_mut(&attribute.name) else { continue };
        if attribute.stability == Stability::Volatile
            && attribute.computed
            && attribute.default.is_none()
            && config.is_null()
        {
            if value.same(prior) {
                *value = attribute.unknown();
            }
        } else if let Kind::Nested { nesting, attributes } = &attribute.kind {
            match (nesting, config, prior, value) {
                (
                    Nesting::Single,
                    Value::Object(config),
                    Value::Object(prior),
                    Value::Object(planned),
                ) => mark_volatile(attributes, config, prior, planned),
                (Nesting::List, Value::List(config), Value::List(prior), Value::List(planned)) => {
                    for ((config, prior), planned) in config.iter().zip(prior).zip(planned) {
                        if let (
                            Value::Object(config),
                            Value::Object(prior),
                            Value::Object(planned),
                        ) = (config, prior, planned)
                        {
                            mark_volatile(attributes, config, prior, planned);
                        }
                    }
                }
                (Nesting::Map, Value::Map(config), Value::Map(prior), Value::Map(planned)) => {
                    for (key, planned) in planned {
                        if let (
                            Some(Value::Object(config)),
                            Some(Value::Object(prior)),
                            Value::Object(planned),
                        ) = (config.get(key), prior.get(key), planned)
                        {
                            mark_volatile(attributes, config, prior, planned);
                        }
                    }
                }
                // Elements of sets keep what they have: to change one is to make another.
                _ => {}
            }
        }
    }
}

/// The attributes declared `replace` whose value goes from something to something else.
fn replacements(
    attributes: &[Attribute],
    prior: &Object,
    planned: &Object,
    at: &Path,
    paths: &mut Vec<Path>,
) {
    for attribute in attributes {
        let (Some(prior), Some(planned)) =
            (prior.get(&attribute.name), planned.get(&attribute.name))
        else {
            continue;
        };
        // After an import much is null: to fill it in is no reason to replace.
        if prior.is_null() || planned.same(prior) {
            continue;
        }
        let path = at.then(&attribute.name);
        if attribute.requires_replace {
            paths.push(path);
            continue;
        }
        let Kind::Nested { nesting, attributes } = &attribute.kind else { continue };
        match (nesting, prior, planned) {
            (Nesting::Single, Value::Object(prior), Value::Object(planned)) => {
                replacements(attributes, prior, planned, &path, paths);
            }
            (Nesting::List, Value::List(prior), Value::List(planned)) => {
                for (index, pair) in prior.iter().zip(planned).enumerate() {
                    if let (Value::Object(prior), Value::Object(planned)) = pair {
                        replacements(attributes, prior, planned, &path.index(index), paths);
                    }
                }
            }
            (Nesting::Map, Value::Map(prior), Value::Map(planned)) => {
                for (key, prior) in prior {
                    if let (Value::Object(prior), Some(Value::Object(planned))) =
                        (prior, planned.get(key))
                    {
                        replacements(attributes, prior, planned, &path.key(key), paths);
                    }
                }
            }
            (Nesting::Set, ..) if set_replaces(attributes) => paths.push(path),
            _ => {}
        }
    }
}

/// Whether anything inside a set's elements is declared `replace`: paths stop at the set.
fn set_replaces(attributes: &[Attribute]) -> bool {
    attributes.iter().any(|attribute| {
        attribute.requires_replace
            || match &attribute.kind {
                Kind::Nested { attributes, .. } => set_replaces(attributes),
                Kind::Type(_) => false,
            }
    })
}

/// Puts into `raw` what differs between two typed views of it. What nobody changed keeps its exact
/// form, also where the typed view has no place for it (an unknown element in a list). Whether anything
/// differs.
pub(crate) fn merge_typed<M: Model>(raw: &mut Object, before: &M, after: &M) -> bool {
    if before == after {
        return false;
    }
    let mut old = Object::new();
    before.write(&mut old);
    let mut new = Object::new();
    after.write(&mut new);
    for (name, value) in new {
        if old.get(&name) != Some(&value) {
            raw.insert(name, value);
        }
    }
    true
}

pub(crate) async fn plan<R: Resource>(
    registration: &Registration<R>,
    mut request: PlanRequest,
) -> PlanResponse {
    // Without a plan there is nothing to say of it: what the core proposed has the write-only values.
    let mut response = PlanResponse {
        private: request.prior_private.clone(),
        identity: request.prior_identity.clone(),
        ..PlanResponse::default()
    };
    // It becomes what is planned, by what is changed in it.
    let proposed = match &mut request.proposed {
        Value::Object(proposed) if cfg!(debug_assertions) => Some(proposed.clone()),
        Value::Object(proposed) => Some(std::mem::take(proposed)),
        _ => None,
    };
    match go(registration, &request, proposed, &mut response).await {
        Ok(()) => {}
        Err(wrong) => response.diagnostics.push(wrong),
    }
    response
}

async fn go<R: Resource>(
    registration: &Registration<R>,
    request: &PlanRequest,
    proposed: Option<Object>,
    response: &mut PlanResponse,
) -> Result<(), Diagnostic> {
    let attributes = &registration.schema.attributes;
    let destroys = request.proposed.is_null();
    let prior = request.prior.as_object();
    let empty;
    let config = match request.config.as_object() {
        Some(config) => config,
        None => {
            empty = all_null(attributes);
            &empty
        }
    };

    let mut planned = match proposed {
        Some(proposed) => engine(attributes, config, prior, proposed),
        None => Object::new(),
    };
    let mut changes = prior.is_some_and(|prior| !same(prior, &planned));

    let typed = model::from_object::<R::Model>;
    let before = if destroys { None } else { Some(typed(&planned)?) };
    let mut hook = Plan {
        config: if destroys { None } else { Some(typed(config)?) },
        prior: match prior {
            // Read once already, as what is planned.
            Some(_) if !changes && !destroys => before.clone(),
            prior => prior.map(typed).transpose()?,
        },
        planned: before.clone(),
        prior_private: request.prior_private.clone(),
        planned_private: request.prior_private.clone(),
        first_private: request.planned_private.clone(),
        prior_identity: request.prior_identity.clone(),
        provider_meta: request.provider_meta.clone(),
        call: request.call.clone(),
        diagnostics: Diagnostics::new(),
        deferred: None,
        replace: Vec::new(),
    };
    registration.resource.plan(&mut hook).await;
    response.private = hook.planned_private;
    response.diagnostics.extend(hook.diagnostics);
    let allowed = request.call.capabilities.deferral_allowed;
    response.deferred = Deferred::granted(hook.deferred, allowed, &mut response.diagnostics);

    if destroys {
        response.planned = Value::Null;
        return Ok(());
    }
    let (Some(before), Some(mut after)) = (before, hook.planned) else {
        return Err(Diagnostic::error(
            "Invalid plan",
            "The resource planned to destroy an object that the configuration keeps. Report it \
             to the provider's developers.",
        ));
    };
    let merged = merge_typed(&mut planned, &before, &after);
    if let (true, false, Some(prior)) = (merged, changes, prior) {
        changes = !same(prior, &planned);
        if changes {
            mark_volatile(attributes, config, prior, &mut planned);
        }
    }
    let planned = without_write_only(Value::Object(planned), attributes);
    if let (Some(prior), Some(planned)) = (prior, planned.as_object()) {
        let mut paths = Vec::new();
        if changes {
            replacements(attributes, prior, planned, &Path::root(), &mut paths);
        }
        paths.extend(hook.replace);
        paths.sort();
        paths.dedup();
        response.requires_replace = paths;
    }

    if let Some(identities) = &registration.identity {
        if changes || prior.is_none() {
            after = model::from_value(&planned)?;
        }
        let identity = (identities.of)(&registration.resource, &after);
        response.identity = match &request.prior_identity {
            Some(stored) if prior.is_some() && !nothing(stored) => {
                if !response.requires_replace.is_empty() || identities.mutable {
                    Some(identity)
                } else {
                    if identity.is_wholly_known() && !same_identity(stored, &identity) {
                        response.diagnostics.push(changed_identity("plan"));
                    }
                    Some(stored.clone())
                }
            }
            // An update may only promise what it knows.
            _ if prior.is_some() && !identity.is_wholly_known() => request.prior_identity.clone(),
            _ => Some(identity),
        };
    } else {
        response.identity = None;
    }
    response.planned = planned;

    if cfg!(debug_assertions) && response.deferred.is_none() && !response.diagnostics.has_errors() {
        let mut breaches = laws::check_plan(
            &registration.schema,
            &request.config,
            &request.prior,
            &request.proposed,
            &response.planned,
        );
        breaches.extend(laws::check_replace(
            &registration.schema,
            &request.prior,
            &response.planned,
            &response.requires_replace,
        ));
        if let (Some(identities), Some(identity)) = (&registration.identity, &response.identity) {
            breaches.extend(laws::check_identity(&identities.schema, None, identity, false, true));
        }
        response.diagnostics.extend(laws::diagnostics(breaches));
    }
    Ok(())
}

fn same(a: &Object, b: &Object) -> bool {
    a.len() == b.len() && a.iter().zip(b).all(|((ka, a), (kb, b))| ka == kb && a.same(b))
}

/// Whether an identity says nothing: absent, or all null.
pub(crate) fn nothing(identity: &Value) -> bool {
    match identity {
        Value::Object(all) => all.values().all(Value::is_null),
        other => other.is_null(),
    }
}

/// Whether an identity still is the one that was stored. What that left open may have been filled
/// in: whoever imports by identity gives no more than is required.
pub(crate) fn same_identity(stored: &Value, now: &Value) -> bool {
    match (stored, now) {
        (Value::Object(stored), Value::Object(now)) => stored
            .iter()
            .all(|(name, part)| part.is_null() || now.get(name).is_some_and(|now| now.same(part))),
        (stored, now) => stored.same(now),
    }
}

pub(crate) fn changed_identity(step: &str) -> Diagnostic {
    Diagnostic::error(
        "Unexpected identity change",
        format!(
            "The identity of an object is for all time, and the {step} changed it. Report it to \
             the provider's developers."
        ),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_way_to_a_partner_is_gone() {
        // Each may have its own or the next; the last wants the first, so all move on by one.
        let many = 200_000;
        let mut kin: Vec<Vec<usize>> = (0..many).map(|one| vec![one, one + 1]).collect();
        kin.push(vec![0]);
        let partners = matching(&kin, many + 1);
        assert_eq!(partners[many], Some(0));
        assert!((0..many).all(|one| partners[one] == Some(one + 1)));
    }

    #[test]
    fn who_finds_nobody_has_no_partner() {
        assert_eq!(matching(&[vec![0], vec![0], vec![]], 1), [Some(0), None, None]);
        assert_eq!(matching(&[vec![0, 1], vec![0]], 2), [Some(1), Some(0)]);
    }
}
