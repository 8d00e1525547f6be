// Network namespaces: made at a path that keeps them, and connections made inside of one.
#include <netinet/in.h>
#include <poll.h>
#include <sys/mount.h>
#include <sys/statfs.h>
#include <sys/syscall.h>

#include <memory>

#include "addon.h"
#include "netlink-socket.h"

namespace keelson {
namespace {

constexpr long kNamespaceFs = 0x6e736673;  // NSFS_MAGIC

bool IsNamespace(const std::string& path) {
  struct statfs about;
  return statfs(path.c_str(), &about) == 0 && about.f_type == kNamespaceFs;
}

// A thread of its own leaves its namespace for a new one, and the file is bound to that.
void CreateNamespace(const std::string& path) {
  if (IsNamespace(path)) return;
  OwnedFd file;
  file.value = open(path.c_str(), O_RDONLY | O_CREAT | O_CLOEXEC, 0600);
  if (file.value < 0) throw SysError{errno, "open " + path};
  int error = 0;
  std::thread([&] {
    std::string own = "/proc/self/task/" + std::to_string(syscall(SYS_gettid)) + "/ns/net";
    if (unshare(CLONE_NEWNET) < 0 || mount(own.c_str(), path.c_str(), "", MS_BIND, nullptr) < 0) error = errno;
  }).join();
  if (error) throw SysError{error, "make network namespace " + path};
}

// createNetworkNamespace(path): Promise<void>; one that is there stays.
Napi::Value CreateNetworkNamespace(const Napi::CallbackInfo& info) {
  std::string path = info[0].As<Napi::String>();
  return Promised(info.Env(), [=] { CreateNamespace(path); });
}

int Connected(const Prefix& to, int port, int timeout) {
  OwnedFd fd;
  fd.value = socket(to.family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  if (fd.value < 0) throw SysError{errno, "socket"};
  sockaddr_in v4 = {};
  sockaddr_in6 v6 = {};
  v4.sin_family = AF_INET;
  v6.sin6_family = AF_INET6;
  v4.sin_port = v6.sin6_port = htons(port);
  memcpy(&v4.sin_addr, to.bytes, 4);
  memcpy(&v6.sin6_addr, to.bytes, 16);
  bool first = to.family == AF_INET;
  auto* address = first ? reinterpret_cast<sockaddr*>(&v4) : reinterpret_cast<sockaddr*>(&v6);
  if (connect(fd.value, address, first ? sizeof v4 : sizeof v6) < 0) {
    if (errno != EINPROGRESS) throw SysError{errno, "connect"};
    pollfd ready{fd.value, POLLOUT, 0};
    int n;
    do n = poll(&ready, 1, timeout);
    while (n < 0 && errno == EINTR);
    int error = n == 0 ? ETIMEDOUT : 0;
    socklen_t size = sizeof error;
    if (n > 0) getsockopt(fd.value, SOL_SOCKET, SO_ERROR, &error, &size);
    if (error) throw SysError{error, "connect"};
  }
  int result = fd.value;
  fd.value = -1;
  return result;
}

// connectInNamespace(netns, address, port, timeoutMs): Promise<fd>
Napi::Value ConnectInNamespace(const Napi::CallbackInfo& info) {
  std::string netns = info[0].As<Napi::String>(), address = info[1].As<Napi::String>();
  int port = info[2].As<Napi::Number>(), timeout = info[3].As<Napi::Number>();
  auto fd = std::make_shared<int>(-1);
  return Promised(
      info.Env(), [=] { InNamespace(netns, [&] { *fd = Connected(ParsePrefix(address), port, timeout); }); },
      [=](Napi::Env env) -> Napi::Value { return Napi::Number::New(env, *fd); });
}

}  // namespace

void RegisterNamespace(Napi::Env env, Napi::Object exports) {
  exports.Set("createNetworkNamespace", Napi::Function::New(env, CreateNetworkNamespace));
  exports.Set("connectInNamespace", Napi::Function::New(env, ConnectInNamespace));
}

}  // namespace keelson
