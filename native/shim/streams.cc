// Output and input of processes: to the log, to sessions and attached clients, with back-pressure.
#include "streams.h"

#include <csignal>
#include <sys/ioctl.h>

constexpr uint32_t kSlowAttach = 256 << 10;
constexpr uint32_t kEarly = 64 << 10;

static uint8_t chunk[32768];

// Who starts a container to talk to it once must not miss what it says first.
static void keep_early(Process* p, Type type, uint32_t size) {
  uint8_t head[1 + sizeof size] = {type};
  if (p->early.size + sizeof head + size > kEarly) return;
  memcpy(head + 1, &size, sizeof size);
  p->early.add(head, sizeof head);
  p->early.add(chunk, size);
}

static void replay_early(Process* p, Client* client) {
  for (uint32_t at = 0; at < p->early.size && !client->dropped;) {
    auto type = static_cast<Type>(p->early.data[at]);
    uint32_t size;
    memcpy(&size, p->early.data + at + 1, sizeof size);
    at += 1 + sizeof size;
    if (client->wants & (type == kStderr ? kWantStderr : kWantStdout))
      client_output(client, type, p->early.data + at, size);
    at += size;
  }
  p->early.clear();
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
  if (p->stdin_once && !p->met) keep_early(p, type, size);
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
  process_settle(p);
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

void streams_open_terminal(Process* p, int terminal) {
  set_nonblocking(terminal);
  if (p->takes_input) io_open(p->in, fcntl(terminal, F_DUPFD_CLOEXEC, 0), 0, on_input_room, p);
  io_open(p->out, terminal, EPOLLIN, on_output, p);
}

void streams_open(Process* p, int in, int out, int err) {
  if (out >= 0) io_open(p->out, out, EPOLLIN, on_output, p);
  if (err >= 0) io_open(p->err, err, EPOLLIN, on_output, p);
  if (in >= 0) io_open(p->in, in, 0, on_input_room, p);
}

void streams_drain(Process* p) {
  for (Io* io : {&p->out, &p->err})
    while (io->fd >= 0 && io->events && pump(p, *io)) {
    }
  if (p->tty && p->out.events) io_close(p->out);
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
  if (client->wants & kWantStdin && !p->met) {
    p->met = true;
    replay_early(p, client);
  }
}
