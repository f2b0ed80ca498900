"""A program's fish completion: one path function, no Python at TAB but for names."""

from dunes.console.complete_bash import MADE
from dunes.console.tree import Argument, Node, Option

HEAD = """\
# fish completion for {prog}; {made}
function {function}
    set -l words (commandline -opc)
    set -l path {prog}
    for word in $words[2..]
        switch $path/$word
            case {steps}
                set path $path/$word
        end
    end
    echo $path
end
complete -c {prog} -f
"""


def fish_completion(root: Node) -> str:
    """Write the fish completion of a program.

    Args:
        root: the program's own node.
    """
    prog = root.path[0]
    function = f"__fish_{prog.replace('-', '_')}_path"
    below = ["/".join(node.path) for node in root.walk() if len(node.path) > 1]
    lines = [HEAD.format(prog=prog, function=function, made=MADE, steps=" ".join(below))]
    for node in root.walk():
        at = f"complete -c {prog} -n 'test ({function}) = {'/'.join(node.path)}'"
        lines += [
            f"{at} -a {child.path[-1]} -d {_quoted(child.summary)}\n" for child in node.children
        ]
        lines += [f"{at}{_option(option)}\n" for option in node.options]
        if not node.children:
            lines += [f"{at}{values}\n" for values in map(_values, node.arguments) if values]
    return "".join(lines)


def _quoted(text: str) -> str:
    flat = text.partition("\n")[0].replace("\\", "\\\\").replace("'", "\\'")
    return f"'{flat}'"


def _option(option: Option) -> str:
    names = [
        f" -l {name[2:]}" if name.startswith("--") else f" -s {name[1:]}" for name in option.names
    ]
    value = f" -r{_values(option)}" if option.takes_value else ""
    return "".join(names) + value + f" -d {_quoted(option.help)}"


def _values(of: Option | Argument) -> str:
    if of.choices:
        return f" -a '{' '.join(of.choices)}'"
    if of.kind:
        return f" -a '(dunes complete-names {of.kind} 2>/dev/null)'"
    return " -F" if of.is_path else ""
