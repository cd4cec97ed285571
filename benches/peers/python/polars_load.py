"""polars: read a CSV and number the ids of both sides, by whichever way is fastest."""

import polars as pl
from worker import FOLDER, serve, timed

PATH = FOLDER / "train.csv"


def codes(frame, column):
    """Each id's number in the order of first use, as pandas' factorize has it."""
    ids = frame.select(pl.col(column).unique(maintain_order=True)).with_row_index("code")
    return frame.select(column).join(ids, on=column, how="left", maintain_order="left")["code"]


def by_rank(frame, column):
    return frame[column].rank("dense")


WAYS = [codes, by_rank]


def load(job):
    best = None
    for way in WAYS:
        def work():
            frame = pl.read_csv(PATH)
            return [way(frame, column) for column in frame.columns[:2]]

        numbers, done = timed(work)
        assert numbers[0].len() == numbers[1].len()
        if best is None or done["wall"] < best["wall"]:
            best = done
    return best


serve({"load": load})
