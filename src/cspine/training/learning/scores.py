"""What is watched while a network learns: torchmetrics over the validation part, once per epoch."""

import warnings

import torch
from torchmetrics import MetricCollection
from torchmetrics.classification import (
    BinaryAccuracy,
    BinaryAUROC,
    BinaryF1Score,
    BinaryPrecision,
    BinaryRecall,
    MultilabelAccuracy,
    MultilabelAUROC,
    MultilabelF1Score,
    MultilabelPrecision,
    MultilabelRecall,
)


def make_metrics(labels: int) -> MetricCollection:
    """Return accuracy, precision, recall, F1 and AUC at threshold 0.5; for several labels their means over labels."""
    if labels == 1:
        return MetricCollection(
            {
                "accuracy": BinaryAccuracy(),
                "precision": BinaryPrecision(),
                "recall": BinaryRecall(),
                "f1": BinaryF1Score(),
                "auc": BinaryAUROC(),
            }
        )
    return MetricCollection(
        {
            "accuracy": MultilabelAccuracy(labels),
            "precision": MultilabelPrecision(labels),
            "recall": MultilabelRecall(labels),
            "f1": MultilabelF1Score(labels),
            "auc": MultilabelAUROC(labels),
        }
    )


def score(probabilities_NK: torch.Tensor, targets_NK: torch.Tensor) -> dict[str, float]:
    """Return the metrics of one validation part; one that its labels leave undefined is 0, as torchmetrics has it."""
    labels = targets_NK.shape[1]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # a part without positives: said by the caller, once
        metrics = make_metrics(labels)
        flat = labels == 1
        p, t = (probabilities_NK[:, 0], targets_NK[:, 0]) if flat else (probabilities_NK, targets_NK)
        return {name: float(value) for name, value in metrics(p, t.long()).items()}
