//! What is traced, by which names, and what may be said of it.
//!
//! A span is begun by a function of this crate alone, which takes ids, words of ours and numbers: there
//! is no way for a body, a header, an address or an error's text to get into one. Whoever sends traces
//! somewhere sends those of [`TARGET`] and no others, so what libraries trace stays here too.

use tracing::{Span, field::Empty, info_span};

/// The target of every span of ours.
pub const TARGET: &str = "nhi::traces";

/// The names of spans: a noun and a verb.
pub mod name {
    /// One tick of whoever works between applies.
    pub const TICK: &str = "reconciler.tick";
    /// A look at an integration with all that hangs on it.
    pub const LOOK: &str = "integration.look";
    /// What is owed on earlier credentials is done.
    pub const MEET: &str = "credential.meet";
    /// Another generation is issued.
    pub const ROTATE: &str = "credential.rotate";
    /// The present one is delivered again.
    pub const DELIVER: &str = "credential.deliver";
    /// An integration is switched off.
    pub const SWITCH_OFF: &str = "integration.switch_off";
    /// All that an integration has ends.
    pub const REVOKE: &str = "integration.revoke";
    /// Scopes that are over are taken away.
    pub const NARROW: &str = "scope.narrow";
    /// A request to a platform, with its answer.
    pub const REQUEST: &str = "platform.request";
    /// Somebody is told something.
    pub const TELL: &str = "notice.tell";

    /// All of them.
    pub const ALL: [&str; 10] =
        [TICK, LOOK, MEET, ROTATE, DELIVER, SWITCH_OFF, REVOKE, NARROW, REQUEST, TELL];
}

/// The names of attributes: a noun, a point, and what of it. Those of `otel` and `http` are the standard's.
pub mod attribute {
    /// The id of what it is about.
    pub const SUBJECT: &str = "nhi.subject";
    /// The connection.
    pub const CONNECTION: &str = "nhi.connection";
    /// How it ended, in a word.
    pub const OUTCOME: &str = "nhi.outcome";
    /// The code of what went wrong.
    pub const CODE: &str = "nhi.code";
    /// How many things were read.
    pub const READ: &str = "tick.read";
    /// How many could not be.
    pub const GAPS: &str = "tick.gaps";
    /// How many deeds were done.
    pub const DONE: &str = "tick.done";
    /// How many were not.
    pub const FAILED: &str = "tick.failed";
    /// The method of a request.
    pub const METHOD: &str = "http.request.method";
    /// Its path, with every part that varies left out.
    pub const TEMPLATE: &str = "url.template";
    /// The status of the answer.
    pub const STATUS: &str = "http.response.status_code";
    /// How somebody is told: `mail`, `webhook`, `slack`.
    pub const BY: &str = "notice.by";
    /// What they are told.
    pub const EVENT: &str = "notice.event";
    /// Whether it asks or does, as the standard has it.
    pub const KIND: &str = "otel.kind";
    /// Whether it failed, as the standard has it.
    pub const STATUS_CODE: &str = "otel.status_code";

    /// All of them.
    pub const ALL: [&str; 15] = [
        SUBJECT,
        CONNECTION,
        OUTCOME,
        CODE,
        READ,
        GAPS,
        DONE,
        FAILED,
        METHOD,
        TEMPLATE,
        STATUS,
        BY,
        EVENT,
        KIND,
        STATUS_CODE,
    ];
}

/// A deed of a tick.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Deed {
    /// What is owed on earlier credentials is done.
    Meet,
    /// Another generation is issued.
    Rotate,
    /// The present one is delivered again.
    Deliver,
    /// An integration is switched off.
    SwitchOff,
    /// All that an integration has ends.
    Revoke,
    /// Scopes that are over are taken away.
    Narrow,
}

/// A span of that name, with these members from the beginning and those left open.
macro_rules! span {
    ($name:expr, [$($member:expr => $value:expr),*], [$($open:expr),*]) => {
        info_span!(
            target: TARGET,
            $name,
            $({ $member } = $value,)*
            $({ $open } = Empty,)*
        )
    };
}

/// One tick.
pub fn tick() -> Span {
    use attribute::{CODE, DONE, FAILED, GAPS, OUTCOME, READ, STATUS_CODE};
    span!(name::TICK, [], [READ, GAPS, DONE, FAILED, OUTCOME, CODE, STATUS_CODE])
}

/// What a tick came to.
pub fn ticked(span: &Span, read: usize, gaps: usize, done: u64, failed: u64) {
    let number = |count: usize| u64::try_from(count).unwrap_or(u64::MAX);
    span.record(attribute::READ, number(read)).record(attribute::GAPS, number(gaps));
    span.record(attribute::DONE, done).record(attribute::FAILED, failed);
}

/// A look at an integration.
pub fn look(subject: &str, connection: &str) -> Span {
    use attribute::{CODE, CONNECTION, OUTCOME, STATUS_CODE, SUBJECT};
    span!(
        name::LOOK,
        [SUBJECT => subject, CONNECTION => connection],
        [OUTCOME, CODE, STATUS_CODE]
    )
}

/// A deed.
pub fn deed(deed: Deed, subject: &str, connection: &str) -> Span {
    use attribute::{CODE, CONNECTION, OUTCOME, STATUS_CODE, SUBJECT};
    macro_rules! of {
        ($name:expr) => {
            span!(
                $name,
                [SUBJECT => subject, CONNECTION => connection],
                [OUTCOME, CODE, STATUS_CODE]
            )
        };
    }
    match deed {
        Deed::Meet => of!(name::MEET),
        Deed::Rotate => of!(name::ROTATE),
        Deed::Deliver => of!(name::DELIVER),
        Deed::SwitchOff => of!(name::SWITCH_OFF),
        Deed::Revoke => of!(name::REVOKE),
        Deed::Narrow => of!(name::NARROW),
    }
}

/// A request. `template` is a text of the program, so that nothing of the path is in it.
pub fn request(connection: &str, method: &'static str, template: &'static str) -> Span {
    use attribute::{CONNECTION, KIND, METHOD, OUTCOME, STATUS, STATUS_CODE, TEMPLATE};
    span!(
        name::REQUEST,
        [CONNECTION => connection, METHOD => method, TEMPLATE => template, KIND => "client"],
        [STATUS, OUTCOME, STATUS_CODE]
    )
}

/// The answer of a request.
pub fn answered(span: &Span, status: u16) {
    span.record(attribute::STATUS, u64::from(status));
    if status >= 400 {
        span.record(attribute::STATUS_CODE, "ERROR");
    }
}

/// Somebody is told something.
pub fn tell(by: &'static str, event: &'static str, subject: &str) -> Span {
    use attribute::{BY, EVENT, KIND, OUTCOME, STATUS_CODE, SUBJECT};
    span!(
        name::TELL,
        [BY => by, EVENT => event, SUBJECT => subject, KIND => "client"],
        [OUTCOME, STATUS_CODE]
    )
}

/// How it ended, in a word of ours.
pub fn ended(span: &Span, outcome: &'static str) {
    span.record(attribute::OUTCOME, outcome);
}

/// That it failed, with the word or the code of what went wrong.
pub fn failed(span: &Span, outcome: &'static str, code: Option<&'static str>) {
    span.record(attribute::OUTCOME, outcome).record(attribute::STATUS_CODE, "ERROR");
    if let Some(code) = code {
        span.record(attribute::CODE, code);
    }
}

#[cfg(test)]
mod tests {
    use std::{
        collections::BTreeSet,
        sync::{Arc, Mutex},
    };

    use tracing::{Metadata, Subscriber, span};
    use tracing_subscriber::{Layer, Registry, layer::Context, prelude::*};

    use super::*;

    /// Keeps the metadata of each span.
    #[derive(Default, Clone)]
    struct Heard(Arc<Mutex<Vec<&'static Metadata<'static>>>>);

    impl<S: Subscriber> Layer<S> for Heard {
        fn on_new_span(&self, of: &span::Attributes<'_>, _: &span::Id, _: Context<'_, S>) {
            self.0.lock().unwrap().push(of.metadata());
        }
    }

    #[test]
    fn every_span_has_a_name_of_the_list_and_no_member_that_is_not_in_the_other() {
        let heard = Heard::default();
        tracing::subscriber::with_default(Registry::default().with(heard.clone()), || {
            drop((
                tick(),
                look("a", "b"),
                request("b", "GET", "x/{name}"),
                tell("mail", "expires", "a"),
            ));
            for one in [
                Deed::Meet,
                Deed::Rotate,
                Deed::Deliver,
                Deed::SwitchOff,
                Deed::Revoke,
                Deed::Narrow,
            ] {
                drop(deed(one, "a", "b"));
            }
        });
        let heard = heard.0.lock().unwrap();
        let names: BTreeSet<&str> = heard.iter().map(|one| one.name()).collect();
        assert_eq!(names, name::ALL.into());
        let members: BTreeSet<&str> =
            heard.iter().flat_map(|one| one.fields()).map(|field| field.name()).collect();
        assert_eq!(members, attribute::ALL.into());
        assert!(heard.iter().all(|one| one.target() == TARGET));
    }

    #[test]
    fn each_name_is_a_noun_a_point_and_a_word() {
        for one in name::ALL.into_iter().chain(attribute::ALL) {
            let (noun, rest) = one.split_once('.').unwrap();
            let word = |text: &str| {
                !text.is_empty() && text.bytes().all(|b| b.is_ascii_lowercase() || b == b'_')
            };
            assert!(word(noun) && rest.split('.').all(word), "{one}");
        }
    }
}
