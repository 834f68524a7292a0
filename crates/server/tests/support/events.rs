//! Reading a stream of server-sent events, as it is on the wire.

use std::io::{BufRead, BufReader, Read};
use std::net::{SocketAddr, TcpStream};

use serde_json::Value;

use super::client::{Answer, Connection};

/// Heartbeats after which a poke that is waited for does not come any more.
const HEARTBEATS_MAX: usize = 100;

/// An open stream.
#[derive(Debug)]
pub(crate) struct Events {
    stream: BufReader<TcpStream>,
    text: String,
}

impl Events {
    /// Opens a stream; what the server answers where it opens none.
    pub(crate) fn open(
        address: SocketAddr,
        path: &str,
        headers: &[(&str, &str)],
    ) -> Result<Self, Answer> {
        let mut connection = Connection::open(address).expect("a connection");
        let answer = connection.send("GET", path, headers, b"");
        let answer = answer.expect("an answer");
        if answer.status != 200 {
            return Err(answer);
        }
        assert_eq!(answer.header("content-type"), Some("text/event-stream"));
        assert_eq!(answer.header("cache-control"), Some("no-store"));
        assert_eq!(answer.header("transfer-encoding"), Some("chunked"));
        Ok(Self {
            stream: connection.into_stream(),
            text: String::new(),
        })
    }

    /// The next event or comment; none at the end of the stream.
    pub(crate) fn next(&mut self) -> Option<String> {
        loop {
            if let Some((event, rest)) = self.text.split_once("\n\n") {
                let (event, rest) = (event.to_owned(), rest.to_owned());
                self.text = rest;
                return Some(event);
            }
            let chunk = self.chunk()?;
            self.text += &chunk;
        }
    }

    /// The cursor of the next poke, whatever comes before.
    pub(crate) fn poke(&mut self) -> Option<String> {
        for _ in 0..HEARTBEATS_MAX {
            let event = self.next()?;
            let Some(data) = event.strip_prefix("event: poke\ndata: ") else {
                assert_eq!(event, ": ", "a heartbeat");
                continue;
            };
            let data: Value = serde_json::from_str(data).expect("JSON");
            return data["cursor"].as_str().map(str::to_owned);
        }
        panic!("no poke comes")
    }

    /// Reads until the next poke with this cursor, and counts the pokes on the way.
    pub(crate) fn poke_of(&mut self, cursor: &str) -> usize {
        let mut count = 1;
        while self.poke().expect("the stream goes on") != cursor {
            count += 1;
        }
        count
    }

    fn chunk(&mut self) -> Option<String> {
        let mut line = String::new();
        self.stream.read_line(&mut line).ok()?;
        let size = usize::from_str_radix(line.trim(), 16).ok()?;
        let mut chunk = vec![0; size + 2];
        self.stream.read_exact(&mut chunk).ok()?;
        chunk.truncate(size);
        (size > 0).then(|| String::from_utf8(chunk).expect("text"))
    }
}
