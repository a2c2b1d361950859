# assemble.sh ROOT THING...: a root directory in which these run: programs of this host by name, files and directories by path.
set -eu
root=$1
shift
for dir in usr/bin usr/sbin usr/lib usr/lib64 etc root tmp proc sys dev run; do
    mkdir -p "$root/$dir"
done
chmod 1777 "$root/tmp"
# /bin, /lib and the like as this host has them: mostly links into /usr.
for dir in bin sbin lib lib64; do
    if [ -L "/$dir" ]; then ln -s "$(readlink "/$dir")" "$root/$dir"; else mkdir -p "$root/$dir"; fi
done

# taken PATH: a file at the place where this host has it, whatever links lead to it.
taken() {
    dir=$(realpath "$(dirname "$1")")
    mkdir -p "$root$dir"
    [ -e "$root$dir/$(basename "$1")" ] || cp -L "$1" "$root$dir/"
}

for thing; do
    if [ -d "$thing" ]; then
        mkdir -p "$root$thing"
        cp -RL "$thing/." "$root$thing/"
    else
        taken "$(command -v "$thing")"
    fi
done
# What they are linked with, the loader too.
find "$root" -type f \( -perm -u+x -o -name '*.so' \) -exec ldd {} \; 2>/dev/null |
    sed -n 's/^[^/]*\(\/[^ :]*\) (0x.*/\1/p' | sort -u |
    while read -r library; do taken "$library"; done
