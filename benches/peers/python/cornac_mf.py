"""cornac's MF, learning rate .01."""

from collections import OrderedDict

import numpy as np
from cornac.data import Dataset
from cornac.models import MF
from worker import Set, serve, timed

data = Set()
u, i, r = data.train
maps = [OrderedDict((index, index) for index in range(count)) for count in (data.users, data.items)]
dataset = Dataset(
    num_users=data.users,
    num_items=data.items,
    uid_map=maps[0],
    iid_map=maps[1],
    uir_tuple=(u.astype(np.int64), i.astype(np.int64), r.astype(np.float64)),
)


def train(job):
    model = MF(
        k=job["rank"],
        max_iter=job["epochs"],
        learning_rate=0.01,
        lambda_reg=job["lambda"],
        num_threads=job["threads"],
        seed=job["seed"],
        early_stop=False,
        verbose=False,
    )
    _, done = timed(lambda: model.fit(dataset))
    rmse, clipped = data.rmse(model.global_mean, model.u_biases, model.i_biases, model.u_factors, model.i_factors)
    return {**done, "rmse": min(rmse, clipped), "clipped": clipped}


serve({"train": train})
