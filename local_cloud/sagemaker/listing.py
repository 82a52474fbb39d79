"""What all List operations have in common: filters, order, pages."""

import base64
import binascii
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from local_cloud.sagemaker.errors import validation

_PAGE = 10  # what SageMaker returns when MaxResults is not given
_BOUNDS: tuple[tuple[str, str, Callable[[Any, Any], bool]], ...] = (
    ("CreationTimeAfter", "CreationTime", lambda value, bound: value > bound),
    ("CreationTimeBefore", "CreationTime", lambda value, bound: value < bound),
    ("LastModifiedTimeAfter", "LastModifiedTime", lambda value, bound: value > bound),
    ("LastModifiedTimeBefore", "LastModifiedTime", lambda value, bound: value < bound),
)


@dataclass(frozen=True)
class Listing:
    """One List operation: the names of its members, its order when none is asked for, and what a summary shows."""

    items: str
    name: str
    members: frozenset[str]
    status: str = ""
    sort_by: str = "CreationTime"
    ascending: bool = False

    def answer(self, shown: Iterable[Mapping[str, Any]], request: Mapping[str, Any]) -> dict[str, Any]:
        """Return one page of summaries of what Describe shows."""
        kept = [entry for entry in shown if self._wanted(entry, request)]
        kept.sort(key=self._key(request.get("SortBy", self.sort_by)), reverse=not self._ascending(request))
        start = _offset(request.get("NextToken"))
        end = start + request.get("MaxResults", _PAGE)
        response: dict[str, Any] = {
            self.items: [{k: v for k, v in entry.items() if k in self.members} for entry in kept[start:end]]
        }
        if end < len(kept):
            response["NextToken"] = base64.urlsafe_b64encode(str(end).encode()).decode()
        return response

    def _ascending(self, request: Mapping[str, Any]) -> bool:
        order = request.get("SortOrder")
        return self.ascending if order is None else order == "Ascending"

    def _wanted(self, entry: Mapping[str, Any], request: Mapping[str, Any]) -> bool:
        if request.get("NameContains", "") not in entry[self.name]:
            return False
        if "StatusEquals" in request and entry[self.status] != request["StatusEquals"]:
            return False
        return all(
            holds(entry[member], request[bound]) for bound, member, holds in _BOUNDS if request.get(bound) is not None
        )

    def _key(self, sort_by: str) -> Callable[[Mapping[str, Any]], Any]:
        match sort_by:
            case "Name":
                return lambda entry: entry[self.name]
            case "Status":
                return lambda entry: (entry[self.status], entry[self.name])
            case "FinalObjectiveMetricValue":
                return lambda entry: entry["FinalHyperParameterTuningJobObjectiveMetric"]["Value"]
            case _:
                return lambda entry: (entry["CreationTime"], entry[self.name])


def _offset(token: str | None) -> int:
    if token is None:
        return 0
    try:
        return int(base64.urlsafe_b64decode(token))
    except (ValueError, binascii.Error) as error:
        raise validation(f"Invalid pagination token: {token}") from error
