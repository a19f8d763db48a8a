use approval::{
    Envelope, PrivateKey, Review, Revoked, Signers, Statement, namespace,
    review::Conclusion,
    sshsig,
    statement::{Policy, Said},
};
use ledger::{
    Actor, Durability, Ledger as _, MemoryLedger, NewEntry, Trigger, inventory::Change as Row,
    note::NoteKey,
};
use policy::change::{Action, Change, Digest, Value as Governed, quorum::Decision};
use proptest::prelude::*;
use serde_json::json;

use super::{
    collect::collect,
    form::{self, Form},
    verify::{Holds, Means, People, Report, verify},
    *,
};
use crate::commands::evidence::seal;

const ID: &str = "bao/app/invoice-sync";
const DOMAIN: &str = "acme.example";

fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

fn ssh_key(seed: u8) -> PrivateKey {
    PrivateKey::from(ssh_key::private::Ed25519Keypair::from_seed(&[seed; 32]))
}

fn envelope(key: &PrivateKey, payload: Vec<u8>) -> Vec<u8> {
    let bytes = Envelope::signed_bytes(&payload);
    let signature = sshsig::sign(key, &namespace(DOMAIN), &bytes).unwrap();
    Envelope { payload, signatures: vec![signature] }.to_json("key").into_bytes()
}

fn approved(digest: Digest, key: &PrivateKey, decision: Decision, until: &str) -> Vec<u8> {
    let statement = Statement {
        subjects: [(digest, "nhi_scope".to_owned())].into(),
        said: Said {
            decision,
            role: "security".into(),
            reason: "read and found right".into(),
            signed_at: at("2027-01-10T09:00:00Z"),
            not_before: at("2027-01-10T09:00:00Z"),
            not_after: at(until),
            requester: Some("rob@acme.example".into()),
            ticket: Some("CHG-7".into()),
            policy: Policy { version: 12, digest: "00".into() },
            shown: "00".into(),
            nonce: format!("n{until}"),
        },
    };
    envelope(key, statement.to_bytes())
}

fn people(more: &str) -> People {
    let line = |name: &str, seed: u8| {
        let key = ssh_key(seed).public_key().to_openssh().unwrap();
        format!("{name}@{DOMAIN} {more} {key}\n")
    };
    let text = [line("ann", 1), line("sam", 2)].concat();
    People {
        namespace: namespace(DOMAIN),
        signers: Signers::parse(&text).unwrap(),
        revoked: Revoked::default(),
    }
}

fn change() -> Change {
    let scopes = |all: &[&str]| Governed::map([("scopes", Governed::set(all.iter().copied()))]);
    Change {
        tenant: "tenant:c1".into(),
        kind: "nhi_scope".into(),
        object: "role-1".into(),
        action: Action::Update,
        generation: 0,
        before: scopes(&["invoices:read"]),
        after: scopes(&["invoices:read", "invoices:write"]),
    }
}

/// A ledger in which a change was approved by two and done, a key was ended, and a review was made.
async fn ledger(approvals: &[Vec<u8>]) -> MemoryLedger {
    let told = [(1, "security"), (2, "security")];
    ledger_that_says("approval", &told, &["security", "security"], approvals).await
}

/// A ledger that says of that change by what it was allowed, by which keys, and in which roles.
async fn ledger_that_says(
    auth: &str,
    told: &[(u8, &str)],
    roles: &[&str],
    approvals: &[Vec<u8>],
) -> MemoryLedger {
    let ledger = MemoryLedger::new();
    let digest = format!("sha256:{}", change().digest().hex());
    let moment = |text: &str| at(text).as_millisecond();
    let by = |entry: NewEntry| {
        let actor = Actor { program: "p/1".into(), run: "r1".into(), principal: None };
        let trigger = Trigger { requester: Some("rob".into()), ..Trigger::from("apply") };
        entry.by(actor, trigger)
    };
    let print = |seed| ssh_key(seed).public_key().fingerprint(ssh_key::HashAlg::Sha256).to_string();
    let one = |(seed, role): &(u8, &str)| json!({ "key": print(*seed), "role": role });
    let told: Vec<_> = told.iter().map(one).collect();
    let declared = Row::Declared {
        integration: ID.into(),
        facet: "record".into(),
        document: Some(
            json!({ "purpose": "Sends invoices <b>&".repeat(60), "owners": ["a", "b"] }),
        ),
    };
    let mut allowed = by(NewEntry::new(moment("2027-01-10T10:00:00Z"), "change.authorized", ID))
        .detail("level", "high")
        .detail("people", json!(told))
        .detail("approved_as", json!(roles))
        .keep("record", change().canonical().as_bytes());
    for one in approvals {
        allowed = allowed.keep("approval", one);
    }
    allowed.auth = Some(format!("{auth}:{digest}"));
    allowed.digest_after = Some(change().digest().hex());
    let mut done = by(NewEntry::new(moment("2027-01-10T10:00:01Z"), "attempt.ended", ID));
    done.outcome = Some("done".into());
    done.request_id = Some("req-4711".into());
    done.auth = Some(format!("approval:{digest}"));
    let mut over = by(NewEntry::new(moment("2027-01-10T10:00:02Z"), "change.done", ID));
    over.digest_after = Some(change().digest().hex());
    over.outcome = Some("done".into());
    let proven = by(NewEntry::new(
        moment("2027-01-11T10:00:00Z"),
        "rotation.proven",
        format!("{ID}/credential/main"),
    ))
    .detail("key", "k1")
    .detail("grade", "A, residual until 2027-01-11T11:00:00Z");
    let review = Review::new(
        ("tenant:c1", ID),
        (Conclusion::Keep, "still needed"),
        at("2027-01-12T08:00:00Z"),
        ("00".into(), "n".into()),
    );
    let reviewed = by(NewEntry::new(moment("2027-01-12T09:00:00Z"), "review.concluded", ID))
        .detail("decision", "keep")
        .keep("review", &envelope(&ssh_key(1), review.to_bytes()));
    let other = NewEntry::new(moment("2027-01-10T08:00:00Z"), "declared", "bao/app/x");
    let first = by(NewEntry::new(moment("2027-01-09T08:00:00Z"), "declared", ID)).change(declared);
    let all = vec![first, other, allowed, done, over, proven, reviewed];
    ledger.append(all, Durability::Durable).await.unwrap();
    ledger
}

fn two() -> Vec<Vec<u8>> {
    let digest = change().digest();
    [1, 2]
        .map(|seed| approved(digest, &ssh_key(seed), Decision::Approve, "2027-01-10T13:00:00Z"))
        .into()
}

async fn bundle(approvals: &[Vec<u8>], key: Option<&NoteKey>) -> Bundle {
    let ledger = ledger(approvals).await;
    let now = at("2027-02-01T00:00:00Z");
    let asked = Asked::Integration(ID.into());
    let mut bundle = collect(&ledger, asked, now, Claimed::default(), Vec::new()).await.unwrap();
    seal(&mut bundle, key);
    bundle
}

fn key() -> NoteKey {
    NoteKey::make("acme-ledger").unwrap().unwrap().0
}

fn means(key: &NoteKey) -> Means {
    Means { key: Some(key.verifier().clone()), people: Some(people("")) }
}

fn wrong(report: &Report) -> String {
    report.of(Holds::Wrong).collect::<Vec<_>>().join("\n")
}

#[tokio::test]
async fn evidence_shows_who_approved_what_was_done_and_how_an_end_was_proven() {
    let key = key();
    let bundle = bundle(&two(), Some(&key)).await;
    let report = verify(&bundle, &means(&key));
    assert_eq!((wrong(&report).as_str(), report.lacks()), ("", false), "{report:#?}");
    let proven: Vec<&str> = report.of(Holds::Proven).collect();
    let has = |what: &str| proven.iter().any(|one| one.contains(what));
    for what in [
        "ann@acme.example approved the change",
        "sam@acme.example approved the change",
        "the record is that of the change",
        "ann@acme.example reviewed",
        "6 entries are in the tree",
        "sealed it",
        "had 7 entries, signed by acme-ledger",
    ] {
        assert!(has(what), "{what}: {proven:#?}");
    }
    let told = &bundle.told;
    assert_eq!(told["changes"][0]["before"]["scopes"], json!(["invoices:read"]));
    assert_eq!(told["changes"][0]["outcome"], "done");
    assert_eq!(told["deeds"][0]["request_id"], "req-4711");
    assert_eq!(told["revocations"][0]["grade"], "A, residual until 2027-01-11T11:00:00Z");
    assert_eq!(told["declared"]["declared"]["record"]["owners"], json!(["a", "b"]));
    assert_eq!(Bundle::from_text(&bundle.to_text()).unwrap(), bundle);
    let schema: Value =
        serde_json::from_str(include_str!("../../../docs/schemas/evidence.json")).unwrap();
    let validator = jsonschema::validator_for(&schema).unwrap();
    let written: Value = serde_json::from_str(&bundle.to_text()).unwrap();
    let errors: Vec<String> = validator.iter_errors(&written).map(|one| one.to_string()).collect();
    assert!(errors.is_empty(), "{errors:#?}");
    let html = form::render(&bundle, &report, Form::Html);
    assert!(html.contains("req-4711") && !html.contains("<b>&"), "names are no markup");
    let markdown = form::render(&bundle, &report, Form::Markdown);
    assert!(
        markdown.contains("## When it was reviewed") && !markdown.contains("<b>"),
        "{markdown}"
    );
}

#[tokio::test]
async fn a_key_that_was_retired_since_still_shows_it_and_one_that_was_not_valid_or_taken_back_does_not()
 {
    let key = key();
    let bundle = bundle(&two(), Some(&key)).await;
    let with = |people: People| {
        let means = Means { key: Some(key.verifier().clone()), people: Some(people) };
        verify(&bundle, &means)
    };
    assert_eq!(wrong(&with(people("valid-before=\"20270120Z\""))), "", "it was valid then");
    let early = wrong(&with(people("valid-after=\"20270111Z\"")));
    assert!(early.contains("E-APPROVAL-SIGNER") && early.contains("no statement shows"), "{early}");
    let mut taken_back = people("");
    let line = ssh_key(2).public_key().to_openssh().unwrap();
    taken_back.revoked = Revoked::parse(line.as_bytes()).unwrap();
    let back = wrong(&with(taken_back));
    assert!(back.contains("taken back"), "{back}");
    let other = People { namespace: namespace("other.example"), ..people("") };
    assert!(wrong(&with(other)).contains("namespace"));
}

#[tokio::test]
async fn what_does_not_allow_the_change_is_told() {
    let key = key();
    let digest = change().digest();
    let late = approved(digest, &ssh_key(1), Decision::Approve, "2027-01-10T09:30:00Z");
    let other = approved(Digest([9; 32]), &ssh_key(2), Decision::Approve, "2027-01-10T13:00:00Z");
    let bundle = bundle(&[late, other], Some(&key)).await;
    let wrong = wrong(&verify(&bundle, &means(&key)));
    assert!(wrong.contains("for another time"), "{wrong}");
    assert!(wrong.contains("about other changes"), "{wrong}");
    assert_eq!(wrong.matches("no statement shows").count(), 2, "{wrong}");
}

/// What is wrong with evidence of a ledger that says so, and whether it lacks something.
async fn judged(
    auth: &str,
    told: &[(u8, &str)],
    roles: &[&str],
    approvals: &[Vec<u8>],
) -> (String, bool) {
    let key = key();
    let ledger = ledger_that_says(auth, told, roles, approvals).await;
    let asked = Asked::Integration(ID.into());
    let now = at("2027-02-01T00:00:00Z");
    let mut bundle = collect(&ledger, asked, now, Claimed::default(), Vec::new()).await.unwrap();
    seal(&mut bundle, Some(&key));
    let report = verify(&bundle, &means(&key));
    (wrong(&report), report.lacks())
}

#[tokio::test]
async fn what_is_told_to_be_signed_and_is_shown_by_no_signature_is_not_believed() {
    let until = "2027-01-10T13:00:00Z";
    let alone = approved(change().digest(), &ssh_key(1), Decision::BreakGlass, until);
    let (both, nobody) = ([(1, "security"), (2, "security")], [].as_slice());
    let one = &both[..1];
    for auth in ["approval", "break-glass"] {
        let (told, lacks) = judged(auth, nobody, &[], &[]).await;
        assert_eq!((told.as_str(), lacks), ("", true), "{auth}: it is only said");
        // Naming roles is no proof either.
        assert!(judged(auth, nobody, &["security"], &[]).await.1, "{auth}");
        assert!(judged(auth, one, &[], &[]).await.0.contains("no statement shows"), "{auth}");
    }
    // As many as are told must be shown, whoever is left out of the names.
    let told = judged("approval", one, &["security", "security"], &two()[..1]).await.0;
    assert!(told.contains("2 are told to have approved, and of 1"), "{told}");
    assert_eq!(judged("approval", &both, &["security", "security"], &two()).await.0, "");
    // Who goes ahead alone has approved nothing, and who approves has not gone ahead alone.
    let told = judged("approval", one, &[], std::slice::from_ref(&alone)).await.0;
    assert!(told.contains("1 are told to have approved, and of 0"), "{told}");
    let told = judged("break-glass", one, &["security"], &two()[..1]).await.0;
    assert!(told.contains("gone ahead alone"), "{told}");
    assert_eq!(judged("break-glass", one, &[], &[alone]).await, (String::new(), false));
    let told = judged("approval:sha256:00", &both, &["security"], &two()).await.0;
    assert!(told.contains("is another change than"), "{told}");
    // Where rules allowed it nobody is asked for.
    assert_eq!(judged("policy", nobody, &[], &[]).await, (String::new(), false));
    // Without a file of signers it is not known who signed, whatever is named.
    let ledger = ledger_that_says("approval", nobody, &[], &[]).await;
    let (asked, now) = (Asked::Integration(ID.into()), at("2027-02-01T00:00:00Z"));
    let mut bare = collect(&ledger, asked, now, Claimed::default(), Vec::new()).await.unwrap();
    let key = key();
    seal(&mut bare, Some(&key));
    let report = verify(&bare, &Means { key: Some(key.verifier().clone()), people: None });
    assert!(report.of(Holds::Claimed).any(|one| one.contains("who approved")), "{report:#?}");
}

#[tokio::test]
async fn who_asked_for_a_change_has_not_approved_it_in_whatever_order_statements_lie() {
    let statement = |seed, requester: &str| {
        let mut one = Statement::from_bytes(
            &Envelope::from_json(&two()[usize::from(seed - 1)]).unwrap().payload,
        )
        .unwrap();
        one.said.requester = Some(requester.into());
        envelope(&ssh_key(seed), one.to_bytes())
    };
    let (anns, sams) = (statement(1, "rob@acme.example"), statement(2, "ann@acme.example"));
    let both = [(1, "security"), (2, "security")];
    for all in [[anns.clone(), sams.clone()], [sams, anns]] {
        let told = judged("approval", &both, &["security", "security"], &all).await.0;
        assert!(told.contains("ann@acme.example asked for it and approved it"), "{told}");
        assert_eq!(told.lines().count(), 1, "{told}");
    }
    // Who goes ahead alone may have asked for it.
    let mut alone =
        Statement::from_bytes(&Envelope::from_json(&two()[0]).unwrap().payload).unwrap();
    alone.said.decision = Decision::BreakGlass;
    alone.said.requester = Some("ann@acme.example".into());
    let alone = envelope(&ssh_key(1), alone.to_bytes());
    assert_eq!(judged("break-glass", &both[..1], &[], &[alone]).await.0, "");
}

#[tokio::test]
async fn without_keys_it_holds_and_says_what_it_lacks() {
    let bare = bundle(&two(), None).await;
    let report = verify(&bare, &Means::default());
    assert_eq!((wrong(&report).as_str(), report.lacks()), ("", true));
    let claimed: Vec<&str> = report.of(Holds::Claimed).collect();
    for what in ["nobody signed its seal", "no signed checkpoint", "who approved", "who reviewed"] {
        assert!(claimed.iter().any(|one| one.contains(what)), "{what}: {claimed:#?}");
    }
    // Who took the signatures away cannot make it look shown.
    let key = key();
    let mut stripped = bundle(&two(), Some(&key)).await;
    (stripped.checkpoint, stripped.seal.note) = (None, None);
    stripped.seal.sha256 = stripped.digest();
    assert!(verify(&stripped, &means(&key)).lacks());
}

#[tokio::test]
async fn what_somebody_edits_and_seals_anew_without_the_key_is_found() {
    let key = key();
    let whole = bundle(&two(), Some(&key)).await;
    type Edit = fn(&mut Bundle);
    let edits: [(&str, Edit); 9] = [
        ("not of this text", |one| one.tree.size += 1),
        ("cover its body", |one| one.entries[1].body = one.entries[1].body.replace("high", "none")),
        ("not in the tree", |one| {
            let piece = &mut one.entries[0];
            piece.body = piece.body.replace("apply", "tick");
            let prev = Hash::from_hex(&piece.prev).unwrap();
            piece.hash = ledger::chain::link(&prev, piece.body.as_bytes()).to_string();
        }),
        ("not what the entries say", |one| one.told["deeds"][0]["request_id"] = json!("x")),
        ("not what the entries say", |one| drop(one.entries.remove(3))),
        ("not in order", |one| one.entries.swap(2, 3)),
        ("not what its hash says", |one| {
            let text = one.documents.values_mut().next().unwrap();
            *text = text.replace(['a', 'b'], "c");
        }),
        ("seal", |one| one.claimed.findings = Some(json!([]))),
        ("seal", |one| one.made.at = Timestamp::UNIX_EPOCH),
    ];
    for (what, edit) in edits {
        let mut one = whole.clone();
        edit(&mut one);
        let told = wrong(&verify(&one, &means(&key)));
        assert!(told.contains("seal is of another"), "{what}: {told}");
        one.seal.sha256 = one.digest();
        let told = wrong(&verify(&one, &means(&key)));
        assert!(told.contains(what) || told.contains("another ledger, size"), "{what}: {told}");
        assert!(told.contains("sealed") || told.contains("signed for something else"), "{told}");
    }
    // Another's key seals it: it is not the one that is trusted.
    let mut forged = whole.clone();
    seal(&mut forged, Some(&NoteKey::make("acme-ledger").unwrap().unwrap().0));
    assert!(wrong(&verify(&forged, &means(&key))).contains("not signed by acme-ledger"));
}

#[tokio::test]
async fn a_time_is_shown_to_be_whole_and_a_part_of_it_is_not() {
    let key = key();
    let ledger = ledger(&two()).await;
    let asked =
        Asked::Period { since: at("2027-01-10T10:00:00Z"), until: at("2027-01-12T00:00:00Z") };
    let now = at("2027-02-01T00:00:00Z");
    let mut whole = collect(&ledger, asked, now, Claimed::default(), Vec::new()).await.unwrap();
    seal(&mut whole, Some(&key));
    let shown = |one: &Bundle| {
        let report = verify(one, &means(&key));
        report.of(Holds::Proven).any(|one| one.contains("no entry is left out between 3 and 6"))
    };
    assert_eq!(whole.entries.iter().map(|one| one.seq).collect::<Vec<_>>(), [3, 4, 5, 6]);
    assert!(shown(&whole));
    whole.entries.remove(1);
    assert!(!shown(&whole));
}

#[tokio::test]
async fn one_change_is_told_with_what_was_done_under_it() {
    let ledger = ledger(&two()).await;
    let asked = Asked::Change(change().digest().hex());
    let now = at("2027-02-01T00:00:00Z");
    let one = collect(&ledger, asked, now, Claimed::default(), Vec::new()).await.unwrap();
    assert_eq!(one.entries.iter().map(|one| one.seq).collect::<Vec<_>>(), [3, 4, 5]);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 192, ..ProptestConfig::default() })]

    #[test]
    fn whatever_byte_of_evidence_is_changed_it_is_found(
        place in any::<prop::sample::Index>(),
        to in prop_oneof![any::<u8>(), b'0'..=b'9', b'a'..=b'f', Just(b' '), Just(b'\n')],
        how in 0u8..3,
    ) {
        static WHOLE: std::sync::OnceLock<(String, NoteKey)> = std::sync::OnceLock::new();
        let (text, key) = WHOLE.get_or_init(|| {
            let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
            let key = key();
            (runtime.block_on(bundle(&two(), Some(&key))).to_text(), key)
        });
        let mut bytes = text.clone().into_bytes();
        let at = place.index(bytes.len());
        match how {
            0 => { bytes.remove(at); }
            1 => bytes.insert(at, to),
            _ => bytes[at] = to,
        }
        prop_assume!(bytes != text.as_bytes());
        let found = match String::from_utf8(bytes).map(|text| Bundle::from_text(&text)) {
            Ok(Ok(bundle)) => verify(&bundle, &means(key)).is_wrong(),
            _ => true,
        };
        prop_assert!(found);
    }
}
