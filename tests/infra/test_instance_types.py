"""Which instance types take no key for their disks."""

import pytest

from infra.instance_types import has_local_disks

WITH_DISKS = (
    "ml.g4dn.xlarge ml.g5.2xlarge ml.g6.xlarge ml.g6e.48xlarge ml.g7e.2xlarge ml.p3dn.24xlarge ml.p4d.24xlarge "
    "ml.p4de.24xlarge ml.p5.48xlarge ml.p5en.48xlarge ml.p6-b200.48xlarge ml.p6e-gb200.36xlarge ml.trn1n.32xlarge "
    "ml.trn2.48xlarge ml.r5d.large ml.m6gd.large ml.c6id.large"
)
WITHOUT = (
    "ml.m5.large ml.c5n.xlarge ml.t3.medium ml.r5.large ml.p2.xlarge ml.p3.2xlarge ml.m7i-flex.large ml.c8i.4xlarge "
    "ml.g5g.xlarge ml.inf2.xlarge"
)


@pytest.mark.parametrize("instance_type", WITH_DISKS.split())
def test_disks_of_the_instance_itself_take_no_key(instance_type: str) -> None:
    assert has_local_disks(instance_type)


@pytest.mark.parametrize("instance_type", WITHOUT.split())
def test_volumes_beside_the_instance_take_a_key(instance_type: str) -> None:
    assert not has_local_disks(instance_type)
