"""Options that say which cluster's jobs are meant."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING

from jsonargparse import ArgumentParser, Namespace

from tune.config.defaults import CLUSTER_FOLDER

if TYPE_CHECKING:
    from cluster.jobs.endpoint import Endpoint


def add_endpoint_options(parser: ArgumentParser) -> None:
    """Add ``--address`` and ``--folder``."""
    parser.add_argument("--address", metavar="URL", default="", help="of a Ray dashboard, as http://HOST:8265")
    parser.add_argument("--folder", default=CLUSTER_FOLDER, help="of the local cluster, where no address is given")


def address_option(options: Namespace) -> str:
    """The options that find the same cluster again, behind a blank; empty where none is given."""
    folder = "" if options.folder == CLUSTER_FOLDER else f" --folder {shlex.quote(options.folder)}"
    return f" --address {shlex.quote(options.address)}" if options.address else folder


def endpoint_of(options: Namespace) -> Endpoint:
    """The cluster that the options name.

    Raises:
        JobError: there is none.
    """
    from cluster.jobs.endpoint import find_endpoint  # noqa: PLC0415 - help does not wait for it

    return find_endpoint(options.address, options.folder)
