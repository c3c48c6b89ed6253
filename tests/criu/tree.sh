#!/usr/bin/env bash
# tree.sh: a Debian tree with the current CRIU, and a way into it.
#   tree.sh make               make it if it is not there yet; print its folder
#   tree.sh run COMMAND...     run a command in it
# The tree is kept in NSIMG_CRIU_TREE (default: build/criu-tree), NSIMG_CRIU_PACKAGES are put into it too; where it
# could not be made (the file "failed" says why) that is tried again after an hour, or without that file; exit status 77 when it cannot be had, the last line says why. "run" enters it with mount, process and network namespaces of its own and pivot_root
# (CRIU needs its root to be a mount, so a chroot is not enough), with /proc, tmpfs on /run and /tmp and only
# cgroup2 on /sys/fs/cgroup. The tree is read-only; SHARE, a folder outside, is /mnt in it.
set -u
here=$(cd "$(dirname "$0")" && pwd)
tree=${NSIMG_CRIU_TREE:-$here/../../build/criu-tree}
packages=criu,python3-pycriu,iproute2,nftables,iptables,python3${NSIMG_CRIU_PACKAGES:+,$NSIMG_CRIU_PACKAGES}

cannot() {
	echo "$*"
	exit 77
}

# The mirror is the one this machine's apt uses for Debian itself.
mirror() {
	# shellcheck disable=SC2016 # the words in the quotes are apt's
	apt-get indextargets --format '$(REPO_URI)' 'ORIGIN: Debian' 'LABEL: Debian' 2>/dev/null | sort -u | head -n 1
}

# is_made: with these packages, and perhaps more
is_made() {
	local p
	for p in ${packages//,/ }; do grep -qsE "(^|,)$p(,|\$)" "$tree/made" || return 1; done
}

make_tree() {
	local from try
	is_made && return
	[ "$(id -u)" -eq 0 ] || cannot "the tree with a current CRIU is made by root"
	command -v debootstrap >/dev/null || cannot "no debootstrap, so no current CRIU"
	from=$(mirror)
	[ -n "$from" ] || cannot "apt names no Debian mirror, so no current CRIU"
	mkdir -p "$tree" || cannot "cannot make $tree"
	exec 9>"$tree/lock"
	flock 9
	is_made && return
	# a mirror that could not be reached a while ago is not waited for by every test
	[ -z "$(find "$tree/failed" -mmin -60 2>/dev/null)" ] || cannot "$(cat "$tree/failed")"
	for try in 1 2 3; do
		rm -rf "$tree/root"
		debootstrap --variant=minbase --include="$packages" sid "$tree/root" "$from" >"$tree/log" 2>&1 && break
		if [ $try = 3 ]; then
			echo "debootstrap does not make the tree with a current CRIU: $(grep -E '^[EW]:' "$tree/log" | tail -n 1)" >"$tree/failed"
			cannot "$(cat "$tree/failed")"
		fi
		sleep 15
	done
	rm -rf "$tree/root/var/cache/apt/archives" "$tree/root/var/lib/apt/lists"
	echo "$packages" >"$tree/made"
}

enter() {
	cd "$tree/root" || exit 2
	mount --rbind . . && cd "$tree/root" || exit 2
	mount -t proc proc proc && mount -t sysfs sysfs sys && mount -t tmpfs run run && mount -t tmpfs tmp tmp &&
		mount --rbind /dev dev || exit 2
	mount -t cgroup2 cgroup sys/fs/cgroup || exit 2
	[ -z "${SHARE:-}" ] || mount --bind "$SHARE" mnt || exit 2
	mount -o remount,bind,ro . || exit 2
	mkdir run/netns
	pivot_root . . && umount -l . && cd / || exit 2
	ip link set lo up
	exec env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/tmp LC_ALL=C "$@"
}

case ${1:-} in
make)
	make_tree
	echo "$tree"
	;;
run)
	shift
	exec unshare --net --mount --propagation private --pid --fork --kill-child "$0" enter "$@"
	;;
enter)
	shift
	enter "$@"
	;;
*)
	echo "usage: tree.sh make | run COMMAND..." >&2
	exit 2
	;;
esac
