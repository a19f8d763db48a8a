//! A rotation that a run carried out and could not tell its core: the state has what asked for it as it
//! was before, so the next plan would be asked for the very same again. Custody says what a generation
//! was begun for; a look that finds one which the state never heard of leaves that in private state, and
//! the plan knows it again. The next update clears it.

use domain::realm::{digest_of, short};
use operations::Left;
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

/// What a look leaves of something that was begun and is not finished, beside what was noted before;
/// nothing where there is none.
pub(super) fn note_left(left: Option<Left>, note: Vec<u8>) -> Vec<u8> {
    let before = read(&note);
    if left.is_none() && before.as_ref().is_none_or(|all| all.get("left").is_none()) {
        return note;
    }
    let mut all = before.and_then(|all| all.as_object().cloned()).unwrap_or_default();
    all.remove("left");
    if let Some(Left { generation, made, ending }) = left {
        let left = json!({ "generation": generation, "made": made, "ending": ending });
        all.insert("left".to_owned(), left);
    }
    Value::Object(all).to_string().into_bytes()
}

/// What finishing comes to: the generation, and whether its key is the one that state has. `None` where
/// only apply can say it.
pub(super) fn finishes_at(
    private: &[u8],
    prior: &CredentialModel,
    is_asked: bool,
) -> Option<Finish> {
    let note = read(private)?;
    let left = note.get("left")?;
    let generation = left.get("generation")?.as_i64()?;
    let (made, ending) = (left.get("made")?.as_bool()?, left.get("ending")?.as_bool()?);
    match (is_asked, ending) {
        // An ending is followed by what is asked for.
        (true, true) => Some(Finish { generation: generation + 1, made: false, ending }),
        // It is in its places for another reason: whether it is this one's too, apply decides.
        (true, false) if Some(&generation) <= prior.generation.value() => None,
        _ => Some(Finish { generation, made, ending }),
    }
}

/// What is known at plan of how something ends that was begun.
#[derive(Debug, Clone, Copy)]
pub(super) struct Finish {
    pub(super) generation: i64,
    /// Its key is the one that state has.
    pub(super) made: bool,
    /// Earlier ones are being ended.
    pub(super) ending: bool,
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
