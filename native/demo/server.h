// One thread, one epoll: accepts, reads requests, writes responses, and goes when told.
#pragma once
#include <string>

#include "http.h"

namespace demo {

using Handler = Response (*)(const Request&);

// Keeps SIGTERM and SIGINT for Serve: to be called before any thread starts.
void BlockSignals();

// Serves until SIGTERM or SIGINT, then finishes what was begun. `address`: "host:port", ":port".
// Returns the exit code.
int Serve(const std::string& address, Handler handler);

// A line with a time stamp on standard output.
void Log(const std::string& line);

}  // namespace demo
