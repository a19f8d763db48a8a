//! A role of a real PostgreSQL: made, let in, narrowed, rotated, switched off, dropped. What is asserted
//! is what PostgreSQL's own client sees.

use std::{cell::Cell, time::Duration};

use acceptance_tests::{
    Core, Result, World,
    line::{Break, Line},
    servers::PostgreSql,
    world::{LEDGER, STATE},
};

use crate::{SILENCE, flat, holds, kill::killed_when, nothing_is_left_to_do, says_what_to_do};

/// The example, as people would copy it.
pub(crate) const MAIN: &str = include_str!("../../../examples/scenarios/postgresql/main.tf");
pub(crate) const HCL: &str = include_str!("../../../examples/scenarios/postgresql/nhi.hcl");
/// The example of one that is never without a password that works.
pub(crate) const BY_TURNS: &str =
    include_str!("../../../examples/scenarios/postgresql_pair/main.tf");
/// What the example reads and writes, and what it does not.
pub(crate) const THINGS: &str = "
    create schema billing;
    create table billing.invoice (id int, amount int, exported_at timestamptz);
    insert into billing.invoice values (1, 100, null);
    create table billing.salary (id int, amount int);
    create role accountants;
    grant usage on schema billing to accountants;
    grant select on billing.salary to accountants;
";

/// The example with something that makes it rotate when it is wanted.
fn triggered(value: &str) -> String {
    let main = MAIN.replace(
        "postgresql_password = {}",
        &format!("postgresql_password = {{}}\n  triggers = {{ now = \"{value}\" }}"),
    );
    assert!(main.contains("triggers"));
    main
}

/// The example without its resources from one on.
fn until(resource: &str) -> &'static str {
    MAIN.split(&format!("resource \"{resource}\"")).next().unwrap_or_default()
}

/// A world with a cluster, and a line to it.
struct Shop {
    world: World,
    db: PostgreSql,
    line: Line,
}

fn in_shop(main: &str, story: impl Fn(&Shop) -> Result<()>) {
    for core in Core::all().unwrap() {
        let path = core.path.display().to_string();
        let db = PostgreSql::start().unwrap();
        db.by_hand("create database shop").unwrap();
        db.by_hand_in("shop", THINGS).unwrap();
        let line = Line::to(db.port).unwrap();
        let world = World::new(core, main).unwrap().with("NHI_PGPASSWORD", &db.password);
        let there = format!("127.0.0.1:{}", line.port);
        let hcl = HCL.replace("127.0.0.1:5432", &there);
        let hcl = hcl.replace("http://127.0.0.1:8200", &world.bao.address());
        world.write("nhi.hcl", &hcl).unwrap();
        let shop = Shop { world, db, line };
        let told = story(&shop).and_then(|()| {
            shop.world.note([shop.db.password.clone()])?;
            shop.world.no_secret_leaked(&[STATE, LEDGER])
        });
        if let Err(error) = told {
            panic!("{path}: {error}");
        }
    }
}

impl Shop {
    /// What the application reads.
    fn password(&self) -> Result<String> {
        let document = self.world.bao.document("apps/invoice-export")?;
        let password = document["password"].as_str().unwrap_or_default().to_owned();
        self.world.note([password.clone()])?;
        Ok(password)
    }

    /// Whether the application may say something.
    fn may(&self, password: &str, sql: &str) -> bool {
        self.db.say_as(("invoice-export", password), "shop", sql).is_ok()
    }

    fn lets_in(&self, password: &str) -> Result<bool> {
        self.db.lets_in("invoice-export", password)
    }

    /// As a managed server is for its customers: our role makes roles, and sees nothing of passwords.
    fn is_managed(&self) -> Result<()> {
        let password = &self.db.password;
        self.db.by_hand(&format!("create role nhi login createrole password '{password}'"))?;
        self.db.by_hand_in("shop", KEEPER)?;
        let hcl = self.world.read("nhi.hcl")?;
        let ours = hcl.replace("user       = \"postgres\"", "user       = \"nhi\"");
        holds(ours != hcl, "it names our role", &hcl)?;
        self.world.write("nhi.hcl", &ours)
    }

    fn roles(&self) -> Result<Vec<String>> {
        self.db.by_hand("select rolname from pg_roles where oid > 16383 order by 1")
    }

    /// By PostgreSQL's own account: the delivered password works, with what is declared and no more; and
    /// nothing is left to do.
    fn is_settled(&self) -> Result<()> {
        let password = self.password()?;
        holds(self.lets_in(&password)?, "the delivered one works", "")?;
        holds(self.may(&password, "select amount from billing.invoice"), "it reads", "")?;
        let marks = "update billing.invoice set exported_at = now()";
        holds(self.may(&password, marks), "it marks", "")?;
        holds(!self.may(&password, "delete from billing.invoice"), "and no more", "")?;
        holds(!self.may(&password, "select 1 from billing.salary"), "and no more", "")?;
        nothing_is_left_to_do(&self.world)
    }
}

#[test]
fn the_example_of_a_cluster_is_applied_as_it_stands_and_described_by_the_other_commands() {
    in_shop(MAIN, |shop| {
        let world = &shop.world;
        let before = shop.roles()?;
        let said = world.plan()?.expect(2)?;
        holds(flat(&said).contains("highest_action = \"write\""), "it writes", &said)?;
        world.apply()?;
        shop.is_settled()?;
        let told = world.nhi(&["doctor", "db"])?.expect(0)?;
        for said in ["postgresql_role", "lists credentials", "finds minted tokens"] {
            holds(told.contains(said), said, &told)?;
        }
        holds(!told.contains("is no superuser"), "our role may do all", &told)?;
        shop.db.by_hand("create role stray login")?;
        let told = world.nhi(&["scan"])?.said;
        holds(told.contains("stray") && !told.contains("accountants"), "who signs in", &told)?;
        shop.db.by_hand("drop role stray")?;
        world.terraform(&["destroy", "-auto-approve"])?.expect(0)?;
        holds(shop.roles()? == before, "nothing is left", &format!("{:?}", shop.roles()?))
    });
}

#[test]
fn what_somebody_gave_by_hand_is_shown_and_taken_away() {
    in_shop(MAIN, |shop| {
        let world = &shop.world;
        world.apply()?;
        let password = shop.password()?;
        for sql in [
            "grant accountants to \"invoice-export\" with admin option",
            "alter role \"invoice-export\" createrole connection limit 100",
        ] {
            shop.db.by_hand(sql)?;
        }
        let by_hand = "grant delete on billing.invoice to \"invoice-export\" with grant option";
        shop.db.by_hand_in("shop", by_hand)?;
        holds(shop.may(&password, "select 1 from billing.salary"), "it may at once", "")?;
        let said = world.plan()?.expect(2)?;
        for scope in
            ["attribute/createrole", "role/accountants*", "table/shop/billing/invoice:delete*"]
        {
            holds(said.contains(&format!("- \"{scope}\"")), scope, &said)?;
        }
        holds(flat(&said).contains("connection_limit = 100 -> 3"), "the setting too", &said)?;
        // What lies above the ceiling is out of policy besides.
        let told = world.nhi(&["drift"])?.expect(4)?;
        holds(told.contains("role/accountants*"), "drift says the same", &told)?;
        world.apply()?;
        shop.is_settled()?;
        let limit = "select rolconnlimit from pg_roles where rolname = 'invoice-export'";
        holds(shop.db.by_hand(limit)? == ["3"], "the setting is back", "")
    });
}

#[test]
fn a_password_rotates_the_old_one_is_proven_refused_and_its_sessions_end() {
    in_shop(&triggered("1"), |shop| {
        let world = &shop.world;
        world.apply()?;
        let first = shop.password()?;
        let mut session = shop.db.session("invoice-export", &first)?;
        world.write("main.tf", &triggered("2"))?;
        let said = world.plan()?.expect(2)?;
        holds(flat(&said).contains("generation = 1 -> 2"), "a new generation is planned", &said)?;
        let said = world.apply()?;
        let second = shop.password()?;
        holds(first != second && !shop.lets_in(&first)?, "the old one is refused", &said)?;
        shop.is_settled()?;
        holds(!session.is_open(), "and what it had opened is closed", &said)?;
        let state = world.state("nhi_credential.invoice_export")?;
        holds(state["last_revocation"]["grade"] == "A", "grade A", &state.to_string())?;
        let told = world.nhi(&["ledger", "show", "--kind", "rotation.proven"])?.expect(0)?;
        holds(told.contains("grade=A"), "the ledger has the proof", &told)?;
        // Somebody sets another one by hand: that is told, and the next rotation ends it.
        shop.db.by_hand("alter role \"invoice-export\" password 'by hand'")?;
        let told = world.nhi(&["drift"])?;
        holds(told.code != 0, "it is seen", &told.said)
    });
}

#[test]
fn consumers_that_stand_no_interruption_are_cut_off_by_nothing_but_an_incident() {
    // Nothing rotates it by itself: a schedule would cut them off every month.
    let main = |interruption: &str, more: &str| {
        let by_hand =
            format!("interruption        = \"{interruption}\"\n  triggers = {{ {more} }}");
        MAIN.replace("schedule            = nhi_rotation_schedule.monthly", &by_hand)
    };
    let slot = "db/postgresql_role/invoice-export/credential/default";
    in_shop(&main("refuse", "now = \"1\""), |shop| {
        let world = &shop.world;
        // With the schedule of the example the plan says no before there is anything.
        let monthly = "schedule = nhi_rotation_schedule.monthly\n  interruption = \"refuse\"";
        let bare = MAIN.replace("schedule            = nhi_rotation_schedule.monthly", monthly);
        world.write("main.tf", &bare)?;
        let refused = |words: &[&str]| -> Result<()> {
            let said = flat(&world.terraform(words)?.expect(1)?.replace('│', " "));
            holds(said.contains("(E-INTERRUPTS)"), "it is refused", &said)?;
            let next = said.contains("Next: choose a type of credential that overlaps");
            holds(next, "and what to do", &said)
        };
        refused(&["plan"])?;
        world.write("main.tf", &main("refuse", "now = \"1\""))?;
        world.apply()?;
        let first = shop.password()?;
        world.write("main.tf", &main("refuse", "now = \"2\""))?;
        refused(&["plan"])?;
        refused(&["apply", "-auto-approve"])?;
        let said = world.nhi(&["rotate", slot, "--yes"])?.expect(1)?;
        holds(said.contains("E-INTERRUPTS"), "nor from the command line", &said)?;
        holds(shop.lets_in(&first)? && shop.password()? == first, "nobody was cut off", &said)?;
        // A person says that it does no harm now.
        world.write("main.tf", &main("accept", "now = \"2\""))?;
        let said = flat(&world.plan()?.expect(2)?);
        holds(said.contains("generation = 1 -> 2"), "then it is planned", &said)?;
        world.apply()?;
        let second = shop.password()?;
        holds(second != first && !shop.lets_in(&first)?, "and done", &said)?;
        shop.is_settled()?;
        // What is exposed waits for nobody.
        let exposed = main("refuse", "now = \"2\"");
        let exposed =
            exposed.replace("  triggers = {", "  incident = \"INC-4711\"\n  triggers = {");
        world.write("main.tf", &exposed)?;
        let said = world.apply()?;
        holds(!shop.lets_in(&second)?, "the exposed one is refused", &said)?;
        holds(world.state("nhi_credential.invoice_export")?["generation"] == 3, "a third", &said)?;
        shop.is_settled()
    });
}

/// What a role that makes roles needs besides for the example.
const KEEPER: &str = "
    grant pg_read_all_stats, pg_signal_backend to nhi;
    alter schema billing owner to nhi;
    alter table billing.invoice owner to nhi;
";

#[test]
fn a_password_rotates_where_nobody_may_see_which_one_is_in_force() {
    in_shop(&triggered("1"), |shop| {
        let world = &shop.world;
        shop.is_managed()?;
        let said = world.nhi(&["doctor"])?.said;
        holds(said.contains("pg_authid"), "doctor says what it cannot see", &said)?;
        world.apply()?;
        let first = shop.password()?;
        world.write("main.tf", &triggered("2"))?;
        let said = world.plan()?.expect(2)?;
        holds(flat(&said).contains("generation = 1 -> 2"), "a new generation is planned", &said)?;
        let said = world.apply()?;
        let second = shop.password()?;
        holds(first != second && !shop.lets_in(&first)?, "the old one is refused", &said)?;
        shop.is_settled()?;
        world.terraform(&["destroy", "-auto-approve"])?.expect(0)?;
        holds(!shop.lets_in(&second)?, "nothing is left", "")
    });
}

#[test]
fn two_roles_by_turns_let_a_password_rotate_with_an_overlap_whoever_may_see_passwords() {
    let triggered = |value: &str| {
        let soon = BY_TURNS.replace("overlap = \"24h\"", "overlap = \"6s\"");
        let triggers = format!("postgresql_pair = {{}}\n  triggers = {{ now = \"{value}\" }}");
        soon.replace("postgresql_pair = {}", &triggers)
    };
    // Where they are seen, and where they are not.
    let managed = Cell::new(false);
    let story = |shop: &Shop| -> Result<()> {
        let world = &shop.world;
        if managed.get() {
            shop.is_managed()?;
        }
        let before = shop.roles()?;
        let read = || -> Result<(String, String)> {
            let document = world.bao.document("apps/invoice-export")?;
            let word = |name: &str| document[name].as_str().unwrap_or_default().to_owned();
            world.note([word("password")])?;
            Ok((word("user"), word("password")))
        };
        let may = |(user, password): &(String, String), sql: &str| {
            shop.db.say_as((user, password), "shop", sql)
        };
        world.apply()?;
        let first = read()?;
        holds(first.0 == "invoice-export_a", "who signs in", &first.0)?;
        let mut session = shop.db.session(&first.0, &first.1)?;
        world.write("main.tf", &triggered("2"))?;
        let said = world.plan()?.expect(2)?;
        holds(flat(&said).contains("generation = 1 -> 2"), "a new generation is planned", &said)?;
        world.apply()?;
        let second = read()?;
        holds(second.0 == "invoice-export_b", "the other one", &second.0)?;
        for one in [&first, &second] {
            let reads = may(one, "select amount from billing.invoice");
            holds(reads.is_ok(), "both work in the overlap", &one.0)?;
            holds(may(one, "select 1 from billing.salary").is_err(), "and no more", &one.0)?;
            let who = may(one, "select current_user")?;
            holds(who == ["invoice-export"], "as the one", &format!("{who:?}"))?;
        }
        holds(session.is_open(), "and so does what is open", "")?;
        std::thread::sleep(Duration::from_secs(7));
        let said = world.plan()?.expect(2)?;
        holds(said.contains("\"cut_due\" -> \"current\""), "the old one is switched off", &said)?;
        world.apply()?;
        holds(!shop.db.lets_in(&first.0, &first.1)?, "the old one is refused", "")?;
        holds(!session.is_open(), "and what it had opened is closed", "")?;
        // Somebody misses it, is let in again, and is moved.
        let id = "db/postgresql_role/invoice-export/credential/default";
        world.nhi(&["recover", id, "--reenable", "--yes"])?.expect(0)?;
        holds(shop.db.lets_in(&first.0, &first.1)?, "it works again", "")?;
        world.nhi(&["drift"])?.expect(5)?;
        world.nhi(&["recover", id, "--yes"])?.expect(0)?;
        holds(!shop.db.lets_in(&first.0, &first.1)?, "and is off once more", "")?;
        std::thread::sleep(Duration::from_secs(6));
        let said = world.plan()?.expect(2)?;
        holds(said.contains("\"retire_due\" -> \"current\""), "the old one is to go", &said)?;
        world.apply()?;
        holds(!shop.db.lets_in(&first.0, &first.1)?, "the old one has ended", "")?;
        holds(shop.db.lets_in(&second.0, &second.1)?, "the new one works", "")?;
        let told = world.nhi(&["ledger", "show", "--kind", "rotation.proven"])?.expect(0)?;
        holds(told.contains("grade=A"), "the ledger has the proof", &told)?;
        nothing_is_left_to_do(world)?;
        let told = world.nhi(&["scan"])?.said;
        holds(!told.contains("invoice-export_"), "they are no integrations", &told)?;
        // The place that is free again is filled once more.
        world.write("main.tf", &triggered("3"))?;
        world.apply()?;
        let third = read()?;
        holds(third.0 == first.0 && shop.db.lets_in(&third.0, &third.1)?, "by turns", &third.0)?;
        holds(shop.db.lets_in(&second.0, &second.1)?, "with overlap", "")?;
        world.terraform(&["destroy", "-auto-approve"])?.expect(0)?;
        holds(shop.roles()? == before, "nothing is left", &format!("{:?}", shop.roles()?))
    };
    for sees_nothing in [false, true] {
        managed.set(sees_nothing);
        in_shop(&triggered("1"), story);
    }
}

#[test]
fn nobody_runs_anything_again_and_the_server_ends_the_earlier_password_of_a_pair_by_itself() {
    let main = |value: &str| {
        let soon = BY_TURNS.replace("overlap = \"24h\"", "overlap = \"6s\"");
        let triggers = format!("postgresql_pair = {{}}\n  triggers = {{ now = \"{value}\" }}");
        soon.replace("postgresql_pair = {}", &triggers)
    };
    in_shop(&main("1"), |shop| {
        let read = || -> Result<(String, String)> {
            let document = shop.world.bao.document("apps/invoice-export")?;
            let text = |name: &str| document[name].as_str().unwrap_or_default().to_owned();
            let one = (text("user"), text("password"));
            shop.world.note([one.1.clone()])?;
            Ok(one)
        };
        shop.world.apply()?;
        let first = read()?;
        shop.world.write("main.tf", &main("2"))?;
        let said = flat(&shop.world.plan()?.said.replace('│', " "));
        let told = "The old credential ends after its overlap, whoever comes";
        holds(said.contains(told), "a plan says that the server ends it", &said)?;
        shop.world.apply()?;
        let second = read()?;
        holds(second.0 != first.0, "the other role", &second.0)?;
        holds(shop.db.lets_in(&first.0, &first.1)?, "both work in the overlap", &first.0)?;
        let ends = |role: &str| {
            let sql = "extract(epoch from rolvaliduntil - now())::int < 60";
            shop.db.by_hand(&format!("select {sql} from pg_roles where rolname = '{role}'"))
        };
        holds(ends(&first.0)? == ["t"], "the server knows when it ends", &first.0)?;
        holds(ends(&second.0)? == ["f"], "and the new one's end is far", &second.0)?;
        // Nobody runs anything: its overlap, the time for which it is only switched off, and a moment.
        let until = std::time::Instant::now() + Duration::from_secs(60);
        while shop.db.lets_in(&first.0, &first.1)? {
            holds(std::time::Instant::now() < until, "it ends by itself", &first.0)?;
            std::thread::sleep(Duration::from_secs(1));
        }
        holds(shop.db.lets_in(&second.0, &second.1)?, "and the new one works on", &second.0)?;
        // A later run only shows it.
        shop.world.apply()?;
        let state = shop.world.state("nhi_credential.invoice_export")?;
        let revoked = state["last_revocation"]["grade"].clone();
        holds(revoked == "A", "with proof", &revoked.to_string())?;
        nothing_is_left_to_do(&shop.world)
    });
}

#[test]
fn a_role_is_switched_off_and_on_and_imported_after_everything_was_lost() {
    in_shop(MAIN, |shop| {
        let world = &shop.world;
        world.apply()?;
        let password = shop.password()?;
        let mut session = shop.db.session("invoice-export", &password)?;
        let off = MAIN.replace(
            "execution_mode  = \"batch\"",
            "enabled = false\n  execution_mode  = \"batch\"",
        );
        world.write("main.tf", &off)?;
        world.apply()?;
        holds(!shop.lets_in(&password)?, "nobody is let in", "")?;
        holds(!session.is_open(), "and nobody is left inside", "")?;
        world.plan_is_empty()?;
        world.write("main.tf", &off.replace("enabled = false", "enabled = true"))?;
        world.apply()?;
        shop.is_settled()?;

        for name in
            ["terraform.tfstate", "terraform.tfstate.backup", "nhi.db", "nhi.db-wal", "nhi.db-shm"]
        {
            let _ = std::fs::remove_file(world.folder.join(name));
        }
        let id = "db/postgresql_role/invoice-export";
        for (address, id) in [
            ("nhi_owner.billing", "owner/billing".to_owned()),
            ("nhi_integration.invoice_export", id.to_owned()),
            ("nhi_scope.invoice_export", format!("{id}/scope")),
            ("nhi_credential.invoice_export", format!("{id}/credential/default")),
        ] {
            world.terraform(&["import", address, &id])?.expect(0)?;
        }
        let said = world.plan()?.said;
        // The schedule is in nobody's books.
        holds(said.contains("1 to add") && said.contains("0 to destroy"), "it is known", &said)?;
        world.apply()?;
        holds(shop.password()? == password, "and nothing was rotated", "")?;
        world.terraform(&["destroy", "-auto-approve"])?.expect(0)?;
        holds(shop.roles()? == ["accountants"], "nothing is left", &format!("{:?}", shop.roles()?))
    });
}

/// What the server is told that makes everything.
const MAKES: [&str; 4] =
    ["CREATE ROLE", "GRANT SELECT ON TABLE", "scopes_governed", "SCRAM-SHA-256$4096:"];

#[test]
fn an_answer_of_the_server_that_is_lost_leaves_what_the_next_apply_finishes() {
    for text in MAKES {
        for at in [Break::Before, Break::After] {
            in_shop(MAIN, |shop| {
                let told = |error| format!("{text}, {at:?}: {error}");
                let cut = shop.line.cut(text, at);
                let first = shop.world.terraform(&["apply", "-auto-approve"])?;
                holds(cut.reached(Duration::ZERO), "the line broke", "").map_err(told)?;
                if first.code != 0 {
                    says_what_to_do(&first.said).map_err(told)?;
                    std::thread::sleep(SILENCE);
                    shop.world.apply().map_err(told)?;
                }
                shop.is_settled().map_err(told)
            });
        }
    }
}

#[test]
fn a_provider_killed_at_a_cluster_is_told_leaves_what_the_next_apply_finishes() {
    for text in MAKES {
        for at in [Break::Before, Break::After] {
            in_shop(MAIN, |shop| {
                let told = |error| format!("{text}, {at:?}: {error}");
                let held = shop.line.hold(text, at);
                let reached = || held.reached(Duration::from_secs(120));
                killed_when(&shop.world, reached, || held.release()).map_err(told)?;
                std::thread::sleep(SILENCE);
                shop.world.apply().map_err(told)?;
                shop.is_settled().map_err(told)
            });
        }
    }
}

#[test]
fn a_provider_killed_as_it_replaces_a_password_leaves_one_that_works_and_is_delivered() {
    for at in [Break::Before, Break::After] {
        in_shop(&triggered("1"), |shop| {
            let told = |error| format!("{at:?}: {error}");
            let world = &shop.world;
            world.apply()?;
            let first = shop.password()?;
            world.write("main.tf", &triggered("2"))?;
            let held = shop.line.hold("SCRAM-SHA-256$4096:", at);
            let reached = || held.reached(Duration::from_secs(120));
            killed_when(world, reached, || held.release()).map_err(told)?;
            holds(shop.lets_in(&first)? == (at == Break::Before), "as far as it came", "")
                .map_err(told)?;
            // Longer than a late call may take.
            std::thread::sleep(SILENCE);
            world.apply().map_err(told)?;
            world.apply().map_err(told)?;
            holds(!shop.lets_in(&first)?, "the old one is refused", "").map_err(told)?;
            let state = world.state("nhi_credential.invoice_export")?;
            holds(state["generation"] == 2, "one generation further", &state.to_string())
                .map_err(told)?;
            shop.is_settled().map_err(told)
        });
    }
}

#[test]
fn a_provider_killed_as_it_drops_a_role_leaves_what_the_next_apply_drops() {
    for text in ["PASSWORD NULL VALID", "NOLOGIN PASSWORD NULL", "REVOKE SELECT", "DROP ROLE"] {
        for at in [Break::Before, Break::After] {
            in_shop(MAIN, |shop| {
                let told = |error| format!("{text}, {at:?}: {error}");
                let world = &shop.world;
                world.apply()?;
                let password = shop.password()?;
                world.write("main.tf", until("nhi_integration"))?;
                let held = shop.line.hold(text, at);
                let reached = || held.reached(Duration::from_secs(120));
                killed_when(world, reached, || held.release()).map_err(told)?;
                std::thread::sleep(SILENCE);
                world.apply().map_err(told)?;
                holds(!shop.lets_in(&password)?, "it is refused", "").map_err(told)?;
                let left = shop.roles()?;
                holds(left == ["accountants"], "nothing is left", &format!("{left:?}"))
                    .map_err(told)?;
                world.plan_is_empty().map_err(told)
            });
        }
    }
}
