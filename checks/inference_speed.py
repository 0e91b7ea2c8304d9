"""The engine beside ONNX Runtime and OpenVINO, interleaved: every engine lives in its own process and is asked for one case at a time, in an
order that turns round every round, so that what else the machine does falls on all alike. Ratios count, not times.

    cargo build --release -p attackline-engine --example peer_worker
    PEERS_WORK=exported-models python inference_speed.py PEERS_DIR target/release/examples/peer_worker --model minilm --engines ort_int8,ov_int8

PEERS_DIR holds worker.py and common.py of the peers' benchmark and lengths.json; PEERS_WORK the models that its export.py wrote (random weights)."""
import argparse
import json
import os
import statistics
import subprocess
import sys
import time

SHAPES = {"minilm": "minilm", "roberta": "roberta-base", "deberta": "deberta-v3-base"}

parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
parser.add_argument("peers")
parser.add_argument("worker")
parser.add_argument("--model", choices=SHAPES, default="minilm")
parser.add_argument("--engines", default="ort_int8,ov_int8")
parser.add_argument("--cases", default="1x32,32x32")
parser.add_argument("--rounds", type=int, default=5)
parser.add_argument("--repeat", type=int, default=3)
parser.add_argument("--lines", type=int, default=512, help="of the ragged lines, so many")
parser.add_argument("--threads", type=int, default=2)
arguments = parser.parse_args()

environment = dict(os.environ, OMP_NUM_THREADS=str(arguments.threads), PYTHONPATH=arguments.peers, PYTHONDONTWRITEBYTECODE="1")
lengths = json.load(open(os.path.join(arguments.peers, "lengths.json")))["lengths"][: arguments.lines]


def batches(case, ours):
    """A case's batches: the peers get 32 lines a call, as their users send them; the engine packs up to 1,024 tokens."""
    if "x" in case:
        lines, tokens = map(int, case.split("x"))
        return [[tokens] * lines]
    some = sorted(lengths) if case == "sorted" else lengths
    if not ours:
        return [some[i:i + 32] for i in range(0, len(some), 32)]
    packed = [[]]
    for length in some:
        if packed[-1] and sum(packed[-1]) + length > 1024:
            packed.append([])
        packed[-1].append(length)
    return packed


processes = {}
for engine in ["attackline_int8", "attackline_f32", *arguments.engines.split(",")]:
    if engine.startswith("attackline"):
        command = [arguments.worker, SHAPES[arguments.model], engine.split("_")[1], str(arguments.threads)]
    else:
        command = [sys.executable, os.path.join(arguments.peers, "worker.py"), engine, arguments.model, str(arguments.threads)]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, env=environment)
    ready = process.stdout.readline()
    print(engine, ready.strip() or "did not start", flush=True)
    if ready:
        processes[engine] = process

times = {}
peaks = {}
for round in range(arguments.rounds):
    order = list(processes) if round % 2 == 0 else list(processes)[::-1]
    for case in arguments.cases.split(","):
        for engine in order:
            request = {"name": case, "batches": batches(case, engine.startswith("attackline")), "repeat": arguments.repeat if "x" in case else 1}
            process = processes[engine]
            process.stdin.write(json.dumps(request) + "\n")
            process.stdin.flush()
            answer = json.loads(process.stdout.readline())
            times.setdefault((case, engine), []).extend(sum(run) for run in answer["ms"])
            peaks[engine] = answer["peak_rss_mib"]
    print("round", round, time.strftime("%H:%M:%S"), "load", os.getloadavg(), flush=True)

print(f"\n{arguments.model}, {arguments.threads} threads; ms: median (least); how often attackline's int8 goes into it: by medians (by least)")
for case in arguments.cases.split(","):
    base = times[case, "attackline_int8"]
    for engine in processes:
        own = times[case, engine]
        ratio, least = statistics.median(own) / statistics.median(base), min(own) / min(base)
        print(f"{case:>8}  {engine:<16} {statistics.median(own):9.2f} ({min(own):9.2f})  {ratio:5.2f} ({least:5.2f})  peak {peaks[engine]:.0f} MiB")
for process in processes.values():
    process.stdin.close()
    process.wait(30)
