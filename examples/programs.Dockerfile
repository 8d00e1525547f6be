# An image of a folder that programs.sh filled, with a shell beside.
FROM keelson.dev/busybox
COPY . /
