//! The shape of the house: who may depend on whom, what stays out of cores, and names on the wire.
//!
//! These tests read the tree, not the behaviour.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

/// The allowed edges between members: each crate and the members that it may depend on.
const EDGES: &[(&str, &[&str])] = &[
    ("protocol", &[]),
    ("runtime", &["protocol"]),
    ("allocator", &["protocol"]),
    ("master", &["protocol", "runtime", "allocator"]),
    ("agent", &["protocol", "runtime"]),
    ("executor", &["protocol", "runtime"]),
    ("framework", &["protocol", "runtime"]),
    ("learning", &["protocol", "runtime", "executor", "framework"]),
];

/// What decides, and therefore does no IO; a directory stands for all files below it.
const CORES: &[&str] = &[
    "actors/protocol/src",
    "actors/allocator/src",
    "actors/runtime/src/outbox.rs",
    "actors/runtime/src/commit_queue.rs",
    "actors/master/src/core.rs",
    "actors/master/src/core",
    "actors/agent/src/core.rs",
    "actors/agent/src/core",
    "actors/executor/src/core.rs",
    "actors/framework/src/core.rs",
    "actors/framework/src/batch.rs",
    "actors/learning/src/blocks.rs",
    "actors/learning/src/kernel",
    "actors/learning/src/optimiser",
    "actors/learning/src/program.rs",
    "actors/learning/src/coordinator_core.rs",
    "actors/learning/src/model.rs",
];

/// What a core may not name: clocks, sockets, files, threads, actors, unordered maps, chance.
const FORBIDDEN_IN_CORES: &[&str] = &[
    "std::fs",
    "std::net",
    "std::thread",
    "std::process",
    "std::env",
    "std::io::std",
    "Instant::now",
    "SystemTime",
    "tokio::",
    "actix_rt",
    "actix::prelude",
    "actix::Actor",
    "HashMap",
    "HashSet",
    "new_v4",
    "thread_rng",
];

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn read(path: &Path) -> String {
    std::fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn rust_files(below: &Path) -> Vec<PathBuf> {
    if below.is_file() {
        return vec![below.to_owned()];
    }
    let entries = std::fs::read_dir(below).unwrap_or_else(|error| panic!("{}: {error}", below.display()));
    let mut files: Vec<PathBuf> = entries
        .map(|entry| entry.expect("a readable directory").path())
        .flat_map(|path| if path.is_dir() { rust_files(&path) } else { vec![path] })
        .filter(|path| path.extension().is_some_and(|extension| extension == "rs"))
        .collect();
    files.sort();
    files
}

fn all_rust_files() -> Vec<PathBuf> {
    ["src", "actors", "examples", "tests"].iter().flat_map(|folder| rust_files(&root().join(folder))).collect()
}

#[test]
fn members_depend_on_each_other_only_along_the_allowed_edges() {
    for (member, allowed) in EDGES {
        let manifest = read(&root().join("actors").join(member).join("Cargo.toml"));
        let used: BTreeSet<&str> = manifest
            .lines()
            .filter_map(|line| line.strip_prefix("odeon-"))
            .map(|rest| rest.split(['.', ' ', '=']).next().expect("split gives at least one part"))
            .collect();
        let allowed: BTreeSet<&str> = allowed.iter().copied().collect();
        assert!(used.is_subset(&allowed), "{member} depends on {:?}", used.difference(&allowed));
    }
}

#[test]
fn every_member_has_its_edges_listed_and_takes_the_lints_of_the_workspace() {
    let listed: BTreeSet<String> = EDGES.iter().map(|(member, _)| (*member).to_owned()).collect();
    let entries = std::fs::read_dir(root().join("actors")).expect("actors/ is there");
    let found: BTreeSet<String> =
        entries.map(|entry| entry.expect("readable").file_name().to_string_lossy().into_owned()).collect();
    assert_eq!(found, listed);
    for member in listed {
        let manifest = read(&root().join("actors").join(&member).join("Cargo.toml"));
        assert!(manifest.contains("[lints]\nworkspace = true"), "{member}");
    }
}

#[test]
fn cores_do_no_io_and_know_neither_clock_nor_chance_nor_actors() {
    let mut found = Vec::new();
    for core in CORES {
        for file in rust_files(&root().join(core)) {
            if file.file_stem().is_some_and(|stem| stem.to_string_lossy().ends_with("_test")) {
                continue;
            }
            let text = read(&file);
            let shipped = text.split("#[cfg(test)]").next().expect("split gives at least one part");
            let words = FORBIDDEN_IN_CORES.iter().filter(|word| shipped.contains(**word));
            found.extend(words.map(|word| format!("{}: {word}", file.display())));
        }
    }
    assert_eq!(found, Vec::<String>::new());
}

#[test]
fn every_file_says_first_what_it_is_for() {
    let silent: Vec<PathBuf> = all_rust_files().into_iter().filter(|file| !read(file).starts_with("//!")).collect();
    assert_eq!(silent, Vec::<PathBuf>::new());
}

#[test]
fn no_file_is_longer_than_800_lines() {
    let long: Vec<PathBuf> = all_rust_files().into_iter().filter(|file| read(file).lines().count() > 800).collect();
    assert_eq!(long, Vec::<PathBuf>::new());
}

/// Finds `remote_message!(Type => Reply, "name", …)` in the sources of the members.
fn wire_names() -> BTreeMap<String, String> {
    let mut names = BTreeMap::new();
    for file in rust_files(&root().join("actors")) {
        if file.components().any(|part| part.as_os_str() == "tests") {
            continue;
        }
        let name = file.file_stem().map(|stem| stem.to_string_lossy().into_owned()).unwrap_or_default();
        if name.ends_with("_test") || name == "testkit" || name == "wire" {
            continue;
        }
        let text = read(&file);
        let shipped = text.split("#[cfg(test)]").next().expect("split gives at least one part");
        let lines = shipped.lines().filter(|line| !line.trim_start().starts_with("//"));
        let shipped = lines.collect::<Vec<_>>().join("\n");
        for declaration in shipped.split("remote_message!(").skip(1) {
            let message = declaration.split_whitespace().next().expect("a message type").to_owned();
            let name = declaration.split('"').nth(1).expect("a wire name").to_owned();
            assert_eq!(names.insert(name.clone(), message), None, "{name} is declared twice");
        }
    }
    names
}

/// A wire name is never changed or reused once released: this list only grows.
#[test]
fn wire_names_are_those_of_the_golden_list() {
    let declared: Vec<String> = wire_names().into_keys().collect();
    let golden = read(&root().join("tests/fixtures/wire_names.txt"));
    let golden: Vec<&str> = golden.lines().filter(|line| !line.starts_with('#') && !line.is_empty()).collect();
    assert_eq!(declared, golden);
}
