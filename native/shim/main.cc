// keelson-shim <state folder>: one process a pod. Descriptor 3 is the first client's connection. See PROTOCOL.md.
#include <csignal>
#include <initializer_list>
#include <malloc.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>

#include "client.h"
#include "process.h"

static Io signals;

static void on_signal(Io* io, uint32_t) {
  signalfd_siginfo info;
  while (read(io->fd, &info, sizeof info) > 0) {
  }
  processes_reap();
}

// The address is relative to the state folder: the whole path may be longer than an address can be.
static int listen_here() {
  int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  sockaddr_un address = {};
  address.sun_family = AF_UNIX;
  strcpy(address.sun_path, "sock");
  umask(0177);
  if (bind(fd, reinterpret_cast<sockaddr*>(&address), sizeof address) < 0 || listen(fd, 1024) < 0) return -1;
  umask(0022);
  return fd;
}

// Executes this binary again by a read-only mount that only the process has: a container that gets hold of
// /proc/<pid>/exe of a process on its way into it can't write to the file. Kernels without such mounts go on.
static void protect_binary(char** argv, char** environment) {
  if (*environment) return;
  int tree = open_tree(AT_FDCWD, "/proc/self/exe", OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC);
  mount_attr read_only = {};
  read_only.attr_set = MOUNT_ATTR_RDONLY;
  if (tree < 0 || mount_setattr(tree, "", AT_EMPTY_PATH, &read_only, sizeof read_only) < 0) return;
  char protected_by[] = "KEELSON_SHIM=protected";
  char* marked[] = {protected_by, nullptr};
  syscall(SYS_execveat, tree, "", argv, marked, AT_EMPTY_PATH);
  close(tree);
}

int main(int argc, char** argv, char** environment) {
  protect_binary(argv, environment);
  if (argc != 2 || chdir(argv[1]) < 0) return 2;
  // Small heaps give back what they don't need.
  mallopt(M_TRIM_THRESHOLD, 16 << 10);
  mallopt(M_TOP_PAD, 0);
  mallopt(M_MMAP_THRESHOLD, 32 << 10);
  prctl(PR_SET_NAME, "keelson-shim");
  setsid();
  // The kernel should choose a container first. Fails without CAP_SYS_RESOURCE.
  write_file("/proc/self/oom_score_adj", "-998");
  prctl(PR_SET_CHILD_SUBREAPER, 1);
  signal(SIGPIPE, SIG_IGN);
  // Only SIGKILL ends the shim from outside: the pod's life does not hang on its agent's terminal or service.
  sigset_t set;
  sigemptyset(&set);
  for (int number : {SIGCHLD, SIGTERM, SIGINT, SIGHUP, SIGQUIT}) sigaddset(&set, number);
  sigprocmask(SIG_SETMASK, &set, nullptr);
  int fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
  int listening = listen_here();
  if (fd < 0 || listening < 0 || fcntl(3, F_SETFD, FD_CLOEXEC) < 0) return 3;
  loop_init();
  io_open(signals, fd, EPOLLIN, on_signal, nullptr);
  clients_listen(listening);
  client_add(3)->founder = true;
  loop_run();
}
