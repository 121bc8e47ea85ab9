//! A client of the control port, for images that have no other.

use std::io::{self, ErrorKind, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use clap::Args;

use super::{Failure, Print, cause};

/// A sandbox whose clock is moved on answers within this, too.
const TIMEOUT: Duration = Duration::from_secs(30);
/// Longest answer in bytes: a list of 10,000 calls has some 5 MB.
const LONGEST: u64 = 64 * 1024 * 1024;

/// One command for the control port of a running sandbox.
#[derive(Debug, Args)]
pub struct Ask {
    /// GET, POST or DELETE
    #[arg(value_name = "METHOD", value_parser = ["GET", "POST", "DELETE"])]
    method: String,
    /// Path of the command, such as /orders/1000002/issue; GET / lists them
    #[arg(value_name = "PATH", value_parser = path)]
    path: String,
    /// What the command takes, as JSON
    #[arg(value_name = "BODY", default_value = "")]
    body: String,
    /// Address of the control port
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:8444")]
    control: SocketAddr,
}

fn path(text: &str) -> Result<String, &'static str> {
    match text.starts_with('/') && text.bytes().all(|byte| byte.is_ascii_graphic()) {
        true => Ok(text.to_owned()),
        false => Err("a path begins with / and has no spaces; percent-encode what is not ASCII"),
    }
}

/// Sends the command and prints the answer; an answer other than 200 is a failure.
pub fn ask(ask: &Ask, print: Print) -> Result<(), Failure> {
    let answer = exchange(ask).map_err(|error| {
        Failure::Failed(format!("the control port {} does not answer: {}", ask.control, cause(&error)))
    })?;
    let (head, body) = answer.split_once("\r\n\r\n").unwrap_or((&answer, ""));
    match head.split(' ').nth(1) {
        Some("200") => print(body).map_err(Failure::Failed),
        Some(status) => Err(Failure::Failed(format!("{} {}: {status} {body}", ask.method, ask.path))),
        None => Err(Failure::Failed(format!("{} is no control port", ask.control))),
    }
}

fn exchange(ask: &Ask) -> io::Result<String> {
    let mut stream = TcpStream::connect_timeout(&ask.control, TIMEOUT)?;
    stream.set_read_timeout(Some(TIMEOUT))?;
    stream.set_write_timeout(Some(TIMEOUT))?;
    // By HTTP/1.0 the end of the answer is that of the connection.
    let head = format!(
        "{} {} HTTP/1.0\r\nHost: {}\r\nContent-Length: {}\r\n\r\n",
        ask.method,
        ask.path,
        ask.control,
        ask.body.len()
    );
    stream.write_all(&[head.as_bytes(), ask.body.as_bytes()].concat())?;
    let mut answer = String::new();
    let read = stream.take(LONGEST + 1).read_to_string(&mut answer)? as u64;
    match read > LONGEST {
        true => Err(ErrorKind::FileTooLarge.into()),
        false => Ok(answer),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::key;
    use crate::{Options, Sandbox, Scenario};

    const SCENARIO: &str = "[[account]]\nlogin_name = \"a\"\npassword = \"b\"\n[[order]]\norder_number = \"1\"\n\
        domains = [\"a.example\"]\nscript = [{ state = \"pending\" }]";

    #[test]
    fn an_order_is_issued_for_the_key_of_the_file() {
        let temp = tempfile::tempdir().unwrap();
        let path = temp.path().join("www.key");
        let mut scenario = Scenario::parse(SCENARIO).unwrap();
        key::give(&path, &mut scenario.order).unwrap();
        let made = std::fs::read_to_string(&path).unwrap();
        let mut again = Scenario::parse(SCENARIO).unwrap();
        key::give(&path, &mut again.order).unwrap();
        assert_eq!(again.order[0].certificate.key.as_ref(), Some(&made), "a key that is there stays");

        let running =
            Sandbox::start(Options { scenario, ..Options::demo() }).unwrap().spawn_thread().unwrap();
        let url = running.handle().control_url();
        let control: SocketAddr = url.strip_prefix("http://").unwrap().parse().unwrap();
        let command = |method: &str, path: &str| {
            let command = Ask { method: method.into(), path: path.into(), body: String::new(), control };
            ask(&command, |_| Ok(()))
        };
        command("POST", "/orders/1/issue").unwrap();
        match command("POST", "/orders/1/issue") {
            Err(Failure::Failed(why)) => assert!(why.contains("reissue it instead"), "{why}"),
            other => panic!("{other:?}"),
        }
        // The sandbox has the private half of a key only where it made that itself.
        match command("GET", "/orders/1/key") {
            Err(Failure::Failed(why)) => assert!(why.contains("did not make the key"), "{why}"),
            other => panic!("{other:?}"),
        }
    }
}
