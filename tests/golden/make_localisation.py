"""Writes localisation.json: where the relevance of small heatmaps lies, and the probabilities of a small model while pixels
are deleted, by Quantus (0.6).

Heatmaps are B×H×W (sums over channels already), masks are 0 and 1. `flipping` has a model with one weight for each value of
the image and class: softmax(W·x).
"""
import json
import sys
import warnings
from pathlib import Path

import numpy as np
from quantus import PixelFlipping, PointingGame, RelevanceMassAccuracy, RelevanceRankAccuracy

SIDE, IMAGES = 6, 12


def localisation(rng):
    heatmaps = rng.normal(size=(IMAGES, 1, SIDE, SIDE))
    masks = np.zeros_like(heatmaps)
    for i in range(IMAGES):
        top, left = rng.integers(0, SIDE - 1, size=2)
        masks[i, 0, top:top + 1 + i % 4, left:left + 1 + i % 3] = 1
    heatmaps += 0.5 * masks
    images = np.zeros_like(heatmaps)
    labels = np.zeros(IMAGES, dtype=int)

    def scores(metric, absolute):
        return metric(abs=absolute, normalise=False, disable_warnings=True)(
            model=None, x_batch=images, y_batch=labels, a_batch=heatmaps, s_batch=masks)

    return {"side": SIDE, "heatmaps": heatmaps.reshape(IMAGES, -1).tolist(), "masks": masks.reshape(IMAGES, -1).tolist(),
            "relevance_mass_accuracy": [float(v) for v in scores(RelevanceMassAccuracy, True)],
            "relevance_rank_accuracy": [float(v) for v in scores(RelevanceRankAccuracy, False)],
            "pointing_game": [float(v) for v in scores(PointingGame, False)]}


class Model:
    """What PixelFlipping asks of a model."""

    def __init__(self, weights):
        self.weights = weights  # K×values

    def shape_input(self, x, shape, channel_first=None, batched=False):
        return x

    def predict(self, x):
        logits = x.reshape(len(x), -1) @ self.weights.T
        powers = np.exp(logits - logits.max(1, keepdims=True))
        return powers / powers.sum(1, keepdims=True)


def flipping(rng, steps=9, classes=3):
    images = rng.uniform(size=(IMAGES, 1, SIDE, SIDE))
    relevance = rng.normal(size=images.shape)
    labels = rng.integers(0, classes, size=IMAGES)
    weights = rng.normal(size=(classes, SIDE * SIDE))
    metric = PixelFlipping(features_in_step=SIDE * SIDE // steps, perturb_baseline=0.0, normalise=False,
                           disable_warnings=True)
    curves = metric.evaluate_batch(model=Model(weights), x_batch=images, y_batch=labels, a_batch=relevance)
    return {"side": SIDE, "steps": steps, "images": images.reshape(IMAGES, -1).tolist(),
            "relevance": relevance.reshape(IMAGES, -1).tolist(), "labels": labels.tolist(), "weights": weights.tolist(),
            "curves": np.asarray(curves).tolist()}


def main():
    warnings.simplefilter("ignore")
    rng = np.random.default_rng(5)
    text = json.dumps({"localisation": localisation(rng), "flipping": flipping(rng)})
    Path(sys.argv[1] if len(sys.argv) > 1 else Path(__file__).with_name("localisation.json")).write_text(text + "\n")


if __name__ == "__main__":
    main()
