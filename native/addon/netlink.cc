// Links, addresses and routes by rtnetlink, in batches, in any network namespace.
#include <linux/if_bridge.h>
#include <linux/if_link.h>
#include <linux/rtnetlink.h>
#include <linux/veth.h>
#include <net/if.h>

#include <memory>

#include "addon.h"
#include "netlink-socket.h"

namespace keelson {
namespace {

struct Operation {
  std::string op, name, peer, netns, mac, master, alias, address, destination, gateway;
  uint32_t mtu = 0, group = 0, protocol = RTPROT_STATIC, priority = 0;
  bool up = false, hairpin = false, deprecated = false;
  std::vector<std::string> ignore;
  std::string what() const {
    return op + " " + (!name.empty() ? name : destination) + (address.empty() ? "" : " " + address);
  }
};

uint32_t IndexOf(const std::string& name) {
  uint32_t index = if_nametoindex(name.c_str());
  if (!index) throw SysError{errno, "link " + name};
  return index;
}

void PutMac(Message& message, const std::string& mac) {
  unsigned char b[6];
  if (sscanf(mac.c_str(), "%hhx:%hhx:%hhx:%hhx:%hhx:%hhx", b, b + 1, b + 2, b + 3, b + 4, b + 5) != 6)
    throw SysError{EINVAL, "mac " + mac};
  message.Attribute(IFLA_ADDRESS, b, sizeof b);
}

ifinfomsg LinkHeader(const Operation& operation) {
  ifinfomsg info{};
  if (operation.up) info.ifi_flags = info.ifi_change = IFF_UP;
  return info;
}

int AddLink(Socket& socket, const Operation& operation) {
  bool veth = operation.op == "addVeth";
  Message message(RTM_NEWLINK, NLM_F_CREATE | NLM_F_EXCL);
  message.Put(LinkHeader(operation));
  message.Attribute(IFLA_IFNAME, operation.name);
  if (operation.mtu) message.Attribute(IFLA_MTU, operation.mtu);
  if (operation.group) message.Attribute(IFLA_GROUP, operation.group);
  if (!operation.master.empty()) message.Attribute(IFLA_MASTER, IndexOf(operation.master));
  if (!veth && !operation.mac.empty()) PutMac(message, operation.mac);
  OwnedFd ns;
  size_t info = message.Open(IFLA_LINKINFO);
  message.Attribute(IFLA_INFO_KIND, veth ? "veth" : "bridge", veth ? 4 : 6);
  if (veth) {
    size_t data = message.Open(IFLA_INFO_DATA);
    size_t peer = message.Open(VETH_INFO_PEER);
    message.Put(ifinfomsg{});
    message.Attribute(IFLA_IFNAME, operation.peer);
    if (operation.mtu) message.Attribute(IFLA_MTU, operation.mtu);
    if (!operation.mac.empty()) PutMac(message, operation.mac);
    if (!operation.netns.empty()) {
      ns.value = open(operation.netns.c_str(), O_RDONLY | O_CLOEXEC);
      if (ns.value < 0) throw SysError{errno, "open " + operation.netns};
      message.Attribute(IFLA_NET_NS_FD, static_cast<uint32_t>(ns.value));
    }
    message.Close(peer);
    message.Close(data);
  }
  message.Close(info);
  return socket.Request(message);
}

int DeleteLink(Socket& socket, const Operation& operation) {
  Message message(RTM_DELLINK, 0);
  ifinfomsg info{};
  info.ifi_index = IndexOf(operation.name);
  message.Put(info);
  return socket.Request(message);
}

// All links of the group at once: the kernel waits for its readers once, not for each.
int DeleteGroup(Socket& socket, const Operation& operation) {
  Message message(RTM_DELLINK, 0);
  message.Put(ifinfomsg{});
  message.Attribute(IFLA_GROUP, operation.group);
  return socket.Request(message);
}

int SetLink(Socket& socket, const Operation& operation) {
  Message message(RTM_NEWLINK, 0);
  ifinfomsg info = LinkHeader(operation);
  info.ifi_index = IndexOf(operation.name);
  message.Put(info);
  if (operation.mtu) message.Attribute(IFLA_MTU, operation.mtu);
  if (operation.group) message.Attribute(IFLA_GROUP, operation.group);
  if (!operation.mac.empty()) PutMac(message, operation.mac);
  if (!operation.master.empty()) message.Attribute(IFLA_MASTER, IndexOf(operation.master));
  if (!operation.alias.empty()) message.Attribute(IFLA_IFALIAS, operation.alias.c_str(), operation.alias.size());
  if (int error = socket.Request(message)) return error;
  if (!operation.hairpin) return 0;
  Message port(RTM_SETLINK, 0);
  info.ifi_family = AF_BRIDGE;
  info.ifi_flags = info.ifi_change = 0;
  port.Put(info);
  size_t nested = port.Open(IFLA_PROTINFO | NLA_F_NESTED);
  uint8_t on = 1;
  port.Attribute(IFLA_BRPORT_MODE, &on, 1);
  port.Close(nested);
  return socket.Request(port);
}

int ChangeAddress(Socket& socket, const Operation& operation) {
  bool add = operation.op == "addAddress";
  Prefix prefix = ParsePrefix(operation.address);
  Message message(add ? RTM_NEWADDR : RTM_DELADDR, add ? NLM_F_CREATE | NLM_F_EXCL : 0);
  ifaddrmsg info{};
  info.ifa_family = prefix.family;
  info.ifa_prefixlen = prefix.length;
  info.ifa_index = IndexOf(operation.name);
  // Nobody else can have it: no packet waits until the link has been asked.
  if (prefix.family == AF_INET6) info.ifa_flags = IFA_F_NODAD;
  message.Put(info);
  message.Attribute(IFA_LOCAL, prefix.bytes, prefix.size());
  message.Attribute(IFA_ADDRESS, prefix.bytes, prefix.size());
  if (add && prefix.family == AF_INET && prefix.length < 31) {
    uint32_t host = prefix.length ? (1u << (32 - prefix.length)) - 1 : 0xffffffff, address;
    memcpy(&address, prefix.bytes, 4);
    address |= htonl(host);
    message.Attribute(IFA_BROADCAST, &address, 4);
  }
  if (add && prefix.family == AF_INET6 && operation.deprecated) {
    ifa_cacheinfo times{};
    times.ifa_valid = 0xffffffff;
    message.Attribute(IFA_CACHEINFO, &times, sizeof times);
  }
  return socket.Request(message);
}

int ChangeRoute(Socket& socket, const Operation& operation) {
  bool add = operation.op == "addRoute";
  Prefix to = ParsePrefix(operation.destination);
  Message message(add ? RTM_NEWROUTE : RTM_DELROUTE, add ? NLM_F_CREATE | NLM_F_REPLACE : 0);
  rtmsg route{};
  route.rtm_family = to.family;
  route.rtm_dst_len = to.length;
  route.rtm_table = RT_TABLE_MAIN;
  route.rtm_protocol = operation.protocol;
  route.rtm_scope = !add ? RT_SCOPE_NOWHERE : operation.gateway.empty() ? RT_SCOPE_LINK : RT_SCOPE_UNIVERSE;
  route.rtm_type = add ? RTN_UNICAST : RTN_UNSPEC;
  message.Put(route);
  if (to.length) message.Attribute(RTA_DST, to.bytes, to.size());
  if (!operation.gateway.empty()) {
    Prefix via = ParsePrefix(operation.gateway);
    message.Attribute(RTA_GATEWAY, via.bytes, via.size());
  }
  if (!operation.name.empty()) message.Attribute(RTA_OIF, IndexOf(operation.name));
  if (operation.priority) message.Attribute(RTA_PRIORITY, operation.priority);
  return socket.Request(message);
}

int Run(Socket& socket, const Operation& operation) {
  if (operation.op == "addBridge" || operation.op == "addVeth") return AddLink(socket, operation);
  if (operation.op == "deleteLink") return DeleteLink(socket, operation);
  if (operation.op == "deleteGroup") return DeleteGroup(socket, operation);
  if (operation.op == "setLink") return SetLink(socket, operation);
  if (operation.op == "addAddress" || operation.op == "deleteAddress") return ChangeAddress(socket, operation);
  if (operation.op == "addRoute" || operation.op == "deleteRoute") return ChangeRoute(socket, operation);
  throw SysError{EINVAL, operation.op};
}

bool Ignored(const Operation& operation, int error) {
  const char* name = strerrorname_np(error);
  for (const std::string& code : operation.ignore)
    if (name && code == name) return true;
  return false;
}

void RunAll(const std::vector<Operation>& operations) {
  Socket socket;
  for (const Operation& operation : operations) {
    int error;
    std::string call = operation.what();
    try {
      error = Run(socket, operation);
    } catch (const SysError& failure) {
      error = failure.number;
      call += ": " + failure.call;
    }
    if (error && !Ignored(operation, error)) throw SysError{error, call};
  }
}

std::string Text(Napi::Object from, const char* key) {
  Napi::Value value = from.Get(key);
  return value.IsString() ? value.As<Napi::String>().Utf8Value() : std::string();
}

uint32_t Number(Napi::Object from, const char* key, uint32_t otherwise) {
  Napi::Value value = from.Get(key);
  return value.IsNumber() ? value.As<Napi::Number>().Uint32Value() : otherwise;
}

Operation ReadOperation(Napi::Object from) {
  Operation to;
  to.op = Text(from, "op");
  to.name = Text(from, "name");
  to.peer = Text(from, "peer");
  to.netns = Text(from, "netns");
  to.mac = Text(from, "mac");
  to.master = Text(from, "master");
  to.alias = Text(from, "alias");
  to.address = Text(from, "address");
  to.destination = Text(from, "destination");
  to.gateway = Text(from, "gateway");
  to.mtu = Number(from, "mtu", 0);
  to.group = Number(from, "group", 0);
  to.protocol = Number(from, "protocol", RTPROT_STATIC);
  to.priority = Number(from, "priority", 0);
  to.up = from.Get("up").ToBoolean();
  to.hairpin = from.Get("hairpin").ToBoolean();
  to.deprecated = from.Get("deprecated").ToBoolean();
  if (from.Get("ignore").IsArray()) {
    Napi::Array codes = from.Get("ignore").As<Napi::Array>();
    for (uint32_t i = 0; i < codes.Length(); i++) to.ignore.push_back(codes.Get(i).As<Napi::String>());
  }
  return to;
}

// netlink(netns, operations): Promise<void>; in order, up to the first that fails.
Napi::Value Netlink(const Napi::CallbackInfo& info) {
  std::string netns = info[0].As<Napi::String>();
  std::vector<Operation> operations;
  Napi::Array list = info[1].As<Napi::Array>();
  for (uint32_t i = 0; i < list.Length(); i++) operations.push_back(ReadOperation(list.Get(i).As<Napi::Object>()));
  return Promised(info.Env(), [=] { InNamespace(netns, [&] { RunAll(operations); }); });
}

// Calls `each` for every attribute.
void ForAttributes(nlmsghdr* message, size_t header, const std::function<void(rtattr*)>& each) {
  int left = static_cast<int>(message->nlmsg_len) - static_cast<int>(NLMSG_LENGTH(header));
  auto* at = reinterpret_cast<rtattr*>(reinterpret_cast<char*>(NLMSG_DATA(message)) + NLMSG_ALIGN(header));
  for (; RTA_OK(at, left); at = RTA_NEXT(at, left)) each(at);
}

uint32_t U32(rtattr* attribute) { return *reinterpret_cast<uint32_t*>(RTA_DATA(attribute)); }
std::string Str(rtattr* attribute) {
  const char* text = reinterpret_cast<char*>(RTA_DATA(attribute));
  return std::string(text, strnlen(text, RTA_PAYLOAD(attribute)));
}

struct Link {
  uint32_t index = 0, mtu = 0, master = 0;
  bool up = false;
  std::string name, kind, mac, alias;
};

Link ReadLink(nlmsghdr* message) {
  auto* info = reinterpret_cast<ifinfomsg*>(NLMSG_DATA(message));
  Link link;
  link.index = info->ifi_index;
  link.up = info->ifi_flags & IFF_UP;
  ForAttributes(message, sizeof *info, [&](rtattr* a) {
    if (a->rta_type == IFLA_IFNAME) link.name = Str(a);
    if (a->rta_type == IFLA_IFALIAS) link.alias = Str(a);
    if (a->rta_type == IFLA_MTU) link.mtu = U32(a);
    if (a->rta_type == IFLA_MASTER) link.master = U32(a);
    if (a->rta_type == IFLA_ADDRESS && RTA_PAYLOAD(a) == 6) {
      auto* b = reinterpret_cast<unsigned char*>(RTA_DATA(a));
      char text[18];
      snprintf(text, sizeof text, "%02x:%02x:%02x:%02x:%02x:%02x", b[0], b[1], b[2], b[3], b[4], b[5]);
      link.mac = text;
    }
    if (a->rta_type == IFLA_LINKINFO) {
      int left = RTA_PAYLOAD(a);
      for (auto* n = reinterpret_cast<rtattr*>(RTA_DATA(a)); RTA_OK(n, left); n = RTA_NEXT(n, left))
        if (n->rta_type == IFLA_INFO_KIND) link.kind = Str(n);
    }
  });
  return link;
}

// Makes a list function: dumps in the namespace, then turns each entry into an object.
template <typename Entry>
Napi::Value Listed(const Napi::CallbackInfo& info, std::function<void(Socket&, std::vector<Entry>&)> dump,
                   std::function<void(Napi::Object, const Entry&)> convert) {
  std::string netns = info[0].As<Napi::String>();
  auto found = std::make_shared<std::vector<Entry>>();
  return Promised(
      info.Env(),
      [=] {
        InNamespace(netns, [&] {
          Socket socket;
          dump(socket, *found);
        });
      },
      [=](Napi::Env env) -> Napi::Value {
        Napi::Array list = Napi::Array::New(env, found->size());
        for (uint32_t i = 0; i < found->size(); i++) {
          Napi::Object object = Napi::Object::New(env);
          convert(object, (*found)[i]);
          list.Set(i, object);
        }
        return list;
      });
}

// listLinks(netns): Promise<Link[]>
Napi::Value ListLinks(const Napi::CallbackInfo& info) {
  return Listed<Link>(
      info,
      [](Socket& socket, std::vector<Link>& found) {
        Message message(RTM_GETLINK, 0);
        message.Put(ifinfomsg{});
        socket.Dump(message, [&](nlmsghdr* answer) { found.push_back(ReadLink(answer)); });
      },
      [](Napi::Object to, const Link& link) {
        to.Set("index", link.index);
        to.Set("name", link.name);
        to.Set("kind", link.kind);
        to.Set("mac", link.mac);
        to.Set("mtu", link.mtu);
        to.Set("master", link.master);
        to.Set("up", link.up);
        to.Set("alias", link.alias);
      });
}

struct Address {
  uint32_t link;
  std::string address;
};

// listAddresses(netns): Promise<{link, address}[]>
Napi::Value ListAddresses(const Napi::CallbackInfo& info) {
  return Listed<Address>(
      info,
      [](Socket& socket, std::vector<Address>& found) {
        Message message(RTM_GETADDR, 0);
        message.Put(ifaddrmsg{});
        socket.Dump(message, [&](nlmsghdr* answer) {
          auto* head = reinterpret_cast<ifaddrmsg*>(NLMSG_DATA(answer));
          std::string local, address;
          ForAttributes(answer, sizeof *head, [&](rtattr* a) {
            if (a->rta_type == IFA_LOCAL) local = FormatPrefix(head->ifa_family, RTA_DATA(a), head->ifa_prefixlen);
            if (a->rta_type == IFA_ADDRESS) address = FormatPrefix(head->ifa_family, RTA_DATA(a), head->ifa_prefixlen);
          });
          found.push_back({head->ifa_index, local.empty() ? address : local});
        });
      },
      [](Napi::Object to, const Address& address) {
        to.Set("link", address.link);
        to.Set("address", address.address);
      });
}

struct Route {
  std::string destination, gateway;
  uint32_t link = 0, protocol = 0, priority = 0;
};

// listRoutes(netns): Promise<Route[]>: unicast routes of the main table.
Napi::Value ListRoutes(const Napi::CallbackInfo& info) {
  return Listed<Route>(
      info,
      [](Socket& socket, std::vector<Route>& found) {
        Message message(RTM_GETROUTE, 0);
        message.Put(rtmsg{});
        socket.Dump(message, [&](nlmsghdr* answer) {
          auto* head = reinterpret_cast<rtmsg*>(NLMSG_DATA(answer));
          int family = head->rtm_family;
          if (family != AF_INET && family != AF_INET6) return;
          if (head->rtm_table != RT_TABLE_MAIN || head->rtm_type != RTN_UNICAST) return;
          Route route;
          route.protocol = head->rtm_protocol;
          ForAttributes(answer, sizeof *head, [&](rtattr* a) {
            if (a->rta_type == RTA_DST) route.destination = FormatPrefix(family, RTA_DATA(a), head->rtm_dst_len);
            if (a->rta_type == RTA_GATEWAY) {
              std::string via = FormatPrefix(family, RTA_DATA(a), 0);
              route.gateway = via.substr(0, via.find('/'));
            }
            if (a->rta_type == RTA_OIF) route.link = U32(a);
            if (a->rta_type == RTA_PRIORITY) route.priority = U32(a);
          });
          if (route.destination.empty()) route.destination = family == AF_INET ? "default" : "::/0";
          found.push_back(route);
        });
      },
      [](Napi::Object to, const Route& route) {
        to.Set("destination", route.destination);
        to.Set("gateway", route.gateway);
        to.Set("link", route.link);
        to.Set("protocol", route.protocol);
        to.Set("priority", route.priority);
      });
}

}  // namespace

void RegisterNetlink(Napi::Env env, Napi::Object exports) {
  exports.Set("netlink", Napi::Function::New(env, Netlink));
  exports.Set("listLinks", Napi::Function::New(env, ListLinks));
  exports.Set("listAddresses", Napi::Function::New(env, ListAddresses));
  exports.Set("listRoutes", Napi::Function::New(env, ListRoutes));
}

}  // namespace keelson
