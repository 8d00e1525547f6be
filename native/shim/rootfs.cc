// The container's mount namespace: overlay root, mounts, pivot_root, masked and read-only paths.
#include <linux/magic.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/vfs.h>

#include "sandbox.h"
#include "spec.h"

#ifndef MOUNT_ATTR_RDONLY
#define MOUNT_ATTR_RDONLY 1
#endif

static void set_attributes(int tree, bool recursive, bool read_only, uint64_t propagation) {
  mount_attr attributes = {};
  if (read_only) attributes.attr_set = MOUNT_ATTR_RDONLY;
  attributes.propagation = propagation;
  if (mount_setattr(tree, "", AT_EMPTY_PATH | (recursive ? AT_RECURSIVE : 0), &attributes, sizeof attributes) < 0)
    fail("set mount attributes");
}

// What is 0 on the disk is user 0 of the pod.
static void map_ids(int tree, const char* name) {
  if (sandbox.users < 0) return;
  mount_attr attributes = {};
  attributes.attr_set = MOUNT_ATTR_IDMAP;
  attributes.userns_fd = sandbox.users;
  if (mount_setattr(tree, "", AT_EMPTY_PATH, &attributes, sizeof attributes) < 0) fail("map the ids of", name);
}

static void attach(int tree, int target, const char* name) {
  if (move_mount(tree, "", target, "", MOVE_MOUNT_F_EMPTY_PATH | MOVE_MOUNT_T_EMPTY_PATH) < 0)
    fail("mount on", name);
  close(tree);
}

// The options of mount(2) are a page at most: folders are named by their descriptors, whatever their number and the
// length of their paths. The layers come highest first. Without `volatile` an unmount would sync the whole disk;
// nothing of a container's layer has to survive a power loss.
static void mount_overlay(Spec& spec) {
  Text options;
  List<int> opened;
  // Overlayfs takes mapped layers only from mounts of this namespace: on a tmpfs that the root then covers.
  bool mapped = sandbox.users >= 0;
  if (mapped && mount("layers", spec.root, "tmpfs", 0, "size=64k,mode=700") < 0) fail("mount on", spec.root);
  auto add = [&](const char* path, bool lower = false) {
    int folder;
    if (mapped && lower) {
      Text place;
      place.add(spec.root).add("/").number(opened.count);
      int tree = open_tree(AT_FDCWD, path, OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC);
      if (tree < 0) fail("open", path);
      map_ids(tree, path);
      if (mkdir(place.c_str(), 0700) < 0 || move_mount(tree, "", AT_FDCWD, place.c_str(), MOVE_MOUNT_F_EMPTY_PATH) < 0)
        fail("mount on", place.c_str());
      close(tree);
      folder = open(place.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC);
    } else {
      folder = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
    }
    if (folder < 0) fail("open", path);
    opened.add(folder);
    options.number(folder);
  };
  options.add("volatile,lowerdir=");
  for (uint32_t i = 0; i < spec.lower.count; i++) {
    if (i) options.add(":");
    add(spec.lower[i], true);
  }
  options.add(",upperdir=");
  // Its root is the container's.
  if (mapped && chown(spec.upper, sandbox.base, sandbox.base) < 0) fail("give away", spec.upper);
  add(spec.upper);
  options.add(",workdir=");
  add(spec.work);
  if (options.full()) fail_with("the image has too many layers");
  if (chdir("/proc/self/fd") < 0) fail("chdir to", "/proc/self/fd");
  if (mount("overlay", spec.root, "overlay", 0, options.c_str()) < 0) fail("mount overlay on", spec.root);
  for (uint32_t i = 0; i < opened.count; i++) close(opened[i]);
}

// Clones the pod's /dev/shm out of the namespace that keeps it.
static int clone_shm() {
  if (setns(sandbox.shm_mounts, CLONE_NEWNS) < 0) fail("join the namespace of /dev/shm");
  int tree = open_tree(AT_FDCWD, "/", OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC);
  if (tree < 0) fail("clone /dev/shm");
  if (setns(sandbox.host_mounts, CLONE_NEWNS) < 0) fail("return to the host's mounts");
  return tree;
}

// Overlayfs and devtmpfs can't map ids: devices belong to nobody in the pod; the layers of an image that is a volume were
// mapped before.
static bool keeps_ids(const MountSpec& m) {
  struct stat file;
  struct statfs system;
  if (fstat(m.tree, &file) == 0 && (S_ISCHR(file.st_mode) || S_ISBLK(file.st_mode))) return true;
  if (fstatfs(m.tree, &system) < 0 || system.f_type != OVERLAYFS_SUPER_MAGIC) return false;
  return (m.flags & MS_RDONLY) || (system.f_flags & ST_RDONLY);
}

// While mounts still are the host's peers, so that `rshared` and `rslave` binds stay connected to it.
static void clone_sources(Spec& spec) {
  for (uint32_t i = 0; i < spec.mounts.count; i++) {
    MountSpec& m = spec.mounts[i];
    if (m.kind != kBind) continue;
    m.tree = open_tree(AT_FDCWD, m.source, OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_RECURSIVE);
    if (m.tree < 0) fail("bind mount", m.source);
    if (!keeps_ids(m)) map_ids(m.tree, m.source);
    uint64_t propagation = m.propagation == kShared ? MS_SHARED : m.propagation == kSlave ? MS_SLAVE : MS_PRIVATE;
    bool deep = m.flags & MS_REC;
    set_attributes(m.tree, true, deep && m.flags & MS_RDONLY, propagation);
    if (!deep && m.flags & MS_RDONLY) set_attributes(m.tree, false, true, 0);
  }
}

// What must not be led elsewhere by a link in the image.
static void refuse_link(int root, const char* path) {
  struct stat info;
  if (fstatat(root, path + 1, &info, AT_SYMLINK_NOFOLLOW) == 0 && S_ISLNK(info.st_mode)) {
    errno = 0;
    fail("a symbolic link in the image is in the place of", path);
  }
}

static void mount_one(int root, MountSpec& m) {
  bool folder = true;
  if (m.kind == kBind) {
    struct stat info;
    if (fstat(m.tree, &info) < 0) fail("stat", m.source);
    folder = S_ISDIR(info.st_mode);
  }
  if (m.kind == kFilesystem && (strcmp(m.type, "proc") == 0 || strcmp(m.type, "sysfs") == 0))
    refuse_link(root, m.target);
  int target = open_target(root, m.target, folder);
  if (target < 0) fail("make mount point", m.target);
  if (m.kind == kFilesystem) {
    // In a mount point that is entered no link is followed again.
    Text data;
    data.add(m.data);
    bool owned = strcmp(m.type, "tmpfs") == 0 && !(m.flags & MS_REMOUNT);
    if (sandbox.base && owned) data.add(",uid=").number(sandbox.base).add(",gid=").number(sandbox.base);
    if (sandbox.base && strcmp(m.type, "devpts") == 0) {
      data.add(",uid=").number(sandbox.base).add(",gid=").number(sandbox.base + 5);
    }
    if (fchdir(target) < 0 || mount(m.source, ".", m.type, m.flags, data.size ? data.c_str() : nullptr) < 0)
      fail("mount on", m.target);
  } else {
    attach(m.tree, target, m.target);
  }
  close(target);
}

static void mask(const char* path) {
  int target = open(path, O_PATH | O_NOFOLLOW | O_CLOEXEC);
  if (target < 0) return;
  struct stat info;
  if (fstat(target, &info) < 0) fail("stat", path);
  if (S_ISDIR(info.st_mode)) {
    if (fchdir(target) < 0 || mount("tmpfs", ".", "tmpfs", MS_RDONLY | MS_NOSUID | MS_NODEV | MS_NOEXEC, "size=0k") < 0)
      fail("mask", path);
  } else {
    int null = open_tree(AT_FDCWD, "/dev/null", OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_SYMLINK_NOFOLLOW);
    if (null < 0 || fstat(null, &info) < 0) fail("mask", path);
    if (!S_ISCHR(info.st_mode) || info.st_rdev != makedev(1, 3)) fail_with("/dev/null is not the null device");
    attach(null, target, path);
  }
  close(target);
}

static void make_read_only(const char* path) {
  int tree = open_tree(AT_FDCWD, path, OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_RECURSIVE | AT_SYMLINK_NOFOLLOW);
  if (tree < 0) return;
  set_attributes(tree, true, true, MS_PRIVATE);
  int target = open(path, O_PATH | O_NOFOLLOW | O_CLOEXEC);
  if (target < 0) fail("make read-only", path);
  attach(tree, target, path);
  close(target);
}

static void make_console(int root) {
  int pts = open_target(root, "/dev/pts", true);
  int slave = pts < 0 ? -1 : open_terminal(pts);
  if (slave < 0) fail("open a terminal");
  int console = open_target(root, "/dev/console", false);
  int tree = open_tree(slave, "", OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_EMPTY_PATH);
  if (console < 0 || tree < 0) fail("make /dev/console");
  attach(tree, console, "/dev/console");
  if (dup2(slave, 0) < 0 || dup2(slave, 1) < 0 || dup2(slave, 2) < 0) fail("set up standard streams");
}

void set_up_root(Spec& spec) {
  int shm = -1;
  for (uint32_t i = 0; i < spec.mounts.count; i++)
    if (spec.mounts[i].kind == kShm) spec.mounts[i].tree = shm = clone_shm();
  if (unshare(CLONE_NEWNS | CLONE_NEWCGROUP) < 0) fail("unshare mount and cgroup namespaces");
  clone_sources(spec);
  if (mount("", "/", nullptr, MS_REC | MS_SLAVE, nullptr) < 0) fail("make mounts private");
  if (!spec.lower.count) fail_with("the image has no layers");
  mount_overlay(spec);
  int root = open(spec.root, O_PATH | O_DIRECTORY | O_CLOEXEC);
  if (root < 0) fail("open", spec.root);

  for (uint32_t i = 0; i < spec.mounts.count; i++) {
    mount_one(root, spec.mounts[i]);
    if (strcmp(spec.mounts[i].target, "/dev") == 0 && spec.mounts[i].kind == kFilesystem) {
      int dev = open_target(root, "/dev", true);
      if (dev < 0) fail("open /dev");
      make_devices(spec, dev);
      close(dev);
    }
  }
  if (spec.flags & kTty) make_console(root);

  if (fchdir(root) < 0 || syscall(SYS_pivot_root, ".", ".") < 0) fail("pivot_root");
  if (umount2(".", MNT_DETACH) < 0 || chdir("/") < 0) fail("leave the old root");
  for (uint32_t i = 0; i < spec.read_only.count; i++) make_read_only(spec.read_only[i]);
  for (uint32_t i = 0; i < spec.masked.count; i++) mask(spec.masked[i]);
  if (spec.flags & kReadOnlyRoot) {
    int tree = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);
    set_attributes(tree, false, true, 0);
    close(tree);
  }
}
