"""Smooth shapes in a dog's own coordinates, painted on a picture through masks."""

import math
import random
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageChops, ImageDraw

from training.toy_breeds import Colour

Point = tuple[float, float]


def darker(colour: Colour, factor: float) -> Colour:
    """Return ``colour`` with its brightness multiplied by ``factor``."""
    red, green, blue = (min(255, max(0, round(channel * factor))) for channel in colour)
    return red, green, blue


@dataclass(frozen=True)
class Frame:
    """A coordinate system on the picture: where its origin lies, how large a unit is, how it is turned or mirrored.

    x points to where the dog looks, y down. Angles in radians, clockwise.
    """

    origin: Point
    unit: float
    angle: float = 0.0
    mirrored: bool = False

    def at(self, point: Point) -> Point:
        """Return the pixel of ``point``."""
        x, y = (-point[0] if self.mirrored else point[0]), point[1]
        cos, sin = math.cos(self.angle), math.sin(self.angle)
        return (
            self.origin[0] + self.unit * (x * cos - y * sin),
            self.origin[1] + self.unit * (x * sin + y * cos),
        )

    def inner(self, point: Point, angle: float) -> "Frame":
        """Return a frame at ``point``, turned by ``angle`` towards where the dog looks."""
        return replace(self, origin=self.at(point), angle=self.angle + (-angle if self.mirrored else angle))


def _catmull_rom(steps: int) -> NDArray[np.float64]:
    """Return the weights of four neighbours for each of ``steps`` points between the middle two: (steps, 4)."""
    t = np.linspace(0, 1, steps, endpoint=False)
    return 0.5 * np.stack((-t + 2 * t**2 - t**3, 2 - 5 * t**2 + 3 * t**3, t + 4 * t**2 - 3 * t**3, t**3 - t**2), axis=1)


_WEIGHTS: Final = {steps: _catmull_rom(steps) for steps in (3, 4, 6, 8)}


def smooth(points: Sequence[Point], steps: int = 8) -> list[Point]:
    """Return the closed Catmull-Rom curve through ``points``, with ``steps`` (3, 4, 6 or 8) points for each."""
    corners = np.asarray(points)  # (N, 2)
    neighbours = np.arange(len(points))[:, None] + np.array([-1, 0, 1, 2])  # (N, 4)
    curve = _WEIGHTS[steps] @ corners[neighbours % len(points)]  # (N, steps, 2)
    return [(x, y) for x, y in curve.reshape(-1, 2).tolist()]


def oval(centre: Point, width: float, height: float, angle: float = 0.0, corners: int = 20) -> list[Point]:
    """Return an ellipse of the half axes ``width`` and ``height`` as a polygon."""
    cos, sin = math.cos(angle), math.sin(angle)
    result = []
    for index in range(corners):
        x = width * math.cos(2 * math.pi * index / corners)
        y = height * math.sin(2 * math.pi * index / corners)
        result.append((centre[0] + x * cos - y * sin, centre[1] + x * sin + y * cos))
    return result


def blot(rng: random.Random, centre: Point, size: float, roughness: float = 0.35) -> list[Point]:
    """Return an irregular round patch."""
    stretch, turn = rng.uniform(0.7, 1.3), rng.uniform(0, math.pi)
    corners = oval((0, 0), size * stretch, size / stretch, turn, 8)
    rough = [
        (x * rng.uniform(1 - roughness, 1 + roughness), y * rng.uniform(1 - roughness, 1 + roughness))
        for x, y in corners
    ]
    return smooth([(centre[0] + x, centre[1] + y) for x, y in rough], 4)


def stroke(path: Sequence[Point], widths: Sequence[float]) -> list[Point]:
    """Return the outline of a brush stroke along ``path``: tails, legs, stripes. ``widths`` are half widths."""
    left, right = [], []
    for index, (x, y) in enumerate(path):
        before, after = path[max(index - 1, 0)], path[min(index + 1, len(path) - 1)]
        dx, dy = after[0] - before[0], after[1] - before[1]
        length = math.hypot(dx, dy) or 1.0
        nx, ny = -dy / length * widths[index], dx / length * widths[index]
        left.append((x + nx, y + ny))
        right.append((x - nx, y - ny))
    return smooth(left + right[::-1], 6)


def shaggy(rng: random.Random, outline: Sequence[Point], fluff: float) -> list[Point]:
    """Return ``outline`` with locks that stand out by up to ``fluff``; without fluff, as it is."""
    if fluff < 0.01:
        return list(outline)
    centre_x = sum(x for x, _ in outline) / len(outline)
    centre_y = sum(y for _, y in outline) / len(outline)
    result = []
    for index, (x, y) in enumerate(outline):
        length = math.hypot(x - centre_x, y - centre_y) or 1.0
        out = rng.uniform(0.5, 1.0) * fluff if index % 2 else rng.uniform(-0.4, 0.0) * fluff
        result.append((x + (x - centre_x) / length * out, y + (y - centre_y) / length * out + abs(out) * 0.5))
    return smooth(result, 3)


@dataclass(frozen=True)
class Stencil:
    """Where a part of the body is on the picture: a mask for the pixels of ``box`` (left, top, right, bottom)."""

    box: tuple[int, int, int, int]
    mask: Image.Image


class Pen:
    """Paints on one picture; ``ink`` is the colour of outlines, ``line`` their width in pixels."""

    def __init__(self, picture: Image.Image, ink: Colour, line: int) -> None:
        self.picture, self.ink, self.line = picture, ink, line
        self._draw = ImageDraw.Draw(picture)

    def fill(self, frame: Frame, outline: Sequence[Point], colour: Colour) -> None:
        """Paint a shape in one colour, without an outline."""
        self._draw.polygon([frame.at(point) for point in outline], fill=colour)

    def curve(self, frame: Frame, points: Sequence[Point], colour: Colour, width: float) -> None:
        """Paint an open line; ``width`` in the frame's units."""
        pixels = [frame.at(point) for point in points]
        self._draw.line(pixels, fill=colour, width=max(1, round(width * frame.unit)), joint="curve")

    def part(self, frame: Frame, outline: Sequence[Point], coat: Image.Image) -> Stencil:
        """Paint a part of the body: the coat within the outline, ink around it. Return where it is, for markings."""
        pixels = [frame.at(point) for point in outline]
        self._draw.line([*pixels, pixels[0]], fill=self.ink, width=2 * self.line)
        stencil = self._stencil(pixels)
        self.paste(coat, stencil)
        return stencil

    def paste(self, coat: Image.Image, stencil: Stencil) -> None:
        """Paint the coat through a stencil."""
        self.picture.paste(coat.crop(stencil.box), stencil.box, stencil.mask)

    def marking(self, frame: Frame, outline: Sequence[Point], colour: Colour, within: Stencil) -> None:
        """Paint a shape in one colour, but only within the stencil."""
        left, top, _, _ = within.box
        shape = Image.new("L", within.mask.size)
        ImageDraw.Draw(shape).polygon([(x - left, y - top) for x, y in map(frame.at, outline)], fill=255)
        self.picture.paste(colour, within.box, ImageChops.darker(shape, within.mask))

    def veil(self, colour: Colour, within: Stencil, strength: float) -> None:
        """Tint what is within the stencil; ``strength`` from 0 to 1."""
        self.picture.paste(colour, within.box, within.mask.point([round(v * strength) for v in range(256)]))

    def _stencil(self, pixels: Sequence[Point]) -> Stencil:
        width, height = self.picture.size
        left, right = min(x for x, _ in pixels), max(x for x, _ in pixels)
        top, bottom = min(y for _, y in pixels), max(y for _, y in pixels)
        box = (
            min(max(int(left), 0), width - 1),
            min(max(int(top), 0), height - 1),
            max(min(int(right) + 1, width), 1),
            max(min(int(bottom) + 1, height), 1),
        )
        # A part that is off the picture leaves one pixel, which its polygon does not cover.
        box = (box[0], box[1], max(box[2], box[0] + 1), max(box[3], box[1] + 1))
        mask = Image.new("L", (box[2] - box[0], box[3] - box[1]))
        ImageDraw.Draw(mask).polygon([(x - box[0], y - box[1]) for x, y in pixels], fill=255)
        return Stencil(box, mask)
