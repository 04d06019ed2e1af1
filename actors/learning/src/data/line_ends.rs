//! Line ends of text files made alike, so that a parser's line count is that of an editor.
//!
//! Nothing is parsed here.

use std::io::Read;

/// Most bytes from the start of a row to its end, quoted line ends included; what was read ahead counts.
const ROW_BYTES_MAX: usize = 16 * 1024 * 1024;

/// Bytes without carriage returns and with a line end behind the last line.
///
/// The parser counts lines by `\n` and ends a record at `\r`; so every record ends just behind its line.
#[derive(Debug)]
pub(super) struct LineEnds<R> {
    inner: R,
    open_line: bool,
    /// Bytes given since the last record ended.
    record_bytes: usize,
}

impl<R> LineEnds<R> {
    pub(super) fn new(inner: R) -> Self {
        Self { inner, open_line: false, record_bytes: 0 }
    }

    /// A record has ended.
    pub(super) fn end_record(&mut self) {
        self.record_bytes = 0;
    }
}

impl<R: Read> Read for LineEnds<R> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        loop {
            if self.record_bytes > ROW_BYTES_MAX {
                let text = format!("a row has more than {} MiB; is a quotation mark left open?", ROW_BYTES_MAX >> 20);
                return Err(std::io::Error::other(text));
            }
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
            self.record_bytes += kept;
            if kept > 0 || read == 0 {
                return Ok(kept);
            }
        }
    }
}
