"""AWS calls as Step Functions makes them: JSON in, JSON out, and error names of the SDK that it uses."""

import json
import re
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import boto3
import botocore.session
from botocore import xform_name
from botocore.client import BaseClient
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError, ParamValidationError, UnknownServiceError
from botocore.model import ListShape, MapShape, OperationModel, OperationNotFoundError, Shape, StructureShape

from local_cloud.settings import REGION

# Where Step Functions (aws-sdk:<name>, the Java SDK's package) and botocore name a service differently.
_BOTOCORE_NAMES: Final = {
    "applicationautoscaling": "application-autoscaling",
    "cloudwatchlogs": "logs",
    "eventbridge": "events",
    "sagemakerruntime": "sagemaker-runtime",
    "sfn": "stepfunctions",
}
_CONFIG: Final = Config(retries={"total_max_attempts": 3, "mode": "standard"}, read_timeout=900)
# A role's trust policy is asked again after this time.
_SESSION_SECONDS: Final = 900.0
_ACRONYM = re.compile(r"([A-Z])([A-Z]+)(?=[A-Z][a-z]|$)")

Credentials = Callable[[str], Mapping[str, str]]


class CallError(Exception):
    """A refused call, named as a state machine's Retry and Catch name it."""

    def __init__(self, error: str, cause: str) -> None:
        """Keep Error and Cause."""
        super().__init__(f"{error}: {cause}")
        self.error = error
        self.cause = cause


@dataclass(frozen=True)
class Dialect:
    """How one kind of integration words results and errors.

    Attributes:
        epoch_milliseconds: Timestamps as numbers rather than ISO 8601 strings.
        unmodelled: The error name, after the service's, for errors that the service model does not list.
    """

    epoch_milliseconds: bool
    unmodelled: str


# arn:aws:states:::<service>:<operation>, made with version 1 of the Java SDK.
OPTIMIZED: Final = Dialect(epoch_milliseconds=True, unmodelled="Amazon{service}Exception")
# arn:aws:states:::aws-sdk:<service>:<operation>, made with version 2.
AWS_SDK: Final = Dialect(epoch_milliseconds=False, unmodelled="{service}Exception")


class RoleCalls:
    """Makes calls under roles, with a session and clients kept for each."""

    def __init__(self, credentials_for: Credentials, endpoint: str, ca_bundle: Path) -> None:
        """Call ``endpoint`` with the AWS_* variables that ``credentials_for`` returns for a role's ARN."""
        self._credentials_for = credentials_for
        self._endpoint = endpoint
        self._ca_bundle = ca_bundle
        self._lock = threading.Lock()
        # Shared by all sessions: it keeps the service models that it has read.
        self._loader = botocore.session.Session().get_component("data_loader")
        self._sessions: dict[str, tuple[float, boto3.Session]] = {}
        self._clients: dict[tuple[str, str], tuple[boto3.Session, BaseClient]] = {}

    def call(self, role_arn: str, service: str, operation: str, arguments: Any, dialect: Dialect) -> Any:
        """Make one call and return its result as JSON values.

        Args:
            role_arn: The role to act under.
            service: The service as in the resource of a Task state, for example ``s3``.
            operation: The operation as there, for example ``getObject``.
            arguments: Its arguments.
            dialect: How the integration words results and errors.

        Raises:
            CallError: the call is refused, or cannot be made at all.
        """
        try:
            client = self._client(role_arn, _BOTOCORE_NAMES.get(service.lower(), service.lower()))
            name = operation[:1].upper() + operation[1:]
            model = client.meta.service_model.operation_model(name)
        except (UnknownServiceError, OperationNotFoundError) as error:
            raise CallError("States.Runtime", f"{service}:{operation} is no AWS operation: {error}") from error
        return _call(client, model, arguments or {}, dialect)

    def access_key(self, role_arn: str) -> str:
        """Return the access key id of the role's session."""
        credentials = self._session(role_arn).get_credentials()
        return credentials.access_key if credentials else ""

    def _session(self, role_arn: str) -> boto3.Session:
        with self._lock:
            made, session = self._sessions.get(role_arn, (0.0, None))
            if session is None or time.monotonic() - made > _SESSION_SECONDS:
                credentials = self._credentials_for(role_arn)
                plain = botocore.session.Session()
                plain.register_component("data_loader", self._loader)
                session = boto3.Session(
                    botocore_session=plain,
                    aws_access_key_id=credentials["AWS_ACCESS_KEY_ID"],
                    aws_secret_access_key=credentials["AWS_SECRET_ACCESS_KEY"],
                    aws_session_token=credentials["AWS_SESSION_TOKEN"],
                    region_name=REGION,
                )
                self._sessions[role_arn] = (time.monotonic(), session)
            return session

    def _client(self, role_arn: str, service: str) -> BaseClient:
        session = self._session(role_arn)
        with self._lock:  # a boto3 session makes one client at a time
            of, client = self._clients.get((role_arn, service), (None, None))
            if client is None or of is not session:
                client = session.client(
                    service,  # type: ignore[call-overload]  # the stubs list the services by name
                    endpoint_url=self._endpoint,
                    verify=str(self._ca_bundle),
                    config=_CONFIG,
                )
                self._clients[role_arn, service] = (session, client)
            return client


def _call(client: BaseClient, model: OperationModel, arguments: Any, dialect: Dialect) -> Any:
    service = error_prefix(model.service_model.service_id)
    if model.input_shape is not None:
        arguments = _argument(arguments, model.input_shape)
    try:
        response = getattr(client, xform_name(model.name))(**arguments)
    except ParamValidationError as error:
        raise CallError("States.Runtime", f"{model.name}: {error}") from error
    except ClientError as error:
        raise _refusal(error, model, service, dialect) from error
    except BotoCoreError as error:
        raise CallError(f"{service}.SdkClientException", str(error)) from error
    response.pop("ResponseMetadata", None)
    return {} if model.output_shape is None else _result(response, model.output_shape, dialect)


def _refusal(error: ClientError, model: OperationModel, service: str, dialect: Dialect) -> CallError:
    details, metadata = error.response.get("Error", {}), error.response.get("ResponseMetadata", {})
    code, status = details.get("Code", "Unknown"), metadata.get("HTTPStatusCode", 0)
    modelled = {
        str(shape.metadata.get("error", {}).get("code", shape.name)): shape.name for shape in model.error_shapes
    }
    if code == "404" and "NoSuchKey" in modelled:  # the answer to HEAD has no body that could name the error
        code = "NoSuchKey"
    if code in modelled or code in modelled.values():
        name = modelled.get(code, code).removesuffix("Exception").removesuffix("Fault") + "Exception"
    else:
        name = dialect.unmodelled.format(service=service)
    message = details.get("Message", "")
    return CallError(
        f"{service}.{name}",
        f"{message} (Service: {service}, Status Code: {status}, Error Code: {code}, "
        f"Request ID: {metadata.get('RequestId', 'none')})",
    )


def error_prefix(service_id: str) -> str:
    """Return the first part of a service's error names: ``S3``, ``SageMaker``, ``Sfn``, ``DynamoDb``."""
    return "".join(_ACRONYM.sub(lambda m: m[1] + m[2].lower(), word) for word in service_id.split())


def _argument(value: Any, shape: Shape) -> Any:
    """Return a JSON value as botocore wants it; what does not fit is left to its validation."""
    if isinstance(shape, StructureShape) and isinstance(value, dict):
        named = {_member(k, shape): v for k, v in value.items()}
        return {k: _argument(v, shape.members[k]) if k in shape.members else v for k, v in named.items()}
    if isinstance(shape, ListShape) and isinstance(value, list):
        return [_argument(item, shape.member) for item in value]
    if isinstance(shape, MapShape) and isinstance(value, dict):
        return {k: _argument(v, shape.value) for k, v in value.items()}
    if shape.type_name == "blob":  # a state hands over text, or JSON that is stored as text
        return (value if isinstance(value, str) else json.dumps(value)).encode()
    if shape.type_name in ("integer", "long") and isinstance(value, float) and value.is_integer():
        return int(value)  # JSONata knows one kind of number
    return value


def _member(name: str, shape: StructureShape) -> str:
    """Return the service model's name of a member: Step Functions' names begin with a capital, whatever the service."""
    own = name[:1].lower() + name[1:]
    return own if name not in shape.members and name[:1].isupper() and own in shape.members else name


def _result(value: Any, shape: Shape, dialect: Dialect) -> Any:
    """Return a response as JSON values."""
    if isinstance(shape, StructureShape) and isinstance(value, Mapping):
        known = {k: _result(v, shape.members[k], dialect) for k, v in value.items() if k in shape.members}
        return {k[:1].upper() + k[1:]: v for k, v in known.items()}
    if isinstance(shape, ListShape):
        return [_result(item, shape.member, dialect) for item in value]
    if isinstance(shape, MapShape):
        return {k: _result(v, shape.value, dialect) for k, v in value.items()}
    if isinstance(value, datetime):
        if dialect.epoch_milliseconds:
            return round(value.timestamp() * 1000)
        return value.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    if shape.type_name == "blob":
        data = value if isinstance(value, bytes) else value.read()
        return data.decode(errors="replace")
    return value
