"""What `feast apply` registers: the declarations of one product folder, ``STILLHERE_PRODUCT`` or the onboarding product."""

import os
from pathlib import Path

from features.adapters.feast_objects import declare, ensure_offline_files
from features.declarations.product_file import load_product
from features.home import Home

_ROOT = Path(__file__).resolve().parents[1]
_product = load_product(Path(os.environ.get("STILLHERE_PRODUCT", _ROOT / "products" / "onboarding")))
_home = Home(Path(os.environ.get("STILLHERE_HOME", _ROOT / ".stillhere")))
_objects = declare(_product, _home)
ensure_offline_files(_product, _home)

# Feast registers what it finds as attributes of this module.
project = _objects.project
user = _objects.user
timeline = _objects.timeline
profile = _objects.profile
as_of = _objects.as_of
behaviour = _objects.behaviour
snapshots = _objects.snapshots
serving = _objects.serving
training = _objects.training
