"""Metric definitions of the built-in algorithms, as DescribeTrainingJob shows them.

Sources: https://docs.aws.amazon.com/sagemaker/latest/dg/xgboost-tuning.html,
https://docs.aws.amazon.com/sagemaker/latest/dg/linear-learner-tuning.html and the metrics of
https://github.com/aws/sagemaker-xgboost-container
"""

from __future__ import annotations

from ..training import MetricDefinition

XGBOOST_MAXIMIZE = (
    "accuracy",
    "auc",
    "aucpr",
    "balanced_accuracy",
    "f1",
    "f1_binary",
    "f1_macro",
    "map",
    "ndcg",
    "precision",
    "precision_macro",
    "precision_micro",
    "r2",
    "recall",
    "recall_macro",
    "recall_micro",
)
XGBOOST_MINIMIZE = (
    "aft-nloglik",
    "cox-nloglik",
    "error",
    "gamma-deviance",
    "gamma-nloglik",
    "interval-regression-accuracy",
    "logloss",
    "mae",
    "mape",
    "merror",
    "mlogloss",
    "mphe",
    "mse",
    "poisson-nloglik",
    "rmse",
    "rmsle",
    "tweedie-nloglik",
)

# A value ends where the next tab begins, which the log shows as #011: \S+ would run over it.
_NUMBER = r"([-+]?[0-9]*\.?[0-9]+(?:[eE][-+]?[0-9]+)?)"

XGBOOST = tuple(
    MetricDefinition(
        f"{channel}:{metric}",
        rf".*\[[0-9]+\].*#011{channel}-{metric}:{_NUMBER}.*",
        contains=f"#011{channel}-{metric}:",
    )
    for channel in ("train", "validation")
    for metric in (*XGBOOST_MAXIMIZE, *XGBOOST_MINIMIZE)
)

_LINEAR_LEARNER_SCORES = {
    "binary_classification_accuracy": "binary_classification_accuracy",
    "binary_f_beta": r"binary_f_\S+",
    "precision": "precision",
    "recall": "recall",
    "roc_auc_score": "roc_auc_score",
    "multiclass_accuracy": "multiclass_accuracy",
    "multiclass_top_k_accuracy": r"multiclass_top_k_accuracy_\S+",
    "macro_f_beta": r"macro_f_\S+",
    "macro_precision": "macro_precision",
    "macro_recall": "macro_recall",
    "dcg": "dcg",
}
_LINEAR_LEARNER_LOSSES = {"mse": "mse", "rmse": "rmse", "absolute_loss": "absolute_loss"}
_PREFIX = r"#quality_metric: host=\S+, "

LINEAR_LEARNER = (
    *(
        MetricDefinition(f"{channel}:objective_loss", rf"{_PREFIX}epoch=\S+, {channel} \S+_objective <loss>=(\S+)")
        for channel in ("train", "validation")
    ),
    *(
        MetricDefinition(f"{channel}:objective_loss:final", rf"{_PREFIX}{channel} \S+_objective <loss>=(\S+)")
        for channel in ("train", "validation")
    ),
    MetricDefinition("test:objective_loss", rf"{_PREFIX}test \S+_objective <loss>=(\S+)"),
    *(
        MetricDefinition(f"{channel}:{name}", rf"{_PREFIX}{channel} {printed} <{kind}>=(\S+)")
        for channel in ("train", "validation", "test")
        for kind, metrics in (("score", _LINEAR_LEARNER_SCORES), ("loss", _LINEAR_LEARNER_LOSSES))
        for name, printed in metrics.items()
    ),
    MetricDefinition("train:progress", r"#progress_metric: host=\S+, completed (\S+) %"),
)

KMEANS = tuple(MetricDefinition(f"test:{name}", rf"{_PREFIX}test {name} <loss>=(\S+)") for name in ("msd", "ssd"))
KNN = (
    MetricDefinition("test:accuracy", rf"{_PREFIX}test accuracy <score>=(\S+)"),
    MetricDefinition("test:mse", rf"{_PREFIX}test mse <loss>=(\S+)"),
)
