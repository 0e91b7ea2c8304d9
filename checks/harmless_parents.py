"""How many harmless lines are reported below their own parents, below none, and below other harmless lines that look alarming, such as administrators' scripts.

    python checks/harmless_parents.py target/release/attackline MODEL children.jsonl parents.jsonl

Children are rows of the first file that have a `parent` and are Benign; parents are the single-line texts of the second. Each child stands below four of them."""
import argparse
import json
import random
import subprocess

parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
parser.add_argument("program")
parser.add_argument("model")
parser.add_argument("children")
parser.add_argument("parents")
parser.add_argument("--seed", type=int, default=3)
arguments = parser.parse_args()


def rows(path):
    with open(path, encoding="utf-8") as file:
        return [row for row in map(json.loads, file) if row["label"] == "Benign"]


def report(name, lines):
    given = "".join(json.dumps(line) + "\n" for line in lines)
    command = [arguments.program, "classify", "--model", arguments.model, "--from", "ndjson", "--output-format", "ndjson", "-f", "-"]
    answers = subprocess.run(command, input=given, check=True, capture_output=True, text=True).stdout.splitlines()
    found = sum(answer["label"] != "Benign" and not answer["abstained"] for answer in map(json.loads, answers))
    print(f"{name:<24} {found:>5} of {len(lines)} reported ({100 * found / len(lines):.2f} %)", flush=True)


children = [row for row in rows(arguments.children) if row.get("parent")]
parents = [row["text"] for row in rows(arguments.parents) if "\n" not in row["text"]]
drawn = random.Random(arguments.seed)
report("their own parents", [{"text": row["text"], "parent": row["parent"]} for row in children])
report("no parents", [{"text": row["text"]} for row in children])
report("other harmless parents", [{"text": row["text"], "parent": drawn.choice(parents)} for row in children for _ in range(4)])
