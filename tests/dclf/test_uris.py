"""URIs of files: what is quoted is read again as the same path, by us and by those who read our URIs."""

from pathlib import Path

import pyarrow.fs as pafs
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import make_url

from dclf.data.storage import Folder, absolute, parent_and_name, place_below
from dclf.uris import file_path, file_uri, sqlite_path, sqlite_uri

NASTY = "a?b%41#c&d'e fü"
NAMES = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="/\0"), min_size=1, max_size=12)
PATHS = st.lists(NAMES.filter(lambda name: name not in (".", "..")), min_size=1, max_size=3).map(
    lambda names: Path("/", *names)
)


PLACES = {
    "/data/studies": "/data/studies/a/b",
    "/data/why?/studies/": "/data/why?/studies/a/b",
    "s3://lab/studies": "s3://lab/studies/a/b",
    "s3://lab/studies/?endpoint_override=host:9000/s3": "s3://lab/studies/a/b?endpoint_override=host:9000/s3",
}


@pytest.mark.parametrize("place", PLACES)
def test_a_name_goes_before_the_options_of_a_uri(place: str) -> None:
    below = place_below(place, "a/b")
    assert below == PLACES[place]
    parent, name = parent_and_name(below)
    assert (place_below(parent, name), name) == (below, "b")


@given(PATHS)
def test_sqlalchemy_opens_the_file_that_was_meant(path: Path) -> None:
    uri = sqlite_uri(path)
    assert make_url(uri).database == str(path)
    assert sqlite_path(uri) == path
    assert sqlite_uri(path) == uri


@given(PATHS)
def test_a_file_uri_is_its_path(path: Path) -> None:
    uri = file_uri(path)
    assert file_path(uri) == path
    assert pafs.FileSystem.from_uri(uri)[1] == str(path)
    assert Folder.of(uri).root == Folder.of(str(path)).root == str(path)


def test_a_plain_path_stands_in_its_uri_as_it_is() -> None:
    assert sqlite_uri(Path("/home/jörg/my runs/mlflow.db")) == "sqlite:////home/jörg/my runs/mlflow.db"


@pytest.mark.parametrize(
    ("uri", "path"),
    [
        ("sqlite:///some path/x.db", "some path/x.db"),
        ("sqlite:///some%20path/x.db", "some path/x.db"),
        ("sqlite:////a%3Fb#c/x.db", "/a?b#c/x.db"),
        ("sqlite:////100%/x.db", "/100%/x.db"),
        ("sqlite+pysqlite:///x.db", "x.db"),
    ],
)
def test_what_a_user_writes_means_what_it_means_to_sqlalchemy(uri: str, path: str) -> None:
    assert make_url(uri).database == path
    assert sqlite_path(uri) == Path(path).absolute()


@pytest.mark.parametrize("uri", ["sqlite:///a?b/x.db", "sqlite:///", "sqlite:///:memory:", "sqlite://x.db"])
def test_a_uri_that_names_no_file_is_refused(uri: str) -> None:
    with pytest.raises(ValueError, match=r"must (name a file|be a path without options; write %3F)"):
        sqlite_path(uri)


@pytest.mark.parametrize("uri", ["file:///a?b", "file:///a#b", "file://host/a"])
def test_a_file_uri_that_is_more_than_a_path_is_refused(uri: str) -> None:
    with pytest.raises(ValueError, match=r"must (be a path alone; write %3F|name a file of this machine)"):
        file_path(uri)
    with pytest.raises(ValueError, match="must"):
        absolute(uri)


def test_a_folder_within_is_shown_whole(tmp_path: Path) -> None:
    folder = Folder.of(tmp_path / NASTY).below("trials")
    assert (folder.address, folder.root) == (f"{tmp_path / NASTY}/trials",) * 2
