//! A policy with the files that it names, read from where they lie or from where a version was kept.

use std::{
    collections::BTreeSet,
    fs, io,
    path::{Path, PathBuf},
};

use approval::{
    Folder, Revoked, Signers,
    chain::{self, Asked, Kept, Parts, Version},
    requester::{Issuer, Keys},
    verify::{Trust, votes},
};
use domain::Now;
use operations::{Problem, in_force::Predecessor};
use policy::{Rules, change::Change, change::review::Review};

use crate::{
    discover,
    policy_file::read_rules,
    position::position,
    tree::{ConfigError, Node, Place},
};

/// The longest list of keys that were taken back, in bytes.
const LONGEST: u64 = 16 << 20;

/// A policy, and what it names.
#[derive(Debug)]
pub struct PolicyFiles {
    /// Where it is.
    pub path: PathBuf,
    /// Its text.
    pub text: String,
    /// Its rules.
    pub rules: Rules,
    /// What it names, where it has changes reviewed.
    pub review: Option<ReviewFiles>,
}

/// Whom a policy believes.
#[derive(Debug)]
pub struct ReviewFiles {
    /// How changes are reviewed.
    pub terms: Review,
    /// Who may sign.
    pub signers: Signers,
    /// Whose keys count no more.
    pub revoked: Revoked,
    /// Who vouches for requesters.
    pub issuers: Vec<Issuer>,
    /// All that decides who is believed.
    pub parts: Parts,
    /// The folder of what was signed.
    pub approvals: PathBuf,
}

impl PolicyFiles {
    /// Reads a policy and what it names.
    ///
    /// # Errors
    ///
    /// It cannot be read or is not right; what is wrong is told with its line and column.
    pub fn read(path: &Path) -> Result<PolicyFiles, Problem> {
        let shown = path.display().to_string();
        let text = discover::read(path).map_err(|error| {
            Problem::new("E-POLICY", "The policy cannot be read")
                .detail(format!("{error}."))
                .next(error.remedy())
        })?;
        let rules = rules(&text).map_err(|error| not_right(&shown, &text, &error))?;
        let review = rules.review.clone();
        let review = review.map(|terms| ReviewFiles::read(path, &text, terms)).transpose()?;
        Ok(PolicyFiles { path: path.to_owned(), text, rules, review })
    }

    /// Line and column of a member below `review`.
    pub fn position(&self, at: &[String]) -> Option<(usize, usize)> {
        let place = Place::default().join("review");
        position(&self.text, &at.iter().fold(place, |place, step| place.join(step)))
    }
}

fn rules(text: &str) -> Result<Rules, ConfigError> {
    Node::parse_hcl(text).and_then(|node| read_rules(&node))
}

/// What is wrong in a policy, with its line and column where it has a place.
pub(crate) fn not_right(shown: &str, text: &str, error: &ConfigError) -> Problem {
    let at = position(text, &error.place);
    let at = at.map_or(String::new(), |(line, column)| format!(":{line}:{column}"));
    Problem::new("E-CONFIG", "The configuration is not right")
        .detail(format!("{shown}{at}: {error}"))
        .next("correct it there")
}

fn wrong(what: String) -> Problem {
    Problem::new("E-POLICY", "The policy cannot be used")
        .detail(what)
        .next("correct it, or bring it back as it was: nobody can tell otherwise whose word counts")
}

impl ReviewFiles {
    /// Reads what a policy names.
    ///
    /// # Errors
    ///
    /// A file cannot be read, or is not right.
    pub(crate) fn read(policy: &Path, text: &str, terms: Review) -> Result<ReviewFiles, Problem> {
        let folder = policy.parent().unwrap_or(Path::new("."));
        let file = |member: &str, name: &str| {
            discover::read(&folder.join(name)).map_err(|error| wrong(format!("{member}: {error}.")))
        };
        let signers = file("review.signers", &terms.signers)?;
        let mut parts = Parts::new(text.as_bytes(), signers.as_bytes());
        let mut kept = BTreeSet::new();
        for (name, one) in &terms.requesters {
            // One would be kept over the other, and checked with its keys.
            if !kept.insert(part_of(name)) {
                return Err(wrong(format!(
                    "review.requesters.{name}: its name differs from another one's only in what no file's \
                     name has."
                )));
            }
            let keys = file(&format!("review.requesters.{name}.keys"), &one.keys)?;
            parts = parts.with(&part_of(name), keys.as_bytes());
        }
        let revoked = match &terms.revoked {
            None => Revoked::default(),
            Some(file) => {
                let path = folder.join(file);
                let error =
                    |why: &dyn std::fmt::Display| wrong(format!("{}: {why}.", path.display()));
                let bytes = bytes(&path).map_err(|why| error(&why))?;
                Revoked::parse(&bytes).map_err(|why| error(&why))?
            }
        };
        let shown = folder.join(&terms.signers).display().to_string();
        let approvals = folder.join(&terms.approvals);
        ReviewFiles::of(terms, parts, revoked, approvals).map_err(|(part, why)| {
            match part.as_str() {
                chain::SIGNERS => wrong(format!("{shown}: {why}.")),
                part => wrong(format!("{part}: {why}.")),
            }
        })
    }

    /// Of the parts of a version.
    fn of(
        terms: Review,
        parts: Parts,
        revoked: Revoked,
        approvals: PathBuf,
    ) -> Result<ReviewFiles, (String, String)> {
        let part = |name: &str| {
            let text = parts.get(name).and_then(|bytes| std::str::from_utf8(bytes).ok());
            text.ok_or_else(|| (name.to_owned(), "it is not there, or no text".to_owned()))
        };
        let signers = Signers::parse(part(chain::SIGNERS)?)
            .map_err(|error| (chain::SIGNERS.to_owned(), error.to_string()))?;
        let mut issuers = Vec::new();
        for (name, one) in &terms.requesters {
            let keys = Keys::parse(part(&part_of(name))?)
                .map_err(|error| (one.keys.clone(), error.to_string()))?;
            issuers.push(Issuer { terms: one.clone(), keys });
        }
        Ok(ReviewFiles { terms, signers, revoked, issuers, parts, approvals })
    }

    /// The version that this is.
    pub fn version(&self) -> Version {
        Version { number: self.terms.version, digest: self.parts.digest() }
    }

    /// Where versions are kept.
    pub fn kept(&self) -> Kept {
        Kept::beside(&self.approvals)
    }
}

/// The part that holds the keys of one who vouches. Names come from the policy, and name a file.
fn part_of(name: &str) -> String {
    let plain = |c: char| if c.is_ascii_alphanumeric() || c == '-' { c } else { '_' };
    format!("keys-{}.json", name.chars().map(plain).collect::<String>())
}

fn bytes(path: &Path) -> io::Result<Vec<u8>> {
    if fs::metadata(path)?.len() > LONGEST {
        return Err(io::Error::other(format!("it is longer than {LONGEST} bytes")));
    }
    fs::read(path)
}

/// Earlier versions of a policy, as they were kept beside the approvals.
#[derive(Debug)]
pub(crate) struct Earlier {
    /// Where they are.
    pub(crate) kept: Kept,
    /// The folder of what was signed.
    pub(crate) approvals: PathBuf,
    /// Whose keys count no more, today.
    pub(crate) revoked: Revoked,
}

impl Predecessor for Earlier {
    fn asked(&self, known: Version, change: &Change, now: Now) -> Result<Asked, String> {
        let parts = self.kept.load(known.digest)?;
        let text = parts.get(chain::POLICY).and_then(|bytes| std::str::from_utf8(bytes).ok());
        let text = text.ok_or("it has no policy.hcl")?;
        let rules = rules(text).map_err(|error| format!("it cannot be read any more: {error}"))?;
        let terms = rules.review.ok_or("it has no member review")?;
        // Where approvals lay then says nothing of where they lie.
        let (revoked, approvals) = (self.revoked.clone(), self.approvals.clone());
        let files = ReviewFiles::of(terms, parts, revoked, approvals)
            .map_err(|(part, why)| format!("{part}: {why}"))?;
        let namespace = approval::namespace(&files.terms.domain);
        let trust =
            Trust { namespace: &namespace, signers: &files.signers, revoked: &files.revoked };
        let store = Folder(files.approvals.clone());
        let (votes, unread) =
            votes(&store, change.digest(), trust, now).map_err(|error| error.to_string())?;
        Ok(Asked { board: files.terms.board, votes, unread })
    }
}
