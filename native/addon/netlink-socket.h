// A netlink socket, the messages that go over it, and a thread in another network namespace.
#pragma once
#include <arpa/inet.h>
#include <fcntl.h>
#include <linux/rtnetlink.h>
#include <sched.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <exception>
#include <functional>
#include <string>
#include <thread>
#include <vector>

#include "addon.h"

namespace keelson {

struct OwnedFd {
  int value = -1;
  ~OwnedFd() {
    if (value >= 0) close(value);
  }
};

// setns changes the calling thread only, so the work gets a thread of its own that ends with it.
inline void InNamespace(const std::string& netns, const std::function<void()>& work) {
  if (netns.empty()) return work();
  std::exception_ptr failure;
  std::thread([&] {
    try {
      OwnedFd ns;
      ns.value = open(netns.c_str(), O_RDONLY | O_CLOEXEC);
      if (ns.value < 0) throw SysError{errno, "open " + netns};
      if (setns(ns.value, CLONE_NEWNET) < 0) throw SysError{errno, "setns " + netns};
      work();
    } catch (...) {
      failure = std::current_exception();
    }
  }).join();
  if (failure) std::rethrow_exception(failure);
}

// One netlink message under construction.
class Message {
 public:
  Message(uint16_t type, uint16_t flags) : bytes_(NLMSG_HDRLEN) {
    header()->nlmsg_type = type;
    header()->nlmsg_flags = NLM_F_REQUEST | flags;
  }
  nlmsghdr* header() { return reinterpret_cast<nlmsghdr*>(bytes_.data()); }
  const std::vector<char>& finish() {
    header()->nlmsg_len = bytes_.size();
    return bytes_;
  }
  template <typename T>
  void Put(const T& body) {
    Append(&body, sizeof body);
  }
  void Attribute(uint16_t type, const void* data, size_t size) {
    rtattr head{static_cast<uint16_t>(RTA_LENGTH(size)), type};
    Append(&head, sizeof head);
    Append(data, size);
  }
  void Attribute(uint16_t type, const std::string& text) { Attribute(type, text.c_str(), text.size() + 1); }
  void Attribute(uint16_t type, uint32_t number) { Attribute(type, &number, sizeof number); }
  size_t Open(uint16_t type) {
    size_t at = bytes_.size();
    Attribute(type, nullptr, 0);
    return at;
  }
  void Close(size_t at) { reinterpret_cast<rtattr*>(bytes_.data() + at)->rta_len = bytes_.size() - at; }

 private:
  void Append(const void* data, size_t size) {
    const char* from = static_cast<const char*>(data);
    if (size) bytes_.insert(bytes_.end(), from, from + size);
    bytes_.resize(NLMSG_ALIGN(bytes_.size()));
  }
  std::vector<char> bytes_;
};

class Socket {
 public:
  explicit Socket(int protocol = NETLINK_ROUTE) {
    fd_.value = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, protocol);
    if (fd_.value < 0) throw SysError{errno, "socket netlink"};
  }

  // Sends and waits for the kernel's answer; 0 or an errno.
  int Request(Message& message) {
    message.header()->nlmsg_flags |= NLM_F_ACK;
    Send(message);
    int result = 0;
    Receive([&](nlmsghdr* answer) {
      if (answer->nlmsg_type != NLMSG_ERROR) return true;
      result = -reinterpret_cast<nlmsgerr*>(NLMSG_DATA(answer))->error;
      return false;
    });
    return result;
  }

  // Sends a transaction: the kernel has answered each message that failed when the call returns. 0 or the first errno.
  int Batch(const char* bytes, size_t size) {
    int room = static_cast<int>(size) + (64 << 10);
    setsockopt(fd_.value, SOL_SOCKET, SO_SNDBUFFORCE, &room, sizeof room);
    if (send(fd_.value, bytes, size, 0) < 0) return errno;
    std::vector<char> buffer(64 << 10);
    int result = 0;
    for (;;) {
      ssize_t got = recv(fd_.value, buffer.data(), buffer.size(), MSG_DONTWAIT);
      if (got < 0 && errno == EINTR) continue;
      if (got < 0) return result || errno == EAGAIN || errno == EWOULDBLOCK ? result : errno;
      int left = static_cast<int>(got);
      for (auto* at = reinterpret_cast<nlmsghdr*>(buffer.data()); NLMSG_OK(at, left); at = NLMSG_NEXT(at, left))
        if (at->nlmsg_type == NLMSG_ERROR && !result) result = -reinterpret_cast<nlmsgerr*>(NLMSG_DATA(at))->error;
    }
  }

  void Dump(Message& message, const std::function<void(nlmsghdr*)>& each) {
    message.header()->nlmsg_flags |= NLM_F_DUMP;
    Send(message);
    Receive([&](nlmsghdr* answer) {
      if (answer->nlmsg_type == NLMSG_DONE) return false;
      if (answer->nlmsg_type == NLMSG_ERROR)
        throw SysError{-reinterpret_cast<nlmsgerr*>(NLMSG_DATA(answer))->error, "netlink dump"};
      each(answer);
      return true;
    });
  }

 private:
  void Send(Message& message) {
    const std::vector<char>& bytes = message.finish();
    if (send(fd_.value, bytes.data(), bytes.size(), 0) < 0) throw SysError{errno, "send netlink"};
  }
  void Receive(const std::function<bool(nlmsghdr*)>& each) {
    std::vector<char> buffer(64 << 10);
    for (;;) {
      ssize_t size = recv(fd_.value, buffer.data(), buffer.size(), 0);
      if (size < 0 && errno == EINTR) continue;
      if (size < 0) throw SysError{errno, "recv netlink"};
      int left = static_cast<int>(size);
      for (auto* at = reinterpret_cast<nlmsghdr*>(buffer.data()); NLMSG_OK(at, left); at = NLMSG_NEXT(at, left))
        if (!each(at)) return;
    }
  }
  OwnedFd fd_;
};

struct Prefix {
  int family = AF_INET;
  unsigned char bytes[16] = {};
  int length = 0;
  size_t size() const { return family == AF_INET ? 4 : 16; }
};

// "10.0.0.1/24"; without a length it is one address; "default" is 0.0.0.0/0.
inline Prefix ParsePrefix(const std::string& text) {
  Prefix prefix;
  if (text == "default") return prefix;
  std::string address = text.substr(0, text.find('/'));
  if (address.find(':') != std::string::npos) prefix.family = AF_INET6;
  if (inet_pton(prefix.family, address.c_str(), prefix.bytes) != 1) throw SysError{EINVAL, "address " + text};
  size_t slash = text.find('/');
  prefix.length = slash == std::string::npos ? static_cast<int>(prefix.size() * 8) : atoi(text.c_str() + slash + 1);
  return prefix;
}

inline std::string FormatPrefix(int family, const void* bytes, int length) {
  char text[INET6_ADDRSTRLEN] = "";
  inet_ntop(family, bytes, text, sizeof text);
  return std::string(text) + "/" + std::to_string(length);
}

}  // namespace keelson
