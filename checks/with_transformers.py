"""The Python side of big_shapes.py, each command a process of its own so that its memory can be measured.

    with_transformers.py make SHAPE DIR                     DIR/safetensors/, DIR/pickle/ and DIR/lines.json
    with_transformers.py answer FOLDER LINES OUT [CLASS]    ids, logits and times as JSON; CLASS: a tokenizer's class

Needs torch, transformers, tokenizers, safetensors, sentencepiece and protobuf.
"""

import io
import json
import pathlib
import random
import sys
import time

import torch
import transformers

THREADS = 2
LABELS = ["Benign", "T1003.002", "T1087.001", "T1049"]
LENGTHS = [3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 22, 24, 26, 28, 30, 32, 33, 36, 40, 44, 48, 52, 56, 60, 63, 64, 65, 80, 96, 112, 127, 128]

# What the public folders' config.json say.
SHAPES = {
    "deberta-v3-base": ("deberta-v2", {
        "attention_probs_dropout_prob": 0.1, "hidden_act": "gelu", "hidden_dropout_prob": 0.1, "hidden_size": 768,
        "initializer_range": 0.02, "intermediate_size": 3072, "max_position_embeddings": 512, "relative_attention": True,
        "position_buckets": 256, "norm_rel_ebd": "layer_norm", "share_att_key": True, "pos_att_type": "p2c|c2p",
        "layer_norm_eps": 1e-7, "max_relative_positions": -1, "position_biased_input": False, "num_attention_heads": 12,
        "num_hidden_layers": 12, "type_vocab_size": 0, "vocab_size": 128100,
    }),
    "roberta-base": ("roberta", {
        "attention_probs_dropout_prob": 0.1, "bos_token_id": 0, "eos_token_id": 2, "hidden_act": "gelu",
        "hidden_dropout_prob": 0.1, "hidden_size": 768, "initializer_range": 0.02, "intermediate_size": 3072,
        "layer_norm_eps": 1e-5, "max_position_embeddings": 514, "num_attention_heads": 12, "num_hidden_layers": 12,
        "pad_token_id": 1, "type_vocab_size": 1, "vocab_size": 50265,
    }),
    "all-MiniLM-L6-v2": ("bert", {
        "attention_probs_dropout_prob": 0.1, "gradient_checkpointing": False, "hidden_act": "gelu", "hidden_dropout_prob": 0.1,
        "hidden_size": 384, "initializer_range": 0.02, "intermediate_size": 1536, "layer_norm_eps": 1e-12,
        "max_position_embeddings": 512, "num_attention_heads": 12, "num_hidden_layers": 6, "pad_token_id": 0,
        "position_embedding_type": "absolute", "type_vocab_size": 2, "use_cache": True, "vocab_size": 30522,
    }),
}

WORDS = (
    "status report list show copy backup archive service user group printer driver update install remove network route disk "
    "volume share folder session window event log task schedule daily weekly verbose quiet recursive force output input format "
    "table json text café naïve Größe файл 文件 システム"
).split()


def random_text(dice, words):
    """Something between a command line and a sentence."""
    parts = []
    for _ in range(words):
        word = dice.choice(WORDS)
        shape = dice.randrange(9)
        parts.append([
            word, word, word.capitalize(), f"--{word}", f"/{word[:1]}", f"C:\\{word}\\{dice.choice(WORDS)}.txt",
            f"/var/{word}/{dice.randrange(1000)}", f"{word}={dice.randrange(100000)}", f"'{word}'",
        ][shape])
    return " ".join(parts)


def save_words(kind, folder):
    """Trains a tokenizer and writes it as the public folders of that kind hold it."""
    dice = random.Random(5)
    text = [random_text(dice, 12) for _ in range(4000)]
    settings = {"do_lower_case": kind == "bert", "model_max_length": 512}
    if kind == "deberta-v2":
        import sentencepiece

        written = io.BytesIO()
        sentencepiece.SentencePieceTrainer.train(
            sentence_iterator=iter(text), model_writer=written, vocab_size=600, model_type="unigram", minloglevel=2,
            pad_id=0, bos_id=1, eos_id=2, unk_id=3, pad_piece="[PAD]", bos_piece="[CLS]", eos_piece="[SEP]", unk_piece="[UNK]",
        )
        (folder / "spm.model").write_bytes(written.getvalue())
        settings["vocab_type"] = "spm"
    elif kind == "roberta":
        from tokenizers import ByteLevelBPETokenizer

        made = ByteLevelBPETokenizer()
        made.train_from_iterator(text, vocab_size=800, special_tokens=["<s>", "<pad>", "</s>", "<unk>", "<mask>"], show_progress=False)
        made.save_model(str(folder))
    else:
        from tokenizers import BertWordPieceTokenizer

        made = BertWordPieceTokenizer()
        made.train_from_iterator(text, vocab_size=600, show_progress=False)
        made.save_model(str(folder))
    (folder / "tokenizer_config.json").write_text(json.dumps(settings, indent=2) + "\n")


def draw_lines(words):
    """One line of each of LENGTHS tokens, special ones included, or a little less."""
    dice = random.Random(6)
    lines = []
    for length in LENGTHS:
        tries = (random_text(dice, count) for _ in range(30) for count in range(1, length))
        best = max(((len(words(text).input_ids), text) for text in tries), key=lambda one: one[0] if one[0] <= length else -1)
        lines.append(best[1])
    return lines


def random_model(kind, settings):
    torch.manual_seed(7)
    config = transformers.AutoConfig.for_model(kind, **settings)
    config.id2label = dict(enumerate(LABELS))
    config.label2id = {name: index for index, name in enumerate(LABELS)}
    model = transformers.AutoModelForSequenceClassification.from_config(config).eval()
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if parameter.dim() == 1:  # biases and norms start at 0 and 1, which would hide mistakes
                torch.nn.init.normal_(parameter, mean=1.0 if name.endswith("LayerNorm.weight") else 0.0, std=0.1)
            elif "classifier" in name or "pooler" in name:
                parameter.mul_(4)  # so that lines differ in their labels
            elif "layer" in name:
                parameter.mul_(2)
            # DeBERTa's public weights are stored in f16: let both files hold the same numbers.
            parameter.copy_(parameter.half().float())
    return model


def make(shape, folder):
    kind, settings = SHAPES[shape]
    stored, pickled = folder / "safetensors", folder / "pickle"
    for path in (stored, pickled):
        path.mkdir(parents=True, exist_ok=True)
    model = random_model(kind, settings)
    model.save_pretrained(stored)

    # The pickle as it was published: vocabulary files, a buffer, f16 for DeBERTa, the settings as they were written.
    save_words(kind, pickled)
    weights = dict(model.state_dict())
    if kind == "deberta-v2":
        weights = {name: value.half() for name, value in weights.items()}
    positions = torch.arange(settings["max_position_embeddings"]).expand((1, -1))
    weights[f"{model.base_model_prefix}.embeddings.position_ids"] = positions
    torch.save(weights, pickled / "pytorch_model.bin")
    written = json.loads((stored / "config.json").read_text())
    published = {key: written[key] for key in ("architectures", "model_type", "id2label", "label2id")} | settings
    (pickled / "config.json").write_text(json.dumps(published, indent=2) + "\n")

    words = transformers.AutoTokenizer.from_pretrained(pickled)
    words.save_pretrained(stored)
    (folder / "lines.json").write_text(json.dumps(draw_lines(words)))


def answer(folder, lines, tokenizer_class="AutoTokenizer"):
    started = time.perf_counter()
    words = getattr(transformers, tokenizer_class).from_pretrained(folder)
    model, report = transformers.AutoModelForSequenceClassification.from_pretrained(
        folder, dtype=torch.float32, output_loading_info=True
    )
    model.eval()
    loaded = time.perf_counter()
    ids = [words(line).input_ids for line in lines]
    with torch.inference_mode():
        logits = [model(torch.tensor([row])).logits[0].tolist() for row in ids]
    return {
        "load_seconds": loaded - started, "answer_seconds": time.perf_counter() - loaded, "ids": ids, "logits": logits,
        "parameters": sum(value.numel() for value in model.parameters()),
        "missing": sorted(report["missing_keys"]), "unexpected": sorted(report["unexpected_keys"]),
    }


def main(command, *arguments):
    transformers.utils.logging.set_verbosity_error()
    transformers.utils.logging.disable_progress_bar()
    torch.set_num_threads(THREADS)
    if command == "make":
        make(arguments[0], pathlib.Path(arguments[1]))
    elif command == "answer":
        folder, lines, out, *tokenizer_class = arguments
        pathlib.Path(out).write_text(json.dumps(answer(folder, json.loads(pathlib.Path(lines).read_text()), *tokenizer_class)))
    else:
        sys.exit(f"unknown command {command}")


main(*sys.argv[1:])
