#!/usr/bin/env bats
# Restore of namespaces: the state comes back, or nothing of it does. Images are CRIU's (../shared/corpus).

load helpers

setup() {
	need_root
	need_corpus scenario/nested-veth
	export DB=$BATS_TEST_TMPDIR/case.db
	"$NSIMG" import "$DB" "$CORPUS/scenario/nested-veth" >/dev/null
}

run_private() {
	run private "$@"
	echo "$output"
	[ "$status" -eq 0 ]
}

@test "nested-veth: links, addresses, routes, rules are what they were before CRIU dumped them" {
	run_private '"$NSIMG" restore "$DB" --no-tasks || exit
		"$SETTLE" /run/netns/* || exit
		python3 "$TESTS/netns/corpus_compare.py" "$CORPUS/scenario/nested-veth/snapshot.json" ns9 ns10 ns11 ns12'
}

@test "deep: a chain of 21 namespaces" {
	need_corpus scenario/deep
	rm "$DB"
	"$NSIMG" import "$DB" "$CORPUS/scenario/deep" >/dev/null
	run_private '"$NSIMG" restore "$DB" --no-tasks || exit
		"$SETTLE" /run/netns/* || exit
		python3 "$TESTS/netns/corpus_compare.py" "$CORPUS/scenario/deep/snapshot.json" $(seq -f ns%g 9 29)'
}

@test "nft and iptables rulesets are there, packets go through the restored network" {
	run_private '"$NSIMG" restore "$DB" --no-tasks >/dev/null || exit
		nsenter --net=/run/netns/ns10 nft list ruleset | grep -q "tcp dport 9999 reject" || fail "nft"
		nsenter --net=/run/netns/ns12 iptables-legacy-save | grep -q "^-A" || fail "iptables"
		for address in 10.10.0.1 fd00:10::1; do
			nsenter --net=/run/netns/ns9 python3 -c "
import socket, sys
s = socket.create_server((sys.argv[1], 777), family=socket.AF_INET6 if \":\" in sys.argv[1] else socket.AF_INET)
s.accept()[0].send(b\"here\")" "$address" &
			for _ in $(seq 200); do
				nsenter --net=/run/netns/ns9 ss -ltn | grep -q :777 && break
				sleep 0.1
			done
			nsenter --net=/run/netns/ns10 python3 -c "
import socket, sys
sys.exit(socket.create_connection((sys.argv[1], 777), 20).recv(9) != b\"here\")" "$address" || fail "no answer from $address"
			wait
		done'
}

@test "an edit of the database reaches the kernel" {
	sqlite3 "$DB" "UPDATE address SET address = '10.10.0.77' WHERE address = '10.10.0.2';
		UPDATE device SET mtu = 1333 WHERE name = 'ab0';
		UPDATE device SET name = 'outer' WHERE name = 'vc'"
	run_private '"$NSIMG" restore "$DB" --no-tasks >/dev/null || exit
		ip -n ns10 -o address | grep -q "10.10.0.77/24" || fail "address"
		ip -n ns10 -o address | grep -q "10.10.0.2/" && fail "old address"
		ip -n ns10 -o link show ab0 | grep -q "mtu 1333" || fail "mtu"
		ip -n ns9 link show outer || fail "name"'
}

@test "rollback takes everything away, and may be repeated" {
	run_private 'probe >"$BATS_TEST_TMPDIR-before"
		"$NSIMG" restore "$DB" --no-tasks >/dev/null || exit
		"$NSIMG" rollback case || exit
		probe >"$BATS_TEST_TMPDIR-after"
		diff "$BATS_TEST_TMPDIR-before" "$BATS_TEST_TMPDIR-after" || fail "something is left"
		rm "$BATS_TEST_TMPDIR-before" "$BATS_TEST_TMPDIR-after"
		"$NSIMG" rollback case 2>&1 | grep "no instance named case"'
}

@test "a step that fails leaves nothing and says which it was" {
	sqlite3 "$DB" "UPDATE firewall SET content = 'table ip x { chain c { jump nowhere; }; }' WHERE format = 'nftables'"
	run_private 'probe >"$BATS_TEST_TMPDIR-before"
		"$NSIMG" restore "$DB" --no-tasks 2>"$BATS_TEST_TMPDIR-err" && fail "it did not fail"
		cat "$BATS_TEST_TMPDIR-err"
		grep -q "nft ns9 nftables" "$BATS_TEST_TMPDIR-err" || fail "the step is not named"
		rm "$BATS_TEST_TMPDIR-err"
		probe >"$BATS_TEST_TMPDIR-after"
		diff "$BATS_TEST_TMPDIR-before" "$BATS_TEST_TMPDIR-after" || fail "something is left"
		rm "$BATS_TEST_TMPDIR-before" "$BATS_TEST_TMPDIR-after"'
}

@test "SIGTERM undoes and is named" {
	run_private 'probe >"$BATS_TEST_TMPDIR-before"
		env --block-signal=TERM bash -c "kill -TERM \$\$; exec \"$NSIMG\" restore \"$DB\" --no-tasks" 2>"$BATS_TEST_TMPDIR-err"
		[ $? = 2 ] || fail "status"
		grep -q "stopped by signal 15" "$BATS_TEST_TMPDIR-err" || fail "$(cat "$BATS_TEST_TMPDIR-err")"
		rm "$BATS_TEST_TMPDIR-err"
		probe >"$BATS_TEST_TMPDIR-after"
		diff "$BATS_TEST_TMPDIR-before" "$BATS_TEST_TMPDIR-after" || fail "something is left"
		rm "$BATS_TEST_TMPDIR-before" "$BATS_TEST_TMPDIR-after"'
}

@test "a ruleset that includes a file is refused" {
	sqlite3 "$DB" "UPDATE edit_state SET importing = 2, op = -1; UPDATE edit_state SET op = 0; UPDATE firewall SET content = 'include \"/etc/passwd\"' WHERE format = 'nftables'; UPDATE edit_state SET importing = 0, op = 0"
	run_private '"$NSIMG" restore "$DB" --no-tasks 2>&1 | tee /dev/stderr | grep -q "includes a file (line 1)"'
}

@test "dry run gives every reason at once and changes nothing" {
	sqlite3 "$DB" "UPDATE edit_state SET importing = 2, op = -1; UPDATE edit_state SET op = 0; UPDATE device SET kind = 'nosuchkind' WHERE name = 'br0'; UPDATE edit_state SET importing = 0, op = 0"
	run_private 'touch /run/netns/ns9; mkdir /run/nsimg; touch /run/nsimg/case.journal
		probe >"$BATS_TEST_TMPDIR-before"
		"$NSIMG" restore "$DB" --no-tasks --dry-run >"$BATS_TEST_TMPDIR-out"; [ $? = 1 ] || fail "status"
		cat "$BATS_TEST_TMPDIR-out"
		grep -q "/run/netns/ns9 exists" "$BATS_TEST_TMPDIR-out" || fail "pin"
		grep -q "an instance named case exists" "$BATS_TEST_TMPDIR-out" || fail "journal"
		rm "$BATS_TEST_TMPDIR-out"
		probe >"$BATS_TEST_TMPDIR-after"
		diff "$BATS_TEST_TMPDIR-before" "$BATS_TEST_TMPDIR-after" || fail "something was changed"
		rm "$BATS_TEST_TMPDIR-before" "$BATS_TEST_TMPDIR-after"'
}

@test "a name that is taken is refused before anything is touched" {
	run_private 'ip netns add ns10
		"$NSIMG" restore "$DB" --no-tasks 2>&1 | grep "/run/netns/ns10 exists" || fail "not refused"
		[ ! -e /run/netns/ns9 ] || fail "touched"
		"$NSIMG" restore "$DB" --no-tasks --prefix case- >/dev/null || fail "--prefix"
		[ -e /run/netns/case-ns10 ] || fail "no prefixed name"'
}

@test "the outer end of a veth pair: unmapped it is an error, mapped it is made outside" {
	sqlite3 "$DB" "UPDATE netns SET external = 1, caller = 1 WHERE ns_id = 9"
	run_private '"$NSIMG" plan "$DB" --no-tasks | grep "NEEDED from outside: ns10 eth0" || fail "not listed"
		"$NSIMG" restore "$DB" --no-tasks 2>&1 | tee /dev/stderr | grep -q -e "--veth ns10/eth0=NAME" || fail "not refused"
		ip link add bridge7 type bridge; probe >"$BATS_TEST_TMPDIR-before"
		"$NSIMG" restore "$DB" --no-tasks --veth ns10/eth0=outA@bridge7 --veth ns11/eth0=outB \
			--veth ns12/eth0=outC || fail "restore"
		ip -o link show outA | grep -q "master bridge7.*\|.*UP" || fail "outA"
		ip -o link show master bridge7 | grep -q outA || fail "not a port"
		ip -n ns10 -o address show eth0 | grep -q 10.10.0.2 || fail "inner end"
		"$NSIMG" rollback || fail "rollback"
		probe >"$BATS_TEST_TMPDIR-after"
		diff "$BATS_TEST_TMPDIR-before" "$BATS_TEST_TMPDIR-after" || fail "something is left"
		rm "$BATS_TEST_TMPDIR-before" "$BATS_TEST_TMPDIR-after"'
}

@test "the outer end in a namespace that --netns gives" {
	sqlite3 "$DB" "UPDATE netns SET external = 1, caller = 1 WHERE ns_id = 9"
	run_private 'ip netns add outside
		"$NSIMG" restore "$DB" --no-tasks --netns host=outside --veth ns10/eth0=outA --veth ns11/eth0=outB \
			--veth eth0=outC || fail "restore"
		ip -n outside -o link show outA || fail "outA"
		ip -n outside -o link show outC || fail "outC"
		"$NSIMG" rollback || fail "rollback"
		ip -n outside link show outA 2>/dev/null && fail "outA is left"
		[ -e /run/netns/outside ] || fail "the namespace of the user is gone"'
}

@test "a --netns that means nothing is refused" {
	run_private '"$NSIMG" restore "$DB" --no-tasks --netns typo=/proc/self/ns/net 2>&1 | grep "no namespace with that key"'
}

@test "a --veth that means nothing, or whose bridge is none, is refused before anything is touched" {
	sqlite3 "$DB" "UPDATE netns SET external = 1, caller = 1 WHERE ns_id = 9"
	run_private 'ip link add dv0 type veth peer name dv1; probe >"$BATS_TEST_TMPDIR-before"
		refused() {
			local text=$1
			shift
			"$NSIMG" restore "$DB" --no-tasks "$@" 2>"$BATS_TEST_TMPDIR-err" && fail "not refused"
			grep -q "$text" "$BATS_TEST_TMPDIR-err" || fail "$(cat "$BATS_TEST_TMPDIR-err")"
		}
		refused "veth nosuch=a: the image has no such device; it is for ns10/eth0, " --veth nosuch=a
		refused "veth ns10/ab0=a: nothing of it is outside the image; it is for " --veth ns10/ab0=a
		mapped="--veth ns11/eth0=outB --veth ns12/eth0=outC"
		refused "veth ns10/eth0=b: it is a already; give one of them" --veth ns10/eth0=a --veth ns10/eth0=b
		refused "netns k=b: it is a already" --netns k=a --netns k=b
		refused "dv0, outside, is no bridge (it is of kind veth)" $mapped --veth ns10/eth0=outA@dv0
		refused ": 1 reason, nothing was changed" $mapped --veth ns10/eth0=outA@dv0
		refused "ns11 eth0: --veth makes another device outB outside" $mapped --veth ns10/eth0=outB
		rm "$BATS_TEST_TMPDIR-err"
		probe >"$BATS_TEST_TMPDIR-after"
		diff "$BATS_TEST_TMPDIR-before" "$BATS_TEST_TMPDIR-after" || fail "something was changed"
		rm "$BATS_TEST_TMPDIR-before" "$BATS_TEST_TMPDIR-after"'
}

@test "a sysctl that this kernel does not take is told once" {
	sqlite3 "$DB" "UPDATE sysctl SET value = '77777777777' WHERE name = 'net/ipv4/conf/all/rp_filter' AND netns = 1"
	run_private '"$NSIMG" restore "$DB" --no-tasks >"$BATS_TEST_TMPDIR-out" || exit
		[ "$(grep -c "^ns9: sysctl net/ipv4/conf/all/rp_filter=77777777777: Invalid argument" "$BATS_TEST_TMPDIR-out")" = 1 ] || fail "$(cat "$BATS_TEST_TMPDIR-out")"
		rm "$BATS_TEST_TMPDIR-out"'
}

@test "a cycle of lower devices is an error that names them" {
	sqlite3 "$DB" "UPDATE edit_state SET importing = 2, op = -1; UPDATE edit_state SET op = 0; UPDATE device SET kind = 'macvlan', link = 5, peer_netns = 1, link_netnsid = NULL WHERE name = 'vb';
		UPDATE device SET kind = 'macvlan', link = 4, peer_netns = 1, link_netnsid = NULL WHERE name = 'vc'; UPDATE edit_state SET importing = 0, op = 0"
	sqlite3 "$DB" "DELETE FROM device WHERE netns IN (3, 4); DELETE FROM address WHERE netns IN (3, 4);
		DELETE FROM route WHERE netns IN (3, 4); DELETE FROM neighbour WHERE netns IN (3, 4)"
	run "$NSIMG" plan "$DB" --no-tasks
	echo "$output"
	[ "$status" -eq 2 ]
	[[ $output == *"cycle"*"ns9 v"*"ns9 v"* ]]
}

@test "inside a user namespace, started by an ordinary user" {
	chmod 755 "$BATS_TEST_TMPDIR" "$BATS_FILE_TMPDIR" "$BATS_SUITE_TMPDIR" "$BATS_RUN_TMPDIR" 2>/dev/null
	mkdir -m 777 "$BATS_TEST_TMPDIR/u"
	cp "$DB" "$BATS_TEST_TMPDIR/u/case.db"
	cp "$NSIMG" "$BATS_TEST_TMPDIR/u/nsimg"
	# legacy iptables takes a lock below /run and needs its modules loaded by root
	chown 65534 "$BATS_TEST_TMPDIR"/u/*
	cd "$BATS_TEST_TMPDIR/u"
	setpriv --reuid 65534 --regid 65534 --clear-groups unshare -Urnm true || skip "no user namespaces for ordinary users"
	run setpriv --reuid 65534 --regid 65534 --clear-groups unshare -Urnm bash -c '
		mkdir pins state
		./nsimg restore case.db --no-tasks --pin-dir pins --state-dir state || exit
		nsenter --net=pins/ns10 ip -o address show eth0 | grep 10.10.0.2 || exit
		./nsimg rollback --state-dir state || exit
		[ -z "$(ls pins)" ]'
	echo "$output"
	[ "$status" -eq 0 ]
	# and with processes and sockets: dumped, restored, the same, taken back
	cp "$MKSTATE" mkstate
	cp "$TESTS/scenes/shared.scene" .
	chmod a+r shared.scene
	run setpriv --reuid 65534 --regid 65534 --clear-groups unshare -Urnmpf --mount-proc bash -c '
		mkdir run
		export RUN=$PWD/run
		ip link set lo up
		coproc SCENE { exec ./mkstate shared.scene; }
		while read -r what name pid <&"${SCENE[0]}"; do
			[ "$what" = ready ] && break
			: "${first:=$pid}"
		done
		scene=$SCENE_PID
		./nsimg dump --pid "$first" -o s.db || exit
		kill "$scene"; wait "$scene"
		./nsimg restore s.db --pin-dir pins --state-dir state || exit
		./nsimg verify --state-dir state || exit
		./nsimg ps --state-dir state | grep -c alive || exit
		./nsimg rollback --state-dir state && [ -z "$(ls pins)" ]'
	echo "$output"
	[ "$status" -eq 0 ] && [[ $output == *"s: 0 differences"* ]]
}

@test "the same database gives the same plan, in every format" {
	for format in text json dot ip; do
		"$NSIMG" plan "$DB" --no-tasks --format "$format" >"$BATS_TEST_TMPDIR/a"
		"$NSIMG" plan "$DB" --no-tasks --format "$format" >"$BATS_TEST_TMPDIR/b"
		cmp "$BATS_TEST_TMPDIR/a" "$BATS_TEST_TMPDIR/b"
	done
	"$NSIMG" plan "$DB" --no-tasks --format json | python3 -c '
import json, sys
steps = json.load(sys.stdin)["steps"]
assert len(steps) >= 100, len(steps)
for s in steps:
    assert all(n < s["step"] for n in s["needs"]), s'
}

@test "the plan as commands of ip makes the same devices and addresses" {
	run_private '"$NSIMG" plan "$DB" --no-tasks --format ip | grep "^ip netns add\|^ip -n [a-z0-9]* link add.*bridge\|peer name\|address add" >"$BATS_TEST_TMPDIR-cmds"
		bash -e "$BATS_TEST_TMPDIR-cmds" >/dev/null 2>"$BATS_TEST_TMPDIR-err" || { cat "$BATS_TEST_TMPDIR-err"; fail "a command does not run"; }
		ip -n ns10 -o address show eth0 | grep -q "10.10.0.2/24" || fail "address"
		rm "$BATS_TEST_TMPDIR-cmds" "$BATS_TEST_TMPDIR-err"'
}

@test "every image of the corpus restores as namespaces, or says what it needs from outside" {
	run_private 'for image in "$CORPUS"/scenario/* "$CORPUS"/limits/* "$CORPUS"/zdtm/*; do
			[ -f "$image/inventory.img" ] || continue
			name=$(basename "$image")
			rm -f /run/x.db
			"$NSIMG" import /run/x.db "$image" >/dev/null 2>&1 || continue  # damaged on purpose: import.bats
			if "$NSIMG" restore /run/x.db --no-tasks --name "$name" >/run/out 2>&1; then
				"$NSIMG" rollback "$name" >/dev/null || fail "$name: rollback"
			else
				grep -q "is outside the image: give --veth" /run/out || fail "$name: $(cat /run/out)"
			fi
		done'
}

@test "a device over one outside: --veth names the device below" {
	need_corpus zdtm/macvlan.ns
	rm "$DB"
	"$NSIMG" import "$DB" "$CORPUS/zdtm/macvlan.ns" >/dev/null
	run_private 'ip link add below type veth peer name other; ip link set below up
		"$NSIMG" restore "$DB" --no-tasks --veth zdtmmvlan0=below >/dev/null || exit
		ip -n ns10 -d link show zdtmmvlan0 | grep -q macvlan || fail "no macvlan"
		"$NSIMG" rollback && ip link show below | grep -q "below@other"'
}

@test "a full disk under the journal: an error that names the file, and nothing is left" {
	run_private 'mkdir /run/nsimg && mount -t tmpfs -o size=4k full /run/nsimg
		probe >"$BATS_TEST_TMPDIR-before"
		"$NSIMG" restore "$DB" --no-tasks 2>"$BATS_TEST_TMPDIR-err" && fail "it did not fail"
		cat "$BATS_TEST_TMPDIR-err"
		grep -q "/run/nsimg/case.journal: No space left" "$BATS_TEST_TMPDIR-err" || fail "not named"
		grep -q "taking it back failed" "$BATS_TEST_TMPDIR-err" && fail "not taken back"
		rm "$BATS_TEST_TMPDIR-err"
		probe >"$BATS_TEST_TMPDIR-after"
		diff "$BATS_TEST_TMPDIR-before" "$BATS_TEST_TMPDIR-after" || fail "something is left"
		rm "$BATS_TEST_TMPDIR-before" "$BATS_TEST_TMPDIR-after"'
}

@test "a user namespace below a user namespace comes back with its maps, and owns its network namespace" {
	export WORK=$BATS_TEST_TMPDIR
	run_private 'maps() { for p in $(pgrep "$1"); do echo $(cat /proc/$p/uid_map) / $(cat /proc/$p/gid_map); done; }
		python3 "$TESTS/netns/nested_userns.py" </dev/null >/run/err 2>&1 &
		for _ in $(seq 300); do [ "$(pgrep -x -c sleep)" = 3 ] && break; sleep 0.1; done
		[ "$(pgrep -x -c sleep)" = 3 ] || fail "no scene: $(cat /run/err)"
		maps sleep >"$WORK/before"
		"$NSIMG" dump --pid $! -o "$WORK/image" >/dev/null 2>&1 || fail "dump"
		kill $(pgrep -x sleep)
		"$NSIMG" import "$WORK/n.db" "$WORK/image" >/dev/null || fail "import"
		"$NSIMG" restore "$WORK/n.db" --netns host=/proc/self/ns/net >/dev/null || fail "restore"
		maps nsimg: >"$WORK/after"
		cat "$WORK/after"
		grep -q "0 101000 10 / 0 101000 10" "$WORK/after" || fail "no map of the lower one"
		diff <(sort "$WORK/before") <(sort "$WORK/after") || fail "maps"
		"$NSIMG" rollback
		[ "$(lsns -t user -n | wc -l)" = 1 ] || fail "a user namespace is left"'
}

# WHAT_MAPS: of the user namespaces of the processes of that name and those above them: their maps, as they see them
WHAT_MAPS='
import ctypes, fcntl, os, subprocess, sys
libc = ctypes.CDLL(None)
for pid in subprocess.run(["pgrep", sys.argv[1]], capture_output=True, text=True).stdout.split():
    fd = os.open(f"/proc/{pid}/ns/user", os.O_RDONLY)
    while os.readlink(f"/proc/self/fd/{fd}") != os.readlink("/proc/self/ns/user"):
        if not os.fork():
            assert libc.setns(fd, 0x10000000) == 0
            os.execvp("sh", ["sh", "-c", "echo $(cat /proc/self/uid_map) / $(cat /proc/self/gid_map) / $(cat /proc/self/setgroups)"])
        os.wait()
        print(end="above: ", flush=True)
        fd = fcntl.ioctl(fd, 0xb702)  # NS_GET_PARENT
    print("our own", flush=True)
'

@test "user namespaces below one without id 0, or without group 0, or without a task, come back with their maps" {
	export WORK=$BATS_TEST_TMPDIR WHAT_MAPS
	run_private 'mine() { "${user[@]}" unshare -U --map-current-user -n "$@"; }
		user=(setpriv --reuid 1000 --regid 1000 --clear-groups)
		cat >/run/below <<-END
		unshare -U --map-current-user -n sleep 300 &
		exec sleep 300
		END
		cat >"$WORK/group" <<-END
		import ctypes, os
		libc = ctypes.CDLL(None)
		libc.unshare(0x10000000)
		for name, text in ("setgroups", "deny"), ("uid_map", "0 0 1"), ("gid_map", "5 0 1"):
		    with open("/proc/self/" + name, "w") as f:
		        f.write(text)
		if not os.fork():
		    os.execvp("unshare", ["unshare", "-U", "--map-current-user", "-n", "sleep", "300"])
		os.execvp("sleep", ["sleep", "300"])
		END
		mine bash /run/below &
		first=$!
		python3 "$WORK/group" &
		second=$!
		mine unshare -U --map-current-user -n sleep 300 &
		third=$!
		for _ in $(seq 300); do [ "$(pgrep -x -c sleep)" = 5 ] && break; sleep 0.1; done
		[ "$(pgrep -x -c sleep)" = 5 ] || fail "no scene"
		python3 -c "$WHAT_MAPS" sleep | sort >"$WORK/before"
		for p in $first $second $third; do
			"$NSIMG" dump --pid $p -o "$WORK/$p.image" >"$WORK/dump.out" 2>&1 || fail "dump: $(cat "$WORK/dump.out")"
			! grep "id maps" "$WORK/dump.out" || fail "maps"
			"$NSIMG" import "$WORK/$p.db" "$WORK/$p.image" >/dev/null || fail "import"
		done
		kill $(pgrep -x sleep)
		for p in $first $second $third; do
			"$NSIMG" restore "$WORK/$p.db" --name t$p --prefix t$p- --netns host=/proc/self/ns/net >/dev/null || fail "restore $p"
			"$NSIMG" verify t$p || fail "verify $p"
		done
		python3 -c "$WHAT_MAPS" nsimg:sleep | sort >"$WORK/after"
		cat "$WORK/before"
		diff "$WORK/before" "$WORK/after" || fail "maps"
		[ "$(grep -c "1000 1000 1 / 1000 1000 1" "$WORK/before")" -ge 5 ] || fail "no maps"
		# what cannot be is said before it is tried
		sqlite3 "$WORK/$third.db" "UPDATE userns SET uid_map = $(printf "\x27[]\x27") WHERE external = 0 AND ns_id IN (SELECT parent FROM userns)"
		"$NSIMG" restore "$WORK/$third.db" --name again --prefix again- --netns host=/proc/self/ns/net --dry-run && fail "can it run?"
		true'
	[[ $output == *"id map: 1000 is not mapped in the parent user namespace"* ]]
}

@test "IPsec policies and address labels are named in the words of ip, and refused where the kernel lacks them" {
	run_private 'cd "$BATS_TEST_TMPDIR" && ip netns add x && ip -n x link set lo up && ip -n x addrlabel add prefix fd09::/64 label 77 &&
			ip -n x xfrm policy add src 10.1.0.0/24 dst 10.2.0.0/16 proto tcp dport 80 dir out priority 9 tmpl proto esp &&
			ip -n x xfrm policy add src 10.1.0.0/16 dst 10.2.0.0/16 dir out priority 9 action block &&
			ip -n x xfrm policy add src fd00::/64 dst ::/0 dir fwd action block || exit
		ip -n x xfrm policy >before && ip -n x addrlabel >>before
		"$NSIMG" dump --netns x -o dir >/dev/null && ip netns del x && rm -f x.db && "$NSIMG" import x.db dir >/dev/null || exit
		"$NSIMG" plan x.db >plan || exit
		grep -q "x xfrm_policy dir out src 10.1.0.0/24 dst 10.2.0.0/16 proto 6 dport 80 priority 9 action allow$" plan &&
			grep -q "x xfrm_policy dir fwd src fd00::/64 dst any action block$" plan &&
			grep -q "x addrlabel prefix fd09::/64 label 77$" plan || { cat plan; fail "words"; }
		without="python3 $TESTS/netns/without_netlink.py"
		$without 6 "$NSIMG" restore x.db >out 2>&1 && fail "it was restored"
		grep -q "xfrm_policy dir .*: this kernel has no IPsec policies (CONFIG_XFRM_USER)$" out || { cat out; fail "reason"; }
		[ -z "$(ip netns list)" ] || fail "something was made"
		$without 9999 "$NSIMG" restore x.db >/dev/null || fail "the filter itself"
		{ ip -n x xfrm policy && ip -n x addrlabel; } | diff before - || fail "what is restored"'
}

@test "in a user namespace, a rule for users that it has not is refused before anything is made" {
	setpriv --reuid 65534 --regid 65534 --clear-groups unshare -Urnm true || skip "no user namespaces for ordinary users"
	rm "$DB"
	run_private 'ip netns add x && ip -n x rule add pref 101 uidrange 0-99 lookup 4000 &&
		"$NSIMG" dump --netns x -o "$BATS_TEST_TMPDIR/dir" >/dev/null && "$NSIMG" import "$DB" "$BATS_TEST_TMPDIR/dir" >/dev/null'
	chmod 755 "$BATS_TEST_TMPDIR" "$BATS_FILE_TMPDIR" "$BATS_SUITE_TMPDIR" "$BATS_RUN_TMPDIR" 2>/dev/null
	mkdir -m 777 "$BATS_TEST_TMPDIR/u"
	cp "$DB" "$NSIMG" "$BATS_TEST_TMPDIR/u"
	cd "$BATS_TEST_TMPDIR/u"
	chown 65534 case.db nsimg
	run setpriv --reuid 65534 --regid 65534 --clear-groups unshare -Urnm ./nsimg restore case.db --dry-run --pin-dir pins --state-dir state
	echo "$output"
	[ "$status" -ne 0 ]
	[[ "$output" == *"x 101: from all uidrange 0-99 "*": this user namespace has not both user 0 and user 99"* ]]
	run_private '"$NSIMG" restore "$DB" >/dev/null && ip -n x rule | grep -q "uidrange 0-99"'
}

@test "a device in dormant mode; temporary addresses, of which the kernel makes others" {
	run_private 'cd "$BATS_TEST_TMPDIR" && ip netns add x && ip -n x link add v0 type veth peer name v1 &&
			ip -n x link set v0 mode dormant && ip -n x link set v0 up && ip -n x link set v1 up || exit
		temporary() { ip -n x -6 -o address show dev v1 temporary | wc -l; }
		ip netns exec x sysctl -qw net.ipv6.conf.v1.use_tempaddr=2 net.ipv6.conf.v1.accept_dad=0
		ip -n x address add fd66::1/64 dev v1 mngtmpaddr valid_lft 5000 preferred_lft 4000 || exit
		[ "$(temporary)" = 1 ] || fail "the kernel makes none"
		"$NSIMG" dump --netns x -o dir >/dev/null && ip netns del x && rm -f x.db && "$NSIMG" import x.db dir >/dev/null &&
			"$NSIMG" restore x.db || exit
		"$NSIMG" verify || fail "verify"
		[ "$(temporary)" = 1 ] || fail "no temporary address"
		ip -n x -o link show dev v0 | grep -q "state DORMANT mode DORMANT" || fail "mode"'
}

@test "a ruleset that nft wrote and does not read is refused before anything is made" {
	run_private 'cd "$BATS_TEST_TMPDIR" && ip netns add x && ip netns exec x nft -j "{\"nftables\": [
			{\"add\": {\"table\": {\"family\": \"inet\", \"name\": \"t\"}}},
			{\"add\": {\"chain\": {\"family\": \"inet\", \"table\": \"t\", \"name\": \"fwd\"}}}]}" || exit
		"$NSIMG" dump --netns x -o dir >/dev/null && ip netns del x && rm -f x.db && "$NSIMG" import x.db dir >/dev/null || exit
		"$NSIMG" restore x.db >out 2>&1 && fail "restored"
		grep -q "x nftables: nft does not read its own text: .*syntax error, unexpected fwd" out || { cat out; fail "reason"; }
		[ -z "$(ip netns list)" ] || fail "something was made"
		sqlite3 x.db "UPDATE firewall SET content = replace(content, \" fwd\", \" forwarded\")" && "$NSIMG" restore x.db || exit
		ip netns exec x nft list ruleset | grep -q "chain forwarded"'
}

@test "a peer in a named namespace that is not dumped: the image refers to it, --netns and --veth give it back" {
	run_private 'cd "$BATS_TEST_TMPDIR" && ip netns add a && ip netns add b && ip netns add c &&
			ip -n a link add f0 type veth peer name f1 netns b &&
			"$NSIMG" dump --netns a -o dir >out && ip netns del a && rm -f x.db && "$NSIMG" import x.db dir >/dev/null || exit
		! grep "NOT KEPT" out || fail "lost"
		"$NSIMG" tree x.db | grep "f0 .*peer b/if" || fail "tree"
		! "$NSIMG" tree x.db | grep "netns c" || fail "c has nothing to do with it"
		until [ -z "$(ip -n b link show f1 2>/dev/null)" ]; do sleep 0.05; done
		"$NSIMG" restore x.db --veth f0=f1 --netns b=b && "$NSIMG" verify || exit
		ip -n b -d link show f1 | grep -q veth || fail "no f1 in b"'
}

@test "a vxlan device over the outer end of a pair of its own namespace" {
	run_private 'cd "$BATS_TEST_TMPDIR" && ip netns add a && ip link add h0 type veth peer name e0 netns a && ip link set h0 up &&
			ip -n a link set e0 up && ip link add vxh type vxlan id 9 dstport 4790 dev h0 group 239.1.1.1 &&
			ip link set vxh netns a && "$NSIMG" dump --netns a -o dir >/dev/null && ip netns del a || exit
		until [ -z "$(ip link show h0 2>/dev/null)" ]; do sleep 0.05; done
		rm -f x.db && "$NSIMG" import x.db dir >/dev/null && "$NSIMG" restore x.db --veth e0=h0 --veth vxh=h0 || exit
		ip -n a link show vxh >/dev/null || fail "no vxh"
		# vxlan_netdevice_event() in drivers/net/vxlan/vxlan_core.c: it goes with the device below
		ip link del h0 && [ -z "$(ip -n a link show vxh 2>/dev/null)" ] || fail "vxh does not go with h0"'
}

@test "the socket that the kernel listens with for an MPTCP endpoint comes with the endpoint, and is no loss" {
	run_private 'cd "$BATS_TEST_TMPDIR" && ip netns add x && ip -n x link set lo up || exit
		ip -n x mptcp endpoint add 127.0.0.1 id 5 signal port 7777 || exit 0 # a kernel without MPTCP
		"$NSIMG" dump --netns x -o dir >out && ip netns del x && rm -f x.db && "$NSIMG" import x.db dir >/dev/null || exit
		! grep "NOT KEPT" out || { cat out; fail "loss"; }
		"$NSIMG" restore x.db && ip -n x mptcp endpoint | grep "port 7777" && ip netns exec x ss -Hltn | grep 127.0.0.1:7777'
}

@test "offloads that somebody switched come back, and only those are kept" {
	run_private 'cd "$BATS_TEST_TMPDIR" && ip netns add x && ip -n x link add v0 type veth peer name v1 &&
			ip -n x link add br0 type bridge && ip -n x link add vx0 type vxlan id 5 dstport 4789 && ip -n x link set v1 master br0 || exit
		in_x() { ip netns exec x python3 "$TESTS/netns/features.py" "$@"; }
		{ in_x v0 tx=0 tso=0 gro=1; in_x v1; in_x br0 tx=0; in_x vx0 tx=0; } >before || exit
		"$NSIMG" dump --netns x -o dir >/dev/null && ip netns del x && rm -f x.db && "$NSIMG" import x.db dir >/dev/null || exit
		[ "$("$NSIMG" sql x.db --no-header "SELECT count(*) FROM traffic_control WHERE what = \"features\"")" = 3 ] || fail "rows"
		"$NSIMG" drop x.db device v0 >/dev/null && "$NSIMG" undo x.db >/dev/null && "$NSIMG" restore x.db && "$NSIMG" verify || exit
		{ in_x v0; in_x v1; in_x br0; in_x vx0; } | diff before -'
}
