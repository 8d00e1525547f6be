// CRI log writer, see log.h.
#include "log.h"

#include <ctime>
#include <sys/uio.h>

bool log_open(Log& log) {
  close_fd(log.fd);
  log.fd = open(log.path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0640);
  return log.fd >= 0;
}

void log_close(Log& log) { close_fd(log.fd); }

// "2024-01-01T00:00:00.000000000Z stdout F ": 40 bytes at most. Calendar by the day: no time zone code is needed.
static uint32_t head(char* out, const char* stream, char flag) {
  timespec now;
  clock_gettime(CLOCK_REALTIME, &now);
  static int64_t known_day = -1;
  static char date[12];
  int64_t day = now.tv_sec / 86400;
  if (day != known_day) {
    // Days to civil date (proleptic Gregorian, era of 400 years).
    int64_t z = day + 719468, era = z / 146097, doe = z - era * 146097;
    int64_t yoe = (doe - doe / 1460 + doe / 36524 - doe / 146096) / 365;
    int64_t doy = doe - (365 * yoe + yoe / 4 - yoe / 100), mp = (5 * doy + 2) / 153;
    int64_t month = mp < 10 ? mp + 3 : mp - 9, year = yoe + era * 400 + (month <= 2);
    Text text;
    text.number(year, 4).add("-").number(month, 2).add("-").number(doy - (153 * mp + 2) / 5 + 1, 2);
    memcpy(date, text.c_str(), 11);
    known_day = day;
  }
  int64_t second = now.tv_sec % 86400;
  auto digits = [](char* at, int64_t value, int width) {
    while (width--) at[width] = '0' + value % 10, value /= 10;
  };
  memcpy(out, date, 10);
  memcpy(out + 10, "T00:00:00.000000000Z ", 21);
  digits(out + 11, second / 3600, 2);
  digits(out + 14, second / 60 % 60, 2);
  digits(out + 17, second % 60, 2);
  digits(out + 20, now.tv_nsec, 9);
  uint32_t n = 31, length = strlen(stream);
  memcpy(out + n, stream, length);
  n += length;
  out[n++] = ' ';
  out[n++] = flag;
  out[n++] = ' ';
  return n;
}

// A full disk loses lines, and never blocks the container. A line that was cut by it is ended before the next.
static void write_parts(Log& log, iovec* parts, int count) {
  if (!count || (log.fd < 0 && !log_open(log))) return;
  if (log.torn && write(log.fd, "\n", 1) != 1) return;
  log.torn = false;
  bool begun = false;
  while (count) {
    ssize_t n = writev(log.fd, parts, count);
    if (n < 0) {
      if (errno == EINTR) continue;
      log.torn = begun;
      return;
    }
    begun = begun || n > 0;
    while (count && static_cast<size_t>(n) >= parts->iov_len) n -= parts->iov_len, parts++, count--;
    if (count) {
      parts->iov_base = static_cast<char*>(parts->iov_base) + n;
      parts->iov_len -= n;
    }
  }
}

// Lines that came together share their time, and are written together.
struct Batch {
  Log& log;
  const char* stream;
  char full[48], part[48];
  uint32_t length = 0;
  int count = 0;
  iovec parts[64];

  Batch(Log& to, const char* of) : log(to), stream(of) {}
  void add(char flag, const Buffer* rest, const uint8_t* data, uint32_t size) {
    if (!length) {
      length = head(full, stream, 'F');
      memcpy(part, full, length);
      part[length - 2] = 'P';
    }
    if (count > 60) flush();
    parts[count++] = {flag == 'F' ? full : part, length};
    if (rest && rest->size) parts[count++] = {rest->data, rest->size};
    if (size) parts[count++] = {const_cast<uint8_t*>(data), size};
    parts[count++] = {const_cast<char*>("\n"), 1};
  }
  void flush() {
    write_parts(log, parts, count);
    count = 0;
  }
};

void log_write(Log& log, Line& line, const char* stream, const uint8_t* data, uint32_t size) {
  Batch batch(log, stream);
  bool rest = line.rest.size > 0;  // used up by the first piece, given back when that is written
  while (size) {
    auto* end = static_cast<const uint8_t*>(memchr(data, '\n', size));
    uint32_t length = end ? end - data : size, take = kMaxLine - (rest ? line.rest.size : 0);
    if (length <= take && !end) break;
    bool whole = length <= take;
    batch.add(whole ? 'F' : 'P', rest ? &line.rest : nullptr, data, whole ? length : take);
    rest = false;
    data += whole ? length + 1 : take;
    size -= whole ? length + 1 : take;
  }
  batch.flush();
  if (!rest) line.rest.clear();
  if (size) line.rest.add(data, size);
}

void log_flush(Log& log, Line& line, const char* stream) {
  if (!line.rest.size) return;
  Batch batch(log, stream);
  batch.add('P', &line.rest, nullptr, 0);
  batch.flush();
  line.rest.clear();
}
