#!/bin/sh
# Copies programs of this machine, and the libraries that they need, to a folder that images are built of.
#   programs.sh FOLDER PROGRAM…
set -eu
folder=$1
shift
for file in "$@" $(ldd "$@" | grep -o '/[^ ]*[^ :]' | sort -u); do
  mkdir -p "$folder${file%/*}"
  cp -L "$file" "$folder$file"
done
