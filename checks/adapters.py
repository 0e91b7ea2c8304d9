"""LoRA adapters between attackline and `peft`, both ways.

    python checks/adapters.py --attackline target/release/attackline --work DIR

Trains a small adapter of each architecture's reference checkpoint (crates/engine/tests/data) with `train --method lora`, once merged and
once not, loads the adapter in `peft`, and compares its logits with those of the merged folder in `transformers`; then `model merge`
puts the adapter into the base, which must give the merged folder's logits again.
"""

import argparse
import csv
import json
import pathlib
import shutil
import subprocess

import torch
from peft import PeftModel
from transformers import AutoModelForSequenceClassification, PreTrainedTokenizerFast

CHECKPOINTS = pathlib.Path(__file__).parents[1] / "crates/engine/tests/data"
LINES = [("ipconfig /all", "Benign"), ("reg save hklm sam", "T1003.002"), ("net user", "T1087.001"), ("netstat -ano", "T1049")]


def logits(model, words):
    with torch.no_grad():
        return torch.cat([model(**words(text, return_tensors="pt", return_token_type_ids=False, truncation=False, padding=False)).logits for text, _ in LINES])


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--attackline", required=True)
    parser.add_argument("--work", required=True, type=pathlib.Path)
    args = parser.parse_args()
    shutil.rmtree(args.work, ignore_errors=True)
    args.work.mkdir(parents=True)
    data = args.work / "lines.csv"
    with open(data, "w", newline="") as file:
        csv.writer(file).writerows([("text", "label")] + [(f"{text} {n}", label) for n in range(12) for text, label in LINES])
    labels = ",".join(label for _, label in LINES)
    print("| checkpoint | targets | adapter in peft against merged | merged later against merged |\n| --- | --- | --- | --- |")
    for name in ["tiny-bert", "tiny-roberta", "tiny-deberta-v3", "tiny-deberta-v2"]:
        for targets in ["query,value", "all", "down"]:
            base, out = CHECKPOINTS / name, args.work / f"{name}-{targets}"
            common = [args.attackline, "train", "--data", data, "--base", base, "--method", "lora", "--lora-targets", targets, "--labels", labels,
                      "--lora-rank", "4", "--learning-rate", "5e-3", "--epochs", "3", "--max-length", "60", "--threads", "1"]
            subprocess.run([*common, "-o", f"{out}-merged"], check=True, capture_output=True)
            subprocess.run([*common, "--no-merge", "-o", f"{out}-adapter"], check=True, capture_output=True)
            subprocess.run([args.attackline, "model", "merge", base, f"{out}-adapter", "-o", f"{out}-later"], check=True, capture_output=True)
            load = lambda folder, **more: AutoModelForSequenceClassification.from_pretrained(folder, attn_implementation="eager", **more).eval()
            words = PreTrainedTokenizerFast(tokenizer_file=f"{out}-merged/tokenizer.json")
            words.backend_tokenizer.no_padding()
            words.backend_tokenizer.no_truncation()
            merged = logits(load(f"{out}-merged"), words)
            names = json.loads((pathlib.Path(f"{out}-adapter") / "config.json").read_text())["id2label"]
            adapted = PeftModel.from_pretrained(load(base, num_labels=len(names), ignore_mismatched_sizes=True), f"{out}-adapter").eval()
            first = (logits(adapted, words) - merged).abs().max().item()
            later = (logits(load(f"{out}-later"), words) - merged).abs().max().item()
            print(f"| {name} | {targets} | {first:.1e} | {later:.1e} |", flush=True)
            assert first < 1e-5 and later < 1e-6


main()
