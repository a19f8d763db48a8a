//! What browsers and pipelines make of the reports, and of the examples for them.

use std::path::Path;

use acceptance_tests::{programs, servers};
use serde_json::{Value, json};

fn example(name: &str) -> std::path::PathBuf {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../examples/ci")).join(name)
}

#[test]
fn the_examples_for_pipelines_are_what_their_platforms_take() {
    for name in ["github.yml", "review-github.yml"] {
        servers::linters::github(&example(name)).unwrap();
    }
    for name in ["gitlab.yml", "review-gitlab.yml"] {
        servers::linters::gitlab(&example(name)).unwrap();
    }
    // And a slip would be seen.
    let folder = tempfile::tempdir().unwrap();
    let with_slip = |name: &str, from: &str, to: &str| {
        let text = std::fs::read_to_string(example(name)).unwrap();
        assert!(text.contains(from), "{name}");
        let path = folder.path().join(name);
        std::fs::write(&path, text.replace(from, to)).unwrap();
        path
    };
    let slip = with_slip("github.yml", "${{ github.token }}", "${{ github.tokn }}");
    assert!(servers::linters::github(&slip).is_err());
    let slip = with_slip("gitlab.yml", "exit_codes: [3]", "exit_codes: [x]");
    assert!(servers::linters::gitlab(&slip).is_err());
}

#[test]
fn the_examples_for_pipelines_say_what_nhi_understands() {
    let nhi = programs::built().unwrap().nhi;
    let folder = tempfile::tempdir().unwrap();
    for (name, begin) in [("github.yml", "nhi drift "), ("gitlab.yml", "- nhi drift ")] {
        let text = std::fs::read_to_string(example(name)).unwrap().replace("\\\n", " ");
        let line = text.lines().find_map(|line| line.trim().strip_prefix(begin)).unwrap();
        let words: Vec<&str> =
            line.split_whitespace().filter(|word| !word.starts_with("\"${")).collect();
        let done = std::process::Command::new(&nhi)
            .arg("drift")
            .args(&words)
            .current_dir(folder.path())
            .env_remove("NHI_CONFIG")
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&done.stderr).into_owned();
        // Every word is known; what is missing is the first file that is named.
        assert!(said.contains("E-BASELINE"), "{name}: {said}");
    }
}

#[test]
#[ignore = "second ring: cargo xtask test second"]
fn a_page_of_thousands_of_rows_is_searched_sorted_and_printed_in_a_real_browser() {
    let hostile = "</script><img src=x onerror=alert(1)>";
    let folder = tempfile::tempdir().unwrap();
    let third_party = |name: &str| {
        json!({ "address": "nhi_integration.x", "type": "nhi_integration", "mode": "managed",
            "values": { "id": format!("none/third_party/{name}"), "kind": "third_party",
                "purpose": "p", "expires_on": "2020-01-01", "third_party": {} } })
    };
    let names = (1..3000).map(|at| format!("app-{at:04}")).chain([hostile.to_owned()]);
    let resources: Vec<Value> = names.map(|name| third_party(&name)).collect();
    let state =
        json!({ "format_version": "1.0", "values": { "root_module": { "resources": resources } } });
    std::fs::write(folder.path().join("state.json"), state.to_string()).unwrap();
    std::fs::write(folder.path().join("nhi.hcl"), "ledger = { none = true }\n").unwrap();
    let done = std::process::Command::new(programs::built().unwrap().nhi)
        .args(["drift", "--state", "state.json", "--report", "html=drift.html"])
        .current_dir(folder.path())
        .env_remove("NHI_CONFIG")
        .output()
        .unwrap();
    assert_eq!(done.status.code(), Some(4), "{done:?}");
    let page = folder.path().join("drift.html");
    let seen = servers::browser::look_at(&page, "app-0013").unwrap();
    let requests = seen["requests"].as_array().unwrap();
    assert!(requests.iter().all(|one| one.as_str().unwrap().ends_with("/drift.html")), "{seen}");
    assert_eq!(
        seen["complaints"],
        json!([]),
        "nothing is refused and nothing foreign runs: {seen}"
    );
    assert_eq!(seen["foreign"], 0, "{seen}");
    assert_eq!(seen["title"], "nhi drift: 3000 difference(s)");
    assert_eq!(seen["all"], json!([200, "3000 of 3000, page 1 of 15"]));
    assert_eq!(seen["focus"], "search", "the keyboard leads there");
    assert_eq!(seen["searched"][0], 1);
    assert_eq!((&seen["cleared"], &seen["critical"]), (&json!(200), &json!(0)));
    let id = |name: &str| format!("none/third_party/{name}");
    assert_eq!(seen["up"], json!(["ascending", id(hostile)]));
    assert_eq!(seen["down"], json!(["descending", id("app-2999")]));
    assert_eq!((&seen["printed"], &seen["after"]), (&json!(3000), &json!(200)));
    assert_ne!(seen["light"], seen["dark"]);
    assert_eq!(seen["plain"], 3000, "without its script all rows stand there");
}
