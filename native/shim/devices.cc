// Nodes and links in the container's /dev.
#include <dirent.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include "sandbox.h"
#include "spec.h"

struct Node {
  const char* name;
  unsigned major, minor;
};

// What the OCI runtime specification asks for.
constexpr Node kNodes[] = {{"null", 1, 3}, {"zero", 1, 5},    {"full", 1, 7},
                           {"random", 1, 8}, {"urandom", 1, 9}, {"tty", 5, 0}};
constexpr const char* kLinks[][2] = {{"/proc/self/fd", "fd"},       {"/proc/self/fd/0", "stdin"},
                                     {"/proc/self/fd/1", "stdout"}, {"/proc/self/fd/2", "stderr"},
                                     {"/proc/kcore", "core"},       {"pts/ptmx", "ptmx"}};
// Of the host's folders and files that the container has of its own.
constexpr const char* kOwn[] = {"pts", "shm", "mqueue", "fd", "console", "ptmx", "stdin", "stdout", "stderr", "core"};

static void copy_nodes(int from, int to, bool top) {
  DIR* folder = fdopendir(from);
  if (!folder) return;
  while (dirent* entry = readdir(folder)) {
    const char* name = entry->d_name;
    if (*name == '.') continue;
    bool own = false;
    for (const char* other : kOwn) own = own || (top && strcmp(name, other) == 0);
    struct stat info;
    if (own || fstatat(dirfd(folder), name, &info, AT_SYMLINK_NOFOLLOW) < 0) continue;
    if (S_ISDIR(info.st_mode)) {
      if (mkdirat(to, name, 0755) < 0 && errno != EEXIST) continue;
      int below = openat(dirfd(folder), name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
      int made = openat(to, name, O_PATH | O_DIRECTORY | O_CLOEXEC);
      if (below >= 0 && made >= 0) copy_nodes(below, made, false);
      if (made >= 0) close(made);
    } else if (S_ISCHR(info.st_mode) || S_ISBLK(info.st_mode)) {
      if (mknodat(to, name, info.st_mode, info.st_rdev) == 0)
        fchownat(to, name, info.st_uid, info.st_gid, AT_SYMLINK_NOFOLLOW);
    }
  }
  closedir(folder);
}

void make_devices(Spec& spec, int dev) {
  mode_t before = umask(0);
  for (const Node& node : kNodes)
    if (mknodat(dev, node.name, S_IFCHR | 0666, makedev(node.major, node.minor)) < 0 ||
        (sandbox.base && fchownat(dev, node.name, sandbox.base, sandbox.base, 0) < 0))
      fail("make device", node.name);
  for (auto& link : kLinks)
    if (symlinkat(link[0], dev, link[1]) < 0 ||
        (sandbox.base && fchownat(dev, link[1], sandbox.base, sandbox.base, AT_SYMLINK_NOFOLLOW) < 0))
      fail("make link /dev/", link[1]);
  if (spec.flags & kAllDevices) copy_nodes(open("/dev", O_RDONLY | O_DIRECTORY | O_CLOEXEC), dev, true);
  umask(before);
}
