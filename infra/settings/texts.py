"""What several sections' texts may look like."""

from typing import Final

from infra.checks import Text

# Values end up inside JSONata string literals and CloudFormation: nothing that could end such a literal.
PLAIN: Final = r"[^'\"\\{}%$\s]+"
INSTANCE_TYPE: Final = Text(r"ml\.[a-z0-9-]+\.[a-z0-9]+", "a SageMaker instance type such as ml.m5.large")


def is_gpu(instance_type: str) -> bool:
    """Return whether an instance of this type needs the image with CUDA."""
    return instance_type.startswith(("ml.g", "ml.p"))
