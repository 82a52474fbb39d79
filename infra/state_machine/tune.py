"""From cached features to the best hyperparameters, written down for the report and for whoever resumes.

Either SageMaker's tuner starts a job per trial, or one job runs them all (training/sweep.py); what is left is the same.
"""

from typing import Any, Final

from contract.metrics import FINAL_VALID_ACCURACY, FINAL_VALID_LOSS, Objective
from contract.names import TUNING_FILE, Channel, Prefix, Step
from contract.search_space import HYPERBAND_EPOCHS, Sampler, Stopping, tuner_ranges
from infra.settings import Tuning
from infra.state_machine.attempts import job_states, judge_state
from infra.state_machine.extract import RESUMABLE, RESUME_KEY, resume_record
from infra.state_machine.facts import Facts
from infra.state_machine.jobs import (
    RETRY_AWS_SDK,
    algorithm,
    channel,
    inputs,
    output,
    program,
    resources,
    training_job,
)
from infra.state_machine.states import (
    FAILED,
    SAGEMAKER_ERROR,
    States,
    assign,
    choice,
    expr,
    failure,
    get_object,
    put_object,
    state_name,
    task,
)

STEP: Final = Step.TUNE
START: Final = str(STEP)
_WHY = state_name(STEP, "ask the trials why")
_TRIALS = state_name(STEP, "collect the trials")
_ALL_ASKED = state_name(STEP, "has every trial been asked")
_SCORES = state_name(STEP, "ask a trial for its scores")
_BEST = state_name(STEP, "choose the best trial")
_READ = state_name(STEP, "read the trials")
_RECORD = state_name(STEP, "write down the trials")
_RESUME = state_name(STEP, "write down where to resume")

TUNING_KEY: Final = f"'{Prefix.TUNING}/' & $tuned_run & '/{TUNING_FILE}'"
_STRATEGIES: Final = {"bayesian": "Bayesian", "random": "Random", "hyperband": "Hyperband"}


def tune_states(facts: Facts, *, then: str) -> States:
    """Return the states to ``$hyperparameters``, ``$tuning_job_name`` and tuning.json."""
    single = facts.settings.tuning.mode == "single_job"
    resumable = resume_record({name: expr(f"${name}") for name in RESUMABLE})
    record = {name: expr(f"${name}") for name in ("tuning_job_name", "hyperparameters", "trials", "features_uri")}
    return {
        **(_sweep_states(facts) if single else _tuner_states(facts)),
        _RECORD: put_object(STEP, facts.bucket, TUNING_KEY, record, then=_RESUME),
        _RESUME: put_object(STEP, facts.bucket, RESUME_KEY, resumable, then=then),
    }


def _sweep_states(facts: Facts) -> States:
    """Return the states of one job for all trials, up to the record."""
    bucket = f"'s3://{facts.bucket}/'"
    key = f"$substringAfter($swept_uri, {bucket}) & '{TUNING_FILE}'"
    left = "$parse($states.result.Body)"
    swept = {
        "tuning_job_name": expr("$states.result.TrainingJobName"),
        "swept_uri": expr(f"'{facts.uri(Prefix.TUNING)}/' & $states.result.TrainingJobName & '/output/model/'"),
    }
    found = {"hyperparameters": expr(f"{left}.hyperparameters"), "trials": expr(f"{left}.trials")}
    return {
        **job_states(
            STEP,
            "sagemaker:createTrainingJob.sync",
            _sweep_request(facts),
            then=_READ,
            assign=swept,
            retry=facts.settings.retry,
        ),
        _READ: get_object(STEP, facts.bucket, key, then=_RECORD, assign=found),
    }


def _sweep_request(facts: Facts) -> dict[str, Any]:
    tuning = facts.settings.tuning
    stopping = Stopping.MEDIAN if tuning.early_stopping else Stopping.NONE
    options = {
        "trials": expr("$string($trials)"),
        "seed": expr("$string($seed)"),
        "objective": tuning.objective,
        "sampler": str(Sampler.RANDOM if tuning.strategy == "random" else Sampler.SPREAD),
        "stopping": str(Stopping.HYPERBAND if tuning.strategy == "hyperband" else stopping),
    }
    return training_job(
        facts,
        STEP,
        facts.settings.jobs.tune,
        hyperparameters=program(facts, "sweep.py") | options,
        output=output(facts, facts.uri(Prefix.TUNING), compressed=False),
        inputs=inputs(facts, [channel(Channel.FEATURES, "$features_uri")]),
    )


def _tuner_states(facts: Facts) -> States:
    """Return the states of SageMaker's tuner, up to the record.

    The tuner knows the objective only, and of several trials with the same accuracy names any; so every trial is asked
    for both of its scores.
    """
    found = {
        "tuning_job_name": expr("$states.result.HyperParameterTuningJobName"),
        "hyperparameters": expr("$states.result.BestTrainingJob.TunedHyperParameters"),
    }
    listed = "{'name': TrainingJobName, 'status': TrainingJobStatus, 'hyperparameters': TunedHyperParameters}"
    trials = {"listed": expr(f"[$states.result.TrainingJobSummaries.{listed}]"), "trials": []}
    return {
        **job_states(
            STEP,
            "sagemaker:createHyperParameterTuningJob.sync",
            _tuner_request(facts),
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
                "SortOrder": "Ascending" if facts.settings.tuning.objective == Objective.LOSS else "Descending",
                "MaxResults": 100,
            },
            then=_ALL_ASKED,
            assign=trials,
            retry=[RETRY_AWS_SDK],
        ),
        **_score_states(facts.settings.tuning),
    }


def _score_states(tuning: Tuning) -> States:
    """Return the states from ``$listed`` to ``$trials``, with scores, and the best one's ``$hyperparameters``."""
    asked = "$listed[$count($trials)]"
    score = "$states.result.FinalMetricDataList[MetricName = '{}'].Value"
    accuracy, loss = (score.format(metric.name) for metric in (FINAL_VALID_ACCURACY, FINAL_VALID_LOSS))
    scores = f"{{'objective': $exists({accuracy}) ? {accuracy} : null, 'loss': $exists({loss}) ? {loss} : null}}"
    order = "loss, >objective" if tuning.objective == Objective.LOSS else ">objective, loss"
    best = f"$trials[objective != null and loss != null]^({order})[0]"
    return {
        _ALL_ASKED: choice([("$count($trials) < $count($listed)", _SCORES)], otherwise=_BEST),
        _SCORES: task(
            STEP,
            "aws-sdk:sagemaker:describeTrainingJob",
            {"TrainingJobName": expr(f"{asked}.name")},
            then=_ALL_ASKED,
            assign={"trials": expr(f"[$trials, $merge([{asked}, {scores}])]")},
            retry=[RETRY_AWS_SDK],
        ),
        # Without both scores of any trial the tuner's choice stands.
        _BEST: assign(
            {"hyperparameters": expr(f"$exists({best}) ? {best}.hyperparameters : $hyperparameters")}, then=_RECORD
        ),
    }


def _tuner_request(facts: Facts) -> dict[str, Any]:
    settings = facts.settings
    job, tuning = settings.jobs.tune, settings.tuning
    metric = Objective(tuning.objective).metric
    limits = {
        "MaxNumberOfTrainingJobs": expr("$trials"),
        "MaxParallelTrainingJobs": expr(f"$min([{settings.defaults.parallel_trials}, $trials])"),
    }
    options = {"seed": expr("$string($seed)"), "objective": tuning.objective}
    return {
        "HyperParameterTuningJobName": expr(facts.job_name(STEP)),
        "HyperParameterTuningJobConfig": {
            **_strategy(tuning),
            "HyperParameterTuningJobObjective": {"Type": metric.goal, "MetricName": metric.name},
            "ResourceLimits": limits,
            "ParameterRanges": tuner_ranges(),
            "RandomSeed": expr("$seed"),
        },
        "TrainingJobDefinition": {
            "StaticHyperParameters": program(facts, "hpo.py") | options,
            "AlgorithmSpecification": algorithm(facts, job),
            "RoleArn": facts.job_role,
            **inputs(facts, [channel(Channel.FEATURES, "$features_uri")]),
            "OutputDataConfig": output(facts, expr(f"'{facts.uri(Prefix.TUNING)}/' & $run")),
            **resources(facts, job),
        },
        "Tags": facts.tags(STEP),
    }


def _strategy(tuning: Tuning) -> dict[str, Any]:
    """Return the members that say where the tuner looks and when it ends a trial; Hyperband does both by itself."""
    strategy = {"Strategy": _STRATEGIES[tuning.strategy]}
    if tuning.strategy != "hyperband":
        return strategy | {"TrainingJobEarlyStoppingType": "Auto" if tuning.early_stopping else "Off"}
    minimum, maximum = HYPERBAND_EPOCHS
    return strategy | {
        "StrategyConfig": {"HyperbandStrategyConfig": {"MinResource": minimum, "MaxResource": maximum}},
        "TrainingJobEarlyStoppingType": "Off",
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
