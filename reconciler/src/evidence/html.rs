//! Evidence for a browser: one page that needs nothing else, in the look of the report.

use std::fmt::Write as _;

use super::{
    Bundle, form,
    verify::{Holds, Report},
};
use crate::report::html::{STYLE, escaped, head};

pub(super) fn render(bundle: &Bundle, report: &Report) -> String {
    let mut out = String::with_capacity(8192 + 512 * bundle.entries.len());
    let (tone, verdict) = match (report.is_wrong(), report.lacks()) {
        (true, _) => ("bad", "something in it is wrong"),
        (false, true) => ("half", "shown in part"),
        (false, false) => ("good", "shown"),
    };
    let about = escaped(&form::asked(bundle));
    head(&mut out, &format!("nhi evidence: {}", form::asked(bundle)), STYLE, None);
    let _ = write!(
        out,
        "<a class=\"skip\" href=\"#changes\">To what was allowed</a>\n<header>\n\
         <h1>nhi evidence: <span class=\"verdict {tone}\">{verdict}</span></h1>\n\
         <p>{about}</p>\n\
         <p class=\"dim\">{} of {} entries of <code>{}</code>, made at {} by {}. This page shows what the \
         file of evidence says; nhi evidence verify checks the file.</p>\n</header>\n<main>\n",
        bundle.entries.len(),
        bundle.tree.size,
        escaped(&bundle.tree.origin),
        bundle.made.at,
        escaped(&bundle.made.program),
    );
    for section in form::sections(bundle) {
        let _ = writeln!(
            out,
            "<section id=\"{}\">\n<h2>{} ({})</h2>",
            section.id,
            section.title,
            section.rows.len()
        );
        if section.rows.is_empty() {
            let _ = writeln!(out, "<p class=\"dim\">{}</p>\n</section>", section.none);
            continue;
        }
        // Only columns that somebody filled.
        let mut heads: Vec<&str> = Vec::new();
        for (head, _) in section.rows.iter().flatten() {
            if !heads.contains(head) {
                heads.push(head);
            }
        }
        let _ = writeln!(out, "<div class=\"wide\"><table>\n<thead><tr>");
        for head in &heads {
            let _ = write!(out, "<th scope=\"col\">{}</th>", escaped(head));
        }
        out.push_str("</tr></thead>\n<tbody>\n");
        for row in &section.rows {
            out.push_str("<tr>");
            for head in &heads {
                let value =
                    row.iter().find(|(name, _)| name == head).map_or("", |(_, value)| value);
                let _ = write!(out, "<td>{}</td>", escaped(value));
            }
            out.push_str("</tr>\n");
        }
        out.push_str("</tbody>\n</table></div>\n</section>\n");
    }
    out.push_str(
        "<section id=\"controls\">\n<h2>Which controls it is evidence for</h2>\n<div class=\"wide\"><table>\n\
         <thead><tr><th scope=\"col\">Question</th><th scope=\"col\">Entries</th>\
         <th scope=\"col\">Controls</th></tr></thead>\n<tbody>\n",
    );
    for one in form::questions(bundle) {
        let _ = writeln!(
            out,
            "<tr><td>{}</td><td>{}</td><td>{}</td></tr>",
            escaped(&one.asks),
            one.entries,
            escaped(&one.controls.join(", "))
        );
    }
    out.push_str(
        "</tbody>\n</table></div>\n</section>\n<section id=\"shown\">\n<h2>How far it is shown</h2>\n<ul>\n",
    );
    for (holds, class, word) in [
        (Holds::Wrong, "high", "Wrong"),
        (Holds::Proven, "low", "Proven"),
        (Holds::Claimed, "medium", "Claimed"),
    ] {
        for what in report.of(holds) {
            let _ = writeln!(
                out,
                "<li><strong class=\"{class}\">{word}:</strong> {}</li>",
                escaped(what)
            );
        }
    }
    out.push_str("</ul>\n</section>\n</main>\n</body>\n</html>");
    out
}
