// The child of the shim that becomes a container's process, see spawn.h.
#include "spawn.h"

#include <csignal>
#include <linux/sched.h>
#include <poll.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>

#include "sandbox.h"

int sync_fd = -1;

void fail_with(const char* sentence) {
  Text text;
  text.add(&kFailed, 1).add(sentence);
  send(sync_fd, text.data, text.size, MSG_NOSIGNAL);
  _exit(128);
}

void fail(const char* step, const char* what) {
  int number = errno;
  Text text;
  text.add(step);
  if (*what) text.add(" ").add(what);
  if (number) text.add(": ").add(strerrordesc_np(number));
  fail_with(text.c_str());
}

static void adjust_oom_score(int64_t score) {
  Text text;
  if (write_file("/proc/self/oom_score_adj", text.number(score).c_str())) return;
  // Going below what the shim has takes CAP_SYS_RESOURCE; without it the container keeps the shim's score.
  if (errno != EACCES) fail("set oom_score_adj");
}

static void use_stdio(int in, int out, int err) {
  if (dup2(in, 0) < 0 || dup2(out, 1) < 0 || dup2(err, 2) < 0) fail("set up standard streams");
}

[[noreturn]] static void child(Fields fields, int container, int in, int out, int err) {
  sigset_t none;
  sigemptyset(&none);
  sigprocmask(SIG_SETMASK, &none, nullptr);
  signal(SIGPIPE, SIG_DFL);
  // What it holds of the host is not to be reached by those who see it in /proc of the container.
  prctl(PR_SET_DUMPABLE, 0);
  // Until it is in all of its cgroups, nobody but the shim can find it.
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  pollfd shim = {sync_fd, 0, 0};
  if (poll(&shim, 1, 0) != 0) _exit(128);
  Spec spec;
  parse_spec(fields, spec);
  if (!spec.argv.count) fail_with("no command specified");
  prepare_seccomp(spec);
  if (setsid() < 0) fail("setsid");
  for (uint32_t i = 0; i < spec.cgroups.count; i++)
    if (!write_file(spec.cgroups[i], "0")) fail("join cgroup", spec.cgroups[i]);
  if (*spec.device_cgroup) limit_devices(spec);
  adjust_oom_score(spec.oom_score_adj);
  bool tty = spec.flags & kTty;
  if (!tty) use_stdio(in, out, err);
  spec.joins = container >= 0;
  if (spec.joins) {
    // The flags of a namespace that is shared already do no harm.
    if (setns(container, CLONE_NEWNS | CLONE_NEWCGROUP) < 0) fail("join the container's namespaces");
    if (tty) {
      int pts = open("/dev/pts", O_PATH | O_DIRECTORY | O_CLOEXEC);
      int slave = pts < 0 ? -1 : open_terminal(pts);
      if (slave < 0) fail("open a terminal in", "/dev/pts");
      use_stdio(slave, slave, slave);
    }
  } else {
    set_up_root(spec);
  }
  if (tty) {
    fchown(0, sandbox.base + spec.uid, -1);
    if (ioctl(0, TIOCSCTTY, 0) < 0) fail("take the terminal");
  }
  prctl(PR_SET_PDEATHSIG, 0);
  syscall(SYS_close_range, 3u, ~0u, 4u /* CLOSE_RANGE_CLOEXEC */);
  execute(spec);
}

static bool make_pipe(int& parent, int& child, bool child_reads) {
  int ends[2];
  if (pipe2(ends, O_CLOEXEC) < 0) return false;
  parent = child_reads ? ends[1] : ends[0];
  child = child_reads ? ends[0] : ends[1];
  set_nonblocking(parent);
  return true;
}

bool spawn(Fields fields, int container, int pids, Spawned& spawned, Text& error) {
  uint64_t flags = fields.number(kFlags);
  bool tty = flags & kTty;
  int pair[2] = {-1, -1}, in = -1, out = -1, err = -1;
  bool done = socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) == 0;
  if (!tty && done) {
    if (flags & kWantStdin) done = make_pipe(spawned.in, in, true);
    else done = (in = open("/dev/null", O_RDONLY | O_CLOEXEC)) >= 0;
    done = done && make_pipe(spawned.out, out, false) && make_pipe(spawned.err, err, false);
  }
  bool own_pids = !(sandbox.flags & (kPodPid | kHostPid));
  int joined = !own_pids ? -1 : container >= 0 ? container : pids;
  if (done && joined >= 0) done = setns(joined, CLONE_NEWPID) == 0;
  if (done) {
    int pidfd = -1;
    clone_args args = {};
    args.flags = CLONE_PIDFD | (own_pids && joined < 0 ? CLONE_NEWPID : 0);
    args.pidfd = reinterpret_cast<uint64_t>(&pidfd);
    args.exit_signal = SIGCHLD;
    long pid = syscall(SYS_clone3, &args, sizeof args);
    if (pid == 0) {
      close(pair[0]);
      sync_fd = pair[1];
      child(fields, container, in, out, err);
    }
    done = pid > 0;
    spawned.pid = pid;
    spawned.pidfd = pidfd;
  }
  if (!done) error.add("start a process: ").add(strerrordesc_np(errno));
  if (joined >= 0) setns(sandbox.own_pids, CLONE_NEWPID);
  close_fd(in);
  close_fd(out);
  close_fd(err);
  close_fd(pair[1]);
  spawned.sync = pair[0];
  if (done) {
    set_nonblocking(spawned.sync);
    return true;
  }
  close_fd(spawned.sync);
  close_fd(spawned.in);
  close_fd(spawned.out);
  close_fd(spawned.err);
  return false;
}

int spawn_message(int sync, char* data, size_t room, int& terminal) {
  alignas(cmsghdr) char control[CMSG_SPACE(sizeof(int))];
  iovec part = {data, room};
  msghdr message = {};
  message.msg_iov = &part;
  message.msg_iovlen = 1;
  message.msg_control = control;
  message.msg_controllen = sizeof control;
  ssize_t n = recvmsg(sync, &message, MSG_CMSG_CLOEXEC);
  if (n < 0) return errno == EAGAIN || errno == EINTR ? -1 : 0;
  if (cmsghdr* head = CMSG_FIRSTHDR(&message))
    if (head->cmsg_type == SCM_RIGHTS) memcpy(&terminal, CMSG_DATA(head), sizeof(int));
  return n;
}
