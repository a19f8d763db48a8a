//! `nhi drift`: does the world still look as declared?

use std::{
    collections::{BTreeMap, BTreeSet},
    io::IsTerminal,
    path::{Path, PathBuf},
};

use clap::{Args, ValueEnum};
use domain::CredentialId;
use jiff::civil::Date;
use ledger::Ledger;
use operations::{
    Context, Problem, Reaching, Wishes, break_glass::unreviewed, clocks_disagree,
    declared_in_ledger, failing, held_in_custody, judge_each, judge_heard, judge_left_behind,
    ledger_changed, never_heard_of, reach_of, shut_out, tasks,
};
use policy::waiver;
use wiring::Loaded;

use crate::{
    exit::Exit,
    output::{self, Output},
    report::{self, Finding, Form, Report, Severity, baseline, sarif, text, written::Wanted},
    state,
};

/// Compare the world with what is declared, without Terraform and without changing anything.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  nhi drift                                  declared: what the ledger says was applied
  terraform show -json | nhi drift --state -
  nhi drift --state terraform.tfstate --format json
  nhi drift --fail-on high                   list everything, fail on what gives power
  nhi drift --workdir . --only 'bao/*' --format github
  nhi drift --report sarif=drift.sarif --report junit=drift.xml --report html=drift.html
  nhi drift --write-baseline baseline.json --owner ann --reason INC-7 --ends-on 2027-01-31

Exit codes: 0 in sync · 1 could not do it · 2 drift · 3 something could not be read ·
4 out of policy (expired, owner left, review overdue, a credential that nobody declared and that no
apply is to end, a ledger that was changed) ·
5 unfinished or overdue work (held, an overlap that is over); of several the first of 1, 4, 5, 2, 3")]
pub(crate) struct Drift {
    /// Declared is what this state says (`terraform show -json`, or a state file); `-` is standard
    /// input. Else the ledger says.
    #[arg(long, value_name = "FILE", group = "says")]
    state: Option<String>,

    /// Declared is what is there when this plan is applied (`terraform show -json PLAN`); `-` is
    /// standard input.
    #[arg(long, value_name = "FILE", group = "says")]
    plan: Option<String>,

    /// Declared is the state of the configuration in this folder, as `terraform show -json` there
    /// prints it, or `tofu` where there is no `terraform`.
    #[arg(long, value_name = "DIR", group = "says")]
    workdir: Option<PathBuf>,

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

    /// Look at what has such an id alone; `*` stands for any text, `?` for one character. May be
    /// given several times.
    #[arg(long, value_name = "GLOB")]
    only: Vec<String>,

    /// Do not look at what has such an id. May be given several times.
    #[arg(long, value_name = "GLOB")]
    exclude: Vec<String>,

    /// Findings that somebody answers for, as --write-baseline writes them.
    #[arg(long, value_name = "FILE")]
    baseline: Option<PathBuf>,

    /// Write what is found now into a baseline, with who answers for it. What stands in --baseline
    /// and holds still stays as it is.
    #[arg(long, value_name = "FILE", requires_all = ["owner", "reason", "ends_on"])]
    write_baseline: Option<PathBuf>,

    /// Who answers for what --write-baseline accepts.
    #[arg(long, value_name = "WHO", requires = "write_baseline")]
    owner: Option<String>,

    /// Why it is accepted.
    #[arg(long, value_name = "TEXT", requires = "write_baseline")]
    reason: Option<String>,

    /// The last day on which it is accepted, such as 2027-01-31.
    #[arg(long, value_name = "DAY", requires = "write_baseline")]
    ends_on: Option<Date>,

    /// How the result is printed; text, unless a --report goes to standard output.
    #[arg(long, value_enum, value_name = "FORMAT")]
    format: Option<Form>,

    /// Write the result into a file as well, whole or not at all; `-` is standard output. May be
    /// given several times.
    #[arg(long, value_name = "FORMAT=FILE")]
    report: Vec<Wanted>,

    /// The SARIF file that the run before wrote: its results of what is not read this time are
    /// carried forward.
    #[arg(long, value_name = "FILE")]
    previous: Option<PathBuf>,
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

impl Drift {
    pub(crate) async fn run(self, config: Option<&str>, output: &Output) -> Result<Exit, Problem> {
        let stdout = self.on_stdout()?;
        // What is wrong with a file that was given is told before anything is asked.
        let former = self.baseline.as_deref().map(baseline::read).transpose()?;
        let previous = self.previous.as_deref().map(sarif::previous).transpose()?;
        let loaded = wiring::load(config)?;
        let context = loaded.read_only().context("nhi", "command")?;
        let mut report = self.compare(&loaded, &context, output).await?;
        let entries = self.accepted(&report, former.unwrap_or_default())?;
        report.accept(&entries, &context.rules.waivers);
        report.sort();
        let exit = report.exit();
        if let Some(form) = stdout {
            match form {
                Form::Text => print(&report, exit, output),
                form => output.line(&rendered(&report, form, previous.as_ref())?),
            }
            if form == Form::Github {
                summary(&loaded, &report)?;
            }
        }
        let mut exits = exit;
        for wanted in self.report.iter().filter(|one| one.place != "-") {
            // One that fails hides neither the result nor another report.
            let written = rendered(&report, wanted.form, previous.as_ref())
                .and_then(|text| report::written::write(Path::new(&wanted.place), &text));
            if let Err(problem) = written {
                output.problem(&problem);
                exits = Exit::Failed;
            }
        }
        Ok(exits)
    }

    /// How an error is printed.
    pub(crate) fn format(&self) -> output::Format {
        match self.format {
            Some(Form::Json) => output::Format::Json,
            _ => output::Format::Text,
        }
    }

    /// What goes to standard output: one form, since nobody could tell two apart.
    fn on_stdout(&self) -> Result<Option<Form>, Problem> {
        let reports = self.report.iter().filter(|one| one.place == "-").map(|one| one.form);
        let all: Vec<Form> = self.format.into_iter().chain(reports).collect();
        match all[..] {
            [] => Ok(Some(Form::Text)),
            [form] => Ok(Some(form)),
            _ => Err(Problem::new("E-REPORT", "Two results cannot both go to standard output")
                .detail("More than one of --format and --report … =- asks for it.")
                .next("name a file for all but one: --report FORMAT=FILE")),
        }
    }

    /// Looks at all that was asked for.
    async fn compare(
        &self,
        loaded: &Loaded,
        context: &Context,
        output: &Output,
    ) -> Result<Report, Problem> {
        let mut gap = None;
        let (mut wishes, from) = match (&self.state, &self.plan, &self.workdir) {
            (Some(_), ..) => declared(context, self.state.as_deref(), "drift").await?,
            (_, Some(place), _) => {
                let (wishes, half) = state::read_plan(place)?;
                gap = half;
                (wishes, format!("plan {place}"))
            }
            (.., Some(folder)) => {
                let wishes = state::of_folder(folder, &loaded.config.secret_variables())?;
                (wishes, format!("the state of {}", folder.display()))
            }
            _ => declared_or_ended(context).await?,
        };
        let given = self.state.is_some() || self.plan.is_some() || self.workdir.is_some();
        if given && wishes.count() == 0 {
            return Err(nothing_in_state(&from));
        }
        let heard_of = (!given).then(|| wishes.heard_of.clone());
        let (slots, owns) = (wishes.slots(), wishes.owned());
        let reach = reach_of(&wishes);
        let left_out = self.select(&mut wishes)?;
        let mut report = Report {
            demo: loaded.config.demo,
            narrowed: !(self.only.is_empty() && self.exclude.is_empty()),
            left_out,
            fail_on: self.fail_on.severity(),
            allow_partial: self.allow_partial,
            ignore_policy: self.ignore_policy,
            as_terraform: self.exit == Codes::Terraform,
            location: location(loaded, self.state.as_deref().or(self.plan.as_deref())),
            ..Report::new(&wishes, from, context.now())
        };
        report.failed.extend(gap.map(|problem| ("plan".to_owned(), problem)));
        check_chain(&*context.ledger, &mut report).await;
        let asked = ids(&wishes);
        people(context, &wishes, &mut report).await;
        look(context, wishes, (owns, reach), &mut report, output).await;
        // Whose what nothing declares is can be told only where all was looked at.
        if !report.narrowed {
            left_behind(context, &slots, heard_of.is_some(), &mut report).await;
            if let Some(heard_of) = heard_of {
                unheard(context, &heard_of, &mut report).await;
            }
        }
        // Where all was asked for, what was heard of anything is told.
        let narrowed = report.narrowed;
        let is_asked = |subject: &str| !narrowed || is_about(&asked, subject);
        beside(context, is_asked, &mut report).await;
        Ok(report)
    }

    /// Takes out what was not asked for, and returns it.
    fn select(&self, wishes: &mut Wishes) -> Result<BTreeSet<String>, Problem> {
        let any = |globs: &[String], id: &str| globs.iter().any(|one| waiver::matches(one, id));
        let wanted =
            |id: &str| (self.only.is_empty() || any(&self.only, id)) && !any(&self.exclude, id);
        let had = wishes.count();
        let ids: Vec<&String> = (wishes.integrations.keys())
            .chain(wishes.owners.keys())
            .chain(wishes.third_parties.iter().map(|one| &one.id))
            .collect();
        // Who misspells one of several would take the report for what it is not.
        if let Some(none) =
            self.only.iter().find(|glob| !ids.iter().any(|id| waiver::matches(glob, id)))
        {
            return Err(none_such(format!(
                "Of {had} declared integrations and owners none fits --only {none:?}."
            )));
        }
        let mut left_out = BTreeSet::new();
        let mut keep = |id: &str| {
            let wanted = wanted(id);
            if !wanted {
                left_out.insert(id.to_owned());
            }
            wanted
        };
        wishes.integrations.retain(|id, _| keep(id));
        wishes.owners.retain(|id, _| keep(id));
        wishes.third_parties.retain(|one| keep(&one.id));
        if had > 0 && wishes.count() == 0 {
            return Err(none_such(format!(
                "Of {had} declared integrations and owners --only and --exclude leave none."
            )));
        }
        Ok(left_out)
    }

    /// What is accepted: by the baseline, and by the one that is written now.
    fn accepted(
        &self,
        report: &Report,
        former: Vec<baseline::Entry>,
    ) -> Result<Vec<baseline::Entry>, Problem> {
        let (Some(place), Some(owner), Some(reason), Some(ends_on)) =
            (&self.write_baseline, &self.owner, &self.reason, self.ends_on)
        else {
            return Ok(former);
        };
        let answer = baseline::Answer { owner: owner.clone(), reason: reason.clone(), ends_on };
        let made = baseline::made(report, &former, &answer);
        report::written::write(place, &baseline::text(&made))?;
        Ok(made)
    }
}

/// The report in a form, unless that form must not tell a part as the whole.
fn rendered(
    report: &Report,
    form: Form,
    previous: Option<&sarif::Previous>,
) -> Result<String, Problem> {
    let asks = form == Form::Sarif && previous.is_none();
    match asks.then(|| sarif::refusal(report)).flatten() {
        Some(problem) => Err(problem),
        None => Ok(report::render(report, form, previous)),
    }
}

fn print(report: &Report, exit: Exit, output: &Output) {
    for (id, problem) in &report.failed {
        output.warning(&format!("{id}: not read: {problem}"));
    }
    // What reads a pipe finds each line whole.
    let width = std::io::stdout().is_terminal().then_some(text::WIDTH);
    for line in text::lines(report, exit, width) {
        output.line(&line);
    }
    if report.expected == 0 {
        output.hint("The ledger saw all that was declared end.");
    }
    if report.demo {
        output.hint("demo = true: floors of durations are seconds.");
    }
}

/// Adds the report to the page of the job, where GitHub Actions runs it.
fn summary(loaded: &Loaded, report: &Report) -> Result<(), Problem> {
    let of = |name: &str| loaded.environment.get(name).filter(|text| !text.is_empty());
    let (Some(_), Some(place)) =
        (of("GITHUB_ACTIONS").filter(|text| text == "true"), of("GITHUB_STEP_SUMMARY"))
    else {
        return Ok(());
    };
    report::written::append(Path::new(&place), &report::render(report, Form::Markdown, None))
}

/// The file of the repository at which code scanning and annotations show what is found: it must be
/// there, relative to the repository's root.
fn location(loaded: &Loaded, state: Option<&str>) -> String {
    let here = Path::new(".").canonicalize().unwrap_or_default();
    let named = ["GITHUB_WORKSPACE", "CI_PROJECT_DIR"];
    let named = named.iter().find_map(|name| loaded.environment.get(name));
    let named = named.and_then(|place| Path::new(&place).canonicalize().ok());
    let above = || here.ancestors().find(|one| one.join(".git").exists()).map(Path::to_owned);
    let root = named.filter(|root| here.starts_with(root)).or_else(above).unwrap_or(here.clone());
    let state = state.filter(|place| *place != "-").map(PathBuf::from);
    let within = [loaded.file.clone(), state].into_iter().flatten().find_map(|file| {
        let file = file.canonicalize().ok()?;
        let within = file.strip_prefix(&root).ok()?;
        let steps = within.iter().map(|step| Some(encoded(step.to_str()?)));
        Some(steps.collect::<Option<Vec<_>>>()?.join("/"))
    });
    within.unwrap_or_else(|| "nhi.hcl".to_owned())
}

/// A step of a path, as it stands in a URI.
fn encoded(step: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte);
    let one = |byte: u8| match plain(byte) {
        true => char::from(byte).to_string(),
        false => format!("%{byte:02X}"),
    };
    step.bytes().map(one).collect()
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
pub(crate) async fn declared(
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

/// What is declared and asked for.
fn ids(wishes: &Wishes) -> BTreeSet<String> {
    let third = wishes.third_parties.iter().map(|one| one.id.clone());
    wishes.integrations.keys().cloned().chain(third).collect()
}

/// Whether something is about one of these: it, a part of it, or the connection that it is at.
fn is_about(asked: &BTreeSet<String>, subject: &str) -> bool {
    let below = |long: &str, short: &str| {
        long.strip_prefix(short).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    };
    asked.iter().any(|id| below(subject, id) || below(id, subject))
}

/// What no look at a thing tells: what was heard of those that are asked for, what keeps failing, and clocks
/// that disagree.
async fn beside(context: &Context, is_asked: impl Fn(&str) -> bool, report: &mut Report) {
    let heard = judge_heard(context, is_asked).await;
    report.failed.extend(heard.gaps);
    heard.findings.into_iter().for_each(|(print, one)| report.add(print, one));
    troubled(context, report).await;
    if let Some((print, one)) = clocks_disagree(context).await {
        report.add(print, one);
    }
}

/// Everything that is declared, compared with what is there, with nobody asked: for who does that again and
/// again.
pub(crate) async fn whole(
    context: &Context,
    wishes: Wishes,
    from: String,
    all_declared: bool,
) -> Report {
    let (slots, owns, heard_of) = (wishes.slots(), wishes.owned(), wishes.heard_of.clone());
    let mut report = Report::new(&wishes, from, context.now());
    check_chain(&*context.ledger, &mut report).await;
    people(context, &wishes, &mut report).await;
    report.offline = wishes.third_parties.len();
    let reach = reach_of(&wishes);
    let further = judge_each(context, wishes, owns, reach, |id, judged| report.take(id, judged));
    further.await.into_iter().for_each(|(print, one)| report.add(print, one));
    left_behind(context, &slots, all_declared, &mut report).await;
    if all_declared {
        unheard(context, &heard_of, &mut report).await;
    }
    beside(context, |_| true, &mut report).await;
    report.accept(&[], &context.rules.waivers);
    report.sort();
    report
}

fn none_such(detail: String) -> Problem {
    Problem::new("E-DRIFT-NONE", "Nothing that is declared has such an id").detail(detail).next(
        "name ids as nhi drift prints them, such as --only 'bao/*/invoice-*'; credentials and scopes \
         are looked at with their integration",
    )
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
    match ledger_changed(ledger).await {
        Ok(found) => found.into_iter().for_each(|(print, one)| report.add(print, one)),
        Err(problem) => report.failed.push(("ledger".to_owned(), problem)),
    }
}

/// Adds what people were to do by now. What is for all is told where all was asked for.
async fn people(context: &Context, wishes: &Wishes, report: &mut Report) {
    match tasks(context, wishes).await {
        Ok(tasks) => {
            let asked = tasks.iter().filter(|one| one.object.is_some() || !report.narrowed);
            let late: Vec<_> = asked.filter_map(|one| one.finding(context)).collect();
            late.into_iter().for_each(|(print, one)| report.add(print, one));
        }
        Err(problem) => report.failed.push(("ledger".to_owned(), problem)),
    }
    match unreviewed(context).await {
        Ok(found) => found.into_iter().for_each(|(print, one)| report.add(print, one)),
        Err(problem) => report.failed.push(("break-glass".to_owned(), problem)),
    }
}

/// Looks at everything that is declared, and tells how far it is.
async fn look(
    context: &Context,
    wishes: Wishes,
    (owns, reach): (BTreeMap<String, Vec<String>>, BTreeMap<String, Reaching>),
    report: &mut Report,
    output: &Output,
) {
    let progress = output.progress("comparing");
    report.offline = wishes.third_parties.len();
    let mut done = 0;
    let further = judge_each(context, wishes, owns, reach, |id, judged| {
        done += 1;
        progress.say(&format!("compared {done} of {}", report.expected));
        report.take(id, judged);
    })
    .await;
    further.into_iter().for_each(|(print, one)| report.add(print, one));
}

/// Adds what was begun and is no part of anything that was looked at.
async fn left_behind(
    context: &Context,
    slots: &[CredentialId],
    all_declared: bool,
    report: &mut Report,
) {
    match judge_left_behind(context, &report.looked_at, slots, all_declared).await {
        Ok(judged) => {
            judged.findings.into_iter().for_each(|(print, one)| report.add(print, one));
            report.failed.extend(judged.gaps);
        }
        Err(problem) => report.failed.push(("custody".to_owned(), problem)),
    }
}

/// Adds connections that do not let us in, and what fails again and again of what was asked for.
async fn troubled(context: &Context, report: &mut Report) {
    for (print, one) in shut_out(context, &report.failed).await {
        report.add(print, one);
    }
    match failing(context).await {
        Ok(found) => {
            let asked = |one: &Finding| !report.narrowed || !report.is_unread(&one.subject);
            let found: Vec<_> = found.into_iter().filter(|(_, one)| asked(one)).collect();
            found.into_iter().for_each(|(print, one)| report.add(print, one));
        }
        Err(problem) => report.failed.push(("ledger".to_owned(), problem)),
    }
}

/// Adds what bears our mark and the ledger has no row of.
async fn unheard(context: &Context, heard_of: &BTreeSet<String>, report: &mut Report) {
    match never_heard_of(context, heard_of).await {
        Ok(gaps) => report.failed.extend(gaps),
        Err(problem) => report.failed.push(("platforms".to_owned(), problem)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID: &str = "bao/openbao_approle/invoice-sync";

    #[tokio::test]
    async fn a_ledger_that_somebody_changed_is_out_of_policy() {
        let ledger = ledger::MemoryLedger::new();
        let entry = ledger::NewEntry::new(1, "declared", ID);
        ledger.append(vec![entry], ledger::Durability::Durable).await.unwrap();
        let mut report =
            Report::new(&Wishes::default(), "nhi.db".into(), jiff::Timestamp::UNIX_EPOCH);
        check_chain(&ledger, &mut report).await;
        assert_eq!(report.exit(), Exit::Clean);
        ledger.tamper(1, |body| body.push(b' '));
        check_chain(&ledger, &mut report).await;
        assert_eq!(report.exit(), Exit::Policy);
        let one = &report.found[0].finding;
        assert!(one.actual.contains("entry 1") && one.why.contains("nhi ledger verify"), "{one:?}");
    }

    #[test]
    fn what_was_heard_is_about_what_it_names_and_what_is_below_or_at_it() {
        let asked = BTreeSet::from([ID.to_owned()]);
        for of in [ID, "bao", &format!("{ID}/credential/default")] {
            assert!(is_about(&asked, of), "{of}");
        }
        for other in ["ba", "hub", &format!("{ID}-2")] {
            assert!(!is_about(&asked, other), "{other}");
        }
    }

    #[test]
    fn a_path_is_written_as_a_uri_has_it() {
        assert_eq!(encoded("my nhi#1.hcl"), "my%20nhi%231.hcl");
    }
}
