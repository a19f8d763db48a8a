//! For programs: one object, whose schema is docs/schemas/review.json. It is also what policies of others
//! (Open Policy Agent) may take as their input.

use approval::record;
use policy::change::Difference;
use serde_json::{Value, json};

use super::{
    blast::Side,
    card::{Card, Reading},
    words,
};
use crate::exit::Exit;

/// Its format.
pub(crate) const FORMAT: &str = "nhi-review/1";

/// Its text. A plan may have many changes: they are written one by one.
pub(crate) fn render(reading: &Reading, exit: Exit) -> String {
    let head = json!({
        "format": FORMAT,
        "at": reading.at.strftime("%Y-%m-%dT%H:%M:%SZ").to_string(),
        "plan": reading.from,
        "core": reading.core,
        "policy": reading.policy.as_ref().map(|(version, digest)| json!({
            "version": version, "digest": digest,
        })),
        "approved": reading.may(),
        "shown": reading.shown(),
        "open": reading.open.iter().map(|one| json!({
            "address": one.address, "code": one.code, "why": one.why, "next": one.next,
            "counts": one.counts,
        })).collect::<Vec<_>>(),
        "others": reading.others,
        "unchanged": reading.unchanged,
        "outcome": exit.sole_outcome(),
    });
    let mut out = head.to_string();
    out.pop();
    out.push_str(",\"changes\":[");
    for (at, one) in reading.cards.iter().enumerate() {
        if at > 0 {
            out.push(',');
        }
        out.push_str(&card(one).to_string());
    }
    out.push_str("]}");
    out
}

fn card(card: &Card) -> Value {
    let asked = &card.asked;
    let differences = asked.change.differences();
    json!({
        "address": card.address,
        "previous_address": card.previous_address,
        "type": asked.change.kind,
        "object": asked.object,
        "tenant": asked.change.tenant,
        "action": asked.change.action.as_str(),
        "imports": card.imports,
        "reason": card.reason,
        "digest": card.digest.to_string(),
        "shown": card.shown,
        "record": record::to_json(&asked.change.to_value()),
        "differences": differences.iter().map(|one| difference(card, one)).collect::<Vec<_>>(),
        "direction": asked.facts.direction.as_str(),
        "why": asked.why,
        "highest_action": {
            "before": asked.facts.action_before.map(domain::Action::as_str),
            "after": asked.facts.action_after.map(domain::Action::as_str),
        },
        "environment": asked.facts.environment,
        "execution_mode": asked.facts.execution_mode,
        "takes_last_credential": asked.facts.takes_last_credential,
        "removes_owner": asked.facts.removes_owner,
        "level": card.judged.as_ref().map(|one| one.impact.level.as_str()),
        "reasons": card.reasons(),
        "approved": card.may(),
        "code": card.code(),
        "needs": card.needs,
        "next": card.next,
        "approvals": card.judged.as_ref().map(approvals),
        "unread": card.unseen.as_ref().map(|problem| json!({
            "code": problem.code, "why": problem.summary,
        })),
        "held": card.held.as_ref().map(|problem| json!({
            "code": problem.code,
            "why": problem.detail.split_whitespace().collect::<Vec<_>>().join(" "),
        })),
        "reach": card.blast.as_ref().map(|blast| json!({
            "before": side(&blast.before), "after": side(&blast.after),
        })),
    })
}

fn difference(card: &Card, one: &Difference) -> Value {
    json!({
        "path": one.path,
        "what": words::label(&one.path),
        "before": one.before.as_ref().map(record::to_json),
        "after": one.after.as_ref().map(record::to_json),
        "action": card.action_of(one).map(domain::Action::as_str),
    })
}

fn approvals(judged: &operations::review::Judged) -> Value {
    let tally = &judged.tally;
    let moment = |at: jiff::Timestamp| at.strftime("%Y-%m-%dT%H:%M:%SZ").to_string();
    json!({
        "needed": tally.needed,
        "have": tally.have.iter().map(|(who, role)| json!({
            "principal": who, "role": role,
            "signed_at": judged.signed.get(who).map(|(at, _)| moment(*at)),
            "key": judged.signed.get(who).map(|(_, presence)| presence.as_str()),
        })).collect::<Vec<_>>(),
        "roles_missing": tally.roles_missing,
        "rejected_by": tally.rejected_by,
        "alone": tally.broken_by.as_ref().filter(|_| tally.may_break()),
        "until": tally.until.map(moment),
        "used_at": judged.used_at.map(moment),
        "discounted": tally.discounted.iter().map(|one| json!({
            "principal": one.principal, "code": one.code, "why": one.why,
        })).collect::<Vec<_>>(),
        "unread": judged.unread.iter().map(|one| json!({
            "place": one.place, "code": one.code, "why": one.why,
        })).collect::<Vec<_>>(),
    })
}

fn side(side: &Side) -> Value {
    json!({
        "there": side.there,
        "highest_action": side.highest.map(domain::Action::as_str),
        "data": side.data(),
        "environments": side.environments(),
        "stop_within": side.stop_within,
        "reached": side.reached.iter().map(|one| json!({
            "kind": one.kind, "name": one.name,
            "action": one.action.map(domain::Action::as_str),
            "sources": one.sources, "through": one.through,
            "data": one.data, "environment": one.environment, "uses": one.uses,
        })).collect::<Vec<_>>(),
        "unknown": side.unknown.iter().map(|(of, why)| json!({ "name": of, "why": why }))
            .collect::<Vec<_>>(),
    })
}
