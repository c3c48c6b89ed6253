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
	in_tree_do dump /mnt/img "$@"
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
	! grep '^udp .*10.77.0.2:7002' "$SHARE/after.txt"
	grep '^udp .*10.77.0.1:7002' "$SHARE/after.txt"
	diff <(grep -v "^inner's UDP" "$SHARE/before.answers") <(grep -v "^inner's UDP" "$SHARE/after.answers")
}
