#!/usr/bin/env python3
"""echo_server.exe with one client and with a hundred; every byte is compared. Argument: the program."""
import os
import random
import selectors
import socket
import sys
import time

from examples_support import STRESS_S, Client, Server, case, check, content, finish, run, same

PROGRAM = os.path.abspath(sys.argv[1])
SECONDS = max(1.0, STRESS_S / 4)


def receive(client, length):
    while len(client.received) < length:
        check(client.more(), f"{length} bytes come back, not the end after {len(client.received)}")
    got, client.received = client.received[:length], client.received[length:]
    return got


def one_client(server):
    with Client(server) as client:
        for length in (1, 2, 4095, 4096, 4097, 16383, 16384, 16385, 65536):
            text = content(length)
            client.send(text)
            same(receive(client, length), text, f"{length} bytes")


def both_ways(server):
    """A client that does not wait for its echo, and more in flight than any buffer holds."""
    text = content(8 << 20)
    with Client(server) as client:
        client.socket.setblocking(False)
        selector = selectors.DefaultSelector()
        selector.register(client.socket, selectors.EVENT_READ | selectors.EVENT_WRITE)
        sent, came = 0, bytearray()
        while len(came) < len(text):
            for _, events in selector.select(20) or check(False, f"{len(came)} bytes came, then nothing"):
                if events & selectors.EVENT_WRITE and sent < len(text):
                    sent += client.socket.send(text[sent:sent + 65536])
                    if sent == len(text):
                        client.socket.shutdown(socket.SHUT_WR)
                        selector.modify(client.socket, selectors.EVENT_READ)
                if events & selectors.EVENT_READ:
                    part = client.socket.recv(1 << 20)
                    check(part, f"the end only after everything, not after {len(came)} bytes")
                    came += part
        same(bytes(came), text, "the echo")
        client.socket.setblocking(True)
        check(client.more() == b"", "after the client's end comes the server's")


def hundred_clients(server, seed):
    chance = random.Random(seed)
    clients = [Client(server) for _ in range(100)]
    selector = selectors.DefaultSelector()
    waiting = {}
    trips = 0

    def say(client):
        text = chance.randbytes(chance.choice((1, 64, 100, 1000, 20000)))
        waiting[client] = text
        client.send(text)

    for client in clients:
        selector.register(client.socket, selectors.EVENT_READ, client)
        say(client)
    until = time.monotonic() + SECONDS
    while waiting:
        ready = selector.select(20)
        check(ready, f"echoes come, {len(waiting)} are missing after {trips}")
        for key, _ in ready:
            client = key.data
            check(client.more(), "the connection stays open")
            if len(client.received) < len(waiting[client]):
                continue
            same(client.received, waiting.pop(client), "the echo")
            client.received = b""
            trips += 1
            if time.monotonic() < until:
                say(client)
    for client in clients:
        client.socket.close()
    return trips


def rough_clients(server):
    text = content(100000)
    for number in range(100):
        client = Client(server, receive_buffer_bytes=4096)
        client.socket.setblocking(False)
        try:
            client.socket.send(text[:number * 1000])
        except BlockingIOError:
            pass
        client.reset()
    one_client(server)


def main():
    for threads in ("0", "2"):
        how = f"--threads {threads}"
        server = Server(PROGRAM, "--threads", threads)
        with case(f"{how}: one client, messages around the size of a buffer"):
            one_client(server)
        with case(f"{how}: a client that sends 8 MiB while it reads, and ends its direction first"):
            both_ways(server)
        seed = int.from_bytes(os.urandom(4), "little")
        with case(f"{how}: 100 clients at once (seed {seed})"):
            print(f"    {hundred_clients(server, seed)} round trips")
        with case(f"{how}: 100 clients that reset"):
            rough_clients(server)
        with case(f"{how}: ends cleanly with clients connected"):
            clients = [Client(server) for _ in range(20)]
            for client in clients[:10]:
                client.send("x")
                receive(client, 1)
            server.end()
            for client in clients:
                check(client.ended(), "the end")
    with case("a port that is in use is reported"):
        server = Server(PROGRAM)
        code, _, errors = run(PROGRAM, "--port", str(server.port))
        check(code == 1 and f"cannot listen on port {server.port}: the address is in use" in errors, f"{code} {errors}")
        server.end()
    with case("options that are none are reported"):
        for arguments in (["--port", "65536"], ["--port", "-1"], ["--port"], ["--colour"], ["more"]):
            code, _, errors = run(PROGRAM, *arguments)
            check(code == 2 and "(try --help)" in errors, f"{arguments}: {code} {errors}")
        code, text, _ = run(PROGRAM, "--help")
        check(code == 0 and "--until-eof" in text, f"{code} {text}")
    finish()


main()
