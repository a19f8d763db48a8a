//! `ephemeral "nhi_access_token"`: access for a while, in the place of a secret that stays.

use domain::{IntegrationId, Span};
use jiff::Timestamp;
use operations::{
    OpenAccess, Problem, SignInWith, close_access, delivered_nowhere, open_access, still_open,
};
use serde_json::json;
use tfplugin::{
    Attr, Diagnostics, Model, Secret,
    ephemeral::{Ephemeral, Opened},
    erased::{Call, Deferred},
};

use super::credential_secret::DeliveredCredential;
use crate::{
    diagnostics::{errors, notices, of_integration, warning},
    rules,
    shared::Shared,
    values::moment,
};

/// Access as an integration for the length of one run: minted when it is opened, revoked when the run
/// is over, in no plan and no state. The ledger has both, and nothing of the token.
///
/// Its kind must be one that can mint access: `openbao_approle`, `jupyterhub_user`, `oauth_client`; for
/// others the plan says so. Whoever holds the token may do what the integration's scopes say. The first
/// two need no `nhi_credential`. An OAuth server gives a token to whoever signs in as the client only:
/// say which `credential` to sign in with. Its tokens live as long as the server says, and where it
/// offers no revocation until their end, which the end of the run tells.
///
/// A core opens it in plan too, wherever the integration is known then: each plan and each apply mints
/// its own and revokes it, and a configuration with `read_only` cannot plan with it. A run that is
/// killed leaves its token to its own end, `expires_at`. It is not renewed.
#[derive(Debug, Clone, PartialEq, Model)]
pub(crate) struct AccessTokenModel {
    /// The integration: a whole `nhi_integration`.
    #[tf(required)]
    pub integration: Attr<AccessedIntegration>,
    /// The credential to sign in with, where the platform asks for one: a whole `nhi_credential` of the
    /// same integration. Its secret is read where it was delivered.
    #[tf(optional)]
    pub credential: Attr<DeliveredCredential>,
    /// How long it lives at most, should nobody end it: from `1m` to `12h`. As long as the run may take.
    #[tf(default = "15m", validate = rules::access_life)]
    pub expires_in: Attr<String>,
    /// What its holder shows: on OpenBao a client token, on JupyterHub an API token, at an OAuth server an
    /// access token.
    #[tf(computed)]
    pub token: Attr<Secret>,
    /// When it ends by itself.
    #[tf(computed)]
    pub expires_at: Attr<String>,
}

/// What is needed of an integration.
#[derive(Debug, Clone, PartialEq, Default, Model)]
pub(crate) struct AccessedIntegration {
    /// `<connection>/<kind>/<vendor key>`.
    #[tf(required)]
    pub id: Attr<String>,
    /// This incarnation of the object on its platform.
    #[tf(optional)]
    pub vendor_id: Attr<String>,
}

/// `nhi_access_token`.
#[derive(Debug)]
pub(crate) struct AccessToken {
    shared: Shared,
}

impl AccessToken {
    pub(crate) fn new(shared: Shared) -> AccessToken {
        AccessToken { shared }
    }
}

impl Ephemeral for AccessToken {
    type Model = AccessTokenModel;
    const TYPE_NAME: &'static str = "nhi_access_token";

    async fn open(
        &self,
        mut model: AccessTokenModel,
        call: &Call,
    ) -> Result<Opened<AccessTokenModel>, Diagnostics> {
        let integration = model.integration.value().cloned().unwrap_or_default();
        let life = model.expires_in.text().parse().unwrap_or(Span::from_secs(900));
        let opened = async {
            let context = self.shared.context()?;
            let id: IntegrationId = integration.id.text().parse().map_err(|error| {
                Problem::new("E-ID", "This is no integration's id")
                    .detail(format!("{error}."))
                    .next("pass the whole nhi_integration")
                    .at(&["integration", "id"])
            })?;
            let with = model.credential.value().map(sign_in_with).transpose()?;
            let vendor_id = integration.vendor_id.as_deref();
            let opened = open_access(&context, &id, vendor_id, with.as_ref(), life).await;
            opened.map(|opened| (context, opened))
        };
        let (context, (token, open)) = match opened.await {
            Ok(opened) => opened,
            Err(problem)
                if problem.code == "E-NOT-YET-KNOWN" && call.capabilities.deferral_allowed =>
            {
                let deferred = Some(Deferred::ProviderConfigUnknown);
                return Ok(Opened { deferred, ..Opened::from(model) });
            }
            Err(problem) if problem.code == "E-READ-ONLY" => {
                return Err(errors(read_only(problem)));
            }
            Err(problem) => return Err(errors(of_integration(problem))),
        };
        model.token = Secret::new(token.expose()).into();
        model.expires_at = moment(open.expires_at).into();
        let (private, diagnostics) = (written(&open), notices(&context));
        Ok(Opened { private, diagnostics, ..Opened::from(model) })
    }

    /// A run never fails by what it could not end: it says what is left of it.
    async fn close(&self, private: Vec<u8>, _: &Call) -> Diagnostics {
        let Some(open) = read(&private) else {
            return Diagnostics::new();
        };
        let context = match self.shared.context() {
            Ok(context) => context,
            Err(problem) => return warning(&still_open(&open, &problem)).into(),
        };
        let closed = close_access(&context, &open).await;
        let mut told = notices(&context);
        if let Err(problem) = closed {
            told.push(warning(&problem));
        }
        told
    }
}

/// A delivered credential; its places all hold the same.
fn sign_in_with(credential: &DeliveredCredential) -> Result<SignInWith, Problem> {
    let slot = credential.id.text().parse().map_err(|error| {
        Problem::new("E-ID", "This is no credential's id")
            .detail(format!("{error}."))
            .next("pass the whole nhi_credential")
            .at(&["credential", "id"])
    })?;
    let places = credential.deliver_to.value();
    let (name, place) = places
        .and_then(|all| all.first_key_value())
        .ok_or_else(|| delivered_nowhere(credential.id.text()))?;
    let generation = credential.generation.value().copied().unwrap_or(0);
    let generation = u64::try_from(generation).unwrap_or(0);
    Ok(SignInWith { slot, generation, delivery: place.delivery(name) })
}

fn read_only(problem: Problem) -> Problem {
    problem.detail(
        "read_only = true, and a token would be minted: it is needed in plan already, since all that it \
         is made from is known.",
    )
    .next(
        "plan with a configuration that may change things, or leave out what uses the token where nothing \
         may be changed",
    )
}

/// What a close needs, for the core to keep while it is open: in its memory, and nowhere else.
fn written(open: &OpenAccess) -> Vec<u8> {
    json!({
        "integration": open.integration.to_string(),
        "handle": open.handle.expose(),
        "expires_at": open.expires_at.to_string(),
    })
    .to_string()
    .into_bytes()
}

/// The same read back; `None` where nothing was opened.
fn read(private: &[u8]) -> Option<OpenAccess> {
    let private: serde_json::Value = serde_json::from_slice(private).ok()?;
    let text = |name: &str| private[name].as_str();
    Some(OpenAccess {
        integration: text("integration")?.parse().ok()?,
        handle: domain::Secret::new(text("handle")?),
        expires_at: text("expires_at")?.parse::<Timestamp>().ok()?,
    })
}
