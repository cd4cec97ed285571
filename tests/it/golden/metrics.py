"""Makes metrics.json: what scikit-learn and trec_eval say of small random rankings.

Made with Python 3.11 to 3.13, numpy 2.4.6, scikit-learn 1.9.1 and pytrec_eval-terrier 0.5.11:

    pip install numpy==2.4.6 scikit-learn==1.9.1 pytrec_eval-terrier==0.5.11
    python metrics.py > metrics.json
"""

import json

import numpy as np
import pytrec_eval
from sklearn.metrics import average_precision_score, ndcg_score, roc_auc_score

USERS, ITEMS, RELEVANT, CUTOFFS = 12, 30, 4.0, [1, 3, 10, 30]


def case(seed, ties):
    rng = np.random.default_rng(seed)
    train = rng.random((USERS, ITEMS)) < 0.3
    train[0] = True  # every item is known; this user has no candidate
    test = (rng.random((USERS, ITEMS)) < 0.3) & ~train
    ratings = rng.integers(1, 6, (USERS, ITEMS))
    scores = rng.normal(size=(USERS, ITEMS))
    if ties:
        scores = np.round(scores)
    mean = lambda values: float(np.mean(values))
    of_user, listed = [], {k: set() for k in CUTOFFS}
    for user in range(USERS):
        candidates = np.flatnonzero(~train[user])
        liked = np.array([bool(test[user, i] and ratings[user, i] >= RELEVANT) for i in candidates])
        if not liked.any():
            continue
        # Of equals the lower item first. The libraries break ties their own ways, so they get ranks.
        order = np.lexsort((candidates, -scores[user, candidates]))
        rank_score = np.empty(len(order))
        rank_score[order] = np.arange(len(order), 0, -1)
        for k in CUTOFFS:
            listed[k].update(int(i) for i in candidates[order[:k]])
        measures = {f"{name}.{','.join(map(str, CUTOFFS))}" for name in ["P", "recall", "ndcg_cut", "map_cut", "success"]}
        qrel = {"q": {str(i): int(l) for i, l in zip(candidates, liked)}}
        run = {"q": {str(i): float(s) for i, s in zip(candidates, rank_score)}}
        trec = pytrec_eval.RelevanceEvaluator(qrel, measures | {"recip_rank"}).evaluate(run)["q"]
        values = {"mrr": trec["recip_rank"], "auc": float(roc_auc_score(liked, scores[user, candidates]))}
        for k in CUTOFFS:
            ndcg = float(ndcg_score([liked], [rank_score], k=k))
            assert abs(ndcg - trec[f"ndcg_cut_{k}"]) < 1e-12
            # trec_eval divides by all relevant items, not by those that fit into the list.
            shrink = liked.sum() / min(k, liked.sum())
            values[f"precision@{k}"] = trec[f"P_{k}"]
            values[f"recall@{k}"] = trec[f"recall_{k}"]
            values[f"ndcg@{k}"] = ndcg
            values[f"map@{k}"] = trec[f"map_cut_{k}"] * shrink
            values[f"hit_rate@{k}"] = trec[f"success_{k}"]
        whole = float(average_precision_score(liked, rank_score))
        assert abs(whole - values[f"map@{ITEMS}"]) < 1e-12
        of_user.append(values)
    expected = {name: mean([values[name] for values in of_user]) for name in of_user[0]}
    expected |= {f"coverage@{k}": len(listed[k]) / ITEMS for k in CUTOFFS}
    return {
        "users": len(of_user),
        "relevant": RELEVANT,
        "cutoffs": CUTOFFS,
        "train": [[int(u), int(i)] for u, i in np.argwhere(train)],
        "test": [[int(u), int(i), int(ratings[u, i])] for u, i in np.argwhere(test)],
        "scores": scores.tolist(),
        "expected": expected,
    }


if __name__ == "__main__":
    # A line a case.
    print("[" + ",\n".join(json.dumps(case(seed, ties)) for seed, ties in [(1, False), (2, True), (3, True)]) + "]")
