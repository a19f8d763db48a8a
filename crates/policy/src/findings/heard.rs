//! What was heard from outside, and is open.

use jiff::Timestamp;

use super::{Finding, Verdict, anomaly, found, incident};
use crate::signal::Kind;

/// Something that was heard.
#[derive(Debug, Clone, Copy)]
pub struct Heard<'a> {
    /// Its id.
    pub id: &'a str,
    /// What it was.
    pub kind: Kind,
    /// What it is about: an integration, a credential, or a connection with all that it has.
    pub subject: &'a str,
    /// Who said so.
    pub source: &'a str,
    /// When it happened.
    pub at: Timestamp,
    /// What was said besides.
    pub note: Option<&'a str>,
}

/// What it comes to. An exposure is told by the status of what it exposes.
pub fn heard(one: &Heard<'_>) -> Option<Finding> {
    let (rule, does) = match one.kind {
        Kind::Exposure => return None,
        Kind::Anomaly => (&anomaly::RULE, "find out what it was"),
        Kind::Incident => (&incident::RULE, "review its scopes, owners and purpose"),
    };
    let note = one.note.map_or_else(String::new, |note| format!(": {note}"));
    // Two of one subject are two.
    let facet = format!("signals.{}", one.id);
    Some(Finding {
        actual: format!("{} said so of {}{note}", one.source, one.at),
        why: format!("{does}, then: nhi signal close {} --reason TEXT", one.id),
        ..found(rule, one.subject, &facet, Verdict::Added)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn one(kind: Kind, id: &str) -> Option<Finding> {
        heard(&Heard {
            id,
            kind,
            subject: "hub/user/x",
            source: "siem",
            at: Timestamp::UNIX_EPOCH,
            note: Some("4,000 exports at night"),
        })
    }

    #[test]
    fn two_of_one_integration_are_two_findings_and_an_exposure_is_told_by_its_status() {
        let (a, b) = (one(Kind::Anomaly, "a").unwrap(), one(Kind::Anomaly, "b").unwrap());
        assert_ne!(a.fingerprint("t", "x"), b.fingerprint("t", "x"));
        assert!(a.why.contains("nhi signal close a"), "{}", a.why);
        assert!(a.actual.contains("4,000 exports"), "{}", a.actual);
        assert_eq!(one(Kind::Incident, "a").unwrap().rule, "incident");
        assert_eq!(one(Kind::Exposure, "a"), None);
    }
}
