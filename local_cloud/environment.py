"""The environment variables of the local cloud's process; MiniStack reads its settings from them when imported."""

import os
import tempfile
from collections.abc import MutableMapping

from local_cloud.certificate import Certificate
from local_cloud.settings import ACCOUNT, HOST, REGION, Settings
from local_cloud.state import StateDirectory

# CloudFormation and the CDK's bootstrap template need all of these; every other service stays off.
SERVICES = (
    "s3,iam,sts,cloudformation,states,lambda,apigateway,logs,ssm,events,scheduler,monitoring,ecr,kms,"
    "secretsmanager,sns,sqs,tagging"
)
_FOREIGN_PREFIXES = ("AWS_", "MINISTACK_", "LOCALSTACK_", "LAMBDA_", "SFN_", "S3_", "SAGEMAKER_", "SM_")


def prepare_environment(
    settings: Settings,
    state: StateDirectory,
    certificate: Certificate,
    environment: MutableMapping[str, str] | None = None,
) -> None:
    """Set everything that MiniStack and the processes it starts read; to be called before MiniStack is imported.

    The user's own AWS settings are removed: no Lambda function and no job may reach a real account by accident.
    """
    environment = os.environ if environment is None else environment
    for name in [name for name in environment if name.startswith(_FOREIGN_PREFIXES)]:
        del environment[name]
    nowhere = str(state.root / "no-such-file")
    environment.update(
        {
            "AUTH": "true",
            "USE_SSL": "1",
            "MINISTACK_SSL_CERT": str(certificate.server),
            "MINISTACK_SSL_KEY": str(certificate.key),
            "MINISTACK_HOST": "localhost",
            "MINISTACK_ACCOUNT_ID": ACCOUNT,
            "MINISTACK_REGION": REGION,
            "BIND_HOST": HOST,
            "GATEWAY_PORT": str(settings.port),
            "SERVICES": SERVICES,
            "LAMBDA_EXECUTOR": "local",
            "IOT_MTLS_ENABLED": "0",
            "SFTP_ENABLED": "0",
            "PERSIST_STATE": "1",
            "STATE_DIR": str(state.services),
            "S3_PERSIST": "1",
            "S3_DATA_DIR": str(state.objects),
            "TMPDIR": str(state.temporary),
            # No Docker: a name that does not exist keeps MiniStack from importing its client at all.
            "DOCKER_HOST": f"unix://{nowhere}",
            # What follows is for the Lambda workers, which inherit this environment.
            "AWS_ENDPOINT_URL": settings.endpoint,
            "AWS_CA_BUNDLE": str(certificate.ca_bundle),
            "NODE_EXTRA_CA_CERTS": str(certificate.ca_bundle),
            "AWS_REGION": REGION,
            "AWS_DEFAULT_REGION": REGION,
            "AWS_CONFIG_FILE": nowhere,
            "AWS_SHARED_CREDENTIALS_FILE": nowhere,
            "AWS_EC2_METADATA_DISABLED": "true",
        }
    )
    # Proxies are for the way out; nothing that talks to this endpoint may take them.
    environment["NO_PROXY"] = environment["no_proxy"] = _without_proxy(environment)
    tempfile.tempdir = None


def _without_proxy(environment: MutableMapping[str, str]) -> str:
    known = environment.get("NO_PROXY") or environment.get("no_proxy") or ""
    hosts = [host for host in known.split(",") if host]
    return ",".join(hosts + [host for host in ("localhost", HOST) if host not in hosts])
