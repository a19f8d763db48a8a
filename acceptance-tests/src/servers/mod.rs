//! Real servers, fetched by the ordinary package clients and run on loopback. One file a server.

pub mod openbao;

pub use openbao::OpenBao;
