// Unpacks an image layer's tar stream into a folder, as overlayfs wants it: whiteouts become devices,
// opaque folders an attribute. No path leaves the folder, whatever symlinks the layer has.
#include <dirent.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <algorithm>
#include <memory>

#include "addon.h"
#include "tar.h"

namespace keelson {
namespace {

class Fd {
 public:
  explicit Fd(int value = -1) : value_(value) {}
  Fd(Fd&& other) noexcept : value_(std::exchange(other.value_, -1)) {}
  Fd& operator=(Fd&& other) noexcept {
    std::swap(value_, other.value_);
    return *this;
  }
  ~Fd() {
    if (value_ >= 0) close(value_);
  }
  int get() const { return value_; }
  bool ok() const { return value_ >= 0; }

 private:
  int value_;
};

Fd OpenInRoot(int root, const std::string& path, int flags, uint64_t resolve = RESOLVE_IN_ROOT) {
  open_how how{};
  how.flags = flags | O_CLOEXEC;
  how.resolve = resolve;
  return Fd(static_cast<int>(syscall(SYS_openat2, root, path.empty() ? "." : path.c_str(), &how, sizeof how)));
}

// Lexically, so that ".." never climbs above the root.
std::string Clean(const std::string& path) {
  std::vector<std::string> parts;
  for (size_t at = 0; at <= path.size();) {
    size_t slash = std::min(path.find('/', at), path.size());
    std::string part = path.substr(at, slash - at);
    if (part == "..") {
      if (!parts.empty()) parts.pop_back();
    } else if (!part.empty() && part != ".") {
      parts.push_back(part);
    }
    at = slash + 1;
  }
  std::string clean;
  for (auto& part : parts) clean += (clean.empty() ? "" : "/") + part;
  return clean;
}

std::pair<std::string, std::string> Split(const std::string& path) {
  size_t slash = path.rfind('/');
  if (slash == std::string::npos) return {"", path};
  return {path.substr(0, slash), path.substr(slash + 1)};
}

bool IsWhiteout(const struct stat& info) { return S_ISCHR(info.st_mode) && info.st_rdev == 0; }

void RemoveTree(int dir, const std::string& name) {
  if (unlinkat(dir, name.c_str(), 0) == 0 || errno == ENOENT) return;
  if (errno != EISDIR && errno != EPERM) throw SysError{errno, "unlink " + name};
  int fd = openat(dir, name.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
  DIR* list = fd < 0 ? nullptr : fdopendir(fd);
  if (!list) throw SysError{errno, "open " + name};
  std::unique_ptr<DIR, int (*)(DIR*)> closer(list, closedir);
  while (dirent* entry = readdir(list)) {
    std::string child = entry->d_name;
    if (child != "." && child != "..") RemoveTree(fd, child);
  }
  if (unlinkat(dir, name.c_str(), AT_REMOVEDIR) < 0) throw SysError{errno, "rmdir " + name};
}

class Layer : public TarReader {
 public:
  Layer(const std::string& root, const std::vector<std::string>& parents) {
    root_ = Fd(open(root.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    if (!root_.ok()) throw SysError{errno, "open " + root};
    for (auto& parent : parents) {
      parents_.emplace_back(open(parent.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
      if (!parents_.back().ok()) throw SysError{errno, "open " + parent};
    }
  }

  uint64_t size() const { return size_; }
  uint64_t entries() const { return entries_; }

  // Times of folders last, since their content changes them.
  void Close() {
    Finish();
    for (auto at = folders_.rbegin(); at != folders_.rend(); ++at) {
      Fd fd = OpenInRoot(root_.get(), at->first, O_RDONLY | O_DIRECTORY, RESOLVE_IN_ROOT | RESOLVE_NO_SYMLINKS);
      if (fd.ok()) futimens(fd.get(), at->second.times);
    }
  }

 protected:
  void Begin(const TarEntry& entry) override {
    entry_ = entry;
    file_ = Fd();
    skip_ = false;
    entries_++;
    std::string path = Clean(entry.name);
    if (path.empty()) {
      if (entry.type != '5') Bad("is the layer's root, but no folder");
      Attributes(root_.get());
      folders_.emplace_back("", Times(entry));
      skip_ = true;
      return;
    }
    auto [parent, name] = Split(path);
    int dir = Parent(parent);
    if (name.rfind(".wh.", 0) == 0) {
      Whiteout(dir, name);
      skip_ = true;
      return;
    }
    Create(dir, name, path);
  }

  void Data(uint64_t offset, const char* data, size_t size) override {
    while (size && file_.ok()) {
      ssize_t written = pwrite(file_.get(), data, size, static_cast<off_t>(offset));
      if (written < 0 && errno == EINTR) continue;
      if (written < 0) throw SysError{errno, "write " + entry_.name};
      data += written;
      offset += written;
      size -= written;
    }
  }

  void End() override {
    if (skip_ || !file_.ok()) return;
    if (ftruncate(file_.get(), static_cast<off_t>(entry_.size)) < 0) throw SysError{errno, "truncate " + entry_.name};
    size_ += entry_.size;
    Attributes(file_.get());
    futimens(file_.get(), Times(entry_).times);
    file_ = Fd();
  }

 private:
  struct FileTimes {
    timespec times[2];
  };
  static FileTimes Times(const TarEntry& entry) {
    timespec time{static_cast<time_t>(entry.seconds), entry.nanoseconds};
    return {{time, time}};
  }

  [[noreturn]] void Bad(const std::string& why) { throw SysError{EBADMSG, "layer entry " + entry_.name + " " + why}; }
  [[noreturn]] void Failed(const char* call) { throw SysError{errno, std::string(call) + " " + entry_.name}; }

  // The folder an entry goes to, made when the layer does not tell it.
  int Parent(const std::string& path) {
    if (path.empty()) return root_.get();
    if (cached_.ok() && path == cachedPath_) return cached_.get();
    Fd fd = OpenInRoot(root_.get(), path, O_PATH | O_DIRECTORY);
    if (!fd.ok() && errno == ENOENT) {
      auto [above, name] = Split(path);
      int dir = Parent(above);
      if (mkdirat(dir, name.c_str(), 0755) < 0) Failed("mkdir for");
      Inherit(dir, name, path);
      fd = OpenInRoot(root_.get(), path, O_PATH | O_DIRECTORY);
    }
    if (!fd.ok() && (errno == ENOTDIR || errno == ELOOP)) Bad("is below something that is no folder");
    if (!fd.ok()) Failed("open folder of");
    cached_ = std::move(fd);
    cachedPath_ = path;
    return cached_.get();
  }

  // A folder that only lower layers describe keeps their owner and mode.
  void Inherit(int dir, const std::string& name, const std::string& path) {
    for (auto parent = parents_.rbegin(); parent != parents_.rend(); ++parent) {
      Fd fd = OpenInRoot(parent->get(), path, O_PATH | O_DIRECTORY);
      struct stat info;
      if (!fd.ok() || fstat(fd.get(), &info) < 0) continue;
      Fd made(openat(dir, name.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
      if (!made.ok()) Failed("open folder of");
      if (geteuid() == 0 && fchown(made.get(), info.st_uid, info.st_gid) < 0) Failed("chown folder of");
      if (fchmod(made.get(), info.st_mode & 07777) < 0) Failed("chmod folder of");
      return;
    }
  }

  void Whiteout(int dir, const std::string& name) {
    if (name == ".wh..wh..opq") return MarkOpaque(dir, ".");
    if (name.rfind(".wh..wh.", 0) == 0) return;
    std::string hidden = name.substr(4);
    if (hidden.empty() || hidden == "." || hidden == "..") Bad("hides nothing");
    struct stat info;
    if (fstatat(dir, hidden.c_str(), &info, AT_SYMLINK_NOFOLLOW) == 0) {
      if (S_ISDIR(info.st_mode)) MarkOpaque(dir, hidden);
      return;
    }
    if (mknodat(dir, hidden.c_str(), S_IFCHR, makedev(0, 0)) < 0) Failed("mknod for");
  }

  void MarkOpaque(int dir, const std::string& name) {
    Fd fd(openat(dir, name.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
    if (!fd.ok()) Failed("open");
    if (fsetxattr(fd.get(), "trusted.overlay.opaque", "y", 1, 0) < 0) Failed("mark opaque for");
  }

  void Create(int dir, const std::string& name, const std::string& path) {
    struct stat info;
    bool hidden = false;
    if (fstatat(dir, name.c_str(), &info, AT_SYMLINK_NOFOLLOW) == 0) {
      if (S_ISDIR(info.st_mode) && entry_.type == '5') return Folder(dir, name, path, false);
      hidden = IsWhiteout(info);
      RemoveTree(dir, name);
      if (S_ISDIR(info.st_mode) || S_ISLNK(info.st_mode)) {
        cached_ = Fd();
        dir = Parent(Split(path).first);
      }
    }
    switch (entry_.type) {
      case '0':
        file_ = Fd(openat(dir, name.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600));
        if (!file_.ok()) Failed("create");
        return;
      case '1':
        return HardLink(dir, name);
      case '2':
        if (symlinkat(entry_.link.c_str(), dir, name.c_str()) < 0) Failed("symlink");
        return OwnerAndTimes(dir, name);
      case '3':
      case '4':
      case '6':
        return Special(dir, name);
      case '5':
        if (mkdirat(dir, name.c_str(), 0700) < 0) Failed("mkdir");
        return Folder(dir, name, path, hidden);
      default:
        Bad(std::string("has the unknown type ") + entry_.type);
    }
  }

  void Folder(int dir, const std::string& name, const std::string& path, bool opaque) {
    Fd fd(openat(dir, name.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
    if (!fd.ok()) Failed("open");
    Attributes(fd.get());
    if (opaque) MarkOpaque(dir, name);
    folders_.emplace_back(path, Times(entry_));
  }

  void HardLink(int dir, const std::string& name) {
    auto [parent, target] = Split(Clean(entry_.link));
    if (target.empty()) Bad("is a hard link to the root");
    Fd from = OpenInRoot(root_.get(), parent, O_PATH | O_DIRECTORY);
    if (!from.ok() || linkat(from.get(), target.c_str(), dir, name.c_str(), 0) < 0)
      Bad("is a hard link to " + entry_.link + ", which the layer lacks");
  }

  void Special(int dir, const std::string& name) {
    mode_t kind = entry_.type == '3' ? S_IFCHR : entry_.type == '4' ? S_IFBLK : S_IFIFO;
    if (mknodat(dir, name.c_str(), kind | 0600, makedev(entry_.major, entry_.minor)) < 0) Failed("mknod");
    OwnerAndTimes(dir, name);
    if (fchmodat(dir, name.c_str(), entry_.mode, 0) < 0) Failed("chmod");
  }

  void OwnerAndTimes(int dir, const std::string& name) {
    if (geteuid() == 0 && fchownat(dir, name.c_str(), entry_.uid, entry_.gid, AT_SYMLINK_NOFOLLOW) < 0) Failed("chown");
    utimensat(dir, name.c_str(), Times(entry_).times, AT_SYMLINK_NOFOLLOW);
  }

  // Owner first: a change of owner clears setuid bits and capabilities.
  void Attributes(int fd) {
    if (geteuid() == 0 && fchown(fd, entry_.uid, entry_.gid) < 0) Failed("chown");
    if (fchmod(fd, entry_.mode) < 0) Failed("chmod");
    for (auto& [name, value] : entry_.xattrs) {
      bool wanted = name == "security.capability" || name.rfind("user.", 0) == 0 ||
                    name.rfind("system.posix_acl_", 0) == 0;
      if (wanted && fsetxattr(fd, name.c_str(), value.data(), value.size(), 0) < 0 && errno != ENOTSUP)
        Failed(("set " + name + " on").c_str());
    }
  }

  Fd root_;
  std::vector<Fd> parents_;
  TarEntry entry_;
  Fd file_;
  bool skip_ = false;
  Fd cached_;
  std::string cachedPath_;
  std::vector<std::pair<std::string, FileTimes>> folders_;
  uint64_t size_ = 0, entries_ = 0;
};

// new LayerUnpacker(folder, parentFolders): write(Buffer): Promise<void>, close(): Promise<{size, entries}>.
class LayerUnpacker : public Napi::ObjectWrap<LayerUnpacker> {
 public:
  explicit LayerUnpacker(const Napi::CallbackInfo& info) : Napi::ObjectWrap<LayerUnpacker>(info) {
    std::vector<std::string> parents;
    Napi::Array list = info[1].As<Napi::Array>();
    for (uint32_t i = 0; i < list.Length(); i++) parents.push_back(list.Get(i).As<Napi::String>());
    try {
      layer_ = std::make_shared<Layer>(info[0].As<Napi::String>(), parents);
    } catch (const SysError& error) {
      throw Napi::Error::New(info.Env(), error.call + ": " + strerror(error.number));
    }
  }

  static Napi::Function Define(Napi::Env env) {
    return DefineClass(env, "LayerUnpacker",
                       {InstanceMethod("write", &LayerUnpacker::Write), InstanceMethod("close", &LayerUnpacker::Close)});
  }

 private:
  Napi::Value Write(const Napi::CallbackInfo& info) {
    auto buffer = info[0].As<Napi::Buffer<char>>();
    auto held = std::make_shared<Napi::ObjectReference>(Napi::Persistent(buffer.As<Napi::Object>()));
    const char* data = buffer.Data();
    size_t size = buffer.Length();
    return Promised(info.Env(), [layer = layer_, held, data, size] { layer->Write(data, size); });
  }

  Napi::Value Close(const Napi::CallbackInfo& info) {
    return Promised(
        info.Env(), [layer = layer_] { layer->Close(); },
        [layer = layer_](Napi::Env env) -> Napi::Value {
          Napi::Object result = Napi::Object::New(env);
          result.Set("size", static_cast<double>(layer->size()));
          result.Set("entries", static_cast<double>(layer->entries()));
          return result;
        });
  }

  std::shared_ptr<Layer> layer_;
};

}  // namespace

void RegisterLayer(Napi::Env env, Napi::Object exports) { exports.Set("LayerUnpacker", LayerUnpacker::Define(env)); }

}  // namespace keelson
