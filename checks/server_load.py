#!/usr/bin/env python3
"""`attackline serve` under one-line requests, beside Flask with torch and beside the engine without a server; in turns, so that what else the
machine does falls on all alike. Ratios count, not times.

    cargo build --release -p attackline -p attackline-server --bin attackline --example load
    pip install flask torch transformers
    python checks/server_load.py --attackline target/release/attackline --load target/release/examples/load --checkpoint all-MiniLM-L6-v2/

CHECKPOINT is a folder with an encoder of the embedded model's shape (MiniLM-L6): Flask gets its weights and a head of as many
labels. Without it, only the server and the engine are measured.
"""
import argparse
import os
import re
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

LABELS = 326


def flask_service(checkpoint, port, threads):
    """What is usually written: transformers and torch behind Flask. Runs until it is ended."""
    import logging

    import torch
    from flask import Flask, jsonify, request
    from transformers import AutoModelForSequenceClassification, AutoTokenizer

    torch.set_num_threads(threads)
    tokenizer = AutoTokenizer.from_pretrained(checkpoint)
    model = AutoModelForSequenceClassification.from_pretrained(checkpoint, num_labels=LABELS).eval()
    app = Flask(__name__)

    @app.post("/api")
    def api():
        inputs = tokenizer(request.get_json()["text"], truncation=True, max_length=128, return_tensors="pt")
        with torch.inference_mode():
            scores = torch.softmax(model(**inputs).logits[0], -1)
        best = int(scores.argmax())
        return jsonify({"label": best, "score": float(scores[best])})

    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    app.run("127.0.0.1", port, threaded=True)


def free_port():
    import socket

    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return one.getsockname()[1]


def wait_for(port, server):
    import socket

    for _ in range(6000):
        if server.poll() is not None:
            sys.exit(f"a server ended with {server.returncode} before it answered")
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
            return
        except OSError:
            time.sleep(0.1)
    sys.exit("a server did not answer within ten minutes")


def load(program, port, connections, seconds):
    command = [program, f"127.0.0.1:{port}", "--connections", str(connections), "--seconds", str(seconds)]
    said = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    # Whoever gets no answer for a minute counts as failed, and says so in a line of its own before.
    numbers = re.search(r"(\d+) lines/s, p50 ([\d.]+) ms, p99 ([\d.]+) ms, p99.9 ([\d.]+) ms, (\d+) answered, (\d+) failed", said)
    return [float(number) for number in numbers.groups()]


def engine(program, lines, folder):
    """Lines a second of `attackline classify`, its start not counted: what many lines take beyond what few take."""
    def took(count):
        path = Path(folder) / f"{count}.txt"
        path.write_text("".join(f"netstat -ano | findstr 7{number:06}\n" for number in range(count)))
        began = time.monotonic()
        subprocess.run([program, "classify", "-f", str(path), "--from", "text", "-o", os.devnull, "--clobber"], check=True, stderr=subprocess.DEVNULL)
        return time.monotonic() - began

    few = 100
    return (lines - few) / (took(lines) - took(few))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--attackline")
    parser.add_argument("--load", help="the load example of attackline-server")
    parser.add_argument("--checkpoint")
    parser.add_argument("--connections", default="1,8,64,512")
    parser.add_argument("--seconds", type=int, default=8)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--engine-lines", type=int, default=10_000)
    parser.add_argument("--flask-threads", type=int, default=os.cpu_count(), help="torch's threads; 1 where other work has the processors too: torch's threads wait for each other by turning in circles")
    parser.add_argument("--flask-on", type=int, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.flask_on:
        return flask_service(options.checkpoint, options.flask_on, options.flask_threads)
    if not (options.attackline and options.load):
        parser.error("--attackline and --load are wanted")
    # Whoever ends this ends the servers too.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    servers, results, speeds = {}, {}, []
    commands = {"attackline": lambda port: [options.attackline, "serve", "--listen", f"127.0.0.1:{port}"]}
    if options.checkpoint:
        commands["Flask + torch"] = lambda port: [sys.executable, __file__, "--checkpoint", options.checkpoint, "--flask-threads", str(options.flask_threads), "--flask-on", str(port)]
    try:
        for name, command in commands.items():
            port = free_port()
            servers[name] = (port, subprocess.Popen(command(port), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL))
            wait_for(*servers[name])
            load(options.load, port, 1, 2)
        with tempfile.TemporaryDirectory() as folder:
            for turn in range(options.rounds):
                for connections in map(int, options.connections.split(",")):
                    for name in sorted(servers, reverse=turn % 2 == 1):
                        figures = load(options.load, servers[name][0], connections, options.seconds)
                        results.setdefault((connections, name), []).append(figures)
                        print(f"{name}, {connections} connections: {figures}", file=sys.stderr, flush=True)
                    if connections == 64:
                        speeds.append(engine(options.attackline, options.engine_lines, folder))
                print(f"round {turn + 1} of {options.rounds}, load average {os.getloadavg()[0]:.1f}", file=sys.stderr, flush=True)
    finally:
        for _, server in servers.values():
            server.terminate()
            server.wait(60)
    print("| connections | server | lines/s | p50 ms | p99 ms | p99.9 ms | failed |\n| --- | --- | --- | --- | --- | --- | --- |")
    for (connections, name), rounds in results.items():
        rate, *latencies = (statistics.median(column) for column in list(zip(*rounds))[:4])
        failed = sum(one[5] for one in rounds)
        print(f"| {connections} | {name} | {rate:,.0f} | {' | '.join(f'{latency:,.2f}' for latency in latencies)} | {failed:.0f} |")
    if speeds:
        at_64 = [one[0] for one in results[64, "attackline"]]
        share = statistics.median(served / alone for served, alone in zip(at_64, speeds))
        print(f"\nThe engine alone: {statistics.median(speeds):,.0f} lines/s; the server at 64 connections, with its clients: {share:.0%} of that")


if __name__ == "__main__":
    main()
