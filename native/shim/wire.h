// Reads and writes the tagged fields of a frame: u8 tag, u32 length, value. Strings end in NUL, numbers have 8 bytes.
#pragma once
#include "protocol.h"
#include "util.h"

struct Field {
  uint8_t tag;
  const uint8_t* data;
  uint32_t size;
  // The value as a string; "" when it does not end in NUL.
  const char* text() const {
    return size && data[size - 1] == 0 ? reinterpret_cast<const char*>(data) : "";
  }
  uint64_t number() const {
    uint64_t value = 0;
    if (size == 8) memcpy(&value, data, 8);
    return value;
  }
};

struct Fields {
  const uint8_t* data;
  uint32_t size;
  bool next(Field& field) {
    if (size < 5) return false;
    uint32_t length;
    memcpy(&length, data + 1, 4);
    if (length > size - 5) return false;
    field = {data[0], data + 5, length};
    data += 5 + length;
    size -= 5 + length;
    return true;
  }
  // Whether all bytes belong to whole fields.
  bool whole() const {
    Fields rest = *this;
    Field field;
    while (rest.next(field)) {
    }
    return rest.size == 0;
  }
  const char* text(Tag tag) const;
  uint64_t number(Tag tag) const;
};

// A frame under construction.
struct Frame {
  Buffer buffer;
  Frame(Type type, uint32_t id);
  ~Frame() { buffer.clear(); }
  Frame(const Frame&) = delete;
  Frame& text(Tag tag, const char* value);
  Frame& number(Tag tag, uint64_t value);
  Frame& bytes(Tag tag, const void* data, uint32_t size);
  // Sets the length; call last.
  Buffer& finish();
};
