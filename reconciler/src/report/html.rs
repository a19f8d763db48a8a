//! For a browser: one page that needs nothing else, on which rows are searched, chosen and sorted.
//! Without its script all rows stand there. Nothing is loaded, and nothing in it that is not ours runs:
//! the page itself allows one script and one style, by their digests.

use std::fmt::Write as _;

use data_encoding::BASE64;

use super::{Condition, Found, Report, Severity, accepted_words, hex, one_line, rules, spelled};
use crate::exit::Exit;

pub(crate) const STYLE: &str = include_str!("page.css");
const SCRIPT: &str = include_str!("page.js");

pub(super) fn render(report: &Report, exit: Exit) -> String {
    let mut out = String::with_capacity(4096 + 1024 * report.found.len());
    let tone = match exit {
        Exit::Clean if !report.is_partial() => "good",
        Exit::Clean | Exit::Partial => "half",
        _ => "bad",
    };
    head(&mut out, &format!("nhi drift: {}", report.verdict(exit)), STYLE, Some(SCRIPT));
    let _ = write!(
        out,
        "<a class=\"skip\" href=\"#findings\">To the findings</a>\n<header>\n\
         <h1>nhi drift: <span class=\"verdict {tone}\">{}</span></h1>\n\
         <p>{}{}</p>\n<p>Holds: {} (exit {}).</p>\n\
         <p class=\"dim\">Compared at {} by nhi {}.{}</p>\n</header>\n<main>\n",
        escaped(&report.verdict(exit)),
        escaped(&report.verdict(exit)),
        escaped(&report.coverage()),
        escaped(&report.holds()),
        exit.code(),
        report.at.strftime("%Y-%m-%d %H:%M:%SZ"),
        env!("CARGO_PKG_VERSION"),
        if report.demo { " demo = true: floors of durations are seconds." } else { "" },
    );
    findings(&mut out, report);
    not_read(&mut out, report);
    accepted(&mut out, report);
    declared(&mut out, report);
    let _ = write!(out, "</main>\n<script>{SCRIPT}</script>\n</body>\n</html>");
    out
}

/// The begin of a page, up to what it shows: it loads nothing, and runs no script but this one.
pub(crate) fn head(out: &mut String, title: &str, style: &str, script: Option<&str>) {
    let script = script.map_or(String::new(), |text| format!(" script-src '{}';", digest(text)));
    let rules = format!(
        "default-src 'none'; style-src '{}';{script} base-uri 'none'; form-action 'none'",
        digest(style)
    );
    let _ = write!(
        out,
        "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta http-equiv=\"Content-Security-Policy\" content=\"{rules}\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <meta name=\"referrer\" content=\"no-referrer\">\n\
         <title>{}</title>\n<style>{style}</style>\n</head>\n<body>\n",
        escaped(title),
    );
}

/// How a policy of content names a text that it allows.
fn digest(text: &str) -> String {
    let digest = ring::digest::digest(&ring::digest::SHA256, text.as_bytes());
    format!("sha256-{}", BASE64.encode(digest.as_ref()))
}

fn findings(out: &mut String, report: &Report) {
    let severities: Vec<String> = Severity::ALL
        .iter()
        .map(|one| format!("<option value=\"{}\">{}</option>", rank(*one), one.as_str()))
        .collect();
    let conditions: Vec<String> =
        [Condition::Drift, Condition::Unfinished, Condition::Policy, Condition::Note]
            .iter()
            .map(|one| format!("<option>{}</option>", one.as_str()))
            .collect();
    let choices = format!(
        "<label>at least <select name=\"severity\">{}</select></label>\
         <label>condition <select name=\"condition\"><option value=\"\">any</option>{}</select></label>\
         <label><input type=\"checkbox\" name=\"counts\"> only what counts</label>",
        severities.concat(),
        conditions.concat()
    );
    let heads = ["Severity", "Object", "Facet", "Declared", "There", "Condition", "What it means"];
    begin(out, "findings", &format!("Findings ({})", report.found.len()), &choices, &heads);
    for found in &report.found {
        finding(out, report, found);
    }
    end(out);
}

fn finding(out: &mut String, report: &Report, found: &Found) {
    let one = &found.finding;
    let about = rules::about(one.rule);
    let counts = report.counts(found);
    let accepted = report.acceptance(found).map(accepted_words);
    let class = match (&accepted, counts) {
        (Some(_), _) => "accepted",
        (None, false) => "quiet",
        (None, true) => "",
    };
    let action = one.action.map(|action| format!(" ({})", action.as_str())).unwrap_or_default();
    let side = |text: &str| match text.is_empty() {
        true => String::from("<span class=\"dim\">nothing</span>"),
        false => format!("<code>{}</code>{}", escaped(text), escaped(&action)),
    };
    let mut why = format!("<strong>{}.</strong> {}", escaped(about.title), escaped(&one.why));
    if one.why.is_empty() {
        why.push_str(&escaped(about.help));
    }
    if let Some(accepted) = accepted {
        let _ = write!(why, "<br>{}", escaped(&accepted));
    }
    let _ = writeln!(
        out,
        "<tr id=\"f-{}\" class=\"{class}\" data-severity=\"{}\" data-condition=\"{}\" \
         data-counts=\"{counts}\"><td class=\"severity {}\" data-key=\"{}\">{}</td>\
         <td class=\"object\">{}</td><td class=\"id\">{}</td><td class=\"id\">{}</td>\
         <td class=\"id\">{}</td><td>{}</td>\
         <td>{why}</td></tr>",
        hex(&found.print),
        rank(one.severity),
        one.condition.as_str(),
        one.severity.as_str(),
        rank(one.severity),
        one.severity.as_str(),
        escaped(&one.subject),
        escaped(&one.facet),
        side(&one.expected),
        side(&one.actual),
        one.condition.as_str(),
    );
}

fn rank(severity: Severity) -> usize {
    Severity::ALL.iter().position(|one| *one == severity).unwrap_or_default()
}

fn not_read(out: &mut String, report: &Report) {
    if report.failed.is_empty() {
        return;
    }
    let _ = writeln!(out, "<section>\n<h2>Not read ({})</h2>\n<ul>", report.failed.len());
    for (id, problem) in &report.failed {
        let why = escaped(&one_line(problem));
        let _ = writeln!(out, "<li><code>{}</code>: {why}</li>", escaped(id));
    }
    out.push_str("</ul>\n</section>\n");
}

fn accepted(out: &mut String, report: &Report) {
    if report.acceptances.is_empty() {
        return;
    }
    let _ = writeln!(out, "<section>\n<h2>Accepted</h2>\n<ul>");
    for one in &report.acceptances {
        let over = if one.over { ", which is over" } else { "" };
        let (about, words) = (escaped(&one.about), escaped(&accepted_words(one)));
        let _ = writeln!(
            out,
            "<li><code>{about}</code>: {words} ({} finding(s) today{over})</li>",
            one.findings
        );
    }
    out.push_str("</ul>\n</section>\n");
}

fn declared(out: &mut String, report: &Report) {
    let heads = ["Object", "Kind", "Found", "State"];
    begin(out, "declared", &format!("Declared ({})", report.objects.len()), "", &heads);
    let mut found = std::collections::BTreeMap::new();
    for one in report.found.iter().filter(|one| report.counts(one)) {
        *found.entry(one.finding.subject.as_str()).or_insert(0usize) += 1;
    }
    for object in &report.objects {
        let count = found.get(object.id.as_str()).copied().unwrap_or_default();
        let (class, state) = match (report.is_unread(&object.id), count) {
            (true, 0) => ("medium", "not read"),
            (true, _) => ("high", "differs, and not wholly read"),
            (false, 0) => ("low", "in sync"),
            (false, _) => ("high", "differs"),
        };
        let _ = writeln!(
            out,
            "<tr><td class=\"object\">{}</td><td>{}</td><td data-key=\"{count}\">{count}</td>\
             <td class=\"{class}\">{state}</td></tr>",
            escaped(&object.id),
            escaped(&object.kind.replace('_', " ")),
        );
    }
    end(out);
}

fn begin(out: &mut String, id: &str, title: &str, choices: &str, heads: &[&str]) {
    let heads = heads
        .iter()
        .map(|head| format!("<th scope=\"col\"><button type=\"button\">{head}</button></th>"));
    let _ = write!(
        out,
        "<section class=\"data\" id=\"{id}\">\n<h2>{title}</h2>\n<div class=\"tools\" hidden>\
         <label>Search <input type=\"search\" name=\"search\"></label>{choices}\
         <button type=\"button\">Before</button><button type=\"button\">Next</button>\
         <output class=\"dim\" aria-live=\"polite\"></output></div>\n<div class=\"wide\"><table>\n\
         <thead><tr>{}</tr></thead>\n<tbody>\n",
        heads.collect::<String>()
    );
}

fn end(out: &mut String) {
    out.push_str("</tbody>\n</table></div>\n</section>\n");
}

/// Text in a page. What could turn its direction or is no character is spelled out.
pub(crate) fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for one in spelled(text).chars() {
        match one {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            one => out.push(one),
        }
    }
    out
}
