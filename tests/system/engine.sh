# An engine for containers that leaves nothing behind. Sourced after lib.sh by checks that need one.

# an_engine [OPTION...]: `engine`, and $DIR/bin/engine for programs, is podman with everything of its own below $DIR, its
# locks too: those in memory are shared with every other engine of the machine. With limits, because a container may not
# raise them here. The options are podman's.
an_engine() {
    mkdir -p "$DIR/bin"
    cat >"$DIR/containers.conf" <<CONF
[containers]
default_ulimits = ["nofile=1024:1024", "nproc=1024:1024"]
[engine]
cgroup_manager = "cgroupfs"
events_logger = "file"
lock_type = "file"
runtime = "$(if command -v runc >/dev/null; then echo runc; else echo crun; fi)"
[network]
network_config_dir = "$DIR/networks"
CONF
    cat >"$DIR/bin/engine" <<SH
#!/bin/sh
export CONTAINERS_CONF=$DIR/containers.conf
exec $REPO/tests/system/ending $(type -P podman) --root $DIR/engine --runroot $DIR/run --tmpdir $DIR/tmp $* "\$@"
SH
    chmod 755 "$DIR/bin/engine"
    engine info >/dev/null 2>"$DIR/why" || skip_all "podman does not work here: $(tail -n 1 "$DIR/why")"
}
engine() { "$DIR/bin/engine" "$@"; }

# Where one container is in the network of another, only the second round finds that nothing depends on it.
remove_containers() { engine rm --all --force --volumes --time 5 || engine rm --all --force --volumes --time 5; } >/dev/null 2>&1
