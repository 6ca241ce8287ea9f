#!/bin/sh
# mmdebstrap customize hook: turns the unpacked Debian packages in "$1" into the guest's root file system.
# ATOLL_STAGE holds what the build prepared: overlay/ node/ agent-node/ npm/ native/. Left there for its next steps: kernel/,
# kernel-release, pip-defaults.
set -eu
root=$1
stage=$ATOLL_STAGE

# First of all, while apt still uses the machine's way out and not the guest's. By the kernel's own package name: the
# metapackage would pull in an initramfs generator the guest never uses.
export APT_CONFIG="$MMDEBSTRAP_APT_CONFIG"
kernel=$(apt-cache depends --important "$ATOLL_KERNEL_PACKAGE" | sed -n 's/^ *Depends: \(linux-image-[0-9][^ ]*\)$/\1/p' | head -n 1)
mkdir -p "$stage/kernel"
(cd "$stage/kernel" && apt-get -o APT::Sandbox::User=root download "$kernel" && dpkg-deb -x ./*.deb . && rm ./*.deb)
unset APT_CONFIG
release=$(ls "$stage/kernel/usr/lib/modules")
cp -r --no-preserve=ownership "$stage/kernel/usr/lib/modules" "$root/usr/lib/"
chroot "$root" depmod "$release"
echo "$release" >"$stage/kernel-release"

cp -rT --no-preserve=ownership "$stage/overlay" "$root"
chmod 0440 "$root/etc/sudoers.d/dev"
cp -rT --no-preserve=ownership "$stage/node/bin" "$root/usr/local/bin"
cp -rT --no-preserve=ownership "$stage/node/include" "$root/usr/local/include"
mkdir -p "$root/usr/local/lib/node_modules"
cp -rT --no-preserve=ownership "$stage/npm" "$root/usr/local/lib/node_modules/npm"
chmod 0755 "$root/usr/local/bin/node"
install -m 0755 "$stage/agent-node/bin/node" "$root/usr/lib/atoll/node"
ln -s ../lib/node_modules/npm/bin/npm-cli.js "$root/usr/local/bin/npm"
ln -s ../lib/node_modules/npm/bin/npx-cli.js "$root/usr/local/bin/npx"
chown -R 0:0 "$root/usr/local"

chroot "$root" groupadd --gid 1000 dev
chroot "$root" useradd --uid 1000 --gid 1000 --create-home --shell /bin/bash --groups sudo dev
chroot "$root" install -d -o 1000 -g 1000 -m 0755 /workspace
install -d -m 0755 "$root/opt/atoll"
chroot "$root" update-ca-certificates
# Two names scripts expect; Debian leaves both to other packages.
ln -sf python3 "$root/usr/bin/python"
ln -sf vim.tiny "$root/usr/bin/vim"

# Where pip goes when nothing is configured: the build records it as a package source.
chroot "$root" python3 -c 'from pip._internal.models.index import PyPI; from urllib.parse import urlsplit
print(urlsplit(PyPI.simple_url).hostname); print(PyPI.file_storage_domain)' >"$stage/pip-defaults"

mkdir -p "$root/var/tmp/native"
cp "$stage"/native/*.c "$root/var/tmp/native/"
chroot "$root" sh -c 'cd /var/tmp/native && gcc -std=c17 -O2 -Wall -Wextra -Werror -fPIC -shared \
  -I/usr/local/include/node -DNAPI_VERSION=9 -o /usr/lib/atoll/guest-native.node ./*.c'
rm -r "$root/var/tmp/native"

# Nothing two VMs may share: identity is given by the host when a VM is made.
rm -f "$root"/etc/ssh/ssh_host_* "$root/var/lib/systemd/random-seed" "$root/var/lib/dbus/machine-id"
# In memory: a restored machine takes its names before anything of its user's runs, and without waiting for a disk.
ln -sf /run/atoll/machine-id "$root/etc/machine-id"
ln -sf /run/atoll/hostname "$root/etc/hostname"
rm -rf "$root"/var/log/* "$root"/var/cache/ldconfig "$root"/var/cache/debconf/*-old

# Package lists and apt's index of them are part of the image: `apt-get install` then works at once, where under
# emulation reading the lists takes a minute. The index is valid for files of exactly these dates.
rm -f "$root"/var/cache/apt/archives/*.deb
find "$root/var/lib/apt/lists" "$root/var/lib/dpkg" "$root/etc/apt" -exec touch --no-dereference --date="@$SOURCE_DATE_EPOCH" {} +
chroot "$root" apt-cache gencaches
