//! Where whoever has an integration gets to, drawn: what was reached and is, what comes and what goes. It is
//! a picture beside words: everything in it stands in the list as well.

use std::{collections::BTreeMap, fmt::Write as _};

use super::blast::{Blast, Reached};
use crate::report::html::escaped;

/// So many things are drawn; the list has all.
const MOST: usize = 10;
const ROW: usize = 34;

/// What became of one thing that is reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fate {
    Comes,
    Goes,
    Changes,
    Stays,
}

impl Fate {
    pub(crate) fn word(self) -> &'static str {
        match self {
            Fate::Comes => "new",
            Fate::Goes => "gone",
            Fate::Changes => "changed",
            Fate::Stays => "as before",
        }
    }

    pub(crate) fn class(self) -> &'static str {
        match self {
            Fate::Comes => "comes",
            Fate::Goes => "goes",
            Fate::Changes => "changes",
            Fate::Stays => "stays",
        }
    }
}

/// Both sides as one list: what comes first, then what changes, goes and stays.
pub(crate) fn fates(blast: &Blast) -> Vec<(Fate, &Reached, Option<&Reached>)> {
    let by = |all: &'_ [Reached]| -> BTreeMap<(&'static str, String), usize> {
        all.iter().enumerate().map(|(at, one)| ((one.kind, one.name.clone()), at)).collect()
    };
    let (was, is) = (by(&blast.before.reached), by(&blast.after.reached));
    let mut all = Vec::new();
    for one in &blast.after.reached {
        let before = was.get(&(one.kind, one.name.clone())).map(|at| &blast.before.reached[*at]);
        let fate = match before {
            None => Fate::Comes,
            Some(before) if before == one => Fate::Stays,
            Some(_) => Fate::Changes,
        };
        all.push((fate, one, before));
    }
    let gone = |one: &&Reached| !is.contains_key(&(one.kind, one.name.clone()));
    all.extend(blast.before.reached.iter().filter(gone).map(|one| (Fate::Goes, one, Some(one))));
    let rank = |fate: Fate| match fate {
        Fate::Comes => 0,
        Fate::Changes => 1,
        Fate::Goes => 2,
        Fate::Stays => 3,
    };
    all.sort_by_key(|(fate, ..)| rank(*fate));
    all
}

fn clipped(text: &str, longest: usize) -> String {
    match text.char_indices().nth(longest) {
        Some((at, _)) => format!("{}…", &text[..at]),
        None => text.to_owned(),
    }
}

/// The picture; nothing where there is nothing to draw.
pub(crate) fn draw(name: &str, blast: &Blast) -> Option<String> {
    let all = fates(blast);
    let unknown = &blast.after.unknown;
    if all.is_empty() && unknown.is_empty() {
        return None;
    }
    let drawn = all.len().min(MOST);
    let rows = drawn + usize::from(all.len() > MOST) + usize::from(!unknown.is_empty());
    let height = rows * ROW + 12;
    let middle = height / 2;
    let mut out = format!(
        "<svg class=\"blast\" viewBox=\"0 0 720 {height}\" role=\"img\" aria-label=\"{}\">",
        escaped(&format!(
            "What {name} reaches: {} things after the change; the list below names them",
            blast.after.reached.len()
        ))
    );
    let short = name.rsplit('/').next().unwrap_or(name);
    let _ = write!(
        out,
        "<rect x=\"4\" y=\"{}\" width=\"170\" height=\"26\" rx=\"5\"/><text x=\"89\" y=\"{}\" \
         text-anchor=\"middle\">{}</text>",
        middle - 13,
        middle + 5,
        escaped(&clipped(short, 22))
    );
    let mut line = |at: usize, class: &str, label: &str, to: &str| {
        let y = 6 + at * ROW + ROW / 2;
        let _ = write!(
            out,
            "<g class=\"{class}\"><path d=\"M174 {middle} C 250 {middle} 250 {y} 320 {y} L 440 {y}\"/>\
             <text x=\"380\" y=\"{}\" text-anchor=\"middle\" class=\"edge\">{}</text>\
             <rect x=\"440\" y=\"{}\" width=\"276\" height=\"26\" rx=\"5\"/>\
             <text x=\"450\" y=\"{}\">{}</text></g>",
            y - 5,
            escaped(&clipped(label, 18)),
            y - 13,
            y + 5,
            escaped(&clipped(to, 34)),
        );
    };
    for (at, (fate, one, before)) in all.iter().take(MOST).enumerate() {
        let action = |one: &Reached| one.action.map_or("leads on", domain::Action::as_str);
        let label = match (fate, before) {
            (Fate::Changes, Some(before)) if action(before) != action(one) => {
                format!("{} → {}", action(before), action(one))
            }
            _ => action(one).to_owned(),
        };
        let sign = match fate {
            Fate::Comes => "+ ",
            Fate::Goes => "− ",
            Fate::Changes => "~ ",
            Fate::Stays => "",
        };
        line(at, fate.class(), &label, &format!("{sign}{}", one.name));
    }
    let mut at = drawn;
    if all.len() > MOST {
        line(at, "stays", "", &format!("and {} more", all.len() - MOST));
        at += 1;
    }
    if !unknown.is_empty() {
        let to = format!("? {} not known", unknown.len());
        line(at, "unknown", "unknown", &to);
    }
    out.push_str("</svg>");
    Some(out)
}
