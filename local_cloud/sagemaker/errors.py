"""The errors that clients see, worded as AWS words them."""


class ServiceError(Exception):
    """A refused request; carries SageMaker's error code and the HTTP status that goes with it."""

    def __init__(self, code: str, message: str, http_status: int = 400) -> None:
        """Keep what goes on the wire."""
        super().__init__(message)
        self.code = code
        self.message = message
        self.http_status = http_status


class JobError(Exception):
    """A job, a trial or a deployment cannot go on; the text becomes its FailureReason."""


def validation(message: str) -> ServiceError:
    """Return the error for a request that is wrong in itself or names something unknown."""
    return ServiceError("ValidationException", message)


def in_use(message: str) -> ServiceError:
    """Return the error for a name that is taken or a resource that is busy."""
    return ServiceError("ResourceInUse", message)


def unknown_operation(operation: str) -> ServiceError:
    """Return the error for an operation that this service does not offer."""
    return ServiceError("UnknownOperationException", f"The operation {operation} is not offered here.")
