"""An S3 server of this process (moto's), for tests that need other processes to reach it."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

BUCKET = "bench"
CREDENTIALS = {
    "AWS_ACCESS_KEY_ID": "nobody",
    "AWS_SECRET_ACCESS_KEY": "nothing-secret",
    "AWS_DEFAULT_REGION": "us-east-1",
}


@contextmanager
def s3_server() -> Iterator[str]:
    """Serve an empty bucket `bench`; yield HOST:PORT. Credentials are in the environment meanwhile."""
    moto = pytest.importorskip("moto.server")
    with pytest.MonkeyPatch.context() as patch:
        for name, value in CREDENTIALS.items():
            patch.setenv(name, value)
        for name in [name for name in os.environ if name.startswith("AWS_ENDPOINT_URL")]:
            patch.delenv(name)
        logging.getLogger("werkzeug").setLevel(logging.ERROR)  # it would print every request
        server = moto.ThreadedMotoServer(ip_address="127.0.0.1", port=0)
        server.start()
        try:
            host, port = server.get_host_and_port()
            from pyarrow import fs

            made = fs.S3FileSystem(endpoint_override=f"{host}:{port}", scheme="http", allow_bucket_creation=True)
            made.create_dir(BUCKET)
            yield f"{host}:{port}"
        finally:
            server.stop()


def uri(address: str, path: str) -> str:
    """Return the URI of a prefix of the bucket, with the endpoint in it."""
    return f"s3://{BUCKET}/{path}?endpoint_override={address}&scheme=http&region=us-east-1"
