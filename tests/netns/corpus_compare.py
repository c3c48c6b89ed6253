#!/usr/bin/env python3
"""corpus_compare.py SNAPSHOT.json NS_OF_0 NS_OF_1 ...: what ip says in named namespaces against the snapshot
that was taken of the same state before CRIU dumped it. One line a difference, exit status 1 when there are
any. Left out is what CRIU's images do not hold: IPv6 rules, routes of tables other than main and local,
rules that the restore of CRIU itself lost, and flags of carrier."""
import json, re, subprocess, sys


def ip(ns, *args):
    return subprocess.run(['ip', '-n', ns, *args], capture_output=True, text=True, check=True).stdout


def lines(text):
    """Routes without what the kernel counts and what follows the carrier."""
    out = []
    for line in text.splitlines():
        line = re.sub(r' (linkdown|dead)\b', '', line.strip())
        line = re.sub(r' expires \S+| error \S+', '', line)
        line = re.sub(r'\s+', ' ', line).strip()
        m = re.search(r'\btable (\S+)', line)
        if line and (not m or m.group(1) in ('main', 'local')):
            out.append(line)
    return sorted(out)


def links(ns):
    out = {}
    for l in json.loads(ip(ns, '-j', 'link')):
        out[l['ifname']] = l
    return out


def compare_links(ns, before, say):
    now = links(ns)
    want = {l['ifname']: l for l in before}
    for name in sorted(set(now) | set(want)):
        if name not in now or name not in want:
            say(f'device {name}: {"lost" if name in want else "new"}')
            continue
        for key in ('ifindex', 'mtu', 'address', 'master', 'link_index', 'qdisc', 'txqlen'):
            if key in want[name] and now[name].get(key) != want[name][key]:
                say(f'device {name} {key}: {want[name][key]} became {now[name].get(key)}')
        for flag in ('UP', 'NOARP', 'PROMISC', 'ALLMULTI', 'MULTICAST'):
            if (flag in now[name]['flags']) != (flag in want[name]['flags']):
                say(f'device {name} flag {flag} differs')


def addresses(ns):
    out = []
    for l in json.loads(ip(ns, '-j', 'addr')):
        for a in l.get('addr_info', []):
            out.append([l['ifname'], a['local'], a['prefixlen'], a['scope']])
    return sorted(out)


def main():
    snapshot = json.load(open(sys.argv[1]))['netns']
    found = 0
    for i, ns in enumerate(sys.argv[2:]):
        before = snapshot[i] if isinstance(snapshot, list) else snapshot[str(i)]

        def say(text):
            nonlocal found
            found += 1
            print(f'{ns}: {text}')

        compare_links(ns, before['link'], say)
        pairs = [
            ('address', sorted(map(list, before['addr'])), addresses(ns)),
            ('route', lines('\n'.join(before['route4'])), lines(ip(ns, '-4', 'route', 'show', 'table', 'all'))),
            ('route', lines('\n'.join(before['route6'])), lines(ip(ns, '-6', 'route', 'show', 'table', 'all'))),
            ('rule', [re.sub(r'\s+', ' ', r.strip()) for r in before['rule4']],
             [re.sub(r'\s+', ' ', r.strip()) for r in ip(ns, '-4', 'rule').splitlines()]),
        ]
        for what, want, now in pairs:
            for x in want:
                if x not in now:
                    say(f'{what} lost: {x}')
            for x in now:
                if x not in want:
                    say(f'{what} new: {x}')
    return 1 if found else 0


sys.exit(main())
