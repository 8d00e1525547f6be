// The workload, and the little HTTP client that it asks a queue with.
#include "keygen.h"

#include <arpa/inet.h>
#include <netdb.h>
#include <netinet/in.h>
#include <resolv.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <thread>

#include "server.h"

namespace demo {
namespace {

enum class Work { Some, None, Unreachable };

// http://host:port/path
bool SplitUrl(const std::string& url, std::string& host, std::string& port, std::string& path) {
  if (url.rfind("http://", 0) != 0) return false;
  size_t slash = std::min(url.find('/', 7), url.size());
  host = url.substr(7, slash - 7);
  path = url.substr(slash);
  size_t colon = host.rfind(':');
  port = colon == std::string::npos ? "80" : host.substr(colon + 1);
  host = host.substr(0, colon);
  return !host.empty();
}

int Connect(const std::string& host, const std::string& port) {
  addrinfo hints{}, *list = nullptr;
  hints.ai_socktype = SOCK_STREAM;
  if (getaddrinfo(host.c_str(), port.c_str(), &hints, &list) != 0) return -1;
  int fd = -1;
  for (addrinfo* at = list; at && fd < 0; at = at->ai_next) {
    fd = socket(at->ai_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    timeval limit{10, 0};
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
    setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof limit);
    if (connect(fd, at->ai_addr, at->ai_addrlen) < 0) {
      close(fd);
      fd = -1;
    }
  }
  freeaddrinfo(list);
  return fd;
}

Work TakeMessage(const Keygen& keygen) {
  std::string host, port, path;
  if (!SplitUrl(keygen.server, host, port, path)) return Work::Unreachable;
  int fd = Connect(host, port);
  if (fd < 0) return Work::Unreachable;
  std::string request = "POST " + path + "/queues/" + keygen.queue + "/dequeue HTTP/1.1\r\nHost: " + host +
                        "\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";
  int status = 0;
  char answer[64] = "";
  if (send(fd, request.data(), request.size(), MSG_NOSIGNAL) == static_cast<ssize_t>(request.size()) &&
      recv(fd, answer, sizeof answer - 1, MSG_WAITALL) > 12)
    status = atoi(answer + 9);
  close(fd);
  return status == 200 ? Work::Some : status == 204 ? Work::None : Work::Unreachable;
}

// Some processor time for each key.
std::string MakeKey() {
  unsigned char bytes[32];
  if (getrandom(bytes, sizeof bytes, 0) < 0) memset(bytes, 0, sizeof bytes);
  auto end = std::chrono::steady_clock::now() + std::chrono::milliseconds(100);
  while (std::chrono::steady_clock::now() < end)
    for (int i = 0; i < 10000; i++) bytes[i % 32] = bytes[i % 32] * 31 + bytes[(i + 7) % 32];
  char text[65];
  for (int i = 0; i < 32; i++) snprintf(text + 2 * i, 3, "%02x", bytes[i]);
  return text;
}

void Run(Keygen keygen) {
  time_t end = keygen.duration ? time(nullptr) + keygen.duration : 0;
  int failures = 0;
  Log("keygen: workload starting");
  for (long n = 1; !keygen.count || n <= keygen.count; n++) {
    if (end && time(nullptr) >= end) break;
    if (!keygen.server.empty()) {
      Work work = TakeMessage(keygen);
      if (work == Work::None) break;
      if (work == Work::Unreachable) {
        Log("keygen: no answer from " + keygen.server);
        if (++failures == 10) break;
        std::this_thread::sleep_for(std::chrono::seconds(1));
        n--;
        continue;
      }
      failures = 0;
    }
    std::string of = keygen.count ? "/" + std::to_string(keygen.count) : "";
    Log("keygen: item " + std::to_string(n) + of + " done: " + MakeKey());
  }
  Log("keygen: workload complete");
  if (keygen.exitOnComplete) _exit(failures == 10 ? 1 : keygen.exitCode);
}

}  // namespace

void StartKeygen(const Keygen& keygen) { std::thread(Run, keygen).detach(); }

std::string Resolve(const std::string& name, bool& found) {
  // The server waits meanwhile: not for long.
  res_init();
  _res.retrans = 1;
  _res.retry = 1;
  addrinfo hints{}, *list = nullptr;
  hints.ai_socktype = SOCK_STREAM;
  int error = getaddrinfo(name.c_str(), nullptr, &hints, &list);
  found = error == 0;
  if (error) return gai_strerror(error);
  std::string out;
  for (addrinfo* at = list; at; at = at->ai_next) {
    char text[INET6_ADDRSTRLEN];
    if (getnameinfo(at->ai_addr, at->ai_addrlen, text, sizeof text, nullptr, 0, NI_NUMERICHOST) == 0)
      out += (out.empty() ? "" : ", ") + std::string(text);
  }
  freeaddrinfo(list);
  return out;
}

}  // namespace demo
