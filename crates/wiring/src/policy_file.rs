//! `policy.hcl` in its first form: thresholds and required fields, typed, each with a default.

mod review;
mod standing;

use std::collections::BTreeSet;

use domain::{Action, Span};
use policy::{
    Rules,
    findings::{Severity, named},
    rules::{Thresholds, Unattended, Verdict, Wildcards},
    task::Task,
    telling::Telling,
    waiver::{Waiver, can_be_waived},
};

use crate::tree::{ConfigError, Node, Place, wrong};

/// The members and what they hold, as errors list them.
const MEMBERS: &[&str] = &[
    "environments",
    "environment_words",
    "require_expires_on",
    "require_review_every",
    "require_schedule",
    "require_logs",
    "require_offboarding_owner",
    "require_stop_within",
    "stop_within_longest",
    "two_owners_from",
    "owner_grace",
    "owner_left",
    "owner_left_revoke_after",
    "unowned_grace",
    "expired",
    "expired_revoke_after",
    "workflow_gone",
    "review_grace",
    "temporary_longest",
    "wildcards",
    "claim_ttl",
    "claim_ttl_timed",
    "call_deadline",
    "settle",
    "interruption_max",
    "deliver_by",
    "soft_cut_for",
    "proof_deadline",
    "quiet_for",
    "overlap_max",
    "old_still_used",
    "lock_timeout",
    "keep_entries",
    "findings",
    "standing",
    "owners_told",
    "waivers",
    "tasks",
    "review",
];

/// The members of `findings`.
const THRESHOLDS: &[&str] = &[
    "credential_oldest",
    "credential_longest",
    "credential_ends",
    "dormant_after",
    "domains_most",
    "systems_most",
    "severity",
];

/// What is done between applies without a person.
const STANDING: &[&str] =
    &["rotate", "retire", "remove_temporary", "disable_expired", "disable_ownerless"];

/// The members of a waiver: each is a text, and each must be there.
const WAIVER: [&str; 7] = ["rule", "object", "facet", "reason", "owner", "approver", "ends_on"];

/// The members of a task: the first three must be there.
const TASK: [&str; 6] = ["what", "owner", "first_by", "every", "each", "drill"];

/// Reads the rules.
///
/// # Errors
///
/// The first thing that is wrong, with its place and what is expected.
pub fn read_rules(body: &Node) -> Result<Rules, ConfigError> {
    let root = Place::default();
    let Node::Map(map) = body else { return Err(wrong(&root, "expected attributes")) };
    let mut rules = Rules::default();
    for (name, node) in map {
        let place = root.join(name);
        match name.as_str() {
            "environments" => rules.environments = texts(node, &place)?,
            "environment_words" => {
                let Node::Map(all) = node else {
                    return Err(wrong(&place, "expected { environment = [\"word\"] }"));
                };
                for (environment, words) in all {
                    let words = texts(words, &place.join(environment))?;
                    let words = words.into_iter().map(|word| word.to_lowercase()).collect();
                    rules.environment_words.insert(environment.clone(), words);
                }
            }
            "require_expires_on" => rules.require_expires_on = flag(node, &place)?,
            "require_review_every" => rules.require_review_every = flag(node, &place)?,
            "require_schedule" => rules.require_schedule = flag(node, &place)?,
            "require_logs" => rules.require_logs = flag(node, &place)?,
            "require_offboarding_owner" => rules.require_offboarding_owner = flag(node, &place)?,
            "require_stop_within" => rules.require_stop_within = flag(node, &place)?,
            "stop_within_longest" => {
                rules.stop_within_longest = optional(node, &place, parse_span)?;
            }
            "workflow_gone" => rules.workflow_gone = verdict(node, &place)?,
            "two_owners_from" => {
                rules.two_owners_from = optional(node, &place, |text| {
                    text.parse::<Action>().map_err(|error| error.to_string())
                })?;
            }
            "owner_grace" => rules.owner_grace = span(node, &place)?,
            "owner_left" => rules.owner_left = verdict(node, &place)?,
            "owner_left_revoke_after" => {
                rules.owner_left_revoke_after = optional(node, &place, parse_span)?;
            }
            "unowned_grace" => rules.unowned_grace = optional(node, &place, parse_span)?,
            "expired" => rules.expired = verdict(node, &place)?,
            "expired_revoke_after" => {
                rules.expired_revoke_after = optional(node, &place, parse_span)?;
            }
            "review_grace" => rules.review_grace = optional(node, &place, parse_span)?,
            "temporary_longest" => rules.temporary_longest = span(node, &place)?,
            "wildcards" => {
                rules.wildcards = Wildcards::from_word(text(node, &place)?)
                    .ok_or_else(|| wrong(&place, "expected \"allow\", \"warn\" or \"refuse\""))?;
            }
            "claim_ttl" => rules.claim_ttl = at_least(span(node, &place)?, 30, &place)?,
            "claim_ttl_timed" => {
                rules.claim_ttl_timed = at_least(span(node, &place)?, 120, &place)?;
            }
            "call_deadline" => rules.call_deadline = at_least(span(node, &place)?, 5, &place)?,
            "settle" => rules.settle = at_least(span(node, &place)?, 60, &place)?,
            "interruption_max" => {
                rules.interruption_max = at_least(span(node, &place)?, 5, &place)?;
            }
            "deliver_by" => rules.deliver_by = at_least(span(node, &place)?, 900, &place)?,
            "soft_cut_for" => {
                let wanted = span(node, &place)?;
                // None at all is said by zero.
                rules.soft_cut_for = match wanted == Span::ZERO {
                    true => wanted,
                    false => at_least(wanted, 300, &place)?,
                };
            }
            "proof_deadline" => {
                rules.proof_deadline = at_least(span(node, &place)?, 900, &place)?;
            }
            "quiet_for" => rules.quiet_for = Some(at_least(span(node, &place)?, 300, &place)?),
            "overlap_max" => rules.overlap_max = Some(span(node, &place)?),
            "old_still_used" => {
                rules.asks_when_used = match text(node, &place)? {
                    "ask" => true,
                    "cut" => false,
                    _ => return Err(wrong(&place, "expected \"ask\" or \"cut\"")),
                };
            }
            "lock_timeout" => rules.lock_timeout = span(node, &place)?,
            "keep_entries" => {
                rules.keep_entries = Some(at_least(span(node, &place)?, 30 * 86_400, &place)?);
            }
            "findings" => rules.findings = thresholds(node, &place)?,
            "standing" => standing(node, &place, &mut rules.standing)?,
            "owners_told" => rules.telling = telling(node, &place)?,
            "waivers" => {
                let Node::List(items) = node else {
                    return Err(wrong(&place, "expected a list of waivers"));
                };
                for (at, item) in items.iter().enumerate() {
                    rules.waivers.push(waiver(item, &place.join(at))?);
                }
            }
            "tasks" => {
                let Node::Map(all) = node else {
                    return Err(wrong(&place, "expected { name = { what = \"…\" } }"));
                };
                for (name, node) in all {
                    rules.tasks.push(task(name, node, &place.join(name))?);
                }
            }
            "review" => rules.review = Some(review::read(node, &place)?),
            _ => {
                let text =
                    format!("nothing of this name is read here. Known: {}", MEMBERS.join(", "));
                return Err(wrong(&place, text));
            }
        }
    }
    // What was sent may be on its way still when nobody waits for it any more.
    let twice = rules.call_deadline.as_secs() * 2;
    if !map.iter().any(|(name, _)| name == "settle") {
        rules.settle = rules.settle.max(Span::from_secs(twice));
    }
    rules.settle = at_least(rules.settle, twice, &root.join("settle"))?;
    Ok(rules)
}

/// From when on something is told, and how much it matters.
fn thresholds(node: &Node, place: &Place) -> Result<Thresholds, ConfigError> {
    let Node::Map(all) = node else { return Err(wrong(place, "expected { name = value }")) };
    let mut most = Thresholds::default();
    for (name, node) in all {
        let place = place.join(name);
        match name.as_str() {
            "credential_oldest" => most.credential_oldest = optional(node, &place, parse_span)?,
            "credential_longest" => most.credential_longest = optional(node, &place, parse_span)?,
            "credential_ends" => most.credential_ends = flag(node, &place)?,
            "dormant_after" => most.dormant_after = optional(node, &place, parse_span)?,
            "domains_most" => most.domains_most = at_most(node, &place)?,
            "systems_most" => most.systems_most = at_most(node, &place)?,
            "severity" => {
                let Node::Map(all) = node else {
                    return Err(wrong(&place, "expected { \"rule\" = \"high\" }"));
                };
                for (rule, node) in all {
                    let severity = severity(rule, node, &place.join(rule))?;
                    most.severity.insert(rule.clone(), severity);
                }
            }
            _ => {
                let known = THRESHOLDS.join(", ");
                let text = format!("nothing of this name is read here. Known: {known}");
                return Err(wrong(&place, text));
            }
        }
    }
    Ok(most)
}

/// How much a rule matters here. What shows that the ground is false on which everything is judged is
/// not made lighter.
fn severity(word: &str, node: &Node, place: &Place) -> Result<Severity, ConfigError> {
    let Some(rule) = named(word).into_iter().find(|rule| rule.alias == word) else {
        return Err(wrong(place, "no finding has this rule; nhi explain lists them"));
    };
    let text = text(node, place)?;
    let known = Severity::ALL.into_iter().find(|severity| severity.as_str() == text);
    let severity = known.ok_or_else(|| {
        wrong(place, "expected \"info\", \"low\", \"medium\", \"high\" or \"critical\"")
    })?;
    if severity < rule.severity && !rule.waivable {
        return Err(wrong(place, "this one cannot be made lighter"));
    }
    Ok(severity)
}

/// When owners are told of what is theirs.
fn telling(node: &Node, place: &Place) -> Result<Telling, ConfigError> {
    let Node::Map(all) = node else {
        return Err(wrong(place, "expected { before = [\"30d\", \"7d\"] }"));
    };
    let mut telling = Telling::default();
    for (name, node) in all {
        let place = place.join(name);
        match name.as_str() {
            "before" => {
                for text in texts(node, &place)? {
                    let mark = parse_span(&text).map_err(|message| wrong(&place, message))?;
                    if mark == Span::ZERO {
                        return Err(wrong(&place, "a mark is some time before the end"));
                    }
                    telling.before.insert(mark);
                }
            }
            "findings" => {
                telling.findings = optional(node, &place, |text| {
                    let known = Severity::ALL.into_iter().find(|one| one.as_str() == text);
                    known.ok_or_else(|| {
                        "expected \"low\", \"medium\", \"high\", \"critical\" or \"never\""
                            .to_owned()
                    })
                })?;
            }
            _ => {
                let text = "nothing of this name is read here. Known: before, findings";
                return Err(wrong(&place, text));
            }
        }
    }
    Ok(telling)
}

fn standing(node: &Node, place: &Place, may: &mut Unattended) -> Result<(), ConfigError> {
    let Node::Map(map) = node else { return Err(wrong(place, "expected { rotate = true }")) };
    for (name, node) in map {
        let place = place.join(name);
        let member = match name.as_str() {
            "rotate" => &mut may.rotate,
            "retire" => &mut may.retire,
            "remove_temporary" => &mut may.remove_temporary,
            "disable_expired" => &mut may.disable_expired,
            "disable_ownerless" => &mut may.disable_ownerless,
            _ => {
                let known = STANDING.join(", ");
                let text = format!("nothing of this name is read here. Known: {known}");
                return Err(wrong(&place, text));
            }
        };
        *member = flag(node, &place)?;
    }
    Ok(())
}

fn text<'a>(node: &'a Node, place: &Place) -> Result<&'a str, ConfigError> {
    match node {
        Node::Text(text) => Ok(text),
        _ => Err(wrong(place, "expected a text in quotes")),
    }
}

fn texts(node: &Node, place: &Place) -> Result<BTreeSet<String>, ConfigError> {
    let Node::List(items) = node else { return Err(wrong(place, "expected a list of texts")) };
    items.iter().map(|item| text(item, place).map(str::to_owned)).collect()
}

fn flag(node: &Node, place: &Place) -> Result<bool, ConfigError> {
    match node {
        Node::Flag(flag) => Ok(*flag),
        _ => Err(wrong(place, "expected true or false")),
    }
}

fn parse_span(text: &str) -> Result<Span, String> {
    text.parse().map_err(|error: domain::span::SpanError| error.to_string())
}

fn span(node: &Node, place: &Place) -> Result<Span, ConfigError> {
    parse_span(text(node, place)?).map_err(|message| wrong(place, message))
}

/// `"never"` or null is none at all.
fn optional<T>(
    node: &Node,
    place: &Place,
    parse: impl Fn(&str) -> Result<T, String>,
) -> Result<Option<T>, ConfigError> {
    match node {
        Node::Null => Ok(None),
        Node::Text(text) if text == "never" => Ok(None),
        node => parse(text(node, place)?).map(Some).map_err(|message| wrong(place, message)),
    }
}

/// How many at most; `"never"` or null is any number.
fn at_most(node: &Node, place: &Place) -> Result<Option<u64>, ConfigError> {
    let none = matches!(node, Node::Null) || matches!(node, Node::Text(text) if text == "never");
    match node {
        Node::Count(count) if *count > 0 => Ok(u64::try_from(*count).ok()),
        _ if none => Ok(None),
        _ => Err(wrong(place, "expected a whole number above 0, or \"never\"")),
    }
}

fn verdict(node: &Node, place: &Place) -> Result<Verdict, ConfigError> {
    Verdict::from_word(text(node, place)?)
        .ok_or_else(|| wrong(place, "expected \"warn\", \"disable\" or \"revoke\""))
}

/// One waiver. It is narrow: of one rule, on objects that share a beginning.
fn waiver(node: &Node, place: &Place) -> Result<Waiver, ConfigError> {
    let whole = || format!("expected {{ {} }}, each a text", WAIVER.join(", "));
    let Node::Map(all) = node else { return Err(wrong(place, whole())) };
    if let Some(name) = all.keys().find(|name| !WAIVER.contains(&name.as_str())) {
        return Err(wrong(&place.join(name), whole()));
    }
    let member = |name: &str| match all.get(name) {
        Some(node) => match text(node, &place.join(name))?.trim() {
            "" => Err(wrong(&place.join(name), "must say something")),
            text => Ok(text.to_owned()),
        },
        None => Err(wrong(&place.join(name), whole())),
    };
    let found = Waiver {
        rule: member("rule")?,
        object: member("object")?,
        facet: member("facet")?,
        reason: member("reason")?,
        owner: member("owner")?,
        approver: member("approver")?,
        ends_on: member("ends_on")?
            .parse()
            .map_err(|_| wrong(&place.join("ends_on"), "expected a day such as \"2027-01-31\""))?,
    };
    if !can_be_waived(&found.rule) {
        let text = format!("nobody can waive {}: it would hide a theft", found.rule);
        return Err(wrong(&place.join("rule"), text));
    }
    if found.rule.contains(['*', '?']) {
        return Err(wrong(&place.join("rule"), "expected one rule"));
    }
    if found.object.starts_with(['*', '?']) {
        let text = "too wide: expected the beginning of an id at least, such as \"bao/*\"";
        return Err(wrong(&place.join("object"), text));
    }
    Ok(found)
}

/// One task of people.
fn task(name: &str, node: &Node, place: &Place) -> Result<Task, ConfigError> {
    let plain = |one: char| one.is_ascii_lowercase() || one.is_ascii_digit() || one == '-';
    if name.is_empty() || name.len() > 63 || !name.chars().all(plain) {
        return Err(wrong(place, "the name of a task has small letters, digits and -, 63 at most"));
    }
    let whole =
        || format!("expected {{ {} }}; what, owner and first_by must be there", TASK.join(", "));
    let Node::Map(all) = node else { return Err(wrong(place, whole())) };
    if let Some(name) = all.keys().find(|name| !TASK.contains(&name.as_str())) {
        return Err(wrong(&place.join(name), whole()));
    }
    let said = |name: &str| match all.get(name) {
        None | Some(Node::Null) => Ok(None),
        Some(node) => match text(node, &place.join(name))?.trim() {
            "" => Err(wrong(&place.join(name), "must say something")),
            text => Ok(Some(text.to_owned())),
        },
    };
    let must = |name: &str| said(name)?.ok_or_else(|| wrong(&place.join(name), whole()));
    let each = said("each")?;
    if each.as_ref().is_some_and(|each| each.starts_with(['*', '?'])) {
        let text =
            "too wide: expected the beginning of an id at least, such as \"none/third_party/*\"";
        return Err(wrong(&place.join("each"), text));
    }
    let every = match all.get("every") {
        None => None,
        Some(node) => optional(node, &place.join("every"), parse_span)?,
    };
    if every.is_some_and(|every| every.as_secs() < 86_400) {
        return Err(wrong(
            &place.join("every"),
            "people are not asked more often than once a day: at least 1d",
        ));
    }
    let drill = match all.get("drill") {
        None => false,
        Some(node) => flag(node, &place.join("drill"))?,
    };
    if drill && each.is_none() {
        let text = "a drill is made on credentials: expected each, such as \"bao/*\"";
        return Err(wrong(&place.join("drill"), text));
    }
    Ok(Task {
        name: name.to_owned(),
        what: must("what")?,
        owner: must("owner")?,
        first_by: must("first_by")?
            .parse()
            .map_err(|_| wrong(&place.join("first_by"), "expected a day such as \"2027-01-31\""))?,
        each,
        every,
        drill,
    })
}

fn at_least(span: Span, seconds: u64, place: &Place) -> Result<Span, ConfigError> {
    if span.as_secs() < seconds {
        return Err(wrong(place, format!("must be at least {seconds}s")));
    }
    Ok(span)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_example_and_the_guide_show_every_member() {
        let example = include_str!("../../../examples/policy.hcl");
        let guide = include_str!("../../../docs/guides/policy.md");
        let node = Node::parse_hcl(example).unwrap();
        read_rules(&node).unwrap();
        let Node::Map(map) = node else { panic!("no attributes") };
        for member in MEMBERS {
            assert!(map.iter().any(|(name, _)| name == member), "the example lacks {member}");
            assert!(guide.contains(&format!("\n| `{member}` |")), "the guide lacks {member}");
        }
    }

    #[test]
    fn what_may_be_done_without_a_person_is_read_and_nothing_that_takes_an_owner_s_place_by_default()
     {
        let read = |text: &str| read_rules(&Node::parse_hcl(text).unwrap());
        let usual = read("").unwrap().standing;
        assert!(usual.rotate && usual.retire && usual.remove_temporary && usual.disable_expired);
        assert!(!usual.disable_ownerless, "nobody is switched off because somebody left");
        let rules = read("standing = { rotate = false, disable_ownerless = true }").unwrap();
        assert!(
            !rules.standing.rotate && rules.standing.disable_ownerless && rules.standing.retire
        );
        let slip = read("standing = { rotates = false }").unwrap_err();
        assert_eq!(slip.place.to_string(), "standing.rotates");
        assert!(slip.message.contains("disable_expired"), "{}", slip.message);
        assert!(
            read("standing = { rotate = \"no\" }").unwrap_err().message.contains("true or false")
        );
        let guide = include_str!("../../../docs/guides/policy.md");
        for member in STANDING {
            assert!(
                guide.contains(&format!("\n| `standing.{member}` |")),
                "the guide lacks {member}"
            );
        }
    }

    #[test]
    fn a_task_says_what_who_and_until_when_and_slips_are_named() {
        let good = [
            ("what", "\"Go through the administrators\""),
            ("owner", "\"owner/finance\""),
            ("first_by", "\"2027-01-31\""),
            ("every", "\"90d\""),
            ("each", "\"none/third_party/*\""),
        ];
        let read = |name: &str, change: (&str, &str)| {
            let members = good.iter().map(|(member, value)| {
                format!("{member} = {}", if *member == change.0 { change.1 } else { value })
            });
            let members = members.collect::<Vec<_>>().join(", ");
            read_rules(
                &Node::parse_hcl(&format!("tasks = {{ {name} = {{ {members} }} }}")).unwrap(),
            )
        };
        let rules = read("admins", ("", "")).unwrap();
        let one = &rules.tasks[0];
        assert_eq!((one.name.as_str(), one.every), ("admins", "90d".parse().ok()));
        assert!(one.is_for("none/third_party/etl") && !one.drill);
        assert_eq!(read("admins", ("every", "\"never\"")).unwrap().tasks[0].every, None);
        for (member, value, why) in [
            ("what", "\" \"", "must say something"),
            ("first_by", "\"soon\"", "a day such as"),
            ("every", "\"1h\"", "once a day"),
            ("each", "\"*\"", "too wide"),
        ] {
            let slip = read("admins", (member, value)).unwrap_err();
            assert_eq!(slip.place.to_string(), format!("tasks.admins.{member}"), "{slip}");
            assert!(slip.message.contains(why), "{slip}");
        }
        assert!(read("Admins", ("", "")).unwrap_err().message.contains("small letters"));
        let slip = read_rules(&Node::parse_hcl("tasks = { a = { what = \"x\" } }").unwrap());
        assert!(slip.unwrap_err().message.contains("first_by"));
        let drill = "tasks = { a = { what = \"x\", owner = \"o\", first_by = \"2027-01-31\", drill = true } }";
        let slip = read_rules(&Node::parse_hcl(drill).unwrap()).unwrap_err();
        assert_eq!(slip.place.to_string(), "tasks.a.drill");
    }

    #[test]
    fn what_is_sent_late_is_waited_for_twice_as_long_as_for_an_answer() {
        let read = |text: &str| read_rules(&Node::parse_hcl(text).unwrap());
        let secs = |rules: Rules| (rules.call_deadline.as_secs(), rules.settle.as_secs());
        assert_eq!(secs(Rules::default()), (30, 60));
        assert_eq!(secs(read("call_deadline = \"2m\"").unwrap()), (120, 240));
        assert_eq!(secs(read("call_deadline = \"10s\"").unwrap()), (10, 60));
        let short = read("call_deadline = \"2m\"\nsettle = \"3m\"").unwrap_err();
        assert!(short.message.contains("at least 240s"), "{}", short.message);
    }

    #[test]
    fn a_waiver_is_narrow_has_an_end_and_hides_no_theft() {
        let good = [
            ("rule", "setting-changed"),
            ("object", "bao/openbao_approle/x"),
            ("facet", "settings.*"),
            ("reason", "INC-7"),
            ("owner", "ann@example.com"),
            ("approver", "eli@example.com"),
            ("ends_on", "2027-01-31"),
        ];
        let read = |change: (&str, &str)| {
            let members = good.iter().map(|(name, value)| {
                format!("{name} = {:?}", if *name == change.0 { change.1 } else { value })
            });
            let members = members.collect::<Vec<_>>().join(", ");
            read_rules(&Node::parse_hcl(&format!("waivers = [{{ {members} }}]")).unwrap())
        };
        let rules = read(("", "")).unwrap();
        assert_eq!(rules.waivers[0].ends_on.to_string(), "2027-01-31");
        for (change, why) in [
            (("ends_on", "some day"), "a day"),
            (("rule", "revoked-credential-returned"), "nobody can waive"),
            (("rule", "*"), "one rule"),
            (("object", "*"), "too wide"),
            (("reason", " "), "must say something"),
        ] {
            let slip = read(change).unwrap_err();
            assert_eq!(slip.place.to_string(), format!("waivers.0.{}", change.0), "{slip}");
            assert!(slip.message.contains(why), "{slip}");
        }
        let slip = read_rules(&Node::parse_hcl("waivers = [{ rule = \"due\" }]").unwrap());
        assert!(slip.unwrap_err().message.contains("approver"));
    }

    #[test]
    fn thresholds_are_read_and_slips_are_named() {
        let read = |text: &str| read_rules(&Node::parse_hcl(text).unwrap());
        let rules =
            read("owner_grace = \"7d\"\nexpired = \"revoke\"\nreview_grace = \"never\"").unwrap();
        assert_eq!(rules.owner_grace, Span::from_secs(7 * 86_400));
        assert_eq!(rules.expired, Verdict::Revoke);
        assert_eq!(rules.review_grace, None);
        let rules = read("environment_words = { production = [\"Prod\"] }").unwrap();
        assert!(rules.environment_words["production"].contains("prod"));
        let slip = read("environment_words = { production = \"prod\" }").unwrap_err();
        assert!(slip.to_string().contains("environment_words.production"), "{slip}");
        assert!(read("owner_gracee = \"7d\"").unwrap_err().message.contains("Known: "));
        assert_eq!(read("wildcards = \"refuse\"").unwrap().wildcards, Wildcards::Refuse);
        assert!(read("wildcards = \"no\"").unwrap_err().message.contains("refuse"));
        assert_eq!(read("review_grace = \"none\"").unwrap_err().place.to_string(), "review_grace");
        assert!(read("expired = \"stop\"").unwrap_err().message.contains("disable"));
        let most = read("findings = { dormant_after = \"30d\", credential_oldest = \"never\" }");
        let most = most.unwrap().findings;
        assert_eq!((most.dormant_after, most.credential_oldest), ("30d".parse().ok(), None));
        let read = |text: &str| read(&format!("findings = {{ {text} }}"));
        assert!(read("dormant = \"1d\"").unwrap_err().message.contains("dormant_after"));
        let weighed = read("severity = { \"dormant\" = \"high\" }").unwrap().findings.severity;
        assert_eq!(weighed["dormant"], Severity::High);
        let slip = read("severity = { \"doormat\" = \"high\" }").unwrap_err();
        assert!(slip.message.contains("nhi explain"), "{slip}");
        let slip = read("severity = { \"ledger-changed\" = \"low\" }").unwrap_err();
        assert!(slip.message.contains("lighter"), "{slip}");
        let read = |text: &str| read_rules(&Node::parse_hcl(text).unwrap());
        assert!(read("claim_ttl = \"1s\"").unwrap_err().message.contains("at least"));
        assert!(read("call_deadline = \"1s\"").unwrap_err().message.contains("at least"));
        assert!(read("interruption_max = \"1s\"").unwrap_err().message.contains("at least"));
        assert!(read("soft_cut_for = \"1s\"").unwrap_err().message.contains("at least"));
        assert_eq!(read("soft_cut_for = \"0s\"").unwrap().soft_cut_for, Span::ZERO);
    }
}
