//! `nhi posture`: the figures that are published for whole industries, for this installation.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Write as _,
    sync::Arc,
};

use clap::{Args, ValueEnum};
use domain::{IntegrationId, Span};
use jiff::Timestamp;
use ledger::{Entry, Filter};
use operations::{
    Context, Inventory, Judged, Problem, Wishes, declared_in_ledger, governed_elsewhere,
    judge_each, judge_heard, reach_of, take_inventory,
};
use policy::{
    Rules,
    posture::{Figure, Seen, SeenCredential, figures},
    rules::Wildcards,
    schedule::earlier,
    scopes::is_wildcard,
};
use serde_json::{Value, json};

use super::drift::declared;
use crate::{
    exit::Exit,
    output::{self, BOLD, DIM, Output, styled},
    state,
    told::short,
};

/// How far the journal is read back.
const YEAR: Span = Span::from_secs(365 * 86_400);

/// Tell the figures that are published for whole industries, for this installation: how many of how many,
/// and of how many it is not known.
///
/// Everything is looked at, as by nhi scan and nhi drift together, and nothing is changed. Whatever the
/// policy lets pass: a wildcard, a missing end and a missing schedule are counted here.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  nhi posture
  nhi posture --format json
  terraform show -json | nhi posture --state - --format openmetrics

A percentage is of what is known; what is not known stands beside it. A part of nothing has none.

Exit codes: 0 all was read · 1 nothing could be read · 3 something could not be read, so that the figures
are of a part")]
pub(crate) struct Posture {
    /// Declared is what this state says (`terraform show -json`, or a state file); `-` is standard
    /// input. Else the ledger says.
    #[arg(long, value_name = "FILE")]
    state: Option<String>,

    /// How it is printed.
    #[arg(long, value_enum, default_value_t = Form::Text)]
    format: Form,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Form {
    /// For people.
    Text,
    /// For programs.
    Json,
    /// For Prometheus: OpenMetrics 1.0.
    Openmetrics,
}

/// What was seen, and what was not.
#[derive(Debug)]
struct Looked {
    at: Timestamp,
    connections: usize,
    integrations: usize,
    figures: Vec<Figure>,
    gaps: Vec<(String, String)>,
}

impl Posture {
    /// How an error is printed.
    pub(crate) fn format(&self) -> output::Format {
        match self.format {
            Form::Json => output::Format::Json,
            Form::Text | Form::Openmetrics => output::Format::Text,
        }
    }

    pub(crate) async fn run(self, config: Option<&str>, output: &Output) -> Result<Exit, Problem> {
        let context = wiring::load(config)?.read_only().context("nhi", "command")?;
        let context = Context { rules: Arc::new(counting(&context.rules)), ..context };
        let wishes = match &self.state {
            Some(place) => state::read(place)?,
            None if !context.ledger.keeps() => declared(&context, None, "posture").await?.0,
            None => declared_in_ledger(&*context.ledger).await?,
        };
        let progress = output.progress("looking");
        let looked = look(&context, wishes).await?;
        drop(progress);
        let nothing = looked.integrations == 0 && !looked.gaps.is_empty();
        let exit = match (looked.gaps.is_empty(), nothing) {
            (true, _) => Exit::Clean,
            (false, true) => Exit::Failed,
            (false, false) => Exit::Partial,
        };
        match self.format {
            Form::Text => text(&looked).iter().for_each(|line| output.line(line)),
            Form::Json => output.line(&report(&looked, exit).to_string()),
            Form::Openmetrics => output.line(&metrics(&looked)),
        }
        if self.format != Form::Json {
            for (subject, why) in &looked.gaps {
                output.warning(&format!("{subject}: not read: {why}"));
            }
        }
        Ok(exit)
    }
}

/// The rules, with everything told that a figure counts, whatever they let pass.
fn counting(rules: &Rules) -> Rules {
    let wildcards = match rules.wildcards {
        Wildcards::Allow => Wildcards::Warn,
        told => told,
    };
    Rules {
        wildcards,
        require_expires_on: true,
        require_review_every: true,
        require_schedule: true,
        ..rules.clone()
    }
}

async fn look(context: &Context, wishes: Wishes) -> Result<Looked, Problem> {
    let inventory = take_inventory(context, &[]).await?;
    let mut gaps: Vec<(String, String)> = Vec::new();
    for (name, problem) in &inventory.unreadable {
        gaps.push((name.clone(), problem.to_string()));
    }
    for (name, seen) in &inventory.observations {
        gaps.extend(
            seen.gaps.iter().map(|gap| (name.clone(), format!("{}: {}", gap.extent, gap.cause))),
        );
    }
    let mut judged: BTreeMap<String, Result<Judged, Problem>> = BTreeMap::new();
    let owned = wishes.owned();
    let reach = reach_of(&wishes);
    judge_each(context, wishes.clone(), owned, reach, |id, one| {
        judged.insert(id.to_owned(), one);
    })
    .await;
    for (id, one) in &judged {
        match one {
            Ok(one) => {
                gaps.extend(one.gaps.iter().map(|(of, why)| (of.clone(), why.detail.clone())))
            }
            Err(problem) => gaps.push((id.clone(), problem.detail.clone())),
        }
    }
    let heard = judge_heard(context, |_| true).await;
    let heard: Vec<(String, &'static str)> =
        heard.findings.into_iter().map(|(_, one)| (one.subject, one.rule)).collect();
    let mut all = of_declared(&wishes, &judged, &heard);
    all.extend(of_undeclared(context, &wishes, &inventory));
    let of = |id: &str| id.split('/').next().unwrap_or_default().to_owned();
    let used: BTreeSet<String> = wishes.integrations.keys().map(|id| of(id)).collect();
    let (of_late, shown) = of_the_year(context).await?;
    let ends: Vec<bool> = used.iter().map(|one| shown.contains(one)).collect();
    gaps.sort();
    gaps.dedup();
    Ok(Looked {
        at: context.now(),
        connections: inventory.observations.len() + inventory.unreadable.len(),
        integrations: all.len(),
        figures: figures(&all, &of_late, &ends),
        gaps,
    })
}

fn within(whole: &str, one: &str) -> bool {
    one.strip_prefix(whole).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

/// Whether what was heard is of it: of itself, of something below it, or of all of its connection.
fn is_of(subject: &str, id: &str) -> bool {
    within(id, subject) || id.split('/').next() == Some(subject)
}

/// What is declared, as it was judged. `heard`: what is heard from outside, its subject and its rule.
fn of_declared(
    wishes: &Wishes,
    judged: &BTreeMap<String, Result<Judged, Problem>>,
    heard: &[(String, &'static str)],
) -> Vec<Seen> {
    let mut all = Vec::new();
    let owners: Vec<&Judged> = judged
        .iter()
        .filter(|(id, _)| wishes.owners.contains_key(*id))
        .filter_map(|(_, one)| one.as_ref().ok())
        .collect();
    let owned = wishes.owned();
    for (id, wish) in &wishes.integrations {
        let read = judged.get(id).and_then(|one| one.as_ref().ok());
        let found = || read.into_iter().flat_map(|one| &one.findings).map(|(_, one)| one);
        let mut rules: BTreeSet<&'static str> = found().map(|one| one.rule).collect();
        rules.extend(heard.iter().filter(|(of, _)| is_of(of, id)).map(|(_, rule)| *rule));
        // An owner's own finding is about all that they answer for.
        for (_, one) in owners.iter().flat_map(|one| &one.findings) {
            if owned.get(&one.subject).is_some_and(|ids| ids.contains(id)) {
                rules.insert(one.rule);
            }
        }
        let gap = |of: &str| {
            read.is_none_or(|one| {
                one.gaps.iter().any(|(gap, _)| within(gap, of) || within(of, gap))
            })
        };
        let slots = wish.slots.iter().map(|slot| {
            let slot = format!("{id}/credential/{}", slot.name);
            let of_it = found().filter(|one| one.subject == slot).map(|one| one.rule);
            SeenCredential { declared: true, read: !gap(&slot), rules: of_it.collect() }
        });
        let strays = found().filter(|one| one.rule == "credential-unmanaged");
        let strays = strays.map(|_| SeenCredential { read: true, ..SeenCredential::default() });
        all.push(Seen {
            id: id.clone(),
            declared: true,
            whole: !gap(id),
            credentials: slots.chain(strays).collect(),
            rules,
            ..Seen::default()
        });
    }
    for vendor in &wishes.third_parties {
        let read = judged.get(&vendor.id).and_then(|one| one.as_ref().ok());
        let rules = read.into_iter().flat_map(|one| &one.findings).map(|(_, one)| one.rule);
        all.push(Seen {
            id: vendor.id.clone(),
            declared: true,
            whole: read.is_some(),
            third_party: true,
            stop_tried: vendor.dates.tested_on.is_some(),
            rules: rules.collect(),
            credentials: Vec::new(),
        });
    }
    all
}

/// What connections list and nobody declares; not what comes with a platform, what nhi itself signs in as,
/// or what another installation governs.
fn of_undeclared(context: &Context, wishes: &Wishes, inventory: &Inventory) -> Vec<Seen> {
    let mut all = Vec::new();
    for (name, observation) in &inventory.observations {
        for one in observation.integrations.iter().filter(|one| !one.builtin) {
            let id =
                IntegrationId::new(name.clone(), one.kind.clone(), one.key.clone()).to_string();
            let elsewhere = governed_elsewhere(context.realm.as_deref(), one.record.as_ref());
            if wishes.integrations.contains_key(&id)
                || inventory.ourselves_as(name, one).is_some()
                || elsewhere.is_some()
            {
                continue;
            }
            let wild = one.scopes.iter().any(|held| is_wildcard(held.scope.as_str()));
            let live = one.credentials.iter().flatten().filter(|key| key.live);
            all.push(Seen {
                id,
                whole: one.gaps.is_empty(),
                rules: wild.then_some("scope-wildcard").into_iter().collect(),
                credentials: live
                    .map(|_| SeenCredential { read: true, ..SeenCredential::default() })
                    .collect(),
                ..Seen::default()
            });
        }
    }
    all
}

/// What the journal says of the year: the integrations that were exposed or in an incident, and the
/// connections on which an end was shown.
async fn of_the_year(context: &Context) -> Result<(BTreeSet<String>, BTreeSet<String>), Problem> {
    let kinds = [
        "credential.revoked",
        "drill.ended",
        "integration.quarantined",
        "rotation.claimed",
        "rotation.proven",
        "signal",
    ];
    let mut next = Some(Filter {
        kinds: kinds.map(str::to_owned).to_vec(),
        since: Some(earlier(context.now(), YEAR).as_millisecond()),
        ..Filter::all()
    });
    let (mut of_late, mut shown) = (BTreeSet::new(), BTreeSet::new());
    while let Some(filter) = next {
        let page = context.ledger.entries(&filter).await?;
        for entry in &page.entries {
            let steps: Vec<&str> = entry.subject.splitn(4, '/').collect();
            let [connection, kind, key, ..] = steps[..] else { continue };
            if is_incident(entry) {
                of_late.insert(format!("{connection}/{kind}/{key}"));
            }
            if is_shown(entry) {
                shown.insert(connection.to_owned());
            }
        }
        next = page.next;
    }
    Ok((of_late, shown))
}

fn detail<'a>(entry: &'a Entry, name: &str) -> &'a str {
    entry.detail.get(name).and_then(Value::as_str).unwrap_or_default()
}

fn is_incident(entry: &Entry) -> bool {
    let urgent = ["exposed", "emergency"].contains(&detail(entry, "reason"));
    match &*entry.kind {
        "rotation.claimed" => urgent,
        "integration.quarantined" | "signal.received" => true,
        _ => false,
    }
}

fn is_shown(entry: &Entry) -> bool {
    detail(entry, "grade").starts_with(['A', 'B'])
}

fn percent(figure: &Figure) -> String {
    match figure.per_mille() {
        Some(of) => format!("{}.{}%", of / 10, of % 10),
        None => "-".to_owned(),
    }
}

fn text(looked: &Looked) -> Vec<String> {
    let mut lines = vec![format!(
        "{} integrations on {} connections, {}",
        looked.integrations,
        looked.connections,
        short(looked.at)
    )];
    for one in &looked.figures {
        let known = one.yes + one.no;
        let count = match (one.all(), known) {
            (0, _) => "there is nothing to count".to_owned(),
            (all, 0) => format!("not known of any of {all}"),
            (_, _) if one.unknown == 0 => format!("{} of {known}", one.yes),
            (..) => format!("{} of {known}, and {} of which it is not known", one.yes, one.unknown),
        };
        lines.push(String::new());
        lines.push(format!(
            "{}  {:>6}  {count}",
            styled(BOLD, &format!("{:<17}", one.name)),
            percent(one)
        ));
        lines.push(format!("  {}", one.counts));
        lines.push(format!("  of: {}", one.of));
        lines.push(styled(DIM, &format!("  published: {}", one.quoted)));
    }
    lines
}

fn report(looked: &Looked, exit: Exit) -> Value {
    let one = |one: &Figure| {
        json!({
            "name": one.name, "counts": one.counts, "of": one.of, "yes": one.yes, "no": one.no,
            "unknown": one.unknown, "all": one.all(),
            "percent_of_known": one.per_mille().map(|of| f64::from(u32::try_from(of).unwrap_or(0)) / 10.0),
            "published": one.quoted,
            "requirements": one.rows.iter().map(|row| format!("R{row:03}")).collect::<Vec<_>>(),
        })
    };
    let gaps = looked.gaps.iter().map(|(subject, why)| json!({ "subject": subject, "why": why }));
    json!({
        "format": "nhi-posture/1", "at": looked.at.to_string(), "connections": looked.connections,
        "integrations": looked.integrations,
        "figures": looked.figures.iter().map(one).collect::<Vec<_>>(),
        "gaps": gaps.collect::<Vec<_>>(), "outcome": exit.sole_outcome(),
    })
}

fn metrics(looked: &Looked) -> String {
    let mut out =
        "# TYPE nhi_posture gauge\n# HELP nhi_posture How many are so, are not, or are not \
                   known, by figure.\n"
            .to_owned();
    for one in &looked.figures {
        for (is, count) in [("yes", one.yes), ("no", one.no), ("unknown", one.unknown)] {
            let _ = writeln!(out, "nhi_posture{{figure=\"{}\",is=\"{is}\"}} {count}", one.name);
        }
    }
    for (name, help, value) in [
        ("nhi_posture_integrations", "Integrations that were counted.", looked.integrations),
        ("nhi_posture_gaps", "Parts that could not be read.", looked.gaps.len()),
    ] {
        let _ = writeln!(out, "# TYPE {name} gauge\n# HELP {name} {help}\n{name} {value}");
    }
    let name = "nhi_posture_run_timestamp_seconds";
    let _ = writeln!(
        out,
        "# TYPE {name} gauge\n# UNIT {name} seconds\n# HELP {name} When it was made."
    );
    let _ = writeln!(out, "{name} {}", looked.at.as_second());
    out.push_str("# EOF");
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn looked(all: &[Seen]) -> Looked {
        Looked {
            at: Timestamp::UNIX_EPOCH,
            connections: 1,
            integrations: all.len(),
            figures: figures(all, &BTreeSet::new(), &[]),
            gaps: Vec::new(),
        }
    }

    #[test]
    fn a_part_of_nothing_is_said_to_be_of_nothing_in_every_form() {
        let none = looked(&[]);
        let lines = text(&none);
        assert!(lines.iter().any(|line| line.contains("there is nothing to count")), "{lines:?}");
        let json = report(&none, Exit::Clean);
        assert_eq!(json["figures"][0]["percent_of_known"], Value::Null);
        assert!(metrics(&none).contains("nhi_posture{figure=\"visibility\",is=\"yes\"} 0\n"));
    }

    #[test]
    fn what_was_heard_of_a_connection_counts_for_each_of_its_integrations() {
        let wish = |id: &str| {
            (id.to_owned(), operations::Wish { id: id.to_owned(), ..Default::default() })
        };
        let wishes = Wishes {
            integrations: ["bao/role/a", "bao/role/ab", "git/bot/c"].map(wish).into(),
            ..Wishes::default()
        };
        let of = |subject: &str| {
            let all = of_declared(&wishes, &BTreeMap::new(), &[(subject.to_owned(), "incident")]);
            let had = all.into_iter().filter(|one| one.rules.contains("incident"));
            had.map(|one| one.id).collect::<Vec<_>>()
        };
        assert_eq!(of("bao"), ["bao/role/a", "bao/role/ab"]);
        assert_eq!(of("bao/role/a"), ["bao/role/a"]);
        assert_eq!(of("bao/role/a/credential/default"), ["bao/role/a"]);
    }

    #[test]
    fn what_is_not_known_stands_beside_what_is() {
        let known = Seen { id: "a".into(), declared: true, whole: true, ..Seen::default() };
        let unread = Seen { id: "b".into(), declared: true, ..Seen::default() };
        let lines = text(&looked(&[known, unread])).join("\n");
        assert!(lines.contains("100.0%  1 of 1, and 1 of which it is not known"), "{lines}");
        assert!(lines.contains("published: 5.7%"), "{lines}");
    }

    #[test]
    fn what_the_policy_lets_pass_is_counted_all_the_same() {
        let rules = counting(&Rules::default());
        assert!(rules.require_expires_on && rules.require_review_every && rules.require_schedule);
        assert_eq!(rules.wildcards, Wildcards::Warn);
        let strict = Rules { wildcards: Wildcards::Refuse, ..Rules::default() };
        assert_eq!(counting(&strict).wildcards, Wildcards::Refuse);
    }
}
