//! What auditors ask, which entries answer it, and the controls of published standards that it is
//! evidence for, by their current ids.

use std::collections::BTreeMap;

use serde_json::{Value, json};

struct Question {
    asks: &'static str,
    /// Kinds of entries that answer it; a word also means what stands below it. Empty: the chain itself.
    kinds: &'static [&'static str],
    controls: &'static [&'static str],
}

const QUESTIONS: &[Question] = &[
    Question {
        asks: "Who allowed it?",
        kinds: &["change.authorized"],
        controls: &[
            "NIST SP 800-53 CM-3",
            "NIST SP 800-53 AC-5",
            "NIST CSF 2.0 ID.RA-07",
            "NIST CSF 2.0 PR.AA-05",
            "NIST SP 800-207 tenet 6",
            "NIST AI RMF MANAGE 4.1",
            "CSA MAESTRO L6 Security and Compliance",
            "PCI DSS 4.0.1 6.5.1",
            "PCI DSS 4.0.1 7.2.3",
            "ISO/IEC 27001:2022 A.5.3",
            "ISO/IEC 27001:2022 A.8.32",
            "SOC 2 CC8.1",
        ],
    },
    Question {
        asks: "What triggered it, and what was done to which object?",
        kinds: &["attempt", "rotation", "scopes", "change.done", "integration"],
        controls: &[
            "NIST SP 800-53 AU-3",
            "NIST SP 800-53 AU-12",
            "NIST CSF 2.0 PR.PS-04",
            "NIST SP 800-207 tenet 7",
            "NIST AI RMF MEASURE 2.4",
            "CSA MAESTRO L5 Evaluation and Observability",
            "PCI DSS 4.0.1 10.2.1.2",
            "PCI DSS 4.0.1 10.2.1.5",
            "ISO/IEC 27001:2022 A.8.15",
            "SOC 2 CC7.2",
        ],
    },
    Question {
        asks: "How is it shown that a credential has ended?",
        kinds: &["rotation.proven", "credential.revoked", "probe"],
        controls: &[
            "OWASP NHI1:2025 Improper Offboarding",
            "OWASP NHI7:2025 Long-Lived Secrets",
            "NIST SP 800-53 IA-5",
            "NIST SP 800-53 AC-2(3)",
            "NIST CSF 2.0 PR.AA-01",
            "NIST CSF 2.0 RS.MI-02",
            "NIST AI RMF MANAGE 2.4",
            "PCI DSS 4.0.1 8.6.3",
            "ISO/IEC 27001:2022 A.5.17",
            "ISO/IEC 27001:2022 A.5.18",
            "SOC 2 CC6.1",
        ],
    },
    Question {
        asks: "When was it last reviewed, and by whom?",
        kinds: &["review.concluded"],
        controls: &[
            "OWASP NHI5:2025 Overprivileged NHI",
            "NIST SP 800-53 AC-2",
            "NIST SP 800-53 AC-6(7)",
            "NIST CSF 2.0 PR.AA-05",
            "PCI DSS 4.0.1 7.2.5.1",
            "ISO/IEC 27001:2022 A.5.18",
            "SOC 2 CC6.2",
            "SOC 2 CC6.3",
        ],
    },
    Question {
        asks: "Who answers for it?",
        kinds: &["declared"],
        controls: &[
            "NIST SP 800-53 AC-2",
            "NIST CSF 2.0 GV.RR-02",
            "NIST AI RMF GOVERN 2.1",
            "ISO/IEC 27001:2022 A.5.9",
            "ISO/IEC 27001:2022 A.5.16",
            "SOC 2 CC6.1",
        ],
    },
    Question {
        asks: "Can somebody have changed the history?",
        kinds: &[],
        controls: &[
            "NIST SP 800-53 AU-9(3)",
            "NIST SP 800-53 AU-10",
            "PCI DSS 4.0.1 10.3.4",
            "ISO/IEC 27001:2022 A.5.28",
            "ISO/IEC 27001:2022 A.5.33",
        ],
    },
];

/// Each question, how many entries answer it, and what it is evidence for.
pub(crate) fn answered(kinds: &BTreeMap<String, u64>) -> Value {
    let all = QUESTIONS.iter().map(|one| {
        let mine = kinds.iter().filter(|(kind, _)| {
            one.kinds.is_empty()
                || one.kinds.iter().any(|word| {
                    kind.strip_prefix(word)
                        .is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
                })
        });
        let entries: u64 = mine.map(|(_, count)| count).sum();
        json!({ "asks": one.asks, "entries": entries, "controls": one.controls })
    });
    all.collect::<Vec<_>>().into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_question_is_answered_by_entries_of_its_kinds_and_every_standard_is_asked_for() {
        let kinds =
            BTreeMap::from([("rotation.proven".to_owned(), 2), ("rotationx".to_owned(), 5)]);
        let all = answered(&kinds);
        let of = |asks: &str| {
            let all = all.as_array().unwrap();
            all.iter().find(|one| one["asks"] == asks).unwrap()["entries"].as_u64()
        };
        assert_eq!(of("How is it shown that a credential has ended?"), Some(2));
        assert_eq!(of("Who allowed it?"), Some(0));
        assert_eq!(of("Can somebody have changed the history?"), Some(7));
        let text = all.to_string();
        for standard in [
            "OWASP NHI",
            "NIST CSF 2.0",
            "NIST SP 800-53",
            "NIST SP 800-207",
            "NIST AI RMF",
            "CSA MAESTRO",
            "PCI DSS 4.0.1",
            "ISO/IEC 27001:2022",
            "SOC 2",
        ] {
            assert!(text.contains(standard), "{standard}");
        }
    }

    #[test]
    fn every_kind_that_answers_is_one_that_is_written() {
        for word in QUESTIONS.iter().flat_map(|one| one.kinds) {
            let is = |kind: &&str| *kind == *word || kind.starts_with(&format!("{word}."));
            // The gate's kinds come with the gate.
            let known = ledger::KINDS.iter().any(is) || word.starts_with("change.");
            assert!(known, "{word}");
        }
    }
}
