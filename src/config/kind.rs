//! What may stand behind a key, as far as it can be told without the rest of the file.

use super::keys::Keys;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Text that is checked, if at all, by what only the reader knows.
    Text,
    /// The name of an order, an account or a hook.
    Name,
    /// Digits, in quotes.
    Digits,
    /// An absolute path.
    Path,
    /// A file name, or `false` for no such file.
    FileName,
    /// A duration with its unit.
    Duration,
    /// A duration with its unit, or `"off"`.
    DurationOrOff,
    /// A time of the day, `HH:MM`.
    Clock,
    /// Permissions, octal.
    Mode,
    /// A user or a group, by name or by number.
    Principal,
    Url,
    /// An IP address and a port.
    Listen,
    /// The name of an environment variable.
    Variable,
    /// A number from 0 to [`value::MOST_SPREAD`].
    ///
    /// [`value::MOST_SPREAD`]: super::value::MOST_SPREAD
    Share,
    /// A number from 0.001 to 1.
    Portion,
    /// A whole number from 1 to so many.
    Count(u32),
    Flag,
    /// One of these.
    Word(&'static [&'static str]),
    /// The name of a signal, in any case, with `SIG` or without.
    Signal,
    List(&'static Kind),
    /// One of the kind, or a list of it.
    OneOrList(&'static Kind),
    /// Names of the operator's choice, each with a text.
    Parameters,
    /// The kind, or where it is kept.
    Kept(&'static Kind),
    /// Names of headers, each with a text, or with where it is kept.
    Headers,
    /// A table that may be given once.
    Table(&'static Keys),
    /// A list of tables.
    Tables(&'static Keys),
}

impl Kind {
    /// The table that stands behind the key, if it is one.
    pub(super) fn table(&self) -> Option<&'static Keys> {
        match self {
            Kind::Table(keys) | Kind::Tables(keys) => Some(keys),
            Kind::Text
            | Kind::Name
            | Kind::Digits
            | Kind::Path
            | Kind::FileName
            | Kind::Duration
            | Kind::DurationOrOff
            | Kind::Clock
            | Kind::Mode
            | Kind::Principal
            | Kind::Url
            | Kind::Listen
            | Kind::Variable
            | Kind::Share
            | Kind::Portion
            | Kind::Count(_)
            | Kind::Flag
            | Kind::Word(_)
            | Kind::Signal
            | Kind::List(_)
            | Kind::OneOrList(_)
            | Kind::Parameters
            | Kind::Kept(_)
            | Kind::Headers => None,
        }
    }
}
