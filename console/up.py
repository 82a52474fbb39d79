"""`pedigree up`: the local cloud in the foreground, with the last trained model served again."""

import shlex
import time
from contextlib import suppress
from typing import Final

from console.deployment import Deployment
from console.endpoint import await_endpoint
from console.interrupts import Interrupted
from console.laptop import Laptop
from console.prediction.api import Api
from console.project import Project
from console.screen import Screen
from console.stacks import Deployed, deployed
from contract.names import ApiPath

# The model server loads torch: some seconds, half a minute on a busy machine.
_ENDPOINT_SECONDS: Final = 180.0


def up(project: Project, cloud: Laptop, screen: Screen) -> None:
    """Start, say where everything is, and stay until Ctrl-C."""
    try:
        cloud.start()
        deployment = Deployment(project, cloud, screen)
        if not deployment.exists():
            deployment.deploy()
        _introduce(cloud, deployed(cloud), screen)
        if not cloud.is_ours:
            screen.say("It was running already: Ctrl-C in its own terminal ends it, or: pedigree down")
            return
        with suppress(Interrupted):  # the way to end it, so no failure
            screen.say("Ctrl-C ends it.")
            _stay(cloud)
    finally:
        cloud.stop()


def _stay(cloud: Laptop) -> None:
    while True:
        time.sleep(1.0)
        cloud.check_alive()


def _introduce(cloud: Laptop, stage: Deployed, screen: Screen) -> None:
    with screen.task("Looking for the model", "Ready"):
        endpoint = await_endpoint(cloud, stage.endpoint_name, _ENDPOINT_SECONDS)
    api = Api.of(cloud, stage)
    predict = api.at(ApiPath.PREDICT)
    screen.say()
    screen.say(f"AWS endpoint  {cloud.connection.endpoint}")
    screen.say(f"Page          {api.at(ApiPath.PAGE)}")
    screen.say(f"API           {predict}")
    screen.say(f"API key       {api.key}")
    if endpoint is None:
        screen.say("Model         none has been trained yet: make run")
    elif endpoint.is_serving:
        screen.say(f"Model         endpoint {endpoint.name} is {endpoint.status}")
    else:
        screen.say(
            f"Model         endpoint {endpoint.name} is {endpoint.status}: {endpoint.reason or 'no reason given'}"
        )
    screen.say()
    screen.say("In another terminal:")
    screen.say('  eval "$(pedigree env)"')
    if endpoint is not None:
        key = shlex.quote(f"x-api-key: {api.key}")
        screen.say("  pedigree open")
        screen.say("  pedigree predict PHOTO.jpg")
        screen.say(f"  curl --data-binary @PHOTO.jpg -H 'Content-Type: image/jpeg' -H {key} {predict}")
    screen.say(f"  aws stepfunctions list-executions --state-machine-arn {stage.state_machine_arn}")
    screen.say(f"  aws s3 ls s3://{stage.bucket}/")
    screen.say()
