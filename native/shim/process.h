// Containers and exec'd processes: what runs, its pipes, and how it ended.
#pragma once
#include "client.h"
#include "log.h"
#include "loop.h"
#include "wire.h"

struct Process {
  Process* next = nullptr;
  bool container = false;
  bool starting = true;   // until the command is executed, or was not
  bool ended = false;     // reaped
  bool finished = false;  // and its output is at its end
  bool tty = false, takes_input = false, stdin_once = false;
  bool met = false;  // somebody has attached with input
  bool oom = false;
  int pid = 0, pidfd = -1;
  Io sync, out, err, in;
  int64_t created = 0, started = 0, finished_at = 0, deadline = 0;
  int code = 0, signal = 0;
  // Who asked for it to be started, until it is answered.
  Client* starter = nullptr;
  uint32_t request = 0;
  // Of a container.
  char* id = nullptr;
  char* oom_file = nullptr;
  char* kill_file = nullptr;
  Log log;
  Line lines[2];
  Client* attached = nullptr;  // linked by next_attached
  Buffer early;                // with stdin_once: output before somebody came with input, as frames
  // Of an exec.
  Client* session = nullptr;
};

extern Process* processes;

Process* find_container(const char* id);
// kStart and kExec: answers now with an error, or when the command is executed.
void process_start(Client* client, uint32_t request, Type type, Fields fields);
void process_attach(Client* client, uint32_t request, Fields fields);
void process_resize(Process* process, uint16_t columns, uint16_t rows);
// Takes bytes for its stdin; returns how many were taken, which is all when nobody reads them any more.
uint32_t process_input(Process* process, const uint8_t* data, uint32_t size);
void process_input_end(Process* process);
// The session's client takes bytes again, or is gone.
void process_session_ready(Process* process);
void process_session_gone(Process* process, Client* client);
// Ends it when it is reaped and its output is at its end.
void process_settle(Process* process);
void process_describe(Process* process, Frame& frame);
void process_forget(Process* process);
void processes_reap();
// Milliseconds until processes_expire is due, -1 for never.
int processes_timeout();
void processes_expire();
[[noreturn]] void processes_shutdown();
