#!/bin/sh
# Makes the archive of an image from programs of this machine, the libraries that they need, and busybox (busybox-static).
#   image.sh ARCHIVE IMAGE PROGRAM…
set -eu
archive=$1 image=$2
shift 2
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
root=$work/root
mkdir -p "$root/bin" "$root/etc" "$root/tmp"
chmod 1777 "$root/tmp"
cp "$(command -v busybox)" "$root/bin/busybox"
for applet in sh cat ls sleep; do ln -s busybox "$root/bin/$applet"; done
for file in "$@" $(ldd "$@" | grep -o '/[^ ]*[^ :]' | sort -u); do
  mkdir -p "$root${file%/*}"
  cp -L "$file" "$root$file"
done

tar -C "$root" --owner=0 --group=0 -cf "$work/layer.tar" .
case $(uname -m) in aarch64) architecture=arm64 ;; *) architecture=amd64 ;; esac
cat >"$work/config.json" <<END
{"os": "linux", "architecture": "$architecture", "config": {"Env": ["PATH=/usr/sbin:/usr/bin:/bin"]},
 "rootfs": {"type": "layers", "diff_ids": ["sha256:$(sha256sum "$work/layer.tar" | cut -d' ' -f1)"]}}
END
echo "[{\"Config\": \"config.json\", \"RepoTags\": [\"$image\"], \"Layers\": [\"layer.tar\"]}]" >"$work/manifest.json"
tar -C "$work" -cf "$archive" manifest.json config.json layer.tar
