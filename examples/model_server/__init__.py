"""A local stand-in for an OpenAI-compatible model API, answering from a script.

Examples and tests must make the calls that production makes, through the real client library,
and still give the same answers every time and need no account. So this package serves
`POST /v1/chat/completions` on loopback and takes every answer, and every fault, from a JSON file.
It never invents an answer: a request that no rule matches is refused with a message that says so.

    with ModelServer(Path("script.json")) as server:
        client = openai.AsyncOpenAI(base_url=server.base_url, api_key="local", max_retries=0)
"""

from examples.model_server._answer import count_tokens
from examples.model_server._script import Script, ScriptError, load_script
from examples.model_server._server import Call, ModelServer

__all__ = ["Call", "ModelServer", "Script", "ScriptError", "count_tokens", "load_script"]
