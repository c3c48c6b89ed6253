#!/usr/bin/env bats
# dump --unit on a real systemd, which runs in namespaces of its own: a service with PrivateNetwork=yes, and one that
# was activated by a socket.

load helpers

@test "--unit: private and socket-activated services of a systemd are dumped, stopped, restored, answer again" {
	need_root
	mkdir "$BATS_TEST_TMPDIR/units"
	cd "$BATS_TEST_TMPDIR/units"
	unit() { { printf '[Unit]\nDefaultDependencies=no\n'; cat; } >"$1"; }
	unit private.service <<-'END'
		[Service]
		PrivateNetwork=yes
		ExecStart=/bin/sleep infinity
	END
	unit act.socket <<-'END'
		[Socket]
		ListenStream=127.0.0.1:7777
		ListenDatagram=127.0.0.1:7778
	END
	unit act.service <<-'END'
		[Service]
		PrivateNetwork=yes
		ExecStart=/bin/sleep infinity
	END
	unit test.service <<-END
		After=act.service private.service
		SuccessAction=exit-force
		FailureAction=exit-force
		[Service]
		Type=oneshot
		Environment=NSIMG=$NSIMG TESTS=$TESTS ASAN_OPTIONS=${ASAN_OPTIONS:-}
		WorkingDirectory=$BATS_TEST_TMPDIR
		ExecStart=/bin/bash -eux $BATS_TEST_TMPDIR/body
		StandardOutput=file:$BATS_TEST_TMPDIR/out
		StandardError=file:$BATS_TEST_TMPDIR/out
	END
	unit test.target <<-'END'
		Wants=act.socket act.service private.service test.service
	END
	cat >../body <<-'END'
		netns() { readlink /proc/$(systemctl show --value -p MainPID "$1")/ns/net; }
		"$NSIMG" dump --unit act -o act.db
		"$NSIMG" dump --unit private.service -o private.db
		# what systemd made: a namespace of its own for each, and sockets of systemd's own
		[ "$(sqlite3 act.db "SELECT 'net:[' || n.ino || ']' FROM task t JOIN netns n ON n.id = t.netns")" = "$(netns act)" ]
		[ "$(sqlite3 private.db "SELECT 'net:[' || n.ino || ']' FROM task t JOIN netns n ON n.id = t.netns")" = "$(netns private)" ]
		[ "$(netns act)" != "$(netns private)" ]
		[ "$(sqlite3 act.db "SELECT group_concat(src_port) FROM (SELECT src_port FROM inet_socket JOIN socket s ON s.id = socket
			JOIN netns n ON n.id = s.netns WHERE n.caller ORDER BY 1)")" = 7777,7778 ]
		systemctl stop act.service act.socket private.service
		[ -z "$(ss -Hltnu)" ]
		"$NSIMG" restore private.db
		"$NSIMG" restore act.db --dry-run && exit 1
		"$NSIMG" restore act.db --prefix act- --netns host=/proc/self/ns/net
		"$NSIMG" verify private
		"$NSIMG" verify act
		"$NSIMG" exec --listen act sleep -- bash -c '[ $LISTEN_FDS = 2 ] && [ $LISTEN_PID = $$ ] && exec python3 "$TESTS/netns/sockets.py" answer 3' &
		[ "$(python3 "$TESTS/netns/sockets.py" talk 127.0.0.1 7777 hello)" = HELLO ]
		wait $!
		"$NSIMG" rollback --all
		[ -z "$(ls /run/netns; ss -Hltnu)" ]
		echo all of it
	END
	run timeout 300 bash "$TESTS/netns/systemd.sh" "$BATS_TEST_TMPDIR"
	echo "$output"
	[ "$status" -ne 77 ] || skip "${lines[-1]}"
	cat "$BATS_TEST_TMPDIR/out"
	grep -qx "all of it" "$BATS_TEST_TMPDIR/out"
}
