/*
 * Serves disks out of image files and writes down every write and every flush in their order, so that the disks
 * can be put together again as a power cut would have left them.
 *
 *   blocklog LOG IMAGE MOUNTPOINT [IMAGE MOUNTPOINT]...
 *
 * Each MOUNTPOINT is a file; the disk appears there (FUSE allows a file as the root), ready for a loop device. The
 * image stays as it is: what is written lives in memory and in the log. "ready" on the output says that all disks
 * are there; the program ends when all of them are unmounted.
 *
 * The log has one record for each write and each flush: time in ns since 1970, disk, kind (0 write, 1 flush),
 * offset, length, each 8 bytes in the machine's order; then what was written. A record is in the log before the
 * request is answered. Needs root; Linux only.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/fuse.h>
#include <poll.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

enum { DISKS = 4, MAX_WRITE = 256 * 1024, BUFFER = MAX_WRITE + 65536 };
enum { WRITE = 0, FLUSH = 1 };

static struct disk { int fd; char *bytes; uint64_t size; } disks[DISKS];
static int log_fd;

static void die(const char *what) { perror(what); exit(1); }

static void record(uint64_t disk, uint64_t kind, uint64_t offset, const void *bytes, uint64_t length) {
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    uint64_t head[5] = { (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec, disk, kind, offset, length };
    struct iovec parts[2] = { { head, sizeof head }, { (void *)bytes, length } };
    if (writev(log_fd, parts, 2) != (ssize_t)(sizeof head + length)) die("log");
}

static void answer(struct disk *disk, uint64_t unique, int error, const void *bytes, size_t length) {
    struct fuse_out_header head = { .len = (uint32_t)(sizeof head + length), .error = -error, .unique = unique };
    struct iovec parts[2] = { { &head, sizeof head }, { (void *)bytes, length } };
    /* ENOENT: whoever asked was interrupted. */
    if (writev(disk->fd, parts, 2) < 0 && errno != ENOENT && errno != ENODEV) die("answer");
}

static struct fuse_attr attributes(const struct disk *disk) {
    return (struct fuse_attr){ .ino = FUSE_ROOT_ID, .size = disk->size, .blocks = disk->size / 512,
                               .mode = S_IFREG | 0600, .nlink = 1, .blksize = 4096 };
}

static void serve(uint64_t number, const char *request) {
    struct disk *disk = &disks[number];
    const struct fuse_in_header *head = (const void *)request;
    const void *body = request + sizeof *head;
    switch (head->opcode) {
    case FUSE_INIT: {
        const struct fuse_init_in *in = body;
        struct fuse_init_out out = { .major = FUSE_KERNEL_VERSION, .minor = FUSE_KERNEL_MINOR_VERSION,
                                     .max_readahead = in->max_readahead, .flags = in->flags & (FUSE_BIG_WRITES | FUSE_MAX_PAGES),
                                     .max_background = 64, .congestion_threshold = 48, .max_write = MAX_WRITE,
                                     .time_gran = 1, .max_pages = MAX_WRITE / 4096 };
        answer(disk, head->unique, 0, &out, sizeof out);
        break;
    }
    case FUSE_GETATTR:
    case FUSE_SETATTR: {
        struct fuse_attr_out out = { .attr_valid = 3600, .attr = attributes(disk) };
        answer(disk, head->unique, 0, &out, sizeof out);
        break;
    }
    case FUSE_OPEN: {
        struct fuse_open_out out = { .open_flags = FOPEN_KEEP_CACHE };
        answer(disk, head->unique, 0, &out, sizeof out);
        break;
    }
    case FUSE_READ: {
        const struct fuse_read_in *in = body;
        uint64_t from = in->offset < disk->size ? in->offset : disk->size;
        uint64_t length = in->size < disk->size - from ? in->size : disk->size - from;
        answer(disk, head->unique, 0, disk->bytes + from, length);
        break;
    }
    case FUSE_WRITE: {
        const struct fuse_write_in *in = body;
        if (in->offset > disk->size || in->size > disk->size - in->offset) {
            answer(disk, head->unique, ENOSPC, NULL, 0);
            break;
        }
        const char *bytes = (const char *)body + sizeof *in;
        memcpy(disk->bytes + in->offset, bytes, in->size);
        record(number, WRITE, in->offset, bytes, in->size);
        struct fuse_write_out out = { .size = in->size };
        answer(disk, head->unique, 0, &out, sizeof out);
        break;
    }
    case FUSE_FSYNC:
        record(number, FLUSH, 0, NULL, 0);
        answer(disk, head->unique, 0, NULL, 0);
        break;
    case FUSE_FLUSH: /* close(2), which promises nothing */
    case FUSE_RELEASE:
    case FUSE_DESTROY:
        answer(disk, head->unique, 0, NULL, 0);
        break;
    case FUSE_STATFS: {
        struct fuse_statfs_out out = { .st = { .bsize = 4096, .frsize = 4096, .namelen = 255 } };
        answer(disk, head->unique, 0, &out, sizeof out);
        break;
    }
    case FUSE_FORGET:
    case FUSE_BATCH_FORGET:
    case FUSE_INTERRUPT:
        break;
    default:
        /* Discards among them: the loop device does without. */
        answer(disk, head->unique, ENOSYS, NULL, 0);
    }
}

int main(int argc, char **argv) {
    int count = (argc - 2) / 2;
    if (argc < 4 || argc % 2 || count > DISKS) {
        fprintf(stderr, "blocklog LOG IMAGE MOUNTPOINT [IMAGE MOUNTPOINT]...\n");
        return 2;
    }
    /* Without whoever started it nobody unmounts the disks. */
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    log_fd = open(argv[1], O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    if (log_fd < 0) die(argv[1]);
    static char request[BUFFER];
    struct pollfd waits[DISKS];
    for (int i = 0; i < count; i++) {
        const char *image = argv[2 + 2 * i], *mountpoint = argv[3 + 2 * i];
        int fd = open(image, O_RDONLY | O_CLOEXEC);
        struct stat found;
        if (fd < 0 || fstat(fd, &found)) die(image);
        disks[i].size = (uint64_t)found.st_size;
        disks[i].bytes = mmap(NULL, disks[i].size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_NORESERVE, fd, 0);
        if (disks[i].bytes == MAP_FAILED) die(image);
        disks[i].fd = open("/dev/fuse", O_RDWR | O_CLOEXEC);
        if (disks[i].fd < 0) die("/dev/fuse");
        char options[128];
        snprintf(options, sizeof options, "fd=%d,rootmode=100600,user_id=0,group_id=0", disks[i].fd);
        if (mount("blocklog", mountpoint, "fuse", MS_NOSUID | MS_NODEV, options)) die(mountpoint);
        waits[i] = (struct pollfd){ .fd = disks[i].fd, .events = POLLIN };
    }
    puts("ready");
    fflush(stdout);
    for (int left = count; left > 0;) {
        if (poll(waits, (nfds_t)count, -1) < 0 && errno != EINTR) die("poll");
        for (int i = 0; i < count; i++) {
            if (waits[i].fd < 0 || !waits[i].revents) continue;
            ssize_t got = read(disks[i].fd, request, sizeof request);
            if (got > 0) serve((uint64_t)i, request);
            else if (got < 0 && errno == ENODEV) { waits[i].fd = -1; left--; }
            else if (got < 0 && errno != EINTR && errno != EAGAIN && errno != ENOENT) die("request");
        }
    }
    return 0;
}
