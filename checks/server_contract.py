#!/usr/bin/env python3
"""Whether `attackline serve` does what its own /openapi.json says.

    pip install schemathesis
    python checks/server_contract.py --attackline target/release/attackline [--examples 300]

Builds nothing. Starts the server on a free port with tokens of its own, asks every described route with no token and with a wrong one, lets
schemathesis send good and bad data against every check that it has, and stops the server. Exit status 0: no fault found.
"""
import argparse
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from pathlib import Path


# Rows of NDJSON as a list, so that each is put to its schema.
HOOKS = '''
import json
import schemathesis

@schemathesis.deserializer("application/x-ndjson")
def rows(context, response):
    return [json.loads(row) for row in response.content.splitlines()]

@schemathesis.hook
def filter_case(context, case):
    # No schema can say that there is an id for each text.
    ids, texts = (case.body.get(name) if isinstance(case.body, dict) else None for name in ("ids", "texts"))
    return not (isinstance(ids, list) and isinstance(texts, list)) or len(ids) == len(texts)
'''


def rows_as_lists(description):
    """OpenAPI 3.1 has a schema for a whole body alone: that of a row is made one of a list."""
    for operations in description["paths"].values():
        for operation in operations.values():
            for answer in operation["responses"].values():
                if ndjson := answer.get("content", {}).get("application/x-ndjson"):
                    ndjson["schema"] = {"type": "array", "items": ndjson["schema"]}


def new_token(program, role):
    made = subprocess.run([program, "serve", "--new-token", role], capture_output=True, text=True, check=True)
    return made.stdout, re.search(r"shown only now: (\S+)", made.stderr)[1]


def start(program, folder, *arguments):
    """The running server and its address. What it says goes to a file, so that no pipe fills up."""
    said = Path(folder) / "said.txt"
    with said.open("w") as file:
        server = subprocess.Popen([program, "serve", "--listen", "127.0.0.1:0", *arguments], stderr=file)
    for _ in range(600):
        if found := re.search(r"listening on (http://\S+)", said.read_text()):
            return server, found[1]
        if server.poll() is not None:
            break
        time.sleep(0.1)
    server.kill()
    sys.exit(f"the server did not start:\n{said.read_text()}")


def status(method, url, token=None):
    request = urllib.request.Request(url, method=method, data=b"{}" if method == "POST" else None, headers={"Content-Type": "application/json"})
    if token:
        request.add_header("Authorization", token)
    try:
        with urllib.request.urlopen(request, timeout=30) as answer:
            return answer.status
    except urllib.error.HTTPError as error:
        return error.code


def wrong_tokens(address, description):
    """Every described operation with no token and with wrong ones; gives the number of faults."""
    asked = faults = 0
    for path, operations in description["paths"].items():
        for method, operation in operations.items():
            is_open = operation.get("security", description.get("security")) == []
            url = address + path.replace("{name}", "embedded").replace("{id}", "1")
            for token in (None, "Bearer wrong", "Bearer ", "Basic YTpi"):
                got = status(method.upper(), url, token)
                asked += 1
                if (got == 401) == is_open:
                    faults += 1
                    print(f"FAULT: {method.upper()} {path} with {token!r} gave {got}")
    print(f"{asked} requests without a right token, {faults} faults")
    return faults


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--attackline", required=True, help="the program to check")
    parser.add_argument("--schemathesis", default="schemathesis", help="its program, if it is not on the path")
    parser.add_argument("--examples", type=int, default=300, help="requests an operation and phase, at most")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("rest", nargs="*", help="further arguments of schemathesis, after --")
    options = parser.parse_args()
    if not shutil.which(options.schemathesis):
        sys.exit("schemathesis is not there: pip install schemathesis, or --schemathesis PROGRAM")
    # Whoever ends this ends the server too.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    with tempfile.TemporaryDirectory() as folder:
        tokens = Path(folder) / "tokens.txt"
        made = {role: new_token(options.attackline, role) for role in ("read", "classify", "admin")}
        tokens.write_text("".join(entry for entry, _ in made.values()))
        server, address = start(options.attackline, folder, "--tokens", str(tokens), "--feedback", str(Path(folder) / "marks.db"))
        try:
            with urllib.request.urlopen(address + "/openapi.json", timeout=30) as answer:
                description = json.load(answer)
            faults = wrong_tokens(address, description)
            rows_as_lists(description)
            (Path(folder) / "openapi.json").write_text(json.dumps(description))
            (Path(folder) / "hooks.py").write_text(HOOKS)
            command = [options.schemathesis, "run", "openapi.json", "--url", address, "--checks", "all", "--mode", "all", "--continue-on-failure"]
            command += ["--max-examples", str(options.examples), "--seed", str(options.seed), "--request-timeout", "60", "--no-color"]
            command += ["-H", f"Authorization: Bearer {made['admin'][1]}", *options.rest]
            ran = subprocess.run(command, cwd=folder, env={**os.environ, "SCHEMATHESIS_HOOKS": "hooks"})
            lives = server.poll() is None and status("GET", address + "/healthz") == 200
        finally:
            server.terminate()
            ended = server.wait(60)
    if not lives or ended != 0:
        print(f"FAULT: the server {'ended by itself' if not lives else f'ended with {ended}'}")
    sys.exit(0 if faults == 0 and ran.returncode == 0 and lives and ended == 0 else 1)


if __name__ == "__main__":
    main()
