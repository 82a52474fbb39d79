"""What an instance type's name says about its disks."""

import re
from typing import Final

# Families whose instances bring NVMe disks of their own. A "d" behind the generation says so (r5d, p3dn, g4dn, c6gd,
# p4de); the others are listed in "Instance store volumes" of the EC2 user guide: g5 and later but for g5g, p5 and
# later, trn, dl1.
_LOCAL_DISKS: Final = re.compile(r"[a-z]+\d+[a-z]*d[a-z]*|(g5|g[6-9]|gr6|p[5-9]|trn\d)(?!g)[a-z]*(-[a-z0-9]+)?|dl1")


def has_local_disks(instance_type: str) -> bool:
    """Return whether SageMaker puts the data of an instance of this type on its own NVMe disks.

    These are encrypted by their hardware, and SageMaker refuses a key for them: "You can't request a VolumeKmsKeyId
    when using an instance type with local storage" (API reference, ResourceConfig; the same of an endpoint's KmsKeyId).
    """
    family = instance_type.removeprefix("ml.").split(".")[0]
    return _LOCAL_DISKS.fullmatch(family) is not None
