//! kill -9 at every system call of an installation that changes the disk, starts a process or sends
//! something: the first, the second, and so on until one run is over before it is hit.

use std::sync::atomic::{AtomicU64, Ordering};

use certcollectd_sandbox::CertificateSpec;

use super::{INTERVAL, Nth, at_its_end, figure, for_each, go_on, look, number, setting, skip, until_due};

/// Killed by the tracer: 128 + 9.
pub(super) const KILLED: i32 = 137;

pub(super) fn kill_at(at: u64) -> Vec<String> {
    ["--kill", "--at", &(at + 1).to_string()].map(str::to_owned).to_vec()
}

/// What was hit, for the failure's text.
pub(super) fn last_call(setting: &crate::setting::Setting) -> String {
    setting.read("calls").lines().last().unwrap_or("nothing").to_owned()
}

/// Kills at call `at` of the installation of a first certificate, or of a second one over it.
fn kill_and_go_on(nth: &Nth, at: u64, second: bool) -> Result<bool, String> {
    let setting = setting();
    if second {
        let (code, said) = setting.once(&["--wait", "60s"]);
        assert_eq!(code, 0, "{said}");
        let spec = CertificateSpec { days: Some(300), ..CertificateSpec::default() };
        setting.vendor().vendor().reissue("1", &spec).unwrap();
        until_due(&setting);
    }
    let (code, said) = nth.once(&setting, &kill_at(at));
    let hit = last_call(&setting);
    let complain = |what: String| format!("killed at call {at} ({hit}), second {second}: {what}\n{said}");
    look(&setting, second).map_err(complain)?;
    if code != KILLED {
        let end = if code == 0 { at_its_end(&setting, 0) } else { Err(format!("exit code {code}")) };
        return end.map(|()| false).map_err(complain);
    }
    go_on(&setting, |setting| look(setting, second).map(drop)).map_err(complain)?;
    // One more start owes nothing and repeats nothing.
    let before = setting.read("hooks");
    let (code, said_then) = setting.once(&[]);
    if code != 0 || setting.read("hooks") != before {
        return Err(complain(format!("a hook was run once more, or exit code {code}: {said_then}")));
    }
    at_its_end(&setting, 1).map_err(complain)?;
    let gap = setting.vendor().vendor().record().counters().orders["1"].smallest_gap_ms;
    if gap.is_some_and(|gap| u128::from(gap) < INTERVAL.as_millis()) {
        return Err(complain(format!("polled again after {gap:?} ms")));
    }
    Ok(true)
}

#[test]
#[ignore = "tests/proof runs it: it traces the binary"]
fn killed_at_every_call_of_an_installation() {
    let nth = match Nth::build() {
        Ok(nth) => nth,
        Err(why) => return skip(&why),
    };
    let threads = usize::try_from(number("PROOF_THREADS", 2)).unwrap();
    let count = |second| {
        for_each(threads, |at| kill_and_go_on(&nth, at, second)).unwrap_or_else(|why| panic!("{why}"))
    };
    let (first, second) = (count(false), count(true));
    figure(&format!(
        "{first} calls of a first installation and {second} of a second, killed at each: 0 torn sets, 0 lost installs, 0 early polls, \
         each hook run once or twice, nothing left over"
    ));
    assert!(first > 50 && second > 50, "{first} {second}");
}

/// Logins that the vendor refused after a kill at call `at`, however often the daemon is started then.
fn kill_and_be_refused(nth: &Nth, at: u64, most: &AtomicU64) -> Result<bool, String> {
    let setting = setting();
    setting.write("password", "wrong");
    let (code, said) = nth.once(&setting, &kill_at(at));
    let hit = last_call(&setting);
    for _ in 0..4 {
        until_due(&setting);
        let (code, said) = setting.once(&["--wait", "60s"]);
        if code != 5 {
            return Err(format!("killed at call {at} ({hit}): exit code {code}: {said}"));
        }
    }
    let refused = setting.vendor().vendor().record().counters().all.logins_refused;
    most.fetch_max(refused, Ordering::Relaxed);
    let allowed = if code == KILLED { 2 } else { 1 };
    if !(1..=allowed).contains(&refused) {
        return Err(format!("killed at call {at} ({hit}): {refused} refused logins\n{said}"));
    }
    Ok(code == KILLED)
}

#[test]
#[ignore = "tests/proof runs it: it traces the binary"]
fn killed_at_every_call_of_a_refused_login() {
    let nth = match Nth::build() {
        Ok(nth) => nth,
        Err(why) => return skip(&why),
    };
    let threads = usize::try_from(number("PROOF_THREADS", 2)).unwrap();
    let most = AtomicU64::new(0);
    let points =
        for_each(threads, |at| kill_and_be_refused(&nth, at, &most)).unwrap_or_else(|why| panic!("{why}"));
    figure(&format!(
        "{points} calls up to the refusal on disk, killed at each, then 4 starts: at most {} refused logins, one for each life of the \
         process that did not see the refusal recorded",
        most.into_inner()
    ));
    assert!(points > 20, "{points}");
}
