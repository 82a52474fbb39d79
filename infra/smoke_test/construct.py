"""The smoke test's function and what it may do."""

from pathlib import Path

from aws_cdk import Duration, Stack
from aws_cdk import aws_s3 as s3
from constructs import Construct

from contract.names import ApiPath, Prefix
from infra.policies import allow, arn, read_write
from infra.python_function import PythonFunction
from infra.settings import Settings


class SmokeTest(Construct):
    """Reads a test photo and the API key, asks rehearsals; the key's value stands in no template."""

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        settings: Settings,
        bucket: s3.IBucket,
        key_arn: str,
        api_url: str,
        api_key_id: str,
    ) -> None:
        super().__init__(scope, construct_id)
        stack = Stack.of(self)
        api_key_arn = stack.format_arn(service="apigateway", account="", resource="/apikeys", resource_name=api_key_id)
        rehearsals = arn(self, "sagemaker", "endpoint", f"{settings.prefix}-*")
        rehearse = allow(["sagemaker:InvokeEndpoint"], [rehearsals], sid="Rehearse")
        function = PythonFunction(
            self,
            "SmokeTest",
            handler=Path(__file__).with_name("handler.py"),
            environment={"API_URL": f"{api_url}{ApiPath.PREDICT}", "API_KEY_ID": api_key_id},
            statements=[
                *read_write(bucket.bucket_arn, read=[f"{Prefix.PREPARED}/*"], sid="Bucket", key_arn=key_arn),
                allow(["apigateway:GET"], [api_key_arn], sid="ApiKey"),
                *([rehearse] if settings.endpoint.rollout.rehearsal else []),
            ],
            timeout=Duration.minutes(2),
        )
        self.function = function.function
