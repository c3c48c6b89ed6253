#!/usr/bin/env bats
# nsimg readdress, remac, rename: a scene is dumped, edited in the database, restored, and is then what the kernel
# makes of the same scene with the new addresses or names, by ip, bridge, nft, ss, getsockopt; verify agrees.

setup() {
	cd "$BATS_TEST_DIRNAME/../.." || return 1
	NSIMG=${NSIMG:-$PWD/build/debug/nsimg}
	db=$BATS_TEST_TMPDIR/case.db
}

# mapped SCENE "EDITS" "SED"
mapped() {
	local file=$PWD/tests/scenes/$1.scene
	[ -e "$file" ] || file=$1
	EDITS=$2 EXPECT=$3 run tests/roundtrip.sh "$file"
	echo "$output"
	[ "$status" -ne 77 ] || skip "${lines[-1]}"
	[ "$status" -eq 0 ]
}

@test "the demo: interfaces, routes of all kinds, rules, neighbours, nexthops, tunnels, sockets" {
	mapped demo "readdress 10.10.0.0/24 10.99.5.0/24 fd00:10::/64 fd00:99::/64 10.20.0.0/24 10.21.0.0/24" \
		's/10\.10\.0\./10.99.5./g; s/fd00:10::/fd00:99::/g; s/10\.20\.0\./10.21.0./g'
}

@test "two networks swapped" {
	mapped demo "readdress 10.10.0.0/24 10.20.0.0/24 10.20.0.0/24 10.10.0.0/24" \
		's/10\.10\.0\./10.0x.0./g; s/10\.20\.0\./10.10.0./g; s/10\.0x\.0\./10.20.0./g'
}

@test "sockets of both families, IPv4 on IPv6, sources of memberships" {
	mapped inet "readdress 10.11.0.0/24 10.66.7.0/24 fd00:b::/64 fd00:c::/64" \
		's/10\.11\.0\./10.66.7./g; s/fd00:b::/fd00:c::/g'
}

@test "routes of all types and tables, multipath, nexthop objects, rules of both families" {
	mapped routes "readdress 10.7.0.0/24 10.44.3.0/24 fd00:7::/64 fd00:9::/64 10.80.0.0/16 10.81.0.0/16 10.81.0.0/16 10.80.0.0/16" \
		's/10\.7\.0\./10.44.3./g; s/fd00:7::/fd00:9::/g; s/10\.80\.0\./XX/g; s/10\.81\.0\./10.80.0./g; s/XX/10.81.0./g'
}

@test "neighbours, proxy neighbours, remotes of a vxlan" {
	mapped neighbours "readdress 10.8.0.0/24 10.55.0.0/24 fd00:8::/64 fd00:55::/64" \
		's/10\.8\.0\./10.55.0./g; s/fd00:8::/fd00:55::/g'
}

@test "tracked connections" {
	mapped conntrack "readdress 10.14.0.0/24 10.55.0.0/24 10.0.0.0/24 10.0.7.0/24" 's/10\.14\.0\./10.55.0./g; s/10\.0\.0\./10.0.7./g'
}

@test "addresses with peer, label, metric, lifetimes, on lo" {
	mapped addresses "readdress 10.6.0.0/16 10.77.0.0/16 fd00:6::/32 fd00:66::/32 127.0.0.2 127.0.0.9" \
		's/10\.6\./10.77./g; s/fd00:6:/fd00:66:/g; s/127\.0\.0\.2/127.0.0.9/g'
}

# rules_scene: rulesets with what has addresses in them, as nft and iptables print it
rules_scene() {
	cat >"$BATS_TEST_TMPDIR/rules.scene" <<-'END'
	ns a
	ns b
	run a nft "table inet fw { set s { type ipv4_addr; flags interval; elements = { 10.0.0.1, 10.0.0.8-10.0.0.11, 10.0.0.64/26 }; }; map m { type ipv4_addr : verdict; elements = { 10.0.0.1 : drop, 10.0.0.2 : accept }; }; set c { type ipv4_addr . inet_service; elements = { 10.0.0.3 . 80 }; }; set six { type ipv6_addr; flags interval; elements = { fd00:1::/64 }; }; chain in { type filter hook input priority 0; policy accept; ip saddr @s accept; ip saddr vmap @m; ip saddr . tcp dport @c accept; ip6 saddr @six drop; ip daddr != 10.0.0.0/24 ip saddr 10.0.0.5 counter packets 3 bytes 180 drop; ip6 daddr { fd00:1::1, fd00:1::9-fd00:1::f } accept; }; }"
	run a nft "table ip nat { chain pre { type nat hook prerouting priority -100; tcp dport 80 dnat to 10.0.0.9:8080; udp dport 53 dnat to 10.0.0.1-10.0.0.3; }; chain post { type nat hook postrouting priority 100; ip saddr 10.0.0.0/24 snat to 10.0.0.254; }; }"
	run a nft "table ip6 nat { chain pre { type nat hook prerouting priority -100; tcp dport 80 dnat to [fd00:1::9]:8080; }; }"
	run b iptables-legacy -A INPUT -s 10.0.0.0/24 ! -d 10.0.0.7 -j ACCEPT
	run b iptables-legacy -A INPUT -m iprange --src-range 10.0.0.5-10.0.0.9 -j DROP
	run b iptables-legacy -t nat -A PREROUTING -p tcp -j DNAT --to-destination 10.0.0.1-10.0.0.3:80-90
	run b ip6tables-legacy -A OUTPUT -d fd00:1::/64 -j ACCEPT
	task one ns=a
	task two ns=b parent=one
	END
}

@test "rulesets: sets, maps, ranges, concatenations, NAT, both tools; the kernel takes them" {
	rules_scene
	mapped "$BATS_TEST_TMPDIR/rules.scene" "readdress 10.0.0.0/24 10.9.9.0/24 fd00:1::/64 fd00:2::/64" 's/10\.0\.0\./10.9.9./g; s/fd00:1::/fd00:2::/g'
}

# bytes_scene: addresses and MACs that messages of the kernel have inside of structures
bytes_scene() {
	cat >"$BATS_TEST_TMPDIR/bytes.scene" <<-'END'
	ns a
	run a ip link add p0 address 02:00:00:00:0b:01 type veth peer name p1 address 02:00:00:00:0b:02
	run a ip address add 10.6.0.1/24 brd + dev p0
	run a ip address add fd00:6::1/64 dev p0 nodad
	run a ip link set p0 up
	run a ip link set p1 up
	run a ip -6 route add fd00:70::/32 encap seg6 mode encap segs fd00:6::2,fd00:9::3 dev p0
	run a ip link add br0 address 02:00:00:00:0b:09 type bridge mcast_snooping 1
	run a ip link set br0 up
	run a ip link set p1 master br0
	run a bridge mdb add dev br0 port p1 grp 239.1.1.1 src 10.6.0.5 permanent
	run a tc qdisc add dev p0 root handle 1: htb default 20
	run a tc filter add dev p0 parent 1: protocol ip prio 5 u32 match ip dst 10.6.0.0/24 match ip src 10.6.0.7 flowid 1:10
	run a tc filter add dev p0 parent 1: protocol ip prio 5 u32 match ether src 02:00:00:00:0b:02 flowid 1:10
	task one ns=a
	END
}

@test "structures: segments of routes, sources of multicast groups, bytes that filters compare" {
	bytes_scene
	mapped "$BATS_TEST_TMPDIR/bytes.scene" $'readdress 10.6.0.0/24 10.99.5.0/24 fd00:6::/64 fd00:99::/64\nremac p1 06:00:00:00:0b:77' \
		's/10\.6\.0\./10.99.5./g; s/fd00:6::/fd00:99::/g; s/02:00:00:00:0b:02/06:00:00:00:0b:77/g'
}

# few_scene: one interface with several addresses of one network
few_scene() {
	cat >"$BATS_TEST_TMPDIR/few.scene" <<-'END'
	ns a
	run a ip link add m0 address 02:00:00:00:0b:01 type veth peer name m1 address 02:00:00:00:0b:02
	run a ip address add 10.7.0.1/24 brd + dev m0
	run a ip address add 10.6.0.1/24 brd + dev m0
	run a ip address add 10.6.0.2/24 brd + dev m0
	run a ip address add 10.6.0.3/24 brd + dev m0
	run a ip address add fd00:6::1/64 dev m0 nodad
	run a ip address add fd00:6::2/64 dev m0 nodad
	run a ip link set m0 up
	run a ip link set m1 up
	task one ns=a
	END
}

@test "an address that leaves its network: the kernel's routes of both, and which address is primary" {
	few_scene
	# the last of its network, its first, into one that has another address
	mapped "$BATS_TEST_TMPDIR/few.scene" "readdress 10.6.0.3 10.99.0.3" 's/10\.6\.0\.3/10.99.0.3/'
	mapped "$BATS_TEST_TMPDIR/few.scene" "readdress 10.6.0.1 10.99.0.1" 's/10\.6\.0\.1/10.99.0.1/'
	mapped "$BATS_TEST_TMPDIR/few.scene" "readdress 10.7.0.1 10.6.0.9" 's/10\.7\.0\.1/10.6.0.9/'
	# with several pairs each of two becomes the primary one of another network
	mapped "$BATS_TEST_TMPDIR/few.scene" "readdress 10.6.0.0/24 10.9.0.0/24 10.6.0.1 10.8.0.1" \
		's/10\.6\.0\.1/10.8.0.1/; s/10\.6\.0/10.9.0/'
	mapped "$BATS_TEST_TMPDIR/few.scene" "readdress 10.6.0.1 10.8.0.1 10.6.0.2 10.9.0.2 fd00:6::1 fd00:8::1 fd00:6::2 fd00:9::2" \
		's/10\.6\.0\.1/10.8.0.1/; s/10\.6\.0\.2/10.9.0.2/; s/fd00:6::1/fd00:8::1/; s/fd00:6::2/fd00:9::2/'
	mapped "$BATS_TEST_TMPDIR/few.scene" "readdress fd00:6::2 fd00:7::2" 's/fd00:6::2/fd00:7::2/'
	mapped "$BATS_TEST_TMPDIR/few.scene" "readdress fd00:6::2/127 fd00:7::2/127" 's/fd00:6::2/fd00:7::2/'
}

# names_scene: all that has the name or the MAC of a device in it
names_scene() {
	cat >"$BATS_TEST_TMPDIR/names.scene" <<-'END'
	ns a pin=/run/netns/blue
	run a ip link add eth0 address 02:00:00:00:0b:01 type veth peer name m1 address 02:00:00:00:0b:02
	run a ip link property add dev eth0 altname ethernet-zero
	run a ip address add 10.6.0.1/24 dev eth0
	run a ip address add 10.6.0.2/24 dev eth0 label eth0:two
	run a ip address add fd00:6::1/64 dev eth0 nodad
	run a ip link set eth0 up
	run a ip link set m1 up
	run a ip rule add iif eth0 lookup 100 priority 500
	run a ip rule add oif eth0 lookup 100 priority 501
	run a ip -6 rule add iif eth0 lookup 100 priority 502
	run a ip neigh add 10.6.0.9 lladdr 02:00:00:00:0b:02 dev eth0 nud permanent
	run a ip -6 neigh add fe80::ff:fe00:b02 lladdr 02:00:00:00:0b:02 dev eth0 nud permanent
	run a ip -6 route add fd00:77::/64 via fe80::ff:fe00:b02 dev eth0
	run a nft "table inet fw { set d { type ifname; elements = { \"eth0\", \"lo\" }; }; chain in { type filter hook input priority 0; policy accept; iifname \"eth0\" tcp dport 22 accept; iifname @d accept; iifname { \"eth0\", \"other\" } oifname \"lo\" accept; ether saddr 02:00:00:00:0b:02 accept; iifname vmap { \"eth0\" : drop }; }; }"
	sysctl a net/ipv4/conf/eth0/rp_filter=2 net/ipv6/conf/eth0/accept_ra=2
	sock dev ns=a family=inet type=dgram dev=eth0 bind=0.0.0.0:67
	sock arp ns=a family=packet type=dgram proto=0x806 dev=eth0 mc=01:00:5e:00:00:fb
	task one ns=a
	give dev one 3
	give arp one 4
	END
}

@test "rename: a device that sockets are bound to, rules and rulesets name, with sysctls and labels; a namespace" {
	names_scene
	mapped "$BATS_TEST_TMPDIR/names.scene" $'rename device blue/eth0 wan\nrename netns blue green' 's/eth0/wan/g; s/blue/green/'
	mapped demo $'rename device left/cross0 x0\nrename device parent/br0 bridge0' 's/cross0/x0/g; s/br0/bridge0/g'
}

@test "remac: neighbours, link-local addresses and routes through them, rulesets; a bridge; in other namespaces" {
	names_scene
	mapped "$BATS_TEST_TMPDIR/names.scene" "remac m1 06:00:00:00:0b:77" \
		's/02:00:00:00:0b:02/06:00:00:00:0b:77/g; s/fe80::ff:fe00:b02/fe80::400:ff:fe00:b77/g'
	mapped demo $'remac left/cross0 02:00:00:00:77:01\nremac parent/br0 06:00:00:00:77:02' \
		's/02:00:00:00:01:21/02:00:00:00:77:01/g; s/02:00:00:00:01:01/06:00:00:00:77:02/g'
}
