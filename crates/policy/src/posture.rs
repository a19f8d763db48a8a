//! Posture: the figures that are published for whole industries, for this installation, each with what
//! it is a part of. What is not known is counted by itself, and never as good or as bad.

use std::collections::BTreeSet;

/// One integration, as a look saw it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Seen {
    /// Its id.
    pub id: String,
    /// It is declared here.
    pub declared: bool,
    /// It and all of its parts were read.
    pub whole: bool,
    /// Its vendor runs it: nothing of it can be read, and what is declared is all that is known.
    pub third_party: bool,
    /// The way to stop what a vendor runs was tried, on a day that is declared.
    pub stop_tried: bool,
    /// The rules that are open on it and what hangs below it.
    pub rules: BTreeSet<&'static str>,
    /// Its credentials: those with a slot, and those that nobody declared.
    pub credentials: Vec<SeenCredential>,
}

/// One credential of it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SeenCredential {
    /// A slot is declared for it.
    pub declared: bool,
    /// It was read.
    pub read: bool,
    /// The rules that are open on it.
    pub rules: BTreeSet<&'static str>,
}

/// A figure: how many of how many, and of how many it is not known.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Figure {
    /// Its name, for programs.
    pub name: &'static str,
    /// What it counts, in words.
    pub counts: &'static str,
    /// What it is a part of, in words.
    pub of: &'static str,
    /// How many are so.
    pub yes: usize,
    /// How many are not.
    pub no: usize,
    /// Of how many it is not known.
    pub unknown: usize,
    /// What was published, in words.
    pub quoted: &'static str,
    /// The rows of `docs/requirements.md` that it answers.
    pub rows: &'static [u16],
}

impl Figure {
    /// How many there are in all.
    pub fn all(&self) -> usize {
        self.yes + self.no + self.unknown
    }

    /// How many of those that are known are so, in tenths of a percent; `None` where nothing is known.
    pub fn per_mille(&self) -> Option<usize> {
        (self.yes * 1000 + (self.yes + self.no) / 2).checked_div(self.yes + self.no)
    }
}

/// Rules that say that more is held than was declared, named or allowed.
const EXCESS: [&str; 6] = [
    "environment-crossed",
    "scope-above-ceiling",
    "scope-added",
    "scope-outlived",
    "scope-unused",
    "scope-wildcard",
];

/// Rules that say that who answers for it, or what it is for, is not known.
const UNSAID: [&str; 5] = [
    "adoption-overdue",
    "credential-unmanaged",
    "owner-left",
    "owner-missing",
    "purpose-says-nothing",
];

/// Rules that say that a credential did not rotate in time, or that nothing makes it.
const LATE: [&str; 5] = ["credential-old", "expired", "overdue", "schedule-missing", "unfinished"];

/// Rules that say that nothing leads to its end, or that the way was not tried.
const NO_WAY_OUT: [&str; 5] =
    ["contract-ended", "drill-overdue", "end-missing", "owner-left", "owner-missing"];

/// Rules that say that somebody else may hold it, or that it did what it should not.
const SUSPECTED: [&str; 6] = [
    "anomaly",
    "exposed",
    "incident",
    "marker-forged",
    "revoked-credential-returned",
    "same-secret",
];

fn any(rules: &BTreeSet<&'static str>, of: &[&str]) -> bool {
    of.iter().any(|rule| rules.contains(rule))
}

/// Yes, no, or nobody knows.
type Told = Option<bool>;

fn counted(mut figure: Figure, told: impl Iterator<Item = Told>) -> Figure {
    for one in told {
        match one {
            Some(true) => figure.yes += 1,
            Some(false) => figure.no += 1,
            None => figure.unknown += 1,
        }
    }
    figure
}

fn figure(name: &'static str, counts: &'static str, of: &'static str) -> Figure {
    Figure { name, counts, of, yes: 0, no: 0, unknown: 0, quoted: "", rows: &[] }
}

/// Whether an integration is seen whole, and somebody answers for it.
fn is_visible(one: &Seen) -> Told {
    match (one.declared, one.whole) {
        (false, _) => Some(false),
        (true, false) => None,
        (true, true) => Some(!any(&one.rules, &UNSAID)),
    }
}

/// Whether it holds more than was declared or allowed. What nobody declared holds what nobody allowed,
/// and whether it needs that is not known.
fn has_excess(one: &Seen) -> Told {
    match (any(&one.rules, &EXCESS), one.declared && one.whole && !one.third_party) {
        (true, _) => Some(true),
        (false, true) => Some(false),
        (false, false) => None,
    }
}

fn rotates_in_time(one: &SeenCredential) -> Told {
    match (one.declared, any(&one.rules, &LATE), one.read) {
        (false, ..) | (_, true, _) => Some(false),
        (true, false, true) => Some(true),
        (true, false, false) => None,
    }
}

/// Whether something leads to its end: a day or a review, and somebody who answers for it; of what a vendor
/// runs, a way to stop it that was tried.
fn has_way_out(one: &Seen) -> Told {
    if !one.declared {
        return Some(false);
    }
    if any(&one.rules, &NO_WAY_OUT) || (one.third_party && !one.stop_tried) {
        // Either says when somebody asks whether it is to live on.
        let asked = one.rules.contains("end-missing") && !one.rules.contains("review-missing");
        let rest: Vec<&str> =
            NO_WAY_OUT.into_iter().filter(|rule| *rule != "end-missing").collect();
        return match asked && !any(&one.rules, &rest) && !one.third_party {
            true => one.whole.then_some(true),
            false => Some(false),
        };
    }
    one.whole.then_some(true)
}

fn is_suspected(one: &Seen, of_late: &BTreeSet<String>) -> Told {
    match (any(&one.rules, &SUSPECTED) || of_late.contains(&one.id), one.whole && one.declared) {
        (true, _) => Some(true),
        (false, true) => Some(false),
        (false, false) => None,
    }
}

/// All figures. `of_late`: the integrations of which the journal says that they were exposed or in an
/// incident within the year. `ends`: for each connection in use, whether an end was shown on it within the
/// year.
pub fn figures(all: &[Seen], of_late: &BTreeSet<String>, ends: &[bool]) -> Vec<Figure> {
    let credentials = || all.iter().flat_map(|one| &one.credentials);
    vec![
        counted(
            Figure {
                quoted: "5.7% of organizations have full visibility of their service accounts",
                rows: &[29, 277],
                ..figure(
                    "visibility",
                    "are declared, read to the last part, and have a purpose and owners who are there",
                    "integrations that connections list or that are declared",
                )
            },
            all.iter().map(is_visible),
        ),
        counted(
            Figure {
                quoted: "97% of non-human identities have more than they need",
                rows: &[98, 277],
                ..figure(
                    "excess",
                    "hold a scope that is a wildcard, nobody declared, is over, or is above what it may be",
                    "integrations that connections list or that are declared",
                )
            },
            all.iter().map(has_excess),
        ),
        counted(
            Figure {
                quoted: "45% of organizations name lacking rotation as the first cause of attacks",
                rows: &[124, 277],
                ..figure(
                    "rotated_on_time",
                    "have a schedule and are not late by it",
                    "credentials: those that are declared, and live ones that nobody declared",
                )
            },
            credentials().map(rotates_in_time),
        ),
        counted(
            Figure {
                quoted: "20% of organizations have formal processes to revoke keys",
                rows: &[201, 277],
                ..figure(
                    "revocation_path",
                    "have an end or a review, and an owner; or, where a vendor runs it, a way to stop it \
                     that was tried",
                    "integrations that connections list or that are declared",
                )
            },
            all.iter().map(has_way_out),
        ),
        counted(
            Figure {
                quoted: "20% of organizations have formal processes to revoke keys",
                rows: &[201, 277],
                ..figure(
                    "revocation_shown",
                    "had an end within the year that was shown by a refused sign-in or a listing",
                    "connections on which something is declared",
                )
            },
            ends.iter().map(|shown| Some(*shown)),
        ),
        counted(
            Figure {
                quoted: "72% of organizations had or suspect a breach of such an identity",
                rows: &[277],
                ..figure(
                    "suspected_breach",
                    "are exposed, bear a forged mark, came back after their end, or were in an incident \
                     within the year",
                    "integrations that connections list or that are declared",
                )
            },
            all.iter().map(|one| is_suspected(one, of_late)),
        ),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seen(id: &str, rules: &[&'static str]) -> Seen {
        Seen {
            id: id.into(),
            declared: true,
            whole: true,
            rules: rules.iter().copied().collect(),
            credentials: vec![SeenCredential {
                declared: true,
                read: true,
                rules: rules.iter().copied().collect(),
            }],
            ..Seen::default()
        }
    }

    /// Name, yes, no, unknown.
    fn counts(all: &[Seen]) -> Vec<(&'static str, [usize; 3])> {
        let figures = figures(all, &BTreeSet::new(), &[true, false]);
        figures.iter().map(|one| (one.name, [one.yes, one.no, one.unknown])).collect()
    }

    #[test]
    fn what_is_in_order_is_counted_so() {
        assert_eq!(
            counts(&[seen("a", &[])]),
            [
                ("visibility", [1, 0, 0]),
                ("excess", [0, 1, 0]),
                ("rotated_on_time", [1, 0, 0]),
                ("revocation_path", [1, 0, 0]),
                ("revocation_shown", [1, 1, 0]),
                ("suspected_breach", [0, 1, 0]),
            ]
        );
    }

    #[test]
    fn what_was_not_read_is_neither_good_nor_bad() {
        let unread = Seen {
            whole: false,
            credentials: vec![SeenCredential { declared: true, ..SeenCredential::default() }],
            ..seen("a", &[])
        };
        for (name, told) in counts(&[unread]) {
            let expected = if name == "revocation_shown" { [1, 1, 0] } else { [0, 0, 1] };
            assert_eq!(told, expected, "{name}");
        }
    }

    #[test]
    fn what_nobody_declared_is_seen_by_nobody_and_its_need_is_not_known() {
        let stray = Seen {
            declared: false,
            credentials: vec![SeenCredential { read: true, ..SeenCredential::default() }],
            ..seen("a", &[])
        };
        let told = counts(&[stray]);
        assert_eq!(told[0].1, [0, 1, 0]);
        assert_eq!(told[1].1, [0, 0, 1]);
        assert_eq!(told[2].1, [0, 1, 0]);
        assert_eq!(told[3].1, [0, 1, 0]);
        assert_eq!(told[5].1, [0, 0, 1]);
    }

    #[test]
    fn each_rule_moves_its_own_figure() {
        for (rule, at, expected) in [
            ("owner-missing", 0, [0, 1, 0]),
            ("scope-wildcard", 1, [1, 0, 0]),
            ("overdue", 2, [0, 1, 0]),
            ("schedule-missing", 2, [0, 1, 0]),
            ("owner-left", 3, [0, 1, 0]),
            ("exposed", 5, [1, 0, 0]),
        ] {
            assert_eq!(counts(&[seen("a", &[rule])])[at].1, expected, "{rule}");
        }
        // A review asks the same question as an end.
        assert_eq!(counts(&[seen("a", &["end-missing"])])[3].1, [1, 0, 0]);
        assert_eq!(counts(&[seen("a", &["end-missing", "review-missing"])])[3].1, [0, 1, 0]);
    }

    #[test]
    fn what_a_vendor_runs_can_be_ended_where_that_was_tried() {
        let vendor = |tried| Seen { third_party: true, stop_tried: tried, ..seen("v", &[]) };
        assert_eq!(counts(&[vendor(true)])[3].1, [1, 0, 0]);
        assert_eq!(counts(&[vendor(false)])[3].1, [0, 1, 0]);
        assert_eq!(counts(&[vendor(true)])[1].1, [0, 0, 1], "nothing of its scopes is known");
    }

    #[test]
    fn a_part_of_nothing_has_no_percentage() {
        let none = figures(&[], &BTreeSet::new(), &[]);
        assert!(none.iter().all(|one| one.all() == 0 && one.per_mille().is_none()));
        let third = Figure { yes: 1, no: 2, unknown: 9, ..figure("a", "b", "c") };
        assert_eq!((third.per_mille(), third.all()), (Some(333), 12));
    }

    #[test]
    fn what_was_in_an_incident_within_the_year_is_counted() {
        let of_late = BTreeSet::from(["a".to_owned()]);
        let told = figures(&[seen("a", &[]), seen("b", &[])], &of_late, &[]);
        assert_eq!((told[5].yes, told[5].no), (1, 1));
    }
}
