"""The REST API: a key, a usage plan, POST /predict and one shape for every error."""

from collections.abc import Mapping
from pathlib import Path
from typing import Final

from aws_cdk import Duration, RemovalPolicy, Stack
from aws_cdk import aws_apigateway as apigateway
from constructs import Construct

from contract.names import ApiPath
from infra.front_door.gateway_errors import add_gateway_errors
from infra.front_door.logs import ApiLogs
from infra.policies import allow, arn
from infra.python_function import PythonFunction
from infra.settings import Api

STAGE_NAME: Final = "v1"
# Below API Gateway's 29 seconds and above the handler's own patience.
_TIMEOUT: Final = Duration.seconds(28)


class FrontDoor(Construct):
    """Turns a photo's bytes into an InvokeEndpoint call, for whoever has a key."""

    def __init__(self, scope: Construct, construct_id: str, *, name: str, endpoint_name: str, limits: Api) -> None:
        super().__init__(scope, construct_id)
        handler = PythonFunction(
            self,
            "Handler",
            handler=Path(__file__).with_name("handler.py"),
            environment={"ENDPOINT_NAME": endpoint_name},
            statements=[
                allow(["sagemaker:InvokeEndpoint"], [arn(self, "sagemaker", "endpoint", endpoint_name)], sid="Endpoint")
            ],
            timeout=_TIMEOUT,
            memory_mb=512,
        )
        self.handler = handler.function
        logs = ApiLogs(self, "Logs", name=name)
        self.api = self._make_api(name, logs.stage_options(STAGE_NAME, limits))
        self.access_log = logs.access_name
        logs.attach(self.api, STAGE_NAME, set_account_role=limits.log_role)
        # CDK adds an output with the address on AWS; the stack names one address, the one of the settings.
        self.api.node.try_remove_child("Endpoint")
        integration = apigateway.LambdaIntegration(handler.function, allow_test_invoke=False)
        resource = self.api.root.add_resource(ApiPath.PREDICT.strip("/"))
        self._validator = self.api.add_request_validator(
            "Validator", validate_request_body=True, validate_request_parameters=True
        )
        self._add_method(resource, "POST", integration, {"method.request.header.Content-Type": True})
        # Other methods reach the handler too, which answers 405; without a key they are refused like any call.
        self._add_method(resource, "ANY", integration, {})
        add_gateway_errors(self.api)
        self.key = self._make_key(name, limits)
        self.url = limits.url_template.format(
            api_id=self.api.rest_api_id, region=Stack.of(self).region, stage=STAGE_NAME
        )

    def _add_method(
        self,
        resource: apigateway.Resource,
        method: str,
        integration: apigateway.LambdaIntegration,
        parameters: Mapping[str, bool],
    ) -> None:
        resource.add_method(
            method,
            integration,
            api_key_required=True,
            request_parameters=dict(parameters),
            request_validator=self._validator,
        )

    def _make_api(self, name: str, stage: apigateway.StageOptions) -> apigateway.RestApi:
        return apigateway.RestApi(
            self,
            "Api",
            rest_api_name=name,
            description="POST a photo to /predict, get the five most probable labels",
            # Everything arrives as bytes: the handler, not a text decoding on the way, says what is no photo.
            binary_media_types=["*/*"],
            cloud_watch_role=False,
            endpoint_types=[apigateway.EndpointType.REGIONAL],
            deploy_options=stage,
        )

    def _make_key(self, name: str, limits: Api) -> apigateway.IApiKey:
        key = apigateway.ApiKey(self, "Key", description=f"The first key of {name}")
        key.apply_removal_policy(RemovalPolicy.DESTROY)
        plan = self.api.add_usage_plan(
            "Plan",
            throttle=apigateway.ThrottleSettings(rate_limit=limits.requests_per_second, burst_limit=limits.burst),
            api_stages=[apigateway.UsagePlanPerApiStage(api=self.api, stage=self.api.deployment_stage)],
        )
        plan.add_api_key(key)
        return key
