// Routes, and the page that shows where the server runs.
#include "handlers.h"

#include <arpa/inet.h>
#include <ifaddrs.h>
#include <net/if.h>
#include <unistd.h>

#include <cstdlib>

#include "keygen.h"

extern char** environ;

namespace demo {
namespace {

Settings settings;

std::string HostName() {
  char name[256] = "";
  gethostname(name, sizeof name - 1);
  return name;
}

std::vector<std::string> Addresses() {
  std::vector<std::string> found;
  ifaddrs* list = nullptr;
  if (getifaddrs(&list) < 0) return found;
  for (ifaddrs* at = list; at; at = at->ifa_next) {
    if (!at->ifa_addr || (at->ifa_flags & IFF_LOOPBACK)) continue;
    char text[INET6_ADDRSTRLEN];
    if (at->ifa_addr->sa_family == AF_INET) {
      inet_ntop(AF_INET, &reinterpret_cast<sockaddr_in*>(at->ifa_addr)->sin_addr, text, sizeof text);
      found.push_back(text);
    } else if (at->ifa_addr->sa_family == AF_INET6) {
      auto* v6 = reinterpret_cast<sockaddr_in6*>(at->ifa_addr);
      if (IN6_IS_ADDR_LINKLOCAL(&v6->sin6_addr)) continue;
      inet_ntop(AF_INET6, &v6->sin6_addr, text, sizeof text);
      found.push_back(text);
    }
  }
  freeifaddrs(list);
  return found;
}

std::map<std::string, std::string> Environment() {
  std::map<std::string, std::string> found;
  for (char** at = environ; *at; at++) {
    std::string entry = *at;
    size_t equals = entry.find('=');
    if (equals != std::string::npos) found[entry.substr(0, equals)] = entry.substr(equals + 1);
  }
  return found;
}

std::string JsonList(const std::vector<std::string>& items) {
  std::string out = "[";
  for (auto& item : items) out += (out.size() > 1 ? "," : "") + JsonString(item);
  return out + "]";
}

template <typename Pairs>
std::string JsonMap(const Pairs& pairs) {
  std::string out = "{";
  for (auto& [key, value] : pairs) out += (out.size() > 1 ? "," : "") + JsonString(key) + ":" + JsonString(value);
  return out + "}";
}

std::string EnvironmentJson() {
  return "{\"commandLine\":" + JsonList(settings.commandLine) + ",\"env\":" + JsonMap(Environment()) + "}\n";
}

std::string InfoJson(const Request& request) {
  return "{\"hostname\":" + JsonString(HostName()) + ",\"addresses\":" + JsonList(Addresses()) +
         ",\"version\":" + JsonString(settings.version) + ",\"pid\":" + std::to_string(getpid()) +
         ",\"uid\":" + std::to_string(getuid()) + ",\"request\":{\"client\":" + JsonString(request.remote) +
         ",\"method\":" + JsonString(request.method) + ",\"target\":" + JsonString(request.target) +
         ",\"headers\":" + JsonMap(request.headers) + "},\"commandLine\":" + JsonList(settings.commandLine) +
         ",\"env\":" + JsonMap(Environment()) + "}\n";
}

template <typename Pairs>
std::string HtmlTable(const char* title, const Pairs& pairs) {
  std::string out = std::string("<h2>") + title + "</h2><table>";
  for (auto& [key, value] : pairs)
    out += "<tr><th>" + HtmlEscape(key) + "<td>" + HtmlEscape(value);
  return out + "</table>";
}

std::string Color() {
  for (const char* known : {"blue", "green", "purple"})
    if (settings.version == known) return known;
  return "#335";
}

std::string Page(const Request& request) {
  std::string addresses;
  for (auto& address : Addresses()) addresses += (addresses.empty() ? "" : ", ") + address;
  std::vector<std::pair<std::string, std::string>> about = {
      {"Version", settings.version}, {"Host name", HostName()}, {"Addresses", addresses}, {"Client", request.remote}};
  std::string links;
  for (const char* path : {"/json", "/env", "/healthy", "/healthy/api", "/ready", "/ready/api", "/mem", "/fs/"})
    links += std::string("<a href=\"") + path + "\">" + path + "</a> ";
  return "<!doctype html><meta charset=utf-8><title>" + HtmlEscape("Keelson demo " + settings.version) +
         "</title><style>body{font:15px sans-serif;margin:0 2em 2em}header{background:" + Color() +
         ";color:#fff;margin:0 -2em;padding:1em 2em}th{text-align:left;padding-right:2em;font-weight:normal;"
         "color:#666;vertical-align:top}td{word-break:break-all}a{margin-right:1em}</style><header><h1>Keelson demo " +
         HtmlEscape(settings.version) + "</h1></header><p>" + links + HtmlTable("Here", about) +
         HtmlTable("Request headers", request.headers) + HtmlTable("Environment", Environment()) + "\n";
}

const char kHelp[] =
    "/                                  this server as a page; as JSON for clients that take no HTML\n"
    "/json                              host name, addresses, version, request, environment\n"
    "/env                               command line and environment\n"
    "/healthy, /ready                   200 ok, or what they were told\n"
    "/healthy/api?code=500&times=3      makes the next 3 fail; without times all; code=200 heals; PUT takes\n"
    "                                   {\"failNext\": 3, \"code\": 500}; alone it shows the state; same for /ready/api\n"
    "/cpu?seconds=10&threads=2          uses processor time; /cpu/stop ends it\n"
    "/memory?mb=64                      allocates and touches memory; /memory/free gives it back; /mem tells\n"
    "/mem/api/alloc?size=<bytes>        the same; /mem/api/clear\n"
    "/fs/<path>                         files of the container\n"
    "/dns?name=<name>                   addresses of a name\n"
    "/memq/server/queues/<queue>        a work queue: PUT makes it, DELETE removes it; POST to /enqueue, /dequeue,\n"
    "                                   /drain below it; /memq/server/stats\n"
    "/exit?code=3                       ends the process\n"
    "\n"
    "Arguments: --address :8080; --keygen-enable with --keygen-num-to-gen=10, --keygen-time-to-run=<seconds>,\n"
    "--keygen-memq-server=http://queue:8080/memq/server and --keygen-memq-queue=<queue>,\n"
    "--keygen-exit-on-complete, --keygen-exit-code=1\n";

std::string Trimmed(const std::string& path) {
  std::string trimmed = path.rfind("/-/", 0) == 0 ? path.substr(2) : path;
  while (trimmed.size() > 1 && trimmed.back() == '/') trimmed.pop_back();
  return trimmed;
}

}  // namespace

void Configure(const Settings& given) { settings = given; }

Response Json(const std::string& body, int status) {
  Response response;
  response.status = status;
  response.type = "application/json";
  response.body = body;
  return response;
}

Response Text(const std::string& body, int status) {
  Response response;
  response.status = status;
  response.body = body;
  return response;
}

Response Handle(const Request& request) {
  if (request.path.rfind("/fs/", 0) == 0) return ServeFile(request.path.substr(3));
  std::string path = Trimmed(request.path);
  if (path == "/") {
    if (request.Header("accept").find("text/html") == std::string::npos) return Json(InfoJson(request));
    Response page = Text(Page(request));
    page.type = "text/html; charset=utf-8";
    return page;
  }
  if (path == "/json" || path == "/api") return Json(InfoJson(request));
  if (path == "/env" || path == "/env/api") return Json(EnvironmentJson());
  if (path == "/healthy" || path == "/ready") return ProbePage(path.substr(1));
  if (path == "/healthy/api") return ProbeApi("healthy", request);
  if (path == "/ready/api") return ProbeApi("ready", request);
  if (path == "/cpu") return CpuLoad(request);
  if (path == "/cpu/stop") return CpuStop();
  if (path == "/mem" || path == "/mem/api") return MemoryStatus();
  if (path == "/memory") return request.query.empty() ? MemoryStatus() : MemoryAllocate(request.QueryNumber("mb", 0) << 20);
  if (path == "/mem/api/alloc") return MemoryAllocate(request.QueryNumber("size", 0));
  if (path == "/memory/free" || path == "/mem/api/clear") return MemoryFree();
  if (path.rfind("/memq/server/", 0) == 0) return QueueServer(path.substr(12), request);
  if (path == "/dns") {
    bool found = false;
    std::string addresses = Resolve(request.Query("name"), found);
    return Text(addresses + "\n", found ? 200 : 404);
  }
  if (path == "/exit") {
    Response response = Text("bye\n");
    response.exitCode = static_cast<int>(request.QueryNumber("code", 0)) & 255;
    return response;
  }
  if (path == "/help") return Text(kHelp);
  return Text("not found; /help tells what is here\n", 404);
}

}  // namespace demo
