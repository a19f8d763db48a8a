//! Rules over single attributes, checked offline. Each says what is expected.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::IpAddr,
};

use domain::{Action, Span};
use url::{Host, Url};

/// An owner's name.
pub(crate) fn owner_name(text: &str) -> Result<(), String> {
    let fits = (2..=63).contains(&text.len())
        && text.starts_with(|c: char| c.is_ascii_lowercase() || c.is_ascii_digit())
        && text.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-');
    expect(fits, "2 to 63 lower-case letters, digits and \"-\", not beginning with \"-\"")
}

/// An owner's id.
pub(crate) fn owner_id(text: &str) -> Result<(), String> {
    let fits = text.strip_prefix("owner/").is_some_and(|name| owner_name(name).is_ok());
    expect(fits, "an owner's id, such as \"owner/payments\"")
}

/// The name of a schedule or of a credential.
pub(crate) fn short_name(text: &str) -> Result<(), String> {
    let fits = (1..=63).contains(&text.len())
        && text.starts_with(|c: char| c.is_ascii_alphanumeric())
        && text.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.'));
    expect(
        fits,
        "1 to 63 letters, digits, \"-\", \"_\" and \".\", beginning with a letter or digit",
    )
}

/// What an owner is.
pub(crate) fn owner_kind(text: &str) -> Result<(), String> {
    one_of(text, &["person", "team", "vendor"])
}

/// A mail address, as far as can be told offline.
pub(crate) fn email(text: &str) -> Result<(), String> {
    let fits = text.split_once('@').is_some_and(|(local, host)| {
        !local.is_empty()
            && host.contains('.')
            && !host.starts_with('.')
            && !host.ends_with('.')
            && !host.contains('@')
    }) && !text.contains(char::is_whitespace)
        && text.len() <= 254;
    expect(fits, "a mail address, such as \"payments@acme.example\"")
}

/// A reason that says something.
pub(crate) fn reason(text: &str) -> Result<(), String> {
    expect(text.trim().chars().count() >= 20, "at least 20 characters that say why")
}

/// A text that is there: none at all is to leave it out.
pub(crate) fn said(text: &str) -> Result<(), String> {
    expect(!text.trim().is_empty(), "a text that says something; leave it out if there is none")
}

/// Texts by name, each of them there.
pub(crate) fn all_said(texts: &BTreeMap<String, String>) -> Result<(), String> {
    texts.iter().try_for_each(|(_, text)| said(text))
}

/// How many of something, as a limit.
pub(crate) fn count(count: i64) -> Result<(), String> {
    expect(count >= 0, "0 or more; leave it out where there is no limit")
}

/// A calendar day.
pub(crate) fn date(text: &str) -> Result<(), String> {
    let fits = text.len() == 10 && text.parse::<jiff::civil::Date>().is_ok();
    expect(fits, "a day as YYYY-MM-DD")
}

/// A duration.
pub(crate) fn span(text: &str) -> Result<(), String> {
    text.parse::<Span>().map(|_| ()).map_err(slip)
}

/// Whose approval it takes to be given what may be asked for.
pub(crate) fn approval(text: &str) -> Result<(), String> {
    policy::elevation::Approval::from_word(Some(text)).map(drop)
}

/// How long access for a while may live.
pub(crate) fn access_life(text: &str) -> Result<(), String> {
    let life = text.parse::<Span>().map_err(slip)?;
    expect(
        (60..=43_200).contains(&life.as_secs()),
        "a duration from \"1m\" to \"12h\": as long as the apply that uses it may take",
    )
}

/// A duration, or the word that asks for none.
pub(crate) fn span_or_none(text: &str) -> Result<(), String> {
    if text == "none" { Ok(()) } else { span(text) }
}

/// How an integration runs.
pub(crate) fn execution_mode(text: &str) -> Result<(), String> {
    one_of(text, &["batch", "human_in_the_loop", "autonomous", "agent"])
}

/// What an integration is for, in one word of the field.
pub(crate) fn category(text: &str) -> Result<(), String> {
    one_of(
        text,
        &[
            "ipaas",
            "etl_job",
            "workflow_engine",
            "ci_cd",
            "low_code",
            "rpa_bot",
            "scheduled_job",
            "saas_app",
            "api",
            "service_account",
            "automation_tool",
            "partner",
        ],
    )
}

/// The id of an integration.
pub(crate) fn integration_id(text: &str) -> Result<(), String> {
    let fits = text.parse::<domain::IntegrationId>().is_ok();
    expect(fits, "an integration's id as nhi scan prints it: \"<connection>/<kind>/<key>\"")
}

/// Ids and names, each of them there.
pub(crate) fn each_said(all: &BTreeSet<String>) -> Result<(), String> {
    all.iter().try_for_each(|text| said(text))
}

/// What sort of system something is.
pub(crate) fn system_category(text: &str) -> Result<(), String> {
    one_of(
        text,
        &[
            "identity",
            "cloud",
            "endpoint",
            "siem",
            "soar",
            "ticketing",
            "itsm",
            "crm",
            "erp",
            "billing",
            "hr",
            "email",
            "files",
            "database",
            "warehouse",
            "code",
            "ci_cd",
            "queue",
            "workflow_engine",
            "secrets",
            "admin_api",
            "other",
        ],
    )
}

/// Which way data goes.
pub(crate) fn data_direction(text: &str) -> Result<(), String> {
    one_of(text, &["reads", "writes", "both"])
}

/// How sensitive data is.
pub(crate) fn data_class(text: &str) -> Result<(), String> {
    one_of(
        text,
        &[
            "none",
            "public",
            "internal",
            "confidential",
            "personal",
            "financial",
            "health",
            "credentials",
        ],
    )
}

/// What ends an integration.
pub(crate) fn conditions(all: &BTreeSet<String>) -> Result<(), String> {
    let words = ["workflow_retired", "contract_ended", "owner_left", "dormant"];
    all.iter().try_for_each(|text| one_of(text, &words))
}

/// Names by which parts are told apart.
pub(crate) fn named<T>(all: &BTreeMap<String, T>) -> Result<(), String> {
    all.keys().try_for_each(|name| short_name(name))
}

/// What destroying an integration does at its platform.
pub(crate) fn on_destroy(text: &str) -> Result<(), String> {
    one_of(text, &["delete", "disable"])
}

/// Which differences of scopes are drift.
pub(crate) fn enforcement(text: &str) -> Result<(), String> {
    one_of(text, &["exact", "at_most", "at_least"])
}

/// An action.
pub(crate) fn action(text: &str) -> Result<(), String> {
    text.parse::<Action>().map(|_| ()).map_err(slip)
}

/// The highest action that a ceiling allows. `unknown` is above all of them, so it is none.
pub(crate) fn limit(text: &str) -> Result<(), String> {
    let words: Vec<&str> =
        Action::ALL.into_iter().filter(|one| *one != Action::Unknown).map(Action::as_str).collect();
    one_of(text, &words)
}

/// A moment with its zone.
pub(crate) fn moment(text: &str) -> Result<(), String> {
    expect(
        text.parse::<jiff::Timestamp>().is_ok(),
        "a moment with its zone, such as \"2026-12-05T18:00:00Z\"",
    )
}

/// A time zone by its name.
pub(crate) fn timezone(text: &str) -> Result<(), String> {
    expect(
        jiff::tz::TimeZone::get(text).is_ok(),
        "a time zone by its name, such as \"Europe/Zurich\"",
    )
}

/// What happens to a due credential outside its windows.
pub(crate) fn outside_window(text: &str) -> Result<(), String> {
    one_of(text, &["wait", "rotate"])
}

/// The order of steps in an incident.
pub(crate) fn on_incident(text: &str) -> Result<(), String> {
    one_of(text, &["issue_first", "revoke_first"])
}

/// What becomes of a rotation that would cut consumers off.
pub(crate) fn interruption(text: &str) -> Result<(), String> {
    one_of(text, &["accept", "refuse"])
}

/// What counts as a consumer having picked up the new credential.
pub(crate) fn confirm(text: &str) -> Result<(), String> {
    expect(
        text == "timer",
        "\"timer\": a consumer's own sign of having picked it up is not listened to yet",
    )
}

/// At least one.
pub(crate) fn some(all: &BTreeSet<String>) -> Result<(), String> {
    expect(!all.is_empty(), "at least one, or the attribute left out for its default")
}

/// Address blocks.
pub(crate) fn cidrs(all: &BTreeSet<String>) -> Result<(), String> {
    all.iter().try_for_each(|text| cidr(text).map_err(|expected| format!("{text:?}: {expected}")))
}

fn cidr(text: &str) -> Result<(), String> {
    const FORM: &str = "an address block, such as \"10.0.0.0/8\" or \"10.1.2.3/32\"";
    let form = || slip(format!("expected {FORM}"));
    let (address, length) = text.split_once('/').ok_or_else(form)?;
    let address: IpAddr = address.parse().map_err(|_| form())?;
    let (bits, width) = match address {
        IpAddr::V4(address) => (u128::from(address.to_bits()), 32_u32),
        IpAddr::V6(address) => (address.to_bits(), 128),
    };
    let plain = length.bytes().all(|b| b.is_ascii_digit());
    let length = length.parse().ok().filter(|length| plain && *length <= width);
    let length: u32 = length.ok_or_else(form)?;
    let beyond = 1_u128.checked_shl(width - length).map_or(u128::MAX, |one| one - 1);
    expect(bits & beyond == 0, "no bits beyond the block's length: it would mean another block")
}

/// Where a server may send people back to: a wildcard or plain HTTP would hand tokens to others.
pub(crate) fn uris(all: &BTreeSet<String>) -> Result<(), String> {
    all.iter().try_for_each(|text| uri(text).map_err(|expected| format!("{text:?}: {expected}")))
}

fn uri(text: &str) -> Result<(), String> {
    let url: Url = text.parse().map_err(|_| slip("expected a whole URI"))?;
    let loopback = match url.host() {
        Some(Host::Domain(name)) => name == "localhost",
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        None => false,
    };
    let safe = url.scheme() == "https" || url.scheme() == "http" && loopback;
    expect(safe, "https, or http on a loopback address")?;
    expect(!text.contains('*'), "no wildcard: each address by itself")?;
    expect(url.fragment().is_none(), "no fragment")?;
    expect(url.username().is_empty() && url.password().is_none(), "no user in it")
}

/// Where logs of an integration are.
pub(crate) fn place(text: &str) -> Result<(), String> {
    let fits = text.contains("://")
        || text.split_once('/').is_some_and(|(first, rest)| !first.is_empty() && !rest.is_empty());
    expect(fits, "a URL or <connection>/<path>")
}

pub(crate) fn one_of(text: &str, words: &[&str]) -> Result<(), String> {
    expect(words.contains(&text), &format!("one of {}", words.join(", ")))
}

fn expect(fits: bool, what: &str) -> Result<(), String> {
    if fits { Ok(()) } else { Err(slip(format!("expected {what}"))) }
}

/// What every rule says in the end.
fn slip(why: impl std::fmt::Display) -> String {
    format!("{why}.\nNext: correct the value.\n(E-VALUE)")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fits(rule: fn(&str) -> Result<(), String>, text: &str) -> bool {
        rule(text).is_ok()
    }

    #[test]
    fn addresses_say_exactly_whom_they_let_in() {
        for good in ["10.0.0.0/8", "127.0.0.1/32", "0.0.0.0/0", "2001:db8::/32", "::1/128"] {
            assert_eq!(cidr(good), Ok(()), "{good}");
        }
        for bad in ["10.0.0.1", "10.0.0.1/8", "10.0.0.0/33", "10.0.0.0/+8", "ten/8", "::/129", ""] {
            assert!(cidr(bad).is_err(), "{bad}");
        }
        for good in [
            "https://a.example/cb",
            "http://127.0.0.1:8080/cb",
            "http://[::1]/",
            "http://localhost/cb",
        ] {
            assert_eq!(uri(good), Ok(()), "{good}");
        }
        for bad in [
            "http://a.example/cb",
            "https://*.a.example/cb",
            "https://a.example/*",
            "https://a.example/cb#x",
            "https://me@a.example/cb",
            "javascript:alert(1)",
            "/cb",
            "http://localhost.a.example/",
        ] {
            assert!(uri(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn rules_take_what_they_say_and_nothing_else() {
        for (rule, good, bad) in [
            (owner_name as fn(&str) -> _, "payments-platform", "Payments"),
            (email, "a@b.example", "a@b"),
            (date, "2027-06-30", "2027-6-30"),
            (span, "30d", "1 month"),
            (span_or_none, "none", "never"),
            (moment, "2026-12-05T18:00:00Z", "2026-12-05 18:00"),
            (timezone, "UTC", "Mars/Olympus"),
            (action, "write", "writes"),
            (limit, "write", "wirte"),
            (limit, "admin", "unknown"),
            (integration_id, "bao/role/x", "bao/x"),
            (system_category, "siem", "siems"),
            (data_direction, "both", "read"),
            (data_class, "personal", "pii"),
            (place, "siem/openbao-audit", "siem"),
            (said, "production", " "),
            (reason, "Reads tonight's invoices and nothing else", "because"),
            (short_name, "default", "a/b"),
        ] {
            assert!(fits(rule, good), "{good:?}");
            assert!(!fits(rule, bad), "{bad:?}");
        }
    }
}
