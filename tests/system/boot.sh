# systemd as process 1 of namespaces of its own, over an overlay of this machine's root or another. Sourced by the
# checks that need a service manager. What is changed in there is in memory, and goes with it.
#
#   box [ROOT]   makes the root, $BOX; what is put there now is there at the start
#   boot         starts systemd, up to check.target
#   in_box COMMAND...
#   unbox        ends it, so that there can be another

BOX=$DIR/box/root
CGROUP=

# Units of this machine that the box can do without, and those that would reach out of it: systemd-sysctl
# rewrites settings of the kernel that it shares.
KEPT='^(systemd-journald.*|systemd-tmpfiles-setup.service|dbus.socket|dbus.service)$'

box() {
    local why top unit
    why=$(unshare --mount --pid --net --uts --ipc --cgroup --fork true 2>&1) || skip_all "namespaces are not permitted here: $why"
    # A control group of its own, so that the box has a tree of the second version for itself.
    top=$(findmnt -n -t cgroup2 -o TARGET | head -n 1)
    [ -n "$top" ] || skip_all "no cgroup2 is mounted here"
    CGROUP=$top$(sed -n 's/^0:://p' /proc/self/cgroup)
    CGROUP=${CGROUP%/}/certcollectd-check-$$
    mkdir "$CGROUP" 2>/dev/null || { CGROUP=; skip_all "no control group can be made here"; }
    mkdir "$DIR/box"
    mount -t tmpfs -o mode=755 tmpfs "$DIR/box" 2>"$DIR/why" || skip_all "no tmpfs can be mounted: $(cat "$DIR/why")"
    mkdir "$DIR/box/upper" "$DIR/box/work" "$BOX"
    mount -t overlay -o "lowerdir=${1:-/},upperdir=$DIR/box/upper,workdir=$DIR/box/work" overlay "$BOX" 2>"$DIR/why" ||
        skip_all "no overlay can be mounted: $(cat "$DIR/why")"
    rm -rf "$BOX/etc/systemd/system" "$BOX/etc/fstab"
    mkdir -p "$BOX/etc/systemd/system"
    for unit in "$BOX"/usr/lib/systemd/system/{sysinit,basic,sockets,timers,local-fs,multi-user}.target.wants/*; do
        unit=${unit##*/}
        grep -qE "$KEPT" <<<"$unit" || ln -sf /dev/null "$BOX/etc/systemd/system/$unit"
    done
    mkdir -p "$BOX/etc/systemd/journald.conf.d"
    printf '[Journal]\nStorage=volatile\n' >"$BOX/etc/systemd/journald.conf.d/check.conf"
    printf '[Unit]\nRequires=basic.target\nAfter=basic.target\n' >"$BOX/etc/systemd/system/check.target"
}

boot() {
    cat >"$DIR/init" <<'SH'
set -e
mount -t tmpfs -o mode=755,nosuid dev "$BOX/dev"
for name in null zero full random urandom tty; do
    : >"$BOX/dev/$name"
    mount --bind "/dev/$name" "$BOX/dev/$name"
done
mkdir "$BOX/dev/shm" "$BOX/dev/pts" "$BOX/dev/mqueue" "$BOX/dev/hugepages"
mount -t devpts -o newinstance,ptmxmode=0666,mode=620,gid=5 devpts "$BOX/dev/pts"
ln -s pts/ptmx "$BOX/dev/ptmx"
ln -s /proc/self/fd "$BOX/dev/fd"
mount -t proc proc "$BOX/proc"
mount -t sysfs -o ro sysfs "$BOX/sys"
if ! mountpoint -q "$BOX/sys/fs/cgroup"; then mount -t cgroup2 cgroup2 "$BOX/sys/fs/cgroup"; fi
mount -t tmpfs -o mode=755 run "$BOX/run"
mount -t tmpfs -o mode=1777 tmp "$BOX/tmp"
cd "$BOX"
mkdir .old
pivot_root . .old
umount -l /.old
# Credentials are mounted from a copy of the tree, and would be empty in a private one.
mount --make-rshared /
exec env -i container=check PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin \
    /lib/systemd/systemd --system --unit=check.target --show-status=no --log-target=journal --log-level=notice
SH
    start "$DIR/boot.log" env BOX="$BOX" CGROUP="$CGROUP" INIT_SCRIPT="$DIR/init" bash -c 'echo $$ >"$CGROUP/cgroup.procs" &&
        exec unshare --mount --pid --net --uts --ipc --cgroup --fork --kill-child --propagation private bash "$INIT_SCRIPT"'
    BOOT=$STARTED
    PATIENCE=30 eventually init_is_there || skip_all "systemd does not start in namespaces here: $(tail -n 3 "$DIR/boot.log" | tr '\n' ' ')"
    INIT=$(init)
    PATIENCE=60 eventually in_box systemctl is-active --quiet check.target || skip_all "systemd does not come up in namespaces here: $(tail -n 3 "$DIR/boot.log" | tr '\n' ' ')"
}
# Process 1 of the box, as it is numbered here: the child of unshare.
init() { ps -o pid= --ppid "$BOOT" | head -n 1 | tr -d ' '; }
init_is_there() { [ "$(ps -o comm= -p "$(init)" 2>/dev/null)" = systemd ]; }

in_box() { nsenter --target "$INIT" --mount --pid --net --uts --ipc --cgroup "$@"; }

unbox() {
    # Process 1 takes all the others of its namespace with it.
    [ -z "${INIT:-}" ] || kill -KILL "$INIT" 2>/dev/null || true
    [ -z "${BOOT:-}" ] || wait "$BOOT" 2>/dev/null || true
    [ -z "$CGROUP" ] || find "$CGROUP" -depth -type d -exec rmdir {} \; 2>/dev/null || true
    INIT='' BOOT='' CGROUP=''
    ! mountpoint -q "$BOX" || umount -l "$BOX"
    ! mountpoint -q "$DIR/box" || umount -l "$DIR/box"
    rm -rf --one-file-system "$DIR/box"
}
cleanup_more() { unbox; }
