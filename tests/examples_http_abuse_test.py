#!/usr/bin/env python3
"""http_server.exe and clients that mean no good, or go away. After each the server must go on serving. Argument: the program."""
import os
import random
import sys
import time

from examples_support import STRESS_S, Client, Server, case, check, content, finish, folder, target_path

PROGRAM = os.path.abspath(sys.argv[1])
SECRET = b"this must never be served"
LARGE_BYTES = 64 << 20
IDLE_S = 2

# What stands before it names a file outside the root, a device, another name of a hidden file, or nothing at all.
TRAVERSALS = (
    "/../secret.txt", "/../../secret.txt", "/sub/../../secret.txt", "/%2e%2e/secret.txt", "/..%2fsecret.txt", "/%2e%2e%2fsecret.txt",
    "/..\\secret.txt", "/..%5csecret.txt", "/%5c..%5csecret.txt", "/sub/..\\..\\secret.txt", "/.%2e/secret.txt", "/. ./secret.txt",
    "/..%20/secret.txt", "/.../secret.txt", "/..;/secret.txt", "//secret.txt", "//../secret.txt", "/./../secret.txt",
    "/%252e%252e/secret.txt", "/%c0%ae%c0%ae/secret.txt", "/%c0%af..%c0%afsecret.txt", "/sub%00/../../secret.txt",
    "/index.html%00.txt", "/index.html%00", "/Z:/secret.txt", "/Z:secret.txt", "/Z%3a/secret.txt", "/c:/windows/win.ini",
    "/index.html::$DATA", "/index.html:x", "/%5c%5c.%5cpipe%5cx", "/%5c%5c%3f%5cC:%5c", "//localhost/c$/x", "/NUL", "/nul.html",
    "/CON", "/sub/aux.txt", "/COM1", "/lpt9.x", "/CONIN$", "/COM%C2%B9", "/NUL%20.txt", "/index.html.", "/index.html%20", "/.hidden",
    "/sub/.hidden", "/HIDDEN~1", "/*", "/index.htm?.bak/../../secret.txt", "/ind%3fx.html", "/%", "/%4", "/%zz", "/%0d%0aX: y",
    "*", "secret.txt", "http:/secret.txt", "http://test/../secret.txt", "http://test/..\\secret.txt", "file:///secret.txt",
)


def make_root():
    above = folder()
    root = os.path.join(above, "root")
    os.makedirs(os.path.join(root, "sub"))
    for name in ("../secret.txt", ".hidden", "sub/.hidden"):
        with open(os.path.join(root, name), "wb") as file:
            file.write(SECRET)
    with open(os.path.join(root, "index.html"), "wb") as file:
        file.write(b"the index")
    with open(os.path.join(root, "large.bin"), "wb") as file:
        file.write(content(LARGE_BYTES))
    return root


def serves(server):
    check(server.alive(), f"the server runs: {server.said()}")
    with Client(server) as client:
        check(client.ask("/plaintext")[2] == b"Hello, World!", "the plaintext")
        check(client.ask("/index.html")[2] == b"the index", "a file")


def traversal_cases(server, how):
    with case(f"{how}: {len(TRAVERSALS)} ways out of the root are closed"):
        for target in TRAVERSALS:
            with Client(server) as client:
                client.send(b"GET " + target.encode() + b" HTTP/1.1\r\nHost: test\r\nConnection: close\r\n\r\n")
                status, _, body = client.answer()
                index = body == b"the index" and "?" in target
                check((status in (400, 403, 404) and SECRET not in body) or index, f"{target}: {status} {body!r}")
        serves(server)


def refusal_cases(server, how):
    long_header = "GET / HTTP/1.1\r\nHost: test\r\n" + "".join(f"X-{i}: {'x' * 100}\r\n" for i in range(100))
    refusals = (
        (405, "POST /plaintext HTTP/1.1\r\nHost: test\r\nContent-Length: 0\r\n\r\n"),
        (405, "DELETE /index.html HTTP/1.1\r\nHost: test\r\n\r\n"),
        (405, "get /index.html HTTP/1.1\r\nHost: test\r\n\r\n"),
        (413, "GET /plaintext HTTP/1.1\r\nHost: test\r\nContent-Length: 5\r\n\r\nhello"),
        (413, "GET /plaintext HTTP/1.1\r\nHost: test\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"),
        (414, "GET /" + "x" * 3000 + " HTTP/1.1\r\nHost: test\r\n\r\n"),
        (414, "GET /" + "x" * 20000),
        (431, long_header + "\r\n"),
        (431, long_header),
        (400, "GET /\r\n\r\n"),
        (400, "GET  / HTTP/1.1\r\nHost: test\r\n\r\n"),
        (400, "GET / HTTP/1.1 \r\nHost: test\r\n\r\n"),
        (400, "GET / HTTP/1.1\r\n\r\n"),
        (400, "GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n"),
        (400, "GET / HTTP/1.1\r\nHost : test\r\n\r\n"),
        (400, "GET / HTTP/1.1\r\nHost: test\r\nX: a\r\n folded\r\n\r\n"),
        (400, "GET / HTTP/1.1\r\nHost: test\r\nContent-Length: -1\r\n\r\n"),
        (400, "GET / HTTP/1.1\r\nHost: test\r\nX: a\rb\r\n\r\n"),
        (400, "GET / HTTP/1.1\r\nHost: test\r\nX: \0\r\n\r\n"),
        (400, "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"),
        (505, "GET / HTTP/2.0\r\nHost: test\r\n\r\n"),
    )
    for status, request in refusals:
        with case(f"{how}: {status} for {request[:40].encode()!r}{'...' if len(request) > 40 else ''}"):
            with Client(server) as client:
                try:
                    client.send(request.encode("latin-1"))
                except ConnectionError:
                    pass  # it may have ended the connection before it had all
                got, _, body = client.answer("GET")
                check(got == status and body, f"{got} instead of {status}")

    with case(f"{how}: after what cannot be understood the connection is ended, and nothing more is answered"):
        with Client(server) as client:
            client.send("GET / HTTP/1.1\r\nbroken\r\n\r\nGET /plaintext HTTP/1.1\r\nHost: test\r\n\r\n")
            status, headers, _ = client.answer()
            check((status, headers["connection"]) == (400, "close"), f"{status} {headers}")
            check(client.more() == b"", "the end")
        serves(server)


def rubbish_cases(server, how):
    seed = int.from_bytes(os.urandom(4), "little")
    chance = random.Random(seed)
    with case(f"{how}: {200 + int(STRESS_S) * 20} connections of rubbish (seed {seed})"):
        good = b"GET /index.html HTTP/1.1\r\nHost: test\r\n\r\n"
        for _ in range(200 + int(STRESS_S) * 20):
            with Client(server) as client:
                kind = chance.randrange(3)
                if kind == 0:
                    text = chance.randbytes(chance.randrange(1, 20000))
                elif kind == 1:
                    text = bytearray(good * 3)
                    for _ in range(chance.randrange(1, 5)):
                        text[chance.randrange(len(text))] = chance.randrange(256)
                else:
                    text = bytes(chance.choice(b"GETHP/1. \r\n:%\0") for _ in range(chance.randrange(1, 3000)))
                try:
                    client.send(bytes(text))
                except ConnectionError:
                    pass
                if chance.randrange(2):
                    client.reset()
        serves(server)


def leaving_cases(server, how):
    request = b"GET /large.bin HTTP/1.1\r\nHost: test\r\n\r\n"

    with case(f"{how}: 100 clients leave half-way through a header"):
        for number in range(100):
            with Client(server) as client:
                client.send(request[:number % (len(request) - 1) + 1])
        serves(server)

    with case(f"{how}: 100 clients reset the connection at any time"):
        for number in range(100):
            client = Client(server, receive_buffer_bytes=4096)
            client.send(request * (number % 3))
            if number % 3 and number % 4:
                client.more()
            client.reset()
        serves(server)

    with case(f"{how}: a file that becomes shorter while it is sent"):
        path = os.path.join(ROOT, "shrinking.bin")
        with open(path, "wb") as file:
            file.write(content(LARGE_BYTES))
        with Client(server, receive_buffer_bytes=4096) as client:
            client.send(b"GET /shrinking.bin HTTP/1.1\r\nHost: test\r\n\r\n")
            client.more()
            os.truncate(path, 1000)
            # What was on its way comes as fast as the machine has it; after that there is no pause.
            last = time.monotonic()
            while client.more_or_end():
                last = time.monotonic()
            check(len(client.received) < LARGE_BYTES, "what is missing is not made up")
            check(time.monotonic() - last < IDLE_S / 2, "the connection is ended at once, not left as if all had been sent")
        serves(server)


def silence_cases(server, how):
    with case(f"{how}: a client that stops in the header is ended after {IDLE_S} s, others are served meanwhile"):
        with Client(server) as client:
            client.send("GET /plain")
            began = time.monotonic()
            serves(server)
            check(client.more() == b"", "the end")
            took = time.monotonic() - began
            check(IDLE_S - 0.2 < took < IDLE_S + 3, f"it took {took:.2f} s")

    with case(f"{how}: a client that sends its header a byte at a time does not keep the connection"):
        with Client(server) as client:
            began = time.monotonic()
            try:
                while time.monotonic() - began < IDLE_S + 10:
                    client.send("x")
                    time.sleep(0.1)
            except ConnectionError:
                pass
            check(time.monotonic() - began < IDLE_S + 5, "it is ended although it is not silent")
        serves(server)

    with case(f"{how}: clients that do not read 64 MiB are ended, others are served meanwhile"):
        clients = [Client(server, receive_buffer_bytes=4096) for _ in range(10)]
        for client in clients:
            client.send("GET /large.bin HTTP/1.1\r\nHost: test\r\n\r\n")
        until = time.monotonic() + IDLE_S + 1.5
        while time.monotonic() < until:
            serves(server)
            time.sleep(0.1)
        for client in clients:
            client.ended()
            check(len(client.received) < LARGE_BYTES, "it was given up")
            client.socket.close()
        serves(server)


ROOT = make_root()


def main():
    for threads in ("0", "2"):
        how = f"--threads {threads}"
        server = Server(PROGRAM, "--threads", threads, "--root", target_path(ROOT), "--idle-seconds", str(IDLE_S))
        traversal_cases(server, how)
        refusal_cases(server, how)
        rubbish_cases(server, how)
        leaving_cases(server, how)
        silence_cases(server, how)
        with case(f"{how}: ends cleanly after all that"):
            server.end()
    finish()


main()
