"""How much of a model's figures is fitted to the very lines that they are measured on: shares and biases are fitted without one source of attack lines
at a time, and that source is measured (`attackline evaluate`).

    python checks/held_out_sources.py target/release/attackline MODEL commands_attack.jsonl commands_benign.jsonl narrative.jsonl

The rows of the first file have a `source`. The model is a quantised folder with n-grams (`attackline model ngrams`); benign lines and sentences stand on both sides."""
import argparse
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
parser.add_argument("--also", nargs=3, default=[], metavar=("ATTACK", "BENIGN", "NARRATIVE"), help="further rows that every fit sees and none of which is measured")
parser.add_argument("--harmless-sentences", nargs="*", default=[], metavar="FILE", help="sentences that are no attack, which every fit sees")
parser.add_argument("--harmless-weight", default="2", help="what a row of them counts")
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
    files = [attack, arguments.benign, arguments.narrative, *arguments.also]
    weights = ",".join([arguments.weights] * (len(files) // 3) + [arguments.harmless_weight] * len(arguments.harmless_sentences))
    files += arguments.harmless_sentences
    shared, adjusted = os.path.join(folder, "shared"), os.path.join(folder, "adjusted")
    attackline("model", "ngrams", arguments.model, *(word for file in files for word in ("--validation", file)),
               "--validation-weights", weights, "-o", shared)
    attackline("model", "adjust", shared, *(word for file in files for word in ("--data", file)),
               "--data-weights", weights, "--penalty", arguments.penalty, "-o", adjusted)
    return adjusted


def figures(model, *files):
    """What `attackline evaluate` says: who is named first and among three, the attacks found at false-positive rates, the area under ROC, the calibration error."""
    found = json.loads(attackline("evaluate", "--model", model, "--data", *files, "--resamples", "1", "--json"))
    share = {name: of["hits"] / of["total"] for name, of in found["ranking"].items() if of["total"]}
    reached = {point["wanted_rate"]: (point["reached"] or {}).get("true_positive_rate", 0.0) for point in found["operating_points"]}
    area = found["curve"]["area_under_roc"] if found["curve"] else 0.0
    return [share["attack_top_1"], share["attack_top_3"], *(reached.get(rate, 0.0) for rate in (0.05, 0.01, 0.001)), area, found["calibration"]["expected_calibration_error"]]


def report(name, count, values):
    first, three, five, one, tenth, area, error = values
    print(f"{name:<28} {count:>5}  first {first:.3f}  three {three:.3f}  found at 5, 1, 0.1 % {five:.3f} {one:.3f} {tenth:.3f}  ROC {area:.3f}  "
          f"calibration error {error:.3f}", flush=True)


count = sum(map(len, sources.values()))
with tempfile.TemporaryDirectory() as folder:
    model = fitted(folder, arguments.attack)
    report("the same lines", count, figures(model, arguments.attack, arguments.benign))
    first, three, *_, error = figures(model, arguments.narrative)
    print(f"sentences: first {first:.3f}, three {three:.3f}, calibration error {error:.3f}", flush=True)
total = [0.0] * 7
for source, lines in sorted(sources.items()):
    with tempfile.TemporaryDirectory() as folder:
        kept, out = os.path.join(folder, "kept.jsonl"), os.path.join(folder, "out.jsonl")
        with open(kept, "w", encoding="utf-8") as file:
            file.writelines(line for other, some in sources.items() if other != source for line in some)
        with open(out, "w", encoding="utf-8") as file:
            file.writelines(lines)
        values = figures(fitted(folder, kept), out, arguments.benign)
        report(f"without {source}", len(lines), values)
        total = [so_far + len(lines) * value / count for so_far, value in zip(total, values)]
report("each without itself", count, total)
