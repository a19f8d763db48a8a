//! A board reads a plan, signs one change of it with keys of OpenSSH, and that is what is applied.

use std::{
    collections::BTreeSet,
    path::Path,
    process::{Command, Stdio},
};

use acceptance_tests::{Ran, Result, World, world::SAVED};
use serde_json::{Value, json};

use crate::{BASE, applied, findings::policy};

const SCOPES: &str = r#"["secret/data/invoices/*:read"]"#;
const WIDER: &str = r#"["secret/data/invoices/*:read", "secret/data/payroll/*:read"]"#;

/// What the integration reaches beside its platform.
const REACHES: &str = "  stop_within     = \"5m\"\n  reaches = {\n    books = { category = \"erp\", \
                       direction = \"writes\", data = \"financial\" }\n  }\n";

fn keygen(world: &World, words: &[&str]) -> Result<String> {
    let done = Command::new("ssh-keygen").args(words).current_dir(&world.folder).output();
    let done = done.map_err(|error| format!("ssh-keygen: {error}"))?;
    match done.status.success() {
        true => Ok(String::from_utf8_lossy(&done.stdout).into_owned()),
        false => Err(format!("ssh-keygen {words:?}: {}", String::from_utf8_lossy(&done.stderr))),
    }
}

/// Two people with keys, and the policy that knows them.
fn board(world: &World) -> Result<()> {
    let mut signers = String::new();
    for (name, phrase) in [("ann", ""), ("sam", "open sesame")] {
        keygen(world, &["-q", "-t", "ed25519", "-N", phrase, "-C", name, "-f", name])?;
        signers.push_str(&format!("{name}@acme.example {}", world.read(&format!("{name}.pub"))?));
    }
    world.write("allowed_signers", &signers)?;
    std::fs::create_dir_all(world.folder.join("approvals")).map_err(|error| error.to_string())?;
    policy(
        world,
        "review = {\n  version = 1\n  domain = \"acme.example\"\n  signers = \"allowed_signers\"\n  \
         quorum = { low = { people = 0 }, high = { people = 1 }, critical = { people = 2 } }\n  \
         roles = { security = [\"sam@acme.example\"] }\n  \
         owners = { finance-operations = [\"ann@acme.example\"] }\n}\n",
    )
}

/// An agent of OpenSSH, which ends with this.
struct Agent {
    child: std::process::Child,
    socket: String,
}

impl Agent {
    fn start(world: &World) -> Result<Agent> {
        let socket = world.root().join("agent.sock").display().to_string();
        let child = Command::new("ssh-agent")
            .args(["-D", "-a", &socket])
            .stdout(Stdio::null())
            .spawn()
            .map_err(|error| format!("ssh-agent: {error}"))?;
        for _ in 0..200 {
            if Path::new(&socket).exists() {
                return Ok(Agent { child, socket });
            }
            std::thread::sleep(std::time::Duration::from_millis(20));
        }
        Err("ssh-agent did not listen".to_owned())
    }

    fn add(&self, world: &World, key: &str) -> Result<()> {
        let mut command = Command::new("ssh-add");
        command.args(["-q", key]).current_dir(&world.folder).env("SSH_AUTH_SOCK", &self.socket);
        let done = command.output().map_err(|error| format!("ssh-add: {error}"))?;
        match done.status.success() {
            true => Ok(()),
            false => Err(String::from_utf8_lossy(&done.stderr).into_owned()),
        }
    }
}

impl Drop for Agent {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// `nhi` as a person runs it beside the core: it may start the core that made a saved plan.
fn command(world: &World) -> Command {
    let mut command = world.nhi_command();
    let cores = world.core.path.parent().unwrap_or(Path::new("/")).display().to_string();
    let path = std::env::var("PATH").unwrap_or_default();
    command
        .env("PATH", format!("{cores}:{path}"))
        .env("HOME", world.root().join("home"))
        .env("TF_CLI_CONFIG_FILE", world.root().join("home/cli.rc"));
    command
}

fn nhi(world: &World, words: &[&str]) -> Result<Ran> {
    acceptance_tests::core::ran(command(world).args(words))
}

/// Plans, and reads what was planned.
fn planned(world: &World) -> Result<(String, Value)> {
    let said = world.terraform(&["plan", "-out", SAVED])?.expect(0)?;
    // A saved plan is read by its core; the core's own JSON says the same.
    let words = ["review", SAVED, "--format", "json", "--keep"];
    let review = nhi(world, &words);
    Ok((said, read(&review?.expect(0)?)?))
}

fn read(said: &str) -> Result<Value> {
    let line = said.lines().find(|line| line.starts_with('{')).unwrap_or_default();
    serde_json::from_str(line).map_err(|error| format!("{error}: {said}"))
}

fn digest(review: &Value, at: usize) -> String {
    review["changes"][at]["digest"].as_str().unwrap_or_default().to_owned()
}

fn sign(world: &World, review: &Value, words: &[&str], agent: &str) -> Result<String> {
    let shown = review["changes"][0]["shown"].as_str().unwrap_or_default();
    let digest = digest(review, 0);
    let mut command = command(world);
    command.args(words).args([&digest, "--shown", shown, "--reason", "as agreed"]);
    let done = command.env("SSH_AUTH_SOCK", agent).output().map_err(|error| error.to_string())?;
    let said = [&done.stdout[..], &done.stderr[..]].concat();
    let said = String::from_utf8_lossy(&said).into_owned();
    if done.status.success() { Ok(said) } else { Err(said) }
}

#[test]
fn a_widening_is_read_signed_by_two_with_real_keys_and_applied_and_nothing_else_is() {
    applied(|world| {
        board(world)?;
        world.write("main.tf", &BASE.replace(SCOPES, WIDER))?;
        let (said, review) = planned(world)?;
        let one = &review["changes"][0];
        assert_eq!(review["changes"].as_array().map(Vec::len), Some(1), "{review}");
        assert_eq!((&one["direction"], &one["level"]), (&json!("widens"), &json!("high")), "{one}");
        // The provider and the review speak of one change.
        let digest = digest(&review, 0);
        assert!(said.contains(&digest), "{digest}: {said}");
        assert_eq!(one["differences"][0]["after"], "secret/data/payroll/*:read", "{one}");
        assert_eq!(one["differences"][0]["action"], "secret");

        let missing = nhi(world, &["gate", SAVED])?.expect(4)?;
        assert!(missing.contains("nhi approve ") && missing.contains(&digest), "{missing}");
        let refused = world.terraform(&["apply", SAVED])?.expect(1)?;
        assert!(refused.contains("E-APPROVAL-MISSING") && refused.contains(&digest), "{refused}");

        // By a key's file; and with nobody at a terminal nothing is signed that nobody was shown.
        let blind = nhi(world, &["approve", &digest, "--role", "owner", "--key", "ann"])?;
        let blind = blind.expect(1)?;
        assert!(blind.contains("E-SHOWN") && blind.contains("secret/data/payroll"), "{blind}");
        let told = sign(world, &review, &["approve", "--role", "security", "--key", "ann"], "");
        assert!(told.as_ref().is_err_and(|said| said.contains("E-APPROVAL-ROLE")), "{told:?}");
        sign(world, &review, &["approve", "--role", "owner", "--key", "ann"], "")?;
        let missing = nhi(world, &["gate", SAVED])?.expect(4)?;
        assert!(missing.contains("ann@acme.example"), "{missing}");

        // By a real agent; a key that a passphrase guards is not opened without it.
        let told = sign(world, &review, &["approve", "--role", "security", "--key", "sam"], "");
        assert!(told.as_ref().is_err_and(|said| said.contains("E-KEY")), "{told:?}");
        let agent = Agent::start(world)?;
        keygen(world, &["-q", "-p", "-P", "open sesame", "-N", "", "-f", "sam"])?;
        agent.add(world, "sam")?;
        let alone = sign(world, &review, &["approve", "--role", "security"], &agent.socket)?;
        assert!(alone.contains("sam@acme.example"), "{alone}");
        agent.add(world, "ann")?;
        let which = sign(world, &review, &["reject"], &agent.socket);
        assert!(which.as_ref().is_err_and(|said| said.contains("several keys")), "{which:?}");

        // Whoever says no stops everybody, until it is taken back.
        sign(world, &review, &["reject", "--key", "sam.pub"], &agent.socket)?;
        let no = nhi(world, &["gate", SAVED])?.expect(4)?;
        assert!(no.contains("rejected") && no.contains("sam@acme.example"), "{no}");
        sign(world, &review, &["withdraw", "--key", "sam.pub"], &agent.socket)?;
        sign(
            world,
            &review,
            &["approve", "--role", "security", "--key", "sam.pub"],
            &agent.socket,
        )?;
        nhi(world, &["gate", SAVED])?.expect(0)?;

        // What was signed is a signature of OpenSSH over what was shown.
        openssh_believes(world, &digest)?;

        world.terraform(&["apply", SAVED])?.expect(0)?;
        world.plan_is_empty()
    });
}

/// Each statement of a change is verified by `ssh-keygen` itself.
fn openssh_believes(world: &World, digest: &str) -> Result<()> {
    let folder = world.folder.join("approvals").join(digest.trim_start_matches("sha256:"));
    let mut seen = 0;
    for entry in std::fs::read_dir(folder).map_err(|error| error.to_string())? {
        let path = entry.map_err(|error| error.to_string())?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let Some((who, _)) = name.split_once("acme.example-") else { continue };
        let who = format!("{who}acme.example");
        let text = std::fs::read_to_string(&path).map_err(|error| error.to_string())?;
        let envelope: Value = serde_json::from_str(&text).map_err(|error| error.to_string())?;
        let of = |value: &Value| {
            let text = value.as_str().unwrap_or_default();
            data_encoding::BASE64.decode(text.as_bytes()).map_err(|error| error.to_string())
        };
        let payload = of(&envelope["payload"])?;
        let kind = "application/vnd.in-toto+json";
        let mut bytes = format!("DSSEv1 {} {kind} {} ", kind.len(), payload.len()).into_bytes();
        bytes.extend_from_slice(&payload);
        let signature = of(&envelope["signatures"][0]["sig"])?;
        let armour = format!(
            "-----BEGIN SSH SIGNATURE-----\n{}\n-----END SSH SIGNATURE-----\n",
            data_encoding::BASE64.encode(&signature)
        );
        world.write("sig", &armour)?;
        std::fs::write(world.folder.join("signed"), &bytes).map_err(|error| error.to_string())?;
        let done = Command::new("ssh-keygen")
            .args(["-Y", "verify", "-f", "allowed_signers", "-I", &who, "-s", "sig", "-n"])
            .arg("nhi-approval@acme.example")
            .stdin(std::fs::File::open(world.folder.join("signed")).map_err(|e| e.to_string())?)
            .current_dir(&world.folder)
            .output()
            .map_err(|error| error.to_string())?;
        if !done.status.success() {
            return Err(format!("{name}: {}", String::from_utf8_lossy(&done.stderr)));
        }
        seen += 1;
    }
    if seen < 4 { Err(format!("only {seen} statements")) } else { Ok(()) }
}

#[test]
fn what_a_review_says_is_reached_is_what_the_server_lets_it_do() {
    applied(|world| {
        board(world)?;
        let wider = BASE.replace(SCOPES, WIDER);
        let role = "  openbao_approle = { token_ttl = \"1h\" }\n";
        world.write("main.tf", &wider.replace(role, &format!("{REACHES}{role}")))?;
        let (_, review) = planned(world)?;
        let scope = review["changes"].as_array().into_iter().flatten();
        let scope = scope.clone().find(|one| one["type"] == "nhi_scope").unwrap_or(&Value::Null);
        let of = |side: &str| -> BTreeSet<String> {
            let reached = scope["reach"][side]["reached"].as_array().into_iter().flatten();
            let sources = reached.flat_map(|one| one["sources"].as_array().into_iter().flatten());
            let scopes = sources.filter_map(|one| one.as_str()?.strip_prefix("scope "));
            scopes.map(str::to_owned).collect()
        };
        let (invoices, payroll) = ("secret/data/invoices/*:read", "secret/data/payroll/*:read");
        assert_eq!(of("before"), BTreeSet::from([invoices.to_owned()]), "{scope}");
        assert_eq!(of("after"), BTreeSet::from([invoices.to_owned(), payroll.to_owned()]));
        let books = scope["reach"]["after"]["reached"].as_array().into_iter().flatten();
        let books = books.clone().find(|one| one["name"] == "books").unwrap_or(&Value::Null);
        assert_eq!((&books["data"], &books["action"]), (&json!("financial"), &json!("write")));
        assert_eq!(scope["reach"]["after"]["stop_within"], "5m");

        // The server's own answer, of a token that signs in as it, before.
        let policies = world.bao.get("/v1/auth/approle/role/invoice-sync")?;
        let policies = policies["data"]["token_policies"].clone();
        let token = world.bao.post("/v1/auth/token/create", json!({ "policies": policies }))?;
        let token = token["auth"]["client_token"].as_str().unwrap_or_default().to_owned();
        let can = |path: &str| -> Result<BTreeSet<String>> {
            let asked = json!({ "token": token, "paths": [path] });
            let said = world.bao.post("/v1/sys/capabilities", asked)?;
            let all = said["data"][path].as_array().cloned().unwrap_or_default();
            Ok(all.iter().filter_map(Value::as_str).map(str::to_owned).collect())
        };
        let read = BTreeSet::from(["read".to_owned()]);
        let deny = BTreeSet::from(["deny".to_owned()]);
        assert_eq!(can("secret/data/invoices/x")?, read);
        assert_eq!(can("secret/data/payroll/x")?, deny, "before it is as it was");
        // Without a board the same plan is applied, and the server says what was foretold.
        world.write("policy.hcl", "")?;
        world.apply()?;
        assert_eq!(can("secret/data/payroll/x")?, read);
        assert_eq!(can("secret/data/other/x")?, deny);
        Ok(())
    });
}

#[test]
fn what_is_forgotten_marked_or_unknown_is_told_and_let_through_by_no_gate() {
    applied(|world| {
        board(world)?;
        // Nothing changes: nothing is to be signed.
        world.terraform(&["plan", "-out", SAVED])?.expect(0)?;
        nhi(world, &["gate", SAVED])?.expect(0)?;
        // A narrowing needs nobody.
        let narrower = BASE.replace(SCOPES, r#"["secret/data/invoices/2027:read"]"#);
        world.write("main.tf", &narrower)?;
        world.terraform(&["plan", "-out", SAVED])?.expect(0)?;
        nhi(world, &["gate", SAVED])?.expect(0)?;
        // What is forgotten lives on: it is a change that somebody must sign.
        let start = BASE.find("resource \"nhi_rotation_schedule\"").unwrap_or_default();
        let forgotten =
            "removed {\n  from = nhi_credential.it\n  lifecycle {\n    destroy = false\n  }\n}\n";
        let kept = BASE[..start].to_owned();
        world.write("main.tf", &format!("{kept}{forgotten}"))?;
        world.terraform(&["plan", "-out", SAVED])?.expect(0)?;
        let said = nhi(world, &["gate", SAVED])?.expect(4)?;
        assert!(said.contains("lives on, and nobody manages it any more"), "{said}");
        // What is marked as sensitive is shown nowhere, and nobody can sign it.
        let marked = BASE.replace(
            "justification = \"Reads tonight's invoices and nothing else\"",
            "justification = sensitive(\"canary-4711 of which nobody may read a word\")",
        );
        assert_ne!(marked, BASE);
        world.write("main.tf", &marked)?;
        world.terraform(&["plan", "-out", SAVED])?.expect(0)?;
        for words in [
            &["review", SAVED][..],
            &["review", SAVED, "--format", "json"],
            &["review", SAVED, "--format", "html"],
            &["review", SAVED, "--comment"],
        ] {
            let said = nhi(world, words)?.expect(0)?;
            assert!(said.contains("E-SENSITIVE-GOVERNED"), "{words:?}: {said}");
            assert!(!said.contains("canary-4711"), "{words:?}: {said}");
        }
        let said = nhi(world, &["gate", SAVED])?.expect(4)?;
        assert!(said.contains("nonsensitive") && !said.contains("canary-4711"), "{said}");
        Ok(())
    });
}

/// A plan of many widenings, as a core would show it, and a folder to read it in.
fn many(count: usize) -> (tempfile::TempDir, String) {
    let folder = tempfile::tempdir().unwrap();
    let hostile = "<img src=x onerror=alert(1)></script>";
    let integration = |name: &str| {
        json!({ "id": format!("bao/openbao_approle/{name}"), "kind": "openbao_approle",
            "connection_name": "bao", "name": name, "vendor_id": format!("v-{name}"),
            "purpose": format!("Copies paid invoices every night {hostile}"),
            "environment": "production", "execution_mode": "batch", "stop_within": "5m",
            "business_owner": { "id": "owner/finance" },
            "technical_owner": { "id": "owner/payments" },
            "openbao_approle": { "token_ttl": "1h" },
            "reaches": {
                "general-ledger": { "category": "erp", "direction": "writes", "data": "financial",
                    "environment": "production" },
                "crm": { "category": "crm", "direction": "both", "data": "personal" } } })
    };
    let scope = |name: &str, scopes: &[&str], highest: &str| {
        json!({ "id": format!("bao/openbao_approle/{name}/scope"),
            "integration": { "id": format!("bao/openbao_approle/{name}"),
                "vendor_id": format!("v-{name}") },
            "scopes": scopes, "enforcement": "exact", "highest_action": highest,
            "justification": "Reads tonight's invoices and nothing else" })
    };
    let object = |address: String, kind: &str, actions: &str, before: Value, after: Value| {
        json!({ "address": address, "mode": "managed", "type": kind, "name": "x",
            "provider_name": "registry.terraform.io/open-nhi/nhi", "change": {
            "actions": [actions], "before": before, "after": after, "after_unknown": {},
            "before_sensitive": {}, "after_sensitive": {} } })
    };
    let read = "secret/data/invoices/*:read";
    let changes: Vec<Value> = (0..count)
        .flat_map(|at| {
            let name = format!("app-{at:05}");
            let one = integration(&name);
            let (more, highest) = match at % 7 {
                3 => ("sys/policies/acl/*:update", "policy"),
                _ => ("secret/data/payroll/*:read", "secret"),
            };
            [
                object(
                    format!("nhi_integration.app[{at}]"),
                    "nhi_integration",
                    "no-op",
                    one.clone(),
                    one,
                ),
                object(
                    format!("nhi_scope.app[{at}]"),
                    "nhi_scope",
                    "update",
                    scope(&name, &[read], "secret"),
                    scope(&name, &[read, more], highest),
                ),
            ]
        })
        .collect();
    let plan = json!({ "format_version": "1.2", "terraform_version": "1.11.4",
        "planned_values": {}, "resource_changes": changes });
    let write = |name: &str, text: &str| std::fs::write(folder.path().join(name), text).unwrap();
    write("plan.json", &plan.to_string());
    write(
        "nhi.hcl",
        "connections = {\n  bao = { openbao = { address = \"http://127.0.0.1:1\", tenant = \"cluster-1\", \
         credential = { env = \"BAO_TOKEN\" } } }\n}\npolicy = { file = \"policy.hcl\" }\n\
         ledger = { none = true }\n",
    );
    write("allowed_signers", "");
    write(
        "policy.hcl",
        "review = {\n  version = 1\n  domain = \"acme.example\"\n  signers = \"allowed_signers\"\n}\n",
    );
    std::fs::create_dir(folder.path().join("approvals")).unwrap();
    (folder, hostile.to_owned())
}

fn review_of(folder: &Path, words: &[&str]) -> std::process::Output {
    Command::new(acceptance_tests::programs::built().unwrap().nhi)
        .arg("review")
        .arg("plan.json")
        .args(words)
        .current_dir(folder)
        .env("BAO_TOKEN", "t")
        .env_remove("NHI_CONFIG")
        .output()
        .unwrap()
}

#[test]
#[ignore = "second ring: cargo xtask test second"]
fn a_page_of_a_thousand_changes_opens_at_once_and_is_used_by_keyboard_in_a_real_browser() {
    let (folder, _) = many(1000);
    let done = review_of(folder.path(), &["--report", "html=review.html"]);
    assert_eq!(done.status.code(), Some(0), "{done:?}");
    let page = folder.path().join("review.html");
    let picture = std::env::var_os("NHI_TEST_PICTURE");
    let picture = picture.as_deref().map(Path::new);
    let seen =
        acceptance_tests::servers::browser::look_at_review(&page, "app-00013", picture).unwrap();
    let requests = seen["requests"].as_array().unwrap();
    assert!(requests.iter().all(|one| one.as_str().unwrap().ends_with("/review.html")), "{seen}");
    assert_eq!(
        seen["complaints"],
        json!([]),
        "nothing is refused and nothing foreign runs: {seen}"
    );
    assert_eq!(seen["foreign"], 0, "{seen}");
    assert_eq!(seen["title"], "nhi review: 1000 changes, 1000 not approved");
    assert_eq!(seen["all"], json!([50, "1000 of 1000, page 1 of 20"]));
    let milliseconds = seen["milliseconds"].as_u64().unwrap();
    println!("opened within {milliseconds} ms");
    assert!(
        milliseconds < 5_000,
        "a second on a machine that does nothing else: {milliseconds} ms"
    );
    assert_ne!(seen["first"], seen["second"], "the keyboard leads from card to card");
    assert!(seen["first"].as_str().unwrap().starts_with("c-"), "{seen}");
    assert_eq!(seen["focus"], "search");
    assert_eq!(seen["searched"][0], 1, "{seen}");
    assert_eq!((&seen["cleared"], &seen["critical"]), (&json!(50), &json!(50)));
    assert_eq!(seen["missing"], "1000 of 1000, page 1 of 20");
    assert_eq!(seen["articles"], 50, "each card has a name: {seen}");
    assert_eq!(seen["images"], 1000, "each picture has words");
    assert_eq!(seen["printed"], json!([1000, 0]), "on paper all stand there, unfolded");
    assert_eq!(seen["after"], 50);
    assert_ne!(seen["light"], seen["dark"]);
    assert_eq!(seen["plain"], 1000, "without its script all cards stand there");
}
