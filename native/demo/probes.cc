// Probes that a request can make fail: GET /healthy/api?code=500&times=3, or PUT {"failNext": 3, "code": 500}.
#include <cstdlib>
#include <ctime>
#include <deque>
#include <map>

#include "handlers.h"

namespace demo {
namespace {

struct Probe {
  int code = 500;
  // How many more answers fail; −1 is all.
  long failNext = 0;
  long count = 0;
  struct Past {
    long id;
    time_t when;
    int code;
  };
  std::deque<Past> history;
};

std::map<std::string, Probe> probes;

// The number after "name": in a flat JSON object.
long JsonNumber(const std::string& json, const char* name, long otherwise) {
  size_t at = json.find(std::string("\"") + name + "\"");
  if (at != std::string::npos) at = json.find(':', at);
  if (at == std::string::npos) return otherwise;
  const char* from = json.c_str() + at + 1;
  char* end;
  long value = strtol(from, &end, 10);
  return end == from ? otherwise : value;
}

std::string Describe(const std::string& name, const Probe& probe) {
  std::string out = "{\"probePath\":" + JsonString("/" + name) + ",\"failNext\":" + std::to_string(probe.failNext) +
                    ",\"code\":" + std::to_string(probe.failNext ? probe.code : 200) + ",\"history\":[";
  bool first = true;
  for (auto& past : probe.history) {
    char when[32];
    tm utc;
    gmtime_r(&past.when, &utc);
    strftime(when, sizeof when, "%Y-%m-%dT%H:%M:%SZ", &utc);
    out += std::string(first ? "" : ",") + "{\"id\":" + std::to_string(past.id) + ",\"when\":\"" + when +
           "\",\"code\":" + std::to_string(past.code) + "}";
    first = false;
  }
  return out + "]}\n";
}

}  // namespace

Response ProbePage(const std::string& name) {
  Probe& probe = probes[name];
  int code = probe.failNext ? probe.code : 200;
  if (probe.failNext > 0) probe.failNext--;
  probe.history.push_front({++probe.count, time(nullptr), code});
  if (probe.history.size() > 20) probe.history.pop_back();
  return code < 400 ? Text("ok", code) : Text("fail", code);
}

Response ProbeApi(const std::string& name, const Request& request) {
  Probe& probe = probes[name];
  bool writes = request.method == "PUT" || request.method == "POST";
  if (writes || request.query.count("code") || request.query.count("times")) {
    long code = request.QueryNumber("code", JsonNumber(request.body, "code", 500));
    long times = request.QueryNumber("times", JsonNumber(request.body, "failNext", -1));
    if (code < 200 || code > 599 || times < -1) return Text("code is 200 to 599, times is -1 (always) or more\n", 400);
    probe.code = static_cast<int>(code);
    probe.failNext = code < 400 ? 0 : times;
  }
  return Json(Describe(name, probe));
}

}  // namespace demo
