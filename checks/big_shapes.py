"""The published shapes, with random weights: attackline against Python `transformers`, with time and memory.

    python checks/big_shapes.py --attackline target/release/attackline --work /tmp/shapes [--shape NAME]...

Makes each shape twice below --work (safetensors with tokenizer.json; pytorch_model.bin with the vocabulary files that the
public folders hold), classifies the same lines with both programs, exports the folder and loads the export again with
`transformers`. Prints a table in Markdown; ends with status 1 if something differs more than it may.

The folders are made once and used again. About 3 GB of disk and 3 GB of memory. This process imports nothing big: on
Linux the peak memory of a child counts what its parent held when it started.
"""

import argparse
import json
import math
import os
import pathlib
import shutil
import subprocess
import sys
import time

COLUMNS = [
    "shape", "folder", "f32 weights", "transformers, one line", "its peak", "attackline, one line", "all lines", "peak", "peak / weights",
    "largest difference", "other labels", "export", "well",
]
SHAPES = ["deberta-v3-base", "roberta-base", "all-MiniLM-L6-v2"]
HELPER = pathlib.Path(__file__).with_name("with_transformers.py")
# `classify` writes probabilities with four decimals.
TOLERANCE = 0.5e-4 + 1e-5
# Between two runs of `transformers`: its sums depend on where in memory the weights come to lie.
NOISE = 1e-5
# Times the weights, or the weights and what the program itself takes.
MEMORY, PROGRAM = 1.2, 40


class Ran:
    """A program that ran to its end: its output, wall time and peak resident memory."""

    def __init__(self, arguments, **settings):
        started = time.perf_counter()
        child = subprocess.Popen([str(part) for part in arguments], stdout=subprocess.PIPE, **settings)
        self.output = child.stdout.read()
        _, status, usage = os.wait4(child.pid, 0)
        child.returncode = os.waitstatus_to_exitcode(status)
        self.seconds = time.perf_counter() - started
        self.megabytes = usage.ru_maxrss * 1024 / 1e6
        if child.returncode:  # what it said is on standard error above the table
            name = pathlib.Path(arguments[1 if arguments[0] == sys.executable else 0]).name
            raise RuntimeError(f"{name} ended with status {child.returncode}")


def transformers_answers(folder, lines, out, *tokenizer_class):
    ran = Ran([sys.executable, HELPER, "answer", folder, lines, out, *tokenizer_class])
    return ran, json.loads(out.read_text())


def differences(got, expected):
    """How many lines have other tokens, and the largest difference of a logit."""
    others = sum(a != b for a, b in zip(got["ids"], expected["ids"], strict=True))
    return others, max(abs(a - b) for x, y in zip(got["logits"], expected["logits"], strict=True) for a, b in zip(x, y, strict=True))


def softmax(logits):
    weights = [math.exp(logit - max(logits)) for logit in logits]
    return [weight / sum(weights) for weight in weights]


def classify(arguments, folder, rows):
    return Ran([
        arguments.attackline, "classify", "--model", folder, "--scores", "--output-format", "ndjson", "--threads", 2,
        "--from", "ndjson", "-f", rows,
    ])


def compare_scores(ran, expected, labels):
    """The largest difference of a probability, and of how many lines the label is another one."""
    findings = [json.loads(line) for line in ran.output.splitlines()]
    if len(findings) != len(expected):
        raise RuntimeError(f"{len(findings)} findings for {len(expected)} lines")
    worst, others = 0.0, 0
    for finding, logits in zip(findings, expected):
        probabilities = dict(zip(labels, softmax(logits)))
        worst = max([worst] + [abs(finding["scores"][label] - value) for label, value in probabilities.items()])
        first, second = sorted(probabilities.values(), reverse=True)[:2]
        best = max(probabilities, key=probabilities.get)
        others += finding["label"] != best and first - second > 2 * TOLERANCE
        if finding["truncated"]:
            raise RuntimeError(f"line {finding['line']} was cut")
    return worst, others


def check_export(arguments, shape, source, work, expected):
    """What `transformers` makes of the exported folder: logits and ids as before, with nothing missing or left over."""
    out = work / "exported"
    shutil.rmtree(out, ignore_errors=True)
    Ran([arguments.attackline, "model", "export", "-o", out, source])
    classes = ["AutoTokenizer"] + (["DebertaV2TokenizerFast"] if shape.startswith("deberta") else [])
    faults = []
    for tokenizer_class in classes:
        _, got = transformers_answers(out, work / "lines.json", work / "exported.json", tokenizer_class)
        others, worst = differences(got, expected)
        said = f"{tokenizer_class}: {others} lines with other tokens, logits differ by {worst:.1e}"
        print(f"    {said}", file=sys.stderr)
        if others or worst > NOISE or got["missing"] or got["unexpected"]:
            faults.append(f"{said}, missing {got['missing']}, unexpected {got['unexpected']}")
    shutil.rmtree(out)
    return "same ids and logits" if not faults else "; ".join(faults), not faults


def check(arguments, shape):
    """One row of the table for each of the two folders, and whether all is well."""
    work = arguments.work / shape
    if not (work / "lines.json").exists():
        print(f"making {shape}", file=sys.stderr)
        Ran([sys.executable, HELPER, "make", shape, work])
    lines = json.loads((work / "lines.json").read_text())
    rows, one, first = work / "lines.ndjson", work / "one.ndjson", work / "one.json"
    rows.write_text("".join(json.dumps({"text": line}) + "\n" for line in lines))
    one.write_text(json.dumps({"text": lines[0]}) + "\n")
    first.write_text(json.dumps(lines[:1]))

    labels = list(json.loads((work / "safetensors/config.json").read_text())["id2label"].values())
    table, well, expected = [], True, None
    for kind in ("safetensors", "pickle"):
        folder = work / kind
        print(f"  {shape}, {kind}", file=sys.stderr)
        python, answers = transformers_answers(folder, work / "lines.json", work / "answers.json")
        python_one, _ = transformers_answers(folder, first, work / "one-answer.json")
        if expected:
            others, worst = differences(answers, expected)
            if others or worst > NOISE:
                raise RuntimeError(f"the two folders differ for transformers: {others} lines, logits by {worst:.1e}")
        expected = answers
        if answers["missing"]:
            raise RuntimeError(f"transformers misses {answers['missing']}")
        row = {
            "shape": shape, "folder": kind, "f32 weights": f"{answers['parameters'] * 4 / 1e6:.0f} MB",
            "transformers, one line": f"{python_one.seconds:.1f} s ({answers['load_seconds']:.1f} s loading)",
            "its peak": f"{python_one.megabytes:.0f} MB",
        }
        try:
            all_lines, one_line = classify(arguments, folder, rows), classify(arguments, folder, one)
            worst, others = compare_scores(all_lines, answers["logits"], labels)
            ratio = max(all_lines.megabytes, one_line.megabytes) / (answers["parameters"] * 4 / 1e6)
            exported, exports = check_export(arguments, shape, folder, work, answers)
            lean = ratio <= MEMORY or max(all_lines.megabytes, one_line.megabytes) <= answers["parameters"] * 4 / 1e6 + PROGRAM
            sound = worst <= TOLERANCE and not others and lean and exports
            row |= {
                "attackline, one line": f"{one_line.seconds:.2f} s", "all lines": f"{all_lines.seconds:.2f} s",
                "peak": f"{max(all_lines.megabytes, one_line.megabytes):.0f} MB",
                "peak / weights": f"{ratio:.2f}", "largest difference": f"{worst:.1e}", "other labels": str(others),
                "export": exported, "well": "yes" if sound else "NO",
            }
            well &= sound
        except RuntimeError as error:
            row |= {"export": str(error), "well": "NO"}
            well = False
        table.append(row)
    return table, well


def print_table(table):
    print(f"| {' | '.join(COLUMNS)} |")
    print(f"|{' --- |' * len(COLUMNS)}")
    for row in table:
        print(f"| {' | '.join(row.get(column, '') for column in COLUMNS)} |")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--attackline", type=pathlib.Path, required=True, help="the binary, built for release")
    parser.add_argument("--work", type=pathlib.Path, required=True, help="folder for what is made")
    parser.add_argument("--shape", action="append", choices=SHAPES, help="repeatable [default: all]")
    arguments = parser.parse_args()
    arguments.attackline, arguments.work = arguments.attackline.resolve(), arguments.work.resolve()
    table, well = [], True
    for shape in arguments.shape or SHAPES:
        rows, sound = check(arguments, shape)
        table, well = table + rows, well and sound
    print_table(table)
    sys.exit(0 if well else 1)


main()
