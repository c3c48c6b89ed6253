#!/usr/bin/env bats
# What nsimg readdress, remac, rename and externalize make of a checkpoint, restored by a current CRIU: the tree with
# sockets of all families, looked at from inside, by ip, ss and nft.

load peer.bash

setup() {
	need_tree
	command -v sqlite3 >/dev/null || skip "no sqlite3"
	db=$BATS_TEST_TMPDIR/tree.db
}

teardown() {
	[ ! -s "$SHARE/times" ] || sed 's/^/# /' "$SHARE/times" >&3
}

# rules without counters and without CRIU's own lock
rules() {
	sed -E 's/packets [0-9]+ bytes [0-9]+//' "$1" | sed '/^table .* filter {/,/^}/d'
}

@test "not edited: sockets of all families, two connections, one of IPv6" {
	whole_checkpoint
	[ "$(sqlite3 "$db" "SELECT group_concat(DISTINCT family || '/' || type) FROM (SELECT family, type FROM socket ORDER BY 1, 2)")" = \
		1/1,1/2,2/1,2/2,2/3,10/1,10/2,16/3,17/2 ]
	"$NSIMG" export "$db" "$SHARE/same"
	diff -r "$SHARE/img" "$SHARE/same"
	restored
	diff "$SHARE/before.txt" "$SHARE/after.txt"
	diff "$SHARE/before.answers" "$SHARE/after.answers"
}

@test "readdress: another subnet everywhere, both ends of established TCP, which still carries data both ways" {
	PREPARE='ip route add 172.16.0.0/16 via 10.77.0.2 && ip route add 172.18.0.0/16 nexthop via 10.77.0.2 nexthop via 10.77.0.9 &&
		ip -6 route add fd99::/64 via fd77::2 && ip rule add from 10.77.0.0/25 lookup 100 priority 500 &&
		nft "table inet u { set s { type ipv4_addr; flags interval; elements = { 10.77.0.2, 10.77.0.128/25 }; };
			chain c { type filter hook input priority 5; ip saddr @s accept; ip6 saddr fd77::/64 accept;
				ip saddr 10.77.0.7 drop comment \"was 10.77.0.7\"; }; }"'
	whole_checkpoint
	run "$NSIMG" readdress "$db" 10.77.0.0/24 10.88.5.0/24 fd77::/64 fd88::/64
	echo "$output"
	[ "$status" -eq 0 ]
	[[ $output == *"content was 10.77.0.7: an address inside a comment"* ]]
	restored OUTER_ADDRESS=10.88.5.1 INNER_ADDRESS=10.88.5.2
	diff <(sed 's/10\.77\.0\./10.88.5./g; s/fd77::/fd88::/g' "$SHARE/before.txt" | sort) <(sort "$SHARE/after.txt")
	# four sockets at the two ends of two connections
	[ "$(grep -c '^tcp ESTAB.*10.88.5.*10.88.5' "$SHARE/after.txt")" = 2 ]
	[ "$(grep -c '^tcp ESTAB.*fd88::.*fd88::' "$SHARE/after.txt")" = 2 ]
	diff "$SHARE/before.answers" "$SHARE/after.answers"
	diff <(rules "$SHARE/before.nft" | sed '/comment/!s/10\.77\.0\./10.88.5./g; /comment/s/10\.77\.0\.7 drop/10.88.5.7 drop/; s/fd77::/fd88::/g') \
		<(rules "$SHARE/after.nft")
	rules "$SHARE/after.nft" | grep 'ip saddr 10.88.5.7 drop comment "was 10.77.0.7"'
	# crit reads all of it
	in_tree_do crit /mnt/out /mnt/json
}

@test "readdress in one of the two namespaces alone: what the other has of it stays" {
	whole_checkpoint
	"$NSIMG" readdress "$db" 10.77.0.2 10.77.0.22 netns "$inner"
	[ "$(sqlite3 "$db" "SELECT count(*) FROM inet_socket JOIN socket s ON s.id = socket JOIN netns n ON n.id = s.netns WHERE dst = '10.77.0.2' AND n.name = '$outer'")" -ge 2 ]
	# and the other one afterwards: together it is the same as both at once
	"$NSIMG" readdress "$db" 10.77.0.2 10.77.0.22 netns "$outer"
	restored INNER_ADDRESS=10.77.0.22
	diff <(sed 's/10\.77\.0\.2\b/10.77.0.22/g' "$SHARE/before.txt" | sort) <(sort "$SHARE/after.txt")
	diff "$SHARE/before.answers" "$SHARE/after.answers"
}

@test "rename: a device that sockets are bound to and that rules and rulesets name" {
	PREPARE='ip rule add iif left lookup 100 priority 500 && ip rule add oif left lookup 100 priority 501 &&
		echo 2 >/proc/sys/net/ipv4/conf/left/rp_filter &&
		nft "table inet u { set s { type ifname; elements = { \"left\", \"zeta\" }; };
			chain c { type filter hook input priority 5; iifname @s accept; iif \"left\" accept; oifname vmap { \"left\" : accept }; }; }"'
	whole_checkpoint
	"$NSIMG" rename "$db" device "$outer/left" uplink
	restored
	diff <(sed 's/\bleft\b/uplink/g' "$SHARE/before.txt") "$SHARE/after.txt"
	grep '^udp .*0.0.0.0%uplink:7004' "$SHARE/after.txt"
	diff "$SHARE/before.answers" "$SHARE/after.answers"
	diff <(rules "$SHARE/before.nft" | sed 's/"left"/"uplink"/g') <(rules "$SHARE/after.nft")
	[ "$(grep -c uplink <(rules "$SHARE/after.nft"))" = 3 ]
}

@test "remac: the device, its link-local address, the neighbours" {
	whole_checkpoint
	mac=$(sqlite3 "$db" "SELECT address FROM device WHERE name = 'left'")
	old=$(sqlite3 "$db" "SELECT a.address FROM address a JOIN device d ON d.netns = a.netns AND d.ifindex = a.ifindex WHERE d.name = 'left' AND a.address GLOB 'fe80*'")
	[ -n "$mac" ] && [ -n "$old" ]
	"$NSIMG" remac "$db" "$outer/left" 02:00:00:00:77:01
	restored
	diff <(sed "s/$mac/02:00:00:00:77:01/g; s/$old\\b/fe80::ff:fe00:7701/g" "$SHARE/before.txt" | sort) <(sort "$SHARE/after.txt")
	diff "$SHARE/before.answers" "$SHARE/after.answers"
}

@test "two copies of one checkpoint with different addresses, side by side on one bridge" {
	whole_checkpoint
	"$NSIMG" externalize "$db" "$outer" outer
	"$NSIMG" externalize "$db" "$inner" inner
	"$NSIMG" export "$db" "$SHARE/out1"
	"$NSIMG" readdress "$db" 10.77.0.0/24 10.88.5.0/24 fd77::/64 fd88::/64
	"$NSIMG" export "$db" "$SHARE/out2"
	in_tree_do side_by_side /mnt/out1 /mnt/out2
	for net in 10.77.0 10.88.5; do
		grep "^$net.1 outer\$" <<<"$output"
		grep "^$net.2 inner link=ok pair=ok link6=ok connected=ok mapped=ok\$" <<<"$output"
	done
	for side in outer inner; do
		[ "$(grep -c '^tcp ESTAB.*10.77.0' "$SHARE/copy-${side}1.txt")" = 1 ]
		diff <(sed 's/10\.77\.0\./10.88.5./g; s/fd77::/fd88::/g' "$SHARE/copy-${side}1.txt") "$SHARE/copy-${side}2.txt"
	done
}
