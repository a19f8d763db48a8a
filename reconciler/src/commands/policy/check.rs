//! `nhi policy check`: what is wrong in the policy, and what is odd.

use std::path::PathBuf;

use approval::Signers;
use clap::Args;
use connector::{Clock as _, SystemClock};
use operations::Problem;
use policy::change::advice::{Advice, Key, Weight, advice};
use serde_json::json;
use wiring::PolicyFiles;

use crate::{
    exit::Exit,
    output::{Format, GREEN, Output, RED, YELLOW, styled},
};

/// Say what is wrong in the policy and the files that it names, and what is odd: a quorum that nobody
/// can reach, a key that is over, a rule that never holds.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  nhi policy check
  nhi policy check policy.hcl --format json

Exit codes: 0 it is right (what is odd is told) · 1 it cannot be used · 4 nobody could meet it")]
pub(crate) struct Check {
    /// The policy; else the one that nhi.hcl names.
    #[arg(value_name = "FILE")]
    file: Option<PathBuf>,

    /// Text or JSON.
    #[arg(long, value_enum, default_value_t = Format::Text)]
    pub(crate) format: Format,
}

impl Check {
    pub(crate) fn run(self, config: Option<&str>, output: &Output) -> Result<Exit, Problem> {
        let files = super::named::read(self.file.as_deref(), config)?;
        let found = odd(&files)?;
        let stuck = found.iter().any(|one| one.weight == Weight::Stuck);
        let exit = if stuck { Exit::Policy } else { Exit::Clean };
        let shown = files.path.display().to_string();
        if self.format == Format::Json {
            let one = |one: &Advice| {
                let at = files.position(&one.at);
                json!({
                    "weight": one.weight.as_str(), "member": format!("review.{}", one.at.join(".")),
                    "text": one.text, "line": at.map(|at| at.0), "column": at.map(|at| at.1),
                })
            };
            let review = files.review.as_ref();
            let report = json!({
                "format": "nhi-policy-check/1", "file": shown, "reviews": review.is_some(),
                "version": review.map(|review| review.terms.version),
                "digest": review.map(|review| review.parts.digest().to_string()),
                "advice": found.iter().map(one).collect::<Vec<_>>(),
                "outcome": exit.sole_outcome(),
            });
            output.line(&report.to_string());
            return Ok(exit);
        }
        match &files.review {
            None => {
                output.line(&format!("{} {shown}: it can be used", styled(GREEN, "✓")));
                output.hint("It has no member review: whoever may apply may give power, and nobody is asked.");
            }
            Some(review) => output.line(&format!(
                "{} {shown}: it can be used (version {}, sha256:{})",
                styled(GREEN, "✓"),
                review.terms.version,
                review.parts.digest().short()
            )),
        }
        for one in &found {
            let word = match one.weight {
                Weight::Stuck => styled(RED, "stuck"),
                Weight::Odd => styled(YELLOW, "odd"),
            };
            let (line, column) = files.position(&one.at).unwrap_or((1, 1));
            let place = format!("{shown}:{line}:{column}: review.{}", one.at.join("."));
            output.line(&format!("{word}  {place}: {}", one.text));
        }
        if stuck {
            output.hint("What is stuck keeps somebody from ever signing what is asked for.");
        }
        Ok(exit)
    }
}

/// Everything that is odd.
fn odd(files: &PolicyFiles) -> Result<Vec<Advice>, Problem> {
    let Some(review) = &files.review else { return Ok(Vec::new()) };
    let now = SystemClock.now();
    let namespace = approval::namespace(&review.terms.domain);
    let keys = keys(
        &review.signers,
        &namespace,
        &review.terms.signers,
        |key| review.revoked.has_key(key.key),
        now,
    );
    Ok(advice(&review.terms, &keys, &files.rules.environments, now.into()))
}

fn keys(
    signers: &Signers,
    namespace: &str,
    file: &str,
    is_revoked: impl Fn(&approval::signers::Listed<'_>) -> bool,
    now: jiff::Timestamp,
) -> Vec<Key> {
    let one = |one: approval::signers::Listed<'_>| Key {
        place: format!("{file}:{}", one.line),
        principals: one.principals.to_vec(),
        is_hardware: (!one.is_authority).then_some(one.is_hardware),
        is_over: one.valid_before.is_some_and(|until| now >= until) || is_revoked(&one),
    };
    signers.listed(namespace).map(one).collect()
}
