//! The examples under real cores: Terraform and OpenTofu from the PATH, and those whose paths are in
//! `NHI_TEST_CORES`.
//!
//! No registry is asked: a core takes the programs from a folder. Each test has a home, a
//! configuration and a state of its own.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::Instant;

use serde_json::Value as Json;
use tempfile::TempDir;
use tfplugin::laws::Law;

use crate::laws::breaches::{BREACHES, Breach, Phase, Place};
use crate::program::{PATIENCE, World, example, is_alive};

/// Every core that there is, each once however many paths lead to it.
fn programs() -> Vec<PathBuf> {
    let here = std::env::var_os("PATH").unwrap_or_default();
    let here = ["terraform", "tofu"].into_iter().filter_map(|name| {
        let all = std::env::split_paths(&here).map(|folder| folder.join(name));
        all.into_iter().find(|program| program.is_file())
    });
    let named = std::env::var_os("NHI_TEST_CORES").unwrap_or_default();
    let named = std::env::split_paths(&named).filter(|path| !path.as_os_str().is_empty());
    let mut seen = BTreeSet::new();
    let mut all = Vec::new();
    for program in here.chain(named) {
        let real = program
            .canonicalize()
            .unwrap_or_else(|error| panic!("NHI_TEST_CORES: {}: {error}", program.display()));
        if seen.insert(real) {
            all.push(program);
        }
    }
    assert!(
        !all.is_empty(),
        "these tests need a core: put terraform or tofu on the PATH, or name some in NHI_TEST_CORES"
    );
    all
}

/// A folder with a configuration and a core to run in it.
struct Core {
    program: PathBuf,
    folder: TempDir,
    world: World,
    provider: &'static str,
}

impl Core {
    /// One for every core that there is.
    fn all(provider: &'static str) -> impl Iterator<Item = Core> {
        programs().into_iter().map(move |program| {
            // Shown where a test fails.
            println!("under {}", program.display());
            Core::new(program, provider)
        })
    }

    fn new(core: PathBuf, provider: &'static str) -> Core {
        let folder = tempfile::tempdir().unwrap();
        let programs = folder.path().join("programs");
        std::fs::create_dir(&programs).unwrap();
        let program = programs.join(format!("terraform-provider-{provider}"));
        std::os::unix::fs::symlink(example(provider), program).unwrap();
        let source = format!("registry.terraform.io/acme/{provider}");
        let other = format!("registry.opentofu.org/acme/{provider}");
        let programs = programs.display();
        std::fs::write(
            folder.path().join("core.rc"),
            format!(
                "provider_installation {{\n  dev_overrides {{\n    \"{source}\" = \"{programs}\"\n    \
                 \"{other}\" = \"{programs}\"\n  }}\n  direct {{}}\n}}\n"
            ),
        )
        .unwrap();
        Core { program: core, folder, world: World::new(), provider }
    }

    fn write(&self, body: &str) {
        let provider = self.provider;
        let text = format!(
            "terraform {{\n  required_providers {{\n    {provider} = {{ source = \
             \"acme/{provider}\" }}\n  }}\n}}\n{body}\n"
        );
        std::fs::write(self.folder.path().join("main.tf"), text).unwrap();
    }

    fn command(&self, words: &[&str]) -> Command {
        let mut command = Command::new(&self.program);
        command
            .args(words)
            .current_dir(self.folder.path())
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .env("HOME", self.folder.path())
            .env("CHECKPOINT_DISABLE", "1")
            .env("TF_IN_AUTOMATION", "1")
            .env("TF_CLI_CONFIG_FILE", self.folder.path().join("core.rc"))
            .env("SAMPLE_FOLDER", self.world.folder())
            .stdin(Stdio::null());
        command
    }

    /// Whether it is of this version or later. (Both lines count alike in what is asked here.)
    fn is_at_least(&self, major: u64, minor: u64) -> bool {
        let output = self.run(&["version", "-json"]);
        let told: Json = serde_json::from_slice(&output.stdout).unwrap();
        let version = told["terraform_version"].as_str().unwrap();
        let mut parts = version.split(['.', '-']).map(|part| part.parse::<u64>().unwrap_or(0));
        (parts.next().unwrap(), parts.next().unwrap()) >= (major, minor)
    }

    fn run(&self, words: &[&str]) -> Output {
        self.command(words).output().unwrap()
    }

    #[track_caller]
    fn ok(&self, words: &[&str]) -> String {
        let output = self.run(words);
        assert!(output.status.success(), "{words:?}: {}", said(&output));
        said(&output)
    }

    #[track_caller]
    fn apply(&self) -> String {
        self.ok(&["apply", "-auto-approve", "-no-color"])
    }

    /// 0: nothing to do; 2: something.
    #[track_caller]
    fn plan_code(&self) -> i32 {
        let output = self.run(&["plan", "-detailed-exitcode", "-no-color"]);
        let code = output.status.code().unwrap();
        assert_ne!(code, 1, "{}", said(&output));
        code
    }

    /// The attributes in state of the one resource.
    fn state(&self) -> Json {
        let shown: Json =
            serde_json::from_slice(&self.run(&["show", "-json"]).stdout).unwrap_or_default();
        let all = shown["values"]["root_module"]["resources"].as_array().cloned();
        all.unwrap_or_default().into_iter().find(|one| one["mode"] == "managed").unwrap_or_default()
    }
}

fn said(output: &Output) -> String {
    let text =
        [output.stdout.as_slice(), output.stderr.as_slice()].map(String::from_utf8_lossy).concat();
    // Errors are framed and wrapped.
    text.replace(['│', '╷', '╵'], " ").split_whitespace().collect::<Vec<_>>().join(" ")
}

#[test]
fn a_note_lives_under_a_real_core() {
    for core in Core::all("sample") {
        let note = |name: &str, text: &str| {
            core.write(&format!(
            "resource \"sample_note\" \"n\" {{\n  name = \"{name}\"\n  text = \"{text}\"\n  \
             amount = 12345678901234567890.25\n  tags = [\"b\", \"a\"]\n  labels = {{ k = \"v\" }}\n  \
             parts = [{{ text = \"x\" }}, {{ text = \"y\", weight = 2 }}]\n  secret = \"hush\"\n}}\n\
             data \"sample_notes\" \"all\" {{ depends_on = [sample_note.n] }}\n\
             output \"joined\" {{ value = provider::sample::join(\"-\", \"a\", \"b\") }}\n\
             ephemeral \"sample_key\" \"k\" {{ note = sample_note.n.name }}\n"
        ));
        };
        note("one", "hello");
        core.ok(&["validate"]);
        let planned = core.ok(&["plan", "-no-color", "-out=saved"]);
        assert!(planned.contains("1 to add, 0 to change, 0 to destroy"), "{planned}");
        core.ok(&["apply", "-no-color", "saved"]);
        assert_eq!(core.plan_code(), 0);
        let state = core.state();
        assert_eq!(state["values"]["id"], "note/one");
        assert_eq!(state["values"]["size"], 5);
        assert_eq!(state["values"]["secret_length"], 4);
        assert_eq!(state["values"]["secret"], Json::Null);
        assert!(core.world.has("closed-one"), "the ephemeral resource was closed");
        let raw = std::fs::read_to_string(core.folder.path().join("terraform.tfstate")).unwrap();
        assert!(!raw.contains("hush"));

        core.world.write("one", "theirs");
        assert_eq!(core.plan_code(), 2);
        core.apply();
        assert_eq!(core.state()["values"]["text"], "hello");

        note("one", "changed");
        let changed = core.apply();
        assert!(changed.contains("0 added, 1 changed, 0 destroyed"), "{changed}");

        note("two", "changed");
        let replaced = core.apply();
        assert!(replaced.contains("1 added, 0 changed, 1 destroyed"), "{replaced}");
        assert!(core.world.has("two") && !core.world.has("one"));
        assert_eq!(core.plan_code(), 0);

        core.ok(&["destroy", "-auto-approve", "-no-color"]);
        assert!(!core.world.has("two"));
    }
}

/// Every kind of attribute at once; what is given here differs from life to life.
fn corner(name: &str, integer: u8) -> String {
    format!(
        "resource \"corner_thing\" \"t\" {{\n  name = \"{name}\"\n  integer = {integer}\n  \
         number = 12345678901234567890123.25\n  \
         anything = {{ a = [1, 0.1, \"x\"], b = null, c = 9223372036854775808 }}\n  \
         table = [[\"a\", \"b\"], []]\n  one = {{ name = \"p\" }}\n  \
         listed = [{{ name = \"a\" }}, {{ name = \"b\", mode = \"odd\", words = [\"y\", \"x\"] }}]\n  \
         distinct = [{{ name = \"d\" }}, {{ name = \"e\", words = [\"z\"] }}]\n  \
         keyed = {{ k = {{ name = \"k-k\" }} }}\n  secret = \"hush\"\n}}\n"
    )
}

#[test]
fn every_kind_of_attribute_lives_under_a_real_core_and_a_plan_in_between_is_quiet() {
    for core in Core::all("corner") {
        let quiet = |core: &Core| {
            assert_eq!(core.plan_code(), 0, "nothing has changed");
            // A refresh compares the stored numbers with those that come back.
            let words = ["plan", "-refresh-only", "-detailed-exitcode", "-no-color"];
            core.ok(&words);
        };
        core.write(&corner("one", 1));
        core.apply();
        quiet(&core);
        let state = core.state();
        let values = &state["values"];
        assert_eq!(values["number"].to_string(), "12345678901234567890123.25");
        assert_eq!(values["anything"]["a"][1].to_string(), "0.1");
        assert_eq!(values["anything"]["c"].to_string(), "9223372036854775808");
        assert_eq!(values["listed"][1]["mode"], "odd");
        assert_eq!(values["distinct"][1]["serial"], 1);
        assert_eq!(values["keyed"]["k"]["serial"], 3);
        assert_eq!((&values["secret"], &values["had_secret"]), (&Json::Null, &Json::Bool(true)));

        core.write(&corner("one", 2));
        let changed = core.apply();
        assert!(changed.contains("0 added, 1 changed, 0 destroyed"), "{changed}");
        assert_eq!(core.state()["values"]["generation"], 2);
        quiet(&core);

        core.write(&corner("two", 2));
        let replaced = core.apply();
        assert!(replaced.contains("1 added, 0 changed, 1 destroyed"), "{replaced}");
        assert_eq!(core.state()["values"]["id"], "corner/two");
        quiet(&core);

        core.ok(&["state", "rm", "corner_thing.t"]);
        core.ok(&["import", "-no-color", "corner_thing.t", "two"]);
        let changed = core.apply();
        assert!(changed.contains("0 added, 1 changed, 0 destroyed"), "{changed}");
        quiet(&core);

        core.ok(&["destroy", "-auto-approve", "-no-color"]);
        assert_eq!(core.state(), Json::Null);
    }
}

#[test]
fn an_existing_note_is_imported_and_then_nothing_is_planned() {
    for core in Core::all("sample") {
        core.world.write("old", "was here");
        core.write(
            "resource \"sample_note\" \"n\" {\n  name = \"old\"\n  text = \"was here\"\n}\n",
        );
        core.ok(&["import", "-no-color", "sample_note.n", "note/old"]);
        assert_eq!(core.plan_code(), 0);
    }
}

#[test]
fn a_moved_block_takes_over_an_object_of_another_type() {
    for core in Core::all("sample") {
        core.write("resource \"terraform_data\" \"d\" { input = \"taken\" }");
        core.apply();
        core.world.write("taken", "over");
        core.write(
            "moved {\n  from = terraform_data.d\n  to = sample_note.n\n}\n\
         resource \"sample_note\" \"n\" {\n  name = \"taken\"\n  text = \"over\"\n}\n",
        );
        let applied = core.apply();
        assert!(applied.contains("0 added, ") && applied.contains(" 0 destroyed"), "{applied}");
        assert_eq!(core.state()["values"]["id"], "note/taken");
    }
}

#[test]
fn an_error_points_into_the_user_s_file() {
    for core in Core::all("sample") {
        core.write("resource \"sample_note\" \"n\" {\n  name = \"a\"\n  text = \"nonsense\"\n}\n");
        let output = core.run(&["plan", "-no-color"]);
        let said = said(&output);
        assert!(said.contains("on main.tf line 8") && said.contains("Nonsense"), "{said}");
    }
}

fn wait_for(what: &str, mut check: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !check() {
        assert!(begun.elapsed() < PATIENCE, "it never came that {what}");
        std::thread::sleep(std::time::Duration::from_millis(30));
    }
}

/// The processes below this one.
fn children(of: u32) -> Vec<u32> {
    let listed = Command::new("ps").args(["-eo", "pid=,ppid="]).output().unwrap();
    String::from_utf8_lossy(&listed.stdout)
        .lines()
        .filter_map(|line| {
            let mut numbers = line.split_whitespace().map(|word| word.parse::<u32>().unwrap());
            let (pid, parent) = (numbers.next()?, numbers.next()?);
            (parent == of).then_some(pid)
        })
        .collect()
}

/// A core that is applying a note that takes long; and the provider's process.
fn applying(core: &Core) -> (Child, u32) {
    core.write("resource \"sample_note\" \"n\" {\n  name = \"slow\"\n  seconds = 3600\n}\n");
    let child = core
        .command(&["apply", "-auto-approve", "-no-color"])
        .env("TF_LOG_PROVIDER", "debug")
        .env("TF_LOG_PATH", core.folder.path().join("log"))
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let log = core.folder.path().join("log");
    let mut provider = None;
    wait_for("the provider applies", || {
        let log = std::fs::read_to_string(&log).unwrap_or_default();
        provider = children(child.id()).first().copied();
        log.contains("this note takes long") && provider.is_some()
    });
    (child, provider.unwrap())
}

fn signal(process: u32, name: &str) {
    let sent = Command::new("kill").args([format!("-{name}"), process.to_string()]).status();
    assert!(sent.unwrap().success());
}

#[test]
fn an_interrupted_apply_keeps_what_exists_and_ends_soon() {
    for core in Core::all("sample") {
        let (child, provider) = applying(&core);
        // A terminal interrupts the whole group.
        signal(provider, "INT");
        signal(child.id(), "INT");
        let output = child.wait_with_output().unwrap();
        assert!(said(&output).contains("Stopped"), "{}", said(&output));
        assert_eq!(core.state()["tainted"], true, "{}", core.state());
        assert!(!is_alive(provider));
    }
}

#[test]
fn a_core_that_is_killed_leaves_no_orphan() {
    for core in Core::all("sample") {
        let (mut child, provider) = applying(&core);
        child.kill().unwrap();
        child.wait().unwrap();
        wait_for("the provider ends", || !is_alive(provider));
        assert!(core.world.has("slow"), "what was begun came to its end");
    }
}

/// The errors that a core told.
fn errors(output: &Output) -> Vec<String> {
    String::from_utf8_lossy(&output.stdout)
        .lines()
        .filter_map(|line| serde_json::from_str::<Json>(line).ok())
        .map(|line| line["diagnostic"].clone())
        .filter(|told| told["severity"] == "error")
        .map(|error| {
            // What the SDK tells itself did not travel.
            for ours in ["Provider broke the law", "Value cannot be", "Unknown "] {
                let said = error["summary"].as_str().unwrap_or_default();
                assert!(!said.contains(ours), "{error}");
            }
            error.to_string()
        })
        .collect()
}

fn wrong_part(breach: &Breach, note: &str) -> String {
    let kind = breach.type_name();
    match breach.place {
        Place::Data => format!("data \"{kind}\" \"t\" {{\n  prefix = \"a\"\n}}\n"),
        Place::Open | Place::OpenUnasked => {
            format!("ephemeral \"{kind}\" \"t\" {{\n  prefix = \"a\"\n}}\n")
        }
        _ => format!(
            "resource \"{kind}\" \"t\" {{\n  name = \"imported\"\n  note = {note}\n  \
             secret = \"hush\"\n  parts = [{{ text = \"first\", secret = \"hush\" }}, \
             {{ text = \"second\" }}]\n  marks = [{{ word = \"a\" }}, {{ word = \"b\" }}]\n  \
             by_key = {{ k = {{ text = \"kept\" }} }}\n  one = {{ text = \"single\" }}\n}}\n"
        ),
    }
}

#[test]
fn a_real_core_refuses_what_it_is_said_to_refuse() {
    for program in programs() {
        let mut wrong = Vec::new();
        for phase in [Phase::Plan, Phase::Apply, Phase::Update, Phase::Destroy, Phase::Delete] {
            let core = Core::new(program.clone(), "wrong");
            let all = tried(&core, phase);
            let write = |note: &str| {
                core.write(&all.iter().map(|one| wrong_part(one, note)).collect::<String>());
            };
            write("null");
            if !matches!(phase, Phase::Plan | Phase::Apply) {
                core.apply();
                write("\"more\"");
            }
            let words: &[&str] = match phase {
                Phase::Plan | Phase::Update | Phase::Import => &["plan", "-json"],
                Phase::Apply => &["apply", "-auto-approve", "-json"],
                Phase::Destroy => &["plan", "-destroy", "-json"],
                Phase::Delete => &["destroy", "-auto-approve", "-json"],
            };
            let output = core.run(words);
            let errors = errors(&output);
            for breach in all {
                let name = match breach.law {
                    // Bytes that cannot be read: cores name the place in them and no more.
                    Law::FitsSchema => "string is required".to_owned(),
                    _ => format!("{}.t", breach.type_name()),
                };
                // Where it has no address it says it in words.
                let error = errors.iter().find(|error| error.contains(&name));
                if error.is_some() != breach.core {
                    wrong.push(format!("{breach:?}: {error:?}"));
                }
            }
        }
        // The errors of an import do not all name what they are about: one at a time.
        let core = Core::new(program.clone(), "wrong");
        for breach in tried(&core, Phase::Import) {
            let by = match breach.place {
                Place::ImportByIdentity => "identity = { name = \"imported\" }",
                _ => "id = \"imported\"",
            };
            let kind = breach.type_name();
            let block = format!("import {{\n  to = {kind}.t\n  {by}\n}}\n");
            core.write(&(wrong_part(breach, "null") + &block));
            let output = core.run(&["plan", "-json"]);
            let errors = errors(&output);
            if errors.is_empty() == breach.core {
                wrong.push(format!("{breach:?}: {errors:?}"));
            }
        }
        assert!(wrong.is_empty(), "{}:\n{}", program.display(), wrong.join("\n"));
    }
}

/// The breaches that this core can come by in this phase.
fn tried(core: &Core, phase: Phase) -> Vec<&'static Breach> {
    // Older ones know no identities, and older ones still nothing ephemeral.
    let (identities, ephemeral) = (core.is_at_least(1, 12), core.is_at_least(1, 11));
    BREACHES
        .iter()
        .filter(|breach| breach.phase() == phase)
        .filter(|breach| identities || breach.law != Law::IdentityIsKnown)
        .filter(|breach| ephemeral || breach.law != Law::EphemeralKeepsConfig)
        .collect()
}

#[test]
fn a_provider_under_a_debugger_serves_a_real_core() {
    use std::io::{BufRead, BufReader};
    for core in Core::all("sample") {
        core.write("resource \"sample_note\" \"n\" {\n  name = \"one\"\n}\n");
        let mut provider = Command::new(example("sample"))
            .arg("-debug")
            .env("SAMPLE_FOLDER", core.world.folder())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let line = BufReader::new(provider.stdout.take().unwrap())
            .lines()
            .map(Result::unwrap)
            .find(|line| line.contains("TF_REATTACH_PROVIDERS="))
            .unwrap();
        let reattach =
            line.trim().trim_start_matches("TF_REATTACH_PROVIDERS='").trim_end_matches('\'');
        for words in [["apply", "-auto-approve"], ["destroy", "-auto-approve"]] {
            let output =
                core.command(&words).env("TF_REATTACH_PROVIDERS", reattach).output().unwrap();
            assert!(output.status.success(), "{}", said(&output));
        }
        assert!(is_alive(provider.id()));
        signal(provider.id(), "TERM");
        assert!(provider.wait().unwrap().success());
        assert!(Path::new(core.world.folder()).exists());
    }
}
