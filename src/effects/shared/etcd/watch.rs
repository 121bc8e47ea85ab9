//! A watch: one JSON document a line, for as long as the connection lives.

use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use bytes::BytesMut;
use memchr::memchr;
use reqwest::Response;
use tokio::time::{Sleep, sleep};

use super::client::{self, Failure};
use super::wire::{self, Complaint, EventKind, Kind, Line, Range, WatchEvent, Watched};
use super::{Etcd, body};
use crate::effects::shared::{Change, News, Revision};
use certcollectd_core::api::Untrusted;

/// Bytes of a line, at most. etcd splits what would be larger than some 2 MiB before it becomes base64.
const MOST_LINE: usize = 4 << 20;

#[derive(Debug)]
pub(in crate::effects::shared) struct Watch {
    etcd: Arc<Etcd>,
    range: Range,
    from: u64,
    state: State,
}

#[derive(Debug)]
enum State {
    Begin,
    Open(Stream),
    Lost(String),
}

impl Watch {
    pub(in crate::effects::shared) fn new(etcd: Arc<Etcd>, prefix: &str, Revision(from): Revision) -> Watch {
        let range = etcd.range(prefix);
        Watch { etcd, range, from, state: State::Begin }
    }

    pub(in crate::effects::shared) async fn next(&mut self) -> News {
        loop {
            let outcome = match &mut self.state {
                State::Begin => {
                    let opened = self.etcd.read(async |at| self.etcd.open(at, &self.range, self.from).await);
                    opened.await.map(State::Open).map_err(|trouble| trouble.to_string())
                }
                State::Open(stream) => match self.etcd.changes(stream).await {
                    Ok(changes) if changes.is_empty() => continue,
                    Ok(changes) => return News::Changes(changes),
                    Err(why) => Err(why),
                },
                State::Lost(why) => return News::Lost(why.clone()),
            };
            self.state = outcome.unwrap_or_else(State::Lost);
        }
    }
}

impl Etcd {
    async fn open(&self, at: usize, range: &Range, from: u64) -> Result<Stream, Failure> {
        let body = body(&wire::watch(range, from + 1));
        let timeout = self.settings.timeout;
        let opened = self.logged_in(at, async |client, token| {
            let url = self.url(at, "/v3/watch");
            let response = client::open(&client, &url, token, body.clone(), timeout).await?;
            let mut stream = Stream {
                at,
                response,
                buffer: BytesMut::new(),
                searched: 0,
                idle: Box::pin(sleep(timeout)),
                timeout,
            };
            let begin = stream.line().await?.ok_or_else(|| Failure::TimedOut("it opens no watch".into()))?;
            match begin {
                // Also what a dead token gets.
                Watched { created: true, canceled: true, cancel_reason, .. } => {
                    let text = Untrusted::new(&cancel_reason);
                    Err(Failure::Said(Complaint { kind: Kind::Token, text }))
                }
                Watched { created: true, header, .. } if header.revision < from => {
                    let text =
                        Untrusted::new(&format!("it is at revision {}, and was at {from}", header.revision));
                    Err(Failure::Said(Complaint { kind: Kind::Past, text }))
                }
                Watched { created: true, .. } => {
                    stream.rest(self.settings.watch_idle);
                    Ok(stream)
                }
                Watched { created: false, .. } => Err(Failure::Foreign),
            }
        });
        opened.await.map_err(|failure| match failure {
            // No new log-in helps: a right is missing.
            Failure::Said(Complaint { kind: Kind::Token, text }) => {
                Failure::Said(Complaint { kind: Kind::Denied, text })
            }
            other => other,
        })
    }

    /// What the next line brings, which may be nothing; or why there is none.
    async fn changes(&self, stream: &mut Stream) -> Result<Vec<Change>, String> {
        let at = stream.at;
        let watched = match stream.line().await {
            Ok(Some(watched)) => watched,
            Ok(None) => {
                // The member may be frozen. Another one knows.
                self.endpoints.leave(at);
                let idle = humantime::format_duration(self.settings.watch_idle);
                return Err(format!("{}: the watch brought nothing for {idle}", self.name(at)));
            }
            Err(failure) => {
                self.pass_on(at, &failure);
                return Err(self.trouble(at, &failure).to_string());
            }
        };
        stream.rest(self.settings.watch_idle);
        if watched.compact_revision > 0 {
            let compacted = watched.compact_revision;
            return Err(format!("{} has compacted the changes before revision {compacted}", self.name(at)));
        }
        if watched.canceled {
            let reason = Untrusted::new(&watched.cancel_reason);
            return Err(format!("{} ended the watch: {reason}", self.name(at)));
        }
        let change = |WatchEvent { kind, kv }| {
            let row = self.row(kv)?;
            Some(match kind {
                EventKind::Put => Change::Put(row),
                EventKind::Delete => Change::Deleted(row.key),
            })
        };
        Ok(watched.events.into_iter().filter_map(change).collect())
    }
}

/// Lines of one watch.
struct Stream {
    at: usize,
    response: Response,
    buffer: BytesMut,
    /// Bytes at the begin of the buffer that hold no end of a line.
    searched: usize,
    /// Runs from one line to the next, whether or not anybody waits for it.
    idle: Pin<Box<Sleep>>,
    timeout: Duration,
}

impl fmt::Debug for Stream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Stream").field("at", &self.at).field("buffered", &self.buffer.len()).finish()
    }
}

impl Stream {
    /// Lets it be idle for so long from now.
    fn rest(&mut self, idle: Duration) {
        self.idle = Box::pin(sleep(idle));
    }

    /// The next line; `None` if it is idle too long. What has come of a line is kept when the wait is given
    /// up.
    async fn line(&mut self) -> Result<Option<Watched>, Failure> {
        loop {
            if let Some(end) = memchr(b'\n', &self.buffer[self.searched..]) {
                let line = self.buffer.split_to(self.searched + end + 1);
                self.searched = 0;
                return read(&line).map(Some);
            }
            self.searched = self.buffer.len();
            if self.buffer.len() > MOST_LINE {
                return Err(Failure::TooLarge);
            }
            let chunk = tokio::select! {
                biased;
                chunk = self.response.chunk() => chunk.map_err(|error| client::failure(error, self.timeout))?,
                () = &mut self.idle => return Ok(None),
            };
            match chunk {
                Some(chunk) => self.buffer.extend_from_slice(&chunk),
                None if self.buffer.is_empty() => return Err(Failure::Broken("it ended the watch".into())),
                // An error that ends it is no whole line.
                None => {
                    self.searched = 0;
                    return read(&self.buffer.split()).map(Some);
                }
            }
        }
    }
}

fn read(line: &[u8]) -> Result<Watched, Failure> {
    match serde_json::from_slice(line).map_err(|_| Failure::Foreign)? {
        Line::Result(watched) => Ok(watched),
        Line::Error(said) => Err(Failure::Said(said.into())),
    }
}
