"""The short address: everything posted to it goes to the newest deployed REST API, as over that API's own URL."""

from urllib.parse import quote

from local_cloud.adapter import api_gateway
from local_cloud.gateway import Application, Receive, Scope, Send, json_response, respond


def front(inner: Application) -> Application:
    """Return an application that serves ``/path`` as ``inner`` serves that path of the newest stage.

    Method, query, headers and body stay as they are; the body is passed on as it comes in.
    """

    async def application(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await _lifespan(receive, send)
            return
        if scope["type"] != "http":
            await send({"type": "websocket.close", "code": 1008})
            return
        stage = api_gateway.newest_stage()
        if stage is None:
            message = "No REST API is deployed yet: deploy the stacks first (pedigree deploy, or cdk deploy)."
            error = {"code": "NotFound", "message": message, "request_id": "none"}
            await respond(send, json_response(404, {"error": error}))
            return
        api_id, name = stage
        prefix = f"/restapis/{api_id}/{name}/_user_request_"
        raw_path = scope.get("raw_path") or quote(scope["path"]).encode()
        moved = {**scope, "path": prefix + scope["path"], "raw_path": prefix.encode() + raw_path}
        await inner(moved, receive, send)

    return application


async def _lifespan(receive: Receive, send: Send) -> None:
    """Start and end with nothing to do: the application behind is started by its own server."""
    while True:
        message = await receive()
        await send({"type": f"{message['type']}.complete"})
        if message["type"] == "lifespan.shutdown":
            return
