#!/usr/bin/env bash
# Prometheus: one NaN in the window hides a rise from delta for the whole window, and not from min_over_time
#
# Seen with promtool 2.42.0 (Debian 12), 2026-12-01. Needs `promtool` on the PATH.
#
# A gauge that only one of several processes knows may be NaN in the others. Who takes over goes from NaN to a number.
# Expected: NaN is no sample of use, so all functions over a window leave it out, as they leave out a gap.
# Seen: min_over_time, max_over_time and the aggregation max leave it out. delta is NaN as long as one lies in the
# window, be it the first sample of sixty: `delta(g[1h]) > 0` is silent for an hour after each takeover. The same series
# with a gap in its place tells the rise at once. `changes` counts the step from NaN as a change, too.
#
# What to do: compare with `min_over_time(g[1h])`, and not with delta; or leave the series out until it is known.
set -euo pipefail
command -v promtool >/dev/null || {
    echo "promtool is not installed: apt-get install prometheus"
    exit 2
}
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
promtool --version 2>&1 | head -1
cat >none.yml <<'YAML'
groups: []
YAML
# Known from minute 10 on, and 3 more from minute 30 on.
cat >test.yml <<'YAML'
rule_files: [none.yml]
evaluation_interval: 1m
tests:
  - interval: 1m
    input_series:
      - { series: 'kept{was="nan"}', values: 'NaN NaN NaN NaN NaN NaN NaN NaN NaN NaN 5x19 8x60' }
      - { series: 'kept{was="gap"}', values: '_x10 5x19 8x60' }
      - { series: 'kept{was="flat"}', values: '5x100' }
    promql_expr_test:
      - expr: 'kept - min_over_time(kept[1h]) > 0'
        eval_time: 40m
        exp_samples:
          - { labels: '{was="gap"}', value: 3 }
          - { labels: '{was="nan"}', value: 3 }
      - expr: 'delta(kept[1h]) > 0'
        eval_time: 40m
        exp_samples:
          - { labels: '{was="gap"}', value: 3.05 }
      - { expr: 'delta(kept{was="nan"}[1h]) == delta(kept{was="nan"}[1h])', eval_time: 40m, exp_samples: [] }
      - { expr: 'delta(kept{was="nan"}[1h]) == delta(kept{was="nan"}[1h])', eval_time: 68m, exp_samples: [] }
      - expr: 'changes(kept[1h])'
        eval_time: 40m
        exp_samples:
          - { labels: '{was="flat"}', value: 0 }
          - { labels: '{was="gap"}', value: 1 }
          - { labels: '{was="nan"}', value: 2 }
YAML
promtool test rules test.yml || { echo "the finding is out of date"; exit 1; }
echo "seen: 3 more beside the gap and the NaN by min_over_time, beside the gap alone by delta"
