//! Scopes: `<service>:<action>@<resource>` from inline policies, `policy/<ARN>` for an attached one,
//! `group/<name>` for a membership, `rule/<policy>#<8 hex>` for what none of these can say.

use std::collections::BTreeSet;

use connector::{OnlyShown, ScopeError};
use domain::{Direction, Scope};

const POLICY: &str = "policy/";
const GROUP: &str = "group/";
const RULE: &str = "rule/";

/// What a scope is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Form<'a> {
    /// An action on a resource, allowed.
    Allow { action: &'a str, resource: &'a str },
    /// An attached managed policy, by its ARN.
    Policy(&'a str),
    /// Membership of a group.
    Group(&'a str),
    /// A statement that the rest cannot say: a condition, a denial, an exception.
    Rule { policy: &'a str },
}

/// What a canonical scope is.
pub(crate) fn form(scope: &str) -> Option<Form<'_>> {
    if let Some(arn) = scope.strip_prefix(POLICY) {
        return is_policy_arn(arn).then_some(Form::Policy(arn));
    }
    if let Some(name) = scope.strip_prefix(GROUP) {
        return is_name(name).then_some(Form::Group(name));
    }
    if let Some(rule) = scope.strip_prefix(RULE) {
        let (policy, hash) = rule.rsplit_once('#')?;
        let hex = |b: u8| b.is_ascii_digit() || (b'a'..=b'f').contains(&b);
        let fits = is_name(policy) && hash.len() == 8 && hash.bytes().all(hex);
        return fits.then_some(Form::Rule { policy });
    }
    let (action, resource) = scope.split_once('@')?;
    (is_action(action) && is_resource(resource)).then_some(Form::Allow { action, resource })
}

/// What is read of a user and never written to one.
pub(crate) fn only_shown(scope: &Scope) -> Option<OnlyShown> {
    match form(scope.as_str())? {
        Form::Rule { .. } => Some(OnlyShown {
            why: "it stands for a statement with more in it than a scope can say, so nobody could \
                  write that statement from it"
                .into(),
            instead:
                "<service>:<action>@<resource>, or policy/<ARN> of a policy that says all of it"
                    .into(),
        }),
        _ => None,
    }
}

pub(crate) fn policy(arn: &str) -> Scope {
    Scope::canonical(format!("{POLICY}{arn}"))
}

pub(crate) fn group(name: &str) -> Scope {
    Scope::canonical(format!("{GROUP}{name}"))
}

pub(crate) fn rule(policy: &str, hash: &str) -> Scope {
    Scope::canonical(format!("{RULE}{policy}#{hash}"))
}

/// An action on a resource as a scope; `None` where it cannot be one.
pub(crate) fn allow(action: &str, resource: &str) -> Option<Scope> {
    let action = canonical_action(action)?;
    is_resource(resource).then(|| Scope::canonical(format!("{action}@{resource}")))
}

/// Names of policies and groups.
fn is_name(name: &str) -> bool {
    let fits = |b: u8| b.is_ascii_alphanumeric() || b"_+=,.@-".contains(&b);
    (1..=128).contains(&name.len()) && name.bytes().all(fits)
}

fn is_policy_arn(arn: &str) -> bool {
    let mut parts = arn.splitn(6, ':');
    let partition = |part: &str| !part.is_empty() && is_name(part);
    let whose =
        |part: &str| part == "aws" || part.len() == 12 && part.bytes().all(|b| b.is_ascii_digit());
    let path = |rest: &str| {
        rest.strip_prefix("policy/").is_some_and(|path| {
            path.len() <= 512 && path.split('/').all(|part| !part.is_empty() && is_name(part))
        })
    };
    parts.next() == Some("arn")
        && parts.next().is_some_and(partition)
        && parts.next() == Some("iam")
        && parts.next() == Some("")
        && parts.next().is_some_and(whose)
        && parts.next().is_some_and(path)
}

/// `*`, or a service and a name in which `*` and `?` may stand for letters.
fn is_action(action: &str) -> bool {
    let Some((service, name)) = action.split_once(':') else { return action == "*" };
    let of_service = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
    let of_name = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'*' | b'?' | b'-');
    !service.is_empty()
        && service.bytes().all(of_service)
        && (1..=128).contains(&name.len())
        && name.bytes().all(of_name)
}

/// Services are written in lower case; names stay as they are, and are compared without their case.
fn canonical_action(action: &str) -> Option<String> {
    let text = match action.split_once(':') {
        Some((service, name)) => format!("{}:{name}", service.to_ascii_lowercase()),
        None => action.to_owned(),
    };
    is_action(&text).then_some(text)
}

fn is_resource(resource: &str) -> bool {
    let arn = || {
        resource.starts_with("arn:")
            && resource.splitn(6, ':').count() == 6
            && resource.len() <= 2048
            && !resource.chars().any(char::is_control)
    };
    resource == "*" || arn()
}

/// Reads scopes as people write them: `s3:GetObject+PutObject@arn:…` are two.
pub(crate) fn parse(text: &str) -> Result<Vec<Scope>, ScopeError> {
    let refuse = |message: String, suggestion: Option<String>| ScopeError { message, suggestion };
    let text = text.trim();
    if [POLICY, GROUP, RULE].iter().any(|prefix| text.starts_with(prefix)) {
        return match form(text) {
            Some(_) => Ok(vec![Scope::canonical(text)]),
            None => Err(refuse(
                format!(
                    "{text:?}: expected policy/<ARN of a managed policy>, group/<name> or \
                     rule/<inline policy>#<8 hex>"
                ),
                None,
            )),
        };
    }
    if is_policy_arn(text) {
        return Ok(vec![policy(text)]);
    }
    const FORMS: &str =
        "expected <service>:<action>@<resource>, such as s3:GetObject@arn:aws:s3:::invoices/*";
    let Some((actions, resource)) = text.split_once('@') else {
        let meant = canonical_action(text).map(|action| format!("{action}@*"));
        let why = "a scope names its resource, and all of them are \"*\"";
        let known = if meant.is_some() { why } else { FORMS };
        return Err(refuse(format!("{text:?}: {known}"), meant));
    };
    if !is_resource(resource) {
        let why = format!("{resource:?} is neither \"*\" nor an ARN; {FORMS}");
        return Err(refuse(format!("{text:?}: {why}"), None));
    }
    let (service, names) = actions.split_once(':').unwrap_or(("", actions));
    let mut scopes = Vec::new();
    for name in names.split('+') {
        let whole = if service.is_empty() { name.to_owned() } else { format!("{service}:{name}") };
        match allow(&whole, resource) {
            Some(scope) if !scopes.contains(&scope) => scopes.push(scope),
            Some(_) => {}
            None => return Err(refuse(format!("{whole:?} is no action; {FORMS}"), None)),
        }
    }
    Ok(scopes)
}

/// Whether a pattern matches everything that another one does: `*` is any text, `?` any one letter.
fn covers(pattern: &[u8], text: &[u8]) -> bool {
    // The other pattern's own signs are letters to us, except that `?` does not stand for its `*`.
    let (mut p, mut t, mut star) = (0, 0, None);
    while t < text.len() {
        match pattern.get(p) {
            Some(b'*') => {
                star = Some((p, t));
                p += 1;
            }
            Some(b'?') if text[t] != b'*' => {
                p += 1;
                t += 1;
            }
            Some(letter) if *letter != b'?' && *letter == text[t] => {
                p += 1;
                t += 1;
            }
            _ => match star {
                Some((at, from)) => {
                    star = Some((at, from + 1));
                    p = at + 1;
                    t = from + 1;
                }
                None => return false,
            },
        }
    }
    pattern[p..].iter().all(|letter| *letter == b'*')
}

/// Whether an action pattern covers another.
pub(crate) fn action_covers(a: &str, b: &str) -> bool {
    covers(a.to_ascii_lowercase().as_bytes(), b.to_ascii_lowercase().as_bytes())
}

/// Whether holding `a` adds everything that `b` gives.
pub(crate) fn implies(a: &Scope, b: &Scope) -> bool {
    if a == b {
        return true;
    }
    match (form(a.as_str()), form(b.as_str())) {
        (
            Some(Form::Allow { action: a, resource: on }),
            Some(Form::Allow { action: b, resource: of }),
        ) => action_covers(a, b) && covers(on.as_bytes(), of.as_bytes()),
        _ => false,
    }
}

/// Whether a scope may take power away as well: a group's policies and a customer's own can deny, and
/// so can what only a rule says. AWS's own policies allow, but for those that are there to deny.
fn may_deny(scope: &Scope) -> bool {
    match form(scope.as_str()) {
        Some(Form::Allow { .. }) => false,
        Some(Form::Policy(arn)) => !arn.contains(":iam::aws:") || denies(arn),
        Some(Form::Group(_) | Form::Rule { .. }) | None => true,
    }
}

/// AWS's own policies that are there to deny.
pub(crate) fn denies(arn: &str) -> bool {
    let name = arn.rsplit('/').next().unwrap_or(arn);
    arn.contains(":iam::aws:")
        && (name.starts_with("AWSDeny") || name.starts_with("AWSCompromisedKeyQuarantine"))
}

/// Which way a change goes. What may deny can only be taken away without doubt where nothing is left
/// that it could have denied.
pub(crate) fn direction(before: &BTreeSet<Scope>, after: &BTreeSet<Scope>) -> Direction {
    let lifts = before.difference(after).any(may_deny);
    if lifts && !after.is_empty() {
        return Direction::Unknown;
    }
    Direction::by_difference(before, after, implies)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_no_scope_can_say_is_shown_and_never_given() {
        let only = |text: &str| only_shown(&parse(text).unwrap()[0]).is_some();
        assert!(only("rule/nightly#0011aabb"));
        for given in ["group/readers", "policy/arn:aws:iam::aws:policy/ReadOnlyAccess", "s3:Get*@*"]
        {
            assert!(!only(given), "{given}");
        }
    }

    fn parsed(text: &str) -> Vec<String> {
        parse(text).unwrap().iter().map(Scope::to_string).collect()
    }

    fn set(scopes: &[&str]) -> BTreeSet<Scope> {
        scopes.iter().map(|one| Scope::canonical(*one)).collect()
    }

    #[test]
    fn scopes_are_brought_into_one_spelling() {
        assert_eq!(
            parsed("S3:GetObject+PutObject+GetObject@arn:aws:s3:::x/*"),
            ["s3:GetObject@arn:aws:s3:::x/*", "s3:PutObject@arn:aws:s3:::x/*"]
        );
        assert_eq!(parsed("*@*"), ["*@*"]);
        let arn = "arn:aws:iam::aws:policy/job-function/ViewOnlyAccess";
        assert_eq!(parsed(arn), [format!("policy/{arn}")]);
        assert_eq!(parsed("group/devs"), ["group/devs"]);
        assert_eq!(parsed("rule/legacy@2#0011aabb"), ["rule/legacy@2#0011aabb"]);
        assert_eq!(
            parsed("s3:GetObject@arn:aws:s3:::b/a@b c"),
            ["s3:GetObject@arn:aws:s3:::b/a@b c"]
        );
    }

    #[test]
    fn what_is_no_scope_is_refused_with_what_may_have_been_meant() {
        let meant = |text: &str| parse(text).unwrap_err().suggestion;
        assert_eq!(meant("s3:GetObject").as_deref(), Some("s3:GetObject@*"));
        for wrong in [
            "",
            "@",
            "@*",
            "s3@*",
            "s3:@*",
            ":x@*",
            "s3:a b@*",
            "s3:x@bucket",
            "s3:x@arn:aws:s3",
            "policy/x",
            "policy/arn:aws:iam::1:policy/x",
            "group/",
            "group/a/b",
            "rule/x",
            "rule/x#1",
            "s*:Get@*",
            "s3:x@arn:aws:s3:::a\u{0}",
        ] {
            assert!(parse(wrong).is_err(), "{wrong:?}");
        }
    }

    #[test]
    fn a_wider_scope_implies_the_narrower_and_never_the_other_way() {
        for (a, b) in [
            ("*@*", "s3:GetObject@arn:aws:s3:::x"),
            ("s3:Get*@arn:aws:s3:::x/*", "s3:GetObject@arn:aws:s3:::x/y/*"),
            ("s3:get*@*", "s3:GetObject@*"),
            ("s3:GetObject@arn:aws:s3:::?", "s3:GetObject@arn:aws:s3:::x"),
        ] {
            let (a, b) = (Scope::canonical(a), Scope::canonical(b));
            assert!(implies(&a, &b) && !implies(&b, &a), "{a} {b}");
        }
        let (one, any) = (Scope::canonical("s3:?@*"), Scope::canonical("s3:*@*"));
        assert!(!implies(&one, &any), "one letter is not any text");
    }

    #[test]
    fn what_may_deny_is_never_taken_away_as_if_that_narrowed() {
        let read = "s3:GetObject@*";
        let mine = "policy/arn:aws:iam::123456789012:policy/x";
        let theirs = "policy/arn:aws:iam::aws:policy/ReadOnlyAccess";
        let quarantine = "policy/arn:aws:iam::aws:policy/AWSCompromisedKeyQuarantineV3";
        for (before, after, expected) in [
            (&[read, theirs][..], &[read][..], Direction::Narrows),
            (&[read, mine], &[read], Direction::Unknown),
            (&[read, quarantine], &[read], Direction::Unknown),
            (&[read, "group/devs"], &[read], Direction::Unknown),
            (&[read, "rule/x#00112233"], &[read], Direction::Unknown),
            (&[read, mine], &[], Direction::Narrows),
            (&[read], &[read, mine], Direction::Widens),
            (&["s3:*@*"], &["s3:*@*", read], Direction::None),
        ] {
            assert_eq!(direction(&set(before), &set(after)), expected, "{before:?} {after:?}");
        }
    }

    /// Whether a pattern matches a text without signs, the slow and sure way.
    fn matches(pattern: &str, text: &str) -> bool {
        match (pattern.chars().next(), text.chars().next()) {
            (None, None) => true,
            (Some('*'), _) => {
                matches(&pattern[1..], text) || !text.is_empty() && matches(pattern, &text[1..])
            }
            (Some('?'), Some(_)) => matches(&pattern[1..], &text[1..]),
            (Some(p), Some(t)) if p == t => matches(&pattern[1..], &text[1..]),
            _ => false,
        }
    }

    proptest! {
        #[test]
        fn what_is_parsed_is_canonical(text in "[a-z0-9*?]{0,4}:[A-Za-z*?+]{0,8}@(\\*|arn:aws:s3:::[a-z*/?]{0,6})|(policy|group|rule)/[a-z#0-9:]{0,12}") {
            if let Ok(scopes) = parse(&text) {
                for scope in scopes {
                    prop_assert!(form(scope.as_str()).is_some(), "{scope}");
                    prop_assert_eq!(parse(scope.as_str()).unwrap(), vec![scope]);
                }
            }
        }

        #[test]
        fn no_text_makes_the_parser_panic(text in ".*") {
            if let Ok(scopes) = parse(&text) {
                for scope in scopes { let _ = crate::actions::action(&scope); }
            }
        }

        #[test]
        fn what_covers_matches_all_that_the_covered_does(a in "[ab*?]{0,6}", b in "[ab*?]{0,6}", text in "[ab]{0,6}") {
            if covers(a.as_bytes(), b.as_bytes()) && matches(&b, &text) {
                prop_assert!(matches(&a, &text), "{a} {b} {text}");
            }
        }
    }
}
