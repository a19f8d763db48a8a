//! What the halves of a replacement tell each other in private state. A core plans its create half and
//! not its delete half, and gives what that plan left to the delete. Of the create half's plan it shows
//! errors and no warnings: what the plan of the change itself did not say, the delete says.

use serde_json::{Value, json};

/// What the create half leaves for its delete half.
pub(super) fn half(id: &str) -> Vec<u8> {
    json!({ "half": "create", "slot": id }).to_string().into_bytes()
}

/// Whether the note is of a replacement of this very object.
pub(super) fn is_half_of(private: &[u8], id: &str) -> bool {
    read(private).is_some_and(|note| {
        word(&note, "half") == Some("create") && word(&note, "slot") == Some(id)
    })
}

/// Whether the note is of a replacement at all, whatever succeeds the object.
pub(super) fn is_half(private: &[u8]) -> bool {
    read(private).is_some_and(|note| word(&note, "half") == Some("create"))
}

/// One credential slot, as the halves must agree on it: its keys end together with the incarnation
/// of their integration, and two types need not live side by side (a client that signs in with a
/// secret takes no keys).
#[derive(Debug, Clone, Copy)]
pub(super) struct Slot<'a> {
    pub(super) id: &'a str,
    /// The incarnation of the integration; `None` where it becomes known during apply.
    pub(super) vendor_id: Option<&'a str>,
    pub(super) credential_type: Option<&'a str>,
}

impl Slot<'_> {
    fn note(&self, half: Option<&str>) -> Vec<u8> {
        let Slot { id, vendor_id, credential_type } = self;
        json!({ "half": half, "slot": id, "vendor_id": vendor_id, "type": credential_type })
            .to_string()
            .into_bytes()
    }

    /// What every plan of an existing slot leaves for the create half of its replacement.
    pub(super) fn of_prior(&self) -> Vec<u8> {
        self.note(None)
    }

    /// What the create half leaves for its delete half.
    pub(super) fn of_create(&self) -> Vec<u8> {
        self.note(Some("create"))
    }

    /// Whether this, as the create half plans it, succeeds the one that the note is of, so that the
    /// old credential can be kept until the new one works.
    pub(super) fn succeeds(&self, prior_private: &[u8]) -> bool {
        read(prior_private).is_some_and(|note| word(&note, "half").is_none() && self.is_in(&note))
    }

    /// Whether the create half succeeds this, which is to be deleted.
    pub(super) fn is_succeeded(&self, planned_private: &[u8]) -> bool {
        read(planned_private)
            .is_some_and(|note| word(&note, "half") == Some("create") && self.is_in(&note))
    }

    fn is_in(&self, note: &Value) -> bool {
        word(note, "slot") == Some(self.id)
            && self.vendor_id.is_some()
            && word(note, "vendor_id") == self.vendor_id
            && word(note, "type") == self.credential_type
    }
}

fn read(private: &[u8]) -> Option<Value> {
    serde_json::from_slice(private).ok()
}

fn word<'a>(note: &'a Value, name: &str) -> Option<&'a str> {
    note.get(name).and_then(Value::as_str)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SLOT: Slot<'_> = Slot { id: "a", vendor_id: Some("v1"), credential_type: Some("key") };

    #[test]
    fn only_the_same_type_on_the_same_incarnation_of_the_same_slot_succeeds() {
        let others = [
            Slot { id: "b", ..SLOT },
            Slot { vendor_id: Some("v2"), ..SLOT },
            Slot { vendor_id: None, ..SLOT },
            Slot { credential_type: Some("secret"), ..SLOT },
        ];
        assert!(SLOT.succeeds(&SLOT.of_prior()));
        assert!(SLOT.is_succeeded(&SLOT.of_create()));
        for other in others {
            assert!(!other.succeeds(&SLOT.of_prior()), "{other:?}");
            assert!(!SLOT.is_succeeded(&other.of_create()), "{other:?}");
        }
    }

    #[test]
    fn what_is_no_replacement_has_no_halves() {
        for private in [&b""[..], b"{}", b"[]", b"\xff", &SLOT.of_create()] {
            assert!(!SLOT.succeeds(private));
        }
        for private in [&b""[..], b"{}", &SLOT.of_prior()] {
            assert!(!SLOT.is_succeeded(private));
            assert!(!is_half(private) && !is_half_of(private, "a"));
        }
        assert!(is_half_of(&half("a"), "a") && !is_half_of(&half("a"), "b"));
        assert!(is_half(&half("a")) && is_half(&SLOT.of_create()));
    }
}
