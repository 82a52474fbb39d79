"""From cached features to the best hyperparameters, written down for the report and for whoever resumes."""

from typing import Any, Final

from contract.metrics import OBJECTIVE
from contract.names import TUNING_FILE, Channel, Prefix, Step
from contract.search_space import tuner_ranges
from infra.state_machine.attempts import job_states, judge_state
from infra.state_machine.extract import RESUMABLE, RESUME_KEY, resume_record
from infra.state_machine.facts import Facts
from infra.state_machine.jobs import RETRY_AWS_SDK, algorithm, channel, inputs, output, program, resources
from infra.state_machine.states import FAILED, SAGEMAKER_ERROR, States, expr, failure, put_object, state_name, task

STEP: Final = Step.TUNE
START: Final = str(STEP)
_WHY = state_name(STEP, "ask the trials why")
_TRIALS = state_name(STEP, "collect the trials")
_RECORD = state_name(STEP, "write down the trials")
_RESUME = state_name(STEP, "write down where to resume")

TUNING_KEY: Final = f"'{Prefix.TUNING}/' & $tuned_run & '/{TUNING_FILE}'"
_TRIAL = (
    "{'name': TrainingJobName, 'status': TrainingJobStatus, 'objective': "
    "FinalHyperParameterTuningJobObjectiveMetric.Value, 'hyperparameters': TunedHyperParameters}"
)


def tune_states(facts: Facts, *, then: str) -> States:
    """Return the states to ``$hyperparameters``, ``$tuning_job_name`` and tuning.json."""
    found = {
        "tuning_job_name": expr("$states.result.HyperParameterTuningJobName"),
        "hyperparameters": expr("$states.result.BestTrainingJob.TunedHyperParameters"),
    }
    trials = {"trials": expr(f"[$states.result.TrainingJobSummaries.{_TRIAL}]")}
    resumable = resume_record({name: expr(f"${name}") for name in RESUMABLE})
    record = {name: expr(f"${name}") for name in ("tuning_job_name", "hyperparameters", "trials", "features_uri")}
    return {
        **job_states(
            STEP,
            "sagemaker:createHyperParameterTuningJob.sync",
            _request(facts),
            then=_TRIALS,
            assign=found,
            retry=facts.settings.retry,
            ask=_WHY,
        ),
        _WHY: _ask_trials(facts),
        _TRIALS: task(
            STEP,
            "aws-sdk:sagemaker:listTrainingJobsForHyperParameterTuningJob",
            {
                "HyperParameterTuningJobName": expr("$tuning_job_name"),
                "SortBy": "FinalObjectiveMetricValue",
                "SortOrder": "Descending",
                "MaxResults": 100,
            },
            then=_RECORD,
            assign=trials,
            retry=[RETRY_AWS_SDK],
        ),
        _RECORD: put_object(STEP, facts.bucket, TUNING_KEY, record, then=_RESUME),
        _RESUME: put_object(STEP, facts.bucket, RESUME_KEY, resumable, then=then),
    }


def _request(facts: Facts) -> dict[str, Any]:
    settings = facts.settings
    job = settings.jobs.tune
    limits = {
        "MaxNumberOfTrainingJobs": expr("$trials"),
        "MaxParallelTrainingJobs": expr(f"$min([{settings.defaults.parallel_trials}, $trials])"),
    }
    return {
        "HyperParameterTuningJobName": expr(facts.job_name(STEP)),
        "HyperParameterTuningJobConfig": {
            "Strategy": "Bayesian",
            "HyperParameterTuningJobObjective": {"Type": OBJECTIVE.goal, "MetricName": OBJECTIVE.name},
            "ResourceLimits": limits,
            "ParameterRanges": tuner_ranges(),
            "TrainingJobEarlyStoppingType": "Auto" if settings.tuning.early_stopping else "Off",
            "RandomSeed": expr("$seed"),
        },
        "TrainingJobDefinition": {
            "StaticHyperParameters": program(facts, "hpo.py") | {"seed": expr("$string($seed)")},
            "AlgorithmSpecification": algorithm(facts, job),
            "RoleArn": facts.job_role,
            **inputs(facts, [channel(Channel.FEATURES, "$features_uri")]),
            "OutputDataConfig": output(facts, expr(f"'{facts.uri(Prefix.TUNING)}/' & $run")),
            **resources(facts, job),
        },
        "Tags": facts.tags(STEP),
    }


def _ask_trials(facts: Facts) -> dict[str, Any]:
    """A tuning job's own reason says only that its trials failed; the first failed trial knows why."""
    first = "$states.result.TrainingJobSummaries[0]"
    reason = f"$exists({first}.FailureReason) ? {first}.FailureReason : $reason"
    cause = (
        f"$exists({first}.FailureReason) ? $failure.cause & ' Trial ' & {first}.TrainingJobName & ': ' "
        f"& {first}.FailureReason : $failure.cause"
    )
    state = task(
        STEP,
        "aws-sdk:sagemaker:listTrainingJobsForHyperParameterTuningJob",
        {
            "HyperParameterTuningJobName": expr(facts.job_name(STEP)),
            "StatusEquals": "Failed",
            "SortBy": "CreationTime",
            "SortOrder": "Ascending",
            "MaxResults": 1,
        },
        then=judge_state(STEP),
        assign=failure(STEP, cause) | {"reason": expr(reason)},
    )
    # Where the trials cannot be asked, the tuning job's reason stands.
    unknown = {"ErrorEquals": ["States.TaskFailed", SAGEMAKER_ERROR], "Next": judge_state(STEP)}
    return state | {"Catch": [unknown, {"ErrorEquals": ["States.ALL"], "Next": FAILED}]}
