//! `nhi review`: what a plan changes, how much that matters, and who is to sign it.

use std::{path::Path, str::FromStr};

use clap::{Args, ValueEnum};
use operations::Problem;

use crate::{
    exit::Exit,
    output::{Format, Output},
    report::written,
    reviewing::{Form, ReadPlan, render},
};

/// Read a plan before it is applied: what changes of each governed object, whether that gives power, how
/// much it matters and why, what is reached before and after, who must sign it, who has, and what the plan
/// leaves ungoverned.
///
/// A value that the plan marks as sensitive is never shown.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  terraform plan -out plan.bin
  nhi review plan.bin                                    the core shows it
  terraform show -json plan.bin | nhi review -           the same, without starting the core
  nhi review plan.bin --keep                             keep the records for those who sign in Git
  nhi review plan.bin --report html=review.html --report json=review.json
  nhi review plan.json --comment > review.md             for a pull request

Exit codes: 0 read · 1 could not read it; nhi gate says whether it may be applied")]
pub(crate) struct Review {
    #[command(flatten)]
    plan: ReadPlan,

    /// The form of what is printed.
    #[arg(long, value_enum, default_value_t = Form::Text)]
    format: Form,

    /// Print what a comment on a pull request holds: Markdown, folded, never too long. A later run finds
    /// its own comment by the first line.
    #[arg(long, conflicts_with = "format")]
    comment: bool,

    /// Also write a form into a file: markdown, json, html or text, such as html=review.html. Several may
    /// be given.
    #[arg(long, value_name = "FORM=FILE")]
    report: Vec<Wanted>,

    /// Keep the record of each change that needs somebody beside the approvals, where nhi approve finds
    /// it.
    #[arg(long)]
    keep: bool,
}

/// A form, and the file it goes to.
#[derive(Debug, Clone)]
struct Wanted(Form, String);

impl FromStr for Wanted {
    type Err = String;

    fn from_str(text: &str) -> Result<Wanted, String> {
        let (form, place) = text
            .split_once('=')
            .filter(|(_, place)| !place.is_empty())
            .ok_or("expected FORM=FILE, such as html=review.html")?;
        let form = Form::from_str(form, false)
            .map_err(|_| format!("no form {form:?}; there are text, markdown, json, html"))?;
        Ok(Wanted(form, place.to_owned()))
    }
}

impl Review {
    pub(crate) fn format(&self) -> Format {
        if self.format == Form::Json { Format::Json } else { Format::Text }
    }

    pub(crate) async fn run(self, config: Option<&str>, output: &Output) -> Result<Exit, Problem> {
        let (reading, board) = self.plan.read(config, output).await?;
        if self.keep {
            let Some(board) = &board else { return Err(crate::reviewing::nobody_is_asked()) };
            for card in reading.cards.iter().filter(|one| one.needs_somebody()) {
                board.store.keep(&card.asked.change).map_err(|error| {
                    Problem::new("E-APPROVAL-STORE", "What was signed cannot be read")
                        .detail(format!("{error}."))
                        .next("see to it that the folder of approvals may be written to")
                })?;
            }
        }
        for Wanted(form, place) in &self.report {
            let text = render(&reading, *form, Exit::Clean);
            written::write(Path::new(place), &crate::output::printable(&text))?;
        }
        let form = if self.comment { Form::Markdown } else { self.format };
        output.line(&render(&reading, form, Exit::Clean));
        Ok(Exit::Clean)
    }
}
