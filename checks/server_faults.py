#!/usr/bin/env python3
"""What `attackline serve` does when clients, disks and operators behave badly: each fault is made, and what came of it is printed as a row of a
table (docs/serve.md).

    python checks/server_faults.py --attackline target/release/attackline [--small-disk DIR]

Needs Linux and nothing but Python. --small-disk names an empty file system of a few MB that may be filled (mount -t tmpfs -o size=2m tmpfs DIR, as
root); without it a limit on the size of files stands for the full disk. Exit status 0: the server did right in all.
"""
import argparse
import contextlib
import http.client
import json
import os
import re
import resource
import shutil
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

GIGABYTE = 1 << 30
JSON = {"Content-Type": "application/json"}


class Server:
    def __init__(self, program, folder, *arguments):
        self.said = Path(folder) / "said.txt"
        with self.said.open("w") as file:
            # What is too large for the limit on files is an error then, not the end of the process.
            quiet = lambda: signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
            self.process = subprocess.Popen([program, "serve", "--listen", "127.0.0.1:0", *arguments], stderr=file, preexec_fn=quiet)
        while not (found := re.search(r"listening on http://127.0.0.1:(\d+)", self.said.read_text())):
            if self.process.poll() is not None:
                sys.exit(self.said.read_text())
            time.sleep(0.05)
        self.port = int(found[1])

    def memory(self):
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        return int(re.search(r"VmHWM:\s+(\d+) kB", status)[1]) / 1024

    def ask(self, method, path, body=None, headers=JSON):
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        with contextlib.closing(connection):
            connection.request(method, path, body, headers)
            answer = connection.getresponse()
            return answer.status, answer.read().decode()

    def answers(self):
        return self.ask("POST", "/api", '{"text": "netstat -ano"}')[0] == 200

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(60)


@contextlib.contextmanager
def running(program, *arguments):
    with tempfile.TemporaryDirectory() as folder:
        server = Server(program, folder, *arguments)
        try:
            yield server
        finally:
            if server.process.poll() is None:
                server.process.kill()
            server.process.wait()


def push(port, path, headers, chunked):
    """Sends up to a gigabyte; gives the status and how much was sent when it came."""
    with socket.create_connection(("127.0.0.1", port), 60) as client:
        length = "Transfer-Encoding: chunked" if chunked else f"Content-Length: {GIGABYTE}"
        client.sendall(f"POST {path} HTTP/1.1\r\nHost: localhost\r\n{headers}{length}\r\n\r\n".encode())
        piece, sent = b" " * (1 << 16), 0
        block = b"%x\r\n%s\r\n" % (len(piece), piece) if chunked else piece
        with contextlib.suppress(OSError):
            while sent < GIGABYTE:
                client.sendall(block)
                sent += len(piece)
        try:
            head = client.recv(4096)
        except OSError:
            head = b""
    return (int(head[9:12]) if head.startswith(b"HTTP/1.1 ") else 0), sent / (1 << 20)


def huge_bodies(program, _):
    with running(program, "--max-file", "64") as server:
        assert server.answers()
        before = server.memory()
        told = []
        for path, headers, chunked in [("/api", "Content-Type: application/json\r\n", False), ("/api", "Content-Type: application/json\r\n", True),
                                       ("/api/v1/files?name=a.txt", "", False), ("/api/v1/files?name=a.txt", "", True)]:
            status, sent = push(server.port, path, headers, chunked)
            told.append(f"{status} after {sent:.0f} MB")
            assert status == 413, told
        grown = server.memory() - before
        assert server.answers() and grown < 64, grown
        return f"413 to each ({', '.join(told)}); memory grew by {grown:.0f} MB at most"


def many_opens(program, _):
    with running(program, "--timeout", "3") as server:
        assert server.answers()
        before = server.memory()

        def open_and_close(count, failed):
            for _ in range(count):
                try:
                    client = socket.create_connection(("127.0.0.1", server.port), 30)
                    # Closed at once, so that ports do not run out.
                    client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                    client.close()
                except OSError as error:
                    failed.append(error)

        failed, began = [], time.monotonic()
        threads = [threading.Thread(target=open_and_close, args=(12_500, failed)) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        took = time.monotonic() - began
        assert server.answers()
        held = [socket.create_connection(("127.0.0.1", server.port), 30) for _ in range(1100)]
        asked = time.monotonic()
        assert server.answers(), "the held ones time out, and whoever waits is answered"
        waited = time.monotonic() - asked
        for one in held:
            one.close()
        grown = server.memory() - before
        assert len(failed) < 100 and grown < 128, (failed[:3], grown)
        return f"100,000 in {took:.0f} s, then answered; with 1,100 held silent (1,024 are let in), the next request waited {waited:.1f} s for the 3 s time limit; memory grew by {grown:.0f} MB"


def full_disk(program, options):
    with tempfile.TemporaryDirectory() as folder:
        disk = Path(options.small_disk or folder)
        with running(program, "--feedback", str(disk / "marks.db")) as server:
            number = 0

            def mark():
                nonlocal number
                number += 1
                body = json.dumps({"text": f"line {number} " + "x" * 2000, "label": "T1049", "score": 0.9, "verdict": "right"})
                return server.ask("POST", "/api/v1/feedback", body)

            kept = []
            for _ in range(5):
                status, body = mark()
                assert status == 201, body
                kept.append(number)
            filler = disk / "filler"
            if options.small_disk:
                with contextlib.suppress(OSError), filler.open("wb", buffering=0) as file:
                    while True:
                        file.write(b"\0" * 4096)
            else:
                resource.prlimit(server.process.pid, resource.RLIMIT_FSIZE, (0, resource.RLIM_INFINITY))
            # The database has some room of its own, before the disk has to give any.
            refused = 0
            for _ in range(3000):
                status, body = mark()
                if status == 201:
                    kept.append(number)
                    continue
                refused += 1
                assert status == 507 and "not kept" in body, (status, body)
                said = json.loads(body)["error"]
                if refused == 20:
                    break
            assert refused == 20, "the disk never was full"
            assert server.answers(), "lines are answered meanwhile"
            if options.small_disk:
                filler.unlink()
            else:
                resource.prlimit(server.process.pid, resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
            for _ in range(5):
                status, body = mark()
                assert status == 201, (status, body)
                kept.append(number)
            assert server.stop() == 0
        with running(program, "--feedback", str(disk / "marks.db")) as server:
            rows = [json.loads(row) for row in server.ask("GET", "/api/v1/feedback")[1].splitlines()]
            assert [int(row["text"].split()[1]) for row in rows] == kept, "all that was confirmed, and nothing else"
        return f"507 ({said}) to 20 marks; lines were answered meanwhile; the next mark after there was room was kept; after a restart all {len(kept)} confirmed marks were there, and none of the refused"


def model_replaced(program, _):
    with tempfile.TemporaryDirectory() as folder:
        model, other = Path(folder) / "model", Path(folder) / "other"
        subprocess.run([program, "model", "export", "-o", str(model)], check=True, stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
        shutil.copytree(model, other)
        with running(program, "--model", f"m={model}") as server:
            faults, versions, ended = [], set(), threading.Event()

            def asking():
                number = 0
                while not ended.is_set():
                    number += 1
                    status, body = server.ask("POST", "/api/v1/classify", json.dumps({"texts": [f"netstat {number}"]}))
                    row = json.loads(body)
                    versions.add(row.get("model", {}).get("version"))
                    if status != 200 or "label" not in row:
                        faults.append(body)

            threads = [threading.Thread(target=asking) for _ in range(4)]
            for thread in threads:
                thread.start()

            def reloaded(count, words):
                server.process.send_signal(signal.SIGHUP)
                for _ in range(600):
                    if server.said.read_text().count(words) == count:
                        return
                    time.sleep(0.1)
                raise AssertionError(server.said.read_text())

            # Cut short in its place, as a copy that broke off leaves it; then put right.
            weights = model / "model.safetensors"
            os.truncate(weights, weights.stat().st_size // 2)
            reloaded(1, "what could be was loaded again")
            shutil.rmtree(model)
            other.rename(model)
            reloaded(1, ": loaded again")
            time.sleep(0.5)
            ended.set()
            for thread in threads:
                thread.join()
            assert not faults and len(versions) == 2, (faults[:3], versions)
            assert server.stop() == 0
            return f"weights cut in half under the running server and SIGHUP: the old model went on; put right and SIGHUP: the new one answers ({len(versions)} versions seen); no request failed"


def stopped_under_load(program, _):
    outcomes = {"answered": 0, "refused": 0, "cut": 0}
    with running(program) as server:
        ended = threading.Event()

        def asking(seed):
            while not ended.is_set():
                body = json.dumps({"texts": [f"netstat {seed} {number}" for number in range(50)]})
                try:
                    client = socket.create_connection(("127.0.0.1", server.port), 30)
                    client.sendall(f"POST /api/v1/classify HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nConnection: close\r\nContent-Length: {len(body)}\r\n\r\n{body}".encode())
                    answer = b""
                    while piece := client.recv(1 << 16):
                        answer += piece
                except OSError:
                    answer = b""
                whole = answer.startswith(b"HTTP/1.1 200") and answer.endswith(b"0\r\n\r\n") and answer.count(b'"label":') >= 50
                refused = answer == b"" or answer.startswith(b"HTTP/1.1 503")
                outcomes["answered" if whole else "refused" if refused else "cut"] += 1
                if not whole:
                    return

        threads = [threading.Thread(target=asking, args=(seed,)) for seed in range(32)]
        for thread in threads:
            thread.start()
        time.sleep(3)
        began = time.monotonic()
        status = server.stop()
        took = time.monotonic() - began
        ended.set()
        for thread in threads:
            thread.join()
        assert status == 0 and outcomes["cut"] == 0 and outcomes["answered"] > 0, (status, outcomes)
        return f"{outcomes['answered']} requests of 50 lines answered whole, {outcomes['refused']} refused after the signal, none cut; ended with 0 within {took:.1f} s"


FAULTS = {
    "1 GB bodies: told and untold length, JSON and file": huge_bodies,
    "100,000 connections opened and dropped, then 1,100 held silent": many_opens,
    "a full disk under the marks": full_disk,
    "a model's file broken and replaced under way": model_replaced,
    "SIGTERM under load": stopped_under_load,
}


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--attackline", required=True)
    parser.add_argument("--small-disk", help="an empty file system of a few MB that may be filled")
    parser.add_argument("--only", help="a word of the fault's name")
    options = parser.parse_args()
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, 8192), hard))
    failed = 0
    print("| fault | what came of it |\n| --- | --- |")
    for name, fault in FAULTS.items():
        if options.only and options.only not in name:
            continue
        try:
            told = fault(options.attackline, options)
        except (AssertionError, OSError, http.client.HTTPException) as error:
            told, failed = f"**WRONG**: {error!r}", failed + 1
        print(f"| {name} | {told} |", flush=True)
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
