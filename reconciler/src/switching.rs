//! What `nhi quarantine`, `nhi disable` and `nhi lift` share: which integrations are meant, what is shown
//! before, and several done at once.

use std::{collections::BTreeMap, sync::Arc};

use clap::Args;
use domain::IntegrationId;
use operations::{Context, Problem, Switch, Wish, Wishes, not_shown, observe_integration, turn};
use serde_json::{Value, json};
use tokio::{
    sync::Semaphore,
    task::{Id, JoinSet},
};

use crate::{
    ask::Asking,
    commands::drift::declared,
    exit::Exit,
    group::{Group, MEMBERS},
    output::{BOLD, Format, GREEN, Output, styled},
    told::{not_done_json, problem_json, say},
};

/// How many are looked at, and switched, at once.
const AT_ONCE: usize = 8;

/// Which integrations are meant.
#[derive(Debug, Args)]
pub(crate) struct Which {
    /// Integrations, declared or not.
    #[arg(value_name = "INTEGRATION", required_unless_present_any = MEMBERS)]
    ids: Vec<String>,

    #[command(flatten)]
    group: Group,
}

impl Which {
    /// Whether something that was chosen is meant. A group that is lifted is what was quarantined of it: the
    /// others were switched off for another reason.
    fn means(&self, how: &Switch, one: &Seen) -> bool {
        *how != Switch::Lift
            || one.quarantined.is_some()
            || one.enabled
            || self.ids.contains(&one.id.to_string())
    }
}

/// What became of one.
type Turned = (String, Result<bool, Problem>);

/// What nobody answers for any more, because whoever was at it broke off.
fn broke_off(id: &str) -> Problem {
    Problem::new("E-INTERNAL", "This broke off")
        .detail(format!("{id}: this is a fault of nhi. How far it came is not known."))
        .next("report it, and run it again: what is so already is left as it is")
}

/// Nothing is in the way but that nobody has approved it.
fn is_unapproved(done: &Result<bool, Problem>) -> bool {
    done.as_ref().is_err_and(|problem| problem.code.contains("APPROVAL-"))
}

/// One of the three commands.
pub(crate) struct Switching<'a> {
    pub(crate) which: &'a Which,
    pub(crate) state: Option<&'a str>,
    pub(crate) asking: &'a Asking,
    pub(crate) how: Switch,
    /// The command, as in `nhi quarantine`.
    pub(crate) command: &'static str,
    /// What is shown before each: what will happen.
    pub(crate) will: &'a str,
    /// The word when it is done.
    pub(crate) done: &'static str,
}

/// One that was looked at.
#[derive(Debug, Clone)]
struct Seen {
    id: IntegrationId,
    vendor_id: String,
    revoke_unmanaged: bool,
    enabled: bool,
    quarantined: Option<String>,
    /// What was issued before goes on until it ends.
    tokens_live_on: bool,
}

impl Switching<'_> {
    pub(crate) async fn run(&self, context: Context, output: &Output) -> Result<Exit, Problem> {
        let (chosen, unknown) = self.chosen(&context, output).await?;
        let progress = output.progress("looking");
        let (seen, mut failed) = look(&context, chosen).await;
        failed.extend(unknown);
        drop(progress);
        for (id, problem) in &failed {
            output.warning(&format!("{id} could not be looked at: {problem}"));
        }
        let unread = match (failed.is_empty(), seen.is_empty()) {
            (true, _) => Exit::Clean,
            (false, true) => Exit::Failed,
            (false, false) => Exit::Partial,
        };
        let (seen, left): (Vec<Seen>, Vec<Seen>) =
            seen.into_iter().partition(|one| self.which.means(&self.how, one));
        if !left.is_empty() {
            let ids: Vec<String> = left.iter().map(|one| one.id.to_string()).collect();
            output.hint(&format!(
                "Switched off and not quarantined, so left as they are: {}. nhi lift with their ids \
                 switches them on",
                ids.join(", ")
            ));
        }
        let (todo, already): (Vec<Seen>, Vec<Seen>) =
            seen.into_iter().partition(|one| !self.is_so(one));
        let text = self.asking.format == Format::Text;
        if text {
            already.iter().for_each(|one| {
                output.line(&format!("{}: it is so already", one.id));
            });
            todo.iter().for_each(|one| self.tell(one, output));
        }
        if todo.is_empty() || self.asking.dry_run {
            self.end(&todo, &already, &failed, &BTreeMap::new(), unread, output);
            return Ok(unread);
        }
        let question = match &todo[..] {
            [one] => format!("{} {}?", capital(self.command), one.id),
            more => format!("{} all {}?", capital(self.command), more.len()),
        };
        if !self.asking.agreed(&question, output)? {
            output.hint("Nothing was changed.");
            return Ok(Exit::Failed);
        }
        let progress = output.progress(&format!("done 0 of {}", todo.len()));
        let mut ended: BTreeMap<String, Result<bool, Problem>> = BTreeMap::new();
        let (mut running, ids) = self.begin(&context, &todo);
        while let Some(one) = running.join_next().await {
            let (id, done) = one.unwrap_or_else(|error| {
                let id = ids.get(&error.id()).cloned().unwrap_or_default();
                let problem = broke_off(&id);
                (id, Err(problem))
            });
            progress.say(&format!("done {} of {}", ended.len() + 1, todo.len()));
            if text {
                match &done {
                    Ok(_) => output.line(&format!("{} {id}", styled(GREEN, self.done))),
                    Err(problem) => output.problem(problem),
                }
            }
            ended.insert(id, done);
        }
        drop(progress);
        let not = todo.len() - ended.values().filter(|done| done.is_ok()).count();
        let exit = match not {
            0 => Exit::Clean,
            not if not == todo.len() && ended.values().all(is_unapproved) => Exit::Policy,
            not if not == todo.len() => Exit::Failed,
            _ => Exit::Unfinished,
        };
        for notice in context.notices.take() {
            output.warning(&notice.to_string());
        }
        let exit = exit.worst(unread);
        if exit == Exit::Unfinished {
            output.hint(&format!("{not} of {} are left; run it again, and it goes on", todo.len()));
        }
        self.end(&todo, &already, &failed, &ended, exit, output);
        Ok(exit)
    }

    fn begin(&self, context: &Context, todo: &[Seen]) -> (JoinSet<Turned>, BTreeMap<Id, String>) {
        let gate = Arc::new(Semaphore::new(AT_ONCE));
        let (mut running, mut ids) = (JoinSet::new(), BTreeMap::new());
        for one in todo.iter().cloned() {
            let (context, gate, how) = (context.clone(), gate.clone(), self.how.clone());
            let id = one.id.to_string();
            let task = running.spawn(async move {
                let _turn = gate.acquire().await;
                let revokes = one.revoke_unmanaged;
                let done = turn(&context, &one.id, &one.vendor_id, revokes, &how).await;
                (one.id.to_string(), done)
            });
            ids.insert(task.id(), id);
        }
        (running, ids)
    }

    /// Those that are meant, as they are declared.
    async fn chosen(
        &self,
        context: &Context,
        output: &Output,
    ) -> Result<(Vec<Wish>, Vec<(String, Problem)>), Problem> {
        let Which { ids, group } = self.which;
        let by_id_alone = group.is_none();
        let wishes = match declared(context, self.state, self.command).await {
            Ok((wishes, _)) => wishes,
            // What is at a platform can be stopped whatever is declared.
            Err(problem) if by_id_alone && problem.code == "E-DRIFT-NOTHING" => Wishes::default(),
            // Nor does an incident wait for a ledger. Power is not given back on half a look.
            Err(problem) if by_id_alone && self.state.is_none() && self.how != Switch::Lift => {
                output.warning(&format!("what is declared is not known: {problem}"));
                Wishes::default()
            }
            Err(problem) => return Err(problem),
        };
        let mut chosen: BTreeMap<String, Wish> = BTreeMap::new();
        for id in ids {
            let known = wishes.integrations.get(id).cloned();
            let wish = known.unwrap_or_else(|| Wish { id: id.clone(), ..Wish::default() });
            chosen.insert(id.clone(), wish);
        }
        let mut unread = Vec::new();
        if !by_id_alone {
            let progress = output.progress("looking for what is meant");
            let meant = group.meant(context, &wishes).await?;
            drop(progress);
            unread = meant.unread;
            let meant = meant.all.keys().filter_map(|id| wishes.integrations.get_key_value(id));
            chosen.extend(meant.map(|(id, wish)| (id.clone(), wish.clone())));
        }
        Ok((chosen.into_values().collect(), unread))
    }

    fn is_so(&self, one: &Seen) -> bool {
        match self.how {
            Switch::Quarantine(_) => !one.enabled && one.quarantined.is_some(),
            Switch::Off | Switch::OffByPolicy(_) => !one.enabled,
            Switch::Lift => one.enabled && one.quarantined.is_none(),
        }
    }

    fn tell(&self, one: &Seen, output: &Output) {
        output.line(&styled(BOLD, &one.id.to_string()));
        let switch = if one.enabled { "switched on" } else { "switched off" };
        match &one.quarantined {
            Some(why) => say(output, "now", &format!("{switch}, quarantined: {why}")),
            None => say(output, "now", switch),
        }
        say(output, "do", self.will);
        if one.tokens_live_on && self.how != Switch::Lift {
            say(
                output,
                "mind",
                "tokens that were issued before may go on until they end: nhi revoke ends what its \
                 platform lets be ended",
            );
        }
    }

    fn end(
        &self,
        todo: &[Seen],
        already: &[Seen],
        failed: &[(String, Problem)],
        ended: &BTreeMap<String, Result<bool, Problem>>,
        exit: Exit,
        output: &Output,
    ) {
        if self.asking.format != Format::Json {
            return;
        }
        let one = |one: &Seen, so: bool| {
            let did = ended.get(&one.id.to_string()).map(|done| match done {
                Ok(changed) => json!({ "done": true, "changed": changed }),
                Err(problem) => not_done_json(problem, false),
            });
            json!({
                "id": one.id.to_string(),
                "now": { "enabled": one.enabled, "quarantined": one.quarantined },
                "already": so,
                "did": did,
            })
        };
        let all = already.iter().map(|seen| one(seen, true));
        let all: Vec<Value> = all.chain(todo.iter().map(|seen| one(seen, false))).collect();
        let gaps = failed
            .iter()
            .map(|(id, problem)| json!({ "id": id, "problem": problem_json(problem) }));
        let told = json!({
            "format": format!("nhi-{}/1", self.command), "dry_run": self.asking.dry_run,
            "integrations": all, "gaps": gaps.collect::<Vec<_>>(), "outcome": exit.sole_outcome(),
        });
        output.line(&told.to_string());
    }
}

fn capital(word: &str) -> String {
    let mut letters = word.chars();
    letters.next().map_or_else(String::new, |first| first.to_uppercase().chain(letters).collect())
}

async fn look(context: &Context, chosen: Vec<Wish>) -> (Vec<Seen>, Vec<(String, Problem)>) {
    let gate = Arc::new(Semaphore::new(AT_ONCE));
    let mut running: JoinSet<(String, Result<Seen, Problem>)> = JoinSet::new();
    let mut ids = BTreeMap::new();
    for wish in chosen {
        let (context, gate, id) = (context.clone(), gate.clone(), wish.id.clone());
        let task = running.spawn(async move {
            let _turn = gate.acquire().await;
            (wish.id.clone(), look_at(&context, &wish).await)
        });
        ids.insert(task.id(), id);
    }
    let (mut seen, mut failed) = (Vec::new(), Vec::new());
    while let Some(ended) = running.join_next().await {
        match ended {
            Ok((_, Ok(one))) => seen.push(one),
            Ok((id, Err(problem))) => failed.push((id, problem)),
            Err(error) => {
                let id = ids.remove(&error.id()).unwrap_or_default();
                let problem = broke_off(&id);
                failed.push((id, problem));
            }
        }
    }
    seen.sort_by_key(|one: &Seen| one.id.to_string());
    failed.sort_by(|(a, _), (b, _)| a.cmp(b));
    (seen, failed)
}

async fn look_at(context: &Context, wish: &Wish) -> Result<Seen, Problem> {
    let id = wish.integration()?;
    let seen = observe_integration(context, &id, None, wish.vendor_id.as_deref()).await?;
    let seen = seen.ok_or_else(|| not_shown(&id))?;
    seen.governed_here(context, &id).await?;
    let platform = context.connections.platform(&id.connection)?;
    let kind = platform.kinds().iter().find(|kind| kind.name == id.kind);
    let live = &seen.observed;
    Ok(Seen {
        vendor_id: live.vendor_id.clone(),
        revoke_unmanaged: wish.revoke_unmanaged,
        enabled: live.enabled,
        quarantined: live.record.as_ref().and_then(|record| record.quarantined.clone()),
        tokens_live_on: kind.is_some_and(|kind| !kind.capabilities.disable_reaches_tokens),
        id,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_a_group_only_what_is_quarantined_is_lifted() {
        let which = |ids: &[&str]| Which {
            ids: ids.iter().map(|id| (*id).to_owned()).collect(),
            group: Group { owner: Some("ana".to_owned()), ..Group::default() },
        };
        let one = |enabled: bool, word: Option<&str>| Seen {
            id: IntegrationId::new("fake", "app", "sync"),
            vendor_id: "1".to_owned(),
            revoke_unmanaged: false,
            enabled,
            quarantined: word.map(str::to_owned),
            tokens_live_on: false,
        };
        let group = which(&[]);
        assert!(group.means(&Switch::Lift, &one(false, Some("INC-9"))));
        assert!(!group.means(&Switch::Lift, &one(false, None)), "it was off before");
        assert!(group.means(&Switch::Off, &one(false, None)));
        assert!(which(&["fake/app/sync"]).means(&Switch::Lift, &one(false, None)));
    }
}
