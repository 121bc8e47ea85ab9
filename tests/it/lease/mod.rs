//! The lease, step by step; and in worlds made from a seed.

mod worlds;

use certcollectd_core::engine::time::{Now, Time};
use certcollectd_core::fleet::lease::{Beat, Lease, Rows, Step, WentBack, Write, Written};

use worlds::{LEASE, Rule, SECOND, candidate, limits};

fn at(seconds: i64) -> Now {
    Now { time: Time(seconds * SECOND), wall: 1_800_000_000_000 + seconds * SECOND }
}

fn lease(index: usize) -> Lease {
    Lease::new(candidate(index, 0), limits(Rule::Whole), 0)
}

/// Looks at the store until there is something to write; when that was, and what.
fn until_written(lease: &mut Lease, rows: &Rows, mut now: i64) -> (i64, Write) {
    loop {
        match lease.step(at(now)) {
            Step::Look => lease.looked(rows.clone(), at(now)),
            Step::Wait(time) => now = (time.0 + SECOND - 1) / SECOND,
            Step::Write(write) => return (now, write),
        }
    }
}

fn stored(write: &Write) -> Rows {
    Rows { beat: Some(write.beat.clone()), fence: Some(write.fence.clone()) }
}

/// One that leads since second 181, and its rows.
fn leader() -> (Lease, Rows) {
    let mut lease = lease(0);
    let (now, write) = until_written(&mut lease, &Rows::default(), 0);
    assert_eq!(now, 181, "no row is a row that was seen");
    // The answer takes its time; what counts is when the beat was sent.
    lease.wrote(&write, Written::Done, at(now).time, at(now + 4).time);
    let rows = stored(&write);
    (lease, rows)
}

#[test]
fn who_ended_in_order_is_followed_at_once() {
    let (mut first, rows) = leader();
    let release = first.release(at(190)).unwrap();
    first.wrote(&release, Written::Done, at(190).time, at(190).time);
    assert_eq!(first.term(at(190).time), None);
    let mut second = lease(1);
    second.looked(rows, at(190));
    let (now, write) = until_written(&mut second, &stored(&release), 200);
    assert_eq!((now, write.fence.term), (200, 2));
    // Who has not seen it lead waits: the row may be from a copy, and another one lead.
    assert_eq!(until_written(&mut lease(2), &stored(&release), 200).0, 381);
    // It does not take back at once what it gave away.
    assert_eq!(until_written(&mut first, &stored(&release), 190).0, 190 + LEASE / SECOND + 1);
}

#[test]
fn a_call_may_begin_while_nothing_of_it_can_outlast_the_lease() {
    let (lease, _) = leader();
    assert_eq!(lease.calls_until(), Some(at(181 + 180 - 85).time));
    assert_eq!(lease.term(at(181 + 179).time), Some(1));
    assert_eq!(lease.term(at(181 + 180).time), None);
}

#[test]
fn a_beat_that_arrived_though_nobody_said_so_is_gone_on_from() {
    let (mut lease, rows) = leader();
    let (now, write) = until_written(&mut lease, &rows, 181);
    assert_eq!(now, 201);
    lease.wrote(&write, Written::Perhaps, at(now).time, at(now + 5).time);
    // The deadline stays that of the beat before.
    assert_eq!(lease.calls_until(), Some(at(181 + 180 - 85).time));
    let (now, next) = until_written(&mut lease, &stored(&write), now + 5);
    assert_eq!((now, next.beat.beat, next.expected), (211, 3, stored(&write)));
}

#[test]
fn a_leader_whose_rows_are_another_ones_leads_no_more() {
    let (mut first, rows) = leader();
    let (now, write) = until_written(&mut first, &rows, 181);
    first.wrote(&write, Written::Perhaps, at(now).time, at(now).time);
    let (_, other) = until_written(&mut lease(1), &rows, 190);
    first.looked(stored(&other), at(now + 1));
    assert_eq!((first.term(at(now + 1).time), first.fence()), (None, None));
}

#[test]
fn a_store_from_before_stops_everybody_until_a_person_says_so() {
    let (mut leader, rows) = leader();
    let mut candidate = lease(1);
    candidate.looked(rows.clone(), at(190));
    let mut later = rows.clone();
    later.beat.as_mut().unwrap().beat = 9;
    candidate.looked(later, at(200));
    // Put back: the same term, an earlier beat.
    candidate.looked(rows.clone(), at(210));
    assert_eq!(candidate.went_back(), Some(WentBack { seen: 1, found: 1 }));
    // Put back: no term at all.
    let (now, write) = until_written(&mut leader, &rows, 181);
    leader.wrote(&write, Written::Perhaps, at(now).time, at(now).time);
    leader.looked(Rows::default(), at(now));
    assert_eq!(leader.went_back(), Some(WentBack { seen: 1, found: 0 }));
    for mut stopped in [leader, candidate] {
        for second in 0..600 {
            match stopped.step(at(300 + second)) {
                Step::Look => stopped.looked(Rows::default(), at(300 + second)),
                Step::Wait(_) => {}
                Step::Write(write) => panic!("{write:?}"),
            }
        }
        stopped.accept_restore();
        until_written(&mut stopped, &Rows::default(), 900);
    }
}

#[test]
fn a_clock_too_far_from_the_leaders_is_no_candidates_at_first() {
    let (_, rows) = leader();
    let beat = rows.beat.clone().unwrap();
    // Written between two looks five seconds apart: what is known is a span.
    for (ahead, stands) in [(0, true), (-9, true), (14, true), (-11, false), (16, false)] {
        let mut candidate = lease(1);
        candidate.looked(rows.clone(), at(200));
        let at_ms = at(200 + ahead).wall;
        let next = Rows { beat: Some(Beat { beat: 2, at_ms, ..beat.clone() }), ..rows.clone() };
        candidate.looked(next.clone(), at(205));
        let mut writes_within = |seconds: i64| {
            (0..seconds).any(|second| match candidate.step(at(205 + second)) {
                Step::Look => {
                    candidate.looked(next.clone(), at(205 + second));
                    false
                }
                Step::Wait(_) => false,
                Step::Write(_) => true,
            })
        };
        assert_eq!(writes_within(300), stands, "{ahead} s");
        // The leader is gone, and nobody knows whose clock is wrong.
        assert!(writes_within(400), "{ahead} s");
    }
}

/// Hosts may be configured differently: it is the leader's own time that is waited for.
#[test]
fn the_leaders_lease_counts_where_it_is_longer() {
    let (_, rows) = leader();
    let longer = Beat { lease_ms: 400_000, ..rows.beat.clone().unwrap() };
    let rows = Rows { beat: Some(longer), ..rows };
    let mut candidate = lease(1);
    candidate.looked(rows.clone(), at(200));
    let mut writes = |from: i64, to: i64| {
        (from..to).any(|second| match candidate.step(at(second)) {
            Step::Look => {
                candidate.looked(rows.clone(), at(second));
                false
            }
            Step::Wait(_) => false,
            Step::Write(_) => true,
        })
    };
    assert!(!writes(200, 600));
    assert!(writes(600, 610));
}

/// Meanwhile another one may have led, and the store may have been put back to the rows of the first.
#[test]
fn rows_that_were_not_looked_at_for_long_count_as_new() {
    let (_, rows) = leader();
    let mut candidate = lease(1);
    candidate.looked(rows.clone(), at(200));
    candidate.looked(rows.clone(), at(244));
    candidate.looked(rows.clone(), at(289));
    assert_eq!(until_written(&mut candidate, &rows, 290).0, 289 + 181);
}
