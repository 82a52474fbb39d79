"""Names shared across process boundaries: S3 prefixes, channels, artifact files, name limits."""

import re
from enum import StrEnum
from typing import Final

PROJECT: Final = "pedigree"

# SageMaker's own limits (API reference: CreateTrainingJob, CreateHyperParameterTuningJob, CreateEndpoint).
MAX_TRAINING_JOB_NAME: Final = 63
MAX_TUNING_JOB_NAME: Final = 32
MAX_ENDPOINT_NAME: Final = 63
_JOB_NAME = re.compile(r"[a-zA-Z0-9](-*[a-zA-Z0-9])*")


class Prefix(StrEnum):
    """What stands where in the bucket, without leading or trailing slash."""

    DATASETS = "datasets"  # uploads of the console: datasets/<sha256>.zip
    WEIGHTS = "weights"  # pretrained backbones, <backbone>.pth, put there by whoever is offline
    PREPARED = "prepared"  # prepared/<job name>/output/model/: what prepare.py left
    PREPARED_INDEX = "prepared-index"  # prepared-index/<hash of source, seed and code>.json -> where it was left
    FEATURES = "features"
    TUNING = "tuning"  # tuning/<run id>/tuning.json, and below it the trials' artifacts
    MODELS = "models"  # models/<job name>/output/{model,output}.tar.gz
    CHECKPOINTS = (
        "checkpoints"  # checkpoints/<run id>/ of the training, checkpoints/<run id>-features/ of the extraction
    )
    RESUME = "resume"  # resume/<hash of the input and the code>.json: tuned, but not trained to the end yet
    PRODUCTION = "production"  # production/model.json: which registered model is being served
    LOCKS = "locks"  # locks/deploy.json: which execution may change the endpoint
    CAPTURES = "captures"  # what the endpoint was asked and answered, where the settings want that kept
    UPLOADS = "uploads"  # uploads/<id>: photos too large for the API's body; gone after a day


class Channel(StrEnum):
    """Input channels of the jobs; SageMaker mounts each at input/data/<channel>."""

    PREPARED = "prepared"
    FEATURES = "features"
    TUNING = "tuning"
    WEIGHTS = "weights"
    # Where the network is isolated, and the container cannot fetch them itself:
    CODE = "code"
    SOURCE = "source"


class PreparedFile(StrEnum):
    """What prepare.py leaves, beside the photos in {train,valid,test}/<class folder>/ or in shards."""

    MANIFEST = "manifest.json"  # everything, one entry per reported photo
    SUMMARY = "summary.json"  # the few fields that the state machine keeps (its payload is limited to 256 KiB)
    EXAMPLES = "examples"  # a folder: classes.json, and <output>.jpg, a small training photo of each class


class FeaturesFile(StrEnum):
    """What extract_features.py leaves."""

    # Plain .npy files, which readers map into memory instead of loading: features (N, K, D) float16, labels (N,) int64.
    TRAIN_FEATURES = "train_features.npy"
    TRAIN_LABELS = "train_labels.npy"
    VALID_FEATURES = "valid_features.npy"
    VALID_LABELS = "valid_labels.npy"
    SPEC = "features.json"  # classes, backbone, preprocessing, counts


class ArtifactFile(StrEnum):
    """What model.tar.gz holds, at its root."""

    MODEL = "model.json"  # backbone id, head shape, format version
    WEIGHTS = "weights.pt"  # one state_dict of backbone and head, loadable with weights_only=True
    CLASSES = "classes.json"
    PREPROCESSING = "preprocessing.json"
    METRICS = "metrics.json"
    CODE = "code"  # the serving code: contract/, vision/, serving/
    CHECK = "check.npz"  # validation photos and what the network said of them: what an engine is held against
    INT8 = "int8.xml"  # the network quantised with training photos, as OpenVINO reads it; its weights in int8.bin


class OutputFile(StrEnum):
    """What output.tar.gz of the training holds, at its root."""

    METRICS = "metrics.json"
    HISTORY = "history.json"  # one row per epoch, see training/history.py
    REPORT = "report.html"
    PREDICTIONS = "predictions.json"  # what the model said of each test photo, see training/predictions.py
    FINDINGS = "findings.json"  # which rules were evaluated and what they found, see contract/findings.py
    PROFILE = "profile.json"  # where the time went
    TRACE = "trace.json.gz"  # a few steps in full, for Perfetto or chrome://tracing
    TENSORBOARD = "tensorboard"  # event files of TensorBoard


# What the rules found, in the checkpoint folder, which SageMaker copies to S3 however a training ends: out of
# output.tar.gz no state machine could read it; see contract/findings.py.
FOUND_FILE: Final = "found.json"
# What smdebug saved, below it by job, in the same folder.
TENSORS: Final = "tensors"


class Step(StrEnum):
    """The steps people see. A state of the state machine is named ``<step>`` or ``<step>: <detail>``."""

    PREPARE = "Prepare"
    EXTRACT = "Extract features"
    TUNE = "Tune"
    TRAIN = "Train"
    REGISTER = "Register"
    GATE = "Gate"
    DEPLOY = "Deploy"
    SMOKE_TEST = "Smoke test"


class Output(StrEnum):
    """CloudFormation outputs by which the console finds what a stage deployed."""

    BUCKET = "BucketName"
    STATE_MACHINE = "StateMachineArn"
    ENDPOINT = "EndpointName"
    API_URL = "ApiUrl"
    API_KEY = "ApiKeyId"


class Stack(StrEnum):
    """The stacks of one stage; deployed as ``Pedigree-<stage>-<stack>``."""

    DATA = "Data"
    FRONT_DOOR = "FrontDoor"
    PIPELINE = "Pipeline"


def stack_name(stage: str, stack: Stack) -> str:
    """Return the CloudFormation name of one stack of a stage."""
    return f"Pedigree-{stage}-{stack}"


TUNING_FILE: Final = "tuning.json"
SPLITS: Final = ("train", "valid", "test")
VARIANT: Final = "AllTraffic"


class ApiPath(StrEnum):
    """What the API answers at, below its address."""

    PAGE = "/"
    PREDICT = "/predict"
    BREEDS = "/breeds"
    EXAMPLE = "/breeds/{number}/photo"
    HEALTH = "/health"
    UPLOADS = "/uploads"
    DOCS = "/docs"
    DOCUMENT = "/openapi.json"


def check_job_name(name: str, limit: int = MAX_TRAINING_JOB_NAME) -> str:
    """Return ``name`` if SageMaker would take it.

    Raises:
        ValueError: it is too long or has a character other than letters, digits and single hyphens between them.
    """
    if len(name) > limit or not _JOB_NAME.fullmatch(name):
        raise ValueError(
            f"{name!r} is no SageMaker job name: at most {limit} letters, digits and hyphens, "
            "starting with a letter or digit"
        )
    return name
