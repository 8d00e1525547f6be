// Life of containers and exec'd processes, see process.h.
#include "process.h"

#include <csignal>
#include <cstdio>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "sandbox.h"
#include "spawn.h"

Process* processes = nullptr;

constexpr uint32_t kSlowAttach = 256 << 10;
// How long the output of an ended container is awaited when somebody else holds its pipes.
constexpr int64_t kLinger = 500;

static uint8_t chunk[32768];

Process* find_container(const char* id) {
  for (Process* p = processes; p; p = p->next)
    if (p->container && strcmp(p->id, id) == 0) return p;
  return nullptr;
}

void process_describe(Process* p, Frame& frame) {
  frame.text(kId, p->id).number(kState, p->finished ? 2 : 1).number(kPid, p->finished ? 0 : p->pid);
  frame.number(kCreatedAt, p->created).number(kStartedAt, p->started).number(kFinishedAt, p->finished_at);
  frame.number(kExitCode, p->code).number(kSignalNumber, p->signal).number(kOomKilled, p->oom);
}

// `<id>.exit` in the state folder: "code signal finishedAt oom", for those who come after this process.
static void record_exit(Process* p) {
  Text line, path, temporary;
  line.number(p->code).add(" ").number(p->signal).add(" ").number(p->finished_at).add(" ").number(p->oom).add("\n");
  path.add("containers/").add(p->id).add(".exit");
  temporary.add(path.c_str()).add("~");
  int fd = open(temporary.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
  if (fd < 0) return;
  bool done = write_all(fd, line.data, line.size);
  close(fd);
  if (done) rename(temporary.c_str(), path.c_str());
}

static bool oom_happened(const char* path) {
  char text[1024];
  if (!path || read_file(path, text, sizeof text) < 0) return false;
  for (char* at = text; (at = strstr(at, "oom_kill ")); at += 9)
    if (at == text || at[-1] == '\n') return strtoll(at + 9, nullptr, 10) > 0;
  return false;
}

// Ends what else is in the container's cgroup; its PID namespace does that, if it has its own.
static void kill_rest(Process* p) {
  if (!p->kill_file || !*p->kill_file) return;
  if (strstr(p->kill_file, "/cgroup.kill")) {
    write_file(p->kill_file, "1");
    return;
  }
  char* pids = static_cast<char*>(malloc(65536));
  for (int round = 0; pids && round < 8 && read_file(p->kill_file, pids, 65536) > 0; round++)
    for (char* at = pids; *at; at = strchr(at, '\n') + 1) {
      kill(strtol(at, nullptr, 10), SIGKILL);
      if (!strchr(at, '\n')) break;
    }
  free(pids);
}

static void free_process(Process* p) {
  for (Process** at = &processes; *at; at = &(*at)->next)
    if (*at == p) {
      *at = p->next;
      break;
    }
  io_close(p->sync);
  io_close(p->out);
  io_close(p->err);
  io_close(p->in);
  close_fd(p->pidfd);
  log_close(p->log);
  p->lines[0].rest.clear();
  p->lines[1].rest.clear();
  free(const_cast<char*>(p->log.path));
  free(p->id);
  free(p->oom_file);
  free(p->kill_file);
  free(p);
}

void process_forget(Process* p) {
  while (Client* client = p->attached) client_close(client);
  free_process(p);
}

static void send_ended(Client* client, Process* p) {
  Frame frame(kEnded, 0);
  frame.number(kExitCode, p->code).number(kSignalNumber, p->signal);
  client_send(client, frame);
  client_finish(client);
}

static void finish(Process* p) {
  p->finished = true;
  p->deadline = 0;
  io_close(p->out);
  io_close(p->err);
  io_close(p->in);
  close_fd(p->pidfd);
  if (!p->container) {
    Client* client = p->session;
    p->session = nullptr;
    if (client) {
      client->process = nullptr;
      send_ended(client, p);
    }
    free_process(p);
    return;
  }
  log_flush(p->log, p->lines[0], "stdout");
  log_flush(p->log, p->lines[1], "stderr");
  log_close(p->log);
  record_exit(p);
  while (Client* client = p->attached) {
    p->attached = client->next_attached;
    client->process = nullptr;
    send_ended(client, p);
  }
  Frame event(kExit, 0);
  process_describe(p, event);
  clients_notify(event);
}

static void finish_if_done(Process* p) {
  if (p->ended && !p->starting && !p->finished && p->out.fd < 0 && p->err.fd < 0) finish(p);
}

static void deliver(Process* p, bool error, uint32_t size) {
  Type type = error ? kStderr : kStdout;
  if (!p->container) {
    Client* client = p->session;
    if (!client || !(client->wants & (error ? kWantStderr : kWantStdout))) return;
    client_output(client, type, chunk, size);
    if (p->session && p->session->out.size) {  // back-pressure: the process waits for its reader
      io_want(p->out, 0);
      io_want(p->err, 0);
    }
    return;
  }
  log_write(p->log, p->lines[error], error ? "stderr" : "stdout", chunk, size);
  for (Client *client = p->attached, *next; client; client = next) {
    next = client->next_attached;
    if (!(client->wants & (error ? kWantStderr : kWantStdout))) continue;
    if (client->out.size + size > kSlowAttach) client_close(client);
    else client_output(client, type, chunk, size);
  }
}

// Reads once; false when there is nothing (more) for now.
static bool pump(Process* p, Io& io) {
  ssize_t n = read(io.fd, chunk, sizeof chunk);
  if (n > 0) {
    deliver(p, &io == &p->err, n);
    return true;
  }
  if (n < 0 && (errno == EAGAIN || errno == EINTR)) return false;
  io_close(io);  // a terminal says EIO when its last user has closed it
  return false;
}

static void on_output(Io* io, uint32_t) {
  auto* p = static_cast<Process*>(io->owner);
  pump(p, *io);
  finish_if_done(p);
}

static void on_input_room(Io* io, uint32_t) {
  auto* p = static_cast<Process*>(io->owner);
  io_want(*io, 0);
  if (!p->container) {
    if (p->session) client_resume(p->session);
    return;
  }
  for (Client *client = p->attached, *next; client; client = next) {
    next = client->next_attached;
    client_resume(client);
  }
}

uint32_t process_input(Process* p, const uint8_t* data, uint32_t size) {
  uint32_t taken = 0;
  while (taken < size && p->in.fd >= 0) {
    ssize_t n = write(p->in.fd, data + taken, size - taken);
    if (n >= 0) {
      taken += n;
    } else if (errno == EAGAIN) {
      io_want(p->in, EPOLLOUT);
      return taken;
    } else if (errno != EINTR) {
      io_close(p->in);
    }
  }
  return size;
}

void process_input_end(Process* p) {
  if (!p->tty) return io_close(p->in);
  // A terminal's end of input is its EOF character, at the start of a line.
  uint8_t end = 4;
  process_input(p, &end, 1);
}

void process_resize(Process* p, uint16_t columns, uint16_t rows) {
  winsize size = {};
  size.ws_col = columns;
  size.ws_row = rows;
  if (p->tty && p->out.fd >= 0) ioctl(p->out.fd, TIOCSWINSZ, &size);
}

void process_session_ready(Process* p) {
  if (p->ended && p->tty) p->deadline = now_ms() + kLinger;
  io_want(p->out, EPOLLIN);
  io_want(p->err, EPOLLIN);
}

void process_session_gone(Process* p, Client* client) {
  client->process = nullptr;
  if (!client->attach) {
    // Nobody waits for the exec any more.
    p->session = nullptr;
    if (!p->ended) kill(p->pid, SIGKILL);
    process_session_ready(p);
    return;
  }
  for (Client** at = &p->attached; *at; at = &(*at)->next_attached)
    if (*at == client) {
      *at = client->next_attached;
      break;
    }
  if (p->stdin_once && client->wants & kWantStdin && !client->input_ended) process_input_end(p);
}

static void answer_started(Process* p) {
  if (!p->starter) return;
  Frame frame(kOk, p->request);
  frame.number(kPid, p->pid).number(kStartedAt, p->started);
  client_send(p->starter, frame);
  p->starter = nullptr;
}

static void start_failed(Process* p, const char* reason) {
  Client* client = p->container ? p->starter : p->session;
  if (p->session) p->session->process = nullptr;
  p->session = nullptr;
  if (client) client_error(client, p->request, reason);
  if (client && !p->container) client_finish(client);
  if (p->ended) return free_process(p);
  // Its exit is still to be reaped; nobody asks for it any more.
  p->starter = nullptr;
  p->container = false;
  p->starting = false;
  io_close(p->out);
  io_close(p->err);
}

static void open_terminal_streams(Process* p, int terminal) {
  set_nonblocking(terminal);
  if (p->takes_input) io_open(p->in, fcntl(terminal, F_DUPFD_CLOEXEC, 0), 0, on_input_room, p);
  io_open(p->out, terminal, EPOLLIN, on_output, p);
}

static void on_sync(Io* io, uint32_t) {
  auto* p = static_cast<Process*>(io->owner);
  char message[sizeof(Text) + 8];
  int terminal = -1;
  int n = spawn_message(io->fd, message, sizeof message - 1, terminal);
  if (n < 0) return;
  if (n > 0 && message[0] == kTerminal && terminal >= 0) return open_terminal_streams(p, terminal);
  io_close(p->sync);
  if (n > 0) {
    message[n] = 0;
    return start_failed(p, message + 1);
  }
  p->starting = false;
  p->started = now_ms();
  answer_started(p);
  finish_if_done(p);
}

static bool prepare_container(Process* p, Fields fields, Text& error) {
  p->id = copy_string(fields.text(kId));
  p->log.path = copy_string(fields.text(kLogPath));
  p->oom_file = copy_string(fields.text(kOomFile));
  if (sandbox.flags & (kPodPid | kHostPid)) p->kill_file = copy_string(fields.text(kCgroupKill));
  p->stdin_once = fields.number(kFlags) & kStdinOnce;
  if (log_open(p->log)) return true;
  error.add("open log ").add(p->log.path).add(": ").add(strerrordesc_np(errno));
  return false;
}

void process_start(Client* client, uint32_t request, Type type, Fields fields) {
  bool container = type == kStart;
  Process* in = container ? nullptr : find_container(fields.text(kId));
  if (container && find_container(fields.text(kId))) return client_error(client, request, "the container exists");
  if (!container && (!in || in->ended || in->starting)) return client_error(client, request, "container not running");
  auto* p = static_cast<Process*>(malloc(sizeof(Process)));
  if (!p) abort();
  *p = Process();
  p->container = container;
  p->tty = fields.number(kFlags) & kTty;
  p->takes_input = fields.number(kFlags) & kWantStdin;
  p->created = now_ms();
  Text error;
  Spawned spawned;
  if ((container && !prepare_container(p, fields, error)) || !spawn(fields, in ? in->pidfd : -1, spawned, error)) {
    free_process(p);
    return client_error(client, request, error.c_str());
  }
  p->next = processes;
  processes = p;
  p->pid = spawned.pid;
  p->pidfd = spawned.pidfd;
  p->starter = client;
  p->request = request;
  if (!container) {
    p->session = client;
    client->process = p;
    client->wants = fields.number(kFlags);
  }
  io_open(p->sync, spawned.sync, EPOLLIN, on_sync, p);
  if (spawned.out >= 0) io_open(p->out, spawned.out, EPOLLIN, on_output, p);
  if (spawned.err >= 0) io_open(p->err, spawned.err, EPOLLIN, on_output, p);
  if (spawned.in >= 0) io_open(p->in, spawned.in, 0, on_input_room, p);
}

void process_attach(Client* client, uint32_t request, Fields fields) {
  Process* p = find_container(fields.text(kId));
  if (!p || p->ended || p->starting) return client_error(client, request, "container not running");
  client->process = p;
  client->attach = true;
  client->wants = fields.number(kFlags);
  client->next_attached = p->attached;
  p->attached = client;
  Frame frame(kOk, request);
  client_send(client, frame);
}

static bool is_listed(Process* p) {
  for (Process* q = processes; q; q = q->next)
    if (q == p) return true;
  return false;
}

static void on_ended(Process* p, int status) {
  p->ended = true;
  p->finished_at = now_ms();
  p->signal = WIFSIGNALED(status) ? WTERMSIG(status) : 0;
  p->code = p->signal ? 128 + p->signal : WEXITSTATUS(status);
  // What the child said of its start comes first; a failed one is then forgotten.
  while (p->starting && p->sync.fd >= 0) {
    on_sync(&p->sync, 0);
    if (!is_listed(p)) return;
  }
  if (p->finished) return;
  if (!p->container && !p->session && p->out.fd < 0 && p->err.fd < 0) return free_process(p);
  if (p->container) {
    kill_rest(p);
    p->oom = oom_happened(p->oom_file);
  }
  if (p->container || p->tty || !p->session) {
    while (p->out.fd >= 0 && p->out.events && pump(p, p->out)) {
    }
    while (p->err.fd >= 0 && p->err.events && pump(p, p->err)) {
    }
    if (p->tty && p->out.events) io_close(p->out);
    // A descriptor passed on to somebody else may keep a pipe open for long.
    if (p->container || !p->session) p->deadline = now_ms() + kLinger;
  }
  finish_if_done(p);
}

void processes_reap() {
  int status, pid;
  while ((pid = waitpid(-1, &status, WNOHANG)) > 0)
    for (Process* p = processes; p; p = p->next)
      if (p->pid == pid && !p->ended) {
        on_ended(p, status);
        break;
      }
}

int processes_timeout() {
  int64_t first = 0;
  for (Process* p = processes; p; p = p->next)
    if (p->deadline && (!first || p->deadline < first)) first = p->deadline;
  if (!first) return -1;
  int64_t left = first - now_ms();
  return left < 0 ? 0 : left;
}

void processes_expire() {
  int64_t now = now_ms();
  for (Process *p = processes, *next; p; p = next) {
    next = p->next;
    if (p->deadline && p->deadline <= now) finish(p);
  }
}

void processes_shutdown() {
  for (Process* p = processes; p; p = p->next)
    if (!p->ended) kill(p->pid, SIGKILL);
  if (sandbox.pause > 0) kill(sandbox.pause, SIGKILL);
  unlink("sock");
  _exit(0);
}
