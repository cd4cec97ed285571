/* A disk that fails: preloaded into the program, it lets calls on files below one folder fail.
 *
 * FAULT_FOLDER  the folder, without links
 * FAULT_ERRNO   how a call fails
 * FAULT_AT      which call fails, counted from 1; 0: every one; unset: none
 * FAULT_CALL    count only calls of this name
 * FAULT_LOG     a file outside of the folder: gets a line with the name of each call that failed
 * FAULT_QUOTA   no file may grow beyond so many bytes: writes up to there are cut short, then fail with ENOSPC
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <unistd.h>

#define REAL(name) ((__typeof__(&name))dlsym(RTLD_NEXT, #name))

static atomic_long calls;

static int below(const char *path)
{
    const char *folder = getenv("FAULT_FOLDER");
    size_t length = folder ? strlen(folder) : 0;
    return length > 0 && strncmp(path, folder, length) == 0 && (path[length] == '/' || path[length] == 0);
}

static int below_fd(int fd)
{
    char link[64], path[PATH_MAX];
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t length = syscall(SYS_readlinkat, AT_FDCWD, link, path, sizeof path - 1);
    if (length < 0)
        return 0;
    path[length] = 0;
    return below(path);
}

static int fails(const char *name)
{
    const char *at = getenv("FAULT_AT"), *only = getenv("FAULT_CALL"), *log = getenv("FAULT_LOG");
    if (!at || (only && strcmp(only, name) != 0))
        return 0;
    long call = atomic_fetch_add(&calls, 1) + 1;
    if (atol(at) != 0 && atol(at) != call)
        return 0;
    if (log) {
        char line[64];
        int length = snprintf(line, sizeof line, "%s\n", name);
        int fd = syscall(SYS_openat, AT_FDCWD, log, O_WRONLY | O_CREAT | O_APPEND, 0666);
        syscall(SYS_write, fd, line, length);
        syscall(SYS_close, fd);
    }
    errno = atoi(getenv("FAULT_ERRNO"));
    return 1;
}

/* Bytes that a file may still have beyond `offset`; -1: any number. */
static off64_t room(off64_t offset)
{
    const char *quota = getenv("FAULT_QUOTA");
    if (!quota)
        return -1;
    off64_t left = atoll(quota) - offset;
    return left > 0 ? left : 0;
}

ssize_t write(int fd, const void *bytes, size_t count)
{
    if (fd > 2 && below_fd(fd)) {
        if (fails("write"))
            return -1;
        off64_t left = room(lseek64(fd, 0, SEEK_CUR));
        if (left == 0 && count > 0) {
            errno = ENOSPC;
            return -1;
        }
        if (left > 0 && (off64_t)count > left)
            count = left;
    }
    return REAL(write)(fd, bytes, count);
}

static int allocates(int fd, off64_t end)
{
    if (!below_fd(fd))
        return 1;
    if (fails("fallocate"))
        return 0;
    off64_t left = room(0);
    if (left >= 0 && end > left) {
        errno = ENOSPC;
        return 0;
    }
    return 1;
}

int fallocate(int fd, int mode, off_t offset, off_t length)
{
    return allocates(fd, offset + length) ? REAL(fallocate)(fd, mode, offset, length) : -1;
}

int fallocate64(int fd, int mode, off64_t offset, off64_t length)
{
    return allocates(fd, offset + length) ? REAL(fallocate64)(fd, mode, offset, length) : -1;
}

int ftruncate(int fd, off_t length)
{
    return below_fd(fd) && fails("ftruncate") ? -1 : REAL(ftruncate)(fd, length);
}

int ftruncate64(int fd, off64_t length)
{
    return below_fd(fd) && fails("ftruncate") ? -1 : REAL(ftruncate64)(fd, length);
}

static int is_folder(int fd)
{
    char link[64];
    snprintf(link, sizeof link, "/proc/self/fd/%d/.", fd);
    return syscall(SYS_faccessat, AT_FDCWD, link, F_OK) == 0;
}

static int syncs(int fd)
{
    return !(below_fd(fd) && fails(is_folder(fd) ? "fsync folder" : "fsync"));
}

int fsync(int fd)
{
    return syncs(fd) ? REAL(fsync)(fd) : -1;
}

int fdatasync(int fd)
{
    return syncs(fd) ? REAL(fdatasync)(fd) : -1;
}

int fchmod(int fd, mode_t mode)
{
    return below_fd(fd) && fails("fchmod") ? -1 : REAL(fchmod)(fd, mode);
}

int flock(int fd, int operation)
{
    return below_fd(fd) && fails("flock") ? -1 : REAL(flock)(fd, operation);
}

int rename(const char *from, const char *to)
{
    return below(to) && fails("rename") ? -1 : REAL(rename)(from, to);
}

int renameat2(int from_folder, const char *from, int to_folder, const char *to, unsigned flags)
{
    return below(to) && fails("renameat2") ? -1 : REAL(renameat2)(from_folder, from, to_folder, to, flags);
}

int link(const char *from, const char *to)
{
    return below(to) && fails("link") ? -1 : REAL(link)(from, to);
}

int linkat(int from_folder, const char *from, int to_folder, const char *to, int flags)
{
    return below(to) && fails("link") ? -1 : REAL(linkat)(from_folder, from, to_folder, to, flags);
}

/* Only what creates files: reading is another matter. */
static int opens(const char *path, int flags)
{
    return !((flags & O_CREAT) && below(path) && fails("open"));
}

int open(const char *path, int flags, ...)
{
    va_list rest;
    va_start(rest, flags);
    mode_t mode = flags & (O_CREAT | O_TMPFILE) ? va_arg(rest, mode_t) : 0;
    va_end(rest);
    return opens(path, flags) ? REAL(open)(path, flags, mode) : -1;
}

int open64(const char *path, int flags, ...)
{
    va_list rest;
    va_start(rest, flags);
    mode_t mode = flags & (O_CREAT | O_TMPFILE) ? va_arg(rest, mode_t) : 0;
    va_end(rest);
    return opens(path, flags) ? REAL(open64)(path, flags, mode) : -1;
}
