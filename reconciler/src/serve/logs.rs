//! What a long-running `nhi` says of itself, line by line: to standard error, as text or as JSON. No
//! secret can be in it: it is made of ids, counts, codes and words.

use std::io::Write;

use clap::ValueEnum;
use jiff::Timestamp;
use serde_json::{Map, Value};

/// How a line looks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum LogForm {
    /// For people.
    Text,
    /// One JSON object a line.
    Json,
}

/// The name of every line.
pub(crate) mod name {
    /// It looks after what is declared from now on.
    pub(crate) const BEGUN: &str = "serve.begun";
    /// Where it answers.
    pub(crate) const LISTENING: &str = "serve.listening";
    /// It was asked to stop.
    pub(crate) const STOPPING: &str = "serve.stopping";
    /// It stopped.
    pub(crate) const ENDED: &str = "serve.ended";
    /// A tick begins.
    pub(crate) const TICK_BEGUN: &str = "tick.begun";
    /// A tick ended.
    pub(crate) const TICK_ENDED: &str = "tick.ended";
    /// A connection is looked after by another process now.
    pub(crate) const ELSEWHERE: &str = "tick.elsewhere";
    /// A tick could not be.
    pub(crate) const TICK_FAILED: &str = "tick.failed";
    /// Something could not be read.
    pub(crate) const GAP: &str = "gap";
    /// Something is put off, or waits for a person.
    pub(crate) const LEFT: &str = "left";
    /// Something was done.
    pub(crate) const DONE: &str = "done";
    /// Something was not done.
    pub(crate) const FAILED: &str = "failed";
    /// Owners were told.
    pub(crate) const TOLD: &str = "owners.told";
    /// All that is declared was compared with what is there.
    pub(crate) const COMPARED: &str = "compared";
    /// Something that deeds tell.
    pub(crate) const NOTICE: &str = "notice";
}

/// Where lines go.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Log(pub(crate) LogForm);

impl Log {
    /// A line.
    pub(crate) fn line(self, at: Timestamp, name: &str, with: &[(&str, Value)]) {
        let line = written(self.0, at, name, with);
        // Whoever reads it may be gone; the work goes on.
        let _ = writeln!(std::io::stderr().lock(), "{line}");
    }
}

fn written(form: LogForm, at: Timestamp, name: &str, with: &[(&str, Value)]) -> String {
    let at = at.strftime("%Y-%m-%dT%H:%M:%S%.3fZ").to_string();
    match form {
        LogForm::Json => {
            let mut line = Map::new();
            line.insert("at".to_owned(), at.into());
            line.insert("event".to_owned(), name.into());
            for (name, value) in with {
                line.insert((*name).to_owned(), value.clone());
            }
            Value::Object(line).to_string()
        }
        LogForm::Text => {
            let with = with.iter().map(|(name, value)| format!(" {name}={value}"));
            format!("{at} {name}{}", with.collect::<String>())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_one_line_whatever_is_in_it() {
        let at: Timestamp = "2026-12-01T10:00:00Z".parse().unwrap();
        let with = [("subject", Value::from("a\nb")), ("count", Value::from(3))];
        for form in [LogForm::Text, LogForm::Json] {
            let line = written(form, at, name::GAP, &with);
            assert!(!line.contains('\n') && line.contains("a\\nb"), "{line}");
        }
        let json: Value = serde_json::from_str(&written(LogForm::Json, at, "gap", &with)).unwrap();
        assert_eq!((&json["event"], &json["count"]), (&"gap".into(), &3.into()));
    }
}
