// File system calls that Node lacks: mount, umount2, flock.
#include <sys/file.h>
#include <sys/mount.h>

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

}  // namespace

void RegisterFilesystem(Napi::Env env, Napi::Object exports) {
  exports.Set("mount", Napi::Function::New(env, Mount));
  exports.Set("umount", Napi::Function::New(env, Umount));
  exports.Set("flock", Napi::Function::New(env, Flock));
}

}  // namespace keelson
