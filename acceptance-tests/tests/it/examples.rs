//! Every example is run as people would copy it.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
};

use acceptance_tests::{Result, World};

use crate::{BASE, holds, in_world};

const ROOT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/..");

/// What the examples leave to whoever copies them.
const FINANCE: &str = r#"resource "nhi_owner" "finance" {
  name  = "finance-operations"
  email = "finance-ops@acme.example"
}
"#;

fn files(folder: &str, ends: &str) -> Vec<(PathBuf, String)> {
    let mut folders = vec![Path::new(ROOT).join(folder)];
    let mut found = Vec::new();
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).unwrap().flatten() {
            let path = entry.path();
            if path.is_dir() {
                folders.push(path);
            } else if path.to_string_lossy().ends_with(ends) {
                found.push((path.clone(), fs::read_to_string(&path).unwrap()));
            }
        }
    }
    found.sort();
    found
}

/// The blocks of a configuration, each under the words that open it.
fn blocks(text: &str) -> BTreeMap<String, String> {
    let mut blocks = BTreeMap::new();
    let mut open: Option<(String, String)> = None;
    for line in text.lines() {
        let opens = !line.starts_with([' ', '#', '}']) && line.ends_with(['{', '}']);
        if let Some((_, block)) = &mut open {
            *block += &format!("{line}\n");
        } else if opens {
            let name = line.split('{').next().unwrap_or(line).trim().to_owned();
            open = Some((name, format!("{line}\n")));
        }
        let closed = line.starts_with('}') || opens && line.ends_with('}');
        if let Some((name, block)) = open.take_if(|_| closed) {
            blocks.insert(name, block);
        }
    }
    blocks
}

/// Every block of every example, so that what one refers to is there.
fn all_blocks() -> BTreeMap<String, String> {
    let mut all = blocks(FINANCE);
    for folder in ["examples/provider", "examples/resources", "examples/data-sources"] {
        for (path, text) in files(folder, ".tf") {
            let here = blocks(&text);
            let begun = text.lines().filter(|line| line.starts_with(char::is_lowercase)).count();
            assert!(begun > 0 && here.len() == begun, "{}", path.display());
            all.extend(here);
        }
    }
    all
}

/// A text with whatever else it needs around it.
fn completed(text: &str) -> String {
    let mut all = all_blocks();
    for name in blocks(text).keys() {
        all.remove(name);
    }
    all.into_values().fold(text.to_owned() + "\n", |whole, block| whole + &block + "\n")
}

/// The `hcl` blocks of every guide, and where each one stands.
fn of_guides() -> Vec<(String, String)> {
    let mut found = Vec::new();
    for (path, text) in files("docs/guides", ".md") {
        for (number, block) in text.split("```hcl\n").skip(1).enumerate() {
            let code = block.split("```").next().unwrap_or_default().to_owned();
            let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
            found.push((format!("{name}, block {}", number + 1), code));
        }
    }
    found
}

/// A file of `terraform test`, which stands beside a configuration.
fn is_test(code: &str) -> bool {
    code.starts_with("mock_provider")
}

/// A body of `nhi.hcl` or `policy.hcl`, which no core reads.
fn is_configuration(code: &str) -> bool {
    let ours = ["connections", "ledger", "requesters", "review", "tasks"];
    blocks(code).is_empty() || ours.iter().any(|name| code.starts_with(name))
}

fn valid(world: &World, place: &str, text: &str) -> Result<()> {
    world.write("main.tf", text)?;
    world.terraform(&["validate"])?.expect(0).map_err(|error| format!("{place}: {error}"))?;
    Ok(())
}

#[test]
fn every_example_is_applied_and_imported_as_it_stands() {
    in_world(BASE, |world| {
        for (path, text) in files("examples", ".tf") {
            valid(world, &path.display().to_string(), &completed(&text))?;
        }
        let whole: String = all_blocks().into_values().collect::<Vec<_>>().join("\n");
        world.write("main.tf", &whole)?;
        let said = world.plan()?.expect(2)?;
        holds(said.contains("0 to change, 0 to destroy"), "all is new", &said)?;
        world.apply()?;
        world.plan_is_empty()?;
        for (path, text) in files("examples/resources", "import.sh") {
            let place = path.display();
            let words: Vec<&str> = text.split_whitespace().collect();
            let ["terraform", "import", address, id] = words[..] else {
                return Err(format!("{place}: {text}"));
            };
            world.terraform(&["state", "rm", address])?.expect(0)?;
            let said = world.terraform(&["import", address, id]);
            said?.expect(0).map_err(|error| format!("{place}: {error}"))?;
        }
        let said = world.plan()?.said;
        holds(said.contains("0 to add") && said.contains("0 to destroy"), "all is known", &said)
    });
}

#[test]
fn every_configuration_in_a_guide_is_valid_and_can_be_planned() {
    in_world(BASE, |world| {
        let found = of_guides();
        holds(found.len() >= 3, "the guides show configurations", &format!("{found:?}"))?;
        for (place, code) in found {
            if is_configuration(&code) || is_test(&code) {
                continue;
            }
            valid(world, &place, &completed(&code))?;
            let said = world.plan()?.expect(2).map_err(|error| format!("{place}: {error}"))?;
            holds(said.contains("0 to destroy"), &place, &said)?;
        }
        Ok(())
    });
}

#[test]
fn a_configuration_is_tested_on_mocks_as_the_guide_shows_and_without_any_default() {
    in_world(BASE, |world| {
        let whole = || all_blocks().into_values().collect::<Vec<_>>().join("\n");
        world.write("main.tf", &whole())?;
        // Nothing says where anything is.
        fs::remove_file(world.folder.join("nhi.hcl")).map_err(|error| error.to_string())?;
        let tests = world.folder.join("tests");
        fs::create_dir_all(&tests).map_err(|error| error.to_string())?;
        world.write("tests/bare.tftest.hcl", "mock_provider \"nhi\" {}\nrun \"bare\" {}\n")?;
        let said = world.terraform(&["test"])?.expect(0)?;
        holds(said.contains("1 passed, 0 failed"), "random ids are taken", &said)?;
        let shown: Vec<_> = of_guides().into_iter().filter(|(_, code)| is_test(code)).collect();
        let [(_, shown)] = &shown[..] else { return Err(format!("{shown:?}")) };
        world.write("tests/bare.tftest.hcl", shown)?;
        let said = world.terraform(&["test"])?.expect(0)?;
        holds(said.contains("2 passed, 0 failed"), "as the guide shows", &said)?;
        // With an id of a kind, that kind's grammar is asked.
        world.write("main.tf", &whole().replace("invoices/*:read", "invoices/*:raed"))?;
        let said = world.terraform(&["test"])?.expect(1)?;
        holds(said.contains("E-SCOPE-GRAMMAR"), "a slip in a scope is told", &said)
    });
}
