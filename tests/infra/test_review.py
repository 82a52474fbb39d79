"""What a careful reviewer asks of every template, whatever it is for: no resource is exempt because it is new."""

import json
from collections.abc import Iterator
from typing import Any

import pytest

from infra.settings import Settings

Templates = dict[str, Any]
Resource = dict[str, Any]

# What keeps data of its own; everything else can be made again.
STATEFUL = {"AWS::S3::Bucket", "AWS::ECR::Repository", "AWS::KMS::Key"}
POLICIES = {"AWS::S3::BucketPolicy": "Bucket", "AWS::SNS::TopicPolicy": "Topics"}
# Types that were looked at: how they stand to encryption, access and deletion.
REVIEWED = {
    "AWS::ApiGateway::Account",
    "AWS::ApiGateway::ApiKey",
    "AWS::ApiGateway::Deployment",
    "AWS::ApiGateway::GatewayResponse",
    "AWS::ApiGateway::Method",
    "AWS::ApiGateway::RequestValidator",
    "AWS::ApiGateway::Resource",
    "AWS::ApiGateway::RestApi",
    "AWS::ApiGateway::Stage",
    "AWS::ApiGateway::UsagePlan",
    "AWS::ApiGateway::UsagePlanKey",
    "AWS::CDK::Metadata",
    "AWS::CloudWatch::Alarm",
    "AWS::CloudWatch::Dashboard",
    "AWS::CodeBuild::Project",
    "AWS::ECR::Repository",
    "AWS::Events::Rule",
    "AWS::IAM::Role",
    "AWS::KMS::Alias",
    "AWS::KMS::Key",
    "AWS::Lambda::Function",
    "AWS::Lambda::Permission",
    "AWS::Logs::LogGroup",
    "AWS::S3::Bucket",
    "AWS::S3::BucketPolicy",
    "AWS::SNS::Topic",
    "AWS::SNS::TopicPolicy",
    "AWS::StepFunctions::StateMachine",
    "Custom::PedigreeCleanup",
    "Custom::PedigreeEmptyBuckets",
    "Custom::PedigreeImage",
}


def all_resources(templates: Templates) -> Iterator[tuple[str, Resource]]:
    for template in templates.values():
        yield from template["Resources"].items()


def of_type(templates: Templates, *kinds: str) -> list[tuple[str, Resource]]:
    return [(name, resource) for name, resource in all_resources(templates) if resource["Type"] in kinds]


def as_list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


def test_every_type_of_resource_was_looked_at(templates: Templates) -> None:
    assert {resource["Type"] for _, resource in all_resources(templates)} <= REVIEWED


def test_permissions_stand_in_roles_alone(templates: Templates) -> None:
    """A role never exists without its policy, and what it may do is read in one place."""
    assert not of_type(templates, "AWS::IAM::Policy", "AWS::IAM::ManagedPolicy", "AWS::IAM::User", "AWS::IAM::Group")


def test_whoever_holds_data_refuses_connections_without_tls(templates: Templates) -> None:
    protected = {
        json.dumps(of)
        for _, policy in of_type(templates, *POLICIES)
        for of in as_list(policy["Properties"][POLICIES[policy["Type"]]])
        for statement in policy["Properties"]["PolicyDocument"]["Statement"]
        if statement["Effect"] == "Deny"
        and statement["Condition"] == {"Bool": {"aws:SecureTransport": "false"}}
        and statement["Principal"] in ("*", {"AWS": "*"})
    }
    holders = {json.dumps({"Ref": name}) for name, _ in of_type(templates, "AWS::S3::Bucket", "AWS::SNS::Topic")}
    assert protected == holders


def test_no_resource_policy_lets_everybody_in(templates: Templates) -> None:
    documents = [
        (name, resource["Properties"].get("PolicyDocument") or resource["Properties"]["KeyPolicy"])
        for name, resource in of_type(templates, *POLICIES, "AWS::KMS::Key")
    ]
    for name, document in documents:
        for statement in document["Statement"]:
            if statement["Effect"] == "Allow":
                assert "*" not in json.dumps(statement["Principal"]), name
                assert not [action for action in as_list(statement["Action"]) if "*" in action], name


def test_functions_are_called_by_named_resources_only(templates: Templates) -> None:
    for name, permission in of_type(templates, "AWS::Lambda::Permission"):
        assert permission["Properties"]["SourceArn"], name


@pytest.mark.parametrize("kind", sorted(STATEFUL))
def test_what_keeps_data_is_kept_or_deleted_as_the_settings_say(
    templates: Templates, settings: Settings, kind: str
) -> None:
    wanted = {"retain": "Retain", "destroy": "Delete"}[settings.removal]
    for name, resource in of_type(templates, kind):
        assert (resource["DeletionPolicy"], resource["UpdateReplacePolicy"]) == (wanted, wanted), name


def test_a_stage_that_keeps_nothing_leaves_only_the_account_s_role_behind(
    templates: Templates, settings: Settings
) -> None:
    if settings.removal != "destroy":
        pytest.skip("this stage keeps its data")
    kept = {name for name, resource in all_resources(templates) if resource.get("DeletionPolicy") == "Retain"}
    assert {templates["FrontDoor"]["Resources"][name]["Type"] for name in kept} == {
        "AWS::ApiGateway::Account",
        "AWS::IAM::Role",
    }


def test_images_are_scanned_and_never_overwritten(templates: Templates) -> None:
    for _, repository in of_type(templates, "AWS::ECR::Repository"):
        assert repository["Properties"]["ImageScanningConfiguration"] == {"ScanOnPush": True}
        assert repository["Properties"]["ImageTagMutability"] == "IMMUTABLE"


def test_the_gateway_looks_at_requests_before_the_function_does(templates: Templates) -> None:
    ((validator, _),) = of_type(templates, "AWS::ApiGateway::RequestValidator")
    for _, method in of_type(templates, "AWS::ApiGateway::Method"):
        assert method["Properties"]["RequestValidatorId"] == {"Ref": validator}


def test_functions_run_on_the_newest_python_of_lambda(templates: Templates) -> None:
    assert {function["Properties"]["Runtime"] for _, function in of_type(templates, "AWS::Lambda::Function")} == {
        "python3.14"
    }


def test_no_secret_stands_in_a_function_s_environment(templates: Templates) -> None:
    for name, function in of_type(templates, "AWS::Lambda::Function"):
        variables = function["Properties"].get("Environment", {}).get("Variables", {})
        assert not [key for key in variables if any(word in key for word in ("SECRET", "TOKEN", "PASSWORD"))], name
