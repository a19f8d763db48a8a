//! From an empty home: the core finds the provider in a filesystem mirror and needs no registry.

use std::{fs, process::Command};

use acceptance_tests::{Result, World, mirror};

use crate::{BASE, holds, in_world};

/// The version that the built provider says it is.
fn version(world: &World) -> Result<String> {
    let told = Command::new(&world.programs.provider)
        .arg("--version")
        .output()
        .map_err(|error| error.to_string())?;
    let told = String::from_utf8_lossy(&told.stdout).into_owned();
    Ok(told.split_whitespace().next_back().unwrap_or_default().to_owned())
}

#[test]
fn init_and_plan_work_from_an_empty_home_under_either_registry_s_name() {
    in_world(BASE, |world| {
        let home = world.root().join("home");
        let fail = |error: std::io::Error| error.to_string();
        fs::remove_dir_all(&home).map_err(fail)?;
        fs::create_dir_all(&home).map_err(fail)?;
        let folder =
            mirror::fill(&world.root().join("mirror"), &world.programs.provider, &version(world)?)?;
        fs::write(home.join("cli.rc"), mirror::cli_configuration(&folder)).map_err(fail)?;
        for source in [
            "open-nhi/nhi",
            "registry.terraform.io/open-nhi/nhi",
            "registry.opentofu.org/open-nhi/nhi",
        ] {
            let _ = fs::remove_dir_all(world.folder.join(".terraform"));
            let _ = fs::remove_file(world.folder.join(".terraform.lock.hcl"));
            world.write("main.tf", &BASE.replace("\"open-nhi/nhi\"", &format!("{source:?}")))?;
            let said = world.terraform(&["init"])?.expect(0)?;
            holds(said.contains("open-nhi/nhi v"), "it is found by its name", &said)?;
            let said = world.plan()?.expect(2)?;
            holds(!said.contains("development overrides"), "and not by an override", &said)?;
            holds(said.contains("6 to add"), "all of it is planned", &said)?;
        }
        Ok(())
    });
}
