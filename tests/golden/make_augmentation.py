"""Writes augmentation.h5: what torch's grid_sample and conv2d make of an image, in float64.

`image` is C×H×W. Group `warps/N`: `map` (xx, xy, x0, yx, yy, y0: from places in the result to places in the source,
in pixels from the middle) and what shows through it for each fill and interpolation. Group `blurs/N`: `deviation` and
`image` after a Gaussian blur that reaches to three deviations, mirrored at the border.
"""
import math
import sys

import h5py
import numpy as np
import torch

torch.set_default_dtype(torch.float64)
FILLS = {"zero": "zeros", "edge": "border", "reflect": "reflection"}


def rotation(degrees, scale=1.0, x0=0.0, y0=0.0):
    c, s = math.cos(math.radians(degrees)) / scale, math.sin(math.radians(degrees)) / scale
    return [c, s, x0, -s, c, y0]


def warped(image, values, fill, interpolation):
    xx, xy, x0, yx, yy, y0 = values
    height, width = image.shape[1:]
    middle_x, middle_y = (width - 1) / 2, (height - 1) / 2
    y, x = torch.meshgrid(torch.arange(height) - middle_y, torch.arange(width) - middle_x, indexing="ij")
    # align_corners: -1 and 1 are the middles of the first and the last pixel.
    grid = torch.stack([(xx * x + xy * y + x0) / middle_x, (yx * x + yy * y + y0) / middle_y], -1)
    return torch.nn.functional.grid_sample(image[None], grid[None], mode=interpolation, padding_mode=FILLS[fill],
                                           align_corners=True)[0]


def blurred(image, deviation):
    radius = math.ceil(3 * deviation)
    kernel = torch.exp(-0.5 * (torch.arange(-radius, radius + 1) / deviation) ** 2)
    kernel = torch.outer(kernel, kernel) / kernel.sum() ** 2
    padded = torch.nn.functional.pad(image[:, None], (radius,) * 4, mode="reflect")
    return torch.nn.functional.conv2d(padded, kernel[None, None])[:, 0]


def main(path):
    image = torch.from_numpy(np.random.default_rng(5).random((2, 7, 9)))
    maps = [rotation(17.3), rotation(-123.4, 1.7, 0.31, -2.63), rotation(40, 0.45, 1.13, 0.77),
            [1, 0, -2.27, 0, 1, 1.41], [0.6137, 0.1312, 0.2071, -0.2719, 1.3331, -0.9053], [-1, 0.0173, 0.0031, 0.0117, 1, -0.0021]]
    with h5py.File(path, "w") as file:
        file["image"] = image.numpy()
        for number, values in enumerate(maps):
            group = file.create_group(f"warps/{number}")
            group["map"] = np.array(values)
            for fill in FILLS:
                for interpolation in ("bilinear", "nearest"):
                    group[f"{fill}_{interpolation}"] = warped(image, values, fill, interpolation).numpy()
        for number, deviation in enumerate((0.35, 0.9, 1.9)):
            group = file.create_group(f"blurs/{number}")
            group["deviation"] = np.array([deviation])
            group["image"] = blurred(image, deviation).numpy()


main(sys.argv[1])
