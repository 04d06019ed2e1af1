//! A bulk frame that arrives in pieces. Pure: whoever reads fills it.

use crate::frame::{CREDIT_BYTES, FrameError};
use crate::outgoing::SPARE_BYTES_MAX;

/// How much room is made at once, in bytes: a length alone reserves no more.
const ROOM_BYTES: usize = 256 * 1024;

/// The pieces so far. One frame at a time: the pieces of two never mix.
#[derive(Default)]
pub(crate) struct Assembly {
    bytes: Vec<u8>,
    /// How long the frame will be; 0 if none has begun.
    total: usize,
    /// How much of the current piece is still to come.
    piece_left: usize,
    /// What has been read and the other end does not know yet.
    uncredited: usize,
}

impl Assembly {
    /// A frame of `total` bytes begins with a piece.
    ///
    /// # Errors
    /// [`FrameError::Piece`] within another frame, or if the piece is empty or too long.
    pub(crate) fn begin(&mut self, total: usize, piece: usize) -> Result<(), FrameError> {
        if self.is_open() {
            return Err(FrameError::Piece);
        }
        self.bytes.clear();
        self.bytes.shrink_to(SPARE_BYTES_MAX);
        self.total = total;
        self.go_on(piece)
    }

    /// The next piece follows.
    ///
    /// # Errors
    /// As [`begin`](Self::begin), or if there is no frame to go on with.
    pub(crate) fn go_on(&mut self, piece: usize) -> Result<(), FrameError> {
        // The bytes of the last frame are still there when none is open.
        if !self.is_open() || piece == 0 || piece > self.total - self.bytes.len() {
            return Err(FrameError::Piece);
        }
        self.piece_left = piece;
        Ok(())
    }

    /// Whether a frame has begun and more of it is to come.
    pub(crate) fn is_open(&self) -> bool {
        self.total > 0
    }

    /// How much of the current piece is still to come, in bytes.
    pub(crate) fn piece_left(&self) -> usize {
        self.piece_left
    }

    /// Takes what belongs to the current piece from the front of `bytes`, and says how much that was.
    pub(crate) fn add(&mut self, bytes: &[u8]) -> usize {
        let count = bytes.len().min(self.piece_left);
        self.bytes.extend_from_slice(&bytes[..count]);
        self.on_read(count);
        count
    }

    /// Where the rest of the current piece may be read to: no more than [`piece_left`](Self::piece_left).
    pub(crate) fn room(&mut self) -> &mut Vec<u8> {
        self.bytes.reserve(self.piece_left.min(ROOM_BYTES));
        &mut self.bytes
    }

    /// So much has been read into [`room`](Self::room).
    pub(crate) fn on_read(&mut self, count: usize) {
        self.piece_left -= count;
        self.uncredited += count;
    }

    /// Whether the frame is whole; it then is in [`whole`](Self::whole), and the next one may begin.
    pub(crate) fn close_if_whole(&mut self) -> bool {
        let is_whole = self.is_open() && self.bytes.len() == self.total;
        if is_whole {
            self.total = 0;
        }
        is_whole
    }

    /// The frame that was closed last, for as long as no other begins.
    pub(crate) fn whole(&mut self) -> &mut Vec<u8> {
        &mut self.bytes
    }

    /// What the other end is to know by now, in bytes; it is told in steps.
    pub(crate) fn credit(&mut self) -> Option<usize> {
        (self.uncredited >= CREDIT_BYTES).then(|| std::mem::take(&mut self.uncredited))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_make_up_the_frame_and_the_next_one_may_begin() {
        let mut assembly = Assembly::default();
        for _ in 0..2 {
            assert_eq!(assembly.begin(5, 2), Ok(()));
            assert_eq!(assembly.add(b"abX"), 2);
            assert!(!assembly.close_if_whole());
            assert_eq!(assembly.go_on(3), Ok(()));
            assembly.room().extend_from_slice(b"cde");
            assembly.on_read(3);
            assert!(assembly.close_if_whole());
            assert_eq!(assembly.whole(), b"abcde");
        }
    }

    #[test]
    fn pieces_that_do_not_belong_together_are_refused() {
        let mut assembly = Assembly::default();
        assert_eq!(assembly.go_on(1), Err(FrameError::Piece));
        assert_eq!(assembly.begin(2, 0), Err(FrameError::Piece));
        let mut assembly = Assembly::default();
        assert_eq!(assembly.begin(2, 3), Err(FrameError::Piece));
        let mut assembly = Assembly::default();
        assert_eq!(assembly.begin(2, 1), Ok(()));
        assert_eq!(assembly.begin(2, 1), Err(FrameError::Piece));
        assembly.add(b"a");
        assert_eq!(assembly.go_on(2), Err(FrameError::Piece));
        assert_eq!(assembly.go_on(1), Ok(()));
        assembly.add(b"b");
        assert!(assembly.close_if_whole());
        assert_eq!(assembly.go_on(1), Err(FrameError::Piece), "the frame is whole");
        assert_eq!(assembly.begin(0, 0), Err(FrameError::Piece));
    }

    #[test]
    fn a_length_alone_reserves_little_and_a_large_frame_is_not_kept() {
        let mut assembly = Assembly::default();
        assembly.begin(1 << 30, 1 << 30).unwrap();
        assert!(assembly.room().capacity() <= 2 * ROOM_BYTES);
        let mut assembly = Assembly::default();
        assembly.begin(4 * SPARE_BYTES_MAX, 4 * SPARE_BYTES_MAX).unwrap();
        assembly.add(&vec![0; 4 * SPARE_BYTES_MAX]);
        assert!(assembly.close_if_whole());
        assembly.begin(1, 1).unwrap();
        assert!(assembly.room().capacity() <= SPARE_BYTES_MAX);
    }

    #[test]
    fn credit_is_told_in_steps_and_each_byte_once() {
        let mut assembly = Assembly::default();
        assembly.begin(3 * CREDIT_BYTES, 3 * CREDIT_BYTES).unwrap();
        assembly.add(&vec![0; CREDIT_BYTES - 1]);
        assert_eq!(assembly.credit(), None);
        assembly.add(&[0; 2]);
        assert_eq!(assembly.credit(), Some(CREDIT_BYTES + 1));
        assert_eq!(assembly.credit(), None);
    }
}
