#!/usr/bin/env bats
# Many images in one command: one that is bad keeps no other out, and a command that was broken off goes on.

load ../netns/helpers

setup() {
	need_corpus limits/fam-raw6
	cd "$BATS_TEST_TMPDIR"
	mkdir images
	for i in 1 2 3 4 5 6 7 8; do
		cp -r "$CORPUS/limits/fam-raw6" images/i$i
		chmod u+w images/i$i
		echo $i >images/i$i/marker
	done
	cp "$CORPUS/podman/c3.tar" images/i9.tar
}

images() { sqlite3 a.db "SELECT group_concat(name) FROM (SELECT name FROM image ORDER BY name)"; }

@test "one bad image among several: the others are imported, and again only what is missing" {
	mv images/i3/inventory.img kept
	truncate -s 30 images/i5/files.img
	ln -s nowhere images/i0
	run "$NSIMG" import a.db images/*
	echo "$output"
	[ "$status" -eq 2 ]
	[[ $output == *"7 imported, 0 in the database already, 3 failed"* ]]
	[[ $output == *"nsimg: import: 3 of 10 images not imported; the first: open images/i0: No such file"* ]]
	[ "$(grep -c '^not imported: ' <<<"$output")" = 3 ]
	[[ $output == *"not imported: images/i3 has no inventory.img"* ]]
	[[ $output == *"not imported: images/i5: files.img"* || $output == *"not imported: files.img"* ]]
	[ "$(images)" = i1,i2,i4,i6,i7,i8,i9.tar ]
	mv kept images/i3/inventory.img
	rm images/i0
	run "$NSIMG" import a.db images/*
	echo "$output"
	[ "$status" -eq 2 ]
	[[ $output == *"1 imported, 7 in the database already, 1 failed"* ]]
	rm -r images/i5
	run "$NSIMG" import a.db images/*
	[ "$status" -eq 0 ] && [[ ${lines[-1]} == "0 imported, 8 in the database already, 0 failed" ]]
	[ "$(images)" = i1,i2,i3,i4,i6,i7,i8,i9.tar ]
	# a folder whose files have changed since is another image
	echo changed >images/i1/marker
	"$NSIMG" import a.db images/i1
	run "$NSIMG" import a.db images/i1
	[ "$status" -eq 2 ] && [[ $output == *"in the database already, as image 9 (i1)"* ]]
	"$NSIMG" import --again a.db images/i1
	[ "$(sqlite3 a.db "SELECT count(*) FROM image WHERE name = 'i1'")" = 3 ]
}

@test "killed in the middle, started again: every image once, whole" {
	mkfifo images/i4.tar
	# the fifth stays open with half of its members read, until the import is killed
	{ head -c 40000 images/i9.tar; exec sleep 300; } >images/i4.tar 3>&- &
	local writer=$! reader
	"$NSIMG" import a.db images/i[1-4] images/i4.tar images/i[5-8] >out 3>&- &
	reader=$!
	until [ "$(sqlite3 a.db "SELECT count(*) FROM image" 2>/dev/null)" = 4 ] || ! kill -0 $reader; do sleep 0.05; done
	until [ -e a.db-journal ] || ! kill -0 $reader; do sleep 0.05; done
	kill -9 $reader $writer
	wait $reader || [ $? = 137 ]
	rm images/i4.tar
	run "$NSIMG" import a.db images/i?
	echo "$output"
	[ "$status" -eq 0 ] && [[ ${lines[-1]} == "4 imported, 4 in the database already, 0 failed" ]]
	[ "$(images)" = i1,i2,i3,i4,i5,i6,i7,i8 ]
	[ "$(sqlite3 a.db "PRAGMA integrity_check")" = ok ]
	[ "$(sqlite3 a.db "SELECT count(DISTINCT n) FROM (SELECT count(*) AS n FROM sysctl GROUP BY image)")" = 1 ]
}
