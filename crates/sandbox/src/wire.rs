//! What is sent past the HTTP server, because no HTTP server would send it.
//!
//! The server reads the call as usual; then the connection is taken from it, and a plan is carried out on
//! the bare TLS stream.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};

use super::answer::Answer;

/// How the size of a huge body is announced.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Length {
    /// `honest`: with its true Content-Length.
    #[default]
    Honest,
    /// `none`: not at all; the body ends with the connection.
    None,
    /// `chunked`: in chunks (RFC 9112, section 7.1).
    Chunked,
    /// `small`: with a Content-Length of 64.
    Small,
}

/// What a small Content-Length announces.
const SMALL: u64 = 64;

/// Bytes that are written at once.
const CHUNK: usize = 16 * 1024;

/// Where header lines without end do end: far above any client's limit.
const ENDLESS_BYTES: u64 = 64 * 1024 * 1024;

/// One thing after the other, then the connection is closed.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Plan {
    steps: Vec<Act>,
    /// Whether TLS is closed in order; otherwise the stream just ends, as behind a server that crashed.
    polite: bool,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Act {
    Send(Vec<u8>),
    Repeat(Vec<u8>, u64),
    Silence(Duration),
}

impl Plan {
    /// The first `after` bytes of the body.
    pub(super) fn cut(answer: &Answer, after: usize, length: bool, polite: bool) -> Plan {
        let announced = length.then_some(answer.body.len() as u64);
        Plan { steps: vec![Act::Send(begin(answer, announced, after))], polite }
    }

    /// The first `after` bytes of the body, and then nothing for a time.
    pub(super) fn stall(answer: &Answer, after: usize, silence: Duration) -> Plan {
        let first = begin(answer, Some(answer.body.len() as u64), after);
        Plan { steps: vec![Act::Send(first), Act::Silence(silence)], polite: true }
    }

    /// A body of `mib` MiB that starts like an answer.
    pub(super) fn huge(mib: u64, length: Length) -> Plan {
        let start = b"errorCode=0&filler=".to_vec();
        let times = (mib * 1024 * 1024).div_ceil(CHUNK as u64);
        let total = start.len() as u64 + times * CHUNK as u64;
        let content_type = super::answer::URL_ENCODED.into();
        let mut answer = Answer { content_type, body: start, ..Answer::html(200, "") };
        // A whole answer says that it is the last one, or the next call would go out on a connection that is closed.
        let (announced, says_close) = match length {
            Length::Honest => (Some(total), true),
            Length::Chunked => (None, true),
            Length::Small => (Some(SMALL), false),
            Length::None => (None, false),
        };
        if says_close {
            answer.headers.push(("connection", "close".into()));
        }
        let (first, filler, last) = if length == Length::Chunked {
            let chunk = |bytes: &[u8]| [format!("{:x}\r\n", bytes.len()).as_bytes(), bytes, b"\r\n"].concat();
            let mut first = head(&answer, "transfer-encoding: chunked");
            first.extend(chunk(&answer.body));
            (first, chunk(&vec![b'A'; CHUNK]), b"0\r\n\r\n".to_vec())
        } else {
            (begin(&answer, announced, answer.body.len()), vec![b'A'; CHUNK], Vec::new())
        };
        Plan { steps: vec![Act::Send(first), Act::Repeat(filler, times), Act::Send(last)], polite: true }
    }

    /// Header lines until the client leaves.
    pub(super) fn endless_headers() -> Plan {
        let line = format!("x-filler: {}\r\n", "a".repeat(1000)).into_bytes();
        let times = ENDLESS_BYTES / line.len() as u64;
        Plan {
            steps: vec![Act::Send(b"HTTP/1.1 200 OK\r\n".to_vec()), Act::Repeat(line, times)],
            polite: false,
        }
    }

    pub(super) fn raw(bytes: Vec<u8>) -> Plan {
        Plan { steps: vec![Act::Send(bytes)], polite: true }
    }

    /// Carries it out. A client that leaves early ends it early.
    pub(super) async fn run<S: AsyncRead + AsyncWrite + Unpin>(self, mut stream: S) {
        for act in &self.steps {
            if act.run(&mut stream).await.is_err() {
                return;
            }
        }
        if self.polite {
            // The client may be gone already.
            let _ = stream.shutdown().await;
        }
    }
}

impl Act {
    async fn run<S: AsyncRead + AsyncWrite + Unpin>(&self, stream: &mut S) -> std::io::Result<()> {
        match self {
            Act::Send(bytes) => {
                stream.write_all(bytes).await?;
                stream.flush().await
            }
            Act::Repeat(bytes, times) => {
                for _ in 0..*times {
                    stream.write_all(bytes).await?;
                }
                stream.flush().await
            }
            Act::Silence(span) => {
                let gone = async {
                    let mut buffer = [0; 64];
                    while stream.read(&mut buffer).await.is_ok_and(|read| read > 0) {}
                };
                // A client that leaves no longer counts as waiting.
                let _ = tokio::time::timeout(*span, gone).await;
                Ok(())
            }
        }
    }
}

/// Head and the first bytes of the body.
fn begin(answer: &Answer, announced: Option<u64>, body: usize) -> Vec<u8> {
    let close = || "connection: close".to_owned();
    let mut out = head(answer, &announced.map_or_else(close, |length| format!("content-length: {length}")));
    out.extend_from_slice(&answer.body[..body.min(answer.body.len())]);
    out
}

/// The header lines; the last one says where the body ends.
fn head(answer: &Answer, last: &str) -> Vec<u8> {
    let mut head = format!("HTTP/1.1 {} Sandbox\r\ncontent-type: {}\r\n", answer.status, answer.content_type);
    for (name, value) in &answer.headers {
        head.push_str(&format!("{name}: {value}\r\n"));
    }
    format!("{head}{last}\r\n\r\n").into_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::duplex;

    fn answer(body: &str) -> Answer {
        Answer { content_type: "text/plain".into(), body: body.into(), ..Answer::html(200, "") }
    }

    async fn bytes(plan: Plan) -> String {
        let (near, mut far) = duplex(64 * 1024);
        let run = tokio::spawn(plan.run(near));
        let mut got = Vec::new();
        far.read_to_end(&mut got).await.unwrap();
        run.await.unwrap();
        String::from_utf8_lossy(&got).into_owned()
    }

    #[tokio::test]
    async fn a_cut_body_announces_more_than_it_sends() {
        let text = bytes(Plan::cut(&answer("0123456789"), 4, true, false)).await;
        assert!(text.contains("content-length: 10\r\n") && text.ends_with("\r\n\r\n0123"), "{text}");
        let text = bytes(Plan::cut(&answer("0123456789"), 4, false, true)).await;
        assert!(text.contains("connection: close\r\n") && !text.contains("content-length"), "{text}");
    }

    #[tokio::test]
    async fn a_huge_body_has_the_size_it_says_or_not() {
        for (length, announced) in [
            (Length::Honest, "content-length: 1048595\r\n"),
            (Length::Small, "content-length: 64\r\n"),
            (Length::None, "connection: close\r\n"),
            (Length::Chunked, "transfer-encoding: chunked\r\n"),
        ] {
            let text = bytes(Plan::huge(1, length)).await;
            assert!(text.len() > 1024 * 1024, "{length:?}");
            assert!(text[..200].contains(announced), "{length:?}: {}", &text[..200]);
            let closes = text[..200].matches("connection: close\r\n").count();
            assert_eq!(closes, usize::from(length != Length::Small), "{length:?}: {}", &text[..200]);
        }
    }

    #[tokio::test]
    async fn a_stall_ends_when_the_client_leaves() {
        let (near, far) = duplex(64 * 1024);
        let run = tokio::spawn(Plan::stall(&answer("0123"), 2, Duration::from_secs(600)).run(near));
        drop(far);
        tokio::time::timeout(Duration::from_secs(5), run).await.unwrap().unwrap();
    }
}
