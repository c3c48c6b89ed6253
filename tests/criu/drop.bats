#!/usr/bin/env bats
# What nsimg drop and move make of a checkpoint, restored by a current CRIU: the tree with sockets of all families.

load peer.bash

setup() {
	need_tree
	command -v sqlite3 >/dev/null || skip "no sqlite3"
	db=$BATS_TEST_TMPDIR/tree.db
}

teardown() {
	[ ! -s "$SHARE/times" ] || sed 's/^/# /' "$SHARE/times" >&3
}

# dropped WORD...: and CRIU restores what is left
dropped() {
	"$NSIMG" drop "$db" "$@"
	restored
}

# outer_only: for sed, the lines of before.txt and after.txt that are about outer
outer_only='/^== outer/,/^== inner/'

@test "one accepted connection, while the listener and the other connections stay" {
	whole_checkpoint
	dropped socket state established and family inet and sport = :7001 netns "$outer"
	# descriptor 14 of outer, and that end of the connection; inner has its own still, which the kernel resets as soon
	# as CRIU lets it send
	diff <(sed "$outer_only { /^14 socket/d; /^tcp ESTAB .*10.77.0.1:7001 10.77.0.2/d }; s/^tcp ESTAB \(.* 10.77.0.1:7001\)/tcp UNCONN \1/" \
		"$SHARE/before.txt" | sort) <(sort "$SHARE/after.txt")
	diff <(sed 's/ link=ok/ link=cannot-send/' "$SHARE/before.answers") "$SHARE/after.answers"
	# the listener takes new connections
	grep "^outer's listener, from inner: outer\$" "$SHARE/after.answers"
	[ "$(find "$SHARE/img" -name 'tcp-stream-*' | wc -l)" = 4 ]
	[ "$(find "$SHARE/out" -name 'tcp-stream-*' | wc -l)" = 3 ]
	in_tree_do crit /mnt/out /mnt/json
}

@test "a connection with both its ends" {
	whole_checkpoint
	dropped socket state established and family inet6 and sport = :7006 netns "$outer" --peers
	diff <(sed '/^17 socket/d; /^tcp ESTAB .*fd77/d' "$SHARE/before.txt") "$SHARE/after.txt"
	diff <(sed 's/ link6=ok/ link6=cannot-send/' "$SHARE/before.answers") "$SHARE/after.answers"
	[ "$(find "$SHARE/out" -name 'tcp-stream-*' | wc -l)" = 2 ]
}

@test "a listener with the connections that came through it" {
	whole_checkpoint
	dropped socket state listening and family inet and sport = :7001 netns "$outer" --accepted --peers
	diff <(sed "/^14 socket/d; /^tcp ESTAB .*10\\.77/d; $outer_only { /^10 socket/d; /^tcp LISTEN .*10.77.0.1:7001/d }" "$SHARE/before.txt") \
		"$SHARE/after.txt"
	diff <(grep -v '^outer.s listener' "$SHARE/before.answers" | sed 's/ link=ok/ link=cannot-send/') \
		<(grep -v '^outer.s listener' "$SHARE/after.answers")
	grep "^outer's listener, from inner: .*refused" "$SHARE/after.answers"
}

@test "sockets of every other family" {
	whole_checkpoint
	"$NSIMG" drop "$db" socket family packet netns "$outer"
	"$NSIMG" drop "$db" socket family netlink netns "$outer"
	"$NSIMG" drop "$db" socket sport = :7003 netns "$outer"
	"$NSIMG" drop "$db" socket sport = :7004 netns "$outer"
	"$NSIMG" drop "$db" socket sport = :7007 netns "$outer"
	dropped socket src /tmp/criutree-outer
	diff <(sed "$outer_only { /^\\(13\\|18\\|19\\|20\\|22\\|23\\) socket/d; /^udp .*:\\(7003\\|7004\\|7007\\) /d; /^u_dgr .*criutree-outer/d }" \
		"$SHARE/before.txt") "$SHARE/after.txt"
	diff <(sed 's/ connected=ok mapped=ok/ connected=no-answer mapped=no-answer/' "$SHARE/before.answers") "$SHARE/after.answers"
}

@test "one end of a unix pair that goes from one namespace to the other: the other end is one of a closed pair" {
	whole_checkpoint
	ino=$(sqlite3 "$db" "SELECT s.ino FROM socket s JOIN fd f ON f.file_id = s.file_id JOIN task t ON t.files_id = f.files_id
		JOIN netns n ON n.id = t.netns WHERE f.fd = 15 AND n.name = '$outer'")
	dropped socket ino = "$ino"
	diff <(sed 's/ pair=ok/ pair=cannot-send/' "$SHARE/before.answers") "$SHARE/after.answers"
	[ "$(grep -c '^15 socket' "$SHARE/after.txt")" = 1 ]
}

@test "move: one end of a pair to the other namespace, with its address, and it carries data there" {
	PREPARE='ip link add v1 type veth peer name v2 && ip address add 10.80.0.1/24 dev v1 && ip address add 10.80.0.2/24 dev v2 &&
		ip link set v1 up && ip link set v2 up && ip route add 172.20.0.0/16 via 10.80.0.1 dev v2'
	whole_checkpoint
	"$NSIMG" move "$db" device "$outer/v2" "$inner"
	restored REACH=10.80.0.1
	cat "$SHARE/after.txt"
	# in the one namespace it is gone, in the other it is there with all it had
	sed -n "${outer_only}p" "$SHARE/after.txt" | { ! grep '\bv2\b.*10.80\|: v2@'; }
	sed -n '/^== inner/,$p' "$SHARE/after.txt" >"$SHARE/inner.txt"
	grep '^[0-9]*: v2@' "$SHARE/inner.txt"
	grep '^[0-9]*: v2 .*inet 10.80.0.2/24' "$SHARE/inner.txt"
	grep '^172.20.0.0/16 via 10.80.0.1 dev v2' "$SHARE/inner.txt"
	diff "$SHARE/before.answers" "$SHARE/after.answers"
	grep 'Connection refused' "$SHARE/after.reach"
}
