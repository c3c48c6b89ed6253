#!/usr/bin/env python3
"""watch.py: what a dump with CRIU may leave behind, and who is killed in the middle of one. In the tree of tests/criu.

probe PID...             per task: is its namespace locked, who traces it, its mappings, descriptors and signals; and each
                         TCP socket: repair mode, SO_REUSEADDR
trace                    be the tracer of CRIU, as soon as it is there, until it ends
kill WHO MOMENT PIDFILE  wait until CRIU is at a hook ("network-lock", ...) or a file of its folder is there
                         ("/folder/tcp-stream-"), or so many milliseconds have gone since its hook network-lock ("+17.5"),
                         then kill WHO: nsimg, nsimg-TERM (a signal that
                         can be heard), nsimg-twice (two of them, and the hook goes on when CRIU has ended), criu, hook, guard, both (nsimg and guard); PIDFILE gets CRIU's pid; PIDFILE.ready is there when
                         it watches, PIDFILE.go when the hook "slow" of the test may go on, which CRIU calls after ours:
                         at MOMENT, for "+17.5" at network-lock, for hook at the moment before
"""
import glob, os, select, signal, socket, subprocess, sys, time
import ctypes

libc = ctypes.CDLL(None, use_errno=True)


def getfd(pidfd, fd):
    got = libc.syscall(438, pidfd, fd, 0)  # pidfd_getfd
    return got if got >= 0 else None


def status(pid, key):
    with open(f'/proc/{pid}/status') as f:
        for line in f:
            if line.startswith(key + ':'):
                return line.split()[1]
    return ''


def probe(pid):
    tables = subprocess.run(['nsenter', f'--net=/proc/{pid}/ns/net', 'nft', 'list', 'tables'], capture_output=True, text=True)
    print(f'{pid} tables: {" ".join(tables.stdout.split())}{tables.stderr}, tracer: {status(pid, "TracerPid")}')
    for key in ('SigBlk', 'SigIgn', 'SigCgt', 'SigPnd', 'ShdPnd'):
        print(f'{pid} {key}: {status(pid, key)}')
    with open(f'/proc/{pid}/maps') as f:
        for line in f:
            at, mode, _, _, _, *name = line.split()
            print(f'{pid} mapping {at} {mode} {" ".join(name)}')
    print(f'{pid} descriptors: {" ".join(sorted(os.listdir(f"/proc/{pid}/fd"), key=int))}')
    pidfd = os.pidfd_open(pid)
    for fd in sorted(int(n) for n in os.listdir(f'/proc/{pid}/fd')):
        if not os.readlink(f'/proc/{pid}/fd/{fd}').startswith('socket:'):
            continue
        s = socket.socket(fileno=getfd(pidfd, fd))
        if s.type == socket.SOCK_STREAM and s.family in (socket.AF_INET, socket.AF_INET6):
            repair = s.getsockopt(socket.IPPROTO_TCP, 19)
            print(f'{pid} fd {fd}: repair {repair} reuse {s.getsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR)}')
        s.close()


def processes():
    for name in os.listdir('/proc'):
        if name.isdigit():
            yield int(name)


def words(pid, what):
    try:
        with open(f'/proc/{pid}/{what}', 'rb') as f:
            return f.read().decode(errors='replace').split('\0')
    except OSError:
        return []


def find_hook(criu, moment, name):
    try:
        with open(f'/proc/{criu}/task/{criu}/children') as f:
            children = f.read().split()
    except OSError:
        sys.exit(f'CRIU has ended before {moment}')
    for pid in children:
        if f'CRTOOLS_SCRIPT_ACTION={moment}' in words(pid, 'environ') and name in ' '.join(words(pid, 'cmdline')):
            return int(pid)


def find_criu():
    for pid in processes():
        w = words(pid, 'cmdline')
        if len(w) > 2 and os.path.basename(w[0]) == 'criu' and w[1] == 'dump':
            return pid


def find_guard():
    for pid in processes():
        try:
            if status(pid, 'Name') == 'nsimg:guard':
                return pid
        except OSError:
            pass


def await_moment(moment, name):
    while not (criu := find_criu()):
        time.sleep(0.0005)
    while True:
        if moment.startswith('/'):
            if glob.glob(moment + '*'):
                return None, criu
        elif hook := find_hook(criu, moment, name):
            return hook, criu
        time.sleep(0.0001)


def go_on(pidfile):
    open(pidfile + '.go', 'w').close()


def await_delay(ms, pidfile):
    hook, criu = await_moment('network-lock', '')
    go_on(pidfile)
    while os.path.exists(f'/proc/{hook}'):
        time.sleep(0.0001)
    end = time.monotonic() + ms / 1000
    while time.monotonic() < end:
        pass
    return None, criu


def await_hook(moment, pidfile):
    """Our own hook, which lives for a millisecond only if it is answered: so nsimg is stopped before it comes."""
    _, criu = await_moment({'network-lock': 'pre-dump', 'post-dump': 'network-lock'}[moment], 'slow')
    os.kill(int(status(criu, 'PPid')), signal.SIGSTOP)
    go_on(pidfile)
    return await_moment(moment, 'nsimg')


def kill(who, moment, pidfile):
    if moment[0] == '+':
        hook, criu = await_delay(float(moment), pidfile)
    else:
        # of the hooks at one moment ours is the first: at the other one the guard has begun its work
        hook, criu = await_hook(moment, pidfile) if who == 'hook' else await_moment(moment, 'slow' if who in ('guard', 'both') else '')
    nsimg = int(status(criu, 'PPid'))
    who, _, gently = who.partition('-')
    victim = {'hook': hook, 'criu': criu, 'nsimg': nsimg}.get(who) or find_guard()
    if who == 'both':
        os.kill(nsimg, signal.SIGKILL)
    os.kill(victim, signal.SIGTERM if gently else signal.SIGKILL)
    if gently == 'twice':
        end = select.poll()
        end.register(os.pidfd_open(criu), select.POLLIN)
        os.kill(victim, signal.SIGINT)
        if not end.poll(15000):
            sys.exit('CRIU waits on')
    if who == 'hook':
        os.kill(nsimg, signal.SIGCONT)
    go_on(pidfile)
    with open(pidfile, 'w') as f:
        print(criu, file=f)


def trace():
    while not (criu := find_criu()):
        time.sleep(0.0005)
    libc.ptrace.argtypes = [ctypes.c_long, ctypes.c_long, ctypes.c_void_p, ctypes.c_void_p]
    if libc.ptrace(0x4206, criu, None, None):  # PTRACE_SEIZE
        sys.exit('cannot trace CRIU')
    while os.WIFSTOPPED(status := os.waitpid(criu, 0x40000000)[1]):
        event, sig = status >> 16, os.WSTOPSIG(status)
        libc.ptrace(7, criu, None, None if event else sig)  # PTRACE_CONT


if sys.argv[1] == 'trace':
    trace()
elif sys.argv[1] == 'probe':
    for arg in sys.argv[2:]:
        probe(int(arg))
else:
    signal.alarm(300)
    open(sys.argv[4] + '.ready', 'w').close()
    kill(*sys.argv[2:])
