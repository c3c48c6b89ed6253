#!/usr/bin/env bats
# The current crit decodes every image of a kind it knows that nsimg writes, and the fields that Debian's own,
# older crit passes over are what the kernel says.

load peer.bash

setup() {
	need_tree
	/usr/bin/python3 -c 'import pycriu' 2>/dev/null || skip "no pycriu (package criu)"
}

# In namespaces of its own: the scene, its dump, crit in the tree, the comparison while the tasks still run.
decode_scene() {
	local what name pid root_task
	mount -t tmpfs nsimg-test /run
	export RUN=/run/scene
	mkdir -p /run/netns $RUN
	ip link set lo up
	cd "$SHARE"
	root_task=$(sed -n 's/^# root: //p' "$1")
	coproc SCENE { exec "$MKSTATE" "$1" 2>mkstate.err; }
	while read -r what name pid <&"${SCENE[0]}"; do
		[ "$what" = ready ] && break
		[ -n "${first:-}" ] && [ "$name" != "$root_task" ] || first=$pid
	done
	[ "${what:-}" = ready ] || { cat mkstate.err; return 1; }
	"$NSIMG" dump --pid "$first" -o image
	"$HERE/tree.sh" run bash /mnt/inside.sh crit /mnt/image /mnt/decoded
	/usr/bin/python3 "$HERE/younger.py" decoded
}

decodes() {
	run unshare --net --mount --pid --fork --kill-child --mount-proc bash -c \
		"set -eEuo pipefail; trap 'echo \"failed: \$BASH_COMMAND\"' ERR; HERE='$HERE'; $(declare -f decode_scene)
		decode_scene '$root/tests/scenes/$1.scene'"
	echo "$output"
	[ "$status" -eq 0 ]
	# what nsimg wrote of known kinds is what was decoded
	[ "$(find "$SHARE/decoded" -name '*.json' -size +0 | wc -l)" -ge 6 ]
}

@test "activated" { decodes activated; }
@test "addresses" { decodes addresses; }
@test "demo" { decodes demo; }
@test "firewall" { decodes firewall; }
@test "inet" { decodes inet; }
@test "kinds" { decodes kinds; }
@test "links" { decodes links; }
@test "neighbours" { decodes neighbours; }
@test "netlink-packet" { decodes netlink-packet; }
@test "no-carrier" { decodes no-carrier; }
@test "nsfd" { decodes nsfd; }
@test "nsids" { decodes nsids; }
@test "orphan" { decodes orphan; }
@test "routes" { decodes routes; }
@test "same-name" { decodes same-name; }
@test "shared" { decodes shared; }
@test "sysctls" { decodes sysctls; }
@test "tc" { decodes tc; }
@test "thread" { decodes thread; }
@test "tun-files" { decodes tun-files; }
@test "unix-across" { decodes unix-across; }
@test "unix-names" { decodes unix-names; }
@test "userns" { decodes userns; }
