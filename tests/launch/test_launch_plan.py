"""From a launch file to the plan of nodes: scoping, conditions, includes, refusals.

The expectations were checked against `ros2 launch` of ROS 2 Jazzy.
"""

from pathlib import Path

import pytest
from standin_prefix import Prefix, node

from aloha_stack.launch.errors import LaunchError
from aloha_stack.launch.evaluate import make_plan
from aloha_stack.launch.plan import parameter_document, ros_arguments


def values(prefix: Prefix, body: str, **given: str) -> list[dict[str, object]]:
    """The inline parameters of every node of a file with this body."""
    return [dict(n.parameters[0]) for n in prefix.plan(body, **given)]  # type: ignore[arg-type]


def test_what_a_scoped_group_sets_is_not_seen_outside(prefix: Prefix) -> None:
    body = f"""
      <let name="x" value="outer"/>
      <group>
        <let name="x" value="inner"/><set_env name="E" value="inner"/>
        <push-ros-namespace namespace="inside"/>
        {node("a", x="$(var x)", e="$(env E none)")}
      </group>
      {node("b", x="$(var x)", e="$(env E none)")}
    """
    assert values(prefix, body) == [{"x": "inner", "e": "inner"}, {"x": "outer", "e": "none"}]
    inside, outside = prefix.plan(body)
    assert inside.namespace == "/inside"
    assert outside.namespace is None
    assert inside.environment == {"E": "inner"}
    assert outside.environment == {}


def test_what_an_unscoped_group_sets_stays(prefix: Prefix) -> None:
    body = f"""
      <group scoped="false">
        <let name="x" value="kept"/><push-ros-namespace namespace="kept"/>
      </group>
      {node("a", x="$(var x)")}
    """
    assert values(prefix, body) == [{"x": "kept"}]
    assert prefix.plan(body)[0].namespace == "/kept"


@pytest.mark.parametrize(
    ("pushed", "own", "namespace"),
    [
        ([], None, None),
        ([], "arm", "/arm"),
        ([], "a/b/", "/a/b"),
        ([], "", "/"),
        (["robot"], None, "/robot"),
        (["robot"], "arm", "/robot/arm"),
        (["robot"], "/arm", "/arm"),
        (["robot", "left"], None, "/robot/left"),
        (["robot", "/left"], "x", "/left/x"),
        (["/"], "x", "/x"),
    ],
)
def test_namespaces_join_until_one_is_absolute(
    prefix: Prefix, pushed: list[str], own: str | None, namespace: str | None
) -> None:
    pushes = "".join(f'<push-ros-namespace namespace="{name}"/>' for name in pushed)
    attribute = "" if own is None else f' namespace="{own}"'
    (plan,) = prefix.plan(f'{pushes}<node pkg="standin" exec="n"{attribute}/>')
    assert plan.namespace == namespace


def test_an_include_shares_the_configurations_of_its_includer(prefix: Prefix) -> None:
    prefix.launch_file(
        f"""<arg name="who"/><arg name="colour" default="blue"/>
        <let name="left" value="$(var who)-$(var colour)"/>
        {node("child", colour="$(var colour)")}""",
        "child.launch.xml",
    )
    include = """<include file="$(find-pkg-share standin)/child.launch.xml">
        <arg name="who" value="me"/></include>"""
    seen = values(prefix, include + node("after", left="$(var left)", who="$(var who)"))
    assert seen == [{"colour": "blue"}, {"left": "me-blue", "who": "me"}]
    grouped = values(prefix, f"<group>{include}</group>" + node("after", left="$(var left gone)"))
    assert grouped[1] == {"left": "gone"}


def test_an_included_file_needs_its_required_arguments_given_to_it(prefix: Prefix) -> None:
    prefix.launch_file('<arg name="who"/>', "child.launch.xml")
    body = """<let name="who" value="me"/>
        <include file="$(find-pkg-share standin)/child.launch.xml"/>"""
    with pytest.raises(LaunchError, match=r"child.launch.xml requires the argument 'who'"):
        prefix.plan(body)


def test_a_file_that_is_not_there_is_named_with_those_that_are(prefix: Prefix) -> None:
    with pytest.raises(LaunchError, match=r"other.launch.xml does not exist; .*: test$"):
        prefix.plan('<include file="$(find-pkg-share standin)/other.launch.xml"/>')


def test_a_file_that_includes_itself_is_refused(prefix: Prefix) -> None:
    with pytest.raises(LaunchError, match="includes itself"):
        prefix.plan('<include file="$(find-pkg-share standin)/test.launch.xml"/>')


@pytest.mark.parametrize(
    "body",
    [
        '<node pkg="standin" exec="n" {}/>',
        '<group {}><node pkg="standin" exec="n"/></group>',
        '<include {} file="$(find-pkg-share standin)/n.launch.xml"/>',
        '<let name="x" value="1" {}/><node if="$(var x 0)" pkg="standin" exec="n"/>',
        '<set_env name="x" value="1" {}/><node if="$(env x 0)" pkg="standin" exec="n"/>',
        '<arg name="x" default="1" {}/><node if="$(var x 0)" pkg="standin" exec="n"/>',
    ],
)
def test_every_action_obeys_if_and_unless(prefix: Prefix, body: str) -> None:
    prefix.launch_file('<node pkg="standin" exec="n"/>', "n.launch.xml")
    for condition, count in [
        ('if="true"', 1),
        ('if="0"', 0),
        ('unless="False"', 1),
        ('unless="$(equals a a)"', 0),
    ]:
        assert len(prefix.plan(body.format(condition))) == count


def test_an_argument_takes_its_default_unless_it_is_given(prefix: Prefix) -> None:
    body = f'<arg name="x" default="$(env HOME)/d"/>{node("a", x="$(var x)")}'
    assert values(prefix, body) == [{"x": "/home/somebody/d"}]
    assert values(prefix, body, x="given") == [{"x": "given"}]


@pytest.mark.parametrize(
    ("given", "problem"),
    [
        ({"nix": "1", "x": "1"}, "test.launch.xml has no argument 'nix'; it takes: mode, x"),
        ({}, "argument 'x' \\(the x\\) is required"),
        ({"x": "1", "mode": "c"}, "argument 'mode' is 'c'; valid choices: a, b"),
    ],
)
def test_a_wrong_argument_is_named(prefix: Prefix, given: dict[str, str], problem: str) -> None:
    body = """<arg name="x" description="the x"/>
      <arg name="mode" default="a"><choice value="a"/><choice value="b"/></arg>"""
    with pytest.raises(LaunchError, match=problem):
        prefix.plan(body, **given)


def test_a_node_is_planned_with_all_that_it_is_given(prefix: Prefix) -> None:
    file = prefix.share / "p.yaml"
    file.write_text("/**: {ros__parameters: {b: 2}}")
    (plan,) = prefix.plan("""
      <let name="v" value="two words"/>
      <node pkg="standin" exec="n" exec_name="label" name="me" namespace="there" output="screen"
            args="--flag $(var v) 'a b' x$(var v)y" sigterm_timeout="1.5" on_exit="shutdown">
        <param name="a" value="1"/><param name="a" value="3"/><param name="s" value="t"/>
        <param from="$(find-pkg-share standin)/p.yaml"/><param name="after" value="1"/>
        <remap from="x" to="/y"/><env name="E" value="$(var v)"/>
      </node>""")
    assert plan.arguments == ("--flag", "two words", "a b", "xtwo wordsy")
    assert plan.parameters == ({"a": 3, "s": "t"}, file, {"after": 1})
    assert (plan.label, plan.full_name) == ("label", "/there/me")
    assert (plan.sigterm_timeout_s, plan.sigkill_timeout_s) == (1.5, 5.0)
    assert plan.environment == {"E": "two words"}
    assert plan.shutdown_on_exit
    assert ros_arguments(plan, [Path("/1"), file]) == [
        *plan.arguments,
        *("--ros-args", "-r", "__node:=me", "-r", "__ns:=/there"),
        *("--params-file", "/1", "--params-file", str(file), "-r", "x:=/y"),
    ]


def test_inline_parameters_are_addressed_to_the_node_if_its_full_name_is_known(
    prefix: Prefix,
) -> None:
    known, unknown = prefix.plan("""
      <node pkg="standin" exec="n" name="a" namespace="/"/>
      <node pkg="standin" exec="n" name="a"/>""")
    assert parameter_document(known, {"p": 1}) == {"/a": {"ros__parameters": {"p": 1}}}
    assert parameter_document(unknown, {"p": 1}) == {"/**": {"ros__parameters": {"p": 1}}}


@pytest.mark.parametrize(
    ("body", "problem"),
    [
        ("<executable cmd='ls'/>", "<executable> is not supported inside <launch>"),
        ("<group>\n<timer period='1'/></group>", ":3: <timer> is not supported inside <group>"),
        ('<node pkg="a" exec="b" respawn="true"/>', "attribute 'respawn' of <node>"),
        (
            '<node pkg="a" exec="b"><param name="a"><param name="b"/></param></node>',
            "inside <param>",
        ),
        ('<include file="x"><let name="a" value="b"/></include>', "<let> is not supported inside"),
        ('<let name="a" value="$(command ls)"/>', "attribute 'value': .*command"),
        ('<group if="false"><let name="a" value="$(eval 1)"/></group>', "eval"),
        ('<let name="a"/>', "<let> needs the attribute 'value'"),
        ('<group if="1" unless="1"/>', "both 'if' and 'unless'"),
        ("<group>stray</group>", "text 'stray' inside <group>"),
        ("<group>", "not well-formed"),
        ('<node pkg="standin" exec="n" output="own_log"/>', "output 'own_log'"),
        ('<node pkg="standin" exec="n" on_exit="respawn"/>', "on_exit 'respawn'"),
        ('<node pkg="standin" exec="n" sigterm_timeout="soon"/>', "sigterm_timeout 'soon'"),
        ('<node pkg="standin" exec="n" name="a/b"/>', "'a/b' is not a valid node name"),
        ('<node pkg="standin" exec="n" namespace="1a"/>', "'/1a' is not a valid ROS namespace"),
        ('<node pkg="standin" exec="n"><param from="/nowhere.yaml"/></node>', "/nowhere.yaml does"),
        ('<node pkg="standin" exec="n"><param from="a" name="b"/></node>', "either 'from'"),
        ('<let name="launch-prefix" value="gdb"/>', "'launch-prefix' is not supported"),
        ('<let name="a" value="$(find-pkg-share nowhere)"/>', "package 'nowhere' was not found"),
    ],
)
def test_what_is_not_understood_is_refused_by_name_with_its_place(
    prefix: Prefix, body: str, problem: str
) -> None:
    with pytest.raises(LaunchError, match=problem) as refusal:
        prefix.plan(body)
    assert "test.launch.xml:" in str(refusal.value)


def test_another_root_than_launch_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "x.launch.xml"
    file.write_text("<robot/>")
    with pytest.raises(LaunchError, match="outermost tag is <robot>"):
        make_plan(file, {}, {})
