#!/usr/bin/env bash
# inside-dump.sh: what engine-dump.bats does inside the tree, on top of inside.sh (see there; look, ask, answers).
#   both FOLDER [OPTION...]  start criutree, look at it (before.*), have nsimg dump it with CRIU as the engine
#   private FOLDER           the same with a parent in the namespace that nsimg is in and its child in a private one
#   private_back DB OPTION...    and have nsimg restore it with CRIU as the engine
#   own FOLDER DB            own.py, a tree with connections in the namespace that nsimg is in: dumped, let go on, and restored
#   unguarded                a dump while something else traces CRIU: nsimg says that it cannot guard the tasks
#   queued FOLDER DB         start queued.py, have nsimg dump, import and restore it, compare it, and let it go on
#   unread FOLDER DB         unread.py, which has what CRIU does not keep: dumped (dump.out) and restored (engine.out)
#   names FOLDER FOLDER      names.py, looked at (names.before), dumped by nsimg with CRIU, and by CRIU alone, which must fail
#                            to restore it (alone.err)
#   names_back DB FOLDER     and have nsimg restore it with CRIU as the engine, look at it (names.after), and compare it, also
#                            when something of it is changed
#   tunsizes FOLDER DB       tunsizes.py, looked at (tunsizes.before), dumped by CRIU, imported, restored, looked at (tunsizes.after)
#   refused                  a tree with all that CRIU refuses: what nsimg says (refused.txt)
#   rootless                 a tree in a user namespace of its own: the same (rootless.txt)
#   killed WHO:MOMENT...     one tree (own.py with OWN=own); for each pair a dump in which WHO is killed at MOMENT
#                            (watch.py): the tree runs on, and nothing is left in it
set -u

# dumped FOLDER [OPTION...]: nsimg dump --criu of the tree, with its output in dump.out
dumped() {
	local begin=$EPOCHREALTIME
	nsimg dump --criu --pid "${pids[0]}" -o "$1" "${@:2}" >/mnt/dump.out 2>&1 || fail "nsimg dump --criu: $(cat /mnt/dump.out)"
	awk -v a="$begin" -v b="$EPOCHREALTIME" 'BEGIN { printf "nsimg dump --criu: %.2f s\n", b - a }' >>/mnt/times
}

# running: are the tasks of the tree there, and not zombies
running() {
	local pid
	for pid in "${pids[@]}"; do
		grep -q '^State:.[^ZX]' "/proc/$pid/status" 2>/dev/null || return 1
	done
}

do_both() {
	local pids
	start_tree
	# the last moment before the tree ends or is let go
	# shellcheck disable=SC2016 # for the shell that CRIU starts
	printf '#!/bin/sh\n[ "$CRTOOLS_SCRIPT_ACTION" != post-dump ] || python3 /mnt/watch.py probe %s >/mnt/during.probe\n' \
		"${pids[*]}" >/tmp/during
	chmod +x /tmp/during
	dumped "$@" -- --action-script /tmp/during
	# the files of the unix sockets of a tree that was killed
	rm /tmp/during /tmp/criutree-*
	running && fail "the tree runs on"
	# the sockets of the tree had them
	rm /tmp/criutree-outer /tmp/criutree-inner
	left_nothing
}

do_private() {
	local pids
	start_private
	read -r -a pids </mnt/pids
	dumped "$@"
}

# private_back DB OPTION...: restored, asked, and taken back
do_private_back() {
	local pids pid
	read -r -a pids </mnt/pids
	nsimg restore --criu --source /mnt/img "$@" >/mnt/engine.out 2>&1 || fail "$(cat /mnt/engine.out)"
	echo "parent: $(ask "${pids[0]}" INET 127.0.0.1 7001), child: $(ask "${pids[1]}" INET 127.0.0.1 7001)"
	for pid in "${pids[@]}"; do
		[ "$(readlink "/proc/$pid/ns/net")" = "$(readlink /proc/self/ns/net)" ] && echo "in ours: $pid"
	done
	nsimg rollback >/mnt/engine.rollback 2>&1 || fail "nsimg rollback: $(cat /mnt/engine.rollback)"
	left_nothing
}

# started NAME ARGUMENT...: NAME.py, which writes its pids to /mnt/pids when it is ready; "pids" has them
started() {
	rm -f /mnt/pids
	python3 "/mnt/$1.py" "${@:2}" 2>"/mnt/$1.err" &
	for _ in $(seq 600); do [ -s /mnt/pids ] && break; sleep 0.05; done
	[ -s /mnt/pids ] || fail "$1.py does not start: $(cat "/mnt/$1.err")"
	read -r -a pids </mnt/pids
}

# back FOLDER DB: the image is imported, and restored with CRIU as the engine
back() {
	nsimg import "$2" "$1" >/mnt/import.out || fail "$(cat /mnt/import.out)"
	nsimg restore --criu --source "$1" "$2" >/mnt/engine.out 2>&1 || fail "$(cat /mnt/engine.out)"
}

# start_queued [data]: queued.py
start_queued() {
	rm -f /tmp/go /tmp/taken
	started queued /mnt/pids /tmp/go /tmp/taken "$@"
}

do_queued() {
	local pids
	echo 5000 >/proc/sys/kernel/ns_last_pid
	start_queued
	dumped "$1" --strict
	cat /mnt/dump.out
	back "$1" "$2"
	nsimg verify
	touch /tmp/go
	for _ in $(seq 600); do [ -s /tmp/taken ] && break; sleep 0.05; done
	echo "taken: $(cat /tmp/taken)"
	nsimg rollback >/mnt/engine.rollback 2>&1 || fail "nsimg rollback: $(cat /mnt/engine.rollback)"
	start_queued data
	nsimg dump --criu --pid "${pids[0]}" -o /tmp/img --criu-program /bin/false 2>&1
	true
}

do_unread() {
	local pids
	started unread /mnt/pids
	dumped "$1"
	back "$1" "$2"
	cat /mnt/dump.out /mnt/engine.out
	nsimg rollback >/mnt/engine.rollback 2>&1 || fail "nsimg rollback: $(cat /mnt/engine.rollback)"
}

names_look() {
	python3 /mnt/names.py look "$1"
	nsenter --net="/proc/$1/ns/net" ss -Hauwn | sort
}

do_names() {
	local pids
	echo 5000 >/proc/sys/kernel/ns_last_pid
	started names start /mnt/pids
	settled "${pids[0]}"
	names_look "${pids[0]}" >/mnt/names.before
	dumped "$1" --leave-running
	mkdir -p "$2"
	criu_does dump "$2" -t "${pids[0]}"
	criu restore -D "$2" -o /mnt/alone.log -v4 -d >/dev/null 2>&1 && fail "CRIU alone restores it"
	grep Error /mnt/alone.log >/mnt/alone.err
}

do_names_back() {
	local pids
	read -r -a pids </mnt/pids
	nsimg restore --criu --source "$2" "$1" >/mnt/engine.out 2>&1 || fail "$(cat /mnt/engine.out)"
	cat /mnt/engine.out
	settled "${pids[0]}"
	names_look "${pids[0]}" >/mnt/names.after
	nsimg verify
	nsenter --net="/proc/${pids[0]}/ns/net" bash -c 'ip link set va mtu 1400 && ip route add 10.66.0.0/16 dev va' || fail "change"
	nsimg verify
	nsimg rollback >/mnt/engine.rollback 2>&1 || fail "nsimg rollback: $(cat /mnt/engine.rollback)"
	left_nothing
}

do_tunsizes() {
	local pids
	echo 5000 >/proc/sys/kernel/ns_last_pid
	started tunsizes start /mnt/pids
	settled "${pids[0]}"
	python3 /mnt/tunsizes.py look "${pids[0]}" >/mnt/tunsizes.before
	mkdir -p "$1"
	criu_does dump "$1" -t "${pids[0]}"
	back "$1" "$2"
	settled "${pids[0]}"
	python3 /mnt/tunsizes.py look "${pids[0]}" >/mnt/tunsizes.after
	nsimg verify
	nsimg rollback >/mnt/engine.rollback 2>&1 || fail "nsimg rollback: $(cat /mnt/engine.rollback)"
}

# start_own: own.py's tree, whose pid is in "pids", and the process outside of it, "outside"
start_own() {
	local who
	# the connection that asks has no answer yet
	nft 'table inet test { chain c { type filter hook input priority 0; tcp dport 7203 drop; }; }'
	echo 5000 >/proc/sys/kernel/ns_last_pid
	for who in outside tree; do
		python3 /mnt/own.py "$who" "/mnt/$who.pid" 2>"/mnt/own.err" &
		for _ in $(seq 600); do [ -s "/mnt/$who.pid" ] && break; sleep 0.05; done
		[ -s "/mnt/$who.pid" ] || fail "own.py $who does not start: $(cat /mnt/own.err)"
	done
	read -r outside </mnt/outside.pid
	read -r -a pids </mnt/tree.pid
}

own_says() { ask "${pids[0]}" INET 127.0.0.1 7200 2>&1 | tail -n 1; }

do_own() {
	local pids outside
	start_own
	# while it is stopped the process outside sends, and somebody else dumps the namespace
	cat >/tmp/during <<-SH
		#!/bin/sh
		[ "\$CRTOOLS_SCRIPT_ACTION" = post-dump ] || exit 0
		kill -USR1 $outside
		# CRIU is in a namespace of its own
		enter="nsenter --net=/proc/${pids[0]}/ns/net"
		env -i PATH="\$PATH" LD_LIBRARY_PATH=/mnt/lib /mnt/nsimg dump --netns /proc/${pids[0]}/ns/net -o /tmp/plain >/mnt/plain.out 2>&1
		\$enter nft list ruleset >/mnt/during.nft
		for n in \$(seq 500); do
			\$enter ss -Htn state established '( sport = :7201 )' | awk '{ print "unsent:", \$2 }' >/mnt/during.ss
			grep -qx 'unsent: 0' /mnt/during.ss || break
			sleep 0.02
		done
	SH
	chmod +x /tmp/during
	nsimg dump --criu --leave-running --pid "${pids[0]}" -o /tmp/img -- --action-script /tmp/during 2>&1 || fail "nsimg dump --criu"
	echo "runs on: $(own_says)"
	nft list tables
	cat /mnt/plain.out /tmp/plain/nftables-*.img >/mnt/plain.nft
	dumped "$1"
	nsimg import "$2" "$1" >/mnt/import.out || fail "$(cat /mnt/import.out)"
	nsimg restore --criu --source "$1" "$2" --netns "$(nsimg sql --no-header "$2" 'SELECT name FROM netns' | tr -d ' ')=/proc/self/ns/net" \
		>/mnt/engine.out 2>&1 || fail "$(cat /mnt/engine.out)"
	nft list tables
	echo "restored: $(own_says)"
	nsimg rollback >/mnt/engine.rollback 2>&1 || fail "nsimg rollback: $(cat /mnt/engine.rollback)"
	rm -r /tmp/during /tmp/img /tmp/plain
	left_nothing
}

# unguarded: CRIU is traced by something else
do_unguarded() {
	local pids
	start_tree
	python3 /mnt/watch.py trace &
	nsimg dump --criu --pid "${pids[0]}" -o /tmp/img --leave-running 2>&1 || fail "nsimg dump --criu"
	wait $!
	running || fail "the tree has ended"
	[ "$(ask "${pids[0]}" INET 10.77.0.2 7001)" = "inner link=ok pair=ok" ] || fail "the connection is lost"
}

# refused: a tree that has all that CRIU refuses (refuse.py): nsimg says all of it before CRIU starts
do_refused() {
	local pids status
	python3 /mnt/refuse.py outside >/mnt/outside.err 2>&1 &
	# not a leader of a session
	python3 /mnt/refuse.py >/mnt/refuse.err 2>&1 &
	for _ in $(seq 600); do [ -s /mnt/pids ] && break; sleep 0.05; done
	[ -s /mnt/pids ] || fail "the tree did not start: $(cat /mnt/refuse.err /mnt/outside.err)"
	read -r -a pids </mnt/pids
	nsimg dump --criu --pid "${pids[0]}" -o /tmp/img --criu-program /bin/false >/mnt/refused.txt 2>&1
	status=$?
	[ "$status $(find /tmp/img 2>/dev/null)" = "2 " ] || fail "status $status: $(cat /mnt/refused.txt)"
}

# rootless: a tree in a user namespace of its own: what nsimg says (rootless.txt)
do_rootless() {
	local pid
	setsid unshare --user --map-root-user --net sleep 600 &
	pid=$!
	until [ "$(cat /proc/$pid/comm)" = sleep ]; do sleep 0.02; done
	nsimg dump --criu --pid $pid -o /tmp/img --criu-program /bin/false >/mnt/rootless.txt 2>&1
	[ "$? $(find /tmp/img 2>/dev/null)" = "2 " ] || fail "$(cat /mnt/rootless.txt)"
	kill -0 $pid || fail "it has ended"
}

# ended PID: a process that is not our child is gone, and the guard too
ended() {
	for _ in $(seq 1500); do
		[ -d "/proc/$1" ] || grep -qs '^nsimg:guard$' /proc/[0-9]*/comm || return 0
		sleep 0.02
	done
	fail "CRIU or the guard do not end"
}

left_locked() {
	local pid
	for pid in "${pids[@]}"; do nsenter --net="/proc/$pid/ns/net" nft list tables; done | grep -c nsimg_lock
}

do_killed() {
	local pids outside each who moment hold options status left alive="inner link=ok pair=ok"
	if [ -n "${OWN:-}" ]; then
		start_own
		alive=$(own_says)
	else
		start_tree
	fi
	python3 /mnt/watch.py probe "${pids[@]}" >/mnt/before.probe
	for each in "$@"; do
		who=${each%%:*}
		moment=${each#*:}
		options=()
		# moments at which the dump may be complete already, and the tree end by right
		case $each in
		*:network-unlock | guard:* | both:* | nsimg:post-dump | *:+* | *:/*) options=(--leave-running) ;;
		esac
		rm -rf /tmp/img /tmp/criu.pid*
		case $each in
		hook:network-lock) hold=pre-dump ;;
		hook:post-dump | *:+*) hold=network-lock ;;
		*) hold=$moment ;;
		esac
		# shellcheck disable=SC2016 # for the shell that CRIU starts
		printf '#!/bin/sh\n[ "$CRTOOLS_SCRIPT_ACTION" = %s ] || exit 0\n%s\nsleep 0.3\n' "$hold" \
			'for n in $(seq 1000); do [ -e /tmp/criu.pid.go ] && break; sleep 0.02; done' >/tmp/slow
		chmod +x /tmp/slow
		python3 /mnt/watch.py kill "$who" "$moment" /tmp/criu.pid &
		until [ -e /tmp/criu.pid.ready ]; do sleep 0.01; done
		nsimg dump --criu --pid "${pids[0]}" -o /tmp/img "${options[@]}" -- --action-script /tmp/slow >/mnt/killed.out 2>&1
		status=$?
		wait $! || [ "$who" != nsimg-twice ] || fail "$each: CRIU is not ended"
		echo "$each: $status $(tail -n 1 /mnt/killed.out)"
		ended "$(cat /tmp/criu.pid)"
		running || fail "$each: the tree has ended: $(cat /mnt/killed.out)"
		if [ "$who" = both ]; then
			[ "$(left_locked)" = 2 ] || fail "$each: $(left_locked) locks"
			# by the next dump, or without one
			if [ "$moment" = network-lock ]; then
				nsimg dump --criu --pid "${pids[0]}" -o /tmp/next --leave-running >/mnt/next.out 2>&1 || fail "$each: $(cat /mnt/next.out)"
				rm -rf /tmp/next
			else
				nsimg dump --criu --pid "${pids[0]}" --repair || fail "$each: --repair"
			fi
			# nobody was there to remove them
			rm -rf /tmp/nsimg* /tmp/img
		fi
		python3 /mnt/watch.py probe "${pids[@]}" >/mnt/after.probe
		diff /mnt/before.probe /mnt/after.probe || fail "$each: left behind"
		[ "$(if [ -n "${OWN:-}" ]; then own_says; else ask "${pids[0]}" INET 10.77.0.2 7001; fi)" = "$alive" ] ||
			fail "$each: the connection is lost"
		# what nsimg left there when it was killed before there was a guard
		[[ $each == nsimg:pre-dump || $each == nsimg:network-lock ]] && rm -rf /tmp/nsimg*
		left=$(find /tmp -mindepth 1 -maxdepth 1 -name 'nsimg*')
		[ -z "$left" ] || fail "$each: left: $left"
		# nothing of an image that is not complete; before there was a guard the folder was empty
		rmdir /tmp/img 2>/dev/null
		[ ! -e /tmp/img ] || [ -e /tmp/img/nsimg-files.img ] || fail "$each: left: $(ls /tmp/img)"
	done
}

# shellcheck source=tests/criu/inside.sh
source "${BASH_SOURCE[0]%/*}/inside.sh" "$@"
