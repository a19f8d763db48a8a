//! A folder's looks, shared by all who read it at once.

use std::{
    collections::{BTreeMap, HashMap},
    sync::{Arc, Mutex, PoisonError},
};

use crate::{Look, Version};

/// The looks of all documents directly in a folder.
#[derive(Debug, Default)]
pub struct Looks(Vec<Arc<LooksPage>>);

/// The looks of one page of a folder's listing. A plan holds those of thousands for as long as it
/// runs, and looks at each a few times: mirrors are kept as one text each.
#[derive(Debug, Default)]
pub struct LooksPage {
    /// By name.
    all: Vec<(Box<str>, Kept)>,
    /// Places in `all` by what stands under a mirror's key, for keys that somebody asked for.
    by_mirror: Mutex<HashMap<String, Places>>,
}

/// Places by text.
type Places = HashMap<Box<str>, Vec<usize>>;

#[derive(Debug)]
struct Kept {
    version: Version,
    deleted: bool,
    mirror: Box<str>,
}

impl Kept {
    fn of(look: Look) -> Kept {
        // A map of texts is always written, and read again.
        let mirror = serde_json::to_string(&look.mirror).unwrap_or_default().into();
        Kept { version: look.version, deleted: look.deleted, mirror }
    }

    fn look(&self) -> Look {
        Look {
            version: self.version.clone(),
            deleted: self.deleted,
            mirror: serde_json::from_str(&self.mirror).unwrap_or_default(),
        }
    }
}

impl FromIterator<(String, Look)> for LooksPage {
    fn from_iter<I: IntoIterator<Item = (String, Look)>>(looks: I) -> Self {
        let kept = looks.into_iter().map(|(name, look)| (name.into(), Kept::of(look)));
        let mut all: Vec<(Box<str>, Kept)> = kept.collect();
        all.sort_by(|(a, _), (b, _)| a.cmp(b));
        all.shrink_to_fit();
        LooksPage { all, by_mirror: Mutex::default() }
    }
}

/// Pages in the order of the names on them.
impl FromIterator<Arc<LooksPage>> for Looks {
    fn from_iter<I: IntoIterator<Item = Arc<LooksPage>>>(pages: I) -> Self {
        Looks(pages.into_iter().collect())
    }
}

impl FromIterator<(String, Look)> for Looks {
    fn from_iter<I: IntoIterator<Item = (String, Look)>>(looks: I) -> Self {
        Looks(vec![Arc::new(looks.into_iter().collect())])
    }
}

impl From<BTreeMap<String, Look>> for Looks {
    fn from(by_name: BTreeMap<String, Look>) -> Self {
        by_name.into_iter().collect()
    }
}

impl Looks {
    /// The look of one document.
    pub fn get(&self, name: &str) -> Option<Look> {
        self.0.iter().find_map(|page| page.get(name))
    }

    /// All of them, by name.
    pub fn iter(&self) -> impl Iterator<Item = (&str, Look)> {
        let all = self.0.iter().flat_map(|page| &page.all);
        all.map(|(name, kept)| (&**name, kept.look()))
    }

    /// Those whose mirror has this text under this key, by name; what lacks the key bears an empty
    /// text. Whoever asks for each of many costs one pass over the folder, and not one for each.
    pub fn bearing(&self, key: &str, text: &str) -> Vec<(&str, Look)> {
        self.0.iter().flat_map(|page| page.bearing(key, text)).collect()
    }
}

impl LooksPage {
    fn get(&self, name: &str) -> Option<Look> {
        let at = self.all.binary_search_by(|(one, _)| (**one).cmp(name)).ok()?;
        Some(self.all[at].1.look())
    }

    fn bearing(&self, key: &str, text: &str) -> Vec<(&str, Look)> {
        let mut by_mirror = self.by_mirror.lock().unwrap_or_else(PoisonError::into_inner);
        let by_text = by_mirror.entry(key.to_owned()).or_insert_with(|| {
            let mut by_text = Places::new();
            for (at, (_, kept)) in self.all.iter().enumerate() {
                let text = kept.look().mirror.remove(key).unwrap_or_default();
                by_text.entry(text.into()).or_default().push(at);
            }
            by_text
        });
        let found = by_text.get(text).into_iter().flatten().map(|at| &self.all[*at]);
        found.map(|(name, kept)| (&**name, kept.look())).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Mirror, Version};

    #[test]
    fn who_bears_a_mark_is_found_whatever_was_asked_before() {
        let look = |of: &[(&str, &str)]| Look {
            version: Version { number: 1, created_at: None },
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
        let pages = all.clone().into_iter().map(|look| Arc::new(LooksPage::from_iter([look])));
        for looks in [pages.collect::<Looks>(), Looks::from(all)] {
            says_who_bears(&looks, look);
        }
    }

    fn says_who_bears(looks: &Looks, look: impl Fn(&[(&str, &str)]) -> Look) {
        let bearing = |key, text| {
            looks.bearing(key, text).into_iter().map(|(name, _)| name).collect::<Vec<_>>()
        };
        assert_eq!(bearing("of", "x"), ["a", "c"]);
        assert_eq!(bearing("in", "1"), ["a"]);
        assert_eq!(bearing("of", "y"), ["b"]);
        assert_eq!(bearing("in", ""), ["b", "c"], "what lacks it");
        assert!(bearing("of", "z").is_empty() && bearing("no", "x").is_empty());
        assert_eq!(looks.get("a"), Some(look(&[("of", "x"), ("in", "1")])));
        assert_eq!(looks.get("d"), None);
        assert_eq!(looks.iter().map(|(name, _)| name).collect::<Vec<_>>(), ["a", "b", "c"]);
    }
}
