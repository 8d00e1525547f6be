// Small helpers that keep the shim free of stdio, locale and exceptions.
#pragma once
#include <cerrno>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <fcntl.h>
#include <unistd.h>

// A growing array of plain values.
template <typename T>
struct List {
  T* items = nullptr;
  uint32_t count = 0, room = 0;
  void add(T value) {
    if (count == room) {
      room = room ? room * 2 : 8;
      items = static_cast<T*>(realloc(items, room * sizeof(T)));
      if (!items) abort();
    }
    items[count++] = value;
  }
  T& operator[](uint32_t i) { return items[i]; }
};

// Text put together in a fixed buffer; what does not fit is cut.
struct Text {
  char data[2048];
  size_t size = 0;
  Text& add(const char* text) { return add(text, strlen(text)); }
  Text& add(const char* text, size_t length);
  Text& number(int64_t value, int width = 0);
  bool full() const { return size == sizeof data - 1; }
  const char* c_str() {
    data[size] = 0;
    return data;
  }
};

// Bytes that grow and are given back when empty.
struct Buffer {
  uint8_t* data = nullptr;
  uint32_t size = 0, room = 0;
  void reserve(uint32_t more);
  void add(const void* bytes, uint32_t length);
  void drop(uint32_t length);  // from the front
  void clear();
};

char* copy_string(const char* text);
int64_t now_ms();
// Writes all or returns false with errno set.
bool write_all(int fd, const void* data, size_t size);
bool write_file(const char* path, const char* text);
// Up to room-1 bytes of a file as a string, -1 on error.
int read_file(const char* path, char* out, size_t room);
void set_nonblocking(int fd);
inline void close_fd(int& fd) {
  if (fd >= 0) close(fd);
  fd = -1;
}
