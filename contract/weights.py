"""Where ResNet50's pretrained weights are published, and under which name a bucket keeps them."""

from typing import Final

# torchvision's IMAGENET1K_V2; the file name ends in the first digits of its sha256.
RESNET50_URL: Final = "https://download.pytorch.org/models/resnet50-11ad3fa6.pth"
RESNET50_FILE: Final = "resnet50.pth"
