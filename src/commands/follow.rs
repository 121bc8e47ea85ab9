//! `follow`: the companion in a web server's container. It ends as the server ends.

use certcollectd_follow::cli::{Arguments, run};

use super::exit::Exit;

pub fn follow(arguments: &Arguments) -> Result<(), Exit> {
    match run(arguments) {
        0 => Ok(()),
        code => Err(Exit::Server(code)),
    }
}
