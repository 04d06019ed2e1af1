//! Asks a task one question, by a command, over HTTP or TCP, and reads the answer.
//!
//! It decides nothing about it. Only the loopback address is asked: a task is where its executor is.

use crate::command::{ProcessGroup, exit_of};
use crate::surroundings::{Surroundings, not_started};
use odeon_protocol::executor::CommandInfo;
use odeon_protocol::task::{Check, CheckResult, Probe};
use std::net::Ipv4Addr;
use std::process::Stdio;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// The first line of an HTTP answer is looked for in so many bytes.
const STATUS_LINE_BYTES_MAX: u64 = 4096;

/// Asks once; an answer that takes too long is none.
pub(crate) async fn ask(check: Check, surroundings: Surroundings) -> CheckResult {
    let answer = async {
        match &check.probe {
            Probe::Command(command) => ask_command(command, &surroundings).await,
            Probe::Http { port, path } => {
                ask_http(*port, path).await.map_or(CheckResult::NoAnswer, CheckResult::HttpStatus)
            }
            Probe::Tcp { port } => CheckResult::Connected(connect(*port).await.is_some()),
        }
    };
    tokio::time::timeout(check.timeout, answer).await.unwrap_or(CheckResult::NoAnswer)
}

/// Its processes end with the answer, also when it comes too late.
async fn ask_command(info: &CommandInfo, surroundings: &Surroundings) -> CheckResult {
    let started = surroundings.prepare(info).and_then(|mut command| {
        command.stdout(Stdio::null()).stderr(Stdio::null());
        command.spawn().map_err(|error| not_started(&info.argv[0], &error))
    });
    match started {
        Ok(mut child) => {
            let _group = ProcessGroup::of(&child);
            child.wait().await.map_or(CheckResult::NoAnswer, |status| CheckResult::Exit(exit_of(status)))
        }
        Err(failure) => failure.exit.map_or(CheckResult::NoAnswer, CheckResult::Exit),
    }
}

async fn ask_http(port: u16, path: &str) -> Option<u16> {
    let mut stream = connect(port).await?;
    let head =
        format!("GET {path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nUser-Agent: odeon\r\nConnection: close\r\n\r\n");
    stream.write_all(head.as_bytes()).await.ok()?;
    let mut answer = stream.take(STATUS_LINE_BYTES_MAX);
    let mut read = Vec::new();
    while !read.contains(&b'\n') {
        if answer.read_buf(&mut read).await.ok()? == 0 {
            break;
        }
    }
    status_of(&read)
}

async fn connect(port: u16) -> Option<TcpStream> {
    TcpStream::connect((Ipv4Addr::LOCALHOST, port)).await.ok()
}

/// The status in a first line such as `HTTP/1.1 200 OK`.
fn status_of(answer: &[u8]) -> Option<u16> {
    let line = answer.split(|byte| *byte == b'\n').next()?;
    let mut words = std::str::from_utf8(line).ok()?.split_ascii_whitespace();
    words.next().filter(|version| version.starts_with("HTTP/"))?;
    words.next()?.parse().ok().filter(|status| (100..1000).contains(status))
}

#[cfg(test)]
#[path = "probe_test.rs"]
mod tests;
