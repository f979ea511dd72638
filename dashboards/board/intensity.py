"""From resting size to colour: sizes become 8-bit log indices, which the browser colours.

Index 0 is known to be empty, 1 to 254 grow with the logarithm of the size, 255 is not known.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

EMPTY, LARGEST, UNKNOWN = 0, 254, 255
DECADES = 5  # from the smallest size shown to the largest
RAMPS = {
    "ice": "#0A0D12 #0F1627 #131F3B #172B52 #1A3769 #1B427E #1D5092 #1F5FA6 #216EB6 #2682C3 #2F95CF #50AED4"
    " #73C6D7 #9AD6D1 #BDE4C9 #E0EDBE #FFF4B0",
    "ember": "#0A0D12 #201442 #4F1C6C #912C7E #CB426A #EC6352 #FB9E4B #FEC97A #FDF2B0",
    "grey": "#0A0D12 #F2F5F9",
}
# Oklab, https://bottosson.github.io/posts/oklab/ (2020): linear sRGB -> cone response -> L, a, b.
_TO_CONES = np.array(
    [
        [0.4122214708, 0.5363325363, 0.0514459929],
        [0.2119034982, 0.6806995451, 0.1073969566],
        [0.0883024619, 0.2817188376, 0.6299787005],
    ]
)
_TO_LAB = np.array(
    [
        [0.2104542553, 0.7936177850, -0.0040720468],
        [1.9779984951, -2.4285922050, 0.4505937099],
        [0.0259040371, 0.7827717662, -0.8086757660],
    ]
)


@dataclass(frozen=True, slots=True)
class Scale:
    """The sizes that the indices stand for: index 1 is `smallest`, index 254 `DECADES` powers of ten more."""

    smallest: float = 0.05

    @property
    def step(self) -> float:
        """Logarithm of the ratio of two neighbouring indices."""
        return float(DECADES * np.log(10) / (LARGEST - 1))

    def index(self, sizes: NDArray[np.floating]) -> NDArray[np.uint8]:
        """uint8 indices of `sizes` (base currency): 0 below `smallest`, 255 where NaN."""
        with np.errstate(divide="ignore", invalid="ignore"):
            exact = 1 + np.round(np.log(np.asarray(sizes, np.float64) / self.smallest) / self.step)
        shown = np.where(sizes >= self.smallest, np.clip(exact, 1, LARGEST), EMPTY)
        return np.where(np.isnan(sizes), UNKNOWN, shown).astype(np.uint8)

    def position(self, size: float) -> float:
        """Where `size` (base currency, above 0) lies between the indices."""
        return float(1 + np.log(size / self.smallest) / self.step)

    def size(self, position: float) -> float:
        """The size (base currency) of an index; the inverse of `position`."""
        return float(self.smallest * np.exp((position - 1) * self.step))


def scale_for(sizes: NDArray[np.floating]) -> Scale:
    """A scale whose second decade holds the median of the sizes above 0; the default if there are none."""
    known = sizes[sizes > 0]
    if not known.size:
        return Scale()
    return Scale(float(0.05 * 10.0 ** np.round(np.log10(np.median(known)))))


def default_handles(sizes: NDArray[np.floating]) -> tuple[float, float]:
    """Low and high size between which the ramp runs, fitted to the visible cells above 0 (base currency).

    Low is their 40th percentile; high the 99.1th, at most 10 medians, so that walls saturate.
    """
    known = sizes[sizes > 0]
    if not known.size:
        return 1.0, 10.0
    low, middle, high = np.percentile(known, [40, 50, 99.1])
    return float(low), float(max(min(high, 10 * middle), low * 1.5))


def ramp(name: str, count: int = 256) -> list[str]:
    """`count` colours (#rrggbb) of the ramp, at equal distances in Oklab.

    Raises:
        KeyError: no ramp of that name.
    """
    anchors = _oklab(_rgb(RAMPS[name].split()))
    fine = _between(anchors, np.linspace(0, len(anchors) - 1, 1024))
    along = np.concatenate([[0], np.cumsum(np.linalg.norm(np.diff(fine, axis=0), axis=1))])
    places = np.interp(np.linspace(0, along[-1], count), along, np.linspace(0, len(anchors) - 1, 1024))
    return _hex(_between(anchors, places))


def _between(anchors: NDArray[np.float64], places: NDArray[np.float64]) -> NDArray[np.float64]:
    steps = np.arange(len(anchors))
    return np.stack([np.interp(places, steps, anchors[:, axis]) for axis in range(3)], axis=1)


def _rgb(colours: list[str]) -> NDArray[np.float64]:
    channels = [[int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)] for colour in colours]
    return np.array(channels)


def _oklab(srgb: NDArray[np.float64]) -> NDArray[np.float64]:
    linear = np.where(srgb <= 0.04045, srgb / 12.92, ((srgb + 0.055) / 1.055) ** 2.4)
    lab: NDArray[np.float64] = np.cbrt(linear @ _TO_CONES.T) @ _TO_LAB.T
    return lab


def _hex(lab: NDArray[np.float64]) -> list[str]:
    linear = (lab @ np.linalg.inv(_TO_LAB).T) ** 3 @ np.linalg.inv(_TO_CONES).T
    linear = np.clip(linear, 0, 1)
    srgb = np.where(linear <= 0.0031308, linear * 12.92, 1.055 * linear ** (1 / 2.4) - 0.055)
    return ["#{:02x}{:02x}{:02x}".format(*row) for row in np.round(srgb * 255).astype(int)]
