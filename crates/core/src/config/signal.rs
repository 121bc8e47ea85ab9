//! The signals that a hook may send.

words! {
    /// A signal that makes servers reload, reopen their logs or exit.
    pub enum HookSignal {
        Hup = "HUP",
        Int = "INT",
        Quit = "QUIT",
        Term = "TERM",
        Usr1 = "USR1",
        Usr2 = "USR2",
        Alrm = "ALRM",
        Cont = "CONT",
        Ttin = "TTIN",
        Ttou = "TTOU",
        Winch = "WINCH",
        Urg = "URG",
        Io = "IO",
    }
}

impl HookSignal {
    /// By its name in any case, with `SIG` or without.
    pub fn spelled(text: &str) -> Option<HookSignal> {
        let upper = text.to_ascii_uppercase();
        let name = upper.strip_prefix("SIG").unwrap_or(&upper);
        HookSignal::named(name)
    }
}
