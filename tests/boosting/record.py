"""Writes what scikit-learn's HistGradientBoosting makes of the example data: tests/fixtures/boosting.json.

python3 tests/boosting/record.py, with scikit-learn 1.9. Features are rounded to 32 bits first, as trees here see them.
Of each tree the nodes in the order of a walk that goes left first: rows, feature and threshold of a split, value of a leaf.
"""

import csv
import json
import pathlib

import numpy as np
import sklearn
from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor
from sklearn.metrics import log_loss, mean_squared_error
from sklearn.model_selection import train_test_split

HERE = pathlib.Path(__file__).resolve().parent.parent.parent
COMMON = dict(early_stopping=False, max_bins=255)
CASES = {
    "diabetes": (HistGradientBoostingRegressor, dict(max_iter=12, max_leaf_nodes=9, min_samples_leaf=8)),
    "breast_cancer": (
        HistGradientBoostingClassifier,
        dict(max_iter=12, max_leaf_nodes=6, min_samples_leaf=12, l2_regularization=0.5),
    ),
    "iris": (HistGradientBoostingClassifier, dict(max_iter=8, max_depth=3, min_samples_leaf=5, learning_rate=0.2)),
}


def rows_of(name):
    with open(HERE / "examples" / "data" / f"{name}.csv", newline="") as file:
        lines = list(csv.reader(file))
    table = np.array([[float(cell) for cell in line] for line in lines[1:]])
    return table[:, :-1].astype(np.float32).astype(np.float64), table[:, -1]


def tree_of(predictor):
    nodes, lines, queue = predictor.nodes, [], [0]
    while queue:
        node = nodes[queue.pop()]
        if node["is_leaf"]:
            lines.append([int(node["count"]), None, None, float(node["value"])])
        else:
            lines.append([int(node["count"]), int(node["feature_idx"]), float(node["num_threshold"]), None])
            queue += [int(node["right"]), int(node["left"])]
    return lines


def case_of(name, estimator, settings):
    x, y = rows_of(name)
    x_train, x_test, y_train, y_test = train_test_split(x, y, test_size=0.2, random_state=42)
    model = estimator(**COMMON, **settings).fit(x_train, y_train)
    trees = [tree_of(tree) for of_round in model._predictors for tree in of_round]
    base = [float(value) for value in np.ravel(model._baseline_prediction)]
    if estimator is HistGradientBoostingRegressor:
        test = mean_squared_error(y_test, model.predict(x_test))
    else:
        test = log_loss(y_test, model.predict_proba(x_test))
    return dict(settings=settings, base=base, trees=trees, test=float(test))


cases = {name: case_of(name, *case) for name, case in CASES.items()}
document = dict(sklearn=sklearn.__version__, **cases)
(HERE / "tests" / "fixtures" / "boosting.json").write_text(json.dumps(document, separators=(",", ":")) + "\n")
