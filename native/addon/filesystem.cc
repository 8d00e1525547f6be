// File system calls that Node lacks: mount, umount2, flock, extended attributes.
#include <sys/file.h>
#include <sys/mount.h>
#include <sys/xattr.h>

#include <map>
#include <memory>
#include <vector>

#include "addon.h"

namespace keelson {
namespace {

// mount(source, target, type, flags, data): Promise<void>
Napi::Value Mount(const Napi::CallbackInfo& info) {
  std::string source = info[0].As<Napi::String>(), target = info[1].As<Napi::String>(),
              type = info[2].As<Napi::String>(), data = info[4].As<Napi::String>();
  unsigned long flags = info[3].As<Napi::Number>().Int64Value();
  return Promised(info.Env(), [=] {
    if (mount(source.c_str(), target.c_str(), type.c_str(), flags, data.empty() ? nullptr : data.c_str()) < 0)
      throw SysError{errno, "mount " + target};
  });
}

// umount(target, flags): Promise<void>
Napi::Value Umount(const Napi::CallbackInfo& info) {
  std::string target = info[0].As<Napi::String>();
  int flags = info[1].As<Napi::Number>().Int32Value();
  return Promised(info.Env(), [=] {
    if (umount2(target.c_str(), flags) < 0) throw SysError{errno, "umount " + target};
  });
}

// flock(fd, wait): Promise<void>: exclusive; EAGAIN when another holds it and `wait` is false.
Napi::Value Flock(const Napi::CallbackInfo& info) {
  int fd = info[0].As<Napi::Number>().Int32Value();
  int operation = LOCK_EX | (info[1].ToBoolean() ? 0 : LOCK_NB);
  return Promised(info.Env(), [=] {
    while (flock(fd, operation) < 0)
      if (errno != EINTR) throw SysError{errno, "flock"};
  });
}

using Attributes = std::map<std::string, std::string>;

Attributes ReadAttributes(const std::string& path) {
  Attributes found;
  std::vector<char> names(64 << 10), value(64 << 10);
  ssize_t size = llistxattr(path.c_str(), names.data(), names.size());
  if (size < 0 && errno == ENOTSUP) return found;
  if (size < 0) throw SysError{errno, "llistxattr " + path};
  for (ssize_t at = 0; at < size;) {
    std::string name = names.data() + at;
    at += static_cast<ssize_t>(name.size()) + 1;
    ssize_t length = lgetxattr(path.c_str(), name.c_str(), value.data(), value.size());
    if (length >= 0) found[name] = std::string(value.data(), static_cast<size_t>(length));
  }
  return found;
}

// xattrs(path): Promise<Record<string, Buffer>>: of the path itself, not of what it links to.
Napi::Value Xattrs(const Napi::CallbackInfo& info) {
  std::string path = info[0].As<Napi::String>();
  auto found = std::make_shared<Attributes>();
  return Promised(
      info.Env(), [=] { *found = ReadAttributes(path); },
      [found](Napi::Env env) -> Napi::Value {
        Napi::Object result = Napi::Object::New(env);
        for (auto& [name, value] : *found)
          result.Set(name, Napi::Buffer<char>::Copy(env, value.data(), value.size()));
        return result;
      });
}

}  // namespace

void RegisterFilesystem(Napi::Env env, Napi::Object exports) {
  exports.Set("mount", Napi::Function::New(env, Mount));
  exports.Set("umount", Napi::Function::New(env, Umount));
  exports.Set("flock", Napi::Function::New(env, Flock));
  exports.Set("xattrs", Napi::Function::New(env, Xattrs));
}

}  // namespace keelson
