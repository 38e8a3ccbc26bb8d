"""TV-L1 optical flow between two images, as OpenCV's contributed DualTVL1OpticalFlow computes it.

From coarse to fine images of a pyramid: at each the second one is warped by the flow so far, and
the flow follows by the iterations of layers/kernels/tvl1.hpp. Results are OpenCV's to a few
hundredths of a pixel: where iterations end is decided by the last digits of a sum. They depend on
the OpenCV that takes values between pixels: before 5 it rounds places to 32nds.
"""

from __future__ import annotations

from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from p3d import _core
from p3d.error import Error

Image = NDArray[np.float32]
_LEAST = 16  # pixels: smaller images have no coarser one


class Tvl1(NamedTuple):
    """How flow is computed; the defaults, and the meaning of each, are OpenCV's.

    weight    of the images against smoothness: the less, the smoother
    theta     how loosely both are coupled
    tau       how far a step goes
    epsilon   pixels: iterations end where the flow changes less
    scale     of an image of the pyramid to the next finer one, of `scales`
    median    side of the median filter, 3 or 5; 1: none
    """

    weight: float = 0.15
    theta: float = 0.3
    tau: float = 0.25
    epsilon: float = 0.01
    scales: int = 5
    scale: float = 0.8
    warps: int = 5
    outer: int = 10
    inner: int = 30
    median: int = 5

    def __call__(self, first: np.ndarray, second: np.ndarray) -> np.ndarray:
        """float32 (h, w, 2): how far, in pixels along x and y, each pixel of `first` has moved in
        `second`. Both are uint8 (h, w), of one size.
        """
        grey = first.ndim == 2 and first.dtype == second.dtype == np.uint8
        if not grey or first.shape != second.shape:
            raise Error(
                "flow is between two grey images (uint8) of one size, not "
                f"{first.dtype} {first.shape} and {second.dtype} {second.shape}"
            )
        pyramid = list(zip(self._coarser(first), self._coarser(second), strict=True))
        flow = np.zeros((2, *pyramid[-1][0].shape), np.float32)
        for one, other in reversed(pyramid):
            if flow.shape[1:] != one.shape:
                finer = [_resized(u, (one.shape[1], one.shape[0])) for u in flow]
                flow = np.stack(finer) * np.float32(1 / self.scale)
            flow = self._follow(one, other, flow)
        return np.ascontiguousarray(flow.transpose(1, 2, 0))

    def _coarser(self, image: np.ndarray) -> list[Image]:
        """The image and coarser ones of it."""
        images = [image.astype(np.float32)]
        for _ in range(1, self.scales):
            coarser = _resized(images[-1], None, self.scale)
            if min(coarser.shape) < _LEAST:
                break
            images.append(coarser)
        return images

    def _follow(self, first: Image, second: Image, flow: Image) -> Image:
        """The flow (2, h, w) of a level, from what it is by the coarser one."""
        height, width = first.shape
        places = np.indices(first.shape, np.float32)[::-1]
        slopes = np.dstack([second, _slope(second, 1), _slope(second, 0)])
        moved, warped = np.empty_like(places), np.empty_like(slopes)
        level = _core.Tvl1Level(height, width)
        level.flow[...] = flow
        enough = self.epsilon**2 * height * width
        for _ in range(self.warps):
            np.add(places, level.flow, out=moved)
            cv2.remap(slopes, moved[0], moved[1], cv2.INTER_CUBIC, dst=warped)
            level.warp(first, warped)
            for _ in range(self.outer):
                if self.median > 1:
                    level.smooth(self.median)
                weights = (self.tau, self.weight, self.theta)
                if level.iterate(*weights, self.inner, enough) <= enough:
                    break
        return level.flow


def _resized(image: Image, size: tuple[int, int] | None, factor: float = 0) -> Image:
    resized = cv2.resize(image, size, fx=factor, fy=factor, interpolation=cv2.INTER_LINEAR)
    return np.asarray(resized, np.float32)


def _slope(image: Image, axis: int) -> Image:
    """Half the difference of each pixel's neighbours along an axis; outside an image its border
    goes on."""
    around = np.pad(image, [(1, 1) if i == axis else (0, 0) for i in range(2)], "edge")
    before, behind = np.split(around, [2], axis)[1], np.split(around, [-2], axis)[0]
    return np.asarray((before - behind) * np.float32(0.5), np.float32)


def to_images(flow: np.ndarray, bound: float = 20.0) -> np.ndarray:
    """uint8 of the same shape: -bound..bound pixels as 0..255, 0 as 128, what is beyond cut off.

    So flow images are stored by dense_flow and those that came after it, and P3D nets take them.
    """
    scaled = (flow + np.float32(bound)) * np.float32(255 / (2 * bound))
    return np.rint(scaled).clip(0, 255).astype(np.uint8)
