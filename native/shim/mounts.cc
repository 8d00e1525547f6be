// Mount targets inside a root filesystem that is not trusted: no symbolic link leads out of it.
#include <linux/openat2.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#include "sandbox.h"
#include "spec.h"

constexpr int kMaxLinks = 16;

static int open_in(int root, const char* path) {
  open_how how = {};
  how.flags = O_PATH | O_CLOEXEC;
  how.resolve = RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS;
  return syscall(SYS_openat2, root, path, &how, sizeof how);
}

static int open_or_make(int root, const char* path, bool folder, int links) {
  int fd = open_in(root, path);
  if (fd >= 0) {
    struct stat info;
    if (fstat(fd, &info) < 0) return -1;
    if (S_ISDIR(info.st_mode) == folder) return fd;
    close(fd);
    errno = folder ? ENOTDIR : EISDIR;
    return -1;
  }
  if (errno != ENOENT || links > kMaxLinks) return -1;

  char* parent = copy_string(path);
  size_t length = strlen(parent);
  while (length > 1 && parent[length - 1] == '/') parent[--length] = 0;
  char* slash = strrchr(parent, '/');
  const char* name = slash ? path + (slash - parent) + 1 : path;
  char* own = strndup(name, length - (name - path));
  if (!own || !*own || strcmp(own, "..") == 0) return errno = EINVAL, -1;
  if (slash) *slash = 0;
  int above = open_or_make(root, slash && *parent ? parent : "/", true, links + 1);
  if (above < 0) return -1;
  int made = folder ? mkdirat(above, own, 0755)
                    : openat(above, own, O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0644);
  if (made < 0 && errno == EEXIST) {
    // A link to nowhere: what it names, inside the root, is made instead.
    char link[4096];
    ssize_t n = readlinkat(above, own, link, sizeof link - 1);
    if (n < 0) return -1;
    link[n] = 0;
    if (*link == '/') return open_or_make(root, link, folder, links + 1);
    auto* joined = static_cast<char*>(malloc(strlen(path) + n + 2));
    strcpy(joined, slash ? parent : "");
    strcat(strcat(joined, "/"), link);
    return open_or_make(root, joined, folder, links + 1);
  }
  if (made < 0) return -1;
  if (!folder) close(made);
  if (sandbox.base && fchownat(above, own, sandbox.base, sandbox.base, AT_SYMLINK_NOFOLLOW) < 0) return -1;
  return open_in(root, path);
}

int open_target(int root, const char* path, bool folder) { return open_or_make(root, path, folder, 0); }
