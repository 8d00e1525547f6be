// Numbers of the shim's protocol; PROTOCOL.md tells what they mean. src/runtime/shim/protocol.ts mirrors them.
#pragma once
#include <cstdint>

constexpr uint32_t kMaxFrame = 4u << 20;
constexpr uint32_t kHeader = 9;  // u32 length, u8 type, u32 id

enum Type : uint8_t {
  // Requests.
  kSetup = 1,
  kHello = 2,
  kStart = 3,
  kSignal = 4,
  kRemove = 5,
  kReopen = 6,
  kExec = 7,
  kAttach = 8,
  kShutdown = 9,
  // Frames of a session, from the client.
  kStdin = 16,
  kStdinEnd = 17,
  kResize = 18,
  // From the shim.
  kOk = 32,
  kError = 33,
  kExit = 34,
  kStdout = 35,
  kStderr = 36,
  kEnded = 37,
};

enum Tag : uint8_t {
  kId = 1,
  kMessage = 2,
  kPid = 3,
  kCreatedAt = 4,
  kStartedAt = 5,
  kFinishedAt = 6,
  kExitCode = 7,
  kSignalNumber = 8,
  kOomKilled = 9,
  kContainer = 10,
  kState = 11,
  kFlags = 12,
  kHostname = 13,
  kSysctl = 14,
  kCgroupProcs = 15,
  kCgroupKill = 16,
  kOomFile = 17,
  kLogPath = 18,
  kArg = 19,
  kEnv = 20,
  kCwd = 21,
  kUid = 22,
  kGid = 23,
  kGroup = 24,
  kCapabilities = 25,
  kSeccomp = 26,
  kSeccompCache = 27,
  kSeccompRules = 28,
  kOomScoreAdj = 29,
  kLower = 30,
  kUpper = 31,
  kWork = 32,
  kRoot = 33,
  kMount = 34,
  kMountKind = 35,
  kSource = 36,
  kTarget = 37,
  kFsType = 38,
  kData = 39,
  kMountFlags = 40,
  kPropagation = 41,
  kMasked = 42,
  kReadOnlyPath = 43,
  kRlimit = 44,
  kColumns = 45,
  kRows = 46,
  kVersion = 47,
  kDeviceCgroup = 48,
  kPidsOf = 49,
  kUserBase = 50,
  kUserSize = 51,
  kDevice = 52,
};

// Of kFlags in kSetup.
enum SandboxFlags : uint64_t { kNetwork = 1, kPodPid = 2, kIpc = 4, kHostPid = 8 };

// Of kFlags in kStart, kExec and kAttach.
enum ProcessFlags : uint64_t {
  kTty = 1,
  kWantStdin = 2,
  kStdinOnce = 4,
  kNoNewPrivileges = 8,
  kReadOnlyRoot = 16,
  kAllDevices = 32,
  kWantStdout = 64,
  kWantStderr = 128,
};

enum MountKind : uint64_t { kBind = 1, kFilesystem = 2, kShm = 3 };
enum Propagation : uint64_t { kPrivate = 0, kSlave = 1, kShared = 2 };
enum Seccomp : uint64_t { kUnconfined = 0, kDefaultProfile = 1, kRules = 2 };
