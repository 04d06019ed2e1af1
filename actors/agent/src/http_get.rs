//! Asks a web server for one file: `GET` over plain HTTP/1.1, and nothing else of it.
//!
//! Deliberately absent: redirects, other encodings, bodies of unannounced length (where they end early, nobody could
//! tell), secrets, and proxies.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpStream, lookup_host};
use tokio::time::timeout;

/// The most bytes of the head of an answer.
const HEAD_BYTES_MAX: usize = 16 * 1024;
/// The most bytes of a server's words that are repeated to people.
const QUOTED_CHARS_MAX: usize = 200;

/// Why there is no file.
#[derive(Debug, thiserror::Error)]
pub(crate) enum HttpError {
    #[error("{0}")]
    Io(#[from] io::Error),
    #[error("nothing has come from the server for {0:?}")]
    Stalled(Duration),
    #[error("the address {0} is link-local, where hosts keep secrets; nothing is fetched from there")]
    LinkLocal(IpAddr),
    #[error("the server does not speak HTTP")]
    NotHttp,
    #[error("the server answers {0:?}")]
    Status(String),
    #[error("the server sends elsewhere, to {0:?}; name that address if you trust it")]
    Redirect(String),
    #[error("the server does not say how many bytes there are")]
    NoLength,
    #[error("the server ended the connection after {got} of {size} bytes")]
    CutShort { got: u64, size: u64 },
}

/// The bytes of a file as they come.
pub(crate) struct Download {
    stream: TcpStream,
    /// What has come with the head.
    early: Vec<u8>,
    pub(crate) size: u64,
    got: u64,
    stall: Duration,
}

impl Download {
    /// Asks for a file, and reads the answer up to its body. No wait for the next byte is longer than `stall`.
    pub(crate) async fn begin(host: &str, port: u16, path: &str, stall: Duration) -> Result<Self, HttpError> {
        let late = |_| HttpError::Stalled(stall);
        let mut stream = timeout(stall, connect(host, port)).await.map_err(late)??;
        let shown = if host.contains(':') { format!("[{host}]") } else { host.to_owned() };
        let request = format!(
            "GET {path} HTTP/1.1\r\nHost: {shown}:{port}\r\nUser-Agent: odeon\r\nAccept: */*\r\n\
             Accept-Encoding: identity\r\nConnection: close\r\n\r\n"
        );
        timeout(stall, stream.write_all(request.as_bytes())).await.map_err(late)??;
        let (head, early) = timeout(stall, read_head(&mut stream)).await.map_err(late)??;
        let size = length(&head)?;
        Ok(Self { stream, early, size, got: 0, stall })
    }

    /// The next bytes, at most so many; none at the end.
    pub(crate) async fn next(&mut self, bytes_max: usize) -> Result<Vec<u8>, HttpError> {
        let left = usize::try_from(self.size - self.got).unwrap_or(usize::MAX).min(bytes_max);
        let rest = self.early.split_off(left.min(self.early.len()));
        let mut data = std::mem::replace(&mut self.early, rest);
        while data.len() < left {
            let mut rest = (&mut self.stream).take((left - data.len()) as u64);
            match timeout(self.stall, rest.read_buf(&mut data)).await {
                Err(_) => return Err(HttpError::Stalled(self.stall)),
                Ok(Ok(0)) => return Err(HttpError::CutShort { got: self.got + data.len() as u64, size: self.size }),
                Ok(Ok(_)) => {}
                Ok(Err(error)) => return Err(error.into()),
            }
        }
        self.got += data.len() as u64;
        Ok(data)
    }
}

/// The address is judged after the name was looked up, and it is the one that is dialled.
async fn connect(host: &str, port: u16) -> Result<TcpStream, HttpError> {
    let mut last = None;
    for address in lookup_host((host, port)).await? {
        if is_link_local(&address) {
            return Err(HttpError::LinkLocal(address.ip()));
        }
        match TcpStream::connect(address).await {
            Ok(stream) => return Ok(stream),
            Err(error) => last = Some(error),
        }
    }
    Err(last.unwrap_or_else(|| io::Error::other(format!("the host {host} has no address"))).into())
}

fn is_link_local(address: &SocketAddr) -> bool {
    match address.ip() {
        IpAddr::V4(ip) => ip.is_link_local(),
        IpAddr::V6(ip) => ip.is_unicast_link_local() || ip.to_ipv4_mapped().is_some_and(|ip| ip.is_link_local()),
    }
}

/// The head as text, and what came behind it.
async fn read_head(stream: &mut TcpStream) -> Result<(String, Vec<u8>), HttpError> {
    let mut bytes = Vec::new();
    loop {
        if let Some(at) = bytes.windows(4).position(|end| end == b"\r\n\r\n") {
            let behind = bytes.split_off(at + 4);
            return Ok((String::from_utf8_lossy(&bytes).into_owned(), behind));
        }
        if bytes.len() >= HEAD_BYTES_MAX || stream.read_buf(&mut bytes).await? == 0 {
            return Err(HttpError::NotHttp);
        }
    }
}

/// How many bytes the answer announces, if it is one with the whole file.
fn length(head: &str) -> Result<u64, HttpError> {
    let mut lines = head.split("\r\n");
    let status = lines.next().unwrap_or_default();
    let (version, status) = status.split_once(' ').ok_or(HttpError::NotHttp)?;
    if !version.starts_with("HTTP/1.") {
        return Err(HttpError::NotHttp);
    }
    let fields: Vec<(String, &str)> = lines
        .filter_map(|line| line.split_once(':'))
        .map(|(name, value)| (name.to_ascii_lowercase(), value.trim()))
        .collect();
    let field = |wanted: &str| fields.iter().find(|(name, _)| name == wanted).map(|(_, value)| *value);
    let quoted = |text: &str| text.chars().take(QUOTED_CHARS_MAX).collect();
    match status.split(' ').next() {
        Some("200") => {}
        Some("301" | "302" | "303" | "307" | "308") => {
            return Err(HttpError::Redirect(quoted(field("location").unwrap_or_default())));
        }
        _ => return Err(HttpError::Status(quoted(status))),
    }
    if field("transfer-encoding").is_some() || field("content-encoding").is_some_and(|coding| coding != "identity") {
        return Err(HttpError::NoLength);
    }
    field("content-length").and_then(|length| length.parse().ok()).ok_or(HttpError::NoLength)
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::net::TcpListener;

    const STALL: Duration = Duration::from_millis(100);

    /// What comes of a server that answers so, and then closes if told to.
    async fn get(answer: &'static [u8], closes: bool) -> Result<Vec<u8>, String> {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let server = tokio::spawn(async move {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut request = vec![0; 1024];
            let count = stream.read(&mut request).await.unwrap();
            stream.write_all(answer).await.unwrap();
            if !closes {
                std::future::pending::<()>().await;
            }
            String::from_utf8_lossy(&request[..count]).into_owned()
        });
        let got = async {
            let mut download = Download::begin("127.0.0.1", port, "/a?b", STALL).await?;
            let (mut all, mut rest) = (download.next(3).await?, download.next(100).await?);
            all.append(&mut rest);
            Ok(all)
        };
        let got = got.await.map_err(|error: HttpError| error.to_string());
        match closes {
            true => assert!(server.await.unwrap().starts_with("GET /a?b HTTP/1.1\r\nHost: 127.0.0.1:")),
            false => server.abort(),
        }
        got
    }

    #[tokio::test]
    async fn a_file_is_read_to_its_announced_end() {
        let answer = b"HTTP/1.1 200 OK\r\nServer: x\r\nContent-Length: 5\r\n\r\nhello and more";
        assert_eq!(get(answer, true).await, Ok(b"hello".to_vec()));
        assert_eq!(get(b"HTTP/1.0 200 OK\r\ncontent-length: 0\r\n\r\n", true).await, Ok(Vec::new()));
    }

    #[tokio::test]
    async fn what_is_not_the_whole_file_is_refused_with_the_reason() {
        for (answer, told) in [
            (&b"HTTP/1.1 200 OK\r\nContent-Length: 50\r\n\r\nhello"[..], "after 5 of 50 bytes"),
            (b"HTTP/1.1 404 Not Found\r\nContent-Length: 5\r\n\r\nhello", "404 Not Found"),
            (b"HTTP/1.1 302 Found\r\nLocation: http://elsewhere/\r\n\r\n", "http://elsewhere/"),
            (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n", "how many bytes"),
            (b"HTTP/1.1 200 OK\r\n\r\nhello", "how many bytes"),
            (b"220 ready\r\n\r\n", "does not speak HTTP"),
            (b"nonsense", "does not speak HTTP"),
        ] {
            let error = get(answer, true).await.unwrap_err();
            assert!(error.contains(told), "{told}: {error}");
        }
    }

    #[tokio::test]
    async fn a_server_that_stops_is_given_up() {
        for answer in [
            &b""[..],
            b"HTTP/1.1 200 OK\r\nContent-Length: 50\r\n",
            b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhell",
        ] {
            let error = get(answer, false).await.unwrap_err();
            assert!(error.contains("nothing has come from the server for 100ms"), "{error}");
        }
    }

    #[tokio::test]
    async fn nothing_is_asked_of_a_link_local_address() {
        let error = Download::begin("169.254.169.254", 80, "/", STALL).await.err().unwrap();
        assert!(matches!(error, HttpError::LinkLocal(_)), "{error}");
        assert!(is_link_local(&"[::ffff:169.254.1.1]:80".parse().unwrap()));
        assert!(!is_link_local(&"127.0.0.1:80".parse().unwrap()));
    }
}
