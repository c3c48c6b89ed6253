#!/usr/bin/env bats
# Layouts that no sample is left of, made from images of today, checked with crit: the rows are the same, and
# the export is what went in.

load helpers

setup() {
	/usr/bin/python3 -c 'import pycriu' 2>/dev/null || skip "no pycriu (package criu)"
}

# made LAYOUT IMAGE
made() {
	need_corpus "$2"
	run /usr/bin/python3 "$TESTS/netns/old_layout.py" "$1" "$NSIMG" "$CORPUS/$2" "$BATS_TEST_TMPDIR/work"
	echo "$output"
	[ "$status" -eq 0 ]
}

@test "v1.0, sockets and tun files in files of their own, conf before conf4: scenario/nested-veth" { made old scenario/nested-veth; }
@test "the same: zdtm/tun_ns.ns" { made old zdtm/tun_ns.ns; }
@test "the same: zdtm/packet_sock.ns" { made old zdtm/packet_sock.ns; }
@test "the same: zdtm/sk-netlink.ns" { made old zdtm/sk-netlink.ns; }
@test "unknown fields, descriptors and files are kept and counted: scenario/nested-veth" { made unknown scenario/nested-veth; }
@test "the same: zdtm/tun_ns.ns of unknown things" { made unknown zdtm/tun_ns.ns; }
