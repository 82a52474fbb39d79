"""A Lambda function of ours: its handler, the contract, and what else it names of this repository."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from aws_cdk import Duration, RemovalPolicy
from aws_cdk import aws_iam as iam
from aws_cdk import aws_lambda as lambda_
from aws_cdk import aws_logs as logs
from constructs import Construct

from infra.bundles import ROOT, bundle_path, write_zip
from infra.policies import allow, role
from infra.watch.tracing import trace_statement


class PythonFunction(Construct):
    """A traced function with a role and a log group of its own; its handler file defines ``handle(event, context)``."""

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        handler: Path,
        environment: Mapping[str, str],
        statements: Sequence[iam.PolicyStatement],
        timeout: Duration,
        memory_mb: int = 256,
        modules: Sequence[Path] = (),
        installed: Sequence[str] = (),
    ) -> None:
        """Put the handler's file into an archive, and what it imports: ``modules`` under the names they have here.

        ``installed`` names other people's packages in plain Python.
        """
        super().__init__(scope, construct_id)
        name = f"{handler.parent.name}-{handler.stem}"
        files = {"handler.py": handler} | {module.relative_to(ROOT).as_posix(): module for module in modules}
        archive = write_zip(bundle_path(self, f"{name}.zip"), files=files, packages=["contract"], installed=installed)
        # How long it keeps them is settled for all log groups at once: infra/watch/logs.py.
        log_group = logs.LogGroup(self, "Logs", removal_policy=RemovalPolicy.DESTROY)
        write_logs = allow(["logs:CreateLogStream", "logs:PutLogEvents"], [f"{log_group.log_group_arn}:*"], sid="Logs")
        self.function = lambda_.Function(
            self,
            "Function",
            # The newest that CDK knows; on the laptop, functions run in the project's own Python.
            runtime=lambda_.Runtime.PYTHON_3_14,
            architecture=lambda_.Architecture.ARM_64,
            handler="handler.handle",
            code=lambda_.Code.from_asset(str(archive)),
            environment=dict(environment),
            timeout=timeout,
            memory_size=memory_mb,
            log_group=log_group,
            tracing=lambda_.Tracing.ACTIVE,
            role=role(
                self,
                "Role",
                service="lambda.amazonaws.com",
                description=f"Pedigree's Lambda function {name}",
                statements=[write_logs, trace_statement(), *statements],
            ).without_policy_updates(),
        )
