"""Compare what the ready queries find in the sample images with what these are known to hold.

    queries.py NSIMG DATABASE CORPUS

DATABASE has all images of CORPUS. Each query runs over everything; its columns are those that its description
names. What it finds is compared with snapshot.json of each sample, which other programs (ss, ip, getsockopt)
made before the dump; routes of other tables are what CRIU does not save."""

import csv
import io
import json
import os
import subprocess
import sys

nsimg, database, corpus = sys.argv[1:]
bad = 0


def sh(*words):
    return subprocess.run([nsimg, *words], check=True, stdout=subprocess.PIPE).stdout.decode()


def check(what, got, expected):
    global bad
    if got != expected:
        bad += 1
        print(f"{what}: only found: {sorted(got - expected)}; only expected: {sorted(expected - got)}")


rows = {}
for query in json.loads(sh("sql", "--list-named", "--json")):
    name = query["name"]
    told = [c["column"] for c in json.loads(sh("sql", "--describe", name, "--json"))["columns"]]
    lines = list(csv.reader(io.StringIO(sh("sql", database, "--named", name, "--csv"))))
    if lines[0] != told:
        bad += 1
        print(f"{name}: has the columns {lines[0]}, and tells of {told}")
    rows[name] = [dict(zip(told, line)) for line in lines[1:]]

images = {}  # number -> (name in the corpus, its snapshot)
for image in json.loads(sh("images", database, "--json")):
    path = os.path.relpath(image["source"], os.path.realpath(corpus))
    snapshot = os.path.join(corpus, path, "snapshot.json")
    if os.path.exists(snapshot):
        images[image["id"]] = (path, json.load(open(snapshot)))


def found(name, *columns):
    return {(images[int(r["image"])][0], *(r[c] for c in columns)) for r in rows[name] if int(r["image"]) in images}


def owned(name):
    """{(sample, pid, fd)} out of the column of owners."""
    return {(sample, *(owner.rsplit("(", 1)[1].replace("):", " ").split()))
            for sample, owners in found(name, "owners") for owner in owners.split(", ") if owner}


def sockets():
    for sample, snapshot in images.values():
        for s in snapshot["sockets"]:
            yield sample, snapshot, s


def held(wanted):
    return {(sample, str(s["pid"]), str(s["fd"])) for sample, snapshot, s in sockets() if wanted(snapshot, s)}


def is_foreign(snapshot, s):
    task = next(p for p in snapshot["procs"] if p["pid"] == s["pid"])
    return s["netns"] != task["netns"]


def is_everywhere(snapshot, s):
    if s["family"] not in (2, 10) or s["type"] == 3 or s["proto"] in (1, 58) or "peer" in s:
        return False
    address, port = s["local"].split("%")[0].rsplit(":", 1)
    return address in ("0.0.0.0", "[::]") and port != "0" and (s["type"] != 1 or s["opts"]["SO_ACCEPTCONN"])


def routes(snapshot):
    for netns in snapshot["netns"]:
        for line in netns["route4"] + netns["route6"]:
            yield line.split()


check("foreign-sockets", {(a, b, c) for a, b, c in found("foreign-sockets", "pid", "fd")}, held(is_foreign))
check("listeners-everywhere", owned("listeners-everywhere"), held(is_everywhere))
check("raw-and-packet", owned("raw-and-packet"),
      held(lambda _, s: s["family"] == 17 or (s["family"] in (2, 10) and s["type"] == 3)))
check("raw-and-packet, ethertypes", {(a, t[2:6]) for a, k, t in found("raw-and-packet", "netid", "local")
       if k != "raw" and not a.endswith("-spkt")},
      {(sample, s["local"][:4]) for sample, _, s in sockets()
       if s["family"] == 17 and s["type"] != 10})
check("filtered-sockets", owned("filtered-sockets"), held(lambda _, s: s["filter_insns"] > 0))
check("odd-routes", {(a, r) for a, w, r in found("odd-routes", "why", "route") if w in ("blackhole", "unreachable")},
      {(sample, words[1]) for sample, snapshot in images.values() for words in routes(snapshot)
       if words[0] in ("blackhole", "unreachable", "prohibit", "throw") and "table" not in words})
check("policy-rules", {(a, p) for a, p in found("policy-rules", "priority")},
      {(sample, rule.split(":")[0]) for sample, snapshot in images.values() for netns in snapshot["netns"]
       for rule in netns["rule4"] if rule.split(":")[0] not in ("0", "32766", "32767")})
# README.md of the samples: "m0 promisc on", "packet socket with PACKET_MR_PROMISC on m0"
check("promiscuous-devices", found("promiscuous-devices", "device", "by"),
      {("limits/dev-altname", "m0", "flag"), ("limits/multicast", "m0", "socket")})
check("tunnels", found("tunnels", "device"),
      {(sample, link["ifname"]) for sample, snapshot in images.values() for netns in snapshot["netns"]
       for link in netns["link"] if link.get("linkinfo", {}).get("info_kind") in ("tun", "vxlan", "gre", "sit")})
# "a UDP socket that is only referred to by an SCM_RIGHTS message"
check("unheld-sockets", {s for s, flight in found("unheld-sockets", "in_flight") if flight == "1"},
      {"limits/scm-in-flight-netns"})
check("waiting-data", {s for s, in found("waiting-data") if s.startswith("limits/")},
      {sample for sample, _, s in sockets() if s.get("inq", 0) and s["family"] != 17 and sample.startswith("limits/")})
# SIOCINQ and SIOCOUTQ before CRIU dumped the connections
sample = "scenario/tcp-established"
image = next(str(n) for n, (path, _) in images.items() if path == sample)
listed = json.loads(sh("sockets", database, "-i", image, "state", "connected", "--json"))
check("sockets, queues", {(o["pid"], o["fd"], r["recv-q"], r["send-q"]) for r in listed for o in r["owners"]},
      {(s["pid"], s["fd"], s["inq"], s["outq"]) for name, _, s in sockets() if name == sample and "peer" in s})
check("sockets, queues of UDP sockets that CRIU tells nothing of",
      {(r["netid"], r["recv-q"]) for r in json.loads(sh("sockets", database, "-i", next(
          str(n) for n, (path, _) in images.items() if path == "scenario/nested-veth"), "netid", "udp", "--json"))},
      {("udp", None)})
# the bytes that --origin shows are those of the file
for table in (["sockets"], ["show", "sockets"], ["show", "streams"], ["show", "queues"], ["show", "fds"]):
    words = [table[0], database, *table[1:], "-i", image, "--origin", "--json"]
    read = [r["origin"] for r in json.loads(sh(*words))]
    for o in read:
        with open(os.path.join(corpus, sample, o["file"]), "rb") as f:
            f.seek(o["offset"])
            if f.read(min(o["length"], 1024)).hex() != o["bytes"]:
                bad += 1
                print(f"{table}: {o} is not what the file has")
    check(f"{table}: records with their origin", {len(read) >= 13}, {True})
sys.exit(bad > 0)
