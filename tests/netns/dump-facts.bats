# What nsimg dump writes, as crit reads it, is what the kernel says: by ss, ip, getsockopt and /proc.

load scene.bash

@test "every scene: tasks, sockets, devices, addresses, routes" {
	for f in "$BATS_TEST_DIRNAME"/../scenes/*.scene; do
		export SCENE_FILE=$f
		body() {
			scene <"$SCENE_FILE"
			root=$(sed -n 's/^# root: //p' "$SCENE_FILE")
			first=$(grep -m1 '^task ' scene.txt | cut -d' ' -f2)
			pid=pid_${root:-$first}
			rm -rf image
			"$NSIMG" dump --pid ${!pid} -o image >dump.out
			same_as_kernel
		}
		echo "${f##*/}"
		inside body
	done
}

@test "the comparison of this file sees what is different" {
	body() {
		scene <<-'END'
		ns a
		run a ip link add x0 type veth peer name x1
		run a ip address add 10.1.0.1/24 dev x0
		run a ip link set x0 up
		run a ip link set x1 up
		sock web ns=a family=inet type=stream bind=10.1.0.1:80 listen=5
		task one ns=a
		give web one 3
		END
		"$NSIMG" dump --pid $pid_one -o image
		same_as_kernel
		nsenter -t $pid_one -n ip link set x0 mtu 1400
		nsenter -t $pid_one -n ip address add 10.1.0.2/24 dev x0
		nsenter -t $pid_one -n ip route add 10.7.0.0/16 via 10.1.0.9
		same_as_kernel >differences && return 1
		cat differences
		grep -q 'mtu: image 1500, kernel 1400' differences
		grep -q 'addresses' differences
		grep -q 'route:' differences
	}
	inside body
}

@test "socket activation: the namespace of the listener is its own, not that of the task" {
	body() {
		scene <"$BATS_TEST_DIRNAME/../scenes/activated.scene"
		"$NSIMG" dump --pid $pid_parent -o image
		[ "$(image ".tasks[\"$pid_svc\"].fds[\"3\"].ns_id")" = "$(image ".tasks[\"$pid_parent\"].netns")" ]
		[ "$(image ".tasks[\"$pid_svc\"].netns")" != "$(image ".tasks[\"$pid_parent\"].netns")" ]
	}
	inside body
}

@test "unix sockets across namespaces: each end with its namespace and its peer" {
	body() {
		scene <"$BATS_TEST_DIRNAME/../scenes/unix-across.scene"
		"$NSIMG" dump --pid $pid_one -o image
		# the connected datagram pair by path: log (one, 6) and out (two, 6)
		image ".tasks | [.[\"$pid_one\"].fds[\"6\"], .[\"$pid_two\"].fds[\"6\"]] |
			[.[0].peer == .[1].ino, .[1].peer == .[0].ino, .[0].ns_id != .[1].ns_id] | all" >answer
		[ "$(cat answer)" = true ]
		# ss shows the peer only where it is in the namespace that is asked
		ino=$(image ".tasks[\"$pid_one\"].fds[\"3\"].ino")
		peer=$(image ".tasks[\"$pid_one\"].fds[\"3\"].peer")
		nsenter -t $pid_one -n ss -xeH | grep -q " $ino .* $peer "
	}
	inside body
}

@test "nested user namespaces: id maps, and who owns the network namespace" {
	body() {
		scene <"$BATS_TEST_DIRNAME/../scenes/userns.scene"
		"$NSIMG" dump --pid $pid_one -o image
		same_as_kernel
		[ "$(image ".tasks[\"$pid_two\"].userns")" != "$(image ".tasks[\"$pid_one\"].userns")" ]
		id=$(image ".tasks[\"$pid_two\"].userns")
		/usr/bin/python3 "$BATS_TEST_DIRNAME/image.py" show image >/dev/null
		crit decode -i image/userns-$id.img | jq -e '.entries[0].uid_map ==
			[{"first":0,"lower_first":1000,"count":5},{"first":100,"lower_first":2000,"count":10}]'
	}
	inside body
}

@test "one device name in two namespaces" {
	body() {
		scene <"$BATS_TEST_DIRNAME/../scenes/same-name.scene"
		first=$(grep -m1 '^task ' scene.txt | cut -d' ' -f2)
		pid=pid_$first
		"$NSIMG" dump --pid ${!pid} -o image
		same_as_kernel
		[ "$(image '[.netns[].devices[] | select(. != "lo")] | group_by(.) | map(length) | max')" -gt 1 ]
	}
	inside body
}
