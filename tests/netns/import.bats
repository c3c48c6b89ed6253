#!/usr/bin/env bats
# Import, edits by clients that are not ours, export: with the sqlite3 shell and Python's sqlite3.

load helpers

setup() {
	command -v sqlite3 >/dev/null || skip "no sqlite3"
	command -v python3 >/dev/null || skip "no python3"
	need_corpus scenario/nested-veth
	db=$BATS_TEST_TMPDIR/a.db
}

import_nested() { "$NSIMG" import "$db" "$CORPUS/scenario/nested-veth"; }

# refused SQL TEXT: the sqlite3 shell (foreign keys off) is told why not
refused() {
	run sqlite3 "$db" "$1"
	echo "$1: $output"
	[ "$status" -ne 0 ] && [[ $output == *"$2"* ]]
}

@test "edits that would damage the image are refused with a sentence" {
	import_nested
	refused "UPDATE address SET address = '10.0.0.256'" "not an address of its family"
	refused "UPDATE address SET address = '10.0.0.1' WHERE family = 10" "not an address of its family"
	refused "UPDATE address SET ifindex = 77" "no device with that index"
	refused "UPDATE address SET netns = 77" "no such namespace"
	refused "UPDATE address SET prefixlen = 33 WHERE family = 2" "at most 32"
	refused "UPDATE device SET name = 'va' WHERE name = 'vb'" "has that name"
	refused "UPDATE device SET ifindex = 3 WHERE name = 'vb'" "has that index"
	refused "UPDATE device SET name = 'much-too-long-a-name'" "15 bytes"
	refused "UPDATE device SET attrs = '{'" "device.attrs is JSON"
	refused "UPDATE route SET dst = '10.0.0.0/33' WHERE family = 2" "not a prefix"
	refused "UPDATE inet_socket SET src_port = 65536" "0 to 65535"
	refused "UPDATE socket SET file_id = 1" "another socket"
	refused "UPDATE socket SET id = 999 WHERE id = 1" "does not change"
	refused "DELETE FROM image_file" "evidence"
	refused "UPDATE image SET evidence = ''" "only its name"
	[ "$(sqlite3 "$db" 'SELECT count(*) FROM edit_log')" = 0 ]
}

@test "the log has each changed row, before and after" {
	import_nested
	sqlite3 "$db" "UPDATE address SET address = '10.9.9.9' WHERE address = '10.10.0.22';
		UPDATE address SET flags = flags;
		UPDATE socket SET so_filter = x'0102030405060708' WHERE id = 1;
		DELETE FROM socket WHERE id = 2"
	[ "$(sqlite3 "$db" "SELECT action, json_extract(before, '\$.address'), json_extract(after, '\$.address')
		FROM edit_log WHERE tbl = 'address'")" = "update|10.10.0.22|10.9.9.9" ]
	[ "$(sqlite3 "$db" "SELECT json_extract(after, '\$.so_filter') FROM edit_log
		WHERE tbl = 'socket' AND action = 'update'")" = "X'0102030405060708'" ]
	[ "$(sqlite3 "$db" "SELECT group_concat(tbl) FROM (SELECT tbl FROM edit_log WHERE action = 'delete'
		ORDER BY tbl)")" = "fd,inet_socket,socket" ]
}

@test "INSERT OR REPLACE is in the log, with and without recursive triggers" {
	import_nested
	python3 - "$db" <<-'PY'
	import json, sqlite3, sys
	for recursive in (0, 1):
	    c = sqlite3.connect(sys.argv[1])
	    c.execute(f"PRAGMA recursive_triggers = {recursive}")
	    c.execute("UPDATE edit_state SET importing = 1, op = -1")
	    c.execute("DELETE FROM edit_log")
	    c.execute("UPDATE edit_state SET importing = 0, op = 0")
	    c.execute("INSERT OR REPLACE INTO rule SELECT * FROM rule WHERE id = 1")
	    c.execute("UPDATE rule SET priority = 7 WHERE id = 1")
	    c.commit()
	    got = c.execute("SELECT action FROM edit_log ORDER BY id").fetchall()
	    want = [("replace",)] + [("delete",)] * recursive + [("insert",)] + [("update",)] * (recursive == 0)
	    assert got == want, (recursive, got)
	    c.close()
	PY
}

@test "a device that gets another index takes along what names it" {
	import_nested
	sqlite3 "$db" "UPDATE device SET ifindex = 99 WHERE name = 'vc'"
	[ "$(sqlite3 "$db" "SELECT count(*) FROM address WHERE ifindex = 99")" = 3 ]
	[ "$(sqlite3 "$db" "SELECT count(*) FROM route WHERE oif = 99")" -gt 3 ]
}

@test "an unedited image comes out as it went in, an edited one with the edit" {
	import_nested
	"$NSIMG" export "$db" "$BATS_TEST_TMPDIR/out"
	diff -r "$CORPUS/scenario/nested-veth" "$BATS_TEST_TMPDIR/out"
	sqlite3 "$db" "UPDATE address SET address = '10.9.9.9' WHERE address = '10.10.0.22'"
	"$NSIMG" export --force "$db" "$BATS_TEST_TMPDIR/edited"
	[ "$(diff -rq "$CORPUS/scenario/nested-veth" "$BATS_TEST_TMPDIR/edited" | wc -l)" = 1 ]
	ip addr showdump <"$BATS_TEST_TMPDIR/edited/ifaddr-10.img" | grep -q "inet 10.9.9.9/24 scope global secondary"
	run "$NSIMG" export --force "$db" "$BATS_TEST_TMPDIR/edited"
	[ "$status" -eq 2 ] && [[ $output == *"there already"* ]]
}

@test "views answer in the sqlite3 shell" {
	import_nested
	for v in $(sqlite3 "$db" "SELECT name FROM sqlite_schema WHERE type = 'view'"); do
		sqlite3 "$db" "SELECT * FROM $v" >/dev/null
	done
	[ "$(sqlite3 "$db" "SELECT owners FROM sockets_view WHERE local = '10.10.0.1:80'")" = "holder(7):4" ]
	[ "$(sqlite3 "$db" "SELECT mask FROM interface_addresses WHERE address = '10.20.0.1'")" = 255.255.255.252 ]
	[ "$(sqlite3 "$db" "SELECT count(*) FROM listening_ports WHERE port = 80 AND protocol = 6")" = 6 ]
}

@test "an import that fails leaves no database" {
	run "$NSIMG" import "$db" "$BATS_TEST_TMPDIR"
	[ "$status" -eq 2 ] && [[ $output == *"inventory.img"* ]]
	[ ! -e "$db" ]
}
