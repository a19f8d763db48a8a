//! What is wrong with an integration, in words that a person can act on.

use std::collections::BTreeMap;

use domain::{IntegrationId, Now, Settings};
use operations::WishedThirdParty;
use policy::{
    Rules,
    rules::Verdict,
    standing::{ThirdParty, third_party},
};
use tfplugin::Diagnostics;

use super::{IntegrationModel, third_party_name, ties::ties_of};
use crate::resources::platform_objects::settings_of;

pub(super) fn in_words(standing: &BTreeMap<&'static str, Verdict>) -> BTreeMap<String, String> {
    let words =
        standing.iter().map(|(name, verdict)| ((*name).to_owned(), verdict.as_str().to_owned()));
    words.collect()
}

/// Problems that only people can answer: without a word from us the plan would look clean until the
/// day on which something follows.
pub(super) fn tell_standing(
    id: &IntegrationId,
    standing: &BTreeMap<&'static str, Verdict>,
    told: &mut Diagnostics,
) {
    for (name, verdict) in standing {
        let (attribute, summary, next) = match *name {
            "expired" => (
                "expires_on",
                "This integration has outlived its day",
                "destroy it, or set a later expires_on",
            ),
            "contract_ended" => (
                "expires_on",
                "The contract of this integration has ended",
                "destroy it, or write the new contract's end",
            ),
            "drill_overdue" => (
                third_party_name(),
                "Stopping this integration was not tried for too long",
                "try its disable_path, and write the day into disable_tested_on",
            ),
            "review_overdue" => (
                "review_every",
                "A review is overdue",
                "review whether it is still needed, and as what",
            ),
            "adoption_overdue" => (
                "adoption",
                "What was adopted is not complete, and its day is over",
                "say what is missing and remove adoption, or agree on a later complete_by",
            ),
            "workflow_retired" => (
                "workflows",
                "A workflow of this integration is gone",
                "remove the integration, or declare the workflow that uses it now",
            ),
            "condition_met" => (
                "expires_when",
                "A condition that ends this integration is met",
                "remove it, or declare what has changed",
            ),
            "predecessor_alive" => (
                "replaces",
                "The one that this integration took the place of lives",
                "find out who still uses it, end it, and remove replaces",
            ),
            // The others have words of their own.
            _ => continue,
        };
        let follows = match verdict {
            Verdict::Warn => "Nothing follows yet",
            Verdict::Disable => "The policy has it switched off",
            Verdict::Revoke => "The policy has everything that it holds revoked",
        };
        told.warning_at(attribute, summary, format!("{id}: {follows}.\nNext: {next}."));
    }
}

/// An owner who is away and has not left yet: nothing is planned for that, so it is said.
pub(super) fn tell_absent_owners(
    planned: &IntegrationModel,
    rules: &Rules,
    told: &mut Diagnostics,
) {
    let owners = [
        ("business_owner", &planned.business_owner),
        ("technical_owner", &planned.technical_owner),
    ];
    for (name, owner) in owners {
        let Some(owner) = owner.value().filter(|owner| owner.status == "inactive") else {
            continue;
        };
        let follows = if rules.owner_left > Verdict::Warn {
            format!(
                "The directory says since when (see {0}); {1} after that day this plan switches it off",
                owner.id.text(),
                rules.owner_grace
            )
        } else {
            "The policy has nothing follow".to_owned()
        };
        told.warning_at(
            name,
            "An owner of this integration is not there",
            format!(
                "{} of {}: {} is inactive. {follows}.\nNext: name another {name}.",
                name.replace('_', " "),
                planned.id.text(),
                owner.id.text()
            ),
        );
    }
}

/// What is declared of an integration that its vendor runs.
pub(super) fn run_elsewhere(model: &IntegrationModel) -> WishedThirdParty {
    let day = |text: Option<&str>| text.and_then(|day| day.parse().ok());
    let settings = match model.platform.chosen() {
        Some((kind, value)) => settings_of(kind.fields, value),
        None => Settings::default(),
    };
    let owners = [&model.business_owner, &model.technical_owner].into_iter();
    WishedThirdParty {
        id: model.id.text().to_owned(),
        owners: owners.filter_map(|owner| Some(owner.value()?.id.text().to_owned())).collect(),
        dates: ThirdParty {
            expires_on: day(model.expires_on.as_deref()),
            contract_ends_on: day(settings.text("contract_ends_on")),
            tested_on: day(settings.text("disable_tested_on")),
            test_every: settings.text("admin_review_every").and_then(|every| every.parse().ok()),
        },
        ties: ties_of(model),
    }
}

/// What is wrong with an integration that its vendor runs. We hold none of its switches, so nothing
/// follows by itself but a warning.
pub(super) fn third_party_standing(
    model: &IntegrationModel,
    rules: &Rules,
    now: Now,
) -> BTreeMap<&'static str, Verdict> {
    third_party(&run_elsewhere(model).dates, rules, now)
}
