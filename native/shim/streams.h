// Between processes (process.h) and their streams.
#pragma once
#include <initializer_list>

#include "process.h"

// How long the output of an ended process is awaited when somebody else holds its pipes.
constexpr int64_t kLinger = 500;

// This side of the pipes; -1 for those it hasn't.
void streams_open(Process* process, int in, int out, int err);
// The master of its terminal.
void streams_open_terminal(Process* process, int terminal);
// Reads what an ended process has left, as far as its readers are not behind.
void streams_drain(Process* process);
