//! For a browser, and for people who do not read configurations: a page that needs nothing else. Without its
//! script all cards stand there. Nothing is loaded, and nothing in it that is not ours runs.

use std::fmt::Write as _;

use policy::change::Difference;

use super::{
    card::{Card, Reading, integration_of},
    picture::{draw, fates},
    text::key_words,
    words,
};
use crate::report::html::{STYLE, escaped, head};

const MORE: &str = include_str!("page.css");
const SCRIPT: &str = include_str!("page.js");

/// The levels as the page ranks them.
const LEVELS: [&str; 4] = ["low", "medium", "high", "critical"];

pub(crate) fn render(reading: &Reading) -> String {
    let style = format!("{STYLE}{MORE}");
    let tone = if reading.may() { "good" } else { "bad" };
    let headline = escaped(&reading.headline());
    let policy = match &reading.policy {
        Some((version, digest)) => {
            format!("Policy version {version}, digest <code>{}</code>.", escaped(digest))
        }
        None => "No policy says who reviews: nothing is held back.".to_owned(),
    };
    let core = reading.core.as_ref();
    let core = core.map_or(String::new(), |one| format!(", planned by version {}", escaped(one)));
    let mut out = String::with_capacity(8192 + 6144 * reading.cards.len());
    head(&mut out, &format!("nhi review: {}", reading.headline()), &style, Some(SCRIPT));
    let _ = write!(
        out,
        "<a class=\"skip\" href=\"#changes\">To the changes</a>\n<header>\n\
         <h1>nhi review: <span class=\"verdict {tone}\">{headline}</span></h1>\n\
         <p>{}</p>\n<p>{policy}</p>\n\
         <p class=\"dim\">Read from {}{core} at {} by nhi {}.</p>\n</header>\n<main>\n",
        match reading.may() {
            true => "Everything in it may be applied as it stands.",
            false => "It may not be applied yet. Each card says what is missing and what to do.",
        },
        escaped(&reading.from),
        reading.at.strftime("%Y-%m-%d %H:%M:%SZ"),
        env!("CARGO_PKG_VERSION"),
    );
    open(&mut out, reading);
    cards(&mut out, reading);
    let _ = write!(out, "</main>\n<script>{SCRIPT}</script>\n</body>\n</html>");
    out
}

fn open(out: &mut String, reading: &Reading) {
    if reading.open.is_empty() {
        return;
    }
    let _ = writeln!(
        out,
        "<section id=\"open\">\n<h2>Left open by the plan ({})</h2>\n<ul>",
        reading.open.len()
    );
    for one in &reading.open {
        let _ = writeln!(
            out,
            "<li><code>{}</code> {}. <span class=\"dim\">Next: {} ({})</span></li>",
            escaped(&one.address),
            escaped(&one.why),
            escaped(&one.next),
            one.code
        );
    }
    out.push_str("</ul>\n</section>\n");
}

fn cards(out: &mut String, reading: &Reading) {
    let levels: String = LEVELS
        .iter()
        .enumerate()
        .map(|(at, level)| format!("<option value=\"{at}\">{level}</option>"))
        .collect();
    let _ = write!(
        out,
        "<section id=\"changes\">\n<h2>Changes ({})</h2>\n<div class=\"tools\" hidden>\
         <label>Search <input type=\"search\" name=\"search\"></label>\
         <label>at least <select name=\"level\">{levels}</select></label>\
         <label><input type=\"checkbox\" name=\"missing\"> only what is missing something</label>\
         <button type=\"button\" name=\"before\">Before</button>\
         <button type=\"button\" name=\"next\">Next</button>\
         <output class=\"dim\" aria-live=\"polite\"></output></div>\n",
        reading.cards.len()
    );
    for (at, one) in reading.cards.iter().enumerate() {
        card(out, at, one);
    }
    if reading.cards.is_empty() {
        out.push_str("<p>Nothing that is governed changes.</p>\n");
    }
    out.push_str("</section>\n");
}

fn card(out: &mut String, at: usize, card: &Card) {
    let change = &card.asked.change;
    let level = card.level();
    let rank = LEVELS.iter().position(|one| *one == level).unwrap_or_default();
    let (state, tone) = match (card.may(), card.needs_somebody()) {
        (true, true) => ("approved", "good"),
        (true, false) => ("needs nobody", "good"),
        _ => ("not approved", "bad"),
    };
    let _ = write!(
        out,
        "<article class=\"card\" id=\"c-{}\" data-level=\"{rank}\" data-missing=\"{}\" \
         aria-labelledby=\"t-{at}\" tabindex=\"-1\">\n<h3 id=\"t-{at}\"><code>{}</code> {} \
         <span class=\"level {level}\">{level}</span> <span class=\"verdict {tone}\">{state}</span>\
         </h3>\n<p class=\"dim\">{} <code>{}</code>{}</p>\n",
        card.digest.short(),
        !card.may(),
        escaped(&card.address),
        words::deed(change),
        escaped(&change.kind.replace('_', " ").replace("nhi ", "")),
        escaped(&card.asked.object),
        notes(card),
    );
    let why = match card.asked.why.is_empty() {
        true => String::new(),
        false => format!(": {}", escaped(&card.asked.why.join(", "))),
    };
    let _ = writeln!(out, "<p><strong>Its power {}</strong>{why}.", card.asked.facts.direction);
    if !card.reasons().is_empty() {
        let _ = writeln!(out, "It matters because {}.", escaped(&card.reasons().join("; ")));
    }
    out.push_str("</p>\n");
    differences(out, card);
    blast(out, card);
    signatures(out, card);
    out.push_str("</article>\n");
}

fn notes(card: &Card) -> String {
    let mut notes = Vec::new();
    if let Some(previous) = &card.previous_address {
        notes.push(format!("moved from <code>{}</code>", escaped(previous)));
    }
    if card.imports {
        notes.push("it is there already and is taken under management".to_owned());
    }
    if let Some(reason) = &card.reason {
        notes.push(escaped(&reason.replace('_', " ")));
    }
    if notes.is_empty() { String::new() } else { format!(" · {}", notes.join(" · ")) }
}

fn differences(out: &mut String, card: &Card) {
    let all = card.asked.change.differences();
    if all.is_empty() {
        return;
    }
    out.push_str(
        "<div class=\"wide\"><table>\n<caption>What changes</caption>\n<thead><tr>\
         <th scope=\"col\">What</th><th scope=\"col\">Before</th><th scope=\"col\">After</th>\
         <th scope=\"col\">What that means</th></tr></thead>\n<tbody>\n",
    );
    for one in &all {
        let side = |value: &Option<policy::change::Value>| match value {
            Some(value) => format!("<code>{}</code>", escaped(&words::plain(value))),
            None => "<span class=\"dim\">nothing</span>".to_owned(),
        };
        let class = match words::sign(one) {
            '+' => "comes",
            '-' => "goes",
            _ => "changes",
        };
        let _ = writeln!(
            out,
            "<tr class=\"{class}\"><td>{}</td><td>{}</td><td>{}</td><td>{}</td></tr>",
            escaped(&words::label(&one.path)),
            side(&one.before),
            side(&one.after),
            meaning(card, one),
        );
    }
    out.push_str("</tbody>\n</table></div>\n");
}

fn meaning(card: &Card, one: &Difference) -> String {
    let Some(action) = card.action_of(one) else {
        return match words::sign(one) {
            '+' => "it is new",
            '-' => "it goes",
            _ => "it is another one",
        }
        .to_owned();
    };
    let verb = if one.after.is_some() { "whoever has it" } else { "it loses this:" };
    format!("{verb} {}", words::meaning(action))
}

fn blast(out: &mut String, card: &Card) {
    let Some(blast) = &card.blast else { return };
    let _ = writeln!(
        out,
        "<details><summary>What it reaches: {}</summary>",
        escaped(&blast.after.line())
    );
    if blast.before != blast.after {
        let _ = writeln!(out, "<p>Before: {}.</p>", escaped(&blast.before.line()));
    }
    let name = integration_of(&card.asked).unwrap_or(&card.asked.object);
    if let Some(picture) = draw(name, blast) {
        out.push_str(&picture);
    }
    out.push_str("<ul>\n");
    for (fate, one, _) in fates(blast) {
        let sources: Vec<&str> = one.sources.iter().map(String::as_str).collect();
        let uses: Vec<&str> = one.uses.iter().copied().collect();
        let action = one.action.map_or("leads on from there", words::meaning);
        let through = one.through.as_ref().map(|way| format!(", through {way}"));
        let data = one.data.as_ref().map(|data| format!(", data: {data}"));
        let place = one.environment.as_ref().map(|place| format!(", {place}"));
        let uses = (!uses.is_empty()).then(|| format!("; could serve {}", uses.join(", ")));
        let more = [through, data, place, uses].into_iter().flatten().collect::<String>();
        let _ = writeln!(
            out,
            "<li class=\"{}\"><strong>{}</strong> ({}): {action}{}. <span class=\"dim\">Said by \
             {}.</span></li>",
            fate.class(),
            escaped(&one.name),
            fate.word(),
            escaped(&more),
            escaped(&sources.join(", "))
        );
    }
    for (of, why) in &blast.after.unknown {
        let _ = writeln!(
            out,
            "<li class=\"unknown\"><strong>{}</strong>: not known, since {}.</li>",
            escaped(of),
            escaped(why)
        );
    }
    out.push_str("</ul>\n</details>\n");
}

fn signatures(out: &mut String, card: &Card) {
    out.push_str("<div class=\"board\">\n");
    if let Some(needs) = &card.needs {
        let _ = writeln!(out, "<p>It {}.</p>", escaped(needs));
    }
    if let Some(judged) = &card.judged {
        let tally = &judged.tally;
        let mut lines = Vec::new();
        for (who, role) in &tally.have {
            let signed = judged.signed.get(who).map_or(String::new(), |(at, presence)| {
                let key = key_words(*presence).trim_end_matches(',');
                format!(" with a {key} at {}", at.strftime("%Y-%m-%d %H:%MZ"))
            });
            lines.push(format!(
                "<li class=\"comes\">Signed by <strong>{}</strong> as {}{signed}</li>",
                escaped(who),
                escaped(role)
            ));
        }
        if let Some(who) = tally.broken_by.as_ref().filter(|_| tally.may_break()) {
            lines.push(format!(
                "<li class=\"changes\"><strong>{}</strong> goes ahead alone, and owes a review</li>",
                escaped(who)
            ));
        }
        for who in &tally.rejected_by {
            lines.push(format!(
                "<li class=\"goes\"><strong>Rejected</strong> by {}</li>",
                escaped(who)
            ));
        }
        for one in &tally.discounted {
            lines.push(format!(
                "<li class=\"dim\">Does not count: {} {} ({})</li>",
                escaped(&one.principal),
                escaped(&one.why),
                one.code
            ));
        }
        for one in &judged.unread {
            lines.push(format!(
                "<li class=\"dim\">Does not count: {}: {} ({})</li>",
                escaped(&one.place),
                escaped(&one.why),
                one.code
            ));
        }
        if !lines.is_empty() {
            let _ = writeln!(out, "<ul>{}</ul>", lines.concat());
        }
    }
    if let Some(problem) = &card.unseen {
        let why = crate::report::one_line(problem);
        let _ = writeln!(out, "<p class=\"verdict half\">Not read: {}</p>", escaped(&why));
    }
    if let Some(problem) = &card.held {
        let why = crate::report::one_line(problem);
        let _ = writeln!(out, "<p class=\"verdict half\">Held back: {}</p>", escaped(&why));
    }
    if let Some(next) = &card.next {
        let _ = writeln!(
            out,
            "<p class=\"next\">Next: <code>{}</code> <button type=\"button\" class=\"copy\" \
             hidden>Copy</button></p>",
            escaped(next)
        );
    }
    let _ = writeln!(out, "<p class=\"dim id\">Change <code>{}</code></p>\n</div>", card.digest);
}
