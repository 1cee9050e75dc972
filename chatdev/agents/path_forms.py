"""Whether a word is the path of a file, by its form alone."""

import re

from chatdev.language_table import suffixes, table

# Endings of files that projects of programs consist of. Endings that are also frequent names of attributes or modules
# (dot, log, map, path) are not in the list; ``any_path`` takes them where a line says that it names a file.
_EXTENSIONS = frozenset(
    "adoc applescript asm astro avsc awk bas bat bib c cairo cc cfg circom cjs clj cljs cls cmake cmd"
    " coffee conf cpp cr cs csproj css csv cu cuh cxx dart diff dockerfile ejs elm env erl ex exs f90 f95"
    " fbs feature fish fs fsproj fsx gd gdshader gemspec geojson glsl go gql gradle graphql groovy gv h"
    " haml hbs hcl hh hpp hrl hs htm html hx hxx ini ino ipynb j2 java jinja jinja2 jl js json json5 jsonc"
    " jsonl jsonnet jsp jsx kt kts lean less lhs lisp lock lua md mdx mermaid mjs mk ml mli mm mmd mts"
    " mustache nim nims nix njk odin pas patch php pl plist pm po postcss prisma properties proto ps1 psd1"
    " psm1 pug puml purs pxd py pyi pyw pyx r rb rmd rs rst sass sbt scala scm scss sh sln sol sql sqlite"
    " storyboard sty styl sv svelte svg svh swift tcl template tex tf tfvars thrift tmpl toml tpl tres ts"
    " tscn tsv tsx twig txt v vala vb vbproj vbs vert vhd vhdl vue vy wat webmanifest wgsl wxml wxss xaml"
    " xcconfig xml xsd xsl xslt yaml yml zig zsh".split()
) | suffixes(table())  # fmt: skip
_WHOLE_NAMES = frozenset(
    "brewfile caddyfile capfile cartfile cmakelists.txt codeowners containerfile dockerfile earthfile fastfile gemfile"
    " gnumakefile go.mod go.sum go.work guardfile jenkinsfile justfile license makefile manifest.in meson.build pipfile"
    " podfile procfile py.typed rakefile readme sconscript sconstruct snakefile tiltfile vagrantfile".split()
)
_DOT_FILE = re.compile(
    r"\.(?:env(?:\.[\w-]{1,20})*|[a-z]{1,20}(?:rc|ignore)(?:\.\w{1,8})?|[a-z]{1,20}-version|editorconfig|flake8"
    r"|gitattributes|gitkeep|gitmodules|htaccess|nojekyll|pre-commit-config\.yaml|prettierrc\.\w{1,8})"
)
_VARIANT = re.compile(r"(?:docker|container|make|jenkins|proc)file(?:\.[\w-]{1,20}){1,2}")
_ANY = re.compile(r"(?:[\w.@+~$()\[\]-]+[/\\])*[\w@+~$()\[\]-][\w.@+~$()\[\]-]*\.[A-Za-z]\w{0,15}")
_MAX_PATH = 200
_INVISIBLE = dict.fromkeys(map(ord, "\u200b\u200c\u200d\u200e\u200f\u2060\ufeff\u00ad"))
_FOREIGN_TAIL = re.compile(r"(?<=[A-Za-z0-9])[^\x00-\x7f]+$")


def visible(text: str) -> str:
    """The text without characters that are not shown, such as zero-width spaces."""
    return text if text.isascii() else text.translate(_INVISIBLE)


def plain(token: str) -> str:
    """The token without invisible characters, escaped formatting, and ``./`` at its beginning."""
    token = visible(token)
    if token.count("\\_") == token.count("_"):  # escaped for Markdown; in a Windows path not every one has a backslash
        token = token.replace("\\_", "_")
    token = token.strip("_") if token.startswith("_") and token.endswith("_") else token
    return token.rstrip(".").removeprefix("./")


def as_path(token: str) -> str | None:
    """The token as a path if it looks like a file's name (a known ending or a known name), else None."""
    if len(token) > _MAX_PATH:
        return None
    token = plain(token)
    if not token or token.startswith("//") or token.endswith(("/", "\\")):
        return None
    name = token.replace("\\", "/").rsplit("/", 1)[-1].casefold()
    if name in _WHOLE_NAMES or _DOT_FILE.fullmatch(name) or _VARIANT.fullmatch(name):
        return token
    stem, dot, extension = name.rpartition(".")
    has_ending = bool(dot) and bool(stem.strip(".")) and extension in _EXTENSIONS
    return token if has_ending else None


def any_path(token: str) -> str | None:
    """The token as a path if it has any ending, else None: for places that can only hold a file's name."""
    if len(token) > _MAX_PATH:
        return None
    return as_path(token) or (found if _ANY.fullmatch(found := plain(token)) else None)


def without_tail(token: str) -> str:
    """The token without a word of a script without spaces behind its ending (``main.py`` with Chinese behind it)."""
    return token if token.isascii() else _FOREIGN_TAIL.sub("", token)
