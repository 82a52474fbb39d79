"""What stands around jobs and endpoint: the API, the network, who is told what."""

from dataclasses import dataclass
from typing import Final

from contract.front_door import PAGE_HEADING, PAGE_LEAD
from infra.checks import Flag, ListOf, OneOf, SettingsError, Text, Unset, WholeNumber, checked, verify

_URL: Final = Text(
    r"https?://[\w.:/{}-]*\{api_id\}[\w.:/{}-]*[^/]", "an http(s) URL with {api_id}, without a slash at its end"
)


def _line(longest: int) -> Text:
    return Text(rf"[^\x00-\x1f\x7f]{{1,{longest}}}", f"one line of 1 to {longest} characters")


@dataclass(frozen=True, kw_only=True)
class Api:
    """The front door's limits and address."""

    requests_per_second: int = checked(10, WholeNumber(1, 10_000), "What the API's key may ask, over time.")
    burst: int = checked(20, WholeNumber(1, 5_000), "What it may ask at once.")
    cors_origins: tuple[str, ...] = checked(
        (),
        ListOf(Text(r"https?://[a-z0-9.-]+(:\d+)?|\*", 'an origin, as in https://example.org, or "*" for all')),
        "Pages of which origins may call the API from a browser; its own page always may.",
    )
    page_heading: str = checked(PAGE_HEADING, _line(80), "What the page asks, its heading.")
    page_lead: str = checked(PAGE_LEAD, _line(300), "What the page says below it: what to show, and what comes of it.")
    log_role: bool = checked(
        True,
        Flag(),
        "Whether the stage sets the role by which API Gateway writes logs; the account has one per region, so false "
        "where somebody else has set it.",
    )
    url_template: str = checked(
        "https://{api_id}.execute-api.{region}.amazonaws.com/{stage}",
        _URL,
        "Where the API answers; {api_id}, {region} and {stage} are filled in at deploy time.",
    )

    def __post_init__(self) -> None:
        """Refuse limits that API Gateway would refuse."""
        verify(self)


@dataclass(frozen=True, kw_only=True)
class Network:
    """Where the containers of jobs and endpoint stand; without subnets, in SageMaker's own network."""

    subnets: tuple[str, ...] = checked(
        (), ListOf(Text(r"subnet-[0-9a-f]{8,17}", "a subnet's id")), "Subnets of your VPC, in two zones or more."
    )
    security_groups: tuple[str, ...] = checked(
        (), ListOf(Text(r"sg-[0-9a-f]{8,17}", "a security group's id")), "What the containers may reach there."
    )
    isolation: bool = checked(
        False,
        Flag(),
        "Containers reach nothing at all and hold no credentials: code, photos and weights come in as channels, so "
        'the source is an s3:// address or "toy", and the backbone\'s weights stand in the bucket.',
    )

    def __post_init__(self) -> None:
        """Refuse half a VPC."""
        verify(self)
        if bool(self.subnets) != bool(self.security_groups):
            raise SettingsError(
                "security_groups", self.security_groups, "subnets and security groups together, or neither of them,"
            )


@dataclass(frozen=True, kw_only=True)
class Tracking:
    """Where trainings are followed besides TensorBoard, whose files stand in output.tar.gz."""

    mlflow_uri: str | None = checked(
        None,
        Unset(Text(r"https?://[\w.-]+(:\d+)?(/[\w./-]*)?", "an http(s) URL without user and password")),
        "An MLflow server that the training can reach: it gets every epoch's metrics, the choices and the report; "
        "null: none.",
    )

    def __post_init__(self) -> None:
        """Refuse an address that holds a password, which everybody could read."""
        verify(self)


@dataclass(frozen=True, kw_only=True)
class Reaper:
    """Deletes an endpoint that nobody uses, since an idle GPU costs as much as a busy one."""

    idle_hours: int | None = checked(
        None,
        Unset(WholeNumber(1, 24 * 30)),
        "After so many hours without a request; null: endpoints are never deleted.",
    )
    notice_hours: int = checked(1, WholeNumber(1, 48), "How long before that a notice is sent.")

    def __post_init__(self) -> None:
        """Refuse what no schedule could do."""
        verify(self)


@dataclass(frozen=True, kw_only=True)
class Watch:
    """Who is told, and how long logs are kept."""

    email: str | None = checked(
        None,
        Unset(Text(r"[^@\s]+@[^@\s]+\.[^@\s]+", "an e-mail address")),
        "Gets the notices, once its owner has confirmed; null: the topic exists, and whoever wants them subscribes.",
    )
    # CloudWatch Logs offers these and some longer ones.
    log_days: int = checked(30, OneOf((1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365)), "How many days logs are kept.")

    def __post_init__(self) -> None:
        """Refuse values that CloudWatch would refuse."""
        verify(self)
