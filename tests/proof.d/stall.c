// Preloaded: a process stands still between the timer of a call and the write of what follows it.
//
//   LD_PRELOAD=stall.so STALL=FILE [NO_TIMER=1] PROGRAM...
//
// After timer_settime(2) the same thread's next write waits for as long as FILE is there. With NO_TIMER no timer is set.
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

static __thread int armed;

static void stall(void) {
    const char *file = getenv("STALL");
    struct timespec moment = {0, 1000000};
    if (!armed) return;
    armed = 0;
    while (file && access(file, F_OK) == 0) nanosleep(&moment, 0);
}

int timer_settime(timer_t timer, int flags, const struct itimerspec *value, struct itimerspec *before) {
    int (*real)(timer_t, int, const struct itimerspec *, struct itimerspec *) = dlsym(RTLD_NEXT, "timer_settime");
    armed = 1;
    return getenv("NO_TIMER") ? 0 : real(timer, flags, value, before);
}

ssize_t send(int socket, const void *bytes, size_t length, int flags) {
    ssize_t (*real)(int, const void *, size_t, int) = dlsym(RTLD_NEXT, "send");
    stall();
    return real(socket, bytes, length, flags);
}

ssize_t write(int file, const void *bytes, size_t length) {
    ssize_t (*real)(int, const void *, size_t) = dlsym(RTLD_NEXT, "write");
    stall();
    return real(file, bytes, length);
}

ssize_t writev(int file, const struct iovec *parts, int count) {
    ssize_t (*real)(int, const struct iovec *, int) = dlsym(RTLD_NEXT, "writev");
    stall();
    return real(file, parts, count);
}
