// Serves the container's file system, read only.
#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "handlers.h"

namespace demo {
namespace {

const char* TypeOf(const std::string& path) {
  static const std::pair<const char*, const char*> kTypes[] = {
      {".html", "text/html; charset=utf-8"}, {".css", "text/css"},   {".js", "text/javascript"},
      {".json", "application/json"},         {".svg", "image/svg+xml"}, {".png", "image/png"},
      {".txt", "text/plain; charset=utf-8"}};
  for (auto& [end, type] : kTypes)
    if (path.size() > strlen(end) && path.compare(path.size() - strlen(end), strlen(end), end) == 0) return type;
  return "application/octet-stream";
}

// Text is shown, anything else is downloaded.
std::string Guess(int fd, const std::string& path) {
  char start[512];
  ssize_t size = pread(fd, start, sizeof start, 0);
  std::string type = TypeOf(path);
  if (type != "application/octet-stream" || size < 0) return type;
  return std::find(start, start + size, '\0') == start + size ? "text/plain; charset=utf-8" : type;
}

Response Listing(const std::string& path, int fd) {
  DIR* dir = fdopendir(fd);
  std::vector<std::string> names;
  while (dirent* entry = readdir(dir)) {
    std::string name = entry->d_name;
    if (name == "." || name == "..") continue;
    names.push_back(entry->d_type == DT_DIR ? name + "/" : name);
  }
  closedir(dir);
  std::sort(names.begin(), names.end());
  Response response;
  response.type = "text/html; charset=utf-8";
  response.body = "<!doctype html><title>" + HtmlEscape(path) + "</title><pre>\n";
  for (auto& name : names)
    response.body += "<a href=\"" + HtmlEscape(name) + "\">" + HtmlEscape(name) + "</a>\n";
  response.body += "</pre>\n";
  return response;
}

Response Failed(const std::string& path) {
  int status = errno == ENOENT || errno == ENOTDIR ? 404 : errno == EACCES ? 403 : 500;
  return Text(path + ": " + strerror(errno) + "\n", status);
}

}  // namespace

Response ServeFile(const std::string& path) {
  if (path.find('\0') != std::string::npos) return Text("bad path\n", 400);
  int fd = open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
  struct stat info;
  if (fd < 0) return Failed(path);
  if (fstat(fd, &info) < 0) {
    Response failed = Failed(path);
    close(fd);
    return failed;
  }
  if (S_ISDIR(info.st_mode)) {
    if (path.back() == '/') return Listing(path, fd);
    close(fd);
    Response moved = Text("", 301);
    moved.location = "/fs" + path + "/";
    for (char& c : moved.location)
      if (c == '\r' || c == '\n') c = '_';
    return moved;
  }
  Response response;
  if (!S_ISREG(info.st_mode)) {
    close(fd);
    return Text(path + " is neither a file nor a folder\n", 403);
  }
  response.type = Guess(fd, path);
  if (info.st_size > 0) {
    response.file = fd;
    response.fileSize = info.st_size;
    return response;
  }
  // Files of /proc and /sys tell no size.
  char buffer[4096];
  for (ssize_t size; response.body.size() < (8 << 20) && (size = read(fd, buffer, sizeof buffer)) > 0;)
    response.body.append(buffer, size);
  close(fd);
  return response;
}

}  // namespace demo
