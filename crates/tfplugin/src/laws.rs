//! The laws: what cores demand of a provider's answers, as pure functions that say which law broke,
//! where and why.
//!
//! Written from the documented contract of the protocol (the resource instance change life cycle
//! and the comments of the wire definitions). The engine checks every answer against them in debug
//! builds; tests and the small core check whole providers.

use std::fmt;

use crate::plan::{pair, same_identity};
use crate::value::{NULL, get};
use crate::{
    Attribute, Diagnostic, Diagnostics, Kind, Nesting, Object, Path, Schema, Step, Type, Value,
};

/// What cores demand of answers, and what we demand beyond.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Law {
    /// An answer has exactly the type that the schema says.
    FitsSchema,
    /// What is configured is planned as configured, or exactly as it was.
    PlanKeepsConfig,
    /// What is neither configured nor computed is planned null.
    PlanInventsNothing,
    /// Configured nested objects are planned: as many, under the same keys, none unknown.
    PlanKeepsNested,
    /// To destroy is to plan nothing; anything else is to plan something.
    PlanKeepsExistence,
    /// A new object is only asked for because of attributes that exist, and not inside sets.
    ReplacePathExists,
    /// The plan at apply has every known value of the plan that was approved.
    FinalPlanKeepsPlan,
    /// What was planned known is what apply brings.
    ApplyKeepsPlan,
    /// What was promised of an unknown value holds.
    ApplyKeepsPromise,
    /// After apply and in state nothing is unknown.
    StateIsKnown,
    /// After create or update there is an object, after delete there is none.
    ApplyKeepsExistence,
    /// Write-only values are never in plan or state.
    WriteOnlyIsNull,
    /// An import finds one object.
    ImportFinds,
    /// An identity is complete.
    IdentityIsKnown,
    /// An identity is for all time.
    IdentityIsStable,
    /// A data source gives back what was configured.
    AnswerKeepsConfig,
    /// An ephemeral resource gives back what was configured, and invents nothing.
    EphemeralKeepsConfig,
    /// Where configuration and object agree nothing is planned.
    QuietWhenNothingChanged,
}

impl Law {
    /// All of them.
    pub const ALL: [Self; 18] = [
        Self::FitsSchema,
        Self::PlanKeepsConfig,
        Self::PlanInventsNothing,
        Self::PlanKeepsNested,
        Self::PlanKeepsExistence,
        Self::ReplacePathExists,
        Self::FinalPlanKeepsPlan,
        Self::ApplyKeepsPlan,
        Self::ApplyKeepsPromise,
        Self::StateIsKnown,
        Self::ApplyKeepsExistence,
        Self::WriteOnlyIsNull,
        Self::ImportFinds,
        Self::IdentityIsKnown,
        Self::IdentityIsStable,
        Self::AnswerKeepsConfig,
        Self::EphemeralKeepsConfig,
        Self::QuietWhenNothingChanged,
    ];

    /// Whether cores refuse a breach themselves; the others are ours.
    pub fn enforced_by_core(self) -> bool {
        !matches!(
            self,
            Self::IdentityIsStable | Self::AnswerKeepsConfig | Self::QuietWhenNothingChanged
        )
    }

    /// The law in words.
    pub fn text(self) -> &'static str {
        match self {
            Self::FitsSchema => "an answer has exactly the type that the schema says",
            Self::PlanKeepsConfig => {
                "what is configured is planned as configured, or exactly as it was"
            }
            Self::PlanInventsNothing => "what is neither configured nor computed is planned null",
            Self::PlanKeepsNested => {
                "configured nested objects are planned: as many, under the same keys, none unknown"
            }
            Self::PlanKeepsExistence => {
                "to destroy is to plan nothing; anything else is to plan something"
            }
            Self::ReplacePathExists => {
                "a new object is only asked for because of attributes that exist, and not inside \
                 sets"
            }
            Self::FinalPlanKeepsPlan => {
                "the plan at apply has every known value of the plan that was approved"
            }
            Self::ApplyKeepsPlan => "what was planned known is what apply brings",
            Self::ApplyKeepsPromise => "what was promised of an unknown value holds",
            Self::StateIsKnown => "after apply and in state nothing is unknown",
            Self::ApplyKeepsExistence => {
                "after create or update there is an object, after delete there is none"
            }
            Self::WriteOnlyIsNull => "write-only values are never in plan or state",
            Self::ImportFinds => "an import finds one object",
            Self::IdentityIsKnown => "an identity is complete",
            Self::IdentityIsStable => "an identity is for all time",
            Self::AnswerKeepsConfig => "a data source gives back what was configured",
            Self::EphemeralKeepsConfig => {
                "an ephemeral resource gives back what was configured, and invents nothing"
            }
            Self::QuietWhenNothingChanged => {
                "where configuration and object agree nothing is planned"
            }
        }
    }
}

impl fmt::Display for Law {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self, f)
    }
}

/// A broken law.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Breach {
    /// Which.
    pub law: Law,
    /// Where.
    pub path: Path,
    /// Why; sensitive values are not in it.
    pub why: String,
}

impl fmt::Display for Breach {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.law, self.why)?;
        if !self.path.is_root() {
            write!(f, " (at {})", self.path)?;
        }
        Ok(())
    }
}

impl From<Breach> for Diagnostic {
    fn from(breach: Breach) -> Self {
        let place =
            if breach.path.is_root() { String::new() } else { format!(" At {}:", breach.path) };
        Diagnostic::error(
            format!("Provider broke the law {}", breach.law),
            format!(
                "The law: {}.{place} {}. This is a mistake of the provider: report it to its \
                 developers.",
                breach.law.text(),
                breach.why
            ),
        )
        .at(breach.path)
    }
}

/// Breaches as what the user is told.
pub fn diagnostics(breaches: Vec<Breach>) -> Diagnostics {
    breaches.into_iter().map(Diagnostic::from).collect()
}

/// The breaches found so far.
#[derive(Default)]
struct Court {
    breaches: Vec<Breach>,
    /// What is looked at is sensitive, or stands in something that is.
    hidden: bool,
}

impl Court {
    fn accuse(&mut self, law: Law, path: &Path, why: impl Into<String>) {
        self.breaches.push(Breach { law, path: path.clone(), why: why.into() });
    }

    /// A value for a message; never a sensitive one.
    fn show(&self, value: &Value) -> String {
        show(value, self.hidden)
    }

    /// Whether a value has the schema's type; further laws make no sense where it has not.
    fn fits(&mut self, value: &Value, ty: &Type) -> bool {
        match value.misfit(ty) {
            None => true,
            Some((path, why)) => {
                self.accuse(Law::FitsSchema, &path, why);
                false
            }
        }
    }
}

/// A value for a message; never a sensitive one.
fn show(value: &Value, hidden: bool) -> String {
    match value {
        Value::Null => "null".to_owned(),
        Value::Unknown(_) => "unknown".to_owned(),
        _ if hidden => "a sensitive value".to_owned(),
        Value::Bool(value) => value.to_string(),
        Value::Number(number) => number.to_string(),
        Value::String(text) if text.chars().count() <= 60 => format!("{text:?}"),
        Value::String(_) => "a long string".to_owned(),
        Value::Dynamic(inner) => show(&inner.1, hidden),
        other => match other.length() {
            Some(length) => format!("{} of {length}", other.noun()),
            None => other.noun().to_owned(),
        },
    }
}

/// What the core proposes: the configuration, with what was before where the provider computes and
/// nothing is configured. On create computed attributes are null here, not unknown.
pub fn proposed_new(schema: &Schema, prior: &Value, config: &Value) -> Value {
    match config {
        Value::Object(config) => {
            Value::Object(propose(&schema.attributes, prior.as_object(), config))
        }
        other => other.clone(),
    }
}

fn propose(attributes: &[Attribute], prior: Option<&Object>, config: &Object) -> Object {
    attributes
        .iter()
        .map(|attribute| {
            let prior = prior.map_or(NULL, |prior| get(prior, attribute));
            let value = propose_one(attribute, prior, get(config, attribute));
            (attribute.name.clone(), value)
        })
        .collect()
}

fn propose_one(attribute: &Attribute, prior: &Value, config: &Value) -> Value {
    let nested = match &attribute.kind {
        Kind::Type(_) => None,
        Kind::Nested { nesting, attributes } => Some((*nesting, attributes.as_slice())),
    };
    if config.is_null() {
        if !attribute.computed {
            return Value::Null;
        }
        // What somebody had configured is not the provider's to keep.
        let configured = nested.is_some_and(|(nesting, attributes)| {
            attribute.optional && holds_configured(nesting, attributes, prior)
        });
        return if configured { Value::Null } else { prior.clone() };
    }
    let Some((nesting, attributes)) = nested else { return config.clone() };
    let element = |prior: Option<&Value>, config: &Value| match config {
        Value::Object(config) => {
            Value::Object(propose(attributes, prior.and_then(Value::as_object), config))
        }
        other => other.clone(),
    };
    match (nesting, config) {
        (Nesting::Single, config) => element(Some(prior), config),
        (Nesting::List, Value::List(all)) => Value::List(
            all.iter()
                .enumerate()
                .map(|(index, config)| {
                    let step = Step::Index(i64::try_from(index).unwrap_or(i64::MAX));
                    element(prior.step(&step), config)
                })
                .collect(),
        ),
        (Nesting::Map, Value::Map(all)) => Value::map(all.iter().map(|(key, config)| {
            (key.clone(), element(prior.step(&Step::Key(key.clone())), config))
        })),
        (Nesting::Set, Value::Set(all)) => {
            let priors = match prior {
                Value::Set(all) => all.as_slice(),
                _ => &[],
            };
            let twins = pair(attributes, all, priors);
            Value::set(
                all.iter()
                    .zip(twins)
                    .map(|(config, twin)| element(twin.map(|at| &priors[at]), config)),
            )
        }
        (_, other) => other.clone(),
    }
}

/// Whether a nested value holds anything that only a configuration can have put there.
fn holds_configured(nesting: Nesting, attributes: &[Attribute], value: &Value) -> bool {
    let mut found = false;
    crate::validate::each_object(value, nesting, &Path::root(), &mut |object, _| {
        for attribute in attributes {
            let value = get(object, attribute);
            if value.is_null() {
                continue;
            }
            found |= match &attribute.kind {
                Kind::Nested { nesting, attributes } => {
                    !attribute.computed || holds_configured(*nesting, attributes, value)
                }
                Kind::Type(_) => !attribute.computed,
            };
        }
    });
    found
}

/// The laws of a plan. Of a deferred plan cores check nothing.
pub fn check_plan(
    schema: &Schema,
    config: &Value,
    prior: &Value,
    proposed: &Value,
    planned: &Value,
) -> Vec<Breach> {
    let mut court = Court::default();
    let root = Path::root();
    if proposed.is_null() {
        if !planned.is_null() {
            court.accuse(
                Law::PlanKeepsExistence,
                &root,
                "the object shall be destroyed, and something is planned",
            );
        }
        return court.breaches;
    }
    let Value::Object(plan) = planned else {
        court.accuse(
            Law::PlanKeepsExistence,
            &root,
            format!("an object shall be, and {} is planned", planned.noun()),
        );
        return court.breaches;
    };
    if !court.fits(planned, schema.ty()) {
        return court.breaches;
    }
    let empty = Object::new();
    let config = config.as_object().unwrap_or(&empty);
    plan_object(&schema.attributes, config, prior.as_object(), plan, &root, &mut court);
    court.breaches
}

fn plan_object(
    attributes: &[Attribute],
    config: &Object,
    prior: Option<&Object>,
    planned: &Object,
    at: &Path,
    court: &mut Court,
) {
    let hidden = court.hidden;
    for attribute in attributes {
        court.hidden = hidden || attribute.sensitive;
        plan_attribute(
            attribute,
            get(config, attribute),
            prior.map_or(NULL, |prior| get(prior, attribute)),
            get(planned, attribute),
            &at.then(&attribute.name),
            court,
        );
    }
    court.hidden = hidden;
}

fn plan_attribute(
    attribute: &Attribute,
    config: &Value,
    prior: &Value,
    planned: &Value,
    path: &Path,
    court: &mut Court,
) {
    if attribute.write_only {
        if !planned.is_null() {
            court.accuse(Law::WriteOnlyIsNull, path, "a write-only value is planned");
        }
        return;
    }
    if !attribute.is_configurable() {
        if let Kind::Nested { nesting, attributes } = &attribute.kind {
            write_only_inside(*nesting, attributes, planned, path, court);
        }
        return;
    }
    if config.is_null() {
        if !attribute.computed && !planned.is_null() {
            court.accuse(
                Law::PlanInventsNothing,
                path,
                format!(
                    "it is not configured and not computed, and {} is planned",
                    court.show(planned)
                ),
            );
        } else if let Kind::Nested { nesting, attributes } = &attribute.kind {
            write_only_inside(*nesting, attributes, planned, path, court);
        }
        return;
    }
    let Kind::Nested { nesting, attributes } = &attribute.kind else {
        if !planned.same(config) && (prior.is_null() || !planned.same(prior)) {
            court.accuse(
                Law::PlanKeepsConfig,
                path,
                format!(
                    "{} is configured, and {} is planned",
                    court.show(config),
                    court.show(planned)
                ),
            );
        }
        return;
    };
    if config.is_unknown() {
        if !planned.is_unknown() {
            court.accuse(
                Law::PlanKeepsConfig,
                path,
                format!("it is not known yet, and {} is planned", court.show(planned)),
            );
        }
        return;
    }
    plan_nested(*nesting, attributes, config, prior, planned, path, court);
}

fn plan_nested(
    nesting: Nesting,
    attributes: &[Attribute],
    config: &Value,
    prior: &Value,
    planned: &Value,
    path: &Path,
    court: &mut Court,
) {
    if planned.is_null() || planned.is_unknown() {
        court.accuse(
            Law::PlanKeepsNested,
            path,
            format!("it is configured, and {} is planned", planned.noun()),
        );
        return;
    }
    let mut element =
        |config: &Value, prior: &Value, planned: &Value, path: &Path| match (config, planned) {
            (Value::Object(config), Value::Object(planned)) => {
                plan_object(attributes, config, prior.as_object(), planned, path, court);
            }
            (config, planned) if planned.same(config) => {}
            (config, planned) => court.accuse(
                Law::PlanKeepsNested,
                path,
                format!("{} is configured, and {} is planned", config.noun(), planned.noun()),
            ),
        };
    match (nesting, config, planned) {
        (Nesting::Single, config, planned) => element(config, prior, planned, path),
        (Nesting::List, Value::List(configs), Value::List(plans))
            if configs.len() == plans.len() =>
        {
            for (index, (config, planned)) in configs.iter().zip(plans).enumerate() {
                let step = Step::Index(i64::try_from(index).unwrap_or(i64::MAX));
                element(config, prior.step(&step).unwrap_or(NULL), planned, &path.index(index));
            }
        }
        (Nesting::Map, Value::Map(configs), Value::Map(plans))
            if configs.keys().eq(plans.keys()) =>
        {
            for (key, config) in configs {
                let prior = prior.step(&Step::Key(key.clone())).unwrap_or(NULL);
                element(config, prior, &plans[key], &path.key(key));
            }
        }
        // Of sets cores compare the number of elements only.
        (Nesting::Set, Value::Set(configs), Value::Set(plans)) if configs.len() == plans.len() => {
            write_only_inside(nesting, attributes, planned, path, court);
        }
        (_, config, planned) => court.accuse(
            Law::PlanKeepsNested,
            path,
            format!(
                "{} objects are configured, and {} are planned, or under other keys",
                config.length().unwrap_or(0),
                planned.length().unwrap_or(0)
            ),
        ),
    }
}

/// Accuses every write-only value inside a nested one.
fn write_only_inside(
    nesting: Nesting,
    attributes: &[Attribute],
    value: &Value,
    path: &Path,
    court: &mut Court,
) {
    crate::validate::each_object(value, nesting, path, &mut |object, path| {
        write_only_of(object, attributes, path, court);
    });
}

fn write_only_of(object: &Object, attributes: &[Attribute], at: &Path, court: &mut Court) {
    for attribute in attributes {
        let value = get(object, attribute);
        let path = at.then(&attribute.name);
        if attribute.write_only {
            if !value.is_null() {
                court.accuse(Law::WriteOnlyIsNull, &path, "a write-only value is in the answer");
            }
        } else if let Kind::Nested { nesting, attributes } = &attribute.kind {
            write_only_inside(*nesting, attributes, value, &path, court);
        }
    }
}

/// The law of the attributes because of which a plan asks for a new object.
pub fn check_replace(
    schema: &Schema,
    prior: &Value,
    planned: &Value,
    paths: &[Path],
) -> Vec<Breach> {
    let mut court = Court::default();
    for path in paths {
        let exists = |value: &Value| reaches(value, path);
        let in_schema = match path.steps().first() {
            Some(Step::Attribute(name)) => schema.attribute(name).is_some(),
            _ => false,
        };
        if !in_schema || (!exists(prior) && !exists(planned)) {
            court.accuse(
                Law::ReplacePathExists,
                path,
                "a new object is asked for because of what is in neither state nor plan, or \
                 because of an element of a set",
            );
        }
    }
    court.breaches
}

/// Whether a path leads to something, null included.
fn reaches(value: &Value, path: &Path) -> bool {
    path.steps()
        .iter()
        .try_fold(value, |value, step| value.step(step).or(value.is_unknown().then_some(value)))
        .is_some()
}

/// The law of the plan at apply: same action, every known value kept.
pub fn check_final_plan(schema: &Schema, approved: &Value, repeated: &Value) -> Vec<Breach> {
    let mut court = Court::default();
    if approved.is_null() != repeated.is_null() {
        court.accuse(
            Law::FinalPlanKeepsPlan,
            &Path::root(),
            "one plan destroys the object and the other does not",
        );
        return court.breaches;
    }
    if approved.is_null() || !court.fits(repeated, schema.ty()) {
        return court.breaches;
    }
    let mut weighing = Weighing { law: Law::FinalPlanKeepsPlan, hidden: false, court };
    weighing.object(&schema.attributes, approved, repeated);
    weighing.court.breaches
}

/// The laws of an apply that reports no error.
pub fn check_apply(schema: &Schema, planned: &Value, state: &Value) -> Vec<Breach> {
    let mut court = Court::default();
    match (planned.is_null(), state.is_null()) {
        (true, true) => return court.breaches,
        (true, false) => {
            court.accuse(
                Law::ApplyKeepsExistence,
                &Path::root(),
                "the object was to be deleted, and there still is one",
            );
            return court.breaches;
        }
        (false, true) => {
            court.accuse(
                Law::ApplyKeepsExistence,
                &Path::root(),
                "an object was planned, and there is none",
            );
            return court.breaches;
        }
        (false, false) => {}
    }
    court.breaches.extend(check_stored(schema, state));
    if court.breaches.iter().any(|breach| breach.law == Law::FitsSchema) {
        return court.breaches;
    }
    let mut weighing = Weighing { law: Law::ApplyKeepsPlan, hidden: false, court };
    weighing.object(&schema.attributes, planned, state);
    weighing.court.breaches
}

/// Weighs what came against what was planned.
struct Weighing {
    law: Law,
    hidden: bool,
    court: Court,
}

impl Weighing {
    fn object(&mut self, attributes: &[Attribute], planned: &Value, now: &Value) {
        let (Some(planned), Some(now)) = (planned.as_object(), now.as_object()) else { return };
        for attribute in attributes {
            self.hidden = attribute.sensitive || hides(&attribute.kind);
            let path = Path::attribute(&attribute.name);
            self.value(get(planned, attribute), get(now, attribute), &path);
        }
    }

    fn differs(&mut self, planned: &Value, now: &Value, path: &Path) {
        let why = format!("was {}, now {}", show(planned, self.hidden), show(now, self.hidden));
        self.court.accuse(self.law, path, why);
    }

    fn value(&mut self, planned: &Value, now: &Value, path: &Path) {
        match (planned, now) {
            (Value::Unknown(promise), now) => {
                if let Some(why) = promise.as_ref().and_then(|promise| promise.broken_by(now)) {
                    self.court.accuse(Law::ApplyKeepsPromise, path, why);
                }
            }
            (Value::Object(a), Value::Object(b)) => {
                for (name, planned) in a {
                    self.value(planned, b.get(name).unwrap_or(NULL), &path.then(name));
                }
            }
            (Value::Map(a), Value::Map(b)) if a.keys().eq(b.keys()) => {
                for (key, planned) in a {
                    self.value(planned, &b[key], &path.key(key));
                }
            }
            (Value::List(a), Value::List(b)) | (Value::Tuple(a), Value::Tuple(b))
                if a.len() == b.len() =>
            {
                for (index, (planned, now)) in a.iter().zip(b).enumerate() {
                    self.value(planned, now, &path.index(index));
                }
            }
            // Unknown elements may turn out equal: sets shrink, and never grow.
            (Value::Set(a), Value::Set(b)) => {
                let kin = |now: &Value, planned: &Value| {
                    let mut trial =
                        Weighing { law: self.law, hidden: true, court: Court::default() };
                    trial.value(planned, now, path);
                    trial.court.breaches.is_empty()
                };
                let strays = b.iter().filter(|now| !a.iter().any(|planned| kin(now, planned)));
                let lost = a.iter().filter(|planned| !b.iter().any(|now| kin(now, planned)));
                let (strays, lost) = (strays.count(), lost.count());
                if b.len() > a.len() || strays > 0 || lost > 0 {
                    let why = format!(
                        "{} elements were planned and {} came; {strays} of them were not planned, \
                         {lost} of those planned are not there",
                        a.len(),
                        b.len()
                    );
                    self.court.accuse(self.law, path, why);
                }
            }
            (Value::Dynamic(a), Value::Dynamic(b)) if a.0 == b.0 => {
                self.value(&a.1, &b.1, path);
            }
            // A dynamic value of which only the type was known.
            (Value::Dynamic(a), _) if a.1.is_unknown() && now.is_null() => {}
            (planned, now) if planned.same(now) => {}
            (planned, now) => self.differs(planned, now, path),
        }
    }
}

/// Whether anything sensitive stands inside.
fn hides(kind: &Kind) -> bool {
    match kind {
        Kind::Type(_) => false,
        Kind::Nested { attributes, .. } => {
            attributes.iter().any(|a| a.sensitive || a.write_only || hides(&a.kind))
        }
    }
}

/// The laws of whatever is stored: typed, known, nothing write-only.
fn check_stored(schema: &Schema, state: &Value) -> Vec<Breach> {
    let mut court = Court::default();
    if state.is_null() || !court.fits(state, schema.ty()) {
        return court.breaches;
    }
    for path in state.unknown_paths() {
        court.accuse(Law::StateIsKnown, &path, "the value is unknown");
    }
    if let Value::Object(object) = state {
        write_only_of(object, &schema.attributes, &Path::root(), &mut court);
    }
    court.breaches
}

/// The laws of a read, an upgrade or a move.
pub fn check_read(schema: &Schema, state: &Value) -> Vec<Breach> {
    check_stored(schema, state)
}

/// The laws of an import.
pub fn check_import(schema: &Schema, state: &Value) -> Vec<Breach> {
    if state.is_null() {
        let mut court = Court::default();
        court.accuse(Law::ImportFinds, &Path::root(), "the import found no object and no error");
        return court.breaches;
    }
    check_stored(schema, state)
}

/// The laws of an ephemeral resource: known, typed, and as strict as a plan with what is configured.
pub fn check_open(schema: &Schema, config: &Value, result: &Value) -> Vec<Breach> {
    let mut court = Court::default();
    if !matches!(result, Value::Object(_)) {
        court.accuse(Law::FitsSchema, &Path::root(), format!("the answer is {}", result.noun()));
        return court.breaches;
    }
    court.breaches.extend(check_stored(schema, result));
    if court.breaches.iter().any(|breach| breach.law == Law::FitsSchema) {
        return court.breaches;
    }
    for breach in check_plan(schema, config, NULL, config, result) {
        if breach.law != Law::WriteOnlyIsNull {
            court.breaches.push(Breach { law: Law::EphemeralKeepsConfig, ..breach });
        }
    }
    court.breaches
}

/// The laws of a data source: known, typed, and the configuration echoed.
pub fn check_data(schema: &Schema, config: &Value, state: &Value) -> Vec<Breach> {
    let mut court = Court::default();
    if !matches!(state, Value::Object(_)) {
        court.accuse(Law::FitsSchema, &Path::root(), format!("the answer is {}", state.noun()));
        return court.breaches;
    }
    court.breaches.extend(check_stored(schema, state));
    if court.breaches.iter().any(|breach| breach.law == Law::FitsSchema) {
        return court.breaches;
    }
    // Cores leave it alone; whoever reads the answer takes it for the one to this question.
    for breach in check_plan(schema, config, NULL, config, state) {
        if matches!(breach.law, Law::PlanKeepsConfig | Law::PlanKeepsNested) {
            court.breaches.push(Breach { law: Law::AnswerKeepsConfig, ..breach });
        }
    }
    court.breaches
}

/// The laws of an identity. `prior` is what state has; `may_change` holds for create, replacement
/// and resources that say so.
pub fn check_identity(
    schema: &Schema,
    prior: Option<&Value>,
    now: &Value,
    must_be_known: bool,
    may_change: bool,
) -> Vec<Breach> {
    let mut court = Court::default();
    if !court.fits(now, schema.ty()) {
        return court.breaches;
    }
    if must_be_known {
        for path in now.unknown_paths() {
            court.accuse(Law::IdentityIsKnown, &path, "a part of the identity is unknown");
        }
        if now.is_null() {
            court.accuse(Law::IdentityIsKnown, &Path::root(), "the identity is missing");
        }
    }
    if let Some(prior) = prior
        && !may_change
        && !same_identity(prior, now)
    {
        court.accuse(Law::IdentityIsStable, &Path::root(), "the identity changed");
    }
    court.breaches
}

/// Our own law of peace: where the core proposes what is there already, nothing is planned.
pub fn check_quiet(prior: &Value, proposed: &Value, planned: &Value) -> Vec<Breach> {
    let mut court = Court::default();
    if !prior.is_null() && proposed.same(prior) && !planned.same(prior) {
        let path = prior
            .as_object()
            .and_then(|prior| {
                prior.iter().find(|(name, value)| {
                    planned.step(&Step::Attribute((*name).clone())).is_none_or(|p| !p.same(value))
                })
            })
            .map_or_else(Path::root, |(name, _)| Path::attribute(name));
        court.accuse(
            Law::QuietWhenNothingChanged,
            &path,
            "the configuration agrees with the object, and a change is planned",
        );
    }
    court.breaches
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Refinement;

    fn schema() -> Schema {
        Schema::new(vec![
            Attribute::new("name", Type::String).required(),
            Attribute::new("id", Type::String).computed(),
            Attribute::new("note", Type::String).optional(),
            Attribute::new("mode", Type::String).optional().computed(),
            Attribute::new("secret", Type::String).optional().write_only(),
            Attribute::new("tags", Type::set(Type::String)).optional(),
            Attribute::new("count_of", Type::list(Type::Number)).optional(),
            Attribute::nested(
                "sinks",
                Nesting::Map,
                vec![
                    Attribute::new("path", Type::String).required(),
                    Attribute::new("version", Type::String).computed(),
                ],
            )
            .optional(),
        ])
    }

    fn object(changes: &[(&str, Value)]) -> Value {
        let mut object = crate::value::all_null(&schema().attributes);
        object.insert("name".to_owned(), "x".into());
        for (name, value) in changes {
            object.insert((*name).to_owned(), value.clone());
        }
        Value::Object(object)
    }

    fn sinks(version: Value) -> (&'static str, Value) {
        ("sinks", Value::map([("a", Value::object([("path", "p".into()), ("version", version)]))]))
    }

    fn broken(breaches: &[Breach]) -> Vec<(Law, String)> {
        breaches.iter().map(|b| (b.law, b.path.to_string())).collect()
    }

    fn plan(config: &Value, prior: &Value, planned: &Value) -> Vec<(Law, String)> {
        let proposed = proposed_new(&schema(), prior, config);
        broken(&check_plan(&schema(), config, prior, &proposed, planned))
    }

    #[test]
    fn a_plan_keeps_what_is_configured_or_what_was() {
        let config = object(&[("note", "A".into())]);
        let prior = object(&[("note", "a".into())]);
        assert!(plan(&config, &prior, &config).is_empty());
        assert!(plan(&config, &prior, &prior).is_empty());
        let other = object(&[("note", "b".into())]);
        assert_eq!(plan(&config, &prior, &other), [(Law::PlanKeepsConfig, "note".to_owned())]);
        let unknown = object(&[("note", Value::unknown())]);
        assert_eq!(plan(&config, &prior, &unknown), [(Law::PlanKeepsConfig, "note".to_owned())]);
        assert_eq!(plan(&unknown, &Value::Null, &config), [(Law::PlanKeepsConfig, "note".into())]);
    }

    #[test]
    fn a_plan_invents_nothing_where_nothing_is_computed() {
        let config = object(&[]);
        let planned = object(&[("note", "n".into()), ("mode", "m".into()), ("id", "i".into())]);
        assert_eq!(
            plan(&config, &Value::Null, &planned),
            [(Law::PlanInventsNothing, "note".to_owned())]
        );
    }

    #[test]
    fn a_plan_keeps_nested_objects() {
        let config = object(&[sinks(Value::Null)]);
        assert!(plan(&config, &Value::Null, &object(&[sinks("1".into())])).is_empty());
        for wrong in [Value::Null, Value::unknown(), Value::map::<&str>([])] {
            assert_eq!(
                plan(&config, &Value::Null, &object(&[("sinks", wrong)])),
                [(Law::PlanKeepsNested, "sinks".to_owned())]
            );
        }
    }

    #[test]
    fn what_is_write_only_is_never_planned_nor_stored() {
        let config = object(&[("secret", "s".into())]);
        assert_eq!(
            plan(&config, &Value::Null, &config),
            [(Law::WriteOnlyIsNull, "secret".to_owned())]
        );
        assert_eq!(
            broken(&check_read(&schema(), &config)),
            [(Law::WriteOnlyIsNull, "secret".to_owned())]
        );
    }

    #[test]
    fn a_destroy_plans_nothing_and_a_change_plans_something() {
        let prior = object(&[]);
        let destroy = check_plan(&schema(), &Value::Null, &prior, &Value::Null, &prior);
        assert_eq!(destroy[0].law, Law::PlanKeepsExistence);
        assert_eq!(
            plan(&object(&[]), &prior, &Value::Null),
            [(Law::PlanKeepsExistence, String::new())]
        );
    }

    #[test]
    fn an_apply_brings_what_was_planned() {
        let planned = object(&[("id", Value::unknown()), ("note", "n".into())]);
        let good = object(&[("id", "7".into()), ("note", "n".into())]);
        assert!(check_apply(&schema(), &planned, &good).is_empty());
        let other = object(&[("id", "7".into()), ("note", "m".into())]);
        let breaches = check_apply(&schema(), &planned, &other);
        assert_eq!(breaches[0].to_string(), "ApplyKeepsPlan: was \"n\", now \"m\" (at note)");
        assert_eq!(
            broken(&check_apply(&schema(), &planned, &planned)),
            [(Law::StateIsKnown, "id".to_owned())]
        );
        assert_eq!(check_apply(&schema(), &planned, &Value::Null)[0].law, Law::ApplyKeepsExistence);
        assert_eq!(check_apply(&schema(), &Value::Null, &good)[0].law, Law::ApplyKeepsExistence);
    }

    #[test]
    fn an_empty_list_is_not_null() {
        let planned = object(&[("count_of", Value::List(Vec::new()))]);
        assert_eq!(
            broken(&check_apply(&schema(), &planned, &object(&[]))),
            [(Law::ApplyKeepsPlan, "count_of".to_owned())]
        );
    }

    #[test]
    fn a_set_may_shrink_and_never_grows() {
        let set = |all: &[Value]| object(&[("tags", Value::set(all.to_vec()))]);
        let planned = set(&[Value::unknown(), "a".into()]);
        assert!(check_apply(&schema(), &planned, &set(&["a".into()])).is_empty());
        assert!(check_apply(&schema(), &planned, &set(&["a".into(), "b".into()])).is_empty());
        for wrong in [set(&["b".into()]), set(&["a".into(), "b".into(), "c".into()])] {
            assert_eq!(
                broken(&check_apply(&schema(), &planned, &wrong)),
                [(Law::ApplyKeepsPlan, "tags".to_owned())]
            );
        }
    }

    #[test]
    fn a_promise_holds() {
        let promise = Value::Unknown(Some(Box::new(Refinement::prefix("bao/"))));
        let planned = object(&[("id", promise)]);
        assert!(check_apply(&schema(), &planned, &object(&[("id", "bao/x".into())])).is_empty());
        for wrong in [Value::Null, "oauth/x".into()] {
            assert_eq!(
                broken(&check_apply(&schema(), &planned, &object(&[("id", wrong)]))),
                [(Law::ApplyKeepsPromise, "id".to_owned())]
            );
        }
    }

    #[test]
    fn the_plan_at_apply_keeps_the_approved_one() {
        let approved = object(&[("id", "7".into())]);
        assert!(check_final_plan(&schema(), &approved, &approved).is_empty());
        let unknown = object(&[("id", Value::unknown())]);
        assert!(check_final_plan(&schema(), &unknown, &approved).is_empty());
        assert_eq!(
            broken(&check_final_plan(&schema(), &approved, &unknown)),
            [(Law::FinalPlanKeepsPlan, "id".to_owned())]
        );
    }

    #[test]
    fn a_new_object_is_asked_for_because_of_what_exists() {
        let prior = object(&[sinks("1".into()), ("tags", Value::set(["a".into()]))]);
        let check = |path: Path| check_replace(&schema(), &prior, &prior, &[path]);
        assert!(check("name".into()).is_empty());
        assert!(check("note".into()).is_empty());
        assert!(check(Path::attribute("sinks").key("a").then("path")).is_empty());
        assert_eq!(check("nothing".into())[0].law, Law::ReplacePathExists);
        assert_eq!(check(Path::attribute("tags").index(0))[0].law, Law::ReplacePathExists);
    }

    #[test]
    fn an_identity_is_complete_and_for_all_time() {
        let schema = Schema::new(vec![Attribute::new("id", Type::String).required()]);
        let of = |id: Value| Value::object([("id", id)]);
        let check = |prior: Option<&Value>, now: Value| {
            check_identity(&schema, prior, &now, true, false).first().map(|breach| breach.law)
        };
        assert_eq!(check(None, of("a".into())), None);
        assert_eq!(check(Some(&of(Value::Null)), of("a".into())), None);
        assert_eq!(check(Some(&of("b".into())), of("a".into())), Some(Law::IdentityIsStable));
        assert_eq!(check(None, of(Value::unknown())), Some(Law::IdentityIsKnown));
        let parts = ["a", "b"].map(|name| Attribute::new(name, Type::String).optional());
        let two = Schema::new(parts.to_vec());
        let of_two = |a: Value, b: Value| Value::object([("a", a), ("b", b)]);
        let (half, whole) = (of_two("x".into(), Value::Null), of_two("x".into(), "y".into()));
        // What an import left open is filled in, and nothing is forgotten.
        assert_eq!(check_identity(&two, Some(&half), &whole, true, false), []);
        let forgot = check_identity(&two, Some(&whole), &half, true, false);
        assert_eq!(forgot[0].law, Law::IdentityIsStable);
        assert_eq!(check(None, Value::object([("x", true.into())])), Some(Law::FitsSchema));
    }

    #[test]
    fn an_import_finds_and_a_data_source_echoes() {
        assert_eq!(check_import(&schema(), &Value::Null)[0].law, Law::ImportFinds);
        let config = object(&[("note", "n".into())]);
        assert!(check_data(&schema(), &config, &config).is_empty());
        assert_eq!(check_data(&schema(), &config, &object(&[]))[0].law, Law::AnswerKeepsConfig);
        let config = object(&[sinks(Value::Null)]);
        assert_eq!(check_data(&schema(), &config, &object(&[sinks("1".into())])), []);
        let other = Value::object([("path", "q".into()), ("version", Value::Null)]);
        let other = object(&[("sinks", Value::map([("a", other)]))]);
        assert_eq!(
            broken(&check_data(&schema(), &config, &other)),
            [(Law::AnswerKeepsConfig, "sinks[\"a\"].path".to_owned())]
        );
    }

    #[test]
    fn an_ephemeral_resource_echoes_and_invents_nothing() {
        let config = object(&[("note", "n".into())]);
        let check = |result: &Value| broken(&check_open(&schema(), &config, result));
        assert_eq!(check(&object(&[("note", "n".into()), ("id", "i".into())])), []);
        let (other, unknown) = (object(&[("note", "m".into())]), ("id", Value::unknown()));
        assert_eq!(check(&other), [(Law::EphemeralKeepsConfig, "note".to_owned())]);
        let invented = object(&[("note", "n".into()), sinks(Value::Null)]);
        assert_eq!(check(&invented), [(Law::EphemeralKeepsConfig, "sinks".to_owned())]);
        let unknown = object(&[("note", "n".into()), unknown]);
        assert_eq!(check(&unknown), [(Law::StateIsKnown, "id".to_owned())]);
        assert_eq!(check(&Value::Null)[0].0, Law::FitsSchema);
    }

    #[test]
    fn nothing_changed_is_nothing_planned() {
        let prior = object(&[("mode", "m".into())]);
        assert!(check_quiet(&prior, &prior, &prior).is_empty());
        let noisy = object(&[("mode", Value::unknown())]);
        assert_eq!(
            broken(&check_quiet(&prior, &prior, &noisy)),
            [(Law::QuietWhenNothingChanged, "mode".to_owned())]
        );
    }

    #[test]
    fn a_proposal_keeps_what_is_computed_and_drops_what_was_configured() {
        let prior = object(&[("id", "7".into()), ("note", "n".into()), ("mode", "m".into())]);
        let config = object(&[]);
        let expected = object(&[("id", "7".into()), ("mode", "m".into())]);
        assert_eq!(proposed_new(&schema(), &prior, &config), expected);
        assert_eq!(proposed_new(&schema(), &Value::Null, &config), config);
        let prior = object(&[sinks("1".into())]);
        let config = object(&[sinks(Value::Null)]);
        assert_eq!(proposed_new(&schema(), &prior, &config), prior);
    }

    #[test]
    fn a_sensitive_value_is_in_no_message() {
        let plain = || Attribute::new("s", Type::String).optional();
        let of = |s: Value| Value::object([("s", s)]);
        type Shape = fn(Value) -> Value;
        let nested = |nesting| Attribute::nested("s", nesting, vec![plain()]).optional();
        let mut shapes: Vec<(Attribute, Shape)> = vec![
            (plain(), |s| s),
            (nested(Nesting::Single), |s| Value::object([("s", s)])),
            (nested(Nesting::List), |s| Value::List(vec![Value::object([("s", s)])])),
            (nested(Nesting::Map), |s| Value::map([("k", Value::object([("s", s)]))])),
            (nested(Nesting::Set), |s| Value::set([Value::object([("s", s)])])),
        ];
        let deep = Attribute::nested("s", Nesting::Single, vec![nested(Nesting::List)]).optional();
        shapes.push((deep, |s| {
            let list = Value::List(vec![Value::object([("s", s)])]);
            Value::object([("s", list)])
        }));
        for (attribute, shape) in shapes {
            let schema = Schema::new(vec![attribute.sensitive()]);
            let (one, other) = (of(shape("hush".into())), of(shape("hush-hush".into())));
            let (null, unknown) = (of(Value::Null), of(Value::unknown()));
            let mut breaches = check_apply(&schema, &one, &other);
            for (config, planned) in
                [(&one, &other), (&null, &one), (&unknown, &one), (&one, &unknown)]
            {
                breaches.extend(check_plan(&schema, config, &null, config, planned));
            }
            breaches.extend(check_final_plan(&schema, &one, &other));
            breaches.extend(check_open(&schema, &one, &other));
            breaches.extend(check_data(&schema, &one, &other));
            assert!(breaches.len() >= 5, "{breaches:?}");
            assert!(breaches.iter().all(|one| !one.to_string().contains("hush")), "{breaches:?}");
        }
    }
}
