//! The direction of a change, held against what the server itself says is allowed.

use std::collections::{BTreeMap, BTreeSet};

use connector::Platform;
use domain::{Direction, Scope};
use proptest::{
    prelude::*,
    test_runner::{Config, TestRunner},
};
use serde_json::{Value, json};

use crate::world::{KIND, World};

fn pattern() -> impl Strategy<Value = String> {
    let part = prop_oneof![3 => "[ab]", 1 => Just("+".to_owned()), 1 => Just("ab".to_owned())];
    (prop::collection::vec(part, 1..4), any::<bool>(), any::<bool>()).prop_map(
        |(parts, glob, folder)| {
            let text = parts.join("/");
            match (glob, folder || text.ends_with('+')) {
                (true, true) => format!("{text}/*"),
                (true, false) => format!("{text}*"),
                (false, true) if !text.ends_with('+') => format!("{text}/"),
                _ => text,
            }
        },
    )
}

fn rules() -> impl Strategy<Value = BTreeSet<Scope>> {
    let word = prop_oneof![3 => Just("read"), 3 => Just("list"), 1 => Just("deny")];
    prop::collection::btree_set((pattern(), word), 0..6).prop_map(|all| {
        all.iter().map(|(path, word)| Scope::canonical(format!("{path}:{word}"))).collect()
    })
}

/// Every path of up to four segments over a few words, and each as a folder.
fn paths() -> Vec<String> {
    let words = ["a", "b", "ab", "z"];
    let mut all = Vec::new();
    let mut level = vec![String::new()];
    for _ in 0..4 {
        level = level.iter().flat_map(|path| words.map(|word| format!("{path}/{word}"))).collect();
        all.extend(
            level.iter().flat_map(|path| [path[1..].to_owned(), format!("{}/", &path[1..])]),
        );
    }
    all
}

fn text(scopes: &BTreeSet<Scope>) -> String {
    let mut rules: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for scope in scopes {
        let (path, word) = scope.as_str().rsplit_once(':').unwrap();
        rules.entry(path).or_default().push(word);
    }
    let head = ["# rules\n".to_owned()].into_iter();
    head.chain(
        rules.iter().map(|(path, words)| format!("path {path:?} {{ capabilities = {words:?} }}\n")),
    )
    .collect()
}

/// What a token of these rules alone may do, by the server.
async fn allowed(
    world: &World,
    name: &str,
    scopes: &BTreeSet<Scope>,
    paths: &[String],
) -> BTreeMap<String, BTreeSet<String>> {
    world
        .by_hand("POST", &format!("sys/policies/acl/{name}"), json!({"policy": text(scopes)}))
        .await;
    let token =
        json!({"policies": [name], "no_default_policy": true, "type": "batch", "ttl": "1m"});
    let token = world.by_hand("POST", "auth/token/create", token).await;
    let ask = json!({"token": token["auth"]["client_token"], "paths": paths});
    let answer = world.by_hand("POST", "sys/capabilities", ask).await;
    let words = |path: &String| -> BTreeSet<String> {
        let said = answer["data"][path].as_array().unwrap().iter().filter_map(Value::as_str);
        // The server answers for a listing: of a folder nothing else is told.
        let counts = |word: &&str| *word != "deny" && (!path.ends_with('/') || *word == "list");
        said.filter(counts).map(str::to_owned).collect()
    };
    paths.iter().map(|path| (path.clone(), words(path))).collect()
}

#[test]
fn the_direction_is_what_the_server_allows_before_and_after() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let world = runtime.block_on(World::new());
    let paths = paths();
    let mut runner =
        TestRunner::new(Config { cases: 60, failure_persistence: None, ..Config::default() });
    runner
        .run(&(rules(), rules(), any::<bool>()), |(before, other, near)| {
            // Half of the time a neighbour: one rule more or less says more than two strangers.
            let after = if near {
                let mut after = before.clone();
                for scope in other.into_iter().take(1) {
                    if !after.remove(&scope) {
                        after.insert(scope);
                    }
                }
                after
            } else {
                other
            };
            let (was, is) = runtime.block_on(async {
                (
                    allowed(&world, "direction-before", &before, &paths).await,
                    allowed(&world, "direction-after", &after, &paths).await,
                )
            });
            let gains = paths.iter().any(|path| !is[path].is_subset(&was[path]));
            let loses = paths.iter().any(|path| !was[path].is_subset(&is[path]));
            let found = openbao::PLATFORM.direction(KIND, &before, &after);
            let told = format!("{before:?} -> {after:?}: {found:?}");
            prop_assert!(
                !gains || matches!(found, Direction::Widens | Direction::Mixed),
                "{told}, gains"
            );
            prop_assert!(
                !loses || matches!(found, Direction::Narrows | Direction::Mixed),
                "{told}, loses"
            );
            // Of a folder the server tells listing only, and for listing our answer is that of two
            // servers: what else changes is not seen here.
            let unseen = before
                .iter()
                .chain(&after)
                .any(|scope| scope.as_str().contains("/:") || scope.as_str().ends_with(":list"));
            if !gains && !loses && !unseen {
                prop_assert_eq!(found, Direction::None, "{}", told);
            }
            Ok(())
        })
        .unwrap();
}
