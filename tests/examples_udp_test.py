#!/usr/bin/env python3
"""udp_echo with one client and with many; every byte is compared. Argument: the program."""
import os
import random
import socket
import sys

from examples_support import PATIENCE_S, Server, case, check, content, finish, run, same

PROGRAM = os.path.abspath(sys.argv[1])
DATAGRAM_BYTES = 2048  # of the program's buffers


def client(server):
    made = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    made.settimeout(PATIENCE_S)
    made.connect(server.address)
    return made


def one_client(one):
    with one:
        for length in (0, 1, 45, DATAGRAM_BYTES - 1, DATAGRAM_BYTES, DATAGRAM_BYTES + 1, 60000):
            text = content(length)
            one.send(text)
            same(one.recv(65536), text[:DATAGRAM_BYTES], f"{length} bytes")


def many_clients(server, seed):
    chance = random.Random(seed)
    clients = [client(server) for _ in range(50)]
    for _ in range(20):
        said = [chance.randbytes(chance.choice((1, 45, 500))) for _ in clients]
        for one, text in zip(clients, said):
            one.send(text)
        for one, text in zip(clients, said):
            same(one.recv(65536), text, "the echo")
    for one in clients:
        one.close()


def clients_that_go_away(server):
    """What is sent back to them finds a closed port, and the server does not mind."""
    after = client(server)  # from before: a late answer would find whoever has the port of a client that is gone
    for _ in range(100):
        with client(server) as one:
            one.send(b"and gone")
    one_client(after)


def main():
    for threads in ("0", "2"):
        how = f"--threads {threads}"
        server = Server(PROGRAM, "--threads", threads)
        with case(f"{how}: one client, datagrams around the size of a buffer"):
            one_client(client(server))
        seed = int.from_bytes(os.urandom(4), "little")
        with case(f"{how}: 50 clients at once (seed {seed})"):
            many_clients(server, seed)
        with case(f"{how}: B29: 100 clients that go away before they are answered"):
            clients_that_go_away(server)
        with case(f"{how}: ends cleanly"):
            ended = server.end()
            check("4 of them cut" in ended, ended)
    with case("a port that is in use is reported"):
        server = Server(PROGRAM)
        code, _, errors = run(PROGRAM, "--port", str(server.port))
        check(code == 1 and f"cannot receive on port {server.port}: the address is in use" in errors, f"{code} {errors}")
        server.end()
    finish()


main()
