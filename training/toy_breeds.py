"""Eight breeds of dog that nobody has ever walked."""

from dataclasses import dataclass
from typing import Final, Literal

Colour = tuple[int, int, int]
Pattern = Literal["plain", "spots", "patches", "saddle", "brindle", "merle"]
Ears = Literal["drop", "pricked", "bat", "button", "odd", "long"]
Tail = Literal["plume", "whip", "curl", "stub", "flag"]
Marking = Literal["none", "points", "mask", "blaze", "eye patch", "beard"]


@dataclass(frozen=True)
class Breed:
    """What all dogs of a breed share; lengths are in body heights, 1 is the depth of an ordinary dog's chest.

    Attributes:
        coats: base colours that occur in the breed; several breeds share some, so that colour alone does not tell.
        second: colour of the pattern and of the markings.
        muzzle: how far the muzzle stands out of the face, 0 flat to 1 long.
        leg: length of the legs.
        length: length of the trunk.
        head: radius of the head.
        fluff: how far single locks stand out of the outline.
    """

    name: str
    coats: tuple[Colour, ...]
    second: Colour
    pattern: Pattern
    marking: Marking
    ears: Ears
    tail: Tail
    muzzle: float
    leg: float
    length: float
    head: float
    fluff: float


BREEDS: Final = (
    Breed(
        name="Biscuit_Sausage",
        coats=((166, 92, 48), (140, 74, 44), (188, 118, 66)),
        second=(96, 52, 34),
        pattern="plain",
        marking="none",
        ears="long",
        tail="whip",
        muzzle=0.95,
        leg=0.42,
        length=2.6,
        head=0.50,
        fluff=0.0,
    ),
    Breed(
        name="Inkspot_Loper",
        coats=((240, 238, 232), (228, 226, 224)),
        second=(38, 36, 42),
        pattern="spots",
        marking="none",
        ears="button",
        tail="whip",
        muzzle=0.7,
        leg=1.25,
        length=1.75,
        head=0.48,
        fluff=0.0,
    ),
    Breed(
        name="Marmalade_Mop",
        coats=((226, 140, 58), (206, 120, 52), (236, 172, 100)),
        second=(250, 214, 150),
        pattern="plain",
        marking="beard",
        ears="drop",
        tail="plume",
        muzzle=0.35,
        leg=0.75,
        length=1.7,
        head=0.60,
        fluff=0.10,
    ),
    Breed(
        name="Midnight_Muffin",
        coats=((48, 44, 50), (62, 54, 54)),
        second=(186, 112, 54),
        pattern="plain",
        marking="points",
        ears="button",
        tail="stub",
        muzzle=0.45,
        leg=0.6,
        length=1.45,
        head=0.58,
        fluff=0.015,
    ),
    Breed(
        name="Patchwork_Piper",
        coats=((242, 236, 226), (232, 224, 212)),
        second=(142, 84, 48),
        pattern="patches",
        marking="eye patch",
        ears="odd",
        tail="flag",
        muzzle=0.55,
        leg=0.75,
        length=1.6,
        head=0.52,
        fluff=0.015,
    ),
    Breed(
        name="Silver_Whiskerby",
        coats=((142, 146, 154), (112, 116, 126), (172, 174, 180)),
        second=(216, 216, 218),
        pattern="merle",
        marking="beard",
        ears="drop",
        tail="stub",
        muzzle=0.6,
        leg=0.95,
        length=1.5,
        head=0.54,
        fluff=0.05,
    ),
    Breed(
        name="Snowcap_Sledder",
        coats=((98, 106, 120), (80, 82, 92), (150, 122, 96)),
        second=(246, 246, 244),
        pattern="saddle",
        marking="mask",
        ears="pricked",
        tail="curl",
        muzzle=0.6,
        leg=0.95,
        length=1.75,
        head=0.54,
        fluff=0.04,
    ),
    Breed(
        name="Toffee_Tiptoe",
        coats=((190, 128, 74), (168, 108, 64), (204, 152, 100)),
        second=(74, 48, 38),
        pattern="brindle",
        marking="blaze",
        ears="bat",
        tail="curl",
        muzzle=0.25,
        leg=0.8,
        length=1.35,
        head=0.56,
        fluff=0.0,
    ),
)
