//! The schemas that the node of another build tells over a link, and whether its messages mean the same here.
//!
//! Nodes of the same build tell none. What schemas are, and when two agree, stands in `odeon_protocol::schema`.

use crate::error::PeerError;
use crate::fabric::lock;
use crate::frame::FrameError;
use odeon_protocol::schema::{Fingerprint, SCHEMA_BYTES_MAX, Schema};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, OnceLock};

/// The most messages of which one link may tell.
const TOLD_MAX: usize = 1024;
/// The most schemas that a node keeps for all its links; further ones are kept by each link.
const KNOWN_MAX: usize = 4096;

/// A schema of another build.
pub(crate) struct Told {
    schema: Schema,
    /// What differs from the message of that name here, if that has been asked.
    difference: OnceLock<Option<String>>,
}

/// The schemas that any link has told: many nodes tell the same.
#[derive(Default)]
pub(crate) struct KnownSchemas(Mutex<BTreeMap<(String, Fingerprint), Arc<Told>>>);

impl KnownSchemas {
    fn of(&self, message: &str, schema: Schema) -> Arc<Told> {
        let mut known = lock(&self.0);
        if known.len() >= KNOWN_MAX {
            known.retain(|_, told| Arc::strong_count(told) > 1);
        }
        let key = (message.to_owned(), schema.fingerprint());
        if let Some(told) = known.get(&key).filter(|told| told.schema == schema) {
            return Arc::clone(told);
        }
        let told = Arc::new(Told { schema, difference: OnceLock::new() });
        if known.len() < KNOWN_MAX {
            known.insert(key, Arc::clone(&told));
        }
        told
    }
}

/// What one link has told.
pub(crate) struct Schemas {
    their_build: String,
    our_build: String,
    told: BTreeMap<String, Arc<Told>>,
}

impl Schemas {
    pub(crate) fn between(their_build: String, our_build: String) -> Self {
        Self { their_build, our_build, told: BTreeMap::new() }
    }

    /// Takes a schema in.
    ///
    /// # Errors
    /// [`FrameError::Schema`] if it is none, too long, or there are too many.
    pub(crate) fn learn(&mut self, known: &KnownSchemas, message: &str, body: &[u8]) -> Result<(), FrameError> {
        let text = std::str::from_utf8(body).ok().filter(|text| text.len() <= SCHEMA_BYTES_MAX);
        let text = text.filter(|_| self.told.len() < TOLD_MAX).ok_or(FrameError::Schema)?;
        self.told.insert(message.to_owned(), known.of(message, Schema::told(text)));
        Ok(())
    }

    /// Whether a message of the other node is the one of that name here.
    ///
    /// # Errors
    /// [`PeerError::OtherSchema`] says what differs.
    pub(crate) fn check(&self, message: &str, ours: impl FnOnce() -> &'static Schema) -> Result<(), PeerError> {
        let Some(told) = self.told.get(message) else { return Ok(()) };
        let ours = ours();
        let difference = told.difference.get_or_init(|| ours.hears(&told.schema).err());
        let Some(difference) = difference else { return Ok(()) };
        Err(PeerError::OtherSchema {
            message: message.to_owned(),
            difference: difference.clone(),
            sent: format!("{} of {}", told.schema.fingerprint(), self.their_build),
            heard: format!("{} of {}", ours.fingerprint(), self.our_build),
        })
    }
}
