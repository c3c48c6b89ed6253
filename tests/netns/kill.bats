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
		probe >/tmp/before.$$
		for n in $(seq "$steps"); do
			"$NSIMG" restore "$DB" $options --break-after "$n" >/dev/null 2>/tmp/err.$$
			[ $? = 137 ] || fail "step $n: not killed: $(cat /tmp/err.$$)"
			"$NSIMG" rollback >/dev/null 2>/tmp/err.$$ || fail "step $n: rollback: $(cat /tmp/err.$$)"
			rm /tmp/err.$$
			probe >/tmp/after.$$
			diff /tmp/before.$$ /tmp/after.$$ || fail "step $n: something is left"
		done
		rm /tmp/before.$$ /tmp/after.$$'
	echo "$output"
	[ "$status" -eq 0 ]
}
