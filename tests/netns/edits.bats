#!/usr/bin/env bats
# What follows from an edit of one row made with plain sqlite3, in the database, in an export, in the kernel.

load scene

@test "a device that is renamed, or gets another MTU, takes its sysctls along" {
	body() {
		scene <<-'END'
		ns a
		run a ip link add old0 address 02:00:00:00:00:01 type veth peer name old0.7 address 02:00:00:00:00:02
		run a ip link set old0 up
		run a ip link set old0.7 up
		run a ip link set old0.7 mtu 1450
		run a sysctl -qw net.ipv4.conf.old0.rp_filter=2
		run a sysctl -qw net.ipv6.conf.old0.mtu=1300
		run a sysctl -qw net.ipv4.neigh.old0.retrans_time_ms=777
		run a sysctl -qw net/ipv4/conf/old0.7/rp_filter=1
		task one ns=a
		END
		"$NSIMG" dump --pid "$pid_one" -o image >/dev/null
		kill "$scene_pid"
		wait "$scene_pid" || true
		"$NSIMG" import case.db image >/dev/null
		names() { sqlite3 "$1" "SELECT count(*) FROM sysctl WHERE name LIKE 'net/%/%/$2/%'"; }
		local old other
		old=$(names case.db old0) other=$(names case.db old0.7)
		[ "$old" -gt 20 ]
		sqlite3 case.db "UPDATE device SET name = 'new', mtu = 1400 WHERE name = 'old0'; UPDATE device SET mtu = 1350 WHERE name = 'old0.7'"
		# all of them, none of the device whose name only begins alike, and the log knows
		[ "$(names case.db old0)" = 0 ] && [ "$(names case.db new)" = "$old" ] && [ "$(names case.db old0.7)" = "$other" ]
		[ "$(sqlite3 case.db "SELECT count(*) FROM edit_log WHERE tbl = 'sysctl'")" -ge "$old" ]
		"$NSIMG" export case.db out
		"$NSIMG" import again.db out >/dev/null
		for db in case.db again.db; do
			sqlite3 $db "SELECT name, value FROM sysctl ORDER BY 1" >$db.txt
		done
		diff case.db.txt again.db.txt
		for db in case.db again.db; do
			"$NSIMG" restore $db --name x >/dev/null
			in_ns() { cat >commands; nsenter --net="/run/netns/$(ls /run/netns)" bash -e commands; }
			in_ns <<-'END' >got
			cat /proc/sys/net/ipv4/conf/new/rp_filter /proc/sys/net/ipv6/conf/new/mtu
			cat /proc/sys/net/ipv4/neigh/new/retrans_time_ms /proc/sys/net/ipv4/conf/old0.7/rp_filter
			cat /proc/sys/net/ipv6/conf/old0.7/mtu /sys/class/net/new/mtu 2>/dev/null || true
			ip -j link show new | jq .[0].mtu
			END
			cat got
			[ "$(head -5 got | xargs)" = "2 1300 777 1 1350" ] && [ "$(tail -1 got)" = 1400 ]
			"$NSIMG" verify x
			"$NSIMG" rollback x
		done
		# less than a value that was set by hand
		sqlite3 case.db "UPDATE device SET mtu = 1290 WHERE name = 'new'"
		[ "$(sqlite3 case.db "SELECT value FROM sysctl WHERE name = 'net/ipv6/conf/new/mtu'")" = 1290 ]
	}
	inside body
}

@test "a sysctl of the whole machine is left out with a word" {
	body() {
		local path=/proc/sys/net/netfilter/nf_hooks_lwtunnel
		[ -e $path ] || cannot "the kernel has no nf_hooks_lwtunnel"
		scene <<-'END'
		ns a
		task one ns=a
		END
		"$NSIMG" dump --pid "$pid_one" -o case.db >/dev/null
		# what is there already, so that the switch of this machine cannot move even if the test fails
		sqlite3 case.db "INSERT INTO sysctl (image, netns, name, value) SELECT image, id, 'net/netfilter/nf_hooks_lwtunnel', '$(cat $path)' FROM netns WHERE NOT external LIMIT 1"
		"$NSIMG" plan case.db >plan.txt
		grep "nf_hooks_lwtunnel.*whole machine" plan.txt
		"$NSIMG" restore case.db >restore.txt
		grep "nf_hooks_lwtunnel.*whole machine" restore.txt
	}
	inside body
}

@test "a tracked connection that is added without the direction of its replies gets it, as by conntrack -I" {
	body() {
		scene <<-'END'
		ns a
		run a nft "table ip nat { chain post { type nat hook postrouting priority 100; ct state new accept; }; }"
		task one ns=a
		END
		"$NSIMG" dump --pid "$pid_one" -o image >/dev/null
		# what the tool makes of the same
		tool() { nsenter --net="/proc/$pid_one/ns/net" conntrack "$@" >/dev/null; }
		tool -I -p tcp -s 10.0.0.1 -d 10.0.0.2 --sport 1000 --dport 80 --state ESTABLISHED --timeout 5000
		tool -I -p udp -s fd00::5 -d fd00::6 --sport 54 --dport 5354 --timeout 4000
		tool -I -p icmp -s 10.0.0.1 -d 10.0.0.2 --icmp-type 8 --icmp-code 0 --icmp-id 77 --timeout 3000
		listed() { for f in ipv4 ipv6; do nsenter --net="$1" conntrack -L -f $f 2>/dev/null; done | sed 's/ [0-9]* \([a-zE]\)/ \1/' | grep -E 'src=(10.0.0|fd00)' | sort; }
		listed "/proc/$pid_one/ns/net" >want
		[ "$(wc -l <want)" = 3 ]
		kill "$scene_pid"
		wait "$scene_pid" || true
		"$NSIMG" import case.db image >/dev/null
		sqlite3 case.db <<-'SQL'
		INSERT INTO conntrack (image, netns, family, proto, src, dst, sport, dport, timeout, tcp_state) SELECT 1, id, 2, 6, '10.0.0.1', '10.0.0.2', 1000, 80, 5000, 3 FROM netns;
		INSERT INTO conntrack (image, netns, family, proto, src, dst, sport, dport, timeout, reply_src) SELECT 1, id, 10, 17, 'fd00::5', 'fd00::6', 54, 5354, 4000, 'fd00::6' FROM netns;
		INSERT INTO conntrack (image, netns, family, proto, src, dst, timeout, other) SELECT 1, id, 2, 1, '10.0.0.1', '10.0.0.2', 3000,
			'{"tuple_orig": {"proto": {"icmp_id": 77, "icmp_type": 8, "icmp_code": 0}}}' FROM netns;
		SQL
		"$NSIMG" export case.db out
		"$NSIMG" import again.db out >/dev/null
		for db in case.db again.db; do
			"$NSIMG" restore $db --name x >/dev/null
			listed "/run/netns/$(ls /run/netns)" >got
			diff want got
			"$NSIMG" rollback x
		done
	}
	inside body
}

@test "every member of JSON that a dump writes is one that an edit may write" {
	body() {
		local name
		for name in conntrack kinds multicast-mptcp neighbours over-bridge routes tc; do
			scene <"$HERE/../scenes/$name.scene"
			"$NSIMG" dump --pid "$pid_one" -o "image-$name" >/dev/null
			"$NSIMG" import "$name.db" "image-$name" >/dev/null
			/usr/bin/python3 "$HERE/../cli/json_again.py" "$name.db" >"$name.txt"
			kill "$scene_pid"
			wait "$scene_pid" || true
			umount /run/netns/* 2>/dev/null || true
			rm -rf /run/netns/* "${RUN:?}"/*
		done
		grep -q conntrack.other conntrack.txt
		for name in over-bridge multicast-mptcp tc; do grep -q traffic_control.other $name.txt; done
	}
	inside body
}
