"""Full-batch Adam on biased factors by hand: NumPy, and SciPy's sparse products for the gradients."""

import numpy as np
import scipy.sparse as sparse
from worker import Set, serve, timed

data = Set()
u, i, r = data.train
order = np.lexsort((i, u))
u, i, r = u[order], i[order], r[order]
mean, std = float(r.mean()), float(r.std())
targets = (r - mean) / std
pattern = sparse.csr_matrix((np.arange(len(r)), (u, i)), shape=(data.users, data.items))
by_item = pattern.T.tocsr()
transposed = by_item.data


def train(job):
    rng, k = np.random.default_rng(job["seed"]), job["rank"]
    # The biases are two more columns, of which the other side holds ones.
    users = (rng.standard_normal((data.users, k + 2)) * 0.01).astype(np.float32)
    items = (rng.standard_normal((data.items, k + 2)) * 0.01).astype(np.float32)
    users[:, k + 1], items[:, k] = 1, 1
    state = [np.zeros_like(x) for x in (users, users, items, items)]

    def step(weights, gradient, first, second, t, frozen):
        gradient[:, frozen] = 0
        first += 0.1 * (gradient - first)
        second += 0.001 * (gradient * gradient - second)
        weights -= 0.1 * (first / (1 - 0.9**t)) / (np.sqrt(second / (1 - 0.999**t)) + 1e-8)

    def work():
        residuals = np.empty(len(r), np.float32)
        for t in range(1, job["epochs"] + 1):
            for a in range(0, len(r), 1 << 16):
                part = slice(a, a + (1 << 16))
                np.einsum("ij,ij->i", users[u[part]], items[i[part]], out=residuals[part])
            errors = residuals - targets
            rows = sparse.csr_matrix((errors, pattern.indices, pattern.indptr), shape=pattern.shape)
            columns = sparse.csr_matrix((errors[transposed], by_item.indices, by_item.indptr), shape=by_item.shape)
            scale, penalty = np.float32(2 / len(r)), np.float32(2.4 / len(r))
            gradients = rows @ items * scale + penalty * users, columns @ users * scale + penalty * items
            step(users, gradients[0], state[0], state[1], t, k + 1)
            step(items, gradients[1], state[2], state[3], t, k)

    return timed(work)[1]


serve({"train": train})
