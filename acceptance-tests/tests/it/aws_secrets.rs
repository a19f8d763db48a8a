//! A secret that is delivered into AWS Secrets Manager: staged, rotated, written over, taken out again.
//! What is asserted is what AWS's own client reads.

use std::{thread, time::Duration};

use acceptance_tests::Result;
use connector::fault_proxy::{Effect, Hold, Rule};
use serde_json::{Value, json};

use crate::{
    SILENCE, applied_in_the_end,
    aws::{Account, in_account_of, through_a_proxy_of, triggered_in},
    flat, holds,
    kill::killed_at,
    nothing_is_left_to_do,
};

/// The example, as people would copy it.
const MAIN: &str = include_str!("../../../examples/scenarios/aws_secrets_manager/main.tf");
const HCL: &str = include_str!("../../../examples/scenarios/aws_secrets_manager/nhi.hcl");

fn triggered(value: &str) -> String {
    triggered_in(MAIN, value)
}

impl Account {
    /// What AWS's own client reads at a stage; its secret is known from then on.
    fn staged(&self, stage: &str) -> Result<Value> {
        let with = json!({ "SecretId": "apps/invoice-sync", "VersionStage": stage });
        let answer = self.moto.secrets("get_secret_value", with)?;
        let text = answer["SecretString"].as_str().unwrap_or_default();
        let document: Value = serde_json::from_str(text).map_err(|error| error.to_string())?;
        self.world.note(document["AWS_SECRET_ACCESS_KEY"].as_str().map(str::to_owned))?;
        Ok(document)
    }

    fn current(&self) -> Result<Value> {
        self.staged("AWSCURRENT")
    }
}

fn key_id(document: &Value) -> String {
    document["AWS_ACCESS_KEY_ID"].as_str().unwrap_or_default().to_owned()
}

#[test]
fn a_key_in_secrets_manager_is_current_there_and_the_one_before_is_previous() {
    in_account_of((HCL, &triggered("1")), |account| {
        let world = &account.world;
        world.apply()?;
        world.plan_is_empty()?;
        let first = account.current()?;
        holds(account.s3(&first)?.is_ok(), "the application works with it", "")?;
        account.change("now = \"1\"", "now = \"2\"")?;
        world.apply()?;
        let second = account.current()?;
        holds(key_id(&second) != key_id(&first), "the new key is current", "")?;
        let before = account.staged("AWSPREVIOUS")?;
        holds(before == first, "the old one is what it was before", &key_id(&before))?;
        holds(account.s3(&first)?.is_ok() && account.s3(&second)?.is_ok(), "both work", "")?;
        thread::sleep(Duration::from_secs(5));
        world.apply()?;
        holds(!account.signs_in(&first)?, "the old one is refused", "")?;
        holds(account.s3(&account.current()?)?.is_ok(), "the new one works", "")?;
        holds(account.keys()? == [key_id(&second)], "and is alone", "")?;
        nothing_is_left_to_do(world)?;
        // What AWS keeps is told as it is: ended, and readable still.
        holds(account.staged("AWSPREVIOUS")? == first, "AWS keeps the version", "")?;
        let told = world.nhi(&["ledger", "show", "--kind", "rotation.proven"])?.expect(0)?;
        holds(told.contains("grade=A"), "the ledger has the proof", &told)?;
        let told = world.nhi(&["ledger", "show"])?.expect(0)?;
        holds(!told.contains("previous_destroyed"), "and claims no destruction", &told)?;
        let told = world.nhi(&["doctor", "aws"])?.expect(0)?;
        holds(told.contains("destroys no version"), "the doctor says so too", &told)?;
        world.terraform(&["destroy", "-auto-approve"])?.expect(0)?;
        holds(!account.signs_in(&second)?, "nothing of it opens anything any more", "")
    });
}

#[test]
fn what_somebody_writes_over_a_secret_is_drift_and_is_put_right_without_a_new_key() {
    in_account_of((HCL, &triggered("1")), |account| {
        let world = &account.world;
        world.apply()?;
        let first = account.current()?;
        let with =
            json!({ "SecretId": "apps/invoice-sync", "SecretString": "{\"x\":\"by hand\"}" });
        account.moto.secrets("put_secret_value", with)?;
        let said = world.plan()?.expect(2)?;
        holds(flat(&said).contains("stale_copy"), "plan shows it", &said)?;
        world.nhi(&["drift"])?.expect(2)?;
        world.apply()?;
        let again = account.current()?;
        holds(key_id(&again) == key_id(&first), "the same key is there again", "")?;
        holds(account.s3(&again)?.is_ok(), "and works", "")?;
        world.plan_is_empty()
    });
}

#[test]
fn a_secret_that_is_delivered_elsewhere_is_told_to_stay_readable_where_it_was() {
    in_account_of((HCL, &triggered("1")), |account| {
        let world = &account.world;
        world.apply()?;
        let first = account.current()?;
        let (from, to) = ("connection = \"aws\"\n", "connection = \"bao\"\n");
        account.change(from, to)?;
        account.change("path       = \"apps/", "path       = \"secret/apps/")?;
        let said = world.plan()?.expect(2)?;
        let told = flat(&said.replace('│', " "));
        holds(told.contains("stays readable where it was"), "plan says it", &said)?;
        let said = world.terraform(&["apply", "-auto-approve"])?.expect(0)?;
        let told = flat(&said.replace('│', " "));
        holds(told.contains("can still be read where it was"), "and apply", &said)?;
        let left = account.current()?;
        holds(left["AWS_SECRET_ACCESS_KEY"].is_null(), "what is current has no secret", "")?;
        holds(account.staged("AWSPREVIOUS")? == first, "and both were right", "")?;
        world.plan_is_empty()
    });
}

#[test]
fn custody_in_secrets_manager_is_refused_with_what_can_be_instead() {
    let hcl = HCL.replace(
        "connection = \"bao\", path = \"secret/nhi\"",
        "connection = \"aws\", path = \"nhi\"",
    );
    in_account_of((HCL, &triggered("1")), |account| {
        let world = &account.world;
        world.apply()?;
        account.current()?;
        let before = world.read("nhi.hcl")?;
        let custody = |text: &str| {
            text.lines().find(|line| line.starts_with("custody")).unwrap_or_default().to_owned()
        };
        world.write("nhi.hcl", &before.replace(&custody(&before), &custody(&hcl)))?;
        let said = world.plan()?.expect(1)?;
        let told = flat(&said.replace('│', " "));
        holds(told.contains("cannot destroy one version"), "why", &said)?;
        holds(told.contains("one of: openbao, file"), "and what instead", &said)?;
        world.write("nhi.hcl", &before)
    });
}

/// The new key is current, works and is alone with the one before at most; nothing is left to do.
fn all_is_well(account: &Account, before: &Value) -> Result<()> {
    let now = account.current()?;
    holds(key_id(&now) != key_id(before), "it is another one", "")?;
    holds(account.s3(&now)?.is_ok(), "and works", "")?;
    thread::sleep(Duration::from_secs(5));
    applied_in_the_end(&account.world)?;
    holds(!account.signs_in(before)?, "the one before is refused", "")?;
    holds(account.keys()? == [key_id(&now)], "no key too many", "")?;
    nothing_is_left_to_do(&account.world)
}

/// The calls of a rotation to Secrets Manager that change something.
const DELIVERING: [&str; 3] = ["PutSecretValue", "UpdateSecretVersionStage", "TagResource"];

#[test]
fn an_answer_of_secrets_manager_lost_in_a_rotation_leaves_what_the_next_apply_finishes() {
    for action in DELIVERING {
        through_a_proxy_of((HCL, &triggered("1")), |account, between| {
            account.world.apply()?;
            let before = account.current()?;
            account.world.write("main.tf", &triggered("2"))?;
            let path = format!("?Action={action}");
            between.proxy.add(Rule::once("POST", &path, Effect::LoseAnswer));
            let first = account.world.terraform(&["apply", "-auto-approve"])?;
            let lost = between.proxy.seen();
            let lost = lost.iter().any(|one| one.path.contains(&path) && one.status.is_none());
            holds(lost, "an answer was lost", action)?;
            let works = account.current()?;
            holds(account.s3(&works)?.is_ok(), "what is current works all the time", action)?;
            if first.code != 0 {
                // The claim of that run holds until it has been silent for long enough.
                thread::sleep(SILENCE);
                applied_in_the_end(&account.world)?;
            }
            all_is_well(account, &before).map_err(|error| format!("{action}: {error}"))
        });
    }
}

/// Where a call is held.
type Held = fn(Hold) -> Effect;

#[test]
fn a_provider_killed_at_a_call_to_secrets_manager_leaves_what_the_next_apply_finishes() {
    let held: [(&str, Held); 3] = [
        ("PutSecretValue", Effect::HoldAnswer),
        ("UpdateSecretVersionStage", Effect::HoldRequest),
        ("UpdateSecretVersionStage", Effect::HoldAnswer),
    ];
    for (action, held) in held {
        through_a_proxy_of((HCL, &triggered("1")), |account, between| {
            account.world.apply()?;
            let before = account.current()?;
            account.world.write("main.tf", &triggered("2"))?;
            let path = format!("?Action={action}");
            killed_at(&account.world, between, |hold| Rule::once("POST", &path, held(hold)))?;
            // What was held arrives after its sender's death.
            thread::sleep(Duration::from_secs(1));
            let works = account.current()?;
            holds(account.s3(&works)?.is_ok(), "what is current works all the time", action)?;
            // The claim of the run that died holds until it has been silent for long enough.
            thread::sleep(SILENCE);
            applied_in_the_end(&account.world)?;
            all_is_well(account, &before).map_err(|error| format!("{action}: {error}"))
        });
    }
}
