"""The command line: `waybill --help`."""

from __future__ import annotations

import sys

import click

from middleware.commands import feeds, mapping, operate, orders, payments, serving, setup, verifying
from middleware.errors import WaybillError


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 120})
@click.version_option(package_name="drupal-commerce-waybill", prog_name="waybill")
def cli() -> None:
    """Waybill carries every order and payment across the border of a Drupal Commerce shop, once, and says what happened."""


for noun in (setup, serving, feeds, mapping, orders, operate, payments, verifying):
    for command in noun.COMMANDS:
        cli.add_command(command)


def main() -> None:
    """Run the command line; an error of ours is one clear line and exit code 1."""
    try:
        cli(standalone_mode=False)
    except click.ClickException as error:
        error.show()
        sys.exit(error.exit_code)
    except click.Abort:
        sys.exit(130)
    except WaybillError as error:
        click.echo(f"waybill: {error}", err=True)
        sys.exit(1)


if __name__ == "__main__":
    main()
