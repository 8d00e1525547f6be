// The pod's namespaces, held by this process for as long as it lives.
#pragma once
#include "wire.h"

struct Sandbox {
  uint64_t flags = 0;
  int host_mounts = -1;  // the agent's mount namespace, which this process stays in
  int shm_mounts = -1;   // a mount namespace whose root is the pod's /dev/shm; -1 with the host's IPC
  int own_pids = -1;     // this process's PID namespace
  int users = -1;        // its user namespace; -1: that of the host
  uint32_t base = 0;     // what its user and group 0 are on the host
  int pause = 0;         // init of the pod's PID namespace, if it has one
  bool ready = false;
};

extern Sandbox sandbox;

// Of a child: goes on as user 0 of the pod's user namespace, if it has one, with all capabilities in it and none outside.
bool enter_users();
// False with a sentence in `error`.
bool sandbox_setup(Fields fields, Text& error);
