"""What a request's path names: a served name, and perhaps the number of its version."""

from model_server import errors
from model_server.errors import RefusedError
from model_server.following.deployment import Deployment
from model_server.following.deployments import Deployments
from model_server.following.follower import Follower
from model_server.models.version import Version


def find(deployments: Deployments, follower: Follower, name: str) -> Deployment:
    """Raises RefusedError 404, or 503 while nobody has said yet what is to be served."""
    deployment = deployments.find(name)
    if deployment is None and not deployments.are_told:
        raise errors.unavailable("The server is starting: it does not know yet what to serve.")
    if deployment is None:
        reason = f": {why}" if (why := follower.why_not(name)) else ""
        raise RefusedError(
            404, "RESOURCE_DOES_NOT_EXIST", f"No model is served as {name!r}{reason}; see /models."
        )
    return deployment


def version_of(deployment: Deployment, number: str | None = None) -> Version:
    """The one that answers. Raises RefusedError 404 when it is another than `number`, and 503
    when there is none."""
    version = deployment.serving
    if version is None:
        reason = f": {deployment.problem}" if deployment.problem else "."
        raise errors.unavailable(f"{deployment.name} is not loaded{reason}", 2)
    if number is not None and number != version.target.version:
        raise RefusedError(
            404,
            "RESOURCE_DOES_NOT_EXIST",
            f"Version {number} of {deployment.name} is not served; "
            f"version {version.target.version} is.",
        )
    return version
