//! The material of a credential: held in memory only, wiped when dropped, never printed.

use std::fmt;

use zeroize::Zeroizing;

/// Secret text. It has no `Display`, no `Serialize`, no `Clone`, and its `Debug` shows nothing.
///
/// What text can be used for,
///
/// ```
/// let text = String::from("s.4711");
/// println!("{text}");
/// serde_json::to_string(&text).unwrap();
/// let _ = Clone::clone(&text);
/// ```
///
/// it cannot be used for:
///
/// ```compile_fail,E0277
/// let secret = domain::Secret::new("s.4711");
/// println!("{secret}");
/// ```
/// ```compile_fail,E0277
/// let secret = domain::Secret::new("s.4711");
/// serde_json::to_string(&secret).unwrap();
/// ```
/// ```compile_fail,E0277
/// let secret = domain::Secret::new("s.4711");
/// let _: domain::Secret = Clone::clone(&secret);
/// ```
pub struct Secret(Zeroizing<String>);

impl Secret {
    /// Takes the material. The caller's own copy, if any, is the caller's to wipe.
    pub fn new(material: impl Into<String>) -> Self {
        Secret(Zeroizing::new(material.into()))
    }

    /// The material itself, for the one place that sends or stores it.
    pub fn expose(&self) -> &str {
        &self.0
    }

    /// A second holder of the same material, said aloud where it is needed.
    pub fn duplicate(&self) -> Secret {
        Secret(self.0.clone())
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
    }
}

/// Compares without leaving early, so that the time taken says nothing about the material.
impl PartialEq for Secret {
    fn eq(&self, other: &Self) -> bool {
        let (a, b) = (self.0.as_bytes(), other.0.as_bytes());
        a.len() == b.len() && a.iter().zip(b).fold(0u8, |seen, (x, y)| seen | (x ^ y)) == 0
    }
}

impl Eq for Secret {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn debug_shows_none_of_it() {
        assert_eq!(format!("{:?}", Secret::new("s.4711")), "Secret(…)");
    }

    #[test]
    fn equal_only_to_the_same_material() {
        assert_eq!(Secret::new("a"), Secret::new("a"));
        assert_ne!(Secret::new("a"), Secret::new("b"));
        assert_ne!(Secret::new("a"), Secret::new("aa"));
    }
}
