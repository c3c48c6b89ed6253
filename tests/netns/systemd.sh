#!/usr/bin/env bash
# systemd.sh FOLDER: run a systemd of its own over the units of FOLDER until it exits (a unit with SuccessAction= and
# FailureAction=), with namespaces and a control group of its own and a copy of the root of the machine to write to.
# Exit status 77: it cannot run here, the last line says why.
set -eu

cannot() {
	echo "$*"
	exit 77
}

if [ "${2:-}" != inside ]; then
	[ -x /lib/systemd/systemd ] || cannot "no systemd on this machine"
	tree=$(mktemp -d)
	group=$tree/nsimg-test-$$
	# shellcheck disable=SC2016 # the inner shell expands them
	unshare --mount --propagation private bash -eu -c '
		mount -t cgroup2 cgroup2 "$1" 2>/dev/null || { echo "no cgroup2 on this kernel"; exit 77; }
		mkdir "$2" 2>/dev/null || { echo "no control group can be made"; exit 77; }
		bash -c "echo \$\$ >\"\$1/cgroup.procs\"; exec unshare --pid --fork --mount --net --uts --ipc --cgroup --kill-child bash \"\$2\" \"\$3\" inside" - "$2" "$3" "$4" && rc=0 || rc=$?
		find "$2" -depth -type d -exec rmdir {} + || true
		exit $rc' - "$tree" "$group" "$0" "$1" && rc=0 || rc=$?
	rmdir "$tree"
	exit "$rc"
fi

units=$(cd "$1" && pwd)
mount -t tmpfs systemd /mnt
mkdir /mnt/upper /mnt/work /mnt/root
mount -t overlay -o lowerdir=/,upperdir=/mnt/upper,workdir=/mnt/work overlay /mnt/root 2>/dev/null ||
	cannot "no overlay file system on this kernel"
cd /mnt/root
mount --bind "$units" "./$units"
mount -t proc proc proc
mount -t sysfs sysfs sys
mount -t cgroup2 cgroup2 sys/fs/cgroup
# what it would set is the machine's, but for the network
mount --bind proc/sys proc/sys
mount -o remount,bind,ro proc/sys
mount --rbind /dev dev
mount -t tmpfs tmpfs run
mkdir -p run/netns run/systemd
cp -r "$units/units" run/systemd/system
ip link set lo up
mkdir old
pivot_root . old
umount -l /old
exec env -i container=nsimg-test PATH=/usr/sbin:/usr/bin:/sbin:/bin LC_ALL=C \
	SYSTEMD_UNIT_PATH=/run/systemd/system /lib/systemd/systemd --system --unit=test.target --log-target=null
