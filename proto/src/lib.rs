//! The Terraform plugin protocol's wire definitions, and the Rust generated from them.
//!
//! The generated code is committed, so that nobody needs a protobuf compiler to build; a test
//! regenerates and compares it.

#![allow(missing_docs, unreachable_pub, clippy::all, clippy::pedantic)]

/// The provider's own service, protocol 6.11.
pub mod tfplugin6 {
    include!("gen/tfplugin6.rs");
}

/// What go-plugin expects beside it: controller, stdio, broker.
pub mod plugin {
    include!("gen/plugin.rs");
}

/// The usual health check.
pub mod health {
    include!("gen/grpc.health.v1.rs");
}
