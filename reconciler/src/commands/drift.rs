//! `nhi drift`: does the world still look as declared?

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use clap::{Args, ValueEnum};
use data_encoding::HEXLOWER;
use domain::CredentialId;
use ledger::{Ledger, Range};
use operations::{
    Context, Judged, Problem, Wishes, declared_in_ledger, held_in_custody, judge_integration,
    judge_left_behind, judge_owner, judge_third_party, never_heard_of,
};
use policy::drift::{self, Condition, Finding, Severity, Verdict};
use serde_json::{Value, json};
use tokio::{sync::Semaphore, task::JoinSet};

use crate::{
    exit::Exit,
    output::{BOLD, DIM, Format, GREEN, Output, RED, YELLOW, styled},
    state,
};

/// Compare the world with what is declared, without Terraform and without changing anything.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  nhi drift                                  declared: what the ledger says was applied
  terraform show -json | nhi drift --state -
  nhi drift --state terraform.tfstate --format json
  nhi drift --fail-on high                   list everything, fail on what gives power

Exit codes: 0 in sync · 1 could not do it · 2 drift · 3 something could not be read ·
4 out of policy (expired, owner left, review overdue, a credential that nobody declared and that no
apply is to end, a ledger that was changed) ·
5 unfinished or overdue work (held, an overlap that is over); of several the first of 1, 4, 5, 2, 3")]
pub(crate) struct Drift {
    /// Declared is what this state says (`terraform show -json`, or a state file); `-` is standard
    /// input. Else the ledger says.
    #[arg(long, value_name = "FILE")]
    state: Option<String>,

    /// The least severity that counts for the exit code; all are listed.
    #[arg(long, value_enum, value_name = "SEVERITY", default_value_t = FailOn::Low)]
    fail_on: FailOn,

    /// Do not fail for what could not be read, as long as something was.
    #[arg(long)]
    allow_partial: bool,

    /// Do not fail for what is out of policy; it is listed all the same.
    #[arg(long)]
    ignore_policy: bool,

    /// Whose exit codes: `terraform` knows 0, 1 (could not, or not everything) and 2 (there is
    /// something).
    #[arg(long, value_enum, default_value_t = Codes::Nhi)]
    exit: Codes,

    /// Text or JSON.
    #[arg(long, value_enum, default_value_t = Format::Text)]
    pub(crate) format: Format,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Codes {
    Nhi,
    Terraform,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum FailOn {
    Low,
    Medium,
    High,
    Critical,
}

impl FailOn {
    fn severity(self) -> Severity {
        match self {
            FailOn::Low => Severity::Low,
            FailOn::Medium => Severity::Medium,
            FailOn::High => Severity::High,
            FailOn::Critical => Severity::Critical,
        }
    }
}

/// How many things are looked at at once; the connection's own budget limits requests.
const AT_ONCE: usize = 16;

/// What the comparison came to.
#[derive(Debug)]
struct Report {
    from: String,
    demo: bool,
    found: Vec<([u8; 16], Finding)>,
    expected: usize,
    read: usize,
    /// How many of these were judged without a look at anything outside.
    offline: usize,
    failed: Vec<(String, Problem)>,
    /// The incarnation of each integration that was looked at; nothing where one could not be read.
    looked_at: BTreeMap<String, Option<String>>,
    fail_on: Severity,
    allow_partial: bool,
    ignore_policy: bool,
    codes: Codes,
}

impl Drift {
    pub(crate) async fn run(self, config: Option<&str>, output: &Output) -> Result<Exit, Problem> {
        let loaded = wiring::load(config)?;
        let context = loaded.read_only().context("nhi", "command")?;
        let (wishes, from) = match self.state {
            None => declared_or_ended(&context).await?,
            Some(_) => declared(&context, self.state.as_deref(), "drift").await?,
        };
        let heard_of = self.state.is_none().then(|| wishes.heard_of.clone());
        let mut report = Report {
            from,
            demo: loaded.config.demo,
            found: Vec::new(),
            expected: wishes.count(),
            read: 0,
            offline: 0,
            failed: Vec::new(),
            looked_at: BTreeMap::new(),
            fail_on: self.fail_on.severity(),
            allow_partial: self.allow_partial,
            ignore_policy: self.ignore_policy,
            codes: self.exit,
        };
        check_chain(&*context.ledger, &mut report).await;
        let slots = wishes.slots();
        look(&context, wishes, &mut report, output).await;
        left_behind(&context, &slots, heard_of.is_some(), &mut report).await;
        if let Some(heard_of) = heard_of {
            unheard(&context, &heard_of, &mut report).await;
        }
        if let Some(which) = context.clocks_that_disagree().await {
            let one = drift::clocks_apart(&which);
            report.found.push((one.fingerprint("", "clock"), one));
        }
        report.sort();
        let exit = report.exit();
        match self.format {
            Format::Text => report.print(exit, output),
            Format::Json => output.line(&report.json(exit).to_string()),
        }
        Ok(exit)
    }
}

/// What the ledger declares; nothing where it saw all of that end, and custody has no credential left.
async fn declared_or_ended(context: &Context) -> Result<(Wishes, String), Problem> {
    let wishes = declared_in_ledger(&*context.ledger).await?;
    match wishes.all_ended && held_in_custody(context).await?.is_empty() {
        true => Ok((wishes, context.ledger.place())),
        false => declared(context, None, "drift").await,
    }
}

/// What is declared, and who says so: a state, or else the ledger. `command` is what a person runs.
///
/// # Errors
///
/// It cannot be read, or nothing is declared there.
pub(super) async fn declared(
    context: &Context,
    state: Option<&str>,
    command: &str,
) -> Result<(Wishes, String), Problem> {
    let (wishes, from) = match state {
        Some(place) => (state::read(place)?, format!("state {place}")),
        None => (declared_in_ledger(&*context.ledger).await?, context.ledger.place()),
    };
    match (wishes.count(), state) {
        (0, Some(_)) => Err(nothing_in_state(&from)),
        (0, None) if !context.ledger.keeps() => Err(nothing_kept(command)),
        (0, None) => Err(nothing_in_ledger(&from, context.ledger.head().await?.seq, command)),
        _ => Ok((wishes, from)),
    }
}

fn nothing_in_state(from: &str) -> Problem {
    Problem::new("E-DRIFT-NOTHING", "Nothing is declared in this state")
        .detail(format!(
            "{from} has no integration, owner with a directory or third party of ours, so nothing \
             can be compared: it may be another root's state."
        ))
        .next("name the state that declares them; what is there at all: nhi scan")
}

fn nothing_kept(command: &str) -> Problem {
    Problem::new("E-DRIFT-NOTHING", "Nothing says what is declared")
        .detail("nhi.hcl says ledger = { none = true }, so states alone say it.")
        .next(format!("terraform show -json | nhi {command} --state -"))
}

fn nothing_in_ledger(from: &str, entries: u64, command: &str) -> Problem {
    let why = match entries {
        0 => "has no entry yet".to_owned(),
        _ => format!(
            "has {entries} entries, and none of them says that an integration or an owner with a \
             directory is declared now: it may be younger than what is declared, or all may be \
             destroyed"
        ),
    };
    Problem::new("E-DRIFT-NOTHING", "Nothing says what is declared")
        .detail(format!("{from} {why}."))
        .next(format!("terraform show -json | nhi {command} --state -"))
}

/// Whether the ledger is what it was: what somebody rewrote is no ground to judge from.
async fn check_chain(ledger: &dyn Ledger, report: &mut Report) {
    match ledger.verify(Range::ALL).await {
        Ok(found) => {
            let bad = found.first_bad.map(|bad| format!("entry {}: {}", bad.seq, bad.what));
            if let Some(what) = bad.or(found.problems.into_iter().next()) {
                let one = drift::chain_broken(&what);
                let id = ledger.head().await.map(|head| head.ledger).unwrap_or_default();
                report.found.push((one.fingerprint("", &id), one));
            }
        }
        Err(error) => report.failed.push(("ledger".to_owned(), Problem::from(error))),
    }
}

/// The integrations of each owner.
fn owned(wishes: &Wishes) -> BTreeMap<String, Vec<String>> {
    let recorded = wishes.integrations.values().flat_map(|wish| {
        let record = wish.record.as_ref();
        let named = ["business_owner.id", "technical_owner.id"]
            .into_iter()
            .filter_map(move |member| record?.get(member));
        named.map(|owner| (owner, &wish.id))
    });
    let run_elsewhere = wishes
        .third_parties
        .iter()
        .flat_map(|wish| wish.owners.iter().map(|owner| (owner, &wish.id)));
    let mut owns: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for (owner, id) in recorded.chain(run_elsewhere) {
        let names = owns.entry(owner.clone()).or_default();
        if !names.contains(id) {
            names.push(id.clone());
        }
    }
    owns
}

/// Looks at everything that is declared, several at once, and sorts what was found.
async fn look(context: &Context, wishes: Wishes, report: &mut Report, output: &Output) {
    let progress = output.progress("comparing");
    let mut owns = owned(&wishes);
    for wish in &wishes.third_parties {
        report.take(&wish.id, Ok(judge_third_party(context, wish)));
        report.offline += 1;
    }
    let gate = Arc::new(Semaphore::new(AT_ONCE));
    let mut running: JoinSet<(String, Result<Judged, Problem>)> = JoinSet::new();
    for (id, wish) in wishes.integrations {
        let (context, gate) = (context.clone(), gate.clone());
        running.spawn(async move {
            let _turn = gate.acquire().await;
            (id, judge_integration(&context, &wish).await)
        });
    }
    for (id, wish) in wishes.owners {
        let (context, gate) = (context.clone(), gate.clone());
        let owns = owns.remove(&id).unwrap_or_default();
        running.spawn(async move {
            let _turn = gate.acquire().await;
            (id, judge_owner(&context, &wish, &owns).await)
        });
    }
    let mut done = report.read;
    while let Some(ended) = running.join_next().await {
        done += 1;
        progress.say(&format!("compared {done} of {}", report.expected));
        // A look that did not come back is in `expected` and in neither of the others.
        if let Ok((id, judged)) = ended {
            report.take(&id, judged);
        }
    }
}

/// Adds what was begun and is no part of anything that was looked at.
async fn left_behind(
    context: &Context,
    slots: &[CredentialId],
    all_declared: bool,
    report: &mut Report,
) {
    match judge_left_behind(context, &report.looked_at, slots, all_declared).await {
        Ok(judged) => report.found.extend(judged.findings),
        Err(problem) => report.failed.push(("custody".to_owned(), problem)),
    }
}

/// Adds what bears our mark and the ledger has no row of.
async fn unheard(context: &Context, heard_of: &BTreeSet<String>, report: &mut Report) {
    match never_heard_of(context, heard_of).await {
        Ok(gaps) => report.failed.extend(gaps),
        Err(problem) => report.failed.push(("platforms".to_owned(), problem)),
    }
}

impl Report {
    fn sort(&mut self) {
        self.found.sort_by(|(_, a), (_, b)| {
            (&a.subject, &a.facet, a.verdict, &a.actual, &a.expected).cmp(&(
                &b.subject,
                &b.facet,
                b.verdict,
                &b.actual,
                &b.expected,
            ))
        });
        self.failed.sort_by(|(a, _), (b, _)| a.cmp(b));
    }

    fn take(&mut self, id: &str, judged: Result<Judged, Problem>) {
        match judged {
            Ok(judged) => {
                self.read += 1;
                let seen = judged.vendor_id.map(|vendor_id| (id.to_owned(), Some(vendor_id)));
                self.looked_at.extend(seen);
                self.found.extend(judged.findings);
                self.failed.extend(judged.gaps);
            }
            Err(problem) => {
                self.looked_at.insert(id.to_owned(), None);
                self.failed.push((id.to_owned(), problem));
            }
        }
    }

    fn is_partial(&self) -> bool {
        !self.failed.is_empty() || self.read < self.expected
    }

    /// What manages an object is lost, and waits for a person.
    fn is_locked_out(&self) -> bool {
        self.failed.iter().any(|(_, problem)| problem.code == "E-MANAGEMENT-LOST")
    }

    /// Every condition that holds, worst first.
    fn conditions(&self) -> Vec<Exit> {
        let has = |condition: Condition| {
            self.found
                .iter()
                .any(|(_, one)| one.condition == condition && one.severity >= self.fail_on)
        };
        let nothing_read = self.read == self.offline && self.expected > self.offline;
        [
            (nothing_read, Exit::Failed),
            (has(Condition::Policy) && !self.ignore_policy, Exit::Policy),
            (has(Condition::Unfinished) || self.is_locked_out(), Exit::Unfinished),
            (has(Condition::Drift), Exit::Drift),
            (self.is_partial() && !self.allow_partial, Exit::Partial),
        ]
        .into_iter()
        .filter_map(|(holds, exit)| holds.then_some(exit))
        .collect()
    }

    fn exit(&self) -> Exit {
        let exit = self.conditions().into_iter().fold(Exit::Clean, Exit::worst);
        match self.codes {
            Codes::Nhi => exit,
            Codes::Terraform => exit.as_terraform(),
        }
    }

    /// Whether a finding has a part in the exit code.
    fn counts(&self, one: &Finding) -> bool {
        one.condition > Condition::Note
            && one.severity >= self.fail_on
            && !(self.ignore_policy && one.condition == Condition::Policy)
    }

    fn print(&self, exit: Exit, output: &Output) {
        let mut last = "";
        for (_, one) in &self.found {
            if one.subject != last {
                output.line(&styled(BOLD, &one.subject));
                last = &one.subject;
            }
            output.line(&line(one));
        }
        for (id, problem) in &self.failed {
            output.warning(&format!("{id}: not read: {problem}"));
        }
        let percent = (self.read * 100).checked_div(self.expected).unwrap_or(100);
        let told = self.found.iter().filter(|(_, one)| one.condition > Condition::Note).count();
        let (style, verdict) = match exit {
            Exit::Clean if told == 0 => (GREEN, "In sync".to_owned()),
            Exit::Clean => (GREEN, format!("{told} difference(s), none that counts here")),
            Exit::Failed | Exit::Partial => (YELLOW, "Not everything could be read".to_owned()),
            _ => (RED, format!("{told} difference(s)")),
        };
        // What is listed and is no difference is in the sum too.
        let noted = match self.found.len() - told {
            0 => String::new(),
            noted => format!(", {noted} only noted"),
        };
        output.line(&format!(
            "{}{noted}: {} declared in {}, {} read ({percent} %), {} gap(s).",
            styled(style, &verdict),
            self.expected,
            self.from,
            self.read,
            self.failed.len()
        ));
        let mut words: Vec<&str> = self.conditions().into_iter().map(Exit::word).collect();
        if words.is_empty() {
            words.push(Exit::Clean.word());
        }
        output.line(&format!("Holds: {} (exit {}).", words.join(", "), exit.code()));
        if self.expected == 0 {
            output.hint("The ledger saw all that was declared end.");
        }
        if self.demo {
            output.hint("demo = true: floors of durations are seconds.");
        }
    }

    fn json(&self, exit: Exit) -> Value {
        let text = |text: &str| if text.is_empty() { Value::Null } else { json!(text) };
        json!({
            "format": "nhi-drift/1",
            "declared": self.from,
            "demo": self.demo,
            "coverage": { "expected": self.expected, "read": self.read, "gaps": self.failed.len() },
            "findings": self.found.iter().map(|(print, one)| json!({
                "fingerprint": HEXLOWER.encode(print),
                "rule": one.rule,
                "severity": one.severity.as_str(),
                "condition": one.condition.as_str(),
                "counts": self.counts(one),
                "subject": one.subject,
                "facet": one.facet,
                "verdict": one.verdict.as_str(),
                "expected": text(&one.expected),
                "actual": text(&one.actual),
                "action": one.action.map(|action| action.as_str()),
                "why": text(&one.why),
            })).collect::<Vec<_>>(),
            "not_read": self.failed.iter().map(|(id, problem)| json!({
                "subject": id, "code": problem.code, "why": problem.detail, "next": problem.next,
            })).collect::<Vec<_>>(),
            "outcome": exit.outcome(&self.conditions()),
        })
    }
}

fn line(one: &Finding) -> String {
    let action = one.action.map(|action| format!(" ({action})")).unwrap_or_default();
    let text = match one.verdict {
        Verdict::Unmanaged => format!("+ credential that nobody declared: {}", one.actual),
        Verdict::Added => format!("+ {}: {}{action}", one.facet, one.actual),
        Verdict::Removed => format!("- {}: {}{action}", one.facet, one.expected),
        Verdict::Missing if one.facet == "object" => "- it is not there any more".to_owned(),
        Verdict::Missing => format!("- {}: {} is not there any more", one.facet, one.expected),
        Verdict::Changed => format!("~ {}: {:?} -> {:?}", one.facet, one.expected, one.actual),
    };
    let style = match (one.condition, one.verdict) {
        (Condition::Note, _) => DIM,
        (_, Verdict::Added | Verdict::Unmanaged) => GREEN,
        (_, Verdict::Removed | Verdict::Missing) => RED,
        (_, Verdict::Changed) => YELLOW,
    };
    let why = if one.why.is_empty() { String::new() } else { format!("  # {}", one.why) };
    format!("  {}{}", styled(style, &text), styled(DIM, &why))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use domain::Action;
    use policy::drift::Stands;

    use super::*;

    const ID: &str = "bao/openbao_approle/invoice-sync";

    fn report() -> Report {
        let scopes = drift::scopes(
            ID,
            [(&"secret/data/payroll/*:read".to_owned(), Action::Secret)],
            [(&"secret/data/invoices/*:read".to_owned(), Action::Secret)],
        );
        let declared = drift::Declared {
            id: ID.into(),
            settings: Some(BTreeMap::from([("token_ttl".into(), "1h".into())])),
            record: Some(BTreeMap::from([("purpose".into(), "Copies invoices".into())])),
            enabled: Some(true),
            revoke_unmanaged: true,
        };
        let observed = drift::Observed {
            settings: BTreeMap::from([("token_ttl".into(), "24h".into())]),
            unmanaged: BTreeMap::from([(
                "0e8c".into(),
                "(issued 2026-11-20, last use unknown)".into(),
            )]),
            ..drift::Observed::default()
        };
        let slot = format!("{ID}/credential/default");
        let sinks = |status| vec![("app", "bao:secret/apps/x".to_owned(), status)];
        let facts = drift::SlotFacts {
            id: &slot,
            status: "retire_due",
            key_id: Some("k2"),
            sinks: sinks("changed"),
            outlived: vec!["k1"],
            end_alone: Vec::new(),
            active: true,
            ..Default::default()
        };
        let other = drift::SlotFacts {
            id: "bao/openbao_approle/other/credential/default",
            status: "held",
            note: Some("sink-changed-by-others"),
            active: true,
            ..Default::default()
        };
        let standing = BTreeMap::from([("expired", policy::rules::Verdict::Disable)]);
        let owns = [ID.to_owned()];
        let mut all = scopes;
        all.extend(drift::compare(&declared, &observed));
        all.extend(drift::slot(&facts));
        all.extend(drift::slot(&other));
        all.extend(drift::standing(ID, &standing));
        all.extend(drift::owner("owner/ann", "left", Some("2026-11-01"), &owns));
        all.push(drift::missing("bao/openbao_approle/gone"));
        let gap = Problem::new("E-UNREADABLE", "Cannot read an object")
            .detail("bao/openbao_approle/dark: 403.")
            .next("nhi doctor bao");
        Report {
            looked_at: BTreeMap::new(),
            from: "nhi.db".into(),
            demo: false,
            found: all.into_iter().map(|one| (one.fingerprint("cluster", "role"), one)).collect(),
            expected: 4,
            read: 3,
            offline: 0,
            failed: vec![("bao/openbao_approle/dark".into(), gap)],
            fail_on: Severity::Low,
            allow_partial: false,
            ignore_policy: false,
            codes: Codes::Nhi,
        }
    }

    #[test]
    fn the_report_for_programs_keeps_its_shape() {
        let report = report();
        let text = serde_json::to_string_pretty(&report.json(report.exit())).unwrap();
        insta::assert_snapshot!(text);
    }

    #[test]
    fn the_report_for_people_keeps_its_shape() {
        let report = report();
        let lines: Vec<String> = report.found.iter().map(|(_, one)| line(one)).collect();
        let plain = anstream::adapter::strip_str(&lines.join("\n")).to_string();
        insta::assert_snapshot!(plain);
    }

    #[test]
    fn of_several_conditions_the_worst_is_the_exit_code_and_all_are_said() {
        let mut report = report();
        let words = |report: &Report| {
            report.conditions().into_iter().map(Exit::word).collect::<Vec<_>>().join(" ")
        };
        assert_eq!(words(&report), "policy unfinished drift partial");
        assert_eq!(report.exit(), Exit::Policy);
        report.ignore_policy = true;
        assert_eq!(words(&report), "unfinished drift partial");
        report.ignore_policy = false;
        report.found.retain(|(_, one)| one.condition != Condition::Policy);
        assert_eq!(report.exit(), Exit::Unfinished);
        report.found.retain(|(_, one)| one.condition != Condition::Unfinished);
        assert_eq!(report.exit(), Exit::Drift);
        report.fail_on = Severity::Critical;
        assert_eq!(report.exit(), Exit::Partial);
        report.allow_partial = true;
        assert_eq!(report.exit(), Exit::Clean);
        // Nothing read is never clean, whatever is allowed; a contract is judged without a look.
        (report.read, report.offline) = (2, 2);
        assert_eq!(report.exit(), Exit::Failed);
        (report.read, report.offline, report.expected) = (2, 2, 2);
        assert_eq!(report.exit(), Exit::Clean, "nothing else is declared");
    }

    #[test]
    fn what_was_begun_for_a_slot_that_nothing_declares_is_unfinished() {
        let left =
            drift::left_open(&format!("{ID}/credential/ci"), Some("k1"), "stored", Stands::Silent);
        let said = line(&left);
        assert!(said.contains("k1 may work") && said.contains("(stored)"), "{said}");
        let found = vec![(left.fingerprint("cluster", "role/ci"), left)];
        let report = Report { found, failed: Vec::new(), read: 4, ..report() };
        assert_eq!(report.exit(), Exit::Unfinished);
    }

    #[tokio::test]
    async fn a_ledger_that_somebody_changed_is_out_of_policy() {
        let ledger = ledger::MemoryLedger::new();
        let entry = ledger::NewEntry::new(1, "declared", ID);
        ledger.append(vec![entry], ledger::Durability::Durable).await.unwrap();
        let mut report = Report { found: Vec::new(), failed: Vec::new(), read: 4, ..report() };
        check_chain(&ledger, &mut report).await;
        assert_eq!(report.exit(), Exit::Clean);
        ledger.tamper(1, |body| body.push(b' '));
        check_chain(&ledger, &mut report).await;
        assert_eq!(report.exit(), Exit::Policy);
        let said = line(&report.found[0].1);
        assert!(said.contains("entry 1") && said.contains("nhi ledger verify"), "{said}");
    }

    #[test]
    fn for_a_pipeline_that_knows_terraform_there_are_three_codes() {
        let mut report = report();
        report.codes = Codes::Terraform;
        assert_eq!(report.exit(), Exit::Drift, "out of policy is something");
        report.found.clear();
        assert_eq!(report.exit(), Exit::Failed, "partly unread is not nothing");
        report.allow_partial = true;
        assert_eq!(report.exit(), Exit::Clean);
    }
}
