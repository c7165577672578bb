"""The kind of network that an older service runs: a branch for each channel, wide convolutions, InstanceNorm, five heads.

Its widths, InstanceNorm and heads are that service's. Kernel 5 is what makes its 56 MB of them; that the first
convolution takes every second sample and each block halves the length is assumed, so that a row costs what it costs there.
"""

from __future__ import annotations

import torch
from torch import nn

WIDTHS = (1024, 512, 256, 128, 64, 16)
KERNEL = 5
CHANNELS = 4
# Where random heads are centred: a probability far from any threshold, and millimetres of a weld.
LOGIT = -4.0
MILLIMETRES = (5.0, 0.2, 1.0, 2.0)


class OldNetwork(nn.Module):
    """From [N, 4, 1000] to `nok_prob` [N] and `regression` [N, 4]; random weights, the same for the same seed."""

    def __init__(self, length: int, widths: tuple[int, ...] = WIDTHS, seed: int = 1) -> None:
        super().__init__()
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            self.branches = nn.ModuleList(branch(widths) for _ in range(CHANNELS))
            with torch.inference_mode():
                features = CHANNELS * self.branches[0](torch.zeros(1, 1, length)).shape[1]
            self.heads = nn.ModuleList(nn.Linear(features, 1) for _ in range(1 + len(MILLIMETRES)))
        with torch.no_grad():
            for head, centre in zip(self.heads, (LOGIT, *MILLIMETRES)):
                head.bias.fill_(centre)

    def forward(self, curves: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        seen = [one(curves[:, channel : channel + 1]) for channel, one in enumerate(self.branches)]
        features = torch.cat(seen, dim=1)
        logit, *millimetres = (head(features) for head in self.heads)
        return torch.sigmoid(logit).squeeze(1), torch.cat(millimetres, dim=1)


def branch(widths: tuple[int, ...]) -> nn.Sequential:
    """Convolutions of one channel."""
    blocks = []
    for number, (inputs, outputs) in enumerate(zip((1, *widths), widths)):
        blocks += [
            nn.Conv1d(inputs, outputs, KERNEL, stride=2 if number == 0 else 1, padding=KERNEL // 2),
            nn.InstanceNorm1d(outputs, affine=True),
            nn.ReLU(),
            nn.MaxPool1d(2),
        ]
    return nn.Sequential(*blocks, nn.Flatten())
