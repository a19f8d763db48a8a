//! When an apply may rotate.

use jiff::Timestamp;
use operations::SlotSpec;
use tfplugin::{Diagnostic, Diagnostics};

use super::model::CredentialModel;
use crate::values::{instant, moment};

/// A plan that was made inside a window does not act outside of it, unless a person decided so.
pub(super) fn window_is_open(
    prior: &CredentialModel,
    spec: &SlotSpec,
    reason: &str,
    at_once: bool,
    now: Timestamp,
) -> Result<(), Diagnostics> {
    let Some(schedule) = &spec.schedule else { return Ok(()) };
    // What works for nobody is not held back any longer.
    let broken = matches!(reason, "schedule" | "custody")
        && matches!(prior.status.text(), "missing" | "undelivered");
    if !at_once && !broken && schedule.in_blackout(now) {
        let held = schedule.blackout.iter().find(|one| one.from <= now && now < one.until);
        return Err(Diagnostic::error(
            "Nothing rotates during a blackout",
            format!(
                "{}: {}. Nothing was changed. Only what is exposed or has ended is not held back.\nNext: apply \
                 after it, or set incident if the credential is exposed.\n(E-BLACKOUT)",
                spec.id,
                held.map_or_else(String::new, |one| format!(
                    "{} until {}",
                    one.reason,
                    moment(one.until)
                ))
            ),
        )
        .at("schedule")
        .into());
    }
    let grace = policy::schedule::earlier(now, domain::Span::from_secs(900));
    let by_clock = reason == "schedule" && prior.status == "due";
    if !by_clock || schedule.may_rotate(now) || schedule.may_rotate(grace) {
        return Ok(());
    }
    let zone = schedule.timezone.iana_name().unwrap_or("UTC");
    let local = |at: Timestamp| {
        let there = at.to_zoned_datetime(schedule.timezone.clone());
        format!("{} {zone}", there.strftime("%a %Y-%m-%d %H:%M"))
    };
    let dates = instant(&prior.issued_at).map_or_else(String::new, |issued| {
        let due = schedule.first_due(&spec.id.to_string(), issued);
        let overdue = policy::schedule::later(due, schedule.overdue_after);
        format!(" It is due since {}, overdue on {}.", local(due), local(overdue))
    });
    let next = schedule
        .next_opening(now)
        .map_or_else(|| "unknown".to_owned(), |at| format!("{} ({})", local(at), moment(at)));
    Err(Diagnostic::error(
        "The rotation window has closed",
        format!(
            "{}: it was planned inside a window; it is now {}, outside of all of them.{dates} Nothing was changed. Next opening: {next}.\nNext: plan again then, or rotate now by changing triggers (a person's decision).\n(E-WINDOW-CLOSED)",
            spec.id,
            local(now),
        ),
    )
    .at("schedule")
    .into())
}
