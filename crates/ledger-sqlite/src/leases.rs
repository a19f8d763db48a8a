//! Leases in a file, which lies on one machine: measured by its clock since it was started, which nobody
//! sets; and whoever died has none, since whoever asks can see that.

use std::{fs, time::Duration};

use ledger::{Drawn, Fence, Leased, lease::Bucket};
use rusqlite::{Connection, OptionalExtension, params};

/// Which start of the machine this is, and which process of it this is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Here {
    boot: String,
    pidns: String,
    pid: u32,
    pid_start: i64,
}

/// Who a row says has it.
struct Row {
    holder: String,
    fence: u64,
    until: i64,
    by: Here,
}

impl Here {
    /// What can be told of this process; what the system does not tell is empty.
    pub(crate) fn look() -> Here {
        let pid = std::process::id();
        let boot = fs::read_to_string("/proc/sys/kernel/random/boot_id");
        let pidns = fs::read_link("/proc/self/ns/pid");
        Here {
            boot: boot.map_or_else(|_| String::new(), |boot| boot.trim().to_owned()),
            pidns: pidns.map_or_else(|_| String::new(), |link| link.display().to_string()),
            pid,
            pid_start: began(pid).unwrap_or(0),
        }
    }

    /// Whether who wrote this is known to be no more.
    fn is_dead(&self, other: &Here) -> bool {
        let known = |text: &str| !text.is_empty();
        if known(&self.boot) && known(&other.boot) && self.boot != other.boot {
            return true;
        }
        // Numbers of another space say nothing here, and where no number can be looked up, none does.
        let comparable = known(&self.pidns) && self.pidns == other.pidns && self.pid_start != 0;
        comparable && began(other.pid) != Some(other.pid_start)
    }
}

/// When a process began, in the system's own measure; `None` where there is none of that number.
fn began(pid: u32) -> Option<i64> {
    let about = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // Its name is in parentheses and may hold any.
    let (_, rest) = about.rsplit_once(')')?;
    rest.split_whitespace().nth(19)?.parse().ok()
}

/// Milliseconds since the machine was started, those in which it slept among them.
pub(crate) fn now() -> i64 {
    #[cfg(any(target_os = "linux", target_os = "android"))]
    let clock = rustix::time::ClockId::Boottime;
    #[cfg(not(any(target_os = "linux", target_os = "android")))]
    let clock = rustix::time::ClockId::Monotonic;
    let time = rustix::time::clock_gettime(clock);
    time.tv_sec * 1000 + time.tv_nsec / 1_000_000
}

/// Takes one or has it for so long again, inside the caller's transaction.
pub(crate) fn take(
    connection: &Connection,
    here: &Here,
    subject: &str,
    holder: &str,
    time: Duration,
) -> rusqlite::Result<Leased> {
    let now = now();
    let row = connection
        .prepare_cached(
            "SELECT holder, fence, until_boot_ms, boot, pidns, pid, pid_start FROM lease
             WHERE subject = ?1",
        )?
        .query_row([subject], |row| {
            let by = Here {
                boot: row.get(3)?,
                pidns: row.get(4)?,
                pid: row.get(5)?,
                pid_start: row.get(6)?,
            };
            Ok(Row { holder: row.get(0)?, fence: row.get(1)?, until: row.get(2)?, by })
        })
        .optional()?;
    let held = row.filter(|row| row.until > now && !here.is_dead(&row.by));
    let number = match held {
        Some(held) if held.holder != holder => {
            let left = u64::try_from(held.until - now).unwrap_or(0);
            let left = Duration::from_millis(left);
            return Ok(Leased::Theirs { holder: held.holder, left });
        }
        Some(held) => held.fence,
        None => connection
            .prepare_cached("UPDATE fence SET next = next + 1 RETURNING next - 1")?
            .query_row([], |row| row.get(0))?,
    };
    let until = now.saturating_add(i64::try_from(time.as_millis()).unwrap_or(i64::MAX));
    connection
        .prepare_cached(
            "INSERT INTO lease (subject, holder, fence, until_boot_ms, boot, pidns, pid, pid_start)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)
             ON CONFLICT (subject) DO UPDATE
             SET holder = ?2, fence = ?3, until_boot_ms = ?4, boot = ?5, pidns = ?6, pid = ?7,
                 pid_start = ?8",
        )?
        .execute(params![
            subject,
            holder,
            number,
            until,
            here.boot,
            here.pidns,
            here.pid,
            here.pid_start
        ])?;
    Ok(Leased::Ours(Fence { subject: subject.to_owned(), number }))
}

/// Whether a lease is still that one, inside the caller's transaction.
pub(crate) fn holds(connection: &Connection, fence: &Fence) -> rusqlite::Result<bool> {
    connection
        .prepare_cached(
            "SELECT EXISTS (SELECT 1 FROM lease
                            WHERE subject = ?1 AND fence = ?2 AND until_boot_ms > ?3)",
        )?
        .query_row(params![fence.subject, fence.number, now()], |row| row.get(0))
}

/// Gives one back.
pub(crate) fn release(connection: &Connection, fence: &Fence) -> rusqlite::Result<()> {
    connection
        .prepare_cached("DELETE FROM lease WHERE subject = ?1 AND fence = ?2")?
        .execute(params![fence.subject, fence.number])?;
    Ok(())
}

/// What is left of a tenant's budget now, and how much longer it is left alone, in milliseconds. Measured
/// since another start of the machine it says nothing.
fn budget(
    connection: &Connection,
    here: &Here,
    tenant: &str,
    per_second: u32,
) -> rusqlite::Result<(Bucket, i64)> {
    let now = now();
    let found: Option<(i64, i64, i64)> = connection
        .prepare_cached(
            "SELECT tokens, at_boot_ms, frozen_until_ms FROM budget WHERE tenant = ?1 AND boot = ?2",
        )?
        .query_row([tenant, &here.boot], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))
        .optional()?;
    Ok(match found {
        Some((tokens, at, frozen)) => {
            (Bucket { tokens }.after(now - at, per_second), (frozen - now).max(0))
        }
        None => (Bucket::full(per_second), 0),
    })
}

fn keep_budget(
    connection: &Connection,
    here: &Here,
    tenant: &str,
    (bucket, frozen): (Bucket, i64),
) -> rusqlite::Result<()> {
    let now = now();
    connection
        .prepare_cached(
            "INSERT INTO budget (tenant, tokens, at_boot_ms, frozen_until_ms, boot)
             VALUES (?1, ?2, ?3, ?4, ?5)
             ON CONFLICT (tenant) DO UPDATE
             SET tokens = ?2, at_boot_ms = ?3, frozen_until_ms = ?4, boot = ?5",
        )?
        .execute(params![tenant, bucket.tokens, now, now.saturating_add(frozen), here.boot])?;
    Ok(())
}

/// Draws of a tenant's budget, inside the caller's transaction.
pub(crate) fn draw(
    connection: &Connection,
    here: &Here,
    (tenant, most, per_second): (&str, u32, u32),
) -> rusqlite::Result<Drawn> {
    let (bucket, frozen) = budget(connection, here, tenant, per_second)?;
    if let Ok(left @ 1..) = u64::try_from(frozen) {
        return Ok(Drawn::Wait(Duration::from_millis(left)));
    }
    let (drawn, left) = bucket.draw(most, per_second);
    keep_budget(connection, here, tenant, (left, 0))?;
    Ok(drawn)
}

/// Leaves a tenant alone for so long, or for longer where somebody said so before.
pub(crate) fn freeze(
    connection: &Connection,
    here: &Here,
    tenant: &str,
    time: Duration,
) -> rusqlite::Result<()> {
    let (bucket, frozen) = budget(connection, here, tenant, 1)?;
    let time = i64::try_from(time.as_millis()).unwrap_or(i64::MAX);
    keep_budget(connection, here, tenant, (bucket, frozen.max(time)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::schema;

    const MINUTE: Duration = Duration::from_secs(60);

    fn ours(leased: Leased) -> u64 {
        leased.ours().expect("it is ours").number
    }

    #[test]
    fn whoever_died_has_no_lease_and_whose_number_another_process_has_now_neither() {
        let connection = schema::fresh().unwrap();
        let here = Here::look();
        assert!(!here.boot.is_empty() && here.pid_start > 0, "{here:?}");
        let take =
            |by: &Here, holder: &str| take(&connection, by, "a/b/c", holder, MINUTE).unwrap();
        // The init process lives as long as the machine, and began at another time than this one.
        let mut number = 0;
        for (other, dies) in [
            (Here { pid: u32::MAX - 1, ..here.clone() }, true),
            (Here { pid_start: here.pid_start - 1, ..here.clone() }, true),
            (Here { boot: "an earlier one".to_owned(), ..here.clone() }, true),
            (Here { pidns: "a container's".to_owned(), pid: u32::MAX - 1, ..here.clone() }, false),
            (here.clone(), false),
        ] {
            release(&connection, &Fence { subject: "a/b/c".into(), number }).unwrap();
            let theirs = ours(take(&other, "theirs"));
            assert!(theirs > number, "numbers grow");
            number = match take(&here, "ours") {
                Leased::Ours(fence) => {
                    assert!(dies, "{other:?} may be alive");
                    assert!(fence.number > theirs);
                    fence.number
                }
                Leased::Theirs { holder, left } => {
                    assert!(!dies, "{other:?} is dead");
                    assert_eq!(holder, "theirs");
                    assert!(left <= MINUTE && left > MINUTE / 2, "{left:?}");
                    theirs
                }
            };
        }
    }

    #[test]
    fn the_clock_since_the_start_goes_on_and_is_no_wall_clock() {
        let before = now();
        std::thread::sleep(Duration::from_millis(20));
        let passed = now() - before;
        assert!((20..2000).contains(&passed), "{passed}");
        let uptime = fs::read_to_string("/proc/uptime").unwrap();
        let uptime: f64 = uptime.split(' ').next().unwrap().parse().unwrap();
        assert!((now() as f64 / 1000.0 - uptime).abs() < 5.0);
    }
}
