"""Reports on damaged and malicious GLBs: `python -m benchmarks.hostile_glbs [--count 10000] [--bench DIR]`.

Seeds are models made here (plain, web GLB with Draco and WebP) and, with --bench, `model.glb` of each folder
of DIR. Each file is a seed mutated in one of many ways: bits, truncation, false lengths, cyclic nodes, NaN
and huge floats, counts of 2^31, picture bombs, deep JSON. Every file must have a report within 10 seconds and
1 GiB, and the process that asks must survive. Printed are the outcomes, the slowest and the largest; the exit
code is 1 if a file exceeded a limit.
"""

import argparse
import io
import json
import multiprocessing
import random
import struct
import sys
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import trimesh
from PIL import Image

from benchmarks.bench_folder import matching_files
from benchmarks.glb_request import glb_request
from schemas.rules_loader import load_rules
from worker.check_process import CheckProcess
from worker.gltf.container import read_json
from worker.modeling.glb_export import write_glb
from worker.modeling.textured_mesh import TexturedMesh, vertex_normals
from worker.modeling.web_packing import write_web_glb

RULES = Path(__file__).parent.parent / "plugin.json"
LIMIT_S, LIMIT_MB = 10.0, 1024.0
FILES_PER_JOB = 250  # that a process checks before it reports
WILD_VALUES: tuple[Any, ...] = (  # that replace values of the JSON
    -1,
    0,
    1,
    2,
    255,
    65_535,
    2**31 - 1,
    2**31,
    2**32,
    2**53,
    -(2**31),
    1e300,
    -0.0,
    0.5,
    None,
    "",
    "x" * 1000,
    [],
    {},
    [[]],
    True,
)


def seed_glbs(bench: Path | None) -> list[bytes]:
    """Return the GLBs to mutate: two made here, and those of a folder.

    Raises:
        SystemExit: The folder has no models.
    """
    mesh = trimesh.creation.icosphere(3, 0.2)
    positions, faces = mesh.vertices.astype(np.float32), mesh.faces.astype(np.uint32)
    out = io.BytesIO()
    Image.fromarray(np.random.default_rng(0).integers(0, 255, (64, 64, 3), np.uint8)).save(out, "PNG")
    uvs = (positions[:, :2] * 2 + 0.5).astype(np.float32)
    model = TexturedMesh(
        positions=positions,
        normals=vertex_normals(positions, faces),
        uvs=uvs,
        faces=faces,
        texture=out.getvalue(),
    )
    made = [write_glb(model, "a"), write_web_glb(model, "a")]
    return made + ([p.read_bytes() for p in matching_files(bench, "*/model.glb")] if bench else [])


def pack_glb(document: dict[str, Any], binary: bytes, text: bytes | None = None) -> bytes:
    """Return a GLB of a document and its binary chunk. text: replaces the document's JSON."""
    text = json.dumps(document).encode() if text is None else text
    text += b" " * (-len(text) % 4)
    chunks = (
        struct.pack("<I4s", len(text), b"JSON") + text + struct.pack("<I4s", len(binary), b"BIN\x00") + binary
    )
    return struct.pack("<4sII", b"glTF", 2, 12 + len(chunks)) + chunks


def _binary_chunk(data: bytes) -> bytes:
    length = int.from_bytes(data[12:16], "little")
    return data[28 + length :]


def flip_bits(data: bytes, rng: random.Random) -> bytes:
    """Flip some bits anywhere."""
    out = bytearray(data)
    for _ in range(rng.choice([1, 4, 64, 1000])):
        out[rng.randrange(len(out))] ^= 1 << rng.randrange(8)
    return bytes(out)


def flip_binary_bits(data: bytes, rng: random.Random) -> bytes:
    """Flip some bits of the binary chunk."""
    start = 28 + int.from_bytes(data[12:16], "little")
    return data[:start] + flip_bits(data[start:], rng)


def truncate(data: bytes, rng: random.Random) -> bytes:
    """Truncate the file, with the old or the new length in its header."""
    cut = data[: rng.randrange(len(data))]
    return cut if rng.random() < 0.5 else cut[:8] + struct.pack("<I", len(cut)) + cut[12:]


def false_lengths(data: bytes, rng: random.Random) -> bytes:
    """Replace a version, length or type in the header."""
    at = rng.choice([4, 8, 12, 16, 20 + int.from_bytes(data[12:16], "little")])
    return (
        data[:at]
        + struct.pack("<I", rng.choice([0, 1, 2**31, 2**32 - 1, rng.randrange(2**32)]))
        + data[at + 4 :]
    )


def wild_values(data: bytes, rng: random.Random) -> bytes:
    """Replace some values of the JSON by ones of another type or range."""
    document = read_json(data)
    for _ in range(rng.choice([1, 1, 2, 5])):
        here: Any = document
        while True:
            keys = list(here) if isinstance(here, dict) else list(range(len(here)))
            if not keys:
                break
            key = rng.choice(keys)
            if isinstance(here[key], dict | list) and here[key] and rng.random() < 0.85:
                here = here[key]
                continue
            here[key] = rng.choice(WILD_VALUES)
            break
    return pack_glb(document, _binary_chunk(data))


def cyclic_nodes(data: bytes, rng: random.Random) -> bytes:
    """Make the node hierarchy cyclic."""
    document = read_json(data)
    count = rng.choice([1, 3, 2000])
    document["nodes"] = [
        {"mesh": 0, "children": [rng.randrange(count) if rng.random() < 0.3 else (n + 1) % count]}
        for n in range(count)
    ]
    document["scenes"] = [{"nodes": [0]}]
    return pack_glb(document, _binary_chunk(data))


def huge_floats(data: bytes, rng: random.Random) -> bytes:
    """Replace some floats by NaN, infinity or extreme values."""
    binary = bytearray(_binary_chunk(data))
    for _ in range(rng.choice([1, 20, 500])):
        at = rng.randrange(max(1, len(binary) // 4)) * 4
        binary[at : at + 4] = struct.pack(
            "<f", rng.choice([float("nan"), float("inf"), -float("inf"), 3e38, 1e20, -1e-40])
        )
    return pack_glb(read_json(data), bytes(binary))


def huge_counts(data: bytes, rng: random.Random) -> bytes:
    """Give some accessors a count of up to 2^31."""
    document = read_json(data)
    for row in rng.sample(document["accessors"], min(len(document["accessors"]), rng.choice([1, 3]))):
        row["count"] = rng.choice([2**31, 2**31 - 1, 10**7, 10**8, 0])
        if rng.random() < 0.5:
            row.pop("bufferView", None)
    return pack_glb(document, _binary_chunk(data))


def picture_bomb(data: bytes, rng: random.Random) -> bytes:
    """Replace the texture by a small file that decodes to a very large picture."""
    side = rng.choice([8000, 16_000, 30_000])
    out = io.BytesIO()
    Image.new("1", (side, side)).save(out, "PNG")
    document, binary = read_json(data), _binary_chunk(data)
    document["bufferViews"].append(
        {"buffer": 0, "byteOffset": len(binary), "byteLength": len(out.getvalue())}
    )
    document["images"] = [{"bufferView": len(document["bufferViews"]) - 1, "mimeType": "image/png"}]
    document["textures"] = [{"source": 0}]
    binary += out.getvalue()
    document["buffers"] = [{"byteLength": len(binary)}]
    return pack_glb(document, binary)


def deep_json(data: bytes, rng: random.Random) -> bytes:
    """Nest up to 200,000 arrays in the JSON."""
    depth = rng.choice([500, 5000, 200_000])
    text = json.dumps(read_json(data)).encode()
    return pack_glb({}, _binary_chunk(data), text[:-1] + b', "extras": ' + b"[" * depth + b"]" * depth + b"}")


def many_nodes(data: bytes, rng: random.Random) -> bytes:
    """Show the mesh in up to 90,000 nodes."""
    return repeat_node(data, rng.choice([50, 700, 90_000]))


def repeat_node(data: bytes, count: int, **transform: list[float]) -> bytes:
    """Return the model with its mesh in this number of nodes.

    Args:
        data: The model.
        count: The number of nodes.
        transform: `translation`, `rotation` or `scale` of each node.
    """
    document = read_json(data)
    document["nodes"] = [{"mesh": 0, **transform} for _ in range(count)]
    document["scenes"] = [{"nodes": list(range(count))}]
    return pack_glb(document, _binary_chunk(data))


MUTATIONS: tuple[Callable[[bytes, random.Random], bytes], ...] = (
    flip_bits,
    flip_binary_bits,
    flip_binary_bits,
    truncate,
    false_lengths,
    wild_values,
    wild_values,
    wild_values,
    cyclic_nodes,
    huge_floats,
    huge_counts,
    picture_bomb,
    deep_json,
    many_nodes,
)


def mutate(number: int, seeds: list[bytes]) -> tuple[str, bytes]:
    """Return the name of a mutation and the mutated file; a number always gives the same."""
    rng = random.Random(number)
    mutation = MUTATIONS[number % len(MUTATIONS)]
    return mutation.__name__, mutation(seeds[rng.randrange(len(seeds))], rng)


def _check_files(job: tuple[int, int, Path | None]) -> list[tuple[str, str, float, float]]:
    start, stop, bench = job
    seeds, guard, rules, rows = seed_glbs(bench), CheckProcess(), load_rules(RULES.read_text()), []
    for number in range(start, stop):
        mutation, data = mutate(number, seeds)
        started = time.monotonic()
        report = guard.check(glb_request(data, rules)).report
        seconds = time.monotonic() - started
        codes = {i.code for i in report.issues}
        is_ended = not {"file.harmful", "file.too_slow", "file.check_failed"}.isdisjoint(codes)
        outcome = "ended" if is_ended else "blocked" if report.blocked else "good"
        rows.append((mutation, outcome, seconds, guard.memory_bytes() / 1e6))
    guard.stop()
    return rows


def main(count: int, bench: Path | None) -> None:
    """Check mutated files, print the outcomes, and exit with 1 if a file exceeded a limit."""
    if count < 1:
        raise SystemExit("nothing measured: --count must be at least 1")
    seed_glbs(bench)  # fails here, not in a process of the pool, if the folder has no models
    started = time.monotonic()
    jobs = [(start, min(start + FILES_PER_JOB, count), bench) for start in range(0, count, FILES_PER_JOB)]
    rows: list[tuple[str, str, float, float]] = []
    with multiprocessing.get_context("spawn").Pool(2) as pool:
        for job_rows in pool.imap_unordered(_check_files, jobs):
            rows += job_rows
            print(
                f"{len(rows)} of {count}, {sum(o == 'ended' for _, o, _, _ in rows)} ended",
                file=sys.stderr,
                flush=True,
            )
    print(
        f"{len(rows)} files in {time.monotonic() - started:.0f} s: {dict(Counter(o for _, o, _, _ in rows))}"
    )
    for mutation in dict.fromkeys(m.__name__ for m in MUTATIONS):
        own = [r for r in rows if r[0] == mutation]
        if own:
            print(
                f"{mutation:16} {dict(Counter(r[1] for r in own))!s:44} "
                f"slowest {max(r[2] for r in own):5.2f} s, largest {max(r[3] for r in own):4.0f} MB"
            )
    over = [r for r in rows if r[2] > LIMIT_S or r[3] > LIMIT_MB]
    print(f"over {LIMIT_S:g} s or {LIMIT_MB:g} MB: {len(over)}")
    raise SystemExit(bool(over))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=10_000)
    parser.add_argument("--bench", type=Path)
    arguments = parser.parse_args()
    main(arguments.count, arguments.bench)
