//! When windows open: ten years of them in zones with their summer times, held against stepping through every quarter of
//! an hour and reading the clock on the wall.

use std::sync::OnceLock;

use certcollectd_core::config::{Clock, Day, Freeze, Window, Zone};
use certcollectd_core::engine::calendar::{Calendar, Opening};
use proptest::prelude::*;

/// 2026-11-20T00:00:00Z, a Friday.
const START: i64 = 1_795_132_800;
const DAY: i64 = 86_400;
/// Ten years, and the year that is looked ahead.
const DAYS: i64 = 3653 + 370;
/// Every zone here has its clocks changed at quarters of an hour.
const STEP: i64 = 900;

const ZONES: [&str; 7] = [
    "Europe/Berlin",
    "America/New_York",
    "Australia/Lord_Howe",
    "Asia/Kolkata",
    "Pacific/Apia",
    "Africa/Casablanca",
    "UTC",
];

fn window(days: &[Day], from: &str, to: &str, zone: &str) -> Window {
    Window {
        name: "night".into(),
        days: days.to_vec(),
        from: Clock::read(from).unwrap(),
        to: Clock::read(to).unwrap(),
        zone: Zone::named(zone).unwrap(),
    }
}

fn opening<'a>(windows: &[&'a Window], freezes: &'a [Freeze], unix: i64) -> Opening<'a> {
    Calendar { windows: windows.to_vec(), freezes }.opening(unix)
}

fn at(text: &str) -> i64 {
    text.parse::<jiff::Timestamp>().unwrap().as_second()
}

/// What the clock on the wall shows at each step: the day since 1970, and the quarter of it.
fn wall(zone: &str) -> &'static [(i64, i64)] {
    static WALLS: [OnceLock<Vec<(i64, i64)>>; ZONES.len()] = [const { OnceLock::new() }; ZONES.len()];
    let index = ZONES.iter().position(|known| *known == zone).unwrap();
    WALLS[index].get_or_init(|| {
        let zone = Zone::named(zone).unwrap();
        let show = |step: i64| {
            let local = zone.local(START - 3 * DAY + step * STEP).unwrap();
            let epoch = jiff::civil::date(1970, 1, 1);
            let day = i64::from((local.date() - epoch).get_days());
            (day, (i64::from(local.hour()) * 60 + i64::from(local.minute())) / 15)
        };
        (0..(DAYS + 6) * DAY / STEP).map(show).collect()
    })
}

/// Whether each quarter of an hour is open, from three days before the start on: between the first and the last moment at
/// which the clock on the wall shows a time of a day's window.
fn opened(days: &[bool; 7], from: i64, to: i64, zone: &str, freezes: &[(i64, i64)]) -> Vec<bool> {
    let wall = wall(zone);
    let base = wall[0].0 - 1;
    let mut first_and_last: Vec<Option<(usize, usize)>> = vec![None; usize::try_from(DAYS + 9).unwrap()];
    let end = if to > from { to } else { to + 96 };
    for (step, (day, quarter)) in wall.iter().enumerate() {
        // The window of this day, and that of the day before, which may last until now.
        for (begun, quarter) in [(*day, *quarter), (day - 1, quarter + 96)] {
            // 1 January 1970 was a Thursday.
            let weekday = usize::try_from((begun + 3).rem_euclid(7)).unwrap();
            if days[weekday] && (from..end).contains(&quarter) {
                first_and_last[usize::try_from(begun - base).unwrap()].get_or_insert((step, step)).1 = step;
            }
        }
    }
    let mut open = vec![false; wall.len()];
    for (first, last) in first_and_last.into_iter().flatten() {
        open[first..=last].fill(true);
    }
    for (step, open) in open.iter_mut().enumerate() {
        let unix = START - 3 * DAY + i64::try_from(step).unwrap() * STEP;
        let day = unix.div_euclid(DAY);
        *open &= !freezes.iter().any(|(first, last)| (*first..=*last).contains(&day));
    }
    open
}

fn text(quarter: i64) -> String {
    format!("{:02}:{:02}", quarter / 4, quarter % 4 * 15)
}

fn day_text(day: i64) -> String {
    let time = jiff::Timestamp::from_second(day * DAY).unwrap();
    time.strftime("%Y-%m-%d").to_string()
}

/// A window in quarters of an hour: its zone, its days, its beginning, its end.
type Drawn = (usize, [bool; 7], i64, i64);

/// Looks at ten years, every `stride` seconds.
fn compare(drawn: &[Drawn], freezes: &[(i64, i64)], offset: i64, stride: usize) -> Result<(), String> {
    let first = START / DAY;
    let freezes: Vec<(i64, i64)> =
        freezes.iter().map(|(begin, long)| (first + begin, first + begin + long)).collect();
    let read: Vec<Freeze> = freezes
        .iter()
        .map(|(first, last)| Freeze::read(&format!("{}/{}", day_text(*first), day_text(*last))).unwrap())
        .collect();
    let mut windows = Vec::new();
    let mut open = vec![false; wall("UTC").len()];
    for (zone, days, from, to) in
        drawn.iter().filter(|(_, days, from, to)| from != to && days.contains(&true))
    {
        let named = Day::ALL.into_iter().zip(days).filter(|(_, on)| **on).map(|(day, _)| day);
        windows.push(window(&named.collect::<Vec<_>>(), &text(*from), &text(*to), ZONES[*zone]));
        let more = opened(days, *from, *to, ZONES[*zone], &freezes);
        open.iter_mut().zip(more).for_each(|(open, more)| *open |= more);
    }
    let windows: Vec<&Window> = windows.iter().collect();
    if windows.is_empty() {
        return Ok(());
    }
    let mut next = None;
    let mut after = vec![None; open.len()];
    for step in (0..open.len()).rev() {
        if open[step] {
            next = Some(START - 3 * DAY + i64::try_from(step).unwrap() * STEP);
        }
        after[step] = next;
    }
    for unix in (START + offset..START + 3653 * DAY).step_by(stride) {
        let step = usize::try_from((unix - START + 3 * DAY) / STEP).unwrap();
        let wanted = if open[step] { Some(unix) } else { after[step] };
        let found = opening(&windows, &read, unix);
        let is_right = match found {
            Opening::Open => wanted == Some(unix),
            Opening::Opens(at, window) => {
                let goes_on = at > unix && window.is_some() && opening(&windows, &read, at).is_open();
                wanted == Some(at) && goes_on
            }
            Opening::Never => wanted.is_none_or(|wanted| wanted > unix + 366 * DAY),
        };
        if !is_right {
            return Err(format!("at {unix}: {wanted:?}, not {found:?}"));
        }
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 6, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn the_opening_is_the_next_open_moment(
        drawn in prop::collection::vec(
            (0..ZONES.len(), prop::array::uniform7(prop::bool::weighted(0.4)), 0i64..96, 0i64..=96),
            1..3,
        ),
        freezes in prop::collection::vec((0i64..DAYS, prop_oneof![0i64..30, 200i64..500]), 0..12),
        offset in 0i64..977,
    ) {
        // Several times a day, and not at full quarters alone.
        if let Err(wrong) = compare(&drawn, &freezes, offset, 30_677) {
            return Err(TestCaseError::fail(wrong));
        }
    }
}

#[test]
fn a_freeze_of_nearly_a_year_ends() {
    let sunday = [false, false, false, false, false, false, true];
    let drawn = [(5, sunday, 0, 1), (2, sunday, 45, 0)];
    assert_eq!(compare(&drawn, &[(0, 359)], 0, 9_677), Ok(()));
}

#[test]
fn a_time_that_is_left_out_opens_when_the_clock_goes_on() {
    // On 28 March 2027 the clocks of Berlin go from 02:00 to 03:00.
    let left_out = window(&Day::ALL, "02:30", "04:00", "Europe/Berlin");
    let before = at("2027-03-27T12:00:00Z");
    assert_eq!(opening(&[&left_out], &[], before).at(), Some(at("2027-03-28T01:00:00Z")));
    assert!(opening(&[&left_out], &[], at("2027-03-28T01:59:59Z")).is_open());
    assert_eq!(opening(&[&left_out], &[], at("2027-03-28T02:00:00Z")).at(), Some(at("2027-03-29T00:30:00Z")));
    // All of it is left out: there is none that day.
    let none = window(&Day::ALL, "02:15", "02:45", "Europe/Berlin");
    assert_eq!(opening(&[&none], &[], before).at(), Some(at("2027-03-29T00:15:00Z")));
}

#[test]
fn a_time_that_comes_twice_opens_at_the_first_and_closes_at_the_last() {
    // On 31 October 2027 the clocks of Berlin go from 03:00 back to 02:00.
    let twice = window(&[Day::Sun], "02:15", "02:45", "Europe/Berlin");
    assert_eq!(opening(&[&twice], &[], at("2027-10-30T12:00:00Z")).at(), Some(at("2027-10-31T00:15:00Z")));
    for open in ["2027-10-31T00:15:00Z", "2027-10-31T00:50:00Z", "2027-10-31T01:44:59Z"] {
        assert!(opening(&[&twice], &[], at(open)).is_open(), "{open}");
    }
    assert_eq!(opening(&[&twice], &[], at("2027-10-31T01:45:00Z")).at(), Some(at("2027-11-07T01:15:00Z")));
}

#[test]
fn the_day_of_a_window_over_midnight_is_the_one_on_which_it_begins() {
    let over = window(&[Day::Fri], "22:00", "05:00", "UTC");
    assert_eq!(opening(&[&over], &[], at("2026-11-20T12:00:00Z")).at(), Some(at("2026-11-20T22:00:00Z")));
    assert!(opening(&[&over], &[], at("2026-11-21T04:59:59Z")).is_open());
    assert_eq!(opening(&[&over], &[], at("2026-11-21T05:00:00Z")).at(), Some(at("2026-11-27T22:00:00Z")));
    let whole = window(&[Day::Sat], "00:00", "24:00", "UTC");
    assert!(opening(&[&whole], &[], at("2026-11-21T23:59:59Z")).is_open());
    assert!(!opening(&[&whole], &[], at("2026-11-22T00:00:00Z")).is_open());
}

#[test]
fn a_day_that_a_zone_left_out_has_no_window() {
    // Samoa went over the date line: after Thursday, 29 December 2011 came Saturday the 31st.
    let friday = window(&[Day::Fri], "08:00", "10:00", "Pacific/Apia");
    assert_eq!(opening(&[&friday], &[], at("2011-12-30T00:00:00Z")).at(), Some(at("2012-01-05T18:00:00Z")));
    let into = window(&[Day::Thu], "22:00", "05:00", "Pacific/Apia");
    assert!(opening(&[&into], &[], at("2011-12-30T09:59:59Z")).is_open());
    assert!(!opening(&[&into], &[], at("2011-12-30T10:00:00Z")).is_open());
}

#[test]
fn a_freeze_holds_every_order_on_its_first_day_and_its_last() {
    let freezes = [Freeze::read("2026-12-18/2027-01-04").unwrap()];
    let frozen = at("2026-12-18T00:00:00Z");
    assert!(opening(&[], &freezes, frozen - 1).is_open());
    assert_eq!(opening(&[], &freezes, frozen), Opening::Opens(at("2027-01-05T00:00:00Z"), None));
    assert!(!opening(&[], &freezes, at("2027-01-04T23:59:59Z")).is_open());
    assert!(opening(&[], &freezes, at("2027-01-05T00:00:00Z")).is_open());
    // It cuts a window: what is left of it is open.
    let over = window(&Day::ALL, "22:00", "05:00", "UTC");
    assert_eq!(opening(&[&over], &freezes, frozen).at(), Some(at("2027-01-05T00:00:00Z")));
}

#[test]
fn freezes_that_touch_are_one_and_a_freeze_of_everything_has_no_end() {
    let read = |text: &&str| Freeze::read(text).unwrap();
    let touching = ["2027-01-05/2027-01-09", "2026-12-18/2027-01-04", "2027-01-02/2027-01-06"];
    let freezes: Vec<Freeze> = touching.iter().map(read).collect();
    assert_eq!(opening(&[], &freezes, at("2026-12-20T00:00:00Z")).at(), Some(at("2027-01-10T00:00:00Z")));
    let all = [Freeze::read("2020-01-01/9999-12-31").unwrap()];
    let night = window(&Day::ALL, "22:00", "05:00", "Europe/Berlin");
    for windows in [&[][..], &[&night]] {
        let never = opening(windows, &all, START);
        assert_eq!(
            (never, never.brief(START).as_str()),
            (Opening::Never, "waits: no window opens within a year")
        );
    }
}

#[test]
fn an_opening_is_told_in_the_windows_own_time() {
    let night = window(&[Day::Tue], "02:00", "05:00", "Europe/Berlin");
    let monday = at("2026-11-30T12:00:00Z");
    let found = opening(&[&night], &[], monday);
    assert_eq!(found.brief(monday), "installs Tue 02:00 in window night");
    assert_eq!(found.describe(), "window night, which opens Tue 2026-12-01 02:00 Europe/Berlin");
    let wednesday = at("2026-12-02T00:00:00Z");
    let found = opening(&[&night], &[], wednesday);
    assert_eq!(found.brief(wednesday), "installs 2026-12-08 02:00 in window night");
    let freezes = [Freeze::read("2026-12-18/2027-01-04").unwrap()];
    let frozen = opening(&[], &freezes, at("2026-12-20T00:00:00Z"));
    assert_eq!(frozen.brief(at("2026-12-20T00:00:00Z")), "installs 2027-01-05 after the freeze");
}
