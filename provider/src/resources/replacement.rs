//! What the halves of a replacement tell each other in private state. A core plans its create half and
//! not its delete half, and gives what that plan left to the delete.

use serde_json::{Value, json};

/// What the create half leaves for its delete half; the type of the credential, where it is one.
pub(super) fn half(id: &str, credential_type: Option<&str>) -> Vec<u8> {
    json!({ "half": "create", "slot": id, "type": credential_type }).to_string().into_bytes()
}

/// Whether the note is of a replacement of this very object, by the same type. Two types need not
/// live side by side: a client that signs in with a secret takes no keys.
pub(super) fn is_half_of(private: &[u8], id: &str, credential_type: Option<&str>) -> bool {
    serde_json::from_slice::<Value>(private).is_ok_and(|value| {
        let word = |name: &str| value.get(name).and_then(Value::as_str);
        word("half") == Some("create")
            && word("slot") == Some(id)
            && word("type").is_none_or(|one| Some(one) == credential_type)
    })
}

/// What every plan of an existing slot leaves, so that the other half of a replacement knows itself.
pub(super) fn slot_note(id: &str) -> Vec<u8> {
    json!({ "slot": id }).to_string().into_bytes()
}

pub(super) fn is_slot_note(private: &[u8]) -> bool {
    serde_json::from_slice::<Value>(private)
        .is_ok_and(|value| value.get("slot").is_some() && value.get("half").is_none())
}
