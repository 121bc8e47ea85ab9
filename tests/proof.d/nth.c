/*
 * Runs a program and does something to the n-th system call that changes the disk, starts a process or sends
 * something, counted over all its threads. strace counts for each thread by itself, so that an enumeration by
 * it misses calls of a program whose disk work wanders between threads.
 *
 *   nth [--under DIR]... [--only NAME]... [--reads] [--at N] [--times K] [--kill | --errno E | --short | --pretend]
 *       --log FILE -- PROGRAM ARG...
 *
 * --under  count only calls on files in these directories; without it, everything that counts is counted
 * --only   count only calls of these names
 * --reads  count reading calls as well
 * --at     the first call that is hit, from 1; without it, nothing is hit
 * --times  so many calls from there on are hit; 1 if not given
 * --pretend  the calls that are hit are not made, and the program is told that they went well
 *
 * The log has one line for each counted call: number, name, path, and what was done to it. The exit code is the
 * program's; 137 after a kill. x86-64 Linux only.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/user.h>
#include <sys/wait.h>
#include <unistd.h>

enum { CHANGES = 1, READS = 2 };
/* Where the file is: a descriptor, a path, or a path relative to a descriptor. */
enum { NONE, FD, PATH, AT };

static const struct call { long nr; const char *name; int kind; int where; int arg; } CALLS[] = {
    { SYS_open, "open", CHANGES, PATH, 0 },
    { SYS_openat, "openat", CHANGES, AT, 0 },
    { SYS_write, "write", CHANGES, FD, 0 },
    { SYS_writev, "writev", CHANGES, FD, 0 },
    { SYS_pwrite64, "pwrite64", CHANGES, FD, 0 },
    { SYS_fsync, "fsync", CHANGES, FD, 0 },
    { SYS_fdatasync, "fdatasync", CHANGES, FD, 0 },
    { SYS_ftruncate, "ftruncate", CHANGES, FD, 0 },
    { SYS_fallocate, "fallocate", CHANGES, FD, 0 },
    { SYS_rename, "rename", CHANGES, PATH, 1 },
    { SYS_renameat, "renameat", CHANGES, AT, 2 },
    { SYS_renameat2, "renameat2", CHANGES, AT, 2 },
    { SYS_symlink, "symlink", CHANGES, PATH, 1 },
    { SYS_symlinkat, "symlinkat", CHANGES, AT, 1 },
    { SYS_link, "link", CHANGES, PATH, 1 },
    { SYS_linkat, "linkat", CHANGES, AT, 2 },
    { SYS_mkdir, "mkdir", CHANGES, PATH, 0 },
    { SYS_mkdirat, "mkdirat", CHANGES, AT, 0 },
    { SYS_rmdir, "rmdir", CHANGES, PATH, 0 },
    { SYS_unlink, "unlink", CHANGES, PATH, 0 },
    { SYS_unlinkat, "unlinkat", CHANGES, AT, 0 },
    { SYS_chmod, "chmod", CHANGES, PATH, 0 },
    { SYS_fchmod, "fchmod", CHANGES, FD, 0 },
    { SYS_fchmodat, "fchmodat", CHANGES, AT, 0 },
    { SYS_chown, "chown", CHANGES, PATH, 0 },
    { SYS_fchown, "fchown", CHANGES, FD, 0 },
    { SYS_fchownat, "fchownat", CHANGES, AT, 0 },
    { SYS_sendto, "sendto", CHANGES, NONE, 0 },
    { SYS_sendmsg, "sendmsg", CHANGES, NONE, 0 },
    { SYS_connect, "connect", CHANGES, NONE, 0 },
    { SYS_clone, "clone", CHANGES, NONE, 0 },
    { SYS_clone3, "clone3", CHANGES, NONE, 0 },
    { SYS_fork, "fork", CHANGES, NONE, 0 },
    { SYS_vfork, "vfork", CHANGES, NONE, 0 },
    { SYS_execve, "execve", CHANGES, PATH, 0 },
    { SYS_read, "read", READS, FD, 0 },
    { SYS_pread64, "pread64", READS, FD, 0 },
    { SYS_readlinkat, "readlinkat", READS, AT, 0 },
    { SYS_getdents64, "getdents64", READS, FD, 0 },
    { SYS_newfstatat, "newfstatat", READS, AT, 0 },
    { SYS_fstat, "fstat", READS, FD, 0 },
    { SYS_statx, "statx", READS, AT, 0 },
    { SYS_flock, "flock", READS, FD, 0 },
    { SYS_fcntl, "fcntl", READS, FD, 0 },
};

static const char *under[8], *only[8];
static int unders, onlys, reads, do_kill, do_short, do_pretend, error;
static long at, times = 1, counted;
static FILE *log_file;
static pid_t program;
/* Threads whose call is not made, with the error that they get; 0 is none. */
static struct { pid_t tid; int error; } answered[64];

static void die(const char *what) { perror(what); exit(125); }

static void text_at(pid_t tid, unsigned long long address, char *text, size_t size) {
    struct iovec ours = { text, size - 1 }, theirs = { (void *)(size_t)address, size - 1 };
    ssize_t got = process_vm_readv(tid, &ours, 1, &theirs, 1, 0);
    /* A path may end before a page that is not there. */
    if (got < 0) {
        size_t left = 4096 - (size_t)(address % 4096);
        ours.iov_len = theirs.iov_len = left < size - 1 ? left : size - 1;
        got = process_vm_readv(tid, &ours, 1, &theirs, 1, 0);
    }
    text[got < 0 ? 0 : got] = 0;
}

static void fd_path(pid_t tid, int fd, char *path, size_t size) {
    char link[64];
    if (fd == AT_FDCWD) snprintf(link, sizeof link, "/proc/%d/cwd", tid);
    else snprintf(link, sizeof link, "/proc/%d/fd/%d", tid, fd);
    ssize_t got = readlink(link, path, size - 1);
    path[got < 0 ? 0 : got] = 0;
}

static void where(pid_t tid, const struct call *call, const unsigned long long *args, char *path, size_t size) {
    char name[4096];
    path[0] = 0;
    switch (call->where) {
    case FD: fd_path(tid, (int)args[call->arg], path, size); break;
    case PATH: text_at(tid, args[call->arg], path, size); break;
    case AT:
        text_at(tid, args[call->arg + 1], name, sizeof name);
        if (name[0] == '/') { snprintf(path, size, "%s", name); break; }
        fd_path(tid, (int)args[call->arg], path, size);
        if (name[0]) { strncat(path, "/", size - strlen(path) - 1); strncat(path, name, size - strlen(path) - 1); }
        break;
    }
}

static int counts(const struct call *call, const unsigned long long *args, const char *path) {
    if (call->kind == READS && !reads) return 0;
    int named = !onlys;
    for (int i = 0; i < onlys; i++) named |= !strcmp(only[i], call->name);
    if (!named) return 0;
    if (!reads && (call->nr == SYS_openat || call->nr == SYS_open)) {
        /* Opening to read changes nothing. */
        unsigned long long flags = args[call->nr == SYS_openat ? 2 : 1];
        if (!(flags & O_CREAT) && (flags & O_ACCMODE) == O_RDONLY) return 0;
    }
    if (!unders) return 1;
    for (int i = 0; i < unders; i++) {
        size_t length = strlen(under[i]);
        if (!strncmp(path, under[i], length) && (path[length] == 0 || path[length] == '/')) return 1;
    }
    return 0;
}

/* A call is about to be made. */
static void entered(pid_t tid, struct __ptrace_syscall_info *info) {
    char path[8192];
    for (size_t i = 0; i < sizeof CALLS / sizeof *CALLS; i++) {
        const struct call *call = &CALLS[i];
        if (call->nr != (long)info->entry.nr) continue;
        unsigned long long args[6];
        memcpy(args, info->entry.args, sizeof args);
        where(tid, call, args, path, sizeof path);
        if (!counts(call, args, path)) return;
        counted++;
        int hit = at && counted >= at && counted < at + times;
        const char *done = "";
        if (hit && do_kill) {
            done = "killed";
            kill(program, SIGKILL);
        } else if (hit && (error || do_pretend)) {
            done = error ? "failed" : "pretended";
            for (size_t slot = 0; slot < sizeof answered / sizeof *answered; slot++) {
                if (answered[slot].tid) continue;
                answered[slot].tid = tid;
                answered[slot].error = error;
                /* No call of that number: nothing happens. */
                ptrace(PTRACE_POKEUSER, tid, offsetof(struct user_regs_struct, orig_rax), -1L);
                break;
            }
        } else if (hit && do_short && (call->nr == SYS_write || call->nr == SYS_pwrite64) && args[2] > 1) {
            done = "shortened";
            ptrace(PTRACE_POKEUSER, tid, offsetof(struct user_regs_struct, rdx), (long)(args[2] / 2));
        }
        fprintf(log_file, "%ld %s %s %s\n", counted, call->name, path[0] ? path : "-", done);
        fflush(log_file);
        return;
    }
}

static void left(pid_t tid) {
    for (size_t slot = 0; slot < sizeof answered / sizeof *answered; slot++) {
        if (answered[slot].tid != tid) continue;
        answered[slot].tid = 0;
        ptrace(PTRACE_POKEUSER, tid, offsetof(struct user_regs_struct, rax), (long)-answered[slot].error);
    }
}

int main(int argc, char **argv) {
    const char *log_path = NULL;
    int i = 1;
    for (; i < argc && strcmp(argv[i], "--"); i++) {
        if (!strcmp(argv[i], "--under") && unders < 8) under[unders++] = argv[++i];
        else if (!strcmp(argv[i], "--reads")) reads = 1;
        else if (!strcmp(argv[i], "--at")) at = atol(argv[++i]);
        else if (!strcmp(argv[i], "--times")) times = atol(argv[++i]);
        else if (!strcmp(argv[i], "--kill")) do_kill = 1;
        else if (!strcmp(argv[i], "--short")) do_short = 1;
        else if (!strcmp(argv[i], "--errno")) error = atoi(argv[++i]);
        else if (!strcmp(argv[i], "--pretend")) do_pretend = 1;
        else if (!strcmp(argv[i], "--only") && onlys < 8) only[onlys++] = argv[++i];
        else if (!strcmp(argv[i], "--log")) log_path = argv[++i];
        else { fprintf(stderr, "nth: unknown option %s\n", argv[i]); return 125; }
    }
    if (i + 1 >= argc || !log_path) { fprintf(stderr, "nth: no program or no log\n"); return 125; }
    log_file = fopen(log_path, "we");
    if (!log_file) die(log_path);
    program = fork();
    if (program < 0) die("fork");
    if (!program) {
        raise(SIGSTOP);
        execv(argv[i + 1], argv + i + 1);
        die(argv[i + 1]);
    }
    int status;
    if (waitpid(program, &status, WUNTRACED) < 0) die("waitpid");
    long options = PTRACE_O_TRACESYSGOOD | PTRACE_O_TRACECLONE | PTRACE_O_TRACEFORK | PTRACE_O_TRACEVFORK
        | PTRACE_O_TRACEEXEC | PTRACE_O_EXITKILL;
    if (ptrace(PTRACE_SEIZE, program, 0, options)) die("ptrace");
    kill(program, SIGCONT);
    int begun = 0;
    for (;;) {
        pid_t tid = waitpid(-1, &status, __WALL);
        if (tid < 0) { if (errno == EINTR) continue; return 125; }
        if (WIFEXITED(status) || WIFSIGNALED(status)) {
            if (tid != program) continue;
            return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
        }
        int signal = WSTOPSIG(status), event = status >> 16;
        if (signal == (SIGTRAP | 0x80)) {
            struct __ptrace_syscall_info info;
            if (ptrace(PTRACE_GET_SYSCALL_INFO, tid, sizeof info, &info) > 0) {
                if (info.op == PTRACE_SYSCALL_INFO_ENTRY && begun) entered(tid, &info);
                else if (info.op == PTRACE_SYSCALL_INFO_EXIT) left(tid);
            }
            ptrace(PTRACE_SYSCALL, tid, 0, 0);
        } else if (event == PTRACE_EVENT_EXEC) {
            if (tid == program) { begun = 1; ptrace(PTRACE_SYSCALL, tid, 0, 0); }
            /* A hook: not ours. */
            else ptrace(PTRACE_DETACH, tid, 0, 0);
        } else if (event == PTRACE_EVENT_STOP) {
            /* A group stop is listened to, a new thread goes on. */
            if (signal == SIGSTOP || signal == SIGTSTP || signal == SIGTTIN || signal == SIGTTOU) ptrace(PTRACE_LISTEN, tid, 0, 0);
            else ptrace(PTRACE_SYSCALL, tid, 0, 0);
        } else if (event) {
            ptrace(PTRACE_SYSCALL, tid, 0, 0);
        } else {
            ptrace(PTRACE_SYSCALL, tid, 0, signal);
        }
    }
}
