"""The table of launch/compare.sh: compare_table.py OUTPUT METHOD,... SEED,...

Reads OUTPUT/METHOD/seed-N and writes OUTPUT/comparison.csv (a row for each run) and OUTPUT/comparison.md (a row for
each method: means over the seeds, with 95 % intervals of Student's t where there are several).
"""
import csv
import json
import math
import re
import sys
from pathlib import Path

TESTS = ("test-biased", "test-unbiased", "test-confounding")
# 0.975 quantiles of Student's t for 1, 2, ... degrees of freedom.
QUANTILES = (12.71, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262, 2.228)


def predictions(run):
    """Predicted classes by test, in the order of the samples."""
    found = {test: [] for test in TESTS}
    with open(run / "evaluation" / "predictions.csv", newline="") as file:
        for row in csv.DictReader(file):
            found[row["split"]].append((row["id"], row["prediction"]))
    return found


def flips(first, second):
    """The share of samples whose prediction differs between two tests of the same images."""
    return sum(a[1] != b[1] for a, b in zip(first, second, strict=True)) / len(first)


def background_share(run):
    """Mean share of the relevance in the background, or None where there is no heatmap."""
    text = (run / "explanation.txt").read_text() if (run / "explanation.txt").exists() else ""
    found = re.search(r"share of relevance in the background, mean over \d+ heatmaps: ([0-9.eE+-]+)", text)
    return float(found.group(1)) if found else None


def measured(run):
    """The figures of one run, or None where it is not finished."""
    if not Path(f"{run}.done").exists():
        return None
    metrics = json.loads((run / "evaluation" / "metrics.json").read_text())
    biased, unbiased, confounding = (predictions(run)[test] for test in TESTS)
    figures = {test: metrics[test]["accuracy"] for test in TESTS}
    figures["taken out"] = flips(biased, unbiased)
    figures["moved"] = flips(biased, confounding)
    figures["put in"] = flips(unbiased, confounding)
    figures["background"] = background_share(run)
    figures["seconds"] = sum(map(int, Path(f"{run}.seconds").read_text().split()))
    return figures


def interval(values, digits=3):
    """Mean and half of its interval, as text."""
    values = [value for value in values if value is not None]
    if not values:
        return "–"
    mean = sum(values) / len(values)
    if len(values) == 1:
        return f"{mean:.{digits}f}"
    deviation = math.sqrt(sum((value - mean) ** 2 for value in values) / (len(values) - 1))
    quantile = QUANTILES[min(len(values) - 2, len(QUANTILES) - 1)]
    return f"{mean:.{digits}f} ± {quantile * deviation / math.sqrt(len(values)):.{digits}f}"


def main(output, methods, seeds):
    runs = {method: {seed: measured(output / method / f"seed-{seed}") for seed in seeds} for method in methods}
    names = [*TESTS, "taken out", "moved", "put in", "background", "seconds"]
    with open(output / "comparison.csv", "w", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(["method", "seed", *names])
        for method, by_seed in runs.items():
            for seed, figures in by_seed.items():
                if figures:
                    writer.writerow([method, seed, *("" if figures[name] is None else figures[name] for name in names)])
    lines = [
        "| method | seeds | mark as in training | no mark | another class's mark | flips: mark taken out | moved | put in "
        "| relevance in the background | seconds of training |",
        "|---|---|---|---|---|---|---|---|---|---|",
    ]
    for method, by_seed in runs.items():
        done = [figures for figures in by_seed.values() if figures]
        cells = [interval([figures[name] for figures in done]) for name in names[:-1]]
        cells.append(interval([figures["seconds"] for figures in done], 0))
        lines.append(f"| {method} | {len(done)} | " + " | ".join(cells) + " |")
    table = "\n".join(lines) + "\n"
    (output / "comparison.md").write_text(table)
    print(table, end="")


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2].split(","), sys.argv[3].split(","))
