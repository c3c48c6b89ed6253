#!/usr/bin/env bats
# Processes that a current CRIU dumped, through the database, back to CRIU: it restores what nsimg exports.

load peer.bash

setup() {
	need_tree
	command -v sqlite3 >/dev/null || skip "no sqlite3"
	db=$BATS_TEST_TMPDIR/tree.db
}

# checkpoint: criutree, dumped by CRIU, imported into $db
checkpoint() {
	in_tree env PREPARE="${PREPARE:-}" bash /mnt/inside.sh dump /mnt/img
	"$NSIMG" import "$db" "$SHARE/img"
	cat "$SHARE/before.answers"
	# what is asked for later was so before the dump
	[ "$(grep -c 'outer$\|inner link=ok pair=ok$\|dgram$' "$SHARE/before.answers")" = 6 ]
}

# answered: each listener and each UDP socket answers, the connection and the pair between the namespaces work
answered() {
	diff "$SHARE/before.answers" "$SHARE/$1.answers"
}

teardown() {
	[ ! -s "$SHARE/times" ] || sed 's/^/# /' "$SHARE/times" >&3
}

@test "not edited: byte for byte, and CRIU restores it as it was" {
	checkpoint
	"$NSIMG" export "$db" "$SHARE/out"
	diff -r "$SHARE/img" "$SHARE/out"
	in_tree_do restore /mnt/out /mnt/after.txt
	diff "$SHARE/before.txt" "$SHARE/after.txt"
	answered after
}

@test "another port of a listener, by the sqlite3 shell" {
	checkpoint
	# what the same image says before: the port is there once as a listener
	[ "$(grep -c '^tcp LISTEN.* 10.77.0.1:7001 ' "$SHARE/before.txt")" = 1 ]
	sqlite3 "$db" "UPDATE inet_socket SET src_port = 7011 WHERE src = '10.77.0.1' AND backlog = 9 AND dst_port = 0 AND src_port = 7001"
	"$NSIMG" export "$db" "$SHARE/out"
	# only the file with the sockets is another one
	run diff -rq "$SHARE/img" "$SHARE/out"
	[ "${#lines[@]}" = 1 ] && [[ ${lines[0]} == *files.img* ]]
	in_tree env OUTER_PORT=7011 bash /mnt/inside.sh restore /mnt/out /mnt/after.txt
	diff <(sed '/LISTEN/s/10.77.0.1:7001/10.77.0.1:7011/' "$SHARE/before.txt") "$SHARE/after.txt"
	answered after
}

@test "another address of an interface and of everything that names it, by the sqlite3 shell" {
	checkpoint
	sqlite3 "$db" <<-'SQL'
	UPDATE address SET address = '10.77.0.22' WHERE address = '10.77.0.2';
	UPDATE route SET prefsrc = '10.77.0.22' WHERE prefsrc = '10.77.0.2';
	UPDATE inet_socket SET src = '10.77.0.22' WHERE src = '10.77.0.2';
	UPDATE inet_socket SET dst = '10.77.0.22' WHERE dst = '10.77.0.2';
	SQL
	"$NSIMG" export "$db" "$SHARE/out"
	in_tree env INNER_ADDRESS=10.77.0.22 bash /mnt/inside.sh restore /mnt/out /mnt/after.txt
	sed 's/10\.77\.0\.2\b/10.77.0.22/g' "$SHARE/before.txt" | sort >"$SHARE/expected.txt"
	sort "$SHARE/after.txt" | diff "$SHARE/expected.txt" -
	# the established connection between the namespaces has the new address at both ends and carries data
	[ "$(grep -c '^tcp ESTAB.*10.77.0.22:' "$SHARE/after.txt")" = 2 ]
	answered after
}

@test "an address that is added, a listener that is dropped, by the sqlite3 shell" {
	checkpoint
	sqlite3 "$db" <<-'SQL'
	INSERT INTO address (image, netns, ifindex, family, address, prefixlen, scope, flags)
		SELECT image, netns, ifindex, family, '10.78.0.1', 24, scope, flags FROM address WHERE address = '10.77.0.1';
	DELETE FROM socket WHERE id = (SELECT socket FROM inet_socket WHERE src = '10.77.0.2' AND src_port = 7002);
	SQL
	"$NSIMG" export "$db" "$SHARE/out"
	in_tree_do restore /mnt/out /mnt/after.txt
	grep '^2: left .* inet 10.78.0.1/24' "$SHARE/after.txt"
	[ "$(grep -c '^udp .*10.77.0.2:7002' "$SHARE/before.txt")" = 1 ]
	[ "$(grep -c '^udp .*10.77.0.2:7002' "$SHARE/after.txt")" = 0 ]
	grep '^udp .*10.77.0.1:7002' "$SHARE/after.txt"
	diff <(grep -v "^inner's UDP" "$SHARE/before.answers") <(grep -v "^inner's UDP" "$SHARE/after.answers")
}

@test "another name of a device, and of a unix socket; an established connection dropped while the listeners stay" {
	checkpoint
	sqlite3 "$db" <<-'SQL'
	UPDATE device SET name = 'renamed' WHERE name = 'left';
	UPDATE address SET label = 'renamed' WHERE label = 'left';
	UPDATE unix_socket SET name = replace(name, 'criutree-outer', 'criutree-other');
	DELETE FROM socket WHERE id IN (SELECT socket FROM inet_socket WHERE dst_port <> 0);
	SQL
	"$NSIMG" export "$db" "$SHARE/out"
	[ "$(find "$SHARE/img" -name 'tcp-stream-*' | wc -l)" = 2 ]
	[ "$(find "$SHARE/out" -name 'tcp-stream-*' | wc -l)" = 0 ]
	in_tree_do restore /mnt/out /mnt/after.txt
	# descriptor 14 is the connection
	diff <(sed 's/\bleft\b/renamed/g; s/criutree-outer/criutree-other/; /^tcp ESTAB/d; /^14 socket/d' "$SHARE/before.txt") \
		"$SHARE/after.txt"
	diff <(sed 's/link=ok/link=cannot-send/' "$SHARE/before.answers") "$SHARE/after.answers"
}

@test "a route, a rule, the text of the firewall" {
	PREPARE='ip route add 172.16.0.0/16 via 10.77.0.2 && ip rule add from 10.77.0.1 lookup 100 priority 500 &&
		nft "table ip t { chain c { type filter hook input priority 5; ip saddr 10.99.0.1 drop; }; }"'
	checkpoint
	sqlite3 "$db" <<-'SQL'
	INSERT INTO route (image, netns, family, dst, "table", type, protocol, scope, flags, oif, gateway)
		SELECT image, netns, family, '172.17.0.0/16', "table", type, protocol, scope, flags, oif, gateway
		FROM route WHERE dst = '172.16.0.0/16';
	UPDATE rule SET priority = 600, src = '10.77.0.5/32' WHERE priority = 500;
	UPDATE firewall SET content = replace(content, '10.99.0.1', '10.99.0.2') WHERE content LIKE '%10.99.0.1%';
	SQL
	"$NSIMG" export "$db" "$SHARE/out"
	in_tree_do restore /mnt/out /mnt/after.txt
	diff <(sed '/^172.16.0.0/{p;s/16/17/}; s/^500:\tfrom 10.77.0.1/600:\tfrom 10.77.0.5/' "$SHARE/before.txt") "$SHARE/after.txt"
	# CRIU's own lock is in the rules that it dumped, the one of the user is another
	grep 'ip saddr 10.99.0.1 drop' "$SHARE/before.nft"
	grep 'ip saddr 10.99.0.2 drop' "$SHARE/after.nft"
	answered after
}

# Makes the namespaces with nsimg, locks them (a packet between two sockets of which one is not there yet would
# end the connection), and has CRIU restore the processes into them.
into_ours() {
	local ns
	mount -t tmpfs nsimg-test /run
	mkdir -p /run/netns
	ip link set lo up
	"$NSIMG" restore "$1" --no-tasks
	for ns in $2 $3; do
		ip netns exec "$ns" nft 'table inet lock {
			chain in { type filter hook input priority -300; policy drop; meta mark 0xC114 accept; }
			chain out { type filter hook output priority -300; policy drop; meta mark 0xC114 accept; }
		}'
	done
	exec 11<"/run/netns/$2" 12<"/run/netns/$3"
	"$HERE/tree.sh" run env UNLOCK=lock bash /mnt/inside.sh restore "$4" /mnt/after.txt \
		--inherit-fd 'fd[11]:outer' --inherit-fd 'fd[12]:inner'
}

# restored_into_ours DB OUTER INNER FOLDER: names of the namespaces as nsimg pins them, folder in the tree
restored_into_ours() {
	run timeout 600 unshare --net --mount --pid --fork --kill-child --mount-proc bash -c \
		"set -eEuo pipefail; HERE='$HERE'; $(declare -f into_ours); into_ours $*"
	echo "$output"
	[ "$status" -eq 0 ]
}

@test "every namespace external in what is exported: CRIU restores into namespaces that nsimg made" {
	checkpoint
	cp "$db" "$BATS_TEST_TMPDIR/ours.db"
	outer=$(sqlite3 "$db" "SELECT name FROM netns WHERE id = (SELECT netns FROM address WHERE address = '10.77.0.1')")
	inner=$(sqlite3 "$db" "SELECT name FROM netns WHERE id = (SELECT netns FROM address WHERE address = '10.77.0.2')")
	sqlite3 "$db" "UPDATE netns SET ext_key = CASE name WHEN '$outer' THEN 'outer' ELSE 'inner' END"
	"$NSIMG" export "$db" "$SHARE/out"
	restored_into_ours "$BATS_TEST_TMPDIR/ours.db" "$outer" "$inner" /mnt/out
	diff "$SHARE/before.txt" "$SHARE/after.txt"
	answered after
}

# dump_both: the tree has a vxlan device; nsimg dumps the network, CRIU the processes
dump_both() {
	local n pid
	mount -t tmpfs nsimg-test /run
	mkdir -p /run/netns
	PREPARE='ip link add vx0 type vxlan id 4242 local 10.77.0.1 remote 10.77.0.2 dev left dstport 4789 ttl 9 &&
		ip address add 10.79.0.1/24 dev vx0 && ip link set vx0 up'
	export SHARE
	"$HERE/tree.sh" run env PREPARE="$PREPARE" bash /mnt/inside.sh dump_external /mnt/img &
	for n in $(seq 3000); do
		[ -e "$SHARE/ready" ] && break
		kill -0 $! || return 1
		sleep 0.1
	done
	pid=$(pgrep -xo criutree)
	"$NSIMG" dump --pid "$pid" -o "$SHARE/network"
	touch "$SHARE/go"
	wait $!
}

@test "a vxlan device, which CRIU alone refuses: nsimg's dump and CRIU's, put together again" {
	run timeout 600 unshare --net --mount --pid --fork --kill-child --mount-proc bash -c \
		"set -eEuo pipefail; HERE='$HERE'; $(declare -f dump_both); dump_both"
	echo "$output"
	[ "$status" -eq 0 ]
	grep -i unsupported "$SHARE/refused.txt"
	"$NSIMG" import "$db" "$SHARE/network"
	outer=$(sqlite3 "$db" "SELECT name FROM netns WHERE id = (SELECT netns FROM address WHERE address = '10.77.0.1')")
	inner=$(sqlite3 "$db" "SELECT name FROM netns WHERE id = (SELECT netns FROM address WHERE address = '10.77.0.2')")
	# CRIU's half through the database as well: it refers to both namespaces by key
	"$NSIMG" import "$BATS_TEST_TMPDIR/criu.db" "$SHARE/img"
	[ "$(sqlite3 "$BATS_TEST_TMPDIR/criu.db" "SELECT group_concat(ext_key) FROM (SELECT ext_key FROM netns ORDER BY 1)")" = inner,outer ]
	"$NSIMG" export "$BATS_TEST_TMPDIR/criu.db" "$SHARE/out"
	diff -r "$SHARE/img" "$SHARE/out"
	restored_into_ours "$db" "$outer" "$inner" /mnt/out
	grep '^[0-9]*: vx0: ' "$SHARE/after.txt"
	diff "$SHARE/before.txt" "$SHARE/after.txt"
	answered after
}
