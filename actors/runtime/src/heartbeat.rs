//! The body of a ping: when it left, and whether it goes there or comes back. Pure.
//!
//! A node that does not know of bodies ignores them and sends none: then there is no round trip to tell.

const THERE: u8 = 0;
const BACK: u8 = 1;

/// A ping that carries its time of departure, in microseconds of the clock of whoever asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Heartbeat {
    /// To be sent back.
    There(u64),
    /// Sent back, as it came.
    Back(u64),
}

impl Heartbeat {
    pub(crate) fn encode(self) -> [u8; 9] {
        let (way, left) = match self {
            Self::There(left) => (THERE, left),
            Self::Back(left) => (BACK, left),
        };
        let mut body = [way; 9];
        body[1..].copy_from_slice(&left.to_be_bytes());
        body
    }

    /// None if the body says nothing that is known here.
    pub(crate) fn decode(body: &[u8]) -> Option<Self> {
        let (&way, left) = body.split_first()?;
        let left = u64::from_be_bytes(left.try_into().ok()?);
        match way {
            THERE => Some(Self::There(left)),
            BACK => Some(Self::Back(left)),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_body_survives_the_wire_and_any_other_says_nothing() {
        for heartbeat in [Heartbeat::There(7), Heartbeat::Back(u64::MAX)] {
            assert_eq!(Heartbeat::decode(&heartbeat.encode()), Some(heartbeat));
            assert_eq!(Heartbeat::decode(&heartbeat.encode()[..8]), None);
        }
        assert_eq!([Heartbeat::decode(&[]), Heartbeat::decode(&[2; 9])], [None, None]);
    }
}
