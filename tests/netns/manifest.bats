#!/usr/bin/env bats
# Damage that a reader could not see: every kind of file of one of our images, with bits flipped, cut off, gone.

load scene

# dump_holders: ./image of a scene with every kind of file
dump_holders() {
	scene <"$HERE/../scenes/demo.scene"
	"$NSIMG" dump --pid "$pid_parent" -o image >/dev/null
	exec {SCENE[1]}>&-
}

# refused NAME: ./image is not imported, the message names the file, and no database is there
refused() {
	fails 2 "$1" "$NSIMG" import a.db image
	[ ! -e a.db ]
}

@test "flipped bits, cut ends and missing files are noticed, in every file" {
	body() {
		dump_holders
		"$NSIMG" import good.db image >/dev/null
		echo "random seed: ${SEED:=$RANDOM}"
		RANDOM=$SEED
		local f n size at bit i=0
		for f in image/*; do
			n=${f#image/}
			size=$(stat -c %s "$f")
			cp "$f" whole
			if [ "$size" -gt 0 ]; then
				at=$(((RANDOM * 32768 + RANDOM) % size)) bit=$((RANDOM % 8))
				python3 - "$f" $at $bit <<-'END'
				import sys
				with open(sys.argv[1], "r+b") as f:
				    f.seek(int(sys.argv[2])); b = f.read(1)[0]
				    f.seek(int(sys.argv[2])); f.write(bytes([b ^ 1 << int(sys.argv[3])]))
				END
				echo "$f: bit $bit of byte $at"
				# a bit of the list may be in the name of another file
				if [ "$n" = nsimg-files.img ]; then refused img; else refused "$n"; fi
				cp whole "$f"
			fi
			# each file in one of these ways, each way for every fourth file
			case $((i++ % 4)) in
			0) truncate -s $((size ? RANDOM % size : 1)) "$f" ;;
			1) if [ "$size" -gt 0 ]; then : >"$f"; else echo >"$f"; fi ;;
			2) echo >>"$f" ;;
			3) rm "$f" ;;
			esac
			echo "$f: way $i"
			refused "$n"
			cp whole "$f"
		done
		"$NSIMG" import a.db image >/dev/null
	}
	inside body dump_holders refused
}

@test "a file that was not dumped is refused when it would become rows, else left alone" {
	body() {
		dump_holders
		set -- image/netdev-*.img
		cp "$1" image/netdev-99.img
		refused netdev-99.img
		rm image/netdev-99.img
		echo "written by the analyst" >image/notes.txt
		"$NSIMG" import a.db image
	}
	inside body dump_holders refused
}

@test "--salvage imports a damaged image and records what is damaged" {
	body() {
		dump_holders
		local routes
		set -- image/route-*.img
		routes=$1
		set -- image/rule-*.img
		rm "$1"
		printf x >>"$routes"
		refused "img"
		"$NSIMG" import --salvage a.db image
		[ "$(sqlite3 a.db "SELECT count(*) FROM note WHERE kind = 'damage' AND reason LIKE '%is missing%'")" = 1 ]
		[ "$(sqlite3 a.db "SELECT damage LIKE '%bytes%' FROM image_file WHERE name = '${routes#image/}'")" = 1 ]
		# what came in damaged goes out so, also when another file was edited
		sqlite3 a.db "UPDATE address SET address = '10.10.0.77' WHERE address = '10.10.0.3'"
		"$NSIMG" export --force a.db out
		cmp "$routes" "out/${routes#image/}"
		mv image kept && mv out image && rm a.db
		refused "img"
	}
	inside body dump_holders refused
}

@test "export: unedited byte for byte, edited with the hashes of what was edited; the same as an archive" {
	body() {
		dump_holders
		"$NSIMG" import a.db image >/dev/null
		"$NSIMG" export a.db same
		diff -r image same
		sqlite3 a.db "UPDATE address SET address = '10.10.0.77' WHERE address = '10.10.0.3';
			INSERT INTO sysctl (image, netns, name, value) SELECT image, id, 'net/ipv4/tcp_sack', '0' FROM netns WHERE name = 'ns4'"
		"$NSIMG" export a.db edited
		"$NSIMG" export a.db edited.tar.gz
		diff -rq image edited >differ || true
		cat differ
		grep -q "nsimg-files.img differ" differ
		"$NSIMG" import b.db edited
		"$NSIMG" import c.db edited.tar.gz
		[ "$(sqlite3 b.db "SELECT count(*) FROM address WHERE address = '10.10.0.77'")" = 1 ]
		# and is as protected as before
		mkdir unpacked && tar -xzf edited.tar.gz -C unpacked
		diff -r edited unpacked
		mv image kept && mv edited image && rm a.db
		local f
		f=$(grep -l . image/ifaddr-*.img | tail -1)
		printf x >>"$f"
		refused "${f#image/}"
	}
	inside body dump_holders refused
}
