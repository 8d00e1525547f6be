// Helpers declared in util.h.
#include "util.h"

#include <ctime>

Text& Text::add(const char* text, size_t length) {
  size_t left = sizeof data - 1 - size;
  if (length > left) length = left;
  memcpy(data + size, text, length);
  size += length;
  return *this;
}

Text& Text::number(int64_t value, int width) {
  char digits[24];
  int n = 0;
  uint64_t rest = value < 0 ? -static_cast<uint64_t>(value) : value;
  do digits[n++] = '0' + rest % 10;
  while (rest /= 10);
  while (n < width) digits[n++] = '0';
  if (value < 0) digits[n++] = '-';
  while (n) add(&digits[--n], 1);
  return *this;
}

void Buffer::reserve(uint32_t more) {
  if (size + more <= room) return;
  room = size + more;
  data = static_cast<uint8_t*>(realloc(data, room));
  if (!data) abort();
}

void Buffer::add(const void* bytes, uint32_t length) {
  reserve(length);
  memcpy(data + size, bytes, length);
  size += length;
}

void Buffer::drop(uint32_t length) {
  if (length >= size) return clear();
  memmove(data, data + length, size - length);
  size -= length;
}

void Buffer::clear() {
  free(data);
  data = nullptr;
  size = room = 0;
}

char* copy_string(const char* text) {
  char* copy = strdup(text);
  if (!copy) abort();
  return copy;
}

int64_t now_ms() {
  timespec t;
  clock_gettime(CLOCK_REALTIME, &t);
  return t.tv_sec * 1000LL + t.tv_nsec / 1000000;
}

bool write_all(int fd, const void* data, size_t size) {
  auto* p = static_cast<const char*>(data);
  while (size) {
    ssize_t n = write(fd, p, size);
    if (n < 0) {
      if (errno == EINTR) continue;
      return false;
    }
    p += n;
    size -= n;
  }
  return true;
}

bool write_file(const char* path, const char* text) {
  int fd = open(path, O_WRONLY | O_CLOEXEC);
  if (fd < 0) return false;
  bool done = write_all(fd, text, strlen(text));
  int error = errno;
  close(fd);
  errno = error;
  return done;
}

int read_file(const char* path, char* out, size_t room) {
  int fd = open(path, O_RDONLY | O_CLOEXEC);
  if (fd < 0) return -1;
  size_t size = 0;
  for (;;) {
    ssize_t n = read(fd, out + size, room - 1 - size);
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) break;
    size += n;
  }
  close(fd);
  out[size] = 0;
  return size;
}

void set_nonblocking(int fd) { fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK); }
