//! A framework of one's own: a scheduler that decides what to launch, and a task type that runs in executor processes.
//!
//! Run it with `cargo run --example custom_framework`. It sums the squares of 1 to 4, one number a task.
#![expect(clippy::print_stdout, reason = "an example shows what happens")]

use odeon::prelude::*;

/// Runs in an executor process: squares the number that it was given, and reports the result.
enum Square {}

impl Task for Square {
    const NAME: &'static str = "examples.Square";

    async fn run(context: TaskContext) -> Result<(), TaskFailure> {
        let number: u64 = std::str::from_utf8(context.data())?.parse()?;
        std::fs::write(context.sandbox()?.join("stdout"), format!("{number} squared is {}\n", number * number))?;
        context.report((number * number).to_string());
        Ok(())
    }
}

/// Launches a task for each number, and adds up what they report.
struct Squares {
    to_launch: Vec<u64>,
    running: usize,
    sum: u64,
}

impl Squares {
    fn task(&mut self, number: u64) -> TaskInfo {
        let executor_id = ExecutorId::new("squares").expect("letters make an id");
        let executor = ExecutorInfo {
            executor_id,
            name: "squares".into(),
            resources: Resources::empty(),
            program: None,
            binary: None,
        };
        let work = Work::Registered { executor, task_type: Square::NAME.into(), data: number.to_string().into_bytes() };
        self.running += 1;
        let task_id = TaskId::new(format!("square-{number}")).expect("letters, a dash and digits make an id");
        let resources = Resources::cpus_mem(Scalar::from_thousandths(100), 32);
        TaskInfo::new(task_id, format!("square of {number}"), resources, work)
    }
}

impl Scheduler for Squares {
    fn subscribed(&mut self, framework_id: &FrameworkId, _: &mut Calls) {
        println!("subscribed as {framework_id}");
    }

    fn offers(&mut self, offers: Vec<Offer>, calls: &mut Calls) {
        for offer in offers {
            match self.to_launch.pop() {
                None => calls.decline(vec![offer.offer_id], Filters::default()),
                Some(number) => {
                    let task = self.task(number);
                    println!("{} goes to {}", task.name, offer.hostname);
                    // Nothing is refused, so that the rest of the agent is offered again at once.
                    calls.accept(vec![offer.offer_id], vec![task], Filters { refuse: std::time::Duration::ZERO });
                }
            }
        }
    }

    fn update(&mut self, status: &TaskStatus, calls: &mut Calls) {
        if status.state == TaskState::Running {
            self.sum += status.message.parse::<u64>().unwrap_or_default();
        }
        if status.state.is_terminal() {
            println!("{} is {}", status.task_id, status.state);
            self.running -= 1;
        }
        if self.running == 0 && self.to_launch.is_empty() {
            calls.finish(Outcome::Finished);
        }
    }
}

fn main() -> std::process::ExitCode {
    odeon::app().task::<Square>().run_program(|environment| async move {
        let cluster = LocalCluster::start(&LocalConfig { port: 0, ..LocalConfig::default() }, &environment).await?;
        let scheduler = Squares { to_launch: vec![1, 2, 3, 4], running: 0, sum: 0 };
        let ended = cluster.run(FrameworkInfo::new("squares"), scheduler).await?;
        println!("the sum of the squares is {}", ended.scheduler.sum);
        cluster.stop().await;
        Ok(())
    })
}
