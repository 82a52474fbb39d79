"""The parts of a local cloud, put together. To be imported once the environment is prepared."""

import logging
import threading
from typing import Any, Final

import boto3
from botocore.config import Config

from local_cloud.adapter import (
    alarms,
    api_gateway,
    cloudformation,
    evaluation,
    objects,
    routing,
    states,
    storage,
    telemetry,
    topics,
)
from local_cloud.adapter.identities import STATES_PRINCIPAL, assume_role, ensure_developer
from local_cloud.autoscaling.records import Place
from local_cloud.autoscaling.service import ScalingService
from local_cloud.certificate import Certificate
from local_cloud.front import front
from local_cloud.gateway import Application, guard
from local_cloud.logs import LogCollector
from local_cloud.sagemaker.service import S3Client, SageMakerService, ServiceConfig
from local_cloud.sagemaker_handler import credentials_for, sagemaker
from local_cloud.scaling_handler import scaling
from local_cloud.sdk_calls import RoleCalls
from local_cloud.settings import ACCOUNT, REGION, Settings
from local_cloud.state import StateDirectory
from local_cloud.trail import Trail

# How often a .sync task looks at its job.
_POLL_SECONDS: Final = 0.5
_SAVE_SECONDS: Final = 10.0
# How often alarms are judged.
_ALARM_SECONDS: Final = 1.0
_logger = logging.getLogger(__name__)


class Cloud:
    """MiniStack with a SageMaker beside it; ``application`` and ``front`` are what is served."""

    def __init__(self, settings: Settings, state: StateDirectory, certificate: Certificate) -> None:
        """Wire the parts; nothing runs before ``start``."""
        evaluation.install(Trail(state.permissions).add)
        objects.install()
        telemetry.install()
        topics.install()
        self._settings = settings
        self._state = state
        self._certificate = certificate
        self._logs = LogCollector(storage.append_log_lines)
        self._sagemaker = SageMakerService(
            ServiceConfig(
                state_dir=state.sagemaker,
                region=REGION,
                account=ACCOUNT,
                images=settings.images,
                endpoint_url=settings.endpoint,
                ca_bundle=certificate.ca_bundle,
                credentials_for=credentials_for,
                s3_for=self._s3_for,
                logs=lambda role, group, name: telemetry.container_stream(role, group, name, self._logs.stream),
                put_metrics=alarms.put_metrics,
                firing=alarms.RollbackAlarms().firing,
            )
        )
        self._changed = threading.Event()
        self._stopped = threading.Event()
        self._saver = threading.Thread(target=self._save_changes, name="state-saver", daemon=True)
        self._scaling = ScalingService(state.scaling, Place(REGION, ACCOUNT), self._sagemaker.handle)
        routing.register(sagemaker(self._sagemaker), scaling(self._scaling))
        calls = RoleCalls(
            lambda role: assume_role(role, STATES_PRINCIPAL, "StepFunctions"),
            settings.endpoint,
            certificate.ca_bundle,
        )
        states.install(calls, _POLL_SECONDS)
        alarms.install()
        self._alarm_clock = alarms.AlarmClock(_ALARM_SECONDS)
        api_gateway.install()
        cloudformation.install()
        self.application: Application = guard(routing.application(), self._changed.set)
        self.front: Application = front(self.application)

    def start(self) -> dict[str, Any]:
        """Let people in and restore what ran; MiniStack's own state must have been restored, and S3 must answer.

        Returns:
            What connection.json says.
        """
        access_key_id, secret = self._state.credentials()
        ensure_developer(access_key_id, secret)
        evaluation.check_recorded()
        self._alarm_clock.start()
        self._sagemaker.start()
        self._scaling.start()
        self._saver.start()
        return {
            "endpoint": self._settings.endpoint,
            "ca_bundle": str(self._certificate.ca_bundle),
            "region": REGION,
            "access_key_id": access_key_id,
            "secret_access_key": secret,
            "account": ACCOUNT,
            "api_url": self._settings.api_url,
        }

    def stop(self) -> None:
        """End every process that was started and save everything; requests are answered until this returns."""
        self._stopped.set()
        self._sagemaker.stop()
        self._alarm_clock.stop()
        storage.stop_workers()
        self._logs.close()
        if self._saver.is_alive():
            self._saver.join()
        storage.save_state()

    def _save_changes(self) -> None:
        """Save now and then, so that a kill or a flat battery costs seconds of work and not a deployment."""
        while not self._stopped.wait(_SAVE_SECONDS):
            if self._changed.is_set():
                self._changed.clear()
                storage.save_state()

    def _s3_for(self, credentials: dict[str, str]) -> S3Client:
        client: S3Client = boto3.Session(
            aws_access_key_id=credentials["AWS_ACCESS_KEY_ID"],
            aws_secret_access_key=credentials["AWS_SECRET_ACCESS_KEY"],
            aws_session_token=credentials.get("AWS_SESSION_TOKEN"),
            region_name=REGION,
        ).client(
            "s3",
            endpoint_url=self._settings.endpoint,
            verify=str(self._certificate.ca_bundle),
            config=Config(max_pool_connections=16, retries={"total_max_attempts": 4, "mode": "standard"}),
        )
        return client
