#!/usr/bin/env bats
# Damaged and sparse archives: what tar and the decompressors get out of them, nsimg gets too.

load ../netns/helpers

setup() {
	need_corpus podman
	cd "$BATS_TEST_TMPDIR"
	cp "$CORPUS/podman/c3.tar" a.tar
	chmod u+w a.tar
}

# files DB: the names of the files in it, sorted
files() { sqlite3 "$1" "SELECT name FROM image_file ORDER BY name"; }

@test "a compressed archive that is cut off gives every member that its decompressor gives" {
	# bytes that do not compress, so that the compressed archives are cut in the middle of something
	head -c 150000 /dev/urandom >checkpoint.bin
	tar --append -f a.tar checkpoint.bin
	tar --append -f a.tar --transform 's/^/later-/' checkpoint.bin
	gzip -k a.tar && xz -0 -k a.tar && zstd -q a.tar
	for f in a.tar:cat a.tar.gz:gzip a.tar.xz:xz a.tar.zst:zstd; do
		local size name=${f%:*} unpack="${f#*:} -dc"
		[ "${f#*:}" != cat ] || unpack=cat
		size=$(stat -c %s "$name")
		for at in 60 99; do
			head -c $((size * at / 100)) "$name" >cut
			rm -f a.db
			run "$NSIMG" import a.db cut
			[ "$status" -eq 2 ] && [[ $output == *"cut: "* ]] && [ ! -e a.db ]
			"$NSIMG" import --salvage a.db cut >/dev/null
			{ $unpack <cut 2>/dev/null || true; } >unpacked
			{ tar -tvf unpacked 2>/dev/null || true; } | sed -n 's/^-.* //p' | sed 's|^\./||' | sort >want
			echo "$name at $at%: $(wc -l <want) members"
			diff want <(files a.db)
			[ "$("$NSIMG" images --json a.db | jq '.[0].damaged')" = 1 ]
		done
	done
}

@test "a damaged header hides its member, and no other" {
	python3 - <<-'END'
	import tarfile
	members = [m for m in tarfile.open("a.tar") if m.isreg()]
	data = open("a.tar", "rb").read()
	# one in the middle, one with content of all kinds, the last
	first = tarfile.open("a.tar").next()
	for i, m in enumerate([m for m in members if m.name.endswith(("files.img", "pages-1.img"))] + members[-1:] + [first]):
	    out = bytearray(data)
	    out[m.offset + 5] ^= 0x55
	    open(f"h{i}.tar", "wb").write(out)
	    open(f"h{i}.want", "w").write("".join(sorted(x.name + "\n" for x in members if x is not m)))
	END
	for i in 0 1 2 3; do
		run "$NSIMG" import "h$i.db" "h$i.tar"
		# with the first header damaged it may be anything
		[ "$status" -eq 2 ] && [[ $output == *"--salvage"* || $i = 3 ]]
		"$NSIMG" import --salvage "h$i.db" "h$i.tar" >/dev/null
		diff "h$i.want" <(files "h$i.db")
		[ "$("$NSIMG" images --json "h$i.db" | jq '.[0].damaged')" = 1 ]
	done
	head -c 20000 /dev/zero | tr '\0' x >none.tar
	run "$NSIMG" import --salvage none.db none.tar
	[ "$status" -eq 2 ] && [ ! -e none.db ]
}

@test "a sparse member is as large as it says, and its holes take no room" {
	mkdir checkpoint
	tar -xf a.tar checkpoint/inventory.img
	# one that ends with bytes, one that ends with a hole
	truncate -s 100M checkpoint/pages-1.img
	printf end >>checkpoint/pages-1.img
	truncate -s 100M checkpoint/pages-2.img
	tar --sparse -cf sparse.tar checkpoint
	[ "$(stat -c %s sparse.tar)" -lt 100000 ]
	"$NSIMG" import a.db sparse.tar >/dev/null
	[ "$(stat -c %s a.db)" -lt 1000000 ]
	for i in 1 2; do
		[ "$(sqlite3 a.db "SELECT size || ' ' || sha256 FROM image_file WHERE kind = 'PAGES' AND number = $i")" = \
			"$(stat -c %s checkpoint/pages-$i.img) $(sha256sum <checkpoint/pages-$i.img | cut -d' ' -f1)" ]
	done
}

@test "all that an archive says of its members comes out again: fractions of a second, links, fifos" {
	python3 - <<-'END'
	import io, tarfile
	t = tarfile.open("a.tar", "a", format=tarfile.PAX_FORMAT)
	for name, kind, mtime, link in (("file", tarfile.REGTYPE, 1706933106.125, ""), ("fifo", tarfile.FIFOTYPE, 1706933106.5, ""),
	        ("symlink", tarfile.SYMTYPE, 1706933107.25, "file"), ("hardlink", tarfile.LNKTYPE, 1706933106.125, "file")):
	    m = tarfile.TarInfo(name)
	    m.type, m.mtime, m.linkname, m.uid, m.uname, m.mode = kind, mtime, link, 7, "seven", 0o640
	    m.size = 5 if kind == tarfile.REGTYPE else 0
	    t.addfile(m, io.BytesIO(b"bytes"))
	t.close()
	END
	cat >list.py <<-'END'
	import sys, tarfile
	for m in tarfile.open(sys.argv[1]):
	    print(m.name, m.type, oct(m.mode), m.uid, m.gid, m.uname, m.gname, m.size, m.mtime, m.linkname, m.pax_headers)
	END
	"$NSIMG" import a.db a.tar >/dev/null
	"$NSIMG" export a.db b.tar >/dev/null
	diff <(python3 list.py a.tar) <(python3 list.py b.tar)
	[ "$(python3 list.py b.tar | grep -c "'mtime': '170693310[67]\.")" = 4 ]
	# of a folder the fifo
	mkdir checkpoint folder
	tar -xf a.tar checkpoint
	mkfifo checkpoint/fifo
	"$NSIMG" import f.db checkpoint >/dev/null
	"$NSIMG" export f.db f.tar >/dev/null && tar -xf f.tar -C folder
	"$NSIMG" export f.db out >/dev/null && [ -p out/fifo ] && [ -p folder/fifo ]
	diff <(cd checkpoint && find . -type f -exec sha256sum {} + | sort) <(cd folder && find . -type f -exec sha256sum {} + | sort)
}

@test "a file of an image that is a hard link in the archive is read, and stays one; edited it is a file of its own" {
	mkdir -p in/c3 in/pool
	tar -xf a.tar -C in/c3
	# also what the archive has before it, under a name that no image has
	ln in/c3/checkpoint/files.img in/pool/f1
	ln in/c3/checkpoint/ifaddr-10.img in/pool/f2
	"$NSIMG" import folder.db in/c3/checkpoint | tail -n +3 >want
	cat >list.py <<-'END'
	import sys, tarfile
	for m in tarfile.open(sys.argv[1]):
	    print(m.name, m.type, m.size, m.linkname)
	END
	for order in "pool c3" "c3 pool"; do
		rm -rf l.db out out.tar edited.tar edited
		# shellcheck disable=SC2086 # two words
		tar -C in -cf l.tar $order
		"$NSIMG" import l.db l.tar | tail -n +3 | diff want -
		[ "$("$NSIMG" images --verify l.tar --json l.db | jq -r 'map(.state) | unique[]')" = same ]
		"$NSIMG" export l.db out.tar >/dev/null && diff <(python3 list.py l.tar) <(python3 list.py out.tar)
		"$NSIMG" export l.db out >/dev/null && diff -r in out
		[ "$(stat -c %h out/pool/f1)" = 2 ]
		# one of the two names is the image's
		sqlite3 l.db "UPDATE inet_socket SET src_port = 8080 WHERE src_port = 80"
		"$NSIMG" export l.db edited.tar >/dev/null
		mkdir edited && tar -xf edited.tar -C edited
		cmp in/pool/f1 edited/pool/f1 && ! cmp -s in/pool/f1 edited/c3/checkpoint/files.img
		cmp in/pool/f2 edited/c3/checkpoint/ifaddr-10.img
	done
	# a pipe cannot be read once more
	tar -C in -cf l.tar pool c3
	mkfifo pipe
	cat l.tar >pipe &
	run "$NSIMG" import p.db pipe
	[ "$status" = 2 ] && [[ $output == *"c3/checkpoint/files.img is a hard link to pool/f1, which cannot be read once more"* ]]
	# a link to nothing, or out of the archive, is damage
	python3 - <<-'END'
	import tarfile
	out, a = tarfile.open("n.tar", "w"), tarfile.open("a.tar")
	m = tarfile.TarInfo("checkpoint/files.img")
	m.type, m.linkname = tarfile.LNKTYPE, "../etc/passwd"
	out.addfile(m)
	for m in a:
	    if m.isreg() and m.name != "checkpoint/files.img":
	        out.addfile(m, a.extractfile(m))
	out.close()
	END
	run "$NSIMG" import n.db n.tar
	[ "$status" = 2 ] && [[ $output == *"checkpoint/files.img is a hard link to ../etc/passwd, which is not before it in the archive"* ]]
	"$NSIMG" import --salvage n.db n.tar >/dev/null
	[ "$("$NSIMG" images --json n.db | jq '.[0].damaged')" = 1 ]
	run "$NSIMG" export n.db none
	[ "$status" = 2 ] && [ ! -e none ]
}

@test "the folder that an engine's archive was unpacked to is imported as the archive is" {
	mkdir c3
	tar -xf a.tar -C c3
	"$NSIMG" import a.db a.tar | tail -n +2 >want
	"$NSIMG" import f.db c3 | tail -n +2 | diff want -
	facts="SELECT key, value FROM image_fact WHERE key NOT LIKE 'archive.%' ORDER BY 1, 2"
	[ "$(sqlite3 a.db "SELECT count(*) FROM image_fact WHERE key LIKE 'container.%'")" -gt 3 ]
	diff <(sqlite3 a.db "$facts") <(sqlite3 f.db "$facts")
	"$NSIMG" export f.db out >/dev/null && diff -r c3 out
	"$NSIMG" export f.db out.tar >/dev/null
	diff <(tar -tvf a.tar | grep -v ^d | sort) <(tar -tvf out.tar | grep -v ^d | sort)
	# the times of the files, too
	diff <(cd c3 && find . -type f -printf '%p %T@\n' | sort) <(cd out && find . -type f -printf '%p %T@\n' | sort)
	"$NSIMG" import g.db c3/checkpoint >/dev/null && "$NSIMG" export g.db out2 >/dev/null
	diff <(cd c3/checkpoint && find . -type f -printf '%p %T@\n' | sort) <(cd out2 && find . -type f -printf '%p %T@\n' | sort)
	# one above is said
	mkdir above && mv c3 above
	run "$NSIMG" import h.db above
	[ "$status" = 2 ] && [[ $output == *"import above/c3"* ]]
}

@test "progress: on a terminal, after a second, erased at the end; nothing where it is none" {
	mkfifo pipe
	cat >watch.py <<-'END'
	import os, pty, subprocess, sys, time
	nsimg, wait, terminal = sys.argv[1], sys.argv[2], sys.argv[3] == "terminal"
	ours, theirs = pty.openpty() if terminal else os.pipe()
	feed = f"(head -c 20000 a.tar; sleep {wait}; tail -c +20001 a.tar) >pipe 2>feed.err & "
	begin = time.monotonic()
	p = subprocess.Popen(["sh", "-c", "rm -f p.db; " + feed + 'exec timeout 300 "$1" import p.db pipe', "sh", nsimg],
	    stdout=subprocess.DEVNULL, stderr=theirs)
	os.close(theirs)
	text = b""
	try:
	    while piece := os.read(ours, 65536):
	        text += piece
	except OSError:  # a terminal that nobody has open any more
	    pass
	# what took no second shows nothing; on a busy machine it may take one
	print(p.wait(), repr(text if wait != "0" or time.monotonic() - begin < 1 else b""))
	END
	run python3 watch.py "$NSIMG" 1.2 terminal
	echo "$output"
	[[ $output == "0 b'\\r["*"\\x1b[K\\r\\x1b[K'" ]]
	[ "$(python3 watch.py "$NSIMG" 1.2 pipe)" = "0 b''" ]
	[ "$(python3 watch.py "$NSIMG" 0 terminal)" = "0 b''" ]
}
