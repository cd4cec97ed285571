"""implicit's ALS, by conjugate gradients, and its lists."""

import implicit
import numpy as np
import scipy.sparse as sparse
from worker import Set, serve, timed

data = Set()
u, i, r = data.train
ratings = sparse.csr_matrix((r, (u, i)), shape=(data.users, data.items))
listing = {}


def model(job):
    return implicit.als.AlternatingLeastSquares(
        factors=job["rank"],
        iterations=job["epochs"],
        num_threads=job["threads"],
        random_state=job["seed"],
        calculate_training_loss=False,
    )


def train(job):
    return timed(lambda: model(job).fit(ratings, show_progress=False))[1]


def recommend(job):
    if job["rank"] not in listing:
        fitted = model({**job, "epochs": 1})
        fitted.fit(ratings, show_progress=False)
        listing[job["rank"]] = fitted
    every = np.arange(data.users)
    (items, _), done = timed(lambda: listing[job["rank"]].recommend(every, ratings, N=10))
    assert items.shape == (data.users, 10)
    return done


serve({"train": train, "recommend": recommend})
