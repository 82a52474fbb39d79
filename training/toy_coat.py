"""The coat of one dog: a picture of fur, in the dog's coordinates, through which its body parts are painted."""

import math
import random

import numpy as np
from PIL import Image, ImageChops, ImageDraw

from training.toy_breeds import Breed, Colour
from training.toy_pen import Frame, blot, darker, stroke


def vary(rng: random.Random, colour: Colour, by: int) -> Colour:
    """Return a colour near ``colour``, as no two dogs of a litter are quite the same."""
    light = rng.uniform(1 - by / 100, 1 + by / 100)
    red, green, blue = (min(255, max(0, round(c * light + rng.uniform(-by, by) * 0.5))) for c in colour)
    return red, green, blue


def draw_coat(
    rng: random.Random, breed: Breed, frame: Frame, size: tuple[int, int], base: Colour, second: Colour
) -> Image.Image:
    """Return the coat for a dog that stands in ``frame`` on a picture of ``size`` pixels."""
    coat = Image.new("RGB", size, base)
    draw = ImageDraw.Draw(coat)
    top, left, right = -(breed.leg + 2.1), -breed.length / 2 - 0.7, breed.length / 2 + 1.2

    def blots(count: int, smallest: float, largest: float, colours: list[Colour]) -> None:
        for _ in range(count):
            centre = (rng.uniform(left, right), rng.uniform(top, 0))
            shape = blot(rng, centre, rng.uniform(smallest, largest))
            draw.polygon([frame.at(point) for point in shape], fill=rng.choice(colours))

    match breed.pattern:
        case "spots":
            blots(rng.randint(75, 125), 0.04, 0.12, [second])
        case "patches":
            blots(rng.randint(6, 9), 0.28, 0.5, [second])
        case "merle":
            blots(rng.randint(45, 70), 0.06, 0.2, [darker(base, 0.62), darker(base, 0.75), darker(base, 1.25)])
        case "brindle":
            _stripes(rng, draw, frame, (left, right), top, second)
        case "saddle":
            _saddle(rng, draw, frame, breed, (left, right), second)
        case "plain":
            if breed.marking == "points":
                height = -breed.leg * rng.uniform(0.45, 0.7)
                draw.polygon(
                    [frame.at(p) for p in ((left, height), (right, height), (right, 1), (left, 1))], fill=second
                )
    return _furry(rng, coat, frame, breed)


def _stripes(
    rng: random.Random, draw: ImageDraw.ImageDraw, frame: Frame, sides: tuple[float, float], top: float, colour: Colour
) -> None:
    x = sides[0]
    while x < sides[1]:
        x += rng.uniform(0.05, 0.15)
        y, lean = rng.uniform(top, -0.1), rng.uniform(-0.15, 0.15)
        length = rng.uniform(0.35, 1.2)
        path = [(x + lean * step + rng.uniform(-0.03, 0.03), y + length * step / 4) for step in range(5)]
        width = rng.uniform(0.02, 0.05)
        shape = stroke(path, [0.005, width, width * 0.7, width, 0.005])
        draw.polygon([frame.at(point) for point in shape], fill=colour)


def _saddle(
    rng: random.Random,
    draw: ImageDraw.ImageDraw,
    frame: Frame,
    breed: Breed,
    sides: tuple[float, float],
    colour: Colour,
) -> None:
    """Paint everything below a wavy line along the flank."""
    level = -(breed.leg + rng.uniform(0.3, 0.55))
    edge = [
        (sides[0] + (sides[1] - sides[0]) * step / 14, level + 0.12 * math.sin(step * 1.7) + rng.uniform(-0.05, 0.05))
        for step in range(15)
    ]
    draw.polygon([frame.at(p) for p in (*edge, (sides[1], 1.0), (sides[0], 1.0))], fill=colour)


def _furry(rng: random.Random, coat: Image.Image, frame: Frame, breed: Breed) -> Image.Image:
    """Shade the coat from the back to the belly, with the unevenness and the single hairs of fur."""
    width, height = coat.size
    noise = np.random.default_rng(rng.getrandbits(64)).normal(0, 7, (height // 6 + 1, width // 6 + 1))
    rows = np.linspace(0, height, noise.shape[0])
    back, ground = frame.at((0, -(breed.leg + 1)))[1], frame.at((0, 0))[1]
    shade = np.interp(rows, (back, ground), (250, 196))  # brightness of 255, by row
    values = np.clip(noise + shade[:, None], 0, 255).astype(np.uint8)
    light = Image.fromarray(values).resize(coat.size, Image.Resampling.BILINEAR)
    coat = ImageChops.multiply(coat, Image.merge("RGB", (light, light, light)))
    draw = ImageDraw.Draw(coat)
    length = frame.unit * (0.05 + breed.fluff)
    for _ in range(round(250 + 2500 * breed.fluff)):
        x, y = rng.uniform(0, width), rng.uniform(0, height)
        pixel = coat.getpixel((min(int(x), width - 1), min(int(y), height - 1)))
        assert isinstance(pixel, tuple)
        tone = rng.choice((0.86, 0.92, 1.1))
        lean = rng.uniform(-0.5, 0.5)
        end = (x + length * lean, y + length * rng.uniform(0.6, 1.3))
        draw.line(
            [(x, y), end], fill=darker((pixel[0], pixel[1], pixel[2]), tone), width=max(1, round(frame.unit / 70))
        )
    return coat
