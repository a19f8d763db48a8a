//! What the derive makes of a struct.

use std::collections::BTreeMap;

use tfplugin::{
    Attr, Dynamic, Kind, Model, Nesting, Number, Object, Set, Stability, Type, Value, model,
};

/// The inner one.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Model)]
struct Inner {
    /// A word.
    #[tf(required)]
    word: Attr<String>,
}

/// All kinds.
///
/// In a second paragraph.
#[derive(Clone, Debug, PartialEq, Model)]
struct All {
    #[tf(required)]
    r#type: Attr<String>,
    #[tf(optional, name = "for")]
    purpose: Attr<bool>,
    #[tf(default = vec!["a".to_owned()], deprecated = "use nothing")]
    list: Attr<Vec<String>>,
    #[tf(computed, volatile, not_null)]
    number: Attr<Number>,
    #[tf(optional, replace)]
    set: Attr<Set<i64>>,
    #[tf(optional)]
    map: Attr<BTreeMap<String, Vec<bool>>>,
    #[tf(optional)]
    any: Attr<Dynamic>,
    #[tf(optional)]
    holes: Attr<Vec<Attr<String>>>,
    #[tf(optional)]
    one: Attr<Inner>,
    #[tf(optional)]
    many: Attr<Vec<Inner>>,
    #[tf(optional)]
    distinct: Attr<Set<Inner>>,
    #[tf(optional)]
    keyed: Attr<BTreeMap<String, Inner>>,
    #[tf(flatten)]
    inner: Inner,
}

#[test]
fn a_struct_gives_its_schema() {
    assert_eq!(All::description(), "All kinds.\n\nIn a second paragraph.");
    let attributes = All::attributes();
    let find = |name: &str| attributes.iter().find(|a| a.name == name).unwrap();
    let names: Vec<&str> = attributes.iter().map(|a| a.name.as_str()).collect();
    assert_eq!(names[..3], ["type", "for", "list"]);
    assert_eq!(find("word").description, "A word.");
    assert_eq!(find("list").default, Some(Value::List(vec!["a".into()])));
    assert_eq!(find("list").deprecation.as_deref(), Some("use nothing"));
    assert!(find("list").optional && find("list").computed);
    assert_eq!(find("number").stability, Stability::Volatile);
    assert!(find("set").requires_replace);
    assert_eq!(find("map").ty(), Type::map(Type::list(Type::Bool)));
    assert_eq!(find("any").ty(), Type::Dynamic);
    assert_eq!(find("holes").ty(), Type::list(Type::String));
    for (name, nesting) in [
        ("one", Nesting::Single),
        ("many", Nesting::List),
        ("distinct", Nesting::Set),
        ("keyed", Nesting::Map),
    ] {
        let Kind::Nested { nesting: found, attributes } = &find(name).kind else {
            panic!("{name} is not nested");
        };
        assert_eq!((*found, attributes.len()), (nesting, 1), "{name}");
    }
}

#[test]
fn a_struct_reads_and_writes_its_object() {
    let inner = |word: &str| Inner { word: word.into() };
    let all = All {
        r#type: "t".into(),
        purpose: Attr::unknown(),
        list: Attr::Null,
        number: Attr::unknown_not_null(),
        set: Attr::Value(Set::from([2, 1])),
        map: Attr::Value(BTreeMap::from([("k".to_owned(), vec![true])])),
        any: Attr::Value(Dynamic { ty: Type::Bool, value: true.into() }),
        holes: Attr::Value(vec![Attr::Null, Attr::unknown(), "x".into()]),
        one: inner("1").into(),
        many: vec![inner("2")].into(),
        distinct: Attr::Value(Set::from([inner("3")])),
        keyed: Attr::Value(BTreeMap::from([("k".to_owned(), inner("4"))])),
        inner: inner("5"),
    };
    let value = model::to_value(&all);
    assert_eq!(value.misfit(&tfplugin::schema::implied(&All::attributes())), None);
    assert_eq!(value.at(&"for".into()), Some(&Value::unknown()));
    assert_eq!(value.at(&"word".into()), Some(&"5".into()));
    assert_eq!(model::from_value::<All>(&value).unwrap(), all);
}

#[test]
fn a_list_with_an_unknown_element_is_unknown_to_who_has_no_place_for_it() {
    let object = Object::from([
        ("list".to_owned(), Value::List(vec!["a".into(), Value::unknown()])),
        ("holes".to_owned(), Value::List(vec!["a".into(), Value::unknown()])),
    ]);
    let all = All::read(&object).unwrap();
    assert!(all.list.is_unknown());
    assert_eq!(all.holes.value().unwrap().len(), 2);
}

#[test]
fn a_value_that_does_not_fit_is_named() {
    let wrong = |name: &str, value: Value| {
        let object = Object::from([(name.to_owned(), value)]);
        let error = All::read(&object).unwrap_err();
        tfplugin::Diagnostic::from(error).detail
    };
    let holes = Value::map([("k", Value::List(vec![Value::Null]))]);
    assert_eq!(wrong("map", holes), "At map[\"k\"][0]: null cannot stand among the elements.");
    let half = Value::Set(vec![Value::Number("1.5".parse().unwrap())]);
    assert!(wrong("set", half).contains("it is no whole number"));
    let many = Value::List(vec![Value::object([("word", true.into())])]);
    assert_eq!(wrong("many", many), "At many[0].word: a bool is no string.");
}
