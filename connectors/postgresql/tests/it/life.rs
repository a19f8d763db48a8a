//! What is particular to PostgreSQL: who gave what, what is owned, sessions that live on.

use acceptance_tests::servers::PostgreSql;
use connector::{Change, Children, Ended, Error, Outcome, Platform, Probe, Refusal, Want};
use jiff::{SignedDuration, Timestamp};

use crate::world::{MARKER, PAIR, TYPE, World, new, object, prepared, server};

fn refused(probe: &Probe) -> Option<&str> {
    match probe {
        Probe::Refused { class } => Some(class),
        Probe::Accepted { .. } => None,
    }
}

#[tokio::test]
async fn every_kind_of_privilege_is_given_seen_as_itself_and_taken_away() {
    let (world, db) = (World::new(), server());
    db.by_hand("create role gardener").unwrap();
    let every = [
        "column/shop/public/bill/amount:references",
        "column/shop/public/bill/note:update*",
        "database/shop:connect",
        "database/shop:create*",
        "database/shop:temporary",
        "default/shop/gardener/public/tables:select",
        "default/shop/gardener/schemas:usage",
        "default/shop/gardener/sequences:usage*",
        "function/shop/public/total(integer, text):execute",
        "language/shop/sql:usage",
        "largeobject/shop/4711:select",
        "parameter/log_statement:alter-system",
        "parameter/log_statement:set",
        "procedure/shop/public/do (it)(integer):execute",
        "role/pg_monitor",
        "role/readers",
        "role/writers*",
        "schema/shop/sales:create",
        "schema/shop/sales:usage",
        "sequence/shop/public/bill_id_seq:usage",
        "server/shop/near:usage",
        "table/shop/public/bill:delete",
        "table/shop/public/bill:insert",
        "table/shop/public/bill:references",
        "table/shop/public/bill:select*",
        "table/shop/public/bill:trigger",
        "table/shop/public/bill:truncate",
        "table/shop/public/bill:update",
        "table/shop/public/odd %2F%3A%25%2A%2B\" name:select",
        "table/shop/sales/item:select",
        "tablespace/pg_default:create",
        "type/shop/public/mood:usage",
        "wrapper/shop/far:usage",
    ];
    let bot = world.integration("every").await;
    world.scope(&bot, &every).await.unwrap();
    assert_eq!(world.held(&bot).await, every);
    // Fewer, and some of them weaker.
    let fewer = ["role/writers", "table/shop/public/bill:select", "schema/shop/sales:usage"];
    world.scope(&bot, &fewer).await.unwrap();
    assert_eq!(world.held(&bot).await, [fewer[0], fewer[2], fewer[1]]);
    world.scope(&bot, &["table/shop/public/bill:select*", "role/writers*"]).await.unwrap();
    assert_eq!(world.held(&bot).await, ["role/writers*", "table/shop/public/bill:select*"]);
    world.scope(&bot, &every).await.unwrap();
    assert_eq!(world.connector.delete(&bot).await.unwrap(), Ended::Now);
    let left = "select count(*) from pg_roles where rolname = 'every'";
    assert_eq!(db.by_hand(left).unwrap(), ["0"]);
}

#[tokio::test]
async fn what_somebody_else_gave_is_taken_away_as_whoever_gave_it() {
    let (world, db) = (World::new(), server());
    db.by_hand("create role giver login password 'giver'").unwrap();
    db.by_hand_in(
        "shop",
        "grant usage on schema sales to giver with grant option; \
         grant select on sales.item to giver with grant option; grant usage on schema sales to public",
    )
    .unwrap();
    let bot = world.integration("given").await;
    let by = ("giver", "giver");
    db.say_as(by, "shop", "grant select on sales.item to given").unwrap();
    // Twice, by two.
    db.by_hand_in("shop", "grant select on sales.item to given with grant option").unwrap();
    assert_eq!(world.held(&bot).await, ["table/shop/sales/item:select*"]);
    world.scope(&bot, &[]).await.unwrap();
    assert!(world.held(&bot).await.is_empty());
    // Passed on, it holds others up: that is said.
    db.by_hand_in(
        "shop",
        "grant select on sales.item to given with grant option; set role given; \
        grant select on sales.item to writers",
    )
    .unwrap();
    let said = world.scope(&bot, &[]).await.unwrap_err();
    assert!(said.to_string().contains("passed on"), "{said}");
    db.by_hand_in("shop", "revoke select on sales.item from given cascade").unwrap();
    assert_eq!(world.connector.delete(&bot).await.unwrap(), Ended::Now);
}

#[tokio::test]
async fn power_of_the_role_itself_is_seen_and_taken_away_and_never_given() {
    let (world, db) = (World::new(), server());
    let bot = world.integration("mighty").await;
    let words = "superuser createdb createrole replication bypassrls";
    db.by_hand(&format!("alter role mighty {words}")).unwrap();
    let all = ["bypassrls", "createdb", "createrole", "replication", "superuser"]
        .map(|word| format!("attribute/{word}"));
    assert_eq!(world.held(&bot).await, all);
    let listed = world.connector.list(Want::PLAN).await.unwrap().integrations;
    assert!(listed.iter().any(|one| one.key == "mighty"), "one of ours stays visible");
    world.scope(&bot, &["role/readers"]).await.unwrap();
    assert_eq!(world.held(&bot).await, ["role/readers"]);
    let said = world.scope(&bot, &["attribute/createdb"]).await.unwrap_err();
    assert!(said.to_string().contains("never given here"), "{said}");
    assert_eq!(world.held(&bot).await, ["role/readers"]);
}

#[tokio::test]
async fn what_it_owns_is_shown_and_kept_from_going_with_it() {
    let (world, db) = (World::new(), server());
    let bot = world.integration("owner").await;
    db.by_hand_in("shop", "create table sales.own (id int); alter table sales.own owner to owner")
        .unwrap();
    db.by_hand("create database theirs owner owner").unwrap();
    assert_eq!(world.held(&bot).await, ["owner/database/theirs", "owner/shop/table/sales.own"]);
    let said = world.scope(&bot, &["role/readers"]).await.unwrap_err().to_string();
    assert!(said.contains("REASSIGN OWNED BY \"owner\""), "{said}");
    assert!(world.held(&bot).await.contains(&"role/readers".to_owned()), "the rest is done");
    let said = world.connector.delete(&bot).await.unwrap_err();
    assert_eq!(said.outcome(), Outcome::Refused, "{said}");
    assert!(said.to_string().contains("owns 2 object(s)"), "{said}");
    db.by_hand_in("shop", "reassign owned by owner to postgres").unwrap();
    assert_eq!(world.connector.delete(&bot).await.unwrap(), Ended::Now);
    db.by_hand("drop database theirs").unwrap();
}

#[tokio::test]
async fn superusers_the_servers_own_roles_and_ours_are_governed_by_nobody_here() {
    let (world, db) = (World::new(), server());
    db.by_hand("create role chief superuser login; create role crowd").unwrap();
    let listed = world.connector.list(Want::PLAN).await.unwrap();
    assert!(listed.is_complete());
    let keys: Vec<&str> = listed.integrations.iter().map(|one| one.key.as_str()).collect();
    for name in ["postgres", "chief", "crowd", "pg_monitor"] {
        assert!(!keys.contains(&name), "{name}: {keys:?}");
    }
    for name in ["postgres", "chief", "pg_monitor"] {
        let said = world.connector.read(&object(name, None), Want::PLAN).await.unwrap_err();
        assert_eq!(said.refusal(), Some(Refusal::Forbidden), "{said}");
        assert!(world.connector.create(&new(name)).await.is_err(), "{name}");
        assert!(world.connector.delete(&object(name, None)).await.is_err(), "{name}");
    }
}

#[tokio::test]
async fn a_comment_that_people_wrote_stays() {
    let (world, db) = (World::new(), server());
    db.by_hand("create role commented login; comment on role commented is 'Ask Bob'").unwrap();
    let bot = object("commented", None);
    let change = Change { record: Some(new("x").record), ..Change::default() };
    let now = world.connector.modify(&bot, &change).await.unwrap();
    assert_eq!(now.record, change.record);
    world.issue(&bot, MARKER, None).await.unwrap();
    let comment = "select shobj_description('commented'::regrole, 'pg_authid')";
    let said = db.by_hand(comment).unwrap();
    assert_eq!((said.len(), said[0].as_str()), (2, "Ask Bob"), "{said:?}");
    assert!(said[1].contains("Sends the bills") && said[1].contains(MARKER), "{said:?}");
}

#[tokio::test]
async fn a_name_with_anything_in_it_is_that_name() {
    let (world, db) = (World::new(), server());
    for name in ["Weird \"name\"; drop role readers; --", "süd'licht \\ €", "a/b%c", " edge "] {
        assert_eq!((postgresql::PLATFORM.kinds()[0].refuse_name)(name), None);
        let bot = world.integration(name).await;
        world.scope(&bot, &["role/readers", "table/shop/public/bill:select"]).await.unwrap();
        let (secret, _) = world.issue(&bot, MARKER, None).await.unwrap();
        assert!(db.lets_in(name, secret.expose()).unwrap());
        assert_eq!(world.connector.delete(&bot).await.unwrap(), Ended::Now);
    }
    assert_eq!(
        db.by_hand("select count(*) from pg_roles where rolname = 'readers'").unwrap(),
        ["1"]
    );
}

#[tokio::test]
async fn neither_the_server_nor_its_log_hears_a_password() {
    let world = World::new();
    let bot = world.integration("quiet").await;
    world.wire.sent();
    let (secret, _) = world.issue(&bot, MARKER, None).await.unwrap();
    let sent = world.wire.sent();
    assert!(sent.iter().any(|(_, said)| said.contains("SCRAM-SHA-256$4096:")), "{}", sent.len());
    assert!(sent.iter().all(|(_, said)| !said.contains(secret.expose())));
    assert!(server().lets_in("quiet", secret.expose()).unwrap());
}

#[tokio::test]
async fn a_password_that_somebody_else_set_is_another_and_bears_no_mark() {
    let (world, db) = (World::new(), server());
    let bot = world.integration("crossed").await;
    let (secret, issued) = world.issue(&bot, MARKER, None).await.unwrap();
    let found = world.connector.find(&bot, TYPE, &secret).await.unwrap().unwrap();
    assert_eq!((found.key_id, found.marker.as_deref()), (issued.key_id.clone(), Some(MARKER)));
    for password in ["theirs", "md5aabbccddeeff00112233445566778899"] {
        db.by_hand(&format!("alter role crossed password '{password}'")).unwrap();
        let all = world.connector.credentials(&bot).await.unwrap().credentials;
        assert!(all.len() == 1 && all[0].key_id != issued.key_id, "{all:?}");
        assert_eq!((&all[0].marker, all[0].issued_at), (&None, None));
        assert_eq!(world.connector.find(&bot, TYPE, &secret).await.unwrap(), None);
        // Ours is gone already, and theirs is not ended in its place.
        let ended = world.connector.end(&bot, &issued.key_id).await.unwrap();
        assert_eq!(ended, Ended::AlreadyGone);
    }
    assert!(
        db.by_hand("select rolpassword is not null from pg_authid where rolname = 'crossed'")
            .unwrap()
            == ["t"]
    );
}

#[tokio::test]
async fn what_has_ended_and_who_is_switched_off_are_refused_and_told_apart() {
    let (world, db) = (World::new(), server());
    let bot = world.integration("ended").await;
    let end = Timestamp::now() + SignedDuration::from_secs(2);
    let (secret, _) = world.issue(&bot, MARKER, Some(end)).await.unwrap();
    let probe = async || world.connector.probe(&bot, TYPE, &secret).await.unwrap();
    assert_eq!(refused(&probe().await), None);
    tokio::time::sleep(std::time::Duration::from_millis(2_500)).await;
    assert_eq!(refused(&probe().await), Some("28P01"));
    let all = world.connector.credentials(&bot).await.unwrap().credentials;
    assert!(!all[0].live, "{all:?}");
    let (secret, _) = world.issue(&bot, MARKER, None).await.unwrap();
    let probe = async || world.connector.probe(&bot, TYPE, &secret).await.unwrap();
    world.switch(&bot, false).await;
    assert_eq!(refused(&probe().await), Some("28000"));
    world.switch(&bot, true).await;
    // Let in and turned away from the database is let in.
    db.by_hand("revoke connect on database postgres from public").unwrap();
    assert_eq!(refused(&probe().await), None);
    db.by_hand("grant connect on database postgres to public").unwrap();
}

#[tokio::test]
async fn sessions_end_with_their_password_and_not_those_of_the_next_one() {
    let (world, db) = (World::new(), server());
    let bot = world.integration("session").await;
    let (first, _) = world.issue(&bot, MARKER, None).await.unwrap();
    let mut old = db.session("session", first.expose()).unwrap();
    let second = MARKER.replace("g1", "g2");
    let (secret, _) = world.issue(&bot, &second, None).await.unwrap();
    assert!(old.is_open(), "it lives on");
    tokio::time::sleep(std::time::Duration::from_millis(3_200)).await;
    let mut new = db.session("session", secret.expose()).unwrap();
    assert_eq!(world.connector.sweep(&bot, Some(MARKER)).await.unwrap(), Children::Swept(1));
    tokio::time::sleep(std::time::Duration::from_millis(300)).await;
    assert!(!old.is_open() && new.is_open());
    world.switch(&bot, false).await;
    tokio::time::sleep(std::time::Duration::from_millis(300)).await;
    assert!(!new.is_open());
    world.switch(&bot, true).await;
    let mut last = db.session("session", secret.expose()).unwrap();
    assert_eq!(world.connector.delete(&bot).await.unwrap(), Ended::Now);
    tokio::time::sleep(std::time::Duration::from_millis(300)).await;
    assert!(!last.is_open(), "also those that were open when it went");
    assert_eq!(world.connector.sweep(&bot, None).await.unwrap(), Children::None);
}

#[tokio::test]
async fn two_roles_sign_in_by_turns_act_as_the_one_that_they_are_made_for_and_go_with_it() {
    let (world, db) = (World::new(), server());
    let bot = world.integration("turns").await;
    world.scope(&bot, &["schema/shop/sales:create", "schema/shop/sales:usage"]).await.unwrap();
    let (first, a) = world.fill(&bot, MARKER).await.unwrap();
    let in_a = |secret: &domain::Secret| db.lets_in("turns_a", secret.expose()).unwrap();
    assert!(a.key_id.ends_with("@turns_a") && in_a(&first), "{a:?}");
    // It is the other one from its first statement on: what it makes stays when it goes.
    let made = "create table sales.made (id int); select current_user";
    let said = db.say_as(("turns_a", first.expose()), "shop", made).unwrap();
    assert_eq!(said.last().map(String::as_str), Some("turns"));
    db.by_hand_in("shop", "drop table sales.made").unwrap();
    let mut old = db.session("turns_a", first.expose()).unwrap();

    let second = MARKER.replace("g1", "g2");
    let (secret, b) = world.fill(&bot, &second).await.unwrap();
    assert!(b.key_id.ends_with("@turns_b") && in_a(&first) && old.is_open(), "{b:?}");
    assert!(db.lets_in("turns_b", secret.expose()).unwrap());
    let full = world.fill(&bot, &second).await.unwrap_err();
    assert_eq!(full.refusal(), Some(Refusal::Conflict), "{full}");
    let mut new = db.session("turns_b", secret.expose()).unwrap();
    assert_eq!(world.connector.end(&bot, &a.key_id).await.unwrap(), Ended::Now);
    assert_eq!(world.connector.sweep(&bot, Some(MARKER)).await.unwrap(), Children::Swept(1));
    tokio::time::sleep(std::time::Duration::from_millis(300)).await;
    assert!(!in_a(&first) && !old.is_open() && new.is_open());

    // The place is filled again; what was there cannot be ended in the place of what is there now.
    let third = MARKER.replace("g1", "g3");
    let (last, again) = world.fill(&bot, &third).await.unwrap();
    assert!(again.key_id.ends_with("@turns_a") && in_a(&last));
    assert_eq!(world.connector.end(&bot, &a.key_id).await.unwrap(), Ended::AlreadyGone);
    assert!(in_a(&last));
    let all = world.connector.credentials(&bot).await.unwrap().credentials;
    let all: Vec<_> = all.iter().map(|one| (one.key_id.as_str(), one.marker.as_deref())).collect();
    assert_eq!(all, [(&*again.key_id, Some(&*third)), (&*b.key_id, Some(&*second))]);

    // What somebody gave to one of them is seen, and taken away.
    db.by_hand("grant readers to turns_a; alter role turns_b createdb").unwrap();
    let held = world.held(&bot).await;
    assert!(held.contains(&"role/readers".into()) && held.contains(&"attribute/createdb".into()));
    let left = ["schema/shop/sales:create", "schema/shop/sales:usage"];
    world.scope(&bot, &left).await.unwrap();
    assert_eq!(world.held(&bot).await, left);

    // They are no integrations of their own, and off and gone with the one.
    let listed = world.connector.list(Want::PLAN).await.unwrap().integrations;
    assert!(listed.iter().all(|one| !one.key.starts_with("turns_")));
    let own = world.connector.read(&object("turns_a", None), Want::DEED).await.unwrap_err();
    assert_eq!(own.refusal(), Some(Refusal::Forbidden), "{own}");
    world.switch(&bot, false).await;
    tokio::time::sleep(std::time::Duration::from_millis(300)).await;
    assert!(!new.is_open());
    let probe = world.connector.probe(&bot, PAIR, &last).await.unwrap();
    assert_eq!(refused(&probe), Some("28000"));
    world.switch(&bot, true).await;
    assert!(in_a(&last));
    assert_eq!(world.connector.delete(&bot).await.unwrap(), Ended::Now);
    let left = db.by_hand("select rolname from pg_roles where rolname like 'turns%'").unwrap();
    assert!(left.is_empty(), "{left:?}");
}

#[tokio::test]
async fn a_role_that_has_the_name_of_one_of_two_is_left_alone() {
    let (world, db) = (World::new(), server());
    let bot = world.integration("named").await;
    db.by_hand("create role named_b login").unwrap();
    let said = world.fill(&bot, MARKER).await.unwrap_err();
    assert_eq!(said.refusal(), Some(Refusal::Conflict), "{said}");
    assert!(said.to_string().contains("named_b"), "{said}");
    assert_eq!(world.connector.delete(&bot).await.unwrap(), Ended::Now);
    assert_eq!(db.by_hand("select 1 from pg_roles where rolname = 'named_b'").unwrap(), ["1"]);
}

#[tokio::test]
async fn a_role_with_createrole_makes_them_and_says_what_it_cannot_see() {
    let db = server();
    db.by_hand("create role keeper login createrole password 'keeper'").unwrap();
    let world = World::of(db, "keeper", "keeper");
    let bot = world.integration("kept").await;
    let kind = &postgresql::PLATFORM.kinds()[0];
    let can = world.connector.capabilities(kind).await.unwrap();
    assert!(!can.lists_credentials && !can.sweeps_children && !can.disable_reaches_tokens);
    let notes = world.connector.notes().await.join("\n");
    for said in ["pg_authid", "pg_signal_backend", "no superuser"] {
        assert!(notes.contains(said), "{notes}");
    }
    let (secret, issued) = world.issue(&bot, MARKER, None).await.unwrap();
    assert!(db.lets_in("kept", secret.expose()).unwrap());
    let listing = world.connector.credentials(&bot).await.unwrap();
    assert!(!listing.complete && listing.credentials[0].key_id == issued.key_id, "{listing:?}");
    assert_eq!(world.connector.sweep(&bot, None).await.unwrap(), Children::None);
    let session = db.session("kept", secret.expose()).unwrap();
    assert_eq!(world.connector.sweep(&bot, None).await.unwrap(), Children::Unknown);
    drop(session);
    let said = world.scope(&bot, &["table/shop/public/bill:select"]).await.unwrap_err();
    assert_eq!(said.refusal(), Some(Refusal::Forbidden), "{said}");
    assert_eq!(world.connector.end(&bot, &issued.key_id).await.unwrap(), Ended::Now);
    assert!(!db.lets_in("kept", secret.expose()).unwrap());
    assert_eq!(world.connector.delete(&bot).await.unwrap(), Ended::Now);
}

/// Who makes roles and may see nothing of passwords, as on a managed server.
#[tokio::test]
async fn two_roles_take_turns_where_no_password_is_seen_and_nobody_s_that_works_is_written_over() {
    let db = server();
    db.by_hand("create role blind login createrole password 'blind'").unwrap();
    db.by_hand("grant pg_read_all_stats, pg_signal_backend to blind").unwrap();
    let world = World::of(db, "blind", "blind");
    let bot = world.integration("dark").await;
    let whole = async || {
        let listing = world.connector.credentials(&bot).await.unwrap();
        assert!(!listing.complete, "its own password is not seen");
        listing.shows_all_of == [PAIR]
    };
    assert!(whole().await, "none is made yet");
    let (first, a) = world.fill(&bot, MARKER).await.unwrap();
    let second = MARKER.replace("g1", "g2");
    let (secret, b) = world.fill(&bot, &second).await.unwrap();
    assert!(db.lets_in("dark_a", first.expose()).unwrap(), "both work");
    assert!(db.lets_in("dark_b", secret.expose()).unwrap(), "both work");
    assert!(whole().await);
    assert_eq!(world.connector.end(&bot, &a.key_id).await.unwrap(), Ended::Now);
    assert!(!db.lets_in("dark_a", first.expose()).unwrap());
    assert!(whole().await, "it is shut");
    let third = MARKER.replace("g1", "g3");

    // A password that somebody sets there works no more than any: it is written over.
    db.by_hand("alter role dark_a password 'theirs'").unwrap();
    assert!(!db.lets_in("dark_a", "theirs").unwrap() && whole().await);
    let (last, again) = world.fill(&bot, &third).await.unwrap();
    assert!(again.key_id.ends_with("@dark_a") && db.lets_in("dark_a", last.expose()).unwrap());

    // One that works, since its time was lifted too, is not seen: it is known that something may be there.
    assert_eq!(world.connector.end(&bot, &again.key_id).await.unwrap(), Ended::Now);
    let theirs = "alter role dark_a password 'theirs' valid until 'infinity'";
    let late = world.connector.credentials(&bot).await.unwrap();
    assert_eq!((late.credentials.len(), &late.credentials[0].key_id), (1, &b.key_id));
    world.wire.before_a_change(|| drop(server().by_hand(theirs).unwrap()));
    world.fill(&bot, &third).await.unwrap_err();
    assert!(db.lets_in("dark_a", "theirs").unwrap(), "it came in between and is theirs");
    assert!(!whole().await);
    let refused = world.fill(&bot, &third).await.unwrap_err();
    assert_eq!(refused.refusal(), Some(Refusal::Conflict), "{refused}");
    assert!(refused.to_string().contains("pg_authid"), "{refused}");
    assert!(db.lets_in("dark_a", "theirs").unwrap());
    assert_eq!(world.connector.delete(&bot).await.unwrap(), Ended::Now);
}

#[tokio::test]
async fn what_somebody_changed_in_between_is_not_written_over() {
    let (world, db) = (World::new(), server());
    let bot = world.integration("raced").await;
    let other = Change { record: Some(new("y").record), ..Change::default() };
    world.wire.before_a_change(|| {
        server().by_hand("comment on role raced is 'mine now'").unwrap();
    });
    let said = world.connector.modify(&bot, &other).await.unwrap_err();
    assert_eq!(said.refusal(), Some(Refusal::Conflict), "{said}");
    let comment = "select shobj_description('raced'::regrole, 'pg_authid')";
    assert_eq!(db.by_hand(comment).unwrap(), ["mine now"]);
    // Nor is a role that came in the place of the one that was meant.
    world.wire.before_a_change(|| {
        server().by_hand("drop role raced; create role raced login").unwrap();
    });
    let said = world.issue(&bot, MARKER, None).await.unwrap_err();
    assert_eq!(said.refusal(), Some(Refusal::Conflict), "{said}");
    let said = world.connector.delete(&bot).await.unwrap_err();
    assert!(matches!(said, Error::Recreated { .. }), "{said}");
}

#[tokio::test]
async fn what_a_database_does_not_show_is_a_gap_of_those_who_hold_something_in_it() {
    let db = prepared(PostgreSql::start().unwrap());
    let world = World::of(&db, "postgres", &db.password);
    let bot = world.integration("hidden").await;
    let other = world.integration("open").await;
    world.scope(&bot, &["table/shop/public/bill:select"]).await.unwrap();
    db.by_hand("alter database shop allow_connections false").unwrap();
    // The sessions that are open live on.
    let world = World::of(&db, "postgres", &db.password);
    let seen = world.connector.read(&bot, Want::DEED).await.unwrap().unwrap();
    assert_eq!(seen.gaps.len(), 1, "{seen:?}");
    assert!(world.scope(&bot, &[]).await.is_err(), "nothing is concluded from it");
    assert!(world.held(&other).await.is_empty());
    let listed = world.connector.list(Want::PLAN).await.unwrap();
    let gaps = listed.integrations.iter().filter(|one| !one.gaps.is_empty()).count();
    assert_eq!((gaps, listed.is_complete()), (1, false));
    assert!(world.connector.delete(&bot).await.is_err());
}

#[tokio::test]
async fn a_plan_costs_as_much_for_many_roles_as_for_one() {
    let db = prepared(PostgreSql::start().unwrap());
    let world = World::of(&db, "postgres", &db.password);
    let mut all = Vec::new();
    for at in 0..20 {
        all.push(world.integration(&format!("one-{at}")).await);
    }
    world.scope(&all[3], &["table/shop/public/bill:select"]).await.unwrap();
    let world = World::of(&db, "postgres", &db.password);
    for one in &all {
        world.connector.read(one, Want::LEAN).await.unwrap().unwrap();
    }
    let sent: Vec<String> = world.wire.sent().into_iter().map(|(what, _)| what).collect();
    assert_eq!(sent, ["SELECT ourselves", "SELECT roles", "SELECT grants of {database}"]);
}

#[tokio::test]
async fn a_connection_says_what_is_wrong_with_it_and_no_secret() {
    let db = server();
    for (user, password, said) in [
        ("postgres", "wrong", "password is not accepted"),
        ("nobody-there", "x", "password is not accepted"),
    ] {
        let world = World::of(db, user, password);
        let error = world.connector.tenant().await.unwrap_err();
        assert_eq!(error.refusal(), Some(Refusal::Unauthorized), "{error}");
        assert!(
            error.to_string().contains(said) && !error.to_string().contains("wrong"),
            "{error}"
        );
    }
}
