//! Questions to servers on the network, by HTTP and HTTPS.
//!
//! Servers are known by the certificates that the system trusts, so that a company's own ones work.

use std::{
    io::{self, Read, Write},
    sync::Arc,
    time::Duration,
};
use ureq::{
    Agent,
    tls::{RootCerts, TlsConfig},
};

/// How long it may take until a server can be spoken to.
const CONNECT: Duration = Duration::from_secs(10);

/// How much is written at a time, in bytes.
const PIECE: usize = 256 << 10;

/// What came of a question.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answer {
    /// Content of so many bytes.
    Content(u64),
    /// The server does not have it.
    Nothing,
}

/// How large an answer may be, and how long it may take.
#[derive(Clone, Copy, Debug)]
pub struct Bounds {
    /// The most bytes.
    pub bytes: u64,
    /// The longest time, from the question to the end of the answer.
    pub time: Duration,
}

/// Waits for the whole answer of a server, whatever it is: an error page is an answer, too. Returns whether there was one.
pub fn answers(url: &str, time: Duration) -> bool {
    let answer = agent(time, time).get(url).call();
    let whole = answer.and_then(|mut answer| answer.body_mut().read_to_vec());
    whole.is_ok()
}

/// Fetches the content at a URL, and writes it from the start on, piece by piece.
///
/// # Errors
/// If the server cannot be reached, answers with an error, or exceeds the bounds; or if `write` fails.
pub fn fetch(url: &str, bounds: Bounds, write: &mut dyn Write) -> io::Result<Answer> {
    let asked = agent(bounds.time, CONNECT).get(url).call();
    let mut answer = asked.map_err(ureq::Error::into_io)?;
    match answer.status().as_u16() {
        200 => {}
        404 | 410 => return Ok(Answer::Nothing),
        other => return Err(io::Error::other(format!("it answered with status {other}"))),
    }
    let body = answer.body_mut().as_reader();
    let written = copy(&mut body.take(bounds.bytes.saturating_add(1)), write)?;
    if written > bounds.bytes {
        let most = bounds.bytes >> 20;
        return Err(io::Error::other(format!("it is larger than {most} MiB")));
    }
    Ok(Answer::Content(written))
}

fn copy(from: &mut dyn Read, to: &mut dyn Write) -> io::Result<u64> {
    let (mut piece, mut written) = (vec![0; PIECE], 0);
    loop {
        let got = from.read(&mut piece)?;
        if got == 0 {
            return Ok(written);
        }
        to.write_all(&piece[..got])?;
        written += got as u64;
    }
}

fn agent(time: Duration, connect: Duration) -> Agent {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let tls = TlsConfig::builder()
        .root_certs(RootCerts::PlatformVerifier)
        .unversioned_rustls_crypto_provider(provider)
        .build();
    Agent::config_builder()
        .timeout_global(Some(time))
        .timeout_connect(Some(connect))
        .http_status_as_error(false)
        .tls_config(tls)
        .build()
        .new_agent()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::TcpListener;

    /// A server on this machine that gives one answer, and the URL by which it is asked.
    fn server(answer: &'static str) -> String {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let url = format!("http://{}/x", listener.local_addr().expect("an address"));
        std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().expect("a question");
            let mut question = [0; 4096];
            let _ = stream.read(&mut question);
            let _ = stream.write_all(answer.as_bytes());
        });
        url
    }

    fn fetched(answer: &'static str) -> (io::Result<Answer>, Vec<u8>) {
        let bounds = Bounds {
            bytes: 5,
            time: Duration::from_secs(60),
        };
        let mut content = Vec::new();
        let answer = fetch(&server(answer), bounds, &mut content);
        (answer, content)
    }

    #[test]
    fn content_is_fetched_within_its_bounds() {
        let (answer, content) = fetched("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello");
        assert_eq!(answer.expect("content"), Answer::Content(5));
        assert_eq!(content, b"hello");
        let (nothing, _) = fetched("HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n");
        assert_eq!(nothing.expect("an answer"), Answer::Nothing);
        for refused in [
            "HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nhello!",
            "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhel",
            "HTTP/1.1 500 Oops\r\nContent-Length: 0\r\n\r\n",
            "no HTTP at all",
        ] {
            let (answer, _) = fetched(refused);
            assert!(answer.is_err(), "{refused}");
        }
    }
}
