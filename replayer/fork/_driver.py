"""Plays a recording to workflow code, and goes on by itself where the code leaves it.

As long as the code asks for what was recorded, activations are told exactly what they were told
then: the same answers and messages, in the same order, grouped alike. From the first difference on
the driver simulates: each answer comes after as long as it was recorded to take, timers fire when
they are due, and a signal or update comes once everything is answered that had been answered before
it, or once the run stands still without it.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Sequence

from temporalio.api.common.v1 import Payload, Payloads
from temporalio.api.enums.v1 import EventType
from temporalio.api.update.v1 import Request
from temporalio.api.workflowservice.v1 import StartWorkflowExecutionRequest

from replayer.fork._answers import Asked, identity
from replayer.fork._endings import PLACEHOLDER, TRY_AGAIN, put_into_job
from replayer.fork._places import EXTERNAL, Word, named, position_of, stand_ins, word
from replayer.fork._plans import Plan, Planner
from replayer.fork._server import ForkServer, completed_child, failed_child
from replayer.fork._trail import Lived, Told, Trail
from replayer.fork._worker import Helm, TaskGate
from replayer.fork.changes import Root, SendSignal, json_payload, payloads_set
from replayer.fork.errors import ForkError
from replayer.fork.report import AnswerSource, StopReason
from replayer.fork.script import Activation, Item, ItemKind
from tracer.model import Outcome, RunStatus, Step, StepKind

_MOST_ATTEMPTS = 100
"""Attempts that are really made; more are only noted in the stored history."""
_TIMER_MARGIN_NS = 50_000_000
"""How close the clock comes to a timer that must not fire yet."""
_TICK_NS = 1_000_000


class Driver:
    """Drives one fork to where it ends."""

    def __init__(self, planner: Planner, server: ForkServer, gate: TaskGate, helm: Helm) -> None:
        self._planner = planner
        self._script, self._point, self._changes = planner.script, planner.point, planner.changes
        self._server = server
        self._gate = gate
        self._helm = helm
        self._ledger = server.tail.ledger
        self._on_track = True
        self._position = 0
        self._items = [item for each in self._script.activations for item in each.inbound]
        self._group = {
            id(item): index
            for index, each in enumerate(self._script.activations)
            for item in each.inbound
        }
        self._done: set[int] = set()
        """`id` of the items that were delivered, or that the fork made superfluous."""
        self._asked_for = Counter[Word]()
        self._told_of = Counter[Word]()
        self._positions: dict[int, tuple[Counter[Word], Counter[Word]]] = {}
        self._open: list[Plan] = []
        """Steps that were asked for and not answered yet, in the order of asking."""
        self._targets = Counter[str]()
        self._seen_tasks = 0
        self._now = self._script.activations[0].started_at
        self._offset = 0
        self._is_stopping = False
        self._local_turn = asyncio.Condition()
        self.trail = Trail(plans=planner.used)

    # -- the course of things ------------------------------------------------------------------

    async def run(self, request: StartWorkflowExecutionRequest) -> None:
        """Start the fork and drive it to its end."""
        for workflow_id in stand_ins(self._script):
            await self._server.start_stand_in(workflow_id)
        await self._server.start(request)
        self._offset = self._now - await self._server.now()
        first = self._script.activations[0]
        for item in first.inbound:
            await self._deliver(item, item.at)
        if self._point.activation == 0 and self._point.item is None:
            await self._inject(first.started_at)
        self._gate.open(sticky=False)
        await self._task_done(first)
        while not self._is_over():
            activation = await self._tell()
            if activation is None:
                break
            self._gate.open(sticky=True)
            await self._task_done(activation if self._on_track else None)
        self.trail.undelivered = [item for item in self._items if self._is_open_message(item)]

    async def _tell(self) -> Activation | None:
        """Deliver what the next activation is to be told; None when there is nothing to tell."""
        if self._on_track and self._position + 1 < len(self._script.activations):
            self._position += 1
            activation = self._script.activations[self._position]
            await self._tell_as_recorded(activation)
            return activation
        if self._on_track and await self._end_as_recorded():
            return None
        if not await self._simulate():
            return None
        self._helm.now = self._now
        return self._script.activations[-1]

    async def _tell_as_recorded(self, activation: Activation) -> None:
        for item in activation.inbound:
            self._now = max(self._now, item.at)
            await self._deliver(item, item.at)
            if item is self._point.item:
                await self._inject(item.at)
        is_here = self._script.activations[self._point.activation] is activation
        if is_here and self._point.item is None:
            await self._inject(activation.started_at)
        self._now = self._helm.now = max(self._now, activation.started_at)

    async def _end_as_recorded(self) -> bool:
        """End the fork as the recording ended, where no command of the workflow did that."""
        run = self._script.run
        last = self._script.history.events[-1]
        if run.status is RunStatus.TERMINATED:
            a = last.workflow_execution_terminated_event_attributes
            details = a.details if a.HasField("details") else None
            await self._server.terminate(a.reason, a.identity, details)
            await self._server.tail.until(self._is_over, "its termination")
            return True
        if run.is_closed or self._changes:
            self._part("the recording ends here")
            return False
        self._stop(StopReason.RECORDING_ENDS, "the recorded run was still open here")
        return True

    def _is_over(self) -> bool:
        if self._is_stopping:
            return True
        closing = self._ledger.closing
        if closing is None:
            return False
        if closing.event_type == EventType.EVENT_TYPE_WORKFLOW_EXECUTION_CONTINUED_AS_NEW:
            self._stop(
                StopReason.CONTINUED_AS_NEW,
                "the run continued as new; the next run of the chain is not part of a fork",
            )
        return True

    async def _task_done(self, recorded: Activation | None) -> None:
        """Wait for the end of the workflow task that was let in, and take in what it asked for."""
        started_at = self._helm.now
        while True:
            await self._server.tail.until(self._has_moved, "the end of a workflow task")
            if self._is_stopping:
                return
            self._seen_tasks = self._ledger.task_ends
            if self._ledger.has_task_timed_out:
                # The worker was too slow: the server hands the task out again, to anybody.
                self._gate.open(sticky=False)
                continue
            if not self._pending_local():
                break
            # Only kept alive for a local activity: the next task belongs to the same activation.
            self._gate.open(sticky=True)
        completed_at = max(self._now, self._helm.now)
        if recorded is not None and self._on_track:
            completed_at = max(recorded.completed_at, completed_at)
        self.trail.lived.append(Lived(started_at, completed_at, self._seen_tasks))
        self._now = completed_at
        if (failure := self._ledger.task_failure) is not None:
            self._stop(StopReason.TASK_FAILED, failure)
            return
        await self._take_in(recorded)

    def _has_moved(self) -> bool:
        return self._is_stopping or self._ledger.task_ends > self._seen_tasks

    async def _take_in(self, recorded: Activation | None) -> None:
        new = self._helm.take_sent()
        for asked in new:
            self._asked_for[word(asked.kind, asked.name)] += 1
            if asked.kind is not StepKind.LOCAL_ACTIVITY:
                plan = await self._planner.plan(asked, self._now)
                self._open.append(plan)
                if asked.kind in EXTERNAL:
                    self._targets[asked.id] += 1
                    plan.ordinal = self._targets[asked.id]
        if recorded is not None and self._on_track:
            await self._compare(new, recorded)

    async def _compare(self, new: Sequence[Asked], recorded: Activation) -> None:
        """See whether the code asked for what was recorded."""
        for local in (False, True):
            mine = [a for a in new if (a.kind is StepKind.LOCAL_ACTIVITY) is local]
            theirs = [s for s in recorded.asked if (s.kind is StepKind.LOCAL_ACTIVITY) is local]
            if local:
                mine.sort(key=lambda asked: (asked.name, asked.id))
                theirs.sort(key=lambda step: (step.name, step.id))
            for asked, step in zip(mine, theirs, strict=False):
                if not await self._is_same(asked, step):
                    self._part(f"asked for {named(asked)} where {named(step)} was recorded")
                    return
                if (plan := self._open_plan(asked.kind, asked.id)) is not None and not local:
                    plan.asked_at = step.scheduled_at
            if len(mine) > len(theirs):
                self._part(f"asked for {named(mine[len(theirs)])}, which was not recorded")
                return
            if len(mine) < len(theirs):
                self._part(f"did not ask for {named(theirs[len(mine)])}, which was recorded")
                return

    async def _is_same(self, asked: Asked, step: Step) -> bool:
        payloads = await self._planner.decoded(step.input)
        delay = round(step.timeouts.get("start_to_fire", 0.0) * 1e9)
        recorded = identity(step.kind, step.name, payloads, delay)
        mine = identity(asked.kind, asked.name, asked.input, asked.delay_ns)
        return recorded == mine and asked.id == step.id and not asked.is_edited

    def _part(self, where: str) -> None:
        if self._on_track:
            self.trail.parted_after = self._now
        self._on_track = False
        self.trail.parted_at = self.trail.parted_at or where

    def _stop(self, why: StopReason, reason: str) -> None:
        self._is_stopping = True
        self.trail.stopped, self.trail.reason = why, reason

    # -- beyond the recording ------------------------------------------------------------------

    async def _simulate(self) -> bool:
        """Deliver what comes next; False when nothing can."""
        if (natural := self._natural()) is not None:
            await self._server.tail.until(natural, "what it does by itself")
            self._note_naturals()
            return True
        message = next((item for item in self._items if self._is_open_message(item)), None)
        if message is not None and self._is_ready(message):
            await self._deliver_message(message)
            return True
        answers = sorted(filter(self._can_answer, self._open), key=lambda plan: plan.due)
        timers = sorted(self._timers(), key=lambda plan: plan.due)
        if answers and not (timers and timers[0].due < answers[0].due):
            await self._answer_together(answers)
            return True
        if answers:
            await self._fire(timers[0], max(self._now, timers[0].due))
            return True
        if lives := [plan.live for plan in self._open if plan.live is not None]:
            await asyncio.wait(lives, return_when=asyncio.FIRST_COMPLETED)
            self._take_live()
            return await self._simulate()
        return await self._move_on(message, timers)

    async def _move_on(self, message: Item | None, timers: list[Plan]) -> bool:
        """What moves a run that has no more answers: a message, a timer, or nothing."""
        unanswered = [p for p in self._open if p.blocks]
        if unanswered:
            names = ", ".join(dict.fromkeys(plan.asked.name for plan in unanswered))
            self._stop(StopReason.UNANSWERED, f"the recording has no answer for {names}")
            return False
        if message is not None and not (timers and self._fired_before(timers[0], message)):
            await self._deliver_message(message)
            return True
        if timers:
            await self._fire(timers[0], max(self._now, timers[0].due))
            return True
        self._stop(
            StopReason.WAITING,
            "it waits for a signal or update that the recording does not have there",
        )
        return False

    async def _answer_together(self, answers: list[Plan]) -> None:
        """Give the first answer, and those that came in the same activation as it."""
        first = answers[0]
        self._now = max(self._now, first.due)
        await self._answer(first, self._now)
        group = self._group_of(first)
        for plan in answers[1:]:
            if group is not None and self._group_of(plan) == group:
                self._now = max(self._now, plan.due)
                await self._answer(plan, self._now)
        if first.recorded is not None and first.recorded is self._point.step:
            await self._inject(self._now)

    def _group_of(self, plan: Plan) -> int | None:
        item = self._item_of(plan.recorded)
        return None if item is None else self._group[id(item)]

    def _item_of(self, step: Step | None) -> Item | None:
        if step is None:
            return None
        return next(
            (i for i in self._items if i.step is step and i.kind is ItemKind.STEP_CLOSED), None
        )

    async def _deliver_message(self, item: Item) -> None:
        earliest = min((plan.due for plan in self._timers()), default=None)
        at = max(self._now, self._time_of(item))
        self._now = at if earliest is None else max(self._now, min(at, earliest - _TICK_NS))
        await self._deliver(item, self._now)
        if item is self._point.item:
            await self._inject(self._now)

    def _time_of(self, message: Item) -> int:
        """When a message comes: as long after what came before it as it was recorded to."""
        index = self._items.index(message)
        before = self._items[index - 1].at if index else self._script.activations[0].started_at
        return self._now + max(0, message.at - before)

    def _is_open_message(self, item: Item) -> bool:
        return item.is_message and id(item) not in self._done

    def _is_ready(self, message: Item) -> bool:
        """Whether the fork asked for, and was told, what the recorded run had by then."""
        if id(message) not in self._positions:
            self._positions[id(message)] = position_of(self._script, message)
        asked, told = self._positions[id(message)]
        return asked <= self._asked_for and told <= self._told_of

    def _fired_before(self, timer: Plan, message: Item) -> bool:
        item = self._item_of(timer.recorded)
        return item is not None and self._items.index(item) < self._items.index(message)

    def _open_plan(self, kind: StepKind, step_id: str) -> Plan | None:
        return next((p for p in self._open if (p.asked.kind, p.asked.id) == (kind, step_id)), None)

    def _can_answer(self, plan: Plan) -> bool:
        if not plan.is_answerable or plan.asked.kind not in _ANSWERED_BY_US:
            return False
        if plan.asked.kind is not StepKind.CHILD_WORKFLOW:
            return True
        return plan.asked.id in self._ledger.children_begun and not plan.never_started

    def _timers(self) -> list[Plan]:
        running = self._ledger.timers
        return [
            plan
            for plan in self._open
            if plan.asked.kind is StepKind.TIMER and plan.asked.id in running
        ]

    def _take_live(self) -> None:
        for plan in self._open:
            if plan.live is not None and plan.live.done():
                plan.ending, plan.attempts = plan.live.result()
                plan.live = None

    # -- what the server does by itself --------------------------------------------------------

    def _natural(self) -> Callable[[], bool] | None:
        """What the server will tell the run unasked; None when there is nothing of the kind."""
        waiting = [plan for plan in self._open if self._is_natural(plan)]
        if not waiting:
            return None
        return lambda: any(not self._is_natural(plan) for plan in waiting)

    def _is_natural(self, plan: Plan) -> bool:
        match plan.asked.kind:
            case StepKind.CHILD_WORKFLOW:
                return plan.asked.id not in self._ledger.children_begun
            case StepKind.SIGNAL_EXTERNAL | StepKind.CANCEL_EXTERNAL:
                return not self._is_external_answered(plan)
        return False

    def _note_naturals(self) -> None:
        for plan in list(self._open):
            if plan.asked.kind in EXTERNAL and self._is_external_answered(plan):
                self._close(plan, self._now)

    def _is_external_answered(self, plan: Plan) -> bool:
        return self._ledger.external_answered[plan.asked.id] >= plan.ordinal

    # -- delivering ----------------------------------------------------------------------------

    async def _deliver(self, item: Item, at: int) -> None:
        """Tell the fork one thing."""
        self._done.add(id(item))
        await self._advance(at, item)
        match item.kind:
            case ItemKind.SIGNAL:
                await self._signal(item, at)
            case ItemKind.UPDATE:
                await self._update(item, at)
            case ItemKind.CANCEL_REQUEST:
                a = item.event.workflow_execution_cancel_requested_event_attributes
                await self._server.cancel(a.cause, a.identity)
                self._told(item, at, AnswerSource.RECORDED)
            case ItemKind.CHILD_STARTED if item.step is not None:
                workflow_id = item.step.id
                await self._server.tail.until(
                    lambda: workflow_id in self._ledger.children_begun,
                    f"the start of child {workflow_id}",
                )
                self.trail.child_started_at[workflow_id] = at
            case ItemKind.STEP_CLOSED if item.step is not None:
                plan = self._open_plan(item.step.kind, item.step.id)
                if plan is None:
                    return
                if plan.asked.kind is StepKind.TIMER:
                    await self._fire(plan, at)
                elif plan.asked.kind in EXTERNAL or plan.never_started:
                    await self._server.tail.until(
                        lambda: not self._is_natural(plan), f"the answer to {plan.asked.name}"
                    )
                    self._close(plan, at)
                else:
                    await self._answer(plan, at)

    async def _signal(self, item: Item, at: int) -> None:
        a = item.event.workflow_execution_signaled_event_attributes
        is_changed = item is self._point.item and bool(self._changes.sets_of(Root.SIGNAL))
        payloads = await self._edited(item, Root.SIGNAL, a.input.payloads)
        await self._server.signal(
            a.signal_name, Payloads(payloads=payloads), identity=a.identity, header=a.header
        )
        self._told(item, at, AnswerSource.CHANGED if is_changed else AnswerSource.RECORDED)

    async def _update(self, item: Item, at: int) -> None:
        a = item.event.workflow_execution_update_accepted_event_attributes
        request = Request()
        request.CopyFrom(a.accepted_request)
        is_changed = item is self._point.item and bool(self._changes.sets_of(Root.UPDATE))
        payloads = await self._edited(item, Root.UPDATE, request.input.args.payloads)
        request.input.args.CopyFrom(Payloads(payloads=payloads))
        if not request.meta.update_id:
            request.meta.update_id = a.protocol_instance_id
        await self._server.update(request)
        self._told(item, at, AnswerSource.CHANGED if is_changed else AnswerSource.RECORDED)

    async def _edited(
        self, item: Item, root: Root, payloads: Sequence[Payload]
    ) -> Sequence[Payload]:
        sets = self._changes.sets_of(root)
        if item is not self._point.item or not sets:
            return payloads
        decoded = await self._planner.decoded(payloads)
        changed = payloads_set(decoded, sets, where=f"{root} {item.name}")
        return await self._planner.encoded(changed)

    def _told(self, item: Item, at: int, source: AnswerSource) -> None:
        self.trail.told.append(Told(item.kind.value, item.name, at, source, item.event))

    async def _inject(self, at: int) -> None:
        """Send the signals that the recording does not have."""
        for signal in self._changes.signals:
            await self._server.signal(
                signal.name, await self._arguments(signal), identity="retrospan fork"
            )
            told = Told(ItemKind.SIGNAL.value, signal.name, at, AnswerSource.INJECTED)
            self.trail.told.append(told)

    async def _arguments(self, signal: SendSignal) -> Payloads:
        payloads = [json_payload(value) for value in signal.arguments]
        return Payloads(payloads=await self._planner.encoded(payloads))

    async def _answer(self, plan: Plan, at: int) -> None:
        """Give a step its answer."""
        if plan.ending is None and plan.live is not None:
            plan.ending, plan.attempts = await plan.live
            plan.live = None
        if plan.ending is None:
            self._part(f"{plan.asked.name} has no answer")
            return
        if plan.asked.kind is StepKind.ACTIVITY:
            await self._answer_activity(plan)
        elif plan.asked.kind is StepKind.CHILD_WORKFLOW:
            await self._answer_child(plan)
        else:
            raise ForkError(f"{plan.asked.kind} {plan.asked.name} cannot be answered in a fork")
        self._close(plan, at)

    async def _answer_activity(self, plan: Plan) -> None:
        assert plan.ending is not None
        await self._expect("resolve_activity", plan)
        queue, activity_id = plan.asked.task_queue, plan.asked.id
        for _ in range(min(plan.attempts, _MOST_ATTEMPTS) - 1):
            token = await self._server.activity_task(queue, activity_id)
            await self._server.fail_activity(token, TRY_AGAIN)
        token = await self._server.activity_task(queue, activity_id)
        if plan.ending.outcome is Outcome.COMPLETED:
            await self._server.complete_activity(token, plan.ending.result)
        else:
            await self._server.fail_activity(token, PLACEHOLDER)

    async def _answer_child(self, plan: Plan) -> None:
        assert plan.ending is not None
        await self._expect("resolve_child_workflow_execution", plan)
        is_completed = plan.ending.outcome is Outcome.COMPLETED
        command = completed_child(plan.ending.result) if is_completed else failed_child(PLACEHOLDER)
        workflow_id = plan.asked.id
        ended = self._ledger.children_ended
        before = len(ended)
        await self._server.close_child(plan.asked.task_queue, workflow_id, command)
        await self._server.tail.until(
            lambda: workflow_id in ended[before:], f"the end of child workflow {workflow_id}"
        )

    async def _expect(self, job: str, plan: Plan) -> None:
        assert plan.ending is not None
        ending, kind = await self._planner.decoded_ending(plan.ending), plan.asked.kind
        self._helm.resolutions[job, plan.asked.seq] = lambda each: put_into_job(kind, ending, each)

    def _close(self, plan: Plan, at: int) -> None:
        plan.is_delivered, plan.closed_at = True, at
        self._open.remove(plan)
        step = plan.recorded
        self._told_of[word(plan.asked.kind, plan.asked.name)] += 1
        if (item := self._item_of(step)) is not None:
            self._done.add(id(item))

    async def _fire(self, plan: Plan, at: int) -> None:
        """Let a timer fire."""
        timer_id = plan.asked.id
        due = self._ledger.timers.get(timer_id)
        if due is not None:
            await self._server.jump_to(due)
        else:
            self.trail.notes.append(
                f"timer {timer_id} fired before its place: it is shorter than this machine is fast"
            )
        await self._server.tail.until(
            lambda: timer_id not in self._ledger.timers, f"timer {timer_id}"
        )
        self._now = max(self._now, at)
        self._close(plan, at)

    async def _advance(self, at: int, item: Item) -> None:
        """Move the server's clock along, where a timer runs that is not to fire yet.

        Timers then fall due in the order in which they did, whatever the steps between took.
        """
        timers = self._ledger.timers
        own = item.step.id if item.step is not None and item.step.kind is StepKind.TIMER else None
        others = [due for timer_id, due in timers.items() if timer_id != own]
        if own is not None or not others:
            return
        target = min(at - self._offset, min(others) - _TIMER_MARGIN_NS)
        if target - await self._server.now() > _TIMER_MARGIN_NS:
            await self._server.jump_to(target)

    # -- local activities ----------------------------------------------------------------------

    def _pending_local(self) -> list[Plan]:
        return [plan for plan in self._open if plan.asked.kind is StepKind.LOCAL_ACTIVITY]

    async def answer_local(self, activity_id: str) -> Plan:
        """The answer for a local activity, when it is its turn.

        Called by the worker for every attempt; comes back for the last one only.
        """
        plan = self._open_plan(StepKind.LOCAL_ACTIVITY, activity_id)
        if plan is None:
            asked = next(
                a
                for a in reversed(self._helm.asked)
                if a.kind is StepKind.LOCAL_ACTIVITY and a.id == activity_id
            )
            plan = await self._planner.plan(asked, self._helm.now)
            self._open.append(plan)
        async with self._local_turn:
            await self._local_turn.wait_for(lambda: self._is_turn(plan))
        return plan

    def _is_turn(self, plan: Plan) -> bool:
        if plan.recorded is None:
            return True
        seqs = [p.recorded.seq for p in self._pending_local() if p.recorded is not None]
        return plan.recorded.seq <= min(seqs, default=plan.recorded.seq)

    async def local_answered(self, plan: Plan) -> None:
        """A local activity gets its answer now."""
        await self._expect("resolve_activity", plan)
        recorded = plan.recorded.closed_at if plan.recorded is not None else None
        at = recorded if recorded is not None and self._on_track else plan.due
        self._helm.now = max(self._helm.now, at)
        self._close(plan, at)
        async with self._local_turn:
            self._local_turn.notify_all()

    async def decoded_result(self, plan: Plan) -> list[Payload]:
        """What a local activity returns, before the codec."""
        assert plan.ending is not None
        result = plan.ending.result
        return await self._planner.decoded(result.payloads if result is not None else ())

    async def local_unanswered(self, plan: Plan) -> None:
        """Nobody knows an answer for a local activity: the fork stops there."""
        reason = f"the recording has no answer for {plan.asked.name}"
        self._stop(StopReason.UNANSWERED, reason)
        self._server.tail.wake()


_ANSWERED_BY_US = frozenset({StepKind.ACTIVITY, StepKind.CHILD_WORKFLOW})
