//! Line ends of text files made alike, so that a parser's line count is that of an editor.
//!
//! Nothing is parsed here.

use std::io::Read;

/// Bytes without carriage returns and with a line end behind the last line.
///
/// The parser counts lines by `\n` and ends a record at `\r`; so every record ends just behind its line.
#[derive(Debug)]
pub(super) struct LineEnds<R> {
    inner: R,
    open_line: bool,
}

impl<R> LineEnds<R> {
    pub(super) fn new(inner: R) -> Self {
        Self { inner, open_line: false }
    }
}

impl<R: Read> Read for LineEnds<R> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        loop {
            let read = self.inner.read(buffer)?;
            if read == 0 && self.open_line && !buffer.is_empty() {
                self.open_line = false;
                buffer[0] = b'\n';
                return Ok(1);
            }
            let mut kept = 0;
            for i in 0..read {
                if buffer[i] != b'\r' {
                    buffer[kept] = buffer[i];
                    kept += 1;
                }
            }
            if kept > 0 {
                self.open_line = buffer[kept - 1] != b'\n';
            }
            if kept > 0 || read == 0 {
                return Ok(kept);
            }
        }
    }
}
