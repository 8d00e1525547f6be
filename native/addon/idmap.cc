// Mounts of folders with other ids than those on the disk.
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <vector>

#include "addon.h"

namespace keelson {
namespace {

struct Descriptor {
  int number;
  ~Descriptor() {
    if (number >= 0) close(number);
  }
};

void WriteMap(const std::string& path, const std::string& map) {
  Descriptor file{open(path.c_str(), O_WRONLY | O_CLOEXEC)};
  if (file.number < 0 || write(file.number, map.data(), map.size()) < 0) throw SysError{errno, "write " + path};
}

// A user namespace in which 0 is `base`; a process keeps it until its descriptor does.
int MappedUsers(uint32_t base, uint32_t size) {
  int ready[2];
  if (pipe2(ready, O_CLOEXEC) < 0) throw SysError{errno, "pipe"};
  Descriptor up{ready[0]}, down{ready[1]};
  pid_t child = fork();
  if (child < 0) throw SysError{errno, "fork"};
  if (child == 0) {
    // Only what is safe in a copy of one thread of many.
    char error = unshare(CLONE_NEWUSER) < 0 ? errno : 0;
    if (write(ready[1], &error, 1) == 1)
      for (;;) pause();
    _exit(1);
  }
  struct Ended {
    pid_t pid;
    ~Ended() {
      kill(pid, SIGKILL);
      while (waitpid(pid, nullptr, 0) < 0 && errno == EINTR) {
      }
    }
  } ended{child};
  char error = 0;
  if (read(up.number, &error, 1) != 1) throw SysError{EPIPE, "unshare"};
  if (error) throw SysError{error, "unshare"};
  std::string folder = "/proc/" + std::to_string(child) + "/";
  std::string map = "0 " + std::to_string(base) + " " + std::to_string(size) + "\n";
  WriteMap(folder + "uid_map", map);
  WriteMap(folder + "gid_map", map);
  int users = open((folder + "ns/user").c_str(), O_RDONLY | O_CLOEXEC);
  if (users < 0) throw SysError{errno, "open " + folder + "ns/user"};
  return users;
}

void MountMappedOne(const std::string& source, const std::string& target, int users) {
  Descriptor tree{static_cast<int>(
      syscall(SYS_open_tree, AT_FDCWD, source.c_str(), OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC))};
  if (tree.number < 0) throw SysError{errno, "open_tree " + source};
  mount_attr attributes = {};
  attributes.attr_set = MOUNT_ATTR_IDMAP;
  attributes.propagation = MS_PRIVATE;
  attributes.userns_fd = users;
  if (syscall(SYS_mount_setattr, tree.number, "", AT_EMPTY_PATH, &attributes, sizeof attributes) < 0)
    throw SysError{errno, "mount_setattr " + source};
  if (syscall(SYS_move_mount, tree.number, "", AT_FDCWD, target.c_str(), MOVE_MOUNT_F_EMPTY_PATH) < 0)
    throw SysError{errno, "move_mount " + target};
}

// mountMapped(sources, targets, base, size): Promise<void>
Napi::Value MountMapped(const Napi::CallbackInfo& info) {
  auto texts = [](Napi::Array list) {
    std::vector<std::string> found;
    for (uint32_t i = 0; i < list.Length(); i++) found.push_back(Napi::Value(list[i]).As<Napi::String>());
    return found;
  };
  auto sources = texts(info[0].As<Napi::Array>()), targets = texts(info[1].As<Napi::Array>());
  uint32_t base = info[2].As<Napi::Number>(), size = info[3].As<Napi::Number>();
  return Promised(info.Env(), [=] {
    Descriptor users{MappedUsers(base, size)};
    for (size_t i = 0; i < sources.size(); i++) MountMappedOne(sources[i], targets[i], users.number);
  });
}

}  // namespace

void RegisterIdmap(Napi::Env env, Napi::Object exports) {
  exports.Set("mountMapped", Napi::Function::New(env, MountMapped));
}

}  // namespace keelson
