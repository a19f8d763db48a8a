//! Evidence for people: text and Markdown. Each a pure function of the bundle and of what checking it
//! came to.

use std::fmt::Write as _;

use serde_json::Value;

use super::{
    Asked, Bundle, html,
    verify::{Holds, Report},
};
use crate::output::{BOLD, DIM, GREEN, RED, YELLOW, styled};

/// A form of evidence.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Form {
    /// For checking: one document, whose schema is docs/schemas/evidence.json.
    Json,
    /// For people.
    Text,
    /// For a ticket.
    Markdown,
    /// For a browser: one page that needs nothing else.
    Html,
}

/// What was asked for, in words.
pub(crate) fn asked(bundle: &Bundle) -> String {
    match &bundle.asked {
        Asked::Integration(id) => id.clone(),
        Asked::Change(digest) => format!("the change {digest}"),
        Asked::Period { since, until } => format!("all between {since} and {until}"),
    }
}

/// A section: its title, and rows of names and values.
pub(crate) struct Section {
    pub(crate) id: &'static str,
    pub(crate) title: &'static str,
    /// What stands there if there is nothing.
    pub(crate) none: &'static str,
    pub(crate) rows: Vec<Vec<(&'static str, String)>>,
}

/// What is told, in the order of the questions.
pub(crate) fn sections(bundle: &Bundle) -> Vec<Section> {
    let rows = |name: &str, columns: &[(&'static str, &'static str)]| -> Vec<Vec<_>> {
        let all = bundle.told.get(name).and_then(Value::as_array).into_iter().flatten();
        all.map(|one| {
            columns
                .iter()
                .map(|(head, path)| (*head, words(&one[*path])))
                .filter(|(_, words)| !words.is_empty())
                .collect()
        })
        .collect()
    };
    let mut all = vec![
        Section {
            id: "changes",
            title: "What was allowed, and by whom",
            none: "No change was approved by signature.",
            rows: rows(
                "changes",
                &[
                    ("At", "at"),
                    ("Entry", "seq"),
                    ("Object", "subject"),
                    ("Action", "action"),
                    ("Change", "digest"),
                    ("Impact", "level"),
                    ("Asked by", "requester"),
                    ("Approved by", "people"),
                    ("Before", "before"),
                    ("After", "after"),
                    ("Ticket", "ticket"),
                    ("Outcome", "outcome"),
                ],
            ),
        },
        Section {
            id: "deeds",
            title: "What was done, and what triggered it",
            none: "Nothing was done.",
            rows: rows(
                "deeds",
                &[
                    ("At", "at"),
                    ("Entry", "seq"),
                    ("Kind", "kind"),
                    ("Step", "step"),
                    ("Object", "subject"),
                    ("Outcome", "outcome"),
                    ("Trigger", "trigger"),
                    ("By", "by"),
                    ("Run", "run"),
                    ("Allowed by", "auth"),
                    ("Request", "request_id"),
                    ("Ticket", "ticket"),
                    ("Rotation", "rotation"),
                ],
            ),
        },
        Section {
            id: "revocations",
            title: "How far the end of each credential was shown",
            none: "No credential ended.",
            rows: rows(
                "revocations",
                &[
                    ("At", "at"),
                    ("Entry", "seq"),
                    ("Object", "subject"),
                    ("Key", "key"),
                    ("Grade", "grade"),
                    ("At best", "grade_at_best"),
                    ("Time to stop", "time_to_stop"),
                    ("First refused", "first_refused_at"),
                    ("Minted from it", "children"),
                    ("Sessions", "sessions"),
                    ("Surfaces", "surfaces"),
                    ("Seen from", "from"),
                ],
            ),
        },
        Section {
            id: "reviews",
            title: "When it was reviewed, and by whom",
            none: "Nobody signed a review.",
            rows: rows(
                "reviews",
                &[
                    ("At", "at"),
                    ("Entry", "seq"),
                    ("Object", "subject"),
                    ("By", "by"),
                    ("Decision", "decision"),
                    ("Reason", "reason"),
                    ("Ticket", "ticket"),
                ],
            ),
        },
        Section {
            id: "credentials",
            title: "Credentials that have not ended, as the entries tell",
            none: "No credential is told of.",
            rows: rows(
                "credentials",
                &[
                    ("Object", "integration"),
                    ("Slot", "slot"),
                    ("Key", "key"),
                    ("State", "state"),
                    ("Ends by itself", "expires_at"),
                ],
            ),
        },
        Section {
            id: "owed",
            title: "What is owed",
            none: "Nothing is owed.",
            rows: rows("owed", &[("Object", "subject"), ("Deed", "deed"), ("Until", "due_by")]),
        },
    ];
    if let Some(declared) = bundle.told.get("declared") {
        let facets = declared["declared"].as_object().into_iter().flatten();
        let rows =
            facets.map(|(facet, value)| vec![("Facet", facet.clone()), ("Declared", words(value))]);
        all.push(Section {
            id: "declared",
            title: "What is declared of it: owners, purpose, scopes",
            none: "It is not declared.",
            rows: rows.collect(),
        });
    }
    if let Some(findings) = &bundle.claimed.findings {
        let all_of = findings.as_array().into_iter().flatten();
        let rows = all_of.map(|one| {
            ["severity", "rule", "subject", "why"]
                .into_iter()
                .map(|name| (name, words(&one[name])))
                .filter(|(_, words)| !words.is_empty())
                .collect()
        });
        all.push(Section {
            id: "findings",
            title: "Findings that were open (claimed)",
            none: "None.",
            rows: rows.collect(),
        });
    }
    all
}

/// A value in words: texts as they are, lists with commas.
fn words(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(text) => text.clone(),
        Value::Array(all) => all.iter().map(words).collect::<Vec<_>>().join(", "),
        Value::Object(all) => {
            let all = all.iter().filter(|(_, value)| !value.is_null());
            all.map(|(name, value)| format!("{name}={}", words(value)))
                .collect::<Vec<_>>()
                .join(" ")
        }
        other => other.to_string(),
    }
}

/// Evidence in a form.
pub(crate) fn render(bundle: &Bundle, report: &Report, form: Form) -> String {
    match form {
        Form::Json => bundle.to_text(),
        Form::Text => text(bundle, report),
        Form::Markdown => markdown(bundle, report),
        Form::Html => html::render(bundle, report),
    }
}

/// What checking came to, in lines.
pub(crate) fn checked(report: &Report) -> String {
    let mut out = String::new();
    for (holds, style, word) in [
        (Holds::Wrong, RED, "Wrong:"),
        (Holds::Proven, GREEN, "Proven:"),
        (Holds::Claimed, YELLOW, "Claimed:"),
    ] {
        for what in report.of(holds) {
            let _ = writeln!(out, "{} {what}", styled(style, word));
        }
    }
    out.trim_end().to_owned()
}

fn text(bundle: &Bundle, report: &Report) -> String {
    let mut out = String::new();
    let _ = writeln!(out, "{} {}", styled(BOLD, "Evidence:"), asked(bundle));
    let _ = writeln!(
        out,
        "{}",
        styled(
            DIM,
            &format!(
                "{} of {} entries, {}",
                bundle.entries.len(),
                bundle.tree.size,
                bundle.made.at
            )
        )
    );
    for section in sections(bundle) {
        let _ = writeln!(out, "\n{}", styled(BOLD, section.title));
        if section.rows.is_empty() {
            let _ = writeln!(out, "  {}", section.none);
        }
        for row in &section.rows {
            let all: Vec<String> = row
                .iter()
                .map(|(name, value)| format!("{}={value}", name.to_lowercase()))
                .collect();
            let _ = writeln!(out, "  {}", all.join(" "));
        }
    }
    let _ = writeln!(out, "\n{}", styled(BOLD, "Which controls it is evidence for"));
    for one in questions(bundle) {
        let _ = writeln!(
            out,
            "  {} ({} entries)\n    {}",
            one.asks,
            one.entries,
            one.controls.join(", ")
        );
    }
    let _ = write!(out, "\n{}\n{}", styled(BOLD, "How far it is shown"), checked(report));
    out
}

/// A question and what answers it.
pub(crate) struct Asks {
    pub(crate) asks: String,
    pub(crate) entries: u64,
    pub(crate) controls: Vec<String>,
}

/// The questions, with the controls that they are evidence for.
pub(crate) fn questions(bundle: &Bundle) -> Vec<Asks> {
    let all = bundle.told.get("questions").and_then(Value::as_array).into_iter().flatten();
    all.map(|one| Asks {
        asks: words(&one["asks"]),
        entries: one["entries"].as_u64().unwrap_or_default(),
        controls: one["controls"].as_array().into_iter().flatten().map(words).collect(),
    })
    .collect()
}

fn markdown(bundle: &Bundle, report: &Report) -> String {
    let mut out = format!("# Evidence: {}\n\n", cell(&asked(bundle)));
    let _ = writeln!(
        out,
        "{} of {} entries of `{}`, made at {}.\n",
        bundle.entries.len(),
        bundle.tree.size,
        bundle.tree.origin,
        bundle.made.at
    );
    for section in sections(bundle) {
        let _ = writeln!(out, "## {}\n", section.title);
        if section.rows.is_empty() {
            let _ = writeln!(out, "{}\n", section.none);
            continue;
        }
        for row in &section.rows {
            let all: Vec<String> =
                row.iter().map(|(name, value)| format!("{name}: {}", cell(value))).collect();
            let _ = writeln!(out, "- {}", all.join(" · "));
        }
        out.push('\n');
    }
    out.push_str("## Which controls it is evidence for\n\n| question | entries | controls |\n|---|---|---|\n");
    for one in questions(bundle) {
        let _ = writeln!(out, "| {} | {} | {} |", one.asks, one.entries, one.controls.join(", "));
    }
    out.push_str("\n## How far it is shown\n\n");
    for (holds, word) in
        [(Holds::Wrong, "Wrong"), (Holds::Proven, "Proven"), (Holds::Claimed, "Claimed")]
    {
        for what in report.of(holds) {
            let _ = writeln!(out, "- **{word}**: {}", cell(what));
        }
    }
    out.trim_end().to_owned()
}

/// Text that Markdown takes for nothing but text.
fn cell(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for one in crate::report::spelled(text).chars() {
        match one {
            '\n' => out.push(' '),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '&' => out.push_str("&amp;"),
            '@' => out.push_str("&#64;"),
            '\\' | '`' | '*' | '_' | '[' | ']' | '|' | '#' | '!' | '~' => {
                out.push('\\');
                out.push(one);
            }
            one => out.push(one),
        }
    }
    out
}
