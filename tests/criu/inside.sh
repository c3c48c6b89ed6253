#!/usr/bin/env bash
# inside.sh: what the tests of tests/criu do inside the tree (tree.sh run bash /mnt/inside.sh WHAT ...), with
# its CRIU, ip and ss. /mnt is the folder that the test shares.
#   dump FOLDER            start criutree, look at it (before.txt), have CRIU dump it; PREPARE: a command before;
#                          WHOLE=whole: criutree with sockets of all families
#   dump_external FOLDER   the same with its network namespaces external
#   restore FOLDER OUT [OPTION...]   have CRIU restore it, look at it (OUT); more options for CRIU
#   engine DB OUT [OPTION...]        have nsimg restore it with CRIU as the engine, look at it (OUT)
#   engine_killed DB WHO MOMENT      have nsimg or CRIU killed in the middle of it, and nothing is left
#   odd_dump FOLDER        start odd.py, look at it (odd.before), have nsimg dump it with CRIU as the engine
#   odd_engine DB [OPTION...]        have nsimg restore it with CRIU as the engine, look at it (odd.after)
#   dump_private FOLDER    a parent in CRIU's own namespace and its child in a private one, dumped by CRIU
#   alone_private FOLDER NETNS KEY   the same restored by CRIU, which is given both namespaces
#   engine_loop DB N       the same N times, and back each time
#   side_by_side FOLDER FOLDER       both restored at once into namespaces on one bridge, look at both (copy-N.*)
#   crit FOLDER            crit decode each image of a kind it knows, to FOLDER/NAME.json
set -u

fail() {
	echo "$*"
	exit 1
}

# criu_does WHAT FOLDER OPTION...: or the errors of its log
criu_does() {
	local what=$1 folder=$2 begin=$EPOCHREALTIME
	shift 2
	criu "$what" -D "$folder" -o "/mnt/$what.log" -v4 --tcp-established "$@" >"/mnt/$what.out" 2>&1 || {
		grep -E 'Error|Warn' "/mnt/$what.log" | tail -n 20
		fail "criu $what: $(tail -n 3 "/mnt/$what.out")"
	}
	awk -v a="$begin" -v b="$EPOCHREALTIME" -v w="$what" 'BEGIN { printf "criu %s: %.2f s\n", w, b - a }' >>/mnt/times
}

# look OUTER INNER: what ip and ss say in the namespaces of both tasks, without inodes and timers
look() {
	local name pid
	for pid in "$1" "$2"; do
		[ "$pid" = "$1" ] && name=outer || name=inner
		echo "== $name"
		enter="nsenter --net=/proc/$pid/ns/net"
		$enter ip -o link | sed 's/ state [A-Z]*//'
		$enter ip -o address | sed 's/ valid_lft.*//'
		$enter ip -4 route show table all
		$enter ip -6 route show table all | sort
		$enter ip rule
		# fe80 and the two kinds of columns that count are of no interest; unix sockets lose their inodes
		$enter ss -Htuna | awk '{ $3 = ""; print }' | sort
		$enter ss -Hxa | awk '{ $3 = ""; $6 = ""; $8 = ""; print }' | sort
		find "/proc/$pid/fd" -type l -printf '%f %l\n' | sed 's/\[[0-9]*\]//' | sort -n
	done
}

# ask PID FAMILY ADDRESS [PORT]: connect in the namespace of a task, print the line that comes
ask() {
	nsenter --net="/proc/$1/ns/net" python3 - "${@:2}" <<-'PY'
	import socket, sys
	family, address = sys.argv[1:3]
	s = socket.socket(getattr(socket, 'AF_' + family), socket.SOCK_STREAM)
	s.settimeout(30)
	s.connect('\0criutree' if family == 'UNIX' else (address, int(sys.argv[3])))
	print(s.makefile().readline().strip())
	PY
}

# echoes PID ADDRESS PORT: does a datagram come back
echoes() {
	nsenter --net="/proc/$1/ns/net" python3 - "${@:2}" <<-'PY'
	import socket, sys
	s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
	s.settimeout(30)
	s.sendto(b'dgram', (sys.argv[1], int(sys.argv[2])))
	print(s.recv(100).decode())
	PY
}

# answers OUTER INNER: each listener, asked from the other namespace; who answers is what the program says
answers() {
	local a1=${OUTER_ADDRESS:-10.77.0.1} a2=${INNER_ADDRESS:-10.77.0.2} p1=${OUTER_PORT:-7001}
	echo "outer's listener, from inner: $(ask "$2" INET "$a1" "$p1" 2>&1 | tail -n 1)"
	echo "inner's listener, from outer: $(ask "$1" INET "$a2" 7001 2>&1 | tail -n 1)"
	echo "outer's abstract listener: $(ask "$1" UNIX - 2>&1 | tail -n 1)"
	echo "inner's abstract listener: $(ask "$2" UNIX - 2>&1 | tail -n 1)"
	echo "outer's UDP socket: $(echoes "$2" "$a1" 7002 2>&1 | tail -n 1)"
	echo "inner's UDP socket: $(echoes "$1" "$a2" 7002 2>&1 | tail -n 1)"
}

# start_tree: criutree runs, its pids are in "pids" and /mnt/pids, what it is in before.txt and before.answers
start_tree() {
	# numbers that nothing in the tree will have when CRIU wants them back
	echo 5000 >/proc/sys/kernel/ns_last_pid
	# shellcheck disable=SC2086 # one word or none
	/mnt/criutree /mnt/pids ${WHOLE:-} 2>/mnt/criutree.err </dev/null &
	for _ in $(seq 300); do
		[ -s /mnt/pids ] && break
		sleep 0.1
	done
	[ -s /mnt/pids ] || fail "criutree did not start: $(cat /mnt/criutree.err)"
	read -r -a pids </mnt/pids
	[ -z "${PREPARE:-}" ] || nsenter --net="/proc/${pids[0]}/ns/net" bash -c "$PREPARE" || fail "prepare: $PREPARE"
	settled "${pids[@]}"
	look "${pids[@]}" >/mnt/before.txt
	nsenter --net="/proc/${pids[0]}/ns/net" nft list ruleset >/mnt/before.nft
	answers "${pids[@]}" >/mnt/before.answers
}

do_dump() {
	local pids
	start_tree
	mkdir -p "$1"
	criu_does dump "$1" -t "${pids[0]}"
}

# dump_external FOLDER: CRIU alone must refuse the tree (refused.txt); then /mnt/ready is made, and when /mnt/go
# is there CRIU dumps it with its two namespaces external, as "outer" and "inner"
do_dump_external() {
	local pids
	start_tree
	mkdir -p "$1" /tmp/alone
	criu dump -D /tmp/alone -o /mnt/refused.log -v4 --tcp-established -t "${pids[0]}" >/dev/null 2>&1 &&
		fail "CRIU alone dumps this tree"
	grep Error /mnt/refused.log >/mnt/refused.txt
	# what a failed dump of CRIU leaves behind is not ours to compare
	settled "${pids[@]}"
	touch /mnt/ready
	for _ in $(seq 3000); do
		[ -e /mnt/go ] && break
		sleep 0.1
	done
	[ -e /mnt/go ] || fail "nobody says go"
	criu_does dump "$1" -t "${pids[0]}" --external "net[$(stat -Lc %i "/proc/${pids[0]}/ns/net")]:outer" \
		--external "net[$(stat -Lc %i "/proc/${pids[1]}/ns/net")]:inner"
}

# settled PID...: the kernel has done what it does by itself in their namespaces
settled() {
	local at=("${@/#//proc/}")
	/mnt/settle "${at[@]/%//ns/net}" || fail "it does not come to rest"
}

do_restore() {
	local pids
	read -r -a pids </mnt/pids
	criu_does restore "$1" -d "${@:3}"
	for pid in "${pids[@]}"; do
		for _ in $(seq 600); do
			grep -q '^State:.*S' "/proc/$pid/status" && continue 2
			sleep 0.05
		done
		fail "task $pid does not wait after the restore: $(grep State "/proc/$pid/status" 2>&1)"
	done
	# a lock that the test put into namespaces that CRIU did not make
	[ -z "${UNLOCK:-}" ] || for pid in "${pids[@]}"; do
		nsenter --net="/proc/$pid/ns/net" nft delete table inet "$UNLOCK" || fail "unlock task $pid"
	done
	settled "${pids[@]}"
	look "${pids[@]}" >"$2"
	nsenter --net="/proc/${pids[0]}/ns/net" nft list ruleset >"${2%.txt}.nft"
	answers "${pids[@]}" >"${2%.txt}.answers"
	# a port where nobody listens: that it is refused is the answer of the kernel at the other end of the device
	[ -z "${REACH:-}" ] || ask "${pids[1]}" INET "$REACH" 9 2>&1 | tail -n 1 >"${2%.txt}.reach"
}

nsimg() { LD_LIBRARY_PATH=/mnt/lib /mnt/nsimg "$@"; }

do_engine() {
	local pids
	read -r -a pids </mnt/pids
	nsimg restore --criu --source /mnt/img "$1" "${@:3}" >/mnt/engine.out 2>&1 || fail "nsimg restore --criu: $(cat /mnt/engine.out)"
	nsimg ps >/mnt/engine.ps || fail "nsimg ps"
	nsimg exec "$1" "${pids[0]}" -- true 2>&1 | grep -q 'was restored by CRIU and has its sockets in use' || fail "nsimg exec"
	settled "${pids[@]}"
	look "${pids[@]}" >"$2"
	nsenter --net="/proc/${pids[0]}/ns/net" nft list ruleset >"${2%.txt}.nft"
	answers "${pids[@]}" >"${2%.txt}.answers"
	{
		nsenter --net="/proc/${pids[0]}/ns/net" ip -6 rule
		nsenter --net="/proc/${pids[0]}/ns/net" sed 's/^/tcp_fin_timeout /' /proc/sys/net/ipv4/tcp_fin_timeout
	} >/mnt/engine.more
	nsimg verify >/mnt/engine.verify 2>&1
	# and back
	nsimg rollback >/mnt/engine.rollback 2>&1 || fail "nsimg rollback: $(cat /mnt/engine.rollback)"
	left_nothing
}

# engine_killed DB WHO MOMENT: at a moment of CRIU's restore WHO (nsimg or criu) gets a signal (SIGNAL, default KILL)
do_engine_killed() {
	local signal=${SIGNAL:-KILL} status pids
	read -r -a pids </mnt/pids
	cat >/tmp/killer <<-EOF
	#!/bin/sh
	[ "\$CRTOOLS_SCRIPT_ACTION" = $3 ] || exit 0
	case $2 in
	criu) kill -$signal \$PPID ;;
	nsimg) kill -$signal \$(cut -d' ' -f4 /proc/\$PPID/stat) ;;
	esac
	# CRIU waits for this hook until what the signal brings about has come to it
	for n in \$(seq 1000); do kill -0 \$PPID 2>/dev/null || exit; sleep 0.02; done
	EOF
	chmod +x /tmp/killer
	LD_LIBRARY_PATH=/mnt/lib /mnt/nsimg restore --criu --source /mnt/img "$1" -- --action-script /tmp/killer >/mnt/engine.killed 2>&1
	status=$?
	[ "$status" != 0 ] || fail "restored though $2 got SIG$signal at $3: $(cat /mnt/engine.killed)"
	if [ "$2 $signal" = "nsimg KILL" ]; then
		nsimg rollback >/mnt/engine.rollback 2>&1 || fail "nsimg rollback: $(cat /mnt/engine.rollback)"
	fi
	left_nothing
	# and nothing is in the way of another one
	do_engine_loop "$1" 1
}

# left_nothing: after a rollback: no task of the tree, no pin, no folder of the images, no journal
left_nothing() {
	local pid n left
	for pid in "${pids[@]}"; do
		for n in $(seq 1500); do
			grep -q '^State:.[^Z]' "/proc/$pid/status" 2>/dev/null || continue 2
			sleep 0.02
		done
		fail "task $pid is left: $(grep State "/proc/$pid/status")"
	done
	left=$(find /run/netns /run/nsimg /tmp -mindepth 1 -maxdepth 1 ! -name killer 2>/dev/null)
	[ -z "$left" ] || fail "left: $left"
}

do_engine_loop() {
	local pids n begin=$EPOCHREALTIME
	read -r -a pids </mnt/pids
	for n in $(seq "$2"); do
		nsimg restore --criu --source /mnt/img "$1" >/mnt/engine.out 2>&1 || fail "restore $n: $(cat /mnt/engine.out)"
		ask "${pids[1]}" INET 10.77.0.1 7001 >/dev/null || fail "outer does not answer after restore $n"
		[ "$(ask "${pids[0]}" INET 10.77.0.2 7001)" = "inner link=ok pair=ok" ] || fail "the connection is lost after restore $n"
		nsimg rollback >/mnt/engine.rollback 2>&1 || fail "rollback $n: $(cat /mnt/engine.rollback)"
	done
	left_nothing
	awk -v a="$begin" -v b="$EPOCHREALTIME" -v n="$2" 'BEGIN { printf "%d restores with CRIU as the engine and back: %.2f s each\n", n, (b - a) / n }' >>/mnt/times
}

# A parent in the namespace that CRIU is in, its child in a private one (what PrivateNetwork= of systemd makes): both
# listen at 127.0.0.1:7001, a unix pair goes from one to the other, the parent has a netlink socket that is not bound.
start_private() {
	echo 5000 >/proc/sys/kernel/ns_last_pid
	setsid python3 - >/dev/null 2>/mnt/private.err <<-'PY' &
	import os, socket
	os.closerange(3, 256)
	a, b = socket.socketpair()
	pid = os.fork()
	if not pid:
	    os.unshare(0x40000000)
	    os.system('ip link set lo up')
	nl = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 0)
	s = socket.socket()
	s.bind(('127.0.0.1', 7001))
	s.listen(5)
	if pid and os.environ.get('PRIVATE_TCP'):
	    near = socket.socket()
	    near.bind(('127.0.0.1', 7009))
	    near.connect(('127.0.0.1', 7001))
	    far, _ = s.accept()
	mine = a if pid else b
	null = os.open('/dev/null', os.O_RDWR)
	for n in range(3):
	    os.dup2(null, n)
	os.close(null)
	mine.send(b'ready')
	mine.recv(5)
	if pid:
	    with open('/mnt/pids.new', 'w') as f:
	        f.write('%d %d\n' % (os.getpid(), pid))
	    os.rename('/mnt/pids.new', '/mnt/pids')
	while True:
	    c, _ = s.accept()
	    mine.send(b'hello')
	    c.send(b'parent\n' if pid else b'child\n')
	    c.close()
	PY
	for _ in $(seq 600); do [ -s /mnt/pids ] && break; sleep 0.05; done
	[ -s /mnt/pids ] || fail "the private tree did not start: $(cat /mnt/private.err)"
}

do_dump_private() {
	local pids
	export PRIVATE_TCP=1
	start_private
	read -r -a pids </mnt/pids
	mkdir -p "$1"
	criu_does dump "$1" -t "${pids[0]}" --network-lock skip
}

# alone_private FOLDER NETNS KEY: CRIU alone, given its own namespace as "host" and a new one (named NETNS) as KEY
do_alone_private() {
	local pids
	read -r -a pids </mnt/pids
	ip netns add "$2" && ip -n "$2" link set lo up
	criu_does restore "$1" -d --inherit-fd 'fd[11]:host' --inherit-fd "fd[12]:$3" 11</proc/self/ns/net 12<"/run/netns/$2"
	echo "parent: $(ask "$$" INET 127.0.0.1 7001), child: $(ip netns exec "$2" bash -c "$(declare -f ask); ask \$\$ INET 127.0.0.1 7001")"
}

do_engine_private() {
	local pids
	read -r -a pids </mnt/pids
	# CRIU writes no image of either namespace: both are given, the private one as systemd makes it
	ip netns add private && ip -n private link set lo up
	ip netns exec private python3 -c 'import socket, time; s = socket.create_server(("127.0.0.1", 7001)); time.sleep(300)' &
	for _ in $(seq 300); do ip netns exec private ss -Htln | grep -q 7001 && break; sleep 0.1; done
	nsimg restore --criu --dry-run --source /mnt/img "$1" "${@:2}" >/mnt/engine.taken 2>&1
	kill $! && wait $!
	# shellcheck disable=SC2016 # for the shell that CRIU starts
	printf '#!/bin/sh\n[ $CRTOOLS_SCRIPT_ACTION = post-restore ] || exit 0\nkill -9 $PPID\nsleep 0.2\n' >/tmp/killer
	chmod +x /tmp/killer
	nsimg restore --criu --source /mnt/img "$1" "${@:2}" -- --action-script /tmp/killer >/mnt/engine.killed 2>&1 && fail "killed, and restored"
	ip netns pids private | grep . && fail "left in the private namespace"
	# what CRIU's dump leaves for the connection on its machine, and a rule of somebody else
	iptables -A INPUT -p tcp -m mark ! --mark 0xC114 --source 127.0.0.1 --sport 7009 --destination 127.0.0.1 --dport 7001 -j DROP
	iptables -A OUTPUT -p tcp -m mark ! --mark 0xC114 --source 127.0.0.1 --sport 7001 --destination 127.0.0.1 --dport 7009 -j DROP
	iptables -A INPUT -p tcp -m mark ! --mark 0xC114 --source 127.0.0.1 --sport 7010 --destination 127.0.0.1 --dport 7001 -j DROP
	nsimg restore --criu --source /mnt/img "$1" "${@:2}" >/mnt/engine.out 2>&1 || fail "$(cat /mnt/engine.out)"
	iptables-save | grep -e '-j DROP'
	nft flush ruleset
	echo "parent: $(ask "${pids[0]}" INET 127.0.0.1 7001), child: $(ask "${pids[1]}" INET 127.0.0.1 7001)"
	[ "$(readlink "/proc/${pids[0]}/ns/net")" = "$(readlink /proc/self/ns/net)" ] && echo "the parent is in ours"
	[ "$(readlink "/proc/${pids[1]}/ns/net")" = "$(readlink /proc/self/ns/net)" ] || echo "the child is not"
	# where a netlink socket is that is not bound, only its descriptor tells: nsimg asks that
	nsimg dump --pid "${pids[0]}" -o /tmp/look.db >/dev/null 2>&1 || fail "nsimg dump"
	echo "netlink sockets where their task is: $(nsimg sql --no-header /tmp/look.db \
		"SELECT count(*) FROM socket s, task t, fd f WHERE s.family = 16 AND f.file_id = s.file_id AND
		f.files_id = t.files_id AND s.netns = t.netns" | tr -d ' ')"
	rm /tmp/look.db
	nft list ruleset
	nsimg rollback >/mnt/engine.rollback 2>&1 || fail "nsimg rollback: $(cat /mnt/engine.rollback)"
	ip netns delete private
	left_nothing
}

# odd_look PID: all of the task that odd.py is and of its namespace, without what counts
odd_look() {
	local enter="nsenter --net=/proc/$1/ns/net"
	settled "$1"
	python3 /mnt/odd.py look "$1"
	$enter sed "s/ [0-9]*:[0-9A-F]*.*//" /proc/net/igmp
	$enter sort /proc/net/igmp6 /proc/net/mcfilter
	$enter ip -o -d link | grep -o '^[^ ]* [^ ]* <[^>]*>\|tun type.* persist o[nf]*'
	$enter ip -4 route show table all
	# whether the kernel makes the one of ff00::/8 hangs on the order in which devices went up
	$enter ip -6 route show table all | grep -v '^multicast ff00' | sort
}

# do_odd_dump FOLDER: odd.py, looked at, dumped by nsimg with CRIU as the engine
do_odd_dump() {
	local pid
	echo 5000 >/proc/sys/kernel/ns_last_pid
	python3 /mnt/odd.py start /mnt/pids 2>/mnt/odd.err
	for _ in $(seq 600); do [ -s /mnt/pids ] && break; sleep 0.05; done
	[ -s /mnt/pids ] || fail "odd.py does not start: $(cat /mnt/odd.err)"
	read -r pid </mnt/pids
	odd_look "$pid" >/mnt/odd.before
	python3 /mnt/odd.py ask "$pid" >/mnt/odd.answer.before
	nsimg dump --criu --pid "$pid" -o "$1" >/mnt/odd.out 2>&1 || fail "nsimg dump --criu: $(cat /mnt/odd.out)"
}

do_odd_engine() {
	local pids
	read -r -a pids </mnt/pids
	nsimg restore --criu --source /mnt/img "$1" "${@:2}" >/mnt/engine.out 2>&1 || fail "$(cat /mnt/engine.out)"
	odd_look "${pids[0]}" >/mnt/odd.after
	nsenter --net="/proc/${pids[0]}/ns/net" sed 's/^/ip_nonlocal_bind /' /proc/sys/net/ipv4/ip_nonlocal_bind >/mnt/odd.sysctl
	python3 /mnt/odd.py ask "${pids[0]}" >/mnt/odd.answer
	nsimg rollback >/mnt/engine.rollback 2>&1 || fail "nsimg rollback: $(cat /mnt/engine.rollback)"
	left_nothing
}

# copy_begin N NET4 NET6: the namespaces of one of two trees, joined through the bridge in "hub" instead of directly; the other
# has addresses of its own. Devices have the indexes that they had.
copy_begin() {
	local n=$1 side index
	for side in outer inner; do
		index=$(sed -n "/^== $side/,/^== /s/^\([0-9]*\): \(left\|right\)@.*/\1 \2/p" /mnt/before.txt | head -n 1)
		ip netns add "$side$n"
		ip -n "$side$n" link set lo up
		ip link add "${index#* }" netns "$side$n" index "${index% *}" type veth peer name "$side$n" netns hub
		ip -n hub link set "$side$n" master br0 up
		ip netns exec "$side$n" nft 'table inet lock {
			chain in { type filter hook input priority -300; policy drop; meta mark 0xC114 accept; }
			chain out { type filter hook output priority -300; policy drop; meta mark 0xC114 accept; }
		}'
	done
	address_copy "outer$n" left "$2.1" "$3::1"
	address_copy "inner$n" right "$2.2" "$3::2"
}

address_copy() {
	ip -n "$1" address add "$3/24" dev "$2" || fail "address of $1"
	ip -n "$1" address add "$4/64" dev "$2" nodad || fail "IPv6 address of $1"
	ip -n "$1" link set "$2" up || fail "device of $1"
}

# copy_restore N FOLDER: by CRIU, in namespaces of processes and mounts of its own: both have the same pids and paths
copy_restore() {
	exec 11<"/run/netns/outer$1" 12<"/run/netns/inner$1"
	# shellcheck disable=SC2016 # for the shell inside
	unshare --pid --mount --fork --kill-child bash -c '
		mount -t proc proc /proc && mount -t tmpfs tmp /tmp || exit 1
		criu restore -D "$2" -o "/mnt/copy-$1.log" -v4 --tcp-established -d --inherit-fd "fd[11]:outer" \
			--inherit-fd "fd[12]:inner" >"/mnt/copy-$1.out" 2>&1 || { echo failed >"/mnt/copy-$1.done"; exit 1; }
		echo restored >"/mnt/copy-$1.done"
		sleep 600' copy "$1" "$2" &
	exec 11<&- 12<&-
	for _ in $(seq 200); do [ -s "/mnt/copy-$1.done" ] && break; sleep 0.1; done
	[ "$(cat "/mnt/copy-$1.done")" = restored ] || fail "copy $1: $(grep Error "/mnt/copy-$1.log" | tail -n 5) $(cat "/mnt/copy-$1.out")"
}

# asked FROM ADDRESS: the TCP listener there, from a named namespace
asked() {
	ip netns exec "$1" python3 - "$2" <<-'PY'
	import socket, sys
	s = socket.create_connection((sys.argv[1], 7001), 30)
	print(sys.argv[1], s.makefile().readline().strip())
	PY
}

reach() { ip -n "$1" route add "$3" dev "$2" || fail "route of $1"; }

do_side_by_side() {
	local n
	ip netns add hub
	ip -n hub link add br0 type bridge
	ip -n hub link set br0 up
	copy_begin 1 10.77.0 fd77
	copy_begin 2 10.88.5 fd88
	copy_restore 1 "$1"
	copy_restore 2 "$2"
	for n in outer1 inner1 outer2 inner2; do
		ip netns exec "$n" nft delete table inet lock || fail "unlock $n"
	done
	# they stand on one bridge: each is found at its own address from the namespaces of the other
	reach outer2 left 10.77.0.0/24
	reach inner1 right 10.88.5.0/24
	reach outer1 left 10.88.5.0/24
	reach inner2 right 10.77.0.0/24
	for n in 10.77.0.1 10.77.0.2; do asked outer2 $n; done
	for n in 10.88.5.1 10.88.5.2; do asked inner1 $n; done
	for n in outer1 inner1 outer2 inner2; do
		ip netns exec $n ss -Htuna | grep -v TIME-WAIT | awk '{ $3 = ""; print }' | sort >"/mnt/copy-$n.txt"
	done
}

# crit's own main, once a file: starting Python for each would be most of the time
do_crit() {
	mkdir -p "$2"
	python3 - "$1" "$2" <<-'PY'
	import glob, os, re, sys
	from crit.__main__ import main
	source, target = sys.argv[1:]
	for path in sorted(glob.glob(source + '/*.img')):
	    name = os.path.basename(path)[:-4]
	    # nsimg's own files, and the raw output of other tools, which crit does not know
	    if name.startswith('nsimg') or re.match(r'(ifaddr|route6?|rule|ip6?tables|nftables|netns-ct|netns-exp|pages)-', name):
	        continue
	    sys.argv = ['crit', 'decode', '-i', path, '-o', '%s/%s.json' % (target, name)]
	    try:
	        main()
	    except BaseException as e:
	        sys.exit('crit decode %s: %s' % (name, e))
	PY
}

what=$1
shift
"do_$what" "$@"
