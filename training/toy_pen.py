"""Smooth shapes in a dog's own coordinates, painted on a picture through masks."""

import math
import random
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

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


def smooth(points: Sequence[Point], steps: int = 8) -> list[Point]:
    """Return the closed Catmull-Rom curve through ``points``."""
    p: NDArray[np.float64] = np.asarray(points, dtype=np.float64)  # (N, 2)
    t = np.linspace(0, 1, steps, endpoint=False)[None, :, None]  # (1, S, 1)
    a, b, c, d = (np.roll(p, shift, axis=0)[:, None, :] for shift in (1, 0, -1, -2))  # (N, 1, 2) each
    curve = 0.5 * (2 * b + (c - a) * t + (2 * a - 5 * b + 4 * c - d) * t**2 + (3 * b - a - 3 * c + d) * t**3)
    return [(float(x), float(y)) for x, y in curve.reshape(-1, 2)]


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
    return result


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

    def part(self, frame: Frame, outline: Sequence[Point], coat: Image.Image) -> Image.Image:
        """Paint a part of the body: the coat within the outline, ink around it. Return its mask, for markings."""
        pixels = [frame.at(point) for point in outline]
        self._draw.line([*pixels, pixels[0]], fill=self.ink, width=2 * self.line, joint="curve")
        mask = Image.new("L", self.picture.size)
        ImageDraw.Draw(mask).polygon(pixels, fill=255)
        self.picture.paste(coat, (0, 0), mask)
        return mask

    def marking(self, frame: Frame, outline: Sequence[Point], colour: Colour, within: Image.Image) -> None:
        """Paint a shape in one colour, but only where the mask ``within`` is."""
        box = within.getbbox()
        if box is None:
            return
        pixels = [frame.at(point) for point in outline]
        shape = Image.new("L", (box[2] - box[0], box[3] - box[1]))
        ImageDraw.Draw(shape).polygon([(x - box[0], y - box[1]) for x, y in pixels], fill=255)
        clipped = Image.composite(shape, Image.new("L", shape.size), within.crop(box))
        self.picture.paste(colour, box, clipped)
