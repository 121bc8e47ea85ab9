//! `man`: made from the command line's own definition, and from the documents.

use std::path::Path;

use clap::Command;

use super::exit::Exit;
use super::manual;
use super::print::fail;
use crate::effects::errno::cause;

/// `man`: one page for the program and one for each command, one for the configuration and one for hooks.
pub fn man(line: Command, dir: &Path) -> Result<(), Exit> {
    let made =
        std::fs::create_dir_all(dir).and_then(|()| clap_mangen::generate_to(line, dir)).and_then(|()| {
            manual::pages().into_iter().try_for_each(|(name, text)| std::fs::write(dir.join(name), text))
        });
    made.map_err(|error| {
        let why = format!("the manual pages cannot be written to {}: {}", dir.display(), cause(&error));
        fail(Exit::Failed, &why)
    })
}
