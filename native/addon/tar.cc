// The tar parser's states, from block to block.
#include "tar.h"

#include <algorithm>
#include <cstdlib>

#include "addon.h"

namespace keelson {
namespace {

constexpr size_t kBlock = 512;
constexpr uint64_t kMaxMeta = 8 << 20;

std::string Field(const char* at, size_t size) { return std::string(at, strnlen(at, size)); }

// Octal text, or GNU's base 256 when the first bit is set.
bool ParseNumber(const char* at, size_t size, int64_t* value) {
  auto first = static_cast<unsigned char>(*at);
  if (first & 0x80) {
    int64_t result = first & 0x40 ? -1 : 0;
    result = (result << 6) | (first & 0x3f);
    for (size_t i = 1; i < size; i++) {
      if (i + 8 < size && at[i] != (result < 0 ? '\xff' : 0)) return false;
      result = static_cast<int64_t>((static_cast<uint64_t>(result) << 8) | static_cast<unsigned char>(at[i]));
    }
    *value = result;
    return true;
  }
  std::string text = Field(at, size);
  size_t from = text.find_first_not_of(' ');
  *value = 0;
  if (from == std::string::npos) return true;
  for (size_t i = from; i < text.size() && text[i] != ' '; i++) {
    if (text[i] < '0' || text[i] > '7') return false;
    *value = *value * 8 + (text[i] - '0');
  }
  return true;
}

bool ParseDecimal(const std::string& text, uint64_t* value) {
  if (text.empty() || text.size() > 19) return false;
  *value = 0;
  for (char c : text) {
    if (c < '0' || c > '9') return false;
    *value = *value * 10 + (c - '0');
  }
  return true;
}

bool ChecksumHolds(const char* block) {
  int64_t told;
  if (!ParseNumber(block + 148, 8, &told)) return false;
  int64_t bytes = 0, chars = 0;
  for (size_t i = 0; i < kBlock; i++) {
    char c = i >= 148 && i < 156 ? ' ' : block[i];
    bytes += static_cast<unsigned char>(c);
    chars += static_cast<signed char>(c);
  }
  return told == bytes || told == chars;
}

}  // namespace

void TarReader::Fail(const std::string& why) {
  throw SysError{EBADMSG, "tar: " + why + (entry_.name.empty() ? "" : " in " + entry_.name)};
}

void TarReader::Write(const char* data, size_t size) {
  while (size && state_ != State::Ended) {
    size_t taken;
    if (state_ == State::Data || state_ == State::Padding || state_ == State::Meta) {
      uint64_t& left = state_ == State::Padding ? padding_ : remaining_;
      taken = static_cast<size_t>(std::min<uint64_t>(left, size));
      left -= taken;
      if (state_ == State::Data) Content(data, taken);
      if (state_ == State::Meta) meta_.append(data, taken);
      if (!left) {
        if (state_ == State::Data) DataDone();
        else if (state_ == State::Meta) MetaDone();
        else state_ = State::Header;
      }
    } else {
      taken = std::min(kBlock - block_.size(), size);
      block_.append(data, taken);
      if (block_.size() == kBlock) {
        std::string block;
        block.swap(block_);
        if (state_ == State::Header) Header(block.data());
        else if (state_ == State::SparseBlock) SparseBlock(block.data());
        else {
          if (remaining_ < kBlock) Fail("sparse map is cut off");
          remaining_ -= kBlock;
          meta_ += block;
          if (meta_.size() > kMaxMeta) Fail("sparse map is too large");
          if (ParseSparseMap()) StartData();
        }
      }
    }
    data += taken;
    size -= taken;
  }
}

// Some writers leave out the last entry's padding and the end blocks.
void TarReader::Finish() {
  if (state_ == State::Ended || state_ == State::Padding || (state_ == State::Header && block_.empty())) return;
  Fail("unexpected end");
}

void TarReader::Header(const char* block) {
  if (std::all_of(block, block + kBlock, [](char c) { return c == 0; })) {
    if (++zeroBlocks_ == 2) state_ = State::Ended;
    return;
  }
  zeroBlocks_ = 0;
  entry_ = TarEntry{};
  if (!ChecksumHolds(block)) Fail("header checksum does not match");
  int64_t mode, uid, gid, size, mtime, major = 0, minor = 0;
  if (!ParseNumber(block + 100, 8, &mode) || !ParseNumber(block + 108, 8, &uid) ||
      !ParseNumber(block + 116, 8, &gid) || !ParseNumber(block + 124, 12, &size) ||
      !ParseNumber(block + 136, 12, &mtime) || size < 0)
    Fail("bad number in header");
  char type = block[156];
  if (type == 'x' || type == 'g' || type == 'L' || type == 'K') {
    if (static_cast<uint64_t>(size) > kMaxMeta) Fail("extended header is too large");
    metaType_ = type;
    meta_.clear();
    remaining_ = size;
    padding_ = (kBlock - size % kBlock) % kBlock;
    state_ = State::Meta;
    if (!remaining_) MetaDone();
    return;
  }
  bool gnu = !memcmp(block + 257, "ustar  ", 8), ustar = !memcmp(block + 257, "ustar", 6);
  entry_.type = type;
  entry_.name = Field(block, 100);
  entry_.link = Field(block + 157, 100);
  if (ustar && block[345]) entry_.name = Field(block + 345, 155) + "/" + entry_.name;
  if (gnu || ustar) {
    if (!ParseNumber(block + 329, 8, &major) || !ParseNumber(block + 337, 8, &minor)) major = minor = 0;
  }
  entry_.mode = mode & 07777;
  entry_.uid = uid;
  entry_.gid = gid;
  entry_.major = major;
  entry_.minor = minor;
  entry_.seconds = mtime;
  entry_.size = remaining_ = size;
  sparse_ = mapInData_ = false;
  segments_.clear();
  if (!longName_.empty()) entry_.name.swap(longName_);
  if (!longLink_.empty()) entry_.link.swap(longLink_);
  longName_.clear();
  longLink_.clear();
  ApplyPax();
  bool content = entry_.type == '0' || entry_.type == 0 || entry_.type == '7' || entry_.type == 'S';
  if (!content) remaining_ = entry_.size = 0;
  padding_ = (kBlock - remaining_ % kBlock) % kBlock;
  if (entry_.type == 0 && !entry_.name.empty() && entry_.name.back() == '/') entry_.type = '5';
  if (entry_.type == 'S') {
    int64_t real;
    if (!ParseNumber(block + 483, 12, &real) || real < 0) Fail("bad sparse size");
    entry_.size = real;
    sparse_ = true;
    for (int i = 0; i < 4; i++) {
      int64_t offset, length;
      if (!block[386 + i * 24]) break;
      if (!ParseNumber(block + 386 + i * 24, 12, &offset) || !ParseNumber(block + 398 + i * 24, 12, &length))
        Fail("bad sparse map");
      segments_.emplace_back(offset, length);
    }
    if (block[482]) {
      state_ = State::SparseBlock;
      return;
    }
  }
  if (entry_.type == 'S' || entry_.type == 0 || entry_.type == '7') entry_.type = '0';
  if (mapInData_) {
    meta_.clear();
    state_ = State::SparseMap;
    return;
  }
  StartData();
}

void TarReader::MetaDone() {
  if (metaType_ == 'L') longName_ = Field(meta_.data(), meta_.size());
  if (metaType_ == 'K') longLink_ = Field(meta_.data(), meta_.size());
  if (metaType_ == 'x') Pax();
  Pad();
}

// Records of the form "<length> <key>=<value>\n".
void TarReader::Pax() {
  pax_.clear();
  for (size_t at = 0; at < meta_.size();) {
    size_t space = meta_.find(' ', at);
    uint64_t length;
    if (space == std::string::npos || !ParseDecimal(meta_.substr(at, space - at), &length) ||
        length < space - at + 3 || length > meta_.size() - at || meta_[at + length - 1] != '\n')
      Fail("bad PAX record");
    size_t equals = meta_.find('=', space);
    if (equals == std::string::npos || equals >= at + length) Fail("bad PAX record");
    pax_.emplace_back(meta_.substr(space + 1, equals - space - 1),
                      meta_.substr(equals + 1, at + length - 1 - (equals + 1)));
    at += length;
  }
}

void TarReader::ApplyPax() {
  uint64_t number, offset = 0;
  bool versionOne = false;
  std::string sparseName;
  auto need = [&](const std::string& value) {
    if (!ParseDecimal(value, &number)) Fail("bad PAX number " + value);
    return number;
  };
  for (auto& [key, value] : pax_) {
    if (key == "path" && !value.empty()) entry_.name = value;
    else if (key == "linkpath" && !value.empty()) entry_.link = value;
    else if (key == "size") entry_.size = remaining_ = need(value);
    else if (key == "uid") entry_.uid = need(value);
    else if (key == "gid") entry_.gid = need(value);
    else if (key == "mtime") {
      char* end;
      entry_.seconds = strtoll(value.c_str(), &end, 10);
      if (*end == '.') {
        std::string digits = std::string(end + 1).substr(0, 9);
        digits.resize(9, '0');
        entry_.nanoseconds = atol(digits.c_str());
        if (value[0] == '-' && entry_.nanoseconds) {
          entry_.seconds--;
          entry_.nanoseconds = 1000000000 - entry_.nanoseconds;
        }
      }
    } else if (key.rfind("SCHILY.xattr.", 0) == 0) entry_.xattrs[key.substr(13)] = value;
    else if (key == "GNU.sparse.major") versionOne = value == "1";
    else if (key == "GNU.sparse.name") sparseName = value;
    else if (key == "GNU.sparse.offset") offset = need(value);
    else if (key == "GNU.sparse.numbytes") segments_.emplace_back(offset, need(value));
    else if (key == "GNU.sparse.map") {
      uint64_t first = 0;
      bool pair = false;
      for (size_t at = 0; at <= value.size() && !value.empty();) {
        size_t comma = std::min(value.find(',', at), value.size());
        need(value.substr(at, comma - at));
        if (pair) segments_.emplace_back(first, number);
        first = number;
        pair = !pair;
        at = comma + 1;
      }
    }
  }
  // After the loop, since the size in the file counts what is stored only.
  for (auto& [key, value] : pax_)
    if (key == "GNU.sparse.size" || key == "GNU.sparse.realsize") {
      sparse_ = true;
      entry_.size = need(value);
    }
  if (!sparseName.empty()) entry_.name = sparseName;
  mapInData_ = sparse_ && versionOne;
  pax_.clear();
}

void TarReader::SparseBlock(const char* block) {
  for (int i = 0; i < 21; i++) {
    int64_t offset, length;
    if (!block[i * 24]) break;
    if (!ParseNumber(block + i * 24, 12, &offset) || !ParseNumber(block + i * 24 + 12, 12, &length))
      Fail("bad sparse map");
    segments_.emplace_back(offset, length);
  }
  if (segments_.size() > 1000000) Fail("sparse map is too large");
  if (block[504]) return;
  entry_.type = '0';
  StartData();
}

// Decimal lines: how many segments, then offset and length of each. False when more is needed.
bool TarReader::ParseSparseMap() {
  std::vector<uint64_t> numbers;
  size_t at = 0;
  for (;;) {
    if (!numbers.empty() && numbers.size() == 1 + 2 * numbers[0]) break;
    size_t end = meta_.find('\n', at);
    if (end == std::string::npos) return false;
    uint64_t number;
    if (!ParseDecimal(meta_.substr(at, end - at), &number)) Fail("bad sparse map");
    if (numbers.empty() && number > 1000000) Fail("sparse map is too large");
    numbers.push_back(number);
    at = end + 1;
  }
  for (size_t i = 1; i < numbers.size(); i += 2) segments_.emplace_back(numbers[i], numbers[i + 1]);
  return true;
}

void TarReader::StartData() {
  if (sparse_) {
    uint64_t stored = 0, end = 0;
    for (auto& [offset, length] : segments_) {
      if (offset < end || length > entry_.size || offset > entry_.size - length) Fail("bad sparse map");
      end = offset + length;
      stored += length;
    }
    if (stored != remaining_) Fail("sparse map and size differ");
  }
  segment_ = 0;
  inSegment_ = position_ = 0;
  Begin(entry_);
  state_ = State::Data;
  if (!remaining_) DataDone();
}

void TarReader::Content(const char* data, size_t size) {
  if (!sparse_) {
    Data(position_, data, size);
    position_ += size;
    return;
  }
  while (size) {
    auto [offset, length] = segments_[segment_];
    size_t part = static_cast<size_t>(std::min<uint64_t>(size, length - inSegment_));
    if (part) Data(offset + inSegment_, data, part);
    inSegment_ += part;
    data += part;
    size -= part;
    if (inSegment_ == length) {
      segment_++;
      inSegment_ = 0;
    }
  }
}

void TarReader::DataDone() {
  End();
  Pad();
}

void TarReader::Pad() { state_ = padding_ ? State::Padding : State::Header; }

}  // namespace keelson
