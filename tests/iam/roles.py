"""The roles of a stage: as the templates have them, and as they were deployed."""

import contextlib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class Statement:
    """One statement of a role's policies; ``place`` is its position in the policy."""

    sid: str
    policy: str
    place: int
    actions: tuple[str, ...]
    resources: tuple[str, ...]
    conditions: Mapping[str, Any]


@dataclass(frozen=True)
class Role:
    """One role; ``name`` and ``arn`` are empty, and resources may be intrinsic functions, until it is deployed."""

    stack: str
    logical_id: str
    title: str
    services: tuple[str, ...]
    managed: tuple[str, ...]
    policies: tuple[str, ...]
    statements: tuple[Statement, ...]
    name: str = ""
    arn: str = ""


def synthesized(assembly: Path) -> list[Role]:
    """Return every role of the stacks in a cloud assembly."""
    manifest = json.loads((assembly / "manifest.json").read_text("utf-8"))
    found = []
    for artifact, content in manifest["artifacts"].items():
        if content["type"] == "aws:cloudformation:stack":
            template = json.loads((assembly / content["properties"]["templateFile"]).read_text("utf-8"))
            found += template_roles(content["properties"].get("stackName", artifact), template)
    return found


def template_roles(stack: str, template: Mapping[str, Any]) -> list[Role]:
    """Return the roles of one template, with the policies that stand in them and those that are attached to them."""
    resources: Mapping[str, Any] = template.get("Resources", {})
    found = []
    for logical_id, resource in resources.items():
        if resource["Type"] != "AWS::IAM::Role":
            continue
        properties = resource.get("Properties", {})
        documents = {each["PolicyName"]: each["PolicyDocument"] for each in properties.get("Policies", [])}
        documents |= dict(_attached(resources, logical_id))
        path = resource.get("Metadata", {}).get("aws:cdk:path", logical_id)
        found.append(
            Role(
                stack=stack,
                logical_id=logical_id,
                title=properties.get("Description") or path.partition("/")[2].removesuffix("/Resource"),
                services=tuple(_services(properties["AssumeRolePolicyDocument"])),
                managed=tuple(json.dumps(each) for each in properties.get("ManagedPolicyArns", [])),
                policies=tuple(documents),
                statements=tuple(_statements(documents)),
            )
        )
    return found


def deployed(role: Role, cloudformation: Any, iam: Any) -> Role:
    """Return a role of a template with everything that only its deployment says."""
    resource = cloudformation.describe_stack_resource(StackName=role.stack, LogicalResourceId=role.logical_id)
    name = resource["StackResourceDetail"]["PhysicalResourceId"]
    documents = {
        policy: iam.get_role_policy(RoleName=name, PolicyName=policy)["PolicyDocument"] for policy in role.policies
    }
    arn = iam.get_role(RoleName=name)["Role"]["Arn"]
    return replace(role, name=name, arn=arn, statements=tuple(_statements(documents)))


@contextlib.contextmanager
def changed(iam: Any, role: Role, statement: Statement, instead: Mapping[str, Any] | None) -> Iterator[None]:
    """Put another statement, or none, in a statement's place; everything is as before afterwards."""
    named = {"RoleName": role.name, "PolicyName": statement.policy}
    before = iam.get_role_policy(**named)["PolicyDocument"]
    statements = _listed(before["Statement"])
    now = [*statements[: statement.place], *([instead] if instead else []), *statements[statement.place + 1 :]]
    if now:
        iam.put_role_policy(**named, PolicyDocument=json.dumps({**before, "Statement": now}))
    else:  # a policy without statements is none
        iam.delete_role_policy(**named)
    try:
        yield
    finally:
        iam.put_role_policy(**named, PolicyDocument=json.dumps(before))


def document(statement: Statement, **instead: Any) -> dict[str, Any]:
    """Return a statement as a policy has it, with other members where they are given."""
    content: dict[str, Any] = {
        "Sid": statement.sid,
        "Effect": "Allow",
        "Action": statement.actions,
        "Resource": statement.resources,
    }
    content |= {"Condition": statement.conditions} if statement.conditions else {}
    return content | instead


def _attached(resources: Mapping[str, Any], logical_id: str) -> Iterator[tuple[str, Any]]:
    for resource in resources.values():
        properties = resource.get("Properties", {})
        if resource["Type"] == "AWS::IAM::Policy" and {"Ref": logical_id} in properties.get("Roles", []):
            yield properties["PolicyName"], properties["PolicyDocument"]


def _services(trust: Mapping[str, Any]) -> Iterator[str]:
    for statement in _listed(trust["Statement"]):
        yield from _listed(statement["Principal"].get("Service", []))


def _statements(documents: Mapping[str, Any]) -> Iterator[Statement]:
    for policy, content in documents.items():
        for place, statement in enumerate(_listed(content["Statement"])):
            if statement["Effect"] == "Allow":  # a Deny gives nothing that could be superfluous
                yield Statement(
                    sid=statement.get("Sid", f"{policy}#{place + 1}"),
                    policy=policy,
                    place=place,
                    actions=tuple(_listed(statement["Action"])),
                    resources=tuple(_text(each) for each in _listed(statement["Resource"])),
                    conditions=statement.get("Condition", {}),
                )


def _listed(value: Any) -> Sequence[Any]:
    return value if isinstance(value, list) else [value]


def _text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, sort_keys=True)
