"""Every setting that is wrong is refused in one line that names it."""

import pytest

from tracking_server.errors import RefusedError

PASSWORD = "hunter2hunter2"


def test_a_complete_environment_is_enough(load):
    settings = load()
    assert settings.on_postgres
    assert settings.on_s3
    assert (settings.host, settings.port, settings.workers) == ("127.0.0.1", 5000, 2)


def test_an_empty_variable_counts_as_unset(load):
    assert load(TRACKING_WORKERS="", TRACKING_PORT="").workers == 2


@pytest.mark.parametrize(
    ("name", "value", "says"),
    [
        ("TRACKING_BACKEND_STORE", None, "is not set"),
        ("TRACKING_BACKEND_STORE", "", "is not set"),
        ("TRACKING_BACKEND_STORE", "postgresql://mlflow@postgres/mlflow", "psycopg2"),
        ("TRACKING_BACKEND_STORE", "postgresql+psycopg2://mlflow@postgres", "no database"),
        (
            "TRACKING_BACKEND_STORE",
            "postgresql+psycopg2://mlflow@db/mlflow?sslmode=prefer",
            "POSTGRES_SSLMODE",
        ),
        ("TRACKING_BACKEND_STORE", "sqlite:///relative.db", "absolute"),
        ("TRACKING_BACKEND_STORE", "mysql://mlflow@db/mlflow", "must begin with"),
        ("TRACKING_ARTIFACT_STORE", None, "is not set"),
        ("TRACKING_ARTIFACT_STORE", "relative/folder", "absolute folder"),
        ("TRACKING_ARTIFACT_STORE", "s3://", "no bucket"),
        ("TRACKING_ARTIFACT_STORE", "/srv/artifacts", "TRACKING_S3_ENDPOINT is set"),
        ("TRACKING_S3_ENDPOINT", "minio:9000", "http://HOST:PORT"),
        ("TRACKING_SECRETS", None, "is not set"),
        ("TRACKING_SECRETS", "secrets", "absolute folder"),
        ("TRACKING_PORT", "70000", "65535"),
        ("TRACKING_PORT", "http", "'http'"),
        ("TRACKING_WORKERS", "0", "greater than or equal to 1"),
        ("TRACKING_WORKERS", "two", "'two'"),
        ("TRACKING_GRACE", "-1", "greater than or equal to 1"),
        ("TRACKING_PATIENCE", "soon", "'soon'"),
        ("TRACKING_NAMES", "http://mlflow.lan", "without scheme and port"),
        ("TRACKING_NAMES", "mlflow.lan:5000", "without scheme and port"),
        ("TRACKING_NAMES", "*", "no host name"),
        ("TRACKING_NAMES", "mlflow.lan,*.example.org", "STACK_NAMES"),
        ("TRACKING_WORKER", "4", "did you mean TRACKING_WORKERS?"),
    ],
)
def test_a_wrong_setting_is_named_in_one_line(load, name, value, says):
    with pytest.raises(RefusedError) as caught:
        load(**{name: value})
    line = str(caught.value)
    assert name in line
    assert says in line
    assert "\n" not in line


@pytest.mark.parametrize(
    "url",
    [
        f"postgresql+psycopg2://mlflow:{PASSWORD}@postgres:5432/mlflow",
        f"postgresql+psycopg2://mlflow@postgres:5432/mlflow?password={PASSWORD}",
        f"postgresql://mlflow:{PASSWORD}@postgres:5432/mlflow",
        f"mysql://mlflow:{PASSWORD}@postgres:5432/mlflow",
    ],
)
def test_a_password_in_the_url_is_refused_and_not_repeated(load, url):
    with pytest.raises(RefusedError) as caught:
        load(TRACKING_BACKEND_STORE=url)
    assert "TRACKING_BACKEND_STORE" in str(caught.value)
    assert PASSWORD not in str(caught.value)


def test_an_endpoint_with_credentials_is_refused_and_not_repeated(load):
    with pytest.raises(RefusedError, match=r"s3\.ini") as caught:
        load(TRACKING_S3_ENDPOINT=f"http://user:{PASSWORD}@minio:9000")
    assert PASSWORD not in str(caught.value)


def test_logins_may_be_a_database_beside_the_backend_store(load):
    store = "postgresql+psycopg2://team@db.lan:6432/mlflow?sslmode=verify-full"
    settings = load(TRACKING_BACKEND_STORE=store, TRACKING_LOGINS="logins")
    assert settings.logins == "postgresql+psycopg2://team@db.lan:6432/logins?sslmode=verify-full"


def test_a_file_has_no_database_beside_it(load):
    with pytest.raises(RefusedError, match="TRACKING_LOGINS='logins': must begin with"):
        load(TRACKING_BACKEND_STORE="sqlite:////srv/mlflow.db", TRACKING_LOGINS="logins")


def test_others_may_use_the_prefix(load):
    assert load(TRACKING_MEMORY="2g").port == 5000


def test_names_are_split_and_written_as_in_a_host_header(load):
    names = load(TRACKING_NAMES="tracking, MLflow.lan,,10.0.0.5,::1,[fe80::1],tracking").names
    assert names == ("tracking", "mlflow.lan", "10.0.0.5", "[::1]", "[fe80::1]")
