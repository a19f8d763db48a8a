//! `nhi signal`: what is heard from outside, kept until somebody has dealt with it.

use std::{
    fs::File,
    io::{self, Read as _},
    path::Path,
};

use clap::{Args, Subcommand};
use data_encoding::HEXLOWER;
use jiff::Timestamp;
use operations::{
    NewSignal, Problem, Received, Signal as Heard, all_heard, close_signal, receive_signal,
};
use policy::signal::Kind;
use ring::digest;
use serde_json::{Value, json};

use super::ledger::since;
use crate::{
    exit::Exit,
    output::{BOLD, DIM, Format, GREEN, Output, RED, YELLOW, styled},
    told::{say, short},
};

/// Say what was heard from outside: that a secret is exposed, an anomaly, an incident.
#[derive(Debug, Subcommand)]
#[command(after_help = "Examples:
  nhi signal exposure crm/app/ticket-sync --source secret-scanner --evidence report.json
  nhi signal anomaly crm/app/ticket-sync --source siem --note '4,000 exports at night'
  nhi signal incident crm/app/ticket-sync --source INC-4711
  nhi signal list
  nhi signal close s-4fz2q7 --reason 'it was the migration, see INC-4711'

It is kept in the ledger. What is exposed is rotated without an overlap by the next apply, and by nhi
reconcile and nhi serve where standing approval allows it. An anomaly, and an incident, is a finding until
somebody closes it. nhi serve takes the same by a signed webhook.")]
pub(crate) enum Signal {
    Exposure(Exposure),
    Anomaly(Reported),
    Incident(Reported),
    List(List),
    Close(Close),
}

/// A secret is, or may be, in wrong hands: what it lets in is rotated without an overlap.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  nhi signal exposure crm/app/ticket-sync --source ann --note 'sent by mail'
  nhi signal exposure crm/app/ticket-sync/credential/reports --source ann
  nhi signal exposure 6fb3c1a2 --source vendor-bulletin-7
  nhi signal exposure crm --source vendor-bulletin-7

It is about the credentials that work now: one that is issued later is not exposed by it. It is over by
itself when they have ended.

Exit codes: 0 it is kept, or was already · 1 it is not")]
pub(crate) struct Exposure {
    #[command(flatten)]
    of: About,
}

/// Something that was reported of it, open until somebody closes it.
#[derive(Debug, Args)]
#[command(after_help = "Exit codes: 0 it is kept, or was already · 1 it is not")]
pub(crate) struct Reported {
    #[command(flatten)]
    of: About,

    /// From when on it counts no more, such as 2027-01-31T08:00:00Z.
    #[arg(long, value_name = "TIME")]
    until: Option<Timestamp>,
}

#[derive(Debug, Args)]
struct About {
    /// An integration, one of its credentials (INTEGRATION/credential/NAME), a connection with all that it
    /// has, or the platform's id of a credential.
    #[arg(value_name = "ID")]
    subject: String,

    /// Only this credential of it, by the platform's id.
    #[arg(long, value_name = "KEY")]
    key: Option<String>,

    /// Who says so: a monitor, a ticket, a person's id.
    #[arg(long, value_name = "WHO")]
    source: String,

    /// What it is called there. The same twice is one; without it, what is reported twice in the same
    /// words is one.
    #[arg(long, value_name = "ID")]
    id: Option<String>,

    /// When it happened: 2h (back from now), a day, or a moment such as 2026-11-22T08:30:00Z.
    #[arg(long, value_name = "TIME", value_parser = since)]
    at: Option<Timestamp>,

    /// What shows it: a file, of which the SHA-256 is kept, or sha256:HEX.
    #[arg(long, value_name = "FILE")]
    evidence: Option<String>,

    /// What is to be known besides, in one line. No secret, and no name of a person: it stays.
    #[arg(long, value_name = "TEXT")]
    note: Option<String>,

    /// Text or JSON.
    #[arg(long, value_enum, default_value_t = Format::Text)]
    format: Format,
}

/// List what was heard and is open.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  nhi signal list
  nhi signal list --all --format json

Exit codes: 0 listed · 1 could not")]
pub(crate) struct List {
    /// Also what was closed, and what is over.
    #[arg(long)]
    all: bool,

    /// Text or JSON.
    #[arg(long, value_enum, default_value_t = Format::Text)]
    format: Format,
}

/// Say that nothing more is to be done about it.
#[derive(Debug, Args)]
#[command(after_help = "Example:
  nhi signal close s-4fz2q7 --reason 'reviewed, see INC-4711'

Exit codes: 0 closed · 1 nothing of that id is open")]
pub(crate) struct Close {
    /// The id, as nhi signal list shows it.
    #[arg(value_name = "ID")]
    id: String,

    /// Why, for the history.
    #[arg(long, value_name = "TEXT")]
    reason: String,

    /// Text or JSON.
    #[arg(long, value_enum, default_value_t = Format::Text)]
    format: Format,
}

impl Signal {
    /// How its result is printed.
    pub(crate) fn format(&self) -> Format {
        match self {
            Signal::Exposure(one) => one.of.format,
            Signal::Anomaly(one) | Signal::Incident(one) => one.of.format,
            Signal::List(list) => list.format,
            Signal::Close(close) => close.format,
        }
    }

    pub(crate) async fn run(self, config: Option<&str>, output: &Output) -> Result<Exit, Problem> {
        let loaded = wiring::load(config)?;
        match self {
            Signal::Exposure(one) => report(&loaded, Kind::Exposure, one.of, None, output).await,
            Signal::Anomaly(one) => report(&loaded, Kind::Anomaly, one.of, one.until, output).await,
            Signal::Incident(one) => {
                report(&loaded, Kind::Incident, one.of, one.until, output).await
            }
            Signal::List(list) => {
                let (context, _) = loaded.read_only().context_to_end("nhi", "command")?;
                let heard = all_heard(&context, list.all).await?;
                told(&heard, list.format, output);
                Ok(Exit::Clean)
            }
            Signal::Close(close) => {
                let (context, _) = loaded.context_to_end("nhi", "command")?;
                let closed = close_signal(&context, &close.id, &close.reason).await?;
                if close.format == Format::Json {
                    told(&closed, close.format, output);
                } else {
                    output.line(&format!("{} {}", styled(GREEN, "Closed:"), close.id));
                    closed.iter().for_each(|one| say(output, "of", &one.subject));
                }
                Ok(Exit::Clean)
            }
        }
    }
}

/// Keeps one. A policy that cannot be read stops nothing of this.
async fn report(
    loaded: &wiring::Loaded,
    kind: Kind,
    of: About,
    until: Option<Timestamp>,
    output: &Output,
) -> Result<Exit, Problem> {
    let (context, _) = loaded.context_to_end("nhi", "command")?;
    let evidence = of.evidence.as_deref().map(evidence_of).transpose()?;
    let new = NewSignal {
        id: of.id,
        kind,
        subject: of.subject,
        key: of.key,
        at: of.at,
        source: of.source,
        evidence,
        ends_at: until,
        note: of.note,
    };
    let Received { signals, known } = receive_signal(&context, &new).await?;
    if of.format == Format::Json {
        let all: Vec<Value> = signals.iter().map(json_of).collect();
        let told = json!({
            "format": "nhi-signal/1", "known": known, "signals": all,
            "outcome": Exit::Clean.sole_outcome(),
        });
        output.line(&told.to_string());
        return Ok(Exit::Clean);
    }
    let id = signals.first().map_or("", |one| one.id.as_str());
    let word = if known { styled(DIM, "Known before:") } else { styled(GREEN, "Kept:") };
    output.line(&format!("{word} {} {id}", kind.as_str()));
    for one in &signals {
        say(output, one.state.as_str(), &one.subject);
    }
    if !known && kind == Kind::Exposure {
        output.hint("The next apply rotates it without an overlap; now: nhi rotate ID --exposed");
    }
    Ok(Exit::Clean)
}

/// The hash that is kept of what shows it.
///
/// # Errors
///
/// A file cannot be read.
pub(crate) fn evidence_of(text: &str) -> Result<String, Problem> {
    if text.starts_with("sha256:") {
        return Ok(text.to_owned());
    }
    hash_of(Path::new(text)).map_err(|error| {
        Problem::new("E-SIGNAL", "This report cannot be taken")
            .detail(format!("evidence {text}: {error}."))
            .next("name a file that can be read, or its hash: sha256:HEX")
    })
}

fn hash_of(path: &Path) -> io::Result<String> {
    let mut file = File::open(path)?;
    let mut context = digest::Context::new(&digest::SHA256);
    let mut some = vec![0; 64 * 1024];
    loop {
        match file.read(&mut some)? {
            0 => return Ok(HEXLOWER.encode(context.finish().as_ref())),
            read => context.update(&some[..read]),
        }
    }
}

pub(crate) fn json_of(one: &Heard) -> Value {
    json!({
        "id": one.id, "kind": one.kind.as_str(), "subject": one.subject, "state": one.state,
        "at": one.at.to_string(), "source": one.source, "evidence": one.evidence,
        "until": one.ends_at.map(|at| at.to_string()), "note": one.note, "keys": one.keys,
    })
}

fn told(heard: &[Heard], format: Format, output: &Output) {
    if format == Format::Json {
        let all: Vec<Value> = heard.iter().map(json_of).collect();
        let told = json!({
            "format": "nhi-signals/1", "signals": all, "outcome": Exit::Clean.sole_outcome(),
        });
        output.line(&told.to_string());
        return;
    }
    if heard.is_empty() {
        output.line("Nothing is open.");
    }
    for one in heard {
        let state = match (one.state.as_str(), one.kind) {
            ("open", Kind::Exposure) => styled(RED, "open"),
            ("open", _) => styled(YELLOW, "open"),
            (state, _) => styled(DIM, state),
        };
        output.line(&format!("{} {} {state}", styled(BOLD, &one.id), one.kind.as_str()));
        say(output, "of", &one.subject);
        say(output, "since", &format!("{}, says {}", short(one.at), one.source));
        if let Some(note) = &one.note {
            say(output, "note", note);
        }
        if !one.keys.is_empty() {
            let keys: Vec<&str> = one.keys.iter().map(String::as_str).collect();
            say(output, "exposed", &keys.join(", "));
        }
        if let Some(until) = one.ends_at {
            say(output, "until", &short(until));
        }
    }
}
