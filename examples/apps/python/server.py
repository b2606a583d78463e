"""A server whose answers are worked out by other processes: two pools (spawn, fork), with a queue and a lock between them.

Each line `method n` is answered with `method n n*n k`: k is how many answers all workers have given for that method, counted in shared
memory under a lock. Environment: APP_PORT (8000).
"""

import multiprocessing
import os
import socketserver

POOLS = {}


def begin(counter):
    global shared
    shared = counter


def work(n):
    with shared.get_lock():
        shared.value += 1
        return n * n, shared.value


class Lines(socketserver.StreamRequestHandler):
    def handle(self):
        for line in self.rfile:
            method, n = line.decode().split()
            square, count = POOLS[method].apply(work, (int(n),))
            self.wfile.write(f"{method} {n} {square} {count}\n".encode())


class Server(socketserver.ThreadingTCPServer):
    allow_reuse_address = True
    daemon_threads = True
    request_queue_size = 64


if __name__ == "__main__":
    for method in ("fork", "spawn"):
        context = multiprocessing.get_context(method)
        POOLS[method] = context.Pool(2, begin, (context.Value("q", 0),))
    Server(("0.0.0.0", int(os.environ.get("APP_PORT", "8000"))), Lines).serve_forever()
