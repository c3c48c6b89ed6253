#!/usr/bin/env bats
# restore --any-ifindex: a device whose index something else has in every new namespace gets another, and with it all
# that names it by index. The one device that every kernel puts there is lo, so the image is made to say that another
# device had its index, wherever it says 777 (by text: no code of ours knows these places here).

load scene

@test "a device with an index that is taken: refused with the reason, or another index in every place" {
	body() {
		scene <<-'END'
		ns a
		ns b
		run b ip link add index 777 name e1 address 02:00:00:00:0c:01 type veth peer name e0 netns %a% address 02:00:00:00:0c:02
		run a ip link set e0 up
		run b ip link set e1 up
		run b ip link add br0 address 02:00:00:00:0c:05 type bridge
		run b ip link add m0 link e1 address 02:00:00:00:0c:03 type macvlan mode bridge
		run b ip link add vx0 address 02:00:00:00:0c:04 type vxlan id 9 remote 10.12.0.1 dev e1 dstport 4789
		run b ip link set vx0 master br0
		run b bridge fdb append 00:00:00:00:00:00 dev vx0 dst 10.12.0.9 via e1
		run a ip address add 10.12.0.1/24 dev e0
		run b ip address add 10.12.0.2/24 dev e1
		run b ip address add 10.12.1.2/24 dev m0
		run b ip link set m0 up
		run b ip address add fd00:c::2/64 dev e1 nodad
		run b ip address add fe80::c/64 dev e1 nodad
		run b ip route add 192.0.2.0/24 nexthop via 10.12.0.1 dev e1 nexthop via 10.12.1.1 dev m0
		run b ip nexthop add id 7 via 10.12.0.1 dev e1
		run b ip route add 198.51.100.0/24 nhid 7
		run b ip rule add iif e1 lookup 100 priority 9
		run b ip neighbour add 10.12.0.77 lladdr 02:00:00:00:77:77 dev e1 nud permanent
		run b tc qdisc add dev m0 ingress
		run b tc filter add dev m0 parent ffff: protocol all prio 5 u32 match u32 0 0 action mirred egress mirror dev e1
		sysctl b net/ipv4/conf/e1/rp_filter=2
		sock dhcp ns=b family=inet type=dgram dev=e1 bind=0.0.0.0:68
		sock mc ns=b family=inet type=dgram bind=0.0.0.0:5353 group=239.1.2.3@e1
		sock mc6 ns=b family=inet6 type=dgram opt=41:26:1 opt=41:17:777 bind=[::]:5353 group=ff02::1234@e1
		sock local ns=b family=inet6 type=dgram opt=41:26:1 bind=[fe80::c%e1]:68
		sock arp ns=b family=packet type=dgram proto=0x806 dev=e1 mc=01:00:5e:00:00:fb
		task one ns=a
		task two ns=b parent=one
		give dhcp two 3
		give mc two 4
		give mc6 two 5
		give local two 6
		give arp two 7
		END
		# without indexes, and without the names that pins give to namespaces
		facts() {
			"$SETTLE" "/proc/$1/ns/net"
			nsenter -t "$1" -n sh -c '
				for d in br0 e1 m0 vx0; do ip -d link show $d | sed "s/^[0-9]*: //"; done
				ip -o address show | sed "s/^[0-9]*: //"
				ip route show table all; ip -6 route show; ip nexthop; ip rule; ip neighbour show nud permanent
				bridge fdb show dev vx0; tc filter show dev m0 parent ffff: | sed "s/ index .*//"
				grep -A1 " e1 " /proc/net/igmp | tail -1; sed "s/^[0-9]* *//" /proc/net/igmp6 /proc/net/dev_mcast
				ss -Hunlp; ss -Hlp -0; cat /proc/sys/net/ipv4/conf/e1/rp_filter' |
				sed 's/_timer  *[0-9.]*//g; s/link-netns[^ ]* [^ ]*//; s/users.*//' | sort
		}
		facts $pid_two >before
		"$NSIMG" dump --pid $pid_one -o a.db
		kill $scene_pid
		wait $scene_pid || true
		sqlite3 a.db "UPDATE device SET ifindex = 50 WHERE name = 'lo' AND netns = (SELECT netns FROM device WHERE name = 'e1');
			UPDATE device SET ifindex = 1, attrs = replace(attrs, '777', '1') WHERE name = 'e1';
			UPDATE device SET attrs = replace(attrs, '777', '1') WHERE kind = 'vxlan';
			UPDATE route SET multipath = replace(multipath, '777', '1');
			UPDATE neighbour SET other = replace(other, '777', '1');
			UPDATE traffic_control SET other = replace(other, '777', '1');
			UPDATE socket SET options = replace(options, '777', '1'), memberships = replace(memberships, '777', '1');
			UPDATE inet_socket SET src_scope = 1 WHERE src_scope = 777;
			UPDATE packet_socket SET ifindex = 1, mclist = replace(mclist, '777', '1') WHERE ifindex = 777"
		! "$NSIMG" restore a.db --dry-run >dry || return 1
		grep -q "e1: interface index 1 is taken by lo, .*give --any-ifindex" dry
		grep -q "lo: interface index 50, but this kernel gives it 1: give --any-ifindex" dry
		fails 2 "exclude each other" "$NSIMG" restore a.db --any-ifindex --criu
		"$NSIMG" restore a.db --any-ifindex >restore.out
		index=$("$NSIMG" exec a two -- ip -j link show e1 | jq ".[0].ifindex")
		grep -q "e1: interface index 1, it is $index$" restore.out
		facts "$("$NSIMG" ps --json | jq '.[] | select(.comm == "two") | .pid')" | diff before -
		# IPV6_MULTICAST_IF
		[ "$("$NSIMG" exec a two -- /usr/bin/python3 -c 'import socket; print(socket.socket(fileno=5).getsockopt(41, 17))')" = "$index" ]
		"$NSIMG" verify
		[ "$(sqlite3 a.db "SELECT ifindex FROM device WHERE name = 'e1'")" = 1 ]
	}
	inside body
}
