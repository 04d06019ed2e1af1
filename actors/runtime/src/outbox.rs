//! `Outbox`: what a core wants done, in order. Plain data; nothing is done here.

/// One thing that a core wants done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Emission<E, R> {
    /// An effect that others can see: a message, a signal, an answer.
    Send(E),
    /// A record that must survive the process before anything emitted after it may be seen.
    Write(R),
}

/// The effects and records that one `on_*` method of a core emits.
///
/// The rule: effects leave in order, and nothing emitted after a write leaves before the write is
/// durable, which includes the reply of the handler and whatever later handlers emit.
#[derive(Debug, Clone, PartialEq, Eq)]
#[must_use = "what is emitted must be committed"]
pub struct Outbox<E, R> {
    emissions: Vec<Emission<E, R>>,
}

impl<E, R> Outbox<E, R> {
    /// An empty outbox.
    pub const fn new() -> Self {
        Self { emissions: Vec::new() }
    }

    /// Emits an effect.
    pub fn send(&mut self, effect: E) {
        self.emissions.push(Emission::Send(effect));
    }

    /// Emits a record.
    pub fn write(&mut self, record: R) {
        self.emissions.push(Emission::Write(record));
    }

    /// Whether nothing was emitted.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.emissions.is_empty()
    }

    /// What was emitted, in order.
    #[must_use]
    pub fn emissions(&self) -> &[Emission<E, R>] {
        &self.emissions
    }

    /// Takes what was emitted, in order.
    #[must_use]
    pub fn into_emissions(self) -> Vec<Emission<E, R>> {
        self.emissions
    }
}

impl<E, R> Default for Outbox<E, R> {
    fn default() -> Self {
        Self::new()
    }
}
