"""The replay profile of Mistral Workflows: what its SDK's worker is made with.

Its worker adds steps of its own to every run: local activities that register the run and tell of
its course, and timers around them. Which ones depends on its interceptors, their order, and whether
there is somebody to tell. So a replay needs the same of all of them, with the same settings: they
come from the same environment variables as the worker's (`TEMPORAL_PAYLOAD_ENCRYPTION__…` and
others). Nothing is sent anywhere.

The parts that are needed are private to the SDK. A version that moved them is refused in one line.
"""

from __future__ import annotations

from importlib import import_module
from typing import Any, Final

from temporalio.converter import DataConverter
from temporalio.worker.workflow_sandbox import SandboxedWorkflowRunner

from replayer.replaying.errors import LoadError
from replayer.replaying.profile import ReplayProfile

__all__ = ["mistral_profile"]

_SDK: Final = "mistralai.workflows"
_DEFINITION: Final = "__temporal_activity_definition"
_REGISTER: Final = "__internal__register_execution"
_TELLING: Final = ("_events.event_activities", "_registration.search_key_ingestion")
"""Where the activities are that only tell of a run."""


def mistral_profile() -> ReplayProfile:
    """Runs of `mistralai.workflows.run_worker`.

    Raises:
        LoadError: The SDK is not installed, or is one that this profile does not know.
    """
    try:
        import_module(_SDK)
    except ModuleNotFoundError as error:
        raise LoadError(
            f"profile mistral needs the package mistralai-workflows ({error.msg}); "
            "install it where the workflows are installed"
        ) from error
    try:
        return _profile()
    except (ImportError, AttributeError, TypeError) as error:
        version = getattr(import_module(_SDK), "__version__", "of an unknown version")
        raise LoadError(
            f"profile mistral does not know mistralai-workflows {version}: {error}; "
            "expected one like 3.16"
        ) from error


def _profile() -> ReplayProfile:
    worker = _core("config.config").config.worker
    encryption = worker.temporal_payload_encryption
    codec = _core("temporal.payload_codec").MistralWorkflowsPayloadCodec(
        payload_offloading_config=worker.temporal_payload_offloading,
        payload_encryption_config=encryption,
        payload_compression_config=worker.temporal_payload_compression,
    )
    converter = _core("temporal.payload_converter").MistralWorkflowsPayloadConverter
    _tell_nobody(encryption)
    restrictions = _core("sandbox").get_sandbox_restrictions()
    return ReplayProfile(
        data_converter=DataConverter(payload_converter_class=converter, payload_codec=codec),
        interceptors=_interceptors(worker),
        workflow_runner=SandboxedWorkflowRunner(restrictions=restrictions),
        workflow_failure_exception_types=(
            (Exception,) if worker.dangerously_force_fail_workflow_on_error else ()
        ),
        workflows=_own_workflows(),
        local_results=_local_results(),
    )


def _interceptors(worker: Any) -> list[Any]:
    """Those of the worker, in its order."""
    tracing = _core("tracing._temporal_tracing_interceptor")
    registration = _core("_registration.execution_registration_interceptor")
    offloader = _core("encoding.fields_offloader").FieldsOffloader(
        offloading_config=worker.activity_attributes_offloading
    )
    offloading = _core("temporal.activity_offloading_interceptor")
    workflows = _core("workflow").get_all_registered_workflows()
    plugins = import_module(f"{_SDK}.plugins._discovery")
    return [
        _core("temporal.context_handler_interceptor").ContextHandlerInterceptor(),
        *tracing.get_trace_context_interceptors(),
        registration.ExecutionRegistrationInterceptor(),
        _core("_events.event_interceptor").EventInterceptor(),
        offloading.ActivityInOutOffloadingInterceptor(offloader=offloader),
        *tracing.get_span_recording_interceptors(),
        *plugins.collect_plugin_interceptors(workflows),
    ]


def _own_workflows() -> tuple[type, ...]:
    """What the SDK runs parallel activities in."""
    concurrency = _core("execution.concurrency._concurrency_workflow")
    return (
        concurrency.ParallelExecutionWorkflow,
        concurrency.OnBehalfOfParallelExecutionWorkflow,
    )


def _local_results() -> dict[str, Any]:
    """Those of the activities that only register a run, and tell of it."""
    modules = {_core(name).__name__ for name in _TELLING}
    activities = _core("activity").get_all_temporal_activities()
    telling = (getattr(each, _DEFINITION) for each in activities if each.__module__ in modules)
    return {definition.name: None for definition in telling} | {_REGISTER: True}


def _tell_nobody(encryption: Any) -> None:
    """Let there be an event context: without one, code takes a way that no worker takes."""
    module = _core("_events.event_context")
    encoder = None
    if encryption is not None:
        encoding = import_module("mistralai.extra.workflows.encoding.payload_encoder")
        settings = import_module("mistralai.extra.workflows.encoding.config")
        config = settings.WorkflowEncodingConfig(
            payload_encryption=encryption, payload_offloading=None
        )
        encoder = encoding.PayloadEncoder(encoding_config=config)
    if not hasattr(module, "_event_context_singleton"):
        raise AttributeError("its event context is another")
    # Only activities send events over it, and a replay runs none.
    module._event_context_singleton = module.EventContext(None, payload_encoder=encoder)


def _core(name: str) -> Any:
    return import_module(f"{_SDK}.core.{name}")
