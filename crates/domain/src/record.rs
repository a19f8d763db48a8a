//! The governance fields of one integration, kept on the vendor's own object where there is room.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value};

/// A named owner as a record keeps it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct OwnerRef {
    /// `owner/<name>`.
    pub id: String,
    /// Where to reach them.
    pub email: Option<String>,
}

/// Taken over as it was found: until when somebody says what is missing, and who sees to it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Adoption {
    /// The last day, `YYYY-MM-DD`, UTC.
    pub complete_by: String,
    /// `owner/<name>`.
    pub steward: String,
}

/// Who owns an integration, what it is for, until when: everything that must survive the loss of
/// Terraform's state and of the ledger.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Record {
    /// Which governing installation wrote it.
    pub realm: Option<String>,
    /// The id of the realm's key at that time: under another one our own marks look forged.
    pub realm_key: Option<String>,
    /// Why it exists.
    pub purpose: Option<String>,
    /// `production`, `test`, …
    pub environment: Option<String>,
    /// Accountable for the business.
    pub business_owner: Option<OwnerRef>,
    /// Accountable for the technology.
    pub technical_owner: Option<OwnerRef>,
    /// `batch`, `human_in_the_loop`, `autonomous`, `agent`.
    pub execution_mode: Option<String>,
    /// The field's word for what it integrates.
    pub category: Option<String>,
    /// The last day it may live, `YYYY-MM-DD`, UTC.
    pub expires_on: Option<String>,
    /// How often it is reviewed, as written.
    pub review_every: Option<String>,
    /// The day on which it was first governed here, `YYYY-MM-DD`, UTC: reviews count from it.
    pub governed_since: Option<String>,
    /// The highest action that its scopes may have.
    pub ceiling_action: Option<String>,
    /// Scopes that cover everything it may hold.
    pub ceiling_scopes: Option<BTreeSet<String>>,
    /// While not everything is said of it: until when that may last, and who sees to it.
    pub adoption: Option<Adoption>,
    /// Free labels.
    pub labels: BTreeMap<String, String>,
    /// Why it holds its scopes.
    pub justification: Option<String>,
    /// Whether an `nhi_scope` governs its scopes.
    pub scopes_governed: bool,
    /// Who stopped it and why; only lifting it ends this.
    pub quarantined: Option<String>,
    /// How far it was taken out of service, when and by which run. Only that writes it.
    pub decommission: Option<String>,
    /// A create that has not finished: the next create of the same integration resumes it.
    pub unfinished: bool,
    /// The run that wrote the last part of a create, of the integration or of its scopes: if it died
    /// before anybody heard of it, the next create knows by this that nobody else has it.
    pub finished_by: Option<String>,
    /// Keys that were taken in and can bear no mark, each with one that stands here instead: see
    /// [`crate::Marker::beside`].
    pub adopted: BTreeMap<String, String>,
    /// What was given for a while by asking, by scope: until when, and a word that only this installation's
    /// key makes, so that nobody calls a grant of theirs one of these.
    pub elevated: BTreeMap<String, String>,
    /// What the connector itself must remember (wanted settings while parked). Its own words.
    pub platform: BTreeMap<String, String>,
    /// Members that a newer version wrote: kept as they are.
    pub other: Map<String, Value>,
}

/// Why a record's text could not be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the record is not readable: {0}")]
pub struct RecordError(String);

/// The form that this version writes.
const VERSION: u64 = 1;

impl Record {
    /// One line of JSON, members sorted, absent ones left out.
    pub fn to_json(&self) -> String {
        let mut map = self.other.clone();
        let mut text = |name: &str, value: &Option<String>| {
            if let Some(value) = value {
                map.insert(name.into(), Value::String(value.clone()));
            }
        };
        text("realm", &self.realm);
        text("realm_key", &self.realm_key);
        text("purpose", &self.purpose);
        text("environment", &self.environment);
        text("execution_mode", &self.execution_mode);
        text("category", &self.category);
        text("expires_on", &self.expires_on);
        text("review_every", &self.review_every);
        text("governed_since", &self.governed_since);
        text("ceiling_action", &self.ceiling_action);
        text("justification", &self.justification);
        text("quarantined", &self.quarantined);
        text("decommission", &self.decommission);
        text("finished_by", &self.finished_by);
        for (name, owner) in
            [("business_owner", &self.business_owner), ("technical_owner", &self.technical_owner)]
        {
            if let Some(owner) = owner {
                let mut object = Map::from_iter([("id".into(), Value::String(owner.id.clone()))]);
                if let Some(email) = &owner.email {
                    object.insert("email".into(), Value::String(email.clone()));
                }
                map.insert(name.into(), Value::Object(object));
            }
        }
        if let Some(adoption) = &self.adoption {
            let members = [("complete_by", &adoption.complete_by), ("steward", &adoption.steward)];
            let object = members.map(|(name, text)| (name.into(), Value::String(text.clone())));
            map.insert("adoption".into(), Value::Object(Map::from_iter(object)));
        }
        if let Some(scopes) = &self.ceiling_scopes {
            map.insert(
                "ceiling_scopes".into(),
                scopes.iter().cloned().map(Value::String).collect(),
            );
        }
        for (name, texts) in [
            ("labels", &self.labels),
            ("adopted", &self.adopted),
            ("elevated", &self.elevated),
            ("platform", &self.platform),
        ] {
            if !texts.is_empty() {
                let object = texts.iter().map(|(k, v)| (k.clone(), Value::String(v.clone())));
                map.insert(name.into(), Value::Object(object.collect()));
            }
        }
        for (name, flag) in
            [("scopes_governed", self.scopes_governed), ("unfinished", self.unfinished)]
        {
            if flag {
                map.insert(name.into(), Value::Bool(true));
            }
        }
        map.insert("v".into(), VERSION.into());
        // serde_json keeps a map sorted unless told otherwise, so the same record is the same text.
        Value::Object(map).to_string()
    }

    /// Reads what [`Record::to_json`] wrote, and what a newer version may have added to it.
    ///
    /// # Errors
    ///
    /// The text is no JSON object, or a known member has another type.
    pub fn from_json(text: &str) -> Result<Record, RecordError> {
        let value: Value =
            serde_json::from_str(text).map_err(|error| RecordError(error.to_string()))?;
        let Value::Object(mut map) = value else {
            return Err(RecordError("it is no JSON object".into()));
        };
        map.remove("v");
        let mut record = Record {
            realm: take_text(&mut map, "realm")?,
            realm_key: take_text(&mut map, "realm_key")?,
            purpose: take_text(&mut map, "purpose")?,
            environment: take_text(&mut map, "environment")?,
            business_owner: take_owner(&mut map, "business_owner")?,
            technical_owner: take_owner(&mut map, "technical_owner")?,
            execution_mode: take_text(&mut map, "execution_mode")?,
            category: take_text(&mut map, "category")?,
            expires_on: take_text(&mut map, "expires_on")?,
            review_every: take_text(&mut map, "review_every")?,
            governed_since: take_text(&mut map, "governed_since")?,
            ceiling_action: take_text(&mut map, "ceiling_action")?,
            ceiling_scopes: take_texts(&mut map, "ceiling_scopes")?,
            adoption: take_adoption(&mut map)?,
            labels: take_map(&mut map, "labels")?,
            justification: take_text(&mut map, "justification")?,
            scopes_governed: take_flag(&mut map, "scopes_governed")?,
            quarantined: take_text(&mut map, "quarantined")?,
            decommission: take_text(&mut map, "decommission")?,
            unfinished: take_flag(&mut map, "unfinished")?,
            finished_by: take_text(&mut map, "finished_by")?,
            adopted: take_map(&mut map, "adopted")?,
            elevated: take_map(&mut map, "elevated")?,
            platform: take_map(&mut map, "platform")?,
            other: Map::new(),
        };
        record.other = map;
        Ok(record)
    }
}

fn wrong(name: &str, wanted: &str) -> RecordError {
    RecordError(format!("{name} is not {wanted}"))
}

fn take_text(map: &mut Map<String, Value>, name: &str) -> Result<Option<String>, RecordError> {
    match map.remove(name) {
        None => Ok(None),
        Some(Value::String(text)) => Ok(Some(text)),
        Some(_) => Err(wrong(name, "a text")),
    }
}

fn take_flag(map: &mut Map<String, Value>, name: &str) -> Result<bool, RecordError> {
    match map.remove(name) {
        None => Ok(false),
        Some(Value::Bool(flag)) => Ok(flag),
        Some(_) => Err(wrong(name, "true or false")),
    }
}

fn take_texts(
    map: &mut Map<String, Value>,
    name: &str,
) -> Result<Option<BTreeSet<String>>, RecordError> {
    match map.remove(name) {
        None => Ok(None),
        Some(Value::Array(items)) => items
            .into_iter()
            .map(|item| match item {
                Value::String(text) => Ok(text),
                _ => Err(wrong(name, "a list of texts")),
            })
            .collect::<Result<_, _>>()
            .map(Some),
        Some(_) => Err(wrong(name, "a list of texts")),
    }
}

fn take_map(
    map: &mut Map<String, Value>,
    name: &str,
) -> Result<BTreeMap<String, String>, RecordError> {
    match map.remove(name) {
        None => Ok(BTreeMap::new()),
        Some(Value::Object(object)) => object
            .into_iter()
            .map(|(key, value)| match value {
                Value::String(text) => Ok((key, text)),
                _ => Err(wrong(name, "a map of texts")),
            })
            .collect(),
        Some(_) => Err(wrong(name, "a map of texts")),
    }
}

fn take_owner(map: &mut Map<String, Value>, name: &str) -> Result<Option<OwnerRef>, RecordError> {
    match map.remove(name) {
        None => Ok(None),
        Some(Value::Object(mut object)) => {
            let id = take_text(&mut object, "id")?.ok_or_else(|| wrong(name, "an owner"))?;
            Ok(Some(OwnerRef { id, email: take_text(&mut object, "email")? }))
        }
        Some(_) => Err(wrong(name, "an owner")),
    }
}

fn take_adoption(map: &mut Map<String, Value>) -> Result<Option<Adoption>, RecordError> {
    let mut object = match map.remove("adoption") {
        None => return Ok(None),
        Some(Value::Object(object)) => object,
        Some(_) => return Err(wrong("adoption", "a day and a steward")),
    };
    let mut member = |name| {
        take_text(&mut object, name)?.ok_or_else(|| wrong("adoption", "a day and a steward"))
    };
    Ok(Some(Adoption { complete_by: member("complete_by")?, steward: member("steward")? }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_reads_as_it_was_written_and_keeps_what_it_does_not_know() {
        let record = Record {
            realm_key: Some("kabcd".into()),
            purpose: Some("Copies invoices\nevery night".into()),
            business_owner: Some(OwnerRef { id: "owner/finance".into(), email: None }),
            adoption: Some(Adoption {
                complete_by: "2026-12-15".into(),
                steward: "owner/payments".into(),
            }),
            labels: BTreeMap::from([("team".into(), "payments".into())]),
            scopes_governed: true,
            quarantined: Some("INC-7".into()),
            decommission: Some("decommissioned 2026-11-30 by nhi:7".into()),
            adopted: BTreeMap::from([("a1b2".into(), "maaaaaaaaaaaaa/default".into())]),
            elevated: BTreeMap::from([("a:write".into(), "2026-12-01T10:00:00Z 9f".into())]),
            finished_by: Some("apply:7".into()),
            other: Map::from_iter([("from_the_future".into(), Value::Bool(true))]),
            ..Record::default()
        };
        let text = record.to_json();
        assert!(!text.contains('\n'), "a record is one line: {text}");
        assert_eq!(Record::from_json(&text).unwrap(), record);
    }

    #[test]
    fn a_member_of_another_type_is_refused_by_name() {
        let error = Record::from_json(r#"{"purpose":3}"#).unwrap_err();
        assert_eq!(error.to_string(), "the record is not readable: purpose is not a text");
        assert!(Record::from_json("[]").is_err());
    }
}
