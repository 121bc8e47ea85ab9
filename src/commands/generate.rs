//! `completions` and `man`: both are made from the command line's own definition.

use std::path::Path;

use clap::CommandFactory;
use clap_complete::Shell;

use super::{print, print_error};
use crate::cli::{Cli, exit};
use crate::effects::access::cause;

const PROGRAM: &str = "certcollectd";

pub(super) fn completions(shell: Shell) -> u8 {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Cli::command(), PROGRAM, &mut script);
    print(&String::from_utf8_lossy(&script));
    exit::OK
}

/// `man`: one page for the program and one for each command.
pub(super) fn man(dir: &Path) -> u8 {
    let made = std::fs::create_dir_all(dir).and_then(|()| clap_mangen::generate_to(Cli::command(), dir));
    match made {
        Ok(()) => exit::OK,
        Err(error) => {
            print_error(&format!(
                "the manual pages cannot be written to {}: {}",
                dir.display(),
                cause(&error)
            ));
            exit::FAILED
        }
    }
}
