# Boots a systemd over an overlay of this machine's own root: boot.sh NAME NSPAWN. Runs in a mount namespace of its own,
# so every mount here ends with the last process in it, however that ends.
set -eu
name=$1
nspawn=$2

# Its groups are below one of its own in each hierarchy: nothing else of this machine is moved.
for hierarchy in . memory pids cpu systemd unified; do
    folder=/sys/fs/cgroup/$hierarchy
    [ -e "$folder/cgroup.procs" ] || continue
    mkdir -p "$folder/$name"
    echo $$ >"$folder/$name/cgroup.procs"
done

# `/mnt` is only covered for the processes in here.
mount -t tmpfs -o size=256m,mode=755 machine /mnt
mkdir /mnt/upper /mnt/work /mnt/root
mount -t overlay -o lowerdir=/,upperdir=/mnt/upper,workdir=/mnt/work machine /mnt/root
mkdir -p /mnt/root/etc/systemd/journald.conf.d
printf '[Journal]\nStorage=volatile\n' >/mnt/root/etc/systemd/journald.conf.d/50-machine.conf
# Units of this machine's own image stay out of it.
exec setsid "$nspawn" --quiet --boot --directory=/mnt/root --machine="$name" --register=no --keep-unit \
    --console=pipe --private-network --resolv-conf=off --link-journal=no --timezone=off --bind=/dev/kmsg \
    systemd.unit=basic.target
