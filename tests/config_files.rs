//! The files of `config/` are the reference for operators: each holds every key of its role, at its default.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use odeon::config::{AgentConfig, Loaded, LocalConfig, MasterConfig, RoleConfig, load};

fn directory() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("config")
}

fn load_file<T: RoleConfig>() -> Loaded<T> {
    let path = directory().join(format!("{}.toml", T::ROLE));
    load(Some(&path), &BTreeMap::new(), &[]).expect("a file of config/ is sound")
}

/// The file equals the defaults, and each key of the role stands in it on a line of its own.
fn assert_shows_every_default<T: RoleConfig + PartialEq + std::fmt::Debug>() {
    let loaded = load_file::<T>();
    assert_eq!(loaded.value, T::default());
    let path = directory().join(format!("{}.toml", T::ROLE)).display().to_string();
    for entry in loaded.entries() {
        let origin = entry.origin.to_string();
        assert!(origin.starts_with(&format!("{path}:")), "{} is not in {path}: {origin}", entry.key);
    }
}

#[test]
fn the_master_file_shows_every_key_at_its_default() {
    assert_shows_every_default::<MasterConfig>();
}

#[test]
fn the_agent_file_shows_every_key_at_its_default() {
    assert_shows_every_default::<AgentConfig>();
}

#[test]
fn the_local_file_shows_every_key_at_its_default() {
    assert_shows_every_default::<LocalConfig>();
}

#[test]
fn the_directory_holds_one_file_for_each_role_and_no_other() {
    let names = fs::read_dir(directory()).expect("config/ is there").map(|entry| entry.expect("readable").file_name());
    let mut names: Vec<String> = names.map(|name| name.to_string_lossy().into_owned()).collect();
    names.sort();
    assert_eq!(names, ["agent.toml", "local.toml", "master.toml"]);
}

#[test]
fn the_embedded_reference_is_the_file() {
    let on_disk = |role: &str| fs::read_to_string(directory().join(format!("{role}.toml"))).expect("readable");
    assert_eq!(MasterConfig::COMMENTED_DEFAULTS, on_disk("master"));
    assert_eq!(AgentConfig::COMMENTED_DEFAULTS, on_disk("agent"));
    assert_eq!(LocalConfig::COMMENTED_DEFAULTS, on_disk("local"));
}
