"""The synthesized templates of every stage, resources found by type and property."""

import json
from collections.abc import Iterator
from typing import Any

import pytest

from contract.inference import STATUS, ErrorCode
from contract.names import ApiPath, Output, stack_name
from contract.names import Stack as Part
from infra.policies import ON_EVERYTHING
from infra.settings import Settings

Templates = dict[str, Any]


def resources(templates: Templates, kind: str) -> dict[str, Any]:
    """Return the resources of a type from all stacks, by logical id."""
    return {
        name: resource
        for template in templates.values()
        for name, resource in template["Resources"].items()
        if resource["Type"] == kind
    }


def statements(templates: Templates) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield every statement of our roles, with the role's logical id."""
    for name, role in resources(templates, "AWS::IAM::Role").items():
        for policy in role["Properties"].get("Policies", []):
            for statement in policy["PolicyDocument"]["Statement"]:
                yield name, statement


def as_list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


def test_the_stacks_have_the_agreed_names(templates: Templates) -> None:
    assert templates.keys() == {str(part) for part in Part}
    assert stack_name("dev", Part.DATA) == "Pedigree-dev-Data"


def test_every_output_of_the_contract_stands_in_one_stack(templates: Templates) -> None:
    names = [name for template in templates.values() for name in template.get("Outputs", {})]
    for output in Output:
        assert names.count(str(output)) == 1, output


def test_no_action_is_a_wildcard(templates: Templates) -> None:
    for role, statement in statements(templates):
        assert not [action for action in as_list(statement["Action"]) if "*" in action], role


def test_only_what_has_no_resource_level_permission_is_allowed_on_everything(templates: Templates) -> None:
    for role, statement in statements(templates):
        if "*" in as_list(statement["Resource"]):
            assert set(as_list(statement["Action"])) <= ON_EVERYTHING.keys(), role


def test_no_role_of_ours_has_a_policy_of_aws(templates: Templates) -> None:
    """Except API Gateway's role, which is the account's: the gateway refuses one that may do less."""
    roles = {
        name: role["Properties"]
        for name, role in resources(templates, "AWS::IAM::Role").items()
        if "ManagedPolicyArns" in role["Properties"]
    }
    ((_, role),) = roles.items()
    assert role["AssumeRolePolicyDocument"]["Statement"][0]["Principal"] == {"Service": "apigateway.amazonaws.com"}
    assert "AmazonAPIGatewayPushToCloudWatchLogs" in json.dumps(role["ManagedPolicyArns"])


def test_roles_are_passed_to_one_named_service(templates: Templates) -> None:
    services = {"sagemaker.amazonaws.com", "sagemaker.application-autoscaling.amazonaws.com"}
    passing = [statement for _, statement in statements(templates) if "iam:PassRole" in as_list(statement["Action"])]
    assert passing
    for statement in passing:
        assert statement["Action"] == "iam:PassRole"
        assert "*" not in json.dumps(statement["Resource"]).replace(":role/aws-service-role/", "")
        ((key, service),) = statement["Condition"]["StringEquals"].items()
        assert key == "iam:PassedToService"
        assert service in services


def test_every_role_is_assumed_by_one_service(templates: Templates) -> None:
    for name, role in resources(templates, "AWS::IAM::Role").items():
        document = role["Properties"]["AssumeRolePolicyDocument"]["Statement"]
        assert len(document) == 1, name
        assert document[0]["Principal"].keys() == {"Service"}, name
        assert document[0]["Effect"] == "Allow", name


def test_the_state_machine_may_do_what_its_states_do(templates: Templates) -> None:
    allowed = {
        action.lower()
        for name, statement in statements(templates)
        if name.startswith("PipelineRole")
        for action in as_list(statement["Action"])
    }
    service = {
        "lambda:invoke": "lambda:invokefunction",
        "s3:listobjectsv2": "s3:listbucket",
        "sfn:describeexecution": "states:describeexecution",
    }
    for state in definition_of(templates)["States"].values():
        if state["Type"] != "Task":
            continue
        call = state["Resource"].split(":::")[1].removeprefix("aws-sdk:").removesuffix(".sync").lower()
        call = call.replace("applicationautoscaling:", "application-autoscaling:")
        assert service.get(call, call) in allowed, call


def definition_of(templates: Templates) -> dict[str, Any]:
    """Return the deployed definition; deploy-time values read as <ref>."""
    ((_, machine),) = resources(templates, "AWS::StepFunctions::StateMachine").items()
    text = machine["Properties"]["DefinitionString"]
    if isinstance(text, dict):
        text = "".join(part if isinstance(part, str) else "<ref>" for part in text["Fn::Join"][1])
    made: dict[str, Any] = json.loads(text)
    return made


def test_the_deployed_definition_is_json(templates: Templates) -> None:
    assert definition_of(templates)["QueryLanguage"] == "JSONata"


def test_the_image_is_built_in_the_cloud_only_where_none_is_given(templates: Templates, settings: Settings) -> None:
    assert bool(resources(templates, "AWS::CodeBuild::Project")) is (settings.image is None)
    assert bool(resources(templates, "Custom::PedigreeImage")) is (settings.image is None)


def test_everything_but_the_page_and_the_documentation_needs_a_key(templates: Templates) -> None:
    parts = {
        name: found["Properties"]["PathPart"]
        for name, found in resources(templates, "AWS::ApiGateway::Resource").items()
    }
    methods = [method["Properties"] for method in resources(templates, "AWS::ApiGateway::Method").values()]
    assert {method["HttpMethod"] for method in methods} == {"GET", "POST", "ANY"}
    root = ""
    open_ones = {parts.get(method["ResourceId"].get("Ref"), root) for method in methods if not method["ApiKeyRequired"]}
    assert open_ones == {path.strip("/") for path in (ApiPath.PAGE, ApiPath.DOCS, ApiPath.DOCUMENT)}


def test_the_key_s_value_stands_in_no_template(templates: Templates) -> None:
    ((_, key),) = resources(templates, "AWS::ApiGateway::ApiKey").items()
    assert "Value" not in key["Properties"]


def test_the_usage_plan_throttles_as_the_settings_say(templates: Templates, settings: Settings) -> None:
    ((_, plan),) = resources(templates, "AWS::ApiGateway::UsagePlan").items()
    limits = {"RateLimit": settings.api.requests_per_second, "BurstLimit": settings.api.burst}
    assert plan["Properties"]["Throttle"] == limits


def test_one_key_at_its_limits_leaves_room_for_others(templates: Templates, settings: Settings) -> None:
    ((_, stage),) = resources(templates, "AWS::ApiGateway::Stage").items()
    (limits,) = stage["Properties"]["MethodSettings"]
    assert limits["ThrottlingRateLimit"] >= 2 * settings.api.requests_per_second
    assert limits["ThrottlingBurstLimit"] >= 2 * settings.api.burst


def test_the_gateway_s_own_errors_have_our_shape(templates: Templates) -> None:
    responses = resources(templates, "AWS::ApiGateway::GatewayResponse").values()
    statuses = set()
    for response in responses:
        properties = response["Properties"]
        error = json.loads(properties["ResponseTemplates"]["application/json"])["error"]
        assert error.keys() == {"code", "message", "request_id"}
        assert properties["ResponseParameters"]["gatewayresponse.header.X-Request-Id"] == "context.requestId"
        code = ErrorCode(error["code"])
        if not properties["ResponseType"].startswith("DEFAULT"):
            assert properties["StatusCode"] == str(STATUS[code])
        statuses.add(STATUS[code])
    assert statuses >= {403, 404, 413, 415, 429, 500, 503}


def test_a_photo_that_the_gateway_finds_too_large_is_told_where_large_ones_go(templates: Templates) -> None:
    responses = resources(templates, "AWS::ApiGateway::GatewayResponse").values()
    (told,) = [one["Properties"] for one in responses if one["Properties"]["ResponseType"] == "REQUEST_TOO_LARGE"]
    assert ApiPath.UPLOADS in told["ResponseTemplates"]["application/json"]


@pytest.mark.parametrize("kind", ["MISSING_AUTHENTICATION_TOKEN", "DEFAULT_4XX", "DEFAULT_5XX", "THROTTLED"])
def test_the_deployment_waits_for_the_gateway_s_errors(templates: Templates, kind: str) -> None:
    responses = resources(templates, "AWS::ApiGateway::GatewayResponse")
    (name,) = [name for name, response in responses.items() if response["Properties"]["ResponseType"] == kind]
    ((_, deployment),) = resources(templates, "AWS::ApiGateway::Deployment").items()
    assert name in deployment["DependsOn"]


def test_our_functions_log_where_we_say(templates: Templates) -> None:
    for name, function in resources(templates, "AWS::Lambda::Function").items():
        assert "LoggingConfig" in function["Properties"], name
