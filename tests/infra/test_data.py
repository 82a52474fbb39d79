"""The buckets and the key of a stage, in the synthesized templates."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from aws_cdk import App, Stack

from infra.data import DataBucket
from infra.settings import Settings

Template = dict[str, Any]
_LOG_DELIVERY = {"Service": "logging.s3.amazonaws.com"}


@pytest.fixture
def template_of(tmp_path: Path, context: dict[str, Any]) -> Callable[..., Template]:
    """A function that returns the template of a stage's data, by what differs from the defaults."""

    def template(**values: Any) -> Template:
        app = App(context=context, outdir=str(tmp_path))
        stack = Stack(app, "Test")
        DataBucket(stack, "Data", settings=replace(Settings(), **values))
        made: Template = app.synth().get_stack_by_name("Test").template
        return made

    return template


def of_type(template: Template, kind: str) -> list[Any]:
    """Return the resources of a type."""
    return [resource for resource in template["Resources"].values() if resource["Type"] == kind]


def buckets(template: Template) -> tuple[Any, Any]:
    """Return the bucket for data, and the one for its access logs."""
    found = sorted(
        of_type(template, "AWS::S3::Bucket"), key=lambda each: "LoggingConfiguration" not in each["Properties"]
    )
    data, logs = found
    return data, logs


def test_both_buckets_are_private(template_of: Callable[..., Template]) -> None:
    for bucket in buckets(template_of()):
        access = bucket["Properties"]["PublicAccessBlockConfiguration"]
        assert set(access.values()) == {True}
        assert len(access) == 4


def test_both_buckets_refuse_plain_http_and_old_tls(template_of: Callable[..., Template]) -> None:
    policies = of_type(template_of(), "AWS::S3::BucketPolicy")
    assert len(policies) == 2
    for policy in policies:
        conditions = [
            statement["Condition"]
            for statement in policy["Properties"]["PolicyDocument"]["Statement"]
            if statement["Effect"] == "Deny" and statement["Principal"] == {"AWS": "*"}
        ]
        assert {"Bool": {"aws:SecureTransport": "false"}} in conditions
        assert {"NumericLessThan": {"s3:TlsVersion": 1.2}} in conditions


def test_the_data_s_former_versions_can_be_had_back(template_of: Callable[..., Template]) -> None:
    data, _ = buckets(template_of())
    assert data["Properties"]["VersioningConfiguration"] == {"Status": "Enabled"}


def test_only_the_log_delivery_of_this_bucket_may_write_access_logs(template_of: Callable[..., Template]) -> None:
    (statement,) = [
        statement
        for policy in of_type(template_of(), "AWS::S3::BucketPolicy")
        for statement in policy["Properties"]["PolicyDocument"]["Statement"]
        if statement["Effect"] == "Allow"
    ]
    assert statement["Principal"] == _LOG_DELIVERY
    assert statement["Action"] == "s3:PutObject"
    assert statement["Condition"].keys() == {"ArnLike", "StringEquals"}


def test_access_logs_expire_as_all_logs_do(template_of: Callable[..., Template]) -> None:
    settings = Settings()
    _, logs = buckets(template_of())
    (rule,) = logs["Properties"]["LifecycleConfiguration"]["Rules"]
    assert rule["ExpirationInDays"] == settings.watch.log_days


def test_what_can_be_computed_again_expires_and_resume_records_expire_first(
    template_of: Callable[..., Template],
) -> None:
    data, _ = buckets(template_of())
    rules = data["Properties"]["LifecycleConfiguration"]["Rules"]
    days = {rule["Prefix"]: rule["ExpirationInDays"] for rule in rules if "ExpirationInDays" in rule}
    assert days.keys() == {"features/", "checkpoints/", "resume/", "captures/", "locks/", "uploads/"}
    assert days["resume/"] < min(days["features/"], days["checkpoints/"])


def test_uploads_are_gone_after_a_day_with_every_version(template_of: Callable[..., Template]) -> None:
    data, _ = buckets(template_of())
    (rule,) = [one for one in data["Properties"]["LifecycleConfiguration"]["Rules"] if one.get("Prefix") == "uploads/"]
    assert rule["ExpirationInDays"] == 1
    assert rule["NoncurrentVersionExpiration"] == {"NoncurrentDays": 1}


def test_without_a_customer_key_s3_s_own_encrypt(template_of: Callable[..., Template]) -> None:
    template = template_of(customer_key=False)
    assert not of_type(template, "AWS::KMS::Key")
    for bucket in buckets(template):
        assert encryption(bucket)["ServerSideEncryptionByDefault"] == {"SSEAlgorithm": "AES256"}


def encryption(bucket: Any) -> Any:
    """Return the one rule of a bucket's default encryption."""
    (rule,) = bucket["Properties"]["BucketEncryption"]["ServerSideEncryptionConfiguration"]
    return rule


def test_a_customer_key_encrypts_the_data_and_is_asked_per_bucket_not_per_photo(
    template_of: Callable[..., Template],
) -> None:
    data, logs = buckets(template_of(customer_key=True))
    assert encryption(data)["ServerSideEncryptionByDefault"]["SSEAlgorithm"] == "aws:kms"
    assert encryption(data)["BucketKeyEnabled"] is True
    # Log delivery works with S3's own keys only.
    assert encryption(logs)["ServerSideEncryptionByDefault"] == {"SSEAlgorithm": "AES256"}


def test_the_customer_key_rotates_and_is_found_by_its_name(template_of: Callable[..., Template]) -> None:
    template = template_of(customer_key=True, stage="prod")
    (key,) = of_type(template, "AWS::KMS::Key")
    (alias,) = of_type(template, "AWS::KMS::Alias")
    assert key["Properties"]["EnableKeyRotation"] is True
    assert key["Properties"]["PendingWindowInDays"] == 7
    assert alias["Properties"]["AliasName"] == "alias/pedigree-prod"


def test_the_key_s_policy_names_every_action_and_nobody_outside_this_account(
    template_of: Callable[..., Template],
) -> None:
    (key,) = of_type(template_of(customer_key=True), "AWS::KMS::Key")
    statements = key["Properties"]["KeyPolicy"]["Statement"]
    for statement in statements:
        actions = statement["Action"] if isinstance(statement["Action"], list) else [statement["Action"]]
        assert not [action for action in actions if "*" in action], statement["Sid"]
        root = {"Fn::Join": ["", ["arn:", {"Ref": "AWS::Partition"}, ":iam::", {"Ref": "AWS::AccountId"}, ":root"]]}
        assert statement["Principal"] in (
            {"AWS": root},
            {"Service": "cloudwatch.amazonaws.com"},
            {"Service": "events.amazonaws.com"},
        )
    # Without it nobody could ever change the policy again.
    assert "kms:PutKeyPolicy" in statements[0]["Action"]


@pytest.mark.parametrize(("removal", "policy"), [("destroy", "Delete"), ("retain", "Retain")])
def test_data_and_key_outlive_their_stack_where_the_settings_say_so(
    template_of: Callable[..., Template], removal: str, policy: str
) -> None:
    template = template_of(removal=removal, customer_key=True)
    for resource in [*of_type(template, "AWS::S3::Bucket"), *of_type(template, "AWS::KMS::Key")]:
        assert resource["DeletionPolicy"] == policy
