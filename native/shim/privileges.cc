// User, groups and capabilities of a container's process.
#include <grp.h>
#include <linux/capability.h>
#include <sys/prctl.h>
#include <sys/syscall.h>

#include "spec.h"

void drop_privileges(Spec& spec) {
  // Bits that the shim itself lacks can't be given.
  uint64_t mine = 0;
  for (int cap = 0; cap < 64; cap++) {
    int held = prctl(PR_CAPBSET_READ, cap);
    if (held < 0) break;
    if (held) mine |= 1ull << cap;
    if (held && !(spec.capabilities >> cap & 1) && prctl(PR_CAPBSET_DROP, cap) < 0)
      fail("drop a capability from the bounding set");
  }
  uint64_t set = spec.capabilities & mine;
  if (prctl(PR_SET_KEEPCAPS, 1) < 0) fail("keep capabilities");
  // The plain system calls: the C library's own keep threads in step, which there are none of.
  if (syscall(SYS_setgroups, spec.groups.count, spec.groups.items) < 0) fail("set groups");
  if (syscall(SYS_setresgid, spec.gid, spec.gid, spec.gid) < 0) fail("set the group id");
  if (syscall(SYS_setresuid, spec.uid, spec.uid, spec.uid) < 0) fail("set the user id");
  prctl(PR_SET_KEEPCAPS, 0);
  prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0);
  __user_cap_header_struct head = {_LINUX_CAPABILITY_VERSION_3, 0};
  __user_cap_data_struct data[2] = {};
  for (int half = 0; half < 2; half++) data[half].effective = data[half].permitted = set >> (32 * half);
  if (syscall(SYS_capset, &head, data) < 0) fail("set capabilities");
}
