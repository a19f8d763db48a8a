//! `nhi policy explain`: what the policy asks of changes, for who reads no HCL.

use std::path::PathBuf;

use clap::{Args, ValueEnum};
use operations::Problem;
use policy::change::{explain, impact::Level, review::Review, standing::Class};
use serde_json::{Value, json};

use crate::{
    exit::Exit,
    output::{BOLD, Format, Output, styled},
};

/// Say in sentences what the policy asks before a change is made: who must sign what, what is done at
/// once, and when nothing is changed.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  nhi policy explain
  nhi policy explain --format markdown > POLICY.md
  nhi policy explain policy.hcl --format json

Exit codes: 0 told · 1 it cannot be used")]
pub(crate) struct Explain {
    /// The policy; else the one that nhi.hcl names.
    #[arg(value_name = "FILE")]
    file: Option<PathBuf>,

    /// Text, Markdown or JSON.
    #[arg(long, value_enum, default_value_t = Form::Text)]
    format: Form,
}

/// How it is printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Form {
    /// For people, on a terminal.
    Text,
    /// For people, in a document.
    Markdown,
    /// For programs.
    Json,
}

impl Explain {
    pub(crate) fn format(&self) -> Format {
        if self.format == Form::Json { Format::Json } else { Format::Text }
    }

    pub(crate) fn run(self, config: Option<&str>, output: &Output) -> Result<Exit, Problem> {
        let files = super::named::read(self.file.as_deref(), config)?;
        let review = files.review.as_ref().map(|review| &review.terms);
        match (self.format, review) {
            (Form::Json, review) => output.line(&report(review).to_string()),
            (_, None) => output.line(
                "Nobody must sign anything: whoever may apply may give power. What gives power is written \
                 down.",
            ),
            (form, Some(review)) => output.line(&told(review, form)),
        }
        Ok(Exit::Clean)
    }
}

/// What one level needs, and what is of it.
struct OfLevel {
    level: Level,
    needs: String,
    rules: Vec<String>,
}

fn levels(review: &Review) -> Vec<OfLevel> {
    let of = |level: Level| OfLevel {
        level,
        needs: explain::needs(review, level),
        rules: review
            .rules
            .iter()
            .filter(|rule| rule.level == level)
            .map(|rule| format!("{}.", capital(&explain::rule(rule))))
            .chain(of_itself(level).map(str::to_owned))
            .collect(),
    };
    Level::ALL.into_iter().rev().map(of).collect()
}

/// What is of a level where no rule sees it.
fn of_itself(level: Level) -> Option<&'static str> {
    match level {
        Level::Low => Some("Whatever gives no power, where no rule above sees it."),
        Level::Medium => Some("Whatever gives power or may, where no rule above sees it."),
        Level::High => None,
        Level::Critical => Some("A new version of this policy."),
    }
}

fn capital(text: &str) -> String {
    let mut all = text.chars();
    all.next().map_or_else(String::new, |first| first.to_uppercase().chain(all).collect())
}

fn people(
    of: &std::collections::BTreeMap<String, std::collections::BTreeSet<String>>,
) -> Vec<String> {
    let one = |people: &std::collections::BTreeSet<String>| match people.is_empty() {
        true => "nobody".to_owned(),
        false => people.iter().map(String::as_str).collect::<Vec<_>>().join(", "),
    };
    of.iter().map(|(name, all)| format!("{name}: {}", one(all))).collect()
}

fn told(review: &Review, form: Form) -> String {
    let markdown = form == Form::Markdown;
    let escaped = |text: &str| match markdown {
        true => markdown_text(text),
        false => text.to_owned(),
    };
    let head = |level: usize, text: &str| match markdown {
        true => format!("{} {}\n", "#".repeat(level), markdown_text(text)),
        false => styled(BOLD, text),
    };
    let mut lines = vec![head(1, &format!("What version {} of the policy asks", review.version))];
    for one in levels(review) {
        lines.push(String::new());
        lines.push(head(2, &format!("Of {} impact", one.level)));
        lines.push(escaped(&one.needs));
        if markdown && !one.rules.is_empty() {
            lines.push(String::new());
        }
        lines.extend(one.rules.iter().map(|rule| format!("- {}", escaped(rule))));
    }
    let mut list = |title: &str, all: Vec<String>| {
        if !all.is_empty() {
            lines.push(String::new());
            lines.push(head(2, title));
            lines.extend(all.iter().map(|one| format!("- {}", escaped(one))));
        }
    };
    let open = review
        .standing
        .iter()
        .chain([&Class::Narrowing])
        .collect::<std::collections::BTreeSet<_>>();
    list(
        "Approved beforehand",
        open.into_iter().map(|one| explain::class(*one).to_owned()).collect(),
    );
    list("When nothing is changed", review.freezes.iter().map(explain::freeze).collect());
    list("In an emergency", explain::break_glass(review).into_iter().collect());
    list("Who may sign in which role", people(&review.board.roles));
    list("Who speaks for which owner", people(&review.owners));
    let vouching = |(name, one): (&String, &policy::change::requester::Voucher)| {
        let required: Vec<String> =
            one.required.iter().map(|(name, value)| format!("{name} is {value}")).collect();
        let only = required.join(" and ");
        format!("{name}: tokens of {} for {:?} whose {only}", one.issuer, one.audience)
    };
    list("Whose word is taken for who asks", review.requesters.iter().map(vouching).collect());
    lines.join("\n")
}

/// A text that is no markup.
fn markdown_text(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '<' => shown.push_str("&lt;"),
            '&' => shown.push_str("&amp;"),
            '\\' | '`' | '*' | '_' | '[' | ']' | '#' | '|' | '~' => shown.extend(['\\', c]),
            // A name in a report calls nobody.
            '@' => shown.push_str("&#64;"),
            '\n' | '\r' => shown.push(' '),
            c => shown.push(c),
        }
    }
    shown
}

fn report(review: Option<&Review>) -> Value {
    let Some(review) = review else {
        return json!({
            "format": "nhi-policy/1", "reviews": false, "outcome": Exit::Clean.sole_outcome(),
        });
    };
    let level = |one: OfLevel| {
        let quorum = explain::quorum_of(review, one.level).map(|(of, quorum)| {
            json!({
                "of": of.as_str(), "people": quorum.people, "roles": quorum.roles, "each": quorum.each,
                "key": quorum.presence.as_str(), "longest": quorum.longest.to_string(),
            })
        });
        json!({ "level": one.level.as_str(), "needs": one.needs, "quorum": quorum, "changes": one.rules })
    };
    json!({
        "format": "nhi-policy/1", "reviews": true, "version": review.version, "domain": review.domain,
        "levels": levels(review).into_iter().map(level).collect::<Vec<_>>(),
        "standing": review.standing.iter().map(|one| one.as_str()).collect::<Vec<_>>(),
        "break_glass": explain::break_glass(review),
        "freezes": review.freezes.iter().map(explain::freeze).collect::<Vec<_>>(),
        "roles": review.board.roles, "owners": review.owners,
        "requesters": review.requesters.keys().collect::<Vec<_>>(),
        "outcome": Exit::Clean.sole_outcome(),
    })
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    fn strict() -> Review {
        let path =
            Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples/review/strict/policy.hcl");
        wiring::PolicyFiles::read(&path).unwrap().review.unwrap().terms
    }

    #[test]
    fn what_a_strict_policy_asks_is_told_in_sentences_for_each_level() {
        let text = anstream::adapter::strip_str(&told(&strict(), Form::Text)).to_string();
        for part in [
            "Of critical impact",
            "2 different people must sign, each as security, with a hardware key that asks for a PIN",
            "- A new version of this policy.",
            "with security among them",
            "- What takes power away is done at once",
            "Each Friday from 16:00",
            "Only changes of level low are made then",
            "- security: eli@acme.example, sam@acme.example, sue@acme.example",
            "repository is acme/nhi",
        ] {
            assert!(text.contains(part), "{part}: {text}");
        }
        let levels = ["critical", "high", "medium", "low"];
        let at: Vec<usize> =
            levels.iter().map(|level| text.find(&format!("Of {level} impact")).unwrap()).collect();
        assert!(at.is_sorted(), "the highest first");
    }

    #[test]
    fn what_people_wrote_is_no_markup_and_calls_nobody() {
        let mut review = strict();
        review.rules[0].why = "<b>*x*</b> @all `rm` [a](b)".into();
        let text = told(&review, Form::Markdown);
        assert!(
            text.contains("## Of high impact") && text.contains("sam&#64;acme.example"),
            "{text}"
        );
        for part in ["<b>", "@all", "[a]("] {
            assert!(!text.contains(part), "{part}: {text}");
        }
    }

    #[test]
    fn programs_get_each_level_with_the_quorum_that_holds_of_it() {
        let json = report(Some(&strict()));
        assert_eq!(json["levels"][0]["level"], "critical");
        assert_eq!(json["levels"][0]["quorum"]["key"], "verified");
        assert_eq!(json["levels"][3]["quorum"]["people"], 1);
        assert_eq!(report(None)["reviews"], false);
    }
}
