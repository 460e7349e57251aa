"""The bucket of an artifact store on S3: whether it is there, and lets this server work in it."""

from __future__ import annotations

import logging
import uuid
from urllib.parse import urlsplit

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError, SSLError

from tracking_server import tls
from tracking_server.errors import RefusedError, UnreachableError
from tracking_server.settings import Settings

logger = logging.getLogger(__name__)

# Of answers without a body (HEAD), and S3's own.
MISSING = ("404", "NoSuchBucket")
FORBIDDEN = ("403", "AccessDenied")
WRONG_KEYS = ("InvalidAccessKeyId", "SignatureDoesNotMatch", "InvalidToken")
WRONG_REGION = (
    "301",
    "PermanentRedirect",
    "AuthorizationHeaderMalformed",
    "IllegalLocationConstraintException",
)


class Bucket:
    """Asks the storage once, without patience; the environment must be applied already."""

    def __init__(self, settings: Settings, seconds: float) -> None:
        self._name = settings.bucket
        self._prefix = urlsplit(settings.artifact_store).path.strip("/")
        self._client = boto3.Session().client(
            "s3",
            endpoint_url=settings.s3_endpoint or None,
            config=Config(
                connect_timeout=seconds, read_timeout=seconds, retries={"total_max_attempts": 1}
            ),
        )

    def there(self) -> None:
        """Raises UnreachableError, or UntrustedError where it is the storage's certificate."""
        refusals = {
            **dict.fromkeys(FORBIDDEN, "access to the bucket refused"),
            **dict.fromkeys(MISSING, "the bucket is not there"),
        }
        try:
            self._client.head_bucket(Bucket=self._name)
        except ClientError as error:
            raise UnreachableError(
                refusals.get(_code(error), "the store fails"), str(error)
            ) from None
        except BotoCoreError as error:
            raise _explained(error) from None

    def try_out(self) -> None:
        """List, write, read and delete in it.

        Raises:
            UnreachableError: no answer, perhaps later.
            RefusedError: the bucket, the keys, their rights or the TLS are not as they must be.
        """
        key = "/".join(filter(None, (self._prefix, f".mlflow-stack-{uuid.uuid4().hex}")))
        place = {"Bucket": self._name, "Key": key}
        self._do("s3:ListBucket", "list_objects_v2", Bucket=self._name, MaxKeys=1)
        self._do("s3:PutObject", "put_object", Body=b"may this server write?", **place)
        try:
            self._do("s3:GetObject", "get_object", **place)
        finally:
            self._do("s3:DeleteObject", "delete_object", **place)
        logger.info("the bucket %s is there, and can be written to", self._name)

    def _do(self, right: str, call: str, **arguments: object) -> None:
        try:
            getattr(self._client, call)(**arguments)
        except ClientError as error:
            code = _code(error)
            if code in MISSING:
                raise RefusedError(
                    f"the bucket {self._name} of TRACKING_ARTIFACT_STORE (S3_BUCKET) is not "
                    "there: make it, or name another"
                ) from None
            if code in WRONG_KEYS:
                raise RefusedError(
                    f"the storage does not take the keys ({code}): put the right ones into "
                    "secrets/s3-access-key and secrets/s3-secret-key"
                ) from None
            if code in FORBIDDEN:
                raise RefusedError(
                    f"the user of secrets/s3-access-key may not do {right} in the bucket "
                    f"{self._name}: give it the policy of docs/external.md"
                ) from None
            if code in WRONG_REGION:
                raise RefusedError(
                    f"the bucket {self._name} is in another region than S3_REGION says: {error}"
                ) from None
            raise UnreachableError("the store fails", str(error)) from None
        except BotoCoreError as error:
            raise _explained(error) from None


def _code(error: ClientError) -> str:
    return str(error.response.get("Error", {}).get("Code", ""))


def _explained(error: BotoCoreError) -> Exception:
    if isinstance(error, SSLError) and (untrusted := tls.of_s3(str(error))):
        return untrusted
    return UnreachableError("cannot connect", str(error))
