#!/usr/bin/env bats
# Unix sockets whose file is not where the restorer would look for it: in other mount namespaces, in a
# chroot.

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

@test "sockets of a chrooted task have their files where they were, below --root too, and verify sees another place" {
	body() {
		cat >make.py <<-'END'
		import os, signal, socket
		STREAM, DGRAM = socket.SOCK_STREAM, socket.SOCK_DGRAM

		def put(fd, kind, bind=None, connect=None):
		    s = socket.socket(socket.AF_UNIX, kind)
		    if bind:
		        s.bind(bind)
		    if connect:
		        s.connect(connect)
		    elif kind == STREAM:
		        s.listen(3)
		    os.dup2(s.fileno(), fd)

		outside = os.open('/', os.O_PATH)
		os.makedirs('/run/ch/run')
		os.chroot('/run/ch')
		os.chdir('/run')
		put(20, STREAM, '/run/x')
		put(21, STREAM, '/run/y.tmp')
		os.rename('/run/y.tmp', '/run/y')
		put(22, DGRAM, '/run/d')
		put(23, DGRAM, connect='/run/d')
		put(24, STREAM, 'relative')
		put(25, STREAM, connect='/run/x')
		end, _ = socket.socket(fileno=os.dup(20)).accept()
		os.dup2(end.fileno(), 26)
		end.close()
		os.fchdir(outside)
		os.chroot('.')
		put(27, DGRAM, connect='/run/ch/run/d')
		os.close(outside)
		print('ready', os.getpid(), flush=True)
		signal.pause()
		END
		make make.py
		rm -r /run/ch
		coproc OTHER { exec $PY -c 'import socket; s = socket.socket(socket.AF_UNIX); s.bind("/run/x"); s.listen(); print(1, flush=True); s.accept()'; }
		read -r _ <&"${OTHER[0]}"
		find /run -type s >sockets.before
		cat >reach.py <<-'END'
		import os, select, socket, sys
		s = {fd: socket.socket(fileno=os.dup(fd)) for fd in range(20, 28)}
		for fd in 23, 27:
		    s[fd].send(b'x')
		    print(fd, bool(select.select([s[22]], [], [], 5)[0]) and s[22].recv(9), s[fd].getpeername())
		s[25].send(b'z')
		print(s[26].recv(9), s[26].getsockname(), s[24].getsockname())
		for fd, path in (20, 'x'), (21, 'y'), (24, 'relative'):
		    with socket.socket(socket.AF_UNIX) as c:
		        c.connect(sys.argv[1] + '/run/ch/run/' + path)
		        s[fd].accept()
		        print(fd, c.getpeername())
		END
		for root in / "$PWD/root"; do
			mkdir -p "$root"
			"$NSIMG" restore case.db --root "$root" >restore.out
			cat restore.out
			! grep "left out" restore.out || return 1
			"$NSIMG" verify
			find /run -type s ! -path '*/x' | sed 's|^/run/||' >sockets
			"$NSIMG" exec case python3 -- $PY reach.py "${root%/}"
			"$NSIMG" exec case python3 -- $PY reach.py "${root%/}" >reached
			printf '%s\n' "23 b'x' /run/d" "27 b'x' /run/d" "b'z' /run/x relative" "20 /run/x" "21 /run/y.tmp" "24 relative" | diff - reached
			"$NSIMG" rollback
			find /run -type s | diff sockets.before -
			! find "$root/run/ch" | grep . || return 1
		done
		# bound outside: another place
		sqlite3 case.db "UPDATE unix_socket SET bound_path = NULL WHERE name = '/run/d'"
		cp case.db edited.db
		"$NSIMG" restore case.db
		[ -S /run/d ]
		sqlite3 case.db "UPDATE unix_socket SET bound_path = '/run/ch/run/d' WHERE name = '/run/d'"
		! "$NSIMG" verify >verify.out || return 1
		cat verify.out
		grep -q "root /run/ch" verify.out
		"$NSIMG" rollback
	}
	inside body make
}
