# What every check begins with: a directory of its own, the vendor's sandbox, a configuration, patience, and
# a way to say what was found. Sourced, never run.
#
# A check prints one line of TAP for each thing it looks at, and ends with a plan. It ends only what it
# started, by process number, and leaves nothing behind.

set -Eeuo pipefail
shopt -s inherit_errexit

# Given by tests/system/run.
: "${BINARY:?is set by tests/system/run}" "${REPO:?is set by tests/system/run}"

# A condition that is not there after this many seconds has failed; none needs a tenth of it on a slow machine.
PATIENCE=150
LOGIN=tester
PASSWORD='cAnArY&p+s=%w0rd'

unset CERTCOLLECTD_CONFIG RUST_LOG NOTIFY_SOCKET RUST_BACKTRACE CREDENTIALS_DIRECTORY
export LC_ALL=C
umask 022

NUMBER=0
FAILED=0
PIDS=()
FINISHED=no

# --- saying what was found ---

note() { sed 's/^/# /' <<<"$*"; }

# ok TEXT, and not_ok TEXT [REASON]
ok() { NUMBER=$((NUMBER + 1)); echo "ok $NUMBER - $1"; }
not_ok() {
    NUMBER=$((NUMBER + 1)); FAILED=$((FAILED + 1))
    echo "not ok $NUMBER - $1"
    if [ -n "${2:-}" ]; then note "$2"; fi
}

# skip TEXT REASON: one thing that cannot be looked at here.
skip() { NUMBER=$((NUMBER + 1)); echo "ok $NUMBER - $1 # SKIP $2"; }

# skip_all REASON: nothing can be looked at here.
skip_all() { echo "1..0 # SKIP $1"; FINISHED=yes; exit 0; }

# check TEXT COMMAND...: it must succeed. What it says is shown if it does not.
check() {
    local text=$1 said; shift
    if said=$("$@" 2>&1); then ok "$text"; else not_ok "$text" "${said:-said nothing: $*}"; fi
}

# must TEXT COMMAND...: like check, and without it there is nothing more to look at.
must() { local failed_so_far=$FAILED; check "$@"; [ "$FAILED" = "$failed_so_far" ] || finish; }

# refused TEXT COMMAND...: it must fail.
refused() {
    local text=$1 said; shift
    if said=$("$@" 2>&1); then not_ok "$text" "it went well: $* ${said:+($said)}"; else ok "$text"; fi
}

# says TEXT PATTERN COMMAND...: its output must match, whatever its exit code.
says() {
    local text=$1 pattern=$2 said; shift 2
    said=$("$@" 2>&1) || true
    if grep -qiE -- "$pattern" <<<"$said"; then ok "$text"; else not_ok "$text" "no /$pattern/ in: $said"; fi
}

# is TEXT FOUND EXPECTED
is() { if [ "$2" = "$3" ]; then ok "$1"; else not_ok "$1" "found '$2', expected '$3'"; fi; }

# exits CODE COMMAND...: succeeds if the command's exit code is that one.
exits() {
    local expected=$1 code=0; shift
    "$@" || code=$?
    [ "$code" = "$expected" ] || { echo "exit code $code, expected $expected"; return 1; }
}

# The last line of a check.
finish() {
    echo "1..$NUMBER"
    FINISHED=yes
    [ "$FAILED" = 0 ] || show_log
    exit $((FAILED > 0))
}

show_log() { [ ! -s "$DIR/log" ] || { note "the daemon's log, its end:"; tail -n 25 "$DIR/log" | sed 's/^/#   /'; }; }

# need PROGRAM...: without it nothing can be looked at.
need() {
    local program
    for program; do command -v "$program" >/dev/null || skip_all "$program is not installed"; done
}

need_root() { [ "$(id -u)" = 0 ] || skip_all "needs root"; }

# in_namespace FLAG... : runs this check again in namespaces of its own, so that its mounts end with it.
in_namespace() {
    if [ -n "${IN_NAMESPACE:-}" ]; then return 0; fi
    unshare "$@" true 2>/dev/null || skip_all "unshare $* is not permitted here"
    export IN_NAMESPACE=yes
    # The next run of this makes one of its own.
    rmdir "$DIR"
    exec unshare "$@" bash "$0"
}

# --- waiting ---

# eventually COMMAND...: until it succeeds; fails when patience is over.
eventually() {
    local until=$((SECONDS + PATIENCE))
    until "$@" >/dev/null 2>&1; do
        if [ "$SECONDS" -ge "$until" ]; then echo "not so within $PATIENCE s: $*"; return 1; fi
        sleep 0.1
    done
}

# --- processes ---

# start LOG COMMAND...: in the background; its number is in $STARTED.
start() {
    local log=$1; shift
    "$@" >>"$log" 2>&1 </dev/null &
    STARTED=$!
    PIDS+=("$STARTED")
}

# is_gone PID: it has ended, or waits to be collected.
is_gone() { ! kill -0 "$1" 2>/dev/null || [ "$(ps -o stat= -p "$1" | cut -c1)" = Z ]; }

end() {
    local pid
    for pid; do
        kill "$pid" 2>/dev/null || continue
        local turns=0
        until is_gone "$pid" || [ "$turns" -ge 100 ]; do sleep 0.1; turns=$((turns + 1)); done
        kill -KILL "$pid" 2>/dev/null || true
    done
}

cleanup() {
    local code=$?
    set +e
    trap - ERR
    [ ${#PIDS[@]} = 0 ] || end "${PIDS[@]}"
    if declare -F cleanup_more >/dev/null; then cleanup_more; fi
    if [ "$FINISHED" = no ]; then
        not_ok "the check came to its end" "it stopped before"
        show_log
        echo "1..$NUMBER"
        code=1
    fi
    # The mounts of a check lie under its directory; the deepest go first.
    awk -v dir="$DIR/" 'index($5, dir) == 1 { print $5 }' /proc/self/mountinfo | sort -r | while read -r point; do umount -l "$point"; done
    # What was ended a moment ago may still be putting its things away.
    eventually rm -rf --one-file-system "$DIR"
    exit "$code"
}

DIR=$(mktemp -d "${TMPDIR:-/tmp}/certcollectd-system.XXXXXX")
# Other users get through to what the check shows them.
chmod 755 "$DIR"
trap cleanup EXIT
trap 'note "line ${BASH_LINENO[0]}: $BASH_COMMAND failed" >&2' ERR
trap 'exit 1' INT TERM HUP

# --- the vendor ---

# sandbox_start: an account, no orders. Sets BASE_URL and CONTROL, and writes ca.pem and roots.json.
sandbox_start() {
    cat >"$DIR/scenario.toml" <<SCENARIO
[[account]]
login_name = "$LOGIN"
password = "$PASSWORD"
SCENARIO
    start "$DIR/sandbox.json" "$BINARY" sandbox --json --scenario "$DIR/scenario.toml" \
        --ca-out "$DIR/ca.pem" --listen 127.0.0.1:0 --control 127.0.0.1:0
    SANDBOX=$STARTED
    eventually grep -q control_url "$DIR/sandbox.json"
    BASE_URL=$(jq -r .base_url "$DIR/sandbox.json")
    CONTROL=$(jq -r .control_url "$DIR/sandbox.json")
    vendor GET /ca >"$DIR/roots.json"
    (umask 077; printf '%s\n' "$PASSWORD" >"$DIR/password")
}

# vendor METHOD PATH [BODY]
vendor() { curl -fsS --noproxy '*' -X "$1" ${3:+--data-binary "$3"} "$CONTROL$2"; }

# vendor_order NUMBER NAME KEY [PRODUCT]: issued at the first call, for this key.
vendor_order() {
    local body
    body=$(jq -n --arg number "$1" --arg name "$2" --rawfile key "$3" --arg product "${4:-ssl}" \
        '{order_number: $number, product: $product, domains: [$name]} +
         (if $product == "ssl" then {certificate: {key: $key}} else {} end)')
    vendor POST /orders "$body" >/dev/null
}

# reissue NUMBER [KEY]: another certificate for the same order.
reissue() {
    local body='{}'
    [ -z "${2:-}" ] || body=$(jq -n --rawfile key "$2" '{key: $key}')
    vendor POST "/orders/$1/reissue" "$body" >/dev/null
}

# newest NUMBER: the vendor's present certificate, its SHA-256 in lower case.
newest() { vendor GET "/orders/$1/certificate" | jq -r .sha256; }

calls() { vendor GET /counters | jq -r .all.calls; }

new_key() { openssl genpkey -quiet -algorithm EC -pkeyopt ec_paramgen_curve:P-256 -out "$1" 2>/dev/null ||
    openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256 -out "$1" 2>/dev/null; chmod 600 "$1"; }

# sha256_of FILE: of the first certificate in it, as the vendor writes it.
sha256_of() { openssl x509 -in "$1" -noout -fingerprint -sha256 | sed 's/.*=//; s/://g' | tr A-F a-f; }

# --- the daemon ---

# configure: orders and hooks come in on standard input.
configure() {
    {
        cat <<CONFIG
state_dir = "${STATE:-$DIR/state}"
install_dir = "${OUT:-$DIR/out}"
[polling]
interval = "${INTERVAL:-500ms}"
guard_interval = "${INTERVAL:-500ms}"
call_gap = "0s"
[[account]]
name = "main"
login_name = "$LOGIN"
password = ${PASSWORD_SOURCE:-{ file = \"$DIR/password\" \}}
base_url = "$BASE_URL"
ca_file = "$DIR/ca.pem"
CONFIG
        cat
    } >"$DIR/certcollectd.toml"
}

certcollectd() { "$BINARY" --config "$DIR/certcollectd.toml" "$@"; }

# daemon_start [PREFIX...]: the daemon, behind a command such as setpriv; its number is in $DAEMON.
daemon_start() { start "$DIR/log" "$@" "$BINARY" --config "$DIR/certcollectd.toml" run; DAEMON=$STARTED; }

# daemon_stop: in order; its exit code is in $STOPPED.
daemon_stop() { STOPPED=0; kill "$DAEMON"; wait "$DAEMON" || STOPPED=$?; }

# of NAME FILTER: from the status of an order.
of() { certcollectd status "$1" --json | jq -r ".orders[0] | $2"; }
phase_is() { [ "$(of "$1" .phase)" = "$2" ]; }
until_phase() { eventually phase_is "$1" "$2"; }
