// Frames in and out of client connections, see client.h.
#include "client.h"

#include <csignal>
#include <sys/socket.h>
#include <sys/uio.h>

#include "process.h"
#include "sandbox.h"

static Client* clients = nullptr;
static Client* dead = nullptr;
static Io listener;

static void drop(Client* client) {
  if (client->dropped) return;
  client->dropped = true;
  // Nobody is left who could set the pod up.
  if (client->founder && !sandbox.ready) _exit(1);
  io_close(client->io);
  for (Process* p = processes; p; p = p->next)
    if (p->starter == client) p->starter = nullptr;
  if (client->process) process_session_gone(client->process, client);
  for (Client** at = &clients; *at; at = &(*at)->next)
    if (*at == client) {
      *at = client->next;
      break;
    }
  client->next = dead;
  dead = client;
}

void clients_bury() {
  while (dead) {
    Client* client = dead;
    dead = client->next;
    client->in.clear();
    client->out.clear();
    free(client);
  }
}

static void want(Client* client) {
  if (client->dropped) return;
  // A session whose process does not take its input is not read.
  io_want(client->io, (client->waiting ? 0u : static_cast<uint32_t>(EPOLLIN)) |
                          (client->out.size ? static_cast<uint32_t>(EPOLLOUT) : 0u));
}

static bool flush(Client* client) {
  while (client->out.size) {
    ssize_t n = send(client->io.fd, client->out.data, client->out.size, MSG_NOSIGNAL | MSG_DONTWAIT);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return errno == EAGAIN;
    client->out.drop(n);
  }
  return true;
}

static void send_or_keep(Client* client, const iovec* parts, int count) {
  if (client->dropped) return;
  size_t sent = 0;
  if (!client->out.size) {
    msghdr message = {};
    message.msg_iov = const_cast<iovec*>(parts);
    message.msg_iovlen = count;
    ssize_t n = sendmsg(client->io.fd, &message, MSG_NOSIGNAL | MSG_DONTWAIT);
    if (n < 0 && errno != EAGAIN && errno != EINTR) return drop(client);
    if (n > 0) sent = n;
  }
  for (int i = 0; i < count; i++) {
    size_t skip = sent < parts[i].iov_len ? sent : parts[i].iov_len;
    sent -= skip;
    if (skip < parts[i].iov_len)
      client->out.add(static_cast<uint8_t*>(parts[i].iov_base) + skip, parts[i].iov_len - skip);
  }
  want(client);
}

void client_send(Client* client, Frame& frame) {
  Buffer& bytes = frame.finish();
  iovec part = {bytes.data, bytes.size};
  send_or_keep(client, &part, 1);
}

void client_output(Client* client, Type type, const uint8_t* data, uint32_t size) {
  uint8_t head[kHeader] = {0, 0, 0, 0, type};
  uint32_t length = size + kHeader - 4;
  memcpy(head, &length, 4);
  iovec parts[2] = {{head, kHeader}, {const_cast<uint8_t*>(data), size}};
  send_or_keep(client, parts, 2);
}

void client_error(Client* client, uint32_t request, const char* message) {
  Frame frame(kError, request);
  frame.text(kMessage, message);
  client_send(client, frame);
}

void client_close(Client* client) { drop(client); }

// The other side closes when it has read all. Closing first would answer what it still sends with a
// reset, which takes from it what it has not read.
static void end_output(Client* client) { shutdown(client->io.fd, SHUT_WR); }

void client_finish(Client* client) {
  if (client->dropped) return;
  client->closing = true;
  client->waiting = false;
  if (!client->out.size) end_output(client);
  want(client);
}

// What comes for a session that has ended.
static void discard(Client* client) {
  uint8_t page[4096];
  ssize_t n = recv(client->io.fd, page, sizeof(page), MSG_DONTWAIT);
  if (n == 0 || (n < 0 && errno != EAGAIN && errno != EINTR)) drop(client);
}

void clients_notify(Frame& frame) {
  frame.finish();
  for (Client *client = clients, *next; client; client = next) {
    next = client->next;
    if (client->events) client_send(client, frame);
  }
}

static void hello(Client* client, uint32_t request) {
  client->events = true;
  Frame frame(kOk, request);
  frame.number(kVersion, 1).number(kPid, getpid()).number(kState, sandbox.ready);
  for (Process* p = processes; p; p = p->next) {
    if (!p->container) continue;
    Frame one(kOk, 0);
    process_describe(p, one);
    frame.bytes(kContainer, one.buffer.data + kHeader, one.buffer.size - kHeader);
  }
  client_send(client, frame);
}

static void on_container(Client* client, uint32_t request, Type type, Fields fields) {
  Process* process = find_container(fields.text(kId));
  if (!process) return client_error(client, request, "no such container");
  if (type == kSignal) {
    if (!process->ended && kill(process->pid, fields.number(kSignalNumber)) < 0)
      return client_error(client, request, strerrordesc_np(errno));
  } else if (type == kRemove) {
    if (!process->finished) return client_error(client, request, "the container has not ended");
    process_forget(process);
  } else if (type == kResize) {
    process_resize(process, fields.number(kColumns), fields.number(kRows));
  } else if (!process->finished && !log_open(process->log)) {
    return client_error(client, request, strerrordesc_np(errno));
  }
  Frame frame(kOk, request);
  client_send(client, frame);
}

// A control frame; false closes the client.
static bool handle(Client* client, Type type, uint32_t request, const uint8_t* data, uint32_t size) {
  Fields fields = {data, size};
  if (!fields.whole()) return false;
  if (type != kSetup && type != kHello && type != kShutdown && !sandbox.ready) return false;
  switch (type) {
    case kSetup: {
      if (sandbox.ready) return false;
      Text error;
      if (!sandbox_setup(fields, error)) {
        client_error(client, request, error.c_str());
        flush(client);
        _exit(1);
      }
      hello(client, request);
      return true;
    }
    case kHello:
      hello(client, request);
      return true;
    case kStart:
    case kExec:
      process_start(client, request, type, fields);
      return true;
    case kAttach:
      process_attach(client, request, fields);
      return true;
    case kSignal:
    case kRemove:
    case kReopen:
    case kResize:
      on_container(client, request, type, fields);
      return true;
    case kShutdown: {
      Frame frame(kOk, request);
      client_send(client, frame);
      processes_shutdown();
    }
    default:
      return false;
  }
}

// Input of a session. Returns the bytes used, 0 when the process takes none for now, -1 to close the client.
static int64_t session_frame(Client* client, Type type, uint8_t* data, uint32_t size) {
  Process* process = client->process;
  if (type == kStdin && client->wants & kWantStdin && !client->input_ended) {
    uint32_t taken = process_input(process, data, size);
    if (taken == size) return kHeader + size;
    if (taken) {
      // The rest stays as a shorter frame in front of what follows.
      memmove(client->in.data + kHeader, data + taken, client->in.size - kHeader - taken);
      client->in.size -= taken;
      uint32_t length = kHeader - 4 + size - taken;
      memcpy(client->in.data, &length, 4);
    }
    return 0;
  }
  if (type == kStdin) return kHeader + size;
  if (type == kStdinEnd) {
    if (client->wants & kWantStdin && !client->input_ended && (!client->attach || process->stdin_once))
      process_input_end(process);
    client->input_ended = true;
    return kHeader + size;
  }
  if (type == kResize && size == 4) {
    uint16_t columns, rows;
    memcpy(&columns, data, 2);
    memcpy(&rows, data + 2, 2);
    process_resize(process, columns, rows);
    return kHeader + size;
  }
  return -1;
}

// Handles the whole frames that were read.
static void parse(Client* client) {
  while (!client->dropped && !client->closing && client->in.size >= kHeader) {
    uint32_t length, request;
    memcpy(&length, client->in.data, 4);
    memcpy(&request, client->in.data + 5, 4);
    if (length < kHeader - 4 || length > kMaxFrame) return drop(client);
    if (client->in.size < length + 4) {
      client->in.reserve(length + 4 - client->in.size);
      return;
    }
    auto type = static_cast<Type>(client->in.data[4]);
    uint8_t* data = client->in.data + kHeader;
    uint32_t size = length + 4 - kHeader;
    if (client->process) {
      client->waiting = false;
      int64_t used = session_frame(client, type, data, size);
      if (used < 0) return drop(client);
      if (used == 0) {
        client->waiting = true;
        return;
      }
      client->in.drop(used);
    } else {
      if (!handle(client, type, request, data, size)) return drop(client);
      if (!client->dropped) client->in.drop(length + 4);
    }
  }
}

void client_resume(Client* client) {
  if (!client->waiting) return;
  parse(client);
  want(client);
}

static void ready(Io* io, uint32_t events) {
  auto* client = static_cast<Client*>(io->owner);
  if (events & EPOLLOUT) {
    if (!flush(client)) drop(client);
    else if (!client->out.size) {
      if (client->closing) end_output(client);
      else if (client->process && !client->attach) process_session_ready(client->process);
    }
  }
  if (!client->dropped && client->closing && events & (EPOLLIN | EPOLLHUP | EPOLLERR)) {
    discard(client);
  } else if (!client->dropped && events & (EPOLLIN | EPOLLHUP | EPOLLERR)) {
    // A frame whose length is known is read in one go, else a page.
    uint32_t room = client->in.room > client->in.size ? client->in.room - client->in.size : 4096;
    client->in.reserve(room);
    ssize_t n = recv(io->fd, client->in.data + client->in.size, room, MSG_DONTWAIT);
    if (n > 0) {
      client->in.size += n;
      parse(client);
    } else if (n == 0 || (errno != EAGAIN && errno != EINTR)) {
      drop(client);
    }
    if (!client->dropped && !client->in.size) client->in.clear();
  }
  want(client);
}

Client* client_add(int fd) {
  auto* client = static_cast<Client*>(malloc(sizeof(Client)));
  if (!client) abort();
  *client = Client();
  client->next = clients;
  clients = client;
  io_open(client->io, fd, EPOLLIN, ready, client);
  return client;
}

static void accept_client(Io* io, uint32_t) {
  int fd = accept4(io->fd, nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK);
  if (fd >= 0) client_add(fd);
}

void clients_listen(int fd) { io_open(listener, fd, EPOLLIN, accept_client, nullptr); }
