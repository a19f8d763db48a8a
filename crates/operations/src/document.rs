//! The document that consumers read, and what of us stands in it.

use std::{borrow::Cow, collections::BTreeMap};

use connector::{CredentialType, MainField};
use domain::{Fingerprint, Secret};
use jiff::Timestamp;
use policy::rotation::Previous;
use secrets::{Document, Mirror};
use serde::{Deserialize, Serialize};

use crate::{
    claim::{previous_from, previous_text},
    journal::moment,
};

/// The field in which our own facts stand.
pub(crate) const META: &str = "_nhi";

/// What we say of a document: in the document itself, where it is one write with the secret, and
/// again in the mirror, where plan may read it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Meta {
    pub(crate) realm: String,
    pub(crate) slot: String,
    /// The integration's incarnation: another one's document holds nothing of this slot.
    pub(crate) vendor_id: String,
    pub(crate) generation: u64,
    pub(crate) epoch: u64,
    pub(crate) key_id: String,
    pub(crate) fingerprint: String,
    pub(crate) promoted_at: Option<Timestamp>,
    pub(crate) previous: Vec<Previous>,
    /// The key was ended.
    pub(crate) revoked: bool,
    /// The secret was taken out of this place, and its key may live on.
    pub(crate) withdrawn: bool,
    /// Where the claim of its slot is.
    pub(crate) custody: Option<String>,
}

/// The same as it stands in a document.
#[derive(Deserialize, Serialize)]
struct Said<'a> {
    #[serde(borrow, default, skip_serializing_if = "Option::is_none")]
    custody: Option<Cow<'a, str>>,
    epoch: u64,
    #[serde(borrow)]
    fingerprint: Cow<'a, str>,
    #[serde(rename = "gen")]
    generation: u64,
    #[serde(borrow)]
    key: Cow<'a, str>,
    #[serde(borrow, default)]
    previous: Cow<'a, str>,
    #[serde(borrow, default)]
    promoted_at: Cow<'a, str>,
    #[serde(borrow)]
    realm: Cow<'a, str>,
    #[serde(default)]
    revoked: bool,
    #[serde(borrow)]
    slot: Cow<'a, str>,
    v: Option<u64>,
    #[serde(borrow)]
    vendor_id: Cow<'a, str>,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    withdrawn: bool,
}

impl Meta {
    pub(crate) fn to_json(&self) -> String {
        let said = Said {
            custody: self.custody.as_deref().map(Cow::Borrowed),
            epoch: self.epoch,
            fingerprint: Cow::Borrowed(&self.fingerprint),
            generation: self.generation,
            key: Cow::Borrowed(&self.key_id),
            previous: previous_text(&self.previous).into(),
            promoted_at: self.promoted_at.map(moment).unwrap_or_default().into(),
            realm: Cow::Borrowed(&self.realm),
            revoked: self.revoked,
            slot: Cow::Borrowed(&self.slot),
            v: Some(1),
            vendor_id: Cow::Borrowed(&self.vendor_id),
            withdrawn: self.withdrawn,
        };
        serde_json::to_string(&said).unwrap_or_default()
    }

    /// What a document says of itself; `None` where it is not ours.
    pub(crate) fn of(document: &Document) -> Option<Meta> {
        let said: Said<'_> = serde_json::from_str(document.get(META)?.expose()).ok()?;
        Some(Meta {
            realm: said.realm.into_owned(),
            slot: said.slot.into_owned(),
            vendor_id: said.vendor_id.into_owned(),
            generation: said.generation,
            epoch: said.epoch,
            key_id: said.key.into_owned(),
            fingerprint: said.fingerprint.into_owned(),
            promoted_at: said.promoted_at.parse().ok(),
            previous: previous_from(&said.previous),
            revoked: said.revoked,
            withdrawn: said.withdrawn,
            custody: said.custody.map(Cow::into_owned),
        })
    }

    /// Whether the secret that it is about was neither ended nor taken out.
    pub(crate) fn is_in_force(&self) -> bool {
        !self.revoked && !self.withdrawn
    }

    /// Whether it is this realm's, of this very slot, in this incarnation of its integration.
    pub(crate) fn ours(&self, realm: &str, slot: &str, vendor_id: &str) -> bool {
        self.of_slot(realm, slot) && self.vendor_id == vendor_id
    }

    /// Whether it is this realm's and of this slot, in whichever incarnation: then it may be
    /// written over.
    pub(crate) fn of_slot(&self, realm: &str, slot: &str) -> bool {
        self.realm == realm && self.slot == slot
    }

    /// Whether it is of this key and no earlier generation: what a backup brought back is of one.
    pub(crate) fn is_of(&self, key_id: &str, generation: u64) -> bool {
        self.key_id == key_id && self.generation >= generation
    }

    /// The mirror of one version.
    pub(crate) fn mirror(&self, version: u64) -> Mirror {
        let withdrawn = self.withdrawn.then(|| ("withdrawn".to_owned(), "true".to_owned()));
        let all = [
            ("realm".to_owned(), self.realm.clone()),
            ("slot".to_owned(), self.slot.clone()),
            ("vendor_id".to_owned(), self.vendor_id.clone()),
            ("gen".to_owned(), self.generation.to_string()),
            ("epoch".to_owned(), self.epoch.to_string()),
            ("key".to_owned(), self.key_id.clone()),
            ("fingerprint".to_owned(), self.fingerprint.clone()),
            ("promoted_at".to_owned(), self.promoted_at.map(moment).unwrap_or_default()),
            ("previous".to_owned(), previous_text(&self.previous)),
            ("revoked".to_owned(), self.revoked.to_string()),
            ("version".to_owned(), version.to_string()),
        ];
        let custody = self.custody.clone().map(|place| ("custody".to_owned(), place));
        all.into_iter().chain(withdrawn).chain(custody).collect()
    }

    /// What a mirror says, with the version that it belongs to; `None` where it is not ours.
    pub(crate) fn from_mirror(mirror: &Mirror) -> Option<(Meta, u64)> {
        let word = |name: &str| mirror.get(name).cloned();
        let meta = Meta {
            realm: word("realm")?,
            slot: word("slot")?,
            vendor_id: word("vendor_id")?,
            generation: word("gen")?.parse().ok()?,
            epoch: word("epoch")?.parse().ok()?,
            key_id: word("key")?,
            fingerprint: word("fingerprint")?,
            promoted_at: word("promoted_at").and_then(|text| text.parse().ok()),
            previous: previous_from(&word("previous").unwrap_or_default()),
            revoked: word("revoked").as_deref() == Some("true"),
            withdrawn: word("withdrawn").as_deref() == Some("true"),
            custody: word("custody"),
        };
        Some((meta, word("version")?.parse().ok()?))
    }
}

/// Makes the document of a credential: the consumer's fields and our facts.
pub(crate) fn compose(
    kind: &CredentialType,
    fields: &BTreeMap<String, String>,
    vendor_id: &str,
    secret: &Secret,
    meta: &Meta,
    keep: Option<Document>,
) -> Document {
    // Fields of others that were there stay, byte for byte.
    let mut document = keep.unwrap_or_default();
    let pair = secret.expose().split_once(':').filter(|_| kind.is_pair());
    let key_id = || Secret::new(pair.map_or(meta.key_id.as_str(), |(key_id, _)| key_id));
    let alone = || pair.map_or_else(|| secret.duplicate(), |(_, alone)| Secret::new(alone));
    let user = || Secret::new(meta.key_id.split_once('@').map_or("", |(_, user)| user));
    if fields.is_empty() {
        for (name, field) in kind.main {
            let value = match field {
                MainField::VendorId => Secret::new(vendor_id),
                MainField::Secret => alone(),
                MainField::User => user(),
                MainField::KeyId => key_id(),
            };
            document = document.with(name, value);
        }
    } else {
        for (name, what) in fields {
            let value = match what.as_str() {
                "id" => Secret::new(vendor_id),
                "secret" => alone(),
                "key_id" if kind.is_pair() => key_id(),
                "user" if kind.has_user() => user(),
                fixed => Secret::new(fixed),
            };
            document = document.with(name, value);
        }
    }
    document.with(META, Secret::new(meta.to_json()))
}

/// The secret in a document that [`compose`] made.
pub(crate) fn secret_in(
    kind: &CredentialType,
    fields: &BTreeMap<String, String>,
    document: &Document,
) -> Option<Secret> {
    let name_of = |field: MainField, word: &str| {
        if fields.is_empty() {
            kind.main.iter().find(|(_, have)| *have == field).map(|(name, _)| *name)
        } else {
            fields.iter().find(|(_, what)| *what == word).map(|(name, _)| name.as_str())
        }
    };
    let secret = document.get(name_of(MainField::Secret, "secret")?)?;
    if !kind.is_pair() {
        return Some(secret.duplicate());
    }
    // A document whose own fields leave the key id out still says it of itself.
    let key_id = match name_of(MainField::KeyId, "key_id") {
        Some(name) => document.get(name)?.duplicate(),
        None => Secret::new(Meta::of(document)?.key_id),
    };
    let mut pair = String::with_capacity(key_id.expose().len() + 1 + secret.expose().len());
    pair.extend([key_id.expose(), ":", secret.expose()]);
    Some(Secret::new(pair))
}

/// Whether a document's secret is the one that a fingerprint names; `None` where that cannot be
/// told.
pub(crate) fn matches(print: &Fingerprint, known: &str) -> Option<bool> {
    print.same_as(&Fingerprint(known.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    static PAIR: CredentialType = CredentialType {
        name: "acme_key",
        doc: "A key in two parts.",
        fields: &[],
        profiles: &[],
        main: &[("id", MainField::KeyId), ("key", MainField::Secret)],
    };

    #[test]
    fn who_signs_in_stands_beside_the_secret_under_any_name() {
        let turns = CredentialType {
            main: &[("user", MainField::User), ("password", MainField::Secret)],
            ..PAIR
        };
        let meta = Meta { key_id: "3fd2@billing@eu_a".into(), ..meta() };
        let named = BTreeMap::from([
            ("PGUSER".into(), "user".into()),
            ("PGPASSWORD".into(), "secret".into()),
        ]);
        for (fields, user) in [(BTreeMap::new(), "user"), (named, "PGUSER")] {
            let document = compose(&turns, &fields, "v", &Secret::new("s"), &meta, None);
            assert_eq!(document.get(user).unwrap().expose(), "billing@eu_a");
            assert_eq!(secret_in(&turns, &fields, &document), Some(Secret::new("s")));
        }
    }

    fn meta() -> Meta {
        Meta {
            realm: "k3x9q2".into(),
            slot: "s".into(),
            vendor_id: "v".into(),
            generation: 1,
            epoch: 1,
            key_id: "AK1".into(),
            fingerprint: String::new(),
            promoted_at: None,
            previous: Vec::new(),
            revoked: false,
            withdrawn: false,
            custody: None,
        }
    }

    #[test]
    fn a_key_in_two_parts_stands_in_two_fields_and_is_read_as_one() {
        let secret = Secret::new("AK1:a/b:c");
        let named = |words: &[(&str, &str)]| -> BTreeMap<String, String> {
            words.iter().map(|(name, what)| ((*name).into(), (*what).into())).collect()
        };
        for (fields, id, key) in [
            (named(&[]), Some("id"), "key"),
            (named(&[("AWS_ID", "key_id"), ("AWS_KEY", "secret")]), Some("AWS_ID"), "AWS_KEY"),
            (named(&[("only", "secret"), ("region", "eu")]), None, "only"),
        ] {
            let document = compose(&PAIR, &fields, "v", &secret, &meta(), None);
            let text = |name: &str| document.get(name).map(|one| one.expose().to_owned());
            assert_eq!(id.and_then(text), id.map(|_| "AK1".to_owned()));
            assert_eq!(text(key).as_deref(), Some("a/b:c"));
            assert_eq!(secret_in(&PAIR, &fields, &document).as_ref(), Some(&secret));
        }
    }
}
