"""A program's zsh completion: one function per command, no Python at TAB but for names."""

from dunes.console.complete_bash import MADE
from dunes.console.tree import Argument, Node, Option

HEAD = """\
#compdef {prog}
# zsh completion for {prog}; {made}

{function}_names() {{
  local -a found
  found=(${{(f)"$(dunes complete-names $1 2>/dev/null)"}})
  compadd -a found
}}
"""

GROUP = """
{function}() {{
  local context state state_descr line
  local -A opt_args
  local -a commands
  _arguments -C -S \\
{specs} \\
    '1: :->command' \\
    '*:: :->args'
  case $state in
    command)
      commands=(
{commands}
      )
      _describe -t commands '{typed} command' commands
      ;;
    args)
      case $line[1] in
{calls}
      esac
      ;;
  esac
}}
"""

LEAF = """
{function}() {{
  _arguments -S \\
{specs}
}}
"""

TAIL = """
if [[ $funcstack[1] == {function} ]]; then
  {function} "$@"
else
  compdef {function} {prog}
fi
"""


def zsh_completion(root: Node) -> str:
    """Write the zsh completion of a program; fit to autoload and to source.

    Args:
        root: the program's own node.
    """
    prog = root.path[0]
    parts = [HEAD.format(prog=prog, function=_function(root), made=MADE)]
    parts += [_group(node) if node.children else _leaf(node) for node in root.walk()]
    parts.append(TAIL.format(function=_function(root), prog=prog))
    return "".join(parts)


def _function(node: Node) -> str:
    return "_" + "__".join(part.replace("-", "_") for part in node.path)


def _quoted(text: str) -> str:
    return "'" + text.replace("'", "'\\''") + "'"


def _escaped(text: str, special: str) -> str:
    return "".join("\\" + c if c in special + "\\" else c for c in text.replace("\n", " "))


def _group(node: Node) -> str:
    rows = [
        " " * 8 + _quoted(f"{child.path[-1]}:{_escaped(child.summary, ':')}")
        for child in node.children
    ]
    calls = [f"        {child.path[-1]}) {_function(child)} ;;" for child in node.children]
    return GROUP.format(
        function=_function(node),
        specs=_joined([_option(option, node) for option in node.options]),
        commands="\n".join(rows),
        calls="\n".join(calls),
        typed=node.typed,
    )


def _leaf(node: Node) -> str:
    specs = [_option(option, node) for option in node.options]
    specs += [_argument(argument, node, at) for at, argument in enumerate(node.arguments, 1)]
    return LEAF.format(function=_function(node), specs=_joined(specs))


def _joined(specs: list[str]) -> str:
    return " \\\n".join(f"    {spec}" for spec in specs)


def _option(option: Option, node: Node) -> str:
    text = f"[{_escaped(option.help.partition(chr(10))[0], '[]:')}]"
    value = ""
    if option.takes_value:
        what = option.metavar if option.metavar and not option.choices else option.names[-1][2:]
        value = f":{_escaped(what.lower(), ':')}:{_action(option, node)}"
    long = [name + "=" if option.takes_value else name for name in option.names]
    long = [name.removesuffix("=") if not name.startswith("--") else name for name in long]
    if option.repeatable:
        return " ".join(_quoted(f"*{name}{text}{value}") for name in long)
    if len(long) == 1:
        return _quoted(f"{long[0]}{text}{value}")
    excluded = f"({' '.join(option.names)})"
    return " ".join(_quoted(f"{excluded}{name}{text}{value}") for name in long)


def _argument(argument: Argument, node: Node, at: int) -> str:
    where = "*" if argument.repeatable else str(at)
    colon = ":" if argument.required or argument.repeatable else "::"
    return _quoted(f"{where}{colon}{argument.name.lower()}:{_action(argument, node)}")


def _action(of: Option | Argument, node: Node) -> str:
    if of.choices:
        return f"({' '.join(of.choices)})"
    if of.kind:
        return f"_{node.path[0].replace('-', '_')}_names {of.kind}"
    return "_files" if of.is_path else " "
