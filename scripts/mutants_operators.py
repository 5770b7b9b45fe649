"""Every small change of a module's source that its tests should notice, in the order of the source.

Left as they are: docstrings, annotations, decorators, imports, `__all__`; messages, that is f-strings, texts with a
blank and what is raised; and `strict=` of zip, which only checks the caller.
"""

import ast
import functools
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any


def _both_ways(*pairs: tuple[Any, Any]) -> dict[Any, Any]:
    return {a: b for pair in pairs for a, b in (pair, pair[::-1])}


COMPARISONS = _both_ways(
    (ast.Lt, ast.LtE), (ast.Gt, ast.GtE), (ast.Eq, ast.NotEq), (ast.Is, ast.IsNot), (ast.In, ast.NotIn)
)
ARITHMETIC = _both_ways((ast.Add, ast.Sub), (ast.Mult, ast.Div), (ast.LShift, ast.RShift), (ast.BitAnd, ast.BitOr)) | {
    ast.FloorDiv: ast.Div,
    ast.Mod: ast.Mult,
    ast.Pow: ast.Mult,
    ast.BitXor: ast.BitOr,
}
OPPOSITES = _both_ways(("min", "max"), ("any", "all"), ("minimum", "maximum"), ("argmin", "argmax"), ("floor", "ceil"))
SHORTEST, LONGEST = 30, 160  # characters of the expression by which a change is shown
Place = tuple[ast.AST, str, int | None]  # parent, field, index in a list


@dataclass(frozen=True)
class Mutant:
    """One change of one module.

    Attributes:
        where: Function or class that holds it, such as "Box.shape"; "" at the top of the module.
        operator: Kind of change.
        before: Expression or first line of the statement, as it is.
        after: The same, changed.
        nth: Number of the same change in the same function, counted from 1.
        lines: First and last line of the statement, without its block.
        index: Number among all changes of the module.
    """

    where: str
    operator: str
    before: str
    after: str
    nth: int
    lines: tuple[int, int]
    index: int


@functools.cache
def mutants_of(source: str) -> tuple[Mutant, ...]:
    """All mutants of a module."""
    found, seen = [], Counter[tuple[str, str, str]]()
    for index, (_, parents, operator, place, new) in enumerate(_changes(source)):
        node = parents.child(place)
        shown, statement = parents.shown(place), parents.statement(place)
        whole = _text(shown)
        parents.put(place, new)
        before, after = _shortened(whole, _text(new if shown is node else shown))
        parents.put(place, node)
        where = parents.where(statement)
        seen[where, before, after] += 1
        nth = seen[where, before, after]
        found.append(Mutant(where, operator, before, after, nth, _lines(statement), index))
    return tuple(found)


def mutated(source: str, index: int) -> str:
    """The module with one change; comments and line breaks are those of `ast.unparse`."""
    for number, (tree, parents, _, place, new) in enumerate(_changes(source)):
        if number == index:
            parents.put(place, new)
            return ast.unparse(ast.fix_missing_locations(tree)) + "\n"
    raise IndexError(f"There is no mutant {index}.")


class _Parents:
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


def _changes(source: str) -> Iterator[tuple[ast.AST, _Parents, str, Place, ast.AST]]:
    tree = ast.parse(source)
    parents = _Parents(tree)
    left_alone = set(_declarations(tree))
    for node in sorted((n for n in parents.of if n not in left_alone and hasattr(n, "lineno")), key=_position):
        for operator, new in [*_of_expression(node, parents), *_of_statement(node, parents)]:
            yield tree, parents, operator, parents.of[node], new


def _position(node: ast.AST) -> tuple[int, int, int]:
    return node.lineno, node.col_offset, -(node.end_col_offset or 0)


def _declarations(tree: ast.AST) -> Iterator[ast.AST]:
    """The nodes that no operator changes; a `raise` can be removed, its content stays."""
    for node in ast.walk(tree):
        found: list[ast.AST | None] = []
        match node:
            case ast.Import() | ast.ImportFrom() | ast.JoinedStr():
                found = [node]
            case ast.Expr(value=ast.Constant()):
                found = [node]
            case ast.Raise():
                found = [node.exc, node.cause]
            case ast.Assign(targets=[ast.Name(id="__all__")]):
                found = [node]
            case ast.Subscript(value=ast.Name(id="Literal")):
                found = [node]
            case ast.keyword(arg="strict"):
                found = [node.value]
            case ast.AnnAssign() | ast.arg():
                found = [node.annotation]
            case ast.FunctionDef():
                found = [node.returns, *node.decorator_list]
            case ast.ClassDef():
                found = [*node.decorator_list]
        for one in found:
            if one is not None:
                yield from ast.walk(one)


def _of_expression(node: ast.AST, parents: _Parents) -> Iterator[tuple[str, ast.AST]]:
    match node:
        case ast.Compare():
            for at, op in enumerate(node.ops):
                ops = [*node.ops[:at], COMPARISONS[type(op)](), *node.ops[at + 1 :]]
                yield "comparison", ast.Compare(node.left, ops, node.comparators)
        case ast.BinOp() if type(node.op) in ARITHMETIC:
            yield "arithmetic", ast.BinOp(node.left, ARITHMETIC[type(node.op)](), node.right)
        case ast.UnaryOp(op=ast.Not() | ast.Invert()):
            yield "boolean", node.operand
        case ast.UnaryOp(op=ast.USub()):
            yield "arithmetic", node.operand
        case ast.BoolOp():
            yield "boolean", ast.BoolOp(ast.Or() if isinstance(node.op, ast.And) else ast.And(), node.values)
        case ast.Constant():
            yield from _of_constant(node, parents)
        case ast.Slice() if node.lower or node.upper:
            yield "slice", ast.Slice(node.upper, node.lower, node.step)
        case ast.Name(id=name) if name in OPPOSITES:
            yield "min and max", ast.Name(OPPOSITES[name], node.ctx)
        case ast.Attribute(attr=name) if name in OPPOSITES:
            yield "min and max", ast.Attribute(node.value, OPPOSITES[name], node.ctx)
        case ast.Call():
            for at, keyword in enumerate(node.keywords):
                if keyword.arg not in (None, "strict"):
                    yield "keyword", ast.Call(node.func, node.args, [*node.keywords[:at], *node.keywords[at + 1 :]])


def _of_constant(node: ast.Constant, parents: _Parents) -> Iterator[tuple[str, ast.AST]]:
    match node.value:
        case bool():
            yield "constant", ast.Constant(not node.value)
        case int() | float():
            axis = any(isinstance(one, ast.keyword) and one.arg == "axis" for one in parents.above(node))
            yield "axis" if axis else "constant", ast.Constant(node.value + 1)
        case str() if node.value and not any(letter.isspace() for letter in node.value):
            yield "constant", ast.Constant("")


def _of_statement(node: ast.AST, parents: _Parents) -> Iterator[tuple[str, ast.AST]]:
    match node:
        case ast.Return() if node.value and not (isinstance(node.value, ast.Constant) and node.value.value is None):
            yield "return", ast.Return(ast.Constant(None))
        case ast.Continue():
            yield "loop", ast.Break()
        case ast.Break():
            yield "loop", ast.Continue()
        case ast.Raise():
            yield "raise", ast.Pass()
        case ast.AugAssign():
            yield "assignment", ast.Pass()
            if type(node.op) in ARITHMETIC:
                yield "arithmetic", ast.AugAssign(node.target, ARITHMETIC[type(node.op)](), node.value)
        case ast.Assign(targets=[target]) if _has_a_value(target, node, parents):
            yield "assignment", ast.Pass()


def _has_a_value(target: ast.expr, node: ast.stmt, parents: _Parents) -> bool:
    """Whether a target has a value before an assignment, without which its removal is a plain NameError."""
    if isinstance(target, ast.Attribute | ast.Subscript):
        return True
    scope = next((one for one in parents.above(node) if isinstance(one, ast.FunctionDef)), None)
    if scope is None or not isinstance(target, ast.Name):
        return False
    earlier = [one for one in ast.walk(scope) if hasattr(one, "lineno") and one.lineno < node.lineno]
    arguments = {one.arg for one in earlier if isinstance(one, ast.arg)}
    assigned = {one.id for one in earlier if isinstance(one, ast.Name) and isinstance(one.ctx, ast.Store)}
    return target.id in arguments | assigned


def _lines(statement: ast.stmt) -> tuple[int, int]:
    body = getattr(statement, "body", None) or getattr(statement, "cases", None)
    if not body:
        return statement.lineno, statement.end_lineno or statement.lineno
    first = body[0].lineno if hasattr(body[0], "lineno") else body[0].pattern.lineno
    return statement.lineno, max(statement.lineno, first - 1)


def _text(node: ast.AST) -> str:
    """A node on one line, of a statement with a block its first line, without decorators."""
    if isinstance(node, ast.FunctionDef | ast.ClassDef):
        return next(line for line in ast.unparse(node).splitlines() if line.startswith(("def ", "class ")))
    lines = ast.unparse(node).splitlines()
    return lines[0] if hasattr(node, "body") and isinstance(node, ast.stmt) else " ".join(map(str.strip, lines))


def _shortened(before: str, after: str) -> tuple[str, str]:
    """Two long texts around the first place where they differ."""
    at = next((i for i, (a, b) in enumerate(zip(before, after, strict=False)) if a != b), 0)
    start = max(0, at - LONGEST // 2) if max(len(before), len(after)) > LONGEST else 0
    cut = [("…" if start else "") + text[start : start + LONGEST] for text in (before, after)]
    return tuple(
        short + ("…" if len(text) > start + LONGEST else "") for short, text in zip(cut, (before, after), strict=True)
    )
