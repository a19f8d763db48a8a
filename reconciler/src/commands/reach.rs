//! `nhi reach`: where whoever has something gets to, and who gets to something.

use std::collections::{BTreeMap, BTreeSet};

use clap::Args;
use domain::Action;
use operations::{Context, Problem, Reaching, Wishes, judge_each, reach_of};
use policy::{
    reach::{Blast, Edge, Graph, Node},
    waiver,
};
use serde_json::{Value, json};

use super::drift::declared;
use crate::{
    exit::Exit,
    output::{BOLD, DIM, Format, Output, styled},
};

/// Show what can be reached from an integration, a credential, a workflow or a person, and what can be
/// done there; or who gets to something.
///
/// Ways come from scopes that are granted, and from what is declared: reaches, runs_on, workflows, tools.
/// Each names what says so, and what nobody knows is told as that.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  nhi reach                          every integration that is declared
  nhi reach 'bao/*/invoice-sync'     what whoever has it gets to
  nhi reach owner/finance            what somebody who may start a workflow gets to
  nhi reach --to bao                 who gets to what this connection leads to
  nhi reach --to payroll --format json

Exit codes: 0 shown · 1 could not look · 3 something could not be read, and ways may be missing")]
pub(crate) struct Reach {
    /// Where to begin: names or ids; `*` stands for any text, `?` for one character. Every integration,
    /// unless set.
    #[arg(value_name = "FROM")]
    from: Vec<String>,

    /// Who gets to what has such a name or id.
    #[arg(long, value_name = "WHAT", conflicts_with = "from")]
    to: Option<String>,

    /// Declared is what this state says (`terraform show -json`, or a state file); `-` is standard
    /// input. Else the ledger says.
    #[arg(long, value_name = "FILE")]
    state: Option<String>,

    /// Text or JSON.
    #[arg(long, value_enum, default_value_t = Format::Text)]
    pub(crate) format: Format,
}

/// All that was seen.
struct Seen {
    graph: Graph,
    gaps: Vec<(String, Problem)>,
}

impl Reach {
    pub(crate) async fn run(self, config: Option<&str>, output: &Output) -> Result<Exit, Problem> {
        let loaded = wiring::load(config)?;
        let context = loaded.read_only().context("nhi", "command")?;
        let (wishes, from) = declared(&context, self.state.as_deref(), "reach").await?;
        let progress = output.progress("looking");
        let seen = look(&context, wishes).await;
        drop(progress);
        let exit = if seen.gaps.is_empty() { Exit::Clean } else { Exit::Partial };
        let told = match &self.to {
            Some(to) => self.who_gets_to(&seen, to, &from)?,
            None => self.where_from(&seen, &from)?,
        };
        match self.format {
            Format::Json => {
                let gaps = seen.gaps.iter().map(|(id, problem)| {
                    json!({ "subject": id, "code": problem.code, "why": problem.summary })
                });
                output.line(
                    &json!({
                        "format": "nhi-reach/1",
                        "declared_in": from,
                        "ways": told.iter().map(Told::json).collect::<Vec<_>>(),
                        "gaps": gaps.collect::<Vec<_>>(),
                        "outcome": exit.sole_outcome(),
                    })
                    .to_string(),
                );
            }
            Format::Text => {
                for (id, problem) in &seen.gaps {
                    output.warning(&format!("{id}: not read, so ways may be missing: {problem}"));
                }
                let texts: Vec<String> = told.iter().map(Told::text).collect();
                output.line(&texts.join("\n\n"));
            }
        }
        Ok(exit)
    }

    /// What is reached from each that fits.
    fn where_from(&self, seen: &Seen, from: &str) -> Result<Vec<Told>, Problem> {
        let nodes = seen.graph.nodes();
        let fits = |node: &&Node| match self.from.is_empty() {
            true => matches!(node, Node::Integration(_)),
            false => self.from.iter().any(|glob| waiver::matches(glob, node.name())),
        };
        let chosen: Vec<&Node> = nodes.iter().copied().filter(fits).collect();
        if chosen.is_empty() {
            return Err(nowhere(&self.from.join(" "), &nodes, from));
        }
        let out = chosen.into_iter();
        Ok(out.map(|node| Told::Out(node.clone(), seen.graph.blast(node))).collect())
    }

    /// Who gets to each that fits.
    fn who_gets_to(&self, seen: &Seen, to: &str, from: &str) -> Result<Vec<Told>, Problem> {
        let nodes = seen.graph.nodes();
        let fits = |node: &&Node| waiver::matches(to, node.name());
        let chosen: Vec<&Node> = nodes.iter().copied().filter(fits).collect();
        if chosen.is_empty() {
            return Err(nowhere(to, &nodes, from));
        }
        let into = chosen.into_iter();
        Ok(into.map(|node| Told::In(node.clone(), seen.graph.who_reaches(node))).collect())
    }
}

/// Looks at what every declared integration holds.
async fn look(context: &Context, wishes: Wishes) -> Seen {
    let mut all = reach_of(&wishes);
    let mut gaps = Vec::new();
    let declared = all.clone();
    judge_each(context, wishes, BTreeMap::new(), declared, |id, judged| match judged {
        Ok(judged) => {
            if let Some(one) = all.get_mut(id) {
                one.held = judged.held;
            }
            gaps.extend(judged.gaps);
        }
        Err(problem) => gaps.push((id.to_owned(), problem)),
    })
    .await;
    let graph = Graph::of(&all.values().map(Reaching::holder).collect::<Vec<_>>());
    Seen { graph, gaps }
}

fn nowhere(named: &str, nodes: &BTreeSet<&Node>, from: &str) -> Problem {
    let names: Vec<&str> = nodes.iter().map(|node| node.name()).take(12).collect();
    Problem::new("E-REACH", "Nothing that is declared has such a name")
        .detail(format!("{named:?} fits nothing in {from}."))
        .next(format!("one of these may be meant: {}", names.join(", ")))
}

/// One answer.
enum Told {
    Out(Node, Blast),
    In(Node, BTreeMap<Node, Edge>),
}

fn word(action: Option<Action>) -> &'static str {
    action.map_or("-", Action::as_str)
}

fn way_json(edge: &Edge) -> Value {
    json!({
        "from": { "kind": edge.from.kind(), "name": edge.from.name() },
        "to": { "kind": edge.to.kind(), "name": edge.to.name() },
        "source": edge.source.words(),
        "action": edge.action.map(Action::as_str),
        "uses": edge.uses(),
        "data": edge.about.data,
        "category": edge.about.category,
        "domain": edge.about.domain,
        "environment": edge.about.environment,
    })
}

impl Told {
    fn json(&self) -> Value {
        match self {
            Told::Out(node, blast) => json!({
                "from": { "kind": node.kind(), "name": node.name() },
                "highest_action": blast.highest.map(Action::as_str),
                "domains": blast.domains,
                "categories": blast.categories,
                "environments": blast.environments,
                "systems": blast.systems(),
                "reached": blast.reached.iter().map(|(to, way)| json!({
                    "kind": to.kind(), "name": to.name(),
                    "way": way.iter().map(way_json).collect::<Vec<_>>(),
                })).collect::<Vec<_>>(),
                "unknown": blast.unknown.iter().map(|(of, why)| json!({
                    "kind": of.kind(), "name": of.name(), "why": why,
                })).collect::<Vec<_>>(),
            }),
            Told::In(node, who) => json!({
                "to": { "kind": node.kind(), "name": node.name() },
                "from": who.iter().map(|(from, edge)| json!({
                    "kind": from.kind(), "name": from.name(), "first": way_json(edge),
                })).collect::<Vec<_>>(),
            }),
        }
    }

    fn text(&self) -> String {
        let mut lines = Vec::new();
        match self {
            Told::Out(node, blast) => {
                lines.push(format!("{} {}", styled(BOLD, node.name()), styled(DIM, node.kind())));
                let domains: Vec<&str> = blast.domains.iter().map(String::as_str).collect();
                lines.push(format!(
                    "  at most   {} · {} systems{}{}",
                    word(blast.highest),
                    blast.systems(),
                    if domains.is_empty() { "" } else { " · the business of " },
                    domains.join(", ")
                ));
                for (to, way) in &blast.reached {
                    let words: Vec<String> = way.iter().map(|edge| edge.source.words()).collect();
                    let last = way.last();
                    let uses = last.map(Edge::uses).unwrap_or_default();
                    lines.push(format!("  {:<9} {}", to.kind(), to.name()));
                    lines.push(format!("            by {}", words.join(", then ")));
                    if !uses.is_empty() {
                        lines.push(format!("            {}", uses.join(", ")));
                    }
                }
                for (of, why) in &blast.unknown {
                    lines.push(format!("  not known {}: {why}", of.name()));
                }
            }
            Told::In(node, who) => {
                lines.push(format!("{} {}", styled(BOLD, node.name()), styled(DIM, node.kind())));
                if who.is_empty() {
                    lines.push("  nothing that is declared gets there".to_owned());
                }
                for (from, edge) in who {
                    lines.push(format!("  {:<11} {}", from.kind(), from.name()));
                    let to = edge.to.name();
                    lines.push(format!("              by {}, to {to}", edge.source.words()));
                }
            }
        }
        lines.join("\n")
    }
}
