//! What stands in the way between applies, beside what is declared: connections that do not let us in, and
//! what fails again and again.

use std::collections::BTreeSet;

use jiff::Timestamp;
use policy::findings::{Failing, Finding, keeps_failing, unauthorized};

use crate::{
    Context, Problem,
    duty::is_duty,
    tries::{ABSENT, LOOK},
    whoami::{UNAUTHORIZED, whoami},
};

/// Of connections of which something could not be read, those that do not let us in.
pub async fn shut_out(context: &Context, gaps: &[(String, Problem)]) -> Vec<([u8; 16], Finding)> {
    let names: BTreeSet<String> = context.connections.names().into_iter().collect();
    let of = |(subject, _): &(String, Problem)| {
        let connection = subject.split('/').next().unwrap_or_default().to_owned();
        names.contains(&connection).then_some(connection)
    };
    let mut found = Vec::new();
    for connection in gaps.iter().filter_map(of).collect::<BTreeSet<String>>() {
        let has_some =
            context.connections.platform(&connection).is_ok_and(|one| !one.kinds().is_empty());
        if !has_some {
            continue;
        }
        if let Err(problem) = whoami(context, &connection).await
            && problem.code == UNAUTHORIZED
        {
            let one = unauthorized(&connection, &problem.detail);
            let one = context.rules.findings.weighed(one);
            found.push((one.fingerprint("", &connection), one));
        }
    }
    found
}

/// What fails again and again, by the ledger's rows.
///
/// # Errors
///
/// It cannot be read.
pub async fn failing(context: &Context) -> Result<Vec<([u8; 16], Finding)>, Problem> {
    if !context.ledger.keeps() {
        return Ok(Vec::new());
    }
    let now = context.now();
    let open = context.ledger.open_obligations().await?;
    let found = open.iter().filter_map(|row| {
        let is_try = row.deed == LOOK || row.attempts > 0;
        if !is_try || row.deed == ABSENT {
            return None;
        }
        // A duty is known by its key too: of one thing several may be owed.
        let since = Timestamp::from_millisecond(row.not_before).ok().filter(|at| *at <= now)?;
        let one = Failing { subject: &row.subject, deed: &row.deed, times: row.attempts, since };
        let one = keeps_failing(&one, now)?;
        let stable = if is_duty(row) { &row.id } else { &row.subject };
        let one = context.rules.findings.weighed(one);
        Some((one.fingerprint("", stable), one))
    });
    Ok(found.collect())
}
