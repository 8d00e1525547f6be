# Virtual machines for tests, sourced by the scripts beside it, which have set `root` to the tree and `work` to a folder
# that is theirs. Needs root, qemu-system-x86, debootstrap, dpkg, mke2fs and busybox-static. Emulated unless KVM is set.

cache=${KEELSON_VM_CACHE:-/tmp/keelson-vm}

# Debian's cloud kernel, in $work/kernel; its release in $release.
unpack_kernel() {
  mkdir -p "$cache"
  if ! ls "$cache"/linux-image-*.deb >/dev/null 2>&1; then
    package=$(apt-cache depends linux-image-cloud-amd64 | awk '/Depends:/ { print $2; exit }')
    (cd "$cache" && apt-get download "$package")
  fi
  dpkg-deb -x "$(ls "$cache"/linux-image-*.deb | tail -n 1)" "$work/kernel"
  release=$(ls "$work/kernel/lib/modules")
}

# The first root, in $work/initrd: busybox and what it takes to find the disk.
make_initrd() {
  first="$work/first"
  mkdir -p "$first/bin" "$first/dev" "$first/proc" "$first/disk"
  cp "$(readlink -f "$(command -v busybox)")" "$first/bin/busybox"
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
exec /bin/busybox switch_root /disk /sbin/init
INIT
  chmod +x "$first/init"
  (cd "$first" && find . | busybox cpio -o -H newc 2>/dev/null | gzip -1) > "$work/initrd"
}

# The second root, in $disk: Debian, node, and this tree in /opt/keelson as far as tests need it.
make_disk() {
  disk="$work/disk"
  if [ ! -d "$cache/debian" ]; then
    debootstrap --variant=minbase --include="$(tr -d ' \n' <<PACKAGES
      systemd-sysv,dbus,udev,kmod,iproute2,nftables,busybox-static,openssl,curl,procps,libstdc++6
PACKAGES
    )" "$(. /etc/os-release && echo "$VERSION_CODENAME")" "$cache/debian.new" >&2
    mv "$cache/debian.new" "$cache/debian"
  fi
  cp -a "$cache/debian" "$disk"
  rm -rf "$disk"/var/cache/apt/* "$disk"/var/lib/apt/lists/*
  cp "$(readlink -f "$(command -v node)")" "$disk/usr/bin/node"
  cp -a "$work/kernel/lib/modules" "$disk/usr/lib/"
  chroot "$disk" depmod "$release"
  node --input-type=module -e "import { tool } from '$root/dist/test/fixtures/tools.js'; tool('kubectl'); tool('helm')"
  mkdir -p "$disk/opt/keelson/build"
  cp -r "$root/build/Release" "$disk/opt/keelson/build/"
  (cd "$root" && tar cf - --exclude='./node_modules/aws-cdk-lib' --exclude='./node_modules/@aws-cdk' \
    --exclude='./node_modules/@biomejs' --exclude='./node_modules/@typescript' --exclude='./node_modules/playwright-core' \
    ./package.json ./dist ./docs ./examples ./node_modules) | tar xf - -C "$disk/opt/keelson"
  # Emulated, a cluster takes minutes to come up: what suites allow themselves counts as often as fixtures wait longer.
  cat > "$disk/opt/keelson/slow.cjs" <<'SLOW'
const { Suite, Runnable } = require('mocha');
for (const { prototype } of [Suite, Runnable]) {
  const { timeout } = prototype;
  prototype.timeout = function (...ms) {
    return timeout.apply(this, ms.map((time) => process.env.KEELSON_TEST_PATIENCE * time));
  };
}
SLOW
}

# boot OPTIONS…: runs the machine to its end, with what it says on the console also in $work/output.
boot() {
  mke2fs -q -t ext4 -d "$disk" "$work/disk.img" "${DISK:-3G}"
  rm -rf "$disk"
  accel="-accel tcg,thread=multi -cpu max"
  [ -n "${KVM:-}" ] && accel="-accel kvm -cpu host"
  # shellcheck disable=SC2086
  qemu-system-x86_64 $accel -smp 2 -m 3072 -nographic \
    -kernel "$work/kernel/boot/vmlinuz-$release" -initrd "$work/initrd" \
    -drive "file=$work/disk.img,format=raw,if=virtio,cache=unsafe" \
    -append 'console=ttyS0 quiet panic=-1' "$@" | tee "$work/output"
}
