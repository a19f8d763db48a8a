//! `nhi usage`: what logs tell of the use of credentials and scopes.

use std::{
    cell::RefCell,
    fs::File,
    io::{BufRead as _, BufReader, Read as _},
    path::{Path, PathBuf},
};

use clap::{Args, Subcommand};
use connector::{LogLine, Platform};
use jiff::Timestamp;
use operations::{Line, Problem, UseLine, all_usage, import_usage};
use policy::usage::Usage as Known;
use serde_json::{Value, json};

use crate::{
    exit::Exit,
    output::{BOLD, DIM, Format, GREEN, Output, styled},
    told::{say, short},
};

/// The longest line of a log.
const LONGEST: u64 = 1024 * 1024;

/// Take in what logs tell of the use of credentials and scopes.
#[derive(Debug, Subcommand)]
#[command(after_help = "Examples:
  nhi usage import audit.log --connection vault    the audit log of that connection's server
  nhi usage import uses.jsonl --source gateway     lines in a form of our own
  nhi usage list

What is known then counts where it is asked whether a credential is in use, is dormant, or holds a scope
that it does not use. What no log tells is unknown, and never unused.")]
pub(crate) enum Usage {
    Import(Import),
    List(List),
}

/// Take in a log, or another part of one.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  nhi usage import audit.log --connection vault
  nhi usage import uses.jsonl --source gateway --format json

A line of our own form is an object: {\"at\": \"2026-11-22T08:30:00Z\", \"integration\": ID, \"key\": the
platform's id of the credential, \"scope\": what it needed}; key and scope may be left out. A line
{\"from\": TIME, \"to\": TIME} says what the log is of, where its first and last line do not.

Parts of one log bear one name (--source). Between parts that lie more than a day apart nothing is known.

Exit codes: 0 all of it is taken in · 1 nothing is · 3 a line of it could not be read")]
pub(crate) struct Import {
    /// The log; `-` is standard input.
    #[arg(value_name = "FILE")]
    file: PathBuf,

    /// The connection whose server wrote it: an audit log of OpenBao or Vault.
    #[arg(long, value_name = "NAME")]
    connection: Option<String>,

    /// What the log is called; with --connection that is its name.
    #[arg(long, value_name = "NAME", required_unless_present = "connection")]
    source: Option<String>,

    /// Show what it tells, and keep nothing.
    #[arg(long)]
    dry_run: bool,

    /// Text or JSON.
    #[arg(long, value_enum, default_value_t = Format::Text)]
    format: Format,
}

/// List what is known.
#[derive(Debug, Args)]
#[command(after_help = "Example:
  nhi usage list --format json

Exit codes: 0 listed · 1 could not")]
pub(crate) struct List {
    /// Text or JSON.
    #[arg(long, value_enum, default_value_t = Format::Text)]
    format: Format,
}

impl Usage {
    /// How its result is printed.
    pub(crate) fn format(&self) -> Format {
        match self {
            Usage::Import(import) => import.format,
            Usage::List(list) => list.format,
        }
    }

    pub(crate) async fn run(self, config: Option<&str>, output: &Output) -> Result<Exit, Problem> {
        let loaded = wiring::load(config)?;
        match self {
            Usage::Import(import) => import.run(&loaded, output).await,
            Usage::List(list) => {
                let (context, _) = loaded.read_only().context_to_end("nhi", "command")?;
                let known = all_usage(&context).await?;
                if list.format == Format::Json {
                    let all: Vec<Value> =
                        known.iter().map(|(id, usage)| json_of(id, usage)).collect();
                    let told = json!({
                        "format": "nhi-usage/1", "integrations": all,
                        "outcome": Exit::Clean.sole_outcome(),
                    });
                    output.line(&told.to_string());
                } else if known.is_empty() {
                    output.line("Nothing is known from any log.");
                } else {
                    known.iter().for_each(|(id, usage)| tell(id, usage, output));
                }
                Ok(Exit::Clean)
            }
        }
    }
}

/// A line of our own form.
fn own(line: &Value) -> Vec<Option<Line>> {
    let text = |name: &str| line.get(name).and_then(Value::as_str).map(str::to_owned);
    let moment = |name: &str| text(name).and_then(|text| text.parse::<Timestamp>().ok());
    if let (Some(from), Some(to)) = (moment("from"), moment("to")) {
        return [from, to].map(|at| Some(Line::Platform(LogLine::Other(Some(at))))).into();
    }
    let read = || {
        let (at, integration) = (moment("at")?, text("integration")?);
        Some(Line::Use(UseLine { at, integration, key: text("key"), scope: text("scope") }))
    };
    vec![read()]
}

impl Import {
    async fn run(self, loaded: &wiring::Loaded, output: &Output) -> Result<Exit, Problem> {
        let (context, _) = match self.dry_run {
            true => loaded.read_only().context_to_end("nhi", "command")?,
            false => loaded.context_to_end("nhi", "command")?,
        };
        let platform = match &self.connection {
            Some(name) => Some(knows_lines(context.connections.platform(name)?, name)?),
            None => None,
        };
        let failed = RefCell::new(None);
        let progress = output.progress("reading");
        let unreadable = |error: std::io::Error| {
            Problem::new("E-USAGE", "This log cannot be taken")
                .detail(format!("{}: {error}.", self.file.display()))
                .next("name a file that can be read")
        };
        let reader: Box<dyn std::io::Read> = match self.file == Path::new("-") {
            true => Box::new(std::io::stdin()),
            false => Box::new(File::open(&self.file).map_err(unreadable)?),
        };
        let mut reader = BufReader::new(reader);
        let lines = std::iter::from_fn(|| {
            if failed.borrow().is_some() {
                return None;
            }
            let mut line = Vec::new();
            match (&mut reader).take(LONGEST).read_until(b'\n', &mut line) {
                Ok(0) => None,
                Ok(_) => Some(Ok(line)),
                // What would have come counts as a line that cannot be read.
                Err(error) => {
                    *failed.borrow_mut() = Some(error.to_string());
                    Some(Err(()))
                }
            }
        });
        let blank = |line: &Vec<u8>| line.trim_ascii().is_empty();
        let lines = lines.filter(|line| !line.as_ref().is_ok_and(blank)).flat_map(|line| {
            let Ok(line) = line else { return vec![None] };
            match (serde_json::from_slice::<Value>(&line), platform) {
                (Err(_), _) => vec![None],
                (Ok(line), None) => own(&line),
                (Ok(line), Some(platform)) => vec![platform.log_line(&line).map(Line::Platform)],
            }
        });
        let name = self.source.as_deref().or(self.connection.as_deref()).unwrap_or_default();
        let imported = import_usage(&context, name, self.connection.as_deref(), lines).await?;
        drop(progress);
        let failed = failed.borrow().clone();
        if let Some(why) = &failed {
            output.warning(&format!("{}: read in part: {why}", self.file.display()));
        }
        let partly = failed.is_some() || imported.unreadable > 0;
        let exit = if partly { Exit::Partial } else { Exit::Clean };
        if self.format == Format::Json {
            let known = &imported.known;
            let told = json!({
                "format": "nhi-usage-import/1", "dry_run": self.dry_run, "source": name,
                "lines": imported.lines, "uses": imported.uses, "unknown": imported.unknown,
                "foreign": imported.foreign, "unreadable": imported.unreadable,
                "from": imported.from.map(|at| at.to_string()),
                "to": imported.to.map(|at| at.to_string()),
                "integrations": known.iter().map(|(id, usage)| json_of(id, usage)).collect::<Vec<_>>(),
                "outcome": exit.sole_outcome(),
            });
            output.line(&told.to_string());
            return Ok(exit);
        }
        let word = if self.dry_run { styled(DIM, "Read:") } else { styled(GREEN, "Taken in:") };
        output.line(&format!(
            "{word} {} lines, {} uses of {} integrations",
            imported.lines,
            imported.uses,
            imported.known.len()
        ));
        for (count, what) in [
            (imported.unknown, "uses by whom the ledger does not know"),
            (imported.foreign, "uses with a mark that was not made here"),
            (imported.unreadable, "lines that could not be read"),
        ] {
            if count > 0 {
                output.hint(&format!("{count} {what}"));
            }
        }
        Ok(exit)
    }
}

/// A platform whose log can be read.
fn knows_lines(
    platform: &'static dyn Platform,
    connection: &str,
) -> Result<&'static dyn Platform, Problem> {
    if platform.log_line(&Value::Null).is_some() {
        return Ok(platform);
    }
    Err(Problem::new("E-USAGE", "This log cannot be taken")
        .detail(format!(
            "Connection {connection:?} is {}, and how it writes its log is not known here.",
            platform.name()
        ))
        .next("write what it tells in the form that nhi usage import --help shows, with --source"))
}

fn json_of(id: &str, usage: &Known) -> Value {
    let log = |(name, log): (&String, &policy::usage::Log)| {
        let keys = log.keys.iter().map(|(key, at)| (key.clone(), json!(at.to_string())));
        let scopes = log.scopes.iter().map(|(scope, of)| {
            let last = of.last.map(|at| at.to_string());
            json!({ "scope": scope, "since": of.since.to_string(), "last_used": last })
        });
        json!({
            "source": name, "from": log.from.to_string(), "to": log.to.to_string(),
            "keys": keys.collect::<serde_json::Map<_, _>>(), "scopes": scopes.collect::<Vec<_>>(),
        })
    };
    json!({ "id": id, "logs": usage.logs.iter().map(log).collect::<Vec<_>>() })
}

fn tell(id: &str, usage: &Known, output: &Output) {
    output.line(&styled(BOLD, id));
    for (name, log) in &usage.logs {
        say(output, "log", &format!("{name}, {} to {}", short(log.from), short(log.to)));
        for (key, at) in &log.keys {
            say(output, "used", &format!("{key}, last {}", short(*at)));
        }
        for (scope, of) in &log.scopes {
            let last = of.last.map_or_else(
                || format!("not seen in use since {}", short(of.since.max(log.from))),
                |at| format!("last used {}", short(at)),
            );
            say(output, "scope", &format!("{scope}, {last}"));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_of_our_own_form_is_a_use_or_says_what_the_log_is_of_or_is_none() {
        let at = "2026-11-22T08:30:00Z";
        let use_of = own(&json!({ "at": at, "integration": "a/b/c", "key": "k1" }));
        assert!(matches!(&use_of[..], [Some(Line::Use(one))] if one.key.as_deref() == Some("k1")
                && one.scope.is_none() && one.at.to_string() == at));
        assert_eq!(own(&json!({ "from": at, "to": at })).len(), 2);
        for wrong in [json!({}), json!([]), json!({ "at": "x", "integration": "a" }), json!(null)] {
            assert_eq!(own(&wrong), [None], "{wrong}");
        }
    }
}
