"""The smoke test's function and what it may do."""

from pathlib import Path

from aws_cdk import Duration, Stack
from aws_cdk import aws_s3 as s3
from constructs import Construct

from contract.names import API_PATH, Prefix
from infra.policies import allow, read_write
from infra.python_function import PythonFunction


class SmokeTest(Construct):
    """Reads a test photo and the API key, and may use nothing else; the key's value stands in no template."""

    def __init__(
        self, scope: Construct, construct_id: str, *, bucket: s3.IBucket, api_url: str, api_key_id: str
    ) -> None:
        super().__init__(scope, construct_id)
        stack = Stack.of(self)
        key_arn = stack.format_arn(service="apigateway", account="", resource="/apikeys", resource_name=api_key_id)
        function = PythonFunction(
            self,
            "SmokeTest",
            handler=Path(__file__).with_name("handler.py"),
            environment={"API_URL": f"{api_url}{API_PATH}", "API_KEY_ID": api_key_id},
            statements=[
                *read_write(bucket.bucket_arn, read=[f"{Prefix.PREPARED}/*"], sid="Bucket"),
                allow(["apigateway:GET"], [key_arn], sid="ApiKey"),
            ],
            timeout=Duration.minutes(2),
        )
        self.function = function.function
