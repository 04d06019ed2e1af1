//! The main arbiter of a process, for its `main`; a node starts none.

use futures_util::future::LocalBoxFuture;

/// Runs a program to its end on an arbiter of this thread.
///
/// The loop that serves all actors of the thread is compiled here, whatever the crate of the program is optimised for.
///
/// # Panics
/// On a thread that runs an arbiter already.
pub fn run_to_end(program: LocalBoxFuture<'_, ()>) {
    actix::System::new().block_on(program);
}
