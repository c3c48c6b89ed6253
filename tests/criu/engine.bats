#!/usr/bin/env bats
# nsimg restore --criu: the network by nsimg, the processes by a current CRIU, in one go. Asked are the kernel (ip, ss,
# nft in the namespaces), the restored programs themselves, and CRIU.

load peer.bash

setup() {
	need_tree
	command -v sqlite3 >/dev/null || skip "no sqlite3"
	need_nsimg_inside
	db=$SHARE/tree.db
}

teardown() {
	[ ! -s "$SHARE/times" ] || sed 's/^/# /' "$SHARE/times" >&3
}

checkpoint() {
	in_tree env PREPARE="${PREPARE:-}" WHOLE="${WHOLE:-}" bash /mnt/inside.sh dump /mnt/img
	"$NSIMG" import "$db" "$SHARE/img"
	[ "$(grep -c 'outer$\|inner link=ok pair=ok\|dgram$' "$SHARE/before.answers")" = 6 ]
}

@test "a tree is restored as it was, looked at, and taken back" {
	checkpoint
	in_tree_do engine /mnt/tree.db /mnt/after.txt
	# ip has a name for the namespaces now
	diff "$SHARE/before.txt" <(sed "s/link-netns ns[0-9]*/link-netnsid 0/" "$SHARE/after.txt")
	diff "$SHARE/before.answers" "$SHARE/after.answers"
	# nothing of what CRIU's image does not say, nor the lock of its dump
	[[ $(cat "$SHARE/engine.verify") == "tree: 0 differences "* ]]
	# neither our lock nor CRIU's
	! grep -E 'nsimg_lock|CRIU|drop' "$SHARE/after.nft"
	# both tasks, with the pids that they had
	read -r -a pids <"$SHARE/pids"
	for pid in "${pids[@]}"; do
		grep -E "^tree +$pid +criutree +$pid .* alive" "$SHARE/engine.ps"
	done
}

@test "an image in the layout of v1.0: what nsimg writes for CRIU has no common magic either" {
	checkpoint
	rm "$db"
	python3 - "$SHARE/img" <<-'END'
	import glob, sys
	for path in glob.glob(sys.argv[1] + "/*.img"):
	    data = open(path, "rb").read()
	    if data[:4] == b"\x19\x43\x56\x54":
	        data = data[4:]
	    elif path.endswith("/inventory.img"):
	        assert data[8:10] == b"\x08\x02"  # img_version
	        data = data[:9] + b"\x01" + data[10:]
	    open(path, "wb").write(data)
	END
	"$NSIMG" import "$db" "$SHARE/img" >/dev/null
	in_tree_do engine /mnt/tree.db /mnt/after.txt
	diff "$SHARE/before.answers" "$SHARE/after.answers"
}

@test "established TCP between two namespaces survives 25 restores of 25" {
	checkpoint
	in_tree_do engine_loop /mnt/tree.db 25
}

@test "whatever is killed, and when: nothing is left" {
	checkpoint
	for moment in pre-restore post-setup-namespaces post-restore network-unlock; do
		for who in nsimg criu; do
			in_tree_do engine_killed /mnt/tree.db $who $moment
		done
		in_tree env SIGNAL=TERM bash /mnt/inside.sh engine_killed /mnt/tree.db nsimg $moment
		grep 'stopped by signal 15' "$SHARE/engine.killed"
	done
}

@test "what CRIU cannot restore: its own line is shown, the network is gone again" {
	checkpoint
	# a program that is not there is nothing that nsimg looks at
	crit decode -i "$SHARE/img/files.img" | sed 's#/mnt/criutree#/mnt/no-such#' >"$SHARE/files.json"
	crit encode -i "$SHARE/files.json" -o "$SHARE/img/files.img"
	rm "$db"
	"$NSIMG" import "$db" "$SHARE/img" >/dev/null
	run timeout 300 "$HERE/tree.sh" run bash -c '
		LD_LIBRARY_PATH=/mnt/lib /mnt/nsimg restore --criu --source /mnt/img /mnt/tree.db 2>&1 && echo restored
		find /run/netns /run/nsimg /tmp -mindepth 1 2>/dev/null'
	echo "$output"
	[[ $output == *"criu restore failed: "*"Error (criu/files-reg.c:"*"Can't open file mnt/no-such"* ]]
	# and nothing is left, not even the files of unix sockets that CRIU had made
	[ "${#lines[@]}" = 1 ]
}

@test "what CRIU will refuse is said before it starts, all of it at once" {
	checkpoint
	read -r outer inner <"$SHARE/pids"
	rm "$db" "$SHARE/img/pagemap-$inner.img"
	truncate -s 40 "$SHARE/img/mm-$outer.img"
	"$NSIMG" import --salvage "$db" "$SHARE/img" >/dev/null
	# as an image may come in: no trigger refuses it
	sqlite3 "$db" <<-'SQL'
	UPDATE edit_state SET importing = 2, op = -1; UPDATE edit_state SET op = 0;
	UPDATE inet_socket SET src = '10.99.9.9' WHERE src = '10.77.0.2' AND src_port = 7001;
	UPDATE socket SET so_bound_dev = 'gone0' WHERE id = (SELECT socket FROM inet_socket WHERE src = '10.77.0.1' AND src_port = 7002);
	UPDATE device SET flags = flags & ~1 WHERE name = 'left';
	-- of the two ends the one whose peer can still be reached: the other is to be said for its route
	DELETE FROM tcp_stream WHERE ino = (SELECT s.ino FROM socket s JOIN inet_socket i ON i.socket = s.id WHERE i.src = '10.77.0.2' AND i.dst = '10.77.0.1');
	INSERT INTO socket (image, file_id, ino, netns, family, type, protocol) SELECT image, 900, 9000, netns, 40, 1, 0 FROM socket LIMIT 1;
	INSERT INTO fd (image, files_id, fd, file_id, type, flags) SELECT image, files_id, 90, 900, type, flags FROM fd LIMIT 1;
	UPDATE unix_socket SET uflags = 1 WHERE name = '/tmp/criutree-inner';
	UPDATE task SET sid = 77 WHERE ppid = 0;
	UPDATE edit_state SET importing = 0, op = 0;
	SQL
	in_tree bash -c '
		printf "#!/bin/sh\necho Version: 3.10\n" >/tmp/old && chmod +x /tmp/old && touch /tmp/criutree-outer
		export LD_LIBRARY_PATH=/mnt/lib
		/mnt/nsimg restore --criu --criu-program /tmp/old --dry-run --source /mnt/nowhere /mnt/tree.db >/mnt/dry 2>&1
		[ $? = 1 ] || exit 1
		/mnt/nsimg restore --criu --dry-run --source /mnt /mnt/tree.db -- --shell-job --tcp-close --ext-unix-sk --bogus >/mnt/given 2>&1
		/mnt/nsimg restore --criu --source /mnt/img /mnt/tree.db -- --images-dir=/x 2>/mnt/words
		[ $? = 2 ] || exit 1
		find /run/netns /run/nsimg -mindepth 1 2>/dev/null
		exit 0'
	[ -z "$output" ]
	cat "$SHARE/dry"
	for line in '/tmp/old is CRIU 3.10: .* --criu-program' '/mnt/nowhere, with the memory of the processes, is not there' \
		"mm-$outer.img is damaged at byte [0-9]*: " "task $inner (criutree): the image has no memory of it (pagemap-$inner.img)" \
		'tcp 10.99.9.9:7001: its namespace has no address 10.99.9.9: CRIU cannot bind it; add the address' \
		'udp 10.77.0.1:7002: its namespace has no device gone0, which it is bound to' \
		'tcp 10.77.0.[12]:[0-9]*: there is no way to 10.77.0.[12]: CRIU cannot connect it; add a route' \
		'socket 9000 of family 40 .*: CRIU has no such sockets; drop it' "task $outer (criutree): its session 77 .* -- --shell-job" \
		'tcp 10.77.0.*: the image has no tcp-stream file of the connection' '/tmp/criutree-outer exists and is no socket: move it away' \
		'unix socket /tmp/criutree-inner of a process outside .* -- --ext-unix-sk'; do
		grep -- "^$line" "$SHARE/dry"
	done
	# what an option of CRIU answers is not asked again, the size of the memory is
	grep '^/mnt/pages-1.img is not there' "$SHARE/given"
	# what getopt says in CRIU
	grep "^after --: .*: unrecognized option '--bogus'$" "$SHARE/given"
	! grep -e 'shell-job' -e 'tcp-stream' -e 'ext-unix-sk' "$SHARE/given"
	# a container's checkpoint is its engine's to restore
	mkdir "$SHARE/container" && cp -r "$SHARE/img" "$SHARE/container/checkpoint"
	tar -C "$SHARE/container" -cf "$SHARE/container.tar" checkpoint
	"$NSIMG" import --salvage "$SHARE/container.db" "$SHARE/container.tar" >/dev/null
	run "$NSIMG" restore --criu --dry-run "$SHARE/container.db"
	[ "$status" = 1 ]
	[[ $output == *"checkpoint/inventory.img is in a folder of the image"*"podman container restore --import"* ]]
	grep -- '--images-dir=/x: not with nsimg restore: nsimg writes the images' "$SHARE/words"
}

@test "a parent in CRIU's own namespace, its child in a private one: CRIU alone cannot restore the dump" {
	in_tree_do dump_private /mnt/img
	"$NSIMG" import "$db" "$SHARE/img"
	run timeout 300 "$HERE/tree.sh" run criu restore -D /mnt/img -o /mnt/alone.log -d
	[ "$status" -ne 0 ]
	grep "Can't restore sub-task in NS" "$SHARE/alone.log"
	# that is what check says of it; what fix makes of it CRIU restores
	read -r -a pids <"$SHARE/pids"
	cp "$db" "$SHARE/fixed.db"
	run "$NSIMG" check "$SHARE/fixed.db"
	[ "$status" = 1 ] && [[ $output == *"error root-in-host-netns (criu)"*"python3(${pids[1]}): it is in namespace ns"*"error ref-netns"* ]]
	"$NSIMG" fix "$SHARE/fixed.db" root-in-host-netns
	key=$("$NSIMG" fix "$SHARE/fixed.db" ref-netns | sed -n "s/.*'fd\[N\]:\(.*\)'.*/\1/p")
	"$NSIMG" check "$SHARE/fixed.db"
	"$NSIMG" export "$SHARE/fixed.db" "$SHARE/fixed"
	in_tree_do alone_private /mnt/fixed given "$key"
	[[ $output == *"parent: parent, child: child"* ]]
	mapfile -t netns < <(sqlite3 "$db" "SELECT 'ns' || n.ns_id FROM task t JOIN netns n ON n.id = t.netns ORDER BY t.pid")
	in_tree_do engine_private /mnt/tree.db --netns "${netns[0]}=/proc/self/ns/net" --netns "${netns[1]}=private"
	[[ $output == *"parent: parent, child: child"* ]]
	grep "^tcp 127.0.0.1:7001: its name is taken in the namespace private" "$SHARE/engine.taken"
	# of the lock of the dump nothing is left
	[ "$(grep -c -e '-j DROP' <<<"$output")" = 1 ] && [[ $output == *"--sport 7010 --dport 7001 -j DROP"* ]]
	[[ $output == *"the parent is in ours"*"the child is not"*"netlink sockets where their task is: 2" ]]
}

@test "a pid that is taken is said before anything is made" {
	checkpoint
	in_tree bash -c '
		export LD_LIBRARY_PATH=/mnt/lib
		/mnt/nsimg restore --criu --source /mnt/img /mnt/tree.db || exit 1
		/mnt/nsimg restore --criu --source /mnt/img --name again --prefix a- /mnt/tree.db >/mnt/again 2>&1 && exit 1
		/mnt/nsimg restore --criu --dry-run --source /mnt/img --name again --prefix a- /mnt/tree.db >/mnt/dry 2>&1
		[ $? = 1 ]'
	read -r -a pids <"$SHARE/pids"
	for pid in "${pids[@]}"; do
		grep "^pid $pid is taken by criutree: CRIU gives its tasks the pids they had" "$SHARE/again"
		grep "^pid $pid is taken by criutree" "$SHARE/dry"
	done
	# and so are the files of their unix sockets
	grep -c 'is in use by a running program' "$SHARE/again" | grep -x 2
	grep '4 reasons, nothing was changed' "$SHARE/again"
}

@test "what CRIU alone loses: rules and routes of other tables, IPv6 rules, a route by nexthop object, sysctls" {
	checkpoint
	# an image of CRIU has no rows for them: they are given by commands
	sqlite3 "$db" <<-'SQL'
	INSERT INTO rule (image, netns, family, priority, action, "table", src)
		SELECT image, netns, 10, 700, 1, 100, 'fd00:1::/64' FROM address WHERE address = '10.77.0.1';
	INSERT INTO route (image, netns, family, dst, "table", type, protocol, scope, flags, oif, gateway)
		SELECT image, netns, 2, '172.18.0.0/16', 100, 1, 4, 0, 0, ifindex, '10.77.0.2' FROM address WHERE address = '10.77.0.1';
	INSERT INTO nexthop (image, netns, nh_id, family, gateway, oif, protocol)
		SELECT image, netns, 33, 2, '10.77.0.2', ifindex, 4 FROM address WHERE address = '10.77.0.1';
	INSERT INTO route (image, netns, family, dst, "table", type, protocol, scope, flags, nh_id)
		SELECT image, netns, 2, '172.19.0.0/16', 254, 1, 4, 0, 0, 33 FROM address WHERE address = '10.77.0.1';
	INSERT INTO sysctl (image, netns, name, value)
		SELECT image, netns, 'net/ipv4/tcp_fin_timeout', '17' FROM address WHERE address = '10.77.0.1';
	SQL
	in_tree_do engine /mnt/tree.db /mnt/after.txt
	cat "$SHARE/engine.more"
	grep '^172.18.0.0/16 via 10.77.0.2 dev left table 100' "$SHARE/after.txt"
	grep '^172.19.0.0/16 nhid 33 via 10.77.0.2 dev left' "$SHARE/after.txt"
	grep '^700:.*from fd00:1::/64 lookup 100' "$SHARE/engine.more"
	grep '^tcp_fin_timeout 17$' "$SHARE/engine.more"
	diff "$SHARE/before.answers" "$SHARE/after.answers"
}

@test "sockets with options, keys, groups and users that CRIU has no field for; tun descriptors; a route without carrier" {
	cp "$HERE/odd.py" "$HERE/ready.py" "$SHARE"
	in_tree_do odd_dump /mnt/img
	"$NSIMG" import "$db" "$SHARE/img" >/dev/null
	# the dump does not see the keys of connections: they are those of the listener
	sqlite3 "$db" <<-'SQL'
	UPDATE socket SET options = json_patch(coalesce(options, '{}'), (SELECT json_object('TCP_MD5SIG', options ->> 'TCP_MD5SIG')
		FROM socket WHERE options ->> 'TCP_MD5SIG' IS NOT NULL))
		WHERE state = 1 AND id IN (SELECT socket FROM inet_socket WHERE src_port IN (7004, 7005));
	SQL
	in_tree_do odd_engine /mnt/tree.db
	# options by number, groups, devices, routes: as the kernel tells
	grep '^6 0 33 07000000' "$SHARE/odd.before"
	grep '^10.66.0.0/16 .* linkdown' "$SHARE/odd.before"
	grep '^3 tun iff:.tun7' "$SHARE/odd.before"
	grep 'bound to 10.200.0.1 7008' "$SHARE/odd.before"
	grep 'bound to 10.9.0.1 1$' "$SHARE/odd.before"
	diff "$SHARE/odd.before" "$SHARE/odd.after"
	printf 'WORD\nnot signed, no answer\n' | diff - "$SHARE/odd.answer.before"
	diff "$SHARE/odd.answer.before" "$SHARE/odd.answer"
	! grep 'not taken' "$SHARE/engine.out"
	grep -x 'ip_nonlocal_bind 0' "$SHARE/odd.sysctl"
}

@test "an image without files.img, as CRIU wrote it once: what it is given has the same changes" {
	/usr/bin/python3 -c 'import pycriu' || skip "no pycriu"
	cp "$HERE/odd.py" "$HERE/ready.py" "$SHARE"
	in_tree_do odd_dump /mnt/img
	rm "$SHARE"/img/nsimg*.img
	mkdir "$SHARE/old"
	/usr/bin/python3 -B - "$SHARE/img" "$SHARE/old" "$HERE/../netns" <<-'END'
	import sys
	sys.path.insert(0, sys.argv[3])
	from old_layout import make_old
	make_old(*sys.argv[1:3])
	END
	[ ! -e "$SHARE/old/files.img" ]
	"$NSIMG" import "$db" "$SHARE/old" >/dev/null
	# CRIU 4.2.1 itself ends with a fault on any such image
	cat >"$SHARE/fake" <<-'END'
	#!/bin/sh
	[ "$1" != --version ] || { echo Version: 4.2; exit; }
	while [ $# -gt 0 ]; do [ "$1" != -D ] || cp -r "$2" /mnt/given; shift; done
	exit 1
	END
	chmod +x "$SHARE/fake"
	run timeout 300 "$HERE/tree.sh" run bash -c 'LD_LIBRARY_PATH=/mnt/lib /mnt/nsimg restore --criu --criu-program /mnt/fake --source /mnt/old /mnt/tree.db'
	echo "$output"
	[[ $output == *"criu restore failed"* ]]
	for kind in inetsk tunfile reg-files; do crit decode -i "$SHARE/given/$kind.img" >"$SHARE/$kind.json"; done
	# no datagram socket has a port, every listener has
	jq -e '[.entries[] | select(.type == 2)] | length > 2 and all(.src_port == 0 and .dst_port == 0 and .state == 7)' "$SHARE/inetsk.json"
	jq -e '[.entries[] | select(.state == 10)] | length == 2 and all(.src_port > 7000)' "$SHARE/inetsk.json"
	jq -e '.entries | length == 3 and all(has("netdev") | not)' "$SHARE/tunfile.json"
	jq -e '[.entries[] | select(.name | startswith("/nsimg/tun"))] | length == 3' "$SHARE/reg-files.json"
}
