//! Questions at a terminal. A wrong answer is said and asked again; the end of the input ends them all.

use std::io::{self, ErrorKind, Write};

use rustix::termios::{LocalModes, OptionalActions, Termios, tcgetattr, tcsetattr};
use signal_hook::consts::{SIGHUP, SIGINT, SIGQUIT, SIGTERM};
use signal_hook::iterator::Signals;
use signal_hook::low_level::emulate_default_handler;
use zeroize::Zeroizing;

use super::plan;
use crate::config::orders_csv::{ListedOrder, OrderList};

pub(super) fn login() -> io::Result<String> {
    until_valid("Login name at the vendor: ", plan::login)
}

/// Not shown while it is typed.
pub(super) fn password() -> io::Result<Zeroizing<String>> {
    let _silence = Silence::begin()?;
    loop {
        print!("Password (not shown): ");
        io::stdout().flush()?;
        let mut typed = Zeroizing::new(String::with_capacity(plan::MAX_PASSWORD));
        let is_text = line(&mut typed)?;
        println!();
        if !is_text {
            println!("  It {NO_TEXT}.");
            continue;
        }
        match plan::password(typed.trim_end_matches(['\n', '\r'])) {
            Ok(password) => return Ok(password),
            Err(why) => println!("  It {why}."),
        }
    }
}

/// A terminal that does not show what is typed, until it is dropped or a signal ends the process.
struct Silence {
    before: Termios,
}

impl Silence {
    fn begin() -> io::Result<Silence> {
        let before = tcgetattr(io::stdin())?;
        let shown = before.clone();
        let mut signals = Signals::new([SIGINT, SIGTERM, SIGHUP, SIGQUIT])?;
        std::thread::Builder::new().spawn(move || {
            if let Some(signal) = signals.forever().next() {
                let _ = tcsetattr(io::stdin(), OptionalActions::Now, &shown);
                let _ = emulate_default_handler(signal);
            }
        })?;
        let mut silent = before.clone();
        silent.local_modes.remove(LocalModes::ECHO);
        tcsetattr(io::stdin(), OptionalActions::Now, &silent)?;
        Ok(Silence { before })
    }
}

impl Drop for Silence {
    fn drop(&mut self) {
        let _ = tcsetattr(io::stdin(), OptionalActions::Now, &self.before);
    }
}

/// Orders until a name is left empty, and the key of each.
pub(super) fn orders(key_file: Option<&str>) -> io::Result<(Vec<ListedOrder>, Vec<Option<String>>)> {
    println!("Orders, one after the other; an empty name ends the list.");
    let (mut list, mut keys, mut asked) = (OrderList::default(), Vec::new(), 0);
    loop {
        let name = ask("  Name, such as www: ")?;
        if name.is_empty() && !list.orders.is_empty() {
            return Ok((list.orders, keys));
        }
        let number = ask("  Order number: ")?;
        let domains = ask("  Domains it must cover, separated by blanks (none: not checked): ")?;
        asked += 1;
        if let Err(problems) = list.add(("order", asked), &name, &number, [domains.as_str()]) {
            problems.iter().for_each(|problem| println!("  {problem}."));
            continue;
        }
        keys.push(match plan::key_of(key_file, &name) {
            Some(key) => Some(key),
            None => until_valid("  Private key file (none: not checked): ", |answer| match answer {
                "" => Ok(None),
                path => plan::typed_key(path).map(Some),
            })?,
        });
    }
}

pub(super) fn server(installed: Option<&str>) -> io::Result<Option<String>> {
    let usual = installed.unwrap_or("none");
    until_valid(&format!("Systemd unit of the server to reload, or none [{usual}]: "), |answer| {
        plan::server(if answer.is_empty() { usual } else { answer })
    })
}

fn until_valid<T>(question: &str, valid: impl Fn(&str) -> Result<T, String>) -> io::Result<T> {
    loop {
        match valid(&ask(question)?) {
            Ok(answer) => return Ok(answer),
            Err(why) => println!("  {why}."),
        }
    }
}

fn ask(question: &str) -> io::Result<String> {
    loop {
        print!("{question}");
        io::stdout().flush()?;
        let mut answer = String::new();
        if line(&mut answer)? {
            return Ok(answer.trim().to_owned());
        }
        println!("  It {NO_TEXT}.");
    }
}

const NO_TEXT: &str = "is not UTF-8; set the terminal to UTF-8";

/// Reads a line; `false` where it is not UTF-8.
fn line(into: &mut String) -> io::Result<bool> {
    match io::stdin().read_line(into) {
        Ok(0) => Err(ended()),
        Ok(_) => Ok(true),
        Err(error) if error.kind() == ErrorKind::InvalidData => Ok(false),
        Err(error) => Err(error),
    }
}

fn ended() -> io::Error {
    io::Error::new(ErrorKind::UnexpectedEof, "the input ended")
}
