// Reading HTTP/1 requests: bounded, and unforgiving to what is none.
#include "http.h"

#include <strings.h>

#include <cstdio>
#include <cstdlib>

namespace demo {
namespace {

constexpr size_t kMaxHead = 64 << 10, kMaxBody = 16 << 20;

std::string Decode(const std::string& text, bool plusIsSpace) {
  std::string out;
  for (size_t i = 0; i < text.size(); i++) {
    unsigned value;
    if (text[i] == '%' && i + 2 < text.size() && sscanf(text.c_str() + i + 1, "%2x", &value) == 1) {
      out += static_cast<char>(value);
      i += 2;
    } else {
      out += plusIsSpace && text[i] == '+' ? ' ' : text[i];
    }
  }
  return out;
}

void SplitTarget(Request& request) {
  std::string target = request.target.substr(0, request.target.find('#'));
  if (target.rfind("http://", 0) == 0) {
    size_t slash = target.find('/', 7);
    target = slash == std::string::npos ? "/" : target.substr(slash);
  }
  size_t mark = target.find('?');
  request.path = Decode(target.substr(0, mark), false);
  for (size_t at = mark; at != std::string::npos && ++at <= target.size();) {
    size_t end = target.find('&', at);
    std::string pair = target.substr(at, end == std::string::npos ? end : end - at);
    size_t equals = pair.find('=');
    if (!pair.empty())
      request.query[Decode(pair.substr(0, equals), true)] =
          equals == std::string::npos ? "" : Decode(pair.substr(equals + 1), true);
    at = end;
  }
}

bool ParseHead(const std::string& head, Request& request, int& status) {
  size_t line = head.find("\r\n");
  std::string first = head.substr(0, line);
  size_t one = first.find(' '), two = first.rfind(' ');
  status = 400;
  if (one == std::string::npos || two == one) return false;
  request.method = first.substr(0, one);
  request.target = first.substr(one + 1, two - one - 1);
  std::string version = first.substr(two + 1);
  if (request.target.empty() || request.target.find(' ') != std::string::npos) return false;
  for (char c : request.method)
    if (c < 'A' || c > 'Z') return false;
  if (version != "HTTP/1.1" && version != "HTTP/1.0") {
    status = 505;
    return false;
  }
  while (line != std::string::npos && line + 2 < head.size()) {
    size_t from = line + 2;
    line = head.find("\r\n", from);
    std::string text = head.substr(from, line == std::string::npos ? line : line - from);
    size_t colon = text.find(':');
    if (colon == std::string::npos || colon == 0) return false;
    size_t value = text.find_first_not_of(" \t", colon + 1), last = text.find_last_not_of(" \t");
    request.headers.emplace_back(text.substr(0, colon),
                                 value == std::string::npos ? "" : text.substr(value, last - value + 1));
  }
  std::string connection = request.Header("connection");
  request.keepAlive = version == "HTTP/1.1" ? strcasecmp(connection.c_str(), "close") != 0
                                            : strcasecmp(connection.c_str(), "keep-alive") == 0;
  SplitTarget(request);
  return true;
}

// Chunked bodies; returns the bytes used, 0 when more are needed, -1 when they are none.
long TakeChunks(const std::string& bytes, size_t from, std::string& body) {
  for (size_t at = from;;) {
    size_t end = bytes.find("\r\n", at);
    if (end == std::string::npos) return bytes.size() - at > 64 ? -1 : 0;
    char* stop;
    unsigned long size = strtoul(bytes.c_str() + at, &stop, 16);
    if (stop == bytes.c_str() + at || size > kMaxBody || body.size() + size > kMaxBody) return -1;
    at = end + 2;
    if (size == 0) {
      size_t trailer = bytes.compare(at, 2, "\r\n") == 0 ? at : bytes.find("\r\n\r\n", at);
      if (trailer == std::string::npos) return bytes.size() - at > kMaxHead ? -1 : 0;
      return static_cast<long>(trailer + (trailer == at ? 2 : 4) - from);
    }
    if (bytes.size() < at + size + 2) return 0;
    body.append(bytes, at, size);
    at += size + 2;
  }
}

}  // namespace

std::string Request::Header(const char* name) const {
  for (auto& [key, value] : headers)
    if (strcasecmp(key.c_str(), name) == 0) return value;
  return "";
}

std::string Request::Query(const char* name, const char* otherwise) const {
  auto found = query.find(name);
  return found == query.end() ? otherwise : found->second;
}

long Request::QueryNumber(const char* name, long otherwise) const {
  std::string text = Query(name);
  char* end;
  long value = strtol(text.c_str(), &end, 10);
  return text.empty() || *end ? otherwise : value;
}

Parsed ParseRequest(std::string& bytes, Request& request, int& status, bool& wantsContinue) {
  size_t skip = 0;
  while (bytes.compare(skip, 2, "\r\n") == 0) skip += 2;
  bytes.erase(0, skip);
  size_t end = bytes.find("\r\n\r\n");
  if (end == std::string::npos) {
    status = 431;
    return bytes.size() > kMaxHead ? Parsed::Bad : Parsed::NeedMore;
  }
  if (!ParseHead(bytes.substr(0, end), request, status)) return Parsed::Bad;
  size_t bodyAt = end + 4;
  wantsContinue = strcasecmp(request.Header("expect").c_str(), "100-continue") == 0;
  std::string encoding = request.Header("transfer-encoding"), length = request.Header("content-length");
  if (!encoding.empty()) {
    if (strcasecmp(encoding.c_str(), "chunked") != 0) {
      status = 501;
      return Parsed::Bad;
    }
    long used = TakeChunks(bytes, bodyAt, request.body);
    status = 400;
    if (used < 0) return Parsed::Bad;
    if (used == 0) return Parsed::NeedMore;
    bytes.erase(0, bodyAt + used);
    return Parsed::Done;
  }
  char* stop;
  unsigned long size = length.empty() ? 0 : strtoul(length.c_str(), &stop, 10);
  if (!length.empty() && (*stop || length[0] == '-')) return Parsed::Bad;
  if (size > kMaxBody) {
    status = 413;
    return Parsed::Bad;
  }
  if (bytes.size() < bodyAt + size) return Parsed::NeedMore;
  request.body = bytes.substr(bodyAt, size);
  bytes.erase(0, bodyAt + size);
  return Parsed::Done;
}

const char* StatusText(int status) {
  switch (status) {
    case 200: return "OK";
    case 201: return "Created";
    case 204: return "No Content";
    case 301: return "Moved Permanently";
    case 400: return "Bad Request";
    case 403: return "Forbidden";
    case 404: return "Not Found";
    case 405: return "Method Not Allowed";
    case 413: return "Content Too Large";
    case 431: return "Request Header Fields Too Large";
    case 500: return "Internal Server Error";
    case 501: return "Not Implemented";
    case 503: return "Service Unavailable";
    case 505: return "HTTP Version Not Supported";
    case 507: return "Insufficient Storage";
    default: return status < 400 ? "OK" : "Error";
  }
}

std::string JsonString(const std::string& text) {
  std::string out = "\"";
  for (unsigned char c : text) {
    if (c == '"' || c == '\\') {
      out += '\\';
      out += static_cast<char>(c);
    } else if (c < 0x20) {
      char code[8];
      snprintf(code, sizeof code, "\\u%04x", c);
      out += code;
    } else {
      out += static_cast<char>(c);
    }
  }
  return out + '"';
}

std::string HtmlEscape(const std::string& text) {
  std::string out;
  for (char c : text) {
    if (c == '<') out += "&lt;";
    else if (c == '>') out += "&gt;";
    else if (c == '&') out += "&amp;";
    else if (c == '"') out += "&quot;";
    else out += c;
  }
  return out;
}

}  // namespace demo
