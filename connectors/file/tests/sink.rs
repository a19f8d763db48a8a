//! The sink in a folder, on the file system of this machine.
#![cfg(unix)]

use std::{
    fs,
    os::unix::fs::{DirBuilderExt, MetadataExt, PermissionsExt, symlink},
    path::Path,
    sync::Arc,
};

use connector::{
    Platform, Setup, SystemClock,
    transport::{Answer, Request, Transport, TransportError},
};
use domain::{Secret, Settings, settings::Setting};
use secrets::{Document, Expect, Mirror, Sink, SinkError, conformance};

/// A sink of files sends nothing.
#[derive(Debug)]
struct Nowhere;

#[async_trait::async_trait]
impl Transport for Nowhere {
    async fn send(&self, request: Request) -> Result<Answer, TransportError> {
        panic!("{request:?}")
    }
}

fn sink(folder: &Path) -> Arc<dyn Sink> {
    let settings = Settings::default().with("folder", Setting::Text(folder.display().to_string()));
    let setup = Setup {
        name: "vault".into(),
        settings,
        credential: None,
        credential_id: None,
        transport: Arc::new(Nowhere),
        clock: Arc::new(SystemClock),
        keyring: None,
    };
    file::PLATFORM.connect(setup).unwrap().sink.unwrap()
}

fn document(text: &str) -> Document {
    Document::default().with("secret", Secret::new(text))
}

fn refused<T: std::fmt::Debug>(result: secrets::Result<T>) -> String {
    match result {
        Err(SinkError::Refused { place, reason }) => format!("{place}: {reason}"),
        Err(SinkError::NoDocument { place, reason }) => format!("{place}: {reason}"),
        Err(SinkError::Unfit { place, reason, next }) => {
            format!("{place}: {reason}\nNext: {next}")
        }
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn the_sink_in_a_folder_conforms() {
    let home = tempfile::tempdir().unwrap();
    conformance::assert_conforms(&*sink(&home.path().join("new")), "run").await;
}

#[tokio::test]
async fn no_more_versions_are_kept_where_somebody_writes_in_between() {
    let home = tempfile::tempdir().unwrap();
    let root = home.path().join("vault");
    let sink = sink(&root);
    sink.write("apps/x", &document("s"), Expect::Nothing).await.unwrap();
    let mut last = 1;
    for turn in 0..12 {
        fs::write(root.join("apps/x"), format!("{{\"secret\":\"by hand {turn}\"}}")).unwrap();
        let now = sink.look("apps/x").await.unwrap().unwrap().version.number;
        assert_eq!(now, last + 1, "what somebody wrote is a version");
        last = sink.write("apps/x", &document("s"), Expect::Version(now)).await.unwrap().number;
    }
    let mut kept: Vec<u64> = fs::read_dir(root.join(".nhi/apps"))
        .unwrap()
        .filter_map(|entry| entry.unwrap().file_name().to_str()?.strip_prefix("x.v")?.parse().ok())
        .collect();
    kept.sort_unstable();
    assert!(!kept.is_empty() && kept.iter().all(|one| *one > last - 10), "{last}: {kept:?}");
}

#[tokio::test]
async fn everything_that_is_written_is_for_its_owner_only() {
    let home = tempfile::tempdir().unwrap();
    let root = home.path().join("vault");
    let sink = sink(&root);
    for version in 0..3 {
        let expect = if version == 0 { Expect::Nothing } else { Expect::Version(version) };
        sink.write("apps/x", &document("s"), expect).await.unwrap();
    }
    sink.write_mirror("apps/x", &Mirror::from([("gen".into(), "3".into())])).await.unwrap();
    let mut seen = 0;
    let mut folders = vec![root];
    while let Some(folder) = folders.pop() {
        assert_eq!(fs::metadata(&folder).unwrap().mode() & 0o777, 0o700, "{folder:?}");
        for entry in fs::read_dir(folder).unwrap() {
            let entry = entry.unwrap();
            if entry.file_type().unwrap().is_dir() {
                folders.push(entry.path());
            } else {
                assert_eq!(entry.metadata().unwrap().mode() & 0o777, 0o600, "{entry:?}");
                assert!(!entry.path().to_string_lossy().ends_with(".part"), "{entry:?}");
                seen += 1;
            }
        }
    }
    assert_eq!(seen, 7, "document, sidecar, three versions, lock, .gitignore");
}

#[tokio::test]
async fn a_folder_that_others_may_look_into_is_refused() {
    let home = tempfile::tempdir().unwrap();
    let root = home.path().join("vault");
    fs::create_dir(&root).unwrap();
    for mode in [0o750, 0o701, 0o777] {
        fs::set_permissions(&root, fs::Permissions::from_mode(mode)).unwrap();
        let said = refused(sink(&root).write("x", &document("s"), Expect::Nothing).await);
        assert!(said.ends_with(&format!("Next: chmod go= {}", root.display())), "{said}");
        assert!(refused(sink(&root).look("x").await).contains("chmod go="));
        assert_eq!(fs::read_dir(&root).unwrap().count(), 0);
    }
    fs::set_permissions(&root, fs::Permissions::from_mode(0o700)).unwrap();
    fs::create_dir(root.join("apps")).unwrap();
    fs::set_permissions(root.join("apps"), fs::Permissions::from_mode(0o755)).unwrap();
    let said = refused(sink(&root).write("apps/x", &document("s"), Expect::Nothing).await);
    assert!(said.ends_with(&format!("Next: chmod go= {}", root.join("apps").display())), "{said}");
}

#[tokio::test]
async fn a_folder_that_holds_other_things_is_not_closed_to_their_owners() {
    let home = tempfile::tempdir().unwrap();
    let root = home.path().join("etc");
    fs::create_dir(&root).unwrap();
    fs::write(root.join("hosts"), "").unwrap();
    fs::set_permissions(&root, fs::Permissions::from_mode(0o755)).unwrap();
    let said = refused(sink(&root).look_all("apps").await);
    assert!(!said.contains("chmod") && said.contains("nothing else is kept in"), "{said}");
    assert!(!said.contains("apps/x"), "a file that nobody named: {said}");
}

#[tokio::test]
async fn a_document_that_others_may_read_is_told_by_every_look() {
    let home = tempfile::tempdir().unwrap();
    let root = home.path().join("vault");
    let sink = sink(&root);
    sink.write("apps/x", &document("s"), Expect::Nothing).await.unwrap();
    // What somebody else keeps there is nobody's business here.
    fs::write(root.join("apps/own.conf"), "port = 1").unwrap();
    fs::set_permissions(root.join("apps/own.conf"), fs::Permissions::from_mode(0o644)).unwrap();
    assert_eq!(sink.look_all("apps").await.unwrap().len(), 1);
    let path = root.join("apps/x");
    fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
    for said in [refused(sink.look("apps/x").await), refused(sink.look_all("apps").await)] {
        assert!(said.ends_with(&format!("Next: chmod go= {}", path.display())), "{said}");
    }
}

#[tokio::test]
async fn a_folder_that_was_copied_moved_or_touched_holds_the_same_versions() {
    let home = tempfile::tempdir().unwrap();
    let root = home.path().join("vault");
    let sink = sink(&root);
    let mirror = Mirror::from([("gen".into(), "1".into())]);
    sink.write("apps/x", &document("one"), Expect::Nothing).await.unwrap();
    sink.write_mirror("apps/x", &mirror).await.unwrap();
    let before = sink.look("apps/x").await.unwrap();
    // As a restore leaves it: another file, another time, the same bytes.
    let bytes = fs::read(root.join("apps/x")).unwrap();
    let copy = root.join("copy");
    fs::write(&copy, bytes).unwrap();
    fs::set_permissions(&copy, fs::Permissions::from_mode(0o600)).unwrap();
    fs::rename(&copy, root.join("apps/x")).unwrap();
    let moved = home.path().join("moved");
    fs::rename(&root, &moved).unwrap();
    let sink = self::sink(&moved);
    assert_eq!(sink.look("apps/x").await.unwrap(), before);
    sink.write("apps/x", &document("two"), Expect::Version(1)).await.unwrap();
}

#[tokio::test]
async fn whoever_writes_over_a_document_leaves_its_version_to_be_read() {
    let home = tempfile::tempdir().unwrap();
    let root = home.path().join("vault");
    let sink = sink(&root);
    sink.write("x", &document("one"), Expect::Nothing).await.unwrap();
    // In place, as an editor or a shell does it.
    fs::write(root.join("x"), "no document").unwrap();
    assert!(matches!(sink.read("x").await, Err(SinkError::NoDocument { .. })));
    assert_eq!(sink.kept_versions("x").await.unwrap(), [1, 2]);
    let kept = sink.read_version("x", 1).await.unwrap().unwrap();
    assert_eq!(kept.get("secret").unwrap().expose(), "one");
    sink.write("x", &kept, Expect::Version(2)).await.unwrap();
    assert!(sink.read_version("x", 2).await.unwrap().is_none());
}

#[tokio::test]
async fn git_takes_nothing_along() {
    let home = tempfile::tempdir().unwrap();
    let root = home.path().join("vault");
    let sink = sink(&root);
    assert!(sink.look("apps/x").await.unwrap().is_none());
    assert!(!root.exists(), "a look makes nothing");
    sink.write("apps/x", &document("s"), Expect::Nothing).await.unwrap();
    assert_eq!(fs::read_to_string(root.join(".gitignore")).unwrap(), "*\n");
    // Whoever wants it otherwise has said so.
    fs::write(root.join(".gitignore"), "").unwrap();
    sink.write("apps/y", &document("s"), Expect::Nothing).await.unwrap();
    assert_eq!(fs::read_to_string(root.join(".gitignore")).unwrap(), "");
}

#[tokio::test]
async fn links_are_never_followed() {
    let home = tempfile::tempdir().unwrap();
    let (root, outside) = (home.path().join("vault"), home.path().join("outside"));
    let sink = sink(&root);
    sink.write("here", &document("s"), Expect::Nothing).await.unwrap();
    fs::create_dir(&outside).unwrap();
    fs::set_permissions(&outside, fs::Permissions::from_mode(0o700)).unwrap();
    symlink(&outside, root.join("apps")).unwrap();
    refused(sink.write("apps/x", &document("s"), Expect::Nothing).await);
    symlink(outside.join("file"), root.join("y")).unwrap();
    refused(sink.read("y").await);
    assert_eq!(fs::read_dir(&outside).unwrap().count(), 0);
    let link = home.path().join("link");
    symlink(&root, &link).unwrap();
    refused(self::sink(&link).look("here").await);
}

#[tokio::test]
async fn a_file_that_somebody_else_wrote_is_the_next_version() {
    let home = tempfile::tempdir().unwrap();
    let root = home.path().join("vault");
    let sink = sink(&root);
    sink.write("x", &document("one"), Expect::Nothing).await.unwrap();
    fs::write(root.join("x"), "{\"secret\": \"by hand\", \"port\": 5432}").unwrap();
    let stored = sink.read("x").await.unwrap().unwrap();
    assert_eq!(stored.version.number, 2);
    assert!(matches!(
        sink.write("x", &document("two"), Expect::Version(1)).await,
        Err(SinkError::Conflict { .. })
    ));
    // What is no text goes back as it was.
    sink.write("x", &stored.document.unwrap(), Expect::Version(2)).await.unwrap();
    let text = fs::read_to_string(root.join("x")).unwrap();
    assert!(text.contains("\"port\": 5432"), "{text}");
    fs::remove_file(root.join("x")).unwrap();
    assert!(sink.look("x").await.unwrap().unwrap().deleted);
    assert_eq!(sink.write("x", &document("three"), Expect::Version(3)).await.unwrap().number, 4);
}

#[tokio::test]
async fn what_a_killed_run_left_behind_is_in_nobodys_way() {
    let home = tempfile::tempdir().unwrap();
    let root = home.path().join("vault");
    let sink = sink(&root);
    sink.write("x", &document("one"), Expect::Nothing).await.unwrap();
    // Killed between the document's file and its sidecar.
    let sidecar = fs::read(root.join(".nhi/x.json")).unwrap();
    sink.write("x", &document("two"), Expect::Version(1)).await.unwrap();
    fs::write(root.join(".nhi/x.json"), sidecar).unwrap();
    fs::write(root.join(".nhi/x.part"), "half").unwrap();
    let stored = sink.read("x").await.unwrap().unwrap();
    assert_eq!(stored.version.number, 2);
    assert_eq!(stored.document.unwrap().get("secret").unwrap().expose(), "two");
    let earlier = sink.read_version("x", 1).await.unwrap().unwrap();
    assert_eq!(earlier.get("secret").unwrap().expose(), "one");
    assert_eq!(sink.write("x", &document("three"), Expect::Version(2)).await.unwrap().number, 3);
}

#[tokio::test]
async fn a_damaged_sidecar_or_document_is_named_and_not_quoted() {
    let home = tempfile::tempdir().unwrap();
    let root = home.path().join("vault");
    let sink = sink(&root);
    sink.write("x", &document("one"), Expect::Nothing).await.unwrap();
    fs::write(root.join(".nhi/x.json"), "{").unwrap();
    let said = refused(sink.read("x").await);
    assert!(said.contains(&format!("Next: rm {}", root.join(".nhi/x.json").display())), "{said}");
    fs::remove_file(root.join(".nhi/x.json")).unwrap();
    fs::write(root.join("x"), "topsecret").unwrap();
    assert!(!refused(sink.read("x").await).contains("topsecret"));
}

#[tokio::test]
async fn one_file_has_one_place_whatever_folder_leads_to_it_and_a_bad_path_is_told_before_a_write()
{
    let home = tempfile::tempdir().unwrap();
    let (outer, inner) = (home.path().join("outer"), home.path().join("outer/nhi"));
    for folder in [&outer, &inner] {
        fs::DirBuilder::new().mode(0o700).create(folder).unwrap();
    }
    symlink(&inner, home.path().join("alias")).unwrap();
    let custody = sink(&outer).home("nhi").await.unwrap();
    for folder in [&inner, &home.path().join("alias")] {
        assert!(sink(folder).home("x").await.unwrap().is_within(&custody), "{}", folder.display());
    }
    assert!(!sink(&outer).home("nhi-apps").await.unwrap().is_within(&custody));
    for path in ["../x", "a//b", ".nhi/x", "a/.hidden", "/"] {
        let told = refused(sink(&outer).check(path).await);
        assert!(told.contains("name"), "{path}: {told}");
    }
    assert_eq!(sink(&outer).check("apps/x").await.unwrap(), None);
}

/// Where the other process finds its folder; without it the part below does nothing.
const PLACE: &str = "NHI_FILE_SINK_TEST_PLACE";

/// In this process it does nothing; in another it writes on a disk that is full, and then is not.
#[tokio::test]
async fn plays_its_part_when_it_is_asked() {
    let Some(place) = std::env::var_os(PLACE) else { return };
    let disk = Path::new(&place);
    let root = disk.join("vault");
    let sink = sink(&root);
    let long = |text: &str| document(&text.repeat(20_000));
    sink.write("x", &long("one"), Expect::Nothing).await.unwrap();
    let others = disk.join("others");
    let _ = std::io::copy(
        &mut fs::File::open("/dev/zero").unwrap(),
        &mut fs::File::create(&others).unwrap(),
    );
    let full = sink.write("x", &long("two"), Expect::Version(1)).await;
    assert!(matches!(full, Err(SinkError::Ambiguous { .. })), "{full:?}");
    assert!(!root.join(".nhi/x.part").exists(), "half a secret is not left");
    let stored = sink.read("x").await.unwrap().unwrap();
    assert_eq!(stored.version.number, 1);
    assert_eq!(stored.document.unwrap().get("secret").unwrap().expose(), "one".repeat(20_000));
    fs::remove_file(others).unwrap();
    assert_eq!(sink.write("x", &long("two"), Expect::Version(1)).await.unwrap().number, 2);
    println!("\nall of it");
}

#[test]
fn on_a_full_disk_a_document_stays_what_it_was_and_nothing_half_is_left() {
    // A disk of its own is a mount that only this test sees; not every machine lets it have one.
    let home = tempfile::tempdir().unwrap();
    let script = r#"
        mount -t tmpfs -o size=256k,mode=700 none "$1" && echo mounted || exit 0
        NHI_FILE_SINK_TEST_PLACE=$1 "$2" --exact --nocapture plays_its_part_when_it_is_asked 2>&1
    "#;
    let done = std::process::Command::new("unshare")
        .args(["--user", "--map-root-user", "--mount", "sh", "-c", script, "sh"])
        .arg(home.path())
        .arg(std::env::current_exe().unwrap())
        .output();
    let said = done.map(|done| String::from_utf8_lossy(&done.stdout).into_owned());
    match said.ok().filter(|said| said.contains("mounted")) {
        Some(said) => assert!(said.contains("\nall of it"), "{said}"),
        None => eprintln!("not tried: this machine lets no test have a disk of its own"),
    }
}

#[tokio::test]
async fn the_line_that_writes_a_document_by_hand_writes_one_that_is_nobody_elses() {
    let home = tempfile::tempdir().unwrap();
    let folder = home.path().join("my secrets");
    let sink = sink(&folder);
    fs::write(home.path().join("answer.json"), r#"{"client_id":"a3f9c1"}"#).unwrap();
    let line = sink.line_to_write("nhi/k3x9q2-keyring/client-a3f9c1", "answer.json").await.unwrap();
    let run = format!("umask 022; {line}");
    let mut shell = std::process::Command::new("sh");
    let done = shell.args(["-c", &run]).current_dir(home.path()).status().unwrap();
    assert!(done.success(), "{line}");
    let stored = sink.read("nhi/k3x9q2-keyring/client-a3f9c1").await.unwrap().unwrap();
    assert_eq!(stored.document.unwrap().get("client_id").unwrap().expose(), "a3f9c1");
}
