# nsimg dump: what it finds, whom it means, what it leaves alone, and how it fails.

load scene.bash

# A scene whose namespaces are each found in another way; each has a bridge that bears its name.
everywhere() {
	scene <<-'END'
	ns task
	ns thread
	ns socket
	ns passed
	ns nsfd
	ns mount pin=/run/netns/mounted
	ns nowhere
	run task ip link add in-task type bridge
	run thread ip link add in-thread type bridge
	run socket ip link add in-socket type bridge
	run passed ip link add in-passed type bridge
	run nsfd ip link add in-nsfd type bridge
	run mount ip link add in-mount type bridge
	run nowhere ip link add in-nowhere type bridge
	sock s ns=socket family=inet type=stream bind=0.0.0.0:80 listen=1
	sock u ns=passed family=unix type=dgram bind=@alone
	nsfd n ns=nsfd
	task one ns=task thread=thread
	task kid ns=task parent=one
	give s one 3
	give u kid 4
	give n one 5
	END
}

@test "namespaces are found through tasks, threads, sockets and nsfs descriptors; with --all through mounts" {
	body() {
		everywhere
		"$NSIMG" dump --pid $pid_one -o image
		image '[.netns[] | select(.external == null) | .devices[] | select(. != "lo")] | sort | join(" ")' >found
		[ "$(cat found)" = "in-nsfd in-passed in-socket in-task in-thread" ]
		rm -r image
		"$NSIMG" dump --all -o image
		image '[.netns[] | .devices[] | select(startswith("in-"))] | sort | join(" ")' >found
		[ "$(cat found)" = "in-mount in-nsfd in-passed in-socket in-task in-thread" ]
	}
	inside body everywhere
}

@test "--pid: the tree below it and nothing beside it" {
	body() {
		scene <<-'END'
		ns a
		ns b
		task top ns=a
		task kid ns=a parent=top
		task grandkid ns=a parent=kid
		task beside ns=b
		END
		"$NSIMG" dump --pid $pid_kid -o image
		[ "$(image '.tasks | keys | map(tonumber) | sort | join(" ")')" = "$pid_kid $pid_grandkid" ]
		rm -r image
		"$NSIMG" dump --pid $pid_kid --pid $pid_beside -o image
		[ "$(image '.tasks | length')" = 3 ]
	}
	inside body
}

@test "--netns: by name and by path, with the tasks in it and those that hold its sockets" {
	body() {
		scene <<-'END'
		ns a pin=/run/netns/alpha
		ns b
		sock s ns=a family=inet type=stream bind=0.0.0.0:80 listen=1
		task inside ns=a
		task holder ns=b
		task other ns=b
		give s holder 3
		END
		for target in alpha /run/netns/alpha /proc/$pid_inside/ns/net; do
			"$NSIMG" dump --netns $target -o image
			[ "$(image '.tasks | keys | map(tonumber) | sort | join(" ")')" = "$pid_inside $pid_holder" ]
			[ "$(image '[.netns[] | select(.external == null)] | length')" = 1 ]
			rm -r image
		done
	}
	inside body
}

@test "--netns: a namespace without tasks" {
	body() {
		ip netns add empty
		ip -n empty link add only-here type bridge
		"$NSIMG" dump --netns empty -o image
		[ "$(image '.tasks | length')" = 0 ]
		[ "$(image '[.netns[].devices[]] | index("only-here") != null')" = true ]
	}
	inside body
}

@test "--cgroup and --unit" {
	body() {
		top=""
		for dir in /sys/fs/cgroup /sys/fs/cgroup/unified /sys/fs/cgroup/systemd; do
			[ -w $dir/cgroup.procs ] && top=$dir
		done
		unit=nsimg-test-$$-$RANDOM.service
		[ -n "$top" ] && mkdir $top/$unit 2>/dev/null || cannot "no control group can be made here"
		mkdir $top/$unit/below
		# version 2: a threaded group has no list of processes of its own
		mkdir $top/$unit/below/threaded
		[ ! -e $top/$unit/cgroup.type ] || echo threaded >$top/$unit/below/threaded/cgroup.type
		gone() {
			kill $scene_pid
			wait $scene_pid || true
			# the kernel takes the tasks that were killed out of it later
			for i in $(seq 600); do rmdir $top/$unit/below/threaded $top/$unit/below $top/$unit 2>/dev/null || [ -e $top/$unit ] || return 0; sleep 0.05; done
		}
		trap gone EXIT
		scene <<-'END'
		ns a
		task one ns=a
		task two ns=a
		task three ns=a
		END
		echo $pid_one >$top/$unit/cgroup.procs
		echo $pid_two >$top/$unit/below/cgroup.procs
		for target in "--cgroup $top/$unit" "--cgroup /$unit" "--unit $unit" "--unit ${unit%.service}"; do
			"$NSIMG" dump $target -o image
			[ "$(image '.tasks | keys | map(tonumber) | sort | join(" ")')" = "$pid_one $pid_two" ]
			rm -r image
		done
		ip netns attach a $pid_one
		"$NSIMG" dump --cgroup $top/$unit -o a.db
		"$NSIMG" dump --netns a -o b.db
		for target in "a.db cgroup:/$unit" "a.db unit:$unit" "b.db netns:a"; do
			"$NSIMG" diff ${target% *} --live ${target#* }
		done
		! "$NSIMG" diff a.db --live netns:a --json >differs || return 1
		[ "$(jq -r '.[] | .kind + " " + .object' differs)" = "added task three (pid $pid_three)" ]
		# the root group: all tasks that are to be seen from here
		"$NSIMG" dump --cgroup / -o image
		[ "$(image "[.tasks | has(\"$pid_one\", \"$pid_two\", \"$pid_three\")] | all")" = true ]
	}
	inside body
}

@test "the caller's namespace is external: its sockets are kept, its devices are not, unless it is named" {
	body() {
		ip link add of-the-caller type bridge
		scene <<-'END'
		here home
		ns a
		sock s ns=home family=inet type=stream bind=127.0.0.1:80 listen=1
		task one ns=a
		task two ns=home parent=one
		give s one 3
		END
		"$NSIMG" dump --pid $pid_one -o image >out
		cat out
		grep -q '1 namespace only referred to (external)' out
		ns=$(image ".tasks[\"$pid_two\"].netns")
		[ "$(image ".netns[\"$ns\"].external")" = "netns-$(stat -L -c %i /proc/self/ns/net)" ]
		[ "$(image ".tasks[\"$pid_one\"].fds[\"3\"].ns_id")" = "$ns" ]
		[ ! -e image/netdev-$ns.img ]
		rm -r image
				"$NSIMG" dump --pid $pid_one --netns /proc/self/ns/net -o image
		[ "$(image '[.netns[].devices[]] | index("of-the-caller") != null')" = true ]
	}
	inside body
}

@test "one socket in several tasks is one record; cloexec belongs to each descriptor" {
	body() {
		scene <"$BATS_TEST_DIRNAME/../scenes/shared.scene"
		"$NSIMG" dump --pid $pid_parent -o image
		crit decode -i image/files.img | jq -e '[.entries[] | select(.type == "INETSK")] | length == 2'
		[ "$(image "[.tasks[].fds[] | select(.kind == \"INETSK\") | .ino] | unique | length")" = 2 ]
		[ "$(image ".tasks[\"$pid_kida\"].fds | [.[\"4\"].cloexec, .[\"5\"].cloexec] | join(\" \")")" = "0 1" ]
		[ "$(image ".tasks[\"$pid_grand\"].fds[\"1023\"].ino")" = "$(image ".tasks[\"$pid_parent\"].fds[\"19\"].ino")" ]
	}
	inside body
}

@test "tasks stand still during the dump, and run on after it" {
	body() {
		(while :; do echo >>ticks; sleep 0.01; done) &
		ticker=$!
		sleep 0.1
		"$NSIMG" dump --pid $ticker -o image --json >report.json
		runs $ticker
		before=$(wc -l <ticks)
		for i in $(seq 600); do [ "$(wc -l <ticks)" -gt "$before" ] && break; sleep 0.05; done
		[ "$(wc -l <ticks)" -gt "$before" ]
		[ "$(jq ".[0].frozen_us" report.json)" -gt 0 ]
	}
	inside body
}

@test "sysctls are of the moment in which the tasks stand still, with any limit of descriptors" {
	body() {
		local limit value mark last=1000
		# counts in two places: in an image that has both from one moment they are the same number, or the next
		unshare --net python3 - <<-'PY' &
		import itertools, os, socket
		s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
		with open("/proc/sys/net/ipv4/igmp_max_memberships", "wb", buffering=0) as sysctl:
		    for i in itertools.count(1000):
		        os.pwrite(sysctl.fileno(), b"%d" % i, 0)
		        s.setsockopt(socket.SOL_SOCKET, socket.SO_MARK, i)
		        if i == 1000:
		            open("counting", "w").close()
		PY
		task=$!
		for i in $(seq 600); do [ -e counting ] && break; kill -0 $task; sleep 0.05; done
		for limit in 4096 200; do
			rm -rf image case.db
			(ulimit -n $limit && exec "$NSIMG" dump --pid $task -o image)
			"$NSIMG" import case.db image >/dev/null
			value=$("$NSIMG" sql case.db --no-header "SELECT value FROM sysctl WHERE name = 'net/ipv4/igmp_max_memberships'")
			mark=$("$NSIMG" sql case.db --no-header "SELECT so_mark FROM socket WHERE so_mark")
			echo "limit $limit: sysctl $value, mark $mark"
			[ "$mark" -gt "$last" ]
			[ "$value" -eq "$mark" ] || [ "$value" -eq $((mark + 1)) ]
			last=$mark
		done
	}
	inside body
}

@test "kill -9 of the dumper in the middle of a dump: the tasks run on, the image is not taken for a whole one" {
	body() {
		for i in $(seq 40); do echo "ns n$i"; done >many
		for i in $(seq 40); do
			echo "sock s$i ns=n$i family=inet type=stream bind=0.0.0.0:80 listen=1"
		done >>many
		echo "task one ns=n1 thread=n2" >>many
		echo "task two ns=n3 parent=one" >>many
		for i in $(seq 40); do echo "give s$i one $((i + 2))"; done >>many
		echo "run n7 iptables-legacy -A INPUT -j ACCEPT" >>many
		scene <many || cannot "no iptables-legacy"
		# the program that the dumper runs for these rules, in the middle, kills it
		cat >killer <<-END
		#!/bin/sh
		sed -n 's/^TracerPid:.//p' /proc/$pid_one/status /proc/$pid_two/status >$PWD/tracers
		echo \$PPID >$PWD/dumper
		kill -9 \$PPID
		END
		chmod +x killer
		mount --bind killer "$(command -v iptables-legacy-save)"
		"$NSIMG" dump --pid $pid_one -o image && return 1 || [ $? -eq 137 ]
		[ "$(sort -u tracers)" = "$(cat dumper)" ]
		for i in $(seq 600); do
			runs $pid_one && runs $pid_two && break
			sleep 0.02
		done
		runs $pid_one
		runs $pid_two
		for t in /proc/$pid_one/task/*; do grep -q '^TracerPid:.*\b0$' $t/status; done
		[ ! -e image/inventory.img ]
		fails 2 "" "$NSIMG" import case.db image
		[ ! -e case.db ]
	}
	inside body
}

@test "a tree that has the caller in it, and children that have ended" {
	body() {
		sleep 0 & # not waited for: a zombie below this shell once it has ended
		bash -c 'sleep 0.01 & exec sleep 600' &
		parent=$!
		for i in $(seq 600); do
			[ "$(ps -o stat= --ppid $parent | cut -c1)" = Z ] && break
			sleep 0.02
		done
		[ "$(ps -o stat= --ppid $parent | cut -c1)" = Z ]
		fails 2 "has ended" "$NSIMG" dump --pid $(ps -o pid= --ppid $parent) -o image
		"$NSIMG" dump --pid $$ -o image
		[ "$(image ".tasks | has(\"$$\") and has(\"$parent\")")" = true ]
		runs $parent
		kill $parent
	}
	inside body
}

@test "descriptors of a thread with a table of its own, and of a process whose first thread has ended" {
	body() {
		cat >threads.py <<-'PY'
		import ctypes, socket, sys, threading, time
		libc = ctypes.CDLL(None, use_errno=True)
		def work(port, own):
		    assert not own or libc.unshare(0x400) == 0  # CLONE_FILES
		    s = socket.create_server(("127.0.0.1", port))
		    open("ready%d" % port, "w").write("%d %d\n" % (threading.get_native_id(), s.fileno()))
		    time.sleep(600)
		own = sys.argv[1] == "own"
		threading.Thread(target=work, args=(7001 if own else 7002, own)).start()
		if own:
		    time.sleep(600)
		libc.pthread_exit(None)
		PY
		ip link set lo up
		/usr/bin/python3 threads.py own &
		own=$!
		/usr/bin/python3 threads.py ended &
		ended=$!
		for i in $(seq 600); do
			[ -s ready7001 ] && [ -s ready7002 ] && grep -q '^State:.*Z' /proc/$ended/status && break
			sleep 0.05
		done
		read -r tid fd <ready7001
		read -r _ fd2 <ready7002
		for who in "--pid $own --pid $ended" "--netns /proc/$$/ns/net"; do
			rm -rf image case.db
			"$NSIMG" dump $who -o image --json >report.json
			jq -e "[.[] | select(.kind == \"not kept\") | select(.object == \"task $own thread $tid\")] | length == 1" report.json
			"$NSIMG" import case.db image >/dev/null
			"$NSIMG" sockets case.db --json | jq -r '.[] | [.local, .users] | @tsv' >found
			cat found
			grep "7001.*pid=$tid,fd=$fd)" found
			grep "7002.*pid=$ended,fd=$fd2)" found
			[ "$(crit decode -i image/pstree.img | jq -c "[.entries[] | select(.pid == $tid) | .ppid]")" = "[$own]" ]
		done
		kill -9 $own $ended
	}
	inside body
}

@test "a task that somebody else traces is dumped without being stopped, and named" {
	body() {
		scene <<-'END'
		ns a
		sock s ns=a family=inet type=stream bind=0.0.0.0:80 listen=1
		task one ns=a
		give s one 3
		END
		python3 -c "
import ctypes, sys, time
c = ctypes.CDLL(None, use_errno=True)
assert c.ptrace(0x4206, $pid_one, 0, 0) == 0  # PTRACE_SEIZE
print('traced', flush=True)
time.sleep(600)" >tracer.out &
		tracer=$!
		for i in $(seq 600); do grep -q traced tracer.out && break; sleep 0.05; done
		grep -q traced tracer.out
		"$NSIMG" dump --pid $pid_one -o image --json >report.json
		kill $tracer
		jq -e "[.[] | select(.kind == \"not kept\") | select(.object | test(\"task $pid_one\"))] | length == 1" report.json
		[ "$(image ".tasks[\"$pid_one\"].fds[\"3\"].src_port")" = 80 ]
	}
	inside body
}

@test "what cannot be kept is listed, recorded, and an error with --strict; unknown families are not fatal" {
	body() {
		cat >statements <<-'END'
		ns a
		sock web ns=a family=inet type=stream bind=0.0.0.0:80 listen=1
		task one ns=a
		give web one 3
		END
		other=0
		python3 -c 'import socket; socket.socket(2, 1, 262)' 2>/dev/null && {
			sed -i '/^task/i sock mp ns=a family=inet type=stream proto=262 bind=0.0.0.0:81 listen=1' statements
			echo 'give mp one 4' >>statements
			other=$((other + 1))
		}
		python3 -c 'import socket; socket.socket(40, 1)' 2>/dev/null && {
			sed -i '/^task/i sock vs ns=a family=vsock type=stream bind=-1:9999 listen=2' statements
			echo 'give vs one 5' >>statements
			other=$((other + 1))
		}
		[ $other -gt 0 ] || cannot "the kernel has neither MPTCP nor vsock"
		scene <statements
		"$NSIMG" dump --pid $pid_one -o image --json >report.json
		cat report.json
		[ "$(jq 'map(select(.kind == "not kept")) | length' report.json)" -ge $other ]
		jq -e '.[0].sockets == '$((other + 1)) report.json
		[ "$(image ".tasks[\"$pid_one\"].fds[\"3\"].src_port")" = 80 ]
		# what crit has no message for is a descriptor of no known kind for it, and a record of ours
		[ "$(image "[.tasks[\"$pid_one\"].fds[] | select(.kind == \"UND\")] | length")" -ge 1 ]
		[ -s image/nsimg-sk.img ]
		# what a vsock listener is bound to, CID:PORT as ss writes it
		grep -q vsock statements && {
			"$NSIMG" import vs.db image
			"$NSIMG" sockets vs.db >sockets.out
			grep 'v_str *LISTEN .* \*:9999 ' sockets.out
		}
		# the text report says the same, and so does the database
		"$NSIMG" dump --pid $pid_one -o case.db >out
		grep -q '^NOT KEPT' out
		[ "$(sqlite3 case.db "SELECT count(*) FROM note WHERE kind = 'loss'")" = "$(jq 'map(select(.kind == "not kept")) | length' report.json)" ]
		fails 2 "--strict" "$NSIMG" dump --pid $pid_one -o strict --strict
		[ ! -e strict ]
		runs $pid_one
	}
	inside body
}

@test "sockets without a descriptor are named, but for those of tunnel devices, which are kept with the device" {
	body() {
		# made in b and moved to a: the socket of the tunnel stays in b (and --strict is content)
		scene <<-'END'
		ns a
		ns b
		run b ip link add vx0 type vxlan id 7 dstport 4799 local 10.1.0.1
		run b ip link set vx0 netns %a%
		run a ip link set vx0 up
		run a ip link add vx1 type vxlan id 8 dstport 4789 local 10.1.0.1
		run a ip link set vx1 up
		sock s ns=b family=unix type=dgram bind=@here
		task one ns=a
		give s one 3
		END
		nsenter -t $pid_one -n ss -uanH | grep -q :4789
		"$NSIMG" dump --pid $pid_one -o image --strict --json >report.json
		jq -e 'map(.kind) == ["image"]' report.json
		nsenter -t $pid_one -n python3 -c 'import socket, time
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.bind(("127.0.0.1", 4790))
time.sleep(600)' &
		holder=$!
		for i in $(seq 600); do nsenter -t $pid_one -n ss -uanH | grep -q :4790 && break; sleep 0.05; done
		"$NSIMG" dump --pid $pid_one -o image2 --json >report.json
		jq -e '[.[] | select(.kind == "not kept") | select(.object | test("127.0.0.1:4790"))] | length == 1' report.json
	}
	inside body
}

@test "files are for their owner only; an empty folder is taken" {
	body() {
		scene <<-'END'
		ns a
		task one ns=a
		END
		mkdir image
		umask 0
		"$NSIMG" dump --pid $pid_one -o image
		[ -z "$(find image -type f ! -perm 0600)" ]
		[ "$(ls image | wc -l)" -gt 5 ]
		"$NSIMG" dump --pid $pid_one -o made
		[ "$(stat -c %a made)" = 700 ]
	}
	inside body
}

@test "MD5 keys are in the image, and with --no-secrets they are not" {
	body() {
		python3 - <<-'PY' &
		import socket, struct, time, os
		s = socket.socket()
		key = b"swordfish-of-the-test"
		addr = struct.pack("=HH4s120x", 2, 0, socket.inet_aton("192.0.2.9"))
		# struct tcp_md5sig: address, flags, prefix length, key length, index of an interface, key
		s.setsockopt(6, 14, addr + struct.pack("=BBHi80s", 0, 0, len(key), 0, key))
		s.bind(("0.0.0.0", 179))
		s.listen(1)
		open("bound", "w").close()
		time.sleep(600)
		PY
		task=$!
		for i in $(seq 600); do [ -e bound ] && break; kill -0 $task; sleep 0.05; done
		[ -e bound ] || cannot "the kernel has no TCP_MD5SIG"
		"$NSIMG" dump --pid $task -o image
		grep -q swordfish-of-the-test image/files.img
		"$NSIMG" dump --pid $task -o quiet --no-secrets >out
		! grep -rq swordfish-of-the-test quiet
		grep -q 'no-secrets' out
	}
	inside body
}

# ---- errors ----

@test "targets that do not exist, and none" {
	body() {
		scene <<-'END'
		ns a
		task one ns=a
		END
		while IFS='|' read -r words text; do
			fails 2 "$text" "$NSIMG" dump $words -o image
			[ ! -e image ] || { echo "$words left image"; return 1; }
		done <<-END
		--pid 999999|999999
		--pid abc|abc
		--pid 0|0
		--netns nosuch|nosuch
		--netns /etc/passwd|/etc/passwd
		--cgroup /nosuch/group|/nosuch/group
		--unit nosuch-unit|nosuch-unit
		|--pid
		END
		fails 2 "-o" "$NSIMG" dump --pid $pid_one
	}
	inside body
}

@test "a folder that is not empty, a file, a place that is not there: nothing is touched" {
	body() {
		scene <<-'END'
		ns a
		task one ns=a
		END
		mkdir full
		echo keep >full/something
		fails 2 "full is not empty" "$NSIMG" dump --pid $pid_one -o full
		[ "$(ls full)" = something ] && [ "$(cat full/something)" = keep ]
		echo keep >file
		fails 2 "file" "$NSIMG" dump --pid $pid_one -o file
		[ "$(cat file)" = keep ]
		fails 2 "no/such" "$NSIMG" dump --pid $pid_one -o no/such/folder
		fails 2 "case.db" "$NSIMG" dump --pid $pid_one -o no/such/case.db
		echo "not a database" >other.db
		fails 2 "other.db" "$NSIMG" dump --pid $pid_one -o other.db
		[ "$(cat other.db)" = "not a database" ]
		runs $pid_one
	}
	inside body
}

@test "a full disk: an error that names the file, nothing is left, the tasks run on" {
	body() {
		scene <<-'END'
		ns a
		sock s ns=a family=inet type=stream bind=0.0.0.0:80 listen=1
		task one ns=a
		give s one 3
		END
		mkdir small
		mount -t tmpfs -o size=16k nsimg-test small
		fails 2 "No space left on device" "$NSIMG" dump --pid $pid_one -o small/image
		grep -q '\.img' fails.err
		[ -z "$(ls -A small)" ]
		fails 2 "" "$NSIMG" dump --pid $pid_one -o small/case.db
		[ -z "$(ls -A small)" ]
		runs $pid_one
		# with room it works
		mount -o remount,size=4m small
		"$NSIMG" dump --pid $pid_one -o small/image
		umount small
	}
	inside body
}

@test "a database for an unknown pid is not made" {
	body() {
		fails 2 "999999" "$NSIMG" dump --pid 999999 -o case.db
		ls -A
		[ ! -e case.db ] && [ ! -e case.db-journal ]
	}
	inside body
}

@test "a missing capability is named before anything is done" {
	body() {
		scene <<-'END'
		ns a
		task one ns=a
		END
		fails 2 "cap_net_raw" setpriv --bounding-set=-net_raw "$NSIMG" dump --pid $pid_one -o image
		fails 2 "cap_sys_ptrace" setpriv --bounding-set=-sys_ptrace,-net_admin "$NSIMG" dump --pid $pid_one -o image
		grep -q cap_net_admin fails.err
		[ ! -e image ]
		cp "$NSIMG" /run/nsimg
		cd /
		mkdir -m 777 /run/out
		as_nobody="setpriv --reuid 65534 --regid 65534 --clear-groups"
		cd /run/out
		fails 2 "cap_sys_ptrace" $as_nobody /run/nsimg dump --pid $pid_one -o image
		[ ! -e image ]
	}
	inside body
}

@test "an ordinary user in a user namespace of his own dumps what is his" {
	body() {
		setpriv --reuid 65534 --regid 65534 --clear-groups unshare -Ur true 2>/dev/null ||
			cannot "no user namespaces for ordinary users"
		mkdir -m 777 /run/out
		cp "$NSIMG" "$MKSTATE" /run
		cat >/run/out/own.scene <<-'END'
		ns a
		run a ip link add x0 type veth peer name x1
		run a ip address add 10.1.0.1/24 dev x0
		run a ip link set x0 up
		sock web ns=a family=inet type=stream bind=0.0.0.0:8080 listen=5
		sock abs ns=a family=unix type=dgram bind=@mine
		task one ns=a
		give web one 3
		give abs one 4
		END
		cat >/run/out/own.sh <<-'END'
		set -eu
		cd /run/out
		mount -t proc proc /proc
		coproc SCENE { exec /run/mkstate own.scene 2>mkstate.err; }
		while read -r what name pid <&"${SCENE[0]}"; do
			[ "$what" = ready ] && break
			one=$pid
		done
		[ "${what:-}" = ready ] || { cat mkstate.err; exit 1; }
		/run/nsimg dump --pid $one -o image
		echo $one >pid
		END
		cd /run/out
		setpriv --reuid 65534 --regid 65534 --clear-groups unshare -Urnmpf --kill-child bash own.sh
		[ "$(image ".tasks[\"$(cat pid)\"].fds[\"3\"].src_port")" = 8080 ]
		[ "$(image '[.netns[].devices[]] | sort | join(" ")')" = "lo x0 x1" ]
	}
	inside body
}

@test "programs of eBPF on devices and namespaces, links to them, and descriptors of macvtap devices are named" {
	body() {
		cat >bpf.py <<-'END'
		import ctypes, os, signal, socket, struct, subprocess
		libc = ctypes.CDLL(None, use_errno=True)

		def bpf(cmd, attr):
		    got = libc.syscall(321 if os.uname().machine == 'x86_64' else 280, cmd, attr.ljust(120, b'\0'), 120)
		    if got < 0:
		        raise OSError(ctypes.get_errno(), 'bpf')
		    return got

		def load(kind, result, attach=0):
		    code = ctypes.create_string_buffer(struct.pack('BBhiBBhi', 0xb7, 0, 0, result, 0x95, 0, 0, 0))
		    license = ctypes.create_string_buffer(b'GPL')
		    return bpf(5, struct.pack('IIQQIIQII16sII', kind, 2, ctypes.addressof(code), ctypes.addressof(license),
		                              0, 0, 0, 0, 0, b'', 0, attach))

		def link(kind, result, attach, target, more=b''):
		    try:
		        os.dup2(bpf(28, struct.pack('IIII', load(kind, result, attach), target, attach, 0) + more), 20 + attach)
		        print('linked', attach, flush=True)
		    except OSError:
		        pass

		subprocess.run('ip link add v0 type veth peer name v1; ip link add mt0 link v0 type macvtap; ip link set mt0 up', shell=True)
		v0, ns = socket.if_nametoindex('v0'), os.open('/proc/self/ns/net', 0)
		link(3, -1, 46, v0)
		link(30, 1, 36, ns)
		link(22, 0, 17, ns)
		link(32, 1, 45, 0, struct.pack('IIiI', 2, 1, -128, 0))
		try:
		    # without a link: BPF_PROG_ATTACH
		    bpf(8, struct.pack('IIII', v0, load(3, -1), 47, 0))
		    print('linked', 47, flush=True)
		except OSError:
		    pass
		try:
		    os.dup2(os.open('/dev/tap%d' % socket.if_nametoindex('mt0'), os.O_RDWR), 19)
		    print('linked', 19, flush=True)
		except OSError:
		    pass
		os.close(ns)
		print('ready', flush=True)
		signal.pause()
		END
		coproc LINKS { exec unshare -n /usr/bin/python3 bpf.py; }
		linked=
		while read -r what number <&"${LINKS[0]}" && [ "$what" != ready ]; do linked+=" $number "; done
		[ "$what" = ready ]
		"$NSIMG" dump --pid $LINKS_PID -o image >dump.out 2>&1
		kill $LINKS_PID
		tr -s ' ' <dump.out >words
		cat words
		while IFS='|' read -r number words; do
			[ "${linked/ $number /}" = "$linked" ] || grep -qF "$words" words || { echo "not named: $words"; return 1; }
			[ "${linked/ $number /}" != "$linked" ] || ! grep -qF "$words" words || { echo "named: $words"; return 1; }
		done <<-END
		46|device v0: 1 eBPF program at its ingress (tcx) not kept
		47|device v0: 1 eBPF program at its egress (tcx) not kept
		36|1 eBPF program at the lookup of sockets (sk_lookup) not kept
		17|1 eBPF program at the flow dissector not kept
		46|fd 66 link of an eBPF program (tcx) is not kept
		36|fd 56 link of an eBPF program (netns) is not kept
		45|fd 65 link of an eBPF program (netfilter) is not kept
		19|fd 19 descriptor of /dev/tap
		END
		[ -n "$linked" ] || cannot "no eBPF program could be attached"
	}
	inside body
}
