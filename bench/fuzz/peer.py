"""Reads files by torch.load(weights_only=True) and prints where it finds other tensors than read.json tells."""
import hashlib
import json
import sys
import warnings
from pathlib import Path

import torch

warnings.simplefilter("ignore")
torch.set_num_threads(1)
NAMES = {
    torch.float64: "F64", torch.float32: "F32", torch.float16: "F16", torch.bfloat16: "BF16",
    torch.float8_e4m3fn: "F8_E4M3", torch.float8_e5m2: "F8_E5M2",
    torch.int64: "I64", torch.int32: "I32", torch.int16: "I16", torch.int8: "I8",
    torch.uint64: "U64", torch.uint32: "U32", torch.uint16: "U16", torch.uint8: "U8", torch.bool: "BOOL",
}


def text(key):
    if isinstance(key, bool) or key is None:
        return {True: "true", False: "false", None: "null"}[key]
    # Keys that are objects lead to no weights; latentkit gives them one name.
    return str(key) if isinstance(key, (str, int, float)) else "?"


def tensors(value, name, found):
    if isinstance(value, torch.Tensor):
        raw = value.detach().contiguous().reshape(-1).view(torch.uint8) if value.numel() else torch.empty(0, dtype=torch.uint8)
        digest = hashlib.sha256(raw.numpy().tobytes()).hexdigest()
        found[name] = [NAMES[value.dtype], list(value.shape), digest]
    items = []
    if isinstance(value, dict):
        items = value.items()
    elif isinstance(value, (list, tuple)):
        items = enumerate(value)
    for key, inner in items:
        tensors(inner, text(key) if name is None else f"{name}.{text(key)}", found)


folder = Path(sys.argv[1])
for seed, wanted in json.loads((folder / "read.json").read_text()).items():
    try:
        found = {}
        tensors(torch.load(folder / seed, weights_only=True, map_location="cpu"), None, found)
    except Exception as error:
        print(f"seed {seed} is taken, and refused by torch: {' '.join(str(error).split())[-160:]!r}")
        continue
    if found != wanted:
        names = [name for name in {**wanted, **found} if wanted.get(name) != found.get(name)]
        print(f"seed {seed} is read otherwise by torch: {[(n, wanted.get(n), found.get(n)) for n in names][:2]}"[:600].replace("\n", " "))
