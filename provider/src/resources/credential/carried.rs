//! A rotation that a run carried out and could not tell its core: the state has what asked for it as it
//! was before, so the next plan would be asked for the very same again. Custody says what a generation
//! was begun for; a look that finds one which the state never heard of leaves that in private state, and
//! the plan knows it again. The next update clears it.

use domain::realm::{digest_of, short};
use serde_json::{Value, json};

use super::{
    model::CredentialModel,
    slot::{kind_of, settings_as, type_of},
};

/// Everything that may ask for a rotation, as a digest; `None` while a part of it is unknown.
pub(super) fn asked_for(model: &CredentialModel) -> Option<String> {
    let reference = model.integration.value()?;
    let owner = reference.technical_owner.value().map(|owner| owner.id.clone()).unwrap_or_default();
    let texts =
        [&model.incident, &reference.incident, &owner, &reference.environment, &model.function];
    if texts.iter().any(|one| one.is_unknown()) || model.triggers.is_unknown() {
        return None;
    }
    let wanted = kind_of(&reference.id).and_then(|kind| type_of(model, kind))?;
    let settings = settings_as(model, wanted).0;
    let settings: Vec<_> = settings.iter().map(|(name, one)| (name, one.to_string())).collect();
    let texts: Vec<Option<&str>> = texts.iter().map(|one| one.as_deref()).collect();
    let all = json!([texts, model.triggers.value(), wanted.name, settings]).to_string();
    Some(short(&digest_of("nhi-asked/1", &[&all]), 40))
}

/// What a look leaves, of a generation that it found.
pub(super) fn note(asked: &str, generation: u64) -> Vec<u8> {
    json!({ "asked": asked, "generation": generation }).to_string().into_bytes()
}

/// The same beside what else a plan leaves.
pub(super) fn beside(note: Vec<u8>, prior_private: &[u8]) -> Vec<u8> {
    let (Some(Value::Object(mut all)), Some(Value::Object(left))) =
        (read(&note), read(prior_private))
    else {
        return note;
    };
    all.extend(left.into_iter().filter(|(name, _)| matches!(&**name, "asked" | "generation")));
    Value::Object(all).to_string().into_bytes()
}

/// Whether what state has now came by what is asked for.
pub(super) fn is_carried_out(
    private: &[u8],
    prior: &CredentialModel,
    planned: &CredentialModel,
) -> bool {
    let Some(note) = read(private) else { return false };
    let generation = note.get("generation").and_then(Value::as_i64);
    let asked = note.get("asked").and_then(Value::as_str);
    generation.is_some()
        && generation.as_ref() == prior.generation.value()
        && asked.is_some()
        && asked_for(planned).as_deref() == asked
}

fn read(private: &[u8]) -> Option<Value> {
    serde_json::from_slice(private).ok()
}
