"""Some trainings, one after the other, in a process that knows neither Ray, Optuna nor MLflow.

python benchmarks/peers/plain_process.py SHARDS EPOCHS '[{"loss.window": 5}, {"loss.window": 10}]'
"""

from __future__ import annotations

import argparse
import json

from training import train_model


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("shards")
    parser.add_argument("epochs", type=int)
    parser.add_argument("trials", type=json.loads, help="a JSON list with the parameters of each training")
    arguments = parser.parse_args()
    for params in arguments.trials:
        train_model(arguments.shards, arguments.epochs, params)


if __name__ == "__main__":
    main()
