// Processes that outlive this one, started without copying its page tables.
#include <csignal>
#include <fcntl.h>
#include <spawn.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <memory>

#include "addon.h"

namespace keelson {
namespace {

struct Spawned {
  pid_t pid = 0;
  int socket = -1;
};

// posix_spawn shares this process's memory until the command is executed; fork would copy the maps of a large heap.
void Spawn(const std::string& path, const std::string& argument, Spawned* spawned) {
  int pair[2];
  if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) < 0) throw SysError{errno, "socketpair"};
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  for (int fd = 0; fd < 3; fd++) posix_spawn_file_actions_addopen(&actions, fd, "/dev/null", O_RDWR, 0);
  // If it is 3 already, dup2 clears its close-on-exec flag as glibc promises.
  posix_spawn_file_actions_adddup2(&actions, pair[1], 3);
  posix_spawnattr_t attributes;
  posix_spawnattr_init(&attributes);
  posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSID | POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
  sigset_t set;
  sigemptyset(&set);
  posix_spawnattr_setsigmask(&attributes, &set);
  sigfillset(&set);
  posix_spawnattr_setsigdefault(&attributes, &set);
  char* argv[] = {const_cast<char*>(path.c_str()), const_cast<char*>(argument.c_str()), nullptr};
  char* env[] = {nullptr};
  int error = posix_spawn(&spawned->pid, path.c_str(), &actions, &attributes, argv, env);
  posix_spawnattr_destroy(&attributes);
  posix_spawn_file_actions_destroy(&actions);
  close(pair[1]);
  if (error) {
    close(pair[0]);
    throw SysError{error, "spawn " + path};
  }
  spawned->socket = pair[0];
}

// spawnDetached(path, argument): Promise<{pid, socket}>
Napi::Value SpawnDetached(const Napi::CallbackInfo& info) {
  std::string path = info[0].As<Napi::String>(), argument = info[1].As<Napi::String>();
  auto spawned = std::make_shared<Spawned>();
  return Promised(
      info.Env(), [=] { Spawn(path, argument, spawned.get()); },
      [=](Napi::Env env) -> Napi::Value {
        Napi::Object result = Napi::Object::New(env);
        result.Set("pid", spawned->pid);
        result.Set("socket", spawned->socket);
        return result;
      });
}

// reap(pid): Promise<void>
Napi::Value Reap(const Napi::CallbackInfo& info) {
  pid_t pid = info[0].As<Napi::Number>().Int32Value();
  return Promised(info.Env(), [=] {
    while (waitpid(pid, nullptr, 0) < 0 && errno == EINTR) {
    }
  });
}

}  // namespace

void RegisterProcess(Napi::Env env, Napi::Object exports) {
  exports.Set("spawnDetached", Napi::Function::New(env, SpawnDetached));
  exports.Set("reap", Napi::Function::New(env, Reap));
}

}  // namespace keelson
