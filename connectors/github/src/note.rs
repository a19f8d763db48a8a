//! What we write down beside what GitHub keeps: the record of an integration, and which secret of a
//! webhook is in force.
//!
//! GitHub has no room for it on an installation, a grant, a key or a webhook. So it stands in a variable
//! of the organisation, one an integration, which no repository gets to see: `NHI_<digest of kind and
//! key>`.

use data_encoding::HEXUPPER;
use domain::Record;
use ring::digest::{SHA256, digest};
use serde::{Deserialize, Serialize};

/// What every such variable's name begins with.
const NAME: &str = "NHI_";

/// What is written down of one integration.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Note {
    pub(crate) kind: String,
    pub(crate) key: String,
    /// Which making of it: of another one this says nothing.
    pub(crate) of: String,
    /// The name people know it by, where GitHub keeps none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) name: Option<String>,
    /// The record's own text.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) record: Option<String>,
    /// The secret of a webhook.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) secret: Option<Signs>,
}

/// Which secret a webhook signs with.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Signs {
    /// One that nobody kept.
    Nobodys,
    /// This one.
    With(Held),
    /// The one before, or already this one: it is being set.
    Between {
        /// The one before, where it was ours.
        before: Option<Held>,
        /// What is being set; `None` where that is kept by nobody.
        now: Option<Held>,
    },
}

/// A secret of ours, without what is secret of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Held {
    /// Its key id.
    pub(crate) id: String,
    pub(crate) marker: String,
    /// When it was set, in milliseconds.
    pub(crate) at: i64,
}

impl Note {
    /// One of an integration, with nothing in it.
    pub(crate) fn of(kind: &str, key: &str, vendor_id: &str) -> Note {
        let [kind, key, of] = [kind, key, vendor_id].map(str::to_owned);
        Note { kind, key, of, ..Note::default() }
    }

    /// Reads a variable's value; `None` where it is none of ours, or stands under another's name.
    pub(crate) fn read(name: &str, value: &str) -> Option<Note> {
        let note: Note = serde_json::from_str(value).ok()?;
        (variable(&note.kind, &note.key) == name).then_some(note)
    }

    /// The value, to be written.
    pub(crate) fn text(&self) -> String {
        serde_json::to_string(self).unwrap_or_default()
    }

    pub(crate) fn record(&self) -> Option<Record> {
        Record::from_json(self.record.as_deref()?).ok()
    }

    #[must_use]
    pub(crate) fn with_record(self, record: &Record) -> Note {
        Note { record: Some(record.to_json()), ..self }
    }
}

/// Whether a variable may be one of ours.
pub(crate) fn is_ours(name: &str) -> bool {
    name.starts_with(NAME)
}

/// The name of the variable that is about an integration.
pub(crate) fn variable(kind: &str, key: &str) -> String {
    let digest = digest(&SHA256, format!("{kind}\0{key}").as_bytes());
    let digest = digest.as_ref().get(..10).unwrap_or_default();
    format!("{NAME}{}", HEXUPPER.encode(digest))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_again_and_under_another_name_it_is_nobody_s() {
        let record = Record { purpose: Some("Why, and \"so\" on €".into()), ..Record::default() };
        let held = || Held { id: "a1".into(), marker: "nhi1-x".into(), at: 7 };
        for secret in [
            None,
            Some(Signs::Nobodys),
            Some(Signs::With(held())),
            Some(Signs::Between { before: None, now: Some(held()) }),
        ] {
            let note = Note { secret, ..Note::of("github_webhook", "7", "7").with_record(&record) };
            let name = variable("github_webhook", "7");
            assert_eq!(Note::read(&name, &note.text()), Some(note.clone()));
            assert_eq!(note.record(), Some(record.clone()));
            assert_eq!(Note::read(&variable("github_webhook", "8"), &note.text()), None);
        }
        assert_eq!(Note::read(&variable("", ""), "{}"), None);
        assert_eq!(Note::read("NHI_X", "no json"), None);
    }

    #[test]
    fn a_variable_has_a_name_that_github_takes_and_no_two_integrations_share_one() {
        let name = variable("github_ssh_client", "api/checkout");
        let plain = |b: u8| b.is_ascii_uppercase() || b.is_ascii_digit() || b == b'_';
        assert!(is_ours(&name) && name.bytes().all(plain) && name.len() == 24, "{name}");
        assert_ne!(name, variable("github_ssh_client", "api/checkout2"));
        assert_ne!(variable("a", "b\0c"), variable("a\0b", "d"));
        assert!(!is_ours("REGION"));
    }
}
