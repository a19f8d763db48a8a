//! Entries of a ledger, as somebody who may write the file can leave them.

use ledger::{Entry, Hash, canonical};

/// Bodies of entries: what is canonical is its own encoding, its members are found without decoding
/// it, and an entry that reads can be prepared again.
pub fn entries(data: &[u8]) {
    let members: Vec<(&[u8], &[u8])> = canonical::members(data).collect();
    if let Ok(value) = canonical::decode(data) {
        assert_eq!(canonical::encode(&value).as_deref(), Ok(data));
        if let Some(object) = value.as_object() {
            assert_eq!(members.len(), object.len(), "{value}");
        }
    }
    let Ok(entry) = Entry::read(1, Hash::ZERO, data.to_vec()) else { return };
    if let Ok(prepared) = entry.said().clone().prepare(None) {
        let body = prepared.body(1).expect("a small number fits where a large one did");
        let again = Entry::read(1, Hash::ZERO, body).expect("what was prepared reads");
        assert_eq!((&again.kind, &again.subject), (&prepared.entry.kind, &prepared.entry.subject));
    }
}
