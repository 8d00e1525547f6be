// A push parser for tar streams: ustar, GNU and PAX, with sparse files and binary extended attributes.
#pragma once
#include <cstdint>
#include <map>
#include <string>
#include <utility>
#include <vector>

namespace keelson {

struct TarEntry {
  char type = '0';
  std::string name, link;
  uint32_t mode = 0, uid = 0, gid = 0, major = 0, minor = 0;
  // Of the content as it is in the end: for sparse files with the holes.
  uint64_t size = 0;
  int64_t seconds = 0;
  long nanoseconds = 0;
  std::map<std::string, std::string> xattrs;
};

// Throws SysError{EBADMSG} for what is not a tar stream.
class TarReader {
 public:
  virtual ~TarReader() = default;
  void Write(const char* data, size_t size);
  // At the stream's end; throws when it came too early.
  void Finish();

 protected:
  virtual void Begin(const TarEntry& entry) = 0;
  virtual void Data(uint64_t offset, const char* data, size_t size) = 0;
  virtual void End() = 0;

 private:
  enum class State { Header, Meta, SparseBlock, SparseMap, Data, Padding, Ended };
  using Segments = std::vector<std::pair<uint64_t, uint64_t>>;

  void Header(const char* block);
  void MetaDone();
  void Pax();
  void ApplyPax();
  void SparseBlock(const char* block);
  bool ParseSparseMap();
  void StartData();
  void Content(const char* data, size_t size);
  void DataDone();
  void Pad();
  [[noreturn]] void Fail(const std::string& why);

  State state_ = State::Header;
  std::string block_;
  std::string meta_;
  char metaType_ = 0;
  uint64_t remaining_ = 0, padding_ = 0, position_ = 0;
  unsigned zeroBlocks_ = 0;
  TarEntry entry_;
  std::string longName_, longLink_;
  std::vector<std::pair<std::string, std::string>> pax_;
  bool sparse_ = false, mapInData_ = false;
  Segments segments_;
  size_t segment_ = 0;
  uint64_t inSegment_ = 0;
};

}  // namespace keelson
