"""The head of a drawn dog: ears, markings, muzzle, eyes."""

import random
from dataclasses import dataclass
from typing import Final

from PIL import Image

from training.toy_breeds import Breed, Colour
from training.toy_pen import Frame, Pen, Point, Stencil, darker, oval, shaggy, smooth, stroke

_CREAM: Final[Colour] = (240, 232, 218)
_NOSE: Final[Colour] = (34, 28, 30)
_TONGUE: Final[Colour] = (226, 116, 124)
_INNER_EAR: Final[Colour] = (196, 140, 132)


@dataclass(frozen=True)
class Head:
    """A head to be drawn; the frame's origin is its middle, its unit the body's."""

    breed: Breed
    frame: Frame
    coat: Image.Image
    base: Colour
    second: Colour

    @property
    def scaled(self) -> Frame:
        """The frame in which the head has the radius 1."""
        return Frame(self.frame.origin, self.frame.unit * self.breed.head, self.frame.angle, self.frame.mirrored)


def draw_head(pen: Pen, rng: random.Random, head: Head) -> None:
    """Draw the head over the neck."""
    turn = rng.uniform(0.1, 0.3)  # how far the face is turned to the side that the dog walks to
    fluff = head.breed.fluff * 1.3
    frame = head.scaled
    for side in (-1, 1):
        if _ear_kind(head.breed, side) in ("pricked", "bat"):
            _upright_ear(pen, head, side)
    outline = smooth(
        [
            (0, -0.92),
            (0.58, -0.74),
            (0.93, -0.1),
            (0.8, 0.48),
            (0.36, 0.84),
            (-0.36, 0.84),
            (-0.8, 0.48),
            (-0.93, -0.1),
            (-0.58, -0.74),
        ]
    )
    skull = pen.part(frame, shaggy(rng, outline, fluff), head.coat)
    _mark(pen, rng, head, turn, skull)
    _muzzle(pen, rng, head, turn)
    _eyes(pen, rng, head, turn)
    for side in (-1, 1):
        if _ear_kind(head.breed, side) in ("drop", "long", "button"):
            _hanging_ear(pen, rng, head, side)


def _ear_kind(breed: Breed, side: int) -> str:
    if breed.ears == "odd":
        return "pricked" if side < 0 else "button"
    return breed.ears


def _upright_ear(pen: Pen, head: Head, side: int) -> None:
    if head.breed.ears == "bat":
        outer = [(0.2, -0.7), (0.35, -1.45), (0.8, -1.95), (1.12, -1.6), (1.1, -1.0), (0.85, -0.3)]
    else:
        outer = [(0.15, -0.75), (0.4, -1.25), (0.72, -1.6), (0.86, -1.2), (0.88, -0.7), (0.8, -0.3)]
    centre = (sum(x for x, _ in outer) / 6, sum(y for _, y in outer) / 6)
    inner = [(centre[0] + (x - centre[0]) * 0.55, centre[1] + (y - centre[1]) * 0.62) for x, y in outer]
    mask = pen.part(head.scaled, smooth([(side * x, y) for x, y in outer]), head.coat)
    pen.marking(head.scaled, smooth([(side * x, y) for x, y in inner]), _INNER_EAR, mask)


def _hanging_ear(pen: Pen, rng: random.Random, head: Head, side: int) -> None:
    swing = rng.uniform(-0.08, 0.08)
    outer: list[Point]
    match _ear_kind(head.breed, side):
        case "long":
            outer = [(0.5, -0.72), (0.98, -0.5), (1.28, 0.2), (1.25, 0.95), (0.95, 1.15), (0.72, 0.75), (0.7, 0.0)]
        case "drop":
            outer = [(0.45, -0.78), (0.95, -0.62), (1.25, -0.1), (1.2, 0.42), (0.95, 0.5), (0.74, 0.1), (0.68, -0.35)]
        case _:
            outer = [(0.22, -0.9), (0.62, -1.02), (1.0, -0.72), (1.02, -0.2), (0.82, -0.12), (0.62, -0.45)]
    outline = smooth([(side * (x + swing * (y + 0.7)), y) for x, y in outer])
    ear = pen.part(head.scaled, shaggy(rng, outline, head.breed.fluff * 1.5), head.coat)
    own_colour = head.breed.ears == "long" or head.breed.pattern in ("spots", "patches")
    pen.veil(head.second if own_colour else darker(head.base, 0.8), ear, 0.6)


def _mark(pen: Pen, rng: random.Random, head: Head, turn: float, skull: Stencil) -> None:
    frame = head.scaled
    match head.breed.marking:
        case "mask":
            face = [
                (0, -0.12),
                (0.3, -0.5),
                (0.62, -0.3),
                (0.72, 0.3),
                (0.5, 1.0),
                (-0.5, 1.0),
                (-0.72, 0.3),
                (-0.62, -0.3),
                (-0.3, -0.5),
            ]
            pen.marking(frame, smooth([(x + turn, y) for x, y in face]), head.second, skull)
        case "blaze":
            stripe = [
                (turn - 0.12, -0.95),
                (turn + 0.12, -0.95),
                (turn + 0.14, -0.1),
                (turn + 0.4, 0.9),
                (turn - 0.4, 0.9),
                (turn - 0.14, -0.1),
            ]
            pen.marking(frame, smooth(stripe), _CREAM, skull)
        case "points":
            for x in (-0.34, 0.34):
                pen.marking(frame, oval((turn + x, -0.4), 0.13, 0.09), head.second, skull)
            pen.marking(frame, oval((turn, 0.6), 0.72, 0.42), head.second, skull)
        case "eye patch":
            side = rng.choice((-1, 1))
            pen.marking(frame, oval((turn + side * 0.42, -0.2), 0.42, 0.52, 0.3 * side), head.second, skull)
        case "none" | "beard":
            return


def _muzzle(pen: Pen, rng: random.Random, head: Head, turn: float) -> None:
    frame, breed = head.scaled, head.breed
    reach = turn + breed.muzzle * 0.42
    wide, high = 0.4 + 0.22 * breed.muzzle, 0.34 + 0.05 * breed.muzzle
    snout = shaggy(rng, oval((reach, 0.42), wide, high, 0.1), breed.fluff)
    if rng.random() < 0.45:
        tongue = stroke([(reach + 0.05, 0.6), (reach + 0.08, 0.9), (reach + 0.1, 1.05)], [0.15, 0.15, 0.09])
        pen.fill(frame, oval((reach + 0.05, 0.68), wide * 0.5, 0.2), pen.ink)
        pen.fill(frame, tongue, _TONGUE)
    if breed.marking == "beard":
        beard = [
            (reach - 0.6, 0.3),
            (reach, 0.1),
            (reach + 0.6, 0.3),
            (reach + 0.5, 0.85),
            (reach + 0.05, 1.25),
            (reach - 0.45, 0.85),
        ]
        pen.fill(frame, shaggy(rng, smooth(beard), 0.12), darker(head.second, 0.8))
        pen.fill(frame, shaggy(rng, smooth([(x * 0.9 + 0.1 * reach, y * 0.92) for x, y in beard]), 0.1), head.second)
    elif breed.marking in ("mask", "points", "blaze"):
        pen.fill(frame, snout, darker(_CREAM if breed.marking == "blaze" else head.second, 0.97))
    else:
        pen.part(frame, snout, head.coat.point([min(255, round(value * 1.06)) for value in range(256)] * 3))
    nose = (reach + 0.18 + 0.12 * breed.muzzle, 0.24)
    pen.curve(frame, [(nose[0], nose[1]), (nose[0] - 0.03, 0.52), (nose[0] - 0.22, 0.64)], _NOSE, 0.05)
    pen.curve(frame, [(nose[0] - 0.03, 0.52), (nose[0] + 0.16, 0.6)], _NOSE, 0.05)
    pen.fill(frame, oval(nose, 0.17, 0.13), _NOSE)
    pen.fill(frame, oval((nose[0] - 0.05, nose[1] - 0.05), 0.05, 0.03), (128, 120, 124))


def _eyes(pen: Pen, rng: random.Random, head: Head, turn: float) -> None:
    frame = head.scaled
    look = rng.uniform(-0.03, 0.03)
    blue = head.breed.marking == "mask" and rng.random() < 0.7
    for x in (-0.35, 0.35):
        pen.fill(frame, oval((turn + x, -0.1), 0.155, 0.17), darker(pen.ink, 0.6))
        pen.fill(frame, oval((turn + x, -0.1), 0.125, 0.14), (120, 176, 214) if blue else (96, 58, 34))
        pen.fill(frame, oval((turn + x + look, -0.09), 0.08, 0.09), (16, 12, 14))
        pen.fill(frame, oval((turn + x - 0.04, -0.15), 0.04, 0.04), (252, 252, 252))
