// Encoding of frames, see wire.h.
#include "wire.h"

const char* Fields::text(Tag tag) const {
  Fields rest = *this;
  Field field;
  while (rest.next(field))
    if (field.tag == tag) return field.text();
  return "";
}

uint64_t Fields::number(Tag tag) const {
  Fields rest = *this;
  Field field;
  while (rest.next(field))
    if (field.tag == tag) return field.number();
  return 0;
}

Frame::Frame(Type type, uint32_t id) {
  uint8_t head[kHeader] = {0, 0, 0, 0, type};
  memcpy(head + 5, &id, 4);
  buffer.add(head, sizeof head);
}

Frame& Frame::bytes(Tag tag, const void* data, uint32_t size) {
  uint8_t head[5] = {tag};
  memcpy(head + 1, &size, 4);
  buffer.add(head, 5);
  buffer.add(data, size);
  return *this;
}

Frame& Frame::text(Tag tag, const char* value) { return bytes(tag, value, strlen(value) + 1); }
Frame& Frame::number(Tag tag, uint64_t value) { return bytes(tag, &value, 8); }

Buffer& Frame::finish() {
  uint32_t length = buffer.size - 4;
  memcpy(buffer.data, &length, 4);
  return buffer;
}
