//! `nhi ack`: a consumer has what was delivered.

use clap::Args;
use operations::{Acknowledged, Problem, acknowledge, declared_slot};
use serde_json::json;

use super::{drift::declared, rotate::named};
use crate::{
    exit::Exit,
    output::{BOLD, Format, GREEN, Output, styled},
    told::{say, short},
};

/// Say that who reads a credential has the one that is delivered now.
///
/// Where a platform does not tell whether somebody still uses the earlier one, it is kept for
/// `consumer_refresh`. When the consumers of every place in deliver_to have said so, nobody is waited for
/// any more, and it ends when its overlap is over. Nothing is ended by this command.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  nhi ack CONNECTION/KIND/NAME/credential/default --generation 7
  nhi ack ID --place app --generation \"$GENERATION\" --format json

The generation is the nhi_credential's, and stands in the delivered document under _nhi. A word about one
that was followed by another is refused: its consumer has not read what is there now.

Exit codes: 0 it is written down · 1 it is not")]
pub(crate) struct Ack {
    /// The credential: INTEGRATION/credential/NAME.
    #[arg(value_name = "ID")]
    id: String,

    /// The generation that was read.
    #[arg(long, value_name = "NUMBER")]
    generation: u64,

    /// Of which place, by its name in deliver_to; else of all of them.
    #[arg(long, value_name = "NAME")]
    place: Option<String>,

    /// Declared is what this state says (`terraform show -json`, or a state file); `-` is standard
    /// input. Else the ledger says.
    #[arg(long, value_name = "FILE")]
    state: Option<String>,

    /// Text or JSON.
    #[arg(long, value_enum, default_value_t = Format::Text)]
    pub(crate) format: Format,
}

impl Ack {
    pub(crate) async fn run(self, config: Option<&str>, output: &Output) -> Result<Exit, Problem> {
        let context = wiring::load(config)?.context("nhi", "command")?;
        let command = format!("ack {} --generation {}", self.id, self.generation);
        let (wishes, from) = declared(&context, self.state.as_deref(), &command).await?;
        if !self.id.contains("/credential/") {
            return Err(Problem::new("E-UNDECLARED", "That is no credential")
                .detail(format!("{:?} may be an integration.", self.id))
                .next(format!("nhi ack {}/credential/NAME", self.id.trim_end_matches('/'))));
        }
        for (id, name) in named(&wishes, &self.id, &from)? {
            let spec = declared_slot(&context, &wishes.integrations[&id], &name).await?;
            let place = self.place.as_deref();
            let done = acknowledge(&context, &spec, place, self.generation).await?;
            self.tell(&spec.id.to_string(), &done, output);
        }
        Ok(Exit::Clean)
    }

    fn tell(&self, id: &str, done: &Acknowledged, output: &Output) {
        let kept = done.seen.previous.iter().map(|one| {
            let waited = done.seen.unread.iter().find(|(key, _)| *key == one.key_id);
            (&one.key_id, waited.map(|(_, until)| *until).or(one.retire_after))
        });
        if self.format == Format::Json {
            let kept = kept.map(
                |(key, until)| json!({ "key_id": key, "until": until.map(|at| at.to_string()) }),
            );
            output.line(
                &json!({
                    "format": "nhi-ack/1", "id": id, "generation": self.generation,
                    "places": done.said, "waits_for": done.open,
                    "earlier": kept.collect::<Vec<_>>(), "outcome": Exit::Clean.sole_outcome(),
                })
                .to_string(),
            );
            return;
        }
        output.line(&format!(
            "{} generation {} of {}",
            styled(GREEN, "Written down:"),
            self.generation,
            styled(BOLD, id)
        ));
        say(output, "read", &done.said.join(", "));
        if !done.open.is_empty() {
            say(output, "waits", &format!("for who reads {}", done.open.join(", ")));
        }
        for (key, until) in kept {
            let until = until.map_or_else(|| "the next run".to_owned(), short);
            say(output, "earlier", &format!("{key} is kept until {until}"));
        }
    }
}
