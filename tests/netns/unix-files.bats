#!/usr/bin/env bats
# Unix sockets whose file is not where the restorer would look for it: in other mount namespaces.

load scene

export PY=/usr/bin/python3

# make FILE: the program of the test, in a network namespace of its own, dumped into case.db and gone
make() {
	coproc MAKER { exec unshare -n $PY "$1"; }
	read -r _ maker <&"${MAKER[0]}"
	"$NSIMG" dump --pid "$maker" -o case.db >dump.out 2>&1
	kill "$maker"
	wait "$MAKER_PID" || true
}

@test "the same path in several mount namespaces: one socket has the file, each is reached by its own peers" {
	body() {
		cat >make.py <<-'END'
		import ctypes, os, signal, socket
		libc = ctypes.CDLL(None)

		def child(name, own_mounts):
		    ready, done = os.pipe()
		    if os.fork():
		        os.read(ready, 1)
		        return
		    libc.prctl(1, signal.SIGKILL)
		    libc.prctl(15, name.encode())
		    if own_mounts:
		        assert libc.unshare(0x20000) == 0
		        libc.mount(None, b'/', None, 0x44000, None)  # MS_REC | MS_PRIVATE
		        assert libc.mount(b'tmpfs', b'/run/tt', b'tmpfs', 0, None) == 0
		    d = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
		    d.bind('/run/tt/d')
		    c = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
		    c.connect('/run/tt/d')
		    s = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
		    if own_mounts:
		        s.bind('/run/tt/x')
		        os.chmod('/run/tt/x', 0o640)
		        s.listen(3)
		    for fd, sock in enumerate((s, d, c), 20):
		        os.dup2(sock.fileno(), fd)
		        sock.close()
		    os.write(done, b'x')
		    signal.pause()

		os.mkdir('/run/tt')
		for args in ('one', True), ('two', True), ('three', False):
		    child(*args)
		print('ready', os.getpid(), flush=True)
		signal.pause()
		END
		make make.py
		rm -r /run/tt
		"$NSIMG" plan case.db >plan
		"$NSIMG" restore case.db --dry-run
		"$NSIMG" restore case.db >restore.out
		cat restore.out
		for out in plan restore.out; do
			[ "$(grep -c "left out.*its file: it was in another mount namespace" $out)" = 3 ]
			[ "$(grep -c "left out.*unix dgram /run/tt/d.*a socket of task three([0-9]*) has that path" $out)" = 2 ]
			[ "$(grep -c "left out.*unix stream /run/tt/x.*a socket of task one([0-9]*) has that path" $out)" = 1 ]
		done
		"$NSIMG" verify
		cat >reach.py <<-'END'
		import os, select, socket, sys
		d, c = (socket.socket(fileno=os.dup(fd)) for fd in (21, 22))
		c.send(b'x')
		assert select.select([d], [], [], 5)[0] and d.recv(9) == b'x'
		with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as by_path:
		    by_path.connect('/run/tt/d')
		    by_path.send(b'y')
		print(sys.argv[1], bool(select.select([d], [], [], 0)[0]), c.getpeername())
		END
		for t in three one two; do "$NSIMG" exec case $t -- $PY reach.py $t; done >reached
		printf '%s\n' "three True /run/tt/d" "one False /run/tt/d" "two False /run/tt/d" | diff - reached
		"$NSIMG" exec case one -- $PY -c 'import os, socket; c = socket.socket(socket.AF_UNIX); c.connect("/run/tt/x"); socket.socket(fileno=20).accept()'
		"$NSIMG" rollback
		[ ! -e /run/tt ]
	}
	inside body make
}
