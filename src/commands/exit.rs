//! How a command ends: the table of exit codes. 0 is `Ok(())`: everything is in order, or what was
//! wanted was done.

/// Why a command ends with another code than 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    /// What was wanted failed.
    Failed,
    /// Usage or configuration errors; another process holds the state directory.
    Usage,
    /// `once`: some orders still wait.
    Waiting,
    /// `once`: some orders need attention.
    Attention,
    /// `once`: an account is closed.
    Closed,
    /// `status --nagios`, as the next two: the exit codes of a monitoring plugin.
    Warning,
    Critical,
    /// Nothing can be said.
    Unknown,
}

impl Exit {
    pub fn code(self) -> u8 {
        match self {
            Exit::Failed | Exit::Warning => 1,
            Exit::Usage | Exit::Critical => 2,
            Exit::Waiting | Exit::Unknown => 3,
            Exit::Attention => 4,
            Exit::Closed => 5,
        }
    }
}
