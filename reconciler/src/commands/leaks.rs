//! `nhi leaks`: which of what stands somewhere is a secret of ours.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

use clap::Args;
use data_encoding::HEXLOWER;
use domain::realm::{digest_of, short};
use operations::{
    Context, KnownSecret, NewSignal, Problem, Received, Signal as Heard, Wishes, copies_in,
    known_secrets, receive_signal,
};
use policy::signal::Kind;
use ring::digest;
use serde_json::{Value, json};
use wiring::Loaded;

use super::drift::declared;
use crate::{
    ask::Asking,
    exit::Exit,
    leaking::{Looked, Place, Wanted, folder, history, report},
    output::{BOLD, DIM, Format, GREEN, Output, RED, styled},
    told::{problem_json, say},
};

/// How many places are told of one secret.
const PLACES: usize = 10;
/// How many places a signal's note names.
const NOTED: usize = 3;

/// Look for delivered secrets where they should not be: in a folder, in the history of a repository, in
/// what a scanner found.
///
/// Nothing that is looked at is shown or kept. Pieces of it are compared by their fingerprint under this
/// installation's key, so that what is found is a secret that nhi has delivered, and no guess.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  nhi leaks . --dry-run
  nhi leaks . --history --yes
  nhi leaks --sink vault:secret/ci --dry-run
  gitleaks detect --report-format json --report-path found.json; nhi leaks --report found.json --yes
  ggshield secret scan path -r . --json --show-secrets | nhi leaks --report /dev/stdin --yes

What is found and works is said to be exposed, as by nhi signal exposure: the next apply rotates it without
an overlap. What has ended is told, and needs nothing. A symbolic link is not followed, and a binary
file, or one of more than 32 MiB, is left out and counted.

Exit codes: 0 nothing of ours that works · 1 could not look · 3 something could not be looked at ·
4 a secret that works was found; of several the first of 1, 4, 3")]
pub(crate) struct Leaks {
    /// Folders and files to look at.
    #[arg(value_name = "PATH", required_unless_present_any = ["report", "sink"])]
    paths: Vec<PathBuf>,

    /// Also every line that any commit of these folders ever brought (it takes git).
    #[arg(long, requires = "paths")]
    history: bool,

    /// What gitleaks or ggshield found, as JSON with the secrets in it. May be given several times.
    #[arg(long, value_name = "FILE")]
    report: Vec<PathBuf>,

    /// A folder of a store, as CONNECTION:FOLDER: which documents directly in it have the secret of a slot
    /// that is not delivered there. May be given several times.
    #[arg(long, value_name = "PLACE")]
    sink: Vec<String>,

    /// Declared is what this state says (`terraform show -json`, or a state file); `-` is standard
    /// input. Else the ledger says.
    #[arg(long, value_name = "FILE")]
    state: Option<String>,

    #[command(flatten)]
    pub(crate) asking: Asking,
}

/// A secret of ours, and where it stands.
struct Leak<'a> {
    of: &'a KnownSecret,
    places: Vec<Place>,
}

/// What became of one that works.
enum Said {
    /// It was shown only.
    Nothing,
    /// It is said to be exposed, or was before.
    Kept(Received),
    /// It could not be said.
    Not(Problem),
}

impl Leaks {
    pub(crate) async fn run(self, config: Option<&str>, output: &Output) -> Result<Exit, Problem> {
        let loaded = wiring::load(config)?;
        let context = self.asking.context_to_end(&loaded, output)?;
        let (wishes, _) = declared(&context, self.state.as_deref(), "leaks").await?;
        let progress = output.progress("looking at what is delivered");
        let (known, gaps) = known_secrets(&context, &wishes).await;
        let key = context.realm.as_deref().and_then(|realm| realm.key.as_ref());
        let Some(key) = key else {
            return Err(Problem::new("E-REALM", "The realm's key is missing")
                .detail("Without it no secret can be told by its fingerprint.")
                .next("give this run the key that realm.key in nhi.hcl names"));
        };
        let wanted = Wanted::new(key, known.iter().map(|one| one.print.as_str()));
        progress.say(&format!("looking for {} secrets", wanted.count()));
        let mut looked = self.look(&wanted, &delivered_here(&loaded))?;
        for place in &self.sink {
            looked.take(copies(&context, &wishes, &known, place).await?);
        }
        let looked = looked.settle();
        drop(progress);
        let leaks: Vec<Leak<'_>> = looked
            .found
            .iter()
            .filter_map(|(which, places)| {
                Some(Leak { of: known.get(*which)?, places: places.clone() })
            })
            .collect();
        self.end(&context, &looked, leaks, gaps, output).await
    }

    fn look(&self, wanted: &Wanted<'_>, ours: &[PathBuf]) -> Result<Looked, Problem> {
        let mut all = Looked::default();
        for path in &self.paths {
            all.take(folder::look(path, wanted, ours));
            if self.history {
                all.take(history::look(path, wanted)?);
            }
        }
        for path in &self.report {
            all.take(report::look(path, wanted)?);
        }
        Ok(all)
    }

    async fn end(
        &self,
        context: &Context,
        looked: &Looked,
        leaks: Vec<Leak<'_>>,
        gaps: Vec<(String, Problem)>,
        output: &Output,
    ) -> Result<Exit, Problem> {
        let text = self.asking.format == Format::Text;
        if text {
            for (slot, problem) in &gaps {
                output.warning(&format!("{slot}: not looked at: {problem}"));
            }
            for (what, why) in &looked.unread {
                output.warning(&format!("{what}: not read: {why}"));
            }
            leaks.iter().for_each(|leak| leak.tell(output));
            tell_extent(looked, output);
        }
        let live: Vec<&Leak<'_>> = leaks.iter().filter(|leak| leak.of.works).collect();
        let mut said: BTreeMap<String, Said> = BTreeMap::new();
        let count = live.len();
        let does = !live.is_empty()
            && !self.asking.dry_run
            && self.asking.agreed(&format!("Say that {count} of these are exposed?"), output)?;
        for leak in live {
            let id = leak.id();
            let became = match does {
                true => match leak.say(context).await {
                    Ok(received) => Said::Kept(received),
                    Err(problem) => Said::Not(problem),
                },
                false => Said::Nothing,
            };
            if text {
                became.tell(leak, output);
            }
            said.insert(id, became);
        }
        let partly = !gaps.is_empty()
            || !looked.unread.is_empty()
            || looked.skipped.keys().any(|why| why.contains("scanner left out"));
        let mut exit = if partly { Exit::Partial } else { Exit::Clean };
        if !said.is_empty() {
            exit = exit.worst(Exit::Policy);
        }
        if said.values().any(|one| matches!(one, Said::Not(_))) {
            exit = exit.worst(Exit::Failed);
        }
        if !text {
            let found: Vec<Value> =
                leaks.iter().map(|leak| leak.json(said.get(&leak.id()))).collect();
            let all = json!({
                "format": "nhi-leaks/1", "dry_run": self.asking.dry_run, "found": found,
                "looked_at": { "files": looked.files, "bytes": looked.bytes, "pieces": looked.pieces },
                "left_out": looked.skipped.iter().map(|(why, (count, first))| {
                    json!({ "what": why, "count": count, "first": first })
                }).collect::<Vec<_>>(),
                "unread": looked.unread.iter().map(|(what, why)| {
                    json!({ "what": what, "why": why })
                }).chain(gaps.iter().map(|(slot, problem)| {
                    json!({ "what": slot, "problem": problem_json(problem) })
                })).collect::<Vec<_>>(),
                "outcome": exit.sole_outcome(),
            });
            output.line(&all.to_string());
        }
        Ok(exit)
    }
}

impl Leak<'_> {
    /// What it is called in the ledger: the same credential, found again, is one report.
    fn id(&self) -> String {
        let digest = digest_of("nhi-leak/1", &[&self.of.slot, &self.of.key_id]);
        format!("leak-{}", short(&digest, 12))
    }

    /// Says that it is exposed. What was closed or had ended, and is found elsewhere or works again, is
    /// another exposure; what a person closed, of these very places, stays closed.
    async fn say(&self, context: &Context) -> Result<Received, Problem> {
        let signal = self.signal();
        let received = receive_signal(context, &signal).await?;
        let evidence = signal.evidence.clone().unwrap_or_default();
        if !self.is_anew(&received, &evidence) {
            return Ok(received);
        }
        let id = format!("{}-{}", self.id(), evidence.get(..8).unwrap_or_default());
        receive_signal(context, &NewSignal { id: Some(id), ..signal }).await
    }

    fn is_anew(&self, received: &Received, evidence: &str) -> bool {
        let closed = |one: &Heard| {
            one.state == "open"
                || one.state == "closed" && one.evidence.as_deref() == Some(evidence)
        };
        received.known && self.of.works && !received.signals.iter().any(closed)
    }

    fn signal(&self) -> NewSignal {
        let places: Vec<String> = self.places.iter().map(ToString::to_string).collect();
        let hash = digest::digest(&digest::SHA256, places.join("\n").as_bytes());
        // A place's name is whoever's who made it.
        let named: Vec<String> = places.iter().take(NOTED).map(|place| plain(place)).collect();
        let more = match places.len().saturating_sub(NOTED) {
            0 => String::new(),
            more => format!(" and {more} more"),
        };
        NewSignal {
            id: Some(self.id()),
            kind: Kind::Exposure,
            subject: self.of.slot.clone(),
            key: Some(self.of.key_id.clone()),
            at: None,
            source: "nhi leaks".to_owned(),
            evidence: Some(HEXLOWER.encode(hash.as_ref())),
            ends_at: None,
            note: Some(format!("found in {}{more}", named.join(", "))),
        }
    }

    /// Under which id it is kept.
    fn kept_as(&self, received: &Received) -> String {
        received.signals.first().map_or_else(|| self.id(), |one| one.id.clone())
    }

    fn tell(&self, output: &Output) {
        let state = match self.of.works {
            true => styled(RED, "works"),
            false => styled(DIM, "has ended"),
        };
        output.line(&format!("{} {state}", styled(BOLD, &self.of.slot)));
        say(output, "is", &format!("generation {}, {}", self.of.generation, self.of.key_id));
        for place in self.places.iter().take(PLACES) {
            say(output, "stands in", &place.to_string());
        }
        if self.places.len() > PLACES {
            say(output, "", &format!("and in {} more", self.places.len() - PLACES));
        }
    }

    fn json(&self, said: Option<&Said>) -> Value {
        let place =
            |one: &Place| json!({ "file": one.file, "line": one.line, "commit": one.commit });
        json!({
            "id": self.of.slot, "key_id": self.of.key_id, "generation": self.of.generation,
            "works": self.of.works, "places": self.places.iter().map(place).collect::<Vec<_>>(),
            "signal": match said {
                Some(Said::Kept(received)) => json!({
                    "id": self.kept_as(received), "known": received.known,
                    "state": received.signals.first().map(|one| one.state.as_str()),
                }),
                Some(Said::Not(problem)) => json!({ "problem": problem_json(problem) }),
                _ => Value::Null,
            },
        })
    }
}

/// One line of a limited length, as a note takes it.
fn plain(place: &str) -> String {
    let fit: String = place.chars().filter(|one| !one.is_control()).collect();
    match fit.char_indices().nth(100) {
        Some((at, _)) => format!("{}…", &fit[..at]),
        None => fit,
    }
}

impl Said {
    fn tell(&self, leak: &Leak<'_>, output: &Output) {
        let slot = &leak.of.slot;
        match self {
            Said::Nothing => {
                output.hint(&format!("{slot}: nothing was said of it: nhi leaks … --yes"));
            }
            Said::Kept(received) if !received.known => output.line(&format!(
                "{} {slot} is exposed, and the next apply rotates it without an overlap ({})",
                styled(GREEN, "Kept:"),
                leak.kept_as(received)
            )),
            Said::Kept(received) => {
                let state = received.signals.first().map_or("open", |one| one.state.as_str());
                output.line(&format!(
                    "{} {slot}: {} is {state}",
                    styled(DIM, "Known before:"),
                    leak.kept_as(received)
                ));
            }
            Said::Not(problem) => output.problem(problem),
        }
    }
}

fn tell_extent(looked: &Looked, output: &Output) {
    if looked.found.is_empty() {
        output.line("No secret of ours was found.");
    }
    let megabytes = looked.bytes / 1_000_000;
    output.hint(&format!(
        "Looked at {} files or entries, {megabytes} MB, {} pieces.",
        looked.files, looked.pieces
    ));
    for (why, (count, first)) in &looked.skipped {
        output.hint(&format!("Left out: {count} {why}, such as {first}"));
    }
}

/// Copies in a folder of a store.
async fn copies(
    context: &Context,
    wishes: &Wishes,
    known: &[KnownSecret],
    place: &str,
) -> Result<Looked, Problem> {
    let Some((connection, folder)) = place.split_once(':').filter(|(_, path)| !path.is_empty())
    else {
        return Err(Problem::new("E-LEAKS-SINK", "This is no folder of a store")
            .detail(format!("{place:?}: expected <connection>:<folder>."))
            .next("name a connection that is a sink, and a folder in it, as deliver_to does"));
    };
    let (found, files) = copies_in(context, wishes, known, connection, folder).await?;
    let mut looked = Looked { files, ..Looked::default() };
    for one in found {
        let place = Place { file: one.place, line: None, commit: None };
        looked.found.entry(one.which).or_default().push(place);
    }
    Ok(looked)
}

/// Folders of this host that secrets are delivered to.
fn delivered_here(loaded: &Loaded) -> Vec<PathBuf> {
    let sinks = loaded.config.connections.values().filter(|one| one.platform.is_sink());
    let folders = sinks.filter_map(|one| one.settings.text("folder"));
    folders.filter_map(|folder| loaded.folder.join(Path::new(folder)).canonicalize().ok()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_note_is_one_line_of_a_limited_length_whatever_a_file_is_called() {
        let place = |at: usize| Place {
            file: format!("{at}\n\u{1b}[2J{}", "x".repeat(400)),
            line: Some(1),
            commit: None,
        };
        let of = KnownSecret {
            slot: "hub/user/x/credential/default".into(),
            generation: 1,
            key_id: "k1".into(),
            print: "k:1".into(),
            works: true,
        };
        let leak = Leak { of: &of, places: (0..9).map(place).collect() };
        let note = leak.signal().note.unwrap();
        assert!(note.len() < 500 && !note.contains(char::is_control), "{note}");
        assert!(note.ends_with("and 6 more"), "{note}");
        assert_eq!(leak.id(), Leak { of: &of, places: Vec::new() }.id());
    }
}
