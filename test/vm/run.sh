#!/bin/sh
# Runs the runtime's integration tests, and those of whole clusters that concern cgroups, in a virtual machine that has
# cgroup version 2 only, or version 1 with all its controllers. What it needs: see guest.sh.
# Usage: [NESTED=1] [V1=1] [KVM=1] test/vm/run.sh [files below dist/test/integration, without .test.js]
# NESTED: in a cgroup that is not the top one and has processes, as inside of a container.
set -eu
root=$(cd "$(dirname "$0")/../.." && pwd)
files="${*:-runtime/* cluster/node-policy cluster/resize cluster/eviction}"
work=$(mktemp -d /tmp/keelson-test-vm-XXXXXX)
trap 'rm -rf "$work"' EXIT
. "$root/test/vm/guest.sh"

unpack_kernel
make_initrd
make_disk
rm "$disk/sbin/init"
cat > "$disk/sbin/init" <<INIT
#!/bin/sh
export PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/root KEELSON_TEST_PATIENCE=10
mount -t proc proc /proc
mount -t sysfs sys /sys
mount -t devtmpfs dev /dev
mkdir -p /dev/shm /dev/pts
mount -t tmpfs shm /dev/shm
mount -t devpts pts /dev/pts
mount -t tmpfs run /run
if [ -n "${V1:-}" ]; then
  mount -t tmpfs cgroup /sys/fs/cgroup
  for controllers in cpu,cpuacct cpuset memory devices freezer blkio pids hugetlb; do
    mkdir /sys/fs/cgroup/\$controllers
    mount -t cgroup -o \$controllers cgroup /sys/fs/cgroup/\$controllers
  done
else
  mount -t cgroup2 cgroup /sys/fs/cgroup
fi
if [ -n "${NESTED:-}" ]; then
  # As in a container: the top group that is seen is not the kernel's, and holds processes.
  echo +cpu +cpuset +memory +pids +io +hugetlb > /sys/fs/cgroup/cgroup.subtree_control
  mkdir /sys/fs/cgroup/outer
  echo \$\$ > /sys/fs/cgroup/outer/cgroup.procs
  mount --bind /sys/fs/cgroup/outer /sys/fs/cgroup
fi
ip link set lo up
hostname vm
cd /opt/keelson
for file in $files; do set -- "\$@" "dist/test/integration/\$file.test.js"; done
node node_modules/mocha/bin/mocha.js --require ./slow.cjs --timeout 60000 "\$@"
echo "exit code \$?"
sync
echo o > /proc/sysrq-trigger
sleep 60
INIT
chmod +x "$disk/sbin/init"
boot -no-reboot -nic none
grep -q '^exit code 0' "$work/output"
