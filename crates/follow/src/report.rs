//! The report for the daemon, and its request: small files that are replaced whole.

use std::hash::{BuildHasher, RandomState};
use std::io;
use std::path::PathBuf;

use certcollectd_core::follow::{self, Report, Request};

use crate::file::{read, replace};
use crate::link::cause;

/// Where results are told.
#[derive(Debug)]
pub(crate) struct Desk {
    pub(crate) report: PathBuf,
    request: PathBuf,
    /// Differs from process to process.
    pub(crate) instance: String,
    /// This process has written a report.
    has_written: bool,
}

impl Desk {
    pub(crate) fn new(report: PathBuf, request: PathBuf) -> Desk {
        let instance = format!("{:016x}", RandomState::new().hash_one(0));
        Desk { report, request, instance, has_written: false }
    }

    /// What the daemon asks, if it does.
    pub(crate) fn request(&self) -> Option<Request> {
        follow::read(&read(&self.request).ok()?).ok()
    }

    /// What another companion has reported here since this one did.
    pub(crate) fn rival(&self) -> Option<Report> {
        let written = || follow::read::<Report>(&read(&self.report).ok()?).ok();
        written().filter(|report| self.has_written && report.instance != self.instance)
    }

    /// Replaces the report.
    pub(crate) fn write(&mut self, report: &Report) -> Result<(), String> {
        let written = replace(&self.report, &self.instance, &follow::write(report));
        self.has_written |= written.is_ok();
        written.map_err(|error| {
            let remedy = match error.kind() {
                io::ErrorKind::ReadOnlyFilesystem | io::ErrorKind::PermissionDenied => {
                    "; mount a directory that this user may write to and that the daemon sees, and pass --report FILE \
                     in it"
                }
                _ => "",
            };
            format!("cannot write the report {}: {}{remedy}", self.report.display(), cause(&error))
        })
    }
}
