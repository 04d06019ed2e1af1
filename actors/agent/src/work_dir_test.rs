//! Journals that are whole, torn, damaged or given up.

use super::*;
use odeon_protocol::id::AgentId;
use odeon_protocol::messages::Epoch;

const UPDATES_MAX: usize = 10;

fn admitted(epoch: u64) -> Record {
    Record::Admitted { agent_id: Some(AgentId::new("m-S1").unwrap()), epoch: Epoch(epoch) }
}

fn work_dir() -> (tempfile::TempDir, WorkDir) {
    let directory = tempfile::tempdir().unwrap();
    let work_dir = WorkDir::make(&directory.path().join("work")).unwrap();
    (directory, work_dir)
}

fn open(work_dir: &WorkDir, recover: Recover) -> Result<Checkpoint, StartAgentError> {
    work_dir.open_journal(recover, UPDATES_MAX).map(|(_, checkpoint)| checkpoint)
}

#[test]
fn a_journal_that_was_cut_at_any_byte_says_what_its_whole_records_say_or_is_refused() {
    let (_directory, work_dir) = work_dir();
    let path = work_dir.path.join(JOURNAL);
    let mut ends = vec![(0, 0)];
    let (mut journal, _) = work_dir.open_journal(Recover::Reconnect, UPDATES_MAX).unwrap();
    for epoch in 1..=3 {
        ends.push((std::fs::metadata(&path).unwrap().len(), epoch - 1));
        journal.append(&[admitted(epoch)]).unwrap();
    }
    drop(journal);
    let bytes = std::fs::read(&path).unwrap();
    ends.push((bytes.len() as u64, 3));
    let (mut recovered, mut refused) = (0, 0);
    for cut in 0..=bytes.len() {
        std::fs::write(&path, &bytes[..cut]).unwrap();
        match open(&work_dir, Recover::Reconnect) {
            Ok(checkpoint) => {
                let whole = ends.iter().rev().find(|(end, _)| *end <= cut as u64).unwrap().1;
                assert_eq!(checkpoint.epoch, Epoch(whole), "cut at {cut}");
                recovered += 1;
            }
            Err(StartAgentError::Unreadable(_)) => {
                assert!(cut < 16, "only a part of the header is no journal: cut at {cut}");
                assert_eq!(std::fs::read(&path).unwrap(), &bytes[..cut]);
                refused += 1;
            }
            Err(error) => panic!("cut at {cut}: {error}"),
        }
    }
    println!("cuts recovered {recovered}, refused {refused}, of {}", bytes.len() + 1);
}

#[test]
fn a_damaged_journal_is_refused_with_its_path_and_given_up_only_on_request_under_a_free_name() {
    let (_directory, work_dir) = work_dir();
    let path = work_dir.path.join(JOURNAL);
    let (mut journal, _) = work_dir.open_journal(Recover::Reconnect, UPDATES_MAX).unwrap();
    journal.append(&[admitted(1), admitted(2)]).unwrap();
    drop(journal);
    let mut bytes = std::fs::read(&path).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    for number in 1..=2 {
        std::fs::write(&path, &bytes).unwrap();
        let Err(refused @ StartAgentError::Unreadable(_)) = open(&work_dir, Recover::Reconnect) else {
            panic!("a damaged journal is taken")
        };
        assert!(refused.to_string().contains("recover=fresh"), "{refused}");
        let cause = std::error::Error::source(&refused).unwrap().to_string();
        assert!(cause.contains(path.to_str().unwrap()), "{cause}");
        assert_eq!(std::fs::read(&path).unwrap(), bytes);
        assert_eq!(open(&work_dir, Recover::Fresh).unwrap(), Checkpoint::default());
        assert_eq!(std::fs::read(work_dir.path.join(format!("agent.journal.aside-{number}"))).unwrap(), bytes);
    }
}

#[test]
fn any_port_means_the_port_of_the_last_time() {
    let (_directory, work_dir) = work_dir();
    let any = Endpoint::new("0.0.0.0:0");
    assert_eq!(work_dir.last_port(&any), None);
    work_dir.tell_endpoint(&Endpoint::new("127.0.0.1:4711")).unwrap();
    assert_eq!(work_dir.last_port(&any), Some(Endpoint::new("0.0.0.0:4711")));
    assert_eq!(work_dir.last_port(&Endpoint::new("0.0.0.0:5051")), None);
}
