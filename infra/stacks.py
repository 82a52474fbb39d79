"""The three stacks of a stage; they only wire constructs together and name what others need to find."""

from typing import Final

from aws_cdk import CfnOutput, RemovalPolicy, Stack
from aws_cdk.aws_logs import LogGroup
from constructs import Construct

from contract.names import Output, stack_name
from contract.names import Stack as Part
from infra.cleanup.construct import Cleanup
from infra.data import DataBucket
from infra.debugger_image import DebuggerImage
from infra.front_door.construct import FrontDoor
from infra.image.construct import Images
from infra.reaper.construct import Reaper
from infra.roles import SageMakerRoles
from infra.settings import Settings
from infra.smoke_test.construct import SmokeTest
from infra.source_bundle import SourceBundle
from infra.state_machine.construct import Pipeline
from infra.state_machine.facts import Facts
from infra.watch.alarms import Alarms, rollback_alarms
from infra.watch.construct import PipelineWatch
from infra.watch.dashboard import Dashboard
from infra.watch.logs import keep_logs
from infra.watch.notices import Notices

_REMOVAL: Final = {"destroy": RemovalPolicy.DESTROY, "retain": RemovalPolicy.RETAIN}


class DataStack(Stack):
    """Where photos and models are kept."""

    def __init__(self, scope: Construct, *, settings: Settings) -> None:
        super().__init__(scope, stack_name(settings.stage, Part.DATA))
        data = DataBucket(self, "Data", settings=settings)
        self.bucket, self.key = data.bucket, data.key
        self.notices = Notices(self, "Notices", prefix=settings.prefix, email=settings.watch.email, key=data.key)
        CfnOutput(self, Output.BUCKET, value=self.bucket.bucket_name)


class FrontDoorStack(Stack):
    """What users call."""

    def __init__(self, scope: Construct, *, settings: Settings, data: DataStack) -> None:
        super().__init__(scope, stack_name(settings.stage, Part.FRONT_DOOR))
        # One endpoint per stage, made by executions: its name is settled before it exists.
        self.endpoint_name = settings.prefix
        self.front_door = FrontDoor(
            self,
            "FrontDoor",
            name=settings.prefix,
            endpoint_name=self.endpoint_name,
            bucket=data.bucket,
            key_arn=data.key.key_arn if data.key is not None else "",
            settings=settings.api,
        )
        alarms = Alarms(self, "Alarms", prefix=settings.prefix, topic=data.notices.topic)
        alarms.watch_endpoint(self.endpoint_name, settings.endpoint.rollout)
        alarms.watch_api(self.front_door.api, settings.endpoint.rollout)
        alarms.watch_function("front-door", self.front_door.handler, throttles=True)
        self.alarm_names = alarms.names
        # SageMaker makes it with the first endpoint otherwise, and keeps its lines forever.
        LogGroup(
            self,
            "EndpointLogs",
            log_group_name=f"/aws/sagemaker/Endpoints/{self.endpoint_name}",
            removal_policy=RemovalPolicy.DESTROY,
        )
        CfnOutput(self, Output.ENDPOINT, value=self.endpoint_name)
        CfnOutput(self, Output.API_URL, value=self.front_door.url)
        CfnOutput(self, Output.API_KEY, value=self.front_door.key.key_id)


class PipelineStack(Stack):
    """What makes a model and puts it into service."""

    def __init__(self, scope: Construct, *, settings: Settings, data: DataStack, front_door: FrontDoorStack) -> None:
        super().__init__(scope, stack_name(settings.stage, Part.PIPELINE))
        bucket = data.bucket
        source = SourceBundle(self, "Source")
        images = Images(self, "Images", settings=settings, removal=_REMOVAL[settings.removal])
        debugger = DebuggerImage(self, "Debugger") if settings.debugger == "managed" else None
        key_arn = data.key.key_arn if data.key is not None else ""
        roles = SageMakerRoles(
            self,
            "Roles",
            settings=settings,
            bucket=bucket,
            key_arn=key_arn,
            images=images,
            source=source,
            debugger=debugger,
        )
        api = front_door.front_door
        smoke_test = SmokeTest(
            self,
            "SmokeTest",
            settings=settings,
            bucket=bucket,
            key_arn=key_arn,
            api_url=api.url,
            api_key_id=api.key.key_id,
        )
        facts = Facts(
            settings=settings,
            bucket=bucket.bucket_name,
            source_bundle=source.uri,
            cpu_image=images.cpu,
            gpu_image=images.gpu,
            job_role=roles.job.role_arn,
            endpoint_role=roles.endpoint.role_arn,
            endpoint_name=front_door.endpoint_name,
            smoke_test=smoke_test.function.function_arn,
            api_url=api.url,
            customer_key=key_arn,
            rollback_alarms=rollback_alarms(settings.prefix),
            notices=data.notices.topic.topic_arn,
            source_revision=source.revision,
            debugger_image=debugger.uri if debugger is not None else "",
        )
        pipeline = Pipeline(self, "Pipeline", facts=facts, bucket_arn=bucket.bucket_arn)
        reaper = Reaper(
            self,
            "Reaper",
            patience=settings.reaper,
            endpoint_name=front_door.endpoint_name,
            state_machine_arn=pipeline.state_machine.state_machine_arn,
            notices=data.notices,
        )
        Cleanup(
            self,
            "Cleanup",
            settings=settings,
            state_machine=pipeline.state_machine,
            before=[pipeline, roles, smoke_test],
        )
        watch = PipelineWatch(
            self,
            "Watch",
            settings=settings,
            notices=data.notices,
            state_machine=pipeline.state_machine,
            functions={"smoke-test": smoke_test.function, **({"reaper": reaper.function} if reaper.function else {})},
            repository_name=images.own_repository,
        )
        Dashboard(
            self,
            "Dashboard",
            settings=settings,
            state_machine=pipeline.state_machine,
            handler=api.handler,
            access_log=api.access_log,
            alarm_names=[*front_door.alarm_names, *watch.alarm_names],
        )
        CfnOutput(self, Output.STATE_MACHINE, value=pipeline.state_machine.state_machine_arn)


def build_stage(scope: Construct, settings: Settings) -> tuple[DataStack, FrontDoorStack, PipelineStack]:
    """Add the stacks of one stage to an app."""
    data = DataStack(scope, settings=settings)
    front_door = FrontDoorStack(scope, settings=settings, data=data)
    pipeline = PipelineStack(scope, settings=settings, data=data, front_door=front_door)
    for stack in (data, front_door, pipeline):
        keep_logs(stack, settings.watch.log_days)
    return data, front_door, pipeline
