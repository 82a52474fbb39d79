"""`pedigree down`: ends and removes what was deployed."""

import shutil

from console.cloud import Cloud
from console.deployment import Deployment
from console.endpoint import delete_endpoints
from console.errors import ConsoleError
from console.interrupts import shielded
from console.laptop import Laptop
from console.project import Project
from console.remains import keepable, remaining
from console.screen import Screen
from console.stacks import describe_stacks
from contract.names import PROJECT


def what_goes(project: Project, cloud: Cloud) -> str:
    """Return in words what ``take_down`` will remove, for the question before it."""
    if isinstance(cloud, Laptop):
        return f"the local cloud's state with all data sets and models in it ({project.local_cloud})"
    return (
        f"stage {cloud.stage} in AWS account {cloud.account()}, {cloud.region()}: endpoint, models, stacks, and "
        "the bucket unless the stage's settings retain it"
    )


def take_down(project: Project, cloud: Cloud, screen: Screen) -> None:
    """Remove it. What cannot be removed is named, and so is what stays on purpose."""
    if isinstance(cloud, Laptop):
        _remove_local(project, cloud, screen)
        return
    kept = keepable(cloud)
    if any(describe_stacks(cloud).values()):
        # With the stacks goes what executions made: a function of the pipeline's stack deletes it.
        Deployment(project, cloud, screen).destroy()
    else:
        screen.say(f"Stage {cloud.stage} has no stacks.")
    for what in delete_endpoints(cloud, f"{PROJECT}-{cloud.stage}"):
        screen.say(f"Deleted: {what}")
    stays = remaining(cloud, kept)
    if stays:
        screen.say("What stays, and how to delete it:")
    for remainder in stays:
        screen.say(f"  {remainder.what}")
        screen.say(f"    {remainder.command}")


def _remove_local(project: Project, cloud: Laptop, screen: Screen) -> None:
    was_running = cloud.end_running()
    state = project.local_cloud
    if not state.exists():
        screen.say("There is no local cloud." if not was_running else "The local cloud is gone.")
        return
    with shielded():
        # Renamed first: a removal that is cut short must not leave half a state behind for the next start.
        doomed = state.with_name(f"{state.name}.removed")
        shutil.rmtree(doomed, ignore_errors=True)
        state.rename(doomed)
        try:
            shutil.rmtree(doomed)
        except OSError as error:
            raise ConsoleError(f"{doomed} could not be removed altogether: {error}") from error
    screen.say(f"Removed {state}.")
