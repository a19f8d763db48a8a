//! `nhi doctor`: is everything reachable, what can each connection do, what is missing?

use std::path::{Path, PathBuf};

use clap::Args;
use connector::{Connector, ObjectRef, Ourselves, Refusal, Want};
use domain::{Gap, GapExtent, IntegrationId, ObservedCredential};
use jiff::Timestamp;
use ledger::{Selection, damaged_end};
use operations::{Context, Problem, accepting_anything, custody_is_all_of_a_store, object_of};
use serde_json::{Value, json};
use wiring::Loaded;

use crate::{
    exit::Exit,
    output::{BOLD, Format, GREEN, Output, RED, YELLOW, styled},
    slips,
};

/// Check connections, realm, custody, policy and ledger, and say how to get what is missing.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  nhi doctor
  nhi doctor bao
  nhi doctor --hcl .      find `.id` where the whole object is wanted, and print the corrected line

Exit codes: 0 nothing is missing · 1 something is, or could not be read")]
pub(crate) struct Doctor {
    /// Only this connection.
    #[arg(value_name = "CONNECTION")]
    connection: Option<String>,

    /// Look through the .tf and .tf.json files of a folder for the slip that the core cannot word.
    #[arg(long, value_name = "DIR", conflicts_with = "connection")]
    hcl: Option<PathBuf>,

    /// Text or JSON.
    #[arg(long, value_enum, default_value_t = Format::Text)]
    pub(crate) format: Format,
}

/// How one thing is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Health {
    Good,
    Weak,
    Bad,
}

impl Health {
    fn word(self) -> &'static str {
        match self {
            Health::Good => "ok",
            Health::Weak => "note",
            Health::Bad => "missing",
        }
    }
}

/// One thing that was looked at.
#[derive(Debug)]
struct Look {
    what: String,
    health: Health,
    text: String,
}

fn look(what: impl Into<String>, health: Health, text: impl Into<String>) -> Look {
    Look { what: what.into(), health, text: text.into() }
}

fn bad(what: impl Into<String>, problem: &Problem) -> Look {
    look(what, Health::Bad, problem.to_string())
}

impl Doctor {
    pub(crate) async fn run(self, config: Option<&str>, output: &Output) -> Result<Exit, Problem> {
        if let Some(folder) = &self.hcl {
            return slips_in(folder, self.format, output);
        }
        let loaded = wiring::load(config)?;
        let mut looks = Vec::new();
        let progress = output.progress("asking");
        // What is wrong with the policy has a line of its own, and hides nothing else.
        match loaded.read_only().context_to_end("nhi", "command") {
            Ok((context, _)) => {
                let names = match &self.connection {
                    Some(name) => vec![name.clone()],
                    None => context.connections.names(),
                };
                for (at, name) in names.iter().enumerate() {
                    progress.say(&format!("asking {name} ({} of {})", at + 1, names.len()));
                    looks.extend(connection(&context, &loaded, name).await);
                }
                if names.is_empty() {
                    looks.push(no_connection(&loaded));
                }
                if self.connection.is_none() {
                    looks.extend(rest(&loaded, &context).await);
                }
                if let Some(which) = context.clocks_that_disagree().await {
                    let text = format!(
                        "{which}. What ends when its time is over waits until they agree.\nNext: find out \
                         which of them is wrong (date -u on this machine) and set it"
                    );
                    looks.push(look("clock", Health::Bad, text));
                }
            }
            Err(problem) => looks.push(bad("configuration", &problem)),
        }
        drop(progress);
        let exit = match looks.iter().any(|one| one.health == Health::Bad) {
            true => Exit::Failed,
            false => Exit::Clean,
        };
        match self.format {
            Format::Text => print(&looks, output),
            Format::Json => {
                let all: Vec<Value> = looks
                    .iter()
                    .map(|one| json!({ "what": one.what, "health": one.health.word(), "text": one.text }))
                    .collect();
                let all = json!({
                    "format": "nhi-doctor/1", "looks": all, "outcome": exit.sole_outcome(),
                });
                output.line(&all.to_string());
            }
        }
        Ok(exit)
    }
}

/// Of nothing that is wrong with nothing it would be wrong to say that nothing is missing.
fn no_connection(loaded: &Loaded) -> Look {
    let file = loaded
        .file
        .as_ref()
        .map_or_else(|| wiring::FILE_NAME.to_owned(), |file| file.display().to_string());
    let all: Vec<&str> = wiring::platforms().iter().map(|platform| platform.name()).collect();
    let text = format!(
        "{file} names none, so there is no platform to look at, and none to govern.\nNext: add one to \
         it, such as connections = {{ bao = {{ openbao = {{ address = \"https://bao.acme.example\", credential = \
         {{ env = \"BAO_TOKEN\" }} }} }} }}, or copy what nhi init --dir <NEW FOLDER> writes; platforms: {}",
        all.join(", ")
    );
    look("connections", Health::Bad, text)
}

/// A connection that does not do: where it is, and what would help. Never to ask the doctor.
fn ill(loaded: &Loaded, name: &str, error: &connector::Error) -> Problem {
    let address = loaded.config.connections.get(name).and_then(|one| one.settings.text("address"));
    let problem = Problem::unreadable(name, error);
    if matches!(error, connector::Error::Tenant { .. }) {
        return problem;
    }
    let next = match error.refusal() {
        Some(Refusal::Unauthorized | Refusal::Forbidden) => "give it a credential that may read",
        Some(_) => "correct its address or credential in nhi.hcl",
        None if matches!(error, connector::Error::Configuration(_)) => "correct it in nhi.hcl",
        None if matches!(error, connector::Error::NotReady { .. }) => {
            "unseal it, or wait until it is ready"
        }
        None if matches!(error, connector::Error::Untrusted { .. }) => {
            "name the file of the authority that signed its certificate in ca_file of it in nhi.hcl"
        }
        None => "start the server, or correct the address in nhi.hcl",
    };
    Problem { summary: "This connection does not answer as it should", ..problem }
        .detail(format!("{}: {error}.", address.unwrap_or(name)))
        .next(next)
}

async fn connection(context: &Context, loaded: &Loaded, name: &str) -> Vec<Look> {
    let what = format!("connection {name}");
    let opened = match context.connections.get(name).await {
        Ok(opened) => opened,
        Err(problem) => return vec![bad(what, &problem)],
    };
    let mut looks = Vec::new();
    if let Some(address) = loaded.config.connections.get(name).and_then(|one| one.in_the_clear()) {
        let text = format!(
            "{address}: our own credential and every secret go there unencrypted, for whoever listens.\nNext: give it an https:// address"
        );
        looks.push(look(what.clone(), Health::Weak, text));
    }
    if let Some(connector) = &opened.connector {
        // What it can do is not known of one that does not answer, or refuses us, and goes unsaid.
        let tenant = match connector.tenant().await {
            Ok(tenant) => tenant,
            Err(error) => return vec![bad(what, &ill(loaded, name, &error))],
        };
        let pin = context.connections.pinned_tenant(name);
        if let Some(pin) = pin.as_ref().filter(|pin| **pin != tenant) {
            let text = format!(
                "it answers as tenant {tenant}, and {pin} is pinned.\nNext: correct the address, or tenant in nhi.hcl"
            );
            return vec![look(what, Health::Bad, text)];
        }
        // Who it is a server tells everybody.
        if let Err(error) = connector.check_credential().await {
            return vec![bad(what, &ill(loaded, name, &error))];
        }
        looks.push(match pin {
            Some(_) => look(what.clone(), Health::Good, format!("answers as tenant {tenant}, as pinned")),
            None => look(
                what.clone(),
                Health::Weak,
                format!("answers as tenant {tenant}, which is not pinned.\nNext: add tenant = \"{tenant}\" to it, so that another address is noticed"),
            ),
        });
        for kind in opened.platform.kinds() {
            let able = connector.capabilities(kind).await.unwrap_or(kind.capabilities);
            let words: Vec<&str> = [
                (able.lists, "lists"),
                (able.creates, "creates"),
                (able.changes_scopes, "changes scopes"),
                (able.ends_scopes, "ends dated scopes by itself"),
                (able.disables, "disables"),
                (able.disable_reaches_tokens, "stops issued tokens"),
                (able.lists_credentials, "lists credentials"),
                (able.tells_last_use, "tells last use"),
                (able.sweeps_children, "finds minted tokens"),
                (able.proves_by_use, "proves revocation by use"),
                (able.mints_access, "mints access for a while"),
            ]
            .into_iter()
            .filter_map(|(can, word)| can.then_some(word))
            .collect();
            looks.push(look(format!("  {}", kind.name), Health::Good, words.join(", ")));
        }
        // Where custody cannot be read, its own line says so.
        for (slot, at) in accepting_anything(context, name).await.unwrap_or_default() {
            let text = format!(
                "A secret that nobody issued was let in when an end of {slot} was shown, at {at}: no end is \
                 shown by use there.\nNext: see what stands between here and the platform, and answers in \
                 its place; the next proof looks again"
            );
            looks.push(look(what.clone(), Health::Weak, text));
        }
        for note in connector.notes().await {
            looks.push(look(what.clone(), Health::Weak, note));
        }
        if opened.platform.kinds().iter().any(|kind| kind.capabilities.needs_keyring) {
            looks.extend(documents(context, name, &**connector).await);
        }
    }
    if let Some(directory) = &opened.directory {
        match directory.check().await {
            Ok(members) => looks.push(look(
                what.clone(),
                Health::Good,
                format!("a directory of {members} members"),
            )),
            Err(error) => looks.push(bad(what.clone(), &ill(loaded, name, &error))),
        }
    }
    if let (Some(sink), Some(_)) = (&opened.sink, &opened.connector)
        && !sink.capabilities().destroys_versions
    {
        // There is no such document: what counts is that it could be looked for.
        let text = match sink.look("nhi-doctor").await.map_err(Problem::from) {
            Ok(_) => Some(
                "As a sink it destroys no version: what was delivered before stays readable to whoever \
                 may read earlier versions."
                    .to_owned(),
            ),
            // Nobody delivers there.
            Err(problem) if problem.code == "E-SINK-UNFIT" => None,
            Err(problem) => Some(format!("As a sink it does not answer: {}", problem.detail)),
        };
        looks.extend(text.map(|text| look(what.clone(), Health::Weak, text)));
    }
    looks.extend(own_credential(context, loaded, name, opened.connector.as_deref()).await);
    if let (Some(sink), None) = (&opened.sink, &opened.connector) {
        // There is no such document: what counts is that it could be looked for.
        looks.push(match sink.look("nhi-doctor").await {
            Ok(_) => look(what, Health::Good, "a sink"),
            Err(error) => {
                let next = "correct what is named, or the connection in nhi.hcl";
                bad(what, &Problem::of_sink(error, next))
            }
        });
    }
    looks
}

/// What we sign in with ourselves: where it is, which, and since when, as far as the platform tells. No
/// deed turns it, since whoever ends what a connection signs in with ends every later run of it.
async fn own_credential(
    context: &Context,
    loaded: &Loaded,
    name: &str,
    connector: Option<&dyn Connector>,
) -> Option<Look> {
    let source = &loaded.config.connections.get(name)?.credential.as_ref()?.secret;
    // Where the platform does not tell, nothing is missing for it.
    let found = match connector {
        Some(connector) => connector.ourselves().await.ok().flatten(),
        None => None,
    };
    let mut issued_at = None;
    if let (Some(found), Some(connector)) = (&found, connector) {
        let (kind, key) = (found.kind.clone(), found.key.clone());
        let object = ObjectRef { kind, name: key.clone(), key, vendor_id: None };
        let all = connector.credentials(&object).await.map(|all| all.credentials);
        let mine = |one: &&ObservedCredential| Some(&one.key_id) == found.key_id.as_ref();
        issued_at = all.unwrap_or_default().iter().find(mine).and_then(|one| one.issued_at);
    }
    let text = own_words(&source.to_string(), found.as_ref(), issued_at, context.now());
    Some(look(format!("connection {name}"), Health::Good, text))
}

fn own_words(
    source: &str,
    found: Option<&Ourselves>,
    issued_at: Option<Timestamp>,
    now: Timestamp,
) -> String {
    let which = found.map_or_else(String::new, |found| match &found.key_id {
        Some(key_id) => format!(", {key_id} of {}/{}", found.kind, found.key),
        None => format!(", one of {}/{}", found.kind, found.key),
    });
    let age = issued_at.map_or_else(String::new, |at| {
        let days = now.duration_since(at).as_hours() / 24;
        format!(", made {days} day(s) ago")
    });
    format!(
        "our own credential is {source}{which}{age}. It is rotated by hand: put another one there, and end \
         this one when every run has it"
    )
}

/// What is missing of the documents in custody without which a connection can manage nothing: those
/// that cannot be read, and those of what the ledger has as declared.
async fn documents(context: &Context, name: &str, connector: &dyn Connector) -> Vec<Look> {
    let what = format!("connection {name}");
    if context.custody.is_none() || context.realm.is_none() {
        let text = "nhi.hcl names no place for the documents that manage its objects.\nNext: bring back the lines custody = … and realm = … that it had, or let nhi init --dir <NEW FOLDER> write new ones";
        return vec![look(what, Health::Bad, text)];
    }
    let listed = match connector.list(Want::LEAN).await {
        Ok(listed) => listed,
        Err(error) => return vec![bad(what, &Problem::unreadable(name, &error))],
    };
    let broken = listed.gaps.into_iter().filter(|gap| matches!(gap.extent, GapExtent::Page(_)));
    let next = "restore it in custody from its backup, or from an earlier version of it";
    let told = |gap: Gap| look(what.clone(), Health::Bad, format!("{}.\nNext: {next}", gap.cause));
    let mut looks: Vec<Look> = broken.map(told).collect();
    let of_it = Selection { connection: Some(name.to_owned()), ..Selection::declared() };
    // Where the ledger cannot be read, its own line says so.
    for row in context.ledger.integrations(&of_it).await.unwrap_or_default() {
        let Ok(id) = row.id.parse::<IntegrationId>() else { continue };
        if listed.integrations.iter().any(|one| one.kind == id.kind && one.key == id.key) {
            continue;
        }
        if let Err(error) = connector.read(&object_of(&id, None, None), Want::LEAN).await {
            looks.push(bad(what.clone(), &Problem::unreadable(&row.id, &error)));
        }
    }
    looks
}

/// Whether there is a ledger, and whether its end is sound: all of it is `nhi ledger verify`'s
/// business.
async fn about_ledger(ledger: &dyn ledger::Ledger) -> Look {
    if !ledger.keeps() {
        return look("ledger", Health::Weak, "none: no history is kept");
    }
    let seen = async { Ok((ledger.head().await?, damaged_end(ledger).await?)) };
    match seen.await {
        Ok((head, None)) => {
            look("ledger", Health::Good, format!("{}, {} entries", ledger.place(), head.seq))
        }
        Ok((_, Some(wrong))) | Err(wrong) => bad("ledger", &Problem::from(wrong)),
    }
}

async fn rest(loaded: &Loaded, context: &Context) -> Vec<Look> {
    let mut looks = Vec::new();
    match context.realm.as_deref() {
        Some(domain::Realm { id, key: Some(key) }) => {
            // Where custody cannot be read, its own line says so.
            let wrong = match operations::realm_key_fits_custody(context).await {
                Err(problem) if problem.code == "E-REALM-KEY" => Some(problem),
                _ => None,
            };
            looks.push(match wrong {
                Some(problem) => bad("realm", &problem),
                None => look("realm", Health::Good, format!("{id}, with its key {}", key.id())),
            });
        }
        Some(realm) => looks.push(look(
            "realm",
            Health::Bad,
            format!("{}: its key is not readable here.\nNext: give this run the key that realm.key in nhi.hcl names", realm.id),
        )),
        None => looks.push(look(
            "realm",
            Health::Weak,
            "none: no credential can be issued.\nNext: nhi init --dir <NEW FOLDER> makes one with its key: copy them from the nhi.hcl that it writes",
        )),
    }
    match &context.custody {
        None => looks.push(look(
            "custody",
            Health::Weak,
            "none: no credential can be issued.\nNext: add custody = { connection = \"…\", path = \"…\" } to nhi.hcl",
        )),
        Some(custody) => match context.connections.get(&custody.connection).await {
            Err(problem) => looks.push(bad("custody", &problem)),
            Ok(opened) => match opened.sink {
                None => looks.push(look("custody", Health::Bad, format!("{:?} is no sink", custody.connection))),
                Some(sink) => match sink.look_all(&custody.path).await {
                    Err(error) => {
                        let next = format!(
                            "make {} there, let our credential list it, or name another place in custody",
                            custody.path
                        );
                        looks.push(bad("custody", &Problem::of_sink(error, &next)));
                    }
                    Ok(_) => {
                        match sink.lacks(&custody.path).await {
                            Ok(lacks) => {
                                looks.extend(lacks.into_iter().map(|one| look("custody", Health::Weak, one)));
                            }
                            Err(error) => looks.push(look(
                                "custody",
                                Health::Weak,
                                format!("What our own credential may do there cannot be told: {error}."),
                            )),
                        }
                        if let Some(problem) = custody_is_all_of_a_store(&*sink, custody).await {
                            looks.push(look("custody", Health::Weak, problem.body()));
                        }
                        let able = sink.capabilities();
                        let health = if able.this_host_only { Health::Weak } else { Health::Good };
                        let note = if able.this_host_only { ", seen by runs on this host only" } else { "" };
                        looks.push(look("custody", health, format!("{}:{}{note}", custody.connection, custody.path)));
                    }
                },
            },
        },
    }
    match loaded.rules() {
        Ok(_) if loaded.config.policy.is_some() => looks.push(look("policy", Health::Good, "read")),
        Ok(_) => looks.push(look("policy", Health::Weak, "none: the defaults hold")),
        Err(problem) => looks.push(bad("policy", &problem)),
    }
    looks.push(match loaded.missing_ledger() {
        Some(path) if path.parent().is_some_and(is_no_folder) => {
            let folder = path.parent().map(|folder| folder.display().to_string());
            let folder = folder.unwrap_or_default();
            look(
                "ledger",
                Health::Bad,
                format!("the folder {folder} is not there, and nothing makes it.\nNext: mkdir -p {folder}"),
            )
        }
        Some(path) => look(
            "ledger",
            Health::Weak,
            format!(
                "{} is not there yet: the first apply that changes something makes it",
                path.display()
            ),
        ),
        None => about_ledger(&*context.ledger).await,
    });
    // Where it cannot be reached, its own line says so.
    for weakness in context.ledger.weaknesses().await.unwrap_or_default() {
        looks.push(look("ledger", Health::Weak, weakness));
    }
    if loaded.config.demo {
        looks.push(look(
            "demo",
            Health::Weak,
            "demo = true: floors of durations are seconds; every connection is on this machine",
        ));
    }
    looks
}

/// Whether a path names a folder that is not there; an empty one is where we are.
fn is_no_folder(path: &std::path::Path) -> bool {
    !path.as_os_str().is_empty() && !path.is_dir()
}

fn print(looks: &[Look], output: &Output) {
    for one in looks {
        let (style, sign) = match one.health {
            Health::Good => (GREEN, "✓"),
            Health::Weak => (YELLOW, "!"),
            Health::Bad => (RED, "✗"),
        };
        let text = one.text.replace('\n', "\n    ");
        output.line(&format!("{} {}: {text}", styled(style, sign), styled(BOLD, &one.what)));
    }
}

fn slips_in(folder: &Path, format: Format, output: &Output) -> Result<Exit, Problem> {
    let refused = |why: String| {
        Problem::new("E-HCL", "The folder cannot be read")
            .detail(format!("{}: {why}", folder.display()))
            .next("name a folder with .tf files")
    };
    let looked = slips::find(folder).map_err(|error| refused(error.to_string()))?;
    if looked.files == 0 {
        return Err(refused("no .tf or .tofu file is in it.".to_owned()));
    }
    for text in &looked.unread {
        output.warning(&format!("not read: {text}"));
    }
    let clean = looked.slips.is_empty() && looked.unread.is_empty();
    let exit = if clean { Exit::Clean } else { Exit::Failed };
    if format == Format::Json {
        let slips = looked.slips.iter().map(|slip| {
            json!({
                "file": slip.file.display().to_string(), "line": slip.line,
                "address": slip.address, "found": slip.found, "corrected": slip.corrected,
            })
        });
        let slips: Vec<Value> = slips.collect();
        let all = json!({
            "format": "nhi-slips/1", "slips": slips, "unread": looked.unread,
            "outcome": exit.sole_outcome(),
        });
        output.line(&all.to_string());
        return Ok(exit);
    }
    for slip in &looked.slips {
        output.line(&format!("{}:{}: in {}", slip.file.display(), slip.line, slip.address));
        output.line(&styled(RED, &format!("  - {}", slip.found)));
        output.line(&styled(GREEN, &format!("  + {}", slip.corrected)));
    }
    if clean {
        output.line(
            "No slip found. What goes through a child module, a splat or another function's result is not \
             followed.",
        );
    }
    Ok(exit)
}

#[cfg(test)]
mod tests {
    use ledger::{Durability, Ledger, MemoryLedger, NewEntry, NullLedger};

    use super::*;

    #[test]
    fn what_we_sign_in_with_is_told_with_its_place_and_its_age_where_that_is_known() {
        let at = |text: &str| text.parse::<Timestamp>().unwrap();
        let ours = |key_id: Option<&str>| Ourselves {
            kind: "aws_iam_user".to_owned(),
            key: "nhi".to_owned(),
            key_id: key_id.map(str::to_owned),
        };
        let (made, now) = (at("2026-08-01T12:00:00Z"), at("2026-11-30T11:00:00Z"));
        let of = "the environment variable X";
        let told = own_words(of, Some(&ours(Some("AKIA1"))), Some(made), now);
        let begins = format!(
            "our own credential is {of}, AKIA1 of aws_iam_user/nhi, made 120 day(s) ago. It is rotated by hand"
        );
        assert!(told.starts_with(&begins), "{told}");
        let told = own_words(of, Some(&ours(None)), None, now);
        assert!(told.contains("X, one of aws_iam_user/nhi. It"), "{told}");
        assert!(
            own_words(of, None, None, now).starts_with(&format!("our own credential is {of}. It"))
        );
    }

    #[tokio::test]
    async fn a_ledger_that_somebody_changed_is_not_called_good() {
        assert!(matches!(about_ledger(&NullLedger).await.health, Health::Weak));
        let ledger = MemoryLedger::new();
        let entry = NewEntry::new(1, "declared", "bao/openbao_approle/x");
        ledger.append(vec![entry], Durability::Durable).await.unwrap();
        assert!(matches!(about_ledger(&ledger).await.health, Health::Good));
        ledger.tamper(1, |body| body[5] ^= 1);
        let look = about_ledger(&ledger).await;
        assert!(
            matches!(look.health, Health::Bad) && look.text.contains("salvage"),
            "{}",
            look.text
        );
    }
}
