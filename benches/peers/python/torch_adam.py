"""Full-batch Adam on biased factors in PyTorch, on the CPU or, with `device` cuda, on a GPU."""

import torch
from worker import Set, serve, timed

data = Set()


def train(job):
    device = job.get("device") or "cpu"
    torch.set_num_threads(job["threads"])
    torch.manual_seed(job["seed"])
    u, i, r = (torch.from_numpy(column).to(device) for column in data.train)
    u, i = u.long(), i.long()
    mean, std = r.mean(), r.std()
    targets, (m, n, k) = (r - mean) / std, (data.users, data.items, job["rank"])
    shapes = [(m, k), (n, k), (m, 1), (n, 1)]
    weights = [torch.randn(shape, device=device).mul_(0.01).requires_grad_() for shape in shapes]
    adam = torch.optim.Adam(weights, lr=0.1)

    def work():
        for _ in range(job["epochs"]):
            adam.zero_grad()
            user, item, user_bias, item_bias = weights
            guess = (user[u] * item[i]).sum(1) + user_bias[u, 0] + item_bias[i, 0]
            penalty = sum((weight * weight).sum() for weight in weights)
            loss = (guess - targets).square().mean() + 1.2 / len(r) * penalty
            loss.backward()
            adam.step()
        if device == "cuda":
            torch.cuda.synchronize()

    return timed(work)[1]


serve({"train": train})
