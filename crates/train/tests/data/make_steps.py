"""Ten optimiser steps of each method in PyTorch and `peft` on the engine's reference checkpoints.

    pip install torch transformers peft safetensors
    python make_steps.py                # writes steps.json and adapters/ beside itself

steps.json: the loss before each step, by checkpoint and method. adapters/NAME/before is the adapter that the LoRA run began with,
adapters/NAME/after what it ended with, both as `peft` writes them; their logits on the reference lines are in steps.json too.
"""

import json
import pathlib
import shutil

import torch
from peft import LoraConfig, get_peft_model
from safetensors.torch import load_file
from transformers import AutoModelForSequenceClassification

HERE = pathlib.Path(__file__).parent
CHECKPOINTS = HERE.parents[2] / "engine/tests/data"
NAMES = ["tiny-bert", "tiny-roberta", "tiny-deberta-v3", "tiny-deberta-v2"]
STEPS, RATE, DECAY, CLIP = 10, 2e-3, 0.01, 1.0


def load(name):
    model = AutoModelForSequenceClassification.from_pretrained(CHECKPOINTS / name, attn_implementation="eager").eval()
    for module in model.modules():
        if isinstance(module, torch.nn.Embedding):
            module.padding_idx = None
    return model


def lines(name):
    expected = load_file(CHECKPOINTS / name / "expected.safetensors")
    ids, offsets = expected["ids"], expected["offsets"].tolist()
    return [ids[a:b].unsqueeze(0) for a, b in zip(offsets, offsets[1:])], expected["labels"]


def logits(model, rows):
    return torch.cat([model(input_ids=ids, attention_mask=torch.ones_like(ids)).logits for ids in rows])


def train(model, rows, labels):
    """AdamW with a constant rate; biases and norms are not decayed."""
    trained = [(name, parameter) for name, parameter in model.named_parameters() if parameter.requires_grad]
    plain = [p for name, p in trained if p.dim() == 1]
    decayed = [p for name, p in trained if p.dim() > 1]
    optimiser = torch.optim.AdamW([{"params": decayed, "weight_decay": DECAY}, {"params": plain, "weight_decay": 0.0}], lr=RATE)
    losses = []
    for _ in range(STEPS):
        loss = torch.nn.functional.cross_entropy(logits(model, rows), labels)
        losses.append(loss.item())
        optimiser.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_([p for _, p in trained], CLIP)
        optimiser.step()
    return losses


def main():
    results = {"settings": {"steps": STEPS, "rate": RATE, "decay": DECAY, "clip": CLIP}}
    shutil.rmtree(HERE / "adapters", ignore_errors=True)
    for name in NAMES:
        rows, labels = lines(name)
        result = results[name] = {}
        result["full"] = train(load(name), rows, labels)

        model = load(name)
        for key, parameter in model.named_parameters():
            parameter.requires_grad = key.endswith(".bias") or key.startswith(("classifier", "pooler")) or ".pooler." in key
        result["bitfit"] = train(model, rows, labels)

        torch.manual_seed(11)
        suffix = "_proj" if "deberta" in name else ""
        targets = [f"query{suffix}", f"value{suffix}", "attention.output.dense", "intermediate.dense"]
        saved = ["classifier"] if "roberta" in name else ["classifier", "pooler"]
        config = LoraConfig(r=4, lora_alpha=8, lora_dropout=0.0, task_type="SEQ_CLS", target_modules=targets, modules_to_save=saved)
        model = get_peft_model(load(name), config).eval()
        model.save_pretrained(HERE / "adapters" / name / "before")
        result["lora"] = train(model, rows, labels)
        model.save_pretrained(HERE / "adapters" / name / "after")
        result["lora_logits"] = logits(model, rows).tolist()
        for file in (HERE / "adapters" / name).glob("*/README.md"):
            file.unlink()
        for file in (HERE / "adapters" / name).glob("*/adapter_config.json"):
            config = json.loads(file.read_text())
            config["base_model_name_or_path"] = name
            file.write_text(json.dumps(config, indent=1, sort_keys=True) + "\n")
        print(name, [round(result[kind][-1], 4) for kind in ("full", "bitfit", "lora")])
    (HERE / "steps.json").write_text(json.dumps(results, indent=1) + "\n")


main()
