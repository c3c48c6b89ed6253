# peer.bash: for tests with a real, current CRIU (tree.sh). Each test has a folder that the tree sees as /mnt.

HERE=$(cd "${BASH_SOURCE[0]%/*}" && pwd)
root=$(cd "$HERE/../.." && pwd)
export NSIMG=${NSIMG:-$root/build/debug/nsimg}
export MKSTATE=${MKSTATE:-$root/build/debug/tests/mkstate}
export CRIUTREE=${CRIUTREE:-${MKSTATE%/*}/criutree} SETTLE=${MKSTATE%/*}/settle

need_tree() {
	[ "$(id -u)" -eq 0 ] || skip "needs root"
	run "$HERE/tree.sh" make
	[ "$status" -ne 77 ] || skip "${lines[-1]}"
	[ "$status" -eq 0 ]
	export SHARE=$BATS_TEST_TMPDIR/share
	mkdir -p "$SHARE"
	cp "$HERE/inside.sh" "$CRIUTREE" "$SETTLE" "$SHARE"
}

# in_tree COMMAND...: in the tree with the shared folder
in_tree() {
	run timeout 900 "$HERE/tree.sh" run "$@"
	echo "$output"
	[ "$status" -ne 77 ] || skip "${lines[-1]}"
	[ "$status" -eq 0 ]
}

in_tree_do() { in_tree bash /mnt/inside.sh "$@"; }

# nsimg in the tree as /mnt/nsimg, with the libraries that the tree lacks in /mnt/lib (its libc is the newer one)
need_nsimg_inside() {
	local lib
	cp "$NSIMG" "$SHARE/nsimg"
	mkdir -p "$SHARE/lib"
	while read -r lib; do
		[ -e "$("$HERE/tree.sh" make)/root/usr/lib/x86_64-linux-gnu/${lib##*/}" ] || cp "$lib" "$SHARE/lib"
	done < <(ldd "$NSIMG" | awk '$3 ~ /^\// { print $3 }')
}

# whole_checkpoint: criutree with all it has, dumped by CRIU, imported into $db; $outer and $inner: the names that
# its namespaces have there
whole_checkpoint() {
	in_tree env WHOLE=whole PREPARE="${PREPARE:-}" bash /mnt/inside.sh dump /mnt/img
	"$NSIMG" import "$db" "$SHARE/img" >/dev/null
	cat "$SHARE/before.answers"
	# what is asked for later was so before the dump
	[ "$(grep -c 'outer$\|inner link=ok pair=ok link6=ok connected=ok mapped=ok$\|dgram$' "$SHARE/before.answers")" = 6 ]
	outer=$(sqlite3 "$db" "SELECT n.name FROM netns n JOIN device d ON d.netns = n.id WHERE d.name = 'left'")
	inner=$(sqlite3 "$db" "SELECT n.name FROM netns n JOIN device d ON d.netns = n.id WHERE d.name = 'right'")
}

# restored [NAME=VALUE...]: what is in $db, by CRIU
restored() {
	"$NSIMG" export "$db" "$SHARE/out"
	in_tree env "$@" bash /mnt/inside.sh restore /mnt/out /mnt/after.txt
	cat "$SHARE/after.answers"
}
