//! What was taken over as it was found: for a while not everything need be said of it.

use operations::Context;
use policy::standing::end_of;
use tfplugin::Diagnostics;

use super::IntegrationModel;
use crate::resources::references::Adoption;

/// What somebody must say of an integration, and that is not said.
fn absent(model: &IntegrationModel) -> Vec<&'static str> {
    [
        ("purpose", model.purpose.is_null()),
        ("environment", model.environment.is_null()),
        ("business_owner", model.business_owner.is_null()),
        ("technical_owner", model.technical_owner.is_null()),
    ]
    .into_iter()
    .filter_map(|(name, absent)| absent.then_some(name))
    .collect()
}

/// Without an adoption everything must be said.
pub(super) fn require_all(config: &IntegrationModel, found: &mut Diagnostics) {
    if !Adoption::is_over(Some(&config.adoption)) {
        return;
    }
    for name in absent(config) {
        found.error_at(
            name,
            "This must be said of an integration",
            format!(
                "{name} is not set.\nNext: set it. Of one that exists and was made by hand it may be missing \
                 for a while, with adoption = {{ complete_by = \"YYYY-MM-DD\", steward = \"owner/NAME\" }}.\n\
                 (E-REQUIRED)"
            ),
        );
    }
}

/// Says at each plan what nobody has said yet: without a word the plan would look clean.
pub(super) fn tell_absent(planned: &IntegrationModel, told: &mut Diagnostics) {
    let Some(adoption) = planned.adoption.value() else { return };
    let mut absent = absent(planned);
    if planned.expires_on.is_null() {
        absent.push("expires_on");
    }
    let (day, steward) = (adoption.complete_by.text(), adoption.steward.text());
    let id = planned.id.text();
    if absent.is_empty() {
        told.warning_at(
            "adoption",
            "Nothing is missing of this integration any more",
            format!(
                "{id}: it is as complete as one that was made here.\nNext: see that its nhi_scope has a \
                 justification and its nhi_credential a deliver_to or a secret_source, and remove adoption."
            ),
        );
        return;
    }
    told.warning_at(
        "adoption",
        "Not everything is said of what was adopted",
        format!(
            "{id} has no {}. {steward} sees to it until {day}; after that day a plan is refused.\nNext: find out, \
             write it down, and remove adoption when nothing is missing.",
            absent.join(", ")
        ),
    );
}

/// An adoption is for what exists, and ends. What is switched off is left alone: it is how power is
/// taken away.
pub(super) fn judge_adoption(
    prior: Option<&IntegrationModel>,
    planned: &IntegrationModel,
    context: Option<&Context>,
    told: &mut Diagnostics,
) {
    let Some(adoption) = planned.adoption.value() else { return };
    if prior.is_none() {
        told.error_at(
            "adoption",
            "Nothing is made with an adoption",
            "It is for what exists, and this would be made: its owners and its purpose are known before \
             that.\nNext: import it where it exists; else say everything of it and remove adoption.\n\
             (E-ADOPTION)",
        );
        return;
    }
    let Some(day) = adoption.complete_by.as_deref() else { return };
    let is_over =
        |context: &Context| day.parse().is_ok_and(|last| context.time().is_past(end_of(last)));
    if planned.state == "active" && context.is_some_and(is_over) {
        let missing = match &absent(planned)[..] {
            [] => "adoption is still set".to_owned(),
            absent => format!("it has no {}", absent.join(", ")),
        };
        told.error_at(
            "adoption",
            "The time to complete an adoption is over",
            format!(
                "{}: {missing}, and {day} was the last day for that.\nNext: ask {}, write down what is missing \
                 and remove adoption; or agree on a later complete_by. What nobody wants is switched off by \
                 enabled = false, or ended by removing its resources.\n(E-ADOPTION)",
                planned.id.text(),
                adoption.steward.text()
            ),
        );
    }
}
