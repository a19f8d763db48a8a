//! `nhi elevate`: a scope for a while, that its declaration lets somebody ask for.

use clap::Args;
use domain::{IntegrationId, Span};
use operations::{
    Context, ElevateRequest, Foreseen, KindLattice, Problem, Wish, elevate, end_elevation,
    foresee_elevation,
};
use serde_json::{Value, json};

use crate::{
    ask::Asking,
    commands::drift::declared,
    exit::Exit,
    output::{BOLD, Format, GREEN, Output, styled},
    told::{not_done_json, say, short},
};

/// Give an integration a scope for a while, as on_request of its nhi_scope allows.
///
/// What no entry there covers, or covers for a shorter time, is refused. Where the policy has changes
/// reviewed, it is one: the refusal names its digest, and the same command does it once those have signed
/// who must. That it ends is written down before it is given; its platform ends it, or the next nhi reconcile
/// after its time, or nhi serve.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  nhi elevate CONNECTION/KIND/NAME secret/data/payroll/*:read --for 30m --reason 'INC-9: compare the totals'
  nhi elevate CONNECTION/KIND/NAME SCOPE --for 1h --reason 'month end' --ticket CHG-4711 --yes
  nhi elevate CONNECTION/KIND/NAME SCOPE --for 1h --reason 'month end' --dry-run
  nhi elevate --end CONNECTION/KIND/NAME SCOPE

Exit codes: 0 it has it, or has it no more with --end, or it is shown with --dry-run · 1 it could not be
done · 4 it is not approved, and nothing was changed")]
pub(crate) struct Elevate {
    /// The integration.
    #[arg(value_name = "INTEGRATION")]
    id: String,

    /// The scope, as on_request spells it or a part of that.
    scope: String,

    /// For how long, such as 30m.
    #[arg(long = "for", value_name = "SPAN", id = "lasts", required_unless_present = "end")]
    lasts: Option<Span>,

    /// Why. It is in what is signed, and in the ledger: no secret belongs into it.
    #[arg(long, value_name = "TEXT", required_unless_present = "end")]
    reason: Option<String>,

    /// The ticket that it is for.
    #[arg(long, value_name = "TICKET")]
    ticket: Option<String>,

    /// End it now.
    #[arg(long, conflicts_with_all = ["lasts", "reason", "ticket"])]
    end: bool,

    /// Declared is what this state says (`terraform show -json`, or a state file); `-` is standard
    /// input. Else the ledger says.
    #[arg(long, value_name = "FILE", conflicts_with = "end")]
    state: Option<String>,

    #[command(flatten)]
    pub(crate) asking: Asking,
}

/// The format of what programs read.
const FORMAT: &str = "nhi-elevate/1";

fn slip(text: impl Into<String>) -> Problem {
    Problem::new("E-ELEVATE", "This cannot be had by asking").detail(text)
}

impl Elevate {
    pub(crate) async fn run(self, config: Option<&str>, output: &Output) -> Result<Exit, Problem> {
        let loaded = wiring::load(config)?;
        let id: IntegrationId = self.id.parse().map_err(|error: domain::id::IdError| {
            Problem::new("E-ID", "This is no integration's id")
                .detail(error.to_string())
                .next("as nhi scan prints it: CONNECTION/KIND/NAME")
        })?;
        if self.end {
            let context = self.asking.context_to_end(&loaded, output)?;
            return self.ends(&context, &id, output).await;
        }
        let context = self.asking.context(&loaded)?;
        self.gives(&context, &id, output).await
    }

    fn lattice(&self, context: &Context, id: &IntegrationId) -> Result<KindLattice, Problem> {
        let platform = context.connections.platform(&id.connection)?;
        let kind = platform.kinds().iter().find(|kind| kind.name == id.kind);
        let kind = kind.ok_or_else(|| {
            Problem::new("E-KIND", "Its platform has no such integrations")
                .detail(format!("{id}: {} is none of its kinds.", id.kind))
                .next("as nhi scan prints it: CONNECTION/KIND/NAME")
        })?;
        Ok(KindLattice { platform, kind: kind.name })
    }

    async fn gives(
        &self,
        context: &Context,
        id: &IntegrationId,
        output: &Output,
    ) -> Result<Exit, Problem> {
        let (Some(span), Some(reason)) = (self.lasts, self.reason.as_deref()) else {
            return Err(slip("--for and --reason are missing."));
        };
        if span == Span::ZERO {
            return Err(slip("--for is no time at all.").next("--for 30m"));
        }
        let said = |text: &str| (3..=500).contains(&text.trim().chars().count());
        if !said(reason) {
            return Err(
                slip("--reason says why, in 3 to 500 characters.").next("--reason 'INC-9: …'")
            );
        }
        let (wishes, _) = declared(context, self.state.as_deref(), "elevate").await?;
        let wish: Option<&Wish> = wishes.integrations.get(&self.id);
        let Some((wish, scopes)) = wish.and_then(|wish| Some((wish, wish.scopes.as_ref()?))) else {
            return Err(slip(format!("{id}: nothing says what it may ask for."))
                .next("declare its nhi_scope with on_request, and apply that; or --state FILE"));
        };
        let lattice = self.lattice(context, id)?;
        let request = ElevateRequest {
            scope: &self.scope,
            span,
            reason: reason.trim(),
            ticket: self.ticket.as_deref().map(str::trim).filter(|one| !one.is_empty()),
        };
        let vendor_id = wish.vendor_id.as_deref();
        let foreseen = foresee_elevation(context, id, vendor_id, lattice, scopes, request).await?;
        if self.asking.format == Format::Text {
            tell(id, span, &foreseen, output);
        }
        if self.asking.dry_run {
            self.told(&foreseen, Value::Null, Exit::Clean, output);
            return Ok(Exit::Clean);
        }
        if !self.asking.agreed(&format!("Give it {} for {span}?", self.scope), output)? {
            output.hint("Nothing was changed.");
            return Ok(Exit::Failed);
        }
        let done = elevate(context, id, vendor_id, lattice, scopes, request).await;
        for notice in context.notices.take() {
            output.warning(&notice.to_string());
        }
        let given = match done {
            Ok(given) => given,
            Err(problem) if problem.code.contains("APPROVAL-") => {
                output.problem(&problem);
                self.told(&foreseen, not_done_json(&problem, false), Exit::Policy, output);
                return Ok(Exit::Policy);
            }
            Err(problem) => return Err(problem),
        };
        if self.asking.format == Format::Text {
            let until = short(given.until);
            output.line(&format!("{} {id} has it until {until}", styled(GREEN, "Given:")));
            output.hint(&match given.ends_itself {
                true => "its platform ends it then".to_owned(),
                false => {
                    "the first nhi reconcile after that takes it away, or nhi serve".to_owned()
                }
            });
        }
        let did = json!({
            "done": true, "until": short(given.until), "ends_itself": given.ends_itself,
            "auth": given.auth,
        });
        self.told(&foreseen, did, Exit::Clean, output);
        Ok(Exit::Clean)
    }

    fn told(&self, foreseen: &Foreseen, did: Value, exit: Exit, output: &Output) {
        if self.asking.format != Format::Json {
            return;
        }
        let scopes: Vec<&str> = foreseen.wanted.scopes.iter().map(|one| one.as_str()).collect();
        let told = json!({
            "format": FORMAT, "id": self.id, "dry_run": self.asking.dry_run, "scopes": scopes,
            "entry": foreseen.wanted.entry, "approval": foreseen.wanted.approval.as_str(),
            "digest": foreseen.asked.change.digest().to_string(), "did": did,
            "outcome": exit.sole_outcome(),
        });
        output.line(&told.to_string());
    }

    async fn ends(
        &self,
        context: &Context,
        id: &IntegrationId,
        output: &Output,
    ) -> Result<Exit, Problem> {
        let lattice = self.lattice(context, id)?;
        let text = self.asking.format == Format::Text;
        if text {
            output.line(&styled(BOLD, &id.to_string()));
            say(output, "do", &format!("take {} away, before its time", self.scope));
        }
        let mut taken = Vec::new();
        if !self.asking.dry_run {
            if !self.asking.agreed(&format!("End {} of {id}?", self.scope), output)? {
                output.hint("Nothing was changed.");
                return Ok(Exit::Failed);
            }
            let gone = end_elevation(context, id, None, lattice, &self.scope).await?;
            for notice in context.notices.take() {
                output.warning(&notice.to_string());
            }
            taken.extend(gone.iter().map(|scope| scope.as_str().to_owned()));
        }
        if text && !self.asking.dry_run {
            output.line(&format!("{} {}", styled(GREEN, "Ended:"), self.scope));
        }
        if !text {
            let told = json!({
                "format": FORMAT, "id": self.id, "dry_run": self.asking.dry_run, "taken": taken,
                "outcome": Exit::Clean.sole_outcome(),
            });
            output.line(&told.to_string());
        }
        Ok(Exit::Clean)
    }
}

fn tell(id: &IntegrationId, span: Span, foreseen: &Foreseen, output: &Output) {
    output.line(&styled(BOLD, &id.to_string()));
    for why in &foreseen.asked.why {
        say(output, "do", why);
    }
    let end = if foreseen.ends_itself { "its platform ends it" } else { "nhi reconcile ends it" };
    say(output, "end", &format!("after {span}: {end}"));
    say(output, "change", &foreseen.asked.change.digest().to_string());
}
