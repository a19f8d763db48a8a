//! Ids of standards as older texts cite them, and what they are called today: one row each, so that
//! whoever searches for either finds the other.

/// An id as it is cited, and what it is today.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cited {
    /// As it is cited.
    pub cited: &'static str,
    /// What a text that cites it means by it, where that differs.
    pub about: &'static str,
    /// The ids of today, as [`crate::findings::Rule::standards`] has them; none where nothing replaced it.
    pub today: &'static [&'static str],
    /// Where that is said.
    pub source: &'static str,
}

/// CSF 2.0 itself says where each id that it withdraws went.
const CSF: &str = "NIST CSF 2.0 (2024), what it says of each id that it withdraws";
/// OWASP's list of 2025 has neither these ids nor this form of them: what each text says it covers leads to
/// the entries of the list.
const OWASP: &str =
    "OWASP Non-Human Identities Top 10 2025, by what the citing text says it covers";

/// Every row.
pub const CITED: &[Cited] = &[
    Cited {
        cited: "OWASP NHI-01",
        about: "excessive privilege and secret sprawl",
        today: &[
            "OWASP NHI5:2025 Overprivileged NHI",
            "OWASP NHI2:2025 Secret Leakage",
            "OWASP NHI1:2025 Improper Offboarding",
        ],
        source: OWASP,
    },
    Cited {
        cited: "OWASP NHI-02",
        about: "secret exposure and too much power",
        today: &["OWASP NHI2:2025 Secret Leakage", "OWASP NHI5:2025 Overprivileged NHI"],
        source: OWASP,
    },
    Cited {
        cited: "OWASP NHI-03",
        about: "rotation, revocation, scope and ownership of tokens and service accounts",
        today: &[
            "OWASP NHI7:2025 Long-Lived Secrets",
            "OWASP NHI1:2025 Improper Offboarding",
            "OWASP NHI5:2025 Overprivileged NHI",
        ],
        source: OWASP,
    },
    Cited {
        cited: "NIST CSF 1.1 PR.AC-1",
        about: "identities and credentials are managed",
        today: &["NIST CSF 2.0 PR.AA-01", "NIST CSF 2.0 PR.AA-05"],
        source: CSF,
    },
    Cited {
        cited: "NIST CSF 1.1 PR.AC-2",
        about: "physical access",
        today: &["NIST CSF 2.0 PR.AA-06"],
        source: CSF,
    },
    Cited {
        cited: "NIST CSF 1.1 PR.AC-3",
        about: "remote access",
        today: &["NIST CSF 2.0 PR.AA-03", "NIST CSF 2.0 PR.AA-05", "NIST CSF 2.0 PR.IR-01"],
        source: CSF,
    },
    Cited {
        cited: "NIST CSF 1.1 PR.AC-4",
        about: "least privilege and separation of duties",
        today: &["NIST CSF 2.0 PR.AA-05"],
        source: CSF,
    },
    Cited {
        cited: "NIST CSF 1.1 PR.AC-5",
        about: "network integrity",
        today: &["NIST CSF 2.0 PR.IR-01"],
        source: CSF,
    },
    Cited {
        cited: "NIST CSF 1.1 PR.AC-6",
        about: "identities are proofed and bound to credentials",
        today: &["NIST CSF 2.0 PR.AA-02"],
        source: CSF,
    },
    Cited {
        cited: "NIST CSF 1.1 PR.AC-7",
        about: "users, devices and assets are authenticated",
        today: &["NIST CSF 2.0 PR.AA-03"],
        source: CSF,
    },
    Cited {
        cited: "NIST CSF 1.1 ID.AM-6",
        about: "roles and responsibilities",
        today: &["NIST CSF 2.0 GV.RR-02", "NIST CSF 2.0 GV.SC-02"],
        source: CSF,
    },
];

/// The rows that a word means, however it is written: `NHI-03`, `NHI03`, `pr.ac-4`, `CSF PR.AC-4`.
pub fn resolve(word: &str) -> Vec<&'static Cited> {
    let plain = |text: &str| -> String {
        let all = text.chars().filter(char::is_ascii_alphanumeric);
        all.map(|one| one.to_ascii_uppercase()).collect()
    };
    // What stands last is the id; before it are names of the standard.
    let id = |text: &str| {
        let last = plain(text.rsplit(' ').next().unwrap_or(text));
        // With or without a leading zero.
        match last.rsplit_once('0') {
            Some((begin, end)) if end.len() == 1 && !begin.is_empty() => format!("{begin}{end}"),
            _ => last,
        }
    };
    let wanted = id(word);
    CITED.iter().filter(|one| !wanted.is_empty() && id(one.cited) == wanted).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::findings::RULES;

    #[test]
    fn an_older_id_leads_to_those_of_today_however_it_is_written() {
        for word in ["NHI-03", "nhi-03", "NHI03", "NHI-3", "OWASP NHI-03"] {
            let found = resolve(word);
            assert_eq!(found.len(), 1, "{word}");
            assert_eq!(found[0].today[0], "OWASP NHI7:2025 Long-Lived Secrets", "{word}");
        }
        for word in ["PR.AC-4", "pr.ac-4", "NIST CSF 1.1 PR.AC-4", "PRAC4"] {
            assert_eq!(resolve(word)[0].today, ["NIST CSF 2.0 PR.AA-05"], "{word}");
        }
        for word in ["", "NHI3:2025", "PR.AA-05", "AC-4", "scope-added"] {
            assert_eq!(resolve(word), [] as [&Cited; 0], "{word}");
        }
    }

    #[test]
    fn what_owasp_calls_it_today_is_what_findings_call_it() {
        let known: Vec<&str> = RULES.iter().flat_map(|rule| rule.standards()).collect();
        for today in CITED.iter().flat_map(|one| one.today).filter(|one| one.starts_with("OWASP")) {
            assert!(known.contains(today), "{today}");
        }
        // And each row says where it is from.
        assert!(CITED.iter().all(|one| !one.source.is_empty() && !one.about.is_empty()));
    }
}
