#!/usr/bin/env bats
# kill -9 after each step of a plan, then rollback: a probe by other tools finds what was there before.

load helpers

@test "kill -9 after each step, then rollback: nothing is left" {
	need_root
	need_corpus scenario/nested-veth
	export DB=$BATS_TEST_TMPDIR/case.db
	"$NSIMG" import "$DB" "$CORPUS/scenario/nested-veth" >/dev/null
	# one end of each pair to ns9 is outside, so that there is something in a namespace that stays
	sqlite3 "$DB" "UPDATE netns SET external = 1, caller = 1 WHERE ns_id = 9"
	run private '
		options="--no-tasks --veth ns10/eth0=outA@bridge7 --veth ns11/eth0=outB --veth ns12/eth0=outC"
		ip link add bridge7 type bridge
		steps=$("$NSIMG" plan "$DB" --no-tasks --format json | python3 -c "import json, sys; print(len(json.load(sys.stdin)[\"steps\"]))")
		echo "$steps steps"
		[ "$steps" -ge 100 ] || fail "only $steps steps"
		probe >"$BATS_TEST_TMPDIR-before"
		for n in $(seq "$steps"); do
			"$NSIMG" restore "$DB" $options --break-after "$n" >/dev/null 2>"$BATS_TEST_TMPDIR-err"
			[ $? = 137 ] || fail "step $n: not killed: $(cat "$BATS_TEST_TMPDIR-err")"
			"$NSIMG" rollback >/dev/null 2>"$BATS_TEST_TMPDIR-err" || fail "step $n: rollback: $(cat "$BATS_TEST_TMPDIR-err")"
			rm "$BATS_TEST_TMPDIR-err"
			probe >"$BATS_TEST_TMPDIR-after"
			diff "$BATS_TEST_TMPDIR-before" "$BATS_TEST_TMPDIR-after" || fail "step $n: something is left"
		done
		rm "$BATS_TEST_TMPDIR-before" "$BATS_TEST_TMPDIR-after"'
	echo "$output"
	[ "$status" -eq 0 ]
}

@test "the same with processes and sockets: a parent, children, shared sockets" {
	need_root
	export WORK=$BATS_TEST_TMPDIR
	[ -x "$MKSTATE" ] || skip "no mkstate"
	run private '
		export RUN=/run/scene TMPDIR=/run
		mkdir $RUN
		coproc SCENE { exec "$MKSTATE" "$TESTS/scenes/shared.scene" 2>/run/mkstate.err; }
		scene_pid=$SCENE_PID
		while read -r what name pid <&"${SCENE[0]}"; do
			[ "$what" = ready ] && break
			: "${root_pid:=$pid}"
		done
		[ "${what:-}" = ready ] || fail "the scene did not start: $(cat /run/mkstate.err)"
		"$NSIMG" dump --pid "$root_pid" -o "$WORK/image" >/run/out 2>&1 || fail "dump: $(cat /run/out)"
		kill "$scene_pid"; wait "$scene_pid" 2>/dev/null
		rm -rf "$RUN" /run/mkstate.err /run/out
		"$NSIMG" import "$WORK/case.db" "$WORK/image" >/dev/null || fail "import"
		steps=$("$NSIMG" plan "$WORK/case.db" --format json | python3 -c "import json, sys; print(len(json.load(sys.stdin)[\"steps\"]))")
		echo "$steps steps"
		probe >"$WORK-before"
		for n in $(seq "$steps"); do
			"$NSIMG" restore "$WORK/case.db" --break-after "$n" >/dev/null 2>&1
			[ $? = 137 ] || fail "step $n: not killed"
			"$NSIMG" rollback >"$WORK-out" 2>&1 || fail "step $n: rollback: $(cat "$WORK-out")"
			probe >"$WORK-after"
			diff "$WORK-before" "$WORK-after" || fail "step $n: something is left"
		done
		rm -f "$WORK-before" "$WORK-after" "$WORK-out"'
	echo "$output"
	[ "$status" -eq 0 ]
}
