//! The floors of a task: what this machine takes for the least that any cluster must do for it.

use std::io;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{mpsc, oneshot};

use super::times::Times;

/// The program that does nothing.
pub(super) const NOTHING: &str = "true";

/// Processes that are started and waited for in a second, by as many threads as there are cores.
///
/// The standard library starts them by `posix_spawn`, which shares the memory of the parent until the program runs.
pub(super) fn spawn_rate(count: usize) -> io::Result<f64> {
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    let each = count.div_ceil(threads);
    let began = Instant::now();
    std::thread::scope(|scope| {
        let spawn = || scope.spawn(move || (0..each).try_for_each(|_| spawn_nothing()));
        let workers: Vec<_> = (0..threads).map(|_| spawn()).collect();
        let join = |worker: std::thread::ScopedJoinHandle<'_, io::Result<()>>| {
            worker.join().unwrap_or_else(|_| Err(io::Error::other("a thread that starts processes has panicked")))
        };
        workers.into_iter().try_for_each(join)
    })?;
    Ok((each * threads) as f64 / began.elapsed().as_secs_f64())
}

/// How long one process takes, from its start to its end.
pub(super) fn spawn_times(count: usize) -> io::Result<Times> {
    let one = |_| {
        let began = Instant::now();
        spawn_nothing().map(|()| began.elapsed())
    };
    Ok(Times::new((0..count).map(one).collect::<io::Result<Vec<Duration>>>()?))
}

fn spawn_nothing() -> io::Result<()> {
    let status = Command::new(NOTHING).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).status()?;
    if status.success() { Ok(()) } else { Err(io::Error::other(format!("{NOTHING} has failed: {status}"))) }
}

/// How long a byte takes over the loopback interface and back, between two tasks of this thread.
pub(super) async fn round_trips(count: usize) -> io::Result<Times> {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
    let mut near = TcpStream::connect(listener.local_addr()?).await?;
    let (mut far, _) = listener.accept().await?;
    near.set_nodelay(true)?;
    far.set_nodelay(true)?;
    let echo = actix::spawn(async move {
        let mut byte = [0; 1];
        while far.read_exact(&mut byte).await.is_ok() && far.write_all(&byte).await.is_ok() {}
    });
    let mut times = Vec::with_capacity(count);
    for _ in 0..count {
        let (began, mut byte) = (Instant::now(), [1; 1]);
        near.write_all(&byte).await?;
        near.read_exact(&mut byte).await?;
        times.push(began.elapsed());
    }
    drop(near);
    // It ends with the connection.
    let _ = echo.await;
    Ok(Times::new(times))
}

/// Questions that one task of this thread answers another in a second.
pub(super) async fn call_rate(count: usize) -> f64 {
    let (sender, mut asked) = mpsc::channel::<oneshot::Sender<()>>(1);
    let serving = actix::spawn(async move {
        while let Some(answer) = asked.recv().await {
            // Whoever asks waits for it.
            let _ = answer.send(());
        }
    });
    let began = Instant::now();
    for _ in 0..count {
        let (answer, answered) = oneshot::channel();
        if sender.send(answer).await.is_err() || answered.await.is_err() {
            break;
        }
    }
    let rate = count as f64 / began.elapsed().as_secs_f64();
    drop(sender);
    // It ends with the channel.
    let _ = serving.await;
    rate
}

#[cfg(test)]
mod tests {
    use super::*;

    #[actix::test]
    async fn every_floor_can_be_taken() {
        assert!(spawn_rate(3).expect("processes start") > 0.0);
        assert!(spawn_times(2).expect("processes start").at(50) > 0.0);
        assert!(round_trips(5).await.expect("the loopback interface is there").at(99) > 0.0);
        assert!(call_rate(5).await > 0.0);
    }
}
