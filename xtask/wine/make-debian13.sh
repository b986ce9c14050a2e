#!/bin/sh
# Makes Debian 13 with Wine 10 and gdb 16 in a folder, once: make-debian13.sh FOLDER. Needs root.
# The finished folder is told by a file in it; a half made one is made anew.
set -eu
folder=$1
[ -e "$folder/.complete" ] && [ -e "$folder/usr/bin/gdb" ] && [ ! -e "$folder/usr/lib/wine/wine" ] && exit
mkdir -p "$folder"
exec unshare --mount --propagation private sh -eux -c '
    rm -rf --one-file-system "$0"
    debootstrap --variant=minbase trixie "$0"
    cp /etc/resolv.conf /etc/hosts "$0/etc/"
    # No service is to be started in there.
    printf "#!/bin/sh\nexit 101\n" > "$0/usr/sbin/policy-rc.d"
    chmod +x "$0/usr/sbin/policy-rc.d"
    mount -t proc proc "$0/proc"
    mount --rbind /dev "$0/dev"
    export DEBIAN_FRONTEND=noninteractive LC_ALL=C.UTF-8
    # Programs of 32 bits want a Wine of 32 bits, before the prefix is made.
    chroot "$0" dpkg --add-architecture i386
    chroot "$0" apt-get update -q
    chroot "$0" apt-get install -qy --no-install-recommends wine wine64 wine32:i386 gdb
    # Windows runs a 32-bit program in a 64-bit process. Wine does the same if it finds its 32-bit libraries beside
    # the 64-bit ones, and no loader of 32 bits.
    cp -n "$0"/usr/lib/i386-linux-gnu/wine/i386-windows/* "$0/usr/lib/x86_64-linux-gnu/wine/i386-windows/"
    rm -r "$0/usr/lib/i386-linux-gnu/wine" "$0/usr/lib/wine/wine" "$0/usr/lib/wine/wineserver32"
    touch "$0/.complete"' "$folder"
