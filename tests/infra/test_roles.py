"""What the roles of jobs and endpoint hold for the settings that not every stage has."""

from pathlib import Path
from typing import Any

import pytest
from aws_cdk import App
from aws_cdk.assertions import Template

from infra.settings import Endpoint, Job, Jobs, Network, Settings
from infra.stacks import build_stage

Statements = dict[str, dict[str, Any]]
_VOLUME = Job(instance_type="ml.m5.large")
_DISKS = Job(instance_type="ml.g4dn.xlarge")
_VPC = Network(subnets=("subnet-0a1b2c3d",), security_groups=("sg-0a1b2c3d",))
PLAIN = Settings(image="pedigree:1")
FULL = Settings(
    image="pedigree:1",
    customer_key=True,
    debugger="managed",
    network=Network(subnets=_VPC.subnets, security_groups=_VPC.security_groups, isolation=True),
    endpoint=Endpoint(instance_type="ml.g4dn.xlarge", capture_percent=5),
)
DISKS_ONLY = Settings(
    image="pedigree:1", customer_key=True, jobs=Jobs(prepare=_DISKS, extract=_DISKS, tune=_DISKS, train=_DISKS)
)


class Roles:
    """The two roles of a stage, by statement id."""

    def __init__(self, context: dict[str, Any], settings: Settings, folder: Path) -> None:
        app = App(context=context, outdir=str(folder))
        *_, pipeline = build_stage(app, settings)
        self.template = Template.from_stack(pipeline)
        found = self.template.find_resources("AWS::IAM::Role")
        by_description = {
            role["Properties"]["Description"]: role["Properties"]
            for role in found.values()
            if "Description" in role["Properties"]
        }
        self.job = self._statements(by_description["Pedigree's prepare, feature, tuning and training jobs"])
        self.endpoint = self._statements(by_description["Pedigree's endpoint"])
        self.machine = self._statements(by_description["Pedigree's state machine"])

    @staticmethod
    def _statements(role: dict[str, Any]) -> Statements:
        listed = role["Policies"][0]["PolicyDocument"]["Statement"]
        assert len({statement["Sid"] for statement in listed}) == len(listed)
        return {statement["Sid"]: statement for statement in listed}


@pytest.fixture(scope="module")
def plain(context: dict[str, Any], tmp_path_factory: pytest.TempPathFactory) -> Roles:
    return Roles(context, PLAIN, tmp_path_factory.mktemp("plain"))


@pytest.fixture(scope="module")
def full(context: dict[str, Any], tmp_path_factory: pytest.TempPathFactory) -> Roles:
    return Roles(context, FULL, tmp_path_factory.mktemp("full"))


@pytest.fixture(scope="module")
def disks(context: dict[str, Any], tmp_path_factory: pytest.TempPathFactory) -> Roles:
    return Roles(context, DISKS_ONLY, tmp_path_factory.mktemp("disks"))


def test_a_plain_stage_s_roles_hold_nothing_of_keys_vpcs_captures_and_debuggers(plain: Roles) -> None:
    extras = ("BucketDecrypt", "BucketEncrypt", "Debugger", "OutputEncrypt", "SourceBundleList", "Volume", "Vpc")
    assert not [sid for sid in (*plain.job, *plain.endpoint) if sid.startswith(extras)]
    assert "BucketWrite" not in plain.endpoint


def test_the_key_may_be_used_and_handed_to_volumes_by_aws_alone(full: Roles) -> None:
    assert full.job["BucketDecrypt"]["Action"] == "kms:Decrypt"
    assert full.job["BucketEncrypt"]["Action"] == "kms:GenerateDataKey"
    assert full.job["OutputEncrypt"]["Action"] == "kms:Encrypt"
    grant = full.job["VolumeGrant"]
    assert grant["Action"] == "kms:CreateGrant"
    assert grant["Condition"] == {"Bool": {"kms:GrantIsForAWSResource": "true"}}
    assert grant["Resource"] != "*"


def test_no_grant_is_allowed_for_instances_whose_disks_take_no_key(full: Roles, disks: Roles) -> None:
    assert "VolumeGrant" not in full.endpoint
    assert "VolumeGrant" not in disks.job


def test_the_endpoint_may_write_what_it_captures_and_nothing_else(full: Roles) -> None:
    assert _text(full.endpoint["BucketWrite"]["Resource"]).endswith("/captures/*")
    assert full.endpoint["BucketEncrypt"]["Action"] == "kms:GenerateDataKey"


def test_network_interfaces_are_made_in_the_subnets_and_groups_of_the_settings_only(full: Roles) -> None:
    for statements in (full.job, full.endpoint):
        places = [_text(resource).split(":")[-1] for resource in statements["VpcInterfaces"]["Resource"]]
        assert places == ["network-interface/*", "security-group/sg-0a1b2c3d", "subnet/subnet-0a1b2c3d"]
        assert _text(statements["VpcInterfacesUse"]["Resource"]).endswith(":network-interface/*")
        assert all(action.startswith("ec2:Describe") for action in statements["VpcLook"]["Action"])


def test_sagemaker_may_list_the_bundle_of_isolated_jobs_and_no_other_asset(full: Roles) -> None:
    (only,) = full.job["SourceBundleList"]["Condition"].values()
    key = _text(full.job["SourceBundle"]["Resource"]).rsplit("/", 1)[-1]
    assert only == {"s3:prefix": f"{key}*"}


def test_debugger_rules_may_read_what_they_look_at(full: Roles, plain: Roles) -> None:
    def reads(roles: Roles) -> bool:
        return any(_text(each).endswith("/models/*") for each in roles.job["BucketRead"]["Resource"])

    assert reads(full)
    assert not reads(plain)
    assert "sagemaker-debugger-rules" in _text(full.job["DebuggerImagePull"]["Resource"])


def test_the_debugger_s_image_is_looked_up_by_region(full: Roles, plain: Roles) -> None:
    (mapping,) = full.template.find_mappings("*").values()
    assert mapping["us-east-1"] == {"Account": "503895931360"}
    assert not plain.template.find_mappings("*")


def test_the_state_machine_may_start_watch_and_stop_the_stage_s_jobs(plain: Roles) -> None:
    expected = {
        "TrainingStart": "sagemaker:CreateTrainingJob",
        "TrainingWatch": "sagemaker:DescribeTrainingJob",
        "TrainingStop": "sagemaker:StopTrainingJob",
        "TuningStart": "sagemaker:CreateHyperParameterTuningJob",
        "TuningWatch": "sagemaker:DescribeHyperParameterTuningJob",
        "TuningStop": "sagemaker:StopHyperParameterTuningJob",
        "TuningTrials": "sagemaker:ListTrainingJobsForHyperParameterTuningJob",
    }
    assert {sid: plain.machine[sid]["Action"] for sid in expected} == expected
    for sid in expected:
        assert _text(plain.machine[sid]["Resource"]).endswith("/pedigree-dev-*")
    passed = plain.machine["JobRolePass"]["Condition"]
    assert passed == {"StringEquals": {"iam:PassedToService": "sagemaker.amazonaws.com"}}


def _text(resource: Any) -> str:
    """Return an ARN with its intrinsic functions left out or written as they are."""
    if isinstance(resource, str):
        return resource
    if "Fn::Join" in resource:
        return "".join(map(_text, resource["Fn::Join"][1]))
    return str(resource)
