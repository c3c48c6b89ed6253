#!/usr/bin/env bats
# Bad input, and what the user sees of it: a message that names file, offset or object, exit status 2, and
# everything as it was before.

load ../netns/helpers

setup() {
	image=$CORPUS/scenario/nested-veth
	# bats keeps files of its own in $BATS_TEST_TMPDIR, and only its owner gets into it
	dir=$(mktemp -d "${TMPDIR:-/tmp}/nsimg-bad-XXXXXX")
	chmod 755 "$dir"
	db=$dir/a.db
	bad=$dir/bad
}

teardown() {
	rm -rf "$dir"
}

# says TEXT COMMAND...: it ends with status 2, on one line "nsimg: VERB: ... TEXT ...", and prints nothing else
says() {
	local text=$1
	shift
	run --separate-stderr "$@"
	echo "$*: status $status: $stderr"
	[ "$status" -eq 2 ] && [ -z "$output" ] && [[ $stderr == nsimg:* && $stderr == *"$text"* ]]
}

state() { find "$dir" -not -name '*.db-journal' -printf '%P %y %s %m\n' -type f -exec sha256sum {} + | sort; }

# unchanged TEXT COMMAND...: and every file of the test is as before
unchanged() {
	local before after
	before=$(state)
	says "$@" || return 1
	after=$(state)
	[ "$before" = "$after" ] || { diff <(echo "$before") <(echo "$after"); return 1; }
}

bats_require_minimum_version 1.5.0

@test "what is no image" {
	mkdir "$bad" "$bad/sub"
	unchanged "is no checkpoint image" "$NSIMG" import "$db" "$bad"
	echo text >"$bad/notes.txt"
	unchanged "is no checkpoint image" "$NSIMG" import "$db" "$bad"
	unchanged "No such file" "$NSIMG" import "$db" "$bad/none"
	unchanged "/dev/zero" "$NSIMG" import "$db" /dev/zero
	unchanged "notes.txt" "$NSIMG" import "$db" "$bad/notes.txt"
	need_corpus scenario/nested-veth
	cp "$image/netdev-9.img" "$bad"
	unchanged "no inventory.img" "$NSIMG" import "$db" "$bad"
}

@test "what is no database of ours" {
	command -v sqlite3 >/dev/null || skip "no sqlite3"
	local d=$dir verb
	echo text >"$d/text.db"
	mkdir "$d/folder.db"
	: >"$d/empty.db"
	sqlite3 "$d/other.db" 'CREATE TABLE a (b)'
	sqlite3 "$d/named.db" 'PRAGMA application_id = 77; CREATE TABLE a (b)'
	for verb in images tree sockets plan "show devices" "sql SELECT(1)"; do
		set -- $verb
		unchanged "text.db is not a database" "$NSIMG" "$1" "$d/text.db" ${2:+"$2"}
		unchanged "other.db is an SQLite database but not of nsimg" "$NSIMG" "$1" "$d/other.db" ${2:+"$2"}
		unchanged "application_id is 0x0000004d" "$NSIMG" "$1" "$d/named.db" ${2:+"$2"}
		unchanged "folder.db is not a regular file" "$NSIMG" "$1" "$d/folder.db" ${2:+"$2"}
		unchanged "empty.db is empty" "$NSIMG" "$1" "$d/empty.db" ${2:+"$2"}
		unchanged "none.db: no such database" "$NSIMG" "$1" "$d/none.db" ${2:+"$2"}
	done
	need_corpus scenario/nested-veth
	unchanged "text.db is not a database" "$NSIMG" import "$d/text.db" "$image"
	unchanged "other.db is an SQLite database but not" "$NSIMG" import "$d/other.db" "$image"
	unchanged "named.db is an SQLite database but not" "$NSIMG" import "$d/named.db" "$image"
	unchanged "folder.db is not a regular file" "$NSIMG" import "$d/folder.db" "$image"
	unchanged "cannot be made in its folder: No such file" "$NSIMG" import "$d/no/a.db" "$image"
}

@test "a database of a newer version, of an older one, a cut one, one with a trigger of its own" {
	command -v sqlite3 >/dev/null || skip "no sqlite3"
	need_corpus scenario/private-network
	local d=$dir
	"$NSIMG" import "$db" "$CORPUS/scenario/private-network"
	cp "$db" "$d/newer.db"
	sqlite3 "$d/newer.db" 'PRAGMA user_version = 99'
	unchanged "newer.db was made by a newer nsimg (schema version 99" "$NSIMG" tree "$d/newer.db"
	unchanged "newer.db was made by a newer nsimg" "$NSIMG" import "$d/newer.db" "$image"
	cp "$db" "$d/older.db"
	sqlite3 "$d/older.db" 'PRAGMA user_version = 1'
	unchanged "older.db was made by an older nsimg (schema version 1" "$NSIMG" tree "$d/older.db"
	unchanged "import them into a new database" "$NSIMG" import "$d/older.db" "$image"
	head -c 20000 "$db" >"$d/cut.db"
	unchanged "cut.db: database disk image is malformed" "$NSIMG" tree "$d/cut.db"
	unchanged "cut.db: database disk image is malformed" "$NSIMG" plan "$d/cut.db"
	sqlite3 "$db" 'CREATE TRIGGER evil AFTER INSERT ON image BEGIN DELETE FROM netns; END'
	unchanged "trigger of its own on image (evil)" "$NSIMG" import "$db" "$image"
	"$NSIMG" tree "$db"
	# ours, but not as we make them
	local edit
	for edit in "the table socket of the database is not|UPDATE sqlite_schema SET sql = replace(sql, '-- inode', '-- inodf') WHERE name = 'socket'" \
		"the trigger device_follow_name of the database is not|UPDATE sqlite_schema SET sql = replace(sql, 'mpls', 'mols') WHERE name = 'device_follow_name'" \
		"lacks the trigger fd_log_update|DELETE FROM sqlite_schema WHERE name = 'fd_log_update'"; do
		cp "$db" "$d/altered.db"
		sqlite3 "$d/altered.db" "PRAGMA writable_schema = ON; DROP TRIGGER evil; ${edit#*|}"
		unchanged "${edit%%|*}" "$NSIMG" set "$d/altered.db" device lo mtu=65535
	done
	sqlite3 "$db" 'DROP TRIGGER evil;
		CREATE VIEW planted AS SELECT load_extension("/nowhere.so")'
	says "unsafe use of load_extension()" "$NSIMG" sql "$db" 'SELECT * FROM planted'
}

@test "a table that somebody dropped: said, without a page of SQL" {
	"$NSIMG" import "$db" "$image" >/dev/null
	sqlite3 "$db" "DROP TABLE route"
	for verb in check plan "show" ; do
		# shellcheck disable=SC2046
		unchanged "no such table: route" "$NSIMG" $verb "$db" $([ $verb = show ] && echo routes)
		[ ${#stderr} -lt 200 ]
	done
}

@test "databases that may not be read or written" {
	need_root
	need_corpus scenario/private-network
	local d=$dir/ro nobody="setpriv --reuid=65534 --regid=65534 --clear-groups"
	$nobody test -r "$CORPUS/scenario/private-network" -a -x "$NSIMG" || skip "nobody may not read the corpus or run nsimg"
	mkdir "$d"
	"$NSIMG" import "$d/a.db" "$CORPUS/scenario/private-network"
	chmod 644 "$d/a.db"
	chmod 555 "$d"
	$nobody test -r "$d/a.db" || skip "nobody may not read the folder of the test"
	$nobody "$NSIMG" tree "$d/a.db"
	unchanged "a.db: attempt to write a readonly database" $nobody "$NSIMG" import "$d/a.db" "$CORPUS/scenario/private-network" --again
	unchanged "cannot be made in its folder: Permission denied" $nobody "$NSIMG" import "$d/b.db" "$CORPUS/scenario/private-network"
	chmod 600 "$d/a.db"
	unchanged "a.db: unable to open database file: Permission denied" $nobody "$NSIMG" tree "$d/a.db"
}

@test "--read-only: nothing changes the database, and it may lie where nothing can" {
	need_corpus scenario/nested-veth
	local d=$dir/evidence db=$dir/evidence/a.db image=$CORPUS/scenario/nested-veth words
	mkdir "$d"
	"$NSIMG" import "$db" "$image"
	for words in "set device ns9/lo mtu=1400" "drop device ns9/lo" "undo all" "import $image --again" "fix all" \
		"apply $dir/none.json"; do
		# shellcheck disable=SC2086 # words
		set -- $words
		unchanged "it would change $db, and --read-only is given" "$NSIMG" "$1" "$db" "${@:2}" --read-only
	done
	unchanged "--read-only is given" "$NSIMG" import "$d/new.db" "$image" --read-only
	[ ! -e "$d/new.db" ]
	# an edit that export refuses, and what an edit would do, need no writing either
	sqlite3 "$db" "UPDATE inet_socket SET src_port = 81 WHERE src_port = 80 AND src = '10.20.0.2'"
	cp "$db" "$d/wal.db"
	[ "$(sqlite3 "$d/wal.db" 'PRAGMA journal_mode = WAL')" = wal ]
	cp "$d/wal.db" "$d/unmerged.db"
	python3 -c "
import os, sqlite3
c = sqlite3.connect('$d/unmerged.db')
c.execute(\"UPDATE image SET name = 'later'\")
c.commit()
os._exit(0)"
	rm "$d/unmerged.db-shm"
	need_root
	# shellcheck disable=SC2016 # expanded inside
	unshare --mount bash -euc 'd=$1 nsimg=$2
		mount --bind "$d" "$d" && mount -o remount,bind,ro "$d"
		if touch "$d/x" 2>/dev/null; then exit 1; fi
		for db in "$d/a.db" "$d/wal.db"; do
			"$nsimg" images "$db" --verify "$4"
			"$nsimg" sockets "$db" --read-only sport = :81 | grep 10.20.0.2:81
			"$nsimg" set "$db" device ns9/lo mtu=1400 --dry-run --read-only | grep "mtu: 65536 -> 1400"
			"$nsimg" diff "$db" "$d/a.db" --read-only
			[[ $("$nsimg" export "$db" "$3" 2>&1) == *"edits made the image one that cannot be restored"* ]]
			if "$nsimg" set "$db" device ns9/lo mtu=1400; then exit 1; fi
		done
		[[ $("$nsimg" tree "$d/unmerged.db" 2>&1) == *"in WAL mode, with changes in the file -wal"* ]]
	' bash "$d" "$NSIMG" "$dir/out" "$image"
	[ ! -e "$dir/out" ]
}

# Where it is cut, in parts of 1000 of the file. Raw files whose end is the end of a message stay whole.
@test "cut images: refused with file and offset, what was before the damage with --salvage" {
	need_corpus scenario/nested-veth
	local f part n refused=0
	for f in inventory pstree files netns-9 netdev-10 ifaddr-11 route-9 rule-9 fdinfo-2 netns-ct-9; do
		[ -s "$image/$f.img" ] || continue
		for part in 5 300 500 999; do
			rm -rf "$bad" "$db"
			cp -r "$image" "$bad"
			n=$(($(stat -c %s "$image/$f.img") * part / 1000))
			truncate -s "$n" "$bad/$f.img"
			run --separate-stderr "$NSIMG" import "$db" "$bad"
			echo "$f cut to $n: status $status: $stderr"
			if [ "$status" -ne 0 ]; then
				refused=$((refused + 1))
				[ "$status" -eq 2 ] && [[ $stderr == *"$f.img"*offset* || $stderr == *"$f.img"*bytes* ]]
				[ ! -e "$db" ]
				"$NSIMG" import --salvage "$db" "$bad"
				[ "$("$NSIMG" sql "$db" "SELECT count(*) FROM note WHERE kind = 'damage' AND object = '$f.img'" --no-header | tr -d ' ')" -ge 1 ]
				[ "$("$NSIMG" images "$db" --no-header -o damaged | tr -d ' ')" = 1 ]
				"$NSIMG" tree "$db"
				run "$NSIMG" plan "$db"
				[ "$status" -eq 0 ] || [ "$status" -eq 2 ]
				"$NSIMG" export "$db" "$dir/out"
				diff -r "$bad" "$dir/out"
				rm -r "$dir/out"
			fi
		done
	done
	[ "$refused" -ge 30 ]
}

@test "a connection cut off in its queue: its record is kept, and what there is of the queue" {
	need_corpus scenario/tcp-established
	local f=tcp-stream-b2849d.img what
	cp -r "$CORPUS/scenario/tcp-established" "$bad"
	"$NSIMG" import "$dir/whole.db" "$bad" >/dev/null
	truncate -s 22375 "$bad/$f"
	unchanged "$f: offset 8: entry 0 says that 70000 bytes of payload follow at 74, but the file ends after 22375" \
		"$NSIMG" import "$db" "$bad"
	"$NSIMG" import "$db" "$bad" --salvage >/dev/null
	what="SELECT t.*, q.direction FROM tcp_stream t JOIN socket_queue q USING (ino) WHERE ino = 11699357"
	diff <(sqlite3 "$dir/whole.db" "$what") <(sqlite3 "$db" "$what")
	[ "$(sqlite3 "$db" "SELECT length(data) FROM socket_queue WHERE ino = 11699357")" = $((22375 - 74)) ]
	[ "$(sqlite3 "$db" "SELECT count(*) FROM image_file WHERE damage IS NOT NULL")" = 1 ]
	"$NSIMG" export "$db" "$dir/out"
	diff -r "$bad" "$dir/out"
	# an edit of it changes its field and leaves what it is not about as damaged as it was
	sqlite3 "$db" "UPDATE tcp_stream SET mss_clamp = mss_clamp + 1 WHERE ino = 11699357"
	rm -r "$dir/out"
	"$NSIMG" export "$db" "$dir/out"
	[ "$(cmp -l "$bad/$f" "$dir/out/$f" | wc -l)" = 1 ]
}

@test "flipped bits: each import ends with 0 or 2, and with --salvage with 0" {
	command -v python3 >/dev/null || skip "no python3"
	need_corpus scenario/nested-veth
	local i seed=${NSIMG_SEED:-$RANDOM}
	echo "NSIMG_SEED=$seed"
	for i in $(seq 1 25); do
		rm -rf "$bad" "$db"
		cp -r "$image" "$bad"
		python3 - "$bad" $((seed + i)) <<-'PY'
		import pathlib, random, sys
		r = random.Random(int(sys.argv[2]))
		kinds = "netdev netns ifaddr route rule files fdinfo pstree inventory core ids".split()
		p = r.choice(sorted(f for f in pathlib.Path(sys.argv[1]).iterdir()
		                    if f.name.split("-")[0].split(".")[0] in kinds and f.stat().st_size))
		b = bytearray(p.read_bytes())
		bit = r.randrange(len(b) * 8)
		b[bit // 8] ^= 1 << bit % 8
		p.write_bytes(b)
		print(p.name, "bit", bit)
		PY
		run --separate-stderr "$NSIMG" import "$db" "$bad"
		echo "status $status: $stderr"
		if [ "$status" -ne 0 ]; then
			[ "$status" -eq 2 ] && [[ $stderr == *.img* ]] && [ ! -e "$db" ]
			"$NSIMG" import --salvage "$db" "$bad"
		fi
		run "$NSIMG" plan "$db"
		echo "plan: $output" | tail -n 2
		[ "$status" -eq 0 ] || [ "$status" -eq 2 ]
	done
}

# A small file system of the test's own is filled to the last block.
@test "a full disk: import, export, dump, journal of a restore" {
	need_root
	need_corpus scenario/nested-veth
	run private '
		cd "$BATS_TEST_TMPDIR" && mkdir full && mount -t tmpfs -o size=2m full full && cd full || exit 99
		must() { # WORD COMMAND...
			local word=$1 before after text
			shift
			before=$(find . -printf "%p %s\n" | sort; sha256sum a.db)
			text=$("$@" 2>&1)
			[ $? -eq 2 ] && [[ $text == *"$word"* ]] || fail "$*: $text"
			after=$(find . -printf "%p %s\n" | sort; sha256sum a.db)
			[ "$before" = "$after" ] || fail "$*: left: $(diff <(echo "$before") <(echo "$after"))"
		}
		"$NSIMG" import a.db "$CORPUS/scenario/private-network" >/dev/null || fail import
		mkdir state there
		dd if=/dev/zero of=fill bs=1k 2>/dev/null
		must "database or disk is full" "$NSIMG" import a.db "$CORPUS/scenario/nested-veth"
		must "database or disk is full" "$NSIMG" import new.db "$CORPUS/scenario/nested-veth"
		must "No space left" "$NSIMG" export a.db out
		must "No space left" "$NSIMG" dump --pid $$ -o out
		must "No space left" "$NSIMG" dump --pid $$ -o there
		must "full" "$NSIMG" dump --pid $$ -o out.db
		must "No space left" "$NSIMG" restore a.db --state-dir=$PWD/state
		[ -z "$(ls /run/netns)" ] || fail "namespaces are left: $(ls /run/netns)"
	'
	echo "$output"
	[ "$status" -eq 0 ]
}

@test "unknown names, pids, images, instances" {
	need_root
	need_corpus scenario/private-network
	local none=4194303
	"$NSIMG" import "$db" "$CORPUS/scenario/private-network"
	unchanged "$none" "$NSIMG" dump --pid $none -o "$bad"
	unchanged "nosuchns" "$NSIMG" dump --netns nosuchns -o "$bad"
	unchanged "nosuch" "$NSIMG" dump --cgroup /nosuch/group -o "$bad"
	unchanged "no image 9" "$NSIMG" tree "$db" --image 9
	unchanged "no image 9" "$NSIMG" images "$db" --image 9
	unchanged "'x'" "$NSIMG" tree "$db" --image x
	unchanged "nosuch" "$NSIMG" show "$db" nosuch
	unchanged "nosuch" "$NSIMG" sql "$db" "SELECT * FROM nosuch"
	unchanged "nosuch" "$NSIMG" rollback nosuch --state-dir "$dir"
	unchanged "as image 1" "$NSIMG" import "$db" "$CORPUS/scenario/private-network"
	mkdir "$dir/there"
	unchanged "there already" "$NSIMG" export "$db" "$dir/there"
}

@test "a pin's name that is in use" {
	need_root
	need_corpus scenario/private-network
	run private '
		ip netns add p0 && ip netns exec p0 ip link set lo up || exit 99
		"$NSIMG" dump --netns p0 -o "$BATS_TEST_TMPDIR/p" || fail dump
		"$NSIMG" import "$BATS_TEST_TMPDIR/p.db" "$BATS_TEST_TMPDIR/p" || fail import
		before=$(probe)
		text=$("$NSIMG" restore "$BATS_TEST_TMPDIR/p.db" 2>&1)
		[ $? -eq 2 ] && [[ $text == *p0* && $text == *"nothing was changed"* ]] || fail "restore: $text"
		[ "$before" = "$(probe)" ] || fail "something changed: $(diff <(echo "$before") <(probe))"
	'
	echo "$output"
	[ "$status" -eq 0 ]
}

@test "a file with pages of memory that is cut off, a file of iproute2 that is empty" {
	bad=$BATS_TEST_TMPDIR/bad
	cp -r "$CORPUS/scenario/nested-veth" "$bad"
	chmod -R u+w "$bad"
	truncate -s -1 "$bad/pages-3.img"
	size=$(stat -c %s "$bad/pages-3.img")
	run "$NSIMG" import "$BATS_TEST_TMPDIR/p.db" "$bad"
	[ "$status" = 2 ]
	[[ $output == *"pages-3.img ends at offset $size, and its pagemap says that it has $(((size + 1) / 4096)) pages"* ]]
	"$NSIMG" import --salvage "$BATS_TEST_TMPDIR/p.db" "$bad" >/dev/null
	[ "$("$NSIMG" images --json "$BATS_TEST_TMPDIR/p.db" | jq '.[0].damaged')" = 1 ]
	cp "$CORPUS/scenario/nested-veth/pages-3.img" "$bad"
	for file in ifaddr-11 route-9 route6-9 rule-9; do
		: >"$bad/$file.img"
		# what reads it for CRIU says so too
		! ip route showdump <"$bad/$file.img" 2>/dev/null
		run "$NSIMG" import "$BATS_TEST_TMPDIR/r.db" "$bad"
		[ "$status" = 2 ] && [[ $output == *"$file.img: offset 0: 0 bytes are too few for the header"* ]]
		cp "$CORPUS/scenario/nested-veth/$file.img" "$bad"
	done
}

@test "a file that always has a record, cut off behind its head; links and folders of an image" {
	need_corpus scenario/tcp-established
	for file in core-7 ids-7 netns-9 pstree inventory; do
		rm -rf "$bad" "$db"
		cp -r "$CORPUS/scenario/tcp-established" "$bad"
		truncate -s $([ $file = inventory ] && echo 4 || echo 8) "$bad/$file.img"
		unchanged "$file.img ends at offset" "$NSIMG" import "$db" "$bad"
		"$NSIMG" import "$db" "$bad" --salvage >/dev/null
		run "$NSIMG" check "$db" damaged
		[ "$status" -eq 1 ] && [[ $output == *"$file.img"* ]]
	done
	# criu dump --prev-images-dir makes such a link
	rm -rf "$bad" "$db"
	cp -r "$CORPUS/scenario/tcp-established" "$bad"
	mkdir "$dir/before" "$bad/folder"
	ln -s ../before "$bad/parent"
	"$NSIMG" import "$db" "$bad" >/dev/null
	[ "$(sqlite3 "$db" "SELECT object FROM note WHERE kind = 'unknown'")" = folder ]
	rmdir "$bad/folder"
	[ -z "$("$NSIMG" export "$db" "$dir/out")" ]
	diff -r --no-dereference "$bad" "$dir/out"
	mkdir "$dir/else"
	run "$NSIMG" export "$db" "$dir/else/out"
	[ "$status" -eq 0 ] && [[ $output == *"parent leads to ../before, which is not there from here"* ]]
	diff -r --no-dereference "$bad" "$dir/else/out"
}

# A writer that is killed leaves a database that only another writer can mend (sqlite.org/lockingv3.html, "hot
# journals"), and a client that uses WAL mode one that cannot be read without writing (sqlite.org/wal.html).
@test "a writer that was killed in the middle: said, and nothing is changed by looking" {
	need_corpus scenario/private-network
	"$NSIMG" import "$db" "$CORPUS/scenario/private-network"
	cp "$db" "$dir/wal.db"
	"$NSIMG" images "$db" --json >"$dir/before"
	python3 - "$db" "$dir/wal.db" <<-'EOF'
		import os, signal, sqlite3, sys
		for path, mode in ((sys.argv[1], "delete"), (sys.argv[2], "wal")):
		    if not os.fork():
		        c = sqlite3.connect(path, isolation_level=None)
		        c.execute("PRAGMA cache_size = 1")
		        c.execute(f"PRAGMA journal_mode = {mode}")
		        c.execute("BEGIN IMMEDIATE" if mode == "delete" else "SELECT 1")
		        for i in range(40):
		            c.execute("UPDATE sysctl SET value = ?", (str(i) * 300,))
		        os.kill(os.getpid(), signal.SIGKILL)
		    os.wait()
	EOF
	rm "$dir/wal.db-shm"
	[ -s "$db-journal" ] && [ -s "$dir/wal.db-wal" ]
	sha256sum "$db-journal" >"$dir/journal"
	for verb in images tree sockets check plan; do
		unchanged "$db-journal" "$NSIMG" $verb "$db"
		unchanged "WAL" "$NSIMG" $verb "$dir/wal.db"
	done
	unchanged "$db-journal" "$NSIMG" sql "$db" "SELECT 1"
	unchanged "$db-journal" "$NSIMG" export "$db" "$dir/out"
	sha256sum -c "$dir/journal"
	# what the message advises
	sqlite3 "$db" 'PRAGMA user_version'
	sqlite3 "$dir/wal.db" 'PRAGMA journal_mode = DELETE'
	"$NSIMG" images "$db" --json | diff "$dir/before" -
	"$NSIMG" images "$dir/wal.db"
}

# stopped SIGNAL FILE BACK COMMAND...: the signal comes when FILE is there (the command is held there), and nothing is
# left. The command may have ended before: then BACK takes it back, and it is tried again.
stopped() {
	local signal=$1 file=$2 back=$3 pid before tries=20
	shift 3
	while ((tries--)); do
		before=$(state)
		env --default-signal=HUP,TERM "$@" >"$BATS_TEST_TMPDIR/out" 2>&1 & # nohup(1) leaves HUP ignored
		pid=$!
		until [ -e "$file" ] || [ ! -e /proc/$pid ]; do :; done
		kill -STOP $pid && kill -"$signal" $pid && kill -CONT $pid
		wait $pid && { echo "too late: $*"; eval "$back"; continue; }
		status=$?
		cat "$BATS_TEST_TMPDIR/out"
		[ $status -eq 2 ] && grep -q "stopped by signal" "$BATS_TEST_TMPDIR/out" && [ "$before" = "$(state)" ] &&
			[ -z "$(find "$dir" -name '*-journal')" ]
		return
	done
	return 1
}

@test "SIGTERM, SIGHUP: import, readdress, dump take back what is half done" {
	need_root
	local gen
	gen=$(dirname "$NSIMG")/tests/bench/gen
	[ -x "$gen" ] || skip "no $gen"
	"$gen" "$bad" sockets=4000 namespaces=40
	stopped TERM "$db-journal" 'rm "$db"' "$NSIMG" import "$db" "$bad"
	"$NSIMG" import "$db" "$bad" >/dev/null
	stopped HUP "$db-journal" true "$NSIMG" import --again "$db" "$bad"
	stopped TERM "$db-journal" '"$NSIMG" undo "$db"' "$NSIMG" readdress "$db" 10.0.0.0/8 11.0.0.0/8
	run private '
		sleep 99 & sleep=$!
		'"$(declare -f stopped state)"'
		dir=$1
		stopped TERM "$dir/there" "rm -r \"$dir/there\"" "$NSIMG" dump --pid $sleep -o "$dir/there" || fail dump
		stopped HUP "$dir/there.db-journal" "rm \"$dir/there.db\"" "$NSIMG" dump --pid $sleep -o "$dir/there.db" || fail "dump to a database"
		grep -q "TracerPid:.0$" /proc/$sleep/status || fail "a tracer is left"
	' "$dir"
	echo "$output"
	[ "$status" -eq 0 ]
}

@test "output that cannot be written: what was done stands, and the message says so" {
	need_root
	need_corpus scenario/private-network
	"$NSIMG" import "$db" "$CORPUS/scenario/private-network"
	run private '
		db=$1 dir=$2
		says() { # TEXT COMMAND: the shell gives it a reader that has gone, or a full device
			text=$(bash -c "$2" 2>&1)
			[[ $text == *"cannot write the output (what it tells of is done): $1"* ]] || fail "$2: $text"
		}
		says "No space left" "\"$NSIMG\" restore \"$db\" >/dev/full"
		[ "$("$NSIMG" ps --no-header | wc -l)" -ge 1 ] || fail "no instance"
		says "No space left" "\"$NSIMG\" rollback a >/dev/full"
		[ -z "$("$NSIMG" ps --no-header)" ] || fail "an instance is left"
		says "Broken pipe" "\"$NSIMG\" dump --pid \$\$ -o \"$dir/d\" | true"
		"$NSIMG" import "$db" "$dir/d" >/dev/null || fail "the image is not whole"
	' "$db" "$dir"
	echo "$output"
	[ "$status" -eq 0 ]
}

@test "an index and a prefix that are none: imported as they are, found, exported to the byte, mended by an edit" {
	command -v crit >/dev/null || skip "no crit"
	need_corpus scenario/nested-veth
	local index
	cp -r "$CORPUS/scenario/nested-veth" "$bad"
	# a device, and the first bytes of the first two addresses behind the magic: header, family, prefixlen
	index=$(crit decode -i "$bad/netdev-10.img" | jq '.entries[0].ifindex')
	crit decode -i "$bad/netdev-10.img" | jq '.entries[0].ifindex = 0' >"$dir/dev.json"
	crit encode -i "$dir/dev.json" -o "$bad/netdev-10.img"
	python3 - "$bad/ifaddr-9.img" <<-'PY'
	import struct, sys
	with open(sys.argv[1], 'r+b') as f:
	    data = bytearray(f.read())
	    second = 4 + (struct.unpack_from('=I', data, 4)[0] + 3 & ~3)
	    assert data[4 + 16] == data[second + 16] == 2
	    data[4 + 17], data[second + 17] = 33, 200
	    f.seek(0)
	    f.write(data)
	PY
	"$NSIMG" import "$db" "$bad" >/dev/null
	run "$NSIMG" check "$db" index-range prefix-range
	echo "$output"
	[ "$status" -eq 1 ] && [[ $output == *"its index is 0"* && $output == *"its prefix has 33 bits"* && $output == *" 200 bits"* ]]
	[[ $output == *"3 errors, "* ]]
	"$NSIMG" tree "$db" >/dev/null
	run "$NSIMG" plan "$db"
	[ "$status" -le 2 ]
	"$NSIMG" export "$db" "$dir/out"
	diff -r "$bad" "$dir/out"
	run "$NSIMG" set "$db" address 10.10.0.1/200 prefixlen=129
	[ "$status" -eq 2 ] && [[ $output == *"prefixlen is 0 to 128"* ]]
	"$NSIMG" set "$db" address 10.10.0.1/200 prefixlen=24 >/dev/null
	"$NSIMG" set "$db" address 127.0.0.1/33 prefixlen=8 >/dev/null
	"$NSIMG" set "$db" device ns10/lo ifindex="$index" >/dev/null
	run "$NSIMG" check "$db" index-range prefix-range
	[ "$output" = "nothing found" ]
}

@test "a port that is none: imported as it is, found, exported to the byte, mended by an edit" {
	command -v crit >/dev/null || skip "no crit"
	need_corpus scenario/nested-veth
	cp -r "$CORPUS/scenario/nested-veth" "$dir/wide"
	crit decode -i "$dir/wide/files.img" | sed 's/"src_port": 8080/"src_port": 70000/' >"$dir/wide.json"
	grep -q 70000 "$dir/wide.json"
	crit encode -i "$dir/wide.json" -o "$dir/wide/files.img"
	"$NSIMG" import "$dir/wide.db" "$dir/wide" >/dev/null
	run "$NSIMG" check "$dir/wide.db" port-range
	echo "$output"
	[ "$status" -eq 1 ] && [[ $output == *":70000 "*"its port is 70000"* && $output == *"1 error, "* ]]
	"$NSIMG" sockets "$dir/wide.db" | grep -q ":70000"
	"$NSIMG" export "$dir/wide.db" "$dir/wide.out" >/dev/null
	diff -r "$dir/wide" "$dir/wide.out"
	# another field of it may be edited before; the port goes from none to one that is
	"$NSIMG" set "$dir/wide.db" socket ino = 11683490 so_mark=7 >/dev/null
	run "$NSIMG" set "$dir/wide.db" socket ino = 11683490 sport=70001
	[ "$status" -eq 2 ] && [[ $output == *"src_port"* ]]
	"$NSIMG" set "$dir/wide.db" socket ino = 11683490 sport=8080 >/dev/null
	run "$NSIMG" check "$dir/wide.db" port-range
	[ "$output" = "nothing found" ]
	"$NSIMG" export "$dir/wide.db" "$dir/wide.mended" >/dev/null
	[ "$(crit decode -i "$dir/wide.mended/files.img" | grep -c '"src_port": \(8080\|70000\)')" = 1 ]
	crit decode -i "$dir/wide.mended/files.img" | grep -q '"src_port": 8080'
}
