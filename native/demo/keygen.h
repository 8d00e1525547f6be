// A workload for jobs: makes up keys, so many, or for some time, or one for each message of a queue.
#pragma once
#include <string>

namespace demo {

struct Keygen {
  bool enabled = false;
  bool exitOnComplete = false;
  int exitCode = 0;
  // 0: without end.
  long count = 0;
  // Seconds; 0: without end.
  long duration = 0;
  // Such as http://queue:8080/memq/server, and the queue there.
  std::string server, queue;
};

// Works on a thread of its own; ends the process when it is told to.
void StartKeygen(const Keygen& keygen);

// "a.b.c.d, …" or why the name leads to nothing.
std::string Resolve(const std::string& name, bool& found);

}  // namespace demo
