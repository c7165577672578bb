"""How a weld is judged, written a second time: NumPy features, SciPy peaks, plain loops for the rules.

    pip install numpy==2.4.6 scipy==1.17.1 onnxruntime==1.31.1
    python tools/reference/weld_reference.py generate      # makes the records of shared/weld/tests/data
    python tools/reference/weld_reference.py expect        # judges them: the expected outcomes beside them
    python tools/reference/weld_reference.py judge --model models/global --rules config/rules.toml \
        --records FILE.jsonl[.gz] --out FILE.jsonl[.gz]    # judges any records with a real model

Nothing here is taken from the Rust code; both follow docs and the comments of config/rules.toml. Rules look at steps of
about 1 ms, the model at the weld without the idle time around it. Curves are float32, R and P float32, every decision float64, so that both agree to the last bit where a limit is near.
`expect` needs no model: probabilities and regressions are drawn by seed, some of them on a threshold or NaN.
"""

import argparse
import copy
import gzip
import json
import math
import tomllib
from pathlib import Path

import numpy as np
from scipy.signal import find_peaks

DATA = Path(__file__).parents[2] / "shared/weld/tests/data"
SEED = 20261122
F32 = np.float32

DEFAULT_CURVES = {
    "sample_interval_ms": 1.0, "u_unit": "V", "i_unit": "kA", "umax_unit": "V", "imax_unit": "kA",
}
OTHER_CURVES = {
    "sample_interval_ms": 0.5, "u_unit": "percent_of_umax", "i_unit": "A", "umax_unit": "mV", "imax_unit": "kA",
}
FAST_CURVES = DEFAULT_CURVES | {"sample_interval_ms": 0.1}
SLOW_CURVES = DEFAULT_CURVES | {"sample_interval_ms": 10.0}
DEFAULT_LIMITS = {
    "min_points": 50, "u_max_range": [0.2, 10.0], "i_max_range": [0.5, 60.0], "max_mismatch": 0.3,
    "max_length_gap": 0,  # stricter than the default
}
DEFAULT_RULES = {
    "nok_on": ["expulsion:flag", "interruption", "short_pulse"],
    "pulses": {"current_fraction": 0.10, "current_floor_ka": 1.0, "voltage_floor_v": 0.05, "min_pulse_ms": 3.0,
               "max_pulses": 2, "prepulse_ms": [40.0, 110.0], "main_ms": [0.0, 0.0], "pause_ms": [8.0, 40.0]},
    "expulsion": {"enabled": True, "flag": 0.10, "warn": 0.06, "delay_ms": 4.0, "start_guard_ms": 30.0,
                  "end_guard_ms": 15.0, "refractory_ms": 20.0, "persist_ms": 30.0, "max_recovery": 0.30,
                  "max_current_change": 0.03},
    "interruption": {"enabled": True, "flag_ms": 3.0},
    "resistance_peak": {"enabled": True, "measure": "prominence", "flag_mohm": 0.020, "warn_mohm": 0.010,
                        "min_prominence_mohm": 0.010, "min_width_ms": 5.0, "max_width_ms": 1000.0, "rel_height": 0.5,
                        "smooth_ms": 5.0, "after_ms": 120.0, "begin_after_ms": 0.0, "start_guard_ms": 15.0,
                        "end_guard_ms": 15.0},
    "short_pulse": {"enabled": True, "flag_below_ms": 200.0, "warn_below_ms": 0.0},
    "low_energy": {"enabled": True, "flag_below_j": 1500.0, "warn_below_j": 2500.0},
    "resistance_end_high": {"enabled": True, "flag_above_mohm": 0.45, "warn_above_mohm": 0.38, "window_ms": 10.0,
                            "end_guard_ms": 15.0},
}
RULE_ORDER = ["expulsion", "interruption", "resistance_peak", "short_pulse", "low_energy", "resistance_end_high"]


class Refused(Exception):
    """The row is not judged: status and reason code."""

    def __init__(self, status, code):
        super().__init__(f"{status}: {code}")
        self.status, self.code = status, code


# --- curves -----------------------------------------------------------------------------------------------------

def as_f32(values):
    with np.errstate(over="ignore"):
        return np.array([math.nan if v is None else v for v in values], dtype=np.float64).astype(F32)


def scaled(value, curves, key):
    """The stored value in its unit, rounded once."""
    return F32(float(value) * float(curves.get(key, 1.0)))


def load(record, curves, limits):
    """Validated (u V, i kA, umax V, imax kA), float32; raises Refused."""
    u, i = as_f32(record["u_curve"]), as_f32(record["i_curve"])
    if len(u) == 0 or len(i) == 0:
        raise Refused("invalid", "empty_curve")
    if abs(len(u) - len(i)) > limits.get("max_length_gap", 2):
        raise Refused("invalid", "unequal_curves")
    u, i = u[: min(len(u), len(i))], i[: min(len(u), len(i))]
    if len(u) < limits["min_points"]:
        raise Refused("invalid", "too_short")
    umax, imax = as_f32([record["umax"], record["imax"]])
    umax, imax = scaled(umax, curves, "umax_scale"), scaled(imax, curves, "imax_scale")
    umax = umax / F32(1000) if curves["umax_unit"] == "mV" else umax
    imax = imax / F32(1000) if curves["imax_unit"] == "A" else imax
    u_factor = {"V": F32(1), "mV": F32(0.001), "percent_of_umax": umax / F32(100)}[curves["u_unit"]]
    i_factor = {"kA": F32(1), "A": F32(0.001), "percent_of_imax": imax / F32(100)}[curves["i_unit"]]
    u_factor, i_factor = scaled(u_factor, curves, "u_scale"), scaled(i_factor, curves, "i_scale")
    with np.errstate(over="ignore", invalid="ignore"):
        u, i = u * u_factor, i * i_factor
    if not (np.isfinite(umax) and np.isfinite(imax) and np.isfinite(u).all() and np.isfinite(i).all()):
        raise Refused("invalid", "non_finite")
    for name, value, (low, high) in (("umax", umax, limits["u_max_range"]), ("imax", imax, limits["i_max_range"])):
        if not low <= float(value) <= high:
            raise Refused("invalid", f"{name}_out_of_range")
    for name, value, x in (("umax", umax, u), ("imax", imax, i)):
        if abs(float(x.max()) - float(value)) > limits["max_mismatch"] * float(value):
            raise Refused("invalid", f"{name}_mismatch")
    for name, value, x in (("voltage", umax, u), ("current", imax, i)):
        if float(x.min()) < -limits["max_mismatch"] * float(value):
            raise Refused("invalid", f"negative_{name}")
    return u, i, umax, imax


# --- features ---------------------------------------------------------------------------------------------------

def runs(active, least):
    """[start, end) of every stretch of at least `least` active samples."""
    edges = np.flatnonzero(np.diff(np.concatenate([[False], active, [False]]).astype(int)))
    return [(int(start), int(end)) for start, end in zip(edges[::2], edges[1::2]) if end - start >= least]


def weld_span(i, config, dt):
    """The samples that the model is fed: from the first to the last current, and the idle time around that it knows."""
    flows = runs(i >= F32(0.05 * float(i.max())), max(1, math.floor(3.0 / dt + 0.5)))
    before, after = config.get("idle_before_ms"), config.get("idle_after_ms")
    start, end = 0, len(i)
    if flows and before is not None:
        start = max(start, flows[0][0] - math.floor(before / dt + 0.5))
    if flows and after is not None:
        end = min(end, flows[-1][1] + math.floor(after / dt + 0.5))
    return slice(start, end)


def features(u, i, config, dt):
    """[4, L] float32: U, I, R, P."""
    span = weld_span(i, config, dt)
    u, i = u[span], i[span]
    length = config["target_len"]
    if config["fit"] == "resample":
        at = np.linspace(0, len(u) - 1, length)
        u = np.interp(at, np.arange(len(u)), u).astype(F32)
        i = np.interp(at, np.arange(len(i)), i).astype(F32)
    else:
        u = np.pad(u[:length], (0, max(0, length - len(u))))
        i = np.pad(i[:length], (0, max(0, length - len(i))))
    floor = F32(config.get("current_floor_ka", 1.0))
    r = np.divide(u, i, out=np.zeros_like(u), where=i >= floor)
    p = u * i
    scale = np.array(config["scale"], dtype=F32)
    return np.stack([u, i, r, p]) * scale[:, None]


# --- rules ------------------------------------------------------------------------------------------------------

def read_rules(path):
    """rules.toml over the defaults: (for all parts, {part: settings})."""

    def over(base, changes):
        merged = copy.deepcopy(base)
        for key, value in changes.items():
            merged[key] = over(merged[key], value) if isinstance(value, dict) else value
        return merged

    table = tomllib.loads(Path(path).read_text(encoding="utf-8"))
    parts = table.pop("parts", {})
    base = over(DEFAULT_RULES, table)
    return base, {part: over(base, changes) for part, changes in parts.items()}


def rounded(value):
    return math.floor(value * 1e6 + 0.5) / 1e6


def in_steps(x, step):
    """Means of `step` samples; what fills no step is left out."""
    whole = x[: len(x) // step * step].reshape(-1, step).astype(np.float64)
    return (whole.sum(axis=1) / step).astype(F32)


def hill(x, peak, left_base, rel_height):
    """Height over the foot (the lowest sample before the peak), where a fifth of it is risen, and the width."""
    foot, top = float(x[left_base]), float(x[peak])
    height = top - foot

    def left(level):
        k = peak
        while k > left_base and x[k] > level:
            k -= 1
        return k + (float((level - x[k]) / (x[k + 1] - x[k])) if x[k] < level else 0.0)

    def right(level):
        k = peak
        while k < len(x) - 1 and x[k] > level:
            k += 1
        return k - (float((level - x[k]) / (x[k - 1] - x[k])) if x[k] < level else 0.0)

    level = top - height * rel_height
    return {"at": peak, "height": height, "begin": left(foot + 0.2 * height), "width": right(level) - left(level)}


class Rules:
    """One weld under one part's settings, in steps of about 1 ms."""

    def __init__(self, settings, dt, u, i, umax, imax):
        self.step = max(1, math.floor(1.0 / dt + 0.5))
        self.sampled = u, i, dt
        self.s, self.dt, self.u, self.i = settings, dt * self.step, in_steps(u, self.step), in_steps(i, self.step)
        self.hits = []
        self.blind = set()
        pulses = settings["pulses"]
        self.on_voltage = float(imax) < pulses["current_floor_ka"]
        active, top = (self.u, umax) if self.on_voltage else (self.i, imax)
        self.segment(active, F32(pulses["current_fraction"] * float(top)), pulses)

    def samples(self, ms):
        return math.floor(ms / self.dt + 0.5)

    def between(self, samples, span_ms):
        return self.samples(span_ms[0]) <= samples <= self.samples(span_ms[1])

    def hit(self, rule, level, sample, value, limit):
        self.hits.append({"rule": rule, "level": level, "t_ms": rounded(sample * self.dt), "value": rounded(value),
                          "limit": limit})

    def segment(self, x, threshold, pulses):
        self.pulses, self.gaps = [], []
        for start, end in runs(x >= threshold, self.samples(pulses["min_pulse_ms"])):
            if self.pulses:
                last = self.pulses[-1]
                pause = (len(self.pulses) < pulses["max_pulses"]
                         and self.between(start - last[1], pulses["pause_ms"])
                         and any(self.between(last[1] - last[0], pulses[key]) for key in ("prepulse_ms", "main_ms")))
                if not pause:
                    self.gaps.append((last[1], start))
                    last[1] = end
                    continue
            self.pulses.append([start, end])

        def squares(pulse):
            within = x[slice(*pulse)].astype(np.float64)
            return rounded(float(np.dot(within, within)) * self.dt)

        self.main = max(self.pulses, key=squares) if self.pulses else None
        self.hot = [pulse for pulse in self.pulses if 2 * squares(pulse) >= squares(self.main)]

    def run(self):
        """(hits, 'OK' or 'NOK'); raises Refused."""
        s = self.s
        if self.main:
            if s["expulsion"]["enabled"]:
                looks = [self.expulsion(pulse) for pulse in self.hot]
                if "blind" in looks:
                    self.blind.add("expulsion")
            signal, trusted, _ = self.signal(self.main)
            # R is told nowhere in a weld that is judged on U, and hence no energy either.
            of_r = np.zeros_like(trusted) if self.on_voltage else trusted
            if s["resistance_peak"]["enabled"]:
                self.resistance_peak(signal, of_r)
            if s["resistance_end_high"]["enabled"]:
                self.resistance_end_high(signal, of_r)
        if s["low_energy"]["enabled"]:
            self.low_energy()
        if s["interruption"]["enabled"]:
            for start, end in self.gaps:
                if end - start >= max(1, self.samples(s["interruption"]["flag_ms"])):
                    self.hit("interruption", "flag", start, (end - start) * self.dt, s["interruption"]["flag_ms"])
        if s["short_pulse"]["enabled"]:
            start, end = self.main or (0, 0)
            for level in ("flag", "warn"):
                limit = s["short_pulse"][f"{level}_below_ms"]
                if end - start < self.samples(limit):
                    self.hit("short_pulse", level, start, (end - start) * self.dt, limit)
                    break
        self.hits.sort(key=lambda h: (h["t_ms"], RULE_ORDER.index(h["rule"])))
        nok = any(self.counts(entry, hit) for entry in s["nok_on"] for hit in self.hits)
        if not nok and any(entry.partition(":")[0] in self.blind and self.may_hit(entry) for entry in s["nok_on"]):
            raise Refused("error", "rule_error")
        return self.hits, "NOK" if nok else "OK"

    def signal(self, pulse):
        """(R or, where the weld is judged on it, U; where it is trusted; I) of a pulse."""
        u, i = self.u[slice(*pulse)], self.i[slice(*pulse)]
        pulses = self.s["pulses"]
        trusted = u >= F32(pulses["voltage_floor_v"])
        if self.on_voltage:
            return u, trusted, i
        trusted &= i >= F32(pulses["current_floor_ka"])
        return np.divide(u, i, out=np.zeros_like(u), where=trusted), trusted, i

    @staticmethod
    def counts(entry, hit):
        rule, _, level = entry.partition(":")
        return hit["rule"] == rule and (level != "flag" or hit["level"] == "flag")

    def may_hit(self, entry):
        rule, _, level = entry.partition(":")
        limits = [value for key, value in self.s[rule].items() if key.startswith(("flag", "warn")[: 1 if level == "flag" else 2])]
        return self.s[rule]["enabled"] and any(limit > 0 for limit in limits)

    def expulsion(self, pulse):
        """Looks at one pulse: 'short' where nothing is there to look at, 'blind' where nothing is trusted, 'told'."""
        s = self.s["expulsion"]
        x, trusted, i = self.signal(pulse)
        delay, persist = self.samples(s["delay_ms"]), self.samples(s["persist_ms"])
        first = max(self.samples(s["start_guard_ms"]), 5)
        end = min(len(x) - self.samples(s["end_guard_ms"]), len(x) + 1 - delay - 5)

        def median(values, at):
            return float(np.median(values[at:at + 5]))

        depths = {}
        look = "short" if first >= end else "blind"
        for t in range(first, end):
            after_at = t + delay
            if not trusted[t - 5:after_at + 5].all():
                continue
            look = "told"
            before, after = median(x, t - 5), median(x, after_at)
            depth = 1.0 - after / before
            if depth < s["warn"]:
                continue
            if not self.on_voltage:
                i_before, i_after = median(i, t - 5), median(i, after_at)
                if abs(i_after - i_before) / i_before > s["max_current_change"]:
                    continue
            later_at = min(after_at + persist, end - 1 + delay)
            if trusted[after_at:later_at + 5].all():
                recovery = (median(x, later_at) - after) / (before - after)
                if recovery >= s["max_recovery"]:
                    continue
            depths[t] = depth
        # So many steps see one and the same drop; 0 is for a hit at every step.
        refractory = max(10 + delay, self.samples(s["refractory_ms"])) if s["refractory_ms"] > 0 else 1
        free_from = first
        for t in sorted(depths):
            if t < free_from:
                continue
            best = max((k for k in depths if t <= k < t + refractory), key=lambda k: (depths[k], -k))
            level = "flag" if depths[best] >= s["flag"] else "warn"
            self.hit("expulsion", level, pulse[0] + best, depths[best], s[level])
            free_from = best + refractory
        return look

    def resistance_peak(self, r, trusted):
        s = self.s["resistance_peak"]
        low = min(self.samples(s["start_guard_ms"]), len(r))
        high = max(len(r) - self.samples(s["end_guard_ms"]), low)
        stretches, begin = [(low, low)], None
        for k in range(low, high + 1):
            if k < high and trusted[k]:
                begin = k if begin is None else begin
            elif begin is not None:
                stretches.append((begin, k))
                begin = None
        begin, stop = max(stretches, key=lambda p: p[1] - p[0])
        window = max(1, self.samples(s["smooth_ms"]))

        def may_hold_a_peak(start, end):
            last = end - window + (window - 1) // 2
            return end - start >= window and last >= self.samples(s["after_ms"]) and last >= s["begin_after_ms"] / self.dt

        if may_hold_a_peak(low, high) and not may_hold_a_peak(begin, stop):
            self.blind.add("resistance_peak")
        if stop - begin < window:
            return
        smooth = np.convolve(r[begin:stop].astype(np.float64), np.ones(window), "valid") / window
        widths = (s["min_width_ms"] / self.dt, s["max_width_ms"] / self.dt)
        by_height = s["measure"] == "height"
        query = {"prominence": s["min_prominence_mohm"], "width": 0} if by_height else {
            "prominence": s["warn_mohm"], "width": widths}
        peaks, found = find_peaks(smooth, rel_height=s["rel_height"], **query)
        first = begin + (window - 1) // 2
        seen = []
        for peak, prominence, base in zip(peaks, found["prominences"], found["left_bases"]):
            seen.append(hill(smooth, int(peak), int(base), s["rel_height"]) | {"prominence": float(prominence)})
        if by_height:
            # A lower peak on the rise of a higher one, with no valley between, is part of that hill.
            seen = [one for k, one in enumerate(seen) if not any(later["begin"] <= one["at"] for later in seen[k + 1:])]
            seen = [one for one in seen if one["height"] >= s["warn_mohm"] and widths[0] <= one["width"] <= widths[1]]
        for one in seen:
            sample = first + one["at"]
            if sample < self.samples(s["after_ms"]) or one["begin"] + first < s["begin_after_ms"] / self.dt:
                continue
            value = one["height" if by_height else "prominence"]
            level = "flag" if value >= s["flag_mohm"] else "warn"
            self.hit("resistance_peak", level, self.main[0] + sample, value, s[f"{level}_mohm"])

    def low_energy(self):
        if self.on_voltage and self.main:
            self.blind.add("low_energy")
            return
        u, i, dt = self.sampled
        start, end = self.main or (0, 0)
        main = slice(start * self.step, end * self.step)
        joules = rounded(float(np.dot(u[main].astype(np.float64), i[main].astype(np.float64))) * dt)
        for level in ("flag", "warn"):
            limit = self.s["low_energy"][f"{level}_below_j"]
            if joules < limit:
                self.hit("low_energy", level, start, joules, limit)
                return

    def resistance_end_high(self, r, trusted):
        s = self.s["resistance_end_high"]
        stop = max(0, len(r) - self.samples(s["end_guard_ms"]))
        begin = max(0, stop - max(1, self.samples(s["window_ms"])))
        values = r[begin:stop][trusted[begin:stop]].astype(np.float64)
        if len(values) == 0:
            if begin < stop:
                self.blind.add("resistance_end_high")
            return
        mean = rounded(float(values.sum()) / len(values))
        for level in ("flag", "warn"):
            limit = s[f"{level}_above_mohm"]
            if limit > 0 and mean > limit:
                self.hit("resistance_end_high", level, self.main[0] + begin, mean, limit)
                return


# --- fusion -----------------------------------------------------------------------------------------------------

def fuse(nok_prob, nok_threshold, override_threshold, rule_result):
    """Both judges on: (ml_result, final_result, decided_by); raises Refused."""
    if not 0.0 <= nok_prob <= 1.0:
        raise Refused("error", "model_output")
    ml = "NOK" if F32(nok_prob) >= F32(nok_threshold) else "OK"
    if ml == "NOK" and rule_result == "NOK":
        return ml, "NOK", "soft_and"
    if F32(nok_prob) >= F32(override_threshold):
        return ml, "NOK", "override"
    return ml, "OK", "soft_and"


def judge(record, curves, limits, rules, config, model, override_threshold=0.9999):
    """The result columns of one record; `model(row)` gives (nok_prob, regression). `code` is alg_error up to ':'."""
    base, parts = rules
    try:
        u, i, umax, imax = load(record, curves, limits)
        settings = parts.get(record.get("part_no", ""), base)
        hits, rule_result = Rules(settings, curves["sample_interval_ms"], u, i, umax, imax).run()
        nok_prob, regression = model(features(u, i, config, curves["sample_interval_ms"]))
        if not np.isfinite(regression).all():
            raise Refused("error", "model_output")
        ml, final, decided_by = fuse(nok_prob, config["nok_threshold"], override_threshold, rule_result)
    except Refused as refused:
        return {"record_id": record["record_id"], "alg_status": refused.status, "code": refused.code}
    diameter, indentation, front, stack = (float(F32(x)) for x in regression)
    return {
        "record_id": record["record_id"], "alg_status": "ok", "ml_nok_prob": float(F32(nok_prob)), "ml_result": ml,
        "rule_result": rule_result, "rule_hits": hits, "final_result": final, "decided_by": decided_by,
        "diameter": diameter, "indentation": indentation, "front_thickness": front, "stack_thickness": stack,
        "model_version": config["model_version"],
    }


# --- records ----------------------------------------------------------------------------------------------------

def logistic(x):
    return 1.0 / (1.0 + np.exp(-np.clip(x, -500, 500)))


def resistance(t, rng, scale):
    """Dynamic resistance of low-carbon steel, mΩ: contact decay, heating, melting."""
    contact = rng.uniform(14, 24) * np.exp(-t / rng.uniform(3, 6))
    heating = rng.uniform(12, 18) * logistic((t - rng.uniform(18, 40)) / rng.uniform(4, 8))
    melting = rng.uniform(16, 26) * logistic((t - rng.uniform(100, 220)) / rng.uniform(25, 60))
    return (278 + contact + heating - melting) * scale / 1000.0


def pulse(n, level, rng):
    t = np.arange(n)
    return level * (1 - np.exp(-(t + 1) / rng.uniform(2, 6))) * (1 + rng.normal(0, 0.002, n))


def good_weld(rng, dt=1.0, prepulse=None, main_ms=None, current=None):
    """(u, i, first sample of the main pulse, its length)."""
    n = lambda ms: int(round(ms / dt))
    scale = rng.uniform(0.85, 1.15)
    current = current if current is not None else rng.uniform(6, 12)
    main = n(main_ms if main_ms is not None else rng.uniform(299, 799))
    parts = [np.zeros(n(rng.uniform(2, 8)))]
    r_parts = [np.full(len(parts[0]), 0.3)]
    if prepulse if prepulse is not None else rng.random() < 0.7:
        pre = n(rng.uniform(50, 100))
        pause = n(rng.uniform(10, 31))
        parts += [pulse(pre, current * rng.uniform(0.6, 0.9), rng), np.zeros(pause)]
        r_parts += [resistance(np.arange(pre) * dt, rng, scale), np.full(pause, 0.3)]
    at = sum(map(len, parts))
    parts += [pulse(main, current, rng), current * np.exp(-np.arange(n(8)) * dt / 1.2)]
    r_parts += [resistance(np.arange(main) * dt, rng, scale), np.full(n(8), 0.26 * scale)]
    i, r = np.concatenate(parts), np.concatenate(r_parts)
    return r, i, at, main


def finish(rng, r, i, noise=None):
    """U with sensor noise, both rounded as a plant's recorder does (mV, A)."""
    noise = noise if noise is not None else rng.uniform(0.002, 0.012)
    u = np.where(i > 0.02, r * i, 0.0) + rng.normal(0, noise, len(i))
    i = i + rng.normal(0, 0.004, len(i))
    return np.round(u, 3), np.round(i, 3)


def drop(r, at, depth, fall, recovers_after=None):
    """R falls by `depth` within `fall` samples from `at` on, and stays, or comes back after a while."""
    t = np.arange(len(r), dtype=float)
    share = np.clip((t - at) / fall, 0, 1)
    if recovers_after is not None:
        share *= 1 - np.clip((t - at - fall - recovers_after) / fall, 0, 1)
    return r * (1 - depth * share)


def make(kind, rng, dt=1.0):
    """(u, i, changes to the record)."""
    changes = {}
    if kind == "voltage_only":
        r, i, at, main = good_weld(rng, dt, current=rng.uniform(0.6, 0.95))
        r = r * 1.6
    elif kind == "short_pulse":
        # Some around the limits: the current's decay adds 2 to 3 ms.
        around = [rng.uniform(20, 330), rng.uniform(195, 201), rng.uniform(315, 321), rng.uniform(375, 381)]
        r, i, at, main = good_weld(rng, dt, main_ms=rng.choice(around))
    elif kind == "low_energy":
        r, i, at, main = good_weld(rng, dt, main_ms=rng.uniform(205, 300), current=rng.uniform(3.5, 6))
    else:
        r, i, at, main = good_weld(rng, dt)
    n = lambda ms: int(round(ms / dt))
    if kind in ("expulsion", "voltage_only") and (kind == "expulsion" or rng.random() < 0.6):
        for _ in range(int(rng.integers(1, 4))):
            onset = at + int(rng.uniform(0.09, 0.76) * main)
            r = drop(r, onset, rng.uniform(0.03, 0.23), n(rng.uniform(3, 11)))
    elif kind == "expulsion_edge":
        # Onsets at the guards, depths around the limits.
        onset = at + int(rng.choice([n(24), n(28), n(32), main - n(25), main - n(20), main - n(14)]))
        r = drop(r, onset, rng.choice([0.055, 0.07, 0.105, 0.15]), n(rng.uniform(2, 6)))
    elif kind == "recovering_drop":
        onset = at + int(rng.uniform(0.15, 0.8) * main)
        r = drop(r, onset, rng.uniform(0.08, 0.25), n(rng.uniform(2, 6)), recovers_after=n(rng.uniform(3, 45)))
    elif kind == "current_step":
        onset = at + int(rng.uniform(0.15, 0.8) * main)
        i = i * np.where(np.arange(len(i)) >= onset, rng.choice([0.9, 0.965, 0.975, 1.025, 1.035, 1.15]), 1.0)
        r = drop(r, onset, rng.uniform(0.05, 0.2), n(3))
    elif kind in ("interruption", "long_interruption"):
        for _ in range(int(rng.integers(1, 3))):
            gap = int(rng.integers(1, 12)) if kind == "interruption" else n(rng.uniform(12, 60))
            start = at + int(rng.choice([rng.uniform(0.05, 0.8) * main, rng.uniform(30, 120) / dt]))
            i[start:start + gap] *= rng.uniform(0, 0.12)
            if rng.random() < 0.5:
                r[start + gap:] += 0.05 * np.exp(-np.arange(len(r) - start - gap) * dt / 15)
    elif kind == "late_peak":
        t = np.arange(len(r)) - at - rng.uniform(0.2, 0.8) * main
        r = r + rng.uniform(0.004, 0.04) * np.exp(-((t * dt / rng.uniform(3, 40)) ** 2))
    elif kind == "burn":
        # A hill that may begin early, be low, stay up to the pulse's end, or carry a dent.
        onset, length = at + rng.uniform(0.02, 0.75) * main, rng.uniform(15, 110)
        t = (np.arange(len(r)) - onset) * dt
        rise, fall = rng.uniform(2, 8), rng.uniform(3, 18)
        dent = rng.choice([0.0, 0.0, 0.15, 0.4]) * np.exp(-(((t - length / 2) / 8) ** 2))
        r = r + rng.uniform(0.02, 0.12) * (logistic(t / rise) - logistic((t - length) / fall)) * (1 - dent)
    elif kind == "high_end":
        r = r + rng.uniform(0.02, 0.25) * logistic((np.arange(len(r)) - at - 0.6 * main) * dt / 30)
    elif kind == "post_pulse":
        pause, post = n(rng.uniform(10, 31)), n(rng.uniform(40, 120))
        i = np.concatenate([i, np.zeros(pause), pulse(post, i.max() * 0.6, rng)])
        r = np.concatenate([r, np.full(pause, 0.3), np.full(post, r[at + main - 1])])
    elif kind == "no_current":
        # A spike is all that flows: the maximum agrees, no pulse lasts.
        i = np.zeros(len(i))
        i[int(rng.integers(60, len(i) - 60))] = 8.0
    u, i = finish(rng, r, i, noise=0.04 if kind == "noisy" else None)
    if kind == "sensor_dropout":
        start = at + int(rng.uniform(0.2, 0.6) * main)
        u[start:start + n(rng.uniform(8, 60))] = rng.choice([0.0, -0.01])
    if kind == "no_current":
        u[i.argmax()] = 2.4
    return u, i, changes


INVALID = ["empty_both", "empty_u", "empty_i", "unequal", "too_short", "nan_u", "nan_i", "huge_u", "nan_umax", "inf_imax",
           "umax_low", "umax_high", "imax_low", "imax_high", "umax_mismatch", "imax_mismatch", "negative_u",
           "negative_i", "millivolts", "percent"]
KINDS = (["good"] * 65 + ["expulsion"] * 94 + ["expulsion_edge"] * 40 + ["recovering_drop"] * 25
         + ["current_step"] * 30 + ["interruption"] * 35 + ["long_interruption"] * 15 + ["short_pulse"] * 40
         + ["low_energy"] * 15 + ["late_peak"] * 20 + ["high_end"] * 15 + ["post_pulse"] * 8 + ["voltage_only"] * 20
         + ["noisy"] * 8 + ["no_current"] * 4 + ["sensor_dropout"] * 6)
PARTS = ["", "A-100", "A-100", "B-200", "C-300", "零件 D", "E-500"]


def spoil(kind, rng, record):
    u, i = record["u_curve"], record["i_curve"]
    k = int(rng.integers(0, len(u)))
    if kind in ("empty_both", "empty_u"):
        record["u_curve"] = []
    if kind in ("empty_both", "empty_i"):
        record["i_curve"] = []
    if kind == "unequal":
        record["u_curve"] = u[: -int(rng.integers(1, 20))]
    if kind == "too_short":
        length = int(rng.integers(1, 50))
        record["u_curve"], record["i_curve"] = u[:length], i[:length]
    if kind == "nan_u":
        u[k] = None
    if kind == "nan_i":
        i[k] = None
    if kind == "huge_u":
        u[k] = 1e39
    if kind == "nan_umax":
        record["umax"] = None
    if kind == "inf_imax":
        record["imax"] = 1e39
    if kind == "umax_low":
        record["umax"] = 0.19
    if kind == "umax_high":
        record["umax"] = 10.01
    if kind == "imax_low":
        record["imax"] = 0.49
    if kind == "imax_high":
        record["imax"] = 60.5
    if kind == "umax_mismatch":
        record["umax"] = round(record["umax"] * float(rng.choice([0.7, 1.5])), 3)
    if kind == "imax_mismatch":
        record["imax"] = round(record["imax"] * float(rng.choice([0.7, 1.5])), 3)
    if kind == "negative_u":
        u[k] = round(-0.4 * record["umax"], 3)
    if kind == "negative_i":
        i[k] = round(-0.4 * record["imax"], 3)
    if kind == "millivolts":
        record["u_curve"] = [round(x * 1000) for x in u]
    if kind == "percent":
        record["i_curve"] = [round(x / record["imax"] * 100, 2) for x in i]


def generate():
    rng = np.random.default_rng(SEED)
    kinds = KINDS + [k for k in INVALID for _ in range(3)]
    kinds = kinds[:500] + ["good"] * (500 - len(kinds))
    rng.shuffle(kinds)
    with open_text(DATA / "records.jsonl.gz", "w") as out:
        for number, kind in enumerate(kinds):
            u, i, changes = make("good" if kind in INVALID else str(kind), rng)
            record = make_record(number, rng, u, i)
            record.update(changes)
            if kind in INVALID:
                spoil(kind, rng, record)
            out.write(json.dumps(record, separators=(",", ":"), ensure_ascii=False) + "\n")
    with open_text(DATA / "records_other_units.jsonl.gz", "w") as out:
        for number in range(40):
            kind = ["good", "expulsion", "interruption", "late_peak", "voltage_only"][number % 5]
            u, i, _ = make(kind, rng, dt=OTHER_CURVES["sample_interval_ms"])
            record = make_record(number, rng, u, i)
            record["u_curve"] = [round(x / record["umax"] * 100, 1) for x in record["u_curve"]]
            record["i_curve"] = [round(x * 1000) for x in record["i_curve"]]
            record["umax"] = round(record["umax"] * 1000)
            out.write(json.dumps(record, separators=(",", ":"), ensure_ascii=False) + "\n")


    generate_long_idle(np.random.default_rng(SEED + 2))
    generate_fast(np.random.default_rng(SEED + 3))
    generate_burns(np.random.default_rng(SEED + 4))
    generate_pulses(np.random.default_rng(SEED + 5))
    generate_slow(np.random.default_rng(SEED + 6))


def generate_long_idle(rng):
    """A recorder that began early and ran on, with the noise, the offset and the spikes of its sensors."""
    with open_text(DATA / "records_long_idle.jsonl.gz", "w") as out:
        for number in range(36):
            kind = ["good", "expulsion", "voltage_only", "post_pulse", "interruption", "no_current"][number % 6]
            u, i, _ = make(kind, rng)
            around = [0, int(rng.integers(0, 300))][number % 2], int(rng.choice([0, 30, 400, 1400]))
            top = i.max()
            for place, samples in (("before", around[0]), ("after", around[1])):
                idle_u = rng.normal(rng.choice([-0.02, 0.0, 0.02]), 0.008, samples)
                idle_i = rng.normal(rng.choice([-0.01, 0.0, 0.01]) * top, 0.004 * top, samples)
                for at in rng.integers(0, max(1, samples), 3 if samples else 0):
                    idle_i[at:at + int(rng.integers(1, 3))] = 0.4 * top  # too short to be current
                u = np.concatenate([idle_u, u] if place == "before" else [u, idle_u])
                i = np.concatenate([idle_i, i] if place == "before" else [i, idle_i])
            record = make_record(number, rng, np.round(u, 3), np.round(i, 3))
            out.write(json.dumps(record, separators=(",", ":"), ensure_ascii=False) + "\n")


def generate_fast(rng):
    """10 kHz, with the offsets that voltage sensors have."""
    with open_text(DATA / "records_fast.jsonl.gz", "w") as out:
        for number in range(18):
            kind = ["good", "expulsion", "interruption", "sensor_dropout", "high_end", "voltage_only"][number % 6]
            r, i, at, main = good_weld(rng, 0.1, prepulse=number % 2 == 0, main_ms=rng.uniform(195, 280),
                                       current=0.8 if kind == "voltage_only" else None)
            if kind == "expulsion":
                r = drop(r, at + int(rng.uniform(0.3, 0.7) * main), rng.uniform(0.05, 0.2), 80)
            if kind == "interruption":
                start = at + int(rng.uniform(0.2, 0.7) * main)
                i[start:start + int(rng.choice([25, 35, 120]))] *= rng.uniform(0, 0.05)
            if kind == "high_end":
                r = r + rng.uniform(0.05, 0.25) * logistic((np.arange(len(r)) - at - 0.6 * main) / 300)
            if kind == "voltage_only":
                r = r * 1.6
            u, i = finish(rng, r, i, noise=0.012)
            u = u + [-0.02, 0.0, 0.02][number // 6]
            if kind == "sensor_dropout":
                start = at + int(rng.uniform(0.2, 0.6) * main)
                u[start:start + int(rng.uniform(80, 600))] = 0.0
            record = make_record(number, rng, np.round(u, 3), i)
            out.write(json.dumps(record, separators=(",", ":"), ensure_ascii=False) + "\n")


def generate_burns(rng):
    """Hills of R, for the parts that are measured by height."""
    with open_text(DATA / "records_burn.jsonl.gz", "w") as out:
        for number in range(80):
            u, i, _ = make(["burn", "burn", "burn", "late_peak", "good"][number % 5], rng)
            record = make_record(number, rng, u, i)
            record["part_no"] = ["BURN", "BURN-WIDE", "BURN-LATE"][number % 3]
            out.write(json.dumps(record, separators=(",", ":"), ensure_ascii=False) + "\n")


def of_pulses(rng, pulses, dt=1.0):
    """(u, i) of [(ms, kA, R in mΩ at each ms of the pulse, ms of pause behind it)]."""
    n = lambda ms: int(round(ms / dt))
    i, r = [np.zeros(n(40 if dt > 1 else 6))], [np.full(n(40 if dt > 1 else 6), 0.3)]
    for ms, level, of_time, pause in pulses:
        i += [pulse(n(ms), level, rng), np.zeros(n(pause))]
        r += [of_time(np.arange(n(ms)) * dt), np.full(n(pause), 0.3)]
    return finish(rng, np.concatenate(r), np.concatenate(i), noise=0.006)


def falling(rng, at=None, depth=0.0):
    """R of a weld by the time of its pulse, ms; it drops at `at`, where one is given."""
    scale, seed = rng.uniform(0.9, 1.1), int(rng.integers(0, 2**31))

    def of_time(t):
        r = resistance(t, np.random.default_rng(seed), scale)
        return r if at is None else r * (1 - depth * np.clip((t - at) / 6, 0, 1))

    return of_time


def generate_pulses(rng):
    """Temper pulses, some longer than the weld itself, and pulsation."""
    kinds = ["temper", "temper_expulsion", "temper_interrupted", "long_temper", "long_temper_expulsion", "temper_by_default",
             "pulsation", "pulsation_expulsions", "pulsation_dropout", "pulsation_blind", "equal", "voltage_only"]
    with open_text(DATA / "records_pulses.jsonl.gz", "w") as out:
        for number in range(48):
            kind = kinds[number % len(kinds)]
            depth, current = rng.uniform(0.04, 0.22), rng.uniform(7, 11)
            if kind == "voltage_only":
                current = rng.uniform(0.7, 0.95)
            flat = lambda level: lambda t: np.full(len(t), level) + 0.004 * np.exp(-t / 20)
            if "temper" in kind or kind == "voltage_only":
                main = rng.uniform(285, 395)
                at = rng.uniform(60, 220) if "expulsion" in kind or kind == "voltage_only" else None
                post = (rng.uniform(340, 480), 0.55) if "long" in kind else (rng.uniform(90, 220), 0.6)
                welds = [(rng.uniform(55, 90), current * 0.6, flat(0.29), rng.uniform(12, 28)),
                         (main, current, falling(rng, at, depth), rng.uniform(14, 50)),
                         (post[0], current * post[1], flat(0.272), 12)]
                if kind == "voltage_only":
                    welds = [(ms, level, lambda t, of=of: 1.6 * of(t), pause) for ms, level, of, pause in welds]
                part = "E-500" if number >= 36 else "B-200" if kind == "temper_by_default" else "TEMPER"
            else:
                length, pause = rng.uniform(95, 180), rng.uniform(12, 30)
                drops = rng.permutation([rng.uniform(45, 70), None, rng.uniform(45, 70)]) if "expulsions" in kind else [None] * 3
                welds = [(length, current, falling(rng, at, depth), pause) for at in drops]
                part = "PULSATION"
            u, i = of_pulses(rng, welds)
            pulses = runs(i >= 0.3 * i.max(), 3)
            if kind == "temper_interrupted":
                start = pulses[1][0] + int(rng.integers(120, 200))
                i[start:start + int(rng.integers(2, 24))] *= 0.02
            if kind in ("pulsation_dropout", "pulsation_blind"):
                for start, end in pulses[:: 1 if kind == "pulsation_blind" else 2]:
                    u[start + 10:end] = 0.01
            if kind == "equal":
                # To the last sample: the first of them is the main one.
                start, end = pulses[0]
                for later, _ in pulses[1:]:
                    u[later:later + end - start], i[later:later + end - start] = u[start:end], i[start:end]
            record = make_record(number, rng, u, i)
            record["part_no"] = part
            out.write(json.dumps(record, separators=(",", ":"), ensure_ascii=False) + "\n")


def generate_slow(rng):
    """10 ms a sample: one expulsion is one hit there, too."""
    with open_text(DATA / "records_slow.jsonl.gz", "w") as out:
        for number in range(24):
            at = rng.uniform(90, 600) if number % 4 else None
            welds = [(70, 5.5, falling(rng), 20), (720, rng.uniform(8, 10), falling(rng, at, rng.uniform(0.08, 0.25)), 120)]
            u, i = of_pulses(rng, welds, dt=10.0)
            out.write(json.dumps(make_record(number, rng, u, i), separators=(",", ":"), ensure_ascii=False) + "\n")


def make_record(number, rng, u, i):
    return {
        "record_id": 9_000_000_000 + number, "data_date": 20261122,
        "ck_local_time": f"2026-11-22 {6 + number // 60:02d}:{number % 60:02d}:07.250",
        "part_no": str(rng.choice(PARTS)), "spot_name": f"S{number % 37:03d}", "timer_name": f"T{number % 5}",
        "umax": round(float(u.max()) * rng.uniform(0.97, 1.03), 3),
        "imax": round(float(i.max()) * rng.uniform(0.97, 1.03), 3),
        "u_curve": [float(x) for x in u], "i_curve": [float(x) for x in i],
    }


# --- commands ---------------------------------------------------------------------------------------------------

def open_text(path, mode):
    path = Path(path)
    if path.suffix != ".gz":
        return open(path, mode, encoding="utf-8")
    if mode == "r":
        return gzip.open(path, "rt", encoding="utf-8")
    import io
    raw = open(path, "wb")  # no name and no time inside, so that the same content is the same file
    return io.TextIOWrapper(gzip.GzipFile("", "wb", 9, raw, mtime=0), encoding="utf-8")


def read_records(path):
    with open_text(path, "r") as lines:
        return [json.loads(line) for line in lines if line.strip()]


def drawn_model(rng):
    """A model that looks at nothing: probabilities around every threshold, now and then none."""

    def model(_):
        nok_prob = rng.choice([rng.random(), 0.5, 0.4999999, 0.9999, 0.99989, 1.0, 0.0, math.nan, 1.5],
                              p=[0.5, 0.1, 0.1, 0.08, 0.08, 0.05, 0.05, 0.02, 0.02])
        regression = np.round(rng.uniform([3, 0, 0.4, 1], [7, 0.4, 1.2, 3]), 3)
        if rng.random() < 0.02:
            regression[int(rng.integers(0, 4))] = math.nan
        model.last = [None if math.isnan(x) else float(F32(x)) for x in (nok_prob, *regression)]
        return nok_prob, regression

    return model


def checksums(x):
    x = x.astype(np.float64)
    return {"sum": x.sum(axis=1).tolist(), "moment": (x * np.arange(1, x.shape[1] + 1)).sum(axis=1).tolist()}


def expect():
    rng = np.random.default_rng(SEED + 1)
    rules = read_rules(DATA / "rules.toml")
    configs = {fit: json.loads((DATA / f"inference_config_{fit}.json").read_text()) for fit in ("resample", "pad")}
    for name, curves in (("records", DEFAULT_CURVES), ("records_other_units", OTHER_CURVES),
                         ("records_long_idle", DEFAULT_CURVES), ("records_fast", FAST_CURVES),
                         ("records_burn", DEFAULT_CURVES), ("records_pulses", DEFAULT_CURVES),
                         ("records_slow", SLOW_CURVES)):
        rows = []
        with open_text(DATA / f"{name}.expected.jsonl.gz", "w") as out:
            for k, record in enumerate(read_records(DATA / f"{name}.jsonl.gz")):
                model = drawn_model(rng)
                expected = judge(record, curves, DEFAULT_LIMITS, rules, configs["resample"], model)
                # What the model said, for whoever has no model: null is NaN. Absent where it was not asked.
                expected["model"] = getattr(model, "last", None)
                try:
                    u, i, *_ = load(record, curves, DEFAULT_LIMITS)
                    fitted = {fit: features(u, i, config, curves["sample_interval_ms"])
                              for fit, config in configs.items()}
                    expected["features"] = {fit: checksums(x) for fit, x in fitted.items()}
                    if k % (60 if len(u) < 2000 else 12) == 0:
                        expected["rows"] = {fit: x.astype(float).ravel().tolist() for fit, x in fitted.items()}
                except Refused:
                    pass
                rows.append(expected)
                out.write(json.dumps(expected, separators=(",", ":")) + "\n")
        summary(name, rows)


def summary(name, rows):
    from collections import Counter
    status = Counter(row["alg_status"] if row["alg_status"] == "ok" else f"{row['alg_status']}/{row['code']}"
                     for row in rows)
    hits = Counter(f"{hit['rule']}:{hit['level']}" for row in rows for hit in row.get("rule_hits", []))
    results = Counter(f"{row['rule_result']}/{row['final_result']} by {row['decided_by']}"
                      for row in rows if row["alg_status"] == "ok")
    for title, counter in (("status", status), ("hits", hits), ("rule/final", results)):
        print(f"{name} {title}:", dict(sorted(counter.items())))


def judge_command(args):
    import os
    os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")  # before the library is loaded, or it tells a collector
    import onnxruntime
    folder = Path(args.model)
    config = json.loads((folder / "inference_config.json").read_text(encoding="utf-8"))
    onnx, = folder.glob("*.onnx")
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(str(onnx), options, providers=["CPUExecutionProvider"])
    names = config.get("outputs", {})
    outputs = [names.get("nok_prob", "nok_prob"), names.get("regression", "regression")]

    def model(row):
        nok_prob, regression = session.run(outputs, {config.get("input", "curves"): row[None]})
        return nok_prob.ravel()[0], regression.ravel()

    curves = DEFAULT_CURVES | (json.loads(args.curves) if args.curves else {})
    rules = read_rules(args.rules)
    rows = []
    with open_text(args.out, "w") as out:
        for record in read_records(args.records):
            expected = judge(record, curves, DEFAULT_LIMITS, rules, config, model, args.override_threshold)
            rows.append(expected)
            out.write(json.dumps(expected, separators=(",", ":")) + "\n")
    summary(Path(args.records).name, rows)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("generate", help="make the records")
    commands.add_parser("expect", help="judge them without a model")
    command = commands.add_parser("judge", help="judge records with a model")
    command.add_argument("--model", required=True, help="folder with inference_config.json and one .onnx")
    command.add_argument("--rules", default=str(DATA / "rules.toml"))
    command.add_argument("--records", default=str(DATA / "records.jsonl.gz"))
    command.add_argument("--curves", help="JSON of the [curves] keys that differ from the defaults")
    command.add_argument("--override-threshold", type=float, default=0.9999)
    command.add_argument("--out", required=True)
    args = parser.parse_args()
    {"generate": generate, "expect": expect, "judge": lambda: judge_command(args)}[args.command]()


if __name__ == "__main__":
    main()
