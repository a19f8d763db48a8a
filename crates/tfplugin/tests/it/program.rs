//! The examples as programs, and the folder that the sample provider keeps its notes in.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Mutex;
use std::time::{Duration, Instant, SystemTime};

use tempfile::TempDir;
use tfplugin::mini_core::MiniCore;

/// The program of an example; built where it is not, or not of today's source (a test run of this
/// file alone builds no examples).
pub(crate) fn example(name: &str) -> PathBuf {
    static BUILDING: Mutex<()> = Mutex::new(());
    let test = std::env::current_exe().unwrap();
    let program = test.parent().and_then(Path::parent).unwrap().join("examples").join(name);
    let _one = BUILDING.lock().unwrap();
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let written = newest(&root.join("src")).max(newest(&root.join("examples")));
    let built = std::fs::metadata(&program).and_then(|found| found.modified()).ok();
    if built < written {
        let built = Command::new(env!("CARGO"))
            .args(["build", "--quiet", "--package", "tfplugin", "--example", name])
            .current_dir(env!("CARGO_MANIFEST_DIR"))
            .status()
            .unwrap();
        assert!(built.success() && program.exists(), "{}", program.display());
    }
    program
}

fn newest(folder: &Path) -> Option<SystemTime> {
    let entries = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap());
    entries
        .map(|entry| {
            let about = entry.metadata().unwrap();
            if about.is_dir() { newest(&entry.path()) } else { about.modified().ok() }
        })
        .max()
        .flatten()
}

/// How long anything may take on a machine that has much else to do.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

/// Waits until something is so.
pub(crate) async fn until(what: &str, mut check: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !check() {
        assert!(begun.elapsed() < PATIENCE, "it never came that {what}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// How many notes the provider has in hand that take long: it says so when it begins one.
pub(crate) fn in_hand(core: &MiniCore) -> usize {
    core.log().iter().filter(|line| line.contains("this note takes long")).count()
}

/// Whether a process runs. What has ended and nobody reaped is still listed.
pub(crate) fn is_alive(process: u32) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{process}/stat"));
    stat.is_ok_and(|stat| !stat.contains(") Z "))
}

/// The sample provider's world: a folder of notes.
pub(crate) struct World(TempDir);

impl World {
    pub(crate) fn new() -> World {
        World(tempfile::tempdir().unwrap())
    }

    pub(crate) fn folder(&self) -> &str {
        self.0.path().to_str().unwrap()
    }

    fn file(&self, name: &str) -> PathBuf {
        self.0.path().join(format!("{name}.json"))
    }

    pub(crate) fn has(&self, name: &str) -> bool {
        self.file(name).exists()
    }

    /// Changes a note behind the core's back.
    pub(crate) fn write(&self, name: &str, text: &str) {
        std::fs::write(self.file(name), serde_json::json!({ "text": text }).to_string()).unwrap();
    }

    pub(crate) fn remove(&self, name: &str) {
        std::fs::remove_file(self.file(name)).unwrap();
    }

    /// The sample provider, started and configured for this folder.
    pub(crate) async fn core(&self) -> MiniCore {
        self.core_with(&[]).await
    }

    /// The same, telling when it begins what takes long: see [`in_hand`].
    pub(crate) async fn talking_core(&self) -> MiniCore {
        self.core_with(&[("TF_LOG_PROVIDER", "info")]).await
    }

    pub(crate) async fn core_with(&self, environment: &[(&str, &str)]) -> MiniCore {
        let core = MiniCore::launch(example("sample"), environment).await.unwrap();
        core.configure(serde_json::json!({ "folder": self.folder() })).await.unwrap();
        core
    }
}
