//! What every deed does in the same order: it shows what it is about to do, is agreed to, does one part
//! after the other, and tells what became of each.

use operations::{Context, Problem};
use serde_json::{Value, json};

use crate::{
    ask::Asking,
    exit::Exit,
    output::{Format, Output},
};

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
        let mut told = Vec::new();
        for one in all {
            let progress = output.progress(&format!("{} {}", self.doing, one.subject()));
            let done = one.carry_out(context).await;
            drop(progress);
            exit = exit.worst(done.exit());
            if text {
                done.tell(one, output);
            }
            told.push(one.json(Some(&done)));
        }
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
