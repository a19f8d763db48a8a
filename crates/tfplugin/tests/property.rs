//! Properties of the engine, the laws and the codecs, over random schemas, configurations and
//! objects.

use proptest::prelude::*;
use tfplugin::erased::ClientCapabilities;
use tfplugin::schema::Place;
use tfplugin::{
    Attribute, Kind, Nesting, Number, Object, Path, Refinement, Schema, Type, Value, json, laws,
    msgpack, plan, validate, value,
};

/// Draws choices from bytes, so that shrinking the bytes shrinks what is made of them.
#[derive(Debug)]
struct Choices {
    bytes: Vec<u8>,
    position: usize,
    serial: i64,
}

impl Choices {
    fn new(bytes: Vec<u8>) -> Self {
        Self { bytes, position: 0, serial: 0 }
    }

    /// Below `count`; 0 when the bytes are used up.
    fn below(&mut self, count: u8) -> u8 {
        let byte = self.bytes.get(self.position).copied().unwrap_or(0);
        self.position += 1;
        byte % count
    }

    fn coin(&mut self) -> bool {
        self.below(2) == 1
    }

    fn fresh(&mut self) -> i64 {
        self.serial += 1;
        self.serial
    }

    fn ty(&mut self, depth: u8) -> Type {
        match self.below(if depth == 0 { 3 } else { 8 }) {
            0 => Type::String,
            1 => Type::Bool,
            2 => Type::Number,
            3 => Type::list(self.ty(depth - 1)),
            4 => Type::set(self.ty(depth - 1)),
            5 => Type::map(self.ty(depth - 1)),
            6 => Type::object([("x", self.ty(depth - 1)), ("y", self.ty(depth - 1))]),
            _ => Type::Tuple(vec![self.ty(depth - 1), Type::String]),
        }
    }

    /// A value of the type; with `unknowns`, parts may be unknown.
    fn value(&mut self, ty: &Type, unknowns: bool) -> Value {
        if unknowns && self.below(6) == 5 {
            return Value::unknown();
        }
        let count = if matches!(ty, Type::List(_) | Type::Set(_) | Type::Map(_)) {
            self.below(3)
        } else {
            0
        };
        match ty {
            Type::String => match self.below(4) {
                0 => "".into(),
                1 => "a".into(),
                2 => Value::string("e\u{301}\u{1F600}"),
                _ => Value::string(self.fresh().to_string()),
            },
            Type::Bool => self.coin().into(),
            Type::Number => {
                let text =
                    ["0", "-7", "1.5", "0.1", "9223372036854775808", "12345678901234567890.25"];
                let text = text[usize::from(self.below(6))];
                Value::Number(text.parse().unwrap())
            }
            Type::List(of) => Value::List((0..count).map(|_| self.value(of, unknowns)).collect()),
            Type::Set(of) => Value::set((0..count).map(|_| self.value(of, unknowns))),
            Type::Map(of) => {
                Value::map((0..count).map(|i| (format!("k{i}"), self.value(of, unknowns))))
            }
            Type::Object(types) => Value::Object(
                types.iter().map(|(name, ty)| (name.clone(), self.value(ty, unknowns))).collect(),
            ),
            Type::Tuple(types) => {
                Value::Tuple(types.iter().map(|ty| self.value(ty, unknowns)).collect())
            }
            Type::Dynamic => {
                let ty = self.ty(1);
                let value = self.value(&ty, unknowns);
                Value::Dynamic(Box::new((ty, value)))
            }
        }
    }

    fn attributes(&mut self, depth: u8, in_set: bool, computed_only: bool) -> Vec<Attribute> {
        (0..=self.below(3))
            .map(|index| self.attribute(format!("a{index}"), depth, in_set, computed_only))
            .collect()
    }

    fn attribute(
        &mut self,
        name: String,
        depth: u8,
        in_set: bool,
        computed_only: bool,
    ) -> Attribute {
        let mode = if computed_only { 2 } else { self.below(5) };
        let mut attribute = if depth > 0 && self.below(3) == 2 {
            let nesting = [Nesting::Single, Nesting::List, Nesting::Set, Nesting::Map];
            let nesting = nesting[usize::from(self.below(4))];
            let inner = self.attributes(depth - 1, in_set || nesting == Nesting::Set, mode == 2);
            Attribute::nested(name, nesting, inner)
        } else if !in_set && self.below(8) == 7 {
            Attribute::new(name, Type::Dynamic)
        } else {
            let ty = self.ty(1);
            Attribute::new(name, ty)
        };
        attribute = match mode {
            0 => attribute.required(),
            1 => attribute.optional(),
            2 => attribute.computed(),
            _ => attribute.optional().computed(),
        };
        let plain = match &attribute.kind {
            Kind::Type(ty) => Some(ty.clone()),
            Kind::Nested { .. } => None,
        };
        if let (4, Some(ty)) = (mode, &plain) {
            let default = self.value(ty, false);
            attribute = attribute.default_to(default);
        }
        if attribute.computed && self.below(4) == 3 {
            attribute = attribute.volatile();
        }
        if mode < 2 && !in_set && plain.is_some() && self.below(6) == 5 {
            attribute = attribute.write_only();
        }
        if self.below(4) == 3 {
            attribute = attribute.replace();
        }
        attribute
    }

    /// What a user may write.
    fn config(&mut self, attributes: &[Attribute], unknowns: bool) -> Object {
        self.objects(attributes, &mut |choices, attribute| {
            if !attribute.is_configurable() {
                return Some(Value::Null);
            }
            if !attribute.required && choices.coin() {
                return Some(Value::Null);
            }
            if unknowns && choices.below(8) == 7 {
                return Some(Value::unknown());
            }
            match &attribute.kind {
                Kind::Type(ty) => {
                    let mut value = choices.value(ty, unknowns);
                    if value.is_null() {
                        value = Value::unknown();
                    }
                    Some(value)
                }
                Kind::Nested { .. } => None,
            }
        })
    }

    /// What a state may hold.
    fn state(&mut self, attributes: &[Attribute]) -> Object {
        self.objects(attributes, &mut |choices, attribute| {
            if attribute.write_only || choices.below(4) == 3 {
                return Some(Value::Null);
            }
            match &attribute.kind {
                Kind::Type(ty) => Some(choices.value(ty, false)),
                Kind::Nested { .. } => None,
            }
        })
    }

    fn objects(
        &mut self,
        attributes: &[Attribute],
        leaf: &mut dyn FnMut(&mut Self, &Attribute) -> Option<Value>,
    ) -> Object {
        let mut object = Object::new();
        for attribute in attributes {
            let value = match (leaf(self, attribute), &attribute.kind) {
                (Some(value), _) => value,
                (None, Kind::Nested { nesting, attributes }) => {
                    let count = if *nesting == Nesting::Single { 1 } else { self.below(3) };
                    let mut all: Vec<Value> =
                        (0..count).map(|_| Value::Object(self.objects(attributes, leaf))).collect();
                    match nesting {
                        Nesting::Single => all.remove(0),
                        Nesting::List => Value::List(all),
                        Nesting::Set => Value::set(all),
                        Nesting::Map => Value::map(
                            all.into_iter().enumerate().map(|(i, v)| (format!("k{i}"), v)),
                        ),
                    }
                }
                (None, Kind::Type(_)) => Value::Null,
            };
            object.insert(attribute.name.clone(), value);
        }
        object
    }

    /// What an honest provider brings: a fresh known value for everything unknown.
    fn fill(&mut self, planned: &Value, ty: &Type) -> Value {
        match (planned, ty) {
            (Value::Unknown(_), Type::String) => Value::string(format!("made-{}", self.fresh())),
            (Value::Unknown(_), Type::Number) => Value::int(1000 + self.fresh()),
            (Value::Unknown(_), ty) => self.value(ty, false),
            (Value::List(all), Type::List(of)) => {
                Value::List(all.iter().map(|v| self.fill(v, of)).collect())
            }
            (Value::Set(all), Type::Set(of)) => {
                Value::set(all.iter().map(|v| self.fill(v, of)).collect::<Vec<_>>())
            }
            (Value::Map(all), Type::Map(of)) => {
                Value::Map(all.iter().map(|(k, v)| (k.clone(), self.fill(v, of))).collect())
            }
            (Value::Tuple(all), Type::Tuple(types)) => {
                Value::Tuple(all.iter().zip(types).map(|(v, ty)| self.fill(v, ty)).collect())
            }
            (Value::Object(all), Type::Object(types)) => Value::Object(
                all.iter().map(|(k, v)| (k.clone(), self.fill(v, &types[k]))).collect(),
            ),
            (Value::Dynamic(inner), Type::Dynamic) => {
                let value = self.fill(&inner.1, &inner.0);
                Value::Dynamic(Box::new((inner.0.clone(), value)))
            }
            (known, _) => known.clone(),
        }
    }
}

impl Choices {
    /// A known value of the type that is not this one.
    fn other(&mut self, ty: &Type, than: &Value) -> Value {
        let value = self.value(ty, false);
        match (value.same(than), than.is_null()) {
            (false, _) => value,
            (true, false) => Value::Null,
            (true, true) => panic!("a drawn value is not null"),
        }
    }
}

/// The attributes that hold a value of their own, and where they stand. (Of elements of sets cores
/// compare the number, and paths do not lead into them.)
fn leaves<'a>(
    attributes: &'a [Attribute],
    object: &Value,
    at: &Path,
    all: &mut Vec<(Path, &'a Attribute)>,
) {
    let Value::Object(object) = object else { return };
    for attribute in attributes {
        let (path, value) = (at.then(&attribute.name), &object[&attribute.name]);
        match (&attribute.kind, value) {
            (Kind::Type(_), _) => all.push((path, attribute)),
            (Kind::Nested { attributes, .. }, Value::Object(_)) => {
                leaves(attributes, value, &path, all);
            }
            (Kind::Nested { attributes, .. }, Value::List(elements)) => {
                for (index, element) in elements.iter().enumerate() {
                    leaves(attributes, element, &path.index(index), all);
                }
            }
            (Kind::Nested { attributes, .. }, Value::Map(elements)) => {
                for (key, element) in elements {
                    leaves(attributes, element, &path.key(key), all);
                }
            }
            _ => {}
        }
    }
}

fn capabilities() -> ClientCapabilities {
    ClientCapabilities { write_only_attributes_allowed: true, ..ClientCapabilities::default() }
}

fn choices() -> impl Strategy<Value = Choices> {
    prop::collection::vec(any::<u8>(), 0..160).prop_map(Choices::new)
}

fn engine(schema: &Schema, config: &Value, prior: &Value) -> (Value, Value) {
    let proposed = laws::proposed_new(schema, prior, config);
    let planned = plan::engine(
        &schema.attributes,
        config.as_object().unwrap(),
        prior.as_object(),
        proposed.as_object().unwrap().clone(),
    );
    (proposed, Value::Object(planned))
}

/// The sizes of all sets, in order: an apply may make two elements equal.
fn set_sizes(value: &Value, sizes: &mut Vec<usize>) {
    match value {
        Value::Set(all) => {
            sizes.push(all.len());
            all.iter().for_each(|v| set_sizes(v, sizes));
        }
        Value::List(all) | Value::Tuple(all) => all.iter().for_each(|v| set_sizes(v, sizes)),
        Value::Map(all) | Value::Object(all) => all.values().for_each(|v| set_sizes(v, sizes)),
        _ => {}
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn what_the_engine_plans_keeps_the_laws(mut choices in choices()) {
        let schema = Schema::new(choices.attributes(2, false, false));
        prop_assert!(schema.faults(Place::Resource).is_empty(), "{:?}", schema);
        let config = Value::Object(choices.config(&schema.attributes, true));
        // Elements of a set that defaults make equal are refused by validation.
        let refused = validate::attributes(&schema.attributes, &config, capabilities());
        if refused.has_errors() {
            return Ok(());
        }
        let prior = if choices.coin() {
            Value::Object(choices.state(&schema.attributes))
        } else {
            Value::Null
        };
        let (proposed, planned) = engine(&schema, &config, &prior);
        let breaches = laws::check_plan(&schema, &config, &prior, &proposed, &planned);
        prop_assert!(breaches.is_empty(), "{:?}\n{:#?}", breaches, schema);
    }

    #[test]
    fn a_plan_twice_is_the_same_and_the_plan_after_apply_is_empty(mut choices in choices()) {
        let schema = Schema::new(choices.attributes(2, false, false));
        let config = Value::Object(choices.config(&schema.attributes, false));
        let prior = if choices.coin() {
            Value::Object(choices.state(&schema.attributes))
        } else {
            Value::Null
        };
        let (_, planned) = engine(&schema, &config, &prior);
        let (_, again) = engine(&schema, &config, &prior);
        prop_assert!(laws::check_final_plan(&schema, &planned, &again).is_empty());

        let state = choices.fill(&planned, schema.ty());
        let state = value::without_write_only(state, &schema.attributes);
        let breaches = laws::check_apply(&schema, &planned, &state);
        prop_assert!(breaches.is_empty(), "{:?}", breaches);

        let (mut before, mut after) = (Vec::new(), Vec::new());
        set_sizes(&planned, &mut before);
        set_sizes(&state, &mut after);
        if before == after {
            let (proposed, next) = engine(&schema, &config, &state);
            prop_assert!(next.same(&state), "{:#?}\n{:?}\n{:?}\n{:?}", schema, config, state, next);
            prop_assert!(laws::check_quiet(&state, &proposed, &next).is_empty());
        }
    }

    #[test]
    fn a_changed_known_value_breaks_a_law(mut choices in choices()) {
        let schema = Schema::new(vec![
            Attribute::new("a", choices.ty(2)).optional().computed(),
            Attribute::new("b", Type::String).computed(),
        ]);
        let ty = schema.ty();
        let planned = choices.value(ty, false);
        let other = choices.value(ty, false);
        let breaches = laws::check_apply(&schema, &planned, &other);
        prop_assert_eq!(breaches.is_empty(), planned == other, "{:?} {:?}", planned, other);
    }

    #[test]
    fn one_changed_leaf_of_an_applied_object_breaks_a_law(
        mut choices in choices(),
        at: prop::sample::Index,
    ) {
        let schema = Schema::new(choices.attributes(2, false, false));
        let config = Value::Object(choices.config(&schema.attributes, false));
        let (_, planned) = engine(&schema, &config, &Value::Null);
        let state = choices.fill(&planned, schema.ty());
        let state = value::without_write_only(state, &schema.attributes);
        prop_assert!(laws::check_apply(&schema, &planned, &state).is_empty());
        let mut all = Vec::new();
        leaves(&schema.attributes, &state, &Path::root(), &mut all);
        // What was planned unknown may come as anything.
        all.retain(|(path, _)| planned.at(path).is_some_and(Value::is_wholly_known));
        if all.is_empty() {
            return Ok(());
        }
        let (path, attribute) = &all[at.index(all.len())];
        let other = choices.other(&attribute.ty(), state.at(path).unwrap());
        let mut changed = state.clone();
        *changed.at_mut(path).unwrap() = other;
        let breaches = laws::check_apply(&schema, &planned, &changed);
        prop_assert!(!breaches.is_empty(), "{path}: {:?}", changed.spelled());
    }

    #[test]
    fn one_changed_leaf_of_a_plan_breaks_a_law(
        mut choices in choices(),
        at: prop::sample::Index,
    ) {
        let schema = Schema::new(choices.attributes(2, false, false));
        let config = Value::Object(choices.config(&schema.attributes, true));
        let prior = if choices.coin() {
            Value::Object(choices.state(&schema.attributes))
        } else {
            Value::Null
        };
        let (proposed, planned) = engine(&schema, &config, &prior);
        let mut all = Vec::new();
        leaves(&schema.attributes, &planned, &Path::root(), &mut all);
        // What the provider computes may be planned as anything.
        all.retain(|(path, attribute)| {
            let configured = config.at(path);
            attribute.write_only
                || configured.is_some_and(|configured| {
                    attribute.is_configurable() && !(configured.is_null() && attribute.computed)
                })
        });
        if all.is_empty() {
            return Ok(());
        }
        let (path, attribute) = &all[at.index(all.len())];
        let other = choices.other(&attribute.ty(), planned.at(path).unwrap());
        // To plan what was before is lawful.
        if !attribute.write_only && prior.at(path).is_some_and(|was| was.same(&other)) {
            return Ok(());
        }
        let mut changed = planned.clone();
        *changed.at_mut(path).unwrap() = other;
        let breaches = laws::check_plan(&schema, &config, &prior, &proposed, &changed);
        prop_assert!(!breaches.is_empty(), "{path}: {:?}", changed.spelled());
    }

    #[test]
    fn msgpack_round_trips(mut choices in choices()) {
        let ty = if choices.below(5) == 4 { Type::Dynamic } else { choices.ty(3) };
        let value = choices.value(&ty, true);
        let bytes = msgpack::encode(&value, &ty).unwrap();
        let back = msgpack::decode(&bytes, &ty).unwrap();
        prop_assert_eq!(back, value);
    }

    #[test]
    fn json_round_trips(mut choices in choices()) {
        let ty = if choices.below(5) == 4 { Type::Dynamic } else { choices.ty(3) };
        let value = choices.value(&ty, false);
        let text = json::encode(&value, &ty).unwrap().to_string();
        prop_assert_eq!(json::decode_bytes(text.as_bytes(), &ty).unwrap(), value);
    }

    #[test]
    fn a_type_round_trips(mut choices in choices()) {
        let ty = choices.ty(4);
        prop_assert_eq!(Type::from_json_bytes(&ty.to_json_bytes()).unwrap(), ty);
    }

    #[test]
    fn any_bytes_give_a_value_or_an_error(mut choices in choices(), bytes: Vec<u8>) {
        let ty = if choices.coin() { Type::Dynamic } else { choices.ty(3) };
        if let Ok(value) = msgpack::decode(&bytes, &ty) {
            prop_assert_eq!(value.misfit(&ty), None);
            prop_assert!(msgpack::encode(&value, &ty).is_ok());
        }
        let _ = json::decode_bytes(&bytes, &ty);
    }

    #[test]
    fn a_damaged_value_gives_a_value_or_an_error(
        mut choices in choices(),
        at: prop::sample::Index,
        byte: u8,
    ) {
        let ty = choices.ty(3);
        let value = choices.value(&ty, true);
        let mut bytes = msgpack::encode(&value, &ty).unwrap();
        let at = at.index(bytes.len());
        bytes[at] = byte;
        if let Ok(value) = msgpack::decode(&bytes, &ty) {
            prop_assert_eq!(value.misfit(&ty), None);
        }
        bytes.truncate(at);
        if !bytes.is_empty() {
            prop_assert!(msgpack::decode(&bytes, &ty).is_err());
        }
    }

    #[test]
    fn a_set_is_the_same_in_any_order(texts: Vec<String>, seed: prop::sample::Index) {
        let mut values: Vec<Value> = texts.iter().map(|t| Value::string(t.as_str())).collect();
        let set = Value::set(values.clone());
        if !values.is_empty() {
            let by = seed.index(values.len());
            values.rotate_left(by);
        }
        values.extend(values.clone());
        prop_assert_eq!(Value::set(values), set);
    }

    #[test]
    fn a_promise_round_trips(
        null in prop::option::of(any::<bool>()),
        prefix in prop::option::of("[a-z\u{e9}]{0,20}"),
        length in prop::option::of(0i64..1000),
        bound in prop::option::of((-1000i64..1000, any::<bool>())),
    ) {
        let promise = Refinement {
            null,
            prefix,
            min_length: length,
            max_length: length.map(|l| l + 1),
            minimum: bound.map(|(n, inclusive)| (Number::from(n), inclusive)),
            maximum: None,
        };
        let unknown = |promise: Refinement| match promise.is_empty() {
            true => Value::unknown(),
            false => Value::Unknown(Some(Box::new(promise))),
        };
        let only = Refinement { null, ..Refinement::default() };
        for (ty, kept) in [
            (Type::String, Refinement { prefix: promise.prefix.clone(), ..only.clone() }),
            (Type::Number, Refinement { minimum: promise.minimum.clone(), ..only.clone() }),
            (
                Type::list(Type::Bool),
                Refinement {
                    min_length: promise.min_length,
                    max_length: promise.max_length,
                    ..only.clone()
                },
            ),
            (Type::Bool, only.clone()),
        ] {
            let bytes = msgpack::encode(&unknown(promise.clone()), &ty).unwrap();
            prop_assert_eq!(msgpack::decode(&bytes, &ty).unwrap(), unknown(kept));
        }
    }
}

#[test]
fn elements_of_a_set_keep_what_was_computed_for_them() {
    let schema = Schema::new(vec![
        Attribute::nested(
            "s",
            Nesting::Set,
            vec![
                Attribute::new("a", Type::String).optional().computed(),
                Attribute::new("b", Type::String).optional(),
                Attribute::new("id", Type::String).computed(),
            ],
        )
        .optional(),
    ]);
    let element = |a: Value, b: Value, id: Value| Value::object([("a", a), ("b", b), ("id", id)]);
    let of = |all: Vec<Value>| Value::object([("s", Value::set(all))]);
    let null = || Value::Null;
    // The first fits both prior elements, the second only one: both must find theirs.
    let config = of(vec![element(null(), null(), null()), element("1".into(), null(), null())]);
    let prior = of(vec![
        element("1".into(), null(), "x".into()),
        element("made".into(), null(), "y".into()),
    ]);
    assert_eq!(engine(&schema, &config, &prior).1, prior);
    // A new element has nothing from before, and the old ones keep theirs.
    let more = of(vec![
        element(null(), null(), null()),
        element("1".into(), null(), null()),
        element(null(), "new".into(), null()),
    ]);
    let planned = engine(&schema, &more, &prior).1;
    let all = planned.at(&"s".into()).unwrap();
    let Value::Set(all) = all else { panic!("{all:?}") };
    let fresh: Vec<_> = all.iter().filter(|e| !e.is_wholly_known()).collect();
    assert_eq!(fresh, [&element(Value::unknown(), "new".into(), Value::unknown())]);
}
