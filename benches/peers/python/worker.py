"""A worker: a line of JSON in, the work, a line of JSON out. See src/wire.rs for the fields."""

import json
import pathlib
import resource
import sys
import time

import numpy as np

FOLDER = pathlib.Path(sys.argv[1])


class Set:
    """The columns of both parts, and the shape."""

    def __init__(self):
        shape = json.loads((FOLDER / "shape.json").read_text())
        self.users, self.items = shape["users"], shape["items"]
        self.train, self.test = self.part("train"), self.part("test")
        self.least, self.most = float(self.train[2].min()), float(self.train[2].max())

    @staticmethod
    def part(name):
        def column(kind, dtype):
            return np.fromfile(FOLDER / f"{name}.{kind}", dtype)

        return column("user.i32", "<i4"), column("item.i32", "<i4"), column("value.f32", "<f4")

    def rmse(self, mean, user_bias, item_bias, users, items):
        """Test RMSE of a model with biases, as it is and clipped to the training range."""
        u, i, r = self.test
        guess = mean + user_bias[u] + item_bias[i] + np.einsum("ij,ij->i", users[u], items[i])
        clipped = np.clip(guess, self.least, self.most)
        return [float(np.sqrt(np.mean((g - r) ** 2))) for g in (guess, clipped)]


def timed(work):
    """The result, and a dictionary with its seconds on the clock and of the CPU."""
    cpu, wall = time.process_time(), time.perf_counter()
    result = work()
    return result, {"wall": time.perf_counter() - wall, "cpu": time.process_time() - cpu}


def serve(works):
    """Answers jobs until stdin ends. `works`: name of the work to function of a job."""
    out = sys.stdout
    sys.stdout = sys.stderr  # what libraries print is no answer
    for line in sys.stdin:
        job = json.loads(line)
        try:
            done = works[job["work"]](job)
        except Exception as error:  # the table says what failed, and goes on
            done = {"error": f"{type(error).__name__}: {error}"}
        done["peak"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
        print(json.dumps(done), file=out, flush=True)
