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

// A namespace with nothing but a tmpfs as its root: containers clone that mount, and no mount shows on the host.
static bool make_shm(Text& error) {
  if (unshare(CLONE_NEWNS) < 0) return failed(error, "unshare the mount namespace");
  sandbox.shm_mounts = open("/proc/self/ns/mnt", O_RDONLY | O_CLOEXEC);
  if (sandbox.shm_mounts < 0) return failed(error, "open the namespace of /dev/shm");
  if (mount("", "/", nullptr, MS_REC | MS_PRIVATE, nullptr) < 0) return failed(error, "make mounts private");
  if (mkdir("shm", 0700) < 0 && errno != EEXIST) return failed(error, "mkdir shm");
  if (mount("shm", "shm", "tmpfs", MS_NOSUID | MS_NODEV | MS_NOEXEC, "mode=1777,size=67108864") < 0)
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
  if (sandbox.flags & kPodPid) flags |= CLONE_NEWPID;
  if (unshare(flags) < 0) return failed(error, "unshare the pod's namespaces");

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
