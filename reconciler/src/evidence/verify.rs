//! Checks evidence with nothing but itself and whom one trusts.
//!
//! What is found is of three sorts: it is proven, it is only claimed, or it is wrong. What cannot be
//! proven for want of a key is claimed, and never passed over.

use std::collections::{BTreeMap, BTreeSet};

use approval::{Revoked, Signers, Statement, Trust};
use jiff::Timestamp;
use ledger::{
    Entry, Hash,
    chain::link,
    note::{self, Note, Verifier},
    tree,
};
use policy::change::{Digest, SCHEMA, quorum::Decision};

use super::{Asked, Bundle, told};

/// Whom to trust.
#[derive(Debug, Default)]
pub(crate) struct Means {
    /// Who signs checkpoints and seals.
    pub(crate) key: Option<Verifier>,
    /// Who may approve and review.
    pub(crate) people: Option<People>,
}

/// Who may sign, and where.
#[derive(Debug)]
pub(crate) struct People {
    pub(crate) namespace: String,
    pub(crate) signers: Signers,
    pub(crate) revoked: Revoked,
}

impl People {
    fn trust(&self) -> Trust<'_> {
        Trust { namespace: &self.namespace, signers: &self.signers, revoked: &self.revoked }
    }
}

/// How far something holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Holds {
    /// It is not as it says.
    Wrong,
    /// Whoever made it says so.
    Claimed,
    /// It is shown.
    Proven,
}

/// One thing that was looked at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Check {
    pub(crate) holds: Holds,
    pub(crate) what: String,
    /// A key or a file would show more.
    pub(crate) lacks: bool,
}

/// Everything that was looked at.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Report {
    pub(crate) checks: Vec<Check>,
}

impl Report {
    fn add(&mut self, holds: Holds, what: impl Into<String>) {
        self.checks.push(Check { holds, what: what.into(), lacks: false });
    }

    fn lack(&mut self, what: impl Into<String>) {
        self.checks.push(Check { holds: Holds::Claimed, what: what.into(), lacks: true });
    }

    /// What holds so far.
    pub(crate) fn of(&self, holds: Holds) -> impl Iterator<Item = &str> {
        self.checks.iter().filter(move |one| one.holds == holds).map(|one| one.what.as_str())
    }

    /// Whether anything is wrong.
    pub(crate) fn is_wrong(&self) -> bool {
        self.of(Holds::Wrong).next().is_some()
    }

    /// Whether something would be shown with a key that was not named.
    pub(crate) fn lacks(&self) -> bool {
        self.checks.iter().any(|one| one.lacks)
    }
}

/// Checks all of it.
pub(crate) fn verify(bundle: &Bundle, means: &Means) -> Report {
    let mut report = Report::default();
    seal(bundle, means, &mut report);
    checkpoint(bundle, means, &mut report);
    entries(bundle, &mut report);
    documents(bundle, &mut report);
    let read = bundle.read();
    for entry in &read {
        match entry.kind.as_str() {
            told::AUTHORIZED => authorized(bundle, entry, means, &mut report),
            told::REVIEWED => reviewed(bundle, entry, means, &mut report),
            _ => {}
        }
    }
    match told::told(bundle) == bundle.told {
        true => report.add(Holds::Proven, "what is told in words is what the entries say"),
        false => report.add(Holds::Wrong, "what is told in words is not what the entries say"),
    }
    claims(bundle, &read, &mut report);
    report
}

fn seal(bundle: &Bundle, means: &Means, report: &mut Report) {
    if bundle.digest() != bundle.seal.sha256 {
        return report
            .add(Holds::Wrong, "it was changed after it was made: its seal is of another");
    }
    let Some(note) = &bundle.seal.note else {
        return report
            .lack("nobody signed its seal: what is in no entry may have been written by anybody");
    };
    let Some(key) = &means.key else {
        return report.lack("no key was named that checks who sealed it (--checkpoint-key)");
    };
    let read = Note::parse(note).and_then(|note| note.signed_by(key).map(|()| note.text));
    match read {
        Ok(text) if text == bundle.sealed_text() => {
            report.add(Holds::Proven, format!("all of it is as {} sealed it", key.name()));
        }
        Ok(_) => report.add(Holds::Wrong, "its seal was signed for something else"),
        Err(why) => report.add(Holds::Wrong, format!("its seal does not count: {why}")),
    }
}

fn checkpoint(bundle: &Bundle, means: &Means, report: &mut Report) {
    let tree = &bundle.tree;
    let Some(note) = &bundle.checkpoint else {
        return report.lack(
            "no signed checkpoint is in it: nothing shows that the ledger had these entries",
        );
    };
    let read = Note::parse(note).and_then(|note| Ok((note::Stated::parse(&note.text)?, note)));
    let (stated, note) = match read {
        Ok(read) => read,
        Err(why) => return report.add(Holds::Wrong, format!("its checkpoint is none: {why}")),
    };
    if (&stated.origin, stated.size, stated.root.to_string())
        != (&tree.origin, tree.size, tree.root.clone())
    {
        return report.add(Holds::Wrong, "its checkpoint states another ledger, size or root");
    }
    let Some(key) = &means.key else {
        return report.lack("no key was named that checks its checkpoint (--checkpoint-key)");
    };
    match note.signed_by(key) {
        Ok(()) => report.add(
            Holds::Proven,
            format!("{} had {} entries, signed by {}", tree.origin, tree.size, key.name()),
        ),
        Err(why) => report.add(Holds::Wrong, format!("its checkpoint does not count: {why}")),
    }
}

fn entries(bundle: &Bundle, report: &mut Report) {
    let root = Hash::from_hex(&bundle.tree.root);
    let (mut before, mut wrong): (Option<(u64, Hash)>, bool) = (None, false);
    let mut bad = |report: &mut Report, seq: u64, what: &str| {
        report.add(Holds::Wrong, format!("entry {seq}: {what}"));
        wrong = true;
    };
    for one in &bundle.entries {
        let seq = one.seq;
        let hashes = (Hash::from_hex(&one.prev), Hash::from_hex(&one.hash));
        let (Some(prev), Some(hash)) = hashes else {
            bad(report, seq, "its hash is none");
            continue;
        };
        if link(&prev, one.body.as_bytes()) != hash {
            bad(report, seq, "its hash does not cover its body and what was before it");
        }
        let said = serde_json::from_str::<serde_json::Value>(&one.body).ok();
        if said.and_then(|body| body.get("seq")?.as_u64()) != Some(seq) {
            bad(report, seq, "its body has another number");
        }
        if Entry::read(seq, hash, one.body.clone().into_bytes()).is_err() {
            bad(report, seq, "its body cannot be read");
        }
        match before {
            Some((last, _)) if last >= seq => bad(report, seq, "it is not in order"),
            Some((last, hash)) if last + 1 == seq && hash != prev => {
                bad(report, seq, "it does not follow the one before it");
            }
            _ => {}
        }
        let leaf = tree::leaf(one.body.as_bytes());
        let proof: Option<Vec<Hash>> = one.proof.iter().map(|hash| Hash::from_hex(hash)).collect();
        let holds =
            root.zip(proof).zip(seq.checked_sub(1)).is_some_and(|((root, proof), index)| {
                tree::verify_inclusion(&leaf, index, bundle.tree.size, &proof, &root)
            });
        if !holds {
            bad(report, seq, "it is not in the tree that is stated");
        }
        before = Some((seq, hash));
    }
    if !wrong && !bundle.entries.is_empty() {
        let count = bundle.entries.len();
        let what = format!("{count} entries are in the tree, each under its number and hash");
        report.add(Holds::Proven, what);
    }
}

fn documents(bundle: &Bundle, report: &mut Report) {
    let mut wrong = false;
    for (hash, text) in &bundle.documents {
        if Hash::of(text.as_bytes()).to_string() != *hash {
            report.add(Holds::Wrong, format!("document {hash}: it is not what its hash says"));
            wrong = true;
        }
    }
    for entry in bundle.read() {
        for hash in entry.changes.iter().flat_map(ledger::Change::names) {
            if !bundle.documents.contains_key(&hash.to_string()) {
                report.lack(format!("entry {}: its document {hash} is not in it", entry.seq));
            }
        }
    }
    if !wrong && !bundle.documents.is_empty() {
        let count = bundle.documents.len();
        report.add(Holds::Proven, format!("{count} documents are those that entries name"));
    }
}

/// Whether a change was allowed by who is told to have allowed it.
fn authorized(bundle: &Bundle, entry: &Entry, means: &Means, report: &mut Report) {
    let about = format!("entry {}", entry.seq);
    let auth = entry.auth.as_deref().unwrap_or("nothing");
    let signed = Signed::of(auth);
    let Some(digest) = told::digest_of(entry).and_then(Digest::parse) else {
        return match signed {
            Some(_) => report.add(
                Holds::Wrong,
                format!("{about}: it is told to be allowed by {auth}, and names no change"),
            ),
            None => report.add(Holds::Claimed, format!("{about}: it was allowed by {auth}")),
        };
    };
    if let Some(named) = signed.as_ref().map(|one| one.digest)
        && Digest::parse(named).is_none_or(|named| named != digest)
    {
        report.add(
            Holds::Wrong,
            format!("{about}: {auth} is another change than {}", digest.short()),
        );
    }
    match told::record_of(bundle, entry) {
        Some(record) => {
            let found = Hash::of(&[format!("{SCHEMA}\n").as_bytes(), &record].concat());
            match found.0 == digest.0 {
                true => report.add(
                    Holds::Proven,
                    format!("{about}: the record is that of the change {}", digest.short()),
                ),
                false => report.add(
                    Holds::Wrong,
                    format!("{about}: the record is not that of the change {}", digest.short()),
                ),
            }
        }
        None => report.add(
            Holds::Claimed,
            format!(
                "{about}: what the change {} was, since its record is not in it",
                digest.short()
            ),
        ),
    }
    let told: BTreeSet<String> = entry
        .detail
        .get("people")
        .and_then(|all| all.as_array())
        .into_iter()
        .flatten()
        .filter_map(|one| one.get("key").and_then(|name| name.as_str()).or(one.as_str()))
        .map(str::to_owned)
        .collect();
    let approved_as = entry.detail.get("approved_as").and_then(|all| all.as_array());
    let approved_as = approved_as.map_or(0, Vec::len);
    let Some(people) = &means.people else {
        if signed.is_some() || !told.is_empty() || !bundle.envelopes(entry).is_empty() {
            report.lack(format!(
                "{about}: who approved, since no file of signers was named (--signers, --domain)"
            ));
        }
        return;
    };
    let at = Timestamp::from_millisecond(entry.at).unwrap_or(Timestamp::UNIX_EPOCH);
    let (mut shown, mut approving, mut alone) = (BTreeSet::new(), BTreeMap::new(), BTreeSet::new());
    let mut requesters = BTreeSet::new();
    for (place, bytes) in bundle.envelopes(entry) {
        let read = approval::verify(&bytes, people.trust(), &[at]);
        // What lies beside it may be about something else.
        let about_this = |one: &Statement| one.subjects.contains_key(&digest);
        match read {
            Ok(one) if !about_this(&one.statement) => {
                if place == OWN {
                    report.add(
                        Holds::Wrong,
                        format!("{about}: a statement in the ledger is about other changes"),
                    );
                }
            }
            Ok(one) => {
                let said = &one.statement.said;
                requesters.extend(said.requester.clone());
                let names: Vec<&str> = one.by.iter().map(|by| by.principal.as_str()).collect();
                let names = names.join(", ");
                if ![Decision::Approve, Decision::BreakGlass].contains(&said.decision) {
                    let word = said.decision.as_str();
                    report.add(
                        Holds::Claimed,
                        format!("{about}: {names} said {word}, and it was allowed all the same"),
                    );
                } else if at < said.not_before || at >= said.not_after {
                    report.add(
                        Holds::Wrong,
                        format!("{about}: {names} approved it for another time ({place})"),
                    );
                } else {
                    let word = match said.decision {
                        Decision::BreakGlass => "went ahead alone, in an emergency, with",
                        _ => "approved",
                    };
                    for by in &one.by {
                        report.add(
                            Holds::Proven,
                            format!(
                                "{about}: {} {word} the change {} as {} with {} (valid at {at})",
                                by.principal,
                                digest.short(),
                                said.role,
                                by.key,
                            ),
                        );
                        // An entry names people by their key, or by an id.
                        shown.extend([by.principal.clone(), by.key.clone()]);
                        match said.decision {
                            Decision::BreakGlass => drop(alone.insert(by.principal.clone())),
                            _ => drop(approving.insert(by.principal.clone(), by.key.clone())),
                        }
                    }
                }
            }
            Err(why) if place == OWN => report.add(
                Holds::Wrong,
                format!("{about}: a signature does not count: {} ({})", why.why, why.code),
            ),
            Err(_) => {}
        }
    }
    for name in told.difference(&shown) {
        report.add(
            Holds::Wrong,
            format!("{about}: {name} is told to have approved, and no statement shows it"),
        );
    }
    // Whoever is told to have asked by any of them, in whatever order they lie.
    for (principal, key) in &approving {
        if requesters.contains(principal) || requesters.contains(key) {
            report.add(
                Holds::Wrong,
                format!("{about}: {principal} asked for it and approved it as well"),
            );
        }
    }
    let Some(signed) = signed else {
        if shown.is_empty() && told.is_empty() {
            report.add(Holds::Claimed, format!("{about}: it was allowed by {auth}"));
        }
        return;
    };
    if shown.is_empty() && told.is_empty() {
        // A ledger can lack what could not be read any more when it was written.
        return report.lack(format!(
            "{about}: it was allowed by {auth}, and no statement in it shows who signed"
        ));
    }
    // An approval is somebody's at least, whatever is told of roles.
    let needed = approved_as.max(usize::from(!signed.alone));
    if approving.len() < needed {
        report.add(
            Holds::Wrong,
            format!(
                "{about}: {needed} are told to have approved, and of {} it is shown",
                approving.len()
            ),
        );
    }
    if signed.alone && alone.is_empty() {
        report.add(
            Holds::Wrong,
            format!("{about}: somebody is told to have gone ahead alone, and nothing shows who"),
        );
    }
}

/// What people signed allowed it: it is not believed without them.
struct Signed<'a> {
    /// Somebody answered for it alone.
    alone: bool,
    /// The change that is named.
    digest: &'a str,
}

impl<'a> Signed<'a> {
    fn of(auth: &'a str) -> Option<Signed<'a>> {
        let of = |begin: &str, alone| {
            let digest = auth.strip_prefix(begin)?;
            Some(Signed { alone, digest: digest.strip_prefix("sha256:").unwrap_or(digest) })
        };
        of("approval:", false).or_else(|| of("break-glass:", true))
    }
}

/// Where the ledger's own statements are said to be.
const OWN: &str = "the ledger";

fn reviewed(bundle: &Bundle, entry: &Entry, means: &Means, report: &mut Report) {
    let about = format!("entry {}", entry.seq);
    let Some(people) = &means.people else {
        return report.lack(format!(
            "{about}: who reviewed, since no file of signers was named (--signers, --domain)"
        ));
    };
    let at = Timestamp::from_millisecond(entry.at).unwrap_or(Timestamp::UNIX_EPOCH);
    let kept = entry.kept(|hash| bundle.document(hash));
    let Some((_, bytes)) = kept.into_iter().find(|(name, _)| name == "review") else {
        return report.add(Holds::Claimed, format!("{about}: that somebody reviewed it"));
    };
    match approval::review::verify(&bytes, people.trust(), &[at]) {
        Ok((review, by)) if review.integration == entry.subject => report.add(
            Holds::Proven,
            format!(
                "{about}: {} reviewed {} and said {} with {} (valid at {at})",
                by.principal,
                review.integration,
                review.said.decision.as_str(),
                by.key,
            ),
        ),
        Ok((review, _)) => {
            report.add(Holds::Wrong, format!("{about}: the review is of {}", review.integration))
        }
        Err(why) => report.add(
            Holds::Wrong,
            format!("{about}: the review does not count: {} ({})", why.why, why.code),
        ),
    }
}

/// What nothing shows, whatever keys there are.
fn claims(bundle: &Bundle, entries: &[Entry], report: &mut Report) {
    match &bundle.asked {
        Asked::Period { .. } => {
            let seqs: Vec<u64> = bundle.entries.iter().map(|one| one.seq).collect();
            let whole = seqs.windows(2).all(|pair| pair[0] + 1 == pair[1]);
            let (first, last) = (seqs.first().copied(), seqs.last().copied());
            if let (true, Some(first), Some(last)) = (whole, first, last) {
                let what = format!("no entry is left out between {first} and {last}");
                report.add(Holds::Proven, what);
            } else {
                report.add(Holds::Claimed, "that no entry of that time was left out");
            }
        }
        _ => report.add(
            Holds::Claimed,
            "that no entry about it was left out: the ledger itself, or evidence of the whole time, \
             shows that",
        ),
    }
    if bundle.tree.archived > 0 {
        let last = bundle.tree.archived;
        report.add(
            Holds::Claimed,
            format!("what entries 1 to {last} say: they lie in files, and none of them is in it"),
        );
    }
    if !entries.is_empty() {
        report.add(
            Holds::Claimed,
            "when things happened, and what platforms answered: the ledger says so, as it was written \
             then",
        );
    }
    if bundle.claimed.findings.is_some() {
        report.add(Holds::Claimed, "which findings were open: a report of nhi drift says so");
    }
}
