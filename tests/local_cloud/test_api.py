"""A REST API before a Lambda function: over the short address and over the API's own URL."""

import http.client
import io
import json
import ssl
import urllib.error
import urllib.request
import zipfile
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import pytest

from tests.local_cloud.conftest import RunningCloud, allow

_KEY = "k" * 24
_HANDLER = """
import json, os
import boto3
def handle(event, context):
    try:
        boto3.client("s3").list_buckets()
        denied = ""
    except Exception as error:
        denied = str(error)
    body = {
        "who": boto3.client("sts").get_caller_identity()["Arn"],
        "denied": denied,
        "length": len(event["body"] or ""),
        "base64": event["isBase64Encoded"],
        "query": event["queryStringParameters"],
        "path": event["path"],
    }
    return {"statusCode": 200, "body": json.dumps(body)}
"""
_TOO_LARGE = '{"error":{"code":"TooLarge","message":$context.error.messageString}}'


@dataclass
class Api:
    """One deployed API, by one of its two addresses."""

    url: str
    context: ssl.SSLContext | None = None

    def post(self, body: bytes, path: str = "/echo?a=1", key: str = _KEY) -> tuple[int, dict[str, Any]]:
        request = urllib.request.Request(f"{self.url}{path}", body, {"Content-Type": "image/jpeg", "x-api-key": key})
        try:
            with urllib.request.urlopen(request, context=self.context) as response:
                return response.status, json.load(response)
        except urllib.error.HTTPError as error:
            with error:
                return error.code, json.load(error)


def _deploy(cloud: RunningCloud) -> str:
    code = io.BytesIO()
    with zipfile.ZipFile(code, "w") as archive:
        archive.writestr("index.py", _HANDLER)
    role = cloud.role("function", "lambda.amazonaws.com", allow("logs:*"))
    function = cloud.client("lambda").create_function(
        FunctionName="echo",
        Runtime="python3.12",
        Role=role,
        Handler="index.handle",
        Code={"ZipFile": code.getvalue()},
        Timeout=20,
    )["FunctionArn"]
    gateway = cloud.client("apigateway")
    api = gateway.create_rest_api(name="api", binaryMediaTypes=["image/jpeg"])["id"]
    root = gateway.get_resources(restApiId=api)["items"][0]["id"]
    where = {"restApiId": api, "httpMethod": "POST"}
    where["resourceId"] = gateway.create_resource(restApiId=api, parentId=root, pathPart="echo")["id"]
    gateway.put_method(**where, authorizationType="NONE", apiKeyRequired=True)
    uri = f"arn:aws:apigateway:us-east-1:lambda:path/2015-03-31/functions/{function}/invocations"
    gateway.put_integration(**where, type="AWS_PROXY", integrationHttpMethod="POST", uri=uri)
    gateway.put_gateway_response(
        restApiId=api, responseType="REQUEST_TOO_LARGE", responseTemplates={"application/json": _TOO_LARGE}
    )
    gateway.create_deployment(restApiId=api, stageName="test")
    plan = gateway.create_usage_plan(name="plan", apiStages=[{"apiId": api, "stage": "test"}])["id"]
    key = gateway.create_api_key(name="key", value=_KEY, enabled=True)["id"]
    gateway.create_usage_plan_key(usagePlanId=plan, keyId=key, keyType="API_KEY")
    return str(api)


@pytest.fixture(scope="session")
def api_id(cloud: RunningCloud) -> str:
    return _deploy(cloud)


@pytest.fixture(params=["short address", "own URL"])
def api(request: pytest.FixtureRequest, cloud: RunningCloud, api_id: str) -> Api:
    if request.param == "short address":
        return Api(cloud.connection["api_url"])
    context = ssl.create_default_context(cafile=cloud.connection["ca_bundle"])
    return Api(f"{cloud.connection['endpoint']}/restapis/{api_id}/test/_user_request_", context)


def test_where_nothing_is_deployed_the_short_address_says_so(own_cloud: RunningCloud) -> None:
    status, body = Api(own_cloud.start().connection["api_url"]).post(b"x")
    assert status == 404
    assert "deploy" in body["error"]["message"]


def test_a_request_reaches_the_function_as_it_was_sent(api: Api) -> None:
    status, body = api.post(b"\xff\xd8" * 10)
    assert status == 200
    assert (body["length"], body["base64"]) == (28, True)
    assert (body["path"], body["query"]) == ("/echo", {"a": "1"})


def test_the_function_acts_under_its_role(api: Api) -> None:
    _, body = api.post(b"x")
    assert ":assumed-role/function/" in body["who"]
    assert "s3:ListAllMyBuckets" in body["denied"]


def test_what_the_function_logs_for_a_call_without_a_signature_is_kept(cloud: RunningCloud, api: Api) -> None:
    logs = cloud.client("logs")

    def count() -> int:
        groups = logs.describe_log_groups(logGroupNamePrefix="/aws/lambda/echo")["logGroups"]
        return len(logs.describe_log_streams(logGroupName="/aws/lambda/echo")["logStreams"]) if groups else 0

    before = count()
    api.post(b"x")
    assert count() == before + 1


def test_a_wrong_key_is_refused(api: Api) -> None:
    assert api.post(b"x", key="wrong") == (403, {"message": "Forbidden"})


def test_a_key_is_refused_from_when_it_is_switched_off_until_it_is_switched_on(
    cloud: RunningCloud, api_id: str, api: Api
) -> None:
    gateway = cloud.client("apigateway")
    (plan,) = gateway.get_usage_plans()["items"]
    key = gateway.create_api_key(name="switched", enabled=True)
    gateway.create_usage_plan_key(usagePlanId=plan["id"], keyId=key["id"], keyType="API_KEY")
    for enabled, expected in (("false", 403), ("true", 200)):
        switch = {"op": "replace", "path": "/enabled", "value": enabled}
        assert gateway.update_api_key(apiKey=key["id"], patchOperations=[switch])["enabled"] is (enabled == "true")
        assert api.post(b"x", key=key["value"])[0] == expected
    gateway.delete_api_key(apiKey=key["id"])


def test_a_body_larger_than_the_gateway_takes_is_refused_in_the_apis_own_words(api: Api) -> None:
    status, body = api.post(b"x" * (10 * 1024 * 1024 + 1))
    assert (status, body["error"]["code"]) == (413, "TooLarge")


def test_a_body_larger_than_lambda_takes_is_refused_in_the_apis_own_words(api: Api) -> None:
    status, body = api.post(b"x" * 5_000_000)  # 6.7 MB in base64
    assert (status, body["error"]["code"]) == (413, "TooLarge")


def test_an_endless_body_is_cut_off(cloud: RunningCloud, api_id: str) -> None:
    connection = http.client.HTTPConnection(urlsplit(cloud.connection["api_url"]).netloc)
    sent = 0

    def chunks() -> Any:
        nonlocal sent
        while sent < 100_000_000:
            sent += 1_000_000
            yield b"x" * 1_000_000

    try:
        connection.request("POST", "/echo", chunks(), {"x-api-key": _KEY}, encode_chunked=True)
        assert connection.getresponse().status == 413
    except (BrokenPipeError, ConnectionResetError):
        pass  # the server has answered and hung up while the rest was still being sent
    finally:
        connection.close()
    assert sent < 100_000_000
    assert Api(cloud.connection["api_url"]).post(b"x")[0] == 200
