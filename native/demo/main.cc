// The demo server of the built-in images: shows where it runs, fails on demand, uses resources on demand.
#include <signal.h>

#include <cstdlib>
#include <cstring>

#include "handlers.h"
#include "server.h"

namespace {

std::string FromEnvironment(const char* name, const char* otherwise) {
  const char* value = getenv(name);
  return value && *value ? value : otherwise;
}

}  // namespace

int main(int argc, char** argv) {
  signal(SIGPIPE, SIG_IGN);
  std::string address = FromEnvironment("KEELSON_DEMO_ADDRESS", ":8080");
  demo::Settings settings;
  settings.version = FromEnvironment("KEELSON_DEMO_VERSION", "latest");
  settings.commandLine.assign(argv, argv + argc);
  for (int i = 1; i < argc; i++) {
    bool isAddress = !strncmp(argv[i], "--address", 9);
    if (isAddress && argv[i][9] == '=') address = argv[i] + 10;
    else if (isAddress && !argv[i][9] && i + 1 < argc) address = argv[++i];
    else demo::Log(std::string("ignoring the argument ") + argv[i]);
  }
  demo::Configure(settings);
  demo::Log("keelson-demo " + settings.version);
  return demo::Serve(address, demo::Handle);
}
