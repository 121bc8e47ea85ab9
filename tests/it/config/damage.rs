//! Many mistakes at once, and files with random damage.

use certcollectd::config::file::{DiagnosticList, Level, includes, read};
use insta::assert_snapshot;

use super::{ACCOUNT, EXAMPLE, MINIMAL, source};

/// A small generator, so that a failure can be repeated from its seed.
pub(super) struct Dice(u64);

impl Dice {
    pub(super) fn new(seed: u64) -> Dice {
        // Neighbouring seeds would begin alike.
        Dice(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    pub(super) fn roll(&mut self, sides: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 % sides as u64) as usize
    }
}

/// A few bytes changed, inserted, removed or doubled; now and then the end cut off.
pub(super) fn mutate(text: &str, dice: &mut Dice) -> String {
    const BYTES: &[u8] = b"\"'[]{}=.,#\n\r\t \\0a_-*/\x00\x7f\xc3\xff";
    let mut bytes = text.as_bytes().to_vec();
    for _ in 0..=dice.roll(4) {
        let at = dice.roll(bytes.len().max(1)).min(bytes.len().saturating_sub(1));
        let byte = BYTES[dice.roll(BYTES.len())];
        match dice.roll(6) {
            _ if bytes.is_empty() => bytes.push(byte),
            0 => bytes[at] = byte,
            1 => bytes.insert(at, byte),
            2 => {
                bytes.remove(at);
            }
            3 => bytes.truncate(at),
            4 => {
                let end = (at + dice.roll(80)).min(bytes.len());
                let part = bytes[at..end].to_vec();
                bytes.splice(at..at, part);
            }
            _ => {
                let end = (at + dice.roll(40)).min(bytes.len());
                bytes.drain(at..end);
            }
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

#[test]
fn damaged_files_never_panic() {
    let texts = [super::example::with_defaults(), EXAMPLE.to_owned(), MINIMAL.to_owned()];
    for seed in 1..=2_000 {
        let mut dice = Dice::new(seed);
        let text = mutate(&texts[dice.roll(texts.len())], &mut dice);
        let main = source(&text);
        let _ = includes(&main);
        let sources = [main];
        let (Ok((_, problems)) | Err(problems)) = read(&sources);
        let shown = problems.render(&sources, seed % 2 == 0);
        assert_eq!(shown.is_empty(), problems.is_empty(), "seed {seed}");
        assert_eq!(problems.lines(&sources).len(), problems.iter().count(), "seed {seed}");
    }
}

#[test]
fn all_problems_are_reported_at_once() {
    let text = "state_dir = \"x\"\n[polling]\nintervall = \"3h\"\nspread = 5\nbroken line\n[[order]]\nname = \"A\"\n\
         order_number = 1\nhooks = [\"x\"]\n[order.files]\nmode = \"0666\"\n[log]\nlevel = \"loud\"\n";
    let problems = read(&[source(text)]).expect_err("it is wrong");
    let lines = problems.lines(&[source(text)]);
    assert_snapshot!(lines.join("\n"), @r#"
    config.toml:1:13: error: `state_dir` is not an absolute path; begin with a slash; the daemon has no working directory
    config.toml:3:1: error: unknown key `intervall` in [polling]; did you mean `interval`?
    config.toml:4:10: error: `spread` is out of range; a number from 0 to 0.5: 0.1 stretches an interval by up to ten per cent
    config.toml:5:8: error: a key without `=` and a value; expected `=`; a setting is written: key = value; a comment begins with #
    config.toml:7:8: error: `name` has capital letters; write "a"
    config.toml:8:16: error: `order_number` must be text; this is an integer; put it in quotes: order_number = "1"
    config.toml:11:8: error: `mode` makes the file writable for everyone; the last digit must be 0, 1, 4 or 5, such as in "0644"
    config.toml:13:9: error: `level` has the unknown level "loud"; error, warn, info, debug, trace or off, or a filter such as "info,certcollectd_core::engine=debug"
    "#);
}

#[test]
fn a_hundred_are_shown_and_the_others_are_counted() {
    let text = format!("{ACCOUNT}{}", "[[order]]\nname = \"a\"\n".repeat(200));
    let sources = [source(&text)];
    let problems = read(&sources).expect_err("it is wrong");
    assert_eq!((problems.errors(), problems.len()), (399, 399));
    assert_eq!(problems.iter().count(), DiagnosticList::SHOWN);
    let text = problems.render(&sources, false);
    assert!(text.ends_with("\nand 299 more\n\nconfig.toml: 399 errors\n"), "{text}");
}

#[test]
fn colours_are_added_on_demand() {
    let sources = [source("")];
    let problems = read(&sources).expect_err("it is wrong");
    assert!(problems.render(&sources, true).contains("\u{1b}["));
    assert!(problems.iter().all(|problem| problem.level <= Level::Warning));
    assert_eq!(problems.path(&problems.iter().next().unwrap().at).to_str(), Some("config.toml"));
}

#[test]
fn problems_without_their_sources_can_still_be_shown() {
    let problems = read(&[source("a = 1\n")]).expect_err("it is wrong");
    assert!(problems.render(&[], false).contains("unknown key `a`"));
    assert!(read(&[]).is_err());
}

#[test]
fn rubbish_without_end_is_refused_before_it_takes_memory() {
    let rubbish = "=".repeat(5 * 1024 * 1024);
    for text in [rubbish.clone(), format!("[[order]]\n{rubbish}"), "a=\n".repeat(2_000_000)] {
        let main = source(&text);
        assert_eq!(includes(&main), [""; 0]);
        let problems = read(&[main]).expect_err("it is too long");
        let messages: Vec<&str> = problems.iter().map(|problem| problem.message.as_str()).collect();
        assert_eq!(messages, ["more than 4 MiB that cannot be read in pieces"]);
    }
}
