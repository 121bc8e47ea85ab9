//! A connection whose refusals have our headers as well: the HTTP library answers what it cannot read by itself, with a
//! bare status line.

use std::cell::Cell;
use std::io;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::listener::STRICT;

pub(super) struct Refusing<S> {
    stream: S,
    /// A request was read, so the answer is ours.
    asked: Rc<Cell<bool>>,
    /// The first line of a refusal with our headers, and how much of it is written.
    head: Vec<u8>,
    written: usize,
}

impl<S> Refusing<S> {
    pub(super) fn new(stream: S, asked: Rc<Cell<bool>>) -> Refusing<S> {
        Refusing { stream, asked, head: Vec::new(), written: 0 }
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Refusing<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let this = &mut *self;
        let line = match bytes.windows(2).position(|end| end == b"\r\n") {
            Some(end) if !this.asked.get() => &bytes[..end + 2],
            _ => return Pin::new(&mut this.stream).poll_write(cx, bytes),
        };
        if this.head.is_empty() {
            this.head.extend_from_slice(line);
            for (name, value) in STRICT {
                this.head.extend_from_slice(format!("{name}: {value}\r\n").as_bytes());
            }
        }
        while this.written < this.head.len() {
            this.written += ready!(Pin::new(&mut this.stream).poll_write(cx, &this.head[this.written..]))?;
        }
        this.asked.set(true);
        Poll::Ready(Ok(line.len()))
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Refusing<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(cx, buffer)
    }
}
