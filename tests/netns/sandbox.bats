# Commands without privileges work inside their sandbox, and are in it.

setup_file() {
	root=$BATS_TEST_DIRNAME/../..
	export NSIMG=${NSIMG:-$root/build/debug/nsimg}
	export CORPUS=${NSIMG_CORPUS:-$root/../shared/corpus}
	export IMAGE=$CORPUS/limits/bridge-no-port
}

setup() {
	[ -d "$IMAGE" ] || skip "no corpus ($IMAGE)"
	cd "$BATS_TEST_TMPDIR"
}

@test "import, and every command that reads, from several places" {
	"$NSIMG" import case.db "$IMAGE"
	mkdir below
	ln -s ../case.db below/link.db
	cd below
	for db in ../case.db "$BATS_TEST_TMPDIR/case.db" link.db; do
		"$NSIMG" images "$db"
		"$NSIMG" tree "$db"
		"$NSIMG" sockets "$db"
		"$NSIMG" show "$db" devices
		"$NSIMG" diff "$db@1" "$db"
		run "$NSIMG" sql "$db" "SELECT name FROM device ORDER BY ifindex DESC LIMIT 1"
		[ "$status" -eq 0 ]
		[ "${lines[1]}" = br0 ]
	done
	# through the link, the journal is made beside the database it leads to
	"$NSIMG" import --again link.db "$IMAGE"
	[ ! -e link.db-journal ]
}

@test "while it runs: no new privileges, a filter of system calls, no capability but for files" {
	"$NSIMG" import case.db "$IMAGE" >/dev/null
	"$NSIMG" sql case.db "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT max(i) FROM n" &
	pid=$!
	# the filter of system calls comes last, and then the query
	for i in $(seq 200); do
		cat /proc/$pid/status >status
		grep -q '^Seccomp:.*2' status && break
		sleep 0.1
	done
	kill $pid
	wait $pid || true
	grep -q '^NoNewPrivs:.*1' status
	grep -q '^Seccomp:.*2' status || zcat /proc/config.gz | grep -q "CONFIG_SECCOMP_FILTER is not set"
	# CAP_DAC_OVERRIDE and CAP_DAC_READ_SEARCH, or less
	caps=$(sed -n 's/^CapEff:[^0-9a-f]*//p' status)
	[ $((0x$caps & ~0x6)) -eq 0 ]
}

@test "a file of an image that is a link out of its folder is not followed" {
	python3 - <<-'PY' || skip "the kernel has no Landlock"
	import ctypes, sys
	sys.exit(ctypes.CDLL(None).syscall(444, None, 0, 1) < 1)
	PY
	# import passes over what is no regular file, and could not open it either; none of it gets in
	cp -r "$IMAGE" evil
	mv evil/pstree.img pstree.img
	ln -s ../pstree.img evil/pstree.img
	run "$NSIMG" import evil.db evil
	echo "$output"
	run "$NSIMG" sql --no-header evil.db "SELECT count(*) FROM image_file WHERE name = 'pstree.img'"
	[ "$output" = 0 ] || [ "$status" -eq 2 ]
}

@test "SQL reaches no other file" {
	"$NSIMG" import case.db "$IMAGE" >/dev/null
	cp case.db other.db
	for file in /etc/passwd "$PWD/other.db"; do
		run "$NSIMG" sql case.db "ATTACH '$file' AS o"
		[ "$status" -eq 2 ]
	done
	run "$NSIMG" sql case.db "VACUUM INTO '$PWD/copy.db'"
	[ "$status" -eq 2 ]
	[ ! -e copy.db ]
}

@test "a large sort needs no temporary file" {
	"$NSIMG" import case.db "$IMAGE" >/dev/null
	run "$NSIMG" sql case.db "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n LIMIT 300000)
		SELECT count(*) FROM (SELECT DISTINCT hex(i) || printf('%0200d', i) AS t FROM n ORDER BY t DESC)"
	[ "$status" -eq 0 ]
	[ "${lines[1]}" = 300000 ]
}

@test "help still shows pages, with man and without" {
	run "$NSIMG" help import
	[ "$status" -eq 0 ]
	[[ $output == *import* ]]
	command -v script >/dev/null && command -v man >/dev/null || skip "no script(1) or man(1)"
	# man runs only on a terminal
	run env MANPAGER=cat script -qec "'$NSIMG' help check-kernel" /dev/null
	[ "$status" -eq 0 ]
	[[ $output == *"needed"* ]]
}
