"""Trains small tokenizers with the reference libraries, writes them as folders are published (without tokenizer.json), and what the
references make of some lines.

    pip install sentencepiece tokenizers transformers
    python make_tokenizers.py           # writes spm/, spm-bytes/, bpe/, words/ and expected.json beside itself
"""

import io
import json
import pathlib
import tempfile

import sentencepiece
from tokenizers import ByteLevelBPETokenizer, BertWordPieceTokenizer
from transformers import AutoTokenizer

HERE = pathlib.Path(__file__).parent
ROOT = HERE.parents[4]
TEXT = [
    line.strip()
    for file in sorted([*ROOT.glob("docs/*.md"), ROOT / "README.md", ROOT / "ARCHITECTURE.md"])
    for line in file.read_text().splitlines()
    if 5 < len(line.strip()) < 2000
]
LINES = [
    "", " ", "\t", "a\r\nb", "ipconfig /all", "C:\\Windows\\System32\\svchost.exe -k netsvcs -p -s Schedule", "find . -name '*.log' -mtime +7 -print0 | xargs -0 gzip -9",
    "Get-Service | Where-Object {$_.Status -eq 'Running'} | Sort-Object Name", "😀👩\u200d👩\u200d👧 🇺🇳", "a\u0301e\u0323\u0301 Å", "\u202eevil\u202c", "zero\u200bwidth\ufeffx", "\ufffd",
    " " * 10_000, "a" + " " * 10_000 + "b", "\0NUL\0", "\x1b[31mred\x1b[0m", "１２ ＡＢ ﬁ ½", "שלום عالم", "漢字かな", "naïve Übergröße ẞ", "a\u00a0b\u3000c", "   lead and trail   ",
    "x" * 300, "'quotes' \"double\" `tick`",
]
RULES = {"ﬁ": "fi", "½": "1/2", "\u00a0": " ", "\u3000": " ", "\t": " ", "\n": " ", "\r": " ", "\u200b": "", "\ufeff": "", "a\u0301": "á", "Ａ": "A", "Ｂ": "B", "１": "1", "２": "2"}


def config(folder, kind, size):
    folder.mkdir(exist_ok=True)
    values = dict(model_type=kind, vocab_size=size, hidden_size=8, num_hidden_layers=1, num_attention_heads=1, intermediate_size=8, max_position_embeddings=512)
    values |= {"relative_attention": True, "type_vocab_size": 0} if kind == "deberta-v2" else {"type_vocab_size": 1}
    (folder / "config.json").write_text(json.dumps(values, indent=1) + "\n")


def sentence_piece(name, **more):
    folder = HERE / name
    config(folder, "deberta-v2", 310)
    model = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(TEXT), model_writer=model, vocab_size=300 if "bytes" not in name else 450, model_type="unigram", pad_id=0, bos_id=1, eos_id=2, unk_id=3,
        pad_piece="[PAD]", bos_piece="[CLS]", eos_piece="[SEP]", unk_piece="[UNK]", hard_vocab_limit=False, minloglevel=2, **more)
    (folder / "spm.model").write_bytes(model.getvalue())
    (folder / "tokenizer_config.json").write_text(json.dumps({"do_lower_case": False}) + "\n")
    processor = sentencepiece.SentencePieceProcessor(model_proto=model.getvalue())
    config(folder, "deberta-v2", processor.vocab_size() + 8)
    return [processor.encode(line) for line in LINES]


def reference(folder):
    words = AutoTokenizer.from_pretrained(folder)
    return [words(line, add_special_tokens=False).input_ids for line in LINES]


def main():
    with tempfile.NamedTemporaryFile("w", suffix=".tsv") as rules:
        for source, target in RULES.items():
            rules.write(" ".join(f"{ord(c):X}" for c in source) + "\t" + " ".join(f"{ord(c):X}" for c in target) + "\n")
        rules.flush()
        expected = {"spm": sentence_piece("spm", normalization_rule_tsv=rules.name)}
    expected["spm-bytes"] = sentence_piece("spm-bytes", normalization_rule_name="identity", byte_fallback=True)

    config(HERE / "bpe", "roberta", 500)
    made = ByteLevelBPETokenizer()
    made.train_from_iterator(TEXT, vocab_size=500, special_tokens=["<s>", "<pad>", "</s>", "<unk>", "<mask>"], show_progress=False)
    made.save_model(str(HERE / "bpe"))
    expected["bpe"] = reference(HERE / "bpe")

    config(HERE / "words", "bert", 400)
    made = BertWordPieceTokenizer()
    made.train_from_iterator(TEXT, vocab_size=400, show_progress=False)
    made.save_model(str(HERE / "words"))
    (HERE / "words/tokenizer_config.json").write_text(json.dumps({"do_lower_case": True}) + "\n")
    expected["words"] = reference(HERE / "words")
    rows = [{"text": line} | {name: tokens[index] for name, tokens in expected.items()} for index, line in enumerate(LINES)]
    (HERE / "expected.json").write_text("[\n" + ",\n".join(json.dumps(row) for row in rows) + "\n]\n")


main()
