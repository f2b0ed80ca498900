import json
import re

from dunes.console.topics import EXIT_CODES, MEANINGS, TOPICS
from dunes.errors import Exit
from dunes.settings import SETTINGS, environment_name


def test_every_exit_status_is_explained():
    assert list(Exit) == list(MEANINGS)
    assert [str(int(status)) for status in Exit] == [row.name for row in EXIT_CODES.rows]


def test_every_setting_s_variable_is_listed(typed):
    shown = typed("dunes", "help", "environment").stdout
    for key, setting in SETTINGS.items():
        assert (environment_name(key) in shown) == (setting.kind.name != "table")


def test_topics_are_listed_and_shown(typed):
    listed = typed("dunes", "help").stdout
    for name, topic in TOPICS.items():
        assert name in listed
        report = json.loads(typed("dunes", "help", name, "--json").stdout)
        assert (topic.title, len(topic.rows)) == (report["title"], len(report["rows"]))


def test_an_unknown_topic_is_66_with_the_topics(typed):
    done = typed("dunes", "help", "nonsense")
    assert 66 == done.returncode
    assert re.search(r"hint: topics: exit-codes, environment", done.stderr)
