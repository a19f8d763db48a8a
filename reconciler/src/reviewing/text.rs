//! For people at a terminal.

use domain::Action;
use policy::change::impact::Level;

use super::{
    card::{Card, Open, Reading},
    words,
};
use crate::{
    exit::Exit,
    output::{BOLD, DIM, GREEN, RED, YELLOW, styled},
    report::{one_line, spelled},
};

/// The whole of it.
pub(crate) fn render(reading: &Reading) -> String {
    let mut blocks = vec![headline(reading)];
    blocks.extend(reading.cards.iter().map(card));
    if !reading.open.is_empty() {
        let mut lines = vec![styled(BOLD, "Left open by the plan")];
        lines.extend(reading.open.iter().map(open));
        blocks.push(lines.join("\n"));
    }
    blocks.push(foot(reading));
    blocks.join("\n\n")
}

/// What is missing, and nothing else.
pub(crate) fn missing(reading: &Reading) -> String {
    let mut blocks: Vec<String> = reading.cards.iter().filter(|one| !one.may()).map(card).collect();
    let counting: Vec<String> = reading.open.iter().filter(|one| one.counts).map(open).collect();
    if !counting.is_empty() {
        blocks.push(format!("{}\n{}", styled(BOLD, "Nobody can review"), counting.join("\n")));
    }
    blocks.push(match reading.verdict() {
        Exit::Clean => styled(GREEN, &format!("May be applied: {}.", reading.headline())),
        _ => styled(RED, &format!("Not to be applied: {}.", reading.headline())),
    });
    blocks.join("\n\n")
}

fn headline(reading: &Reading) -> String {
    let policy = match &reading.policy {
        Some((version, digest)) => format!("policy v{version} ({})", &digest[..12]),
        None => "no policy says who reviews: nothing is held back".to_owned(),
    };
    let core = reading.core.as_ref().map_or(String::new(), |one| format!(", planned by {one}"));
    format!(
        "{}\n{}",
        styled(BOLD, &format!("nhi review: {}", reading.headline())),
        styled(DIM, &format!("{}{}, {policy}", spelled(&reading.from), spelled(&core)))
    )
}

fn foot(reading: &Reading) -> String {
    let mut parts = Vec::new();
    if reading.unchanged > 0 {
        parts.push(format!("{} of ours unchanged", reading.unchanged));
    }
    if reading.others > 0 {
        parts.push(format!("{} changes of others, which nothing here reviews", reading.others));
    }
    let rest = if parts.is_empty() { String::new() } else { format!(" {}.", parts.join(", ")) };
    let said = match reading.verdict() {
        Exit::Clean => format!("{}{rest}", styled(GREEN, "It may be applied.")),
        _ => format!("{}{rest}", styled(RED, "It may not be applied yet.")),
    };
    match reading.shown() {
        Some(hash) => {
            let all = format!("Shown, of all that need somebody (nhi approve --all-of): {hash}");
            format!("{said}\n{}", styled(DIM, &all))
        }
        None => said,
    }
}

fn style_of(level: Option<Level>) -> anstyle::Style {
    match level {
        Some(Level::Critical | Level::High) => RED,
        Some(Level::Medium) => YELLOW,
        Some(Level::Low) => GREEN,
        None => DIM,
    }
}

/// One card.
pub(crate) fn card(card: &Card) -> String {
    let change = &card.asked.change;
    let level = card.judged.as_ref().map(|one| one.impact.level);
    let word = card.level().to_uppercase();
    let mut lines = vec![format!(
        "{} {} {}",
        styled(BOLD, &spelled(&card.address)),
        words::deed(change),
        styled(style_of(level), &word),
    )];
    let mut row = |name: &str, text: String| lines.push(format!("  {name:<9} {text}"));
    row("object", format!("{} {}", change.kind, spelled(&card.asked.object)));
    if let Some(previous) = &card.previous_address {
        row("moved", format!("from {}", spelled(previous)));
    }
    if card.imports {
        row("imported", "it is there already and is taken under management".to_owned());
    }
    if let Some(reason) = &card.reason {
        row("reason", spelled(reason));
    }
    let direction = card.asked.facts.direction.to_string();
    let why = match card.asked.why.is_empty() {
        true => direction,
        false => format!("{direction}: {}", spelled(&card.asked.why.join(", "))),
    };
    row("power", why);
    if !card.reasons().is_empty() {
        row("impact", spelled(&card.reasons().join("; ")));
    }
    for one in change.differences() {
        let action = card.action_of(&one).map(said).unwrap_or_default();
        let style = match words::sign(&one) {
            '+' => GREEN,
            '-' => RED,
            _ => YELLOW,
        };
        lines.push(format!("  {}{action}", styled(style, &words::line(&one))));
    }
    let mut row = |name: &str, text: String| lines.push(format!("  {name:<9} {text}"));
    if let Some(blast) = &card.blast {
        row("reaches", format!("before: {}", spelled(&blast.before.line())));
        row("", format!("after:  {}", spelled(&blast.after.line())));
        for one in blast.after.reached.iter().filter(|one| !blast.before.reached.contains(one)) {
            let sources: Vec<&str> = one.sources.iter().map(String::as_str).collect();
            row("", format!("  {} by {}", spelled(&one.name), spelled(&sources.join(", "))));
        }
        for (of, why) in &blast.after.unknown {
            row("", format!("  not known of {}: {}", spelled(of), spelled(why)));
        }
    }
    row("change", card.digest.to_string());
    if let Some(needs) = &card.needs {
        row("board", spelled(needs));
    }
    if let Some(judged) = &card.judged {
        for (who, role) in &judged.tally.have {
            let signed = judged.signed.get(who);
            let signed = signed.map_or(String::new(), |(at, presence)| {
                let at = at.strftime("%Y-%m-%dT%H:%MZ");
                format!(", with a {} signed {at}", key_words(*presence))
            });
            let text = format!("{} as {}{signed}", spelled(who), spelled(role));
            row("have", styled(GREEN, &text));
        }
        if let Some(who) = judged.tally.broken_by.as_ref().filter(|_| judged.tally.may_break()) {
            let text = format!("by {}, who goes ahead and owes a review", spelled(who));
            row("alone", styled(YELLOW, &text));
        }
        for one in &judged.tally.discounted {
            let (who, why) = (spelled(&one.principal), spelled(&one.why));
            row("not", format!("{who} {why} ({})", one.code));
        }
        for one in &judged.unread {
            let (place, why) = (spelled(&one.place), spelled(&one.why));
            row("not", format!("{place}: {why} ({})", one.code));
        }
        for who in &judged.tally.rejected_by {
            row("rejected", styled(RED, &format!("by {}", spelled(who))));
        }
        if !judged.tally.roles_missing.is_empty() {
            let roles: Vec<&str> = judged.tally.roles_missing.iter().map(String::as_str).collect();
            row("missing", format!("somebody of {}", spelled(&roles.join(", "))));
        }
    }
    if let Some(problem) = &card.unseen {
        row("unread", styled(YELLOW, &spelled(&one_line(problem))));
    }
    if let Some(problem) = &card.held {
        row("held", styled(YELLOW, &spelled(&one_line(problem))));
    }
    if let Some(next) = &card.next {
        row("next", spelled(next));
    }
    lines.join("\n")
}

/// What a key shows, in words.
pub(crate) fn key_words(presence: policy::change::quorum::Presence) -> &'static str {
    use policy::change::quorum::Presence;
    match presence {
        Presence::Key => "key",
        Presence::Touched => "hardware key that was touched,",
        Presence::Verified => "hardware key that asked who uses it,",
    }
}

fn said(action: Action) -> String {
    format!("  {}", styled(DIM, &format!("({action}: {})", words::meaning(action))))
}

fn open(one: &Open) -> String {
    format!(
        "  {} {}\n    next {} ({})",
        styled(BOLD, &spelled(&one.address)),
        spelled(&one.why),
        spelled(&one.next),
        one.code
    )
}
