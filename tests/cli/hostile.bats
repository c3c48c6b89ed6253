#!/usr/bin/env bats
# Names of an image are hostile: terminal escapes, line ends, bytes that are no UTF-8, quotes, brackets of every output
# language, and a name of 100 000 characters. Whatever a command prints of them is harmless, parses as what it claims
# to be, and an export gives back the bytes that came in.

load ../netns/helpers

bats_require_minimum_version 1.5.0

setup_file() {
	need_corpus scenario/nested-veth
	command -v sqlite3 >/dev/null || skip "no sqlite3"
	command -v python3 >/dev/null || skip "no python3"
	export db=$BATS_FILE_TMPDIR/h.db
	"$NSIMG" import "$db" "$CORPUS/scenario/nested-veth"
	# what no import would store, but what a hostile database holds
	sqlite3 "$db" "
		UPDATE edit_state SET importing = 1, op = -1;
		CREATE TEMP TABLE evil (n INTEGER PRIMARY KEY, name TEXT);
		INSERT INTO evil (name) VALUES
			(char(27) || '[31mred' || char(27) || ']0;title' || char(7)), ('two' || char(10) || 'lines' || char(13)),
			(CAST(x'ff41fe' AS TEXT)), (char(155) || '2J'), ('\"); } }; -- <b>&amp;</b> %%{init}%%'),
			('it''s \"quoted\", with \\ and ,'), (char(8238) || 'txt.exe'), ('#quot;]] | <script>alert(1)</script>'),
			(replace(hex(zeroblob(50000)), '00', 'xy'));
		UPDATE netns SET name = (SELECT name FROM evil WHERE n = 1 + netns.id % 9);
		UPDATE device SET name = (SELECT name FROM evil WHERE n = 1 + device.id % 9), kind = 'veth' || char(27) || '[2J';
		UPDATE task SET comm = (SELECT name FROM evil WHERE n = 1 + task.id % 9);
		UPDATE unix_socket SET name = (SELECT name FROM evil WHERE n = 1 + unix_socket.socket % 9);
		UPDATE address SET label = (SELECT name FROM evil WHERE n = 1 + address.id % 9),
			address = CASE id % 9 WHEN 3 THEN char(27) || '[0m' ELSE address END;
		UPDATE route SET dst = char(27) || 'c' WHERE id % 7 = 1;
		UPDATE sysctl SET value = (SELECT name FROM evil WHERE n = 1 + sysctl.id % 8);
		UPDATE firewall SET content = (SELECT name FROM evil WHERE n = 1) || content;
		UPDATE image SET name = (SELECT name FROM evil WHERE n = 1), host = (SELECT name FROM evil WHERE n = 5);
		UPDATE image_file SET damage = (SELECT name FROM evil WHERE n = 1) WHERE id % 9 = 1;
		INSERT INTO note (image, kind, object, reason) SELECT 1, 'loss', name, name FROM evil;
		INSERT INTO edit_op (at, who, command) SELECT '2026-01-01T00:00:00Z', name, name FROM evil;
		INSERT INTO edit_log (op, tbl, row, action) SELECT id, command, 1, 'update' FROM edit_op;
		UPDATE edit_state SET importing = 0, op = 0;"
}

# all_clean: of every file that prints() kept, NUMBER.KIND: no control byte, valid UTF-8, no C1 or direction control; text
# may have line ends, CSV CR LF
all_clean() {
	python3 - "$BATS_TEST_TMPDIR"/*.{text,json,csv} <<-'PY'
	import csv, json, os, re, sys
	# categories Cc (without line ends) and Cs, and what changes the direction
	bad = ("[\0-\x09\x0b-\x0c\x0e-\x1f\x7f-\x9f\ud800-\udfff"
	       "\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]")
	for path in filter(os.path.exists, sys.argv[1:]):
	    kind = path.rsplit(".")[-1]
	    text = open(path, "rb").read().decode("utf-8")  # raises on invalid UTF-8
	    found = re.search(bad + ("" if kind == "csv" else "|\r"), text)
	    assert not found, f"{path}: {found}"
	    if kind == "json":
	        json.loads(text)
	    if kind == "csv":
	        rows = list(csv.reader(text.splitlines(keepends=True), strict=True))
	        assert len({len(r) for r in rows if r}) <= 1, f"{path}: rows of different length"
	PY
}

# prints KIND WORDS...: it ends with 0 or 1; its output ($out) and messages are kept for all_clean
prints() {
	local kind=$1 rc=0
	shift
	n_kept=$((${n_kept:-0} + 1))
	out=$BATS_TEST_TMPDIR/$n_kept.$kind
	"$NSIMG" "$@" >"$out" 2>"$BATS_TEST_TMPDIR/$n_kept-err.text" || rc=$?
	echo "$n_kept: $* ($kind): status $rc: $(head -c 300 "$BATS_TEST_TMPDIR/$n_kept-err.text")"
	[ $rc -le 1 ]
}

@test "tables: text, JSON, CSV" {
	local t verb
	for verb in images tree sockets log; do
		prints text $verb "$db"
		prints json $verb "$db" --json
		[ $verb = tree ] || prints csv $verb "$db" --csv
	done
	for t in $("$NSIMG" show "$db" -n -o table); do
		prints text show "$db" "$t"
		prints json show "$db" "$t" --json
		prints csv show "$db" "$t" --csv
		case $t in facts | files) continue ;; esac
		prints text show "$db" "$t" --origin
		prints json show "$db" "$t" --origin --json
	done
	prints text tree "$db" --sockets
	grep -qF '\x1b[31mred' "$out"
	grep -qF '\xff' "$out"
	all_clean
}

@test "queries of every table and view, and a column with a hostile name" {
	local t
	for t in $(sqlite3 "$db" "SELECT name FROM sqlite_schema WHERE type IN ('table', 'view') AND name NOT LIKE 'sqlite%'"); do
		prints text sql "$db" "SELECT * FROM $t"
		prints json sql "$db" "SELECT * FROM $t" --json
		prints csv sql "$db" "SELECT * FROM $t" --csv
	done
	for t in text json csv; do
		prints $t sql "$db" "SELECT 1 AS \"$(printf '\033[31mx,\"\"')\"" "--${t/text/no-header}"
	done
	prints text sql "$db" "SELECT 1 AS \"$(printf '\033[31mx\n\"\"')\""
	all_clean
}

@test "graphs: dot takes them, SVG is XML, Mermaid has only our syntax" {
	local f
	prints text graph "$db"
	prints json graph "$db" --json
	prints text graph "$db" --format mermaid
	# labels are quoted and quotes are escaped, so that each line is one of these forms
	run grep -vxE 'flowchart LR|  subgraph n[0-9]+\["[^"<>]*(<br/>[^"<>]*)*"\]|  end|    d[0-9]+\["[^"<>]*(<br/>[^"<>]*)*"\]|    ln[0-9]+\(\["[^"<>]*(<br/>[^"<>]*)*"\]\)|  o[0-9]+\{\{"[^"<>]*"\}\}|  [do][0-9]+ (---|-->|-\.-)(\|"[^"<>]*"\|)? [do][0-9]+' "$out"
	echo "$output"; [ "$status" -eq 1 ]
	all_clean
	command -v dot >/dev/null || skip "no dot (graphviz)"
	prints text graph "$db" --format svg
	all_clean
	python3 -c 'import sys, xml.dom.minidom
doc = xml.dom.minidom.parse(sys.argv[1])
assert not doc.getElementsByTagName("script") and not doc.getElementsByTagName("b")
titles = [t.firstChild.data for t in doc.getElementsByTagName("title")]
assert len([t for t in titles if t.startswith("cluster_n")]) == 4, titles' "$out"
}

@test "errors that quote hostile words" {
	local w evil=$'\033[31m\nred\xff'
	for w in "tree $db --netns" "show $db" "sockets $db comm" "sql $db" "graph $db --format" "images"; do
		run --separate-stderr "$NSIMG" $w "$evil"
		n_kept=$((${n_kept:-0} + 1))
		printf '%s' "$stderr" >"$BATS_TEST_TMPDIR/$n_kept.text"
		echo "$w: status $status: $stderr" | cat -v
	done
	all_clean
}

@test "names with every byte go through a database and back" {
	local out=$BATS_TEST_TMPDIR/out
	"$NSIMG" import "$BATS_TEST_TMPDIR/a.db" "$CORPUS/scenario/nested-veth"
	"$NSIMG" sockets "$BATS_TEST_TMPDIR/a.db" src @seq* | grep -qF '@seq\x00with\x00nuls'
	"$NSIMG" export "$BATS_TEST_TMPDIR/a.db" "$out"
	diff -r "$CORPUS/scenario/nested-veth" "$out" -x README.txt -x snapshot.json
	[ "$("$NSIMG" sql "$BATS_TEST_TMPDIR/a.db" -n "SELECT count(*) FROM unix_socket WHERE name = '\\x00seq\\x00with\\x00nuls'" | tr -d ' ')" = 1 ]
}

@test "the words of an operation in log, script and undo, and the folder of an import" {
	local db=$BATS_TEST_TMPDIR/ops.db folder=$BATS_TEST_TMPDIR/$'ev\e[31m\xff'
	cp -r "$CORPUS/scenario/nested-veth" "$folder"
	prints text import "$db" "$folder"
	"$NSIMG" set "$db" device ns11/ba0 mtu=1400
	sqlite3 "$db" "UPDATE edit_state SET importing = 1, op = -1;
		UPDATE edit_op SET command = 'x' || char(27) || '[31m' || char(10) || 'y', who = char(155), at = char(8238);
		UPDATE edit_state SET importing = 0, op = 0"
	prints text log "$db" 1
	grep -qF 'x\x1b[31m' "$out"
	prints text log "$db" --sql
	prints text undo "$db" --dry-run
	grep -qF 'taken back 1: x\x1b[31m\x0ay' "$out"
	prints text log "$db"
	all_clean
}

@test "names that an edit gives are escaped, or refused as they are: one name has one spelling" {
	local db=$BATS_TEST_TMPDIR/names.db out=$BATS_TEST_TMPDIR/names sql
	"$NSIMG" import "$db" "$CORPUS/scenario/nested-veth" >/dev/null
	"$NSIMG" rename "$db" device ns12/cb0 $'x\e9\xff'
	[ "$(sqlite3 "$db" "SELECT count(*) FROM device WHERE name = 'x\\x1b9\\xff'")" = 1 ]
	"$NSIMG" export --force "$db" "$out" >/dev/null
	"$NSIMG" import "$db-2" "$out" >/dev/null
	"$NSIMG" diff "$db" "$db-2"
	run "$NSIMG" rename "$db" netns ns12 $'a\xff'
	[ "$status" -eq 2 ] && [[ $output == *"control characters"* ]]
	run "$NSIMG" add "$db" address 10.77.0.1/24 dev ns9/br0 label $'br0:\e'
	[ "$status" -eq 2 ] && [[ $output == *"label"* ]]
	run "$NSIMG" externalize "$db" netns ns12 $'a\e'
	[ "$status" -eq 2 ]
	for sql in "device SET name = 'x' || char(27) WHERE name = 'va'" "device SET alias = char(155)" \
		"address SET label = char(8238)" "netns SET ext_key = char(10)"; do
		run sqlite3 "$db" "UPDATE $sql"
		[ "$status" -ne 0 ] && [[ $output == *'are written \xNN'* ]]
	done
}
