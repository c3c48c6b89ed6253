#!/usr/bin/env bash
# roundtrip.sh SCENE: a scene is dumped, ended, restored; tools other than nsimg say what is different.
# Makes its own network, mount and process namespaces; prints one line a difference; exit status 0 when
# there is none, when "nsimg verify" finds none, and when a rollback leaves nothing.
# EDITS: commands of nsimg, a line each without the database, that edit it before the restore. EXPECT: a program for
# sed that makes the statements of what is expected then out of those of the scene; the kernel is given both.
# In a scene: "# restore: OPTIONS" are options for nsimg restore, "# root: NAME" the task that is dumped.
set -u
here=$(cd "$(dirname "$0")" && pwd)
scene=$1
: "${NSIMG:=$here/../build/debug/nsimg}" "${MKSTATE:=$here/../build/debug/tests/mkstate}"
export NSIMG MKSTATE

if [ "${2:-}" != inside ]; then
	exec unshare --net --mount --pid --fork --kill-child --mount-proc "$0" "$scene" inside
fi

fail() { echo "$*"; exit 1; }
read -ra options < <(sed -n 's/^# restore: //p' "$scene")
root=$(sed -n 's/^# root: //p' "$scene")
mount -t tmpfs roundtrip /run
export RUN=/run/scene TMPDIR=/run/work
mkdir -p /run/netns $RUN $TMPDIR
ip link set lo up
cd $TMPDIR || exit 2

begin_scene() { # FILE: sets tasks, root_pid
	local what name pid
	coproc SCENE { exec "$MKSTATE" "$1" 2>$TMPDIR/mkstate.err; }
	scene_pid=${SCENE_PID:?}
	tasks=()
	while read -r what name pid <&"${SCENE[0]}"; do
		[ "$what" = ready ] && break
		tasks+=("$name=$pid")
		[ "$name" = "${root:-$name}" ] && root_pid=$pid root=$name
	done
	[ "${what:-}" = ready ] || fail "the scene did not start: $(cat $TMPDIR/mkstate.err)"
}

end_scene() {
	kill "$scene_pid"
	wait "$scene_pid" 2>/dev/null
	umount /run/netns/* 2>/dev/null
	rm -rf /run/netns/* "${RUN:?}"/*
	for _ in $(seq 600); do [ "$(lsns -t net -n -o NS | wc -l)" = 1 ] && return; sleep 0.05; done
	fail "namespaces of the scene stay: $(lsns -t net)"
}

if [ -n "${EXPECT:-}" ]; then
	sed -E "$EXPECT" "$scene" >expected.scene
	begin_scene $TMPDIR/expected.scene
	python3 "$here/snapshot.py" take "${tasks[@]}" >expected.json || fail "snapshot of what is expected"
	end_scene
fi
begin_scene "$scene"

probe() { # everything that a restore and its rollback could leave behind
	lsns -t net -n -o NS | sort
	ip -o link | sed 's/ state .*//'
	grep ' /run' /proc/mounts # elsewhere somebody else may remove a folder, which takes its mounts away
	find /run -mindepth 1 -not -path "/run/work*" | sort
	pgrep -l '^nsimg:'
	sysctl -a --pattern '^net' 2>/dev/null | sort |
		grep -v 'random\|nf_conntrack_count\|fib_sync\|stable_secret\|rss_key'
}

python3 "$here/snapshot.py" take "${tasks[@]}" >before.json || fail "snapshot before"
"$NSIMG" dump --pid "$root_pid" -o image >dump.out 2>&1 || fail "dump: $(cat dump.out)"
for t in "${tasks[@]}"; do
	for _ in {1..1000}; do # it may be on its way back to sleep
		state=$(awk '/^State/ {print $2}' "/proc/${t#*=}/status")
		[ "$state" = S ] && break
		sleep .02
	done
	[ "$state" = S ] || fail "task $t does not run on after the dump ($state)"
done
end_scene
probe >probe.before

"$NSIMG" import case.db image >import.out 2>&1 || fail "import: $(cat import.out)"
while read -ra words; do
	[ ${#words[@]} -eq 0 ] && continue
	"$NSIMG" "${words[0]}" case.db "${words[@]:1}" >edit.out 2>&1 || fail "${words[*]}: $(cat edit.out)"
	sed 's/^/# /' edit.out
done <<<"${EDITS:-}"
[ -e expected.json ] || cp before.json expected.json
"$NSIMG" restore case.db "${options[@]}" >restore.out 2>&1 || fail "restore: $(cat restore.out)"
tasks=()
while IFS=$'\t' read -r name pid; do
	tasks+=("${name#nsimg:}=$pid")
done < <("$NSIMG" ps --json | jq -r '.[] | select(.pid != null) | [.comm, .pid] | @tsv')
[ ${#tasks[@]} -gt 0 ] || fail "no holder: $("$NSIMG" ps)"
settled=("${tasks[@]/#*=//proc/}")
settled=("${settled[@]/%//ns/net}")
for ns in /run/netns/*; do [ -e "$ns" ] && settled+=("$ns"); done
"${MKSTATE%/*}/settle" "${settled[@]}" || fail "it does not come to rest"
python3 "$here/snapshot.py" take "${tasks[@]}" >after.json || fail "snapshot after"
rc=0
python3 "$here/snapshot.py" diff expected.json after.json || rc=1
"$NSIMG" verify >verify.out 2>&1 || { rc=1; echo "verify:"; cat verify.out; }
grep -A99 '^left out' restore.out
"$NSIMG" rollback >rollback.out 2>&1 || fail "rollback: $(cat rollback.out)"
probe >probe.after
diff probe.before probe.after || fail "something is left after the rollback"
exit $rc
