//! The registry on a real disk: what comes back, what is refused, and that what is refused stays as it was.

use super::embedded::{EmbeddedStore, FORMAT};
use super::open::{JOURNAL_FILE, OLD_JOURNAL_FILE, STORE_FILE};
use super::rows::changes_of;
use super::store::RegistryStore;
use super::*;
use crate::record::{Record, Registry};
use odeon_protocol::agent::AgentInfo;
use odeon_protocol::framework::FrameworkInfo;
use odeon_protocol::id::{AgentId, FrameworkId};
use odeon_protocol::messages::Epoch;
use odeon_protocol::messages::operations::Drain;
use odeon_protocol::messages::quota::RoleQuota;
use odeon_protocol::resources::Scalar;
use odeon_runtime::{Journal, RecordLog};
use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

/// Bits that are flipped, one after the other.
const FLIP_COUNT: usize = 20;

fn agent(number: u32) -> AgentId {
    AgentId::new(format!("m-S{number}")).unwrap()
}

fn framework(number: u32) -> FrameworkId {
    FrameworkId::new(format!("m-F{number}")).unwrap()
}

fn admitted(number: u32) -> Record {
    let resources = "cpus:1;mem:64".parse().unwrap();
    let info = AgentInfo {
        hostname: "h".into(),
        endpoint: "h:1".into(),
        resources,
        attributes: BTreeMap::new(),
        reserved: Default::default(),
    };
    Record::AgentAdmitted { agent_id: agent(number), info, admitted_ms: 7 }
}

/// A life of a master in which every kind of record occurs.
fn life() -> Vec<Record> {
    let mut records = vec![Record::EpochStarted { epoch: Epoch(3) }];
    records.extend((0..4).map(admitted));
    records.extend((0..4).map(|number| Record::FrameworkAdmitted {
        framework_id: framework(number),
        info: FrameworkInfo::new("f"),
        admitted_ms: 8,
    }));
    records.push(Record::AgentUnreachable { agent_id: agent(0) });
    records.push(Record::AgentUnreachable { agent_id: agent(1) });
    records.push(admitted(1));
    records.push(Record::AgentDeactivated { agent_id: agent(3) });
    let drain = Drain { reason: "r".into(), grace_max: None, mark_gone: true, begun_ms: 5, drained: false };
    records.push(Record::AgentDraining { agent_id: agent(3), drain: drain.clone() });
    for (number, reserved) in
        [(1, "cpus(dynamic:a):1"), (1, ""), (2, "mem(dynamic:a):1"), (3, "mem(dynamic:a,dynamic:a/b):1")]
    {
        records.push(Record::AgentReserved { agent_id: agent(number), reserved: reserved.parse().unwrap() });
    }
    records.push(admitted(3));
    records.push(Record::AgentDraining { agent_id: agent(0), drain: drain.clone() });
    records.push(Record::AgentReactivated { agent_id: agent(0) });
    for (number, gone_ms) in [(7, 3), (6, 4), (5, 1)] {
        records.push(admitted(number));
        records.push(Record::AgentDraining { agent_id: agent(number), drain: drain.clone() });
        records.push(Record::AgentGone { agent_id: agent(number), gone_ms });
    }
    records.push(Record::AgentForgotten { agent_id: agent(5) });
    records.push(Record::FrameworkDisconnected { framework_id: framework(2), deadline_ms: 99 });
    records.push(Record::FrameworkDisconnected { framework_id: framework(1), deadline_ms: 98 });
    records.push(Record::FrameworkConnected { framework_id: framework(1) });
    records.push(Record::WeightSet { role: "a/b".parse().unwrap(), weight: Scalar::from_whole(2) });
    records.push(Record::PrioritySet { role: "a/b".parse().unwrap(), priority: 7 });
    for role in ["a", "a/b", "c"] {
        let quota = RoleQuota { guarantees: [("cpus".into(), Scalar::from_whole(1))].into(), ..RoleQuota::default() };
        records.push(Record::QuotaSet { role: role.parse().unwrap(), quota });
    }
    records.push(Record::QuotaSet { role: "c".parse().unwrap(), quota: RoleQuota::default() });
    records.push(Record::QuotaRemoved { role: "a".parse().unwrap() });
    records.push(Record::AgentRemoved { agent_id: agent(2) });
    records.push(Record::FrameworkRemoved { framework_id: framework(3), removed_ms: 10 });
    records.push(Record::FrameworkRemoved { framework_id: framework(0), removed_ms: 20 });
    records.push(Record::FrameworkRemoved { framework_id: framework(1), removed_ms: 15 });
    records.push(Record::FrameworkForgotten { framework_id: framework(3) });
    records
}

fn reopened(directory: &Path) -> Registry {
    open_registry(directory).map(|(_, registry)| registry).unwrap()
}

fn refusal(directory: &Path) -> String {
    let error = open_registry(directory).map(|_| ()).unwrap_err();
    odeon_runtime::AppendError::of(&error).reason
}

#[test]
fn what_was_written_comes_back_as_if_it_were_added_up() {
    let directory = tempfile::tempdir().unwrap();
    let (mut log, empty) = open_registry(directory.path()).unwrap();
    assert_eq!(empty, Registry::default());
    for records in life().chunks(3) {
        log.append(records).unwrap();
    }
    drop(log);
    assert_eq!(reopened(directory.path()), Registry::of(life()));
    assert_eq!(reopened(directory.path()), Registry::of(life()), "reading changes nothing");
}

#[test]
fn a_master_that_was_replaced_cannot_change_the_registry() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join(STORE_FILE);
    EmbeddedStore::create(&path, &[]).unwrap();
    let mut store = EmbeddedStore::open(&path).unwrap();
    let first = store.read().unwrap().version;
    let second = store.commit(first, &changes_of(&admitted(1))).unwrap();
    let conflict = store.commit(first, &changes_of(&admitted(2))).unwrap_err();
    assert!(matches!(conflict, StoreError::Conflict { expected, found } if expected == first && found == second));
    let contents = store.read().unwrap();
    assert_eq!((contents.version, contents.records), (second, vec![admitted(1)]));
}

#[test]
fn the_journal_of_the_first_version_is_taken_over_once() {
    let directory = tempfile::tempdir().unwrap();
    let (mut journal, _, _) = Journal::<Record>::open(directory.path().join(JOURNAL_FILE)).unwrap();
    journal.append(&life()).unwrap();
    drop(journal);
    let mut expected = Registry::of(life());
    assert_eq!(reopened(directory.path()), expected);
    assert!(directory.path().join(OLD_JOURNAL_FILE).exists() && !directory.path().join(JOURNAL_FILE).exists());
    let (mut log, _) = open_registry(directory.path()).unwrap();
    log.append(&[Record::EpochStarted { epoch: Epoch(4) }]).unwrap();
    drop(log);
    expected.epoch = Epoch(4);
    assert_eq!(reopened(directory.path()), expected, "the journal is not read again");
}

#[test]
fn a_damaged_journal_is_refused_and_stays() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join(JOURNAL_FILE);
    fs::write(&path, b"something else altogether").unwrap();
    let refused = refusal(directory.path());
    assert!(refused.contains("registry.journal") && refused.contains("not a journal"), "{refused}");
    assert_eq!(fs::read(&path).unwrap(), b"something else altogether");
    assert!(!directory.path().join(STORE_FILE).exists());
}

/// Places all over the file, each in turn: the flip is found, or it lies where nothing is kept.
#[test]
fn a_flipped_bit_is_refused_or_harmless_and_a_refused_file_stays_byte_for_byte() {
    let directory = tempfile::tempdir().unwrap();
    let (mut log, _) = open_registry(directory.path()).unwrap();
    log.append(&life()).unwrap();
    drop(log);
    let path = directory.path().join(STORE_FILE);
    let good = fs::read(&path).unwrap();
    let places: Vec<usize> = good.iter().enumerate().filter(|(_, byte)| **byte != 0).map(|(place, _)| place).collect();
    let mut refused_count = 0;
    let step = places.len() / FLIP_COUNT;
    for place in places.into_iter().step_by(step) {
        let mut bad = good.clone();
        bad[place] ^= 0x10;
        fs::write(&path, &bad).unwrap();
        match open_registry(directory.path()) {
            Ok((_, registry)) => assert_eq!(registry, Registry::of(life()), "byte {place}"),
            Err(error) => {
                refused_count += 1;
                assert!(error.to_string().contains(STORE_FILE), "{error}");
                assert!(fs::read(&path).unwrap() == bad, "byte {place} changed the file");
            }
        }
    }
    assert!(refused_count > 0, "no flip was noticed");
}

#[test]
fn a_cut_file_a_foreign_file_and_an_empty_file_are_refused() {
    let directory = tempfile::tempdir().unwrap();
    drop(open_registry(directory.path()).unwrap());
    let path = directory.path().join(STORE_FILE);
    let good = fs::read(&path).unwrap();
    for bad in [&good[..good.len() / 2], b"no registry at all", b""] {
        fs::write(&path, bad).unwrap();
        let refused = refusal(directory.path());
        assert!(refused.contains(STORE_FILE) && refused.contains("damaged"), "{refused}");
        assert!(fs::read(&path).unwrap() == bad, "the file has changed");
    }
}

#[test]
fn a_newer_file_is_refused_with_both_formats() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join(STORE_FILE);
    EmbeddedStore::create_with_format(&path, FORMAT + 1).unwrap();
    let refused = refusal(directory.path());
    assert!(refused.contains("has format 2, this program reads 1"), "{refused}");
}

#[test]
fn a_registry_in_use_is_refused() {
    let directory = tempfile::tempdir().unwrap();
    let _open = open_registry(directory.path()).unwrap();
    let refused = refusal(directory.path());
    assert!(refused.contains("in use by another process"), "{refused}");
}

#[test]
fn a_directory_that_cannot_be_written_is_named() {
    let directory = tempfile::tempdir().unwrap();
    // A directory in the place of the new file refuses also those whom permissions do not bind.
    fs::create_dir(directory.path().join("registry.redb.new")).unwrap();
    fs::set_permissions(directory.path(), fs::Permissions::from_mode(0o500)).unwrap();
    let refused = refusal(directory.path());
    fs::set_permissions(directory.path(), fs::Permissions::from_mode(0o700)).unwrap();
    assert!(refused.contains("cannot create") && refused.contains("registry.redb.new"), "{refused}");
}
