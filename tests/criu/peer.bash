# peer.bash: for tests with a real, current CRIU (tree.sh). Each test has a folder that the tree sees as /mnt.

HERE=$(cd "${BASH_SOURCE[0]%/*}" && pwd)
root=$(cd "$HERE/../.." && pwd)
export NSIMG=${NSIMG:-$root/build/debug/nsimg}
export MKSTATE=${MKSTATE:-$root/build/debug/tests/mkstate}
export CRIUTREE=${CRIUTREE:-${MKSTATE%/*}/criutree}

need_tree() {
	[ "$(id -u)" -eq 0 ] || skip "needs root"
	run "$HERE/tree.sh" make
	[ "$status" -ne 77 ] || skip "${lines[-1]}"
	[ "$status" -eq 0 ]
	export SHARE=$BATS_TEST_TMPDIR/share
	mkdir -p "$SHARE"
	cp "$HERE/inside.sh" "$CRIUTREE" "$SHARE"
}

# in_tree COMMAND...: in the tree with the shared folder
in_tree() {
	run timeout 120 "$HERE/tree.sh" run "$@"
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
