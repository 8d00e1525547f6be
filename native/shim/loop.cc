// Epoll loop, see loop.h.
#include "loop.h"

#include <cerrno>
#include <unistd.h>

#include "process.h"

static int epoll = -1;

void loop_init() { epoll = epoll_create1(EPOLL_CLOEXEC); }

void io_open(Io& io, int fd, uint32_t events, void (*ready)(Io*, uint32_t), void* owner) {
  io = {fd, 0, ready, owner};
  io_want(io, events);
}

void io_want(Io& io, uint32_t events) {
  if (io.fd < 0 || io.events == events) return;
  epoll_event event = {};
  event.events = events;
  event.data.ptr = &io;
  epoll_ctl(epoll, !events ? EPOLL_CTL_DEL : io.events ? EPOLL_CTL_MOD : EPOLL_CTL_ADD, io.fd, &event);
  io.events = events;
}

void io_close(Io& io) {
  if (io.fd < 0) return;
  io_want(io, 0);
  close(io.fd);
  io.fd = -1;
}

void loop_run() {
  for (;;) {
    clients_bury();
    epoll_event event;
    int n = epoll_wait(epoll, &event, 1, processes_timeout());
    if (n == 0) processes_expire();
    if (n < 1) continue;
    auto* io = static_cast<Io*>(event.data.ptr);
    io->ready(io, event.events);
  }
}
