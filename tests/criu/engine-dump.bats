#!/usr/bin/env bats
# nsimg dump --criu: the processes by a current CRIU and the network by nsimg, at one moment; restored by
# nsimg restore --criu. Asked are the kernel (ip, ss, nft in the namespaces), the programs themselves, and crit.

load peer.bash

setup() {
	need_tree
	command -v sqlite3 >/dev/null || skip "no sqlite3"
	need_nsimg_inside
	cp "$HERE/inside-dump.sh" "$HERE/watch.py" "$SHARE"
	db=$SHARE/tree.db
}

teardown() {
	[ ! -s "$SHARE/times" ] || sed 's/^/# /' "$SHARE/times" >&3
}

# dump_do WHAT...: in the tree
dump_do() { in_tree env PREPARE="${PREPARE:-}" WHOLE="${WHOLE:-}" bash /mnt/inside-dump.sh "$@"; }

@test "devices that CRIU alone refuses: the tree is dumped with both halves, and both come back" {
	PREPARE='ip link add vx0 type vxlan id 4242 local 10.77.0.1 remote 10.77.0.2 dev left dstport 4789 ttl 9 &&
		ip address add 10.79.0.1/24 dev vx0 && ip link set vx0 up && ip link add ifb7 type ifb && ip link set ifb7 up &&
		ip link add tap5 link left type macvtap mode bridge && ip link set tap5 up'
	WHOLE=whole dump_do both /mnt/img
	"$NSIMG" import "$db" "$SHARE/img"
	[ "$(grep -cE '^[0-9]+: (vx0|ifb7|tap5@left): .*UP' "$SHARE/before.txt")" = 3 ]
	in_tree_do engine /mnt/tree.db /mnt/after.txt
	# ip has a name for the namespaces now
	diff "$SHARE/before.txt" <(sed "s/link-netns ns[0-9]*/link-netnsid 0/" "$SHARE/after.txt")
	diff "$SHARE/before.answers" "$SHARE/after.answers"
	# crit reads what was put together
	in_tree_do crit /mnt/img /mnt/json
	[ "$(jq '[.entries[] | select(.isk)] | length' "$SHARE/json/files.json")" = \
		"$(sqlite3 "$db" 'SELECT count(*) FROM inet_socket')" ]
}

@test "a parent outside, its child in a private namespace: both come back, and the child's network with it" {
	dump_do private /mnt/img
	"$NSIMG" import "$db" "$SHARE/img"
	read -r -a pids <"$SHARE/pids"
	host=$(sqlite3 "$db" "SELECT name FROM netns WHERE external")
	dump_do private_back /mnt/tree.db --netns "$host=/proc/self/ns/net"
	[[ $output == *"parent: parent, child: child"*"in ours: ${pids[0]}"* ]]
	[[ $output != *"in ours: ${pids[1]}"* ]]
}

@test "whoever is killed, and when: the tree runs on, without a lock, with its connections as they were" {
	dump_do killed nsimg:pre-dump {nsimg,criu,hook}:{network-lock,post-dump,network-unlock} \
		{nsimg,criu}:/tmp/img/tcp-stream- guard:network-lock nsimg-TERM:network-lock
	[[ $output == *"nsimg-TERM:network-lock: 2 nsimg: dump: stopped by signal 15 (Terminated) while CRIU was running"* ]]
}
