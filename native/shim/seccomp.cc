// System call filters: the default profile, or a profile's rules as the agent sends them. Built programs are kept in files,
// since the building takes longer than all other steps of a start together.
#include <cstdio>
#include <initializer_list>
#include <seccomp.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <sys/syscall.h>

#include <linux/filter.h>
#include <linux/seccomp.h>

#include "spec.h"
#include "syscalls.h"

constexpr uint64_t kNamespaceFlags = 0x7E020000;  // CLONE_NEWNS … CLONE_NEWNET, CLONE_NEWCGROUP

static void add_rule(scmp_filter_ctx context, uint32_t action, const char* name, const scmp_arg_cmp* args = nullptr,
                     unsigned count = 0) {
  int number = seccomp_syscall_resolve_name(name);
  if (number == __NR_SCMP_ERROR) return;
  // An action equal to the default's is refused, a call of another architecture has no number here: both do no harm.
  seccomp_rule_add_array(context, action, number, count, args);
}

static void add_names(scmp_filter_ctx context, const char* names) {
  char name[64];
  while (*names) {
    size_t length = strcspn(names, " ");
    if (length && length < sizeof name) {
      memcpy(name, names, length);
      name[length] = 0;
      add_rule(context, SCMP_ACT_ALLOW, name);
    }
    names += length + (names[length] == ' ');
  }
}

static void add_default_rules(scmp_filter_ctx context, uint64_t capabilities) {
  for (const char* names : kAllowed) add_names(context, names);
  for (const CapabilityCalls& calls : kAllowedWith)
    if (capabilities >> calls.capability & 1) add_names(context, calls.names);
  // Every family but vsock, which reaches the hypervisor.
  scmp_arg_cmp family = SCMP_A0(SCMP_CMP_NE, AF_VSOCK);
  add_rule(context, SCMP_ACT_ALLOW, "socket", &family, 1);
  for (uint64_t personality : {0x0ull, 0x8ull, 0x20000ull, 0x20008ull, 0xffffffffull}) {
    scmp_arg_cmp is = SCMP_A0(SCMP_CMP_EQ, personality);
    add_rule(context, SCMP_ACT_ALLOW, "personality", &is, 1);
  }
  if (capabilities >> CAP_SYS_ADMIN & 1) return;
  scmp_arg_cmp no_namespaces = SCMP_A0(SCMP_CMP_MASKED_EQ, kNamespaceFlags, 0);
  add_rule(context, SCMP_ACT_ALLOW, "clone", &no_namespaces, 1);
  // Its flags lie in memory, out of a filter's sight: callers then fall back to clone.
  add_rule(context, SCMP_ACT_ERRNO(ENOSYS), "clone3");
}

// kSeccompRules: kData = the default action (u32), then for each call kMount { kSource name, kMountFlags action,
// kData arguments as {u32 index, u32 op, u64 value, u64 second}* }.
static void add_given_rules(scmp_filter_ctx context, Fields rules) {
  struct Argument {
    uint32_t index, op;
    uint64_t value, second;
  };
  Field field;
  while (rules.next(field)) {
    if (field.tag != kMount) continue;
    Fields rule = {field.data, field.size}, rest = rule;
    scmp_arg_cmp args[6];
    unsigned count = 0;
    Field part;
    while (rest.next(part))
      if (part.tag == kData)
        for (uint32_t at = 0; at + sizeof(Argument) <= part.size && count < 6; at += sizeof(Argument)) {
          Argument a;
          memcpy(&a, part.data + at, sizeof a);
          args[count++] = {a.index, static_cast<scmp_compare>(a.op), a.value, a.second};
        }
    add_rule(context, rule.number(kMountFlags), rule.text(kSource), args, count);
  }
}

static int build(Spec& spec, const char* cache) {
  uint32_t otherwise = SCMP_ACT_ERRNO(EPERM);
  if (spec.seccomp == kRules) otherwise = spec.seccomp_rules.number(kData);
  scmp_filter_ctx context = seccomp_init(otherwise);
  if (!context) fail_with("seccomp: no memory");
  // A search tree instead of a chain of comparisons.
  seccomp_attr_set(context, SCMP_FLTATR_CTL_OPTIMIZE, 2);
#if defined(__x86_64__)
  seccomp_arch_add(context, SCMP_ARCH_X86);
  seccomp_arch_add(context, SCMP_ARCH_X32);
#elif defined(__aarch64__)
  seccomp_arch_add(context, SCMP_ARCH_ARM);
#endif
  if (spec.seccomp == kRules) add_given_rules(context, spec.seccomp_rules);
  else add_default_rules(context, spec.capabilities);
  uint64_t random = 0;
  getrandom(&random, sizeof random, 0);
  Text temporary;
  temporary.add(cache).add("~").number(random >> 1);
  int fd = open(temporary.c_str(), O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
  if (fd < 0) fail("seccomp: write", cache);
  int error = seccomp_export_bpf(context, fd);
  if (error < 0) {
    errno = -error;
    fail("seccomp: build the filter");
  }
  rename(temporary.c_str(), cache);
  return fd;
}

static sock_filter program[8192];
static sock_fprog loaded = {0, program};

void prepare_seccomp(Spec& spec) {
  if (spec.seccomp == kUnconfined) return;
  int fd = open(spec.seccomp_cache, O_RDONLY | O_CLOEXEC);
  if (fd < 0) fd = build(spec, spec.seccomp_cache);
  ssize_t size = pread(fd, program, sizeof program, 0);
  close(fd);
  if (size <= 0 || size % sizeof(sock_filter) || size == sizeof program) fail_with("seccomp: the filter is unusable");
  loaded.len = size / sizeof(sock_filter);
}

void install_seccomp() {
  if (loaded.len && syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &loaded) < 0) fail("seccomp: install the filter");
}
