"""Ranks that pass a number around, and add up: each round is a message through all of them and an allreduce. Rank 0 prints a line a round.

A wait sleeps instead of spinning: the test bed has few processors.
"""

import time

from mpi4py import MPI

comm = MPI.COMM_WORLD
rank, size = comm.Get_rank(), comm.Get_size()
before, after = (rank - 1) % size, (rank + 1) % size


def wait(request):
    while not request.Test():
        time.sleep(0.001)


def receive():
    buffer = bytearray(8)
    wait(comm.Irecv([buffer, MPI.BYTE], source=before))
    return int.from_bytes(buffer, "big")


n = 0
while True:
    n += 1
    if rank == 0:
        wait(comm.Isend([n.to_bytes(8, "big"), MPI.BYTE], dest=after))
        token = receive()
        if token != n + size - 1:
            print(f"token {token} in round {n}", flush=True)
    else:
        token = receive() + 1
        wait(comm.Isend([token.to_bytes(8, "big"), MPI.BYTE], dest=after))
    mine, total = bytearray((n * (rank + 1)).to_bytes(8, "little")), bytearray(8)
    wait(comm.Iallreduce([mine, MPI.INT64_T], [total, MPI.INT64_T]))
    if rank == 0:
        print(n, int.from_bytes(total, "little"), flush=True)
    time.sleep(0.01)
