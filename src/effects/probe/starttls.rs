//! What is said before the handshake where a connection begins in the clear.

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

use crate::effects::errno;
use certcollectd_core::api::Untrusted;
use certcollectd_core::config::StartTls;

/// Bytes of one line.
const MOST_IN_LINE: usize = 4096;
/// Lines of one answer.
const MOST_LINES: usize = 100;
/// Bytes of an answer in LDAP.
const MOST_IN_MESSAGE: usize = 4096;

/// ExtendedRequest with the OID of StartTLS, message 1 (RFC 4511 sections 4.12 and 4.14.1).
const LDAP_REQUEST: &[u8] = b"\x30\x1d\x02\x01\x01\x77\x18\x80\x161.3.6.1.4.1.1466.20037";
/// Length and code of an SSLRequest (PostgreSQL, message formats).
const POSTGRES_REQUEST: &[u8] = &[0, 0, 0, 8, 4, 210, 22, 47];

/// Speaks until the server waits for the handshake.
pub(super) async fn ask(
    stream: &mut (impl AsyncRead + AsyncWrite + Unpin),
    how: StartTls,
) -> Result<(), String> {
    match how {
        StartTls::Smtp => {
            smtp_answer(stream, "220", "its greeting").await?;
            send(stream, b"EHLO certcollectd.invalid\r\n").await?;
            smtp_answer(stream, "250", "EHLO").await?;
            send(stream, b"STARTTLS\r\n").await?;
            smtp_answer(stream, "220", "STARTTLS").await
        }
        StartTls::Imap => {
            imap_answer(stream, "* ", "its greeting").await?;
            send(stream, b"a1 STARTTLS\r\n").await?;
            imap_answer(stream, "a1 ", "STARTTLS").await
        }
        StartTls::Pop3 => {
            pop3_answer(stream, "its greeting").await?;
            send(stream, b"STLS\r\n").await?;
            pop3_answer(stream, "STLS").await
        }
        StartTls::Ldap => {
            send(stream, LDAP_REQUEST).await?;
            ldap_answer(stream).await
        }
        StartTls::Postgres => {
            send(stream, POSTGRES_REQUEST).await?;
            match byte(stream).await? {
                b'S' => Ok(()),
                b'N' => Err("refuses TLS".into()),
                other => Err(format!(
                    "is no PostgreSQL server: it answers \"{}\"",
                    Untrusted::from_bytes(&[other])
                )),
            }
        }
    }
}

/// One answer of several lines; the last has a blank behind its code (RFC 5321 section 4.2.1).
async fn smtp_answer(stream: &mut (impl AsyncRead + Unpin), code: &str, to: &str) -> Result<(), String> {
    for _ in 0..MOST_LINES {
        let line = line(stream).await?;
        if !line.starts_with(code.as_bytes()) {
            return Err(refused(to, &line));
        }
        if line.get(code.len()) != Some(&b'-') {
            return Ok(());
        }
    }
    Err(format!("does not end its answer to {to}"))
}

/// The line that ends an answer; others may come before it.
async fn imap_answer(stream: &mut (impl AsyncRead + Unpin), tag: &str, to: &str) -> Result<(), String> {
    for _ in 0..MOST_LINES {
        let line = line(stream).await?;
        if let Some(rest) = line.strip_prefix(tag.as_bytes()) {
            let word = rest.get(..2).unwrap_or_default();
            return if word.eq_ignore_ascii_case(b"OK") { Ok(()) } else { Err(refused(to, &line)) };
        }
        if !line.starts_with(b"* ") {
            return Err(refused(to, &line));
        }
    }
    Err(format!("does not end its answer to {to}"))
}

async fn pop3_answer(stream: &mut (impl AsyncRead + Unpin), to: &str) -> Result<(), String> {
    let line = line(stream).await?;
    if line.starts_with(b"+OK") { Ok(()) } else { Err(refused(to, &line)) }
}

/// An ExtendedResponse whose result code is success.
async fn ldap_answer(stream: &mut (impl AsyncRead + Unpin)) -> Result<(), String> {
    let not_ldap = || "is no LDAP server: its answer to StartTLS cannot be read".to_owned();
    if byte(stream).await? != 0x30 {
        return Err(not_ldap());
    }
    let length = match byte(stream).await? {
        short @ 0..=0x7f => usize::from(short),
        long @ 0x81..=0x84 => {
            let mut length = 0;
            for _ in 0..long & 0x7f {
                length = length << 8 | usize::from(byte(stream).await?);
            }
            length
        }
        _ => return Err(not_ldap()),
    };
    if length > MOST_IN_MESSAGE {
        return Err(not_ldap());
    }
    let mut message = vec![0; length];
    stream.read_exact(&mut message).await.map_err(|error| broken(&error))?;
    // MessageID, then [APPLICATION 24] with the ENUMERATED result code first.
    let id = message.get(1).map_or(0, |length| usize::from(*length) + 2);
    let response = message.get(id..).unwrap_or_default();
    let head = match response {
        [0x78, length, ..] if *length < 0x80 => 2,
        [0x78, length, ..] => 2 + usize::from(length & 0x7f),
        _ => return Err(not_ldap()),
    };
    match response.get(head..) {
        Some([0x0a, 1, 0, ..]) => Ok(()),
        Some([0x0a, 1, code, ..]) => Err(format!("refuses StartTLS with result code {code}")),
        _ => Err(not_ldap()),
    }
}

fn refused(to: &str, line: &[u8]) -> String {
    format!("answers {to} with \"{}\"", Untrusted::from_bytes(line))
}

async fn send(stream: &mut (impl AsyncWrite + Unpin), bytes: &[u8]) -> Result<(), String> {
    stream.write_all(bytes).await.map_err(|error| broken(&error))
}

async fn byte(stream: &mut (impl AsyncRead + Unpin)) -> Result<u8, String> {
    stream.read_u8().await.map_err(|error| broken(&error))
}

/// A line without its end. Byte by byte: what follows belongs to the handshake.
async fn line(stream: &mut (impl AsyncRead + Unpin)) -> Result<Vec<u8>, String> {
    let mut line = Vec::new();
    loop {
        match byte(stream).await? {
            b'\n' => {
                line.truncate(line.trim_ascii_end().len());
                return Ok(line);
            }
            _ if line.len() == MOST_IN_LINE => return Err("sends a line without an end".into()),
            byte => line.push(byte),
        }
    }
}

fn broken(error: &std::io::Error) -> String {
    match error.kind() {
        std::io::ErrorKind::UnexpectedEof => "closes the connection before the handshake".into(),
        _ => format!("breaks off before the handshake: {}", errno::cause(error)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What becomes of a dialogue in which the server says all this, whatever it is asked.
    fn outcome(how: StartTls, says: &[u8]) -> Result<(), String> {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(async {
            let (mut ours, mut theirs) = tokio::io::duplex(64 * 1024);
            theirs.write_all(says).await.unwrap();
            theirs.shutdown().await.unwrap();
            ask(&mut ours, how).await
        })
    }

    #[test]
    fn servers_that_are_ready() {
        for (how, says) in [
            (
                StartTls::Smtp,
                &b"220-hello\r\n220 mail\r\n250-mail\r\n250-STARTTLS\r\n250 HELP\r\n220 go\r\n"[..],
            ),
            (StartTls::Smtp, b"220 mail\n250 mail\n220\n"),
            (StartTls::Imap, b"* OK ready\r\n* CAPABILITY X\r\na1 OK begin\r\n"),
            (StartTls::Pop3, b"+OK ready\r\n+OK begin\r\n"),
            (StartTls::Ldap, b"\x30\x0c\x02\x01\x01\x78\x07\x0a\x01\x00\x04\x00\x04\x00"),
            (
                StartTls::Ldap,
                b"\x30\x84\x00\x00\x00\x10\x02\x01\x01\x78\x84\x00\x00\x00\x07\x0a\x01\x00\x04\x00\x04\x00",
            ),
            (StartTls::Postgres, b"S"),
        ] {
            assert_eq!(outcome(how, says), Ok(()), "{how} {:?}", String::from_utf8_lossy(says));
        }
    }

    #[test]
    fn servers_that_are_not() {
        for (how, says, why) in [
            (StartTls::Smtp, &b"554 go away\r\n"[..], "answers its greeting with \"554 go away\""),
            (StartTls::Smtp, b"220 a\r\n250 b\r\n502 no\r\n", "answers STARTTLS with \"502 no\""),
            (
                StartTls::Smtp,
                b"HTTP/1.1 400 Bad Request\r\n",
                "answers its greeting with \"HTTP/1.1 400 Bad Request\"",
            ),
            (StartTls::Smtp, b"220-a\r\n", "closes the connection before the handshake"),
            (StartTls::Imap, b"* BYE full\r\n", "answers its greeting with \"* BYE full\""),
            (StartTls::Imap, b"* OK a\r\na1 NO b\r\n", "answers STARTTLS with \"a1 NO b\""),
            (StartTls::Pop3, b"-ERR\r\n", "answers its greeting with \"-ERR\""),
            (StartTls::Pop3, b"", "closes the connection before the handshake"),
            (
                StartTls::Ldap,
                b"\x30\x0c\x02\x01\x01\x78\x07\x0a\x01\x35\x04\x00\x04\x00",
                "refuses StartTLS with result code 53",
            ),
            (StartTls::Ldap, b"HTTP", "is no LDAP server: its answer to StartTLS cannot be read"),
            (
                StartTls::Ldap,
                b"\x30\x84\x7f\xff\xff\xff",
                "is no LDAP server: its answer to StartTLS cannot be read",
            ),
            (StartTls::Ldap, b"\x30\x02\x02\xff", "is no LDAP server: its answer to StartTLS cannot be read"),
            (StartTls::Postgres, b"N", "refuses TLS"),
            (StartTls::Postgres, b"E", "is no PostgreSQL server: it answers \"E\""),
        ] {
            assert_eq!(outcome(how, says), Err(why.into()), "{how} {:?}", String::from_utf8_lossy(says));
        }
        let endless = vec![b'x'; 2 * MOST_IN_LINE];
        assert_eq!(outcome(StartTls::Smtp, &endless), Err("sends a line without an end".into()));
        let lines = b"* OK x\r\n* 1 EXISTS\r\n".repeat(MOST_LINES);
        assert_eq!(outcome(StartTls::Imap, &lines), Err("does not end its answer to STARTTLS".into()));
    }
}
