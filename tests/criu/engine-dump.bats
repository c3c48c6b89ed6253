#!/usr/bin/env bats
# nsimg dump --criu: the processes by a current CRIU and the network by nsimg, at one moment; restored by
# nsimg restore --criu. Asked are the kernel (ip, ss, nft in the namespaces), the programs themselves, and crit.

load peer.bash

setup() {
	need_tree
	command -v sqlite3 >/dev/null || skip "no sqlite3"
	need_nsimg_inside
	cp "$HERE/inside-dump.sh" "$HERE/watch.py" "$HERE/refuse.py" "$HERE/queued.py" "$HERE/unread.py" "$HERE/names.py" "$HERE/tunsizes.py" "$HERE/own.py" "$HERE/ready.py" "$SHARE"
	db=$SHARE/tree.db
}

teardown() {
	[ ! -s "$SHARE/times" ] || sed 's/^/# /' "$SHARE/times" >&3
}

# dump_do WHAT...: in the tree
dump_do() { in_tree env PREPARE="${PREPARE:-}" WHOLE="${WHOLE:-}" OWN="${OWN:-}" bash /mnt/inside-dump.sh "$@"; }

@test "devices that CRIU alone refuses: the tree is dumped with both halves, and both come back" {
	PREPARE='ip link add vx0 type vxlan id 4242 local 10.77.0.1 remote 10.77.0.2 dev left dstport 4789 ttl 9 &&
		ip address add 10.79.0.1/24 dev vx0 && ip link set vx0 up && ip link add ifb7 type ifb && ip link set ifb7 up &&
		ip link add tap5 link left type macvtap mode bridge && ip link set tap5 up'
	WHOLE=whole dump_do both /mnt/img
	"$NSIMG" import "$db" "$SHARE/img"
	# while it was made both namespaces were locked, and both ends of both connections in repair mode
	[ "$(grep -c 'tables: table inet nsimg_lock, tracer: [1-9]' "$SHARE/during.probe")" = 2 ]
	[ "$(grep -c 'repair 1' "$SHARE/during.probe")" = 4 ]
	[ "$(grep -cE '^[0-9]+: (vx0|ifb7|tap5@left): .*UP' "$SHARE/before.txt")" = 3 ]
	in_tree_do engine /mnt/tree.db /mnt/after.txt
	# ip has a name for the namespaces now
	diff "$SHARE/before.txt" <(sed "s/link-netns ns[0-9]*/link-netnsid 0/" "$SHARE/after.txt")
	diff "$SHARE/before.answers" "$SHARE/after.answers"
	# what CRIU has no field for is in its records
	[ "$(sqlite3 "$db" "SELECT count(*) FROM socket WHERE cookie IS NULL")" = 0 ]
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
	dump_do killed nsimg:pre-dump {nsimg,criu}:{network-lock,post-dump,network-unlock} hook:{network-lock,post-dump} \
		guard:network-lock nsimg-TERM:network-lock nsimg-twice:{pre-dump,network-lock,post-dump}
	[[ $output == *"nsimg-TERM:network-lock: 2 nsimg: dump: stopped by signal 15 (Terminated) while CRIU was running"* ]]
}

@test "nsimg and its guard are killed at once: the lock stays, and is taken back" {
	dump_do killed both:network-lock both:post-dump
	[[ $output == *"2 network namespaces unlocked"* ]]
}

@test "connections in the namespace that nsimg is in: they alone are stopped, and go on" {
	dump_do own /mnt/img /mnt/tree.db
	cat "$SHARE"/during.* "$SHARE/plain.nft"
	# both directions of each end
	for end in 7201 7203; do grep -qE "127.0.0.1 . [0-9]+ . 127.0.0.1 . $end" "$SHARE/during.nft"; done
	[ "$(grep -cE '::1 . (7202 . ::1 . [0-9]+|[0-9]+ . ::1 . 7202)' "$SHARE/during.nft")" = 2 ]
	[ "$(cat "$SHARE/during.ss")" = "unsent: 5" ]
	# no part of the namespace, for somebody who looks
	grep -q 'table inet test' "$SHARE/plain.nft"
	! grep -e nsimg_lock -e 'belongs to the socket' "$SHARE/plain.nft"
	[[ $output == *"runs on: outside=ok news=1 pair=nearfar. asks=waits"* ]]
	[[ $output == *"restored: outside=ok news=0 pair=nearfar. asks=waits"* ]]
	[ "$(grep -c '^table' <<<"$output")" = "$(grep -c '^table inet test$' <<<"$output")" ]
}

@test "whoever is killed while such connections are stopped: they go on" {
	OWN=own dump_do killed {nsimg,criu}:{network-lock,post-dump,network-unlock} hook:post-dump guard:network-lock
}

@test "CRIU or nsimg is killed while its code is in the tasks: they run on, without it" {
	local moments=() who
	for who in criu criu criu criu criu criu nsimg nsimg nsimg; do moments+=("$who:+$((RANDOM % 50)).$((RANDOM % 10))"); done
	echo "moments: ${moments[*]}"
	dump_do killed "${moments[@]}" criu:/tmp/img/pagemap- criu:/tmp/img/core- nsimg:/tmp/img/tcp-stream- nsimg:/tmp/img/core-
}

@test "when something else traces CRIU the tasks cannot be guarded, and that is said" {
	dump_do unguarded
	[[ $output == *"the tasks were not guarded against a SIGKILL of CRIU: trace CRIU: Operation not permitted"* ]]
}

@test "what waits in queues, descriptors and connections, is kept by CRIU and not called lost" {
	dump_do queued /mnt/img /mnt/tree.db
	[[ $output != *"NOT KEPT"* && $output == *": 0 differences"* ]]
	[[ $output == *"taken: 127.0.0.1 5555 inside late"* ]]
	[[ $output == *"it has written to a connection that waits to be accepted: let the program accept it first"* ]]
	[[ $output == *"for 1 reason; nothing was done"* ]]
}

@test "what waits in other sockets, and an urgent byte, CRIU does not keep: the dump and the restore say so" {
	dump_do unread /mnt/img /mnt/tree.db
	[ "$(grep -c 'unread data ([0-9]* bytes of queue) is not kept' "$SHARE/dump.out")" = 2 ]
	grep 'an urgent byte (MSG_OOB) and what was received behind it is not kept' "$SHARE/dump.out"
	grep 'an urgent byte (MSG_OOB) is kept as one like any other' "$SHARE/dump.out"
	[ "$(wc -l <"$SHARE/dump.out")" = 7 ]
	[ "$(grep -c '^left out: \(udp 127.0.0.1:5556\|packet 0x0800 device 0\): [1-9][0-9]* bytes that wait in it' "$SHARE/engine.out")" = 2 ]
}

@test "datagram sockets at broadcast and link-local addresses, and where no route leads: CRIU fails, nsimg names them" {
	dump_do names /mnt/both /mnt/img
	grep "Can't \(bind\|connect\) inet socket" "$SHARE/alone.err"
	"$NSIMG" import "$db" "$SHARE/img" >/dev/null
	run "$NSIMG" check "$db" udp-address no-route bind-address
	echo "$output"
	[[ $output == *"bind-address (criu)"*"10.9.5.1 is on no device"*"udp-address (criu)"*"no-route (criu)"*"there is no way to 10.9.5.77"* ]]
	for what in 'connected to the broadcast address 10.9.0.255' 'connected to fe80::9' 'connected to ff02::1' 'bound to ff02::77' \
		'bound to ff01::77'; do
		grep "$what" <<<"$output"
	done
	dump_do names_back /mnt/tree.db /mnt/img
	# what CRIU's image does not say is not compared
	[[ $output == *": 0 differences"*"~ device va: mtu 1500 -> 1400"*"+ route 10.66.0.0/16 dev va"* && $output != *"(none)"* ]]
	diff "$SHARE/names.before" "$SHARE/names.after"
	"$NSIMG" import "$SHARE/both.db" "$SHARE/both" >/dev/null
	dump_do names_back /mnt/both.db /mnt/both
	[[ $output == *": 0 differences"*"~ device va: mtu 1500 -> 1400"*"+ route 10.66.0.0/16 dev va"* ]]
	diff "$SHARE/names.before" "$SHARE/names.after"
}

@test "sizes of tun devices that CRIU has dumped: header and send buffer" {
	dump_do tunsizes /mnt/img /mnt/tree.db
	# CRIU has other members of a tun device than the kernel
	[[ $output == *": 0 differences"* ]]
	cat "$SHARE/tunsizes.before"
	diff "$SHARE/tunsizes.before" "$SHARE/tunsizes.after"
	[ "$(awk '$2 == 12 || $3 == 5000' "$SHARE/tunsizes.before" | wc -l)" = 2 ]
}

# refused OBJECT REASON: one line of what nsimg said
refused() { grep -qF -- "$1" <(grep -F -- "$2" "$SHARE/refused.txt") || { echo "not refused: $1: $2"; return 1; }; }

@test "what CRIU will refuse is said before it is started, all of it" {
	dump_do refused
	dump_do rootless
	cat "$SHARE/refused.txt"
	read -r -a pids <"$SHARE/pids"
	refused "task python3 (pid ${pids[0]})" "not the leader of its session"
	refused "of python3 (pid ${pids[0]})" "in another network namespace than its process"
	refused "socket " "connections wait to be accepted (1)"
	refused "socket " "CRIU does not know MPTCP sockets"
	refused "socket " "CRIU does not know AF_VSOCK sockets"
	refused "socket " "a corked datagram"
	refused "socket " "unread netlink messages"
	refused "socket " "it joined netlink groups without a port"
	refused "socket " "it joined a netlink group above 32"
	refused "task python3 (pid ${pids[1]})" "in another user namespace"
	refused "of python3 (pid ${pids[2]})" "traced by process"
	refused "socket " "of a process outside the tree"
	refused "socket " "in which no task of the tree is"
	grep 'will not dump this tree, for 13 reasons; nothing was done' "$SHARE/refused.txt"
	# it could be dumped, and never come back
	grep "^task sleep (pid [0-9]*) *it is in a user namespace of its own: nothing could restore" "$SHARE/rootless.txt"
	grep 'for 1 reason; nothing was done' "$SHARE/rootless.txt"
}

@test "nsimg below the process that is to be dumped; words that are not CRIU's to get" {
	run in_tree bash -c 'export LD_LIBRARY_PATH=/mnt/lib
		/mnt/nsimg dump --criu --pid $$ -o /tmp/img; echo "status $?"'
	[[ $output == *"it runs below process "*"itself: CRIU would stop it too"*"status 2"* ]]
	run "$NSIMG" dump --criu --pid 1 -o "$SHARE/none" -- --leave-stopped
	[[ $status = 2 && $output == *"-- --leave-stopped: not with nsimg dump --criu (connections would stay in repair mode"* ]]
	run "$NSIMG" dump --criu --pid 1 -o "$SHARE/none" -- --lazy-pages
	[[ $status = 2 && $output == *"-- --lazy-pages: not with nsimg dump --criu (CRIU would wait for who asks for pages"* ]]
	run "$NSIMG" dump --criu --pid 1 -o "$SHARE/none.db"
	[[ $status = 2 && $output == *"--criu writes a folder"* ]]
	run "$NSIMG" dump --criu --netns x -o "$SHARE/none"
	[[ $status = 2 && $output == *"give one --pid"* ]]
	run "$NSIMG" dump --pid 1 -o "$SHARE/none" --leave-running
	[[ $status = 2 && $output == *"--leave-running is for CRIU: give --criu"* ]]
	[ ! -e "$SHARE/none" ]
}
