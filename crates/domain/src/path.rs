//! Paths of documents: names with slashes between.

/// A path's names, after slashes at its ends; `None` where there is an empty one, `.` or `..`, or a
/// control character: nothing that anybody is asked for climbs out of where it is asked for.
pub fn segments(path: &str) -> Option<Vec<&str>> {
    let parts: Vec<&str> = path.trim_matches('/').split('/').collect();
    let climbs =
        |part: &&str| matches!(*part, "" | "." | "..") || part.chars().any(char::is_control);
    (!parts.iter().any(climbs)).then_some(parts)
}

/// Whether a path is a folder or lies in it; slashes at their ends are of neither.
pub fn is_within(path: &str, folder: &str) -> bool {
    let (path, folder) = (path.trim_matches('/'), folder.trim_matches('/'));
    path.strip_prefix(folder)
        .is_some_and(|rest| folder.is_empty() || rest.is_empty() || rest.starts_with('/'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_is_a_whole_prefix_of_what_lies_in_it() {
        for path in ["secret", "secret/", "/secret/a", "secret/a/b"] {
            assert!(is_within(path, "secret") && is_within(path, "/secret/"), "{path}");
        }
        for path in ["secrets/a", "a/secret", ""] {
            assert!(!is_within(path, "secret"), "{path}");
        }
    }

    #[test]
    fn a_path_climbs_nowhere() {
        assert_eq!(segments("/a/b.c/"), Some(vec!["a", "b.c"]));
        for path in ["", "/", "a//b", "../a", "a/./b", "a/..", "a\nb"] {
            assert_eq!(segments(path), None, "{path:?}");
        }
    }
}
