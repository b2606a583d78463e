"""
Shows, ten times a second, who its two processes are and what they live in: /state/parent and /state/child, each a JSON object. A file in its volume, /tmp, is
open all the time. SIGUSR1 ends it, and leaves a trace in the volume.
"""

import json, os, resource, signal, sys, time

os.umask(0o037)
kept = open('/tmp/mine', 'w+')
kept.write('mine')
kept.flush()
child = os.fork() == 0
if child:
    os.umask(0o027)


def stop(*_):
    if not child:
        open('/tmp/stopped', 'w').close()
    os._exit(0)


signal.signal(signal.SIGUSR1, stop)
signal.signal(signal.SIGTERM, signal.SIG_IGN)


def status(*names):
    lines = dict(line.rstrip('\n').split(':\t', 1) for line in open('/proc/self/status') if ':\t' in line)
    return [lines[name] for name in names]


def file(path):
    found = os.stat(path)
    return [found.st_uid, found.st_gid, oct(found.st_mode)]


def writable(path):
    try:
        open(path, 'w').close()
        return 'writable'
    except OSError as error:
        return error.strerror


def terminal():
    return [os.isatty(0), os.ttyname(0) if os.isatty(0) else '', list(os.get_terminal_size(0)) if os.isatty(0) else []]


LIMITS = ('NOFILE', 'CORE', 'NPROC', 'STACK', 'MEMLOCK', 'FSIZE')
n = 0
while True:
    n += 1
    mounts = [line.split() for line in open('/proc/mounts')]
    shown = {
        'n': n,
        'ids': [os.getresuid(), os.getresgid(), sorted(os.getgroups())],
        'may': status('CapInh', 'CapPrm', 'CapEff', 'CapBnd', 'CapAmb', 'NoNewPrivs', 'Umask', 'Seccomp'),
        'limits': {one: resource.getrlimit(getattr(resource, 'RLIMIT_' + one)) for one in LIMITS},
        'session': [os.getsid(0), os.getpgid(0), terminal()],
        'files': [file('/tmp/mine'), file('/state'), os.pread(kept.fileno(), 9, 0).decode()],
        'mounts': sorted(
            [where, kind, sorted(options.split(','))] for _, where, kind, options, *_ in mounts if where in ('/state', '/dev/shm')
        ),
        'root': writable('/anywhere'),
        'hosts': sorted(line.strip() for line in open('/etc/hosts') if 'elsewhere' in line),
    }
    name = '/state/' + ('child' if child else 'parent')
    with open(name + '.new', 'w') as out:
        json.dump(shown, out)
    os.replace(name + '.new', name)
    if not child and n % 10 == 0:
        print('line', n, flush=True)
    time.sleep(0.1)
