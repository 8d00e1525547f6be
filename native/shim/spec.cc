// Parses a Spec, see spec.h.
#include "spec.h"

static MountSpec parse_mount(Fields fields) {
  MountSpec mount;
  Field field;
  while (fields.next(field)) switch (field.tag) {
      case kMountKind: mount.kind = field.number(); break;
      case kSource: mount.source = field.text(); break;
      case kTarget: mount.target = field.text(); break;
      case kFsType: mount.type = field.text(); break;
      case kData: mount.data = field.text(); break;
      case kMountFlags: mount.flags = field.number(); break;
      case kPropagation: mount.propagation = field.number(); break;
    }
  return mount;
}

void parse_spec(Fields fields, Spec& spec) {
  Field field;
  while (fields.next(field)) switch (field.tag) {
      case kFlags: spec.flags = field.number(); break;
      case kUid: spec.uid = field.number(); break;
      case kGid: spec.gid = field.number(); break;
      case kGroup: spec.groups.add(field.number()); break;
      case kCapabilities: spec.capabilities = field.number(); break;
      case kSeccomp: spec.seccomp = field.number(); break;
      case kSeccompCache: spec.seccomp_cache = field.text(); break;
      case kSeccompRules: spec.seccomp_rules = {field.data, field.size}; break;
      case kDeviceCgroup: spec.device_cgroup = field.text(); break;
      case kDevice: spec.devices.add(field.number()); break;
      case kOomScoreAdj: spec.oom_score_adj = static_cast<int64_t>(field.number()); break;
      case kCwd: spec.cwd = field.text(); break;
      case kUpper: spec.upper = field.text(); break;
      case kWork: spec.work = field.text(); break;
      case kRoot: spec.root = field.text(); break;
      case kLower: spec.lower.add(field.text()); break;
      case kArg: spec.argv.add(field.text()); break;
      case kEnv: spec.env.add(field.text()); break;
      case kCgroupProcs: spec.cgroups.add(field.text()); break;
      case kMasked: spec.masked.add(field.text()); break;
      case kReadOnlyPath: spec.read_only.add(field.text()); break;
      case kMount: spec.mounts.add(parse_mount({field.data, field.size})); break;
      case kRlimit:
        if (field.size == sizeof(Rlimit)) {
          Rlimit limit;
          memcpy(&limit, field.data, sizeof limit);
          spec.rlimits.add(limit);
        }
        break;
    }
}
