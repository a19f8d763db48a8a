//! `nhi ledger compact`: old entries into a file, so that the ledger does not grow for ever.

use std::{
    fs::File,
    io::BufReader,
    path::{Path, PathBuf},
};

use clap::Args;
use connector::{Clock, SystemClock};
use jiff::{SignedDuration, Timestamp};
use ledger::{Actor, Archive, Hash, Ledger, NewEntry, archive, export};
use operations::Problem;
use serde_json::json;

use crate::{
    commands::ledger::{since, verified},
    exit::Exit,
    history::NewFile,
    output::{Format, GREEN, Output, RED, styled},
};

/// Put old entries into a file and take them out of the ledger.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  nhi ledger compact history-2025.jsonl                     older than keep_entries in policy.hcl
  nhi ledger compact history-2025.jsonl --before 400d --dry-run
  nhi ledger compact history-2025.jsonl --before 2026-01-01

The file is what nhi ledger export writes, up to a checkpoint: a line an entry, with the very bytes that
were hashed. The ledger keeps its root and its hash: the chain goes on from there, nhi ledger verify sees
it with and without the file (--archive FILE), and what rows and open obligations owe to what was taken out
is said again by entries. Keep the file as long as the history is to be kept.

In a database only the role that owns the tables takes entries out.

Exit codes: 0 done, or nothing is that old · 1 could not · 4 it is damaged, or somebody changed it")]
pub(crate) struct Compact {
    /// A file that is not there yet.
    #[arg(value_name = "FILE")]
    file: PathBuf,

    /// Entries from before then: 400d (back from now), 2026-01-01 (midnight UTC) or
    /// 2026-01-01T08:30:00Z. Else those older than keep_entries in policy.hcl.
    #[arg(long, value_name = "TIME", value_parser = since)]
    before: Option<Timestamp>,

    /// Show what would be done, and write nothing.
    #[arg(long)]
    dry_run: bool,

    /// Text or JSON.
    #[arg(long, value_enum, default_value_t = Format::Text)]
    pub(crate) format: Format,
}

/// What is younger is looked up by runs that are at work.
const YOUNGEST: SignedDuration = SignedDuration::from_hours(24);

/// How often it is begun again where somebody appended meanwhile.
const TRIES: usize = 5;

impl Compact {
    pub(crate) async fn run(
        self,
        loaded: &wiring::Loaded,
        output: &Output,
    ) -> Result<Exit, Problem> {
        let before = self.moment(loaded)?;
        let ledger = loaded.ledger(loaded.config.read_only)?;
        let progress = output.progress("hashing");
        let found = verified(&*ledger).await?;
        drop(progress);
        if !found.is_sound() {
            return Err(Problem::new("E-LEDGER-DAMAGED", "The ledger is not sound")
                .detail(format!("Nothing is taken out of {} as it is.", ledger.place()))
                .next("nhi ledger verify says what is wrong, and what helps"));
        }
        let through = archive::through(&*ledger, before.as_millisecond()).await?;
        let Some(through) = through else {
            self.tell(output, &*ledger, None);
            return Ok(Exit::Clean);
        };
        if self.dry_run {
            let first = found.archived + 1;
            self.tell(output, &*ledger, Some((first, through, None)));
            return Ok(Exit::Clean);
        }
        let written = self.write(&*ledger, through, output).await;
        let done = match written {
            Ok(file) => self.take_out(&*ledger, through, file, output).await,
            Err(problem) => Err(problem),
        };
        ledger.close().await?;
        match done {
            Ok(archive) => {
                self.tell(output, &*ledger, Some((archive.first, through, Some(&archive))));
                Ok(Exit::Clean)
            }
            Err(problem) => Err(problem),
        }
    }

    fn moment(&self, loaded: &wiring::Loaded) -> Result<Timestamp, Problem> {
        let now = SystemClock.now();
        let refused = |what: String, next: &str| {
            Problem::new("E-USAGE", "It is not said how old entries are to be")
                .detail(what)
                .next(next)
        };
        let before = match (self.before, loaded.rules()?.keep_entries) {
            (Some(before), _) => before,
            (None, Some(keep)) => now.checked_sub(keep.to_std()).map_err(|_| {
                refused(format!("keep_entries = {keep} is beyond all calendars."), "shorten it")
            })?,
            (None, None) => {
                return Err(refused(
                    "policy.hcl has no keep_entries, so that all are kept.".to_owned(),
                    "say it with --before, as --before 400d, or with keep_entries in policy.hcl",
                ));
            }
        };
        if before > now - YOUNGEST && !loaded.config.demo {
            return Err(refused(
                format!("{before}: what is younger than a day is needed by runs at work."),
                "name an earlier moment, as --before 400d",
            ));
        }
        Ok(before)
    }

    /// Writes the file and reads it back: its hash.
    async fn write(
        &self,
        ledger: &dyn Ledger,
        through: u64,
        output: &Output,
    ) -> Result<Hash, Problem> {
        let shown = self.file.display().to_string();
        let mut file = NewFile::create(&self.file)?;
        let progress = output.progress("writing");
        let written = export::write_up_to(ledger, through, &mut file.into).await;
        let written = written.map_err(Problem::from).and_then(|head| {
            file.keep()?;
            file.keep_name()?;
            Ok(head)
        });
        drop(progress);
        let checked = written.and_then(|head| {
            let progress = output.progress("reading it back");
            let read = ended(&self.file)?;
            drop(progress);
            let (seq, hash, _) = read;
            if (seq, hash) == (through, head.hash) && head.seq == through {
                return hash_of(&self.file);
            }
            Err(Problem::new("E-FILE", "The file is not what was written")
                .detail(format!("{shown} ends at entry {seq}, and not at {through}."))
                .next("look at the disk that it is on"))
        });
        if checked.is_err() {
            // Nothing was taken out, and half a history is none.
            let _ = std::fs::remove_file(&self.file);
        }
        checked
    }

    async fn take_out(
        &self,
        ledger: &dyn Ledger,
        through: u64,
        file: Hash,
        output: &Output,
    ) -> Result<Archive, Problem> {
        let place = std::path::absolute(&self.file).unwrap_or_else(|_| self.file.clone());
        let place = place.display().to_string();
        let actor = Actor {
            program: concat!("nhi/", env!("CARGO_PKG_VERSION")).to_owned(),
            run: format!("command:{}", std::process::id()),
            principal: None,
        };
        let progress = output.progress("taking out");
        let mut tried = 0;
        let done = loop {
            tried += 1;
            let at = SystemClock.now().as_millisecond();
            let by = NewEntry::new(at, "", "").by(actor.clone(), "command".into());
            let asked = archive::compaction(ledger, through, (file, place.clone()), &by).await;
            let done = match asked {
                Ok(asked) => ledger.compact(asked.clone()).await.map(|()| asked.archive),
                Err(error) => Err(error),
            };
            match done {
                // Somebody appended meanwhile, and may have changed rows.
                Err(ledger::Error::Busy { .. }) if tried < TRIES => {}
                done => break done,
            }
        };
        drop(progress);
        let error = match done {
            Ok(archive) => return Ok(archive),
            Err(error) => error,
        };
        // Where the answer was lost, they may be taken out all the same: then the file is all that is left.
        match became(&error, ledger.archives().await, &file) {
            Became::Done(archive) => Ok(archive),
            Became::Nothing => {
                let _ = std::fs::remove_file(&self.file);
                Err(error.into())
            }
            Became::Unknown => {
                let problem = Problem::from(error);
                let detail = format!(
                    "{} The entries may be in {place} alone by now, so that it is kept.",
                    problem.detail
                );
                Err(Problem { detail, ..problem }.next(format!(
                    "nhi ledger verify --archive {place} says whether the ledger knows of it; \
                     remove it only where it does not"
                )))
            }
        }
    }

    fn tell(
        &self,
        output: &Output,
        ledger: &dyn Ledger,
        done: Option<(u64, u64, Option<&Archive>)>,
    ) {
        let shown = self.file.display();
        match (self.format, done) {
            (Format::Json, done) => {
                let archive = done.and_then(|(.., archive)| archive);
                let all = json!({
                    "format": "nhi-compact/1", "dry_run": self.dry_run,
                    "first": done.map(|(first, ..)| first), "last": done.map(|(_, last, _)| last),
                    "root": archive.map(|one| one.root.to_string()),
                    "head": archive.map(|one| one.head.to_string()),
                    "file_sha256": archive.map(|one| one.file.to_string()),
                    "outcome": Exit::Clean.sole_outcome(),
                });
                output.line(&all.to_string());
            }
            (_, None) => output.line(&format!(
                "Nothing is taken out: no checkpoint is that old ({})",
                ledger.place()
            )),
            (_, Some((first, last, None))) => output.line(&format!(
                "Entries {first} to {last} would lie in {shown} ({})",
                ledger.place()
            )),
            (_, Some((first, last, Some(archive)))) => {
                output.line(&format!(
                    "{} entries {first} to {last} lie in {shown} ({})",
                    styled(GREEN, "Compacted:"),
                    ledger.place()
                ));
                output.line(&format!("  root {}", archive.root));
                output.line(&format!("  file {} (SHA-256)", archive.file));
            }
        }
    }
}

/// What became of entries that were to be taken out, where an error is all that was heard.
#[derive(Debug, PartialEq)]
enum Became {
    /// They were.
    Done(Archive),
    /// They were not, and will not be.
    Nothing,
    /// Nobody can tell.
    Unknown,
}

fn became(
    error: &ledger::Error,
    archives: Result<Vec<Archive>, ledger::Error>,
    file: &Hash,
) -> Became {
    use ledger::Error::{Broken, Busy, Full, ReadOnly, Usage};
    let Ok(archives) = archives else { return Became::Unknown };
    if let Some(one) = archives.into_iter().find(|one| one.file == *file) {
        return Became::Done(one);
    }
    // A server that was asked to commit, and did not answer, may do it after it was looked at.
    match error {
        Broken { .. } | Busy { .. } | Full { .. } | ReadOnly { .. } | Usage(_) => Became::Nothing,
        _ => Became::Unknown,
    }
}

fn opened(path: &Path) -> Result<File, Problem> {
    File::open(path).map_err(|error| {
        Problem::new("E-FILE", "The file cannot be read")
            .detail(format!("{}: {error}.", path.display()))
            .next("name a file that nhi ledger compact wrote")
    })
}

/// Reads an archive to its end: the last entry's number and hash, and the root up to there.
fn ended(path: &Path) -> Result<(u64, Hash, Hash), Problem> {
    let lines = BufReader::new(opened(path)?);
    let mut reader = export::Reader::new(path.display().to_string(), lines);
    for part in &mut reader {
        part?;
    }
    reader.ended().ok_or_else(|| {
        Problem::new("E-LEDGER-EXPORT", "The archive is not whole")
            .detail(format!("{} has no end.", path.display()))
            .next("bring it back from a copy")
    })
}

fn hash_of(path: &Path) -> Result<Hash, Problem> {
    Hash::of_reader(opened(path)?).map_err(|error| {
        Problem::new("E-FILE", "The file cannot be read")
            .detail(format!("{}: {error}.", path.display()))
            .next("look at the disk that it is on")
    })
}

/// Holds files against what the ledger says of them: one sentence for each that does not agree.
pub(crate) async fn verify_archives(
    ledger: &dyn Ledger,
    files: &[PathBuf],
    output: &Output,
) -> Result<Vec<String>, Problem> {
    // Where no file is named, a ledger that cannot tell of any is judged by what else it tells.
    if files.is_empty() {
        return Ok(Vec::new());
    }
    let archives = ledger.archives().await?;
    let mut wrong = Vec::new();
    for file in files {
        let shown = file.display();
        let progress = output.progress("hashing");
        let read = ended(file);
        drop(progress);
        let told = match read {
            Err(problem) if problem.code == "E-LEDGER-EXPORT" => Err(problem.detail.clone()),
            Err(problem) => return Err(problem),
            Ok((seq, hash, root)) => match archives.iter().find(|one| one.last == seq) {
                None => Err(format!("the ledger knows of no archive up to entry {seq}")),
                Some(one) if (one.head, one.root) != (hash, root) => {
                    Err(format!("its entries up to {seq} are not those that were taken out"))
                }
                // Persons, or lines in another order, change nothing of the history.
                Some(one) if one.file != hash_of(file)? => {
                    Err("its entries are those that were taken out, but not its bytes".to_owned())
                }
                Some(one) => Ok((one.first, one.last)),
            },
        };
        match told {
            Ok((first, last)) => output.line(&format!(
                "{} {shown}: entries {first} to {last} are those that were taken out",
                styled(GREEN, "Sound:")
            )),
            Err(what) => {
                output.line(&format!("{} {shown}: {what}", styled(RED, "Not sound:")));
                wrong.push(format!("the archive {shown}: {what}"));
            }
        }
    }
    Ok(wrong)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_goes_only_where_the_ledger_surely_does_not_name_it() {
        let place = || "a ledger".to_owned();
        let lost = || ledger::Error::Unreachable { place: place(), why: "no answer".to_owned() };
        let busy = ledger::Error::Busy { place: place(), seconds: 1 };
        let archive = |file: Hash| Archive {
            first: 1,
            last: 2,
            at: 0,
            root: Hash::ZERO,
            head: Hash::ZERO,
            frontier: Default::default(),
            file,
            place: place(),
        };
        let (file, other) = (Hash([1; 32]), Hash([2; 32]));
        let others = || Ok(vec![archive(other)]);
        assert_eq!(became(&busy, others(), &file), Became::Nothing);
        assert_eq!(became(&lost(), others(), &file), Became::Unknown, "it may be done yet");
        assert_eq!(became(&busy, Err(lost()), &file), Became::Unknown);
        let ours = Ok(vec![archive(other), archive(file)]);
        assert_eq!(became(&lost(), ours, &file), Became::Done(archive(file)));
    }
}
