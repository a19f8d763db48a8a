//! What people and platforms write in one line: what is read is written to something that reads the
//! same.

use std::{collections::BTreeSet, fmt::Debug, str::FromStr};

use domain::{
    CredentialId, IntegrationId, Marker, OwnerId, Record, ScheduleId, Scope, ScopeId, Span,
};
use jiff::Timestamp;
use policy::schedule::Written;

use crate::text;

fn reads_as_it_writes<T: FromStr<Err: Debug> + ToString + PartialEq + Debug>(text: &str) {
    let Ok(read) = text.parse::<T>() else { return };
    let again = read.to_string().parse::<T>().expect("what is written can be read");
    assert_eq!(again, read);
}

/// Ids of everything, which import takes.
pub fn ids(data: &[u8]) {
    let text = text(data);
    reads_as_it_writes::<OwnerId>(text);
    reads_as_it_writes::<ScheduleId>(text);
    reads_as_it_writes::<IntegrationId>(text);
    reads_as_it_writes::<ScopeId>(text);
    reads_as_it_writes::<CredentialId>(text);
}

/// Lengths of time.
pub fn spans(data: &[u8]) {
    reads_as_it_writes::<Span>(text(data));
}

/// Schedules, a member a line: every, anchor, spread, least age, overlap, overdue, lifetime, zone, a
/// window, a blackout.
pub fn schedules(data: &[u8]) {
    let mut lines = text(data).lines();
    let mut next = || lines.next().filter(|line| !line.is_empty()).map(str::to_owned);
    let written = Written {
        name: "s".to_owned(),
        every: next().unwrap_or_default(),
        anchor: next(),
        spread: next(),
        min_age: next(),
        overlap: next(),
        overdue_after: next(),
        lifetime: next(),
        timezone: next(),
        windows: next()
            .iter()
            .filter_map(|line| {
                let mut words = line.splitn(3, ' ');
                let days = words.next()?.split(',').map(str::to_owned).collect();
                Some((days, words.next()?.to_owned(), words.next()?.to_owned()))
            })
            .collect(),
        blackout: next()
            .iter()
            .filter_map(|line| line.split_once(' '))
            .map(|(from, until)| (from.to_owned(), until.to_owned(), "because".to_owned()))
            .collect(),
        outside_window: next(),
    };
    let Some(schedule) = written.read() else { return };
    assert_eq!(schedule.written().read().as_ref(), Some(&schedule));
    let _ = schedule.faults(Span::from_secs(3600));
    let moments = [Timestamp::MIN, Timestamp::UNIX_EPOCH, schedule.anchor, Timestamp::MAX];
    for issued in moments {
        let end = schedule.expiry(issued, Some(Timestamp::MAX));
        for now in moments {
            let _ = schedule.due("one/app/x/default", issued, end, now);
        }
        let _ = schedule.next_opening(issued);
    }
}

/// Scopes of every kind of every platform: a canonical scope is its own canonical form, covers
/// itself, and replacing it by itself changes nothing.
pub fn scopes(data: &[u8]) {
    let text = text(data);
    for platform in wiring::platforms() {
        for kind in platform.kinds() {
            let Ok(scopes) = platform.parse_scope(kind.name, text) else { continue };
            for scope in &scopes {
                let again = platform.parse_scope(kind.name, scope.as_str());
                assert_eq!(again.as_ref(), Ok(&vec![scope.clone()]), "{} {text:?}", kind.name);
                assert!(platform.implies(kind.name, scope, scope), "{} {text:?}", kind.name);
                let _ = platform.action(kind.name, scope);
            }
            let all: BTreeSet<Scope> = scopes.into_iter().collect();
            let direction = platform.direction(kind.name, &all, &all);
            assert_eq!(direction, domain::Direction::None, "{} {text:?}", kind.name);
        }
    }
}

/// Markers, as platforms give them back.
pub fn markers(data: &[u8]) {
    let text = text(data);
    let Some(marker) = Marker::parse(text) else { return };
    assert_eq!(marker.to_string(), text, "a marker has one spelling");
}

/// Records, as platforms give them back.
pub fn records(data: &[u8]) {
    let Ok(record) = Record::from_json(text(data)) else { return };
    assert_eq!(Record::from_json(&record.to_json()).as_ref(), Ok(&record));
}
