//! Where a board reviews changes: plans that are read, signed by several people with real keys, and applied by
//! the real core on a real server; and everything else that is refused.

use std::{
    fs,
    io::{Read as _, Write as _},
    net::TcpListener,
    os::unix::fs::PermissionsExt as _,
    process::Command,
    sync::{Arc, Mutex},
    thread::sleep,
    time::Duration,
};

use acceptance_tests::{Result, World, core::ran};
use serde_json::{Value, json};

use crate::{BASE, flat, holds, in_world, nothing_is_left_to_do};

/// Who may sign what. Nobody shows who asks, so that each level needs one more than it says.
const POLICY: &str = r#"
review = {
  version = 1
  domain  = "acme.example"
  signers = "allowed_signers"
  revoked = "revoked_keys"
  roles   = { security = ["sam@acme.example", "sue@acme.example"] }
  owners  = { payments-platform = ["ann@acme.example"] }
  quorum  = {
    low      = { people = 0 }
    medium   = { people = 1, roles = ["owner", "security"] }
    high     = { people = 1, roles = ["owner", "security"] }
    critical = { people = 1, roles = ["owner", "security"] }
  }
  break_glass = { people = ["sue@acme.example"], key = "key", changes = 1 }
}
"#;

const WHO: [&str; 3] = ["ann", "sam", "sue"];
/// More than [`BASE`] gives.
const MORE: &str = "[\"secret/data/invoices/*:read\", \"secret/data/payroll/*:read\"]";
const FEW: &str = "[\"secret/data/invoices/*:read\"]";

fn wider() -> String {
    BASE.replace(FEW, MORE)
}

/// A new key of somebody.
fn key(world: &World, who: &str) -> Result<String> {
    let file = world.root().join(who);
    let mut command = Command::new("ssh-keygen");
    let name = format!("{who}@acme.example");
    command.args(["-q", "-t", "ed25519", "-N", "", "-C", &name, "-f"]).arg(&file);
    ran(&mut command)?.expect(0)?;
    let public = fs::read_to_string(file.with_extension("pub")).map_err(|e| e.to_string())?;
    Ok(format!("{name} {public}"))
}

/// A world in which a board reviews changes.
fn reviewed(story: impl Fn(&World) -> Result<()>) {
    in_world(BASE, |world| {
        let keys = WHO.map(|who| key(world, who)).into_iter().collect::<Result<Vec<_>>>()?;
        world.write("allowed_signers", &keys.concat())?;
        world.write("revoked_keys", "")?;
        world.write("policy.hcl", POLICY)?;
        let hcl = format!("{}policy = {{ file = \"policy.hcl\" }}\n", world.read("nhi.hcl")?);
        world.write("nhi.hcl", &hcl)?;
        fs::create_dir_all(world.folder.join("approvals")).map_err(|e| e.to_string())?;
        story(world)
    });
}

/// A saved plan, and its review as JSON.
fn planned(world: &World, name: &str) -> Result<Value> {
    let out = format!("-out={name}");
    world.terraform(&["plan", &out])?.expect(0)?;
    let failed = |error: std::io::Error| error.to_string();
    let shown = world.core_command().args(["show", "-json", name]).output().map_err(failed)?;
    let json = format!("{name}.json");
    fs::write(world.folder.join(&json), &shown.stdout).map_err(failed)?;
    let words = ["review", &json, "--keep", "--format", "json"];
    let review = world.nhi_command().args(words).output().map_err(failed)?;
    let said = String::from_utf8_lossy(&review.stdout);
    serde_json::from_str(&said)
        .map_err(|error| format!("{error}: {said}{}", String::from_utf8_lossy(&review.stderr)))
}

/// The changes of a review that need somebody.
fn cards(review: &Value) -> Vec<&Value> {
    let all = review["changes"].as_array().into_iter().flatten();
    all.filter(|one| one["approved"] == json!(false)).collect()
}

/// Somebody signs these changes, having read them.
fn signs(world: &World, who: &str, role: &str, cards: &[&Value]) -> Result<()> {
    let key = world.root().join(who).display().to_string();
    for card in cards {
        let digest = card["digest"].as_str().unwrap_or_default().to_owned();
        let shown = card["shown"].as_str().unwrap_or_default().to_owned();
        let words = ["approve", &digest, "--role", role, "--key", &key, "--shown", &shown];
        let words = [&words[..], &["--reason", "agreed on Monday"]].concat();
        world.nhi(&words)?.expect(0)?;
    }
    Ok(())
}

fn both_sign(world: &World, review: &Value) -> Result<()> {
    let cards = cards(review);
    signs(world, "ann", "owner", &cards)?;
    signs(world, "sam", "security", &cards)
}

/// Applies what is saved.
fn apply(world: &World, name: &str) -> Result<acceptance_tests::core::Ran> {
    world.terraform(&["apply", name])
}

/// Applies all of a configuration, with all that it needs.
fn approved(world: &World, main: &str, name: &str) -> Result<()> {
    world.write("main.tf", main)?;
    let review = planned(world, name)?;
    both_sign(world, &review)?;
    apply(world, name)?.expect(0).map(drop)
}

fn refused(ran: acceptance_tests::core::Ran, code: &str) -> Result<String> {
    let said = ran.expect(1)?;
    let told = flat(&said.replace('│', " "));
    holds(told.contains(code) && told.contains("Next:"), code, &said)?;
    Ok(told)
}

fn scopes(world: &World) -> Result<String> {
    let policy = world.bao.get("/v1/sys/policies/acl/nhi/invoice-sync");
    Ok(policy.map(|one| one["data"]["policy"].to_string()).unwrap_or_default())
}

#[test]
fn nothing_is_made_that_nobody_signed_and_what_was_signed_is_made_once() {
    reviewed(|world| {
        let said = world.terraform(&["apply", "-auto-approve"])?;
        refused(said, "E-APPROVAL-MISSING")?;
        let roles = world.bao.get("/v1/auth/approle/role?list=true").unwrap_or_default();
        holds(!roles.to_string().contains("invoice-sync"), "nothing was made", &roles.to_string())?;

        let review = planned(world, "first.plan")?;
        let needed = cards(&review);
        holds(
            needed.len() == 3,
            "integration, scope and credential need somebody",
            &review.to_string(),
        )?;
        world.nhi(&["gate", "first.plan.json"])?.expect(4)?;
        // The plan of the provider says the same digests.
        let told = flat(&world.terraform(&["plan"])?.expect(0)?.replace('│', " "));
        for one in &needed {
            let digest = one["digest"].as_str().unwrap_or_default();
            holds(told.contains(digest), "the provider's plan has the digest", digest)?;
        }
        signs(world, "ann", "owner", &needed)?;
        let said = world.nhi(&["gate", "first.plan.json"])?.expect(4)?;
        holds(said.contains("needs 2 people"), "one is not enough", &said)?;
        refused(apply(world, "first.plan")?, "E-APPROVAL-QUORUM")?;
        signs(world, "sam", "security", &needed)?;
        world.nhi(&["gate", "first.plan.json"])?.expect(0)?;
        let review = planned(world, "first.plan")?;
        holds(cards(&review).is_empty(), "all is signed", &review.to_string())?;
        apply(world, "first.plan")?.expect(0)?;
        nothing_is_left_to_do(world)?;

        // Wider, narrower, and wider again: the second time it is another use.
        approved(world, &wider(), "wide.plan")?;
        holds(scopes(world)?.contains("payroll"), "it is given", "")?;
        world.write("main.tf", BASE)?;
        world.apply()?;
        holds(!scopes(world)?.contains("payroll"), "narrowing asks nobody", "")?;
        world.write("main.tf", &wider())?;
        let told = refused(world.terraform(&["apply", "-auto-approve"])?, "E-APPROVAL-USED")?;
        holds(told.contains("counts no more"), "it says why", &told)?;
        // A signature of later allows it again.
        sleep(Duration::from_millis(1100));
        approved(world, &wider(), "again.plan")?;
        nothing_is_left_to_do(world)
    });
}

#[test]
fn what_changed_after_it_was_signed_is_not_applied_and_a_no_or_an_edit_stops_it() {
    reviewed(|world| {
        approved(world, BASE, "first.plan")?;
        world.write("main.tf", &wider())?;
        let review = planned(world, "wide.plan")?;
        both_sign(world, &review)?;
        // Somebody's hand, between the plan and its apply.
        world.bao.widen("nhi/invoice-sync", "secret/data/hr/*")?;
        refused(apply(world, "wide.plan")?, "E-STALE-LIVE")?;
        holds(!scopes(world)?.contains("payroll"), "nothing was given", "")?;

        // The same from where it is now; somebody edits what somebody else signed.
        let review = planned(world, "now.plan")?;
        both_sign(world, &review)?;
        let one = cards(&review)[0].clone();
        let digest = one["digest"].as_str().unwrap_or_default().replace("sha256:", "");
        let shown = one["shown"].as_str().unwrap_or_default();
        let folder = world.folder.join("approvals").join(&digest);
        let files = fs::read_dir(&folder).map_err(|e| e.to_string())?;
        let anns = files.filter_map(|one| Some(one.ok()?.path()));
        let anns = anns.into_iter().find(|one| one.display().to_string().contains("ann@"));
        let anns = anns.ok_or("ann signed")?;
        let whole = fs::read_to_string(&anns).map_err(|e| e.to_string())?;
        let mut edited: Value = serde_json::from_str(&whole).map_err(|e| e.to_string())?;
        edited["payload"] = json!("e30=");
        fs::write(&anns, edited.to_string()).map_err(|e| e.to_string())?;
        refused(apply(world, "now.plan")?, "E-APPROVAL-SIGNATURE")?;
        fs::write(&anns, whole).map_err(|e| e.to_string())?;
        // What was refused left a state of its own, which a core takes no saved plan of before for.
        let review = planned(world, "then.plan")?;
        holds(cards(&review).is_empty(), "both signatures count again", &review.to_string())?;

        // Somebody says no after two have said yes.
        let key = world.root().join("sue").display().to_string();
        world
            .nhi(&["reject", &digest, "--key", &key, "--shown", shown, "--reason", "not payroll"])?
            .expect(0)?;
        let told = refused(apply(world, "then.plan")?, "E-APPROVAL-REJECTED")?;
        holds(told.contains("sue@acme.example"), "it says who", &told)?;
        holds(!scopes(world)?.contains("payroll"), "nothing was given", "")
    });
}

#[test]
fn who_left_a_policy_of_before_and_an_approval_that_is_over_count_for_nothing() {
    reviewed(|world| {
        approved(world, BASE, "first.plan")?;
        world.write("main.tf", &wider())?;
        let review = planned(world, "wide.plan")?;
        world.write("wide.review.json", &review.to_string())?;
        let key = |who: &str| world.root().join(who).display().to_string();
        let (ann, sam) = (key("ann"), key("sam"));
        let shown = review["shown"].as_str().unwrap_or_default();
        let all = ["approve", "--all-of", "wide.review.json", "--reason", "agreed on Monday"];
        let signs = |more: &[&str]| world.nhi(&[&all[..], more].concat());
        // Some of its digits are not the hash of what was read.
        let said =
            signs(&["--role", "owner", "--key", &ann, "--shown", &shown[..32]])?.expect(1)?;
        holds(said.contains("E-SHOWN") && said.contains("32 of the 64"), "it says why", &said)?;
        signs(&["--role", "owner", "--key", &ann, "--shown", shown])?.expect(0)?;
        signs(&["--role", "security", "--key", &sam, "--shown", shown])?.expect(0)?;
        world.nhi(&["gate", "wide.plan.json"])?.expect(0)?;

        // Sam leaves, with all that sam's key has signed.
        let sams = fs::read_to_string(world.root().join("sam.pub")).map_err(|e| e.to_string())?;
        world.write("revoked_keys", &sams)?;
        let policy = world.read("policy.hcl")?;
        let told = world.terraform(&["plan"])?.expect(0)?;
        holds(!flat(&told).contains("E-POLICY-"), "the list of keys is no policy", &told)?;
        let said = world.nhi(&["gate", "wide.plan.json"])?.expect(4)?;
        holds(said.contains("E-APPROVAL-KEY-REVOKED"), "the gate says why", &said)?;
        let told = refused(world.terraform(&["apply", "-auto-approve"])?, "E-APPROVAL-QUORUM")?;
        holds(told.contains("E-APPROVAL-KEY-REVOKED"), "it says why", &told)?;
        world.write("revoked_keys", "")?;

        // Another policy, which those have not signed whom the one before asks.
        let newer =
            policy.replace("version = 1", "version = 2").replace("people = 1", "people = 0");
        world.write("policy.hcl", &newer)?;
        let said = world.nhi(&["gate", "wide.plan.json"])?.expect(4)?;
        holds(said.contains("E-POLICY-UNSIGNED"), "the gate says it", &said)?;
        refused(world.terraform(&["apply", "-auto-approve"])?, "E-POLICY-UNSIGNED")?;
        holds(!scopes(world)?.contains("payroll"), "nothing was given", "")?;
        world.write("policy.hcl", &policy)?;
        world.nhi(&["gate", "wide.plan.json"])?.expect(0)?;

        // What holds for a second holds no more after it.
        for one in cards(&review) {
            let digest = one["digest"].as_str().unwrap_or_default().replace("sha256:", "");
            let folder = world.folder.join("approvals").join(digest);
            for file in fs::read_dir(&folder).map_err(|e| e.to_string())? {
                let file = file.map_err(|e| e.to_string())?.path();
                if file.display().to_string().contains("@acme.example") {
                    fs::remove_file(&file).map_err(|e| e.to_string())?;
                }
            }
        }
        for (key, role) in [(&ann, "owner"), (&sam, "security")] {
            signs(&["--role", role, "--key", key, "--shown", shown, "--for", "1s"])?.expect(0)?;
        }
        sleep(Duration::from_millis(2100));
        let said = world.nhi(&["gate", "wide.plan.json"])?.expect(4)?;
        holds(said.contains("E-APPROVAL-EXPIRED"), "the gate says it", &said)?;
        refused(world.terraform(&["apply", "-auto-approve"])?, "E-APPROVAL-EXPIRED")?;
        holds(!scopes(world)?.contains("payroll"), "nothing was given", "")
    });
}

#[test]
fn two_boards_sign_in_two_branches_and_the_merge_has_both_words() {
    reviewed(|world| {
        approved(world, BASE, "first.plan")?;
        let git = |words: &[&str]| {
            let mut command = Command::new("git");
            command.current_dir(world.folder.join("approvals"));
            command.args(["-c", "user.name=x", "-c", "user.email=x@acme.example"]).args(words);
            ran(&mut command)?.expect(0)
        };
        git(&["init", "-q", "-b", "main"])?;
        git(&["add", "-A"])?;
        git(&["commit", "-qm", "before"])?;
        world.write("main.tf", &wider())?;
        let review = planned(world, "wide.plan")?;
        let needed = cards(&review);
        git(&["add", "-A"])?;
        git(&["commit", "-qm", "what is to be signed", "--allow-empty"])?;
        for (who, role) in [("ann", "owner"), ("sam", "security")] {
            git(&["checkout", "-q", "-b", who, "main"])?;
            signs(world, who, role, &needed)?;
            git(&["add", "-A"])?;
            git(&["commit", "-qm", who])?;
        }
        refused(apply(world, "wide.plan")?, "E-APPROVAL-QUORUM")?;
        git(&["checkout", "-q", "main"])?;
        git(&["merge", "-q", "--no-edit", "ann"])?;
        git(&["merge", "-q", "--no-edit", "sam"])?;
        apply(world, "wide.plan")?.expect(0)?;
        holds(scopes(world)?.contains("payroll"), "it is given", "")
    });
}

#[test]
fn a_replacement_needs_those_who_sign_and_a_stop_or_an_end_needs_nobody() {
    reviewed(|world| {
        approved(world, BASE, "first.plan")?;
        let before = world.bao.document("apps/invoice-sync")?;
        let said = world.terraform(&["apply", "-auto-approve", "-replace=nhi_credential.it"])?;
        refused(said, "E-APPROVAL-USED")?;
        holds(world.bao.document("apps/invoice-sync")? == before, "the consumer has it still", "")?;
        holds(crate::places::lets_in(&world.bao, &before)?, "and it works", "")?;
        // What takes power away is open, in an emergency and in peace.
        let stop = ["quarantine", "bao/openbao_approle/invoice-sync", "--reason", "INC-1", "--yes"];
        world.nhi(&stop)?.expect(0)?;
        holds(!crate::places::lets_in(&world.bao, &before)?, "it lets nobody in", "")?;
        world.terraform(&["destroy", "-auto-approve"])?.expect(0)?;
        let said = world.nhi(&["ledger", "show", "--kind", "change.authorized"])?.expect(0)?;
        holds(said.contains("change.authorized"), "and is written down", &said)
    });
}

/// Whoever is told what is to be told, from now on.
fn listened_to(world: &World) -> Result<Arc<Mutex<Vec<String>>>> {
    let failed = |error: std::io::Error| error.to_string();
    let listener = TcpListener::bind("127.0.0.1:0").map_err(failed)?;
    let address = listener.local_addr().map_err(failed)?;
    let file = world.folder.join("hook.key");
    fs::write(&file, "0123456789abcdef0123456789abcdef").map_err(failed)?;
    fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).map_err(failed)?;
    let notify = format!(
        "notify = {{ webhook = {{ url = \"http://{address}/\", key = {{ file = \"hook.key\" }} }} }}\n"
    );
    world.write("nhi.hcl", &format!("{}{notify}", world.read("nhi.hcl")?))?;
    let heard = Arc::new(Mutex::new(Vec::new()));
    let all = heard.clone();
    std::thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            let (mut said, mut part) = (Vec::new(), [0u8; 8192]);
            while let Ok(count @ 1..) = stream.read(&mut part) {
                said.extend_from_slice(&part[..count]);
                if said.ends_with(b"}") {
                    break;
                }
            }
            if let Ok(mut all) = all.lock() {
                all.push(String::from_utf8_lossy(&said).into_owned());
            }
            let _ = stream
                .write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\nconnection: close\r\n\r\n");
        }
    });
    Ok(heard)
}

#[test]
fn who_breaks_the_glass_is_let_through_and_nothing_is_in_policy_until_others_have_signed() {
    reviewed(|world| {
        approved(world, BASE, "first.plan")?;
        world.write("main.tf", &wider())?;
        let review = planned(world, "wide.plan")?;
        let needed = cards(&review);
        let (digest, shown) = (&needed[0]["digest"], &needed[0]["shown"]);
        let key = |who: &str| world.root().join(who).display().to_string();
        let words = |who: &str| {
            let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
            vec![
                "break-glass".to_owned(),
                text(digest),
                "--key".to_owned(),
                key(who),
                "--shown".to_owned(),
                text(shown),
                "--reason".to_owned(),
                "production is down".to_owned(),
            ]
        };
        let of = |who: &str| {
            let words = words(who);
            world.nhi(&words.iter().map(String::as_str).collect::<Vec<_>>())
        };
        of("sam")?.expect(1)?;
        let said = of("sue")?.expect(1)?;
        holds(said.contains("Nobody could be told"), "nobody goes ahead unheard", &said)?;
        let heard = listened_to(world)?;
        of("sue")?.expect(0)?;
        let told = heard.lock().map_err(|_| "nobody listens")?.join("\n");
        holds(
            told.contains("breaks the glass") && told.contains("production is down"),
            "it is told",
            &told,
        )?;
        apply(world, "wide.plan")?.expect(0)?;
        holds(scopes(world)?.contains("payroll"), "it is given", "")?;
        let said = world.nhi(&["drift"])?.expect(4)?;
        holds(said.contains("made by sue@acme.example"), "it is owed a review", &said)?;
        sleep(Duration::from_millis(1100));
        both_sign(world, &json!({ "changes": needed }))?;
        world.nhi(&["drift"])?.expect(0)?;
        world.nhi(&["reconcile", "--yes"])?.expect(0)?;
        nothing_is_left_to_do(world)
    });
}

/// [`BASE`] with a scope that may be asked for.
fn on_request() -> String {
    let line = "  justification = \"Reads tonight's invoices and nothing else\"\n";
    let asked = "  on_request    = { \"secret/data/payroll/*:read\" = { max = \"1h\" } }\n";
    BASE.replace(line, &format!("{line}{asked}"))
}

#[test]
fn a_scope_on_request_is_given_for_a_while_once_those_have_signed_and_is_no_drift() {
    reviewed(|world| {
        approved(world, &on_request(), "first.plan")?;
        nothing_is_left_to_do(world)?;
        let (id, scope) = ("bao/openbao_approle/invoice-sync", "secret/data/payroll/*:read");
        let ask = ["elevate", id, scope, "--for", "30m", "--reason", "INC-9: compare", "--yes"];
        let said = world.nhi(&ask)?.expect(4)?;
        holds(!scopes(world)?.contains("payroll"), "nothing is given unsigned", &said)?;
        let at = said.find("sha256:").ok_or_else(|| format!("no digest: {said}"))?;
        let digest = &said[at + 7..at + 71];
        for (who, role) in [("ann", "owner"), ("sam", "security")] {
            let key = world.root().join(who).display().to_string();
            let words = ["approve", digest, "--role", role, "--key", &key, "--reason", "agreed"];
            // Who has no terminal is told the hash of what is to be read.
            let told = world.nhi(&words)?.expect(1)?;
            let at = told.find("--shown ").ok_or_else(|| format!("no hash: {told}"))?;
            let hash = &told[at + 8..at + 72];
            world.nhi(&[&words[..], &["--shown", hash]].concat())?.expect(0)?;
        }
        world.nhi(&ask)?.expect(0)?;
        holds(scopes(world)?.contains("payroll"), "it is given", "")?;
        nothing_is_left_to_do(world)?;
        world.nhi(&["elevate", "--end", id, scope, "--yes"])?.expect(0)?;
        holds(!scopes(world)?.contains("payroll"), "and taken away", "")?;
        nothing_is_left_to_do(world)?;
        let again = world.nhi(&ask)?.expect(4)?;
        holds(again.contains("E-APPROVAL-USED"), "once", &again)
    });
}
