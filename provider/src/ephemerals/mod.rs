//! One file an ephemeral resource.

pub(crate) mod credential_secret;
