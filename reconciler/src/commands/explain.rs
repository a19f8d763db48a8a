//! `nhi explain`: what a finding means, where it comes from, and what helps.

use clap::Args;
use operations::Problem;
use policy::findings::{RULES, Rule, named};
use serde_json::{Value, json};

use crate::{
    exit::Exit,
    output::{BOLD, DIM, Format, Output, styled},
};

/// Say what a finding of `nhi drift` means, where it comes from and what helps.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  nhi explain                    every rule that there is
  nhi explain scope-added
  nhi explain OWN04              all rules that answer one check
  nhi explain --format json")]
pub(crate) struct Explain {
    /// A rule by the word in the report, or a check; all of them in a line each, unless set.
    rule: Option<String>,

    /// Text or JSON.
    #[arg(long, value_enum, default_value_t = Format::Text)]
    pub(crate) format: Format,
}

impl Explain {
    pub(crate) fn run(self, output: &Output) -> Result<Exit, Problem> {
        let rules = match &self.rule {
            None => RULES.to_vec(),
            Some(word) => found(word)?,
        };
        match (self.format, self.rule) {
            (Format::Json, _) => output.line(&report(&rules).to_string()),
            (Format::Text, None) => {
                rules.iter().for_each(|rule| output.line(&line(rule)));
                output.hint("nhi explain RULE says what helps.");
            }
            (Format::Text, Some(_)) => {
                let texts: Vec<String> = rules.iter().map(|rule| text(rule)).collect();
                output.line(&texts.join("\n\n"));
            }
        }
        Ok(Exit::Clean)
    }
}

fn found(word: &str) -> Result<Vec<&'static Rule>, Problem> {
    let rules = named(word);
    if !rules.is_empty() {
        return Ok(rules);
    }
    let parts: Vec<&str> = word.split('-').collect();
    let near = RULES.iter().filter(|rule| parts.iter().any(|part| rule.alias.contains(part)));
    let near: Vec<&str> = near.map(|rule| rule.alias).take(6).collect();
    let next = match near.is_empty() {
        true => "nhi explain lists all of them".to_owned(),
        false => format!("one of these may be meant: {}", near.join(", ")),
    };
    Err(Problem::new("E-RULE", "There is no such rule")
        .detail(format!("{word:?} is the word of no finding, and no check that one answers."))
        .next(next))
}

fn line(rule: &Rule) -> String {
    let weight = format!("{}, {}", rule.severity.as_str(), rule.condition.as_str());
    format!("{:<28} {} {}", rule.alias, rule.title, styled(DIM, &format!("({weight})")))
}

/// What people are told: the same words as on its page, without its signs for code.
fn text(rule: &Rule) -> String {
    let rows: Vec<String> = rule.rows.iter().map(|row| format!("R{row:03}")).collect();
    let exit = rule.condition.exit_code();
    let mut lines = vec![
        format!("{}: {}", styled(BOLD, rule.alias), rule.title),
        format!("  means     {}", rule.means),
        format!("  cause     {}", rule.cause),
        format!("  helps     {}", rule.remedy),
        format!("  severity  {}, where nothing makes it worse or better", rule.severity.as_str()),
        format!("  condition {} (nhi drift ends with {exit})", rule.condition.as_str()),
    ];
    for (head, all) in [
        ("checks    ", rule.checks.join(", ")),
        ("rows      ", rows.join(", ")),
        ("evidence  ", rule.standards().join(", ")),
    ] {
        if !all.is_empty() {
            lines.push(format!("  {head}{all}"));
        }
    }
    lines.push(format!("  page      docs/findings/{}.md", rule.alias));
    lines.join("\n").replace('`', "")
}

fn report(rules: &[&Rule]) -> Value {
    let one = |rule: &&Rule| {
        json!({
            "rule": rule.alias, "checks": rule.checks, "title": rule.title, "means": rule.means,
            "cause": rule.cause, "remedy": rule.remedy, "severity": rule.severity.as_str(),
            "condition": rule.condition.as_str(), "waivable": rule.waivable,
            "requirements": rule.rows.iter().map(|row| format!("R{row:03}")).collect::<Vec<_>>(),
            "standards": rule.standards(),
        })
    };
    json!({
        "format": "nhi-findings/1", "rules": rules.iter().map(one).collect::<Vec<_>>(),
        "outcome": Exit::Clean.sole_outcome(),
    })
}

#[cfg(test)]
mod tests {
    use policy::findings::Condition;

    use super::*;

    #[test]
    fn a_rule_is_told_with_what_it_means_and_what_helps() {
        let told = text(named("scope-added")[0]);
        let plain = anstream::adapter::strip_str(&told).to_string();
        for part in ["scope-added: A scope that nobody", "helps     Apply takes it away", "SCP04"] {
            assert!(plain.contains(part), "{part}: {plain}");
        }
        assert!(plain.contains("OWASP NHI5:2025") && !plain.contains('`'), "{plain}");
        let json = report(&named("scope-added"));
        assert_eq!(json["rules"][0]["requirements"][0], "R094");
    }

    #[test]
    fn a_word_that_is_none_is_told_what_may_be_meant() {
        let said = found("scope-add").unwrap_err().to_string();
        assert!(said.contains("E-RULE") && said.contains("scope-added"), "{said}");
        let said = found("xyzzy").unwrap_err().to_string();
        assert!(said.contains("nhi explain lists all"), "{said}");
    }

    #[test]
    fn a_condition_has_the_code_that_a_run_ends_with() {
        for (condition, exit) in [
            (Condition::Note, Exit::Clean),
            (Condition::Drift, Exit::Drift),
            (Condition::Unfinished, Exit::Unfinished),
            (Condition::Policy, Exit::Policy),
        ] {
            assert_eq!(condition.exit_code(), exit.code());
        }
    }
}
