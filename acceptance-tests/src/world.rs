//! One world: a folder, a core, our programs, a server.

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use crate::{
    Core, Ran, Result,
    core::{clean, ran},
    programs::{self, Programs},
    secrets::Search,
    servers::OpenBao,
};

/// The realm's key of every world. It protects nothing.
pub const REALM_KEY: &str = "a-realm-key-for-tests-only-0123456789";

/// The state's file.
pub const STATE: &str = "terraform.tfstate";
/// The file that plans are saved in.
pub const SAVED: &str = "saved";
/// The provider's log.
pub const LOG: &str = "trace.log";
/// The ledger's file.
pub const LEDGER: &str = "nhi.db";

/// A folder with everything in it.
#[derive(Debug)]
pub struct World {
    /// The core.
    pub core: Core,
    /// Our programs.
    pub programs: Programs,
    /// The server.
    pub bao: OpenBao,
    /// Where the configuration is.
    pub folder: PathBuf,
    home: PathBuf,
    root: Option<tempfile::TempDir>,
    transcript: std::sync::Mutex<String>,
    secrets: std::sync::Mutex<BTreeSet<String>>,
    extra: Vec<(String, String)>,
}

/// `nhi.hcl` of a world.
pub fn nhi_hcl(address: &str) -> String {
    include_str!("../../examples/scenarios/demo/nhi.hcl").replace("http://127.0.0.1:8200", address)
}

/// An example's `nhi.hcl` with an AWS account, for servers on this machine.
pub fn aws_hcl(hcl: &str, aws: &str, bao: &str) -> String {
    let there = format!("aws_iam = {{\n      address    = \"{aws}\"");
    let hcl = hcl.replace("aws_iam = {", &there).replace("https://bao.acme.example:8200", bao);
    // A demonstration waits seconds where others wait minutes.
    format!("demo = true\n{hcl}")
}

impl World {
    /// A new world in a temporary folder, with `main.tf` as given and the usual `nhi.hcl`.
    ///
    /// # Errors
    ///
    /// Something that it needs cannot be had.
    pub fn new(core: Core, main: &str) -> Result<World> {
        let root = tempfile::Builder::new()
            .prefix("nhi-")
            .tempdir()
            .map_err(|error| format!("no temporary folder: {error}"))?;
        let path = root.path().to_owned();
        World::at(core, main, &path, Some(root))
    }

    /// A new world in a folder that stays.
    ///
    /// # Errors
    ///
    /// Something that it needs cannot be had.
    pub fn at(
        core: Core,
        main: &str,
        path: &Path,
        root: Option<tempfile::TempDir>,
    ) -> Result<World> {
        let programs = programs::built()?;
        let bao = OpenBao::start()?;
        let (folder, home) = (path.join("work"), path.join("home"));
        for one in [&folder, &home] {
            fs::create_dir_all(one).map_err(|error| format!("{}: {error}", one.display()))?;
        }
        let world = World {
            core,
            programs,
            bao,
            folder,
            home,
            root,
            transcript: std::sync::Mutex::default(),
            secrets: std::sync::Mutex::default(),
            extra: Vec::new(),
        };
        world.write("main.tf", main)?;
        world.write("nhi.hcl", &nhi_hcl(&world.bao.address()))?;
        // Cores take the first file whose name begins so, and a build keeps others beside it.
        let bin = world.home.join("bin");
        fs::create_dir_all(&bin).map_err(|error| error.to_string())?;
        let program = &world.programs.provider;
        std::os::unix::fs::symlink(program, bin.join("terraform-provider-nhi"))
            .map_err(|error| format!("{}: {error}", program.display()))?;
        world.use_provider(&bin)?;
        Ok(world)
    }

    /// Takes the provider that stands in this folder.
    ///
    /// # Errors
    ///
    /// The core's configuration cannot be written.
    pub fn use_provider(&self, folder: &Path) -> Result<()> {
        let bin =
            fs::canonicalize(folder).map_err(|error| format!("{}: {error}", folder.display()))?;
        let rc = format!(
            "provider_installation {{\n  dev_overrides {{\n    \"open-nhi/nhi\" = \"{}\"\n  }}\n  \
             direct {{}}\n}}\n",
            bin.display()
        );
        fs::write(self.home.join("cli.rc"), rc).map_err(|error| error.to_string())
    }

    /// Sets a variable for every program of this world.
    #[must_use]
    pub fn with(mut self, name: &str, value: &str) -> World {
        self.extra.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Where everything is.
    pub fn root(&self) -> &Path {
        self.folder.parent().unwrap_or(&self.folder)
    }

    /// Lets the folder stay.
    pub fn keep(&mut self) {
        if let Some(root) = self.root.take() {
            let _ = root.keep();
        }
    }

    /// Writes a file of the configuration.
    ///
    /// # Errors
    ///
    /// It cannot be written.
    pub fn write(&self, name: &str, text: &str) -> Result<()> {
        let path = self.folder.join(name);
        fs::write(&path, text).map_err(|error| format!("{}: {error}", path.display()))
    }

    /// Reads a file of the configuration.
    ///
    /// # Errors
    ///
    /// It cannot be read.
    pub fn read(&self, name: &str) -> Result<String> {
        let path = self.folder.join(name);
        fs::read_to_string(&path).map_err(|error| format!("{}: {error}", path.display()))
    }

    fn prepare(&self, command: &mut Command) {
        command
            .env("BAO_TOKEN", &self.bao.token)
            .env("NHI_REALM_KEY", REALM_KEY)
            .env_remove("NHI_CONFIG");
        for (name, value) in &self.extra {
            command.env(name, value);
        }
    }

    /// Runs the core.
    ///
    /// # Errors
    ///
    /// It did not start.
    pub fn terraform(&self, words: &[&str]) -> Result<Ran> {
        let mut command = self.core_command();
        command.args(words).arg("-no-color");
        self.take(ran(&mut command)?)
    }

    /// A command of the core, prepared and not run.
    pub fn core_command(&self) -> Command {
        let mut command = self.core.command(&self.folder, &self.home);
        self.prepare(&mut command);
        command.env("TF_LOG_PROVIDER", "trace").env("TF_LOG_PATH", self.folder.join(LOG));
        command
    }

    /// Runs `nhi`.
    ///
    /// # Errors
    ///
    /// It did not start.
    pub fn nhi(&self, words: &[&str]) -> Result<Ran> {
        self.take(ran(self.nhi_command().args(words))?)
    }

    /// The `nhi` command in this world, without words.
    pub fn nhi_command(&self) -> Command {
        let mut command = Command::new(&self.programs.nhi);
        command.current_dir(&self.folder).env("NO_COLOR", "1");
        clean(&mut command);
        self.prepare(&mut command);
        command
    }

    fn take(&self, ran: Ran) -> Result<Ran> {
        if let Ok(mut transcript) = self.transcript.lock() {
            transcript.push_str(&ran.said);
        }
        self.learn()?;
        Ok(ran)
    }

    /// `apply -auto-approve`, which must succeed.
    ///
    /// # Errors
    ///
    /// It failed.
    pub fn apply(&self) -> Result<String> {
        self.terraform(&["apply", "-auto-approve"])?.expect(0)
    }

    /// `plan -detailed-exitcode`: 0 nothing, 2 something.
    ///
    /// # Errors
    ///
    /// It did not start.
    pub fn plan(&self) -> Result<Ran> {
        self.terraform(&["plan", "-detailed-exitcode"])
    }

    /// A plan that must find nothing to do.
    ///
    /// # Errors
    ///
    /// It found something.
    pub fn plan_is_empty(&self) -> Result<()> {
        self.plan()?.expect(0).map(|_| ())
    }

    /// The attributes of one resource in state.
    ///
    /// # Errors
    ///
    /// It is not there.
    pub fn state(&self, address: &str) -> Result<serde_json::Value> {
        let mut command = self.core_command();
        let shown = command.args(["show", "-json"]).output().map_err(|error| error.to_string())?;
        let json: serde_json::Value = serde_json::from_slice(&shown.stdout)
            .map_err(|error| format!("show -json: {error}"))?;
        let all =
            json["values"]["root_module"]["resources"].as_array().cloned().unwrap_or_default();
        all.into_iter()
            .find(|one| one["address"] == address)
            .map(|one| one["values"].clone())
            .ok_or_else(|| format!("{address} is not in state"))
    }

    /// Takes note of every secret that the server's KV store holds or still remembers.
    fn learn(&self) -> Result<()> {
        let files = fs::read_dir(&self.folder).map_err(|error| error.to_string())?;
        let files = files.filter_map(|entry| entry.ok()?.file_name().into_string().ok());
        let written: String = files
            .filter(|name| name.ends_with(".tf"))
            .filter_map(|name| self.read(&name).ok())
            .collect();
        let mut known = self.secrets.lock().map_err(|_| "the secrets are lost")?;
        for value in self.bao.values()? {
            // What the configuration says is no secret.
            if !written.contains(&value) {
                known.insert(value);
            }
        }
        Ok(())
    }

    /// Takes note of secrets that no KV store holds as they are.
    ///
    /// # Errors
    ///
    /// A test failed while it noted one.
    pub fn note(&self, secrets: impl IntoIterator<Item = String>) -> Result<()> {
        self.secrets.lock().map_err(|_| "the secrets are lost")?.extend(secrets);
        Ok(())
    }

    /// Searches everything that this world wrote and said for every secret that was ever known: state
    /// and saved plans as they are and as the core shows them, private state, logs, ledger, output.
    ///
    /// # Errors
    ///
    /// One was found, and where; or one of the files that must be there is not.
    pub fn no_secret_leaked(&self, files: &[&str]) -> Result<()> {
        self.learn()?;
        let known = self.secrets.lock().map_err(|_| "the secrets are lost")?;
        if files.contains(&STATE) && known.is_empty() {
            return Err("something was applied, and no secret is known".into());
        }
        let ours = [self.bao.token.as_str(), REALM_KEY];
        let search = Search::new(known.iter().map(String::as_str).chain(ours))?;
        let mut places = search.below(&self.folder)?;
        for name in files {
            let path = self.folder.join(name);
            if !fs::metadata(&path).is_ok_and(|data| data.len() > 0) {
                return Err(format!("{} is not there to be searched", path.display()));
            }
            if matches!(*name, STATE | SAVED) {
                let mut command = self.core_command();
                let shown = ran(command.args(["show", "-json"]).arg(&path))?;
                places.extend(
                    search.places(&format!("show -json {name}"), shown.expect(0)?.as_bytes()),
                );
            }
        }
        if self.folder.join(LEDGER).exists() {
            let mut command = self.nhi_command();
            let shown = ran(command.args(["ledger", "show", "--format", "json"]))?;
            places.extend(search.places("nhi ledger show", shown.said.as_bytes()));
        }
        let transcript = self.transcript.lock().map_err(|_| "the transcript is lost")?;
        places.extend(search.places("what was printed", transcript.as_bytes()));
        if places.is_empty() { Ok(()) } else { Err(format!("a secret stands in {places:?}")) }
    }
}
