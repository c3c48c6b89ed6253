#!/usr/bin/env bats
# Every scene of tests/scenes is dumped, ended, restored, and compared with what it was by ip, bridge, nft,
# ss, sysctl and getsockopt: no difference but the volatile list; verify agrees; rollback leaves nothing.

setup() {
	cd "$BATS_TEST_DIRNAME/../.." || return 1
}

roundtrip() {
	run tests/roundtrip.sh "$PWD/tests/scenes/$1.scene"
	echo "$output"
	[ "$status" -eq 0 ]
}

@test "activated: Socket activation inside the tree" {
	roundtrip activated
}

@test "addresses: Addresses" {
	roundtrip addresses
}

@test "demo: The scene of ./demo" {
	roundtrip demo
}

@test "firewall: An nft ruleset with sets, maps, counters, nat; legacy iptables rules of both families in another namespace" {
	roundtrip firewall
}

@test "inet: inet sockets" {
	roundtrip inet
}

@test "kinds: Device kinds that CRIU refuses or this kernel has" {
	roundtrip kinds
}

@test "late: a backup port, protodown, queues that were asked for, an encapsulated next hop object, an MTU that would not fit any more" {
	roundtrip late
}

@test "links: Attributes of links" {
	roundtrip links
}

@test "multicast-mptcp: IPv6 tokens (one of a router, which would take none any more), static link-layer multicast addresses, MPTCP limits and endpoints, IPsec policies" {
	roundtrip multicast-mptcp
}

@test "neighbours: Static neighbours of both families, proxy and managed neighbours, fdb entries of a bridge and of a vxlan" {
	roundtrip neighbours
}

@test "netlink-packet: netlink sockets of several protocols with groups beyond 32, packet sockets with memberships and a filter" {
	roundtrip netlink-packet
}

@test "no-carrier: A link without carrier, routes over it; bridges and taps without; devices that were up" {
	roundtrip no-carrier
	# it had one because nobody had set its address
	[[ $output == *"left out: ns3 br0: its carrier"* ]]
}

@test "nsfd: Descriptors of a namespace without tasks, and of the namespace of a child" {
	roundtrip nsfd
}

@test "nsids: Namespace ids" {
	roundtrip nsids
}

@test "orphan: A TCP listener, a packet socket and a netlink socket in a namespace where no task lives, and a device there" {
	roundtrip orphan
}

@test "route-source: A gateway that the plan believes reachable, by a route that is for one source alone" {
	roundtrip route-source
}

@test "routes: Routes of many types and tables, metrics, multipath, nexthop objects, both families; rules of both" {
	roundtrip routes
}

@test "over-bridge: Bridges with a port's address or a set one, devices over them and over one of the same index elsewhere" {
	roundtrip over-bridge
}

@test "same-name: The same device name in several namespaces, joined crosswise" {
	roundtrip same-name
}

@test "shared: One socket in several tasks and at several numbers; a grandchild back in the parent's namespace" {
	roundtrip shared
}

@test "sysctls: Sysctls of all kinds" {
	roundtrip sysctls
}

@test "tc: Traffic control as far as this kernel has it" {
	roundtrip tc
}

@test "thread: A thread in another namespace than its leader (Go programs), with sockets of both" {
	roundtrip thread
}

@test "unix-across: Unix sockets whose two ends belong to two namespaces" {
	roundtrip unix-across
}

@test "userns: A nested user namespace with id maps and one below it, network namespaces that they own, and tasks in them" {
	roundtrip userns
}

@test "unix-names: accepted ends, listeners and paths that are gone, half-closed and one-sided connections" {
	roundtrip unix-names
}

@test "tun-files: Descriptors of tun and tap devices, persistent and not" {
	roundtrip tun-files
}

@test "conntrack: Connection tracking entries of TCP and UDP, with state, timeout and mark; a neighbour without ARP" {
	roundtrip conntrack
}
