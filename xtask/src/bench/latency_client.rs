//! A client of a server over TCP.

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::TcpStream;
use std::time::Duration;

use anyhow::{Context as _, Result};

/// How long it waits for an answer.
pub(super) const PATIENCE: Duration = Duration::from_secs(60);

/// What a server is asked.
#[derive(Clone, Copy)]
pub(super) struct Asks {
    /// What comes before the first request, and has an answer too; may be empty.
    pub(super) hello: &'static [u8],
    pub(super) request: &'static [u8],
    /// The last bytes of an answer.
    pub(super) end: &'static [u8],
}

/// What a server is asked that answers a line with a line.
pub(super) const LINES: Asks = Asks {
    hello: b"",
    request: b"ask\n",
    end: b"\n",
};

/// What a web server is asked that answers with a line.
pub(super) const HTTP: Asks = Asks {
    hello: b"",
    request: b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n",
    end: b"\r\n\r\ndone\n",
};

/// A connection to a server.
pub(super) struct Client {
    stream: TcpStream,
    answers: BufReader<TcpStream>,
    asks: Asks,
}

impl Client {
    /// Connects, and says hello.
    ///
    /// # Errors
    /// If the server does not answer.
    pub(super) fn connect(port: u16, asks: Asks) -> Result<Client> {
        let stream = TcpStream::connect(("127.0.0.1", port))?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        let answers = BufReader::new(stream.try_clone()?);
        let mut client = Client {
            stream,
            answers,
            asks,
        };
        if !asks.hello.is_empty() {
            client.answer_to(asks.hello)?;
        }
        Ok(client)
    }

    /// Sends the request and waits for its answer.
    ///
    /// # Errors
    /// If no answer comes in [`PATIENCE`].
    pub(super) fn ask(&mut self) -> Result<()> {
        self.answer_to(self.asks.request).map(drop)
    }

    /// Sends a request of another kind; returns its answer.
    ///
    /// # Errors
    /// As [`Client::ask`].
    pub(super) fn answer_to(&mut self, request: &[u8]) -> Result<Vec<u8>> {
        self.stream.write_all(request)?;
        let mut answer = Vec::new();
        let last = *self.asks.end.last().context("an end")?;
        while !answer.ends_with(self.asks.end) {
            let got = self.answers.read_until(last, &mut answer)?;
            let so_far = String::from_utf8_lossy(&answer);
            anyhow::ensure!(got > 0, "the server ended the connection: {so_far}");
        }
        Ok(answer)
    }
}
