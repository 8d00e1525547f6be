// Uses processor time and memory on demand.
#include <sys/mman.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <cstdio>
#include <cstring>
#include <thread>

#include "handlers.h"

namespace demo {
namespace {

std::atomic<int> spinning{0};
std::atomic<long> round_{0};
std::vector<std::pair<void*, size_t>> allocations;
size_t allocated = 0;

void Spin(long seconds, long mine) {
  auto end = std::chrono::steady_clock::now() + std::chrono::seconds(seconds);
  volatile unsigned long value = 1;
  while (std::chrono::steady_clock::now() < end && round_ == mine)
    for (int i = 0; i < 100000; i++) value = value * 2862933555777941757UL + 3037000493UL;
  spinning--;
}

size_t ResidentBytes() {
  unsigned long total = 0, resident = 0;
  if (FILE* file = fopen("/proc/self/statm", "r")) {
    if (fscanf(file, "%lu %lu", &total, &resident) != 2) resident = 0;
    fclose(file);
  }
  return resident * sysconf(_SC_PAGESIZE);
}

}  // namespace

Response CpuLoad(const Request& request) {
  long seconds = request.QueryNumber("seconds", 10), threads = request.QueryNumber("threads", 1);
  if (seconds < 0 || seconds > 86400 || threads < 1 || threads > 256)
    return Text("seconds is 0 to 86400, threads is 1 to 256\n", 400);
  for (long i = 0; i < threads; i++) {
    spinning++;
    std::thread(Spin, seconds, round_.load()).detach();
  }
  return Json("{\"threads\":" + std::to_string(spinning) + ",\"seconds\":" + std::to_string(seconds) + "}\n");
}

Response CpuStop() {
  round_++;
  return Text("ok\n");
}

Response MemoryStatus() {
  return Json("{\"allocatedBytes\":" + std::to_string(allocated) + ",\"residentBytes\":" +
              std::to_string(ResidentBytes()) + "}\n");
}

Response MemoryAllocate(long bytes) {
  if (bytes <= 0) return Text("how much? /memory?mb=64 or /mem/api/alloc?size=<bytes>\n", 400);
  void* at = mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (at == MAP_FAILED) return Text("not so much memory\n", 507);
  memset(at, 0x5a, bytes);
  allocations.emplace_back(at, bytes);
  allocated += bytes;
  return MemoryStatus();
}

Response MemoryFree() {
  for (auto& [at, bytes] : allocations) munmap(at, bytes);
  allocations.clear();
  allocated = 0;
  return MemoryStatus();
}

}  // namespace demo
