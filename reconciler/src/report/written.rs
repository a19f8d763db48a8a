//! Reports into files: each whole, or not at all.

use std::{
    io::{ErrorKind, Write},
    path::{Path, PathBuf},
    str::FromStr,
};

use clap::ValueEnum;
use operations::Problem;

use super::Form;

/// A form, and where it goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Wanted {
    pub(crate) form: Form,
    /// `-` is standard output.
    pub(crate) place: String,
}

impl FromStr for Wanted {
    type Err = String;

    fn from_str(text: &str) -> Result<Wanted, String> {
        let forms = Form::value_variants().iter().filter_map(ValueEnum::to_possible_value);
        let forms: Vec<String> = forms.map(|one| one.get_name().to_owned()).collect();
        let form = text.split_once('=').filter(|(_, place)| !place.is_empty());
        let (form, place) = form.ok_or("expected FORMAT=FILE, such as sarif=drift.sarif")?;
        let form = Form::from_str(form, false)
            .map_err(|_| format!("no format {form:?}; there are {}", forms.join(", ")))?;
        Ok(Wanted { form, place: place.to_owned() })
    }
}

/// Writes a file beside its place and puts it there when it is whole, so that nobody reads half of it
/// and what was there stays if this fails.
///
/// # Errors
///
/// It could not be written.
pub(crate) fn write(place: &Path, text: &str) -> Result<(), Problem> {
    let told = |error: std::io::Error| not_written(place, &error);
    let text = format!("{text}\n");
    // A pipe or a device is no file that could be replaced.
    if place.metadata().is_ok_and(|about| !about.is_file() && !about.is_dir()) {
        return std::fs::write(place, text).map_err(told);
    }
    let beside = beside(place);
    let written =
        std::fs::File::options().write(true).create_new(true).open(&beside).and_then(|mut file| {
            file.write_all(text.as_bytes())?;
            file.sync_all()?;
            std::fs::rename(&beside, place)
        });
    written.map_err(|error| {
        if error.kind() != ErrorKind::AlreadyExists {
            let _ = std::fs::remove_file(&beside);
        }
        told(error)
    })
}

/// Adds to a file that others write to as well.
///
/// # Errors
///
/// It could not be written.
pub(crate) fn append(place: &Path, text: &str) -> Result<(), Problem> {
    let file = std::fs::File::options().append(true).create(true).open(place);
    let written = file.and_then(|mut file| file.write_all(format!("{text}\n").as_bytes()));
    written.map_err(|error| not_written(place, &error))
}

fn not_written(place: &Path, error: &std::io::Error) -> Problem {
    Problem::new("E-REPORT", "A report could not be written")
        .detail(format!("{}: {error}.", place.display()))
        .next("name a file in a folder that exists and that this run may write to")
}

fn beside(place: &Path) -> PathBuf {
    let name = place.file_name().unwrap_or_default().to_string_lossy();
    place.with_file_name(format!(".{name}.{}.new", std::process::id()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_form_and_its_place_are_told_apart() {
        let wanted: Wanted = "sarif=out/a=b.sarif".parse().unwrap();
        assert_eq!(wanted, Wanted { form: Form::Sarif, place: "out/a=b.sarif".into() });
        for (text, why) in [("sarif", "FORMAT=FILE"), ("sarif=", "FORMAT=FILE"), ("pdf=x", "html")]
        {
            let said = text.parse::<Wanted>().unwrap_err();
            assert!(said.contains(why), "{said}");
        }
    }

    #[test]
    fn a_report_is_there_whole_or_what_was_there_stays() {
        let folder = tempfile::tempdir().unwrap();
        let place = folder.path().join("drift.md");
        write(&place, "one").unwrap();
        write(&place, "two").unwrap();
        assert_eq!(std::fs::read_to_string(&place).unwrap(), "two\n");
        assert_eq!(folder.path().read_dir().unwrap().count(), 1, "and nothing beside it");
        let gone = folder.path().join("gone/drift.md");
        assert_eq!(write(&gone, "x").unwrap_err().code, "E-REPORT");
        // A folder is in its place: it stays.
        std::fs::create_dir(folder.path().join("taken")).unwrap();
        assert_eq!(write(&folder.path().join("taken"), "x").unwrap_err().code, "E-REPORT");
        assert_eq!(folder.path().read_dir().unwrap().count(), 2);
    }
}
