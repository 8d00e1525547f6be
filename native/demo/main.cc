// The demo server of the built-in images: shows where it runs, fails on demand, uses resources on demand.
#include <signal.h>

#include <cstdlib>
#include <cstring>

#include "handlers.h"
#include "keygen.h"
#include "server.h"

namespace {

std::string FromEnvironment(const char* name, const char* otherwise) {
  const char* value = getenv(name);
  return value && *value ? value : otherwise;
}

// Takes "--name=value" or "--name value".
bool Take(const char* name, int argc, char** argv, int& i, std::string& value) {
  size_t length = strlen(name);
  if (strncmp(argv[i], name, length)) return false;
  if (argv[i][length] == '=') {
    value = argv[i] + length + 1;
    return true;
  }
  if (argv[i][length] || i + 1 == argc) return false;
  value = argv[++i];
  return true;
}

bool Flag(const char* name, const char* argument) {
  std::string text = argument;
  return text == name || text == std::string(name) + "=true";
}

}  // namespace

int main(int argc, char** argv) {
  signal(SIGPIPE, SIG_IGN);
  demo::BlockSignals();
  std::string address = FromEnvironment("KEELSON_DEMO_ADDRESS", ":8080"), value;
  demo::Settings settings;
  settings.version = FromEnvironment("KEELSON_DEMO_VERSION", "latest");
  settings.commandLine.assign(argv, argv + argc);
  demo::Keygen keygen;
  demo::Log("keelson-demo " + settings.version);
  for (int i = 1; i < argc; i++) {
    if (Flag("--keygen-enable", argv[i])) keygen.enabled = true;
    else if (Flag("--keygen-exit-on-complete", argv[i])) keygen.exitOnComplete = true;
    else if (Take("--keygen-exit-code", argc, argv, i, value)) keygen.exitCode = atoi(value.c_str());
    else if (Take("--keygen-num-to-gen", argc, argv, i, value)) keygen.count = atol(value.c_str());
    else if (Take("--keygen-time-to-run", argc, argv, i, value)) keygen.duration = atol(value.c_str());
    else if (Take("--keygen-memq-server", argc, argv, i, value)) keygen.server = value;
    else if (Take("--keygen-memq-queue", argc, argv, i, value)) keygen.queue = value;
    else if (!Take("--address", argc, argv, i, address))
      demo::Log(std::string("ignoring the argument ") + argv[i]);
  }
  demo::Configure(settings);
  if (keygen.enabled) demo::StartKeygen(keygen);
  return demo::Serve(address, demo::Handle);
}
