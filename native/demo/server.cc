// The event loop and its connections.
#include "server.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/sendfile.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <ctime>
#include <unordered_map>

namespace demo {
namespace {

constexpr int kIdleSeconds = 300, kDrainSeconds = 10;

struct Connection {
  int fd;
  std::string remote, in, out;
  size_t sent = 0;
  int file = -1;
  off_t fileAt = 0, fileEnd = 0;
  bool closing = false, continued = false, served = false;
  int exitCode = -1;
  time_t lastUsed = 0;
  bool writing() const { return sent < out.size() || file >= 0; }
};

sigset_t EndSignals() {
  sigset_t signals;
  sigemptyset(&signals);
  sigaddset(&signals, SIGTERM);
  sigaddset(&signals, SIGINT);
  return signals;
}

time_t Now() {
  timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return now.tv_sec;
}

std::string RemoteName(const sockaddr_storage& from) {
  char text[INET6_ADDRSTRLEN] = "";
  if (from.ss_family == AF_INET) {
    auto* v4 = reinterpret_cast<const sockaddr_in*>(&from);
    inet_ntop(AF_INET, &v4->sin_addr, text, sizeof text);
    return std::string(text) + ":" + std::to_string(ntohs(v4->sin_port));
  }
  auto* v6 = reinterpret_cast<const sockaddr_in6*>(&from);
  inet_ntop(AF_INET6, &v6->sin6_addr, text, sizeof text);
  std::string port = std::to_string(ntohs(v6->sin6_port));
  if (IN6_IS_ADDR_V4MAPPED(&v6->sin6_addr)) return std::string(text + strlen("::ffff:")) + ":" + port;
  return "[" + std::string(text) + "]:" + port;
}

// IPv6 with IPv4 mapped into it when no host is given, IPv4 where there is no IPv6.
int Listen(const std::string& address) {
  size_t colon = address.rfind(':');
  std::string host = colon == std::string::npos ? "" : address.substr(0, colon);
  int port = atoi(address.c_str() + (colon == std::string::npos ? 0 : colon + 1));
  sockaddr_in6 v6{};
  v6.sin6_family = AF_INET6;
  v6.sin6_port = htons(port);
  sockaddr_in v4{};
  v4.sin_family = AF_INET;
  v4.sin_port = htons(port);
  bool isV4 = !host.empty() && inet_pton(AF_INET, host.c_str(), &v4.sin_addr) == 1;
  if (host.size() > 2 && host[0] == '[')
    inet_pton(AF_INET6, host.substr(1, host.size() - 2).c_str(), &v6.sin6_addr);
  int one = 1, none = 0;
  for (int family : {AF_INET6, AF_INET}) {
    if (family == AF_INET6 && isV4) continue;
    int fd = socket(family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0) continue;
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
    if (family == AF_INET6) setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &none, sizeof none);
    auto* to = family == AF_INET6 ? reinterpret_cast<sockaddr*>(&v6) : reinterpret_cast<sockaddr*>(&v4);
    socklen_t size = family == AF_INET6 ? sizeof v6 : sizeof v4;
    if (bind(fd, to, size) == 0 && listen(fd, 1024) == 0) return fd;
    int error = errno;
    close(fd);
    errno = error;
  }
  return -1;
}

class Server {
 public:
  Server(int listener, Handler handler) : listener_(listener), handler_(handler) {
    epoll_ = epoll_create1(EPOLL_CLOEXEC);
    sigset_t signals = EndSignals();
    signals_ = signalfd(-1, &signals, SFD_NONBLOCK | SFD_CLOEXEC);
    Watch(listener_, EPOLLIN, EPOLL_CTL_ADD);
    Watch(signals_, EPOLLIN, EPOLL_CTL_ADD);
  }

  int Run() {
    for (;;) {
      epoll_event events[64];
      int count = epoll_wait(epoll_, events, 64, connections_.empty() ? -1 : draining_ ? 200 : 10000);
      for (int i = 0; i < count; i++) {
        int fd = events[i].data.fd;
        if (fd == listener_) Accept();
        else if (fd == signals_) Drain();
        else OnConnection(fd, events[i].events);
      }
      Sweep();
      if (draining_ && connections_.empty()) return 0;
    }
  }

 private:
  void Watch(int fd, uint32_t what, int operation) {
    epoll_event event{};
    event.events = what;
    event.data.fd = fd;
    epoll_ctl(epoll_, operation, fd, &event);
  }

  void Accept() {
    for (;;) {
      sockaddr_storage from{};
      socklen_t size = sizeof from;
      int fd = accept4(listener_, reinterpret_cast<sockaddr*>(&from), &size, SOCK_NONBLOCK | SOCK_CLOEXEC);
      if (fd < 0) {
        if ((errno == EMFILE || errno == ENFILE) && CloseOldest()) continue;
        return;
      }
      int one = 1;
      setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
      Connection& connection = connections_[fd];
      connection.fd = fd;
      connection.remote = RemoteName(from);
      connection.lastUsed = Now();
      Watch(fd, EPOLLIN, EPOLL_CTL_ADD);
    }
  }

  bool CloseOldest() {
    int oldest = -1;
    for (auto& [fd, connection] : connections_)
      if (!connection.writing() && (oldest < 0 || connection.lastUsed < connections_[oldest].lastUsed)) oldest = fd;
    if (oldest < 0) return false;
    Close(oldest);
    return true;
  }

  void Close(int fd) {
    auto found = connections_.find(fd);
    if (found == connections_.end()) return;
    if (found->second.file >= 0) close(found->second.file);
    close(fd);
    connections_.erase(found);
  }

  void OnConnection(int fd, uint32_t events) {
    auto found = connections_.find(fd);
    if (found == connections_.end()) return;
    Connection& connection = found->second;
    connection.lastUsed = Now();
    if (events & (EPOLLERR | EPOLLHUP)) return Close(fd);
    if ((events & EPOLLIN) && !Read(connection)) return Close(fd);
    Answer(connection);
  }

  // False at the end of the stream.
  bool Read(Connection& connection) {
    char buffer[16 << 10];
    ssize_t size = recv(connection.fd, buffer, sizeof buffer, 0);
    if (size < 0) return errno == EAGAIN || errno == EINTR;
    if (size == 0) return false;
    if (!connection.closing) connection.in.append(buffer, size);
    return true;
  }

  // Answers request after request, as long as the answers can be written at once.
  void Answer(Connection& connection) {
    for (;;) {
      if (!Flush(connection)) return Close(connection.fd);
      if (connection.writing()) return Watch(connection.fd, EPOLLOUT, EPOLL_CTL_MOD);
      if (connection.exitCode >= 0) _exit(connection.exitCode);
      if (connection.closing) return Close(connection.fd);
      Request request;
      int status = 400;
      bool wantsContinue = false;
      Parsed parsed = ParseRequest(connection.in, request, status, wantsContinue);
      if (parsed == Parsed::NeedMore) {
        if (wantsContinue && !connection.continued) {
          connection.continued = true;
          connection.out += "HTTP/1.1 100 Continue\r\n\r\n";
          continue;
        }
        return Watch(connection.fd, EPOLLIN, EPOLL_CTL_MOD);
      }
      connection.continued = false;
      request.remote = connection.remote;
      Response response;
      if (parsed == Parsed::Done) {
        response = handler_(request);
      } else {
        response.status = status;
        response.body = std::string(StatusText(status)) + "\n";
        request.keepAlive = false;
        request.method = "-";
        request.target = "-";
      }
      Begin(connection, request, response);
    }
  }

  void Begin(Connection& connection, const Request& request, Response& response) {
    connection.served = true;
    bool keep = request.keepAlive && !draining_;
    long length = response.file >= 0 ? response.fileSize : static_cast<long>(response.body.size());
    char date[64];
    time_t now = time(nullptr);
    tm utc;
    gmtime_r(&now, &utc);
    strftime(date, sizeof date, "%a, %d %b %Y %H:%M:%S GMT", &utc);
    connection.out = "HTTP/1.1 " + std::to_string(response.status) + " " + StatusText(response.status) +
                     "\r\nDate: " + date + "\r\nContent-Type: " + response.type +
                     "\r\nContent-Length: " + std::to_string(length) + "\r\nCache-Control: no-store\r\n" +
                     (response.location.empty() ? "" : "Location: " + response.location + "\r\n") +
                     (keep ? "Connection: keep-alive\r\n\r\n" : "Connection: close\r\n\r\n");
    connection.sent = 0;
    connection.closing = !keep;
    connection.exitCode = response.exitCode;
    if (request.method == "HEAD") {
      if (response.file >= 0) close(response.file);
    } else {
      connection.out += response.body;
      connection.file = response.file;
      connection.fileAt = 0;
      connection.fileEnd = response.fileSize;
    }
    Log(connection.remote + " " + request.method + " " + request.target.substr(0, 512) + " " +
        std::to_string(response.status) + " " + std::to_string(length));
  }

  // False when the connection is broken.
  bool Flush(Connection& connection) {
    while (connection.sent < connection.out.size()) {
      ssize_t size = send(connection.fd, connection.out.data() + connection.sent,
                          connection.out.size() - connection.sent, MSG_NOSIGNAL);
      if (size < 0) return errno == EAGAIN || errno == EINTR;
      connection.sent += size;
    }
    connection.out.clear();
    connection.sent = 0;
    while (connection.file >= 0 && connection.fileAt < connection.fileEnd) {
      ssize_t size = sendfile(connection.fd, connection.file, &connection.fileAt,
                              connection.fileEnd - connection.fileAt);
      if (size < 0) return errno == EAGAIN || errno == EINTR;
      if (size == 0) return false;
    }
    if (connection.file >= 0) close(connection.file);
    connection.file = -1;
    return true;
  }

  void Drain() {
    signalfd_siginfo info;
    while (read(signals_, &info, sizeof info) > 0) {
    }
    if (draining_) return;
    draining_ = Now();
    Log("stopping");
    Accept();
    epoll_ctl(epoll_, EPOLL_CTL_DEL, listener_, nullptr);
    close(listener_);
  }

  void Sweep() {
    time_t now = Now();
    if (!draining_ && now - swept_ < 10) return;
    swept_ = now;
    for (auto at = connections_.begin(); at != connections_.end();) {
      Connection& connection = (at++)->second;
      // Who has just come gets an answer to the first request.
      bool expected = !connection.served && now - connection.lastUsed <= 1;
      bool idle = !connection.writing() && connection.in.empty() && !expected;
      bool late = draining_ ? idle || now - draining_ > kDrainSeconds : now - connection.lastUsed > kIdleSeconds;
      if (late) Close(connection.fd);
    }
  }

  int listener_, epoll_, signals_;
  Handler handler_;
  time_t draining_ = 0, swept_ = 0;
  std::unordered_map<int, Connection> connections_;
};

}  // namespace

void BlockSignals() {
  sigset_t signals = EndSignals();
  sigprocmask(SIG_BLOCK, &signals, nullptr);
}

void Log(const std::string& line) {
  timespec now;
  clock_gettime(CLOCK_REALTIME, &now);
  tm utc;
  gmtime_r(&now.tv_sec, &utc);
  char stamp[40];
  size_t size = strftime(stamp, sizeof stamp, "%Y-%m-%dT%H:%M:%S", &utc);
  snprintf(stamp + size, sizeof stamp - size, ".%03ldZ ", now.tv_nsec / 1000000);
  std::string text = stamp + line + "\n";
  for (char& c : text)
    if (static_cast<unsigned char>(c) < 0x20 && c != '\n') c = '?';
  if (write(STDOUT_FILENO, text.data(), text.size()) < 0) return;
}

int Serve(const std::string& address, Handler handler) {
  int listener = Listen(address);
  if (listener < 0) {
    Log("cannot listen on " + address + ": " + strerror(errno));
    return 1;
  }
  Log("listening on " + address);
  return Server(listener, handler).Run();
}

}  // namespace demo
