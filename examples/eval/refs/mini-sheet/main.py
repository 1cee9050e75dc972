"""Reckons a small sheet."""

import json
import re
import sys

TOKEN = re.compile(r"\s*(?:(\d+)|([A-Z][1-9][0-9]?)(?!\d)|([-+*()]))")


class Form(Exception):
    """A content that cannot be read."""


def tokens(text):
    text, at, found = text.rstrip(" "), 0, []
    while at < len(text):
        match = TOKEN.match(text, at)
        if not match:
            raise Form
        found.append(match[0].strip())
        at = match.end()
    return found


def parse(text):
    """A tree of tuples: a number, a name, or (operator, left, right)."""
    if re.fullmatch(r"-?\d+", text):
        return int(text)
    if not text.startswith("="):
        raise Form
    left = tokens(text[1:])

    def value():
        if not left:
            raise Form
        token = left.pop(0)
        if token == "(":
            inside = total()
            if not left or left.pop(0) != ")":
                raise Form
            return inside
        if token[0].isdigit():
            return int(token)
        if token[0].isalpha():
            return token
        raise Form

    def chain(part, operators):
        tree = part()
        while left and left[0] in operators:
            operator = left.pop(0)
            tree = (operator, tree, part())
        return tree

    def product():
        return chain(value, "*")

    def total():
        return chain(product, "+-")

    tree = total()
    if left:
        raise Form
    return tree


def names(tree):
    if isinstance(tree, str):
        return {tree}
    return names(tree[1]) | names(tree[2]) if isinstance(tree, tuple) else set()


def reckon(cells):
    trees, bad = {}, set()
    for name, text in cells.items():
        try:
            trees[name] = parse(text)
        except Form:
            bad.add(name)
    needs = {name: names(tree) & cells.keys() for name, tree in trees.items()}

    def reached(name):
        seen, ahead = set(), list(needs.get(name, ()))
        while ahead:
            each = ahead.pop()
            if each not in seen:
                seen.add(each)
                ahead.extend(needs.get(each, ()))
        return seen

    below = {name: reached(name) for name in cells}
    loops = {name for name in cells if name in below[name]}
    known = {}

    def worth(tree):
        if isinstance(tree, int):
            return tree
        if isinstance(tree, str):
            if tree not in cells:
                return 0
            if tree not in known:
                known[tree] = worth(trees[tree])
            return known[tree]
        operator, a, b = tree[0], worth(tree[1]), worth(tree[2])
        return a + b if operator == "+" else a - b if operator == "-" else a * b

    def shown(name):
        if name in loops:
            return "#LOOP"
        if name in bad or below[name] & bad:
            return "#FORM"
        return "#LOOP" if below[name] & loops else worth(name)

    return {name: shown(name) for name in cells}


print(json.dumps(reckon(json.load(sys.stdin)["input"]["cells"])))
