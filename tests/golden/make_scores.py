"""Writes scores.json: scores, intervals and tests of small sets of predictions by scikit-learn, SciPy, statsmodels and
pROC (R; run by Rscript), and by brute force where these have nothing.

Each of `cases` holds inputs (`labels`, `probabilities`, for some `weights`: how often each sample counts) and what is
expected of them, by the names of docs/evaluation.md.
"""
import json
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import scipy.optimize
import scipy.special
import scipy.stats
from sklearn import metrics
from sklearn.calibration import calibration_curve
from statsmodels.stats import contingency_tables, multitest, proportion

BINS = 15


def ratios(labels, predicted, weights, classes, multi):
    """By class and averaged; specificity and NPV from the matrices."""
    names = list(range(classes))
    common = dict(sample_weight=weights, zero_division=0)
    if not multi:
        common["labels"] = names
    expected = {}
    matrices = metrics.multilabel_confusion_matrix(labels, predicted, sample_weight=weights,
                                                   **({} if multi else {"labels": names}))
    tn, fp, fn, tp = (matrices[:, 0, 0], matrices[:, 0, 1], matrices[:, 1, 0], matrices[:, 1, 1])
    support = tp + fn

    def share(part, whole):
        return np.divide(part, whole, out=np.zeros(len(np.atleast_1d(part))), where=np.atleast_1d(whole) > 0)

    by_class = {"specificity": share(tn, tn + fp), "npv": share(tn, tn + fn)}
    micro = {"specificity": tn.sum() / (tn + fp).sum(), "npv": tn.sum() / (tn + fn).sum()}
    for name, score in (("precision", metrics.precision_score), ("recall", metrics.recall_score),
                        ("f1", metrics.f1_score)):
        by_class[name] = score(labels, predicted, average=None, **common)
        for average in ("macro", "micro", "weighted"):
            expected[f"{average}_{name}"] = score(labels, predicted, average=average, **common)
    for name, values in micro.items():
        expected[f"macro_{name}"] = by_class[name].mean()
        expected[f"micro_{name}"] = values
        expected[f"weighted_{name}"] = np.average(by_class[name], weights=support)
    binary = [(labels[:, k], predicted[:, k]) if multi else (labels == k, predicted == k) for k in names]
    by_class["mcc"] = [metrics.matthews_corrcoef(*pair, sample_weight=weights) for pair in binary]
    by_class["kappa"] = [metrics.cohen_kappa_score(*pair, sample_weight=weights) for pair in binary]
    by_class["balanced_accuracy"] = [metrics.balanced_accuracy_score(*pair, sample_weight=weights) for pair in binary]
    return expected, by_class


def calibration_error(confidence, true, weights):
    error = 0
    for low in range(BINS):
        inside = (confidence > low / BINS) & (confidence <= (low + 1) / BINS)
        if low == 0:
            inside |= confidence == 0
        if weights[inside].sum() > 0:
            error += weights[inside].sum() * abs(np.average(true[inside], weights=weights[inside]) -
                                                 np.average(confidence[inside], weights=weights[inside]))
    return error / weights.sum()


def case(name, labels, probabilities, weights=None):
    multi = labels.ndim == 2
    classes = probabilities.shape[1]
    predicted = (probabilities > 0.5).astype(int) if multi else probabilities.argmax(1)
    flags = labels if multi else np.eye(classes, dtype=int)[labels]
    each = np.ones(len(labels)) if weights is None else weights
    expected, by_class = ratios(labels, predicted, weights, classes, multi)
    by_class["auc"] = [metrics.roc_auc_score(flags[:, k], probabilities[:, k], sample_weight=weights)
                       for k in range(classes)]
    by_class["average_precision"] = [
        metrics.average_precision_score(flags[:, k], probabilities[:, k], sample_weight=weights) for k in range(classes)]
    support = (flags * each[:, None]).sum(0)
    expected["auc_macro"] = np.mean(by_class["auc"])
    expected["auc_weighted"] = np.average(by_class["auc"], weights=support)
    expected["average_precision_macro"] = np.mean(by_class["average_precision"])
    expected["average_precision_weighted"] = np.average(by_class["average_precision"], weights=support)
    if multi:
        expected["accuracy"] = np.average((labels == predicted).mean(1), weights=each)
        expected["exact_match"] = metrics.accuracy_score(labels, predicted, sample_weight=weights)
        expected["log_loss"] = np.mean([metrics.log_loss(labels[:, k], probabilities[:, k], sample_weight=weights)
                                        for k in range(classes)])
        expected["brier"] = np.mean([metrics.brier_score_loss(labels[:, k], probabilities[:, k], sample_weight=weights)
                                     for k in range(classes)])
        expected["ece"] = calibration_error(probabilities.ravel(), labels.ravel(), np.repeat(each, classes))
    else:
        expected["accuracy"] = metrics.accuracy_score(labels, predicted, sample_weight=weights)
        expected["balanced_accuracy"] = metrics.balanced_accuracy_score(labels, predicted, sample_weight=weights)
        expected["kappa"] = metrics.cohen_kappa_score(labels, predicted, sample_weight=weights)
        expected["mcc"] = metrics.matthews_corrcoef(labels, predicted, sample_weight=weights)
        expected["log_loss"] = metrics.log_loss(labels, probabilities, sample_weight=weights)
        given = probabilities[:, 1] if classes == 2 else probabilities
        expected["brier"] = metrics.brier_score_loss(labels, given, sample_weight=weights)
        expected["ece"] = calibration_error(probabilities.max(1), (labels == predicted), each)
        if classes > 2:
            repeated = np.repeat(np.arange(len(labels)), 1 if weights is None else weights.astype(int))
            expected["auc_hand_till"] = metrics.roc_auc_score(labels[repeated], probabilities[repeated],
                                                              multi_class="ovo", average="macro")
            expected["top_2_accuracy"] = metrics.top_k_accuracy_score(labels, probabilities, k=2, sample_weight=weights)
            if weights is None:  # the same by another road
                ovr = metrics.roc_auc_score(labels, probabilities, multi_class="ovr", average="macro")
                assert abs(ovr - expected["auc_macro"]) < 1e-14
    result = {"name": name, "classes": classes, "multi_label": multi, "labels": labels.ravel().tolist(),
              "probabilities": probabilities.ravel().tolist(), "expected": expected,
              "by_class": {key: np.asarray(values).tolist() for key, values in by_class.items()}}
    if weights is not None:
        result["weights"] = weights.astype(int).tolist()
        return result
    fpr, tpr, thresholds = metrics.roc_curve(flags[:, 1], probabilities[:, 1], drop_intermediate=False)
    result["roc"] = {"x": fpr.tolist(), "y": tpr.tolist(), "thresholds": thresholds[1:].tolist()}
    precision, recall, thresholds = metrics.precision_recall_curve(flags[:, 1], probabilities[:, 1])
    result["precision_recall"] = {"x": recall[:-1].tolist(), "y": precision[:-1].tolist(),
                                  "thresholds": thresholds.tolist()}
    if multi:
        frequency, confidence = calibration_curve(labels.ravel(), probabilities.ravel(), n_bins=BINS)
        result["reliability"] = {"frequency": frequency.tolist(), "confidence": confidence.tolist()}
    result["temperature"] = temperature(flags, probabilities, multi)
    result["operating_points"] = operating_points(flags[:, 1], probabilities[:, 1])
    return result


def temperature(flags, probabilities, multi):
    """The root of the loss's derivative; the minimum of scikit-learn's log loss is at the same place."""
    logits = scipy.special.logit(probabilities) if multi else np.log(probabilities)

    def scaled(inverse):
        return scipy.special.expit(logits * inverse) if multi else scipy.special.softmax(logits * inverse, axis=1)

    root = scipy.optimize.brentq(lambda inverse: ((scaled(inverse) - flags) * logits).sum(), 1e-3, 1e3, xtol=1e-15,
                                 rtol=1e-14)
    loss = (lambda t: np.mean([metrics.log_loss(f, p) for f, p in zip(flags.T, scaled(1 / t).T)])) if multi else (
        lambda t: metrics.log_loss(flags.argmax(1), scaled(1 / t)))
    least = scipy.optimize.minimize_scalar(loss, bounds=(0.01, 100), method="bounded", options={"xatol": 1e-10})
    assert abs(least.x - 1 / root) < 1e-5, (least.x, 1 / root)
    return {"value": 1 / root, "loss": loss(1 / root)}


def operating_points(labels, scores):
    candidates = np.concatenate([[np.inf], np.unique(scores)[::-1]])

    def counts(threshold):
        said = scores >= threshold
        return (said & (labels == 1)).sum(), (said & (labels == 0)).sum(), (~said & (labels == 1)).sum(), (
            ~said & (labels == 0)).sum()

    table = [counts(t) for t in candidates]
    sensitivity = np.array([tp / (tp + fn) for tp, fp, fn, tn in table])
    specificity = np.array([tn / (tn + fp) for tp, fp, fn, tn in table])
    f1 = np.array([2 * tp / (2 * tp + fp + fn) for tp, fp, fn, tn in table])
    youden = sensitivity + specificity - 1
    best = {"youden": np.flatnonzero(youden >= youden.max() - 1e-12)[0],
            "f1": np.flatnonzero(f1 >= f1.max() - 1e-12)[0],
            "sensitivity=0.9": np.flatnonzero(sensitivity >= 0.9)[0],
            "specificity=0.8": np.flatnonzero(specificity >= 0.8)[-1]}
    return {name: {"threshold": candidates[i], "counts": [int(c) for c in table[i]]} for name, i in best.items()}


def r_numbers(program):
    with tempfile.NamedTemporaryFile("w", suffix=".R") as file:
        file.write("suppressMessages(library(pROC))\noptions(digits = 17)\n" + program)
        file.flush()
        output = subprocess.run(["Rscript", file.name], check=True, capture_output=True, text=True).stdout
    return [float(word) for word in output.split()]


def delong(random):
    """pROC's intervals and paired test; also of models with many ties, and one that is always right."""
    cases = []
    for name, decimals, count in (("plain", 6, 60), ("ties", 1, 80), ("unbalanced", 3, 70)):
        labels = (random.random(count) < (0.15 if name == "unbalanced" else 0.45)).astype(int)
        labels[:4] = [0, 1, 0, 1]
        first = np.round(np.clip(0.5 + 0.25 * (labels - 0.5) + 0.2 * random.standard_normal(count), 0, 1), decimals)
        second = np.round(np.clip(0.6 * first + 0.1 * labels + 0.15 * random.random(count), 0, 1), decimals)
        vectors = {"y": labels, "a": first, "b": second}
        program = "".join(f"{key} <- c({', '.join(map(repr, map(float, values)))})\n" for key, values in vectors.items())
        program += """
ra <- roc(y, a, direction = "<", quiet = TRUE); rb <- roc(y, b, direction = "<", quiet = TRUE)
test <- roc.test(ra, rb, method = "delong", paired = TRUE)
cat(sprintf("%.17g\\n", c(auc(ra), auc(rb), ci.auc(ra, method = "delong"), var(ra), var(rb), cov(ra, rb),
    test$statistic, test$p.value)))
"""
        a, b, low, middle, high, var_a, var_b, cov, z, p = r_numbers(program)
        cases.append({"name": name, "labels": labels.tolist(), "first": first.tolist(), "second": second.tolist(),
                      "auc": [a, b], "low": max(0.0, low), "high": min(1.0, high), "variance": [var_a, var_b],
                      "covariance": cov, "z": z, "p": p})
    return cases


def implicit_class(random):
    """All thresholds tried one by one, with scikit-learn's macro F1."""
    labels = random.integers(0, 4, 90)  # 3: none of the three classes
    probabilities = np.clip(random.random((90, 3)) * 0.6, 0, 1)
    known = labels < 3
    probabilities[known, labels[known]] += 0.3 * random.random(known.sum())
    probabilities = np.round(probabilities, 3)
    largest, argmax = probabilities.max(1), probabilities.argmax(1)
    best = (-1, None)
    for threshold in np.concatenate([np.unique(largest), [np.nextafter(largest.max(), 2)]]):
        decided = np.where(largest < threshold, 3, argmax)
        score = metrics.f1_score(labels, decided, labels=range(4), average="macro", zero_division=0)
        if score > best[0] + 1e-12:
            best = (score, threshold)
    decided = np.where(largest < best[1], 3, argmax)
    return {"labels": labels.tolist(), "probabilities": probabilities.ravel().tolist(), "threshold": best[1],
            "macro_f1": best[0], "confusion_matrix": metrics.confusion_matrix(labels, decided).ravel().tolist(),
            "auc": metrics.roc_auc_score(labels == 3, 1 - largest)}


def hdi_of_beta(a, b):
    """The narrowest interval of a beta distribution that holds 95 %."""
    beta = scipy.stats.beta(a, b)
    best = scipy.optimize.minimize_scalar(lambda q: beta.ppf(q + 0.95) - beta.ppf(q), bounds=(0, 0.05), method="bounded",
                                          options={"xatol": 1e-12})
    return [beta.ppf(best.x), beta.ppf(best.x + 0.95)]


def posterior(random):
    """Recall is a beta variable, exactly; the rest from a million draws of NumPy's Dirichlet distributions."""
    counts = np.array([[43, 5, 2], [6, 31, 9], [1, 3, 50]])
    recall = []
    for k in range(3):
        a, b = counts[k, k] + 1, counts[k].sum() - counts[k, k] + 2
        recall.append({"mean": scipy.stats.beta.mean(a, b), "deviation": scipy.stats.beta.std(a, b),
                       "hdi": hdi_of_beta(a, b)})
    draws = 1_000_000
    share = random.dirichlet(counts.sum(1) + 1, draws)
    rows = np.stack([random.dirichlet(row + 1, draws) for row in counts], axis=1)
    right = share * np.diagonal(rows, axis1=1, axis2=2)
    precision = right / np.einsum("dj,djk->dk", share, rows)
    recalls = np.diagonal(rows, axis1=1, axis2=2)
    f1 = 2 * precision * recalls / (precision + recalls)

    def summary(values):
        values = np.sort(values)
        inside = int(0.95 * draws)
        narrowest = np.argmin(values[inside:] - values[:draws - inside])
        return {"mean": values.mean(), "deviation": values.std(), "hdi": [values[narrowest], values[narrowest + inside]]}

    return {"counts": counts.ravel().tolist(), "recall": recall, "accuracy": summary(right.sum(1)),
            "precision": [summary(precision[:, k]) for k in range(3)], "f1": [summary(f1[:, k]) for k in range(3)],
            "macro_f1": summary(f1.mean(1))}


def bootstrap(random):
    """Percentiles of 100 000 stratified replicates, by NumPy: what any other seed comes near to."""
    labels = np.repeat([0, 1], [60, 40])
    scores = np.round(np.clip(0.3 + 0.3 * labels + 0.25 * random.standard_normal(100), 0, 1), 3)
    probabilities = np.stack([1 - scores, scores], axis=1)
    accuracies, areas = [], []
    for _ in range(100_000):
        chosen = np.concatenate([random.integers(0, 60, 60), random.integers(60, 100, 40)])
        accuracies.append(((scores[chosen] > 0.5) == labels[chosen]).mean())
        positive, negative = np.sort(scores[chosen[60:]]), np.sort(scores[chosen[:60]])
        below = np.searchsorted(negative, positive, "left") + np.searchsorted(negative, positive, "right")
        areas.append(below.sum() / (2 * 60 * 40))
    return {"labels": labels.tolist(), "probabilities": probabilities.ravel().tolist(),
            "accuracy": np.percentile(accuracies, [2.5, 97.5]).tolist(),
            "auc_macro": np.percentile(areas, [2.5, 97.5]).tolist(), "auc_deviation": float(np.std(areas))}


def small_tests(random):
    wilson = []
    for part, whole in ((0, 10), (10, 10), (7, 9), (81, 263), (999_999, 1_000_000), (1, 1)):
        low, high = proportion.proportion_confint(part, whole, method="wilson")
        wilson.append({"part": part, "whole": whole, "low": low, "high": high})
    mcnemar = []
    for b, c in ((10, 3), (0, 5), (25, 25), (121, 59), (1, 0)):
        table = [[50, b], [c, 40]]
        exact = contingency_tables.mcnemar(table, exact=True)
        corrected = contingency_tables.mcnemar(table, exact=False, correction=True)
        mcnemar.append({"only_first": b, "only_second": c, "exact_p": exact.pvalue, "statistic": corrected.statistic,
                        "corrected_p": corrected.pvalue})
    values = [0.01, 0.04, 0.03, 0.005, 0.2, 0.04, 0.9]
    return {"wilson": wilson, "mcnemar": mcnemar,
            "holm": {"p": values, "adjusted": multitest.multipletests(values, method="holm")[1].tolist()}}


def main():
    random = np.random.default_rng(20)
    labels = (random.random(80) < 0.4).astype(int)
    scores = np.round(np.clip(0.4 + 0.25 * labels + 0.22 * random.standard_normal(80), 0.01, 0.99), 2)
    binary = np.stack([1 - scores, scores], axis=1)
    classes = random.choice(4, 120, p=[0.4, 0.3, 0.25, 0.05])
    logits = random.standard_normal((120, 4)) * 1.5 + 1.6 * np.eye(4)[classes]
    several = scipy.special.softmax(logits, axis=1)
    flags = (random.random((90, 3)) < [0.5, 0.3, 0.15]).astype(int)
    multi = np.round(scipy.special.expit(2.2 * (flags - 0.5) + 1.3 * random.standard_normal((90, 3))), 3)
    weights = random.integers(0, 4, 120).astype(float)
    golden = {"cases": [case("binary", labels, binary), case("multi-class", classes, several),
                        case("multi-label", flags, multi),
                        case("multi-class, weighted", classes, several, weights),
                        case("multi-label, weighted", flags, multi, weights[:90])],
              "delong": delong(random), "implicit_class": implicit_class(random), "posterior": posterior(random),
              "bootstrap": bootstrap(random), **small_tests(random)}
    Path(sys.argv[1]).write_text(json.dumps(golden, default=float) + "\n")


main()
