"""What a drawn dog stands in: ground, sky or room, things that lie around, and the light of the day."""

import random

import numpy as np
from PIL import Image, ImageDraw, ImageEnhance, ImageFilter

from training.toy_breeds import Colour
from training.toy_coat import vary
from training.toy_pen import Point, blot, darker, oval

Size = tuple[int, int]


def draw_scene(rng: random.Random, size: Size, horizon: float) -> Image.Image:
    """Return a background of ``size`` pixels whose ground begins at ``horizon`` (0 top to 1 bottom)."""
    scene = rng.choice((_meadow, _meadow, _beach, _snow, _room, _room, _studio, _street))
    return scene(rng, size, round(size[1] * horizon))


def draw_shadow(picture: Image.Image, feet: Point, width: float, height: float) -> None:
    """Darken the ground under a dog."""
    size = (max(2, round(2.4 * width)), max(2, round(3 * height)))
    shadow = Image.new("L", size)
    ImageDraw.Draw(shadow).ellipse([size[0] / 12, size[1] / 6, size[0] * 11 / 12, size[1] * 5 / 6], fill=90)
    corner = (round(feet[0] - size[0] / 2), round(feet[1] - size[1] / 2))
    picture.paste((20, 20, 26), corner, shadow.filter(ImageFilter.BoxBlur(height / 3)))


def light(rng: random.Random, picture: Image.Image) -> Image.Image:
    """Return the picture in another light: warm or cold, bright or dim, from one side, sharp or not, with grain."""
    pixels = np.asarray(picture, dtype=np.float32)  # (H, W, 3)
    height, width, _ = pixels.shape
    warmth = rng.uniform(-0.16, 0.16)
    tint = np.array([1 + warmth, 1 + rng.uniform(-0.04, 0.04), 1 - warmth], dtype=np.float32)
    across = np.linspace(-1, 1, width, dtype=np.float32) * rng.uniform(-0.25, 0.25)
    down = np.linspace(-1, 1, height, dtype=np.float32) * rng.uniform(-0.15, 0.15)
    field = (1 + across[None, :] + down[:, None]) * rng.uniform(0.5, 1.2)  # (H, W)
    grain = np.random.default_rng(rng.getrandbits(64)).normal(0, rng.uniform(0, 7), (height, width)).astype(np.float32)
    lit = np.clip(pixels * tint * field[..., None] + grain[..., None], 0, 255).astype(np.uint8)
    result = ImageEnhance.Color(Image.fromarray(lit)).enhance(rng.uniform(0.6, 1.2))
    if rng.random() < 0.25:
        result = result.filter(ImageFilter.GaussianBlur(rng.uniform(0.4, 1.1)))
    return result


def _sloped(size: Size, top: Colour, bottom: Colour) -> Image.Image:
    """Return a vertical gradient."""
    column = Image.new("RGB", (1, 2))
    column.putpixel((0, 0), top)
    column.putpixel((0, 1), bottom)
    return column.resize(size, Image.Resampling.BILINEAR, box=(0, 0.5, 1, 1.5))


def _ground(
    rng: random.Random, picture: Image.Image, horizon: int, near: Colour, far: Colour, tufts: int
) -> ImageDraw.ImageDraw:
    width, height = picture.size
    picture.paste(_sloped((width, height - horizon), far, near), (0, horizon))
    draw = ImageDraw.Draw(picture)
    for _ in range(tufts):
        y = horizon + (height - horizon) * rng.random() ** 0.7
        depth = (y - horizon) / max(height - horizon, 1)
        x, long = rng.uniform(0, width), (0.01 + 0.04 * depth) * height
        lean = rng.uniform(-0.6, 0.6) * long
        draw.line([(x, y), (x + lean, y - long)], fill=vary(rng, near, 22), width=max(1, round(4 * depth)))
    return draw


def _sky(rng: random.Random, size: Size) -> Image.Image:
    top = rng.choice(((108, 164, 216), (150, 186, 214), (186, 196, 206), (238, 178, 130), (120, 128, 168)))
    picture = _sloped(size, vary(rng, top, 8), vary(rng, (232, 232, 226), 6))
    draw = ImageDraw.Draw(picture)
    for _ in range(rng.randint(0, 4)):
        x, y, s = rng.uniform(0, size[0]), rng.uniform(0, size[1] * 0.35), rng.uniform(0.03, 0.08) * size[0]
        for _ in range(5):
            draw.polygon(
                oval((x + rng.uniform(-2, 2) * s, y + rng.uniform(-0.3, 0.3) * s), s * 1.4, s * 0.7),
                fill=(250, 250, 248),
            )
    return picture


def _meadow(rng: random.Random, size: Size, horizon: int) -> Image.Image:
    picture = _sky(rng, size)
    draw = ImageDraw.Draw(picture)
    for _ in range(rng.randint(0, 3)):
        hill = oval(
            (rng.uniform(0, size[0]), horizon), rng.uniform(0.3, 0.7) * size[0], rng.uniform(0.05, 0.2) * size[1]
        )
        draw.polygon(hill, fill=vary(rng, (112, 146, 110), 20))
    for _ in range(rng.randint(0, 4)):
        _tree(rng, draw, (rng.uniform(0, size[0]), horizon + 0.02 * size[1]), rng.uniform(0.15, 0.4) * size[1])
    grass = vary(rng, rng.choice(((96, 140, 66), (126, 150, 70), (158, 148, 82))), 14)
    draw = _ground(rng, picture, horizon, grass, darker(grass, 1.2), 260)
    for _ in range(rng.choice((0, 0, 8, 16))):
        x, y = rng.uniform(0, size[0]), rng.uniform(horizon, size[1])
        draw.polygon(
            oval((x, y), size[0] * 0.009, size[0] * 0.009, corners=8),
            fill=rng.choice(((250, 240, 240), (240, 200, 70), (214, 96, 120))),
        )
    return picture


def _tree(rng: random.Random, draw: ImageDraw.ImageDraw, foot: Point, tall: float) -> None:
    trunk = tall * 0.06
    draw.rectangle([foot[0] - trunk, foot[1] - tall * 0.5, foot[0] + trunk, foot[1]], fill=(104, 78, 60))
    leaves = vary(rng, rng.choice(((78, 116, 66), (104, 128, 72), (190, 128, 60))), 14)
    for _ in range(4):
        centre = (foot[0] + rng.uniform(-0.18, 0.18) * tall, foot[1] - tall * rng.uniform(0.5, 0.85))
        draw.polygon(blot(rng, centre, tall * 0.22, 0.2), fill=vary(rng, leaves, 8))


def _beach(rng: random.Random, size: Size, horizon: int) -> Image.Image:
    picture = _sky(rng, size)
    draw = ImageDraw.Draw(picture)
    draw.rectangle([0, horizon - 0.12 * size[1], size[0], size[1]], fill=vary(rng, (70, 140, 164), 16))
    sand = vary(rng, (222, 198, 152), 10)
    _ground(rng, picture, horizon, sand, darker(sand, 1.06), 60)
    return picture


def _snow(rng: random.Random, size: Size, horizon: int) -> Image.Image:
    picture = _sky(rng, size)
    draw = ImageDraw.Draw(picture)
    for _ in range(rng.randint(0, 5)):
        x, tall = rng.uniform(0, size[0]), rng.uniform(0.15, 0.4) * size[1]
        for level in range(3):
            y = horizon - tall * level * 0.28
            half = tall * (0.3 - 0.08 * level)
            draw.polygon([(x - half, y), (x + half, y), (x, y - tall * 0.45)], fill=vary(rng, (62, 96, 84), 10))
    _ground(rng, picture, horizon, vary(rng, (226, 232, 240), 5), (246, 248, 250), 0)
    for _ in range(rng.choice((0, 60, 120))):
        x, y, s = rng.uniform(0, size[0]), rng.uniform(0, size[1]), rng.uniform(0.002, 0.006) * size[0]
        draw.ellipse([x - s, y - s, x + s, y + s], fill=(252, 252, 255))
    return picture


def _room(rng: random.Random, size: Size, horizon: int) -> Image.Image:
    wall = vary(
        rng, rng.choice(((214, 196, 168), (170, 188, 186), (196, 160, 150), (120, 130, 152), (228, 222, 210))), 12
    )
    picture = _sloped(size, wall, darker(wall, 0.9))
    draw = ImageDraw.Draw(picture)
    width, height = size
    for _ in range(rng.randint(0, 2)):  # pictures on the wall
        x, y, w, h = (
            rng.uniform(0, 0.8) * width,
            rng.uniform(0, 0.3) * height,
            rng.uniform(0.1, 0.3) * width,
            rng.uniform(0.1, 0.25) * height,
        )
        draw.rectangle([x, y, x + w, y + h], fill=(112, 84, 58))
        draw.rectangle([x + 6, y + 6, x + w - 6, y + h - 6], fill=vary(rng, (150, 170, 180), 40))
    floor = vary(rng, rng.choice(((150, 108, 70), (186, 150, 112), (110, 104, 104))), 12)
    picture.paste(_sloped((width, height - horizon), darker(floor, 0.8), floor), (0, horizon))
    for _ in range(7):
        y = horizon + (height - horizon) * rng.random()
        draw.line([(0, y), (width, y)], fill=darker(floor, 0.75), width=2)
    draw.rectangle([0, horizon - 0.015 * height, width, horizon], fill=darker(wall, 1.15))
    if rng.random() < 0.6:
        rug = vary(rng, rng.choice(((160, 66, 60), (70, 96, 130), (200, 170, 90), (96, 120, 90))), 14)
        y = (horizon + height) / 2
        for scale, tone in ((1.0, 1.0), (0.86, 1.25), (0.8, 0.95)):
            draw.polygon(
                oval((width / 2, y), width * 0.48 * scale, (height - horizon) * 0.42 * scale, corners=40),
                fill=darker(rug, tone),
            )
    return picture


def _studio(rng: random.Random, size: Size, horizon: int) -> Image.Image:
    del horizon  # a studio's paper hangs down to the floor without an edge
    paper = vary(
        rng, rng.choice(((206, 206, 210), (92, 96, 104), (190, 128, 96), (120, 158, 150), (232, 206, 150))), 14
    )
    return _sloped(size, darker(paper, rng.uniform(0.7, 1.0)), darker(paper, rng.uniform(1.0, 1.25)))


def _street(rng: random.Random, size: Size, horizon: int) -> Image.Image:
    picture = _sky(rng, size)
    draw = ImageDraw.Draw(picture)
    x = -rng.uniform(0, 0.1) * size[0]
    while x < size[0]:
        w, h = rng.uniform(0.12, 0.3) * size[0], rng.uniform(0.2, 0.6) * size[1]
        house = vary(rng, rng.choice(((186, 120, 96), (206, 186, 150), (150, 156, 164), (222, 214, 200))), 16)
        draw.rectangle([x, horizon - h, x + w, horizon], fill=house)
        pane = w / 7
        for column in range(3):
            for row in range(int(h / (pane * 2.4))):
                left, top = x + pane * (0.8 + 2 * column), horizon - h + pane * (0.8 + 2.4 * row)
                draw.rectangle(
                    [left, top, left + pane, top + pane * 1.4], fill=rng.choice(((84, 96, 112), (240, 214, 140)))
                )
        x += w
    pavement = vary(rng, (158, 154, 150), 10)
    picture.paste(_sloped((size[0], size[1] - horizon), darker(pavement, 0.85), pavement), (0, horizon))
    return picture


def draw_toys(rng: random.Random, picture: Image.Image, horizon: float) -> None:
    """Leave a ball or two on the ground; they mean nothing, and a model must learn that."""
    draw = ImageDraw.Draw(picture)
    width, height = picture.size
    for _ in range(rng.choice((0, 0, 0, 1, 2))):
        size = rng.uniform(0.025, 0.06) * width
        centre = (rng.uniform(0, width), height * rng.uniform(horizon + 0.05, 1.0))
        colour = rng.choice(((200, 60, 56), (60, 110, 190), (220, 190, 60), (90, 160, 90)))
        draw.polygon(oval(centre, size, size), fill=darker(colour, 0.75))
        draw.polygon(oval((centre[0] - size * 0.12, centre[1] - size * 0.12), size * 0.85, size * 0.85), fill=colour)
        draw.polygon(
            oval((centre[0] - size * 0.35, centre[1] - size * 0.4), size * 0.25, size * 0.18), fill=darker(colour, 1.5)
        )
