"""How much of a model's figures is fitted to the very lines that they are measured on: shares, biases and threshold are fitted without one source of attack lines
at a time, and that source is measured.

    python checks/held_out_sources.py target/release/attackline MODEL commands_attack.jsonl commands_benign.jsonl narrative.jsonl

The rows of the first file have a `source`. The model is a quantised folder with n-grams (`attackline model ngrams`); benign lines and sentences stand on both sides."""
import argparse
import bisect
import collections
import json
import os
import subprocess
import tempfile

parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
parser.add_argument("program")
parser.add_argument("model")
parser.add_argument("attack")
parser.add_argument("benign")
parser.add_argument("narrative")
parser.add_argument("--weights", default="2,1,1", help="what a row of each file counts in the fit")
parser.add_argument("--penalty", default="3", help="how strongly biases are held at 0")
arguments = parser.parse_args()

sources = collections.defaultdict(list)
for line in open(arguments.attack, encoding="utf-8"):
    # A source is a repository; its files stand behind the colon.
    sources[json.loads(line)["source"].split(":")[0]].append(line)


def attackline(*words):
    return subprocess.run([arguments.program, *words], check=True, capture_output=True, text=True).stdout


def fitted(folder, attack):
    """The model with shares and biases fitted on these attack lines, the benign lines and the sentences."""
    files = [attack, arguments.benign, arguments.narrative]
    shared, adjusted = os.path.join(folder, "shared"), os.path.join(folder, "adjusted")
    attackline("model", "ngrams", arguments.model, *(word for file in files for word in ("--validation", file)),
               "--validation-weights", arguments.weights, "-o", shared)
    attackline("model", "adjust", shared, *(word for file in files for word in ("--data", file)),
               "--data-weights", arguments.weights, "--penalty", arguments.penalty, "-o", adjusted)
    return adjusted


def answers(model, file):
    """The answers to a file's rows beside the rows."""
    rows = [json.loads(line) for line in open(file, encoding="utf-8")]
    found = attackline("classify", "--model", model, "--from", "ndjson", "--field", "text", "-f", file, "--output-format", "ndjson", "--top", "3")
    found = [json.loads(line) for line in found.splitlines()]
    assert len(rows) == len(found), f"{len(found)} answers to {len(rows)} rows of {file}"
    return list(zip(rows, found))


def right(row, label):
    return label in (row.get("labels") or [row["label"]])


def figures(attack, benign):
    """Who is named first and among three, the attacks found at false-positive rates, the area under ROC."""
    harmless = sorted((answer["attack"] for _, answer in benign), reverse=True)
    sure = [answer["attack"] for _, answer in attack]
    rising = harmless[::-1]
    area = sum(bisect.bisect_left(rising, value) + bisect.bisect_right(rising, value) for value in sure) / 2 / len(sure) / len(rising)
    return [
        sum(right(row, answer["top"][0]["label"]) for row, answer in attack) / len(attack),
        sum(any(right(row, one["label"]) for one in answer["top"]) for row, answer in attack) / len(attack),
        *(sum(value > harmless[int(rate * len(harmless))] for value in sure) / len(sure) for rate in (0.05, 0.01, 0.001)),
        area,
    ]


def calibration_error(answered):
    bins = collections.defaultdict(list)
    for row, answer in answered:
        best = answer["top"][0]
        bins[min(int(best["score"] * 15), 14)].append((best["score"], right(row, best["label"])))
    return sum(abs(sum(score for score, _ in rows) - sum(true for _, true in rows)) for rows in bins.values()) / len(answered)


def row(name, count, values):
    first, three, five, one, tenth, area, error = values
    print(f"{name:<28} {count:>5}  first {first:.3f}  three {three:.3f}  found at 5, 1, 0.1 % {five:.3f} {one:.3f} {tenth:.3f}  ROC {area:.3f}  "
          f"calibration error of commands {error:.3f}", flush=True)


with tempfile.TemporaryDirectory() as folder:
    model = fitted(folder, arguments.attack)
    attack, benign, narrative = (answers(model, file) for file in (arguments.attack, arguments.benign, arguments.narrative))
    row("the same lines", len(attack), [*figures(attack, benign), calibration_error(attack + benign)])
    first, three = (sum(any(right(line, one["label"]) for one in answer["top"][:top]) for line, answer in narrative) / len(narrative) for top in (1, 3))
    print(f"sentences: first {first:.3f}, three {three:.3f}, calibration error {calibration_error(narrative):.3f}", flush=True)
total, errors, count = [0.0] * 6, 0.0, 0
for source, lines in sorted(sources.items()):
    with tempfile.TemporaryDirectory() as folder:
        kept, out = os.path.join(folder, "kept.jsonl"), os.path.join(folder, "out.jsonl")
        with open(kept, "w", encoding="utf-8") as file:
            file.writelines(line for other, some in sources.items() if other != source for line in some)
        with open(out, "w", encoding="utf-8") as file:
            file.writelines(lines)
        model = fitted(folder, kept)
        attack, benign = answers(model, out), answers(model, arguments.benign)
        values, error = figures(attack, benign), calibration_error(attack + benign)
        row(f"without {source}", len(lines), [*values, error])
        total = [sum + len(lines) * value for sum, value in zip(total, values)]
        errors, count = errors + len(lines) * error, count + len(lines)
row("each without itself", count, [*(value / count for value in total), errors / count])
