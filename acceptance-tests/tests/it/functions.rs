//! Functions, asked by the real core.

use crate::{BASE, holds, in_world};

#[test]
fn functions_answer_in_outputs_and_checks() {
    let asks = r#"
output "rotates_at" {
  value = provider::nhi::next_rotation(nhi_credential.it)
}

output "never" {
  value = provider::nhi::next_rotation({
    id = nhi_credential.it.id, schedule = null, issued_at = null, expires_at = null
  })
}

output "wider" {
  value = provider::nhi::scope_diff("openbao_approle", [], nhi_scope.it.scopes)
}

check "narrow" {
  assert {
    condition     = provider::nhi::scope_diff("openbao_approle", ["secret/data/invoices/*:read"], nhi_scope.it.scopes).direction == "none"
    error_message = "It may do more than was agreed."
  }
}
"#;
    in_world(&format!("{BASE}{asks}"), |world| {
        let said = world.apply()?;
        holds(!said.contains("Check block assertion failed"), "the check holds", &said)?;
        world.plan_is_empty()?;
        let told = world.terraform(&["output", "-json"])?.expect(0)?;
        let told: serde_json::Value =
            serde_json::from_str(&told).map_err(|error| format!("{error}: {told}"))?;
        let state = world.state("nhi_credential.it")?;
        let issued = state["issued_at"].as_str().unwrap_or_default();
        let at = told["rotates_at"]["value"].as_str().unwrap_or_default();
        holds(at > issued && at.len() == 20, "a time after it was issued", at)?;
        holds(told["never"]["value"].is_null(), "none without a schedule", &told.to_string())?;
        let wider = &told["wider"]["value"];
        holds(wider["direction"] == "widens", "which way", &wider.to_string())?;
        holds(wider["added"][0] == "secret/data/invoices/*:read", "what", &wider.to_string())
    });
}
