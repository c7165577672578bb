"""Two small networks with random weights, and the old programs around them, for make.py and the tests of the import."""

import numpy as np
import torch
from torch import nn


class Branches(nn.Module):
    """The old service's kind of network: a branch of convolutions for each channel, five heads. That one was 1024 wide."""

    def __init__(self, widths=(6, 4, 4)):
        super().__init__()
        self.branches = nn.ModuleList(self.branch(widths) for _ in range(4))
        self.heads = nn.ModuleList(nn.Linear(4 * widths[-1], 1) for _ in range(5))

    @staticmethod
    def branch(widths):
        layers, inputs = [], 1
        for width in widths:
            layers += [nn.Conv1d(inputs, width, 5, padding=2), nn.InstanceNorm1d(width, affine=True), nn.ReLU(), nn.MaxPool1d(4)]
            inputs = width
        return nn.Sequential(*layers, nn.AdaptiveMaxPool1d(1), nn.Flatten())

    def forward(self, curves):
        found = [branch(curves[:, k : k + 1]) for k, branch in enumerate(self.branches)]
        seen = torch.cat(found, dim=1)
        return [head(seen) for head in self.heads]


class Recurrent(nn.Module):
    """Another kind: takes [N, L, C], answers a dictionary of two logits and of scaled quantities in an order of its own."""

    def __init__(self, channels, hidden=6):
        super().__init__()
        self.squeeze = nn.Conv1d(channels, hidden, 9, stride=8)
        self.memory = nn.GRU(hidden, hidden, batch_first=True)
        self.verdict = nn.Linear(hidden, 2)
        self.quantities = nn.Linear(hidden, 4)

    def forward(self, rows):
        steps = torch.relu(self.squeeze(rows.transpose(1, 2))).transpose(1, 2)
        last = self.memory(steps)[0][:, -1]
        return {"verdict": self.verdict(last), "quantities": torch.sigmoid(self.quantities(last))}


def counts(weld):
    """The curves as a plant stores them that has counts of 10 mV and of 20 A: whole numbers."""
    u, i = (np.floor(np.array(weld[name]) * scale + 0.5) for name, scale in (("u_curve", 100), ("i_curve", 50)))
    return {**weld, "u_curve": u.tolist(), "i_curve": i.tolist()}


def percent(weld):
    """As a plant stores them that has whole percent of the maxima, `imax` in tens of ampere."""
    imax = np.floor(weld["imax"] * 100 + 0.5)
    u = np.floor(np.array(weld["u_curve"]) * 100 / weld["umax"] + 0.5)
    i = np.floor(np.array(weld["i_curve"]) * 10_000 / imax + 0.5)
    return {**weld, "u_curve": u.tolist(), "i_curve": i.tolist(), "imax": float(imax)}


def old_counts(weld, lowest=20, norms=(200, 600, 2, 100_000)):
    """The old service's input: counts divided by fixed numbers, R with the current clipped, cut or filled to 1,000."""
    curves = []
    u, i = (np.asarray(weld[name], dtype=np.float32) for name in ("u_curve", "i_curve"))
    r = u / np.clip(i, lowest, None)
    p = u * i
    for curve, norm in zip((u, i, r, p), norms):
        curve = curve[:1000] / np.float32(norm)
        curves.append(np.pad(curve, (0, 1000 - len(curve))))
    return np.stack(curves)


def old_volts(weld):
    """Another's: I, U, R of curves in V and kA, resampled to 400 points, centred; R of what was centred and divided."""
    def fit(curve):
        return np.interp(np.linspace(0, len(curve) - 1, 400), np.arange(len(curve)), curve)

    u, i = (fit(weld[name]) for name in ("u_curve", "i_curve"))
    u, i = (u - 1.0) / 0.8, (i - 5.0) / 4.0
    r = np.where(i >= 0.1, u / np.maximum(i, 0.1), 0.0) / 3.0
    return np.stack([i, u, r]).astype(np.float32).T
