//! `nhi adopt`: from what is there to a configuration that takes it over as it is.

use std::{collections::BTreeMap, path::PathBuf};

use clap::Args;
use domain::{Gap, IntegrationId, Realm};
use jiff::civil::Date;
use operations::{
    Context, Problem, SeenIntegration, declared_in_ledger, governed_elsewhere, is_managed,
    judge_listed, observe_integration, ourselves, take_inventory, unfit_setting,
};
use policy::standing::end_of;
use serde_json::{Value, json};

use crate::{
    adopting::{
        form::{Against, Form, Found, Terms, form, refused},
        known::Known,
        place::{self, Text},
    },
    exit::Exit,
    output::{Format, Output},
    state,
};

/// Write the configuration that takes over what is there, as it is: import blocks and resources.
///
/// What only people know is left out. It may be missing until a day, and somebody sees to it.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  nhi adopt bao --steward owner/payments --complete-by 2026-12-15 --dry-run
  nhi adopt bao --steward owner/payments --complete-by 2026-12-15 --out adopted
  nhi adopt --object login/oauth_client/a3f9c1 --steward owner/desk --complete-by 2026-12-15
  terraform show -json | nhi adopt --state - --steward owner/payments --complete-by 2026-12-15

It changes nothing at any platform. A file that exists is never changed: what is new since the last run is
written into another one.

Exit codes: 0 written, or nothing is new · 1 could not do it · 3 something could not be read or taken over")]
pub(crate) struct Adopt {
    /// Only these connections; all that hold integrations unless named.
    #[arg(value_name = "CONNECTION")]
    connections: Vec<String>,

    /// Only this integration; may be given more than once.
    #[arg(long = "object", value_name = "ID", conflicts_with = "connections")]
    objects: Vec<String>,

    /// Who sees to it that what is missing is found out: the id of an nhi_owner.
    #[arg(long, value_name = "OWNER_ID", value_parser = owner_id)]
    steward: String,

    /// The last day on which something may be missing, YYYY-MM-DD.
    #[arg(long, value_name = "DATE", value_parser = day)]
    complete_by: Date,

    /// The folder to write to, and whose files say what is taken over already.
    #[arg(long, value_name = "DIR", default_value = ".")]
    out: PathBuf,

    /// A state, by terraform show -json or as a file, that says what is declared already; - reads it from
    /// standard input.
    #[arg(long, value_name = "FILE")]
    state: Option<String>,

    /// Write no file: print what would stand in it.
    #[arg(long)]
    dry_run: bool,

    /// How the result is printed.
    #[arg(long, value_enum, default_value_t = Format::Text)]
    pub(crate) format: Format,
}

fn owner_id(text: &str) -> Result<String, String> {
    let fits = |name: &str| {
        (2..=63).contains(&name.len())
            && !name.starts_with('-')
            && name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
    };
    match text.strip_prefix("owner/").is_some_and(fits) {
        true => Ok(text.to_owned()),
        false => Err("an owner's id is expected, such as owner/payments".to_owned()),
    }
}

fn day(text: &str) -> Result<Date, String> {
    let day = (text.len() == 10).then(|| text.parse().ok()).flatten();
    day.ok_or_else(|| "a day is expected, as YYYY-MM-DD".to_owned())
}

/// What one connection showed.
#[derive(Debug, Default)]
struct Shown {
    found: Vec<Found>,
    gaps: Vec<String>,
}

impl Adopt {
    pub(crate) async fn run(self, config: Option<&str>, output: &Output) -> Result<Exit, Problem> {
        let context = wiring::load(config)?.read_only().context("nhi", "command")?;
        if context.time().has_come(end_of(self.complete_by)) {
            return Err(Problem::new("E-ADOPTION", "That day is over")
                .detail(format!(
                    "After {} a plan of what is incomplete is refused.",
                    self.complete_by
                ))
                .next("name a later day in --complete-by"));
        }
        let mut known = Known::default();
        known.add_folder(&self.out)?;
        if let Some(place) = &self.state {
            known.add_declared(&state::read(place)?);
        }
        known.add_declared(&declared_in_ledger(&*context.ledger).await?);
        let shown = match &self.objects[..] {
            [] => listed(&context, &self.connections, output).await?,
            objects => named(&context, objects).await?,
        };
        let terms =
            Terms { complete_by: self.complete_by.to_string(), steward: self.steward.clone() };
        let forms: BTreeMap<&String, Form> = shown
            .iter()
            .map(|(name, one)| (name, form(name, &one.found, &one.gaps, &terms, &mut known)))
            .collect();
        let texts: Vec<Text> = forms
            .iter()
            .filter(|(_, form)| !form.written.is_empty())
            .map(|(name, form)| Text { stem: stem(name), text: form.text.clone() })
            .collect();
        let files = if self.dry_run { Vec::new() } else { place::write(&self.out, &texts)? };
        let held_back: usize = forms.values().map(|form| form.held_back).sum();
        let gaps = shown.values().any(|one| !one.gaps.is_empty());
        let exit = if gaps || held_back > 0 { Exit::Partial } else { Exit::Clean };
        self.tell(&shown, &forms, &texts, &files, exit, output);
        Ok(exit)
    }

    fn tell(
        &self,
        shown: &BTreeMap<String, Shown>,
        forms: &BTreeMap<&String, Form>,
        texts: &[Text],
        files: &[PathBuf],
        exit: Exit,
        output: &Output,
    ) {
        match self.format {
            Format::Json => {
                output.line(&self.report(shown, forms, texts, files, exit).to_string());
            }
            Format::Text if self.dry_run => {
                for one in texts {
                    output.line(one.text.trim_end());
                }
            }
            Format::Text => {
                for file in files {
                    output.line(&format!("written: {}", file.display()));
                }
            }
        }
        for (name, form) in forms {
            for gap in &shown[*name].gaps {
                output.warning(&format!("{name}: not read: {gap}"));
            }
            for (id, why) in &form.left {
                output.warning(&format!("{id}: left out: {why}"));
            }
        }
        let all: Vec<&(String, String)> = forms.values().flat_map(|form| &form.written).collect();
        let of = |kind: &str| all.iter().filter(|(_, address)| address.starts_with(kind)).count();
        let before: usize = forms.values().map(|form| form.known).sum();
        output.hint(&format!(
            "{} integration(s) and {} credential(s) to take over; {before} were before.",
            of("nhi_integration."),
            of("nhi_credential.")
        ));
        if !files.is_empty() {
            output.hint(
                "Next: terraform plan. It imports, and writes records; it adds and ends nothing.",
            );
        }
    }

    fn report(
        &self,
        shown: &BTreeMap<String, Shown>,
        forms: &BTreeMap<&String, Form>,
        texts: &[Text],
        files: &[PathBuf],
        exit: Exit,
    ) -> Value {
        let all = forms.values().flat_map(|form| &form.written);
        let written: Vec<Value> =
            all.map(|(id, address)| json!({ "id": id, "address": address })).collect();
        let left = forms.values().flat_map(|form| &form.left);
        let left: Vec<Value> = left.map(|(id, why)| json!({ "id": id, "why": why })).collect();
        let gaps = shown.iter().flat_map(|(name, one)| {
            one.gaps.iter().map(move |gap| json!({ "connection": name, "what": gap }))
        });
        let files: Vec<Value> = match self.dry_run {
            true => texts.iter().map(|one| json!({ "path": null, "text": one.text })).collect(),
            false => files.iter().map(|file| json!({ "path": file.to_string_lossy() })).collect(),
        };
        json!({
            "format": "nhi-adopt/1", "files": files, "written": written, "left_out": left,
            "known": forms.values().map(|form| form.known).sum::<usize>(),
            "gaps": gaps.collect::<Vec<_>>(), "outcome": exit.sole_outcome(),
        })
    }
}

/// The name of a connection's file.
fn stem(connection: &str) -> String {
    let fits = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_');
    let name: String = connection.chars().map(|c| if fits(c) { c } else { '_' }).collect();
    format!("adopted_{name}")
}

/// All that connections list.
async fn listed(
    context: &Context,
    named: &[String],
    output: &Output,
) -> Result<BTreeMap<String, Shown>, Problem> {
    let progress = output.progress("listing");
    let inventory = take_inventory(context, named).await?;
    let realm = context.realm.as_deref();
    let mut all: BTreeMap<String, Shown> = BTreeMap::new();
    for (name, problem) in &inventory.unreadable {
        let gaps = vec![problem.detail.clone()];
        all.insert(name.clone(), Shown { gaps, ..Shown::default() });
    }
    for (name, observation) in &inventory.observations {
        progress.say(&format!("looking at {name}"));
        let shown = all.entry(name.clone()).or_default();
        shown.gaps.extend(observation.gaps.iter().map(in_words));
        for one in &observation.integrations {
            let id = IntegrationId::new(name.clone(), one.kind.clone(), one.key.clone());
            let seen = judge_listed(context, &id, &observation.tenant, one).await;
            let ourselves = inventory.ourselves_as(name, one).is_some();
            shown.gaps.extend(one.gaps.iter().map(|gap| format!("{id}: {}", in_words(gap))));
            match seen {
                Ok(seen) => shown.found.push(judged(context, realm, id, seen, ourselves).await),
                Err(problem) => shown.gaps.push(format!("{id}: {}", problem.detail)),
            }
        }
        shown.found.sort_by_key(|one| one.id.to_string());
    }
    Ok(all)
}

/// Only what was named, whether or not it can be listed.
async fn named(context: &Context, ids: &[String]) -> Result<BTreeMap<String, Shown>, Problem> {
    let realm = context.realm.as_deref();
    let mut all: BTreeMap<String, Shown> = BTreeMap::new();
    for text in ids {
        let id: IntegrationId = text.parse().map_err(|error| {
            Problem::new("E-ID", "This is no integration's id")
                .detail(format!("{text:?}: {error}."))
                .next("nhi scan shows the ids of what can be listed")
        })?;
        context.connections.platform(&id.connection)?;
        let seen = observe_integration(context, &id, None, None).await?.ok_or_else(|| {
            Problem::new("E-NOT-THERE", "There is no such integration")
                .detail(format!("{id}: its platform has none of that key."))
                .next("nhi scan shows the ids of what can be listed")
        })?;
        let own = ourselves(context, &id.connection).await.ok().flatten();
        let ourselves = own.is_some_and(|own| own.is(&id.kind, &id.key));
        let found = judged(context, realm, id.clone(), seen, ourselves).await;
        let shown = all.entry(id.connection.clone()).or_default();
        if shown.found.iter().all(|one| one.id != found.id) {
            let gaps = found.seen.observed.gaps.iter();
            shown.gaps.extend(gaps.map(|gap| format!("{id}: {}", in_words(gap))));
            shown.found.push(found);
        }
    }
    for shown in all.values_mut() {
        shown.found.sort_by_key(|one| one.id.to_string());
    }
    Ok(all)
}

fn in_words(gap: &Gap) -> String {
    format!("{}: {}", gap.extent, gap.cause)
}

/// What speaks against taking one over.
async fn judged(
    context: &Context,
    realm: Option<&Realm>,
    id: IntegrationId,
    seen: SeenIntegration,
    ourselves: bool,
) -> Found {
    let one = &seen.observed;
    let not = |why: &str| Some(Against::Not(why.to_owned()));
    let mut against = if one.builtin {
        not("its platform comes with it, and nobody made it")
    } else if ourselves {
        not("nhi itself signs in as this integration")
    } else if let Some(of) = governed_elsewhere(realm, one.record.as_ref()) {
        not(&format!("installation {of:?} governs it"))
    } else if is_managed(realm, one) {
        Some(Against::Governed)
    } else if let [gap, ..] = &one.gaps[..] {
        Some(Against::NotYet(in_words(gap)))
    } else {
        refused(one).map(Against::NotYet)
    };
    if let (None, Some((_, kind))) = (&against, wiring::kind(&one.kind)) {
        let unfit = unfit_setting(context, &id.connection, kind, &one.settings).await;
        against = unfit.map(|problem| Against::NotYet(problem.detail));
    }
    Found { id, seen, against }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_steward_is_an_owner_and_a_day_is_a_day() {
        assert_eq!(owner_id("owner/payments-platform").as_deref(), Ok("owner/payments-platform"));
        for slip in ["payments", "owner/", "owner/-a", "owner/A", "owner/a\"b", "owner/a"] {
            assert!(owner_id(slip).is_err(), "{slip}");
        }
        assert!(day("2026-12-15").is_ok());
        for slip in ["2026-12", "15.12.2026", "2026-12-15T00:00:00"] {
            assert!(day(slip).is_err(), "{slip}");
        }
        assert_eq!(stem("bao"), "adopted_bao");
        assert_eq!(stem("../x"), "adopted____x");
    }
}
