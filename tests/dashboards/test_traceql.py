import json
from urllib.parse import parse_qs, urlsplit

from dashboards.traceql import equals, explore_url, matches, spans
from tracer.names import Attribute, SpanKind


def test_conditions_and_columns_stand_where_traceql_wants_them() -> None:
    search = spans(
        SpanKind.ATTEMPT,
        matches(Attribute.NAMESPACE, "${namespace:pipe}"),
        equals(Attribute.IS_LOCAL, True),
        errors_only=True,
        select=(Attribute.WORKFLOW_ID,),
    )
    assert search == (
        "{ span.retrospan.span.kind = `attempt` && status = error"
        " && span.temporal.namespace =~ `${namespace:pipe}`"
        " && span.temporal.activity.local = true } | select(span.temporalWorkflowID)"
    )


def test_grafana_finds_its_variables_in_a_link_and_explore_finds_its_json() -> None:
    search = spans(None, equals(Attribute.STEP_NAME, "${__value.raw}"))
    url = explore_url(search, datasource="${traces}")
    assert "${__value.raw}" in url
    assert "${traces}" in url
    clicked = url.replace("${__value.raw}", "call%20customs").replace("${traces}", "tempo-uid")
    (panes,) = parse_qs(urlsplit(clicked).query)["panes"]
    (pane,) = json.loads(panes).values()
    (query,) = pane["queries"]
    assert query["query"] == "{ span.retrospan.step.name = `call customs` }"
    assert pane["datasource"] == query["datasource"]["uid"] == "tempo-uid"
