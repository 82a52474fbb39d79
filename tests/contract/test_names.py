import pytest

from contract.names import MAX_TUNING_JOB_NAME, check_job_name


def test_a_name_that_sagemaker_takes_is_returned() -> None:
    assert check_job_name("pedigree-1a2b-train") == "pedigree-1a2b-train"


@pytest.mark.parametrize("name", ["", "under_score", "-leading", "trailing-", "x" * 33])
def test_a_name_that_sagemaker_refuses_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match="no SageMaker job name"):
        check_job_name(name, MAX_TUNING_JOB_NAME)
