"""From a DataFrame to deltav and back: Parquet in, NumPy arrays out, the same numbers on both sides.

    python examples/python/roundtrip.py [ratings.csv]

Needs the program `deltav` (on the PATH, or named by the variable DELTAV), numpy, polars and
safetensors. With pandas instead of polars: `frame.to_parquet("ratings.parquet", index=False)`
writes what deltav reads, `pandas.read_parquet("lists.parquet")` reads what it writes, and
everything in between is NumPy.
"""

import os
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import polars as pl
from safetensors.numpy import load_file

SAMPLE = Path(__file__).parent.parent / "ratings.csv"
N = 10


def deltav(*arguments):
    """Runs the program. Where it fails, its one line of error is on stderr, and this raises."""
    subprocess.run([os.environ.get("DELTAV", "deltav"), *arguments, "--quiet"], check=True)


# A DataFrame, from wherever: a warehouse, a log, another file. Ids are text or whole numbers.
frame = pl.read_csv(sys.argv[1] if len(sys.argv) > 1 else SAMPLE)
user, item, rating = frame.columns[:3]
frame = frame.select(
    pl.col(user).cast(pl.String).alias("user"),
    pl.col(item).cast(pl.String).alias("item"),
    pl.col(rating).cast(pl.Float32).alias("rating"),
)
folder = tempfile.TemporaryDirectory(ignore_cleanup_errors=True)
os.chdir(folder.name)

# Out: columns called user, item and rating are found by their names.
frame.write_parquet("ratings.parquet")
deltav("train", "ratings.parquet", "--rank", "16")
deltav("export", "ratings.safetensors", "--format", "npz", "--out", "model.npz")

# Back: plain arrays, in rating units, in the order of the ids beside them.
model = np.load("model.npz")
users, items = model["user_ids"], model["item_ids"]
row = {id: index for index, id in enumerate(users)}
column = {id: index for index, id in enumerate(items)}
u = np.array([row[id] for id in frame["user"]])
i = np.array([column[id] for id in frame["item"]])
low, high = frame["rating"].min(), frame["rating"].max()

# The same from safetensors, which PyTorch, JAX and others read as well; its ids are bytes.
deltav("export", "ratings.safetensors", "--format", "safetensors", "--out", "tensors.safetensors")
tensors = load_file("tensors.safetensors")
for name in ["user_factors", "item_factors", "user_bias", "item_bias"]:
    assert np.array_equal(tensors[name], model[name]), name

# Every prediction at once, in double precision, as the program computes them.
scores = (
    float(model["global_mean"])
    + model["user_bias"].astype(np.float64)[:, None]
    + model["item_bias"].astype(np.float64)
    + model["user_factors"].astype(np.float64) @ model["item_factors"].astype(np.float64).T
)

# Does the program predict the same?
frame.select("user", "item").write_parquet("pairs.parquet")
deltav("predict", "ratings.safetensors", "pairs.parquet", "--out", "predictions.parquet")
predicted = pl.read_parquet("predictions.parquet")
assert predicted["user"].equals(frame["user"]) and predicted["item"].equals(frame["item"])
apart = np.abs(np.clip(scores[u, i], low, high) - predicted["prediction"].to_numpy()).max()
assert apart < 1e-5 * max(abs(low), abs(high)), apart
print(f"{len(frame)} predictions agree to {apart:.0e}")

# And recommend the same? What was rated is left out; of equal scores either may come first.
fresh = scores.copy()
fresh[u, i] = -np.inf
best = -np.sort(-fresh, axis=1)[:, :N]
deltav("recommend", "ratings.safetensors", "--all", "-n", str(N), "--out", "lists.parquet")
lists = pl.read_parquet("lists.parquet")
listed = [row[id] for id in lists["user"]]
theirs = fresh[listed, [column[id] for id in lists["item"]]]
ours = best[listed, lists["rank"].to_numpy() - 1]
assert len(lists) == np.isfinite(best).sum() and np.isfinite(theirs).all()
apart = np.abs(theirs - ours).max()
assert apart < 1e-5 * max(abs(low), abs(high)), apart
print(f"{len(users)} lists of {N} agree to {apart:.0e}")

# A DataFrame again, to join with whatever else is known of users and items.
print(lists.filter(pl.col("rank") == 1).select("user", "item", "score").head(3))
