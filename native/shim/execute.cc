// The last steps of a process: limits, working directory, user, filter, and the command itself.
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include <sched.h>

#include "sandbox.h"
#include "spec.h"

static const char* get_env(Spec& spec, const char* name) {
  size_t length = strlen(name);
  for (uint32_t i = 0; i < spec.env.count; i++)
    if (strncmp(spec.env[i], name, length) == 0 && spec.env[i][length] == '=') return spec.env[i] + length + 1;
  return nullptr;
}

// The home folder that /etc/passwd gives the user, "/" if it doesn't know it.
static const char* home_of(uint64_t uid) {
  static char text[65536];
  static char home[1024];
  if (read_file("/etc/passwd", text, sizeof text) > 0)
    for (char* line = text; line; line = strchr(line, '\n'), line = line ? line + 1 : nullptr) {
      char* end = strchr(line, '\n');
      char* fields[7] = {line};
      int n = 1;
      for (char* at = line; *at && at != end && n < 7; at++)
        if (*at == ':') fields[n++] = at + 1;
      if (n < 7 || static_cast<uint64_t>(strtoll(fields[2], nullptr, 10)) != uid) continue;
      size_t length = fields[6] - 1 - fields[5];
      if (!length || length >= sizeof home) break;
      memcpy(home, fields[5], length);
      return home;
    }
  return "/";
}

static void enter_working_directory(const char* path) {
  if (!*path) path = "/";
  if (chdir(path) == 0) return;
  if (errno == ENOENT) {
    char* part = copy_string(path);
    for (char* at = part + 1; *at; at++)
      if (*at == '/') {
        *at = 0;
        mkdir(part, 0755);
        *at = '/';
      }
    mkdir(part, 0755);
    free(part);
  }
  if (chdir(path) < 0) fail("chdir to", path);
}

[[noreturn]] static void not_executable(const char* command, const char* reason, const char* path = "") {
  Text text;
  text.add("exec: \"").add(command).add("\": ").add(reason);
  if (*path) text.add(" ").add(path).add(": ").add(strerrordesc_np(errno));
  text.add(": unknown");  // what users of containerd see, and search for
  fail_with(text.c_str());
}

static bool executable(const char* path) {
  struct stat info;
  if (stat(path, &info) < 0) return false;
  if (S_ISDIR(info.st_mode)) return errno = EISDIR, false;
  return faccessat(AT_FDCWD, path, X_OK, AT_EACCESS) == 0;
}

static const char* find_command(Spec& spec, const char* command) {
  if (strchr(command, '/')) {
    if (executable(command)) return command;
    if (errno == EISDIR) not_executable(command, "is a directory");
    if (errno == EACCES) not_executable(command, "permission denied");
    if (errno == ENOENT) {
      Text reason;
      not_executable(command, reason.add("stat ").add(command).add(": no such file or directory").c_str());
    }
    not_executable(command, "stat", command);
  }
  const char* path = get_env(spec, "PATH");
  static char candidate[4096];
  size_t name = strlen(command);
  while (path && *path) {
    size_t length = strcspn(path, ":");
    if (length && length + name + 2 < sizeof candidate) {
      memcpy(candidate, path, length);
      candidate[length] = '/';
      memcpy(candidate + length + 1, command, name + 1);
      if (executable(candidate)) return candidate;
    }
    path += length + (path[length] == ':');
  }
  not_executable(command, "executable file not found in $PATH");
}

void execute(Spec& spec) {
  for (uint32_t i = 0; i < spec.rlimits.count; i++) {
    rlimit now, wanted = {spec.rlimits[i].soft, spec.rlimits[i].hard};
    auto resource = static_cast<__rlimit_resource>(spec.rlimits[i].resource);
    if (getrlimit(resource, &now) < 0) fail("get a resource limit");
    // Raising a hard limit takes a capability that the agent may not have.
    if (wanted.rlim_max > now.rlim_max && setrlimit(resource, &wanted) == 0) continue;
    if (wanted.rlim_max > now.rlim_max) wanted.rlim_max = now.rlim_max;
    if (wanted.rlim_cur > wanted.rlim_max) wanted.rlim_cur = wanted.rlim_max;
    if (setrlimit(resource, &wanted) < 0) fail("set a resource limit");
  }
  // The namespace of mounts is then one of its own, in which those that were made for it can't be undone.
  if (!enter_users() || (sandbox.users >= 0 && !spec.joins && unshare(CLONE_NEWNS) < 0)) fail("enter the user namespace");
  umask(0022);
  enter_working_directory(spec.cwd);
  Text home;
  if (!get_env(spec, "HOME")) spec.env.add(home.add("HOME=").add(home_of(spec.uid)).c_str());
  spec.env.add(nullptr);
  const char* command = spec.argv[0];
  spec.argv.add(nullptr);

  // Without no_new_privs a filter takes CAP_SYS_ADMIN; with it, it is put on last so that it covers the least of this.
  bool no_new_privileges = spec.flags & kNoNewPrivileges;
  if (!no_new_privileges) install_seccomp();
  drop_privileges(spec);
  const char* path = find_command(spec, command);
  if (no_new_privileges) {
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0) fail("set no_new_privs");
    install_seccomp();
  }
  execve(path, const_cast<char**>(spec.argv.items), const_cast<char**>(spec.env.items));
  if (errno == ENOEXEC) not_executable(command, "exec format error");
  // An interpreter that is missing.
  if (errno == ENOENT) not_executable(command, "no such file or directory");
  not_executable(command, "exec", path);
}
