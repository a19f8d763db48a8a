//! The few words that the program takes, and what it says to a person who runs it by hand.

use std::ffi::OsString;

/// What was asked for on the command line.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Arguments {
    pub(super) debug: bool,
    pub(super) version: bool,
    pub(super) help: bool,
}

impl Arguments {
    pub(super) fn read(words: impl Iterator<Item = OsString>) -> Result<Arguments, String> {
        let mut arguments = Arguments::default();
        for word in words {
            match word.to_str() {
                Some("-debug" | "--debug") => arguments.debug = true,
                Some("-version" | "--version" | "-V") => arguments.version = true,
                Some("-help" | "--help" | "-h") => arguments.help = true,
                _ => return Err(format!("{word:?} is no word of mine: -debug, --version, --help")),
            }
        }
        Ok(arguments)
    }
}

/// What this is and what to do with it.
pub(super) fn friendly(address: &str, version: &str) -> String {
    let short = address.split_once('/').map_or(address, |(_, short)| short);
    let name = address.rsplit('/').next().unwrap_or(address);
    format!(
        "This is the Terraform and OpenTofu provider {name} {version}. It is not run by hand: the core\n\
         starts it. Put this into a configuration and run `terraform init`:\n\n\
         \x20   terraform {{\n\
         \x20     required_providers {{\n\
         \x20       {name} = {{ source = \"{short}\" }}\n\
         \x20     }}\n\
         \x20   }}\n\n\
         To debug it: start it with -debug and give the line that it prints to the core."
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(words: &[&str]) -> Result<Arguments, String> {
        Arguments::read(words.iter().map(OsString::from))
    }

    #[test]
    fn go_and_gnu_spellings_are_taken_and_others_are_named() {
        assert!(read(&["-debug"]).unwrap().debug && read(&["--debug"]).unwrap().debug);
        assert!(read(&["--nonsense"]).unwrap_err().contains("--nonsense"));
    }

    #[test]
    fn a_person_is_told_what_to_write() {
        let text = friendly("registry.terraform.io/acme/sample", "1.2.3");
        assert!(text.contains("sample = { source = \"acme/sample\" }"), "{text}");
    }
}
