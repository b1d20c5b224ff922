"""Cells run as a notebook runs them, and what comes out of them."""

import base64
import os
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import nbformat
from nbclient import NotebookClient
from nbformat import NotebookNode

Output = dict[str, Any]


def notebook(*cells: str) -> NotebookNode:
    """One of code cells alone."""
    node: NotebookNode = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(cell) for cell in cells])
    return node


def run_notebook(node: NotebookNode, folder: Path, seconds: int = 240) -> list[list[Output]]:
    """Run all cells in a folder, also behind one that fails, by a kernel of this environment.

    Args:
        node: is changed: its cells have their outputs.
        folder: where the kernel works, and keeps what is IPython's.
        seconds: for each cell.

    Returns:
        The outputs of every code cell.
    """
    client = NotebookClient(
        node, timeout=seconds, kernel_name="python3", allow_errors=True, resources={"metadata": {"path": str(folder)}}
    )
    client.execute(env={**os.environ, "IPYTHONDIR": str(folder / ".ipython")})
    return [cell.outputs for cell in node.cells if cell.cell_type == "code"]


def forms(outputs: Sequence[Output], form: str) -> list[str]:
    """What a cell displays and returns, in a form such as ``text/html``."""
    return ["".join(output["data"][form]) for output in outputs if form in output.get("data", {})]


def printed(outputs: Sequence[Output]) -> str:
    """What a cell writes to stdout and stderr."""
    return "".join(output["text"] for output in outputs if output["output_type"] == "stream")


def images(html: str) -> list[str]:
    """The SVG files within HTML."""
    contents = re.findall(r'src="data:image/svg\+xml;base64,([^"]+)"', html)
    return [base64.b64decode(content).decode() for content in contents]
