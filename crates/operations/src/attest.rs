//! Access reviews: what somebody signed after they had looked at an integration.

use approval::{Review, review};
use domain::IntegrationId;
use jiff::{civil::Date, tz::TimeZone};

use crate::{Context, Problem, review::ReviewBoard};

/// Who may review here, and where it is kept.
///
/// # Errors
///
/// `E-ATTEST-POLICY`: the policy does not say who reviews.
pub fn reviewing_board(context: &Context) -> Result<&std::sync::Arc<ReviewBoard>, Problem> {
    context.gate.board().ok_or_else(|| {
        Problem::new("E-ATTEST-POLICY", "Nobody is known who may review")
            .detail("policy.hcl has no member review, which names the file of those who may sign.")
            .next("add it, as the guide on policy has it")
    })
}

/// Keeps a signed review beside what else was signed, and writes it down. It must be of somebody who may
/// sign here, now.
///
/// # Errors
///
/// It does not count, or cannot be kept.
pub async fn conclude_review(
    context: &Context,
    envelope: &[u8],
) -> Result<(Review, String), Problem> {
    let board = reviewing_board(context)?;
    let (trust, now) = (board.trust(), context.time());
    let (review, by) = review::verify(envelope, trust, &[now.lo, now.hi]).map_err(|why| {
        Problem::new(why.code, "This review does not count")
            .detail(format!("{}.", why.why))
            .next("sign it with a key of the file of signers that policy.hcl names")
    })?;
    context.may_change()?;
    let said = &review.said;
    let mut entry = context
        .entry("review.concluded", &review.integration)
        .detail("decision", said.decision.as_str())
        .detail("reason", said.reason.clone())
        .detail("reviewed_at", said.reviewed_at.to_string())
        .detail("ticket", said.ticket.clone())
        .keep("review", envelope);
    // By their key: an entry has neither names nor addresses.
    entry.actor.principal = Some(by.key.clone());
    let day = said.reviewed_at.strftime("%Y%m%dT%H%M%SZ");
    let name = format!("{}-{day}-{}", by.principal, said.nonce);
    let kept = board.store.add(review.key(), &name, envelope).map_err(|error| {
        Problem::new("E-APPROVAL-STORE", "The review could not be kept")
            .detail(format!("{error}."))
            .next("make the folder of approvals, as policy.hcl names it, and sign again")
    })?;
    context.journal(entry).await?;
    Ok((review, kept))
}

/// The day of the newest review of an integration by somebody who may, where there is one. Who reviews
/// nothing here has none; what cannot be read is an error and never that nobody looked.
///
/// # Errors
///
/// `E-APPROVAL-STORE`.
pub(crate) fn reviewed_on(
    context: &Context,
    tenant: &str,
    id: &IntegrationId,
) -> Result<Option<Date>, Problem> {
    let Some(board) = context.gate.board() else { return Ok(None) };
    let trust = board.trust();
    let id = id.to_string();
    let kept = board.store.of(review::key(tenant, &id)).map_err(|error| {
        Problem::new("E-APPROVAL-STORE", "What was signed cannot be read")
            .detail(format!("{error}. Whether {id} was reviewed is not known."))
            .next(
                "bring the folder of approvals back, as policy.hcl names it (an empty one is fine)",
            )
    })?;
    let now = context.time().hi;
    let days = kept.into_iter().filter_map(|one| {
        let (review, _) = review::verify_kept(&one.bytes.ok()?, trust, now).ok()?;
        let is = review.integration == id && review.tenant == tenant;
        is.then(|| TimeZone::UTC.to_datetime(review.said.reviewed_at).date())
    });
    Ok(days.max())
}
