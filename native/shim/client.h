// Connections to the shim's socket: control connections and sessions.
#pragma once
#include "loop.h"
#include "wire.h"

struct Process;

struct Client {
  Client* next = nullptr;
  Client* next_attached = nullptr;
  Io io;
  Buffer in, out;
  bool founder = false;        // started this process
  bool events = false;         // said hello: is told of exits
  bool input_ended = false;    // the end of the process's stdin was passed on
  bool closing = false;        // its output ends after what waits is written
  bool waiting = false;        // its process takes no input for now
  bool dropped = false;        // to be freed by the loop's next turn
  Process* process = nullptr;  // of a session
  bool attach = false;
  uint64_t wants = 0;  // kWantStdin …
};

void clients_listen(int fd);
Client* client_add(int fd);
// Sends, and keeps what the socket does not take.
void client_send(Client* client, Frame& frame);
// A session's output: header and data without a copy when the socket takes them.
void client_output(Client* client, Type type, const uint8_t* data, uint32_t size);
void client_error(Client* client, uint32_t request, const char* message);
void client_close(Client* client);
// Ends the output after all is sent, and closes when the other side does.
void client_finish(Client* client);
// Input that waited for the process may be passed on now.
void client_resume(Client* client);
// Frees the dropped ones; for the loop, when no handler holds a client.
void clients_bury();
void clients_notify(Frame& frame);
