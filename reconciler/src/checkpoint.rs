//! `nhi ledger checkpoint`: a signed statement of how far the ledger goes, to be kept where whoever
//! writes it cannot rewrite it; and holding the ledger against those that were kept.

use std::{
    fs,
    io::Write as _,
    path::{Path, PathBuf},
};

use clap::Args;
use ledger::{
    Ledger, export,
    note::{self, Holds, NOTE_MAX, Note, NoteKey, Stated, Verifier},
};
use operations::Problem;
use serde_json::{Value, json};
use zeroize::Zeroizing;

use crate::{
    commands::ledger::verified,
    exit::Exit,
    history::NewFile,
    output::{Format, GREEN, Output, styled},
};

/// Sign how many entries there are and the root of their tree, to be kept elsewhere.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  nhi ledger checkpoint --new-key checkpoint.key --out ledger.checkpoint
  nhi ledger checkpoint --key checkpoint.key --out ledger.checkpoint
  nhi ledger verify --checkpoint ledger.checkpoint --key checkpoint.key.pub

Keep what it writes where whoever writes the ledger cannot change it: a Git repository, storage that
locks what it has, another team's disk. A ledger that was cut, rewritten or replaced by an old copy does
not hold against it. A file that is there already is held against the ledger before it is replaced.

It is a signed note (c2sp.org/signed-note, c2sp.org/tlog-checkpoint), which other tools read too.

Exit codes: 0 done · 1 could not · 4 the ledger is damaged, or is not what it was")]
pub(crate) struct Checkpoint {
    /// The key that signs: a file that --new-key wrote, or Go's sumdb.
    #[arg(long, value_name = "FILE", env = "NHI_CHECKPOINT_KEY", conflicts_with = "new_key")]
    key: Option<PathBuf>,

    /// Make a key first, into a file that is not there yet; what checks it goes beside it, with .pub.
    #[arg(long, value_name = "FILE")]
    new_key: Option<PathBuf>,

    /// Into this file; else to standard output.
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
}

impl Checkpoint {
    pub(crate) async fn run(self, ledger: &dyn Ledger, output: &Output) -> Result<Exit, Problem> {
        let progress = output.progress("hashing");
        let found = verified(ledger).await?;
        drop(progress);
        if !found.is_sound() {
            return Err(Problem::new("E-LEDGER-DAMAGED", "The ledger is not sound")
                .detail(format!("Nothing is signed of {} as it is.", ledger.place()))
                .next("nhi ledger verify says what is wrong, and what helps"));
        }
        let head = ledger.head().await?;
        let key = match (&self.new_key, &self.key) {
            (Some(file), _) => make(file, &note::origin(&head.ledger), output)?,
            (None, Some(file)) => key_of(file)?,
            (None, None) => {
                return Err(Problem::new("E-CHECKPOINT-KEY", "There is no key to sign with")
                    .detail("Neither --key nor NHI_CHECKPOINT_KEY names one.")
                    .next("make one: nhi ledger checkpoint --new-key checkpoint.key"));
            }
        };
        if let Some(out) = self.out.as_deref().filter(|out| out.exists()) {
            let before = Kept::read(out, Some(key.verifier()))?;
            let told = before.held(ledger, &[]).await?;
            if let Some(what) = told {
                return Err(Problem::new("E-CHECKPOINT-BROKEN", "The ledger is not what it was")
                    .detail(format!("{}: {what}. It is left as it is.", out.display()))
                    .next("nhi ledger verify says what else is wrong; keep that file"));
            }
        }
        let stated = stated(ledger).await?;
        let text = key.sign(&stated.text());
        match &self.out {
            None => text.lines().for_each(|line| output.line(line)),
            Some(out) => {
                replace(out, &text)?;
                output.line(&format!(
                    "{} {} entries, signed by {} ({})",
                    styled(GREEN, "Checkpoint:"),
                    stated.size,
                    key.verifier().name(),
                    out.display(),
                ));
            }
        }
        Ok(Exit::Clean)
    }
}

/// What is to be said of the ledger as it is now.
pub(crate) async fn stated(ledger: &dyn Ledger) -> Result<Stated, Problem> {
    let head = ledger.head().await?;
    let root = note::root_at(ledger, head.seq).await?.ok_or_else(|| {
        Problem::new("E-LEDGER-DAMAGED", "The ledger is not sound")
            .detail(format!("{} has fewer entries than its head says.", ledger.place()))
            .next("nhi ledger verify says what is wrong, and what helps")
    })?;
    Ok(Stated { origin: note::origin(&head.ledger), size: head.seq, root })
}

/// A key that signs, out of its file.
pub(crate) fn key_of(file: &Path) -> Result<NoteKey, Problem> {
    let text = Zeroizing::new(read(file, "E-CHECKPOINT-KEY")?);
    NoteKey::parse(&text).map_err(|why| {
        Problem::new("E-CHECKPOINT-KEY", "This is no key that signs checkpoints")
            .detail(format!("{}: {why}.", file.display()))
            .next("name the file that nhi ledger checkpoint --new-key wrote")
    })
}

/// What checks a key's signatures: a file, or the text itself.
pub(crate) fn verifier_of(word: &str) -> Result<Verifier, Problem> {
    let path = Path::new(word);
    let text = match word.contains('+') && !path.exists() {
        true => word.to_owned(),
        false => read(path, "E-CHECKPOINT-KEY")?,
    };
    Verifier::parse(&text).map_err(|why| {
        Problem::new("E-CHECKPOINT-KEY", "This checks no checkpoint")
            .detail(format!("{word}: {why}."))
            .next("name the .pub file that nhi ledger checkpoint --new-key wrote")
    })
}

fn make(file: &Path, name: &str, output: &Output) -> Result<NoteKey, Problem> {
    let refused = |why: String| {
        Problem::new("E-CHECKPOINT-KEY", "No key could be made")
            .detail(format!("{}: {why}.", file.display()))
            .next("see what the system says of its random numbers")
    };
    let made = NoteKey::make(name).map_err(|why| refused(why.to_string()))?;
    let (key, text) = made.ok_or_else(|| refused("the system gives no random bytes".into()))?;
    let mut open = file.as_os_str().to_owned();
    open.push(".pub");
    // What checks comes first: a key that nobody can check is worth nothing.
    for (path, text) in [(Path::new(&open), &key.verifier().to_string()), (file, &*text)] {
        let mut new = NewFile::create(path)?;
        let written = new.into.write_all(text.as_bytes()).and_then(|()| new.into.write_all(b"\n"));
        written.map_err(|error| unwritten(path, &error.to_string()))?;
        new.keep()?;
    }
    output.hint(&format!(
        "{} signs and stays secret; give {}.pub to who is to check.",
        file.display(),
        file.display()
    ));
    Ok(key)
}

fn replace(out: &Path, text: &str) -> Result<(), Problem> {
    let mut half = out.as_os_str().to_owned();
    half.push(".half");
    let written = fs::write(&half, text).and_then(|()| fs::rename(&half, out));
    written.map_err(|error| unwritten(out, &error.to_string()))
}

fn unwritten(path: &Path, why: &str) -> Problem {
    Problem::new("E-FILE", "The file cannot be written")
        .detail(format!("{}: {why}.", path.display()))
        .next("name a file in a folder that this user may write")
}

/// A file that is no longer than a note may be.
fn read(path: &Path, code: &'static str) -> Result<String, Problem> {
    let refused = |why: String| {
        Problem::new(code, "The file cannot be read")
            .detail(format!("{}: {why}.", path.display()))
            .next("name a file that is there and that this user may read")
    };
    let about = fs::metadata(path).map_err(|error| refused(error.to_string()))?;
    if about.len() > NOTE_MAX as u64 {
        return Err(refused(format!("it is longer than {NOTE_MAX} bytes")));
    }
    fs::read_to_string(path).map_err(|error| refused(error.to_string()))
}

/// A checkpoint that somebody kept.
#[derive(Debug)]
pub(crate) struct Kept {
    file: PathBuf,
    stated: Stated,
}

impl Kept {
    /// Reads one; where there is somebody to check it, it must be theirs.
    pub(crate) fn read(file: &Path, verifier: Option<&Verifier>) -> Result<Kept, Problem> {
        let text = read(file, "E-CHECKPOINT")?;
        let read = || {
            let note = Note::parse(&text)?;
            if let Some(verifier) = verifier {
                note.signed_by(verifier)?;
            }
            Stated::parse(&note.text)
        };
        let stated = read().map_err(|why| {
            Problem::new("E-CHECKPOINT", "This is no checkpoint that counts")
                .detail(format!("{}: {why}.", file.display()))
                .next("name a file that nhi ledger checkpoint wrote, and the key that checks it")
        })?;
        Ok(Kept { file: file.to_owned(), stated })
    }

    /// Why the ledger does not hold against it; nothing if it does.
    pub(crate) async fn held(
        &self,
        ledger: &dyn Ledger,
        archives: &[PathBuf],
    ) -> Result<Option<String>, Problem> {
        let size = self.stated.size;
        Ok(match note::held(ledger, &self.stated).await? {
            Holds::Yes => None,
            Holds::Another => {
                Some(format!("it is of {}, and this is another ledger", self.stated.origin))
            }
            Holds::Shorter(last) => Some(format!(
                "it states {size} entries, and there are {last}: the end was cut off, or an old copy \
                 was put in its place"
            )),
            Holds::Other => Some(format!(
                "the first {size} entries are not those that it states: they were rewritten, or this \
                 is a fork"
            )),
            Holds::InFiles(last) => self.held_in(archives, last)?,
        })
    }

    /// The same, where its entries lie in files.
    fn held_in(&self, archives: &[PathBuf], last: u64) -> Result<Option<String>, Problem> {
        let size = self.stated.size;
        for path in archives {
            let shown = path.display().to_string();
            let file = fs::File::open(path).map_err(|error| {
                Problem::new("E-FILE", "The file cannot be read")
                    .detail(format!("{shown}: {error}."))
                    .next("name a file that nhi ledger compact wrote")
            })?;
            let parts = export::Reader::new(shown, std::io::BufReader::new(file));
            match note::root_in(parts, size)? {
                Some(root) if root == self.stated.root => return Ok(None),
                Some(_) => {
                    let of = path.display();
                    return Ok(Some(format!("the first {size} entries in {of} are others")));
                }
                None => {}
            }
        }
        Ok(Some(format!(
            "the entries up to {last} lie in files, and none that was named with --archive has the \
             first {size}"
        )))
    }
}

/// Holds a ledger against checkpoints that were kept: what is told of each, and one sentence for each
/// that it does not hold against.
pub(crate) async fn verify_checkpoints(
    ledger: &dyn Ledger,
    files: &[PathBuf],
    key: Option<&str>,
    archives: &[PathBuf],
    (format, output): (Format, &Output),
) -> Result<(Vec<Value>, Vec<String>), Problem> {
    let verifier = key.map(verifier_of).transpose()?;
    let (mut told, mut wrong) = (Vec::new(), Vec::new());
    if !files.is_empty() && verifier.is_none() {
        output.hint("Without --key it is not checked who signed a checkpoint.");
    }
    for file in files {
        let kept = Kept::read(file, verifier.as_ref())?;
        let progress = output.progress("hashing");
        let what = kept.held(ledger, archives).await?;
        drop(progress);
        let shown = kept.file.display();
        told.push(json!({
            "file": shown.to_string(), "origin": kept.stated.origin, "size": kept.stated.size,
            "root": kept.stated.root.to_string(), "signature": verifier.is_some(),
            "holds": what.is_none(),
        }));
        match what {
            Some(what) => wrong.push(format!("the checkpoint {shown}: {what}")),
            None if format == Format::Text => output.line(&format!(
                "{} {shown}: the first {} entries are those that it states",
                styled(GREEN, "Sound:"),
                kept.stated.size
            )),
            None => {}
        }
    }
    Ok((told, wrong))
}
