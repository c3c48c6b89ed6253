#!/usr/bin/env bats
# nsimg set, add, drop and rules files: what their words mean, and that the image is then one that a kernel could have.

load ../netns/helpers

setup() {
	command -v sqlite3 >/dev/null || skip "no sqlite3"
	need_corpus scenario/nested-veth
	db=$BATS_TEST_TMPDIR/a.db
	"$NSIMG" import "$db" "$CORPUS/scenario/nested-veth" >/dev/null
}

q() { sqlite3 "$db" "$1"; }

# refused TEXT COMMAND...: an error with this in its message
refused() {
	local text=$1
	shift
	run "$NSIMG" "$@"
	echo "$*: $status $output"
	[ "$status" -eq 2 ] && [[ $output == *"$text"* ]]
}

@test "set: members of JSON are numbers, booleans, words and addresses, several at once" {
	"$NSIMG" set "$db" device ns9/br0 attrs.local=10.9.9.9 attrs.df=set attrs.id=9 attrs.port=0x10 \
		attrs.learning=false attrs.port_range='{"low":1}'
	[ "$(q "SELECT group_concat(key || ' ' || type || ' ' || atom, ',') FROM device, json_each(attrs) WHERE name = 'br0'
		AND key IN ('local', 'df', 'id', 'port', 'learning')")" = \
		'local text 10.9.9.9,df text set,id integer 9,port integer 16,learning false 0' ]
	[ "$(q "SELECT json_extract(attrs, '\$.port_range.low') FROM device WHERE name = 'br0'")" = 1 ]
	# one JSON function in another, in our own SQL
	[ "$("$NSIMG" sql -n "$db" "SELECT json_set('{}', '\$.a', json_extract('{\"b\":[1]}', '\$.b'))")" = '{"a":[1]}' ]
	"$NSIMG" set "$db" device ns9/br0 flags=-UP flags=+PROMISC
	[ "$(q "SELECT flags & 257 FROM device WHERE name = 'br0'")" = 256 ]
	refused 'mtu is set twice' set "$db" device ns9/br0 mtu=1400 mtu=1500
}

@test "set and add: what any other client may not do is refused, with the same words, also in a rules file" {
	local id sha
	id=$(q "SELECT min(id) FROM socket WHERE state = 10 AND family = 2")
	sha=$(sha256sum <"$db")
	for edit in "socket id $id dev=nope" "socket id $id state=1" "socket id $id dst=10.1.0.1" "device ns9/va link=null" \
		"route 10.30.0.0/16 nhid=99"; do
		read -ra words <<<"$edit"
		run "$NSIMG" set "$db" "${words[@]}"
		echo "$edit: $output"
		[ "$status" -eq 2 ]
	done
	refused "socket.so_bound_dev: the namespace has no device of that name" set "$db" socket id "$id" dev=nope
	run sqlite3 "$db" "UPDATE socket SET so_bound_dev = 'nope' WHERE id = $id"
	[[ $output == *"socket.so_bound_dev: the namespace has no device of that name"* ]]
	refused "route.nh_id: the namespace has no such nexthop object" add "$db" route 10.77.0.0/16 nhid 8 netns ns9
	echo '{"operations": [{"set": "device ns9/va mtu=1400"}, {"rename": "device ns9/va lan0"},
		{"set": "device ns9/lan0 mtu=1450"},
		{"set": "device ns9/lan0 link=null"}]}' >"$BATS_TEST_TMPDIR/rules.json"
	refused "rules.json:3:3: device.link: a veth has its peer there" apply "$db" "$BATS_TEST_TMPDIR/rules.json"
	[ "$sha" = "$(sha256sum <"$db")" ]
	sed -i 's/link=null/alias=x/' "$BATS_TEST_TMPDIR/rules.json"
	"$NSIMG" apply "$db" "$BATS_TEST_TMPDIR/rules.json"
	[ "$("$NSIMG" log "$db" --no-header | wc -l)" = 1 ]
}

@test "set: sockets that an SQL condition finds" {
	local ino
	ino=$(q "SELECT min(ino) FROM socket WHERE family = 2")
	"$NSIMG" set "$db" socket where "ino = $ino" mark=9
	[ "$(q "SELECT group_concat(ino) FROM socket WHERE so_mark = 9")" = "$ino" ]
	refused "condition" set "$db" socket where "inoo = 1" mark=9
}

@test "add: an address with another end has the kernel's route to it" {
	# fib_add_ifaddr() in net/ipv4/fib_frontend.c, __ipv6_ifa_notify() in net/ipv6/addrconf.c
	"$NSIMG" add "$db" address 10.5.0.1 peer 10.5.0.2 dev ns9/vc
	[ "$(q "SELECT dst, \"table\", type, scope, protocol, prefsrc FROM route WHERE dst = '10.5.0.2'")" = '10.5.0.2|254|1|253|2|10.5.0.1' ]
	"$NSIMG" add "$db" address fd05::1 peer fd05::2 dev ns9/vc
	[ "$(q "SELECT dst, type, priority, protocol FROM route WHERE dst = 'fd05::2'")" = 'fd05::2|1|256|2' ]
}

@test "add: the length of an address with another end, and table 0, as with ip" {
	# ip addr add, ip route add (iproute2 6.1, Linux 6.1)
	"$NSIMG" add "$db" address 10.5.0.1/24 peer 10.5.0.2/30 dev ns9/vc valid_lft forever
	"$NSIMG" add "$db" address 10.6.0.1/24 peer 10.6.0.2 dev ns9/vc
	"$NSIMG" add "$db" address 10.7.0.1/24 peer 10.7.0.2/0 dev ns9/vc
	[ "$(q "SELECT group_concat(address || ' ' || peer || '/' || prefixlen, ', ') FROM address WHERE peer GLOB '10.[567].*'")" = \
		'10.5.0.1 10.5.0.2/30, 10.6.0.1 10.6.0.2/32, 10.7.0.1 10.7.0.2/24' ]
	[ "$(q "SELECT group_concat(dst) FROM route WHERE \"table\" = 254 AND prefsrc IN ('10.5.0.1', '10.6.0.1', '10.7.0.1')")" = \
		'10.5.0.0/30,10.6.0.2,10.7.0.0/24' ]
	"$NSIMG" add "$db" route 10.78.0.0/16 dev ns9/vc table 0
	[ "$(q "SELECT \"table\" FROM route WHERE dst = '10.78.0.0/16'")" = 254 ]
}

@test "set: the words that show has for columns of rules and addresses, and @ for abstract names" {
	"$NSIMG" set "$db" rule 1000 netns ns11 from=10.8.0.0/16 to=10.7.0.0/16
	[ "$(q "SELECT src || ' ' || dst FROM rule WHERE priority = 1000")" = '10.8.0.0/16 10.7.0.0/16' ]
	"$NSIMG" set "$db" address 10.10.0.2 netns ns10 valid=300 preferred=200
	[ "$(q "SELECT valid_lft || ' ' || preferred_lft FROM address WHERE address = '10.10.0.2'")" = '300 200' ]
	"$NSIMG" set "$db" address 10.10.0.2 netns ns10 valid=forever preferred=forever
	[ "$(q "SELECT valid_lft FROM address WHERE address = '10.10.0.2'")" = 4294967295 ]
	local ino
	ino=$(q "SELECT min(ino) FROM socket WHERE family = 1")
	"$NSIMG" set "$db" socket where "ino = $ino" name=@new
	[ "$(q "SELECT name FROM unix_socket JOIN socket s ON s.id = socket WHERE ino = $ino")" = '\x00new' ]
	[ "$("$NSIMG" sockets "$db" src @new --json | jq length)" = 1 ]
}

@test "diff: a rule that matches something else is told with what it matches" {
	"$NSIMG" add "$db" rule to 10.7.0.0/16 iif lo table 100 priority 500 netns ns9
	cp "$db" "$BATS_TEST_TMPDIR/b.db"
	"$NSIMG" set "$BATS_TEST_TMPDIR/b.db" rule 500 to=10.8.0.0/16
	run "$NSIMG" diff "$db" "$BATS_TEST_TMPDIR/b.db"
	[ "$status" -eq 1 ]
	[[ $output == *"- rule 500 to 10.7.0.0/16 iif lo"* && $output == *"+ rule 500 to 10.8.0.0/16 iif lo"* ]]
}

@test "the report: of long JSON the members that changed, of long texts the lines" {
	q "UPDATE device SET attrs = '{\"ageing_time\":100,\"forward_delay\":1500,\"hello_time\":200,\"max_age\":2000,\"priority\":32768,
		\"vlan_filtering\":0,\"group_fwd_mask\":0,\"mcast_router\":1,\"mcast_snooping\":1,\"mcast_querier\":0,\"mcast_startup_query_cnt\":2,
		\"mcast_last_member_cnt\":2}' WHERE name = 'br0'"
	"$NSIMG" set "$db" device ns9/br0 attrs.ageing_time=200 | grep ' attrs.ageing_time: 100 -> 200 *$'
	"$NSIMG" rename "$db" device ns9/vc uplink |
		grep -q '  content: iifname "br0" oifname "vc" .* accept -> iifname "br0" oifname "uplink" .* accept *$'
}

@test "rules: types are looked at, and errors begin with FILE:LINE:COLUMN" {
	local r=$BATS_TEST_TMPDIR/r.json
	printf '{"operations":[{"set":"device ns11/ba0 mtu=1400",\n "optional":"yes"}]}' >"$r"
	refused "r.json:2:2: optional is true or false" apply "$db" "$r"
	printf '{"operations":[\n{"set" "device"}]}' >"$r"
	refused "r.json:2:" apply "$db" "$r"
	printf '{"operations":[\n{"set":"device all mtu=1400"}],\n "optinal":true}' >"$r"
	refused "r.json:3:2: no member 'optinal'" apply "$db" "$r"
}

@test "a dry run needs no right to write" {
	[ "$(id -u)" -eq 0 ] || skip "needs root"
	chmod 444 "$db"
	chmod 755 "$BATS_TEST_TMPDIR" "$BATS_RUN_TMPDIR" "$BATS_RUN_TMPDIR"/*
	setpriv --reuid 65534 --clear-groups -- "$NSIMG" --version >/dev/null || skip "nobody cannot run $NSIMG"
	run setpriv --reuid 65534 --clear-groups -- "$NSIMG" set "$db" device ns9/va mtu=1400 --dry-run
	echo "$output"
	[ "$status" -eq 0 ] && [[ $output == *"mtu: 1500 -> 1400"* ]]
	run setpriv --reuid 65534 --clear-groups -- "$NSIMG" set "$db" device ns9/va mtu=1400
	[ "$status" -eq 2 ]
}

@test "readdress: a netmask in a ruleset is the length it stands for" {
	q "INSERT INTO firewall (image, netns, format, content) SELECT 1, id, 'iptables', '*filter
:INPUT ACCEPT [0:0]
-A INPUT -d 10.10.0.0/255.255.255.0 -j ACCEPT
-A INPUT -d 10.10.0.3/255.255.255.255 -j ACCEPT
-A INPUT -d 10.10.0.3/255.0.255.255 -j ACCEPT
COMMIT
' FROM netns WHERE name = 'ns11'"
	run "$NSIMG" readdress "$db" 10.10.0.0/24 10.99.5.0/24
	echo "$output"
	[[ $output == *"10.10.0.3/255.0.255.255"*"its mask is no length of a prefix"* ]]
	q "SELECT content FROM firewall WHERE format = 'iptables'" >"$BATS_TEST_TMPDIR/rules"
	grep -qx -- '-A INPUT -d 10.99.5.0/24 -j ACCEPT' "$BATS_TEST_TMPDIR/rules"
	grep -qx -- '-A INPUT -d 10.99.5.3/32 -j ACCEPT' "$BATS_TEST_TMPDIR/rules"
	grep -q '10.10.0.3/255.0.255.255' "$BATS_TEST_TMPDIR/rules"
}

@test "set: a device of another object may be NETNS/NAME; rules come from a pipe, too" {
	"$NSIMG" set "$db" route default dev ns10/eth0 family inet metric=5
	[ "$(q "SELECT n.name FROM route r JOIN netns n ON n.id = r.netns WHERE priority = 5 AND family = 2")" = ns10 ]
	echo '{"operations":[{"set":"device ns9/va mtu=1400"}]}' | "$NSIMG" apply "$db" /dev/stdin
	"$NSIMG" apply "$db" <(echo '{"operations":[{"set":"device ns9/vb mtu=1401"}]}')
	[ "$(q "SELECT group_concat(mtu) FROM device WHERE name IN ('va', 'vb')")" = 1400,1401 ]
	echo '{"operations":[{"set":"device ns9/va mtu=1402"}]}' | "$NSIMG" apply "$db" -
	"$NSIMG" apply "$db" - <<<'{"operations":[{"set":"device ns9/vb mtu=1403"}]}'
	[ "$(q "SELECT group_concat(mtu) FROM device WHERE name IN ('va', 'vb')")" = 1402,1403 ]
	run "$NSIMG" apply "$db" - <<<'{"operations":[{"set":7}]}'
	[ "$status" = 2 ] && [[ $output == *"-:1:"* ]]
}

# addresses of ns9/br0, and the kernel's routes on it: DST PREFSRC
addresses_of_br0() { q "SELECT address, flags & 1 FROM address WHERE family = 2 AND ifindex = (SELECT ifindex FROM device WHERE name = 'br0')"; }
routes_of_br0() {
	q "SELECT dst, \"table\", type, prefsrc FROM route WHERE family = 2 AND protocol = 2 AND oif = (SELECT ifindex FROM device WHERE name = 'br0')
		ORDER BY \"table\", dst"
}

@test "drop: a primary address takes its secondary ones along, or the next of them is primary then" {
	# __inet_del_ifa() in net/ipv4/devinet.c, fib_del_ifaddr() and fib_add_ifaddr() in net/ipv4/fib_frontend.c
	"$NSIMG" set "$db" sysctl net/ipv4/conf/all/promote_secondaries netns ns9 value=0
	"$NSIMG" set "$db" sysctl net/ipv4/conf/br0/promote_secondaries netns ns9 value=0
	local last
	for last in 1 2 3; do
		"$NSIMG" add "$db" address "10.77.0.$last/24" dev ns9/br0
	done
	# not of that network, as its prefix is another one
	"$NSIMG" add "$db" address 10.77.0.4/25 dev ns9/br0
	"$NSIMG" add "$db" route 10.78.0.0/16 dev ns9/br0 src 10.77.0.2
	"$NSIMG" add "$db" route 10.79.0.0/16 dev ns9/br0 src 10.77.0.1
	q "UPDATE device SET attrs = json_set(coalesce(attrs, '{}'), '\$.local', '10.77.0.1') WHERE name = 'br0'"
	[ "$(addresses_of_br0 | grep 77)" = $'10.77.0.1|0\n10.77.0.2|1\n10.77.0.3|1\n10.77.0.4|0' ]

	run "$NSIMG" drop "$db" address 10.77.0.1/24
	echo "$output"
	[ "$status" -eq 0 ] && [[ $output == *"ns9/br0 "*"a tunnel from 10.77.0.1, which is gone"* ]]
	[ "$(addresses_of_br0 | grep 77)" = '10.77.0.4|0' ]
	[ "$(routes_of_br0 | grep 77)" = '10.77.0.0/25|254|1|10.77.0.4' ]
	[ "$(q "SELECT count(*) FROM route WHERE dst IN ('10.78.0.0/16', '10.79.0.0/16')")" = 0 ]
	"$NSIMG" undo "$db"

	"$NSIMG" set "$db" sysctl net/ipv4/conf/br0/promote_secondaries netns ns9 value=1
	"$NSIMG" drop "$db" address 10.77.0.1/24
	[ "$(addresses_of_br0 | grep 77)" = $'10.77.0.2|0\n10.77.0.3|1\n10.77.0.4|0' ]
	[ "$(routes_of_br0 | grep 77)" = $'10.77.0.0/24|254|1|10.77.0.2\n10.77.0.0/25|254|1|10.77.0.4' ]
	# routes with the one that is gone as source go, those with the others stay
	[ "$(q "SELECT group_concat(dst) FROM route WHERE dst IN ('10.78.0.0/16', '10.79.0.0/16')")" = 10.78.0.0/16 ]
}

@test "add: a route with several next hops, and an IPv6 gateway of an IPv4 route" {
	# as a kernel lists them (ip -json route), which was given the same words
	hops() { q "SELECT h.value ->> 'gateway', h.value ->> 'via', d.name, h.value ->> 'weight', h.value ->> 'flags' FROM route r, json_each(multipath) h
		JOIN device d ON d.netns = r.netns AND d.ifindex = h.value ->> 'oif' WHERE r.dst = '$1' ORDER BY h.key"; }
	"$NSIMG" add "$db" address 10.77.0.1/24 dev ns9/br0
	"$NSIMG" add "$db" address fd77::1/64 dev ns9/vc
	"$NSIMG" add "$db" route 10.60.0.0/16 metric 7 nexthop via 10.77.0.2 dev ns9/br0 weight 3 nexthop via inet6 fd77::2 \
		nexthop dev va nexthop via 10.9.9.9 dev vb onlink
	[ "$(hops 10.60.0.0/16)" = $'10.77.0.2||br0|3|0\n|fd77::2|vc|1|0\n||va|1|0\n10.9.9.9||vb|1|4' ]
	[ "$(q "SELECT family, priority, scope, oif IS NULL, gateway IS NULL FROM route WHERE dst = '10.60.0.0/16'")" = '2|7|0|1|1' ]
	"$NSIMG" add "$db" route fd60::/16 nexthop via fd77::2 dev ns9/vc nexthop via fd77::3
	[ "$(hops fd60::/16)" = $'fd77::2||vc|1|0\nfd77::3||vc|1|0' ]
	# one next hop is no list
	"$NSIMG" add "$db" route 10.61.0.0/16 netns ns9 nexthop via 10.77.0.2 weight 3
	"$NSIMG" add "$db" route 10.62.0.0/16 via inet6 fd77::2 dev ns9/vc
	[ "$(q "SELECT dst, family, gateway, via, multipath FROM route WHERE dst IN ('10.61.0.0/16', '10.62.0.0/16') ORDER BY dst")" = \
		$'10.61.0.0/16|2|10.77.0.2||\n10.62.0.0/16|2||fd77::2|' ]

	"$NSIMG" export "$db" "$BATS_TEST_TMPDIR/out" --force
	"$NSIMG" import "$BATS_TEST_TMPDIR/again.db" "$BATS_TEST_TMPDIR/out"
	[ "$(db=$BATS_TEST_TMPDIR/again.db hops 10.60.0.0/16)" = "$(hops 10.60.0.0/16)" ]

	# what a kernel does not take
	local r=(add "$db" route)
	refused "needs via ADDRESS in IPv6" "${r[@]}" fd61::/16 nexthop via fd77::2 dev ns9/vc nexthop dev va
	refused "an IPv6 route has no IPv4 gateway" "${r[@]}" fd61::/16 via 10.77.0.2 dev ns9/br0
	refused "not an IPv6 address" "${r[@]}" 10.63.0.0/16 via inet6 10.77.0.2 dev ns9/br0
	refused "is in no network of" "${r[@]}" 10.63.0.0/16 nexthop via 10.77.0.2 dev ns9/br0 nexthop via 10.9.9.9 dev vb
	refused "words of each nexthop" "${r[@]}" 10.63.0.0/16 dev ns9/br0 nexthop dev va nexthop dev vb
	refused "weight 257 is not in 1 to 256" "${r[@]}" 10.63.0.0/16 nexthop dev ns9/va weight 257 nexthop dev vb
	refused "'metric' where a word of a nexthop" "${r[@]}" 10.63.0.0/16 nexthop dev ns9/va nexthop dev vb metric 3
	refused "a nexthop needs via ADDRESS or dev" "${r[@]}" 10.63.0.0/16 netns ns9 nexthop nexthop dev vb
}

@test "readdress: of one namespace alone, what others had to do with it is said" {
	run "$NSIMG" readdress "$db" 10.10.0.0/24 172.31.0.0/24 netns ns10 -n
	echo "$output"
	[ "$status" -eq 0 ]
	[[ $output == *"10.10.0.3:5000 -> 10.10.0.22:5000 "*"netns ns11"*"its other end is "*"172.31.0.22:5000 -> 172.31.0.3:5000 "*"netns ns10 now"* ]]
	[[ $output == *"10.10.0.1/24 dev br0 netns ns9 "*"was the gateway of default via 172.31.0.1 dev eth0 "* ]]
	[ "$(grep -c "is not among those that were named" <<<"$output")" = 3 ]

	run "$NSIMG" readdress "$db" 10.10.0.0/24 172.31.0.0/24 netns ns9 -n
	echo "$output"
	[[ $output == *"default via 10.10.0.1 dev eth0 table main netns ns11 "*"its gateway is 172.31.0.1/24 dev br0 netns ns9 now"* ]]

	# nexthop objects lead to it, too
	q "INSERT INTO nexthop (image, netns, nh_id, family, gateway, oif) SELECT image, netns, 5, 2, '10.10.0.1', ifindex FROM device
		WHERE name = 'eth0' AND netns IN (SELECT netns FROM address WHERE address IN ('10.10.0.22', '10.10.0.3'))"
	run "$NSIMG" readdress "$db" 10.10.0.0/24 172.31.0.0/24 netns ns10 -n
	echo "$output"
	[[ $output == *"10.10.0.1/24 dev br0 netns ns9 "*"was the gateway of "*"5 via 172.31.0.1 dev eth0 "* ]]
	run "$NSIMG" readdress "$db" 10.10.0.0/24 172.31.0.0/24 netns ns9 -n
	[[ $output == *" 5 via 10.10.0.1 dev eth0 netns ns11 "*"its gateway is 172.31.0.1/24 dev br0 netns ns9 now"* ]]

	# an end in another namespace is not outside of the image
	q "INSERT INTO socket (image, file_id, netns, family, type, protocol, state, ino)
		SELECT image, 9000 + netns, netns, 2, 1, 6, 1, 9000 + netns FROM address WHERE address IN ('10.10.0.22', '10.10.0.3');
		INSERT INTO inet_socket (socket, src, src_port, dst, dst_port)
		SELECT s.id, a.address, 6000, '10.10.0.' || iif(a.address = '10.10.0.3', '22', '3'), 6000 FROM socket s
		JOIN address a ON a.netns = s.netns AND a.address IN ('10.10.0.22', '10.10.0.3') WHERE s.ino > 9000 AND s.ino < 9100"
	run "$NSIMG" readdress "$db" 10.10.0.0/24 172.31.0.0/24 netns ns10 -n
	[[ $output == *"its other end is inet/stream 172.31.0.22:6000"* && $output != *"outside of the image"* ]]

	# nothing is apart when all go along
	run "$NSIMG" readdress "$db" 10.10.0.0/24 172.31.0.0/24 netns ns9 ns10 ns11 ns12 -n
	[[ $output == *"172.31.0.22:5000"* && $output != *"were named"* ]]
	# an address of the same name that the namespace goes by is mapped along
	q "INSERT INTO address (image, netns, ifindex, family, address, prefixlen, flags, scope, valid_lft, preferred_lft)
		SELECT image, netns, 1, 2, '10.10.0.1', 32, 128, 0, 4294967295, 4294967295 FROM address
		WHERE address = '10.10.0.22'"
	run "$NSIMG" readdress "$db" 10.10.0.0/24 172.31.0.0/24 netns ns10 -n
	[ "$status" -eq 0 ] && [[ $output != *"was the gateway"* ]]
}
