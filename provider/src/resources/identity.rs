//! What integrations, and all that hangs on them, are known by: an id, or an identity.

use std::{fmt, str::FromStr};

use connector::Platform;
use domain::IntegrationId;
use operations::Problem;
use tfplugin::{
    Attr, Diagnostic, Diagnostics, Model,
    resource::{By, Done, Import},
};

use super::platform_objects::{kind, kinds};
use crate::{diagnostics::errors, shared::Shared};

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

/// Refuses an import of what cannot be there: a core says of that only that nothing is.
pub(super) fn of_known_kind(shared: &Shared, id: &IntegrationId) -> Result<(), Diagnostics> {
    if kind(&id.kind).is_none() {
        let known: Vec<&str> = kinds().map(|(_, kind)| kind.name).collect();
        return Err(Diagnostic::error(
            "This is no kind of integration",
            format!("{:?}.\nNext: import one of: {}.\n(E-KIND)", id.kind, known.join(", ")),
        )
        .into());
    }
    let context = shared.context_if_ready();
    // A connection that is not there is told by the read that follows.
    let platform = context.and_then(|context| context.connections.platform(&id.connection).ok());
    let Some(platform) = platform else { return Ok(()) };
    if platform.kinds().iter().any(|one| one.name == id.kind) {
        return Ok(());
    }
    let can = in_words(platform);
    let next = match platform.kinds() {
        [] => "name a connection that fits in the id".to_owned(),
        [one, ..] => format!(
            "import {}/{}/{}, or name a connection that fits",
            id.connection, one.name, id.key
        ),
    };
    Err(errors(
        Problem::new("E-KIND", "This connection cannot hold it")
            .detail(format!(
                "{id}: there is no {} on connection {:?}, which is {}. It can hold: {can}.",
                id.kind,
                id.connection,
                platform.name()
            ))
            .next(next),
    ))
}

/// What a platform can hold.
pub(super) fn in_words(platform: &dyn Platform) -> String {
    match platform.kinds() {
        [] => "no integrations".to_owned(),
        kinds => kinds.iter().map(|one| one.name).collect::<Vec<_>>().join(", "),
    }
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
