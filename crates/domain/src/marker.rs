//! The mark that says whose credential this is: `nhi1-<realm>-<slot>-g<gen>-e<epoch>-m<mac>`.

use std::fmt;

use jiff::Timestamp;

use crate::{
    CredentialId, RealmKey,
    realm::{digest_of, short},
};

/// What stands for access for a while in the place of a slot's name, and can be none.
const ACCESS: &str = "@access";

/// A marker as it stands on a credential. A valid MAC is what makes it ours; the rest is a claim.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Marker {
    /// The governing installation.
    pub realm: String,
    /// Which slot, as eight characters of [`Marker::slot_of`].
    pub slot: String,
    /// The slot's generation.
    pub generation: u64,
    /// Who held the slot when it was issued: the fencing token.
    pub epoch: u64,
    /// 64 bits in 13 characters of base32.
    pub mac: String,
}

impl Marker {
    /// The eight characters that stand for a slot of one tenant's integration.
    pub fn slot_of(vendor_id: &str, slot_name: &str) -> String {
        short(&digest_of("nhi-slot/1", &[vendor_id, slot_name]), 8)
    }

    /// Makes the marker of one generation under one epoch.
    pub fn new(
        key: &RealmKey,
        realm: &str,
        tenant: &str,
        vendor_id: &str,
        credential: &CredentialId,
        generation: u64,
        epoch: u64,
    ) -> Marker {
        let slot = Marker::slot_of(vendor_id, &credential.name);
        let mac = Marker::mac(key, realm, tenant, vendor_id, &slot, generation, epoch);
        Marker { realm: realm.to_owned(), slot, generation, epoch, mac }
    }

    /// Whether the MAC is this realm's, for this tenant and this integration: a copied or forged
    /// marker is not.
    pub fn is_genuine(&self, key: &RealmKey, tenant: &str, vendor_id: &str) -> bool {
        let expected = Marker::mac(
            key,
            &self.realm,
            tenant,
            vendor_id,
            &self.slot,
            self.generation,
            self.epoch,
        );
        expected == self.mac
    }

    fn mac(
        key: &RealmKey,
        realm: &str,
        tenant: &str,
        vendor_id: &str,
        slot: &str,
        generation: u64,
        epoch: u64,
    ) -> String {
        let parts = [realm, tenant, vendor_id, slot, &generation.to_string(), &epoch.to_string()];
        short(&key.mac("nhi-marker/1", &parts), 13)
    }

    /// The mark of access for a while, which is in no slot: it says until when that is access, so that a
    /// copy of it makes nothing ours for longer.
    pub fn of_access(
        key: &RealmKey,
        realm: &str,
        tenant: &str,
        vendor_id: &str,
        ends: Timestamp,
    ) -> Marker {
        let slot = Marker::slot_of(vendor_id, ACCESS);
        let ends = u64::try_from(ends.as_second()).unwrap_or(0);
        let mac = Marker::mac(key, realm, tenant, vendor_id, &slot, ends, 0);
        Marker { realm: realm.to_owned(), slot, generation: ends, epoch: 0, mac }
    }

    /// Until when a mark is that of access for a while; `None` where it is that of a slot.
    pub fn access_until(&self, vendor_id: &str) -> Option<Timestamp> {
        (self.slot == Marker::slot_of(vendor_id, ACCESS))
            .then(|| Timestamp::from_second(i64::try_from(self.generation).ok()?).ok())?
    }

    /// A mark that stands beside a key that can bear none, in the record of its integration: which
    /// slot took it in, with a MAC over the key's id. Whoever can write records at the platform makes
    /// no key of theirs ours by it.
    pub fn beside(
        key: &RealmKey,
        realm: &str,
        tenant: &str,
        vendor_id: &str,
        slot_name: &str,
        key_id: &str,
    ) -> String {
        let mac = key.mac("nhi-beside/1", &[realm, tenant, vendor_id, slot_name, key_id]);
        format!("m{}/{slot_name}", short(&mac, 13))
    }

    /// The slot that a mark beside this key names; `None` where it was not made here for it.
    pub fn slot_beside<'a>(
        key: &RealmKey,
        realm: &str,
        tenant: &str,
        vendor_id: &str,
        key_id: &str,
        text: &'a str,
    ) -> Option<&'a str> {
        let (_, slot_name) = text.split_once('/')?;
        let genuine = Marker::beside(key, realm, tenant, vendor_id, slot_name, key_id);
        (genuine == text).then_some(slot_name)
    }

    /// Reads a marker; `None` where the text is none.
    pub fn parse(text: &str) -> Option<Marker> {
        let mut parts = text.split('-');
        if parts.next()? != "nhi1" {
            return None;
        }
        let word = |text: &str, length: usize| {
            let fits = text.len() == length
                && text.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit());
            fits.then(|| text.to_owned())
        };
        let number = |text: &str, prefix: char| {
            let digits = text.strip_prefix(prefix)?;
            // One spelling a number: no sign, no leading zero.
            (digits == "0" || !digits.starts_with(['0', '+'])).then(|| digits.parse().ok())?
        };
        let marker = Marker {
            realm: word(parts.next()?, 6)?,
            slot: word(parts.next()?, 8)?,
            generation: number(parts.next()?, 'g')?,
            epoch: number(parts.next()?, 'e')?,
            mac: word(parts.next()?.strip_prefix('m')?, 13)?,
        };
        parts.next().is_none().then_some(marker)
    }
}

impl fmt::Display for Marker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Marker { realm, slot, generation, epoch, mac } = self;
        write!(f, "nhi1-{realm}-{slot}-g{generation}-e{epoch}-m{mac}")
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::{IntegrationId, Secret};

    fn marker(generation: u64, epoch: u64) -> (RealmKey, Marker) {
        let key = RealmKey::new(&Secret::new("k".repeat(40))).unwrap();
        let integration = IntegrationId::new("bao", "openbao_approle", "ci");
        let id = CredentialId { integration, name: "default".into() };
        let marker = Marker::new(&key, "k3x9q2", "cluster-1", "role-1", &id, generation, epoch);
        (key, marker)
    }

    #[test]
    fn a_marker_is_genuine_only_where_it_was_made() {
        let (key, marker) = marker(7, 12);
        assert!(marker.is_genuine(&key, "cluster-1", "role-1"));
        assert!(!marker.is_genuine(&key, "cluster-1", "role-2"));
        assert!(!marker.is_genuine(&key, "cluster-2", "role-1"));
        let forged = Marker { generation: 8, ..marker };
        assert!(!forged.is_genuine(&key, "cluster-1", "role-1"));
    }

    #[test]
    fn a_mark_of_access_says_until_when_and_is_no_slot_s() {
        let (key, of_slot) = marker(7, 12);
        let ends = Timestamp::constant(1_795_500_000, 0);
        let text = Marker::of_access(&key, "k3x9q2", "cluster-1", "role-1", ends).to_string();
        let read = Marker::parse(&text).unwrap();
        assert!(read.is_genuine(&key, "cluster-1", "role-1"));
        assert_eq!(read.access_until("role-1"), Some(ends));
        assert_eq!(read.access_until("role-2"), None, "another integration");
        assert_eq!(of_slot.access_until("role-1"), None);
        let longer = Marker { generation: read.generation + 1, ..read };
        assert!(!longer.is_genuine(&key, "cluster-1", "role-1"));
    }

    #[test]
    fn a_mark_beside_a_key_names_its_slot_for_that_key_only() {
        let (key, _) = marker(1, 1);
        let text = Marker::beside(&key, "k3x9q2", "cluster-1", "role-1", "default", "a1");
        let read = |tenant, vendor_id, key_id, text| {
            Marker::slot_beside(&key, "k3x9q2", tenant, vendor_id, key_id, text)
        };
        assert_eq!(read("cluster-1", "role-1", "a1", &text), Some("default"));
        assert_eq!(read("cluster-1", "role-1", "a2", &text), None, "another key");
        assert_eq!(read("cluster-1", "role-2", "a1", &text), None, "another integration");
        assert_eq!(read("cluster-2", "role-1", "a1", &text), None, "another tenant");
        let moved = text.replace("default", "other");
        assert_eq!(read("cluster-1", "role-1", "a1", &moved), None, "another slot");
        for text in ["", "/", "m/default", "default"] {
            assert_eq!(read("cluster-1", "role-1", "a1", text), None, "{text}");
        }
    }

    proptest! {
        #[test]
        fn every_marker_survives_being_written_and_read(g in 0..1_000_000u64, e in 0..1_000_000u64) {
            let (_, marker) = marker(g, e);
            prop_assert_eq!(Marker::parse(&marker.to_string()), Some(marker));
        }

        #[test]
        fn no_text_makes_the_parser_panic(text in "(nhi1)?[-a-z0-9ge]{0,60}|.*") {
            let _ = Marker::parse(&text);
        }
    }
}
