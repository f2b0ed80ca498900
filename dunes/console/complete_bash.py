"""A program's bash completion: one function, no Python at TAB but for names."""

from collections import defaultdict

from dunes.console.tree import Argument, Node, Option

MADE = "made by `make generated` from the command tree; do not edit"

SCRIPT = """\
# bash completion for {prog}; {made}
{function}() {{
    local cur=${{COMP_WORDS[COMP_CWORD]}} prev=${{COMP_WORDS[COMP_CWORD - 1]}} path={prog} i
    COMPREPLY=()
    # --power=lo arrives as three words
    if [[ $cur == "=" ]]; then
        cur=""
    elif [[ $prev == "=" ]] && ((COMP_CWORD > 1)); then
        prev=${{COMP_WORDS[COMP_CWORD - 2]}}
    fi
    for ((i = 1; i < COMP_CWORD; i++)); do
        case $path/${{COMP_WORDS[i]}} in
{steps}
        esac
    done
    case $path:$prev in
{values}
    esac
    case $path:$cur in
{names}
    esac
}}
complete -F {function} {prog}
"""


def bash_completion(root: Node) -> str:
    """Write the bash completion of a program.

    Args:
        root: the program's own node.
    """
    prog = root.path[0]
    below = [_key(node) for node in root.walk() if len(node.path) > 1]
    return SCRIPT.format(
        made=MADE,
        prog=prog,
        function="_" + prog.replace("-", "_") + "_complete",
        steps=f"            {' | '.join(below)}) path+=/${{COMP_WORDS[i]}} ;;",
        values="\n".join(f"        {line}" for line in _values(root)),
        names="\n".join(f"        {line}" for line in _names(root)),
    )


def _key(node: Node) -> str:
    return "/".join(node.path)


def _action(of: Option | Argument) -> str:
    """Write what fills COMPREPLY with one option's or argument's values."""
    if of.choices:
        return f'mapfile -t COMPREPLY < <(compgen -W "{" ".join(of.choices)}" -- "$cur")'
    if of.kind:
        asked = f"$(dunes complete-names {of.kind} 2>/dev/null)"
        return f'mapfile -t COMPREPLY < <(compgen -W "{asked}" -- "$cur")'
    if of.is_path:
        return 'compopt -o filenames; mapfile -t COMPREPLY < <(compgen -f -- "$cur")'
    return ""


def _values(root: Node) -> list[str]:
    """Write the cases for the word after an option that takes a value."""
    seen: dict[str, dict[str, str]] = defaultdict(dict)
    for node in root.walk():
        for option in node.options:
            if option.takes_value:
                for name in option.names:
                    seen[name][_key(node)] = _action(option)
    cases: dict[str, list[str]] = defaultdict(list)
    for name, by_node in sorted(seen.items()):
        if len(set(by_node.values())) == 1:  # the same wherever it is: one pattern serves all
            cases[next(iter(by_node.values()))].append(f"*:{name}")
        else:
            for key, action in by_node.items():
                cases[action].append(f"{key}:{name}")
    return [
        f"{' | '.join(patterns)}) {action + '; ' if action else ''}return ;;"
        for action, patterns in cases.items()
    ]


def _names(root: Node) -> list[str]:
    """Write the cases for a word that is an option's name, a command or an argument."""
    lines = []
    for node in root.walk():
        options = [option.names[-1] for option in node.options]
        words = " ".join(options)
        lines.append(
            f'{_key(node)}:-*) mapfile -t COMPREPLY < <(compgen -W "{words}" -- "$cur") ;;'
        )
        if node.children:
            words = " ".join(child.path[-1] for child in node.children)
            lines.append(
                f'{_key(node)}:*) mapfile -t COMPREPLY < <(compgen -W "{words}" -- "$cur") ;;'
            )
        elif known := next((a for a in map(_action, node.arguments) if a), ""):
            lines.append(f"{_key(node)}:*) {known} ;;")
    return lines
