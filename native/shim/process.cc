// Life of containers and exec'd processes, see process.h.
#include "process.h"

#include <csignal>
#include <cstdio>
#include <sys/stat.h>
#include <sys/wait.h>

#include "sandbox.h"
#include "spawn.h"
#include "streams.h"

Process* processes = nullptr;

Process* find_container(const char* id) {
  for (Process* p = processes; p; p = p->next)
    if (p->container && strcmp(p->id, id) == 0) return p;
  return nullptr;
}

void process_describe(Process* p, Frame& frame) {
  frame.text(kId, p->id).number(kState, p->finished ? 2 : 1).number(kPid, p->finished ? 0 : p->pid);
  frame.number(kCreatedAt, p->created).number(kStartedAt, p->started ? p->started : p->created).number(kFinishedAt, p->finished_at);
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
  p->early.clear();
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

void process_settle(Process* p) {
  if (p->ended && !p->starting && !p->finished && p->out.fd < 0 && p->err.fd < 0) finish(p);
}

static void answer_started(Process* p) {
  if (!p->starter) return;
  Frame frame(kOk, p->request);
  frame.number(kPid, p->pid).number(kStartedAt, p->started);
  client_send(p->starter, frame);
  p->starter = nullptr;
}

static void start_failed(Process* p, const char* reason) {
  if (p->container && !p->starter) {
    // Its agent is gone, and the next has been told of it: it ends, with the child's exit code.
    p->starting = false;
    return process_settle(p);
  }
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

static void on_sync(Io* io, uint32_t) {
  auto* p = static_cast<Process*>(io->owner);
  char message[sizeof(Text) + 8];
  int terminal = -1;
  int n = spawn_message(io->fd, message, sizeof message - 1, terminal);
  if (n < 0) return;
  if (n > 0 && message[0] == kTerminal && terminal >= 0) return streams_open_terminal(p, terminal);
  io_close(p->sync);
  if (n > 0) {
    message[n] = 0;
    return start_failed(p, message + 1);
  }
  p->starting = false;
  p->started = now_ms();
  answer_started(p);
  process_settle(p);
}

static bool prepare_container(Process* p, Fields fields, Text& error) {
  p->id = copy_string(fields.text(kId));
  p->log.path = copy_string(fields.text(kLogPath));
  p->oom_file = copy_string(fields.text(kOomFile));
  if (sandbox.flags & (kPodPid | kHostPid) || *fields.text(kPidsOf)) p->kill_file = copy_string(fields.text(kCgroupKill));
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
  const char* pids_of = container ? fields.text(kPidsOf) : "";
  Process* target = *pids_of ? find_container(pids_of) : nullptr;
  if (*pids_of && (!target || target->ended || target->starting))
    return client_error(client, request, "the target container is not running");
  auto* p = static_cast<Process*>(malloc(sizeof(Process)));
  if (!p) abort();
  *p = Process();
  p->container = container;
  p->tty = fields.number(kFlags) & kTty;
  p->takes_input = fields.number(kFlags) & kWantStdin;
  p->created = now_ms();
  Text error;
  Spawned spawned;
  if ((container && !prepare_container(p, fields, error)) || !spawn(fields, in ? in->pidfd : -1, target ? target->pidfd : -1, spawned, error)) {
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
  streams_open(p, spawned.in, spawned.out, spawned.err);
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
    streams_drain(p);
    // A descriptor passed on to somebody else may keep a pipe open for long.
    if (p->container || !p->session) p->deadline = now_ms() + kLinger;
  }
  process_settle(p);
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
