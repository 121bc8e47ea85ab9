# The suites of tests/proof: name, promise, and what runs it. Sourced, never run.
#
# A suite prints its figures behind PROOF-FIGURE, and behind PROOF-SKIP why it, or a part of it, cannot be run here.

SUITES=()
declare -A PROMISE RUNNER

# suite NAME PROMISE COMMAND...
suite() {
    SUITES+=("$1")
    PROMISE[$1]=$2
    RUNNER[$1]="${*:3}"
}

suite calls "kill -9 at every system call of an installation loses nothing, tears nothing, polls nobody early" \
    tests proof::calls::killed_at_every_call_of_an_installation
suite refused "kill -9 at every system call of a refused login: one login for each life of the process" \
    tests proof::calls::killed_at_every_call_of_a_refused_login
suite random "kill -9 at random: readers see complete sets, hooks run, nobody is polled early" \
    tests crash::
suite resume "each phase goes on from whatever lies on disk: old, new, missing, foreign, half" \
    tests resume::
suite power "a power cut at any moment loses nothing, with state and output on two file systems" \
    tests proof::power::
suite blocks "whatever single writes a power cut lets through, nothing is lost" \
    tests proof::blocks::
suite reissue "kill -9 at every system call of a re-issue, and power cuts: one re-issue at the vendor for each intent" \
    tests proof::reissue::
suite errors "each error at each call on a file is survived, named, and over when the fault is over" \
    tests proof::disk::each_error_at_each_call_is_survived
suite full "a disk that is really full, in bytes or in inodes, is survived and told" \
    tests proof::disk::a_disk_that_is_really_full_is_survived
suite state "a damaged, newer, lost or restored state file: no panic, no login more, no install lost" \
    tests store::
suite vanish "the state taken away from under a daemon at work: nothing is done beside it, and nobody begins a second" \
    tests vanish::
suite simulation "in every simulated world the promises hold after each event" \
    tests simulation::
suite lease "whatever is lost, late, killed or stands still: no two collectors call at once, none early" \
    tests lease::
suite fleet-kill "kill -9 of the collector that leads: no two calls at once, none early, no certificate lost, another one leads" \
    tests fleet::kill::
suite fleet-stop "a leader that stands still past its lease, or in a call before its bytes have left, calls nobody afterwards; one with a lock of the store would" \
    tests fleet::stop::
suite fleet-cut "cut off from the store or the vendor, also under a call, or with a store without an answer or a quorum: no call after the lease" \
    tests fleet::cut::
suite fleet-store "a store frozen, full, put back, emptied, of another fleet, or that refuses the log-in: no call beside the lease, said, nothing lost" \
    tests fleet::store::
suite fleet-failover "a primary of PostgreSQL that dies, and its synchronous standby in its place: nothing that was confirmed is lost" \
    tests fleet::failover::
suite fleet-lie "a store that lies to a host: nothing is installed that the host's own checks refuse" \
    tests fleet::lie::
suite fleet-wave "a generation spreads in waves: whoever fails holds it, whoever leads next goes on with it" \
    tests fleet::wave::
suite network "a network that does its worst: no order lost, no account closed, nobody polled early" \
    tests network::
suite fuzz "no input makes the program panic, hang or eat memory" \
    fuzzers
suite secrets "no trace of the password in anything that leaves the daemon" \
    tests secrets:: --skip config::
suite paths "whatever is in the way of an installation, nothing outside is touched" \
    tests paths:: --skip the_attacker
suite panics "a panic in one order's work is that order's trouble alone" \
    tests panics:: engine::panics::
suite hung "a mount that hangs under a password, a key, a copy, a program or an include stops nobody who needs nothing of it" \
    system hung
suite systemd "the shipped units under a real systemd: credential, reload, watchdog, restart, stop, each recipe for hooks" \
    system systemd

# tests FILTER...: tests of the one test binary, the ignored ones included.
tests() { "$binary" "$@" --include-ignored --nocapture; }

# system NAME: a check of tests/system, with the binary of the same build.
system() {
    local code=0 said
    said=$(tests/system/run --binary "$(dirname "$binary")/../certcollectd" "$1" 2>&1) || code=$?
    printf '%s\n' "$said"
    if grep -q '^1\.\.0 # SKIP' <<<"$said"; then
        sed -n 's/^1\.\.0 # SKIP/PROOF-SKIP/p' <<<"$said"
    elif [ "$code" = 0 ]; then
        echo "PROOF-FIGURE $(grep -c '^ok' <<<"$said") things looked at, $(grep -c '# SKIP' <<<"$said") of them skipped, 0 wrong"
    fi
    return "$code"
}

# no_fuzzers: why they cannot be built here, if they cannot.
no_fuzzers() {
    local toolchain=${FUZZ_TOOLCHAIN:-nightly}
    cargo fuzz --version >/dev/null 2>&1 || { echo "cargo-fuzz is not installed"; return; }
    cargo "+$toolchain" --version >/dev/null 2>&1 || { echo "there is no $toolchain toolchain"; return; }
    return 1
}

# They are built for the sanitizer, in a directory of their own, which takes some minutes the first time.
build_fuzzers() { (cd fuzz && env -u CARGO_TARGET_DIR cargo "+${FUZZ_TOOLCHAIN:-nightly}" fuzz build --fuzz-dir .); }

# fuzzers: their corpus and long inputs with the program as it is built here; all of them, where they can be built.
fuzzers() {
    local why
    FUZZ_KIB=${FUZZ_KIB:-1024} tests corpus:: || return
    if why=$(no_fuzzers); then echo "PROOF-SKIP $why"; return; fi
    env -u CARGO_TARGET_DIR fuzz/run | sed 's/^figure: fuzz /PROOF-FIGURE /'
    return "${PIPESTATUS[0]}"
}
