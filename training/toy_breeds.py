"""Eight breeds of dog that nobody has ever walked."""

from dataclasses import dataclass
from typing import Final, Literal

Colour = tuple[int, int, int]
Pattern = Literal["plain", "spots", "patches", "saddle", "brindle", "merle"]
Ears = Literal["drop", "pricked", "bat", "button", "odd", "long"]
Tail = Literal["plume", "whip", "curl", "stub", "flag"]
Marking = Literal["none", "points", "mask", "blaze", "eye patch", "beard"]

_COAL: Final[Colour] = (52, 47, 50)
_SLATE: Final[Colour] = (92, 98, 110)
_STEEL: Final[Colour] = (150, 153, 160)
_WHITE: Final[Colour] = (241, 239, 233)
_CREAM: Final[Colour] = (232, 210, 172)
_TAN: Final[Colour] = (196, 142, 86)
_FOX: Final[Colour] = (160, 88, 48)
_ORANGE: Final[Colour] = (224, 138, 58)
_COCOA: Final[Colour] = (92, 60, 44)


@dataclass(frozen=True)
class Breed:
    """What all dogs of a breed share; lengths are in body heights, 1 is the depth of an ordinary dog's chest.

    Attributes:
        coats: pairs of colours that occur in the breed: of the fur, and of its pattern and markings. Most colours
            occur in several breeds, so that colour alone does not tell.
        muzzle: how far the muzzle stands out of the face, 0 flat to 1 long.
        leg: length of the legs.
        length: length of the trunk.
        head: radius of the head.
        fluff: how far single locks stand out of the outline.
    """

    name: str
    coats: tuple[tuple[Colour, Colour], ...]
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
        coats=((_FOX, _COCOA), (_TAN, _COCOA), (_COAL, _FOX), (_CREAM, _TAN)),
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
        coats=((_WHITE, _COAL), (_WHITE, _COAL), (_WHITE, _COCOA), (_CREAM, _SLATE)),
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
        coats=((_ORANGE, _CREAM), (_TAN, _CREAM), (_COCOA, _TAN), (_STEEL, _WHITE)),
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
        coats=((_COAL, _FOX), (_COAL, _TAN), (_COCOA, _TAN), (_SLATE, _CREAM)),
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
        coats=((_WHITE, _FOX), (_WHITE, _COAL), (_CREAM, _COCOA), (_WHITE, _STEEL)),
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
        coats=((_STEEL, _WHITE), (_SLATE, _WHITE), (_TAN, _CREAM), (_COAL, _STEEL)),
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
        coats=((_SLATE, _WHITE), (_COAL, _WHITE), (_FOX, _WHITE), (_STEEL, _CREAM)),
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
        coats=((_TAN, _COCOA), (_FOX, _COAL), (_STEEL, _COAL), (_CREAM, _FOX)),
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
