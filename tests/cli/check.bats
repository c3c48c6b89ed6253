#!/usr/bin/env bats
# nsimg check: what it finds is true of the image (what CRIU did with it is in the corpus' README; what is in a record
# is asked of crit and of the bytes), and nothing is found where CRIU restored.

load ../netns/helpers

setup_file() {
	[ -d "$CORPUS/scenario/nested-veth" ] || return 0
	local all=()
	for dir in "$CORPUS"/{limits,scenario,zdtm}/*/; do
		[ ! -e "$dir/inventory.img" ] || all+=("$dir")
	done
	"$NSIMG" import "$BATS_FILE_TMPDIR/all.db" "${all[@]}" >/dev/null
	"$NSIMG" import "$BATS_FILE_TMPDIR/nested.db" "$CORPUS/scenario/nested-veth" >/dev/null
	"$NSIMG" import "$BATS_FILE_TMPDIR/bridge.db" "$CORPUS/limits/bridge-no-port" >/dev/null
}

setup() {
	command -v sqlite3 >/dev/null || skip "no sqlite3"
	command -v crit >/dev/null || skip "no crit"
	need_corpus scenario/nested-veth
	db=$BATS_TEST_TMPDIR/a.db
}

# on NAME: $db is a copy of the database with that image
on() { cp "$BATS_FILE_TMPDIR/$1.db" "$db"; }

# codes: code and object of each finding in $db, but that of CRIU's lock, which nearly every image has, and of the pages,
# which the corpus has not of all images
codes() {
	local status=0
	"$NSIMG" check "$db" --json >"$BATS_TEST_TMPDIR/found" || status=$?
	[ "$status" -lt 2 ] || return 2
	python3 -c '
import json, sys
for f in json.load(open(sys.argv[1])):
    if f["code"] not in ("criu-lock", "no-pages"):
        print(f["code"], f["object"])' "$BATS_TEST_TMPDIR/found"
}

# edited SQL: of a client that is not nsimg, and that no trigger keeps from damage
edited() { sqlite3 "$db" "UPDATE edit_state SET importing = 2, op = -1; UPDATE edit_state SET op = 0; $1; UPDATE edit_state SET importing = 0, op = 0"; }

# finds SQL WHAT...: that edit of the nested image makes these findings (code and object, patterns) and no others
finds() {
	local sql=$1 i
	shift
	on nested
	edited "$sql"
	run codes
	echo "$sql: $output"
	[ "${#lines[@]}" = $# ]
	for ((i = 0; i < $#; i++)); do
		# shellcheck disable=SC2053 # it is a pattern
		[[ ${lines[i]} == ${*:i + 1:1} ]]
	done
}

@test "check: errors where CRIU failed because of the network, none where it restored" {
	run "$NSIMG" check "$BATS_FILE_TMPDIR/all.db" --image all --json
	[ "$status" -eq 1 ]
	printf '%s' "$output" >"$BATS_TEST_TMPDIR/found"
	sqlite3 "$BATS_FILE_TMPDIR/all.db" "SELECT id, source FROM image" >"$BATS_TEST_TMPDIR/images"
	python3 - "$BATS_TEST_TMPDIR" "$CORPUS/README.md" <<-'EOF'
		import json, os, re, sys
		tmp, readme = sys.argv[1:]
		restored = {}
		for line in open(readme):
		    m = re.match(r"- `([^`]*)`.*[Rr]estored: (yes|NO)", line)
		    if m:
		        restored[m.group(1)] = m.group(2) == "yes"
		name = dict(l.rstrip("/\n").split("|") for l in open(tmp + "/images"))
		found = {}
		for f in json.load(open(tmp + "/found")):
		    found.setdefault(os.path.basename(name[str(f["image"])]), set()).add((f["severity"], f["code"]))
		bad = {n: f for n, f in found.items() if restored[n] and any(s == "error" for s, c in f)}
		assert not bad, bad
		assert len(name) > 100, name
		missed = {n for n, ok in restored.items() if not ok and not found.get(n, set()) - {("warning", "criu-lock"), ("warning", "no-pages")}}
		assert not missed, missed
		want = {"bridge-no-port": {"bridge-mac", "route-dead"}, "veth-linkdown": {"route-dead"},
		        "veth-outside": {"veth-peer-outside"}, "userns-root": {"root-userns"}, "macvlan.ns": {"macvlan-parent"},
		        "veth-same-name-external": {"veth-peer-outside", "external-name-twice", "route-dead"}}
		for n, codes in want.items():
		    assert {c for s, c in found[n]} - {"criu-lock", "no-pages"} == codes, (n, found[n])
	EOF
	run "$NSIMG" restore --criu --dry-run "$BATS_FILE_TMPDIR/all.db" --image \
		"$(sed -n 's,|.*/userns-root/*$,,p' "$BATS_TEST_TMPDIR/images")"
	[[ $status = 1 && $output == *"(holder) is in a user namespace of its own, from which CRIU may not enter"* ]]
}

@test "check: file, record and offset are those of the object" {
	on bridge
	codes >/dev/null || true
	python3 - "$BATS_TEST_TMPDIR/found" "$CORPUS/limits/bridge-no-port" <<-'EOF'
		import json, struct, subprocess, sys
		found = {f["code"]: f for f in json.load(open(sys.argv[1]))}
		mac = found["bridge-mac"]
		said = json.loads(subprocess.check_output(["crit", "decode", "-i", sys.argv[2] + "/" + mac["file"]]))
		link = said["entries"][mac["record"]]
		assert link["name"] == "br0" and link["type"] == "BRIDGE", link
		dead = found["route-dead"]
		b = open(sys.argv[2] + "/" + dead["file"], "rb").read()[dead["offset"]:]
		length, kind = struct.unpack_from("<IH", b)
		family, dst_len, flags = b[16], b[17], struct.unpack_from("<I", b, 24)[0]
		assert kind == 24 and family == 2 and dst_len == 16 and flags & 16, (kind, family, dst_len, flags)
	EOF
	run "$NSIMG" check "$db"
	[ "$status" -eq 1 ]
	[[ $output == *"error bridge-mac (criu): "*"ns9/br0 (netdev-9.img record 1 offset 500)"*"2 errors, 1 warning"* ]]
	run "$NSIMG" check "$db" port-twice
	[ "$status" -eq 0 ] && [ "$output" = "nothing found" ]
	run "$NSIMG" check "$db" bridge-mc
	[ "$status" -eq 2 ] && [[ $output == *"did you mean 'bridge-mac'"* ]]
}

@test "check: addresses of sockets" {
	# what CRIU 4.2.1 fails on is in tests/criu/engine-dump.bats
	finds "UPDATE inet_socket SET dst = '10.10.0.255' WHERE src = '10.10.0.22'" 'udp-address inet/dgram 10.10.0.22:5000 -> 10.10.0.255:*'
	finds "UPDATE inet_socket SET dst = '10.20.0.2' WHERE src = '10.10.0.22'"
	finds "UPDATE inet_socket SET src = '10.20.0.9' WHERE src = '10.20.0.2';
		UPDATE inet_socket SET src = '::ffff:10.20.0.9' WHERE src_port = 8080;
		DELETE FROM address WHERE address = '10.10.0.22'" \
		'bind-address inet/dgram 10.10.0.22:5000 -> *' 'bind-address inet/stream 10.20.0.9:80 * netns ns12' \
		'bind-deaf inet6/stream \[::ffff:10.20.0.9\]:8080 *'
	# CRIU binds it again, whoever dumped the rest (nsimg dump --criu)
	edited "UPDATE image SET format = 'nsimg'"
	run codes
	[[ $output == *"bind-address inet/dgram 10.10.0.22:5000"* ]]
	# the kernel gives lo its address when it is set up
	unshare -n bash -c 'ip link set lo up && ip address del 127.0.0.1/8 dev lo && ip link set lo down && ip link set lo up && ip address show lo' |
		grep 'inet 127.0.0.1/8'
	finds "DELETE FROM address WHERE address = '127.0.0.1'"
	# all of 127.0.0.0/8 is local, as is what a local route says; groups and broadcasts are of no device
	finds "UPDATE inet_socket SET src = '127.3.2.1' WHERE src = '127.0.0.1';
		UPDATE inet_socket SET src = '198.51.100.7' WHERE src = '10.10.0.3';
		UPDATE route SET type = 2 WHERE dst = '198.51.100.0/24';
		UPDATE inet_socket SET src = '224.0.0.251' WHERE src = '10.10.0.22';
		UPDATE inet_socket SET src = '255.255.255.255' WHERE src = '10.10.0.2'"
	# the last one of a network is its broadcast address, also where the address names none
	unshare -n bash -c 'ip link add va0 type veth peer vb0 && ip address add 10.1.0.1/24 dev va0 && ip link set va0 up &&
		python3 -c "import socket; socket.socket(socket.AF_INET, socket.SOCK_DGRAM).bind((\"10.1.0.255\", 7))"'
	finds "UPDATE address SET broadcast = NULL; UPDATE inet_socket SET src = '10.20.0.3' WHERE src = '10.20.0.2'"
}

@test "check: devices of sockets" {
	finds "UPDATE socket SET so_bound_dev = 'eth7' WHERE so_bound_dev = 'eth0';
		UPDATE packet_socket SET ifindex = 77 WHERE socket = (SELECT min(socket) FROM packet_socket);
		UPDATE socket SET memberships = '[{\"group\":\"239.1.2.3\",\"ifindex\":77}]' WHERE ino = 11683942" \
		'bind-device packet/*' 'bind-device inet/dgram 0.0.0.0:67 *' 'bind-device inet6/dgram \[::\]:5353 *'
}

@test "check: ports and names of sockets" {
	# the same address; 0.0.0.0 and an address; :: and 0.0.0.0 (ns12 has 0.0.0.0:81)
	finds "UPDATE inet_socket SET src_port = 81 WHERE src = '10.20.0.2';
		UPDATE inet_socket SET src = '::', src_port = 81, v6only = 0 WHERE src = '::1';
		UPDATE inet_socket SET src = '10.10.0.2' WHERE src = '127.0.0.1';
		UPDATE socket SET so_reuseport = 0 WHERE ino IN (11683480, 11683481);
		UPDATE unix_socket SET name = '\\x00abstract-one' WHERE name = '/srv/nsimg/run/nv/stream.sock'" \
		'port-twice inet/dgram 0.0.0.0:53 *' 'port-twice inet/stream 10.10.0.2:80 *' 'port-twice inet/stream 10.20.0.2:81 *' \
		'port-twice inet6/stream \[::\]:81 *' 'unix-name-twice unix/stream *'
	# IPV6_V6ONLY, other devices, SO_REUSEPORT of one of them (the other may have dropped it once it was bound)
	finds "UPDATE inet_socket SET src = '::', src_port = 81, v6only = 1 WHERE src = '::1';
		UPDATE inet_socket SET src_port = 81 WHERE src = '10.20.0.2';
		UPDATE socket SET so_bound_dev = 'eth0' WHERE ino = 11683974;
		UPDATE socket SET so_bound_dev = 'cb0' WHERE ino = 11683971;
		UPDATE socket SET so_reuseport = 0 WHERE ino = 11683480"
	# no edit of them, and no option: they gave it up once they were bound
	edited "UPDATE socket SET so_reuseport = 0; DELETE FROM edit_log"
	run codes
	[ "$output" = "port-shared inet/dgram 0.0.0.0:53 ino 11683481 netns ns9" ] || { echo "$output"; false; }
	# SO_REUSEADDR is enough for those that do not listen
	finds "UPDATE socket SET so_reuseport = 0, reuseaddr = 1 WHERE ino IN (11683480, 11683481)"
}

@test "check: devices and routes" {
	finds "UPDATE route SET nh_id = 7, gateway = NULL, oif = NULL WHERE dst = '10.30.0.0/16';
		UPDATE route SET flags = 1 WHERE dst = '10.31.0.0/16';
		UPDATE route SET multipath = json_set(multipath, '\$[1].flags', 20) WHERE multipath IS NOT NULL;
		UPDATE device SET flags = flags & ~1 WHERE name = 'bc0';
		UPDATE device SET address = '00:00:00:00:00:00' WHERE name = 'br0';
		UPDATE device SET peer_netns = NULL WHERE name = 'eth0' AND address IN ('02:00:00:00:0a:02', 'f6:23:bb:c3:db:61')" \
		'veth-peer-outside ns10/eth0' 'veth-peer-outside ns11/eth0' 'external-name-twice ns10/eth0' 'external-name-twice ns11/eth0' \
		'bridge-mac ns9/br0' 'route-dead 10.31.0.0/16 *' 'route-dead 10.99.0.0/16 *' 'route-nexthop 10.30.0.0/16 *' \
		'route-device-down 172.16.2.2 dev bc0 *' 'route-device-down * dev bc0 *'
	# the kernel looks at the flags of routes for IPv4 alone; other names are no matter for --external
	finds "UPDATE route SET flags = 16 WHERE family = 10; UPDATE device SET peer_netns = NULL WHERE name IN ('ab0', 'ba0')" \
		'veth-peer-outside *' 'veth-peer-outside *'
	finds "UPDATE nsid SET value = 0 WHERE netns = (SELECT id FROM netns WHERE ns_id = 9)" 'nsid-twice *'
	finds "UPDATE netns SET ns_id = 11 WHERE ns_id = 12" 'nsid-twice *'
	# bc0 is of another namespace
	finds "UPDATE device SET name = 'br0' WHERE name = 'va'; UPDATE device SET name = 'va' WHERE name = 'bc0'" 'device-twice ns9/br0'
	finds "INSERT INTO device (image, netns, ifindex, name, kind, flags) SELECT image, netns, ifindex, 'dummy7', 'dummy', 1 FROM device
		WHERE name = 'br0'" 'device-twice ns9/dummy7'
	finds "INSERT INTO route SELECT 999, image, NULL, NULL, NULL, netns, family, dst, src, \"table\", type, protocol, scope, tos, 0, priority, oif, iif, gateway,
		via, prefsrc, nh_id, pref, metrics, multipath, other FROM route WHERE dst = '10.31.0.0/16'" 'route-twice 10.31.0.0/16 *'
}

@test "check: ways to gateways, preferred sources, ways to the other ends of connections" {
	finds "UPDATE route SET gateway = '10.250.0.1' WHERE dst = '10.30.0.0/16';
		UPDATE route SET multipath = json_set(multipath, '\$[0].gateway', '10.250.0.2') WHERE multipath IS NOT NULL;
		UPDATE route SET prefsrc = '10.99.99.1' WHERE dst = '10.31.0.0/16'" \
		'route-gateway 10.30.0.0/16 *' 'route-gateway 10.99.0.0/16 *' 'route-prefsrc 10.31.0.0/16 *'
	# on the link, or in the network of a route of scope link
	finds "UPDATE route SET gateway = '10.250.0.1', flags = 4 WHERE dst = '10.30.0.0/16'"
	finds "UPDATE route SET gateway = '10.250.0.1' WHERE dst = '10.30.0.0/16'; INSERT INTO route (image, netns, family, dst, \"table\", type,
		protocol, scope, oif) SELECT image, netns, 2, '10.250.0.1', 254, 1, 3, 253, oif FROM route WHERE dst = '10.30.0.0/16'"
	# the kernel's route to an address that is gone does not give it back
	finds "UPDATE route SET prefsrc = '10.99.99.1' WHERE dst = '10.31.0.0/16'; INSERT INTO route (image, netns, family, dst, \"table\", type,
		protocol, scope, oif, prefsrc) SELECT image, netns, 2, '10.99.99.1', 255, 2, 2, 254, oif, '10.99.99.1' FROM route WHERE dst = '10.31.0.0/16'" \
		'route-prefsrc 10.31.0.0/16 *'
	# an own address leads over lo, also when its device is down
	unshare -n bash -c 'ip link set lo up && ip link add va0 type veth peer vb0 && ip address add 10.1.0.1/24 dev va0 && ip route get 10.1.0.1' | grep local
	on nested
	edited "UPDATE inet_socket SET dst = src WHERE dst = '10.10.0.3'; DELETE FROM route WHERE netns = (SELECT id FROM netns WHERE ns_id = 10);
		UPDATE device SET flags = flags & ~1 WHERE netns = (SELECT id FROM netns WHERE ns_id = 10)"
	run "$NSIMG" check "$db" no-route
	[ "$output" = "nothing found" ]
	# drop takes the hops along that the address leads to; the other one is said to be on the link
	on nested
	[ "$(sqlite3 "$db" "SELECT multipath ->> '\$[0].gateway' FROM route WHERE multipath IS NOT NULL")" = 10.20.0.1 ]
	"$NSIMG" drop "$db" address 10.20.0.2/30 --sockets >/dev/null
	[ "$(sqlite3 "$db" "SELECT multipath ->> '\$[0].gateway' FROM route WHERE json_array_length(multipath) = 1")" = 172.16.2.1 ]
	run "$NSIMG" check "$db" route-gateway route-prefsrc
	[ "$output" = "nothing found" ]
}

@test "check: references" {
	finds "UPDATE device SET master = 77 WHERE name = 'va';
		UPDATE device SET link = 77 WHERE name = 'cb0';
		UPDATE address SET ifindex = 77 WHERE address = 'fd00:20::2';
		UPDATE route SET oif = 77 WHERE dst = '10.30.0.0/16';
		UPDATE route SET multipath = json_set(multipath, '\$[1].oif', 77) WHERE multipath IS NOT NULL;
		UPDATE unix_socket SET peer = 4711 WHERE peer <> 0;
		UPDATE task SET ppid = 4711 WHERE pid = 18;
		UPDATE socket SET file_id = 4711 WHERE ino = 11683974" \
		'ref-file fd * of files 5' 'ref-device fd00:20::2/126 *' 'ref-device ns9/va' 'ref-device ns12/cb0' \
		'ref-device 10.30.0.0/16 *' 'ref-device 10.99.0.0/16 *' 'ref-peer unix/dgram *' 'ref-task holder\(18\)'
}

@test "check: descriptors, and what is lower" {
	finds "INSERT INTO fd (image, files_id, fd, file_id, type, flags) SELECT image, files_id, fd, file_id, type, flags FROM fd ORDER BY id
		LIMIT 1" 'fd-twice fd *'
	finds "UPDATE device SET kind = 'macvlan', link = 2, peer_netns = netns WHERE name = 'va'" 'macvlan-inside ns9/va'
	rm "$db"
	"$NSIMG" import "$db" "$CORPUS/zdtm/tun_ns.ns" >/dev/null
	edited "UPDATE tun_file SET netdev = 'tun9' WHERE id = (SELECT min(id) FROM tun_file WHERE netdev <> '')"
	run codes
	echo "$output"
	[ "${#lines[@]}" = 1 ] && [[ $output == "bind-device "* ]]
}

@test "check: what is missing of an image on disk" {
	img=$BATS_TEST_TMPDIR/img
	cp -r "$CORPUS/scenario/tcp-established" "$img"
	rm "$(find "$img" -name 'tcp-stream-*.img' | sort | head -1)" "$img/core-11.img"
	"$NSIMG" import "$db" "$img" >/dev/null
	run codes
	echo "$output"
	[ "${#lines[@]}" = 2 ] && [[ $output == *"ref-stream inet"*"ref-task"* ]]
	for kind in inventory pstree; do
		rm -rf "$db" "$img" && cp -r "$CORPUS/scenario/tcp-established" "$img"
		rm "$img/$kind.img"
		"$NSIMG" import --salvage "$db" "$img" >/dev/null
		run "$NSIMG" check "$db" ref-task
		[ "$status" -eq 1 ] && [[ $output == *"image 1 (img): there is no $kind.img"* ]]
		run "$NSIMG" restore --criu --dry-run "$db"
		[ "$status" -eq 1 ] && [[ $output == *"the image has no $kind.img: CRIU cannot read it"* ]]
	done
	for kind in ids mm pagemap fs; do
		rm -rf "$db" "$img" && cp -r "$CORPUS/scenario/tcp-established" "$img"
		rm "$img/$kind-11.img"
		"$NSIMG" import "$db" "$img" >/dev/null
		run "$NSIMG" check "$db" ref-task
		[ "$status" -eq 1 ] && [[ $output == *"(11): there is no $kind-11.img "* ]]
	done
	rm "$db"
	# a file with pages, of which one task has some; then all of them
	rm -rf "$img" && cp -r "$CORPUS/scenario/tcp-established" "$img"
	number=$(crit decode -i "$img/pagemap-11.img" | python3 -c 'import json, sys; print(json.load(sys.stdin)["entries"][0]["pages_id"])')
	rm "$img/pages-$number.img"
	"$NSIMG" import "$db" "$img" >/dev/null
	run codes
	echo "$output"
	[ "$output" = "ref-pages pagemap-11.img" ]
	rm "$db" "$img"/pages-*.img
	"$NSIMG" import "$db" "$img" >/dev/null
	run "$NSIMG" check "$db" ref-pages no-pages
	echo "$output"
	[ "$status" -eq 1 ] && [[ $output == "warning no-pages "*"there is no pages-"*"0 errors, 1 warning" ]]
	rm "$db"
	cp -r "$CORPUS/scenario/private-network" "$img.2"
	truncate -s -1200 "$img.2/files.img"
	rm "$img.2"/{netns,netdev,ifaddr,route,route6,rule}-10.img
	"$NSIMG" import "$db" "$img.2" --salvage >/dev/null
	run codes
	echo "$output"
	[[ $output == *"ref-file fd"*"ref-netns ns10"*"damaged files.img"* ]]
}

@test "check: a descriptor of a pipe, a regular file, that is in no image" {
	img=$BATS_TEST_TMPDIR/img
	cp -r "$CORPUS/zdtm/file_fown.h" "$img"
	# the first of each kind that a descriptor has, taken out by crit; which descriptors have it
	python3 - "$img" >"$BATS_TEST_TMPDIR/lost" <<-'EOF'
		import glob, json, subprocess, sys
		def crit(do, i, *more):
		    return subprocess.check_output(["crit", do, "-i", i, *more])
		img = sys.argv[1]
		fds = [f for i in sorted(glob.glob(img + "/fdinfo-*.img")) for f in json.loads(crit("decode", i))["entries"]]
		lost = {t: next(f["id"] for f in fds if f["type"] == t) for t in ("PIPE", "REG")}
		files = json.loads(crit("decode", img + "/files.img"))
		files["entries"] = [f for f in files["entries"] if f["id"] not in lost.values()]
		json.dump(files, open(img + ".json", "w"))
		crit("encode", img + ".json", "-o", img + "/files.img")
		for f in fds:
		    if f["id"] in lost.values():
		        print("ref-file fd %d file %d (%s)" % (f["fd"], f["id"], {"PIPE": "pipe", "REG": "regular"}[f["type"]]))
	EOF
	"$NSIMG" import "$db" "$img" >/dev/null
	"$NSIMG" check "$db" --json >"$BATS_TEST_TMPDIR/found" || [ $? -eq 1 ]
	python3 - "$BATS_TEST_TMPDIR" <<-'EOF'
		import json, sys
		tmp = sys.argv[1]
		want = sorted(open(tmp + "/lost").read().splitlines())
		found = sorted(" ".join([f["code"], *f["object"].split()[:2], f["detail"]]) for f in json.load(open(tmp + "/found"))
		               if f["code"] == "ref-file")
		assert want and found == want, (found, want)
	EOF
	"$NSIMG" fix "$db" ref-file >/dev/null
	run "$NSIMG" check "$db" ref-file
	[ "$output" = "nothing found" ]
}

@test "check: rulesets that break off" {
	img=$BATS_TEST_TMPDIR/img
	for size in 10 200 500 700; do
		rm -rf "$img" "$db"
		cp -r "$CORPUS/scenario/nested-veth" "$img"
		truncate -s $size "$img/nftables-9.img"
		"$NSIMG" import "$db" "$img" >/dev/null
		run codes
		echo "$size: $output"
		[ "$output" = "ruleset-cut nftables netns ns9" ]
		# the peer agrees
		! unshare --net nft -c -f "$img/nftables-9.img" || return 1
	done
	finds "UPDATE firewall SET format = 'iptables', content = '*nat' || char(10) || '-A OUTPUT -j ACCEPT' WHERE id = (SELECT min(id) FROM firewall WHERE format = 'nftables')" \
		'ruleset-cut iptables*'
	finds "UPDATE firewall SET content = replace(content, 'chain input {', 'chain input { # \"{')"
}

# ---- repairs ----

# exported WORD...: $db as a folder in $out
exported() {
	out=$BATS_TEST_TMPDIR/out
	rm -rf "$out"
	"$NSIMG" export "$db" "$out" "$@"
}

# given FOLDER FILE: the kernel takes these routes, in a namespace with the device br0 or m0 as the image has it
given() {
	unshare --net bash -c 'ip link set lo up
		if [[ $1 == *bridge* ]]; then
			ip link add br0 index 2 address 02:00:00:00:00:07 type bridge && ip address add 172.17.0.1/16 dev br0 && ip link set br0 up
		else
			ip link add m0 index 3 type veth peer name m1 index 2 && ip address add 10.0.0.1/24 dev m0 && ip link set m0 up
		fi
		ip route restore <"$2"' - "$1" "$2"
}

@test "fix: the kernel takes what it refused, check is silent, undo gives the image back" {
	need_root
	for name in bridge-no-port veth-linkdown; do
		img=$CORPUS/limits/$name
		rm -f "$db" && "$NSIMG" import "$db" "$img" >/dev/null
		run given "$name" "$img/route-9.img"
		[ "$status" -ne 0 ] && [[ $output == *"Invalid rtm_flags"* ]]
		"$NSIMG" fix "$db" all
		run "$NSIMG" check "$db" --errors
		[ "$status" -eq 0 ]
		exported
		given "$name" "$out/route-9.img"
		[ "$(ip route showdump <"$out/route-9.img" | grep -c .)" = "$(ip route showdump <"$img/route-9.img" | grep -c linkdown)" ]
		[ "$name" != bridge-no-port ] ||
			crit decode -i "$out/netdev-9.img" | jq -r '.entries[1].address' | base64 -d | xxd -p | grep '^02[0-9a-f]\{10\}$'
		"$NSIMG" log "$db" | grep 'fix all'
		"$NSIMG" undo "$db" >/dev/null
		exported
		diff -r "$img" "$out"
	done
}

@test "fix: routes with nexthop objects become plain ones, of one hop and of several" {
	need_root
	img=$BATS_TEST_TMPDIR/img
	cp -r "$CORPUS/limits/veth-linkdown" "$img"
	cat >"$BATS_TEST_TMPDIR/net.sh" <<-'EOF'
		ip link set lo up
		ip link add m0 index 2 type veth peer name m1 index 3
		ip address add 10.0.0.1/24 dev m0
		ip link set m1 up && ip link set m0 up
	EOF
	unshare --net bash -ec '. "$1"
		ip nexthop add id 7 via 10.0.0.9 dev m0; ip nexthop add id 8 via 10.0.0.8 dev m0; ip nexthop add id 9 group 7/8,3
		ip route add 10.6.0.0/16 nhid 7; ip route add 10.7.0.0/16 nhid 9; ip route save >"$2"' - "$BATS_TEST_TMPDIR/net.sh" "$img/route-9.img"
	"$NSIMG" import "$db" "$img" >/dev/null
	run codes
	[ "${#lines[@]}" = 2 ] && [[ $output == *"route-nexthop 10.6.0.0/16 "*"route-nexthop 10.7.0.0/16 "* ]]
	"$NSIMG" fix "$db" route-nexthop
	exported
	run unshare --net bash -ec '. "$1"; ip route restore <"$2"; ip route' - "$BATS_TEST_TMPDIR/net.sh" "$out/route-9.img"
	[ "$status" -eq 0 ]
	[[ $output == *"10.6.0.0/16 via 10.0.0.9 dev m0"* ]]
	[[ $output == *"10.7.0.0/16"*"nexthop via 10.0.0.9 dev m0 weight 1"*"nexthop via 10.0.0.8 dev m0 weight 3"* ]]
}

@test "fix: a route whose nexthop object is lost: nsimg cannot restore the image, and restores what fix made of it" {
	need_root
	cat >"$BATS_TEST_TMPDIR/lost.sh" <<-'EOF'
		db=$2
		mount -t tmpfs test /run && mkdir /run/netns
		ip netns add a
		ip netns exec a bash -ec '. "$1"; ip nexthop add id 7 via 10.0.0.9 dev m0; ip route add 10.6.0.0/16 nhid 7' - "$1"
		"$NSIMG" dump --netns a -o "$db" >/dev/null
		ip netns delete a
		sqlite3 "$db" "UPDATE edit_state SET importing = 2, op = -1; UPDATE edit_state SET op = 0; DELETE FROM nexthop; UPDATE edit_state SET importing = 0, op = 0"
		"$NSIMG" check "$db" && exit 1
		"$NSIMG" restore "$db" && exit 1
		"$NSIMG" fix "$db" ref-nexthop && "$NSIMG" check "$db"
		"$NSIMG" restore "$db"
		ip -n a route | sed 's/^/restored: /'
	EOF
	cat >"$BATS_TEST_TMPDIR/net.sh" <<-'EOF'
		ip link set lo up
		ip link add m0 index 2 type veth peer name m1 index 3
		ip address add 10.0.0.1/24 dev m0
		ip link set m1 up && ip link set m0 up
	EOF
	run unshare --net --mount --propagation private bash -e "$BATS_TEST_TMPDIR/lost.sh" "$BATS_TEST_TMPDIR/net.sh" "$db"
	echo "$output"
	[ "$status" -eq 0 ]
	[[ $output == *"error ref-nexthop (nsimg)"*"10.6.0.0/16 "*"nexthop id 7"*"1 error, 0 warnings"* ]]
	[[ $output == *"route a 10.6.0.0/16 "*"Nexthop id does not exist"*"restored: 10.6.0.0/16 via 10.0.0.9 dev m0"* ]]
}

@test "fix: CRIU's lock goes with the tables that were there for it alone, the rules of the user stay" {
	on nested
	was=$(sqlite3 "$db" "SELECT content FROM firewall WHERE content LIKE '%CRIU%' ORDER BY id LIMIT 1")
	sqlite3 "$db" "UPDATE firewall SET content = content || 'table ip filter2 {
		chain INPUT {
			tcp dport 22 accept
		}
	}
	' WHERE content LIKE '%CRIU%'"
	[[ $was == *"chain CRIU"* ]]
	"$NSIMG" fix "$db" criu-lock
	is=$(sqlite3 "$db" "SELECT content FROM firewall WHERE format = 'nftables' ORDER BY id LIMIT 1")
	echo "$is"
	[[ $is != *CRIU* ]] && [[ $is == *"tcp dport 22 accept"* ]]
	[ "$(grep -v 'CRIU' <<<"$was" | grep -c 'saddr\|daddr\|dport\|dnat')" = "$(grep -v 'tcp dport 22' <<<"$is" | grep -c 'saddr\|daddr\|dport\|dnat')" ]
	[[ $is != *"table ip filter {"* ]]
	exported
	# CRIU that finds no lock is told that there was none
	[ "$(crit decode -i "$out/inventory.img" | jq '.entries[0].network_lock_method')" = 2 ]
	run "$NSIMG" check "$db" criu-lock
	[ "$status" -eq 0 ]
	# a table of the user of that name stays, as does one with a rule of his
	on bridge
	sqlite3 "$db" "UPDATE firewall SET content = replace(content, 'jump CRIU', 'jump CRIU
		tcp dport 80 drop')"
	"$NSIMG" fix "$db" criu-lock
	[ "$(sqlite3 "$db" "SELECT content FROM firewall WHERE format = 'nftables'" | grep -c 'tcp dport 80 drop')" = 4 ]
}

@test "fix: references; what has no repair is said" {
	on nested
	edited "UPDATE socket SET file_id = 4711 WHERE ino = 11683974; UPDATE device SET master = 77 WHERE name = 'va';
		UPDATE address SET ifindex = 77 WHERE address = 'fd00:20::2'; UPDATE device SET link = 77 WHERE name = 'cb0'"
	run "$NSIMG" fix "$db" ref-file ref-device
	echo "$output"
	[[ $output == *"ns12/cb0"*"its other end is lost"* ]]
	run codes
	[ "$output" = "ref-device ns12/cb0" ]
	run "$NSIMG" fix "$db" port-twice
	[ "$status" -eq 2 ] && [[ $output == *"without knowing what is meant; change the port"* ]]
	run "$NSIMG" fix "$db" bridge-mac
	[ "$status" -eq 2 ] && [[ $output == *"finds nothing"* ]]
}

# ---- export ----

@test "export: new damage is refused by name, unless forced; what came in broken goes out" {
	on nested
	"$NSIMG" set "$db" socket sport = :80 and src = 10.20.0.2 sport=81 >/dev/null
	before=$(sha256sum <"$db")
	run "$NSIMG" export "$db" "$BATS_TEST_TMPDIR/out"
	echo "$output"
	[ "$status" -eq 2 ] && [[ $output == *"port-twice: inet/stream 10.20.0.2:81 "*"--force"* ]]
	[ ! -e "$BATS_TEST_TMPDIR/out" ] && [ "$before" = "$(sha256sum <"$db")" ] && [ ! -e "$db-journal" ]
	exported --force
	[ "$(diff -rq "$CORPUS/scenario/nested-veth" "$out" | grep -c differ)" = 1 ]
	# by a client that is not ours
	"$NSIMG" undo "$db" >/dev/null
	sqlite3 "$db" "DELETE FROM address WHERE address = '10.20.0.2'"
	run "$NSIMG" export "$db" "$BATS_TEST_TMPDIR/out2"
	[ "$status" -eq 2 ] && [[ $output == *"bind-address: inet/stream 10.20.0.2:80 "* ]]

	on bridge
	exported
	"$NSIMG" set "$db" device br0 mtu=1400 >/dev/null
	exported
	"$NSIMG" undo "$db" >/dev/null
	exported
	diff -r "$CORPUS/limits/bridge-no-port" "$out"
	sqlite3 "$db" "UPDATE route SET flags = 16 WHERE family = 2; INSERT INTO route (image, netns, family, dst, \"table\", type, protocol, scope,
		flags, oif) SELECT image, netns, 2, '10.9.0.0/16', 254, 1, 4, 253, 16, oif FROM route WHERE family = 2"
	run "$NSIMG" export "$db" "$BATS_TEST_TMPDIR/out3"
	[ "$status" -eq 2 ] && [[ $output == *"route-dead: 10.9.0.0/16 "* ]]
}

@test "a value of a sysctl that the kernel does not take, and none that it does" {
	local row path low high
	# writes PATH VALUE: does a kernel take it
	writes() { unshare -n sh -c 'echo "$2" 2>/dev/null >"/proc/sys/$1"' sh "$@" 2>/dev/null; }
	[ "$(id -u)" -eq 0 ] || skip "needs root"
	for row in net/ipv6/conf/lo/hop_limit:1:255 net/ipv6/conf/lo/addr_gen_mode:0:3 net/ipv6/conf/lo/ioam6_id:0:65535 \
		net/ipv4/ip_default_ttl:1:255 net/unix/max_dgram_qlen:-2147483648:2147483647 \
		net/ipv4/conf/lo/tag:-2147483648:2147483647 net/ipv6/conf/lo/accept_ra:-2147483648:2147483647; do
		IFS=: read -r path low high <<<"$row"
		[ -e "/proc/sys/$path" ] || continue
		writes "$path" "$low" && writes "$path" "$high"
		! writes "$path" $((low - 1)) && ! writes "$path" $((high + 1))
		finds "UPDATE sysctl SET name = '$path', value = '$((high + 1))' WHERE id = 1" 'sysctl-range *'
		finds "UPDATE sysctl SET name = '$path', value = '$((low - 1))' WHERE id = 1" 'sysctl-range *'
		finds "UPDATE sysctl SET name = '$path', value = '$low' WHERE id = 1; UPDATE sysctl SET name = '$path.other', value = '$high' WHERE id = 2"
	done
}
