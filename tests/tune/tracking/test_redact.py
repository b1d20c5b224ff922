import pytest
from hypothesis import given
from hypothesis import strategies as st

from tune.tracking.redact import clean, without_secrets


@pytest.mark.parametrize(
    ("text", "output"),
    [
        ("http://me:geheim@host:5000/x", "http://host:5000/x"),
        ("postgresql+psycopg://me:ge%40heim@host/db", "postgresql+psycopg://host/db"),
        ("mssql://host/db?driver=x&password=geheim&a=1", "mssql://host/db?driver=x&password=***&a=1"),
        ("s3://bucket/key?X-Amz-Signature=geheim", "s3://bucket/key?X-Amz-Signature=***"),
        ("failed: http://me:p@ss@host/x and http://you@other/y", "failed: http://host/x and http://other/y"),
        ("sqlite:////home/me@work/mlflow.db", "sqlite:////home/me@work/mlflow.db"),
        ("write to me@host", "write to me@host"),
    ],
)
def test_secrets_leave_uris(text: str, output: str) -> None:
    assert without_secrets(text) == output


@given(st.text(st.characters(exclude_categories=["Cc", "Cs", "Zs", "Zl", "Zp"], exclude_characters="/'\""), min_size=1))
def test_no_password_survives(password: str) -> None:
    assert without_secrets(f"http://me:{password}@host/path") == "http://host/path"


def test_nested_values_are_cleaned() -> None:
    assert clean({"a": ["http://me:x@h", 3], "b": {"c": ("s3://k:s@b",)}}) == {
        "a": ["http://h", 3],
        "b": {"c": ["s3://b"]},
    }
