//! Versions of the policy, each approved by the one before.
//!
//! Who may change the policy could let themselves pass. So a new version counts when those have signed
//! it whom the version before asks for a critical change, and an older one never does. The digest of a
//! version is of all that decides who is believed: the policy itself, those who may sign, and the keys of
//! those who vouch for requesters.

use std::{
    collections::BTreeMap,
    fs, io,
    path::{Path, PathBuf},
};

use domain::{Now, realm::sha256};
use policy::change::{
    Action, Change, Digest, Value,
    impact::Level,
    quorum::{Board, OWNER, Question, Tally, Vote, tally},
};

use crate::verify::Unread;

/// The domain of the digest of a version.
const SCHEMA: &str = "nhi-policy/v1";

/// What stands as the resource type in the record of a change of the policy.
pub const KIND: &str = "policy";

/// The part that is the policy itself.
pub const POLICY: &str = "policy.hcl";

/// The part that names those who may sign.
pub const SIGNERS: &str = "allowed_signers";

/// A version of the policy.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Version {
    /// Its number, as the policy says.
    pub number: u64,
    /// Of all its parts.
    pub digest: Digest,
}

/// All that decides who is believed, by name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Parts(BTreeMap<String, Vec<u8>>);

impl Parts {
    /// Of the policy's text and the file of those who may sign.
    pub fn new(policy: &[u8], signers: &[u8]) -> Parts {
        let part = |name: &str, bytes: &[u8]| (name.to_owned(), bytes.to_vec());
        Parts([part(POLICY, policy), part(SIGNERS, signers)].into())
    }

    /// With one more: the keys of somebody who vouches for requesters.
    #[must_use]
    pub fn with(mut self, name: &str, bytes: &[u8]) -> Parts {
        self.0.insert(name.to_owned(), bytes.to_vec());
        self
    }

    /// One of them.
    pub fn get(&self, name: &str) -> Option<&[u8]> {
        self.0.get(name).map(Vec::as_slice)
    }

    /// The digest of all.
    pub fn digest(&self) -> Digest {
        let each = |(name, bytes): (&String, &Vec<u8>)| {
            (name.clone(), Value::text(Digest(sha256(bytes)).hex()))
        };
        let record = Value::Map(self.0.iter().map(each).collect());
        Digest(sha256(format!("{SCHEMA}\n{}", record.canonical()).as_bytes()))
    }
}

/// The change from one version to another, as it is signed. Its object is the installation, so that an
/// approval for one is none for another.
pub fn change(installation: &str, from: Version, to: Version) -> Change {
    let record = |one: Version| {
        let number = i64::try_from(one.number).unwrap_or(i64::MAX);
        Value::map([
            ("version", Value::Count(number)),
            ("digest", Value::text(one.digest.to_string())),
        ])
    };
    Change {
        tenant: installation.to_owned(),
        kind: KIND.to_owned(),
        object: installation.to_owned(),
        action: Action::Update,
        generation: i64::try_from(from.number).unwrap_or(i64::MAX),
        before: record(from),
        after: record(to),
    }
}

/// Why a version may be used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Accepted {
    /// It is the one that was used last.
    Same,
    /// None was used before: whoever begins is believed.
    First,
    /// Those whom the version before asks have signed it.
    Signed(Tally),
}

/// Who is asked of a change of the policy, and what they have said.
#[derive(Debug, Clone)]
pub struct Asked {
    /// Whom the version before asks.
    pub board: Board,
    /// What was said by those whom it believes.
    pub votes: Vec<Vote>,
    /// What is kept and does not count.
    pub unread: Vec<Unread>,
}

/// Why a version may not be used. What takes power away stays open all the same.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Refusal {
    /// It is older than the one that was used last.
    Older {
        /// The one that was used.
        known: Version,
        /// The one that is here.
        here: Version,
    },
    /// It has the number of the one that was used last, and says something else.
    Reworded {
        /// The one that was used.
        known: Version,
        /// The one that is here.
        here: Version,
    },
    /// Changes were reviewed here, and now nobody is to be asked.
    Gone {
        /// The one that was used.
        known: Version,
    },
    /// Too few have signed it.
    Unsigned {
        /// The one that was used.
        known: Version,
        /// The one that is here.
        here: Version,
        /// What is to be signed.
        change: Box<Change>,
        /// Who has, and how many are needed.
        tally: Box<Tally>,
        /// What is kept and does not count.
        unread: Vec<Unread>,
    },
    /// The version before is not at hand, so that nobody knows whom it asks.
    Lost {
        /// The one that was used.
        known: Version,
        /// What is to be signed.
        change: Box<Change>,
        /// Why it is not at hand.
        why: String,
    },
}

/// Nobody asks for a change of the policy but those who sign it: its author may be one of them, so that
/// no more are needed than the policy says.
const NOBODY: &str = "";

/// Whether a version of the policy may be used where another one was used last. `ask` gives, for the
/// change between them, what the earlier one says.
///
/// # Errors
///
/// Why it may not.
pub fn accept(
    known: Option<Version>,
    here: Option<Version>,
    installation: &str,
    now: Now,
    ask: impl FnOnce(&Change) -> Result<Asked, String>,
) -> Result<Accepted, Refusal> {
    let (known, here) = match (known, here) {
        (None, _) => return Ok(Accepted::First),
        (Some(known), None) => return Err(Refusal::Gone { known }),
        (Some(known), Some(here)) => (known, here),
    };
    if here == known {
        return Ok(Accepted::Same);
    }
    if here.number < known.number {
        return Err(Refusal::Older { known, here });
    }
    if here.number == known.number {
        return Err(Refusal::Reworded { known, here });
    }
    let change = change(installation, known, here);
    let asked = match ask(&change) {
        Ok(asked) => asked,
        Err(why) => return Err(Refusal::Lost { known, change: Box::new(change), why }),
    };
    let question = Question {
        level: Level::Critical,
        requester: Some(NOBODY),
        owners: Default::default(),
        policy_version: here.number,
        now,
    };
    let tally = tally(&without_owners(asked.board), &question, &asked.votes);
    // To let pass what nobody has to sign would be no chain.
    match tally.is_enough() && !tally.have.is_empty() {
        true => Ok(Accepted::Signed(tally)),
        false => {
            let (change, tally) = (Box::new(change), Box::new(tally));
            Err(Refusal::Unsigned { known, here, change, tally, unread: asked.unread })
        }
    }
}

/// A policy is no object that somebody owns: nobody could be among those who sign in that role.
fn without_owners(mut board: Board) -> Board {
    for quorum in board.quorum.values_mut() {
        quorum.each.remove(OWNER);
    }
    board
}

impl Refusal {
    /// Its code.
    pub fn code(&self) -> &'static str {
        match self {
            Refusal::Older { .. } | Refusal::Reworded { .. } | Refusal::Gone { .. } => {
                "E-POLICY-ROLLBACK"
            }
            Refusal::Unsigned { .. } | Refusal::Lost { .. } => "E-POLICY-UNSIGNED",
        }
    }

    /// What is wrong, in a line.
    pub fn title(&self) -> &'static str {
        match self {
            Refusal::Older { .. } => "The policy is older than one that was used here",
            Refusal::Reworded { .. } => "The policy was changed under the same version",
            Refusal::Gone { .. } => "Changes were reviewed here, and now the policy asks nobody",
            Refusal::Unsigned { .. } => "Too few have signed the change of the policy",
            Refusal::Lost { .. } => "Whom the earlier policy asks is not known",
        }
    }

    /// The facts.
    pub fn detail(&self) -> String {
        match self {
            Refusal::Older { known, here } => {
                let (known, here) = (told(*known), told(*here));
                format!("Version {known} was used last, and here is version {here}.")
            }
            Refusal::Reworded { known, here } => {
                let (known, here) = (told(*known), here.digest);
                format!(
                    "Version {known} was used last, and what is here under that number is {here}."
                )
            }
            Refusal::Gone { known } => format!("Version {} was used last.", told(*known)),
            Refusal::Unsigned { known, here, change, tally, .. } => {
                let have: Vec<String> =
                    tally.have.iter().map(|(who, role)| format!("{who} ({role})")).collect();
                let mut text = format!(
                    "Version {} follows version {}. The earlier one asks for {}, and {} of them signed \
                     {}.",
                    told(*here),
                    told(*known),
                    people(tally.needed),
                    match have.is_empty() {
                        true => "none".to_owned(),
                        false => have.join(", "),
                    },
                    change.digest(),
                );
                if !tally.rejected_by.is_empty() {
                    let who: Vec<&str> = tally.rejected_by.iter().map(String::as_str).collect();
                    text.push_str(&format!(" Rejected by {}.", who.join(", ")));
                }
                if !tally.roles_missing.is_empty() {
                    let roles: Vec<&str> = tally.roles_missing.iter().map(String::as_str).collect();
                    text.push_str(&format!(" Missing: somebody of {}.", roles.join(" and of ")));
                }
                for one in &tally.discounted {
                    text.push_str(&format!(" {} {} ({}).", one.principal, one.why, one.code));
                }
                text
            }
            Refusal::Lost { known, why, .. } => {
                format!(
                    "Version {} was used last, and its text is not at hand: {why}.",
                    told(*known)
                )
            }
        }
    }

    /// What helps.
    pub fn next(&self) -> String {
        match self {
            Refusal::Older { known, .. } => format!("bring version {} back", known.number),
            Refusal::Reworded { known, .. } => format!(
                "count its version up to {} and have the change signed: nhi policy sign",
                known.number + 1
            ),
            Refusal::Gone { known } => {
                format!(
                    "bring version {} back, or a later one that its signers signed",
                    known.number
                )
            }
            Refusal::Unsigned { .. } => {
                "nhi policy sign says who is missing and what to run".to_owned()
            }
            Refusal::Lost { known, .. } => format!(
                "bring back policies/{} beside the approvals, as it was committed when that version was \
                 signed; or, where its files are elsewhere: nhi policy sign --old FOLDER",
                known.digest.hex()
            ),
        }
    }
}

fn told(one: Version) -> String {
    format!("{} (sha256:{})", one.number, one.digest.short())
}

fn people(count: usize) -> String {
    match count {
        usize::MAX => "more people than there are, since it names no quorum".to_owned(),
        1 => "one person".to_owned(),
        count => format!("{count} people"),
    }
}

/// Earlier versions of the policy, each in a folder by its digest, beside the approvals.
#[derive(Debug, Clone)]
pub struct Kept(pub PathBuf);

/// The most that is read of one part.
const LARGEST: u64 = 1 << 20;

impl Kept {
    /// Of the folder that holds the approvals.
    pub fn beside(approvals: &Path) -> Kept {
        Kept(approvals.join("policies"))
    }

    /// Where a version is kept.
    pub fn place(&self, digest: Digest) -> PathBuf {
        self.0.join(digest.hex())
    }

    /// A version that was kept, exactly as it was.
    ///
    /// # Errors
    ///
    /// It is not there, or it is not what its digest says.
    pub fn load(&self, digest: Digest) -> Result<Parts, String> {
        parts_of(&self.place(digest), digest)
    }

    /// Keeps a version. One that is kept already stays.
    ///
    /// # Errors
    ///
    /// It could not be written.
    pub fn keep(&self, parts: &Parts) -> Result<PathBuf, (PathBuf, io::Error)> {
        let digest = parts.digest();
        let folder = self.place(digest);
        if self.load(digest).is_ok() {
            return Ok(folder);
        }
        let at = |error| (folder.clone(), error);
        fs::create_dir_all(&folder).map_err(at)?;
        for (name, bytes) in &parts.0 {
            fs::write(folder.join(name), bytes).map_err(at)?;
        }
        Ok(folder)
    }
}

/// The parts that lie in a folder, where they are the version of that digest.
///
/// # Errors
///
/// They are not all there, or they are another version.
pub fn parts_of(folder: &Path, digest: Digest) -> Result<Parts, String> {
    let shown = folder.display();
    let entries = fs::read_dir(folder).map_err(|error| format!("{shown}: {error}"))?;
    let mut parts = Parts(BTreeMap::new());
    for entry in entries {
        let entry = entry.map_err(|error| format!("{shown}: {error}"))?;
        let (name, path) = (entry.file_name(), entry.path());
        let about = entry.metadata().map_err(|error| format!("{}: {error}", path.display()))?;
        let Some(name) = name.to_str().filter(|name| !name.starts_with('.')) else { continue };
        if !about.is_file() || about.len() > LARGEST {
            return Err(format!("{}: it is no file of {LARGEST} bytes at most", path.display()));
        }
        let bytes = fs::read(&path).map_err(|error| format!("{}: {error}", path.display()))?;
        parts.0.insert(name.to_owned(), bytes);
    }
    match parts.digest() == digest {
        true => Ok(parts),
        false => Err(format!("{shown}: what lies there is another version, or was changed")),
    }
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;
    use policy::change::quorum::{Decision, Presence, Quorum};

    use super::*;

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    fn version(number: u64, text: &str) -> Version {
        Version { number, digest: Parts::new(text.as_bytes(), b"signers").digest() }
    }

    fn board() -> Board {
        let of = |people: &[&str]| people.iter().map(|who| (*who).to_owned()).collect();
        let critical = Quorum {
            people: 2,
            roles: of(&["owner", "security"]),
            each: of(&["owner"]),
            presence: Presence::Key,
            longest: domain::Span::from_secs(86_400),
        };
        Board {
            quorum: [(Level::Critical, critical)].into(),
            roles: [("security".to_owned(), of(&["ann", "sam"]))].into(),
            break_glass: None,
        }
    }

    fn vote(who: &str, decision: Decision) -> Vote {
        Vote {
            principal: who.to_owned(),
            role: "security".into(),
            decision,
            signed_at: at("2027-01-10T09:00:00Z"),
            not_before: at("2027-01-10T09:00:00Z"),
            not_after: at("2027-01-10T18:00:00Z"),
            presence: Presence::Key,
            nonce: who.to_owned(),
            // Who signs has the new one before them.
            policy_version: 4,
            requester: None,
            changes: 1,
        }
    }

    fn asked(votes: &[Vote]) -> Asked {
        Asked { board: board(), votes: votes.to_vec(), unread: Vec::new() }
    }

    fn now() -> Now {
        at("2027-01-10T12:00:00Z").into()
    }

    fn judged(
        known: Option<Version>,
        here: Option<Version>,
        votes: &[Vote],
    ) -> Result<Accepted, Refusal> {
        accept(known, here, "r1", now(), |_| Ok(asked(votes)))
    }

    #[test]
    fn the_first_version_is_believed_and_the_same_one_is_no_change() {
        let one = version(3, "a");
        assert_eq!(judged(None, Some(one), &[]), Ok(Accepted::First));
        assert_eq!(judged(None, None, &[]), Ok(Accepted::First));
        let unasked = accept(Some(one), Some(one), "r1", now(), |_| panic!("nobody is asked"));
        assert_eq!(unasked, Ok(Accepted::Same));
    }

    #[test]
    fn an_older_one_another_of_the_same_number_and_none_at_all_are_refused_whoever_signs() {
        let (known, votes) = (
            Some(version(3, "a")),
            [vote("ann", Decision::Approve), vote("sam", Decision::Approve)],
        );
        for here in [Some(version(2, "z")), Some(version(3, "b")), None] {
            let refused = judged(known, here, &votes).unwrap_err();
            assert_eq!(refused.code(), "E-POLICY-ROLLBACK", "{here:?}");
            assert!(!refused.title().is_empty() && refused.detail().contains('3'));
            assert!(!refused.next().is_empty());
        }
    }

    #[test]
    fn a_newer_one_counts_when_those_have_signed_it_whom_the_earlier_one_asks() {
        let (known, here) = (Some(version(3, "a")), Some(version(4, "b")));
        let both = [vote("ann", Decision::Approve), vote("sam", Decision::Approve)];
        assert!(matches!(judged(known, here, &both), Ok(Accepted::Signed(_))));
        for (votes, told) in [
            (vec![], "none of them signed"),
            (vec![both[0].clone()], "ann (security)"),
            (vec![both[0].clone(), vote("eve", Decision::Approve)], "eve does not have the role"),
            (
                vec![both[0].clone(), both[1].clone(), vote("eve", Decision::Reject)],
                "Rejected by eve",
            ),
        ] {
            let refused = judged(known, here, &votes).unwrap_err();
            assert_eq!(refused.code(), "E-POLICY-UNSIGNED");
            let text = refused.detail();
            assert!(text.contains(told) && text.contains("2 people"), "{text}");
        }
        // A quorum of nobody lets no policy follow.
        let mut open = asked(&[]);
        open.board.quorum.get_mut(&Level::Critical).unwrap().people = 0;
        let refused = accept(known, here, "r1", now(), |_| Ok(open)).unwrap_err();
        assert_eq!(refused.code(), "E-POLICY-UNSIGNED");
        let lost = accept(known, here, "r1", now(), |_| Err("gone".to_owned())).unwrap_err();
        assert!(lost.code() == "E-POLICY-UNSIGNED" && lost.detail().contains("gone"), "{lost:?}");
    }

    #[test]
    fn what_is_signed_is_of_both_versions_and_of_this_installation() {
        let (a, b) = (version(3, "a"), version(4, "b"));
        let one = change("r1", a, b).digest();
        for other in [
            change("r2", a, b),
            change("r1", version(2, "a"), b),
            change("r1", version(3, "c"), b),
            change("r1", a, version(5, "b")),
            change("r1", a, version(4, "c")),
        ] {
            assert_ne!(other.digest(), one, "{other:?}");
        }
    }

    #[test]
    fn a_version_is_all_that_decides_who_is_believed() {
        let one = Parts::new(b"policy", b"signers");
        for other in [
            Parts::new(b"policy ", b"signers"),
            Parts::new(b"policy", b"signers "),
            Parts::new(b"signers", b"policy"),
            one.clone().with("jwks", b""),
        ] {
            assert_ne!(other.digest(), one.digest());
        }
    }

    #[test]
    fn a_version_that_was_kept_is_read_back_whole_or_not_at_all() {
        let folder = tempfile::tempdir().unwrap();
        let kept = Kept::beside(folder.path());
        let parts = Parts::new(b"policy", b"signers").with("keys.json", b"{}");
        let digest = parts.digest();
        assert!(kept.load(digest).is_err());
        let place = kept.keep(&parts).unwrap();
        kept.keep(&parts).unwrap();
        assert_eq!(kept.load(digest), Ok(parts.clone()));
        assert_eq!(parts_of(&place, digest), Ok(parts));
        for change in [("policy.hcl", &b"other"[..]), ("more", b"x")] {
            let path = place.join(change.0);
            let before = fs::read(&path).ok();
            fs::write(&path, change.1).unwrap();
            assert!(kept.load(digest).unwrap_err().contains("was changed"), "{change:?}");
            match before {
                Some(before) => fs::write(&path, before).unwrap(),
                None => fs::remove_file(&path).unwrap(),
            }
        }
        fs::remove_file(place.join(SIGNERS)).unwrap();
        assert!(kept.load(digest).is_err());
    }
}
