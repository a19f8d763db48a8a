//! Everything that connections can see, with what they could not.

use std::collections::BTreeMap;

use connector::{Ourselves, Want};
use domain::{Observation, ObservedIntegration, Realm};

use crate::{Context, Problem, elsewhere::governed_elsewhere, ourselves::ourselves};

/// What each connection saw.
#[derive(Debug, Default)]
pub struct Inventory {
    /// What was seen, by connection.
    pub observations: BTreeMap<String, Observation>,
    /// As which of its integrations a connection itself signs in, by connection.
    pub ourselves: BTreeMap<String, Ourselves>,
    /// Connections that showed nothing, and why.
    pub unreadable: BTreeMap<String, Problem>,
}

impl Inventory {
    /// As what nhi itself signs in, where it is this integration.
    pub fn ourselves_as(&self, connection: &str, one: &ObservedIntegration) -> Option<&Ourselves> {
        self.ourselves.get(connection).filter(|found| found.is(&one.kind, &one.key))
    }

    /// Whether everything that exists was seen.
    pub fn is_complete(&self) -> bool {
        self.unreadable.is_empty() && self.observations.values().all(Observation::is_complete)
    }
}

/// Whether an integration is managed here: what another realm's record governs is somebody else's.
pub fn is_managed(realm: Option<&Realm>, one: &ObservedIntegration) -> bool {
    let elsewhere = || governed_elsewhere(realm, one.record.as_ref()).is_some();
    one.record.is_some() && !one.builtin && !elsewhere()
}

/// Lists the integrations of these connections, or of all that hold any. A connection that cannot be
/// read is a gap of its own and stops no other.
///
/// # Errors
///
/// A name is no connection, or one that holds no integrations.
pub async fn take_inventory(
    context: &Context,
    connections: &[String],
) -> Result<Inventory, Problem> {
    let names =
        if connections.is_empty() { context.connections.names() } else { connections.to_vec() };
    let mut inventory = Inventory::default();
    for name in names {
        let platform = context.connections.platform(&name)?;
        if platform.kinds().is_empty() {
            if connections.is_empty() {
                continue;
            }
            return Err(Problem::new("E-KIND", "This connection holds no integrations")
                .detail(format!("{name:?} is of platform {:?}, which has none.", platform.name()))
                .next("name a connection that holds some, or none for all of them"));
        }
        let seen = async {
            context.tenant(&name).await?;
            let connector = context.connector(&name).await?;
            connector.list(Want::PLAN).await.map_err(|error| Problem::unreadable(&name, &error))
        };
        match seen.await {
            Ok(observation) => {
                match ourselves(context, &name).await {
                    Ok(found) => {
                        inventory.ourselves.extend(found.map(|found| (name.clone(), found)));
                    }
                    // Every deed asks again.
                    Err(problem) => tracing::warn!(%problem, "as what nhi signs in is not known"),
                }
                inventory.observations.insert(name, observation);
            }
            Err(problem) => {
                inventory.unreadable.insert(name, problem);
            }
        }
    }
    Ok(inventory)
}
