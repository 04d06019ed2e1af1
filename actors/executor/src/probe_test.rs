//! Probes against real processes and real ports.

use super::*;
use nix::sys::signal::kill;
use nix::unistd::Pid;
use odeon_protocol::id::{ContainerId, TaskId};
use odeon_protocol::task::TaskExit;
use std::collections::BTreeMap;
use std::time::Duration;
use tempfile::TempDir;
use tokio::net::TcpListener;

fn surroundings(sandbox: &TempDir) -> Surroundings {
    Surroundings {
        base_environment: BTreeMap::from([("PATH".to_owned(), "/usr/bin:/bin".to_owned())]).into(),
        container_id: ContainerId::new("c").unwrap(),
        task_id: TaskId::new("t").unwrap(),
        sandbox: sandbox.path().to_owned(),
    }
}

fn shell(script: &str) -> Probe {
    let argv = ["sh", "-c", script].map(str::to_owned).to_vec();
    Probe::Command(CommandInfo { argv, environment: BTreeMap::new(), working_directory: None })
}

async fn answer(probe: Probe, timeout: Duration) -> CheckResult {
    let sandbox = tempfile::tempdir().unwrap();
    ask(Check { timeout, ..Check::new(probe) }, surroundings(&sandbox)).await
}

/// Takes one connection, and answers it with this text.
async fn server(text: &'static [u8]) -> u16 {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let port = listener.local_addr().unwrap().port();
    actix_rt::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        let mut request = [0; 1024];
        let read = stream.read(&mut request).await.unwrap();
        assert!(request[..read].starts_with(b"GET /health?full HTTP/1.1\r\nHost: 127.0.0.1:"));
        stream.write_all(text).await.unwrap();
    });
    port
}

const LONG: Duration = Duration::from_secs(60);

#[actix_rt::test]
async fn a_command_answers_by_its_exit_in_the_surroundings_of_the_task() {
    assert_eq!(answer(shell("test $ODEON_TASK_ID = t && test $PWD = $ODEON_SANDBOX"), LONG).await, exit(0));
    assert_eq!(answer(shell("exit 3"), LONG).await, exit(3));
    let missing = CommandInfo { argv: vec!["/no/such".into()], environment: [].into(), working_directory: None };
    assert_eq!(answer(Probe::Command(missing), LONG).await, exit(127));
}

fn exit(code: i32) -> CheckResult {
    CheckResult::Exit(TaskExit::Code(code))
}

#[actix_rt::test]
async fn an_http_server_answers_by_its_status() {
    let http = |port| Probe::Http { port, path: "/health?full".into() };
    let ok = server(b"HTTP/1.0 204 No Content\r\n\r\n").await;
    assert_eq!(answer(http(ok), LONG).await, CheckResult::HttpStatus(204));
    let busy = server(b"HTTP/1.1 503 Busy\r\n").await;
    assert_eq!(answer(http(busy), LONG).await, CheckResult::HttpStatus(503));
    let other = server(b"SSH-2.0-nothing\r\n").await;
    assert_eq!(answer(http(other), LONG).await, CheckResult::NoAnswer);
}

#[actix_rt::test]
async fn a_port_answers_by_taking_a_connection() {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let port = listener.local_addr().unwrap().port();
    assert_eq!(answer(Probe::Tcp { port }, LONG).await, CheckResult::Connected(true));
    drop(listener);
    assert_eq!(answer(Probe::Tcp { port }, LONG).await, CheckResult::Connected(false));
    assert_eq!(answer(Probe::Http { port, path: "/".into() }, LONG).await, CheckResult::NoAnswer);
}

#[actix_rt::test]
async fn an_answer_that_takes_too_long_is_none_and_its_processes_end() {
    tokio::time::pause();
    let sandbox = tempfile::tempdir().unwrap();
    let check = Check { timeout: LONG, ..Check::new(shell("echo $$ > pid.new; mv pid.new pid; exec sleep 86397")) };
    let asked = actix_rt::spawn(ask(check, surroundings(&sandbox)));
    let pid = loop {
        // The clock stands still as long as there is something to do.
        tokio::task::yield_now().await;
        if let Ok(text) = std::fs::read_to_string(sandbox.path().join("pid")) {
            break Pid::from_raw(text.trim().parse().unwrap());
        }
    };
    tokio::time::advance(LONG).await;
    assert_eq!(asked.await.unwrap(), CheckResult::NoAnswer);
    while kill(pid, None).is_ok() {
        tokio::task::yield_now().await;
    }
}

#[test]
fn a_status_is_read_from_the_first_line_only() {
    assert_eq!(status_of(b"HTTP/1.1 200"), Some(200));
    for none in [&b""[..], b"HTTP/1.1", b"HTTP/1.1 99", b"HTTP/1.1 abc", b"ICY 200 OK", b"\nHTTP/1.1 200"] {
        assert_eq!(status_of(none), None);
    }
}
