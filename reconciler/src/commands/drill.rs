//! `nhi drill`: how an end goes, and how long it takes.

use clap::Args;
use domain::Span;
use operations::{
    Context, Drilled, Problem, SeenSlot, SlotSpec, best_grade, declared_slot, drill, keeps_earlier,
    may_drill, may_have_more, not_shown, observe_slot, ways,
};
use serde_json::{Value, json};

use super::{drift::declared, rotate::named};
use crate::{
    ask::Asking,
    deed::{self, Deed, Part},
    exit::Exit,
    output::{BOLD, GREEN, Output, styled},
    told::{ended_json, not_done_json, say, say_ended},
};

/// End a credential that nobody reads, at once, and show how long that takes.
///
/// Another one is issued, signed in with and delivered; then the earlier one is ended without an overlap,
/// and tried until it is refused. The time from the one to the other is what an incident would take, and is held against the stop_within
/// of its integration and the policy's stop_within_longest, whichever is shorter.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  nhi drill bao/openbao_approle/invoice-sync/credential/canary --dry-run
  nhi drill bao/openbao_approle/invoice-sync/credential/canary --yes --format json
  nhi ledger show --kind drill

Only an nhi_credential with drill = true is ended: nobody reads what it delivers.

Exit codes: 0 done, or shown with --dry-run · 1 not done, and nothing was changed · 3 done, and whether
it stopped in time was not seen · 4 done, and it took longer than stop_within, or than
stop_within_longest of the policy · 5 begun and
not finished: run it again, and it goes on")]
pub(crate) struct Drill {
    /// The credential: INTEGRATION/credential/NAME.
    #[arg(value_name = "ID")]
    id: String,

    /// Declared is what this state says (`terraform show -json`, or a state file); `-` is standard
    /// input. Else the ledger says.
    #[arg(long, value_name = "FILE")]
    state: Option<String>,

    #[command(flatten)]
    pub(crate) asking: Asking,
}

struct Planned {
    spec: SlotSpec,
    seen: SeenSlot,
    to: u64,
    grade: &'static str,
    /// How fast it must be possible to stop its integration, where that is declared.
    own: Option<Span>,
}

enum Done {
    Ended(Box<Drilled>),
    Not { problem: Problem, begun: bool },
}

impl Drill {
    pub(crate) async fn run(self, config: Option<&str>, output: &Output) -> Result<Exit, Problem> {
        let context = self.asking.context(&wiring::load(config)?)?;
        let command = format!("drill {}", self.id);
        let (wishes, from) = declared(&context, self.state.as_deref(), &command).await?;
        if !self.id.contains("/credential/") {
            return Err(Problem::new("E-DRILL", "A drill is made on one credential")
                .detail(format!("{:?} is none: it may be an integration.", self.id))
                .next(format!("nhi drill {}/credential/NAME", self.id.trim_end_matches('/'))));
        }
        let progress = output.progress("looking");
        let mut all = Vec::new();
        for (id, name) in named(&wishes, &self.id, &from)? {
            let wish = &wishes.integrations[&id];
            let spec = declared_slot(&context, wish, &name).await?;
            let own = wish.ties.stop_within.as_deref().and_then(|text| text.parse().ok());
            all.push(plan(&context, spec, own).await?);
        }
        drop(progress);
        let deed = Deed {
            asking: &self.asking,
            form: "nhi-drill/1",
            parts: "credentials",
            doing: "drilling",
            question: "Do this? Nobody may read what it delivers.".to_owned(),
            stands: Exit::Clean,
        };
        deed.run(&context, &all, output).await
    }
}

async fn plan(context: &Context, spec: SlotSpec, own: Option<Span>) -> Result<Planned, Problem> {
    may_drill(&spec)?;
    may_have_more(context, &spec).await?;
    let seen =
        observe_slot(context, &spec).await?.ok_or_else(|| not_shown(&spec.id.integration))?;
    if seen.status == "held" {
        return Err(Problem::new("E-HELD", "This slot waits for a person")
            .detail(format!("{}: {}.", spec.id, seen.note.as_deref().unwrap_or("nobody wrote why")))
            .next(format!("nhi recover {}", spec.id)));
    }
    // What a drill began and did not finish is the one.
    let to = seen.left.map_or(seen.generation + 1, |left| left.generation);
    let found = ways(context, &spec.id.integration.connection, spec.credential_type).await;
    let profile = found.as_ref().and_then(|all| all.first()).map(|one| one.profile);
    let anchor = spec.deliveries.iter().min_by(|a, b| a.name.cmp(&b.name));
    let at_hand = match anchor {
        Some(anchor) => keeps_earlier(context, &anchor.connection).await,
        None => false,
    };
    let grade = profile.map_or("unknown", |one| best_grade(one, at_hand).as_str());
    Ok(Planned { spec, seen, to, grade, own })
}

impl Part for Planned {
    type Done = Done;

    fn subject(&self) -> String {
        self.spec.id.to_string()
    }

    fn tell(&self, output: &Output) {
        output.line(&styled(BOLD, &self.subject()));
        say(output, "issue", &format!("generation {}, and sign in with it", self.to));
        if let Some(key) = &self.seen.key_id {
            let what = format!("{key} at once, shown to grade {} at best", self.grade);
            say(output, "end", &what);
        }
    }

    async fn carry_out(&self, context: &Context) -> Done {
        match drill(context, &self.spec, self.to, self.own).await {
            Ok(done) => Done::Ended(Box::new(done)),
            Err(problem) => {
                let seen = observe_slot(context, &self.spec).await.ok().flatten();
                let begun = seen.is_none_or(|seen| seen.note.is_some());
                Done::Not { problem, begun }
            }
        }
    }

    fn json(&self, done: Option<&Done>) -> Value {
        json!({
            "id": self.subject(),
            "will": { "generation": self.to, "end": self.seen.key_id, "grade_at_best": self.grade },
            "did": done.map(Done::json),
        })
    }
}

impl deed::Done<Planned> for Done {
    fn exit(&self) -> Exit {
        match self {
            Done::Ended(done) => match done.limit {
                None | Some((_, Some(true))) => Exit::Clean,
                Some((_, Some(false))) => Exit::Policy,
                Some((_, None)) => Exit::Partial,
            },
            Done::Not { begun, .. } => deed::not_done(*begun),
        }
    }

    fn tell(&self, planned: &Planned, output: &Output) {
        let done = match self {
            Done::Ended(done) => done,
            Done::Not { problem, .. } => {
                output.problem(problem);
                return;
            }
        };
        let time = match time_of(done) {
            Some(time) => format!("time to stop {time}"),
            None => "when it stopped was not seen".to_owned(),
        };
        let id = &planned.spec.id;
        let grade = done.ended.grade_words();
        output.line(&format!(
            "{} {id} on {}: {time}, grade {grade}",
            styled(GREEN, "Drilled:"),
            done.platform
        ));
        say_ended(output, &done.outcome.revoked);
        match done.limit {
            Some((limit, Some(false))) => output.warning(&format!(
                "that is longer than its stop_within or the policy's stop_within_longest allows ({limit})"
            )),
            Some((limit, None)) => output.warning(&format!(
                "whether it stops within {limit}, as is asked for, is not known"
            )),
            Some((_, Some(true))) | None => {}
        }
    }
}

fn time_of(done: &Drilled) -> Option<String> {
    let told = done.ended.modifiers().into_iter().find(|(name, _)| *name == "time_to_stop");
    told.map(|(_, words)| words)
}

impl Done {
    fn json(&self) -> Value {
        match self {
            Done::Not { problem, begun } => not_done_json(problem, *begun),
            Done::Ended(done) => json!({
                "done": true,
                "platform": done.platform,
                "time_to_stop": time_of(done),
                "stop_within": done.limit.map(|(limit, _)| limit.to_string()),
                "within": done.limit.and_then(|(_, within)| within),
                "grade": done.ended.grade_words(),
                "generation": done.outcome.generation,
                "revoked": ended_json(&done.outcome.revoked),
            }),
        }
    }
}
