//! The rows of the table, a file each.

mod burst;
mod drain;
mod drift;
mod fleet_commit;
mod fleet_follower;
mod fleet_spread;
mod fleet_takeover;
mod growth;
mod idle;
mod install;
mod install_counts;
mod poll_close;
mod poll_counts;
mod poll_cpu;
mod poll_slow;
mod room;
mod size;
mod start;
mod verdict;

use std::io;

use crate::bench::Bench;
use crate::figure::Figure;

#[derive(Clone, Copy)]
pub struct Row {
    pub name: &'static str,
    pub about: &'static str,
    pub run: fn(&Bench) -> io::Result<Vec<Figure>>,
}

pub const ROWS: [Row; 19] = [
    Row {
        name: "poll-counts",
        about: "instructions, system calls, syncs, bytes of a poll",
        run: poll_counts::run,
    },
    Row {
        name: "poll-cpu",
        about: "CPU of a poll, beside reqwest and a raw loop with a record",
        run: poll_cpu::run,
    },
    Row {
        name: "poll-slow",
        about: "CPU of a poll answered in 100 ms, beside bash and Python",
        run: poll_slow::run,
    },
    Row {
        name: "poll-close",
        about: "CPU of a poll when each answer ends its connection",
        run: poll_close::run,
    },
    Row {
        name: "install",
        about: "from the first \"2\" to the hook's end, beside a bare cycle",
        run: install::run,
    },
    Row { name: "install-counts", about: "syncs from the \"2\" to the hook's end", run: install_counts::run },
    Row { name: "verdict", about: "an answer decoded and judged", run: verdict::run },
    Row { name: "growth", about: "memory and CPU of a poll by the number of orders", run: growth::run },
    Row { name: "drift", about: "memory, open files, connections after many polls", run: drift::run },
    Row { name: "start", about: "from the start to the first poll; status, check", run: start::run },
    Row { name: "idle", about: "wake-ups while nothing is due", run: idle::run },
    Row { name: "drain", about: "100,000 due orders, each asked once", run: drain::run },
    Row { name: "burst", about: "1,000 orders issued at once", run: burst::run },
    Row { name: "size", about: "the program without the sandbox", run: size::run },
    Row { name: "room", about: "how many orders one account can hold", run: room::run },
    Row {
        name: "fleet-spread",
        about: "from the vendor's \"2\" to the last of many followers",
        run: fleet_spread::run,
    },
    Row { name: "fleet-commit", about: "what a shared state costs before a call", run: fleet_commit::run },
    Row {
        name: "fleet-takeover",
        about: "100,000 orders in the store: taken over, and their size",
        run: fleet_takeover::run,
    },
    Row {
        name: "fleet-follower",
        about: "an idle follower, beside a host on its own",
        run: fleet_follower::run,
    },
];
