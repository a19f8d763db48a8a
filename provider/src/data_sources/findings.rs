//! `data "nhi_findings"`: what `nhi drift` tells, for checks.

use std::collections::{BTreeMap, BTreeSet};

use operations::{AllJudged, Problem, declared_in_ledger, judge_all};
use policy::findings::{Finding, RULES, Severity};
use tfplugin::{
    Attr, Diagnostic, Diagnostics, Model, Set,
    data_source::{DataSource, Found},
    erased::{Call, Deferred},
};

use super::{waits, within};
use crate::{diagnostics::errors, rules, shared::Shared, values::optional};

/// What is wrong by now, as `nhi drift` tells it: everything that the ledger says is declared, against
/// what is there.
///
/// For checks: they are evaluated in every plan, and warn without stopping it. What cannot be read is an
/// error unless `allow_incomplete` is set: a check over half of it would be a lie. What this very apply
/// changes was declared before it, so a plan may tell what it is about to put right.
#[derive(Debug, Clone, PartialEq, Default, Model)]
pub(crate) struct FindingsModel {
    /// Only of these rules, by the words that `nhi explain` lists.
    #[tf(optional, validate = known_rules)]
    pub rules: Attr<Set<String>>,
    /// Only those that matter at least so much: `info`, `low`, `medium`, `high` or `critical`. Default:
    /// all but those that are only noted.
    #[tf(optional, validate = severity)]
    pub severity_at_least: Attr<String>,
    /// Only of what this id is or stands above: an integration has its scopes and credentials with it.
    #[tf(optional, validate = rules::said)]
    pub of: Attr<String>,
    /// At most so many; more is an error, since all of it goes into state.
    #[tf(default = 1000_i64)]
    pub limit: Attr<i64>,
    /// What could not be read is listed in `gaps`, and is no error.
    #[tf(default = false)]
    pub allow_incomplete: Attr<bool>,
    /// What is wrong, in order of what it is about.
    #[tf(computed)]
    pub findings: Attr<Vec<Entry>>,
    /// How many there are, by rule; 0 for each rule that was asked for and finds nothing.
    #[tf(computed)]
    pub counts: Attr<BTreeMap<String, i64>>,
    /// Whether everything could be read.
    #[tf(computed)]
    pub complete: Attr<bool>,
    /// What could not.
    #[tf(computed)]
    pub gaps: Attr<Vec<Unread>>,
}

/// One finding.
#[derive(Debug, Clone, PartialEq, Default, Model)]
pub(crate) struct Entry {
    /// What stays the same while the same thing is wrong with the same object.
    #[tf(computed)]
    pub fingerprint: Attr<String>,
    /// The rule's word; `nhi explain` says what it means and what helps.
    #[tf(computed)]
    pub rule: Attr<String>,
    /// How much it matters: `info`, `low`, `medium`, `high` or `critical`.
    #[tf(computed)]
    pub severity: Attr<String>,
    /// What a pipeline concludes: `note`, `drift`, `unfinished` or `policy`.
    #[tf(computed)]
    pub condition: Attr<String>,
    /// What it is about.
    #[tf(computed)]
    pub subject: Attr<String>,
    /// Which part of that.
    #[tf(computed)]
    pub facet: Attr<String>,
    /// What should be there; null where nothing should.
    #[tf(computed)]
    pub expected: Attr<String>,
    /// What is there; null where nothing is.
    #[tf(computed)]
    pub actual: Attr<String>,
    /// What it means here, or what to do.
    #[tf(computed)]
    pub why: Attr<String>,
}

/// Something that could not be read.
#[derive(Debug, Clone, PartialEq, Default, Model)]
pub(crate) struct Unread {
    /// What.
    #[tf(computed)]
    pub subject: Attr<String>,
    /// The code of the error.
    #[tf(computed)]
    pub code: Attr<String>,
    /// Why.
    #[tf(computed)]
    pub why: Attr<String>,
}

fn known_rules(words: &Set<String>) -> Result<(), String> {
    let unknown = words.iter().find(|word| RULES.iter().all(|rule| rule.alias != **word));
    match unknown {
        None => Ok(()),
        Some(word) => Err(format!("{word:?} is no rule; nhi explain lists them")),
    }
}

fn severity(text: &str) -> Result<(), String> {
    match weight(text) {
        Some(_) => Ok(()),
        None => Err(format!("{text:?} is none of info, low, medium, high, critical")),
    }
}

fn weight(text: &str) -> Option<Severity> {
    Severity::ALL.into_iter().find(|severity| severity.as_str() == text)
}

/// `data "nhi_findings"`.
#[derive(Debug)]
pub(crate) struct Findings {
    shared: Shared,
}

impl Findings {
    pub(crate) fn new(shared: Shared) -> Findings {
        Findings { shared }
    }
}

impl DataSource for Findings {
    type Model = FindingsModel;
    const TYPE_NAME: &'static str = "nhi_findings";

    async fn read(
        &self,
        config: FindingsModel,
        call: &Call,
    ) -> Result<Found<FindingsModel>, Diagnostics> {
        let mut model = config;
        let context = match self.shared.context() {
            Ok(context) => context,
            Err(problem) => {
                waits(Some(&problem), call)?;
                return Ok(Found::from(model).defer(Deferred::ProviderConfigUnknown));
            }
        };
        if !context.ledger.keeps() {
            return Err(errors(
                Problem::new("E-DRIFT-NOTHING", "Nothing says what is declared")
                    .detail(
                        "nhi.hcl says ledger = { none = true }, and only a ledger knows it here.",
                    )
                    .next("give nhi.hcl a ledger; or, after the apply: nhi drift --state"),
            ));
        }
        let wishes = declared_in_ledger(&*context.ledger).await.map_err(errors)?;
        let AllJudged { findings, gaps } = judge_all(&context, wishes).await;
        let unknown = gaps.iter().map(|(_, one)| one).find(|one| one.code == "E-NOT-YET-KNOWN");
        if waits(unknown, call)? {
            return Ok(Found::from(model).defer(Deferred::ProviderConfigUnknown));
        }
        if !gaps.is_empty() && model.allow_incomplete != true {
            return Err(unread(&gaps).into());
        }
        let all: Vec<Entry> = findings
            .iter()
            .filter(|(_, one)| wanted(one, &model))
            .map(|(print, one)| entry(print, one))
            .collect();
        within(&model.limit, "findings", all.len())?;
        let asked: BTreeSet<&String> = model.rules.value().into_iter().flatten().collect();
        let mut counts: BTreeMap<String, i64> =
            asked.into_iter().map(|rule| (rule.clone(), 0)).collect();
        for one in &all {
            *counts.entry(one.rule.text().to_owned()).or_default() += 1;
        }
        let told = gaps.iter().map(|(subject, problem)| Unread {
            subject: Attr::Value(subject.clone()),
            code: problem.code.into(),
            why: Attr::Value(problem.detail.clone()),
        });
        model.complete = Attr::Value(gaps.is_empty());
        model.gaps = Attr::Value(told.collect());
        model.counts = Attr::Value(counts);
        model.findings = Attr::Value(all);
        Ok(model.into())
    }
}

fn unread(gaps: &[(String, Problem)]) -> Diagnostic {
    let listed: Vec<String> =
        gaps.iter().map(|(subject, problem)| format!("{subject}: {}", problem.detail)).collect();
    Diagnostic::error(
        "Not everything could be read",
        format!(
            "{}\nA check over half of it would be a lie.\nNext: nhi doctor, or set allow_incomplete = true and look at gaps.\n(E-INCOMPLETE)",
            listed.join("\n")
        ),
    )
}

fn wanted(one: &Finding, model: &FindingsModel) -> bool {
    let rule = model.rules.value().is_none_or(|rules| rules.contains(one.rule));
    let least = model.severity_at_least.as_deref().and_then(weight);
    let heavy = match least {
        Some(least) => one.severity >= least,
        // Who names a rule wants all that it tells.
        None => model.rules.value().is_some() || one.severity > Severity::Info,
    };
    let of = model.of.as_deref().is_none_or(|id| {
        one.subject.strip_prefix(id).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    });
    rule && heavy && of
}

fn entry(print: &[u8; 16], one: &Finding) -> Entry {
    let text = |text: &str| optional(Some(text.to_owned()).filter(|text| !text.is_empty()));
    let hex: String = print.iter().map(|byte| format!("{byte:02x}")).collect();
    Entry {
        fingerprint: Attr::Value(hex),
        rule: one.rule.into(),
        severity: one.severity.as_str().into(),
        condition: one.condition.as_str().into(),
        subject: Attr::Value(one.subject.clone()),
        facet: Attr::Value(one.facet.clone()),
        expected: text(&one.expected),
        actual: text(&one.actual),
        why: text(&one.why),
    }
}
