//! A command that was started: what it has printed so far, signals to it, and its end.

use std::io::Read;
use std::os::unix::process::ExitStatusExt;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex};
use std::thread;

use nix::sys::signal::Signal;

use super::{eventually, process};

/// A command that may still run. It is killed when dropped.
pub(crate) struct Running {
    /// The command line, for messages.
    pub(crate) name: String,
    child: Child,
    stdout: Captured,
    stderr: Captured,
}

/// How a command has ended.
#[derive(Debug)]
pub(crate) struct Finished {
    /// What a shell would show: the code, or 128 and the number of the signal.
    pub(crate) code: i32,
    pub(crate) stdout: Vec<u8>,
    pub(crate) stderr: String,
}

impl Running {
    /// Starts a command with its output captured.
    pub(crate) fn start(name: String, command: &mut Command) -> Self {
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap_or_else(|error| panic!("cannot start {name}: {error}"));
        let stdout = Captured::from(child.stdout.take().expect("stdout is piped"));
        let stderr = Captured::from(child.stderr.take().expect("stderr is piped"));
        Self { name, child, stdout, stderr }
    }

    /// Its process id.
    pub(crate) fn pid(&self) -> i32 {
        i32::try_from(self.child.id()).expect("a process id is a positive i32")
    }

    /// Sends a signal to it and to nothing else.
    pub(crate) fn signal(&self, signal: Signal) {
        process::signal(self.pid(), signal);
    }

    /// `kill -9`, and waits until it is gone.
    pub(crate) fn kill(mut self) {
        self.signal(Signal::SIGKILL);
        self.wait();
    }

    /// Waits for a whole line on stdout that starts with `label`; returns the first word behind it, if there is one.
    pub(crate) fn stdout_value(&mut self, label: &str) -> String {
        let what = format!("a line \"{label} …\" on the stdout of {}", self.name);
        self.while_alive(&what, |running| {
            let text = String::from_utf8_lossy(&running.stdout.so_far()).into_owned();
            let complete = text.rsplit_once('\n').map(|(lines, _)| lines).unwrap_or_default();
            let rest = complete.lines().find_map(|line| line.strip_prefix(label))?;
            Some(rest.split_whitespace().next().unwrap_or_default().to_owned())
        })
    }

    /// Waits until stderr holds `text`.
    pub(crate) fn wait_for_stderr(&mut self, text: &str) {
        let what = format!("\"{text}\" on the stderr of {}", self.name);
        self.while_alive(&what, |running| running.stderr_so_far().contains(text).then_some(()));
    }

    /// Waits for its end.
    pub(crate) fn end(mut self) -> Finished {
        let status = self.wait();
        let code = status.code().or_else(|| status.signal().map(|signal| 128 + signal));
        let code = code.expect("a process that was waited for has a code or a signal");
        Finished { code, stdout: self.stdout.all(&self.name), stderr: text_of(self.stderr.all(&self.name)) }
    }

    /// What it has told on stderr.
    pub(crate) fn stderr_so_far(&self) -> String {
        text_of(self.stderr.so_far())
    }

    fn wait(&mut self) -> ExitStatus {
        let what = format!("the end of {}", self.name);
        eventually(&what, || self.child.try_wait().expect("a child can be waited for"))
    }

    /// Waits for what only a live process can still bring about.
    fn while_alive<T>(&mut self, what: &str, look: impl Fn(&Self) -> Option<T>) -> T {
        eventually(what, || {
            let ended = self.child.try_wait().expect("a child can be waited for");
            let found = look(self);
            assert!(found.is_some() || ended.is_none(), "ended ({ended:?}) before there was {what}");
            found
        })
    }
}

impl Drop for Running {
    #[expect(clippy::print_stderr, reason = "the test runner shows it with the test that failed")]
    fn drop(&mut self) {
        if thread::panicking() {
            eprintln!("--- stdout of {}\n{}", self.name, text_of(self.stdout.so_far()));
            eprintln!("--- stderr of {}\n{}", self.name, self.stderr_so_far());
        }
        if matches!(self.child.try_wait(), Ok(None)) {
            // Nobody is left to tell of a failure: the stage kills by environment what survives.
            let _ = self.child.kill();
            let _ = self.child.wait();
        }
    }
}

impl Finished {
    /// Its stdout as text.
    pub(crate) fn text(&self) -> &str {
        std::str::from_utf8(&self.stdout).expect("this output is text")
    }

    /// Its stdout as JSON.
    pub(crate) fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.stdout).unwrap_or_else(|error| panic!("no JSON ({error}): {self:?}"))
    }

    /// Requires an exit code, and shows all that was printed if it is another.
    #[track_caller]
    pub(crate) fn expect(self, code: i32) -> Self {
        assert_eq!(self.code, code, "stdout: {}\nstderr: {}", String::from_utf8_lossy(&self.stdout), self.stderr);
        self
    }
}

/// What a pipe has brought so far; a thread reads it, so that the writer never waits.
#[derive(Debug, Clone)]
struct Captured(Arc<Mutex<Capture>>);

#[derive(Debug, Default)]
struct Capture {
    bytes: Vec<u8>,
    closed: bool,
}

impl Captured {
    fn from(mut pipe: impl Read + Send + 'static) -> Self {
        let captured = Self(Arc::default());
        let shared = captured.clone();
        thread::spawn(move || {
            let mut piece = [0; 1 << 16];
            loop {
                let read = pipe.read(&mut piece).unwrap_or(0);
                let mut capture = shared.0.lock().expect("no holder of this lock panics");
                capture.bytes.extend_from_slice(&piece[..read]);
                if read == 0 {
                    capture.closed = true;
                    break;
                }
            }
        });
        captured
    }

    fn so_far(&self) -> Vec<u8> {
        self.0.lock().expect("no holder of this lock panics").bytes.clone()
    }

    /// All of it, once every writer has closed it: a child that outlives the command must not hold it.
    fn all(&self, name: &str) -> Vec<u8> {
        eventually(&format!("the end of the output of {name}, which has ended"), || {
            let capture = self.0.lock().expect("no holder of this lock panics");
            capture.closed.then(|| capture.bytes.clone())
        })
    }
}

fn text_of(bytes: Vec<u8>) -> String {
    String::from_utf8_lossy(&bytes).into_owned()
}
