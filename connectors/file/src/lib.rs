//! A folder of files as a sink, for programs on the same host.
//!
//! `folder` opens what is ours and refuses the rest, `store` keeps documents, versions and mirrors
//! in it.

#![warn(clippy::disallowed_methods)]

#[cfg(unix)]
mod folder;
#[cfg(unix)]
mod store;

use connector::{
    Absent, Connection, Default, Error, Field, FieldType, Grows, Kind, OnChange, OwnCredential,
    Platform, Result, Setup, Usual,
};

/// The platform: a folder on this host.
#[derive(Debug)]
pub struct File;

/// The platform, for `wiring`.
pub static PLATFORM: File = File;

static CONNECTION: [Field; 1] = [Field {
    name: "folder",
    field_type: FieldType::Text,
    required: true,
    default: Default::None,
    on_change: OnChange::InPlace,
    grows: Grows::Never,
    absent: Absent::Neutral,
    doc: "The folder that documents are kept in. It is made if it is not there, and refused if \
          anybody but its owner may look into it.",
}];

impl Platform for File {
    fn name(&self) -> &'static str {
        "file"
    }

    fn doc(&self) -> &'static str {
        "A folder on this host as a sink: one file a document, readable by its owner only."
    }

    fn connection_fields(&self) -> &'static [Field] {
        &CONNECTION
    }

    fn kinds(&self) -> &'static [Kind] {
        &[]
    }

    fn is_sink(&self) -> bool {
        true
    }

    fn own_credential(&self) -> OwnCredential {
        OwnCredential::Nothing
    }

    fn usual(&self) -> Usual {
        Usual { name: "files", place: None, variable: None, custody: "nhi" }
    }

    fn connect(&'static self, setup: Setup) -> Result<Connection> {
        let folder =
            setup.settings.text("folder").filter(|text| !text.is_empty()).ok_or_else(|| {
                Error::Configuration(format!("connection {:?}: file.folder is not set", setup.name))
            })?;
        #[cfg(unix)]
        return Ok(Connection {
            platform: self,
            connector: None,
            sink: Some(std::sync::Arc::new(store::Store::new(folder.into()))),
            directory: None,
        });
        #[cfg(not(unix))]
        Err(Error::Configuration(format!(
            "connection {:?}: the file sink needs the permissions of a Unix file system for {folder:?}",
            setup.name
        )))
    }
}
