//! The provider's program: served to the core, which starts it.

use std::process::ExitCode;

use tfplugin::serve::{ServeOptions, serve};

fn main() -> ExitCode {
    wiring::hide_memory(&wiring::Environment::of_process());
    let options = ServeOptions {
        address: "registry.terraform.io/open-nhi/nhi",
        version: env!("CARGO_PKG_VERSION"),
    };
    serve(provider::provider(), options)
}
