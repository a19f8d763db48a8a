//! `nhi task`: what people are to do because no platform can be asked for it.

use std::{
    fs::File,
    io::{ErrorKind, Read as _},
    path::{Path, PathBuf},
};

use clap::{Args, Subcommand};
use data_encoding::HEXLOWER;
use jiff::{Timestamp, civil::Date};
use operations::{
    Context, Evidence, OpenTask, Problem, Wishes, declared_in_ledger, may_be_done, note_tasks,
    task_done, tasks,
};
use policy::waiver::matches;
use ring::digest;
use serde_json::{Value, json};

use crate::{
    exit::Exit,
    output::{BOLD, DIM, Format, GREEN, Output, RED, styled},
    state,
    told::say,
};

/// What people are to do: read a contract, go through a vendor's administrators, try out an end.
#[derive(Debug, Subcommand)]
#[command(after_help = "Examples:
  nhi task list                        what is to be done, soonest first
  nhi task done vendor-admins --for none/third_party/etl --evidence review.pdf --by owner/finance

Tasks are declared in policy.hcl (tasks = { … }). What a declaration brings with it is listed as
well: reviews, contracts, what was adopted and is not complete.")]
pub(crate) enum Tasks {
    List(List),
    Done(Done),
}

/// List what people are to do, soonest first.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  nhi task list
  nhi task list --overdue --format json

Exit codes: 0 nothing is overdue · 1 could not do it · 5 something is overdue")]
pub(crate) struct List {
    /// Only what is overdue.
    #[arg(long)]
    overdue: bool,

    /// Declared is what this state says (`terraform show -json`, or a state file); `-` is standard
    /// input. Else the ledger says.
    #[arg(long, value_name = "FILE")]
    state: Option<String>,

    /// Text or JSON.
    #[arg(long, value_enum, default_value_t = Format::Text)]
    format: Format,
}

/// Write down that a task was done, and the hash of the file that shows it.
///
/// The file itself is not copied: keep it where such files are kept. Whoever has it can show later that
/// it is the one: `sha256sum FILE`.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  nhi task done dpa-terms --evidence dpa-2027.pdf --by owner/legal
  nhi task done vendor-admins --for none/third_party/etl --evidence review.pdf --by owner/finance
  nhi task done vendor-admins --for 'none/third_party/*' --evidence all.pdf --by owner/finance \\
      --on 2026-11-20
  nhi ledger show --kind task

Exit codes: 0 written down · 1 not, and nothing was changed")]
pub(crate) struct Done {
    /// The task, by its name in policy.hcl.
    #[arg(value_name = "NAME")]
    name: String,

    /// What it was done for, where it is done for each object; `*` stands for any text.
    #[arg(long = "for", value_name = "ID")]
    of: Option<String>,

    /// The file that shows it.
    #[arg(long, value_name = "FILE")]
    evidence: PathBuf,

    /// Who did it, as an id such as owner/finance; no name, no address. Else run.requester of nhi.hcl.
    #[arg(long, value_name = "WHO")]
    by: Option<String>,

    /// The day on which it was done; today, unless set.
    #[arg(long, value_name = "DAY")]
    on: Option<Date>,

    /// Declared is what this state says; else the ledger says.
    #[arg(long, value_name = "FILE")]
    state: Option<String>,

    /// Text or JSON.
    #[arg(long, value_enum, default_value_t = Format::Text)]
    format: Format,
}

impl Tasks {
    pub(crate) fn format(&self) -> Format {
        match self {
            Tasks::List(list) => list.format,
            Tasks::Done(done) => done.format,
        }
    }

    pub(crate) async fn run(self, config: Option<&str>, output: &Output) -> Result<Exit, Problem> {
        match self {
            Tasks::List(list) => list.run(config, output).await,
            Tasks::Done(done) => done.run(config, output).await,
        }
    }
}

/// What is declared; nothing where nobody says, since a task may be for all.
async fn declared(context: &Context, state: Option<&str>) -> Result<Wishes, Problem> {
    match state {
        Some(place) => state::read(place),
        None => declared_in_ledger(&*context.ledger).await,
    }
}

impl List {
    async fn run(self, config: Option<&str>, output: &Output) -> Result<Exit, Problem> {
        let context = wiring::load(config)?.read_only().context("nhi", "command")?;
        let wishes = declared(&context, self.state.as_deref()).await?;
        let mut all = tasks(&context, &wishes).await?;
        let late = all.iter().any(OpenTask::is_overdue);
        let exit = if late { Exit::Unfinished } else { Exit::Clean };
        all.retain(|one| !self.overdue || one.is_overdue());
        if self.format == Format::Json {
            output.line(&report(&all, exit).to_string());
            return Ok(exit);
        }
        all.iter().for_each(|one| tell(one, output));
        if all.is_empty() {
            output.line("Nothing is to be done by people.");
        }
        for task in &context.rules.tasks {
            if !all.iter().any(|one| one.of_policy.as_ref() == Some(task)) && !self.overdue {
                let each = task.each.as_deref().unwrap_or_default();
                output.hint(&format!(
                    "{}: nothing that is declared fits each = {each:?}.",
                    task.name
                ));
            }
        }
        Ok(exit)
    }
}

fn day(at: Timestamp) -> String {
    at.strftime("%Y-%m-%d").to_string()
}

fn tell(one: &OpenTask, output: &Output) {
    let word = one.standing.as_str();
    let word = match one.is_overdue() {
        true => styled(RED, word),
        false => word.to_owned(),
    };
    let by = one.standing.by().map_or_else(String::new, |at| format!(" by {}", day(at)));
    let of = one.object.as_ref().map_or_else(String::new, |of| format!(" for {of}"));
    output.line(&format!("{}{of}: {word}{by}", styled(BOLD, &one.name)));
    let who = one.owner.as_ref().map_or_else(String::new, |who| format!(" ({who})"));
    say(output, "what", &format!("{}{who}", one.what));
    let last = match &one.last {
        None => "never".to_owned(),
        Some(last) => {
            let by = last.by.as_ref().map_or_else(String::new, |by| format!(" by {by}"));
            let file =
                last.evidence.as_ref().map_or_else(String::new, |hash| format!(", sha256 {hash}"));
            format!("{}{by}{file}", day(last.at))
        }
    };
    say(output, "last done", &last);
    if one.standing.by().is_some() {
        say(output, "next", &styled(DIM, &one.next));
    }
}

fn task_json(one: &OpenTask) -> Value {
    json!({
        "task": one.name, "for": one.object, "what": one.what, "owner": one.owner,
        "from": if one.of_policy.is_some() { "policy" } else { "declaration" },
        "stands": one.standing.as_str(), "due_by": one.standing.by().map(|at| at.to_string()),
        "next": one.next,
        "last": one.last.as_ref().map(|last| json!({
            "at": last.at.to_string(), "by": last.by, "sha256": last.evidence,
        })),
    })
}

fn report(all: &[OpenTask], exit: Exit) -> Value {
    json!({
        "format": "nhi-tasks/1", "tasks": all.iter().map(task_json).collect::<Vec<_>>(),
        "outcome": exit.sole_outcome(),
    })
}

impl Done {
    async fn run(self, config: Option<&str>, output: &Output) -> Result<Exit, Problem> {
        let evidence = evidence(&self.evidence)?;
        let context = wiring::load(config)?.context("nhi", "command")?;
        if !context.ledger.keeps() {
            return Err(Problem::new("E-LEDGER-NONE", "No ledger is kept here")
                .detail("nhi.hcl says ledger = { none = true }, so nothing can be written down.")
                .next("take that line out of nhi.hcl"));
        }
        let by = who(self.by.or_else(|| context.run.requester.clone()))?;
        let wishes = declared(&context, self.state.as_deref()).await?;
        let all = tasks(&context, &wishes).await?;
        let meant = meant(&all, &self.name, self.of.as_deref())?;
        // All or none: who is told that nothing was written down is told so of all.
        for task in &meant {
            may_be_done(&context, task, self.on)?;
        }
        note_tasks(&context, &wishes, &all).await;
        let mut done = Vec::new();
        for task in meant {
            let now = task_done(&context, task, (&by, &evidence), self.on).await?;
            if self.format == Format::Text {
                let of = now.object.as_ref().map_or_else(String::new, |of| format!(" for {of}"));
                let next = match now.standing.by() {
                    Some(at) => format!("next by {}", day(at)),
                    None => "done for good".to_owned(),
                };
                output.line(&format!("{} {}{of}: {next}", styled(GREEN, "Done:"), now.name));
            }
            done.push(now);
        }
        if self.format == Format::Json {
            output.line(&report(&done, Exit::Clean).to_string());
        } else {
            output.line(&format!("  sha256    {} ({} bytes)", evidence.sha256, evidence.bytes));
            output.hint("Keep the file: only its hash is kept here.");
        }
        Ok(Exit::Clean)
    }
}

/// The tasks that are meant: of this name, for what was named.
fn meant<'a>(
    all: &'a [OpenTask],
    name: &str,
    of: Option<&str>,
) -> Result<Vec<&'a OpenTask>, Problem> {
    let named: Vec<&OpenTask> = all.iter().filter(|one| one.name == name).collect();
    let wrong = |detail: String| {
        Problem::new("E-TASK", "There is no such task")
            .detail(format!("{detail} Nothing was written down."))
            .next("nhi task list shows which there are, and for what")
    };
    let fits = |one: &&OpenTask| match (of, &one.object) {
        (None, _) => true,
        (Some(of), Some(object)) => matches(of, object),
        (Some(_), None) => false,
    };
    let found: Vec<&OpenTask> = named.iter().copied().filter(fits).collect();
    match (named.len(), found.len(), of) {
        (0, ..) => Err(wrong(format!("{name:?} is the name of no task here."))),
        (_, 0, _) => {
            Err(wrong(format!("{name} is not to be done for {:?}.", of.unwrap_or_default())))
        }
        (_, more, None) if more > 1 => {
            Err(Problem::new("E-TASK", "Which one is meant is not said")
                .detail(format!(
                    "{name} is to be done for {more} things. Nothing was written down."
                ))
                .next(format!(
                    "name one with --for, such as --for {}, or all of them with --for and a *",
                    found[0].object.as_deref().unwrap_or_default()
                )))
        }
        _ => Ok(found),
    }
}

/// Who did it, as it may stand where nothing is ever taken out again.
fn who(given: Option<String>) -> Result<String, Problem> {
    let Some(by) = given.map(|by| by.trim().to_owned()).filter(|by| !by.is_empty()) else {
        return Err(Problem::new("E-TASK", "Who did it is not said")
            .detail("Nothing was written down: somebody answers for each task that was done.")
            .next("the same with --by WHO, such as --by owner/finance"));
    };
    let plain = |one: char| one.is_ascii_alphanumeric() || "-_./:".contains(one);
    if by.chars().all(plain) && by.len() <= 128 {
        return Ok(by);
    }
    Err(Problem::new("E-TASK", "A name or an address does not belong there")
        .detail(format!(
            "--by {by:?}: the ledger is never edited, so it holds ids. Nothing was written down."
        ))
        .next("give an id, such as owner/finance or person:4711"))
}

/// The hash of a file that shows something.
fn evidence(place: &Path) -> Result<Evidence, Problem> {
    let wrong = |why: String| {
        Problem::new("E-EVIDENCE", "This file shows nothing")
            .detail(format!("{}: {why}. Nothing was written down.", place.display()))
            .next("name the file that shows what was done: --evidence FILE")
    };
    let no = |error: std::io::Error| wrong(error.to_string());
    let mut file = File::open(place).map_err(no)?;
    if file.metadata().map_err(no)?.is_dir() {
        return Err(wrong("it is a folder".into()));
    }
    let (mut hash, mut bytes, mut part) = (digest::Context::new(&digest::SHA256), 0, [0u8; 16_384]);
    loop {
        match file.read(&mut part) {
            Ok(0) => break,
            Ok(read) => {
                hash.update(&part[..read]);
                bytes += read as u64;
            }
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return Err(no(error)),
        }
    }
    if bytes == 0 {
        return Err(wrong("it is empty".into()));
    }
    Ok(Evidence { sha256: HEXLOWER.encode(hash.finish().as_ref()), bytes })
}

#[cfg(test)]
mod tests {
    use policy::task::{Standing, Task};

    use super::*;

    fn open(name: &str, object: Option<&str>) -> OpenTask {
        OpenTask {
            name: name.into(),
            object: object.map(str::to_owned),
            what: "w".into(),
            owner: None,
            standing: Standing::Due(Timestamp::UNIX_EPOCH),
            last: None,
            next: "n".into(),
            of_policy: None::<Task>,
        }
    }

    #[test]
    fn a_task_for_several_things_is_done_for_those_that_are_named() {
        let all =
            [open("admins", Some("none/a")), open("admins", Some("none/b")), open("terms", None)];
        let of = |name, of| meant(&all, name, of).map(|found| found.len());
        assert_eq!(of("terms", None), Ok(1));
        assert_eq!(of("admins", Some("none/b")), Ok(1));
        assert_eq!(of("admins", Some("none/*")), Ok(2));
        assert!(of("admins", None).unwrap_err().to_string().contains("--for none/a"));
        assert!(of("terms", Some("none/a")).is_err());
        assert!(of("termz", None).unwrap_err().to_string().contains("nhi task list"));
    }

    #[test]
    fn who_did_it_is_an_id_and_neither_a_name_nor_an_address() {
        assert_eq!(who(Some("owner/finance".into())), Ok("owner/finance".into()));
        for by in ["ann@example.com", "Ann Example", ""] {
            assert_eq!(who(Some(by.into())).unwrap_err().code, "E-TASK", "{by}");
        }
        assert!(who(None).unwrap_err().to_string().contains("--by"));
    }

    #[test]
    fn a_file_that_shows_nothing_is_refused_and_another_is_known_by_its_hash() {
        let folder = tempfile::tempdir().unwrap();
        assert!(evidence(folder.path()).unwrap_err().to_string().contains("folder"));
        assert!(evidence(&folder.path().join("none")).is_err());
        let file = folder.path().join("a");
        std::fs::write(&file, "").unwrap();
        assert!(evidence(&file).unwrap_err().to_string().contains("empty"));
        std::fs::write(&file, "abc").unwrap();
        let known = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        assert_eq!(evidence(&file), Ok(Evidence { sha256: known.into(), bytes: 3 }));
    }
}
