"""What every command works with: the checkout, the screen, and the cloud that is meant."""

from dataclasses import dataclass
from enum import StrEnum

from console.cloud import Cloud
from console.laptop import Laptop
from console.project import Project
from console.screen import Screen


class Place(StrEnum):
    """Which cloud."""

    LAPTOP = "laptop"
    AWS = "aws"


@dataclass
class Console:
    """What the global options came to."""

    project: Project
    screen: Screen
    cloud: Cloud

    def require_running(self) -> None:
        """Connect: to AWS, or to the local cloud that runs already, for nobody waits for one to start to ask it once.

        Raises:
            ConsoleError: there is nothing to connect to.
        """
        if isinstance(self.cloud, Laptop):
            _ = self.cloud.connection
        else:
            self.cloud.start()
