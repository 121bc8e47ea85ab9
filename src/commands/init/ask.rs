//! Questions at a terminal. A wrong answer is said and asked again; the end of the input ends them all.

use std::io::{self, ErrorKind, Write};

use zeroize::Zeroizing;

use super::plan;
use crate::config::orders_csv::{self, ListedOrder};

pub(super) fn login() -> io::Result<String> {
    until_valid("Login name at the vendor: ", plan::login)
}

/// Not shown while it is typed.
pub(super) fn password() -> io::Result<Zeroizing<String>> {
    loop {
        let typed = Zeroizing::new(rpassword::prompt_password("Password (not shown): ")?);
        match plan::password(&typed) {
            Ok(password) => return Ok(password),
            Err(why) => println!("  It {why}."),
        }
    }
}

/// Orders until a name is left empty, and the key of each.
pub(super) fn orders(key_file: Option<&str>) -> io::Result<(Vec<ListedOrder>, Vec<Option<String>>)> {
    println!("Orders, one after the other; an empty name ends the list.");
    let (mut lines, mut orders, mut keys) = (String::new(), Vec::new(), Vec::new());
    loop {
        let name = ask("  Name, such as www: ")?;
        if name.is_empty() && !orders.is_empty() {
            return Ok((orders, keys));
        }
        let number = ask("  Order number: ")?;
        let domains = ask("  Domains it must cover, separated by blanks (none: not checked): ")?;
        let line = format!("{name},{number},{domains}\n");
        match orders_csv::read(format!("{lines}{line}").as_bytes()) {
            Ok(read) => orders = read,
            Err(problems) => {
                problems.iter().for_each(|problem| println!("  {}", without_line(problem)));
                continue;
            }
        }
        lines += &line;
        keys.push(match plan::key_of(key_file, &name) {
            Some(key) => Some(key),
            None => until_valid("  Private key file (none: not checked): ", |answer| match answer {
                "" => Ok(None),
                path => plan::key_file(path).map(Some),
            })?,
        });
    }
}

/// The line is the one that was just typed.
fn without_line(problem: &str) -> &str {
    problem.split_once(": ").filter(|(line, _)| line.starts_with("line ")).map_or(problem, |(_, rest)| rest)
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
    print!("{question}");
    io::stdout().flush()?;
    let mut answer = String::new();
    if io::stdin().read_line(&mut answer)? == 0 {
        return Err(io::Error::new(ErrorKind::UnexpectedEof, "the input ended"));
    }
    Ok(answer.trim().to_owned())
}
