//! A change in words. What is signed is a hash of these, so that they come from the record alone and are
//! the same wherever it is read.

use std::fmt::Write as _;

use domain::Action;
use policy::change::{self, Change, Difference, Value};

use crate::report::spelled;

/// What the record says, for whoever is to sign it.
pub(crate) fn shown(change: &Change) -> String {
    let mut out = format!("{} {}", change.kind, spelled(&change.object));
    if !change.tenant.is_empty() {
        let _ = write!(out, " of {}", spelled(&change.tenant));
    }
    let _ = write!(out, "\n{}", deed(change));
    if change.generation > 0 {
        let _ = write!(out, ", from generation {}", change.generation);
    }
    out.push('\n');
    for one in change.differences() {
        let _ = writeln!(out, "  {}", line(&one));
    }
    let _ = write!(out, "change {}", change.digest());
    out
}

/// The text of several, as it is hashed: each of them, in the order of their digests.
pub(crate) fn shown_all(changes: &[Change]) -> String {
    let mut all: Vec<&Change> = changes.iter().collect();
    all.sort_by_key(|one| one.digest());
    all.into_iter().map(shown).collect::<Vec<_>>().join("\n\n")
}

/// What is done, in words.
pub(crate) fn deed(change: &Change) -> &'static str {
    match change.action {
        change::Action::Create => "is created",
        change::Action::Adopt => "is taken under management",
        change::Action::Update => "is changed",
        change::Action::Rotate => "gets another credential",
        change::Action::Replace => "is replaced",
        change::Action::Delete => "ends",
        change::Action::Forget => "lives on, and nobody manages it any more",
    }
}

/// The sign of a difference: `+` it comes, `-` it goes, `~` it changes.
pub(crate) fn sign(one: &Difference) -> char {
    match (&one.before, &one.after) {
        (None, _) => '+',
        (_, None) => '-',
        _ => '~',
    }
}

/// One difference in a line.
pub(crate) fn line(one: &Difference) -> String {
    let value = |value: &Option<Value>| value.as_ref().map(plain).unwrap_or_default();
    let path = spelled(&one.path);
    match (&one.before, &one.after) {
        (Some(_), Some(_)) => {
            format!("~ {path}: {} -> {}", value(&one.before), value(&one.after))
        }
        (None, _) => format!("+ {path}: {}", value(&one.after)),
        _ => format!("- {path}: {}", value(&one.before)),
    }
}

/// A value as people read it.
pub(crate) fn plain(value: &Value) -> String {
    match value {
        Value::Text(text) => spelled(text),
        Value::Flag(true) => "yes".to_owned(),
        Value::Flag(false) => "no".to_owned(),
        Value::Count(count) => count.to_string(),
        value => spelled(&value.canonical()),
    }
}

/// What an action means to somebody who holds it.
pub(crate) fn meaning(action: Action) -> &'static str {
    match action {
        Action::None => "gives nothing",
        Action::Read => "can look at data",
        Action::Export => "can take out everything at once",
        Action::Write => "can create and change data",
        Action::Delete => "can delete data",
        Action::Execute => "can start and chain workflows",
        Action::Close => "can close cases",
        Action::Suppress => "can silence alarms, logs or audit",
        Action::Secret => "can read secrets",
        Action::Policy => "can change the rules of who may do what",
        Action::Identity => "can give access and take it away",
        Action::Admin => "can do everything",
        Action::Unknown => "nobody here knows what it lets do",
    }
}

/// What an attribute is, for people who do not read configurations.
pub(crate) fn label(path: &str) -> String {
    let first = path.split('.').next().unwrap_or(path);
    let rest = path[first.len()..].trim_start_matches('.');
    let of = match first {
        "scopes" => "Permission",
        "temporary" => "Permission for a while",
        "on_request" => "Permission on request",
        "undeclared" => "Permission that nobody declared",
        "elevated" => "Permission that is raised now",
        "classify" => "What a permission really lets do",
        "justification" | "justifications" => "Why it needs them",
        "enforcement" => "How strictly permissions are held",
        "purpose" => "What it is for",
        "environment" => "Where it runs",
        "execution_mode" => "How it runs",
        "business_owner" => "Business owner",
        "technical_owner" => "Technical owner",
        "offboarding_owner" => "Who sees to its end",
        "ceiling" => "Upper limit of its power",
        "expires_on" => "Last day",
        "expires_when" => "Ends when",
        "review_every" => "How often it is looked at again",
        "enabled" | "state" => "Switched on",
        "reaches" => "Other systems that it reaches",
        "runs_on" => "What it runs on",
        "workflows" => "Workflows that use it",
        "tools" => "Tools that it may choose",
        "stop_within" => "How fast it can be stopped",
        "shared_with" => "Who else uses it",
        "deliver_to" => "Where its secret is delivered to",
        "schedule" => "When its credential changes",
        "key_id" => "Which key it has",
        "generation" => "How many keys it has had",
        "previous" => "Earlier keys",
        "triggers" => "What a person changed to have it rotated",
        "on_destroy" => "What happens when it is removed from the configuration",
        "revoke_unmanaged" => "Ends keys that nobody declared",
        "email" => "Address",
        "name" => "Name",
        other => return path_words(other, rest),
    };
    match rest {
        "" | "id" => of.to_owned(),
        rest => format!("{of}: {}", spelled(rest)),
    }
}

fn path_words(first: &str, rest: &str) -> String {
    let words = spelled(first).replace('_', " ");
    match rest {
        "" => words,
        rest => format!("{words}: {}", spelled(rest).replace('_', " ")),
    }
}

/// The scope that a difference is about, if it is about one that comes or goes.
pub(crate) fn scope_of(one: &Difference) -> Option<&str> {
    if let Some(rest) = one.path.strip_prefix("temporary.") {
        return rest.rsplit_once('.').map(|(scope, _)| scope);
    }
    let listed = ["scopes", "undeclared", "elevated"].contains(&one.path.as_str());
    let text = one.after.as_ref().or(one.before.as_ref()).and_then(Value::as_text);
    text.filter(|_| listed)
}
