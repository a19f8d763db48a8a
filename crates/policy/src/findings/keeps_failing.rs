//! `keeps-failing`: a deed between applies, or a look, fails again and again.

use jiff::Timestamp;

use super::{Condition, Finding, Rule, Severity, Verdict, found};

/// The rule.
pub(super) static RULE: Rule = Rule {
    alias: "keeps-failing",
    checks: &[],
    title: "Something fails again and again",
    means: "Whoever works between applies tried the same thing three times at least, and it was not done; or \
        something could not be looked at for a day. It is tried later each time, an hour later at most, and \
        matters more the longer it lasts.",
    cause: "The platform refuses it, a sink takes nothing, or a connection does not answer.",
    remedy: "`nhi ledger show ID --kind obligation.failed` says how it ended each time; put that right, and \
        `nhi reconcile ID` tries it at once.",
    severity: Severity::Low,
    condition: Condition::Unfinished,
    rows: &[],
    waivable: true,
};

/// How often something fails before it is told.
const TIMES: u64 = 3;
/// How long something may not be looked at before it is told, and what lasts so long matters more.
const DAY: i64 = 86_400;

/// What fails, as the ledger has it.
#[derive(Debug, Clone, Copy)]
pub struct Failing<'a> {
    /// What it is about.
    pub subject: &'a str,
    /// The deed, or `look`.
    pub deed: &'a str,
    /// How often it failed in a row.
    pub times: u64,
    /// Since when it is open.
    pub since: Timestamp,
}

/// Something that keeps failing; nothing where it does not yet.
pub fn keeps_failing(one: &Failing<'_>, now: Timestamp) -> Option<Finding> {
    let age = now.as_second() - one.since.as_second();
    let unseen = one.deed == "look";
    if (unseen && age < DAY) || (!unseen && one.times < TIMES) {
        return None;
    }
    let severity = match age / DAY {
        ..1 => Severity::Low,
        1..7 => Severity::Medium,
        _ => Severity::High,
    };
    let times = if unseen { String::new() } else { format!(", {} times in a row", one.times) };
    let since = one.since.strftime("%Y-%m-%dT%H:%M:%SZ");
    let kind = if unseen { "obligation" } else { "obligation.failed" };
    Some(Finding {
        severity,
        expected: format!("{} is done", one.deed),
        actual: format!("it is not, since {since}{times}"),
        why: format!("nhi ledger show {} --kind {kind}", one.subject),
        ..found(&RULE, one.subject, &format!("tries.{}", one.deed), Verdict::Changed)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_keeps_failing_matters_more_the_longer_it_lasts() {
        let since = Timestamp::UNIX_EPOCH;
        let told = |deed, times, seconds| {
            let now = Timestamp::from_second(seconds).unwrap();
            let one = Failing { subject: "bao/a/b", deed, times, since };
            keeps_failing(&one, now).map(|one| one.severity)
        };
        assert_eq!(told("rotate", 2, 600), None, "it is tried again first");
        assert_eq!(told("rotate", 3, 600), Some(Severity::Low));
        assert_eq!(told("rotate", 9, DAY), Some(Severity::Medium));
        assert_eq!(told("rotate", 99, 7 * DAY), Some(Severity::High));
        assert_eq!(told("look", 0, DAY - 1), None);
        assert_eq!(told("look", 0, DAY), Some(Severity::Medium));
    }

    #[test]
    fn it_stays_the_same_finding_while_it_lasts() {
        let print = |times, seconds| {
            let now = Timestamp::from_second(seconds).unwrap();
            let one =
                Failing { subject: "bao/a/b", deed: "rotate", times, since: Timestamp::UNIX_EPOCH };
            keeps_failing(&one, now).unwrap().fingerprint("", "bao/a/b")
        };
        assert_eq!(print(3, 600), print(40, 30 * DAY));
    }
}
