"""Makes reference.json and tests.json: figures by scikit-learn, scipy and numpy of random predictions.

python3 make_reference.py    (scikit-learn 1.9, scipy 1.17, numpy)
"""
import json
from pathlib import Path

import numpy as np
from scipy import stats
from sklearn import metrics

HERE = Path(__file__).parent
BINS = 15


def calibration_error(confidence, right):
    """Guo et al. 2017: bins (low, high] of equal width."""
    edges = np.linspace(0, 1, BINS + 1)
    place = np.clip(np.digitize(confidence, edges, right=True) - 1, 0, BINS - 1)
    counts = [int((place == b).sum()) for b in range(BINS)]
    gaps = [abs(confidence[place == b].mean() - right[place == b].mean()) if counts[b] else 0.0 for b in range(BINS)]
    return float(np.dot(gaps, counts) / len(right)), float(max(gaps)), counts


def true_positive_rate(attack, score, rate):
    false, true, _ = metrics.roc_curve(attack, score, drop_intermediate=False)
    return float(true[false <= rate + 1e-12].max())


def case(seed, rows, labels, skill):
    random = np.random.default_rng(seed)
    truth = random.choice(labels, size=rows, p=[0.5] + [0.5 / (labels - 1)] * (labels - 1))
    shares = random.dirichlet(np.full(labels, 0.7), size=rows)
    shares[np.arange(rows), truth] += random.random(rows) * skill
    shares /= shares.sum(axis=1, keepdims=True)
    # Thousandths, so that scores are equal now and then; no two equal in one row, where scikit-learn takes the last and we the first.
    grains = np.floor(shares * 1000).astype(int)
    grains[np.arange(rows), shares.argmax(axis=1)] += 1000 - grains.sum(axis=1)
    for row in grains:
        while len(set(row)) < labels:
            duplicate = [i for i in range(labels) if list(row).count(row[i]) > 1][0]
            row[duplicate] += 1
            row[row.argmax()] -= 1
    scores = (grains / 1000).astype(np.float32)
    exact = scores.astype(np.float64)
    # An attack is what benign, the first label, leaves; where that is more than benign has, the surest attack label is the answer.
    names = list(range(labels))
    attack, attack_score = truth != 0, 1 - exact[:, 0]
    predicted = np.where(grains[:, 0] < 500, exact[:, 1:].argmax(axis=1) + 1, 0)
    answer_first = exact.copy()
    answer_first[np.arange(rows), predicted] = 2
    occurring = sorted(set(truth) | set(predicted))
    report = metrics.classification_report(truth, predicted, target_names=[f"label{i}" for i in occurring], digits=4, zero_division=0)
    error, worst, counts = calibration_error(exact[np.arange(rows), predicted], predicted == truth)
    return {
        "labels": labels,
        "truth": truth.tolist(),
        "thousandths": grains.tolist(),
        "report": report,
        "matrix": metrics.confusion_matrix(truth, predicted, labels=names).tolist(),
        "accuracy": metrics.accuracy_score(truth, predicted),
        "macro_f1": metrics.f1_score(truth, predicted, average="macro", zero_division=0),
        "top_3": metrics.top_k_accuracy_score(truth, answer_first, k=3, labels=names) if labels > 3 else 1.0,
        "area_under_roc": metrics.roc_auc_score(attack, attack_score),
        "average_precision": metrics.average_precision_score(attack, attack_score),
        "true_positive_rates": {str(rate): true_positive_rate(attack, attack_score, rate) for rate in (0.05, 0.02, 0.1)},
        "brier_score": metrics.brier_score_loss(truth, exact, labels=names, scale_by_half=False),
        "negative_log_likelihood": metrics.log_loss(truth, exact, labels=names),
        "calibration_error": error,
        "maximum_calibration_error": worst,
        "bins": counts,
    }


def population_stability(reference, new, floor=0.5):
    """Shares of counts with half a row added to each bin."""
    p = (np.array(reference) + floor) / (sum(reference) + floor * len(reference))
    q = (np.array(new) + floor) / (sum(new) + floor * len(new))
    return float(((q - p) * np.log(q / p)).sum())


cases = [case(1, 300, 4, 1.0), case(2, 200, 5, 0.3), case(3, 150, 2, 0.6), case(4, 60, 8, 3.0), case(5, 20, 30, 2.0), case(6, 15, 12, 1.0)]
(HERE / "reference.json").write_text(json.dumps(cases, separators=(",", ":")) + "\n")
pairs = [(0, 0), (0, 1), (1, 1), (3, 9), (10, 10), (12, 40), (200, 260), (0, 2000), (1000, 1100), (4000, 4000)]
tests = {
    "mcnemar": [[b, c, float(stats.binomtest(min(b, c), b + c, 0.5).pvalue) if b + c else 1.0] for b, c in pairs],
    "stability": [
        [a, b, population_stability(a, b)]
        for a, b in [([10, 20, 30], [10, 20, 30]), ([100, 100], [50, 150]), ([5, 0, 95], [0, 50, 50]), ([1000] * 10, [900, 1100] * 5)]
    ],
}
(HERE / "tests.json").write_text(json.dumps(tests, separators=(",", ":")) + "\n")
