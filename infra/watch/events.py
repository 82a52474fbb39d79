"""Rules that send a readable notice when something ends or is found."""

from collections.abc import Mapping
from typing import Any, Final

from aws_cdk import Stack
from aws_cdk import aws_events as events
from aws_cdk import aws_events_targets as targets
from constructs import Construct

from infra.policies import from_this_account, role
from infra.watch.notices import Notices

_FIELD: Final = events.EventField.from_path
_EXECUTION: Final = "Step Functions Execution Status Change"


class EventNotices(Construct):
    """Publishes to the topic under a role of its own: the topic's policy then need not trust EventBridge as a whole."""

    def __init__(self, scope: Construct, construct_id: str, *, stage: str, notices: Notices) -> None:
        super().__init__(scope, construct_id)
        self._stage = stage
        self._topic = notices.topic
        self._role = role(
            self,
            "Role",
            service="events.amazonaws.com",
            description="Pedigree's notices of executions and image scans",
            statements=notices.publish_statements("EventNotice"),
            conditions=from_this_account(self),
        ).without_policy_updates()

    def executions_of(self, state_machine_arn: str) -> None:
        """Tell how each execution ended that did not go through; why, where it failed. The others tell themselves."""
        region = Stack.of(self).region
        console = f"https://{region}.console.aws.amazon.com/states/home?region={region}#/v2/executions/details"
        what = f"Pedigree {self._stage}: execution {_FIELD('$.detail.name')} ended {_FIELD('$.detail.status')}"
        link = f"{console}/{_FIELD('$.detail.executionArn')}"
        of_machine = {"stateMachineArn": [state_machine_arn]}
        # Only a failed execution says why: the others would have to name fields that their events do not have.
        self._add("Ended", "aws.states", _EXECUTION, of_machine | {"status": ["TIMED_OUT", "ABORTED"]}).add_target(
            self._notice(f"{what}. {link}")
        )
        self._add("Failed", "aws.states", _EXECUTION, of_machine | {"status": ["FAILED"]}).add_target(
            self._notice(f"{what}: {_FIELD('$.detail.error')}: {_FIELD('$.detail.cause')}. {link}")
        )

    def critical_findings_in(self, repository_name: str) -> None:
        """Tell that the scan of a pushed image found something of severity critical."""
        found = {
            "scan-status": ["COMPLETE"],
            "repository-name": [repository_name],
            "finding-severity-counts": {"CRITICAL": [{"numeric": [">", 0]}]},
        }
        count = _FIELD("$.detail.finding-severity-counts.CRITICAL")
        image = f"{_FIELD('$.detail.repository-name')}@{_FIELD('$.detail.image-digest')}"
        self._add("Scanned", "aws.ecr", "ECR Image Scan", found).add_target(
            self._notice(
                f"Pedigree {self._stage}: the scan of the image {image} found {count} problems of severity CRITICAL; "
                "the ECR console names them and the packages to renew"
            )
        )

    def _add(self, name: str, source: str, kind: str, detail: Mapping[str, Any]) -> events.Rule:
        pattern = events.EventPattern(source=[source], detail_type=[kind], detail=dict(detail))
        return events.Rule(self, name, event_pattern=pattern)

    def _notice(self, text: str) -> targets.SnsTopic:
        return targets.SnsTopic(self._topic, message=events.RuleTargetInput.from_text(text), role=self._role)
