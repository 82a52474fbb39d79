"""Stacks: what cannot be deleted keeps its stack, and what it needs, from being deleted, as on AWS."""

import functools
import re
from typing import Any, Final

_BUCKET: Final = "AWS::S3::Bucket"
_MESSAGE: Final = re.compile(rb"<Message>(.*?)</Message>")


class DeletionRefusedError(Exception):
    """A service would not delete a resource; CloudFormation then says so and keeps the stack."""


def install() -> None:
    """Have CloudFormation delete buckets through S3; MiniStack would drop them with all that is in them."""
    from ministack.services import s3
    from ministack.services.cloudformation import provisioners

    def delete_bucket(name: str, properties: dict[str, Any]) -> None:
        status, _, body = s3._delete_bucket(name)
        if status >= 400 and b"NoSuchBucket" not in body:
            said = _MESSAGE.search(body)
            raise DeletionRefusedError(f"{said[1].decode() if said else body.decode()} (Service: S3, {name})")

    provisioners._RESOURCE_HANDLERS[_BUCKET]["delete"] = delete_bucket
    _install_order()


def _install_order() -> None:
    """Keep what a resource that failed to be deleted needs; MiniStack would go on and delete its function and role."""
    from ministack.services.cloudformation import _stacks, stacks

    plain = stacks._delete_resource

    @functools.wraps(plain)
    def delete_resource(kind: str, name: str, properties: Any, stack_name: str, logical_id: str) -> Any:
        stack = _stacks.get(stack_name) or {}
        resources, template = stack.get("_resources", {}), stack.get("_template") or {}
        if stack.get("StackStatus") == "DELETE_IN_PROGRESS":
            for other, resource in resources.items():
                if other == logical_id or resource.get("ResourceStatus") != "DELETE_FAILED":
                    continue
                if logical_id in stacks._with_dependencies([other], template.get("Resources", {}), set(resources)):
                    raise DeletionRefusedError(f"{other} needs it, and failed to be deleted")
        return plain(kind, name, properties, stack_name, logical_id)

    stacks._delete_resource = delete_resource
