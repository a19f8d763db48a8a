//! The text that takes over what one connection shows, as it is. Pure.

use connector::{Kind, Platform};
use domain::{IntegrationId, LastUsed, ObservedCredential, ObservedIntegration};
use operations::{SeenIntegration, slot_name_of};

use super::known::Known;
use crate::hcl::{block, comment, commented, list, object, quoted, setting, unlike};

/// One integration, and what is known of it besides.
#[derive(Debug)]
pub(crate) struct Found {
    pub(crate) id: IntegrationId,
    pub(crate) seen: SeenIntegration,
    /// Why it is not taken over, where something speaks against it.
    pub(crate) against: Option<Against>,
}

/// Why one is not taken over.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Against {
    /// It is nobody's to govern, or somebody else's.
    Not(String),
    /// It is governed here already.
    Governed,
    /// Something of it could not be read, or not be declared: its blocks are there, as comments.
    NotYet(String),
}

/// What somebody says of all that is taken over.
#[derive(Debug)]
pub(crate) struct Terms {
    pub(crate) complete_by: String,
    pub(crate) steward: String,
}

/// The text for one connection.
#[derive(Debug, Default)]
pub(crate) struct Form {
    pub(crate) text: String,
    /// What is taken over: id and address.
    pub(crate) written: Vec<(String, String)>,
    /// What is not, and why.
    pub(crate) left: Vec<(String, String)>,
    /// Those of them that could not be read or declared.
    pub(crate) held_back: usize,
    /// How many were taken over before.
    pub(crate) known: usize,
}

/// Why nothing could be declared of it that a plan takes.
pub(crate) fn refused(one: &ObservedIntegration) -> Option<String> {
    let Some((platform, kind)) = wiring::kind(&one.kind) else {
        return Some(format!("this version has no {}", one.kind));
    };
    if let Some(why) = (kind.refuse_name)(&one.name) {
        return Some(why);
    }
    let scope =
        one.scopes.iter().find_map(|held| refused_scope(platform, kind, held.scope.as_str()));
    let settings = || platform.contradiction(kind.name, &one.settings);
    scope.or_else(|| settings().map(|(field, obstacle)| format!("{field}: {}", obstacle.why)))
}

fn refused_scope(platform: &dyn Platform, kind: &Kind, scope: &str) -> Option<String> {
    platform.parse_scope(kind.name, scope).err().map(|error| error.message)
}

/// The text for what a connection shows, without what is known already.
pub(crate) fn form(
    connection: &str,
    found: &[Found],
    gaps: &[String],
    terms: &Terms,
    known: &mut Known,
) -> Form {
    let mut form = Form::default();
    let mut parts = Vec::new();
    for one in found {
        if let Some(part) = integration(one, terms, known, &mut form) {
            parts.push(part);
        }
    }
    let head = [
        format!("What connection {connection} showed to nhi adopt, as it is. This file is yours: a later run"),
        "writes what is new into another one, and changes nothing here.".to_owned(),
        "What only people know is left out: purpose, environment, business_owner, technical_owner and".to_owned(),
        "expires_on of each nhi_integration, the justification of each nhi_scope, and where the secret of".to_owned(),
        "each nhi_credential is (deliver_to or secret_source). Write it down until complete_by, and remove".to_owned(),
        "adoption where nothing is missing.".to_owned(),
    ];
    let mut text: String = head.iter().map(|line| comment(line) + "\n").collect();
    for (id, why) in &form.left {
        text.push_str(&format!("{}\n", comment(&format!("Left out: {id}: {why}"))));
    }
    for gap in gaps {
        text.push_str(&format!("{}\n", comment(&format!("Not read: {gap}"))));
    }
    for part in parts {
        text.push('\n');
        text.push_str(&part);
    }
    form.text = text;
    form
}

fn integration(one: &Found, terms: &Terms, known: &mut Known, form: &mut Form) -> Option<String> {
    let (id, observed) = (&one.id, &one.seen.observed);
    if let Some(name) = known.integration(id, &observed.name) {
        let name = name.map(str::to_owned);
        form.known += 1;
        return new_keys(one, name.as_deref(), known, form);
    }
    let kind = wiring::kind(&id.kind)?.1;
    match &one.against {
        Some(Against::Not(why)) => {
            form.left.push((id.to_string(), why.clone()));
            return None;
        }
        Some(Against::Governed) => {
            let why = "this installation governs it already; where its state is lost, nhi scan --format import has \
                       its blocks";
            form.left.push((id.to_string(), why.to_owned()));
            return None;
        }
        Some(Against::NotYet(_)) | None => {}
    }
    let name = unlike(&observed.name, &id.kind, &observed.vendor_id, &mut known.taken);
    let mut written = Vec::new();
    let mut text = format!("{}\n\n", comment(&id.to_string()));
    let address = format!("nhi_integration.{name}");
    text.push_str(&import(&address, &id.to_string()));
    text.push('\n');
    text.push_str(&block(
        &format!("resource \"nhi_integration\" \"{name}\""),
        &attributes(id, observed, kind, terms),
    ));
    written.push((id.to_string(), address.clone()));

    let scope = format!("nhi_scope.{name}");
    let scope_id = format!("{id}/scope");
    text.push('\n');
    text.push_str(&import(&scope, &scope_id));
    text.push('\n');
    let scopes = list(observed.scopes.iter().map(|held| held.scope.as_str()));
    text.push_str(&block(
        &format!("resource \"nhi_scope\" \"{name}\""),
        &[of("integration", &address), ("scopes".to_owned(), scopes)],
    ));
    written.push((scope_id, scope));

    let keys = keys(&one.seen);
    for (key_id, slot) in &keys {
        let slot_id = format!("{id}/credential/{slot}");
        let label = match keys.len() {
            1 => name.clone(),
            _ => unlike(&format!("{name}_{slot}"), &id.kind, key_id, &mut known.taken),
        };
        text.push('\n');
        text.push_str(&credential(&one.seen, key_id, slot, (&slot_id, &label, &address), kind));
        written.push((slot_id, format!("nhi_credential.{label}")));
    }
    let aside = aside(&one.seen);
    for (key_id, why) in &aside {
        text.push_str(&format!("\n{}\n", comment(&format!("Credential {key_id}: {why}"))));
        form.left.push((format!("{id}: {key_id}"), why.clone()));
    }
    if let Some(Against::NotYet(why)) = &one.against {
        form.held_back += 1;
        form.left.push((id.to_string(), why.clone()));
        let head = comment(&format!("Not taken over yet: {why}"));
        return Some(format!("{head}\n{}", commented(&text)));
    }
    form.written.extend(written);
    Some(text)
}

fn of(name: &str, value: &str) -> (String, String) {
    (name.to_owned(), value.to_owned())
}

fn import(address: &str, id: &str) -> String {
    block("import", &[of("to", address), ("id".to_owned(), quoted(id))])
}

fn attributes(
    id: &IntegrationId,
    observed: &ObservedIntegration,
    kind: &Kind,
    terms: &Terms,
) -> Vec<(String, String)> {
    let mut all = vec![
        ("connection_name".to_owned(), quoted(&id.connection)),
        ("name".to_owned(), quoted(&observed.name)),
    ];
    if !observed.enabled && kind.capabilities.disables {
        all.push(of("enabled", "false"));
    }
    // Each as it stands: what is left out would be given a default.
    let stands = kind.fields.iter().filter_map(|field| {
        let value = observed.settings.0.get(field.name)?;
        Some((field.name.to_owned(), setting(value)))
    });
    all.push((kind.name.to_owned(), object(&stands.collect::<Vec<_>>())));
    let adoption = object(&[
        ("complete_by".to_owned(), quoted(&terms.complete_by)),
        ("steward".to_owned(), quoted(&terms.steward)),
    ]);
    all.push(("adoption".to_owned(), adoption));
    all
}

/// The live credentials that a slot can be for, each with the slot's name.
fn keys(seen: &SeenIntegration) -> Vec<(String, String)> {
    let all = || seen.known.keys().chain(seen.slots.keys()).map(String::as_str);
    let named = seen.slots.iter().filter_map(|(key_id, slot)| {
        let (_, name) = slot.rsplit_once("/credential/")?;
        Some((key_id.clone(), name.to_owned()))
    });
    let nobodys = seen.unmanaged.iter().filter(|key_id| is_unmarked(seen, key_id));
    let nobodys = nobodys.map(|key_id| (key_id.clone(), slot_name_of(key_id, all())));
    let mut keys: Vec<(String, String)> =
        named.chain(nobodys).filter(|(_, slot)| !slot.is_empty()).collect();
    keys.sort();
    keys.dedup_by(|one, other| one.1 == other.1);
    keys
}

fn is_unmarked(seen: &SeenIntegration, key_id: &str) -> bool {
    let mark = seen.known.get(key_id).and_then(|one| one.marker.as_deref());
    mark.and_then(domain::Marker::parse).is_none()
}

/// The live credentials that no slot can be for, and why.
fn aside(seen: &SeenIntegration) -> Vec<(String, String)> {
    let all = || seen.known.keys().chain(seen.slots.keys()).map(String::as_str);
    let foreign = seen.foreign.iter().map(|(key_id, of)| {
        (
            key_id.clone(),
            format!("it carries the mark of installation {of:?}, which rotates and ends it"),
        )
    });
    let forged = seen.forged.iter().map(|key_id| {
        (
            key_id.clone(),
            "its mark was copied or forged; find out who made it, and end it".to_owned(),
        )
    });
    let own = seen
        .own
        .iter()
        .map(|key_id| (key_id.clone(), "nhi itself signs in with it, or may".to_owned()));
    let marked = seen.unmanaged.iter().filter(|key_id| {
        !is_unmarked(seen, key_id) && !seen.forged.contains(*key_id) && !seen.own.contains(*key_id)
    });
    let marked = marked.map(|key_id| {
        (key_id.clone(), "it carries a mark, and no book here names its slot".to_owned())
    });
    let alike = seen
        .unmanaged
        .iter()
        .filter(|key_id| is_unmarked(seen, key_id) && slot_name_of(key_id, all()).is_empty());
    let alike = alike.map(|key_id| {
        (key_id.clone(), "as a slot it would be called the same as another one".to_owned())
    });
    foreign.chain(forged).chain(own).chain(marked).chain(alike).collect()
}

fn credential(
    seen: &SeenIntegration,
    key_id: &str,
    slot: &str,
    (slot_id, label, integration): (&str, &str, &str),
    kind: &Kind,
) -> String {
    let listed = seen.observed.credentials.iter().flatten().find(|one| one.key_id == key_id);
    let details = seen.known.get(key_id).or(listed);
    let mut all = vec![of("integration", integration), ("name".to_owned(), quoted(slot))];
    let usual = kind.credential_types.first().map(|one| one.name);
    let other = details.filter(|one| usual.is_some_and(|usual| usual != one.credential_type));
    let other = other.and_then(|one| {
        let of_kind = kind.credential_types.iter().find(|of| of.name == one.credential_type)?;
        Some((one, of_kind))
    });
    if let Some((one, of_kind)) = other {
        let stands = of_kind.fields.iter().filter_map(|field| {
            Some((field.name.to_owned(), setting(one.settings.0.get(field.name)?)))
        });
        all.push((of_kind.name.to_owned(), object(&stands.collect::<Vec<_>>())));
    }
    let address = format!("nhi_credential.{label}");
    format!(
        "{}\n{}\n{}",
        comment(&evidence(key_id, details)),
        import(&address, slot_id),
        block(&format!("resource \"nhi_credential\" \"{label}\""), &all)
    )
}

/// What its platform tells of a credential: for people, and nothing is derived from it.
fn evidence(key_id: &str, details: Option<&ObservedCredential>) -> String {
    let mut parts = Vec::new();
    if let Some(at) = details.and_then(|one| one.issued_at) {
        parts.push(format!("issued {at}"));
    }
    if let Some(at) = details.and_then(|one| one.expires_at) {
        parts.push(format!("ends {at}"));
    }
    parts.push(match details.map(|one| &one.last_used) {
        Some(LastUsed::At(at)) => format!("last used {at}"),
        _ => "last use unknown".to_owned(),
    });
    format!("{key_id}: {}", parts.join(", "))
}

/// What came to an integration that was taken over before.
fn new_keys(one: &Found, name: Option<&str>, known: &mut Known, form: &mut Form) -> Option<String> {
    let id = &one.id;
    let kind = wiring::kind(&id.kind)?.1;
    let is_new = |(key_id, slot): &(String, String)| {
        one.seen.unmanaged.contains(key_id) && !known.has(&format!("{id}/credential/{slot}"))
    };
    let keys: Vec<(String, String)> = keys(&one.seen).into_iter().filter(is_new).collect();
    let record = one.seen.observed.record.as_ref();
    let mut text = String::new();
    for (key_id, slot) in &keys {
        let slot_id = format!("{id}/credential/{slot}");
        if let Some(Against::Not(why) | Against::NotYet(why)) = &one.against {
            form.left.push((slot_id, why.clone()));
            form.held_back += usize::from(matches!(one.against, Some(Against::NotYet(_))));
            continue;
        }
        let Some(name) = name else {
            let why =
                "nobody declared it, and its nhi_integration is in other files: import it there";
            form.left.push((slot_id, why.to_owned()));
            continue;
        };
        if record.is_some_and(|record| record.adoption.is_none()) {
            let why =
                "nobody declared it, and its integration is not being adopted: a plan tells it"
                    .to_owned();
            form.left.push((slot_id, why));
            continue;
        }
        let label = unlike(&format!("{name}_{slot}"), &id.kind, key_id, &mut known.taken);
        let address = format!("nhi_integration.{name}");
        if text.is_empty() {
            text = format!("{}\n", comment(&format!("{id}, in addition")));
        }
        text.push('\n');
        text.push_str(&credential(&one.seen, key_id, slot, (&slot_id, &label, &address), kind));
        form.written.push((slot_id, format!("nhi_credential.{label}")));
    }
    (!text.is_empty()).then_some(text)
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};

    use domain::{Gap, GapExtent, GrantedScope, Scope, Settings};
    use hcl_edit::structure::Body;

    use super::*;

    fn key(key_id: &str) -> ObservedCredential {
        ObservedCredential {
            key_id: key_id.into(),
            credential_type: "openbao_secret_id".into(),
            marker: None,
            issued_at: "2025-03-02T10:00:00Z".parse().ok(),
            expires_at: None,
            last_used: LastUsed::Unknown,
            live: true,
            disabled: false,
            settings: Settings::default(),
        }
    }

    fn found(name: &str, keys: &[&str], against: Option<Against>) -> Found {
        let scope: Scope = wiring::kind("openbao_approle")
            .and_then(|(platform, kind)| platform.parse_scope(kind.name, "secret/data/x:read").ok())
            .and_then(|scopes| scopes.into_iter().next())
            .unwrap();
        let observed = ObservedIntegration {
            kind: "openbao_approle".into(),
            key: name.into(),
            vendor_id: format!("role-{name}"),
            name: name.into(),
            settings: Settings::default().with("token_ttl", domain::Setting::Text("20m".into())),
            record: None,
            parked: false,
            scopes: BTreeSet::from([GrantedScope::standing(scope)]),
            enabled: true,
            contacts: None,
            builtin: false,
            credentials: None,
            gaps: vec![Gap { extent: GapExtent::Connection, cause: "none".into() }],
        };
        let seen = SeenIntegration {
            tenant: "t".into(),
            observed,
            unmanaged: keys.iter().map(|one| (*one).to_owned()).collect(),
            known: keys.iter().map(|one| ((*one).to_owned(), key(one))).collect(),
            foreign: BTreeMap::new(),
            own: BTreeSet::new(),
            slots: BTreeMap::new(),
            late: BTreeMap::new(),
            forged: BTreeSet::new(),
            unread_books: None,
            recreated: false,
            reviewed_on: None,
            unread_reviews: None,
        };
        Found { id: IntegrationId::new("bao", "openbao_approle", name), seen, against }
    }

    fn terms() -> Terms {
        Terms { complete_by: "2026-12-15".into(), steward: "owner/payments".into() }
    }

    fn blocks(text: &str) -> Vec<String> {
        let body: Body = text.parse().unwrap();
        let labels = |block: &hcl_edit::structure::Block| {
            block.labels.iter().map(|label| label.as_str().to_owned()).collect::<Vec<_>>().join(".")
        };
        body.blocks().map(labels).filter(|labels| !labels.is_empty()).collect()
    }

    #[test]
    fn what_could_not_be_read_is_a_comment_and_what_is_nobodys_to_take_over_a_line() {
        let all = [
            found("a", &["1d5be74d-0ec0-7c30-f9b2-ff4e992e6b4d"], None),
            found(
                "b\"}\n${x}",
                &["k1", "k2"],
                Some(Against::NotYet("scopes\n}: status 403".into())),
            ),
            found("c", &[], Some(Against::Not("its platform comes with it".into()))),
        ];
        let form = form("bao", &all, &["a page\n}".to_owned()], &terms(), &mut Known::default());
        assert_eq!(blocks(&form.text), ["nhi_integration.a", "nhi_scope.a", "nhi_credential.a"]);
        assert_eq!((form.written.len(), form.held_back, form.left.len()), (3, 1, 2));
        for part in [
            "# Left out: bao/openbao_approle/c: its platform comes with it",
            "# Not read: a page }",
            "# resource \"nhi_credential\" \"b_x_k1\" {",
            "# 1d5be74d-0ec0-7c30-f9b2-ff4e992e6b4d: issued 2025-03-02T10:00:00Z, last use unknown",
            "    token_ttl = \"20m\"",
            "  name        = \"1d5be74d\"",
        ] {
            assert!(form.text.contains(part), "{part}: {}", form.text);
        }
        for guessed in ["purpose =", "environment =", "_owner =", "justification =", "deliver_to ="]
        {
            assert!(!form.text.contains(guessed), "{guessed}: {}", form.text);
        }
    }

    #[test]
    fn what_is_known_is_not_written_again_and_a_new_key_of_it_is() {
        let folder = tempfile::tempdir().unwrap();
        let first = [found("a", &["1d5be74d-0ec0"], None)];
        let text = form("bao", &first, &[], &terms(), &mut Known::default()).text;
        std::fs::write(folder.path().join("a.tf"), text).unwrap();
        let again = |keys: &[&str], against| {
            let mut known = Known::default();
            known.add_folder(folder.path()).unwrap();
            form("bao", &[found("a", keys, against)], &[], &terms(), &mut known)
        };
        assert_eq!(again(&["1d5be74d-0ec0"], None).written, []);
        let more = again(&["1d5be74d-0ec0", "k2"], Some(Against::Governed));
        assert_eq!(blocks(&more.text), ["nhi_credential.a_k2"]);
        assert!(more.text.contains("integration = nhi_integration.a\n"), "{}", more.text);
    }
}
