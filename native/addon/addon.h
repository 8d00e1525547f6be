// What the addon's files share: registration functions and the promise worker.
#pragma once
#include <napi.h>

#include <cerrno>
#include <cstring>
#include <functional>
#include <string>

namespace keelson {

// A failed system call, turned into a JavaScript Error with `code` (ENOENT …) and `syscall`.
struct SysError {
  int number;
  std::string call;
};

// Runs `work` on a libuv worker thread and settles a promise on the main thread:
// `work` may throw SysError; `result` makes the value.
Napi::Value Promised(Napi::Env env, std::function<void()> work,
                     std::function<Napi::Value(Napi::Env)> result = nullptr);

void RegisterFilesystem(Napi::Env env, Napi::Object exports);
void RegisterIdmap(Napi::Env env, Napi::Object exports);
void RegisterNetlink(Napi::Env env, Napi::Object exports);
void RegisterNetfilter(Napi::Env env, Napi::Object exports);
void RegisterProcess(Napi::Env env, Napi::Object exports);
void RegisterNamespace(Napi::Env env, Napi::Object exports);
void RegisterLayer(Napi::Env env, Napi::Object exports);
void RegisterAnnounce(Napi::Env env, Napi::Object exports);

}  // namespace keelson
