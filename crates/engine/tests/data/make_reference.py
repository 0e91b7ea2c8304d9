"""Makes the small checkpoints of these tests and what Python `transformers` computes with them.

    pip install torch transformers tokenizers safetensors
    python make_reference.py            # writes tiny-*/ beside itself

Weights are random from a fixed seed; the tokenizer is trained on the lines below. Each folder gets

    expected.json         the lines, their tokens and their logits
    expected.safetensors  every line run alone, without padding, computed in f64: `ids`, `offsets`, `labels`; the activations of each
                          step, packed (the names are those of `attackline_model::Step`); the mean cross entropy and its gradients
"""

import json
import pathlib

import torch
from safetensors.torch import save_file
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors, trainers
from transformers import (
    BertConfig,
    BertForSequenceClassification,
    DebertaV2Config,
    DebertaV2ForSequenceClassification,
    RobertaConfig,
    RobertaForSequenceClassification,
)

HERE = pathlib.Path(__file__).parent
LABELS = ["Benign", "T1003.002", "T1087.001", "T1049"]
LINES = [
    "ipconfig /all",
    "a",
    "C:\\Windows\\System32\\svchost.exe -k netsvcs -p -s Schedule",
    "tar -czf /backup/www.tar.gz /var/www && echo done",
    "Get-Service | Where-Object {$_.Status -eq 'Running'} | Sort-Object Name",
    "Übergrößenträger naïve café — 漢字 \u202e rtl \u200b zero 😀",
    "the user opened a spreadsheet and printed two copies of the quarterly report",
    "find . -name '*.log' -mtime +7 -print0 | xargs -0 gzip -9 2>/dev/null",
]
NAMES = dict(id2label=dict(enumerate(LABELS)), label2id={name: index for index, name in enumerate(LABELS)}, num_attention_heads=4)
BERT = dict(NAMES, hidden_size=48, num_hidden_layers=3, intermediate_size=96, initializer_range=0.2)
ROBERTA = dict(NAMES, hidden_size=32, num_hidden_layers=2, intermediate_size=64, initializer_range=0.2)
DEBERTA = dict(
    NAMES, hidden_size=32, num_hidden_layers=2, intermediate_size=64, initializer_range=0.2, hidden_act="gelu", pooler_hidden_act="gelu",
    pooler_dropout=0, pooler_hidden_size=32, layer_norm_eps=1e-7)


def tokenizer(roberta=False):
    """The trainer breaks ties at random, so its vocabulary is taken from tiny-bert/ where that exists: the folders stay the same."""
    made = Tokenizer(models.WordPiece(unk_token="[UNK]", max_input_chars_per_word=100))
    made.normalizer = normalizers.BertNormalizer(lowercase=True)
    made.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    if (HERE / "tiny-bert/tokenizer.json").exists():
        vocabulary = json.loads((HERE / "tiny-bert/tokenizer.json").read_text())["model"]["vocab"]
    else:
        made.train_from_iterator(LINES, trainers.WordPieceTrainer(vocab_size=220, special_tokens=special))
        vocabulary = made.get_vocab()
    if roberta:
        vocabulary = {piece: id for piece, id in vocabulary.items() if piece not in special}
        special = ["<s>", "<pad>", "</s>", "[UNK]", "<mask>"]
        vocabulary.update({piece: id for id, piece in enumerate(special)})
    made.model = models.WordPiece(vocabulary, unk_token="[UNK]", max_input_chars_per_word=100)
    made.add_special_tokens(special)
    made.post_processor = processors.RobertaProcessing(("</s>", 2), ("<s>", 0)) if roberta else processors.BertProcessing(("[SEP]", 3), ("[CLS]", 2))
    made.enable_padding()  # on purpose: a reader must override it
    made.enable_truncation(8)
    return made


def checkpoints(vocabulary):
    """Name, class, configuration, and the longest line in tokens."""
    yield "tiny-bert", BertForSequenceClassification, BertConfig(vocab_size=vocabulary, max_position_embeddings=96, **BERT), 96
    yield "tiny-roberta", RobertaForSequenceClassification, RobertaConfig(
        vocab_size=vocabulary, max_position_embeddings=66, type_vocab_size=1, pad_token_id=1, bos_token_id=0, eos_token_id=2, layer_norm_eps=1e-5,
        **ROBERTA), 64
    # microsoft/deberta-v3-base, smaller: shared projections, log buckets that lines reach beyond.
    yield "tiny-deberta-v3", DebertaV2ForSequenceClassification, DebertaV2Config(
        vocab_size=vocabulary, max_position_embeddings=64, relative_attention=True, position_buckets=8, max_relative_positions=-1,
        norm_rel_ebd="layer_norm", share_att_key=True, pos_att_type="p2c|c2p", position_biased_input=False, type_vocab_size=0, **DEBERTA), 64
    # microsoft/deberta-v2-xlarge's convolution and projections of their own, narrower embeddings, no buckets.
    yield "tiny-deberta-v2", DebertaV2ForSequenceClassification, DebertaV2Config(
        vocab_size=vocabulary, max_position_embeddings=64, relative_attention=True, position_buckets=-1, max_relative_positions=16,
        norm_rel_ebd="none", share_att_key=False, pos_att_type=["p2c", "c2p"], position_biased_input=True, type_vocab_size=2, embedding_size=24,
        conv_kernel_size=3, conv_act="gelu", **DEBERTA), 64
    yield "tiny-deberta-c2p", DebertaV2ForSequenceClassification, DebertaV2Config(
        vocab_size=vocabulary, max_position_embeddings=64, relative_attention=True, position_buckets=0, max_relative_positions=64,
        norm_rel_ebd="layer_norm", share_att_key=False, pos_att_type=["c2p"], position_biased_input=False, type_vocab_size=0,
        conv_kernel_size=5, conv_act="tanh", **DEBERTA), 64
    yield "tiny-deberta-plain", DebertaV2ForSequenceClassification, DebertaV2Config(
        vocab_size=vocabulary, max_position_embeddings=64, relative_attention=False, pos_att_type=[], position_biased_input=True,
        type_vocab_size=0, **DEBERTA), 64


def lines(words, longest):
    """Token ids: some of the lines above, then one token, two, the longest, and one of 40."""
    texts = [words.encode(LINES[index]).ids for index in (0, 3, 5)]
    filler = [5 + 37 * i % 190 for i in range(longest)]
    begin, end = texts[0][0], texts[0][-1]
    rows = [ids if len(ids) <= longest else ids[: longest - 1] + [end] for ids in texts]
    return rows + [[begin], [begin, end], [begin] + filler[: longest - 2] + [end], [begin] + filler[7:45] + [end]]


def steps(model, store):
    """Hooks that keep every step's result in `store`."""
    base = model.base_model

    def keep(name, result):  # returns nothing: what a hook returns would replace the result
        store[name] = (result[0] if isinstance(result, tuple) else result)[0].detach()

    def hook(module, name):
        module.register_forward_hook(lambda _module, _inputs, result: keep(name, result))

    hook(base.embeddings, "embeddings")
    for index, layer in enumerate(base.encoder.layer):
        attention = layer.attention.self
        parts = [getattr(attention, part, None) or getattr(attention, f"{part}_proj") for part in ("query", "key", "value")]
        for part, module in zip("qkv", parts):
            # DeBERTa sends its table of relative positions through the same modules afterwards: the first call counts.
            module.register_forward_hook(lambda _m, _i, result, name=f"{index}.{part}": None if name in store else keep(name, result))
        hook(layer.attention.self, f"layer.{index}.context")
        hook(layer.attention, f"layer.{index}.attention")
        hook(layer, f"layer.{index}.output")
    if getattr(base.encoder, "conv", None) is not None:
        hook(base.encoder.conv, "layer.0.output")
    head = model.classifier
    classifier = getattr(head, "out_proj", head)
    classifier.register_forward_pre_hook(lambda _module, inputs: keep("pooled", inputs[0]))


def run(model, rows):
    """Activations packed over the rows, the loss and its gradients."""
    store, packed = {}, {}
    steps(model, store)
    labels = [row % len(LABELS) for row in range(len(rows))]
    losses = []
    for ids, label in zip(rows, labels):
        store.clear()
        ids = torch.tensor([ids])
        logits = model(ids, attention_mask=torch.ones_like(ids)).logits
        losses.append(torch.nn.functional.cross_entropy(logits, torch.tensor([label])))
        for layer in range(model.config.num_hidden_layers):
            store[f"layer.{layer}.query_key_value"] = torch.cat([store.pop(f"{layer}.{part}") for part in "qkv"], -1)
        store["pooled"] = store["pooled"].reshape(1, -1)
        store["logits"] = logits.detach()
        for name, value in store.items():
            packed.setdefault(name, []).append(value)
    loss = torch.stack(losses).mean()
    loss.backward()
    values = {name: torch.cat(parts).float().contiguous() for name, parts in packed.items()}
    values["loss"] = loss.detach().float().reshape(1)
    for name, parameter in model.named_parameters():
        if parameter.grad is not None:
            values[f"gradient.{name}"] = parameter.grad.float().contiguous()
    values["ids"] = torch.tensor([id for ids in rows for id in ids])
    values["offsets"] = torch.tensor([0] + [len(ids) for ids in rows]).cumsum(0)
    values["labels"] = torch.tensor(labels)
    return values


def main():
    for name, kind, config, longest in checkpoints(tokenizer().get_vocab_size()):
        folder = HERE / name
        folder.mkdir(exist_ok=True)
        torch.manual_seed(7)
        words = tokenizer(roberta=name == "tiny-roberta")
        if not (folder / "tokenizer.json").exists():
            words.save(str(folder / "tokenizer.json"))
        model = kind._from_config(config, attn_implementation="eager").eval()
        for key, parameter in model.named_parameters():
            if parameter.dim() == 1:  # biases and norms start at 0 and 1, which would hide mistakes
                torch.nn.init.normal_(parameter, mean=1.0 if key.endswith("LayerNorm.weight") else 0.0, std=0.2)
        model.save_pretrained(folder)
        words.no_padding()
        words.no_truncation()
        with torch.no_grad():
            rows = [words.encode(text).ids[:longest] for text in LINES]
            logits = [model(torch.tensor([ids])).logits[0].tolist() for ids in rows]
        expected = [{"text": text, "ids": ids, "logits": row} for text, ids, row in zip(LINES, rows, logits)]
        (folder / "expected.json").write_text(json.dumps(expected, indent=1) + "\n")
        values = run(model.double(), lines(words, longest))
        save_file(values, folder / "expected.safetensors")
        print(name, len(values), "tensors,", sum(file.stat().st_size for file in folder.iterdir()) // 1000, "kB")


main()
