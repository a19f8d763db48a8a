//! The world against what is declared, facet by facet: what a plan would show, said without a core.

use std::collections::{BTreeMap, BTreeSet};

use domain::{Action, realm::digest_of};
use jiff::Timestamp;

use crate::{
    rules::Verdict as Follows,
    status::{Consequence, consequence_for},
};

/// One thing that is not as declared, or that somebody must look at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// Which rule found it, such as `scope-added`.
    pub rule: &'static str,
    /// The object's id.
    pub subject: String,
    /// `scopes`, `settings.token_ttl`, `record.purpose`, `enabled`, `credentials`, `sinks.app`,
    /// `status`, `standing`, `object`.
    pub facet: String,
    /// What happened to it.
    pub verdict: Verdict,
    /// What is declared, in words; empty where nothing is.
    pub expected: String,
    /// What is there, in words; empty where nothing is.
    pub actual: String,
    /// What a scope lets its holder do.
    pub action: Option<Action>,
    /// How much it matters.
    pub severity: Severity,
    /// What a pipeline concludes from it.
    pub condition: Condition,
    /// What it means, or what to do; may be empty.
    pub why: String,
}

/// What a difference means.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Verdict {
    /// There, and not declared.
    Added,
    /// Declared, and not there.
    Removed,
    /// There in another form.
    Changed,
    /// A credential that nobody declared.
    Unmanaged,
    /// Declared, and proven absent.
    Missing,
}

impl Verdict {
    /// The word.
    pub fn as_str(self) -> &'static str {
        match self {
            Verdict::Added => "added",
            Verdict::Removed => "removed",
            Verdict::Changed => "changed",
            Verdict::Unmanaged => "unmanaged",
            Verdict::Missing => "missing",
        }
    }

    /// The sign in front of a line.
    pub fn sign(self) -> char {
        match self {
            Verdict::Added | Verdict::Unmanaged => '+',
            Verdict::Removed | Verdict::Missing => '-',
            Verdict::Changed => '~',
        }
    }
}

/// How much a finding matters, least first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Severity {
    /// Somebody may want to know.
    Info,
    /// Nothing is lost by waiting.
    Low,
    /// It should be looked at.
    Medium,
    /// It gives power, or takes something away that is in use.
    High,
    /// It gives everything, or nobody knows what.
    Critical,
}

impl Severity {
    /// All, least first.
    pub const ALL: [Severity; 5] =
        [Severity::Info, Severity::Low, Severity::Medium, Severity::High, Severity::Critical];

    /// The word.
    pub fn as_str(self) -> &'static str {
        match self {
            Severity::Info => "info",
            Severity::Low => "low",
            Severity::Medium => "medium",
            Severity::High => "high",
            Severity::Critical => "critical",
        }
    }
}

/// What a pipeline concludes from a finding.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Condition {
    /// Nothing: it is only said.
    Note,
    /// The world differs from what is declared.
    Drift,
    /// Work was begun, or is overdue.
    Unfinished,
    /// Out of policy.
    Policy,
}

impl Condition {
    /// The word.
    pub fn as_str(self) -> &'static str {
        match self {
            Condition::Note => "note",
            Condition::Drift => "drift",
            Condition::Unfinished => "unfinished",
            Condition::Policy => "policy",
        }
    }
}

impl Finding {
    /// What stays the same while the same thing is wrong with the same object: not its values, not
    /// the connection's name, not the time. `stable` names the object at its tenant.
    pub fn fingerprint(&self, tenant: &str, stable: &str) -> [u8; 16] {
        // Two scopes that were added are two findings, and so are two stray keys.
        let told = matches!(self.facet.as_str(), "scopes" | "credentials" | "previous");
        let discriminator =
            if told { format!("{}{}", self.expected, self.actual) } else { String::new() };
        let parts = [tenant, self.rule, stable, &self.facet, &discriminator];
        let mut out = [0u8; 16];
        out.copy_from_slice(&digest_of("nhi-finding/1", &parts)[..16]);
        out
    }
}

/// What is declared of one integration, as far as anybody said.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Declared {
    /// Its id.
    pub id: String,
    /// Settings by name, in words; `None` where nobody said.
    pub settings: Option<BTreeMap<String, String>>,
    /// Governance fields by name, in words.
    pub record: Option<BTreeMap<String, String>>,
    /// Whether it is to be active.
    pub enabled: Option<bool>,
    /// Whether an apply ends credentials that nobody declared.
    pub revoke_unmanaged: bool,
}

/// What is there of one integration.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Observed {
    /// Settings by name, in words.
    pub settings: BTreeMap<String, String>,
    /// Governance fields by name, in words.
    pub record: BTreeMap<String, String>,
    /// Whether it is active.
    pub enabled: bool,
    /// Live credentials that nobody declared: id to what is known of each.
    pub unmanaged: BTreeMap<String, String>,
    /// Live credentials with another installation's mark: id to that installation and what is known
    /// of each.
    pub foreign: BTreeMap<String, (String, String)>,
}

fn found(rule: &'static str, subject: &str, facet: &str, verdict: Verdict) -> Finding {
    Finding {
        rule,
        subject: subject.to_owned(),
        facet: facet.to_owned(),
        verdict,
        expected: String::new(),
        actual: String::new(),
        action: None,
        severity: Severity::Medium,
        condition: Condition::Drift,
        why: String::new(),
    }
}

/// Compares settings, record, switch and stray credentials. Scopes need their platform (see
/// [`scopes`]), slots their sinks (see [`slot`]).
pub fn compare(declared: &Declared, observed: &Observed) -> Vec<Finding> {
    let mut all = Vec::new();
    let id = declared.id.as_str();
    let mut facet =
        |rule, name: &str, wish: &BTreeMap<String, String>, have: &BTreeMap<String, String>| {
            let names: BTreeSet<&String> = wish.keys().chain(have.keys()).collect();
            for key in names {
                let (expected, actual) = (wish.get(key), have.get(key));
                if expected != actual {
                    let verdict = match (expected, actual) {
                        (None, _) => Verdict::Added,
                        (_, None) => Verdict::Removed,
                        _ => Verdict::Changed,
                    };
                    all.push(Finding {
                        expected: expected.cloned().unwrap_or_default(),
                        actual: actual.cloned().unwrap_or_default(),
                        ..found(rule, id, &format!("{name}.{key}"), verdict)
                    });
                }
            }
        };
    if let Some(settings) = &declared.settings {
        facet("setting-changed", "settings", settings, &observed.settings);
    }
    if let Some(record) = &declared.record {
        facet("record-edited", "record", record, &observed.record);
    }
    if let Some(enabled) = declared.enabled.filter(|enabled| *enabled != observed.enabled) {
        let word = |on: bool| if on { "active" } else { "disabled" }.to_owned();
        all.push(Finding {
            expected: word(enabled),
            actual: word(observed.enabled),
            severity: Severity::High,
            ..found("switch-changed", id, "enabled", Verdict::Changed)
        });
    }
    // Drift is what an apply puts right, and a plan shows. Where an apply is not to end a credential,
    // both would say so for ever and neither do anything: then a person has to.
    for (key, known) in &observed.unmanaged {
        let (condition, next) = match declared.revoke_unmanaged {
            true => (Condition::Drift, "apply ends it"),
            false => (Condition::Policy, "find out who uses it; then adopt it or have it ended"),
        };
        let space = if known.is_empty() { "" } else { " " };
        all.push(Finding {
            actual: key.clone(),
            severity: Severity::High,
            condition,
            why: format!("{known}{space}{next}"),
            ..found("credential-unmanaged", id, "credentials", Verdict::Unmanaged)
        });
    }
    for (key, (of, known)) in &observed.foreign {
        let known = if known.is_empty() { String::new() } else { format!(" {known}") };
        all.push(Finding {
            actual: key.clone(),
            severity: Severity::High,
            condition: Condition::Policy,
            why: format!("it carries the mark of installation {of}{known}; apply never ends it"),
            ..found("other-realm", id, "credentials", Verdict::Added)
        });
    }
    all
}

/// Contacts at the platform that are not the owners'. Which they are stays out: reports are kept.
pub fn contacts(id: &str) -> Finding {
    Finding {
        expected: "the addresses of its owners".into(),
        actual: "others".into(),
        severity: Severity::Low,
        why: "the platform shows them to people as whom to ask; apply writes them again".into(),
        ..found("contacts-changed", id, "record.contacts", Verdict::Changed)
    }
}

/// Scopes that were added or are gone; each with what it lets its holder do.
pub fn scopes<'a>(
    id: &str,
    added: impl IntoIterator<Item = (&'a String, Action)>,
    gone: impl IntoIterator<Item = (&'a String, Action)>,
) -> Vec<Finding> {
    let subject = format!("{id}/scope");
    let added = added.into_iter().map(|(scope, action)| Finding {
        actual: scope.clone(),
        action: Some(action),
        severity: match action {
            Action::Policy | Action::Identity | Action::Admin | Action::Unknown => {
                Severity::Critical
            }
            Action::None | Action::Read => Severity::Medium,
            _ => Severity::High,
        },
        ..found("scope-added", &subject, "scopes", Verdict::Added)
    });
    let gone = gone.into_iter().map(|(scope, action)| Finding {
        expected: scope.clone(),
        action: Some(action),
        why: "giving it back is a change that gives power".into(),
        ..found("scope-removed", &subject, "scopes", Verdict::Removed)
    });
    added.chain(gone).collect()
}

/// A temporary scope that is still live after its time.
pub fn scope_outlived(id: &str, scope: &str, until: Timestamp, action: Action) -> Finding {
    Finding {
        expected: format!("ended at {until}"),
        actual: scope.to_owned(),
        action: Some(action),
        severity: Severity::High,
        condition: Condition::Unfinished,
        why: "its time is over and it is still live; apply takes it away".into(),
        ..found("scope-outlived", &format!("{id}/scope"), "scopes", Verdict::Added)
    }
}

/// What is known of one slot, as [`slot`] judges it.
#[derive(Debug, Clone, Default)]
pub struct SlotFacts<'a> {
    /// The slot's id.
    pub id: &'a str,
    /// Its status word.
    pub status: &'a str,
    /// The current key, if any is known.
    pub key_id: Option<&'a str>,
    /// Who is at work on it, or why it is held.
    pub note: Option<&'a str>,
    /// Sinks by name: where, and `delivered`, `changed`, `missing` or `unchecked`.
    pub sinks: Vec<(&'a str, String, &'a str)>,
    /// Earlier keys that outlived their overlap.
    pub outlived: Vec<&'a str>,
    /// When earlier keys end by themselves, where their platform tells.
    pub end_alone: Vec<(&'a str, Timestamp)>,
    /// When a secret that nobody issued was let in, where the last proof showed that.
    pub accepts_anything: Option<Timestamp>,
    /// Earlier keys that somebody uses after their overlap: which, when last, and how much that matters.
    pub in_use: Vec<(&'a str, Timestamp, Severity)>,
    /// Keys that were ended and that their platform shows again.
    pub returned: Vec<&'a str>,
    /// The integration may act.
    pub active: bool,
}

/// Judges one credential slot by the same status word, and the same consequence, as a plan.
pub fn slot(facts: &SlotFacts<'_>) -> Vec<Finding> {
    let mut all = Vec::new();
    let consequence = consequence_for(facts.status, facts.active);
    let key = facts.key_id.unwrap_or_default().to_owned();
    let (rule, condition, severity, why) = match facts.status {
        "rotating" => ("rotating", Condition::Note, Severity::Info, AT_WORK),
        "held" => ("held", Condition::Unfinished, Severity::High, WAITS),
        "exposed" => ("exposed", Condition::Policy, Severity::Critical, "rotate it now"),
        "missing" => {
            ("credential-missing", Condition::Drift, Severity::High, "apply issues another one")
        }
        "expired" => ("expired", Condition::Policy, Severity::High, "apply issues another one"),
        "unfinished" => (
            "unfinished",
            Condition::Unfinished,
            Severity::High,
            "apply, or nhi reconcile --due, finishes what was begun",
        ),
        "undelivered" => {
            ("undelivered", Condition::Drift, Severity::High, "no sink holds it; apply rotates")
        }
        "stale_copy" => ("stale-copy", Condition::Drift, Severity::Medium, "apply copies it again"),
        "foreign" => ("foreign", Condition::Drift, Severity::High, "the secret there is not ours"),
        "overdue" => ("overdue", Condition::Unfinished, Severity::High, "apply rotates it"),
        "due" => ("due", Condition::Drift, Severity::Low, "apply rotates it"),
        "cut_due" => (
            "retire-due",
            Condition::Unfinished,
            Severity::Medium,
            "apply, or nhi reconcile --due, switches the earlier one off, and a later one ends it",
        ),
        "retire_due" => (
            "retire-due",
            Condition::Unfinished,
            Severity::Medium,
            "apply, or nhi reconcile --due, ends the earlier one",
        ),
        "proof_due" => (
            "proof-due",
            Condition::Drift,
            Severity::Low,
            "apply, or nhi reconcile --due, looks once more at what was ended, and forgets its secret",
        ),
        "waiting" => ("waiting", Condition::Note, Severity::Info, "due, and outside its windows"),
        "unheld" => ("unheld", Condition::Note, Severity::Info, "no sink of ours holds the secret"),
        _ => ("", Condition::Note, Severity::Info, ""),
    };
    let idle = consequence == Consequence::Nothing
        && !matches!(facts.status, "rotating" | "held" | "waiting" | "unheld");
    // Copies, and keys that outlived their overlap, are named one by one below.
    let by_copy = matches!(facts.status, "stale_copy" | "undelivered");
    let cuts = facts.status == "cut_due";
    let by_key = (cuts || facts.status == "retire_due") && !facts.outlived.is_empty();
    if !rule.is_empty() && !idle && !by_key && !by_copy {
        let why = facts.note.map_or_else(|| why.to_owned(), |note| format!("{why}: {note}"));
        let missing = facts.status == "missing";
        all.push(Finding {
            expected: match (missing, key.is_empty()) {
                (false, _) => "current".into(),
                (true, true) => "a credential".into(),
                (true, false) => key.clone(),
            },
            actual: if missing { String::new() } else { facts.status.to_owned() },
            severity,
            condition,
            why,
            ..found(
                rule,
                facts.id,
                "status",
                if missing { Verdict::Missing } else { Verdict::Changed },
            )
        });
    }
    for key in &facts.outlived {
        all.push(Finding {
            actual: (*key).to_owned(),
            severity: Severity::Medium,
            condition: Condition::Unfinished,
            why: {
                let why = match cuts {
                    true => {
                        "an earlier credential whose overlap is over still works; apply, or nhi reconcile --due, \
                         switches it off"
                    }
                    false => "an earlier credential whose overlap is over is not ended; apply, or nhi reconcile --due, \
                         ends it",
                };
                let end = facts.end_alone.iter().find(|(of, _)| of == key);
                end.map_or_else(
                    || why.to_owned(),
                    |(_, at)| format!("{why}, and its platform does by itself at {at}"),
                )
            },
            ..found("retire-due", facts.id, "previous", Verdict::Added)
        });
    }
    if let Some(at) = facts.accepts_anything {
        all.push(Finding {
            expected: "a secret that nobody issued is refused".into(),
            actual: format!("one was let in at {at}"),
            severity: Severity::High,
            condition: Condition::Policy,
            why: "whoever asks may be let in there, and no end is shown by use: see what stands between \
                  here and the platform (nhi doctor); the next proof looks again"
                .into(),
            ..found("accepts-anything", facts.id, "proof", Verdict::Changed)
        });
    }
    for (key, at, severity) in &facts.in_use {
        all.push(Finding {
            expected: "nobody uses it".into(),
            actual: (*key).to_owned(),
            severity: *severity,
            condition: match severity {
                Severity::High | Severity::Critical => Condition::Unfinished,
                _ => Condition::Note,
            },
            why: format!(
                "its overlap is over, and it was last used at {at}: find out who uses it, and let them read \
                 what is delivered; it ends when it is quiet"
            ),
            ..found("old-still-used", facts.id, "previous", Verdict::Added)
        });
    }
    for key in &facts.returned {
        all.push(Finding {
            expected: "it has ended".into(),
            actual: (*key).to_owned(),
            severity: Severity::Critical,
            condition: Condition::Policy,
            why: "it was ended, and its platform shows it again: find out who brought it back, and end it \
                  (nhi revoke)"
                .into(),
            ..found("revoked-credential-returned", facts.id, "previous", Verdict::Added)
        });
    }
    for (name, place, status) in &facts.sinks {
        let (rule, verdict) = match *status {
            "changed" => ("sink-changed", Verdict::Changed),
            "missing" => ("sink-missing", Verdict::Removed),
            _ => continue,
        };
        if !facts.active || consequence == Consequence::Nothing {
            continue;
        }
        all.push(Finding {
            expected: place.clone(),
            actual: if verdict == Verdict::Changed {
                "written over by somebody else".into()
            } else {
                String::new()
            },
            severity: if by_copy { severity } else { Severity::Medium },
            why: if by_copy { why.to_owned() } else { String::new() },
            ..found(rule, facts.id, &format!("sinks.{name}"), verdict)
        });
    }
    all
}

/// How a run that is open is told. Whether the run still lives nobody can see; a person may know.
const AT_WORK: &str = "somebody is at work on it, or ended without a word (see nhi recover)";
const WAITS: &str = "it waits for a person (nhi recover says what helps)";

/// How what was begun and is not finished stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stands<'a> {
    /// This run may be at work on it.
    AtWork(&'a str),
    /// It waits for a person, for this reason.
    Waits(&'a str),
    /// Whoever began it has been silent for too long.
    Silent,
}

impl Stands<'_> {
    /// Which rule tells it, and what follows: of what may be finished in a moment, nothing.
    fn weight(self) -> (&'static str, Severity, Condition) {
        match self {
            Stands::AtWork(_) => ("rotating", Severity::Info, Condition::Note),
            Stands::Waits(_) => ("held", Severity::High, Condition::Unfinished),
            Stands::Silent => ("unfinished", Severity::High, Condition::Unfinished),
        }
    }

    fn words(self) -> String {
        match self {
            Stands::AtWork(owner) => format!("; {AT_WORK}: {owner}"),
            Stands::Waits(why) => format!("; {WAITS}: {why}"),
            Stands::Silent => String::new(),
        }
    }
}

/// What was begun in a slot that is not declared, and left in this phase: a key of it may work, and
/// its secret may wait in custody, although no plan would say so.
pub fn left_open(id: &str, key_id: Option<&str>, phase: &str, stands: Stands<'_>) -> Finding {
    let key = key_id.map(|key_id| format!(": {key_id} may work")).unwrap_or_default();
    let (rule, severity, condition) = stands.weight();
    Finding {
        actual: format!("unfinished ({phase})"),
        severity,
        condition,
        why: format!(
            "begun for a credential that is not declared here{key}{}; apply the configuration that \
             declares it; if none does, end it: nhi recover {id} --end",
            stands.words()
        ),
        ..found(rule, id, "status", Verdict::Added)
    }
}

/// What was begun for an integration that nothing declares, or that is not there any more. Where not
/// everything that is declared was compared, it may be another state's.
pub fn left_behind(
    id: &str,
    key_id: Option<&str>,
    phase: &str,
    stands: Stands<'_>,
    place: &str,
    all_declared: bool,
) -> Finding {
    let key = key_id.map(|key_id| format!(": {key_id} may work")).unwrap_or_default();
    let (rule, severity, condition) = stands.weight();
    let (severity, condition, whose, end) = match all_declared {
        true => (
            severity,
            condition,
            "begun for what nothing declares or is gone",
            format!("end it: nhi recover {id} --end"),
        ),
        false => (
            Severity::Info,
            Condition::Note,
            "begun for what is not in the given state",
            "apply where it is declared".to_owned(),
        ),
    };
    let how = stands.words();
    Finding {
        actual: format!("unfinished ({phase})"),
        severity,
        condition,
        why: format!(
            "{whose}{key}{how}; {end}; where its platform is gone, remove {place} for good"
        ),
        ..found(rule, id, "status", Verdict::Added)
    }
}

/// A document in custody of which nothing says what it is: a run died before it had, or it was lost.
pub fn begun_and_unsaid(place: &str, stands: Stands<'_>, all_declared: bool) -> Finding {
    let (rule, severity, condition) = match all_declared {
        true => stands.weight(),
        false => ("unfinished", Severity::Info, Condition::Note),
    };
    Finding {
        actual: "begun, and nothing says what for".into(),
        severity,
        condition,
        why: format!(
            "a run wrote it and was cut off, or somebody took away what stood beside it{}; nhi recover \
             names what was begun and how it ends; where it names nothing, remove {place} for good",
            stands.words()
        ),
        ..found(rule, "custody", place, Verdict::Added)
    }
}

/// A credential of ours that works, in a slot that the given state does not declare.
pub fn not_given(id: &str, key_id: &str, integration: &str) -> Finding {
    Finding {
        actual: format!("{key_id} works"),
        severity: Severity::Info,
        condition: Condition::Note,
        why: format!(
            "issued here, and not declared in the given state; where no other state has it: terraform \
             show -json | nhi revoke {integration} {key_id} --state -"
        ),
        ..found("not-in-given-states", id, "credentials", Verdict::Added)
    }
}

/// What the policy says is wrong with an integration. Stray credentials are named one by one by
/// [`compare`].
pub fn standing(id: &str, standing: &BTreeMap<&'static str, Follows>) -> Vec<Finding> {
    let problems = standing.iter().filter(|(problem, _)| **problem != "unmanaged_credentials");
    problems
        .map(|(problem, follows)| {
            let (rule, condition, severity) = match *problem {
                "expired" => ("expired", Condition::Policy, Severity::High),
                "contract_ended" => ("contract-ended", Condition::Policy, Severity::High),
                "drill_overdue" => ("drill-overdue", Condition::Policy, Severity::Medium),
                "review_overdue" => ("review-overdue", Condition::Policy, Severity::Medium),
                "marker_forged" => ("marker-forged", Condition::Policy, Severity::Critical),
                "recreated" => ("recreated", Condition::Drift, Severity::High),
                "quarantine_broken" => ("quarantine-broken", Condition::Drift, Severity::Critical),
                _ => ("standing", Condition::Policy, Severity::Medium),
            };
            Finding {
                actual: (*problem).to_owned(),
                severity,
                condition,
                why: match follows {
                    Follows::Warn => String::new(),
                    Follows::Disable => "the policy has it switched off by the next apply".into(),
                    Follows::Revoke => "the policy has it revoked by the next apply".into(),
                },
                ..found(rule, id, &format!("standing.{problem}"), Verdict::Added)
            }
        })
        .collect()
}

/// What a directory's word on an owner means; `owns` are integrations that name them.
pub fn owner(id: &str, status: &str, since: Option<&str>, owns: &[String]) -> Option<Finding> {
    let (rule, condition, severity) = match status {
        "left" => ("owner-left", Condition::Policy, Severity::High),
        "inactive" => ("owner-inactive", Condition::Drift, Severity::Medium),
        "moved" => ("owner-moved", Condition::Drift, Severity::Low),
        _ => return None,
    };
    let since = since.map(|day| format!(" since {day}")).unwrap_or_default();
    let next = if owns.is_empty() {
        "nothing that is declared here is theirs: remove this nhi_owner".to_owned()
    } else {
        format!("name another owner of {}", owns.join(", "))
    };
    Some(Finding {
        expected: "active".into(),
        actual: format!("{status}{since}"),
        severity,
        condition,
        why: next,
        ..found(rule, id, "status", Verdict::Changed)
    })
}

/// A declared integration whose record names another installation, though credentials of this one may
/// live on it.
pub fn governed_elsewhere(id: &str, here: &str, of: &str, was_ours: bool) -> Finding {
    Finding {
        expected: here.to_owned(),
        actual: of.to_owned(),
        severity: Severity::High,
        why: match was_ours {
            true => "credentials of this one live on it: it was handed over, or somebody wrote over its \
                     record",
            false => "another installation governs it; nothing else of it is compared here",
        }
        .into(),
        ..found("other-realm", id, "installation", Verdict::Changed)
    }
}

/// An integration that was taken out of service, or partly was, and is declared still; `lives` is what
/// of it works all the same.
pub fn decommissioned(id: &str, partly: bool, lives: &[String]) -> Vec<Finding> {
    let (rule, condition, severity, actual, why) = match partly {
        true => (
            "decommission-unfinished",
            Condition::Unfinished,
            Severity::High,
            "taken out of service in part",
            format!("somebody began to take it out of service: nhi decommission {id} goes on from there"),
        ),
        false => (
            "decommissioned",
            Condition::Drift,
            Severity::Medium,
            "out of service",
            "no apply gives it anything back: remove its nhi_integration, nhi_scope and nhi_credential from \
             the configuration, and apply"
                .to_owned(),
        ),
    };
    let mut all = vec![Finding {
        expected: "in service".into(),
        actual: actual.into(),
        severity,
        condition,
        why,
        ..found(rule, id, "object", Verdict::Changed)
    }];
    for one in lives.iter().filter(|_| !partly) {
        all.push(Finding {
            actual: one.clone(),
            severity: Severity::High,
            condition: Condition::Policy,
            why: format!(
                "it is out of service, and this works again: nhi decommission {id} ends it"
            ),
            ..found("decommissioned-lives", id, "object", Verdict::Added)
        });
    }
    all
}

/// A declared integration that is proven absent.
pub fn missing(id: &str) -> Finding {
    Finding {
        expected: "it exists".into(),
        severity: Severity::High,
        why: format!(
            "the next apply makes it again; where it is to stay away and no configuration names it: nhi \
             ledger forget {id} --reason \"…\""
        ),
        ..found("integration-missing", id, "object", Verdict::Missing)
    }
}

/// A ledger whose chain does not hold: what it says is declared may be what somebody wrote into it.
pub fn chain_broken(what: &str) -> Finding {
    Finding {
        expected: "as it was written".into(),
        actual: what.to_owned(),
        severity: Severity::Critical,
        condition: Condition::Policy,
        why: "nhi ledger verify says which part can be trusted".into(),
        ..found("ledger-changed", "ledger", "chain", Verdict::Changed)
    }
}

/// Clocks that disagree: what ends when its time is over waits for them.
pub fn clocks_apart(which: &str) -> Finding {
    Finding {
        expected: "clocks that agree to five minutes".into(),
        actual: which.to_owned(),
        severity: Severity::High,
        condition: Condition::Policy,
        why: "what ends when its time is over waits until they agree".into(),
        ..found("clock-disagrees", "clock", "time", Verdict::Changed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::status::{WORDS, consequence};

    fn map(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
        pairs.iter().map(|(a, b)| ((*a).to_owned(), (*b).to_owned())).collect()
    }

    #[test]
    fn what_nobody_said_is_no_drift() {
        let observed = Observed {
            settings: map(&[("token_ttl", "1h")]),
            enabled: true,
            ..Observed::default()
        };
        assert!(compare(&Declared::default(), &observed).is_empty());
    }

    #[test]
    fn each_difference_is_named_with_both_sides() {
        let declared = Declared {
            id: "bao/openbao_approle/x".into(),
            settings: Some(map(&[("token_ttl", "1h"), ("cidrs", "127.0.0.1/32")])),
            enabled: Some(true),
            ..Declared::default()
        };
        let observed = Observed {
            settings: map(&[("token_ttl", "24h")]),
            unmanaged: map(&[("k9", "")]),
            ..Observed::default()
        };
        let told: Vec<String> = compare(&declared, &observed)
            .iter()
            .map(|one| {
                format!("{}{} {}->{}", one.verdict.sign(), one.facet, one.expected, one.actual)
            })
            .collect();
        assert_eq!(
            told,
            [
                "-settings.cidrs 127.0.0.1/32->",
                "~settings.token_ttl 1h->24h",
                "~enabled active->disabled",
                "+credentials ->k9"
            ]
        );
    }

    #[test]
    fn a_stray_credential_is_drift_only_where_an_apply_ends_it() {
        let observed = Observed {
            unmanaged: map(&[("k9", "(issued 2026-11-20)")]),
            foreign: [("k8".to_owned(), ("other1".to_owned(), String::new()))].into(),
            ..Observed::default()
        };
        let said = |revoke_unmanaged: bool| {
            let declared = Declared { revoke_unmanaged, ..Declared::default() };
            let found = compare(&declared, &observed);
            found.into_iter().map(|one| (one.condition, one.why)).collect::<Vec<_>>()
        };
        let (asked, unasked) = (said(true), said(false));
        assert_eq!(asked[0], (Condition::Drift, "(issued 2026-11-20) apply ends it".to_owned()));
        assert_eq!(unasked[0].0, Condition::Policy);
        assert!(unasked[0].1.contains("adopt it or have it ended"), "{}", unasked[0].1);
        // Nobody here may end these, whatever was asked.
        assert_eq!((asked[1].0, unasked[1].0), (Condition::Policy, Condition::Policy));
    }

    fn slot_in(status: &str, active: bool) -> Vec<Finding> {
        let outlived = if status == "retire_due" { vec!["k1"] } else { Vec::new() };
        let copy =
            if matches!(status, "stale_copy" | "undelivered") { "changed" } else { "delivered" };
        slot(&SlotFacts {
            id: "bao/openbao_approle/x/credential/default",
            status,
            key_id: Some("k2"),
            sinks: vec![("app", "bao:secret/apps/x".into(), copy)],
            outlived,
            end_alone: Vec::new(),
            active,
            ..SlotFacts::default()
        })
    }

    #[test]
    fn a_slot_that_plan_would_change_is_never_in_sync_and_one_that_it_would_not_change_is() {
        for word in WORDS {
            let counts =
                |active| slot_in(word, active).iter().any(|one| one.condition > Condition::Note);
            let acts = consequence(word) != Consequence::Nothing || word == "held";
            assert_eq!(counts(true), acts, "{word}");
            let acts = consequence_for(word, false) != Consequence::Nothing || word == "held";
            assert_eq!(counts(false), acts, "{word} of what may not act");
        }
    }

    #[test]
    fn what_is_out_of_service_in_part_is_unfinished_and_what_lives_on_it_is_against_the_rules() {
        let lives = ["k1".to_owned()];
        let all = decommissioned("bao/openbao_approle/x", true, &lives);
        let [one] = &all[..] else { panic!("{all:?}") };
        assert_eq!((one.rule, one.condition), ("decommission-unfinished", Condition::Unfinished));
        assert!(one.why.contains("nhi decommission bao/openbao_approle/x"), "{}", one.why);
        let all = decommissioned("bao/openbao_approle/x", false, &lives);
        let told: Vec<_> = all.iter().map(|one| (one.rule, one.condition)).collect();
        assert_eq!(
            told,
            [("decommissioned", Condition::Drift), ("decommissioned-lives", Condition::Policy)]
        );
        assert_eq!(decommissioned("bao/openbao_approle/x", false, &[]).len(), 1);
    }

    #[test]
    fn an_overlap_that_is_over_is_unfinished_and_names_the_key() {
        let all = slot_in("retire_due", true);
        assert_eq!(all.len(), 1);
        assert_eq!((all[0].actual.as_str(), all[0].condition), ("k1", Condition::Unfinished));
    }

    #[test]
    fn an_overlap_that_is_over_hides_nothing_that_is_worse() {
        for status in ["missing", "expired", "held", "exposed", "unfinished", "overdue"] {
            let rules: Vec<&str> = slot(&SlotFacts {
                id: "bao/openbao_approle/x/credential/default",
                status,
                key_id: Some("k2"),
                outlived: vec!["k1"],
                end_alone: vec![("k1", "2026-03-01T10:00:00Z".parse().unwrap())],
                active: true,
                ..SlotFacts::default()
            })
            .iter()
            .map(|one| one.rule)
            .collect();
            let rule = if status == "missing" { "credential-missing" } else { status };
            assert_eq!(rules, [rule, "retire-due"]);
        }
    }

    #[test]
    fn a_fingerprint_tells_two_scopes_apart_and_not_two_values() {
        let scope = |text: &str| scopes("x", [(&text.to_owned(), Action::Read)], [])[0].clone();
        let print = |one: &Finding| one.fingerprint("t", "v");
        assert_ne!(print(&scope("a")), print(&scope("b")));
        let setting = |live: &str| {
            let declared =
                Declared { settings: Some(map(&[("ttl", "1h")])), ..Declared::default() };
            let observed = Observed { settings: map(&[("ttl", live)]), ..Observed::default() };
            compare(&declared, &observed)[0].clone()
        };
        assert_eq!(print(&setting("2h")), print(&setting("3h")));
        assert_ne!(print(&scope("a")), scope("a").fingerprint("other", "v"));
    }

    #[test]
    fn who_left_is_out_of_policy_and_names_what_is_left_without_an_owner() {
        let owns = ["bao/openbao_approle/x".to_owned()];
        let one = owner("owner/ann", "left", Some("2026-11-01"), &owns).unwrap();
        assert_eq!((one.condition, one.rule), (Condition::Policy, "owner-left"));
        assert!(one.why.contains("bao/openbao_approle/x"));
        assert_eq!(owner("owner/ann", "active", None, &owns), None);
        let of_nothing = owner("owner/ann", "left", None, &[]).unwrap();
        assert!(of_nothing.why.contains("remove this nhi_owner"), "{}", of_nothing.why);
    }
}
