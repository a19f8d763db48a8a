//! Entries told together: each rotation with all its steps, everything else alone.

use crate::entry::Entry;

/// One or more entries that belong together, oldest first.
#[derive(Debug, Clone, PartialEq)]
pub struct Story {
    /// The rotation that they are steps of; `None` for an entry that stands alone.
    pub rotation: Option<String>,
    /// The entries; at least one.
    pub entries: Vec<Entry>,
}

impl Story {
    /// Groups entries that were read oldest first; stories are in the order of their first entry.
    pub fn tell(entries: impl IntoIterator<Item = Entry>) -> Vec<Story> {
        let mut stories: Vec<Story> = Vec::new();
        let mut place = std::collections::HashMap::new();
        for entry in entries {
            match &entry.rotation {
                None => stories.push(Story { rotation: None, entries: vec![entry] }),
                Some(rotation) => match place.get(rotation) {
                    Some(&index) => {
                        let story: &mut Story = &mut stories[index];
                        story.entries.push(entry);
                    }
                    None => {
                        place.insert(rotation.clone(), stories.len());
                        stories
                            .push(Story { rotation: Some(rotation.clone()), entries: vec![entry] });
                    }
                },
            }
        }
        stories
    }

    /// The first entry: how it began.
    pub fn began(&self) -> Option<&Entry> {
        self.entries.first()
    }

    /// Whether a rotation has come to its end: closed or given up. Other entries may follow. What
    /// stands alone has.
    pub fn is_finished(&self) -> bool {
        let ends = |entry: &Entry| matches!(&*entry.kind, "rotation.closed" | "rotation.gave_up");
        self.rotation.is_none() || self.entries.iter().any(ends)
    }

    /// Whether two keys are good at once and nothing is in between: the time that a rotation takes by
    /// design.
    pub fn overlaps(&self) -> bool {
        let tells = self.entries.iter().rev().find_map(|entry| match &*entry.kind {
            "rotation.overlapping"
            | "rotation.overlap_moved"
            | "rotation.watching"
            | "rotation.still_used" => Some(true),
            "rotation.claimed"
            | "rotation.begun_again"
            | "rotation.held"
            | "rotation.cutting"
            | "rotation.enabling"
            | "rotation.retiring" => Some(false),
            _ => None,
        });
        !self.is_finished() && tells == Some(true)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        entry::NewEntry,
        memory::MemoryLedger,
        port::{Durability, Filter, Ledger, all_entries},
    };

    #[tokio::test]
    async fn the_steps_of_a_rotation_are_told_together() {
        let ledger = MemoryLedger::new();
        let step = |rotation: &str, kind: &str| NewEntry {
            rotation: Some(rotation.to_owned()),
            ..NewEntry::new(1, kind, "a/b/c")
        };
        let entries = vec![
            step("r1", "rotation.claimed"),
            NewEntry::new(2, "declared", "a/b/d"),
            step("r2", "rotation.claimed"),
            step("r2", "rotation.overlapping"),
            step("r1", "rotation.closed"),
            // The end of it may be told late.
            step("r1", "attempt.ended"),
            step("r2", "rotation.copied"),
            step("r3", "rotation.overlapping"),
            step("r3", "rotation.retiring"),
        ];
        ledger.append(entries, Durability::Durable).await.expect("kept");
        let entries = all_entries(&ledger, Filter::all()).await.expect("read");
        let stories = Story::tell(entries);
        let told: Vec<(Option<&str>, usize, bool, bool)> = stories
            .iter()
            .map(|story| {
                let name = story.rotation.as_deref();
                (name, story.entries.len(), story.is_finished(), story.overlaps())
            })
            .collect();
        let expected = [
            (Some("r1"), 3, true, false),
            (None, 1, true, false),
            (Some("r2"), 3, false, true),
            (Some("r3"), 2, false, false),
        ];
        assert_eq!(told, expected);
    }
}
