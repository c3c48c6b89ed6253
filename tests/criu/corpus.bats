#!/usr/bin/env bats
# The whole corpus in one database: what nsimg read in each file is what crit, ip and Python read there.

load peer.bash

setup_file() {
	export CORPUS=${NSIMG_CORPUS:-$root/../shared/corpus}
	export ALL=$BATS_FILE_TMPDIR/all.db
	[ -d "$CORPUS/scenario/nested-veth" ] || return 0
	find "$CORPUS" -name inventory.img -printf '%h\n' | sort >"$BATS_FILE_TMPDIR/images"
	xargs -d '\n' "$NSIMG" import "$ALL" "$CORPUS"/podman/c[13].tar* <"$BATS_FILE_TMPDIR/images" >/dev/null
}

setup() {
	[ -d "$CORPUS/scenario/nested-veth" ] || skip "no corpus (NSIMG_CORPUS)"
	need_tree
	/usr/bin/python3 -c 'import pycriu' 2>/dev/null || skip "no pycriu (package criu)"
}

# python PROGRAM ARGUMENT...: one of the programs beside this file
python() {
	run /usr/bin/python3 "$HERE/$1" "${@:2}"
	echo "$output"
	[ "$status" -eq 0 ]
}

@test "every record and netlink message is its row, value by value" {
	python values.py "$ALL" "$CORPUS"
}

@test "an edit of every column changes its field alone, and crit reads the new value" {
	python edits.py "$NSIMG" "$ALL" "$CORPUS" "$BATS_TEST_TMPDIR"
}

@test "rows added and deleted: their records come and go, and nothing else" {
	python rows.py "$NSIMG" "$ALL" "$CORPUS" "$BATS_TEST_TMPDIR"
}

@test "fields and attributes that nobody knows survive edits of their record" {
	python strange.py "$NSIMG" "$CORPUS" "$BATS_TEST_TMPDIR"
}

@test "what CRIU left behind is told apart: connections written twice, its lock" {
	id() { sqlite3 "$ALL" "SELECT id FROM image WHERE name = '$1'"; }
	shown() { "$NSIMG" show "$ALL" --image "$(id "$1")" -n -o "$3" "$2" | tr -s ' \n' ' '; }
	[ "$(shown nested-veth conntrack kind)" = "connection copy " ]
	[ "$(shown network-lock-nftables firewall format,criu_lock)" = \
		"ip6tables no iptables no nftables yes ip6tables no iptables no nftables no " ]
	[ "$(shown network-lock-skip firewall criu_lock)" = "no no no no no no " ]
}

@test "--salvage: all records before the damage, the damage, and every other file as it is" {
	python salvage.py "$NSIMG" "$ALL" "$CORPUS" "$BATS_TEST_TMPDIR"
}
