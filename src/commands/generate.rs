//! `completions` and `man`: both are made from the command line's own definition.

use std::path::Path;

use clap::Command;
use clap_complete::Shell;

use super::exit::Exit;
use super::print::{fail, print};
use crate::effects::errno::cause;

const PROGRAM: &str = "certcollectd";

pub fn completions(mut line: Command, shell: Shell) -> Result<(), Exit> {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut line, PROGRAM, &mut script);
    print(&String::from_utf8_lossy(&script));
    Ok(())
}

/// `man`: one page for the program and one for each command.
pub fn man(line: Command, dir: &Path) -> Result<(), Exit> {
    let made = std::fs::create_dir_all(dir).and_then(|()| clap_mangen::generate_to(line, dir));
    made.map_err(|error| {
        let why = format!("the manual pages cannot be written to {}: {}", dir.display(), cause(&error));
        fail(Exit::Failed, &why)
    })
}
