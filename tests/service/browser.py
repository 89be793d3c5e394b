"""A running service and a real browser that uses it."""

import io
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import uvicorn
from PIL import Image
from playwright.sync_api import Browser, ConsoleMessage, Page, Playwright, Request

from cspine.service import create_app
from tests.service.builders import Place

FLAGS = ["--no-sandbox", "--use-angle=swiftshader", "--enable-unsafe-swiftshader", "--ignore-gpu-blocklist"]
PATIENCE_MS = 240_000
GRAY_SPREAD = 12  # of red, green and blue of a pixel that counts as gray


def save_picture(picture: bytes, path: Path) -> None:
    """Save a screenshot in few bytes: 128 grays, and 128 colors of what is colored, so that levels keep theirs."""
    image = Image.open(io.BytesIO(picture)).convert("RGB")
    pixels = np.asarray(image).reshape(-1, 3)
    colored = pixels[np.ptp(pixels.astype(int), axis=1) > GRAY_SPREAD]
    chosen = Image.fromarray(np.unique(colored, axis=0)[None]).quantize(128, dither=Image.Dither.NONE)
    palette = Image.new("P", (1, 1))
    palette.putpalette([v for level in range(0, 256, 2) for v in (level,) * 3] + (chosen.getpalette() or [])[:384])
    image.quantize(palette=palette, dither=Image.Dither.NONE).save(path, optimize=True)


@contextmanager
def running(place: Place) -> Iterator[str]:
    """Serve a place on a free port, with its worker in a thread; yield the address."""
    app = create_app(place.config, place.parts)
    server = uvicorn.Server(uvicorn.Config(app, host="127.0.0.1", port=0, log_level="error", ws="none", lifespan="off"))
    web = threading.Thread(target=server.run, daemon=True)
    stop = threading.Event()
    worker = threading.Thread(target=place.worker.run, args=(stop,), daemon=True)
    web.start()
    worker.start()
    while not server.started:
        time.sleep(0.05)
    try:
        yield f"http://localhost:{server.servers[0].sockets[0].getsockname()[1]}"
    finally:
        stop.set()
        server.should_exit = True
        web.join()
        worker.join()


def launched(playwright: Playwright, program: str, *, webgl: bool = True) -> Browser:
    """Start the browser, or one that cannot do WebGL."""
    flags = FLAGS if webgl else ["--no-sandbox", "--disable-gpu", "--disable-webgl", "--disable-webgl2"]
    return playwright.chromium.launch(executable_path=program, args=flags)


def opened(browser: Browser, address: str) -> tuple[Page, list[str]]:
    """Return a page, and a list that fills with what went wrong in it or left this machine."""
    page = browser.new_page(viewport={"width": 1280, "height": 820}, accept_downloads=True, base_url=address)
    page.set_default_timeout(PATIENCE_MS)
    trouble: list[str] = []

    def on_request(request: Request) -> None:
        if not request.url.startswith((address, "data:", "blob:")):
            trouble.append(f"outside: {request.url}")

    def on_console(message: ConsoleMessage) -> None:
        if "Content Security Policy" in message.text:
            trouble.append(message.text)

    page.on("pageerror", lambda error: trouble.append(f"error: {error}"))
    page.on("request", on_request)
    page.on("console", on_console)
    return page, trouble
