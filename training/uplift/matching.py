"""What it is worth to send the message that remedies a person's cause, against a message drawn at random: from randomised decisions."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from training.evaluate import Interval
from training.frame import USER
from training.ope.estimators import Evaluator
from training.ope.log import DecisionLog
from training.ope.rewards import cross_fitted_rewards
from training.ope.trees import TreeParameters
from training.trial import Trial
from training.uplift.columns import learn_columns

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]


def matched(cause: IntArray, n_actions: int) -> FloatArray:
    """The policy that sends each row the message of its cause, shape (n_rows, n_actions); action 0 is nothing.

    Examples
    --------
    >>> matched(np.array([2, 1]), 3).tolist()
    [[0.0, 0.0, 1.0], [0.0, 1.0, 0.0]]
    """
    return np.asarray(np.eye(n_actions)[cause], dtype=np.float64)


def random_message(n_rows: int, n_actions: int) -> FloatArray:
    """The policy that sends everyone a message, each equally likely, shape (n_rows, n_actions).

    Examples
    --------
    >>> random_message(1, 3).tolist()
    [[0.0, 0.5, 0.5]]
    """
    return np.tile(np.append(0.0, np.full(n_actions - 1, 1 / (n_actions - 1))), (n_rows, 1))


def matching_gain(evaluator: Evaluator, cause: IntArray, *, estimator: str = "dr") -> Interval:
    """Mean reward of cause-matched messages minus that of random ones, paired, with a 95 % interval.

    Parameters
    ----------
    evaluator
        On randomised decisions whose actions are nothing (0) and one message for each cause.
    cause
        Of each row, index into the actions, at least 1, shape (n_rows,): known by design, or what a model names.

    Raises
    ------
    OpeError
        If the log does not support both policies.
    """
    log = evaluator.log
    return evaluator.difference(matched(cause, log.n_actions), random_message(log.n_rows, log.n_actions), estimator=estimator)


def trial_log(trial: Trial) -> DecisionLog:
    """A simulated trial as logged decisions about the message alone, for policies that draw channel and delay uniformly.

    Such a policy sends (message, channel, delay) with pi(message) / (n_channels n_delays); divided by the recorded P(message, channel,
    delay) this is pi(message) over what is taken as propensity here. The logging policy need not have drawn them uniformly. The reward is
    1 where the person stayed.
    """
    drawn = len(trial.channels) * len(trial.delays_s)
    return DecisionLog(
        action=trial.action,
        reward=1.0 - trial.frame.outcomes.astype(np.float64),
        propensity=np.where(trial.action == 0, trial.propensity, trial.propensity * drawn),
        n_actions=len(trial.actions),
        groups=trial.frame.rows[USER].to_numpy(),
    )


def trial_evaluator(trial: Trial, *, seed: int = 0, n_draws: int = 500) -> Evaluator:
    """Evaluator of policies over the messages of a simulated trial, its reward model cross-fitted on the features."""
    log = trial_log(trial)
    covariates = trial.frame.rows[list(trial.frame.product.catalogue.feature_names)]
    X = learn_columns(covariates).encode(covariates)
    rewards = cross_fitted_rewards(X, log, parameters=TreeParameters(rounds=60), seed=seed)
    return Evaluator(log=log, rewards=rewards, n_draws=n_draws, seed=seed)


def true_matching_gain(trial: Trial, cause: IntArray) -> float:
    """The planted gain in retention of exactly these people, channels and delays drawn uniformly: exact, no sampling."""
    rows = np.arange(len(cause))
    by_message = 1.0 - trial.dropout.mean(axis=2)
    return float((by_message[rows, cause] - by_message[:, 1:].mean(axis=1)).mean())
