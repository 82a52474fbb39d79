"""IAM statements."""

import pytest

from infra.policies import allow


@pytest.mark.parametrize("action", ["s3:*", "s3:Get*", "*"])
def test_a_wildcard_action_is_refused(action: str) -> None:
    with pytest.raises(ValueError, match="Read: name the actions instead of"):
        allow([action], ["arn:aws:s3:::bucket/*"], sid="Read")
