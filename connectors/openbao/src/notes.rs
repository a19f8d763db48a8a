//! What is weaker on one connection than on a current OpenBao with the full permissions, for `nhi
//! doctor`. Features are asked for, never versions.

use std::collections::{BTreeMap, BTreeSet};

use connector::{Connector, Error, Refusal, Result, Want, transport::Request};
use domain::Span;
use serde::Deserialize;
use serde_json::json;

use crate::{
    api::{Api, ask, encode},
    approle::AppRole,
    probe::Lockout,
    tables::MOUNT,
};

/// How long a token of our own may outlive its run, in seconds, before that is worth a word.
const LONG: u64 = 3600;

/// What a deed needs of our own token: path, capabilities, and what goes missing without.
type Need = (&'static str, &'static [&'static str], &'static str);

/// What integrations need of each mount that their roles are on.
const ON_MOUNT: [Need; 8] = [
    ("auth/{mount}/role", &["list"], "integrations that nobody declared are not found"),
    (
        "auth/{mount}/role/nhi-probe",
        &["create", "read", "update", "delete"],
        "integrations can be neither made nor changed",
    ),
    ("auth/{mount}/role/nhi-probe/role-id", &["read"], "integrations cannot be read"),
    (
        "auth/{mount}/role/nhi-probe/secret-id",
        &["list", "update"],
        "credentials can be neither listed nor issued",
    ),
    (
        "auth/{mount}/role/nhi-probe/secret-id/lookup",
        &["update"],
        "whether a credential was issued cannot be told where the answer was lost",
    ),
    (
        "auth/{mount}/role/nhi-probe/custom-secret-id",
        &["update"],
        "secrets of our own choice cannot be issued",
    ),
    (
        "auth/{mount}/role/nhi-probe/secret-id-accessor/lookup",
        &["update"],
        "whose a credential is and when it ends is not seen",
    ),
    (
        "auth/{mount}/role/nhi-probe/secret-id-accessor/destroy",
        &["update"],
        "credentials cannot be revoked",
    ),
];

/// What they need beside.
const NEEDS: [Need; 11] = [
    (
        "sys/policies/acl/nhi/probe",
        &["create", "read", "update", "delete"],
        "scopes and records can be neither read nor written",
    ),
    ("identity/entity", &["create", "update"], "integrations cannot be switched off"),
    (
        "identity/entity/name/nhi/probe",
        &["read"],
        "whether an integration is switched off is not seen",
    ),
    (
        "identity/entity/id/nhi-probe",
        &["update", "delete"],
        "integrations can be neither switched off nor deleted whole",
    ),
    ("identity/entity-alias", &["update"], "integrations cannot be made"),
    (
        "identity/lookup/entity",
        &["update"],
        "policies that identity gives are not seen where the entity is not ours",
    ),
    (
        "auth/token/accessors",
        &["list", "sudo"],
        "tokens minted from a credential cannot be found: after a revocation they live until their own end",
    ),
    (
        "auth/token/lookup-accessor",
        &["update"],
        "whose a minted token is cannot be told: after a revocation it lives until its own end",
    ),
    (
        "auth/token/revoke-accessor",
        &["update"],
        "tokens minted from a credential cannot be revoked",
    ),
    ("sys/auth", &["read"], "AppRole mounts are seen only where our token may use them"),
    ("sys/locked-users", &["read"], "a role that the server has locked is not told here"),
];

/// The same of a folder of documents.
const DOCUMENTS: [Need; 3] = [
    (
        "{mount}/data/{folder}/nhi-probe",
        &["create", "read", "update"],
        "documents can be neither read nor written",
    ),
    (
        "{mount}/metadata/{folder}/nhi-probe",
        &["create", "read", "update"],
        "documents can be neither prepared nor labelled",
    ),
    ("{mount}/metadata/{folder}/", &["list"], "what is there is not seen"),
];

/// Whom the server keeps out after too many refused sign-ins, by namespace and mount. A role is told
/// by its role-id.
#[derive(Deserialize)]
struct Locked {
    by_namespace: Vec<LockedIn>,
}

#[derive(Deserialize)]
struct LockedIn {
    mount_accessors: Vec<LockedOn>,
}

#[derive(Deserialize)]
struct LockedOn {
    mount_accessor: String,
    alias_identifiers: Option<Vec<String>>,
}

impl Locked {
    /// The accessor of its mount, by role-id.
    fn by_role(self) -> BTreeMap<String, String> {
        let mounts = self.by_namespace.into_iter().flat_map(|one| one.mount_accessors);
        let roles = mounts.flat_map(|on| {
            let all = on.alias_identifiers.into_iter().flatten();
            all.map(move |role_id| (role_id, on.mount_accessor.clone()))
        });
        roles.collect()
    }
}

/// What our own token holds.
#[derive(Deserialize)]
struct Held(BTreeMap<String, serde_json::Value>);

impl Held {
    async fn of(api: &Api, paths: Vec<String>) -> Result<Held> {
        let body = json!({ "paths": paths });
        api.need(ask("v1/sys/capabilities-self", "sys/capabilities-self", &body)?).await
    }

    fn has(&self, path: &str, capability: &str) -> bool {
        let held = self.0.get(path).and_then(serde_json::Value::as_array);
        held.is_some_and(|all| all.iter().any(|one| one == capability || one == "root"))
    }

    /// Whether none of these is held at all.
    fn none(&self, needs: &[Need], path: impl Fn(&str) -> String) -> bool {
        needs.iter().all(|(need, wanted, _)| {
            let need = path(need);
            wanted.iter().all(|capability| !self.has(&need, capability))
        })
    }

    /// What is lacking of these, in whole sentences.
    fn lacks(&self, needs: &[Need], path: impl Fn(&str) -> String) -> Vec<String> {
        let of = |(need, wanted, without): &Need| {
            let need = path(need);
            let lacking: Vec<&str> =
                wanted.iter().copied().filter(|one| !self.has(&need, one)).collect();
            (!lacking.is_empty())
                .then(|| format!("Our token lacks {} on {need}: {without}.", lacking.join(", ")))
        };
        needs.iter().filter_map(of).collect()
    }
}

fn paths<'a>(
    needs: &'a [Need],
    path: impl Fn(&str) -> String + 'a,
) -> impl Iterator<Item = String> {
    needs.iter().map(move |(need, _, _)| path(need))
}

/// What our own token lacks for the documents of a folder.
pub(crate) async fn lacking_for_documents(
    api: &Api,
    mount: &str,
    folder: &str,
) -> Result<Vec<String>> {
    let path =
        |need: &str| need.replace("{mount}", mount).replace("{folder}", folder).replace("//", "/");
    Ok(Held::of(api, paths(&DOCUMENTS, path).collect()).await?.lacks(&DOCUMENTS, path))
}

fn is_forbidden(error: &Error) -> bool {
    matches!(error.refusal(), Some(Refusal::Unauthorized | Refusal::Forbidden))
}

impl AppRole {
    /// Whether the server takes our token. A good one may ask what it may do, unless the policy
    /// "default" was kept from it: then what every plan lists must be open to it.
    pub(crate) async fn accepted(&self) -> Result<()> {
        self.check_tenant().await?;
        let asked = Held::of(self.api(), paths(&NEEDS, str::to_owned).collect()).await;
        if !asked.as_ref().is_err_and(is_forbidden) {
            return asked.map(drop);
        }
        let mut mounts = self.role_mounts().await.map(|(mounts, _)| mounts).unwrap_or_default();
        mounts.insert(MOUNT.to_owned());
        let mut refused = Ok(());
        for mount in mounts {
            let roles = format!("v1/auth/{}/role", encode(&mount));
            match self.api().keys(&roles, "auth/{mount}/role", true).await {
                Err(error) if is_forbidden(&error) => refused = Err(error),
                // A server tells whether there is such a mount only to a token that it knows.
                _ => return Ok(()),
            }
        }
        refused
    }

    /// What our own token lacks, on every mount where roles are.
    async fn lacking(&self, mounts: &BTreeSet<String>) -> Result<Vec<String>> {
        let on = |mount: &str| {
            let mount = mount.to_owned();
            move |need: &str| need.replace("{mount}", &mount)
        };
        let each = mounts.iter().flat_map(|mount| paths(&ON_MOUNT, on(mount)));
        let asked = each.chain(paths(&NEEDS, str::to_owned)).collect();
        let held = Held::of(self.api(), asked).await?;
        let mut notes = Vec::new();
        for mount in mounts {
            if held.none(&ON_MOUNT, on(mount)) {
                notes.push(format!(
                    "Our token may do nothing on auth/{mount}/role: integrations there are neither \
                     found nor changed."
                ));
            } else {
                notes.extend(held.lacks(&ON_MOUNT, on(mount)));
            }
        }
        notes.extend(held.lacks(&NEEDS, str::to_owned));
        Ok(notes)
    }

    /// What a mount's own lockout takes away.
    async fn lockout_note(&self, mount: &str) -> Option<String> {
        let threshold = self.lockout(mount).await.threshold;
        if threshold >= Lockout::BUILT_IN.threshold {
            return None;
        }
        let proof = if threshold < 4 {
            "a revocation is shown by the listing (grade B) and not by refused sign-ins"
        } else {
            "a revocation is shown by one round of refused sign-ins"
        };
        Some(format!(
            "auth/{mount} locks a role with its good secret id after {threshold} refused sign-ins in a \
             row, fewer than the server's own 5: {proof}. See bao read {}sys/mounts/auth/{mount}/tune",
            self.api().namespace_flag()
        ))
    }

    /// Our roles that the server has locked: nobody signs in as they, with whatever secret.
    async fn locked_roles(&self) -> Result<Vec<String>> {
        let asked = Request::get("v1/sys/locked-users", "sys/locked-users");
        let locked = match self.api().need::<Locked>(asked).await {
            Ok(locked) => locked.by_role(),
            // It was said what our own token lacks, and an older server has no such list.
            Err(error) if is_forbidden(&error) || error.refusal() == Some(Refusal::NotFound) => {
                return Ok(Vec::new());
            }
            Err(error) => return Err(error),
        };
        if locked.is_empty() {
            return Ok(Vec::new());
        }
        let listed = self.list(Want::LEAN).await?;
        let ours = listed.integrations.iter().filter_map(|one| {
            let accessor = locked.get(&one.vendor_id)?;
            Some(format!(
                "The server has locked the role {:?} after too many refused sign-ins: nobody signs in as \
                 it now, with a good secret id neither. Find out who tries which secret (the log has \
                 their addresses); it is open again after a while, or by bao write -f \
                 {}sys/locked-users/{accessor}/unlock/{}",
                one.key,
                self.api().namespace_flag(),
                one.vendor_id
            ))
        });
        Ok(ours.collect())
    }

    /// Whole sentences, one for each weakness.
    pub(crate) async fn weaknesses(&self) -> Vec<String> {
        let mut notes = Vec::new();
        match self.all_policies().await {
            Ok(Some(_)) => {}
            Ok(None) => notes.push(
                "Policies cannot be listed with their texts here: every integration costs one request \
                 more."
                    .to_owned(),
            ),
            Err(error) => notes.push(format!("Whether policies can be listed cannot be told: {error}.")),
        }
        match self.counts_policies().await {
            Ok(true) => {}
            Ok(false) => notes.push(
                "Policies have no compare-and-set here (or the policy \"default\" is not readable): a \
                 change is checked by reading before and after, and somebody who writes the same policy \
                 in the same moment may be overwritten. Scopes cannot have an end by the server either: \
                 a dated one ends with the first apply after its end."
                    .to_owned(),
            ),
            Err(error) => notes.push(format!("Whether policies have compare-and-set cannot be told: {error}.")),
        }
        let mut mounts = match self.role_mounts().await {
            Ok((mounts, _)) => mounts,
            Err(error) => {
                notes.push(format!("Which auth mounts there are cannot be told: {error}."));
                BTreeSet::new()
            }
        };
        if mounts.is_empty() {
            notes.push(format!(
                "No AppRole mount is seen. Integrations can be made once there is one: bao auth enable \
                 {}-path={MOUNT} approle",
                self.api().namespace_flag()
            ));
            mounts.insert(MOUNT.to_owned());
        }
        for mount in &mounts {
            notes.extend(self.lockout_note(mount).await);
        }
        match self.locked_roles().await {
            Ok(locked) => notes.extend(locked),
            Err(error) => notes.push(format!("Which roles are locked cannot be told: {error}.")),
        }
        match self.lacking(&mounts).await {
            Ok(missing) => notes.extend(missing),
            Err(error) => notes.push(format!("What our own token may do cannot be told: {error}.")),
        }
        if let Some(life) = self.api().token().life().await.filter(|life| *life > LONG) {
            notes.push(format!(
                "Every run signs in with our own role and leaves a token that lives {}: set token_ttl of \
                 that role to an hour or less.",
                Span::from_secs(life)
            ));
        }
        notes
    }
}
