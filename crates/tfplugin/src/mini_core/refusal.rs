//! Why a step did not go through.

use std::fmt;

use crate::erased::Deferred;
use crate::laws::{Breach, Law};
use crate::mini_core::State;
use crate::{Diagnostics, Path};

/// Why a step did not go through.
#[derive(Clone, Debug)]
pub enum Refusal {
    /// The configuration has not the shape that the schema gives it; the provider was not asked.
    Config(String),
    /// The provider said no.
    Provider(Diagnostics),
    /// A change failed on its way; this is what the provider says exists now.
    Failed {
        /// What would be in state: tainted after a failed create, nothing if there is nothing.
        state: Option<Box<State>>,
        /// What the provider said.
        diagnostics: Diagnostics,
    },
    /// The provider answers in a later run, and may.
    Deferred(Deferred),
    /// The provider's answer broke laws.
    Broken(Vec<Breach>),
    /// The provider did not start, or did not answer.
    Wire(String),
}

impl Refusal {
    pub(super) fn wire(text: impl Into<String>) -> Refusal {
        Refusal::Wire(text.into())
    }

    pub(super) fn broken(law: Law, path: Path, why: impl Into<String>) -> Refusal {
        Refusal::Broken(vec![Breach { law, path, why: why.into() }])
    }

    /// The first law that was broken, if laws were.
    pub fn law(&self) -> Option<Law> {
        match self {
            Self::Broken(breaches) => breaches.first().map(|breach| breach.law),
            _ => None,
        }
    }

    /// What the provider said, if it said anything.
    pub fn diagnostics(&self) -> Option<&Diagnostics> {
        match self {
            Self::Provider(diagnostics) | Self::Failed { diagnostics, .. } => Some(diagnostics),
            _ => None,
        }
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let lines: Vec<String> = match self {
            Self::Config(text) => vec![format!("the configuration is wrong: {text}")],
            Self::Wire(text) => vec![text.clone()],
            Self::Deferred(why) => vec![format!("the provider waits for a later run: {why:?}")],
            Self::Broken(breaches) => breaches.iter().map(ToString::to_string).collect(),
            Self::Provider(diagnostics) | Self::Failed { diagnostics, .. } => {
                diagnostics.iter().map(ToString::to_string).collect()
            }
        };
        f.write_str(&lines.join("\n"))
    }
}

impl std::error::Error for Refusal {}

impl From<tonic::Status> for Refusal {
    fn from(status: tonic::Status) -> Self {
        Self::Wire(format!("the provider answered {:?}: {}", status.code(), status.message()))
    }
}
