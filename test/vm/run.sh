#!/bin/sh
# Runs the runtime's integration tests, and those of whole clusters that concern cgroups, in a virtual machine that has
# cgroup version 2 only (Debian's kernel, emulated unless KVM is set). Needs root, qemu-system-x86, dpkg, mke2fs,
# busybox-static, nftables and kubectl. Usage: [NESTED=1] [KVM=1] test/vm/run.sh [files below dist/test/integration, without .test.js]
# NESTED: in a cgroup that is not the top one and has processes, as inside of a container.
set -eu
root=$(cd "$(dirname "$0")/../.." && pwd)
files="${*:-runtime/* cluster/node-policy}"
work=$(mktemp -d /tmp/keelson-test-vm-XXXXXX)
cache=${KEELSON_VM_CACHE:-/tmp/keelson-vm}
trap 'rm -rf "$work"' EXIT

mkdir -p "$cache"
if ! ls "$cache"/linux-image-*.deb >/dev/null 2>&1; then
  package=$(apt-cache depends linux-image-cloud-amd64 | awk '/Depends:/ { print $2; exit }')
  (cd "$cache" && apt-get download "$package")
fi
dpkg-deb -x "$(ls "$cache"/linux-image-*.deb | tail -n 1)" "$work/kernel"
release=$(ls "$work/kernel/lib/modules")

# The first root: busybox and what it takes to find the disk.
first="$work/first"
mkdir -p "$first/bin" "$first/dev" "$first/proc" "$first/disk" "$first/lib"
cp "$(readlink -f "$(command -v busybox)")" "$first/bin/busybox"
mkdir -p "$first/lib/modules/$release"
for module in drivers/virtio drivers/block/virtio_blk.ko fs/overlayfs; do
  mkdir -p "$first/lib/modules/$release/kernel/$(dirname "$module")"
  cp -r "$work/kernel/lib/modules/$release/kernel/$module" "$first/lib/modules/$release/kernel/$(dirname "$module")/"
done
busybox depmod -b "$first" "$release"
cat > "$first/init" <<'INIT'
#!/bin/busybox sh
/bin/busybox mount -t devtmpfs dev /dev
/bin/busybox mount -t proc proc /proc
for module in virtio_pci virtio_blk overlay; do /bin/busybox modprobe $module; done
/bin/busybox mount -t ext4 /dev/vda /disk
exec /bin/busybox switch_root /disk /init
INIT
chmod +x "$first/init"
(cd "$first" && find . | busybox cpio -o -H newc 2>/dev/null | gzip -1) > "$work/initrd"

# The second: this tree as far as the tests need it, node and its libraries.
disk="$work/disk"
mkdir -p "$disk/bin" "$disk/lib64" "$disk/proc" "$disk/sys" "$disk/dev" "$disk/tmp" "$disk/etc" "$disk/run" "$disk/src/dist" "$disk/src/build"
cp "$first/bin/busybox" "$disk/bin/busybox"
node=$(readlink -f "$(command -v node)")
nft=$(PATH=$PATH:/usr/sbin command -v nft)
cp "$node" "$disk/bin/node"
cp "$nft" "$disk/bin/nft"
ldd "$node" "$nft" | awk '{ for (i = 1; i <= NF; i++) if ($i ~ /^\/.*[^:]$/) print $i }' | sort -u | while read -r library; do
  mkdir -p "$disk$(dirname "$library")"
  cp -L "$library" "$disk$library"
done
cp -r "$root/build/Release" "$disk/src/build/"
# Modules that the kernel asks for by itself when a cluster makes its network.
mkdir -p "$disk/sbin" "$disk/lib/modules/$release/kernel/drivers/net"
cp "$first/bin/busybox" "$disk/sbin/modprobe"
for module in net fs/overlayfs lib crypto drivers/net/veth.ko drivers/net/vxlan; do
  mkdir -p "$disk/lib/modules/$release/kernel/$(dirname "$module")"
  cp -r "$work/kernel/lib/modules/$release/kernel/$module" "$disk/lib/modules/$release/kernel/$(dirname "$module")/"
done
busybox depmod -b "$disk" "$release"
cp "$(command -v kubectl)" "$disk/bin/kubectl"
cp "$root/package.json" "$disk/src/"
cp -r "$root/dist/." "$disk/src/dist/"
(cd "$root" && tar cf - --exclude=./node_modules/aws-cdk-lib --exclude='./node_modules/@aws-cdk' \
  --exclude='./node_modules/@kubernetes' --exclude='./node_modules/@biomejs' --exclude='./node_modules/@typescript' \
  ./node_modules) | tar xf - -C "$disk/src"
# Emulated, a cluster takes a minute to come up: what suites allow themselves counts five times.
cat > "$disk/src/slow.cjs" <<'SLOW'
const { Suite, Runnable } = require('mocha');
for (const { prototype } of [Suite, Runnable]) {
  const { timeout } = prototype;
  prototype.timeout = function (...ms) {
    return timeout.apply(this, ms.map((time) => 5 * time));
  };
}
SLOW
cat > "$disk/init" <<INIT
#!/bin/busybox sh
export PATH=/bin HOME=/
/bin/busybox --install -s /bin
mount -t proc proc /proc
mount -t sysfs sys /sys
mount -t devtmpfs dev /dev
mkdir -p /dev/shm /dev/pts
mount -t tmpfs shm /dev/shm
mount -t devpts pts /dev/pts
mount -t tmpfs run /run
mkdir -p /var/lib /var/log /root
mount -t cgroup2 cgroup /sys/fs/cgroup
if [ -n "${NESTED:-}" ]; then
  # As in a container: the top group that is seen is not the kernel's, and holds processes.
  echo +cpu +memory +pids +io > /sys/fs/cgroup/cgroup.subtree_control
  mkdir /sys/fs/cgroup/outer
  echo \$\$ > /sys/fs/cgroup/outer/cgroup.procs
  mount --bind /sys/fs/cgroup/outer /sys/fs/cgroup
fi
echo root:x:0:0:root:/:/bin/sh > /etc/passwd
ip link set lo up
hostname vm
cd /src
for file in $files; do set -- "\$@" "dist/test/integration/\$file.test.js"; done
node node_modules/mocha/bin/mocha.js --require ./slow.cjs --timeout 60000 "\$@"
echo "exit code \$?"
poweroff -f
INIT
chmod +x "$disk/init"
mke2fs -q -t ext4 -d "$disk" "$work/disk.img" 1500M

accel="-accel tcg,thread=multi -cpu max"
[ -n "${KVM:-}" ] && accel="-accel kvm -cpu host"
qemu-system-x86_64 $accel -smp 2 -m 2048 -nographic -no-reboot \
  -kernel "$work/kernel/boot/vmlinuz-$release" -initrd "$work/initrd" \
  -drive "file=$work/disk.img,format=raw,if=virtio,cache=unsafe" -nic none \
  -append 'console=ttyS0 quiet panic=-1' | tee "$work/output"
grep -q '^exit code 0' "$work/output"
