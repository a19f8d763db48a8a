//! A folder's looks, shared by all who read it at once.

use std::{
    collections::{BTreeMap, HashMap},
    sync::{Mutex, PoisonError},
};

use crate::Look;

/// The looks of all documents directly in a folder.
#[derive(Debug, Default)]
pub struct Looks {
    by_name: BTreeMap<String, Look>,
    /// Names by what stands under a mirror's key, for keys that somebody asked for.
    by_mirror: Mutex<HashMap<String, HashMap<String, Vec<String>>>>,
}

impl From<BTreeMap<String, Look>> for Looks {
    fn from(by_name: BTreeMap<String, Look>) -> Self {
        Looks { by_name, by_mirror: Mutex::default() }
    }
}

impl Looks {
    /// The look of one document.
    pub fn get(&self, name: &str) -> Option<&Look> {
        self.by_name.get(name)
    }

    /// All of them, by name.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &Look)> {
        self.by_name.iter().map(|(name, look)| (name.as_str(), look))
    }

    /// Those whose mirror has this text under this key, by name. Whoever asks for each of many costs
    /// one pass over the folder, and not one for each.
    pub fn bearing(&self, key: &str, text: &str) -> Vec<&Look> {
        let mut by_mirror = self.by_mirror.lock().unwrap_or_else(PoisonError::into_inner);
        let by_text = by_mirror.entry(key.to_owned()).or_insert_with(|| {
            let mut by_text: HashMap<String, Vec<String>> = HashMap::new();
            for (name, look) in &self.by_name {
                if let Some(text) = look.mirror.get(key) {
                    by_text.entry(text.clone()).or_default().push(name.clone());
                }
            }
            by_text
        });
        let names = by_text.get(text).into_iter().flatten();
        names.filter_map(|name| self.by_name.get(name)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Mirror, Version};

    #[test]
    fn who_bears_a_mark_is_found_whatever_was_asked_before() {
        let look = |of: &[(&str, &str)]| Look {
            version: Version { number: 1, created_at: None, begun_at: None },
            mirror: of
                .iter()
                .map(|(key, text)| ((*key).into(), (*text).into()))
                .collect::<Mirror>(),
            deleted: false,
        };
        let all = BTreeMap::from([
            ("a".to_owned(), look(&[("of", "x"), ("in", "1")])),
            ("b".to_owned(), look(&[("of", "y")])),
            ("c".to_owned(), look(&[("of", "x")])),
        ]);
        let looks = Looks::from(all);
        let bearing = |key, text| {
            let found = looks.bearing(key, text);
            let same = |one: &Look| looks.iter().find(|(_, look)| std::ptr::eq(*look, one));
            found.into_iter().filter_map(|one| Some(same(one)?.0)).collect::<Vec<_>>()
        };
        assert_eq!(bearing("of", "x"), ["a", "c"]);
        assert_eq!(bearing("in", "1"), ["a"]);
        assert_eq!(bearing("of", "y"), ["b"]);
        assert!(bearing("of", "z").is_empty() && bearing("no", "x").is_empty());
    }
}
