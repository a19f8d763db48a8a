//! What can happen to a server, to a connection and to the tables: each a clear error with a way out, or
//! nothing at all.

mod world;

use std::{
    process::Command,
    sync::{
        Arc, OnceLock,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use acceptance_tests::{
    line::{Break, Fault, Line},
    servers::{PgBouncer, PostgreSql},
};
use data_encoding::BASE64;
use ledger::{
    Durability, Error, Filter, Ledger, NewEntry, Person, Range, Result, Verification, Work,
    all_entries,
};
use ledger_postgres::{Address, PostgresLedger, Way};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};

use crate::world::{Database, nobody, server};

const T: i64 = 1_764_000_000_000;
const REALM: &str = "k3x9q2";

fn entry(n: u64) -> NewEntry {
    NewEntry::new(T, "declared", format!("bao/openbao_approle/a{n}"))
}

async fn append(ledger: &PostgresLedger, entries: u64) -> Result<Vec<u64>> {
    let mut seqs = Vec::new();
    for n in 0..entries {
        let receipts = ledger.append(vec![entry(n)], Durability::Durable).await?;
        seqs.extend(receipts.iter().map(|receipt| receipt.seq));
    }
    Ok(seqs)
}

async fn verify(ledger: &PostgresLedger) -> Verification {
    ledger.verify(Range::ALL).await.expect("damage is a finding, not an error")
}

fn refused<T: std::fmt::Debug>(result: Result<T>, code: &str) -> Error {
    let error = result.expect_err("it is refused");
    assert_eq!(error.code(), code, "{error}");
    assert!(!error.remedy().is_empty());
    assert!(!format!("{error} {}", error.remedy()).contains(&server().password));
    error
}

/// The roles that are granted, made once for all databases of the server.
fn roles() {
    static MADE: OnceLock<()> = OnceLock::new();
    MADE.get_or_init(|| {
        for role in ["nhi_reader", "nhi_writer"] {
            server().by_hand(&format!("CREATE ROLE {role}")).expect("made");
        }
    });
}

#[tokio::test]
async fn looking_makes_no_tables() {
    let database = Database::new();
    let ledger = database.open(REALM);
    assert_eq!(ledger.head().await.expect("it is empty").seq, 0);
    assert!(verify(&ledger).await.is_sound());
    assert_eq!(ledger.checkpoint(T).await.expect("nothing to state"), None);
    let schemas = database.by_hand("SELECT count(*) FROM pg_namespace WHERE nspname = 'nhi'");
    assert_eq!(schemas, ["0"]);
}

#[tokio::test]
async fn entries_cannot_be_changed_by_a_slip_and_a_guard_that_is_gone_is_told() {
    let database = Database::new();
    let ledger = database.open(REALM);
    append(&ledger, 3).await.expect("kept");
    for slip in ["UPDATE nhi.entry SET kind = 'x'", "DELETE FROM nhi.entry", "TRUNCATE nhi.entry"] {
        let caught = format!(
            "DO $$BEGIN {slip}; EXCEPTION WHEN raise_exception THEN
             RAISE NOTICE 'kept'; RETURN; END$$; SELECT count(*) FROM nhi.entry"
        );
        assert_eq!(database.by_hand(&caught), ["4"], "{slip}");
    }
    assert!(verify(&ledger).await.is_sound());
    for (damage, part) in [
        ("DROP TRIGGER entry_kept ON nhi.entry", "entry_kept"),
        ("ALTER TABLE nhi.entry DISABLE TRIGGER entry_fixed", "entry_fixed"),
        ("DROP INDEX nhi.entry_subject", "entry_subject"),
    ] {
        database.by_hand(damage);
        let found = verify(&ledger).await;
        assert!(found.problems.iter().any(|one| one.contains(part)), "{damage}: {found:?}");
        refused(ledger.ready(Work::Begins).await, "E-LEDGER-DAMAGED");
        assert!(ledger.ready(Work::Ends).await.expect("nothing locks it out").is_some());
    }
}

#[tokio::test]
async fn who_deletes_all_of_it_loses_history_and_nothing_else() {
    let database = Database::new();
    let ledger = database.open(REALM);
    append(&ledger, 3).await.expect("kept");
    let before = ledger.head().await.expect("a head");
    database.by_hand("DROP SCHEMA nhi CASCADE");
    assert_eq!(ledger.head().await.expect("it reads as empty").seq, 0);
    assert_eq!(append(&database.open(REALM), 1).await.expect("a new one begins"), [2]);
    assert_ne!(before.ledger, ledger.head().await.expect("a head").ledger);
}

#[tokio::test]
async fn what_is_no_ledger_of_ours_is_refused_and_left_alone() {
    let database = Database::new();
    database.by_hand("CREATE SCHEMA nhi; CREATE TABLE nhi.customers (name text)");
    refused(append(&database.open(REALM), 1).await, "E-LEDGER-NOT-ONE");
    refused(database.open(REALM).head().await, "E-LEDGER-NOT-ONE");
    server()
        .by_hand("CREATE DATABASE latin TEMPLATE template0 ENCODING 'LATIN1' LOCALE 'C'")
        .expect("made");
    let error = refused(append(&Database::of("x/latin").open(REALM), 1).await, "E-LEDGER-NOT-ONE");
    assert!(error.to_string().contains("UTF8"), "{error}");

    let database = Database::new();
    append(&database.open(REALM), 1).await.expect("kept");
    refused(append(&database.open("zzzzzz"), 1).await, "E-LEDGER-REALM");
    refused(database.open("zzzzzz").head().await, "E-LEDGER-REALM");

    database.by_hand("UPDATE nhi.version SET tables = 99");
    let newer = database.open(REALM);
    assert_eq!(newer.head().await.expect("it reads").seq, 2);
    let error = refused(append(&newer, 1).await, "E-LEDGER-NEWER");
    assert!(error.to_string().contains("99"), "{error}");
}

#[tokio::test]
async fn a_server_that_is_not_there_or_lets_nobody_in_is_told_without_its_password() {
    let database = Database::new();
    let wrong = database.way_of("postgres", "hunter2");
    let error = refused(PostgresLedger::open(wrong, None).head().await, "E-LEDGER-UNREADABLE");
    assert!(!error.to_string().contains("hunter2"), "{error}");
    let none = Database::of("x/none").open(REALM);
    refused(none.head().await, "E-LEDGER-UNREADABLE");
    // A port that nobody listens on.
    let closed = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = closed.local_addr().expect("it has one").port();
    drop(closed);
    let nowhere = database.way(Address { port, ..database.address() });
    let nowhere = PostgresLedger::open(nowhere, Some(REALM));
    refused(nowhere.head().await, "E-LEDGER-UNREACHABLE");
    refused(append(&nowhere, 1).await, "E-LEDGER-UNREACHABLE");
    // A server without TLS is not spoken to where it is asked for.
    let clear = database.way(Address { secured: true, ..database.address() });
    refused(PostgresLedger::open(clear, None).head().await, "E-LEDGER-UNREACHABLE");
}

#[tokio::test]
async fn who_may_only_read_reads_and_who_may_write_cannot_lift_the_guards() {
    roles();
    for sql in [
        "CREATE ROLE ann LOGIN PASSWORD 'a' IN ROLE nhi_reader",
        "CREATE ROLE bob LOGIN PASSWORD 'b' IN ROLE nhi_writer",
    ] {
        server().by_hand(sql).expect("made");
    }
    let database = Database::new();
    append(&database.open(REALM), 2).await.expect("kept");

    let reading = PostgresLedger::open(database.way_of("ann", "a"), Some(REALM));
    assert_eq!(all_entries(&reading, Filter::all()).await.expect("read").len(), 3);
    assert!(verify(&reading).await.is_sound());
    refused(append(&reading, 1).await, "E-LEDGER-READ-ONLY");
    refused(reading.ready(Work::Ends).await, "E-LEDGER-READ-ONLY");
    let closed = PostgresLedger::open_read_only(database.way(database.address()), Some(REALM));
    assert_eq!(closed.head().await.expect("read").seq, 3);
    refused(append(&closed, 1).await, "E-LEDGER-READ-ONLY");

    let writing = PostgresLedger::open(database.way_of("bob", "b"), Some(REALM));
    assert!(writing.ready(Work::Begins).await.expect("it may").is_none());
    assert_eq!(append(&writing, 2).await.expect("kept"), [4, 5]);
    writing.put_person(Person { id: "person:1".into(), ..Person::default() }).await.expect("kept");
    writing.erase_person("person:1", T).await.expect("erased");
    assert!(writing.checkpoint(T).await.expect("stated").is_some());
    writing.rebuild().await.expect("it may");
    let lift = "ALTER TABLE nhi.entry DISABLE TRIGGER USER";
    let said = server().say_as(("bob", "b"), database.name(), lift).expect_err("it may not");
    assert!(said.contains("must be owner"), "{said}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn connections_that_are_killed_while_many_append_lose_nothing_and_keep_nothing_twice() {
    let database = Database::new();
    let ledgers: Vec<_> = (0..2).map(|_| Arc::new(database.open(REALM))).collect();
    append(&ledgers[0], 1).await.expect("kept");
    let killing = Arc::new(AtomicBool::new(true));
    let killer = {
        let (killing, database) = (Arc::clone(&killing), Database::of(&ledgers[0].place()));
        std::thread::spawn(move || {
            let mut killed = 0;
            while killing.load(Ordering::Relaxed) {
                let rows = database.by_hand(
                    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity
                     WHERE application_name = 'nhi' AND datname = current_database()",
                );
                killed += rows.len();
                std::thread::sleep(Duration::from_millis(15));
            }
            killed
        })
    };
    let tasks: Vec<_> = (0..8u64)
        .map(|producer| {
            let ledger = Arc::clone(&ledgers[producer as usize % 2]);
            tokio::spawn(async move {
                let mut kept = Vec::new();
                for n in 0..60 {
                    let of = producer * 1000 + n;
                    // Killed too often in a row is told, and then nothing of it is kept.
                    if let Ok(receipts) = ledger.append(vec![entry(of)], Durability::Durable).await
                    {
                        kept.push((receipts[0].seq, of));
                    }
                }
                kept
            })
        })
        .collect();
    let mut acknowledged = Vec::new();
    for task in tasks {
        acknowledged.extend(task.await.expect("it ends"));
    }
    killing.store(false, Ordering::Relaxed);
    let killed = killer.join().expect("it ends");
    assert!(killed > 10, "{killed} connections were killed");
    assert!(acknowledged.len() > 100, "{} were kept", acknowledged.len());
    let ledger = database.open(REALM);
    let found = verify(&ledger).await;
    assert!(found.is_sound(), "{found:?}");
    let entries = all_entries(&ledger, Filter::all()).await.expect("read");
    for (seq, of) in &acknowledged {
        let kept = &entries[usize::try_from(*seq).expect("small") - 1];
        assert_eq!(kept.subject, format!("bao/openbao_approle/a{of}"), "entry {seq}");
    }
    let appended = entries.iter().filter(|entry| entry.kind == "declared").count();
    // The very first one is not among them.
    assert_eq!(appended, acknowledged.len() + 1, "what was not acknowledged was not kept");
}

#[tokio::test]
async fn a_line_that_breaks_while_an_entry_is_kept_keeps_it_once() {
    let line = Line::to(server().port).expect("a line");
    let database = Database::new();
    let through = Address { port: line.port, ..database.address() };
    let ledger = PostgresLedger::open(database.way(through), Some(REALM));
    assert_eq!(append(&ledger, 1).await.expect("kept"), [2]);
    let mut last = 2;
    for at in [Break::Before, Break::After] {
        for of_ours in ["BEGIN ISOLATION", "INSERT INTO nhi.entry", "COMMIT"] {
            line.cut(of_ours, at);
            last += 1;
            assert_eq!(append(&ledger, 1).await.expect("kept"), [last], "{at:?} {of_ours}");
            let found = verify(&ledger).await;
            assert!(found.is_sound() && found.entries == last, "{at:?} {of_ours}: {found:?}");
        }
    }
    // What is looked at is looked at again.
    line.cut("FROM nhi.ledger", Break::Before);
    assert_eq!(ledger.head().await.expect("read").seq, last);
}

#[tokio::test]
async fn a_server_that_keeps_the_line_and_says_nothing_is_not_waited_for_for_ever() {
    const ANSWER: Duration = Duration::from_secs(1);
    let line = Line::to(server().port).expect("a line");
    let database = Database::new();
    let through = Address { port: line.port, ..database.address() };
    let open = || PostgresLedger::open_within(database.way(through.clone()), Some(REALM), ANSWER);
    assert_eq!(append(&open(), 1).await.expect("kept"), [2]);
    let mut last = 2;
    // The server never hears of it, or does it and is never heard again: once, and another connection
    // finds out how it ended.
    for (fault, of_ours) in [
        (Fault::Swallow, "BEGIN ISOLATION"),
        (Fault::Swallow, "COMMIT"),
        (Fault::Silence, "INSERT INTO nhi.entry"),
        (Fault::Silence, "COMMIT"),
    ] {
        let ledger = open();
        assert_eq!(ledger.head().await.expect("read").seq, last);
        let (given, mut once) = (fault.clone(), true);
        let how = format!("{fault:?} {of_ours}");
        line.watch(move |bytes| {
            let text = of_ours.as_bytes();
            let says = bytes.windows(text.len()).any(|window| window == text);
            (says && std::mem::take(&mut once)).then(|| given.clone())
        });
        let begun = Instant::now();
        let kept = append(&ledger, 1).await;
        let waited = begun.elapsed();
        assert!(waited >= ANSWER && waited < Duration::from_secs(20), "{how}: {waited:?}");
        last += 1;
        assert_eq!(kept.expect("kept"), [last], "{how}");
        let found = verify(&database.open(REALM)).await;
        assert!(found.is_sound() && found.entries == last, "{how}: {found:?}");
    }
    // For good, it is told, by whoever looks and by whoever connects.
    let looking = open();
    assert_eq!(looking.head().await.expect("read").seq, last);
    line.watch(|_| Some(Fault::Swallow));
    let begun = Instant::now();
    refused(looking.head().await, "E-LEDGER-UNREACHABLE");
    refused(append(&open(), 1).await, "E-LEDGER-UNREACHABLE");
    assert!(begun.elapsed() < Duration::from_secs(30), "{:?}", begun.elapsed());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn behind_a_pooler_that_gives_each_transaction_another_connection_all_is_the_same() {
    let pooler = PgBouncer::before(server(), 2).expect("it starts");
    let database = Database::new();
    let through = Address { port: pooler.port, ..database.address() };
    // More connections than the pooler has, so that they change hands.
    let ledgers: Vec<_> = (0..4)
        .map(|_| Arc::new(PostgresLedger::open(database.way(through.clone()), Some(REALM))))
        .collect();
    append(&ledgers[0], 1).await.expect("kept");
    let tasks: Vec<_> = (0..12u64)
        .map(|n| {
            let ledger = Arc::clone(&ledgers[n as usize % ledgers.len()]);
            tokio::spawn(async move {
                let subject = format!("a/b/{n}");
                let time = Duration::from_secs(60);
                let fence = ledger.lease(&subject, "run", time).await.expect("asked");
                let under = fence.ours();
                for _ in 0..10 {
                    let begun = NewEntry { under: under.clone(), ..entry(n) };
                    ledger.append(vec![begun], Durability::Durable).await.expect("kept");
                    assert!(ledger.head().await.expect("read").seq > 2);
                    assert!(
                        ledger.lease(&subject, "else", time).await.expect("asked").ours().is_none()
                    );
                }
                ledger.release(&under.expect("it was ours")).await.expect("given back");
            })
        })
        .collect();
    for task in tasks {
        task.await.expect("it ends");
    }
    let found = verify(&ledgers[1]).await;
    assert!(found.is_sound() && found.entries == 122, "{found:?}");
    let held = database.by_hand("SELECT count(*) FROM nhi.lease");
    assert_eq!(held, ["0"], "all were given back");
    for ledger in ledgers {
        ledger.close().await.expect("closed");
    }
    // What was set for one transaction is set for no other.
    let asked = Address { port: pooler.port, ..database.address() };
    let ledger = PostgresLedger::open(database.way(asked), Some(REALM));
    assert!(ledger.ready(Work::Begins).await.expect("it may").is_none());
}

#[tokio::test]
async fn tables_of_an_earlier_version_are_read_and_brought_up_to_date_by_who_owns_them() {
    let database = Database::new();
    roles();
    database.by_hand("CREATE ROLE later LOGIN PASSWORD 'l' IN ROLE nhi_writer");
    database.by_hand(include_str!("../migrations/V1__tables.sql"));
    database.by_hand("INSERT INTO nhi.version (one, tables) VALUES (1, 1)");
    let writing = PostgresLedger::open(database.way_of("later", "l"), Some(REALM));
    assert_eq!(writing.head().await.expect("it reads").seq, 0);
    assert_eq!(writing.scans().await.expect("it reads"), []);
    assert!(verify(&writing).await.is_sound());
    let error = refused(append(&writing, 1).await, "E-LEDGER-OLDER");
    assert!(error.remedy().contains("owns the tables"), "{}", error.remedy());
    // The owner's first look that is meant to write does it.
    assert!(database.open(REALM).ready(Work::Ends).await.expect("it may").is_none());
    assert_eq!(append(&writing, 1).await.expect("kept"), [2]);
    assert!(
        writing
            .lease("a/b/c", "run", Duration::from_secs(9))
            .await
            .expect("it may")
            .ours()
            .is_some()
    );
}

fn pem(label: &str, der: &[u8]) -> String {
    let text = BASE64.encode(der);
    let lines: Vec<&str> = text
        .as_bytes()
        .chunks(64)
        .map(|line| std::str::from_utf8(line).expect("it is ASCII"))
        .collect();
    format!("-----BEGIN {label}-----\n{}\n-----END {label}-----\n", lines.join("\n"))
}

#[tokio::test]
async fn a_server_is_believed_by_its_certificate_alone() {
    let mut params = CertificateParams::new(Vec::new()).expect("no names");
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let key = KeyPair::generate().expect("a key");
    let authority = CertifiedIssuer::self_signed(params, key).expect("it signs");
    let key = KeyPair::generate().expect("a key");
    let params = CertificateParams::new(vec!["127.0.0.1".to_owned()]).expect("a name");
    let certificate = params.signed_by(&key, &authority).expect("it signs");
    let server = PostgreSql::with_tls(
        &pem("CERTIFICATE", certificate.der()),
        &pem("PRIVATE KEY", &key.serialize_der()),
    )
    .expect("it starts");
    let root = authority.der().clone();
    let at = |host: &str, trusts: bool| {
        let address = Address {
            host: host.to_owned(),
            port: server.port,
            database: "postgres".to_owned(),
            user: "postgres".to_owned(),
            password: Some(server.password.clone().into()),
            secured: true,
        };
        let root = trusts.then(|| root.clone());
        let way = Way {
            shown: address.shown(),
            address: Arc::new(move || Ok(address.clone())),
            trust: Arc::new(move || world::trusting(root.clone())),
        };
        PostgresLedger::open(way, Some(REALM))
    };
    assert_eq!(append(&at("127.0.0.1", true), 1).await.expect("kept"), [2]);
    // Another name than the certificate's, and nobody who vouches for it.
    for (host, trusts) in [("localhost", true), ("127.0.0.1", false)] {
        let error = refused(at(host, trusts).head().await, "E-LEDGER-UNREACHABLE");
        assert!(error.to_string().contains("certificate"), "{error}");
    }
}

const PART: &str = "NHI_LEDGER_TEST_DATABASE";

/// Not a test by itself: what [`tables_are_made_once_by_two_processes_at_once`] runs as processes.
#[tokio::test]
async fn part_append() {
    let Ok(text) = std::env::var(PART) else { return };
    let address = Address::parse(&text).expect("it is one");
    let way = Way {
        shown: address.shown(),
        address: Arc::new(move || Ok(address.clone())),
        trust: Arc::new(nobody),
    };
    append(&PostgresLedger::open(way, Some(REALM)), 20).await.expect("kept");
}

#[tokio::test]
async fn tables_are_made_once_by_two_processes_at_once() {
    let database = Database::new();
    let (password, port) = (&server().password, server().port);
    let url = format!("postgresql://postgres:{password}@127.0.0.1:{port}/{}", database.name());
    let program = std::env::current_exe().expect("this program");
    let processes: Vec<_> = (0..4)
        .map(|_| {
            let mut command = Command::new(&program);
            command.args(["--exact", "part_append"]).env(PART, &url).spawn().expect("it starts")
        })
        .collect();
    for mut process in processes {
        assert!(process.wait().expect("it ends").success());
    }
    let ledger = database.open(REALM);
    let entries = all_entries(&ledger, Filter::all()).await.expect("read");
    assert_eq!(entries.len(), 81, "one ledger was begun, and all are in it");
    assert_eq!(entries[0].kind, "ledger.created");
    assert!(verify(&ledger).await.is_sound());
}
