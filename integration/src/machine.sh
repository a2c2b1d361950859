# Boots systemd as process 1 of namespaces of its own: `unshare … sh machine.sh DIRECTORY PROGRAM…`. All files of this host
# are there, and none that the machine writes stays: what it writes lies in memory. Only DIRECTORY is the host's own; from it
# come the machine's units (`units`), the launch-agent's configuration (`etc`) and what its systemd says (`console`).
set -eu
directory=$1
shift
root=$directory/root

mount -t tmpfs upper "$directory/upper"
mkdir "$directory/upper/files" "$directory/upper/work"
mount -t overlay -o "lowerdir=/,upperdir=$directory/upper/files,workdir=$directory/upper/work" overlay "$root"

# Nothing in it can reach the kernel's settings, the host's devices, or what other programs have in /run and /tmp.
mount -t proc proc "$root/proc"
mount -o bind,ro "$root/proc/sys" "$root/proc/sys"
mount -t sysfs -o ro sysfs "$root/sys"
mount -t tmpfs -o mode=755 groups "$root/sys/fs/cgroup"
mount -t cgroup2 cgroup2 "$root/sys/fs/cgroup"
mount -t tmpfs -o mode=755 dev "$root/dev"
for device in null zero full random urandom tty; do
  touch "$root/dev/$device"
  mount --bind "/dev/$device" "$root/dev/$device"
done
mkdir "$root/dev/shm" "$root/dev/pts"
mount -t devpts -o newinstance,ptmxmode=0666,mode=0620 devpts "$root/dev/pts"
ln -s pts/ptmx "$root/dev/ptmx"
ln -s /proc/self/fd "$root/dev/fd"
touch "$root/dev/console"
mount --bind "$directory/console" "$root/dev/console"
mount -t tmpfs -o mode=755 run "$root/run"
mount -t tmpfs -o mode=1777 tmp "$root/tmp"
mkdir -p "$root$directory"
mount --bind "$directory" "$root$directory"

# Of all units there are only ours, so nothing else starts.
units=/usr/lib/systemd/system
[ -d "$units" ] || units=/lib/systemd/system
mount --bind "$directory/units" "$root$units"
mount -t tmpfs none "$root/etc/systemd"
mkdir -p "$root/etc/roundhouse"
mount --bind "$directory/etc" "$root/etc/roundhouse"
rm -f "$root/etc/machine-id"
echo 0123456789abcdef0123456789abcdef >"$root/etc/machine-id"

# As the operator would install it. The accounts are the machine's own: by their numbers none of the host's processes is theirs.
cp "$@" "$root/usr/bin/"
for file in passwd group; do
  sed -i '/^roundhouse-/d' "$root/etc/$file"
done
number=62000
for account in server 0 1; do
  echo "roundhouse-$account:x:$number:$number::/nonexistent:/usr/sbin/nologin" >>"$root/etc/passwd"
  echo "roundhouse-$account:x:$number:" >>"$root/etc/group"
  number=$((number + 1))
done

cd "$root"
pivot_root . mnt
umount -l /mnt
exec env -i container=machine PATH=/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin "${units%/system}/systemd" \
  --unit=machine.target --log-target=console --show-status=no
