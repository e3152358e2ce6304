"""Every knob once, read from the environment, `.env` and `officeai.toml`; nothing else reads them.

Environment variables carry the prefix `OFFICEAI_`. A wrong value is a `ConfigurationError` of one
line that names the setting and never shows a secret.
"""

from enum import StrEnum
from pathlib import Path
from typing import Literal

from pydantic import AliasChoices, Field, ValidationError, model_validator
from pydantic_settings import (
    BaseSettings,
    DotEnvSettingsSource,
    EnvSettingsSource,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    SettingsError,
    TomlConfigSettingsSource,
)
from typing_extensions import override

from officeai_proxy.errors import ConfigurationError
from officeai_proxy.model import Durability
from officeai_proxy.setting_files import DOTENV, PREFIX, TOML, check_files, strange_variables
from officeai_proxy.setting_values import (
    Addresses,
    Aliases,
    BaseUrl,
    DatabaseUrl,
    EncryptionKeys,
    Host,
    Keys,
    Number,
    UpstreamKey,
    WholeNumber,
    is_own_address,
)

OPENAI_BASE_URL = "https://api.openai.com/v1"

MEGABYTE = 1024 * 1024

_OTHER_NAMES = {
    "OFFICEAI_UPSTREAM_BASE_URL": "OPENAI_BASE_URL",
    "OFFICEAI_UPSTREAM_API_KEY": "OPENAI_API_KEY",
}


class Record(StrEnum):
    """Which chat calls are recorded."""

    HEADER = "header"
    ALL = "all"


class OnFull(StrEnum):
    """What happens to calls while recording cannot keep its promise."""

    SERVE = "serve"
    REFUSE = "refuse"


class OnDisconnect(StrEnum):
    """What happens to the upstream call when its caller leaves."""

    CANCEL = "cancel"
    FINISH = "finish"


class Settings(BaseSettings):
    """The configuration of one proxy. Seconds are floats, sizes are in megabytes (1024²)."""

    model_config = SettingsConfigDict(
        env_prefix=PREFIX,
        env_file=DOTENV,
        env_file_encoding="utf-8",
        env_ignore_empty=True,
        toml_file=TOML,
        extra="ignore",
        frozen=True,
        hide_input_in_errors=True,
        populate_by_name=True,
    )

    upstream_base_url: BaseUrl = Field(
        OPENAI_BASE_URL,
        validation_alias=AliasChoices("OFFICEAI_UPSTREAM_BASE_URL", "OPENAI_BASE_URL"),
        description="Where calls go: the base URL of an OpenAI-compatible server.",
    )
    upstream_api_key: UpstreamKey = Field(
        None,
        validation_alias=AliasChoices("OFFICEAI_UPSTREAM_API_KEY", "OPENAI_API_KEY"),
        description="The upstream's key. Without it none is sent, as local model servers like it.",
    )
    upstream_trust_env: bool = Field(
        True, description="Whether HTTPS_PROXY, ALL_PROXY and NO_PROXY are followed."
    )
    database_url: DatabaseUrl = Field(
        None, description="`sqlite:///path` or `postgresql://…`; else a file in the data directory."
    )
    data_dir: Path = Field(Path("data"), description="The database and the journal live here.")
    host: Host = Field("127.0.0.1", description="The address to listen on.")
    port: WholeNumber = Field(
        8000, ge=0, le=65535, description="The port to listen on; 0 takes a free one."
    )
    workers: WholeNumber = Field(1, ge=1, le=256, description="How many processes serve.")
    api_keys: Keys = Field(
        (),
        description="Keys for the simple case, comma separated: workspace `default`, all scopes.",
    )
    encryption_keys: EncryptionKeys = Field(
        default_factory=dict,
        description="Keys that seal what is stored, `id:base64` with commas; the first one seals.",
    )
    record: Record = Field(
        Record.HEADER, description="`header`: calls with X-Session-ID; `all`: every chat call."
    )
    durability: Durability = Field(
        Durability.PROCESS, description="What a recorded call survives: memory, process or disk."
    )
    on_full: OnFull = Field(
        OnFull.SERVE, description="When nothing can be recorded: `serve` calls, or `refuse` them."
    )
    on_disconnect: OnDisconnect = Field(
        OnDisconnect.CANCEL, description="When a caller leaves: `cancel` upstream, or `finish`."
    )
    model_aliases: Aliases = Field(
        default_factory=dict, description="JSON object: a model name of clients → the upstream's."
    )
    grace_seconds: Number = Field(
        30, ge=0, le=86400, description="How long running calls may go on after SIGTERM."
    )
    max_body_mb: Number = Field(20, gt=0, le=4096, description="The largest request body.")
    max_recorded_mb: Number = Field(
        64, gt=0, le=1024, description="How much of one reply is recorded; the rest still passes."
    )
    max_journal_backlog_mb: Number = Field(
        64, ge=0, le=65536, description="Memory per worker for calls while the journal is full."
    )
    max_exports: WholeNumber = Field(
        4, ge=1, le=1000, description="Exports that each worker serves at once."
    )
    max_import_mb: Number = Field(
        2048, gt=0, le=1048576, description="The largest file to import, also unpacked."
    )
    max_import_item_mb: Number = Field(
        256, gt=0, le=4096, description="The largest conversation in it, which is read in memory."
    )
    context_messages: WholeNumber = Field(
        1000, ge=1, le=10000, description="The most messages that X-Session-Context may ask for."
    )
    context_tokens: WholeNumber = Field(
        100_000, ge=1, le=10_000_000, description="The most tokens it may add, by estimate."
    )
    retention_days: Number = Field(
        0, ge=0, le=36500, description="Days after its last activity a conversation goes; 0: never."
    )
    bin_days: Number = Field(
        30, ge=0, le=36500, description="Days in the bin before it is for good; 0: for ever there."
    )
    archive_dir: Path | None = Field(
        None, description="Where conversations are written before retention deletes them."
    )
    audit_days: Number = Field(
        0, ge=0, le=36500, description="Days that rows of the audit log are kept; 0: for ever."
    )
    connect_timeout: Number = Field(
        10, gt=0, le=86400, description="Seconds to connect to the upstream."
    )
    first_byte_timeout: Number = Field(
        600, gt=0, le=86400, description="Seconds until the upstream's reply begins."
    )
    idle_timeout: Number = Field(
        120, gt=0, le=86400, description="Seconds between two bytes of the upstream's reply."
    )
    max_connections: WholeNumber = Field(
        4096, ge=1, le=1_000_000, description="Connections that each worker holds open at once."
    )
    max_header_kb: Number = Field(
        64, ge=1, le=65536, description="The largest head of a request, in kilobytes."
    )
    max_headers: WholeNumber = Field(
        256, ge=8, le=10_000, description="Headers that a request may have."
    )
    header_timeout: Number = Field(
        15, gt=0, le=86400, description="Seconds in which a request's headers must have come."
    )
    body_timeout: Number = Field(
        20, gt=0, le=86400, description="Seconds in which more of a request's body must come …"
    )
    min_body_rate: Number = Field(
        240, ge=0, le=1e9, description="… and how much: so many bytes a second on average."
    )
    keep_alive_timeout: Number = Field(
        75, gt=0, le=86400, description="Seconds that an idle connection is kept open."
    )
    send_timeout: Number = Field(
        120, gt=0, le=86400, description="Seconds in which a client must take some of its reply."
    )
    trusted_proxies: Addresses = Field(
        "", description="Addresses whose X-Forwarded-For is believed, comma separated; `*` for all."
    )
    prices: Path | None = Field(
        None, description="A JSON or TOML file of prices that win over the built-in ones."
    )
    metrics_open: bool = Field(
        False, description="Whether `/metrics` answers without a key; else it needs scope `admin`."
    )
    log_level: Literal["debug", "info", "warning", "error"] = Field(
        "info", description="How much is logged, on standard error."
    )

    @classmethod
    @override
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """The environment wins over `.env`, and `.env` over `officeai.toml`."""
        toml = TomlConfigSettingsSource(settings_cls)
        return init_settings, env_settings, dotenv_settings, toml

    @model_validator(mode="after")
    def _is_not_its_own_upstream(self) -> "Settings":
        if is_own_address(self.upstream_base_url, host=self.host, port=self.port):
            raise ValueError(
                "OFFICEAI_UPSTREAM_BASE_URL (or OPENAI_BASE_URL) is this proxy's own address; name "
                "the model's server in OFFICEAI_UPSTREAM_BASE_URL"
            )
        return self

    @property
    def encryption_secrets(self) -> dict[str, bytes]:
        """The encryption keys themselves, by their ids; nothing when encryption is off."""
        return {name: key.get_secret_value() for name, key in self.encryption_keys.items()}

    @property
    def max_body_bytes(self) -> int:
        """The largest request body, in bytes."""
        return int(self.max_body_mb * MEGABYTE)

    @property
    def max_import_bytes(self) -> int:
        """The largest file to import, in bytes."""
        return int(self.max_import_mb * MEGABYTE)

    @property
    def max_import_item_bytes(self) -> int:
        """The largest conversation of a file, in bytes."""
        return int(self.max_import_item_mb * MEGABYTE)

    @property
    def journal_dir(self) -> Path:
        """Where the journal's segments are."""
        return self.data_dir / "journal"

    @property
    def database(self) -> str:
        """The database URL, also when none was given."""
        if self.database_url is not None:
            return self.database_url.get_secret_value()
        return f"sqlite:///{self.data_dir / 'officeai.db'}"

    @property
    def base_url(self) -> str:
        """What a client on this machine uses as its base URL."""
        host = "127.0.0.1" if self.host in ("0.0.0.0", "::") else self.host  # noqa: S104 - compared, not bound
        return f"http://{f'[{host}]' if ':' in host else host}:{self.port}/v1"


_NAMES_IN_FILE = frozenset(
    name.lower() for name in (*Settings.model_fields, *_OTHER_NAMES, *_OTHER_NAMES.values())
)


def load_settings(**given: object) -> Settings:
    """Read the settings; *given* wins over every other source.

    Raises:
        ConfigurationError: a value is wrong; the message is one line naming each such setting.
    """
    check_files(_NAMES_IN_FILE)
    try:
        return Settings(**given)  # type: ignore[arg-type]  # pydantic checks what the caller gives
    except ValidationError as exc:
        faults = "; ".join(_fault(error["loc"], error["msg"]) for error in exc.errors())
        raise ConfigurationError(faults) from None
    except (SettingsError, ValueError) as exc:
        raise ConfigurationError(f"the settings cannot be read: {exc}") from None


def strange_names() -> list[str]:
    """What stands in the environment and in `.env` like a setting and is none, a sentence each.

    That stops nothing: another program may have variables that begin like ours.
    """
    given = {
        "the environment": EnvSettingsSource(Settings).env_vars,
        DOTENV: DotEnvSettingsSource(Settings).env_vars,
    }
    return [
        fault
        for place, names in given.items()
        for fault in strange_variables(names, Settings.model_fields, place=place)
    ]


def _fault(location: tuple[int | str, ...], message: str) -> str:
    if not location:
        return message.removeprefix("Value error, ")
    name = str(location[0]).upper()
    setting = name if name.startswith(("OFFICEAI_", "OPENAI_")) else f"OFFICEAI_{name}"
    if setting in _OTHER_NAMES:
        setting += f" (or {_OTHER_NAMES[setting]})"
    return f"{setting}: {message.removeprefix('Value error, ')}"
