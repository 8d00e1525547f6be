// Starts processes in containers: a child of the shim sets itself up step by step and executes the command.
#pragma once
#include "spec.h"

struct Spawned {
  int pid = -1, pidfd = -1;
  int sync = -1;                 // messages of the child; its end means that the command was executed
  int in = -1, out = -1, err = -1;  // this side of the pipes; -1 with a terminal
};

// Messages on `sync`: this letter first.
constexpr char kTerminal = 'T';  // with the terminal's file descriptor
constexpr char kFailed = 'F';    // and a sentence

// `container` is the pidfd to join for an exec, -1 to make a new container; `pids` that of the container whose PID
// namespace the new one joins, -1 for one of its own.
bool spawn(Fields fields, int container, int pids, Spawned& spawned, Text& error);
// Takes one message; the terminal's descriptor, if one came, is put to `terminal`. Returns its length, 0 at the end, -1 for none yet.
int spawn_message(int sync, char* data, size_t room, int& terminal);
