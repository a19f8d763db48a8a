//! What went wrong, in the form in which people read it: what, where and why, what to do, a code.

use std::fmt;

use connector::{Outcome, Refusal};

/// An error for people. Its first line is a fixed phrase.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// The code to search for, such as `E-TENANT`.
    pub code: &'static str,
    /// A fixed phrase.
    pub summary: &'static str,
    /// What, where, and why.
    pub detail: String,
    /// What to do: a line to paste where there is one.
    pub next: Option<String>,
    /// The attribute that it is about, outermost first.
    pub attribute: Vec<String>,
    /// Nobody answered, or nobody who could be believed.
    pub unheard: bool,
}

impl Problem {
    /// A problem with a code and a fixed phrase.
    pub fn new(code: &'static str, summary: &'static str) -> Problem {
        Problem {
            code,
            summary,
            detail: String::new(),
            next: None,
            attribute: Vec::new(),
            unheard: false,
        }
    }

    /// With what, where, and why.
    #[must_use]
    pub fn detail(mut self, detail: impl Into<String>) -> Problem {
        self.detail = detail.into();
        self
    }

    /// With what to do.
    #[must_use]
    pub fn next(mut self, next: impl Into<String>) -> Problem {
        self.next = Some(next.into());
        self
    }

    /// At an attribute.
    #[must_use]
    pub fn at(mut self, attribute: &[&str]) -> Problem {
        self.attribute = attribute.iter().map(|step| (*step).to_owned()).collect();
        self
    }

    /// Everything below the first line.
    pub fn body(&self) -> String {
        let mut text = self.detail.clone();
        if let Some(next) = &self.next {
            text.push_str(&format!("\nNext: {next}"));
        }
        if text.is_empty() {
            format!("({})", self.code)
        } else {
            format!("{text}\n({})", self.code)
        }
    }

    /// Something could not be read. That is never taken for an absence.
    pub fn unreadable(what: &str, error: &connector::Error) -> Problem {
        if let connector::Error::Tenant { connection, expected, found } = error {
            return Problem::new("E-TENANT", "Another tenant answers")
                .detail(format!(
                    "Connection {connection:?} is pinned to tenant {expected} and shows {found}. \
                     Nothing was compared and nothing was changed."
                ))
                .next("correct the address, or the tenant in nhi.hcl if the move is meant");
        }
        let refused = matches!(error.refusal(), Some(Refusal::Unauthorized | Refusal::Forbidden));
        let why = if refused {
            "\nA refusal is not an absence: nothing is planned for this object, and it is not called gone."
        } else {
            ""
        };
        let connection = what.split('/').next().unwrap_or(what);
        let next = match error {
            connector::Error::LockedOut { next, .. } => {
                return Problem::management_lost(what, error, next);
            }
            connector::Error::Lost { next, .. }
            | connector::Error::Keyring(secrets::SinkError::Unfit { next, .. }) => next.clone(),
            connector::Error::Configuration(_) => "mend what is named".to_owned(),
            _ => format!("nhi doctor {connection}"),
        };
        let problem = Problem::new("E-UNREADABLE", "Cannot read an object")
            .detail(format!("{what}: {error}.{why}"))
            .next(next);
        Problem { unheard: is_unheard(error), ..problem }
    }

    /// What manages an object is lost, and no other change of it is tried.
    fn management_lost(what: &str, error: &connector::Error, next: &str) -> Problem {
        Problem::new("E-MANAGEMENT-LOST", "What manages an object is lost")
            .detail(format!(
                "{what}: locked-out-of-management: {error}. The object works on, and nothing of it is changed."
            ))
            .next(next)
    }

    /// A change was not done, or nobody knows.
    pub fn not_done(what: &str, deed: &str, error: &connector::Error) -> Problem {
        match error {
            connector::Error::Recreated { expected, found, .. } => Problem::new(
                "E-RECREATED",
                "Somebody recreated the object",
            )
            .detail(format!(
                "{what} was {expected} when it was read and is {found} now. Nothing was changed."
            ))
            .next("terraform plan; the new plan starts from what is there"),
            connector::Error::Tenant { .. } => Problem::unreadable(what, error),
            connector::Error::LockedOut { next, .. } => Problem::management_lost(what, error, next),
            connector::Error::GivenAgain { next, .. } => {
                Problem::new("E-GIVEN-AGAIN", "The platform gave out again what was ended")
                    .detail(format!("{what}: {error}."))
                    .next(next.clone())
            }
            _ => {
                let known = match error.outcome() {
                    Outcome::NotSent => "Nothing was sent.",
                    Outcome::Refused => "The platform did not do it.",
                    Outcome::Ambiguous => {
                        "Whether it was done is not known; the next run looks before it acts."
                    }
                };
                let problem = Problem::new("E-NOT-DONE", "The platform was not changed as planned")
                    .detail(format!("{what}: {deed}: {error}. {known}"))
                    .next(remedy(what.split('/').next().unwrap_or(what), error));
                Problem { unheard: is_unheard(error), ..problem }
            }
        }
    }
}

/// Whether nobody answered a call, so that another one is as likely not to be.
fn is_unheard(error: &connector::Error) -> bool {
    use connector::Error as E;
    match error {
        E::Partly { cause, .. } => is_unheard(cause),
        _ => matches!(error, E::Unreachable { .. } | E::NotReady { .. } | E::Untrusted { .. }),
    }
}

/// What helps follows from why it was not done. The same once more helps where an answer was lost,
/// and where the platform said no it does not.
fn remedy(connection: &str, error: &connector::Error) -> String {
    use connector::Error as E;
    match error {
        E::Lost { next, .. } | E::LockedOut { next, .. } => next.clone(),
        E::Partly { cause, .. } => remedy(connection, cause),
        E::Configuration(_) => "mend what is named, and apply again".to_owned(),
        E::Unsupported { .. } => {
            format!("nhi doctor {connection} says what it can do; declare that, and apply")
        }
        E::Untrusted { .. } => {
            format!("name that file in ca_file of connection {connection:?} in nhi.hcl, and apply again")
        }
        E::NotReady { .. } | E::Unreachable { outcome: Outcome::NotSent, .. } => {
            format!("nhi doctor {connection}, and apply again when it answers")
        }
        E::Refused { what: call, refusal, .. } => match refusal {
            Refusal::Unauthorized => format!(
                "renew our own credential of connection {connection:?} until nhi doctor {connection} \
                 is content, and apply again"
            ),
            Refusal::Forbidden => format!(
                "give our own credential of connection {connection:?} the right to this call, and \
                 apply again: {call}"
            ),
            Refusal::NotFound => format!(
                "nhi doctor {connection}: is what it stands on there, such as a mount or a group? Make \
                 that first. If somebody deleted the object, terraform plan makes it anew"
            ),
            Refusal::Conflict => "terraform plan; if somebody changed it meanwhile, the new plan \
                                  starts from what is there. If the same is refused again, remove at \
                                  the platform what it says is in the way"
                .to_owned(),
            Refusal::Invalid => {
                "change in the configuration what the platform refuses, and apply".to_owned()
            }
            Refusal::RateLimited => {
                "wait a few minutes, and apply again with a smaller -parallelism".to_owned()
            }
            Refusal::Redirect => format!(
                "set the address of connection {connection:?} in nhi.hcl to that of the server itself, \
                 and apply"
            ),
            Refusal::ReadOnly => "remove read_only = true where changes are meant".to_owned(),
        },
        _ => "apply again".to_owned(),
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}\n{}", self.summary, self.body())
    }
}

impl std::error::Error for Problem {}

impl From<ledger::Error> for Problem {
    fn from(error: ledger::Error) -> Problem {
        Problem::new(error.code(), "The ledger cannot be used")
            .detail(format!("{error}."))
            .next(error.remedy())
    }
}

impl Problem {
    /// A sink that does not do, and what helps where that is about its place. Where it is not, the error
    /// says itself what does.
    pub fn of_sink(error: secrets::SinkError, next: &str) -> Problem {
        use secrets::SinkError::{NotReady, Unauthorized, Unfit, Untrusted};
        let is_elsewhere = matches!(
            error,
            Unfit { .. } | NotReady { .. } | Untrusted { .. } | Unauthorized { .. }
        );
        let problem = Problem::from(error);
        if is_elsewhere { problem } else { problem.next(next) }
    }
}

impl From<secrets::SinkError> for Problem {
    fn from(error: secrets::SinkError) -> Problem {
        use secrets::SinkError::{
            Ambiguous, Conflict, NoDocument, NotReady, Refused, Unauthorized, Unfit, Unreachable,
            Unsupported, Untrusted,
        };
        let (code, summary, next): (_, _, &str) = match &error {
            Conflict { .. } => {
                ("E-SINK-CONFLICT", "Somebody else wrote to the sink", "apply again")
            }
            Refused { .. } | Unsupported { .. } => {
                ("E-SINK", "The sink refused", "give our credential what it needs there")
            }
            Unfit { next, .. } => ("E-SINK-UNFIT", "The sink cannot be used", next.as_str()),
            NoDocument { .. } => (
                "E-SINK",
                "Something else is in the document's place",
                "move it away, and apply again",
            ),
            // The same once more does not help, however often.
            NotReady { .. } => (
                "E-SINK",
                "The sink did not answer",
                "unseal its server, or wait until it is ready",
            ),
            Untrusted { .. } => (
                "E-SINK",
                "The sink's server is not known to be the right one",
                "name the file of the authority that signed its certificate in ca_file of its connection \
                 in nhi.hcl, and apply again",
            ),
            Unauthorized { .. } => (
                "E-SINK",
                "The sink does not let us in",
                "renew our own credential of its connection until nhi doctor is content, and apply again",
            ),
            Ambiguous { .. } | Unreachable { .. } => {
                ("E-SINK", "The sink did not answer", "apply again")
            }
            _ => ("E-SINK", "The sink failed", "apply again"),
        };
        let unheard = matches!(
            error,
            Ambiguous { .. } | Unreachable { .. } | NotReady { .. } | Untrusted { .. }
        );
        let problem = Problem::new(code, summary).detail(format!("{error}.")).next(next);
        Problem { unheard, ..problem }
    }
}

#[cfg(test)]
mod tests {
    use secrets::SinkError;

    use super::*;

    #[test]
    fn what_helps_follows_from_why_it_was_not_done() {
        let refused = |refusal| connector::Error::Refused {
            what: "PUT v1/sys/policies/acl/{name}".into(),
            refusal,
            message: "status".into(),
        };
        let lost = |outcome| connector::Error::Unreachable {
            what: "POST x".into(),
            message: "the answer was cut".into(),
            outcome,
        };
        let partly = refused(Refusal::Forbidden).after_change("PUT y");
        for (error, helps) in [
            (refused(Refusal::Forbidden), "the right to this call, and apply again: PUT v1/sys"),
            (partly, "the right to this call, and apply again: PUT v1/sys"),
            (refused(Refusal::Unauthorized), "renew our own credential of connection \"bao\""),
            (refused(Refusal::NotFound), "a mount or a group? Make that first"),
            (refused(Refusal::Conflict), "remove at the platform what it says is in the way"),
            (refused(Refusal::Invalid), "change in the configuration what the platform refuses"),
            (refused(Refusal::RateLimited), "wait a few minutes"),
            (refused(Refusal::Redirect), "set the address of connection \"bao\""),
            (refused(Refusal::ReadOnly), "remove read_only = true"),
            (lost(Outcome::NotSent), "nhi doctor bao, and apply again when it answers"),
            (connector::Error::Configuration("x".into()), "mend what is named"),
        ] {
            let problem = Problem::not_done("bao/openbao_approle/ci", "update", &error);
            assert_eq!(problem.code, "E-NOT-DONE");
            let next = problem.next.unwrap();
            assert!(next.contains(helps), "{error}: {next}");
        }
        let problem = Problem::not_done("bao/x/ci", "update", &lost(Outcome::Ambiguous));
        assert_eq!(problem.next.as_deref(), Some("apply again"));
    }

    #[test]
    fn what_is_not_about_a_place_is_not_helped_by_another_place() {
        let (place, reason) = (|| "secret/nhi".to_owned(), || "GET x: it says no".to_owned());
        let next = |error| Problem::of_sink(error, "name another place").next.unwrap();
        let refused = SinkError::Refused { place: place(), reason: reason() };
        assert_eq!(next(refused), "name another place");
        let untrusted = SinkError::Untrusted { place: place(), reason: reason() };
        assert!(next(untrusted).contains("in ca_file of its connection"));
        let unauthorized = SinkError::Unauthorized { place: place(), reason: reason() };
        assert!(next(unauthorized).starts_with("renew our own credential"));
    }

    #[test]
    fn a_sealed_server_is_to_be_unsealed_and_not_to_be_asked_again() {
        let (place, reason) = ("secret/nhi".to_owned(), "GET x: it says no".to_owned());
        for maybe_written in [false, true] {
            let (place, reason) = (place.clone(), reason.clone());
            let problem = Problem::from(SinkError::NotReady { place, reason, maybe_written });
            assert!(problem.next.as_deref().unwrap().starts_with("unseal its server"), "{problem}");
        }
        // Whatever its words are.
        let reason = "GET x: the answer was cut, and is it sealed?".to_owned();
        let problem = Problem::from(SinkError::Unreachable { place, reason });
        assert_eq!(problem.next.as_deref(), Some("apply again"));
    }
}
