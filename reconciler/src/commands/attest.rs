//! `nhi attest`: somebody has looked at an integration, and signs what is to become of it.

use std::{io::IsTerminal as _, path::PathBuf};

use approval::{Envelope, Review, review::Conclusion, statement::shown};
use clap::{Args, ValueEnum};
use domain::IntegrationId;
use ledger::Selection;
use operations::{Context, Problem, conclude_review, reviewing_board};
use serde_json::json;

use crate::{
    exit::Exit,
    output::{BOLD, Format, GREEN, Output, styled},
    signing::{self, Pen},
    told::say,
};

/// Sign that you have looked at an integration, and what is to become of it.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  nhi attest CONNECTION/KIND/NAME --decision keep --reason 'feeds the invoices still' --key ~/.ssh/id_ed25519
  nhi attest ID --decision narrow --reason 'writes nothing since May' --key KEY --ticket REV-12
  nhi attest ID --decision end --reason 'its workflow is gone' --key KEY --yes

It shows what the ledger knows of the integration (with --yes too), and signs exactly that with your words. The review is
kept in the folder of approvals, to be committed with it, and noted in the ledger; the next plan counts
review_every from its day. Nothing is changed at the platform: narrow and end are done by who owns it.

Exit codes: 0 signed and kept · 1 could not")]
pub(crate) struct Attest {
    /// The integration.
    #[arg(value_name = "INTEGRATION")]
    id: String,

    /// What is to become of it.
    #[arg(long, value_enum)]
    decision: Decision,

    /// Why.
    #[arg(long, value_name = "TEXT")]
    reason: String,

    /// The ticket, or the incident that it is about.
    #[arg(long, value_name = "TICKET")]
    ticket: Option<String>,

    /// Your key: a private key's file, or the public half of one that an agent or a hardware key has.
    /// Else the one that the agent has.
    #[arg(long, value_name = "FILE")]
    key: Option<PathBuf>,

    /// Do not ask: what is shown was read.
    #[arg(long)]
    yes: bool,

    /// Text or JSON.
    #[arg(long, value_enum, default_value_t = Format::Text)]
    pub(crate) format: Format,
}

/// What is to become of an integration.
#[derive(Debug, Clone, Copy, ValueEnum)]
enum Decision {
    /// It keeps what it has.
    Keep,
    /// It is to have less.
    Narrow,
    /// It is to end.
    End,
}

impl Attest {
    pub(crate) async fn run(self, config: Option<&str>, output: &Output) -> Result<Exit, Problem> {
        let loaded = wiring::load(config)?;
        let agent = loaded.environment.get("SSH_AUTH_SOCK");
        let context = loaded.context("nhi", "command")?;
        let namespace = reviewing_board(&context)?.namespace().to_owned();
        let pen = Pen::find(self.key.as_deref(), agent, signing::passphrase)?;
        let (tenant, text) = about(&context, &self.id).await?;
        let decision = match self.decision {
            Decision::Keep => Conclusion::Keep,
            Decision::Narrow => Conclusion::Narrow,
            Decision::End => Conclusion::End,
        };
        let text = format!("{text}\ndecision: {}\nreason: {}\n", decision.as_str(), self.reason);
        // Nobody signs what was not shown, and nothing but JSON stands where JSON is read.
        match self.format {
            Format::Json => output.beside(text.trim_end()),
            Format::Text => output.line(text.trim_end()),
        }
        if !self.yes {
            if !std::io::stdin().is_terminal() || self.format == Format::Json {
                return Err(Problem::new("E-CONFIRM", "This was not agreed to")
                    .detail("Nothing was signed: it takes a yes, and nobody can be asked here.")
                    .next("the same with --yes, once what it shows was read"));
            }
            output.ask("Sign this? Only yes is taken for yes: ");
            let mut answer = String::new();
            if std::io::stdin().read_line(&mut answer).is_err() || answer.trim() != "yes" {
                output.line("Nothing was signed.");
                return Ok(Exit::Failed);
            }
        }
        let nonce = ledger::chain::new_id().ok_or_else(|| {
            Problem::new("E-KEY", "Nothing can be signed")
                .detail("The system gives no random numbers.")
                .next("see what it says of them")
        })?;
        let mut review = Review::new(
            (&tenant, &self.id),
            (decision, &self.reason),
            context.time().lo,
            (shown(&text), nonce),
        );
        review.said.ticket.clone_from(&self.ticket);
        let payload = review.to_bytes();
        let bytes = Envelope::signed_bytes(&payload);
        let signature = pen.sign(&namespace, &bytes)?;
        signing::checked(&signature, &namespace, &bytes)?;
        let envelope = Envelope { payload, signatures: vec![signature] }.to_json("");
        let (review, place) = conclude_review(&context, envelope.as_bytes()).await?;
        match self.format {
            Format::Json => output.line(
                &json!({
                    "format": "nhi-attest/1", "id": self.id, "decision": decision.as_str(),
                    "reviewed_at": review.said.reviewed_at.to_string(), "place": place,
                    "outcome": Exit::Clean.sole_outcome(),
                })
                .to_string(),
            ),
            Format::Text => {
                output.line(&format!(
                    "{} {}: {}",
                    styled(GREEN, "Reviewed:"),
                    styled(BOLD, &self.id),
                    decision.as_str()
                ));
                say(output, "kept", &format!("{place}, to be committed with the configuration"));
            }
        }
        Ok(Exit::Clean)
    }
}

/// What the ledger knows of an integration, in words, and its tenant.
async fn about(context: &Context, id: &str) -> Result<(String, String), Problem> {
    let unknown = |what: String| {
        Problem::new("E-ATTEST-UNKNOWN", "The ledger knows no such integration")
            .detail(what)
            .next("copy the id from what nhi drift lists")
    };
    let parsed: IntegrationId =
        id.parse().map_err(|error: domain::id::IdError| unknown(format!("{id:?}: {error}.")))?;
    let rows = context.ledger.integrations(&Selection::of(parsed.to_string())).await?;
    let row = rows.into_iter().find(|row| row.id == id && row.declared.is_some());
    let row = row
        .ok_or_else(|| unknown(format!("{id:?} is not declared in {}.", context.ledger.place())))?;
    let mut lines = vec![format!("integration: {id}"), format!("tenant: {}", row.tenant)];
    let facets = row.declared.as_ref().and_then(|one| one.value.as_object());
    for (facet, value) in facets.into_iter().flatten() {
        lines.push(format!("{facet}: {value}"));
    }
    for one in context.ledger.credentials(&Selection::of(id)).await? {
        if one.state != "ended" {
            let slot = one.slot.as_deref().unwrap_or("nobody's");
            lines.push(format!(
                "credential: {} {} ({slot}, {})",
                one.kind, one.vendor_id, one.state
            ));
        }
    }
    Ok((row.tenant, lines.join("\n")))
}
