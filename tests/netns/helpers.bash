# Helpers of the restore tests: everything happens in network, mount and process namespaces of the test's
# own, with a /run of its own, so that nothing of the machine is touched.

root=$(cd "${BATS_TEST_DIRNAME}/../.." && pwd)
export NSIMG=${NSIMG:-$root/build/debug/nsimg}
export MKSTATE=${MKSTATE:-$root/build/debug/tests/mkstate}
export SETTLE=${MKSTATE%/*}/settle
export CORPUS=${NSIMG_CORPUS:-$root/../shared/corpus}
export TESTS=$root/tests
export BATS_TEST_TMPDIR

need_root() {
	[ "$(id -u)" -eq 0 ] || skip "needs root"
}

need_corpus() {
	[ -d "$CORPUS/$1" ] || skip "no $1 in the corpus (NSIMG_CORPUS)"
}

# private SCRIPT [ARGUMENTS]: run it (bash) with namespaces of its own; prints and returns what it does.
private() {
	local script=$1
	shift
	unshare --net --mount --pid --fork --kill-child --mount-proc -- bash -c '
		mount -t tmpfs private /run && mkdir -p /run/netns && ip link set lo up || exit 99
		'"$PRELUDE"'
		'"$script" private "$@"
}

# What the scripts may use: a probe of all that a restore could leave behind, by tools that are not nsimg.
PRELUDE='
	probe() {
		lsns -t net -n -o NS | sort
		lsns -t user -n -o NS | sort
		ip -o link | sed "s/ state .*//"
		ip -o address
		# a folder that somebody removes elsewhere takes what is mounted there from all namespaces
		grep -F -e " /run" -e " $BATS_TEST_TMPDIR" /proc/mounts
		find /run "$BATS_TEST_TMPDIR" -mindepth 1 | sort
		ps -e -o comm= | grep -v "^\(ps\|bash\|lsns\|find\|sort\|grep\|sed\|private\|sysctl\)$" | sort
		sysctl -a --pattern "^net" 2>/dev/null | grep -v "random\|nf_conntrack_count\|stable_secret\|rss_key"
	}
	fail() { echo "$*"; exit 1; }
'
