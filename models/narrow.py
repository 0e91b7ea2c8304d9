"""Makes a base for the embedded model that is faster at the same depth, from one that is trained already: feed-forward blocks with fewer units, and lines without [SEP].

    pip install torch transformers tokenizers safetensors
    python models/narrow.py BASE -o NARROW --units 768 --lines LINES.jsonl [LINES.jsonl ...]

A unit's worth is the variance of what it adds to the block's output over the sample lines (`text` of each JSON line): its own variance times the squares of its outgoing weights. The units
of most worth stay; the mean of those that go is added to the bias. Training has to follow. docs/experiments.md, 13, has what it costs before and after."""
import argparse
import json
import os
import random
import shutil

import torch
from safetensors.torch import load_file, save_file
from tokenizers import Tokenizer
from transformers import BertConfig, BertModel

LONGEST, BATCH = 128, 64
parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
parser.add_argument("base")
parser.add_argument("-o", "--output", required=True)
parser.add_argument("--units", type=int, required=True)
parser.add_argument("--lines", nargs="+", required=True)
parser.add_argument("--sample", type=int, default=4000)
parser.add_argument("--seed", type=int, default=3)
arguments = parser.parse_args()
shutil.copytree(arguments.base, arguments.output)


def inside(name):
    return os.path.join(arguments.output, name)


with open(inside("tokenizer.json"), encoding="utf-8") as file:
    tokenizer = json.load(file)
template = tokenizer["post_processor"]
for form in ("single", "pair"):
    template[form] = [part for part in template[form] if part.get("SpecialToken", {}).get("id") != "[SEP]"]
template["special_tokens"].pop("[SEP]", None)
with open(inside("tokenizer.json"), "w", encoding="utf-8") as file:
    json.dump(tokenizer, file, ensure_ascii=False)

weights = load_file(inside("model.safetensors"))
with open(inside("config.json"), encoding="utf-8") as file:
    config = json.load(file)
model = BertModel(BertConfig(**{key: value for key, value in config.items() if key not in ("architectures", "id2label", "label2id")}), add_pooling_layer=False)
own = {key.removeprefix("bert."): value for key, value in weights.items() if key.startswith(("bert.embeddings.", "bert.encoder."))}
model.load_state_dict(own)
model.eval()

texts = []
for path in arguments.lines:
    with open(path, encoding="utf-8") as file:
        texts += [json.loads(line)["text"] for line in file]
texts = random.Random(arguments.seed).sample(texts, min(arguments.sample, len(texts)))
tokens = Tokenizer.from_file(inside("tokenizer.json"))
encoded = sorted((tokens.encode(text).ids[:LONGEST] for text in texts), key=len)

layers = config["num_hidden_layers"]
sums, squares = ([torch.zeros(config["intermediate_size"]) for _ in range(layers)] for _ in range(2))
present, count = None, 0


def watch(layer):
    def seen(_module, _input, output):
        rows = output[present]
        sums[layer] += rows.sum(0)
        squares[layer] += (rows * rows).sum(0)

    return seen


for layer in range(layers):
    model.encoder.layer[layer].intermediate.register_forward_hook(watch(layer))
with torch.no_grad():
    for start in range(0, len(encoded), BATCH):
        batch = encoded[start : start + BATCH]
        longest = max(map(len, batch))
        mask = torch.tensor([[1] * len(line) + [0] * (longest - len(line)) for line in batch])
        present, count = mask.bool(), count + int(mask.sum())
        model(torch.tensor([line + [0] * (longest - len(line)) for line in batch]), attention_mask=mask)

for layer in range(layers):
    place = f"bert.encoder.layer.{layer}."
    up, bias, down = f"{place}intermediate.dense.weight", f"{place}intermediate.dense.bias", f"{place}output.dense.weight"
    mean = sums[layer] / count
    worth = (squares[layer] / count - mean**2) * (weights[down] ** 2).sum(0)
    order = worth.argsort(descending=True)
    kept, gone = order[: arguments.units].sort().values, order[arguments.units :]
    print(f"layer {layer}: {arguments.units} of {len(order)} units keep {float(worth[kept].sum() / worth.sum()):.3f} of the worth")
    weights[f"{place}output.dense.bias"] += weights[down][:, gone] @ mean[gone]
    weights[up], weights[bias], weights[down] = weights[up][kept].contiguous(), weights[bias][kept].contiguous(), weights[down][:, kept].contiguous()
save_file(weights, inside("model.safetensors"), metadata={"format": "pt"})
config["intermediate_size"] = arguments.units
with open(inside("config.json"), "w", encoding="utf-8") as file:
    json.dump(config, file, indent=1)
