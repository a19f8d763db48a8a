//! The graph out of what is granted and declared.

use std::collections::BTreeSet;

use domain::{Action, ties::Reached};

use super::{About, Edge, Graph, Holder, Node, Source};

impl Graph {
    /// Puts together what is known of all integrations. What one of them names and is not among them is
    /// there too, and where it leads is not known.
    pub fn of(holders: &[Holder<'_>]) -> Graph {
        let mut graph = Graph::default();
        for holder in holders {
            graph.add(holder);
        }
        let known: BTreeSet<&str> = holders.iter().map(|holder| holder.id).collect();
        let named: Vec<Node> = graph.nodes().into_iter().cloned().collect();
        for node in named {
            let why = match &node {
                Node::Integration(id) if !known.contains(id.as_str()) => "nothing here declares it",
                Node::Tool(_) => "nobody says what it lets do",
                _ => continue,
            };
            graph.unknown.insert(node, why);
        }
        graph
    }

    fn add(&mut self, holder: &Holder<'_>) {
        let here = Node::Integration(holder.id.to_owned());
        for slot in &holder.slots {
            self.leads(Node::Credential(slot.clone()), here.clone(), Source::SignsIn);
        }
        match holder.scopes {
            Some(scopes) => {
                let system = holder.id.split('/').next().unwrap_or_default();
                for (scope, action) in scopes {
                    self.edge(Edge {
                        from: here.clone(),
                        to: Node::System(system.to_owned()),
                        source: Source::Scope(scope.clone()),
                        action: Some(*action),
                        about: About::default(),
                    });
                }
            }
            None => {
                self.unknown.insert(here.clone(), "its scopes were not read");
            }
        }
        let Some(ties) = holder.ties else { return };
        if let Some(host) = &ties.runs_on {
            self.leads(Node::Integration(host.id.clone()), here.clone(), Source::RunsOn);
        }
        for (name, workflow) in &ties.workflows {
            let node = Node::Workflow(holder.id.to_owned(), name.clone());
            self.leads(node.clone(), here.clone(), Source::Workflow);
            for invoker in workflow.invokers.iter().flatten() {
                self.leads(Node::Invoker(invoker.clone()), node.clone(), Source::Invokers);
            }
        }
        for (name, reached) in &ties.reaches {
            self.reach(&here, name, reached);
        }
        for tool in ties.tools.iter().flatten() {
            self.edge(Edge {
                from: here.clone(),
                to: Node::Tool(tool.clone()),
                source: Source::Tools,
                action: Some(Action::Unknown),
                about: About::default(),
            });
        }
    }

    fn reach(&mut self, here: &Node, name: &str, reached: &Reached) {
        let about = About {
            category: reached.category.clone(),
            data: reached.data.clone(),
            domain: reached.domain.clone(),
            environment: reached.environment.clone(),
        };
        let edge = Edge {
            from: here.clone(),
            to: Node::System(name.to_owned()),
            source: Source::Reaches(name.to_owned()),
            action: Some(action_of(reached)),
            about,
        };
        match &reached.integration {
            // What can be done there is what that one can do.
            Some(through) => {
                let to = Node::Integration(through.clone());
                self.edge(Edge { to, action: None, ..edge });
            }
            None => self.edge(edge),
        }
    }

    fn leads(&mut self, from: Node, to: Node, source: Source) {
        self.edge(Edge { from, to, source, action: None, about: About::default() });
    }

    fn edge(&mut self, edge: Edge) {
        self.edges.entry(edge.from.clone()).or_default().insert(edge);
    }
}

/// What a direction comes to at least: whoever writes is not said to read.
fn action_of(reached: &Reached) -> Action {
    match (reached.direction.as_deref(), reached.category.as_deref()) {
        (Some("reads"), _) => Action::Read,
        // What lies in a queue is what others start from.
        (Some("writes" | "both"), Some("queue" | "workflow_engine")) => Action::Execute,
        (Some("writes" | "both"), _) => Action::Write,
        _ => Action::Unknown,
    }
}
