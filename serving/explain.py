"""What the model looked at: the class activation map (Zhou et al. 2016, arXiv:1512.04150) and its picture.

A network that averages its last feature map over all places and then adds it up by a linear head can be taken apart
exactly: what each place adds to a class's logit is the head applied at that place alone.
"""

import io
from collections.abc import Sequence
from typing import Final

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor
from torch.nn import functional

from vision.classifier import LoadedModel

Photos = NDArray[np.uint8]  # (N, 3, crop, crop), scaled, not normalised
Heat = NDArray[np.float32]

# Nine of inferno's colours, by Nathaniel Smith and Stefan van der Walt, CC0: brightness rises evenly, so that neither
# a colour-blind reader nor a printer needs its hues.
_COLOURS: Final = np.array(
    [
        (0, 0, 4),
        (33, 12, 74),
        (87, 16, 110),
        (138, 34, 106),
        (188, 55, 84),
        (228, 90, 49),
        (249, 142, 9),
        (249, 203, 53),
        (252, 255, 164),
    ],
    np.float32,
)
# Where nothing spoke for the label the photo stays, so dark and grey; where most did, so much of the colour lies on it.
_DARK: Final = 0.45
_MOST_COLOUR: Final = 0.6
_QUALITY: Final = 85


def class_maps(model: LoadedModel, photos: Photos, classes: Sequence[int]) -> Tensor:
    """Return what each place of a photo adds to the logit of a class: (N, h, w) float32, one class for each photo.

    The mean over all places, plus the head's bias of the class, is the logit.
    """
    head, device = model.classifier.head, model.classifier.head.weight.device
    with torch.inference_mode():
        normalised = model.preprocessing.normalise(torch.from_numpy(photos)).to(device)  # (N, 3, crop, crop)
        features = model.classifier.backbone.feature_map(normalised).float()  # (N, D, h, w)
        weights = head.weight[list(classes)].float()  # (N, D)
        return torch.einsum("nd,ndhw->nhw", weights, features).cpu()


def heat_maps(model: LoadedModel, photos: Photos, classes: Sequence[int]) -> Heat:
    """Return where in each of the photos (N, 3, crop, crop) there is what speaks for its class: (N, crop, crop).

    1 is the place that speaks most for it, 0 every place that speaks no more for it than the least; two photos' maps
    do not compare.

    Raises:
        ValueError: there are not as many classes as photos.
    """
    if len(classes) != len(photos):
        raise ValueError(f"{len(photos)} photos and {len(classes)} classes: one class for each photo expected")
    maps = class_maps(model, photos, classes)  # (N, h, w)
    least, most = maps.amin(dim=(1, 2), keepdim=True), maps.amax(dim=(1, 2), keepdim=True)
    heat = (maps - least) / (most - least).clamp_min(torch.finfo(torch.float32).tiny)
    side = photos.shape[-1]
    large = functional.interpolate(heat[:, None], (side, side), mode="bicubic")[:, 0]  # (N, crop, crop)
    found: Heat = large.clamp(0, 1).numpy()
    return found


def overlay(photo: NDArray[np.uint8], heat: Heat) -> bytes:
    """Return a JPEG of ``photo`` (3, crop, crop) with ``heat`` (crop, crop), 0 to 1, on it as colour."""
    colour = photo.transpose(1, 2, 0).astype(np.float32)  # (crop, crop, 3)
    grey = (colour @ np.array((0.299, 0.587, 0.114), np.float32))[..., None]  # (crop, crop, 1)
    amount = np.clip(heat, 0, 1)[..., None]  # (crop, crop, 1)
    seen = _DARK * grey * (1 - amount) + colour * amount  # (crop, crop, 3)
    at = amount[..., 0] * (len(_COLOURS) - 1)
    low = np.minimum(at.astype(np.int64), len(_COLOURS) - 2)  # (crop, crop)
    rest = (at - low)[..., None]
    painted = _COLOURS[low] * (1 - rest) + _COLOURS[low + 1] * rest  # (crop, crop, 3)
    share = _MOST_COLOUR * amount
    mixed = np.clip(seen * (1 - share) + painted * share, 0, 255).astype(np.uint8)
    file = io.BytesIO()
    Image.fromarray(mixed).save(file, "JPEG", quality=_QUALITY)
    return file.getvalue()
