"""One drawn dog: trunk, legs and tail from the side, the face turned to whoever looks at it."""

import math
import random
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Literal

from PIL import Image

from training.toy_breeds import Breed, Colour
from training.toy_coat import draw_coat, vary
from training.toy_head import Head, draw_head
from training.toy_pen import Frame, Pen, Point, darker, oval, shaggy, smooth, stroke

Pose = Literal["stand", "walk", "sit"]
_COLLARS: Final[tuple[Colour, ...]] = ((196, 48, 52), (44, 96, 176), (52, 140, 92), (232, 178, 52), (130, 72, 150))


@dataclass(frozen=True)
class _Skeleton:
    """Where the parts of a posed dog are, in the dog's coordinates."""

    trunk: list[Point]
    neck: Point
    head: Point
    tail: Point
    far_legs: list[list[Point]]
    near_legs: list[list[Point]]
    thigh: list[Point]


def draw_dog(picture: Image.Image, rng: random.Random, breed: Breed, frame: Frame, line: int) -> None:
    """Draw a dog of ``breed`` on ``picture``: an individual in a pose of its own, standing at the frame's origin."""
    base, second = (vary(rng, colour, 10) for colour in rng.choice(breed.coats))
    pose: Pose = rng.choice(("stand", "walk", "sit"))
    skeleton = _sitting(breed) if pose == "sit" else _on_legs(rng, breed, pose)
    coat = draw_coat(rng, breed, frame, picture.size, base, second)
    shaded = coat.point([round(value * 0.72) for value in range(256)] * 3)
    pen = Pen(picture, darker(base if sum(base) < 500 else second, 0.35), line)

    _draw_tail(pen, rng, breed, frame, skeleton.tail, coat)
    for leg in skeleton.far_legs:
        pen.part(frame, leg, shaded)
    neck = stroke([skeleton.neck, skeleton.head], [0.42, 0.36])
    grown = [shaggy(rng, shape, breed.fluff) for shape in (neck, *skeleton.near_legs)]
    stencils = [pen.part(frame, shape, coat) for shape in grown]
    trunk = pen.part(frame, shaggy(rng, skeleton.trunk, breed.fluff), coat)
    for stencil in stencils:  # again, without outlines: neck and legs grow out of the trunk
        pen.paste(coat, stencil)
    if skeleton.thigh:
        pen.part(frame, shaggy(rng, skeleton.thigh, breed.fluff), coat)
    if breed.marking in ("blaze", "points", "beard"):
        chest = oval((skeleton.neck[0] + 0.2, skeleton.neck[1] + 0.35), 0.22, 0.34)
        pen.marking(
            frame, shaggy(rng, chest, breed.fluff), (240, 232, 218) if breed.marking == "blaze" else second, trunk
        )
    if rng.random() < 0.6:
        _draw_collar(pen, rng, frame, skeleton)
    draw_head(pen, rng, Head(breed, frame.inner(skeleton.head, rng.uniform(-0.2, 0.25)), coat, base, second))


def _on_legs(rng: random.Random, breed: Breed, pose: Pose) -> _Skeleton:
    half, leg = breed.length / 2, breed.leg
    trunk = smooth(
        [
            (-half, -(leg + 0.86)),
            (0, -(leg + 0.9)),
            (half - 0.2, -(leg + 1.02)),
            (half + 0.2, -(leg + 0.66)),
            (half - 0.1, -(leg - 0.06)),
            (0, -(leg + 0.08)),
            (-half + 0.35, -(leg + 0.2)),
            (-half - 0.14, -(leg + 0.48)),
        ]
    )
    stride = rng.uniform(0.25, 0.4) if pose == "walk" else rng.uniform(0.0, 0.08)
    stride *= min(1.0, leg)
    front, back = half - 0.12, -half + 0.18

    def limb(x: float, swing: float, bend: float) -> list[Point]:
        knee = (x + swing * 0.4 + bend, -leg * 0.5)
        paw = (x + swing, -0.1)
        return stroke([(x, -(leg + 0.3)), knee, paw, (paw[0] + 0.1, -0.08)], [0.24, 0.15, 0.14, 0.13])

    neck = (half - 0.08, -(leg + 0.78))
    reach = rng.uniform(0.32, 0.5)
    head = (half + reach, -(leg + 1.0 + breed.head * rng.uniform(0.6, 0.95)))
    return _Skeleton(
        trunk=trunk,
        neck=neck,
        head=head,
        tail=(-half - 0.02, -(leg + 0.72)),
        far_legs=[limb(front + 0.12, stride, 0.0), limb(back + 0.14, -stride, -0.08)],
        near_legs=[limb(front - 0.1, -stride, 0.0), limb(back - 0.06, stride, -0.08)],
        thigh=[],
    )


def _sitting(breed: Breed) -> _Skeleton:
    leg = max(breed.leg, 0.55)
    rise = leg + 0.55 + 0.1 * breed.length
    trunk = stroke([(-0.5, -0.42), (-0.25, -0.75), (0.12, -rise), (0.3, -(rise + 0.2))], [0.42, 0.62, 0.5, 0.34])
    far = stroke([(0.42, -rise + 0.25), (0.5, -0.5 * rise), (0.56, -0.1), (0.66, -0.08)], [0.2, 0.15, 0.14, 0.13])
    near = stroke([(0.2, -rise + 0.25), (0.28, -0.5 * rise), (0.3, -0.1), (0.42, -0.08)], [0.24, 0.16, 0.14, 0.13])
    paw = stroke([(-0.3, -0.12), (0.05, -0.1), (0.14, -0.1)], [0.12, 0.13, 0.11])
    return _Skeleton(
        trunk=trunk,
        neck=(0.22, -(rise + 0.05)),
        head=(0.42, -(rise + 0.35 + breed.head * 0.75)),
        tail=(-0.82, -0.22),
        far_legs=[far],
        near_legs=[near, paw],
        thigh=oval((-0.42, -0.42), 0.46, 0.4, -0.3),
    )


def _draw_tail(pen: Pen, rng: random.Random, breed: Breed, frame: Frame, root: Point, coat: Image.Image) -> None:
    x, y = root
    wag = rng.uniform(-0.25, 0.25)
    path: list[Point]
    widths: Sequence[float]
    match breed.tail:
        case "plume":
            path = [
                (x + 0.1, y + 0.1),
                (x - 0.35, y - 0.2 + wag),
                (x - 0.75, y - 0.45 + wag),
                (x - 0.95, y - 0.9 + wag),
            ]
            widths = [0.14, 0.24, 0.3, 0.1]
        case "whip":
            path = [(x + 0.1, y), (x - 0.4, y - 0.1 + wag), (x - 0.8, y - 0.3 + 2 * wag), (x - 1.15, y - 0.7 + 2 * wag)]
            widths = [0.13, 0.09, 0.06, 0.03]
        case "curl":
            turns = [0.9 + 0.62 * step for step in range(9)]
            path = [(x + 0.15, y + 0.1)] + [
                (
                    x - 0.1 + (0.42 - 0.035 * i) * math.sin(-turn),
                    y - 0.4 + (0.42 - 0.035 * i) * math.cos(turn) + wag * 0.2,
                )
                for i, turn in enumerate(turns)
            ]
            widths = [0.12] + [0.15 - 0.008 * i for i in range(9)]
        case "stub":
            path = [(x + 0.1, y), (x - 0.12, y - 0.12 + wag * 0.5), (x - 0.25, y - 0.26 + wag * 0.5)]
            widths = [0.14, 0.13, 0.1]
        case "flag":
            path = [(x + 0.1, y), (x - 0.12, y - 0.4), (x - 0.2 + wag, y - 0.8), (x - 0.1 + 2 * wag, y - 1.15)]
            widths = [0.12, 0.1, 0.1, 0.05]
    pen.part(frame, shaggy(rng, stroke(path, widths), breed.fluff), coat)


def _draw_collar(pen: Pen, rng: random.Random, frame: Frame, skeleton: _Skeleton) -> None:
    (x0, y0), (x1, y1) = skeleton.neck, skeleton.head
    middle = (x0 + (x1 - x0) * 0.42, y0 + (y1 - y0) * 0.42)
    length = math.hypot(x1 - x0, y1 - y0)
    across = ((y0 - y1) / length * 0.42, (x1 - x0) / length * 0.42)
    ends = [(middle[0] - across[0], middle[1] - across[1]), (middle[0] + across[0], middle[1] + across[1])]
    colour = rng.choice(_COLLARS)
    pen.curve(frame, ends, darker(colour, 0.5), 0.2)
    pen.curve(frame, ends, colour, 0.13)
    pen.fill(frame, oval((middle[0] + 0.18, middle[1] + 0.2), 0.09, 0.1), (236, 200, 92))
