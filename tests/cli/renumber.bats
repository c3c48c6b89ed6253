#!/usr/bin/env bats
# nsimg readdress, remac, rename, externalize as the user meets them: what is reported, what is left and why, what is
# refused, with nothing changed then. The images are CRIU's (../shared/corpus).

setup() {
	root=$(cd "$BATS_TEST_DIRNAME/../.." && pwd)
	NSIMG=${NSIMG:-$root/build/debug/nsimg}
	corpus=${NSIMG_CORPUS:-$root/../shared/corpus}
	[ -d "$corpus/scenario/nested-veth" ] || skip "no corpus (NSIMG_CORPUS)"
	command -v sqlite3 >/dev/null || skip "no sqlite3"
	db=$BATS_TEST_TMPDIR/case.db
	"$NSIMG" import "$db" "$corpus/scenario/nested-veth" >/dev/null
}

n_log() { sqlite3 "$db" "SELECT count(*) FROM edit_log"; }

# refused TEXT WORDS...: the words are an error with the text, and nothing changed
refused() {
	local text=$1 before
	shift
	before=$(n_log)
	run "$NSIMG" "$1" "$db" "${@:2}"
	echo "$output"
	[ "$status" -eq 2 ] && [[ $output == *"$text"* ]] && [ "$(n_log)" = "$before" ]
}

# done_with TEXT WORDS...: they are done and the report has the text
done_with() {
	local text=$1
	shift
	run "$NSIMG" "$1" "$db" "${@:2}"
	echo "$output"
	[ "$status" -eq 0 ] && [[ $output == *"$text"* ]]
}

undone() {
	"$NSIMG" undo "$db" "$(sqlite3 "$db" "SELECT count(*) FROM edit_op WHERE undone IS NULL AND kind = 'edit'")" >/dev/null
	"$NSIMG" export "$db" "$BATS_TEST_TMPDIR/out"
	diff -r "$corpus/scenario/nested-veth" "$BATS_TEST_TMPDIR/out"
}

@test "readdress: words that cannot be" {
	refused "no prefix to go to" readdress 10.0.0.0/8 11.0.0.0/8 12.0.0.0/8
	refused "different lengths" readdress 10.0.0.0/8 11.0.0.0/16
	refused "different families" readdress 10.0.0.0/24 fd00::/24
	refused "bits beyond its length" readdress 10.0.0.1/24 11.0.0.0/24
	refused "expected a prefix" readdress eth0 11.0.0.0/24
	refused "multicast" readdress 224.0.0.0/8 225.0.0.0/8
	refused "would become one" readdress 10.10.0.0/24 10.99.0.0/24 10.20.0.0/24 10.99.0.0/24
	refused "no namespace 'ns99'" readdress 10.10.0.0/24 10.99.0.0/24 netns ns99
	refused "netns: which?" readdress 10.10.0.0/24 10.99.0.0/24 netns
	# who mistypes sees what there is
	refused "interfaces have 10.10.0.1/24" readdress 10.11.0.0/24 10.99.0.0/24
	refused "interfaces have fd00:10::1/64" readdress fd00:11::/64 fd00:99::/64
}

@test "readdress: an address that its namespace has already" {
	refused "10.10.0.3 would become 10.10.0.2, which the namespace has already" readdress 10.10.0.3 10.10.0.2
	refused "10.98.0.0/16 would become 10.99.0.0/16" readdress 10.98.0.0/16 10.99.0.0/16
	# not where both move, nor where it is meant
	done_with "10.10.0.2 -> 10.10.0.3" readdress 10.10.0.2 10.10.0.3 10.10.0.3 10.10.0.2
	done_with "10.10.0.3 -> 10.10.0.7" readdress --merge 10.10.0.3 10.10.0.7
	undone
}

@test "readdress: what is left has a reason" {
	sqlite3 "$db" "UPDATE firewall SET content = replace(content, 'ip saddr 10.20.0.0/30 masquerade',
		'ip saddr 10.20.0.0/16 accept comment \"net 10.20.0.1\"') WHERE format = 'nftables'"
	done_with "content 10.20.0.0/16: reaches beyond 10.20.0.0/24" readdress 10.20.0.0/24 10.21.0.0/24
	[[ $output == *"content net 10.20.0.1: an address inside a comment"* ]]
	"$NSIMG" undo "$db" >/dev/null
	# jeq #0x0a140001, in the form of sk_opts_entry.so_filter: what "tcpdump host 10.20.0.1" attaches
	sqlite3 "$db" "UPDATE socket SET so_filter = x'0100140a00001500' WHERE id = (SELECT min(id) FROM socket WHERE netns = 1)"
	done_with "so_filter 10.20.0.1: a packet filter looks for it" readdress 10.20.0.0/24 10.21.0.0/24
	[ "$(sqlite3 "$db" "SELECT instr(content, '10.20.0.0/16 accept comment \"net 10.20.0.1\"') > 0 FROM firewall WHERE netns = 1 AND format = 'nftables'")" = 1 ]
	# in JSON as well
	"$NSIMG" undo "$db" >/dev/null
	"$NSIMG" readdress "$db" 10.20.0.0/24 10.21.0.0/24 --dry-run --json >"$BATS_TEST_TMPDIR/report.json"
	[ "$(jq -r 'map(select(.action == "left"))[0].reason' "$BATS_TEST_TMPDIR/report.json")" = "content 10.20.0.0/16: reaches beyond 10.20.0.0/24" ]
	[ "$(jq 'all(.operation == null)' "$BATS_TEST_TMPDIR/report.json")" = true ]
}

@test "readdress: a gateway whose network no address is in any more is named" {
	done_with "its device has no address in the network of its gateway any more" \
		readdress 10.10.0.2 10.98.0.2 10.10.0.22 10.99.0.22 netns ns10
	# each of the two is the primary one of a network with a route now
	[ "$(sqlite3 "$db" "SELECT group_concat(dst || ' ' || prefsrc) FROM (SELECT dst, prefsrc FROM route WHERE protocol = 2
		AND \"table\" = 254 AND netns = (SELECT id FROM netns WHERE name = 'ns10') AND dst GLOB '10.9*' ORDER BY dst)")" = \
		"10.98.0.0/24 10.98.0.2,10.99.0.0/24 10.99.0.22" ]
	"$NSIMG" undo "$db" >/dev/null
	run "$NSIMG" readdress "$db" 10.10.0.22 10.99.0.22 netns ns10
	[ "$status" -eq 0 ] && [[ $output != *"no address in the network"* ]]
	undone
}

@test "readdress: only in a namespace" {
	done_with "10.10.0.2 -> 10.99.0.2" readdress 10.10.0.0/24 10.99.0.0/24 netns ns10
	[ "$(sqlite3 "$db" "SELECT group_concat(address) FROM (SELECT address FROM address WHERE address GLOB '10.*' ORDER BY id)")" = \
		10.10.0.1,10.20.0.1,10.99.0.2,10.99.0.22,10.10.0.3,10.20.0.2 ]
	# of the pair of sockets, the one in ns10 alone
	[ "$(sqlite3 "$db" "SELECT count(*) FROM inet_socket WHERE src = '10.99.0.22' AND dst = '10.99.0.3'")" = 1 ]
	[ "$(sqlite3 "$db" "SELECT count(*) FROM inet_socket WHERE src = '10.10.0.3' AND dst = '10.10.0.22'")" = 1 ]
	undone
}

@test "readdress: only the records with an address of it are others, and crit reads them" {
	command -v crit >/dev/null || skip "no crit"
	"$NSIMG" readdress "$db" 172.16.1.0/30 172.16.9.0/30 >/dev/null
	"$NSIMG" export "$db" "$BATS_TEST_TMPDIR/out"
	run diff -rq "$corpus/scenario/nested-veth" "$BATS_TEST_TMPDIR/out"
	[ "$(sed -E 's/.*\/([a-z0-9-]*\.img) differ/\1/' <<<"$output" | xargs)" = "ifaddr-10.img ifaddr-11.img route-10.img route-11.img" ]
	"$NSIMG" readdress "$db" 10.10.0.0/24 10.99.0.0/24 >/dev/null
	rm -rf "$BATS_TEST_TMPDIR/out"
	"$NSIMG" export "$db" "$BATS_TEST_TMPDIR/out"
	diff <(crit decode -i "$corpus/scenario/nested-veth/files.img" --pretty | sed 's/10\.10\.0\./10.99.0./') \
		<(crit decode -i "$BATS_TEST_TMPDIR/out/files.img" --pretty)
}

@test "readdress: all images at once; one without such an address is no error" {
	"$NSIMG" import "$db" "$corpus/limits/net-state" >/dev/null
	refused "several images" readdress 10.3.0.0/24 10.4.0.0/24
	done_with "10.3.0.1 -> 10.4.0.1" readdress 10.3.0.0/24 10.4.0.0/24 --image all
	[ "$(sqlite3 "$db" "SELECT count(*) FROM edit_op WHERE kind = 'edit'")" = 1 ]
	refused "nothing here has an address" readdress 10.3.0.0/24 10.4.0.0/24 --image all
}

@test "readdress: keys, sources, and sockets of other kinds in JSON and bytes" {
	# struct tcp_md5sig: AF_INET, 10.10.0.3, flags 1: a prefix of 32 bits; then one of IPv6
	local sig4 sig6
	sig4=020000000a0a0003$(printf '%0240d' 0)0120$(printf '%0172d' 0)
	sig6=0a00000000000000fd000010000000000000000000000003$(printf '%0208d' 0)0000$(printf '%0172d' 0)
	sqlite3 "$db" "UPDATE socket SET options = '{\"IP_TTL\":64,\"TCP_MD5SIG_EXT\":\"$sig4\",\"TCP_MD5SIG_EXT#2\":\"$sig6\",\"IP_MULTICAST_IF\":\"10.10.0.2\"}',
		memberships = '[{\"group\":\"232.1.2.3\",\"ifindex\":2,\"mode\":1,\"sources\":[\"10.10.0.3\",\"10.11.0.3\"]}]',
		local_addr = x'020000500a0a0002' WHERE id = 7"
	"$NSIMG" readdress "$db" 10.10.0.0/24 10.99.0.0/24 fd00:10::/64 fd00:99::/64 >/dev/null
	[ "$(sqlite3 "$db" "SELECT options FROM socket WHERE id = 7")" = \
		"{\"IP_TTL\":64,\"TCP_MD5SIG_EXT\":\"${sig4/0a0a0003/0a630003}\",\"TCP_MD5SIG_EXT#2\":\"${sig6/fd000010/fd000099}\",\"IP_MULTICAST_IF\":\"10.99.0.2\"}" ]
	[ "$(sqlite3 "$db" "SELECT memberships ->> '\$[0].sources' FROM socket WHERE id = 7")" = '["10.99.0.3","10.11.0.3"]' ]
	[ "$(sqlite3 "$db" "SELECT hex(local_addr) FROM socket WHERE id = 7")" = 020000500A630002 ]
}

# an archive of podman whose container was in a network
archive() {
	mkdir "$BATS_TEST_TMPDIR/archive"
	tar xf "$corpus/podman/c3.tar" -C "$BATS_TEST_TMPDIR/archive" || skip "no archive of podman in the corpus"
	cat >"$BATS_TEST_TMPDIR/archive/network.status" <<-'END'
	{"podman": {"interfaces": {"eth0": {"subnets": [{"ipnet": "10.88.0.5/16", "gateway": "10.88.0.1"}],
	 "mac_address": "82:0a:b0:11:22:33"}}, "dns_server_ips": ["10.88.0.1"], "serial": 9007199254740993}}
	END
	(cd "$BATS_TEST_TMPDIR/archive" && tar cf ../net.tar -- *)
	rm "$db"
	"$NSIMG" import "$db" "$BATS_TEST_TMPDIR/net.tar" >/dev/null
}

@test "network.status of an archive: addresses and MAC, exported, all else as it was; facts stay what was imported" {
	archive
	done_with "network.status" readdress 10.88.0.0/16 10.77.0.0/16
	# the container is in no such network in the image: only its MAC is known there
	sqlite3 "$db" "UPDATE device SET address = '82:0a:b0:11:22:33' WHERE id = 1"
	done_with "network.status" remac "$(sqlite3 "$db" "SELECT name FROM netns LIMIT 1")/lo" 82:0a:b0:11:22:44
	"$NSIMG" undo "$db" 3 >/dev/null
	"$NSIMG" readdress "$db" 10.88.0.0/16 10.77.0.0/16 >/dev/null
	"$NSIMG" export "$db" "$BATS_TEST_TMPDIR/out.tar"
	diff <(sed 's/10\.88\./10.77./g' "$BATS_TEST_TMPDIR/archive/network.status") <(tar xOf "$BATS_TEST_TMPDIR/out.tar" network.status)
	diff <(tar tf "$BATS_TEST_TMPDIR/net.tar") <(tar tf "$BATS_TEST_TMPDIR/out.tar")
	[ "$(sqlite3 "$db" "SELECT count(*) FROM image_fact WHERE value = '10.88.0.5/16'")" = 1 ]
	run sqlite3 "$db" "UPDATE image_fact SET value = 'x'"
	[[ $output == *"evidence and is not edited"* ]]
}

@test "rename: words that cannot be" {
	refused "did you mean 'device'" rename devise a b
	refused "are meant (ns10/eth0; ns11/eth0; ns12/eth0)" rename device eth0 x
	refused "did you mean 'vc'" rename device ns9/vcc x
	for name in "" a/b a:b "a b" 1234567890123456 . .. all default; do
		refused "is no name of a device" rename device ns9/vc "$name"
	done
	refused "another device of the namespace is called 'va'" rename device ns9/vc va
	sqlite3 "$db" "UPDATE device SET altnames = '[\"uplink\"]' WHERE name = 'va'"
	refused "another device of the namespace is called 'uplink'" rename device ns9/vc uplink
	refused "is another name (altname) of this device" rename device ns9/va uplink
	refused "is called vc already" rename device ns9/vc vc
	refused "lo is made by the kernel" rename device ns9/lo x
	refused "another namespace is called 'ns10'" rename netns ns9 ns10
	refused "is no name of a namespace" rename netns ns9 a/b
	refused "no namespace 'ns8'" rename netns ns8 x
}

@test "rename: rulesets, patterns, labels, comments" {
	sqlite3 "$db" "UPDATE firewall SET content = replace(content, 'counter packets 0 bytes 0 accept', 'accept comment \"to vc\"'),
			format = format WHERE netns = 1;
		UPDATE firewall SET content = replace(content, 'iifname \"br0\"', 'iifname \"v*\"') WHERE netns = 1;
		UPDATE address SET label = 'vc:a-long-label' WHERE label = 'vc'"
	done_with "a pattern that stands for the old name and not for the new one" rename device ns9/vc uplink
	[[ $output == *"'to vc': inside a comment"* ]]
	[[ $output == *"label would have more than 15 bytes"* ]]
	[ "$(sqlite3 "$db" "SELECT instr(content, 'oifname \"uplink\"') > 0 AND instr(content, 'iifname \"v*\"') > 0 FROM firewall WHERE netns = 1 AND format = 'nftables'")" = 1 ]
	undone_all() { "$NSIMG" undo "$db" >/dev/null; }
	undone_all
	[ "$(sqlite3 "$db" "SELECT count(*) FROM sysctl WHERE name GLOB '*/vc/*' AND netns = 1")" -gt 50 ]
}

@test "rename: a namespace without a pin keeps its new name through an export" {
	done_with "router" rename netns ns9 router
	"$NSIMG" export "$db" "$BATS_TEST_TMPDIR/out"
	"$NSIMG" import "$BATS_TEST_TMPDIR/again.db" "$BATS_TEST_TMPDIR/out" >/dev/null
	[ "$(sqlite3 "$BATS_TEST_TMPDIR/again.db" "SELECT name FROM netns WHERE ns_id = 9")" = router ]
	rm -r "$BATS_TEST_TMPDIR/out"
	undone
}

@test "remac: words that cannot be; an address that two devices have" {
	refused "is no MAC address" remac ns10/eth0 02:00:00:00:00
	refused "is a group address" remac ns10/eth0 01:00:5e:00:00:01
	refused "zeros" remac ns10/eth0 00:00:00:00:00:00
	refused "has the address 02:00:00:00:0a:02 already" remac ns10/eth0 02:00:00:00:0A:02
	refused "another device of the namespace has" remac ns10/eth0 0e:72:07:39:b7:5a
	refused "no MAC address to change" remac ns10/lo 02:00:00:00:00:01
	# the bridge took the address of its port
	done_with "ns9/br0" remac ns9/vb 02:00:00:00:00:44
	[ "$(sqlite3 "$db" "SELECT group_concat(address) FROM device WHERE netns = 1 AND name IN ('br0', 'vb')")" = "96:3f:9c:03:20:48,02:00:00:00:00:44" ]
	undone
}

@test "remac: packet memberships, rulesets, neighbours of other namespaces" {
	sqlite3 "$db" "UPDATE packet_socket SET mclist = '[{\"index\":2,\"type\":0,\"addr\":\"020000000a02\"}]' WHERE socket = (SELECT min(socket) FROM packet_socket);
		UPDATE firewall SET content = replace(content, 'tcp dport vmap @ports', 'ether saddr 02:00:00:00:0a:02 accept') WHERE netns = 1;
		INSERT INTO neighbour (image, netns, ifindex, family, dst, lladdr, state) VALUES (1, 1, 2, 10, 'fe80::ff:fe00:a02', '02:00:00:00:0a:02', 128)"
	[ "$(sqlite3 "$db" "SELECT count(*) FROM packet_socket WHERE mclist IS NOT NULL")" = 1 ] || skip "no packet socket in the image"
	done_with "fe80::ff:fe00:a02 -> fe80::ff:fe00:a99" remac ns10/eth0 02:00:00:00:0a:99
	[ "$(sqlite3 "$db" "SELECT mclist ->> '\$[0].addr' FROM packet_socket WHERE mclist IS NOT NULL")" = 020000000a99 ]
	[ "$(sqlite3 "$db" "SELECT instr(content, 'ether saddr 02:00:00:00:0a:99 accept') > 0 FROM firewall WHERE netns = 1 AND format = 'nftables'")" = 1 ]
	[ "$(sqlite3 "$db" "SELECT dst || lladdr FROM neighbour")" = "fe80::ff:fe00:a9902:00:00:00:0a:99" ]
}

@test "externalize: a key each" {
	refused "the key is empty" externalize ns9 ""
	done_with "outer" externalize ns9 outer
	refused "namespace ns9 has the key 'outer' already" externalize ns10 outer
	refused "no namespace 'ns8'" externalize ns8 key
	undone
}
