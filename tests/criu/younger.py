#!/usr/bin/python3
"""Fields of CRIU's messages that Debian 12's crit does not know, as a current crit decoded them, against the kernel.

  younger.py DIR      DIR has one JSON file an image (crit decode); the dumped tasks still run, in this process
                      namespace. A difference a line and exit status 1; at the end how many values were compared.

Fields: tcp_opts, ip_opts (pktinfo, tos, ttl), ipv4_sysctl, unix_conf, no_new_privs, cap_amb.
"""
import glob, json, os, re, subprocess, sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), '..', 'netns'))
import image  # the reading of the kernel is the same there

IP, IPV6, TCP = 0, 41, 6
# message and field: level and option of an IPv4 socket; of an IPv6 socket
OPTIONS = {
    ('tcp_opts', 'cork'): ((TCP, 3), (TCP, 3)), ('tcp_opts', 'nodelay'): ((TCP, 1), (TCP, 1)),
    ('tcp_opts', 'keepcnt'): ((TCP, 6), (TCP, 6)), ('tcp_opts', 'keepidle'): ((TCP, 4), (TCP, 4)),
    ('tcp_opts', 'keepintvl'): ((TCP, 5), (TCP, 5)),
    ('ip_opts', 'tos'): ((IP, 1), (IP, 1)), ('ip_opts', 'ttl'): ((IP, 2), (IP, 2)),
    ('ip_opts', 'pktinfo'): ((IP, 8), (IPV6, 49)),
}
SYSCTLS = {'ipv4_sysctl': ['net/ipv4/ping_group_range'], 'unix_conf': ['net/unix/max_dgram_qlen']}


class Count(image.Differences):
    n = 0

    def check(self, what, found, kernel):
        self.n += 1
        super().check(what, found, kernel)


def compare_socket(d, what, entry, sk):
    v6 = entry['family'] in ('INET6', 10)
    for (message, field), by_family in OPTIONS.items():
        value = entry.get(message, {}).get(field)
        kernel = image.option(sk, *by_family[v6])
        if value is not None:
            d.check('%s %s.%s' % (what, message, field), int(value), kernel)
        elif kernel and field in ('cork', 'nodelay', 'pktinfo') or field == 'tos' and kernel and not v6:
            # CRIU leaves a zero out (criu/sk-inet.c), so an absent field says zero
            d.check('%s %s.%s is absent' % (what, message, field), None, kernel)


def compare_task(d, pid, decoded):
    ids = decoded['ids-%d' % pid][0]
    files = {f['id']: f for f in decoded.get('files', [])}
    sockets = image.sockets_of(pid)
    for f in decoded.get('fdinfo-%d' % ids['files_id'], []):
        entry = files.get(f['id'], {}).get('isk')
        if entry:
            compare_socket(d, 'task %d fd %d' % (pid, f['fd']), entry, sockets[str(f['fd'])])
    status = open('/proc/%d/status' % pid).read()
    creds = decoded['core-%d' % pid][0].get('thread_core', {}).get('creds', {})
    if 'no_new_privs' in creds:
        d.check('task %d no_new_privs' % pid, creds['no_new_privs'], int(re.search(r'NoNewPrivs:\s*(\d)', status).group(1)))
    if 'cap_amb' in creds:
        words = sum(w << 32 * i for i, w in enumerate(creds['cap_amb']))
        d.check('task %d cap_amb' % pid, words, int(re.search(r'CapAmb:\s*(\w+)', status).group(1), 16))
    netns = decoded['netns-%d' % ids['net_ns_id']][0]
    if netns.get('ext_key'):
        return
    for field, names in SYSCTLS.items():
        for name, found in zip(names, netns.get(field, [])):
            kernel = image.in_ns(pid, 'cat', '/proc/sys/' + name)
            text = found.get('sarg', str(found.get('iarg')))
            d.check('task %d %s' % (pid, name), text.split(), kernel.split())
    d.check('task %d has the sysctl messages' % pid, [f for f in SYSCTLS if f not in netns], [])


def main(folder):
    decoded = {}
    for path in glob.glob(folder + '/*.json'):
        decoded[os.path.basename(path)[:-5]] = json.load(open(path))['entries']
    d = Count()
    for t in decoded['pstree']:
        compare_task(d, t['pid'], decoded)
    print('\n'.join(d + ['%d values compared' % d.n]))
    return 1 if d or not d.n else 0


if __name__ == '__main__':
    sys.exit(main(sys.argv[1]))
