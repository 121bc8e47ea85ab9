//! The gates.

/// A measure finds the counts of one or more gates.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Measure {
    /// Two runs of different length under valgrind.
    Instructions,
    /// Two runs of different length under strace, with few orders and with many.
    SystemCalls,
    /// Two runs under strace, with few and with more orders that are issued.
    Installs,
    /// Orders that were all asked once and wait.
    Memory,
    /// A minute after a restart with nothing due.
    Quiet,
    Size,
}

impl Measure {
    pub(super) const ALL: [Measure; 6] = [
        Measure::Size,
        Measure::SystemCalls,
        Measure::Installs,
        Measure::Memory,
        Measure::Instructions,
        Measure::Quiet,
    ];
}

#[derive(Debug)]
pub(super) struct Gate {
    pub(super) name: &'static str,
    /// What is counted, with its unit.
    pub(super) what: &'static str,
    pub(super) measure: Measure,
    /// By how much the count moves with the moment at which counting begins.
    pub(super) phase: f64,
}

/// By the names that stand in `benches/gates.toml`, in its order.
pub(super) const GATES: [Gate; 17] = [
    gate_of("poll-instructions", "user instructions of a pending poll", Measure::Instructions),
    gate_of(
        "start-instructions",
        "user instructions of a start with 100 orders, and of its end",
        Measure::Instructions,
    ),
    gate_of(
        "poll-system-calls",
        "system calls of a pending poll, without those that wait or wake",
        Measure::SystemCalls,
    ),
    gate_of("poll-syncs", "fsync and fdatasync of a pending poll", Measure::SystemCalls),
    gate_of("poll-renames", "renames of a pending poll", Measure::SystemCalls),
    gate_of("poll-bytes", "bytes written for the state by a pending poll, 100 orders", Measure::SystemCalls),
    gate_of("poll-bytes-2000", "the same, 2,000 orders", Measure::SystemCalls),
    gate_of("connections", "TLS connections of 4,200 polls", Measure::SystemCalls),
    gate_of("install-syncs", "fsync and fdatasync from an order's poll to its hook's end", Measure::Installs),
    gate_of("install-renames", "renames of the same", Measure::Installs),
    gate_of("memory-10", "KiB resident, 10 waiting orders", Measure::Memory),
    gate_of("memory-10000", "KiB resident, 10,000 waiting orders", Measure::Memory),
    gate_of("memory-10000-restarted", "the same after a restart", Measure::Memory),
    gate_of("restart-calls", "calls in the first minute after a restart with nothing due", Measure::Quiet),
    // The loop's minute and the watch's five may both end in it, or neither.
    Gate { phase: 2.0, ..gate_of("wake-ups", "wake-ups of all threads in that minute", Measure::Quiet) },
    gate_of("size", "bytes of the program without the rehearsal server", Measure::Size),
    gate_of("size-with-sandbox", "bytes of the program with it", Measure::Size),
];

const fn gate_of(name: &'static str, what: &'static str, measure: Measure) -> Gate {
    Gate { name, what, measure, phase: 0.0 }
}

pub(super) fn gate(name: &str) -> Option<&'static Gate> {
    GATES.iter().find(|gate| gate.name == name)
}
