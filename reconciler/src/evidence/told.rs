//! What entries tell, in the order of an auditor's questions. A pure function of the bundle: whoever
//! checks it computes it again.

use std::collections::BTreeMap;

use jiff::Timestamp;
use ledger::{Entry, Inventory};
use policy::change::Digest;
use serde_json::{Map, Value, json};

use super::{Asked, Bundle, controls};

/// All that is told.
pub(crate) fn told(bundle: &Bundle) -> Value {
    let entries = bundle.read();
    let mut told = Map::new();
    let mut put = |name: &str, value: Value| {
        if !value.is_null() && value.as_array().is_none_or(|all| !all.is_empty()) {
            told.insert(name.to_owned(), value);
        }
    };
    let changes: Vec<Value> = entries
        .iter()
        .filter(|entry| entry.kind == AUTHORIZED)
        .map(|entry| change(bundle, entry, &entries))
        .collect();
    let all = |of: fn(&Entry) -> Option<Value>| -> Value {
        entries.iter().filter_map(of).collect::<Vec<_>>().into()
    };
    put("changes", changes.into());
    put("deeds", all(deed));
    put("revocations", all(revocation));
    put("reviews", all(review));
    if let Asked::Integration(id) = &bundle.asked {
        put("declared", declared(bundle, id, &entries));
    }
    let rows = Inventory::fold(&entries, |hash| bundle.document(hash));
    let owed = rows.obligations.values().filter(|one| one.state == "open").map(|one| {
        json!({
            "subject": one.subject, "deed": one.deed, "due_by": moment(one.due_by),
            "not_before": moment(one.not_before),
        })
    });
    put("owed", owed.collect::<Vec<_>>().into());
    let live = rows.credentials.values().filter(|one| one.state != "ended").map(|one| {
        json!({
            "integration": one.integration, "slot": one.slot, "key": one.vendor_id,
            "kind": one.kind, "state": one.state, "expires_at": one.expires_at.map(moment),
        })
    });
    put("credentials", live.collect::<Vec<_>>().into());
    put("questions", controls::answered(&told_names(&entries)));
    without_nulls(told.into())
}

/// The kind of an entry that says that a change was allowed, and by whom.
pub(crate) const AUTHORIZED: &str = "change.authorized";
/// The kinds of entries that say how an allowed change ended.
const ENDED: [&str; 2] = ["change.done", "change.failed"];
/// The kind of an entry that says that somebody reviewed an integration.
pub(crate) const REVIEWED: &str = "review.concluded";

/// The digest that an entry is about.
pub(crate) fn digest_of(entry: &Entry) -> Option<&str> {
    let of_change = entry.kind.starts_with("change.").then_some(entry.digest_after.as_deref());
    // `approval:sha256:…`, `break-glass:sha256:…`; what rules allow names no change.
    let named = of_change.flatten().or(entry.auth.as_deref())?;
    let digest = named.rsplit(':').next().unwrap_or(named);
    Digest::parse(digest).map(|_| digest)
}

/// What was kept of the change's record: its canonical bytes.
pub(crate) fn record_of(bundle: &Bundle, entry: &Entry) -> Option<Vec<u8>> {
    let kept = entry.kept(|hash| bundle.document(hash));
    let kept = kept.into_iter().find(|(name, _)| name == "record").map(|(_, bytes)| bytes);
    kept.or_else(|| match entry.detail.get("record")? {
        Value::String(text) => Some(text.clone().into_bytes()),
        _ => None,
    })
}

fn change(bundle: &Bundle, entry: &Entry, all: &[Entry]) -> Value {
    let digest = digest_of(entry);
    let record = record_of(bundle, entry).and_then(|bytes| serde_json::from_slice(&bytes).ok());
    let record: Value = record.unwrap_or_default();
    // The same change may be allowed again later: its end is the next one behind it.
    let done = all
        .iter()
        .find(|one| one.seq > entry.seq && ENDED.contains(&&*one.kind) && digest_of(one) == digest);
    let mut told = basics(entry);
    told.extend([
        ("digest".to_owned(), json!(digest)),
        ("level".to_owned(), entry.detail.get("level").cloned().unwrap_or_default()),
        ("object".to_owned(), record.get("object").cloned().unwrap_or_default()),
        ("tenant".to_owned(), record.get("tenant").cloned().unwrap_or_default()),
        ("action".to_owned(), record.get("action").cloned().unwrap_or_default()),
        ("before".to_owned(), record.get("before").cloned().unwrap_or_default()),
        ("after".to_owned(), record.get("after").cloned().unwrap_or_default()),
        ("direction".to_owned(), entry.detail.get("direction").cloned().unwrap_or_default()),
        ("policy".to_owned(), entry.detail.get("policy").cloned().unwrap_or_default()),
        ("people".to_owned(), entry.detail.get("people").cloned().unwrap_or_default()),
        ("outcome".to_owned(), json!(done.and_then(|one| one.outcome.clone()))),
        ("done_at".to_owned(), json!(done.map(|one| moment(one.at)))),
        ("done_seq".to_owned(), json!(done.map(|one| one.seq))),
    ]);
    told.into()
}

/// When, what, of which object, by whom, for what reason, and with whose leave.
fn basics(entry: &Entry) -> Map<String, Value> {
    let told = json!({
        "seq": entry.seq, "at": moment(entry.at), "kind": entry.kind, "subject": entry.subject,
        "program": entry.actor.program, "run": entry.actor.run, "by": entry.actor.principal,
        "trigger": entry.trigger.what, "ticket": entry.trigger.ticket, "url": entry.trigger.url,
        "requester": entry.trigger.requester, "auth": entry.auth,
    });
    match told {
        Value::Object(told) => told,
        _ => Map::new(),
    }
}

/// A step that was allowed by something, or that a platform answered.
fn deed(entry: &Entry) -> Option<Value> {
    let is = entry.auth.is_some() || entry.outcome.is_some() || entry.request_id.is_some();
    let told_elsewhere = [AUTHORIZED, REVIEWED].contains(&&*entry.kind);
    if !is || told_elsewhere || ENDED.contains(&&*entry.kind) {
        return None;
    }
    let mut told = basics(entry);
    for (name, value) in [
        ("step", &entry.step),
        ("outcome", &entry.outcome),
        ("request_id", &entry.request_id),
        ("digest_before", &entry.digest_before),
        ("digest_after", &entry.digest_after),
        ("rotation", &entry.rotation),
    ] {
        told.insert(name.to_owned(), json!(value));
    }
    told.insert("generation".to_owned(), json!(entry.generation));
    Some(told.into())
}

/// How far the end of a key was shown.
fn revocation(entry: &Entry) -> Option<Value> {
    if !["rotation.proven", "credential.revoked"].contains(&&*entry.kind) {
        return None;
    }
    let mut told = Map::new();
    for (name, value) in [
        ("seq", json!(entry.seq)),
        ("at", json!(moment(entry.at))),
        ("subject", json!(entry.subject)),
        ("kind", json!(entry.kind)),
    ] {
        told.insert(name.to_owned(), value);
    }
    // All that was noted of it: grade, what it says nothing of, and until when that may live.
    told.extend(entry.detail.clone());
    Some(told.into())
}

fn review(entry: &Entry) -> Option<Value> {
    if entry.kind != REVIEWED {
        return None;
    }
    let mut told = basics(entry);
    told.extend(entry.detail.clone());
    Some(told.into())
}

/// What was last declared of the integration, by facet.
fn declared(bundle: &Bundle, id: &str, entries: &[Entry]) -> Value {
    let rows = Inventory::fold(entries, |hash| bundle.document(hash));
    rows.integrations.get(id).map_or(Value::Null, |row| {
        json!({
            "id": row.id, "tenant": row.tenant, "origin": row.origin.word(),
            "declared": row.declared.as_ref().map(|one| one.value.clone()),
            "applied": row.applied.as_ref().map(|one| one.value.clone()),
            "ended": row.declared.is_none(),
        })
    })
}

/// Which kinds of entries there are, and how many of each.
fn told_names(entries: &[Entry]) -> BTreeMap<String, u64> {
    let mut names = BTreeMap::new();
    for entry in entries {
        *names.entry(entry.kind.clone()).or_insert(0) += 1;
    }
    names
}

/// A moment as it is told.
pub(crate) fn moment(ms: i64) -> String {
    Timestamp::from_millisecond(ms).map_or_else(|_| ms.to_string(), |at| at.to_string())
}

fn without_nulls(value: Value) -> Value {
    match value {
        Value::Object(all) => {
            // A record says null where nothing was there: that is told as well.
            let said = |name: &str| ["before", "after"].contains(&name);
            all.into_iter()
                .filter(|(name, value)| !value.is_null() || said(name))
                .map(|(name, value)| match said(&name) {
                    true => (name, value),
                    false => (name, without_nulls(value)),
                })
                .collect::<Map<_, _>>()
                .into()
        }
        Value::Array(all) => all.into_iter().map(without_nulls).collect::<Vec<_>>().into(),
        other => other,
    }
}
