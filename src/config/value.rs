//! Text to value, one small function each: durations, modes, names, words, paths, numbers.
//!
//! A function says what is wrong and what to write; where it stands in the file is added by the reader.

use std::path::{Path, PathBuf};
use std::time::Duration;

pub(super) use certcollectd_core::config::name::{InvalidValue, NAME_CHARS, shown};

use certcollectd_core::api::{OrderRef, Product};

/// What to write where a name is wanted.
pub(super) const NAME_HELP: &str = "a name in quotes, such as \"main\"";

/// What to write where a duration is wanted.
pub(super) const DURATION_HELP: &str =
    "a duration is text with a unit, such as \"3h\", \"1d12h\" or \"250ms\"";

/// What to write where file permissions are wanted.
pub(super) const MODE_HELP: &str = "a mode is text of octal digits, such as \"0644\"";

/// Longer than any wait that makes sense here; keeps all later arithmetic far from its limits.
pub(super) const LONGEST: Duration = Duration::from_secs(366 * DAY);

/// The shortest wait: anything below would be a loop without a pause.
pub(super) const SHORTEST: Duration = Duration::from_millis(1);

const DAY: u64 = 24 * 3600;

/// What is wrong with a value, and what to write.
pub(super) fn refuse<T>(what: impl Into<String>, help: impl Into<String>) -> Result<T, InvalidValue> {
    Err(InvalidValue::new(what, help))
}

/// As [`refuse`], where it is wrong.
pub(super) fn refuse_if(is_wrong: bool, what: &str, help: &str) -> Result<(), InvalidValue> {
    if is_wrong { refuse(what, help) } else { Ok(()) }
}

/// Bytes of one file name on the file systems of Linux.
const FILE_NAME_BYTES: usize = 255;

/// Most tries at an answer that cannot be understood.
pub(super) const MOST_TRIES: u32 = 1000;

/// Most by which an interval may be stretched.
pub(super) const MOST_SPREAD: f64 = 0.5;

/// The least share of hosts.
pub(super) const LEAST_PORTION: f64 = 0.001;

/// Text with a unit, between two bounds.
pub(super) fn duration(text: &str, least: Duration, most: Duration) -> Result<Duration, InvalidValue> {
    let help = DURATION_HELP;
    refuse_if(text.trim().is_empty(), "is empty", help)?;
    let is_bare = text.trim().bytes().all(|byte| byte.is_ascii_digit() || byte == b'.');
    refuse_if(is_bare, "has no unit", help)?;
    // The parser panics on sums beyond what a `Duration` holds; no sane number has that many digits.
    let is_long = text.split(|c: char| !c.is_ascii_digit()).any(|digits| digits.len() > 12);
    refuse_if(text.len() > 64 || is_long, "is too long", help)?;
    // "M" would be a month, one slip of the shift key away from a minute.
    if let Some(unit) = text.split(|c: char| !c.is_alphabetic()).find(|unit| is_long_unit(unit)) {
        let help = "m is minutes; write months and years as days, such as \"30d\"";
        return refuse(format!("uses the unit {unit:?}, which has no fixed length"), help);
    }
    let value = match humantime::parse_duration(text.trim()) {
        Ok(value) => value,
        Err(humantime::DurationError::UnknownUnit { unit, .. }) if unit.is_empty() => {
            return refuse("has a number without a unit", help);
        }
        Err(humantime::DurationError::UnknownUnit { unit, .. }) => {
            return refuse(
                format!("has the unknown unit {}", shown(&unit)),
                "units are ms, s, m, h, d and w",
            );
        }
        Err(_) => return refuse("is not a duration", help),
    };
    if value < least {
        return refuse(format!("is too short: at least {}", plain(least)), help);
    }
    if value > most {
        return refuse(format!("is too long: at most {}", plain(most)), help);
    }
    Ok(value)
}

/// A duration as the operator would write it: "3h", "1d12h".
pub(super) fn plain(duration: Duration) -> String {
    let mut rest = duration.as_millis();
    let mut text = String::new();
    for (unit, millis) in
        [("d", 1000 * u128::from(DAY)), ("h", 3_600_000), ("m", 60_000), ("s", 1000), ("ms", 1)]
    {
        if rest >= millis {
            text.push_str(&format!("{}{unit}", rest / millis));
            rest %= millis;
        }
    }
    if text.is_empty() { "0s".to_owned() } else { text }
}

fn is_long_unit(unit: &str) -> bool {
    unit == "M" || unit.starts_with("mon") || unit.starts_with('y')
}

/// Octal permission bits.
pub(super) fn mode(text: &str) -> Result<u32, InvalidValue> {
    let is_octal = text.len() <= 6 && text.bytes().all(|byte| (b'0'..=b'7').contains(&byte));
    let Some(mode) = u32::from_str_radix(text, 8).ok().filter(|_| is_octal) else {
        return refuse("is not a mode", MODE_HELP);
    };
    let help = "only 0777 may be used: no setuid, setgid or sticky bit";
    refuse_if(mode & !0o777 != 0, "has bits beyond the permissions", help)?;
    let help = "the last digit must be 0, 1, 4 or 5, such as in \"0644\"";
    refuse_if(mode & 0o002 != 0, "makes the file writable for everyone", help)?;
    Ok(mode)
}

/// The share of an interval, in thousandths.
pub(super) fn spread(share: f64) -> Result<u16, InvalidValue> {
    let help = "a number from 0 to 0.5: 0.1 stretches an interval by up to ten per cent";
    refuse_if(!(0.0..=MOST_SPREAD).contains(&share), "is out of range", help)?;
    // At most 500, so nothing is cut.
    Ok((share * 1000.0).round() as u16)
}

/// The share of a fleet's hosts, in thousandths.
pub(super) fn wave_share(share: f64) -> Result<u16, InvalidValue> {
    let help = "a number from 0.001 to 1: 0.1 is a tenth of the hosts, 1.0 all of them";
    refuse_if(!(LEAST_PORTION..=1.0).contains(&share), "is out of range", help)?;
    // At most 1000, so nothing is cut.
    Ok((share * 1000.0).round() as u16)
}

/// What the keys in a fleet's store begin with; ends with a slash.
pub(super) fn prefix(text: &str) -> Result<Box<str>, InvalidValue> {
    let help = "1 to 100 letters, digits and . _ - /, such as \"certcollectd/main/\"";
    let is_allowed = |c: char| matches!(c, 'a'..='z' | 'A'..='Z' | '0'..='9' | '.' | '_' | '-' | '/');
    let bare = text.strip_suffix('/').unwrap_or(text);
    refuse_if(bare.is_empty(), "is empty", help)?;
    refuse_if(!bare.chars().all(is_allowed), "has a character that keys must not have", help)?;
    refuse_if(bare.contains("//") || bare.ends_with('/'), "has an empty part", help)?;
    refuse_if(bare.len() > NAME_CHARS, "is too long", help)?;
    Ok(format!("{bare}/").into())
}

/// An absolute path without detours, so that two ways to write one place compare equal.
pub(super) fn path(text: &str) -> Result<PathBuf, InvalidValue> {
    refuse_if(text.is_empty(), "is empty", "give an absolute path, such as \"/etc/ssl/example.pem\"")?;
    let has_control = text.chars().any(char::is_control);
    refuse_if(has_control, "has control characters", "write the path as `ls` prints it")?;
    let Some(inside) = text.strip_prefix('/') else {
        let help = "begin with a slash; the daemon has no working directory";
        return refuse("is not an absolute path", help);
    };
    let mut is_plain = true;
    for part in inside.as_bytes().split(|byte| *byte == b'/') {
        refuse_if(part == b"..", "contains `..`", "write the path without it")?;
        is_plain &= !matches!(part, b"" | b".");
    }
    let path = Path::new(text);
    Ok(if is_plain { path.to_owned() } else { path.components().collect() })
}

/// As [`path`], for a file: no slash at the end, not the root.
pub(super) fn file_path(text: &str) -> Result<PathBuf, InvalidValue> {
    let path = path(text)?;
    let help = "give the path of the file, without a slash at the end";
    refuse_if(text.ends_with('/'), "names a folder", help)?;
    Ok(path)
}

/// A name within a folder.
pub(super) fn file_name(text: &str) -> Result<(), InvalidValue> {
    let help = "give a plain file name, such as \"cert.pem\"";
    refuse_if(text.is_empty(), "is empty", "give a file name, or false for no such file")?;
    if text.contains('/') {
        return refuse("has a slash", format!("{help}; for other places use [[order.copy]]"));
    }
    refuse_if(text == "." || text == "..", "is not a file name", help)?;
    refuse_if(text.chars().any(char::is_control), "has control characters", help)?;
    if text.len() > FILE_NAME_BYTES {
        return refuse(format!("is longer than {FILE_NAME_BYTES} bytes"), help);
    }
    Ok(())
}

/// A user or a group, by name or by number.
pub(super) fn principal(text: &str) -> Result<(), InvalidValue> {
    let help = "a name or a number as text, such as \"root\" or \"33\"";
    let is_allowed =
        |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.' | '@' | '\\' | '$' | '+');
    refuse_if(text.is_empty(), "is empty", help)?;
    let is_name = text.len() <= 256 && !text.starts_with('-') && text.chars().all(is_allowed);
    refuse_if(!is_name, "is not a user or group", help)?;
    // 4294967295 means "leave it alone" to the system call, which is not what was meant.
    let is_number = text.bytes().all(|byte| byte.is_ascii_digit());
    let is_large = is_number && !text.parse::<u32>().is_ok_and(|id| id != u32::MAX);
    refuse_if(is_large, "is too large for a user or group", help)
}

/// The vendor's order number: opaque, except that CollectMC takes digits only.
pub(super) fn order_number(text: &str, product: Product) -> Result<(), InvalidValue> {
    let help = "write the number as the vendor gave it, such as \"123456789\"";
    refuse_if(text.is_empty(), "is empty", help)?;
    refuse_if(text.trim() != text, "has leading or trailing spaces", help)?;
    refuse_if(text.chars().any(char::is_control), "has control characters", help)?;
    if text.chars().count() > OrderRef::MAX_ORDER_NUMBER {
        return refuse(format!("is longer than {} characters", OrderRef::MAX_ORDER_NUMBER), help);
    }
    match product {
        Product::Ssl => Ok(()),
        // CollectMC and CollectSMIME take an integer.
        Product::Mark | Product::Smime => digits(text, OrderRef::MAX_ORDER_NUMBER),
    }
}

/// What makes a number look as if it were not the one that the vendor gave, and what to do.
pub(super) fn odd_order_number(text: &str) -> Option<(String, &'static str)> {
    if let Some(odd) = text.chars().find(|c| !c.is_ascii()) {
        let help = "retype it: some characters look like digits or are invisible, and the vendor knows no such \
                    number";
        return Some((format!("has the character {odd:?} (U+{:04X})", u32::from(odd)), help));
    }
    let odd = text.chars().find(|c| matches!(c, ' ' | ',' | ';' | '/' | '\'' | '"'))?;
    Some((format!("has {odd:?} in it"), "an order has one number; give a second number its own [[order]]"))
}

/// Digits only.
pub(super) fn digits(text: &str, most: usize) -> Result<(), InvalidValue> {
    let wrong = |what: &str| refuse(what, format!("1 to {most} digits in quotes, such as \"123456789\""));
    if text.is_empty() {
        wrong("is empty")
    } else if !text.bytes().all(|byte| byte.is_ascii_digit()) {
        wrong("is not a number")
    } else if text.len() > most {
        wrong(&format!("has more than {most} digits"))
    } else {
        Ok(())
    }
}

/// The name of an environment variable.
pub(super) fn variable(text: &str) -> Result<(), InvalidValue> {
    let is_allowed = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let is_name = text.starts_with(|c: char| !c.is_ascii_digit()) && text.chars().all(is_allowed);
    let help = "letters, digits and _ only; give the name of the variable, not its value";
    refuse_if(!is_name, "is not the name of an environment variable", help)
}

/// A level, or a list of `target=level` as in `RUST_LOG`.
pub(super) fn log_filter(text: &str) -> Result<(), InvalidValue> {
    const LEVELS: [&str; 6] = ["error", "warn", "info", "debug", "trace", "off"];
    let help = "error, warn, info, debug, trace or off, or a filter such as \"info,certcollectd_core::engine=debug\"";
    for part in text.split(',') {
        let level = part.rsplit('=').next().unwrap_or_default().trim();
        let is_level = LEVELS.iter().any(|known| known.eq_ignore_ascii_case(level));
        // Without a level, a target or a span stands for all of it.
        let is_target = !part.contains('=') && (part.contains("::") || part.trim().ends_with(']'));
        if !is_level && !is_target {
            let help = format!("{} {help}", did_you_mean(level, LEVELS.into_iter()));
            return refuse(format!("has the unknown level {}", shown(level)), help.trim_start());
        }
    }
    Ok(())
}

/// A question about a word that is not known; nothing where none is near.
pub(super) fn did_you_mean<'a>(word: &str, candidates: impl Iterator<Item = &'a str>) -> String {
    near(word, candidates).map(|near| format!("did you mean {near:?}?")).unwrap_or_default()
}

/// The candidate that was probably meant, if one is near enough.
pub(super) fn near<'a>(word: &str, candidates: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    if word.len() > 2 * NAME_CHARS {
        return None;
    }
    // One slip in three letters, but in short words one at most, or everything would be near to everything.
    let allowed = (word.chars().count() / 3).max(1);
    candidates
        .map(|candidate| (strsim::osa_distance(word, candidate), candidate))
        .filter(|(distance, candidate)| *distance <= allowed && *distance < candidate.len())
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn what<T: std::fmt::Debug>(result: Result<T, InvalidValue>) -> String {
        result.unwrap_err().what
    }

    #[test]
    fn durations_carry_a_unit() {
        let read = |text| duration(text, Duration::ZERO, LONGEST);
        for (text, millis) in [
            ("3h", 10_800_000),
            ("1d12h", 129_600_000),
            ("250ms", 250),
            ("0s", 0),
            ("1h 30m", 5_400_000),
            (" 2w ", 1_209_600_000),
            ("0.5s", 500),
        ] {
            assert_eq!(read(text), Ok(Duration::from_millis(millis)), "{text}");
        }
        for (text, expected) in [
            ("", "is empty"),
            ("3600", "has no unit"),
            ("0", "has no unit"),
            ("1h30", "has a number without a unit"),
            ("3 fortnights", "has the unknown unit \"fortnights\""),
            ("3M", "uses the unit \"M\", which has no fixed length"),
            ("1year", "uses the unit \"year\", which has no fixed length"),
            ("-3h", "is not a duration"),
            ("h", "is not a duration"),
            ("400d", "is too long: at most 366d"),
            ("18446744073709551615s1000ms", "is too long"),
        ] {
            assert_eq!(what(read(text)), expected, "{text}");
        }
        assert_eq!(what(duration("0s", SHORTEST, LONGEST)), "is too short: at least 1ms");
    }

    #[test]
    fn durations_are_shown_as_they_are_written() {
        for text in ["3h", "1d12h", "250ms", "0s", "1m30s", "366d"] {
            assert_eq!(plain(duration(text, Duration::ZERO, LONGEST).unwrap()), text);
        }
    }

    #[test]
    fn no_text_makes_the_duration_parser_panic() {
        for unit in ["ns", "us", "ms", "s", "m", "h", "d", "w"] {
            for digits in ["999999999999", "999999999999.999999999999", "0.000000000001"] {
                let text = format!("{digits}{unit}");
                let _ = duration(&format!("{text}{text}"), Duration::ZERO, LONGEST);
            }
        }
    }

    #[test]
    fn modes_are_octal_and_narrow() {
        assert_eq!(mode("0644"), Ok(0o644));
        assert_eq!(mode("644"), Ok(0o644));
        assert_eq!(mode("0"), Ok(0));
        for (text, expected) in [
            ("", "is not a mode"),
            ("0o644", "is not a mode"),
            ("rw-r--r--", "is not a mode"),
            ("0888", "is not a mode"),
            ("4755", "has bits beyond the permissions"),
            ("0666", "makes the file writable for everyone"),
        ] {
            assert_eq!(what(mode(text)), expected, "{text}");
        }
    }

    #[test]
    fn spread_is_a_share() {
        assert_eq!(spread(0.0), Ok(0));
        assert_eq!(spread(0.1), Ok(100));
        assert_eq!(spread(0.5), Ok(500));
        for share in [-0.1, 0.51, 10.0, f64::NAN, f64::INFINITY] {
            assert_eq!(what(spread(share)), "is out of range");
        }
    }

    #[test]
    fn paths_are_absolute_and_plain() {
        assert_eq!(path("/a//b/./c/"), Ok(PathBuf::from("/a/b/c")));
        assert_eq!(path("/a//b/").unwrap().as_os_str(), "/a/b");
        for (text, expected) in [
            ("", "is empty"),
            ("a/b", "is not an absolute path"),
            ("~/b", "is not an absolute path"),
            ("/a/../b", "contains `..`"),
            ("/a\0b", "has control characters"),
        ] {
            assert_eq!(what(path(text)), expected, "{text}");
        }
        assert_eq!(what(file_path("/a/")), "names a folder");
        assert_eq!(what(file_path("/")), "names a folder");
    }

    #[test]
    fn file_names_stay_in_their_folder() {
        assert_eq!(file_name("cert.pem"), Ok(()));
        for text in ["", ".", "..", "a/b", "/a", "../a", "a\n", &"a".repeat(256)] {
            assert!(file_name(text).is_err(), "{text}");
        }
    }

    #[test]
    fn users_and_groups() {
        for text in ["root", "ssl-cert", "0", "33", "user@realm", "DOM\\user"] {
            assert_eq!(principal(text), Ok(()), "{text}");
        }
        for text in ["", "a b", "root:ssl-cert", "-1", "4294967295", "99999999999"] {
            assert!(principal(text).is_err(), "{text}");
        }
    }

    #[test]
    fn order_numbers_are_opaque() {
        assert_eq!(order_number("123456789", Product::Ssl), Ok(()));
        assert_eq!(order_number("AB 12-x", Product::Ssl), Ok(()));
        assert_eq!(order_number(&"9".repeat(128), Product::Mark), Ok(()));
        for (text, product) in [
            ("", Product::Ssl),
            (" 1", Product::Ssl),
            ("1\t2", Product::Ssl),
            (&"9".repeat(129), Product::Ssl),
            ("A1", Product::Mark),
            ("A1", Product::Smime),
        ] {
            assert!(order_number(text, product).is_err(), "{text}");
        }
    }

    #[test]
    fn log_levels_and_filters() {
        for text in ["info", "INFO", "off", "info,certcollectd_core::engine=debug", "hyper::client", "[span]"]
        {
            assert_eq!(log_filter(text), Ok(()), "{text}");
        }
        assert!(log_filter("inof").unwrap_err().help.starts_with("did you mean \"info\"? "));
        for text in ["", "verbose", "info,x=loud", "certcollectd"] {
            assert!(log_filter(text).is_err(), "{text}");
        }
    }

    #[test]
    fn near_words_are_found_and_far_ones_are_not() {
        let near = |word| near(word, ["interval", "max_interval", "to", "key"].into_iter());
        assert_eq!(near("intervall"), Some("interval"));
        assert_eq!(near("maxinterval"), Some("max_interval"));
        assert_eq!(near("kye"), Some("key"));
        assert_eq!(near("xy"), None);
        assert_eq!(near("timeout"), None);
        assert_eq!(near(&"x".repeat(10_000)), None);
    }
}
