#!/usr/bin/env python3
"""From a CSV to ratings by index: deltav beside polars on the same file, with as many threads.

    cargo bench --bench loading -- plant FILE
    python3 benches/loading.py FILE [RUNS]

deltav reads, numbers both ids, sees that no pair is rated twice and lays the ratings out by user. polars
reads the same file with both ids as categories, which is the fastest of its ways to number them by first
use. Both do so RUNS times (5 by default) in a process of their own, in turn, with 1, 2 and 4 threads.
The medians count. CPU seconds are those of a second reading in the same process.
"""

import json
import os
import resource
import statistics
import subprocess
import sys
import time

THREADS = [1, 2, 4]


def polars(path, runs):
    import polars as pl

    ids = {name: pl.Categorical for name in pl.read_csv(path, n_rows=1).columns[:2]}
    seconds = []
    for _ in range(runs):
        start = time.perf_counter()
        table = pl.read_csv(path, schema_overrides=ids)
        seconds.append(time.perf_counter() - start)
        assert len(table) > 0
    print(json.dumps(seconds))


def run(command, threads):
    """Its standard output and its CPU seconds."""
    names = ["RAYON_NUM_THREADS", "POLARS_MAX_THREADS"]
    environment = os.environ | dict.fromkeys(names, str(threads))
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    done = subprocess.run(command, env=environment, check=True, stdout=subprocess.PIPE, text=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    used = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return json.loads(done.stdout.strip().splitlines()[-1]), used


def main(path, runs):
    bench = ["cargo", "bench", "--quiet", "--bench", "loading", "--", "time", path]
    subprocess.run(bench + ["1"], check=True, stdout=subprocess.DEVNULL)  # built, and the file in memory
    print("| threads | deltav: read | layout | both | polars | polars / deltav | CPU s: deltav | polars | ratio |")
    print("|--:|--:|--:|--:|--:|--:|--:|--:|--:|")
    for threads in THREADS:
        ours, theirs, cpu = [], [], {"deltav": [], "polars": []}
        for _ in range(runs):
            found, one = run(bench + ["1"], threads)
            _, two = run(bench + ["2"], threads)
            cpu["deltav"].append(two - one)
            ours.append((found["read"][0], found["index"][0]))
            peer = [sys.executable, __file__, "--polars", path]
            seconds, one = run(peer + ["1"], threads)
            _, two = run(peer + ["2"], threads)
            cpu["polars"].append(two - one)
            theirs.append(seconds[0])
        read, layout = (statistics.median(column) for column in zip(*ours))
        both = statistics.median(sum(pair) for pair in ours)
        peer = statistics.median(theirs)
        used, peer_used = (statistics.median(cpu[name]) for name in ["deltav", "polars"])
        print(
            f"| {threads} | {read:.2f} s | {layout:.2f} s | {both:.2f} s | {peer:.2f} s | {peer / both:.2f} "
            f"| {used:.2f} | {peer_used:.2f} | {peer_used / used:.2f} |",
            flush=True,
        )


if __name__ == "__main__":
    if sys.argv[1] == "--polars":
        polars(sys.argv[2], int(sys.argv[3]))
    else:
        main(sys.argv[1], int(sys.argv[2]) if len(sys.argv) > 2 else 5)
