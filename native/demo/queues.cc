// A work queue in memory: PUT /memq/server/queues/<name>, POST …/enqueue, …/dequeue, …/drain, GET /memq/server/stats.
#include <ctime>
#include <deque>
#include <map>

#include "handlers.h"

namespace demo {
namespace {

struct Message {
  long id;
  time_t created;
  std::string body;
};

struct Queue {
  std::deque<Message> messages;
  long enqueued = 0, dequeued = 0, drained = 0;
};

constexpr size_t kMaxQueues = 1000, kMaxDepth = 100000;
std::map<std::string, Queue> queues;
long nextId = 1;

std::string Describe(const Message& message) {
  char when[32];
  tm utc;
  gmtime_r(&message.created, &utc);
  strftime(when, sizeof when, "%Y-%m-%dT%H:%M:%SZ", &utc);
  return "{\"kind\":\"message\",\"id\":" + JsonString(std::to_string(message.id)) + ",\"body\":" +
         JsonString(message.body) + ",\"creationTimestamp\":" + JsonString(when) + "}\n";
}

Response Stats() {
  std::string out = "{\"kind\":\"stats\",\"queues\":[";
  bool first = true;
  for (auto& [name, queue] : queues) {
    out += std::string(first ? "" : ",") + "{\"name\":" + JsonString(name) +
           ",\"depth\":" + std::to_string(queue.messages.size()) + ",\"enqueued\":" + std::to_string(queue.enqueued) +
           ",\"dequeued\":" + std::to_string(queue.dequeued) + ",\"drained\":" + std::to_string(queue.drained) + "}";
    first = false;
  }
  return Json(out + "]}\n");
}

Response Manage(const std::string& name, const std::string& method) {
  if (method == "PUT") {
    if (!queues.count(name) && queues.size() >= kMaxQueues) return Text("too many queues\n", 507);
    queues[name];
    return Json("{}\n", 201);
  }
  if (method == "DELETE") return queues.erase(name) ? Json("{}\n") : Text("no such queue\n", 404);
  return Text("PUT makes the queue, DELETE removes it\n", 405);
}

}  // namespace

Response QueueServer(const std::string& path, const Request& request) {
  if (path == "/stats") return Stats();
  const std::string prefix = "/queues/";
  if (path.rfind(prefix, 0) != 0) return Text("not found\n", 404);
  size_t slash = path.find('/', prefix.size());
  std::string name = path.substr(prefix.size(), slash == std::string::npos ? slash : slash - prefix.size());
  if (slash == std::string::npos) return Manage(name, request.method);
  auto found = queues.find(name);
  if (found == queues.end()) return Text("no such queue\n", 404);
  if (request.method != "POST") return Text("POST does that\n", 405);
  Queue& queue = found->second;
  std::string action = path.substr(slash + 1);
  if (action == "enqueue") {
    if (queue.messages.size() >= kMaxDepth) return Text("the queue is full\n", 507);
    queue.messages.push_back({nextId++, time(nullptr), request.body});
    queue.enqueued++;
    return Json(Describe(queue.messages.back()));
  }
  if (action == "dequeue") {
    if (queue.messages.empty()) return Text("", 204);
    Message message = queue.messages.front();
    queue.messages.pop_front();
    queue.dequeued++;
    return Json(Describe(message));
  }
  if (action == "drain") {
    queue.drained += queue.messages.size();
    queue.messages.clear();
    return Json("{}\n");
  }
  return Text("not found\n", 404);
}

}  // namespace demo
