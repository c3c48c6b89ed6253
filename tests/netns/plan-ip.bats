#!/usr/bin/env bats
# What `nsimg plan --format ip` prints is run by a shell; ip(8) and bridge(8) must then tell the same of the namespaces
# as of those that were dumped.

setup() { load scene.bash; }

# settled COMMAND...: the kernel has made addresses of its own there and detected duplicates (RFC 4862: a second, after
# a delay of up to one); where a device has no carrier it does not, so there is an end to waiting
settled() {
	sleep 1
	for _ in {1..15}; do
		[ -n "$("$@" ip -6 address show tentative)" ] || return 0
		sleep 0.2
	done
}

# as_commands SCENE TASK: the namespace of the task, made again by the commands of its plan
as_commands() {
	local name
	scene <"$HERE/../scenes/$1.scene"
	declare -n pid=pid_$2
	settled nsenter -t "$pid" -n
	python3 "$HERE/plan_ip.py" $pid >before
	"$NSIMG" dump --pid $scene_pid -o image
	"$NSIMG" import db image
	name=$("$NSIMG" sql db "SELECT n.name FROM task t JOIN netns n ON n.id = t.netns WHERE t.comm = '$2'" --json | jq -r '.[0].name')
	"$NSIMG" plan db --no-tasks --format ip >commands
	bash commands >said 2>&1 || true
	settled ip netns exec "$name"
	python3 "$HERE/plan_ip.py" "$name" >after
	cat said
	diff before after
}

links() { as_commands links one; }
kinds() { as_commands kinds one; }
addresses() { as_commands addresses one; }
routes() { as_commands routes one; }
neighbours() { as_commands neighbours one; }

@test "links: MAC, mtu, alias, alternative names, group, queue length, flags" { inside links as_commands settled; }
@test "kinds: vxlan, ifb, macvlan, macvtap, tun, tap, bridge and its ports" { inside kinds as_commands settled; }
@test "addresses of both families, with peers, labels, scopes, metrics" { inside addresses as_commands settled; }
@test "routes, rules and next hop objects of both families" { inside routes as_commands settled; }
@test "neighbours, proxies, fdb" { inside neighbours as_commands settled; }
