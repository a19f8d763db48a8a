//! Files that are all there, or none of them, and that never stand in another's place.

use std::{
    io::Write,
    path::{Path, PathBuf},
};

use operations::Problem;

/// A file that is to be written.
#[derive(Debug)]
pub(crate) struct Text {
    /// Its name, without an ending.
    pub(crate) stem: String,
    /// What is to stand in it.
    pub(crate) text: String,
}

/// Writes all of them. Where a name is taken, the next number is behind it.
///
/// # Errors
///
/// One of them could not be written: then none is there.
pub(crate) fn write(folder: &Path, texts: &[Text]) -> Result<Vec<PathBuf>, Problem> {
    let mut placed = Vec::new();
    let done = std::fs::create_dir_all(folder).and_then(|()| {
        texts.iter().try_for_each(|one| place(folder, one).map(|at| placed.push(at)))
    });
    done.map(|()| placed.clone()).map_err(|error| {
        for file in &placed {
            let _ = std::fs::remove_file(file);
        }
        Problem::new("E-FILE", "Nothing was written")
            .detail(format!("{}: {error}.", folder.display()))
            .next("name a folder in --out that can be written to")
    })
}

/// The whole text appears at once, in a place where nothing was.
fn place(folder: &Path, one: &Text) -> std::io::Result<PathBuf> {
    let draft = folder.join(format!(".{}.{}.draft", one.stem, std::process::id()));
    let _ = std::fs::remove_file(&draft);
    let mut file = std::fs::File::create_new(&draft)?;
    let written = file.write_all(one.text.as_bytes()).and_then(|()| file.sync_all());
    let linked = written.and_then(|()| {
        let numbered = (2..10_000).map(|number| format!("{}_{number}.tf", one.stem));
        for name in [format!("{}.tf", one.stem)].into_iter().chain(numbered) {
            let at = folder.join(name);
            match std::fs::hard_link(&draft, &at) {
                Ok(()) => return Ok(at),
                Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {}
                Err(error) => return Err(error),
            }
        }
        Err(std::io::Error::other("all its names are taken"))
    });
    let _ = std::fs::remove_file(&draft);
    linked
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(stem: &str, text: &str) -> Text {
        Text { stem: stem.to_owned(), text: text.to_owned() }
    }

    #[test]
    fn no_file_takes_the_place_of_another_and_of_several_none_is_left_where_one_fails() {
        let root = tempfile::tempdir().unwrap();
        let folder = root.path().join("new");
        let names = |all: Vec<PathBuf>| -> Vec<String> {
            all.iter().map(|one| one.file_name().unwrap().to_string_lossy().into_owned()).collect()
        };
        assert_eq!(names(write(&folder, &[text("a", "1")]).unwrap()), ["a.tf"]);
        let both = [text("a", "2"), text("b", "3")];
        assert_eq!(names(write(&folder, &both).unwrap()), ["a_2.tf", "b.tf"]);
        assert_eq!(std::fs::read_to_string(folder.join("a.tf")).unwrap(), "1");
        // A name that no file can have.
        let failing = [text("c", "4"), text("no/such/folder", "5")];
        assert_eq!(write(&folder, &failing).unwrap_err().code, "E-FILE");
        let mut left: Vec<String> = std::fs::read_dir(&folder)
            .unwrap()
            .map(|one| one.unwrap().file_name().to_string_lossy().into_owned())
            .collect();
        left.sort();
        assert_eq!(left, ["a.tf", "a_2.tf", "b.tf"]);
    }
}
