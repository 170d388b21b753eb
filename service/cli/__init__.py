"""The command line. Exit codes: 0 done, 1 refused or failed, 2 wrong usage or settings; `migrate` has one more."""

import click

from service.cli import clients, keys, migrate, serving, sql


@click.group()
def main() -> None:
    """Run the task service and its tools.

    Exit codes: 0 done, 1 refused or failed, 2 wrong usage or settings.
    """


for command in (serving.serve, serving.purge, serving.openapi, migrate.migrate, clients.clients, keys.keys, sql.sql):
    main.add_command(command)
