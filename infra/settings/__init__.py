"""One typed object for everything that differs between stages; a wrong value cannot be built."""

from infra.settings.data import BACKBONES, UDACITY_DOGS, Answers, Dataset, Defaults, Gate
from infra.settings.endpoint import Endpoint, Night, Rollout, Scaling, Serving
from infra.settings.jobs import Job, Jobs, Retry, Tuning
from infra.settings.stage import ATTEMPT_LENGTH, MAX_STAGE_NAME, RUN_ID_LENGTH, Settings, load_settings
from infra.settings.surroundings import Api, Network, Reaper, Tracking, Watch
from infra.settings.training import Rules, Training

__all__ = [
    "ATTEMPT_LENGTH",
    "BACKBONES",
    "MAX_STAGE_NAME",
    "RUN_ID_LENGTH",
    "UDACITY_DOGS",
    "Answers",
    "Api",
    "Dataset",
    "Defaults",
    "Endpoint",
    "Gate",
    "Job",
    "Jobs",
    "Network",
    "Night",
    "Reaper",
    "Retry",
    "Rollout",
    "Rules",
    "Scaling",
    "Serving",
    "Settings",
    "Tracking",
    "Training",
    "Tuning",
    "Watch",
    "load_settings",
]
