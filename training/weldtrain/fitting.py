"""The training loop. Only the loop itself loads PyTorch: reading and judging need none."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from .clickhouse import REGRESSIONS, Day
from .features import Idle, fit_curves, tensor

if TYPE_CHECKING:
    import torch

    from .network import WeldNet


@dataclass(frozen=True)
class Fitted:
    """Fitted curves with their truth, ready for batches."""

    u: np.ndarray  # f32 [N, L], V
    i: np.ndarray  # f32 [N, L], kA
    nok: np.ndarray
    defect: np.ndarray
    measured: np.ndarray  # NaN where nothing was measured

    @staticmethod
    def of(days: list[Day], interval_ms: float = 1.0, idle: Idle | None = None) -> "Fitted":
        """Without `idle` the curves are fitted whole."""
        fitted = [fit_curves(day.u, day.i, interval_ms, idle) for day in days]
        return Fitted(
            np.concatenate([u for u, _ in fitted]),
            np.concatenate([i for _, i in fitted]),
            np.concatenate([day.nok for day in days]),
            np.concatenate([day.defect for day in days]),
            np.concatenate([day.measured for day in days]),
        )

    def __len__(self) -> int:
        return len(self.nok)

    def rows(self, chosen: np.ndarray | slice) -> np.ndarray:
        """The model's input of the chosen welds, f32 [n, 4, L]."""
        return tensor(self.u[chosen], self.i[chosen])


def spread(measured: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Mean and standard deviation of each measured value, f32 [4], over the welds that have it."""
    for name, known in zip(REGRESSIONS, np.isfinite(measured).any(axis=0)):
        if not known:
            raise SystemExit(f"no weld of the training days has a {name}; the model must answer it, so some must be measured")
    deviation = np.nanstd(measured, axis=0)
    return np.nanmean(measured, axis=0), np.where(deviation > 0, deviation, np.float32(1))


def train(data: Fitted, epochs: int, batch: int, seed: int, log=print) -> tuple[WeldNet, torch.Tensor, torch.Tensor]:
    """The trained network, and mean and standard deviation of the four measured values.

    Imbalance: days are simulated with a raised NOK share, and NOK welds weigh sqrt(OK/NOK) in the loss.
    Most welds of a plant are never measured: what is missing weighs nothing.
    """
    import torch
    from torch import nn

    from .network import WeldNet

    torch.manual_seed(seed)
    shuffle = np.random.default_rng(seed)
    mean, deviation = (torch.from_numpy(figure) for figure in spread(data.measured))
    nok_weight = float(np.sqrt((~data.nok).sum() / max(1, data.nok.sum())))
    classification = nn.BCEWithLogitsLoss(pos_weight=torch.tensor(nok_weight))

    net = WeldNet()
    net(torch.from_numpy(data.rows(slice(0, 2))))  # shapes the lazy layer
    batches = len(data) // batch
    optimiser = torch.optim.AdamW(net.parameters(), lr=1e-3, weight_decay=1e-4)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, max_lr=4e-3, total_steps=epochs * batches, pct_start=0.2)
    net.train()
    for epoch in range(epochs):
        start = time.monotonic()
        order = shuffle.permutation(len(data))
        sums = np.zeros(2)
        for number in range(batches):
            chosen = np.sort(order[number * batch : (number + 1) * batch])
            target_nok = torch.from_numpy(data.nok[chosen].astype(np.float32))
            target_mm = (torch.from_numpy(data.measured[chosen]) - mean) / deviation
            logit, normalised = net(torch.from_numpy(data.rows(chosen)))
            nok_loss = classification(logit, target_nok)
            known = torch.isfinite(target_mm)
            mm_loss = ((normalised - target_mm)[known] ** 2).mean() if known.any() else normalised.sum() * 0
            optimiser.zero_grad()
            (nok_loss + mm_loss).backward()
            optimiser.step()
            schedule.step()
            sums += (nok_loss.item(), mm_loss.item())
        nok_mean, mm_mean = sums / batches
        log(f"epoch {epoch + 1}/{epochs} nok loss {nok_mean:.5f} regression loss {mm_mean:.5f} "
            f"{time.monotonic() - start:.0f} s")
    net.eval()
    return net, mean, deviation


