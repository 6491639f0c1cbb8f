"""Bad scenario files: name, content, and a part of the message each must give. All are refused in one line each."""

from __future__ import annotations

from typing import NamedTuple


class Bad(NamedTuple):
    """One bad file."""

    name: str
    content: bytes
    says: str
    schema: bool = False  # whether the JSON Schema can tell, too


def _bad(name: str, text: str | bytes, says: str, schema: bool = False) -> Bad:
    return Bad(name, text if isinstance(text, bytes) else text.encode("utf-8", "surrogatepass"), says, schema)


def _parameter(name: str, line: str, says: str, schema: bool = True) -> Bad:
    return _bad(name, f"name: x\nparameters:\n  {line}\n", says, schema)


def _event(name: str, fields: str, says: str, schema: bool = True) -> Bad:
    return _bad(name, f"name: x\nevents:\n  - {{{fields}}}\n", says, schema)


_LAUGHS = "name: x\nlol0: &l0 [ha, ha, ha]\n" + "".join(
    f"lol{i}: &l{i} [" + ", ".join([f"*l{i - 1}"] * 9) + "]\n" for i in range(1, 9)
)
_MERGES = "a0: &a0 {k0: 1}\n" + "".join(
    f"a{i}: &a{i}\n  <<: [" + ", ".join([f"*a{i - 1}"] * 9) + f"]\n  k{i}: 1\n" for i in range(1, 8)
)

BOMBS = [
    _bad("laughs", _LAUGHS, "anchor &l0"),
    _bad("merge-bomb", _MERGES, "anchor &a0"),
    _bad("merge-key", "name: x\nparameters:\n  <<: {a: 1}\n", ":3: the merge key << is not allowed"),
    _bad("recursive-anchor", "name: x\nstory: &a [*a]\n", ":2: the anchor &a"),
    _bad("alias-only", "name: x\ntitle: *gone\n", ":2: the alias *gone"),
    _bad("brackets-200k", "[" * 200_000, "32 levels deep"),
    _bad("braces-200k", "{" * 200_000, "key"),
    _bad("nested-maps", "name: x\nparameters: " + "{a: " * 5000 + "1" + "}" * 5000, "32 levels deep"),
    _bad("nested-dashes", "- " * 100_000, "32 levels deep"),
    _bad("flat-list", "sources: [" + "1," * 100_000 + "]", "10000 values"),
    _bad("flat-map", "".join(f"k{i}: 1\n" for i in range(20_000)), "10000 values"),
    _bad("many-unknown-keys", "".join(f"demand.x{i}: 1\n" for i in range(4_000)), "more problems"),
    _bad("many-events", "events:\n" + "- {id: a}\n" * 2_000, "more problems"),
    _bad("long-text", "name: x\nstory: " + "word " * 50_000, "16000 characters"),
    _bad("long-key", "name: x\n" + "k" * 900 + ": 1\n", "key of more than 200"),
    _bad("bangs", "name: " + "!" * 250_000, "word of more than 16000"),
    _bad("huge-file", "# " + "x" * 300_000, "larger than 256 kB"),
    _bad("exponent-bomb", "name: x\nparameters:\n  demand.value: 9e999999999 utils\n", "too large"),
    _bad("digits-bomb", "name: x\nparameters:\n  demand.value: " + "9" * 9000 + "\n", "60 characters"),
    _bad("quantity-bomb", "name: x\nparameters:\n  demand.value: " + "9" * 9000 + " utils\n", "60 characters"),
]

FILES = [
    _bad("empty", "", "the file is empty"),
    _bad("only-comment", "# nothing\n", "the file is empty"),
    _bad("null-root", "null\n", "the file is empty"),
    _bad("scalar-root", "just words\n", "the file is a text"),
    _bad("number-root", "5\n", "the file is a number"),
    _bad("list-root", "- a\n- b\n", "the file is a list"),
    _bad("two-documents", "name: x\n---\nname: y\n", ":2: a second document"),
    _bad("directive-11", "%YAML 1.1\n---\nname: x\n", "directives"),
    _bad("directive-tag", "%TAG ! tag:x,2000:\n---\nname: x\n", "directives"),
    _bad("tag-python", "name: !!python/object/apply:os.system ['touch marker']\n", ":1: the tag !!python"),
    _bad("tag-str", "name: !!str x\n", ":1: the tag !!str"),
    _bad("tag-float", "name: x\nparameters: {demand.value: !!float 5}\n", "the tag !!float"),
    _bad("tab-indent", "name: x\nparameters:\n\tdemand.value: 5\n", ":3: a tab"),
    _bad("tab-value", "name: x\ntitle:\ta\n", ":2: a tab"),
    _bad("tab-escape", 'name: x\ntitle: "a\\tb"\n', ":2: the character U+0009"),
    _bad("nul", "name: x\ntitle: a\0b\n", ":2: the character U+0000"),
    _bad("escape-raw", "name: x\ntitle: a\x1b[31mb\n", ":2: the character U+001B"),
    _bad("escape-sequence", 'name: x\ntitle: "a\\x1b[31m"\n', ":2: the character U+001B"),
    _bad("nul-escape", 'name: x\ntitle: "a\\0"\n', ":2: the character U+0000"),
    _bad("bidi", "name: x\ntitle: a\u202eb\n", ":2: the character U+202E"),
    _bad("zero-width", "name: x\ntitle: a\u200bb\n", ":2: the character U+200B"),
    _bad("soft-hyphen", "name: x\ntitle: a\u00adb\n", "the character U+00AD"),
    _bad("line-separator", "name: x\ntitle: a\u2028b\n", "the character U+2028"),
    _bad("private-use", "name: x\ntitle: a\ue000b\n", "the character U+E000"),
    _bad("surrogate-raw", "name: x\ntitle: a\ud800b\n", "not UTF-8"),
    _bad("surrogate-escape", 'name: x\ntitle: "a\\ud800"\n', "the character U+D800"),
    _bad("code-point-overflow", 'name: x\ntitle: "a\\UFFFFFFFF"\n', "this is not YAML"),
    _bad("bom-inside", "name: x\ntitle: a\ufeffb\n", "U+FEFF"),
    _bad("utf-16", "name: x\n".encode("utf-16"), "UTF-16"),
    _bad("utf-16-no-bom", "name: x\n".encode("utf-16-le"), "UTF-16"),
    _bad("latin-1", "name: x\ntitle: caf\xe9\n".encode("latin-1"), ":2: byte 0xe9 is not UTF-8"),
    _bad("binary", bytes(range(256)), "not UTF-8"),
    _bad("unclosed-quote", 'name: "x\n', "this is not YAML"),
    _bad("unclosed-bracket", "name: x\nsources: [a, b\n", "this is not YAML"),
    _bad("missing-colon", "name x\ntitle: y\n", "this is not YAML"),
    _bad("bad-indent", "name: x\n  title: y\n", ":2: this is not YAML"),
    _bad("percent", "name: x\ntitle: %a\n", "this is not YAML"),
    _bad("backtick", "name: `x`\n", "this is not YAML"),
    _bad("list-key", "? [a]\n: 1\n", "used as a key"),
    _bad("json-comma", '{"name": "x" "title": "y"}', "this is not YAML"),
]

KEYS = [
    _bad("duplicate", "name: x\ntitle: a\ntitle: b\n", ":3: title: the key is given twice (first on line 2)"),
    _bad("duplicate-nested", "name: x\nhorizon:\n  end: 2030-12\n  end: 2031-12\n", ":4: end: the key is given twice"),
    _bad("duplicate-number-key", "name: x\n1: a\n1: b\n", ":3: 1: the key is given twice"),
    _bad("number-key", "name: x\n1: a\n", ":2: 1: the key 1 is a number", True),
    _bad("boolean-key", "name: x\ntrue: a\n", "the key true", True),
    _bad("null-key", "name: x\n~: a\n", "the key ~", True),
    _bad("unknown-top", "name: x\nhorizn: {end: 2030-12}\n", ":2: horizn: unknown key", True),
    _bad("wrong-section", "name: x\ndemand.value: 5\n", "belongs under parameters:", True),
    _bad("lab-at-top", "name: x\nOpenAI: {brand: 0}\n", "belongs under labs:", True),
    _bad("cyrillic-key", "name: x\nрarameters: {}\n", "did you mean 'parameters'", True),
    _bad("nbsp-key", "name: x\nparameters:\n  demand\u00a0.value: 5\n", "unknown parameter", True),
    _bad("capital-key", "name: x\nParameters: {}\n", "did you mean 'parameters'", True),
    _bad("set-twice", "name: x\nparameters:\n  demand: {value: 5}\n  demand.value: 6\n",
         ":4: demand.value: is set twice (first on line 3)"),
    _parameter("unknown-parameter", "demand.enterprise.distrus: 2", "did you mean 'demand.enterprise.distrust'"),
    _parameter("no-group", "distrust_relief: 2", "did you mean 'demand.distrust_relief'"),
    _parameter("unknown-nested", "demand: {enterprise: {distrusst: 2}}", "did you mean 'distrust'"),
    _parameter("group-as-value", "demand: 5", "is a group and needs a map"),
    _parameter("group-as-list", "demand: [5]", "is a group and needs a map"),
    _parameter("value-as-group", "demand.value: {x: 1}", "unknown key"),
    _parameter("unknown-kind", "demand.value: {triangle: [1, 2, 3]}", "did you mean 'triangular'"),
    _parameter("unknown-reason", "demand.value: {value: 1, sorce: a}", "did you mean 'source'"),
    _bad("parameters-list", "name: x\nparameters: [a]\n", "parameters: must be a map", True),
    _bad("unknown-lab", "name: x\nlabs: {DeepSek: {openness: open}}\n", "did you mean 'DeepSeek'"),
    _bad("new-lab-bad-bloc", "name: x\nlabs: {Newcomer: {bloc: China}}\n", "'China' is not one of US, EU", True),
    _bad("new-lab-drawn-bloc", "name: x\nlabs: {Newcomer: {bloc: {choice: [US, EU]}}}\n", "bloc: must be certain"),
    _bad("new-lab-named-as-all", "name: x\nlabs: {All: {bloc: US}}\n", "a lab or a group of labs is called so"),
    _bad("new-lab-named-as-another", "name: x\nlabs: {openai: {bloc: US}}\n", "a lab or a group of labs is called so"),
    _bad("new-lab-name", "name: x\nlabs: {'New lab': {bloc: US}}\n", "allowed are 1 to 40 letters"),
    _bad("bloc-of-a-known-lab", "name: x\nlabs: {DeepSeek: {bloc: US}}\n", "bloc: is fixed for a known lab", True),
    _bad("unknown-lab-field", "name: x\nlabs: {DeepSeek: {opennes: open}}\n", "did you mean 'openness'", True),
    _bad("lab-word", "name: x\nlabs: {DeepSeek: {openness: opened}}\n", "did you mean 'open'", True),
    _bad("lab-boolean", "name: x\nlabs: {DeepSeek: {openness: true}}\n", "'true' is not one of", True),
    _bad("lab-scalar", "name: x\nlabs: {DeepSeek: open}\n", "labs.DeepSeek: must be a map", True),
    _bad("lab-fraction", "name: x\nlabs: {DeepSeek: {active: 0.5}}\n", "0.5 is not whole"),
]  # fmt: skip

NUMBERS = [
    _parameter("text", "demand.value: lots", "'lots' is not a number"),
    _parameter("norway", "demand.value: NO", "'NO' is not a number"),
    _parameter("on", "demand.value: on", "'on' is not a number"),
    _parameter("boolean", "demand.value: true", "is the boolean true"),
    _parameter("null", "demand.value: null", "is empty"),
    _parameter("nothing", "demand.value:", "is empty"),
    _parameter("quoted", 'demand.value: "5"', "write 5 without quotes"),
    _parameter("clock", "demand.value: 22:30", "'22:30' is not a number"),
    _parameter("date", "demand.value: 2025-12-01", "'2025-12-01' is not a number"),
    _parameter("octal", "demand.value: 010", "write 10"),
    _parameter("octal-new", "demand.value: 0o17", "decimal digits"),
    _parameter("hex", "demand.value: 0x1F", "decimal digits"),
    _parameter("underscore", "demand.value: 1_000", "write 1000 without separators"),
    _parameter("comma", "demand.value: 1,5", "decimal point"),
    _parameter("thousands", 'demand.value: "1,000"', "decimal point"),
    _parameter("infinite", "demand.value: .inf", "finite"),
    _parameter("minus-infinite", "demand.value: -.INF", "finite"),
    _parameter("nan", "demand.value: .nan", "finite"),
    _parameter("nan-word", "demand.value: nan", "finite"),
    _parameter("overflow", "demand.value: 1.0e400", "too large"),
    _parameter("underflow", "demand.value: 1e-400", "too small", False),
    _parameter("above", "demand.value: 101", "101 is out of bounds; allowed is a number from 0 to 100 utils"),
    _parameter("below", "demand.value: -1", "-1 is out of bounds"),
    _parameter("far-above", "demand.value: 1e308", "out of bounds"),
    _parameter("arabic-digits", "demand.value: ٣", "use the digits 0 to 9"),
    _parameter("full-width", "demand.value: ３", "use the digits 0 to 9"),
    _parameter("list", "demand.value: [1, 2]", "a list is not a value"),
    _parameter("unit-of-other-kind", "demand.value: 5 USD/Mtok", "the unit 'USD/Mtok' does not fit", False),
    _parameter(
        "unit-missing-part",
        'serving.base_cost: "0.1 USD"',
        "does not fit; allowed is a number from 0.001 to 10 USD/Mtok",
        False,
    ),
    _parameter(
        "unit-upside-down",
        "serving.base_cost: 0.1 Mtok/USD",
        "does not fit; allowed is a number from 0.001 to 10 USD/Mtok",
        False,
    ),
    _parameter(
        "unit-unknown",
        "serving.base_cost: 0.1 EUR/Mtok",
        "does not fit; allowed is a number from 0.001 to 10 USD/Mtok",
        False,
    ),
    _parameter("per-cent-of-factor", "compute.cn.domestic_growth: 80 %/year", "does not fit", False),
    _parameter("unit-out-of-bounds", "serving.base_cost: 0.1 USD/ktok", "out of bounds", False),
    _parameter("pure-number-unit", "capability.release_spread: 3 %", "a pure number takes none", False),
    _parameter("separator-in-quantity", "compute.cn.quota_h20: 1,000 chips/year", "not a number"),
    _bad("runs-zero", "name: x\nensemble: {runs: 0}\n", "ensemble.runs: 0 is out of bounds", True),
    _bad("runs-half", "name: x\nensemble: {runs: 1.5}\n", "1.5 is not whole"),
    _bad("runs-huge", "name: x\nensemble: {runs: 10001}\n", "from 1 to 10000", True),
    _bad("seed-negative", "name: x\nensemble: {seed: -1}\n", "ensemble.seed: -1 is out of bounds", True),
    _bad("seed-huge", "name: x\nensemble: {seed: 9223372036854775808}\n", "out of bounds", True),
    _bad("workloads-1e12", "name: x\nensemble: {workloads: 1e12}\n", "from 200 to 10000000", True),
    _bad("workloads-few", "name: x\nensemble: {workloads: 199}\n", "199 is out of bounds", True),
    _bad("posterior", "name: x\nensemble: {posterior: fit.nc}\n", "not available in this version", True),
    _bad("ensemble-key", "name: x\nensemble: {seeds: 1}\n", "did you mean 'seed'", True),
    _bad("ensemble-list", "name: x\nensemble: [1]\n", "ensemble: must be a map", True),
    _bad("runs-range", "name: x\nensemble: {runs: {uniform: [1, 2]}}\n", "is a map", True),
]

DISTRIBUTIONS = [
    _parameter("uniform-order", "demand.value: {uniform: [5, 1]}", "low <= high", False),
    _parameter("uniform-equal", "demand.value: {uniform: [5, 5]}", "write the number itself", False),
    _parameter("uniform-three", "demand.value: {uniform: [1, 2, 3]}", "uniform takes [low, high], given is 3 values"),
    _parameter("uniform-map", "demand.value: {uniform: {low: 1, high: 2}}", "given is a map"),
    _parameter("uniform-outside", "demand.value: {uniform: [1, 101]}", "demand.value.uniform.high: 101 is out"),
    _parameter("uniform-text", "demand.value: {uniform: [a, 2]}", "'a' is not a number"),
    _parameter("triangular-order", "demand.value: {triangular: [1, 9, 5]}", "low <= mode <= high", False),
    _parameter("triangular-two", "demand.value: {triangular: [1, 5]}", "given is 2 values"),
    _parameter("pert-order", "demand.value: {pert: [3, 2, 5]}", "low <= mode <= high", False),
    _parameter("normal-sd", "demand.value: {normal: [5, 0]}", "sd must be above 0", False),
    _parameter("normal-negative", "demand.value: {normal: [5, -1]}", "sd: -1 is out of bounds"),
    _parameter("normal-mean", "demand.value: {normal: [500, 1]}", "mean: 500 is out of bounds", False),
    _parameter("normal-own-bounds", "demand.value: {normal: [5, 1], bounds: [6, 9]}", "outside its own bounds", False),
    _parameter("lognormal-median", "demand.value: {lognormal: [0, 1]}", "median must be above 0", False),
    _parameter("lognormal-sigma-unit", "demand.value: {lognormal: [5, 1 utils]}", "a pure number takes none", False),
    _parameter("bounds-order", "demand.value: {normal: [5, 1], bounds: [9, 1]}", "low below high", False),
    _parameter("bounds-wide", "demand.value: {normal: [5, 1], bounds: [0, 200]}", "200 is out of bounds"),
    _parameter("bounds-scalar", "demand.value: {normal: [5, 1], bounds: 3}", "must be [low, high]"),
    _parameter("bounds-alone", "demand.value: {bounds: [1, 2]}", "exactly one of value"),
    _parameter("bounds-of-number", "demand.value: {value: 1, bounds: [1, 2]}", "bounds need a distribution", False),
    _parameter("two-kinds", "demand.value: {uniform: [1, 2], normal: [1, 2]}", "uniform and normal"),
    _parameter("no-kind", "demand.value: {source: a}", "given is none"),
    _parameter("empty-map", "demand.value: {}", "given is none"),
    _parameter("choice-empty", "demand.value: {choice: []}", "1 to 1000 values"),
    _parameter("choice-twice", "demand.value: {choice: [1, 1.0]}", "names a value twice", False),
    _parameter("choice-weights", "demand.value: {choice: {1: -1, 2: 3}}", "-1 is out of bounds"),
    _parameter("choice-zero", "demand.value: {choice: {1: 0, 2: 0}}", "not all 0", False),
    _parameter("choice-outside", "demand.value: {choice: [1, 900]}", "900 is out of bounds"),
    _parameter("choice-word-key", "demand.value: {choice: {often: 1}}", "'often' is not a number", False),
    _parameter("empirical-map", "demand.value: {empirical: {1: 2}}", "given is a map"),
    _parameter("empirical-nested", "demand.value: {empirical: [[1]]}", "is a list"),
    _parameter("source-number", "demand.value: {value: 1, source: 2024}", "put it in quotes"),
    _parameter("source-list", "demand.value: {value: 1, source: [a]}", "must be a text, given is a list"),
    _bad(
        "word-uniform",
        "name: x\nlabs: {DeepSeek: {openness: {uniform: [0, 1]}}}\n",
        "a uniform distribution is of numbers",
        True,
    ),
    _bad(
        "word-choice", "name: x\nlabs: {DeepSeek: {openness: {choice: [open, shut]}}}\n", "'shut' is not one of", True
    ),
]

_CONTROL = "lever: export_control, bloc: CN, tier: H20"
EVENTS = [
    _event("no-id", f"date: 2026-01, {_CONTROL}, quota: 1", "events[1]: has no id"),
    _event("id-mistyped", f"di: a, date: 2026-01, {_CONTROL}, quota: 1", "events[1]: has no id; did you mean 'id'"),
    _event("bad-id", f"id: A b, date: 2026-01, {_CONTROL}, quota: 1", "cannot be an id"),
    _event("number-id", f"id: 7, date: 2026-01, {_CONTROL}, quota: 1", "cannot be an id"),
    _event("no-date", f"id: a, {_CONTROL}, quota: 1", "date is missing"),
    _event("day", f"id: a, date: 2026-01-15, {_CONTROL}, quota: 1", "written YYYY-MM"),
    _event("month-13", f"id: a, date: 2026-13, {_CONTROL}, quota: 1", "'2026-13' is not allowed"),
    _event("year", f"id: a, date: 2026, {_CONTROL}, quota: 1", "is a number"),
    _event("in-the-history", f"id: a, date: 2025-03, {_CONTROL}, quota: 1", "replayed as observed to 2025-12", False),
    _event("no-lever", "id: a, date: 2026-01, quota: 1", "lever is missing"),
    _event("unknown-lever", "id: a, date: 2026-01, lever: export_controls, bloc: CN", "did you mean 'export_control'"),
    _event("missing-field", f"id: a, date: 2026-01, {_CONTROL}", "quota is missing; allowed is a number"),
    _event("unknown-field", f"id: a, date: 2026-01, {_CONTROL}, qota: 1, quota: 1", "did you mean 'quota'"),
    _event("bad-word", "id: a, date: 2026-01, lever: export_control, bloc: CN, tier: H300, quota: 1", "not one of H20"),
    _event("bad-bloc", "id: a, date: 2026-01, lever: cloud_access, bloc: China, open: 1", "'China' is not one of CN"),
    _event("who-mistyped", "id: a, date: 2026-01, lever: price_rule, who: OpnAI, rule: hold", "mean 'OpenAI'", False),
    _event("lab-mistyped", "id: a, date: 2026-01, lever: lab_exit, lab: all", "'all' is not one of OpenAI", False),
    _event("who-number", "id: a, date: 2026-01, lever: price_rule, who: 4, rule: hold", "'4' is not one of OpenAI"),
    _event("rule-mistyped", "id: a, date: 2026-01, lever: price_rule, who: US, rule: holt", "did you mean 'hold'"),
    _event("quota-negative", f"id: a, date: 2026-01, {_CONTROL}, quota: -5", "-5 is out of bounds"),
    _event("quota-unit", f"id: a, date: 2026-01, {_CONTROL}, quota: 5 chips", "20000000 chips/year", False),
    _event("remove-missing", "id: a, remove: true", "no such event to remove", False),
    _event("remove-more", f"id: a, remove: true, {_CONTROL}", "and nothing else"),
    _event("remove-false", "id: a, remove: false", "and nothing else"),
    _bad("events-map", "name: x\nevents: {a: 1}\n", "events: must be a list", True),
    _bad("event-text", "name: x\nevents: [a]\n", "events[1]: must be a map", True),
    _bad("same-id", f"name: x\nevents:\n  - {{id: a, date: 2026-01, {_CONTROL}, quota: 1}}\n"
         f"  - {{id: a, date: 2027-01, {_CONTROL}, quota: 1}}\n",
         ":4: events.a: the id is given twice (first on line 3)"),
    _bad("same-effect", f"name: x\nevents:\n  - {{id: a, date: 2026-01, {_CONTROL}, quota: 1}}\n"
         f"  - {{id: b, date: 2026-01, {_CONTROL}, quota: 2}}\n", "events.b: does the same as 'a'"),
]  # fmt: skip

_TWO = "parameters:\n" + "".join(
    f"  demand.{name}: {{uniform: [1, 2]}}\n" for name in ("value", "value_sd", "volume_sd")
)


def _pair(name: str, lines: str, says: str, schema: bool = False) -> Bad:
    return _bad(name, f"name: x\n{_TWO}correlations:\n{lines}\n", says, schema)


REST = [
    _pair("rank-2", "  - {between: [demand.value, demand.value_sd], rank: 2}", "2 is out of bounds", True),
    _pair("rank-missing", "  - {between: [demand.value, demand.value_sd]}", "rank is missing", True),
    _pair("pair-of-one", "  - {between: [demand.value], rank: 0.5}", "a list of two paths", True),
    _pair("pair-same", "  - {between: [demand.value, demand.value], rank: 0.5}", "the same"),
    _pair("pair-unknown", "  - {between: [demand.value, demand.valu], rank: 0.5}", "is not the path of a value"),
    _pair("pair-certain", "  - {between: [demand.value, demand.leap_points], rank: 0.5}", "is not uncertain"),
    _pair("pair-fixed-here", "  - {between: [demand.value, labs.Meta.brand], rank: 0.5}\nlabs: {Meta: {brand: 1}}",
          "labs.Meta.brand is not uncertain"),
    _pair("pair-twice", "  - {between: [demand.value, demand.value_sd], rank: 0.5}\n"
          "  - {between: [demand.value_sd, demand.value], rank: 0.4}", "given twice"),
    _pair("pair-key", "  - {betwen: [demand.value, demand.value_sd], rank: 0.5}", "did you mean 'between'", True),
    _pair("not-psd", "  - {between: [demand.value, demand.value_sd], rank: 0.9}\n"
          "  - {between: [demand.value, demand.volume_sd], rank: 0.9}\n"
          "  - {between: [demand.value_sd, demand.volume_sd], rank: -0.9}", "positive semidefinite"),
    _bad("correlations-map", "name: x\ncorrelations: {a: 1}\n", "correlations: must be a list", True),
    _bad("name-capital", "name: Baseline\n", "is not a scenario name", True),
    _bad("name-path", "name: ../x\n", "is not a scenario name", True),
    _bad("name-null", "name:\n", "the name is empty", True),
    _bad("name-empty", 'name: ""\n', "the name is empty", True),
    _bad("name-number", "name: 12\n", "name: must be a text", True),
    _bad("name-device", "name: con\n", "device"),
    _bad("title-list", "name: x\ntitle: [a]\n", "title: must be a text", True),
    _bad("title-number", "name: x\ntitle: 2030\n", "put it in quotes", True),
    _bad("title-long", "name: x\ntitle: " + "word " * 60 + "\n", "longer than 200"),
    _bad("sources-text", "name: x\nsources: a report\n", "sources: must be a list", True),
    _bad("population-typo", "name: x\npopulation: agent\n", "did you mean 'agents'", True),
    _bad("population-null", "name: x\npopulation:\n", "is not one of agents, mean-field", True),
    _bad("population-list", "name: x\npopulation: [agents]\n", "population: a list is not one of", True),
    _bad("nodes-few", "name: x\nensemble: {nodes: 63}\n", "ensemble.nodes: 63 is out of bounds", True),
    _bad("nodes-many", "name: x\nensemble: {nodes: 65537}\n", "from 64 to 65536", True),
    _bad("nodes-word", "name: x\nensemble: {nodes: many}\n", "'many' is not a number", True),
    _bad("noise-typo", "name: x\nensemble: {noise: option}\n", "did you mean 'options'", True),
    _bad("noise-number", "name: x\nensemble: {noise: 2}\n", "ensemble.noise: '2' is not one of", True),
    _bad("start-late", "name: x\nhorizon: {start: 2026-01}\n", "to 2025-12"),
    _bad("start-early", "name: x\nhorizon: {start: 2023-06}\n", "from 2023-07"),
    _bad(
        "all-parts-zero",
        "name: x\nparameters:\n  demand.mix: {indie: 0, startup: 0, ordinary: 0, regulated: 0, public: 0}\n",
        "all its parts are zero",
    ),
    _bad("end-late", "name: x\nhorizon: {end: 2041-01}\n", "to 2040-12"),
    _bad("end-before-start", "name: x\nhorizon: {start: 2025-01, end: 2025-01}\n", "does not come after"),
    _bad("history-before-start", "name: x\nhorizon: {start: 2025-01, history_until: 2024-12}\n", "does not come after"),
    _bad("history-late", "name: x\nhorizon: {history_until: 2026-01}\n", "to 2025-12"),
    _bad("month-number", "name: x\nhorizon: {end: 2030}\n", "is a number", True),
    _bad("month-arabic", "name: x\nhorizon: {end: ٢٠٣٠-12}\n", "YYYY-MM", True),
    _bad("horizon-key", "name: x\nhorizon: {stop: 2030-12}\n", "unknown key; allowed are start", True),
    _bad("horizon-list", "name: x\nhorizon: [2023-07, 2030-12]\n", "horizon: must be a map", True),
    *(
        _bad(f"extends-{i}", f"name: x\nextends: {text}\n", "extends: ", i not in (9, 10, 11))
        for i, text in enumerate(
            ["../secret", "/etc/passwd", "~/x", "'%2e%2e/x'", "'a\\\\b'", "C:x", "a/b", "base.yaml", "Base", "nul",
             "com1", "no-such-scenario", "'..'", "'.'", "a b", "''", "[a]", "5", "'a\\u0000'", "é", "$HOME", "-x",
             "_x", "https://x", "a:b"]
        )
    ),
]  # fmt: skip

CORPUS = [*BOMBS, *FILES, *KEYS, *NUMBERS, *DISTRIBUTIONS, *EVENTS, *REST]
