"""What watches the executions of a stage."""

from collections.abc import Mapping

from aws_cdk import aws_lambda as lambda_
from aws_cdk import aws_stepfunctions as sfn
from constructs import Construct

from infra.settings import Settings
from infra.watch.alarms import Alarms
from infra.watch.events import EventNotices
from infra.watch.notices import Notices


class PipelineWatch(Construct):
    """Alarms and notices for a state machine, the functions around it and its images."""

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        settings: Settings,
        notices: Notices,
        state_machine: sfn.StateMachine,
        functions: Mapping[str, lambda_.IFunction],
        repository_name: str,
    ) -> None:
        super().__init__(scope, construct_id)
        alarms = Alarms(self, "Alarms", prefix=settings.prefix, topic=notices.topic)
        alarms.watch_executions(state_machine)
        for name, function in functions.items():
            alarms.watch_function(name, function)
        self.alarm_names = alarms.names
        events = EventNotices(self, "Events", stage=settings.stage, notices=notices)
        events.executions_of(state_machine.state_machine_arn)
        if repository_name:
            events.critical_findings_in(repository_name)
