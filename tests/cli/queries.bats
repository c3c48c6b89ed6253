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

@test "sql: kinds of JSON values, columns of one name, comments, wrong names" {
	local db=$BATS_TEST_TMPDIR/s.db
	need_corpus scenario/nested-veth
	"$NSIMG" import "$db" "$CORPUS/scenario/nested-veth" >/dev/null
	run "$NSIMG" sql "$db" "SELECT 1.5 AS b, 2 AS a, 3 AS a, '4' AS t, NULL AS n" --json
	echo "$output"
	python3 -c 'import json, sys
assert json.loads(sys.argv[1]) == [{"b": 1.5, "a": 2, "a:1": 3, "t": "4", "n": None}]' "$output"
	[ "$("$NSIMG" sql "$db" $'-- of the evidence\nSELECT 7 AS x' -n)" = 7 ]
	run "$NSIMG" sql "$db" "SELECT * FROM devic"
	[ "$status" -eq 2 ] && [[ $output == *"did you mean 'device'?"* ]]
	run "$NSIMG" sql "$db" "SELECT * FROM device" --netns ns10
	[ "$status" -eq 2 ] && [[ $output == *"none of the views"* ]]
}

@test "the device below a vxlan, in show, tree and graph" {
	local db=$BATS_TEST_TMPDIR/s.db
	need_corpus scenario/nested-veth
	"$NSIMG" import "$db" "$CORPUS/scenario/nested-veth" >/dev/null
	# as the kernel tells it: IFLA_LINK is the device itself, IFLA_VXLAN_LINK the one below
	edit "UPDATE edit_state SET importing = 1, op = -1"
	edit "INSERT INTO device (image, netns, ifindex, name, kind, flags, link, attrs) SELECT image, netns, 77, 'vx7', 'vxlan', 4098, 77,
		'{\"id\":7,\"link\":2}' FROM device WHERE name = 'br0'"
	edit "UPDATE edit_state SET importing = 0, op = 0"
	[ "$("$NSIMG" show "$db" devices "name = 'vx7'" -n -o peer)" = br0 ]
	"$NSIMG" tree "$db" | grep 'vx7 .* on br0$'
	"$NSIMG" graph "$db" --json | tr -d ' \n' | grep -q '"kind":"lower"'
}

@test "origin: facts lead to the inventory, a task to its core file" {
	local db=$BATS_TEST_TMPDIR/o.db
	need_corpus scenario/nested-veth
	"$NSIMG" import "$db" "$CORPUS/scenario/nested-veth" >/dev/null
	"$NSIMG" show "$db" facts -O --json >"$BATS_TEST_TMPDIR/facts"
	"$NSIMG" show "$db" tasks pid = 7 -O --json >"$BATS_TEST_TMPDIR/tasks"
	python3 - "$CORPUS/scenario/nested-veth" "$BATS_TEST_TMPDIR" <<-'EOF'
		import json, sys
		corpus, tmp = sys.argv[1:]
		def is_there(o):
		    data = open(f"{corpus}/{o['file']}", "rb").read()
		    n = int.from_bytes(data[o["offset"]:o["offset"] + 4], "little")
		    assert o["length"] == 4 + n, o
		    assert data[o["offset"]:].startswith(bytes.fromhex(o["bytes"])), o
		facts = json.load(open(tmp + "/facts"))
		assert facts and all(f["origin"]["file"] == "inventory.img" for f in facts), facts
		is_there(facts[0]["origin"])
		task, = json.load(open(tmp + "/tasks"))
		assert task["origin"]["file"] == "pstree.img" and task["core"]["file"] == "core-7.img", task
		is_there(task["core"])
		assert b"holder" in bytes.fromhex(task["core"]["bytes"]) or task["core"]["length"] > 1024
	EOF
	"$NSIMG" show "$db" tasks pid = 7 -O | grep -q '^  core-7.img, record 0, offset 8, '
	# podman's archive has the images in a folder
	need_corpus podman
	"$NSIMG" import "$BATS_TEST_TMPDIR/c1.db" "$CORPUS/podman/c1.tar.gz" >/dev/null
	"$NSIMG" show "$BATS_TEST_TMPDIR/c1.db" tasks pid = 1 -O | grep -q '^  checkpoint/core-1.img, record 0, offset 8, '
}

@test "colours: on a terminal, and not with NO_COLOR" {
	local db=$BATS_TEST_TMPDIR/s.db words
	need_corpus scenario/nested-veth
	command -v script >/dev/null || skip "no script(1)"
	"$NSIMG" import "$db" "$CORPUS/scenario/nested-veth" >/dev/null
	tty() { TERM=xterm script -qec "$*" /dev/null; }
	for words in tree sockets "show devices"; do
		words="'$NSIMG' ${words%% *} '$db' ${words#"${words%% *}"}"
		tty "$words" | grep -q $'\e\[36m'
		! tty "NO_COLOR=1 $words" | grep -q $'\e'
		! tty "TERM=dumb $words" | grep -q $'\e'
		! bash -c "$words" | grep -q $'\e'
	done
	# nothing is cut, and no line is longer than the terminal is wide but that with a long path for a peer
	tty "stty cols 80; NO_COLOR=1 '$NSIMG' sockets '$db'" | python3 -c 'import sys
lines = [l.rstrip("\r\n") for l in open(0, encoding="utf-8")]
assert len(lines) == 56 and sum(len(l) > 80 for l in lines) == 1, lines
assert any("10.10.0.22:5000 " in l for l in lines) and not any("\u2026" in l for l in lines), lines
assert lines[1] == "        USERS" and all("pid=" in l for l in lines[3::2]), lines'
	tty "stty cols 80; NO_COLOR=1 '$NSIMG' show '$db' routes" | tr -d '\r' | grep -A1 '^ns9 .* 10.20.0.0/30 ' | grep -q '^        10.20.0.1 '
	tty "stty cols 80; NO_COLOR=1 '$NSIMG' plan '$db'" | tr -d '\r' | grep -A1 'ns9 0 = ns10$' | grep -q '^        exists, ns10 exists$'
	tty "stty cols 80; NO_COLOR=1 '$NSIMG' images '$db'" | grep -q "$(realpath "$CORPUS/scenario/nested-veth")"
	tty "stty cols 80; NO_COLOR=1 '$NSIMG' sql '$db' 'SELECT * FROM route'" | grep -q '^DST        10.10.0.0/24'
}

# The queries are of osquery's documentation and packs, with its columns.
@test "saved queries of osquery run unchanged" {
	need_corpus scenario/nested-veth
	local db=$BATS_TEST_TMPDIR/s.db q view
	"$NSIMG" import "$db" "$CORPUS/scenario/nested-veth" "$CORPUS/scenario/private-network" >/dev/null
	osq() { "$NSIMG" sql "$db" --image 1 --csv -n "$@" | tr -d '\r'; }
	# who listens (snapshot.json of the sample); sockets of the other image are not in it
	q="SELECT DISTINCT process.name, listening.port, listening.address, process.pid FROM processes AS process
		JOIN listening_ports AS listening ON process.pid = listening.pid
		WHERE listening.protocol = 6 ORDER BY process.pid, listening.port, listening.address;"
	[ "$(osq "$q")" = "$(printf 'holder,%s\n' 80,10.10.0.1,7 443,::,7 80,10.10.0.2,18 80,127.0.0.1,18 \
		8080,fd00:10::2,18 80,0.0.0.0,21 80,10.20.0.2,24 80,::1,24 81,0.0.0.0,24)" ]
	q="SELECT p.name, pos.pid, pos.local_address, pos.local_port, pos.remote_address, pos.remote_port, pos.state
		FROM process_open_sockets pos JOIN processes p USING (pid)
		WHERE pos.remote_port <> 0 AND pos.family = 2 AND pos.remote_address NOT IN ('', '0.0.0.0')
		ORDER BY pos.pid"
	[ "$(osq "$q")" = "$(printf 'holder,%s,\n' 18,10.10.0.22,5000,10.10.0.3,5000 21,10.10.0.3,5000,10.10.0.22,5000)" ]
	q="select distinct pid, path from process_open_sockets where path <> '' and path like '/srv%' order by path"
	[ "$(osq "$q")" = "$(printf '21,/srv/nsimg/run/nv/%s.sock\n' dgram seq stream)" ]
	q="SELECT ia.address, ia.mask, id.mac, id.mtu FROM interface_addresses ia
		JOIN interface_details id USING (interface) WHERE id.interface = 'vc' AND ia.address LIKE '10.%'"
	[ "$(osq "$q")" = 10.20.0.1,255.255.255.252,02:00:00:00:0c:01,1400 ]
	q="SELECT destination, netmask, gateway, interface, mtu FROM routes WHERE type = 'gateway' AND gateway <> ''
		AND destination LIKE '10.3%' AND interface IN ('br0', 'vc') ORDER BY destination"
	[ "$(osq "$q")" = "$(printf '%s\n' 10.30.0.0,16,10.10.0.2,br0,0 10.31.0.0,16,10.20.0.2,vc,1300)" ]
	q="SELECT count(DISTINCT net_namespace) FROM process_namespaces JOIN processes USING (pid)"
	[ "$(osq "$q")" = "$(sqlite3 "$db" 'SELECT count(DISTINCT netns) FROM task WHERE image = 1')" ]
	# a namespace has one number in all of them, whether the image has its inode or not
	q="SELECT count(DISTINCT pid) FROM listening_ports JOIN process_namespaces USING (pid, net_namespace) WHERE port > 0"
	[ "$(osq "$q")" = "$(osq "SELECT count(DISTINCT pid) FROM listening_ports WHERE port > 0")" ]
	[ "$(osq "SELECT state, threads, parent FROM processes WHERE pid = 18")" = S,1,7 ]
	# every view has the same number for a namespace: sockets that tasks hold and that are of their own namespace
	q="SELECT count(*) FROM listening_ports JOIN process_namespaces USING (pid, net_namespace)"
	[ "$(osq "$q")" = "$(sqlite3 "$db" "SELECT count(*) FROM listening_ports l JOIN task t ON t.image = l.image AND
		t.pid = l.pid JOIN netns n ON n.id = t.netns AND n.name = l.netns WHERE l.image = 1")" ] && [ "$(osq "$q")" -gt 9 ]
	# osquery's columns have types: a number is compared with a text as well, and both ways
	q="SELECT DISTINCT pid FROM process_open_sockets WHERE local_port = '80' ORDER BY 1"
	[ "$(osq "$q")" = "$(osq "${q/\'80\'/80}")" ] && [ "$(osq "$q" | paste -sd,)" = 7,18,21,24 ]
	q="SELECT pos.pid, pos.remote_address, pos.remote_port FROM process_open_sockets pos
		WHERE pos.remote_port !='0' AND family = 2 ORDER BY 1"
	[ "$(osq "$q")" = "$(printf '%s\n' 18,10.10.0.3,5000 21,10.10.0.22,5000)" ]
	[ "$(osq "SELECT count(*) > 0 FROM routes WHERE netmask = '24'")" = 1 ]
	[ "$(osq "SELECT DISTINCT interface FROM interface_details WHERE type = '772'")" = lo ]
	[ "$(osq "SELECT count(*) FROM processes WHERE on_disk = '-1' AND threads = '1'")" = "$(osq "SELECT count(*) FROM processes")" ]
	# columns that osquery has on other systems are there, its functions too (values: md5sum, RFC 4648, Community ID's baseline)
	[ "$(osq "SELECT DISTINCT friendly_name IS NULL FROM interface_addresses")" = 1 ]
	q="SELECT CONCAT(MIN(s.remote_port, 32768), ',', protocol, ',', p.name) AS k, COUNT(p.pid) FROM process_open_sockets s
		LEFT JOIN processes p ON s.pid = p.pid WHERE protocol > 0 AND s.remote_port > 0 GROUP BY k ORDER BY k"
	[ "$(osq "$q")" = '"5000,17,holder",2' ]
	q="SELECT CONCAT_WS('-', 'a', NULL, 'b'), SPLIT('192.168.0.1', '.', 1), SPLIT('192.168.0.1', '.0', 0),
		REGEX_SPLIT('192.168.0.1', '\\.0', 0), REGEX_MATCH('/usr/bin/x12', '([a-z])(\\d+)', 2), REGEX_MATCH('abc', 'z', 0) IS NULL,
		INET_ATON('1.2.3.4'), IN_CIDR_BLOCK('10.0.0.0/8', '10.2.3.4'), IN_CIDR_BLOCK('fd00::/8', '10.2.3.4'),
		TO_BASE64('hello'), FROM_BASE64('aGVsbG8='), MD5('a'), SHA1('a') = lower('$(printf a | sha1sum | cut -c-40)'),
		SHA256('a') = '$(printf a | sha256sum | cut -c-64)', COMMUNITY_ID_V1('66.35.250.204', '128.232.110.120', 80, 34855, 6) FROM processes LIMIT 1"
	[ "$(osq "$q")" = "a-b,168,192,192.168,12,1,16909060,1,0,aGVsbG8=,hello,0cc175b9c0f1b6a831c399e269772661,1,1,1:LQU9qZlK+B5F3KDmev6m5PMibrg=" ]
	run -2 "$NSIMG" sql "$db" "SELECT regex_match('a', '(', 0)"
	[[ $output == *"'(' is no pattern"* ]]
	# three namespaces have an eth0
	q="SELECT id.mac FROM interface_addresses ia JOIN interface_details id USING (interface) WHERE ia.address = '10.10.0.2'"
	[ "$(osq "$q" | wc -l)" -eq 3 ] && [ "$(osq --netns ns10 "$q")" = 02:00:00:00:0a:02 ]
	# sqlite3 has all of them, and the columns are osquery's first (osquery.io/schema, Linux)
	"$NSIMG" add "$db" --image 1 neighbour 10.10.0.50 lladdr 02:00:00:00:00:ab dev ns9/br0 >/dev/null
	[ "$(sqlite3 "$db" "SELECT * FROM arp_cache WHERE mac = '02:00:00:00:00:AB'")" = \
		"10.10.0.50|02:00:00:00:00:ab|br0|1|1|ns9" ]
	while read -r view q; do
		run sqlite3 "$db" "SELECT group_concat(name, ' ') FROM pragma_table_info('$view')"
		echo "$view: $output"
		[[ $output == "$q image"* ]]
	done <<-EOF
		listening_ports pid port protocol family address fd socket path net_namespace
		process_open_sockets pid fd socket family protocol local_address remote_address local_port remote_port path state net_namespace
		interface_addresses interface address mask broadcast point_to_point type
		interface_details interface mac type mtu metric flags ipackets opackets ibytes obytes ierrors oerrors idrops odrops collisions last_change link_speed pci_slot
		routes destination netmask gateway source flags interface mtu metric type hopcount
		process_namespaces pid cgroup_namespace ipc_namespace mnt_namespace net_namespace pid_namespace user_namespace uts_namespace
		processes pid name path cmdline state cwd root uid gid euid egid suid sgid on_disk wired_size resident_size total_size user_time system_time disk_bytes_read disk_bytes_written start_time parent pgroup threads nice cgroup_path
		arp_cache address mac interface permanent
	EOF
	# the page tells of every view and its columns
	[ "$(sqlite3 "$db" "SELECT '## ' || m.name || char(10) || 'Columns: \`' || group_concat(c.name, '\`, \`') || '\`.'
		FROM sqlite_schema m, pragma_table_info(m.name) c WHERE m.type = 'view' AND m.name NOT GLOB '*_json' AND m.name NOT GLOB '*_change' AND m.name NOT GLOB '*_check' GROUP BY m.name ORDER BY m.name")" = \
		"$(sed -n '/^# Views/,$p' "$TESTS/../doc/schema.md" | grep '^## \|^Columns:' | paste -sd '\t\n' | sort | tr '\t' '\n')" ]
}

@test "images --verify hashes the files of a source again" {
	need_corpus scenario/private-network
	local db=$BATS_TEST_TMPDIR/v.db copy=$BATS_TEST_TMPDIR/copy v
	cp -r "$CORPUS/scenario/private-network" "$copy"
	"$NSIMG" import "$db" "$copy" >/dev/null
	v() { "$NSIMG" images "$db" --verify "$1" --csv -n "${@:2}" | tr -d '\r'; }
	# as sha256sum has them
	[ "$(v "$copy" -o now,file | sort)" = "$(cd "$copy" && sha256sum -- * | sed 's/  /,/' | sort)" ]
	"$NSIMG" images "$db" --verify "$copy" >/dev/null
	printf x >>"$copy/files.img"
	rm "$copy/inventory.img"
	ln -sf /etc/passwd "$copy/pstree.img"
	run -1 "$NSIMG" images "$db" --verify "$copy" -n -o file,state
	[ "$(grep -cv ' same$' <<<"$output")" -eq 3 ]
	[[ $output == *"files.img "*" changed"* ]] && [[ $output == *"inventory.img "*" missing"* ]]
	[[ $output == *"pstree.img "*"Too many levels of symbolic links"* ]]
	run -2 "$NSIMG" images "$db" --verify "$BATS_TEST_TMPDIR/nothere"
	if [ -f "$CORPUS/podman/c3.tar" ]; then
		"$NSIMG" import "$db" "$CORPUS/podman/c3.tar" >/dev/null
		[ "$(v "$CORPUS/podman/c3.tar" --image 2 -o state | sort -u)" = same ]
		[ "$(v "$CORPUS/podman/c3.tar" --image 2 | wc -l)" -eq "$(tar tf "$CORPUS/podman/c3.tar" | grep -vc '/$')" ]
		run -1 "$NSIMG" images "$db" --verify "$CORPUS/podman/c1.tar.gz" --image 2
		[[ $output == *" changed "* ]] && [[ $output == *" new "* ]]
	fi
}
