"""A small 1-D CNN with one classification and four regression heads."""

from __future__ import annotations

import torch
from torch import nn


class WeldNet(nn.Module):
    """From the raw input [N, 4, L] to logit [N] and normalised regressions [N, 4].

    R carries the information in a few percent around its typical value, so it is centred and stretched here; fixed
    numbers, part of the graph.
    """

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("centre", torch.tensor([1.1, 1.0, 1.12, 0.7]).view(1, 4, 1))
        self.register_buffer("gain", torch.tensor([2.0, 2.0, 12.0, 2.0]).view(1, 4, 1))

        def block(inputs: int, outputs: int, kernel: int, stride: int) -> nn.Sequential:
            return nn.Sequential(
                nn.Conv1d(inputs, outputs, kernel, stride, kernel // 2, bias=False), nn.BatchNorm1d(outputs), nn.ReLU()
            )

        self.trunk = nn.Sequential(
            block(4, 32, 9, 2), block(32, 48, 5, 2), block(48, 64, 5, 1), block(64, 64, 3, 2)
        )
        self.pool = nn.AvgPool1d(16, 16)
        self.hidden = nn.Sequential(nn.LazyLinear(64), nn.ReLU())
        self.classify = nn.Linear(64, 1)
        self.regress = nn.Linear(64, 4)

    def forward(self, curves: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        seen = torch.clamp((curves - self.centre) * self.gain, -6.0, 6.0)
        features = self.trunk(seen)
        means = self.pool(features).flatten(1)
        peaks = features.amax(dim=2)
        hidden = self.hidden(torch.cat([means, peaks], dim=1))
        return self.classify(hidden).squeeze(1), self.regress(hidden)


class ExportedNet(nn.Module):
    """The network as the worker sees it: probability of NOK [N] and millimetres [N, 4], none below 0: a linear output
    has no bound, and a weld unlike those of the training would have a nugget of less than nothing."""

    def __init__(self, net: WeldNet, mean: torch.Tensor, deviation: torch.Tensor) -> None:
        super().__init__()
        self.net = net
        self.register_buffer("mean", mean.clone())
        self.register_buffer("deviation", deviation.clone())
        # Compared with and not clamped to: ONNX has Max for it, which lets a NaN through, and a NaN must be an error.
        self.register_buffer("least", torch.zeros(()))

    def forward(self, curves: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        logit, normalised = self.net(curves)
        return torch.sigmoid(logit), torch.maximum(normalised * self.deviation + self.mean, self.least)
