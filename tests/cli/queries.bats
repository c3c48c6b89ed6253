#!/usr/bin/env bats
# nsimg sql with ready queries.

load ../netns/helpers

bats_require_minimum_version 1.5.0

# Change the database as another client would.
edit() { sqlite3 "$BATS_TEST_TMPDIR/s.db" "$1"; }

@test "ready queries: what they find in every sample image" {
	need_corpus scenario/nested-veth
	command -v python3 >/dev/null || skip "no python3"
	local images=() d
	for d in "$CORPUS"/*/*/; do [ -e "$d/inventory.img" ] && images+=("${d%/}"); done
	"$NSIMG" import "$BATS_TEST_TMPDIR/all.db" "${images[@]}" "$CORPUS"/podman/c*.tar* >/dev/null
	python3 "$TESTS/cli/queries.py" "$NSIMG" "$BATS_TEST_TMPDIR/all.db" "$CORPUS"
}

@test "ready queries: what is new, what is gone, what comes back over the images of one container" {
	need_corpus scenario/tcp-established
	local db=$BATS_TEST_TMPDIR/s.db
	"$NSIMG" import --again "$db" "$CORPUS/scenario/tcp-established"{,,} >/dev/null
	# the same three images have nothing new, and all their peers come back, from the same ports
	[ -z "$("$NSIMG" sql "$db" --named whats-new -n)$("$NSIMG" sql "$db" --named whats-gone -n)" ]
	[ "$("$NSIMG" sql "$db" --named beacons -n -o images,of,local_ports | sort -u | tr -s ' ')" = "3 3 1" ]
	# a client that connects anew before each, to a public address; a listener that is new in the last
	edit "UPDATE inet_socket SET dst = '8.8.4.4', dst_port = 443, src_port = 50000 + (SELECT image FROM socket
		WHERE id = socket) WHERE dst = '10.1.0.1' AND dst_port = 7101"
	edit "UPDATE inet_socket SET src_port = 9999 WHERE socket IN (SELECT id FROM socket WHERE image = 3
		AND state = 10) AND src_port = 7001"
	run "$NSIMG" sql "$db" --named beacons -o remote,port,public,images,of,local_ports --csv
	echo "$output"
	[ "${lines[1]//$'\r'/}" = 8.8.4.4,443,1,3,3,3 ]
	run "$NSIMG" sql "$db" --named whats-new -o image,before,what,value --csv
	echo "$output"
	[ "${#lines[@]}" -eq 2 ] && [ "${lines[1]//$'\r'/}" = "3,2,listener,tcp 127.0.0.1:9999" ]
	run "$NSIMG" sql "$db" --named whats-gone -o image,before,what,value --csv
	[ "${#lines[@]}" -eq 2 ] && [ "${lines[1]//$'\r'/}" = "3,2,listener,tcp 127.0.0.1:7001" ]
	[ "$("$NSIMG" sql "$db" --named whats-new --image 2 -n | wc -l)" -eq 0 ]
	[ "$("$NSIMG" sql "$db" --named public-connections --image 2 -n -o local | tr -d ' ')" = 10.1.0.2:50002 ]
}

@test "ready queries: what no sample has" {
	need_corpus scenario/nested-veth
	local db=$BATS_TEST_TMPDIR/s.db
	"$NSIMG" import "$db" "$CORPUS/scenario/nested-veth" >/dev/null
	edit "INSERT INTO netns (image, ns_id, name, pins) VALUES (1, 77, 'alone', '[\"/run/netns/alone\"]')"
	"$NSIMG" add "$db" neighbour 10.10.0.50 lladdr 02:00:00:00:00:99 dev ns9/br0 >/dev/null
	"$NSIMG" add "$db" neighbour 10.10.0.51 lladdr 02:00:00:00:00:99 dev ns9/br0 >/dev/null
	"$NSIMG" add "$db" neighbour 10.10.0.52 lladdr 02:00:00:00:00:98 dev ns9/br0 >/dev/null
	"$NSIMG" add "$db" route 0.0.0.0/1 via 10.10.0.77 dev ns9/br0 >/dev/null
	"$NSIMG" add "$db" route 10.44.0.0/16 via 10.10.0.2 dev ns9/br0 table 100 >/dev/null
	"$NSIMG" add "$db" route 9.9.9.9 via 10.10.0.77 dev ns9/br0 >/dev/null
	edit "UPDATE unix_socket SET deleted = 1 WHERE name = '/srv/nsimg/run/nv/seq.sock'"
	found() { "$NSIMG" sql "$db" --named "$1" --csv -n -o "$2" | tr -d '\r'; }
	[ "$(found namespaces-without-tasks netns,sockets,pins)" = 'alone,0,"[""/run/netns/alone""]"' ]
	[ "$(found shared-macs device,mac,addresses)" = br0,02:00:00:00:00:99,2 ]
	[ "$(found deleted-unix-paths path,owners)" = "/srv/nsimg/run/nv/seq.sock,holder(21):11" ]
	found odd-routes why,route
	[ "$(found odd-routes why,route | grep -c "half of default,0.0.0.0/1\|public host,9.9.9.9\|^other table,10.44")" -eq 3 ]
}

@test "ready queries: names, a folder of one's own, wrong words" {
	need_corpus scenario/private-network
	local db=$BATS_TEST_TMPDIR/s.db own=$BATS_TEST_TMPDIR/own
	"$NSIMG" import "$db" "$CORPUS/scenario/private-network" >/dev/null
	mkdir "$own"
	printf '%s\n' '-- Tasks,' '-- all.' '--' '-- More.' '--' '-- Columns:' '--   pid   process' '--   comm  its' \
		'--         name' 'SELECT pid, comm FROM task WHERE image = :image OR :image IS NULL ORDER BY pid' \
		>"$own/my-tasks.sql"
	echo 'SELECT count(*) AS n FROM socket' >"$own/tunnels.sql"
	[ "$("$NSIMG" sql "$db" --named my-tasks --queries "$own" --image 1 --json -o comm | tr -d '[]\n ')" = \
		"$(sqlite3 "$db" "SELECT group_concat('{\"comm\":\"' || comm || '\"}') FROM task")" ]
	# one's own has precedence
	[ "$("$NSIMG" sql "$db" --named tunnels --queries "$own" -n | tr -d ' ')" = \
		"$(sqlite3 "$db" 'SELECT count(*) FROM socket')" ]
	run "$NSIMG" sql --describe my-tasks --queries "$own"
	[ "${lines[0]}" = "Tasks, all." ] && [ "${lines[1]}" = More. ] && [[ $output == *"comm    its name"* ]]
	[ "$("$NSIMG" sql --list-named --queries "$own" -n | grep -c '^my-tasks  *Tasks, all.$\|^beacons ')" -eq 2 ]
	fails() { # TEXT WORDS...
		local text=$1
		shift
		run --separate-stderr "$NSIMG" sql "$@"
		echo "$*: status $status: $stderr"
		[ "$status" -eq 2 ] && [ -z "$output" ] && [[ $stderr == *"$text"* ]]
	}
	fails "no query 'becons'; did you mean 'beacons'" "$db" --named becons
	fails "did you mean 'my-tasks'" "$db" --named mytasks --queries "$own"
	fails "it is about the whole file" "$db" --named tunnels --queries "$own" --image 1
	fails "no image 7" "$db" --named tunnels --image 7
	fails "usage: nsimg sql DB SQL | DB --named NAME" --named tunnels
	fails "takes no SQL" "$db" "SELECT 1" --named tunnels
	fails "exclude each other" --list-named --describe tunnels
	fails "nothere" --list-named --queries "$BATS_TEST_TMPDIR/nothere"
	fails "--queries goes with" "$db" "SELECT 1" --queries "$own"
	echo 'DELETE FROM task' >"$own/evil.sql"
	fails "$own/evil.sql: " "$db" --named evil --queries "$own"
	echo 'SELECT nosuch FROM task' >"$own/evil.sql"
	fails "$own/evil.sql: no such column: nosuch" "$db" --named evil --queries "$own"
}
