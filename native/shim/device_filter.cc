// The device controller of cgroup version 2: a program that the kernel asks at each use of a device node.
#include <linux/bpf.h>
#include <sys/syscall.h>

#include "spec.h"

static bpf_insn load(uint8_t to, int16_t offset) { return {BPF_LDX | BPF_MEM | BPF_W, to, BPF_REG_1, offset, 0}; }
static bpf_insn alu(uint8_t operation, uint8_t reg, int32_t value) {
  return {static_cast<uint8_t>(BPF_ALU | operation | BPF_K), reg, 0, 0, value};
}
static bpf_insn jump(uint8_t condition, uint8_t reg, int32_t value, int16_t by) {
  return {static_cast<uint8_t>(BPF_JMP | condition | BPF_K), reg, 0, by, value};
}

// Lets a device of its own pass, by the access that it has; else goes on behind.
static void allow(List<bpf_insn>& program, uint64_t rule, const uint8_t (&registers)[4]) {
  auto [type, access, major, minor] = registers;
  constexpr uint8_t kRest = BPF_REG_6;
  const bpf_insn steps[] = {
      jump(BPF_JNE, type, rule >> 56, 7),
      jump(BPF_JNE, major, rule >> 24 & 0xffffff, 6),
      jump(BPF_JNE, minor, rule & 0xffffff, 5),
      {BPF_ALU | BPF_MOV | BPF_X, kRest, access, 0, 0},
      alu(BPF_AND, kRest, ~static_cast<int32_t>(rule >> 48 & 0xff)),
      jump(BPF_JNE, kRest, 0, 2),
      alu(BPF_MOV, BPF_REG_0, 1),
      jump(BPF_EXIT, 0, 0, 0),
  };
  for (const bpf_insn& step : steps) program.add(step);
}

// The rules that src/runtime/cgroup/v1.ts writes: making any node, using null, zero, full, random, urandom, tty,
// console, ptmx and pseudo terminals. Before them, those of the container's own devices.
void limit_devices(Spec& spec) {
  const char* cgroup = spec.device_cgroup;
  constexpr uint8_t kType = BPF_REG_2, kAccess = BPF_REG_3, kMajor = BPF_REG_4, kMinor = BPF_REG_5;
  constexpr int kAllow = 18, kDeny = 20;
  const bpf_insn loads[] = {
      /* 0 */ load(kType, 0),
      /* 1 */ load(kAccess, 0),
      /* 2 */ alu(BPF_AND, kType, 0xffff),
      /* 3 */ alu(BPF_RSH, kAccess, 16),
      /* 4 */ load(kMajor, 4),
      /* 5 */ load(kMinor, 8),
  };
  const bpf_insn rules[] = {
      /* 6 */ jump(BPF_JEQ, kAccess, BPF_DEVCG_ACC_MKNOD, kAllow - 7),
      /* 7 */ jump(BPF_JNE, kType, BPF_DEVCG_DEV_CHAR, kDeny - 8),
      /* 8 */ jump(BPF_JEQ, kMajor, 136, kAllow - 9),
      /* 9 */ jump(BPF_JEQ, kMajor, 5, 16 - 10),
      /* 10 */ jump(BPF_JNE, kMajor, 1, kDeny - 11),
      /* 11 */ jump(BPF_JEQ, kMinor, 3, kAllow - 12),
      /* 12 */ jump(BPF_JEQ, kMinor, 5, kAllow - 13),
      /* 13 */ jump(BPF_JGT, kMinor, 9, kDeny - 14),
      /* 14 */ jump(BPF_JGE, kMinor, 7, kAllow - 15),
      /* 15 */ jump(BPF_JA, 0, 0, kDeny - 16),
      /* 16 */ jump(BPF_JGT, kMinor, 2, kDeny - 17),
      /* 17 */ jump(BPF_JA, 0, 0, kAllow - 18),
      /* 18 */ alu(BPF_MOV, BPF_REG_0, 1),
      /* 19 */ jump(BPF_EXIT, 0, 0, 0),
      /* 20 */ alu(BPF_MOV, BPF_REG_0, 0),
      /* 21 */ jump(BPF_EXIT, 0, 0, 0),
  };
  List<bpf_insn> program;
  for (const bpf_insn& step : loads) program.add(step);
  for (uint32_t i = 0; i < spec.devices.count; i++)
    allow(program, spec.devices[i], {kType, kAccess, kMajor, kMinor});
  for (const bpf_insn& step : rules) program.add(step);
  bpf_attr load_it = {};
  load_it.prog_type = BPF_PROG_TYPE_CGROUP_DEVICE;
  load_it.insn_cnt = program.count;
  load_it.insns = reinterpret_cast<uint64_t>(&program[0]);
  load_it.license = reinterpret_cast<uint64_t>("GPL");
  int loaded = syscall(SYS_bpf, BPF_PROG_LOAD, &load_it, sizeof load_it);
  if (loaded < 0) fail("load the device filter");
  int group = open(cgroup, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (group < 0) fail("open cgroup", cgroup);
  bpf_attr attach_it = {};
  attach_it.target_fd = group;
  attach_it.attach_bpf_fd = loaded;
  attach_it.attach_type = BPF_CGROUP_DEVICE;
  attach_it.attach_flags = BPF_F_ALLOW_MULTI;
  if (syscall(SYS_bpf, BPF_PROG_ATTACH, &attach_it, sizeof attach_it) < 0) fail("attach the device filter to", cgroup);
  close(loaded);
  close(group);
}
