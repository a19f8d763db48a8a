//! What a long-running `nhi` tells, to whom and how often; and who is stopped because nobody answers for it.

use std::{
    collections::{BTreeMap, BTreeSet},
    io::{Read, Write},
    net::TcpListener,
    process::Command,
    sync::{Arc, Mutex, PoisonError},
    thread::sleep,
    time::{Duration, Instant},
};

use acceptance_tests::{Result, World, servers::Mail};
use jiff::{SignedDuration, Timestamp};
use opentelemetry_proto::tonic::{
    collector::trace::v1::ExportTraceServiceRequest, trace::v1::Span,
};
use prost::Message;
use serde_json::json;

use crate::{
    BASE, applied,
    between::{Serving, events, until},
    holds, in_world, nothing_is_left_to_do, places,
};

const ID: &str = "bao/openbao_approle/invoice-sync";

/// The usual configuration with a last day so many days from now.
fn ending_in(days: i64) -> (String, String) {
    let day = Timestamp::now() + SignedDuration::from_hours(24 * days);
    let day = day.strftime("%Y-%m-%d").to_string();
    let integration = "  openbao_approle = { token_ttl = \"1h\" }\n";
    assert!(BASE.contains(integration));
    let dated = format!("  expires_on = \"{day}\"\n{integration}");
    (BASE.replace(integration, &dated), day)
}

fn configure(world: &World, policy: &str, more: &str) -> Result<()> {
    let hcl = world.read("nhi.hcl")?;
    let hcl = hcl.replace("\npolicy = { file = \"policy.hcl\" }\n", "\n");
    world.write("nhi.hcl", &format!("{hcl}\npolicy = {{ file = \"policy.hcl\" }}\n{more}"))?;
    world.write("policy.hcl", policy)
}

#[test]
fn owners_are_written_to_before_an_end_once_over_restarts() {
    in_world(BASE, |world| {
        let (soon, day) = ending_in(20);
        world.write("main.tf", &soon)?;
        world.apply()?;
        let mail = Mail::start(&world.folder)?;
        let notify = format!(
            "notify = {{\n  mail = {{ server = \"{}\", from = \"nhi@acme.example\" }}\n}}\n",
            mail.address()
        );
        configure(world, "owners_told = { before = [\"30d\", \"7d\"] }\n", &notify)?;
        let letters = |count: usize| {
            until("letters", Duration::from_secs(90), || Ok(mail.letters()?.len() >= count))?;
            mail.letters()
        };
        let serving = Serving::begin(world, "serve-1.log")?;
        let all = letters(2)?;
        holds(serving.stop()? == Some(0), "it stops", "")?;
        let said = all.join("\n");
        for told in ["payments@acme.example", "finance", ID, &day.to_string()[..7], "decommission"]
        {
            holds(said.contains(told), told, &said)?;
        }
        holds(said.contains("Auto-Submitted: auto-generated"), "no person wrote it", &said)?;
        // Another run tells none of it again.
        let serving = Serving::begin(world, "serve-2.log")?;
        until("ticks", Duration::from_secs(60), || {
            Ok(events(world, "serve-2.log", "tick.ended")?.len() >= 3)
        })?;
        holds(serving.stop()? == Some(0), "it stops", "")?;
        let again = mail.letters()?;
        holds(again.len() == 2, "each owner once", &again.join("\n"))?;
        // Moved into the next mark, it is another end.
        let (sooner, _) = ending_in(4);
        world.write("main.tf", &sooner)?;
        world.apply()?;
        let serving = Serving::begin(world, "serve-3.log")?;
        let all = letters(4)?;
        holds(serving.stop()? == Some(0), "it stops", "")?;
        holds(all.len() == 4, "and once each", &all.join("\n"))?;
        let said = world.nhi(&["ledger", "show", "--kind", "owner.told"])?.expect(0)?;
        holds(said.contains("owner.told") && !said.contains('@'), "no address is in it", &said)?;
        world.no_secret_leaked(&["serve-1.log", "serve-2.log", "serve-3.log"])?;
        world.nhi(&["ledger", "verify"])?.expect(0).map(drop)
    });
}

/// Takes what is posted to it, and says that it did.
fn collector(heard: Arc<Mutex<Vec<Vec<u8>>>>) -> Result<u16> {
    let listener = TcpListener::bind("127.0.0.1:0").map_err(|error| error.to_string())?;
    let port = listener.local_addr().map_err(|error| error.to_string())?.port();
    std::thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            let (mut all, mut part) = (Vec::new(), [0u8; 65_536]);
            let body = loop {
                let Ok(count) = stream.read(&mut part) else { break None };
                all.extend_from_slice(&part[..count]);
                let head = all.windows(4).position(|four| four == b"\r\n\r\n");
                if let Some(head) = head {
                    let text = String::from_utf8_lossy(&all[..head]).to_lowercase();
                    let length = text.lines().find_map(|line| {
                        line.strip_prefix("content-length: ")?.trim().parse::<usize>().ok()
                    });
                    let right = text.starts_with("post /v1/traces ")
                        && text.contains("content-type: application/x-protobuf")
                        && text.contains("api-key: collector-key-4711");
                    if all.len() - head - 4 >= length.unwrap_or(0) {
                        break right.then(|| all[head + 4..].to_vec());
                    }
                }
                if count == 0 {
                    break None;
                }
            };
            let mut heard = heard.lock().unwrap_or_else(PoisonError::into_inner);
            heard.extend(body);
            let answer = b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\nconnection: close\r\n\r\n";
            let _ = stream.write_all(answer);
        }
    });
    Ok(port)
}

fn spans(heard: &Mutex<Vec<Vec<u8>>>) -> Result<Vec<Span>> {
    let heard = heard.lock().unwrap_or_else(PoisonError::into_inner);
    let mut all = Vec::new();
    for body in heard.iter() {
        let request = ExportTraceServiceRequest::decode(&body[..]).map_err(|e| e.to_string())?;
        let scopes = request.resource_spans.into_iter().flat_map(|one| one.scope_spans);
        all.extend(scopes.flat_map(|one| one.spans));
    }
    Ok(all)
}

#[test]
fn what_is_traced_reaches_a_collector_and_no_secret_does() {
    in_world(BASE, |world| {
        world.apply()?;
        let heard = Arc::new(Mutex::new(Vec::new()));
        let endpoint = format!("http://127.0.0.1:{}", collector(heard.clone())?);
        let told = [
            ("OTEL_EXPORTER_OTLP_ENDPOINT", endpoint.as_str()),
            ("OTEL_EXPORTER_OTLP_HEADERS", "api-key=collector-key-4711"),
        ];
        let serving = Serving::begin_with(world, "serve-1.log", &told)?;
        until("ticks", Duration::from_secs(60), || {
            Ok(!events(world, "serve-1.log", "tick.ended")?.is_empty())
        })?;
        holds(serving.stop()? == Some(0), "it stops", "")?;
        let seen = spans(&heard)?;
        let by: BTreeMap<Vec<u8>, &Span> =
            seen.iter().map(|one| (one.span_id.clone(), one)).collect();
        let names: BTreeSet<&str> = seen.iter().map(|one| one.name.as_str()).collect();
        for name in ["reconciler.tick", "integration.look", "platform.request"] {
            holds(names.contains(name), name, &format!("{names:?}"))?;
        }
        // Each request hangs on what it was sent for, and that on the tick.
        let above = |one: &Span| {
            let mut one = by.get(&one.parent_span_id).copied();
            let mut names = Vec::new();
            while let Some(span) = one {
                names.push(span.name.clone());
                one = by.get(&span.parent_span_id).copied();
            }
            names
        };
        let within = seen.iter().filter(|one| {
            one.name == "platform.request"
                && above(one).contains(&"integration.look".to_owned())
                && above(one).last().is_some_and(|name| name == "reconciler.tick")
        });
        holds(within.count() > 2, "requests hang on looks, and looks on ticks", "")?;
        let look = seen.iter().find(|one| one.name == "integration.look");
        let subject = look.is_some_and(|one| {
            one.attributes
                .iter()
                .any(|one| one.key == "nhi.subject" && format!("{:?}", one.value).contains(ID))
        });
        holds(subject, "it says what was looked at", &format!("{look:?}"))?;
        // A rotation too, of a command.
        let mut command = world.nhi_command();
        world.nhi(&["rotate", ID, "--yes"])?.expect(0)?;
        sleep(Duration::from_secs(1));
        let done = command.args(["reconcile", "--yes"]).envs(told).output();
        done.map_err(|error| error.to_string())?;
        let seen = spans(&heard)?;
        let ticks = seen.iter().filter(|one| one.name == "reconciler.tick").count();
        holds(ticks >= 2, "a command is traced as well", &ticks.to_string())?;
        // No secret of this world is anywhere in what was sent, nor its address or a path.
        let sent = heard.lock().unwrap_or_else(PoisonError::into_inner).concat();
        world.write("sent", &String::from_utf8_lossy(&sent))?;
        world.no_secret_leaked(&["sent", "serve-1.log"])?;
        let text = String::from_utf8_lossy(&sent).into_owned();
        for word in ["http.user", "url.full", "v1/auth/approle/role/invoice-sync", "collector-key"]
        {
            holds(!text.contains(word), word, "")?;
        }
        Ok(())
    });
}

#[test]
fn it_answers_over_tls_to_who_has_the_token_alone_and_has_the_last_report() {
    in_world(BASE, |world| {
        world.apply()?;
        // Elsewhere than on this machine it does not listen without asking who comes.
        let said = world.nhi(&["serve", "--listen", "0.0.0.0:0", "--every", "2s"])?.expect(1)?;
        holds(said.contains("E-LISTEN") && said.contains("TLS"), "it says why", &said)?;
        let made = Command::new("openssl")
            .args(["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"])
            .args(["-nodes", "-keyout", "serve.key", "-out", "serve.pem", "-days", "2"])
            .args([
                "-subj",
                "/CN=localhost",
                "-addext",
                "subjectAltName=DNS:localhost,IP:127.0.0.1",
            ])
            .current_dir(&world.folder)
            .output();
        holds(made.is_ok_and(|one| one.status.success()), "openssl makes a certificate", "")?;
        world.write("serve.token", "a token of twenty chars\n")?;
        let mode = ["600", "serve.token", "serve.key"];
        Command::new("chmod")
            .args(mode)
            .current_dir(&world.folder)
            .status()
            .map_err(|e| e.to_string())?;
        configure(
            world,
            "",
            "serve = {\n  tls   = { certificate = \"serve.pem\", key = \"serve.key\" }\n  token = { file = \"serve.token\" }\n}\n",
        )?;
        let serving = Serving::begin(world, "serve-1.log")?;
        until("it listens, and has compared", Duration::from_secs(60), || {
            Ok(!events(world, "serve-1.log", "compared")?.is_empty()
                && !events(world, "serve-1.log", "tick.ended")?.is_empty())
        })?;
        let address = &events(world, "serve-1.log", "serve.listening")?[0]["address"];
        let address = address.as_str().unwrap_or_default().to_owned();
        holds(address.starts_with("https://127.0.0.1:"), "over TLS", &address)?;
        let ask = |words: &[&str]| {
            let mut command = Command::new("curl");
            command.args(["-s", "-w", "\n%{http_code}", &format!("{address}/metrics")]);
            let said = command.args(words).current_dir(&world.folder).output();
            let said = said.map_err(|error| error.to_string())?;
            Ok::<_, String>(String::from_utf8_lossy(&said.stdout).into_owned())
        };
        let (known, token) =
            (["--cacert", "serve.pem"], "Authorization: Bearer a token of twenty chars");
        let said = ask(&[&known[..], &["-H", token]].concat())?;
        holds(said.ends_with("\n200"), "who has the token", &said)?;
        for line in ["nhi_ticks_total ", "nhi_drift_coverage_ratio 1", "nhi_drift_read ", "# EOF"] {
            holds(said.contains(line), line, &said)?;
        }
        let said = ask(&known)?;
        holds(said.ends_with("\n401") && !said.contains("nhi_"), "nobody else", &said)?;
        let said = ask(&["-H", token])?;
        holds(said.ends_with("\n000"), "whoever does not know the certificate goes", &said)?;
        holds(serving.stop()? == Some(0), "it stops", "")
    });
}

/// A role that somebody made by hand, with a secret that works.
fn stray(world: &World) -> Result<()> {
    world.bao.post("/v1/auth/approle/role/stray", json!({ "token_policies": "default" }))?;
    world.bao.add_secret_id("stray").map(drop)
}

#[test]
fn what_nobody_answers_for_is_told_with_the_command_that_works_and_ended_where_policy_approves() {
    applied(|world| {
        stray(world)?;
        let id = "bao/openbao_approle/stray";
        configure(world, "unowned_grace = \"2s\"\nowner_left = \"revoke\"\n", "")?;
        let said = world.nhi(&["reconcile", "--yes"])?.expect(0)?;
        holds(!said.contains(id), "it has its grace", &said)?;
        sleep(Duration::from_secs(3));
        let told = world.nhi(&["reconcile", "--yes"])?.expect(5)?;
        holds(told.contains(id) && told.contains("nobody answers for it"), "it is told", &told)?;
        holds(told.contains(&format!("nhi disable {id}")), "with its command", &told)?;
        holds(world.bao.accessors("stray")?.len() == 1, "and not done", &told)?;
        let said = world.nhi(&["reconcile", "--yes"])?.expect(5)?;
        holds(said.contains(&format!("nhi disable {id}")), "each time", &said)?;
        // The commands do what they say: first it is off, then all of it ends.
        world.nhi(&["disable", id, "--yes"])?.expect(0)?;
        let said = world.nhi(&["reconcile", "--yes"])?.expect(5)?;
        holds(said.contains(&format!("nhi revoke {id}")), "then that", &said)?;
        let said = world.nhi(&["revoke", id, "--yes"])?.expect(0)?;
        holds(world.bao.accessors("stray")?.is_empty(), "its credential is ended", &said)?;
        // Where policy approves, nobody need run it.
        world.bao.add_secret_id("stray")?;
        let approved = "unowned_grace = \"2s\"\nowner_left = \"revoke\"\nstanding = { disable_ownerless = true }\n";
        world.write("policy.hcl", approved)?;
        let said = world.nhi(&["reconcile", "--yes"])?.expect(0)?;
        holds(world.bao.accessors("stray")?.is_empty(), "it is ended", &said)?;
        // What is declared, and has owners, is as it was.
        let document = world.bao.document("apps/invoice-sync")?;
        holds(places::lets_in(&world.bao, &document)?, "what is declared works on", "")?;
        let said = world.nhi(&["reconcile", "--yes"])?.expect(0)?;
        holds(said.contains("Nothing is to be done now"), "and that is all", &said)?;
        nothing_is_left_to_do(world)
    });
}

#[test]
fn a_temporary_scope_that_is_over_is_taken_away_between_applies() {
    applied(|world| {
        let until = Timestamp::now() + SignedDuration::from_secs(20);
        let until_text = until.strftime("%Y-%m-%dT%H:%M:%SZ");
        let why = "  justification = \"Reads tonight's invoices and nothing else\"\n";
        assert!(BASE.contains(why));
        // A path the server itself ends; what another policy gives has no place for an end there.
        let rules = "path \"secret/data/ledger/*\" { capabilities = [\"read\"] }";
        world.bao.post("/v1/sys/policies/acl/ledger", json!({ "policy": rules }))?;
        let dated = format!(
            "{why}  temporary = {{\n    \"policy/ledger\" = {{\n      until         = \"{until_text}\"\n      justification = \"Re-run of last year's closing\"\n    }}\n  }}\n"
        );
        world.write("main.tf", &BASE.replace(why, &dated))?;
        world.apply()?;
        world.bao.post("/v1/secret/data/ledger/x", json!({ "data": { "of": "2025" } }))?;
        let reads = || {
            let document = world.bao.document("apps/invoice-sync")?;
            world.bao.status_for(&document, "GET", "/v1/secret/data/ledger/x")
        };
        holds(reads()? == 200, "it may read until then", "")?;
        let left = until.duration_since(Timestamp::now()).as_secs();
        sleep(Duration::from_secs(u64::try_from(left).unwrap_or(0) + 2));
        let said = world.nhi(&["reconcile", "--yes"])?.expect(0)?;
        holds(said.contains("take away what is over"), "it is told", &said)?;
        holds(reads()? == 403, "and gone at the server", &said)?;
        let said = world.nhi(&["reconcile", "--yes"])?.expect(0)?;
        holds(said.contains("Nothing is to be done now"), "once", &said)
    });
}

/// The usual configuration with so many integrations of one owner.
fn many(count: usize) -> String {
    let head = BASE.split("resource \"nhi_integration\"").next().unwrap_or_default();
    format!(
        r#"{head}
resource "nhi_integration" "many" {{
  count           = {count}
  connection_name = "bao"
  name            = "app-${{count.index}}"
  purpose         = "Copies what part ${{count.index}} of the shop sold to the ledger"
  environment     = "production"
  business_owner  = nhi_owner.finance
  technical_owner = nhi_owner.payments
  openbao_approle = {{ token_ttl = "1h" }}
}}
"#
    )
}

/// How many of them are switched off at the server.
fn off(world: &World, count: usize) -> Result<usize> {
    let mut off = 0;
    for at in 0..count {
        let one = world.bao.get(&format!("/v1/identity/entity/name/nhi/app-{at}"))?;
        off += usize::from(one["data"]["disabled"] == true);
    }
    Ok(off)
}

#[test]
fn a_quarantine_of_many_that_is_killed_is_gone_on_with_and_takes_seconds() {
    // All of it, with its figure: NHI_TEST_WIDE=1 cargo test … -- a_quarantine_of_many --nocapture
    let count = if std::env::var_os("NHI_TEST_WIDE").is_some() { 500 } else { 30 };
    in_world(&many(count), |world| {
        world.terraform(&["apply", "-auto-approve", "-parallelism=30"])?.expect(0)?;
        let words = [
            "quarantine",
            "--owner",
            "payments-platform",
            "--reason",
            "INC-9",
            "--yes",
            "--format",
            "json",
        ];
        let mut first = world.nhi_command();
        first.args(words).stdout(std::process::Stdio::null());
        let mut first = first.spawn().map_err(|error| error.to_string())?;
        let end = Instant::now() + Duration::from_secs(60);
        while off(world, count)? < count / 10 && Instant::now() < end {
            sleep(Duration::from_millis(20));
        }
        first.kill().map_err(|error| error.to_string())?;
        first.wait().map_err(|error| error.to_string())?;
        let so_far = off(world, count)?;
        let begun = Instant::now();
        let said = world.nhi(&words)?.expect(0)?;
        let took = begun.elapsed();
        println!("{so_far} of {count} were off when it was killed; the rest took {took:?}");
        holds(off(world, count)? == count, "all of them are off", &said)?;
        holds(took < Duration::from_secs(60), "in seconds", &format!("{took:?}"))?;
        // All of them anew, for the figure.
        world.nhi(&["lift", "--owner", "payments-platform", "--yes"])?.expect(0)?;
        holds(off(world, count)? == 0, "lifted", "")?;
        let begun = Instant::now();
        world.nhi(&words)?.expect(0)?;
        println!("a quarantine of {count}: {:?}", begun.elapsed());
        holds(off(world, count)? == count, "off again", "")?;
        world.nhi(&["ledger", "verify"])?.expect(0).map(drop)
    });
}
