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

from mutants_tree import Parents, Place, lines_of, shortened, text_of


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
        whole = text_of(shown)
        parents.put(place, new)
        before, after = shortened(whole, text_of(new if shown is node else shown))
        parents.put(place, node)
        where = parents.where(statement)
        seen[where, before, after] += 1
        nth = seen[where, before, after]
        found.append(Mutant(where, operator, before, after, nth, lines_of(statement), index))
    return tuple(found)


def mutated(source: str, index: int) -> str:
    """The module with one change; comments and line breaks are those of `ast.unparse`."""
    for number, (tree, parents, _, place, new) in enumerate(_changes(source)):
        if number == index:
            parents.put(place, new)
            return ast.unparse(ast.fix_missing_locations(tree)) + "\n"
    raise IndexError(f"There is no mutant {index}.")


def _changes(source: str) -> Iterator[tuple[ast.AST, Parents, str, Place, ast.AST]]:
    tree = ast.parse(source)
    parents = Parents(tree)
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


def _of_expression(node: ast.AST, parents: Parents) -> Iterator[tuple[str, ast.AST]]:
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


def _of_constant(node: ast.Constant, parents: Parents) -> Iterator[tuple[str, ast.AST]]:
    match node.value:
        case bool():
            yield "constant", ast.Constant(not node.value)
        case int() | float():
            axis = any(isinstance(one, ast.keyword) and one.arg == "axis" for one in parents.above(node))
            yield "axis" if axis else "constant", ast.Constant(node.value + 1)
        case str() if node.value and not any(letter.isspace() for letter in node.value):
            yield "constant", ast.Constant("")


def _of_statement(node: ast.AST, parents: Parents) -> Iterator[tuple[str, ast.AST]]:
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


def _has_a_value(target: ast.expr, node: ast.stmt, parents: Parents) -> bool:
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
