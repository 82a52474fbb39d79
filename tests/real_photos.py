"""Where the real photos lie: beside the checkout, since they are not ours to publish."""

from pathlib import Path
from typing import Final

DOGS: Final = Path(__file__).parents[2] / "shared" / "data" / "dogs"
