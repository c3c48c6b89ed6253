#!/usr/bin/env bats
# Sockets in states that nobody reaches by asking for them: the device is gone, the option that it took is cleared, the
# other end is closed. Each comes back as it was, or is named.

load scene

export PY=/usr/bin/python3

# odd CASE...: a process with these sockets in a namespace of its own, dumped into case.db and gone; before: what they were
odd() {
	coproc MAKER { exec unshare -n sh -c 'ip link set lo up; exec '$PY' "$@"' sh "$HERE/odd_sockets.py" make "$@"; }
	read -r _ maker <&"${MAKER[0]}"
	"$NSIMG" dump --pid "$maker" -o case.db >dump.out 2>&1
	$PY "$HERE/odd_sockets.py" look "$maker" >before
	kill "$maker"
	wait "$MAKER_PID" || true
}

# again: restored, no difference to verify, and none that the kernel tells
again() {
	"$NSIMG" restore case.db >restore.out 2>&1 || { cat restore.out; false; }
	"$NSIMG" verify
	"$NSIMG" exec case python3 -- $PY "$HERE/odd_sockets.py" look >after
	diff before after
	"$NSIMG" exec case python3 -- ip -o link >links
	! grep nsimg links
}

@test "bound to a device that is gone: packet sockets have none, others are not open on all devices" {
	body() {
		odd packet_gone device_gone
		cat before
		[ "$(grep -c 'if4294967295' before)" = 2 ]
		[ "$(grep -c '%if[0-9]' before)" = 4 ]
		"$NSIMG" sockets case.db >list
		[ "$(grep -c '%if[0-9]' list)" = 5 ] # the raw one too
		"$NSIMG" check case.db --errors
		again
		! grep -q "left out" restore.out
		"$NSIMG" rollback
		# another device has that index now: then there is no such socket, and the restore says so
		sqlite3 case.db "UPDATE socket SET options = json_set(options, '$.SO_BINDTOIFINDEX', 1) WHERE options ->> 'SO_BINDTOIFINDEX'"
		"$NSIMG" restore case.db >restore.out 2>&1
		cat restore.out
		[ "$(grep -c "left out: it was bound to device index 1, .*another device has" restore.out)" = 5 ]
		[ -z "$("$NSIMG" exec case python3 -- ss -Hltun)" ]
	}
	inside body odd again
}

@test "options cleared after bind and listen, raw sockets connected to port 0, IP_ROUTER_ALERT, a backlog above somaxconn" {
	body() {
		odd reuse_gone raw_connected router_alert backlog no_header
		cat before
		[ "$(grep -c 'LISTEN 0 7 .*REUSEPORT 0' before)" = 5 ]
		[ "$(grep -c 'raw.* 01 ' before)" = 2 ]
		grep -q "LISTEN 0 300 .*:6401" before
		grep -q "LISTEN 0 4400 @odd-backlog" before
		grep -q "router alert 1" before
		grep -q "IPV6_ROUTER_ALERT is set" dump.out
		again
		[ "$("$NSIMG" exec case python3 -- sysctl -n net.core.somaxconn)" = 100 ]
	}
	inside body odd again
}

@test "connected where no way leads any more; data that is held back is named" {
	body() {
		odd route_gone corked lost
		cat before dump.out
		[ "$(grep -c 'unsent data' dump.out)" = 2 ]
		grep -q "ESTAB .*10.78.0.255:6504.*BROADCAST 0" before
		grep -q "::1.:6505 .*v6only 0" before
		# bind(2) to an address that is gone makes a socket v6only
		sed -i "/fd77::9.:6501/s/v6only 0/v6only 1/" before
		if ip sr tunsrc show; then grep -q "the source address of segment routing" dump.out; fi
		if ip ioam namespace show; then [ "$(grep -c "of IOAM .*not kept" dump.out)" = 2 ]; fi
		# what was held back is gone
		sed -i "s/ESTAB 0 [0-9]*/ESTAB 0 0/" before
		again
		grep -q "10.77.0.1:[0-9]*: connected, but" restore.out
	}
	inside body odd again
}

@test "the sockets of a SO_REUSEPORT group have the numbers that they had; the other end of a datagram socket is closed" {
	body() {
		odd group half_pair
		sqlite3 case.db "SELECT bind_order FROM inet_socket ORDER BY socket" | paste -sd' '
		grep -q "36 u_dgr ESTAB" before
		grep -q "39 u_dgr ESTAB .*peer b'.x00odd-half'" before
		again
		"$NSIMG" exec case python3 -- $PY "$HERE/odd_sockets.py" numbers >numbers
		cat numbers
		for first in 20 24 28 32; do
			grep -q " 0 is $((first + 2))$" numbers
			grep -q " 1 is $first$" numbers
			grep -q " 2 is $((first + 3))$" numbers
			grep -q " 3 is $((first + 1))$" numbers
		done
	}
	inside body odd again
}

@test "verify: memberships of a packet socket and keys of a listener have no order" {
	body() {
		odd many
		again
		sqlite3 case.db "UPDATE packet_socket SET mclist = (SELECT json_group_array(json(value)) FROM (SELECT value FROM json_each(mclist) ORDER BY key DESC));
			UPDATE socket SET options = json_set(options, '$.TCP_MD5SIG', options ->> 'TCP_MD5SIG#2', '$.TCP_MD5SIG#2', options ->> 'TCP_MD5SIG') WHERE options ->> 'TCP_MD5SIG' <> ''"
		"$NSIMG" verify
		sqlite3 case.db "UPDATE socket SET options = json_remove(options, '$.TCP_MD5SIG#2') WHERE options ->> 'TCP_MD5SIG' <> ''"
		! "$NSIMG" verify >verify.out || return 1
		grep -q "TCP_MD5SIG" verify.out
		grep -q "^case: 1 difference" verify.out
	}
	inside body odd again
}

@test "unix sockets whose files were renamed, and one whose path fills its address" {
	body() {
		odd files
		ls -l /run/odd
		[ "$(grep -c "its file has 1 more name (hard link" dump.out)" = 2 ]
		again
		[ "$(ls /run/odd | grep -cv nsimg-case)" = 11 ]
		"$NSIMG" exec case python3 -- $PY "$HERE/odd_sockets.py" reached >reached
		cat reached
		printf '%s\n' "the peer of 24 is 23 b'x'" "a is 21" "b is 20" "before is 27" "d is 23" "p is 30" "q is 28" "r is 29" "relative is 22" "yyyyyyyyyy is 26" | diff - reached
		"$NSIMG" rollback
		[ "$(ls /run/odd | wc -l)" = 11 ]
		mkdir root
		"$NSIMG" restore case.db --root "$PWD/root"
		(cd root/run/odd && [ -S b ] && [ -S relative ] && [ ! -e relative.tmp ])
	}
	inside body odd again
}

@test "options that more families have than use them; netlink without a port id, with the kernel, of audit; UDP without a port" {
	body() {
		odd others
		cat before
		again
		grep -q 'fanout(id:0' after
		[ "$(grep -c "the program that chooses in its fanout group" dump.out)" = 1 ]
		grep -q "fd79::1.*::ffff:127.0.0.1" after
		[ "$(grep -c "peer ('fd79::1', 6802, \(74565\|179306496\), 0)" after)" = 2 ]
		"$NSIMG" exec case python3 -- cat /proc/net/ip6_flowlabel | grep -q "^12345 .* 60 .*fd790000000000000000000000000001"
	}
	inside body odd again
}

@test "a renamed loopback device, descriptors of other namespaces, multicast routers: kept, or named" {
	body() {
		# MRT_INIT, and one interface (struct vifctl)
		cat >router.py <<-'END'
		import os, signal, socket, struct
		s = socket.socket(socket.AF_INET, socket.SOCK_RAW, 2)
		s.setsockopt(0, 200, 1)
		s.setsockopt(0, 202, struct.pack('HBBIii', 0, 8, 1, 0, 1, 0))
		os.open('/proc/self/ns/mnt', os.O_RDONLY)
		print('ready', flush=True)
		signal.pause()
		END
		coproc ROUTER { exec unshare -n sh -c 'ip link set lo name loop; ip link set loop up; exec '$PY' router.py'; }
		read -r _ <&"${ROUTER[0]}"
		"$NSIMG" dump --pid $ROUTER_PID -o case.db >dump.out 2>&1
		cat dump.out
		grep -q "fd [0-9].*descriptor of a mnt namespace is not kept" dump.out
		grep -q "without MRT_INIT" dump.out
		kill $ROUTER_PID
		"$NSIMG" plan case.db --format ip | grep "link set dev lo name loop"
		"$NSIMG" restore case.db
		"$NSIMG" exec case python3 -- ip -o link show dev loop
		"$NSIMG" verify >verify.out || true # the multicast router alone is missing
		cat verify.out
		! grep -v "allmulti\|^netns\|^case" verify.out || return 1
	}
	inside body
}

@test "ping sockets of a group that the range of the namespace lacks now; the range is what it was" {
	body() {
		odd pings
		[ "$(wc -l <before)" = 2 ]
		again
		[ "$("$NSIMG" exec case python3 -- sysctl -n net.ipv4.ping_group_range)" = $'1000\t2000' ]
	}
	inside body odd again
}

@test "a unix socket whose relative name leads upwards has its file where it was, and no other" {
	body() {
		odd upward
		rm -r /run/odd && mkdir -p /run/odd
		"$NSIMG" restore case.db >restore.out 2>&1 || { cat restore.out; false; }
		grep -q "up.sock.*: its name, relative to a folder that is not known: it is bound by the path of its file" restore.out
		[ -S /run/odd/up.sock ] && [ ! -e /up.sock ]
		python3 -c 'import socket; socket.socket(socket.AF_UNIX).connect("/run/odd/up.sock")'
		"$NSIMG" rollback
		[ ! -e /run/odd/up.sock ]
	}
	inside body odd
}

@test "queues and log groups of netfilter, which the kernel does not tell whole, are named" {
	body() {
		odd netfilter
		cat dump.out
		grep -q "netfilter queue 5 of the netlink socket with port id [0-9]* is not kept" dump.out
		grep -q "netfilter log group 7 of the netlink socket with port id [0-9]* is not kept" dump.out
		again
	}
	inside body odd again
}

@test "memberships, options, a fast open queue that the namespace would not let them have any more; raw sockets of before and after bindv6only" {
	body() {
		odd lowered
		[ "$(grep -c "v6only 1" before)" = 1 ]
		again
		! grep "not taken\|left out" restore.out
		[ "$("$NSIMG" exec case python3 -- sysctl -n net.ipv4.igmp_max_memberships net.core.optmem_max net.core.somaxconn net.ipv6.bindv6only | xargs)" = "0 100 3 1" ]
	}
	inside body odd again
}

@test "a unix datagram socket connected to one outside (syslog) is connected to whom has that name" {
	body() {
		coproc LOG { exec $PY -c "
import socket
s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
s.bind('/run/odd-log')
print('ready', flush=True)
while True: print(s.recv(99).decode(), flush=True)"; }
		read -r _ <&"${LOG[0]}"
		odd to_outside
		rm -f /run/odd-named
		"$NSIMG" plan case.db | grep "to /run/odd-log, which is outside"
		again
		! grep "left out\|not taken" restore.out
		for fd in 20 21; do
			"$NSIMG" exec case python3 -- $PY -c "import os; os.write($fd, b'hello $fd')"
			read -r line <&"${LOG[0]}"
			[ "$line" = "hello $fd" ]
		done
		"$NSIMG" rollback
		kill "$LOG_PID"
		rm /run/odd-log
		"$NSIMG" restore case.db >restore.out
		grep "not connected: connect to .*: No such file or directory" restore.out
	}
	inside body odd again
}

@test "restore: capabilities that only some sockets need are named before anything is done" {
	body() {
		odd files
		rm -rf /run/odd
		mkdir root
		! setpriv --bounding-set=-sys_chroot --inh-caps=-all "$NSIMG" restore case.db --root "$PWD/root" >out 2>&1 || return 1
		cat out
		grep -qi "cap_sys_chroot" out
		sqlite3 case.db "UPDATE unix_socket SET uid = 7 WHERE name LIKE '%/a%'"
		! setpriv --bounding-set=-fowner,-chown --inh-caps=-all "$NSIMG" restore case.db >out 2>&1 || return 1
		cat out
		grep -qi "cap_fowner" out
		[ ! -e /run/odd ]
	}
	inside body odd
}
