//! What can go wrong between us and a platform, sorted by what may be done next.

use secrets::SinkError;

/// What is known of a call that changes something (engine: outcome classes).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Outcome {
    /// Not a byte was sent: repeat freely.
    NotSent,
    /// The platform said no: it was not done.
    Refused,
    /// It may or may not have been done: observe before anything else.
    Ambiguous,
}

/// Why a platform said no.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Refusal {
    /// Our own credential is not accepted (401).
    Unauthorized,
    /// Our own credential may not do this (403).
    Forbidden,
    /// No such object (404), under a parent that was readable.
    NotFound,
    /// It exists already, or somebody else changed it (409, 412, stale compare-and-set).
    Conflict,
    /// The request itself is wrong for this platform (400, 405, 415, 422).
    Invalid,
    /// Too many requests (429).
    RateLimited,
    /// A redirect on a call that changes something; never followed.
    Redirect,
    /// A layer of ours: the connection is read-only.
    ReadOnly,
}

impl Refusal {
    /// What a status means where the platform's own words say nothing else; `None` for one that is no
    /// judgment (5xx, and statuses nobody has seen): a change may have been done. A 404 is for the
    /// connector to tell from a gateway's.
    pub fn of_status(status: u16) -> Option<Refusal> {
        Some(match status {
            401 => Refusal::Unauthorized,
            403 => Refusal::Forbidden,
            404 => Refusal::NotFound,
            409 | 412 => Refusal::Conflict,
            429 => Refusal::RateLimited,
            300..=399 => Refusal::Redirect,
            400..=499 => Refusal::Invalid,
            _ => return None,
        })
    }
}

/// An error of a connector.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The platform said no.
    #[error("{what}: {message}")]
    Refused {
        /// Method and path template of the call, no secrets.
        what: String,
        /// Why.
        refusal: Refusal,
        /// In our own words, with the status; never a body.
        message: String,
    },
    /// Not reachable: nothing was sent, or a read failed on the way.
    #[error("{what}: {message}")]
    Unreachable {
        /// Method and path template of the call.
        what: String,
        /// What happened.
        message: String,
        /// Whether a change may have been done.
        outcome: Outcome,
    },
    /// The server is there and does not serve: it is sealed, or not ready. The same once more does not
    /// help.
    #[error("{what}: {message}")]
    NotReady {
        /// Method and path template of the call.
        what: String,
        /// What it said.
        message: String,
        /// Whether a change may have been done.
        outcome: Outcome,
    },
    /// Who signed the server's certificate is not known here: nothing was sent.
    #[error("{what}: {message}")]
    Untrusted {
        /// Method and path template of the call.
        what: String,
        /// The same, and where to name them.
        message: String,
    },
    /// A part of a change was accepted, and a later call of it was not: the change may stand.
    #[error("{what}: a part was accepted, and then: {cause}")]
    Partly {
        /// Method and path template of the change.
        what: String,
        /// What became of the later call.
        cause: Box<Error>,
    },
    /// The answer was not what the platform documents.
    #[error("{what}: unexpected answer: {message}")]
    UnexpectedAnswer {
        /// Method and path template of the call.
        what: String,
        /// What was expected, never the body.
        message: String,
    },
    /// The object is not the one that was meant: somebody deleted and recreated it.
    #[error("{what}: it was recreated: {found} instead of {expected}")]
    Recreated {
        /// The object.
        what: String,
        /// The vendor id that was expected.
        expected: String,
        /// The vendor id that is there.
        found: String,
    },
    /// Nobody of ours can manage the object any more, whether it is there or not.
    #[error("{what}: {message}")]
    Lost {
        /// Method and path template of the call.
        what: String,
        /// Why, and what is not known of it.
        message: String,
        /// What a person can do about it.
        next: String,
    },
    /// What manages the object is dead, since a call of ours with it was not heard of, and what took its
    /// place is in nobody's hand. The object works on.
    #[error("{what}: {message}")]
    LockedOut {
        /// Method and path template of the call.
        what: String,
        /// What is known of it.
        message: String,
        /// What a person can do about it.
        next: String,
    },
    /// The platform gave out again what was ended. It is ended once more.
    #[error("{what}: {message}")]
    GivenAgain {
        /// The object.
        what: String,
        /// What came, and why it is not taken.
        message: String,
        /// What a person can do about it.
        next: String,
    },
    /// An object of that name is there already, under this key.
    #[error("{what}: it exists already, as {key:?}")]
    Exists {
        /// The object, as it was to be made.
        what: String,
        /// The vendor's key of the one that is there.
        key: String,
    },
    /// The connection shows another tenant than the one that is pinned.
    #[error("connection {connection:?} shows tenant {found:?}, pinned is {expected:?}")]
    Tenant {
        /// The connection's name.
        connection: String,
        /// The tenant that is pinned.
        expected: String,
        /// The tenant that answered.
        found: String,
    },
    /// The platform cannot do this; nothing was sent.
    #[error("{platform} cannot {what}")]
    Unsupported {
        /// The platform.
        platform: &'static str,
        /// The deed.
        what: &'static str,
    },
    /// The connection's configuration is not usable.
    #[error("{0}")]
    Configuration(String),
    /// The sink that keeps this connection's management credentials.
    #[error(transparent)]
    Keyring(#[from] SinkError),
}

impl Error {
    /// An answer that is no judgment: a change may have been done, and a look may be repeated.
    pub fn no_judgment(what: &str, message: String, changes: bool) -> Error {
        let outcome = if changes { Outcome::Ambiguous } else { Outcome::NotSent };
        Error::Unreachable { what: what.to_owned(), message, outcome }
    }

    /// The same in a sink's words, for a platform that is one.
    pub fn at_place(self, place: &str) -> SinkError {
        let place = place.to_owned();
        match self {
            Error::Refused { refusal: Refusal::Conflict, .. } => SinkError::Conflict { place },
            Error::Refused { refusal: Refusal::RateLimited, what, message, .. } => {
                SinkError::Unreachable { place, reason: format!("{what}: {message}") }
            }
            Error::Refused { refusal: Refusal::Unauthorized, .. } => {
                SinkError::Unauthorized { place, reason: self.to_string() }
            }
            Error::Untrusted { .. } => SinkError::Untrusted { place, reason: self.to_string() },
            Error::Keyring(inner) => inner,
            Error::NotReady { outcome, .. } => SinkError::NotReady {
                place,
                reason: self.to_string(),
                maybe_written: outcome == Outcome::Ambiguous,
            },
            other => match other.outcome() {
                Outcome::Ambiguous => SinkError::Ambiguous { place, reason: other.to_string() },
                Outcome::NotSent if matches!(other, Error::Unreachable { .. }) => {
                    SinkError::Unreachable { place, reason: other.to_string() }
                }
                _ => SinkError::Refused { place, reason: other.to_string() },
            },
        }
    }

    /// What is known of a change that ended in this error.
    pub fn outcome(&self) -> Outcome {
        match self {
            Error::Refused { .. }
            | Error::Recreated { .. }
            | Error::Lost { .. }
            | Error::LockedOut { .. }
            | Error::GivenAgain { .. }
            | Error::Exists { .. }
            | Error::Tenant { .. } => Outcome::Refused,
            Error::Unreachable { outcome, .. } | Error::NotReady { outcome, .. } => *outcome,
            Error::Partly { .. } | Error::UnexpectedAnswer { .. } | Error::Keyring(_) => {
                Outcome::Ambiguous
            }
            Error::Unsupported { .. } | Error::Configuration(_) | Error::Untrusted { .. } => {
                Outcome::NotSent
            }
        }
    }

    /// The same error where it came after a change was accepted: whatever a later call was refused,
    /// the change may stand, and has to be observed.
    #[must_use]
    pub fn after_change(self, what: &str) -> Error {
        match self.outcome() {
            Outcome::Ambiguous => self,
            Outcome::NotSent | Outcome::Refused => {
                Error::Partly { what: what.to_owned(), cause: Box::new(self) }
            }
        }
    }

    /// Why the platform said no, if it did.
    pub fn refusal(&self) -> Option<Refusal> {
        match self {
            Error::Refused { refusal, .. } => Some(*refusal),
            Error::Lost { .. } | Error::LockedOut { .. } => Some(Refusal::Unauthorized),
            Error::Exists { .. } => Some(Refusal::Conflict),
            _ => None,
        }
    }
}

/// What every connector call answers.
pub type Result<T> = std::result::Result<T, Error>;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_status_is_a_refusal_or_no_judgment() {
        for (status, refusal) in [
            (301, Some(Refusal::Redirect)),
            (400, Some(Refusal::Invalid)),
            (401, Some(Refusal::Unauthorized)),
            (403, Some(Refusal::Forbidden)),
            (404, Some(Refusal::NotFound)),
            (409, Some(Refusal::Conflict)),
            (412, Some(Refusal::Conflict)),
            (422, Some(Refusal::Invalid)),
            (429, Some(Refusal::RateLimited)),
            (500, None),
            (599, None),
            (100, None),
        ] {
            assert_eq!(Refusal::of_status(status), refusal, "{status}");
        }
        let what = || "x".to_owned();
        let refused =
            Error::Refused { what: what(), refusal: Refusal::Unauthorized, message: what() };
        assert!(matches!(refused.at_place("here"), SinkError::Unauthorized { .. }));
        let untrusted = Error::Untrusted { what: what(), message: what() };
        assert!(matches!(untrusted.at_place("here"), SinkError::Untrusted { .. }));
        let outcome = |changes| Error::no_judgment("x", "y".into(), changes).outcome();
        assert_eq!((outcome(true), outcome(false)), (Outcome::Ambiguous, Outcome::NotSent));
    }
}
