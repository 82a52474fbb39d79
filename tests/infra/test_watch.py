"""Who is told what: topic, alarms, notices, dashboard, traces and logs in the templates of every stage."""

import itertools
import json
from typing import Any

import pytest
from aws_cdk import App, Stack
from aws_cdk import aws_kms as kms
from aws_cdk.assertions import Match, Template

from contract.names import VARIANT
from infra.settings import Settings
from infra.watch.alarms import rollback_alarms
from infra.watch.notices import Notices

Templates = dict[str, Any]


def resources(templates: Templates, kind: str) -> list[dict[str, Any]]:
    """Return the properties of all resources of a type."""
    return [
        resource["Properties"]
        for template in templates.values()
        for resource in template["Resources"].values()
        if resource["Type"] == kind
    ]


def text(value: Any) -> str:
    """Return a text with its deploy-time parts as REF."""
    if isinstance(value, str):
        return value
    return "".join(part if isinstance(part, str) else "REF" for part in value["Fn::Join"][1])


def alarms(templates: Templates) -> dict[str, dict[str, Any]]:
    return {alarm["AlarmName"]: alarm for alarm in resources(templates, "AWS::CloudWatch::Alarm")}


def test_a_rollout_looks_at_alarms_that_exist(templates: Templates, settings: Settings) -> None:
    errors, latency = (alarms(templates)[name] for name in rollback_alarms(settings.prefix))
    limits = settings.endpoint.rollout
    assert (errors["MetricName"], errors["Statistic"]) == ("Invocation5XXErrors", "Average")
    assert errors["Threshold"] == limits.maximum_error_percent / 100
    assert (latency["MetricName"], latency["ExtendedStatistic"]) == ("ModelLatency", "p99")
    assert latency["Threshold"] == limits.maximum_latency_ms * 1000
    for alarm in (errors, latency):
        dimensions = {each["Name"]: each["Value"] for each in alarm["Dimensions"]}
        assert dimensions == {"EndpointName": settings.prefix, "VariantName": VARIANT}
        assert (alarm["Period"], alarm["EvaluationPeriods"]) == (60, 1)


def test_every_alarm_tells_the_topic_when_it_starts_and_ends_and_none_starts_for_want_of_calls(
    templates: Templates,
) -> None:
    for name, alarm in alarms(templates).items():
        assert alarm["AlarmActions"] == alarm["OKActions"], name
        assert "NoticesTopic" in json.dumps(alarm["AlarmActions"]), name
        assert alarm["TreatMissingData"] == "notBreaching", name


def test_what_can_fail_has_an_alarm(templates: Templates, settings: Settings) -> None:
    watched = {name.removeprefix(f"{settings.prefix}-") for name in alarms(templates)}
    wanted = {"api-errors", "executions-failed", "front-door-errors", "front-door-throttles", "smoke-test-errors"}
    assert watched >= wanted | ({"reaper-errors"} if settings.reaper.idle_hours else set())


def test_the_topic_takes_tls_only_and_lets_this_stage_s_alarms_publish(
    templates: Templates, settings: Settings
) -> None:
    (policy,) = resources(templates, "AWS::SNS::TopicPolicy")
    refused, allowed = policy["PolicyDocument"]["Statement"]
    assert (refused["Effect"], refused["Condition"]) == ("Deny", {"Bool": {"aws:SecureTransport": "false"}})
    assert allowed["Principal"] == {"Service": "cloudwatch.amazonaws.com"}
    assert text(allowed["Condition"]["ArnLike"]["aws:SourceArn"]).endswith(f":alarm:{settings.prefix}-*")
    assert allowed["Condition"]["StringEquals"] == {"aws:SourceAccount": {"Ref": "AWS::AccountId"}}


def notices(*, with_key: bool, email: str | None = None) -> tuple[Notices, Template]:
    stack = Stack(App(), "S")
    key = kms.Key(stack, "Key") if with_key else None
    made = Notices(stack, "Notices", prefix="pedigree-dev", email=email, key=key)
    return made, Template.from_stack(stack)


def test_a_customer_key_encrypts_the_notices_and_publishers_may_use_it() -> None:
    made, template = notices(with_key=True)
    assert [statement.sid for statement in made.publish_statements()] == ["Notice", "NoticeKey"]
    template.has_resource_properties("AWS::SNS::Topic", {"KmsMasterKeyId": Match.any_value()})


def test_without_a_key_aws_s_own_is_not_used_either_since_no_alarm_could_publish() -> None:
    made, template = notices(with_key=False)
    assert [statement.sid for statement in made.publish_statements()] == ["Notice"]
    template.has_resource_properties("AWS::SNS::Topic", {"KmsMasterKeyId": Match.absent()})


def test_whoever_the_settings_name_gets_the_notices_by_e_mail() -> None:
    _, template = notices(with_key=False, email="somebody@example.com")
    template.has_resource_properties(
        "AWS::SNS::Subscription", {"Protocol": "email", "Endpoint": "somebody@example.com"}
    )


def test_an_ended_execution_is_told_in_words(templates: Templates, settings: Settings) -> None:
    rules = {
        status: rule
        for rule in resources(templates, "AWS::Events::Rule")
        if rule.get("EventPattern", {}).get("source") == ["aws.states"]
        for status in rule["EventPattern"]["detail"]["status"]
    }
    assert rules.keys() == {"FAILED", "TIMED_OUT", "ABORTED"}
    for status, rule in rules.items():
        (target,) = rule["Targets"]
        message = json.loads(text(target["InputTransformer"]["InputTemplate"]))
        assert message.startswith(f"Pedigree {settings.stage}: execution <detail-name> ended <detail-status>")
        assert ("<detail-cause>" in message) is (status == "FAILED")
        assert "#/v2/executions/details/<detail-executionArn>" in message
        assert target["RoleArn"]


def test_only_critical_findings_in_our_images_are_told(templates: Templates, settings: Settings) -> None:
    scans = [
        rule["EventPattern"]["detail"]
        for rule in resources(templates, "AWS::Events::Rule")
        if rule.get("EventPattern", {}).get("source") == ["aws.ecr"]
    ]
    assert len(scans) == (settings.image is None)
    for detail in scans:
        assert detail["finding-severity-counts"] == {"CRITICAL": [{"numeric": [">", 0]}]}
        assert detail["repository-name"]


def test_functions_executions_and_the_api_are_traced(templates: Templates) -> None:
    for function in resources(templates, "AWS::Lambda::Function"):
        assert function["TracingConfig"] == {"Mode": "Active"}
    (machine,) = resources(templates, "AWS::StepFunctions::StateMachine")
    assert machine["TracingConfiguration"] == {"Enabled": True}
    (stage,) = resources(templates, "AWS::ApiGateway::Stage")
    assert stage["TracingEnabled"] is True


def test_executions_are_logged_whole(templates: Templates, settings: Settings) -> None:
    (machine,) = resources(templates, "AWS::StepFunctions::StateMachine")
    assert machine["LoggingConfiguration"]["Level"] == "ALL"
    names = [group.get("LogGroupName") for group in resources(templates, "AWS::Logs::LogGroup")]
    assert f"/aws/vendedlogs/states/{settings.prefix}" in names


def test_calls_of_the_api_are_logged_without_bodies_and_keys(templates: Templates) -> None:
    (stage,) = resources(templates, "AWS::ApiGateway::Stage")
    fields = json.loads(stage["AccessLogSetting"]["Format"])
    assert {"request_id", "status", "api_key_id"} <= fields.keys()
    assert not {"$context.identity.apiKey", "$input.body"} & set(fields.values())
    (everything,) = stage["MethodSettings"]
    assert (everything["DataTraceEnabled"], everything["LoggingLevel"]) == (False, "ERROR")


def test_every_log_group_keeps_its_lines_as_long_as_the_settings_say(templates: Templates, settings: Settings) -> None:
    groups = resources(templates, "AWS::Logs::LogGroup")
    names = [text(group["LogGroupName"]) for group in groups if "LogGroupName" in group]
    assert {group.get("RetentionInDays") for group in groups} == {settings.watch.log_days}
    assert f"/aws/sagemaker/Endpoints/{settings.prefix}" in names
    assert "API-Gateway-Execution-Logs_REF/v1" in names


def widgets(templates: Templates) -> list[dict[str, Any]]:
    (dashboard,) = resources(templates, "AWS::CloudWatch::Dashboard")
    found: list[dict[str, Any]] = json.loads(text(dashboard["DashboardBody"]))["widgets"]
    return found


def test_the_dashboard_fills_24_columns_and_nothing_overlaps(templates: Templates) -> None:
    rows: dict[int, int] = {}
    for widget in widgets(templates):
        rows[widget["y"]] = rows.get(widget["y"], 0) + widget["width"]
    assert set(rows.values()) == {24}
    for one, other in itertools.combinations(widgets(templates), 2):
        apart = (
            one["x"] + one["width"] <= other["x"]
            or other["x"] + other["width"] <= one["x"]
            or one["y"] + one["height"] <= other["y"]
            or other["y"] + other["height"] <= one["y"]
        )
        assert apart, (one, other)


@pytest.mark.parametrize(
    "shown", ["ExecutionsStarted", "valid:accuracy", "GPUUtilization", "ModelLatency", "Invocations", "5XXError"]
)
def test_the_dashboard_shows_what_people_look_for(templates: Templates, shown: str) -> None:
    assert shown in json.dumps([widget["properties"] for widget in widgets(templates)])


def test_the_dashboard_names_every_alarm(templates: Templates) -> None:
    (shown,) = [widget for widget in widgets(templates) if widget["type"] == "alarm"]
    assert len(shown["properties"]["alarms"]) == len(alarms(templates))


def test_the_cost_of_the_endpoint_is_its_instances_times_the_price(templates: Templates, settings: Settings) -> None:
    (cost,) = [
        widget["properties"]
        for widget in widgets(templates)
        if widget["properties"].get("title", "").startswith("Cost of the endpoint's")
    ]
    assert settings.endpoint.instance_type in cost["title"]
    assert "samples / 5 * " in cost["metrics"][0][0]["expression"]
