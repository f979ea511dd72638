"""The command `webhook`. `isotherm` hangs it into its own."""

import os
import random
import ssl
from collections.abc import Mapping
from contextlib import closing
from pathlib import Path

import click

from connectors.alert import ADDRESSES, SecretError, SourceError, networks
from connectors.commands import Failure, Span, log_of
from connectors.keys import KeyValueError, key
from connectors.log import LogError, Retention, open_log
from connectors.webhook import Webhook, run_until_signalled, tls

SECRET = "ISOTHERM_WEBHOOK_SECRET"  # noqa: S105 - the variable's name
PORT = 8088


@click.command()
@click.option("--host", default="127.0.0.1", show_default=True, help="The address to listen on.")
@click.option("--port", default=PORT, show_default=True, type=click.IntRange(1, 65535))
@click.option("--allow", "allowed", multiple=True, default=(ADDRESSES,), show_default=True, metavar="ADDRESS",
              help="Who may send: an address, a network, or tradingview: its four; repeatable.")  # fmt: skip
@click.option("--proxy", "proxies", multiple=True, metavar="ADDRESS",
              help="A proxy in front, whose X-Forwarded-For is believed; repeatable.")  # fmt: skip
@click.option("--tls-cert", type=click.Path(path_type=Path), help="Certificate chain (PEM), to serve HTTPS.")
@click.option("--tls-key", type=click.Path(path_type=Path), help="Its key (PEM).")
@click.option("--log", "log_url", help="The log: file:DIR or kafka:HOST:PORT.  [default: file:DATA_DIR/log]")
@click.option("--data-dir", type=click.Path(path_type=Path), help="Where this machine keeps its data.")
@click.option("--keep", "keep_s", type=Span(), default="30d", show_default=True, help="Of a topic made now.")
@click.option("--metrics-port", type=click.IntRange(1, 65535), help="Prometheus metrics on 127.0.0.1.")
def webhook(  # noqa: PLR0913, PLR0917 - one a setting
    host: str, port: int, allowed: tuple[str, ...], proxies: tuple[str, ...], tls_cert: Path | None,
    tls_key: Path | None, log_url: str | None, data_dir: Path | None, keep_s: float, metrics_port: int | None,
) -> None:  # fmt: skip
    """Receive TradingView's alerts on /tradingview and write them to the log, until Ctrl-C.

    The secret comes from ISOTHERM_WEBHOOK_SECRET (or ISOTHERM_WEBHOOK_SECRET_FILE) and stands in the alert's message,
    as "secret":"...", or at the end of the address: /tradingview/SECRET. TradingView calls ports 80 and 443 only, so
    a proxy that ends TLS usually stands in front.

    \b
    isotherm webhook --data-dir D --proxy 127.0.0.1
    isotherm webhook --data-dir D --host 0.0.0.0 --port 443 --tls-cert chain.pem --tls-key key.pem
    """
    url = log_of(log_url, data_dir)
    if (tls_cert is None) != (tls_key is None):
        raise Failure("expected both --tls-cert and --tls-key, or neither")
    try:
        secret = key(SECRET, os.environ)
        if secret is None:
            raise Failure(f"expected the secret of the alerts in {SECRET}: `openssl rand -hex 24` makes one")
        context = tls(tls_cert, tls_key) if tls_cert and tls_key else None
        retention = Retention(age_s_max=int(keep_s))
        with closing(open_log(url)) as log:
            run_until_signalled(
                Webhook(
                    secret, log, random.random, host, port, networks(allowed), networks(proxies), retention,
                    metrics_port, context,
                )
            )  # fmt: skip
    except (KeyValueError, SecretError, SourceError) as error:
        raise Failure(str(error)) from None
    except ssl.SSLError as error:
        raise Failure(f"expected a certificate and its key in PEM, found: {error.reason or error}") from None
    except (LogError, OSError) as error:
        raise click.ClickException(f"{type(error).__name__}: {error}") from error


def arguments(data_dir: Path, environ: Mapping[str, str]) -> tuple[str, ...] | None:
    """The command line of the process that `isotherm up` starts; None where there is no secret."""
    if not (environ.get(SECRET) or environ.get(f"{SECRET}_FILE")):
        return None
    return ("webhook", "--data-dir", str(data_dir))
