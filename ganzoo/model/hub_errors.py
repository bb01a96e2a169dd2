"""Errors of the Hub's client as HubError: one sentence that says what to do."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from ganzoo.errors import GanzooError, HubError
from ganzoo.registry.component import describe

LOGIN = "log in with: hf auth login"
CODES = {
    401: f"is not available: you are not logged in to the Hub, or your token is invalid; {LOGIN}",
    403: "does not give you the necessary access; ask its owner, or use another token",
    412: "was changed by somebody else in the meantime; nothing was published. Check the change, then publish again",
    413: "does not accept a file of this size",
    429: "is not available: too many requests to the Hub; wait some minutes, then try again",
}
"""What status codes of the Hub mean, as a continuation of the name of a repository."""


@contextmanager
def hub_errors(repo: str, revision: str | None = None, name: str = "") -> Iterator[None]:
    """Convert every error of the Hub's client, including those of its HTTP library.

    Args:
        repo: Name of the repository.
        revision: Branch, tag or commit that is requested.
        name: Name of the file that is requested.

    Raises:
        HubError: The client raised an error.
    """
    try:
        yield
    except GanzooError:
        raise
    except Exception as error:
        cause = http_error(error)
        raise HubError(f"'{repo}' {explain(cause, revision, name)}") from cause


def was_reached(error: HubError) -> bool:
    """Return whether the Hub answered. If not, the cache may be used instead."""
    from huggingface_hub.errors import HfHubHTTPError

    return isinstance(error.__cause__, HfHubHTTPError)


def http_error(error: BaseException) -> BaseException:
    """Return the answer of the Hub if the client has hidden it behind another error, else the error itself."""
    from huggingface_hub.errors import HfHubHTTPError

    cause = error.__cause__
    return cause if isinstance(cause, HfHubHTTPError) and not isinstance(error, HfHubHTTPError) else error


def explain(error: BaseException, revision: str | None, name: str) -> str:
    """Explain an error of the client.

    Args:
        error: The error.
        revision: Branch, tag or commit that was requested.
        name: Name of the file that was requested.

    Returns:
        The explanation, as a continuation of the name of a repository.
    """
    from huggingface_hub import errors

    explanations: list[tuple[type[BaseException], str]] = [
        (errors.GatedRepoError, f"is gated: ask for access on its page, and {LOGIN}"),
        (errors.RevisionNotFoundError, f"has no revision '{revision}'; its page lists branches, tags and commits"),
        (
            errors.RepositoryNotFoundError,
            f"is neither a folder nor a repository of the Hub that you can access; check the name, or {LOGIN}",
        ),
        (
            errors.LocalEntryNotFoundError,
            f"has no {name} in the cache, and the Hub cannot be reached; go online, unset HF_HUB_OFFLINE, or give a "
            "model folder",
        ),
        (errors.EntryNotFoundError, f"has no file {name}: it is not a ganzoo model, or it is incomplete"),
        (errors.OfflineModeIsEnabled, "is not available, because HF_HUB_OFFLINE is set; unset it"),
        (errors.HFValidationError, "is not the name of a model on the Hub; write org/name"),
    ]
    for kind, explanation in explanations:
        if isinstance(error, kind):
            return explanation
    code = error.response.status_code if isinstance(error, errors.HfHubHTTPError) and error.response is not None else 0
    if code >= 500:
        return f"is not available: the Hub has an internal error ({code}); try again later"
    if code:
        return CODES.get(code, f"is not available: the Hub answered {code} ({describe(error)})")
    return f"is not available: the Hub cannot be reached, or the connection was lost ({describe(error)}); try again"
