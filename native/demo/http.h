// Requests and responses of the demo server, and how a request is read from bytes.
#pragma once
#include <cstddef>
#include <map>
#include <string>
#include <utility>
#include <vector>

namespace demo {

struct Request {
  std::string method, target, path, body, remote;
  std::map<std::string, std::string> query;
  std::vector<std::pair<std::string, std::string>> headers;
  bool keepAlive = true;

  // Case-insensitive; empty when the header is missing.
  std::string Header(const char* name) const;
  std::string Query(const char* name, const char* otherwise = "") const;
  long QueryNumber(const char* name, long otherwise) const;
};

struct Response {
  int status = 200;
  std::string type = "text/plain; charset=utf-8";
  std::string body;
  // A file to send instead of the body, closed by the server.
  int file = -1;
  long fileSize = 0;
  std::string location;
  // Ends the process when the response is written; −1: goes on.
  int exitCode = -1;
};

enum class Parsed { NeedMore, Done, Bad };

// Takes one request from the front of `bytes`; on Bad, `status` tells why.
Parsed ParseRequest(std::string& bytes, Request& request, int& status, bool& wantsContinue);

const char* StatusText(int status);
std::string JsonString(const std::string& text);
std::string HtmlEscape(const std::string& text);

}  // namespace demo
