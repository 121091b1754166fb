"""The composition root: the one place that knows every adapter, and the one reader of our own settings (STILLHERE_*).

Variables of the tools underneath (MLFLOW_*, what child processes inherit) are read and set where the tool is used.
"""

from serving.bootstrap.api import RunningApi, build_api, refuse_what_cannot_serve, run_api, service_workers, start_api, warm_up
from serving.bootstrap.checks import check_consistency
from serving.bootstrap.following import Following, follow
from serving.bootstrap.installation import (
    Installation,
    champion_folder,
    installation,
    now_us,
    required_redis_url,
    settings_from_environment,
)

__all__ = [
    "Following",
    "Installation",
    "RunningApi",
    "build_api",
    "champion_folder",
    "check_consistency",
    "follow",
    "installation",
    "now_us",
    "refuse_what_cannot_serve",
    "required_redis_url",
    "run_api",
    "service_workers",
    "settings_from_environment",
    "start_api",
    "warm_up",
]
