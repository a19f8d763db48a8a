//! What can happen to the file: each a clear error with a way out, or nothing at all.

use std::{
    fs,
    io::{BufRead, BufReader, Read, Seek, SeekFrom, Write},
    os::unix::{
        fs::{MetadataExt, PermissionsExt},
        process::CommandExt,
    },
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::Arc,
};

use ledger::{
    Change, Durability, Error, Filter, Ledger, NewEntry, Person, Range, Result, Selection, Slot,
    Verification, Work, all_entries,
};
use ledger_sqlite::SqliteLedger;
use rusqlite::Connection;
use tempfile::TempDir;

const T: i64 = 1_764_000_000_000;

struct Place {
    folder: TempDir,
}

impl Place {
    fn new() -> Self {
        Place { folder: tempfile::tempdir().expect("a folder") }
    }

    fn path(&self) -> PathBuf {
        self.folder.path().join("nhi.db")
    }

    fn open(&self) -> SqliteLedger {
        SqliteLedger::open(self.path(), Some("k3x9q2"))
    }

    async fn filled(&self, entries: u64) -> SqliteLedger {
        let ledger = self.open();
        append(&ledger, entries).await.expect("it is kept");
        ledger
    }

    /// A ledger of the first landed version, which noted its tables' version in a table of their own.
    fn landed() -> Self {
        let place = Place::new();
        let golden = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/0.1.db");
        fs::copy(golden, place.path()).expect("copied");
        place
    }

    /// The number that the file bears, and whether it has the table of the first landed version.
    fn version(&self) -> (u32, bool) {
        let connection = Connection::open(self.path()).expect("it opens");
        let version = connection.query_row("PRAGMA user_version", [], |row| row.get(0));
        let history = "SELECT count(*) FROM sqlite_schema WHERE name = 'refinery_schema_history'";
        let history = connection.query_row(history, [], |row| row.get(0));
        (version.expect("a number"), history.expect("a count"))
    }

    /// Changes the file as whoever may write it can.
    fn edit(&self, statements: &str) {
        let connection = Connection::open(self.path()).expect("it opens");
        connection.execute_batch(statements).expect("it is done");
    }
}

async fn append(ledger: &SqliteLedger, entries: u64) -> Result<Vec<u64>> {
    let mut seqs = Vec::new();
    for n in 0..entries {
        let entry = NewEntry::new(T + n as i64, "declared", format!("bao/openbao_approle/a{n}"));
        let receipts = ledger.append(vec![entry], Durability::Durable).await?;
        seqs.extend(receipts.iter().map(|receipt| receipt.seq));
    }
    Ok(seqs)
}

async fn verify(ledger: &SqliteLedger) -> Verification {
    ledger.verify(Range::ALL).await.expect("damage is a finding, not an error")
}

fn refused<T: std::fmt::Debug>(result: Result<T>, code: &str) -> Error {
    let error = result.expect_err("it is refused");
    assert_eq!(error.code(), code, "{error}");
    assert!(!error.remedy().is_empty());
    error
}

#[tokio::test]
async fn looking_makes_no_file() {
    let place = Place::new();
    let ledger = place.open();
    assert_eq!(ledger.head().await.expect("it is empty").seq, 0);
    assert!(verify(&ledger).await.is_sound());
    assert_eq!(ledger.checkpoint(T).await.expect("nothing to state"), None);
    assert_eq!(fs::read_dir(place.folder.path()).expect("the folder").count(), 0);
}

#[tokio::test]
async fn the_first_entry_says_that_the_ledger_was_created() {
    let place = Place::new();
    let ledger = place.filled(1).await;
    let entries = all_entries(&ledger, Filter::all()).await.expect("read");
    assert_eq!(entries[0].kind, "ledger.created");
    assert_eq!(entries[0].subject, format!("ledger/{}", ledger.head().await.expect("it").ledger));
    assert_eq!(entries[1].kind, "declared");
}

#[tokio::test]
async fn only_the_owner_may_read_the_file_and_its_log() {
    let place = Place::new();
    let _ledger = place.filled(1).await;
    let mut seen = 0;
    for file in fs::read_dir(place.folder.path()).expect("the folder") {
        let about = file.expect("a file").metadata().expect("about it");
        assert_eq!(about.permissions().mode() & 0o777, 0o600);
        seen += 1;
    }
    assert_eq!(seen, 4, "the file, its -wal and -shm, and the reserve");
}

#[tokio::test]
async fn deleting_the_file_loses_history_and_nothing_else() {
    let place = Place::new();
    let ledger = place.filled(5).await;
    let before = ledger.head().await.expect("a head");
    // While it is open, as somebody who cleans up would.
    for file in fs::read_dir(place.folder.path()).expect("the folder") {
        fs::remove_file(file.expect("a file").path()).expect("removed");
    }
    assert_eq!(ledger.head().await.expect("it reads as empty").seq, 0);
    assert!(ledger.integrations(&Selection::all()).await.expect("it reads as empty").is_empty());
    assert_eq!(append(&ledger, 1).await.expect("a new one begins"), [2]);
    let after = ledger.head().await.expect("a head");
    assert_ne!(before.ledger, after.ledger, "it is another ledger, and says so");
    let entries = all_entries(&ledger, Filter::all()).await.expect("read");
    assert_eq!(entries[0].kind, "ledger.created");
    assert!(verify(&ledger).await.is_sound());
}

#[tokio::test]
async fn a_ledger_opened_for_reading_reads_and_refuses_to_write() {
    let place = Place::new();
    let _ledger = place.filled(3).await;
    let reading = SqliteLedger::open_read_only(place.path(), Some("k3x9q2"));
    assert_eq!(reading.head().await.expect("it reads").seq, 4);
    refused(append(&reading, 1).await, "E-LEDGER-READ-ONLY");
    refused(reading.ready(Work::Begins).await, "E-LEDGER-READ-ONLY");
    assert_eq!(reading.head().await.expect("it reads").seq, 4);
}

#[tokio::test]
async fn another_realms_ledger_is_refused() {
    let place = Place::new();
    place.filled(1).await.close().await.expect("closed");
    let other = SqliteLedger::open(place.path(), Some("zzzzzz"));
    refused(append(&other, 1).await, "E-LEDGER-REALM");
    refused(other.head().await, "E-LEDGER-REALM");
    let unknown = SqliteLedger::open(place.path(), None);
    assert_eq!(unknown.head().await.expect("whoever has no realm may look").seq, 2);
}

#[tokio::test]
async fn a_ledger_that_began_without_a_realm_takes_the_first() {
    let place = Place::new();
    let ledger = SqliteLedger::open(place.path(), None);
    append(&ledger, 1).await.expect("kept");
    append(&place.open(), 1).await.expect("kept");
    let other = SqliteLedger::open(place.path(), Some("zzzzzz"));
    refused(append(&other, 1).await, "E-LEDGER-REALM");
}

#[tokio::test]
async fn what_is_no_ledger_is_refused_and_left_alone() {
    let place = Place::new();
    let text =
        "this is a text, and a rather long one, so that it has a header of its own. ".repeat(20);
    fs::write(place.path(), &text).expect("written");
    refused(append(&place.open(), 1).await, "E-LEDGER-NOT-ONE");
    refused(place.open().head().await, "E-LEDGER-NOT-ONE");
    assert_eq!(fs::read_to_string(place.path()).expect("read"), text);

    let place = Place::new();
    place.edit("CREATE TABLE customers (name TEXT); INSERT INTO customers VALUES ('Ada');");
    refused(append(&place.open(), 1).await, "E-LEDGER-NOT-ONE");
    refused(place.open().verify(Range::ALL).await, "E-LEDGER-NOT-ONE");

    let place = Place::new();
    fs::create_dir(place.path()).expect("made");
    let error = refused(append(&place.open(), 1).await, "E-LEDGER-NOT-ONE");
    assert!(error.to_string().contains("folder"), "{error}");
}

#[tokio::test]
async fn a_missing_folder_is_named() {
    let place = Place::new();
    let ledger = SqliteLedger::open(place.folder.path().join("none/nhi.db"), None);
    let error = refused(append(&ledger, 1).await, "E-LEDGER-UNREADABLE");
    assert!(error.to_string().contains("none does not exist"), "{error}");
    assert_eq!(ledger.head().await.expect("an absent ledger is empty").seq, 0);
}

#[tokio::test]
async fn newer_tables_are_read_and_not_written() {
    let place = Place::new();
    place.filled(2).await.close().await.expect("closed");
    let noted =
        "INSERT INTO refinery_schema_history VALUES (99, 'later', '2027-01-01T00:00:00Z', '0')";
    for (place, newer) in [(place, "PRAGMA user_version = 99"), (Place::landed(), noted)] {
        place.edit(&format!("{newer}; ALTER TABLE entry ADD COLUMN later TEXT;"));
        let ledger = place.open();
        let before = ledger.head().await.expect("it reads").seq;
        // What a later version has made has all that is known here.
        assert!(before > 2, "{newer}");
        assert!(newer == noted || verify(&ledger).await.is_sound(), "{newer}");
        let error = refused(append(&ledger, 1).await, "E-LEDGER-NEWER");
        assert!(error.to_string().contains("99") && error.remedy().contains("Upgrade"), "{error}");
        assert_eq!(ledger.head().await.expect("it reads").seq, before, "{newer}");
    }
}

#[tokio::test]
async fn a_ledger_of_an_earlier_build_is_read_as_it_is_and_brought_up_to_date_by_who_writes() {
    let place = Place::landed();
    let schema = || {
        let connection = Connection::open(place.path()).expect("it opens");
        let mut all = connection.prepare("SELECT sql FROM sqlite_schema").expect("there is one");
        let all = all.query_map([], |row| row.get(0)).expect("read");
        all.collect::<rusqlite::Result<Vec<Option<String>>>>().expect("read")
    };
    let before = schema();
    assert_eq!(place.version(), (0, true));
    // Whoever only looks changes nothing, and nothing of what was added since is there.
    let reading = SqliteLedger::open_read_only(place.path(), None);
    assert!(verify(&reading).await.is_sound());
    assert_eq!(reading.scans().await.expect("read"), []);
    assert_eq!((place.version(), schema()), ((0, true), before));
    drop(reading);
    append(&place.open(), 2).await.expect("kept");
    assert_eq!(place.version(), (2, false), "the number alone counts from then on");
    assert!(verify(&place.open()).await.is_sound());
}

#[tokio::test]
async fn a_file_whose_maker_was_killed_becomes_a_ledger() {
    let history = "CREATE TABLE refinery_schema_history (
        version int4 PRIMARY KEY, name VARCHAR(255), applied_on VARCHAR(255), checksum VARCHAR(255))";
    for left in ["", "PRAGMA journal_mode = wal", history] {
        let place = Place::new();
        place.edit(left);
        assert!(place.path().exists(), "{left}");
        assert_eq!(place.open().head().await.expect("nothing is in it").seq, 0, "{left}");
        append(&place.open(), 1).await.expect("kept");
        assert_eq!(place.version(), (2, false), "{left}");
        assert!(verify(&place.open()).await.is_sound(), "{left}");
    }
    // One table more, and it is somebody's.
    let place = Place::new();
    place.edit(&format!("{history}; CREATE TABLE customers (name TEXT)"));
    refused(append(&place.open(), 1).await, "E-LEDGER-NOT-ONE");
}

#[tokio::test]
async fn whoever_waited_to_make_the_tables_looks_again_first() {
    let tables = include_str!("../migrations/V1__tables.sql");
    for (made, code) in [
        (format!("{tables} PRAGMA user_version = 1;"), None),
        (format!("{tables} PRAGMA user_version = 99;"), Some("E-LEDGER-NEWER")),
        ("CREATE TABLE customers (name TEXT);".to_owned(), Some("E-LEDGER-NOT-ONE")),
    ] {
        let place = Place::new();
        let other = Connection::open(place.path()).expect("it opens");
        other.execute_batch("PRAGMA journal_mode = wal; BEGIN IMMEDIATE;").expect("it is locked");
        let held = std::thread::spawn(move || {
            std::thread::sleep(std::time::Duration::from_millis(300));
            other.execute_batch(&format!("{made} COMMIT;")).expect("it is made");
        });
        let ledger = place.open();
        let waited = append(&ledger, 1).await;
        held.join().expect("it ended");
        match code {
            None => assert_eq!(waited.expect("it waited"), [2]),
            Some(code) => drop(refused(waited, code)),
        }
    }
}

#[tokio::test]
async fn a_full_disk_keeps_what_was_acknowledged_and_refuses_the_rest() {
    let place = Place::new();
    let ledger = SqliteLedger::open_bounded(place.path(), Some("k3x9q2"), 60, 60);
    let reserve = place.path().with_extension("db-reserve");
    let kept_free = || fs::metadata(&reserve).expect("it is there").len();
    let mut acknowledged = Vec::new();
    let mut with_reserve = 0;
    let error = loop {
        match append(&ledger, 1).await {
            Ok(seqs) => acknowledged.extend(seqs),
            Err(error) => break error,
        }
        match (acknowledged.len(), kept_free()) {
            (1, size) => assert_eq!(size, 16 * 1024 * 1024),
            (_, 0) if with_reserve == 0 => with_reserve = acknowledged.len(),
            _ => (),
        }
        assert!(acknowledged.len() < 5000, "it never fills");
    };
    assert_eq!(error.code(), "E-LEDGER-FULL", "{error}");
    assert!(with_reserve > 10, "some fitted before the reserve was given up");
    assert!(acknowledged.len() > with_reserve + 10, "and some in its room");
    let last = acknowledged.last().copied();
    assert_eq!(Some(ledger.head().await.expect("it reads").seq), last);
    assert!(verify(&ledger).await.is_sound());
    ledger.close().await.expect("closed");
    let roomy = place.open();
    assert_eq!(
        append(&roomy, 1).await.expect("there is room again").first().copied(),
        last.map(|n| n + 1)
    );
    assert_eq!(kept_free(), 16 * 1024 * 1024, "and a reserve again");
    assert!(verify(&roomy).await.is_sound());
}

/// Overwrites pages of a ledger that nobody has open, counted from 0.
fn spoil(path: &Path, pages: std::ops::Range<u64>) {
    let mut file = fs::OpenOptions::new().write(true).open(path).expect("it opens");
    file.seek(SeekFrom::Start(pages.start * 4096)).expect("there");
    let size = (pages.end - pages.start) * 4096;
    file.write_all(&vec![0xA5; size as usize]).expect("written");
}

/// The page on which the table has this entry.
fn page_of_entry(path: &Path, seq: u64) -> u64 {
    let bytes = fs::read(path).expect("read");
    let needle = format!(r#""kind":"declared","realm":"k3x9q2","seq":{seq},"#);
    let at = bytes.windows(needle.len()).position(|window| window == needle.as_bytes());
    at.expect("it is there") as u64 / 4096
}

#[tokio::test]
async fn a_writer_that_finds_what_a_stopped_one_left_checks_the_file_first() {
    let place = Place::new();
    place.filled(200).await.close().await.expect("closed");
    // The table's page of the rows is none that an append touches.
    let page = page_of_entry(&place.path(), 90);
    spoil(&place.path(), page..page + 1);
    append(&place.open(), 1).await.expect("whoever stopped well left nothing to doubt");
    let stopped = Place::new();
    let left = place.open();
    append(&left, 1).await.expect("kept");
    for end in ["db", "db-wal"] {
        let (from, to) = (place.path().with_extension(end), stopped.path().with_extension(end));
        fs::copy(from, to).expect("copied");
    }
    // Somebody who only looks neither checks nor takes the traces away.
    assert!(stopped.open().head().await.is_ok());
    for _ in 0..2 {
        let error = refused(append(&stopped.open(), 1).await, "E-LEDGER-DAMAGED");
        assert!(error.remedy().contains("nhi ledger salvage"), "{}", error.remedy());
    }
    // While somebody else is at work the log is no trace of anything.
    append(&place.open(), 1).await.expect("it is checked once, not by everybody");
}

#[tokio::test]
async fn what_is_added_is_stated_in_time_while_the_run_goes_on() {
    let place = Place::new();
    let after = std::time::Duration::from_millis(200);
    let ledger = SqliteLedger::open_stating(place.path(), Some("k3x9q2"), after);
    append(&ledger, 1).await.expect("kept");
    assert!(ledger.checkpoints().await.expect("read").is_empty(), "not at once");
    let stated = async |at_least: u64| {
        for _ in 0..100 {
            let last = ledger.checkpoints().await.expect("read").pop();
            if last.as_ref().is_some_and(|last| last.size >= at_least) {
                return last;
            }
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        }
        None
    };
    assert!(stated(2).await.is_some(), "a run that waits states what it added");
    // And one that never rests does so too.
    let began = std::time::Instant::now();
    let mut added = 2;
    while began.elapsed() < after * 3 {
        added += append(&ledger, 1).await.expect("kept").len() as u64;
    }
    let last = ledger.checkpoints().await.expect("read").pop().expect("there is one");
    assert!(last.size > 2 && last.size <= added, "{last:?}");
}

#[tokio::test]
async fn a_page_of_rubbish_at_the_end_stops_what_begins_and_is_told_to_what_ends() {
    let place = Place::new();
    place.filled(100).await.close().await.expect("closed");
    let page = page_of_entry(&place.path(), 60);
    spoil(&place.path(), page..page + 1);
    let ledger = place.open();
    refused(ledger.ready(Work::Begins).await, "E-LEDGER-DAMAGED");
    let told = ledger.ready(Work::Ends).await.expect("nothing locks it out");
    assert_eq!(told.expect("it is told").code(), "E-LEDGER-DAMAGED");
}

#[tokio::test]
async fn an_ending_is_journalled_whatever_became_of_the_head() {
    for edit in [
        "DELETE FROM ledger",
        "UPDATE ledger SET head_seq = 4, head_hash = (SELECT hash FROM entry WHERE seq = 4)",
        "UPDATE ledger SET head_hash = zeroblob(32)",
        "UPDATE ledger SET head_seq = 9",
    ] {
        let place = Place::new();
        place.filled(5).await.close().await.expect("closed");
        place.edit(edit);
        let ledger = place.open();
        refused(append(&ledger, 1).await, "E-LEDGER-BROKEN");
        refused(ledger.ready(Work::Begins).await, "E-LEDGER-BROKEN");
        let wrong = ledger.ready(Work::Ends).await.expect("nothing locks it out");
        let broken = NewEntry::broken(T, "ledger", &wrong.expect("it is told"));
        let ended = NewEntry::new(T, "credential.revoked", "bao/openbao_approle/a1");
        ledger.append(vec![broken, ended], Durability::Durable).await.expect("kept");
        append(&ledger, 1).await.expect("and so is what follows");
        let kinds = all_entries(&ledger, Filter::all()).await.expect("read");
        assert_eq!(kinds[..6].iter().map(|entry| entry.seq).sum::<u64>(), 21, "{edit}");
        assert!(kinds.iter().any(|entry| entry.kind == "credential.revoked"), "{edit}");
        assert!(!verify(&ledger).await.is_sound(), "{edit}: it stays told");
        ledger.close().await.expect("closed");
        let by = NewEntry::new(T + 7, "", "");
        ledger_sqlite::salvage(&place.path(), None, &by).expect("and it can be mended");
        assert!(verify(&place.open()).await.is_sound(), "{edit}");
    }
}

#[tokio::test]
async fn a_forged_number_does_not_keep_anybody_busy() {
    let place = Place::new();
    place.filled(5).await.close().await.expect("closed");
    place.edit("UPDATE ledger SET head_seq = 9000000000000000;");
    let found = verify(&place.open()).await;
    assert_eq!(found.first_bad.map(|bad| bad.seq), Some(7));
    place.edit(
        "INSERT INTO entry (seq, at, kind, subject, body, hash)
         VALUES (9000000000000000, 1, 'x', 'y', x'7b7d', (SELECT head_hash FROM ledger));",
    );
    let ledger = place.open();
    assert_eq!(verify(&ledger).await.first_bad.map(|bad| bad.seq), Some(7));
    assert_eq!(ledger.checkpoint(T).await.expect("no statement over that"), None);
}

#[tokio::test]
async fn a_damaged_ledger_is_salvaged_and_goes_on() {
    let place = Place::new();
    let ledger = place.filled(300).await;
    let long: Vec<String> = (0..200).map(|n| format!("secret/data/app-{n}/*:read")).collect();
    let declared = Change::Declared {
        integration: "bao/x/one".to_owned(),
        facet: "scopes".to_owned(),
        document: Some(serde_json::json!(long)),
    };
    let entry = NewEntry::new(T, "declared", "bao/x/one").change(declared);
    ledger.append(vec![entry], Durability::Durable).await.expect("kept");
    let person =
        Person { id: "person:7".to_owned(), display: Some("Ada".to_owned()), ..Person::default() };
    ledger.put_person(person.clone()).await.expect("kept");
    ledger.close().await.expect("closed");
    let before = place.open().head().await.expect("a head");
    // A page of entries, one entry edited, the last one gone.
    let page = page_of_entry(&place.path(), 90);
    spoil(&place.path(), page..page + 1);
    place.edit(
        "DROP TRIGGER entry_fixed; UPDATE entry SET body = x'7b7d' WHERE seq = 200;
         DROP TRIGGER entry_kept; DELETE FROM entry WHERE seq = 302;",
    );
    let found = verify(&place.open()).await;
    assert!(!found.is_sound() && found.remedy.expect("a way out").contains("nhi ledger salvage"));

    let by = NewEntry::new(T + 7, "", "");
    let done = ledger_sqlite::salvage(&place.path(), Some("k3x9q2"), &by).expect("salvaged");
    assert_eq!(done.lost.len(), 3, "{done:?}");
    let (first, last) = done.lost[0];
    assert!((first..=last).contains(&90) && last - first < 20, "a page of them: {done:?}");
    assert_eq!(done.lost[1..], [(200, 200), (302, 302)]);
    assert_eq!(done.kept, 302 - (last - first + 1) - 2);

    let ledger = place.open();
    let found = verify(&ledger).await;
    assert!(found.is_sound(), "{found:?}");
    assert_eq!(found.lost, done.lost);
    assert_eq!(ledger.compare().await.expect("compared"), Vec::<String>::new());
    assert_eq!(ledger.person("person:7").await.expect("read"), Some(person));
    assert_eq!(ledger.head().await.expect("a head").ledger, before.ledger, "it is the same one");
    let told = all_entries(&ledger, Filter { after: 302, ..Filter::all() }).await.expect("read");
    assert_eq!((told[0].seq, &*told[0].kind), (303, "ledger.salvaged"));
    assert!(ledger.ready(Work::Begins).await.expect("it goes on").is_none());
    assert_eq!(append(&ledger, 2).await.expect("kept"), [304, 305]);
    ledger.checkpoint(T + 8).await.expect("made");
    let found = verify(&ledger).await;
    assert!(found.is_sound() && found.last_good_checkpoint.is_some(), "{found:?}");
    ledger.close().await.expect("closed");
    // The damaged one is where it says, and nothing else is left over.
    let aside = SqliteLedger::open_read_only(&done.aside, Some("k3x9q2"));
    assert!(!verify(&aside).await.is_sound());
    assert!(!place.path().with_extension("db-salvaged").exists());
    // What somebody takes away from it later is damage, whatever was lost before.
    place.edit("DROP TRIGGER entry_kept; DELETE FROM entry WHERE seq = 100;");
    assert_eq!(verify(&place.open()).await.first_bad.map(|bad| bad.seq), Some(100));
}

#[tokio::test]
async fn what_is_forged_is_left_behind_and_a_second_salvage_says_what_the_first_said() {
    let place = Place::new();
    let ledger = place.filled(20).await;
    ledger.checkpoint(T).await.expect("made");
    append(&ledger, 20).await.expect("kept");
    ledger.close().await.expect("closed");
    // A root that is not the tree's, a number far away, one entry gone.
    place.edit(
        r#"UPDATE checkpoint SET root = zeroblob(32) WHERE size = 41;
        INSERT INTO entry SELECT 9000000000000000, at, kind, subject, rotation,
            CAST(replace(CAST(body AS TEXT), '"seq":6,', '"seq":9000000000000000,') AS BLOB), hash
            FROM entry WHERE seq = 6;
        DROP TRIGGER entry_kept; DELETE FROM entry WHERE seq = 30;"#,
    );
    let by = NewEntry::new(T + 7, "", "");
    let done = ledger_sqlite::salvage(&place.path(), Some("k3x9q2"), &by).expect("salvaged");
    assert_eq!((done.kept, &*done.lost), (40, &[(30, 30)][..]));
    let points = place.open().checkpoints().await.expect("read");
    assert_eq!(points.iter().map(|one| one.size).collect::<Vec<_>>(), [21], "the one that agrees");
    let ledger = place.open();
    append(&ledger, 5).await.expect("kept");
    ledger.close().await.expect("closed");
    place.edit("DROP TRIGGER entry_kept; DELETE FROM entry WHERE seq IN (10, 31);");
    let by = NewEntry::new(T + 8, "", "");
    let done = ledger_sqlite::salvage(&place.path(), Some("k3x9q2"), &by).expect("salvaged");
    assert_eq!(done.lost, [(10, 10), (30, 31)]);
    let found = verify(&place.open()).await;
    assert!(found.is_sound(), "{found:?}");
    assert_eq!(found.lost, done.lost);
}

#[tokio::test]
async fn whichever_page_is_rubbish_it_is_found_and_salvaged_or_refused() {
    let place = Place::new();
    place.filled(120).await.close().await.expect("closed");
    let pages = fs::metadata(place.path()).expect("about it").len() / 4096;
    let by = NewEntry::new(T + 7, "", "");
    let (mut salvaged, mut sound) = (0, 0);
    for page in 0..pages {
        let copy = Place::new();
        fs::copy(place.path(), copy.path()).expect("copied");
        spoil(&copy.path(), page..page + 1);
        match copy.open().verify(Range::ALL).await {
            Ok(found) if found.is_sound() => sound += 1,
            _ => (),
        }
        match ledger_sqlite::salvage(&copy.path(), Some("k3x9q2"), &by) {
            Ok(done) => {
                salvaged += 1;
                assert!(verify(&copy.open()).await.is_sound(), "page {page}: {done:?}");
                append(&copy.open(), 1).await.expect("it goes on");
            }
            Err(error) => {
                assert!(copy.path().exists(), "page {page}: {error}");
                assert!(!error.remedy().is_empty());
            }
        }
    }
    assert_eq!(salvaged, pages, "whatever leads to them is gone, the entries are there");
    assert_eq!(sound, 0, "rubbish is never sound");
}

#[tokio::test]
async fn a_salvage_saves_every_entry_whose_page_is_whole_whichever_pages_lead_there() {
    let place = Place::new();
    place.filled(2000).await.close().await.expect("closed");
    let bytes = fs::read(place.path()).expect("read");
    let holds = |page: u64| {
        let page = &bytes[page as usize * 4096..][..4096];
        page.windows(7).any(|window| window == br#"{"actor"#)
    };
    let pages = bytes.len() as u64 / 4096;
    let leading: Vec<u64> = (0..pages).filter(|page| !holds(*page)).collect();
    let two =
        [0, leading[1], page_of_entry(&place.path(), 500), page_of_entry(&place.path(), 1000)];
    let by = NewEntry::new(T + 7, "", "");
    for (spoiled, runs) in [(&leading[..], 0), (&two, 2)] {
        let copy = Place::new();
        fs::copy(place.path(), copy.path()).expect("copied");
        spoiled.iter().for_each(|page| spoil(&copy.path(), *page..page + 1));
        let done = ledger_sqlite::salvage(&copy.path(), Some("k3x9q2"), &by).expect("salvaged");
        let lost: u64 = done.lost.iter().map(|(from, to)| to - from + 1).sum();
        assert_eq!((done.kept + lost, done.lost.len()), (2001, runs), "{:?}", done.lost);
        assert!(lost <= 2 * 4096 / 200, "no more than two pages hold: {:?}", done.lost);
        assert!(verify(&copy.open()).await.is_sound());
        append(&copy.open(), 1).await.expect("it goes on");
    }
}

#[tokio::test]
async fn a_salvage_saves_what_only_the_log_holds_though_nothing_leads_there() {
    let place = Place::new();
    let ledger = place.filled(40).await;
    let copy = Place::new();
    fs::copy(place.path(), copy.path()).expect("copied");
    for end in ["db-wal", "db-shm"] {
        fs::copy(place.path().with_extension(end), copy.path().with_extension(end))
            .expect("copied");
    }
    ledger.close().await.expect("closed");
    let size = fs::metadata(copy.path()).expect("about it").len();
    assert!(fs::metadata(copy.path().with_extension("db-wal")).expect("about it").len() > 0);
    spoil(&copy.path(), 0..size.div_ceil(4096));
    let by = NewEntry::new(T + 7, "", "");
    let done = ledger_sqlite::salvage(&copy.path(), Some("k3x9q2"), &by).expect("salvaged");
    assert_eq!((done.kept, done.lost), (41, Vec::new()));
    assert!(verify(&copy.open()).await.is_sound());
}

#[tokio::test]
async fn wherever_a_file_was_cut_off_what_is_left_is_salvaged_or_the_way_to_begin_anew_is_told() {
    let whole = Place::new();
    whole.filled(200).await.close().await.expect("closed");
    let bytes = fs::read(whole.path()).expect("read");
    let by = NewEntry::new(T + 7, "", "");
    let (mut most, mut lost) = (0, 0);
    // In the middle of a page and between two.
    for length in (2048..bytes.len()).step_by(9 * 2048) {
        let place = Place::new();
        fs::write(place.path(), &bytes[..length]).expect("written");
        let found = place.open().verify(Range::ALL).await;
        assert!(!found.is_ok_and(|found| found.is_sound()), "{length} of {} bytes", bytes.len());
        match ledger_sqlite::salvage(&place.path(), Some("k3x9q2"), &by) {
            Ok(done) => {
                assert!(verify(&place.open()).await.is_sound(), "{length}: {done:?}");
                append(&place.open(), 1).await.expect("it goes on");
                most = most.max(done.kept);
            }
            Err(error) => {
                lost += 1;
                assert_eq!(error.code(), "E-LEDGER-LOST", "{length}: {error}");
                let remedy = error.remedy();
                assert!(remedy.contains("begins a new ledger"), "{remedy}");
                assert!(!remedy.contains("nhi ledger"), "it leads out: {remedy}");
                assert_eq!(fs::metadata(place.path()).expect("it stays").len(), length as u64);
                // What it says works.
                fs::rename(place.path(), place.path().with_extension("away")).expect("moved");
                let _ = fs::remove_file(place.path().with_extension("db-wal"));
                append(&place.open(), 1).await.expect("a new one begins");
            }
        }
    }
    assert!(most > 100 && lost > 0, "{most} entries at the most, {lost} times nothing");
}

#[tokio::test]
async fn a_ledger_behind_a_link_is_salvaged_where_it_is() {
    let place = Place::new();
    place.filled(200).await.close().await.expect("closed");
    let real = place.folder.path().join("elsewhere");
    fs::create_dir(&real).expect("made");
    let real = real.join("real.db");
    fs::rename(place.path(), &real).expect("moved");
    std::os::unix::fs::symlink(&real, place.path()).expect("linked");
    let page = page_of_entry(&real, 90);
    spoil(&real, page..page + 1);
    let by = NewEntry::new(T + 7, "", "");
    let done = ledger_sqlite::salvage(&place.path(), Some("k3x9q2"), &by).expect("salvaged");
    assert!(done.aside.starts_with(real.parent().expect("a folder")), "{done:?}");
    assert!(fs::symlink_metadata(place.path()).expect("it is there").is_symlink());
    assert!(verify(&place.open()).await.is_sound());
}

#[tokio::test]
async fn a_ledger_that_somebody_has_open_or_that_is_not_there_is_not_salvaged() {
    let place = Place::new();
    let by = NewEntry::new(T + 7, "", "");
    let salvage = || ledger_sqlite::salvage(&place.path(), None, &by);
    refused(salvage(), "E-LEDGER-USAGE");
    let ledger = place.filled(3).await;
    let error = refused(salvage(), "E-LEDGER");
    assert!(error.to_string().contains("another process"), "{error}");
    ledger.close().await.expect("closed");
    let size = fs::metadata(place.path()).expect("about it").len();
    spoil(&place.path(), 1..size / 4096);
    refused(salvage(), "E-LEDGER-LOST");
    assert_eq!(fs::metadata(place.path()).expect("it stays").len(), size);
    assert!(!place.path().with_extension("db-salvaged").exists());
}

#[tokio::test]
async fn a_flipped_bit_in_a_body_is_found_and_named() {
    let place = Place::new();
    let ledger = place.filled(40).await;
    ledger.checkpoint(T).await.expect("made");
    append(&ledger, 40).await.expect("kept");
    ledger.close().await.expect("closed");
    let mut file =
        fs::OpenOptions::new().read(true).write(true).open(place.path()).expect("it opens");
    let mut bytes = Vec::new();
    file.read_to_end(&mut bytes).expect("read");
    let needle = br#""kind":"declared","realm":"k3x9q2","seq":60,"#;
    let at = bytes.windows(needle.len()).position(|window| window == needle).expect("it is there");
    file.seek(SeekFrom::Start(at as u64 + 9)).expect("there");
    file.write_all(b"D").expect("written");
    drop(file);
    let ledger = place.open();
    let found = verify(&ledger).await;
    assert_eq!(found.first_bad.as_ref().map(|bad| bad.seq), Some(60), "{found:?}");
    let good = found.last_good_checkpoint.clone().expect("there is one before");
    assert_eq!(good.size, 41);
    let remedy = found.remedy.expect("there is a way out");
    assert!(remedy.contains("before 60") && remedy.contains("nhi ledger salvage"), "{remedy}");
}

#[tokio::test]
async fn a_page_of_rubbish_is_damage_and_no_panic() {
    let place = Place::new();
    place.filled(200).await.close().await.expect("closed");
    let size = fs::metadata(place.path()).expect("about it").len();
    let mut file = fs::OpenOptions::new().write(true).open(place.path()).expect("it opens");
    // Every page behind the first: tables and all.
    file.seek(SeekFrom::Start(4096)).expect("there");
    file.write_all(&vec![0xA5; size as usize - 4096]).expect("written");
    drop(file);
    let ledger = place.open();
    let found = verify(&ledger).await;
    assert!(found.problems.iter().any(|what| what.contains("malformed")), "{found:?}");
    let remedy = found.remedy.expect("there is a way out");
    assert!(remedy.contains("salvage") && !remedy.contains("verify"), "it was run: {remedy}");
    refused(append(&ledger, 1).await, "E-LEDGER-DAMAGED");
}

#[tokio::test]
async fn a_damaged_end_of_the_chain_is_not_built_upon() {
    let place = Place::new();
    place.filled(5).await.close().await.expect("closed");
    place.edit("DROP TRIGGER entry_kept; DELETE FROM entry WHERE seq = 6;");
    let error = refused(append(&place.open(), 1).await, "E-LEDGER-BROKEN");
    assert!(error.to_string().contains("entry 6"), "{error}");

    let place = Place::new();
    let ledger = place.filled(5).await;
    ledger.ready(Work::Begins).await.expect("it is sound");
    place.edit("DROP TRIGGER entry_fixed; UPDATE entry SET body = x'7b7d' WHERE seq = 4;");
    let error = refused(ledger.ready(Work::Begins).await, "E-LEDGER-BROKEN");
    assert!(error.to_string().contains("entry 4"), "{error}");
    refused(all_entries(&ledger, Filter::all()).await, "E-LEDGER-BROKEN");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn verifying_while_somebody_appends_finds_nothing() {
    let place = Place::new();
    let writing = Arc::new(place.filled(1).await);
    let writer = Arc::clone(&writing);
    let task = tokio::spawn(async move { append(&writer, 300).await });
    let mut looks = 0;
    while !task.is_finished() {
        let found = verify(&place.open()).await;
        assert!(found.is_sound(), "{found:?}");
        looks += 1;
    }
    task.await.expect("it ends").expect("kept");
    assert!(looks > 0);
}

#[tokio::test]
async fn entries_can_be_neither_changed_nor_deleted() {
    let place = Place::new();
    let _ledger = place.filled(1).await;
    let connection = Connection::open(place.path()).expect("it opens");
    for statement in ["DELETE FROM entry", "UPDATE entry SET kind = 'x'"] {
        let error = connection.execute(statement, []).expect_err("it is refused");
        assert!(error.to_string().contains("entries are kept"), "{error}");
    }
}

#[tokio::test]
async fn a_file_whose_guards_were_taken_away_is_not_sound() {
    for (edit, why) in [
        ("DROP TRIGGER entry_fixed", "the trigger entry_fixed is gone"),
        ("DROP INDEX slot_due", "the index slot_due is gone"),
        ("DROP TABLE scan", "the table scan is gone"),
        (
            "DROP TRIGGER entry_kept;
             CREATE TRIGGER entry_kept BEFORE DELETE ON entry BEGIN SELECT 1; END",
            "the trigger entry_kept is not what it was",
        ),
        (
            "CREATE TRIGGER mine AFTER INSERT ON entry BEGIN DELETE FROM person; END",
            "the trigger mine was added",
        ),
        ("PRAGMA user_version = 0", "which version its tables have is gone"),
        ("PRAGMA user_version = -7", "-7 out of range"),
        ("DROP TABLE refinery_schema_history", "which version its tables have is gone"),
        ("DELETE FROM refinery_schema_history", "which version its tables have is gone"),
    ] {
        // What writes to one of the first version brings it up to date.
        let place = if edit.contains("history") { Place::landed() } else { Place::new() };
        if !edit.contains("history") {
            place.filled(3).await.close().await.expect("closed");
        }
        place.edit(edit);
        let ledger = place.open();
        let said = match ledger.verify(Range::ALL).await {
            Ok(found) => {
                assert!(!found.is_sound(), "{edit}");
                found.problems.join("; ")
            }
            Err(error) => error.to_string(),
        };
        assert!(said.contains(why), "{edit}: {said}");
        refused(ledger.ready(Work::Begins).await, "E-LEDGER-DAMAGED");
        ledger.close().await.expect("closed");
        // What is said to help does.
        let by = NewEntry::new(T + 7, "", "");
        ledger_sqlite::salvage(&place.path(), Some("k3x9q2"), &by).expect(edit);
        let ledger = place.open();
        assert!(verify(&ledger).await.is_sound(), "{edit}");
        assert!(ledger.ready(Work::Begins).await.expect(edit).is_none(), "{edit}");
    }
}

#[tokio::test]
async fn a_checkpoint_beyond_the_end_shows_that_entries_were_taken_away() {
    let place = Place::new();
    let ledger = place.filled(5).await;
    ledger.checkpoint(T).await.expect("made");
    ledger.close().await.expect("closed");
    // A careful forger moves the head as well.
    place.edit(
        "DROP TRIGGER entry_kept; DELETE FROM entry WHERE seq > 4;
         UPDATE ledger SET head_seq = 4, head_hash = (SELECT hash FROM entry WHERE seq = 4);",
    );
    let found = verify(&place.open()).await;
    assert_eq!(found.first_bad, None, "the chain itself is whole");
    assert!(found.problems.iter().any(|what| what.contains("taken away")), "{found:?}");
}

#[tokio::test]
async fn a_file_that_was_cut_rewritten_or_replaced_does_not_hold_against_a_checkpoint_that_was_kept()
 {
    use ledger::note::{Holds, Stated, held, origin, root_at};
    let place = Place::new();
    let ledger = place.filled(8).await;
    let head = ledger.head().await.expect("it has one");
    let old = place.folder.path().join("old.db");
    ledger.close().await.expect("closed");
    fs::copy(place.path(), &old).expect("copied");
    let ledger = place.open();
    append(&ledger, 3).await.expect("kept");
    let size = ledger.head().await.expect("it has one").seq;
    let root = root_at(&ledger, size).await.expect("it reads").expect("there are as many");
    let stated = Stated { origin: origin(&head.ledger), size, root };
    append(&ledger, 2).await.expect("kept");
    assert_eq!(held(&ledger, &stated).await.expect("it reads"), Holds::Yes);
    ledger.close().await.expect("closed");
    let whole = fs::read(place.path()).expect("it reads");

    // The end is cut off, and the head and the checkpoints say so too: the file is sound by itself.
    place.edit(&format!(
        "DROP TRIGGER entry_kept; DELETE FROM entry WHERE seq > {last};
         DELETE FROM checkpoint WHERE size > {last};
         UPDATE ledger SET head_seq = {last}, head_hash = (SELECT hash FROM entry WHERE seq = {last});
         CREATE TRIGGER entry_kept BEFORE DELETE ON entry
         BEGIN SELECT RAISE(ABORT, 'entries are kept'); END;",
        last = size - 1,
    ));
    let ledger = place.open();
    assert_eq!(held(&ledger, &stated).await.expect("it reads"), Holds::Shorter(size - 1));
    // Others are appended in their place: as long as before, and another.
    append(&ledger, 4).await.expect("kept");
    assert!(verify(&ledger).await.first_bad.is_none(), "its chain is whole");
    assert_eq!(held(&ledger, &stated).await.expect("it reads"), Holds::Other);
    ledger.close().await.expect("closed");

    // One entry is rewritten, with every hash behind it.
    fs::write(place.path(), &whole).expect("written");
    rewrite(&place, 4);
    let ledger = place.open();
    assert!(verify(&ledger).await.first_bad.is_none(), "its chain is whole");
    assert_eq!(held(&ledger, &stated).await.expect("it reads"), Holds::Other);
    ledger.close().await.expect("closed");

    // A copy of yesterday's is put in its place.
    fs::copy(&old, place.path()).expect("copied");
    let ledger = place.open();
    assert_eq!(held(&ledger, &stated).await.expect("it reads"), Holds::Shorter(head.seq));
}

/// Changes the body of one entry and forges every hash from there on, as whoever may write the file can.
fn rewrite(place: &Place, seq: u64) {
    place.edit("DROP TRIGGER entry_fixed");
    let connection = Connection::open(place.path()).expect("it opens");
    let mut select =
        connection.prepare("SELECT seq, body, hash FROM entry ORDER BY seq").expect("SQL");
    let rows = select.query_map([], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)));
    let rows: Vec<(u64, Vec<u8>, Vec<u8>)> =
        rows.expect("rows").collect::<rusqlite::Result<_>>().expect("rows");
    let mut last = ledger::Hash::ZERO;
    for (at, body, hash) in rows {
        let hash = ledger::Hash::from_slice(&hash).expect("a hash");
        let text = String::from_utf8(body).expect("JSON");
        let body = match at == seq {
            true => text.replace("\"kind\":\"declared\"", "\"kind\":\"slot.ended\""),
            false => text,
        };
        let forged = ledger::chain::link(&last, body.as_bytes());
        assert!(at >= seq || forged == hash, "what is before stays");
        let set = "UPDATE entry SET body = ?2, hash = ?3, kind = ?4 WHERE seq = ?1";
        let read = ledger::Entry::read(at, forged, body.clone().into_bytes()).expect("an entry");
        connection
            .execute(set, rusqlite::params![at, body.as_bytes(), forged.0, read.kind])
            .expect("it is done");
        last = forged;
    }
    connection.execute("UPDATE ledger SET head_hash = ?1", [last.0]).expect("it is done");
    connection.execute("DELETE FROM checkpoint", []).expect("it is done");
}

#[tokio::test]
async fn a_torn_log_loses_no_more_than_its_torn_end() {
    let place = Place::new();
    let ledger = place.filled(50).await;
    // A copy of file and log while both are in use, the log cut in the middle of a frame: what a
    // machine leaves that lost power before the last sync.
    let copy = Place::new();
    let log = place.path().with_extension("db-wal");
    fs::copy(place.path(), copy.path()).expect("copied");
    let mut bytes = fs::read(&log).expect("there is a log");
    bytes.truncate(bytes.len() - 6000);
    fs::write(copy.path().with_extension("db-wal"), &bytes).expect("written");
    let torn = copy.open();
    let head = torn.head().await.expect("it reads").seq;
    assert!((40..51).contains(&head), "only the end is gone: {head}");
    assert!(verify(&torn).await.is_sound());
    assert_eq!(append(&torn, 1).await.expect("it goes on"), [head + 1]);
    assert!(verify(&torn).await.is_sound());
    drop(ledger);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_checkpoint_is_made_every_thousand_entries_and_large_ledgers_verify_in_pieces() {
    let place = Place::new();
    let ledger = place.open();
    for batch in 0..20i64 {
        let entries = (0..1000)
            .map(|n| NewEntry::new(T + batch, "declared", format!("bao/openbao_approle/a{n}")))
            .collect();
        ledger.append(entries, Durability::RideAlong).await.expect("kept");
    }
    let checkpoints = ledger.checkpoints().await.expect("read");
    assert_eq!(checkpoints.len(), 20);
    let found = verify(&ledger).await;
    assert!(found.is_sound(), "{found:?}");
    assert_eq!(found.entries, 20_001);
    assert_eq!(found.last_good_checkpoint.as_ref(), checkpoints.last());
    ledger.close().await.expect("closed");
    // A root in the third piece that is not the tree's.
    place.edit("UPDATE checkpoint SET root = zeroblob(32) WHERE size = 18001;");
    let found = verify(&place.open()).await;
    assert!(found.problems.iter().any(|what| what.contains("18001")), "{found:?}");
    let range = Range { first: 9000, last: Some(9100) };
    let part = place.open().verify(range).await.expect("verified");
    assert_eq!((part.entries, part.first_bad), (101, None));
}

#[tokio::test]
async fn an_observation_alone_is_no_reason_to_lose_anything() {
    let place = Place::new();
    let ledger = Arc::new(place.open());
    let seen = ledger::Observed {
        integration: "bao/openbao_approle/x".to_owned(),
        at: T,
        document: Some(serde_json::json!({"rate": 0.5})),
        ..ledger::Observed::default()
    };
    let error = refused(ledger.observe(vec![seen]).await, "E-LEDGER-BODY");
    assert!(error.to_string().contains("rate"), "{error}");
    assert!(!place.path().exists(), "what is refused makes no file");
}

#[tokio::test]
async fn a_row_changed_by_hand_is_found_and_a_rebuild_puts_it_right() {
    let place = Place::new();
    let ledger = place.open();
    let declared = |id: &str| {
        let change = Change::Declared {
            integration: id.to_owned(),
            facet: "scopes".to_owned(),
            document: Some(serde_json::json!(["a:read"])),
        };
        NewEntry::new(T, "declared", id).change(change)
    };
    let entries = vec![declared("bao/x/one"), declared("bao/x/two")];
    ledger.append(entries, Durability::Durable).await.expect("kept");
    place.edit(
        "UPDATE integration SET declared = CAST('{\"scopes\":[\"a:write\"]}' AS BLOB) WHERE key = 'bao/x/one';
         DELETE FROM integration WHERE key = 'bao/x/two';
         INSERT INTO integration (key, connection, origin) VALUES ('bao/x/three', 'bao', 'declared');",
    );
    let found = ledger.compare().await.expect("compared");
    let expected = [
        "the row of integration bao/x/one is not what the entries say",
        "the row of integration bao/x/three comes from no entry",
        "the row of integration bao/x/two is missing",
    ];
    assert_eq!(found, expected);
    assert!(verify(&ledger).await.is_sound(), "the chain is not concerned");
    ledger.rebuild().await.expect("it can be rebuilt");
    assert_eq!(ledger.compare().await.expect("compared"), Vec::<String>::new());
}

#[tokio::test]
async fn an_erased_address_is_nowhere_in_the_files() {
    let place = Place::new();
    let ledger = place.filled(3).await;
    let person = Person {
        id: "person:7".to_owned(),
        display: Some("Ada Lovelace".to_owned()),
        email: Some("ada@acme.example".to_owned()),
        erased_at: None,
    };
    let holds = |needle: &str| {
        fs::read_dir(place.folder.path()).expect("the folder").any(|file| {
            let bytes = fs::read(file.expect("a file").path()).expect("read");
            bytes.windows(needle.len()).any(|window| window == needle.as_bytes())
        })
    };
    ledger.put_person(person).await.expect("kept");
    assert!(holds("ada@acme.example"));
    ledger.erase_person("person:7", T).await.expect("erased");
    assert!(!holds("ada@acme.example") && !holds("Ada Lovelace"));
    assert!(holds("person:7"), "the id stays");
}

#[tokio::test]
async fn an_append_waits_for_another_writer() {
    let place = Place::new();
    let ledger = place.filled(1).await;
    let other = Connection::open(place.path()).expect("it opens");
    other.execute_batch("BEGIN IMMEDIATE").expect("it is locked");
    let held = std::thread::spawn(move || {
        std::thread::sleep(std::time::Duration::from_millis(300));
        other.execute_batch("COMMIT").expect("it is free");
    });
    assert_eq!(append(&ledger, 1).await.expect("it waited"), [3]);
    held.join().expect("it ended");
}

/// Ledgers of every landed version lie in `tests/golden`, made by the part "make golden" below.
#[tokio::test]
async fn the_ledger_of_every_landed_version_is_read_verified_and_extended() {
    let golden = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden");
    let mut seen = 0;
    for file in fs::read_dir(golden).expect("the folder") {
        let place = Place::new();
        fs::copy(file.expect("a file").path(), place.path()).expect("copied");
        let ledger = place.open();
        let found = verify(&ledger).await;
        assert!(found.is_sound() && found.entries == 4, "{found:?}");
        assert_eq!(ledger.compare().await.expect("compared"), Vec::<String>::new());
        let rows = ledger.integrations(&Selection::declared()).await.expect("read");
        assert_eq!(rows[0].id, "bao/openbao_approle/invoice-sync");
        assert_eq!(ledger.slots(&Selection::all()).await.expect("read")[0].generation, 2);
        assert_eq!(append(&ledger, 1).await.expect("it goes on"), [5]);
        assert!(verify(&ledger).await.is_sound());
        seen += 1;
    }
    assert!(seen > 0, "there is at least one");
}

async fn make_golden(ledger: &SqliteLedger) {
    let id = "bao/openbao_approle/invoice-sync";
    let long: Vec<String> = (0..100).map(|n| format!("secret/data/app-{n}/*:read")).collect();
    let declared = Change::Declared {
        integration: id.to_owned(),
        facet: "scopes".to_owned(),
        document: Some(serde_json::json!(long)),
    };
    let slot = |generation| {
        Change::Slot(Slot {
            integration: id.to_owned(),
            name: "main".to_owned(),
            generation,
            epoch: generation,
            status: "scheduled".to_owned(),
            next_due_at: Some(T + 1000),
            ..Slot::default()
        })
    };
    let mut step = NewEntry::new(T + 2, "rotation.promoted", format!("{id}/credential/main"));
    step.rotation = Some("r1".to_owned());
    let entries = vec![
        NewEntry::new(T, "declared", id).change(declared),
        NewEntry::new(T + 1, "rotation.promoted", id).change(slot(1)),
        step.change(slot(2)).detail("note", "\"e\u{301}\""),
    ];
    ledger.append(entries, Durability::Durable).await.expect("kept");
    ledger.checkpoint(T + 3).await.expect("made");
    ledger.close().await.expect("closed");
}

// What follows needs another process: this test binary, run again with a part to play.

const PART: &str = "NHI_LEDGER_TEST_PART";
const PLACE: &str = "NHI_LEDGER_TEST_PLACE";

fn another(part: &str, path: &Path) -> Command {
    let program = std::env::current_exe().expect("this program");
    let mut command = Command::new(program);
    command
        .args(["--exact", "--nocapture", "plays_its_part_when_it_is_asked"])
        .env(PART, part)
        .env(PLACE, path)
        .stdin(Stdio::null())
        .stdout(Stdio::piped());
    command
}

/// In this process it does nothing; in another it is the other process.
#[tokio::test]
async fn plays_its_part_when_it_is_asked() {
    let (Ok(part), Some(path)) = (std::env::var(PART), std::env::var_os(PLACE)) else { return };
    let ledger = SqliteLedger::open(PathBuf::from(path), Some("k3x9q2"));
    match &*part {
        "append 100" => {
            append(&ledger, 100).await.expect("kept");
        }
        "make golden" => make_golden(&ledger).await,
        "append until killed" => loop {
            let seqs = append(&ledger, 1).await.expect("kept");
            println!("\nkept {}", seqs[0]);
        },
        "read, then write" => {
            let head = ledger.head().await.map(|head| head.seq);
            let sound = ledger.verify(Range::ALL).await.map(|found| found.is_sound());
            println!("\nread {head:?} {sound:?}");
            match append(&ledger, 1).await {
                Ok(_) => println!("\nwrote"),
                Err(error) => println!("\nrefused {} {error}", error.code()),
            }
        }
        other => panic!("{other} is no part"),
    }
}

/// The lines that the other process says, up to its end.
fn said(mut child: Child) -> Vec<String> {
    let out = child.stdout.take().expect("it is piped");
    let lines = BufReader::new(out).lines().map_while(std::io::Result::ok).collect();
    child.wait().expect("it ends");
    lines
}

#[tokio::test]
async fn three_processes_keep_one_chain() {
    let place = Place::new();
    // They also race to make the file and its tables.
    let children: Vec<Child> =
        (0..3).map(|_| another("append 100", &place.path()).spawn().expect("it runs")).collect();
    for mut child in children {
        assert!(child.wait().expect("it ends").success());
    }
    let ledger = place.open();
    let found = verify(&ledger).await;
    assert!(found.is_sound(), "{found:?}");
    assert_eq!(found.entries, 301, "one beginning and three hundred appends");
}

#[tokio::test]
async fn a_kill_loses_nothing_that_was_acknowledged() {
    let place = Place::new();
    for _ in 0..3 {
        let mut child = another("append until killed", &place.path()).spawn().expect("it runs");
        let mut lines = BufReader::new(child.stdout.take().expect("it is piped")).lines();
        let mut kept = 0;
        for _ in 0..60 {
            if let Some(Ok(line)) = lines.next()
                && let Some(seq) = line.strip_prefix("kept ")
            {
                kept = seq.parse().expect("a number");
            }
        }
        assert!(kept > 0);
        child.kill().expect("it is killed");
        for line in lines.map_while(std::io::Result::ok) {
            if let Some(seq) = line.strip_prefix("kept ") {
                kept = seq.parse().unwrap_or(kept);
            }
        }
        child.wait().expect("it ends");
        let ledger = place.open();
        let head = ledger.head().await.expect("it reads").seq;
        assert!(head >= kept, "{kept} was acknowledged, the head is {head}");
        let found = verify(&ledger).await;
        assert!(found.is_sound(), "{found:?}");
    }
}

/// The disk of the others is full; the reserve is ours.
#[test]
fn on_a_disk_that_others_filled_the_reserve_lets_an_ending_be_journalled() {
    // A disk of its own is a mount that only this test sees; not every machine lets it have one.
    let place = Place::new();
    let script = r#"
        mount -t tmpfs -o size=90m none "$1" && echo mounted || exit 0
        part() { NHI_LEDGER_TEST_PART=$1 NHI_LEDGER_TEST_PLACE=$2/nhi.db \
            "$3" --exact --nocapture plays_its_part_when_it_is_asked; }
        part "append 100" "$1" "$2" >/dev/null
        cat /dev/zero > "$1/others" 2>/dev/null
        part "read, then write" "$1" "$2"
        wc -c < "$1/nhi.db-reserve"
    "#;
    let done = Command::new("unshare")
        .args(["--user", "--map-root-user", "--mount", "sh", "-c", script, "sh"])
        .arg(place.folder.path())
        .arg(std::env::current_exe().expect("this program"))
        .output();
    let said = done.map(|done| String::from_utf8_lossy(&done.stdout).into_owned());
    let Some(said) = said.ok().filter(|said| said.contains("mounted")) else {
        eprintln!("not tried: this machine lets no test have a disk of its own");
        return;
    };
    assert!(said.contains("read Ok(101) Ok(true)") && said.contains("\nwrote"), "{said}");
    assert_eq!(said.lines().last(), Some("0"), "it was given up: {said}");
}

/// Runs the reading part as somebody who may not write; root may write everything, so the other
/// process is nobody.
fn as_nobody(place: &Place) -> Vec<String> {
    let mut command = another("read, then write", &place.path());
    if fs::metadata("/proc/self").expect("about us").uid() == 0 {
        let copy = tempfile::tempdir().expect("a folder");
        let program = copy.path().join("test");
        fs::copy(std::env::current_exe().expect("this program"), &program).expect("copied");
        fs::set_permissions(copy.path(), fs::Permissions::from_mode(0o755)).expect("set");
        fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).expect("set");
        let mut as_nobody = Command::new(program);
        as_nobody.args(command.get_args());
        for (name, value) in command.get_envs() {
            as_nobody.env(name, value.expect("it is set"));
        }
        as_nobody.uid(65534).gid(65534).current_dir("/").stdout(Stdio::piped());
        return said(as_nobody.spawn().expect("it runs"));
    }
    said(command.spawn().expect("it runs"))
}

fn modes(place: &Place, folder: u32, file: u32) {
    for entry in fs::read_dir(place.folder.path()).expect("the folder") {
        let path = entry.expect("a file").path();
        fs::set_permissions(path, fs::Permissions::from_mode(file)).expect("set");
    }
    fs::set_permissions(place.folder.path(), fs::Permissions::from_mode(folder)).expect("set");
}

#[tokio::test]
async fn a_file_that_may_only_be_read_is_read() {
    let place = Place::new();
    place.filled(3).await.close().await.expect("closed");
    modes(&place, 0o555, 0o444);
    let lines = as_nobody(&place);
    modes(&place, 0o755, 0o644);
    assert!(lines.iter().any(|line| line == "read Ok(4) Ok(true)"), "{lines:?}");
    assert!(lines.iter().any(|line| line.starts_with("refused E-LEDGER-READ-ONLY")), "{lines:?}");
}

#[tokio::test]
async fn a_file_in_a_folder_that_may_only_be_read_is_read() {
    let place = Place::new();
    place.filled(3).await.close().await.expect("closed");
    modes(&place, 0o555, 0o666);
    let lines = as_nobody(&place);
    modes(&place, 0o755, 0o644);
    assert!(lines.iter().any(|line| line == "read Ok(4) Ok(true)"), "{lines:?}");
    assert!(lines.iter().any(|line| line.starts_with("refused E-LEDGER-READ-ONLY")), "{lines:?}");
}

#[tokio::test]
async fn a_log_that_cannot_be_shared_is_never_passed_over() {
    let place = Place::new();
    let _open = place.filled(3).await;
    let copy = Place::new();
    // Nothing was moved from the log into the file yet; the -shm file is not copied.
    fs::copy(place.path(), copy.path()).expect("copied");
    fs::copy(place.path().with_extension("db-wal"), copy.path().with_extension("db-wal"))
        .expect("copied");
    modes(&copy, 0o555, 0o444);
    let lines = as_nobody(&copy);
    modes(&copy, 0o755, 0o644);
    let refused = lines.iter().any(|line| {
        line.starts_with("read Err(Unreadable") && line.contains("-wal file holds entries")
    });
    assert!(refused, "{lines:?}");
    assert_eq!(copy.open().head().await.expect("whoever may write may read").seq, 4);
}

#[tokio::test]
async fn a_file_that_may_not_be_read_says_so() {
    let place = Place::new();
    place.filled(3).await.close().await.expect("closed");
    modes(&place, 0o755, 0o600);
    let lines = as_nobody(&place);
    // Root's file, nobody's process. Where we are not root the file is our own.
    if fs::metadata("/proc/self").expect("about us").uid() == 0 {
        assert!(lines.iter().any(|line| line.starts_with("read Err(Unreadable")), "{lines:?}");
    } else {
        assert!(lines.iter().any(|line| line == "wrote"), "{lines:?}");
    }
}

#[tokio::test]
async fn whoever_lets_go_of_it_has_stated_what_was_added_and_only_that() {
    let place = Place::new();
    drop(place.filled(3).await);
    let stated = place.open().checkpoints().await.expect("read");
    assert_eq!(stated.iter().map(|one| one.size).collect::<Vec<_>>(), [4], "and the first entry");
    assert_eq!(stated[0].head, place.open().head().await.expect("read").hash);
    // Nothing new is nothing to state, whichever way it is let go of.
    let ledger = place.open();
    ledger.ready(Work::Begins).await.expect("it can be written to");
    drop(ledger);
    let ledger = place.filled(2).await;
    ledger.close().await.expect("closed");
    let sizes: Vec<u64> =
        place.open().checkpoints().await.expect("read").iter().map(|one| one.size).collect();
    assert_eq!(sizes, [4, 6]);
    // A file that somebody deleted is not made again for it.
    let ledger = place.filled(1).await;
    fs::remove_file(place.path()).expect("deleted");
    drop(ledger);
    assert!(!place.path().exists());
}
