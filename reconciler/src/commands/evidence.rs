//! `nhi evidence`: what the ledger shows of an integration, a change or a time, so that somebody else can
//! check it; and checking it, with nothing but the file and whom one trusts.

use std::{
    fs,
    io::Write as _,
    path::{Path, PathBuf},
};

use approval::{Folder, Revoked, Signers, Store as _};
use clap::{Args, Subcommand};
use connector::{Clock, SystemClock};
use data_encoding::BASE64;
use jiff::Timestamp;
use ledger::{Filter, Ledger, note::NoteKey};
use operations::Problem;
use policy::change::Digest;
use serde_json::{Value, json};

use super::ledger::{is_there, since, verified};
use crate::{
    checkpoint::{key_of, verifier_of},
    evidence::{
        Asked, Bundle, Claimed, Kept, LARGEST,
        collect::collect,
        form::{self, Form},
        told,
        verify::{Holds, Means, People, Report, verify},
    },
    exit::Exit,
    history::NewFile,
    output::{Format, GREEN, Output, RED, YELLOW, styled},
};

/// Give what the ledger shows of an integration, a change or a time, for an auditor to check.
#[derive(Debug, Args)]
#[command(args_conflicts_with_subcommands = true, subcommand_negates_reqs = true)]
#[command(after_help = "Examples:
  nhi evidence CONNECTION/KIND/NAME
  nhi evidence CONNECTION/KIND/NAME --key checkpoint.key --format json --out e.json
  nhi evidence --change 9f2c41d0a7b3 --format markdown
  nhi evidence --since 2026-07-01 --until 2026-10-01 --key checkpoint.key --format json --out q3.json
  nhi evidence verify q3.json --checkpoint-key checkpoint.key.pub --signers allowed_signers --domain acme.example

With --key it carries a signed checkpoint of the ledger and is sealed: then nhi evidence verify shows on
another machine, without a network, that nobody changed it since. Nothing is asked of any platform.

Exit codes: 0 done · 1 could not · 4 the ledger is damaged, or something in it is not as it says")]
pub(crate) struct Evidence {
    #[command(subcommand)]
    check: Option<Check>,

    /// Of this integration and what hangs below it.
    #[arg(value_name = "INTEGRATION", required_unless_present_any = ["change", "since"],
          conflicts_with_all = ["change", "since"])]
    integration: Option<String>,

    /// Of one change, by its digest or enough of its beginning.
    #[arg(long, value_name = "DIGEST", conflicts_with = "since")]
    change: Option<String>,

    /// Of all from then on: 90d (back from now), 2026-07-01 (midnight UTC) or 2026-07-01T08:30:00Z.
    #[arg(long, value_name = "TIME", value_parser = since)]
    since: Option<Timestamp>,

    /// Of all before then; else before now.
    #[arg(long, value_name = "TIME", value_parser = since, requires = "since")]
    until: Option<Timestamp>,

    /// The key that signs the checkpoint and the seal: what nhi ledger checkpoint --new-key wrote.
    #[arg(long, value_name = "FILE", env = "NHI_CHECKPOINT_KEY")]
    key: Option<PathBuf>,

    /// The folder of signed statements, where the ledger itself does not have them.
    #[arg(long, value_name = "FOLDER")]
    approvals: Option<PathBuf>,

    /// A report of nhi drift --format json: what it finds of the same is added, and nothing shows it.
    #[arg(long, value_name = "FILE")]
    findings: Option<PathBuf>,

    #[command(flatten)]
    trust: Trust,

    /// The form.
    #[arg(long, value_enum, default_value_t = Form::Text)]
    format: Form,

    /// Into a file that is not there yet; else to standard output.
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
}

/// Whom to believe who signs approvals and reviews.
#[derive(Debug, Args)]
pub(crate) struct Trust {
    /// Who may sign approvals and reviews: OpenSSH's allowed_signers.
    #[arg(long, value_name = "FILE", requires = "domain")]
    signers: Option<PathBuf>,

    /// The domain in whose namespace they sign.
    #[arg(long, value_name = "DOMAIN", requires = "signers")]
    domain: Option<String>,

    /// Keys that are taken back: OpenSSH's key revocation list, or public keys.
    #[arg(long, value_name = "FILE", requires = "signers")]
    krl: Option<PathBuf>,
}

#[derive(Debug, Subcommand)]
enum Check {
    Verify(Verify),
}

/// Check evidence with nothing but the file and whom you trust: no nhi.hcl, no ledger, no network.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  nhi evidence verify q3.json --checkpoint-key checkpoint.key.pub
  nhi evidence verify q3.json --checkpoint-key checkpoint.key.pub --signers allowed_signers --domain acme.example
  nhi evidence verify q3.json --checkpoint-key checkpoint.key.pub --format html > q3.html

What is proven is told, what is only claimed, and what is wrong. Signatures are judged as of the time of
their entry, so that a key that was retired since is still good; one that was taken back is not.

Exit codes: 0 it holds · 1 could not · 3 it holds as far as it was checked: a key or a file was not named ·
4 something in it is not as it says")]
pub(crate) struct Verify {
    /// What nhi evidence --format json wrote.
    #[arg(value_name = "FILE")]
    file: PathBuf,

    /// What checks the checkpoint and the seal: the .pub file of --new-key, or its text.
    #[arg(long, value_name = "KEY")]
    checkpoint_key: Option<String>,

    #[command(flatten)]
    trust: Trust,

    /// Text and JSON tell what was checked, Markdown and HTML also what the evidence tells.
    #[arg(long, value_enum, default_value_t = Form::Text)]
    format: Form,
}

impl Trust {
    /// Reads the files; nothing where none was named.
    pub(crate) fn read(&self) -> Result<Option<People>, Problem> {
        let (Some(signers), Some(domain)) = (&self.signers, &self.domain) else { return Ok(None) };
        let refused = |path: &Path, why: String| {
            Problem::new("E-EVIDENCE-SIGNERS", "Who may sign cannot be read")
                .detail(format!("{}: {why}.", path.display()))
                .next("name a file as ssh-keygen(1) has it under ALLOWED SIGNERS")
        };
        let text =
            fs::read_to_string(signers).map_err(|error| refused(signers, error.to_string()))?;
        let read = Signers::parse(&text).map_err(|error| refused(signers, error.to_string()))?;
        let revoked = match &self.krl {
            None => Revoked::default(),
            Some(path) => {
                let bytes = fs::read(path).map_err(|error| refused(path, error.to_string()))?;
                Revoked::parse(&bytes).map_err(|error| refused(path, error.to_string()))?
            }
        };
        let namespace = approval::namespace(domain);
        Ok(Some(People { namespace, signers: read, revoked }))
    }
}

impl Evidence {
    /// How its result is printed.
    pub(crate) fn format(&self) -> Format {
        let form = match &self.check {
            Some(Check::Verify(verify)) => verify.format,
            None => self.format,
        };
        if form == Form::Json { Format::Json } else { Format::Text }
    }

    pub(crate) async fn run(self, config: Option<&str>, output: &Output) -> Result<Exit, Problem> {
        if let Some(Check::Verify(verify)) = self.check {
            return verify.run(output);
        }
        let people = self.trust.read()?;
        let key = self.key.as_deref().map(key_of).transpose()?;
        let loaded = wiring::load(config)?;
        let ledger = loaded.ledger(true)?;
        is_there(&loaded, &*ledger).await?;
        let progress = output.progress("hashing");
        let found = verified(&*ledger).await?;
        drop(progress);
        if !found.is_sound() {
            return Err(Problem::new("E-LEDGER-DAMAGED", "The ledger is not sound")
                .detail(format!("{} is evidence of nothing as it is.", ledger.place()))
                .next("nhi ledger verify says what is wrong, and what helps"));
        }
        let now = SystemClock.now();
        let asked = self.asked(&*ledger, now).await?;
        let claimed = self.claimed(&asked)?;
        let progress = output.progress("collecting");
        let mut bundle = collect(&*ledger, asked, now, claimed, Vec::new()).await?;
        drop(progress);
        if bundle.entries.is_empty() {
            return Err(Problem::new("E-EVIDENCE-NONE", "The ledger tells nothing of it")
                .detail(format!("{}: no entry is about {}.", ledger.place(), form::asked(&bundle)))
                .next(
                    "nhi ledger show lists what there is; what lies in files was taken out of it",
                ));
        }
        if let Some(folder) = &self.approvals {
            bundle.statements = statements(folder, &bundle)?;
        }
        seal(&mut bundle, key.as_ref());
        let verifier = key.as_ref().map(|key| key.verifier().clone());
        let report = verify(&bundle, &Means { key: verifier, people });
        let text = form::render(&bundle, &report, self.format);
        match &self.out {
            None => output.line(text.trim_end()),
            Some(out) => {
                let mut file = NewFile::create(out)?;
                let written = file.into.write_all(text.trim_end().as_bytes());
                written.and_then(|()| file.into.write_all(b"\n")).map_err(|error| {
                    Problem::new("E-FILE", "The file cannot be written")
                        .detail(format!("{}: {error}.", out.display()))
                        .next("look at the disk that it is on")
                })?;
                file.keep()?;
                output.line(&format!(
                    "{} {} entries about {} ({})",
                    styled(GREEN, "Evidence:"),
                    bundle.entries.len(),
                    form::asked(&bundle),
                    out.display(),
                ));
            }
        }
        if key.is_none() && self.format == Form::Json {
            output.hint("Nobody signed it: with --key another machine can check it.");
        }
        Ok(if report.is_wrong() { Exit::Policy } else { Exit::Clean })
    }

    async fn asked(&self, ledger: &dyn Ledger, now: Timestamp) -> Result<Asked, Problem> {
        Ok(match (&self.integration, &self.change, self.since) {
            (Some(id), ..) => Asked::Integration(id.trim_end_matches('/').to_owned()),
            (None, Some(digest), _) => Asked::Change(change_of(ledger, digest).await?),
            (None, None, Some(since)) => Asked::Period { since, until: self.until.unwrap_or(now) },
            (None, None, None) => {
                return Err(Problem::new("E-USAGE", "It is not said of what")
                    .detail("Neither an integration nor --change nor --since was given.")
                    .next("nhi evidence --help has examples"));
            }
        })
    }

    /// What a report of drift finds of what is asked for.
    fn claimed(&self, asked: &Asked) -> Result<Claimed, Problem> {
        let Some(file) = &self.findings else { return Ok(Claimed::default()) };
        let refused = |why: String| {
            Problem::new("E-EVIDENCE-FINDINGS", "The report of drift cannot be read")
                .detail(format!("{}: {why}.", file.display()))
                .next("name a file that nhi drift --format json wrote")
        };
        let text = fs::read_to_string(file).map_err(|error| refused(error.to_string()))?;
        let report: Value =
            serde_json::from_str(&text).map_err(|error| refused(error.to_string()))?;
        let (Some(all), Some(at)) = (report["findings"].as_array(), report["at"].as_str()) else {
            return Err(refused("it has no findings, or no time".to_owned()));
        };
        let about = |one: &&Value| match asked {
            Asked::Integration(id) => one["subject"].as_str().is_some_and(|other| {
                other
                    .strip_prefix(id.as_str())
                    .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
            }),
            _ => true,
        };
        let findings: Vec<Value> = all.iter().filter(about).cloned().collect();
        Ok(Claimed { findings: Some(findings.into()), findings_at: Some(at.to_owned()) })
    }
}

/// The one change that begins so.
async fn change_of(ledger: &dyn Ledger, digest: &str) -> Result<String, Problem> {
    let begins = digest.strip_prefix("sha256:").unwrap_or(digest).to_ascii_lowercase();
    let refused = |what: String| {
        Problem::new("E-EVIDENCE-CHANGE", "It is not known which change is meant")
            .detail(what)
            .next("take the digest from what was signed, or from nhi ledger show --kind change")
    };
    if Digest::parse(&begins).is_some() {
        return Ok(begins);
    }
    if begins.len() < 8 || !begins.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return Err(refused(format!("{digest:?} is no digest, nor 8 digits of its beginning.")));
    }
    let kinds = vec![told::AUTHORIZED.to_owned()];
    let filter = Filter { kinds, ..Filter::all() };
    let mut found = std::collections::BTreeSet::new();
    for entry in ledger::all_entries(ledger, filter).await? {
        found.extend(
            told::digest_of(&entry).filter(|one| one.starts_with(&begins)).map(str::to_owned),
        );
    }
    let mut found = found.into_iter();
    match (found.next(), found.next()) {
        (Some(one), None) => Ok(one),
        (None, _) => Err(refused(format!("No change that was allowed begins with {begins:?}."))),
        (Some(_), Some(_)) => Err(refused(format!("Several changes begin with {begins:?}."))),
    }
}

/// The statements about changes in it that lie in a folder.
fn statements(folder: &Path, bundle: &Bundle) -> Result<Vec<Kept>, Problem> {
    let store = Folder(folder.to_owned());
    let mut digests = std::collections::BTreeSet::new();
    let entries = bundle.read();
    for entry in entries.iter().filter(|entry| entry.kind == told::AUTHORIZED) {
        digests.extend(told::digest_of(entry).and_then(Digest::parse));
    }
    let mut all = Vec::new();
    for digest in digests {
        let kept = store.of(digest).map_err(|error| {
            Problem::new("E-EVIDENCE-APPROVALS", "The folder of statements cannot be read")
                .detail(format!("{error}."))
                .next("name the folder that nhi approve writes to")
        })?;
        for one in kept {
            let Ok(bytes) = one.bytes else { continue };
            let name = Path::new(&one.place).file_name().unwrap_or_default();
            let place = format!("{}/{}", digest.hex(), name.to_string_lossy());
            all.push(Kept { place, envelope: BASE64.encode(&bytes) });
        }
    }
    Ok(all)
}

/// Signs the tree, and seals all of it.
pub(crate) fn seal(bundle: &mut Bundle, key: Option<&NoteKey>) {
    if let Some(key) = key {
        let root = ledger::Hash::from_hex(&bundle.tree.root).unwrap_or(ledger::Hash::ZERO);
        let stated = ledger::note::Stated {
            origin: bundle.tree.origin.clone(),
            size: bundle.tree.size,
            root,
        };
        bundle.checkpoint = Some(key.sign(&stated.text()));
    }
    bundle.seal.sha256 = bundle.digest();
    bundle.seal.note = key.map(|key| key.sign(&bundle.sealed_text()));
}

impl Verify {
    fn run(self, output: &Output) -> Result<Exit, Problem> {
        let people = self.trust.read()?;
        let key = self.checkpoint_key.as_deref().map(verifier_of).transpose()?;
        let refused = |why: String| {
            Problem::new("E-EVIDENCE-FILE", "The evidence cannot be read")
                .detail(format!("{}: {why}.", self.file.display()))
                .next("name a file that nhi evidence --format json wrote, byte for byte as it was")
        };
        let about = fs::metadata(&self.file).map_err(|error| refused(error.to_string()))?;
        if about.len() > LARGEST {
            return Err(refused(format!("it is larger than {LARGEST} bytes")));
        }
        let text = fs::read_to_string(&self.file).map_err(|error| refused(error.to_string()))?;
        let bundle = Bundle::from_text(&text).map_err(refused)?;
        let report = verify(&bundle, &Means { key, people });
        let exit = match (report.is_wrong(), report.lacks()) {
            (true, _) => Exit::Policy,
            (false, true) => Exit::Partial,
            (false, false) => Exit::Clean,
        };
        match self.format {
            Form::Json => output.line(&checked_json(&bundle, &report, exit).to_string()),
            Form::Text => {
                output.line(&form::checked(&report));
                let (style, word) = match exit {
                    Exit::Policy => (RED, "It does not hold:"),
                    Exit::Partial => (YELLOW, "It holds as far as it was checked:"),
                    _ => (GREEN, "It holds:"),
                };
                output.line(&format!("{} {}", styled(style, word), form::asked(&bundle)));
            }
            Form::Markdown | Form::Html => {
                output.line(&form::render(&bundle, &report, self.format));
            }
        }
        Ok(exit)
    }
}

fn checked_json(bundle: &Bundle, report: &Report, exit: Exit) -> Value {
    let all = |holds| report.of(holds).collect::<Vec<_>>();
    json!({
        "format": "nhi-evidence-checked/1", "about": form::asked(bundle),
        "made_at": bundle.made.at.to_string(), "wrong": all(Holds::Wrong),
        "proven": all(Holds::Proven), "claimed": all(Holds::Claimed),
        "outcome": exit.sole_outcome(),
    })
}
