//! The suite that every store passes.
//!
//! A store's test gives a [`Store`] and calls [`run`]. What does not hold panics, naming the
//! sentence: each function here is one.

use std::time::Duration;

use async_trait::async_trait;
use serde_json::json;

use crate::{
    archive::{self, Compaction},
    chain::{self, Hash},
    entry::{Actor, Entry, NewEntry},
    error::Error,
    export,
    inventory::{
        Change, Credential, Integration, Inventory, Obligation, Observed, Origin, Person, Scan,
        Selection, Slot, Tenant,
    },
    lease::{Drawn, Fence, Leased},
    port::{Durability, Filter, Head, Ledger, Range, Work, all_entries},
    tree,
};

/// The realm of the ledgers that the suite asks for.
pub const REALM: &str = "k3x9q2";

const ID: &str = "bao/openbao_approle/invoice-sync";
const OTHER: &str = "gh/github_app/ci-bot";
const T: i64 = 1_764_000_000_000;

/// How a kept entry is damaged behind the chain's back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tampering {
    /// One bit of its body.
    Body,
    /// A column beside the body, if the store has any.
    Column,
    /// It is taken away from the middle.
    Missing,
    /// It is the last, and it is taken away.
    Tail,
}

/// A kind of store, as its own tests provide it.
#[async_trait]
pub trait Store: Sync {
    /// The ledger it gives.
    type Ledger: Ledger + 'static;

    /// A new, empty ledger of the realm [`REALM`].
    async fn fresh(&self) -> Self::Ledger;

    /// A second, independent writer on the same ledger; `None` if the store cannot have one.
    async fn another(&self, _ledger: &Self::Ledger) -> Option<Self::Ledger> {
        None
    }

    /// Damages an entry; false if the store cannot be damaged in this way.
    async fn tamper(&self, ledger: &Self::Ledger, seq: u64, how: Tampering) -> bool;
}

/// Runs all of it.
pub async fn run<S: Store>(store: &S) {
    an_empty_ledger_reads_as_empty(store).await;
    entries_are_numbered_chained_and_read_back(store).await;
    an_append_is_kept_whole_or_not_at_all(store).await;
    entries_are_found_by_subject_kind_rotation_and_time(store).await;
    pages_join_without_gap_or_overlap(store).await;
    a_damaged_entry_is_named(store).await;
    a_broken_chain_stops_what_begins_and_nothing_that_ends(store).await;
    appends_at_once_make_one_chain(store).await;
    two_writers_do_not_fork(store).await;
    the_inventory_is_what_folding_the_entries_gives(store).await;
    what_was_observed_survives_a_rebuild(store).await;
    a_long_document_comes_back_whole(store).await;
    what_is_due_comes_earliest_first(store).await;
    the_newest_scan_of_each_listing_is_read(store).await;
    a_checkpoint_proves_its_entries(store).await;
    a_person_is_erased_and_the_chain_stays_whole(store).await;
    a_ledger_moves_whole_or_not_at_all(store).await;
    a_lease_is_one_holders_until_it_is_over_or_given_back(store).await;
    what_was_begun_under_a_lease_that_is_lost_is_not_kept(store).await;
    of_many_who_ask_at_once_one_has_the_lease(store).await;
    what_is_taken_out_lies_in_a_file_and_what_is_left_is_whole(store).await;
    all_who_share_a_ledger_ask_a_tenant_no_more_than_its_budget(store).await;
}

fn entry(at: i64, kind: &str, subject: &str) -> NewEntry {
    let actor = Actor {
        program: "suite/1".to_owned(),
        run: "run-1".to_owned(),
        principal: Some("person:7".to_owned()),
    };
    NewEntry::new(at, kind, subject).by(actor, "command".into())
}

async fn keep<L: Ledger>(ledger: &L, entries: Vec<NewEntry>) -> Vec<u64> {
    let receipts = ledger.append(entries, Durability::Durable).await.expect("the append is kept");
    receipts.iter().map(|receipt| receipt.seq).collect()
}

async fn read<L: Ledger>(ledger: &L, filter: Filter) -> Vec<Entry> {
    all_entries(ledger, filter).await.expect("the entries are read")
}

async fn sound<L: Ledger>(ledger: &L) {
    let found = ledger.verify(Range::ALL).await.expect("it can be verified");
    assert!(found.is_sound(), "the ledger is sound: {found:?}");
    assert_eq!(found.remedy, None, "what is sound needs no remedy");
    let head = ledger.head().await.expect("it has a head");
    assert_eq!(found.entries, head.seq, "every entry was verified");
    let differences = ledger.compare().await.expect("it can be compared");
    assert!(differences.is_empty(), "the rows are what the entries say: {differences:?}");
}

/// An absent ledger is an empty one: looking fails in nothing and makes nothing.
pub async fn an_empty_ledger_reads_as_empty<S: Store>(store: &S) {
    let ledger = store.fresh().await;
    let head = ledger.head().await.expect("it has a head");
    assert_eq!((head.seq, head.hash), (0, Hash::ZERO));
    assert!(read(&ledger, Filter::all()).await.is_empty());
    assert!(ledger.integrations(&Selection::all()).await.expect("read").is_empty());
    assert!(ledger.slots(&Selection::all()).await.expect("read").is_empty());
    assert!(ledger.credentials(&Selection::all()).await.expect("read").is_empty());
    assert!(ledger.checkpoints().await.expect("read").is_empty());
    assert_eq!(ledger.checkpoint(T).await.expect("there is nothing to state"), None);
    assert_eq!(ledger.person("person:7").await.expect("read"), None);
    sound(&ledger).await;
    assert!(ledger.ready(Work::Begins).await.expect("it can be written").is_none());
}

/// Numbers are consecutive, each hash covers the one before, and bodies read back as given.
pub async fn entries_are_numbered_chained_and_read_back<S: Store>(store: &S) {
    let ledger = store.fresh().await;
    let mut given = entry(T, "rotation.promoted", ID).detail("note", "e\u{301} \" \\ \u{1}");
    given.generation = Some(3);
    given.rotation = Some("r1".to_owned());
    given.auth = Some("policy:schedule".to_owned());
    let first = keep(&ledger, vec![entry(T, "declared", ID), given]).await;
    let second = keep(&ledger, vec![entry(T - 5000, "declared", OTHER)]).await;
    assert_eq!(first[1], first[0] + 1, "numbers are consecutive");
    assert_eq!(second[0], first[1] + 1, "numbers go on, even if the clock goes back");

    let entries = read(&ledger, Filter::all()).await;
    let mut previous = Hash::ZERO;
    for (index, entry) in entries.iter().enumerate() {
        assert_eq!(entry.seq, index as u64 + 1, "numbers begin at 1 and have no hole");
        assert_eq!(entry.hash, chain::link(&previous, &entry.body), "the hash covers all before");
        assert_eq!(entry.realm.as_deref(), Some(REALM), "the realm is filled in");
        previous = entry.hash;
    }
    let head = ledger.head().await.expect("it has a head");
    assert_eq!((head.seq, head.hash), (second[0], previous), "the head is the last entry");
    let kept = entries.iter().find(|entry| entry.seq == first[1]).expect("it was kept");
    assert_eq!(kept.generation, Some(3));
    assert_eq!(kept.detail["note"], json!("\u{e9} \" \\ \u{1}"), "text is in form NFC");
    sound(&ledger).await;
}

/// One bad entry, and none of its append is kept; the next append is not harmed.
pub async fn an_append_is_kept_whole_or_not_at_all<S: Store>(store: &S) {
    let ledger = store.fresh().await;
    keep(&ledger, vec![entry(T, "declared", ID)]).await;
    let before = ledger.head().await.expect("it has a head");
    let long = entry(T, "declared", ID).detail("text", "x".repeat(5000));
    let refused = ledger.append(vec![entry(T, "declared", ID), long], Durability::Durable).await;
    assert_eq!(refused.expect_err("it is too long").code(), "E-LEDGER-BODY");
    assert_eq!(ledger.head().await.expect("it has a head"), before, "nothing was kept");
    assert!(keep(&ledger, Vec::new()).await.is_empty(), "nothing appended is no error");
    assert_eq!(keep(&ledger, vec![entry(T, "declared", ID)]).await, [before.seq + 1]);
    sound(&ledger).await;
}

/// Filters take what they say, and `a/b` does not take `a/bc`.
pub async fn entries_are_found_by_subject_kind_rotation_and_time<S: Store>(store: &S) {
    let ledger = store.fresh().await;
    let slot = format!("{ID}/credential/main");
    let near = format!("{ID}-2");
    let mut step = entry(T + 1, "rotation.promoted", &slot);
    step.rotation = Some("r1".to_owned());
    let entries = vec![
        entry(T, "declared", ID),
        step,
        entry(T + 2, "declared", &near),
        entry(T + 3, "rotations", OTHER),
    ];
    let seqs = keep(&ledger, entries).await;
    let found = async |filter: Filter| -> Vec<u64> {
        let mut filter = filter;
        filter.after = filter.after.max(seqs[0] - 1);
        read(&ledger, filter).await.iter().map(|entry| entry.seq).collect()
    };
    assert_eq!(found(Filter::under(ID)).await, [seqs[0], seqs[1]]);
    let only = Filter { subject: Some(crate::Subject::Is(ID.to_owned())), ..Filter::all() };
    assert_eq!(found(only).await, [seqs[0]]);
    let kinds = Filter { kinds: vec!["rotation".to_owned()], ..Filter::all() };
    assert_eq!(found(kinds).await, [seqs[1]]);
    let kinds = Filter {
        kinds: vec!["rotation.promoted".to_owned(), "declared".to_owned()],
        ..Filter::all()
    };
    assert_eq!(found(kinds).await, [seqs[0], seqs[1], seqs[2]]);
    assert_eq!(found(Filter::rotation("r1")).await, [seqs[1]]);
    let since = Filter { since: Some(T + 2), ..Filter::all() };
    assert_eq!(found(since).await, [seqs[2], seqs[3]]);
    let newest = Filter { newest_first: true, through: Some(seqs[2]), ..Filter::all() };
    assert_eq!(found(newest).await, [seqs[2], seqs[1], seqs[0]]);
}

/// Pages of two, either way, hold each entry once.
pub async fn pages_join_without_gap_or_overlap<S: Store>(store: &S) {
    let ledger = store.fresh().await;
    keep(&ledger, (0..7).map(|n| entry(T + n, "declared", ID)).collect()).await;
    let head = ledger.head().await.expect("it has a head").seq;
    for newest_first in [false, true] {
        let filter = Filter { limit: 2, newest_first, ..Filter::all() };
        let page = ledger.entries(&filter).await.expect("read");
        assert_eq!(page.entries.len(), 2, "a page holds what was asked for");
        let mut seqs: Vec<u64> = read(&ledger, filter).await.iter().map(|e| e.seq).collect();
        if newest_first {
            seqs.reverse();
        }
        assert_eq!(seqs, (1..=head).collect::<Vec<_>>());
    }
}

/// Whatever is done to an entry, verifying names it.
pub async fn a_damaged_entry_is_named<S: Store>(store: &S) {
    for how in [Tampering::Body, Tampering::Column, Tampering::Missing, Tampering::Tail] {
        let ledger = store.fresh().await;
        keep(&ledger, (0..4).map(|n| entry(T + n, "declared", ID)).collect()).await;
        let good = ledger.checkpoint(T).await.expect("made").expect("there are entries");
        let seqs = keep(&ledger, (4..9).map(|n| entry(T + n, "declared", ID)).collect()).await;
        ledger.checkpoint(T).await.expect("made");
        let seq = if how == Tampering::Tail { seqs[4] } else { seqs[1] };
        if !store.tamper(&ledger, seq, how).await {
            continue;
        }
        let found = ledger.verify(Range::ALL).await.expect("damage is no error");
        let bad = found.first_bad.clone().expect("damage is found");
        assert_eq!(bad.seq, seq, "{how:?} is found where it is: {found:?}");
        assert!(!found.is_sound());
        assert_eq!(found.last_good_checkpoint, Some(good), "{how:?}: up to here it can be trusted");
        let remedy = found.remedy.expect("there is a way out");
        assert!(remedy.contains("backup"), "{remedy}");
        if how != Tampering::Tail {
            let range = Range { first: seq + 2, last: None };
            let later = ledger.verify(range).await.expect("damage is no error");
            assert_eq!(later.first_bad, None, "a range is verified alone: {later:?}");
            let range = Range { first: 1, last: Some(seq - 1) };
            let before = ledger.verify(range).await.expect("damage is no error");
            assert!(before.is_sound(), "what lies before is sound: {before:?}");
        }
    }
}

/// Whatever is done to the end of the chain, nothing new is begun; power can still be taken away,
/// and where that was done it is journalled in a segment of its own.
pub async fn a_broken_chain_stops_what_begins_and_nothing_that_ends<S: Store>(store: &S) {
    for how in [Tampering::Body, Tampering::Missing, Tampering::Tail] {
        let ledger = store.fresh().await;
        let seqs = keep(&ledger, (0..5).map(|n| entry(T + n, "declared", ID)).collect()).await;
        let seq = if how == Tampering::Tail { seqs[4] } else { seqs[2] };
        if !store.tamper(&ledger, seq, how).await {
            continue;
        }
        let refused = ledger.ready(Work::Begins).await.expect_err("nothing is begun");
        assert_eq!(refused.code(), "E-LEDGER-BROKEN", "{how:?}: {refused}");
        let wrong = ledger.ready(Work::Ends).await.expect("nothing locks it out");
        let wrong = wrong.expect("it is told");
        assert_eq!(wrong.to_string(), refused.to_string());
        let first = NewEntry::broken(T + 9, "ledger", &wrong);
        let done = entry(T + 9, "credential.revoked", ID);
        let kept = keep(&ledger, vec![first, done]).await;
        assert_eq!(kept, [seqs[4] + 1, seqs[4] + 2], "{how:?}: the numbers go on");
        keep(&ledger, vec![entry(T + 10, "credential.revoked", ID)]).await;
        let told = read(&ledger, Filter { after: seqs[4], ..Filter::all() }).await;
        assert_eq!(told[0].kind, "ledger.broken");
        assert_eq!(told[0].detail["seq"], json!(seq));
        let found = ledger.verify(Range::ALL).await.expect("damage is no error");
        let bad = found.first_bad.expect("what is broken stays broken");
        assert_eq!(bad.seq, seq, "{how:?}");
        let range = Range { first: kept[1], last: None };
        let segment = ledger.verify(range).await.expect("damage is no error");
        assert!(segment.is_sound(), "{how:?}: the new segment is whole: {segment:?}");
        assert!(ledger.ready(Work::Begins).await.is_err(), "a person has to look first");
    }
}

/// Many appends at once get numbers of their own, each append's in a row.
pub async fn appends_at_once_make_one_chain<S: Store>(store: &S) {
    let ledger = store.fresh().await;
    let appends = (0..40).map(|n| {
        let pair = vec![entry(T + n, "attempt.started", ID), entry(T + n, "attempt.ended", ID)];
        let durability = if n % 3 == 0 { Durability::RideAlong } else { Durability::Durable };
        ledger.append(pair, durability)
    });
    let receipts = futures::future::join_all(appends).await;
    let mut seqs = Vec::new();
    for receipt in receipts {
        let receipt = receipt.expect("it is kept");
        assert_eq!(receipt[1].seq, receipt[0].seq + 1, "one append's entries are in a row");
        seqs.extend(receipt.iter().map(|receipt| receipt.seq));
    }
    seqs.sort_unstable();
    seqs.dedup();
    assert_eq!(seqs.len(), 80, "no number is given twice");
    sound(&ledger).await;
}

/// Two independent writers extend one chain and see each other's entries.
pub async fn two_writers_do_not_fork<S: Store>(store: &S) {
    let one = store.fresh().await;
    let Some(other) = store.another(&one).await else { return };
    let write = async |ledger: &S::Ledger, subject: &str| {
        for n in 0..20 {
            keep(ledger, vec![entry(T + n, "declared", subject)]).await;
        }
    };
    futures::join!(write(&one, ID), write(&other, OTHER));
    for ledger in [&one, &other] {
        assert_eq!(read(ledger, Filter::under(ID)).await.len(), 20);
        assert_eq!(read(ledger, Filter::under(OTHER)).await.len(), 20);
        sound(ledger).await;
    }
    assert_eq!(one.head().await.expect("a head"), other.head().await.expect("a head"));
}

/// What is exported of one is taken over by another with every number and hash, and by none that has
/// begun; of what is damaged on the way nothing is kept.
pub async fn a_ledger_moves_whole_or_not_at_all<S: Store>(store: &S) {
    let from = store.fresh().await;
    keep(&from, history()).await;
    from.checkpoint(T).await.expect("made");
    let scopes: Vec<String> = (0..200).map(|n| format!("secret/data/app-{n}/*:read")).collect();
    let long = Change::Declared {
        integration: ID.to_owned(),
        facet: "scopes".to_owned(),
        document: Some(json!(scopes)),
    };
    keep(&from, vec![entry(T, "declared", ID).change(long)]).await;
    let person = Person { id: "person:7".to_owned(), ..Person::default() };
    from.put_person(person.clone()).await.expect("it is kept");
    let mut lines = Vec::new();
    let head = export::write(&from, &mut lines).await.expect("it is written");
    let text = String::from_utf8(lines).expect("it is text");
    let taken = async |into: &S::Ledger, text: &str| {
        let lines = std::io::Cursor::new(text.to_owned().into_bytes());
        into.take_over(Box::new(export::Reader::new("here".to_owned(), lines))).await
    };

    let into = store.fresh().await;
    let last = text.lines().last().expect("it has an end");
    for (damage, damaged) in [
        ("cut off", text.replace(last, "")),
        ("an entry changed", text.replacen("suite", "sweet", 20)),
        ("a line lost", text.replacen(text.lines().nth(4).expect("it is long"), "", 1)),
        ("a document changed", text.replace("app-199/", "app-198/")),
        ("of nothing we know", "{}".to_owned()),
    ] {
        let refused = taken(&into, &damaged).await.expect_err(damage);
        assert_eq!(refused.code(), "E-LEDGER-EXPORT", "{damage}: {refused}");
        assert_eq!(into.head().await.expect("a head").seq, 0, "{damage}: nothing of it is kept");
        assert!(read(&into, Filter::all()).await.is_empty(), "{damage}");
    }
    let moved = taken(&into, &text).await.expect("it is taken over");
    assert_eq!(moved, head, "the head is where it was");
    assert_eq!(read(&into, Filter::all()).await, read(&from, Filter::all()).await);
    assert_eq!(
        into.checkpoints().await.expect("read"),
        from.checkpoints().await.expect("read"),
        "what was stated stands"
    );
    assert_eq!(into.persons().await.expect("read"), [person]);
    sound(&into).await;
    let all = Selection::all();
    assert_eq!(
        into.integrations(&all).await.expect("read"),
        from.integrations(&all).await.expect("read")
    );
    assert_eq!(into.slots(&all).await.expect("read"), from.slots(&all).await.expect("read"));
    let refused = taken(&into, &text).await.expect_err("it has begun");
    assert_eq!(refused.code(), "E-LEDGER-NOT-EMPTY");
    assert_eq!(keep(&into, vec![entry(T, "declared", ID)]).await, [head.seq + 1], "it goes on");
    into.checkpoint(T).await.expect("made");
    sound(&into).await;
}

fn history() -> Vec<NewEntry> {
    let slot = |name: &str, generation| Slot {
        integration: ID.to_owned(),
        name: name.to_owned(),
        generation,
        epoch: 9,
        current: Some(format!("key-{generation}")),
        promoted_at: Some(T),
        schedule: Some(json!({"every": "30d"})),
        sinks: Some(json!(["bao:secret/apps/x"])),
        status: "scheduled".to_owned(),
        next_due_at: Some(T + 1000),
    };
    let key = |vendor_id: &str, state: &str| Credential {
        integration: ID.to_owned(),
        slot: Some("main".to_owned()),
        vendor_id: vendor_id.to_owned(),
        kind: "secret_id".to_owned(),
        marker: Some("nhi1-x".to_owned()),
        created_at: Some(T),
        state: state.to_owned(),
        ..Credential::default()
    };
    let declared = |id: &str, facet: &str, document| Change::Declared {
        integration: id.to_owned(),
        facet: facet.to_owned(),
        document,
    };
    let applied = |facet: &str, document| Change::Applied {
        integration: ID.to_owned(),
        facet: facet.to_owned(),
        document,
    };
    let obligation = |state: &str| Obligation {
        id: "retire:key-1".to_owned(),
        subject: ID.to_owned(),
        deed: "retire".to_owned(),
        not_before: T,
        due_by: T + 5000,
        on_overdue: "finding".to_owned(),
        state: state.to_owned(),
        attempts: 1,
        next_try_at: Some(T + 10),
        detail: Some(json!({"key": "key-1", "left_out": null})),
    };
    let tenant = "openbao:c1".to_owned();
    vec![
        entry(T, "connection.pinned", "bao").change(Change::Tenant(Tenant {
            key: tenant.clone(),
            connection: "bao".to_owned(),
            pinned_at: T,
        })),
        entry(T, "declared", ID)
            .change(Change::Integration {
                integration: ID.to_owned(),
                tenant,
                origin: Origin::Adopted,
            })
            .change(declared(ID, "settings", Some(json!({"ttl": "1h", "none": null}))))
            .change(declared(ID, "scopes", Some(json!(["a:read", "b:write"])))),
        entry(T, "declared", OTHER).change(declared(OTHER, "settings", Some(json!({"a": 1})))),
        entry(T, "applied", ID)
            .change(applied("settings", Some(json!({"ttl": "1h"}))))
            .change(applied("gone", Some(json!(true))))
            .change(applied("gone", None)),
        entry(T, "rotation.promoted", ID)
            .change(Change::Slot(slot("main", 1)))
            .change(Change::Slot(slot("spare", 1)))
            .change(Change::Credential(key("key-1", "current"))),
        entry(T, "rotation.promoted", ID)
            .change(Change::Slot(slot("main", 2)))
            .change(Change::SlotEnded { integration: ID.to_owned(), name: "spare".to_owned() })
            .change(Change::Credential(key("key-1", "previous")))
            .change(Change::Credential(key("key-2", "current")))
            .change(Change::Obligation(obligation("open"))),
        entry(T, "destroyed", OTHER)
            .change(Change::Slot(Slot { integration: OTHER.to_owned(), ..slot("main", 1) }))
            .change(Change::Ended { integration: OTHER.to_owned() }),
    ]
}

/// The rows are the fold of the entries, after appending and after rebuilding.
pub async fn the_inventory_is_what_folding_the_entries_gives<S: Store>(store: &S) {
    let ledger = store.fresh().await;
    keep(&ledger, history()).await;
    let entries = read(&ledger, Filter::all()).await;
    let folded = Inventory::fold(&entries, |_| None);
    for pass in ["appended", "rebuilt"] {
        let all = Selection::all();
        assert_eq!(
            ledger.integrations(&all).await.expect("read"),
            folded.integrations(&all),
            "{pass}"
        );
        assert_eq!(ledger.slots(&all).await.expect("read"), folded.slots(&all), "{pass}");
        assert_eq!(
            ledger.credentials(&all).await.expect("read"),
            folded.credentials(&all),
            "{pass}"
        );
        let tenants: Vec<Tenant> = folded.tenants.values().cloned().collect();
        assert_eq!(ledger.tenants().await.expect("read"), tenants, "{pass}");
        let obligations: Vec<Obligation> = folded.obligations.values().cloned().collect();
        assert_eq!(ledger.open_obligations().await.expect("read"), obligations, "{pass}");
        let rebuilt = ledger.rebuild().await.expect("it can be rebuilt");
        assert_eq!(rebuilt.entries, entries.len() as u64);
        assert_eq!(rebuilt.changes, history().iter().map(|e| e.changes.len() as u64).sum::<u64>());
    }
    let of = async |selection: Selection| {
        let rows = ledger.integrations(&selection).await.expect("read");
        rows.into_iter().map(|row| row.id).collect::<Vec<String>>()
    };
    assert_eq!(of(Selection::all()).await, [ID, OTHER]);
    assert_eq!(of(Selection::declared()).await, [ID], "what was destroyed is not declared");
    assert_eq!(of(Selection::of(OTHER)).await, [OTHER]);
    let connection = Selection { connection: Some("bao".to_owned()), ..Selection::all() };
    assert_eq!(of(connection).await, [ID]);
    let tenant = Selection { tenant: Some("openbao:c1".to_owned()), ..Selection::all() };
    assert_eq!(of(tenant).await, [ID]);
    assert_eq!(ledger.slots(&Selection::of(OTHER)).await.expect("read"), []);
    sound(&ledger).await;
}

/// A rebuild folds what was journalled and leaves what was seen.
pub async fn what_was_observed_survives_a_rebuild<S: Store>(store: &S) {
    let ledger = store.fresh().await;
    keep(&ledger, history()).await;
    let seen = |id: &str, at, document| Observed {
        integration: id.to_owned(),
        tenant: "openbao:c1".to_owned(),
        at,
        document,
        credentials: Vec::new(),
    };
    let mut first = seen(ID, T + 50, Some(json!({"scopes": ["a:read"], "nothing": null})));
    let used = |vendor_id: &str| Credential {
        vendor_id: vendor_id.to_owned(),
        kind: "secret_id".to_owned(),
        state: "unmanaged".to_owned(),
        last_used_at: Some(T + 40),
        ..Credential::default()
    };
    first.credentials = vec![used("key-2"), used("by-hand")];
    let unmanaged = "bao/openbao_approle/by-hand";
    let looks =
        vec![first, seen(unmanaged, T + 50, Some(json!({}))), seen(unmanaged, T + 60, None)];
    ledger.observe(looks).await.expect("it is kept");
    let rows = async |ledger: S::Ledger| {
        let integrations = ledger.integrations(&Selection::all()).await.expect("read");
        let credentials = ledger.credentials(&Selection::all()).await.expect("read");
        (ledger, integrations, credentials)
    };
    let (ledger, integrations, credentials) = rows(ledger).await;
    let row = |id: &str| integrations.iter().find(|row| row.id == id).expect("it has a row");
    let observed = row(ID).observed.as_ref().expect("it was seen");
    assert_eq!(observed.value, json!({"scopes": ["a:read"]}));
    assert!(row(ID).declared.is_some(), "what is declared stays");
    let expected = Integration {
        id: unmanaged.to_owned(),
        tenant: "openbao:c1".to_owned(),
        observed: row(unmanaged).observed.clone(),
        first_seen_at: Some(T + 50),
        last_seen_at: Some(T + 50),
        absent_since: Some(T + 60),
        ..Integration::default()
    };
    assert_eq!(*row(unmanaged), expected);
    let key = |id: &str| credentials.iter().find(|row| row.vendor_id == id).expect("it has a row");
    assert_eq!(key("key-2").state, "current", "a look does not change what is journalled");
    assert_eq!(key("key-2").last_used_at, Some(T + 40));
    assert_eq!(key("by-hand").state, "unmanaged");
    ledger.rebuild().await.expect("it can be rebuilt");
    sound(&ledger).await;
    let (_, again, keys_again) = rows(ledger).await;
    assert_eq!(again, integrations);
    assert_eq!(keys_again, credentials);
}

/// A document that is too long for an entry is kept beside it, and nobody notices.
pub async fn a_long_document_comes_back_whole<S: Store>(store: &S) {
    let ledger = store.fresh().await;
    let scopes: Vec<String> = (0..2000).map(|n| format!("secret/data/app-{n}/*:read")).collect();
    let document = json!({ "scopes": scopes, "weird": {"$sha256": "00"} });
    let change = Change::Declared {
        integration: ID.to_owned(),
        facet: "scopes".to_owned(),
        document: Some(document.clone()),
    };
    keep(&ledger, vec![entry(T, "declared", ID).change(change)]).await;
    for _ in 0..2 {
        let rows = ledger.integrations(&Selection::of(ID)).await.expect("read");
        let declared = rows[0].declared.as_ref().expect("it is declared");
        assert_eq!(declared.value["scopes"], document);
        ledger.rebuild().await.expect("it can be rebuilt");
    }
    sound(&ledger).await;
}

/// Slots and obligations come in the order in which they want something done.
pub async fn what_is_due_comes_earliest_first<S: Store>(store: &S) {
    let ledger = store.fresh().await;
    let slot = |name: &str, next_due_at| {
        Change::Slot(Slot {
            integration: ID.to_owned(),
            name: name.to_owned(),
            status: "scheduled".to_owned(),
            next_due_at,
            ..Slot::default()
        })
    };
    let obligation = |id: &str, state: &str, next_try_at| {
        Change::Obligation(Obligation {
            id: id.to_owned(),
            state: state.to_owned(),
            next_try_at: Some(next_try_at),
            ..Obligation::default()
        })
    };
    let changes = vec![
        slot("late", Some(T + 30)),
        slot("never", None),
        slot("early", Some(T + 10)),
        slot("not-yet", Some(T + 31)),
        obligation("b", "open", T + 2),
        obligation("a", "open", T + 3),
        obligation("c", "met", T + 1),
    ];
    keep(&ledger, vec![NewEntry { changes, ..entry(T, "declared", ID) }]).await;
    let due = ledger.due(T + 30).await.expect("read");
    assert_eq!(due.iter().map(|slot| &*slot.name).collect::<Vec<_>>(), ["early", "late"]);
    let open = ledger.open_obligations().await.expect("read");
    assert_eq!(open.iter().map(|row| &*row.id).collect::<Vec<_>>(), ["b", "a"]);
    let of = |subject: &str| {
        let of_it = Obligation {
            id: format!("of {subject}"),
            subject: subject.to_owned(),
            state: "open".to_owned(),
            ..Obligation::default()
        };
        Change::Obligation(of_it)
    };
    let changes = vec![of("one"), of("two")];
    keep(&ledger, vec![NewEntry { changes, ..entry(T, "declared", ID) }]).await;
    let open = ledger.obligations_of("two").await.expect("read");
    assert_eq!(open.iter().map(|row| &*row.id).collect::<Vec<_>>(), ["of two"]);
    assert!(ledger.obligations_of("three").await.expect("read").is_empty());
    let task = |id: &str, state: &str| {
        Change::Obligation(Obligation {
            id: id.to_owned(),
            deed: "task".to_owned(),
            state: state.to_owned(),
            ..Obligation::default()
        })
    };
    let changes = vec![task("task/b#", "open"), task("task/a#x", "met")];
    keep(&ledger, vec![NewEntry { changes, ..entry(T, "declared", ID) }]).await;
    let tasks = ledger.obligations_with("task").await.expect("read");
    let told: Vec<_> = tasks.iter().map(|row| (&*row.id, &*row.state)).collect();
    assert_eq!(told, [("task/a#x", "met"), ("task/b#", "open")]);
    assert!(ledger.obligations_with("retire").await.expect("read").is_empty());
}

/// Scans are kept with their gaps; the newest of each listing is what counts.
pub async fn the_newest_scan_of_each_listing_is_read<S: Store>(store: &S) {
    let ledger = store.fresh().await;
    let scan = |what: &str, started_at, read| Scan {
        tenant: "openbao:c1".to_owned(),
        what: what.to_owned(),
        started_at,
        finished_at: Some(started_at + 5),
        expected: Some(10),
        read,
        failed: 10 - read,
        skipped: read / 7,
        gaps: Some(json!([{"extent": "page"}])),
    };
    for one in [scan("roles", T, 10), scan("roles", T + 9, 7), scan("policies", T, 10)] {
        ledger.record_scan(one).await.expect("it is noted");
    }
    let scans = ledger.scans().await.expect("read");
    assert_eq!(scans, [scan("policies", T, 10), scan("roles", T + 9, 7)]);
    // Noted again it is the same one, and one that goes on is noted beside what came before it.
    let going_on = Scan { finished_at: None, ..scan("policies", T + 9, 1) };
    for one in [scan("roles", T + 9, 8), scan("roles", T + 3, 5), going_on.clone()] {
        ledger.record_scan(one).await.expect("it is noted");
    }
    let scans = ledger.scans().await.expect("read");
    assert_eq!(scans, [going_on, scan("roles", T + 9, 8)]);
    ledger.record_scan(scan("policies", T + 9, 9)).await.expect("it is noted");
    let scans = ledger.scans().await.expect("read");
    assert_eq!(scans, [scan("policies", T + 9, 9), scan("roles", T + 9, 8)]);
}

/// Who holds a checkpoint can check one entry without the others.
pub async fn a_checkpoint_proves_its_entries<S: Store>(store: &S) {
    let ledger = store.fresh().await;
    keep(&ledger, (0..5).map(|n| entry(T + n, "declared", ID)).collect()).await;
    let first = ledger.checkpoint(T).await.expect("made").expect("there are entries");
    let same = ledger.checkpoint(T + 1).await.expect("made");
    assert_eq!(same.as_ref(), Some(&first), "nothing new makes no checkpoint");
    keep(&ledger, (0..6).map(|n| entry(T + n, "declared", ID)).collect()).await;
    let second = ledger.checkpoint(T + 2).await.expect("made").expect("there are entries");
    let entries = read(&ledger, Filter::all()).await;
    let leaves: Vec<Hash> = entries.iter().map(|entry| tree::leaf(&entry.body)).collect();
    assert_eq!(ledger.checkpoints().await.expect("read"), [first.clone(), second.clone()]);
    for checkpoint in [&first, &second] {
        let size = checkpoint.size as usize;
        assert_eq!(checkpoint.root, tree::root(&leaves[..size]));
        assert_eq!(checkpoint.head, entries[size - 1].hash);
        for seq in [1, checkpoint.size] {
            let proof = ledger.prove(seq, checkpoint.size).await.expect("it is there");
            let leaf = &leaves[seq as usize - 1];
            assert!(tree::verify_inclusion(
                leaf,
                seq - 1,
                checkpoint.size,
                &proof,
                &checkpoint.root
            ));
        }
    }
    assert!(ledger.prove(first.size + 1, first.size).await.is_err());
    assert!(ledger.prove(0, first.size).await.is_err());
    assert!(ledger.prove(1, 99).await.is_err());
    sound(&ledger).await;
}

/// A name goes; the entries that speak of its id, and their hashes, stay.
pub async fn a_person_is_erased_and_the_chain_stays_whole<S: Store>(store: &S) {
    let ledger = store.fresh().await;
    let person = Person {
        id: "person:7".to_owned(),
        display: Some("Ada".to_owned()),
        email: Some("ada@acme.example".to_owned()),
        erased_at: None,
    };
    keep(&ledger, vec![entry(T, "declared", ID)]).await;
    ledger.put_person(person.clone()).await.expect("it is kept");
    assert_eq!(ledger.person("person:7").await.expect("read"), Some(person));
    ledger.erase_person("person:7", T + 1).await.expect("it is erased");
    keep(&ledger, vec![entry(T + 1, "person.erased", "person:7")]).await;
    let erased = Person { id: "person:7".to_owned(), erased_at: Some(T + 1), ..Person::default() };
    assert_eq!(ledger.person("person:7").await.expect("read"), Some(erased));
    sound(&ledger).await;
}

const LONG: Duration = Duration::from_secs(60);
/// Long enough for what is done in between, and short enough to be waited for.
const SHORT: Duration = Duration::from_millis(1500);

async fn lease<L: Ledger>(ledger: &L, subject: &str, holder: &str, time: Duration) -> Leased {
    ledger.lease(subject, holder, time).await.expect("it can be asked for")
}

async fn ours<L: Ledger>(ledger: &L, subject: &str, holder: &str, time: Duration) -> Fence {
    let leased = lease(ledger, subject, holder, time).await;
    leased.clone().ours().unwrap_or_else(|| panic!("{subject} is {holder}'s: {leased:?}"))
}

/// One at a time has it; the numbers of those who have it one after the other grow.
pub async fn a_lease_is_one_holders_until_it_is_over_or_given_back<S: Store>(store: &S) {
    let ledger = store.fresh().await;
    let first = ours(&ledger, ID, "one", SHORT).await;
    assert_eq!(first.subject, ID);
    assert_eq!(ours(&ledger, ID, "one", SHORT).await, first, "to have it longer is no new one");
    match lease(&ledger, ID, "two", LONG).await {
        Leased::Theirs { holder, left } => {
            assert_eq!(holder, "one", "it is told whose it is");
            assert!(left <= SHORT, "and for how long: {left:?}");
        }
        other => panic!("two have it: {other:?}"),
    }
    let beside = ours(&ledger, OTHER, "two", LONG).await;
    assert!(beside.number > first.number, "another thing is another lease");
    // It runs out by itself, and then whoever asks first has it, also who had it.
    std::thread::sleep(SHORT + Duration::from_millis(100));
    let second = ours(&ledger, ID, "two", LONG).await;
    assert!(second.number > beside.number, "numbers grow: {second:?}");
    assert!(lease(&ledger, ID, "one", LONG).await.ours().is_none());
    // Whoever had it gives nothing back that is another's now.
    ledger.release(&first).await.expect("it can be given back");
    assert!(lease(&ledger, ID, "one", LONG).await.ours().is_none());
    ledger.release(&second).await.expect("it can be given back");
    ledger.release(&second).await.expect("and once more");
    let third = ours(&ledger, ID, "one", LONG).await;
    assert!(third.number > second.number);
    if let Some(another) = store.another(&ledger).await {
        let theirs = lease(&another, ID, "two", LONG).await;
        assert!(theirs.ours().is_none(), "another process is told the same");
        another.release(&third).await.expect("whoever knows it may give it back");
        assert!(ours(&another, ID, "two", LONG).await.number > third.number);
        assert!(lease(&ledger, ID, "one", LONG).await.ours().is_none());
    }
    assert_eq!(ledger.head().await.expect("it has a head").seq, 0, "no entry speaks of it");
}

/// Whoever lost a lease begins nothing more; what is done already is written down all the same.
pub async fn what_was_begun_under_a_lease_that_is_lost_is_not_kept<S: Store>(store: &S) {
    let ledger = store.fresh().await;
    let under = |fence: &Fence| NewEntry {
        under: Some(fence.clone()),
        ..entry(T, "attempt.started", ID).detail("note", "e\u{301}")
    };
    let first = ours(&ledger, ID, "one", LONG).await;
    let kept = keep(&ledger, vec![under(&first), entry(T, "attempt.ended", ID)]).await;
    ledger.release(&first).await.expect("it can be given back");
    let second = ours(&ledger, ID, "two", SHORT).await;
    let before = ledger.head().await.expect("it has a head");
    let appends = [
        ledger.append(vec![under(&first)], Durability::Durable),
        ledger.append(vec![entry(T, "attempt.ended", ID)], Durability::Durable),
        ledger.append(vec![under(&second)], Durability::RideAlong),
    ];
    let [lost, done, theirs] = futures::future::join_all(appends).await.try_into().expect("three");
    let lost = lost.expect_err("it is another's");
    assert_eq!(lost.code(), "E-LEDGER-FENCED", "{lost}");
    assert!(lost.to_string().contains(ID), "{lost}");
    assert!(!lost.remedy().is_empty());
    done.expect("what is done is written down");
    theirs.expect("whoever has it goes on");
    let read = read(&ledger, Filter { after: before.seq, ..Filter::all() }).await;
    assert_eq!(read.len(), 2, "nothing of what was refused is there: {read:?}");
    assert!(read.iter().all(|entry| entry.under.is_none()), "no entry names its lease");
    // Over is over, whoever asks for it or not.
    std::thread::sleep(SHORT + Duration::from_millis(100));
    let over = ledger.append(vec![under(&second)], Durability::Durable).await;
    assert_eq!(over.expect_err("it is over").code(), "E-LEDGER-FENCED");
    assert!(kept[1] > kept[0]);
    sound(&ledger).await;
}

/// However many ask, over however many connections.
pub async fn of_many_who_ask_at_once_one_has_the_lease<S: Store>(store: &S) {
    let ledger = store.fresh().await;
    keep(&ledger, vec![entry(T, "declared", ID)]).await;
    let another = store.another(&ledger).await;
    let names: Vec<String> = (0..16).map(|n| format!("run-{n}")).collect();
    let asked = names.iter().enumerate().map(|(n, holder)| {
        let ledger = another.as_ref().filter(|_| n % 2 == 1).unwrap_or(&ledger);
        lease(ledger, ID, holder, LONG)
    });
    let got = futures::future::join_all(asked).await;
    let ours: Vec<usize> = (0..got.len()).filter(|n| got[*n].clone().ours().is_some()).collect();
    assert_eq!(ours.len(), 1, "{got:?}");
    for one in &got {
        if let Leased::Theirs { holder, .. } = one {
            assert_eq!(holder, &names[ours[0]], "all are told the same");
        }
    }
}

/// What a store holds that must be the same whatever was taken out.
async fn rows<L: Ledger>(ledger: &L) -> String {
    let all = Selection::all();
    format!(
        "{:#?} {:#?} {:#?} {:#?} {:#?}",
        ledger.integrations(&all).await.expect("read"),
        ledger.slots(&all).await.expect("read"),
        ledger.credentials(&all).await.expect("read"),
        ledger.open_obligations().await.expect("read"),
        ledger.tenants().await.expect("read"),
    )
}

/// Takes out what is older than a moment, as the command does; the file.
async fn take_out<L: Ledger>(ledger: &L, before: i64) -> Option<Vec<u8>> {
    let through =
        archive::through(ledger, before).await.expect("read").expect("there is a checkpoint");
    let mut file = Vec::new();
    export::write_up_to(ledger, through, &mut file).await.expect("written");
    let by = entry(T + 50, "", "");
    let place = (Hash::of(&file), "/archive/1.jsonl".to_owned());
    let asked = archive::compaction(ledger, through, place, &by).await.expect("read");
    // Who looked before somebody appended does nothing.
    let stale = Compaction {
        head: Head { seq: asked.head.seq - 1, ..asked.head.clone() },
        ..asked.clone()
    };
    match ledger.compact(stale).await {
        Err(Error::Usage(_)) => return None,
        other => assert_eq!(other.expect_err("it is refused").code(), "E-LEDGER-BUSY"),
    }
    ledger.compact(asked).await.expect("taken out");
    Some(file)
}

/// The chain, the tree, the rows and every open obligation go on from what was taken out, once and again,
/// and the file says with its own lines that it is what was taken out.
pub async fn what_is_taken_out_lies_in_a_file_and_what_is_left_is_whole<S: Store>(store: &S) {
    let ledger = store.fresh().await;
    let long = |letter: &str| json!([letter.repeat(1500)]);
    let declared = |facet: &str, document| Change::Declared {
        integration: ID.to_owned(),
        facet: facet.to_owned(),
        document,
    };
    let slot = |generation| {
        let (integration, name) = (ID.to_owned(), "main".to_owned());
        Change::Slot(Slot {
            integration,
            name,
            generation,
            status: "ok".to_owned(),
            sinks: Some(long("s")),
            ..Slot::default()
        })
    };
    let owed = |id: &str, state: &str| {
        Change::Obligation(Obligation {
            id: id.to_owned(),
            subject: ID.to_owned(),
            deed: "retire".to_owned(),
            on_overdue: "finding".to_owned(),
            state: state.to_owned(),
            detail: Some(long("o")),
            ..Obligation::default()
        })
    };
    let key = Change::Credential(Credential {
        integration: ID.to_owned(),
        vendor_id: "k1".to_owned(),
        kind: "secret_id".to_owned(),
        state: "current".to_owned(),
        ..Credential::default()
    });
    let tenant = Change::Tenant(Tenant {
        key: "openbao:c1".to_owned(),
        connection: "bao".to_owned(),
        pinned_at: T,
    });
    let with = |at, changes: Vec<Change>| NewEntry { changes, ..entry(at, "declared", ID) };
    keep(
        &ledger,
        vec![
            with(
                T,
                vec![
                    tenant,
                    declared("scopes", Some(long("a"))),
                    declared("owners", Some(json!("x"))),
                ],
            ),
            with(T + 1, vec![slot(1), key, owed("done", "open"), owed("open", "open")]),
            with(T + 2, vec![owed("done", "met"), declared("scopes", Some(long("b")))]),
        ],
    )
    .await;
    ledger.checkpoint(T + 3).await.expect("made");
    keep(&ledger, vec![with(T + 20, vec![slot(2), declared("owners", None)])]).await;
    ledger.checkpoint(T + 21).await.expect("made");
    keep(&ledger, vec![entry(T + 40, "declared", OTHER)]).await;
    let (before, head) = (rows(&ledger).await, ledger.head().await.expect("a head"));

    assert_eq!(archive::through(&ledger, T).await.expect("read"), None, "nothing is that old");
    // The first time up to the first checkpoint, the second time beyond.
    let mut archived = 0;
    for (moment, nth) in [(T + 10, 1), (T + 30, 2)] {
        let Some(file) = take_out(&ledger, moment).await else { return };
        let archives = ledger.archives().await.expect("read");
        assert_eq!(archives.len(), nth);
        let archive = &archives[nth - 1];
        assert_eq!(archive.first, archived + 1, "it goes on from the one before");
        archived = archive.last;
        sound_behind(&ledger, archived).await;
        assert_eq!(
            rows(&ledger).await,
            before,
            "no row has changed, and nothing that is owed is lost"
        );
        ledger.rebuild().await.expect("folded");
        assert_eq!(rows(&ledger).await, before, "what is left folds to the same");
        let left = read(&ledger, Filter::all()).await;
        assert_eq!(left[0].seq, archived + 1, "what was taken out is out");
        let told = Filter { kinds: vec!["ledger.compacted".to_owned()], ..Filter::all() };
        let told = read(&ledger, told).await;
        assert_eq!(told.last().expect("it is told").detail["last"], json!(archived));
        let mut reader = export::Reader::new("file".to_owned(), &file[..]);
        let parts: Vec<_> = (&mut reader).map(|part| part.expect("it is whole")).collect();
        assert!(parts.len() > 3);
        assert_eq!(reader.ended(), Some((archived, archive.head, archive.root)));
        assert_eq!(archive.file, Hash::of(&file));
        let refused = ledger.prove(1, archived).await.expect_err("it lies in a file");
        assert!(refused.to_string().contains("/archive/1.jsonl"), "{refused}");
    }
    assert!(archived > 4 && archived < head.seq);

    // It goes on as if nothing had been taken out.
    keep(&ledger, vec![with(T + 60, vec![slot(3)])]).await;
    let point = ledger.checkpoint(T + 61).await.expect("made").expect("there are entries");
    sound_behind(&ledger, archived).await;
    assert!(ledger.ready(Work::Begins).await.expect("it may").is_none());
    // Another store takes it over as it is.
    let mut lines = Vec::new();
    export::write(&ledger, &mut lines).await.expect("written");
    let other = store.fresh().await;
    let reader = export::Reader::new("export".to_owned(), std::io::Cursor::new(lines));
    let head = other.take_over(Box::new(reader)).await.expect("taken over");
    assert_eq!(head, ledger.head().await.expect("a head"));
    assert_eq!(other.archives().await.expect("read"), ledger.archives().await.expect("read"));
    assert_eq!(other.checkpoints().await.expect("read").last(), Some(&point));
    sound_behind(&other, archived).await;
    // What was changed behind it is still found.
    if store.tamper(&ledger, archived + 2, Tampering::Body).await {
        let found = ledger.verify(Range::ALL).await.expect("damage is no error");
        assert_eq!(found.first_bad.expect("it is found").seq, archived + 2);
    }
    if store.tamper(&other, archived + 1, Tampering::Missing).await {
        let found = other.verify(Range::ALL).await.expect("damage is no error");
        assert_eq!(found.first_bad.expect("it is found").seq, archived + 1);
    }
}

async fn sound_behind<L: Ledger>(ledger: &L, archived: u64) {
    let found = ledger.verify(Range::ALL).await.expect("it can be verified");
    assert!(found.is_sound(), "the ledger is sound: {found:?}");
    assert_eq!(found.archived, archived);
    let head = ledger.head().await.expect("it has a head");
    assert_eq!(found.entries, head.seq - archived, "every entry that is left was verified");
    let stated = found.last_good_checkpoint.expect("a checkpoint vouches for it");
    assert!(stated.size >= archived, "{stated:?}");
    let differences = ledger.compare().await.expect("it can be compared");
    assert!(differences.is_empty(), "the rows are what the entries say: {differences:?}");
}

/// However many draw of it; and one who is asked for patience asks for it on behalf of all.
pub async fn all_who_share_a_ledger_ask_a_tenant_no_more_than_its_budget<S: Store>(store: &S) {
    let ledger = store.fresh().await;
    let another = store.another(&ledger).await;
    let begun = std::time::Instant::now();
    let mut drawn = 0;
    let mut asked = 0;
    // A second's worth is there at once, and after that what time gives.
    while begun.elapsed() < Duration::from_millis(1200) {
        asked += 1;
        let from = another.as_ref().filter(|_| asked % 2 == 0).unwrap_or(&ledger);
        match from.draw("openbao:c1", 7, 50).await.expect("it can be asked for") {
            Drawn::Requests(requests) => {
                assert!((1..=7).contains(&requests));
                drawn += requests;
            }
            Drawn::Wait(wait) => {
                assert!(wait <= Duration::from_millis(21), "{wait:?}");
                std::thread::sleep(wait);
            }
        }
    }
    let most = 50.0 + 50.0 * begun.elapsed().as_secs_f64() + 1.0;
    assert!(drawn >= 70 && f64::from(drawn) <= most, "{drawn} of {most}");
    let other = ledger.draw("openbao:c2", 7, 50).await.expect("it can be asked for");
    assert_eq!(other, Drawn::Requests(7), "another tenant has its own");
    ledger.freeze("openbao:c2", LONG).await.expect("noted");
    ledger.freeze("openbao:c2", SHORT).await.expect("noted");
    let by = another.as_ref().unwrap_or(&ledger);
    match by.draw("openbao:c2", 7, 50).await.expect("it can be asked for") {
        Drawn::Wait(wait) => assert!(wait > SHORT && wait <= LONG, "the longest holds: {wait:?}"),
        other => panic!("it is left alone: {other:?}"),
    }
}
