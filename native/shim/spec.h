// What a process is to become, parsed in the child from the request's fields.
#pragma once
#include "wire.h"

struct MountSpec {
  uint64_t kind = 0, flags = 0, propagation = 0;
  const char *source = "", *target = "", *type = "", *data = "";
  int tree = -1;  // of a bind: the cloned source
};

struct Rlimit {
  uint64_t resource, soft, hard;
};

struct Spec {
  uint64_t flags = 0, uid = 0, gid = 0, capabilities = 0, seccomp = 0;
  int64_t oom_score_adj = 0;
  bool joins = false;  // the namespaces of a container that runs
  const char *cwd = "", *upper = "", *work = "", *root = "", *seccomp_cache = "", *device_cgroup = "";
  List<const char*> argv, env, lower, cgroups, masked, read_only;
  List<uint32_t> groups;
  List<uint64_t> devices;  // rules of 8 bits type, 8 access, 24 major and 24 minor number
  List<MountSpec> mounts;
  List<Rlimit> rlimits;
  Fields seccomp_rules = {nullptr, 0};
};

void parse_spec(Fields fields, Spec& spec);

// Of the child: tells the shim why the command can't be executed, and ends. `step: reason` of errno unless it is 0.
[[noreturn]] void fail(const char* step, const char* what = "");
[[noreturn]] void fail_with(const char* sentence);
extern int sync_fd;

// Steps, each in a file of its own; all end in fail() when they can't be done.
void set_up_root(Spec& spec);                   // rootfs.cc: from clone to pivot_root
void make_devices(Spec& spec, int dev);         // devices.cc
void limit_devices(Spec& spec);                 // device_filter.cc: of a group of version 2
int open_terminal(int ptmx_directory);          // terminal.cc: returns the slave, sends the master to the shim
void drop_privileges(Spec& spec);               // privileges.cc
void prepare_seccomp(Spec& spec);               // seccomp.cc: while the host's files are in sight
void install_seccomp();
[[noreturn]] void execute(Spec& spec);          // execute.cc
// mounts.cc: an O_PATH descriptor of `path` below `root`, made if missing as a folder or an empty file.
int open_target(int root, const char* path, bool folder);
