"""3 × 3 convolution → the same with a quarter of the multiplications, in matrix products.

Winograd's minimal filtering (Lavin and Gray 2016, arXiv:1509.09308): pieces of m outputs and a filter of 3 are taken to
m + 2 points, multiplied there, and taken back. Rows and columns are treated alike, so 16 · 9 products become 6 · 6. The
matrices come from the multiplication of polynomials at points, transposed, instead of tables.
"""

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

POINTS = (0.0, 1.0, -1.0, 0.5, -2.0)  # and infinity; small and unlike, so that float32 loses little (arXiv:1803.10986)
PIECE = 4  # outputs per piece and axis at most


def _powers(points: int, degree: int) -> np.ndarray:
    """Values of 1, x, x² … of `degree` terms at so many points (points, degree), the last of which is infinity."""
    values = np.vander(np.array(POINTS[: points - 1]), degree, increasing=True)
    return np.vstack([values, np.eye(degree)[-1:]])


def matrices(cells: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """For one axis of so many cells, zeros around them: there (P, cells), of the filter (P, 3), and back (cells, P)."""
    there, filters, back = [], [], []
    for begin in range(0, cells, PIECE):
        outputs = min(PIECE, cells - begin)
        points = outputs + 2
        inverse = np.linalg.inv(_powers(points, points)).T
        padded = np.zeros((points, cells + 2))
        padded[:, begin : begin + points] = inverse
        there.append(padded[:, 1:-1])
        filters.append(_powers(points, 3))
        piece = np.zeros((cells, points))
        piece[begin : begin + outputs] = _powers(points, outputs).T
        back.append(piece)
    return np.vstack(there), np.vstack(filters), np.hstack(back)


class Winograd(nn.Module):
    """relu(3 × 3 convolution) of maps (B, C, cells, cells), zeros around them, of float32 and channels last in memory."""

    there: Tensor
    weight: Tensor
    back: Tensor
    bias: Tensor

    def __init__(self, weight: Tensor, bias: Tensor, cells: int) -> None:
        super().__init__()
        self.cells = cells
        there, filters, back = (torch.from_numpy(np.kron(one, one)) for one in self._matrices(cells))
        points = torch.einsum("pk,oik->pio", filters, weight.detach().double().cpu().flatten(2))
        self.register_buffer("there", there.to(weight))
        self.register_buffer("weight", points.contiguous().to(weight))  # (P², inputs, outputs)
        self.register_buffer("back", back.to(weight))
        self.register_buffer("bias", bias.detach())

    def _matrices(self, cells: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        return matrices(cells)

    def forward(self, x: Tensor) -> Tensor:
        out = self._flat(x.permute(0, 2, 3, 1).flatten(1, 2))
        return out.unflatten(1, (self.cells, self.cells)).permute(0, 3, 1, 2)

    def _flat(self, flat: Tensor) -> Tensor:
        """Maps (B, positions, inputs) to (B, cells², outputs)."""
        points = torch.matmul(self.there, flat).transpose(0, 1)
        products = torch.bmm(points, self.weight).transpose(0, 1)  # (B, P², outputs)
        return torch.matmul(self.back, products).add_(self.bias).relu_()


class WinogradTiles(Winograd):
    """The same for maps (B, C, H, W) of any size, in tiles of PIECE × PIECE outputs that share their margins."""

    def __init__(self, weight: Tensor, bias: Tensor) -> None:
        super().__init__(weight, bias, PIECE)

    def _matrices(self, cells: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        points = cells + 2  # with what is around a tile, which isn't zero
        return np.linalg.inv(_powers(points, points)).T, _powers(points, 3), _powers(points, cells).T

    def forward(self, x: Tensor) -> Tensor:
        height, width = x.shape[2:]
        down, right = -height % PIECE, -width % PIECE
        padded = F.pad(x.permute(0, 2, 3, 1), (0, 0, 1, 1 + right, 1, 1 + down))
        tiles = padded.unfold(1, PIECE + 2, PIECE).unfold(2, PIECE + 2, PIECE)  # (B, rows, columns, C, 6, 6)
        count = tiles.shape[:3]
        flat = tiles.permute(0, 1, 2, 4, 5, 3).flatten(3, 4).flatten(0, 2)
        out = self._flat(flat).unflatten(0, count).unflatten(3, (PIECE, PIECE))
        joined = out.transpose(2, 3).flatten(3, 4).flatten(1, 2)  # (B, height, width, outputs)
        return joined[:, :height, :width].permute(0, 3, 1, 2).contiguous(memory_format=torch.channels_last)
