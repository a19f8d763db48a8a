//! How changes are reviewed: the member `review`.

use std::collections::{BTreeMap, BTreeSet};

use domain::{Action, Span};
use policy::change::{
    self,
    impact::{Level, Rule, When},
    quorum::{Board, BreakGlass, Presence, Quorum},
    review::Review,
    standing::Class,
};

use super::{flag, span, standing, text, texts};
use crate::tree::{ConfigError, Node, Place, wrong};

/// Its members; the first three must be there.
const MEMBERS: [&str; 14] = [
    "version",
    "domain",
    "signers",
    "revoked",
    "approvals",
    "quorum",
    "roles",
    "owners",
    "impact",
    "break_glass",
    "usual_impact",
    "freeze",
    "standing",
    "requesters",
];

/// What a level needs.
const QUORUM: [&str; 5] = ["people", "roles", "each", "key", "longest"];

/// A rule of impact.
const RULE: [&str; 3] = ["when", "level", "why"];

/// When a rule holds.
const WHEN: [&str; 8] = [
    "widens",
    "deeds",
    "action_at_least",
    "environments",
    "execution_modes",
    "kinds",
    "takes_last_credential",
    "removes_owner",
];

pub(super) fn read(node: &Node, place: &Place) -> Result<Review, ConfigError> {
    let Node::Map(all) = node else {
        return Err(wrong(place, "expected { version = 1, domain = \"…\", signers = \"…\" }"));
    };
    if let Some(name) = all.keys().find(|name| !MEMBERS.contains(&name.as_str())) {
        return Err(unknown(&place.join(name), &MEMBERS));
    }
    let needed = |name: &str| match all.get(name) {
        Some(node) => Ok((node, place.join(name))),
        None => Err(wrong(&place.join(name), "must be set")),
    };
    let (version, at) = needed("version")?;
    let version = match version {
        Node::Count(count) if *count > 0 => count.unsigned_abs(),
        _ => return Err(wrong(&at, "expected a whole number above 0")),
    };
    let (domain, at) = needed("domain")?;
    let domain = said(domain, &at)?;
    let is_part = |c: char| c.is_ascii_alphanumeric() || "-.".contains(c);
    if !domain.chars().all(is_part) {
        return Err(wrong(&at, "expected a domain such as \"acme.example\""));
    }
    let (signers, at) = needed("signers")?;
    let signers = said(signers, &at)?;
    let at = |name: &str| all.get(name).map(|node| (node, place.join(name)));
    let revoked = at("revoked").map(|(node, place)| said(node, &place)).transpose()?;
    let approvals = match at("approvals") {
        Some((node, place)) => said(node, &place)?,
        None => "approvals".to_owned(),
    };
    let quorum = match at("quorum") {
        Some((node, place)) => quorums(node, &place)?,
        None => Review::usual_quorum(),
    };
    let people = |name: &str| match at(name) {
        Some((node, place)) => by_name(node, &place),
        None => Ok(BTreeMap::new()),
    };
    let mut rules = match at("impact") {
        Some((node, place)) => rules(node, &place)?,
        None => Vec::new(),
    };
    let usual_impact = match at("usual_impact") {
        Some((node, place)) => flag(node, &place)?,
        None => true,
    };
    if usual_impact {
        rules.extend(Review::usual_rules());
    }
    let freezes = match at("freeze") {
        Some((node, place)) => standing::freezes(node, &place)?,
        None => Vec::new(),
    };
    let open = match at("standing") {
        Some((node, place)) => standing::classes(node, &place)?,
        None => Class::usual(),
    };
    let requesters = match at("requesters") {
        Some((node, place)) => standing::vouchers(node, &place)?,
        None => BTreeMap::new(),
    };
    let (roles, owners) = (people("roles")?, people("owners")?);
    if roles.contains_key(change::quorum::OWNER) {
        let text = "the role of an object's owners is given by owners, for each owner apart";
        return Err(wrong(&place.join("roles").join(change::quorum::OWNER), text));
    }
    let break_glass = at("break_glass").map(|(node, place)| glass(node, &place)).transpose()?;
    let board = Board { quorum, roles, break_glass };
    Ok(Review {
        version,
        domain,
        signers,
        revoked,
        approvals,
        board,
        owners,
        rules,
        usual_impact,
        freezes,
        standing: open,
        requesters,
    })
}

fn unknown(place: &Place, known: &[&str]) -> ConfigError {
    wrong(place, format!("nothing of this name is read here. Known: {}", known.join(", ")))
}

/// A text that says something.
fn said(node: &Node, place: &Place) -> Result<String, ConfigError> {
    match text(node, place)?.trim() {
        "" => Err(wrong(place, "must say something")),
        text => Ok(text.to_owned()),
    }
}

/// Lists of people by a name.
fn by_name(node: &Node, place: &Place) -> Result<BTreeMap<String, BTreeSet<String>>, ConfigError> {
    let Node::Map(all) = node else {
        return Err(wrong(place, "expected { name = [\"ann@acme.example\"] }"));
    };
    all.iter().map(|(name, node)| Ok((name.clone(), texts(node, &place.join(name))?))).collect()
}

fn level(word: &str, place: &Place) -> Result<Level, ConfigError> {
    Level::from_word(word)
        .ok_or_else(|| wrong(place, "expected \"low\", \"medium\", \"high\" or \"critical\""))
}

fn quorums(node: &Node, place: &Place) -> Result<BTreeMap<Level, Quorum>, ConfigError> {
    let Node::Map(all) = node else {
        return Err(wrong(place, "expected { high = { people = 2 } }"));
    };
    let one = |(name, node): (&String, &Node)| {
        let place = place.join(name);
        Ok((level(name, &place)?, quorum(node, &place)?))
    };
    all.iter().map(one).collect()
}

fn quorum(node: &Node, place: &Place) -> Result<Quorum, ConfigError> {
    let Node::Map(all) = node else { return Err(wrong(place, "expected { people = 2 }")) };
    if let Some(name) = all.keys().find(|name| !QUORUM.contains(&name.as_str())) {
        return Err(unknown(&place.join(name), &QUORUM));
    }
    let at = |name: &str| all.get(name).map(|node| (node, place.join(name)));
    let set = |name: &str| at(name).map_or(Ok(BTreeSet::new()), |(node, at)| texts(node, &at));
    let people = match at("people") {
        Some((Node::Count(count), at)) => {
            usize::try_from(*count).map_err(|_| wrong(&at, "expected 0 or more"))?
        }
        Some((_, at)) => return Err(wrong(&at, "expected a whole number")),
        None => return Err(wrong(&place.join("people"), "must be set")),
    };
    let each = set("each")?;
    if each.len() > people {
        let text = format!("{} roles must be among {people} people", each.len());
        return Err(wrong(&place.join("each"), text));
    }
    Ok(Quorum {
        people,
        roles: set("roles")?,
        each,
        presence: match at("key") {
            Some((node, at)) => presence(node, &at)?,
            None => Presence::Key,
        },
        longest: at("longest")
            .map_or(Ok(Span::from_secs(7 * 86_400)), |(node, at)| span(node, &at))?,
    })
}

/// The longest that anybody may go ahead alone.
const HOUR: Span = Span::from_secs(3600);

/// Who may break the glass.
const GLASS: [&str; 5] = ["people", "key", "longest", "changes", "review_within"];

fn glass(node: &Node, place: &Place) -> Result<BreakGlass, ConfigError> {
    let Node::Map(all) = node else {
        return Err(wrong(place, "expected { people = [\"ann@acme.example\"] }"));
    };
    if let Some(name) = all.keys().find(|name| !GLASS.contains(&name.as_str())) {
        return Err(unknown(&place.join(name), &GLASS));
    }
    let at = |name: &str| all.get(name).map(|node| (node, place.join(name)));
    let people = at("people").map(|(node, at)| texts(node, &at)).transpose()?;
    let people = people
        .filter(|people| !people.is_empty())
        .ok_or_else(|| wrong(&place.join("people"), "must name somebody"))?;
    let longest = at("longest").map_or(Ok(HOUR), |(node, at)| {
        let longest = span(node, &at)?;
        match longest > HOUR {
            true => Err(wrong(&at, "nobody goes ahead alone for longer than 1h")),
            false => Ok(longest),
        }
    })?;
    let changes = match at("changes") {
        None => 5,
        Some((Node::Count(count), _)) if *count > 0 => {
            usize::try_from(*count).unwrap_or(usize::MAX)
        }
        Some((_, at)) => return Err(wrong(&at, "expected a whole number above 0")),
    };
    let review_within = at("review_within")
        .map_or(Ok(Span::from_secs(3 * 86_400)), |(node, at)| span(node, &at))?;
    let presence = at("key").map(|(node, at)| presence(node, &at)).transpose()?;
    let presence = presence.unwrap_or(Presence::Touched);
    Ok(BreakGlass { people, presence, longest, changes, review_within })
}

fn presence(node: &Node, place: &Place) -> Result<Presence, ConfigError> {
    Presence::from_word(text(node, place)?)
        .ok_or_else(|| wrong(place, "expected \"key\", \"touched\" or \"verified\""))
}

fn rules(node: &Node, place: &Place) -> Result<Vec<Rule>, ConfigError> {
    let Node::List(all) = node else {
        return Err(wrong(
            place,
            "expected a list of { when = { … }, level = \"high\", why = \"…\" }",
        ));
    };
    all.iter().enumerate().map(|(index, node)| rule(node, &place.join(index))).collect()
}

fn rule(node: &Node, place: &Place) -> Result<Rule, ConfigError> {
    let Node::Map(all) = node else {
        return Err(wrong(place, "expected { when = { … }, level = \"high\", why = \"…\" }"));
    };
    if let Some(name) = all.keys().find(|name| !RULE.contains(&name.as_str())) {
        return Err(unknown(&place.join(name), &RULE));
    }
    let member = |name: &str| match all.get(name) {
        Some(node) => Ok((node, place.join(name))),
        None => Err(wrong(&place.join(name), "must be set")),
    };
    let (to, at) = member("level")?;
    let level = level(text(to, &at)?, &at)?;
    let (why, at) = member("why")?;
    let why = said(why, &at)?;
    let (node, at) = member("when")?;
    Ok(Rule { when: when(node, &at)?, level, why })
}

fn when(node: &Node, place: &Place) -> Result<When, ConfigError> {
    let Node::Map(all) = node else { return Err(wrong(place, "expected { widens = true }")) };
    let mut when = When::default();
    for (name, node) in all {
        let place = place.join(name);
        match name.as_str() {
            "widens" => when.widens = Some(flag(node, &place)?),
            "deeds" => {
                for word in texts(node, &place)? {
                    let deed = change::Action::from_word(&word).ok_or_else(|| {
                        let known: Vec<&str> =
                            change::Action::ALL.iter().map(|one| one.as_str()).collect();
                        wrong(&place, format!("{word:?} is none of {}", known.join(", ")))
                    })?;
                    when.deeds.insert(deed);
                }
            }
            "action_at_least" => {
                let action = text(node, &place)?.parse::<Action>();
                when.action_at_least =
                    Some(action.map_err(|error| wrong(&place, error.to_string()))?);
            }
            "environments" => when.environments = texts(node, &place)?,
            "execution_modes" => when.execution_modes = texts(node, &place)?,
            "kinds" => when.kinds = texts(node, &place)?,
            "takes_last_credential" => when.takes_last_credential = Some(flag(node, &place)?),
            "removes_owner" => when.removes_owner = Some(flag(node, &place)?),
            _ => return Err(unknown(&place, &WHEN)),
        }
    }
    Ok(when)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy_file::parse_span;

    fn of(text: &str) -> Result<Review, String> {
        let node = Node::parse_hcl(text).unwrap();
        read(node.member("review"), &Place::default().join("review"))
            .map_err(|error| error.to_string())
    }

    const LEAST: &str =
        "review = { version = 3, domain = \"acme.example\", signers = \"allowed_signers\" MORE }";

    fn with(more: &str) -> Result<Review, String> {
        of(&LEAST.replace(" MORE", more))
    }

    #[test]
    fn what_is_not_said_has_a_default_that_a_small_team_can_live_with() {
        let review = with("").unwrap();
        assert_eq!(review.version, 3);
        assert_eq!(review.approvals, "approvals");
        assert_eq!(review.board.quorum[&Level::High].people, 2);
        assert_eq!(review.board.quorum[&Level::Low].people, 0);
        assert_eq!(review.rules, Review::usual_rules());
        assert!(review.own_rules().is_empty() && review.standing == Class::usual());
    }

    #[test]
    fn what_is_said_is_read() {
        let review = with(
            ", revoked = \"krl\", approvals = \"signed\",
             roles = { security = [\"sam@acme.example\"] }, owners = { payments = [\"ann@acme.example\"] },
             quorum = { high = { people = 2, roles = [\"owner\", \"security\"], each = [\"security\"],
                                 key = \"touched\", longest = \"4h\" } },
             impact = [{ when = { widens = true, deeds = [\"create\"], action_at_least = \"write\",
                                  environments = [\"production\"], execution_modes = [\"agent\"],
                                  kinds = [\"nhi_scope\"], takes_last_credential = false,
                                  removes_owner = false }, level = \"critical\", why = \"it may write\" }]",
        )
        .unwrap();
        let high = &review.board.quorum[&Level::High];
        assert_eq!((high.people, high.presence), (2, Presence::Touched));
        assert_eq!(high.longest, parse_span("4h").unwrap());
        assert_eq!(review.rules[0].level, Level::Critical);
        assert_eq!(review.rules[0].when.action_at_least, Some(Action::Write));
        assert_eq!(review.own_rules().len(), 1);
        assert_eq!(review.rules.len(), 1 + Review::usual_rules().len(), "a rule only raises");
        assert_eq!(
            review.speaking_for(["owner/payments", "owner/nobody"]),
            BTreeSet::from(["ann@acme.example".to_owned()])
        );
    }

    #[test]
    fn what_is_wrong_is_told_with_its_place() {
        for (more, told) in [
            (", usual_impact = 1", "review.usual_impact: expected true or false"),
            (", standing = []", "review.standing: \"narrowing\" must be"),
            (", freeze = {}", "review.freeze: expected a list"),
            (", requesters = { ci = { issuer = \"x\" } }", "review.requesters.ci"),
            (", versions = 3", "review.versions: nothing of this name"),
            (", roles = { owner = [\"x\"] }", "review.roles.owner"),
            (", quorum = { severe = { people = 1 } }", "review.quorum.severe: expected \"low\""),
            (", quorum = { high = { people = \"two\" } }", "review.quorum.high.people"),
            (", quorum = { high = {} }", "review.quorum.high.people: must be set"),
            (", quorum = { high = { people = 1, key = \"gold\" } }", "review.quorum.high.key"),
            (
                ", quorum = { high = { people = 1, each = [\"a\", \"b\"] } }",
                "review.quorum.high.each",
            ),
            (", approvals = \" \"", "review.approvals: must say"),
            (", break_glass = {}", "review.break_glass.people: must name"),
            (
                ", break_glass = { people = [\"e\"], longest = \"2h\" }",
                "review.break_glass.longest: nobody",
            ),
            (", impact = [{ level = \"high\", why = \"x\" }]", "review.impact.0.when: must be set"),
            (
                ", impact = [{ when = { deeds = [\"burn\"] }, level = \"high\", why = \"x\" }]",
                "review.impact.0.when.deeds: \"burn\"",
            ),
        ] {
            let error = with(more).unwrap_err();
            assert!(error.contains(told), "{more}: {error}");
        }
        assert!(of("review = { version = 0 }").unwrap_err().contains("review.version"));
        let odd = LEAST.replace(" MORE", "").replace("acme.example", "acme example");
        assert!(of(&odd).unwrap_err().contains("review.domain"));
    }
}
