#!/usr/bin/env bats
# What nsimg fix makes of a checkpoint, restored by a current CRIU.

load peer.bash

setup() {
	need_tree
	command -v sqlite3 >/dev/null || skip "no sqlite3"
	db=$BATS_TEST_TMPDIR/tree.db
}

@test "CRIU's lock is taken out: all is as before, and no empty tables are left" {
	whole_checkpoint
	[ -n "$(sqlite3 "$db" "SELECT 1 FROM firewall WHERE content LIKE '%CRIU%'")" ]
	"$NSIMG" fix "$db" criu-lock
	run "$NSIMG" check "$db"
	[ "$status" -eq 0 ]
	restored
	diff "$SHARE/before.txt" "$SHARE/after.txt"
	diff "$SHARE/before.answers" "$SHARE/after.answers"
	cat "$SHARE/after.nft"
	diff "$SHARE/before.nft" "$SHARE/after.nft"
	# CRIU's own way: tables filter that were not there before
	"$NSIMG" undo "$db" >/dev/null
	"$NSIMG" export "$db" "$SHARE/out2"
	in_tree_do restore /mnt/out2 /mnt/left.txt
	diff "$SHARE/before.nft" "$SHARE/left.nft" | grep '^> table ip filter {'
}

@test "a bridge without ports, and the route on it: CRIU fails as check says, and restores what fix made of it" {
	PREPARE='ip link add br9 type bridge && ip link add w0 type veth peer name w1 && ip link set w0 master br9 && ip link delete w0 &&
		ip address add 172.30.0.1/16 dev br9 && ip link set br9 up'
	whole_checkpoint
	run "$NSIMG" check "$db" --errors
	echo "$output"
	[[ $output == *"error bridge-mac "*"/br9 "*"error route-dead "*"172.30.0.0/16 dev br9 "* ]]
	"$NSIMG" export "$db" "$SHARE/broken"
	run timeout 300 "$HERE/tree.sh" run bash /mnt/inside.sh restore /mnt/broken /mnt/broken.txt
	echo "$output"
	[ "$status" -ne 0 ] && [[ $output == *"Cannot assign requested address"* || $output == *"-99 reported by netlink"* ]]
	"$NSIMG" fix "$db" all
	restored
	# all as before but for the MAC address of the bridge
	grep '172.30.0.1/16' "$SHARE/after.txt"
	diff "$SHARE/before.answers" "$SHARE/after.answers"
}

@test "nexthop objects, of which CRIU keeps nothing: fixed CRIU restores the routes, nsimg restore --criu without" {
	need_nsimg_inside
	PREPARE='ip nexthop add id 5 via 10.77.0.2 dev left && ip route add 172.30.0.0/16 nhid 5 &&
		ip nexthop add id 8 blackhole && ip route add 172.29.0.0/16 nhid 8'
	whole_checkpoint
	cp "$db" "$SHARE/tree.db"
	run "$NSIMG" check "$db" --errors
	[[ $output == *"error route-nexthop"*"2 errors"* ]]
	"$NSIMG" fix "$db" all
	"$NSIMG" check "$db" --errors
	restored
	grep -E '^172.30.0.0/16 via 10.77.0.2 dev left *$' "$SHARE/after.txt"
	grep -E '^blackhole 172.29.0.0/16' "$SHARE/after.txt"
	in_tree_do engine /mnt/tree.db /mnt/engine.txt
	grep -E '^172.30.0.0/16 via 10.77.0.2 dev left' "$SHARE/engine.txt"
	grep -E '^blackhole 172.29.0.0/16' "$SHARE/engine.txt"
	grep 'left out: .*172.30.0.0/16.*nexthop object 5, which CRIU does not keep' "$SHARE/engine.out"
}

@test "a gateway whose network is gone, connections that a blackhole is in the way of: CRIU fails as check says" {
	PREPARE='ip address add 10.5.0.1/24 dev left && ip route add 203.0.113.0/24 via 10.5.0.9 && ip address delete 10.5.0.1/24 dev left'
	whole_checkpoint
	run "$NSIMG" check "$db" --errors
	[[ $output == *"error route-gateway (criu)"*"203.0.113.0/24 via 10.5.0.9 "*"1 error, "* ]]
	"$NSIMG" export "$db" "$SHARE/broken"
	run timeout 300 "$HERE/tree.sh" run bash /mnt/inside.sh restore /mnt/broken /mnt/broken.txt
	[ "$status" -ne 0 ] && [[ $output == *"IP tool failed on route restore"* ]]
	"$NSIMG" drop "$db" route 203.0.113.0/24
	"$NSIMG" add "$db" route blackhole 10.77.0.2 netns "$outer"
	run "$NSIMG" export "$db" "$SHARE/blocked"
	echo "$output"
	[ "$status" -eq 2 ] && [[ $output == *"no-route: "*"10.77.0.2"* ]]
	"$NSIMG" export --force "$db" "$SHARE/blocked"
	run timeout 300 "$HERE/tree.sh" run bash /mnt/inside.sh restore /mnt/blocked /mnt/blocked.txt
	[ "$status" -ne 0 ] && [[ $output == *"Can't connect inet socket back"* ]]
	"$NSIMG" undo "$db"
	restored
	diff <(grep -v '^203.0.113.0' "$SHARE/before.txt") "$SHARE/after.txt"
	diff "$SHARE/before.answers" "$SHARE/after.answers"
}
