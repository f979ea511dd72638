"""The Bokeh server: one session a viewer, all over one reader of the store."""

import asyncio
import time
from pathlib import Path

import structlog
from bokeh.application import Application
from bokeh.application.handlers.function import FunctionHandler
from bokeh.core.templates import get_env
from bokeh.document import Document
from bokeh.models import CustomJS
from bokeh.server.server import Server

from dashboards.board.reader import Reader
from dashboards.board.session import Session
from sql.client import Store, StoreError

ADDRESS = "127.0.0.1"
TICK_MS = 1000
TEMPLATE = Path(__file__).parent / "templates" / "depth.html"
EMPTY = "No books yet. First data usually arrives within 5 s."

log = structlog.get_logger()


def serve(store: Store, port: int) -> None:
    """Serve the board on 127.0.0.1 until Ctrl-C or SIGTERM.

    Raises:
        OSError: the port is taken.
    """
    reader = Reader(store)
    server = Server(
        {"/": Application(FunctionHandler(lambda document: open_page(document, reader)))},
        address=ADDRESS,
        port=port,
        allow_websocket_origin=[f"{host}:{port}" for host in (ADDRESS, "localhost")],
    )
    server.start()
    log.info("the board is ready", url=f"http://{ADDRESS}:{server.port}/")
    server.run_until_shutdown()


def open_page(document: Document, reader: Reader) -> None:
    """Fill a new session's document with the depth page, in the state that its URL names."""
    document.title = "Isotherm"
    environment = get_env()
    request = document.session_context.request if document.session_context else None
    arguments = {name: values[0].decode() for name, values in (request.arguments if request else {}).items()}
    try:
        session = Session(reader, arguments)
    except (LookupError, StoreError) as error:
        log.warning("no page", error=str(error))
        words = EMPTY if isinstance(error, LookupError) else "Store does not answer. Retrying every 2 s."
        document.template = environment.from_string(_waiting(words))
        return
    for name, model in session.page.roots().items():
        model.name = name
        document.add_root(model)
    document.template = environment.from_string(TEMPLATE.read_text(encoding="utf-8"))
    document.js_on_event("connection_lost", CustomJS(code="isotherm.away()"))
    page = session.page
    for script in (
        CustomJS(code="isotherm.start()"),
        page.recolour,
        page.tell,
        page.lists,
        page.place_labels,
        page.overlays.place,
        page.flow.tell,
        page.footprint.place,
    ):
        document.js_on_event("document_ready", script)

    async def tick() -> None:
        await asyncio.to_thread(session.ask, time.time_ns())
        session.show(time.time_ns())

    document.add_periodic_callback(tick, TICK_MS)


def _waiting(words: str) -> str:
    return (
        "<!DOCTYPE html><html><head><meta charset='utf-8'><meta http-equiv='refresh' content='2'>"
        "<title>Isotherm</title><style>body{background:#0A0D12;color:#9BA7B8}</style></head>"
        f"<body style='font:14px sans-serif'>{words}</body></html>"
    )
