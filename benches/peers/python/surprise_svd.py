"""Surprise's SVD, learning rate .01."""

from collections import defaultdict

from surprise import SVD, Trainset
from worker import Set, serve, timed

data = Set()
by_user, by_item = defaultdict(list), defaultdict(list)
for user, item, rating in zip(*(column.tolist() for column in data.train)):
    by_user[user].append((item, rating))
    by_item[item].append((user, rating))
# Its inner ids are ours.
raw = [{index: index for index in range(count)} for count in (data.users, data.items)]
trainset = Trainset(
    by_user, by_item, data.users, data.items, len(data.train[0]), (data.least, data.most), raw[0], raw[1]
)


def train(job):
    model = SVD(
        n_factors=job["rank"], n_epochs=job["epochs"], lr_all=0.01, reg_all=job["lambda"], random_state=job["seed"]
    )
    _, done = timed(lambda: model.fit(trainset))
    # Its predictions are clipped.
    rmse, clipped = data.rmse(trainset.global_mean, model.bu, model.bi, model.pu, model.qi)
    return {**done, "rmse": min(rmse, clipped), "clipped": clipped}


serve({"train": train})
