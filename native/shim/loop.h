// The epoll loop: one event is taken at a time, so that a handler may close any other source.
#pragma once
#include <cstdint>
#include <sys/epoll.h>

struct Io {
  int fd = -1;
  uint32_t events = 0;
  void (*ready)(Io*, uint32_t events) = nullptr;
  void* owner = nullptr;
};

void loop_init();
void io_open(Io& io, int fd, uint32_t events, void (*ready)(Io*, uint32_t), void* owner);
// 0 takes it out of the loop (a hang-up is then not reported either).
void io_want(Io& io, uint32_t events);
void io_close(Io& io);
[[noreturn]] void loop_run();
