//! How long a client's tokens live, in the member that this server takes for it: no standard names
//! one.

use connector::{Error, Obstacle, Refusal, Result};
use domain::{Settings, Span, settings::Setting};
use serde_json::{Map, Value, json};

use super::{refuse, unexpected};
use crate::{api::standard, tables::CLIENT};

/// The setting's name.
const LIFETIME: &str = "token_lifetime";

/// Checks the member's name as the connection has it.
pub(super) fn member(connection: &str, name: Option<&str>) -> Result<Option<String>> {
    let Some(name) = name else { return Ok(None) };
    let known = Map::from_iter([(name.to_owned(), Value::Null)]);
    let theirs = name.starts_with("registration_")
        || ["client_secret", "client_secret_expires_at", "client_id_issued_at"].contains(&name);
    if name.trim().is_empty() || theirs || !standard(&known).is_empty() {
        return Err(Error::Configuration(format!(
            "connections.{connection}.oauth.token_lifetime_member: {name:?} means something else in every \
             registration; name the member in which this server takes seconds, or leave it out"
        )));
    }
    Ok(Some(name.to_owned()))
}

/// Where nobody said which member the server takes it in.
pub(super) fn unfit(member: Option<&str>, settings: &Settings) -> Option<(&'static str, Obstacle)> {
    settings.text(LIFETIME).filter(|_| member.is_none())?;
    let why = "no standard names the member of a registration for it".to_owned();
    let next =
        "say in token_lifetime_member of the connection which one this server takes, or leave it \
                out"
        .to_owned();
    Some((LIFETIME, Obstacle { why, next }))
}

/// Writes what is wanted. What nobody wants stays as it is: the server has a lifetime of its own.
pub(super) fn wish(
    members: &mut Map<String, Value>,
    member: Option<&str>,
    settings: &Settings,
) -> Result<()> {
    if let Some((_, Obstacle { why, next })) = unfit(member, settings) {
        let what = format!("{CLIENT}.{LIFETIME}");
        return Err(refuse(&what, Refusal::Invalid, format!("{why}: {next}")));
    }
    let Some(text) = settings.text(LIFETIME) else { return Ok(()) };
    let span: Span = text
        .parse()
        .map_err(|error| Error::Configuration(format!("{CLIENT}.{LIFETIME}: {error}")))?;
    if let Some(member) = member {
        members.insert(member.to_owned(), json!(span.as_secs()));
    }
    Ok(())
}

/// What is in force, where the server shows it.
pub(super) fn shown(members: &Map<String, Value>, member: Option<&str>) -> Option<Setting> {
    let value = members.get(member?)?;
    let seconds = value.as_u64().or_else(|| value.as_str()?.parse().ok())?;
    Some(Setting::Text(Span::from_secs(seconds).to_string()))
}

/// Whether what is wanted stands: a server that does not know the member drops it.
pub(super) fn stands(wanted: &Settings, now: &Settings) -> Result<()> {
    let span = |one: &Settings| one.text(LIFETIME).and_then(|text| text.parse::<Span>().ok());
    match (span(wanted), span(now)) {
        (Some(wanted), now) if now != Some(wanted) => Err(unexpected(
            "modify",
            format!(
                "the server took the change and {CLIENT}.{LIFETIME} is {}: it may not know the member \
                 that token_lifetime_member names",
                now.map_or_else(|| "not shown".to_owned(), |now| now.to_string())
            ),
        )),
        _ => Ok(()),
    }
}
