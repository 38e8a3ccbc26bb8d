"""Solvers with the interface of pycaffe's, on top of the embedded engine."""

from __future__ import annotations

import logging
import math
import os
import time
import weakref
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

from p3d import _core
from p3d.caffe import (
    finite,
    mode,
    place,
    snapshot,
    solver_file,
    solver_log,
    update_rules,
    weight_writer,
)
from p3d.caffe.learning_rate import LearningRate
from p3d.caffe.loss_scale import LossScale
from p3d.caffe.nccl import NCCL
from p3d.caffe.proto import caffe_pb2
from p3d.caffe.pycaffe import Net
from p3d.caffe.smoothed_loss import SmoothedLoss
from p3d.error import DiskFull, Error
from p3d.hdf5 import import_h5py
from p3d.wording import errors_of

log = logging.getLogger("p3d")

STOP, SNAPSHOT = "stop", "snapshot"


class Solver:
    """Trains a net as a solver.prototxt says, of which `solver` is the path, the text or the
    message.

    Beyond pycaffe's: `observers`, functions that get a dict for every displayed iteration and
    every test; `requested_action`, which is asked between iterations and returns STOP, SNAPSHOT
    or None.

    Where several train one net (see NCCL), rank 0 alone tests, logs and writes snapshots, and
    random numbers follow from random_seed + rank.

    Raises RuntimeError with the file or layer, the value and the cure.
    """

    type = "SGD"

    def __init__(self, solver: Any) -> None:
        self.param, self._origin = solver_file.load(solver)
        self._rate = LearningRate(self.param, self._origin)
        update_rules.check(self.type, self.param, self._origin)
        if self._hdf5:
            import_h5py(f"{self._origin}: snapshot_format HDF5")
        self._root = mode.solver_rank() == 0
        self._nccl: NCCL | None = None
        if self.param.random_seed >= 0:
            _core.set_random_seed(self.param.random_seed + mode.solver_rank())
        self.net = _make(solver_file.train_net(self.param, self._origin))
        for files in self.param.weights:
            for file in files.split(","):
                self.net.copy_from(solver_file.path_of(file.strip(), self._origin))
        tests = solver_file.test_nets(self.param, self._origin)
        self.test_nets = [_make_tester(net, self._origin) for net in tests] if self._root else []
        if self.param.debug_info and self._root:
            self._debug()
        self._updater = _core.Updater(self.net._net, update_rules.KINDS[self.type].rule)
        self.iter = 0
        self.observers: list[Callable[[dict[str, Any]], object]] = []
        self.requested_action: Callable[[], str | None] = lambda: None
        self._callbacks: list[tuple[Callable[[], object], Callable[[], object]]] = []
        self._loss = SmoothedLoss(self.param)
        self._loss_scale = LossScale()
        self._others: place.States = {}  # what an NCCL knows of other ranks for snapshots
        self._stopped = False
        self._saved: int | None = None  # the iteration of the last snapshot
        self._state: str | None = None  # its file, or the one that the training went on from
        # Where the iteration began that runs now; None while weights are being changed.
        self._place: place.Place | None = None
        self._shown = (0, time.perf_counter())  # iteration and time of the last displayed loss

    # --- pycaffe's

    @property
    def lr(self) -> float:
        """The rate of the next update, for an lr_mult of 1."""
        return self._rate.ahead(self.iter)

    def add_callback(
        self,
        on_start: Callable[[], object] | NCCL,
        on_gradients_ready: Callable[[], object] | None = None,
    ) -> None:
        """Have functions called at the start of each iteration, and before each update; or those
        of an NCCL."""
        if isinstance(on_start, NCCL):
            self._nccl = on_start
            on_gradients_ready = on_start.on_gradients_ready
            on_start = on_start.on_start
        elif on_gradients_ready is None:
            raise TypeError("add_callback takes two functions or an NCCL")
        self._callbacks.append((on_start, on_gradients_ready))

    def share_weights(self, net: Net) -> None:
        """Let a net use the parameters of the training net."""
        net.share_with(self.net)

    def step(self, iterations: int) -> None:
        """Do so many iterations: forward, backward, update, and what is due in between."""
        self._shown = (self.iter, time.perf_counter())
        stop = self.iter + iterations
        with self._leaving():
            self._place = place.save(self._nets, self._others)
            while self.iter < stop and not self._stopped:
                if self._test_due(first=self.param.test_initialization):
                    self._test_all()
                    if self._stopped:
                        break
                self._iterate()
                self._place = place.save(self._nets, self._others)
                self._act(due=bool(self.param.snapshot) and self.iter % self.param.snapshot == 0)

    def solve(self, state: str | os.PathLike[str] | None = None) -> None:
        """Train up to max_iter, from a .solverstate if one is given.

        Whatever ends the training early, the iterations done so far are saved, if their weights
        are finite. Where they could not be saved, the training does not begin.
        """
        if self._root and (self.param.snapshot or self.param.snapshot_after_train):
            snapshot.make_place(self.param.snapshot_prefix)
        self._log("Solving %s", self.net.name)
        self._log("Learning Rate Policy: %s", self.param.lr_policy)
        self._stopped = False
        if state is not None:
            self._log("Restoring previous solver status from %s", os.fspath(state))
            self.restore(state)
        with self._saving():
            self.step(self.param.max_iter - self.iter)
        if self._root and self.param.snapshot_after_train and self._saved != self.iter:
            self.snapshot()
        if self._stopped:
            self._log("Optimization stopped early.")
            return
        self._finish()
        self._log("Optimization Done.")

    def snapshot(self) -> None:
        """Write the weights and the state, to files called snapshot_prefix and the iteration.

        Raises Error, and writes nothing, where a weight or moment is not finite, and on another
        rank than 0.
        """
        if not self._root:
            raise Error(f"rank {mode.solver_rank()} writes no snapshots: ask the solver of rank 0")
        self._snapshot(place.save(self._nets, self._others))

    def restore(self, path: str | os.PathLike[str]) -> None:
        """Go on from a .solverstate or .solverstate.h5, of ours or of another Caffe."""
        name = os.fspath(path)
        state = snapshot.read(name)
        snapshot.check_history(state.history, self._updater.history, name)
        self.net.copy_from(snapshot.learned_net_path(state.learned_net, name))
        for values, blob in zip(state.history, self._updater.history, strict=True):
            blob.assign(values)
        self.iter = self._saved = state.iter
        self._state = name
        self._rate.drops = state.current_step
        self._rate.restore(state.place)
        self._loss.restore(state.place, self.iter)
        self._loss_scale.restore(state.place)
        if state.place.by_layer:
            self.net.run_by_layer()
        place.restore(state.place, self._nets)

    def apply_update(self) -> None:
        """One update from the gradients that the parameters have now."""
        self._rate.advance(self.iter)
        rate = self._rate.at(self.iter)
        if self._display_due():
            self._log("Iteration %d, lr = %g", self.iter, rate)
        squares = self._updater.gradient_squares()
        scale = self.net._net.loss_scale
        if not all(map(math.isfinite, squares)):
            if self._loss_scale.refuse():
                self._log(
                    "Iteration %d, gradients beyond fp16: no update, the loss is scaled by %g now",
                    self.iter,
                    self._loss_scale.value,
                )
                self.iter += 1
                return
            where = finite.first_in_backward(self.net, self._updater.params, squares)
            raise Error(self._not_finite(where))
        factor = self._clipping(sum(squares) / scale**2) / self.param.iter_size / scale
        self._place = None
        with errors_of(f"{self._origin}: the update of the weights"):
            broken = self._updater.apply(
                **update_rules.numbers(self.type, self.param, rate, self.iter),
                l1=self.param.regularization_type == "L1",
                gradient_scale=factor,
            )
        if broken >= 0:
            layer, blob, *_ = self._updater.params[broken]
            name = self.net._layer_names[layer]
            raise Error(self._not_finite(f"in the updated weights of layer '{name}', blob {blob}"))
        self._loss_scale.accept()
        self.iter += 1

    # --- one iteration

    @property
    def _nets(self) -> list[Net]:
        return [self.net, *self.test_nets]

    def _iterate(self) -> None:
        self.net.clear_param_diffs()
        self.net._net.scale_loss(self._loss_scale.value)
        for on_start, _ in self._callbacks:
            on_start()
        loss = float(np.mean([self._forward_backward() for _ in range(self.param.iter_size)]))
        if self._nccl is not None and self._rate.follows_loss:
            loss = self._nccl.mean(loss)  # or each rank would have a rate of its own
        smoothed = self._loss.add(self.iter, loss)
        self._rate.note(self.iter, smoothed)
        if self._display_due() and self._root:
            self._show(smoothed)
        for _, on_gradients_ready in self._callbacks:
            on_gradients_ready()
        self.apply_update()

    def _forward_backward(self) -> float:
        loss = self.net._forward_backward()
        if not math.isfinite(loss):
            if self._nccl is not None:
                self._nccl.check()
            self._leave()  # the layers that run now run on this rank only
            raise Error(self._not_finite(finite.first_in_forward(self.net)))
        return loss

    def _clipping(self, squares: float) -> float:
        """The factor for all gradients that clip_gradients asks for."""
        limit, norm = self.param.clip_gradients, math.sqrt(squares)
        if limit < 0 or norm <= limit:
            return 1.0
        self._log(
            "Gradient clipping: scaling down gradients (L2 norm %g > %g) by scale factor %g",
            norm,
            limit,
            limit / norm,
        )
        return limit / norm

    def _not_finite(self, where: str) -> str:
        return (
            f"{self._origin}: iteration {self.iter}: a number is not finite (NaN or infinity), "
            f"first {where}; a smaller base_lr, a warm-up or clip_gradients may help"
        )

    def _act(self, due: bool) -> None:
        """Snapshots that are due or asked for, and the wish to stop."""
        action = self.requested_action()
        if self._root and (due or action is not None):
            self.snapshot()
        if action == STOP:
            self._stopped = True

    def _act_in_test(self) -> None:
        """As _act; the state is that before the test, which then is done again."""
        action = self.requested_action()
        if action is not None:
            now = place.save(self._nets, self._others)
            before = self._place or now
            place.go_back(before, self._nets)
            self._snapshot(before)
            place.go_back(now, self._nets)
        if action == STOP:
            self._stopped = True

    # --- other ranks

    def _leave(self) -> None:
        """The others need not wait for this one."""
        if self._nccl is not None:
            self._nccl.leave()

    @contextmanager
    def _leaving(self) -> Iterator[None]:
        """An error inside ends the training of all ranks."""
        try:
            yield
        except BaseException:
            self._leave()
            raise

    # --- telling

    def _log(self, message: str, *values: Any) -> None:
        if self._root:
            log.info(message, *values)

    def _debug(self) -> None:
        """debug_info: of the training net only in iterations whose loss is shown."""
        tell = weakref.WeakMethod(self._log_if_due)  # a net lives as long as its hooks
        self.net._net.set_debug_log(lambda line: (alive := tell()) and alive(line))
        for net in self.test_nets:
            net._net.set_debug_log(log.info)

    def _log_if_due(self, line: str) -> None:
        if self._display_due():
            log.info(line)

    def _display_due(self) -> bool:
        return bool(self.param.display) and self.iter % self.param.display == 0

    def _show(self, loss: float) -> None:
        now = time.perf_counter()
        seconds = now - self._shown[1]
        per_second = (self.iter - self._shown[0]) / (seconds or 1)
        solver_log.progress(self.iter, per_second, seconds, self.param.display, loss)
        self._shown = (self.iter, now)
        results = list(solver_log.outputs(self.net))
        solver_log.scores("Train", results)
        self._observe("train", results, loss=loss, lr=self.lr, iter_per_s=per_second)

    def _observe(self, kind: str, results: list[Any], **more: Any) -> None:
        named = {name: values.tolist() for name, _, values in results}
        for observer in self.observers:
            observer({"event": kind, "iter": self.iter, **more, "outputs": named})

    def _finish(self) -> None:
        """What Caffe does after the last iteration."""
        if self._display_due():
            loss = self.net._forward(0, len(self.net.layers) - 1)
            self._log("Iteration %d, loss = %g", self.iter, self._loss.add(self.iter, loss))
        if self._test_due(first=True):
            self._test_all()

    # --- tests

    def _test_due(self, first: bool) -> bool:
        interval = self.param.test_interval
        return (
            self._root and bool(interval) and self.iter % interval == 0 and (self.iter > 0 or first)
        )

    def _test_all(self) -> None:
        """The training's random numbers go on where they were: other ranks do not test."""
        state = _core.random_state()
        for number in range(len(self.test_nets)):
            if not self._stopped:
                self._test(number)
        _core.set_random_seed(state)

    def _test(self, number: int) -> None:
        log.info("Iteration %d, Testing net (#%d)", self.iter, number)
        net, batches = self.test_nets[number], self.param.test_iter[number]
        net.share_with(self.net)
        sums: list[Any] = []
        loss = 0.0
        for _ in range(batches):
            self._act_in_test()
            if self._stopped:
                log.info("Test interrupted.")
                return
            loss += net._forward(0, len(net.layers) - 1)
            batch = list(solver_log.outputs(net))
            sums = [
                (name, weight, values + (sums[i][2] if sums else 0))
                for i, (name, weight, values) in enumerate(batch)
            ]
        more = {"loss": loss / batches} if self.param.test_compute_loss and batches else {}
        if more:
            log.info("Test loss: %g", more["loss"])
        means = [(name, weight, values / batches) for name, weight, values in sums]
        solver_log.scores("Test", means)
        self._observe("test", means, net=number, **more)

    # --- snapshots

    @property
    def _hdf5(self) -> bool:
        return bool(self.param.snapshot_format == caffe_pb2.SolverParameter.HDF5)

    def _snapshot(self, where: place.Place) -> None:
        broken = finite.first_in_training(self.net, self._updater.history)
        if broken is not None:
            raise Error(f"{self._not_finite(broken)}; no snapshot was written")
        kind, ending = ("HDF5", ".h5") if self._hdf5 else ("binary proto", "")
        base = f"{self.param.snapshot_prefix}_iter_{self.iter}"
        weights, state = f"{base}.caffemodel{ending}", f"{base}.solverstate{ending}"
        with self._full_disk():
            log.info("Snapshotting to %s file %s", kind, weights)
            save = weight_writer.save_hdf5 if self._hdf5 else weight_writer.save
            save(self.net.param, self.net.params, weights, self.param.snapshot_diff)
            log.info("Snapshotting solver state to %s file %s", kind, state)
            self._write_state(where, weights, state)
        self._saved, self._state = self.iter, state

    def _write_state(self, where: place.Place, weights: str, path: str) -> None:
        message = place.to_message(where)
        self._rate.save(message)
        self._loss.save(message, self.iter)
        self._loss_scale.save(message)
        message.by_layer = not self.net._net.lean
        history = [blob.data for blob in self._updater.history]
        (snapshot.write_hdf5 if self._hdf5 else snapshot.write)(
            snapshot.State(self.iter, weights, self._rate.drops, history, message), path
        )

    @contextmanager
    def _full_disk(self) -> Iterator[None]:
        """One inside is told with the snapshot that is left."""
        try:
            yield
        except DiskFull as error:
            left = f"the last snapshot is {self._state}" if self._state else "there is no snapshot"
            raise DiskFull(f"{error}; {left}") from error

    @contextmanager
    def _saving(self) -> Iterator[None]:
        """An error inside has the last completed iteration saved, if it is finite."""
        try:
            yield
        except BaseException as error:
            if self.param.snapshot_prefix and self.iter > 0 and self._root:
                self._save_after(error)
            raise

    def _save_after(self, error: BaseException) -> None:
        """A snapshot of the last completed iteration, or a line that says why there is none."""
        if self._place is None:
            log.error("%s; this came in the middle of an update and could not be saved", error)
            return
        place.go_back(self._place, self._nets)
        try:
            self._snapshot(self._place)
        except Error as second:
            if isinstance(error, DiskFull) and isinstance(second, DiskFull):  # said by error
                return
            if str(second).startswith(str(error)):
                log.error("%s", second)
            else:
                log.error("%s; this could not be saved: %s", error, second)


def _make(net: solver_file.SolverNet) -> Net:
    return Net(
        net.net,
        int(net.state.phase),
        level=net.state.level,
        stages=list(net.state.stage),
        origin=net.origin,
    )


def _make_tester(net: solver_file.SolverNet, solver: str) -> Net:
    try:
        return _make(net)
    except Error as error:
        raise type(error)(
            f"{error}; this net is for tests: {solver} without test_iter trains without them"
        ) from None
