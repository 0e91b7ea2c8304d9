"""Makes the small checkpoints of these tests and what Python `transformers` answers with them.

    pip install torch transformers tokenizers safetensors
    python make_reference.py            # writes tiny-bert/ beside itself

Weights are random from a fixed seed; the tokenizer is trained on the lines below.
"""

import json
import pathlib

import torch
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors, trainers
from transformers import BertConfig, BertForSequenceClassification

HERE = pathlib.Path(__file__).parent
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


def tokenizer():
    made = Tokenizer(models.WordPiece(unk_token="[UNK]", max_input_chars_per_word=100))
    made.normalizer = normalizers.BertNormalizer(lowercase=True)
    made.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    trainer = trainers.WordPieceTrainer(vocab_size=220, special_tokens=["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"])
    made.train_from_iterator(LINES, trainer)
    made.post_processor = processors.BertProcessing(("[SEP]", 3), ("[CLS]", 2))
    made.enable_padding()  # on purpose: a reader must override it
    made.enable_truncation(8)
    return made


def main():
    folder = HERE / "tiny-bert"
    folder.mkdir(exist_ok=True)
    torch.manual_seed(7)
    words = tokenizer()
    words.save(str(folder / "tokenizer.json"))
    labels = ["Benign", "T1003.002", "T1087.001", "T1049"]
    config = BertConfig(
        vocab_size=words.get_vocab_size(), hidden_size=48, num_hidden_layers=3, num_attention_heads=4, intermediate_size=96,
        max_position_embeddings=96, initializer_range=0.3,
        id2label=dict(enumerate(labels)), label2id={name: index for index, name in enumerate(labels)},
    )
    model = BertForSequenceClassification(config).eval()
    for name, parameter in model.named_parameters():
        if parameter.dim() == 1:  # biases and norms start at 0 and 1, which would hide mistakes
            torch.nn.init.normal_(parameter, mean=1.0 if name.endswith("LayerNorm.weight") else 0.0, std=0.2)
    model.save_pretrained(folder, safe_serialization=True)
    words.no_padding()
    words.no_truncation()
    rows = []
    with torch.no_grad():
        for text in LINES:
            ids = words.encode(text).ids[:96]
            rows.append({"text": text, "ids": ids, "logits": model(torch.tensor([ids])).logits[0].tolist()})
    (folder / "expected.json").write_text(json.dumps(rows, indent=1) + "\n")


main()
