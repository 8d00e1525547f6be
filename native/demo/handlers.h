// What the demo server answers.
#pragma once
#include "http.h"

namespace demo {

struct Settings {
  std::string version;
  std::vector<std::string> commandLine;
};

void Configure(const Settings& settings);
Response Handle(const Request& request);

// probes.cc: /healthy and /ready, and the switches that make them fail.
Response ProbePage(const std::string& name);
Response ProbeApi(const std::string& name, const Request& request);

// load.cc: uses processor time and memory.
Response CpuLoad(const Request& request);
Response CpuStop();
Response MemoryStatus();
Response MemoryAllocate(long bytes);
Response MemoryFree();

// queues.cc; `path` is below /memq/server.
Response QueueServer(const std::string& path, const Request& request);

// files.cc
Response ServeFile(const std::string& path);

Response Json(const std::string& body, int status = 200);
Response Text(const std::string& body, int status = 200);

}  // namespace demo
