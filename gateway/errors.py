"""Every error the gateway raises on purpose, sorted by what the catcher must do.

    GatewayError
    |-- RequestError            tell the caller, in the shape of the surface it came by
    |   |-- BadRequest          400  it cannot be read
    |   |-- Unauthorized        401  no or wrong credentials
    |   |-- Forbidden           403  the credentials do not reach this
    |   |-- NotFound            404  it does not exist, or the caller may not know that it does
    |   |-- Conflict            409  the state of the thing does not allow it now
    |   |-- Gone                410  it existed and was removed
    |   |-- PreconditionFailed  412  somebody changed it meanwhile
    |   |-- TooLarge            413  over a size limit
    |   |-- Unprocessable       422  it can be read, but it is not valid
    |   |-- TooMany             429  over a rate or a quota; carries `retry_after_s`
    |   `-- Unavailable         503  try again later; carries `retry_after_s`
    |-- ModelError              the model did not answer; `transient` says whether to retry
    |-- ToolError               a tool did not answer; its sentence is shown to the model
    |-- FetchError              an address of somebody else's gave no answer; `transient`
    |-- DeliveryLater           try this delivery again, not before `retry_after_s`
    |-- DeliveryUnknown         the platform may or may not have taken it
    |-- DeliveryRefused         never try this delivery again
    |-- ConfigError             stop the process with exit code 78
    |-- StoreError              the store cannot be used; `transient`: it may recover
    `-- HeldElsewhere           another process holds the data directory; exit code 75

Each carries a stable `code`, a sentence for people, and facts as attributes. Secrets and message
text never stand in an error.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, Literal

Scope = Literal["part", "address", "account"]
"""How far a delivery error reaches: this part, this chat, or the whole platform account."""


class GatewayError(Exception):
    """Something the gateway noticed and can explain.

    `code` is stable and meant for programs, `str(error)` is a sentence meant for people.
    """

    default_code: ClassVar[str] = "internal"

    def __init__(self, message: str, *, code: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.code = code or self.default_code


@dataclass(frozen=True, slots=True)
class FieldError:
    """One invalid place in a request: JSON pointer, stable code, sentence."""

    pointer: str
    code: str
    detail: str


class RequestError(GatewayError):
    """The caller has to change or repeat the request."""

    status: ClassVar[int] = 400
    default_code = "bad_request"
    retry_after_s: float | None = None

    @property
    def retryable(self) -> bool:
        """Whether the same request may succeed later without a change."""
        return self.retry_after_s is not None


class BadRequest(RequestError):
    """The request cannot be read."""

    default_code = "bad_request"


class Unauthorized(RequestError):
    """Credentials are missing, wrong or expired."""

    status = 401
    default_code = "invalid_credentials"


class Forbidden(RequestError):
    """The credentials are right and do not reach this."""

    status = 403
    default_code = "insufficient_scope"


class NotFound(RequestError):
    """It does not exist, or the caller may not know that it does."""

    status = 404
    default_code = "not_found"


class Conflict(RequestError):
    """The state of the thing does not allow it now."""

    status = 409
    default_code = "conflict"

    def __init__(
        self, message: str, *, code: str | None = None, retry_after_s: float | None = None
    ) -> None:
        super().__init__(message, code=code)
        self.retry_after_s = retry_after_s


class Gone(RequestError):
    """It existed and was removed or has expired."""

    status = 410
    default_code = "expired"


class PreconditionFailed(RequestError):
    """The thing changed since the caller read it (`If-Match`)."""

    status = 412
    default_code = "etag_mismatch"


class TooLarge(RequestError):
    """Over a size limit."""

    status = 413
    default_code = "body_too_large"


class Unprocessable(RequestError):
    """It can be read and is not valid; `fields` name the places."""

    status = 422
    default_code = "validation_failed"

    def __init__(
        self, message: str, *, code: str | None = None, fields: Sequence[FieldError] = ()
    ) -> None:
        super().__init__(message, code=code)
        self.fields = tuple(fields)


class TooMany(RequestError):
    """Over a rate or a quota; `retry_after_s` is the earliest useful moment."""

    status = 429
    default_code = "rate_limited"

    def __init__(self, message: str, *, retry_after_s: float, code: str | None = None) -> None:
        super().__init__(message, code=code)
        self.retry_after_s = retry_after_s


class Unavailable(RequestError):
    """Nothing is wrong with the request, but it cannot be taken now."""

    status = 503
    default_code = "overloaded"

    def __init__(self, message: str, *, retry_after_s: float, code: str | None = None) -> None:
        super().__init__(message, code=code)
        self.retry_after_s = retry_after_s


class ModelError(GatewayError):
    """The model gave no usable answer.

    `transient` errors are retried by `agents.failover`; `retry_after_s` is the provider's own wish.
    Codes: model_error, model_refused_request, model_unavailable, turn_timeout.
    """

    default_code = "model_error"

    def __init__(
        self,
        message: str,
        *,
        transient: bool,
        code: str | None = None,
        retry_after_s: float | None = None,
        status: int | None = None,
    ) -> None:
        super().__init__(message, code=code)
        self.transient = transient
        self.retry_after_s = retry_after_s
        self.status = status


class ToolError(GatewayError):
    """A tool did not answer; the model is told the sentence and goes on."""

    default_code = "tool_error"


class FetchError(GatewayError):
    """An HTTP address gave no answer that can be used; the address itself never stands in it.

    Codes: fetch_failed, address_blocked, bad_address, timed_out, answer_too_large.
    """

    default_code = "fetch_failed"

    def __init__(self, message: str, *, transient: bool, code: str | None = None) -> None:
        super().__init__(message, code=code)
        self.transient = transient


class DeliveryLater(GatewayError):
    """The platform did not take the part and said, or it is certain, that it may be sent again.

    With `retry_after_s` the platform throttled us: it is no attempt, and nothing else goes to
    `scope` before. Without it our own schedule decides and the attempt counts.
    """

    default_code = "delivery_later"

    def __init__(
        self, message: str, *, retry_after_s: float | None = None, scope: Scope = "address"
    ) -> None:
        super().__init__(message)
        self.retry_after_s = retry_after_s
        self.scope = scope


class DeliveryUnknown(GatewayError):
    """The request was written and no answer came: the platform may have taken the part."""

    default_code = "delivery_unknown"


class DeliveryRefused(GatewayError):
    """The platform will never take this part; `scope` says what else it will never take.

    With scope `address` and the code `opted_out`, the person wants no more messages.
    """

    default_code = "delivery_refused"

    def __init__(self, message: str, *, scope: Scope = "part", code: str | None = None) -> None:
        super().__init__(message, code=code)
        self.scope = scope


class ConfigError(GatewayError):
    """The configuration cannot be used: each problem names file, line, key and remedy."""

    default_code = "config_error"

    def __init__(self, message: str, *, problems: Sequence[str] = ()) -> None:
        super().__init__(message)
        self.problems = tuple(problems) or (message,)


class StoreError(GatewayError):
    """The store cannot be used now (`transient`) or at all.

    Codes: store_unavailable, store_full, store_read_only, store_corrupt, store_missing,
    store_newer, wrong_secret.
    """

    default_code = "store_unavailable"

    def __init__(self, message: str, *, transient: bool = True, code: str | None = None) -> None:
        super().__init__(message, code=code)
        self.transient = transient


class HeldElsewhere(GatewayError):
    """Another process holds the data directory."""

    default_code = "held_elsewhere"
