"""What the states need to know about what was deployed around them."""

from dataclasses import dataclass
from typing import Final

from contract.names import PROJECT, Prefix, Step
from infra.settings import Settings

# How a step is called in job names; SageMaker takes letters, digits and hyphens. A tuning job's has no room for more.
_JOB_WORD: Final = {Step.PREPARE: "-prepare", Step.EXTRACT: "-features", Step.TUNE: "", Step.TRAIN: "-train"}


@dataclass(frozen=True, kw_only=True)
class Facts:
    """Values that hold for every execution; deploy-time tokens in the template, plain text in tests."""

    settings: Settings
    bucket: str
    source_bundle: str  # s3 URI; its key is a hash of the code
    cpu_image: str
    gpu_image: str
    job_role: str  # ARN
    endpoint_role: str  # ARN
    endpoint_name: str
    smoke_test: str  # function ARN
    api_url: str
    customer_key: str  # ARN of the stage's KMS key; empty where AWS's own keys encrypt
    rollback_alarms: tuple[str, ...]  # names of the alarms that put an endpoint's old model back
    notices: str  # ARN of the topic that people are told through
    source_revision: str  # the commit that last changed the code of the source bundle, or a hash of it
    debugger_image: str = ""  # what evaluates SageMaker's own Debugger rules, where the settings want those

    def uri(self, prefix: Prefix | str) -> str:
        """Return the s3 URI of a prefix, without a slash at its end."""
        return f"s3://{self.bucket}/{prefix}"

    def image(self, *, gpu: bool) -> str:
        """Return the image for a kind of instance."""
        return self.gpu_image if gpu else self.cpu_image

    @property
    def weights_uri(self) -> str:
        """Where pretrained weights may stand."""
        return f"{self.uri(self.settings.weights_prefix)}/"

    def job_name(self, step: Step) -> str:
        """Return a JSONata expression for the name of this execution's job of a step, at its present attempt."""
        word = _JOB_WORD[step]
        if step is Step.TUNE and self.settings.tuning.mode == "single_job":
            word = "-tune"
        return f"'{self.settings.prefix}{word}-' & $run & ($attempt = 0 ? '' : '-r' & $attempt)"

    @property
    def run_name(self) -> str:
        """A JSONata expression for the name of what an execution makes once: model, endpoint config."""
        return f"'{self.settings.prefix}-' & $run"

    def tags(self, step: Step) -> list[dict[str, str]]:
        """Return the tags by which costs are allocated."""
        return [
            {"Key": f"{PROJECT}:stage", "Value": self.settings.stage},
            {"Key": f"{PROJECT}:step", "Value": step},
            {"Key": f"{PROJECT}:run", "Value": "{% $run %}"},
        ]
