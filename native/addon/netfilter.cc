// Transactions of nf_tables, and deletion of tracked connections.
#include <linux/netfilter/nfnetlink.h>
#include <linux/netfilter/nfnetlink_conntrack.h>

#include <memory>
#include <mutex>

#include "addon.h"
#include "netlink-socket.h"

namespace keelson {
namespace {

// One socket for the life of the process: to close one waits for what the last transaction deleted, some 10 ms.
int Transact(const std::string& batch) {
  static std::mutex one_at_a_time;
  static Socket socket(NETLINK_NETFILTER);
  std::lock_guard<std::mutex> lock(one_at_a_time);
  return socket.Batch(batch.data(), batch.size());
}

// netfilter(batch): Promise<void>
Napi::Value Netfilter(const Napi::CallbackInfo& info) {
  auto given = info[0].As<Napi::Uint8Array>();
  auto batch = std::make_shared<std::string>(reinterpret_cast<const char*>(given.Data()), given.ByteLength());
  return Promised(info.Env(), [=] {
    if (int error = Transact(*batch)) throw SysError{error, "nf_tables transaction"};
  });
}

struct Filter {
  uint8_t protocol = 0;
  std::string original, reply;                 // bytes, empty: any
  uint16_t original_port = 0, reply_port = 0;  // network order, 0: any
};

struct Tuple {
  std::string source, destination;
  uint16_t source_port = 0, destination_port = 0;
  uint8_t protocol = 0;
};

int Type(const rtattr* attribute) { return attribute->rta_type & NLA_TYPE_MASK; }

template <typename T>
T Value(const rtattr* attribute) {
  T value{};
  memcpy(&value, RTA_DATA(attribute), std::min(sizeof value, static_cast<size_t>(RTA_PAYLOAD(attribute))));
  return value;
}

std::string Bytes(const rtattr* attribute) {
  return std::string(reinterpret_cast<const char*>(RTA_DATA(attribute)), RTA_PAYLOAD(attribute));
}

void ForNested(const rtattr* parent, const std::function<void(rtattr*)>& each) {
  int left = RTA_PAYLOAD(parent);
  for (auto* at = reinterpret_cast<rtattr*>(RTA_DATA(parent)); RTA_OK(at, left); at = RTA_NEXT(at, left)) each(at);
}

Tuple ReadTuple(const rtattr* attribute) {
  Tuple tuple;
  ForNested(attribute, [&](rtattr* part) {
    if (Type(part) == CTA_TUPLE_IP)
      ForNested(part, [&](rtattr* a) {
        if (Type(a) == CTA_IP_V4_SRC || Type(a) == CTA_IP_V6_SRC) tuple.source = Bytes(a);
        if (Type(a) == CTA_IP_V4_DST || Type(a) == CTA_IP_V6_DST) tuple.destination = Bytes(a);
      });
    if (Type(part) == CTA_TUPLE_PROTO)
      ForNested(part, [&](rtattr* a) {
        if (Type(a) == CTA_PROTO_NUM) tuple.protocol = Value<uint8_t>(a);
        if (Type(a) == CTA_PROTO_SRC_PORT) tuple.source_port = Value<uint16_t>(a);
        if (Type(a) == CTA_PROTO_DST_PORT) tuple.destination_port = Value<uint16_t>(a);
      });
  });
  return tuple;
}

bool Means(const Filter& filter, const Tuple& original, const Tuple& reply) {
  return filter.protocol == original.protocol &&
         (filter.original.empty() || filter.original == original.destination) &&
         (!filter.original_port || filter.original_port == original.destination_port) &&
         (filter.reply.empty() || filter.reply == reply.source) &&
         (!filter.reply_port || filter.reply_port == reply.source_port);
}

Message FlowMessage(uint16_t type, uint8_t family) {
  Message message((NFNL_SUBSYS_CTNETLINK << 8) | type, 0);
  nfgenmsg head{};
  head.nfgen_family = family;
  head.version = NFNETLINK_V0;
  message.Put(head);
  return message;
}

struct Found {
  std::vector<char> tuple;
  uint32_t id = 0;
  uint8_t family = AF_UNSPEC;
};

std::vector<Found> FindFlows(Socket& socket, const std::vector<Filter>& filters) {
  std::vector<Found> found;
  Message dump = FlowMessage(IPCTNL_MSG_CT_GET, AF_UNSPEC);
  socket.Dump(dump, [&](nlmsghdr* answer) {
    Found flow;
    Tuple original, reply;
    flow.family = reinterpret_cast<nfgenmsg*>(NLMSG_DATA(answer))->nfgen_family;
    int left = static_cast<int>(answer->nlmsg_len) - static_cast<int>(NLMSG_LENGTH(sizeof(nfgenmsg)));
    auto* at = reinterpret_cast<rtattr*>(reinterpret_cast<char*>(NLMSG_DATA(answer)) + NLMSG_ALIGN(sizeof(nfgenmsg)));
    for (; RTA_OK(at, left); at = RTA_NEXT(at, left)) {
      auto* data = reinterpret_cast<char*>(RTA_DATA(at));
      if (Type(at) == CTA_TUPLE_ORIG) {
        original = ReadTuple(at);
        flow.tuple.assign(data, data + RTA_PAYLOAD(at));
      }
      if (Type(at) == CTA_TUPLE_REPLY) reply = ReadTuple(at);
      if (Type(at) == CTA_ID) flow.id = Value<uint32_t>(at);
    }
    for (const Filter& filter : filters)
      if (Means(filter, original, reply)) {
        found.push_back(flow);
        break;
      }
  });
  return found;
}

Filter ReadFilter(Napi::Object from) {
  Filter filter;
  auto address = [&](const char* key) {
    Napi::Value value = from.Get(key);
    if (!value.IsString()) return std::string();
    Prefix prefix = ParsePrefix(value.As<Napi::String>().Utf8Value());
    return std::string(reinterpret_cast<char*>(prefix.bytes), prefix.size());
  };
  auto number = [&](const char* key) {
    Napi::Value value = from.Get(key);
    return value.IsNumber() ? value.As<Napi::Number>().Uint32Value() : 0;
  };
  filter.protocol = number("protocol");
  filter.original = address("original");
  filter.original_port = htons(number("originalPort"));
  filter.reply = address("reply");
  filter.reply_port = htons(number("replyPort"));
  return filter;
}

// deleteFlows(filters): Promise<number>
Napi::Value DeleteFlows(const Napi::CallbackInfo& info) {
  std::vector<Filter> filters;
  Napi::Array list = info[0].As<Napi::Array>();
  for (uint32_t i = 0; i < list.Length(); i++) filters.push_back(ReadFilter(list.Get(i).As<Napi::Object>()));
  auto count = std::make_shared<uint32_t>(0);
  return Promised(
      info.Env(),
      [=] {
        Socket socket(NETLINK_NETFILTER);
        for (const Found& flow : FindFlows(socket, filters)) {
          Message message = FlowMessage(IPCTNL_MSG_CT_DELETE, flow.family);
          message.Attribute(CTA_TUPLE_ORIG | NLA_F_NESTED, flow.tuple.data(), flow.tuple.size());
          message.Attribute(CTA_ID, flow.id);
          int error = socket.Request(message);
          // ENOENT: it ended by itself meanwhile.
          if (error && error != ENOENT) throw SysError{error, "delete of a tracked connection"};
          if (!error) ++*count;
        }
      },
      [=](Napi::Env env) -> Napi::Value { return Napi::Number::New(env, *count); });
}

}  // namespace

void RegisterNetfilter(Napi::Env env, Napi::Object exports) {
  exports.Set("netfilter", Napi::Function::New(env, Netfilter));
  exports.Set("deleteFlows", Napi::Function::New(env, DeleteFlows));
}

}  // namespace keelson
