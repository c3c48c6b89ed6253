# nsimg check-kernel against reality, found out by other means: ip and tc in a namespace of their own, the
# configuration of the kernel, system calls made by python.

setup_file() {
	root=$BATS_TEST_DIRNAME/../..
	export NSIMG=${NSIMG:-$root/build/debug/nsimg}
	[ "$(id -u)" -eq 0 ] || skip "needs root"
	export JSON=$BATS_FILE_TMPDIR/all.json
	"$NSIMG" check-kernel --json >"$JSON" || [ $? -eq 1 ]
}

# state FEATURE
state() {
	python3 - "$JSON" "$1" <<-'PY'
	import json, sys
	print(next(r["state"] for r in json.load(open(sys.argv[1])) if r["feature"] == sys.argv[2]))
	PY
}

# names PREFIX: what comes after it in the names of features
names() {
	python3 - "$JSON" "$1" <<-'PY'
	import json, sys
	for r in json.load(open(sys.argv[1])):
	    if r["feature"].startswith(sys.argv[2]):
	        print(r["feature"][len(sys.argv[2]):])
	PY
}

# expect FEATURE yes|no: collects what differs in $wrong
expect() {
	local is
	is=$(state "$1")
	[ "$is" = "$2" ] || wrong="$wrong
$1: nsimg says $is, reality $2"
}

@test "link kinds: as ip link add has it" {
	wrong=""
	for kind in $(names "link "); do
		# tun is made by ip tuntap; a kind that is there may still refuse for want of arguments,
		# one that is not is "Unknown device type"
		if [ "$kind" = tun ]; then
			out=$(unshare -n ip tuntap add dev x0 mode tun 2>&1) && is=yes || is=no
		else
			out=$(unshare -n sh -c "ip link add p0 type veth 2>/dev/null || ip link add p0 type bridge
				case $kind in
				vlan) ip link add x0 link p0 type vlan id 5;;
				vxlan) ip link add x0 type vxlan id 5 dstport 4789;;
				macvlan|macvtap|ipvlan|ipvtap|macsec) ip link add x0 link p0 type $kind;;
				vrf) ip link add x0 type vrf table 5;;
				*) ip link add x0 type $kind;;
				esac" 2>&1) || true
			case $out in
			*"Unknown device type"*|*"Not supported"*) is=no;;
			*) is=yes;;
			esac
		fi
		expect "link $kind" "$is"
	done
	echo "$wrong"
	[ -z "$wrong" ]
}

@test "qdiscs: as tc has it" {
	command -v tc || skip "no tc"
	wrong=""
	for kind in $(names "qdisc "); do
		where=root
		case $kind in ingress|clsact) where="";; esac
		# for some kinds tc insists on options, and says so before it asks the kernel
		case $kind in
		tbf) opts="rate 1mbit burst 10k latency 50ms";;
		*) opts="";;
		esac
		out=$(unshare -n sh -c "ip link add p0 type veth; tc qdisc add dev p0 $where $kind $opts" 2>&1) || true
		case $out in
		*"qdisc kind is unknown"*) is=no;;
		*) is=yes;;
		esac
		expect "qdisc $kind" "$is"
	done
	echo "$wrong"
	[ -z "$wrong" ]
}

@test "options of the kernel configuration: what is not built is not there, what is built in is" {
	[ -r /proc/config.gz ] || skip "no /proc/config.gz"
	wrong=""
	while read -r option feature; do
		line=$(zcat /proc/config.gz | grep -E "^(CONFIG_$option=|# CONFIG_$option is)") || line=unset
		case $line in
		*=y) expect "$feature" yes;;
		*=m) ;;	# whether it can be loaded is another question
		*) expect "$feature" no;;
		esac
	done <<-'END'
	DUMMY link dummy
	VETH link veth
	VXLAN link vxlan
	MACVLAN link macvlan
	MACVTAP link macvtap
	IFB link ifb
	TUN link tun
	VLAN_8021Q link vlan
	IPVLAN link ipvlan
	BONDING link bond
	NET_VRF link vrf
	WIREGUARD link wireguard
	NETKIT link netkit
	GENEVE link geneve
	NET_SCH_FQ_CODEL qdisc fq_codel
	NET_SCH_TBF qdisc tbf
	NET_SCH_INGRESS qdisc ingress
	NET_CLS_U32 filter u32
	NET_CLS_FLOWER filter flower
	NET_CLS_MATCHALL filter matchall
	INET_TCP_DIAG TCP diag
	INET_UDP_DIAG UDP diag
	INET_RAW_DIAG raw diag
	INET_MPTCP_DIAG MPTCP diag
	UNIX_DIAG unix diag
	PACKET_DIAG packet diag
	NETLINK_DIAG netlink diag
	VSOCKETS_DIAG vsock diag
	XDP_SOCKETS_DIAG XDP diag
	BRIDGE_VLAN_FILTERING bridge VLAN filtering
	NF_TABLES nftables
	NF_CT_NETLINK conntrack
	IP_NF_FILTER iptables legacy
	IP6_NF_FILTER ip6tables legacy
	USER_NS user namespaces
	SECCOMP_FILTER seccomp
	TCP_MD5SIG TCP_MD5SIG
	IP_MULTIPLE_TABLES IPv4 rules and tables
	IPV6_MULTIPLE_TABLES IPv6 rules and tables
	IP_ROUTE_MULTIPATH multipath routes
	END
	echo "$wrong"
	[ -z "$wrong" ]
}

@test "nothing of the namespace it is called in is touched, nothing is left" {
	# a private namespace stands for the machine, so that nobody else changes it meanwhile
	run unshare -n -m bash -c '
		facts() {
			ip -d link; ip addr; ip rule; ip -6 rule; ip route show table all
			ip -6 route show table all; ip nexthop; ip netns list-id; tc qdisc; nft list ruleset
			cat /proc/self/mountinfo; cat /proc/net/unix | wc -l; ls /proc/self/fd | wc -l
		}
		ip link add a0 type veth peer name a1 && ip link set lo up && ip link set a0 up
		facts >"$1/before" 2>&1
		for i in 1 2 3; do "$NSIMG" check-kernel >/dev/null || [ $? -eq 1 ]; done
		facts >"$1/after" 2>&1
		diff "$1/before" "$1/after"' - "$BATS_TEST_TMPDIR"
	echo "$output"
	[ "$status" -eq 0 ]
	[ -s "$BATS_TEST_TMPDIR/before" ]
}

@test "status, heading, summary" {
	run "$NSIMG" check-kernel
	[ "$status" -le 1 ]
	[[ ${lines[0]} == FEATURE*NEEDED_FOR*STATE*WITHOUT_IT* ]]
	[[ ${lines[-1]} == "Linux $(uname -r): "*" there"* ]]
	python3 - "$JSON" "$status" <<-'PY'
	import json, sys
	rows = json.load(open(sys.argv[1]))
	missing = [r["feature"] for r in rows if r["needed"] and r["state"] != "yes"]
	assert bool(missing) == (sys.argv[2] == "1"), missing
	assert all(r["reason"] for r in rows if r["state"] != "yes")
	PY
}

@test "an ordinary user: not allowed, status 1; in a user namespace of his own: what the kernel allows there" {
	cp "$NSIMG" "$BATS_FILE_TMPDIR/nsimg"
	chmod 755 "$BATS_FILE_TMPDIR/nsimg"
	chmod 711 "$BATS_RUN_TMPDIR" "$BATS_FILE_TMPDIR"
	as_nobody="setpriv --reuid 65534 --regid 65534 --clear-groups"
	$as_nobody test -x "$BATS_FILE_TMPDIR/nsimg" || skip "other users cannot reach $BATS_FILE_TMPDIR"
	run $as_nobody "$BATS_FILE_TMPDIR/nsimg" check-kernel
	[ "$status" -eq 1 ]
	[[ $output == *"link veth "*"not allowed"* ]]
	[[ $output == *"could not be tried without more privileges"* ]]
	$as_nobody unshare -Urnm true || skip "no user namespaces for ordinary users"
	run $as_nobody unshare -Urnm "$BATS_FILE_TMPDIR/nsimg" check-kernel
	[ "$status" -eq 0 ]
	[[ $(echo "$output" | grep "^link veth ") == *" yes "* ]]
}
