//! For a comment on a pull request, which a later run finds again and writes over: what is missing first,
//! the rest folded, never too long. In what others wrote nothing is markup.

use super::{
    card::{Card, Reading, plural},
    text::key_words,
    words,
};
use crate::report::markdown::{LONGEST, code, words as plain};

/// What a later run finds its own comment by.
pub(crate) const MARK: &str = "<!-- nhi:review -->";

/// So much is kept free for what follows the last card.
const ROOM: usize = 1_200;

/// So many cards stand open.
const OPEN: usize = 10;

pub(crate) fn render(reading: &Reading) -> String {
    let mut out = format!("{MARK}\n### nhi review: {}\n\n", plain(&reading.headline()));
    match &reading.policy {
        Some((version, digest)) => {
            out.push_str(&format!("Policy v{version}, {}.\n", code(&digest[..12])));
        }
        None => out.push_str("No policy says who reviews: nothing is held back.\n"),
    }
    let mut left = 0;
    if !reading.open.is_empty() {
        out.push_str("\n**Left open by the plan**\n\n");
        for one in &reading.open {
            let line = format!(
                "- {} {} Next: {} ({})\n",
                code(&one.address),
                plain(&format!("{}.", one.why)),
                plain(&format!("{}.", one.next)),
                one.code
            );
            push(&mut out, &line, &mut left);
        }
    }
    for (at, card) in reading.cards.iter().enumerate() {
        let is_open = at < OPEN && !card.may();
        let text = block(card, is_open);
        push(&mut out, &text, &mut left);
    }
    if left > 0 {
        out.push_str(&format!(
            "\n{left} more {} did not fit here: the page and the JSON have all of them.\n",
            plural(left, "change")
        ));
    }
    let foot = match reading.may() {
        true => "\nIt may be applied.\n",
        false => "\nIt may not be applied yet.\n",
    };
    out.push_str(foot);
    out.truncate(out.trim_end().len());
    out
}

/// Adds what fits whole.
fn push(out: &mut String, part: &str, left: &mut usize) {
    match out.len() + part.len() + ROOM <= LONGEST {
        true => out.push_str(part),
        false => *left += 1,
    }
}

/// So many differences are listed of one card.
const DIFFERENCES: usize = 60;

fn block(card: &Card, is_open: bool) -> String {
    let change = &card.asked.change;
    let level = match card.level() {
        "" => String::new(),
        level => format!(" · <b>{}</b>", level.to_uppercase()),
    };
    let state = if card.may() { "may be applied" } else { "not approved" };
    let open = if is_open { " open" } else { "" };
    let mut out = format!(
        "\n<details{open}><summary>{} {}{level} · {state}</summary>\n\n",
        code(&card.address),
        words::deed(change),
    );
    let why = match card.asked.why.is_empty() {
        true => String::new(),
        false => format!(": {}", card.asked.why.join(", ")),
    };
    out.push_str(&format!(
        "{} {} {}\n\n",
        code(&change.kind),
        code(&card.asked.object),
        plain(&format!("{}{why}. {}", card.asked.facts.direction, card.reasons().join("; "))),
    ));
    let differences = change.differences();
    if !differences.is_empty() {
        out.push_str("| | what | before | after |\n|---|---|---|---|\n");
    }
    for one in differences.iter().take(DIFFERENCES) {
        let side = |value: &Option<policy::change::Value>| {
            value.as_ref().map_or(String::new(), |value| code(&words::plain(value)))
        };
        let action = card
            .action_of(one)
            .map_or(String::new(), |action| format!(" ({action}: {})", words::meaning(action)));
        out.push_str(&format!(
            "| {} | {}{} | {} | {} |\n",
            words::sign(one),
            plain(&words::label(&one.path)),
            plain(&action),
            side(&one.before),
            side(&one.after)
        ));
    }
    if differences.len() > DIFFERENCES {
        out.push_str(&format!("\n… and {} more.\n", differences.len() - DIFFERENCES));
    }
    if let Some(blast) = &card.blast {
        out.push_str(&format!(
            "\nReaches before: {}<br>after: {}\n",
            plain(&blast.before.line()),
            plain(&blast.after.line())
        ));
    }
    out.push_str(&format!("\nChange {}\n", code(&card.digest.to_string())));
    if let Some(needs) = &card.needs {
        out.push_str(&format!("\n- {}\n", plain(needs)));
    }
    if let Some(judged) = &card.judged {
        for (who, role) in &judged.tally.have {
            let key = judged.signed.get(who).map_or("key", |(_, presence)| key_words(*presence));
            let key = key.trim_end_matches(',');
            out.push_str(&format!(
                "- signed by {}\n",
                plain(&format!("{who} as {role}, with a {key}"))
            ));
        }
        if let Some(who) = judged.tally.broken_by.as_ref().filter(|_| judged.tally.may_break()) {
            let text = format!("{who} goes ahead alone, and owes a review");
            out.push_str(&format!("- {}\n", plain(&text)));
        }
        for who in &judged.tally.rejected_by {
            out.push_str(&format!("- **rejected** by {}\n", plain(who)));
        }
        for one in &judged.tally.discounted {
            let text = format!("does not count: {} {} ({})", one.principal, one.why, one.code);
            out.push_str(&format!("- {}\n", plain(&text)));
        }
    }
    for problem in card.unseen.iter().chain(&card.held) {
        out.push_str(&format!("- {}\n", plain(&crate::report::one_line(problem))));
    }
    if let Some(next) = &card.next {
        out.push_str(&format!("- next: {}\n", code(next)));
    }
    out.push_str("\n</details>\n");
    out
}
