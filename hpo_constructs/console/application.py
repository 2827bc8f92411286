"""The console as a WSGI application: routes, pages for errors, and what all pages show."""

from __future__ import annotations

from datetime import datetime
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

from flask import Flask, current_app, g, render_template, request, url_for
from jinja2 import StrictUndefined
from werkzeug.exceptions import HTTPException

from ..account import AccountError, MissingError
from ..errors import HpoError
from ..report.training_jobs import short_number
from ..report.tuning_jobs import best_text, counters_text, duration_seconds, duration_text, local_time
from . import details, listing, wizard
from .site import Site

if TYPE_CHECKING:
    from ..account import Account
    from .security import Guard

# The largest form: a wizard's with many definitions.
LARGEST_FORM = 2_000_000
# What a job's status means at a glance; the word itself is always shown beside the colour.
_TONES = {
    "Completed": "good",
    "InProgress": "busy",
    "Stopping": "warn",
    "Stopped": "warn",
    "Failed": "bad",
    "Deleting": "warn",
    "DeleteFailed": "bad",
}


def create_app(account: Account, guard: Guard, *, templates: Path | None) -> Flask:
    """Make the application.

    Args:
        account: The account that the pages show.
        guard: Who may ask.
        templates: The folder into which the wizard may write; it writes nothing without one.
    """
    app = Flask(__name__)
    app.config.update(MAX_CONTENT_LENGTH=LARGEST_FORM, MAX_FORM_MEMORY_SIZE=LARGEST_FORM)
    app.jinja_env.undefined = StrictUndefined
    app.jinja_env.trim_blocks = app.jinja_env.lstrip_blocks = True
    app.extensions["hpo_site"] = Site(account, templates)
    guard.attach(app)
    app.jinja_env.filters.update(
        best=best_text,
        counters=counters_text,
        duration=duration_text,
        lasted=duration_seconds,
        moment=local_time,
        short=short_number,
        iso=_iso,
        tone=_tone,
    )
    app.jinja_env.globals["again"] = _again
    app.context_processor(_common)
    app.register_blueprint(listing.routes)
    app.register_blueprint(details.routes)
    app.register_blueprint(wizard.routes)
    app.register_error_handler(HpoError, _refused)
    app.register_error_handler(HTTPException, _http)
    app.register_error_handler(Exception, _crashed)
    return app


def _common() -> dict[str, Any]:
    site: Site = current_app.extensions["hpo_site"]
    return {"place": site.place if g.known else "", "known": g.known, "version": version("hpo-constructs")}


def _again(**changes: Any) -> str:
    """The address of the page that is shown, with changes to what it was asked; None takes something away."""
    asked = {**request.args.to_dict(), "note": None, **changes}
    # Not as url_for's arguments, some of which mean something else.
    query = urlencode({name: value for name, value in asked.items() if value is not None})
    path = url_for(str(request.endpoint), **(request.view_args or {}))
    return f"{path}?{query}" if query else path


def _iso(moment: datetime | None) -> str:
    return "" if moment is None else moment.astimezone().isoformat(timespec="seconds")


def _tone(status: str) -> str:
    return _TONES.get(status, "plain")


def _refused(error: Exception) -> tuple[str, int]:
    """A mistake of the user's, or an account that cannot be asked: the one sentence."""
    status = 404 if isinstance(error, MissingError) else 502 if isinstance(error, AccountError) else 400
    titles = {404: "Not found", 502: "The account cannot be asked", 400: "That is not possible"}
    return render_template("error.html", title=titles[status], message=str(error)), status


def _http(error: Exception) -> tuple[str, int]:
    assert isinstance(error, HTTPException)  # noqa: S101 - it is registered for these alone
    status, text = error.code or 500, error.description or error.name
    return render_template("error.html", title=error.name, message=text), status


def _crashed(error: Exception) -> tuple[str, int]:
    """A mistake of the console's own: the terminal has the traceback."""
    current_app.logger.error("the page could not be made", exc_info=error)
    message = f"the console failed on this page with {type(error).__name__}; the terminal that runs it has the details"
    return render_template("error.html", title="The console failed", message=message), 500
