#!/usr/bin/env python3
"""plan_ip.py PID|NAME: the network of a namespace as ip(8) and bridge(8) tell it, one fact a line.

What the kernel counts, learns or assigns by itself is left out (doc/volatile.md)."""
import json
import subprocess
import sys

KEEP = {
    "link": ["ifname", "ifindex", "address", "mtu", "txqlen", "group", "ifalias", "altnames", "master", "link", "linkinfo",
             "inet6_addr_gen_mode"],
    "address": ["family", "local", "address", "prefixlen", "broadcast", "scope", "label", "metric"],
}
FLAGS = {"UP", "NOARP", "MULTICAST", "ALLMULTI", "PROMISC", "POINTOPOINT"}
VOLATILE = {"hello_timer", "tcn_timer", "topology_change_timer", "gc_timer", "root_id", "bridge_id", "designated_bridge",
            "designated_root", "hold_timer", "message_age_timer", "forward_delay_timer", "usedbcqueuelen", "state",
            "fdb_n_learned", "num_queues", "numqueues", "num_disabled_queues", "id", "no", "port", "designated_port", "age",
            "expires", "used", "cache", "info_slave_data_state"}


def run(where, *words):
    enter = ["nsenter", "-t", where, "-n"] if where.isdigit() else ["ip", "netns", "exec", where]
    return json.loads(subprocess.run([*enter, *words], check=True, stdout=subprocess.PIPE).stdout or "[]")


def calm(value, inside=False):
    if isinstance(value, dict):
        return {k: calm(v, True) for k, v in value.items() if not (inside and k in VOLATILE and k != "id")}
    return [calm(v, inside) for v in value] if isinstance(value, list) else value


def facts(where):
    for link in run(where, "ip", "-d", "-j", "link"):
        yield "link", {k: calm(link[k]) for k in KEEP["link"] if k in link} | {"flags": sorted(FLAGS & set(link["flags"]))}
    for link in run(where, "ip", "-d", "-j", "address"):
        for address in link.get("addr_info", []):
            yield "address", {k: address[k] for k in KEEP["address"] if k in address} | {"dev": link["ifname"]}
    for family in ("-4", "-6"):
        for route in run(where, "ip", family, "-j", "route", "show", "table", "all"):
            yield "route", {k: v for k, v in route.items() if k not in ("flags", "pref")}
        for rule in run(where, "ip", family, "-j", "rule"):
            yield "rule", rule
    for nexthop in run(where, "ip", "-j", "nexthop"):
        yield "nexthop", {k: v for k, v in nexthop.items() if k != "flags"}
    for words in ([], ["proxy"]):
        for neighbour in run(where, "ip", "-j", "neighbour", "show", *words):
            if words or neighbour.get("state") == ["PERMANENT"]:
                yield "neighbour", neighbour
    for entry in run(where, "bridge", "-j", "fdb"):
        if entry.get("state") in ("permanent", "static") and "01:00:5e" not in entry["mac"] and entry["mac"][:5] != "33:33":
            yield "fdb", entry
    for token in run(where, "ip", "-j", "token"):
        yield "token", token


print("\n".join(sorted({kind + " " + json.dumps(fact, sort_keys=True) for kind, fact in facts(sys.argv[1])})))
