-- Facts: what happened, one table per word of the model. Times are UTC, durations seconds.
CREATE TABLE core.runs (
    namespace VARCHAR NOT NULL,
    workflow_id VARCHAR NOT NULL,
    run_id VARCHAR NOT NULL,
    workflow_type VARCHAR,
    task_queue VARCHAR,
    status VARCHAR NOT NULL,
    is_closed BOOLEAN NOT NULL,
    is_stuck BOOLEAN NOT NULL,
    failed_task_streak INTEGER NOT NULL,
    is_paused BOOLEAN NOT NULL,
    started_at TIMESTAMP,
    closed_at TIMESTAMP,
    last_event_at TIMESTAMP,
    duration_s DOUBLE,
    attempt INTEGER NOT NULL,
    first_run_id VARCHAR,
    original_run_id VARCHAR,
    continued_from_run_id VARCHAR,
    continued_to_run_id VARCHAR,
    reset_from_run_id VARCHAR,
    parent_workflow_id VARCHAR,
    parent_run_id VARCHAR,
    root_workflow_id VARCHAR,
    root_run_id VARCHAR,
    cron_schedule VARCHAR,
    started_by VARCHAR,
    closed_by VARCHAR,
    close_reason VARCHAR,
    cancel_requested_at TIMESTAMP,
    failure_type VARCHAR,
    failure_message VARCHAR,
    failure_fingerprint VARCHAR,
    n_events BIGINT NOT NULL,
    first_event_id BIGINT,
    last_event_id BIGINT,
    history_bytes BIGINT,
    payload_bytes BIGINT NOT NULL,
    suggest_continue_as_new BOOLEAN NOT NULL,
    build_id VARCHAR,
    deployment_name VARCHAR,
    sdk_name VARCHAR,
    sdk_version VARCHAR,
    memo JSON,
    search_attributes JSON,
    trace_id VARCHAR,
    key_source VARCHAR NOT NULL,
    source_sha256 VARCHAR NOT NULL
);
COMMENT ON TABLE core.runs IS 'One row per workflow execution';
COMMENT ON COLUMN core.runs.namespace IS 'Temporal namespace of the run; empty where the source did not say';
COMMENT ON COLUMN core.runs.workflow_id IS 'Workflow id of the run';
COMMENT ON COLUMN core.runs.run_id IS 'Run id of the run';
COMMENT ON COLUMN core.runs.workflow_type IS 'Workflow type';
COMMENT ON COLUMN core.runs.task_queue IS 'Task queue of its workflow tasks';
COMMENT ON COLUMN core.runs.status IS 'RUNNING, COMPLETED, FAILED, CANCELED, TERMINATED, CONTINUED_AS_NEW or TIMED_OUT, as of the last event read';
COMMENT ON COLUMN core.runs.is_closed IS 'Whether the run has ended';
COMMENT ON COLUMN core.runs.is_stuck IS 'Open, and its last finished workflow task failed: Temporal retries it for ever';
COMMENT ON COLUMN core.runs.failed_task_streak IS 'Workflow tasks that failed or timed out since the last one that completed';
COMMENT ON COLUMN core.runs.is_paused IS 'Whether somebody paused the run';
COMMENT ON COLUMN core.runs.started_at IS 'Start, UTC';
COMMENT ON COLUMN core.runs.closed_at IS 'End, UTC; NULL while it is open';
COMMENT ON COLUMN core.runs.last_event_at IS 'Time of the last event read, UTC';
COMMENT ON COLUMN core.runs.duration_s IS 'Seconds from start to end, or to the last event read while it is open';
COMMENT ON COLUMN core.runs.attempt IS 'Attempt of the workflow under its own retry policy, 1 for the first';
COMMENT ON COLUMN core.runs.first_run_id IS 'First run of the chain of retries and continue-as-new';
COMMENT ON COLUMN core.runs.original_run_id IS 'Run id in the first event: after a reset, that of the run it was reset from';
COMMENT ON COLUMN core.runs.continued_from_run_id IS 'Run that this one continues';
COMMENT ON COLUMN core.runs.continued_to_run_id IS 'Run that continues this one';
COMMENT ON COLUMN core.runs.reset_from_run_id IS 'Run that this one was reset from';
COMMENT ON COLUMN core.runs.parent_workflow_id IS 'Workflow that started this one as a child';
COMMENT ON COLUMN core.runs.parent_run_id IS 'Run that started this one as a child';
COMMENT ON COLUMN core.runs.root_workflow_id IS 'Workflow at the top of the tree of children';
COMMENT ON COLUMN core.runs.root_run_id IS 'Run at the top of the tree of children';
COMMENT ON COLUMN core.runs.cron_schedule IS 'Cron schedule, if it has one';
COMMENT ON COLUMN core.runs.started_by IS 'Identity of the client that started it';
COMMENT ON COLUMN core.runs.closed_by IS 'Identity that ended it, where the server recorded one';
COMMENT ON COLUMN core.runs.close_reason IS 'Reason given with a termination, or why a failed run was not retried';
COMMENT ON COLUMN core.runs.cancel_requested_at IS 'When somebody asked it to cancel itself, UTC';
COMMENT ON COLUMN core.runs.failure_type IS 'Type of the root cause, such as an exception class';
COMMENT ON COLUMN core.runs.failure_message IS 'Message of the root cause';
COMMENT ON COLUMN core.runs.failure_fingerprint IS 'Fingerprint of the failure: the same for failures that differ in ids and numbers only';
COMMENT ON COLUMN core.runs.n_events IS 'Events in its history';
COMMENT ON COLUMN core.runs.first_event_id IS 'First event read';
COMMENT ON COLUMN core.runs.last_event_id IS 'Last event read';
COMMENT ON COLUMN core.runs.history_bytes IS 'Size of the history as the server counts it, as of the last workflow task';
COMMENT ON COLUMN core.runs.payload_bytes IS 'Bytes of all payloads in its history, wherever they are stored';
COMMENT ON COLUMN core.runs.suggest_continue_as_new IS 'The server advised to continue as new';
COMMENT ON COLUMN core.runs.build_id IS 'Build id of the worker that ran it last';
COMMENT ON COLUMN core.runs.deployment_name IS 'Worker deployment that ran it last';
COMMENT ON COLUMN core.runs.sdk_name IS 'SDK of the worker, such as temporal-python';
COMMENT ON COLUMN core.runs.sdk_version IS 'Version of that SDK';
COMMENT ON COLUMN core.runs.memo IS 'Memo as a JSON object; values that are not plain JSON are null';
COMMENT ON COLUMN core.runs.search_attributes IS 'Search attributes at the start as a JSON object; values that are not plain JSON are null';
COMMENT ON COLUMN core.runs.trace_id IS 'Trace of the run, hex';
COMMENT ON COLUMN core.runs.key_source IS 'Where the run key was taken from';
COMMENT ON COLUMN core.runs.source_sha256 IS 'Raw history that the rows of this run were made from; see raw.archive';

CREATE TABLE core.events (
    namespace VARCHAR NOT NULL,
    workflow_id VARCHAR NOT NULL,
    run_id VARCHAR NOT NULL,
    event_id BIGINT NOT NULL,
    event_time TIMESTAMP,
    event_time_ns BIGINT,
    event_type VARCHAR NOT NULL,
    task_id BIGINT,
    version BIGINT,
    scheduled_event_id BIGINT,
    started_event_id BIGINT,
    initiated_event_id BIGINT,
    workflow_task_completed_event_id BIGINT,
    activity_id VARCHAR,
    activity_type VARCHAR,
    timer_id VARCHAR,
    signal_name VARCHAR,
    marker_name VARCHAR,
    update_id VARCHAR,
    child_workflow_id VARCHAR,
    child_run_id VARCHAR,
    attempt INTEGER,
    failure_type VARCHAR,
    failure_message VARCHAR,
    cause VARCHAR,
    retry_state VARCHAR,
    identity VARCHAR,
    history_size_bytes BIGINT,
    n_payloads INTEGER NOT NULL,
    payload_bytes BIGINT NOT NULL,
    event_hash UBIGINT NOT NULL,
    is_provisional BOOLEAN NOT NULL
);
COMMENT ON TABLE core.events IS 'One row per event of a history';
COMMENT ON COLUMN core.events.namespace IS 'Temporal namespace of the run; empty where the source did not say';
COMMENT ON COLUMN core.events.workflow_id IS 'Workflow id of the run';
COMMENT ON COLUMN core.events.run_id IS 'Run id of the run';
COMMENT ON COLUMN core.events.event_id IS 'Number of the event in its history, from 1';
COMMENT ON COLUMN core.events.event_time IS 'Time of the event, UTC, microseconds';
COMMENT ON COLUMN core.events.event_time_ns IS 'Time of the event, nanoseconds since the Unix epoch';
COMMENT ON COLUMN core.events.event_type IS 'Type without its prefix, such as ACTIVITY_TASK_SCHEDULED; the number of a type that is not known';
COMMENT ON COLUMN core.events.task_id IS 'Task id of the server';
COMMENT ON COLUMN core.events.version IS 'Failover version of the namespace';
COMMENT ON COLUMN core.events.scheduled_event_id IS 'Event that scheduled what this one tells of';
COMMENT ON COLUMN core.events.started_event_id IS 'Event that started what this one tells of';
COMMENT ON COLUMN core.events.initiated_event_id IS 'Event that initiated what this one tells of';
COMMENT ON COLUMN core.events.workflow_task_completed_event_id IS 'Workflow task that issued the command behind this event';
COMMENT ON COLUMN core.events.activity_id IS 'Activity id';
COMMENT ON COLUMN core.events.activity_type IS 'Activity type';
COMMENT ON COLUMN core.events.timer_id IS 'Timer id';
COMMENT ON COLUMN core.events.signal_name IS 'Signal name';
COMMENT ON COLUMN core.events.marker_name IS 'Marker name';
COMMENT ON COLUMN core.events.update_id IS 'Update id';
COMMENT ON COLUMN core.events.child_workflow_id IS 'Workflow id of a child or of another workflow that is spoken to';
COMMENT ON COLUMN core.events.child_run_id IS 'Run id of a child or of another workflow that is spoken to';
COMMENT ON COLUMN core.events.attempt IS 'Attempt number, where the event has one';
COMMENT ON COLUMN core.events.failure_type IS 'Type of the root cause of the failure in the event';
COMMENT ON COLUMN core.events.failure_message IS 'Message of the root cause of the failure in the event';
COMMENT ON COLUMN core.events.cause IS 'Cause of a failed workflow task or external request, without prefix';
COMMENT ON COLUMN core.events.retry_state IS 'Why it was not tried again, without prefix';
COMMENT ON COLUMN core.events.identity IS 'Client or worker behind the event';
COMMENT ON COLUMN core.events.history_size_bytes IS 'Size of the history when a workflow task started';
COMMENT ON COLUMN core.events.n_payloads IS 'Payloads in the event';
COMMENT ON COLUMN core.events.payload_bytes IS 'Bytes of its payloads, wherever they are stored';
COMMENT ON COLUMN core.events.event_hash IS 'Hash of the whole event, to recognise it again';
COMMENT ON COLUMN core.events.is_provisional IS 'Tail of an open history: a workflow task that the server has not recorded for good and may replace';

CREATE TABLE core.payloads (
    namespace VARCHAR NOT NULL,
    workflow_id VARCHAR NOT NULL,
    run_id VARCHAR NOT NULL,
    event_id BIGINT NOT NULL,
    slot VARCHAR NOT NULL,
    idx INTEGER NOT NULL,
    encoding VARCHAR,
    metadata JSON NOT NULL,
    data BLOB USING COMPRESSION zstd,
    n_bytes BIGINT NOT NULL,
    sha256 BLOB NOT NULL
);
COMMENT ON TABLE core.payloads IS 'One row per payload of an event, as the history holds it';
COMMENT ON COLUMN core.payloads.namespace IS 'Temporal namespace of the run; empty where the source did not say';
COMMENT ON COLUMN core.payloads.workflow_id IS 'Workflow id of the run';
COMMENT ON COLUMN core.payloads.run_id IS 'Run id of the run';
COMMENT ON COLUMN core.payloads.event_id IS 'Event that carries it';
COMMENT ON COLUMN core.payloads.slot IS 'Place in the event, such as input, result, header.name or memo.name';
COMMENT ON COLUMN core.payloads.idx IS 'Position in that place, from 0';
COMMENT ON COLUMN core.payloads.encoding IS 'Encoding named in its metadata, such as json/plain';
COMMENT ON COLUMN core.payloads.metadata IS 'Metadata as a JSON object; known credentials are replaced by [redacted]';
COMMENT ON COLUMN core.payloads.data IS 'The bytes';
COMMENT ON COLUMN core.payloads.n_bytes IS 'True size in bytes, also where the data is stored elsewhere';
COMMENT ON COLUMN core.payloads.sha256 IS 'SHA-256 of the bytes';

CREATE TABLE core.steps (
    namespace VARCHAR NOT NULL,
    workflow_id VARCHAR NOT NULL,
    run_id VARCHAR NOT NULL,
    step_id VARCHAR NOT NULL,
    seq INTEGER NOT NULL,
    kind VARCHAR NOT NULL,
    name VARCHAR NOT NULL,
    id VARCHAR NOT NULL,
    occurrence INTEGER NOT NULL,
    span_id VARCHAR NOT NULL,
    scheduled_event_id BIGINT,
    closed_event_id BIGINT,
    scheduled_at TIMESTAMP,
    started_at TIMESTAMP,
    closed_at TIMESTAMP,
    outcome VARCHAR,
    n_attempts INTEGER NOT NULL,
    queue_s DOUBLE,
    retry_s DOUBLE,
    last_attempt_s DOUBLE,
    total_s DOUBLE,
    input_bytes BIGINT NOT NULL,
    result_bytes BIGINT NOT NULL,
    failure_type VARCHAR,
    failure_message VARCHAR,
    failure_fingerprint VARCHAR,
    retry_state VARCHAR,
    task_queue VARCHAR,
    summary VARCHAR,
    timeouts JSON NOT NULL,
    maximum_attempts INTEGER,
    child_run_id VARCHAR,
    cancel_requested_at TIMESTAMP,
    caused_by_event_id BIGINT,
    caused_by_update_id VARCHAR
);
COMMENT ON TABLE core.steps IS 'One row per thing that a run asked for: activity, local activity, child workflow, Nexus operation, timer, request to another workflow';
COMMENT ON COLUMN core.steps.namespace IS 'Temporal namespace of the run; empty where the source did not say';
COMMENT ON COLUMN core.steps.workflow_id IS 'Workflow id of the run';
COMMENT ON COLUMN core.steps.run_id IS 'Run id of the run';
COMMENT ON COLUMN core.steps.step_id IS 'Name of the step in its run: kind:id, and #n where the run uses kind and id again';
COMMENT ON COLUMN core.steps.seq IS 'Place among the steps of the run, from 1';
COMMENT ON COLUMN core.steps.kind IS 'activity, local_activity, child_workflow, nexus_operation, timer, signal_external or cancel_external';
COMMENT ON COLUMN core.steps.name IS 'Activity type, child workflow type, service/operation, signal name, a timer''s summary or id';
COMMENT ON COLUMN core.steps.id IS 'Id that worker and history share: activity id, timer id, child workflow id';
COMMENT ON COLUMN core.steps.occurrence IS '1, and more where the run uses kind and id again';
COMMENT ON COLUMN core.steps.span_id IS 'Span that stands for the step in the trace of the run, hex';
COMMENT ON COLUMN core.steps.scheduled_event_id IS 'Event that scheduled it';
COMMENT ON COLUMN core.steps.closed_event_id IS 'Event that answered it';
COMMENT ON COLUMN core.steps.scheduled_at IS 'When it was asked for, UTC';
COMMENT ON COLUMN core.steps.started_at IS 'Start of its last known attempt, UTC';
COMMENT ON COLUMN core.steps.closed_at IS 'When it was answered, UTC; NULL while it is open';
COMMENT ON COLUMN core.steps.outcome IS 'completed, failed, timed_out, canceled or terminated; NULL while it is open';
COMMENT ON COLUMN core.steps.n_attempts IS 'Tries begun, 0 until the first is known';
COMMENT ON COLUMN core.steps.queue_s IS 'Seconds from scheduling to start, where the first attempt was the only one';
COMMENT ON COLUMN core.steps.retry_s IS 'Seconds from scheduling to the start of the last attempt, where there were several: earlier tries, backoff and queueing together';
COMMENT ON COLUMN core.steps.last_attempt_s IS 'Seconds from the start of the last attempt to the answer';
COMMENT ON COLUMN core.steps.total_s IS 'Seconds from scheduling to the answer';
COMMENT ON COLUMN core.steps.input_bytes IS 'Bytes of its input';
COMMENT ON COLUMN core.steps.result_bytes IS 'Bytes of its result';
COMMENT ON COLUMN core.steps.failure_type IS 'Type of the root cause, such as an exception class';
COMMENT ON COLUMN core.steps.failure_message IS 'Message of the root cause';
COMMENT ON COLUMN core.steps.failure_fingerprint IS 'Fingerprint of the failure: the same for failures that differ in ids and numbers only';
COMMENT ON COLUMN core.steps.retry_state IS 'Why it was not tried again, without prefix';
COMMENT ON COLUMN core.steps.task_queue IS 'Task queue that it was sent to';
COMMENT ON COLUMN core.steps.summary IS 'What the workflow''s author wrote for people';
COMMENT ON COLUMN core.steps.timeouts IS 'Seconds by name of the timeout, JSON object';
COMMENT ON COLUMN core.steps.maximum_attempts IS 'Limit of its retry policy; NULL without one, 0 for unlimited';
COMMENT ON COLUMN core.steps.child_run_id IS 'Run of the child workflow';
COMMENT ON COLUMN core.steps.cancel_requested_at IS 'When the run asked for its cancellation, UTC';
COMMENT ON COLUMN core.steps.caused_by_event_id IS 'Signal or update event whose handler asked for it, where the server recorded that';
COMMENT ON COLUMN core.steps.caused_by_update_id IS 'Update whose handler asked for it, where the server recorded that';

CREATE TABLE core.attempts (
    namespace VARCHAR NOT NULL,
    workflow_id VARCHAR NOT NULL,
    run_id VARCHAR NOT NULL,
    step_id VARCHAR NOT NULL,
    attempt INTEGER NOT NULL,
    attempt_source VARCHAR NOT NULL,
    trace_id VARCHAR,
    span_id VARCHAR,
    step_name VARCHAR NOT NULL,
    started_at TIMESTAMP,
    ended_at TIMESTAMP,
    duration_s DOUBLE,
    outcome VARCHAR,
    failure_type VARCHAR,
    failure_message VARCHAR,
    failure_fingerprint VARCHAR,
    worker_identity VARCHAR
);
COMMENT ON TABLE core.attempts IS 'One row per known try of a step and per source; mart.attempts has one row per try';
COMMENT ON COLUMN core.attempts.namespace IS 'Temporal namespace of the run; empty where the source did not say';
COMMENT ON COLUMN core.attempts.workflow_id IS 'Workflow id of the run';
COMMENT ON COLUMN core.attempts.run_id IS 'Run id of the run';
COMMENT ON COLUMN core.attempts.step_id IS 'Step it belongs to';
COMMENT ON COLUMN core.attempts.attempt IS '1 for the first';
COMMENT ON COLUMN core.attempts.attempt_source IS 'span: exact, the worker watched it. history: only the last try, and of the one before its failure';
COMMENT ON COLUMN core.attempts.trace_id IS 'Trace of the span, hex';
COMMENT ON COLUMN core.attempts.span_id IS 'The span, hex';
COMMENT ON COLUMN core.attempts.step_name IS 'Name of the step';
COMMENT ON COLUMN core.attempts.started_at IS 'Start, UTC; NULL where only the failure is known';
COMMENT ON COLUMN core.attempts.ended_at IS 'End, UTC; NULL while it runs';
COMMENT ON COLUMN core.attempts.duration_s IS 'Seconds from start to end';
COMMENT ON COLUMN core.attempts.outcome IS 'completed, failed, timed_out or canceled; NULL while it runs';
COMMENT ON COLUMN core.attempts.failure_type IS 'Type of the root cause, such as an exception class';
COMMENT ON COLUMN core.attempts.failure_message IS 'Message of the root cause';
COMMENT ON COLUMN core.attempts.failure_fingerprint IS 'Fingerprint of the failure: the same for failures that differ in ids and numbers only';
COMMENT ON COLUMN core.attempts.worker_identity IS 'Worker that ran it';

CREATE TABLE core.waits (
    namespace VARCHAR NOT NULL,
    workflow_id VARCHAR NOT NULL,
    run_id VARCHAR NOT NULL,
    occurrence INTEGER NOT NULL,
    label VARCHAR,
    opened_at TIMESTAMP,
    closed_at TIMESTAMP,
    wait_s DOUBLE,
    woken_by VARCHAR,
    woken_by_name VARCHAR,
    woken_by_identity VARCHAR,
    is_human BOOLEAN NOT NULL,
    opened_event_id BIGINT,
    closed_event_id BIGINT
);
COMMENT ON TABLE core.waits IS 'One row per time in which a run stood still for a message or a timer';
COMMENT ON COLUMN core.waits.namespace IS 'Temporal namespace of the run; empty where the source did not say';
COMMENT ON COLUMN core.waits.workflow_id IS 'Workflow id of the run';
COMMENT ON COLUMN core.waits.run_id IS 'Run id of the run';
COMMENT ON COLUMN core.waits.occurrence IS '1 for the first wait of the run';
COMMENT ON COLUMN core.waits.label IS 'What it waited for: the summary of the timer that limits it, else what woke it';
COMMENT ON COLUMN core.waits.opened_at IS 'Begin, UTC';
COMMENT ON COLUMN core.waits.closed_at IS 'End, UTC; NULL while it lasts';
COMMENT ON COLUMN core.waits.wait_s IS 'Seconds from begin to end; NULL while it lasts';
COMMENT ON COLUMN core.waits.woken_by IS 'signal, update, timer, cancel_request, run_closed or unknown; NULL while it lasts';
COMMENT ON COLUMN core.waits.woken_by_name IS 'Name of the signal, update or timer';
COMMENT ON COLUMN core.waits.woken_by_identity IS 'Client that sent the signal or update';
COMMENT ON COLUMN core.waits.is_human IS 'A signal or update from a client ended it: a person, as far as a history can tell';
COMMENT ON COLUMN core.waits.opened_event_id IS 'Workflow task completion after which nothing was left to do';
COMMENT ON COLUMN core.waits.closed_event_id IS 'Event that ended it';

CREATE TABLE core.signals (
    namespace VARCHAR NOT NULL,
    workflow_id VARCHAR NOT NULL,
    run_id VARCHAR NOT NULL,
    name VARCHAR NOT NULL,
    occurrence INTEGER NOT NULL,
    received_at TIMESTAMP,
    event_id BIGINT,
    identity VARCHAR,
    from_workflow_id VARCHAR,
    input_bytes BIGINT NOT NULL
);
COMMENT ON TABLE core.signals IS 'One row per signal that a run received';
COMMENT ON COLUMN core.signals.namespace IS 'Temporal namespace of the run; empty where the source did not say';
COMMENT ON COLUMN core.signals.workflow_id IS 'Workflow id of the run';
COMMENT ON COLUMN core.signals.run_id IS 'Run id of the run';
COMMENT ON COLUMN core.signals.name IS 'Signal name';
COMMENT ON COLUMN core.signals.occurrence IS '1 for the first of this name';
COMMENT ON COLUMN core.signals.received_at IS 'When, UTC';
COMMENT ON COLUMN core.signals.event_id IS 'Event that records it';
COMMENT ON COLUMN core.signals.identity IS 'Client that sent it';
COMMENT ON COLUMN core.signals.from_workflow_id IS 'Workflow that sent it, if one did';
COMMENT ON COLUMN core.signals.input_bytes IS 'Bytes of its input';

CREATE TABLE core.updates (
    namespace VARCHAR NOT NULL,
    workflow_id VARCHAR NOT NULL,
    run_id VARCHAR NOT NULL,
    update_id VARCHAR NOT NULL,
    name VARCHAR,
    admitted_at TIMESTAMP,
    accepted_at TIMESTAMP,
    completed_at TIMESTAMP,
    accepted_event_id BIGINT,
    outcome VARCHAR,
    failure_type VARCHAR,
    failure_message VARCHAR,
    failure_fingerprint VARCHAR,
    identity VARCHAR,
    input_bytes BIGINT NOT NULL,
    result_bytes BIGINT NOT NULL
);
COMMENT ON TABLE core.updates IS 'One row per update that a run admitted';
COMMENT ON COLUMN core.updates.namespace IS 'Temporal namespace of the run; empty where the source did not say';
COMMENT ON COLUMN core.updates.workflow_id IS 'Workflow id of the run';
COMMENT ON COLUMN core.updates.run_id IS 'Run id of the run';
COMMENT ON COLUMN core.updates.update_id IS 'Update id';
COMMENT ON COLUMN core.updates.name IS 'Update name';
COMMENT ON COLUMN core.updates.admitted_at IS 'When it reached the run, UTC, where the server recorded that';
COMMENT ON COLUMN core.updates.accepted_at IS 'When its validator let it pass, UTC';
COMMENT ON COLUMN core.updates.completed_at IS 'When its handler ended, UTC';
COMMENT ON COLUMN core.updates.accepted_event_id IS 'Event that records the acceptance';
COMMENT ON COLUMN core.updates.outcome IS 'completed, failed or rejected; NULL while its handler runs';
COMMENT ON COLUMN core.updates.failure_type IS 'Type of the root cause, such as an exception class';
COMMENT ON COLUMN core.updates.failure_message IS 'Message of the root cause';
COMMENT ON COLUMN core.updates.failure_fingerprint IS 'Fingerprint of the failure: the same for failures that differ in ids and numbers only';
COMMENT ON COLUMN core.updates.identity IS 'Client that sent it';
COMMENT ON COLUMN core.updates.input_bytes IS 'Bytes of its input';
COMMENT ON COLUMN core.updates.result_bytes IS 'Bytes of its result';

CREATE TABLE core.workflow_tasks (
    namespace VARCHAR NOT NULL,
    workflow_id VARCHAR NOT NULL,
    run_id VARCHAR NOT NULL,
    seq INTEGER NOT NULL,
    scheduled_event_id BIGINT,
    closed_event_id BIGINT,
    scheduled_at TIMESTAMP,
    started_at TIMESTAMP,
    closed_at TIMESTAMP,
    queue_s DOUBLE,
    exec_s DOUBLE,
    attempt INTEGER NOT NULL,
    outcome VARCHAR,
    cause VARCHAR,
    failure_kind VARCHAR,
    failure_type VARCHAR,
    failure_message VARCHAR,
    failure_fingerprint VARCHAR,
    identity VARCHAR,
    build_id VARCHAR,
    history_size_bytes BIGINT,
    suggest_continue_as_new BOOLEAN NOT NULL
);
COMMENT ON TABLE core.workflow_tasks IS 'One row per turn of the workflow code on a worker';
COMMENT ON COLUMN core.workflow_tasks.namespace IS 'Temporal namespace of the run; empty where the source did not say';
COMMENT ON COLUMN core.workflow_tasks.workflow_id IS 'Workflow id of the run';
COMMENT ON COLUMN core.workflow_tasks.run_id IS 'Run id of the run';
COMMENT ON COLUMN core.workflow_tasks.seq IS 'Place among the workflow tasks of the run, from 1';
COMMENT ON COLUMN core.workflow_tasks.scheduled_event_id IS 'Event that scheduled it';
COMMENT ON COLUMN core.workflow_tasks.closed_event_id IS 'Event that ended it';
COMMENT ON COLUMN core.workflow_tasks.scheduled_at IS 'When the server had work, UTC';
COMMENT ON COLUMN core.workflow_tasks.started_at IS 'When a worker took it, UTC';
COMMENT ON COLUMN core.workflow_tasks.closed_at IS 'When the worker answered, or failed to, UTC';
COMMENT ON COLUMN core.workflow_tasks.queue_s IS 'Seconds from scheduling to start';
COMMENT ON COLUMN core.workflow_tasks.exec_s IS 'Seconds from start to end';
COMMENT ON COLUMN core.workflow_tasks.attempt IS '1 for the first';
COMMENT ON COLUMN core.workflow_tasks.outcome IS 'completed, failed or timed_out; NULL while it runs or waits for a worker';
COMMENT ON COLUMN core.workflow_tasks.cause IS 'Temporal''s cause of the failure, without prefix';
COMMENT ON COLUMN core.workflow_tasks.failure_kind IS 'nondeterminism, deadlock, payload_size, sandbox, unregistered, user_exception, reset or server';
COMMENT ON COLUMN core.workflow_tasks.failure_type IS 'Type of the root cause, such as an exception class';
COMMENT ON COLUMN core.workflow_tasks.failure_message IS 'Message of the root cause';
COMMENT ON COLUMN core.workflow_tasks.failure_fingerprint IS 'Fingerprint of the failure: the same for failures that differ in ids and numbers only';
COMMENT ON COLUMN core.workflow_tasks.identity IS 'Worker that took it';
COMMENT ON COLUMN core.workflow_tasks.build_id IS 'Build id of that worker';
COMMENT ON COLUMN core.workflow_tasks.history_size_bytes IS 'Size of the history when it started';
COMMENT ON COLUMN core.workflow_tasks.suggest_continue_as_new IS 'The server advised to continue as new';

CREATE TABLE core.patches (
    namespace VARCHAR NOT NULL,
    workflow_id VARCHAR NOT NULL,
    run_id VARCHAR NOT NULL,
    patch_id VARCHAR NOT NULL,
    deprecated BOOLEAN NOT NULL,
    taken_at TIMESTAMP,
    event_id BIGINT
);
COMMENT ON TABLE core.patches IS 'One row per workflow.patched() branch that a run took';
COMMENT ON COLUMN core.patches.namespace IS 'Temporal namespace of the run; empty where the source did not say';
COMMENT ON COLUMN core.patches.workflow_id IS 'Workflow id of the run';
COMMENT ON COLUMN core.patches.run_id IS 'Run id of the run';
COMMENT ON COLUMN core.patches.patch_id IS 'Patch id';
COMMENT ON COLUMN core.patches.deprecated IS 'The code marks the patch as deprecated';
COMMENT ON COLUMN core.patches.taken_at IS 'When, UTC';
COMMENT ON COLUMN core.patches.event_id IS 'Event that records it';

CREATE TABLE core.failures (
    namespace VARCHAR NOT NULL,
    workflow_id VARCHAR NOT NULL,
    run_id VARCHAR NOT NULL,
    owner_kind VARCHAR NOT NULL,
    owner_id VARCHAR,
    attempt INTEGER,
    failed_at TIMESTAMP,
    level INTEGER NOT NULL,
    is_root BOOLEAN NOT NULL,
    kind VARCHAR NOT NULL,
    type VARCHAR,
    message VARCHAR,
    stack_trace VARCHAR,
    source VARCHAR,
    non_retryable BOOLEAN NOT NULL,
    benign BOOLEAN NOT NULL,
    encoded BOOLEAN NOT NULL,
    fingerprint VARCHAR NOT NULL
);
COMMENT ON TABLE core.failures IS 'One row per link of every chain of failures in a history';
COMMENT ON COLUMN core.failures.namespace IS 'Temporal namespace of the run; empty where the source did not say';
COMMENT ON COLUMN core.failures.workflow_id IS 'Workflow id of the run';
COMMENT ON COLUMN core.failures.run_id IS 'Run id of the run';
COMMENT ON COLUMN core.failures.owner_kind IS 'What failed: run, step, attempt, update or workflow_task';
COMMENT ON COLUMN core.failures.owner_id IS 'Which one: step id, update id or number of the workflow task; NULL for the run';
COMMENT ON COLUMN core.failures.attempt IS 'Attempt number, for attempts';
COMMENT ON COLUMN core.failures.failed_at IS 'When, UTC; NULL where only the failure is known';
COMMENT ON COLUMN core.failures.level IS '0 for the outermost failure, 1 for its cause, and so on';
COMMENT ON COLUMN core.failures.is_root IS 'The innermost cause of its chain';
COMMENT ON COLUMN core.failures.kind IS 'application, timeout, canceled, terminated, server, activity, child_workflow, nexus_operation, nexus_handler, reset or unknown';
COMMENT ON COLUMN core.failures.type IS 'Exception class, or type of the timeout';
COMMENT ON COLUMN core.failures.message IS 'What the failure says';
COMMENT ON COLUMN core.failures.stack_trace IS 'Stack trace, if the SDK recorded one';
COMMENT ON COLUMN core.failures.source IS 'SDK that reported it';
COMMENT ON COLUMN core.failures.non_retryable IS 'Marked as not to be retried';
COMMENT ON COLUMN core.failures.benign IS 'Expected: its author asked not to report it as an error';
COMMENT ON COLUMN core.failures.encoded IS 'Message and stack trace are encrypted; the message is a stand-in';
COMMENT ON COLUMN core.failures.fingerprint IS 'Fingerprint of the chain';

CREATE TABLE core.run_time (
    namespace VARCHAR NOT NULL,
    workflow_id VARCHAR NOT NULL,
    run_id VARCHAR NOT NULL,
    activity_s DOUBLE NOT NULL,
    child_s DOUBLE NOT NULL,
    retry_s DOUBLE NOT NULL,
    queue_s DOUBLE NOT NULL,
    workflow_s DOUBLE NOT NULL,
    human_wait_s DOUBLE NOT NULL,
    wait_s DOUBLE NOT NULL,
    other_s DOUBLE NOT NULL,
    total_s DOUBLE NOT NULL
);
COMMENT ON TABLE core.run_time IS 'One row per run: its duration split by what it did, so that the parts add up; where several things go on at once, the first in the order of the columns counts';
COMMENT ON COLUMN core.run_time.namespace IS 'Temporal namespace of the run; empty where the source did not say';
COMMENT ON COLUMN core.run_time.workflow_id IS 'Workflow id of the run';
COMMENT ON COLUMN core.run_time.run_id IS 'Run id of the run';
COMMENT ON COLUMN core.run_time.activity_s IS 'Seconds in which an activity, local activity or Nexus operation ran';
COMMENT ON COLUMN core.run_time.child_s IS 'Seconds in which a child workflow ran';
COMMENT ON COLUMN core.run_time.retry_s IS 'Seconds of earlier tries and backoff of steps that were tried again';
COMMENT ON COLUMN core.run_time.queue_s IS 'Seconds in which steps or workflow tasks waited for a worker';
COMMENT ON COLUMN core.run_time.workflow_s IS 'Seconds in which workflow code ran';
COMMENT ON COLUMN core.run_time.human_wait_s IS 'Seconds in which the run waited for a person';
COMMENT ON COLUMN core.run_time.wait_s IS 'Seconds in which the run waited for a timer or another message';
COMMENT ON COLUMN core.run_time.other_s IS 'Seconds that nothing in the history explains';
COMMENT ON COLUMN core.run_time.total_s IS 'Seconds from start to end, or to the last event read while it is open';

CREATE TABLE core.spans (
    start_time_unix_nano TIMESTAMP_NS NOT NULL,
    duration_time_unix_nano BIGINT NOT NULL,
    trace_id VARCHAR NOT NULL,
    span_id VARCHAR NOT NULL,
    parent_span_id VARCHAR,
    trace_state VARCHAR,
    service_name VARCHAR,
    service_namespace VARCHAR,
    service_instance_id VARCHAR,
    name VARCHAR NOT NULL,
    kind INTEGER NOT NULL,
    status_code INTEGER NOT NULL,
    status_status_message VARCHAR,
    resource_attributes VARCHAR NOT NULL,
    scope_name VARCHAR,
    scope_version VARCHAR,
    scope_attributes VARCHAR NOT NULL,
    span_attributes VARCHAR NOT NULL,
    events_json VARCHAR NOT NULL,
    links_json VARCHAR NOT NULL,
    dropped_attributes_count INTEGER NOT NULL,
    dropped_events_count INTEGER NOT NULL,
    dropped_links_count INTEGER NOT NULL,
    flags INTEGER NOT NULL,
    end_time TIMESTAMP NOT NULL,
    namespace VARCHAR,
    workflow_id VARCHAR,
    run_id VARCHAR,
    step_id VARCHAR,
    attempt INTEGER,
    span_kind VARCHAR,
    operation VARCHAR
);
COMMENT ON TABLE core.spans IS 'One row per OpenTelemetry span; the first 24 columns are those of read_otlp_traces of the duckdb-otlp extension';
COMMENT ON COLUMN core.spans.start_time_unix_nano IS 'Start, UTC';
COMMENT ON COLUMN core.spans.duration_time_unix_nano IS 'Duration in nanoseconds';
COMMENT ON COLUMN core.spans.trace_id IS 'Trace id, hex';
COMMENT ON COLUMN core.spans.span_id IS 'Span id, hex; unique within its trace';
COMMENT ON COLUMN core.spans.parent_span_id IS 'Span id of the parent, hex; NULL for a root';
COMMENT ON COLUMN core.spans.trace_state IS 'W3C trace state';
COMMENT ON COLUMN core.spans.service_name IS 'Service name of the resource';
COMMENT ON COLUMN core.spans.service_namespace IS 'Service namespace of the resource';
COMMENT ON COLUMN core.spans.service_instance_id IS 'Service instance id of the resource';
COMMENT ON COLUMN core.spans.name IS 'Span name';
COMMENT ON COLUMN core.spans.kind IS '0 unspecified, 1 internal, 2 server, 3 client, 4 producer, 5 consumer';
COMMENT ON COLUMN core.spans.status_code IS '0 unset, 1 ok, 2 error';
COMMENT ON COLUMN core.spans.status_status_message IS 'Description of the status';
COMMENT ON COLUMN core.spans.resource_attributes IS 'Attributes of the resource, JSON object';
COMMENT ON COLUMN core.spans.scope_name IS 'Instrumentation scope';
COMMENT ON COLUMN core.spans.scope_version IS 'Version of the scope';
COMMENT ON COLUMN core.spans.scope_attributes IS 'Attributes of the scope, JSON object';
COMMENT ON COLUMN core.spans.span_attributes IS 'Attributes of the span, JSON object';
COMMENT ON COLUMN core.spans.events_json IS 'Span events, JSON array';
COMMENT ON COLUMN core.spans.links_json IS 'Span links, JSON array';
COMMENT ON COLUMN core.spans.dropped_attributes_count IS 'Attributes that the sender dropped';
COMMENT ON COLUMN core.spans.dropped_events_count IS 'Events that the sender dropped';
COMMENT ON COLUMN core.spans.dropped_links_count IS 'Links that the sender dropped';
COMMENT ON COLUMN core.spans.flags IS 'Trace flags';
COMMENT ON COLUMN core.spans.end_time IS 'End, UTC, microseconds';
COMMENT ON COLUMN core.spans.namespace IS 'Temporal namespace named in the attributes';
COMMENT ON COLUMN core.spans.workflow_id IS 'Workflow id named in the attributes';
COMMENT ON COLUMN core.spans.run_id IS 'Run id named in the attributes';
COMMENT ON COLUMN core.spans.step_id IS 'Step named in the attributes, as in core.steps';
COMMENT ON COLUMN core.spans.attempt IS 'Activity attempt named in the attributes';
COMMENT ON COLUMN core.spans.span_kind IS 'What the span stands for, where Retrospan wrote it: run, workflow, step, attempt, wait and so on';
COMMENT ON COLUMN core.spans.operation IS 'GenAI operation, such as chat or execute_tool';

CREATE TABLE core.llm_calls (
    namespace VARCHAR,
    workflow_id VARCHAR,
    run_id VARCHAR,
    step_id VARCHAR,
    attempt INTEGER,
    usage_source VARCHAR NOT NULL,
    trace_id VARCHAR,
    span_id VARCHAR,
    is_nested BOOLEAN NOT NULL,
    operation VARCHAR NOT NULL,
    provider VARCHAR,
    request_model VARCHAR,
    response_model VARCHAR,
    started_at TIMESTAMP,
    latency_s DOUBLE,
    input_tokens BIGINT,
    cache_read_tokens BIGINT,
    cache_write_tokens BIGINT,
    output_tokens BIGINT,
    reasoning_tokens BIGINT,
    finish_reason VARCHAR,
    error_type VARCHAR,
    input_cost_usd DECIMAL(18,9),
    cache_read_cost_usd DECIMAL(18,9),
    cache_write_cost_usd DECIMAL(18,9),
    output_cost_usd DECIMAL(18,9),
    cost_usd DECIMAL(18,9),
    price_source VARCHAR NOT NULL,
    price_version VARCHAR,
    price_model VARCHAR
);
COMMENT ON TABLE core.llm_calls IS 'One row per model call and per source; mart.llm_calls counts each call once';
COMMENT ON COLUMN core.llm_calls.namespace IS 'Temporal namespace of the run, NULL where no run is known';
COMMENT ON COLUMN core.llm_calls.workflow_id IS 'Workflow id of the run, NULL where no run is known';
COMMENT ON COLUMN core.llm_calls.run_id IS 'Run id of the run, NULL where no run is known';
COMMENT ON COLUMN core.llm_calls.step_id IS 'Step that made the call, NULL where no step is known';
COMMENT ON COLUMN core.llm_calls.attempt IS 'Attempt that made the call, NULL where it is not known';
COMMENT ON COLUMN core.llm_calls.usage_source IS 'span: the client library reported it. history: read from the result of a step';
COMMENT ON COLUMN core.llm_calls.trace_id IS 'Trace of the span, hex';
COMMENT ON COLUMN core.llm_calls.span_id IS 'The span, hex';
COMMENT ON COLUMN core.llm_calls.is_nested IS 'A span around it reports the same call: not to be counted again';
COMMENT ON COLUMN core.llm_calls.operation IS 'chat, text_completion, generate_content, embeddings';
COMMENT ON COLUMN core.llm_calls.provider IS 'Provider as reported';
COMMENT ON COLUMN core.llm_calls.request_model IS 'Model that was asked for';
COMMENT ON COLUMN core.llm_calls.response_model IS 'Model that answered';
COMMENT ON COLUMN core.llm_calls.started_at IS 'Start, UTC; with source history, the start of the attempt';
COMMENT ON COLUMN core.llm_calls.latency_s IS 'Seconds of the call; NULL with source history';
COMMENT ON COLUMN core.llm_calls.input_tokens IS 'All input tokens, those read from or written to a cache included; NULL if not reported';
COMMENT ON COLUMN core.llm_calls.cache_read_tokens IS 'Input tokens that came from a cache';
COMMENT ON COLUMN core.llm_calls.cache_write_tokens IS 'Input tokens that were written to a cache';
COMMENT ON COLUMN core.llm_calls.output_tokens IS 'All output tokens, those for reasoning included; NULL if not reported';
COMMENT ON COLUMN core.llm_calls.reasoning_tokens IS 'Output tokens spent on reasoning';
COMMENT ON COLUMN core.llm_calls.finish_reason IS 'Why the model stopped';
COMMENT ON COLUMN core.llm_calls.error_type IS 'Error of the call, NULL if it succeeded';
COMMENT ON COLUMN core.llm_calls.input_cost_usd IS 'Cost of input tokens outside any cache, US dollars';
COMMENT ON COLUMN core.llm_calls.cache_read_cost_usd IS 'Cost of input tokens from a cache, US dollars';
COMMENT ON COLUMN core.llm_calls.cache_write_cost_usd IS 'Cost of input tokens written to a cache, US dollars';
COMMENT ON COLUMN core.llm_calls.output_cost_usd IS 'Cost of output tokens, US dollars';
COMMENT ON COLUMN core.llm_calls.cost_usd IS 'Cost of the call, US dollars; NULL if its price is not known';
COMMENT ON COLUMN core.llm_calls.price_source IS 'genai-prices, or unpriced';
COMMENT ON COLUMN core.llm_calls.price_version IS 'Version of the price list';
COMMENT ON COLUMN core.llm_calls.price_model IS 'provider/model of the price list that the price is of';
