//! The real binary killed at random times: what readers see, what the vendor sees, what the hooks saw.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use certcollectd::sources::clock;
use certcollectd_sandbox::{CertificateSpec, OrderSpec, Product};

use crate::setting::Setting;
use crate::simulation::Dice;

const ORDERS: u64 = 3;
/// Then everything comes to its end and is looked at, and a new setting begins.
const KILLS_OF_ONE: u64 = 250;

/// Watches as a server would: resolves the link once and reads the set. Counts what it saw.
struct Readers {
    stop: Arc<AtomicBool>,
    reads: Arc<AtomicU64>,
    thread: std::thread::JoinHandle<Result<(), String>>,
}

impl Readers {
    fn start(out: PathBuf) -> Readers {
        let stop = Arc::new(AtomicBool::new(false));
        let reads = Arc::new(AtomicU64::new(0));
        let (stopped, counted) = (stop.clone(), reads.clone());
        let thread = std::thread::spawn(move || {
            let mut seen = [false; ORDERS as usize];
            while !stopped.load(Ordering::Relaxed) {
                for (order, seen) in seen.iter_mut().enumerate() {
                    if read_set(&out.join(format!("o{order}")), *seen)? {
                        *seen = true;
                        counted.fetch_add(1, Ordering::Relaxed);
                    }
                }
            }
            Ok(())
        });
        Readers { stop, reads, thread }
    }

    fn end(self) -> u64 {
        self.stop.store(true, Ordering::Relaxed);
        self.thread.join().expect("the readers end").unwrap_or_else(|why| panic!("{why}"));
        self.reads.load(Ordering::Relaxed)
    }
}

/// Whether a complete set was there; what is there and not complete is an error, and so is nothing where
/// something was before.
pub fn read_set(link: &Path, was_there: bool) -> Result<bool, String> {
    let Ok(target) = std::fs::read_link(link) else {
        return if was_there { Err(format!("{} is gone", link.display())) } else { Ok(false) };
    };
    let dir = link.parent().expect("it is in a directory").join(target);
    let read = |name: &str| {
        std::fs::read(dir.join(name)).map_err(|error| format!("{}/{name}: {error}", dir.display()))
    };
    let (cert, chain, full) = (read("cert.pem")?, read("chain.pem")?, read("fullchain.pem")?);
    if cert.is_empty() || chain.is_empty() || full != [cert, chain].concat() {
        return Err(format!("{} is torn", dir.display()));
    }
    Ok(true)
}

/// What one setting saw of its kills.
struct Seen {
    reads: u64,
    calls: u64,
    installed: u64,
}

/// A setting of its own whose daemon is killed so often, until everything has come to its end.
fn kill(kills: u64, seed: u64) -> Seen {
    let mut dice = Dice(seed);
    let mut setting = Setting::new();
    // A call that a kill cut off is waited out: its time limit, and the rest after it. Both are short here, or most
    // kills would hit a daemon that waits.
    setting.polling(
        "interval = \"300ms\"\nmax_interval = \"1s\"\nguard_interval = \"300ms\"\ncall_gap = \"0s\"\nrequest_timeout = \"1s\"",
    );
    for order in 0..ORDERS {
        let keys = "key_file = \"$DIR/key.pem\"\nhooks = [\"log\"]\n[order.verify]\ntrust = \"off\"";
        setting.order(
            &format!("o{order}"),
            OrderSpec::new(Product::Ssl, &format!("7{order}"), &["www.example.com"]),
            keys,
        );
    }
    // One line for each order of the run: its serial as the hook was told.
    setting.table("[[hook]]\nname = \"log\"\nrun = [\"/bin/sh\", \"-c\", \"echo \\\"$CERTCOLLECTD_SERIAL\\\" >> $DIR/hooks\"]");
    let readers = Readers::start(setting.path("out"));
    let begin = clock::now();
    setting.start();
    setting.until_up(1);
    let start = u64::try_from(clock::now().time.since(begin.time).as_millis()).unwrap();
    // The kills that there had been when the newest certificate of each order was issued.
    let mut issued = [0; ORDERS as usize];
    for round in 0..kills {
        // In every second life a call comes first, so that something is at stake.
        if round % 2 == 1 {
            let calls = setting.all_calls();
            setting.until("another call", |setting| setting.all_calls() > calls);
        }
        // From before the first call to after the hook, however slow the machine is today.
        std::thread::sleep(Duration::from_millis(dice.below(400 + 2 * start)));
        setting.kill();
        if round % 2 == 0 {
            let order = dice.below(ORDERS);
            let spec = CertificateSpec {
                days: Some(u32::try_from(200 + round).unwrap()),
                ..CertificateSpec::default()
            };
            // Not issued yet in the first rounds; then there is nothing to issue anew.
            if setting.vendor().vendor().reissue(&format!("7{order}"), &spec).is_ok() {
                issued[order as usize] = round + 1;
            }
        }
        setting.start_again();
    }
    setting.until("everything has come to its end", |setting| {
        (0..ORDERS).all(|order| {
            // In this order: the phase of before an installation would be taken for the one after it.
            setting.read(&format!("out/o{order}/cert.pem")) == setting.newest(&format!("7{order}"))
                && setting.phase(&format!("o{order}")) == "guarding"
        })
    });
    let hooks = setting.read("hooks");
    for order in 0..ORDERS {
        let serial =
            setting.order_status(&format!("o{order}"))["certificate"]["serial"].as_str().unwrap().to_owned();
        let runs = hooks.lines().filter(|line| *line == serial).count() as u64;
        let most = kills - issued[order as usize] + 1;
        assert!((1..=most).contains(&runs), "seed {seed}: {runs} runs for o{order}, {serial}\n{hooks}");
    }
    assert_eq!(setting.stop(), Some(0));
    let reads = readers.end();
    let counters = setting.vendor().vendor().record().counters();
    assert_eq!(counters.all.max_in_flight, 1, "seed {seed}");
    for (order, tally) in &counters.orders {
        assert!(tally.smallest_gap_ms.is_none_or(|gap| gap >= 300), "seed {seed}, {order}: {tally:?}");
    }
    let installed = hooks.lines().collect::<BTreeSet<_>>().len() as u64;
    // A run in which nothing happens keeps every promise.
    let moved = reads > 100 && counters.all.calls >= kills / 2 && installed > kills / 8;
    assert!(moved, "seed {seed}: {reads} reads, {} calls, {installed} installations", counters.all.calls);
    Seen { reads, calls: counters.all.calls, installed }
}

#[test]
fn killed_at_random_nothing_is_torn_early_or_forgotten() {
    let number = |name: &str, default: u64| {
        std::env::var(name).ok().and_then(|text| text.parse().ok()).unwrap_or(default)
    };
    let kills = number("CRASH_KILLS", 40);
    let seed = number("CRASH_SEED", 1);
    println!("CRASH_SEED={seed} CRASH_KILLS={kills}");
    let settings = kills.div_ceil(KILLS_OF_ONE);
    let (mut reads, mut calls, mut installed) = (0, 0, 0);
    for at in 0..settings {
        let seen = kill((kills - at * KILLS_OF_ONE).min(KILLS_OF_ONE), seed + at);
        reads += seen.reads;
        calls += seen.calls;
        installed += seen.installed;
    }
    println!(
        "PROOF-FIGURE {kills} kills at random in {settings} settings, {installed} certificates installed, {reads} complete sets read \
         and none torn, {calls} calls, none early, each newest certificate shown and its hook run, from seed {seed}"
    );
}
