#!/usr/bin/env python3
"""`attackline serve` under mixed load: single lines, batches, NDJSON streams, explanations, files, marks, probes, all at once. Prints the server's
resident memory each minute and counts every answer that is not what it should be.

    python checks/server_mixed.py --attackline target/release/attackline --minutes 10

Needs Linux (/proc) and nothing but Python. Exit status 0: no request failed, and SIGTERM under load was followed.
"""
import argparse
import collections
import http.client
import json
import random
import re
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

WORDS = "ipconfig whoami git status service restart backup daily tar copy report node deploy agent sync user host query".split()


def line(random):
    return " ".join(random.choices(WORDS, k=random.randint(2, 12))) + f" {random.randrange(10**6)}"


def rows(body, wanted):
    found = [json.loads(row) for row in body.splitlines()]
    return len(found) == wanted and all("label" in row for row in found)


class Client(threading.Thread):
    """Sends requests of one kind, one after the other, on a kept connection."""

    def __init__(self, kind, port, seed, ended):
        super().__init__(daemon=True)
        self.kind, self.port, self.random, self.ended = kind, port, random.Random(seed), ended
        self.answered, self.refused, self.failed = 0, 0, []

    def run(self):
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=120)
        while not self.ended.is_set():
            method, path, headers, body, right = getattr(self, self.kind)()
            try:
                connection.request(method, path, body, headers)
                answer = connection.getresponse()
                got = answer.read().decode()
            except (OSError, http.client.HTTPException) as error:
                connection.close()
                if not self.ended.is_set():
                    self.failed.append(f"{self.kind}: {error!r}")
                continue
            if answer.status == 503 and answer.headers.get("Retry-After"):
                self.refused += 1
                time.sleep(1)
            elif right(answer.status, got):
                self.answered += 1
            else:
                self.failed.append(f"{self.kind}: {answer.status} {got[:200]}")
            if self.kind in ("probe", "mark"):
                time.sleep(0.05)

    def single(self):
        return "POST", "/api", {"Content-Type": "application/json"}, json.dumps({"text": line(self.random)}), lambda status, body: status == 200 and "label" in json.loads(body)

    def batch(self):
        texts = [line(self.random) for _ in range(100)]
        return "POST", "/api/v1/classify", {"Content-Type": "application/json"}, json.dumps({"texts": texts}), lambda status, body: status == 200 and rows(body, 100)

    def stream(self):
        lines = (json.dumps({"text": line(self.random), "id": number}).encode() + b"\n" for number in range(500))
        headers = {"Content-Type": "application/x-ndjson"}
        return "POST", "/api/v1/classify?top=3", headers, lines, lambda status, body: status == 200 and rows(body, 500)

    def explain(self):
        body = json.dumps({"texts": [line(self.random)], "explain": True})
        return "POST", "/api/v1/classify", {"Content-Type": "application/json"}, body, lambda status, body: status == 200 and rows(body, 1)

    def upload(self):
        body = "command\n" + "".join(line(self.random) + "\n" for _ in range(300))
        return "POST", "/api/v1/files?name=log.csv&field=command", {}, body, lambda status, body: status == 200 and rows(body, 300)

    def mark(self):
        body = json.dumps({"text": line(self.random), "label": "T1049", "score": 0.9, "verdict": self.random.choice(["right", "wrong", "benign"])})
        return "POST", "/api/v1/feedback", {"Content-Type": "application/json"}, body, lambda status, _: status == 201

    def probe(self):
        return "GET", self.random.choice(["/healthz", "/metrics", "/api/v1/models", "/"]), {}, None, lambda status, _: status == 200


def resident(server):
    """Resident memory in MB, now and at most so far."""
    status = Path(f"/proc/{server.pid}/status").read_text()
    return [int(re.search(rf"{name}:\s+(\d+) kB", status)[1]) / 1024 for name in ("VmRSS", "VmHWM")]


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--attackline", required=True)
    parser.add_argument("--minutes", type=float, default=10)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        said = Path(folder) / "said.txt"
        with said.open("w") as file:
            server = subprocess.Popen([options.attackline, "serve", "--listen", "127.0.0.1:0", "--feedback", f"{folder}/marks.db"], stderr=file)
        while not (found := re.search(r"listening on http://127.0.0.1:(\d+)", said.read_text())):
            if server.poll() is not None:
                sys.exit(said.read_text())
            time.sleep(0.1)
        ended = threading.Event()
        kinds = ["single"] * 8 + ["batch"] * 2 + ["stream"] * 2 + ["explain", "upload", "mark", "probe"]
        clients = [Client(kind, int(found[1]), seed, ended) for seed, kind in enumerate(kinds)]
        for client in clients:
            client.start()
        minutes = []
        end = time.monotonic() + 60 * options.minutes
        while time.monotonic() < end and server.poll() is None:
            time.sleep(min(60, max(0.1, end - time.monotonic())))
            minutes.append(resident(server)[0])
            print(f"minute {len(minutes)}: {minutes[-1]:.0f} MB, {sum(len(client.failed) for client in clients)} failed", flush=True)
        peak = resident(server)[1]
        ended.set()
        # Under load: what has been taken is answered, and then the server ends.
        server.terminate()
        status = server.wait(60)
        for client in clients:
            client.join(60)
    counts = collections.Counter()
    for client in clients:
        counts[client.kind] += client.answered
    failed = [fault for client in clients for fault in client.failed]
    print(", ".join(f"{count:,} {kind}" for kind, count in counts.items()), f"answered; {sum(client.refused for client in clients)} refused with 503")
    print(f"most memory {peak:.0f} MB; {len(failed)} failed; SIGTERM under load: ended with {status}")
    print("\n".join(failed[:20]))
    sys.exit(0 if not failed and status == 0 else 1)


if __name__ == "__main__":
    main()
