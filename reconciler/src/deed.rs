//! What every deed does in the same order: it shows what it is about to do, is agreed to, does its parts,
//! those of one integration one after the other, and tells what became of each.

use std::collections::BTreeMap;

use futures::{StreamExt, stream};
use operations::{Context, Problem};
use serde_json::{Value, json};

use crate::{
    ask::Asking,
    exit::Exit,
    output::{Format, Output},
};

/// How many integrations are worked on at once.
const AT_ONCE: usize = 8;

/// A deed's own words.
pub(crate) struct Deed<'a> {
    pub(crate) asking: &'a Asking,
    /// The name of the JSON's form.
    pub(crate) form: &'static str,
    /// What the JSON calls its parts.
    pub(crate) parts: &'static str,
    /// What is done to a part, before its id.
    pub(crate) doing: &'static str,
    /// What is asked before anything is done.
    pub(crate) question: String,
    /// What holds whether it is done or not.
    pub(crate) stands: Exit,
}

/// A part of a deed, looked at and not yet done.
pub(crate) trait Part {
    /// What becomes of it.
    type Done: Done<Self>;

    /// Its id.
    fn subject(&self) -> String;
    /// What it is about to do, for people.
    fn tell(&self, output: &Output);
    /// The same for programs, with what became of it.
    fn json(&self, done: Option<&Self::Done>) -> Value;
    /// Does it.
    async fn carry_out(&self, context: &Context) -> Self::Done;
}

/// What became of a part.
pub(crate) trait Done<P: ?Sized> {
    fn exit(&self) -> Exit;
    fn tell(&self, planned: &P, output: &Output);
}

/// How the command ends for a part that was not done.
pub(crate) fn not_done(begun: bool) -> Exit {
    if begun { Exit::Unfinished } else { Exit::Failed }
}

impl Deed<'_> {
    /// Shows all parts, and where it may, does them.
    ///
    /// # Errors
    ///
    /// Nobody agreed, and nobody can be asked.
    pub(crate) async fn run<P: Part>(
        &self,
        context: &Context,
        all: &[P],
        output: &Output,
    ) -> Result<Exit, Problem> {
        let text = self.asking.format == Format::Text;
        if text {
            all.iter().for_each(|one| one.tell(output));
        }
        if self.asking.dry_run {
            return Ok(self.nothing_done(all, output));
        }
        if !self.asking.agreed(&self.question, output)? {
            output.hint("Nothing was changed.");
            return Ok(Exit::Failed);
        }
        let mut exit = self.stands;
        let mut by: BTreeMap<String, Vec<usize>> = BTreeMap::new();
        for (at, one) in all.iter().enumerate() {
            let subject = one.subject();
            let of = subject.split("/credential/").next().unwrap_or_default().to_owned();
            by.entry(of).or_default().push(at);
        }
        let progress = output.progress(&match all {
            [one] => format!("{} {}", self.doing, one.subject()),
            more => format!("{} 0 of {}", self.doing, more.len()),
        });
        let working = by.into_values().map(|parts| async move {
            let mut done = Vec::new();
            for at in parts {
                done.push((at, all[at].carry_out(context).await));
            }
            done
        });
        let mut working = stream::iter(working).buffer_unordered(AT_ONCE);
        let mut told: BTreeMap<usize, Value> = BTreeMap::new();
        while let Some(done) = working.next().await {
            for (at, done) in done {
                exit = exit.worst(done.exit());
                if text {
                    done.tell(&all[at], output);
                }
                told.insert(at, all[at].json(Some(&done)));
                progress.say(&format!("{} {} of {}", self.doing, told.len(), all.len()));
            }
        }
        drop(progress);
        let told = told.into_values().collect();
        for notice in context.notices.take() {
            output.warning(&notice.to_string());
        }
        Ok(self.end(told, exit, output))
    }

    /// The end of one that does nothing.
    pub(crate) fn nothing_done<P: Part>(&self, all: &[P], output: &Output) -> Exit {
        self.end(all.iter().map(|one| one.json(None)).collect(), self.stands, output)
    }

    fn end(&self, told: Vec<Value>, exit: Exit, output: &Output) -> Exit {
        if self.asking.format == Format::Json {
            let all = json!({
                "format": self.form, "dry_run": self.asking.dry_run, (self.parts): told,
                "outcome": exit.sole_outcome(),
            });
            output.line(&all.to_string());
        }
        exit
    }
}
