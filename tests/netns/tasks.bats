#!/usr/bin/env bats
# Holders and their sockets as programs see them: what is reachable from where, what answers, what is left.

load scene

export PY=/usr/bin/python3

# whose_steps PLAN: all devices and what is on them are the root task's; each socket is made by a task that has it; and
# no group of steps begins before the one before it has ended, in any task.
whose_steps() {
	$PY - "$1" <<-'END'
	import json, sys
	steps = json.load(open(sys.argv[1]))["steps"]
	of_tasks = {"socket", "socket-pair", "listen", "connect", "finish", "share", "enter"}
	for s in steps:
	    assert (s["actor"] != "root") == (s["kind"] in of_tasks), s
	assert {"set", "up", "address", "sysctl", "settle"} <= {s["kind"] for s in steps if s["actor"] == "root"}
	makers = {s["actor"].split("(")[0] for s in steps if s["kind"] == "socket"}
	assert makers == {"parent", "kida", "kidb"}, makers
	last = 0
	for group in ["netns"], ["store"], ["up"], ["holder"], ["socket", "socket-pair"], ["listen"], ["connect"], ["finish"], ["share"], ["enter"], ["keep"]:
	    numbers = [s["step"] for s in steps if s["kind"] in group]
	    assert numbers and min(numbers) > last, (group, numbers, last)
	    last = max(numbers)
	END
}

# stages_wait JOURNAL: as it was done: what was begun has ended in all tasks before a step of another kind begins
stages_wait() {
	awk -F'\t' '$1 == "begin" { for (s in open) if (open[s] != $3) { print "step " $2 ", " $3 ", began before step " s ", " open[s] ", had ended"; bad = 1 } open[$2] = $3; n++ }
		$1 == "done" { delete open[$2] }
		END { exit bad || n < 20 }' "$1"
}

# The case of the original: a parent, two children in namespaces of their own, a grandchild back in the
# parent's namespace that inherited a socket of its parent's. Each abstract name is reachable exactly where it was.
@test "names are reachable where they were, and nowhere else" {
	body() {
		scene <<-'END'
		ns p
		ns a
		ns b
		sock pn ns=p family=unix type=stream bind=@nsimg-p listen=9
		sock an ns=a family=unix type=stream bind=@nsimg-a listen=9
		sock bn ns=b family=unix type=stream bind=@nsimg-b listen=9
		sock pboth ns=p family=unix type=stream bind=@nsimg-both listen=9
		sock bboth ns=b family=unix type=stream bind=@nsimg-both listen=9
		sock dn ns=p family=unix type=dgram bind=@nsimg-d
		sock dc ns=p family=unix type=dgram connect=@nsimg-d
		task parent ns=p
		task kida ns=a parent=parent
		task kidb ns=b parent=parent
		task grand ns=p parent=kida
		give pn parent 3
		give pboth parent 4
		give an kida 3
		give bn kidb 3
		give bboth kidb 4
		give an grand 7
		give dn kida 8
		give dc kidb 8
		END
		matrix() {
			for t in "$@"; do
				for name in nsimg-p nsimg-a nsimg-b nsimg-both; do
					echo "$1 ${t%=*} $name $(nsenter -t ${t#*=} -n $PY "$HERE/sockets.py" reach $name)"
				done
			done | cut -d' ' -f2-
		}
		matrix parent=$pid_parent kida=$pid_kida kidb=$pid_kidb grand=$pid_grand >before
		"$NSIMG" dump --pid $pid_parent -o image
		kill $scene_pid
		wait $scene_pid || true
		"$NSIMG" import case.db image
		"$NSIMG" plan case.db --format json >plan.json
		whose_steps plan.json
		"$NSIMG" restore case.db
		stages_wait /run/nsimg/case.journal
		holder() { "$NSIMG" ps --json | jq -r ".[] | select(.comm == \"$1\") | .pid"; }
		matrix parent=$(holder parent) kida=$(holder kida) kidb=$(holder kidb) grand=$(holder grand) >after
		diff before after
		cat >expected <<-'END'
		parent nsimg-p yes
		parent nsimg-a no
		parent nsimg-b no
		parent nsimg-both yes
		kida nsimg-p no
		kida nsimg-a yes
		kida nsimg-b no
		kida nsimg-both no
		kidb nsimg-p no
		kidb nsimg-a no
		kidb nsimg-b yes
		kidb nsimg-both yes
		grand nsimg-p yes
		grand nsimg-a no
		grand nsimg-b no
		grand nsimg-both yes
		END
		diff expected after
		# not in the namespace of the restorer either
		[ "$($PY "$HERE/sockets.py" reach nsimg-p)" = no ]
		# the grandchild is in the parent's namespace and has the child's very socket
		[ "$(readlink /proc/$(holder grand)/ns/net)" = "$(readlink /proc/$(holder parent)/ns/net)" ]
		[ "$(readlink /proc/$(holder grand)/fd/7)" = "$(readlink /proc/$(holder kida)/fd/3)" ]
		[ "$(readlink /proc/$(holder kidb)/fd/4)" != "$(readlink /proc/$(holder parent)/fd/4)" ]
		"$NSIMG" verify
	}
	inside body whose_steps stages_wait
}

restored() {
	"$NSIMG" dump --pid $1 -o image >/dev/null
	kill $scene_pid
	wait $scene_pid || true
	"$NSIMG" import case.db image >/dev/null
}

@test "the root task in the namespace of the caller, its child in a private one" {
	body() {
		scene <<-'END'
		here home
		ns a
		sock s ns=home family=inet type=stream bind=127.0.0.1:80 listen=1
		sock t ns=a family=inet type=stream bind=127.0.0.1:80 listen=2
		task one ns=home
		task two ns=a parent=one
		give s one 3
		give t two 3
		give s two 4
		END
		restored $pid_one
		fails 2 "namespace ns1 (the dumper's own): give --netns" "$NSIMG" restore case.db
		[ -z "$(ls /run/netns)" ]
		"$NSIMG" restore case.db --netns host=/proc/self/ns/net
		[ "$(ss -Hltn | awk '{print $3, $4}')" = "1 127.0.0.1:80" ]
		two=$("$NSIMG" ps --json | jq '.[] | select(.comm == "two") | .pid')
		[ "$(nsenter -t "$two" -n ss -Hltn | awk '{print $3, $4}')" = "2 127.0.0.1:80" ]
		[ "$(readlink /proc/$two/ns/net)" != "$(readlink /proc/self/ns/net)" ]
		"$NSIMG" verify
		"$NSIMG" rollback
		[ -z "$(ss -Hltn)" ]
	}
	inside body restored
}

@test "a given namespace keeps its net.core.somaxconn, also when the restore is killed while a listener needs more" {
	body() {
		scene <<-'END'
		here home
		ns a
		sock s ns=home family=inet type=stream bind=127.0.0.1:80 listen=600
		task one ns=a
		give s one 3
		END
		restored $pid_one
		limit() { sysctl -n net.core.somaxconn; }
		sysctl -qw net.core.somaxconn=200
		touch home
		mount --bind /proc/self/ns/net home
		"$NSIMG" restore case.db --netns host=./home
		cd /
		[ "$(ss -Hltn | awk '{print $3, $4}')" = "600 127.0.0.1:80" ]
		[ "$(limit)" = 200 ]
		# as if it had been killed in the midst of it, and as if it was written by somebody else
		journal=/run/nsimg/case.journal
		step=$(awk -F'\t' '$1 == "fact" && $3 == "limit-was" && $4 == 200 {print $2}' $journal)
		cp $journal /run/whole
		sed -i "/^done\t$step\$/d; /^commit/d" $journal
		sysctl -qw net.core.somaxconn=600
		"$NSIMG" rollback
		[ "$(limit)" = 200 ]
		install -D -m 600 /run/whole $journal
		sysctl -qw net.core.somaxconn=600
		"$NSIMG" rollback
		[ "$(limit)" = 600 ]
	}
	inside body restored
}

@test "a kind of device without a row is replayed and compared: a difference is an error that names it" {
	body() {
		scene <<-'END'
		ns a
		run a ip link add p0 type veth peer name p1
		run a ip link add mt0 link p0 type macvtap mode vepa
		task one ns=a
		END
		restored $pid_one
		"$NSIMG" restore case.db
		"$NSIMG" verify
		"$NSIMG" rollback
		# this kernel does not know the attribute and leaves it out without a word
		sqlite3 case.db "UPDATE device SET attrs = json_set(attrs, '$.attr_77', '01000000') WHERE name = 'mt0'"
		fails 2 "device mt0 of kind macvtap came back different: " "$NSIMG" restore case.db
		grep -q "attr_77 is absent, was" fails.err
		[ -z "$(ls /run/netns)" ]
	}
	inside body restored
}

@test "exec: a program answers on a restored listener; --listen; --end" {
	body() {
		scene <<-'END'
		ns a
		ns b
		sock web ns=a family=inet type=stream bind=127.0.0.1:80 listen=5
		sock web2 ns=b family=inet type=stream bind=127.0.0.1:80 listen=5
		task one ns=a
		task two ns=b parent=one
		give web one 9
		give web two 4
		give web2 two 6
		END
		restored $pid_one
		"$NSIMG" restore case.db --name inst >/dev/null
		ns() { nsenter --net=/run/netns/$1 "${@:2}"; }
		a=$(basename "$(ls -d /run/netns/* | head -1)")
		b=$(basename "$(ls -d /run/netns/* | tail -1)")
		# by instance, by database, by number of the dumped process
		"$NSIMG" exec inst one -- $PY "$HERE/sockets.py" answer 9 &
		[ "$(ns $a $PY "$HERE/sockets.py" talk 127.0.0.1 80 first)" = FIRST ]
		wait $!
		"$NSIMG" exec case.db "two($pid_two)" -- $PY "$HERE/sockets.py" answer 6 &
		[ "$(ns $b $PY "$HERE/sockets.py" talk 127.0.0.1 80 second)" = SECOND ]
		wait $!
		# a task of another namespace holds the socket too
		"$NSIMG" exec case.db $pid_two -- $PY "$HERE/sockets.py" answer 4 &
		[ "$(ns $a $PY "$HERE/sockets.py" talk 127.0.0.1 80 third)" = THIRD ]
		wait $!
		# the program is in the namespace of the task
		[ "$("$NSIMG" exec inst two -- readlink /proc/self/ns/net)" = "$(ns $b readlink /proc/self/ns/net)" ]
		# sd_listen_fds(3): numbers from 3 on, LISTEN_PID the program's own
		"$NSIMG" exec --listen --fdname=http inst two -- sh -c \
			'[ $LISTEN_PID = $$ ] && echo "$LISTEN_FDS $LISTEN_FDNAMES $(readlink /proc/$$/fd/3)"' >listen.out
		two=$("$NSIMG" ps --json | jq -r '.[] | select(.comm == "two") | .pid')
		[ "$(cat listen.out)" = "2 http:fd6 $(readlink /proc/$two/fd/4)" ]
		fails 2 "no task three" "$NSIMG" exec inst three -- true
		fails 2 "no instance" "$NSIMG" exec nothing one -- true
		fails 2 "no command" "$NSIMG" exec inst one
		# the program alone has the sockets then
		"$NSIMG" exec --end inst one -- sh -c 'readlink /proc/$$/fd/9' | grep -q socket
		fails 2 "has ended" "$NSIMG" exec inst one -- true
	}
	inside body restored
}

@test "ps and end: only what is proven ours" {
	body() {
		scene <<-'END'
		ns a
		sock s ns=a family=inet type=stream bind=127.0.0.1:80 listen=5
		task one ns=a
		task two ns=a parent=one
		give s one 3
		give s one 4
		END
		restored $pid_one
		"$NSIMG" restore case.db >/dev/null
		"$NSIMG" ps --json >ps.json
		[ "$(jq -c 'map([.instance, .comm, .sockets, .state])' ps.json)" = \
			'[["case","one",1,"alive"],["case","two",0,"alive"]]' ]
		[ "$(jq -r '.[0].pid' ps.json)" = "$(pgrep -x nsimg:one)" ]
		one=$(pgrep -x nsimg:one)
		"$NSIMG" end one | grep -q "ended one"
		! kill -0 $one 2>/dev/null
		[ "$("$NSIMG" ps --json | jq -c 'map(.state)')" = '["ended","alive"]' ]
		fails 2 "no living task" "$NSIMG" end one
		fails 2 "give an instance" "$NSIMG" end
		# a process that has got the number of a holder is not one: another start time in the journal
		two=$(pgrep -x nsimg:two)
		sed -i "s/^holder\t$two\t\([0-9]*\)/holder\t$two\t1/" /run/nsimg/case.journal
		"$NSIMG" end --all | grep -q "no holder was alive"
		kill -0 $two
		kill -9 $two
		# a process 1 that does not wait for its children: what is left of a holder is a zombie
		unshare --pid --fork --kill-child --mount-proc bash -c \
			'"$NSIMG" restore case.db --name zombies --prefix z- >/dev/null && exec "$NSIMG" rollback zombies'
	}
	inside body restored
}

@test "socket files: stale ones set aside and put back, others refused before anything is touched" {
	body() {
		scene <<-END
		ns a
		sock s ns=a family=unix type=stream bind=$RUN/dir.sock listen=5 mode=0640
		task one ns=a
		give s one 3
		END
		restored $pid_one
		[ -S $RUN/dir.sock ] # mkstate left it: stale
		stat -c '%i %a' $RUN/dir.sock >stale
		"$NSIMG" restore case.db >/dev/null
		[ "$(stat -c %a $RUN/dir.sock)" = 640 ]
		[ "$(stat -c %i $RUN/dir.sock)" != "$(cut -d' ' -f1 stale)" ]
		"$NSIMG" exec case one -- $PY "$HERE/sockets.py" answer 3 &
		$PY -c "import socket; s = socket.socket(socket.AF_UNIX); s.connect('$RUN/dir.sock'); s.send(b'hello'); assert s.recv(9) == b'HELLO'"
		wait $!
		# a second restore finds it in use
		fails 2 "is in use by a running program" "$NSIMG" restore case.db --name second
		"$NSIMG" rollback >/dev/null
		stat -c '%i %a' $RUN/dir.sock | diff stale -
		[ "$(ls $RUN)" = dir.sock ]
		# another file is never touched
		rm $RUN/dir.sock
		echo precious >$RUN/dir.sock
		fails 2 "exists and is no socket" "$NSIMG" restore case.db
		fails 2 "exists and is no socket" "$NSIMG" restore case.db --dry-run || true
		[ "$(cat $RUN/dir.sock)" = precious ]
		[ -z "$(ls /run/netns)" ]
		# elsewhere, with folders that are missing: made, and removed again
		"$NSIMG" restore case.db --root $PWD/below/that >/dev/null
		[ -S $PWD/below/that$RUN/dir.sock ]
		one=$(pgrep -x nsimg:one)
		nsenter -t $one -n ss -xlH | grep -q " $RUN/dir.sock "
		"$NSIMG" rollback >/dev/null
		[ ! -e below ]
	}
	inside body restored
}

@test "kill -9 after each step with tasks: processes, files and namespaces are gone" {
	body() {
		mkdir $RUN/keep $RUN/new
		scene <<-END
		ns a
		ns b
		sock s ns=a family=unix type=stream bind=$RUN/keep/s.sock listen=5
		sock d ns=a family=unix type=dgram bind=$RUN/new/d.sock
		sock c ns=b family=unix type=dgram connect=$RUN/new/d.sock
		sock web ns=b family=inet type=stream bind=127.0.0.1:80 listen=5
		pair x y ns=a type=stream
		task one ns=a
		task two ns=b parent=one
		give s one 3
		give d one 4
		give x one 5
		give y two 5
		give c two 6
		give web two 7
		give web one 7
		END
		restored $pid_one
		rm -r $RUN/new
		probe() {
			lsns -t net -n -o NS | sort
			find /run -mindepth 1 -printf '%p %i\n' | sort
			grep ' /run' /proc/mounts # elsewhere somebody else may remove a folder, which takes its mounts away
			ps -e -o comm= | grep ^nsimg: || true
		}
		steps=$("$NSIMG" plan case.db --format json | jq '.steps | length')
		probe >before
		for n in $(seq $((steps))); do
			"$NSIMG" restore case.db --break-after $n >/dev/null 2>&1 && false
			"$NSIMG" rollback >/dev/null
			probe >after
			diff before after || { echo "after step $n"; false; }
		done
		echo "$steps steps"
		"$NSIMG" restore case.db >/dev/null
		"$NSIMG" rollback >/dev/null
		probe | diff before -
	}
	inside body restored
}

@test "owner of signals, rings, fanout, sources, ping, connected netlink, shutdown" {
	body() {
		sysctl -qw net.ipv4.ping_group_range="0 0"
		coproc MAKER { exec unshare -n sh -c 'ip link set lo up; sysctl -qw net.ipv4.ping_group_range="0 0"; exec '$PY' "$0" make' "$HERE/sockets.py"; }
		read -r _ maker <&"${MAKER[0]}"
		$PY -c 'import ctypes' # the interpreter is there
		look() { nsenter -t $1 -n "${@:2}"; }
		"$NSIMG" dump --pid $maker -o image
		# the same words from inside the maker's descriptors
		$PY - "$maker" "$HERE/sockets.py" >before <<-'END'
		import ctypes, os, sys
		pid = int(sys.argv[1])
		libc = ctypes.CDLL(None)
		pidfd = libc.syscall(434, pid, 0)
		for fd in range(20, 28):
		    got = libc.syscall(438, pidfd, fd, 0)
		    assert got >= 0
		    os.dup2(got, fd, inheritable=True)
		libc.setns(pidfd, 0x40000000)
		os.execv('/usr/bin/python3', ['python3', sys.argv[2], 'look'])
		END
		kill $maker
		wait $MAKER_PID || true
		"$NSIMG" import case.db image
		"$NSIMG" restore case.db
		"$NSIMG" exec case python3 -- $PY "$HERE/sockets.py" look >after
		diff before after
		# the signals of 20 go to the holder that has taken the place, and do not end it
		holder=$("$NSIMG" ps --json | jq -r '.[0].pid')
		"$NSIMG" exec case python3 -- $PY "$HERE/sockets.py" owner | grep -qx $holder
		kill -0 $holder
	}
	inside body
}

@test "a socket path that leads out of --root is refused" {
	body() {
		scene <<-END
		ns a
		sock s ns=a family=unix type=stream bind=$RUN/s.sock listen=5
		task one ns=a
		give s one 3
		END
		restored $pid_one
		sqlite3 case.db "UPDATE unix_socket SET name = '/../../../$PWD/evil.sock'"
		mkdir below
		fails 2 "leads out of --root" "$NSIMG" restore case.db --root $PWD/below
		[ ! -e evil.sock ] && [ -z "$(ls below)" ]
	}
	inside body restored
}

@test "what is in sockets and not restored is named: waiting connections, descriptors in flight, bytes" {
	body() {
		scene <<-'END'
		ns p
		run p ip link set lo up
		sock tcp ns=p family=inet type=stream bind=127.0.0.1:80 listen=9
		sock c1 ns=p family=inet type=stream connect=127.0.0.1:80
		sock c2 ns=p family=inet type=stream connect=127.0.0.1:80
		sock ux ns=p family=unix type=stream bind=@nsimg-wait listen=9
		sock u1 ns=p family=unix type=stream connect=@nsimg-wait
		pair left right ns=p type=stream
		pass left tcp
		pair one two ns=p type=dgram
		send one hello
		task parent ns=p
		give tcp parent 3
		give ux parent 4
		give left parent 5
		give right parent 6
		give one parent 7
		give two parent 8
		END
		"$NSIMG" dump --pid $pid_parent -o image
		kill $scene_pid
		wait $scene_pid || true
		"$NSIMG" import case.db image
		"$NSIMG" restore case.db >restore.out 2>&1
		cat restore.out
		grep -q "127.0.0.1:80.*2 connections that wait to be accepted" restore.out
		grep -q "nsimg-wait.*1 connections that wait to be accepted" restore.out
		[ "$(grep -c "1 descriptors in flight" restore.out)" = 1 ]
		grep -q "bytes that wait in it" restore.out
		# and the listener is there, with an empty queue
		[ "$("$NSIMG" exec case parent -- ss -Hltn | awk '{print $2}')" = 0 ]
	}
	inside body
}

# finds TEXT COMMAND...: a dry run with this finding
finds() {
	local text=$1 rc=0
	shift
	"$@" >finds.out || rc=$?
	cat finds.out
	[ $rc = 1 ] && grep -q -- "$text" finds.out
}

@test "few descriptor numbers: exec needs one beside the sockets', restore says before it begins when there are too few" {
	body() {
		scene < <(
			echo "ns a"
			for n in $(seq 3 31); do echo "sock s$n ns=a family=inet type=dgram bind=127.0.0.1:$((1000 + n))"; done
			echo "task one ns=a"
			for n in $(seq 3 31); do echo "give s$n one $n"; done
		)
		"$NSIMG" dump --pid "$pid_one" -o case.db
		kill "$scene_pid"
		wait "$scene_pid" || true
		# limit N COMMAND...: with that hard limit, and no right to raise it
		limit() { prlimit --nofile="$1:$1" setpriv --bounding-set=-sys_resource --inh-caps=-sys_resource "${@:2}"; }
		finds "8 must be free" limit 36 "$NSIMG" restore case.db --dry-run
		fails 2 "number 31 is not below the limit" limit 31 "$NSIMG" restore case.db
		[ -z "$(ls /run/netns)" ]
		limit 40 "$NSIMG" restore case.db
		# without a pipe, which would need two more
		ports() { local n c=0; for ((n = 3; n < 32; n++)); do [ -S /proc/self/fd/$n ] && ((++c)); done; echo $c; }
		fails 2 "cannot be raised to 33" limit 32 "$NSIMG" exec case one -- true
		export -f ports
		[ "$(limit 33 "$NSIMG" exec case one -- bash -c ports)" = 29 ]
		"$NSIMG" exec case one -- ss -Huln | awk '{print $4}' | sort >after
		for n in $(seq 3 31); do echo "127.0.0.1:$((1000 + n))"; done | sort | diff - after
	}
	inside body finds
}

@test "--dry-run sees a folder for the pins that cannot be written, or is none" {
	body() {
		echo "ns a" >s
		echo "task one ns=a" >>s
		scene <s
		"$NSIMG" dump --pid "$pid_one" -o case.db
		kill "$scene_pid"
		wait "$scene_pid" || true
		mkdir ro
		mount -t tmpfs -o ro none ro
		finds "Read-only" "$NSIMG" restore case.db --dry-run --pin-dir "$PWD/ro"
		finds "Read-only" "$NSIMG" restore case.db --dry-run --pin-dir "$PWD/ro/below/it"
		finds "Not a directory" "$NSIMG" restore case.db --dry-run --pin-dir "$PWD/s/x"
		"$NSIMG" restore case.db --dry-run --pin-dir "$PWD/new/one"
		[ ! -e new ]
	}
	inside body finds
}
