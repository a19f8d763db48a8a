//! Access for a while, in the place of a credential that stays: minted, and ended when its use is over.
//! What is handed out is kept nowhere.

use connector::{AccessRequest, Connector, Ended, Kind, ObjectRef, Want};
use domain::{CredentialId, Direction, IntegrationId, Marker, Secret, Span};
use jiff::Timestamp;
use ledger::Work;
use policy::schedule::later;

use crate::{
    Context, Deed, Delivery, Problem, delivered::read_delivered, document::secret_in,
    elsewhere::governed_here, journal::moment, observe::object_of, scopes::gone,
};

/// Access that is open.
#[derive(Debug)]
pub struct OpenAccess {
    /// As which integration.
    pub integration: IntegrationId,
    /// By what its platform ends it.
    pub handle: Secret,
    /// When it ends by itself.
    pub expires_at: Timestamp,
}

/// The delivered credential to sign in with, where a platform gives access only to whoever does.
#[derive(Debug)]
pub struct SignInWith {
    /// Its slot.
    pub slot: CredentialId,
    /// Its generation.
    pub generation: u64,
    /// Where it is delivered.
    pub delivery: Delivery,
}

/// The type of a delivered credential, and its secret.
async fn delivered(
    context: &Context,
    connector: &dyn Connector,
    kind: &Kind,
    object: &ObjectRef,
    with: &SignInWith,
) -> Result<(&'static str, Secret), Problem> {
    let SignInWith { slot, generation, delivery } = with;
    let read = read_delivered(context, slot, *generation, delivery).await?;
    let of_type = match kind.credential_types {
        [one] => Some(*one),
        several => {
            let there = connector
                .credential(object, &read.key_id)
                .await
                .map_err(|error| Problem::unreadable(&slot.to_string(), &error))?;
            let name = there.map(|there| there.credential_type);
            several.iter().copied().find(|one| name.as_deref() == Some(one.name))
        }
    };
    let found = of_type.and_then(|of_type| {
        Some((of_type.name, secret_in(of_type, &delivery.fields, &read.document)?))
    });
    found.ok_or_else(|| {
        Problem::new("E-NO-ACCESS", "There is no access to give")
            .detail(format!(
                "{slot}: what {} holds is not alive at its platform, or its document has no field with the \
                 secret.",
                delivery.place()
            ))
            .next("run terraform plan: it says what is to be done for this credential")
            .at(&["credential"])
    })
}

/// What the journal says that it is about: entries about the integration itself tell whether a run died
/// making it.
fn subject(id: &IntegrationId) -> String {
    format!("{id}/access")
}

/// Mints access as an integration of this installation that ends by itself after `life` at the latest,
/// by a sign-in with a credential of it where one is given; gives what its holder shows, and what ends it.
///
/// # Errors
///
/// `E-NO-ACCESS` where its kind has none to give, or it is switched off; `E-READ-ONLY`; or what the
/// platform said. Then nothing is open.
pub async fn open_access(
    context: &Context,
    id: &IntegrationId,
    vendor_id: Option<&str>,
    with: Option<&SignInWith>,
    life: Span,
) -> Result<(Secret, OpenAccess), Problem> {
    context.ready(Work::Begins).await?;
    let connector = context.connector(&id.connection).await?;
    let kinds = connector.platform().kinds();
    let kind = kinds.iter().find(|kind| kind.name == id.kind);
    let mints = match kind {
        Some(kind) => {
            let able = connector.capabilities(kind).await;
            able.map_err(|error| Problem::unreadable(&id.to_string(), &error))?.mints_access
        }
        None => false,
    };
    if !mints {
        return Err(none_to_give(context, id));
    }
    let tenant = context.tenant(&id.connection).await?;
    let object = object_of(id, None, vendor_id);
    // A sign-in that is refused counts for all of an integration's.
    let _turn = context.turns.take(&id.to_string()).await;
    let found = connector
        .read(&object, Want { credentials: false, ..Want::DEED })
        .await
        .map_err(|error| Problem::unreadable(&id.to_string(), &error))?
        .ok_or_else(|| gone(&id.to_string()))?;
    governed_here(context, id, found.record.as_ref(), [])
        .await
        .map_err(|problem| problem.at(&["integration"]))?;
    let quarantined = found.record.as_ref().is_some_and(|record| record.quarantined.is_some());
    if !found.enabled || quarantined {
        return Err(Problem::new("E-NO-ACCESS", "There is no access to give")
            .detail(format!("{id} is switched off at its platform: nobody gets in as it."))
            .next("set enabled = true on its nhi_integration if it is to work again, and apply that first")
            .at(&["integration"]));
    }
    if let Some(other) = with.filter(|with| with.slot.integration != *id) {
        return Err(Problem::new("E-ID", "This is another integration's credential")
            .detail(format!("{} is no credential of {id}.", other.slot))
            .next("pass an nhi_credential of the same nhi_integration")
            .at(&["credential", "id"]));
    }
    let with = match (with, kind) {
        (Some(with), Some(kind)) => {
            Some(delivered(context, &*connector, kind, &object, with).await?)
        }
        _ => None,
    };
    let deed = Deed {
        object: subject(id),
        tenant,
        action: "mint",
        before: String::new(),
        after: life.to_string(),
        direction: Direction::Widens,
    };
    let leave = context.gate.authorize(&deed)?;
    let ends = later(context.now(), life);
    let marker = context.realm.as_deref().and_then(|realm| {
        let key = realm.key.as_ref()?;
        Some(Marker::of_access(key, &realm.id, &deed.tenant, &found.vendor_id, ends).to_string())
    });
    let marker = marker.unwrap_or_default();
    let request = AccessRequest {
        life,
        marker: &marker,
        with: with.as_ref().map(|(name, secret)| (*name, secret)),
    };
    let access = context
        .attempt(&deed.object, "mint", leave.auth(), async {
            let minted = connector.mint(&object, request).await;
            minted.map_err(|error| {
                Problem::not_done(&id.to_string(), "mint access", &error).at(&["integration"])
            })
        })
        .await?;
    let open = OpenAccess {
        integration: id.clone(),
        handle: access.handle,
        expires_at: access.expires_at,
    };
    Ok((access.token, open))
}

/// Ends access, and sees that it has ended. Access whose time is over has ended by itself, whatever its
/// platform says.
///
/// # Errors
///
/// `E-ACCESS-OPEN`: it may work on, and until when.
pub async fn close_access(context: &Context, open: &OpenAccess) -> Result<Ended, Problem> {
    let OpenAccess { integration, handle, expires_at } = open;
    let ended = async {
        context.ready(Work::Ends).await?;
        let connector = context.connector(&integration.connection).await?;
        let tenant = context.tenant(&integration.connection).await?;
        let object = object_of(integration, None, None);
        let deed = Deed::ending(&subject(integration), &tenant, "end", moment(*expires_at));
        let leave = context.gate.authorize(&deed)?;
        context
            .attempt(&deed.object, "end", leave.auth(), async {
                let ended = connector.end_access(&object, handle).await;
                ended.map_err(|error| {
                    Problem::not_done(&integration.to_string(), "end access", &error)
                })
            })
            .await
    };
    match ended.await {
        Err(_) if context.time().is_past(*expires_at) => Ok(Ended::AlreadyGone),
        Err(problem) => Err(still_open(open, &problem)),
        ended => ended,
    }
}

/// What is said where access could not be ended: the reason, and what is left of it.
pub fn still_open(open: &OpenAccess, why: &Problem) -> Problem {
    Problem::new("E-ACCESS-OPEN", "Access was not ended and may work on")
        .detail(format!(
            "{}: {} ({}). It ends by itself at {}.",
            open.integration,
            why.detail.trim_end_matches('.'),
            why.code,
            moment(open.expires_at)
        ))
        .next(format!(
            "wait for that; or, to end it now with everything else that it has, nhi revoke '{}'",
            open.integration
        ))
}

fn none_to_give(context: &Context, id: &IntegrationId) -> Problem {
    let names = context.connections.names();
    let here = names.iter().filter_map(|name| {
        let platform = context.connections.platform(name).ok()?;
        let kinds = platform.kinds().iter().filter(|kind| kind.capabilities.mints_access);
        let kinds: Vec<&str> = kinds.map(|kind| kind.name).collect();
        (!kinds.is_empty()).then(|| format!("{name} ({})", kinds.join(", ")))
    });
    let here: Vec<String> = here.collect();
    let where_then = match here.is_empty() {
        true => "none of the connections here can".to_owned(),
        false => format!("of the connections here these can: {}", here.join(", ")),
    };
    Problem::new("E-NO-ACCESS", "There is no access to give")
        .detail(format!(
            "{id}: integrations of kind {} get no access for a while from their platform; {where_then}.",
            id.kind
        ))
        .next(
            "name an integration of such a connection; or hand on the delivered secret of an \
             nhi_credential, with ephemeral \"nhi_credential_secret\"",
        )
        .at(&["integration"])
}
