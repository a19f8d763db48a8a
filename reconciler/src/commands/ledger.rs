//! `nhi ledger`: what happened, in order, and whether anybody rewrote it.

use std::{fs::File, io::BufReader, num::NonZeroUsize, path::PathBuf};

use clap::{Args, Subcommand};
use connector::{Clock, SystemClock};
use domain::Span;
use jiff::{Timestamp, civil::Date, tz::TimeZone};
use ledger::{
    Entry, Filter, KINDS, Range, Story, Subject, Verification, Work, export, port::PAGE_MAX,
};
use operations::Problem;
use serde_json::{Value, json};

use crate::{
    checkpoint::{Checkpoint, verify_checkpoints},
    compact::{Compact, verify_archives},
    exit::Exit,
    history::NewFile,
    output::{BOLD, DIM, Format, GREEN, Output, RED, YELLOW, styled},
};

/// Read the ledger: what happened, in order.
#[derive(Debug, Subcommand)]
#[command(after_help = "Examples:
  nhi ledger show --last 20        the newest 20 entries
  nhi ledger show --since 7d       what happened within seven days
  nhi ledger obligations           what is owed, and until when
  nhi ledger verify                did anybody rewrite it?")]
pub(crate) enum Ledger {
    Show(Show),
    Obligations(Obligations),
    Verify(Verify),
    Checkpoint(Checkpoint),
    Salvage(Salvage),
    Forget(Forget),
    Export(Export),
    Import(Import),
    Compact(Compact),
    Upgrade(Upgrade),
}

/// Show what happened, each rotation with its steps together.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  nhi ledger show --last 20
  nhi ledger show --since 24h
  nhi ledger show bao/openbao_approle/invoice-sync
  nhi ledger show --kind rotation.proven --format json | jq .detail

Exit codes: 0 all of it, and it is sound · 1 could not · 3 some entries cannot be read ·
4 it is damaged, or somebody changed it; of several the first of 1, 4, 3")]
pub(crate) struct Show {
    /// Only this object and what hangs below it.
    #[arg(value_name = "ID")]
    subject: Option<String>,

    /// Only entries of this kind; `rotation` means all its steps. May be repeated.
    #[arg(long, value_name = "KIND")]
    kind: Vec<String>,

    /// Only one rotation.
    #[arg(long, value_name = "ROTATION")]
    rotation: Option<String>,

    /// Only the newest entries.
    #[arg(long, value_name = "N", value_parser = how_many)]
    last: Option<NonZeroUsize>,

    /// Only entries from then on: 7d (back from now), 2026-11-22 (midnight UTC) or
    /// 2026-11-22T08:30:00Z.
    #[arg(long, value_name = "TIME", value_parser = since)]
    since: Option<Timestamp>,

    /// Text, or one JSON object a line.
    #[arg(long, value_enum, default_value_t = Format::Text)]
    format: Format,
}

/// List what is owed: what is to be done about a credential, not before when, and at the latest when.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  nhi ledger obligations
  nhi ledger obligations --format json

They are what was owed when somebody was last at work; nhi reconcile --due looks, and does what is due.

Exit codes: 0 listed · 1 could not · 5 one is overdue")]
pub(crate) struct Obligations {
    /// Text or JSON.
    #[arg(long, value_enum, default_value_t = Format::Text)]
    format: Format,
}

/// Check every hash, and that nothing is missing.
#[derive(Debug, Args)]
#[command(after_help = "Example:
  nhi ledger verify --format json
  nhi ledger verify --archive history-2025.jsonl    with what nhi ledger compact took out
  nhi ledger verify --checkpoint ledger.checkpoint --key checkpoint.key.pub

What was cut off at its end, or rewritten as a whole, is seen against a checkpoint that was kept elsewhere.

Exit codes: 0 sound · 1 could not look · 4 it is damaged, or somebody changed it")]
pub(crate) struct Verify {
    /// A file that nhi ledger compact wrote, to be held against what the ledger says of it. May be
    /// repeated.
    #[arg(long, value_name = "FILE")]
    archive: Vec<PathBuf>,

    /// A file that nhi ledger checkpoint wrote, to be held against the ledger. May be repeated.
    #[arg(long, value_name = "FILE")]
    checkpoint: Vec<PathBuf>,

    /// What checks who signed it: the .pub file of --new-key, or its text.
    #[arg(long, value_name = "KEY", requires = "checkpoint")]
    key: Option<String>,

    /// Text or JSON.
    #[arg(long, value_enum, default_value_t = Format::Text)]
    format: Format,
}

/// Take over what is sound of a damaged ledger into a new file, and say what is lost.
#[derive(Debug, Args)]
#[command(after_help = "Example:
  nhi ledger salvage

Entries that cannot be read, or do not agree with the chain, are left out; an entry of the new file
says which. The damaged file stays beside it.

Exit codes: 0 done, or nothing to do · 1 could not")]
pub(crate) struct Salvage {}

/// Take out of what is declared an integration that is gone for good and no apply destroys any more.
#[derive(Debug, Args)]
#[command(after_help = "Example:
  nhi ledger forget login/oauth_client/ticket-sync --reason 'deleted at the server, see INC-9'

Nothing is changed at the platform, and nothing of the history goes: an entry says who forgot it and
why. What the platform still shows is refused. Without a ledger, or with --state, drift takes what is
declared from the state.

Exit codes: 0 done · 1 could not, or it is still there")]
pub(crate) struct Forget {
    /// The integration, as drift lists it.
    #[arg(value_name = "ID")]
    id: String,

    /// Why, for the history.
    #[arg(long, value_name = "TEXT")]
    reason: String,

    /// Also where its platform cannot tell: you know that it is gone.
    #[arg(long)]
    unread: bool,
}

/// Write the whole history into a file, for another ledger to take over.
#[derive(Debug, Args)]
#[command(after_help = "Example:
  nhi ledger export history.jsonl

A line an entry, with the very bytes that were hashed. What is not sound is not exported; what was seen
at platforms is not in it, since it is seen again.

Exit codes: 0 done · 1 could not · 4 it is damaged, or somebody changed it")]
pub(crate) struct Export {
    /// A file that is not there yet.
    #[arg(value_name = "FILE")]
    file: PathBuf,
}

/// Take over a history from a file, into a ledger that has not begun yet.
#[derive(Debug, Args)]
#[command(after_help = "Example:
  nhi ledger export history.jsonl    with the ledger as it is in nhi.hcl
  nhi ledger import history.jsonl    after ledger in nhi.hcl was changed

Every number and hash stays. All of it is taken over, or where the file is not whole nothing.

Exit codes: 0 done, and sound · 1 could not")]
pub(crate) struct Import {
    /// What nhi ledger export wrote.
    #[arg(value_name = "FILE")]
    file: PathBuf,
}

/// Bring the tables of an earlier version up to date.
#[derive(Debug, Args)]
#[command(after_help = "Example:
  nhi ledger upgrade

Whoever writes first does it as well, where that may change the tables: in a database only the role that
owns them does. Nothing that stands in the ledger changes, and an earlier version still reads it.

Exit codes: 0 they are up to date · 1 could not")]
pub(crate) struct Upgrade {}

impl Ledger {
    /// How its result is printed.
    pub(crate) fn format(&self) -> Format {
        match self {
            Ledger::Show(show) => show.format,
            Ledger::Obligations(owed) => owed.format,
            Ledger::Verify(verify) => verify.format,
            Ledger::Compact(compact) => compact.format,
            Ledger::Salvage(_)
            | Ledger::Checkpoint(_)
            | Ledger::Forget(_)
            | Ledger::Export(_)
            | Ledger::Import(_)
            | Ledger::Upgrade(_) => Format::Text,
        }
    }

    pub(crate) async fn run(self, config: Option<&str>, output: &Output) -> Result<Exit, Problem> {
        let loaded = wiring::load(config)?;
        if let Ledger::Import(import) = self {
            return import.run(&loaded, output).await;
        }
        let ledger = loaded.ledger(true)?;
        is_there(&loaded, &*ledger).await?;
        match self {
            Ledger::Salvage(_) => salvage(&loaded, &*ledger, output).await,
            Ledger::Show(show) => show.run(&*ledger, output).await,
            Ledger::Obligations(owed) => owed.run(&*ledger, output).await,
            Ledger::Verify(verify) => verify.run(&*ledger, output).await,
            Ledger::Checkpoint(checkpoint) => checkpoint.run(&*ledger, output).await,
            Ledger::Export(export) => export.run(&*ledger, output).await,
            Ledger::Import(import) => import.run(&loaded, output).await,
            Ledger::Compact(compact) => {
                ledger.close().await?;
                compact.run(&loaded, output).await
            }
            Ledger::Upgrade(_) => {
                ledger.close().await?;
                let ledger = loaded.ledger(loaded.config.read_only)?;
                // What is wrong beside that is told by nhi ledger verify.
                ledger.ready(Work::Ends).await?;
                output.line(&format!("Up to date ({})", ledger.place()));
                ledger.close().await?;
                Ok(Exit::Clean)
            }
            Ledger::Forget(forget) => {
                // It is written to, by a context of its own.
                ledger.close().await?;
                let context = loaded.context("nhi", "command")?;
                operations::forget(&context, &forget.id, &forget.reason, forget.unread).await?;
                output.line(&format!(
                    "{} is no longer declared ({})",
                    forget.id,
                    context.ledger.place()
                ));
                Ok(Exit::Clean)
            }
        }
    }
}

impl Obligations {
    async fn run(self, ledger: &dyn ledger::Ledger, output: &Output) -> Result<Exit, Problem> {
        let open = ledger.open_obligations().await?;
        let now = SystemClock.now().as_millisecond();
        let late = |one: &ledger::Obligation| one.due_by != 0 && one.due_by <= now;
        let exit = if open.iter().any(late) { Exit::Unfinished } else { Exit::Clean };
        if self.format == Format::Json {
            let all: Vec<Value> = open.iter().map(|one| obligation_json(one, late(one))).collect();
            let all = json!({
                "format": "nhi-obligations/1", "obligations": all, "outcome": exit.sole_outcome(),
            });
            output.line(&all.to_string());
            return Ok(exit);
        }
        if open.is_empty() {
            output.line("Nothing is owed.");
        }
        for one in &open {
            let about = detail_of(one, "key").unwrap_or_default();
            let from =
                moment_of(one.not_before).map_or_else(|| "now".to_owned(), |at| at.to_string());
            let by = moment_of(one.due_by)
                .map_or_else(String::new, |at| format!(", by {at} at the latest"));
            let late = if late(one) { styled(RED, " overdue") } else { String::new() };
            output.line(&styled(BOLD, &one.subject));
            let alone = match detail_of(one, "carried_by").as_deref() {
                Some("platform") => "; where nobody runs, its platform ends it by itself",
                _ => "",
            };
            output.line(&format!("  {} {about}: from {from}{by}{late}{alone}", one.deed));
        }
        Ok(exit)
    }
}

fn moment_of(ms: i64) -> Option<Timestamp> {
    Timestamp::from_millisecond(ms).ok().filter(|_| ms != 0)
}

fn detail_of(one: &ledger::Obligation, name: &str) -> Option<String> {
    one.detail.as_ref()?.get(name)?.as_str().map(str::to_owned)
}

fn obligation_json(one: &ledger::Obligation, late: bool) -> Value {
    json!({
        "id": one.subject, "deed": one.deed, "key_id": detail_of(one, "key"),
        "not_before": moment_of(one.not_before).map(|at| at.to_string()),
        "due_by": moment_of(one.due_by).map(|at| at.to_string()),
        "overdue": late, "carried_by": detail_of(one, "carried_by"),
    })
}

/// An error if there is nothing to look into: that is neither sound nor an empty history.
pub(crate) async fn is_there(
    loaded: &wiring::Loaded,
    ledger: &dyn ledger::Ledger,
) -> Result<(), Problem> {
    if !ledger.keeps() {
        return Err(Problem::new("E-LEDGER-NONE", "No ledger is kept here")
            .detail("nhi.hcl says ledger = { none = true }, so nothing was ever written down.")
            .next("take that line out of nhi.hcl: from the next apply on it is written down"));
    }
    let Some(path) = loaded.missing_ledger() else { return has_begun(ledger).await };
    let what = if path.exists() { "is an empty file" } else { "is not there" };
    let mut log = path.clone().into_os_string();
    log.push("-wal");
    let rest = match std::path::Path::new(&log).metadata() {
        Ok(about) if about.len() > 0 => {
            format!(" {} belongs to a file that was there.", log.display())
        }
        _ => String::new(),
    };
    Err(Problem::new("E-LEDGER-MISSING", "There is no ledger")
        .detail(format!(
            "{} {what}.{rest} Either nothing was changed from here yet (a plan writes nothing down, \
             nor does an apply with nothing to do), or it is kept in another place, or it was \
             deleted: then its history is lost, and nothing else.",
            path.display()
        ))
        .next(
            "if it is kept in another place or in a backup, bring it back with its -wal file; \
             otherwise the next apply that changes something makes it",
        ))
}

/// An error if a server that can be asked has no ledger yet. What cannot be read is told by who reads.
async fn has_begun(ledger: &dyn ledger::Ledger) -> Result<(), Problem> {
    match ledger.head().await {
        Ok(head) if head.ledger.is_empty() => {
            Err(Problem::new("E-LEDGER-MISSING", "There is no ledger")
                .detail(format!("There is none in {} yet.", ledger.place()))
                .next("the next apply that changes something begins it"))
        }
        _ => Ok(()),
    }
}

/// An error for a kind that nobody writes: no entry of it is no history.
async fn check_kinds(ledger: &dyn ledger::Ledger, kinds: &[String]) -> Result<(), Problem> {
    for kind in kinds {
        let asked = Filter { kinds: vec![kind.clone()], limit: 1, ..Filter::all() };
        let group = format!("{kind}.");
        let known = KINDS.iter().any(|one| one == kind || one.starts_with(&group));
        // A later version may have written kinds of its own.
        if known || ledger.entries(&asked).await.is_ok_and(|page| !page.entries.is_empty()) {
            continue;
        }
        return Err(Problem::new("E-LEDGER-KIND", "There is no such kind of entry")
            .detail(format!("{kind:?} is none of: {}.", KINDS.join(", ")))
            .next("name one of these, or what stands before the dot for all of a group"));
    }
    Ok(())
}

impl Show {
    async fn run(self, ledger: &dyn ledger::Ledger, output: &Output) -> Result<Exit, Problem> {
        check_kinds(ledger, &self.kind).await?;
        let last = self.last.map(NonZeroUsize::get);
        let filter = Filter {
            subject: self.subject.clone().map(Subject::Under),
            kinds: self.kind.clone(),
            rotation: self.rotation.clone(),
            since: self.since.map(Timestamp::as_millisecond),
            newest_first: last.is_some(),
            limit: last.unwrap_or(0),
            ..Filter::all()
        };
        let unreadable = if self.format == Format::Json && last.is_none() {
            read(ledger, filter, |entry| output.line(&line_of(&entry))).await?
        } else {
            let mut entries = Vec::new();
            let unreadable = read(ledger, filter, |entry| entries.push(entry)).await?;
            if last.is_some() {
                // Turned around, so that it reads forward.
                entries.reverse();
            }
            self.print(entries, ledger, output);
            unreadable
        };
        for error in &unreadable {
            output.warning(&format!("{error}."));
        }
        let read = if unreadable.is_empty() { Exit::Clean } else { Exit::Partial };
        // What stands there is no history if somebody rewrote it, however well it reads.
        let found = verified(ledger).await?;
        if found.is_sound() {
            return Ok(read);
        }
        let wrong = match (&found.first_bad, found.problems.first()) {
            (Some(bad), _) => format!("its chain is broken at entry {}: {}", bad.seq, bad.what),
            (None, what) => what.cloned().unwrap_or_default(),
        };
        output.warning(&format!("the ledger {} is not sound: {wrong}.", ledger.place()));
        if let Some(remedy) = &found.remedy {
            output.advice(remedy);
        }
        Ok(read.worst(Exit::Policy))
    }

    fn print(&self, entries: Vec<Entry>, ledger: &dyn ledger::Ledger, output: &Output) {
        match self.format {
            Format::Json => entries.iter().for_each(|entry| output.line(&line_of(entry))),
            Format::Text => {
                if entries.is_empty() {
                    output.hint(&format!("nothing of this is in {}", ledger.place()));
                }
                for story in Story::tell(entries) {
                    // How it stands is told by entries that --kind may have left out.
                    tell(&story, self.kind.is_empty(), output);
                }
            }
        }
    }
}

/// Hands over what a filter takes, as far as it can be read, and returns what cannot: one bad entry
/// must not hide the others from whoever looks for what happened. The filter's limit, if it has one,
/// is for all of it and not for a page.
async fn read(
    ledger: &dyn ledger::Ledger,
    filter: Filter,
    mut take: impl FnMut(Entry),
) -> Result<Vec<ledger::Error>, ledger::Error> {
    let mut left = if filter.limit == 0 { usize::MAX } else { filter.limit };
    let mut unreadable = Vec::new();
    let mut next = Some(filter);
    while let Some(mut filter) = next.filter(|_| left > 0) {
        filter.limit = left.min(PAGE_MAX);
        let entries = match ledger.entries(&filter).await {
            Ok(page) => {
                next = page.next;
                page.entries
            }
            Err(ledger::Error::Broken { place, seq, what }) => {
                // Up to it, which is less than a page, and then on behind it.
                let before = match filter.newest_first {
                    true => Filter { after: seq, ..filter.clone() },
                    false => Filter { through: Some(seq.saturating_sub(1)), ..filter.clone() },
                };
                unreadable.push(ledger::Error::Broken { place, seq, what });
                next = Some(filter.next(seq));
                ledger.entries(&before).await?.entries
            }
            Err(error) => return Err(error),
        };
        left = left.saturating_sub(entries.len());
        entries.into_iter().for_each(&mut take);
    }
    Ok(unreadable)
}

/// One entry as a line of JSON: the very body that was hashed, with its hash.
fn line_of(entry: &Entry) -> String {
    match serde_json::from_slice::<Value>(&entry.body) {
        Ok(Value::Object(mut members)) => {
            members.insert("hash".into(), entry.hash.to_string().into());
            Value::Object(members).to_string()
        }
        _ => json!({ "seq": entry.seq, "unreadable": true }).to_string(),
    }
}

fn tell(story: &Story, whole: bool, output: &Output) {
    let Some(first) = story.began() else { return };
    if story.rotation.is_none() {
        output.line(&format!(
            "{} {} {}{}",
            when(first),
            styled(BOLD, &first.kind),
            first.subject,
            more(first)
        ));
        return;
    }
    let generation = first.generation.map(|g| format!(" generation {g}")).unwrap_or_default();
    let open = match (story.is_finished() || !whole, story.overlaps()) {
        (true, _) => String::new(),
        (_, true) => format!(" {}", styled(YELLOW, "overlapping")),
        (_, false) => format!(" {}", styled(RED, "open")),
    };
    output.line(&format!(
        "{} {} {}{generation}{open}",
        when(first),
        styled(BOLD, "rotation"),
        first.subject
    ));
    for entry in &story.entries {
        let step = entry.kind.strip_prefix("rotation.").unwrap_or(&entry.kind);
        let step = match step {
            "proven" | "closed" => styled(GREEN, step),
            _ => step.to_owned(),
        };
        output.line(&format!("    {} {step}{}", when(entry), more(entry)));
    }
}

fn when(entry: &Entry) -> String {
    let text = Timestamp::from_millisecond(entry.at)
        .map_or_else(|_| entry.at.to_string(), |at| at.strftime("%Y-%m-%d %H:%M:%S").to_string());
    styled(DIM, &format!("{:>5} {text}", entry.seq))
}

/// What else an entry says, in `name=value` pairs.
fn more(entry: &Entry) -> String {
    let mut parts = Vec::new();
    for (name, value) in [
        ("step", &entry.step),
        ("outcome", &entry.outcome),
        ("auth", &entry.auth),
        ("by", &entry.actor.principal),
    ] {
        if let Some(value) = value {
            parts.push(format!("{name}={value}"));
        }
    }
    for (name, value) in &entry.detail {
        parts.push(match value {
            Value::String(text) => format!("{name}={text}"),
            other => format!("{name}={other}"),
        });
    }
    if parts.is_empty() { String::new() } else { format!(" {}", styled(DIM, &parts.join(" "))) }
}

/// Everything that can be wrong with a ledger.
pub(crate) async fn verified(ledger: &dyn ledger::Ledger) -> Result<Verification, ledger::Error> {
    let mut found = ledger.verify(Range::ALL).await?;
    // Rows that were edited by hand beside the chain.
    match ledger.compare().await {
        Ok(differences) => found.problems.extend(differences),
        // What cannot be read any more was found above, and must not hide the rest of it.
        Err(_) if !found.is_sound() => {}
        Err(error) => return Err(error),
    }
    if let (None, Some(what)) = (&found.remedy, found.problems.first()) {
        let wrong = ledger::Error::Damaged { place: ledger.place(), what: what.clone() };
        found.remedy = Some(wrong.way_out());
    }
    Ok(found)
}

impl Export {
    async fn run(self, ledger: &dyn ledger::Ledger, output: &Output) -> Result<Exit, Problem> {
        let progress = output.progress("hashing");
        let found = verified(ledger).await?;
        drop(progress);
        if !found.is_sound() {
            print(&found, None, &ledger.place(), output);
            return Ok(Exit::Policy);
        }
        let shown = self.file.display().to_string();
        let mut file = NewFile::create(&self.file)?;
        let progress = output.progress("writing");
        let written = export::write(ledger, &mut file.into).await;
        let written = written.map_err(Problem::from).and_then(|head| {
            file.keep()?;
            Ok(head)
        });
        if written.is_err() {
            // Half a history is none.
            let _ = std::fs::remove_file(&self.file);
        }
        let head = written?;
        drop(progress);
        output.line(&format!(
            "{} {} entries, head {} ({} into {shown})",
            styled(GREEN, "Exported:"),
            found.entries,
            short(&head.hash.to_string()),
            ledger.place(),
        ));
        Ok(Exit::Clean)
    }
}

impl Import {
    async fn run(self, loaded: &wiring::Loaded, output: &Output) -> Result<Exit, Problem> {
        let shown = self.file.display().to_string();
        let file = File::open(&self.file).map_err(|error| {
            Problem::new("E-FILE", "The file cannot be read")
                .detail(format!("{shown}: {error}."))
                .next("name the file that nhi ledger export wrote")
        })?;
        let ledger = loaded.ledger(loaded.config.read_only)?;
        let progress = output.progress("taking over");
        let lines = export::Reader::new(shown, BufReader::new(file));
        let head = ledger.take_over(Box::new(lines)).await?;
        drop(progress);
        let progress = output.progress("hashing");
        let found = verified(&*ledger).await?;
        drop(progress);
        print(&found, Some(&head), &ledger.place(), output);
        ledger.close().await?;
        Ok(if found.is_sound() { Exit::Clean } else { Exit::Failed })
    }
}

async fn salvage(
    loaded: &wiring::Loaded,
    ledger: &dyn ledger::Ledger,
    output: &Output,
) -> Result<Exit, Problem> {
    let progress = output.progress("reading");
    // What cannot even be looked at may still be salvaged.
    if verified(ledger).await.is_ok_and(|found| found.is_sound()) {
        drop(progress);
        output.line(&format!("Sound, so there is nothing to salvage ({})", ledger.place()));
        return Ok(Exit::Clean);
    }
    // It must not be open when it is moved.
    ledger.close().await?;
    let done = loaded.salvage(concat!("nhi/", env!("CARGO_PKG_VERSION")))?;
    drop(progress);
    let Some(done) = done else {
        return Err(Problem::new("E-LEDGER-NO-FILE", "This ledger is in no file")
            .detail(format!("{} is kept by a server, and so are its backups.", ledger.place()))
            .next("restore it there; nhi ledger verify says up to which entry it can be trusted"));
    };
    output.line(&format!(
        "{} {} entries kept, {} ({})",
        styled(GREEN, "Salvaged:"),
        done.kept,
        told(&done.lost),
        ledger.place(),
    ));
    output.line(&format!("The damaged file is now {}", done.aside.display()));
    Ok(Exit::Clean)
}

/// Which entries are lost, in words.
fn told(lost: &[(u64, u64)]) -> String {
    if lost.is_empty() {
        return "none lost".to_owned();
    }
    let runs = lost.iter().map(|(from, to)| match from == to {
        true => from.to_string(),
        false => format!("{from}-{to}"),
    });
    format!("lost {}", runs.collect::<Vec<_>>().join(", "))
}

impl Verify {
    async fn run(self, ledger: &dyn ledger::Ledger, output: &Output) -> Result<Exit, Problem> {
        let progress = output.progress("hashing");
        let found = verified(ledger).await?;
        let head = match ledger.head().await {
            Ok(head) => Some(head),
            Err(_) if !found.is_sound() => None,
            Err(error) => return Err(error.into()),
        };
        drop(progress);
        let mut found = found;
        found.problems.extend(verify_archives(ledger, &self.archive, output).await?);
        let (told, wrong) = verify_checkpoints(
            ledger,
            &self.checkpoint,
            self.key.as_deref(),
            &self.archive,
            (self.format, output),
        )
        .await?;
        if let (None, false) = (&found.remedy, wrong.is_empty()) {
            found.remedy = Some(
                "find out who changed the ledger; a backup that holds against the checkpoint is the one \
                 to bring back"
                    .to_owned(),
            );
        }
        found.problems.extend(wrong);
        let exit = if found.is_sound() { Exit::Clean } else { Exit::Policy };
        match self.format {
            Format::Json => {
                let mut all = report(&found, head.as_ref(), exit);
                if !told.is_empty() {
                    all["checkpoints"] = told.into();
                }
                output.line(&all.to_string());
            }
            Format::Text => print(&found, head.as_ref(), &ledger.place(), output),
        }
        Ok(exit)
    }
}

fn report(found: &Verification, head: Option<&ledger::Head>, exit: Exit) -> Value {
    json!({
        "format": "nhi-ledger/1",
        "sound": found.is_sound(),
        "entries": found.entries,
        "archived": found.archived,
        "head": head.map(|head| json!({
            "ledger": head.ledger, "seq": head.seq, "hash": head.hash.to_string(),
        })),
        "first_bad": found.first_bad.as_ref().map(|bad| json!({ "seq": bad.seq, "what": bad.what })),
        "last_good_checkpoint": found.last_good_checkpoint.as_ref().map(|point| json!({
            "size": point.size, "root": point.root.to_string(), "head": point.head.to_string(),
        })),
        "problems": found.problems,
        "lost": found.lost,
        "remedy": found.remedy,
        "outcome": exit.sole_outcome(),
    })
}

fn print(found: &Verification, head: Option<&ledger::Head>, place: &str, output: &Output) {
    if let (true, Some(head)) = (found.is_sound(), head) {
        output.line(&format!(
            "{} {} entries, chain whole, head {} ({place})",
            styled(GREEN, "Sound:"),
            found.entries,
            short(&head.hash.to_string()),
        ));
        if found.archived > 0 {
            let last = found.archived;
            output.line(&format!("  entries 1 to {last} lie in files (nhi ledger compact)"));
        }
        if !found.lost.is_empty() {
            output.line(&format!("  {} (a salvage says so)", told(&found.lost)));
        }
        return;
    }
    output.line(&format!("{} {place}", styled(RED, "Not sound:")));
    if let Some(bad) = &found.first_bad {
        output.line(&format!("  entry {}: {}", bad.seq, bad.what));
    }
    for problem in &found.problems {
        output.line(&format!("  {problem}"));
    }
    match &found.last_good_checkpoint {
        Some(point) => {
            output.line(&format!("  good up to entry {} (a checkpoint says so)", point.size))
        }
        None => output.line("  no checkpoint vouches for any part"),
    }
    if let Some(remedy) = &found.remedy {
        output.line(&format!("  Next: {remedy}"));
    }
}

fn short(hash: &str) -> &str {
    hash.get(..12).unwrap_or(hash)
}

fn how_many(text: &str) -> Result<NonZeroUsize, &'static str> {
    text.parse().map_err(|_| "how many of the newest, from 1")
}

/// A moment, a day's beginning, or how far back from now.
pub(crate) fn since(text: &str) -> Result<Timestamp, &'static str> {
    if let Ok(moment) = text.parse() {
        return Ok(moment);
    }
    if let Ok(day) = text.parse::<Date>() {
        let midnight = day.to_zoned_datetime(TimeZone::UTC);
        return midnight.map(|at| at.timestamp()).map_err(|_| "this day is beyond all calendars");
    }
    let back = text.parse::<Span>().ok().filter(|back| *back != Span::ZERO);
    back.and_then(|back| SystemClock.now().checked_sub(back.to_std()).ok()).ok_or(
        "give how far back, such as 24h or 7d; a day, such as 2026-11-22 (from midnight UTC on); or \
         a moment, such as 2026-11-22T08:30:00Z",
    )
}

#[cfg(test)]
mod tests {
    use ledger::{Durability, Ledger as _, MemoryLedger, NewEntry};

    use super::*;

    #[tokio::test]
    async fn a_kind_that_nobody_writes_is_refused_and_one_that_did_not_happen_yet_is_not() {
        let ledger = MemoryLedger::new();
        let later = NewEntry::new(1, "rotation.dreamt", "a/b/c");
        ledger.append(vec![later], Durability::Durable).await.unwrap();
        let check = async |kind: &str| check_kinds(&ledger, &[kind.to_owned()]).await;
        for kind in ["rotation", "rotation.proven", "declared", "rotation.dreamt"] {
            check(kind).await.unwrap();
        }
        for kind in ["rotations", "rotation.prove", "proven", ""] {
            let problem = check(kind).await.unwrap_err();
            assert!(problem.detail.contains("rotation.proven"), "{problem}");
        }
    }

    #[test]
    fn since_is_a_moment_or_a_day_or_how_far_back() {
        let at = |text: &str| text.parse::<Timestamp>().unwrap();
        assert_eq!(since("2026-11-22T08:30:00Z"), Ok(at("2026-11-22T08:30:00Z")));
        assert_eq!(since("2026-11-22T08:30:00+02:00"), Ok(at("2026-11-22T06:30:00Z")));
        assert_eq!(since("2026-11-22"), Ok(at("2026-11-22T00:00:00Z")));
        let back = SystemClock.now().duration_since(since("1d12h").unwrap());
        assert!((back.as_secs() - 36 * 3600).abs() < 60, "{back:?}");
        for wrong in ["yesterday", "", "7", "0d", "2026-13-01", "100000w"] {
            let said = since(wrong).unwrap_err();
            assert!(said.contains("7d") && said.contains("2026-11-22"), "{wrong:?}: {said}");
        }
    }

    #[tokio::test]
    async fn a_limit_is_for_all_pages_together() {
        let ledger = MemoryLedger::new();
        let entry = |at| NewEntry::new(at, "declared", "a/b/c");
        ledger.append((1..1500).map(entry).collect(), Durability::Durable).await.unwrap();
        for (limit, expected) in [(0, 1499), (1200, 1200)] {
            let mut seen = Vec::new();
            let filter = Filter { limit, ..Filter::all() };
            let bad = read(&ledger, filter, |entry| seen.push(entry.seq)).await.unwrap();
            assert!(bad.is_empty());
            assert_eq!((seen.len(), seen.is_sorted()), (expected, true));
        }
    }
}
