#!/bin/sh
# Runs Keelson as docs/install.md says, as services of systemd, in a virtual machine that is booted three times: after an
# ordinary restart and after a loss of power the cluster has to come back. Each boot has its tests in test/vm/systemd.
# What it needs: see guest.sh. Usage: [KVM=1] test/vm/systemd.sh
set -eu
root=$(cd "$(dirname "$0")/../.." && pwd)
work=$(mktemp -d /tmp/keelson-test-vm-XXXXXX)
trap 'rm -rf "$work"' EXIT
. "$root/test/vm/guest.sh"

unpack_kernel
make_initrd
make_disk
echo vm > "$disk/etc/hostname"
printf '127.0.0.1 localhost\n::1 localhost\n127.0.1.1 vm\n' > "$disk/etc/hosts"
echo '/dev/vda / ext4 defaults 0 1' > "$disk/etc/fstab"
mkdir -p "$disk/var/log/journal"
printf '[Match]\nName=en* eth*\n[Network]\nDHCP=yes\n' > "$disk/etc/systemd/network/lan.network"
cat > "$disk/etc/systemd/system/keelson-test.service" <<'UNIT'
[Unit]
Description=Tests of Keelson as a service
[Service]
ExecStart=/opt/keelson/test.sh
StandardOutput=tty
StandardError=tty
TTYPath=/dev/ttyS0
[Install]
WantedBy=multi-user.target
UNIT
cat > "$disk/opt/keelson/test.sh" <<'TEST'
#!/bin/sh
export HOME=/root KEELSON_TEST_PATIENCE=10
cd /opt/keelson
boot=$(cat /var/boot 2>/dev/null || echo first)
node node_modules/mocha/bin/mocha.js --require ./slow.cjs --timeout 60000 --bail "dist/test/vm/systemd/$boot-boot.test.js"
code=$?
echo "exit code of the $boot boot: $code"
case $boot-$code in
  first-0) echo second > /var/boot && sync && systemctl reboot ;;
  second-0) echo third > /var/boot && sync && echo b > /proc/sysrq-trigger ;;
  third-0) systemctl poweroff ;;
  *)
    journalctl --no-pager -b -o short-monotonic -u 'keelson-*' | tail -n 200
    sync
    systemctl poweroff --force
    ;;
esac
TEST
chmod +x "$disk/opt/keelson/test.sh"
chroot "$disk" systemctl mask -q serial-getty@ttyS0.service
chroot "$disk" systemctl enable -q keelson-test.service systemd-networkd.service systemd-networkd-wait-online.service
boot -nic user,restrict=on,model=virtio
grep -q '^exit code of the third boot: 0' "$work/output"
