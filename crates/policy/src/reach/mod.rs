//! Where whoever has something gets to: a graph of what is granted and of what people declare, and what
//! can be reached in it from anywhere. Each edge names what says so; what nobody knows stays unknown.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use domain::{Action, Ties};

mod build;

/// What there is.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Node {
    /// A credential, by its slot's id: where most ways begin.
    Credential(String),
    /// An integration, by its id; also what others run on.
    Integration(String),
    /// A workflow of an integration, by its name.
    Workflow(String, String),
    /// Who may start a workflow.
    Invoker(String),
    /// A system, by its name: a connection, or what an integration says that it reaches.
    System(String),
    /// What an agent may choose to use.
    Tool(String),
}

impl Node {
    /// Its name.
    pub fn name(&self) -> &str {
        match self {
            Node::Credential(name)
            | Node::Integration(name)
            | Node::Workflow(_, name)
            | Node::Invoker(name)
            | Node::System(name)
            | Node::Tool(name) => name,
        }
    }

    /// What it is, in a word.
    pub fn kind(&self) -> &'static str {
        match self {
            Node::Credential(_) => "credential",
            Node::Integration(_) => "integration",
            Node::Workflow(..) => "workflow",
            Node::Invoker(_) => "invoker",
            Node::System(_) => "system",
            Node::Tool(_) => "tool",
        }
    }
}

/// What says that there is an edge.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Source {
    /// The credential signs in as the integration.
    SignsIn,
    /// A scope that is granted.
    Scope(String),
    /// An entry of `reaches`, by its name.
    Reaches(String),
    /// `runs_on` of what runs there: whoever has the place has what runs on it.
    RunsOn,
    /// An entry of `workflows`.
    Workflow,
    /// `invokers` of a workflow.
    Invokers,
    /// An entry of `tools`.
    Tools,
}

impl Source {
    /// In words.
    pub fn words(&self) -> String {
        match self {
            Source::SignsIn => "signs in".to_owned(),
            Source::Scope(scope) => format!("scope {scope}"),
            Source::Reaches(name) => format!("reaches.{name}"),
            Source::RunsOn => "runs_on".to_owned(),
            Source::Workflow => "workflows".to_owned(),
            Source::Invokers => "invokers".to_owned(),
            Source::Tools => "tools".to_owned(),
        }
    }
}

/// What a system is, as far as anybody says.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct About {
    /// What sort of system.
    pub category: Option<String>,
    /// The most sensitive data of it.
    pub data: Option<String>,
    /// Whose business it is.
    pub domain: Option<String>,
    /// The environment that it is of.
    pub environment: Option<String>,
}

/// Who has one node gets to another.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Edge {
    /// From here.
    pub from: Node,
    /// To here.
    pub to: Node,
    /// What says so.
    pub source: Source,
    /// What can be done there by this; `None` where the edge only leads on.
    pub action: Option<Action>,
    /// What is known of where it leads.
    pub about: About,
}

impl Edge {
    /// What whoever has its beginning could use it for, in the words of attackers.
    pub fn uses(&self) -> Vec<&'static str> {
        let mut uses = Vec::new();
        let Some(action) = self.action else {
            return match self.source {
                Source::Reaches(_) | Source::RunsOn => vec!["lateral movement"],
                _ => uses,
            };
        };
        if action == Action::Unknown {
            return vec!["unknown"];
        }
        let sensitive = !matches!(self.about.data.as_deref(), None | Some("none" | "public"));
        // `both` reads as well as it writes, and no table ranks by that.
        if matches!(action, Action::Read | Action::Export | Action::Secret) || sensitive {
            uses.push("data exfiltration");
        }
        if matches!(action, Action::Secret | Action::Execute) {
            uses.push("lateral movement");
        }
        if action.is_control_plane() {
            uses.push("privilege escalation");
        }
        if matches!(action, Action::Write | Action::Delete | Action::Close | Action::Suppress) {
            uses.push("tampering");
        }
        uses
    }
}

/// What is known of one integration.
#[derive(Debug, Clone, Default)]
pub struct Holder<'a> {
    /// Its id.
    pub id: &'a str,
    /// What it has to do with.
    pub ties: Option<&'a Ties>,
    /// Its live scopes, each with what it lets its holder do; `None`: nobody could see them.
    pub scopes: Option<&'a [(String, Action)]>,
    /// The ids of its slots.
    pub slots: Vec<String>,
}

/// What can be reached from somewhere, and what can be done there.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Blast {
    /// All that is reached, each with the edges that lead there from where it begins.
    pub reached: BTreeMap<Node, Vec<Edge>>,
    /// The most that can be done anywhere, as far as it is known.
    pub highest: Option<Action>,
    /// Whose business is reached.
    pub domains: BTreeSet<String>,
    /// What sorts of system are reached.
    pub categories: BTreeSet<String>,
    /// Which environments are reached.
    pub environments: BTreeSet<String>,
    /// Of what nobody knows where it leads or what it lets do, and why.
    pub unknown: BTreeMap<Node, &'static str>,
}

impl Blast {
    /// How many systems are reached.
    pub fn systems(&self) -> usize {
        self.reached.keys().filter(|node| matches!(node, Node::System(_))).count()
    }
}

/// What leads where.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Graph {
    edges: BTreeMap<Node, BTreeSet<Edge>>,
    /// Of which it is not known where they lead.
    unknown: BTreeMap<Node, &'static str>,
}

impl Graph {
    /// All edges, in order.
    pub fn edges(&self) -> impl Iterator<Item = &Edge> {
        self.edges.values().flatten()
    }

    /// The edges that begin here, in order.
    pub fn edges_from(&self, node: &Node) -> impl Iterator<Item = &Edge> {
        self.edges.get(node).into_iter().flatten()
    }

    /// All nodes, in order.
    pub fn nodes(&self) -> BTreeSet<&Node> {
        let ends = self.edges().flat_map(|edge| [&edge.from, &edge.to]);
        ends.chain(self.unknown.keys()).collect()
    }

    /// What can be reached from here, however many steps away.
    pub fn blast(&self, from: &Node) -> Blast {
        self.walk(from, true)
    }

    /// The same without going on from another integration.
    pub fn own(&self, from: &Node) -> Blast {
        self.walk(from, false)
    }

    /// Where ways to here begin: all from which it can be reached, each with the first edge of a shortest
    /// way.
    pub fn who_reaches(&self, to: &Node) -> BTreeMap<Node, Edge> {
        let mut into: BTreeMap<&Node, Vec<&Edge>> = BTreeMap::new();
        for edge in self.edges() {
            into.entry(&edge.to).or_default().push(edge);
        }
        let mut found: BTreeMap<Node, Edge> = BTreeMap::new();
        let mut next = VecDeque::from([to]);
        while let Some(node) = next.pop_front() {
            for edge in into.get(node).into_iter().flatten() {
                if edge.from != *to && !found.contains_key(&edge.from) {
                    found.insert(edge.from.clone(), (*edge).clone());
                    next.push_back(&edge.from);
                }
            }
        }
        found
    }

    fn walk(&self, from: &Node, through_others: bool) -> Blast {
        let mut blast = Blast::default();
        let mut next = VecDeque::from([from]);
        let note = |node: &Node, blast: &mut Blast| {
            if let Some(why) = self.unknown.get(node) {
                blast.unknown.insert(node.clone(), why);
            }
        };
        note(from, &mut blast);
        while let Some(node) = next.pop_front() {
            let stops = matches!(node, Node::Integration(_)) && node != from;
            if stops && !through_others {
                continue;
            }
            let before = blast.reached.get(node).cloned().unwrap_or_default();
            for edge in self.edges.get(node).into_iter().flatten() {
                blast.take(edge);
                if edge.to != *from && !blast.reached.contains_key(&edge.to) {
                    let mut way = before.clone();
                    way.push(edge.clone());
                    blast.reached.insert(edge.to.clone(), way);
                    if through_others || !matches!(edge.to, Node::Integration(_)) {
                        note(&edge.to, &mut blast);
                    }
                    next.push_back(&edge.to);
                }
            }
        }
        blast
    }
}

impl Blast {
    fn take(&mut self, edge: &Edge) {
        match edge.action {
            Some(Action::Unknown) => {
                self.unknown.insert(edge.to.clone(), "what can be done there is not known");
            }
            Some(action) => self.highest = self.highest.max(Some(action)),
            None => {}
        }
        self.domains.extend(edge.about.domain.clone());
        self.categories.extend(edge.about.category.clone());
        self.environments.extend(edge.about.environment.clone());
    }
}

#[cfg(test)]
mod tests;
