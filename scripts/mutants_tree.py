"""Where the nodes of a module's syntax tree hang, and how a change of one is shown."""

import ast
from collections.abc import Iterator

SHORTEST, LONGEST = 30, 160  # characters of the expression by which a change is shown
Place = tuple[ast.AST, str, int | None]  # parent, field, index in a list


class Parents:
    """Where each node of a tree hangs."""

    def __init__(self, tree: ast.AST) -> None:
        self.of: dict[ast.AST, Place] = {}
        for parent in ast.walk(tree):
            for name, value in ast.iter_fields(parent):
                for index, child in enumerate(value) if isinstance(value, list) else [(None, value)]:
                    if isinstance(child, ast.AST) and not isinstance(
                        child, ast.expr_context | ast.operator | ast.cmpop
                    ):
                        self.of[child] = (parent, name, index)

    @staticmethod
    def child(place: Place) -> ast.AST:
        parent, name, index = place
        value = getattr(parent, name)
        return value if index is None else value[index]

    @staticmethod
    def put(place: Place, node: ast.AST) -> None:
        parent, name, index = place
        if index is None:
            setattr(parent, name, node)
        else:
            getattr(parent, name)[index] = node

    def above(self, node: ast.AST) -> Iterator[ast.AST]:
        """The nodes that hold a node, the nearest first."""
        while node in self.of:
            node = self.of[node][0]
            yield node

    def statement(self, place: Place) -> ast.stmt:
        node = self.child(place)
        chain = [node] if isinstance(node, ast.stmt) else [place[0], *self.above(place[0])]
        return next(one for one in chain if isinstance(one, ast.stmt))

    def shown(self, place: Place) -> ast.AST:
        """The statement, or a part of it that is long enough to be recognized."""
        node = self.child(place)
        if isinstance(node, ast.stmt):
            return node
        for one in (place[0], *self.above(place[0])):
            if isinstance(one, ast.stmt) or (isinstance(one, ast.expr) and len(ast.unparse(one)) >= SHORTEST):
                return one
        return node

    def where(self, statement: ast.stmt) -> str:
        scopes = (ast.FunctionDef, ast.ClassDef)
        return ".".join(one.name for one in reversed([statement, *self.above(statement)]) if isinstance(one, scopes))


def lines_of(statement: ast.stmt) -> tuple[int, int]:
    """First and last line of a statement, without its block."""
    body = getattr(statement, "body", None) or getattr(statement, "cases", None)
    if not body:
        return statement.lineno, statement.end_lineno or statement.lineno
    first = body[0].lineno if hasattr(body[0], "lineno") else body[0].pattern.lineno
    return statement.lineno, max(statement.lineno, first - 1)


def text_of(node: ast.AST) -> str:
    """A node on one line, of a statement with a block its first line, without decorators."""
    if isinstance(node, ast.FunctionDef | ast.ClassDef):
        return next(line for line in ast.unparse(node).splitlines() if line.startswith(("def ", "class ")))
    lines = ast.unparse(node).splitlines()
    return lines[0] if hasattr(node, "body") and isinstance(node, ast.stmt) else " ".join(map(str.strip, lines))


def shortened(before: str, after: str) -> tuple[str, str]:
    """Two long texts around the first place where they differ."""
    at = next((i for i, (a, b) in enumerate(zip(before, after, strict=False)) if a != b), 0)
    start = max(0, at - LONGEST // 2) if max(len(before), len(after)) > LONGEST else 0
    cut = [("…" if start else "") + text[start : start + LONGEST] for text in (before, after)]
    return tuple(
        short + ("…" if len(text) > start + LONGEST else "") for short, text in zip(cut, (before, after), strict=True)
    )
