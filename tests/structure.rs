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
    ("deployer", &["protocol", "runtime", "framework"]),
    ("learning", &["protocol", "runtime", "executor", "framework"]),
    ("simulator", &["protocol", "runtime", "master", "agent", "executor", "framework"]),
];

/// What decides, and therefore does no IO, beside every `core.rs` and `core/`; a directory stands for all files below it.
const CORES: &[&str] = &[
    "actors/protocol/src",
    "actors/allocator/src",
    "actors/runtime/src/outbox.rs",
    "actors/runtime/src/commit_queue.rs",
    "actors/runtime/src/failure_detector.rs",
    "actors/runtime/src/placement.rs",
    "actors/runtime/src/held.rs",
    "actors/framework/src/batch.rs",
    "actors/framework/src/batch",
    "actors/deployer/src/placement.rs",
    "actors/deployer/src/state.rs",
    "actors/deployer/src/topics.rs",
    "actors/learning/src/blocks.rs",
    "actors/learning/src/combine",
    "actors/learning/src/kernel",
    "actors/learning/src/optimiser",
    "actors/learning/src/prepare",
    "actors/learning/src/program",
    "actors/learning/src/tree",
    "actors/learning/src/coordinator_core.rs",
    "actors/learning/src/coordinator_core",
    "actors/learning/src/model.rs",
    "actors/learning/src/scaling_model",
    "actors/simulator/src",
];

/// What a core may not name: clocks, sockets, files, threads, actors, unordered maps, chance. A path is
/// forbidden if it begins with one of these, or if one of these single words is a part of it.
const FORBIDDEN_IN_CORES: &[&str] = &[
    "std::fs",
    "std::net",
    "std::thread",
    "std::process",
    "std::env",
    "std::time::Instant",
    "std::io::stdin",
    "std::io::stdout",
    "std::io::stderr",
    "Instant::now",
    "SystemTime",
    "tokio",
    "actix_rt",
    "actix::prelude",
    "actix::Actor",
    "actix::Addr",
    "actix::Context",
    "actix::Handler",
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

/// The members among what a manifest depends on in any way, by whatever name it calls them.
fn members_used(manifest: &toml::Table) -> BTreeSet<String> {
    let mut used = BTreeSet::new();
    for (key, value) in manifest {
        let Some(table) = value.as_table() else { continue };
        if key.ends_with("dependencies") {
            for (name, how) in table {
                let package = how.get("package").and_then(toml::Value::as_str).unwrap_or(name);
                let folder = how.get("path").and_then(toml::Value::as_str).and_then(|path| path.rsplit('/').next());
                used.extend(package.strip_prefix("odeon-").or(folder).map(str::to_owned));
            }
        } else {
            used.extend(members_used(table));
        }
    }
    used
}

#[test]
fn members_depend_on_each_other_only_along_the_allowed_edges() {
    for (member, allowed) in EDGES {
        let manifest = read(&root().join("actors").join(member).join("Cargo.toml"));
        let used = members_used(&manifest.parse().expect("a manifest"));
        let allowed: BTreeSet<String> = allowed.iter().map(|member| (*member).to_owned()).collect();
        assert!(used.is_subset(&allowed), "{member} depends on {:?}", used.difference(&allowed));
    }
}

#[test]
fn an_edge_is_seen_in_every_way_to_write_it() {
    let ways = [
        "[dependencies]\nodeon-master.workspace = true",
        "[dependencies.odeon-master]\npath = \"../master\"",
        "[dev-dependencies]\nboss = { package = \"odeon-master\", path = \"../master\" }",
        "[target.'cfg(unix)'.build-dependencies]\nboss = { path = \"../master\" }",
    ];
    for way in ways {
        assert_eq!(members_used(&way.parse().expect("a manifest")), ["master".to_owned()].into(), "{way}");
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

/// The paths that a file names above its tests, with those of grouped imports written out.
fn named_paths(text: &str) -> BTreeSet<String> {
    let shipped = text.split("#[cfg(test)]").next().expect("split gives at least one part");
    let code = shipped.lines().filter(|line| !line.trim_start().starts_with("//")).collect::<Vec<_>>().join(" ");
    let words = code.split(|c: char| !c.is_alphanumeric() && !"_:".contains(c));
    let mut paths: BTreeSet<String> = words.map(|word| word.trim_end_matches(':').to_owned()).collect();
    for import in code.split("use ").skip(1).filter_map(|rest| rest.split(';').next()) {
        let tree: String = import.split_whitespace().collect::<Vec<_>>().join(" ");
        write_out("", &tree, &mut paths);
    }
    paths
}

/// Adds the paths of `a::{b, c::{d, e as f}}`: `a::b`, `a::c::d`, `a::c::e`.
fn write_out(before: &str, tree: &str, paths: &mut BTreeSet<String>) {
    let Some((head, rest)) = tree.split_once('{') else {
        let name = tree.split(" as ").next().expect("split gives at least one part");
        paths.insert(format!("{before}{}", name.trim().trim_end_matches("::*")));
        return;
    };
    let group = rest.rsplit_once('}').map_or(rest, |(group, _)| group);
    let (mut depth, mut start) = (0, 0);
    let before = format!("{before}{}", head.trim());
    for (position, character) in group.char_indices() {
        match character {
            '{' => depth += 1,
            '}' => depth -= 1,
            ',' if depth == 0 => {
                write_out(&before, &group[start..position], paths);
                start = position + 1;
            }
            _ => {}
        }
    }
    write_out(&before, &group[start..], paths);
}

fn is_forbidden(path: &str) -> bool {
    FORBIDDEN_IN_CORES.iter().any(|word| match word.contains("::") {
        true => path == *word || path.starts_with(&format!("{word}::")) || path.ends_with(&format!("::{word}")),
        false => path.split("::").any(|part| part == *word),
    })
}

/// The files that [`CORES`] lists, and every `core.rs` and `core/` of a member; without those of tests.
fn core_files() -> BTreeSet<PathBuf> {
    let listed = CORES.iter().flat_map(|core| rust_files(&root().join(core)));
    let named = rust_files(&root().join("actors")).into_iter().filter(|file| {
        file.components().any(|part| part.as_os_str() == "core") || file.file_name().is_some_and(|n| n == "core.rs")
    });
    let is_shipped = |file: &PathBuf| {
        let stem = file.file_stem().map(|stem| stem.to_string_lossy().into_owned()).unwrap_or_default();
        let in_tests = file.components().any(|part| part.as_os_str().to_string_lossy().ends_with("_test"));
        !in_tests && !stem.ends_with("_test") && !["testkit", "fixture"].contains(&stem.as_str())
    };
    listed.chain(named).filter(is_shipped).collect()
}

#[test]
fn cores_do_no_io_and_know_neither_clock_nor_chance_nor_actors() {
    let mut found = Vec::new();
    for file in core_files() {
        let paths = named_paths(&read(&file)).into_iter().filter(|path| is_forbidden(path));
        found.extend(paths.map(|path| format!("{}: {path}", file.display())));
    }
    assert_eq!(found, Vec::<String>::new());
}

#[test]
fn io_in_a_core_is_seen_in_every_way_to_write_it() {
    let ways = [
        "use std::{fs, io};",
        "use std::fs as disk;",
        "use std::collections::{BTreeMap, HashMap};",
        "use actix::{Addr, Message};",
        "fn f() { let _ = std::fs::read(\"a\"); }",
        "fn f() -> std::time::SystemTime { loop {} }",
        "fn f() { assert!(Instant::now() > x); }",
        "impl A { fn f() { tokio::spawn(g()); } }",
    ];
    for way in ways {
        assert!(named_paths(way).iter().any(|path| is_forbidden(path)), "{way}");
    }
    let fine = "use actix::Message; #[cfg(test)] mod tests { use std::fs; } fn f(now: Instant) { let _ = now; }";
    assert!(!named_paths(fine).iter().any(|path| is_forbidden(path)));
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

/// An export that names no roles takes its messages from every member of the cluster.
#[test]
fn every_actor_of_a_role_says_from_whom_it_takes_its_messages() {
    let mut lists = 0;
    for member in ["master", "deployer", "agent", "executor", "framework", "learning"] {
        for file in rust_files(&root().join("actors").join(member).join("src")) {
            if file.file_stem().is_some_and(|name| name.to_string_lossy().ends_with("_test")) {
                continue;
            }
            let text = read(&file);
            let shipped = text.split("#[cfg(test)]").next().expect("split gives at least one part");
            for list in shipped.split("Exports::new()").skip(1) {
                let is_limited = list.trim_start().starts_with(".only_from(&[PeerRole::");
                assert!(is_limited, "a list of {} names no roles", file.display());
                lists += 1;
            }
        }
    }
    assert!(lists >= 9, "only {lists} lists were found");
}

/// Finds `remote_message!(Type => Reply, "name", …)` in the sources of the members.
fn wire_names() -> BTreeMap<String, String> {
    let mut names = BTreeMap::new();
    for file in rust_files(&root().join("actors")) {
        let of_tests = |folder: &str| folder == "tests" || folder.ends_with("_test");
        if file.components().any(|part| of_tests(&part.as_os_str().to_string_lossy())) {
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
