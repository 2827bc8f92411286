"""Who may ask the console: the browser of the person who started it, from its own pages.

The console uses its owner's AWS credentials, so that three kinds of strangers are kept out: pages of other sites that
send requests through the owner's browser (Host, Origin and Sec-Fetch-Site are looked at, and changes carry a token),
names that are made to resolve to this machine (Host again), and other users of this machine (a secret in the address
that only the terminal shows, as Jupyter has it). What came from a service is data for a page, never a part of it: the
content security policy lets no script run but the console's own files.

Sources: https://cheatsheetseries.owasp.org/cheatsheets/Cross-Site_Request_Forgery_Prevention_Cheat_Sheet.html,
https://www.w3.org/TR/fetch-metadata/, https://www.w3.org/TR/CSP3/
"""

from __future__ import annotations

import secrets
from hmac import compare_digest
from urllib.parse import urlsplit

from flask import Flask, Response, abort, g, redirect, render_template, request
from werkzeug.wrappers import Response as AnyResponse

# Names of this machine that the console's address may have; it listens on 127.0.0.1 alone.
HOSTS = ("127.0.0.1", "localhost")
TOKEN = "token"  # noqa: S105 - the name of the parameter
CSRF_FIELD, CSRF_HEADER = "csrf_token", "X-CSRF-Token"

_SAFE = frozenset({"GET", "HEAD"})
_PAGES = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
    "frame-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
# Plotly makes style elements, and shows texts as a kind of markup. It runs in a frame without an origin, which can
# reach neither the console's pages nor its cookie, and is sent its data by the page around it.
_FRAME = (
    "sandbox allow-scripts; default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; "
    "img-src data: blob:; base-uri 'none'; form-action 'none'; frame-ancestors 'self'"
)
# A report holds its scripts and styles in itself: it too has no origin, and no network.
_REPORT = (
    "sandbox allow-scripts allow-downloads allow-modals; default-src 'none'; script-src 'unsafe-inline'; "
    "style-src 'unsafe-inline'; img-src data: blob:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
_POLICIES = {"details.plots_frame": _FRAME, "details.report": _REPORT}
# Views without any data of the account: what a page that asks for the token needs, and the frame of the plots.
_OPEN = frozenset({"static", "details.plots_frame", "details.plotly"})


class Guard:
    """Lets through what the owner's browser asks from the console's pages.

    Args:
        port: The port that the console is reached at.

    Attributes:
        token: The secret of the console's address.
    """

    def __init__(self, port: int) -> None:
        self.token = secrets.token_urlsafe(32)
        self._hosts = frozenset(f"{host}:{port}" for host in HOSTS)
        # Browsers send cookies to all ports of a host.
        self._cookie = f"hpo-console-{port}"
        self._session, self._csrf = secrets.token_urlsafe(32), secrets.token_urlsafe(32)

    def attach(self, app: Flask) -> None:
        """Guard all requests and answers of an application."""
        app.before_request(self._admit)
        app.after_request(self._sealed)
        app.jinja_env.globals.update(csrf_field=CSRF_FIELD, csrf_token=lambda: self._csrf if g.known else "")

    def _admit(self) -> AnyResponse | tuple[str, int] | None:
        g.known = False
        if request.headers.get("Host", "").lower() not in self._hosts:
            # Nothing is rendered for a stranger's name: the page would have the console's address in it.
            return Response("this address is not the console's\n", 403, mimetype="text/plain")
        self._refuse_other_sites()
        if request.endpoint in _OPEN:
            return None
        given = request.args.get(TOKEN) if request.method in _SAFE else _typed_token()
        if given and _same(given, self.token):
            return self._signed_in()
        g.known = _same(request.cookies.get(self._cookie, ""), self._session)
        if not g.known:
            return render_template("sign_in.html", wrong=bool(given)), 403
        if request.method not in _SAFE:
            sent = request.headers.get(CSRF_HEADER) or request.form.get(CSRF_FIELD, "")
            if not _same(sent, self._csrf):
                abort(403, "the page is older than the running console; load it again")
        return None

    def _refuse_other_sites(self) -> None:
        """Refuse what another site's page has asked for: all changes, and all but opening a page."""
        site, origin = request.headers.get("Sec-Fetch-Site"), request.headers.get("Origin")
        if request.method in _SAFE:
            opened = request.headers.get("Sec-Fetch-Mode") == "navigate"
            framed = request.headers.get("Sec-Fetch-Dest") not in {"document", None}
            # The frame of the plots has no origin, so that its files come "cross-site".
            if site in {"cross-site", "same-site"} and (not opened or framed) and request.endpoint not in _OPEN:
                abort(403, "a page of another site has asked for this")
            return
        # Every browser that can run the console's pages sends both with a form and a fetch.
        own = origin is not None and urlsplit(origin).scheme == "http" and urlsplit(origin).netloc == request.host
        if not own or site not in {"same-origin", None}:
            abort(403, "a page of another site has asked for this change, or a program without an Origin header")

    def _signed_in(self) -> AnyResponse:
        """Remember the browser, and take the secret out of its address bar and history."""
        answer = redirect(request.path if request.method in _SAFE else "/", 303)
        answer.set_cookie(self._cookie, self._session, httponly=True, samesite="Strict")
        return answer

    @staticmethod
    def _sealed(answer: Response) -> Response:
        endpoint = request.endpoint or ""
        headers = answer.headers
        headers["Content-Security-Policy"] = _POLICIES.get(endpoint, _PAGES) if answer.status_code < 400 else _PAGES
        headers["X-Content-Type-Options"] = "nosniff"
        headers["X-Frame-Options"] = "SAMEORIGIN" if endpoint == "details.plots_frame" else "DENY"
        # Not no-referrer: with that a browser keeps back the Origin of the own forms too.
        headers["Referrer-Policy"] = "same-origin"
        headers["Cross-Origin-Opener-Policy"] = "same-origin"
        headers["Cross-Origin-Resource-Policy"] = "cross-origin" if endpoint in _OPEN else "same-origin"
        headers["Permissions-Policy"] = "camera=(), geolocation=(), microphone=()"
        if endpoint not in _OPEN:
            headers["Cache-Control"] = "no-store"
        return answer


def _typed_token() -> str | None:
    """The secret from the form that asks for it."""
    return request.form.get(TOKEN) if request.path == "/" else None


def _same(given: str, expected: str) -> bool:
    return compare_digest(given.encode(errors="replace"), expected.encode())
