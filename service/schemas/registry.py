"""The registry of schemas: the marshmallow schema that each name in the comments of `sql/` stands for."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from types import ModuleType
from typing import Any, get_type_hints

import marshmallow


@dataclass(frozen=True, eq=False, slots=True)
class Registry:
    """The schemas and the settings that comments may name.

    Attributes:
        schemas: each schema by the name of its class.
        settings: the type of each setting by its name, for `Settings.name`.
    """

    schemas: Mapping[str, type[marshmallow.Schema]]
    settings: Mapping[str, object]

    @classmethod
    def of(cls, *modules: ModuleType, settings: type[Any] | None = None) -> "Registry":
        """Register every schema that these modules define.

        Args:
            modules: the modules.
            settings: a class whose annotations are settings.

        Raises:
            ValueError: two of the schemas have one name.
        """
        schemas: dict[str, type[marshmallow.Schema]] = {}
        for module in modules:
            for schema in _schemas_of(module):
                other = schemas.setdefault(schema.__name__, schema)
                if other is not schema:
                    raise ValueError(
                        f"{schema.__name__} is a schema of {other.__module__} and of {schema.__module__}: rename one."
                    )
        return cls(schemas, get_type_hints(settings) if settings else {})


def _schemas_of(module: ModuleType) -> Iterator[type[marshmallow.Schema]]:
    for one in vars(module).values():
        if isinstance(one, type) and issubclass(one, marshmallow.Schema) and one.__module__ == module.__name__:
            yield one
