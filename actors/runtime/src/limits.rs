//! Every bound of the fabric, with its unit and its default.
//!
//! Mailbox capacities are not here: whoever starts an actor sets its own.

use crate::error::StartError;
use std::time::Duration;

/// The bounds of one node; the defaults are in [`FabricLimits::DEFAULT`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FabricLimits {
    /// How long [`Peer::send`](crate::Peer::send) waits for a reply.
    pub send_timeout: Duration,
    /// How long one dial may take, handshake included; also what an incoming handshake may take.
    pub dial_timeout: Duration,
    /// The largest frame, header included, in bytes.
    pub frame_bytes_max: usize,
    /// How deep a message body may be nested.
    pub body_depth_max: usize,
    /// Frames that wait on the control lane of a link.
    pub control_frames_max: usize,
    /// Bytes that wait on the control lane of a link; the last frame may go beyond.
    pub control_bytes_max: usize,
    /// Frames that wait on the bulk lane of a link.
    pub bulk_frames_max: usize,
    /// Bytes that wait on the bulk lane of a link; the last frame may go beyond.
    pub bulk_bytes_max: usize,
    /// Asks of this node that are open on a link.
    pub pending_asks_max: usize,
    /// Asks of the other node that are being handled here, for each link.
    pub inbound_asks_max: usize,
    /// Actors of this node that the other node watches, for each link.
    pub watches_max: usize,
    /// Links of the node, and endpoints it remembers.
    pub links_max: usize,
    /// Incoming connections that have not finished their handshake.
    pub handshakes_max: usize,
    /// How often each side of a link sends a ping.
    pub heartbeat_interval: Duration,
    /// How much longer than it usually is a silence may be: as long as a process may be stopped and still count as alive.
    pub heartbeat_pause: Duration,
    /// A link on which no byte arrives for so long is closed, whatever is usual on it. With a pause as long as this it is
    /// all that counts.
    pub heartbeat_timeout: Duration,
    /// The first wait after a failed dial or a lost link, before jitter.
    pub backoff_min: Duration,
    /// The longest wait between two dials, before jitter.
    pub backoff_max: Duration,
    /// Link events that a slow subscriber may leave unread.
    pub link_events_max: usize,
}

impl FabricLimits {
    /// What a node uses unless told otherwise.
    pub const DEFAULT: Self = Self {
        send_timeout: Duration::from_secs(5),
        dial_timeout: Duration::from_secs(3),
        frame_bytes_max: 8 * 1024 * 1024,
        body_depth_max: 128,
        control_frames_max: 1024,
        control_bytes_max: 1024 * 1024,
        bulk_frames_max: 16,
        bulk_bytes_max: 32 * 1024 * 1024,
        pending_asks_max: 4096,
        inbound_asks_max: 1024,
        watches_max: 4096,
        links_max: 65_536,
        handshakes_max: 256,
        heartbeat_interval: Duration::from_secs(1),
        heartbeat_pause: Duration::from_secs(3),
        heartbeat_timeout: Duration::from_secs(10),
        backoff_min: Duration::from_millis(100),
        backoff_max: Duration::from_secs(5),
        link_events_max: 4096,
    };

    /// Checks that a node can work with these limits.
    ///
    /// # Errors
    /// [`StartError::Limit`] names the first one that cannot work.
    pub fn validate(&self) -> Result<(), StartError> {
        let counts = [
            ("body_depth_max", self.body_depth_max),
            ("control_frames_max", self.control_frames_max),
            ("control_bytes_max", self.control_bytes_max),
            ("bulk_frames_max", self.bulk_frames_max),
            ("bulk_bytes_max", self.bulk_bytes_max),
            ("pending_asks_max", self.pending_asks_max),
            ("inbound_asks_max", self.inbound_asks_max),
            ("watches_max", self.watches_max),
            ("links_max", self.links_max),
            ("handshakes_max", self.handshakes_max),
            ("link_events_max", self.link_events_max),
        ];
        let zero = counts.into_iter().find(|(_, count)| *count == 0);
        if let Some((name, value)) = zero {
            return Err(StartError::Limit { name, value: value.to_string() });
        }
        // Below 1 KiB not even an error reply fits; the length prefix has four bytes.
        if self.frame_bytes_max < 1024 || u32::try_from(self.frame_bytes_max).is_err() {
            return Err(StartError::Limit { name: "frame_bytes_max", value: self.frame_bytes_max.to_string() });
        }
        if self.heartbeat_interval.is_zero() {
            return Err(StartError::Limit { name: "heartbeat_interval", value: "0".into() });
        }
        if self.heartbeat_timeout <= self.heartbeat_interval {
            let value = format!("{:?}", self.heartbeat_timeout);
            return Err(StartError::Limit { name: "heartbeat_timeout", value });
        }
        Ok(())
    }
}

impl Default for FabricLimits {
    fn default() -> Self {
        Self::DEFAULT
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_limit_at_fault_is_named() {
        assert_eq!(FabricLimits::DEFAULT.validate(), Ok(()));
        let limits = FabricLimits { bulk_frames_max: 0, ..FabricLimits::DEFAULT };
        assert_eq!(limits.validate(), Err(StartError::Limit { name: "bulk_frames_max", value: "0".into() }));
        let limits = FabricLimits { heartbeat_timeout: Duration::from_secs(1), ..FabricLimits::DEFAULT };
        assert!(matches!(limits.validate(), Err(StartError::Limit { name: "heartbeat_timeout", .. })));
    }
}
