"""Lists of the ten best unseen items for every user: implicit's time / deltav's, on the same factors.

usage: recommend_peer.py [--threads 2] [--runs 5] [--users 70000] [--items 10000] [--rank 128] [--ratings 10000000]

Plants skewed ratings, trains two epochs, and asks both for the lists in turn; both leave out what
a user has rated. Biases go to implicit as one factor more. Prints the median of the ratios, and how
many of the listed items are the same. Needs `pip install implicit` and a Rust toolchain.
"""

import argparse
import json
import os
import pathlib
import statistics
import subprocess
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent


def arguments():
    parser = argparse.ArgumentParser()
    for name, default in [("threads", 2), ("runs", 5), ("users", 70_000), ("items", 10_000), ("rank", 128),
                          ("ratings", 10_000_000)]:
        parser.add_argument(f"--{name}", type=int, default=default)
    parser.add_argument("--model", help="a trained model, instead of planted ratings")
    return parser.parse_args()


def planted(np, users, items, ratings, path):
    """Distinct pairs, log-normal users and Zipf-like items; what the ratings are matters little here."""
    rng = np.random.default_rng(0)
    activity = np.cumsum(rng.lognormal(0, 1, users))
    popularity = np.cumsum(1 / (np.arange(items) + items * 0.01) ** 0.9)
    keys = np.empty(0, np.int64)
    while len(keys) < ratings:
        draw = [np.searchsorted(total, rng.random(ratings - len(keys) + 1000) * total[-1]) for total in
                (activity, popularity)]
        keys = np.unique(np.concatenate([keys, draw[0] * items + draw[1]]))
    keys = rng.permutation(keys)[:ratings]
    values = rng.integers(1, 11, ratings) / 2
    with open(path, "w") as file:
        file.write("user,item,rating\n")
        rows = zip((keys // items).tolist(), (keys % items).tolist(), values.tolist())
        file.writelines(f"u{user},i{item},{value}\n" for user, item, value in rows)


def build():
    """The bench's program."""
    command = ["cargo", "bench", "--bench", "recommend", "--no-run", "--message-format", "json"]
    output = subprocess.run(command, cwd=ROOT, check=True, stdout=subprocess.PIPE, text=True).stdout
    messages = (json.loads(line) for line in output.splitlines() if line.startswith("{"))
    return [message["executable"] for message in messages if message.get("executable")][-1]


def load(np, path):
    """The tensors of a safetensors file."""
    with open(path, "rb") as file:
        header = json.loads(file.read(int.from_bytes(file.read(8), "little")))
        data = file.read()
    types = {"F32": "<f4", "F64": "<f8", "U32": "<u4", "U64": "<u8", "U8": "u1"}
    return {name: np.frombuffer(data[slice(*entry["data_offsets"])], types[entry["dtype"]]).reshape(entry["shape"])
            for name, entry in header.items() if name != "__metadata__"}


def main():
    options = arguments()
    os.environ["RAYON_NUM_THREADS"] = str(options.threads)
    os.environ["OPENBLAS_NUM_THREADS"] = "1"  # implicit asks for that: it has threads of its own
    import numpy as np
    from implicit.cpu.matrix_factorization_base import MatrixFactorizationBase
    from scipy.sparse import csr_matrix

    program = build()
    with tempfile.TemporaryDirectory() as folder:
        model = options.model
        if model is None:
            data, model = f"{folder}/ratings.csv", f"{folder}/model.safetensors"
            planted(np, options.users, options.items, options.ratings, data)
            subprocess.run(["cargo", "run", "--release", "--quiet", "--", "train", data, "--out", model, "--device", "cpu",
                            "--rank", str(options.rank), "--model", "biased", "--epochs", "2", "--quiet"],
                           cwd=ROOT, check=True)
        tensors = load(np, model)
        ours = subprocess.Popen([program, "--bench", "--cpu", model], text=True,
                                stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        u, v = tensors["user_factors"], tensors["item_factors"]
        offsets, seen = tensors["seen_offsets"].astype(np.int64), tensors["seen_items"].astype(np.int32)
        users, items = len(u), len(v)
        rated = csr_matrix((np.ones(len(seen), np.float32), seen, offsets), shape=(users, items))

        class Peer(MatrixFactorizationBase):
            def fit(self, *_):
                raise NotImplementedError

            def save(self, *_):
                raise NotImplementedError

        peer = Peer(num_threads=options.threads)
        peer.user_factors = np.hstack([u, np.ones((users, 1), np.float32)])
        peer.item_factors = np.hstack([v, tensors["item_bias"].reshape(-1, 1)]).astype(np.float32)
        ratios = []
        for _ in range(options.runs + 1):
            ours.stdin.write("\n")
            ours.stdin.flush()
            answer = json.loads(ours.stdout.readline())
            start = time.perf_counter()
            ids, _ = peer.recommend(np.arange(users), rated, N=10, filter_already_liked_items=True)
            seconds = time.perf_counter() - start
            ratios.append(seconds / answer["seconds"])
            print(f"implicit {seconds:.3f} s, deltav {answer['seconds']:.3f} s, ratio {ratios[-1]:.2f}", file=sys.stderr)
        same = np.mean(np.sort(ids, 1) == np.sort(np.array(answer["items"]).reshape(ids.shape), 1))
        ours.stdin.close()
        ours.wait()
    # The first run of each is warm-up.
    print(f"{users} users x {items} items, k = {u.shape[1]}, {options.threads} threads: "
          f"implicit / deltav {statistics.median(ratios[1:]):.2f} ({100 * same:.2f}% of the listed items are the same)")


if __name__ == "__main__":
    main()
