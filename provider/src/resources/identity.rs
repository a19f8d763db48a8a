//! What integrations, and all that hangs on them, are known by: an id, or an identity.

use std::{fmt, str::FromStr};

use domain::IntegrationId;
use tfplugin::{
    Attr, Diagnostic, Diagnostics, Model,
    resource::{By, Done, Import},
};

use crate::shared::Shared;

/// The identity of an integration: where and what.
#[derive(Debug, Clone, PartialEq, Model)]
pub(crate) struct IntegrationIdentity {
    /// The connection's name.
    #[tf(required)]
    pub connection: Attr<String>,
    /// The platform object's name.
    #[tf(required)]
    pub kind: Attr<String>,
    /// The vendor's key.
    #[tf(required)]
    pub key: Attr<String>,
}

impl From<Option<IntegrationId>> for IntegrationIdentity {
    /// Nothing is known of an integration whose id is not.
    fn from(id: Option<IntegrationId>) -> Self {
        match id {
            Some(id) => IntegrationIdentity {
                connection: id.connection.into(),
                kind: id.kind.into(),
                key: id.key.into(),
            },
            None => IntegrationIdentity {
                connection: Attr::unknown(),
                kind: Attr::unknown(),
                key: Attr::unknown(),
            },
        }
    }
}

impl IntegrationIdentity {
    /// The id that it stands for.
    pub(super) fn id(&self) -> Result<IntegrationId, Diagnostics> {
        Ok(IntegrationId::new(
            self.connection.need("connection")?.clone(),
            self.kind.need("kind")?.clone(),
            self.key.need("key")?.clone(),
        ))
    }
}

/// The answer to an import: what a read needs, and a word where this run has asked for it before.
pub(super) fn imported<M>(shared: &Shared, id: &str, model: M) -> Done<M> {
    let mut told = Diagnostics::new();
    if !shared.is_first_import(id) {
        told.warning(
            "Two addresses import one object",
            format!(
                "{id}: another import of this run asks for it too, so two resources would govern it: what \
                 one changes the other undoes, and removing either one ends it for both.\nNext: keep one \
                 import block and one resource of it.\n(E-GOVERNED-TWICE)"
            ),
        );
    }
    Done::new(model).tell(told)
}

/// What an import asks for, by an id or an identity of such a thing.
pub(super) fn asked_for<I: Model, T: FromStr<Err: fmt::Display>>(
    request: &Import,
    whose: &str,
    of: impl FnOnce(&I) -> Result<T, Diagnostics>,
) -> Result<T, Diagnostics> {
    match (&request.by, request.by.identity::<I>()?) {
        (By::Id(id), _) => id.parse::<T>().map_err(|error| {
            Diagnostic::error(
                format!("This is no {whose}'s id"),
                format!("{error}.\nNext: nhi scan prints them.\n(E-ID)"),
            )
            .into()
        }),
        (_, Some(identity)) => of(&identity),
        (_, None) => Err(Diagnostic::error(
            "No id",
            "Nothing says what to import.\nNext: give an id or an identity.\n(E-ID)",
        )
        .into()),
    }
}
