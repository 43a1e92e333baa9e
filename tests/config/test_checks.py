"""What must exist, and what may stand only once, over the tables of a file."""

from pathlib import Path

import pytest

from tests.config.conftest import BOT, ConfigFile

SECOND = '[[bots]]\nslug = "sales"\nmodel = "demo"\n[[bots.agents]]\nname = "Desk"\n'
CHANNEL = '[[channels]]\nname = "tg"\nkind = "telegram"\nbot = "support"\n'
TOOL = '[tools.t]\nkind = "client"\n'
RULE = "[[models.demo.rules]]\n{}\n"


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        (BOT + 'handoffs = ["Desc"]', "11: bots.agents.handoffs"),
        (BOT + 'tools = ["t"]', '11: bots.agents.tools: there is no tool "t"; none is'),
        (BOT + 'model = "dem"', '11: bots.agents.model: there is no model "dem"'),
        (BOT.replace('model = "demo"', ""), "9: bots.agents.model: is missing: set it here, or"),
        (BOT.replace("model =", 'start_agent = "X"\nmodel ='), "7: bots.start_agent: there is no"),
        (BOT.replace("model =", 'project = "x"\nmodel ='), "7: bots.project: there is no"),
        (BOT + '[[bots.agents]]\nname = "Desk"', '12: bots.agents.name: "Desk" is taken already,'),
        (BOT + 'kind = "post_process"', "11: bots.agents.kind: the start"),
        (BOT + SECOND, '5: bots: project "default" has several bots; set default'),
        (BOT + SECOND.replace("sales", "support"), '12: bots.slug: "support" is taken already'),
        (BOT + CHANNEL.replace("support", "suport"), '14: channels.bot: there is no bot "suport"'),
        (BOT + CHANNEL.replace("tg", "api"), "12: channels.name: every project"),
        (BOT + '[[projects]]\nid = "docs"', '12: projects.id: "docs" is a word of the HTTP paths'),
        (BOT + '[[projects]]\nid = "a/b"', "12: projects.id: must be 1 to 64 letters"),
        (BOT + '[models.m]\nprovider = "openai"', '11: models.m: provider "openai" needs a model'),
        (BOT + '[models.m]\nprovider = "scripted"\nmodel = "x"', "11: models.m: base_url,"),
        (BOT + '[models.m]\nprovider = "scripted"\nfallback = ["m"]', "13: models.m.fallback"),
        (BOT + RULE.format('text = "("\nreply = ""'), "11: models.demo.rules: text is not"),
        (BOT + RULE.format('text = "x"'), "11: models.demo.rules: a rule needs"),
        (BOT + RULE.format('call = "t"'), '12: models.demo.rules.call: there is no tool "t"'),
        (BOT + RULE.format('handoff = "Desk"\nagent = "Desc"'), "13: models.demo.rules.agent: "),
        (BOT + '[tools.t]\nkind = "http"', '11: tools.t: a tool of kind "http"'),
        (BOT + '[tools.t]\nkind = "mcp"', "12: tools.t.kind: must be one of"),
        (BOT + TOOL + 'url = "ftp://x"', "13: tools.t.url: must be an address that starts with"),
        (BOT + TOOL + 'parameters = { type = "string" }', "11: tools.t: parameters must be"),
        (BOT + '[tools.t]\nkind = "python"\nfunction = "x"', "11: tools.t: function must be"),
        (BOT + '[tools.transfer_to_x]\nkind = "client"', "11: tools.transfer_to_x"),
    ],
)
def test_a_contradiction_is_told_where_it_stands(
    config_file: ConfigFile, text: str, problem: str
) -> None:
    assert any(found.startswith(problem) for found in config_file.problems(text))


@pytest.mark.parametrize(
    ("text", "keys"),
    [
        (BOT.replace('model = "demo"', "model = 3"), ["bots.model"]),
        (BOT.replace('model = "demo"', 'model = "env:NONE"'), ["bots.model"]),
        (BOT + 'tools = ["t"]\n' + TOOL + "parameters = {}\n", ["tools.t"]),
        (BOT + 'handoffs = ["env:NONE"]\n', ["bots.agents.handoffs"]),
        (BOT.replace('"scripted"', '"scripted"\nmodel = "m"'), ["models.demo"]),
    ],
)
def test_one_mistake_is_one_problem_and_not_those_that_follow_from_it(
    config_file: ConfigFile, text: str, keys: list[str]
) -> None:
    assert [problem.split(": ")[1] for problem in config_file.problems(text)] == keys


def test_two_default_bots_of_a_project_are_both_named(config_file: ConfigFile) -> None:
    text = (BOT + SECOND).replace("model = ", "default = true\nmodel = ")

    problems = config_file.problems(text)

    assert [problem.split(":")[0] for problem in problems] == ["7", "14"]
    assert 'project "default" has 2 default bots' in problems[0]


def test_with_several_projects_a_bot_says_which_one(config_file: ConfigFile) -> None:
    (problem,) = config_file.problems(BOT + '[[projects]]\nid = "a"\n[[projects]]\nid = "b"\n')

    assert problem.startswith("5: bots.project: is missing: there are several projects")


def test_two_hand_offs_that_models_cannot_tell_apart_are_refused(config_file: ConfigFile) -> None:
    text = BOT + 'handoffs = ["A b", "A-b"]\n'
    text += '[[bots.agents]]\nname = "A b"\n[[bots.agents]]\nname = "A-b"\n'

    (problem,) = config_file.problems(text)

    assert problem.startswith("5: bots: agent 'Desk' has two tools named 'transfer_to_a_b'")


def test_a_function_that_cannot_be_imported_is_told_when_asked_for(config_file: ConfigFile) -> None:
    text = BOT + '[tools.t]\nkind = "python"\nfunction = "gateway.demo:get_nothing"\n'

    assert config_file.read(text).settings.tools["t"].function == "gateway.demo:get_nothing"
    (problem,) = config_file.problems(text, imports_functions=True)
    assert problem.startswith("13: tools.t.function: cannot be imported: ")


@pytest.mark.parametrize("source", ["def f(:", "1 / 0"])
def test_a_module_that_breaks_when_imported_is_told(
    config_file: ConfigFile, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, source: str
) -> None:
    (tmp_path / "broken_tools.py").write_text(source)
    monkeypatch.syspath_prepend(tmp_path)
    text = BOT + '[tools.t]\nkind = "python"\nfunction = "broken_tools:f"\n'

    (problem,) = config_file.problems(text, imports_functions=True)

    assert problem.startswith("13: tools.t.function: cannot be imported: ")
    assert problem.endswith("; mend broken_tools")


def test_a_value_that_is_no_function_is_told(config_file: ConfigFile) -> None:
    text = BOT + '[tools.t]\nkind = "python"\nfunction = "gateway.demo:FIRST_CARD"\n'

    assert config_file.problems(text, imports_functions=True) == [
        "13: tools.t.function: is not a function"
    ]
