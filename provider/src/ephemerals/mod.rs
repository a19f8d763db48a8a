//! One file an ephemeral resource.

pub(crate) mod access_token;
pub(crate) mod credential_secret;
