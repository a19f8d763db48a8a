//! Real servers, fetched by the ordinary package clients and run on loopback. One file a server.

pub mod oidc;
pub mod openbao;
pub mod scim;

pub use oidc::Oidc;
pub use openbao::OpenBao;
pub use scim::Scim;
