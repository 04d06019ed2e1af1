//! A file of this host as a stream of text, unpacked if its content says so.
//!
//! What the text means is decided elsewhere. Nothing is kept but a buffer.

use std::fs::File;
use std::io::{self, BufRead, BufReader, ErrorKind, Read};
use std::path::Path;

use flate2::bufread::MultiGzDecoder;

use super::DataError;

/// Bytes that are read at a time.
const BUFFER_BYTES: usize = 64 * 1024;
/// What the content of a file that is read here begins with.
const GZIP: &[u8] = &[0x1f, 0x8b];
/// What that of files begins with that are no text, and what they are.
const NO_TEXT: [(&[u8], &str); 5] = [
    (&[0x28, 0xb5, 0x2f, 0xfd], "it is packed by zstd, of packed files only gzip is read"),
    (b"BZh", "it is packed by bzip2, of packed files only gzip is read"),
    (&[0xfd, b'7', b'z', b'X', b'Z'], "it is packed by xz, of packed files only gzip is read"),
    (b"PK\x03\x04", "it is a zip archive, of packed files only gzip is read"),
    (b"PAR1", "it is a Parquet file, and text is expected"),
];

/// Text as it comes.
pub(super) type Text = Box<dyn Read + Send>;

/// Opens a file.
///
/// # Errors
/// [`DataError`] if there is none, or it is none that can be read again and again, or holds no text.
pub(super) fn open_text(path: &Path) -> Result<Text, DataError> {
    let name = path.display().to_string();
    let refused = |error: io::Error| match error.kind() {
        ErrorKind::NotFound => DataError::FileMissing { file: name.clone() },
        _ => DataError::Unreadable { file: name.clone(), reason: error.to_string() },
    };
    // A pipe can be read once, and here every worker reads: opening one would wait for ever.
    if !path.metadata().map_err(refused)?.is_file() {
        return Err(DataError::Unreadable { file: name, reason: "it is not a regular file".to_owned() });
    }
    let mut file = BufReader::with_capacity(BUFFER_BYTES, File::open(path).map_err(refused)?);
    let start = file.fill_buf().map_err(refused)?;
    if let Some((_, reason)) = NO_TEXT.iter().find(|(magic, _)| start.starts_with(magic)) {
        return Err(DataError::Unreadable { file: name, reason: (*reason).to_owned() });
    }
    Ok(if start.starts_with(GZIP) { Box::new(Unpacked(MultiGzDecoder::new(file))) } else { Box::new(file) })
}

/// What a gzip file holds, with faults that say where they come from.
struct Unpacked<R>(MultiGzDecoder<R>);

impl<R: BufRead> Read for Unpacked<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.0.read(buffer).map_err(|error| match error.kind() {
            ErrorKind::UnexpectedEof => io::Error::other("the gzip data end too early"),
            _ => io::Error::other(format!("the gzip data are damaged: {error}")),
        })
    }
}
