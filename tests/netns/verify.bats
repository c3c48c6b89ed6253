#!/usr/bin/env bats
# What verify must not report, because it is as it should be; and where a dump says it comes from.

load scene

# names: name and source of the images of a database
names() { "$NSIMG" images "$1" --json | jq -r '.[] | .name + " <- " + .source'; }

@test "verify: pins, also several of one namespace, come back, and under a prefix or in another folder stand for those of the image" {
	body() {
		ip netns add one
		ip netns add two
		mkdir /run/other
		for further in /run/netns/one-more /run/other/one; do
			touch $further
			mount --bind /run/netns/one $further
		done
		"$NSIMG" dump --netns one --netns two -o a.db
		ip netns del one-more
		umount /run/other/one
		ip netns del one
		ip netns del two
		for options in "" "--prefix x-" "--pin-dir $PWD/pins" "--pin-dir $PWD/pins --prefix y."; do
			# shellcheck disable=SC2086
			"$NSIMG" restore a.db $options | tee restore.out
			grep "^left out: /run/other/one: a name of namespace one" restore.out
			"$NSIMG" verify
			# both names under /run/netns, one namespace
			[ "$(grep -E '/(x-|y\.)?one(-more)?$' restore.out | xargs stat -c %i | uniq -c | awk '{print $1}')" = 2 ]
			# but a change is a difference all the same
			nsenter --net="$(mount | awk '$1 == "nsfs" && /one/ {print $3; exit}')" ip link set lo mtu 1234
			! "$NSIMG" verify >verify.out || return 1
			grep -q "mtu" verify.out && grep -q "^a: 1 difference" verify.out
			"$NSIMG" rollback a
		done
		# in their folders, too; one that is taken, and a folder that nobody has
		touch /run/other/one
		! "$NSIMG" restore a.db --all-pins --dry-run >dry.out || return 1
		grep "^/run/other/one exists: remove it" dry.out
		rm -r /run/other
		for options in "" "--prefix x-"; do
			# shellcheck disable=SC2086
			"$NSIMG" restore a.db --all-pins $options | tee restore.out
			! grep "^left out" restore.out || return 1
			path=$(grep "^  /run/other/" restore.out)
			[ "$(stat -c %i $path)" = "$(stat -c %i $(grep -E "^  /run/netns/(x-)?one$" restore.out))" ]
			"$NSIMG" verify
			umount $path
			! "$NSIMG" verify >verify.out || return 1
			grep -q "pins" verify.out && grep -q "^a: 1 difference" verify.out
			"$NSIMG" rollback a
			[ ! -e /run/other ]
		done
	}
	inside body
}

@test "verify: a dump taken during duplicate address detection is no difference when it has ended" {
	body() {
		ip netns add one
		ip netns add two
		ip link add e0 netns one address 02:00:00:00:00:01 type veth peer name e1 netns two address 02:00:00:00:00:02
		# so long that the dump comes before its end, also on a busy machine; the second address is a router's
		nsenter --net=/run/netns/one sysctl -qw net.ipv6.conf.e0.dad_transmits=60 net.ipv6.conf.e0.forwarding=1
		ip -n one link set e0 up
		ip -n two link set e1 up
		for _ in $(seq 600); do ip -n one -o link show e0 | grep "state UP" && break; sleep 0.05; done
		ip -n one addr add fd00:1::1/64 dev e0
		"$NSIMG" dump --netns one --netns two -o a.db
		[ "$(sqlite3 a.db "SELECT count(*) FROM address WHERE address = 'fd00:1::1' AND flags & 0x40")" = 1 ]
		# and it ends at once where it is restored: before the restore looks for routes that the image does not have
		sqlite3 a.db "UPDATE sysctl SET value = '0' WHERE name = 'net/ipv6/conf/e0/dad_transmits'"
		ip netns del one
		ip netns del two
		"$NSIMG" restore a.db
		"$NSIMG" verify
		"$SETTLE" /run/netns/one /run/netns/two
		ip -n one -6 route show table local | grep "local fd00:1::1"
		"$NSIMG" verify
		# a local route that no such address explains is one
		ip -n one -6 route add local fd00:9::9 dev e0
		! "$NSIMG" verify >verify.out || return 1
		grep -q "+ route fd00:9::9" verify.out && grep -q "^a: 1 difference" verify.out
	}
	inside body
}

@test "a dump into a database says what it was, not where its files were for a moment" {
	body() {
		ip netns add one
		"$NSIMG" dump --netns one -o a.db
		names a.db | grep -x -- "--netns one <- nsimg dump --netns one"
		! strings a.db | grep -F "$PWD" || return 1
	}
	inside body names
}

@test "verify: routes of one prefix and metric come back in their order, and another order is a difference" {
	body() {
		local table
		ip netns add one
		for d in d0 d1; do
			ip link add $d netns one type veth peer name p$d netns one
			ip -n one link set p$d up
		done
		# the first device and the last address make the route that is taken, of both families
		for d in d1 d0; do
			ip -n one link set $d up
			ip -n one addr add 10.0.0.1${d#d}/24 dev $d
			ip -n one addr add 10.3.0.1/32 dev $d
			ip -n one addr add fd00::${d#d}1/64 dev $d nodad
		done
		ip -n one route append 10.7.0.0/24 dev d1
		ip -n one route append 10.7.0.0/24 via 10.0.0.9 dev d0
		gets() {
			for to in 10.0.0.9 10.0.0.255 10.7.0.1 fd00::9 ff05::9; do
				ip -n one -o route get $to | sed 's/ *uid.*//'
			done
			# not the routes of metric 0, which come when duplicate address detection ends
			for table in main local; do
				ip -n one route show table $table
				ip -n one -6 route show table $table | grep -v "metric 0"
			done
		}
		"$SETTLE" /run/netns/one
		gets >before
		grep -q "^10.0.0.9 dev d1 " before
		grep -q "^fd00::9 .*dev d1 " before
		"$NSIMG" dump --netns one -o a.db
		ip netns del one
		"$NSIMG" restore a.db
		gets >after
		diff before after
		"$NSIMG" verify
		ip -n one route del 10.7.0.0/24 dev d1
		ip -n one route append 10.7.0.0/24 dev d1
		! "$NSIMG" verify >verify.out || return 1
		grep -q "~ route 10.7.0.0/24: order dev d1, via 10.0.0.9 dev d0 -> via 10.0.0.9 dev d0, dev d1" verify.out
		grep -q "^a: 1 difference" verify.out
	}
	inside body
}

@test "diff: an image with what runs now, without changing it" {
	body() {
		scene <<-'END'
		ns web
		run web ip link set lo up
		sock s ns=web family=inet type=stream bind=127.0.0.1:80 listen=7
		task one ns=web
		give s one 3
		END
		"$NSIMG" dump --pid $pid_one -o a.db
		"$NSIMG" diff a.db --live "pid:$pid_one"
		sha256sum a.db >sum
		nsenter --target "$pid_one" --net ip addr add 10.9.9.9/32 dev lo
		! "$NSIMG" diff a.db --live "pid:$pid_one" --json >live.json || return 1
		[ "$(jq -r '.[] | select(.table == "address") | .kind + " " + .object' live.json)" = "added address 10.9.9.9/32 dev lo" ]
		[ "$(jq '[.[] | select(.table != "address" and .table != "route")] | length' live.json)" = 0 ]
		sha256sum --check sum && kill -0 "$pid_one"
		grep -q "State:.S" "/proc/$pid_one/status"
		! "$NSIMG" diff a.db --live "process:$pid_one" 2>said || return 1
		grep -q "it is pid:PID, netns:NAME" said
		! "$NSIMG" diff a.db 2>said || return 1
		grep -q "Give a second DB\[@ID\], or --live" said
	}
	inside body
}

@test "verify: an anycast address that a socket joined is left out by name, and is no difference" {
	body() {
		ip netns add one
		ip link add e0 netns one type veth peer name e1 netns one
		ip -n one link set e0 up
		ip -n one addr add fd00::1/64 dev e0 nodad
		# IPV6_JOIN_ANYCAST is 27 (linux/in6.h)
		coproc JOINED { exec nsenter --net=/run/netns/one python3 -c 'if 1:
			import socket, struct
			s = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
			s.setsockopt(socket.IPPROTO_IPV6, 27, socket.inet_pton(socket.AF_INET6, "fd00::77") +
				struct.pack("i", socket.if_nametoindex("e0")))
			print("joined", flush=True)
			input()'; }
		joined=$JOINED_PID
		read -r _ <&"${JOINED[0]}"
		ip -n one -6 route show table local | grep "anycast fd00::77"
		"$NSIMG" dump --netns one -o a.db
		kill "$joined"
		ip netns del one
		"$NSIMG" restore a.db --no-tasks | tee restore.out
		grep "^left out: route one anycast fd00::77 .*a socket joined this anycast address" restore.out
		"$NSIMG" verify | grep -v "task" >verify.out || true
		! grep "fd00::77" verify.out || return 1
	}
	inside body
}

@test "vxlan devices that send in another namespace, of the image or outside; a --netns that means two namespaces" {
	body() {
		ip netns add one
		ip netns add host
		ip -n one link add e1 type veth peer name e2
		ip link add lower type veth peer name lowerp
		ip link set lower up
		ip -n one link add vx0 type vxlan id 7 dev e1 dstport 4789 remote 10.0.0.1
		ip -n one link add vx1 type vxlan id 8 dstport 4789 remote 10.0.0.2
		ip link add vx2 type vxlan id 9 dstport 4789 remote 10.0.0.3 dev lower
		for d in vx0 vx1; do ip -n one link set $d netns host; done
		ip link set vx2 netns host
		for d in vx0 vx1 vx2; do ip -n host link set $d up; done
		"$SETTLE" /run/netns/one /run/netns/host
		sends() { ip -n host -d -o link show type vxlan | grep -o "vx.*@[^ ]* \|vxlan id.*ageing"; bridge -n host fdb show; }
		sends | tee before
		"$NSIMG" dump --netns one --netns host -o a.db
		! "$NSIMG" restore a.db --netns host=/proc/self/ns/net 2>err || return 1
		grep -q "host=/proc/self/ns/net: means two namespaces of the image" err
		ip netns del one
		ip netns del host
		# the kernel takes namespaces down later, and with them the device that had this number here
		for _ in $(seq 600); do
			ip link add probe type vxlan id 9 dstport 4789 dev lower 2>/dev/null && break
			sleep 0.05
		done
		ip link del probe
		"$NSIMG" restore a.db --veth vx2=lower
		"$SETTLE" /run/netns/one /run/netns/host
		sends | diff before -
		"$NSIMG" verify
	}
	inside body
}

@test "what only the kernel sets of generated IPv6 addresses is named as left out" {
	body() {
		ip netns add one
		ip -n one link add e0 type veth peer name e1
		nsenter --net=/run/netns/one sysctl -qw net.ipv6.conf.all.addr_gen_mode=3 net.ipv6.conf.e0.accept_dad=0 net.ipv6.conf.e1.accept_dad=0
		ip -n one link set e0 up
		ip -n one link set e1 up
		for _ in $(seq 100); do
			[ "$(ip -n one -6 -o addr show -tentative | grep -c stable-privacy)" = 2 ] && break
			sleep 0.1
		done
		"$NSIMG" dump --netns one -o a.db
		ip netns del one
		"$NSIMG" restore a.db | tee restore.out
		[ "$(grep -c "^left out: address one inet6 fe80::.* dev e[01]: its flag stable-privacy" restore.out)" = 2 ]
		grep "^left out: net/ipv6/conf/all/addr_gen_mode: 3 (random)" restore.out
		! "$NSIMG" verify >verify.out || return 1
		cat verify.out
		grep "~ sysctl net/ipv6/conf/all/addr_gen_mode: value 3 -> 0" verify.out
		# no restore can give the flag
		grep "^a: 1 difference " verify.out
	}
	inside body
}

@test "entries of lists of recent addresses are named as not kept" {
	body() {
		ip netns add one
		for list in used empty; do
			ip netns exec one iptables-legacy -A INPUT -m recent --name $list --set --rsource -j ACCEPT || skip "no -m recent"
		done
		ip netns exec one sh -c "echo +1.2.3.4 >/proc/net/xt_recent/used"
		"$NSIMG" dump --netns one -o a.db | tee dump.out
		grep -q "entries of the list used (iptables -m recent) are not kept" dump.out
		[ "$(grep -c "recent" dump.out)" = 1 ]
	}
	inside body
}

@test "verify: an address that was edited alone takes along the kernel's routes, in their order" {
	body() {
		ip netns add one
		ip -n one link add e0 type veth peer name p0
		ip -n one link add e1 type veth peer name p1
		for device in e0 p0 e1 p1; do ip -n one link set $device up; done
		# routes of one network over two devices: the first is the one that is used
		ip -n one addr add 10.1.0.1/24 brd + dev e0
		ip -n one addr add 10.1.0.2/24 brd + dev e1
		ip -n one addr add 10.1.0.3/24 brd + dev e0
		ip -n one addr add 10.2.0.1/24 brd + dev p0
		ip -n one addr add 10.3.0.1/24 dev p1
		ip -n one addr add fd00:1::1/64 dev e0 nodad
		ip -n one addr add fd00:1::2/64 dev e1 nodad
		"$SETTLE" /run/netns/one
		"$NSIMG" dump --netns one -o asis.db
		ip netns del one
		# statement, and what ip then says of an address in one of the networks
		while read -r statement; read -r destination said; do
			cp asis.db a.db
			sqlite3 a.db "$statement"
			"$NSIMG" restore a.db
			ip -n one route get "$destination" | tee get.out
			[[ $(head -n 1 get.out) == *"$said "* ]]
			"$NSIMG" verify
			"$NSIMG" rollback
		done <<-'END'
		UPDATE address SET address = '10.1.0.44' WHERE address = '10.1.0.1'
		10.1.0.9 dev e0 src 10.1.0.44
		UPDATE address SET address = '10.1.0.44' WHERE address = '10.1.0.3'
		10.1.0.9 dev e0 src 10.1.0.1
		UPDATE address SET address = '10.4.0.1', broadcast = '10.4.0.255' WHERE address = '10.2.0.1'
		10.4.0.9 dev p0 src 10.4.0.1
		UPDATE address SET address = '10.4.0.1' WHERE address = '10.3.0.1'
		10.4.0.9 dev p1 src 10.4.0.1
		UPDATE address SET prefixlen = 16, address = '10.4.0.1' WHERE address = '10.3.0.1'
		10.4.4.9 dev p1 src 10.4.0.1
		UPDATE address SET address = 'fd00:1::44' WHERE address = 'fd00:1::1'
		fd00:1::9 dev e0 proto kernel src fd00:1::44
		UPDATE address SET address = 'fd00:4::1' WHERE address = 'fd00:1::2'
		fd00:4::9 dev e1 proto kernel src fd00:4::1
		UPDATE address SET address = '10.4.0.1', broadcast = '10.4.0.255' WHERE address = '10.1.0.1'
		10.4.0.9 dev e0 src 10.4.0.1
		DELETE FROM address WHERE address = '10.1.0.1'
		10.1.0.9 dev e0 src 10.1.0.3
		END
	}
	inside body
}
