#!/usr/bin/env bats
# Every command that prints a table has --json, --csv, -o and --no-header, and its page names the members. The command
# table is asked through the program: a command that no line below knows fails the test.

load ../netns/helpers

bats_require_minimum_version 1.5.0

setup_file() {
	need_corpus scenario/nested-veth
	"$NSIMG" import "$BATS_FILE_TMPDIR/a.db" "$CORPUS/scenario/nested-veth" >/dev/null
}

setup() {
	need_corpus scenario/nested-veth
	command -v python3 >/dev/null || skip "no python3"
	db=$BATS_TEST_TMPDIR/a.db
	cp "$BATS_FILE_TMPDIR/a.db" "$db"
}

commands() { "$NSIMG" help | sed -n 's/^  \([a-z-]*\)  .*/\1/p'; }

# Words with which a command prints at least one row, from the database $db; "-": it needs a kernel of its own, and is
# tested there (tests/netns).
words() { # COMMAND
	case $1 in
	images | sockets | log | plan | check) echo "$db" ;;
	show) echo "$db devices" ;;
	sql) echo "$db --named listeners-everywhere" ;;
	diff) echo "$db $BATS_TEST_TMPDIR/b.db" ;;
	set) echo "$db device ns9/va mtu=1444 --dry-run" ;;
	add) echo "$db route 10.77.0.0/24 dev ns9/br0 --dry-run" ;;
	drop) echo "$db device ns9/vc --dry-run" ;;
	move) echo "$db ns9/vc ns10 --dry-run" ;;
	apply) echo "$db $BATS_TEST_TMPDIR/rules.json --dry-run" ;;
	readdress) echo "$db 10.10.0.0/24 10.99.0.0/24 --dry-run" ;;
	remac) echo "$db ns9/vc 02:00:00:00:00:99 --dry-run" ;;
	rename) echo "$db device ns9/vc other --dry-run" ;;
	externalize) echo "$db ns10 key --dry-run" ;;
	fix) echo "$db all --dry-run" ;;
	undo) echo "$db --dry-run" ;;
	dump | verify | ps | check-kernel) echo - ;;
	*) return 1 ;;
	esac
}

@test "tables: what each command prints as JSON, CSV, columns, and that its page has the names" {
	local cmd usage line
	# something to report for each
	cp "$db" "$BATS_TEST_TMPDIR/b.db"
	sqlite3 "$BATS_TEST_TMPDIR/b.db" "UPDATE device SET mtu = 1300 WHERE name = 'va'"
	sqlite3 "$db" "UPDATE edit_state SET importing = 1, op = -1; UPDATE device SET address = '00:00:00:00:00:00' WHERE kind = 'bridge';
		UPDATE edit_state SET importing = 0, op = 0; UPDATE address SET address = '10.10.0.77' WHERE address = '10.10.0.3'"
	"$NSIMG" set "$db" device ns9/va txqlen=77 >/dev/null
	echo '{"operations": [{"set": "device ns9/va mtu=1401"}]}' >"$BATS_TEST_TMPDIR/rules.json"
	for cmd in $(commands); do
		usage=$("$NSIMG" "$cmd" --help)
		[[ $usage == *"  --csv "* || $usage == *" --csv "* ]] || continue
		line=$(words "$cmd") || { echo "no words for $cmd here"; return 1; }
		[ "$line" != - ] || continue
		echo "$cmd: $line"
		# shellcheck disable=SC2086
		python3 - "$NSIMG" "$TESTS/../doc" "$cmd" $line <<-'EOF'
			import csv, io, json, re, subprocess, sys
			nsimg, doc, cmd, *words = sys.argv[1:]

			def run(*more):
			    p = subprocess.run([nsimg, cmd, *words, *more], capture_output=True)
			    assert p.returncode in (0, 1), (more, p.returncode, p.stderr)
			    return p.stdout.decode()

			rows = json.loads(run("--json"))
			assert isinstance(rows, list) and rows and all(isinstance(r, dict) for r in rows), rows
			names = list(rows[0])
			assert all(list(r) == names for r in rows), "other members in other rows"
			head, *lines = list(csv.reader(io.StringIO(run("--csv"), newline="")))
			assert head == names, (head, names)
			assert len(lines) == len(rows) and all(len(l) == len(names) for l in lines)
			assert len(list(csv.reader(io.StringIO(run("--csv", "--no-header"), newline="")))) == len(rows)
			two = [names[-1], names[0]]
			assert [list(r) for r in json.loads(run("--json", "--columns", ",".join(two)))] == [two] * len(rows)
			text = run("--columns", ",".join(two)).splitlines()
			assert text[0].split() == [n.upper() for n in two], text[0]
			bad = subprocess.run([nsimg, cmd, *words, "--columns", "nothing"], capture_output=True)
			assert bad.returncode == 2 and b"no column 'nothing'; there are: " in bad.stderr, bad.stderr

			# the page, or the one that it sends the reader to, has every name as a word; the columns of tables of the
			# database are those of "show", which lists them itself, and queries name their own
			if cmd not in ("show", "sql"):
			    page = open(f"{doc}/nsimg-{cmd}.1").read()
			    if "REPORT" in page:
			        page += open(f"{doc}/nsimg-set.1").read()
			    page = set(re.findall(r"[a-z][a-z0-9_-]*", re.sub(r"\\f.", " ", page.replace("\\-", "-"))))
			    assert not set(names) - page, f"nsimg-{cmd}.1 does not tell of {set(names) - page}"
		EOF
	done
}

@test "tables: reports for people are tables when columns are asked for, and plain otherwise" {
	sqlite3 "$db" "UPDATE address SET address = '10.10.0.77' WHERE address = '10.10.0.3'"
	run -1 "$NSIMG" check "$db"
	[[ $output == *" to do: "* ]]
	run -1 "$NSIMG" check "$db" -o code,object
	[[ ${lines[0]} == "CODE "* ]] && [[ $output != *"to do: "* ]]
	"$NSIMG" readdress "$db" 10.10.0.0/24 10.99.0.0/24 --dry-run --json >"$BATS_TEST_TMPDIR/all"
	jq -e 'any(.action == "changed" and .columns.address.after == "10.99.0.1")' "$BATS_TEST_TMPDIR/all"
	jq -e 'all(.operation == null)' "$BATS_TEST_TMPDIR/all"
	# plan: what is left out is a row without a number
	"$NSIMG" plan "$db" --json | jq -e 'any(.step == 1 and .kind == "netns")'
	run -2 "$NSIMG" plan "$db" --format dot --json
	[[ $output == *"--format dot is no table"* ]]
	# -n is --dry-run in commands that edit, and stays it
	"$NSIMG" set "$db" device ns9/va mtu=1400 -n | grep -q 'nothing was written'
}
