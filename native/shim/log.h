// Container logs in the CRI format: `<time> <stream> <F|P> <line>`.
#pragma once
#include "util.h"

constexpr uint32_t kMaxLine = 16384;

// The part of a line that waits for its end.
struct Line {
  Buffer rest;
};

struct Log {
  const char* path = nullptr;
  int fd = -1;
  bool torn = false;  // its last line has no end
};

bool log_open(Log& log);
void log_close(Log& log);
// Writes the whole lines in `data`, and pieces of kMaxLine of longer ones; never fails: what can't be written is lost.
void log_write(Log& log, Line& line, const char* stream, const uint8_t* data, uint32_t size);
// The end of the stream: writes what waits.
void log_flush(Log& log, Line& line, const char* stream);
