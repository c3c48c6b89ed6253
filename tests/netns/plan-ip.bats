#!/usr/bin/env bats
# What `nsimg plan --format ip` prints is run by a shell; ip(8) and bridge(8) must then tell the same of the namespaces
# as of those that were dumped.

setup() { load scene.bash; }

# as_commands SCENE TASK: the namespace of the task, made again by the commands of its plan
as_commands() {
	local name
	scene <"$HERE/../scenes/$1.scene"
	declare -n pid=pid_$2
	python3 "$HERE/plan_ip.py" $pid >before
	"$NSIMG" dump --pid $scene_pid -o image
	"$NSIMG" import db image
	name=$("$NSIMG" sql db "SELECT n.name FROM task t JOIN netns n ON n.id = t.netns WHERE t.comm = '$2'" --json | jq -r '.[0].name')
	"$NSIMG" plan db --no-tasks --format ip >commands
	bash commands >said 2>&1 || true
	"$SETTLE" "/run/netns/$name"
	python3 "$HERE/plan_ip.py" "$name" >after
	cat said
	diff before after
}

links() { as_commands links one; }
kinds() { as_commands kinds one; }
addresses() { as_commands addresses one; }
routes() { as_commands routes one; }
neighbours() { as_commands neighbours one; }

@test "links: MAC, mtu, alias, alternative names, group, queue length, flags" { inside links as_commands; }
@test "kinds: vxlan, ifb, macvlan, macvtap, tun, tap, bridge and its ports" { inside kinds as_commands; }
@test "addresses of both families, with peers, labels, scopes, metrics" { inside addresses as_commands; }
@test "routes, rules and next hop objects of both families" { inside routes as_commands; }
@test "neighbours, proxies, fdb" { inside neighbours as_commands; }
