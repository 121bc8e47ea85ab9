//! A mock vendor and a daemon that asks it.

use std::ffi::OsString;
use std::io;
use std::path::Path;

use tempfile::TempDir;

use crate::daemon::Daemon;
use crate::mock::{Manner, Mock};
use crate::site::{Plan, Site};

/// A vendor, and a place for a daemon; the folder goes with it.
#[derive(Debug)]
pub(super) struct Setting {
    pub(super) mock: Mock,
    pub(super) site: Site,
    pub(super) folder: TempDir,
}

impl Setting {
    pub(super) fn new(plan: &Plan, manner: Manner) -> io::Result<Setting> {
        let folder = tempfile::tempdir()?;
        let mock = Mock::start(&folder.path().join("mock"), manner, [0, 0])?;
        let site = Site::write(folder.path(), &mock.files, plan)?;
        Ok(Setting { mock, site, folder })
    }

    /// Starts the daemon, as it is or behind a program that looks at it.
    pub(super) fn start(&self, binary: &Path, behind: &[OsString]) -> io::Result<Daemon> {
        let binary = std::fs::canonicalize(binary)
            .map_err(|error| io::Error::other(format!("{}: {error}", binary.display())))?;
        Daemon::start(&binary, &self.site, behind)
    }
}
