#!/bin/sh
# Runs a command in Debian 13's folder: in-debian13.sh COMMAND…, with the folder in $DEBIAN13 and a
# folder that both sides see, under the same name, in $SHARED_FOLDER.
# The mounts are seen by the command alone and go with it; it keeps its pid, so that a signal for
# whoever was started reaches it.
set -eu
exec unshare --mount --propagation private sh -eu -c '
    for each in /proc /dev /tmp "$SHARED_FOLDER"; do
        mkdir -p "$DEBIAN13$each"
        mount --rbind "$each" "$DEBIAN13$each"
    done
    # Tests run in the folder of their crate.
    mkdir -p "$DEBIAN13$PWD"
    exec chroot "$DEBIAN13" env --chdir="$PWD" "$@"' sh "$@"
