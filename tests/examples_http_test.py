#!/usr/bin/env python3
"""http_server.exe and well-behaved clients: curl, keep-alive, pipelining in odd splits, ranges. Argument: the program."""
import os
import subprocess
import sys
import time

from examples_support import Client, Server, STRESS_S, case, check, content, finish, folder, need, same, target_path

SIZES = (0, 1, 4095, 4096, 4097, 65535, 65536, 65537, 1 << 20, 64 << 20)
HELLO = b"Hello, World!"
PROGRAM = os.path.abspath(sys.argv[1])


def make_root():
    root = os.path.join(folder(), "root")
    os.makedirs(os.path.join(root, "sub", "empty"))
    files = {f"size{size}.bin": content(size) for size in SIZES}
    files |= {"index.html": b"<title>root</title>", "sub/index.html": b"<title>sub</title>", "a b.txt": b"a space",
              "gr\u00f6\u00dfe.txt": b"beyond ASCII"}
    for name, body in files.items():
        with open(os.path.join(root, name), "wb") as file:
            file.write(body)
    return root, files


def curl(*arguments, patience_s=120):
    need("curl")
    done = subprocess.run(["curl", "--silent", "--show-error", "--max-time", str(patience_s), *arguments], stdout=subprocess.PIPE,
                          stderr=subprocess.PIPE, check=False, env={**os.environ, "no_proxy": "*"})
    check(done.returncode == 0, f"curl ends well, not with {done.returncode}: {done.stderr.decode()}")
    return done.stdout


def curl_cases(server, how, root, files):
    for size in SIZES:
        with case(f"{how}: curl fetches {size} bytes"):
            same(curl("--fail", f"{server.url}/size{size}.bin"), files[f"size{size}.bin"], "the file")

    with case(f"{how}: curl fetches several files on one connection"):
        names = [f"size{size}.bin" for size in SIZES[:9]] * 3
        into = os.path.join(root, os.pardir, "fetched")
        os.makedirs(into, exist_ok=True)
        arguments = [f"{server.url}/{name}" for name in names]
        for number, _ in enumerate(names):
            arguments += ["-o", os.path.join(into, str(number))]
        connects = curl("--fail", "-w", "%{num_connects} ", *arguments).split()
        check([int(count) for count in connects] == [1] + [0] * (len(names) - 1), f"one connection, not {connects}")
        for number, name in enumerate(names):
            with open(os.path.join(into, str(number)), "rb") as file:
                same(file.read(), files[name], name)

    with case(f"{how}: curl resumes a download"):
        same(curl("--fail", "-r", "12345-", f"{server.url}/size1048576.bin"), files["size1048576.bin"][12345:], "the rest")

    with case(f"{how}: curl follows a folder to its index"):
        same(curl("--fail", "-L", f"{server.url}/sub"), b"<title>sub</title>", "the index")

    with case(f"{how}: curl sends no more than the head of a request with a body"):
        code = curl("-o", "/dev/null", "-w", "%{http_code}", "--data-binary", "x" * 100000, f"{server.url}/plaintext")
        check(code == b"405", f"405 instead of {code!r}")


def request_cases(server, how, files):
    with case(f"{how}: /plaintext"):
        with Client(server) as client:
            status, headers, body = client.ask("/plaintext?any=query")
            check((status, body, headers["content-type"]) == (200, HELLO, "text/plain"), f"{status} {headers} {body!r}")

    with case(f"{how}: HEAD gives the length and no body"):
        with Client(server) as client:
            for target, length in (("/size65537.bin", 65537), ("/plaintext", 13), ("/none", 10)):
                status, headers, _ = client.ask(target, "HEAD")
                check(int(headers["content-length"]) == length, f"{target}: {status} {headers}")
            check(client.ask("/plaintext")[2] == HELLO, "nothing of a body stands in the way")

    with case(f"{how}: an index, a redirect, a name with a space and one beyond ASCII"):
        with Client(server) as client:
            check(client.ask("/")[2] == files["index.html"], "the index of the root")
            check(client.ask("/sub/")[2] == files["sub/index.html"], "the index of a folder")
            status, headers, _ = client.ask("/sub")
            check((status, headers.get("location")) == (301, "/sub/"), f"{status} {headers}")
            check(client.ask("/sub/empty/")[0] == 404, "a folder without an index")
            check(client.ask("/a%20b.txt")[2] == b"a space", "a space")
            check(client.ask("/gr%C3%B6%c3%9Fe.txt")[2] == b"beyond ASCII", "UTF-8")
            check(client.ask("http://test/sub/index.html")[2] == files["sub/index.html"], "the form that proxies use")

    with case(f"{how}: ranges"):
        whole = files["size65537.bin"]
        with Client(server) as client:
            for value, status, part in (("0-0", 206, whole[:1]), ("100-199", 206, whole[100:200]), ("65536-", 206, whole[65536:]),
                                        ("-10", 206, whole[-10:]), ("1000-99999999", 206, whole[1000:]), ("65537-", 416, b""),
                                        ("5-2", 200, whole), ("x", 200, whole), ("0-1,3-4", 200, whole)):
                got, headers, body = client.ask("/size65537.bin", headers=f"Range: bytes={value}\r\n")
                check(got == status, f"{value}: {got} instead of {status}")
                same(body, part, value)
            check(client.ask("/size65537.bin", headers="Range: bytes=0-1\r\nIf-Range: \"x\"\r\n")[0] == 200, "If-Range never matches")

    with case(f"{how}: who keeps a connection open, by version and header"):
        for version, header, kept in (("1.1", "", True), ("1.1", "Connection: close\r\n", False), ("1.0", "", False),
                                      ("1.0", "Connection: Keep-Alive\r\n", True), ("1.1", "Connection: x, Close\r\n", False)):
            with Client(server) as client:
                client.send(f"GET /plaintext HTTP/{version}\r\nHost: test\r\n{header}\r\n")
                status, headers, _ = client.answer()
                said = headers.get("connection", "keep-alive" if version == "1.1" else "")
                check(status == 200 and said == ("keep-alive" if kept else "close"), f"{version} {header!r}: {headers}")
                if kept:
                    check(client.ask("/plaintext")[0] == 200, "it is still open")
                else:
                    check(client.more() == b"", "the end comes after the answer")


def pipeline(files):
    """100 requests of all kinds, and what is to come back."""
    requests, wanted = b"", []
    for number in range(100):
        method = "HEAD" if number % 7 == 3 else "GET"
        target, body = (("/plaintext", HELLO), ("/size4097.bin", files["size4097.bin"]), ("/none", b"Not Found\n"),
                        ("/size65537.bin", files["size65537.bin"]), ("/plaintext", HELLO))[number % 5]
        requests += f"{method} {target} HTTP/1.1\r\nHost: test\r\nX-Number: {number}\r\n\r\n".encode()
        wanted.append((method, 404 if target == "/none" else 200, len(body), b"" if method == "HEAD" else body))
    return requests, wanted


def expect(client, wanted):
    for number, (method, status, length, body) in enumerate(wanted):
        got, headers, came = client.answer(method)
        check((got, int(headers["content-length"])) == (status, length), f"answer {number}: {got} {headers}")
        same(came, body, f"answer {number}")


def pipelining_cases(server, how, files):
    requests, wanted = pipeline(files)

    with case(f"{how}: 100 pipelined requests in one send"):
        with Client(server) as client:
            client.send(requests)
            expect(client, wanted)

    with case(f"{how}: 100 pipelined requests, then the client's end, and all are answered"):
        with Client(server) as client:
            client.send(requests)
            client.socket.shutdown(1)
            expect(client, wanted)
            check(client.more() == b"", "then the server's end")

    with case(f"{how}: two requests in one packet, and a third in two"):
        with Client(server) as client:
            one = b"GET /plaintext HTTP/1.1\r\nHost: test\r\n\r\n"
            client.send(one + one + one[:20])
            check(client.answer()[2] == HELLO and client.answer()[2] == HELLO, "two answers")
            client.send(one[20:])
            check(client.answer()[2] == HELLO, "the third")

    with case(f"{how}: requests byte by byte"):
        first_ten = b"\r\n\r\n".join(requests.split(b"\r\n\r\n")[:10]) + b"\r\n\r\n"
        with Client(server) as client:
            for byte in first_ten:
                client.send(bytes([byte]))
            expect(client, wanted[:10])

    with case(f"{how}: pipelined requests in sends of odd lengths"):
        with Client(server) as client:
            for turn in range(1 + int(STRESS_S) // 8):
                at, length = 0, 1
                while at < len(requests):
                    client.send(requests[at:at + length])
                    at, length = at + length, (length * 7 + turn) % 37 + 1
                expect(client, wanted)

    with case(f"{how}: an empty line before a request, and lines that end without CR"):
        with Client(server) as client:
            client.send("\r\nGET /plaintext HTTP/1.1\nHost: test\n\n")
            check(client.answer()[2] == HELLO, "the answer")


def ending_cases(server, how):
    with case(f"{how}: ends cleanly with connections open: idle, in a header, in a body"):
        idle, half, reader = Client(server), Client(server), Client(server, receive_buffer_bytes=4096)
        idle.ask("/plaintext")
        half.send("GET /pl")
        reader.send("GET /size67108864.bin HTTP/1.1\r\nHost: test\r\n\r\n")
        reader.more()
        time.sleep(0.1)
        server.end()
        for client in (idle, half, reader):
            client.ended()
            client.socket.close()


def main():
    root, files = make_root()
    for threads in ("0", "2"):
        how = f"--threads {threads}"
        server = Server(PROGRAM, "--threads", threads, "--root", target_path(root))
        curl_cases(server, how, root, files)
        request_cases(server, how, files)
        pipelining_cases(server, how, files)
        ending_cases(server, how)
    finish()


main()
