"""Small random warps of images, told to the network: many more shapes to learn from than there are rows, and still
the law of the unwarped ones, which is what the network gives when it is told that there is no warp.

The non-leaky augmentation of Karras et al. (arXiv 2206.00364, appendix F.2). Without it an energy of a thousand
images learns them by heart.
"""

import torch
from jaxtyping import Float
from torch import Tensor

from scorefleet.tasks.ebm.dequantise import Grid
from scorefleet.tasks.mcmc.streams import Random

SPREAD = (0.15, 0.10, 0.10, 0.12, 0.125, 0.125)
"""Standard deviations of angle (radians), log size, log aspect, slant, and shifts right and down (half images)."""
NUM_WARPS = len(SPREAD)


def draw_warps(random: Random, num_rows: int, share: float) -> Float[Tensor, "row warp"]:
    """Warps in units of `SPREAD`: all zero for a share `1 - share` of the rows; in the others half the parts are."""
    uniforms = random.uniform(num_rows, NUM_WARPS + 1)
    is_moved = (uniforms[:, :-1] < 0.5) & (uniforms[:, -1:] < share)
    return random.normal(num_rows, NUM_WARPS) * is_moved


def warp_images(
    x: Float[Tensor, "row dim"], warps: Float[Tensor, "row warp"], shape: tuple[int, ...], grid: Grid
) -> Float[Tensor, "row dim"]:
    """Flattened images of `shape` (height, width), each warped, by bilinear interpolation; whole numbers stay whole.

    What comes in from outside is the smallest value of the grid.
    """
    above = (x - grid.lowest).view(-1, 1, *shape)
    places = torch.nn.functional.affine_grid(_matrices(warps), list(above.shape), align_corners=False)
    moved = torch.nn.functional.grid_sample(above, places, align_corners=False).flatten(1)
    moved = torch.where(grid.step > 0, (moved / grid.step).round() * grid.step, moved)
    return torch.where((warps != 0).any(1, keepdim=True), moved + grid.lowest, x)


def _matrices(warps: Float[Tensor, "row warp"]) -> Float[Tensor, "row 2 3"]:
    """Rotation times slant times size, and shift, of each row."""
    angle, size, aspect, slant, right, down = (warps * warps.new_tensor(SPREAD)).unbind(1)
    cos, sin, width, height = angle.cos(), angle.sin(), (size + aspect).exp(), (size - aspect).exp()
    across = torch.stack([cos * width, cos * slant * width - sin * height, right], 1)
    along = torch.stack([sin * width, sin * slant * width + cos * height, down], 1)
    return torch.stack([across, along], 1)
