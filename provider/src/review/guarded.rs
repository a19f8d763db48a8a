//! A resource whose changes a board reviews: plan says what each needs, apply refuses what is not approved.

use std::sync::Arc;

use operations::{Context, Problem, review};
use policy::change::{
    differences,
    projection::{Unprojectable, project},
};
use tfplugin::{
    Diagnostic, Diagnostics, Path, Schema, Severity, Value,
    erased::{
        AnyResource, ApplyRequest, ApplyResponse, BoxFuture, Call, ImportRequest, ImportResponse,
        MoveRequest, MoveResponse, PlanRequest, PlanResponse, ReadRequest, ReadResponse,
        StateResponse,
    },
    resource::IntoResource,
};

use super::{Reviewed, attributes::attributes, reviewed};
use crate::{
    diagnostics::{errors, unknown_governed},
    shared::Shared,
};

/// A resource behind its gate.
pub(crate) struct Guarded {
    inner: Arc<dyn AnyResource>,
    shared: Shared,
}

impl Guarded {
    pub(crate) fn new(inner: impl IntoResource, shared: &Shared) -> Guarded {
        Guarded { inner: inner.into_any(), shared: shared.clone() }
    }

    /// What there is to act on, where a board reviews changes.
    fn reviewing(&self) -> Option<Context> {
        self.shared.context_if_ready().filter(|context| context.gate.board().is_some())
    }

    /// Says what a planned change needs. What cannot be reviewed is refused here, not by apply.
    async fn tell(&self, context: &Context, before: &Value, answer: &PlanResponse) -> Diagnostics {
        // A replacement ends what is there; its other half is planned as a create.
        let after = if answer.requires_replace.is_empty() { &answer.planned } else { &Value::Null };
        let one = match reviewed(self.type_name(), before, after) {
            Ok(Some(one)) => one,
            Ok(None) => return Diagnostics::new(),
            Err(why) => return unreviewable(&why).into(),
        };
        match needs(context, &one).await {
            Ok(told) => told,
            // Who must approve it is not known; apply asks again and refuses.
            Err(problem) => Diagnostics::from(Diagnostic::warning(
                format!("What this change needs is not known: {}", one.object),
                problem.body(),
            )),
        }
    }

    /// Where nobody reviews changes, that is said with the first one that gives power.
    fn say_once(&self, before: &Value, answer: &PlanResponse) -> Option<Diagnostic> {
        if *before == answer.planned {
            return None;
        }
        self.shared.context_if_ready().filter(|context| context.gate.closed().is_none())?;
        let one = reviewed(self.type_name(), before, &answer.planned).ok().flatten()?;
        if !one.direction.may_widen() {
            return None;
        }
        self.shared.say_unreviewed().then(|| {
            Diagnostic::warning(
                "Nobody reviews changes here",
                format!(
                    "{} gives power, and perhaps others of this plan do: they are applied as they are \
                     planned, and written down.\nNext: say in policy.hcl who must sign what (review), or \
                     leave it so.",
                    one.object
                ),
            )
        })
    }

    /// Whether what is there is what was reviewed.
    async fn is_as_reviewed(&self, request: &ApplyRequest, object: &str) -> Result<(), Problem> {
        if request.prior.is_null() {
            return Ok(());
        }
        let seen = self
            .inner
            .read(ReadRequest {
                state: request.prior.clone(),
                private: request.planned_private.clone(),
                identity: None,
                provider_meta: request.provider_meta.clone(),
                call: request.call.clone(),
            })
            .await;
        let error = seen.diagnostics.iter().find(|one| one.severity == Severity::Error);
        if let Some(error) = error {
            return Err(Problem::new("E-UNREADABLE", "What is there cannot be compared")
                .detail(format!("{object}: {}: {}", error.summary, error.detail)));
        }
        let of = |value: &Value| project(self.type_name(), &attributes(value)).ok();
        let (live, before) = (of(&seen.state), of(&request.prior));
        if live.is_some() && live == before {
            return Ok(());
        }
        let differs = match (live, before) {
            (Some(live), Some(before)) => told(&before, &live),
            _ => "it is gone".to_owned(),
        };
        Err(Problem::new("E-STALE-LIVE", "It changed after it was reviewed")
            .detail(format!(
                "{object}: {differs}.\nThe approval was for another starting point, so it does not count. \
                 Nothing was changed here."
            ))
            .next("terraform plan; the new plan shows the difference and has its own digest"))
    }
}

/// What differs, leaf by leaf.
fn told(before: &policy::change::Value, live: &policy::change::Value) -> String {
    let one = |one: policy::change::Difference| {
        let text = |value: Option<policy::change::Value>| {
            value.map_or("nothing".to_owned(), |value| value.canonical())
        };
        format!("{}: reviewed {}, now {}", one.path, text(one.before), text(one.after))
    };
    differences(before, live).into_iter().map(one).collect::<Vec<_>>().join("; ")
}

/// What a change needs, where somebody must approve it and not all have.
async fn needs(context: &Context, one: &Reviewed) -> Result<Diagnostics, Problem> {
    let mut told = Diagnostics::new();
    let Some(board) = context.gate.board() else { return Ok(told) };
    let asked = one.ask(context).await?;
    let used = review::used(context, asked.change.digest()).await?;
    let judged = board.judge(&asked, used, context.time())?;
    if let Some(frozen) = board.frozen(&asked, judged.impact.level, context.time()) {
        told.push(crate::diagnostics::warning(&frozen));
    }
    if judged.tally.is_enough() {
        return Ok(told);
    }
    told.push(Diagnostic::warning(
        format!("This change needs an approval: {}", asked.object),
        board.missing(&asked, &judged).body(),
    ));
    Ok(told)
}

fn unreviewable(why: &Unprojectable) -> Diagnostic {
    match why {
        Unprojectable::Unknown { path } => {
            let first = path.split('.').next().unwrap_or_default();
            let mut told = unknown_governed(Path::attribute(first));
            told.detail = format!("{path}: {}", told.detail);
            told
        }
        other => Diagnostic::error(
            "This change cannot be reviewed",
            format!(
                "{other}.\nNext: report it, with the plan: this is a fault of the provider.\n(E-INTERNAL)"
            ),
        ),
    }
}

/// The code that an error ends with.
fn code(told: &Diagnostics) -> Option<String> {
    let error = told.iter().find(|one| one.severity == Severity::Error)?;
    let last = error.detail.rsplit_once('(').and_then(|(_, last)| last.split_once(')'));
    Some(last.map_or("failed".to_owned(), |(code, _)| code.to_owned()))
}

impl AnyResource for Guarded {
    fn type_name(&self) -> &str {
        self.inner.type_name()
    }

    fn schema(&self) -> &Schema {
        self.inner.schema()
    }

    fn identity_schema(&self) -> Option<&Schema> {
        self.inner.identity_schema()
    }

    fn can_import(&self) -> bool {
        self.inner.can_import()
    }

    fn can_move(&self) -> bool {
        self.inner.can_move()
    }

    fn validate<'a>(&'a self, config: Value, call: Call) -> BoxFuture<'a, Diagnostics> {
        self.inner.validate(config, call)
    }

    fn plan<'a>(&'a self, request: PlanRequest) -> BoxFuture<'a, PlanResponse> {
        Box::pin(async move {
            let reviewing = self.reviewing();
            if reviewing.is_none() && self.shared.has_said_unreviewed() {
                return self.inner.plan(request).await;
            }
            let before = request.prior.clone();
            let mut answer = self.inner.plan(request).await;
            let Some(context) = reviewing else {
                answer.diagnostics.extend(self.say_once(&before, &answer));
                return answer;
            };
            let failed = answer.diagnostics.iter().any(|one| one.severity == Severity::Error);
            if !failed && answer.deferred.is_none() {
                let told = self.tell(&context, &before, &answer).await;
                answer.diagnostics.extend(told);
            }
            answer
        })
    }

    fn apply<'a>(&'a self, request: ApplyRequest) -> BoxFuture<'a, ApplyResponse> {
        Box::pin(async move {
            let Some(context) = self.reviewing() else { return self.inner.apply(request).await };
            let refused = |diagnostics: Diagnostics, request: ApplyRequest| ApplyResponse {
                // What is there stays in state as it was.
                state: request.prior,
                private: request.planned_private,
                identity: request.planned_identity,
                diagnostics,
            };
            let one = match reviewed(self.type_name(), &request.prior, &request.planned) {
                Ok(Some(one)) => one,
                // Nothing that is governed differs: labels, and what follows from other things.
                Ok(None) => return self.inner.apply(request).await,
                Err(why) => return refused(unreviewable(&why).into(), request),
            };
            let asked = match one.ask(&context).await {
                Ok(asked) => asked,
                Err(problem) => return refused(errors(problem), request),
            };
            let as_reviewed = self.is_as_reviewed(&request, &asked.object);
            let leave = match review::pass(&context, &asked, as_reviewed).await {
                Ok(leave) => leave,
                Err(problem) => return refused(errors(problem), request),
            };
            let begun = leave.is_some().then(|| request.clone());
            let answer = self.inner.apply(request).await;
            if let (Some(leave), Some(begun)) = (leave, begun) {
                let failed = code(&answer.diagnostics);
                // Nothing came of it where what is there is what was reviewed; of what was to be made,
                // where there is nothing.
                let unchanged = match (&failed, begun.prior.is_null()) {
                    (None, _) => false,
                    (Some(_), true) => answer.state.is_null(),
                    (Some(_), false) => self.is_as_reviewed(&begun, &asked.object).await.is_ok(),
                };
                leave.ended(&context, failed.as_deref(), unchanged).await;
            }
            answer
        })
    }

    fn read<'a>(&'a self, request: ReadRequest) -> BoxFuture<'a, ReadResponse> {
        self.inner.read(request)
    }

    fn import<'a>(&'a self, request: ImportRequest) -> BoxFuture<'a, ImportResponse> {
        self.inner.import(request)
    }

    fn upgrade<'a>(
        &'a self,
        version: i64,
        state: serde_json::Value,
        call: Call,
    ) -> BoxFuture<'a, StateResponse> {
        self.inner.upgrade(version, state, call)
    }

    fn upgrade_identity<'a>(
        &'a self,
        version: i64,
        identity: serde_json::Value,
        call: Call,
    ) -> BoxFuture<'a, StateResponse> {
        self.inner.upgrade_identity(version, identity, call)
    }

    fn move_state<'a>(&'a self, request: MoveRequest) -> BoxFuture<'a, MoveResponse> {
        self.inner.move_state(request)
    }

    fn generate_config(&self, state: Value) -> StateResponse {
        self.inner.generate_config(state)
    }
}

impl IntoResource for Guarded {
    fn into_any(self) -> Arc<dyn AnyResource> {
        Arc::new(self)
    }
}
