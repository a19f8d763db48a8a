//! `nhi policy sign`: what is to be signed for a new version of the policy, and by whom.

use std::path::PathBuf;

use approval::{
    Folder, Store as _, Unread,
    chain::{Accepted, Refusal, Version, parts_of},
};
use clap::Args;
use operations::{
    Problem,
    in_force::{NotInForce, known},
};
use policy::change::{Change, quorum::Tally};
use serde_json::{Value, json};
use wiring::PolicyFiles;

use crate::{
    exit::Exit,
    output::{Format, GREEN, Output, YELLOW, styled},
};

/// Say what is to be signed for this version of the policy, who has, and who is missing.
///
/// A new version counts when those have signed it whom the version before asks for a critical change. A
/// copy of it is kept beside the approvals, since whoever follows is judged by it: commit it with the
/// policy.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  nhi policy sign
  nhi policy sign --format json
  nhi policy sign --old ../before       the files of the version before, where none were kept

Exit codes: 0 it is in force, or comes into force with the next apply · 1 it cannot be used ·
4 somebody must sign it")]
pub(crate) struct Sign {
    /// A folder with the files of the version that was used last (policy.hcl, allowed_signers), where
    /// they were not kept.
    #[arg(long, value_name = "FOLDER")]
    old: Option<PathBuf>,

    /// Text or JSON.
    #[arg(long, value_enum, default_value_t = Format::Text)]
    pub(crate) format: Format,
}

/// How a version stands.
enum Stand {
    /// It is the one that was used last.
    InForce,
    /// None was used before.
    First,
    /// It is signed.
    Signed(Tally),
    /// It is not.
    Missing { change: Box<Change>, tally: Box<Tally>, unread: Vec<Unread> },
}

impl Sign {
    pub(crate) async fn run(self, config: Option<&str>, output: &Output) -> Result<Exit, Problem> {
        let files = super::named::read(None, config)?;
        let Some(review) = &files.review else {
            return Err(Problem::new("E-POLICY", "There is nothing to sign")
                .detail("The policy has no member review: nobody is asked of any change.")
                .next("nhi policy check"));
        };
        let context = wiring::load(config)?.read_only().context("nhi", "command")?;
        let used = known(&context).await?;
        let kept = review.kept();
        if let (Some(old), Some(used)) = (&self.old, used) {
            let parts = parts_of(old, used.digest).map_err(|why| {
                Problem::new("E-POLICY", "That is not the version before")
                    .detail(format!("{why}."))
                    .next(format!("name the folder of version {}", used.number))
            })?;
            kept.keep(&parts).map_err(not_kept)?;
        }
        let place = kept.keep(&review.parts).map_err(not_kept)?;
        let chain = context.gate.chain().cloned();
        let judged = match chain {
            Some(chain) => chain.judged(&context).await,
            None => Ok(Accepted::First),
        };
        let stand = match judged {
            Ok(Accepted::Same) => Stand::InForce,
            Ok(Accepted::First) => Stand::First,
            Ok(Accepted::Signed(tally)) => Stand::Signed(tally),
            Err(NotInForce::Refused(Refusal::Unsigned { change, tally, unread, .. })) => {
                Stand::Missing { change, tally, unread }
            }
            Err(why) => return Err(why.problem()),
        };
        if let Stand::Missing { change, .. } = &stand {
            // Where those who sign look for it.
            Folder(review.approvals.clone()).keep(change).map_err(|error| {
                Problem::new("E-APPROVAL-STORE", "What is to be signed cannot be kept")
                    .detail(format!("{error}."))
                    .next("make that folder writable: nhi approve looks for it there")
            })?;
        }
        let exit = if matches!(stand, Stand::Missing { .. }) { Exit::Policy } else { Exit::Clean };
        let here = review.version();
        match self.format {
            Format::Json => {
                let report = report(&stand, here, used, &files, exit, &place.display().to_string());
                output.line(&report.to_string());
            }
            Format::Text => {
                tell(&stand, here, used, output);
                output.hint(&format!("Kept as {}: commit it with the policy.", place.display()));
            }
        }
        Ok(exit)
    }
}

fn not_kept((place, error): (PathBuf, std::io::Error)) -> Problem {
    Problem::new("E-APPROVAL-STORE", "The version cannot be kept")
        .detail(format!("{}: {error}.", place.display()))
        .next("make that folder writable: whoever follows is judged by this version")
}

fn told(one: Version) -> String {
    format!("version {} (sha256:{})", one.number, one.digest.short())
}

fn tell(stand: &Stand, here: Version, used: Option<Version>, output: &Output) {
    let good = styled(GREEN, "✓");
    match stand {
        Stand::InForce => output.line(&format!("{good} {} is in force", told(here))),
        Stand::First => output.line(&format!(
            "{good} {}: none was used before, and the first that is used is believed",
            told(here)
        )),
        Stand::Signed(tally) => output.line(&format!(
            "{good} {} is signed by {}, and in force with the next change",
            told(here),
            who(tally)
        )),
        Stand::Missing { change, tally, unread } => {
            let before = used.map(told).unwrap_or_default();
            output.line(&format!(
                "{} {} follows {before}, and is not signed",
                styled(YELLOW, "!"),
                told(here)
            ));
            output.line(&format!("change   {}", change.digest()));
            let roles: Vec<&str> = tally.roles_missing.iter().map(String::as_str).collect();
            let among = match roles.is_empty() {
                true => String::new(),
                false => format!(", {} among them", roles.join(" and ")),
            };
            output.line(&format!(
                "needs    {} of those whom {before} names for what is critical{among}",
                tally.needed
            ));
            output.line(&format!("have     {}", who(tally)));
            for one in &tally.discounted {
                output.line(&format!("         {} {} ({})", one.principal, one.why, one.code));
            }
            for one in unread {
                output.line(&format!("         {}: {} ({})", one.place, one.why, one.code));
            }
            for one in &tally.rejected_by {
                output.line(&format!("         {one} rejects it"));
            }
            output.line(&format!("Next: {}", command(change, tally)));
        }
    }
}

fn who(tally: &Tally) -> String {
    let all: Vec<String> = tally.have.iter().map(|(who, role)| format!("{who} ({role})")).collect();
    if all.is_empty() { "nobody".to_owned() } else { all.join(", ") }
}

/// What who is missing runs.
fn command(change: &Change, tally: &Tally) -> String {
    let role = tally.roles_missing.first().map_or("ROLE", String::as_str);
    format!("nhi approve {} --role {role}", change.digest().short())
}

fn report(
    stand: &Stand,
    here: Version,
    used: Option<Version>,
    files: &PolicyFiles,
    exit: Exit,
    kept: &str,
) -> Value {
    let version = |one: Version| json!({ "version": one.number, "digest": one.digest.to_string() });
    let (word, change, tally) = match stand {
        Stand::InForce => ("in_force", None, None),
        Stand::First => ("first", None, None),
        Stand::Signed(tally) => ("signed", None, Some(tally)),
        Stand::Missing { change, tally, .. } => ("unsigned", Some(change), Some(&**tally)),
    };
    // What is canonical is JSON.
    let record = |change: &Change| serde_json::from_str::<Value>(&change.canonical()).ok();
    json!({
        "format": "nhi-policy-sign/1", "file": files.path.display().to_string(), "stands": word,
        "here": version(here), "used": used.map(version), "kept": kept,
        "change": change.map(|change| change.digest().to_string()),
        "record": change.and_then(|change| record(change)),
        "needed": tally.map(|tally| tally.needed),
        "have": tally.map(|tally| &tally.have),
        "roles_missing": tally.map(|tally| &tally.roles_missing),
        "next": change.zip(tally).map(|(change, tally)| command(change, tally)),
        "outcome": exit.sole_outcome(),
    })
}
