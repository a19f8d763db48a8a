//! `nhi explain`: what a finding or an error means, where it comes from, and what helps.

use clap::Args;
use operations::Problem;
use policy::{
    crosswalk::{self, Cited},
    errors::{self, Code},
    findings::{RULES, Rule, named},
};
use serde_json::{Value, json};

use crate::{
    exit::Exit,
    output::{BOLD, DIM, Format, Output, styled},
};

/// Say what a finding of `nhi drift`, or the code at the end of an error, means and what helps.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  nhi explain                    every rule that there is
  nhi explain scope-added
  nhi explain OWN04              all rules that answer one check
  nhi explain E-TENANT           an error, by the code at its end
  nhi explain NHI-03             an id of a standard as older texts cite it, and those of today
  nhi explain --errors           every error that there is
  nhi explain --format json")]
pub(crate) struct Explain {
    /// A rule by the word in the report, a check, or the code of an error; all rules in a line each, unless
    /// set.
    #[arg(value_name = "RULE")]
    rule: Option<String>,

    /// All rules in a line each, as without a word.
    #[arg(long, conflicts_with = "rule")]
    list: bool,

    /// All errors in a line each.
    #[arg(long, conflicts_with_all = ["rule", "list"])]
    errors: bool,

    /// Text or JSON.
    #[arg(long, value_enum, default_value_t = Format::Text)]
    pub(crate) format: Format,
}

impl Explain {
    pub(crate) fn run(self, output: &Output) -> Result<Exit, Problem> {
        if self.errors {
            return Ok(all_errors(self.format, output));
        }
        if let Some(code) = self.rule.as_deref().and_then(code_of) {
            match self.format {
                Format::Json => output.line(&errors_json(&[code]).to_string()),
                Format::Text => output.line(&error_text(code)),
            }
            return Ok(Exit::Clean);
        }
        let cited = self.rule.as_deref().map(crosswalk::resolve).unwrap_or_default();
        if !cited.is_empty() {
            match self.format {
                Format::Json => output.line(&cited_json(&cited).to_string()),
                Format::Text => {
                    let texts: Vec<String> = cited.iter().map(|one| cited_text(one)).collect();
                    output.line(&texts.join("\n\n"));
                }
            }
            return Ok(Exit::Clean);
        }
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

/// The error of that code; a word alone is a rule's before it is a code's.
fn code_of(word: &str) -> Option<Code> {
    let is = word.get(..2).is_some_and(|begin| begin.eq_ignore_ascii_case("e-"));
    errors::code(word).filter(|_| is || named(word).is_empty())
}

/// The rules that give evidence of any of these controls.
fn answering(today: &[&str]) -> Vec<&'static str> {
    let answers = |rule: &&&Rule| rule.standards().iter().any(|one| today.contains(one));
    RULES.iter().filter(answers).map(|rule| rule.alias).collect()
}

fn cited_text(one: &Cited) -> String {
    let rules = answering(one.today);
    let mut lines = vec![
        format!("{}: {}", styled(BOLD, one.cited), one.about),
        format!("  today     {}", one.today.join(", ")),
        format!("  source    {}", one.source),
    ];
    if !rules.is_empty() {
        lines.push(format!("  findings  {}", rules.join(", ")));
    }
    lines.join("\n")
}

fn cited_json(all: &[&Cited]) -> Value {
    let one = |one: &&Cited| {
        json!({
            "cited": one.cited, "about": one.about, "today": one.today, "source": one.source,
            "rules": answering(one.today),
        })
    };
    json!({
        "format": "nhi-crosswalk/1", "cited": all.iter().map(one).collect::<Vec<_>>(),
        "outcome": Exit::Clean.sole_outcome(),
    })
}

fn all_errors(format: Format, output: &Output) -> Exit {
    let all: Vec<Code> = errors::codes().collect();
    match format {
        Format::Json => output.line(&errors_json(&all).to_string()),
        Format::Text => {
            all.iter().for_each(|one| output.line(&format!("{:<24} {}", one.code, one.title)));
            output.hint("nhi explain CODE says what helps.");
        }
    }
    Exit::Clean
}

fn error_text(Code { code, title, means, remedy }: Code) -> String {
    let lines = [
        format!("{}: {title}", styled(BOLD, code)),
        format!("  means     {means}"),
        format!("  helps     {remedy}"),
        format!("  page      docs/errors/{code}.md"),
    ];
    lines.join("\n").replace('`', "")
}

fn errors_json(all: &[Code]) -> Value {
    let one = |one: &Code| json!({ "code": one.code, "title": one.title, "means": one.means, "remedy": one.remedy });
    json!({
        "format": "nhi-errors/1", "errors": all.iter().map(one).collect::<Vec<_>>(),
        "outcome": Exit::Clean.sole_outcome(),
    })
}

fn found(word: &str) -> Result<Vec<&'static Rule>, Problem> {
    let rules = named(word);
    if !rules.is_empty() {
        return Ok(rules);
    }
    let parts: Vec<&str> = word.split('-').collect();
    let near = RULES.iter().filter(|rule| parts.iter().any(|part| rule.alias.contains(part)));
    let mut near: Vec<String> = near.map(|rule| rule.alias.to_owned()).take(6).collect();
    let upper = word.to_ascii_uppercase();
    let parts = upper.split('-').filter(|part| part.len() > 2).collect::<Vec<_>>();
    if upper.starts_with("E-") {
        let alike = errors::codes().filter(|one| parts.iter().any(|part| one.code.contains(part)));
        near = alike.map(|one| one.code.to_owned()).take(6).collect();
    }
    let next = match near.is_empty() {
        true => "nhi explain lists all rules, nhi explain --errors all errors".to_owned(),
        false => format!("one of these may be meant: {}", near.join(", ")),
    };
    Err(Problem::new("E-RULE", "There is no such rule")
        .detail(format!(
            "{word:?} is the word of no finding, no check that one answers, and no error's code."
        ))
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
    fn an_id_that_older_texts_cite_is_told_with_those_of_today_and_what_is_found_of_them() {
        let told = cited_text(crosswalk::resolve("NHI-03")[0]);
        let plain = anstream::adapter::strip_str(&told).to_string();
        for part in ["OWASP NHI-03", "OWASP NHI7:2025 Long-Lived Secrets", "credential-old"] {
            assert!(plain.contains(part), "{part}: {plain}");
        }
        let json = cited_json(&crosswalk::resolve("PR.AC-4"));
        assert_eq!(json["cited"][0]["today"][0], "NIST CSF 2.0 PR.AA-05");
        // No rule, check or code is hidden by one.
        for rule in RULES {
            assert!(crosswalk::resolve(rule.alias).is_empty(), "{}", rule.alias);
            assert!(rule.checks.iter().all(|one| crosswalk::resolve(one).is_empty()));
        }
    }

    #[test]
    fn a_word_that_is_none_is_told_what_may_be_meant() {
        let said = found("scope-add").unwrap_err().to_string();
        assert!(said.contains("E-RULE") && said.contains("scope-added"), "{said}");
        let said = found("xyzzy").unwrap_err().to_string();
        assert!(said.contains("nhi explain lists all"), "{said}");
        let said = found("E-TENANTS").unwrap_err().to_string();
        assert!(!said.contains("may be meant"), "{said}");
        let said = found("E-LEDGER-BROKE").unwrap_err().to_string();
        assert!(said.contains("E-LEDGER-BROKEN"), "{said}");
    }

    #[test]
    fn an_error_is_told_by_its_code_and_a_rule_s_word_stays_a_rule_s() {
        let told = error_text(code_of("e-tenant").unwrap());
        let plain = anstream::adapter::strip_str(&told).to_string();
        for part in
            ["E-TENANT: Another tenant answers", "helps     Correct", "docs/errors/E-TENANT.md"]
        {
            assert!(plain.contains(part), "{part}: {plain}");
        }
        assert_eq!(code_of("held"), None, "a rule has that word");
        assert_eq!(code_of("blackout").map(|one| one.code), Some("E-BLACKOUT"));
        assert_eq!(errors_json(&[code_of("E-TENANT").unwrap()])["errors"][0]["code"], "E-TENANT");
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
