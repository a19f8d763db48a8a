//! Which part of a resource's attributes is governed.
//!
//! An allow-list, by the names that people write. What is not listed is not in the record: what the
//! platform tells of itself, what Read samples of the time, and labels. A member that is absent is
//! left out, so that an attribute which a later version adds leaves every record as it is until
//! somebody uses it.

use std::{collections::BTreeMap, fmt};

use domain::IntegrationId;

use super::{Action, NEW, Value};

/// Attributes as a plan has them, whether it came over the wire or as JSON.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Attributes {
    /// Absent.
    Null,
    /// Not known before apply.
    Unknown,
    /// A switch.
    Flag(bool),
    /// A whole number.
    Count(i64),
    /// A text.
    Text(String),
    /// A list or a set.
    List(Vec<Attributes>),
    /// An object or a map.
    Map(BTreeMap<String, Attributes>),
}

impl Attributes {
    /// The member of a map; null where it is absent or this is no map.
    pub fn member(&self, name: &str) -> &Attributes {
        match self {
            Attributes::Map(all) => all.get(name).unwrap_or(&Attributes::Null),
            _ => &Attributes::Null,
        }
    }

    /// The text that it is, if it is one.
    pub fn as_text(&self) -> Option<&str> {
        match self {
            Attributes::Text(text) => Some(text),
            _ => None,
        }
    }

    /// The number that it is, if it is one.
    pub fn as_count(&self) -> Option<i64> {
        match self {
            Attributes::Count(count) => Some(*count),
            _ => None,
        }
    }
}

/// How a governed attribute is built.
enum Shape {
    /// A switch, a number or a text.
    Leaf,
    /// What the platform chooses: not known before apply.
    New,
    /// Texts without an order.
    Set,
    /// Texts by name.
    Texts,
    /// An object.
    Object(&'static [Member]),
    /// Objects by name.
    Each(&'static [Member]),
    /// Objects in order.
    List(&'static [Member]),
    /// The same, where what becomes of them is known only when it is done.
    NewList(&'static [Member]),
}

/// A governed attribute.
type Member = (&'static str, Shape);

use Shape::{Each, Leaf, List, New, NewList, Object, Set, Texts};

const OWNER: &[Member] = &[
    ("name", Leaf),
    ("kind", Leaf),
    ("email", Leaf),
    ("directory", Object(&[("connection", Leaf), ("id", Leaf)])),
    ("department", Leaf),
    ("escalation", Leaf),
];

/// Who owns something; the address and the standing of that owner are the owner's own.
const OWNED_BY: Shape = Object(&[("id", Leaf)]);

const INTEGRATION: &[Member] = &[
    ("kind", Leaf),
    ("name", Leaf),
    ("purpose", Leaf),
    ("environment", Leaf),
    ("business_owner", OWNED_BY),
    ("technical_owner", OWNED_BY),
    ("offboarding_owner", OWNED_BY),
    ("execution_mode", Leaf),
    ("category", Leaf),
    ("expires_on", Leaf),
    ("expires_when", Set),
    ("review_every", Leaf),
    ("ceiling", Object(&[("highest_action", Leaf), ("scopes", Set)])),
    ("enabled", Leaf),
    ("incident", Leaf),
    ("revoke_unmanaged", Leaf),
    (
        "workflows",
        Each(&[("version", Leaf), ("reviewed_version", Leaf), ("id", Leaf), ("invokers", Set)]),
    ),
    ("runs_on", Object(&[("id", Leaf)])),
    (
        "reaches",
        Each(&[
            ("category", Leaf),
            ("direction", Leaf),
            ("data", Leaf),
            ("domain", Leaf),
            ("environment", Leaf),
            ("integration", Leaf),
        ]),
    ),
    ("tools", Set),
    ("logs", Leaf),
    ("stop_within", Leaf),
    ("replaces", Leaf),
    ("shared_with", Set),
    ("on_destroy", Leaf),
    ("adoption", Object(&[("complete_by", Leaf), ("steward", Leaf)])),
    ("state", Leaf),
    ("unmanaged_credentials", Set),
];

const SCOPE: &[Member] = &[
    ("scopes", Set),
    ("enforcement", Leaf),
    ("justification", Leaf),
    ("justifications", Texts),
    (
        "temporary",
        Each(&[("from", Leaf), ("until", Leaf), ("justification", Leaf), ("ticket", Leaf)]),
    ),
    ("on_request", Each(&[("max", Leaf), ("approval", Leaf)])),
    ("undeclared", Set),
    ("elevated", Set),
    ("classify", Texts),
];

const TIMES: &[Member] = &[
    ("name", Leaf),
    ("every", Leaf),
    ("anchor", Leaf),
    ("spread", Leaf),
    ("min_age", Leaf),
    ("overlap", Leaf),
    ("overdue_after", Leaf),
    ("lifetime", Leaf),
    ("windows", List(&[("days", Set), ("start", Leaf), ("length", Leaf)])),
    ("timezone", Leaf),
    ("blackout", List(&[("from", Leaf), ("until", Leaf), ("reason", Leaf)])),
    ("outside_window", Leaf),
];

const CREDENTIAL: &[Member] = &[
    ("name", Leaf),
    ("function", Leaf),
    ("drill", Leaf),
    ("schedule", Object(TIMES)),
    ("triggers", Texts),
    ("incident", Leaf),
    ("on_incident", Leaf),
    (
        "deliver_to",
        Each(&[("connection", Leaf), ("path", Leaf), ("fields", Texts), ("merge", Leaf)]),
    ),
    ("secret_source", Leaf),
    ("confirm", Leaf),
    ("interruption", Leaf),
    ("consumer_refresh", Leaf),
    ("key_id", New),
    // Of the first one it is known when it is seen whether somebody had one there before.
    ("generation", New),
    ("previous", NewList(&[("key_id", New), ("generation", Leaf)])),
];

/// The resource types that are governed.
pub const KINDS: [&str; 5] =
    ["nhi_owner", "nhi_integration", "nhi_scope", "nhi_credential", "nhi_rotation_schedule"];

fn members(kind: &str) -> Option<&'static [Member]> {
    Some(match kind {
        "nhi_owner" => OWNER,
        "nhi_integration" => INTEGRATION,
        "nhi_scope" => SCOPE,
        "nhi_credential" => CREDENTIAL,
        "nhi_rotation_schedule" => TIMES,
        _ => return None,
    })
}

/// Why something is no record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Unprojectable {
    /// A governed attribute is not known before apply, so nobody can review it.
    Unknown {
        /// Its path.
        path: String,
    },
    /// It is built otherwise than this version knows it.
    Shape {
        /// Its path.
        path: String,
        /// What is expected there.
        expected: &'static str,
    },
    /// It is none of ours.
    Kind(String),
}

impl fmt::Display for Unprojectable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Unprojectable::Unknown { path } => {
                write!(f, "{path} is not known before apply, so that nobody can review it")
            }
            Unprojectable::Shape { path, expected } => write!(f, "{path}: expected {expected}"),
            Unprojectable::Kind(kind) => write!(f, "{kind:?} is no governed resource type"),
        }
    }
}

impl std::error::Error for Unprojectable {}

/// The governed part of a resource's attributes; null of null.
///
/// # Errors
///
/// A governed attribute is unknown, or built otherwise than expected, with its path.
pub fn project(kind: &str, attributes: &Attributes) -> Result<Value, Unprojectable> {
    let listed = members(kind).ok_or_else(|| Unprojectable::Kind(kind.to_owned()))?;
    let all = match attributes {
        Attributes::Null => return Ok(Value::Null),
        Attributes::Map(all) => all,
        _ => return Err(shape("", "an object")),
    };
    let Value::Map(mut record) = object(listed, all, "")? else { return Ok(Value::Null) };
    // The platform's own settings stand under its own name, and all of them are governed.
    for (name, node) in own_settings(kind, all) {
        if let Some(value) = settings(node, name)? {
            record.insert(name.to_owned(), value);
        }
    }
    Ok(Value::Map(record))
}

/// The attribute that holds what only this platform has: that named as the integration's kind, and of
/// a credential its type.
fn own_settings<'a>(
    kind: &str,
    all: &'a BTreeMap<String, Attributes>,
) -> Vec<(&'a str, &'a Attributes)> {
    match kind {
        "nhi_integration" => {
            let name = all.get("kind").and_then(Attributes::as_text).unwrap_or_default();
            all.get_key_value(name).map(|(name, node)| (name.as_str(), node)).into_iter().collect()
        }
        // A type is an object that no attribute of ours is called by.
        "nhi_credential" => {
            let ours = |name: &str| {
                CREDENTIAL.iter().any(|(listed, _)| *listed == name)
                    || ["integration", "last_revocation"].contains(&name)
            };
            let typed =
                all.iter().filter(|(name, node)| !ours(name) && matches!(node, Attributes::Map(_)));
            typed.map(|(name, node)| (name.as_str(), node)).collect()
        }
        _ => Vec::new(),
    }
}

/// A platform's settings: texts, switches, numbers and sets.
fn settings(node: &Attributes, path: &str) -> Result<Option<Value>, Unprojectable> {
    let all = match node {
        Attributes::Null => return Ok(None),
        Attributes::Map(all) => all,
        Attributes::Unknown => return Err(Unprojectable::Unknown { path: path.to_owned() }),
        _ => return Err(shape(path, "an object")),
    };
    let mut found = BTreeMap::new();
    for (name, node) in all {
        let path = format!("{path}.{name}");
        let value = match node {
            Attributes::List(_) => set(node, &path)?,
            // What the platform chooses is known when it has chosen.
            Attributes::Unknown => Some(Value::text(NEW)),
            node => leaf(node, &path)?,
        };
        if let Some(value) = value {
            found.insert(name.clone(), value);
        }
    }
    Ok(Some(Value::Map(found)))
}

fn object(
    listed: &[Member],
    all: &BTreeMap<String, Attributes>,
    path: &str,
) -> Result<Value, Unprojectable> {
    let mut found = BTreeMap::new();
    for (name, shape) in listed {
        let path = match path {
            "" => (*name).to_owned(),
            path => format!("{path}.{name}"),
        };
        let node = all.get(*name).unwrap_or(&Attributes::Null);
        if let Some(value) = shaped(shape, node, &path)? {
            found.insert((*name).to_owned(), value);
        }
    }
    Ok(Value::Map(found))
}

fn shaped(
    as_listed: &Shape,
    node: &Attributes,
    path: &str,
) -> Result<Option<Value>, Unprojectable> {
    match (as_listed, node) {
        (_, Attributes::Null) => Ok(None),
        (New | NewList(_), Attributes::Unknown) => Ok(Some(Value::text(NEW))),
        (_, Attributes::Unknown) => Err(Unprojectable::Unknown { path: path.to_owned() }),
        (Leaf | New, node) => leaf(node, path),
        (Set, node) => set(node, path),
        (Texts, Attributes::Map(all)) => {
            let mut found = BTreeMap::new();
            for (name, node) in all {
                if let Some(value) = shaped(&Leaf, node, &format!("{path}.{name}"))? {
                    found.insert(name.clone(), value);
                }
            }
            Ok(Some(Value::Map(found)))
        }
        (Object(listed), Attributes::Map(all)) => object(listed, all, path).map(Some),
        (Each(listed), Attributes::Map(all)) => {
            let mut found = BTreeMap::new();
            for (name, node) in all {
                let path = format!("{path}.{name}");
                if let Some(value) = shaped(&Object(listed), node, &path)? {
                    found.insert(name.clone(), value);
                }
            }
            Ok(Some(Value::Map(found)))
        }
        (List(listed) | NewList(listed), Attributes::List(all)) => {
            let mut found = Vec::new();
            for (at, node) in all.iter().enumerate() {
                let path = format!("{path}.{at}");
                found.push(shaped(&Object(listed), node, &path)?.unwrap_or(Value::Null));
            }
            Ok(Some(Value::List(found)))
        }
        (Texts | Object(_) | Each(_), _) => Err(shape(path, "an object")),
        (List(_) | NewList(_), _) => Err(shape(path, "a list")),
    }
}

fn leaf(node: &Attributes, path: &str) -> Result<Option<Value>, Unprojectable> {
    Ok(Some(match node {
        Attributes::Null => return Ok(None),
        Attributes::Flag(flag) => Value::Flag(*flag),
        Attributes::Count(count) => Value::Count(*count),
        Attributes::Text(text) => Value::text(text),
        Attributes::Unknown => return Err(Unprojectable::Unknown { path: path.to_owned() }),
        _ => return Err(shape(path, "a text, a number or a switch")),
    }))
}

fn set(node: &Attributes, path: &str) -> Result<Option<Value>, Unprojectable> {
    let Attributes::List(all) = node else { return Err(shape(path, "a set of texts")) };
    let texts = all.iter().map(|one| match one {
        Attributes::Text(text) => Ok(text.clone()),
        Attributes::Unknown => Err(Unprojectable::Unknown { path: path.to_owned() }),
        _ => Err(shape(path, "a set of texts")),
    });
    texts.collect::<Result<_, _>>().map(|all| Some(Value::Set(all)))
}

fn shape(path: &str, expected: &'static str) -> Unprojectable {
    let path = if path.is_empty() { "the resource" } else { path }.to_owned();
    Unprojectable::Shape { path, expected }
}

/// Where an object lives and what it is called there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    /// The connection that leads to it; none for what no platform has.
    pub connection: Option<String>,
    /// Its own id in a record.
    pub object: String,
}

/// The identity of what a change is about. What exists is called by the platform's id of this very
/// incarnation; what is created by its name, whatever else is known by the time of apply.
///
/// # Errors
///
/// What names it is missing or not known.
pub fn identity(
    kind: &str,
    before: &Attributes,
    after: &Attributes,
) -> Result<Identity, Unprojectable> {
    let exists = *before != Attributes::Null;
    let of = if exists { before } else { after };
    let text = |node: &Attributes, path: &str| match node {
        Attributes::Text(text) => Ok(text.clone()),
        Attributes::Unknown => Err(Unprojectable::Unknown { path: path.to_owned() }),
        _ => Err(shape(path, "a text")),
    };
    let parsed = |node: &Attributes| -> Result<IntegrationId, Unprojectable> {
        text(node, "integration.id")?
            .parse()
            .map_err(|_| shape("integration.id", "an integration's id"))
    };
    let named = |id: &IntegrationId, vendor_id: &Attributes, path: &str| match exists {
        true => Ok(format!("{}/{}", id.kind, text(vendor_id, path)?)),
        false => Ok(format!("{}/{}", id.kind, id.key)),
    };
    Ok(match kind {
        "nhi_owner" | "nhi_rotation_schedule" => {
            Identity { connection: None, object: text(of.member("name"), "name")? }
        }
        "nhi_integration" if exists => {
            let id: IntegrationId = text(of.member("id"), "id")?
                .parse()
                .map_err(|_| shape("id", "an integration's id"))?;
            let object = named(&id, of.member("vendor_id"), "vendor_id")?;
            Identity { connection: Some(id.connection), object }
        }
        "nhi_integration" => {
            let connection = match of.member("connection_name") {
                Attributes::Null => None,
                node => Some(text(node, "connection_name")?),
            };
            let kind = text(of.member("kind"), "kind")?;
            Identity { connection, object: format!("{kind}/{}", text(of.member("name"), "name")?) }
        }
        "nhi_scope" | "nhi_credential" => {
            let integration = of.member("integration");
            let id = parsed(integration.member("id"))?;
            let mut object = named(&id, integration.member("vendor_id"), "integration.vendor_id")?;
            if kind == "nhi_credential" {
                let slot = of.member("name").as_text().unwrap_or("default");
                object = format!("{object}/credential/{slot}");
            }
            Identity { connection: Some(id.connection), object }
        }
        _ => return Err(Unprojectable::Kind(kind.to_owned())),
    })
}

/// What is done, as far as the attributes tell: a generation that moves is a rotation.
pub fn action(before: &Value, after: &Value) -> Option<Action> {
    match (before, after) {
        (Value::Null, Value::Null) => None,
        (Value::Null, _) => Some(Action::Create),
        (_, Value::Null) => Some(Action::Delete),
        (before, after) if before == after => None,
        (before, after) if before.member("generation") != after.member("generation") => {
            Some(Action::Rotate)
        }
        _ => Some(Action::Update),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn text(text: &str) -> Attributes {
        Attributes::Text(text.to_owned())
    }

    fn map<const N: usize>(members: [(&str, Attributes); N]) -> Attributes {
        Attributes::Map(members.into_iter().map(|(name, node)| (name.to_owned(), node)).collect())
    }

    fn list<const N: usize>(all: [&str; N]) -> Attributes {
        Attributes::List(all.into_iter().map(text).collect())
    }

    fn with(attributes: &Attributes, name: &str, node: Attributes) -> Attributes {
        let Attributes::Map(mut all) = attributes.clone() else { unreachable!() };
        all.insert(name.to_owned(), node);
        Attributes::Map(all)
    }

    fn scope() -> Attributes {
        map([
            ("id", text("bao/openbao_approle/x/scope")),
            (
                "integration",
                map([("id", text("bao/openbao_approle/x")), ("vendor_id", text("4f1c"))]),
            ),
            ("scopes", list(["b:read", "a:read"])),
            ("enforcement", text("exact")),
            ("justification", text("It reads invoices, and writes nothing.")),
            ("highest_action", text("read")),
            ("temporary", Attributes::Null),
        ])
    }

    #[test]
    fn what_is_governed_is_in_the_record_and_nothing_else() {
        let record = project("nhi_scope", &scope()).unwrap();
        assert_eq!(
            record.canonical(),
            r#"{"enforcement":"exact","justification":"It reads invoices, and writes nothing.","scopes":["a:read","b:read"]}"#
        );
        // What Read computes of it, what hangs together with it, and what is not known of those.
        let other = with(&scope(), "highest_action", Attributes::Unknown);
        let other = with(&other, "labels", map([("team", text("x"))]));
        assert_eq!(project("nhi_scope", &other), Ok(record.clone()));
        assert_eq!(
            project("nhi_scope", &with(&scope(), "scopes", list(["a:read", "b:read"]))),
            Ok(record)
        );
        assert_eq!(project("nhi_scope", &Attributes::Null), Ok(Value::Null));
        assert_eq!(
            project("aws_iam_user", &scope()),
            Err(Unprojectable::Kind("aws_iam_user".to_owned()))
        );
    }

    #[test]
    fn what_is_governed_and_not_known_is_refused_with_its_path() {
        let at = |attributes: Attributes| match project("nhi_scope", &attributes).unwrap_err() {
            Unprojectable::Unknown { path } => path,
            other => panic!("{other}"),
        };
        assert_eq!(at(with(&scope(), "scopes", Attributes::Unknown)), "scopes");
        let until = map([("a:read", map([("until", Attributes::Unknown)]))]);
        assert_eq!(at(with(&scope(), "temporary", until)), "temporary.a:read.until");
        let one = Attributes::List(vec![text("a:read"), Attributes::Unknown]);
        assert_eq!(at(with(&scope(), "scopes", one)), "scopes");
    }

    #[test]
    fn what_is_built_otherwise_is_refused_with_its_path() {
        let odd = with(&scope(), "temporary", list(["a"]));
        assert_eq!(
            project("nhi_scope", &odd).unwrap_err().to_string(),
            "temporary: expected an object"
        );
        let odd = with(&scope(), "scopes", text("a"));
        assert!(project("nhi_scope", &odd).unwrap_err().to_string().contains("a set of texts"));
        assert!(project("nhi_scope", &text("x")).is_err());
    }

    #[test]
    fn what_the_platform_will_choose_is_new_and_its_own_settings_are_all_governed() {
        let credential = map([
            ("name", text("default")),
            ("generation", Attributes::Count(7)),
            ("key_id", Attributes::Unknown),
            ("expires_at", Attributes::Unknown),
            ("status", text("current")),
            ("last_revocation", map([("grade", text("used"))])),
            ("openbao_secret_id", map([("ttl", text("24h")), ("cidrs", list(["10.0.0.0/8"]))])),
        ]);
        assert_eq!(
            project("nhi_credential", &credential).unwrap().canonical(),
            r#"{"generation":7,"key_id":"(new)","name":"default","openbao_secret_id":{"cidrs":["10.0.0.0/8"],"ttl":"24h"}}"#
        );
        let integration = map([
            ("kind", text("openbao_approle")),
            ("openbao_approle", map([("token_ttl", text("1h")), ("role_id", Attributes::Unknown)])),
            ("labels", map([("a", text("b"))])),
        ]);
        assert_eq!(
            project("nhi_integration", &integration).unwrap().canonical(),
            r#"{"kind":"openbao_approle","openbao_approle":{"role_id":"(new)","token_ttl":"1h"}}"#
        );
    }

    #[test]
    fn an_object_is_called_by_its_incarnation_and_what_is_created_by_its_name() {
        let none = Attributes::Null;
        let of = |kind: &str, before: &Attributes, after: &Attributes| {
            let one = identity(kind, before, after).unwrap();
            (one.connection.unwrap_or_default(), one.object)
        };
        let is = |connection: &str, object: &str| (connection.to_owned(), object.to_owned());
        assert_eq!(of("nhi_scope", &scope(), &none), is("bao", "openbao_approle/4f1c"));
        assert_eq!(of("nhi_scope", &none, &scope()), is("bao", "openbao_approle/x"));
        let credential = with(&scope(), "name", text("spare"));
        assert_eq!(
            of("nhi_credential", &credential, &none),
            is("bao", "openbao_approle/4f1c/credential/spare")
        );
        let integration = map([
            ("id", Attributes::Unknown),
            ("connection_name", text("bao")),
            ("kind", text("openbao_approle")),
            ("name", text("x")),
        ]);
        assert_eq!(of("nhi_integration", &none, &integration), is("bao", "openbao_approle/x"));
        assert_eq!(of("nhi_owner", &none, &map([("name", text("team"))])), is("", "team"));
        // Under another name of the connection it is the same object.
        let renamed = map([(
            "integration",
            map([("id", text("b2/openbao_approle/x")), ("vendor_id", text("4f1c"))]),
        )]);
        assert_eq!(of("nhi_scope", &renamed, &none).1, "openbao_approle/4f1c");
        let unknown = map([("integration", map([("id", Attributes::Unknown)]))]);
        assert!(matches!(
            identity("nhi_scope", &none, &unknown),
            Err(Unprojectable::Unknown { .. })
        ));
    }

    #[test]
    fn a_generation_that_moves_is_a_rotation() {
        let of = |generation| Value::map([("generation", Value::Count(generation))]);
        assert_eq!(action(&Value::Null, &of(1)), Some(Action::Create));
        assert_eq!(action(&of(1), &of(2)), Some(Action::Rotate));
        assert_eq!(action(&of(1), &Value::Null), Some(Action::Delete));
        assert_eq!(action(&of(1), &of(1)), None);
        let named = Value::map([("generation", Value::Count(1)), ("name", Value::text("x"))]);
        assert_eq!(action(&of(1), &named), Some(Action::Update));
    }

    fn attributes() -> impl Strategy<Value = Attributes> {
        let leaf = prop_oneof![
            Just(Attributes::Null),
            Just(Attributes::Unknown),
            any::<bool>().prop_map(Attributes::Flag),
            any::<i64>().prop_map(Attributes::Count),
            ".{0,8}".prop_map(Attributes::Text),
        ];
        leaf.prop_recursive(4, 32, 6, |inner| {
            let name = prop_oneof![
                prop::sample::select([INTEGRATION, SCOPE, CREDENTIAL, TIMES, OWNER].concat_names()),
                ".{0,6}".prop_map(|name| name),
            ];
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..4).prop_map(Attributes::List),
                prop::collection::btree_map(name, inner, 0..8).prop_map(Attributes::Map),
            ]
        })
    }

    trait Names {
        fn concat_names(&self) -> Vec<String>;
    }

    impl Names for [&'static [Member]; 5] {
        fn concat_names(&self) -> Vec<String> {
            self.iter().flat_map(|all| all.iter().map(|(name, _)| (*name).to_owned())).collect()
        }
    }

    proptest! {
        #[test]
        fn whatever_a_plan_has_is_projected_or_refused(
            kind in prop::sample::select(KINDS.to_vec()), before in attributes(), after in attributes()
        ) {
            let _ = project(kind, &before);
            let _ = identity(kind, &before, &after);
        }
    }
}
