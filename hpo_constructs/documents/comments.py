"""The comments of a YAML text, each with the line that it belongs to."""

import re
from dataclasses import dataclass

# The scanner takes the head of a block scalar (`|` or `>`) and what stands behind it for one token.
_BLOCK_HEAD = re.compile(r"[|>][-+0-9]*[ \t]+(?P<comment>#[^\n]*)")
_COMMENT = re.compile(r"#[^\n\r]*")


@dataclass(frozen=True, slots=True)
class Comment:
    """One comment.

    Attributes:
        text: The comment with its `#`.
        line: The line, from 1, of the value that it belongs to: its own, or the next one that has a value when it
            stands alone. One line past the text when nothing follows.
        alone: Whether it stands on a line of its own.
    """

    text: str
    line: int
    alone: bool


def comments_of(text: str) -> list[Comment]:
    """All comments of a YAML text in their order; none of a text that is not YAML, such as JSON with tabs.

    YAML's parser drops comments, so they are what the gaps between its tokens hold.
    """
    if "#" not in text:
        return []
    import yaml

    found: list[Comment] = []
    waiting: list[str] = []
    end, last_line = 0, 0
    try:
        for token in yaml.scan(text, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader)):
            start = token.start_mark
            for match in _COMMENT.finditer(text, end, max(end, start.index)):
                comment = match.group().rstrip()
                if text.count("\n", end, match.start()) == 0 and last_line:
                    found.append(Comment(comment, last_line, alone=False))
                else:
                    waiting.append(comment)
            end = max(end, token.end_mark.index)
            if token.end_mark.index <= start.index:
                continue  # the end of a block takes no room
            found += [Comment(comment, start.line + 1, alone=True) for comment in waiting]
            waiting.clear()
            last_line = token.end_mark.line + 1
            if getattr(token, "style", None) in {"|", ">"} and (head := _BLOCK_HEAD.match(text, start.index)):
                found.append(Comment(head["comment"].rstrip(), start.line + 1, alone=False))
    except yaml.YAMLError:
        return []
    waiting += [match.group().rstrip() for match in _COMMENT.finditer(text, end)]
    return found + [Comment(comment, text.count("\n") + 2, alone=True) for comment in waiting]
