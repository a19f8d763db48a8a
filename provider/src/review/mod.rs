//! A change as a board reads it: the same from a plan, from an apply, and from a plan's JSON.
//!
//! Everything is computed from the attributes before and after, so that who reviews a plan and who carries
//! it out speak of one change. What only a look at the platform tells (who owns the integration of a scope,
//! how it runs) is added by [`Reviewed::ask`], by both in the same way.

mod attributes;
mod direction;
mod guarded;
mod json;

use std::collections::BTreeSet;

use domain::{Action, Direction, IntegrationId};
use operations::{
    Context, Problem,
    review::{Asked, Surroundings, surroundings},
};
use policy::change::{
    Change,
    impact::{Facts, removes_owner},
    projection::{self, Attributes, Identity, Unprojectable},
};
use tfplugin::{Value, model::from_nullable};

pub(crate) use self::guarded::Guarded;
pub use self::json::{Misfit, from_json};
use self::{attributes::attributes, direction::Directed};
use crate::resources::integration::NO_CONNECTION;

/// What a change of a resource is, as far as its attributes tell.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reviewed {
    /// The record, whose tenant is not known yet.
    change: Change,
    /// The object's id, as deeds and people call it.
    pub object: String,
    /// The connection that leads to it; none for what no platform has.
    pub connection: Option<String>,
    /// The integration that a scope or a credential is of.
    pub integration: Option<IntegrationId>,
    /// Which way it goes.
    pub direction: Direction,
    /// What makes it so, in words.
    pub why: Vec<String>,
    /// The highest thing that can be done with it before; none where it is not known.
    pub action_before: Option<Action>,
    /// The same after it.
    pub action_after: Option<Action>,
    environment: Option<String>,
    execution_mode: Option<String>,
}

/// The change of a resource of this type. Nothing where no governed attribute differs.
///
/// # Errors
///
/// A governed attribute is not known, or is built otherwise than this version knows it.
pub fn reviewed(
    kind: &str,
    before: &Value,
    after: &Value,
) -> Result<Option<Reviewed>, Unprojectable> {
    let (is, will) = (attributes(before), attributes(after));
    let (was, wanted) = (projection::project(kind, &is)?, projection::project(kind, &will)?);
    // Whether it rotates at all would be known only during apply.
    if !before.is_null() && *will.member("generation") == Attributes::Unknown {
        return Err(Unprojectable::Unknown { path: "generation".to_owned() });
    }
    let Some(action) = projection::action(&was, &wanted) else { return Ok(None) };
    let Identity { connection, object: name } = projection::identity(kind, &is, &will)?;
    let of = if before.is_null() { &will } else { &is };
    let generation = is.member("generation").as_count().unwrap_or(0);
    let Directed { direction, why, action_before, action_after } =
        direction::of(kind, before, after).map_err(|path| Unprojectable::Unknown { path })?;
    let integration = of.member("integration").member("id").as_text();
    let said = |attribute: &str| {
        // What moves from one to another is judged as in each of them.
        let (was, is) = (is.member(attribute).as_text(), will.member(attribute).as_text());
        if was.is_some() && is.is_some() && was != is {
            return None;
        }
        let both = [of.member(attribute), of.member("integration").member(attribute)];
        both.into_iter().find_map(Attributes::as_text).map(str::to_owned)
    };
    Ok(Some(Reviewed {
        object: object_of(kind, of, connection.as_deref(), &name),
        change: Change {
            tenant: String::new(),
            kind: kind.to_owned(),
            object: name,
            action,
            generation,
            before: was,
            after: wanted,
        },
        connection,
        integration: integration.and_then(|id| id.parse().ok()),
        direction,
        why,
        action_before,
        action_after,
        environment: said("environment"),
        execution_mode: said("execution_mode"),
    }))
}

/// What deeds call an object: its id, or the one that it will be made under.
fn object_of(kind: &str, of: &Attributes, connection: Option<&str>, name: &str) -> String {
    if let Some(id) = of.member("id").as_text() {
        return id.to_owned();
    }
    let integration = of.member("integration").member("id").as_text();
    match (kind, integration, connection) {
        ("nhi_scope", Some(id), _) => format!("{id}/scope"),
        ("nhi_credential", Some(id), _) => {
            let slot = of.member("name").as_text().unwrap_or("default");
            format!("{id}/credential/{slot}")
        }
        (_, _, Some(connection)) => format!("{connection}/{name}"),
        ("nhi_owner", ..) => format!("owner/{name}"),
        _ => name.to_owned(),
    }
}

impl Reviewed {
    /// The record for a tenant, by its own id; an empty text for what no platform has.
    pub fn change(&self, tenant: &str) -> Change {
        Change { tenant: tenant.to_owned(), ..self.change.clone() }
    }

    /// The resource type.
    pub fn kind(&self) -> &str {
        &self.change.kind
    }

    /// With what the platform tells of it, as the board asks for it.
    ///
    /// # Errors
    ///
    /// The platform cannot be asked: nobody can tell whose approval is needed then.
    pub async fn ask(&self, context: &Context) -> Result<Asked, Problem> {
        let platform = self.connection.as_ref().filter(|name| *name != NO_CONNECTION);
        let tenant = match platform {
            Some(connection) => context.tenant(connection).await?,
            // What no platform has is the installation's own.
            None => context.realm.as_ref().map(|realm| realm.id.clone()).unwrap_or_default(),
        };
        let around = match &self.integration {
            Some(id) if platform.is_some() => surroundings(context, id).await?,
            _ => Surroundings::default(),
        };
        Ok(self.asked(&tenant, &around))
    }

    /// The same of what is known already.
    pub fn asked(&self, tenant: &str, around: &Surroundings) -> Asked {
        let change = self.change(tenant);
        let deletes = change.after == policy::change::Value::Null;
        let facts = Facts {
            direction: self.direction,
            action_before: self.action_before,
            action_after: self.action_after,
            // What a configuration says beside the object counts where nothing is there yet.
            environment: around.environment.clone().or_else(|| self.environment.clone()),
            execution_mode: around.execution_mode.clone().or_else(|| self.execution_mode.clone()),
            takes_last_credential: self.kind() == "nhi_credential"
                && deletes
                && around.credentials.is_some_and(|count| count <= 1),
            removes_owner: removes_owner(&change),
        };
        Asked {
            object: self.object.clone(),
            change,
            facts,
            why: self.why.clone(),
            owners: around.owners.iter().cloned().collect::<BTreeSet<_>>(),
        }
    }
}

/// The model of a value; nothing where it is null.
fn model<M: tfplugin::Model>(value: &Value) -> Result<Option<M>, String> {
    from_nullable(value).map_err(|wrong| wrong.detail)
}
