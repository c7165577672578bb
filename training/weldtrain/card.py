"""MODEL_CARD.md: what the model is, how it was made, how good it is."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from .fitting import Fitted
from .metrics import auc_pr, best_f1, f1_at, mean_of_known, precision_recall

# Standard deviations of the simulated measurement, mm: no model can have a smaller error.
LABEL_NOISE_MM = (0.12, 0.015, 0.015, 0.03)
REGRESSION_NAMES = ("diameter", "indentation", "front_thickness", "stack_thickness")
OVERRIDE = 0.9999


SIMULATED = """It was trained on **simulated** welds. It shows that the fleet works end to end; it says nothing about a real plant's
welds. Train on your own labelled welds before acting on its verdicts."""
OWN = "It was trained on the labelled welds of `{table}`."
SIMULATED_SHARE = """the training days
have a raised NOK share, and NOK welds weigh sqrt(OK/NOK) in the loss. Hence `nok_prob` refers to that share, not to the
plant's 0.6 %: it ranks welds, and 0.9 does not mean that nine of ten are NOK."""
OWN_SHARE = """NOK welds weigh
sqrt(OK/NOK) in the loss. `nok_prob` refers to that and to the NOK share of the training days: it ranks welds, and 0.9
does not mean that nine of ten are NOK."""
NOT_TRAINED = "not trained"
SIMULATED_LIMITS = """- Burn: not trained, as the simulated days have none (`--burn-rate`). The rule `resistance_peak` looks for burn marks.
- Simulated welds of two-pulse programs on low-carbon steel, sampled at 1 kHz; curves of 600 points and of varying length.
- The simulator leaves a narrow gap between the coldest OK and the hottest undersize weld; real welds have none.
"""
OWN_LIMITS = """- It knows the welds of those days, sampled every {interval_ms:g} ms; other parts, programs or sensors need training.
"""


def evaluate(data: Fitted, probability: np.ndarray, regression: np.ndarray, threshold: float) -> dict:
    """Every figure of the card for one test day."""
    called = probability >= np.float32(threshold)
    precision, recall = precision_recall(called, data.nok)
    difference = regression - data.measured
    return {
        "welds": len(data),
        "nok": int(data.nok.sum()),
        "auc_pr": auc_pr(probability, data.nok),
        "f1": f1_at(probability, data.nok, threshold),
        "best_f1": best_f1(probability, data.nok),
        "precision": precision,
        "recall": recall,
        "false_alarms": int((called & ~data.nok).sum()),
        "override_recall": float((probability >= OVERRIDE)[data.nok].mean()) if data.nok.any() else 0.0,
        "override_false_alarms": int(((probability >= OVERRIDE) & ~data.nok).sum()),
        "mae_mm": mean_of_known(np.abs(difference)),
        "rmse_mm": [mean and float(np.sqrt(mean)) for mean in mean_of_known(difference**2)],
        "defects": {
            str(kind): {
                "welds": int(of_kind.sum()),
                "recall": float(called[of_kind].mean()),
                "override_recall": float((probability[of_kind] >= OVERRIDE).mean()),
            }
            for kind in sorted(set(data.defect[data.nok]))
            for of_kind in [(data.defect == kind) & data.nok]
        },
    }


def _row(*cells: object) -> str:
    return "| " + " | ".join(str(cell) for cell in cells) + " |"


def _mm(value: float | None) -> str:
    return "not measured" if value is None else f"{value:.3f}"


def _figures(days: dict[int, dict], simulated: bool) -> list[str]:
    names = list(days)
    lines = [_row("held-out day", *names), _row(*["---"] * (len(names) + 1))]

    def line(title: str, text) -> None:
        lines.append(_row(title, *(text(days[name]) for name in names)))

    line("welds (NOK)", lambda d: f"{d['welds']} ({d['nok']})")
    line("AUC-PR", lambda d: f"{d['auc_pr']:.4f}")
    line("precision at `nok_threshold`", lambda d: f"{d['precision']:.4f}")
    line("recall at `nok_threshold`", lambda d: f"{d['recall']:.4f}")
    line("OK welds called NOK", lambda d: d["false_alarms"])
    line("recall at 0.9999 (overrides the rules)", lambda d: f"{d['override_recall']:.4f}")
    line("OK welds at 0.9999", lambda d: d["override_false_alarms"])
    for k, name in enumerate(REGRESSION_NAMES):
        best = f" (label noise alone: {LABEL_NOISE_MM[k] * np.sqrt(2 / np.pi):.3f})" if simulated else ""
        line(f"MAE of {name}, mm{best}", lambda d, k=k: _mm(d["mae_mm"][k]))
    return lines


def _defects(days: dict[int, dict], simulated: bool) -> list[str]:
    kinds = sorted({kind for day in days.values() for kind in day["defects"]})
    lines = [_row("defect", "welds", "recall at `nok_threshold`", "recall at 0.9999"), _row(*["---"] * 4)]
    for kind in kinds:
        entries = [day["defects"][kind] for day in days.values() if kind in day["defects"]]
        welds = sum(entry["welds"] for entry in entries)
        means = [sum(e[key] * e["welds"] for e in entries) / welds for key in ("recall", "override_recall")]
        lines.append(_row(kind or "not told", welds, *(f"{mean:.3f}" for mean in means)))
    if simulated:
        lines.append(_row("burn", 0, NOT_TRAINED, NOT_TRAINED))
    return lines


def write_card(path: Path, facts: dict, days: dict[int, dict]) -> None:
    """Writes the card; `facts` as train.py collects them."""
    speed = ", ".join(f"{us:.0f} µs at batch {batch}" for batch, us in facts["microseconds"].items())
    simulated = facts["simulated"]
    share, natural = (SIMULATED_SHARE, "natural NOK share, ") if simulated else (OWN_SHARE, "")
    text = f"""# {facts['model_version']}

A small 1-D CNN that judges a resistance spot weld from its voltage and current curves: one head for the probability
of NOK, four for nugget diameter, indentation, front thickness and stack thickness in mm. Written by
`training/train.py`; figures below come from the exported file in ONNX Runtime {facts['onnxruntime']}.

{SIMULATED if simulated else OWN.format(**facts)}

- {facts['parameters']} parameters, {facts['bytes']} bytes, {facts['operations']} ONNX operations; one thread of
  {facts['processor']}, a row: {speed}.
- Input `curves` f32 [N, 4, 1000]: U, I, R, P, resampled and scaled as `inference_config.json` says. Idle time beyond
  {facts['idle'].before_ms:g} ms before and {facts['idle'].after_ms:g} ms after the weld is cut.
- Parity with PyTorch {facts['torch']} over {facts['parity_rows']} welds: nok_prob within {facts['parity'][0]:.1e},
  regressions within {facts['parity'][1]:.1e} mm.

## How it was made

```
{facts['commands']}
```

{facts['train_welds']} welds ({facts['train_nok']} NOK) of {facts['train_days']}, {facts['epochs']} epochs, batch
{facts['batch']}, seed {facts['seed']}, threads {facts['threads']}, {facts['minutes']:.0f} minutes. Class imbalance: {share.format(**facts)}

`nok_threshold` = {facts['nok_threshold']}: the best F1 on {facts['calibration_days']} ({natural}not used for
training); where a stretch of thresholds is equally good, its middle on the logit scale.

## Held-out days

{chr(10).join(_figures(days, simulated))}

By defect, all held-out days together:

{chr(10).join(_defects(days, simulated))}

## Limits

{SIMULATED_LIMITS if simulated else OWN_LIMITS.format(**facts)}- The model does not know the stack-up; it has to infer it from program and resistance. A new stack-up needs training.
"""
    path.write_text(text)
