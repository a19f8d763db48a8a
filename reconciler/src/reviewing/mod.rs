//! Reading a change before it is made: what it does, to what, how much that matters, who has signed it and
//! who is to. A form is a pure function of the [`card::Reading`].

pub(crate) mod blast;
pub(crate) mod card;
pub(crate) mod html;
pub(crate) mod json;
pub(crate) mod markdown;
pub(crate) mod picture;
pub(crate) mod plan;
pub(crate) mod statement;
#[cfg(test)]
mod tests;
pub(crate) mod text;
pub(crate) mod words;

use std::{collections::BTreeSet, sync::Arc};

use clap::{Args, ValueEnum};
use operations::{Problem, review::ReviewBoard};

use self::card::Reading;
use crate::{exit::Exit, output::Output};

/// A form of what was read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Form {
    /// For people.
    Text,
    /// For a comment on a pull request.
    Markdown,
    /// For programs: one object, whose schema is docs/schemas/review.json.
    Json,
    /// For a browser: one page that needs nothing else.
    Html,
}

/// The plan that is read, and who is believed in it.
#[derive(Debug, Args)]
pub(crate) struct ReadPlan {
    /// A saved plan, or what `terraform show -json` (or `tofu show -json`) prints of one; `-` is standard
    /// input.
    #[arg(value_name = "PLAN")]
    plan: String,

    /// A provider from elsewhere that is this one all the same, such as a mirror's copy:
    /// registry.acme.example/open-nhi/nhi. Several may be given.
    #[arg(long, value_name = "ADDRESS")]
    provider_from: Vec<String>,
}

impl ReadPlan {
    /// Reads it. A plan that gives no power is read without a look at anything outside, where connections
    /// are pinned to their tenants.
    ///
    /// # Errors
    ///
    /// It cannot be read, or the policy or what was signed cannot.
    pub(crate) async fn read(
        &self,
        config: Option<&str>,
        output: &Output,
    ) -> Result<(Reading, Option<Arc<ReviewBoard>>), Problem> {
        let loaded = wiring::load(config)?;
        let context = loaded.read_only().context("nhi", "command")?;
        let plan = plan::read(&self.plan, &loaded.config.secret_variables())?;
        let believed: BTreeSet<String> = self.provider_from.iter().cloned().collect();
        let progress = output.progress("reading");
        let from = plan::shown(&self.plan);
        let reading = card::read(plan, from, &believed, &loaded, &context).await;
        drop(progress);
        Ok((reading?, context.gate.board().cloned()))
    }
}

/// What was read, in a form.
pub(crate) fn render(reading: &Reading, form: Form, exit: Exit) -> String {
    match form {
        Form::Text => text::render(reading),
        Form::Markdown => markdown::render(reading),
        Form::Json => json::render(reading, exit),
        Form::Html => html::render(reading),
    }
}

/// The policy says nothing of a review.
pub(crate) fn nobody_is_asked() -> Problem {
    Problem::new("E-REVIEW", "Nothing says who reviews a change")
        .detail("The policy has no review, so that nothing is held back and nobody's word counts.")
        .next(
            "add review = { version = 1, domain = \"acme.example\", signers = \"allowed_signers\" } to \
             the policy that nhi.hcl names",
        )
}
