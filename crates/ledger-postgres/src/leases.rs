//! Leases in a database: measured by its clock, since those who share it have none in common.

use std::time::Duration;

use ledger::{Drawn, Fence, Leased, lease::Bucket};
use tokio_postgres::types::Type;

use crate::{entries::unsigned, session::Session};

/// Takes one, or has it for so long again; no row where somebody else has it.
const TAKE: &str = "
    INSERT INTO nhi.lease AS l (subject, holder, fence, until)
    VALUES ($1, $2, nextval('nhi.fence'), clock_timestamp() + $3 * interval '1 millisecond')
    ON CONFLICT (subject) DO UPDATE
    SET holder = $2, until = clock_timestamp() + $3 * interval '1 millisecond',
        fence = CASE WHEN l.holder = $2 AND l.until > clock_timestamp() THEN l.fence
                     ELSE nextval('nhi.fence') END
    WHERE l.holder = $2 OR l.until <= clock_timestamp()
    RETURNING fence";

const THEIRS: &str = "
    SELECT holder,
           (greatest(extract(epoch FROM until - clock_timestamp()), 0) * 1000)::bigint
    FROM nhi.lease WHERE subject = $1";

/// Those of these that are still what they were. They stay so until the transaction ends.
pub(crate) const HELD: &str = "
    SELECT l.subject, l.fence
    FROM unnest($1::text[], $2::bigint[]) AS asked (subject, fence)
    JOIN nhi.lease AS l ON l.subject = asked.subject AND l.fence = asked.fence
    WHERE l.until > clock_timestamp()
    FOR SHARE OF l";

/// Takes one in a transaction of its own.
pub(crate) async fn take(
    session: &Session,
    subject: &str,
    holder: &str,
    time: Duration,
) -> Result<Leased, tokio_postgres::Error> {
    session.begin(true).await?;
    let time = time.as_millis() as f64;
    let taken = session
        .rows(TAKE, &[(&subject, Type::TEXT), (&holder, Type::TEXT), (&time, Type::FLOAT8)])
        .await?;
    let leased = match taken.first() {
        Some(row) => {
            let number = unsigned(row.try_get(0)?);
            Leased::Ours(Fence { subject: subject.to_owned(), number })
        }
        None => {
            let theirs = session.rows(THEIRS, &[(&subject, Type::TEXT)]).await?;
            let (holder, left) = match theirs.first() {
                Some(row) => (row.try_get(0)?, unsigned(row.try_get(1)?)),
                // It was given back meanwhile: whoever asks again has it.
                None => (String::new(), 0),
            };
            Leased::Theirs { holder, left: Duration::from_millis(left) }
        }
    };
    session.commit().await?;
    Ok(leased)
}

/// What is left of a tenant's budget, how long ago that was so, and how much longer it is left alone, in
/// milliseconds. The row is locked until the transaction ends.
const BUDGET: &str = "
    INSERT INTO nhi.budget AS b (tenant, tokens, at, frozen_until)
    VALUES ($1, $2, clock_timestamp(), '-infinity')
    ON CONFLICT (tenant) DO UPDATE SET tokens = b.tokens
    RETURNING tokens, least(extract(epoch FROM clock_timestamp() - at) * 1000, 1000)::bigint,
              CASE WHEN frozen_until > clock_timestamp()
                   THEN ceil(extract(epoch FROM frozen_until - clock_timestamp()) * 1000)::bigint
                   ELSE 0 END";

/// Draws of a tenant's budget, in a transaction of its own.
pub(crate) async fn draw(
    session: &Session,
    tenant: &str,
    (most, per_second): (u32, u32),
) -> Result<Drawn, tokio_postgres::Error> {
    let full = Bucket::full(per_second).tokens;
    session.begin(false).await?;
    let rows = session.rows(BUDGET, &[(&tenant, Type::TEXT), (&full, Type::INT8)]).await?;
    let (tokens, passed, frozen): (i64, i64, i64) = match rows.first() {
        Some(row) => (row.try_get(0)?, row.try_get(1)?, row.try_get(2)?),
        None => (full, 0, 0),
    };
    if let Ok(left @ 1..) = u64::try_from(frozen) {
        session.commit().await?;
        return Ok(Drawn::Wait(Duration::from_millis(left)));
    }
    let (drawn, left) = Bucket { tokens }.after(passed, per_second).draw(most, per_second);
    session
        .execute(
            "UPDATE nhi.budget SET tokens = $2, at = clock_timestamp() WHERE tenant = $1",
            &[(&tenant, Type::TEXT), (&left.tokens, Type::INT8)],
        )
        .await?;
    session.commit().await?;
    Ok(drawn)
}
