"""Files and folders with declarations: which form each has, told by its content."""

from collections.abc import Iterator
from pathlib import Path

from ..collecting import nothing_collected
from ..errors import DocumentError
from ..spec.declaration import Declaration
from .nodes import MAX_BYTES, Node, parse
from .request import is_ack_manifest, is_request, read_ack_manifest, read_request
from .template import is_template, read_template

SUFFIXES = (".yaml", ".yml", ".json")
_NOT_SOURCES = {"node_modules", "cdk.out", "__pycache__"}


class NoDeclarationError(DocumentError):
    """A readable file that does not declare a tuning job."""


def read_text(text: str, file: str) -> list[Declaration]:
    """The declarations of a text in any of the forms: team template, API request, Describe answer, ACK manifest.

    A YAML text may hold several documents, and a JSON text a list of requests.

    Raises:
        DocumentError: The text is not YAML or JSON, or it declares no tuning job.
    """
    with nothing_collected():
        declarations = [found for node in parse(text, file) for found in read_node(node, file)]
    if not declarations:
        raise NoDeclarationError("declares no tuning job: the file is empty", file=file)
    return declarations


def read(path: str | Path) -> list[Declaration]:
    """The declarations of a file.

    Raises:
        DocumentError: The file is missing, cannot be read, is not YAML or JSON, or declares no tuning job.
    """
    return read_text(text_of(path), str(path))


def text_of(path: str | Path) -> str:
    """The text of a file.

    Raises:
        DocumentError: The file is missing, cannot be read, is too large, or is not UTF-8.
    """
    file = str(path)
    try:
        with Path(path).open("rb") as stream:
            raw = stream.read(MAX_BYTES + 1)  # a device may have no end
    except FileNotFoundError:
        raise DocumentError("no such file", file=file) from None
    except (OSError, ValueError) as error:  # a name with a null byte is a ValueError
        raise DocumentError(f"cannot be read: {getattr(error, 'strerror', None) or error}", file=file) from None
    if len(raw) > MAX_BYTES:
        raise DocumentError(f"the file is too large: at most {MAX_BYTES:,} bytes are read", file=file)
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise DocumentError(f"not UTF-8 text: byte {error.start} is 0x{raw[error.start]:02x}", file=file) from None


def find_files(folder: str | Path) -> Iterator[Path]:
    """The YAML and JSON files of a folder and those below it, sorted; hidden ones and build output are left out.

    Raises:
        DocumentError: The folder or one below it cannot be listed.
    """
    try:
        entries = sorted(Path(folder).iterdir())
    except OSError as error:
        raise DocumentError(f"cannot be listed: {error.strerror or error}", file=str(folder)) from None
    for entry in entries:
        if entry.name.startswith(".") or entry.name in _NOT_SOURCES:
            continue
        if entry.is_dir():
            if not entry.is_symlink():  # a link may lead back up
                yield from find_files(entry)
        elif entry.suffix.lower() in SUFFIXES:
            yield entry


def read_node(node: Node, file: str) -> list[Declaration]:
    """The declarations of one document.

    Raises:
        NoDeclarationError: It declares no tuning job.
    """
    if node.kind == "sequence" and node.items:
        return [found for item in node.items for found in read_node(item, file)]
    if is_ack_manifest(node):
        return [read_ack_manifest(node, file)]
    if is_request(node):
        return [read_request(node, file)]
    if is_template(node):
        return read_template(node, file)
    keys = ", ".join(list(node.entries)[:5]) if node.kind == "mapping" else f"a {node.kind}"
    raise NoDeclarationError(
        "declares no tuning job: expected a team template (name, strategy, …), a CreateHyperParameterTuningJob "
        f"request, a Describe answer or an ACK manifest, got {keys or 'nothing'}",
        file=file,
        line=node.line,
        column=node.column,
    )
