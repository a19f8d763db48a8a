//! What every sink must do, written once and run against each of them.
//!
//! A case that a sink's published capabilities excuse is [`Verdict::Absent`]; anything else must be
//! [`Verdict::Held`]. [`assert_conforms`] is the whole suite in one line of a test.

use std::fmt;

use domain::Secret;

use crate::{Document, Expect, Mirror, Sink, SinkError, Stored, Version};

/// What became of a case.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// The sink does as it must.
    Held,
    /// The sink does not claim this.
    Absent(&'static str),
    /// It does not.
    Broken(String),
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Verdict::Held => f.write_str("held"),
            Verdict::Absent(why) => write!(f, "absent: {why}"),
            Verdict::Broken(how) => write!(f, "BROKEN: {how}"),
        }
    }
}

/// The cases, by name.
pub const CASES: [&str; 14] = [
    "nothing_is_where_nothing_was_written",
    "what_was_written_is_read_back_in_every_character",
    "a_create_does_not_overwrite",
    "a_stale_write_changes_nothing",
    "of_two_writers_one_wins",
    "the_mirror_moves_neither_content_nor_version",
    "a_long_mirror_survives",
    "the_mirrors_of_a_folder_come_by_name",
    "an_earlier_version_can_be_read",
    "an_earlier_version_can_be_read_until_it_is_destroyed",
    "destroying_twice_succeeds_and_leaves_the_others",
    "versions_go_on_counting_after_a_destroyed_current_one",
    "a_claim_keeps_no_earlier_version",
    "a_path_that_climbs_out_is_refused",
];

/// Runs every case below a folder that is this run's own, and tells what became of each.
pub async fn run(sink: &dyn Sink, folder: &str) -> Vec<(&'static str, Verdict)> {
    let mut verdicts = Vec::new();
    for case in CASES {
        let path = format!("{}/{case}", folder.trim_end_matches('/'));
        let verdict = match excuse(sink, case) {
            Some(why) => Verdict::Absent(why),
            None => match check(sink, case, &path).await {
                Ok(()) => Verdict::Held,
                Err(how) => Verdict::Broken(how),
            },
        };
        verdicts.push((case, verdict));
    }
    verdicts
}

/// Runs the suite and prints a line for each case.
///
/// # Panics
///
/// When a case is broken.
pub async fn assert_conforms(sink: &dyn Sink, folder: &str) {
    let verdicts = run(sink, folder).await;
    for (case, verdict) in &verdicts {
        println!("{case}: {verdict}");
    }
    let broken: Vec<_> =
        verdicts.iter().filter(|(_, verdict)| matches!(verdict, Verdict::Broken(_))).collect();
    assert!(broken.is_empty(), "{broken:#?}");
}

fn excuse(sink: &dyn Sink, case: &str) -> Option<&'static str> {
    let can = sink.capabilities();
    if !can.readable {
        return Some("what is written cannot be read back");
    }
    match case {
        "a_create_does_not_overwrite"
        | "a_stale_write_changes_nothing"
        | "of_two_writers_one_wins"
            if !can.compare_and_set =>
        {
            Some("no compare-and-set")
        }
        "an_earlier_version_can_be_read"
        | "an_earlier_version_can_be_read_until_it_is_destroyed"
        | "destroying_twice_succeeds_and_leaves_the_others"
            if !can.keeps_versions =>
        {
            Some("no earlier versions")
        }
        "an_earlier_version_can_be_read_until_it_is_destroyed"
        | "destroying_twice_succeeds_and_leaves_the_others"
        | "versions_go_on_counting_after_a_destroyed_current_one"
            if !can.destroys_versions =>
        {
            Some("no version can be destroyed")
        }
        "a_claim_keeps_no_earlier_version" if !can.destroys_versions => Some("it holds no claims"),
        _ => None,
    }
}

fn document(text: &str) -> Document {
    Document::default().with("secret", Secret::new(text)).with("_nhi", Secret::new("{\"gen\":1}"))
}

fn ensure(holds: bool, else_: impl FnOnce() -> String) -> Result<(), String> {
    if holds { Ok(()) } else { Err(else_()) }
}

fn says(what: &str) -> impl Fn(SinkError) -> String + '_ {
    move |error| format!("{what}: {error}")
}

async fn write(sink: &dyn Sink, path: &str, text: &str, expect: Expect) -> Result<Version, String> {
    sink.write(path, &document(text), expect).await.map_err(says("write"))
}

async fn read(sink: &dyn Sink, path: &str) -> Result<Stored, String> {
    sink.read(path).await.map_err(says("read"))?.ok_or_else(|| "nothing is there".to_owned())
}

fn text(document: Option<&Document>) -> Option<&str> {
    document?.get("secret").map(Secret::expose)
}

async fn check(sink: &dyn Sink, case: &str, path: &str) -> Result<(), String> {
    match case {
        "nothing_is_where_nothing_was_written" => {
            ensure(sink.read(path).await.map_err(says("read"))?.is_none(), || "read".into())?;
            ensure(sink.look(path).await.map_err(says("look"))?.is_none(), || "look".into())?;
            let version = sink.read_version(path, 1).await.map_err(says("read_version"))?;
            ensure(version.is_none(), || "read_version".into())?;
            let all = sink.look_all(path).await.map_err(says("look_all"))?;
            ensure(all.is_empty(), || format!("look_all: {all:?}"))
        }
        "what_was_written_is_read_back_in_every_character" => {
            let odd = "ä€🔑 \"quotes\" \\ \n\t end ";
            let written = write(sink, path, odd, Expect::Nothing).await?;
            ensure(written.number == 1, || format!("the first version is {}", written.number))?;
            ensure(written.created_at.is_some(), || format!("no time: {written:?}"))?;
            let stored = read(sink, path).await?;
            ensure(text(stored.document.as_ref()) == Some(odd), || "another content".into())?;
            ensure(stored.version == written, || {
                format!("{:?}, written {written:?}", stored.version)
            })?;
            let look = sink.look(path).await.map_err(says("look"))?.ok_or("no look")?;
            ensure(look.version == written && !look.deleted, || format!("{look:?}"))
        }
        "a_create_does_not_overwrite" => {
            write(sink, path, "one", Expect::Nothing).await?;
            conflicts(sink, path, Expect::Nothing).await
        }
        "a_stale_write_changes_nothing" => {
            write(sink, path, "one", Expect::Nothing).await?;
            write(sink, path, "two", Expect::Version(1)).await?;
            for stale in [1, 3] {
                conflicts(sink, path, Expect::Version(stale)).await?;
            }
            let stored = read(sink, path).await?;
            ensure(
                text(stored.document.as_ref()) == Some("two") && stored.version.number == 2,
                || "it was changed".into(),
            )
        }
        "of_two_writers_one_wins" => {
            let one = document("one");
            let two = document("two");
            let (first, second) = join(
                sink.write(path, &one, Expect::Nothing),
                sink.write(path, &two, Expect::Nothing),
            )
            .await;
            let winner = match (&first, &second) {
                (Ok(_), Err(SinkError::Conflict { .. })) => "one",
                (Err(SinkError::Conflict { .. }), Ok(_)) => "two",
                other => return Err(format!("{other:?}")),
            };
            let stored = read(sink, path).await?;
            ensure(text(stored.document.as_ref()) == Some(winner), || {
                "the loser's content stands".into()
            })
        }
        "the_mirror_moves_neither_content_nor_version" => {
            let written = write(sink, path, "one", Expect::Nothing).await?;
            let first = Mirror::from([("gen".into(), "1".into()), ("gone".into(), "x".into())]);
            let second = Mirror::from([("gen".into(), "2".into()), ("key".into(), "ä b".into())]);
            for mirror in [&first, &second] {
                sink.write_mirror(path, mirror).await.map_err(says("write_mirror"))?;
                let look = sink.look(path).await.map_err(says("look"))?.ok_or("no look")?;
                ensure(look.mirror == *mirror, || {
                    format!("{:?}, written {mirror:?}", look.mirror)
                })?;
                ensure(look.version == written, || format!("{:?} was {written:?}", look.version))?;
            }
            write(sink, path, "two", Expect::Version(1)).await?;
            let look = sink.look(path).await.map_err(says("look"))?.ok_or("no look")?;
            ensure(look.mirror == second && look.version.number == 2, || format!("{look:?}"))
        }
        "a_long_mirror_survives" => {
            write(sink, path, "one", Expect::Nothing).await?;
            let mirror = Mirror::from([("previous".into(), "0123456789€".repeat(150))]);
            sink.write_mirror(path, &mirror).await.map_err(says("write_mirror"))?;
            let look = sink.look(path).await.map_err(says("look"))?.ok_or("no look")?;
            ensure(look.mirror == mirror, || "it was cut".into())
        }
        "the_mirrors_of_a_folder_come_by_name" => {
            for name in ["a", "b"] {
                let below = format!("{path}/{name}");
                write(sink, &below, name, Expect::Nothing).await?;
                let mirror = Mirror::from([("name".into(), name.into())]);
                sink.write_mirror(&below, &mirror).await.map_err(says("write_mirror"))?;
            }
            write(sink, &format!("{path}/deeper/c"), "c", Expect::Nothing).await?;
            let all = sink.look_all(path).await.map_err(says("look_all"))?;
            let names: Vec<&str> = all.keys().map(String::as_str).collect();
            ensure(names == ["a", "b"], || format!("{names:?}"))?;
            let alone = sink.names(path).await.map_err(says("names"))?;
            ensure(alone.iter().eq(all.keys()), || format!("{names:?}, alone {alone:?}"))?;
            for (name, look) in &all {
                let alone = sink.look(&format!("{path}/{name}")).await.map_err(says("look"))?;
                ensure(alone.as_ref() == Some(look), || {
                    format!("{name}: {look:?}, alone {alone:?}")
                })?;
            }
            Ok(())
        }
        "an_earlier_version_can_be_read" => {
            for (at, text) in ["one", "two", "three"].into_iter().enumerate() {
                let at = at as u64;
                let expect = if at == 0 { Expect::Nothing } else { Expect::Version(at) };
                write(sink, path, text, expect).await?;
            }
            for (number, expected) in [(1, "one"), (2, "two"), (3, "three")] {
                let found = sink.read_version(path, number).await.map_err(says("read_version"))?;
                ensure(text(found.as_ref()) == Some(expected), || format!("version {number}"))?;
            }
            let kept = sink.kept_versions(path).await.map_err(says("kept_versions"))?;
            ensure(kept == [1, 2, 3], || format!("kept: {kept:?}"))
        }
        "an_earlier_version_can_be_read_until_it_is_destroyed" => {
            write(sink, path, "one", Expect::Nothing).await?;
            write(sink, path, "two", Expect::Version(1)).await?;
            let first = sink.read_version(path, 1).await.map_err(says("read_version"))?;
            ensure(text(first.as_ref()) == Some("one"), || "version 1 is not there".into())?;
            let kept = sink.kept_versions(path).await.map_err(says("kept_versions"))?;
            ensure(kept == [1, 2], || format!("kept: {kept:?}"))?;
            sink.destroy_version(path, 1).await.map_err(says("destroy_version"))?;
            let first = sink.read_version(path, 1).await.map_err(says("read_version"))?;
            ensure(first.is_none(), || "version 1 is still there".into())?;
            let kept = sink.kept_versions(path).await.map_err(says("kept_versions"))?;
            ensure(kept == [2], || format!("kept after a destroy: {kept:?}"))?;
            let stored = read(sink, path).await?;
            ensure(text(stored.document.as_ref()) == Some("two"), || "version 2 is gone too".into())
        }
        "destroying_twice_succeeds_and_leaves_the_others" => {
            write(sink, path, "one", Expect::Nothing).await?;
            write(sink, path, "two", Expect::Version(1)).await?;
            write(sink, path, "three", Expect::Version(2)).await?;
            for _ in 0..2 {
                sink.destroy_version(path, 2).await.map_err(says("destroy_version"))?;
            }
            let first = sink.read_version(path, 1).await.map_err(says("read_version"))?;
            ensure(text(first.as_ref()) == Some("one"), || "version 1 went with it".into())?;
            let stored = read(sink, path).await?;
            ensure(stored.version.number == 3 && stored.document.is_some(), || {
                format!("{stored:?}")
            })
        }
        "versions_go_on_counting_after_a_destroyed_current_one" => {
            write(sink, path, "one", Expect::Nothing).await?;
            sink.destroy_version(path, 1).await.map_err(says("destroy_version"))?;
            let stored = read(sink, path).await?;
            ensure(stored.document.is_none() && stored.version.number == 1, || {
                format!("{stored:?}")
            })?;
            let look = sink.look(path).await.map_err(says("look"))?.ok_or("no look")?;
            ensure(look.deleted, || "the look does not tell".into())?;
            let next = write(sink, path, "two", Expect::Version(1)).await?;
            ensure(next.number == 2, || format!("{next:?}"))
        }
        "a_claim_keeps_no_earlier_version" => {
            sink.prepare_claim(path).await.map_err(says("prepare_claim"))?;
            ensure(sink.read(path).await.map_err(says("read"))?.is_none(), || {
                "preparing wrote it".into()
            })?;
            write(sink, path, "pending", Expect::Nothing).await?;
            write(sink, path, "blank", Expect::Version(1)).await?;
            let first = sink.read_version(path, 1).await.map_err(says("read_version"))?;
            ensure(first.is_none(), || "version 1 can still be read".into())?;
            sink.prepare_claim(path).await.map_err(says("prepare_claim again"))?;
            ensure(read(sink, path).await?.version.number == 2, || {
                "preparing again changed it".into()
            })
        }
        "a_path_that_climbs_out_is_refused" => {
            for climbs in ["../x", "a/../../x", "/../x", "a//b", ""] {
                let wrong = format!("{path}/{climbs}");
                let wrong = if climbs.is_empty() { "" } else { &wrong };
                let refused = sink.write(wrong, &document("x"), Expect::Nothing).await;
                ensure(
                    matches!(refused, Err(SinkError::Refused { .. } | SinkError::Unfit { .. })),
                    || format!("{wrong:?}: {refused:?}"),
                )?;
                let told = sink.check(wrong).await;
                ensure(
                    matches!(told, Err(SinkError::Refused { .. } | SinkError::Unfit { .. })),
                    || format!("{wrong:?} is not told beforehand: {told:?}"),
                )?;
            }
            let told = sink.check(path).await;
            ensure(matches!(told, Ok(None)), || format!("{path:?} is told: {told:?}"))
        }
        other => Err(format!("no such case: {other}")),
    }
}

async fn conflicts(sink: &dyn Sink, path: &str, expect: Expect) -> Result<(), String> {
    match sink.write(path, &document("late"), expect).await {
        Err(SinkError::Conflict { .. }) => Ok(()),
        other => Err(format!("{expect:?}: {other:?}")),
    }
}

/// Runs two futures side by side on one task.
async fn join<A, B>(a: impl Future<Output = A>, b: impl Future<Output = B>) -> (A, B) {
    let (mut a, mut b) = (std::pin::pin!(a), std::pin::pin!(b));
    let (mut first, mut second) = (None, None);
    std::future::poll_fn(move |context| {
        if first.is_none()
            && let std::task::Poll::Ready(done) = a.as_mut().poll(context)
        {
            first = Some(done);
        }
        if second.is_none()
            && let std::task::Poll::Ready(done) = b.as_mut().poll(context)
        {
            second = Some(done);
        }
        match (first.take(), second.take()) {
            (Some(first), Some(second)) => std::task::Poll::Ready((first, second)),
            (one, two) => {
                (first, second) = (one, two);
                std::task::Poll::Pending
            }
        }
    })
    .await
}
