// Makes the pod's namespaces, see sandbox.h.
#include "sandbox.h"

#include <csignal>
#include <net/if.h>
#include <poll.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>

Sandbox sandbox;

static bool failed(Text& error, const char* step) {
  int number = errno;
  error.add(step).add(": ").add(strerrordesc_np(number));
  return false;
}

static bool loopback_up() {
  int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  if (fd < 0) return false;
  ifreq request = {};
  memcpy(request.ifr_name, "lo", 3);
  bool done = ioctl(fd, SIOCGIFFLAGS, &request) == 0;
  request.ifr_flags |= IFF_UP;
  done = done && ioctl(fd, SIOCSIFFLAGS, &request) == 0;
  close(fd);
  return done;
}

// `net.ipv4.ip_forward=1`; dots become slashes, as sysctl(8) does.
static bool set_sysctl(const char* setting) {
  Text path;
  path.add("/proc/sys/");
  const char* equals = strchr(setting, '=');
  if (!equals) return errno = EINVAL, false;
  size_t prefix = path.size;
  path.add(setting, equals - setting);
  for (size_t i = prefix; i < path.size; i++)
    if (path.data[i] == '.') path.data[i] = '/';
  return write_file(path.c_str(), equals + 1);
}

bool enter_users() {
  if (sandbox.users < 0) return true;
  // The plain system calls: this process has no threads for the C library to keep in step.
  return setns(sandbox.users, CLONE_NEWUSER) == 0 && syscall(SYS_setgroups, 0, nullptr) == 0 &&
         syscall(SYS_setresgid, 0, 0, 0) == 0 && syscall(SYS_setresuid, 0, 0, 0) == 0;
}

// Makes the user namespace, and in it those that are to be its own: only a process that is in it can, so that a child
// does, and this one joins them.
static bool make_users(uint64_t base, uint64_t size, int flags, Text& error) {
  int up[2], down[2];
  if (pipe2(up, O_CLOEXEC) < 0 || pipe2(down, O_CLOEXEC) < 0) return failed(error, "make pipes");
  int child = fork();
  if (child < 0) return failed(error, "fork");
  if (child == 0) {
    close(up[0]);
    close(down[1]);
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    char done = unshare(CLONE_NEWUSER) == 0 ? 0 : errno;
    // The second letter says that the ids are mapped: what is made now belongs to them.
    if (write(up[1], &done, 1) != 1 || done || read(down[0], &done, 1) != 1) _exit(1);
    if (syscall(SYS_setresgid, 0, 0, 0) < 0 || syscall(SYS_setresuid, 0, 0, 0) < 0 || unshare(flags) < 0) done = errno;
    if (write(up[1], &done, 1) == 1) read(down[0], &done, 1);
    _exit(0);
  }
  close(up[1]);
  close(down[0]);
  auto told = [&](const char* step) {
    char number = EPIPE;
    if (read(up[0], &number, 1) == 1 && number == 0) return true;
    errno = number;
    return failed(error, step);
  };
  auto file = [&](const char* name) { return Text().add("/proc/").number(child).add("/").add(name); };
  Text map;
  map.add("0 ").number(base).add(" ").number(size).add("\n");
  bool done = told("unshare the user namespace");
  if (done && (!write_file(file("uid_map").c_str(), map.c_str()) || !write_file(file("gid_map").c_str(), map.c_str())))
    done = failed(error, "map the ids of the user namespace");
  if (done) {
    write(down[1], "", 1);
    done = told("unshare the pod's namespaces");
  }
  if (done) {
    sandbox.users = open(file("ns/user").c_str(), O_RDONLY | O_CLOEXEC);
    sandbox.base = base;
    int process = syscall(SYS_pidfd_open, child, 0);
    if (sandbox.users < 0 || process < 0 || setns(process, flags) < 0) done = failed(error, "join the pod's namespaces");
    close(process);
  }
  close(down[1]);
  close(up[0]);
  while (waitpid(child, nullptr, 0) < 0 && errno == EINTR) {
  }
  return done;
}

// A namespace with nothing but a tmpfs as its root: containers clone that mount, and no mount shows on the host.
static bool make_shm(Text& error) {
  if (unshare(CLONE_NEWNS) < 0) return failed(error, "unshare the mount namespace");
  sandbox.shm_mounts = open("/proc/self/ns/mnt", O_RDONLY | O_CLOEXEC);
  if (sandbox.shm_mounts < 0) return failed(error, "open the namespace of /dev/shm");
  if (mount("", "/", nullptr, MS_REC | MS_PRIVATE, nullptr) < 0) return failed(error, "make mounts private");
  if (mkdir("shm", 0700) < 0 && errno != EEXIST) return failed(error, "mkdir shm");
  Text options;
  options.add("mode=1777,size=67108864,uid=").number(sandbox.base).add(",gid=").number(sandbox.base);
  if (mount("shm", "shm", "tmpfs", MS_NOSUID | MS_NODEV | MS_NOEXEC, options.c_str()) < 0)
    return failed(error, "mount shm");
  if (chdir("shm") < 0 || syscall(SYS_pivot_root, ".", ".") < 0 || umount2(".", MNT_DETACH) < 0)
    return failed(error, "pivot to shm");
  return true;
}

[[noreturn]] static void run_pause(const int* parent) {
  close(parent[1]);
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  pollfd hangup = {parent[0], 0, 0};
  if (poll(&hangup, 1, 0) != 0) _exit(0);  // it died before the line above
  prctl(PR_SET_NAME, "pause");
  if (!enter_users()) _exit(1);
  prctl(PR_SET_PDEATHSIG, SIGKILL);  // a change of the user clears it
  syscall(SYS_close_range, 0u, ~0u, 0u);
  sigset_t set;
  sigemptyset(&set);
  sigaddset(&set, SIGCHLD);
  sigprocmask(SIG_BLOCK, &set, nullptr);
  for (;;) {
    int signal;
    sigwait(&set, &signal);
    while (waitpid(-1, nullptr, WNOHANG) > 0) {
    }
  }
}

bool sandbox_setup(Fields fields, Text& error) {
  sandbox.flags = fields.number(kFlags);
  int directory = open(".", O_PATH | O_DIRECTORY | O_CLOEXEC);
  sandbox.host_mounts = open("/proc/self/ns/mnt", O_RDONLY | O_CLOEXEC);
  sandbox.own_pids = open("/proc/self/ns/pid", O_RDONLY | O_CLOEXEC);
  if (directory < 0 || sandbox.host_mounts < 0 || sandbox.own_pids < 0)
    return failed(error, "open the state folder and /proc/self/ns");

  Fields rest = fields;
  Field field;
  while (rest.next(field))
    if (field.tag == kCgroupProcs && !write_file(field.text(), "0"))
      return failed(error, Text().add("join cgroup ").add(field.text()).c_str());

  int flags = CLONE_NEWUTS;
  if (sandbox.flags & kNetwork) flags |= CLONE_NEWNET;
  if (sandbox.flags & kIpc) flags |= CLONE_NEWIPC;
  uint64_t users = fields.number(kUserSize);
  if (users && !make_users(fields.number(kUserBase), users, flags, error)) return false;
  if (users) flags = 0;
  if (sandbox.flags & kPodPid) flags |= CLONE_NEWPID;
  if (flags && unshare(flags) < 0) return failed(error, "unshare the pod's namespaces");

  if (sandbox.flags & kPodPid) {
    int parent[2];
    if (pipe2(parent, O_CLOEXEC) < 0 || (sandbox.pause = fork()) < 0) return failed(error, "fork the pod's init");
    if (sandbox.pause == 0) run_pause(parent);
    close(parent[0]);
  }
  const char* hostname = fields.text(kHostname);
  if (*hostname && sethostname(hostname, strlen(hostname)) < 0) return failed(error, "set the hostname");
  if (sandbox.flags & kNetwork && !loopback_up()) return failed(error, "set lo up");
  rest = fields;
  while (rest.next(field))
    if (field.tag == kSysctl && !set_sysctl(field.text()))
      return failed(error, Text().add("set sysctl ").add(field.text()).c_str());

  if (sandbox.flags & kIpc) {
    bool done = make_shm(error);
    if (setns(sandbox.host_mounts, CLONE_NEWNS) < 0 && done) return failed(error, "return to the host's mounts");
    if (!done) return false;
  }
  if (fchdir(directory) < 0) return failed(error, "return to the state folder");
  close(directory);
  sandbox.ready = true;
  return true;
}
