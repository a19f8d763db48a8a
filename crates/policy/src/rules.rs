//! What our organization requires: every threshold, with a default.

use std::collections::{BTreeMap, BTreeSet};

use domain::{Action, Span};

use crate::{
    change::review::Review,
    findings::{Finding, Severity},
    task::Task,
    telling::Telling,
    waiver::Waiver,
};

/// What follows from something that is out of order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Verdict {
    /// People are told.
    Warn,
    /// The integration is switched off.
    Disable,
    /// Everything that it holds is revoked.
    Revoke,
}

impl Verdict {
    /// The word that people see.
    pub fn as_str(self) -> &'static str {
        match self {
            Verdict::Warn => "warn",
            Verdict::Disable => "disable",
            Verdict::Revoke => "revoke",
        }
    }

    /// Reads the word.
    pub fn from_word(word: &str) -> Option<Verdict> {
        [Verdict::Warn, Verdict::Disable, Verdict::Revoke]
            .into_iter()
            .find(|verdict| verdict.as_str() == word)
    }
}

/// What is said of scopes that reach over more than one thing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wildcards {
    /// Nothing.
    Allow,
    /// People are told.
    Warn,
    /// The plan is refused.
    Refuse,
}

impl Wildcards {
    /// Reads the word.
    pub fn from_word(word: &str) -> Option<Wildcards> {
        match word {
            "allow" => Some(Wildcards::Allow),
            "warn" => Some(Wildcards::Warn),
            "refuse" => Some(Wildcards::Refuse),
            _ => None,
        }
    }
}

/// From when on something is told in a look, and how much it matters.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Thresholds {
    /// The oldest that a credential may be; `None`: of any age.
    pub credential_oldest: Option<Span>,
    /// The longest that a credential may live from its issue to its end; `None`: for ever.
    pub credential_longest: Option<Span>,
    /// Each credential has an end, where its platform takes one.
    pub credential_ends: bool,
    /// How long after its last use, where that is known, a credential is dormant; `None`: never.
    pub dormant_after: Option<Span>,
    /// In how many domains of the business an integration may reach systems; `None`: in any number.
    pub domains_most: Option<u64>,
    /// How many systems it may reach; `None`: any number.
    pub systems_most: Option<u64>,
    /// How much single findings matter, by their rules' words.
    pub severity: BTreeMap<String, Severity>,
}

impl Default for Thresholds {
    fn default() -> Thresholds {
        Thresholds {
            credential_oldest: Some(Span::from_secs(365 * 86_400)),
            credential_longest: None,
            credential_ends: false,
            dormant_after: Some(Span::from_secs(90 * 86_400)),
            domains_most: Some(3),
            systems_most: None,
            severity: BTreeMap::new(),
        }
    }
}

impl Thresholds {
    /// A finding as much as it matters here.
    #[must_use]
    pub fn weighed(&self, one: Finding) -> Finding {
        match self.severity.get(one.rule) {
            Some(severity) => Finding { severity: *severity, ..one },
            None => one,
        }
    }
}

/// What whoever works between applies does by itself. What it may not do is told, with the command.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Unattended {
    /// Credentials rotate by their schedule, and what is lost or has ended is replaced.
    pub rotate: bool,
    /// What is owed on earlier credentials is done: they end, and that is shown.
    pub retire: bool,
    /// A temporary scope that is over is taken away.
    pub remove_temporary: bool,
    /// What the policy has follow of a day that is over follows: switched off, or all of it revoked.
    pub disable_expired: bool,
    /// The same where an owner has left.
    pub disable_ownerless: bool,
}

impl Default for Unattended {
    fn default() -> Unattended {
        Unattended {
            rotate: true,
            retire: true,
            remove_temporary: true,
            disable_expired: true,
            disable_ownerless: false,
        }
    }
}

/// The rules, as `policy.hcl` changes them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rules {
    /// Environments that there are; empty allows any.
    pub environments: BTreeSet<String>,
    /// Words in scopes that name an environment, in small letters, by environment.
    pub environment_words: BTreeMap<String, BTreeSet<String>>,
    /// An end is required.
    pub require_expires_on: bool,
    /// A review interval is required.
    pub require_review_every: bool,
    /// A schedule is required of credentials.
    pub require_schedule: bool,
    /// A place of logs is required.
    pub require_logs: bool,
    /// Somebody who sees to its end is required.
    pub require_offboarding_owner: bool,
    /// How fast it must be possible to stop it is required.
    pub require_stop_within: bool,
    /// The longest that may be allowed for stopping one; `None`: any time.
    pub stop_within_longest: Option<Span>,
    /// What follows when all workflows of an integration are gone.
    pub workflow_gone: Verdict,
    /// Business and technical owner must differ from this action on; `None`: never.
    pub two_owners_from: Option<Action>,
    /// How long an owner may be inactive before they count as left.
    pub owner_grace: Span,
    /// What follows when an owner has left.
    pub owner_left: Verdict,
    /// How long after an owner counts as left everything is revoked; `None`: never by itself.
    pub owner_left_revoke_after: Option<Span>,
    /// How long an integration that nobody declares, and for which nobody answers, may be there before what
    /// follows of an owner who has left follows of it; `None`: nobody looks for such.
    pub unowned_grace: Option<Span>,
    /// What follows when the end has passed.
    pub expired: Verdict,
    /// How long after the end everything is revoked; `None`: never by itself.
    pub expired_revoke_after: Option<Span>,
    /// How late a review may be before the integration is switched off; `None`: only a warning.
    pub review_grace: Option<Span>,
    /// The longest that a temporary scope may last.
    pub temporary_longest: Span,
    /// What is said of scopes that reach over more than one thing.
    pub wildcards: Wildcards,
    /// How long a claim of somebody who is silent holds.
    pub claim_ttl: Span,
    /// The same where nothing at the platform fences a late call.
    pub claim_ttl_timed: Span,
    /// The longest that a call which changes something is waited for.
    pub call_deadline: Span,
    /// How long a call may still arrive after it was sent: twice as long as it is waited for, at least.
    pub settle: Span,
    /// How long consumers may be cut off where a new secret takes the place of the old one, before that
    /// is told.
    pub interruption_max: Span,
    /// How long each run tries again to deliver to a sink that takes nothing, before a person is asked; and
    /// no longer than what the earlier credential has left, but a tenth of that.
    pub deliver_by: Span,
    /// How long an earlier credential is only switched off before it ends, where its platform can switch
    /// one off; zero: it ends at once. Never longer than its overlap was.
    pub soft_cut_for: Span,
    /// How long after an end its secret is kept where it was, as long as more may be shown with it.
    pub proof_deadline: Span,
    /// How long an earlier credential must be quiet to count as unused; `None`: half its overlap, and a
    /// day at most.
    pub quiet_for: Option<Span>,
    /// The longest that an earlier credential is kept for whoever still uses it; `None`: three times its
    /// overlap, and a week at least.
    pub overlap_max: Option<Span>,
    /// What follows then: a person is asked, or it ends.
    pub asks_when_used: bool,
    /// How long to wait for somebody else's claim.
    pub lock_timeout: Span,
    /// What somebody answers for until a day.
    pub waivers: Vec<Waiver>,
    /// What people do, because no platform can be asked for it.
    pub tasks: Vec<Task>,
    /// The shortest interval of a schedule.
    pub every_floor: Span,
    /// From when on something is told in a look.
    pub findings: Thresholds,
    /// What is done between applies, without a person.
    pub standing: Unattended,
    /// How long after what failed it is tried again for the first time; each time after that twice as
    /// long.
    pub retry_after: Span,
    /// When owners are told of what is theirs.
    pub telling: Telling,
    /// How old entries of the ledger are to be before they may be taken out into a file. None: never.
    pub keep_entries: Option<Span>,
    /// How changes are reviewed. None: nobody is asked, and what gives power is written down.
    pub review: Option<Review>,
}

impl Default for Rules {
    fn default() -> Rules {
        Rules {
            environments: BTreeSet::new(),
            environment_words: BTreeMap::new(),
            require_expires_on: false,
            require_review_every: false,
            require_schedule: false,
            require_logs: false,
            require_offboarding_owner: false,
            require_stop_within: false,
            stop_within_longest: None,
            workflow_gone: Verdict::Disable,
            two_owners_from: None,
            owner_grace: Span::from_secs(30 * 86_400),
            owner_left: Verdict::Disable,
            owner_left_revoke_after: None,
            unowned_grace: None,
            expired: Verdict::Disable,
            expired_revoke_after: None,
            review_grace: Some(Span::from_secs(30 * 86_400)),
            temporary_longest: Span::from_secs(30 * 86_400),
            wildcards: Wildcards::Allow,
            claim_ttl: Span::from_secs(120),
            claim_ttl_timed: Span::from_secs(600),
            call_deadline: Span::from_secs(30),
            settle: Span::from_secs(60),
            interruption_max: Span::from_secs(60),
            deliver_by: Span::from_secs(86_400),
            soft_cut_for: Span::from_secs(3600),
            proof_deadline: Span::from_secs(86_400),
            quiet_for: None,
            overlap_max: None,
            asks_when_used: true,
            lock_timeout: Span::from_secs(120),
            waivers: Vec::new(),
            tasks: Vec::new(),
            every_floor: Span::from_secs(15 * 60),
            findings: Thresholds::default(),
            standing: Unattended::default(),
            retry_after: Span::from_secs(60),
            telling: Telling::default(),
            keep_entries: None,
            review: None,
        }
    }
}

impl Rules {
    /// How long a claim of somebody who is silent holds.
    pub fn claim_ttl_of(&self, timed: bool) -> Span {
        if timed { self.claim_ttl_timed.max(self.claim_ttl) } else { self.claim_ttl }
    }

    /// With the floors of a demonstration: seconds in place of minutes.
    #[must_use]
    pub fn for_demo(self) -> Rules {
        let seconds = Span::from_secs;
        Rules {
            every_floor: seconds(5),
            retry_after: seconds(2),
            claim_ttl: self.claim_ttl.min(seconds(10)),
            claim_ttl_timed: self.claim_ttl_timed.min(seconds(15)),
            // All is on this machine then, where what was sent arrives at once or never.
            call_deadline: self.call_deadline.min(seconds(10)),
            settle: self.settle.min(seconds(4)),
            interruption_max: self.interruption_max.min(seconds(30)),
            soft_cut_for: self.soft_cut_for.min(seconds(5)),
            // Nobody waits for a day to see that a person is asked.
            deliver_by: self.deliver_by.min(seconds(20)),
            lock_timeout: self.lock_timeout.min(seconds(30)),
            ..self
        }
    }
}
