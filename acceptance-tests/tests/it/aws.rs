//! A user of an AWS account: made, opened, narrowed, rotated, switched off, ended. What is asserted is
//! what AWS's own client sees.

use std::{thread, time::Duration};

use acceptance_tests::{
    Core, Result, World,
    servers::Moto,
    world::{LEDGER, STATE, aws_hcl},
};
use connector::fault_proxy::{Effect, FaultProxy, Hold, Rule};
use serde_json::{Value, json};

use crate::{
    Between, SILENCE, applied_in_the_end, flat, holds, kill::killed_at, nothing_is_left_to_do,
    says_what_to_do,
};

/// The example, as people would copy it.
pub(crate) const MAIN: &str = include_str!("../../../examples/scenarios/aws/main.tf");
pub(crate) const HCL: &str = include_str!("../../../examples/scenarios/aws/nhi.hcl");

/// The example with something that makes it rotate when it is wanted, and an overlap that is over soon.
fn triggered(value: &str) -> String {
    triggered_in(MAIN, value)
}

pub(crate) fn triggered_in(main: &str, value: &str) -> String {
    let main = main.replace(
        "overlap = \"24h\" }",
        &format!("overlap = \"4s\" }}\n  triggers = {{ now = \"{value}\" }}"),
    );
    assert!(main.contains("triggers"));
    main
}

/// From now on an earlier credential ends without being switched off first.
pub(crate) fn no_soft_cut(world: &World) -> Result<()> {
    world.write("policy.hcl", "soft_cut_for = \"0s\"\n")?;
    let hcl = world.read("nhi.hcl")?;
    world.write("nhi.hcl", &format!("policy = {{ file = \"policy.hcl\" }}\n{hcl}"))
}

/// A world with an AWS account.
pub(crate) struct Account {
    pub(crate) world: World,
    pub(crate) moto: Moto,
}

fn in_account(main: &str, story: impl Fn(&Account) -> Result<()>) {
    in_account_of((HCL, main), story);
}

pub(crate) fn in_account_of((hcl, main): (&str, &str), story: impl Fn(&Account) -> Result<()>) {
    for core in Core::all().unwrap() {
        let path = core.path.display().to_string();
        let moto = Moto::start().unwrap();
        let world = World::new(core, main).unwrap();
        let world =
            world.with("AWS_ACCESS_KEY_ID", &moto.id).with("AWS_SECRET_ACCESS_KEY", &moto.secret);
        let hcl = aws_hcl(hcl, &moto.address(), &world.bao.address());
        world.write("nhi.hcl", &hcl).unwrap();
        // But for the story that is about it, what is over ends without being switched off first.
        no_soft_cut(&world).unwrap();
        let account = Account { world, moto };
        if let Err(error) = story(&account).and_then(|()| account.tells_nothing()) {
            panic!("{path}: {error}");
        }
    }
}

impl Account {
    /// What the application reads.
    fn document(&self) -> Result<Value> {
        self.world.bao.document("apps/invoice-sync")
    }

    fn ask(
        &self,
        document: &Value,
        service: &str,
        operation: &str,
    ) -> Result<std::result::Result<Value, String>> {
        let word = |name: &str| document[name].as_str().unwrap_or_default().to_owned();
        let (id, secret) = (word("AWS_ACCESS_KEY_ID"), word("AWS_SECRET_ACCESS_KEY"));
        self.moto.ask_as((&id, &secret), service, operation, json!({}))
    }

    /// Whether AWS knows the application.
    pub(crate) fn signs_in(&self, document: &Value) -> Result<bool> {
        Ok(self.ask(document, "sts", "get_caller_identity")?.is_ok())
    }

    /// What the application gets, or the code with which it is refused.
    pub(crate) fn s3(&self, document: &Value) -> Result<std::result::Result<Value, String>> {
        self.ask(document, "s3", "list_buckets")
    }

    pub(crate) fn keys(&self) -> Result<Vec<String>> {
        let user = json!({ "UserName": "invoice-sync" });
        let keys = self.moto.iam("list_access_keys", user)?["AccessKeyMetadata"].clone();
        let keys = keys.as_array().cloned().unwrap_or_default();
        Ok(keys.iter().filter_map(|key| key["AccessKeyId"].as_str().map(str::to_owned)).collect())
    }

    pub(crate) fn change(&self, from: &str, to: &str) -> Result<()> {
        let main = self.world.read("main.tf")?;
        holds(main.contains(from), "there is something to change", from)?;
        self.world.write("main.tf", &main.replace(from, to))
    }

    fn tells_nothing(&self) -> Result<()> {
        self.world.note([self.moto.secret.clone()])?;
        self.world.no_secret_leaked(&[STATE, LEDGER])
    }
}

#[test]
fn a_user_of_aws_is_made_narrowed_and_ended_and_nothing_is_left() {
    in_account(&triggered("1"), |account| {
        let world = &account.world;
        let said = world.plan()?.expect(2)?;
        holds(said.contains("add-unmarked"), "plan says how it would be issued", &said)?;
        world.apply()?;
        world.plan_is_empty()?;
        let document = account.document()?;
        holds(account.signs_in(&document)?, "AWS knows the application", "")?;
        holds(account.s3(&document)?.is_ok(), "and it may list buckets", "")?;
        let user =
            account.moto.iam("get_user", json!({ "UserName": "invoice-sync" }))?["User"].clone();
        holds(user["Path"] == "/services/", "it stands where it was told to", &user.to_string())?;
        let marked = user["Tags"].as_array().into_iter().flatten().any(|tag| {
            tag["Key"] == document["AWS_ACCESS_KEY_ID"]
                && tag["Value"].as_str().is_some_and(|mark| mark.starts_with("nhi1-"))
        });
        holds(marked, "its key carries our mark in a tag", &user.to_string())?;
        world.nhi(&["drift"])?.expect(0)?;

        // Somebody widens it in the console, in each of the ways that there are, and makes a key.
        let it = |more: Value| {
            let mut with = json!({ "UserName": "invoice-sync" });
            for (name, value) in more.as_object().into_iter().flatten() {
                with[name] = value.clone();
            }
            with
        };
        let full = "arn:aws:iam::aws:policy/IAMFullAccess";
        account.moto.iam("attach_user_policy", it(json!({ "PolicyArn": full })))?;
        let policy = json!({ "Version": "2012-10-17", "Statement": {
            "Effect": "Allow", "Action": "sqs:*", "Resource": "*" } });
        let policy = json!({ "PolicyName": "temporary", "PolicyDocument": policy.to_string() });
        account.moto.iam("put_user_policy", it(policy))?;
        let theirs = account.moto.iam("create_access_key", it(json!({})))?["AccessKey"].clone();
        world.note([theirs["SecretAccessKey"].as_str().unwrap_or_default().to_owned()])?;
        let theirs = theirs["AccessKeyId"].as_str().unwrap_or_default().to_owned();
        let said = world.plan()?.expect(2)?;
        for named in [format!("- \"policy/{full}\""), "- \"sqs:*@*\"".into(), theirs.clone()] {
            holds(said.contains(&named), "plan names it", &said)?;
        }
        holds(said.contains("This change takes power away"), "and the direction", &said)?;
        let told = world.nhi(&["drift"])?.expect(4)?;
        holds(told.contains("IAMFullAccess") && told.contains(&theirs), "so does drift", &told)?;
        world.apply()?;
        let attached = account.moto.iam("list_attached_user_policies", it(json!({})))?;
        holds(attached["AttachedPolicies"] == json!([]), "it is gone", &attached.to_string())?;
        let inline = account.moto.iam("list_user_policies", it(json!({})))?;
        holds(inline["PolicyNames"] == json!(["nhi"]), "and that too", &inline.to_string())?;
        holds(account.s3(&document)?.is_ok(), "what is declared stays", "")?;

        // Where a person's key stands in the second place there is no room for a rotation.
        if account.keys()?.contains(&theirs) {
            account.change("now = \"1\"", "now = \"2\"")?;
            let said = world.terraform(&["apply", "-auto-approve"])?.expect(1)?;
            holds(account.keys()?.len() == 2, "nothing was ended", &said)?;
            holds(account.s3(&document)?.is_ok(), "and the application goes on", &said)?;
            let key = json!({ "AccessKeyId": theirs });
            account.moto.iam("delete_access_key", it(key))?;
            world.apply()?;
            thread::sleep(Duration::from_secs(5));
            world.apply()?;
        }
        world.plan_is_empty()?;
        world.terraform(&["destroy", "-auto-approve"])?.expect(0)?;
        let users = account.moto.iam("list_users", json!({}))?;
        let left: Vec<&Value> =
            users["Users"].as_array().into_iter().flatten().map(|user| &user["UserName"]).collect();
        holds(left == ["administrator"], "nobody is left", &users.to_string())
    });
}

#[test]
fn an_access_key_rotates_with_overlap_and_the_old_one_is_proven_refused() {
    in_account(&triggered("1"), |account| {
        let world = &account.world;
        world.apply()?;
        let first = account.document()?;
        account.change("now = \"1\"", "now = \"2\"")?;
        let said = world.plan()?.expect(2)?;
        holds(flat(&said).contains("generation = 1 -> 2"), "a new generation is planned", &said)?;
        world.apply()?;
        let second = account.document()?;
        holds(account.keys()?.len() == 2, "both keys are there", "")?;
        holds(account.s3(&first)?.is_ok(), "the old one still works", "")?;
        holds(account.s3(&second)?.is_ok(), "and so does the new one", "")?;
        thread::sleep(Duration::from_secs(5));
        let said = world.plan()?.expect(2)?;
        holds(said.contains("\"retire_due\" -> \"current\""), "the old one is to go", &said)?;
        world.apply()?;
        holds(!account.signs_in(&first)?, "the old one is refused", "")?;
        holds(account.s3(&second)?.is_ok(), "the new one works", "")?;
        let one = second["AWS_ACCESS_KEY_ID"].as_str().unwrap_or_default().to_owned();
        holds(account.keys()? == [one.clone()], "and is alone", "")?;
        let tags = account.moto.iam("list_user_tags", json!({ "UserName": "invoice-sync" }))?;
        let marks = tags["Tags"].as_array().into_iter().flatten();
        let marks: Vec<&Value> = marks
            .map(|tag| &tag["Key"])
            .filter(|name| name.as_str().is_some_and(|name| name.starts_with("AKIA")))
            .collect();
        holds(marks == [&one], "as its mark is", &tags.to_string())?;
        let state = world.state("nhi_credential.invoice_sync")?;
        holds(state["key_id"] == json!(one), "state names it", &state.to_string())?;
        let told = world.nhi(&["ledger", "show", "--kind", "rotation.proven"])?.expect(0)?;
        holds(told.contains("grade=A"), "the ledger has the proof", &told)?;
        nothing_is_left_to_do(world)
    });
}

/// What AWS's own client says of a user's keys.
fn statuses(account: &Account) -> Result<std::collections::BTreeMap<String, String>> {
    let user = json!({ "UserName": "invoice-sync" });
    let keys = account.moto.iam("list_access_keys", user)?["AccessKeyMetadata"].clone();
    let word = |key: &Value, name: &str| key[name].as_str().unwrap_or_default().to_owned();
    let keys = keys.as_array().cloned().unwrap_or_default();
    Ok(keys.iter().map(|key| (word(key, "AccessKeyId"), word(key, "Status"))).collect())
}

#[test]
fn an_old_access_key_is_inactive_before_its_end_and_active_again_for_whoever_misses_it() {
    in_account(&triggered("1"), |account| {
        let world = &account.world;
        // As it is unless policy says otherwise: as long as the overlap, here.
        world.write("policy.hcl", "")?;
        world.apply()?;
        let first = account.document()?;
        let old = first["AWS_ACCESS_KEY_ID"].as_str().unwrap_or_default().to_owned();
        let is = |wanted: Option<&str>| {
            let there = statuses(account)?;
            let found = there.get(&old).map(String::as_str);
            holds(found == wanted, "AWS says so of the old one", &format!("{there:?}"))
        };
        account.change("now = \"1\"", "now = \"2\"")?;
        let said = world.plan()?.expect(2)?;
        holds(flat(&said).contains("is switched off by the first apply after"), "told", &said)?;
        world.apply()?;
        let second = account.document()?;
        thread::sleep(Duration::from_secs(5));
        let said = world.plan()?.expect(2)?;
        holds(said.contains("\"cut_due\" -> \"current\""), "it is to be switched off", &said)?;
        holds(flat(&said).contains("--reenable"), "with the way back", &said)?;
        let told = world.nhi(&["drift"])?.expect(5)?;
        holds(told.contains("switches it off"), "drift says so too", &told)?;
        world.apply()?;
        is(Some("Inactive"))?;
        holds(!account.signs_in(&first)?, "who still has it is cut off", "")?;
        holds(account.s3(&second)?.is_ok(), "and the new one works", "")?;

        // Somebody misses it.
        let id = "aws/aws_iam_user/invoice-sync/credential/default";
        let told = world.nhi(&["recover"])?;
        holds(told.said.contains("--reenable"), "it is listed with the way back", &told.said)?;
        let told = world.nhi(&["recover", id, "--reenable", "--yes"])?.expect(0)?;
        is(Some("Active"))?;
        holds(account.s3(&first)?.is_ok(), "it works again", &told)?;
        thread::sleep(Duration::from_secs(6));
        let said = world.terraform(&["apply", "-auto-approve"])?.expect(0)?;
        holds(flat(&said).contains("Somebody still uses"), "an apply says why", &said)?;
        is(Some("Active"))?;
        let told = world.nhi(&["drift"])?.expect(5)?;
        holds(told.contains("still-used"), "and drift waits for a person", &told)?;
        let told = world.nhi(&["recover"])?.expect(5)?;
        holds(told.contains("switches it off once more"), "whose word is told", &told)?;

        // The consumer was moved: off once more, and then ended.
        world.nhi(&["recover", id, "--yes"])?.expect(0)?;
        is(Some("Inactive"))?;
        let told = world.nhi(&["recover", id, "--yes"])?.expect(1)?;
        holds(told.contains("E-OLD-IN-USE"), "there is nothing to go on with yet", &told)?;
        thread::sleep(Duration::from_secs(6));
        let said = world.plan()?.expect(2)?;
        holds(said.contains("\"retire_due\" -> \"current\""), "it is to end", &said)?;
        world.apply()?;
        is(None)?;
        holds(account.s3(&second)?.is_ok(), "the new one works", "")?;
        let told = world.nhi(&["ledger", "show", "--kind", "rotation.proven"])?.expect(0)?;
        holds(told.contains("grade=A"), "the ledger has the proof", &told)?;
        world.plan_is_empty()?;
        world.nhi(&["drift"])?.expect(0).map(|_| ())
    });
}

#[test]
fn a_replacement_that_no_room_is_for_says_the_way_on_and_the_way_back_and_both_work() {
    in_account(&triggered("1"), |account| {
        let world = &account.world;
        world.apply()?;
        let first = account.document()?;
        let made = account.moto.iam("create_access_key", json!({ "UserName": "invoice-sync" }))?;
        let strange = made["AccessKey"]["AccessKeyId"].clone();
        let secret = made["AccessKey"]["SecretAccessKey"].as_str().unwrap_or_default().to_owned();
        world.note([secret])?;
        let id = "aws/aws_iam_user/invoice-sync/credential/default";
        let address = "nhi_credential.invoice_sync";
        let replaces = format!("-replace={address}");
        let stuck = |words: &[&str]| {
            let said =
                world.terraform(&[&["apply", "-auto-approve"], words].concat())?.expect(1)?;
            let told = flat(&said.replace('│', " "));
            let import = format!("terraform import <ADDRESS> '{id}'");
            let ways = told.contains("E-ROTATE") && told.contains(&import);
            holds(ways && told.contains(strange.as_str().unwrap_or("?")), "the ways", &said)?;
            holds(account.s3(&first)?.is_ok(), "what was to be replaced works on", "")
        };
        stuck(&[&replaces])?;
        stuck(&[])?;
        // The way back.
        world.terraform(&["import", address, id])?.expect(0)?;
        world.apply()?;
        world.plan_is_empty()?;
        holds(account.document()? == first, "it is the one that was there", "")?;
        world.terraform(&["state", "rm", address])?.expect(0)?;
        let said = world.terraform(&["apply", "-auto-approve"])?.expect(1)?;
        holds(said.contains("E-SLOT-EXISTS"), "and no create replaces it any more", &said)?;
        world.terraform(&["import", address, id])?.expect(0)?;
        world.apply()?;
        // The way on.
        stuck(&[&replaces])?;
        let key = json!({ "UserName": "invoice-sync", "AccessKeyId": strange });
        account.moto.iam("delete_access_key", key)?;
        world.apply()?;
        holds(!account.signs_in(&first)?, "it is replaced", "")?;
        holds(account.s3(&account.document()?)?.is_ok(), "by one that works", "")?;
        world.plan_is_empty()
    });
}

#[test]
fn a_user_that_is_disabled_does_nothing_until_it_is_active_again() {
    in_account(&triggered("1"), |account| {
        let world = &account.world;
        world.apply()?;
        let document = account.document()?;
        account.change("aws_iam_user ", "enabled         = false\n  aws_iam_user ")?;
        world.apply()?;
        holds(account.s3(&document)?.is_err(), "it may do nothing", "")?;
        holds(!account.signs_in(&document)?, "and is not known", "")?;
        nothing_is_left_to_do(world)?;
        account.change("enabled         = false\n", "")?;
        world.apply()?;
        holds(account.s3(&document)?.is_ok(), "its own key works again", "")?;
        world.plan_is_empty()
    });
}

/// A story whose programs reach AWS through a proxy that can make things go wrong.
fn through_a_proxy(main: &str, story: impl Fn(&Account, &Between) -> Result<()>) {
    through_a_proxy_of((HCL, main), story);
}

pub(crate) fn through_a_proxy_of(
    example: (&str, &str),
    story: impl Fn(&Account, &Between) -> Result<()>,
) {
    in_account_of(example, |account| {
        let runtime = tokio::runtime::Runtime::new().map_err(|error| error.to_string())?;
        let address = account.moto.address();
        let proxy =
            runtime.block_on(FaultProxy::start(&address)).map_err(|error| error.to_string())?;
        let hcl = account.world.read("nhi.hcl")?.replace(&address, proxy.address());
        account.world.write("nhi.hcl", &hcl)?;
        story(account, &Between { runtime, proxy })
    });
}

/// The calls after which it is not known what was done: of a create, and of a rotation.
const MAKING: [&str; 4] = ["CreateUser", "TagUser", "PutUserPolicy", "CreateAccessKey"];
const ROTATING: [&str; 3] = ["CreateAccessKey", "TagUser", "DeleteAccessKey"];

/// So many keys are there, the application does what it may with what its sink holds, and nothing is
/// left to do.
fn all_is_well(account: &Account, keys: usize) -> Result<()> {
    let there = account.keys()?;
    holds(there.len() == keys, "no key too many", &format!("{there:?}"))?;
    holds(account.s3(&account.document()?)?.is_ok(), "the application works", "")?;
    nothing_is_left_to_do(&account.world)
}

#[test]
fn an_answer_of_aws_lost_while_a_user_is_made_leaves_what_the_next_apply_finishes() {
    for action in MAKING {
        through_a_proxy(MAIN, |account, between| {
            let path = format!("?Action={action}");
            between.proxy.add(Rule::once("POST", &path, Effect::LoseAnswer));
            let first = account.world.terraform(&["apply", "-auto-approve"])?;
            let lost = between.proxy.seen();
            let lost = lost.iter().any(|one| one.path.contains(&path) && one.status.is_none());
            holds(lost, "an answer was lost", action)?;
            if first.code != 0 {
                says_what_to_do(&first.said)?;
                thread::sleep(Duration::from_secs(4));
                applied_in_the_end(&account.world)?;
            }
            all_is_well(account, 1).map_err(|error| format!("{action}: {error}"))
        });
    }
}

/// Kills the provider at one call of a rotation, before AWS hears of it or before we hear of AWS.
fn rotation_is_finished_after_a_kill_at(action: &str, held: fn(Hold) -> Effect) {
    through_a_proxy(&triggered("1"), |account, between| {
        let told = |error| format!("{action}: {error}");
        let ends = action == "DeleteAccessKey";
        account.world.apply()?;
        let before = account.document()?;
        account.world.write("main.tf", &triggered("2"))?;
        if ends {
            account.world.apply()?;
            thread::sleep(Duration::from_secs(5));
        }
        let path = format!("?Action={action}");
        let rule = |hold| Rule::once("POST", &path, held(hold));
        killed_at(&account.world, between, rule).map_err(told)?;
        // What was held arrives after its sender's death.
        thread::sleep(Duration::from_secs(1));
        let works = account.document()?;
        holds(account.s3(&works)?.is_ok(), "what the sink holds works all the time", action)?;
        holds(ends || works == before, "and is the old one until the new one is known", action)?;
        // The claim of the run that died holds until it has been silent for long enough.
        thread::sleep(SILENCE);
        applied_in_the_end(&account.world).map_err(told)?;
        let state = account.world.state("nhi_credential.invoice_sync")?;
        holds(state["generation"] == 2, "one generation further", &state.to_string())?;
        let now = account.document()?;
        holds(account.s3(&now)?.is_ok() && now != before, "the new one works", action)?;
        // The overlap is over by now, or soon will be.
        thread::sleep(Duration::from_secs(5));
        applied_in_the_end(&account.world).map_err(told)?;
        holds(account.s3(&before)?.is_err(), "the old one is refused", action)?;
        all_is_well(account, 1).map_err(told)
    });
}

#[test]
fn a_provider_killed_before_aws_hears_of_a_call_of_a_rotation_leaves_what_the_next_apply_finishes()
{
    for action in ROTATING {
        rotation_is_finished_after_a_kill_at(action, Effect::HoldRequest);
    }
}

#[test]
fn a_provider_killed_before_aws_answers_in_a_rotation_leaves_what_the_next_apply_finishes() {
    for action in ROTATING {
        rotation_is_finished_after_a_kill_at(action, Effect::HoldAnswer);
    }
}

#[test]
fn a_provider_killed_as_it_switches_a_key_off_leaves_what_the_next_apply_finishes_and_ends_nothing()
{
    for held in [Effect::HoldRequest, Effect::HoldAnswer] {
        through_a_proxy(&triggered("1"), |account, between| {
            let world = &account.world;
            world.write("policy.hcl", "")?;
            world.apply()?;
            let first = account.document()?;
            let old = first["AWS_ACCESS_KEY_ID"].as_str().unwrap_or_default().to_owned();
            world.write("main.tf", &triggered("2"))?;
            world.apply()?;
            let second = account.document()?;
            thread::sleep(Duration::from_secs(5));
            let rule = |hold| Rule::once("POST", "?Action=UpdateAccessKey", held(hold));
            killed_at(world, between, rule)?;
            thread::sleep(Duration::from_secs(1));
            holds(account.s3(&second)?.is_ok(), "what the sink holds works all the time", "")?;
            // The claim of the run that died holds until it has been silent for long enough.
            thread::sleep(Duration::from_secs(11));
            applied_in_the_end(&account.world)?;
            let there = statuses(account)?;
            let off = there.get(&old).is_some_and(|status| status == "Inactive");
            holds(off, "the old one is off, and there", &format!("{there:?}"))?;
            thread::sleep(Duration::from_secs(6));
            applied_in_the_end(&account.world)?;
            holds(account.s3(&second)?.is_ok(), "the new one works", "")?;
            all_is_well(account, 1)
        });
    }
}
