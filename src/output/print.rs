//! The one way to standard output.

use std::io::{self, Write};

/// Whether anyone still reads what is printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reader {
    /// All of it was taken.
    Present,
    /// The other end of the pipe is closed, as after `| head`: no failure, but a reason to stop.
    Gone,
}

/// Writes `text` to standard output at once, with a line end if it lacks one.
///
/// # Errors
/// If writing fails for another reason than a closed pipe, such as a full disk.
pub fn print(text: &str) -> io::Result<Reader> {
    write_to(&mut io::stdout().lock(), text)
}

fn write_to(out: &mut impl Write, text: &str) -> io::Result<Reader> {
    let line_end = if text.is_empty() || text.ends_with('\n') { "" } else { "\n" };
    let written =
        out.write_all(text.as_bytes()).and_then(|()| out.write_all(line_end.as_bytes())).and_then(|()| out.flush());
    match written {
        Ok(()) => Ok(Reader::Present),
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(Reader::Gone),
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Failing(io::ErrorKind);

    impl Write for Failing {
        fn write(&mut self, _bytes: &[u8]) -> io::Result<usize> {
            Err(self.0.into())
        }

        fn flush(&mut self) -> io::Result<()> {
            Err(self.0.into())
        }
    }

    #[test]
    fn text_ends_in_exactly_one_line_end_and_nothing_stays_nothing() {
        let written = |text: &str| {
            let mut out = Vec::new();
            assert_eq!(write_to(&mut out, text).unwrap(), Reader::Present);
            String::from_utf8(out).unwrap()
        };
        assert_eq!(["a", "a\n", ""].map(written), ["a\n", "a\n", ""]);
    }

    #[test]
    fn a_closed_pipe_is_no_failure() {
        assert_eq!(write_to(&mut Failing(io::ErrorKind::BrokenPipe), "a").unwrap(), Reader::Gone);
    }

    #[test]
    fn a_full_disk_is_a_failure() {
        let error = write_to(&mut Failing(io::ErrorKind::StorageFull), "a").unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::StorageFull);
    }
}
