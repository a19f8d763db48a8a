//! Which controls of published standards a check answers, by their current ids.

/// Each control, and the checks that give evidence of it: one by its id, or all of a group by its
/// letters.
const CONTROLS: &[(&str, &[&str])] = &[
    (
        "OWASP NHI1:2025 Improper Offboarding",
        &["OFF01", "OFF02", "OFF04", "OWN04", "OWN06", "INV03", "PUR05"],
    ),
    ("OWASP NHI2:2025 Secret Leakage", &["CRD07", "CRD08", "CRD09"]),
    ("OWASP NHI3:2025 Vulnerable Third-Party NHI", &["TPR"]),
    ("OWASP NHI4:2025 Insecure Authentication", &["CRD14", "SCP09"]),
    ("OWASP NHI5:2025 Overprivileged NHI", &["SCP", "INV06"]),
    ("OWASP NHI7:2025 Long-Lived Secrets", &["CRD01", "CRD02", "CRD03", "CRD04", "CRD10"]),
    ("OWASP NHI8:2025 Environment Isolation", &["CRD06", "ENV01"]),
    ("OWASP NHI9:2025 NHI Reuse", &["CRD05", "PUR02"]),
    (
        "NIST CSF 2.0 PR.AA-01",
        &["INV05", "CRD01", "CRD02", "CRD03", "CRD04", "CRD05", "CRD07", "OWN01", "OWN02"],
    ),
    ("NIST CSF 2.0 PR.AA-05", &["SCP", "REV"]),
    ("NIST CSF 2.0 ID.AM-02", &["INV01", "INV02", "INV03", "INV04"]),
    ("NIST CSF 2.0 ID.AM-05", &["INV06"]),
    ("NIST CSF 2.0 ID.AM-08", &["LIF01"]),
    ("NIST CSF 2.0 PR.PS-01", &["SCP01"]),
    ("NIST CSF 2.0 DE.CM-09", &["MON04"]),
    ("NIST CSF 2.0 RS.MI-02", &["OFF04", "OFF05"]),
    ("NIST CSF 2.0 GV.SC-05", &["TPR"]),
    ("NIST CSF 2.0 GV.RR-02", &["OWN"]),
    ("NIST SP 800-207 tenet 1", &["INV01"]),
    ("NIST SP 800-207 tenet 5", &["MON04"]),
    ("PCI DSS 4.0.1 7.2.5", &["SCP", "PUR02"]),
    ("PCI DSS 4.0.1 7.2.5.1", &["REV01", "OWN05"]),
    ("PCI DSS 4.0.1 8.2.2", &["CRD05"]),
    ("PCI DSS 4.0.1 8.2.6", &["OFF01"]),
    ("PCI DSS 4.0.1 8.6.2", &["CRD08"]),
    ("PCI DSS 4.0.1 8.6.3", &["CRD01", "CRD09"]),
    ("PCI DSS 4.0.1 6.5.3", &["ENV01", "CRD06"]),
    ("PCI DSS 4.0.1 10.3.4", &["LOG03"]),
    ("PCI DSS 4.0.1 12.8.1", &["TPR01", "TPR02"]),
    ("SOC 2 CC6.1", &["INV05", "OFF04"]),
    ("SOC 2 CC6.2", &["REV01"]),
    ("SOC 2 CC6.3", &["SCP01"]),
    ("SOC 2 CC6.8", &["SCP01"]),
    ("SOC 2 CC7.1", &["INV01", "SCP04"]),
    ("SOC 2 CC9.2", &["TPR"]),
    ("ISO/IEC 27001:2022 A.5.9", &["INV"]),
    ("ISO/IEC 27001:2022 A.5.15", &["SCP"]),
    ("ISO/IEC 27001:2022 A.5.16", &["INV05", "OWN"]),
    ("ISO/IEC 27001:2022 A.5.17", &["CRD"]),
    ("ISO/IEC 27001:2022 A.5.18", &["REV", "OFF"]),
    ("ISO/IEC 27001:2022 A.5.19", &["TPR"]),
    ("ISO/IEC 27001:2022 A.5.33", &["LOG03"]),
    ("ISO/IEC 27001:2022 A.8.2", &["INV06"]),
    ("ISO/IEC 27001:2022 A.8.18", &["BRK", "MET01"]),
    ("ISO/IEC 27001:2022 A.8.31", &["ENV01", "CRD06"]),
    ("NIST SP 800-53 AC-2(2)", &["BRK"]),
    ("NIST SP 800-53 AC-2(3)", &["OWN04", "OFF01"]),
    ("NIST AI RMF GOVERN 1.7", &["OFF"]),
    ("NIST AI RMF MAP 1.1", &["PUR01"]),
    ("NIST AI RMF MEASURE 3.1", &["SCP04"]),
];

/// The controls that any of these checks gives evidence of.
pub(super) fn of(checks: &[&str]) -> Vec<&'static str> {
    let answers =
        |all: &[&str]| all.iter().any(|group| checks.iter().any(|check| check.starts_with(group)));
    CONTROLS.iter().filter(|(_, all)| answers(all)).map(|(control, _)| *control).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_check_answers_its_group_and_what_names_it() {
        assert_eq!(
            of(&["OFF01"]),
            [
                "OWASP NHI1:2025 Improper Offboarding",
                "PCI DSS 4.0.1 8.2.6",
                "ISO/IEC 27001:2022 A.5.18",
                "NIST SP 800-53 AC-2(3)",
                "NIST AI RMF GOVERN 1.7"
            ]
        );
        assert!(of(&[]).is_empty());
        assert!(of(&["SCP04"]).contains(&"OWASP NHI5:2025 Overprivileged NHI"));
        let inventory = of(&["INV01"]);
        assert!(inventory.contains(&"NIST CSF 2.0 ID.AM-02"), "{inventory:?}");
        assert!(inventory.contains(&"NIST SP 800-207 tenet 1"), "{inventory:?}");
        assert!(of(&["CRD01"]).contains(&"PCI DSS 4.0.1 8.6.3"));
    }
}
