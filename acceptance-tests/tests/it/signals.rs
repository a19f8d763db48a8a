//! What is heard from outside, with the real core on a real server: what is exposed is rotated by the
//! next apply, what somebody saw is told until a person has dealt with it.

use acceptance_tests::{Result, World};
use serde_json::Value;

use crate::{applied, holds, nothing_is_left_to_do, one_credential_works};

const ID: &str = "bao/openbao_approle/invoice-sync";

/// What `nhi` says for programs.
fn json(world: &World, words: &[&str], code: i32) -> Result<Value> {
    let said = world.nhi(words)?.expect(code)?;
    let line = said.lines().find(|line| line.starts_with('{')).unwrap_or_default();
    serde_json::from_str(line).map_err(|error| format!("{error}: {said}"))
}

/// The rules that `nhi drift` tells of, with its exit code.
fn told(world: &World) -> Result<(i64, Vec<String>)> {
    let ran = world.nhi(&["drift", "--format", "json"])?;
    let line = ran.said.lines().find(|line| line.starts_with('{')).unwrap_or_default();
    let report: Value =
        serde_json::from_str(line).map_err(|error| format!("{error}: {}", ran.said))?;
    let found = report["findings"].as_array().cloned().unwrap_or_default();
    let rules = found.iter().filter_map(|one| one["rule"].as_str().map(str::to_owned));
    Ok((report["outcome"]["code"].as_i64().unwrap_or(-1), rules.collect()))
}

#[test]
fn what_is_said_to_be_exposed_is_planned_away_without_an_overlap_and_then_it_is_over() {
    applied(|world| {
        let old = world.bao.document("apps/invoice-sync")?;
        let said = ["signal", "exposure", ID, "--source", "ann", "--id", "t-1", "--format", "json"];
        let kept = json(world, &said, 0)?;
        holds(kept["known"] == false, "it is new", &kept.to_string())?;
        let slot = format!("{ID}/credential/default");
        holds(kept["signals"][0]["subject"] == slot.as_str(), "of the slot", &kept.to_string())?;
        holds(json(world, &said, 0)?["known"] == true, "once more it is known", "")?;
        let (code, rules) = told(world)?;
        holds(code == 4 && rules == ["exposed"], "it is told", &format!("{code} {rules:?}"))?;
        let plan = world.terraform(&["plan", "-detailed-exitcode"])?.expect(2)?;
        holds(plan.contains("exposed"), "the plan says why", &plan)?;
        holds(plan.contains("Rotates without overlap"), "and what follows", &plan)?;
        holds(world.bao.signs_in(&old)?, "a plan changes nothing", "")?;
        world.apply()?;
        holds(!world.bao.signs_in(&old)?, "the exposed one is refused", "")?;
        one_credential_works(world, 0)?;
        nothing_is_left_to_do(world)?;
        let open = json(world, &["signal", "list", "--format", "json"], 0)?;
        holds(open["signals"] == serde_json::json!([]), "it is over", &open.to_string())?;
        let all = json(world, &["signal", "list", "--all", "--format", "json"], 0)?;
        holds(all["signals"][0]["state"] == "met", "and was kept", &all.to_string())?;
        // The same report comes once more, and nothing rotates for it.
        holds(json(world, &said, 0)?["known"] == true, "it is known", "")?;
        nothing_is_left_to_do(world)
    });
}

#[test]
fn what_works_between_applies_rotates_what_is_exposed_and_the_next_plan_is_empty() {
    applied(|world| {
        let old = world.bao.document("apps/invoice-sync")?;
        world.nhi(&["signal", "exposure", "bao", "--source", "vendor-bulletin-7"])?.expect(0)?;
        world.nhi(&["reconcile", "--yes"])?.expect(0)?;
        holds(!world.bao.signs_in(&old)?, "the exposed one is refused", "")?;
        one_credential_works(world, 0)?;
        nothing_is_left_to_do(world)
    });
}

#[test]
fn an_anomaly_and_an_incident_are_told_until_somebody_closes_them() {
    applied(|world| {
        let (code, rules) = told(world)?;
        holds(code == 0 && rules.is_empty(), "nothing is told", &format!("{code} {rules:?}"))?;
        for (word, rule) in [("anomaly", "anomaly"), ("incident", "incident")] {
            let said = ["signal", word, ID, "--source", "siem", "--id", word, "--note", "at night"];
            world.nhi(&said)?.expect(0)?;
            let (code, rules) = told(world)?;
            holds(code == 4 && rules == [rule], "it is told", &format!("{code} {rules:?}"))?;
            // It is no reason to change anything.
            world.plan_is_empty()?;
            world.nhi(&["signal", "close", word, "--reason", "it was the migration"])?.expect(0)?;
            let (code, rules) = told(world)?;
            holds(code == 0 && rules.is_empty(), "none is told", &format!("{code} {rules:?}"))?;
        }
        let unknown =
            world.nhi(&["signal", "anomaly", "bao/openbao_approle/x", "--source", "y"])?;
        holds(
            unknown.code == 1 && unknown.said.contains(ID),
            "it says what there is",
            &unknown.said,
        )
    });
}

/// Sends a report as another program would: signs it with a key, and gives the status of the answer.
const SENDER: &str = r#"
import hashlib, hmac, sys, time, urllib.error, urllib.request
address, key, body, ago = sys.argv[1], sys.argv[2], sys.argv[3], int(sys.argv[4])
seconds = str(int(time.time()) - ago)
tag = hmac.new(key.encode(), (seconds + "." + body).encode(), hashlib.sha256).hexdigest()
request = urllib.request.Request(address, body.encode(), {"nhi-signature": "t=%s,v1=%s" % (seconds, tag)})
codes = []
for _ in range(2):
    try:
        codes.append(urllib.request.urlopen(request).status)
    except urllib.error.HTTPError as error:
        codes.append(error.code)
print(*codes)
"#;

/// `nhi serve` under way; killed when it is dropped.
struct Serving(std::process::Child);

impl Drop for Serving {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// The statuses of one report that is sent twice.
fn sent(address: &str, key: &str, body: &Value, ago: u32) -> Result<String> {
    let mut python = std::process::Command::new(acceptance_tests::tools::need("python3")?);
    let (body, ago) = (body.to_string(), ago.to_string());
    let ran = python.args(["-c", SENDER, address, key, &body, &ago]).output();
    let ran = ran.map_err(|error| error.to_string())?;
    match ran.status.success() {
        true => Ok(String::from_utf8_lossy(&ran.stdout).trim().to_owned()),
        false => Err(String::from_utf8_lossy(&ran.stderr).into_owned()),
    }
}

#[test]
fn a_signed_report_is_taken_once_over_the_wire_and_what_it_exposes_is_rotated_by_who_serves() {
    const KEY: &str = "a-key-of-the-scanner-0123456789abcdef";
    applied(|world| {
        let old = world.bao.document("apps/invoice-sync")?;
        world.note([KEY.to_owned()])?;
        let hcl = world.read("nhi.hcl")?;
        let hook = "signals = { key = { env = \"NHI_SIGNALS_KEY\" }, listen = \"127.0.0.1:0\" }";
        world.write("nhi.hcl", &format!("{hcl}\n{hook}\n"))?;
        let log = world.folder.join("serve.log");
        let file = std::fs::File::create(&log).map_err(|error| error.to_string())?;
        let mut command = world.nhi_command();
        command.args(["serve", "--every", "2s", "--log", "json"]).env("NHI_SIGNALS_KEY", KEY);
        command.stdout(std::process::Stdio::null()).stderr(file);
        let _serving = Serving(command.spawn().map_err(|error| error.to_string())?);
        let within = |what: &str, found: &dyn Fn() -> Result<Option<String>>| {
            for _ in 0..300 {
                if let Some(found) = found()? {
                    return Ok(found);
                }
                std::thread::sleep(std::time::Duration::from_millis(100));
            }
            Err(format!("{what}: {}", world.read("serve.log")?))
        };
        let address = within("it listens", &|| {
            let lines = world.read("serve.log")?;
            let lines = lines.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
            Ok(lines.filter_map(|line| line["signals"].as_str().map(str::to_owned)).next())
        })?;
        let report = |id: &str, subject: &str| serde_json::json!({ "id": id, "kind": "exposure", "subject": subject, "source": "scanner" });
        let refused =
            sent(&address, "another-key-0123456789abcdef0123456789", &report("1", ID), 0)?;
        holds(refused == "401 401", "another key", &refused)?;
        let stale = sent(&address, KEY, &report("1", ID), 3600)?;
        holds(stale == "401 401", "signed an hour ago", &stale)?;
        let unknown = sent(&address, KEY, &report("1", "bao/openbao_approle/other"), 0)?;
        holds(unknown == "404 404", "nothing that is known", &unknown)?;
        let wrong = sent(&address, KEY, &serde_json::json!({ "id": "1" }), 0)?;
        holds(wrong.starts_with("400"), "no report", &wrong)?;
        holds(world.bao.signs_in(&old)?, "nothing has come of that", "")?;
        let taken = sent(&address, KEY, &report("1", ID), 0)?;
        holds(taken == "200 409", "once, and no replay", &taken)?;
        within("it rotates", &|| Ok((!world.bao.signs_in(&old)?).then(String::new)))?;
        drop(_serving);
        one_credential_works(world, 0)?;
        nothing_is_left_to_do(world)?;
        world.no_secret_leaked(&["serve.log"])
    });
}
