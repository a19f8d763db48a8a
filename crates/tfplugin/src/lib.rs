//! A Terraform and OpenTofu plugin SDK for Rust protocol 6.
//!
//! One struct per resource with `#[derive(Model)]` gives its schema, its typed decoding and
//! encoding, defaults, validation and documentation; one trait gives its life. See the README for
//! a whole resource.

// The derive names this crate from outside; this lets it name itself.
extern crate self as tfplugin;

pub mod action;
pub mod apply;
pub mod attr;
pub mod codec;
pub mod data_source;
pub mod diagnostics;
pub mod docs;
pub mod ephemeral;
pub mod erased;
pub mod function;
pub mod json;
pub mod laws;
pub mod list;
pub mod log;
#[cfg(feature = "mini-core")]
pub mod mini_core;
pub mod model;
pub mod msgpack;
pub mod number;
pub mod path;
pub mod plan;
pub mod provider;
pub mod read;
pub mod resource;
pub mod rpc;
pub mod schema;
mod secret;
pub mod serve;
pub mod types;
pub mod validate;
pub mod value;

pub use attr::Attr;
pub use diagnostics::{Diagnostic, Diagnostics, Severity};
pub use model::{Data, Dynamic, Model, Set};
pub use number::Number;
pub use path::{Path, Step};
pub use schema::{Attribute, Kind, Nesting, Schema, Stability};
pub use secret::Secret;
pub use tfplugin_derive::Model;
pub use types::Type;
pub use value::{Object, Refinement, Value};

#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
