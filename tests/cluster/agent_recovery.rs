//! Agents that are killed with `kill -9` and started again: what goes on, what is told, and what ends.
//!
//! The tests carry the numbers of the fault catalogue, and print their figures. Faults at every single step of a
//! task's life are tested beside the core of the agent.

use std::fs;
use std::io::Write;
use std::path::PathBuf;
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Instant;

use nix::sys::signal::Signal;
use odeon_agent::effect::Record;
use odeon_runtime::Journal;

use crate::support::{Process, Roles, Running, Stage, eventually, text};

/// Starts a checkpointing command that writes its number to `pid`, prints `before`, and prints `after` when it may end.
fn start_patient(roles: &Roles<'_>, stage: &Stage) -> Running {
    let here = stage.here();
    let script = format!(
        "echo $$ > {0}/pid.new; mv {0}/pid.new {0}/pid; echo before; until test -e {0}/may-end; do sleep 0.05; done; echo after",
        here.display()
    );
    let mut client = roles.client.odeon(["run", "--checkpoint", "--", "sh", "-c", &script]).start();
    client.stdout_value("before");
    roles.client.wait_for_task("TASK_RUNNING");
    client
}

fn pid_of_patient(stage: &Stage) -> i32 {
    let text = fs::read_to_string(stage.here().join("pid")).expect("the command has written its number");
    text.trim().parse().expect("a number")
}

fn is_alive(stage: &Stage, pid: i32) -> bool {
    stage.processes().iter().any(|process| process.pid == pid)
}

fn wait_for_active(roles: &Roles<'_>, count: usize) {
    eventually("agents that are active", || {
        let agents = roles.client.list("agents");
        (agents.iter().filter(|agent| agent["state"] == "ACTIVE").count() == count).then_some(())
    });
}

#[test]
fn f03_a_checkpointing_command_goes_on_with_the_same_process_through_two_kills_of_its_agent() {
    let stage = Stage::new();
    let mut roles = Roles::start(&stage, 1);
    let client = start_patient(&roles, &stage);
    let (pid, executors) = (pid_of_patient(&stage), stage.executors());
    let agent_id = text(&roles.client.list("agents")[0]["agent_id"]);
    for _ in 0..2 {
        let killed = Instant::now();
        roles.restart_agent(0, &[]);
        wait_for_active(&roles, 1);
        println!("F03: gap {:.2} s", killed.elapsed().as_secs_f64());
    }
    assert!(is_alive(&stage, pid), "the command has kept its process");
    assert_eq!(stage.executors(), executors);
    stage.write("may-end", "");
    assert_eq!(client.end().expect(0).text(), "before\nafter\n");
    let agents = roles.client.list("agents");
    assert_eq!((agents.len(), text(&agents[0]["agent_id"])), (1, agent_id), "the agent has kept its id");
    assert_eq!(roles.client.task_states(), ["TASK_FINISHED"]);
    eventually("the end of the executor", || stage.executors().is_empty().then_some(()));
    roles.interrupt();
    stage.assert_nothing_left();
}

#[test]
fn f03_a_command_that_ends_while_its_agent_is_away_has_finished_and_its_output_is_whole() {
    let stage = Stage::new();
    let mut roles = Roles::start(&stage, 1);
    let client = start_patient(&roles, &stage);
    let pid = pid_of_patient(&stage);
    roles.kill_agent(0);
    stage.write("may-end", "");
    eventually("the end of the command", || (!is_alive(&stage, pid)).then_some(()));
    roles.start_agent_again(0, &[]);
    assert_eq!(client.end().expect(0).text(), "before\nafter\n");
    assert_eq!(roles.client.task_states(), ["TASK_FINISHED"]);
}

#[test]
fn f06_an_executor_that_is_killed_while_its_agent_is_away_has_failed_its_task_and_leaves_nothing() {
    let stage = Stage::new();
    let mut roles = Roles::start(&stage, 1);
    let client = start_patient(&roles, &stage);
    let pid = pid_of_patient(&stage);
    roles.kill_agent(0);
    stage.executors().iter().for_each(Process::kill);
    let killed = Instant::now();
    roles.start_agent_again(0, &[]);
    let finished = client.end().expect(1);
    println!("F06: {:.2} s to the terminal state", killed.elapsed().as_secs_f64());
    assert!(finished.stderr.contains("TASK_FAILED"), "{}", finished.stderr);
    eventually("the end of the orphan", || (!is_alive(&stage, pid)).then_some(()));
    assert_eq!(roles.client.task_states(), ["TASK_FAILED"]);
}

#[test]
fn f08_executors_whose_agent_does_not_come_back_end_themselves_after_the_recovery_window() {
    let stage = Stage::new();
    let silence = ["--set", "agent_ping_timeout=300ms", "--set", "agent_ping_timeouts_max=3"];
    let mut roles = Roles::start_with(&stage, 0, &silence);
    roles.add_agent_with(&["--set", "recovery_timeout=2s"]);
    let client = start_patient(&roles, &stage);
    let pid = pid_of_patient(&stage);
    roles.kill_agent(0);
    let killed = Instant::now();
    assert!(client.end().expect(1).stderr.contains("TASK_LOST"));
    eventually("the end of the command and its executor", || {
        (!is_alive(&stage, pid) && stage.executors().is_empty()).then_some(())
    });
    println!("F08: orphans 0 after {:.2} s", killed.elapsed().as_secs_f64());
    roles.start_agent_again(0, &[]);
    wait_for_active(&roles, 1);
    roles.client.run(&["--", "true"]).expect(0);
}

#[test]
fn f09_an_agent_that_comes_back_as_another_is_refused_unless_it_may_grow() {
    let stage = Stage::new();
    let mut roles = Roles::start(&stage, 1);
    let client = start_patient(&roles, &stage);
    roles.kill_agent(0);
    let more = ["--resources", "cpus:6;mem:1024"];
    let refused = roles.agent_again(0, &more).end().expect(2);
    for part in ["cpus:4", "cpus:6", "reconfiguration_policy=additive", "recover=fresh"] {
        assert!(refused.stderr.contains(part), "{part} is not in {}", refused.stderr);
    }
    let may_grow = [more.as_slice(), &["--set", "reconfiguration_policy=additive"]].concat();
    roles.start_agent_again(0, &may_grow);
    wait_for_active(&roles, 1);
    stage.write("may-end", "");
    client.end().expect(0);
    roles.client.run(&["--cpus", "6", "--", "true"]).expect(0);
}

#[test]
fn f10_after_a_reboot_tasks_are_gone_and_no_stranger_is_signalled() {
    let stage = Stage::new();
    let mut roles = Roles::start(&stage, 1);
    let client = start_patient(&roles, &stage);
    let pid = pid_of_patient(&stage);
    roles.kill_agent(0);
    // What a reboot does: nothing of it lives, and the system says that it is another one.
    for process in stage.processes().iter().filter(|process| process.is_executor() || process.pid == pid) {
        process.kill();
    }
    pretend_reboot(&stage.here().join("agent-1/agent.journal"));
    let mut strangers: Vec<_> =
        (0..20).map(|_| Command::new("sleep").arg("600").spawn().expect("sleep can be started")).collect();
    roles.start_agent_again(0, &[]);
    let finished = client.end().expect(1);
    assert!(finished.stderr.contains("started anew"), "{}", finished.stderr);
    let alive = strangers.iter_mut().filter_map(|stranger| stranger.try_wait().ok()).filter(Option::is_none).count();
    println!("F10: strangers signalled {}", strangers.len() - alive);
    for stranger in &mut strangers {
        stranger.kill().expect("it is ours");
        stranger.wait().expect("it is ours");
    }
    assert_eq!(alive, 20);
}

fn pretend_reboot(path: &std::path::Path) {
    let (journal, mut records, _) = Journal::<Record>::open(path).expect("the journal of an agent that was killed");
    let snapshot = records.iter_mut().find_map(|record| match record {
        Record::Snapshot(checkpoint) => Some(checkpoint),
        _ => None,
    });
    snapshot.expect("a journal begins with a snapshot").boot_id = "the system before".to_owned();
    drop(journal.replace_with(&records).expect("the directory can be written to"));
}

#[test]
fn f11_a_rolling_restart_of_all_agents_loses_no_task() {
    const TASKS: usize = 12;
    let stage = Stage::new();
    let mut roles = Roles::start(&stage, 2);
    let marker = stage.here().join("may-end");
    let script = format!("until test -e {}; do sleep 0.2; done", marker.display());
    let count = TASKS.to_string();
    let arguments = ["run", "--checkpoint", "--instances", &count, "--cpus", "0.1", "--", "sh", "-c", &script];
    let client = roles.client.odeon(arguments).start();
    let running =
        |roles: &Roles<'_>| roles.client.task_states().iter().filter(|state| *state == "TASK_RUNNING").count() == TASKS;
    eventually("all tasks to run", || running(&roles).then_some(()));
    let mut before: Vec<i32> = stage.executors().iter().map(|process| process.pid).collect();
    for index in 0..2 {
        let killed = Instant::now();
        roles.restart_agent(index, &[]);
        wait_for_active(&roles, 2);
        println!("F11: gap of agent {index}: {:.2} s", killed.elapsed().as_secs_f64());
    }
    let mut after: Vec<i32> = stage.executors().iter().map(|process| process.pid).collect();
    before.sort_unstable();
    after.sort_unstable();
    assert_eq!(before, after, "all executors have kept their processes");
    stage.write("may-end", "");
    client.end().expect(0);
    let states = roles.client.task_states();
    println!("F11: tasks lost {}", states.iter().filter(|state| *state != "TASK_FINISHED").count());
    assert_eq!(states, vec!["TASK_FINISHED"; TASKS]);
}

/// A small file system in memory, gone when dropped.
struct SmallDisk(PathBuf);

impl SmallDisk {
    /// Mounts it; the reason if that is not permitted here.
    fn mount(path: PathBuf) -> Result<Self, String> {
        fs::create_dir(&path).expect("the stage has room for a directory");
        let mounted = Command::new("mount").args(["-t", "tmpfs", "-o", "size=256k", "tmpfs"]).arg(&path).output();
        match mounted {
            Ok(output) if output.status.success() => Ok(Self(path)),
            Ok(output) => Err(String::from_utf8_lossy(&output.stderr).trim().to_owned()),
            Err(error) => Err(error.to_string()),
        }
    }

    /// Leaves not a byte free; returns the file that has them all.
    fn fill(&self) -> PathBuf {
        let path = self.0.join("ballast");
        let mut file = fs::File::create(&path).expect("a small disk has room for a name");
        while file.write_all(&[0; 512]).is_ok() {}
        path
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        // Lazily: what still has a file open on it is killed with the stage.
        let _ = Command::new("umount").arg("-l").arg(&self.0).status();
    }
}

#[test]
fn f20_on_a_full_disk_nothing_starts_that_the_journal_does_not_know_and_what_runs_goes_on() {
    let stage = Stage::new();
    let disk = match SmallDisk::mount(stage.here().join("agent-1")) {
        Ok(disk) => disk,
        Err(reason) => return println!("F20: SKIP, no small disk can be mounted here: {reason}"),
    };
    let mut roles = Roles::start(&stage, 1);
    let client = start_patient(&roles, &stage);
    let pid = pid_of_patient(&stage);
    let ballast = disk.fill();
    let script = format!("touch {}/started-$ODEON_TASK_ID", stage.here().display());
    let arguments = ["run", "--checkpoint", "--instances", "20", "--", "sh", "-c", &script];
    let many = roles.client.odeon(arguments).start();
    let failed = roles.agents.remove(0).end().expect(1);
    assert!(failed.stderr.contains("agent.journal"), "{}", failed.stderr);
    assert!(is_alive(&stage, pid), "what ran before goes on");
    fs::remove_file(ballast).expect("the ballast is there");
    roles.start_agent_again(0, &[]);
    stage.write("may-end", "");
    assert_eq!(client.end().expect(0).text(), "before\nafter\n");
    many.end();
    let tasks = roles.client.list("tasks");
    let is_unknown = |file: &String| {
        let started = file.strip_prefix("started-");
        started.is_some_and(|id| !tasks.iter().any(|task| task["task_id"] == id && task["state"] == "TASK_FINISHED"))
    };
    let wrong: Vec<String> = stage.files_here().into_iter().filter(is_unknown).collect();
    println!("F20: wrong starts {}", wrong.len());
    assert_eq!(wrong, Vec::<String>::new());
}

/// A script that starts a process which leaves its parents, its group, its session and its environment; the command
/// line of that process, which no other test has.
fn escape() -> (String, String) {
    static NUMBER: AtomicU32 = AtomicU32::new(0);
    let number = NUMBER.fetch_add(1, Ordering::Relaxed);
    let escaped = format!("sleep 4{}.{number}", std::process::id());
    (format!("(setsid env -i {escaped} > /dev/null 2>&1 < /dev/null &)"), escaped)
}

#[test]
fn f37_a_process_that_hides_does_not_outlive_its_command() {
    let stage = Stage::new();
    let roles = Roles::start(&stage, 1);
    let (script, escaped) = escape();
    let wait = format!("{script}; until pgrep -f -x '{escaped}' > /dev/null; do sleep 0.01; done; echo hidden");
    assert_eq!(roles.client.run_script(&wait).expect(0).text(), "hidden\n");
    let orphans = Process::all_of(&escaped);
    println!("F37: orphans {} after the end of a command", orphans.len());
    assert_eq!(orphans, []);
}

#[test]
fn f37_a_process_that_hides_is_killed_with_an_executor_that_hangs_and_with_one_whose_agent_is_killed() {
    let stage = Stage::new();
    let mut roles = Roles::start(&stage, 1);
    for kill_agent in [false, true] {
        let (script, escaped) = escape();
        let client = roles.client.odeon(["run", "--", "sh", "-c", &format!("{script}; sleep 86381")]).start();
        stage.wait_for_command("sleep 86381");
        eventually("a process that hides", || Process::all_of(&escaped).pop());
        if kill_agent {
            roles.kill_agent(0);
        } else {
            let executor = stage.executors().pop().expect("the executor of the command");
            crate::support::signal(executor.pid, Signal::SIGSTOP);
            client.signal(Signal::SIGINT);
        }
        client.end();
        eventually("the end of the executor", || stage.executors().is_empty().then_some(()));
        eventually("the end of what hides", || Process::all_of(&escaped).is_empty().then_some(()));
        println!("F37: orphans 0, agent killed: {kill_agent}");
    }
}

#[test]
fn f39_an_executor_that_hangs_is_killed_after_the_grace() {
    let stage = Stage::new();
    let roles = Roles::start(&stage, 1);
    let client = start_patient(&roles, &stage);
    let pid = pid_of_patient(&stage);
    let executor = stage.executors().pop().expect("the executor of the command");
    crate::support::signal(executor.pid, Signal::SIGSTOP);
    let asked = Instant::now();
    client.signal(Signal::SIGINT);
    client.end();
    println!("F39: {:.2} s to the freed resources", asked.elapsed().as_secs_f64());
    eventually("the end of both", || (!is_alive(&stage, pid) && stage.executors().is_empty()).then_some(()));
    roles.client.run(&["--cpus", "4", "--", "true"]).expect(0);
}

#[test]
fn a_damaged_journal_is_refused_and_kept_and_the_agent_can_begin_anew() {
    let stage = Stage::new();
    let mut roles = Roles::start(&stage, 1);
    let client = start_patient(&roles, &stage);
    roles.kill_agent(0);
    let path = stage.here().join("agent-1/agent.journal");
    let mut bytes = fs::read(&path).expect("the journal");
    bytes[40] ^= 1;
    fs::write(&path, &bytes).expect("the journal");
    let refused = roles.agent_again(0, &[]).end().expect(2);
    assert!(refused.stderr.contains("agent.journal") && refused.stderr.contains("recover=fresh"), "{}", refused.stderr);
    assert_eq!(fs::read(&path).expect("the journal"), bytes);
    roles.start_agent_again(0, &["--set", "recover=fresh"]);
    assert_ne!(client.end().code, 0);
    assert_eq!(fs::read(path.with_extension("journal.aside-1")).expect("the old journal"), bytes);
    eventually("the end of the executor that is turned away", || stage.executors().is_empty().then_some(()));
    roles.client.run(&["--", "true"]).expect(0);
}
