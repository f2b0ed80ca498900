"""The command table of `sakina`: names, their help, and where each lives. No logic."""

from dunes.console import Entry, lazy_app, run

ABOUT = "Say who may do what: OAuth 2.0 logins, identities of devices, trust."

COMMANDS: dict[str, Entry] = {
    "init": Entry(
        "sakina.commands.init:init",
        "Choose and try the token store, and the provider used where none is named.",
    ),
    "auth-flow": Entry(
        "sakina.commands.auth_flow:auth_flow",
        "Log in at an issuer with OAuth 2.0, and keep the login.",
    ),
    "auth": Entry("sakina.commands.auth:app", "Look at stored logins, use, renew and end them."),
    "verify": Entry(
        "sakina.commands.verify:verify",
        "Verify that devices are who they say they are, and have a scope: PASS or FAIL.",
    ),
    "answer": Entry(
        "sakina.commands.answer:answer",
        "Answer a challenge with this device's own key, from a file or on the network.",
    ),
    "token-request": Entry(
        "sakina.commands.token_request:token_request",
        "Issue a token in this place's name; witnesses elsewhere may sign it.",
    ),
    "sign": Entry(
        "sakina.commands.offline_verify:sign",
        "Bear witness to a token with this place's key, after reading what it says.",
    ),
    "offline-verify": Entry(
        "sakina.commands.offline_verify:offline_verify",
        "Say whether a token counts, by k of n witnesses and without a network.",
    ),
    "token-revoke": Entry(
        "sakina.commands.token_request:token_revoke",
        "Let a token count no longer at this place, for good.",
    ),
    "scope-list": Entry(
        "sakina.commands.scopes:scope_list",
        "Show scopes, who has them, and what is allowed or denied outright.",
    ),
    "scope-add": Entry(
        "sakina.commands.scopes:scope_add",
        "Define or change a scope, give it to somebody, or take it away.",
    ),
    "restrict": Entry(
        "sakina.commands.restrict:restrict",
        "Forbid something, whoever would be allowed to otherwise; or lift such a rule.",
    ),
    "tokenize": Entry(
        "sakina.commands.tokenize:tokenize",
        "Give the token that stands for a person in the tables of this place.",
    ),
    "detokenize": Entry(
        "sakina.commands.tokenize:detokenize",
        "Turn tokens back into names, for who has the right to; it is written down.",
    ),
    "status": Entry(
        "sakina.commands.status:status",
        "Show how trust stands here: keys, policies, standings, the record of decisions.",
    ),
    "reputation-set": Entry(
        "sakina.commands.reputation:reputation_set",
        "Say how far somebody is to be trusted, or what was observed; signed and logged.",
    ),
    "reputation-check": Entry(
        "sakina.commands.reputation:reputation_check",
        "Say whether somebody is trusted far enough: exit 0 or 1.",
    ),
    "quarantine": Entry(
        "sakina.commands.quarantine:quarantine",
        "Cut somebody off: what it asks for is refused, and the mesh gets keys it does not have.",
    ),
    "wallet-init": Entry(
        "sakina.commands.wallet:wallet_init",
        "Begin a wallet: a signed Markdown document with this place's identity in it.",
    ),
    "wallet-show": Entry(
        "sakina.commands.wallet:wallet_show",
        "Show what a wallet holds, and check its signature; secrets stay sealed.",
    ),
    "wallet-add": Entry(
        "sakina.commands.wallet:wallet_add",
        "Put identities, grants, receipts and sealed secrets into the wallet.",
    ),
    "wallet-export": Entry(
        "sakina.commands.wallet:wallet_export",
        "Write a signed copy of the wallet for others, without its secrets.",
    ),
    "stress-test": Entry(
        "sakina.commands.stress_test:stress_test",
        "Put load on decisions, tokens and the simulated issuer, and judge every answer.",
    ),
    "log": Entry(
        "sakina.commands.log:log",
        "Show what was decided, and check that no line is missing or was changed.",
    ),
}

app = lazy_app("sakina", ABOUT, COMMANDS)


def main() -> int:
    """Run `sakina`."""
    return run(app, "sakina")
