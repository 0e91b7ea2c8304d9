"""Training steps beside torch and `peft`: interleaved, time and peak memory.

    python checks/big_shapes.py ...     # makes the shapes below DIR
    cargo build --release -p attackline-train --example step_speed
    python checks/training_speed.py --step-speed target/release/examples/step_speed --shapes DIR [--threads 2] [--rounds 2] [--case NAME]... [--way WORDS]...

LoRA of rank 8 on all products of deberta-v3-base's shape, BitFit on roberta-base's, both in f32 with dropout; 16 lines of 32 and of 128
tokens, and ragged lines (log-normal, median 24, 95th percentile 70, 4 to 128 tokens) as they arrive, which torch pads and attackline packs.
"""

import argparse
import json
import math
import pathlib
import random
import statistics
import subprocess
import sys

LINES, RAGGED_BATCHES = 16, 8
CASES = {
    "LoRA 16x32": ("deberta-v3-base", "lora", "32", 3),
    "LoRA 16x128": ("deberta-v3-base", "lora", "128", 2),
    "LoRA ragged pass": ("deberta-v3-base", "lora", "ragged", RAGGED_BATCHES),
    "BitFit 16x32": ("roberta-base", "bitfit", "32", 3),
    "BitFit 16x128": ("roberta-base", "bitfit", "128", 2),
}


def ragged_lengths():
    dice = random.Random(20260101)
    sigma = math.log(70 / 24) / 1.6448536
    return [max(4, min(128, round(math.exp(dice.gauss(math.log(24), sigma))))) for _ in range(LINES * (RAGGED_BATCHES + 1))]


def torch_steps(folder, method, length, steps, threads):
    """Runs in a process of its own: milliseconds of each step but the first, and the peak memory."""
    import resource
    import time

    import torch
    from transformers import AutoModelForSequenceClassification

    torch.set_num_threads(threads)
    torch.manual_seed(7)
    model = AutoModelForSequenceClassification.from_pretrained(folder).train()
    if method == "lora":
        from peft import LoraConfig, get_peft_model

        targets = ["query_proj", "key_proj", "value_proj", "attention.output.dense", "intermediate.dense", "output.dense"]
        model = get_peft_model(model, LoraConfig(r=8, lora_alpha=16, task_type="SEQ_CLS", target_modules=targets, modules_to_save=["classifier", "pooler"]))
    else:
        for name, parameter in model.named_parameters():
            parameter.requires_grad = name.endswith(".bias") or name.startswith("classifier")
    optimiser = torch.optim.AdamW([p for p in model.parameters() if p.requires_grad], lr=1e-4)
    lengths = ragged_lengths() if length == "ragged" else [int(length)] * (LINES * (steps + 1))
    times = []
    for step in range(steps + 1):
        own = lengths[step * LINES : (step + 1) * LINES]
        mask = torch.tensor([[1] * n + [0] * (max(own) - n) for n in own])
        ids = torch.randint(5, 500, mask.shape)
        start = time.perf_counter()
        loss = model(input_ids=ids, attention_mask=mask, labels=torch.arange(LINES) % 4).loss
        loss.backward()
        optimiser.step()
        optimiser.zero_grad(set_to_none=True)
        times.append((time.perf_counter() - start) * 1e3)
    print(json.dumps({"step_ms": times[1:], "peak_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e6}))


def run(command):
    done = subprocess.run([str(part) for part in command], capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError(done.stderr[-2000:])
    return json.loads(done.stdout.strip().splitlines()[-1])


def main():
    if sys.argv[1:2] == ["torch"]:
        folder, method, length, steps, threads = sys.argv[2:]
        return torch_steps(folder, method, length, int(steps), int(threads))
    parser = argparse.ArgumentParser()
    parser.add_argument("--step-speed", required=True, type=pathlib.Path)
    parser.add_argument("--shapes", required=True, type=pathlib.Path)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--way", action="append", metavar="WORDS", help="ways to run attackline: '', 'bf16', 'recompute', 'bf16 recompute'")
    parser.add_argument("--case", action="append", choices=list(CASES))
    args = parser.parse_args()
    lengths = args.shapes / "ragged.json"
    lengths.write_text(json.dumps(ragged_lengths()))
    print(f"| case, {args.threads} threads | torch + peft | attackline | times as fast | torch's peak | attackline's peak | share |\n| --- | --- | --- | --- | --- | --- | --- |")
    ways = [tuple(way.split()) for way in args.way or [""]]
    for case in args.case or CASES:
        shape, method, length, steps = CASES[case]
        folder = args.shapes / shape / "safetensors"
        own_length = f"ragged:{lengths}" if length == "ragged" else length
        theirs, ours = [], {way: [] for way in ways}
        for _ in range(args.rounds):
            for way in ways:
                ours[way].append(run([args.step_speed, folder, method, LINES, own_length, steps, args.threads, *way]))
            theirs.append(run([sys.executable, __file__, "torch", folder, method, length, steps, args.threads]))
        # A ragged pass is the sum of its steps; otherwise the median step.
        total = sum if length == "ragged" else statistics.median
        time = lambda runs: statistics.median(total(one["step_ms"]) for one in runs)
        memory = lambda runs: max(one["peak_mb"] for one in runs)
        for way in ways:
            name, own = ", ".join([case, *way]), ours[way]
            print(f"| {name} | {time(theirs):.0f} ms | {time(own):.0f} ms | {time(theirs) / time(own):.2f} | {memory(theirs):.0f} MB | {memory(own):.0f} MB | "
                  f"{memory(own) / memory(theirs):.2f} |", flush=True)


main()
