//! The signals that a hook may send.

use std::fmt;

/// A signal by which servers are told to reload, reopen or leave.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HookSignal {
    Hup,
    Int,
    Quit,
    Term,
    Usr1,
    Usr2,
    Alrm,
    Cont,
    Ttin,
    Ttou,
    Winch,
    Urg,
    Io,
}

impl HookSignal {
    /// All of them, in the order in which they are offered.
    pub const ALL: [HookSignal; 13] = [
        HookSignal::Hup,
        HookSignal::Int,
        HookSignal::Quit,
        HookSignal::Term,
        HookSignal::Usr1,
        HookSignal::Usr2,
        HookSignal::Alrm,
        HookSignal::Cont,
        HookSignal::Ttin,
        HookSignal::Ttou,
        HookSignal::Winch,
        HookSignal::Urg,
        HookSignal::Io,
    ];

    /// Its name, without `SIG`.
    pub fn as_str(self) -> &'static str {
        match self {
            HookSignal::Hup => "HUP",
            HookSignal::Int => "INT",
            HookSignal::Quit => "QUIT",
            HookSignal::Term => "TERM",
            HookSignal::Usr1 => "USR1",
            HookSignal::Usr2 => "USR2",
            HookSignal::Alrm => "ALRM",
            HookSignal::Cont => "CONT",
            HookSignal::Ttin => "TTIN",
            HookSignal::Ttou => "TTOU",
            HookSignal::Winch => "WINCH",
            HookSignal::Urg => "URG",
            HookSignal::Io => "IO",
        }
    }

    /// By its name in any case, with `SIG` or without.
    pub fn named(text: &str) -> Option<HookSignal> {
        let upper = text.to_ascii_uppercase();
        let name = upper.strip_prefix("SIG").unwrap_or(&upper);
        HookSignal::ALL.into_iter().find(|signal| signal.as_str() == name)
    }
}

impl fmt::Display for HookSignal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
