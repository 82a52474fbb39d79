"""The REST API: a key, a usage plan, what the document lists, and one shape for every error."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from aws_cdk import Duration, RemovalPolicy, Stack
from aws_cdk import aws_apigateway as apigateway
from aws_cdk import aws_iam as iam
from aws_cdk import aws_s3 as s3
from constructs import Construct

from contract.names import Prefix, PreparedFile
from infra.front_door.document import api_document
from infra.front_door.gateway_errors import add_gateway_errors
from infra.front_door.logs import ApiLogs
from infra.policies import allow, arn, read_write
from infra.python_function import PythonFunction
from infra.settings import Api

STAGE_NAME: Final = "v1"
# Below API Gateway's 29 seconds and above the handler's own patience.
_TIMEOUT: Final = Duration.seconds(28)
_HERE: Final = Path(__file__).parent
# What is only there when the app is synthesized; everything else of this package runs in the function.
_SYNTHESIS: Final = ("construct.py", "gateway_errors.py", "logs.py", "handler.py")
_METHODS: Final = ("get", "post")


class FrontDoor(Construct):
    """Turns a photo's bytes into an InvokeEndpoint call, for whoever has a key."""

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        name: str,
        endpoint_name: str,
        bucket: s3.IBucket,
        key_arn: str,
        settings: Api,
    ) -> None:
        super().__init__(scope, construct_id)
        self._origins = settings.cors_origins
        self.handler = self._make_function(name, endpoint_name, bucket, key_arn, settings).function
        logs = ApiLogs(self, "Logs", name=name)
        self.api = self._make_api(name, logs.stage_options(STAGE_NAME, settings))
        self.access_log = logs.access_name
        logs.attach(self.api, STAGE_NAME, set_account_role=settings.log_role)
        # CDK adds an output with the address on AWS; the stack names one address, the one of the settings.
        self.api.node.try_remove_child("Endpoint")
        self._validator = self.api.add_request_validator(
            "Validator", validate_request_body=False, validate_request_parameters=True
        )
        for path, operations in api_document()["paths"].items():
            self._add_path(path, operations)
        add_gateway_errors(self.api, self._origins)
        self.key = self._make_key(name, settings)
        self.url = settings.url_template.format(
            api_id=self.api.rest_api_id, region=Stack.of(self).region, stage=STAGE_NAME
        )

    def _make_function(
        self, name: str, endpoint_name: str, bucket: s3.IBucket, key_arn: str, settings: Api
    ) -> PythonFunction:
        modules = [file for file in sorted(_HERE.rglob("*")) if file.is_file() and file.name not in _SYNTHESIS]
        return PythonFunction(
            self,
            "Handler",
            handler=_HERE / "handler.py",
            modules=[_HERE.parent / "__init__.py", *(file for file in modules if "__pycache__" not in file.parts)],
            installed=["python_multipart"],
            environment={
                "ENDPOINT_NAME": endpoint_name,
                "BUCKET": bucket.bucket_name,
                "CORS_ORIGINS": " ".join(self._origins),
                "PAGE_HEADING": settings.page_heading,
                "PAGE_LEAD": settings.page_lead,
            },
            statements=self._statements(name, endpoint_name, bucket, key_arn),
            timeout=_TIMEOUT,
            memory_mb=512,
        )

    def _statements(self, name: str, endpoint_name: str, bucket: s3.IBucket, key_arn: str) -> list[iam.PolicyStatement]:
        endpoint = arn(self, "sagemaker", "endpoint", endpoint_name)
        versions = arn(self, "sagemaker", "model-package", f"{name}/*")
        examples = f"{Prefix.PREPARED}/*/{PreparedFile.EXAMPLES}/*"
        uploads = f"{Prefix.UPLOADS}/*"
        read = [f"{Prefix.PRODUCTION}/model.json", examples, uploads]
        return [
            allow(["sagemaker:InvokeEndpoint"], [endpoint], sid="Endpoint"),
            allow(["sagemaker:DescribeEndpoint"], [endpoint], sid="Look"),
            allow(["sagemaker:DescribeModelPackage"], [versions], sid="Registry"),
            *read_write(bucket.bucket_arn, read=read, write=[uploads], sid="Bucket", key_arn=key_arn),
        ]

    def _add_path(self, path: str, operations: Mapping[str, Any]) -> None:
        """Add the methods that the document lists at a path; others reach the handler too, which answers 405.

        Where a method wants a key, so do those: without one they are refused like any call.
        """
        resource = self.api.root.resource_for_path(path)
        listed = {method: operations[method] for method in _METHODS if method in operations}
        for method, operation in listed.items():
            parameters = {"method.request.header.Content-Type": True} if "requestBody" in operation else {}
            self._add_method(resource, method.upper(), _wants_key(operation), parameters)
        self._add_method(resource, "ANY", all(map(_wants_key, listed.values())), {})
        if self._origins:
            # A browser asks before it sends a key; the handler answers, for the origins of the settings alone.
            self._add_method(resource, "OPTIONS", False, {})

    def _add_method(
        self, resource: apigateway.IResource, method: str, wants_key: bool, parameters: Mapping[str, bool]
    ) -> None:
        resource.add_method(
            method,
            apigateway.LambdaIntegration(self.handler, allow_test_invoke=False),
            api_key_required=wants_key,
            request_parameters=dict(parameters),
            request_validator=self._validator,
        )

    def _make_api(self, name: str, stage: apigateway.StageOptions) -> apigateway.RestApi:
        return apigateway.RestApi(
            self,
            "Api",
            rest_api_name=name,
            description=api_document()["info"]["description"],
            # Everything arrives as bytes: the handler, not a text decoding on the way, says what is no photo.
            binary_media_types=["*/*"],
            cloud_watch_role=False,
            endpoint_types=[apigateway.EndpointType.REGIONAL],
            deploy_options=stage,
        )

    def _make_key(self, name: str, settings: Api) -> apigateway.IApiKey:
        key = apigateway.ApiKey(self, "Key", description=f"The first key of {name}")
        key.apply_removal_policy(RemovalPolicy.DESTROY)
        plan = self.api.add_usage_plan(
            "Plan",
            throttle=apigateway.ThrottleSettings(rate_limit=settings.requests_per_second, burst_limit=settings.burst),
            api_stages=[apigateway.UsagePlanPerApiStage(api=self.api, stage=self.api.deployment_stage)],
        )
        plan.add_api_key(key)
        return key


def _wants_key(operation: Mapping[str, Any]) -> bool:
    """Return whether an operation of the document asks for the API key, as all do that do not say otherwise."""
    return bool(operation.get("security", True))
