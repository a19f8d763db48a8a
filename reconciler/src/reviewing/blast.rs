//! Where whoever has an integration gets to, before a plan and after it. It comes from what the plan itself
//! says is there and is wanted; nothing outside is looked at, and what the plan does not say is unknown.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use domain::{Action, Scope, Ties, ties::MEMBERS};
use plan::{Marks, Plan};
use policy::reach::{Edge, Graph, Holder, Node};
use serde_json::{Map, Value};

/// What is reached from one integration, before and after.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Blast {
    pub(crate) before: Side,
    pub(crate) after: Side,
}

/// What is reached.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Side {
    /// Whether the integration is there at all.
    pub(crate) there: bool,
    /// The most that can be done, as far as it is known.
    pub(crate) highest: Option<Action>,
    /// Each thing that is reached.
    pub(crate) reached: Vec<Reached>,
    /// Of what it is not known where it leads or what it lets do, and why.
    pub(crate) unknown: Vec<(String, String)>,
    /// How fast it must be possible to stop it, where anybody says.
    pub(crate) stop_within: Option<String>,
}

/// One thing that is reached.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Reached {
    pub(crate) kind: &'static str,
    pub(crate) name: String,
    /// The most that can be done there; nothing where a way only leads on.
    pub(crate) action: Option<Action>,
    /// What says so.
    pub(crate) sources: BTreeSet<String>,
    /// The way there in words, where it has more than one step.
    pub(crate) through: Option<String>,
    pub(crate) data: Option<String>,
    pub(crate) environment: Option<String>,
    /// What whoever has it could use that for.
    pub(crate) uses: BTreeSet<&'static str>,
}

impl Side {
    /// One member of each thing that is reached.
    fn each(&self, of: impl Fn(&Reached) -> Option<&str>) -> Vec<String> {
        let all: BTreeSet<&str> = self.reached.iter().filter_map(of).collect();
        all.into_iter().map(str::to_owned).collect()
    }

    /// The most sensitive data, as people call it.
    pub(crate) fn data(&self) -> Vec<String> {
        self.each(|one| one.data.as_deref().filter(|data| *data != "none"))
    }

    /// The environments.
    pub(crate) fn environments(&self) -> Vec<String> {
        self.each(|one| one.environment.as_deref())
    }

    /// All of it in a line.
    pub(crate) fn line(&self) -> String {
        if !self.there {
            return "nothing: it is not there".to_owned();
        }
        let mut parts = vec![match self.reached.len() {
            0 => "nothing that anybody names".to_owned(),
            _ => {
                let names: Vec<String> = self.reached.iter().take(6).map(Reached::short).collect();
                let more = self.reached.len().saturating_sub(6);
                let more = if more > 0 { format!(" and {more} more") } else { String::new() };
                format!("{}{more}", names.join(", "))
            }
        }];
        let list = |what: &str, all: Vec<String>| {
            (!all.is_empty()).then(|| format!("{what} {}", all.join(", ")))
        };
        parts.extend(list("data:", self.data()));
        parts.extend(list("environments:", self.environments()));
        parts.push(match &self.stop_within {
            Some(span) => format!("to be stopped within {span}"),
            None => "how long it takes to stop it is not known".to_owned(),
        });
        if !self.unknown.is_empty() {
            parts.push(format!("not known: {}", self.unknown.len()));
        }
        parts.join(" · ")
    }
}

impl Reached {
    fn short(&self) -> String {
        match self.action {
            Some(action) => format!("{} ({action})", self.name),
            None => self.name.clone(),
        }
    }
}

/// Both sides of a plan.
#[derive(Debug, Default)]
pub(crate) struct World {
    graphs: [Graph; 2],
    stop: [BTreeMap<String, String>; 2],
    there: [BTreeSet<String>; 2],
    seen: BTreeMap<String, Arc<Blast>>,
}

#[derive(Default)]
struct Held {
    ties: Option<Ties>,
    scopes: Option<Vec<(String, Action)>>,
    slots: Vec<String>,
}

fn text<'a>(value: &'a Value, name: &str) -> Option<&'a str> {
    value.get(name).and_then(Value::as_str)
}

/// The id of an integration's attributes, or that which it will have.
fn id_of(values: &Value) -> Option<String> {
    if let Some(id) = text(values, "id") {
        return Some(id.to_owned());
    }
    let connection = text(values, "connection_name").unwrap_or("none");
    Some(format!("{connection}/{}/{}", text(values, "kind")?, text(values, "name")?))
}

/// The integration that a scope or a credential is of.
fn parent_of(values: &Value) -> Option<String> {
    text(values.get("integration")?, "id").map(str::to_owned)
}

/// What one scope lets its holder do: as a person classified it, else as the platform's table has it.
pub(crate) fn action_of(kind: &str, scope: &str, classified: Option<&str>) -> Action {
    if let Some(action) = classified.and_then(|word| word.parse().ok()) {
        return action;
    }
    let Some((platform, kind)) = wiring::kind(kind) else { return Action::Unknown };
    match platform.parse_scope(kind.name, scope) {
        Ok(all) => {
            let all = all.iter().map(|one| platform.action(kind.name, one));
            all.max().unwrap_or(Action::Unknown)
        }
        Err(_) => platform.action(kind.name, &Scope::canonical(scope)),
    }
}

/// What is held, standing or for a while; nothing where a part of it is not known.
fn scopes_of(id: &str, values: &Value, unknown: &Value) -> Option<Vec<(String, Action)>> {
    const PARTS: [&str; 4] = ["scopes", "undeclared", "elevated", "temporary"];
    if ["scopes", "temporary"].iter().any(|name| has_unknown(&unknown[*name])) {
        return None;
    }
    let mut all = BTreeSet::new();
    for name in PARTS {
        match values.get(name) {
            Some(Value::Array(texts)) => all.extend(texts.iter().filter_map(Value::as_str)),
            Some(Value::Object(members)) => all.extend(members.keys().map(String::as_str)),
            _ => {}
        }
    }
    let kind = id.split('/').nth(1).unwrap_or_default();
    let classified = |scope: &str| text(&values["classify"], scope);
    let one = |scope: &str| (scope.to_owned(), action_of(kind, scope, classified(scope)));
    Some(all.into_iter().map(one).collect())
}

fn has_unknown(tree: &Value) -> bool {
    match tree {
        Value::Bool(unknown) => *unknown,
        Value::Array(all) => all.iter().any(has_unknown),
        Value::Object(all) => all.values().any(has_unknown),
        _ => false,
    }
}

impl World {
    /// Puts both sides together.
    pub(crate) fn of(plan: &Plan) -> World {
        let mut world = World::default();
        for at in [0, 1] {
            let mut all: BTreeMap<String, Held> = BTreeMap::new();
            for object in &plan.objects {
                let none = Value::Null;
                let (values, marks, unknown) = match at {
                    0 => (&object.before, &object.hidden_before, &none),
                    _ => (&object.after, &object.hidden_after, &object.unknown),
                };
                // What is left alone, or left unmanaged, is there after it as it was.
                let stays = [plan::Does::Forget, plan::Does::Nothing].contains(&object.does);
                let stays = at == 1 && stays;
                let (values, marks) = match stays {
                    true => (&object.before, &object.hidden_before),
                    false => (values, marks),
                };
                if !values.is_null() && object.deposed.is_none() {
                    let values = match marks {
                        Marks::None => std::borrow::Cow::Borrowed(values),
                        marks => std::borrow::Cow::Owned(marks.masked(values)),
                    };
                    world.take(at, &object.kind, &values, unknown, &mut all);
                }
            }
            let holders: Vec<Holder<'_>> = all
                .iter()
                .map(|(id, held)| Holder {
                    id,
                    ties: held.ties.as_ref(),
                    scopes: held.scopes.as_deref(),
                    slots: held.slots.clone(),
                })
                .collect();
            world.graphs[at] = Graph::of(&holders);
        }
        world
    }

    fn take(
        &mut self,
        at: usize,
        kind: &str,
        values: &Value,
        unknown: &Value,
        all: &mut BTreeMap<String, Held>,
    ) {
        match kind {
            "nhi_integration" => {
                let Some(id) = id_of(values) else { return };
                let of = |name: &&str| Some(((*name).to_owned(), values.get(*name)?.clone()));
                let ties: Map<String, Value> = MEMBERS.iter().filter_map(of).collect();
                all.entry(id.clone()).or_default().ties =
                    Some(Ties::from_json(&Value::Object(ties)));
                let stop = text(values, "stop_within").map(str::to_owned);
                self.stop[at].extend(stop.map(|span| (id.clone(), span)));
                self.there[at].insert(id);
            }
            "nhi_scope" => {
                let Some(id) = parent_of(values) else { return };
                let held = all.entry(id.clone()).or_default();
                held.scopes = scopes_of(&id, values, unknown);
                self.there[at].insert(id);
            }
            "nhi_credential" => {
                let Some(id) = parent_of(values) else { return };
                let slot = text(values, "name").unwrap_or("default");
                let slot = format!("{id}/credential/{slot}");
                all.entry(id.clone()).or_default().slots.push(slot);
                self.there[at].insert(id);
            }
            _ => {}
        }
    }

    /// What is reached from an integration.
    pub(crate) fn blast(&mut self, id: &str) -> Arc<Blast> {
        if let Some(known) = self.seen.get(id) {
            return known.clone();
        }
        let blast = Arc::new(Blast { before: self.side(0, id), after: self.side(1, id) });
        self.seen.insert(id.to_owned(), blast.clone());
        blast
    }

    fn side(&self, at: usize, id: &str) -> Side {
        let there = self.there[at].contains(id);
        if !there {
            return Side::default();
        }
        let node = Node::Integration(id.to_owned());
        let graph = &self.graphs[at];
        let blast = graph.blast(&node);
        let mut reached: Vec<Reached> = Vec::new();
        for (to, way) in &blast.reached {
            if !matches!(to, Node::System(_) | Node::Integration(_) | Node::Tool(_)) {
                continue;
            }
            let direct: Vec<&Edge> =
                graph.edges_from(&node).filter(|edge| edge.to == *to).collect();
            let edges = if direct.is_empty() { way.last().into_iter().collect() } else { direct };
            let said =
                |of: fn(&Edge) -> &Option<String>| edges.iter().find_map(|edge| of(edge).clone());
            reached.push(Reached {
                kind: to.kind(),
                name: to.name().to_owned(),
                action: edges.iter().filter_map(|edge| edge.action).max(),
                sources: edges.iter().map(|edge| edge.source.words()).collect(),
                through: (way.len() > 1).then(|| {
                    let names: Vec<&str> = way[1..].iter().map(|edge| edge.from.name()).collect();
                    names.join(", then ")
                }),
                data: said(|edge| &edge.about.data),
                environment: said(|edge| &edge.about.environment),
                uses: edges.iter().flat_map(|edge| edge.uses()).collect(),
            });
        }
        reached.sort_by(|a, b| b.action.cmp(&a.action).then_with(|| a.name.cmp(&b.name)));
        let unknown = blast.unknown.iter();
        Side {
            there,
            highest: blast.highest,
            reached,
            unknown: unknown.map(|(of, why)| (of.name().to_owned(), (*why).to_owned())).collect(),
            stop_within: self.stop[at].get(id).cloned(),
        }
    }
}
