//! Many things of one kind in one message: how many, and how large.
//!
//! Nobody waits for a batch to fill: what waits together goes together.

use crate::messages::agent_executor::{RunTask, UpdateStatus};
use crate::messages::master_agent::{AcknowledgeStatus, ForwardStatus, LaunchTask};
use crate::messages::master_scheduler::{AcknowledgeUpdate, TaskUpdated};
use crate::task::{TaskInfo, TaskStatus, Work};
use std::collections::VecDeque;

/// The most that one message carries: enough that the message costs little beside them, and so few that the next process
/// works on them while the one before makes the next message.
pub const BATCH_ITEMS_MAX: usize = 64;
/// A message that is so large already is given nothing more, in bytes of its texts and data.
pub const BATCH_BYTES_MAX: usize = 64 * 1024;

/// Something of which many travel in one message.
pub trait BatchItem {
    /// About how many bytes of text and data it adds to a message.
    fn bytes(&self) -> usize;
}

/// Whether a message of so many items and bytes takes another item.
#[must_use]
pub fn has_room(items: usize, bytes: usize) -> bool {
    items < BATCH_ITEMS_MAX && bytes < BATCH_BYTES_MAX
}

/// Takes from the front what one message carries: at least one, unless nothing waits.
pub fn take_batch<T: BatchItem>(waiting: &mut VecDeque<T>) -> Vec<T> {
    let (mut taken, mut bytes) = (Vec::new(), 0);
    while has_room(taken.len(), bytes)
        && let Some(item) = waiting.pop_front()
    {
        bytes += item.bytes();
        taken.push(item);
    }
    taken
}

/// About the ids, states and numbers of an item.
const FIXED_BYTES: usize = 128;

impl BatchItem for TaskInfo {
    fn bytes(&self) -> usize {
        let work = match &self.work {
            Work::Command(command) | Work::SharedCommand { command, .. } => {
                let environment = command.environment.iter().map(|(name, value)| name.len() + value.len());
                command.argv.iter().map(String::len).chain(environment).sum()
            }
            Work::Registered { data, .. } => data.len(),
        };
        FIXED_BYTES + self.name.len() + work
    }
}

impl BatchItem for TaskStatus {
    fn bytes(&self) -> usize {
        FIXED_BYTES + self.message.len()
    }
}

macro_rules! as_large_as {
    ($($item:ty => $part:ident),+ $(,)?) => {
        $(impl BatchItem for $item {
            fn bytes(&self) -> usize {
                self.$part.bytes()
            }
        })+
    };
}
as_large_as! {
    LaunchTask => task,
    RunTask => task,
    UpdateStatus => status,
    ForwardStatus => status,
    TaskUpdated => status,
}

impl BatchItem for AcknowledgeStatus {
    fn bytes(&self) -> usize {
        FIXED_BYTES
    }
}

impl BatchItem for AcknowledgeUpdate {
    fn bytes(&self) -> usize {
        FIXED_BYTES
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::id::TaskId;
    use crate::task::{StatusSource, TaskState};

    fn statuses(count: usize, message: &str) -> VecDeque<TaskStatus> {
        let id = TaskId::new("t").expect("an id");
        let mut status = TaskStatus::new(id, TaskState::Running, StatusSource::Executor);
        message.clone_into(&mut status.message);
        std::iter::repeat_n(status, count).collect()
    }

    fn sizes(mut waiting: VecDeque<TaskStatus>) -> Vec<usize> {
        let taken = std::iter::from_fn(|| Some(take_batch(&mut waiting).len()).filter(|count| *count > 0));
        taken.collect()
    }

    #[test]
    fn what_waits_is_cut_into_messages_that_are_neither_long_nor_large() {
        assert_eq!(sizes(statuses(150, "")), [64, 64, 22]);
        assert_eq!(sizes(statuses(20, &"x".repeat(BATCH_BYTES_MAX / 8))), [8, 8, 4]);
    }

    #[test]
    fn what_is_too_large_goes_alone() {
        assert_eq!(sizes(statuses(3, &"x".repeat(2 * BATCH_BYTES_MAX))), [1, 1, 1]);
    }
}
