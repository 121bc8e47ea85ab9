//! How a command ends: the table of exit codes. 0 is `Ok(())`: everything is in order, or the command
//! succeeded.

/// Why a command ends with a code other than 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    /// The command failed.
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
    /// The status is unknown.
    Unknown,
    /// `follow`: as the server ended.
    Server(u8),
}

impl Exit {
    pub fn code(self) -> u8 {
        match self {
            Exit::Failed | Exit::Warning => 1,
            Exit::Usage | Exit::Critical => 2,
            Exit::Waiting | Exit::Unknown => 3,
            Exit::Attention => 4,
            Exit::Closed => 5,
            Exit::Server(code) => code,
        }
    }
}
