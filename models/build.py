"""Makes the embedded model anew, in one command; what is there already from an earlier run is kept, and training goes on from its checkpoint.

    pip install numpy safetensors
    python models/build.py --attackline target/release/attackline --data DATA --work WORK --name "attackline-embedded 0.7"

DATA holds train/ and dev/, each with commands_attack.jsonl, commands_benign.jsonl and narrative.jsonl (docs/data.md). It begins from the model inside the program, or from
--base, and takes a good hour on two cores: a stage over lines of every template, a short one with a low rate in which --favour's templates stand out, the mean of the weights,
int8, n-grams, shares, biases, threshold, pack. docs/experiments.md tells why."""
import argparse
import collections
import csv
import functools
import json
import os
import random
import re
import shutil
import subprocess

csv.field_size_limit(1 << 30)
parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
parser.add_argument("--attackline", required=True)
parser.add_argument("--data", required=True)
parser.add_argument("--work", required=True)
parser.add_argument("--name", required=True, help="what the model is called in answers")
parser.add_argument("--base", help="a model folder to begin from: the last encoder before int8, or a public one (docs/training.md)")
parser.add_argument("--seed", type=int, default=911)
parser.add_argument("--favour", default="^$", help="templates whose names this expression finds give more lines")
parser.add_argument("--hold-out", default="^$", help="templates of the specification's labels whose test lines no stage sees, of those that this expression finds")
parser.add_argument("--samples", type=int, default=800_000, help="lines to generate, of which the stages take theirs")
parser.add_argument("--lines", type=int, default=400_000, help="generated lines of the long stage, at most")
parser.add_argument("--short-lines", type=int, default=60_000, help="generated lines of the short stage")
parser.add_argument("--extra", help="a folder like DATA/train: rows of further public sources (models/sources.tsv)")
parser.add_argument("--extra-dev", help="a folder like DATA/dev: rows of such sources that no stage sees, on which shares and biases are fitted too; sentences_benign.jsonl there holds harmless sentences")
parser.add_argument("--short-only", action="store_true", help="no long stage: BASE knows the templates, and the short stage goes over its lines twice")
parser.add_argument("--least", type=int, default=7, help="a label needs so many templates, or twelve public lines")
arguments = parser.parse_args()
work = arguments.work
os.makedirs(work, exist_ok=True)
program = os.path.abspath(arguments.attackline)
kinds = ("commands_attack", "commands_benign", "narrative")
folders = {"train": os.path.join(arguments.data, "train"), "dev": os.path.join(arguments.data, "dev"), "extra": arguments.extra, "extra-dev": arguments.extra_dev}
public = {f"{side}_{kind}": os.path.abspath(os.path.join(folder, f"{kind}.jsonl")) for side, folder in folders.items() if folder for kind in kinds}
# What a row of each of the further sources' files counts.
extra = dict(zip((name for name in public if name.startswith("extra_")), ("2.5", "3", "2")))


def path(name):
    return os.path.join(work, name)


def attackline(*words):
    print("attackline", *(word if len(word) < 200 else word[:60] + "…" for word in words), flush=True)
    subprocess.run([program, *words], check=True)


def missing(name):
    return not os.path.exists(path(name))


def extra_files():
    """The further sources' rows with the labels that are chosen."""
    return [path(f"{name}.jsonl") for name in extra]


def flags(flag, files):
    return [word for file in files for word in (flag, file)]


def rows(name):
    with open(path(name), newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def lines(name):
    with open(public[name], encoding="utf-8") as file:
        return [json.loads(line) for line in file]


def write_rows(name, some):
    os.makedirs(os.path.dirname(path(name)), exist_ok=True)
    with open(path(f"{name}.partial"), "w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, fieldnames=some[0].keys())
        writer.writeheader()
        writer.writerows(some)
    os.rename(path(f"{name}.partial"), path(name))


def write_lines(name, some):
    with open(path(f"{name}.partial"), "w", encoding="utf-8") as file:
        file.writelines(json.dumps(line) + "\n" for line in some)
    os.rename(path(f"{name}.partial"), path(name))


def choose_labels(generated):
    """Benign and what has enough templates or public lines; what has too few counts for its parent."""
    templates, told = collections.defaultdict(set), collections.Counter()
    for row in generated:
        templates[row["label"]].add(row["template"])
    for line in lines("train_commands_attack") + lines("train_narrative"):
        told[line["label"]] += 1
    seen = set(templates) | set(told)
    labels = {label for label in seen if len(templates[label]) >= arguments.least or told[label] >= 12} | {"Benign"}
    parents = collections.Counter()
    for label in seen - labels:
        parents[label.split(".")[0]] += len(templates[label]) + told[label] / 3
    return labels | {label for label, count in parents.items() if count >= arguments.least}


def known(label, labels):
    return next((name for name in (label, label.split(".")[0]) if name in labels), None)


@functools.cache
def learnt():
    """The generated lines that may be learnt from: all but those that validate and those of templates that are held out."""
    return [row for row in rows("all/train.csv") + rows("all/test.csv") + rows("four/train.csv") if row["template"] not in held]


def stage(name, most, most_favoured, limit, seed):
    """Lines of every template, at most so many of each; of benign ones four for five attacks; `limit` in all."""
    favoured, random_rows = re.compile(arguments.favour), random.Random(seed)
    pool = learnt().copy()
    random_rows.shuffle(pool)
    taken, count, texts = [], collections.Counter(), set()
    for row in pool:
        label, template = known(row["label"], labels), row["template"]
        if label and row["text"] not in texts and count[template] < (most_favoured if favoured.search(template) else most):
            count[template] += 1
            texts.add(row["text"])
            taken.append({**row, "label": label})
    attacks = [row for row in taken if row["label"] != "Benign"]
    taken = attacks + [row for row in taken if row["label"] == "Benign"][: len(attacks) * 4 // 5]
    random_rows.shuffle(taken)
    # Four lines of every label first, so that the limit takes none away.
    of_label, first, rest = collections.Counter(), [], []
    for row in taken:
        of_label[row["label"]] += 1
        (first if of_label[row["label"]] <= 4 else rest).append(row)
    taken = (first + rest)[:limit]
    write_rows(f"{name}/train.csv", taken)
    validation = [{**row, "label": known(row["label"], labels)} for row in rows("all/validation.csv") if row["template"] not in held and known(row["label"], labels)]
    random_rows.shuffle(validation)
    write_rows(f"{name}/validation.csv", validation[:2000])
    print(name, len(taken), "lines of", len(count), "templates", flush=True)


def train(name, data, base, rate, head_rate, seed, benign, weights, epochs="1"):
    """`weights`: what a row of the generated lines, of the attack commands, the benign ones and the sentences counts."""
    if not missing(name):
        return
    files = [path(data), path("attack.jsonl"), benign, path("narrative.jsonl"), *extra_files()]
    weights = ",".join([weights, *extra.values()])
    checkpoint = path(f"{name}-run")
    attackline("train", "--labels", ",".join(labels), *flags("--data", files), "--data-weights", weights, "--base", path(base), "--epochs", epochs,
               "--learning-rate", rate, "--head-learning-rate", head_rate, "--token-dropout", "0.12", "--bf16-products", "--seed", str(seed), "--checkpoint-dir", checkpoint,
               "--checkpoint-every", "400", *(["--resume"] if os.path.exists(checkpoint) else []), "-o", path(name))


def mean(name, *folders):
    """The mean of the folders' weights, but of those without labels (a public base); rows of labels that only the first has are its own.
    The folder appears when it is whole."""
    if not missing(name):
        return
    from safetensors.numpy import load_file, save_file

    partial = path(f"{name}.partial")
    shutil.rmtree(partial, ignore_errors=True)
    shutil.copytree(path(folders[0]), partial)
    configs = {folder: json.load(open(path(f"{folder}/config.json"))) for folder in folders}
    names = {folder: list(config["id2label"].values()) for folder, config in configs.items() if "id2label" in config}
    weights = [load_file(path(f"{folder}/model.safetensors")) for folder in names]
    total = {key: value.copy() for key, value in weights[0].items()}
    for key, value in total.items():
        if not key.startswith("classifier."):
            total[key] = sum(some[key] for some in weights) / len(weights)
            continue
        for row, label in enumerate(names[folders[0]]):
            found = [some[key][labels.index(label)] for some, labels in zip(weights, names.values()) if label in labels]
            value[row] = sum(found) / len(found)
    save_file(total, os.path.join(partial, "model.safetensors"), metadata={"format": "pt"})
    os.rename(partial, path(name))


if missing("base"):
    attackline("model", "export", *([arguments.base] if arguments.base else []), "-o", path("base"))
if missing("all"):
    attackline("generate", "--labels", "all", "--samples", str(arguments.samples), "--seed", str(arguments.seed), "-o", path("all"))
if missing("four"):
    attackline("generate", "--samples", "16000", "--seed", str(arguments.seed + 1), "-o", path("four"))
if missing("labels.json"):
    held = sorted({row["template"] for row in rows("four/test.csv") if re.search(arguments.hold_out, row["template"])})
    found = choose_labels(rows("all/train.csv") + rows("all/test.csv") + rows("all/validation.csv"))
    json.dump({"labels": sorted(found), "held": held}, open(path("labels.json"), "w"))
chosen = json.load(open(path("labels.json")))
labels, held = chosen["labels"], set(chosen["held"])
if missing("benign_some.jsonl"):
    for name, file in (("narrative", "train_narrative"), ("attack", "train_commands_attack"), *((name, name) for name in extra)):
        write_lines(f"{name}.jsonl", [{**line, "label": known(line["label"], labels), "labels": []} for line in lines(file) if known(line["label"], labels)])
    benign = lines("train_commands_benign")
    random.Random(arguments.seed).shuffle(benign)
    write_lines("benign_some.jsonl", benign[:20_000 if arguments.short_only else 10_000])
if missing("stage/validation.csv"):
    stage("stage", 5, 8, arguments.lines, 1)
if missing("short/validation.csv"):
    stage("short", 1, 3, arguments.short_lines, 2)
if missing("grams/train.csv"):
    write_rows("grams/train.csv", learnt())
if arguments.short_only:
    train("second", "short", "base", "1.4e-4", "7e-4", arguments.seed + 3, path("benign_some.jsonl"), "1,2,1,1.5", epochs="2")
    mean("mean", "second", "base")
else:
    train("first", "stage", "base", "2.5e-4", "1e-3", arguments.seed + 2, public["train_commands_benign"], "1,1.5,1,1")
    train("second", "short", "first", "1.2e-4", "6e-4", arguments.seed + 3, path("benign_some.jsonl"), "1,3,1,2")
    mean("mean", "second", "first", "base")
# What shares and biases are fitted on, and the threshold on the first files of it.
dev = [public[f"{side}_{kind}"] for side in ("dev", "extra-dev") if folders[side] for kind in kinds]
dev_weights = ",".join(["2,1,1"] * (len(dev) // len(kinds)))
# Sentences that are no attack, which let sentences have shares of their own.
if arguments.extra_dev and os.path.exists(harmless := os.path.join(arguments.extra_dev, "sentences_benign.jsonl")):
    dev, dev_weights = [*dev, os.path.abspath(harmless)], f"{dev_weights},2"
if missing("int8"):
    attackline("model", "quantize", path("mean"), "-o", path("int8"), "--data", path("stage/validation.csv"), path("benign_some.jsonl"), path("narrative.jsonl"), "--lines", "1024")
if missing("ngrams"):
    attackline("model", "ngrams", path("int8"), *flags("--data", [path("grams"), path("attack.jsonl"), public["train_commands_benign"], path("narrative.jsonl"), *extra_files()]),
               "--data-weights", ",".join(["1", "3", "1", "2", *extra.values()]), *flags("--validation", dev), "--validation-weights", dev_weights, "--epochs", "3", "--width", "64", "-o", path("ngrams"))
if missing("adjusted"):
    attackline("model", "adjust", path("ngrams"), *flags("--data", dev), "--data-weights", dev_weights, "--penalty", "3", "-o", path("adjusted"))
# No more than one in a thousand of all harmless lines, and five of each kind and of those with the attacks' own tools.
groups = collections.defaultdict(list)
for line in open(dev[1], encoding="utf-8"):
    row = json.loads(line)
    groups["hard" if row.get("hard") else row.get("realism", "other")].append(line)
for name, lines in groups.items():
    with open(path(f"benign_{name}.jsonl"), "w", encoding="utf-8") as file:
        file.writelines(lines)
attackline("model", "calibrate", path("adjusted"), *flags("--benign", [path(f"benign_{name}.jsonl") for name in sorted(groups)]), "--attacks", dev[0],
           "--fpr", "1e-3", "--fpr-each", "5e-3")
attackline("model", "pack", path("adjusted"), "-o", path("embedded.alpack"), "--name", arguments.name, "--clobber")
