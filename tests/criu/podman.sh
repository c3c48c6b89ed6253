#!/usr/bin/env bash
# podman.sh WHAT: what podman.bats does inside the tree, with its podman, crun and CRIU. /mnt is the shared folder.
#   checkpoint   a container of rootfs.tar, with an address of its own on lo, exported to /mnt/checkpoint.tar
#   restore      /mnt/edited.tar as a container; its addresses and sockets in restored.txt
set -u

fail() {
	echo "$*"
	exit 1
}

cannot() {
	echo "podman cannot run here: $*" | tr '\n' ' '
	exit 77
}

# No controller of cgroup2 is there for podman in such a tree, and its file system is read-only.
mkdir -p /tmp/podman
cat >/tmp/podman/containers.conf <<'EOF'
[containers]
pids_limit = 0
[engine]
cgroup_manager = "cgroupfs"
runtime = "crun"
events_logger = "file"
EOF
# cgroups that CRIU may not write to are not what is tested
echo 'manage-cgroups=ignore' >/tmp/podman/criu.conf
export CONTAINERS_CONF=/tmp/podman/containers.conf TMPDIR=/tmp

podman() { timeout 300 /usr/bin/podman --root /tmp/podman/root --runroot /tmp/podman/run --storage-driver vfs "$@"; }

# in_container NAME COMMAND...: in its network namespace, with the programs of the tree
in_container() { nsenter --net="/proc/$(podman inspect "$1" --format '{{.State.Pid}}')/ns/net" "${@:2}"; }

look() {
	in_container "$1" ip -o -4 address
	in_container "$1" ss -Htnl
}

do_checkpoint() {
	podman import /mnt/rootfs.tar localhost/svc >/dev/null 2>/mnt/podman.err || cannot "podman import: $(cat /mnt/podman.err)"
	podman run -d --name svc --network none --annotation org.criu.config=/tmp/podman/criu.conf --cap-add NET_ADMIN,SYS_ADMIN localhost/svc /svc 1 >/dev/null 2>/mnt/podman.err ||
		cannot "podman run: $(cat /mnt/podman.err)"
	for _ in $(seq 300); do in_container svc ss -Htnl | grep -q . && break; sleep 0.1; done
	in_container svc ip address add 10.20.0.1/24 dev lo || fail "address"
	look svc >/mnt/before.txt
	podman container checkpoint --export /mnt/checkpoint.tar --compress none --tcp-established svc >/dev/null 2>/mnt/podman.err ||
		fail "podman container checkpoint: $(cat /mnt/podman.err)"
	podman save -o /mnt/image.tar localhost/svc >/dev/null 2>&1 || fail "podman save"
}

do_restore() {
	podman load -i /mnt/image.tar >/dev/null 2>&1 || fail "podman load"
	podman container restore --tcp-established --import /mnt/edited.tar >/dev/null 2>/mnt/podman.err ||
		fail "podman container restore: $(cat /mnt/podman.err; find /tmp/podman -name restore.log -exec grep -h Error {} +)"
	podman ps --format '{{.Names}} {{.Status}}' >/mnt/ps.txt
	look svc >/mnt/restored.txt
	podman rm -f -t 0 svc >/dev/null 2>&1
}

"do_$1"
