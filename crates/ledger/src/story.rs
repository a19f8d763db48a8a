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

    /// The last entry: how it stands.
    pub fn stands(&self) -> Option<&Entry> {
        self.entries.last()
    }

    /// Whether a rotation has come to its end: closed or given up. What stands alone has.
    pub fn is_finished(&self) -> bool {
        self.rotation.is_none()
            || self
                .stands()
                .is_some_and(|last| matches!(&*last.kind, "rotation.closed" | "rotation.gave_up"))
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
            step("r1", "rotation.closed"),
        ];
        ledger.append(entries, Durability::Durable).await.expect("kept");
        let entries = all_entries(&ledger, Filter::all()).await.expect("read");
        let stories = Story::tell(entries);
        let told: Vec<(Option<&str>, usize, bool)> = stories
            .iter()
            .map(|story| (story.rotation.as_deref(), story.entries.len(), story.is_finished()))
            .collect();
        assert_eq!(told, [(Some("r1"), 2, true), (None, 1, true), (Some("r2"), 1, false)]);
    }
}
