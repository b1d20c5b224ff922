"""The importance of parameters, without the packages that reports do not use."""

import json
import subprocess
import sys
from pathlib import Path

import optuna
import pytest

from tests.tune.report.samples import study_of

CODE = """
import json, sys
import optuna
optuna.logging.set_verbosity(optuna.logging.ERROR)
from tune.report.importance import leave_out_forests
leave_out_forests()
leave_out_forests()
study = optuna.create_study(direction="maximize")
for params, value in json.loads(sys.argv[1]):
    kinds = {key: optuna.distributions.FloatDistribution(-1e3, 1e3) for key in params}
    study.add_trial(optuna.trial.create_trial(params=params, distributions=kinds, value=value))
print(json.dumps([optuna.importance.get_param_importances(study), "sklearn" in sys.modules]))
import sklearn
"""


def test_it_is_the_same_and_scikit_learn_is_not_imported(tmp_path: Path) -> None:
    known = [trial for trial in study_of(tmp_path, 30).get_trials() if trial.values]
    told = [
        ({key: value for key, value in trial.params.items() if isinstance(value, int | float)}, trial.values[0])
        for trial in known
    ]
    done = subprocess.run([sys.executable, "-c", CODE, json.dumps(told)], capture_output=True, text=True, check=True)
    importances, imported = json.loads(done.stdout)
    study = optuna.create_study(direction="maximize")
    for params, value in told:
        kinds = {key: optuna.distributions.FloatDistribution(-1e3, 1e3) for key in params}
        study.add_trial(optuna.trial.create_trial(params=params, distributions=kinds, value=value))
    assert importances == pytest.approx(optuna.importance.get_param_importances(study))
    assert len(importances) > 1
    assert not imported
