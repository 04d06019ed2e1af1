//! Tests of layering, origins and refusals, through `load` and real files.

use std::net::IpAddr;
use std::path::PathBuf;
use std::time::Duration;

use super::*;
use crate::config::HumanDuration;

/// A file of the given text, and the directory that keeps it alive.
struct Written {
    _directory: tempfile::TempDir,
    path: PathBuf,
}

fn written(text: &str) -> Written {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("role.toml");
    std::fs::write(&path, text).unwrap();
    Written { _directory: directory, path }
}

fn environment(variables: &[(&str, &str)]) -> BTreeMap<String, String> {
    variables.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}

fn from_environment<T: RoleConfig>(variables: &[(&str, &str)]) -> Result<Loaded<T>, ConfigError> {
    load(None, &environment(variables), &[])
}

fn from_flags<T: RoleConfig>(flags: &[(&str, &str)]) -> Result<Loaded<T>, ConfigError> {
    let flags: Vec<(&str, String)> = flags.iter().map(|(key, text)| (*key, (*text).to_owned())).collect();
    load(None, &BTreeMap::new(), &flags)
}

/// The text of the refusal, with the path of the file as `FILE`.
fn file_refusal<T: RoleConfig + std::fmt::Debug>(text: &str) -> String {
    let file = written(text);
    let error = load::<T>(Some(&file.path), &BTreeMap::new(), &[]).unwrap_err();
    error.to_string().replace(&file.path.display().to_string(), "FILE")
}

fn shown_origin<T: RoleConfig>(loaded: &Loaded<T>, key: &str) -> String {
    loaded.entries().iter().find(|entry| entry.key == key).unwrap().origin.to_string()
}

#[test]
fn without_any_layer_the_defaults_hold_and_say_so() {
    let loaded = from_flags::<AgentConfig>(&[]).unwrap();
    assert_eq!(loaded.value, AgentConfig::default());
    assert_eq!(loaded.origins.len(), 26);
    assert!(loaded.origins.values().all(|origin| *origin == Origin::Default));
}

#[test]
fn every_default_is_valid() {
    assert_eq!(MasterConfig::default().validate(), Ok(()));
    assert_eq!(AgentConfig::default().validate(), Ok(()));
    assert_eq!(LocalConfig::default().validate(), Ok(()));
}

#[test]
fn a_later_layer_wins_and_each_value_knows_its_own() {
    let file = written("version = 1\nport = 1\nbind = '10.0.0.1'\noffer_timeout = '1s'\n");
    let variables = environment(&[("ODEON_MASTER__PORT", "2"), ("ODEON_MASTER__OFFER_TIMEOUT", "2s")]);
    let flags = [("offer_timeout", "3s".to_owned())];
    let loaded = load::<MasterConfig>(Some(&file.path), &variables, &flags).unwrap();
    assert_eq!(loaded.value.bind, "10.0.0.1".parse::<IpAddr>().unwrap());
    assert_eq!((loaded.value.port, loaded.value.offer_timeout.get()), (2, Duration::from_secs(3)));
    assert_eq!(shown_origin(&loaded, "bind"), format!("{}:3", file.path.display()));
    assert_eq!(shown_origin(&loaded, "port"), "ODEON_MASTER__PORT");
    assert_eq!(shown_origin(&loaded, "offer_timeout"), "flag");
    assert_eq!(shown_origin(&loaded, "work_dir"), "default");
}

#[test]
fn of_two_flags_for_one_key_the_last_wins() {
    assert_eq!(from_flags::<LocalConfig>(&[("agents", "3"), ("agents", "4")]).unwrap().value.agents, 4);
}

#[test]
fn text_takes_the_type_of_its_key() {
    let flags = [("hostname", "123"), ("port", "0"), ("sandbox_keep", "true"), ("attributes", "rack:a;zone:b")];
    let agent = from_flags::<AgentConfig>(&flags).unwrap().value;
    assert_eq!((agent.hostname.as_deref(), agent.port, agent.sandbox_keep), (Some("123"), 0, true));
    assert_eq!(agent.attributes, "rack:a;zone:b");
    let flags = [("cpus", "2"), ("mem", "1GiB"), ("data_dir", "/srv/x")];
    let local = from_flags::<LocalConfig>(&flags).unwrap().value;
    assert_eq!((local.cpus, local.mem.unwrap().mib()), (Some(2.0), 1024.0));
    assert_eq!(local.data_dir, Some(PathBuf::from("/srv/x")));
}

#[test]
fn the_word_auto_unsets_what_a_weaker_layer_set() {
    let file = written("hostname = 'a'\nresources = 'cpus:4'\nadvertise = 'h:1'\n");
    let variables = environment(&[("ODEON_AGENT__HOSTNAME", "auto"), ("ODEON_AGENT__ADVERTISE", "auto")]);
    let agent = load::<AgentConfig>(Some(&file.path), &variables, &[]).unwrap().value;
    assert_eq!((agent.hostname, agent.advertise), (None, None));
    assert_eq!(agent.resources.as_deref(), Some("cpus:4"));
}

#[test]
fn tables_merge_entry_by_entry_and_each_entry_knows_its_origin() {
    let file = written("[weights]\na = 1\n\"eng/b\" = 2.5\nc = 3\n");
    let variables =
        environment(&[("ODEON_MASTER__WEIGHTS", "{c = 4, 'x.y' = 5}"), ("ODEON_MASTER__WEIGHTS__Team", "6")]);
    let flags = [("weights.a", "7.5".to_owned())];
    let loaded = load::<MasterConfig>(Some(&file.path), &variables, &flags).unwrap();
    let weights: Vec<_> = loaded.value.weights.iter().map(|(role, weight)| (role.as_str(), *weight)).collect();
    assert_eq!(weights, [("Team", 6.0), ("a", 7.5), ("c", 4.0), ("eng/b", 2.5), ("x.y", 5.0)]);
    assert_eq!(shown_origin(&loaded, "weights.eng/b"), format!("{}:3", file.path.display()));
    assert_eq!(shown_origin(&loaded, "weights.c"), "ODEON_MASTER__WEIGHTS");
    assert_eq!(shown_origin(&loaded, "weights.x.y"), "ODEON_MASTER__WEIGHTS");
    assert_eq!(shown_origin(&loaded, "weights.a"), "flag");
}

#[test]
fn an_empty_table_takes_nothing_away() {
    let file = written("weights = { a = 2 }\n");
    let loaded = load::<MasterConfig>(Some(&file.path), &BTreeMap::new(), &[("weights", "{}".to_owned())]).unwrap();
    assert_eq!(loaded.value.weights, BTreeMap::from([("a".to_owned(), 2.0)]));
}

#[test]
fn entries_are_written_as_in_a_file() {
    let entries = from_flags::<MasterConfig>(&[("weights.a", "2")]).unwrap().entries();
    let shown: BTreeMap<_, _> = entries.iter().map(|entry| (entry.key.as_str(), entry.value.as_str())).collect();
    assert_eq!((shown["port"], shown["offer_timeout"], shown["advertise"]), ("5050", "\"30s\"", "\"auto\""));
    assert_eq!((shown["min_allocatable_mem"], shown["weights.a"]), ("\"32MiB\"", "2.0"));
    assert!(!shown.contains_key("weights"));
}

#[test]
fn variables_of_other_roles_and_of_clients_are_left_alone() {
    let variables = [
        ("ODEON_MASTER", "host:5050"),
        ("ODEON_LOG", "debug"),
        ("ODEON_AGENT__NONSENSE", "1"),
        ("ODEON_LOCAL__AGENTS", "9"),
        ("PATH", "/bin"),
    ];
    assert_eq!(from_environment::<MasterConfig>(&variables).unwrap().value, MasterConfig::default());
}

#[test]
fn an_unknown_key_of_a_file_is_pointed_at_with_the_nearest_key() {
    let error = file_refusal::<MasterConfig>("version = 1\n  offer_timout = '30s'\n");
    let expected = "FILE:2:3: unknown key `offer_timout`\n  |\n2 |   offer_timout = '30s'\n  \
                    |   ^^^^^^^^^^^^ did you mean `offer_timeout`?";
    assert_eq!(error, expected);
}

#[test]
fn an_unknown_table_is_pointed_at_by_its_header() {
    let error = file_refusal::<MasterConfig>("[weight]\na = 1\n");
    assert!(error.starts_with("FILE:1:2: unknown key `weight`"), "{error}");
    assert!(error.ends_with("^^^^^^ did you mean `weights`?"), "{error}");
    assert!(file_refusal::<MasterConfig>("[zzz]\n").starts_with("FILE:1:2: unknown key `zzz`"));
}

#[test]
fn an_unknown_variable_is_refused_with_the_nearest_one() {
    let refusal = |name| from_environment::<MasterConfig>(&[(name, "1")]).unwrap_err().to_string();
    assert_eq!(
        refusal("ODEON_MASTER__OFFER_TIMOUT"),
        "ODEON_MASTER__OFFER_TIMOUT: unknown key `offer_timout` (did you mean `ODEON_MASTER__OFFER_TIMEOUT`?)"
    );
    assert_eq!(refusal("ODEON_MATSER__PORT"), "ODEON_MATSER__PORT: unknown role (did you mean `ODEON_MASTER__`?)");
    assert!(refusal("ODEON_X__PORT").ends_with("(known: ODEON_MASTER__, ODEON_AGENT__, ODEON_LOCAL__, ODEON_TLS__)"));
    assert!(refusal("ODEON_MASTER__").starts_with("ODEON_MASTER__: unknown key `` (known: advertise, "));
}

#[test]
fn an_unknown_flag_key_is_refused_with_the_nearest_one() {
    let error = from_flags::<LocalConfig>(&[("agent", "1")]).unwrap_err().to_string();
    assert_eq!(error, "flag: unknown key `agent` (did you mean `agents`?)");
}

#[test]
fn a_wrong_type_names_key_and_origin_in_every_layer() {
    let error = file_refusal::<MasterConfig>("\nport = '5050'\n");
    let message = "`port`: invalid type: string \"5050\", expected a whole number from 0 to 65535";
    assert_eq!(error, format!("FILE:2:8: {message}\n  |\n2 | port = '5050'\n  |        ^^^^^^"));
    let error = from_environment::<MasterConfig>(&[("ODEON_MASTER__PORT", "x")]).unwrap_err().to_string();
    let message = "`port`: invalid type: string \"x\", expected a whole number from 0 to 65535";
    assert_eq!(error, format!("ODEON_MASTER__PORT: {message}"));
    let error = from_flags::<MasterConfig>(&[("port", "70000")]).unwrap_err().to_string();
    assert_eq!(error, "flag: `port`: invalid value: integer `70000`, expected a whole number from 0 to 65535");
}

#[test]
fn a_table_where_a_single_value_belongs_is_refused_and_the_reverse() {
    let error = file_refusal::<MasterConfig>("[port]\na = 1\n");
    assert!(error.starts_with("FILE:2:5: `port.a`: invalid type: map, expected a whole number"), "{error}");
    let error = file_refusal::<MasterConfig>("weights = 3\n");
    assert!(error.starts_with("FILE:1:11: `weights`: invalid type: integer `3`, expected a table"), "{error}");
    let error = file_refusal::<MasterConfig>("[weights]\nb = 'x'\n");
    assert!(error.starts_with("FILE:2:5: `weights.b`: invalid type: string \"x\", expected a number"), "{error}");
    assert!(from_flags::<MasterConfig>(&[("weights", "2")]).is_err());
}

#[test]
fn a_duration_or_size_without_unit_is_refused_whether_text_or_number() {
    let error = from_flags::<MasterConfig>(&[("offer_timeout", "30")]).unwrap_err().to_string();
    assert_eq!(error, "flag: `offer_timeout`: `30` has no unit, write one of ns, us, ms, s, m, h, d");
    let error = file_refusal::<MasterConfig>("min_allocatable_mem = 32\n");
    assert!(error.starts_with("FILE:1:23: `min_allocatable_mem`: invalid type: integer `32`, expected a size"));
    let error = file_refusal::<LocalConfig>("mem = 32\n");
    assert!(error.contains("`mem`: invalid type: integer `32`, expected a size with its unit"), "{error}");
}

#[test]
fn another_version_is_refused_before_its_unknown_keys() {
    let error = file_refusal::<LocalConfig>("nodes = 3\nversion = 2\n");
    assert!(error.starts_with("FILE:2:11: `version`: version 2 is not known, this build reads version 1"), "{error}");
}

#[test]
fn values_out_of_range_name_their_key_and_origin() {
    let refusal = |key: &str, text: &str| {
        let error = from_flags::<MasterConfig>(&[(key, text)]).unwrap_err().to_string();
        error.strip_prefix("flag: ").unwrap().to_owned()
    };
    assert_eq!(refusal("offer_timeout", "0s"), "`offer_timeout`: must be longer than 0s");
    assert_eq!(refusal("agent_ping_timeouts_max", "0"), "`agent_ping_timeouts_max`: must be at least 1");
    assert_eq!(refusal("min_allocatable_cpus", "nan"), "`min_allocatable_cpus`: must be 0 or more");
    assert_eq!(refusal("weights.a", "0"), "`weights.a`: 0 is not above 0");
    assert_eq!(refusal("work_dir", ""), "`work_dir`: must not be empty");
    let error = file_refusal::<LocalConfig>("version = 1\nagents = 0\n");
    assert!(error.starts_with("FILE:2:10: `agents`: 0 is not from 1 to 256\n"), "{error}");
}

#[test]
fn agents_and_local_clusters_check_their_ranges_too() {
    for (key, text) in [("cpus", "0"), ("cpus", "inf"), ("mem", "0B"), ("data_dir", ""), ("agents", "257")] {
        let error = from_flags::<LocalConfig>(&[(key, text)]).unwrap_err().to_string();
        assert!(error.starts_with(&format!("flag: `{key}`: ")), "{error}");
    }
    let zero = ["executor_registration_timeout", "registration_backoff_min", "status_retry_min"].map(|key| (key, "0s"));
    for (key, text) in zero.into_iter().chain([("hostname", " "), ("resources", ""), ("work_dir", "")]) {
        let error = from_flags::<AgentConfig>(&[(key, text)]).unwrap_err().to_string();
        assert!(error.starts_with(&format!("flag: `{key}`: must ")), "{error}");
    }
}

#[test]
fn of_two_values_at_odds_the_one_that_was_set_is_blamed() {
    let error = from_flags::<AgentConfig>(&[("registration_backoff_max", "500ms")]).unwrap_err().to_string();
    let reason = "registration_backoff_min is 1s, which is longer than registration_backoff_max with 500ms";
    assert_eq!(error, format!("flag: `registration_backoff_max`: {reason}"));
    let error = from_flags::<AgentConfig>(&[("status_retry_min", "1h")]).unwrap_err().to_string();
    assert!(error.starts_with("flag: `status_retry_min`: status_retry_min is 1h"), "{error}");
    let equal = [("status_retry_min", "10m")];
    assert_eq!(from_flags::<AgentConfig>(&equal).unwrap().value.status_retry_min, HumanDuration::from_secs(600));
}

#[test]
fn a_file_that_is_absent_or_not_toml_is_refused_by_name() {
    let error = load::<LocalConfig>(Some(Path::new("/nowhere/x.toml")), &BTreeMap::new(), &[]).unwrap_err();
    assert!(error.to_string().starts_with("cannot read /nowhere/x.toml: "));
    assert!(file_refusal::<LocalConfig>("agents = \n").starts_with("FILE:1:10: not valid TOML: "));
}

#[test]
fn a_hostile_value_stays_on_one_line_of_its_message() {
    let error = from_environment::<MasterConfig>(&[("ODEON_MASTER__ADVERTISE", "a\n\u{1b}[2J")]).unwrap_err();
    assert!(!error.to_string().contains(['\n', '\u{1b}']), "{error:?}");
}

#[test]
fn variables_of_no_role_fill_the_tls_table_of_every_role_that_has_one_and_those_of_the_role_win() {
    let all = [("ODEON_TLS__CA", "ca"), ("ODEON_TLS__CERT", "cert"), ("ODEON_TLS__KEY", "key")];
    let own = [
        ("ODEON_AGENT__TLS__CERT", "own"),
        ("ODEON_AGENT__TLS__EXECUTOR_CERT", "e"),
        ("ODEON_AGENT__TLS__EXECUTOR_KEY", "k"),
    ];
    let both = [&all[..], &own].concat();
    let loaded = from_environment::<AgentConfig>(&both).unwrap();
    let (agent, executor) = (loaded.value.tls.files().unwrap(), loaded.value.tls.executor_files().unwrap());
    assert_eq!((agent.ca, agent.cert, agent.key), ("ca".into(), "own".into(), "key".into()));
    assert_eq!((executor.ca, executor.cert, executor.key), ("ca".into(), "e".into(), "k".into()));
    assert_eq!(shown_origin(&loaded, "tls.cert"), "ODEON_AGENT__TLS__CERT");
    assert_eq!(shown_origin(&loaded, "tls.key"), "ODEON_TLS__KEY");
    assert!(from_environment::<MasterConfig>(&both).unwrap().value.tls.files().is_some());
    assert!(from_environment::<TlsConfig>(&both).unwrap().value.files().is_some());
    assert!(from_environment::<LocalConfig>(&both).is_ok());
}

#[test]
fn credentials_are_all_of_their_files_or_none() {
    assert_eq!(from_flags::<MasterConfig>(&[]).unwrap().value.tls.files(), None);
    let refused = from_flags::<MasterConfig>(&[("tls.ca", "a"), ("tls.key", "k")]).unwrap_err().to_string();
    assert!(refused.contains("`tls.ca`: is set and tls.cert is not"), "{refused}");
    let three = [("tls.ca", "a"), ("tls.cert", "c"), ("tls.key", "k")];
    let refused = from_flags::<AgentConfig>(&three).unwrap_err().to_string();
    assert!(refused.contains("tls.executor_cert is not"), "{refused}");
    let refused = from_flags::<MasterConfig>(&[("tls.cart", "a")]).unwrap_err().to_string();
    assert!(refused.contains("cart") && refused.contains("cert"), "{refused}");
}
