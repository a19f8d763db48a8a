//! What the chores share. This package is small, so that `cargo xtask` can say something soon; what
//! needs the product itself is in `chores/`.

use std::process::ExitCode;

pub use acceptance_tests::mirror;

pub mod requirements;
pub mod shell;

/// Tells how a chore ended.
pub fn ended(done: shell::Result<()>) -> ExitCode {
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}
