//! A sample provider with one part of every kind: notes, kept as files in a folder.
//!
//! Its platform is a folder, so that anybody can change things behind the core's back with an
//! editor. The integration tests drive it with the small core and with real ones.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::{Duration, SystemTime};

use serde_json::{Value as Json, json};
use tfplugin::action::Action;
use tfplugin::data_source::{DataSource, Found};
use tfplugin::ephemeral::{Ephemeral, Opened, Renewed};
use tfplugin::erased::{AnyProvider, Call, Deferred, FunctionError, ListEvent, Outlet};
use tfplugin::function::Function;
use tfplugin::list::{List, ListResource};
use tfplugin::provider::{Configure, Provider, Server};
use tfplugin::resource::{
    By, Create, Delete, Done, Failure, Identity, Import, ImportState, MoveState, Plan, Read,
    Register, Resource, Source, Update, UpgradeState,
};
use tfplugin::serve::{ServeOptions, serve};
use tfplugin::{Attr, Diagnostic, Diagnostics, Model, Number, Secret, Set};

/// Notes in a folder.
#[derive(Clone, Debug, PartialEq, Model)]
struct SampleModel {
    /// The folder; without it `SAMPLE_FOLDER` says.
    #[tf(optional)]
    folder: Attr<String>,
}

/// The folder, once it is known. All parts share it.
#[derive(Clone, Default)]
struct Folder(Arc<RwLock<Attr<PathBuf>>>);

impl Folder {
    fn file(&self, name: &str) -> Result<PathBuf, Diagnostic> {
        self.path().map(|folder| folder.join(format!("{name}.json")))
    }

    fn path(&self) -> Result<PathBuf, Diagnostic> {
        match self.0.read().unwrap_or_else(PoisonError::into_inner).clone() {
            Attr::Value(folder) => Ok(folder),
            Attr::Unknown(_) => Err(Diagnostic::error(
                "Folder not known yet",
                "Apply what the folder in the provider block comes from first (-target).",
            )),
            Attr::Null => std::env::var_os("SAMPLE_FOLDER").map(PathBuf::from).ok_or_else(|| {
                Diagnostic::error(
                    "No folder",
                    "Set folder in the provider block, or SAMPLE_FOLDER.",
                )
                .at("folder")
            }),
        }
    }

    /// Why a call waits for a later run, where it may.
    fn waits(&self, call: &Call) -> Option<Deferred> {
        let unknown = self.0.read().unwrap_or_else(PoisonError::into_inner).is_unknown();
        (unknown && call.capabilities.deferral_allowed).then_some(Deferred::ProviderConfigUnknown)
    }

    fn load(&self, name: &str) -> Result<Option<Json>, Diagnostic> {
        let file = self.file(name)?;
        match std::fs::read(&file) {
            Ok(bytes) => serde_json::from_slice(&bytes).map(Some).map_err(|error| {
                Diagnostic::error("Note is damaged", format!("{}: {error}", file.display()))
            }),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(Diagnostic::error("Note cannot be read", error.to_string())),
        }
    }

    fn save(&self, name: &str, note: &Json) -> Result<(), Diagnostic> {
        std::fs::write(self.file(name)?, note.to_string())
            .map_err(|error| Diagnostic::error("Note cannot be written", error.to_string()))
    }

    fn names(&self) -> Result<Vec<String>, Diagnostic> {
        let no = |error: std::io::Error| {
            Diagnostic::error("Folder cannot be read", error.to_string()).at("folder")
        };
        let mut names = Vec::new();
        for entry in std::fs::read_dir(self.path()?).map_err(no)? {
            let name = entry.map_err(no)?.file_name();
            if let Some(name) = name.to_str().and_then(|name| name.strip_suffix(".json")) {
                names.push(name.to_owned());
            }
        }
        names.sort();
        Ok(names)
    }
}

struct Sample(Folder);

impl Provider for Sample {
    type Model = SampleModel;
    const NAME: &'static str = "sample";

    async fn configure(&self, config: SampleModel, request: Configure) -> Diagnostics {
        tracing::info!(
            core = %request.terraform_version,
            unknown = request.unknown.len(),
            "configured"
        );
        let mut folder = self.0.0.write().unwrap_or_else(PoisonError::into_inner);
        *folder = config.folder.map(PathBuf::from);
        Diagnostics::new()
    }
}

/// A note.
#[derive(Clone, Debug, PartialEq, Model)]
struct NoteModel {
    /// The id, `note/<name>`.
    #[tf(computed, prefix = "note/")]
    id: Attr<String>,
    /// The name; another name is another note.
    #[tf(required, replace, validate = a_name)]
    name: Attr<String>,
    /// What it says.
    #[tf(default = "")]
    text: Attr<String>,
    /// How many letters it has.
    #[tf(computed, volatile, not_null)]
    size: Attr<i64>,
    /// Any number.
    #[tf(optional)]
    amount: Attr<Number>,
    /// Words to find it by.
    #[tf(optional)]
    tags: Attr<Set<String>>,
    /// Words with words.
    #[tf(optional)]
    labels: Attr<BTreeMap<String, String>>,
    /// Its parts.
    #[tf(optional)]
    parts: Attr<Vec<PartModel>>,
    /// A secret; only its length is kept.
    #[tf(optional, write_only)]
    secret: Attr<Secret>,
    /// How long the secret is.
    #[tf(computed, volatile)]
    secret_length: Attr<i64>,
    /// How many seconds it takes to write; a stop cuts it short.
    #[tf(optional)]
    seconds: Attr<i64>,
}

/// A part of a note.
#[derive(Clone, Debug, PartialEq, PartialOrd, Eq, Ord, Model)]
struct PartModel {
    /// What it says.
    #[tf(required)]
    text: Attr<String>,
    /// How important it is.
    #[tf(default = 1)]
    weight: Attr<i64>,
}

/// What tells notes apart.
#[derive(Clone, Debug, PartialEq, Model)]
struct NoteIdentity {
    /// The name.
    #[tf(required)]
    name: Attr<String>,
}

fn a_name(name: &str) -> Result<(), String> {
    let right = !name.is_empty() && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '-');
    if right { Ok(()) } else { Err("letters, digits and - are a name".to_owned()) }
}

#[derive(Clone)]
struct Note(Folder);

impl Note {
    /// Writes the file; the answer is the state.
    fn write(&self, planned: NoteModel, config: &NoteModel) -> Result<NoteModel, Diagnostic> {
        let mut note = planned;
        let name = note.name.need("name")?.clone();
        tracing::debug!(?config, ?note, "a note is written");
        let secret = config.secret.value().map_or("none", Secret::expose);
        assert!(note.text != "panic", "the secret is {secret}");
        let length = |text: &str| i64::try_from(text.chars().count()).unwrap_or(i64::MAX);
        note.id = Attr::Value(format!("note/{name}"));
        note.size = Attr::Value(length(note.text.text()));
        note.secret_length = config.secret.as_ref().map(|secret| length(secret.expose()));
        if config.secret.is_value() {
            tracing::info!("a secret came along");
        }
        self.0.save(&name, &json!({ "text": note.text.text() }))?;
        Ok(note)
    }

    /// Waits as long as the note says; false when a stop comes first.
    async fn linger(note: &NoteModel, call: &Call) -> bool {
        let seconds = note.seconds.value().copied().and_then(|s| u64::try_from(s).ok());
        if seconds.is_some() {
            tracing::info!("this note takes long");
        }
        tokio::select! {
            () = tokio::time::sleep(Duration::from_secs(seconds.unwrap_or(0))) => true,
            () = call.stop.cancelled() => false,
        }
    }
}

impl Resource for Note {
    type Model = NoteModel;
    const TYPE_NAME: &'static str = "sample_note";
    const VERSION: i64 = 1;

    async fn validate(&self, config: &NoteModel, _call: &Call) -> Diagnostics {
        let mut diagnostics = Diagnostics::new();
        if config.text == "nonsense" {
            diagnostics.error_at("text", "Nonsense", "Say something that makes sense.");
        }
        diagnostics
    }

    async fn plan(&self, plan: &mut Plan<NoteModel>) {
        plan.deferred = self.0.waits(&plan.call);
        if plan.prior.as_ref().is_some_and(|prior| prior.text == "keep") && plan.planned.is_none() {
            plan.diagnostics.error("Note is kept", "A note that says keep is not deleted.");
        }
    }

    async fn create(
        &self,
        request: Create<NoteModel>,
    ) -> Result<Done<NoteModel>, Failure<NoteModel>> {
        let done = Note::linger(&request.planned, &request.call).await;
        let note = self.write(request.planned, &request.config)?;
        if !done {
            let stopped = Diagnostic::error("Stopped", "The note is there, and was not finished.");
            return Err(Failure::keeping(note, stopped));
        }
        Ok(Done::new(note).private(b"made by the sample".as_slice()))
    }

    async fn read(&self, request: Read<NoteModel>) -> Result<Option<Done<NoteModel>>, Diagnostics> {
        let mut note = request.state;
        if let Some(why) = self.0.waits(&request.call) {
            return Ok(Some(Done::new(note).defer(why)));
        }
        let Some(now) = self.0.load(note.name.need("name")?)? else { return Ok(None) };
        let text = now["text"].as_str().unwrap_or_default();
        if note.text != *text {
            note.size = i64::try_from(text.chars().count()).unwrap_or(i64::MAX).into();
            note.text = text.to_owned().into();
        }
        Ok(Some(note.into()))
    }

    async fn update(
        &self,
        request: Update<NoteModel>,
    ) -> Result<Done<NoteModel>, Failure<NoteModel>> {
        Note::linger(&request.planned, &request.call).await;
        Ok(self.write(request.planned, &request.config)?.into())
    }

    async fn delete(&self, request: Delete<NoteModel>) -> Result<Diagnostics, Failure<NoteModel>> {
        match std::fs::remove_file(self.0.file(request.prior.name.need("name")?)?) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                Err(Diagnostic::error("Note cannot be deleted", error.to_string()).into())
            }
            _ => Ok(Diagnostics::new()),
        }
    }
}

impl Identity for Note {
    type Identity = NoteIdentity;
    const IDENTITY_VERSION: i64 = 1;

    fn identity(&self, state: &NoteModel) -> NoteIdentity {
        NoteIdentity { name: state.name.clone() }
    }

    // Version 0 called the name a title.
    fn upgrade_identity(&self, version: i64, identity: Json) -> Result<NoteIdentity, Diagnostics> {
        match (version, identity["title"].as_str()) {
            (0, Some(title)) => Ok(NoteIdentity { name: title.into() }),
            _ => Err(Diagnostic::error("No title", "Identities of version 0 have one.").into()),
        }
    }
}

fn bare(name: &str) -> NoteModel {
    NoteModel {
        id: Attr::Value(format!("note/{name}")),
        name: Attr::Value(name.to_owned()),
        text: Attr::Null,
        size: Attr::Null,
        amount: Attr::Null,
        tags: Attr::Null,
        labels: Attr::Null,
        parts: Attr::Null,
        secret: Attr::Null,
        secret_length: Attr::Null,
        seconds: Attr::Null,
    }
}

impl ImportState for Note {
    async fn import(&self, request: Import) -> Result<Done<NoteModel>, Diagnostics> {
        let name = match (&request.by, request.by.identity::<NoteIdentity>()?) {
            (By::Id(id), _) => id.strip_prefix("note/").unwrap_or(id).to_owned(),
            (_, Some(identity)) => identity.name.need("name")?.clone(),
            (_, None) => return Err(Diagnostic::error("No id", "Give one.").into()),
        };
        if let Some(why) = self.0.waits(&request.call) {
            return Ok(Done::new(bare(&name)).defer(why));
        }
        if self.0.load(&name)?.is_none() {
            let text = format!("There is no note {name:?} in the folder.");
            return Err(Diagnostic::error("No such note", text).into());
        }
        Ok(bare(&name).into())
    }
}

impl UpgradeState for Note {
    // Version 0 called the name a title.
    async fn upgrade(&self, version: i64, state: Json) -> Result<NoteModel, Diagnostics> {
        match (version, state["title"].as_str()) {
            (0, Some(title)) => {
                let text = state["text"].as_str().unwrap_or_default();
                let size = i64::try_from(text.chars().count()).unwrap_or(i64::MAX);
                Ok(NoteModel { text: text.to_owned().into(), size: size.into(), ..bare(title) })
            }
            _ => Err(Diagnostic::error("No title", "State of version 0 has one.").into()),
        }
    }
}

/// What matters of a note of another provider.
#[derive(Clone, Debug, PartialEq, Model)]
struct OldNoteModel {
    /// What is the name here.
    #[tf(required)]
    title: Attr<String>,
}

impl MoveState for Note {
    async fn move_state(&self, source: Source) -> Result<Option<Done<NoteModel>>, Diagnostics> {
        if source.is("acme/old", "old_note") {
            let old: OldNoteModel = source.typed()?;
            return Ok(Some(bare(old.title.need("title")?).into()));
        }
        if source.is("builtin/terraform", "terraform_data") {
            let name = source.state["input"]["value"].as_str().unwrap_or("moved");
            return Ok(Some(bare(name).into()));
        }
        Ok(None)
    }
}

/// All notes.
#[derive(Clone, Debug, PartialEq, Model)]
struct NotesModel {
    /// Only names that begin so.
    #[tf(optional)]
    prefix: Attr<String>,
    /// The names found.
    #[tf(computed)]
    names: Attr<Vec<String>>,
}

struct Notes(Folder);

impl DataSource for Notes {
    type Model = NotesModel;
    const TYPE_NAME: &'static str = "sample_notes";

    async fn read(
        &self,
        mut config: NotesModel,
        call: &Call,
    ) -> Result<Found<NotesModel>, Diagnostics> {
        if let Some(why) = self.0.waits(call) {
            return Ok(Found::from(config).defer(why));
        }
        let prefix = config.prefix.text().to_owned();
        let names = self.0.names()?.into_iter().filter(|name| name.starts_with(&prefix));
        config.names = Attr::Value(names.collect());
        Ok(config.into())
    }
}

/// A key to a note, for as long as it is open.
#[derive(Clone, Debug, PartialEq, Model)]
struct KeyModel {
    /// The note.
    #[tf(required)]
    note: Attr<String>,
    /// The key.
    #[tf(computed)]
    key: Attr<Secret>,
}

struct Key(Folder);

impl Ephemeral for Key {
    type Model = KeyModel;
    const TYPE_NAME: &'static str = "sample_key";

    async fn open(
        &self,
        mut config: KeyModel,
        _call: &Call,
    ) -> Result<Opened<KeyModel>, Diagnostics> {
        let note = config.note.need("note")?.clone();
        config.key = Secret::new(format!("key-to-{note}")).into();
        tracing::debug!(?config, "a key is given out");
        Ok(Opened {
            renew_at: Some(SystemTime::now() + Duration::from_secs(60)),
            private: note.into_bytes(),
            ..config.into()
        })
    }

    async fn renew(&self, private: Vec<u8>, _call: &Call) -> Result<Renewed, Diagnostics> {
        let renew_at = Some(SystemTime::now() + Duration::from_secs(120));
        let private = [private, b" renewed".to_vec()].concat();
        Ok(Renewed { renew_at, private, diagnostics: Diagnostics::new() })
    }

    async fn close(&self, private: Vec<u8>, _call: &Call) -> Diagnostics {
        let name = String::from_utf8_lossy(&private).into_owned();
        match self.0.save(&format!("closed-{name}"), &json!({ "text": "closed" })) {
            Ok(()) => Diagnostics::new(),
            Err(wrong) => wrong.into(),
        }
    }
}

/// Joins words.
#[derive(Clone, Debug, PartialEq, Model)]
struct JoinArguments {
    /// What stands between.
    #[tf(required)]
    between: Attr<String>,
    /// The words.
    #[tf(required)]
    words: Attr<Vec<String>>,
}

struct Join;

impl Function for Join {
    type Arguments = JoinArguments;
    type Output = String;
    const NAME: &'static str = "join";
    const SUMMARY: &'static str = "Joins words.";
    const VARIADIC: bool = true;

    fn call(&self, arguments: JoinArguments) -> Result<String, FunctionError> {
        let words = arguments.words.unwrap_or_default();
        if words.is_empty() {
            return Err(FunctionError::of_argument(1, "At least one word is needed."));
        }
        Ok(words.join(arguments.between.text()))
    }
}

/// Which notes to list.
#[derive(Clone, Debug, PartialEq, Model)]
struct ListModel {
    /// Only names that begin so.
    #[tf(optional)]
    prefix: Attr<String>,
}

struct NoteList(Note);

impl ListResource for NoteList {
    type Config = ListModel;
    const TYPE_NAME: &'static str = "sample_note";

    async fn list(&self, request: List<ListModel>, out: &Outlet<ListEvent>) -> Diagnostics {
        let names = match self.0.0.names() {
            Ok(names) => names,
            Err(wrong) => return wrong.into(),
        };
        if request.config.prefix == "endless" {
            tracing::info!("this list takes long");
            request.call.stop.cancelled().await;
            tracing::info!("this list is given up");
            return Diagnostics::new();
        }
        for name in names.iter().filter(|name| name.starts_with(request.config.prefix.text())) {
            // A slip for the tests: debug builds tell it, and cores would skip the note.
            let slips = request.config.prefix == "slip";
            let name_of = |name: &str| if slips { Attr::unknown() } else { name.into() };
            let identity = NoteIdentity { name: name_of(name) };
            let mut event = ListEvent::found(&identity, format!("Note {name}"));
            if request.include_object {
                event = event.with_object(&bare(name));
            }
            if !out.send(event).await {
                break;
            }
        }
        Diagnostics::new()
    }
}

/// Writes into a note.
#[derive(Clone, Debug, PartialEq, Model)]
struct WriteModel {
    /// The note.
    #[tf(required)]
    note: Attr<String>,
    /// What it shall say.
    #[tf(required)]
    text: Attr<String>,
    /// A word that must be right where the note has one; it is nowhere after.
    #[tf(optional, write_only)]
    password: Attr<Secret>,
}

struct Write(Folder);

impl Action for Write {
    type Config = WriteModel;
    const TYPE_NAME: &'static str = "sample_write";

    async fn invoke(
        &self,
        config: WriteModel,
        progress: &Outlet<String>,
        _call: &Call,
    ) -> Diagnostics {
        assert!(config.text != "panic", "the action fails");
        tracing::debug!(?config, "somebody writes");
        if config.password.value().is_some_and(|given| given.expose() != "open sesame") {
            let text = "The password is not the right one.";
            return Diagnostic::error("Wrong password", text).at("password").into();
        }
        progress.send(format!("writing {}", config.note.text())).await;
        match self.0.save(config.note.text(), &json!({ "text": config.text.text() })) {
            Ok(()) => {
                progress.send("written".to_owned()).await;
                Diagnostics::new()
            }
            Err(wrong) => wrong.into(),
        }
    }
}

/// The provider with all its parts.
pub(crate) fn server() -> impl AnyProvider {
    let folder = Folder::default();
    let note = Note(folder.clone());
    Server::new(Sample(folder.clone()))
        .resource(note.clone().with_import().with_identity().with_upgrade().with_move())
        .data_source(Notes(folder.clone()))
        .ephemeral(Key(folder.clone()))
        .function(Join)
        .list(NoteList(note))
        .action(Write(folder))
}

fn main() -> std::process::ExitCode {
    let options = ServeOptions {
        address: "registry.terraform.io/acme/sample",
        version: env!("CARGO_PKG_VERSION"),
    };
    serve(server(), options)
}
