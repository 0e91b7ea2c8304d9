"""Compares our tokens with those of the reference libraries, line by line.

    pip install sentencepiece tokenizers transformers
    cargo build --release -p attackline-model --example tokens
    python checks/compare_tokens.py --tokens target/release/examples/tokens --work DIR --lines FILE... [--folder MODEL_DIR]

FILE is NDJSON with `text`. A SentencePiece unigram model with its character map, one with byte fallback, a byte-level BPE model and a
WordPiece model of 8,000 pieces each are trained on the lines and written in the published form (no tokenizer.json); --folder adds a
folder as it is. Every line and some nasty strings are compared.
"""

import argparse
import io
import json
import pathlib
import subprocess

NASTY = [
    "", " ", "\t", "\n", "a\r\nb", "😀👩\u200d👩\u200d👧 🇺🇳", "a\u0301e\u0323\u0301 Å Å", "\u202eevil\u202c \u2066x\u2069", "zero\u200bwidth\u200d\ufeffx", "\ufffd",
    "x" * 300, " " * 10_000, "a" + " " * 10_000 + "b", "\0NUL\0", "\x07\x1b[31mred\x1b[0m", "▁under▁score", "１２３ ＡＢＣ ﬁ ½ ㎏ №", "שלום עולם مرحبا", "漢字かな交じり文", "naïve Übergröße ẞ",
    "a\u00a0b\u3000c\u2003d", "'quotes' \"double\" `tick`", "%COMSPEC% $env:X ${y} $(z) `w`", "C:\\Windows\\System32\\cmd.exe /c \"a & b | c > d\"",
    "-EncodedCommand JABhAD0AMQA=", "[CLS] literal [SEP] [MASK] <s> </s> <mask> <unk> [UNK] [PAD]", "   lead and trail   ",
]


def config(kind, size, **more):
    base = dict(model_type=kind, vocab_size=size, hidden_size=8, num_hidden_layers=1, num_attention_heads=1, intermediate_size=8,
                max_position_embeddings=512, type_vocab_size=0 if kind == "deberta-v2" else 1)
    return json.dumps(base | more)


def sentence_piece(folder, lines, **more):
    import sentencepiece

    folder.mkdir(parents=True, exist_ok=True)
    model = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(lines), model_writer=model, vocab_size=8000, model_type="unigram", pad_id=0, bos_id=1, eos_id=2, unk_id=3, pad_piece="[PAD]",
        bos_piece="[CLS]", eos_piece="[SEP]", unk_piece="[UNK]", max_sentence_length=4000, minloglevel=2, **more)
    (folder / "spm.model").write_bytes(model.getvalue())
    (folder / "config.json").write_text(config("deberta-v2", 8100, relative_attention=True, pos_att_type=["c2p"]))
    (folder / "tokenizer_config.json").write_text(json.dumps({"do_lower_case": False, "vocab_type": "spm"}))
    processor = sentencepiece.SentencePieceProcessor(model_proto=model.getvalue())
    return processor.encode


def reference(folder):
    from transformers import AutoTokenizer

    words = AutoTokenizer.from_pretrained(folder)
    return lambda text: words(text, add_special_tokens=False).input_ids


def byte_pairs(folder, lines):
    from tokenizers import ByteLevelBPETokenizer

    folder.mkdir(parents=True, exist_ok=True)
    made = ByteLevelBPETokenizer()
    made.train_from_iterator(lines, vocab_size=8000, special_tokens=["<s>", "<pad>", "</s>", "<unk>", "<mask>"], show_progress=False)
    made.save_model(str(folder))
    (folder / "config.json").write_text(config("roberta", 8000))


def word_pieces(folder, lines, lower):
    from tokenizers import BertWordPieceTokenizer

    folder.mkdir(parents=True, exist_ok=True)
    made = BertWordPieceTokenizer(lowercase=lower)
    made.train_from_iterator(lines, vocab_size=8000, show_progress=False)
    made.save_model(str(folder))
    (folder / "config.json").write_text(config("bert", 8000))
    (folder / "tokenizer_config.json").write_text(json.dumps({"do_lower_case": lower}))


def ours(binary, folder, lines):
    text = "".join(json.dumps({"text": line}) + "\n" for line in lines)
    run = subprocess.run([binary, folder], input=text.encode("utf-8", "surrogatepass"), capture_output=True, check=True)
    return [json.loads(line) for line in run.stdout.splitlines()]


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--tokens", required=True)
    parser.add_argument("--work", required=True, type=pathlib.Path)
    parser.add_argument("--lines", required=True, nargs="+")
    parser.add_argument("--folder", nargs="*", default=[], type=pathlib.Path)
    args = parser.parse_args()
    lines = [json.loads(line)["text"] for file in args.lines for line in open(file, encoding="utf-8")]
    short = [line for line in lines if len(line) < 4000]
    work = args.work
    cases = [("SentencePiece, nmt_nfkc", work / "spm", sentence_piece(work / "spm", short, normalization_rule_name="nmt_nfkc"))]
    cases.append(("the same against transformers", work / "spm", reference(work / "spm")))
    cases.append(("SentencePiece, byte fallback, identity", work / "bytes",
                  sentence_piece(work / "bytes", short, normalization_rule_name="identity", byte_fallback=True)))
    byte_pairs(work / "bpe", short)
    cases.append(("byte-level BPE", work / "bpe", reference(work / "bpe")))
    for lower in (True, False):
        word_pieces(work / f"words-{lower}", short, lower)
        cases.append((f"WordPiece, do_lower_case {lower}", work / f"words-{lower}", reference(work / f"words-{lower}")))
    cases += [(f"tokenizer.json of {folder.name}", folder, reference(folder)) for folder in args.folder]
    print("| tokenizer | lines | identical | nasty strings | identical |\n| --- | --- | --- | --- | --- |")
    remarks = []
    for name, folder, encode in cases:
        got = ours(args.tokens, folder, lines + NASTY)
        same = [tokens == list(encode(line)) for line, tokens in zip(lines + NASTY, got)]
        print(f"| {name} | {len(lines)} | {sum(same[:len(lines)])} | {len(NASTY)} | {sum(same[len(lines):])} |", flush=True)
        for line, tokens, equal in list(zip(lines + NASTY, got, same)):
            if not equal and sum(remark[0] == name for remark in remarks) < 12:
                remarks.append((name, line[:90], tokens[:14], list(encode(line))[:14]))
    for remark in remarks:
        print(*map(repr, remark), sep="\n    ")


main()
