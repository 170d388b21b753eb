"""The registry of the service: every schema and setting that the comments of `sql/` may name."""

from typing import Final

from service.accounts import account_rows
from service.accounts import schemas as account_schemas
from service.health import health_rows
from service.schemas import shared_rows
from service.schemas.registry import Registry
from service.settings import Settings
from service.tasks import schemas as task_schemas
from service.tasks import task_rows

REGISTRY: Final = Registry.of(
    account_rows, account_schemas, health_rows, shared_rows, task_rows, task_schemas, settings=Settings
)
