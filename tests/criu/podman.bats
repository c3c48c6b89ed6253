#!/usr/bin/env bats
# A checkpoint of podman, edited, goes back to podman. The tree of tests/criu has none unless it is asked for (tree.sh):
# NSIMG_CRIU_PACKAGES=podman,crun,conmon,libcriu2,netavark,aardvark-dns,ca-certificates

load peer.bash

@test "podman container restore --import takes an edited export: another subnet, another port" {
	need_tree
	command -v sqlite3 >/dev/null || skip "no sqlite3"
	command -v zstd >/dev/null || skip "no zstd"
	[ -x "$("$HERE/tree.sh" make)/root/usr/bin/podman" ] || skip "no podman in the tree with CRIU (NSIMG_CRIU_PACKAGES adds it)"
	rootfs=${NSIMG_CORPUS:-$root/../shared/corpus}/podman/svc-rootfs.tar.zst
	[ -e "$rootfs" ] || skip "no root file system for a container: no corpus"
	zstd -dq "$rootfs" -o "$SHARE/rootfs.tar"
	cp "$HERE/podman.sh" "$SHARE"
	in_tree bash /mnt/podman.sh checkpoint
	db=$SHARE/c.db
	"$NSIMG" import "$db" "$SHARE/checkpoint.tar" >/dev/null
	"$NSIMG" readdress "$db" 10.20.0.0/24 10.30.7.0/24
	port=$(sqlite3 "$db" "SELECT src_port FROM inet_socket i JOIN socket s ON s.id = i.socket WHERE s.state = 10 AND s.family = 2 LIMIT 1")
	sqlite3 "$db" "UPDATE inet_socket SET src_port = 8099 WHERE src_port = $port"
	"$NSIMG" export "$db" "$SHARE/edited.tar"
	in_tree bash /mnt/podman.sh restore
	grep '^svc Up' "$SHARE/ps.txt"
	grep "10.20.0.1/24" "$SHARE/before.txt"
	# all as before but for the two edits
	diff <(sed "s/10\.20\.0\./10.30.7./g; s/:$port /:8099 /" "$SHARE/before.txt" | sort) <(sort "$SHARE/restored.txt")
}
