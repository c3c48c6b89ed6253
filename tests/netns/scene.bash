# scene.bash: for tests that make a state with mkstate and look at it. A test writes what it does as a function
# and calls "inside FUNCTION", which runs it in a network, a mount and a process namespace of its own with an
# empty /run: what the test makes ends with them, also when it fails.
#
#	@test "a listener is dumped" {
#		body() {
#			scene <<-'END'
#			ns a
#			...
#			END
#			"$NSIMG" dump --pid $pid_one -o image
#		}
#		inside body
#	}

HERE=${BASH_SOURCE[0]%/*}
HERE=$(cd "$HERE" && pwd)
export BATS_TEST_DIRNAME BATS_TEST_TMPDIR
export NSIMG=${NSIMG:-$HERE/../../build/debug/nsimg}
export MKSTATE=${MKSTATE:-$HERE/../../build/debug/tests/mkstate}
export SETTLE=${MKSTATE%/*}/settle

# ---- outside ----

# inside FUNCTION [OTHER...]: run it, in namespaces of its own, where it may call the others too; exit status 77
# skips the test with the last line.
inside() {
	[ "$(id -u)" -eq 0 ] || skip "needs root"
	run unshare --net --mount --pid --fork --kill-child --mount-proc bash -c \
		"set -eEuo pipefail; . '$HERE/scene.bash'; $(declare -f "$@"); inside_begin; $1"
	echo "$output"
	[ "$status" -ne 77 ] || skip "${lines[-1]}"
	[ "$status" -eq 0 ]
}

# ---- inside ----

inside_begin() {
	trap 'echo "failed: $BASH_COMMAND"' ERR
	mount -t tmpfs nsimg-test /run
	export RUN=/run/scene
	mkdir -p /run/netns $RUN
	ip link set lo up
	cd "$BATS_TEST_TMPDIR"
}

cannot() {
	echo "$*"
	exit 77
}

# scene: statements for mkstate from standard input; sets pid_NAME for each task, and scene_pid.
scene() {
	local what name pid
	cat >scene.txt
	coproc SCENE { exec "$MKSTATE" scene.txt 2>mkstate.err; }
	scene_pid=$SCENE_PID
	while read -r what name pid <&"${SCENE[0]}"; do
		[ "$what" = ready ] && return
		declare -g "pid_$name=$pid"
	done
	echo "the scene did not start: $(cat mkstate.err)"
	return 1
}

# image: the last dump in ./image as CRIU's library reads it, through a jq filter: image 'FILTER'
image() {
	/usr/bin/python3 "$HERE/image.py" show image >image.json
	jq -r "$1" image.json
}

# same_as_kernel: everything in ./image against the kernel
same_as_kernel() {
	/usr/bin/python3 "$HERE/image.py" compare image
}

# fails STATUS TEXT COMMAND...: it exits with this status and its words on standard error have the text
fails() {
	local want=$1 text=$2 rc=0
	shift 2
	"$@" >fails.out 2>fails.err || rc=$?
	if [ $rc -ne "$want" ] || ! grep -qF -- "$text" fails.err; then
		echo "exit status $rc (expected $want), words: $(cat fails.err) (expected: $text)"
		return 1
	fi
}

# runs PID: it is not stopped and nobody traces it
runs() {
	! grep -q '^State:.*[TtZX] (' /proc/$1/status && grep -q '^TracerPid:.*\b0$' /proc/$1/status
}
