//! Mistakes at the border of the cores that the tests turn on, to see whether the checks notice them.
//!
//! Outside of the tests the question is a constant, and nothing is left of it.

/// A mistake of a core or of its shell, as it shows from outside.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Defect {
    // Order of writing and telling.
    AckBeforeDurable,
    EffectBeforeDurable,
    ForwardWithoutRecord,
    LoseDurableRecord,
    // The registry of the master.
    AdmitWithoutRecord,
    ForgetUnreachableRecord,
    ForgetEpochRecord,
    ForgetReservations,
    ReserveWithoutRecord,
    // Who is obeyed.
    ForgetEpochFence,
    ObeyAnyScheduler,
    // Updates.
    UpdateWithoutUuid,
    ReuseUuid,
    SkipTerminalUpdate,
    NeverForwardTheEnd,
    NeverTellUpdates,
    ForgetAcknowledgement,
    AcknowledgeUnasked,
    // Offers.
    ForgetFilter,
    OfferTwice,
    AcceptTwice,
    IgnoreRevive,
    // Tasks and executors.
    NeverLaunch,
    NeverRunTask,
    RunTwice,
    IgnoreExecutorExit,
    // Who is alive.
    NeverRegisterAgain,
    NeverPing,
}

#[cfg(not(test))]
impl Defect {
    /// Whether it is turned on: never.
    pub(crate) const fn is_on(self) -> bool {
        false
    }

    /// Whether one is turned on: never.
    pub(crate) const fn any_is_on() -> bool {
        false
    }
}

#[cfg(test)]
mod switch {
    use super::Defect;
    use std::cell::Cell;

    thread_local! {
        static SEEDED: Cell<Option<Defect>> = const { Cell::new(None) };
    }

    impl Defect {
        /// Whether it is turned on in this thread.
        pub(crate) fn is_on(self) -> bool {
            SEEDED.get() == Some(self)
        }

        /// Whether one is turned on in this thread.
        pub(crate) fn any_is_on() -> bool {
            SEEDED.get().is_some()
        }

        /// Does something with the mistake turned on in this thread.
        pub(crate) fn during<R>(self, act: impl FnOnce() -> R) -> R {
            SEEDED.set(Some(self));
            let done = act();
            SEEDED.set(None);
            done
        }
    }
}

#[cfg(test)]
#[path = "defect_test.rs"]
mod tests;
